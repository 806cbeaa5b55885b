/* Answers that are read without llhttp are read as it would: whole and byte by byte give the same. And what is not plain stays its. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net/h1_client_parse.h"

struct seen {
	struct gw_h1p h;
	struct gw_buf text;
};

static bool on_head(void *ctx)
{
	struct seen *s = ctx;
	struct gw_up_header v[GW_H1P_HEADERS];

	gw_h1p_headers(&s->h, v);
	gw_buf_printf(&s->text, "%d %lld\n", s->h.status, (long long)s->h.content_length);
	for (uint32_t i = 0; i < s->h.n_headers; i++)
		gw_buf_printf(&s->text, "%.*s=%.*s|\n", GW_FMT(v[i].name), GW_FMT(v[i].value));
	return true;
}

static bool on_body(void *ctx, struct gw_str piece)
{
	struct seen *s = ctx;

	gw_buf_puts(&s->text, piece);
	return true;
}

/* What came of it, as text. */
static void run(struct gw_str bytes, size_t step, struct gw_buf *out, bool *is_plain)
{
	struct gw_h1p_heads heads = { 0 };
	struct seen s = { 0 };
	enum gw_err e = GW_OK;
	size_t at = 0;

	gw_buf_init(&s.text, 1 << 20);
	gw_h1p_init(&s.h, &heads);
	s.h.ctx = &s;
	s.h.on_head = on_head;
	s.h.on_body = on_body;
	gw_h1p_start(&s.h, false);
	while (at < bytes.n && !e && !s.h.is_done) {
		size_t n = bytes.n - at < step ? bytes.n - at : step, used;

		e = gw_h1p_feed(&s.h, bytes.p + at, n, &used);
		at += e ? 0 : used;
	}
	*is_plain = s.h.is_plain;
	if (!e && !s.h.is_done)
		e = gw_h1p_eof(&s.h);
	gw_buf_init(out, 1 << 20);
	gw_buf_printf(out, "%d %s %d %zu\n%.*s", (int)e, s.h.is_done ? "done" : "cut", !e && gw_h1p_may_reuse(&s.h),
		      e ? 0 : at, GW_FMT(gw_buf_view(&s.text)));
	gw_buf_done(&s.text);
	gw_h1p_done(&s.h);
	gw_h1p_heads_done(&heads);
}

