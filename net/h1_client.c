/* One connection to a provider: the request goes out in as few writes as the socket allows, the answer is parsed as it
 * comes, and afterwards the connection is pooled only when nothing about it is in doubt. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/secret.h"
#include "lib/sys/clock.h"
#include "net/upstream_int.h"

static void pump_write(struct up_conn *c);
static void step_handshake(struct up_conn *c);

/* --- the end of a connection --- */

static void free_conn(struct up_conn *c)
{
	struct gw_upstream *up = c->ep->up;

	up_conn_stop_tries(c, NULL);
	up_sock_close(c->sock);
	up_pool_forget(c);
	gw_tls_free(c->tls);
	gw_h1p_done(&c->parse);
	up->stats.open--;
	free(c);
}

static void say_goodbye(struct up_conn *c)
{
	struct gw_str v;

	if (!c->tls || !c->sock || c->sock->is_writing || c->state != UP_IDLE)
		return;
	gw_tls_close_notify(c->tls);
	v = gw_buf_view(gw_tls_out(c->tls));
	if (v.n > 0)
		(void)uv_try_write((uv_stream_t *)&c->sock->tcp,
				   &(uv_buf_t){ .base = (char *)(uintptr_t)v.p, .len = v.n }, 1);
}

void up_conn_give_up(struct up_conn *c)
{
	if (c->in_parse) {
		c->is_given_up = true;
		up_sock_close(c->sock);
		c->sock = NULL;
		return;
	}
	say_goodbye(c);
	free_conn(c);
}

void up_conn_fail(struct up_conn *c, enum gw_err err, const char *detail)
{
	struct gw_up_req *q = c->req;
	struct gw_endpoint *ep = c->ep;

	if (c->in_open) {
		c->open_err = err;
		c->open_detail = detail;
		return;
	}
	c->req = NULL;
	if (q) {
		q->conn = NULL;
		if (detail != q->detail)
			snprintf(q->detail, sizeof(q->detail), "%s", detail);
	}
	up_conn_give_up(c);
	up_pool_next(ep);
	if (q)
		up_req_end(q, err, q->detail);
}

/* As soon as there is one: a stream may hold its connection for an hour. */
static void save_session(struct up_conn *c)
{
	struct gw_tls_session *s = c->tls && !c->is_session_saved ? gw_tls_session_take(c->tls) : NULL;

	if (!s)
		return;
	gw_tls_session_free(c->ep->session);
	c->ep->session = s;
	c->is_session_saved = true;
}

/* An answer without a length may go on for an hour, on one of thousands of connections that do: what was needed to get here goes. */
static void settle_down(struct up_conn *c)
{
	if (c->tls) {
		save_session(c);
		gw_tls_trim(c->tls);
	}
	if (c->is_all_sent && !c->req->is_streamed && !c->sock->is_writing)
		gw_buf_done(&c->req->head); /* it was wiped */
}

static void finish(struct up_conn *c, bool is_clean)
{
	struct gw_up_req *q = c->req;
	struct gw_endpoint *ep = c->ep;

	c->req = NULL;
	q->conn = NULL;
	save_session(c);
	if (is_clean && c->is_all_sent && !c->is_write_broken && !c->sock->is_writing && gw_h1p_may_reuse(&c->parse)) {
		up_pool_give(c);
	} else {
		up_conn_give_up(c);
		up_pool_next(ep);
	}
	up_req_end(q, GW_OK, "");
}

/* --- writing --- */

static struct gw_str piece_of(const struct gw_up_req *q, uint32_t i)
{
	return i == 0 ? gw_buf_view(&q->head) : q->body[i - 1];
}

/* What is still to be written, as up to UP_IOV views; their sum in *total. */
static unsigned rest_iov(const struct up_conn *c, uv_buf_t iov[UP_IOV], size_t *total)
{
	const struct gw_up_req *q = c->req;
	size_t off = c->w_off;
	unsigned n = 0;

	*total = 0;
	for (uint32_t i = c->w_piece; i <= q->n_body && n < UP_IOV; i++, off = 0) {
		struct gw_str p = piece_of(q, i);

		if (p.n <= off)
			continue;
		iov[n++] = uv_buf_init((char *)(uintptr_t)p.p + off, (unsigned)(p.n - off));
		*total += p.n - off;
	}
	return n;
}

static void advance(struct up_conn *c, size_t n)
{
	while (n > 0) {
		size_t left = piece_of(c->req, c->w_piece).n - c->w_off, step = n < left ? n : left;

		c->w_off += step;
		n -= step;
		if (c->w_off == piece_of(c->req, c->w_piece).n) {
			c->w_piece++;
			c->w_off = 0;
		}
	}
}

