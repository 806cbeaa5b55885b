/* The native upstream's pools: stale connections, the queue, cancelling a thousand times, big bodies both ways, back-pressure,
 * answers cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

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
static void nothing(struct fake_conn *c)
{
	(void)c;
}

/* --- pool, queue --- */

/* A burst to a provider over https: no more handshakes than the ceiling are under way, the rest waits in the queue and has
 * its turn as those end (here: all fail, which frees their places as well). */
static void test_handshake_ceiling(void **state)
{
	enum { CALLS = 300, CEILING = 256 };
	static struct call c[CALLS];
	struct caller t;
	int queued = 0, late = 0;

	(void)state;
	if (fake_via_curl) /* libcurl has no such ceiling */
		return;
	caller_init(&t);
	t.fake.on_request = nothing;
	t.ca_pem = GW_LIT("no certificate, but https");
	t.max_connections = 1000;
	t.deadlines.queue_ms = 150;
	t.deadlines.connect_ms = 400;
	for (int i = 0; i < CALLS; i++)
		call_start(&t, &c[i]);
	assert_int_equal(gw_upstream_stats(t.up)->open, CEILING);
	assert_int_equal(gw_upstream_stats(t.up)->queued, CALLS - CEILING);
	for (int i = 0; i < CALLS; i++) {
		call_wait(&t, &c[i]);
		queued += c[i].err == GW_E_UP_QUEUE;
		late += c[i].err == GW_E_UP_CONNECT || c[i].err == GW_E_UP_TLS;
		call_done(&c[i]);
	}
	assert_int_equal(queued + late, CALLS);
	assert_int_equal(gw_upstream_stats(t.up)->queued, 0);
	caller_done(&t);
}

static void close_second(struct fake_conn *c)
{
	if (c->requests > 1)
		fake_close(c);
	else
		ok(c);
}

static void close_idle(struct fake_conn *c)
{
	ok(c);
	fake_later(c, 30, close_now);
}

static void test_stale(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.fake.on_request = close_second;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_STALE);
	t.must_be_fresh = true;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	/* a close that came while idle is seen: the next request does not meet it */
	t.must_be_fresh = false;
	t.policy++;
	t.fake.on_request = close_idle;
	call_run(&t, &c);
	run_ms(&t, 80);
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_false(c.is_reused);
	call_done(&c);
	caller_done(&t);
}

static void test_stale_rst(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.fake.on_request = ok;
	call_run(&t, &c);
	/* the peer resets right before the request goes out, and the loop has not seen it yet */
	fake_rst(t.fake.conns);
	call_run(&t, &c);
	assert_int_equal(c.err, fake_via_curl ? GW_OK : GW_E_UP_STALE); /* libcurl looks before it takes one */
	call_done(&c);
	caller_done(&t);
}

static void ok_slowly(struct fake_conn *c)
{
	fake_later(c, 50, ok);
}

static void test_queue(void **state)
{
	struct caller t;
	struct call c[6] = { 0 };

	(void)state;
	if (fake_via_curl) /* a hundred streams for each connection: curl_test.c */
		return;
	caller_init(&t);
	t.fake.on_request = ok_slowly;
	t.max_connections = 2;
	t.deadlines.queue_ms = 120; /* rounds at 0, 50, 100 ms fit */
	for (int i = 0; i < 6; i++)
		call_start(&t, &c[i]);
	assert_int_equal(gw_upstream_stats(t.up)->queued, 4);
	for (int i = 0; i < 6; i++) {
		call_wait(&t, &c[i]);
		assert_int_equal(c[i].err, GW_OK);
	}
	assert_int_equal(t.fake.accepted, 2);
	assert_int_equal(gw_upstream_stats(t.up)->queued, 0);

	t.fake.on_request = nothing;
	t.deadlines = (struct gw_up_deadlines){ .queue_ms = 100, .first_byte_ms = 400 };
	for (int i = 0; i < 3; i++)
		call_start(&t, &c[i]);
	call_wait(&t, &c[2]);
	assert_int_equal(c[2].err, GW_E_UP_QUEUE);
	assert_in_range(c[2].took_ms, 95, 200);
	/* a queued one that is cancelled leaves; a cancelled holder lets the next in */
	t.deadlines.queue_ms = 5000;
	call_start(&t, &c[3]);
	call_start(&t, &c[4]);
	gw_upstream_cancel(c[3].q);
	t.fake.on_request = ok;
	gw_upstream_cancel(c[0].q);
	call_wait(&t, &c[4]);
	assert_int_equal(c[4].err, GW_OK);
	assert_int_equal(c[3].ends + c[0].ends, 0);
	call_wait(&t, &c[1]);
	assert_int_equal(c[1].err, GW_E_UP_TIMEOUT);
	for (int i = 0; i < 6; i++)
		call_done(&c[i]);
	caller_done(&t);
}

