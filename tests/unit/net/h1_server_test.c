/* net/h1_server over real loopback sockets: serving, answering, limits. (Deadlines, back-pressure, clients that go,
 * accepting and drain: h1_server_life_test.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/h1_server_int.h"
#include "tests/unit/net/h1_client.h"

#define H "Host: gw.test\r\n"

static struct world w;

static int setup(void **state)
{
	(void)state;
	world_open(&w, &gw_h1_default_limits);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static void expect(const char *request, const char *answer, bool is_end)
{
	struct client c;

	client_open(&c, &w);
	client_send(&c, request);
	if (!client_wait(&c, answer, 1, 2000))
		fail_msg("%.60s...: wanted %s, got %.200s", request, answer, c.got);
	if (is_end)
		assert_true(client_wait_end(&c, 1000));
	else
		assert_false(client_wait_end(&c, 30));
	client_close(&c);
}

/* ---- pure ---- */

static void hosts(void **state)
{
	static const char *const good[] = { "a",     "a.test",     "a.test:80",     "a.test:",  "127.0.0.1:65535",
					    "[::1]", "[::1]:4000", "[fe80::1:2]:1", "a_b.test", "xn--e1afmkfd.test" };
	static const char *const bad[] = { "",      ":80",   "a b",         "a,b",      "a/b", "u@a",    "a:65536",
					   "a:8x",  "a:-1",  "[::1",        "::1",      "[]",  "[::1]x", "[1.2.3.4]",
					   "a:1:2", "a%20b", "[::1]:99999", "\xc3\xa9", "a\t" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!gw_h1_host_is_valid(gw_str_z(good[i])))
			fail_msg("refused %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (gw_h1_host_is_valid(gw_str_z(bad[i])))
			fail_msg("took %s", bad[i]);
}

static void request_lines(void **state)
{
	static const struct {
		const char *line;
		enum gw_err e;
	} rows[] = {
		{ "GET / HTTP/1.1", GW_OK },
		{ "GET /a?b=%20c HTTP/1.0", GW_OK },
		{ "OPTIONS * HTTP/1.1", GW_OK },
		{ "GET * HTTP/1.1", GW_E_BAD_HTTP },
		{ "GET  / HTTP/1.1", GW_E_BAD_HTTP },
		{ "GET /  HTTP/1.1", GW_E_BAD_HTTP },
		{ "GET / HTTP/1.1 ", GW_E_BAD_HTTP },
		{ "GET /a#b HTTP/1.1", GW_E_BAD_HTTP },
		{ "GET /a% HTTP/1.1", GW_E_BAD_HTTP },
		{ "GET http://a/ HTTP/1.1", GW_E_BAD_HTTP },
		{ "GET /", GW_E_BAD_HTTP },
		{ "GET / HTTP/2.0", GW_E_HTTP_VERSION },
		{ "GET / HTTP/1.10", GW_E_BAD_HTTP },
		{ "GET / http/1.1", GW_E_BAD_HTTP },
		{ "PUT / HTTP/1.1", GW_E_BAD_METHOD },
		{ "TRACE / HTTP/1.1", GW_E_BAD_METHOD },
		{ "BREW / HTTP/1.1", GW_E_METHOD_UNKNOWN },
		{ "get / HTTP/1.1", GW_E_METHOD_UNKNOWN },
		{ "G@T / HTTP/1.1", GW_E_BAD_HTTP },
	};
	struct gw_h1_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (gw_h1_line_read(gw_str_z(rows[i].line), false, &line) != rows[i].e)
			fail_msg("%s: not %s", rows[i].line, gw_err_info(rows[i].e)->name);
	assert_int_equal(gw_h1_line_read(GW_LIT("PUT / HTTP/1.1"), true, &line), GW_OK);
	assert_int_equal(line.method, GW_H1_PUT);
}

/* ---- serving ---- */

static void keep_alive_reuses_the_connection(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &w);
	for (int i = 0; i < 50; i++) {
		client_forget(&c);
		client_send(&c, i % 2 ? "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde"
				      : "GET / HTTP/1.1\r\n" H "\r\n");
		assert_true(client_wait(&c, i % 2 ? "\r\n\r\nabcde" : "\r\n\r\nhello\n", 1, 1000));
		assert_int_equal(client_count(&c, "connection:"), 0);
	}
	assert_int_equal(gw_h1_stats(w.app.server)->accepted, 1);
	world_run(&w, 1);
	assert_int_equal(w.app.done, 50);
	client_close(&c);
}