#define OK    "HTTP/1.1 200 OK\r\n"
#define LEN5  "Content-Length: 5\r\n"
#define HELLO "\r\nhello"
static const struct {
	const char *text;
	bool is_plain;
} cases[] = {
	{ OK LEN5 HELLO, true },
	{ OK "content-type: application/json\r\nCONTENT-length:5\r\nx-request-id: a b\r\nx-empty:\r\n" HELLO, true },
	{ "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
	  true },
	{ "HTTP/1.1 404 \r\n" LEN5 HELLO, true },
	{ OK LEN5 HELLO "HTTP/1.1 200 OK\r\n", true }, /* more than was asked for */
	{ OK LEN5 "\r\nhel", true }, /* cut */
	{ OK "Content-Length: 9223372036854775807\r\n\r\nhello", true },
	{ OK "Connection: close\r\n" LEN5 HELLO, false },
	{ OK "Connection: upgrade, keep-alive\r\n" LEN5 HELLO, false },
	{ OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false },
	{ OK "Transfer-Encoding: chunked\r\n" LEN5 "\r\n5\r\nhello\r\n0\r\n\r\n", false },
	{ OK LEN5 LEN5 HELLO, false },
	{ OK "Content-Length: 5, 5\r\n" HELLO, false },
	{ OK "Content-Length: +5\r\n" HELLO, false },
	{ OK "Content-Length: -5\r\n" HELLO, false },
	{ OK "Content-Length: 9223372036854775808\r\n" HELLO, false },
	{ OK "Content-Length: 5 \r\n" HELLO, false },
	{ OK "Content-Length:  5\r\n" HELLO, false },
	{ OK "Content-Length : 5\r\n" HELLO, false },
	{ OK "Content_Length: 5\r\n" HELLO, false },
	{ OK LEN5 "x: a\r\n b\r\n" HELLO, false },
	{ OK LEN5 "x: a\nb: c\r\n" HELLO, false },
	{ OK LEN5 "x: a\rb\r\n" HELLO, false },
	{ OK LEN5 "x: a\x01\r\n" HELLO, false },
	{ OK LEN5 "x y: a\r\n" HELLO, false },
	{ OK LEN5 ": a\r\n" HELLO, false },
	{ OK LEN5 "x\r\n" HELLO, false },
	{ "HTTP/1.1 200 OK\n" LEN5 HELLO, false },
	{ "HTTP/1.0 200 OK\r\n" LEN5 HELLO, false },
	{ "HTTP/1.1  200 OK\r\n" LEN5 HELLO, false },
	{ "HTTP/1.1 200\r\n" LEN5 HELLO, false },
	{ "HTTP/1.1 20 OK\r\n" LEN5 HELLO, false },
	{ "HTTP/1.1 2000 OK\r\n" LEN5 HELLO, false },
	{ "HTTP/1.1 204 No Content\r\n\r\n", false },
	{ "HTTP/1.1 304 Not Modified\r\n" LEN5 "\r\n", false },
	{ "HTTP/1.1 100 Continue\r\n\r\n" OK LEN5 HELLO, false },
	{ "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false },
	{ "HTTP/1.1 600 Odd\r\n" LEN5 HELLO, false },
	{ "\r\n" OK LEN5 HELLO, false },
	{ OK "Content-Type: text/plain\r\n\r\nhello", false }, /* until the end of the connection */
	{ OK LEN5, false }, /* no end of the head */
	{ "garbage", false },
};

static void same_as_llhttp(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gw_buf whole, bytes;
		bool is_plain, is_plain_by_bytes;

		run(gw_str_z(cases[i].text), SIZE_MAX, &whole, &is_plain);
		run(gw_str_z(cases[i].text), 1, &bytes, &is_plain_by_bytes);
		if (!gw_str_eq(gw_buf_view(&whole), gw_buf_view(&bytes)))
			fail_msg("%s\nwhole: %.*s\nby bytes: %.*s", cases[i].text, GW_FMT(gw_buf_view(&whole)),
				 GW_FMT(gw_buf_view(&bytes)));
		if (is_plain != cases[i].is_plain || is_plain_by_bytes)
			fail_msg("%s\nplain: %d, by bytes %d", cases[i].text, is_plain, is_plain_by_bytes);
		gw_buf_done(&whole);
		gw_buf_done(&bytes);
	}
}

/* One field more than fit is refused, however it comes. */
static void too_many_fields(void **state)
{
	struct gw_buf b, whole, bytes;
	bool is_plain;

	(void)state;
	for (int n = GW_H1P_HEADERS - 2; n <= GW_H1P_HEADERS; n++) {
		gw_buf_init(&b, 1 << 16);
		gw_buf_puts(&b, GW_LIT(OK LEN5));
		for (int i = 0; i < n; i++)
			gw_buf_puts(&b, GW_LIT("a: b\r\n"));
		gw_buf_puts(&b, GW_LIT(HELLO));
		run(gw_buf_view(&b), SIZE_MAX, &whole, &is_plain);
		assert_int_equal(is_plain, n < GW_H1P_HEADERS);
		run(gw_buf_view(&b), 1, &bytes, &is_plain);
		assert_true(gw_str_eq(gw_buf_view(&whole), gw_buf_view(&bytes)));
		assert_int_equal(whole.p[0] == '0', n < GW_H1P_HEADERS);
		gw_buf_done(&b);
		gw_buf_done(&whole);
		gw_buf_done(&bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_as_llhttp), cmocka_unit_test(too_many_fields) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
