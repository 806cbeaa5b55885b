#pragma once
#include "core/dialect/dialect.h"
#include "core/dialect/ir_read.h"
#include "core/dialect/mark.h"
#include "core/error_body.h"

/* OpenAI responses. Private to this folder. A body that goes back to the same dialect is written from its own members as they came, which hang
 * at the request as extras of nobody (GW_D_NONE: nothing is noted about them). */

enum { RESPONSES_NATIVE = 1 }; /* ir_request.form */

bool responses_read_input(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
bool responses_read_tools(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
bool responses_read_tool_choice(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
enum gw_err responses_read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				   struct gw_str *param, struct gw_str *why);

struct responses_write {
	struct gw_json_out w;
	struct gw_arena *a;
	struct ir_request *rq;
	const struct gw_write_opts *o;
	struct gw_str *param, *why;
	enum gw_err err;
};
void responses_refuse(struct responses_write *x, const char *why);
struct gw_str responses_name(struct responses_write *x, struct gw_str name);
void responses_write_input(struct responses_write *x);
enum gw_err responses_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				    struct gw_buf *body, struct gw_str *param, struct gw_str *why);

enum gw_err responses_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
				 struct ir_reply *out);
/* One item of the output as blocks. */
bool responses_read_item(struct gw_arena *a, yyjson_val *item, const struct gw_carry *c, uint64_t counter,
			 struct ir_block **list);
enum ir_finish responses_finish(const yyjson_val *response, bool has_calls);
bool responses_read_annotations(struct gw_arena *a, yyjson_val *list, struct ir_block *to);

enum gw_err responses_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				  struct gw_buf *body);
/* The response object, with the request's own parameters in it; output: its items without the brackets. */
struct responses_told {
	struct gw_str id, status, output, reason /* of incomplete; NIL */, tier;
	const struct gw_error_told *error; /* of failed; NULL */
	int64_t created;
	const struct gw_usage *usage; /* NULL: not yet */
};
void responses_write_response(struct gw_json_out *w, const struct gw_carry *c, const struct responses_told *t);
/* One whole output item; text and args are given apart, because streams hold them elsewhere. */
struct responses_item {
	const struct ir_block *block;
	struct gw_str id, text; /* text, arguments or input */
	struct gw_str annotations, logprobs; /* JSON, without the brackets */
	bool is_done;
};
void responses_write_item(struct gw_json_out *w, const struct responses_item *it);
void responses_write_annotation(struct gw_json_out *w, const struct ir_citation *c);
/* Log probabilities in chat completions' shape as elements of a list. */
void responses_write_logprobs(struct gw_buf *out, const yyjson_val *logprobs);
/* "msg_...", "fc_...": the id of item number n. */
struct gw_str responses_item_id(struct gw_arena *a, const struct ir_block *b, const struct gw_carry *c, uint64_t n);
void responses_write_echo(const yyjson_val *root, struct gw_buf *out);
/* The list of log probabilities of a part, in chat completions' shape; NULL when there are none, or no memory. */
const yyjson_val *responses_read_logprobs(struct gw_arena *a, yyjson_val *list);
/* Why it is not complete; NIL when it is. */
struct gw_str responses_reason(enum ir_finish f);

enum gw_err responses_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
enum gw_err responses_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
enum gw_err responses_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);
void responses_writer_done(struct gw_stream_state *st);
enum { RESPONSES_READER_BYTES = 512, RESPONSES_WRITER_BYTES = 1024 };
