/* tune: one knob at a time, each value in turn with the plain gateway, then the best ones together. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench/llmgw-bench_gateway.h"
#include "lib/json_write.h"

enum { MAX_ROUNDS = 100 };
static const double worth = 0.03; /* a gain below this is not told from noise */

struct measure {
	double value, p99_us;
	uint64_t errors, doubtful;
};
struct verdict { /* a set of knobs against the plain gateway */
	double ratio, base, value, p99_us;
	uint64_t errors, doubtful;
};

struct tuning {
	struct bench_cli *c;
	char gateway[512];
	const char *upstream;
	struct bench_child plain;
	struct gw_buf results, table, rows; /* results: JSON lines of all runs */
	struct gw_json_out w;
	char why[1024];
};

bool bench_knob_read(const char *text, struct bench_knob *k)
{
	struct gw_str place, rest, name, values, v;

	*k = (struct bench_knob){ 0 };
	if (!gw_str_cut(gw_str_z(text), ':', &place, &rest) || !gw_str_cut(rest, '=', &name, &values) || name.n == 0 ||
	    name.n >= sizeof(k->name))
		return false;
	if (!gw_str_eq(place, GW_LIT("boot")) && !gw_str_eq(place, GW_LIT("settings")) &&
	    !gw_str_eq(place, GW_LIT("provider")))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if ((name.p[i] < 'a' || name.p[i] > 'z') && name.p[i] != '_')
			return false;
	memcpy(k->place, place.p, place.n);
	memcpy(k->name, name.p, name.n);
	while (values.n > 0) {
		gw_str_cut(values, ',', &v, &values);
		if (v.n == 0 || v.n >= sizeof(k->values[0]) || k->n == 16)
			return false;
		memcpy(k->values[k->n++], v.p, v.n);
	}
	return k->n > 0;
}

static double goal_of(const struct bench_cli *c, const struct bench_figures *f)
{
	if (strcmp(c->goal, "cpu") == 0)
		return f->per_chunk > 0 ? f->per_chunk : f->per_request;
	if (strcmp(c->goal, "p50") == 0)
		return f->p50_us;
	if (strcmp(c->goal, "p99") == 0)
		return f->p99_us;
	return f->rps > 0 ? 1e6 / f->rps : 0; /* less is better for all */
}

static bool run_one(struct tuning *t, struct bench_child *g, const char *label, struct measure *m)
{
	static struct bench_run run;
	struct bench_options o = t->c->o;
	struct bench_figures f;
	char *keys[1] = { g->key };
	bool ok;

	o.url = g->url;
	o.label = label;
	o.n_roots = 1;
	o.roots[0] = (struct bench_root){ g->pid, true };
	o.plan.keys = (struct bench_names){ keys, 1 };
	ok = bench_run(&run, &o) == 0;
	if (ok) {
		f = bench_figures_of(&run);
		m->value = goal_of(t->c, &f);
		m->p99_us = f.p99_us;
		m->errors += f.errors;
		m->doubtful += f.n_invalid > 0;
		bench_result_json(&run, &t->results);
		gw_buf_putc(&t->results, '\n');
	}
	bench_run_free(&run);
	return ok;
}

/* The knobs in `set` against the plain gateway, in turn. */
static bool judge(struct tuning *t, const struct bench_setting *set, size_t n_set, const char *label, struct verdict *v)
{
	struct bench_child other = { 0 };
	double ratios[MAX_ROUNDS], base[MAX_ROUNDS], value[MAX_ROUNDS], p99[MAX_ROUNDS];
	struct measure m[2] = { 0 };
	uint64_t rounds = t->c->rounds;
	bool ok = bench_gateway_start(&other, t->gateway, t->upstream, set, n_set, t->why, sizeof(t->why));

	for (uint64_t i = 0; ok && i < rounds; i++) {
		for (int k = 0; ok && k < 2; k++) {
			bool is_plain = (i + (uint64_t)k) % 2 == 0;

			ok = run_one(t, is_plain ? &t->plain : &other, is_plain ? "plain" : label, &m[!is_plain]);
		}
		base[i] = m[0].value, value[i] = m[1].value, p99[i] = m[1].p99_us;
		ratios[i] = m[0].value > 0 ? m[1].value / m[0].value : 1;
	}
	bench_child_stop(&other);
	if (!ok)
		return false;
	*v = (struct verdict){ bench_median(ratios, rounds),
			       bench_median(base, rounds),
			       bench_median(value, rounds),
			       bench_median(p99, rounds),
			       m[1].errors,
			       m[0].doubtful + m[1].doubtful };
	return true;
}

