#pragma once
#include <uv.h>
#include "lib/buf.h"
#include "net/tls.h"
#include "net/resolve.h"
#include "net/upstream.h"

/* For tests of the outgoing side: a provider on the same loop that does exactly what a script says, and a caller that
 * notes what happened. */
/* The same tests for both backends: true in programs that are built with via_curl.c (the fake speaks HTTP/1.1 all the same). */
extern const bool fake_via_curl;

struct fake;
struct fake_conn {
	uv_tcp_t tcp;
	uv_timer_t timer;
	struct fake *fake;
	struct gw_tls *tls;
	struct gw_buf in;
	int requests; /* whole ones on this connection */
	int handles;
	int step; /* for scripts */
	bool is_closed;
	void (*later)(struct fake_conn *c);
	struct fake_conn *next;
};
struct fake {
	uv_loop_t *loop;
	uv_tcp_t listener;
	uint16_t port;
	struct gw_tls_ctx *tls;
	void (*on_accept)(struct fake_conn *c); /* may be NULL */
	void (*on_request)(struct fake_conn *c); /* head and Content-Length bytes are there; NULL: silence */
	bool answers_head_only; /* on_request as soon as the head is there */
	int accepted, open, requests, handshakes, resumed, plain_bytes;
	struct gw_buf last; /* the last request, whole */
	struct fake_conn *conns;
};
void fake_start(struct fake *f, uv_loop_t *loop);
void fake_stop(struct fake *f);
void fake_put(struct fake_conn *c, const char *bytes);
void fake_putn(struct fake_conn *c, const char *bytes, size_t n);
void fake_close(struct fake_conn *c);
void fake_close_notify(struct fake_conn *c); /* TLS: close_notify, then close */
void fake_rst(struct fake_conn *c);
void fake_later(struct fake_conn *c, uint64_t ms, void (*fn)(struct fake_conn *c));

struct call {
	struct gw_up_req *q;
	int status, heads, ends;
	enum gw_err err;
	struct gw_buf body;
	char detail[128];
	bool is_reused;
	int64_t content_length;
	uint32_t n_headers;
	char header[256]; /* value of x-test */
	struct gw_up_times times;
	uint64_t took_ms;
	/* what to do on the way; may be NULL */
	void (*on_head)(struct call *c);
	void (*on_body)(struct call *c);
	void (*on_end)(struct call *c);
	void *user;
};
struct caller {
	uv_loop_t loop;
	struct gw_upstream *up;
	struct fake fake;
	struct gw_str ca_pem; /* non-empty: https */
	const char *host; /* default 127.0.0.1 */
	uint32_t max_connections;
	uint64_t policy;
	struct gw_up_deadlines deadlines;
	bool must_be_fresh, is_denied, is_get, is_head;
	struct gw_str body[40];
	uint32_t n_body;
	bool is_closed;
};
void caller_init(struct caller *t);
void caller_done(struct caller *t);
void call_start(struct caller *t, struct call *c);
void call_wait(struct caller *t, struct call *c);
void call_done(struct call *c);
/* start + wait */
void call_run(struct caller *t, struct call *c);
void run_ms(struct caller *t, uint64_t ms);
int count_fds(void);

/* Bytes of a DNS message up to the end of its one question; what follows (EDNS, which newer c-ares sends) is not answered. */
ssize_t fake_dns_question(const uint8_t *m, ssize_t n);