static void on_written(uv_write_t *w, int status)
{
	struct up_sock *s = w->data;
	struct up_conn *c = s->conn;

	s->is_writing = false;
	gw_buf_clear(&s->pending, UP_SCRATCH);
	if (!c)
		return;
	if (status < 0) {
		c->is_write_broken = true; /* what the peer said before it went away is still to be read */
		return;
	}
	if (c->state == UP_HANDSHAKE)
		step_handshake(c);
	else if (c->req) {
		up_conn_write(c);
		up_upload_tell_room(c);
	}
}

static void on_plain_written(uv_write_t *w, int status)
{
	struct up_sock *s = w->data;

	if (s->conn && s->conn->req && status == 0)
		advance(s->conn, s->n_writing);
	on_written(w, status);
}

/* Cipher bytes to the socket. False: the rest goes when the socket can take it, on_written goes on. */
static bool flush_cipher(struct up_conn *c)
{
	struct up_sock *s = c->sock;
	struct gw_buf *out = gw_tls_out(c->tls);
	struct gw_str v = gw_buf_view(out);
	int r;

	if (s->is_writing || c->is_write_broken)
		return false;
	if (v.n == 0)
		return true;
	r = uv_try_write((uv_stream_t *)&s->tcp, &(uv_buf_t){ .base = (char *)(uintptr_t)v.p, .len = v.n }, 1);
	if (r > 0)
		gw_buf_consume(out, (size_t)r);
	if (r < 0 && r != UV_EAGAIN)
		c->is_write_broken = true;
	v = gw_buf_view(out);
	if (v.n == 0) {
		gw_buf_clear(out, UP_SLICE / 4);
		return true;
	}
	if (c->is_write_broken)
		return false;
	gw_buf_puts(&s->pending, v);
	gw_buf_clear(out, UP_SCRATCH);
	v = gw_buf_view(&s->pending);
	s->is_writing =
	    s->pending.err == GW_OK && uv_write(&s->write, (uv_stream_t *)&s->tcp,
						&(uv_buf_t){ .base = s->pending.p, .len = v.n }, 1, on_written) == 0;
	c->is_write_broken = !s->is_writing;
	return false;
}

static void all_sent(struct up_conn *c)
{
	if (c->is_all_sent)
		return;
	c->is_all_sent = true;
	c->req->times.sent_ns = gw_now_ns();
	if (c->req->phase == UP_PH_SEND)
		up_req_phase(c->req, UP_PH_FIRST);
	gw_wipe(c->req->head.p, c->req->head.n); /* the credential is on its way and nobody reads it here again */
}

/* Head and body pieces are put together into records: one small write for a small request. */
static void pump_cipher(struct up_conn *c)
{
	struct gw_upstream *up = c->ep->up;
	enum gw_err e;

	while (flush_cipher(c)) {
		size_t n = 0;

		while (n < UP_SLICE && c->w_piece <= c->req->n_body) {
			struct gw_str p = gw_str_skip(piece_of(c->req, c->w_piece), c->w_off);
			size_t step = p.n < UP_SLICE - n ? p.n : UP_SLICE - n;

			if (step > 0)
				memcpy(up->gather + n, p.p, step);
			n += step;
			c->w_off += step;
			if (step == p.n) {
				c->w_piece++;
				c->w_off = 0;
			}
		}
		if (n == 0 && up_upload_next(c))
			continue;
		if (n == 0) {
			if (!c->req->is_streamed || c->req->is_upload_ended)
				all_sent(c);
			return;
		}
		e = gw_tls_write(c->tls, up->gather, n);
		gw_wipe(up->gather, n);
		if (e != GW_OK) {
			c->req->late_err = GW_E_UP_TLS;
			snprintf(c->req->detail, sizeof(c->req->detail), "%s", gw_tls_why(c->tls));
			gw_wheel_set(&up->wheel, &c->req->timer, 0);
			return;
		}
	}
}

static void pump_plain(struct up_conn *c)
{
	struct up_sock *s = c->sock;
	uv_buf_t iov[UP_IOV];
	size_t total;
	unsigned n;
	int r;

	while (!s->is_writing && !c->is_write_broken) {
		n = rest_iov(c, iov, &total);
		if (n == 0 && up_upload_next(c))
			continue;
		if (n == 0) {
			if (!c->req->is_streamed || c->req->is_upload_ended)
				all_sent(c);
			return;
		}
		r = uv_try_write((uv_stream_t *)&s->tcp, iov, n);
		if (r < 0 && r != UV_EAGAIN) {
			c->is_write_broken = true;
			return;
		}
		if (r > 0)
			advance(c, (size_t)r);
		if (r > 0 && (size_t)r == total)
			continue;
		n = rest_iov(c, iov, &total);
		s->n_writing = total;
		s->is_writing = uv_write(&s->write, (uv_stream_t *)&s->tcp, iov, n, on_plain_written) == 0;
		c->is_write_broken = !s->is_writing;
	}
}

