/* Records of the trail in order: the files as spans, each span from the index when the index has it whole, else from the file. A walk ends
 * at its limit, at its time, or at the end of the trail, and can be taken up at the place it came to. */
#include <sqlite3.h>
#include <stdlib.h>
#include "admin/query.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { LOOK_EVERY = 64, FILE_MS = 10000 };
/* Records come to a file for an hour; a request may have begun long before its END came. */
#define FILE_US (3900LL * 1000000)

/* --- places --- */
static struct gw_str tail_of(const char *name)
{
	struct gw_str s = gw_str_z(name);
	size_t n = 13 + 1 + 8 + 1 + 8 + 4; /* "1700000000000-0a1b2c3d-00000007.lga" */

	return s.n > n ? gw_str(s.p + s.n - n, n - 4) : GW_NIL;
}

void gw_q_pos_put(struct gw_buf *b, const struct gw_q_pos *p)
{
	gw_buf_puts(b, tail_of(p->name));
	gw_buf_printf(b, ".%llu", (unsigned long long)p->offset);
}

bool gw_q_pos_read(struct gw_str s, enum gw_seg_class cls, struct gw_q_pos *p)
{
	struct gw_str name, offset;
	uint64_t no;

	if (!gw_str_cut(s, '.', &name, &offset) || name.n != 31 || name.p[13] != '-' || name.p[22] != '-' ||
	    !gw_str_u64(gw_str(name.p, 13), &no) || !gw_str_u64(gw_str_skip(name, 23), &no) ||
	    !gw_str_u64(offset, &p->offset))
		return false;
	for (size_t i = 14; i < 22; i++)
		if (!strchr("0123456789abcdef", name.p[i]))
			return false;
	snprintf(p->name, sizeof p->name, "seg-%s-%.*s.lga", cls == GW_SEG_ADMIN ? "admin" : "request", GW_FMT(name));
	return true;
}

bool gw_q_is_over(struct gw_q *y)
{
	y->is_cut |= gw_now_ms() >= y->until_ms || y->out.n > y->max_bytes;
	return y->is_cut;
}

static bool is_hopeless(struct gw_q *y)
{
	y->is_cut |= gw_now_ms() >= y->until_ms + FILE_MS || y->out.n > y->max_bytes;
	return y->is_cut;
}

static void arrive(struct gw_q *y, uint32_t file, uint64_t offset)
{
	memcpy(y->at.name, y->files[file].seg.name, sizeof y->at.name);
	y->at.offset = offset;
}

/* The end of a span, unless the walk began behind it. */
static void arrive_at_end(struct gw_q *y, uint32_t file, uint64_t offset)
{
	bool is_same = strcmp(y->at.name, y->files[file].seg.name) == 0;

	if (!is_same || (y->is_ascending ? offset > y->at.offset : offset < y->at.offset))
		arrive(y, file, offset);
}

/* --- files --- */
static bool list_files(struct gw_q *y)
{
	struct gw_adm_segments list;

	if (gw_adm_segments_list(y->segments, y->want.cls, &list))
		return true; /* no folder: no records yet */
	y->files = list.n ? calloc(list.n, sizeof *y->files) : NULL;
	for (size_t i = 0; i < list.n && y->files; i++) {
		uint64_t ms = 0;

		y->files[i].seg = list.v[i];
		y->files[i].state = GW_IS_EXPIRED;
		if (!gw_str_u64(gw_str(tail_of(list.v[i].name).p, 13), &ms))
			ms = 0;
		y->files[i].created_ms = (int64_t)ms;
	}
	y->n_files = y->files ? (uint32_t)list.n : 0;
	bool ok = list.n == 0 || y->files;
	gw_adm_segments_free(&list);
	return ok;
}

static bool map(struct gw_q *y, uint32_t file)
{
	if (y->bytes.p && y->mapped == file)
		return true;
	gw_adm_segment_close(&y->bytes);
	y->mapped = file;
	return gw_adm_segment_open(y->segments, y->files[file].seg.name, &y->bytes) == GW_OK;
}

/* Where the walk goes on in a file: offsets in [from, to). False: not in this one. */
static bool bounds(const struct gw_q *y, uint32_t file, uint64_t *from, uint64_t *to)
{
	const struct gw_q_file *f = &y->files[file];
	int order;

	*from = 0;
	*to = UINT64_MAX;
	if (!y->at.name[0])
		return true;
	order = strcmp(tail_of(f->seg.name).p + 23, tail_of(y->at.name).p + 23); /* number first, then time of making */
	if (!order)
		order = strcmp(f->seg.name, y->at.name);
	if (order == 0 && y->is_ascending)
		*from = y->at.offset + 1;
	else if (order == 0)
		*to = y->at.offset;
	return order == 0 || (y->is_ascending ? order > 0 : order < 0);
}

/* --- from the index --- */
static uint32_t file_of(const struct gw_q *y, const struct gw_q_span *s, uint32_t id)
{
	for (uint32_t i = s->file_lo; i <= s->file_hi; i++)
		if (y->files[i].id == id)
			return i;
	return UINT32_MAX;
}

