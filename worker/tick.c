/* What happens by the clock: beats, gauges, our own deadlines (first token, whole answer, hold), revocations. */
#include <sys/resource.h>
#include "core/key.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "worker/talk.h"

enum { TICK_MS = 50, DONE_NS = 100 * 1000000, COMMENT_NS = 15u * 1000000000u };

static void late(struct gw_req *r, enum gw_err e)
{
	r->ev_late = true;
	r->late_err = e;
	gw_req_run(r);
}

void gw_tick_end_all(struct gw_worker *w, enum gw_err e)
{
	while (w->active)
		late(w->active, e);
}

static bool is_revoked(const struct gw_req *r)
{
	if (gw_revoke_has(r->w->revoke, gw_key_revoke_hash(r->subject.key_index)))
		return true;
	if (r->at.candidate < 0)
		return false;
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	if (r->proxy_secret &&
	    gw_revoke_has(r->w->revoke, gw_cred_revoke_hash(c->proxy_credential, c->proxy_credential_version)))
		return true;
	return r->secret &&
	       gw_revoke_has(r->w->revoke,
			     gw_cred_revoke_hash(c->credential, r->use_next_secret ? c->credential_next_version
										   : c->credential_version));
}

/* A stream that is held too long goes out with what there is; one that stays silent gets comments, so that nothing on the way gives it up. */
static void keep_going(struct gw_req *r, uint64_t now)
{
	if (!r->at.is_sse || r->saw_content || !r->conn)
		return;
	if (r->out == GW_OUT_NONE && now >= r->hold_until_ns) {
		gw_relay_release(r);
		r->last_comment_ns = now;
	} else if (r->out == GW_OUT_STREAMING && now - r->last_comment_ns >= COMMENT_NS) {
		r->last_comment_ns = now;
		struct gw_str ping = gw_talk_ping(r);

		if (ping.n)
			gw_h1_reply_piece(r->conn, ping);
	}
}

/* [DONE] is there, but the provider does not end its answer: the client need not wait for that. */
static void end_after_done(struct gw_req *r)
{
	gw_relay_drop_attempt(r);
	r->ev_end = true;
	r->up_err = GW_OK;
	gw_req_run(r);
}

static void check(struct gw_req *r, uint64_t now, bool may_be_revoked)
{
	if (r->step != GW_STEP_relay && r->step != GW_STEP_send)
		return;
	if (r->saw_done && !r->ev_end && now - r->done_ns > DONE_NS)
		end_after_done(r);
	else if (r->deadline_ns && now > r->deadline_ns)
		late(r, GW_E_UP_TOTAL);
	else if (r->step == GW_STEP_relay && r->at.is_sse && !r->saw_content && now > r->first_token_until_ns &&
		 !r->is_paused)
		late(r, GW_E_UP_TIMEOUT);
	else if (may_be_revoked && is_revoked(r))
		late(r, GW_E_KEY_DISABLED);
	else
		keep_going(r, now);
}

static void check_requests(struct gw_worker *w, uint64_t now)
{
	bool each_second =
	    w->ticks % (1000 / TICK_MS) == 0 && atomic_load_explicit(&w->revoke->n, memory_order_relaxed) > 0;
	struct gw_req *next;

	for (struct gw_req *r = w->active; r; r = next) {
		next = r->next;
		check(r, now, each_second);
	}
}

static void gauges(struct gw_worker *w)
{
	const struct gw_h1_stats *h = gw_h1_stats(w->server);
	const struct gw_up_stats *u = gw_upstream_stats(w->upstream);
	_Atomic uint64_t *m = w->page->metric;
	struct gw_ring_shared *ring = w->ring.ring;

	gw_gauge(&m[GW_M_connections], gw_h1_open(w->server));
	gw_gauge(&m[GW_M_connections_accepted], h->accepted);
	gw_gauge(&m[GW_M_accept_paused], h->accept_paused);
	gw_gauge(&m[GW_M_requests_malformed], h->malformed);
	gw_gauge(&m[GW_M_bytes_in], h->bytes_in);
	gw_gauge(&m[GW_M_bytes_out], h->bytes_out);
	gw_gauge(&m[GW_M_requests_in_flight], w->n_active);
	gw_gauge(&m[GW_M_streams_open], w->n_streams);
	gw_gauge(&m[GW_M_upstream_connects], u->connects);
	gw_gauge(&m[GW_M_upstream_reused], u->reused);
	gw_gauge(&m[GW_M_upstream_open], u->open);
	gw_gauge(&m[GW_M_upstream_idle], u->idle);
	gw_gauge(&m[GW_M_upstream_queued], u->queued);
	gw_gauge(&m[GW_M_upstream_handshakes], u->handshakes);
	gw_gauge(&m[GW_M_upstream_resumed], u->resumed);
	gw_gauge(&m[GW_M_upstream_denied], u->denied);
	gw_gauge(&m[GW_M_ring_used_bytes], atomic_load_explicit(&ring->head, memory_order_relaxed) -
					       atomic_load_explicit(&ring->tail, memory_order_relaxed));
	gw_gauge(&m[GW_M_ring_size_bytes], ring->size);
}

static void each_second(struct gw_worker *w)
{
	struct rusage ru;

	gauges(w);
	atomic_store_explicit(&w->page->cpu_ns, gw_cpu_ns(), memory_order_relaxed);
	if (getrusage(RUSAGE_SELF, &ru) == 0)
		gw_gauge(&w->page->metric[GW_M_memory_rss_bytes], (uint64_t)ru.ru_maxrss * 1024);
	gw_req_each_second(w);
	gw_lease_tick(w, gw_now_ms());
	gw_lease_pepper(w);
	gw_worker_tls_tick(w, gw_now_ms());
}

static void on_tick(uv_timer_t *t)
{
	struct gw_worker *w = t->data;
	uint64_t now = gw_now_ns(), beat = atomic_load_explicit(&w->page->beat_ns, memory_order_relaxed);

	if (beat && now - beat > (uint64_t)TICK_MS * 1000000)
		gw_observe(&w->page->hist[GW_MH_loop_lag], (now - beat) / 1000 - TICK_MS * 1000);
	else
		gw_observe(&w->page->hist[GW_MH_loop_lag], 0);
	atomic_store_explicit(&w->page->beat_ns, now, memory_order_release);
	check_requests(w, now);
	gw_record_flush(w, false);
	if (w->ticks % (1000 / TICK_MS) == 0)
		each_second(w);
	if (!w->pepper && w->ticks % 4 == 0)
		gw_lease_pepper(w);
	w->ticks++;
}

/* Runs right before the loop sleeps: what this turn wrote to the ring goes to the logger. */
static void on_turn_end(uv_prepare_t *p)
{
	gw_record_flush(p->data, false);
}

void gw_tick_start(struct gw_worker *w)
{
	uv_timer_init(&w->loop, &w->tick);
	w->tick.data = w;
	uv_timer_start(&w->tick, on_tick, 0, TICK_MS);
	uv_prepare_init(&w->loop, &w->turn_end);
	w->turn_end.data = w;
	uv_prepare_start(&w->turn_end, on_turn_end);
}
