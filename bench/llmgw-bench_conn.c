/* A connection of the load generator. It belongs to one request at a time and is opened again when the peer closes it. */
#include "bench/llmgw-bench.h"
#include "lib/sys/clock.h"

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct bench_conn *c = h->data;

	(void)hint;
	*out = uv_buf_init(c->run->scratch, BENCH_SCRATCH);
}

void bench_conn_init(struct bench_run *r, struct bench_conn *c, bool is_held)
{
	c->run = r;
	c->is_held = is_held;
	gw_buf_init(&c->in, BENCH_MAX_IN);
	gw_buf_init(&c->sending, BENCH_MAX_IN);
	gw_buf_init(&c->line, BENCH_MAX_IN);
}

void bench_conn_free(struct bench_conn *c)
{
	gw_tls_free(c->tls);
	gw_buf_done(&c->in);
	gw_buf_done(&c->sending);
	gw_buf_done(&c->line);
}

static void on_closed(uv_handle_t *h)
{
	struct bench_conn *c = h->data;
	bool was_used = c->was_used;

	gw_tls_free(c->tls);
	c->tls = NULL;
	c->is_closing = c->is_sending = c->was_used = c->must_close = false;
	c->state = BENCH_CLOSED;
	gw_buf_clear(&c->in, 0);
	gw_buf_clear(&c->line, 0);
	gw_buf_clear(&c->sending, 0);
	if (was_used && !c->run->is_over && !c->is_held && c->run->conns + c->run->n_active > c) {
		c->run->stats.reconnects++;
		bench_conn_open(c);
	} /* else the tick tries again: no storm against an address that refuses */
}

static void close_conn(struct bench_conn *c)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	if (c->state == BENCH_IDLE || c->state == BENCH_BUSY)
		c->run->n_open--;
	else if (c->state == BENCH_CONNECTING)
		c->run->n_connecting--;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void bench_conn_fail(struct bench_conn *c, enum bench_error why)
{
	if (c->is_closing || c->state == BENCH_CLOSED)
		return;
	if (c->state == BENCH_BUSY) {
		c->must_close = true;
		bench_load_failed(c, why);
	} else if (c->state == BENCH_CONNECTING) {
		if (!c->run->is_over)
			c->run->stats.errors[why]++;
	}
	close_conn(c);
}

static void on_written(uv_write_t *w, int status)
{
	struct bench_conn *c = w->data;

	c->is_sending = false;
	if (c->is_closing)
		return;
	if (status != 0)
		bench_conn_fail(c, BENCH_E_CLOSED);
}

/* Requests wait for their answer, so at most one write is under way; `v` must stay while it is. */
static void put_socket(struct bench_conn *c, struct gw_str v)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)v.p, (unsigned)v.n);
	int r = c->is_sending ? UV_EAGAIN : uv_try_write((uv_stream_t *)&c->tcp, &b, 1);

	if (r == UV_EAGAIN)
		r = 0;
	if (r < 0) {
		bench_conn_fail(c, BENCH_E_CLOSED);
		return;
	}
	if ((size_t)r == v.n)
		return;
	if (c->is_sending) { /* a second write while one waits: only handshakes could, and theirs fit the socket */
		bench_conn_fail(c, BENCH_E_CLOSED);
		return;
	}
	gw_buf_clear(&c->sending, 65536);
	gw_buf_puts(&c->sending, gw_str_skip(v, (size_t)r));
	c->is_sending = true;
	c->write.data = c;
	b = uv_buf_init(c->sending.p, (unsigned)c->sending.n);
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written) != 0)
		bench_conn_fail(c, BENCH_E_CLOSED);
}

static void flush_tls(struct bench_conn *c)
{
	struct gw_buf *out = gw_tls_out(c->tls);
	struct gw_str v = gw_buf_view(out);

	if (v.n > 0) {
		put_socket(c, v);
		gw_buf_clear(out, 65536);
	}
}