static bool tell_at(struct gw_q *y, const struct gw_q_span *s, int64_t pos, uint32_t *file)
{
	struct gw_seg_record rec;
	struct gw_record r;

	if (*file > s->file_hi || *file < s->file_lo || y->files[*file].id != gw_ipos_seg(pos))
		*file = file_of(y, s, gw_ipos_seg(pos));
	if (*file == UINT32_MAX || !map(y, *file) || !gw_seg_frame_at(y->bytes, gw_ipos_offset(pos), &rec) ||
	    !gw_adm_want_record(&y->want, &rec, &r))
		return true;
	arrive(y, *file, gw_ipos_offset(pos));
	return y->fn(y, &rec);
}

/* False: the walk ends here (y says why). */
static bool walk_index(struct gw_q *y, const struct gw_q_span *s)
{
	uint64_t from, to, lo_offset = 0, hi_offset = UINT32_MAX * 8ull;
	uint32_t edge = y->is_ascending ? s->file_lo : s->file_hi, file = UINT32_MAX;
	sqlite3_stmt *q;
	bool is_none;
	int rc = SQLITE_DONE;

	if (bounds(y, edge, &from, &to)) {
		lo_offset = y->is_ascending ? from + 7 : 0;
		hi_offset = y->is_ascending || to > hi_offset ? hi_offset : to;
	}
	q = gw_q_select(y, gw_ipos(s->seg_lo, lo_offset), gw_ipos(s->seg_hi, hi_offset), &is_none);
	if (!q && !is_none) {
		y->is_index_bad = true;
		return false;
	}
	for (unsigned i = 1; q && (rc = sqlite3_step(q)) == SQLITE_ROW; i++) {
		if (!tell_at(y, s, sqlite3_column_int64(q, 0), &file)) {
			y->is_full = true;
			break;
		}
		if (i % LOOK_EVERY == 0 && gw_q_is_over(y))
			break;
	}
	sqlite3_finalize(q);
	if (rc == SQLITE_ROW)
		return false;
	if (rc == SQLITE_INTERRUPT)
		y->is_cut = true;
	else if (rc != SQLITE_DONE)
		y->is_index_bad = true;
	if (rc != SQLITE_DONE)
		return false;
	arrive_at_end(y, y->is_ascending ? s->file_hi : s->file_lo, y->is_ascending ? y->files[s->file_hi].offset : 0);
	return true;
}

/* --- from a file --- */
static bool open_reader(struct gw_q *y, const struct gw_q_span *s, struct gw_seg_reader *r)
{
	if (!map(y, s->file_lo) || gw_seg_open(r, y->bytes) != GW_OK)
		return false;
	if (s->block_no && s->offset <= y->bytes.n) {
		r->at = (size_t)s->offset;
		r->block_no = s->block_no;
		memcpy(r->hash, s->hash, 32);
	}
	gw_seg_skip_to(r, y->want.from_us);
	return true;
}

static uint64_t offset_of(const struct gw_q *y, const struct gw_seg_record *rec)
{
	return (uint64_t)(rec->body.p - y->bytes.p) - 24; /* frame: 24 bytes, then the body (lib/segment.h) */
}

static bool is_wanted(const struct gw_q *y, const struct gw_seg_record *rec)
{
	struct gw_record r;
	struct gw_admin_record a;

	return y->want.cls == GW_SEG_ADMIN ? gw_adm_want_admin(&y->want, rec, &a)
					   : gw_adm_want_record(&y->want, rec, &r);
}

static bool walk_file_up(struct gw_q *y, const struct gw_q_span *s, uint64_t from)
{
	struct gw_seg_reader r;
	struct gw_seg_record rec;
	uint64_t last = 0;

	if (!open_reader(y, s, &r))
		return true;
	for (unsigned k = 1; gw_seg_next(&r, false, &rec); k++) {
		last = offset_of(y, &rec);
		if (last >= from && is_wanted(y, &rec)) {
			arrive(y, s->file_lo, last);
			if (!y->fn(y, &rec)) {
				y->is_full = true;
				return false;
			}
		}
		if (k % LOOK_EVERY == 0 && gw_q_is_over(y)) {
			arrive_at_end(y, s->file_lo, last);
			return false;
		}
	}
	if (last)
		arrive_at_end(y, s->file_lo, last);
	return true;
}