static void pump_write(struct up_conn *c)
{
	if (c->tls)
		pump_cipher(c);
	else
		pump_plain(c);
}

/* --- reading --- */

static bool on_head(void *ctx)
{
	struct up_conn *c = ctx;
	struct gw_up_req *q = c->req;
	struct gw_upstream *up = c->ep->up;
	struct gw_up_reply r = { .status = c->parse.status,
				 .headers = up->views,
				 .n_headers = c->parse.n_headers,
				 .content_length = c->parse.content_length,
				 .is_reused = c->is_reused };

	if (!q)
		return false;
	gw_h1p_headers(&c->parse, up->views);
	q->times.head_ns = gw_recent_ns();
	if (r.content_length < 0)
		settle_down(c);
	q->ops.on_head(q->ctx, q, &r);
	return c->req != NULL;
}

static bool on_body(void *ctx, struct gw_str piece)
{
	struct up_conn *c = ctx;
	struct gw_up_req *q = c->req;

	if (!q)
		return false;
	if (!q->had_body) {
		q->had_body = true;
		q->times.first_body_ns = gw_recent_ns();
	}
	if (q->phase != UP_PH_PAUSED)
		up_req_phase(q, UP_PH_BODY);
	q->ops.on_body(q->ctx, q, piece);
	return c->req != NULL;
}

enum parsed { PARSE_MORE, PARSE_GONE, PARSE_DONE };

/* GONE: c is freed. DONE: the answer is complete; *used < n when more came than belongs to it. */
static enum parsed parse(struct up_conn *c, const char *p, size_t n, size_t *used)
{
	enum gw_err e;

	if (c->state != UP_BUSY) { /* bytes nobody asked for */
		up_conn_give_up(c);
		return PARSE_GONE;
	}
	c->got_bytes = true;
	c->in_parse = true;
	e = gw_h1p_feed(&c->parse, p, n, used);
	c->in_parse = false;
	if (c->is_given_up) {
		struct gw_endpoint *ep = c->ep;

		free_conn(c);
		up_pool_next(ep);
		return PARSE_GONE;
	}
	if (e != GW_OK) {
		up_conn_fail(c, e, c->parse.why);
		return PARSE_GONE;
	}
	return c->parse.is_done ? PARSE_DONE : PARSE_MORE;
}

/* The peer is gone. is_proof: the end came the way that can end a body (FIN, or close_notify over TLS). */
static void at_eof(struct up_conn *c, bool is_proof)
{
	enum gw_err e;

	switch (c->state) {
	case UP_HANDSHAKE:
		up_conn_fail(c, GW_E_UP_TLS, "closed during the TLS handshake");
		return;
	case UP_BUSY:
		break;
	default:
		up_conn_give_up(c);
		return;
	}
	e = is_proof ? gw_h1p_eof(&c->parse) : c->parse.has_head ? GW_E_UP_CUT : GW_E_UP_RESET;
	if (e == GW_OK)
		finish(c, false);
	else if (e == GW_E_UP_RESET && c->is_reused && !c->got_bytes)
		up_conn_fail(c, GW_E_UP_STALE, "closed as it was reused");
	else
		up_conn_fail(c, e, e == GW_E_UP_CUT ? "closed in the middle of the answer" : "closed before an answer");
}

static void take_plain(struct up_conn *c, const char *p, size_t n)
{
	size_t used;

	if (parse(c, p, n, &used) == PARSE_DONE)
		finish(c, used == n);
}

static void take_cipher(struct up_conn *c, const char *p, size_t n)
{
	struct gw_upstream *up = c->ep->up;
	size_t used = 0;
	long got;

	if (gw_tls_feed(c->tls, p, n) != GW_OK) {
		up_conn_fail(c, GW_E_UP_GARBLED, "TLS records that never end");
		return;
	}
	if (c->state == UP_HANDSHAKE) {
		step_handshake(c); /* c may be gone; a server says nothing more before it has our request */
		return;
	}
	while ((got = gw_tls_read(c->tls, up->plain, sizeof(up->plain))) > 0) {
		enum parsed r = parse(c, up->plain, (size_t)got, &used);

		if (r == PARSE_GONE)
			return;
		if (r == PARSE_DONE) {
			/* more after the end, a close, or an error: the answer stands, the connection does not */
			bool is_clean = used == (size_t)got && gw_tls_read(c->tls, up->plain, sizeof(up->plain)) == 0;

			finish(c, is_clean);
			return;
		}
	}
	if (got == -1)
		at_eof(c, true);
	else if (got < 0 && c->state == UP_BUSY && !c->parse.has_head)
		up_conn_fail(c, GW_E_UP_TLS, gw_tls_why(c->tls));
	else if (got < 0)
		at_eof(c, false);
}

