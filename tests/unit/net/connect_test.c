/* Connecting over several addresses: a name server of ours gives lists with dead, silent and forbidden ones before the
 * good one; and an address that changes, as a rebinding attacker would have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/upstream_int.h"
#include "tests/unit/net/fake_upstream.h"

static uint8_t list[4][4];
static int n_list;

static void on_question(uv_udp_t *u, ssize_t n, const uv_buf_t *b, const struct sockaddr *from, unsigned flags)
{
	static char answer[1000];
	uv_buf_t out = { .base = answer, .len = (size_t)n };

	(void)flags;
	if (n < 17 || !from)
		return;
	n = fake_dns_question((uint8_t *)b->base, n);
	out.len = (size_t)n;
	memcpy(answer, b->base, (size_t)n);
	answer[2] = (char)0x81;
	answer[3] = (char)0x80;
	answer[7] = answer[10] = answer[11] = 0;
	for (int i = 0; i < n_list && b->base[n - 3] == 1; i++) {
		static const char rr[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4";

		memcpy(answer + out.len, rr, 12);
		memcpy(answer + out.len + 12, list[i], 4);
		out.len += 16;
		answer[7] = (char)(i + 1);
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

static void ok(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

struct world {
	struct caller t;
	uv_udp_t dns;
};

static void open_world(struct world *w)
{
	struct sockaddr_in sa;
	int n = sizeof(sa);
	char csv[64];

	caller_init(&w->t);
	w->t.fake.on_request = ok;
	uv_udp_init(&w->t.loop, &w->dns);
	uv_ip4_addr("127.0.0.1", 0, &sa);
	assert_int_equal(uv_udp_bind(&w->dns, (struct sockaddr *)&sa, 0), 0);
	uv_udp_getsockname(&w->dns, (struct sockaddr *)&sa, &n);
	uv_udp_recv_start(&w->dns, on_alloc, on_question);
	snprintf(csv, sizeof(csv), "127.0.0.1:%u", ntohs(sa.sin_port));
	assert_int_equal(gw_resolver_servers(w->t.up->resolver, csv), GW_OK);
}

static void close_world(struct world *w)
{
	uv_close((uv_handle_t *)&w->dns, NULL);
	caller_done(&w->t);
}

static void set_list(int n, ...)
{
	va_list ap;

	va_start(ap, n);
	n_list = n;
	for (int i = 0; i < n; i++) {
		uint32_t a = va_arg(ap, uint32_t);

		for (int k = 0; k < 4; k++)
			list[i][k] = (uint8_t)(a >> (24 - 8 * k));
	}
	va_end(ap);
}

static void test_refused_then_good(void **state)
{
	struct world w;
	struct call c = { 0 };

	(void)state;
	open_world(&w);
	set_list(3, 0x7f000003u, 0x7f000004u, 0x7f000001u); /* nobody listens on the first two */
	w.t.host = "a.example.test";
	call_run(&w.t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_true(c.took_ms < 200); /* the next at once, no stagger */
	assert_in_range(gw_upstream_stats(w.t.up)->connects, 1, 3);
	call_done(&c);
	close_world(&w);
}

/* A listener whose accept queue is full: SYNs are dropped. */
static int blackhole(const char *ip, uint16_t port, int fill[8])
{
	struct sockaddr_in sa;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	uv_ip4_addr(ip, port, &sa);
	assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l, 0), 0);
	for (int i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	return l;
}

static void test_silent_then_good(void **state)
{
	struct world w;
	struct call c = { 0 };
	int fill[8], l, fds;

	(void)state;
	open_world(&w);
	l = blackhole("127.0.0.2", w.t.fake.port, fill);
	fds = count_fds();
	set_list(2, 0x7f000002u, 0x7f000001u);
	w.t.host = "b.example.test";
	call_run(&w.t, &c);
	assert_int_equal(c.err, GW_OK);
	/* either order of the list may be tried (RFC 6724); after the silent one the good one follows in 250 ms */
	if (gw_upstream_stats(w.t.up)->connects == 2)
		assert_in_range(c.took_ms, 240, 600);
	run_ms(&w.t, 20);
	assert_in_range(count_fds(), 0, fds + 2); /* the connection (both ends are ours), no attempt left over */
	call_done(&c);
	close_world(&w);
	for (int i = 0; i < 8; i++)
		close(fill[i]);
	close(l);
}

static void test_one_allowed(void **state)
{
	struct world w;
	struct call c = { 0 };

	(void)state;
	open_world(&w);
	set_list(3, 0xa9fea9feu, 0x0a000001u,
		 0x7f000001u); /* metadata, private, and one that this provider may reach */
	w.t.host = "c.example.test";
	call_run(&w.t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_int_equal(gw_upstream_stats(w.t.up)->connects, 1);
	set_list(2, 0xa9fea9feu, 0x0a000001u);
	w.t.host = "d.example.test";
	call_run(&w.t, &c);
	assert_int_equal(c.err, GW_E_UP_DENIED);
	assert_int_equal(gw_upstream_stats(w.t.up)->connects, 1);
	call_done(&c);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_then_good),
		cmocka_unit_test(test_silent_then_good),
		cmocka_unit_test(test_one_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
