/* The native upstream against a provider that misbehaves in every way of the fault corpus that happens below the body's
 * meaning: each fault gives its error code, in bounded time, and leaves nothing behind. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/json.h"
#include "lib/sys/fd.h"
#include "tests/unit/net/fake_upstream.h"

#define OK_HEAD  "HTTP/1.1 200 OK\r\nX-Test:  good value \r\nContent-Length: 5\r\n\r\n"
#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

static void ok(struct fake_conn *c)
{
	fake_put(c, OK_HEAD "hello");
}
static void close_now(struct fake_conn *c)
{
	fake_close(c);
}
static void rst(struct fake_conn *c)
{
	fake_rst(c);
}
static void nothing(struct fake_conn *c)
{
	(void)c;
}

/* --- the good case --- */

static void test_good(void **state)
{
	struct caller t;
	struct call c = { 0 };
	char want[512];

	(void)state;
	caller_init(&t);
	t.fake.on_request = ok;
	for (int i = 0; i < 5; i++) {
		call_run(&t, &c);
		assert_int_equal(c.err, GW_OK);
		assert_int_equal(c.status, 200);
		assert_int_equal(c.content_length, 5);
		assert_string_equal(c.header, "good value");
		assert_memory_equal(c.body.p, "hello", 5);
		assert_int_equal(c.body.n, 5);
		assert_int_equal(c.is_reused, i > 0);
		assert_true(c.times.queued_ns && c.times.connected_ns >= c.times.queued_ns &&
			    c.times.sent_ns >= c.times.connected_ns && c.times.head_ns >= c.times.sent_ns &&
			    c.times.first_body_ns >= c.times.head_ns && c.times.end_ns >= c.times.first_body_ns);
	}
	snprintf(
	    want, sizeof(want),
	    "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept-Encoding: identity\r\n"
	    "Authorization: Bearer sk-canary\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
	    t.fake.port);
	assert_int_equal(t.fake.last.n, strlen(want));
	assert_memory_equal(t.fake.last.p, want, strlen(want));
	assert_int_equal(t.fake.accepted, 1); /* one connection served all five */
	assert_int_equal(gw_upstream_stats(t.up)->reused, 4);
	assert_int_equal(gw_upstream_stats(t.up)->idle, 1);
	t.must_be_fresh = true;
	call_run(&t, &c);
	assert_int_equal(t.fake.accepted, 2);
	t.must_be_fresh = false;
	t.policy = 1; /* other rules: another pool */
	call_run(&t, &c);
	assert_int_equal(t.fake.accepted, 3);
	call_done(&c);
	caller_done(&t);
}

/* --- faults --- */

