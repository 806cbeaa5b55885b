/* Removal of old segments, oldest first and one at a time (docs/adr/0013-retention.md): what is due by age or size is read whole, the removal
 * is recorded among the administrative acts and made durable, the tombstone is written, then the file goes. A crash in between leaves
 * either nothing done or a tombstone whose file is still there; the latter is finished here. Never removed: the newest files of a class,
 * one that somebody writes, one that is damaged, and one that the index has not read unless the disk is short. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "core/record.h"
#include "lib/json.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "logger/logger.h"
#include "shm/export.h"

enum { EACH_MS = 10000, SOON_MS = 500, ASK_EACH_MS = 2000, ASK_MS = 2000, RECORD_BYTES = 4096, PREV_AT = 40 };
#define DAY_US           (86400LL * 1000000)
#define ROOM_FOR_RESERVE (192ULL << 20)

/* --- what the operators want --- */
static void on_settings(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_logger *l = ctx;
	struct gw_lg_keep k = { .is_known = true };
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (err || m->status != 200 || gw_json_read(m->body, &gw_json_default_limits, &doc, &fault))
		return;
	yyjson_val *v = yyjson_doc_get_root(doc);

	k.days = yyjson_get_uint(gw_json_get(v, GW_LIT("trail_days"))); /* left out: 0 */
	k.max_bytes = yyjson_get_uint(gw_json_get(v, GW_LIT("trail_max_bytes")));
	k.admin_days = yyjson_get_uint(gw_json_get(v, GW_LIT("trail_admin_days")));
	l->retain.wanted = k;
	yyjson_doc_free(doc);
}

static void ask_settings(struct gw_logger *l)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	GW_MSG_SET(&m, name, GW_LIT("get"));
	GW_MSG_SET(&m, kind, GW_LIT("settings"));
	GW_MSG_SET(&m, body, GW_LIT("{\"id\":\"default\"}"));
	GW_MSG_SET(&m, actor,
		   GW_LIT("{\"key\":\"logger\",\"roles\":[{\"role\":\"viewer\",\"org\":\"\",\"team\":\"\"}]}"));
	if (gw_channel_ask(l->confd, &m, ASK_MS, on_settings, l) != GW_OK)
		gw_log_slow(GW_WARN, "confd does not take a question");
}

/* --- what is due (pool thread) --- */
static uint64_t created_ms(const struct gw_lg_found *f)
{
	size_t n = strlen(f->name), tail = 13 + 1 + 8 + 1 + 8 + 4; /* "1700000000000-0a1b2c3d-00000007.lga" */
	uint64_t ms = 0;

	return n > tail && gw_str_u64(gw_str(f->name + n - tail, 13), &ms) ? ms : UINT64_MAX;
}