static bool is_allowed(const struct tuning *t, const struct verdict *v)
{
	return v->errors == 0 && (t->c->p99_ms == 0 || v->p99_us <= (double)t->c->p99_ms * 1000);
}

static void tell(struct tuning *t, const char *name, const char *value, const struct verdict *v)
{
	char line[240], text[200];

	snprintf(line, sizeof(line), "%-28s %-10s %9.2f (plain %9.2f)  ratio %5.3f  p99 %8.2f ms  %llu errors%s\n",
		 name, value, v->value, v->base, v->ratio, v->p99_us / 1000, (unsigned long long)v->errors,
		 v->doubtful ? "  doubtful" : "");
	gw_buf_puts(&t->table, gw_str_z(line));
	if (!t->c->o.is_silent)
		fputs(line, stderr);
	gw_jw_obj(&t->w);
	gw_jw_kstr(&t->w, "knob", gw_str_z(name));
	gw_jw_kstr(&t->w, "value", gw_str_z(value));
	snprintf(text, sizeof(text), "%.4f", v->ratio);
	gw_jw_key(&t->w, GW_LIT("ratio"));
	gw_jw_raw(&t->w, gw_str_z(text));
	snprintf(text, sizeof(text), "%.2f", v->value);
	gw_jw_key(&t->w, GW_LIT("median"));
	gw_jw_raw(&t->w, gw_str_z(text));
	snprintf(text, sizeof(text), "%.2f", v->base);
	gw_jw_key(&t->w, GW_LIT("plain"));
	gw_jw_raw(&t->w, gw_str_z(text));
	gw_jw_ku64(&t->w, "errors", v->errors);
	gw_jw_ku64(&t->w, "doubtful_runs", v->doubtful);
	gw_jw_end_obj(&t->w);
}

static uint32_t default_knobs(struct bench_knob *knobs)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	char workers[80];

	snprintf(workers, sizeof(workers), cores > 1 ? "boot:workers=1,%ld,%ld" : "boot:workers=1,2", cores, 2 * cores);
	GW_REQUIRE(bench_knob_read(workers, &knobs[0]) &&
		   bench_knob_read("boot:ring_size=8MiB,32MiB,128MiB", &knobs[1]) &&
		   bench_knob_read("provider:max_connections=64,256,1024", &knobs[2]));
	return 3;
}

/* Every value of every knob; the best of each into `best`. */
static bool sweep(struct tuning *t, const struct bench_knob *knobs, uint32_t n, struct bench_setting *best,
		  size_t *n_best)
{
	for (uint32_t i = 0; i < n; i++) {
		double least = 1 - worth;
		int at = -1;

		for (uint32_t k = 0; k < knobs[i].n; k++) {
			struct bench_setting s = { knobs[i].place, knobs[i].name, knobs[i].values[k] };
			struct verdict v;
			char name[80];

			snprintf(name, sizeof(name), "%.15s:%.47s", s.place, s.name);
			if (!judge(t, &s, 1, s.value, &v)) {
				fprintf(stderr, "llmgw-bench: %s=%s: %s\n", name, s.value, t->why);
				return false;
			}
			tell(t, name, s.value, &v);
			if (v.ratio < least && is_allowed(t, &v)) {
				least = v.ratio;
				at = (int)k;
			}
		}
		if (at >= 0)
			best[(*n_best)++] =
			    (struct bench_setting){ knobs[i].place, knobs[i].name, knobs[i].values[at] };
	}
	return true;
}

static bool conclude(struct tuning *t, const struct bench_setting *best, size_t n)
{
	struct verdict v;

	if (n == 0) {
		gw_buf_printf(&t->table, "best: the defaults; no value was better by more than %.0f %% for %s\n",
			      worth * 100, t->c->goal);
		return true;
	}
	if (!judge(t, best, n, "best", &v))
		return false;
	tell(t, "all the best together", "", &v);
	gw_buf_puts(&t->table, GW_LIT("best:"));
	for (size_t i = 0; i < n; i++)
		gw_buf_printf(&t->table, " %s:%s=%s", best[i].place, best[i].name, best[i].value);
	gw_buf_printf(&t->table, "   %s %.3f of the plain gateway's%s\n", t->c->goal, v.ratio,
		      v.ratio < 1 - worth ? "" : ": together they gain nothing, keep the defaults");
	return true;
}

