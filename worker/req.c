/* A request's birth, its end, and the few moves that all steps share. */
#include "worker/api.h"
#include "worker/home.h"
#include "worker/talk.h"
#include <malloc.h>
#include <stdlib.h>
#include "lib/sys/clock.h"

/* KEEP: requests that stay in the pool in quiet times. A peak of fewer than TRIM_FROM is not worth giving back. */
enum { POOL_MAX = 1024, PICKS_MAX = 256, KEEP = 16, TRIM_FROM = 64, TRIM_AFTER_S = 3 };

static void list_add(struct gw_worker *w, struct gw_req *r)
{
	r->prev = NULL;
	r->next = w->active;
	if (w->active)
		w->active->prev = r;
	w->active = r;
	r->is_listed = true;
	w->n_active++;
}

static void list_remove(struct gw_worker *w, struct gw_req *r)
{
	if (!r->is_listed)
		return;
	if (r->prev)
		r->prev->next = r->next;
	else
		w->active = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->is_listed = false;
	w->n_active--;
}

static struct gw_req *take(struct gw_worker *w)
{
	struct gw_req *r = w->pool;

	if (r) {
		w->pool = r->next;
		w->n_pool--;
		/* all but the buffers' memory and the block itself */
		struct gw_buf held = r->held, log = r->attempt_log;

		memset(r, 0, offsetof(struct gw_req, first_block));
		r->held = held;
		r->attempt_log = log;
		return r;
	}
	r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	gw_buf_init(&r->held, GW_HELD_REPLY_MAX + (64 << 10));
	gw_buf_init(&r->attempt_log, 4096);
	return r;
}

struct gw_req *gw_req_new(struct gw_worker *w, struct gw_h1_conn *conn, const struct gw_h1_request *rq,
			  const struct gw_endpoint_info *ep)
{
	struct gw_req *r = take(w);
	uint8_t random[10];

	if (!r)
		return NULL;
	gw_arena_init(&r->arena, r->first_block, sizeof r->first_block, GW_REQ_ARENA_MAX);
	r->w = w;
	r->conn = conn;
	r->rq = rq;
	r->endpoint = ep;
	r->values = w->event_picks.values;
	r->step = GW_STEP_parse;
	r->is_timed = w->limits.server_timing || w->n_begun++ % GW_TIMED_EVERY == 0;
	r->first_byte_ns = rq->first_byte_ns;
	r->stamped_ns = gw_recent_ns();
	r->rq_done_ns = rq->body_done_ns ? rq->body_done_ns : rq->head_done_ns;
	r->is_http10 = rq->is_http10;
	r->body = rq->body;
	r->inflight = -1;
	r->at.candidate = -1;
	for (unsigned i = 0; i < sizeof random; i += 8) { /* ids need to differ, not to be unguessable */
		w->rng ^= w->rng << 13;
		w->rng ^= w->rng >> 7;
		w->rng ^= w->rng << 17;
		memcpy(random + i, &w->rng, sizeof random - i < 8 ? sizeof random - i : 8);
	}
	int64_t now_us = gw_unix_recent_us();
	gw_uuid7_make(&w->uuid, (uint64_t)now_us / 1000, random, r->id);
	gw_uuid_print(r->id, r->id_text);
	r->rec.request_id = r->id;
	r->rec.ts_start_us = now_us - (int64_t)((r->stamped_ns - r->first_byte_ns) / 1000);
	r->rec.bytes_in = rq->wire_bytes;
	list_add(w, r);
	return r;
}

bool gw_req_take_picks(struct gw_req *r)
{
	struct gw_worker *w = r->w;
	struct gw_picks *p = r->picks ? r->picks : w->spare_picks;

	if (!r->picks && p) {
		w->spare_picks = p->next;
		w->n_spare_picks--;
	}
	if (!p)
		p = malloc(sizeof *p);
	if (!p)
		return false;
	r->picks = p;
	r->values = p->values;
	return true;
}