static void accept_then_refuse(struct fake_conn *c)
{
	fake_close(c);
}
static void garbage_status(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 abc\r\n\r\n");
}
static void garbage_bytes(struct fake_conn *c)
{
	char b[512];

	for (int i = 0; i < 512; i++)
		b[i] = (char)(128 + i * 7 % 128);
	fake_putn(c, b, sizeof(b));
}
static void slow_header(struct fake_conn *c)
{
	fake_putn(c, &"HTTP/1.1 200 OK\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[c->step++ % 50], 1);
	fake_later(c, 10, slow_header);
}
static void head_then_silence(struct fake_conn *c)
{
	fake_put(c, SSE_HEAD);
}
static void stall(struct fake_conn *c)
{
	fake_put(c, SSE_HEAD "5\r\nhello\r\n");
}
static void stall_after_cl(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
}
static void drip(struct fake_conn *c)
{
	if (c->step++ == 0)
		fake_put(c, SSE_HEAD);
	fake_put(c, "1\r\nx\r\n");
	fake_later(c, 20, drip);
}
static void cut_chunked(struct fake_conn *c)
{
	stall(c);
	fake_later(c, 20, close_now);
}
static void cut_cl(struct fake_conn *c)
{
	stall_after_cl(c);
	fake_later(c, 20, close_now);
}
static void cut_rst(struct fake_conn *c)
{
	stall_after_cl(c);
	fake_later(c, 20, rst);
}
static void cut_head(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nX-A");
	fake_later(c, 20, close_now);
}
static void chunk_overflow(struct fake_conn *c)
{
	fake_put(c, SSE_HEAD "10000000000000000\r\nx\r\n");
}
static void chunk_bad(struct fake_conn *c)
{
	fake_put(c, SSE_HEAD "5\r\nhelloX\r\n");
}
static void flood_1xx(struct fake_conn *c)
{
	for (int i = 0; i < 17; i++)
		fake_put(c, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
	ok(c);
}
static void some_1xx(struct fake_conn *c)
{
	for (int i = 0; i < 16; i++)
		fake_put(c, "HTTP/1.1 100 Continue\r\n\r\n");
	ok(c);
}
static void header_flood(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 200; i++)
		fake_put(c, "X-A: b\r\n");
	fake_put(c, "Content-Length: 0\r\n\r\n");
}
static void header_huge(struct fake_conn *c)
{
	char *p = malloc(1 << 20);

	memset(p, 'h', 1 << 20);
	fake_put(c, "HTTP/1.1 200 OK\r\nX-A: ");
	fake_putn(c, p, 1 << 20);
	free(p);
}
static void bare_cr(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n");
}
static void both_lengths(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}
static void te_gzip(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
}
static void two_te(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}
static void upgrade(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
}
static void http2(struct fake_conn *c)
{
	fake_put(c, "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}
static void status_999(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n");
}
static void trailers(struct fake_conn *c)
{
	fake_put(c, SSE_HEAD "5\r\nhello\r\n0\r\nX-Test: t\r\nX-Other: 9\r\n\r\n");
}
static void until_close(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_later(c, 20, close_now);
}
static void no_content(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 204 No Content\r\n\r\n");
}
static void no_content_but(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello");
}
static void interim_body(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}
static void redirect(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 307 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
}
static void says_close(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
}
static void http10(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}
static void extra(struct fake_conn *c)
{
	fake_put(c, OK_HEAD "helloHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsmuggle");
}

/* id: of the corpus where it has the case. reuse: whether the connection may be pooled afterwards. */
static const struct fault {
	const char *id;
	void (*on_accept)(struct fake_conn *c), (*on_request)(struct fake_conn *c);
	enum gw_err err;
	int heads;
	const char *body;
	bool reuse;
} faults[] = {
	{ "accept-silent", NULL, nothing, GW_E_UP_TIMEOUT, 0, "", false },
	{ "close-after-accept", accept_then_refuse, NULL, GW_E_UP_RESET, 0, "", false },
	{ "rst-after-request", NULL, rst, GW_E_UP_RESET, 0, "", false },
	{ "close after request", NULL, close_now, GW_E_UP_RESET, 0, "", false },
	{ "slow-headers", NULL, slow_header, GW_E_UP_TIMEOUT, 0, "", false },
	{ "slow-first-token", NULL, head_then_silence, GW_E_UP_TIMEOUT, 1, "", false },
	{ "inter-token-stall", NULL, stall, GW_E_UP_STALLED, 1, "hello", false },
	{ "stall in a whole body", NULL, stall_after_cl, GW_E_UP_STALLED, 1, "hello", false },
	{ "drip past the total", NULL, drip, GW_E_UP_TOTAL, 1, NULL, false },
	{ "cut-chunked", NULL, cut_chunked, GW_E_UP_CUT, 1, "hello", false },
	{ "cut-cl", NULL, cut_cl, GW_E_UP_CUT, 1, "hello", false },
	{ "reset in the body", NULL, cut_rst, GW_E_UP_CUT, 1, "hello", false },
	{ "cut in the head", NULL, cut_head, GW_E_UP_RESET, 0, "", false },
	{ "garbage-status", NULL, garbage_status, GW_E_UP_GARBLED, 0, "", false },
	{ "garbage-bytes", NULL, garbage_bytes, GW_E_UP_GARBLED, 0, "", false },
	{ "chunk-overflow", NULL, chunk_overflow, GW_E_UP_GARBLED, 1, "", false },
	{ "bad chunk end", NULL, chunk_bad, GW_E_UP_GARBLED, 1, "hello", false },
	{ "1xx-flood", NULL, flood_1xx, GW_E_UP_GARBLED, 0, "", false },
	{ "16 interim answers", NULL, some_1xx, GW_OK, 1, "hello", true },
	{ "header-flood", NULL, header_flood, GW_E_UP_TOO_BIG, 0, "", false },
	{ "header of 1 MiB", NULL, header_huge, GW_E_UP_TOO_BIG, 0, "", false },
	{ "header-injection", NULL, bare_cr, GW_E_UP_GARBLED, 0, "", false },
	{ "both lengths", NULL, both_lengths, GW_E_UP_GARBLED, 0, "", false },
	{ "gzip, chunked", NULL, te_gzip, GW_E_UP_GARBLED, 0, "", false },
	{ "two transfer encodings", NULL, two_te, GW_E_UP_GARBLED, 0, "", false },
	{ "101", NULL, upgrade, GW_E_UP_GARBLED, 0, "", false },
	{ "HTTP/2.0", NULL, http2, GW_E_UP_GARBLED, 0, "", false },
	{ "status 999", NULL, status_999, GW_E_UP_GARBLED, 0, "", false },
	{ "trailers", NULL, trailers, GW_OK, 1, "hello", true },
	{ "until close", NULL, until_close, GW_OK, 1, "hello", false },
	{ "204", NULL, no_content, GW_OK, 1, "", true },
	{ "204 with a body", NULL, no_content_but, GW_OK, 1, "", false },
	{ "interim answer with a body", NULL, interim_body, GW_E_UP_GARBLED, 0, "", false },
	{ "redirect", NULL, redirect, GW_OK, 1, "", true }, /* told as it is, never followed */
	{ "Connection: close", NULL, says_close, GW_OK, 1, "hello", false },
	{ "HTTP/1.0", NULL, http10, GW_OK, 1, "hello", false },
	{ "bytes after the answer", NULL, extra, GW_OK, 1, "hello", false },
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const struct fault *f = &faults[i];
		struct caller t;
		struct call c = { 0 };

		caller_init(&t);
		t.deadlines = (struct gw_up_deadlines){ 100, 300, 150, 150, 400 };
		t.fake.on_accept = f->on_accept;
		t.fake.on_request = f->on_request;
		call_run(&t, &c);
		/* libcurl does not tell broken chunks from a lost connection */
		enum gw_err want = fake_via_curl && f->heads && f->err == GW_E_UP_GARBLED ? GW_E_UP_CUT : f->err;

		if (c.err != want || c.heads != f->heads ||
		    (f->body && !gw_str_eq(gw_buf_view(&c.body), gw_str_z(f->body))))
			fail_msg("%s: %s (%s), heads %d, body %zu bytes", f->id,
				 c.err ? gw_err_info(c.err)->name : "OK", c.detail, c.heads, c.body.n);
		assert_true(c.took_ms < 600);
		if (fake_via_curl) { /* it hears in the next turn; what came too much it sees before it uses a connection again */
			run_ms(&t, 5);
			call_done(&c);
			caller_done(&t);
			continue;
		}
		if (gw_upstream_stats(t.up)->idle != f->reuse)
			fail_msg("%s: %d idle connections", f->id, (int)gw_upstream_stats(t.up)->idle);
		if (!f->reuse)
			assert_int_equal(gw_upstream_stats(t.up)->open, 0);
		call_done(&c);
		caller_done(&t);
	}
}

/* --- each case of the corpus is here, or named as another layer's business --- */

static bool is_known(struct gw_str id)
{
	/* own tests below or in pool_test.c, tls_test.c, resolve_test.c */
	static const char *const here[] = {
		"refuse",         "blackhole",   "stale-keepalive", "huge-json",      "chunk-huge",
		"early-response", "tls-expired", "tls-wrong-host",  "tls-selfsigned", "tls-truncation",
		"tls-stall",      "dns-fail",    "dns-slow",        "dns-flip",
	};
	/* whole, well-formed HTTP: what it means is judged in core/ and the worker; h2 is not spoken here */
	static const char *const elsewhere[] = {
		"no-json", "truncated-json", "deep-json", "nan-usage", "429", "429-storm", "529", "500",
		"401",     "gzip-unasked",   "gzip-bomb", "h2-goaway",
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (gw_str_eq(id, gw_str_z(faults[i].id)))
			return true;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		if (gw_str_eq(id, gw_str_z(here[i])))
			return true;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (gw_str_eq(id, gw_str_z(elsewhere[i])))
			return true;
	return false;
}

static void test_corpus_is_covered(void **state)
{
	const char *shared = getenv("LLMGW_SHARED");
	struct gw_json_fault fault;
	yyjson_doc *doc = NULL;
	yyjson_val *v;
	struct gw_buf b;
	char path[1024];
	size_t i, n;

	(void)state;
	snprintf(path, sizeof(path), "%s/corpora/upstream_faults/cases.json", shared ? shared : "../shared");
	gw_buf_init(&b, 4 << 20);
	if (gw_read_file(AT_FDCWD, path, &b) != GW_OK) {
		print_message("SKIP: %s is not there\n", path);
		gw_buf_done(&b);
		skip();
	}
	assert_int_equal(gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault), GW_OK);
	assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(doc)), 42);
	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, v) if (!is_known(gw_json_str(gw_json_get(v, GW_LIT("id")))))
	    fail_msg("no test for %s", yyjson_get_str(yyjson_obj_get(v, "id")));
	yyjson_doc_free(doc);
	gw_buf_done(&b);
}

