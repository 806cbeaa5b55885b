/* What may stand between a socket and HTTP: a PROXY header, then TLS. Connections without either never come here.
 *
 *   accept -> PROXY? -header-> TLS? -first bytes-> waiting for its turn -handshake steps-> open -> HTTP
 *
 * One deadline covers everything up to HTTP. Handshakes cost milliseconds each, so they are done at the end of the loop
 * turn, first come first served, for a slice of time; then the streams have their say again. Above a number under way,
 * further ones wait with their hello, which is small, instead of with a TLS context, which is not. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "net/client_addr.h"
#include "net/h1_server_int.h"
#include "net/proxy_proto.h"
#include "net/tls.h"

enum { EARLY_BYTES = 32 << 10, RECORD_BYTES = 16384, KEEP_BYTES = 4 << 10, TLS_HANDSHAKE_RECORD = 0x16 };

enum queue { Q_NONE, Q_TURN, Q_WAIT };
struct gw_h1_front {
	struct gw_tls *tls;
	struct gw_buf early; /* PROXY header so far; hello while it waits */
	struct gw_h1_conn *next, *prev; /* in its queue */
	bool is_proxied; /* header still to come */
	bool is_tls, is_open, is_under_way;
	bool is_counted; /* a failure has its reason */
	enum queue where;
};
struct list {
	struct gw_h1_conn *first, *last;
};
struct gw_h1_fronts {
	struct gw_tls_ctx *tls;
	struct list list[3]; /* by enum queue */
	uint32_t n_under_way;
	char plain[RECORD_BYTES]; /* pieces of an answer gathered for one record */
};

/* ---- queues ---- */

static void enqueue(struct gw_h1_conn *c, enum queue where)
{
	struct list *l = &c->s->fronts->list[where];
	struct gw_h1_front *f = c->front;

	f->where = where;
	f->next = NULL;
	f->prev = l->last;
	*(l->last ? &l->last->front->next : &l->first) = c;
	l->last = c;
	if (where == Q_TURN)
		gw_h1_again(c->s);
}

static void dequeue(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;
	struct list *l = &c->s->fronts->list[f->where];

	if (f->where == Q_NONE)
		return;
	*(f->prev ? &f->prev->front->next : &l->first) = f->next;
	*(f->next ? &f->next->front->prev : &l->last) = f->prev;
	f->where = Q_NONE;
}

/* A handshake is over, one way or the other: the next one that waits may begin. */
static void leave(struct gw_h1_conn *c)
{
	struct gw_h1_fronts *fs = c->s->fronts;
	struct gw_h1_conn *waiting = fs->list[Q_WAIT].first;

	if (!c->front->is_under_way)
		return;
	c->front->is_under_way = false;
	fs->n_under_way--;
	if (waiting) {
		dequeue(waiting);
		enqueue(waiting, Q_TURN);
	}
}

/* ---- life ---- */

static struct gw_h1_fronts *fronts_of(struct gw_h1_server *s)
{
	if (!s->fronts)
		s->fronts = calloc(1, sizeof(*s->fronts));
	return s->fronts;
}

bool gw_h1_front_open(struct gw_h1_conn *c, bool is_tls, bool is_proxied)
{
	if (!fronts_of(c->s))
		return false;
	c->front = calloc(1, sizeof(*c->front));
	if (!c->front)
		return false;
	c->front->is_tls = is_tls;
	c->front->is_proxied = is_proxied;
	gw_buf_init(&c->front->early, EARLY_BYTES);
	c->is_fronting = true;
	return true;
}

void gw_h1_front_free(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;

	if (!f)
		return;
	if (c->is_fronting && !f->is_counted && (f->tls || gw_buf_len(&f->early)))
		c->s->stats.tls_bad_gone += f->is_tls ? 1 : 0;
	dequeue(c);
	leave(c);
	gw_tls_free(f->tls);
	gw_buf_done(&f->early);
	free(f);
	c->front = NULL;
	c->is_fronting = false;
}

void gw_h1_fronts_free(struct gw_h1_server *s)
{
	if (!s->fronts)
		return;
	gw_tls_ctx_free(s->fronts->tls);
	free(s->fronts);
	s->fronts = NULL;
}

void gw_h1_set_tls(struct gw_h1_server *s, struct gw_tls_ctx *ctx)
{
	if (!fronts_of(s)) {
		gw_tls_ctx_free(ctx);
		return;
	}
	gw_tls_ctx_free(s->fronts->tls);
	s->fronts->tls = ctx;
}

struct gw_tls *gw_h1_tls(const struct gw_h1_conn *c)
{
	return c->front && c->front->is_open ? c->front->tls : NULL;
}

/* ---- sending ---- */