static void pipelined_answers_keep_their_order(void **state)
{
	char all[4096] = "GET /slow?40 HTTP/1.1\r\n" H "\r\n";
	struct client c;
	int at;

	(void)state;
	for (int i = 1; i < 8; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all),
			 "POST /echo HTTP/1.1\r\n" H "Content-Length: 7\r\n\r\nbody-%d\n%s", i,
			 i == 4 ? "GET /slow?20 HTTP/1.1\r\n" H "\r\n" : "");
	client_open(&c, &w);
	client_send(&c, all);
	world_run(&w, 10);
	client_read(&c);
	assert_int_equal(c.n, 0); /* the first one holds the others back */
	assert_true(client_wait(&c, "body-7\n", 1, 2000));
	assert_int_equal(client_count(&c, "HTTP/1.1 200"), 9);
	at = 0;
	for (int i = 1; i < 8; i++) {
		char mark[24];
		const char *found;

		snprintf(mark, sizeof(mark), "body-%d\n", i);
		found = strstr(c.got, mark);
		assert_true(found && found - c.got > at);
		at = (int)(found - c.got);
	}
	assert_true(strstr(c.got, "late\n") < strstr(c.got, "body-1\n"));
	client_close(&c);
}

static void pipeline_is_bounded(void **state)
{
	static char many[1 << 20];
	struct client c;
	size_t n = 0;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "GET /hold HTTP/1.1\r\n" H "\r\n");
	for (size_t i = 0; i + 40 < sizeof(many); i += 34)
		memcpy(many + i, "GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n\0", 35);
	for (int i = 0; i < 200; i++) {
		n += client_try_send(&c, many + n % (34 * 1000), 34 * 1000);
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	assert_true(n > 300000); /* the kernel's buffers hold the rest */
	assert_in_range(gw_h1_stats(w.app.server)->bytes_in, 60 << 10, 130 << 10);
	assert_int_equal(w.app.gone, 0);
	assert_non_null(h1_app_held(&w.app));
	client_reset(&c); /* with reading paused a reset is seen all the same, and a close, too, where it can arrive */
	world_run(&w, 50);
	assert_int_equal(w.app.gone, 1);
	assert_int_equal(w.app.done, 1);
	client_open(&c, &w);
	client_send(&c, "GET /hold HTTP/1.1\r\n" H "\r\n");
	assert_int_equal(client_try_send(&c, many, 34 * 4000), 34 * 4000);
	world_run(&w, 20);
	client_close(&c);
	world_run(&w, 50);
	assert_int_equal(w.app.gone, 2);
	assert_int_equal(w.app.done, 2);
	assert_int_equal(gw_h1_open(w.app.server), 0);
}

static void continue_and_expectations(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	assert_true(client_wait(&c, "HTTP/1.1 100 Continue\r\n\r\n", 1, 1000));
	assert_int_equal(client_count(&c, "HTTP/1.1"), 1);
	client_send(&c, "abc");
	assert_true(client_wait(&c, "\r\n\r\nabc", 1, 1000));
	client_forget(&c); /* body right behind: no 100 */
	client_send(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\nxyz");
	assert_true(client_wait(&c, "\r\n\r\nxyz", 1, 1000));
	assert_int_equal(client_count(&c, "100 Continue"), 0);
	client_close(&c);
	expect("POST /deny HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 401", true);
	expect("POST /echo HTTP/1.1\r\n" H "Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 413",
	       true);
	expect("POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 200-ok\r\n\r\nabc", "HTTP/1.1 417", true);
	expect("POST /echo HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", "HTTP/1.1 200", true);
}

static void head_and_old_versions(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "HEAD / HTTP/1.1\r\n" H "\r\nHEAD /stream?5 HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H
			"Connection: close\r\n\r\n");
	assert_true(client_wait_end(&c, 1000));
	assert_int_equal(client_count(&c, "content-length: 6\r\n"), 2);
	assert_int_equal(client_count(&c, "hello\n"), 1);
	assert_int_equal(client_count(&c, "ppp"), 0);
	assert_int_equal(client_count(&c, "connection: close\r\n"), 1);
	client_close(&c);
	expect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "connection: close\r\n", true);
	client_open(&c, &w);
	client_send(&c, "GET /stream?3 HTTP/1.0\r\n\r\n");
	assert_true(client_wait_end(&c, 1000));
	assert_int_equal(client_count(&c, "chunked"), 0);
	assert_int_equal(strlen(strstr(c.got, "\r\n\r\n")), 4 + 3000);
	client_close(&c);
	expect("OPTIONS * HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 204 No Content\r\n", false);
	expect("DELETE / HTTP/1.1\r\n" H "\r\n", "allow: GET", false);
	expect("PUT / HTTP/1.1\r\n" H "\r\n", "allow: GET", true);
}

static void streams_are_chunked(void **state)
{
	struct client c;
	char *at;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "GET /stream?3 HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c, "\r\n0\r\n\r\n", 1, 1000));
	assert_int_equal(client_count(&c, "transfer-encoding: chunked\r\n"), 1);
	assert_int_equal(client_count(&c, "content-length"), 0);
	at = strstr(c.got, "\r\n\r\n") + 4;
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(at, "3e8\r\n", 5);
		assert_memory_equal(at + 1005, "\r\n", 2);
		at += 1007;
	}
	assert_string_equal(at, "0\r\n\r\n");
	client_forget(&c); /* the connection goes on */
	client_send(&c, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c, "hello\n", 1, 1000));
	client_forget(&c);
	client_send(&c, "GET /cut HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait_end(&c, 1000));
	assert_int_equal(client_count(&c, "\r\n5\r\npiece\r\n"), 1);
	assert_int_equal(client_count(&c, "0\r\n\r\n"), 0);
	client_close(&c);
}

