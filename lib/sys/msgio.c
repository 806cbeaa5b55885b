/* Messages as packets (framing in lib/msg.h), without a loop library. The peer is another process of ours that may have
 * been taken over: every header is checked, and a receiver never holds more than the ceiling nor loses a descriptor. */
#include "lib/sys/msgio.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"

enum { KEEP_BYTES = 1 << 20, MAX_CHUNK = GW_PACKET_BYTES - GW_MSG_HEAD_BYTES };

static void put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static uint32_t get_u32(const char *at)
{
	const uint8_t *p = (const uint8_t *)at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void gw_msg_head_put(uint8_t out[GW_MSG_HEAD_BYTES], uint32_t total, uint32_t offset, uint32_t msg_no)
{
	put_u32(out, GW_MSG_MAGIC);
	put_u32(out + 4, total);
	put_u32(out + 8, offset);
	put_u32(out + 12, msg_no);
}

uint32_t gw_msg_next_no(void)
{
	static uint32_t last;

	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static bool has_secret(const struct gw_msg *m)
{
	return GW_MSG_HAS(m, secret) || GW_MSG_HAS(m, next);
}

/* --- sending --- */

static enum gw_err wait_writable(int fd, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t now = gw_now_ms();
	int r = poll(&p, 1, now >= until_ms ? 0 : (int)(until_ms - now));

	if (r < 0 && errno != EINTR)
		return GW_E_IO;
	return r == 0 && gw_now_ms() >= until_ms ? GW_E_AGAIN : GW_OK;
}

/* One packet, waiting for room. On a blocking fd the kernel would wait without limit, hence the poll first. */
static enum gw_err send_packet(int fd, const struct iovec *v, const int *fds, size_t n_fds, uint64_t until_ms)
{
	for (;;) {
		enum gw_err e = wait_writable(fd, until_ms);
		ssize_t n;

		if (e)
			return e;
		n = gw_packet_sendv(fd, v, 2, fds, n_fds);
		if (n >= 0)
			return GW_OK;
		if (n != -EAGAIN)
			return GW_E_IO;
	}
}

static enum gw_err send_bytes(int fd, struct gw_str bytes, const struct gw_msg *m, uint64_t until_ms)
{
	uint32_t no = gw_msg_next_no();
	uint8_t head[GW_MSG_HEAD_BYTES];

	for (size_t off = 0; off < bytes.n;) {
		size_t n = bytes.n - off < MAX_CHUNK ? bytes.n - off : MAX_CHUNK;
		struct iovec v[2] = { { head, sizeof(head) }, { (void *)(uintptr_t)(bytes.p + off), n } };
		enum gw_err e;

		gw_msg_head_put(head, (uint32_t)bytes.n, (uint32_t)off, no);
		e = send_packet(fd, v, m->fds, off ? 0 : m->n_fds, until_ms);
		/* Half a message on the channel cannot be taken back: the channel is spoilt. */
		if (e)
			return e == GW_E_AGAIN && off > 0 ? GW_E_IO : e;
		off += n;
	}
	return GW_OK;
}

enum gw_err gw_msg_send(int fd, const struct gw_msg *m, int timeout_ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
	struct gw_buf b;
	enum gw_err e;

	if (m->n_fds > GW_MSG_MAX_FDS)
		return GW_E_TOO_BIG;
	gw_buf_init(&b, GW_MSG_MAX_BYTES);
	/* All the room at once, so that growing leaves no copy of a secret behind. */
	if (has_secret(m))
		(void)gw_buf_room(&b, m->secret.n + m->next.n + m->body.n + m->detail.n + 65536);
	gw_msg_pack(&b, m);
	e = b.err ? b.err : send_bytes(fd, gw_buf_view(&b), m, until);
	if (has_secret(m))
		gw_wipe(b.p, b.n);
	gw_buf_done(&b);
	return e;
}

/* --- receiving --- */

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void forget(struct gw_msg_in *in)
{
	close_fds(in->fds, in->n_fds);
	in->n_fds = 0;
	in->total = 0;
	gw_buf_clear(&in->buf, KEEP_BYTES);
}

void gw_msg_in_wipe(struct gw_msg_in *in)
{
	if (in->buf.p)
		gw_wipe(in->buf.p, in->buf.n);
}

void gw_msg_in_done(struct gw_msg_in *in)
{
	close_fds(in->fds, in->n_fds);
	gw_msg_in_wipe(in);
	gw_buf_done(&in->buf);
	*in = (struct gw_msg_in){ 0 };
}

/* First packet of a message: the whole room is taken at once (so no copies by growing). */
static enum gw_err begin(struct gw_msg_in *in, uint32_t total, uint32_t msg_no, const int *fds, size_t n_fds)
{
	forget(in);
	if (in->buf.max == 0)
		gw_buf_init(&in->buf, GW_MSG_MAX_BYTES);
	if (!gw_buf_room(&in->buf, total))
		return GW_E_NOMEM;
	in->total = total;
	in->msg_no = msg_no;
	for (size_t i = 0; i < n_fds; i++)
		in->fds[i] = fds[i];
	in->n_fds = (uint32_t)n_fds;
	return GW_OK;
}

static bool is_under_way(const struct gw_msg_in *in)
{
	return in->total > 0 && in->buf.n < in->total;
}

enum gw_err gw_msg_in_packet(struct gw_msg_in *in, struct gw_str packet, const int *fds, size_t n_fds, bool *is_whole)
{
	uint32_t total, offset, msg_no;
	size_t n = packet.n - GW_MSG_HEAD_BYTES;
	enum gw_err e = GW_E_GARBLED;

	*is_whole = false;
	if (packet.n > GW_MSG_HEAD_BYTES && packet.n <= GW_PACKET_BYTES && get_u32(packet.p) == GW_MSG_MAGIC) {
		total = get_u32(packet.p + 4);
		offset = get_u32(packet.p + 8);
		msg_no = get_u32(packet.p + 12);
		if (offset == 0 && !is_under_way(in) && total <= GW_MSG_MAX_BYTES && n <= total &&
		    n_fds <= GW_MSG_MAX_FDS) {
			e = begin(in, total, msg_no, fds, n_fds);
			if (!e)
				n_fds = 0; /* in->fds owns them now */
		} else if (offset > 0 && is_under_way(in) && n_fds == 0 && total == in->total && msg_no == in->msg_no &&
			   offset == in->buf.n && n <= total - offset) {
			e = GW_OK;
		}
	}
	if (!e) {
		gw_buf_put(&in->buf, packet.p + GW_MSG_HEAD_BYTES, n);
		e = in->buf.err;
	}
	if (e) {
		close_fds(fds, n_fds);
		forget(in);
		return e;
	}
	*is_whole = in->buf.n == in->total;
	return GW_OK;
}

/* Hands the whole message out; the descriptors change owner. */
static enum gw_err unpack(struct gw_msg_in *in, struct gw_msg *m)
{
	enum gw_err e = gw_msg_unpack(gw_buf_view(&in->buf), m);

	if (e) {
		forget(in);
		return e;
	}
	for (uint32_t i = 0; i < GW_MSG_MAX_FDS; i++)
		m->fds[i] = i < in->n_fds ? in->fds[i] : -1;
	m->n_fds = in->n_fds;
	in->n_fds = 0;
	in->is_secret = has_secret(m);
	return GW_OK;
}

enum gw_err gw_msg_recv(int fd, struct gw_msg_in *in, struct gw_msg *m)
{
	char packet[GW_PACKET_BYTES];
	bool is_whole = false;
	enum gw_err e;

	if (in->is_secret)
		gw_msg_in_wipe(in);
	in->is_secret = false;
	while (!is_whole) {
		int fds[GW_MSG_MAX_FDS];
		size_t n_fds;
		ssize_t n = gw_packet_recv(fd, packet, sizeof(packet), fds, GW_MSG_MAX_FDS, &n_fds);

		if (n == -EAGAIN)
			return GW_E_AGAIN;
		if (n <= 0) {
			close_fds(fds, n == 0 ? n_fds : 0);
			return n == -EMSGSIZE ? GW_E_GARBLED : GW_E_IO;
		}
		e = gw_msg_in_packet(in, gw_str(packet, (size_t)n), fds, n_fds, &is_whole);
		if (e)
			return e;
	}
	e = unpack(in, m);
	if (in->is_secret)
		gw_wipe(packet, sizeof(packet));
	return e;
}