/* --- connecting --- */

static void test_refuse(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.fake.port = (uint16_t)(t.fake.port ^ 1); /* most likely nobody */
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_REFUSED);
	assert_true(c.took_ms < 200);
	call_done(&c);
	caller_done(&t);
}

/* A listener whose accept queue is full drops SYNs: connecting hangs. */
static void test_blackhole(void **state)
{
	struct caller t;
	struct call c = { 0 };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[8];
	int fds;

	(void)state;
	assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l, 0), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &n), 0);
	for (int i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	caller_init(&t);
	t.fake.port = ntohs(sa.sin_port);
	t.deadlines.connect_ms = 200;
	fds = count_fds();
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_CONNECT);
	assert_in_range(c.took_ms, 195, 300);
	run_ms(&t, 20);
	assert_in_range(count_fds(), fds, fds + (fake_via_curl ? 2 : 0)); /* libcurl's own pair */
	call_done(&c);
	caller_done(&t);
	for (int i = 0; i < 8; i++)
		close(fill[i]);
	close(l);
}

static void test_denied(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.is_denied = true;
	t.fake.on_request = ok;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_DENIED);
	t.host = "localhost"; /* by name: checked at the address all the same */
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_DENIED);
	assert_int_equal(t.fake.accepted, 0);
	assert_true(gw_upstream_stats(t.up)->denied >= 2);
	t.is_denied = false; /* allowed: 127.0.0.0/8 but not ::1; the allowed one is used */
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	call_done(&c);
	caller_done(&t);
}

