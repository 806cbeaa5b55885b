/* When requests start. In the open loop the moments come from the plan, whatever happens to the requests before; if no
 * connection is free a request waits, and the wait is part of its latency. In the closed loop each connection asks again as
 * soon as it has its answer, or has thought about it. */
#include <math.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "bench/llmgw-bench.h"
#include "lib/sys/clock.h"

enum { MIN_PERIOD_NS = 100000 };
#define MS 1000000ull

static uint64_t due_ns(const struct bench_run *r)
{
	return r->due.next_ns == UINT64_MAX ? UINT64_MAX : r->t0_ns + r->due.next_ns;
}

bool bench_load_may_start(const struct bench_run *r, uint64_t now)
{
	const struct bench_plan *p = &r->o->plan;

	if (!r->is_loading || (p->requests > 0 && r->started >= p->requests))
		return false;
	return !p->is_open || due_ns(r) <= now;
}

static void start(struct bench_run *r, struct bench_conn *c, uint64_t now)
{
	uint64_t due = now;

	if (r->o->plan.is_open) {
		due = due_ns(r);
		bench_arrivals_step(&r->due);
	}
	c->is_counted = due >= r->window_from_ns && due <= r->window_to_ns;
	r->started++;
	r->in_flight++;
	bench_conn_send(c, bench_requests_pick(r, c), due);
}

/* Starts what is due on the connections that are free. */
static void pump(struct bench_run *r, bool by_clock)
{
	uint64_t now = gw_now_ns();

	while (r->n_free > 0 && bench_load_may_start(r, now)) {
		struct bench_conn *c = &r->conns[r->free_list[--r->n_free]];

		if (c->state != BENCH_IDLE) /* closed while it waited */
			continue;
		if (by_clock && r->is_measuring)
			bench_hist_add(&r->stats.late, now - due_ns(r));
		start(r, c, now);
	}
}

void bench_load_ready(struct bench_conn *c)
{
	struct bench_run *r = c->run;
	uint64_t now;

	if (c->is_held) {
		c->is_stream = true;
		bench_conn_send(c, gw_buf_view(&r->requests.held), gw_now_ns());
		return;
	}
	if (c->rest_ns > 0) /* thinks; the tick wakes it */
		return;
	now = gw_now_ns();
	if (bench_load_may_start(r, now)) {
		start(r, c, now);
		return;
	}
	/* a connection that was closed and opened again may still be listed: never twice more than there are */
	if (r->n_free == r->n_conns) {
		uint32_t kept = 0;

		for (uint32_t i = 0; i < r->n_free; i++)
			if (r->conns[r->free_list[i]].state == BENCH_IDLE && &r->conns[r->free_list[i]] != c)
				r->free_list[kept++] = r->free_list[i];
		r->n_free = kept;
	}
	r->free_list[r->n_free++] = (uint32_t)(c - r->conns);
}

/* --- what connections tell --- */

static void ended(struct bench_conn *c)
{
	struct bench_run *r = c->run;
	const struct bench_plan *p = &r->o->plan;

	c->state = BENCH_IDLE;
	r->in_flight--;
	r->ended++;
	if (p->think_ms > 0 && r->is_loading) {
		double ms = (double)p->think_ms * (p->is_think_random ? -log(bench_rng_unit(&r->rng)) : 1);

		c->rest_ns = gw_now_ns() + (uint64_t)(ms * 1e6);
	}
}

void bench_load_done(struct bench_conn *c)
{
	struct bench_run *r = c->run;
	uint64_t took;

	if (c->is_held) {
		bench_load_failed(c, BENCH_E_HELD);
		return;
	}
	ended(c);
	if (r->is_measuring)
		r->stats.in_window++;
	took = gw_now_ns() - c->due_ns;
	bench_hist_add(&r->stats.now, took);
	if (c->is_counted) {
		bench_hist_add(&r->stats.all.latency, took);
		bench_hist_add(&r->stats.classes[c->class_at].latency, took);
	}
}

void bench_load_failed(struct bench_conn *c, enum bench_error why)
{
	struct bench_run *r = c->run;

	if (c->is_held) {
		if (!r->is_over) {
			r->stats.errors[BENCH_E_HELD]++;
			r->stats.held -= c->status == 200;
		}
		c->state = BENCH_IDLE;
		c->must_close = true;
		return;
	}
	ended(c);
	if (r->is_over)
		return;
	r->point_errors++;
	if (c->is_counted) {
		r->stats.errors[why]++;
		r->stats.classes[c->class_at].errors++;
	}
}

