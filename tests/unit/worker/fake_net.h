#pragma once
#include "worker/req.h"

/* A client connection and a provider that do nothing by themselves: tests say what comes, and look at what went out. They stand in for
 * net/h1_server, net/upstream and net/channel under the same headers, so the worker's own objects are linked unchanged. The clock is ours
 * too: it moves by `fake_tick_ns` at every look, and by fake_pass_ms(). */
struct gw_h1_conn {
	void *user;
	bool is_started, is_ended, is_cut, is_whole, is_blocked, is_streamed, is_body_paused;
	int status;
	int64_t length;
	struct gw_buf out; /* body bytes */
	struct gw_buf head; /* "name: value\n" */
	char type[96];
	uint32_t n_pieces;
};
struct gw_up_req {
	struct gw_up_req *next;
	const struct gw_up_ops *ops;
	void *ctx;
	struct gw_up_times times;
	bool is_paused, must_be_fresh, is_full, is_upload_ended;
	int64_t stream_length; /* of a streamed body; -2: none */
	void (*on_room)(void *ctx);
	char auth[256];
	struct gw_buf body;
};
struct fake_ask {
	bool is_open;
	char name[64];
	gw_answer_fn *fn;
	void *ctx;
};
struct fake_net {
	struct gw_up_req *first; /* under way, newest first */
	uint32_t n_under_way, n_sent, n_cancelled;
	enum gw_err send_err; /* of the next gw_upstream_send */
	struct fake_ask asks[16];
	uint32_t n_asks;
	enum gw_err ask_err;
};
extern struct fake_net fake;
extern uint64_t fake_ns, fake_tick_ns;
void fake_pass_ms(uint64_t ms);

struct gw_h1_conn *fake_conn(void);
void fake_conn_free(struct gw_h1_conn *c);
/* What the provider does with this request; each may end it (then q is gone). */
void up_head(struct gw_up_req *q, int status, const char *type);
void up_body(struct gw_up_req *q, const char *text);
void up_bytes(struct gw_up_req *q, struct gw_str bytes);
void up_end(struct gw_up_req *q, enum gw_err err);
bool up_is_alive(const struct gw_up_req *q);
/* confd answers its n-th open question. status 0: with secrets. */
void confd_answers(uint32_t n, enum gw_err err, uint64_t status, uint64_t version, const char *secret,
		   uint64_t next_version, const char *next);
