#pragma once
#include <llhttp.h>
#include <sys/uio.h>
#include "net/egress.h"
#include "net/h1_server.h"

/* Inside of the HTTP/1.1 server side. Only h1_server*.c and h1_out.c include this.
 *
 *   h1_server.c        server: listening, accepting, caps, drain, end of turn, life
 *   h1_server_due.c    deadlines
 *   h1_server_head.c   our own reading of the head: pure, stricter than the parser
 *   h1_server_read.c   bytes -> head, body -> the owner
 *   h1_server_conn.c   a connection's life
 *   h1_out.c           answers -> bytes
 *   h1_front.c         what comes before HTTP: PROXY header, TLS; sealing and opening afterwards
 *
 * A connection's phases:
 *   IDLE -first byte-> HEAD -on_head-> BODY -on_request-> SERVING -answer out-> IDLE
 *   any of the first three -refused-> SERVING (our own answer) -> LINGER -> DEAD
 * An owner never runs inside a call it made: on_gone, on_drain, on_done and the next request come from the end of the
 * loop turn (a prepare handle), or from the read that completed a request. */
enum gw_h1_phase { GW_H1_PH_IDLE, GW_H1_PH_HEAD, GW_H1_PH_BODY, GW_H1_PH_SERVING, GW_H1_PH_LINGER, GW_H1_PH_DEAD };

/* Deadlines. Each kind has one length, so each list is in order of time and setting one costs O(1). */
enum gw_h1_due {
	GW_H1_DUE_NONE,
	GW_H1_DUE_FRONT, /* PROXY header and handshake */
	GW_H1_DUE_FIRST, /* connected, not a byte yet */
	GW_H1_DUE_HEAD,
	GW_H1_DUE_BODY, /* look at rate and total */
	GW_H1_DUE_WRITE, /* the client takes nothing */
	GW_H1_DUE_TRIM, /* idle: give the buffers back */
	GW_H1_DUE_IDLE,
	GW_H1_DUE_DRAIN, /* idle while draining */
	GW_H1_DUE_LINGER,
	GW_H1_DUE_COUNT
};
enum gw_h1_framing { GW_H1_NO_BODY, GW_H1_LENGTH, GW_H1_CHUNKED, GW_H1_UNTIL_CLOSE };
enum gw_h1_answer_state { GW_H1_UNANSWERED, GW_H1_STARTED, GW_H1_ENDED };

enum {
	GW_H1_READ_BYTES = 64 << 10,
	GW_H1_KEEP_BYTES = 64 << 10, /* of each buffer, between the requests of a busy connection */
	GW_H1_LINGER_BYTES = 16 << 20, /* discarded after a refusal, so that the client can read it */
	GW_H1_LINGER_MS = 5000,
	GW_H1_PIECE_BYTES = 256 << 10, /* of a streamed body, between two hand-overs */
	GW_H1_TRIM_MS = 1000,
	GW_H1_DRAIN_MS = 1000,
	GW_H1_OUT_MAX_BYTES = 128 << 20, /* an owner that does not heed back-pressure is cut here */
	GW_H1_BLANK_LINES = 2 /* before a request line (RFC 9112 2.2 asks for one) */
};

struct gw_h1_group { /* connections of one address (/32, /64) */
	uint8_t key[16];
	uint32_t count;
	struct gw_h1_group *next;
};

