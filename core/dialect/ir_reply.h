#pragma once
#include "core/dialect/ir.h"

/* The other half of the IR: replies, whole and as they stream (rules of memory: ir.h). */

/* ---- reply ---- */

enum ir_finish {
	IR_FINISH_UNSET,
	IR_FINISH_STOP,
	IR_FINISH_STOP_SEQUENCE,
	IR_FINISH_LENGTH,
	IR_FINISH_TOOL_CALLS,
	IR_FINISH_FILTER, /* content filter, safety, guardrail */
	IR_FINISH_REFUSAL, /* the model declined */
	IR_FINISH_PAUSE /* a server tool paused; the caller sends again */
};
struct ir_choice {
	struct ir_choice *next, *last;
	uint32_t index;
	struct ir_block *blocks;
	enum ir_finish finish;
	struct gw_str finish_raw; /* the provider's own word */
	struct gw_str stop_sequence; /* which one stopped it; NIL */
	const yyjson_val *logprobs; /* in OpenAI's shape {content:[...],refusal:[...]}; NULL */
	struct ir_extra *extra;
};
struct ir_reply {
	enum gw_dialect_id source;
	struct gw_str id, model;
	int64_t created; /* Unix seconds, 0 = not told */
	struct ir_choice
	    *choices; /* at least one, also when the provider blocked the prompt (blocks empty, finish FILTER) */
	struct gw_usage usage;
	struct gw_str service_tier;
	struct ir_extra *extra; /* what the vendor tells beside it: search results, fingerprints */
};

struct ir_choice *ir_choice_add(struct gw_arena *a, struct ir_reply *rp, uint32_t index);

/* Log probabilities of a dialect of another shape: tokens as OpenAI has them are written in between. NULL: no memory. */
struct gw_json_out;
void ir_logprobs_begin(struct gw_arena *a, struct gw_json_out *w, struct gw_buf *b);
const yyjson_val *ir_logprobs_end(struct gw_arena *a, struct gw_json_out *w);

/* ---- stream ---- */

/* Readers keep these rules, writers rely on them:
 *   START comes once and first. Blocks of a choice are numbered 0, 1, 2 ... in the order of BLOCK_START; each gets DELTAs and one
 *   BLOCK_STOP before its choice's FINISH. Blocks of one choice do not overlap when the writer's dialect says so (gw_dialect.is_serial;
 *   core/dialect/serial.c holds back what came too early). FINISH comes once a choice. USAGE may come at any time and more than once, the
 *   last one counts (is_known fields overwrite). END comes once and last, and only for a stream that ended well. */
enum ir_event_kind {
	IR_EV_START,
	IR_EV_BLOCK_START,
	IR_EV_DELTA,
	IR_EV_BLOCK_STOP,
	IR_EV_LOGPROBS,
	IR_EV_FINISH,
	IR_EV_USAGE,
	IR_EV_PING,
	IR_EV_ERROR,
	IR_EV_END
};
enum ir_delta_kind {
	IR_DELTA_TEXT, /* of TEXT, REFUSAL, REASONING: the next piece of text */
	IR_DELTA_ARGS, /* of TOOL_CALL: the next piece of the arguments' JSON text */
	IR_DELTA_SIGNATURE, /* of REASONING, TOOL_CALL, TEXT: the whole signature */
	IR_DELTA_CITATION /* of TEXT: one citation */
};
struct ir_event {
	enum ir_event_kind kind;
	uint32_t choice, block;
	/* START */
	struct gw_str id, model;
	int64_t created;
	/* BLOCK_START: kind, id, name, is_custom, is_redacted + signature, media, other; text and args are empty (they come as deltas) */
	struct ir_block start;
	/* DELTA */
	enum ir_delta_kind delta;
	struct gw_str text;
	enum gw_dialect_id signature_of;
	struct ir_citation *citation;
	/* LOGPROBS: as in ir_choice, those of the text that comes next (where a provider tells them with it) */
	const yyjson_val *logprobs;
	/* FINISH */
	enum ir_finish finish;
	struct gw_str finish_raw, stop_sequence;
	struct ir_extra *extra; /* as in ir_reply: of the chunk that says so */
	/* USAGE, and END with the last of it */
	struct gw_usage usage;
	struct gw_str service_tier;
	/* ERROR: the provider's error object as it came, for gw_upstream_error_read; status when the event tells one, else 0 */
	struct gw_str error_json;
	int error_status;
};
/* Views in the event are valid during the call. */
typedef enum gw_err ir_event_fn(void *ctx, const struct ir_event *ev);
