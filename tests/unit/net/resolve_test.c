/* The resolver against a name server of our own on the loop: answers, failures, silence, time to live, shared questions,
 * cancelling; literals and the hosts file without any. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/sys/clock.h"
#include "net/resolve.h"

enum mode { ANSWER, NXDOMAIN, SERVFAIL, SILENT, GARBAGE, MANY };
static uv_loop_t loop;
static uv_udp_t server;
static struct gw_resolver *r;
static enum mode mode;
static int questions_a;
static uint8_t last_octet;
static uint32_t ttl_s;

static void on_sent(uv_udp_send_t *s, int status)
{
	(void)status;
	free(s->data);
	free(s);
}

static size_t put_answers(uint8_t *p, size_t at, int n)
{
	for (int i = 0; i < n; i++) {
		const uint8_t rr[] = { 0xc0,
				       12,
				       0,
				       1,
				       0,
				       1,
				       (uint8_t)(ttl_s >> 24),
				       (uint8_t)(ttl_s >> 16),
				       (uint8_t)(ttl_s >> 8),
				       (uint8_t)ttl_s,
				       0,
				       4,
				       93,
				       184,
				       216,
				       (uint8_t)(last_octet + i) };

		memcpy(p + at, rr, sizeof(rr));
		at += sizeof(rr);
	}
	return at;
}

static void on_question(uv_udp_t *u, ssize_t n, const uv_buf_t *b, const struct sockaddr *from, unsigned flags)
{
	uv_udp_send_t *s;
	uint8_t *p;
	size_t q_end = 12, len;
	bool is_a;
	int answers;

	(void)flags;
	if (n < 17 || !from)
		return;
	while (q_end < (size_t)n && b->base[q_end])
		q_end += (size_t)(unsigned char)b->base[q_end] + 1;
	q_end += 5;
	is_a = b->base[q_end - 3] == 1;
	questions_a += is_a;
	if (mode == SILENT)
		return;
	s = calloc(1, sizeof(*s));
	p = calloc(1, 2048);
	s->data = p;
	memcpy(p, b->base, q_end);
	answers = is_a && mode == ANSWER ? 1 : is_a && mode == MANY ? 28 : 0;
	p[2] = 0x81;
	p[3] = (uint8_t)(0x80 | (mode == NXDOMAIN ? 3 : mode == SERVFAIL ? 2 : 0));
	p[6] = 0;
	p[7] = (uint8_t)answers;
	p[8] = p[9] = p[10] = p[11] = 0;
	len = put_answers(p, q_end, answers);
	if (mode == GARBAGE) {
		memset(p + 4, 0xff, 60);
		len = 64;
	}
	uv_udp_send(s, u, &(uv_buf_t){ .base = (char *)p, .len = len }, 1, from, on_sent);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	static char scratch[65536];

	(void)h;
	(void)hint;
	*out = uv_buf_init(scratch, sizeof(scratch));
}

static int start(void **state)
{
	struct sockaddr_in sa;
	int n = sizeof(sa);
	char csv[64];

	(void)state;
	mode = ANSWER;
	questions_a = 0;
	last_octet = 1;
	ttl_s = 60;
	assert_int_equal(uv_loop_init(&loop), 0);
	uv_udp_init(&loop, &server);
	uv_ip4_addr("127.0.0.1", 0, &sa);
	assert_int_equal(uv_udp_bind(&server, (struct sockaddr *)&sa, 0), 0);
	uv_udp_getsockname(&server, (struct sockaddr *)&sa, &n);
	uv_udp_recv_start(&server, on_alloc, on_question);
	assert_int_equal(gw_resolver_new(&loop, &r), GW_OK);
	snprintf(csv, sizeof(csv), "127.0.0.1:%u", ntohs(sa.sin_port));
	assert_int_equal(gw_resolver_servers(r, csv), GW_OK);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	gw_resolver_close(r);
	uv_close((uv_handle_t *)&server, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

struct found {
	int calls;
	enum gw_err err;
	struct gw_addrs addrs;
	struct gw_resolve_req *q;
	uint64_t ms;
};
static void on_found(void *ctx, enum gw_err err, const struct gw_addrs *addrs)
{
	struct found *f = ctx;

	f->calls++;
	f->err = err;
	f->addrs = *addrs;
}

static void ask(struct found *f, const char *host, uint64_t timeout_ms)
{
	*f = (struct found){ 0 };
	uv_update_time(&loop);
	gw_resolve(r, gw_str_z(host), 443, timeout_ms, on_found, f, &f->q);
}

static void wait_for(struct found *f)
{
	uint64_t from = gw_now_ms();

	while (f->calls == 0 && gw_now_ms() < from + 20000)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(f->calls, 1);
	f->ms = gw_now_ms() - from;
}

static void assert_addr(const struct found *f, const char *text)
{
	char z[64] = "";

	assert_int_equal(f->err, GW_OK);
	assert_true(f->addrs.n >= 1);
	if (f->addrs.a[0].ss_family == AF_INET)
		uv_ip4_name((const struct sockaddr_in *)&f->addrs.a[0], z, sizeof(z));
	else
		uv_ip6_name((const struct sockaddr_in6 *)&f->addrs.a[0], z, sizeof(z));
	assert_string_equal(z, text);
	assert_int_equal(ntohs(((const struct sockaddr_in *)&f->addrs.a[0])->sin_port), 443);
}

static void test_literals(void **state)
{
	struct found f;

	(void)state;
	ask(&f, "10.1.2.3", 1000);
	assert_null(f.q);
	assert_addr(&f, "10.1.2.3"); /* already, without the loop */
	ask(&f, "2001:db8::7", 1000);
	assert_addr(&f, "2001:db8::7");
	ask(&f, "[::1]", 1000);
	assert_addr(&f, "::1");
	assert_int_equal(questions_a, 0);
	ask(&f, "", 1000);
	assert_int_equal(f.calls, 1);
	assert_int_equal(f.err, GW_E_UP_RESOLVE);
}

