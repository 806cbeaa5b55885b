/* A connection's life: reading, what the end of the loop turn owes, idling, lingering, dying. The memory lives
 * until the poll handle is closed, the owner has ended its answer and nothing more is owed; so an owner may hold
 * the pointer from on_head to on_done whatever the client does. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "net/client_addr.h"
#include "net/h1_server_int.h"

static void on_poll(uv_poll_t *h, int status, int events);

void gw_h1_conn_dirty(struct gw_h1_conn *c)
{
	struct gw_h1_server *s = c->s;

	if (c->is_dirty)
		return;
	c->is_dirty = true;
	c->dirty_next = NULL;
	if (!s->dirty_first)
		gw_h1_again(
		    s); /* the next wait must not come first; stopped at the end of the turn, so it costs no call */
	*(s->dirty_last ? &s->dirty_last->dirty_next : &s->dirty_first) = c;
	s->dirty_last = c;
}

/* ---- what to wait for ---- */

static int wanted_events(const struct gw_h1_conn *c)
{
	int writable = c->is_blocked ? UV_WRITABLE : 0;
	bool may_read;

	if (c->phase != GW_H1_PH_SERVING)
		return (c->is_body_paused ? UV_DISCONNECT : UV_READABLE) | writable;
	if (c->is_eof)
		return writable;
	may_read = c->must_close ? c->discarded < GW_H1_LINGER_BYTES : gw_buf_len(&c->ahead) < c->s->lim.pipeline_bytes;
	/* Without reading, a close by the client is still seen. */
	return (may_read ? UV_READABLE : UV_DISCONNECT) | writable;
}

static enum gw_h1_due wanted_due(const struct gw_h1_conn *c)
{
	if (c->is_fronting)
		return GW_H1_DUE_FRONT;
	if (c->is_blocked)
		return GW_H1_DUE_WRITE;
	switch (c->phase) {
	case GW_H1_PH_IDLE:
		return c->s->is_draining  ? GW_H1_DUE_DRAIN
		       : c->requests == 0 ? GW_H1_DUE_FIRST
		       : c->is_trimmed    ? GW_H1_DUE_IDLE
					  : GW_H1_DUE_TRIM;
	case GW_H1_PH_HEAD:
		return GW_H1_DUE_HEAD;
	case GW_H1_PH_BODY:
		return c->is_body_paused ? GW_H1_DUE_NONE : GW_H1_DUE_BODY;
	case GW_H1_PH_LINGER:
		return GW_H1_DUE_LINGER;
	default:
		return GW_H1_DUE_NONE;
	}
}

void gw_h1_conn_settle(struct gw_h1_conn *c)
{
	enum gw_h1_due due;
	int events;

	if (c->phase == GW_H1_PH_DEAD)
		return;
	events = wanted_events(c);
	if (events != c->events) {
		c->events = events;
		if (events)
			(void)uv_poll_start(&c->poll, events, on_poll);
		else
			(void)uv_poll_stop(&c->poll);
	}
	due = wanted_due(c);
	if (due != c->due)
		gw_h1_due_set(c, due);
}

/* ---- end ---- */

