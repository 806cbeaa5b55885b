#pragma once
#include <uv.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"

/* HTTP/1.1 server side (RFC 9110, 9112) on libuv + llhttp (strict, every lenient flag off), with the stricter rules and
 * limits of RELIABILITY 5.6. Serves the data plane (workers) and the admin API. One request at a time per connection,
 * pipelined ones wait (bounded). The owner answers through gw_h1_reply_*; back-pressure both ways.
 *
 *   bytes -> head complete -> ops.on_head (decide: body ceiling or streaming)
 *         -> body pieces: held in conn (default) -> ops.on_request(whole request)
 *            or, after gw_h1_stream_body in on_head: ops.on_request(head) -> ops.on_body(piece) ... on_body(last piece)
 *   answer: head, then whole body, or pieces (chunked; identity until close for HTTP/1.0)
 *   after the answer: keep-alive -> next request, else lingering close
 * Errors of the protocol are answered by this module through ops.on_bad (which writes the body in the owner's dialect). */
struct gw_h1_server;
struct gw_h1_conn;

struct gw_h1_limits {
	uint32_t request_line_bytes; /* 8190 -> 414 */
	uint32_t head_bytes, head_count; /* 32 KiB, 100 -> 431 */
	uint32_t pipeline_bytes; /* bytes of further requests held while one is served: 64 KiB */
	uint32_t connections, connections_per_ip; /* 16k, 256; 0 = no limit */
	uint32_t requests_per_connection; /* 10k */
	uint64_t head_ms, idle_ms, body_total_ms, write_stall_ms; /* 10 s, 75 s, 120 s, 30 s */
	uint64_t upload_total_ms; /* of bodies that are streamed, pauses of ours not counted: 30 min */
	uint32_t body_min_rate, body_grace_ms; /* 1 KiB/s after 10 s */
	uint64_t out_high_bytes,
	    out_low_bytes; /* queue to the client: pause the source above, resume below: 256 KiB, 64 KiB */
	uint32_t trailer_bytes, chunk_ext_bytes; /* 4 KiB, 256 B */
	bool may_put; /* PUT and PATCH too */
	uint64_t front_ms; /* PROXY header and TLS handshake together: 10 s */
	uint32_t handshakes; /* TLS handshakes under way; further ones wait: 1024 */
	uint32_t handshake_slice_us; /* of each loop turn: 2000 */
};
extern const struct gw_h1_limits gw_h1_default_limits;

struct gw_h1_header {
	struct gw_str name, value;
}; /* value trimmed; views into the connection until the request ends */
enum gw_h1_method { GW_H1_GET, GW_H1_HEAD, GW_H1_POST, GW_H1_PUT, GW_H1_PATCH, GW_H1_DELETE, GW_H1_OPTIONS };
struct gw_h1_request {
	enum gw_h1_method method;
	struct gw_str target; /* as sent; origin form only */
	struct gw_str path, query; /* split at '?', still percent-encoded */
	struct gw_str host;
	const struct gw_h1_header *headers;
	uint32_t n_headers;
	int64_t content_length; /* -1: chunked or none */
	bool has_body, is_http10;
	struct gw_str body; /* whole body when held; valid until gw_h1_release_body or the end of the request */
	uint64_t first_byte_ns; /* monotonic: first byte of the request */
	uint64_t head_done_ns, body_done_ns;
	uint64_t wire_bytes; /* head + body as received */
};
/* First header of that name (case-insensitive), or NIL; *count tells how many there are (may be NULL). */
struct gw_str gw_h1_header(const struct gw_h1_request *rq, struct gw_str name, uint32_t *count);

struct gw_h1_ops {
	/* Head is there. Return GW_OK with *body_max set (0 = no body allowed), or an error that is answered at once. The owner
	 * may also answer here itself and return GW_OK; on_request is not called then. After GW_OK the connection's pointer
	 * stays valid until on_done, which comes exactly once, even when the body never arrives. */
	enum gw_err (*on_head)(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq, size_t *body_max);
	/* Whole request. The owner must answer, now or later. */
	void (*on_request)(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq);
	/* Client closed or failed while its request was served (also: half-close). Called once, before the answer's end. */
	void (*on_gone)(void *ctx, struct gw_h1_conn *c);
	/* The queue to the client fell below out_low_bytes after having been above out_high_bytes. */
	void (*on_drain)(void *ctx, struct gw_h1_conn *c);
	/* Answer fully handed to the kernel, or ended after the client was gone; request memory may go. Like on_gone and
	 * on_drain it comes at the end of the loop turn, never from inside a gw_h1_reply_* call. A client that is gone is no
	 * excuse for not ending the answer (reply, reply_end or reply_cut). */
	void (*on_done)(void *ctx, struct gw_h1_conn *c);
	/* Body of a protocol error answer (and of on_head errors), in the owner's dialect. path may be NIL. */
	void (*on_bad)(void *ctx, enum gw_err e, struct gw_str path, struct gw_buf *body);
	/* A piece of a streamed body (may be empty at its end); never from inside a call of the owner's. err: the body cannot be read
	 * (too large, malformed, too slow) and nothing more comes; the owner answers with it. An answer that begins before the body's
	 * end ends the body: the rest is thrown away, the connection closes after the answer. NULL where no body is streamed. */
	void (*on_body)(void *ctx, struct gw_h1_conn *c, struct gw_str piece, bool is_end, enum gw_err err);
	/* Header lines (each with CRLF) that every answer to this request carries; may be NULL. rq is empty when the head could not
	 * be read. */
	void (*on_extra)(void *ctx, const struct gw_h1_request *rq, struct gw_buf *lines);
};

