/* Bodies that are streamed, both sides against each other over real sockets: the server hands pieces on and can be paused, the client takes them
 * as they come and says when it has enough; answers before the end, ceilings, garbage, silence, and clients that leave. */
#include "tests/unit/lib/util.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "lib/sys/clock.h"
#include "net/h1_server.h"
#include "net/upstream.h"

extern const bool fake_via_curl; /* via_*.c: which backend these tests are about */

enum mode { COUNT, EARLY, PAUSE, STUCK };

static struct world {
	uv_loop_t loop;
	struct gw_h1_server *server;
	struct gw_upstream *up;
	int fd;
	uint16_t port;
	/* what the server does and saw */
	enum mode mode;
	size_t body_max;
	struct gw_h1_conn *conn;
	uint64_t got, sum, pieces;
	enum gw_err body_err;
	int gone, ended;
	/* what the client does and saw */
	struct gw_up_req *q;
	uint64_t left, given, given_sum, full;
	int status, ends;
	enum gw_err err;
	struct gw_buf answer;
	bool is_up_closed;
} w;

/* ---- the server ---- */

static void reply(struct gw_h1_conn *c, int status, const char *text)
{
	struct gw_h1_answer a = { .status = status, .content_type = GW_LIT("text/plain") };

	gw_h1_reply(c, &a, gw_str_z(text));
}

static enum gw_err on_head(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq, size_t *body_max)
{
	(void)ctx;
	(void)rq;
	gw_h1_stream_body(c);
	*body_max = w.body_max;
	return GW_OK;
}

static void on_request(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	(void)ctx;
	assert_true(rq->body.n == 0);
	w.conn = c;
	if (!rq->has_body)
		reply(c, 200, "none");
}

static void on_piece(void *ctx, struct gw_h1_conn *c, struct gw_str piece, bool is_end, enum gw_err e)
{
	char text[32];

	(void)ctx;
	w.pieces++;
	w.body_err = e;
	for (size_t i = 0; i < piece.n; i++)
		w.sum = w.sum * 31 + (unsigned char)piece.p[i];
	w.got += piece.n;
	if (e) {
		reply(c, gw_err_info(e)->http, "no");
	} else if (w.mode == EARLY) {
		reply(c, 413, "enough");
	} else if (is_end) {
		w.ended++;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)w.got);
		reply(c, 200, text);
	} else if (w.mode == STUCK || (w.mode == PAUSE && w.pieces == 1)) {
		gw_h1_body_pause(c);
	}
}

static void on_gone(void *ctx, struct gw_h1_conn *c)
{
	(void)ctx;
	w.gone++;
	gw_h1_reply_cut(c);
}

static void on_any(void *ctx, struct gw_h1_conn *c)
{
	(void)ctx;
	(void)c;
}

static void on_bad(void *ctx, enum gw_err e, struct gw_str path, struct gw_buf *body)
{
	(void)ctx;
	(void)path;
	gw_buf_puts(body, gw_str_z(gw_err_info(e)->name));
}

static const struct gw_h1_ops ops = { on_head, on_request, on_gone, on_any, on_any, on_bad, on_piece, NULL };

/* ---- the client ---- */

static void on_reply(void *ctx, struct gw_up_req *q, const struct gw_up_reply *r)
{
	(void)ctx;
	(void)q;
	w.status = r->status;
}

static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	(void)ctx;
	(void)q;
	gw_buf_puts(&w.answer, piece);
}

static void on_end(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail)
{
	(void)ctx;
	(void)q;
	(void)detail;
	w.q = NULL;
	w.ends++;
	w.err = err;
}

static void on_room(void *ctx)
{
	static char block[40000];

	(void)ctx;
	while (w.left) {
		size_t n = w.left < sizeof(block) ? (size_t)w.left : sizeof(block);

		for (size_t i = 0; i < n; i++) {
			block[i] = (char)(w.given + i * 7);
			w.given_sum = w.given_sum * 31 + (unsigned char)block[i];
		}
		w.given += n;
		w.left -= n;
		if (!gw_upstream_write(w.q, gw_str(block, n))) {
			w.full++;
			return;
		}
	}
	gw_upstream_write_end(w.q);
}