static void free_if_over(struct gw_h1_conn *c)
{
	struct gw_h1_server *s = c->s;

	if (c->phase != GW_H1_PH_DEAD || !c->is_poll_closed || c->is_dirty || c->is_owned)
		return;
	gw_buf_done(&c->head);
	gw_buf_done(&c->fields);
	gw_buf_done(&c->body);
	gw_buf_done(&c->ahead);
	gw_buf_done(&c->out);
	*(c->prev ? &c->prev->next : &s->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
	s->n_alive--;
	gw_h1_conn_left(s);
}

static void on_closed(uv_handle_t *h)
{
	struct gw_h1_conn *c = h->data;

	c->is_poll_closed = true;
	free_if_over(c);
}

void gw_h1_conn_kill(struct gw_h1_conn *c)
{
	struct gw_h1_server *s = c->s;

	if (c->phase == GW_H1_PH_DEAD)
		return;
	/* An owner whose on_request was called ends its answer itself; nobody else would. */
	if (!c->is_served)
		c->answer = GW_H1_ENDED;
	c->is_gone = true;
	c->is_blocked = false;
	gw_h1_due_clear(c);
	c->phase = GW_H1_PH_DEAD;
	gw_h1_front_free(c);
	gw_buf_clear(&c->out, 0);
	gw_buf_clear(&c->ahead, 0);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	gw_close(&c->fd);
	gw_h1_group_leave(s, c->group);
	c->group = NULL;
	s->n_open--;
	gw_h1_conn_dirty(c);
	gw_h1_conn_left(s);
}

/* The answer is out: say so, then read on for a while, because closing with unread bytes in the kernel's buffer would
 * send a reset that destroys what the client has not read yet. */
void gw_h1_conn_linger(struct gw_h1_conn *c)
{
	if (c->phase == GW_H1_PH_DEAD)
		return;
	if (c->front)
		gw_h1_front_bye(c);
	if (c->is_eof || shutdown(c->fd, SHUT_WR) != 0) {
		gw_h1_conn_kill(c);
		return;
	}
	c->phase = GW_H1_PH_LINGER;
	gw_h1_conn_trim(c);
	gw_h1_conn_settle(c);
}

void gw_h1_conn_trim(struct gw_h1_conn *c)
{
	gw_buf_done(&c->head);
	gw_buf_done(&c->fields);
	gw_buf_done(&c->body);
	gw_buf_done(&c->ahead);
	gw_buf_done(&c->out);
	c->is_trimmed = true;
}

/* ---- from one request to the next ---- */

void gw_h1_next_request(struct gw_h1_conn *c)
{
	static const struct gw_h1_request none = { .content_length = -1 };

	/* Kept from request to request, but not at the size of the largest; gone after a second of idling (trim). */
	gw_buf_clear(&c->head, GW_H1_KEEP_BYTES);
	gw_buf_clear(&c->fields, GW_H1_KEEP_BYTES);
	gw_buf_clear(&c->body, GW_H1_KEEP_BYTES);
	gw_buf_clear(&c->out, GW_H1_KEEP_BYTES);
	c->rq = none;
	c->phase = GW_H1_PH_IDLE;
	c->answer = GW_H1_UNANSWERED;
	c->framing = GW_H1_NO_BODY;
	c->is_served = c->is_complete = c->is_chunked = c->is_expecting = c->was_high = false;
	c->is_streamed = c->is_body_paused = false;
	c->upload_bytes = c->upload_max = 0;
	c->blank_lines = 0;
	c->refused = GW_OK;
	c->head_first = c->line_at = c->fed = c->request_line_bytes = 0;
	c->body_wire_bytes = c->bytes_out = 0;
	c->ext_bytes = c->trailer_bytes = 0;
	c->user = NULL;
}

/* The answer is ended and with the kernel (or the connection is dead). */
static void finish(struct gw_h1_conn *c)
{
	if (c->is_owned) {
		c->is_owned = false;
		if (c->s->ops.on_done)
			c->s->ops.on_done(c->s->ctx, c);
	}
	c->user = NULL;
	if (c->phase == GW_H1_PH_DEAD)
		return;
	if (c->must_close || c->is_eof) {
		gw_h1_conn_linger(c);
		return;
	}
	gw_h1_due_clear(c);
	gw_h1_next_request(c);
	if (gw_buf_len(&c->ahead)) {
		size_t n = gw_h1_parse(c, gw_buf_view(&c->ahead));

		if (c->phase == GW_H1_PH_DEAD)
			return;
		gw_buf_consume(&c->ahead, c->must_close ? gw_buf_len(&c->ahead) : n);
		if (gw_buf_len(&c->ahead) == 0)
			gw_buf_clear(&c->ahead, 0); /* few clients pipeline */
	}
}

void gw_h1_conn_advance(struct gw_h1_conn *c)
{
	struct gw_h1_server *s = c->s;

	c->is_dirty = false;
	if (c->phase != GW_H1_PH_DEAD && gw_h1_out_waits(c) && !c->is_blocked)
		(void)gw_h1_out_flush(c);
	if (c->is_gone && c->is_served && !c->is_gone_told && c->answer != GW_H1_ENDED) {
		c->is_gone_told = true;
		if (s->ops.on_gone)
			s->ops.on_gone(s->ctx, c);
	}
	if (c->was_high && gw_buf_len(&c->out) <= s->lim.out_low_bytes && c->answer == GW_H1_STARTED) {
		c->was_high = false;
		if (s->ops.on_drain && !c->is_gone)
			s->ops.on_drain(s->ctx, c);
	}
	if (c->answer == GW_H1_ENDED && !gw_h1_out_waits(c) && c->phase != GW_H1_PH_LINGER)
		finish(c);
	if (c->phase == GW_H1_PH_DEAD)
		free_if_over(c);
	else
		gw_h1_conn_settle(c);
}

/* ---- streamed bodies ---- */

void gw_h1_stream_body(struct gw_h1_conn *c)
{
	c->is_streamed = true;
}

void gw_h1_body_pause(struct gw_h1_conn *c)
{
	if (c->is_body_paused || !gw_h1_is_uploading(c))
		return;
	c->is_body_paused = true;
	c->paused_at_ms = uv_now(c->s->loop);
	gw_h1_conn_settle(c);
}

/* The time of the pause is not the client's. */
void gw_h1_body_resume(struct gw_h1_conn *c)
{
	if (!c->is_body_paused)
		return;
	c->is_body_paused = false;
	c->body_since_ms += uv_now(c->s->loop) - c->paused_at_ms;
	gw_h1_conn_settle(c);
}

/* ---- reading ---- */

/* The client closed its side, or the connection broke. */
void gw_h1_conn_end(struct gw_h1_conn *c)
{
	if (c->phase != GW_H1_PH_SERVING) {
		gw_h1_conn_kill(c);
		return;
	}
	c->is_eof = c->is_gone = true;
	gw_h1_conn_dirty(c);
}

static void keep_ahead(struct gw_h1_conn *c, struct gw_str rest)
{
	if (c->phase != GW_H1_PH_SERVING)
		return;
	if (c->must_close) { /* nothing after it counts */
		c->discarded += rest.n;
		return;
	}
	c->ahead.max = c->s->lim.pipeline_bytes + GW_H1_READ_BYTES;
	gw_buf_puts(&c->ahead, rest);
	if (c->ahead.err)
		gw_h1_conn_kill(c);
}

void gw_h1_conn_take(struct gw_h1_conn *c, struct gw_str in)
{
	c->s->stats.bytes_in += in.n;
	switch (c->phase) {
	case GW_H1_PH_LINGER:
		c->discarded += in.n;
		if (c->discarded > GW_H1_LINGER_BYTES)
			gw_h1_conn_kill(c);
		break;
	case GW_H1_PH_SERVING:
		keep_ahead(c, in);
		break;
	default: {
		size_t n = gw_h1_parse(c, in);

		if (n < in.n)
			keep_ahead(c, gw_str_skip(in, n));
	}
	}
}

static void read_some(struct gw_h1_conn *c)
{
	struct gw_h1_server *s = c->s;

	for (int i = 0; i < 4 && c->phase != GW_H1_PH_DEAD; i++) {
		ssize_t n;

		do
			n = recv(c->fd, s->in, sizeof(s->in), MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			gw_h1_conn_kill(c);
			return;
		}
		if (n == 0) {
			gw_h1_conn_end(c);
			return;
		}
		(void)gw_now_ns(); /* for all stamps of what these bytes set off */
		if (c->front && c->phase != GW_H1_PH_LINGER)
			gw_h1_front_input(c, gw_str(s->in, (size_t)n));
		else
			gw_h1_conn_take(c, gw_str(s->in, (size_t)n));
		/* A short read emptied the socket; while a request is served the rest can wait in the kernel. */
		if ((size_t)n < sizeof(s->in) || c->phase == GW_H1_PH_SERVING || c->is_body_paused)
			return;
	}
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct gw_h1_conn *c = h->data;

	if (c->phase == GW_H1_PH_DEAD)
		return;
	if (status < 0) {
		gw_h1_conn_kill(c);
		return;
	}
	if ((events & UV_WRITABLE) && gw_h1_out_flush(c))
		gw_h1_conn_dirty(c);
	if (c->phase != GW_H1_PH_DEAD && (events & UV_READABLE) && (c->events & UV_READABLE))
		read_some(c);
	else if (c->phase != GW_H1_PH_DEAD && (events & UV_DISCONNECT))
		gw_h1_conn_end(c);
	gw_h1_conn_settle(c);
}

/* A group is an address: /32 of IPv4, /64 of IPv6. */
bool gw_h1_conn_group(struct gw_h1_conn *c)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint8_t key[16] = { 0 };

	memcpy(key, c->addr, memcmp(c->addr, mapped, 12) == 0 ? 16 : 8);
	return gw_h1_group_enter(c->s, key, &c->group);
}

