#pragma once
#include "lib/msg.h"

/* Blocking or polled message I/O over a SEQPACKET fd without libuv: used by the master, by roles for their INIT
 * message, and by tests. net/channel.h is the libuv form of the same wire format (framing shared: gw_msg_head_put,
 * gw_msg_in_packet). */
enum { GW_MSG_MAGIC = 0x314d5747 /* "GWM1" read little endian */, GW_MSG_HEAD_BYTES = 16 };

struct gw_msg_in { /* one per fd: reassembly; begins zeroed */
	struct gw_buf buf;
	uint32_t total, msg_no; /* total 0: nothing yet; whole when buf.n == total */
	int fds[GW_MSG_MAX_FDS]; /* owned while n_fds > 0; who takes them sets n_fds to 0 */
	uint32_t n_fds;
	bool is_secret; /* the message handed out last carries a secret: wiped before the next one */
};
/* Header of one packet; at most GW_PACKET_BYTES with it. */
void gw_msg_head_put(uint8_t out[GW_MSG_HEAD_BYTES], uint32_t total, uint32_t offset, uint32_t msg_no);
uint32_t gw_msg_next_no(void);

/* Sends all packets; waits up to timeout_ms when the socket is full. fds stay open here. GW_E_AGAIN: nothing was sent;
 * GW_E_IO: the peer is gone or the message stands half on the channel, close it. */
GW_MUST enum gw_err gw_msg_send(int fd, const struct gw_msg *m, int timeout_ms);
/* Reads packets until one message is whole. GW_E_AGAIN when the socket is empty (non-blocking fd; what came so far is
 * kept), GW_E_IO when the peer closed, GW_E_GARBLED for anything that is not our framing (close the channel). The
 * message's strings point into in->buf until the next call; its descriptors are the caller's. */
GW_MUST enum gw_err gw_msg_recv(int fd, struct gw_msg_in *in, struct gw_msg *m);
void gw_msg_in_done(struct gw_msg_in *in); /* closes descriptors nobody took, wipes, frees */
/* Overwrites the bytes received (after a message with a secret, once its values were taken). */
void gw_msg_in_wipe(struct gw_msg_in *in);
/* Adds one received packet; *is_whole when a message is whole in in->buf (gw_msg_unpack it; descriptors in in->fds).
 * Used by both forms. Takes the descriptors: on failure they are closed and what was collected is dropped. */
GW_MUST enum gw_err gw_msg_in_packet(struct gw_msg_in *in, struct gw_str packet, const int *fds, size_t n_fds,
				     bool *is_whole);
