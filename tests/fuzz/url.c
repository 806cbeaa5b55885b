/* What is accepted is made of plain parts of the text, and put together again means the same. */
#include "input.h"
#include "lib/url.h"

static bool is_inside(struct gw_str part, struct gw_str text)
{
	return part.n == 0 || (part.p >= text.p && part.p + part.n <= text.p + text.n);
}

static void encoding(struct gw_str s)
{
	struct gw_buf b, back;

	gw_buf_init(&b, 1 << 24);
	gw_buf_init(&back, 1 << 24);
	gw_url_encode(&b, s);
	if (gw_str_find(s, '\0') == s.n) {
		MUST_HOLD(gw_url_decode(&back, gw_buf_view(&b)));
		MUST_HOLD(gw_str_eq(gw_buf_view(&back), s));
	} else {
		MUST_HOLD(!gw_url_decode(&back, gw_buf_view(&b)));
	}
	gw_buf_clear(&back, 0);
	if (gw_url_decode(&back, s)) /* any text */
		MUST_HOLD(back.n <= s.n);
	gw_buf_done(&b);
	gw_buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str text = input(data, n), v;
	struct gw_url u, again;
	struct gw_buf b;

	encoding(text);
	if (gw_query_get(text, GW_LIT("a"), &v))
		MUST_HOLD(is_inside(v, text) && gw_str_find(v, '&') == v.n);
	if (gw_url_parse(text, &u))
		return 0;
	MUST_HOLD(is_inside(u.host, text) && is_inside(u.path, text) && is_inside(u.query, text));
	MUST_HOLD(u.host.n && u.port && (u.path.n == 0 || (u.path.p[0] == '/' && u.path.p[u.path.n - 1] != '/')));
	for (size_t i = 0; i < n; i++)
		MUST_HOLD(data[i] > 0x20 && data[i] < 0x7f && data[i] != '\\' && data[i] != '#');
	gw_buf_init(&b, 1 << 16);
	gw_buf_printf(&b, u.is_ipv6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", u.is_https ? "https" : "http", GW_FMT(u.host),
		      u.port);
	gw_buf_puts(&b, u.path);
	if (u.query.n)
		gw_buf_putc(&b, '?');
	gw_buf_puts(&b, u.query);
	if (b.n <= 8192) {
		MUST_HOLD(gw_url_parse(gw_buf_view(&b), &again) == GW_OK);
		MUST_HOLD(gw_str_eq(u.host, again.host) && gw_str_eq(u.path, again.path) &&
			  gw_str_eq(u.query, again.query) && u.port == again.port && u.is_https == again.is_https &&
			  u.is_ipv6 == again.is_ipv6);
	}
	gw_buf_done(&b);
	return 0;
}
