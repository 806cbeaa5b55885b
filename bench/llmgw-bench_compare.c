/* compare and report: results out of files. */
#include <fcntl.h>
#include <stdio.h>
#include "bench/llmgw-bench_cli.h"
#include "lib/json_write.h"
#include "lib/sys/fd.h"

enum { MAX_RESULTS = 2000 };

struct results {
	struct gw_buf files[64];
	struct gw_str texts[MAX_RESULTS];
	yyjson_doc *docs[MAX_RESULTS];
	size_t n;
	int n_files;
};

/* The objects of a file, one a line (what --json-file writes); summaries of find-max and pair are left out. */
static void read_results(struct results *all, const char *path)
{
	struct gw_buf *b = &all->files[all->n_files];
	struct gw_str rest, line;
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (all->n_files == 64)
		bench_die("at most 64 files");
	all->n_files++;
	gw_buf_init(b, 512 << 20);
	if (gw_read_file(AT_FDCWD, path, b) != GW_OK)
		bench_die("cannot read %s", path);
	rest = gw_buf_view(b);
	for (int at = 1; rest.n > 0; at++) {
		gw_str_cut(rest, '\n', &line, &rest);
		if (line.n == 0)
			continue;
		if (gw_json_read(line, &gw_json_default_limits, &doc, &fault) != GW_OK)
			bench_die("%s:%d:%u: not a result: %s", path, at, fault.column, fault.what);
		if (!yyjson_is_obj(yyjson_obj_get(yyjson_doc_get_root(doc), "latency_us"))) {
			bool is_summary = yyjson_obj_get(yyjson_doc_get_root(doc), "command") != NULL;

			yyjson_doc_free(doc);
			if (!is_summary)
				bench_die("%s:%d: JSON, but no result of llmgw-bench", path, at);
			continue;
		}
		if (all->n == MAX_RESULTS)
			bench_die("more than %d results", MAX_RESULTS);
		all->docs[all->n] = doc;
		all->texts[all->n++] = line;
	}
}

static void free_results(struct results *all)
{
	for (size_t i = 0; i < all->n; i++)
		yyjson_doc_free(all->docs[i]);
	for (int i = 0; i < all->n_files; i++)
		gw_buf_done(&all->files[i]);
}

int bench_cmd_report(struct bench_cli *c)
{
	static struct results all;
	struct gw_buf page;
	int result;

	if (c->n_files == 0 || !c->html_file)
		bench_die("report wants --html OUT and at least one file, see report --help");
	for (int i = 0; i < c->n_files; i++)
		read_results(&all, c->files[i]);
	if (all.n == 0)
		bench_die("no result in %s", c->files[0]);
	gw_buf_init(&page, 1u << 30);
	bench_html(&page, gw_str_z(c->title), all.texts, all.n);
	result = !page.err && bench_write_file(c->html_file, gw_buf_view(&page)) ? 0 : 1;
	if (result == 0)
		printf("%zu results in %s\n", all.n, c->html_file);
	gw_buf_done(&page);
	free_results(&all);
	return result;
}

static const struct {
	const char *name, *path[2];
	int worse; /* 1: more is worse, -1: less is worse, 0: only told */
} figures[] = {
	{ "latency p50", { "latency_us", "p50" }, 1 },
	{ "latency p99", { "latency_us", "p99" }, 1 },
	{ "latency p99.9", { "latency_us", "p999" }, 0 },
	{ "first token p50", { "ttft_us", "p50" }, 1 },
	{ "first token p99", { "ttft_us", "p99" }, 1 },
	{ "token gap p99", { "gap_us", "p99" }, 1 },
	{ "requests a second", { "rps", NULL }, 0 },
	{ "CPU a request", { "cpu", "us_per_request" }, 1 },
	{ "CPU a chunk", { "cpu", "us_per_chunk" }, 1 },
	{ "peak memory", { "memory", "peak_rss_bytes" }, 0 },
	{ "errors", { "errors", NULL }, 1 },
};

static double figure(yyjson_doc *doc, size_t i)
{
	yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), figures[i].path[0]);

	return yyjson_get_num(figures[i].path[1] ? yyjson_obj_get(v, figures[i].path[1]) : v);
}

/* The median of a side's results. */
static double of_side(const struct results *all, size_t from, size_t to, size_t i)
{
	static double values[MAX_RESULTS];
	size_t n = 0;

	for (size_t k = from; k < to; k++)
		values[n++] = figure(all->docs[k], i);
	return bench_median(values, n);
}

int bench_cmd_compare(struct bench_cli *c)
{
	static struct results all;
	size_t first;
	bool is_worse = false;
	struct gw_buf json;
	struct gw_json_out w;

	if (c->n_files != 2)
		bench_die("compare wants two files, see compare --help");
	read_results(&all, c->files[0]);
	first = all.n;
	read_results(&all, c->files[1]);
	if (first == 0 || all.n == first)
		bench_die("no result in %s", c->files[first == 0 ? 0 : 1]);
	gw_buf_init(&json, 65536);
	gw_jw_init(&w, &json);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "command", GW_LIT("compare"));
	if (!c->is_json)
		printf("%-20s %14s %14s %9s\n", "median", "first", "second", "change");
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		double a = of_side(&all, 0, first, i), b = of_side(&all, first, all.n, i),
		       change = a > 0   ? 100 * (b - a) / a
				: b > 0 ? 100
					: 0;
		bool bad = c->max_worse > 0 && figures[i].worse * change > (double)c->max_worse;
		char text[120];

		if (a <= 0 && b <= 0 && figures[i].worse)
			continue;
		is_worse = is_worse || bad;
		if (!c->is_json)
			printf("%-20s %14.1f %14.1f %+8.1f%%%s\n", figures[i].name, a, b, change, bad ? "  WORSE" : "");
		snprintf(text, sizeof(text), "{\"first\":%.2f,\"second\":%.2f,\"change_percent\":%.2f,\"worse\":%s}", a,
			 b, change, bad ? "true" : "false");
		gw_jw_key(&w, gw_str_z(figures[i].name));
		gw_jw_raw(&w, gw_str_z(text));
	}
	gw_jw_end_obj(&w);
	if (c->is_json)
		printf("%.*s\n", GW_FMT(gw_buf_view(&json)));
	gw_buf_done(&json);
	free_results(&all);
	return is_worse ? 4 : 0;
}