static uint64_t bytes_of(int dir_fd, const struct gw_lg_found *f)
{
	struct stat st;

	return fstatat(dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* What the class's other segments continue: from their headers. */
static bool read_needed(struct gw_lg_retain *r, const struct gw_lg_found *v, size_t n, const struct gw_lg_found *but)
{
	free(r->needed);
	r->n_needed = 0;
	r->needed = calloc(n, 32);
	for (size_t i = 0; i < n && r->needed; i++) {
		int fd = v[i].cls == but->cls && &v[i] != but
			     ? openat(r->dir_fd, v[i].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
			     : -1;

		if (fd >= 0 && pread(fd, r->needed[r->n_needed], 32, PREV_AT) == 32)
			r->n_needed++;
		gw_close(&fd);
	}
	return r->needed != NULL;
}

static void read_tombstones(struct gw_lg_retain *r, enum gw_seg_class cls)
{
	gw_buf_clear(&r->old, GW_RETIRED_BYTES);
	r->err = gw_read_file(r->dir_fd, gw_retired_file(cls), &r->old);
	if (r->err == GW_E_NOT_FOUND)
		r->err = GW_OK;
}

/* Is the last tombstone of a file that is still there? Then that is what there is to do. */
static bool find_left(struct gw_lg_retain *r, const struct gw_lg_found *v, size_t n, enum gw_seg_class cls)
{
	struct gw_retired_reader at;
	struct gw_retired t = { 0 };
	const char *what;

	read_tombstones(r, cls);
	if (r->err || !r->old.n || gw_retired_open(&at, gw_buf_view(&r->old), cls, NULL, &what))
		return false;
	while (gw_retired_next(&at, &t))
		;
	for (size_t i = 0; i < n; i++)
		if (v[i].cls == cls && gw_str_eq(gw_str_z(v[i].name), t.name)) {
			r->due = v[i];
			r->due_bytes = bytes_of(r->dir_fd, &v[i]);
			r->has_due = r->is_left = true;
			return true;
		}
	return false;
}

static bool is_due(struct gw_lg_retain *r, const struct gw_lg_found *next, uint64_t class_bytes)
{
	bool is_request = next->cls == GW_SEG_REQUEST;
	uint64_t days = is_request ? r->keep.days : r->keep.admin_days, ended_ms = created_ms(next);
	int64_t from_us = r->now_us - (int64_t)days * DAY_US;

	r->why = GW_RETIRED_AGE;
	if (days && ended_ms < UINT64_MAX / 1000 && (int64_t)ended_ms * 1000 < from_us)
		return true;
	r->why = GW_RETIRED_SIZE;
	return is_request && r->keep.max_bytes && class_bytes > r->keep.max_bytes;
}

/* Its records may be younger than the next segment's beginning: two loggers write side by side during an upgrade. */
static bool is_old_enough(const struct gw_lg_retain *r, enum gw_seg_class cls)
{
	uint64_t days = cls == GW_SEG_REQUEST ? r->keep.days : r->keep.admin_days;

	return r->why != GW_RETIRED_AGE || r->exam.last_us < r->now_us - (int64_t)days * DAY_US;
}

static void note_damage(struct gw_lg_retain *r)
{
	memcpy(r->damaged, r->due.name, sizeof r->damaged);
	r->damage = r->exam.what;
}

static void look_at(struct gw_lg_retain *r, const struct gw_lg_found *v, size_t n, enum gw_seg_class cls)
{
	const struct gw_lg_found *oldest = NULL, *next = NULL;
	uint64_t bytes = 0, count = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i].cls != cls)
			continue;
		next = count == 1 ? &v[i] : next;
		oldest = oldest ? oldest : &v[i];
		bytes += bytes_of(r->dir_fd, &v[i]);
		count++;
	}
	r->bytes += bytes;
	r->n_files += count;
	if (oldest && cls == GW_SEG_REQUEST)
		r->oldest_us = (int64_t)created_ms(oldest) * 1000;
	if (r->has_due || find_left(r, v, n, cls) || count <= GW_LG_STOCK_FILES || !is_due(r, next, bytes))
		return;
	r->is_unread = cls == GW_SEG_REQUEST && (!r->unread_no || oldest->no >= r->unread_no);
	r->is_held = r->is_unread && !r->is_short;
	if (r->is_held || r->err || !read_needed(r, v, n, oldest))
		return;
	r->due = *oldest;
	r->due_bytes = bytes_of(r->dir_fd, oldest);
	gw_lg_examine(r->dir_fd, oldest, (const uint8_t(*)[32])r->needed, r->n_needed, &r->exam);
	if (r->exam.is_damaged)
		note_damage(r);
	r->has_due = !r->exam.is_busy && !r->exam.is_damaged && is_old_enough(r, cls);
}

