/* A message channel on a libuv loop. Packets come in through a poll handle and are put together by lib/sys/msgio.c;
 * messages go out at once while the socket takes them, else they wait in one bounded buffer, of whose first message
 * `out_sent` bytes are out:
 *
 *   out: | struct waiting | n_fds descriptors | bytes | struct waiting | ...
 *
 * Questions carry a number with the top bit set, so that an answer which comes after its deadline is told from a
 * message whose sender chose `corr` itself (a change sequence), and dropped. */
#include "net/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"

enum {
	PIECE_BYTES = GW_PACKET_BYTES - GW_MSG_HEAD_BYTES,
	PACKETS_PER_TURN = 64, /* then the loop gets its turn */
	MAX_ASKS = 4096,
	KEEP_BYTES = 16 << 10 /* buffers larger than this are given back when empty */
};
static const uint64_t ASKED = 1ull << 63;

struct waiting {
	uint32_t bytes, n_fds, msg_no;
};
struct ask {
	uint64_t corr, deadline_ms;
	gw_answer_fn *fn;
	void *ctx;
};
struct gw_channel {
	uv_poll_t poll;
	uv_timer_t timer; /* armed for the earliest deadline, or earlier */
	int handles; /* open ones; the struct is freed with the last */
	int fd;
	bool is_ended, is_closed, is_writable_wanted;
	struct gw_channel_ops ops;
	void *ctx;
	struct gw_msg_in in;
	struct gw_buf pack; /* the message being sent */
	struct gw_buf out;
	size_t out_sent, max_queue_bytes;
	bool has_secret_waiting;
	uint64_t next_corr;
	struct gw_buf asks; /* array of struct ask */
	uint64_t timer_at_ms;
	char packet[GW_PACKET_BYTES];
};

static size_t n_asks(const struct gw_channel *ch)
{
	return gw_buf_len(&ch->asks) / sizeof(struct ask);
}

static struct ask *ask_at(const struct gw_channel *ch, size_t i)
{
	return (struct ask *)(void *)ch->asks.p + i;
}

static bool has_secret(const struct gw_msg *m)
{
	return GW_MSG_HAS(m, secret) || GW_MSG_HAS(m, next);
}

static void close_fds(int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		gw_close(&fds[i]);
}

/* ---- out ---- */

/* Sends what is left of one message from *sent on; descriptors travel with the first packet. 0, -EAGAIN or -errno. */
static int send_pieces(int fd, struct gw_str body, uint32_t msg_no, const int *fds, uint32_t n_fds, size_t *sent)
{
	uint8_t head[GW_MSG_HEAD_BYTES];

	while (*sent < body.n) {
		size_t n = body.n - *sent < PIECE_BYTES ? body.n - *sent : PIECE_BYTES;
		struct iovec parts[2] = { { head, sizeof(head) }, { (void *)(uintptr_t)(body.p + *sent), n } };
		ssize_t got;

		gw_msg_head_put(head, (uint32_t)body.n, (uint32_t)*sent, msg_no);
		got = gw_packet_sendv(fd, parts, 2, fds, *sent == 0 ? n_fds : 0);
		if (got < 0)
			return (int)got;
		*sent += n;
	}
	return 0;
}

static void on_poll(uv_poll_t *h, int status, int events);

static void watch(struct gw_channel *ch, bool is_writable_wanted)
{
	if (ch->is_closed || ch->is_ended)
		return;
	ch->is_writable_wanted = is_writable_wanted;
	(void)uv_poll_start(&ch->poll, UV_READABLE | (is_writable_wanted ? UV_WRITABLE : 0), on_poll);
}

/* The first waiting message: its fixed part, where its descriptors and its bytes are. */
static struct waiting first_waiting(const struct gw_channel *ch, int fds[GW_MSG_MAX_FDS], struct gw_str *body)
{
	struct gw_str all = gw_buf_view(&ch->out);
	struct waiting w;

	memcpy(&w, all.p, sizeof(w));
	memcpy(fds, all.p + sizeof(w), sizeof(int) * w.n_fds);
	*body = gw_str(all.p + sizeof(w) + sizeof(int) * w.n_fds, w.bytes);
	return w;
}

