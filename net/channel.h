#pragma once
#include <uv.h>
#include "lib/msg.h"
#include "lib/sys/msgio.h"

/* A message channel to another process on a libuv loop: the wire format of lib/msg.h over a SEQPACKET socketpair, with
 * descriptors, reassembly, an outgoing queue with a ceiling, and question/answer pairing by `corr`. */
struct gw_channel;
typedef void gw_channel_msg_fn(void *ctx, struct gw_channel *ch,
			       struct gw_msg *m); /* message views die after the call */
typedef void gw_channel_end_fn(void *ctx,
			       struct gw_channel *ch); /* peer gone or stream broken; the channel is closed after */
struct gw_channel_ops {
	gw_channel_msg_fn *on_message;
	gw_channel_end_fn *on_end;
};

/* Takes fd. Ceiling of queued outgoing bytes: max_queue_bytes. */
GW_MUST enum gw_err gw_channel_open(uv_loop_t *loop, int fd, const struct gw_channel_ops *ops, void *ctx,
				    size_t max_queue_bytes, struct gw_channel **out);
/* The channel to a peer that was made anew: the one in *at is closed without a word to on_end, the new one takes its place. Takes fd in any
 * case; *at is NULL when it cannot be opened, and nothing is opened when `at` is NULL (a peer that this role does not know). */
void gw_channel_replace(uv_loop_t *loop, int fd, const struct gw_channel_ops *ops, void *ctx, size_t max_queue_bytes,
			struct gw_channel **at);
/* Idempotent; memory is freed in the close callback. Pending questions are answered with GW_E_CONFD_DOWN (NULL message). */
void gw_channel_close(struct gw_channel *ch);
/* Queued when the socket is full; descriptors are dup'ed if queued. GW_E_BUSY past the ceiling. */
GW_MUST enum gw_err gw_channel_send(struct gw_channel *ch, const struct gw_msg *m);
/* Sets corr, remembers the question; fn is called once: with the answer (ANSWER, LEASED, AUDITED, ... same corr), or with
 * m = NULL and err (GW_E_CONFD_DOWN closed, GW_E_UP_TIMEOUT deadline). */
typedef void gw_answer_fn(void *ctx, enum gw_err err, struct gw_msg *m);
GW_MUST enum gw_err gw_channel_ask(struct gw_channel *ch, struct gw_msg *m, uint64_t timeout_ms, gw_answer_fn *fn,
				   void *ctx);
void *gw_channel_ctx(const struct gw_channel *ch);
size_t gw_channel_queued(const struct gw_channel *ch);
