/* Segments with a cursor each: found by name, read in windows with pread (a file may be cut while it is read), never written. A block
 * counts when it is on the disk: the file is synced before what was read from it is committed, and the failure of that undoes the
 * batch. Several files may grow at once (two loggers during an upgrade). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/exporter.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"

enum { FRAME_HEAD = 24, FIRST_WINDOW = 64 << 10 };
/* A logger begins a new file after an hour; nothing but a footer comes to an older one. */
#define SETTLED_US (3900LL * 1000000)

static int by_no(const void *a, const void *b)
{
	const struct gw_ex_seg *x = a, *y = b;

	if (x->no != y->no)
		return x->no < y->no ? -1 : 1;
	return strcmp(x->name, y->name); /* time of making comes first in it */
}

/* "seg-request-1700000000000-0a1b2c3d-00000007.lga" */
static bool read_name(const char *name, struct gw_ex_seg *s)
{
	struct gw_str t = gw_str_z(name), prefix = GW_LIT("seg-request-");
	uint64_t created;

	*s = (struct gw_ex_seg){ .offset = GW_SEG_HEADER_BYTES, .is_new = true };
	if (t.n != prefix.n + 13 + 1 + 8 + 1 + 8 + 4 || !gw_str_has_prefix(t, prefix) ||
	    !gw_str_eq(gw_str_skip(t, t.n - 4), GW_LIT(".lga")) || !gw_str_u64(gw_str(t.p + prefix.n, 13), &created) ||
	    !gw_str_u64(gw_str(t.p + t.n - 12, 8), &s->no))
		return false;
	memcpy(s->name, name, t.n + 1);
	s->created_ms = (int64_t)created;
	return true;
}

static struct gw_ex_seg *add_seg(struct gw_ix *ix)
{
	if (ix->n_segs == ix->cap_segs) {
		uint32_t cap = ix->cap_segs ? ix->cap_segs * 2 : 64;
		struct gw_ex_seg *v = realloc(ix->segs, cap * sizeof *v);

		if (!v)
			return NULL;
		ix->segs = v;
		ix->cap_segs = cap;
	}
	return &ix->segs[ix->n_segs++];
}

bool gw_ix_segs_load(struct gw_ix *ix)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(
	    ix->db, "SELECT name, id, offset, block_no, hash, state, rows, min_us, max_us FROM seg", -1, &q, NULL);

	ix->n_segs = 0;
	while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct gw_ex_seg s, *at;

		if (!read_name((const char *)sqlite3_column_text(q, 0), &s) || sqlite3_column_bytes(q, 4) != 32 ||
		    !(at = add_seg(ix)))
			break;
		s.is_new = false;
		s.id = (uint32_t)sqlite3_column_int64(q, 1);
		s.offset = (uint64_t)sqlite3_column_int64(q, 2);
		s.block_no = (uint64_t)sqlite3_column_int64(q, 3);
		memcpy(s.hash, sqlite3_column_blob(q, 4), 32);
		s.state = (enum gw_iseg_state)sqlite3_column_int(q, 5);
		s.rows = (uint64_t)sqlite3_column_int64(q, 6);
		s.min_us = sqlite3_column_int64(q, 7);
		s.max_us = sqlite3_column_int64(q, 8);
		*at = s;
		rc = SQLITE_OK;
	}
	sqlite3_finalize(q);
	if (ix->n_segs)
		qsort(ix->segs, ix->n_segs, sizeof *ix->segs, by_no);
	return rc == SQLITE_DONE;
}

/* --- finding --- */
static struct gw_ex_seg *find(struct gw_ix *ix, uint32_t n, const struct gw_ex_seg *s)
{
	return n ? bsearch(s, ix->segs, n, sizeof *ix->segs, by_no) : NULL;
}

/* Made before the next one began, so all of it is older than that. */
static void pass_over_old(struct gw_ix *ix)
{
	for (uint32_t i = 0; i + 1 < ix->n_segs; i++) {
		struct gw_ex_seg *s = &ix->segs[i];
		int64_t end_us = ix->segs[i + 1].created_ms * 1000 + SETTLED_US;

		if (s->is_new && end_us < ix->coverage_us) {
			s->state = GW_IS_EXPIRED;
			s->is_dirty = true;
		}
	}
}

