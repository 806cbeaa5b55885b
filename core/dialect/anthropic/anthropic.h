#pragma once
#include <assert.h>
#include "core/dialect/dialect.h"
#include "core/dialect/mark.h"
#include "core/error_body.h"

/* Private to the Anthropic dialect. Glossary: a *block* is an element of content[]; *home* means that a request came in this dialect and
 * goes out in it, so that it must come out as it went in. */

/* Spelling of a request (ir_request.form). */
enum {
	ANTHROPIC_F_STREAM = 1, /* "stream" was there */
	ANTHROPIC_F_DISPLAY = 2, /* thinking.display was there */
	ANTHROPIC_F_OUTPUT_FORMAT = 4, /* output_format at the top level, as older betas have it */
};
/* Spelling of a message (ir_message.form). */
enum {
	ANTHROPIC_M_STRING = 1, /* content is a string */
	ANTHROPIC_M_FIELD = 2, /* from the top-level "system" */
};
/* Spelling of a block (ir_block.form). */
enum {
	ANTHROPIC_B_STRING = 1, /* tool_result: content is a string */
	ANTHROPIC_B_NO_CONTENT = 2, /* tool_result: content is absent */
	ANTHROPIC_B_IS_ERROR = 4, /* tool_result: is_error was there */
	ANTHROPIC_B_DETAILS = 8, /* the words of stop_details, which are no content here */
};
/* Spelling of a tool (ir_tool.form). */
enum { ANTHROPIC_T_CUSTOM = 1 /* "type":"custom" was there */ };

/* Where a reader is, for the name of a faulty field: messages[2].content[0].content[1].type. Indices are -1 when they do not apply. */
struct anthropic_in {
	struct gw_arena *a;
	const struct gw_carry *carry; /* replies: names of tools as the client knows them; NULL for requests */
	struct gw_str *param, *why;
	const char *list; /* "messages", "system", "tools" */
	int32_t item, block, inner;
	bool is_reply; /* hostile: nothing is refused, what makes no sense is passed over */
};
enum gw_err anthropic_bad(struct anthropic_in *in, enum gw_err e, const char *leaf, const char *why);
/* A list of blocks, or one. */
enum gw_err anthropic_blocks_read(struct anthropic_in *in, const yyjson_val *arr, struct ir_block **list);
/* {"type":"ephemeral","ttl":..} with nothing else in it; IR_CACHE_NONE for any other value. */
enum ir_cache anthropic_cache_read(const yyjson_val *v);
enum gw_err anthropic_tools_read(struct anthropic_in *in, const yyjson_val *arr, struct ir_request *rq);
/* A value as compact JSON text; .p NULL when the arena is full. */
struct gw_str anthropic_json(struct gw_arena *a, const yyjson_val *v);
enum gw_err anthropic_request_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				   struct gw_str *param, struct gw_str *why);

/* A writer of one request. */
struct anthropic_out {
	struct gw_arena *a;
	struct ir_request *rq;
	const struct gw_write_opts *o;
	struct gw_json_out w;
	struct gw_str *param, *why;
	enum gw_err err; /* sticks */
	uint32_t cache_skip; /* marks still to be left out: there may be four */
	bool is_home;
	bool is_thinking; /* thinking goes out switched on */
	bool has_lost_thinking; /* the client's own "thinking" had to stay behind with the proofs of others */
};
enum { ANTHROPIC_MAX_CACHE = 4, ANTHROPIC_MAX_NAME = 128, ANTHROPIC_MAX_ID = 64 };
/* The request cannot be said here; the first reason counts. */
void anthropic_refuse(struct anthropic_out *o, const char *param, const char *why);
void anthropic_no_memory(struct anthropic_out *o);
bool anthropic_is_blank(struct gw_str s);
/* Whether anything goes out for a block; what is left out for a reason of ours is noted here. */
bool anthropic_is_sent(struct anthropic_out *o, const struct ir_block *b);
void anthropic_block_write(struct anthropic_out *o, const struct ir_block *b);
/* A thought whose mark says that it is another maker's: this provider refuses it. */
bool anthropic_is_foreign(const struct ir_block *b);
void anthropic_cache_write(struct anthropic_out *o, enum ir_cache c);
struct gw_str anthropic_name_out(struct anthropic_out *o, struct gw_str name);
void anthropic_messages_write(struct anthropic_out *o);
void anthropic_text_write(struct anthropic_out *o, struct gw_str text);
/* tools, tool_choice, and the tool that stands for a schema. */
void anthropic_tools_write(struct anthropic_out *o);
/* thinking, output_config, max_tokens, temperature, top_p, top_k: they depend on each other. */
void anthropic_sampling_write(struct anthropic_out *o);
/* The part of it that counts as prompt. */
void anthropic_count_sampling_write(struct anthropic_out *o);
bool anthropic_json_tool_wanted(const struct anthropic_out *o);
enum gw_err anthropic_request_write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *o,
				    struct gw_buf *body, struct gw_str *param, struct gw_str *why);

/* Usage as it comes: each field overwrites what an earlier event told. */
struct anthropic_usage {
	bool is_known;
	uint64_t input, output, cache_read, cache_write, write_5m, write_1h, thinking, searches;
	uint8_t tier;
};
void anthropic_usage_take(struct anthropic_usage *u, const yyjson_val *v);
struct gw_usage anthropic_usage_out(const struct anthropic_usage *u);
/* The members of a usage object (which is open). */
void anthropic_usage_write(struct gw_json_out *w, const struct gw_usage *u);
enum ir_finish anthropic_finish_read(struct gw_str word);
struct gw_str anthropic_finish_write(enum ir_finish f, bool has_call, bool has_refusal);
struct gw_str anthropic_id_out(struct gw_arena *a, struct gw_str id, const struct gw_carry *c);
void anthropic_citation_write(struct gw_json_out *w, const struct ir_citation *c);
enum gw_err anthropic_citations_read(struct gw_arena *a, const yyjson_val *arr, struct ir_block *b);
void anthropic_citation_take(struct ir_citation *c, const yyjson_val *v);
enum gw_err anthropic_reply_read(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
				 struct ir_reply *out);
enum gw_err anthropic_reply_write(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				  struct gw_buf *body);

enum { ANTHROPIC_READER_BYTES = 768, ANTHROPIC_WRITER_BYTES = 320 }; /* of one stream */
enum gw_err anthropic_event_read(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
enum gw_err anthropic_end_read(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
enum gw_err anthropic_event_write(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);

void anthropic_error_write(const struct gw_error_told *t, struct gw_buf *out);
void anthropic_error_event_write(const struct gw_error_told *t, const struct gw_carry *c, struct gw_buf *out);

/* Values of hostile trees. */
static inline struct gw_str anthropic_str(const yyjson_val *v)
{
	return yyjson_is_str((yyjson_val *)(uintptr_t)v) ? gw_json_str(v) : GW_NIL;
}
static inline bool anthropic_is(const yyjson_val *v, const char *word)
{
	return yyjson_equals_str((yyjson_val *)(uintptr_t)v, word);
}
static inline yyjson_val *anthropic_get(const yyjson_val *obj, const char *key)
{
	return yyjson_obj_get((yyjson_val *)(uintptr_t)obj, key);
}
