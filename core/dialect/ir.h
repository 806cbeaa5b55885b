#pragma once
#include "core/dialect/id.h"
#include "core/usage.h"
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/json_write.h"
#include "lib/str.h"

/* The one meeting point of all dialects: a chat request, its reply and its stream, as everybody means them. Each dialect reads its wire
 * format into this and writes it from this; no dialect knows another.
 *
 * Ownership: everything hangs in one arena; texts are views into it or into the yyjson tree made in it (gw_json_tree). Nothing is freed
 * alone. Lists are singly linked in order; use ir_*_add. Numbers stay integers where they are integers; amounts such as temperature
 * are doubles, written shortest, so that they come out equal by value. JSON that only passes through is kept as a tree value.
 *
 * What a dialect knows and the IR does not hangs as `extra`, marked with the dialect it came from: its own writer puts it back, so that a
 * trip through the same dialect loses nothing; any other writer drops it, and says so (ir_drop). `form` holds a dialect's own
 * spelling bits (content as a string or as a list, max_tokens or max_completion_tokens, ...): only the dialect that set them reads
 * them, and only when the request's `source` is itself. */

/* A member as it came, under its own name. `last`, here and below: of the list that begins here, for ir_*_add alone. */
struct ir_extra {
	struct ir_extra *next, *last;
	enum gw_dialect_id of;
	struct gw_str key;
	const yyjson_val *val;
};

struct ir_i64 {
	bool is_set;
	int64_t v;
};
struct ir_f64 {
	bool is_set;
	double v;
};
enum ir_tri { IR_UNSET, IR_NO, IR_YES };

/* A prompt-cache mark: what lies before and with this may be cached by the provider. */
enum ir_cache { IR_CACHE_NONE, IR_CACHE_DEFAULT, IR_CACHE_5M, IR_CACHE_1H };

/* ---- content ---- */

enum ir_block_kind {
	IR_TEXT, /* text, citations */
	IR_REFUSAL, /* text: the model's words when it declines */
	IR_REASONING, /* text (may be empty), signature; is_redacted: only signature, opaque */
	IR_IMAGE, /* media */
	IR_FILE, /* media: a document */
	IR_AUDIO, /* media */
	IR_VIDEO, /* media */
	IR_TOOL_CALL, /* id, name, args */
	IR_TOOL_RESULT, /* id of the call, name when known, content, is_error */
	IR_OTHER /* known to dialect `other_of` alone: the whole block is `other` */
};
enum ir_media_from { IR_BASE64, IR_URL, IR_FILE_ID, IR_PLAIN };
struct ir_media {
	enum ir_media_from from;
	struct gw_str mime; /* "image/png"; NIL: not told (URL) */
	struct gw_str data; /* base64 text without a "data:" prefix, URL, file id, or plain text */
	struct gw_str name; /* file name or title; NIL */
	struct gw_str detail; /* OpenAI image detail low|high|auto; NIL */
};
struct ir_citation {
	struct ir_citation *next, *last;
	struct gw_str url, title, quoted; /* NIL when not told */
	int64_t start, end; /* characters of the text, -1 = not told */
	enum gw_dialect_id of; /* `raw` is this dialect's own object; NULL when there is none */
	const yyjson_val *raw;
};
struct ir_block {
	struct ir_block *next, *last;
	enum ir_block_kind kind;
	uint16_t form;
	enum ir_cache cache;
	struct gw_str text;
	struct ir_citation *citations;
	struct ir_media media;
	/* tool calls and results */
	struct gw_str id, name;
	struct gw_str
	    args; /* JSON text of the arguments as the model wrote it; "" = none. May be no JSON at all (ir_args_object). */
	bool is_custom; /* an OpenAI custom tool: args is plain text */
	bool is_error; /* result */
	bool is_redacted; /* reasoning */
	struct ir_block *content; /* result: TEXT, IMAGE, FILE, OTHER */
	/* A proof that only its maker can read (Anthropic signature, Gemini thoughtSignature, OpenAI encrypted_content), of reasoning or of
	 * a call. Goes back unchanged to signature_of and to nobody else. */
	struct gw_str signature;
	enum gw_dialect_id signature_of;
	/* OTHER. Other kinds: the object as its source spelled it (a result's text in Gemini, a whole block in Bedrock); for its own writer. */
	enum gw_dialect_id other_of;
	const yyjson_val *other;
	struct ir_extra *extra;
};