static bool discover(struct gw_ix *ix)
{
	uint32_t known = ix->n_segs, next_id = 0;
	struct gw_ex_seg one, *at;
	struct stat st;
	DIR *d;

	if (stat(ix->segments, &st) != 0)
		return true; /* the logger makes it */
	int64_t changed = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (changed == ix->listed_ns)
		return true;
	for (uint32_t i = 0; i < known; i++)
		next_id = ix->segs[i].id > next_id ? ix->segs[i].id : next_id;
	d = opendir(ix->segments);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!read_name(e->d_name, &one) || find(ix, known, &one))
			continue;
		if (!(at = add_seg(ix)))
			break;
		*at = one;
	}
	if (!d)
		return true;
	closedir(d);
	ix->listed_ns = changed;
	if (ix->n_segs == known)
		return true;
	qsort(ix->segs, ix->n_segs, sizeof *ix->segs, by_no);
	for (uint32_t i = 0; i < ix->n_segs; i++) /* numbers rise with age, so that newer rows have higher positions */
		if (ix->segs[i].is_new && !ix->segs[i].id) {
			ix->segs[i].id = ++next_id;
			ix->segs[i].is_dirty = true;
		}
	pass_over_old(ix);
	return true;
}

/* --- reading --- */
static bool read_header(struct gw_ex_seg *s, int fd)
{
	char head[GW_SEG_HEADER_BYTES];
	struct gw_seg_reader r;

	if (pread(fd, head, sizeof head, 0) != sizeof head || gw_seg_open(&r, gw_str(head, sizeof head)) != GW_OK)
		return false;
	memcpy(s->hash, r.hash, 32);
	return true;
}

/* Is there a block behind the cursor? */
static bool has_more(int fd, const struct gw_ex_seg *s)
{
	char magic[4] = { 0 };

	return pread(fd, magic, 4, (off_t)s->offset) == 4 && memcmp(magic, "LGWB", 4) == 0;
}

static bool is_over(const struct gw_ix *ix, uint64_t until_ms)
{
	return ix->n_items >= GW_EX_BATCH || gw_now_ms() >= until_ms;
}

struct reading {
	uint64_t until_ms;
	size_t want; /* bytes of the next window */
	bool has_failed, is_cut; /* SQLite did; stopped by batch or time */
};

/* Whole blocks of one window. Returns true when another window may bring more. */
static bool read_window(struct gw_ix *ix, struct gw_ex_seg *s, int fd, struct reading *rd)
{
	ssize_t n = pread(fd, ix->window, rd->want, (off_t)s->offset);
	struct gw_seg_reader r = { .block_no = s->block_no, .last_us = ix->last_us };
	struct gw_seg_record rec;
	bool is_whole = n > 0 && (size_t)n == rd->want;

	if (n <= 0)
		return false;
	r.bytes = gw_str(ix->window, (size_t)n);
	memcpy(r.hash, s->hash, 32);
	while (!rd->has_failed) {
		rd->is_cut = r.frames.n == 0 && is_over(ix, rd->until_ms);
		if (rd->is_cut || !gw_seg_next(&r, false, &rec))
			break;
		uint64_t at = s->offset + (uint64_t)(rec.body.p - ix->window) - FRAME_HEAD;
		rd->has_failed = !gw_ix_take(ix, s, at, &rec);
	}
	if (rd->has_failed || !gw_ix_take_rest(ix, s)) {
		rd->has_failed = true;
		return false;
	}
	if (r.at) {
		s->is_dirty = true;
		s->offset += r.at;
		s->block_no = r.block_no;
		memcpy(s->hash, r.hash, 32);
		ix->last_us = r.last_us;
		ix->count[GW_X_bytes_read] += r.at;
	}
	if (r.saw_footer)
		s->state = GW_IS_DONE;
	if (rd->is_cut || r.saw_footer)
		return false;
	if (r.err && !is_whole)
		s->is_bad = true; /* half written, or damaged: time will tell */
	bool may_be_torn = r.err && is_whole && (r.at || rd->want < GW_EX_WINDOW);
	s->is_bad |= r.err && is_whole && !may_be_torn;
	rd->want = GW_EX_WINDOW;
	return may_be_torn || (r.is_end && r.at == (size_t)n && is_whole);
}

static void settle(struct gw_ix *ix, struct gw_ex_seg *s, int64_t unix_us)
{
	if (s->created_ms * 1000 + SETTLED_US > unix_us)
		return;
	if (s->is_bad) {
		ix->count[GW_X_errors]++;
		gw_log(GW_ERROR, "index: %s cannot be read on from byte %llu; `llmgwctl audit verify` says why",
		       s->name, (unsigned long long)s->offset);
	}
	s->state = GW_IS_DONE;
	s->is_dirty = true;
}

