/* What is libcurl's alone: the proxy's request, how its failures are told, ports and addresses behind a proxy, more requests than streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/curl_int.h"
#include "tests/unit/net/fake_upstream.h"

static void ok(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}
static void nothing(struct fake_conn *c)
{
	(void)c;
}
static void unknown_user(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 5\r\n\r\nnever");
}

struct ask {
	bool is_https, is_denied;
	const char *host, *proxy;
	uint16_t port, proxy_port;
	struct gw_str auth;
	uint32_t max_connections;
};

/* The fake stands where the proxy does. */
static enum gw_err endpoint(struct caller *t, const struct ask *a, struct gw_endpoint **ep)
{
	struct gw_str loopback = GW_LIT("127.0.0.0/8");
	struct gw_endpoint_desc d = { .host = gw_str_z(a->host ? a->host : "api.example.test"),
				      .port = a->port ? a->port : 8080,
				      .is_https = a->is_https,
				      .allow_private = &loopback,
				      .n_allow_private = !a->is_denied,
				      .max_connections = a->max_connections,
				      .proxy_host = gw_str_z(a->proxy ? a->proxy : "127.0.0.1"),
				      .proxy_port = a->proxy_port ? a->proxy_port : t->fake.port };

	return gw_upstream_endpoint(t->up, &d, ep);
}

struct got {
	int heads, ends, status;
	enum gw_err err;
	char detail[128];
};
static void on_head(void *ctx, struct gw_up_req *q, const struct gw_up_reply *r)
{
	struct got *g = ctx;

	(void)q;
	g->heads++;
	g->status = r->status;
}
static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	(void)ctx, (void)q, (void)piece;
}
static void on_end(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail)
{
	struct got *g = ctx;

	(void)q;
	g->ends++;
	g->err = err;
	snprintf(g->detail, sizeof(g->detail), "%.*s", GW_FMT(detail));
}
static const struct gw_up_ops ops = { on_head, on_body, on_end };

static void begin(struct caller *t, const struct ask *a, struct got *g)
{
	static const struct gw_up_header h = { { "Authorization", 13 }, { "Bearer sk-canary", 16 } };
	struct gw_up_send s = { .method = GW_LIT("GET"),
				.path = GW_LIT("/v1/models"),
				.headers = &h,
				.n_headers = 1,
				.deadlines = { 200, 500, 300, 300, 1000 },
				.proxy_auth = a->auth };
	struct gw_up_req *q;

	*g = (struct got){ 0 };
	assert_int_equal(endpoint(t, a, &s.endpoint), GW_OK);
	assert_int_equal(gw_upstream_send(t->up, &s, &ops, g, &q), GW_OK);
	assert_int_equal(g->ends, 0); /* only from the loop */
}

static void finish(struct caller *t, struct got *g)
{
	for (int i = 0; i < 400 && !g->ends; i++)
		run_ms(t, 5);
	assert_int_equal(g->ends, 1);
}

static bool last_has(const struct caller *t, const char *text)
{
	return memmem(t->fake.last.p, t->fake.last.n, text, strlen(text)) != NULL;
}