/* --- cancelling --- */

static void cancel_it(struct call *c)
{
	struct gw_up_req *q = c->q;

	c->q = NULL;
	c->ends = -1;
	gw_upstream_cancel(q);
}

static void stream_on(struct fake_conn *c)
{
	if (c->step++ == 0)
		fake_put(c, SSE_HEAD);
	fake_put(c, "5\r\nhello\r\n5\r\nworld\r\n");
	fake_later(c, 5, stream_on);
}

static void test_cancel(void **state)
{
	struct caller t;
	struct call c = { 0 };
	int fds;

	(void)state;
	caller_init(&t);
	fds = count_fds();
	for (int i = 0; i < 1000; i++) {
		t.fake.on_request = i % 5 == 0 ? nothing : stream_on;
		c.on_head = i % 5 == 1 ? cancel_it : NULL;
		c.on_body = i % 5 == 2 ? cancel_it : NULL;
		call_start(&t, &c);
		if (i % 5 == 3)
			cancel_it(&c); /* before anything happened */
		for (int k = 0; i % 5 != 3 && c.ends == 0 && k < 8; k++)
			uv_run(&t.loop, i % 5 == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
		if (c.ends == 0)
			cancel_it(&c);
		if (i % 5 == 2)
			assert_true(c.body.n == 5 || c.body.n == 0);
	}
	run_ms(&t, 50);
	assert_int_equal(gw_upstream_stats(t.up)->open, 0);
	assert_int_equal(gw_upstream_stats(t.up)->idle, 0);
	assert_int_equal(t.fake.open, 0); /* the provider saw every one go */
	assert_in_range(count_fds(), fds, fds + (fake_via_curl ? 2 : 0)); /* libcurl's own pair */
	call_done(&c);
	caller_done(&t);
}

static void again(struct call *c)
{
	struct caller *t = c->user;

	if (t->n_body > 3)
		return;
	t->n_body = 4; /* marks that the second is on its way */
	t->body[3] = GW_LIT(" ");
	call_start(t, c);
}

/* A new request from inside on_end takes the connection that the old one has just left. */
static void test_send_from_end(void **state)
{
	struct caller t;
	struct call c = { .on_end = again, .user = &t };

	(void)state;
	caller_init(&t);
	t.fake.on_request = ok;
	call_start(&t, &c);
	while (t.fake.requests < 2 || c.ends == 0)
		uv_run(&t.loop, UV_RUN_ONCE);
	assert_int_equal(c.err, GW_OK);
	assert_true(c.is_reused);
	assert_int_equal(t.fake.accepted, 1);
	call_done(&c);
	caller_done(&t);
}

/* --- big bodies, both ways --- */

static char big[12 << 20];

static void test_big_request(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)('a' + i % 23);
	caller_init(&t);
	t.fake.on_request = ok;
	t.n_body = 40;
	for (uint32_t i = 0; i < 40; i++) /* many pieces, of odd sizes */
		t.body[i] = gw_str(big + i * 7919, i == 20 ? 8 << 20 : i * 977);
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	for (uint32_t i = 40, at = (uint32_t)t.fake.last.n; i-- > 0;) {
		at -= (uint32_t)t.body[i].n;
		if (t.body[i].n)
			assert_memory_equal(t.fake.last.p + at, t.body[i].p, t.body[i].n);
	}
	call_run(&t, &c);
	assert_true(c.is_reused);
	call_done(&c);
	caller_done(&t);
}

