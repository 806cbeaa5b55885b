#pragma once
#include "core/dialect/custom.h"
#include "core/dialect/dialect.h"
#include "core/dialect/needs.h"
#include "core/dialect/serial.h"
#include "lib/awsframe.h"
#include "lib/sse.h"

/* From one dialect to another, whole or as it streams: the only thing that the data plane calls. Pure. */

/* The client's body as the provider is to get it. `a` holds the IR while the call lasts (the caller marks and resets); carry's names go to
 * `keep`, which lasts as long as the request. out: the body. */
struct gw_translate_in {
	const struct gw_dialect *from, *to;
	struct gw_str body; /* checked: one meaning */
	bool is_checked; /* false: it is checked here */
	const struct gw_str *path_model; /* the model when the client's dialect has it in the path; else NULL */
	bool is_stream; /* when the client's dialect says it by the path */
	bool wants_needs; /* out.needs is filled */
	struct gw_write_opts opts;
	struct gw_buf *echo; /* gets what the reply will repeat; NULL: not wanted */
};
struct gw_translate_out {
	struct gw_buf *body;
	struct gw_str dropped; /* "seed, logit_bias", in keep; NIL when nothing was */
	struct gw_str param, why; /* of an error; in keep */
	bool is_unread; /* the error is in what the client wrote, whoever it is for */
	struct gw_needs needs;
	bool is_mended; /* gw_translate_home: something was put in that the provider wants */
};
/* Names of what was dropped, as one header value; in keep. */
struct gw_str gw_translate_names(struct gw_arena *keep, const struct ir_name *list);
GW_MUST enum gw_err gw_translate_request(struct gw_arena *a, struct gw_arena *keep, const struct gw_translate_in *in,
					 struct gw_translate_out *out);

/* The same dialect on both sides (in->from, in->to): the body passes as it is, unless it holds proofs of other makers (mark.h), which a
 * provider refuses, or calls of other makers. Then it is written without them and out->dropped says so, or out->is_mended; neither: in->body is
 * what to send. */
/* False: the body passes as it is, and gw_translate_home need not be asked. Cheap. */
bool gw_translate_home_is_likely(const struct gw_dialect *d, struct gw_str body, struct gw_str model);
GW_MUST enum gw_err gw_translate_home(struct gw_arena *a, struct gw_arena *keep, const struct gw_translate_in *in,
				      struct gw_translate_out *out);

/* What the record and the relay want to know of a reply, whatever its dialect. */
struct gw_told {
	struct gw_usage usage;
	struct gw_str model, finish; /* finish in OpenAI's words */
	struct gw_str service_tier, id;
	bool has_content;
};
/* to NULL: only looked at. GW_E_UP_GARBLED, GW_E_NOMEM. told's texts are in `a`. */
GW_MUST enum gw_err gw_translate_reply(struct gw_arena *a, const struct gw_dialect *from, const struct gw_dialect *to,
				       const struct gw_carry *carry, struct gw_str body, struct gw_buf *out,
				       struct gw_told *told);
/* "stop", "length", "tool_calls", "content_filter". */
struct gw_str gw_finish_word(enum ir_finish f);

enum { GW_TRANSLATE_KEEP_BYTES = 256 << 10, GW_TRANSLATE_SCRATCH_BYTES = 24 << 20, GW_TRANSLATE_EVENT_BYTES = 4 << 20 };

/* One stream. `to` NULL: it is only looked at, for what it tells (its bytes pass by another way). Its memory beside the two arenas: the event that is under way. */
struct gw_translate {
	struct gw_stream_state in, out;
	const struct gw_carry *carry;
	struct gw_arena keep, scratch;
	union {
		struct gw_sse sse;
		struct gw_awsframe aws;
	} frames;
	struct gw_serial serial;
	struct gw_custom custom;
	struct gw_told told; /* texts in keep */
	struct gw_estimate said; /* what the model has written so far */
	uint64_t
	    said_when_told; /* what that came to when the provider told output last: only what came after it is a guess */
	bool has_started, has_ended; /* START, END */
	bool has_content; /* the first text, reasoning, refusal or call went out */
	enum gw_err err; /* stays */
	struct gw_str error_json; /* the provider's error object, in keep */
	int error_status;
	struct gw_buf *to; /* during a call */
};
GW_MUST enum gw_err gw_translate_open(struct gw_translate *t, const struct gw_dialect *from,
				      const struct gw_dialect *to, const struct gw_carry *carry);
void gw_translate_close(struct gw_translate *t);
/* Bytes of the provider's stream; what the client gets is appended to `out`. GW_OK; an error ends the translation: UP_GARBLED, UP_TOO_BIG,
 * NOMEM, or UP_SERVER with error_json. What came before it is in `out`. */
GW_MUST enum gw_err gw_translate_feed(struct gw_translate *t, struct gw_str bytes, struct gw_buf *out);
/* The provider's connection has ended. GW_E_UP_CUT: before the answer did. */
GW_MUST enum gw_err gw_translate_end(struct gw_translate *t, struct gw_buf *out);