static void test_whole_url(void **state)
{
	struct caller t;
	struct got g;

	(void)state;
	caller_init(&t);
	t.fake.on_request = ok;
	begin(&t, &(struct ask){ .auth = GW_LIT("Aladdin:open sesame") }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_OK);
	assert_int_equal(g.status, 200);
	assert_true(last_has(&t, "GET http://api.example.test:8080/v1/models HTTP/1.1\r\n"));
	assert_true(last_has(&t, "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
	assert_true(last_has(&t, "\r\nAuthorization: Bearer sk-canary\r\n"));
	assert_true(last_has(&t, "\r\nAccept-Encoding: identity\r\n"));
	assert_false(last_has(&t, "Proxy-Connection"));
	begin(&t, &(struct ask){ 0 }, &g);
	finish(&t, &g);
	assert_false(last_has(&t, "Proxy-Authorization"));
	caller_done(&t);
}

static void test_tunnel(void **state)
{
	struct caller t;
	struct got g;

	(void)state;
	caller_init(&t);
	t.fake.on_request = unknown_user;
	begin(&t, &(struct ask){ .is_https = true, .auth = GW_LIT("a:secret-canary") }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_PROXY);
	assert_int_equal(g.heads, 0);
	assert_non_null(strstr(g.detail, "refuses the provider's proxy_credential (407)"));
	assert_true(last_has(&t, "CONNECT api.example.test:8080 HTTP/1.1\r\n"));
	assert_false(last_has(&t, "sk-canary"));
	begin(&t, &(struct ask){ 0 }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_PROXY);
	assert_int_equal(g.heads, 0); /* the proxy's answer is not the provider's */
	assert_non_null(strstr(g.detail, "give the provider a proxy_credential"));
	t.fake.on_request = nothing;
	begin(&t, &(struct ask){ .is_https = true }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_CONNECT);
	caller_done(&t);
}

static void test_egress(void **state)
{
	struct gw_endpoint *ep;
	struct caller t;
	struct got g;

	(void)state;
	caller_init(&t);
	t.fake.on_request = ok;
	begin(&t, &(struct ask){ .is_denied = true }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_DENIED);
	begin(&t, &(struct ask){ .host = "10.1.2.3" }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_DENIED);
	begin(&t, &(struct ask){ .host = "::ffff:169.254.169.254" }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_DENIED);
	begin(&t, &(struct ask){ .proxy = "169.254.169.254" }, &g);
	finish(&t, &g);
	assert_int_equal(g.err, GW_E_UP_DENIED);
	assert_int_equal(t.fake.accepted, 0);
	assert_int_equal(gw_upstream_stats(t.up)->denied, 4);
	assert_int_equal(endpoint(&t, &(struct ask){ .proxy_port = 22 }, &ep), GW_E_UP_DENIED);
	assert_int_equal(endpoint(&t, &(struct ask){ .proxy = "a/b" }, &ep), GW_E_INVALID);
	caller_done(&t);
}

/* A proxy's connections are counted like others; what is too much waits with its own deadline, and has its turn. */
static void test_queue(void **state)
{
	struct ask a = { .max_connections = 2 };
	struct got g[4];
	struct caller t;

	(void)state;
	caller_init(&t);
	t.fake.on_request = nothing;
	for (int i = 0; i < 4; i++)
		begin(&t, &a, &g[i]);
	assert_int_equal(gw_upstream_stats(t.up)->queued, 2);
	for (int i = 0; i < 4; i++)
		finish(&t, &g[i]);
	assert_int_equal(g[2].err, GW_E_UP_QUEUE);
	assert_int_equal(g[3].err, GW_E_UP_QUEUE);
	assert_int_equal(g[0].err, GW_E_UP_TIMEOUT);
	assert_int_equal(gw_upstream_stats(t.up)->queued, 0);
	t.fake.on_request = ok;
	for (int i = 0; i < 4; i++)
		begin(&t, &a, &g[i]);
	for (int i = 0; i < 4; i++) {
		finish(&t, &g[i]);
		assert_int_equal(g[i].err, GW_OK);
	}
	caller_done(&t);
}

static void test_errors(void **state)
{
	static const struct {
		CURLcode code;
		bool is_connected, has_head, is_new;
		enum gw_err err;
	} rows[] = {
		{ CURLE_OK, true, true, true, GW_OK },
		{ CURLE_OK, true, false, true, GW_E_UP_RESET },
		{ CURLE_COULDNT_CONNECT, false, false, true, GW_E_UP_REFUSED },
		{ CURLE_SSL_CONNECT_ERROR, false, false, true, GW_E_UP_TLS },
		{ CURLE_RECV_ERROR, true, false, true, GW_E_UP_RESET },
		{ CURLE_RECV_ERROR, true, false, false, GW_E_UP_STALE },
		{ CURLE_RECV_ERROR, true, true, false, GW_E_UP_CUT },
		{ CURLE_RECV_ERROR, false, false, true, GW_E_UP_TLS },
		{ CURLE_HTTP2_STREAM, true, false, false, GW_E_UP_RESET },
		{ CURLE_HTTP2_STREAM, true, true, false, GW_E_UP_CUT },
		{ CURLE_SEND_FAIL_REWIND, true, false, true, GW_E_UP_STALE },
		{ CURLE_PARTIAL_FILE, true, true, true, GW_E_UP_CUT },
		{ CURLE_WEIRD_SERVER_REPLY, true, false, true, GW_E_UP_GARBLED },
		{ CURLE_OUT_OF_MEMORY, true, false, true, GW_E_UP_TOO_BIG },
		{ CURLE_OUT_OF_MEMORY, false, false, true, GW_E_NOMEM },
		{ CURLE_UNKNOWN_OPTION, true, false, true, GW_E_UP_RESET },
	};
	struct gw_endpoint ep = { .is_https = true };
	struct up_hub hub = { .ep = &ep };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct up_xfer x = { .hub = &hub,
				     .is_connected = rows[i].is_connected,
				     .has_head = rows[i].has_head,
				     .n_sockets = rows[i].is_new };
		const char *detail = NULL;

		if (up_curl_error(&x, rows[i].code, &detail) != rows[i].err)
			fail_msg("row %zu: %s", i, detail);
		assert_non_null(detail);
		assert_true(rows[i].err == GW_OK || detail[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_url), cmocka_unit_test(test_tunnel), cmocka_unit_test(test_egress),
		cmocka_unit_test(test_queue),     cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
