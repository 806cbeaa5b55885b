/* A run as figures and as one JSON object, which `report` and `compare` read again. Times are microseconds. */
#include <stdio.h>
#include "bench/llmgw-bench.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"

const char *const bench_error_names[BENCH_E_N] = {
	[BENCH_E_CONNECT] = "connect",        [BENCH_E_TLS] = "tls",
	[BENCH_E_CLOSED] = "closed",          [BENCH_E_TIMEOUT] = "timeout",
	[BENCH_E_GARBLED] = "garbled",        [BENCH_E_CUT_STREAM] = "cut_stream",
	[BENCH_E_401] = "status_401",         [BENCH_E_429] = "status_429",
	[BENCH_E_4XX] = "status_4xx",         [BENCH_E_5XX] = "status_5xx",
	[BENCH_E_STATUS] = "status_other",    [BENCH_E_NOT_STARTED] = "not_started",
	[BENCH_E_HELD] = "held_stream_ended",
};

/* When the generator has more to do than this it measures itself: shares of one core. */
static const double open_loop_share = 0.7, closed_loop_share = 0.95, max_late_us = 1000;

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

struct bench_figures bench_figures_of(const struct bench_run *r)
{
	const struct bench_stats *s = &r->stats;
	struct bench_figures f = { .seconds = (double)s->window_ns / 1e9 };

	for (int i = 0; i < BENCH_E_N; i++)
		f.errors += s->errors[i];
	f.rps = per((double)s->in_window, f.seconds);
	f.own_share = per((double)s->own_cpu_ns, (double)s->window_ns);
	f.late_p99_us = bench_hist_us(&s->late, 0.99);
	f.cpu_us = (double)s->used.cpu_ns / 1000;
	f.quiet_us_per_s = per((double)s->quiet_cpu_ns / 1000, (double)s->quiet_ns / 1e9);
	f.per_request = per(f.cpu_us, (double)s->in_window);
	f.net_per_request = per(f.cpu_us - f.quiet_us_per_s * f.seconds, (double)s->in_window);
	f.per_chunk = per(f.cpu_us, (double)s->chunks);
	f.p50_us = bench_hist_us(&s->all.latency, 0.5);
	f.p99_us = bench_hist_us(&s->all.latency, 0.99);
	f.ttft_p50_us = bench_hist_us(&s->all.ttft, 0.5);
	f.ttft_p99_us = bench_hist_us(&s->all.ttft, 0.99);
	if (f.own_share > (r->o->plan.is_open ? open_loop_share : closed_loop_share))
		f.invalid[f.n_invalid++] = "the load generator itself was saturated";
	if (f.late_p99_us > max_late_us)
		f.invalid[f.n_invalid++] = "requests started late (p99 above 1 ms)";
	if (s->all.latency.n == 0)
		f.invalid[f.n_invalid++] = "no request succeeded";
	return f;
}

static void put_f(struct gw_json_out *w, const char *key, double v)
{
	char text[48];

	snprintf(text, sizeof(text), "%.3f", v);
	gw_jw_key(w, gw_str_z(key));
	gw_jw_raw(w, gw_str_z(text));
}

/* Figures, and the curve for the chart: [share of requests, value] where something changes. */
static void put_hist(struct gw_json_out *w, const char *key, const struct bench_hist *h)
{
	static const double shares[] = { 0,     0.01,  0.05,  0.1,   0.2,    0.3,    0.4,     0.5,     0.6,      0.7,
					 0.8,   0.85,  0.9,   0.925, 0.95,   0.97,   0.98,    0.985,   0.99,     0.9925,
					 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9999, 0.99995, 0.99999, 0.999999, 1 };
	char text[64];

	gw_jw_key(w, gw_str_z(key));
	gw_jw_obj(w);
	gw_jw_ku64(w, "n", h->n);
	put_f(w, "mean", per((double)h->sum / 1000, (double)h->n));
	put_f(w, "p50", bench_hist_us(h, 0.5));
	put_f(w, "p75", bench_hist_us(h, 0.75));
	put_f(w, "p90", bench_hist_us(h, 0.9));
	put_f(w, "p99", bench_hist_us(h, 0.99));
	put_f(w, "p999", bench_hist_us(h, 0.999));
	put_f(w, "max", (double)h->max / 1000);
	gw_jw_key(w, GW_LIT("curve"));
	gw_jw_arr(w);
	for (size_t i = 0; h->n > 0 && i < sizeof(shares) / sizeof(shares[0]); i++) {
		if (shares[i] < 1 && (1 - shares[i]) * (double)h->n < 1) /* finer than there are values */
			continue;
		snprintf(text, sizeof(text), "[%.6f,%.1f]", shares[i], bench_hist_us(h, shares[i]));
		gw_jw_raw(w, gw_str_z(text));
	}
	gw_jw_end_arr(w);
	gw_jw_end_obj(w);
}