static void test_localhost(void **state)
{
	struct found f;
	bool has_v4 = false;

	(void)state;
	ask(&f, "localhost", 2000);
	wait_for(&f);
	assert_int_equal(f.err, GW_OK);
	for (uint32_t i = 0; i < f.addrs.n; i++)
		has_v4 |= f.addrs.a[i].ss_family == AF_INET &&
			  ((struct sockaddr_in *)&f.addrs.a[i])->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	assert_true(has_v4);
	assert_int_equal(questions_a, 0);
}

static void test_answer_cache_flip(void **state)
{
	struct found f;

	(void)state;
	ask(&f, "API.example.test", 2000);
	wait_for(&f);
	assert_addr(&f, "93.184.216.1");
	assert_int_equal(questions_a, 1);
	last_octet = 9;
	ask(&f, "api.example.test", 2000); /* within its time: from memory, case does not matter */
	assert_int_equal(f.calls, 1);
	assert_null(f.q);
	assert_addr(&f, "93.184.216.1");
	ask(&f, "other.example.test", 2000);
	wait_for(&f);
	assert_addr(&f, "93.184.216.9");
}

static void test_shared(void **state)
{
	struct found f[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		ask(&f[i], "shared.example.test", 2000);
	gw_resolve_cancel(f[3].q);
	for (int i = 0; i < 8; i++)
		if (i != 3)
			wait_for(&f[i]);
	assert_int_equal(questions_a, 1);
	assert_int_equal(f[3].calls, 0);
	assert_addr(&f[7], "93.184.216.1");
}

static void test_failures(void **state)
{
	static const enum mode modes[] = { NXDOMAIN, SERVFAIL, GARBAGE };
	struct found f;
	char host[64];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		mode = modes[i];
		snprintf(host, sizeof(host), "fail%zu.example.test.", i);
		ask(&f, host, 1000);
		wait_for(&f);
		assert_int_equal(f.err, GW_E_UP_RESOLVE);
		assert_true(f.ms < 1300);
	}
	/* a failure is remembered for a second, not longer */
	mode = ANSWER;
	questions_a = 0;
	ask(&f, "fail0.example.test.", 1000);
	wait_for(&f);
	assert_int_equal(questions_a + (f.err == GW_E_UP_RESOLVE), 1);
	for (uint64_t from = gw_now_ms(); gw_now_ms() < from + 1100;)
		uv_run(&loop, UV_RUN_NOWAIT);
	ask(&f, "fail0.example.test.", 1000);
	wait_for(&f);
	assert_addr(&f, "93.184.216.1");
}

static void test_silence(void **state)
{
	struct found f, g;

	(void)state;
	mode = SILENT;
	ask(&f, "slow.example.test.", 300);
	ask(&g, "slow.example.test.", 600);
	wait_for(&f);
	assert_int_equal(f.err, GW_E_UP_RESOLVE);
	assert_in_range(f.ms, 200, 600);
	assert_int_equal(g.calls, 0); /* its own, later deadline */
	wait_for(&g);
	assert_int_equal(g.err, GW_E_UP_RESOLVE);
	/* the loop was never blocked, and closing with the question still open leaves nothing (see stop) */
	ask(&f, "slow2.example.test.", 5000);
	gw_resolve_cancel(f.q);
	assert_int_equal(f.calls, 0);
}

static void test_many(void **state)
{
	struct found f;

	(void)state;
	mode = MANY;
	ask(&f, "many.example.test.", 2000);
	wait_for(&f);
	assert_int_equal(f.err, GW_OK);
	assert_int_equal(f.addrs.n, 16);
}

/* Thousands of names do not grow the cache past its ceiling nor break what is fresh. */
static void test_ceiling(void **state)
{
	struct found f;
	char host[64];

	(void)state;
	mode = NXDOMAIN;
	for (int i = 0; i < 2500; i++) {
		snprintf(host, sizeof(host), "n%d.example.test.", i);
		ask(&f, host, 1000);
		wait_for(&f);
		assert_int_equal(f.err, GW_E_UP_RESOLVE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_literals, start, stop),
		cmocka_unit_test_setup_teardown(test_localhost, start, stop),
		cmocka_unit_test_setup_teardown(test_answer_cache_flip, start, stop),
		cmocka_unit_test_setup_teardown(test_shared, start, stop),
		cmocka_unit_test_setup_teardown(test_failures, start, stop),
		cmocka_unit_test_setup_teardown(test_silence, start, stop),
		cmocka_unit_test_setup_teardown(test_many, start, stop),
		cmocka_unit_test_setup_teardown(test_ceiling, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