void gw_lg_retain_scan(struct gw_lg_retain *r)
{
	struct statvfs fs;
	size_t n;
	struct gw_lg_found *v = gw_lg_list(r->dir_fd, &n);

	r->has_due = r->is_left = r->is_held = r->is_unread = r->has_reserve = false;
	r->bytes = r->n_files = 0;
	r->oldest_us = 0;
	r->damaged[0] = 0;
	r->err = GW_OK;
	r->free_bytes = fstatvfs(r->dir_fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	look_at(r, v, n, GW_SEG_REQUEST);
	look_at(r, v, n, GW_SEG_ADMIN);
	free(v);
	if (r->wants_reserve && r->free_bytes >= ROOM_FOR_RESERVE)
		r->has_reserve = gw_lg_make_reserve(r->dir_fd);
}

/* --- tombstone and unlink (pool thread) --- */
void gw_lg_retain_remove(struct gw_lg_retain *r)
{
	r->err = GW_OK;
	if (!r->is_left)
		r->err = gw_write_file(r->dir_fd, gw_retired_file(r->due.cls), gw_buf_view(&r->made), 0600);
	if (!r->err && unlinkat(r->dir_fd, r->due.name, 0) != 0 && errno != ENOENT)
		r->err = gw_err_from_errno(errno);
	if (!r->err)
		(void)fsync(r->dir_fd); /* not done: the file is back after a power cut, and goes again */
}

/* --- between them (loop): signatures --- */
static bool is_needed(void *ctx, const uint8_t hash[32])
{
	const struct gw_lg_retain *r = ctx;
	struct gw_retired_reader at;
	struct gw_retired t;
	const char *what;

	for (size_t i = 0; i < r->n_needed; i++)
		if (memcmp(r->needed[i], hash, 32) == 0)
			return true;
	if (memcmp(r->exam.info.prev_final_hash, hash, 32) == 0)
		return true;
	if (gw_retired_open(&at, gw_buf_view(&r->old), r->due.cls, NULL, &what))
		return false;
	while (gw_retired_next(&at, &t))
		if (memcmp(t.prev_hash, hash, 32) == 0)
			return true;
	return false;
}

static enum gw_err add_tombstone(struct gw_logger *l)
{
	struct gw_lg_retain *r = &l->retain;
	const struct gw_lg_exam *x = &r->exam;
	struct gw_retired t = { .n_segments = 1,
				.first_no = r->due.no,
				.last_no = r->due.no,
				.name = gw_str_z(r->due.name),
				.n_blocks = x->verdict.n_blocks,
				.n_records = x->verdict.n_records,
				.bytes = r->due_bytes,
				.first_us = x->first_us,
				.last_us = x->last_us,
				.retired_us = r->now_us,
				.why = r->why,
				.spend_nanousd = x->verdict.spend_nanousd,
				.n_links = x->n_links,
				.n_spans = x->n_spans,
				.link = x->links,
				.span = x->spans };

	memcpy(t.prev_hash, x->info.prev_final_hash, 32);
	memcpy(t.final_hash, x->verdict.final_hash, 32);
	return gw_retired_add(gw_buf_view(&r->old), r->due.cls, &t, l->signer, is_needed, r, &r->made);
}

bool gw_lg_retain_prepare(struct gw_logger *l)
{
	struct gw_lg_retain *r = &l->retain;
	struct gw_retired_reader at;
	const char *what;

	read_tombstones(r, r->due.cls);
	if (!r->err && r->old.n &&
	    gw_retired_open(&at, gw_buf_view(&r->old), r->due.cls, l->public_key, &what) != GW_OK) {
		gw_log_slow(GW_ERROR, "%s cannot be used (%s): no segment is removed, run `llmgwctl audit verify`",
			    gw_retired_file(r->due.cls), what);
		r->err = GW_E_CORRUPT;
	}
	if (r->err || r->is_left)
		return !r->err;
	if (r->exam.is_signed && !gw_verify(l->public_key, r->exam.signed_hash, r->exam.signature)) {
		r->exam.what = "signature";
		note_damage(r);
		return false;
	}
	r->err = add_tombstone(l);
	return !r->err;
}

/* --- its record --- */
static void put_after(struct gw_lg_retain *r, struct gw_buf *b)
{
	const struct gw_lg_exam *x = &r->exam;
	struct gw_json_out w;
	struct gw_buf hex;

	gw_jw_init(&w, b);
	gw_buf_init(&hex, 128);
	gw_hex_put(&hex, x->verdict.final_hash, 32);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "why", gw_str_z(gw_retired_why_name(r->why)));
	gw_jw_ku64(&w, "bytes", r->due_bytes);
	gw_jw_ku64(&w, "blocks", x->verdict.n_blocks);
	gw_jw_ku64(&w, "records", x->verdict.n_records);
	gw_jw_ku64(&w, "first_us", (uint64_t)x->first_us);
	gw_jw_ku64(&w, "last_us", (uint64_t)x->last_us);
	gw_jw_kstr(&w, "final_hash", gw_buf_view(&hex));
	gw_jw_kstr(&w, "index", r->is_unread ? GW_LIT("not read") : GW_LIT("read"));
	gw_jw_end_obj(&w);
	gw_buf_done(&hex);
}