/* Tool results are blocks of USER messages (an OpenAI tool message is a USER message of one result). Neighbours of one role may
 * occur; writers that must not send them merge (ir_next_turn). Blocks may be empty. */
enum ir_role { IR_SYSTEM, IR_USER, IR_ASSISTANT };
struct ir_message {
	struct ir_message *next;
	enum ir_role role;
	uint16_t form;
	struct gw_str name; /* of the participant; NIL */
	struct ir_block *blocks;
	struct ir_extra *extra;
};

/* ---- request ---- */

enum ir_tool_kind { IR_TOOL_FUNCTION, IR_TOOL_CUSTOM, IR_TOOL_HOSTED };
struct ir_tool {
	struct ir_tool *next, *last;
	enum ir_tool_kind kind;
	uint16_t form;
	struct gw_str name, description; /* HOSTED: name is its type */
	const yyjson_val *parameters; /* JSON Schema; NULL = none. CUSTOM: format */
	const yyjson_val
	    *parameters_own; /* as the source spelled it, when that is no JSON Schema (Gemini); for its own writer */
	enum ir_tri strict;
	enum ir_cache cache;
	enum gw_dialect_id hosted_of; /* HOSTED: `hosted` is this dialect's own object */
	const yyjson_val *hosted;
	struct ir_extra *extra;
};
enum ir_choice_kind {
	IR_CHOICE_UNSET,
	IR_CHOICE_AUTO,
	IR_CHOICE_NONE,
	IR_CHOICE_REQUIRED,
	IR_CHOICE_NAMED,
	IR_CHOICE_ALLOWED
};
struct ir_name {
	struct ir_name *next, *last;
	struct gw_str name;
};
struct ir_tool_choice {
	enum ir_choice_kind kind;
	uint16_t form;
	struct ir_name *names; /* NAMED: one; ALLOWED: the subset */
	bool is_required; /* ALLOWED: one of them must be called */
	const yyjson_val *raw; /* a choice that only the source knows; kind is UNSET */
};
enum ir_format_kind { IR_FORMAT_UNSET, IR_FORMAT_TEXT, IR_FORMAT_JSON, IR_FORMAT_SCHEMA, IR_FORMAT_RAW };
struct ir_format {
	enum ir_format_kind kind;
	struct gw_str name, description;
	const yyjson_val *schema; /* SCHEMA; RAW: the source's own object */
	const yyjson_val *schema_own; /* as ir_tool.parameters_own */
	enum ir_tri strict;
	struct ir_extra *extra;
};
enum ir_effort {
	IR_EFFORT_UNSET,
	IR_EFFORT_NONE,
	IR_EFFORT_MINIMAL,
	IR_EFFORT_LOW,
	IR_EFFORT_MEDIUM,
	IR_EFFORT_HIGH,
	IR_EFFORT_XHIGH,
	IR_EFFORT_MAX
};
struct ir_reasoning {
	enum ir_effort effort;
	struct ir_i64 budget; /* tokens */
	enum ir_tri is_on; /* switched on or off in words of its own */
	bool is_adaptive; /* the model decides how much */
	enum ir_tri wants_text; /* summaries or thoughts are to be shown */
	struct gw_str summary; /* auto | concise | detailed; NIL */
	struct ir_extra *extra;
};
/* Where n choices, log probabilities and the like were asked for. All unset when absent. */
struct ir_sampling {
	struct ir_i64 max_tokens, n, seed, top_k, top_logprobs;
	struct ir_f64 temperature, top_p, presence_penalty, frequency_penalty;
	enum ir_tri logprobs;
	const yyjson_val *logit_bias;
	struct ir_name *stop;
};
struct ir_request {
	enum gw_dialect_id source;
	uint32_t form;
	struct gw_str model; /* as the client wrote it; writers use ir_write.model */
	bool is_stream, wants_usage;
	struct ir_message *messages,
	    *last_message; /* SYSTEM messages stand where they stood; those of a separate field come first */
	struct ir_tool *tools;
	struct ir_tool_choice tool_choice;
	enum ir_tri parallel_tool_calls;
	struct ir_format format;
	struct ir_reasoning reasoning;
	struct ir_sampling sampling;
	struct gw_str user, service_tier,
	    cache_key; /* end user; auto|default|flex|priority|...; prompt_cache_key. NIL = absent */
	enum ir_cache cache; /* the whole prompt is marked (Anthropic top-level cache_control) */
	const yyjson_val *metadata; /* object of strings; NULL */
	struct ir_extra *extra;
	/* what the writer could not carry, by the client's own field names; each once */
	struct gw_arena *arena;
	struct ir_name *dropped;
	bool
	    is_mended; /* the writer of the same dialect put something in that the provider wants (a lost signature's stand-in) */
	bool is_drop_lost; /* no memory to note one: the request fails rather than lose it silently */
};

