#pragma once
#include "core/auth.h"
#include "core/error_body.h"
#include "core/estimate.h"
#include "core/passthru.h"
#include "core/pick.h"
#include "core/record.h"
#include "core/usage.h"
#include "core/endpoint.h"
#include "lib/json_scan.h"
#include "lib/sse.h"
#include "worker/req_fsm.h"
#include "worker/worker.h"

/* One request on its way through the steps. Lives from the whole request's arrival until its answer is handed to the kernel;
 * its memory is the arena, reused by the next one.
 *
 * An upstream answer is seen as events that callbacks store here before they call gw_req_run:
 *   ev_head    status and headers are known      ev_end    the answer is over (up_err says how)
 *   ev_gone    the client left                   ev_late   a deadline of ours passed (late_err says which)
 * Body bytes do not wait for the engine: relay.c handles them in the callback that brings them. */
enum {
	GW_TIMED_EVERY = 16,
	GW_REQ_FIRST_BLOCK = 2048, /* three times what a usual request needs; one more block is 4 KiB */
	GW_REQ_ARENA_MAX = 4 << 20,
	GW_HELD_REPLY_MAX = 256 << 10,
	GW_ERROR_BODY_MAX = 64 << 10
};

/* How far the answer to the client has come. */
enum gw_out_state { GW_OUT_NONE, GW_OUT_STREAMING, GW_OUT_DONE };

/* One upstream attempt. */
struct gw_attempt {
	struct gw_up_req *up; /* NULL when none is under way */
	int candidate; /* index in plan, -1 = none */
	int status;
	bool is_sse, is_reused;
	enum gw_err err;
	struct gw_str detail; /* scrubbed words, in the arena */
	struct gw_upstream_error told; /* the provider's error reply, classified */
	struct gw_str upstream_request_id;
	struct gw_str error_type; /* header x-amzn-errortype of an error reply */
	struct gw_str said; /* code or type of the provider's error, for the record */
	uint64_t retry_after_ms;
	uint64_t begun_ns;
	uint32_t equals; /* candidates that could have been chosen as well (worker/moves.h) */
	bool is_final; /* it was set aside before: what is left out is left out */
	bool is_refused, is_aside; /* passed over: nothing was sent */
	struct gw_str left_out; /* with is_aside: what would be */
	struct gw_up_times times;
	int64_t content_length;
};

/* What the client is told when nobody is left to ask. */
struct gw_kept {
	enum gw_err err;
	bool was_asked; /* a provider said it */
	int candidate, status;
	uint64_t retry_after_ms;
	struct gw_str param, detail;
};

struct gw_req {
	struct gw_worker *w;
	struct gw_h1_conn *conn; /* NULL once the client is gone */
	struct gw_req *prev, *next;
	struct gw_arena arena;
	enum gw_step_id step;
	bool is_running, is_listed;
	uint64_t stamped_ns, step_ns[GW_STEP_COUNT];

	/* what came in */
	const struct gw_h1_request *rq; /* valid while conn is */
	const struct gw_endpoint_info *endpoint;
	struct gw_str path_arg; /* model id of GET /v1/models/{id}, decoded */
	struct gw_str token_header; /* view of the token inside the connection; never stored */
	struct gw_str body;
	struct gw_chat_request chat;
	struct gw_talk *talk; /* of an attempt that speaks another dialect (worker/talk.h); else NULL */
	struct gw_home *home; /* of an attempt whose body could not pass as it came (worker/home.h); else NULL */
	struct gw_str dropped; /* what the attempt's provider did not get, by the client's names; NIL: it got all */
	struct gw_api *api; /* of endpoints other than chat (worker/api.h); NULL for chat */
	enum gw_err parse_err;
	struct gw_str parse_param, parse_why;
	bool is_http10, wants_timing; /* x-llmgw-timing */
	bool is_strict; /* x-llmgw-strict, or the configuration: what a dialect cannot carry is refused, not left out */
	bool is_timed; /* every move looks at the clock: those that asked, and one in GW_TIMED_EVERY */
	struct gw_str traceparent;
	uint64_t first_byte_ns, rq_done_ns, deadline_ns;
	uint8_t id[16];
	char id_text[36];

	/* who and where */
	struct gw_memo *who, *where; /* what the next two are views of; given back at the end */
	struct gw_subject subject;
	struct gw_plan plan;
	struct gw_key_load *load; /* counted there */

	/* records */
	struct gw_record rec;
	struct gw_str start_record; /* START as it went into the ring: END begins with it */
	bool owes_end; /* START is in the ring */
	uint64_t reserved_bytes;
	int inflight; /* entry, -1 = none */
	struct gw_buf attempt_log;

	/* attempts */
	struct gw_mark mark; /* arena before the attempt */
	struct gw_attempt at;
	uint32_t tried, attempts, free_attempts; /* free: those that cost no retry */
	uint32_t aside, n_passed_over; /* worker/moves.h */
	uint32_t
	    n_parts; /* attempts that went well and were not the last: questions of several calls (worker/single.h) */
	uint64_t parts_us; /* that these took */
	struct gw_kept kept;
	bool had_stale_retry, had_again, use_next_secret, had_new_token;
	struct gw_secret *secret; /* leased, for the header and for scrubbing */
	struct gw_secret *proxy_secret; /* the same, for the provider's forward proxy */

