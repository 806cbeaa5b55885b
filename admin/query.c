/* GET logs: newest first, by time range, filters and text. Runs in a pool thread, bounded in time, bytes and rows; when a bound is met the
 * answer says so and where to go on (next). */
#include <stdlib.h>
#include "admin/query.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/text.h"
#include "lib/url.h"

enum {
	ROWS_MAX = 10000,
	ROWS_DEFAULT = 100,
	BYTES_MAX = 32 << 20,
	QUERIES_MAX = 4,
	TIME_MS = 2000,
	FILTERS_MAX = 32,
	TEXT_MAX = 200
};

struct query {
	uv_work_t work;
	struct gw_adm_req *q;
	struct gw_admin *ad;
	struct gw_arena arena; /* filter and limits: the request may go away */
	struct gw_q walk;
};

/* --- in the pool thread --- */
static bool tell(struct gw_q *y, const struct gw_seg_record *rec)
{
	size_t before = y->out.n;

	if (y->n_out)
		gw_buf_putc(&y->out, ',');
	if (gw_adm_record_json(&y->want, rec, &y->out))
		y->n_out++;
	else
		y->out.n = before;
	return y->n_out < y->limit && !y->out.err;
}

static void run_query(uv_work_t *work)
{
	struct query *y = work->data;

	gw_q_walk(&y->walk);
}

/* --- on the loop --- */
static void answer(struct query *y)
{
	struct gw_q *w = &y->walk;
	struct gw_buf b;

	gw_buf_init(&b, BYTES_MAX + (2 << 20));
	gw_buf_puts(&b, GW_LIT("{\"items\":["));
	gw_buf_puts(&b, gw_buf_view(&w->out));
	gw_buf_puts(&b, w->is_cut ? GW_LIT("],\"complete\":false") : GW_LIT("],\"complete\":true"));
	if ((w->is_cut || w->is_full) && w->at.name[0]) {
		gw_buf_puts(&b, GW_LIT(",\"next\":\""));
		gw_q_pos_put(&b, &w->at);
		gw_buf_putc(&b, '"');
	}
	gw_buf_putc(&b, '}');
	if (w->err || w->out.err || b.err)
		gw_adm_fail(y->q, w->err ? w->err : GW_E_NOMEM, GW_NIL);
	else
		gw_adm_answer(y->q, 200, GW_LIT("application/json"), gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}

void gw_q_report_bad_index(struct gw_admin *ad)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	GW_MSG_SET(&m, name, GW_LIT("index-check"));
	ad->n_index_faults++;
	if (ad->exporter && gw_channel_send(ad->exporter, &m) != GW_OK)
		gw_log_slow(GW_WARN, "the exporter cannot be told that the index is damaged");
}

static void after_query(uv_work_t *work, int status)
{
	struct query *y = work->data;

	(void)status;
	y->ad->n_queries--;
	if (y->walk.is_index_bad)
		gw_q_report_bad_index(y->ad);
	answer(y); /* ends the request, also when the client is gone */
	gw_buf_done(&y->walk.out);
	gw_arena_done(&y->arena);
	free(y);
}

/* "2026-01-02T03:04:05Z", or "15m" ago. */
bool gw_q_read_time(struct gw_str s, int64_t *out)
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
	if (gw_adm_param(q, "text", &v)) {
		w->text = gw_arena_str(a, v);
		if (!v.n || v.n > TEXT_MAX || w->cls == GW_SEG_ADMIN) {
			*why = GW_LIT("text: up to 200 bytes, to be found in the error of a request");
			return GW_E_INVALID;
		}
	}
	if (gw_adm_param(q, "starts", &v))
		w->with_starts = gw_str_eq(v, GW_LIT("true"));
	if (gw_adm_param(q, "class", &v) && w->cls != GW_SEG_ADMIN && !gw_str_eq(v, GW_LIT("request"))) {
		*why = GW_LIT("class: request or admin");
		return GW_E_INVALID;
	}
	if ((gw_adm_param(q, "from", &v) && !gw_q_read_time(v, &w->from_us)) ||
	    (gw_adm_param(q, "to", &v) && !gw_q_read_time(v, &w->to_us))) {
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

enum gw_err gw_q_read(struct gw_adm_req *q, struct gw_arena *a, struct gw_q *y, struct gw_str *why)
{
	struct gw_str v;
	enum gw_err e = gw_adm_want_read(q, a, &y->want, why);

	memcpy(y->segments, q->ad->segments, sizeof y->segments);
	snprintf(y->index, sizeof y->index, "%s", q->ad->index);
	if (!e && gw_adm_param(q, "after", &v) && !gw_q_pos_read(v, y->want.cls, &y->at)) {
		*why = GW_LIT("after: give the \"next\" of an answer to the same query");
		return GW_E_INVALID;
	}
	return e;
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
	*y = (struct query){ .q = q, .ad = q->ad };
	y->walk = (struct gw_q){
		.limit = ROWS_DEFAULT, .until_ms = gw_now_ms() + TIME_MS, .max_bytes = BYTES_MAX, .fn = tell
	};
	gw_arena_init(&y->arena, NULL, 0, 64 << 10);
	gw_buf_init(&y->walk.out, BYTES_MAX + (1 << 20));
	e = gw_q_read(q, &y->arena, &y->walk, &why);
	if (!e && gw_adm_param(q, "limit", &v) &&
	    (!gw_str_u64(v, &y->walk.limit) || !y->walk.limit || y->walk.limit > ROWS_MAX)) {
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
	gw_buf_done(&y->walk.out);
	free(y);
}