static void start(uint64_t bytes, bool is_chunked, uint64_t idle_ms)
{
	static const struct gw_up_ops up_ops = { on_reply, on_body, on_end };
	struct gw_str loopback = GW_LIT("127.0.0.0/8");
	struct gw_endpoint_desc d = { .host = GW_LIT("127.0.0.1"),
				      .port = w.port,
				      .allow_private = &loopback,
				      .n_allow_private = 1,
				      .wants_h2 = fake_via_curl };
	struct gw_up_send s = { .method = GW_LIT("POST"),
				.path = GW_LIT("/files"),
				.is_streamed = true,
				.stream_length = is_chunked ? -1 : (int64_t)bytes,
				.on_room = on_room,
				.deadlines = { .idle_ms = idle_ms } };

	w.left = bytes;
	w.given = 0;
	uv_update_time(&w.loop);
	assert_int_equal(gw_upstream_endpoint(w.up, &d, &s.endpoint), GW_OK);
	assert_int_equal(gw_upstream_send(w.up, &s, &up_ops, NULL, &w.q), GW_OK);
	assert_int_equal(w.given, 0); /* nothing is asked for before there is a connection */
}

static void turn_until(const int *what)
{
	uint64_t until = gw_now_ms() + 20000;

	while (!*what && gw_now_ms() < until)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_true(*what);
}