/* ---- building ---- */

/* All return NULL (or false) when the arena is full; the reader then answers GW_E_NOMEM. */
struct ir_message *ir_message_add(struct gw_arena *a, struct ir_request *rq, enum ir_role role);
struct ir_block *ir_block_add(struct gw_arena *a, struct ir_block **list, enum ir_block_kind kind);
struct ir_tool *ir_tool_add(struct gw_arena *a, struct ir_request *rq, enum ir_tool_kind kind);
struct ir_citation *ir_citation_add(struct gw_arena *a, struct ir_block *b);
bool ir_name_add(struct gw_arena *a, struct ir_name **list, struct gw_str name);
bool ir_extra_add(struct gw_arena *a, struct ir_extra **list, enum gw_dialect_id of, const yyjson_val *key,
		  const yyjson_val *val);

/* ---- writing ---- */

/* Notes that a field could not be carried; the name is the client's own ("logit_bias", "tools[].strict"). Repeats count once. */
void ir_drop(struct ir_request *rq, const char *name);
void ir_drop_name(struct ir_request *rq, struct gw_str name);
/* Puts back the extras that came from `of` into an open object; what came from elsewhere is noted as dropped under `where` + key
 * (where "" = top level, "messages[].", "tools[]."). rq NULL: not noted. */
void ir_extra_write(const struct ir_extra *list, enum gw_dialect_id of, struct gw_json_out *w, struct ir_request *rq,
		    const char *where);
const yyjson_val *ir_extra_get(const struct ir_extra *list, enum gw_dialect_id of, struct gw_str key);
/* A choice among tools some of which stay behind, because they are hosted by another provider than `to`: one that names or demands them is
 * left out, and noted. */
void ir_choice_settle(struct ir_request *rq, enum gw_dialect_id to);
/* Name of the call with this id, looked for in earlier messages; NIL when there is none. */
struct gw_str ir_call_name(const struct ir_request *rq, struct gw_str id);
/* A run of neighbours with one role as one turn, SYSTEM messages passed over (*rest moves behind the run): for dialects that want strict
 * alternation. Calls fn for each block, results first when `results_first`. NULL when there is no more. */
struct ir_turn {
	enum ir_role role;
	const struct ir_message *first, *end; /* [first, end) by ->next; SYSTEM ones in between do not belong */
};
bool ir_next_turn(const struct ir_message **rest, struct ir_turn *out);
/* Budget in tokens that an effort stands for, and back (conventions of protocols: 1024, 2048/4096, 8192, 24576). */
int64_t ir_effort_budget(enum ir_effort e);
enum ir_effort ir_budget_effort(int64_t tokens);
struct gw_str ir_effort_word(enum ir_effort e); /* "low"; NIL for UNSET */
enum ir_effort ir_effort_of(struct gw_str word); /* UNSET when it is none */
