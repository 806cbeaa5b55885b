/* The course of a run: connect, hold, quiet window, warm-up, measurement, drain, settle. */
#include <stdio.h>
#include <stdlib.h>
#include "bench/llmgw-bench.h"
#include "lib/secret.h"
#include "lib/sys/clock.h"

enum {
	TICK_MS = 5,
	PENDING_STREAMS = 512,
	PENDING_CONNECTS = 256,
	CONNECT_MS = 10000,
	RETRY_MS = 100,
	HOLD_MS = 90000,
	DRAIN_MS = 15000
};
#define MS 1000000ull

static void next_phase(struct bench_run *r, enum bench_phase p);

/* --- histograms --- */

void bench_hist_add(struct bench_hist *h, uint64_t ns)
{
	if (!h->slots) {
		h->slots = calloc(gw_hist_slots(GW_HIST_SUB_BITS, BENCH_HIST_BITS), sizeof(uint64_t));
		GW_REQUIRE(h->slots != NULL);
	}
	h->slots[gw_hist_index(ns, GW_HIST_SUB_BITS, BENCH_HIST_BITS)]++;
	h->n++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

void bench_hist_clear(struct bench_hist *h)
{
	if (h->slots && h->n > 0)
		memset(h->slots, 0, gw_hist_slots(GW_HIST_SUB_BITS, BENCH_HIST_BITS) * sizeof(uint64_t));
	h->n = h->sum = h->max = 0;
}

void bench_hist_free(struct bench_hist *h)
{
	free(h->slots);
	*h = (struct bench_hist){ 0 };
}

double bench_hist_us(const struct bench_hist *h, double q)
{
	uint64_t v;

	if (h->n == 0)
		return 0;
	v = gw_hist_quantile(h->slots, gw_hist_slots(GW_HIST_SUB_BITS, BENCH_HIST_BITS), GW_HIST_SUB_BITS, q);
	return (double)(v < h->max ? v : h->max) / 1000.0;
}

/* --- phases --- */

static void tell(const struct bench_run *r, const char *what)
{
	if (!r->o->is_silent)
		fprintf(stderr, "%sllmgw-bench: %s%s", r->o->is_terminal ? "\r\033[K" : "", what,
			r->o->is_terminal ? "" : "\n");
}

/* One line that is written over on a terminal; a line each five seconds elsewhere. */
static void progress(struct bench_run *r, uint64_t now)
{
	uint64_t errors = 0, requests = r->o->plan.requests, end = bench_plan_ms(&r->o->plan),
		 at = (now - r->t0_ns) / MS;
	char line[240];

	if (now < r->t0_ns || r->o->is_silent || now - r->told_ns < (r->o->is_terminal ? 250 : 5000) * MS)
		return;
	for (int i = 0; i < BENCH_E_N; i++)
		errors += r->stats.errors[i];
	if (requests > 0)
		at = r->ended * 1000, end = requests * 1000;
	snprintf(line, sizeof(line),
		 "%s%s%llu of %llu%s, %.0f requests/s, %llu under way, %u connections, %llu errors, p99 %.1f ms",
		 r->o->label ? r->o->label : "", r->o->label ? ": " : "",
		 (unsigned long long)(at < end ? at : end) / 1000, (unsigned long long)end / 1000,
		 requests > 0 ? "" : " s", (double)(r->ended - r->told_ended) * 1e9 / (double)(now - r->told_ns),
		 (unsigned long long)r->in_flight, r->n_open, (unsigned long long)errors,
		 bench_hist_us(&r->stats.all.latency, 0.99) / 1000);
	tell(r, line);
	r->has_told = true;
	r->told_ns = now;
	r->told_ended = r->ended;
}

static void begin_window(struct bench_run *r)
{
	r->stats.own_cpu_ns = gw_cpu_ns();
	bench_procs_begin(&r->procs);
	r->from_ns = gw_now_ns();
}

static void begin_measure(struct bench_run *r)
{
	begin_window(r);
	r->point_cpu_ns = 0;
	r->is_measuring = true;
}

static void end_measure(struct bench_run *r)
{
	r->stats.window_ns = gw_now_ns() - r->from_ns;
	r->stats.used = bench_procs_read_all(&r->procs);
	if (r->stats.used.rss_bytes > r->stats.peak_rss)
		r->stats.peak_rss = r->stats.used.rss_bytes;
	r->stats.own_cpu_ns = gw_cpu_ns() - r->stats.own_cpu_ns;
	r->is_measuring = false;
}

static void on_handle_closed(uv_handle_t *h)
{
	(void)h;
}

static void end_all(struct bench_run *r)
{
	bench_load_end(r);
	for (uint32_t i = 0; i < r->n_conns; i++) /* what is still under way has waited too long */
		if (r->conns[i].state == BENCH_BUSY)
			bench_conn_fail(&r->conns[i], BENCH_E_TIMEOUT);
	r->is_over = true;
	for (uint32_t i = 0; i < r->n_conns + r->o->hold_streams; i++)
		bench_conn_fail(&r->conns[i], BENCH_E_CLOSED);
	uv_close((uv_handle_t *)&r->tick, on_handle_closed);
}

static void next_phase(struct bench_run *r, enum bench_phase p)
{
	r->phase = p;
	r->phase_ns = gw_now_ns();
	switch (p) {
	case BENCH_HOLD:
		if (r->o->hold_streams > 0)
			tell(r, "opening the streams that are held");
		break;
	case BENCH_QUIET:
		begin_window(r);
		break;
	case BENCH_WARM:
		bench_steps_scrape(r, false);
		bench_series_begin(r, gw_now_ns());
		bench_load_begin(r);
		if (r->o->plan.requests > 0) /* all of them count */
			next_phase(r, BENCH_MEASURE);
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

static void give_up(struct bench_run *r, uint32_t have, uint64_t want, const char *what, int seconds)
{
	fprintf(stderr, "%sllmgw-bench: only %u of %llu %s at %s after %d s%s%s\n", r->o->is_terminal ? "\r\033[K" : "",
		have, (unsigned long long)want, what, r->o->url, seconds, *r->stats.first_error ? ": " : "",
		r->stats.first_error);
	r->result = 1;
	next_phase(r, BENCH_END);
}

static void tick_connect(struct bench_run *r, uint64_t age)
{
	if (r->n_open >= r->n_active)
		next_phase(r, BENCH_HOLD);
	else if (age > CONNECT_MS * MS)
		give_up(r, r->n_open, r->n_active, "connections", CONNECT_MS / 1000);
}

/* A few at a time: thousands of connections (and handshakes behind them) at once would measure their deadlines. */
static void open_held(struct bench_run *r)
{
	uint32_t all = r->n_conns + (uint32_t)r->o->hold_streams, pending = 0;

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
	if (r->stats.held >= r->o->hold_streams)
		next_phase(r, r->o->hold_streams > 0 && r->o->n_roots > 0 ? BENCH_QUIET : BENCH_WARM);
	else if (age > HOLD_MS * MS)
		give_up(r, r->stats.held, r->o->hold_streams, "streams", HOLD_MS / 1000);
}

static void tick_quiet(struct bench_run *r, uint64_t age)
{
	if (age < r->o->quiet_ms * MS)
		return;
	r->stats.quiet = bench_procs_read_all(&r->procs);
	r->stats.quiet_cpu_ns = r->stats.quiet.cpu_ns;
	r->stats.quiet_ns = gw_now_ns() - r->from_ns;
	next_phase(r, BENCH_WARM);
}

static void tick_load(struct bench_run *r, uint64_t now, uint64_t age)
{
	uint64_t requests = r->o->plan.requests;
	bool all_ended = requests > 0 && r->ended >= requests;

	progress(r, now);
	bench_load_tick(r, now);
	if (r->phase != BENCH_DRAIN)
		bench_series_tick(r, now);
	if (r->phase == BENCH_WARM && now >= r->window_from_ns)
		next_phase(r, BENCH_MEASURE);
	else if (r->phase == BENCH_MEASURE && (all_ended || (!requests && now >= r->window_to_ns)))
		next_phase(r, BENCH_DRAIN);
	else if (r->phase == BENCH_DRAIN) {
		if (!r->o->plan.is_open)
			r->is_loading = false;
		if ((r->in_flight == 0 && !bench_load_may_start(r, now)) || age > DRAIN_MS * MS)
			next_phase(r, BENCH_END);
	}
}

/* Connections that are wanted and not there, a few at a time; those that were refused try again a little later. */
static void open_more(struct bench_run *r, uint64_t now)
{
	for (uint32_t i = 0; i < r->n_active && r->n_connecting < PENDING_CONNECTS; i++) {
		struct bench_conn *c = &r->conns[i];

		if (c->state == BENCH_CLOSED && !c->is_closing &&
		    (c->since_ns == 0 || now - c->since_ns > RETRY_MS * MS))
			bench_conn_open(c);
	}
}

/* Requests that take too long end. */
static void watch_conns(struct bench_run *r, uint64_t now)
{
	for (uint32_t i = 0; i < r->n_conns; i++) {
		struct bench_conn *c = &r->conns[i];
		uint64_t age = now > c->since_ns ? now - c->since_ns : 0;

		if (c->state == BENCH_CONNECTING && age > CONNECT_MS / 2 * MS)
			bench_conn_fail(c, BENCH_E_CONNECT);
		else if (c->state == BENCH_BUSY && age > r->o->plan.timeout_ms * MS)
			bench_conn_fail(c, BENCH_E_TIMEOUT);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct bench_run *r = t->data;
	uint64_t now = gw_now_ns(), age = now - r->phase_ns;

	if (r->ticks++ % 20 == 0)
		watch_conns(r, now);
	if (r->n_open < r->n_active + r->stats.held)
		open_more(r, now);
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

/* --- before and after --- */

static bool find_address(struct bench_run *r)
{
	uv_getaddrinfo_t q;

	snprintf(r->host, sizeof(r->host), "%.*s", GW_FMT(r->url.host));
	if (uv_getaddrinfo(&r->loop, &q, NULL, r->host, NULL, NULL) != 0) {
		fprintf(stderr, "llmgw-bench: no address for %s\n", r->host);
		return false;
	}
	memcpy(&r->address, q.addrinfo->ai_addr, q.addrinfo->ai_addrlen);
	if (r->address.ss_family == AF_INET)
		((struct sockaddr_in *)&r->address)->sin_port = htons(r->url.port);
	else
		((struct sockaddr_in6 *)&r->address)->sin6_port = htons(r->url.port);
	uv_freeaddrinfo(q.addrinfo);
	return true;
}

static bool set_up_tls(struct bench_run *r)
{
	struct gw_str ca = gw_str_z(r->o->ca_path);

	if (r->o->host_name)
		snprintf(r->host, sizeof(r->host), "%s", r->o->host_name);
	if (gw_tls_client_ctx(GW_NIL, ca, &r->tls) == GW_OK)
		return true;
	fprintf(stderr, "llmgw-bench: the certificates %s%s cannot be used\n", ca.n ? "in " : "of this system",
		ca.n ? ca.p : "");
	return false;
}

static bool set_up(struct bench_run *r)
{
	uint32_t all = bench_plan_connections(&r->o->plan) + (uint32_t)r->o->hold_streams;
	char why[256] = "";

	if (gw_url_parse(gw_str_z(r->o->url), &r->url) != GW_OK || !find_address(r) ||
	    (r->url.is_https && !set_up_tls(r)))
		return false;
	memcpy(r->procs.roots, r->o->roots, sizeof(r->procs.roots));
	r->procs.n_roots = r->o->n_roots;
	if (!bench_procs_find(&r->procs, why, sizeof(why)) || !bench_requests_make(r, why, sizeof(why))) {
		fprintf(stderr, "llmgw-bench: %s\n", why);
		return false;
	}
	r->n_conns = bench_plan_connections(&r->o->plan);
	r->n_active = bench_plan_connections_at(&r->o->plan, 0);
	r->n_active = r->n_active ? r->n_active : 1;
	r->conns = calloc(all, sizeof(r->conns[0]));
	r->free_list = calloc(r->n_conns, sizeof(uint32_t));
	r->scratch = malloc(BENCH_SCRATCH);
	GW_REQUIRE(r->conns && r->free_list && r->scratch);
	for (uint32_t i = 0; i < all; i++)
		bench_conn_init(r, &r->conns[i], i >= r->n_conns);
	return true;
}

int bench_run(struct bench_run *r, const struct bench_options *o)
{
	*r = (struct bench_run){ .o = o };
	bench_rng_init(&r->rng, o->plan.seed);
	GW_REQUIRE(uv_loop_init(&r->loop) == 0);
	if (set_up(r)) {
		r->stats.base = bench_procs_read_all(&r->procs);
		GW_REQUIRE(uv_timer_init(&r->loop, &r->tick) == 0);
		r->tick.data = r;
		next_phase(r, BENCH_CONNECT);
		GW_REQUIRE(uv_timer_start(&r->tick, on_tick, 0, TICK_MS) == 0);
		uv_run(&r->loop, UV_RUN_DEFAULT);
		bench_steps_scrape(r, true);
		if (o->settle_ms > 0 && o->n_roots > 0 && r->result == 0) {
			gw_sleep_ms(o->settle_ms);
			r->stats.after = bench_procs_read_all(&r->procs);
		}
	} else {
		r->result = 1;
	}
	if (o->is_terminal && r->has_told)
		fputs("\r\033[K", stderr);
	for (uint32_t i = 0; r->conns && i < r->n_conns + o->hold_streams; i++)
		bench_conn_free(&r->conns[i]);
	gw_tls_ctx_free(r->tls);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	GW_REQUIRE(uv_loop_close(&r->loop) == 0);
	return r->result;
}

static void free_set(struct bench_set *s)
{
	bench_hist_free(&s->latency);
	bench_hist_free(&s->ttft);
	bench_hist_free(&s->gap);
}

void bench_run_free(struct bench_run *r)
{
	struct bench_stats *s = &r->stats;

	free_set(&s->all);
	for (int i = 0; i < BENCH_MAX_CLASSES; i++)
		free_set(&s->classes[i]);
	for (uint32_t i = 0; i < s->n_steps; i++)
		bench_hist_free(&s->steps[i].hist);
	bench_hist_free(&s->late);
	bench_hist_free(&s->now);
	bench_hist_free(&s->now_ttft);
	for (uint32_t i = 0; i < r->requests.n; i++)
		gw_wipe(r->requests.items[i].whole.p, r->requests.items[i].whole.n);
	if (r->requests.held.p)
		gw_wipe(r->requests.held.p, r->requests.held.n);
	bench_requests_free(&r->requests);
	bench_procs_free(&r->procs);
	free(r->conns);
	free(r->free_list);
	free(r->scratch);
}
