/* GET logs: newest first, by time range and filters, straight from the segments. Runs in a pool thread, bounded in time, bytes and rows;
 * when the bound is met the answer says how far it came. */
#include <stdlib.h>
#include "admin/admin.h"
#include "admin/segments.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/text.h"
#include "lib/url.h"

enum { ROWS_MAX = 10000, ROWS_DEFAULT = 100, BYTES_MAX = 32 << 20, QUERIES_MAX = 4, TIME_MS = 2000, FILTERS_MAX = 32 };

struct query {
	uv_work_t work;
	struct gw_adm_req *q;
	struct gw_admin *ad;
	struct gw_adm_want want;
	struct gw_arena arena; /* filter and limits: the request may go away */
	char dir[512];
	uint64_t limit, began_ms;
	bool is_cut;
	struct gw_buf *rows; /* ring of the newest `limit` of one file, and one to try the next record in */
	struct gw_buf out;
	uint64_t n_out;
	enum gw_err err;
};

/* --- in the pool thread --- */
static bool is_over(struct query *y)
{
	if (gw_now_ms() - y->began_ms > TIME_MS || y->out.n > BYTES_MAX)
		y->is_cut = true;
	return y->is_cut;
}

/* The file's matches, the newest `room` of them, appended newest first. */
static void read_file(struct query *y, const char *name)
{
	uint64_t room = y->limit - y->n_out, n = 0;
	struct gw_buf *next = &y->rows[y->limit];
	struct gw_str bytes = GW_NIL;
	struct gw_seg_reader r;
	struct gw_seg_record rec;

	if (gw_adm_segment_open(y->dir, name, &bytes))
		return;
	if (gw_seg_open(&r, bytes) == GW_OK) {
		gw_seg_skip_to(&r, y->want.from_us);
		for (uint64_t k = 0; gw_seg_next(&r, false, &rec); k++) {
			if (k % 1024 == 0 && is_over(y))
				break;
			gw_buf_clear(next, 64 << 10);
			if (!gw_adm_record_json(&y->want, &rec, next))
				continue;
			struct gw_buf *row = &y->rows[n++ % room], oldest = *row;

			*row = *next;
			*next = oldest;
		}
	}
	gw_adm_segment_close(&bytes);
	uint64_t have = n < room ? n : room;
	for (uint64_t i = 0; i < have; i++) {
		if (y->n_out++)
			gw_buf_putc(&y->out, ',');
		gw_buf_puts(&y->out, gw_buf_view(&y->rows[(n - 1 - i) % room]));
	}
}

static void run_query(uv_work_t *work)
{
	struct query *y = work->data;
	struct gw_adm_segments files;

	y->rows = calloc(y->limit + 1, sizeof *y->rows);
	if (!y->rows || gw_adm_segments_list(y->dir, y->want.cls, &files)) {
		y->err = y->rows ? GW_E_IO : GW_E_NOMEM;
		return;
	}
	for (uint64_t i = 0; i <= y->limit; i++)
		gw_buf_init(&y->rows[i], 64 << 10);
	for (size_t i = files.n; i-- > 0 && y->n_out < y->limit && !is_over(y);)
		read_file(y, files.v[i].name);
	gw_adm_segments_free(&files);
	for (uint64_t i = 0; i <= y->limit; i++)
		gw_buf_done(&y->rows[i]);
}

