/* A connection: bytes in, requests out of them, the steps of the answer, and all the ways to end. Also the few helpers
 * that every answer uses. */
#include <stdio.h>
#include <stdlib.h>
#include "bench/mockllm.h"

static void run(struct mock_conn *c);
static void next_request(struct mock_conn *c);

static void on_closed(uv_handle_t *h)
{
	struct mock_conn *c = h->data;

	if (--c->n_handles > 0)
		return;
	gw_buf_done(&c->in);
	gw_buf_done(&c->out);
	gw_buf_done(&c->sending);
	gw_buf_done(&c->body);
	gw_buf_done(&c->chat.text);
	gw_tls_free(c->tls);
	c->thread->open--;
	atomic_fetch_sub_explicit(&mock_counts.open, 1, memory_order_relaxed);
	free(c);
}

static void close_conn(struct mock_conn *c, bool with_reset)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	c->step = NULL;
	uv_close((uv_handle_t *)&c->timer, on_closed);
	if (!with_reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0)
		if (!uv_is_closing((uv_handle_t *)&c->tcp))
			uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_written(uv_write_t *w, int status)
{
	struct mock_conn *c = w->data;

	c->is_sending = false;
	gw_buf_clear(&c->sending, 65536);
	if (status != 0)
		close_conn(c, false);
	if (!c->is_closing)
		run(c);
}

/* Everything in out goes to the socket. False: the kernel did not take all of it, on_written goes on. */
static bool flush(struct mock_conn *c)
{
	struct gw_buf *src = &c->out;
	struct gw_str v = gw_buf_view(src);
	int r;

	if (c->tls && v.n > 0) {
		if (gw_tls_write(c->tls, v.p, v.n) != GW_OK) {
			close_conn(c, false);
			return true;
		}
		gw_buf_clear(&c->out, 65536);
	}
	if (c->tls) {
		src = gw_tls_out(c->tls);
		v = gw_buf_view(src);
	}
	if (v.n == 0)
		return true;
	r = uv_try_write((uv_stream_t *)&c->tcp, &(uv_buf_t){ .base = (char *)(uintptr_t)v.p, .len = v.n }, 1);
	if (r < 0 && r != UV_EAGAIN) {
		close_conn(c, false);
		return true;
	}
	if (r > 0)
		gw_buf_consume(src, (size_t)r);
	v = gw_buf_view(src);
	if (v.n == 0) {
		gw_buf_clear(src, 65536);
		return true;
	}
	gw_buf_puts(&c->sending, v);
	gw_buf_clear(src, 65536);
	c->is_sending = true;
	c->write.data = c;
	r = uv_write(&c->write, (uv_stream_t *)&c->tcp, &(uv_buf_t){ .base = c->sending.p, .len = c->sending.n }, 1,
		     on_written);
	if (r != 0)
		close_conn(c, false);
	return false;
}

static void end_answer(struct mock_conn *c)
{
	c->is_serving = false;
	c->fault = NULL;
	switch (c->ending) {
	case MOCK_RST:
		close_conn(c, true);
		return;
	case MOCK_CUT:
		close_conn(c, false);
		return;
	case MOCK_CLOSE:
		if (c->tls) {
			gw_tls_close_notify(c->tls);
			flush(c);
		}
		close_conn(c, false);
		return;
	case MOCK_KEEP:
		gw_buf_consume(&c->in, c->rq.wire_bytes);
		c->rq = (struct mock_request){ 0 };
		next_request(c);
		return;
	}
}

static void on_timer(uv_timer_t *t)
{
	struct mock_conn *c = t->data;

	c->is_waiting = false;
	run(c);
}