struct gw_h1_front;
struct gw_h1_fronts;
struct gw_h1_conn {
	struct gw_h1_server *s;
	struct gw_h1_front *front; /* NULL: bytes of the socket are HTTP */
	uv_poll_t poll;
	int fd;
	int events; /* what poll watches now */
	struct gw_h1_conn *prev, *next;
	struct gw_h1_conn *due_prev, *due_next;
	struct gw_h1_conn *dirty_next;
	uint64_t due_at_ms;
	enum gw_h1_due due;
	enum gw_h1_phase phase;
	enum gw_h1_answer_state answer;
	enum gw_h1_framing framing;
	bool is_dirty, is_poll_closed, is_unix;
	bool is_fronting; /* HTTP has not begun */
	bool is_owned; /* on_head said yes: on_done is owed */
	bool is_served; /* on_request was called: on_gone may be owed */
	bool is_gone, is_gone_told, is_eof;
	bool is_blocked; /* the kernel's buffer is full */
	bool was_high; /* on_drain is owed */
	bool must_close; /* no further request */
	bool is_trimmed, is_complete, is_chunked, is_expecting;
	bool is_streamed, is_body_paused; /* the body goes to the owner as it comes */
	uint64_t upload_max, upload_bytes, paused_at_ms;
	uint8_t blank_lines;
	enum gw_err refused; /* set inside a parser callback */
	llhttp_t parser;
	struct gw_buf head, fields, body, ahead, out;
	size_t head_first; /* head: where the request line begins (blank lines before it) */
	size_t line_at; /* head: first byte of the line under way */
	size_t fed; /* head: bytes the parser has seen; line_at <= n, fed <= n */
	size_t request_line_bytes; /* 0: not complete yet */
	uint64_t body_wire_bytes, body_since_ms;
	uint32_t ext_bytes, trailer_bytes, requests;
	uint64_t discarded;
	int64_t length_left; /* GW_H1_LENGTH: bytes of the answer not yet given */
	uint64_t bytes_out;
	struct gw_h1_request rq;
	void *user;
	struct gw_h1_group *group;
	uint8_t addr[16]; /* of the peer, IPv4 as v4-mapped */
	uint8_t peer_n;
	char peer[46];
};

struct gw_h1_due_list {
	struct gw_h1_conn *first, *last;
	uint64_t after_ms;
};
struct gw_h1_listener {
	uv_poll_t poll;
	struct gw_h1_server *s;
	struct gw_h1_listener *next;
	int fd, id;
	bool is_unix, is_polling, is_tls;
};
enum { GW_H1_GROUPS = 4096 };

struct gw_h1_server {
	uv_loop_t *loop;
	uv_prepare_t prepare; /* end of turn */
	uv_idle_t again; /* active: the next turn must not wait */
	uv_timer_t timer; /* earliest deadline, or earlier */
	uv_timer_t resume; /* accepting again after a shortage of descriptors */
	int handles;
	struct gw_h1_limits lim;
	struct gw_h1_ops ops;
	void *ctx;
	struct gw_h1_stats stats;
	struct gw_h1_listener *listeners;
	struct gw_h1_fronts *fronts; /* NULL: no connection needed one yet */
	struct gw_cidr *proxies, *trusted; /* who must send a PROXY header; whose connections carry many clients */
	uint32_t n_proxies, n_trusted;
	struct gw_h1_conn *conns, *dirty_first, *dirty_last;
	uint32_t n_open; /* with a descriptor */
	uint32_t n_alive; /* with memory */
	uint32_t n_resting; /* listeners closing */
	bool is_draining, is_closed, is_accept_paused;
	void (*on_empty)(void *ctx);
	struct gw_h1_due_list due[GW_H1_DUE_COUNT];
	uint64_t timer_at_ms; /* 0: not armed */
	int reserve_fd, fd_ceiling;
	llhttp_settings_t settings, trailer_settings; /* the second from a body's last chunk on */
	struct gw_buf scratch; /* head of the answer being written */
	struct gw_buf bad_body; /* body of our own answers */
	uint64_t date_until_ms;
	char date[29];
	struct gw_h1_group *groups[GW_H1_GROUPS];
	char in[GW_H1_READ_BYTES];
};

/* --- h1_server_head.c: pure --- */
struct gw_h1_line {
	enum gw_h1_method method;
	struct gw_str target;
	bool is_http10;
};
/* Can a request line begin with this (not empty)? Whatever it refuses, it refuses with more bytes behind, too. */
GW_MUST enum gw_err gw_h1_line_begin(struct gw_str part);
/* Request line without CRLF. */
GW_MUST enum gw_err gw_h1_line_read(struct gw_str line, bool may_put, struct gw_h1_line *out);
struct gw_h1_framing_in {
	int64_t content_length;
	bool is_chunked, is_closing, is_expecting;
	struct gw_str host;
};
/* The header lines (each with its CRLF, without the blank one) into `fields` (array of struct gw_h1_header). */
GW_MUST enum gw_err gw_h1_fields_read(struct gw_str block, bool is_http10, uint32_t max_count, struct gw_buf *fields,
				      struct gw_h1_framing_in *out);
