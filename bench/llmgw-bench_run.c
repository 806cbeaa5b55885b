/* The course of a run, and when requests start. In the open loop request i is due at t0 + i * interval whatever happens to
 * the others; if no connection is free it waits, and the wait is part of its latency. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "bench/llmgw-bench.h"
#include "lib/sys/clock.h"

enum {
	TICK_MS = 5,
	PENDING_STREAMS = 512,
	CONNECT_MS = 10000,
	HOLD_MS = 90000,
	DRAIN_MS = 15000,
	MIN_PERIOD_NS = 100000
};
#define MS 1000000ull

static void next_phase(struct bench_run *r, enum bench_phase p);

/* --- histograms --- */

void bench_hist_init(struct bench_hist *h)
{
	h->slots = calloc(gw_hist_slots(GW_HIST_SUB_BITS, BENCH_HIST_BITS), sizeof(uint64_t));
	GW_REQUIRE(h->slots != NULL);
}

void bench_hist_add(struct bench_hist *h, uint64_t ns)
{
	h->slots[gw_hist_index(ns, GW_HIST_SUB_BITS, BENCH_HIST_BITS)]++;
	h->n++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

double bench_hist_us(const struct bench_hist *h, double q)
{
	uint64_t v = gw_hist_quantile(h->slots, gw_hist_slots(GW_HIST_SUB_BITS, BENCH_HIST_BITS), GW_HIST_SUB_BITS, q);

	return (double)(v < h->max ? v : h->max) / 1000.0;
}

/* --- starting requests --- */

static uint64_t due_by(const struct bench_run *r, uint64_t now)
{
	uint64_t end = now < r->window_to_ns ? now : r->window_to_ns;

	uint64_t n = end < r->t0_ns ? 0 : (end - r->t0_ns) / r->interval_ns + 1;

	return bench_options.requests > 0 && n > bench_options.requests ? bench_options.requests : n;
}

static bool may_start(const struct bench_run *r, uint64_t now)
{
	if (!r->is_loading)
		return false;
	if (bench_options.requests > 0 && r->started >= bench_options.requests)
		return false;
	return r->interval_ns == 0 || r->started < due_by(r, now);
}

static void start(struct bench_run *r, struct bench_conn *c, uint64_t now)
{
	uint64_t due = r->interval_ns ? r->t0_ns + r->started * r->interval_ns : now;

	c->is_counted = due >= r->window_from_ns && due <= r->window_to_ns;
	r->started++;
	r->in_flight++;
	bench_conn_send(c, gw_buf_view(&r->request), due);
}

/* Starts what is due on the connections that are free. */
static void pump(struct bench_run *r, bool by_clock)
{
	uint64_t now = gw_now_ns();

	while (r->n_free > 0 && may_start(r, now)) {
		struct bench_conn *c = &r->conns[r->free_list[--r->n_free]];

		if (c->state != BENCH_IDLE) /* closed while it waited */
			continue;
		if (by_clock && r->is_measuring)
			bench_hist_add(&r->stats.late, now - (r->t0_ns + r->started * r->interval_ns));
		start(r, c, now);
	}
}

void bench_run_ready(struct bench_conn *c)
{
	struct bench_run *r = c->run;
	uint64_t now;

	if (c->is_held) {
		bench_conn_send(c, gw_buf_view(&r->hold_request), gw_now_ns());
		return;
	}
	now = gw_now_ns();
	if (may_start(r, now)) {
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
	c->state = BENCH_IDLE;
	c->run->in_flight--;
	c->run->ended++;
}

void bench_run_done(struct bench_conn *c)
{
	struct bench_run *r = c->run;

	if (c->is_held) {
		bench_run_failed(c, BENCH_E_HELD);
		return;
	}
	ended(c);
	if (r->is_measuring)
		r->stats.in_window++;
	if (c->is_counted)
		bench_hist_add(&r->stats.latency, gw_now_ns() - c->due_ns);
}

void bench_run_failed(struct bench_conn *c, enum bench_error why)
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
	if (c->is_counted && !r->is_over)
		r->stats.errors[why]++;
}

void bench_run_chunk(struct bench_conn *c)
{
	uint64_t now;

	if (c->is_held)
		return;
	now = gw_now_ns();
	if (c->is_counted)
		bench_hist_add(c->chunk_ns ? &c->run->stats.gap : &c->run->stats.ttft,
			       now - (c->chunk_ns ? c->chunk_ns : c->due_ns));
	c->chunk_ns = now;
	if (c->run->is_measuring)
		c->run->stats.chunks++;
}

void bench_run_note(struct bench_run *r, const char *text, struct gw_str detail)
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

/* --- phases --- */

static void tell(const char *what)
{
	if (!bench_options.is_silent)
		fprintf(stderr, "llmgw-bench: %s\n", what);
}

static void progress(struct bench_run *r, uint64_t now)
{
	uint64_t errors = 0;

	if (now - r->told_ns < 1000 * MS || bench_options.is_silent)
		return;
	for (int i = 0; i < BENCH_E_N; i++)
		errors += r->stats.errors[i];
	fprintf(stderr, "llmgw-bench: %s, %.0f req/s, %llu under way, %llu errors\n",
		r->phase == BENCH_MEASURE ? "measuring" : "warming up",
		(double)(r->ended - r->told_ended) * 1e9 / (double)(now - r->told_ns), (unsigned long long)r->in_flight,
		(unsigned long long)errors);
	r->told_ns = now;
	r->told_ended = r->ended;
}

static void on_arrival(uv_poll_t *p, int status, int events)
{
	struct bench_run *r = p->data;
	uint64_t n;

	(void)status;
	(void)events;
	if (read(r->arrival_fd, &n, sizeof(n)) > 0)
		pump(r, true);
}

/* A timer of its own: the loop's counts milliseconds. Above 10,000 a second arrivals come in small groups. */
static void start_arrivals(struct bench_run *r)
{
	uint64_t period = r->interval_ns > MIN_PERIOD_NS ? r->interval_ns : MIN_PERIOD_NS;
	struct itimerspec t = { .it_value = { (time_t)(r->t0_ns / (1000 * MS)), (long)(r->t0_ns % (1000 * MS)) },
				.it_interval = { (time_t)(period / (1000 * MS)), (long)(period % (1000 * MS)) } };

	r->arrival_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	GW_REQUIRE(r->arrival_fd >= 0 && uv_poll_init(&r->loop, &r->arrival, r->arrival_fd) == 0);
	GW_REQUIRE(timerfd_settime(r->arrival_fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
	r->arrival.data = r;
	GW_REQUIRE(uv_poll_start(&r->arrival, UV_READABLE, on_arrival) == 0);
}

static void start_load(struct bench_run *r)
{
	uint64_t duration = bench_options.requests ? 1ull << 50 : bench_options.duration_ms * MS;

	r->t0_ns = gw_now_ns() + 1 * MS;
	r->window_from_ns = bench_options.requests ? 0 : r->t0_ns + bench_options.warmup_ms * MS;
	r->window_to_ns = r->t0_ns + bench_options.warmup_ms * MS + duration;
	r->interval_ns = bench_options.rate ? 1000 * MS / bench_options.rate : 0;
	r->is_loading = true;
	r->told_ns = r->t0_ns;
	if (r->interval_ns)
		start_arrivals(r);
}

/* The two ends of a window: CPU of the others first and last, ours in between. */
static void window_begin(struct bench_run *r, uint64_t *own, uint64_t *others)
{
	*own = gw_cpu_ns();
	*others = bench_cpu_read().ns;
	r->from_ns = gw_now_ns();
}

static void begin_measure(struct bench_run *r)
{
	window_begin(r, &r->stats.own_cpu_ns, &r->stats.cpu_ns);
	r->is_measuring = true;
}

static void end_measure(struct bench_run *r)
{
	struct bench_cpu cpu;

	r->stats.window_ns = gw_now_ns() - r->from_ns;
	cpu = bench_cpu_read();
	r->stats.cpu_ns = cpu.ns - r->stats.cpu_ns;
	r->stats.own_cpu_ns = gw_cpu_ns() - r->stats.own_cpu_ns;
	r->stats.processes = cpu.processes;
	r->is_measuring = false;
}

static void on_handle_closed(uv_handle_t *h)
{
	(void)h;
}

static void end_all(struct bench_run *r)
{
	r->is_loading = false;
	if (r->interval_ns)
		for (uint64_t due = due_by(r, gw_now_ns()); r->started < due; r->started++)
			r->stats.errors[BENCH_E_NOT_STARTED]++;
	for (uint32_t i = 0; i < r->n_conns; i++) /* what is still under way has waited too long */
		if (r->conns[i].state == BENCH_BUSY)
			bench_conn_fail(&r->conns[i], BENCH_E_TIMEOUT);
	r->is_over = true;
	for (uint32_t i = 0; i < r->n_conns + bench_options.hold_streams; i++)
		bench_conn_fail(&r->conns[i], BENCH_E_CLOSED);
	uv_close((uv_handle_t *)&r->tick, on_handle_closed);
	if (r->interval_ns) {
		uv_close((uv_handle_t *)&r->arrival, on_handle_closed);
		close(r->arrival_fd);
	}
}

static void next_phase(struct bench_run *r, enum bench_phase p)
{
	uint64_t own;
	char why[128];

	r->phase = p;
	r->phase_ns = gw_now_ns();
	switch (p) {
	case BENCH_HOLD:
		if (bench_options.hold_streams > 0)
			tell("opening the streams that are held");
		break;
	case BENCH_QUIET:
		if (!bench_cpu_find(why, sizeof(why)))
			tell(why);
		window_begin(r, &own, &r->stats.quiet_cpu_ns);
		break;
	case BENCH_WARM:
		start_load(r);
		if (bench_options.requests > 0) /* all of them count */
			next_phase(r, BENCH_MEASURE);
		pump(r, false);
		break;
	case BENCH_MEASURE:
		begin_measure(r);
		break;
	case BENCH_DRAIN:
		end_measure(r);
		break;
	case BENCH_END:
		end_all(r);
		break;
	case BENCH_CONNECT:
		break;
	}
}

static void tick_connect(struct bench_run *r, uint64_t age)
{
	if (r->n_open >= r->n_conns)
		next_phase(r, BENCH_HOLD);
	else if (age > CONNECT_MS * MS) {
		fprintf(stderr, "llmgw-bench: %u of %u connections to %s after %d s%s%s\n", r->n_open, r->n_conns,
			bench_options.url, CONNECT_MS / 1000, *r->stats.first_error ? ": " : "", r->stats.first_error);
		r->result = 1;
		next_phase(r, BENCH_END);
	}
}

/* A few at a time: thousands of connections (and handshakes behind them) at once would measure their deadlines. */
static void open_held(struct bench_run *r)
{
	uint32_t all = r->n_conns + (uint32_t)bench_options.hold_streams, pending = 0;

	for (uint32_t i = r->n_conns; i < all; i++)
		pending += r->conns[i].state != BENCH_CLOSED;
	pending = pending > r->stats.held ? pending - r->stats.held : 0;
	for (uint32_t i = r->n_conns; i < all && pending < PENDING_STREAMS; i++)
		if (r->conns[i].state == BENCH_CLOSED && !r->conns[i].is_closing) {
			bench_conn_open(&r->conns[i]);
			pending++;
		}
}

static void tick_hold(struct bench_run *r, uint64_t age)
{
	open_held(r);
	if (r->stats.held >= bench_options.hold_streams)
		next_phase(r, bench_options.hold_streams > 0 && bench_options.n_roots > 0 ? BENCH_QUIET : BENCH_WARM);
	else if (age > HOLD_MS * MS) {
		fprintf(stderr, "llmgw-bench: only %u of %llu streams are open after %d s%s%s\n", r->stats.held,
			(unsigned long long)bench_options.hold_streams, HOLD_MS / 1000,
			*r->stats.first_error ? ": " : "", r->stats.first_error);
		r->result = 1;
		next_phase(r, BENCH_END);
	}
}

static void tick_quiet(struct bench_run *r, uint64_t age)
{
	if (age < bench_options.quiet_ms * MS)
		return;
	r->stats.quiet_cpu_ns = bench_cpu_read().ns - r->stats.quiet_cpu_ns;
	r->stats.quiet_ns = gw_now_ns() - r->from_ns;
	next_phase(r, BENCH_WARM);
}

static void tick_load(struct bench_run *r, uint64_t now, uint64_t age)
{
	bool all_ended = bench_options.requests > 0 && r->ended >= bench_options.requests;

	progress(r, now);
	if (r->phase == BENCH_WARM && now >= r->window_from_ns)
		next_phase(r, BENCH_MEASURE);
	else if (r->phase == BENCH_MEASURE && (all_ended || (!bench_options.requests && now >= r->window_to_ns)))
		next_phase(r, BENCH_DRAIN);
	else if (r->phase == BENCH_DRAIN) {
		if (!r->interval_ns)
			r->is_loading = false;
		if ((r->in_flight == 0 && !may_start(r, now)) || age > DRAIN_MS * MS)
			next_phase(r, BENCH_END);
	}
}

/* Connections that were refused try again; requests that take too long end. */
static void watch_conns(struct bench_run *r, uint64_t now)
{
	for (uint32_t i = 0; i < r->n_conns; i++) {
		struct bench_conn *c = &r->conns[i];
		uint64_t age = now > c->since_ns ? now - c->since_ns : 0;

		if (c->state == BENCH_CLOSED && !c->is_closing)
			bench_conn_open(c);
		else if (c->state == BENCH_CONNECTING && age > CONNECT_MS / 2 * MS)
			bench_conn_fail(c, BENCH_E_CONNECT);
		else if (c->state == BENCH_BUSY && age > bench_options.timeout_ms * MS)
			bench_conn_fail(c, BENCH_E_TIMEOUT);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct bench_run *r = t->data;
	uint64_t now = gw_now_ns(), age = now - r->phase_ns;

	if (r->ticks++ % 20 == 0)
		watch_conns(r, now);
	switch (r->phase) {
	case BENCH_CONNECT:
		tick_connect(r, age);
		break;
	case BENCH_HOLD:
		tick_hold(r, age);
		break;
	case BENCH_QUIET:
		tick_quiet(r, age);
		break;
	case BENCH_WARM:
	case BENCH_MEASURE:
	case BENCH_DRAIN:
		tick_load(r, now, age);
		break;
	case BENCH_END:
		break;
	}
}

int bench_run(struct bench_run *r)
{
	uint32_t all = (uint32_t)(bench_options.connections + bench_options.hold_streams);
	char why[128];

	r->n_conns = (uint32_t)bench_options.connections;
	r->conns = calloc(all, sizeof(r->conns[0]));
	r->free_list = calloc(r->n_conns, sizeof(uint32_t));
	r->scratch = malloc(BENCH_SCRATCH);
	GW_REQUIRE(r->conns && r->free_list && r->scratch && uv_loop_init(&r->loop) == 0);
	bench_hist_init(&r->stats.latency);
	bench_hist_init(&r->stats.ttft);
	bench_hist_init(&r->stats.gap);
	bench_hist_init(&r->stats.late);
	if (!bench_cpu_find(why, sizeof(why))) {
		fprintf(stderr, "llmgw-bench: %s\n", why);
		return 2;
	}
	for (uint32_t i = 0; i < all; i++)
		bench_conn_init(r, &r->conns[i], i >= r->n_conns);
	GW_REQUIRE(uv_timer_init(&r->loop, &r->tick) == 0);
	r->tick.data = r;
	next_phase(r, BENCH_CONNECT);
	GW_REQUIRE(uv_timer_start(&r->tick, on_tick, 0, TICK_MS) == 0);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	for (uint32_t i = 0; i < all; i++)
		bench_conn_free(&r->conns[i]);
	gw_tls_ctx_free(r->tls);
	GW_REQUIRE(uv_loop_close(&r->loop) == 0);
	free(r->conns);
	free(r->free_list);
	free(r->scratch);
	return r->result;
}