/* --- on the loop --- */
static void answer(struct query *y)
{
	struct gw_buf b;

	gw_buf_init(&b, BYTES_MAX + (1 << 20));
	gw_buf_puts(&b, GW_LIT("{\"items\":["));
	gw_buf_puts(&b, gw_buf_view(&y->out));
	gw_buf_puts(&b, y->is_cut ? GW_LIT("],\"complete\":false}") : GW_LIT("],\"complete\":true}"));
	if (y->err || y->out.err || b.err)
		gw_adm_fail(y->q, y->err ? y->err : GW_E_NOMEM, GW_NIL);
	else
		gw_adm_answer(y->q, 200, GW_LIT("application/json"), gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}

static void after_query(uv_work_t *work, int status)
{
	struct query *y = work->data;

	(void)status;
	y->ad->n_queries--;
	answer(y); /* ends the request, also when the client is gone */
	gw_buf_done(&y->out);
	gw_arena_done(&y->arena);
	free(y->rows);
	free(y);
}

/* "2026-01-02T03:04:05Z", or "15m" ago. */
static bool read_time(struct gw_str s, int64_t *out)
{
	uint64_t ms;

	if (gw_time_read(s, out))
		return true;
	if (!gw_duration_read(s, &ms))
		return false;
	*out = gw_unix_us() - (int64_t)ms * 1000;
	return true;
}

static enum gw_err read_filters(struct gw_adm_req *q, struct gw_arena *a, struct gw_adm_want *want, struct gw_str *why)
{
	struct gw_str terms[FILTERS_MAX], rest = q->rq->query, one, name, value;
	unsigned n = 0;

	while (rest.n) {
		if (!gw_str_cut(rest, '&', &one, &rest))
			rest = GW_NIL;
		if (!gw_str_cut(one, '=', &name, &value) || !gw_str_eq(name, GW_LIT("filter")))
			continue;
		if (n == FILTERS_MAX) {
			*why = GW_LIT("filter: at most 32 of them");
			return GW_E_INVALID;
		}
		struct gw_buf b;
		gw_buf_init(&b, 4096);
		if (!gw_url_decode(&b, value) || b.err) {
			gw_buf_done(&b);
			*why = GW_LIT("filter: cannot be decoded");
			return GW_E_INVALID;
		}
		terms[n++] = gw_arena_str(a, gw_buf_view(&b));
		gw_buf_done(&b);
	}
	if (!n)
		return GW_OK;
	return want->cls == GW_SEG_ADMIN ? gw_admin_filter_parse(a, terms, n, &want->filter, why)
					 : gw_record_filter_parse(a, terms, n, &want->filter, why);
}

/* What the caller may see: its widest grant decides. */
enum gw_err gw_adm_want_read(struct gw_adm_req *q, struct gw_arena *a, struct gw_adm_want *w, struct gw_str *why)
{
	const struct gw_adm_grant *g = gw_adm_widest(&q->who, q->route->roles);
	struct gw_str v;

	*w = (struct gw_adm_want){ .cls = GW_SEG_REQUEST, .from_us = 0, .to_us = INT64_MAX };
	w->org = gw_arena_str(a, g->org);
	w->team = gw_arena_str(a, g->team);
	if (gw_adm_param(q, "class", &v) && gw_str_eq(v, GW_LIT("admin"))) {
		w->cls = GW_SEG_ADMIN;
		if (w->org.n || !gw_adm_widest(&q->who, GW_ADM_P | GW_ADM_A)) {
			*why = GW_LIT("The admin trail is for platform-admin and auditor.");
			return GW_E_FORBIDDEN;
		}
	}
	if (gw_adm_param(q, "starts", &v))
		w->with_starts = gw_str_eq(v, GW_LIT("true"));
	if ((gw_adm_param(q, "from", &v) && !read_time(v, &w->from_us)) ||
	    (gw_adm_param(q, "to", &v) && !read_time(v, &w->to_us))) {
		*why = GW_LIT("from, to: give a time like 2026-01-02T03:04:05Z, or a span like 15m");
		return GW_E_INVALID;
	}
	if (g->role == GW_ADM_M) {
		struct gw_json_span user = { 0 };
		const struct gw_json_want want = { GW_LIT("user"), &user };

		gw_json_members(q->who.json, (struct gw_json_span){ 0, q->who.json.n, GW_JSON_OBJ }, &want, 1);
		w->user =
		    user.type == GW_JSON_STR ? gw_json_unescape(a, gw_str(q->who.json.p + user.off, user.len)) : GW_NIL;
		if (!w->user.n)
			return GW_E_FORBIDDEN;
	}
	return read_filters(q, a, w, why);
}

void gw_adm_logs(struct gw_adm_req *q)
{
	struct query *y = q->ad->n_queries < QUERIES_MAX ? calloc(1, sizeof *y) : NULL;
	struct gw_str v, why = GW_NIL;
	enum gw_err e;

	if (!y) {
		gw_adm_fail(q, GW_E_BUSY, GW_LIT("Too many log queries at once; try again in a moment."));
		return;
	}
	*y = (struct query){ .q = q, .ad = q->ad, .limit = ROWS_DEFAULT, .began_ms = gw_now_ms() };
	gw_arena_init(&y->arena, NULL, 0, 64 << 10);
	gw_buf_init(&y->out, BYTES_MAX + (1 << 20));
	memcpy(y->dir, q->ad->segments, sizeof y->dir);
	e = gw_adm_want_read(q, &y->arena, &y->want, &why);
	if (!e && gw_adm_param(q, "limit", &v) && (!gw_str_u64(v, &y->limit) || !y->limit || y->limit > ROWS_MAX)) {
		e = GW_E_INVALID;
		why = GW_LIT("limit: give a number from 1 to 10000");
	}
	if (!e) {
		y->work.data = y;
		e = uv_queue_work(&q->ad->loop, &y->work, run_query, after_query) == 0 ? GW_OK : GW_E_BUSY;
	}
	if (!e) {
		q->ad->n_queries++;
		return;
	}
	gw_adm_fail(q, e, why);
	gw_arena_done(&y->arena);
	gw_buf_done(&y->out);
	free(y);
}