void bench_load_chunk(struct bench_conn *c)
{
	struct bench_stats *s = &c->run->stats;
	uint64_t now, took;
	bool is_first = c->chunk_ns == 0;

	if (c->is_held)
		return;
	now = gw_now_ns();
	took = now - (is_first ? c->due_ns : c->chunk_ns);
	if (is_first)
		bench_hist_add(&s->now_ttft, took);
	if (c->is_counted) {
		bench_hist_add(is_first ? &s->all.ttft : &s->all.gap, took);
		bench_hist_add(is_first ? &s->classes[c->class_at].ttft : &s->classes[c->class_at].gap, took);
	}
	c->chunk_ns = now;
	if (c->run->is_measuring)
		s->chunks++;
}

void bench_load_note(struct bench_run *r, const char *text, struct gw_str detail)
{
	char *to = r->stats.first_error;

	if (*to)
		return;
	snprintf(to, sizeof(r->stats.first_error), "%s%.*s", text ? text : "", (int)(detail.n < 200 ? detail.n : 200),
		 detail.p ? detail.p : "");
	for (; *to; to++)
		if ((unsigned char)*to < 0x20 || *to == 0x7f)
			*to = ' ';
}

/* --- the clock of arrivals: a timer of its own, as the loop's counts milliseconds --- */

static void arm(struct bench_run *r, uint64_t now)
{
	uint64_t at = due_ns(r), least = now + MIN_PERIOD_NS; /* above 10,000 a second arrivals come in small groups */
	struct itimerspec t = { 0 };

	if (at == UINT64_MAX)
		return;
	if (r->started > 0 && at < least)
		at = least;
	t.it_value = (struct timespec){ (time_t)(at / (1000 * MS)), (long)(at % (1000 * MS)) };
	GW_REQUIRE(timerfd_settime(r->arrival_fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
}

static void on_arrival(uv_poll_t *p, int status, int events)
{
	struct bench_run *r = p->data;
	uint64_t n;

	(void)status;
	(void)events;
	if (read(r->arrival_fd, &n, sizeof(n)) > 0) {
		pump(r, true);
		arm(r, gw_now_ns());
	}
}

void bench_load_begin(struct bench_run *r)
{
	const struct bench_plan *p = &r->o->plan;

	r->t0_ns = gw_now_ns() + 1 * MS;
	r->window_from_ns = p->requests ? 0 : r->t0_ns + p->warmup_ms * MS;
	r->window_to_ns = p->requests ? UINT64_MAX : r->t0_ns + bench_plan_ms(p) * MS;
	r->is_loading = true;
	r->told_ns = r->t0_ns;
	if (p->is_open) {
		bench_arrivals_init(&r->due, p);
		r->arrival_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		GW_REQUIRE(r->arrival_fd >= 0 && uv_poll_init(&r->loop, &r->arrival, r->arrival_fd) == 0);
		r->arrival.data = r;
		GW_REQUIRE(uv_poll_start(&r->arrival, UV_READABLE, on_arrival) == 0);
		arm(r, r->t0_ns);
	}
	pump(r, false);
}

static void on_handle_closed(uv_handle_t *h)
{
	(void)h;
}

void bench_load_end(struct bench_run *r)
{
	bool was_open = r->is_loading && r->o->plan.is_open;

	r->is_loading = false;
	if (!was_open)
		return;
	/* what came due and found no connection to the end */
	for (uint64_t now = gw_now_ns(); due_ns(r) <= now && due_ns(r) <= r->window_to_ns;
	     bench_arrivals_step(&r->due)) {
		if (r->o->plan.requests > 0 && r->started >= r->o->plan.requests)
			break;
		r->started++;
		r->stats.errors[BENCH_E_NOT_STARTED]++;
	}
	uv_close((uv_handle_t *)&r->arrival, on_handle_closed);
	close(r->arrival_fd);
}

/* Wakes those that thought long enough, closes what a falling ramp no longer wants. */
void bench_load_tick(struct bench_run *r, uint64_t now)
{
	if (!r->is_loading)
		return;
	r->n_active = bench_plan_connections_at(&r->o->plan, now > r->t0_ns ? now - r->t0_ns : 0);
	for (uint32_t i = r->n_active; i < r->n_conns; i++)
		if (r->conns[i].state == BENCH_IDLE)
			bench_conn_fail(&r->conns[i], BENCH_E_CLOSED);
	if (r->o->plan.think_ms == 0)
		return;
	for (uint32_t i = 0; i < r->n_conns; i++) {
		struct bench_conn *c = &r->conns[i];

		if (c->state == BENCH_IDLE && c->rest_ns > 0 && c->rest_ns <= now) {
			c->rest_ns = 0;
			bench_load_ready(c);
		}
	}
}
