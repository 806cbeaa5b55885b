/* Figures by interval, for the charts: how the run went, not only how it ended. */
#include <string.h>
#include "bench/llmgw-bench.h"
#include "lib/sys/clock.h"

#define MS 1000000ull

void bench_series_begin(struct bench_run *r, uint64_t now)
{
	uint64_t length = r->o->plan.requests > 0 ? 0 : bench_plan_ms(&r->o->plan) / 240;

	r->point_ns = (length > 200 ? length : 200) * MS;
	r->point_began_ns = now;
	r->point_own_ns = gw_cpu_ns();
}

void bench_series_tick(struct bench_run *r, uint64_t now)
{
	struct bench_stats *s = &r->stats;
	struct bench_point *p;
	struct bench_use use;
	double seconds = (double)(now - r->point_began_ns) / 1e9;
	uint64_t own;

	if (now - r->point_began_ns < r->point_ns || s->n_points == BENCH_MAX_POINTS)
		return;
	p = &s->points[s->n_points++];
	*p = (struct bench_point){ .at_s = (double)(now - r->t0_ns) / 1e9 };
	p->rps = (double)(r->ended - r->point_ended) / seconds;
	p->offered = r->o->plan.is_open && now < r->window_to_ns && now > r->t0_ns
			 ? bench_plan_rate_at(&r->o->plan, now - r->t0_ns)
			 : 0;
	p->p50_us = bench_hist_us(&s->now, 0.5);
	p->p99_us = bench_hist_us(&s->now, 0.99);
	p->max_us = (double)s->now.max / 1000;
	p->ttft_p50_us = bench_hist_us(&s->now_ttft, 0.5);
	p->ttft_p99_us = bench_hist_us(&s->now_ttft, 0.99);
	p->errors = r->point_errors;
	p->in_flight = (uint32_t)r->in_flight;
	p->open = r->n_open;
	use = bench_procs_read(&r->procs);
	if (r->procs.has_begun && use.cpu_ns >= r->point_cpu_ns)
		p->cpu_share = (double)(use.cpu_ns - r->point_cpu_ns) / 1e9 / seconds;
	p->rss_mb = (double)use.rss_bytes / 1048576;
	s->peak_rss = use.rss_bytes > s->peak_rss ? use.rss_bytes : s->peak_rss;
	s->peak_open = r->n_open > s->peak_open ? r->n_open : s->peak_open;
	own = gw_cpu_ns();
	p->own_share = (double)(own - r->point_own_ns) / 1e9 / seconds;
	r->point_own_ns = own;
	r->point_cpu_ns = use.cpu_ns;
	r->point_ended = r->ended;
	r->point_errors = 0;
	r->point_began_ns = now;
	bench_hist_clear(&s->now);
	bench_hist_clear(&s->now_ttft);
}
