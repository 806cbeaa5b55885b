/* Where results go: the terminal, a file of JSON lines, a page. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/llmgw-bench_cli.h"
#include "lib/sys/fd.h"

bool bench_write_file(const char *path, struct gw_str text)
{
	if (gw_write_file(AT_FDCWD, path, text, 0644) == GW_OK)
		return true;
	fprintf(stderr, "llmgw-bench: cannot write %s\n", path);
	return false;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return n == 0 ? 0 : n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int bench_emit(const struct bench_cli *c, const struct gw_str *texts, size_t n, struct gw_str summary,
	       struct gw_str table)
{
	struct gw_buf page, lines;
	bool ok = true;

	gw_buf_init(&lines, 1u << 30);
	for (size_t i = 0; i < n; i++) {
		gw_buf_puts(&lines, texts[i]);
		gw_buf_putc(&lines, '\n');
	}
	if (summary.n > 0) {
		gw_buf_puts(&lines, summary);
		gw_buf_putc(&lines, '\n');
	}
	if (c->is_json) /* the summary alone when there is one: what was asked for, not every run */
		printf("%.*s\n", GW_FMT(summary.n ? summary : texts[0]));
	else
		printf("%.*s", GW_FMT(table));
	if (c->json_file)
		ok = bench_write_file(c->json_file, gw_buf_view(&lines));
	if (c->html_file) {
		gw_buf_init(&page, 1u << 30);
		bench_html(&page, gw_str_z(c->title), texts, n);
		ok = !page.err && bench_write_file(c->html_file, gw_buf_view(&page)) && ok;
		gw_buf_done(&page);
	}
	gw_buf_done(&lines);
	return ok ? 0 : 1;
}
