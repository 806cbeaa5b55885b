/* See fake_upstream.h. */
#include "tests/unit/net/fake_upstream.h"

#include <dirent.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/sys/clock.h"

static void on_closed(uv_handle_t *h)
{
	struct fake_conn *c = h->data;

	if (--c->handles > 0)
		return;
	for (struct fake_conn **at = &c->fake->conns; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	c->fake->open--;
	gw_tls_free(c->tls);
	gw_buf_done(&c->in);
	free(c);
}

void fake_close(struct fake_conn *c)
{
	if (c->is_closed)
		return;
	c->is_closed = true;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

void fake_rst(struct fake_conn *c)
{
	if (c->is_closed)
		return;
	c->is_closed = true;
	assert_int_equal(uv_tcp_close_reset(&c->tcp, on_closed), 0);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void on_written(uv_write_t *w, int status)
{
	(void)status;
	free(w->data);
	free(w);
}

static void put_wire(struct fake_conn *c, const char *p, size_t n)
{
	uv_write_t *w = calloc(1, sizeof(*w));
	char *copy = malloc(n + 1);

	if (n)
		memcpy(copy, p, n);
	w->data = copy;
	if (uv_write(w, (uv_stream_t *)&c->tcp, &(uv_buf_t){ .base = copy, .len = n }, 1, on_written) != 0) {
		free(copy);
		free(w);
	}
}

static void flush_tls(struct fake_conn *c)
{
	struct gw_str v = gw_buf_view(gw_tls_out(c->tls));

	if (v.n > 0 && !c->is_closed)
		put_wire(c, v.p, v.n);
	gw_buf_clear(gw_tls_out(c->tls), 65536);
}

void fake_putn(struct fake_conn *c, const char *p, size_t n)
{
	if (c->is_closed)
		return;
	if (!c->tls) {
		put_wire(c, p, n);
		return;
	}
	assert_int_equal(gw_tls_write(c->tls, p, n), GW_OK);
	flush_tls(c);
}

void fake_put(struct fake_conn *c, const char *bytes)
{
	fake_putn(c, bytes, strlen(bytes));
}

void fake_close_notify(struct fake_conn *c)
{
	gw_tls_close_notify(c->tls);
	flush_tls(c);
	fake_close(c);
}

static void on_timer(uv_timer_t *t)
{
	struct fake_conn *c = t->data;

	if (!c->is_closed)
		c->later(c);
}

void fake_later(struct fake_conn *c, uint64_t ms, void (*fn)(struct fake_conn *c))
{
	c->later = fn;
	uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void take(struct fake_conn *c, const char *p, size_t n)
{
	struct fake *f = c->fake;

	f->plain_bytes += (int)n;
	gw_buf_put(&c->in, p, n);
	for (;;) {
		struct gw_str v = gw_buf_view(&c->in);
		char *end = v.p && v.n ? memmem(v.p, v.n, "\r\n\r\n", 4) : NULL;
		char *cl = v.p && v.n ? memmem(v.p, v.n, "Content-Length: ", 16) : NULL;
		size_t need = end ? (size_t)(end - v.p) + 4 : 0;

		if (!end)
			return;
		if (cl && cl < end && !f->answers_head_only)
			need += strtoul(cl + 16, NULL, 10);
		if (v.n < need)
			return;
		gw_buf_clear(&f->last, SIZE_MAX);
		gw_buf_put(&f->last, v.p, need);
		gw_buf_consume(&c->in, need);
		f->requests++;
		c->requests++;
		if (f->on_request)
			f->on_request(c);
		if (c->is_closed)
			return;
		if (f->answers_head_only) {
			gw_buf_clear(&c->in, SIZE_MAX);
			return;
		}
	}
}

static void take_tls(struct fake_conn *c, const char *p, size_t n)
{
	static char plain[65536];
	enum gw_err e;
	long got;

	assert_int_equal(gw_tls_feed(c->tls, p, n), GW_OK);
	e = gw_tls_handshake(c->tls);
	flush_tls(c);
	if (e != GW_OK && e != GW_E_AGAIN) {
		fake_close(c);
		return;
	}
	if (e == GW_OK && c->step == 0) {
		c->step = 1;
		c->fake->handshakes++;
		c->fake->resumed += gw_tls_was_resumed(c->tls);
	}
	while (e == GW_OK && !c->is_closed && (got = gw_tls_read(c->tls, plain, sizeof(plain))) > 0)
		take(c, plain, (size_t)got);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	static char scratch[65536];

	(void)h;
	(void)hint;
	*out = uv_buf_init(scratch, sizeof(scratch));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct fake_conn *c = s->data;

	if (n < 0)
		fake_close(c);
	else if (c->tls)
		take_tls(c, b->base, (size_t)n);
	else if (n > 0)
		take(c, b->base, (size_t)n);
}

static void on_connection(uv_stream_t *l, int status)
{
	struct fake *f = l->data;
	struct fake_conn *c = calloc(1, sizeof(*c));

	assert_int_equal(status, 0);
	c->fake = f;
	c->handles = 2;
	gw_buf_init(&c->in, 64 << 20);
	uv_tcp_init(f->loop, &c->tcp);
	uv_timer_init(f->loop, &c->timer);
	c->tcp.data = c->timer.data = c;
	assert_int_equal(uv_accept(l, (uv_stream_t *)&c->tcp), 0);
	f->accepted++;
	f->open++;
	c->next = f->conns;
	f->conns = c;
	if (f->tls)
		assert_int_equal(gw_tls_new(f->tls, GW_NIL, NULL, &c->tls), GW_OK);
	if (f->on_accept)
		f->on_accept(c);
	if (!c->is_closed)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void fake_start(struct fake *f, uv_loop_t *loop)
{
	struct sockaddr_in sa;
	int n = sizeof(sa);

	f->loop = loop;
	gw_buf_init(&f->last, 64 << 20);
	uv_tcp_init(loop, &f->listener);
	f->listener.data = f;
	uv_ip4_addr("127.0.0.1", 0, &sa);
	assert_int_equal(uv_tcp_bind(&f->listener, (const struct sockaddr *)&sa, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 512, on_connection), 0);
	uv_tcp_getsockname(&f->listener, (struct sockaddr *)&sa, &n);
	f->port = ntohs(sa.sin_port);
}

void fake_stop(struct fake *f)
{
	uv_close((uv_handle_t *)&f->listener, NULL);
	for (struct fake_conn *c = f->conns; c; c = c->next)
		fake_close(c);
	gw_buf_done(&f->last);
}

/* --- the caller --- */

void caller_init(struct caller *t)
{
	*t = (struct caller){ .body = { GW_LIT("{\"a\":"), GW_LIT(""), GW_LIT("1}") }, .n_body = 3 };
	assert_int_equal(uv_loop_init(&t->loop), 0);
	assert_int_equal(
	    gw_upstream_new(&t->loop, &(struct gw_upstream_config){ .has_libcurl = fake_via_curl }, &t->up), GW_OK);
	fake_start(&t->fake, &t->loop);
}

static void on_up_closed(void *ctx)
{
	((struct caller *)ctx)->is_closed = true;
}

void caller_done(struct caller *t)
{
	gw_upstream_close(t->up, on_up_closed, t);
	fake_stop(&t->fake);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	assert_true(t->is_closed);
	assert_int_equal(t->fake.open, 0);
	assert_int_equal(uv_loop_close(&t->loop), 0);
}

static void on_head(void *ctx, struct gw_up_req *q, const struct gw_up_reply *r)
{
	struct call *c = ctx;

	assert_ptr_equal(q, c->q);
	c->heads++;
	c->status = r->status;
	c->is_reused = r->is_reused;
	c->content_length = r->content_length;
	c->n_headers = r->n_headers;
	for (uint32_t i = 0; i < r->n_headers; i++)
		if (gw_str_ieq(r->headers[i].name, GW_LIT("x-test")))
			snprintf(c->header, sizeof(c->header), "%.*s", GW_FMT(r->headers[i].value));
	if (c->on_head)
		c->on_head(c);
}

static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	struct call *c = ctx;

	assert_ptr_equal(q, c->q);
	assert_int_equal(c->heads, 1);
	assert_int_equal(c->ends, 0);
	gw_buf_puts(&c->body, piece);
	if (c->on_body)
		c->on_body(c);
}

static void on_end(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail)
{
	struct call *c = ctx;

	assert_ptr_equal(q, c->q);
	c->ends++;
	c->err = err;
	c->times = *gw_upstream_times(q);
	c->took_ms = (c->times.end_ns - c->times.queued_ns) / 1000000;
	snprintf(c->detail, sizeof(c->detail), "%.*s", GW_FMT(detail));
	c->q = NULL;
	if (c->on_end)
		c->on_end(c);
}

void call_start(struct caller *t, struct call *c)
{
	static const struct gw_up_ops ops = { on_head, on_body, on_end };
	static const struct gw_up_header headers[] = {
		{ GW_LIT("Authorization"), GW_LIT("Bearer sk-canary") },
		{ GW_LIT("Content-Type"), GW_LIT("application/json") },
	};
	struct gw_str loopback = GW_LIT("127.0.0.0/8");
	struct gw_endpoint_desc d = {
		.host = gw_str_z(t->host ? t->host : "127.0.0.1"),
		.port = t->fake.port,
		.is_https = t->ca_pem.n > 0,
		.ca_pem = t->ca_pem,
		.allow_private = &loopback,
		.n_allow_private = t->is_denied ? 0 : 1,
		.max_connections = t->max_connections,
		.policy = t->policy,
		.wants_h2 = fake_via_curl,
	};
	struct gw_up_send s = {
		.method = t->is_head  ? GW_LIT("HEAD")
			  : t->is_get ? GW_LIT("GET")
				      : GW_LIT("POST"),
		.path = GW_LIT("/v1/chat/completions?x=1"),
		.headers = headers,
		.n_headers = 2,
		.body = t->body,
		.n_body = t->is_get || t->is_head ? 0 : t->n_body,
		.deadlines = t->deadlines,
		.must_be_fresh = t->must_be_fresh,
	};

	gw_buf_done(&c->body);
	*c = (struct call){ .on_head = c->on_head, .on_body = c->on_body, .on_end = c->on_end, .user = c->user };
	gw_buf_init(&c->body, 256 << 20);
	uv_update_time(&t->loop); /* deadlines count from the loop's idea of now */
	assert_int_equal(gw_upstream_endpoint(t->up, &d, &s.endpoint), GW_OK);
	assert_int_equal(gw_upstream_send(t->up, &s, &ops, c, &c->q), GW_OK);
	assert_int_equal(c->ends, 0); /* never from inside send */
}

void call_wait(struct caller *t, struct call *c)
{
	uint64_t until = gw_now_ms() + 30000;

	while (c->ends == 0 && gw_now_ms() < until)
		uv_run(&t->loop, UV_RUN_ONCE);
	assert_int_equal(c->ends, 1);
}

void call_run(struct caller *t, struct call *c)
{
	call_start(t, c);
	call_wait(t, c);
}

void call_done(struct call *c)
{
	gw_buf_done(&c->body);
}

static void on_pause_over(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

void run_ms(struct caller *t, uint64_t ms)
{
	uv_timer_t timer;
	bool over = false;

	uv_timer_init(&t->loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, on_pause_over, ms, 0);
	while (!over)
		uv_run(&t->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&t->loop, UV_RUN_NOWAIT);
	uv_run(&t->loop, UV_RUN_NOWAIT);
}

int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

ssize_t fake_dns_question(const uint8_t *m, ssize_t n)
{
	ssize_t at = 12;

	while (at < n && m[at])
		at += 1 + m[at];
	at += 1 + 4;
	assert_true(at <= n);
	return at;
}