bool gw_h1_host_is_valid(struct gw_str host);

/* --- h1_server_due.c --- */
void gw_h1_due_set(struct gw_h1_conn *c, enum gw_h1_due kind); /* from now */
void gw_h1_due_clear(struct gw_h1_conn *c);
void gw_h1_due_start(struct gw_h1_server *s);

/* --- h1_server_read.c --- */
void gw_h1_settings_init(struct gw_h1_server *s);
bool gw_h1_parser_is_strict(void);
/* Takes bytes until a request is whole or refused; returns how many. */
size_t gw_h1_parse(struct gw_h1_conn *c, struct gw_str in);
/* Answer a protocol error and close. */
void gw_h1_refuse(struct gw_h1_conn *c, enum gw_err e);

/* --- h1_server_conn.c --- */
void gw_h1_conn_open(struct gw_h1_server *s, int fd, bool is_unix, bool is_tls, const uint8_t addr[16]);
void gw_h1_conn_take(struct gw_h1_conn *c, struct gw_str in); /* bytes of HTTP */
void gw_h1_conn_end(struct gw_h1_conn *c); /* the client closed its side */
bool gw_h1_conn_group(struct gw_h1_conn *c); /* counts it to its address; false: too many of that */
void gw_h1_conn_dirty(struct gw_h1_conn *c);
/* End of turn: whatever is owed to the kernel and the owner. */
void gw_h1_conn_advance(struct gw_h1_conn *c);
void gw_h1_conn_settle(struct gw_h1_conn *c); /* watch and deadline that fit the phase */
void gw_h1_conn_linger(struct gw_h1_conn *c);
void gw_h1_conn_kill(struct gw_h1_conn *c);
void gw_h1_conn_trim(struct gw_h1_conn *c);
void gw_h1_next_request(struct gw_h1_conn *c);

/* --- h1_server.c --- */
void gw_h1_conn_left(struct gw_h1_server *s); /* a descriptor or a connection's memory is free again */
void gw_h1_again(struct gw_h1_server *s); /* the loop does not wait before the next end of turn */
bool gw_h1_group_enter(struct gw_h1_server *s, const uint8_t key[16], struct gw_h1_group **out);
void gw_h1_group_leave(struct gw_h1_server *s, struct gw_h1_group *g);

/* --- h1_front.c --- */
GW_MUST bool gw_h1_front_open(struct gw_h1_conn *c, bool is_tls, bool is_proxied);
void gw_h1_front_free(struct gw_h1_conn *c);
void gw_h1_fronts_free(struct gw_h1_server *s);
void gw_h1_front_input(struct gw_h1_conn *c, struct gw_str in); /* bytes of the socket; c may be dead afterwards */
/* Seals and sends; returns how many plain bytes were taken, -1: broken. Call only with a front. */
ssize_t gw_h1_front_send(struct gw_h1_conn *c, struct iovec *v, size_t n_v);
bool gw_h1_front_waits(const struct gw_h1_conn *c); /* sealed bytes that the kernel has not taken */
void gw_h1_front_bye(struct gw_h1_conn *c);
void gw_h1_front_expire(struct gw_h1_conn *c);
void gw_h1_front_turn(struct gw_h1_server *s); /* end of turn: some handshakes */

/* --- h1_out.c --- */
/* Bytes of an answer that are not with the kernel, in whatever form. */
static inline bool gw_h1_out_waits(const struct gw_h1_conn *c)
{
	return gw_buf_len(&c->out) || (c->front && gw_h1_front_waits(c));
}
/* False: the connection is dead. */
bool gw_h1_out_flush(struct gw_h1_conn *c);
void gw_h1_out_bad(struct gw_h1_conn *c, enum gw_err e);
void gw_h1_out_continue(struct gw_h1_conn *c);
void gw_h1_out_options(struct gw_h1_conn *c);

/* Is a streamed body on its way to the owner? */
static inline bool gw_h1_is_uploading(const struct gw_h1_conn *c)
{
	return c->is_streamed && c->is_served && c->phase == GW_H1_PH_BODY;
}