GW_MUST enum gw_err gw_h1_server_new(uv_loop_t *loop, const struct gw_h1_limits *lim, const struct gw_h1_ops *ops,
				     void *ctx, struct gw_h1_server **out);
/* Accept from a listening fd (dup'ed by the caller if shared; not closed by this module: listen sockets belong to the master).
 * Several may be polled. id names it for gw_h1_unlisten. */
GW_MUST enum gw_err gw_h1_listen(struct gw_h1_server *s, int fd, int id);
/* The same, clients speak TLS (gw_h1_set_tls). */
GW_MUST enum gw_err gw_h1_listen_tls(struct gw_h1_server *s, int fd, int id);
void gw_h1_unlisten(struct gw_h1_server *s, int id);
/* Stop accepting; answers carry `Connection: close`; idle connections close after a grace; on_empty when none is left. */
void gw_h1_drain(struct gw_h1_server *s, void (*on_empty)(void *ctx));
/* A socket that is connected already (tests). Taken. */
void gw_h1_adopt(struct gw_h1_server *s, int fd);
/* Closes all at once; memory is freed by the loop once the owners of running requests have ended their answers. */
void gw_h1_server_close(struct gw_h1_server *s);
uint32_t gw_h1_open(const struct gw_h1_server *s); /* connections */
/* Settings changed: new ceilings for connections, from now on. */
void gw_h1_set_caps(struct gw_h1_server *s, uint32_t connections, uint32_t connections_per_ip);
/* Certificates and keys of the TLS listeners from now on (taken; NULL: none, handshakes are refused). Connections that stand
 * or are half made go on with what they began with. */
struct gw_tls;
struct gw_tls_ctx;
void gw_h1_set_tls(struct gw_h1_server *s, struct gw_tls_ctx *ctx);
/* Peers in `proxies` must send a PROXY header first; from others it is a malformed request. Peers in `trusted` carry many
 * clients, so connections_per_ip is not for them. Copied. GW_E_NOMEM: nothing changed. */
struct gw_cidr;
GW_MUST enum gw_err gw_h1_set_proxies(struct gw_h1_server *s, const struct gw_cidr *proxies, uint32_t n_proxies,
				      const struct gw_cidr *trusted, uint32_t n_trusted);
struct gw_h1_stats {
	uint64_t accepted, malformed, bytes_in, bytes_out, accept_paused;
	uint64_t tls_handshakes, tls_resumed, tls_waited;
	uint64_t tls_bad_protocol, tls_bad_plain, tls_bad_no_certificate, tls_bad_timeout, tls_bad_gone;
	uint64_t proxy_headers, proxy_refused;
};
const struct gw_h1_stats *gw_h1_stats(const struct gw_h1_server *s);
/* Pieces written in one loop turn are gathered and leave together before the loop polls again. */

/* --- answering --- */
struct gw_h1_answer {
	int status;
	const struct gw_h1_header
	    *headers; /* extra ones; no Content-Length, Transfer-Encoding, Connection, Date here */
	uint32_t n_headers;
	struct gw_str content_type; /* NIL: none */
	int64_t content_length; /* >= 0 whole; -1: pieces follow, chunked */
};
/* Whole answer in one writev. Copies what the socket does not take at once. */
void gw_h1_reply(struct gw_h1_conn *c, const struct gw_h1_answer *a, struct gw_str body);
/* Head now (may be held until the first piece goes out, same loop turn), then pieces, then end. */
void gw_h1_reply_start(struct gw_h1_conn *c, const struct gw_h1_answer *a);
/* One piece = one chunk on the wire. False: the queue is above out_high_bytes, pause the source until on_drain. */
bool gw_h1_reply_piece(struct gw_h1_conn *c, struct gw_str bytes);
void gw_h1_reply_end(struct gw_h1_conn *c);
/* Give up in the middle: what is queued is still written, then the connection is closed without the terminating chunk, so that
 * the client sees a cut. */
void gw_h1_reply_cut(struct gw_h1_conn *c);
/* In on_head: do not hold the body, give it to on_body as it comes; body_max still bounds it. on_request comes at once then. */
void gw_h1_stream_body(struct gw_h1_conn *c);
/* Stop reading a streamed body (what was read already still comes: at most 256 KiB), and go on. */
void gw_h1_body_pause(struct gw_h1_conn *c);
void gw_h1_body_resume(struct gw_h1_conn *c);
/* Free the held request body early. */
void gw_h1_release_body(struct gw_h1_conn *c);

void gw_h1_set_user(struct gw_h1_conn *c, void *user);
void *gw_h1_user(const struct gw_h1_conn *c);
uint64_t gw_h1_queued(const struct gw_h1_conn *c); /* bytes not yet taken by the kernel */
uint64_t gw_h1_bytes_out(const struct gw_h1_conn *c); /* of the present answer */
/* "1.2.3.4" or "::1" of the peer; "unix" on Unix sockets. */
struct gw_str gw_h1_peer(const struct gw_h1_conn *c);
bool gw_h1_is_unix(const struct gw_h1_conn *c);
/* 16 bytes, IPv4 as v4-mapped; of the client when a PROXY header told it. NULL on Unix sockets. */
const uint8_t *gw_h1_addr(const struct gw_h1_conn *c);
struct gw_tls *gw_h1_tls(const struct gw_h1_conn *c); /* NULL: plain */
