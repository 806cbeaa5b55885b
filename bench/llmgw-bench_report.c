/* The result: a table for people, one JSON object for programs, and whether the numbers deserve to be believed. */
#include <stdio.h>
#include "bench/llmgw-bench.h"
#include "lib/json_write.h"

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

struct figures { /* derived from the counters */
	double seconds, rps, own_share, late_p99_us, cpu_us, quiet_us_per_s, per_request, net_per_request, per_chunk;
	uint64_t errors;
	const char *invalid[4];
	int n_invalid;
};

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static struct figures figures_of(const struct bench_run *r)
{
	const struct bench_stats *s = &r->stats;
	struct figures f = { .seconds = (double)s->window_ns / 1e9 };

	for (int i = 0; i < BENCH_E_N; i++)
		f.errors += s->errors[i];
	f.rps = per((double)s->in_window, f.seconds);
	f.own_share = per((double)s->own_cpu_ns, (double)s->window_ns);
	f.late_p99_us = bench_hist_us(&s->late, 0.99);
	f.cpu_us = (double)s->cpu_ns / 1000;
	f.quiet_us_per_s = per((double)s->quiet_cpu_ns / 1000, (double)s->quiet_ns / 1e9);
	f.per_request = per(f.cpu_us, (double)s->in_window);
	f.net_per_request = per(f.cpu_us - f.quiet_us_per_s * f.seconds, (double)s->in_window);
	f.per_chunk = per(f.cpu_us, (double)s->chunks);
	if (f.own_share > (bench_options.rate ? open_loop_share : closed_loop_share))
		f.invalid[f.n_invalid++] = "the load generator itself was saturated";
	if (f.late_p99_us > max_late_us)
		f.invalid[f.n_invalid++] = "requests started late (p99 above 1 ms)";
	if (s->latency.n == 0)
		f.invalid[f.n_invalid++] = "no request succeeded";
	return f;
}

static void put_f(struct gw_json_out *w, const char *key, double v)
{
	char text[40];

	snprintf(text, sizeof(text), "%.2f", v);
	gw_jw_key(w, gw_str_z(key));
	gw_jw_raw(w, gw_str_z(text));
}

static void put_hist(struct gw_json_out *w, const char *key, const struct bench_hist *h)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_obj(w);
	gw_jw_ku64(w, "n", h->n);
	put_f(w, "mean", per((double)h->sum / 1000, (double)h->n));
	put_f(w, "p50", bench_hist_us(h, 0.5));
	put_f(w, "p90", bench_hist_us(h, 0.9));
	put_f(w, "p99", bench_hist_us(h, 0.99));
	put_f(w, "p999", bench_hist_us(h, 0.999));
	put_f(w, "max", (double)h->max / 1000);
	gw_jw_end_obj(w);
}