static void test_name_fails(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.host = "no-such-host.invalid";
	t.deadlines.connect_ms = 400;
	call_run(&t, &c);
	/* NXDOMAIN or no resolver at all; a resolver that drops packets ends by the connect deadline */
	assert_true(c.err == GW_E_UP_RESOLVE || c.err == GW_E_UP_CONNECT);
	assert_true(c.took_ms < 600);
	call_done(&c);
	caller_done(&t);
}

static void test_bad_requests(void **state)
{
	static const struct gw_up_ops ops = { 0 };
	static const struct gw_up_header bad[] = {
		{ GW_LIT("X-A"), GW_LIT("a\r\nX-B: b") },
		{ GW_LIT("X-A"), { "a\0b", 3 } },
		{ GW_LIT("X-A\r\n"), GW_LIT("a") },
		{ GW_LIT("X A"), GW_LIT("a") },
		{ GW_LIT(""), GW_LIT("a") },
		{ GW_LIT("Host"), GW_LIT("evil") },
		{ GW_LIT("content-length"), GW_LIT("0") },
		{ GW_LIT("Transfer-Encoding"), GW_LIT("chunked") },
		{ GW_LIT("Connection"), GW_LIT("close") },
		{ GW_LIT("X:"), GW_LIT("a") },
	};
	static const struct gw_str bad_paths[] = {
		GW_LIT(""),     GW_LIT("x"),   GW_LIT("/a b"), GW_LIT("/a\r\nX: y"), GW_LIT("http://evil/"),
		GW_LIT("/a#b"), { "/a\0", 3 },
	};
	struct gw_endpoint_desc d = { .host = GW_LIT("127.0.0.1"), .port = 1234 };
	struct gw_up_send s = { .method = GW_LIT("POST"), .path = GW_LIT("/"), .n_headers = 1 };
	struct gw_up_req *q = NULL;
	struct caller t;

	(void)state;
	caller_init(&t);
	assert_int_equal(gw_upstream_endpoint(t.up, &d, &s.endpoint), GW_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s.headers = &bad[i];
		assert_int_equal(gw_upstream_send(t.up, &s, &ops, NULL, &q), GW_E_INVALID);
	}
	s.n_headers = 0;
	for (size_t i = 0; i < sizeof(bad_paths) / sizeof(bad_paths[0]); i++) {
		s.path = bad_paths[i];
		assert_int_equal(gw_upstream_send(t.up, &s, &ops, NULL, &q), GW_E_INVALID);
	}
	s.path = GW_LIT("/");
	s.method = GW_LIT("GET /x HTTP/1.1\r\nA: b\r\n\r\nGET");
	assert_int_equal(gw_upstream_send(t.up, &s, &ops, NULL, &q), GW_E_INVALID);
	d.port = 22;
	assert_int_equal(gw_upstream_endpoint(t.up, &d, &s.endpoint), GW_E_UP_DENIED);
	d.port = 80;
	d.host = GW_LIT("a\r\nb");
	assert_int_equal(gw_upstream_endpoint(t.up, &d, &s.endpoint), GW_E_INVALID);
	caller_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_corpus_is_covered),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_blackhole),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_name_fails),
		cmocka_unit_test(test_bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