static void put_set(struct gw_json_out *w, const struct bench_set *s, bool is_stream)
{
	put_hist(w, "latency_us", &s->latency);
	if (!is_stream)
		return;
	put_hist(w, "ttft_us", &s->ttft);
	put_hist(w, "gap_us", &s->gap);
}

static void put_use(struct gw_json_out *w, const char *key, const struct bench_use *u)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_obj(w);
	gw_jw_ku64(w, "rss_bytes", u->rss_bytes);
	gw_jw_ku64(w, "pss_bytes", u->pss_bytes);
	gw_jw_ku64(w, "processes", u->processes);
	gw_jw_ku64(w, "threads", u->threads);
	gw_jw_end_obj(w);
}

static void put_processes(struct gw_json_out *w, const struct bench_run *r, const struct bench_figures *f)
{
	const struct bench_stats *s = &r->stats;

	gw_jw_key(w, GW_LIT("cpu"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "processes", s->used.processes);
	put_f(w, "us", f->cpu_us);
	put_f(w, "us_per_request", f->per_request);
	put_f(w, "us_per_chunk", f->per_chunk);
	put_f(w, "cores", per(f->cpu_us / 1e6, f->seconds));
	put_f(w, "held_us_per_second", f->quiet_us_per_s);
	put_f(w, "us_per_request_without_held", f->net_per_request);
	put_f(w, "voluntary_switches_per_request", per((double)s->used.voluntary, (double)s->in_window));
	put_f(w, "involuntary_switches_per_request", per((double)s->used.involuntary, (double)s->in_window));
	gw_jw_end_obj(w);
	gw_jw_key(w, GW_LIT("memory"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "peak_rss_bytes", s->peak_rss);
	put_use(w, "before", &s->base);
	if (r->o->hold_streams > 0)
		put_use(w, "held", &s->quiet);
	put_use(w, "end", &s->used);
	if (r->o->settle_ms > 0)
		put_use(w, "after", &s->after);
	gw_jw_end_obj(w);
}

static void put_classes(struct gw_json_out *w, const struct bench_run *r)
{
	static const char *const kinds[] = { "chat", "stream", "embeddings" };
	const struct bench_plan *p = &r->o->plan;

	gw_jw_key(w, GW_LIT("classes"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < p->n_classes; i++) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "name", gw_str_z(p->classes[i].name));
		gw_jw_kstr(w, "kind", gw_str_z(kinds[p->classes[i].kind]));
		gw_jw_ku64(w, "weight", p->classes[i].weight);
		gw_jw_ku64(w, "errors", r->stats.classes[i].errors);
		put_set(w, &r->stats.classes[i], p->classes[i].kind == BENCH_STREAM);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_steps(struct gw_json_out *w, const struct bench_stats *s)
{
	gw_jw_key(w, GW_LIT("server_timing"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < s->n_steps; i++) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "name", gw_str_z(s->steps[i].name));
		gw_jw_ku64(w, "n", s->steps[i].hist.n);
		put_f(w, "mean", per((double)s->steps[i].hist.sum / 1000, (double)s->steps[i].hist.n));
		put_f(w, "p50", bench_hist_us(&s->steps[i].hist, 0.5));
		put_f(w, "p99", bench_hist_us(&s->steps[i].hist, 0.99));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
	gw_jw_key(w, GW_LIT("metrics"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < s->n_metrics; i++) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "name", gw_str_z(s->metrics[i].name));
		gw_jw_ku64(w, "n", s->metrics[i].n);
		put_f(w, "mean", per(s->metrics[i].sum_s * 1e6, (double)s->metrics[i].n));
		put_f(w, "p50", s->metrics[i].p50_us);
		put_f(w, "p99", s->metrics[i].p99_us);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_points(struct gw_json_out *w, const struct bench_stats *s)
{
	gw_jw_key(w, GW_LIT("points"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < s->n_points; i++) {
		const struct bench_point *p = &s->points[i];

		gw_jw_obj(w);
		put_f(w, "t", p->at_s);
		put_f(w, "rps", p->rps);
		put_f(w, "offered", p->offered);
		put_f(w, "p50", p->p50_us);
		put_f(w, "p99", p->p99_us);
		put_f(w, "max", p->max_us);
		put_f(w, "ttft_p50", p->ttft_p50_us);
		put_f(w, "ttft_p99", p->ttft_p99_us);
		put_f(w, "cores", p->cpu_share);
		put_f(w, "own_cores", p->own_share);
		put_f(w, "rss_mib", p->rss_mb);
		gw_jw_ku64(w, "errors", p->errors);
		gw_jw_ku64(w, "in_flight", p->in_flight);
		gw_jw_ku64(w, "connections", p->open);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_load(struct gw_json_out *w, const struct bench_run *r)
{
	const struct bench_plan *p = &r->o->plan;

	gw_jw_kstr(w, "tool", GW_LIT("llmgw-bench " LLMGW_VERSION));
	gw_jw_ki64(w, "unix_us", gw_unix_us());
	gw_jw_kstr(w, "label", gw_str_z(r->o->label ? r->o->label : ""));
	gw_jw_kstr(w, "url", gw_str_z(r->o->url));
	gw_jw_kstr(w, "loop", p->is_open ? GW_LIT("open") : GW_LIT("closed"));
	gw_jw_kstr(w, "arrivals",
		   !p->is_open     ? GW_LIT("on answer")
		   : p->is_poisson ? GW_LIT("poisson")
				   : GW_LIT("constant"));
	put_f(w, "rate", p->stages[0].rate_from);
	gw_jw_ku64(w, "connections", bench_plan_connections(p));
	gw_jw_ku64(w, "peak_connections", r->stats.peak_open);
	gw_jw_ku64(w, "think_ms", p->think_ms);
	gw_jw_ku64(w, "keys", p->keys.n);
	gw_jw_key(w, GW_LIT("stages"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < p->n_stages; i++) {
		gw_jw_obj(w);
		put_f(w, "seconds", (double)p->stages[i].ms / 1000);
		put_f(w, "rate_from", p->stages[i].rate_from);
		put_f(w, "rate_to", p->stages[i].rate_to);
		gw_jw_ku64(w, "connections_from", p->stages[i].conns_from);
		gw_jw_ku64(w, "connections_to", p->stages[i].conns_to);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_errors(struct gw_json_out *w, const struct bench_stats *s, uint64_t errors)
{
	gw_jw_ku64(w, "errors", errors);
	gw_jw_key(w, GW_LIT("errors_by_kind"));
	gw_jw_obj(w);
	for (int i = 0; i < BENCH_E_N; i++)
		if (s->errors[i])
			gw_jw_ku64(w, bench_error_names[i], s->errors[i]);
	gw_jw_end_obj(w);
	gw_jw_kstr(w, "first_error", gw_str_z(s->first_error));
	gw_jw_ku64(w, "reconnects", s->reconnects);
}

void bench_result_json(const struct bench_run *r, struct gw_buf *out)
{
	const struct bench_stats *s = &r->stats;
	struct bench_figures f = bench_figures_of(r);
	struct gw_json_out w;
	bool has_streams = false;

	for (uint32_t i = 0; i < r->o->plan.n_classes; i++)
		has_streams = has_streams || r->o->plan.classes[i].kind == BENCH_STREAM;
	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	put_load(&w, r);
	gw_jw_ku64(&w, "held_streams", s->held);
	put_f(&w, "seconds", f.seconds);
	gw_jw_ku64(&w, "requests", s->all.latency.n);
	gw_jw_ku64(&w, "requests_in_window", s->in_window);
	gw_jw_ku64(&w, "bytes_in", s->bytes_in);
	put_f(&w, "rps", f.rps);
	put_errors(&w, s, f.errors);
	put_set(&w, &s->all, has_streams);
	if (has_streams)
		gw_jw_ku64(&w, "chunks_in_window", s->chunks);
	put_processes(&w, r, &f);
	put_classes(&w, r);
	put_steps(&w, s);
	put_points(&w, s);
	gw_jw_key(&w, GW_LIT("generator"));
	gw_jw_obj(&w);
	put_f(&w, "core_share", f.own_share);
	put_f(&w, "late_p99_us", f.late_p99_us);
	gw_jw_end_obj(&w);
	gw_jw_kbool(&w, "valid", f.n_invalid == 0);
	gw_jw_key(&w, GW_LIT("invalid_because"));
	gw_jw_arr(&w);
	for (int i = 0; i < f.n_invalid; i++)
		gw_jw_str(&w, gw_str_z(f.invalid[i]));
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
}