static void put_cpu(struct gw_json_out *w, const struct bench_stats *s, const struct figures *f)
{
	gw_jw_key(w, GW_LIT("cpu"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "processes", s->processes);
	put_f(w, "us", f->cpu_us);
	put_f(w, "us_per_request", f->per_request);
	put_f(w, "us_per_chunk", f->per_chunk);
	put_f(w, "held_us_per_second", f->quiet_us_per_s);
	put_f(w, "us_per_request_without_held", f->net_per_request);
	gw_jw_end_obj(w);
}

static void report_json(const struct bench_run *r, const struct figures *f)
{
	const struct bench_stats *s = &r->stats;
	struct gw_buf b;
	struct gw_json_out w;

	gw_buf_init(&b, 65536);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "url", gw_str_z(bench_options.url));
	gw_jw_kstr(&w, "loop", bench_options.rate ? GW_LIT("open") : GW_LIT("closed"));
	gw_jw_ku64(&w, "rate", bench_options.rate);
	gw_jw_ku64(&w, "connections", bench_options.connections);
	gw_jw_ku64(&w, "held_streams", s->held);
	put_f(&w, "seconds", f->seconds);
	gw_jw_ku64(&w, "requests", s->latency.n);
	gw_jw_ku64(&w, "requests_in_window", s->in_window);
	put_f(&w, "rps", f->rps);
	gw_jw_ku64(&w, "errors", f->errors);
	gw_jw_key(&w, GW_LIT("errors_by_kind"));
	gw_jw_obj(&w);
	for (int i = 0; i < BENCH_E_N; i++)
		if (s->errors[i])
			gw_jw_ku64(&w, bench_error_names[i], s->errors[i]);
	gw_jw_end_obj(&w);
	gw_jw_kstr(&w, "first_error", gw_str_z(s->first_error));
	gw_jw_ku64(&w, "reconnects", s->reconnects);
	put_hist(&w, "latency_us", &s->latency);
	if (bench_options.is_stream) {
		gw_jw_ku64(&w, "chunks_in_window", s->chunks);
		put_hist(&w, "ttft_us", &s->ttft);
		put_hist(&w, "gap_us", &s->gap);
	}
	put_cpu(&w, s, f);
	gw_jw_key(&w, GW_LIT("generator"));
	gw_jw_obj(&w);
	put_f(&w, "core_share", f->own_share);
	put_f(&w, "late_p99_us", f->late_p99_us);
	gw_jw_end_obj(&w);
	gw_jw_kbool(&w, "valid", f->n_invalid == 0);
	gw_jw_key(&w, GW_LIT("invalid_because"));
	gw_jw_arr(&w);
	for (int i = 0; i < f->n_invalid; i++)
		gw_jw_str(&w, gw_str_z(f->invalid[i]));
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	printf("%.*s\n", GW_FMT(gw_buf_view(&b)));
	gw_buf_done(&b);
}

static void print_hist(const char *name, const struct bench_hist *h)
{
	if (h->n > 0)
		printf("%-14s p50 %10.1f   p90 %10.1f   p99 %10.1f   p99.9 %10.1f   max %10.1f µs   (%llu)\n", name,
		       bench_hist_us(h, 0.5), bench_hist_us(h, 0.9), bench_hist_us(h, 0.99), bench_hist_us(h, 0.999),
		       (double)h->max / 1000, (unsigned long long)h->n);
}

static void report_text(const struct bench_run *r, const struct figures *f)
{
	const struct bench_stats *s = &r->stats;

	printf("requests       %llu in %.2f s, %.1f a second, %llu connections", (unsigned long long)s->in_window,
	       f->seconds, f->rps, (unsigned long long)bench_options.connections);
	if (bench_options.rate)
		printf(", %llu a second offered", (unsigned long long)bench_options.rate);
	printf("\nerrors         %llu", (unsigned long long)f->errors);
	for (int i = 0; i < BENCH_E_N; i++)
		if (s->errors[i])
			printf("  %s %llu", bench_error_names[i], (unsigned long long)s->errors[i]);
	printf("%s%s\n", *s->first_error ? "  first: " : "", s->first_error);
	print_hist("latency", &s->latency);
	print_hist("first token", &s->ttft);
	print_hist("token gaps", &s->gap);
	if (bench_options.hold_streams > 0)
		printf("held streams   %u, %.0f µs of CPU a second without other load\n", s->held, f->quiet_us_per_s);
	if (bench_options.n_roots > 0) {
		printf("CPU            %.2f µs a request (%u processes, %.0f %% of a core)", f->per_request,
		       s->processes, 100 * per(f->cpu_us / 1e6, f->seconds));
		if (bench_options.hold_streams > 0)
			printf(", %.2f without the held streams", f->net_per_request);
		if (s->chunks > 0)
			printf(", %.2f µs a chunk", f->per_chunk);
		printf("\n");
	}
	printf("generator      %.0f %% of a core, starts late by p99 %.0f µs\n", 100 * f->own_share, f->late_p99_us);
	for (int i = 0; i < f->n_invalid; i++)
		printf("INVALID        %s\n", f->invalid[i]);
}

int bench_report(const struct bench_run *r)
{
	struct figures f = figures_of(r);

	if (bench_options.is_json)
		report_json(r, &f);
	else
		report_text(r, &f);
	return bench_options.is_self_check && f.n_invalid > 0 ? 3 : 0;
}
