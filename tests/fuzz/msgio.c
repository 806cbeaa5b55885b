/* Packets from a peer that was taken over (RELIABILITY 4): any packet in any order, with or without descriptors.
 * Nothing may be lost or kept past the ceiling, and what is whole is unpacked.
 *
 *   input: { u8 flags | u16 length | bytes } ...   flags bit 0: header made right for the position; bit 1: a
 * descriptor */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/sys/fd.h"
#include "lib/sys/msgio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void feed(struct gw_msg_in *in, uint8_t flags, const uint8_t *data, size_t n)
{
	static char packet[GW_PACKET_BYTES + 64];
	int fd = flags & 2 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	size_t head = flags & 1 ? GW_MSG_HEAD_BYTES : 0;
	bool is_whole = false;
	struct gw_msg m;
	enum gw_err e;

	memcpy(packet + head, data, n);
	if (head) {
		bool is_more = in->total && in->buf.n < in->total;

		gw_msg_head_put((uint8_t *)packet, is_more ? in->total : (uint32_t)n + (flags >> 4),
				is_more ? (uint32_t)in->buf.n : 0, is_more ? in->msg_no : 1);
	}
	e = gw_msg_in_packet(in, gw_str(packet, n + head), &fd, fd >= 0, &is_whole);
	if (e) {
		check(!is_whole && in->n_fds == 0);
		check(fd < 0 || fcntl(fd, F_GETFD) == -1);
		return;
	}
	check(in->buf.n <= GW_MSG_MAX_BYTES && in->buf.n <= in->total);
	if (is_whole && gw_msg_unpack(gw_buf_view(&in->buf), &m) == GW_OK) {
		struct gw_buf b;

		check(m.type > 0 && m.type < GW_MSG_COUNT);
		gw_buf_init(&b, GW_MSG_MAX_BYTES);
		gw_msg_pack(&b, &m);
		check(b.err == GW_OK);
		gw_buf_done(&b);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_msg_in in = { 0 };

	while (size >= 3) {
		size_t n = (size_t)data[1] | (size_t)data[2] << 8;

		n = n < size - 3 ? n : size - 3;
		feed(&in, data[0], data + 3, n);
		data += 3 + n;
		size -= 3 + n;
	}
	gw_msg_in_done(&in);
	return 0;
}