static void drop_first_waiting(struct gw_channel *ch)
{
	int fds[GW_MSG_MAX_FDS];
	struct gw_str body;
	struct waiting w = first_waiting(ch, fds, &body);

	close_fds(fds, w.n_fds);
	if (ch->has_secret_waiting)
		gw_wipe((char *)(uintptr_t)body.p, body.n);
	ch->out_sent = 0;
	gw_buf_consume(&ch->out, sizeof(w) + sizeof(int) * w.n_fds + w.bytes);
	if (gw_buf_len(&ch->out) == 0) {
		if (ch->has_secret_waiting && ch->out.p)
			gw_wipe(ch->out.p, ch->out.cap);
		ch->has_secret_waiting = false;
		gw_buf_clear(&ch->out, KEEP_BYTES);
	}
}

/* False: the socket is broken. */
static bool flush_waiting(struct gw_channel *ch)
{
	while (gw_buf_len(&ch->out)) {
		int fds[GW_MSG_MAX_FDS], r;
		struct gw_str body;
		struct waiting w = first_waiting(ch, fds, &body);

		r = send_pieces(ch->fd, body, w.msg_no, fds, w.n_fds, &ch->out_sent);
		if (r == -EAGAIN || r == -ENOBUFS)
			return true;
		if (r < 0)
			return false;
		drop_first_waiting(ch);
	}
	watch(ch, false);
	return true;
}

/* The caller has checked the ceiling. Descriptors are dup'ed only when they have not travelled yet. */
static enum gw_err queue(struct gw_channel *ch, const struct gw_msg *m, uint32_t msg_no, size_t sent)
{
	struct waiting w = { .bytes = (uint32_t)gw_buf_len(&ch->pack),
			     .n_fds = sent == 0 ? m->n_fds : 0,
			     .msg_no = msg_no };
	int fds[GW_MSG_MAX_FDS];

	for (uint32_t i = 0; i < w.n_fds; i++) {
		fds[i] = fcntl(m->fds[i], F_DUPFD_CLOEXEC, 0);
		if (fds[i] < 0) {
			int err = errno;

			close_fds(fds, i);
			return gw_err_from_errno(err);
		}
	}
	if (!gw_buf_room(&ch->out, sizeof(w) + sizeof(int) * w.n_fds + w.bytes)) {
		enum gw_err e = ch->out.err;

		ch->out.err = GW_OK; /* what waits already is whole */
		close_fds(fds, w.n_fds);
		return e == GW_E_NOMEM ? e : GW_E_BUSY;
	}
	gw_buf_put(&ch->out, &w, sizeof(w));
	gw_buf_put(&ch->out, fds, sizeof(int) * w.n_fds);
	gw_buf_puts(&ch->out, gw_buf_view(&ch->pack));
	if (gw_buf_len(&ch->out) == sizeof(w) + sizeof(int) * w.n_fds + w.bytes)
		ch->out_sent = sent;
	if (has_secret(m))
		ch->has_secret_waiting = true;
	watch(ch, true);
	return GW_OK;
}

static enum gw_err send_packed(struct gw_channel *ch, const struct gw_msg *m)
{
	size_t need = sizeof(struct waiting) + sizeof(int) * m->n_fds + gw_buf_len(&ch->pack), sent = 0;
	uint32_t msg_no;
	int r;

	if (need > ch->max_queue_bytes || gw_buf_len(&ch->out) > ch->max_queue_bytes - need)
		return GW_E_BUSY;
	msg_no = gw_msg_next_no();
	if (gw_buf_len(&ch->out))
		return queue(ch, m, msg_no, 0);
	r = send_pieces(ch->fd, gw_buf_view(&ch->pack), msg_no, m->fds, m->n_fds, &sent);
	if (r == -EAGAIN || r == -ENOBUFS)
		return queue(ch, m, msg_no, sent);
	return r < 0 ? gw_err_from_errno(-r) : GW_OK;
}

enum gw_err gw_channel_send(struct gw_channel *ch, const struct gw_msg *m)
{
	enum gw_err e;

	if (ch->is_closed || ch->is_ended)
		return GW_E_CONFD_DOWN;
	GW_REQUIRE(m->n_fds <= GW_MSG_MAX_FDS);
	gw_buf_clear(&ch->pack, KEEP_BYTES);
	(void)gw_buf_room(&ch->pack, 4096); /* a secret is not left behind in a block that growing gave back */
	gw_msg_pack(&ch->pack, m);
	e = ch->pack.err ? ch->pack.err : send_packed(ch, m);
	if (has_secret(m) && ch->pack.p)
		gw_wipe(ch->pack.p, ch->pack.cap);
	gw_buf_clear(&ch->pack, KEEP_BYTES);
	return e;
}

