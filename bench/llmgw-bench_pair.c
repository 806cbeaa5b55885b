/* pair: two targets in turn, medians, and the median of the rounds' ratios. */
#include <stdio.h>
#include "bench/llmgw-bench_cli.h"
#include "lib/json_write.h"

enum { MAX_ROUNDS = 100, N_FIGURES = 7 };
static const char *const figure_names[N_FIGURES] = { "p50_us",          "p99_us", "ttft_p50_us",
						     "ttft_p99_us",     "rps",    "cpu_us_per_request",
						     "cpu_us_per_chunk" };
struct side {
	double figures[N_FIGURES][MAX_ROUNDS];
	uint64_t errors, doubtful;
};

struct pairing {
	struct bench_cli *c;
	struct side sides[2];
	struct gw_buf results[2 * MAX_ROUNDS];
	size_t n;
};

static const char *label_of(const struct bench_cli *c, int k)
{
	return c->labels[k] ? c->labels[k] : k ? "B" : "A";
}

static int run_one(struct pairing *p, int k, uint64_t round)
{
	static struct bench_run run;
	struct bench_options o = p->c->o;
	struct bench_figures f;
	int result;

	o.url = p->c->urls[k];
	o.label = label_of(p->c, k);
	o.n_roots = p->c->trees[k] ? 1 : 0;
	o.roots[0] = (struct bench_root){ p->c->trees[k], true };
	result = bench_run(&run, &o);
	if (result == 0) {
		double row[N_FIGURES];

		f = bench_figures_of(&run);
		row[0] = f.p50_us, row[1] = f.p99_us, row[2] = f.ttft_p50_us, row[3] = f.ttft_p99_us;
		row[4] = f.rps, row[5] = f.per_request, row[6] = f.per_chunk;
		for (int i = 0; i < N_FIGURES; i++)
			p->sides[k].figures[i][round] = row[i];
		p->sides[k].errors += f.errors;
		p->sides[k].doubtful += f.n_invalid > 0;
		gw_buf_init(&p->results[p->n], 16 << 20);
		bench_result_json(&run, &p->results[p->n++]);
	}
	bench_run_free(&run);
	return result;
}

static void summary(struct pairing *p, uint64_t rounds, struct gw_buf *json, struct gw_buf *table)
{
	struct gw_json_out w;
	double ratios[MAX_ROUNDS], a, b;
	char text[160];

	gw_jw_init(&w, json);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "command", GW_LIT("pair"));
	gw_jw_kstr(&w, "a", gw_str_z(label_of(p->c, 0)));
	gw_jw_kstr(&w, "b", gw_str_z(label_of(p->c, 1)));
	gw_jw_ku64(&w, "rounds", rounds);
	gw_jw_ku64(&w, "a_errors", p->sides[0].errors);
	gw_jw_ku64(&w, "b_errors", p->sides[1].errors);
	gw_jw_ku64(&w, "doubtful_runs", p->sides[0].doubtful + p->sides[1].doubtful);
	gw_buf_printf(table, "%-20s %12s %12s %12s %8s\n", "median of the rounds", label_of(p->c, 0), label_of(p->c, 1),
		      "B - A", "B / A");
	for (int i = 0; i < N_FIGURES; i++) {
		size_t n = 0;

		for (uint64_t k = 0; k < rounds; k++)
			if (p->sides[0].figures[i][k] > 0)
				ratios[n++] = p->sides[1].figures[i][k] / p->sides[0].figures[i][k];
		a = bench_median(p->sides[0].figures[i], rounds);
		b = bench_median(p->sides[1].figures[i], rounds);
		if (a <= 0 && b <= 0)
			continue;
		snprintf(text, sizeof(text), "{\"a\":%.2f,\"b\":%.2f,\"added\":%.2f,\"ratio\":%.4f}", a, b, b - a,
			 bench_median(ratios, n));
		gw_jw_key(&w, gw_str_z(figure_names[i]));
		gw_jw_raw(&w, gw_str_z(text));
		gw_buf_printf(table, "%-20s %12.1f %12.1f %12.1f", figure_names[i], a, b, b - a);
		if (n > 0)
			gw_buf_printf(table, " %8.3f", bench_median(ratios, n));
		gw_buf_putc(table, '\n');
	}
	gw_jw_end_obj(&w);
	gw_buf_printf(table, "errors               %12llu %12llu\n", (unsigned long long)p->sides[0].errors,
		      (unsigned long long)p->sides[1].errors);
	if (p->sides[0].doubtful + p->sides[1].doubtful > 0)
		gw_buf_printf(
		    table, "INVALID              %llu of %llu runs are doubtful: the generator was saturated or late\n",
		    (unsigned long long)(p->sides[0].doubtful + p->sides[1].doubtful),
		    (unsigned long long)(2 * rounds));
}

int bench_cmd_pair(struct bench_cli *c)
{
	static struct pairing p;
	static struct gw_str texts[2 * MAX_ROUNDS];
	struct bench_plan plans[2];
	struct gw_buf json, table;
	int result = 0;

	p.c = c;
	if (!c->urls[0] || !c->urls[1])
		bench_die("--a URL and --b URL are required, see pair --help");
	if (c->rounds == 0)
		bench_die("--rounds wants at least 1");
	for (int k = 0; k < 2; k++) {
		bench_cli_plan(c, c->key_files[k], c->models[k] ? c->models[k] : c->model);
		plans[k] = c->o.plan;
	}
	for (uint64_t round = 0; round < c->rounds && result == 0; round++)
		for (int i = 0; i < 2 && result == 0; i++) {
			int k = (int)((round + (uint64_t)i) % 2);

			c->o.plan = plans[k];
			result = run_one(&p, k, round);
		}
	if (result == 0) {
		gw_buf_init(&json, 1 << 20);
		gw_buf_init(&table, 1 << 20);
		summary(&p, c->rounds, &json, &table);
		for (size_t i = 0; i < p.n; i++)
			texts[i] = gw_buf_view(&p.results[i]);
		result = bench_emit(c, texts, p.n, gw_buf_view(&json), gw_buf_view(&table));
		if (result == 0 && c->must_succeed && p.sides[0].errors + p.sides[1].errors > 0)
			result = 4;
		if (result == 0 && c->is_self_check && p.sides[0].doubtful + p.sides[1].doubtful > 0)
			result = 3;
		gw_buf_done(&json);
		gw_buf_done(&table);
	}
	for (size_t i = 0; i < p.n; i++)
		gw_buf_done(&p.results[i]);
	bench_plan_free(&plans[0]);
	bench_plan_free(&plans[1]);
	return result;
}