bool gw_h1_front_waits(const struct gw_h1_conn *c)
{
	return c->front->tls && gw_buf_len(gw_tls_out(c->front->tls)) > 0;
}

/* Cipher bytes to the kernel. False: the connection is broken. */
static bool push(struct gw_h1_conn *c)
{
	struct gw_buf *out = gw_tls_out(c->front->tls);
	size_t len = gw_buf_len(out);
	ssize_t n = 0;

	if (len == 0)
		return true;
	do
		n = send(c->fd, out->p + out->off, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return false;
	if (n > 0) {
		gw_buf_consume(out, (size_t)n);
		if (c->due == GW_H1_DUE_WRITE)
			gw_h1_due_clear(c); /* progress: the stall begins anew */
	}
	if (gw_buf_len(out) == 0)
		gw_buf_clear(out, KEEP_BYTES);
	return true;
}

/* The next bytes of the parts, at most a record of them, in one piece. */
static size_t gather(char *to, struct iovec *v, size_t n_v, size_t skip)
{
	size_t n = 0;

	for (size_t i = 0; i < n_v && n < RECORD_BYTES; i++) {
		size_t len = v[i].iov_len, take;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		take = len - skip < RECORD_BYTES - n ? len - skip : RECORD_BYTES - n;
		memcpy(to + n, (char *)v[i].iov_base + skip, take);
		n += take;
		skip = 0;
	}
	return n;
}

ssize_t gw_h1_front_send(struct gw_h1_conn *c, struct iovec *v, size_t n_v)
{
	char *plain = c->s->fronts->plain;
	size_t done = 0, n;

	if (!push(c))
		return -1;
	while (!gw_h1_front_waits(c) && (n = gather(plain, v, n_v, done)) > 0) {
		if (gw_tls_write(c->front->tls, plain, n) || !push(c))
			return -1;
		done += n;
	}
	return (ssize_t)done;
}

void gw_h1_front_bye(struct gw_h1_conn *c)
{
	if (!c->front->is_open)
		return;
	gw_tls_close_notify(c->front->tls);
	(void)push(c); /* what the kernel does not take now is not worth waiting for */
}

/* ---- failing ---- */

static void count(struct gw_h1_conn *c, uint64_t *reason)
{
	c->front->is_counted = true;
	(*reason)++;
}

/* The alert goes out, then the connection lingers so that the client can read it. */
static void fail(struct gw_h1_conn *c, uint64_t *reason)
{
	count(c, reason);
	if (c->front->tls && !push(c)) {
		gw_h1_conn_kill(c);
		return;
	}
	c->is_fronting = false;
	leave(c);
	gw_h1_conn_linger(c);
}

void gw_h1_front_expire(struct gw_h1_conn *c)
{
	count(c, c->front->is_proxied ? &c->s->stats.proxy_refused : &c->s->stats.tls_bad_timeout);
	gw_h1_conn_kill(c);
}

/* Somebody speaks HTTP to the TLS port: said in HTTP, because that is what he can read. */
static void answer_plain(struct gw_h1_conn *c)
{
	count(c, &c->s->stats.tls_bad_plain);
	gw_h1_front_free(c);
	gw_h1_refuse(c, GW_E_TLS_NEEDED);
}

/* ---- handshakes ---- */

static bool take_plain(struct gw_h1_conn *c)
{
	struct gw_h1_server *s = c->s;

	for (;;) {
		long n = gw_tls_read(c->front->tls, s->in, sizeof(s->in));

		if (n == 0)
			return true;
		if (n == -1) {
			gw_h1_conn_end(c);
			return false;
		}
		if (n < 0) {
			s->stats.tls_bad_protocol++;
			(void)push(c);
			gw_h1_conn_kill(c);
			return false;
		}
		gw_h1_conn_take(c, gw_str(s->in, (size_t)n));
		if (c->phase == GW_H1_PH_DEAD || c->phase == GW_H1_PH_LINGER)
			return false;
	}
}

static enum gw_err begin_tls(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;
	enum gw_err e = gw_tls_new(c->s->fronts->tls, GW_NIL, NULL, &f->tls);

	if (e)
		return e;
	c->s->fronts->n_under_way++;
	f->is_under_way = true;
	e = gw_tls_feed(f->tls, f->early.p + f->early.off, gw_buf_len(&f->early));
	gw_buf_done(&f->early);
	return e;
}

static void opened(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;

	f->is_open = true;
	c->is_fronting = false;
	leave(c);
	c->s->stats.tls_handshakes++;
	c->s->stats.tls_resumed += gw_tls_was_resumed(f->tls) ? 1 : 0;
	if (take_plain(c))
		gw_h1_conn_settle(c);
}

static void refuse_without_certificate(struct gw_h1_conn *c)
{
	static const char alert[] = { 21, 3, 1, 0, 2, 2, 40 }; /* fatal, handshake_failure */

	(void)!send(c->fd, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT);
	fail(c, &c->s->stats.tls_bad_no_certificate);
}

static void step(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;
	struct gw_h1_server *s = c->s;
	enum gw_err e = GW_OK;

	if (!f->tls && !s->fronts->tls) {
		refuse_without_certificate(c);
		return;
	}
	if (!f->tls && s->lim.handshakes && s->fronts->n_under_way >= s->lim.handshakes) {
		s->stats.tls_waited++;
		enqueue(c, Q_WAIT);
		return;
	}
	if (!f->tls)
		e = begin_tls(c);
	if (!e)
		e = gw_tls_handshake(f->tls);
	if (e && e != GW_E_AGAIN) {
		fail(c, &s->stats.tls_bad_protocol);
		return;
	}
	if (!push(c)) {
		gw_h1_conn_kill(c);
		return;
	}
	c->is_blocked = gw_h1_front_waits(c);
	if (e == GW_OK)
		opened(c);
	else
		gw_h1_conn_settle(c);
}

void gw_h1_front_turn(struct gw_h1_server *s)
{
	struct list *l = &s->fronts->list[Q_TURN];
	uint64_t until;

	if (!l->first)
		return;
	until = gw_now_ns() + s->lim.handshake_slice_us * 1000;
	do {
		struct gw_h1_conn *c = l->first;

		dequeue(c);
		step(c); /* may free its front */
	} while (l->first && gw_now_ns() < until);
	if (l->first)
		gw_h1_again(s);
}

/* ---- reading ---- */

/* First bytes after the header, if there was one. False: this is not TLS. */
static bool is_hello(const struct gw_h1_front *f)
{
	return (unsigned char)f->early.p[f->early.off] == TLS_HANDSHAKE_RECORD;
}

static void take_hello(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;

	if (!f->tls && !is_hello(f)) {
		char first = f->early.p[f->early.off];

		if (first >= 'A' && first <= 'Z')
			answer_plain(c);
		else
			fail(c, &c->s->stats.tls_bad_protocol);
		return;
	}
	if (f->where == Q_NONE)
		enqueue(c, Q_TURN);
}

/* The header is whole: the client is who it says, and its own limit applies. */
static bool become(struct gw_h1_conn *c, const struct gw_proxy_header *h)
{
	if (h->has_address) {
		memcpy(c->addr, h->addr, sizeof(c->addr));
		c->peer_n = (uint8_t)gw_addr_print(c->addr, c->peer);
	}
	return gw_h1_conn_group(c);
}

static void take_header(struct gw_h1_conn *c)
{
	struct gw_h1_front *f = c->front;
	struct gw_proxy_header h;
	enum gw_err e = gw_proxy_read(gw_buf_view(&f->early), &h);

	if (e == GW_E_AGAIN)
		return;
	if (e) {
		count(c, &c->s->stats.proxy_refused);
		gw_h1_conn_kill(c);
		return;
	}
	gw_buf_consume(&f->early, h.bytes);
	f->is_proxied = false;
	c->s->stats.proxy_headers++;
	if (!become(c, &h)) {
		count(c, &c->s->stats.proxy_refused);
		gw_h1_conn_kill(c);
		return;
	}
	if (f->is_tls) {
		if (gw_buf_len(&f->early))
			take_hello(c);
		return;
	}
	/* Plain: what came with the header is HTTP. The front is done; the bytes outlive it. */
	struct gw_buf rest = f->early;

	f->early = (struct gw_buf){ 0 };
	c->is_fronting = false;
	f->is_counted = true;
	gw_h1_front_free(c);
	if (gw_buf_len(&rest))
		gw_h1_conn_take(c, gw_buf_view(&rest));
	gw_buf_done(&rest);
}

void gw_h1_front_input(struct gw_h1_conn *c, struct gw_str in)
{
	struct gw_h1_front *f = c->front;

	if (f->is_open) {
		if (gw_tls_feed(f->tls, in.p, in.n))
			gw_h1_conn_kill(c);
		else
			(void)take_plain(c);
		return;
	}
	c->s->stats.bytes_in += in.n;
	if (f->tls ? gw_tls_feed(f->tls, in.p, in.n) : (gw_buf_puts(&f->early, in), f->early.err)) {
		count(c, f->is_proxied ? &c->s->stats.proxy_refused : &c->s->stats.tls_bad_protocol);
		gw_h1_conn_kill(c); /* more than any hello has */
		return;
	}
	if (f->is_proxied)
		take_header(c);
	else
		take_hello(c);
}