static int finish(struct tuning *t, const struct bench_setting *best, size_t n)
{
	static struct gw_str texts[BENCH_MAX_KNOBS * 16 * 2 * MAX_ROUNDS];
	struct gw_str rest = gw_buf_view(&t->results), line;
	size_t n_texts = 0;

	gw_jw_end_arr(&t->w);
	gw_jw_key(&t->w, GW_LIT("best"));
	gw_jw_arr(&t->w);
	for (size_t i = 0; i < n; i++) {
		gw_jw_obj(&t->w);
		gw_jw_kstr(&t->w, "place", gw_str_z(best[i].place));
		gw_jw_kstr(&t->w, "name", gw_str_z(best[i].name));
		gw_jw_kstr(&t->w, "value", gw_str_z(best[i].value));
		gw_jw_end_obj(&t->w);
	}
	gw_jw_end_arr(&t->w);
	gw_jw_end_obj(&t->w);
	while (rest.n > 0 && n_texts < sizeof(texts) / sizeof(texts[0])) {
		gw_str_cut(rest, '\n', &line, &rest);
		texts[n_texts++] = line;
	}
	return bench_emit(t->c, texts, n_texts, gw_buf_view(&t->rows), gw_buf_view(&t->table));
}

static void choose_programs(struct tuning *t, char *mock, size_t n)
{
	struct bench_cli *c = t->c;

	if (c->gateway)
		snprintf(t->gateway, sizeof(t->gateway), "%s", c->gateway);
	else if (!bench_find_program("llmgw", t->gateway, sizeof(t->gateway)))
		bench_die("llmgw is not beside this program nor in $PATH: --gateway FILE");
	if (c->mock)
		snprintf(mock, n, "%s", c->mock);
	else if (!c->upstream && !bench_find_program("mockllm", mock, n))
		bench_die("mockllm is not beside this program nor in $PATH: --mock FILE or --upstream URL");
	if (access(t->gateway, X_OK) != 0)
		bench_die("%s cannot be run", t->gateway);
	if (strcmp(c->goal, "cpu") != 0 && strcmp(c->goal, "p50") != 0 && strcmp(c->goal, "p99") != 0 &&
	    strcmp(c->goal, "rps") != 0)
		bench_die("--goal wants cpu, p50, p99 or rps, not %s", c->goal);
	if (c->rounds == 0 || c->rounds > MAX_ROUNDS)
		bench_die("--rounds wants 1 to %d", MAX_ROUNDS);
}

int bench_cmd_tune(struct bench_cli *c)
{
	static struct tuning t;
	static struct bench_knob knobs[BENCH_MAX_KNOBS];
	struct bench_setting best[BENCH_MAX_KNOBS];
	struct bench_child mock = { 0 };
	char mock_path[512] = "";
	uint32_t n = 0, values = 0;
	size_t n_best = 0;
	bool ok;
	int result = 1;

	t.c = c;
	choose_programs(&t, mock_path, sizeof(mock_path));
	for (; n < c->n_knobs; n++)
		if (!bench_knob_read(c->knobs[n], &knobs[n]))
			bench_die("--knob wants boot:NAME=V1,V2, settings:NAME=... or provider:NAME=..., not %s",
				  c->knobs[n]);
	n = n ? n : default_knobs(knobs);
	for (uint32_t i = 0; i < n; i++)
		values += knobs[i].n;
	bench_cli_plan(c, NULL, "demo");
	if (!c->o.is_silent)
		fprintf(stderr, "llmgw-bench: %u values, %llu rounds each: about %.0f s\n", values,
			(unsigned long long)c->rounds,
			(values + 1) * (double)c->rounds * 2 * ((double)bench_plan_ms(&c->o.plan) / 1000 + 0.5));
	gw_buf_init(&t.results, 1u << 30);
	gw_buf_init(&t.table, 1 << 20);
	gw_buf_init(&t.rows, 1 << 20);
	gw_jw_init(&t.w, &t.rows);
	gw_jw_obj(&t.w);
	gw_jw_kstr(&t.w, "command", GW_LIT("tune"));
	gw_jw_kstr(&t.w, "goal", gw_str_z(c->goal));
	gw_jw_key(&t.w, GW_LIT("rows"));
	gw_jw_arr(&t.w);
	ok = c->upstream || bench_mock_start(&mock, mock_path, t.why, sizeof(t.why));
	t.upstream = c->upstream ? c->upstream : mock.url;
	ok = ok && bench_gateway_start(&t.plain, t.gateway, t.upstream, NULL, 0, t.why, sizeof(t.why));
	if (!ok)
		fprintf(stderr, "llmgw-bench: %s\n", t.why);
	if (ok && sweep(&t, knobs, n, best, &n_best) && conclude(&t, best, n_best))
		result = finish(&t, best, n_best);
	bench_child_stop(&t.plain);
	bench_child_stop(&mock);
	gw_buf_done(&t.results);
	gw_buf_done(&t.table);
	gw_buf_done(&t.rows);
	return result;
}