static struct gw_h1_conn *make(struct gw_h1_server *s, int fd, bool is_unix, const uint8_t addr[16])
{
	struct gw_h1_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->s = s;
	c->fd = fd;
	c->is_unix = is_unix;
	memcpy(c->addr, addr, sizeof(c->addr));
	return c;
}

/* Whose connection it is, and whether something stands before HTTP. */
static bool admit(struct gw_h1_conn *c, bool is_tls)
{
	struct gw_h1_server *s = c->s;
	bool is_proxied = !c->is_unix && s->n_proxies && gw_addr_in(c->addr, s->proxies, s->n_proxies);
	bool is_shared = is_proxied || (s->n_trusted && gw_addr_in(c->addr, s->trusted, s->n_trusted));

	if (c->is_unix) {
		memcpy(c->peer, "unix", 4);
		c->peer_n = 4;
	} else {
		c->peer_n = (uint8_t)gw_addr_print(c->addr, c->peer);
	}
	if (!c->is_unix && !is_shared && !gw_h1_conn_group(c))
		return false;
	return (!is_tls && !is_proxied) || gw_h1_front_open(c, is_tls, is_proxied);
}

void gw_h1_conn_open(struct gw_h1_server *s, int fd, bool is_unix, bool is_tls, const uint8_t addr[16])
{
	struct gw_h1_conn *c = make(s, fd, is_unix, addr);

	if (!c || !admit(c, is_tls) || uv_poll_init(s->loop, &c->poll, fd) != 0) {
		if (c) {
			gw_h1_group_leave(s, c->group);
			gw_h1_front_free(c);
		}
		free(c);
		close(fd);
		return;
	}
	c->poll.data = c;
	gw_buf_init(&c->out, GW_H1_OUT_MAX_BYTES);
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	s->n_open++;
	s->n_alive++;
	s->stats.accepted++;
	gw_h1_next_request(c);
	gw_h1_conn_settle(c);
}
