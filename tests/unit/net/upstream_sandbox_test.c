/* The whole outgoing side from inside a worker's sandbox: a name from the hosts file, a question to a name server, TCP,
 * streaming, and that nothing in it needs a call which the profile refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/sys/sandbox.h"
#include "tests/unit/net/fake_upstream.h"

static int questions;

static void on_question(uv_udp_t *u, ssize_t n, const uv_buf_t *b, const struct sockaddr *from, unsigned flags)
{
	static char answer[600];
	uv_buf_t out = { .base = answer, .len = (size_t)n };

	(void)flags;
	if (n < 17 || !from)
		return;
	questions++;
	n = fake_dns_question((uint8_t *)b->base, n);
	out.len = (size_t)n;
	memcpy(answer, b->base, (size_t)n);
	answer[2] = (char)0x81;
	answer[3] = (char)0x80;
	answer[10] = answer[11] = 0;
	if (answer[n - 3] == 1) { /* A: 127.0.0.1 */
		static const char rr[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1";

		answer[7] = 1;
		memcpy(answer + n, rr, sizeof(rr) - 1);
		out.len += sizeof(rr) - 1;
	}
	assert_true(uv_udp_try_send(u, &out, 1, from) > 0);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	static char scratch[2048];

	(void)h;
	(void)hint;
	*out = uv_buf_init(scratch, sizeof(scratch));
}

static void on_found(void *ctx, enum gw_err err, const struct gw_addrs *addrs)
{
	int *n = ctx;

	assert_int_equal(err, GW_OK);
	assert_true(addrs->n >= 1);
	*n = 1;
}

static void stream(struct fake_conn *c)
{
	if (c->step++ == 0)
		fake_put(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	fake_put(c, c->step < 4 ? "5\r\nhello\r\n" : "0\r\n\r\n");
	if (c->step < 4)
		fake_later(c, 5, stream);
	else
		c->step = 0;
}

static void test_all(void **state)
{
	static const struct gw_sandbox_path paths[] = {
		{ "/etc/hosts", false },
		{ "/etc/resolv.conf", false },
		{ "/etc/nsswitch.conf", false },
		{ "/etc/ssl", false },
	};
	struct gw_resolver *r = NULL;
	struct gw_resolve_req *rq;
	struct sockaddr_in sa;
	struct caller t;
	struct call c = { 0 };
	uv_udp_t dns;
	int n = sizeof(sa), found = 0;
	uint32_t level = 0;
	char csv[64];

	(void)state;
	gw_harden(); /* as every role does before it makes its loop */
	caller_init(&t);
	t.fake.on_request = stream;
	t.host = "localhost";
	uv_udp_init(&t.loop, &dns);
	uv_ip4_addr("127.0.0.1", 0, &sa);
	assert_int_equal(uv_udp_bind(&dns, (struct sockaddr *)&sa, 0), 0);
	uv_udp_getsockname(&dns, (struct sockaddr *)&sa, &n);
	uv_udp_recv_start(&dns, on_alloc, on_question);
	assert_int_equal(gw_resolver_new(&t.loop, &r), GW_OK);
	snprintf(csv, sizeof(csv), "127.0.0.1:%u", ntohs(sa.sin_port));
	assert_int_equal(gw_resolver_servers(r, csv), GW_OK);
	uv_run(&t.loop, UV_RUN_NOWAIT);

	assert_int_equal(gw_sandbox_enter(GW_SB_WORKER, paths, 4, &level), GW_OK);
	if (!(level & 1))
		print_message("this kernel has no seccomp; the calls are not tried\n");
	for (int i = 0; i < 3; i++) {
		t.must_be_fresh = i == 2;
		call_run(&t, &c);
		if (c.err != GW_OK)
			fail_msg("%s: %s", gw_err_info(c.err)->name, c.detail);
		assert_int_equal(c.body.n, 15);
		assert_int_equal(c.is_reused, i == 1);
	}
	gw_resolve(r, GW_LIT("api.example.test"), 443, 2000, on_found, &found, &rq);
	while (!found)
		uv_run(&t.loop, UV_RUN_ONCE);
	assert_true(questions >= 1);
	call_done(&c);
	gw_resolver_close(r);
	uv_close((uv_handle_t *)&dns, NULL);
	caller_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