static void answers_cannot_be_injected(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "GET /inject HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c, "ok\n", 1, 1000));
	assert_int_equal(client_count(&c, "x-good: fine\r\n"), 1);
	assert_int_equal(client_count(&c, "x-bad") + client_count(&c, "x-evil") + client_count(&c, "x-nul"), 0);
	assert_int_equal(client_count(&c, "content-type") + client_count(&c, "y: z") + client_count(&c, "chunked"), 0);
	assert_int_equal(client_count(&c, "ontent-"), 1);
	client_close(&c);
}

static void owner_refuses_or_answers_early(void **state)
{
	(void)state;
	expect("GET /deny HTTP/1.1\r\n" H "\r\n", "{\"error\":\"invalid_api_key\"}", false);
	expect("POST /deny HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nabc", "HTTP/1.1 401", true);
	assert_int_equal(w.app.done, 0); /* refused from on_head: nothing to end */
	expect("GET /early HTTP/1.1\r\n" H "\r\n", "early\n", false);
	expect("POST /early HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc", "early\n", true);
	assert_int_equal(w.app.done, 2);
	assert_int_equal(w.app.served, 0);
}

/* ---- limits ---- */

static char *filled(const char *before, size_t n, const char *after)
{
	size_t a = strlen(before), b = strlen(after);
	char *p = malloc(a + n + b + 1);

	memcpy(p, before, a);
	memset(p + a, 'a', n);
	memcpy(p + a + n, after, b + 1);
	return p;
}

static void expect_filled(const char *before, size_t n, const char *after, const char *answer, bool is_end)
{
	char *p = filled(before, n, after);

	expect(p, answer, is_end);
	free(p);
}

static void head_limits(void **state)
{
	char many[8192] = "GET / HTTP/1.1\r\n" H;

	(void)state;
	expect_filled("GET /", 8190 - 14, " HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 404", false);
	expect_filled("GET /", 8190 - 13, " HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 414", true);
	expect_filled("GET /", 100000, "", "HTTP/1.1 414", true); /* not even whole */
	expect_filled("GET / HTTP/1.1\r\n" H "X: ", (32 << 10) - 20, "\r\n\r\n", "HTTP/1.1 200", false);
	expect_filled("GET / HTTP/1.1\r\n" H "X: ", (32 << 10) - 19, "\r\n\r\n", "HTTP/1.1 431", true);
	expect_filled("GET / HTTP/1.1\r\n" H "X: ", 100000, "", "HTTP/1.1 431", true);
	for (int i = 0; i < 99; i++)
		memcpy(many + strlen(many), "A: 1\r\n", 7);
	memcpy(many + strlen(many), "\r\n", 3);
	expect(many, "HTTP/1.1 200", false);
	memcpy(many + strlen(many) - 2, "A: 1\r\n\r\n", 9);
	expect(many, "HTTP/1.1 431", true);
	expect_filled("", 100, "", "HTTP/1.1 501", true); /* a method without end */
}

static void body_limits(void **state)
{
	(void)state;
	expect("POST /echo HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n", "HTTP/1.1 413", true);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Content-Length: 1048576\r\n\r\n", 1 << 20, "",
		      "content-length: 1048576\r\n", false);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n100000\r\n", 1 << 20,
		      "\r\n0\r\n\r\n", "content-length: 1048576\r\n", false);
	expect("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n100001\r\n", "HTTP/1.1 413", true);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n100000\r\n", 1 << 20, "\r\n1\r\n",
		      "HTTP/1.1 413", true);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", 256, "\r\na\r\n0\r\n\r\n",
		      "\r\n\r\na", false);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", 257, "\r\na\r\n0\r\n\r\n",
		      "HTTP/1.1 400", true);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX:", 4000,
		      "\r\n\r\n", "\r\n\r\na", false);
	expect_filled("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX:", 4100,
		      "\r\n\r\n", "HTTP/1.1 431", true);
	expect("GET /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde", "HTTP/1.1 200", false);
}

static void requests_per_connection(void **state)
{
	struct gw_h1_limits lim = gw_h1_default_limits;
	struct client c;

	(void)state;
	lim.requests_per_connection = 3;
	world_open(&w, &lim);
	client_open(&c, &w);
	client_send(&c, "GET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H
			"\r\nGET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait_end(&c, 1000));
	assert_int_equal(client_count(&c, "hello\n"), 3);
	assert_int_equal(client_count(&c, "connection: close\r\n"), 1);
	client_close(&c);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(request_lines),
		cmocka_unit_test_setup_teardown(keep_alive_reuses_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(pipelined_answers_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(pipeline_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(continue_and_expectations, setup, teardown),
		cmocka_unit_test_setup_teardown(head_and_old_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(streams_are_chunked, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_cannot_be_injected, setup, teardown),
		cmocka_unit_test_setup_teardown(owner_refuses_or_answers_early, setup, teardown),
		cmocka_unit_test_setup_teardown(head_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(body_limits, setup, teardown),
		cmocka_unit_test(requests_per_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