/* Into the batch of the class admin. False: no room on the disk, tried again. */
static bool record(struct gw_logger *l)
{
	struct gw_lg_retain *r = &l->retain;
	struct gw_buf json, body;
	struct gw_admin_record a = { .ts_us = gw_unix_us(),
				     .actor = GW_LIT("system"),
				     .source = GW_LIT("logger"),
				     .act = GW_LIT("retire"),
				     .kind = GW_LIT("segment"),
				     .object = gw_str_z(r->due.name),
				     .status = 200 };
	struct gw_seg_record rec = {
		.slot = GW_LG_SLOT_SELF, .epoch = l->start.epoch, .type = GW_REC_ADMIN, .seq = r->seq + 1
	};
	bool ok;

	gw_buf_init(&json, RECORD_BYTES);
	gw_buf_init(&body, RECORD_BYTES);
	put_after(r, &json);
	a.after = gw_buf_view(&json);
	gw_admin_record_pack(&a, &body);
	rec.body = gw_buf_view(&body);
	ok = !json.err && !body.err && gw_lg_has_room(l, &l->admin_file, rec.body.n);
	if (ok) {
		gw_lg_add(l, &l->admin_file, &rec, a.ts_us, 0);
		r->seq++;
	}
	gw_buf_done(&json);
	gw_buf_done(&body);
	return ok;
}

/* --- steps --- */
static void tell(struct gw_lg_retain *r)
{
	gw_trail_set(r->page, GW_T_segments, r->n_files);
	gw_trail_set(r->page, GW_T_bytes, r->bytes);
	gw_trail_set(r->page, GW_T_free_bytes, r->free_bytes);
	gw_trail_set(r->page, GW_T_oldest, (uint64_t)r->oldest_us);
	gw_trail_set(r->page, GW_T_held, r->is_held);
	gw_trail_set(r->page, GW_T_damaged, r->damaged[0] != 0);
	if (r->is_held)
		gw_log_slow(GW_WARN,
			    "an old segment is due and stays: the index has not read it (llmgwctl index status)");
	if (r->damaged[0])
		gw_log_slow(GW_ERROR,
			    "%s is due and stays, because it is damaged (%s): run `llmgwctl audit verify`, "
			    "then move it away",
			    r->damaged, r->damage);
}

static void failed(struct gw_lg_retain *r)
{
	gw_trail_add(r->page, GW_T_errors, 1);
	gw_log_slow(GW_ERROR, "%s cannot be removed: %s", r->due.name, gw_err_info(r->err)->doc);
}

static void on_scan(uv_work_t *w)
{
	gw_lg_retain_scan(w->data);
}

static void on_remove(uv_work_t *w)
{
	gw_lg_retain_remove(w->data);
}

static void rest(struct gw_logger *l, uint64_t ms)
{
	l->retain.step = GW_LG_REST;
	l->retain.next_ms = gw_now_ms() + ms;
	if (l->is_stopping)
		uv_stop(&l->loop);
}