static void early(struct fake_conn *c)
{
	uv_read_stop((uv_stream_t *)&c->tcp);
	fake_put(c, "HTTP/1.1 413 X\r\nContent-Length: 5\r\n\r\nsmall");
}

static void test_early_response(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.fake.answers_head_only = true;
	t.fake.on_request = early;
	t.n_body = 1;
	t.body[0] = gw_str(big, sizeof(big));
	t.deadlines.first_byte_ms = 2000;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_int_equal(c.status, 413);
	assert_int_equal(gw_upstream_stats(t.up)->open, 0); /* half a request is on that connection */
	call_done(&c);
	caller_done(&t);
}

static void huge_piece(struct fake_conn *c)
{
	if (c->step++ == 0)
		fake_put(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n");
	if (c->step > 64) {
		fake_close(c);
		return;
	}
	fake_putn(c, big, 1 << 20);
	fake_later(c, 1, huge_piece);
}

static size_t bytes_seen;

static void forget_body(struct call *c)
{
	bytes_seen += c->body.n;
	gw_buf_clear(&c->body, SIZE_MAX);
}

static void test_chunk_huge(void **state)
{
	struct caller t;
	struct call c = { .on_body = forget_body };

	(void)state;
	caller_init(&t);
	t.fake.on_request = huge_piece;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_CUT);
	assert_in_range(bytes_seen, 60 << 20, 64 << 20); /* streamed through one scratch buffer */
	call_done(&c);
	caller_done(&t);
}

/* --- pause --- */

static void firehose(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nContent-Length: 12582912\r\n\r\n");
	fake_putn(c, big, sizeof(big));
}

static void pause_once(struct call *c)
{
	if (!c->user) {
		c->user = c;
		gw_upstream_pause(c->q);
	}
}

static void test_pause(void **state)
{
	struct caller t;
	struct call c = { .on_body = pause_once };
	size_t seen;

	(void)state;
	caller_init(&t);
	t.fake.on_request = firehose;
	t.deadlines.idle_ms = 100;
	call_start(&t, &c);
	while (!c.user)
		uv_run(&t.loop, UV_RUN_ONCE);
	seen = c.body.n;
	assert_true(seen <= 65536);
	run_ms(&t, 250); /* longer than the idle deadline, which stands still */
	assert_int_equal(c.body.n, seen);
	assert_int_equal(c.ends, 0);
	gw_upstream_resume(c.q);
	call_wait(&t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_int_equal(c.body.n, sizeof(big));
	assert_memory_equal(c.body.p, big, sizeof(big));
	call_done(&c);
	caller_done(&t);
}

/* --- answers cut at every byte --- */

static const char *cut_text;
static size_t cut_at;
static void put_rest(struct fake_conn *c)
{
	fake_put(c, cut_text + cut_at);
}
static void put_in_two(struct fake_conn *c)
{
	fake_putn(c, cut_text, cut_at);
	fake_later(c, 2, put_rest);
}

static void test_every_cut(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 100 Continue\r\n\r\n" SSE_HEAD "1\r\nh\r\n4;a=b\r\nello\r\n0\r\nT: x\r\n\r\n",
		OK_HEAD "hello",
	};
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.fake.on_request = put_in_two;
	for (int k = 0; k < 2; k++)
		for (cut_text = texts[k], cut_at = 1; cut_at < strlen(cut_text); cut_at++) {
			call_run(&t, &c);
			if (c.err != GW_OK || !gw_str_eq(gw_buf_view(&c.body), GW_LIT("hello")))
				fail_msg("text %d cut at %zu: %s", k, cut_at, c.detail);
		}
	assert_int_equal(t.fake.accepted, 1);
	call_done(&c);
	caller_done(&t);
}

static void test_head_and_get(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	caller_init(&t);
	t.fake.on_request = ok;
	t.is_get = true;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_null(memmem(t.fake.last.p, t.fake.last.n, "Content-Length", 14));
	call_done(&c);
	caller_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_stale_rst),
		cmocka_unit_test(test_handshake_ceiling),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_send_from_end),
		cmocka_unit_test(test_big_request),
		cmocka_unit_test(test_early_response),
		cmocka_unit_test(test_chunk_huge),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_head_and_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
