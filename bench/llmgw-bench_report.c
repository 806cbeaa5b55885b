/* The result as a table for people. */
#include "bench/llmgw-bench.h"

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static void put_hist(struct gw_buf *b, const char *name, const struct bench_hist *h)
{
	if (h->n > 0)
		gw_buf_printf(b, "%-14s p50 %10.1f   p90 %10.1f   p99 %10.1f   p99.9 %10.1f   max %10.1f µs   (%llu)\n",
			      name, bench_hist_us(h, 0.5), bench_hist_us(h, 0.9), bench_hist_us(h, 0.99),
			      bench_hist_us(h, 0.999), (double)h->max / 1000, (unsigned long long)h->n);
}

static void put_set(struct gw_buf *b, const struct bench_set *s)
{
	put_hist(b, "  latency", &s->latency);
	put_hist(b, "  first token", &s->ttft);
	put_hist(b, "  token gaps", &s->gap);
}

static void put_classes(struct gw_buf *b, const struct bench_run *r)
{
	const struct bench_plan *p = &r->o->plan;

	for (uint32_t i = 0; i < p->n_classes && p->n_classes > 1; i++) {
		gw_buf_printf(b, "%s, weight %llu, %llu errors\n", p->classes[i].name,
			      (unsigned long long)p->classes[i].weight, (unsigned long long)r->stats.classes[i].errors);
		put_set(b, &r->stats.classes[i]);
	}
}

static void put_processes(struct gw_buf *b, const struct bench_run *r, const struct bench_figures *f)
{
	const struct bench_stats *s = &r->stats;

	if (r->o->n_roots == 0)
		return;
	gw_buf_printf(b, "CPU            %.2f µs a request (%u processes, %.0f %% of a core)", f->per_request,
		      s->used.processes, 100 * per(f->cpu_us / 1e6, f->seconds));
	if (r->o->hold_streams > 0)
		gw_buf_printf(b, ", %.2f without the held streams", f->net_per_request);
	if (s->chunks > 0)
		gw_buf_printf(b, ", %.2f µs a chunk", f->per_chunk);
	gw_buf_printf(b, "\nmemory         %.1f MiB resident at the most, %.1f proportional at the end, %.1f before\n",
		      (double)s->peak_rss / 1048576, (double)s->used.pss_bytes / 1048576,
		      (double)s->base.pss_bytes / 1048576);
	if (r->o->hold_streams > 0 && s->held > 0)
		gw_buf_printf(b, "               %.1f KiB for each held stream\n",
			      ((double)s->quiet.pss_bytes - (double)s->base.pss_bytes) / 1024 / s->held);
	if (r->o->settle_ms > 0)
		gw_buf_printf(b, "               %.1f MiB proportional after all was closed\n",
			      (double)s->after.pss_bytes / 1048576);
	gw_buf_printf(b, "switches       %.2f voluntary and %.2f forced a request, %u threads\n",
		      per((double)s->used.voluntary, (double)s->in_window),
		      per((double)s->used.involuntary, (double)s->in_window), s->used.threads);
}

static void put_steps(struct gw_buf *b, const struct bench_stats *s)
{
	for (uint32_t i = 0; i < s->n_steps; i++)
		gw_buf_printf(b, "%s %-22s p50 %8.1f   p99 %8.1f µs   (Server-Timing)\n",
			      i ? "              " : "gateway's steps", s->steps[i].name,
			      bench_hist_us(&s->steps[i].hist, 0.5), bench_hist_us(&s->steps[i].hist, 0.99));
	for (uint32_t i = 0; i < s->n_metrics; i++)
		gw_buf_printf(b, "%s %-22s mean %7.1f   p99 <= %5.0f µs   (/metrics, %llu)\n",
			      i ? "              " : "gateway's steps", s->metrics[i].name,
			      per(s->metrics[i].sum_s * 1e6, (double)s->metrics[i].n), s->metrics[i].p99_us,
			      (unsigned long long)s->metrics[i].n);
}

void bench_report_text(const struct bench_run *r, struct gw_buf *b)
{
	const struct bench_stats *s = &r->stats;
	struct bench_figures f = bench_figures_of(r);
	const struct bench_plan *p = &r->o->plan;

	gw_buf_printf(b, "requests       %llu in %.2f s, %.1f a second, %u connections",
		      (unsigned long long)s->in_window, f.seconds, f.rps, bench_plan_connections(p));
	if (p->is_open && p->n_stages == 1 && p->stages[0].rate_to <= p->stages[0].rate_from)
		gw_buf_printf(b, ", %.0f a second offered%s", p->stages[0].rate_from,
			      p->is_poisson ? " (Poisson)" : "");
	else if (p->n_stages > 1 || p->is_open)
		gw_buf_printf(b, ", %u stages", p->n_stages);
	gw_buf_printf(b, "\nerrors         %llu", (unsigned long long)f.errors);
	for (int i = 0; i < BENCH_E_N; i++)
		if (s->errors[i])
			gw_buf_printf(b, "  %s %llu", bench_error_names[i], (unsigned long long)s->errors[i]);
	gw_buf_printf(b, "%s%s\n", *s->first_error ? "  first: " : "", s->first_error);
	put_hist(b, "latency", &s->all.latency);
	put_hist(b, "first token", &s->all.ttft);
	put_hist(b, "token gaps", &s->all.gap);
	put_classes(b, r);
	if (r->o->hold_streams > 0)
		gw_buf_printf(b, "held streams   %u, %.0f µs of CPU a second without other load\n", s->held,
			      f.quiet_us_per_s);
	put_processes(b, r, &f);
	put_steps(b, s);
	gw_buf_printf(b, "generator      %.0f %% of a core, starts late by p99 %.0f µs\n", 100 * f.own_share,
		      f.late_p99_us);
	if (!p->is_open)
		gw_buf_puts(b, GW_LIT("note           closed loop: a stall delays the next request, so latencies "
				      "flatter; use --rate for latency\n"));
	for (int i = 0; i < f.n_invalid; i++)
		gw_buf_printf(b, "INVALID        %s\n", f.invalid[i]);
}