static void give_picks(struct gw_req *r)
{
	struct gw_worker *w = r->w;

	if (!r->picks)
		return;
	if (w->n_spare_picks >= PICKS_MAX) {
		free(r->picks);
		return;
	}
	r->picks->next = w->spare_picks;
	w->spare_picks = r->picks;
	w->n_spare_picks++;
}

static void give_back(struct gw_req *r)
{
	gw_buf_done(&r->held);
	gw_buf_done(&r->attempt_log);
	free(r);
}

void gw_req_each_second(struct gw_worker *w)
{
	if (w->n_active > w->peak_active)
		w->peak_active = w->n_active;
	for (uint32_t spare = w->n_pool > w->n_active + KEEP ? w->n_pool - w->n_active - KEEP : 0; spare; spare--) {
		struct gw_req *r = w->pool;

		w->pool = r->next;
		w->n_pool--;
		give_back(r);
	}
	if (w->peak_active < TRIM_FROM || w->n_active > w->peak_active / 2) {
		w->quiet_seconds = 0;
		return;
	}
	if (++w->quiet_seconds < TRIM_AFTER_S) /* connections close later than their requests end */
		return;
	w->peak_active = w->n_active;
	while (w->n_spare_picks > KEEP) {
		struct gw_picks *p = w->spare_picks;

		w->spare_picks = p->next;
		w->n_spare_picks--;
		free(p);
	}
	gw_upstream_trim(w->upstream);
	malloc_trim(0); /* many streams have ended: their pages go back to the system, once */
}

uint32_t gw_req_secrets(const struct gw_req *r, struct gw_str parts[GW_REQ_SECRETS])
{
	uint32_t n = 0;

	if (r->secret && r->at.candidate >= 0)
		n = gw_auth_secret_parts(r->plan.candidates[r->at.candidate].auth, gw_secret_expose(r->secret), parts);
	if (r->proxy_secret)
		parts[n++] = gw_secret_expose(r->proxy_secret);
	return n;
}

void gw_req_end(struct gw_req *r)
{
	struct gw_worker *w = r->w;

	GW_REQUIRE(!r->at.up);
	list_remove(w, r);
	if (r->load && r->load->n)
		r->load->n--;
	if (r->who)
		gw_memo_unref(w, r->who);
	if (r->where)
		gw_memo_unref(w, r->where);
	if (r->secret)
		gw_secret_unref(r->secret);
	gw_secret_unref(r->proxy_secret);
	if (r->has_sse)
		gw_sse_done(&r->sse);
	gw_talk_done(r);
	gw_home_done(r);
	gw_api_done(r);
	give_picks(r);
	gw_arena_done(&r->arena);
	gw_buf_clear(&r->held, 16 << 10);
	gw_buf_clear(&r->attempt_log, 4096);
	if (w->n_pool >= POOL_MAX) {
		give_back(r);
		return;
	}
	r->next = w->pool;
	w->pool = r;
	w->n_pool++;
}

enum gw_step_id gw_req_fail(struct gw_req *r, enum gw_err e, struct gw_str detail)
{
	r->err = e;
	r->err_detail = detail;
	return GW_STEP_fail;
}

enum gw_step_id gw_req_event(struct gw_req *r)
{
	if (r->ev_gone) {
		gw_relay_drop_attempt(r);
		return gw_req_fail(r, GW_E_CLIENT_GONE, GW_NIL);
	}
	if (r->ev_late) {
		r->ev_late = false;
		gw_relay_drop_attempt(r);
		r->at.err = r->late_err;
		return GW_STEP_judge;
	}
	return GW_STEP_wait;
}

/* The connection wants its answer ended even though nobody reads it; the request ends first, while what it views is still there. */
void gw_req_gone(struct gw_req *r)
{
	struct gw_h1_conn *c = r->conn;

	r->conn = NULL;
	r->ev_gone = true;
	gw_count(&r->w->page->metric[GW_M_client_gone], 1);
	GW_REQUIRE(!r->is_running && !gw_req_run(r));
	gw_h1_reply_cut(c);
}