/* Steps until one must wait for the clock or the socket. Chunks without a pause between them leave in one write. */
static void run(struct mock_conn *c)
{
	if (c->is_running)
		return;
	c->is_running = true;
	while (c->step && !c->is_waiting && !c->is_sending && !c->is_closing) {
		mock_step_fn *step = c->step;

		c->wait_ms = 0;
		c->step = NULL;
		c->must_flush = false;
		step(c);
		if (c->step && c->wait_ms == 0 && !c->must_flush && gw_buf_len(&c->out) < 16384)
			continue;
		if (!flush(c) || c->is_closing)
			break;
		if (c->step && c->wait_ms > 0) {
			c->is_waiting = true;
			uv_timer_start(&c->timer, on_timer, c->wait_ms, 0);
		}
	}
	c->is_running = false;
	if (!c->step && !c->is_sending && !c->is_closing && c->is_serving)
		end_answer(c);
}

static void serve(struct mock_conn *c)
{
	c->is_serving = true;
	c->ending = c->rq.is_close ? MOCK_CLOSE : MOCK_KEEP;
	c->at = 0;
	c->serial = atomic_fetch_add_explicit(&mock_counts.serial, 1, memory_order_relaxed) + 1;
	c->tune = mock_options.tune;
}

static void next_request(struct mock_conn *c)
{
	enum mock_parse r;

	while (!c->is_serving && !c->is_closing && gw_buf_len(&c->in) > 0) {
		if (c->dies_on_reuse) {
			close_conn(c, false);
			return;
		}
		r = mock_request_parse(&c->in, &c->rq);
		if (r == MOCK_MORE)
			return;
		if (r == MOCK_BAD) {
			serve(c);
			c->rq.is_close = true;
			mock_error(c, 400, "invalid_request_error", "malformed", "mockllm could not read the request",
				   "");
			c->ending = MOCK_CLOSE;
			run(c);
			return;
		}
		serve(c);
		if (r == MOCK_HEAD) {
			mock_answer_head(c);
			if (c->step)
				run(c);
			else
				c->is_serving = false;
			continue;
		}
		mock_answer(c);
		run(c);
	}
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct mock_conn *c = h->data;

	(void)hint;
	*out = uv_buf_init(c->thread->scratch, MOCK_SCRATCH);
}

static void take_plain(struct mock_conn *c, const char *p, size_t n)
{
	atomic_fetch_add_explicit(&mock_counts.bytes_in, n, memory_order_relaxed);
	gw_buf_put(&c->in, p, n);
	if (c->in.err) {
		close_conn(c, true);
		return;
	}
	if (!c->is_serving)
		next_request(c);
}

/* Cipher bytes: the handshake until it is done, then plain bytes through a buffer on the stack. */
static void take_cipher(struct mock_conn *c, const char *p, size_t n)
{
	char plain[16384];
	enum gw_err e;
	long got = 0;

	if (gw_tls_feed(c->tls, p, n) != GW_OK) {
		close_conn(c, false);
		return;
	}
	e = gw_tls_handshake(c->tls);
	if (e == GW_OK && !c->is_shaken) {
		c->is_shaken = true;
		if (gw_tls_was_resumed(c->tls))
			atomic_fetch_add_explicit(&mock_counts.tls_resumed, 1, memory_order_relaxed);
	}
	if (e == GW_OK)
		while (!c->is_closing && (got = gw_tls_read(c->tls, plain, sizeof(plain))) > 0)
			take_plain(c, plain, (size_t)got);
	if (c->is_closing)
		return;
	if (!c->is_sending)
		flush(c);
	if ((e != GW_OK && e != GW_E_AGAIN) || got < 0)
		close_conn(c, false);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct mock_conn *c = s->data;

	if (n == 0)
		return;
	if (n < 0) {
		if (c->is_serving)
			atomic_fetch_add_explicit(&mock_counts.cancelled, 1, memory_order_relaxed);
		close_conn(c, false);
		return;
	}
	if (c->tls)
		take_cipher(c, b->base, (size_t)n);
	else
		take_plain(c, b->base, (size_t)n);
}

struct mock_conn *mock_conn_new(struct mock_thread *t)
{
	struct mock_conn *c = calloc(1, sizeof(*c));