void bench_conn_send(struct bench_conn *c, struct gw_str request, uint64_t due_ns)
{
	c->state = BENCH_BUSY;
	c->part = BENCH_HEAD;
	c->due_ns = due_ns;
	c->since_ns = gw_now_ns();
	c->chunk_ns = 0;
	c->status = 0;
	c->must_close = c->has_done = false;
	c->was_used = true;
	if (!c->tls) {
		put_socket(c, request);
		return;
	}
	if (gw_tls_write(c->tls, request.p, request.n) != GW_OK) {
		bench_conn_fail(c, BENCH_E_TLS);
		return;
	}
	flush_tls(c);
}

static void ready(struct bench_conn *c)
{
	c->state = BENCH_IDLE;
	c->rest_ns = 0;
	c->run->n_open++;
	c->run->n_connecting--;
	bench_load_ready(c);
}

static void take_plain(struct bench_conn *c, const char *p, size_t n)
{
	c->run->stats.bytes_in += n;
	if (c->state != BENCH_BUSY || !bench_http_feed(c, p, n)) {
		bench_conn_fail(c, BENCH_E_GARBLED);
		return;
	}
	if (c->state == BENCH_IDLE && c->must_close)
		close_conn(c);
	else if (c->state == BENCH_IDLE)
		bench_load_ready(c);
}

static void take_cipher(struct bench_conn *c, const char *p, size_t n)
{
	char plain[16384];
	enum gw_err e = GW_OK;
	long got = 0;

	if (gw_tls_feed(c->tls, p, n) != GW_OK) {
		bench_conn_fail(c, BENCH_E_TLS);
		return;
	}
	if (c->state == BENCH_CONNECTING) {
		e = gw_tls_handshake(c->tls);
		flush_tls(c);
		if (e != GW_OK && e != GW_E_AGAIN) {
			bench_load_note(c->run, gw_tls_why(c->tls), GW_NIL);
			bench_conn_fail(c, BENCH_E_TLS);
		}
		if (e != GW_OK || c->is_closing)
			return;
		ready(c);
	}
	while (!c->is_closing && (got = gw_tls_read(c->tls, plain, sizeof(plain))) > 0)
		take_plain(c, plain, (size_t)got);
	if (c->is_closing || got == 0)
		return;
	if (c->state != BENCH_BUSY || !bench_http_end(c))
		bench_conn_fail(c, BENCH_E_CLOSED);
	close_conn(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct bench_conn *c = s->data;

	if (n == 0 || c->is_closing)
		return;
	if (n < 0) {
		if (n == UV_EOF && c->state == BENCH_BUSY && bench_http_end(c))
			close_conn(c);
		else
			bench_conn_fail(c, BENCH_E_CLOSED);
		return;
	}
	if (c->tls)
		take_cipher(c, b->base, (size_t)n);
	else
		take_plain(c, b->base, (size_t)n);
}

static void on_connect(uv_connect_t *q, int status)
{
	struct bench_conn *c = q->data;

	if (c->is_closing)
		return;
	if (status != 0) {
		bench_load_note(c->run, uv_strerror(status), GW_NIL);
		bench_conn_fail(c, BENCH_E_CONNECT);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
		bench_conn_fail(c, BENCH_E_CONNECT);
		return;
	}
	if (!c->run->tls) {
		ready(c);
		return;
	}
	if (gw_tls_new(c->run->tls, gw_str_z(c->run->host), NULL, &c->tls) != GW_OK) {
		bench_conn_fail(c, BENCH_E_TLS);
		return;
	}
	if (gw_tls_handshake(c->tls) != GW_E_AGAIN) /* writes the first flight */
		bench_conn_fail(c, BENCH_E_TLS);
	else
		flush_tls(c);
}

void bench_conn_open(struct bench_conn *c)
{
	GW_REQUIRE(c->state == BENCH_CLOSED);
	GW_REQUIRE(uv_tcp_init(&c->run->loop, &c->tcp) == 0);
	c->tcp.data = c->connect.data = c;
	c->state = BENCH_CONNECTING;
	c->run->n_connecting++;
	c->since_ns = gw_now_ns();
	if (uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&c->run->address, on_connect) != 0)
		bench_conn_fail(c, BENCH_E_CONNECT);
}
