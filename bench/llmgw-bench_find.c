/* find-max: runs at rates that llmgw-bench_search.c chooses. */
#include <stdio.h>
#include "bench/llmgw-bench_cli.h"
#include "lib/json_write.h"

enum { MAX_RUNS = 1000 };

struct finding {
	struct bench_cli *c;
	struct gw_buf *results, table;
	size_t n;
	bool is_broken;
	double doubtful_at; /* lowest rate at which only the generator failed */
};

static void set_rate(struct bench_plan *p, double rate)
{
	p->is_open = true;
	for (uint32_t i = 0; i < p->n_stages; i++)
		p->stages[i].rate_from = p->stages[i].rate_to = rate;
}

static bool try_rate(void *ctx, double rate, bool is_confirmation)
{
	struct finding *f = ctx;
	static struct bench_run run;
	struct bench_cli *c = f->c;
	struct bench_figures g;
	char label[64];
	bool kept, held;

	if (f->is_broken)
		return false;
	snprintf(label, sizeof(label), "%.0f/s%s", rate, is_confirmation ? " again" : "");
	c->o.label = label;
	set_rate(&c->o.plan, rate);
	if (bench_run(&run, &c->o) != 0) {
		f->is_broken = true;
		bench_run_free(&run);
		return false;
	}
	g = bench_figures_of(&run);
	kept = g.errors == 0 && run.stats.all.latency.n > 0 && g.p99_us <= (double)c->p99_ms * 1000 &&
	       (c->ttft_p99_ms == 0 || g.ttft_p99_us <= (double)c->ttft_p99_ms * 1000);
	held = kept && g.n_invalid == 0;
	if (kept && !held && (f->doubtful_at <= 0 || rate < f->doubtful_at))
		f->doubtful_at = rate;
	gw_buf_printf(&f->table, "%10.0f/s  p50 %9.2f ms  p99 %9.2f ms  %6llu errors  %s%s%s\n", rate, g.p50_us / 1000,
		      g.p99_us / 1000, (unsigned long long)g.errors,
		      held   ? "holds"
		      : kept ? "doubtful: "
			     : "does not hold",
		      kept && !held ? g.invalid[0] : "", is_confirmation ? " (confirmation)" : "");
	if (!c->o.is_silent && !c->is_json) {
		fprintf(stderr, "llmgw-bench: %s p99 %.2f ms, %llu errors: %s\n", label, g.p99_us / 1000,
			(unsigned long long)g.errors,
			held   ? "holds"
			: kept ? "doubtful"
			       : "does not hold");
	}
	if (f->n < MAX_RUNS) {
		gw_buf_init(&f->results[f->n], 16 << 20);
		bench_result_json(&run, &f->results[f->n++]);
	}
	bench_run_free(&run);
	return held;
}

static void put_summary(struct gw_buf *b, const struct finding *f, const struct bench_search_result *r)
{
	struct gw_json_out w;

	gw_jw_init(&w, b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "command", GW_LIT("find-max"));
	gw_jw_ku64(&w, "max_rate", (uint64_t)r->rate);
	gw_jw_kbool(&w, "confirmed", r->is_confirmed);
	gw_jw_kbool(&w, "at_limit", r->is_at_max);
	gw_jw_ku64(&w, "failed_at", (uint64_t)r->failed_at);
	gw_jw_ku64(&w, "generator_limit", (uint64_t)f->doubtful_at);
	gw_jw_ku64(&w, "p99_bound_ms", f->c->p99_ms);
	gw_jw_ku64(&w, "runs", r->runs);
	gw_jw_end_obj(&w);
}

static void put_verdict(struct finding *f, const struct bench_search_result *r)
{
	if (r->rate > 0)
		gw_buf_printf(
		    &f->table, "highest rate     %.0f requests a second with p99 <= %llu ms and no failure%s\n",
		    r->rate, (unsigned long long)f->c->p99_ms, r->is_at_max ? " (--max-rate: more was not tried)" : "");
	else
		gw_buf_printf(&f->table, "highest rate     none held; the lowest that failed was %.0f a second\n",
			      r->failed_at);
	if (f->doubtful_at > 0)
		gw_buf_printf(&f->table,
			      "note             from %.0f a second on the load generator could not keep up: the "
			      "gateway may do more than "
			      "this machine can show\n",
			      f->doubtful_at);
}

int bench_cmd_find(struct bench_cli *c)
{
	static struct gw_buf results[MAX_RUNS];
	static struct gw_str texts[MAX_RUNS];
	struct finding f = { .c = c, .results = results };
	struct bench_search_rules rules;
	struct bench_search_result r;
	struct gw_buf summary;
	int result;

	bench_cli_plan(c, c->o.key_file, c->model);
	if (!c->o.url)
		bench_die("--url is required, see find-max --help");
	if (c->o.plan.think_ms > 0)
		bench_die("find-max is about rates: a profile with think time has none");
	if (c->start_rate == 0 || c->max_rate < c->start_rate || c->precision == 0)
		bench_die("find-max wants --start-rate >= 1, --max-rate not below it and --precision >= 1");
	rules = (struct bench_search_rules){ (double)c->start_rate, (double)c->max_rate, (double)c->precision / 100,
					     (uint32_t)c->confirm, (uint32_t)c->max_runs };
	gw_buf_init(&f.table, 1 << 20);
	r = bench_search(&rules, try_rate, &f);
	result = f.is_broken ? 1 : 0;
	if (result == 0) {
		gw_buf_init(&summary, 65536);
		put_verdict(&f, &r);
		put_summary(&summary, &f, &r);
		for (size_t i = 0; i < f.n; i++)
			texts[i] = gw_buf_view(&results[i]);
		result = bench_emit(c, texts, f.n, gw_buf_view(&summary), gw_buf_view(&f.table));
		gw_buf_done(&summary);
		if (result == 0 && r.rate <= 0)
			result = 1;
	}
	for (size_t i = 0; i < f.n; i++)
		gw_buf_done(&results[i]);
	gw_buf_done(&f.table);
	bench_plan_free(&c->o.plan);
	return result;
}