/* One file, as far as it goes. False: undo all. */
static bool read_seg(struct gw_ix *ix, struct gw_ex_seg *s, struct reading *rd, int64_t unix_us)
{
	char path[640];
	uint64_t before = s->offset;
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/%s", ix->segments, s->name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		if (errno == ENOENT) {
			s->state = GW_IS_DONE;
			s->is_dirty = true;
		}
		return true;
	}
	s->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	s->is_bad = s->block_no == 0 && !read_header(s, fd);
	if (s->is_bad || !has_more(fd, s)) {
		settle(ix, s, unix_us);
		gw_close(&fd);
		return true;
	}
	if (!ix->is_begun && !gw_ix_begin(ix)) {
		gw_close(&fd);
		return false;
	}
	rd->want = FIRST_WINDOW;
	while (read_window(ix, s, fd, rd))
		;
	if (!rd->has_failed && s->offset != before && fdatasync(fd) != 0) {
		snprintf(ix->why, sizeof ix->why, "%s cannot be synced: %s", s->name, strerror(errno));
		rd->has_failed = true;
	}
	if (!rd->is_cut && s->state == GW_IS_ACTIVE)
		settle(ix, s, unix_us);
	gw_close(&fd);
	return !rd->has_failed;
}

/* --- the transaction --- */
static bool save_seg(struct gw_ix *ix, struct gw_ex_seg *s)
{
	sqlite3_stmt *q = gw_ix_stmt(ix, s->is_new ? GW_EX_S_SEG_NEW : GW_EX_S_SEG_SAVE);
	int at = 1;

	if (s->is_new) {
		sqlite3_bind_int64(q, at++, s->id);
		sqlite3_bind_text(q, at++, s->name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(q, at++, (int64_t)s->no);
		sqlite3_bind_int64(q, at++, s->created_ms);
	}
	sqlite3_bind_int64(q, at++, (int64_t)s->offset);
	sqlite3_bind_int64(q, at++, (int64_t)s->block_no);
	sqlite3_bind_blob(q, at++, s->hash, 32, SQLITE_STATIC);
	sqlite3_bind_int(q, at++, (int)s->state);
	sqlite3_bind_int64(q, at++, (int64_t)s->rows);
	sqlite3_bind_int64(q, at++, s->min_us);
	sqlite3_bind_int64(q, at++, s->max_us);
	if (!s->is_new)
		sqlite3_bind_int64(q, at, s->id);
	if (sqlite3_step(q) != SQLITE_DONE)
		return false;
	s->is_new = s->is_dirty = false;
	return true;
}

static bool finish(struct gw_ix *ix, bool is_all)
{
	bool was = ix->is_caught_up;
	bool any = ix->is_begun || (is_all && !was);

	for (uint32_t i = 0; i < ix->n_segs && !any; i++)
		any = ix->segs[i].is_dirty;
	if (!any)
		return true;
	if (!ix->is_begun && !gw_ix_begin(ix))
		return false;
	for (uint32_t i = 0; i < ix->n_segs; i++)
		if (ix->segs[i].is_dirty && !save_seg(ix, &ix->segs[i]))
			return false;
	ix->is_caught_up |= is_all;
	return gw_ix_roll(ix) && gw_ix_meta(ix, "rows", (int64_t)ix->total_rows) &&
	       (was || !is_all || gw_ix_meta(ix, "caught_up", 1)) && gw_ix_commit(ix);
}

enum gw_ex_result gw_ix_step(struct gw_ix *ix, int64_t unix_us)
{
	struct reading rd = { .until_ms = gw_now_ms() + GW_EX_TURN_MS };

	ix->dims.today = (uint32_t)(unix_us / 86400000000LL);
	ix->why[0] = 0;
	if (!discover(ix))
		return gw_ix_fail(ix, "cannot list the segments");
	for (uint32_t i = 0; i < ix->n_segs && !rd.is_cut; i++) {
		struct gw_ex_seg *s = &ix->segs[i];

		if (s->state == GW_IS_ACTIVE && !read_seg(ix, s, &rd, unix_us))
			return ix->why[0] ? GW_EX_FULL : gw_ix_fail(ix, "cannot write the index");
	}
	if (!finish(ix, !rd.is_cut))
		return gw_ix_fail(ix, "cannot write the index");
	return rd.is_cut ? GW_EX_MORE : GW_EX_IDLE;
}

uint64_t gw_ix_read_bytes(const struct gw_ix *ix)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ix->n_segs; i++)
		if (ix->segs[i].state != GW_IS_EXPIRED)
			sum += ix->segs[i].offset;
	return sum;
}

uint64_t gw_ix_behind(const struct gw_ix *ix)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i + 1 < ix->n_segs; i++) {
		const struct gw_ex_seg *s = &ix->segs[i];

		if (s->state == GW_IS_ACTIVE && s->size > s->offset + GW_SEG_HEADER_BYTES)
			sum += s->size - s->offset;
	}
	return sum;
}