	/* events */
	bool ev_head, ev_end, ev_gone, ev_late;
	enum gw_err up_err, late_err;

	/* answer */
	enum gw_out_state out;
	bool is_paused; /* upstream paused by the client's slowness */
	struct gw_buf held; /* whole reply, error body, or stream bytes before the first content */
	struct gw_sse sse;
	bool has_sse;
	struct gw_chat_shape shape;
	struct gw_json_scan scan;
	struct gw_scan_value *values; /* GW_UP_PATHS of them: our own, or those of the event under way */
	struct gw_picks *picks; /* our own */
	struct gw_usage usage;
	int64_t failed_nanousd; /* what earlier attempts cost that told usage and failed */
	bool is_failed_unpriced; /* one of those had no known price */
	struct gw_estimate said; /* what the model wrote, counted (worker/guess.h) */
	uint64_t said_when_told, said_bytes, sampled_bytes;
	uint32_t said_pieces;
	bool saw_done, saw_content, saw_error_event;
	uint32_t n_events; /* of a typed stream that passes as bytes: those that passed */
	struct gw_str tail; /* last bytes of a stream: they leave after END */
	struct gw_str finish_reason, response_model;
	uint64_t done_ns; /* the stream's [DONE] was read */
	uint64_t hold_until_ns, first_token_until_ns, first_content_ns, last_comment_ns;
	uint64_t chunks, bytes_out;
	struct gw_str content_type; /* of the provider's whole reply, in the arena */
	struct gw_str whole_type, whole_body; /* a whole answer, ready to go */
	struct gw_req *lease_next; /* list of those that wait for one credential */

	/* how it ends */
	enum gw_err err;
	struct gw_str err_detail, err_param;
	int status; /* told to the client */
	char first_block[GW_REQ_FIRST_BLOCK];
};

/* Takes a request from the pool for this connection; NULL when memory is short. */
struct gw_req *gw_req_new(struct gw_worker *w, struct gw_h1_conn *conn, const struct gw_h1_request *rq,
			  const struct gw_endpoint_info *ep);
/* Picks that stay with the request, for a reply that comes in pieces. False: no memory. */
bool gw_req_take_picks(struct gw_req *r);
/* Called by the engine. */
void gw_req_end(struct gw_req *r);
/* Gives back what a peak of requests has left behind. */
void gw_req_each_second(struct gw_worker *w);
/* Stores the error and its words (may be NIL; any lifetime in the request) and names the fail step. */
enum gw_step_id gw_req_fail(struct gw_req *r, enum gw_err e, struct gw_str detail);
/* The client left: cancels the upstream and lets the steps end the request. */
void gw_req_gone(struct gw_req *r);
/* Is there an event that every waiting step must give way to? Returns the step to go to, or GW_STEP_wait. */
enum gw_step_id gw_req_event(struct gw_req *r);

/* steps/send.c: the request to the provider with its credential. more: NULL for chat. */
struct gw_send_more {
	struct gw_str method, content_type, accept;
	const struct gw_up_header *pass; /* further headers */
	uint32_t n_pass;
	bool is_streamed; /* see struct gw_up_send */
	int64_t stream_length;
	void (*on_room)(void *ctx);
};
GW_MUST enum gw_err gw_send_with(struct gw_req *r, const struct gw_candidate *c, struct gw_str path,
				 const struct gw_str *pieces, uint32_t n_pieces, const struct gw_send_more *more);
/* What of the credential in use must not be seen in what the provider says. */
enum { GW_REQ_SECRETS = GW_AUTH_PARTS + 1 /* the proxy's */ };
uint32_t gw_req_secrets(const struct gw_req *r, struct gw_str parts[GW_REQ_SECRETS]);
/* steps/parse.c: what the body said, into the record. */
void gw_parse_note_body(struct gw_req *r);

/* relay.c */
extern const struct gw_up_ops gw_relay_ops;
/* Everything before the first content goes out now (hold over, or content came). */
void gw_relay_release(struct gw_req *r);
void gw_relay_send(struct gw_req *r, struct gw_str bytes); /* to the client; pauses the provider when that is slow */
/* An error object in a stream of 200, as the provider wrote it: which row it is; its words are kept. */
enum gw_err gw_relay_error_event(struct gw_req *r, int status, struct gw_str json);
void gw_relay_drop_attempt(struct gw_req *r); /* cancel and clear what the attempt left */
void gw_relay_note_attempt(struct gw_req *r); /* one line in attempt_log */
/* steps/account.c: what the usage of the attempt under way costs, by the price of the deployment that served it. */
struct gw_cost;
void gw_account_price(struct gw_req *r, struct gw_cost *cost, struct gw_str *version);
/* answer.c: a whole answer is kept (views must last) until account has written END; then gw_answer_deliver sends what is left. */
void gw_answer_whole(struct gw_req *r, struct gw_str content_type, struct gw_str body);
void gw_answer_start_stream(struct gw_req *r, struct gw_str content_type, int64_t content_length);
void gw_answer_deliver(struct gw_req *r);