/* Newest first: the places of the last ones that are wanted, then these. */
static bool walk_file_down(struct gw_q *y, const struct gw_q_span *s, uint64_t to)
{
	uint64_t room = y->limit - y->n_out, n = 0, *ring = malloc(room * sizeof *ring);
	struct gw_seg_reader r;
	struct gw_seg_record rec;
	bool goes_on = true;

	if (!ring || !open_reader(y, s, &r)) {
		y->err = ring ? y->err : GW_E_NOMEM;
		free(ring);
		return !y->err;
	}
	for (unsigned k = 1; goes_on && gw_seg_next(&r, false, &rec) && offset_of(y, &rec) < to; k++) {
		if (is_wanted(y, &rec))
			ring[n++ % room] = offset_of(y, &rec);
		/* cut in the middle of a file what was not looked at is newer, so nothing of it is told; the first file of a
		 * turn has time enough to be read whole, or nobody would ever come past it */
		goes_on = k % LOOK_EVERY != 0 || !(y->has_moved ? gw_q_is_over(y) : is_hopeless(y));
	}
	uint64_t have = n < room ? n : room;
	for (uint64_t i = 0; i < have && goes_on; i++) {
		uint64_t at = ring[(n - 1 - i) % room];

		if (!gw_seg_frame_at(y->bytes, at, &rec))
			continue;
		arrive(y, s->file_lo, at);
		goes_on = y->fn(y, &rec);
		y->is_full |= !goes_on;
	}
	free(ring);
	y->has_moved = true;
	if (goes_on)
		arrive_at_end(y, s->file_lo, s->block_no ? s->offset : 0);
	return goes_on;
}

/* --- spans --- */
static bool is_indexed(const struct gw_q_file *f)
{
	return f->id && f->state != GW_IS_EXPIRED;
}

/* Nothing in it can be wanted, by its times. */
static bool is_outside(const struct gw_q *y, uint32_t i)
{
	const struct gw_q_file *f = &y->files[i];

	if (is_indexed(f) && f->state == GW_IS_DONE)
		return !f->rows || f->max_us < y->want.from_us || f->min_us > y->want.to_us;
	return i + 1 < y->n_files && y->files[i + 1].created_ms * 1000 + FILE_US < y->want.from_us &&
	       y->want.cls == GW_SEG_REQUEST && !is_indexed(f);
}

/* With an index to lead the way many files are one span; without, each file is one, so that a walk that is cut has come somewhere. */
static uint32_t join(const struct gw_q *y, uint32_t i, int step, bool has_index)
{
	uint32_t last = i;

	while (has_index && last + (uint32_t)step < y->n_files && is_indexed(&y->files[last + (uint32_t)step])) {
		const struct gw_q_file *a = &y->files[last], *b = &y->files[last + (uint32_t)step];

		if (b->id != a->id + (uint32_t)step || a->state == GW_IS_ACTIVE || b->state == GW_IS_ACTIVE)
			break;
		last += (uint32_t)step;
	}
	return last;
}

static bool walk_part(struct gw_q *y, uint32_t i, bool is_index, uint32_t last)
{
	uint32_t lo = i < last ? i : last, hi = i < last ? last : i;
	const struct gw_q_file *f = &y->files[i];
	struct gw_q_span s = { .is_index = is_index, .file_lo = lo, .file_hi = hi };
	uint64_t from, to;

	if (is_index) {
		s.seg_lo = y->files[lo].id;
		s.seg_hi = y->files[hi].id;
		return walk_index(y, &s);
	}
	if (is_indexed(f)) { /* behind the cursor */
		s.offset = f->offset;
		s.block_no = f->block_no;
		memcpy(s.hash, f->hash, 32);
	}
	if (!bounds(y, i, &from, &to) || to <= s.offset)
		return true;
	return y->is_ascending ? walk_file_up(y, &s, from) : walk_file_down(y, &s, to);
}

static bool walk_one(struct gw_q *y, uint32_t i, uint32_t *last, bool has_index)
{
	const struct gw_q_file *f = &y->files[i];
	bool has_tail = !is_indexed(f) || f->state == GW_IS_ACTIVE;

	*last = i;
	if (is_outside(y, i))
		return true;
	if (!y->is_ascending && has_tail && !walk_part(y, i, false, i))
		return false;
	if (is_indexed(f)) {
		*last = join(y, i, y->is_ascending ? 1 : -1, has_index);
		if (!walk_part(y, i, true, *last))
			return false;
	}
	return !y->is_ascending || !has_tail || walk_part(y, i, false, i);
}

static void walk_all(struct gw_q *y)
{
	bool has_index = y->db && gw_q_has_index(y);
	uint64_t from, to;

	for (uint32_t k = 0; k < y->n_files && !gw_q_is_over(y) && !y->is_full;) {
		uint32_t i = y->is_ascending ? k : y->n_files - 1 - k, last = i;

		if (bounds(y, i, &from, &to) && !walk_one(y, i, &last, has_index))
			return;
		k += 1 + (last > i ? last - i : i - last);
	}
}

static void forget(struct gw_q *y)
{
	gw_q_index_close(y);
	gw_adm_segment_close(&y->bytes);
	free(y->files);
	y->files = NULL;
	y->n_files = 0;
}

void gw_q_walk(struct gw_q *y)
{
	bool may_index = y->want.cls == GW_SEG_REQUEST && !y->want.with_starts;

	for (int tries = 0; tries < 2; tries++) {
		bool was_bad = y->is_index_bad;

		if (!list_files(y)) {
			y->err = GW_E_NOMEM;
			break;
		}
		if (may_index && gw_q_index_open(y) && !gw_q_index_files(y))
			y->is_index_bad = true;
		else
			walk_all(y);
		forget(y);
		if (y->is_index_bad == was_bad) /* else once more, without it, from where it came to */
			break;
	}
}