static int set_up(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct gw_upstream_config cfg = { 0 };
	struct gw_h1_limits lim = gw_h1_default_limits;
	socklen_t n = sizeof(a);

	(void)state;
	w = (struct world){ .body_max = 64 << 20 };
	gw_buf_init(&w.answer, 65536);
	lim.body_grace_ms = 200;
	assert_int_equal(uv_loop_init(&w.loop), 0);
	assert_int_equal(gw_h1_server_new(&w.loop, &lim, &ops, NULL, &w.server), GW_OK);
	assert_int_equal(gw_upstream_new(&w.loop, &cfg, &w.up), GW_OK);
	w.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(w.fd >= 0 && bind(w.fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(w.fd, 16) == 0);
	assert_int_equal(getsockname(w.fd, (struct sockaddr *)&a, &n), 0);
	w.port = ntohs(a.sin_port);
	assert_int_equal(gw_h1_listen(w.server, w.fd, 1), GW_OK);
	return 0;
}

static void on_up_closed(void *ctx)
{
	(void)ctx;
	w.is_up_closed = true;
}

static int tear_down(void **state)
{
	(void)state;
	gw_upstream_close(w.up, on_up_closed, NULL);
	gw_h1_server_close(w.server);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_true(w.is_up_closed);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	close(w.fd);
	gw_buf_done(&w.answer);
	return 0;
}

static void arrives_whole(void **state)
{
	(void)state;
	for (int chunked = 0; chunked < 2; chunked++) {
		w.got = w.sum = w.given_sum = 0;
		w.ends = 0;
		gw_buf_clear(&w.answer, 65536);
		start(5000000, chunked, 0);
		turn_until(&w.ends);
		assert_int_equal(w.err, GW_OK);
		assert_int_equal(w.status, 200);
		assert_str(gw_buf_view(&w.answer), "5000000");
		assert_true(w.got == 5000000 && w.sum == w.given_sum);
	}
	assert_int_equal(w.ended, 2);
	w.ends = 0;
	start(0, true, 0); /* chunked and empty */
	turn_until(&w.ends);
	assert_int_equal(w.status, 200);
}

static void pause_and_resume(void **state)
{
	(void)state;
	w.mode = PAUSE;
	start(40 << 20, false, 0);
	for (uint64_t last = 0; w.full == 0 || last != w.given;) { /* until nothing moves */
		last = w.given;
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	for (int i = 0; i < 200; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_true(w.given < 24u << 20); /* the kernel's buffers and 256 KiB */
	uint64_t got = w.got;

	assert_true(got <= 512 << 10);
	gw_h1_body_resume(w.conn);
	turn_until(&w.ends);
	assert_int_equal(w.status, 200);
	assert_true(w.got == 40 << 20 && w.sum == w.given_sum);
}

static void answer_before_the_end(void **state)
{
	(void)state;
	w.mode = EARLY;
	start(60 << 20, false, 0);
	turn_until(&w.ends);
	assert_int_equal(w.err, GW_OK);
	assert_int_equal(w.status, 413);
	assert_int_equal(w.pieces, 1); /* the rest is thrown away, not told */
	assert_str(gw_buf_view(&w.answer), "enough");
}

static void provider_that_takes_nothing(void **state)
{
	(void)state;
	w.mode = STUCK;
	start(60 << 20, false, 300);
	turn_until(&w.ends);
	assert_int_equal(w.err, GW_E_UP_TIMEOUT);
	w.mode = COUNT;
	gw_h1_body_resume(w.conn); /* before that the kernel has no room for the news */
	turn_until(&w.gone);
	assert_int_equal(w.ended, 0);
}

static void too_much(void **state)
{
	(void)state;
	w.body_max = 100000;
	start(1000000, true, 0);
	turn_until(&w.ends);
	assert_int_equal(w.status, 413);
	assert_int_equal(w.body_err, GW_E_TOO_BIG);
	assert_true(w.got <= 100000);
	w.ends = 0;
	w.pieces = 0;
	start(1000000, false, 0); /* said, so refused before on_request */
	turn_until(&w.ends);
	assert_int_equal(w.status, 413);
	assert_int_equal(w.pieces, 0);
}

static void cancelled(void **state)
{
	(void)state;
	start(2 << 20, false, 0);
	w.left = 1 << 20; /* never the end */
	while (w.got < 100000)
		uv_run(&w.loop, UV_RUN_ONCE);
	if (w.q)
		gw_upstream_cancel(w.q);
	turn_until(&w.gone);
	assert_int_equal(w.ended, 0);
}

static int dial(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(w.port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static void garbage_and_slowness(void **state)
{
	char answer[512] = "";
	int fd = dial("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n"), done;

	(void)state;
	while (!w.body_err)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_int_equal(w.body_err, GW_E_BAD_HTTP);
	for (int i = 0; i < 5; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
	assert_non_null(strstr(answer, "HTTP/1.1 400"));
	assert_non_null(strstr(answer, "connection: close"));
	close(fd);

	w.body_err = GW_OK;
	fd = dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhello"); /* and no more */
	while (!w.body_err)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_int_equal(w.body_err, GW_E_SLOW_CLIENT);
	close(fd);

	w.gone = 0;
	w.pieces = 0;
	fd = dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhello");
	while (!w.pieces)
		uv_run(&w.loop, UV_RUN_ONCE);
	close(fd);
	turn_until(&w.gone);
	done = w.ended;
	assert_int_equal(done, 0);
}

/* A request behind a streamed one waits for its turn on the same connection. */
static void pipelined(void **state)
{
	char answer[1024] = "";
	int fd = dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\nHost: "
		      "x\r\nContent-Length: 3\r\n\r\nabc");
	size_t n = 0;

	(void)state;
	turn_until(&w.ended);
	for (int i = 0; i < 20 || w.ended < 2; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	for (ssize_t r; n < 200 && (r = recv(fd, answer + n, sizeof(answer) - 1 - n, MSG_DONTWAIT)) > 0;)
		n += (size_t)r;
	assert_int_equal(w.ended, 2);
	assert_non_null(strstr(answer, "\r\n\r\n5HTTP/1.1 200"));
	assert_non_null(strstr(answer, "\r\n\r\n8")); /* the server of this test adds up */
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(arrives_whole), T(pause_and_resume), T(answer_before_the_end), T(provider_that_takes_nothing),
		T(too_much),      T(cancelled),        T(garbage_and_slowness),  T(pipelined)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