/* ---- questions ---- */

static void take_ask(struct gw_channel *ch, size_t i, struct ask *out)
{
	size_t last = n_asks(ch) - 1;

	*out = *ask_at(ch, i);
	*ask_at(ch, i) = *ask_at(ch, last);
	ch->asks.n -= sizeof(struct ask);
}

static void fail_asks(struct gw_channel *ch)
{
	struct ask a;

	while (n_asks(ch)) {
		take_ask(ch, n_asks(ch) - 1, &a);
		a.fn(a.ctx, GW_E_CONFD_DOWN, NULL);
	}
}

static void on_timer(uv_timer_t *t);

static void arm(struct gw_channel *ch, uint64_t at_ms, uint64_t now_ms)
{
	ch->timer_at_ms = at_ms;
	(void)uv_timer_start(&ch->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct gw_channel *ch = t->data;
	uint64_t now = gw_now_ms(), earliest = UINT64_MAX;
	struct ask a;

	ch->timer_at_ms = 0;
	for (size_t i = 0; i < n_asks(ch) && !ch->is_closed;) {
		if (ask_at(ch, i)->deadline_ms > now) {
			i++;
			continue;
		}
		take_ask(ch, i, &a);
		a.fn(a.ctx, GW_E_UP_TIMEOUT, NULL);
	}
	for (size_t i = 0; i < n_asks(ch); i++)
		if (ask_at(ch, i)->deadline_ms < earliest)
			earliest = ask_at(ch, i)->deadline_ms;
	if (earliest != UINT64_MAX && !ch->is_closed)
		arm(ch, earliest, now);
}

enum gw_err gw_channel_ask(struct gw_channel *ch, struct gw_msg *m, uint64_t timeout_ms, gw_answer_fn *fn, void *ctx)
{
	uint64_t now = gw_now_ms();
	struct ask a = { .corr = ASKED | ++ch->next_corr, .deadline_ms = now + timeout_ms, .fn = fn, .ctx = ctx };
	enum gw_err e;

	if (n_asks(ch) >= MAX_ASKS)
		return GW_E_BUSY;
	if (!gw_buf_room(&ch->asks, sizeof(a))) {
		ch->asks.err = GW_OK;
		return GW_E_NOMEM;
	}
	GW_MSG_SET(m, corr, a.corr);
	e = gw_channel_send(ch, m);
	if (e)
		return e;
	gw_buf_put(&ch->asks, &a, sizeof(a));
	if (ch->timer_at_ms == 0 || a.deadline_ms < ch->timer_at_ms)
		arm(ch, a.deadline_ms, now);
	return GW_OK;
}

/* Numbers of both sides' questions may be equal, so only these types are answers. */
static bool is_answer(enum gw_msg_type t)
{
	switch (t) {
	case GW_MSG_ANSWER:
	case GW_MSG_TOKEN_IS:
	case GW_MSG_LEASED:
	case GW_MSG_AUDITED:
	case GW_MSG_UPGRADED:
	case GW_MSG_STATUS_IS:
	case GW_MSG_HANDED:
		return true;
	default:
		return false;
	}
}

/* ---- in ---- */

static void deliver(struct gw_channel *ch, struct gw_msg *m)
{
	struct ask a;

	if (is_answer(m->type) && GW_MSG_HAS(m, corr)) {
		for (size_t i = 0; i < n_asks(ch); i++) {
			if (ask_at(ch, i)->corr != m->corr)
				continue;
			take_ask(ch, i, &a);
			a.fn(a.ctx, GW_OK, m);
			return;
		}
		if (m->corr & ASKED)
			return; /* its deadline has passed */
	}
	ch->ops.on_message(ch->ctx, ch, m);
}

/* False: what came is not a message of ours. */
static bool take_message(struct gw_channel *ch)
{
	static const struct gw_msg none;
	struct gw_msg m = none;
	enum gw_err e = gw_msg_unpack(gw_buf_view(&ch->in.buf), &m);

	m.n_fds = ch->in.n_fds;
	memcpy(m.fds, ch->in.fds, sizeof(int) * m.n_fds);
	ch->in.n_fds = 0;
	if (!e)
		deliver(ch, &m);
	close_fds(m.fds, m.n_fds);
	if (has_secret(&m)) {
		gw_msg_in_wipe(&ch->in);
		gw_wipe(ch->packet, sizeof(ch->packet));
	}
	ch->in.total = 0;
	gw_buf_clear(&ch->in.buf, KEEP_BYTES);
	return !e;
}

/* Peer gone or stream broken. Questions first: their owners may be freed by on_end. */
static void end(struct gw_channel *ch)
{
	if (ch->is_ended || ch->is_closed)
		return;
	ch->is_ended = true;
	(void)uv_poll_stop(&ch->poll);
	fail_asks(ch);
	if (!ch->is_closed && ch->ops.on_end)
		ch->ops.on_end(ch->ctx, ch);
	gw_channel_close(ch);
}

static void read_packets(struct gw_channel *ch)
{
	for (int i = 0; i < PACKETS_PER_TURN && !ch->is_closed; i++) {
		int fds[GW_PACKET_FDS];
		size_t n_fds = 0;
		bool is_whole = false;
		ssize_t n = gw_packet_recv(ch->fd, ch->packet, sizeof(ch->packet), fds, GW_PACKET_FDS, &n_fds);

		if (n == -EAGAIN)
			return;
		if (n <= 0 || gw_msg_in_packet(&ch->in, gw_str(ch->packet, (size_t)n), fds, n_fds, &is_whole) ||
		    (is_whole && !take_message(ch))) {
			end(ch);
			return;
		}
		if (is_whole)
			return; /* usually that was all, and finding out costs a call; else the loop comes by again */
	}
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct gw_channel *ch = h->data;

	if (status < 0) {
		end(ch);
		return;
	}
	if ((events & UV_WRITABLE) && !flush_waiting(ch)) {
		end(ch);
		return;
	}
	if (events & UV_READABLE)
		read_packets(ch);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *h)
{
	struct gw_channel *ch = h->data;

	if (--ch->handles)
		return;
	gw_msg_in_done(&ch->in);
	gw_buf_done(&ch->pack);
	gw_buf_done(&ch->out);
	gw_buf_done(&ch->asks);
	gw_wipe(ch->packet, sizeof(ch->packet));
	free(ch);
}

void gw_channel_close(struct gw_channel *ch)
{
	if (!ch || ch->is_closed)
		return;
	ch->is_closed = true;
	uv_close((uv_handle_t *)&ch->poll, on_closed);
	uv_close((uv_handle_t *)&ch->timer, on_closed);
	gw_close(&ch->fd); /* the poll handle has let go of it */
	while (gw_buf_len(&ch->out))
		drop_first_waiting(ch);
	fail_asks(ch);
}

enum gw_err gw_channel_open(uv_loop_t *loop, int fd, const struct gw_channel_ops *ops, void *ctx,
			    size_t max_queue_bytes, struct gw_channel **out)
{
	struct gw_channel *ch = calloc(1, sizeof(*ch));
	int r;

	GW_REQUIRE(ops->on_message);
	if (!ch)
		return GW_E_NOMEM;
	r = uv_poll_init(loop, &ch->poll, fd); /* makes fd non-blocking */
	if (r < 0) {
		free(ch);
		return gw_err_from_errno(r);
	}
	(void)uv_timer_init(loop, &ch->timer);
	ch->handles = 2;
	ch->poll.data = ch->timer.data = ch;
	ch->fd = fd;
	ch->ops = *ops;
	ch->ctx = ctx;
	ch->max_queue_bytes = max_queue_bytes;
	gw_buf_init(&ch->in.buf, GW_MSG_MAX_BYTES);
	gw_buf_init(&ch->pack, GW_MSG_MAX_BYTES);
	gw_buf_init(&ch->out, max_queue_bytes);
	gw_buf_init(&ch->asks, MAX_ASKS * sizeof(struct ask));
	watch(ch, false);
	*out = ch;
	return GW_OK;
}

void *gw_channel_ctx(const struct gw_channel *ch)
{
	return ch->ctx;
}

size_t gw_channel_queued(const struct gw_channel *ch)
{
	return gw_buf_len(&ch->out);
}

void gw_channel_replace(uv_loop_t *loop, int fd, const struct gw_channel_ops *ops, void *ctx, size_t max_queue_bytes,
			struct gw_channel **at)
{
	struct gw_channel *old = at ? *at : NULL;

	if (at)
		*at = NULL; /* before the close, which answers what was asked: nobody may ask again there */
	if (old)
		gw_channel_close(old);
	if (!at || gw_channel_open(loop, fd, ops, ctx, max_queue_bytes, at) != GW_OK) {
		if (at)
			*at = NULL;
		close(fd);
	}
}
