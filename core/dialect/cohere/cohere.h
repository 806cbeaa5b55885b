#pragma once
#include <assert.h>
#include "core/dialect/dialect.h"
#include "core/error_body.h"

/* Private to the Cohere dialect (v2 chat). Blocks, tools and results that came in this dialect keep their own object (ir_block.other,
 * ir_tool.hosted): it goes home as it came. */

/* ir_message.form */
enum { COHERE_M_STRING = 1, COHERE_M_LIST = 2 }; /* content is a string; a list. Neither: there is none */
/* ir_block.form */
enum { COHERE_B_PLAN = 1 /* reasoning that stands in tool_plan */ };
/* ir_request.form */
enum { COHERE_F_STREAM = 1, COHERE_F_STRICT = 2, COHERE_F_NOT_STRICT = 4 }; /* stream, strict_tools were there */

enum gw_err cohere_request_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				struct gw_str *param, struct gw_str *why);
enum gw_err cohere_request_write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *o,
				 struct gw_buf *body, struct gw_str *param, struct gw_str *why);

enum gw_err cohere_reply_read(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			      struct ir_reply *out);
enum gw_err cohere_reply_write(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body);
struct gw_usage cohere_usage_read(const yyjson_val *v);
void cohere_usage_write(struct gw_json_out *w, const struct gw_usage *u);
/* GW_OK, or what a reply that ended with ERROR or TIMEOUT is. */
enum gw_err cohere_finish_read(struct gw_str word, enum ir_finish *out);
struct gw_str cohere_finish_write(enum ir_finish f, bool has_call);
void cohere_citation_take(struct ir_citation *c, const yyjson_val *v);
void cohere_citation_write(struct gw_json_out *w, const struct ir_citation *c);
/* Log probabilities: {token_ids, text, logprobs} for each piece of the text, or one of them, as OpenAI's; NULL: none, or no memory. And back. */
const yyjson_val *cohere_logprobs_read(struct gw_arena *a, const yyjson_val *v);
void cohere_logprob_write(struct gw_json_out *w, const yyjson_val *token);
struct gw_str cohere_id_out(const struct gw_str id, enum gw_dialect_id source, const struct gw_carry *c);

enum { COHERE_STATE_BYTES = 384 }; /* of one stream, each way */
enum gw_err cohere_event_read(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
enum gw_err cohere_end_read(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
void cohere_writer_done(struct gw_stream_state *st);
enum gw_err cohere_event_write(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);

/* Values of hostile trees. */
static inline yyjson_val *cohere_val(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}
static inline struct gw_str cohere_str(const yyjson_val *v)
{
	return yyjson_is_str(cohere_val(v)) ? gw_json_str(v) : GW_NIL;
}
static inline bool cohere_is(const yyjson_val *v, const char *word)
{
	return yyjson_equals_str(cohere_val(v), word);
}
static inline yyjson_val *cohere_get(const yyjson_val *obj, const char *key)
{
	return yyjson_obj_get(cohere_val(obj), key);
}