static void on_read(uv_stream_t *st, ssize_t n, const uv_buf_t *b)
{
	struct up_sock *s = st->data;
	struct up_conn *c = s->conn;

	if (!c || n == 0)
		return;
	(void)gw_now_ns(); /* for all stamps of what these bytes set off */
	if (n < 0)
		at_eof(c, n == UV_EOF && !c->tls);
	else if (c->tls)
		take_cipher(c, b->base, (size_t)n);
	else
		take_plain(c, b->base, (size_t)n);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct up_sock *s = h->data;

	(void)hint;
	*out = uv_buf_init(s->up->scratch, UP_SCRATCH);
}

/* --- the beginning --- */

static void step_handshake(struct up_conn *c)
{
	struct gw_endpoint *ep = c->ep;
	enum gw_err e = gw_tls_handshake(c->tls);

	if (e != GW_OK && e != GW_E_AGAIN) {
		/* a session the server will not have must not spoil the next attempt */
		gw_tls_session_free(ep->session);
		ep->session = NULL;
		(void)flush_cipher(c); /* the alert */
		up_conn_fail(c, GW_E_UP_TLS, gw_tls_why(c->tls));
		return;
	}
	(void)flush_cipher(c);
	if (e != GW_OK)
		return;
	ep->up->stats.handshakes++;
	if (gw_tls_was_resumed(c->tls))
		ep->up->stats.resumed++;
	up_conn_serve(c);
}

void up_conn_ready(struct up_conn *c)
{
	struct gw_endpoint *ep = c->ep;

	if (uv_read_start((uv_stream_t *)&c->sock->tcp, on_alloc, on_read) != 0) {
		up_conn_fail(c, GW_E_UP_RESET, "the socket cannot be read");
		return;
	}
	if (!ep->is_https) {
		up_conn_serve(c);
		return;
	}
	if (!ep->tls) {
		up_conn_fail(c, GW_E_UP_TLS,
			     ep->ca_pem ? "the provider's ca_pem holds no usable certificate"
					: "the system has no readable CA bundle: install ca-certificates, or give the "
					  "provider a ca_pem");
		return;
	}
	if (gw_tls_new(ep->tls, gw_str(ep->host, ep->host_n), ep->session, &c->tls) != GW_OK) {
		up_conn_fail(c, GW_E_NOMEM, "no memory for TLS");
		return;
	}
	c->state = UP_HANDSHAKE;
	step_handshake(c);
}

void up_conn_serve(struct up_conn *c)
{
	struct gw_up_req *q = c->req;
	struct gw_endpoint *ep = c->ep;
	bool was_opening = c->is_opening;

	c->state = UP_BUSY;
	up_pool_opened(c);
	c->got_bytes = c->is_all_sent = false;
	c->w_piece = 0;
	c->w_off = 0;
	q->times.connected_ns = c->is_reused ? gw_recent_ns() : gw_now_ns();
	c->parse.ctx = c;
	c->parse.on_head = on_head;
	c->parse.on_body = on_body;
	gw_h1p_start(&c->parse, q->is_head_request);
	up_req_phase(q, q->is_streamed ? UP_PH_SEND : UP_PH_FIRST);
	q->is_room_owed = q->is_streamed;
	up_conn_write(c);
	up_upload_tell_room(c);
	if (was_opening && ep->queue_first)
		up_pool_next(ep);
}

void up_conn_write(struct up_conn *c)
{
	pump_write(c);
	if (c->req->phase == UP_PH_SEND)
		up_req_phase(c->req, UP_PH_SEND);
}

void up_conn_pause(struct up_conn *c, bool is_paused)
{
	if (c->is_paused == is_paused || !c->sock)
		return;
	c->is_paused = is_paused;
	if (is_paused)
		(void)uv_read_stop((uv_stream_t *)&c->sock->tcp);
	else if (uv_read_start((uv_stream_t *)&c->sock->tcp, on_alloc, on_read) != 0 && c->req) {
		c->req->late_err = GW_E_UP_RESET;
		gw_wheel_set(&c->ep->up->wheel, &c->req->timer, 0);
	}
}
