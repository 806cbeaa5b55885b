/* The page: bench/report.html with the results put in as data. One file, nothing loaded from anywhere. */
#include "bench/llmgw-bench.h"

extern const char bench_page[]; /* bench/report.html, made into C by the build */

static void put_escaped(struct gw_buf *b, struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '<')
			gw_buf_puts(b, GW_LIT("&lt;"));
		else if (s.p[i] == '&')
			gw_buf_puts(b, GW_LIT("&amp;"));
		else
			gw_buf_putc(b, s.p[i]);
	}
}

/* Inside a script element only "<" could end it. */
static void put_data(struct gw_buf *b, struct gw_str s)
{
	const char *at;

	while (s.n > 0 && (at = memchr(s.p, '<', s.n))) {
		size_t n = (size_t)(at - s.p);

		gw_buf_put(b, s.p, n);
		gw_buf_puts(b, GW_LIT("\\u003c"));
		s = gw_str_skip(s, n + 1);
	}
	gw_buf_puts(b, s);
}

/* Up to the mark, which is then skipped. */
static struct gw_str put_until(struct gw_buf *b, struct gw_str page, const char *mark)
{
	const char *at = memmem(page.p, page.n, mark, strlen(mark));

	GW_REQUIRE(at != NULL);
	gw_buf_put(b, page.p, (size_t)(at - page.p));
	return gw_str_skip(page, (size_t)(at - page.p) + strlen(mark));
}

void bench_html(struct gw_buf *out, struct gw_str title, const struct gw_str *results, size_t n)
{
	struct gw_str page = gw_str_z(bench_page);

	page = put_until(out, page, "@TITLE@");
	put_escaped(out, title);
	page = put_until(out, page, "@TITLE@");
	put_escaped(out, title);
	page = put_until(out, page, "@RESULTS@");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			gw_buf_puts(out, GW_LIT(",\n"));
		put_data(out, results[i]);
	}
	gw_buf_puts(out, page);
}