static void after_remove(uv_work_t *w, int status)
{
	struct gw_lg_retain *r = w->data;
	struct gw_logger *l = (struct gw_logger *)((char *)r - offsetof(struct gw_logger, retain));

	(void)status;
	r->is_working = false;
	if (r->err) {
		failed(r);
		rest(l, EACH_MS);
		return;
	}
	gw_trail_add(r->page, GW_T_retired, 1);
	gw_trail_add(r->page, GW_T_retired_bytes, r->due_bytes);
	gw_trail_add(r->page, GW_T_retired_unread, r->is_unread && !r->is_left);
	gw_log(GW_INFO, "removed %s (%s)", r->due.name,
	       r->is_left ? "its tombstone stood already" : gw_retired_why_name(r->why));
	rest(l, SOON_MS); /* another may be due */
}

static void begin(struct gw_logger *l, enum gw_lg_retain_step step, uv_work_cb fn, uv_after_work_cb after)
{
	struct gw_lg_retain *r = &l->retain;

	r->work.data = r;
	r->step = step;
	r->is_working = uv_queue_work(&l->loop, &r->work, fn, after) == 0;
	if (!r->is_working)
		rest(l, EACH_MS);
}

static void after_scan(uv_work_t *w, int status)
{
	struct gw_lg_retain *r = w->data;
	struct gw_logger *l = (struct gw_logger *)((char *)r - offsetof(struct gw_logger, retain));

	(void)status;
	r->is_working = false;
	l->has_reserve |= r->has_reserve;
	if (r->has_reserve)
		gw_log(GW_INFO, "the disk has room again: the reserve of 64 MiB stands");
	gw_trail_set(r->page, GW_T_is_short, !l->has_reserve);
	bool goes_on = r->has_due && !l->is_stopping && !l->is_draining && gw_lg_retain_prepare(l);

	tell(r);
	if (r->err)
		failed(r);
	if (!goes_on)
		rest(l, EACH_MS);
	else if (r->is_left)
		begin(l, GW_LG_REMOVE, on_remove, after_remove);
	else if (record(l))
		r->step = GW_LG_RECORD;
	else
		rest(l, EACH_MS);
}

/* What lives as long as the process. */
static bool is_set_up(struct gw_logger *l)
{
	struct gw_lg_retain *r = &l->retain;

	if (!r->made.max) {
		gw_buf_init(&r->made, GW_RETIRED_BYTES);
		gw_buf_init(&r->old, GW_RETIRED_BYTES);
		r->lock_fd = openat(l->dir_fd, "retire.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (gw_trail_open(l->start.boot.runtime_dir, true, &r->page))
			r->page = NULL;
	}
	if (!r->has_lock)
		r->has_lock = r->lock_fd >= 0 && !gw_lg_is_written_by_another(r->lock_fd);
	return r->has_lock;
}

static void begin_scan(struct gw_logger *l)
{
	struct gw_lg_retain *r = &l->retain;

	if (!is_set_up(l)) {
		rest(l, EACH_MS);
		return;
	}
	if (!r->index && gw_export_open(l->start.boot.runtime_dir, false, &r->index) != GW_OK)
		r->index = NULL; /* the exporter makes it */
	r->keep = r->wanted;
	r->dir_fd = l->dir_fd;
	r->now_us = gw_unix_us();
	r->unread_no = r->index ? atomic_load(&r->index->metric[GW_X_unread_segment]) : 0;
	r->is_short = r->wants_reserve = !l->has_reserve;
	begin(l, GW_LG_SCAN, on_scan, after_scan);
}

void gw_lg_retain(struct gw_logger *l)
{
	struct gw_lg_retain *r = &l->retain;
	uint64_t now = gw_now_ms();

	if (r->is_working || l->is_draining || l->is_stopping || !l->signer)
		return;
	if (l->confd && now - r->asked_ms >= ASK_EACH_MS) {
		r->asked_ms = now;
		ask_settings(l);
	}
	if (r->step == GW_LG_RECORD && !l->admin_file.n_frames) /* its record is durable */
		begin(l, GW_LG_REMOVE, on_remove, after_remove);
	else if (r->step == GW_LG_REST && r->wanted.is_known && now >= r->next_ms)
		begin_scan(l);
}