	GW_REQUIRE(c != NULL);
	c->thread = t;
	c->n_handles = 2;
	GW_REQUIRE(uv_tcp_init(&t->loop, &c->tcp) == 0 && uv_timer_init(&t->loop, &c->timer) == 0);
	c->tcp.data = c->timer.data = c;
	gw_buf_init(&c->in, MOCK_MAX_REQUEST + (1 << 20));
	gw_buf_init(&c->out, MOCK_MAX_OUT);
	gw_buf_init(&c->sending, MOCK_MAX_OUT);
	gw_buf_init(&c->body, MOCK_MAX_OUT);
	gw_buf_init(&c->chat.text, MOCK_MAX_REQUEST);
	t->open++;
	c->id = atomic_fetch_add_explicit(&mock_counts.accepted, 1, memory_order_relaxed) + 1;
	atomic_fetch_add_explicit(&mock_counts.open, 1, memory_order_relaxed);
	return c;
}

void mock_conn_start(struct mock_conn *c)
{
	if (c->thread->place == MOCK_MUTE) /* neither reads nor answers; open until the end */
		return;
	if (c->thread->place == MOCK_HANG_UP) {
		close_conn(c, false);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	if (c->thread->tls && gw_tls_new(c->thread->tls, GW_NIL, NULL, &c->tls) != GW_OK) {
		close_conn(c, true);
		return;
	}
	if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
		close_conn(c, true);
}

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	default:
		return "Mock";
	}
}

static void put_line(struct gw_buf *b, struct gw_str name, struct gw_str value)
{
	gw_buf_puts(b, name);
	gw_buf_puts(b, value);
	gw_buf_put(b, "\r\n", 2);
}

void mock_head(struct mock_conn *c, int status, const char *type, int64_t content_length, const char *extra)
{
	struct gw_buf *b = &c->out;

	gw_buf_puts(b, GW_LIT("HTTP/1.1 "));
	gw_buf_put_u64(b, (uint64_t)status);
	gw_buf_putc(b, ' ');
	put_line(b, gw_str_z(reason(status)), GW_NIL);
	if (type)
		put_line(b, GW_LIT("Content-Type: "), gw_str_z(type));
	if (content_length >= 0) {
		gw_buf_puts(b, GW_LIT("Content-Length: "));
		gw_buf_put_u64(b, (uint64_t)content_length);
		gw_buf_put(b, "\r\n", 2);
	} else if (content_length == -1) {
		gw_buf_puts(b, GW_LIT("Transfer-Encoding: chunked\r\n"));
	}
	gw_buf_puts(b, GW_LIT("openai-processing-ms: 1\r\nx-request-id: req-mock-"));
	gw_buf_put_u64(b, c->serial);
	gw_buf_put(b, "\r\n", 2);
	if (c->rq.is_close)
		gw_buf_puts(b, GW_LIT("Connection: close\r\n"));
	gw_buf_puts(b, gw_str_z(extra));
	gw_buf_put(b, "\r\n", 2);
}

void mock_chunk(struct mock_conn *c, struct gw_str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char head[20];
	size_t at = sizeof(head), n = bytes.n;

	if (n == 0)
		return;
	head[--at] = '\n';
	head[--at] = '\r';
	for (; n > 0; n >>= 4)
		head[--at] = digits[n & 15];
	gw_buf_put(&c->out, head + at, sizeof(head) - at);
	gw_buf_puts(&c->out, bytes);
	gw_buf_put(&c->out, "\r\n", 2);
}

void mock_last_chunk(struct mock_conn *c)
{
	gw_buf_put(&c->out, "0\r\n\r\n", 5);
}

void mock_whole(struct mock_conn *c, int status, const char *type, struct gw_str body, const char *extra)
{
	mock_head(c, status, type, (int64_t)body.n, extra);
	gw_buf_puts(&c->out, body);
}

void mock_error(struct mock_conn *c, int status, const char *type, const char *code, const char *message,
		const char *extra)
{
	gw_buf_clear(&c->body, 65536);
	gw_buf_printf(&c->body, "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}",
		      message, type, code);
	mock_whole(c, status, "application/json", gw_buf_view(&c->body), extra);
}
