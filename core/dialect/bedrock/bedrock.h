#pragma once
#include "core/dialect/claude.h"
#include "core/dialect/dialect.h"
#include "core/dialect/mark.h"

/* What the files of the Bedrock Converse dialect share. */

/* ir_request.form */
enum {
	BR_HAS_SYSTEM = 1, /* also when it was empty */
	BR_HAS_INFERENCE = 2,
	BR_THINKING = 4, /* which member of additionalModelRequestFields told it */
	BR_REASONING_CONFIG = 8,
	BR_NOVA_REASONING = 16,
	BR_OUTPUT_EFFORT = 32,
	BR_TOP_K = 64,
	BR_NOVA_TOP_K = 128,
	BR_CONFIG_EFFORT = 256, /* outputConfig.effort */
	BR_HAS_MODEL_FIELDS = 512,
	BR_HAS_TOOLS = 1024
};
/* ir_block.form */
enum { BB_HAS_STATUS = 1, BB_IS_JSON = 2 };
enum { BEDROCK_ID_BYTES = 64 }; /* of a call */

/* ir_block.other of any kind: the whole content block as it came, for our own writer. */

enum bedrock_family {
	BEDROCK_ANTHROPIC,
	BEDROCK_NOVA,
	BEDROCK_NOVA_2,
	BEDROCK_MISTRAL,
	BEDROCK_COHERE,
	BEDROCK_OPENAI,
	BEDROCK_OTHER,
	BEDROCK_UNTOLD /* an ARN that does not say which model it is */
};
/* By the model id, also with a region before it or as an ARN. */
enum bedrock_family bedrock_family(struct gw_str model);

struct bedrock_reader {
	struct gw_arena *a;
	struct ir_request *rq;
	struct gw_str *param, *why;
	uint32_t message, block;
	const char *list; /* "messages" or "system" */
};
enum gw_err bedrock_refuse(struct bedrock_reader *r, struct gw_str param, const char *why);
enum gw_err bedrock_blocks_read(struct bedrock_reader *r, const yyjson_val *list, struct ir_block **out);
/* A value as JSON text in the arena; .p NULL: full. */
struct gw_str bedrock_json(struct gw_arena *a, const yyjson_val *v);
/* One block of a reply. False: the arena is full. */
bool bedrock_block_read(struct gw_arena *a, const yyjson_val *block, struct ir_block **list);
/* A citation; false: the arena is full. */
bool bedrock_citation_read(struct gw_arena *a, const yyjson_val *c, struct ir_block *b);
void bedrock_citation_write(struct gw_json_out *w, const struct ir_citation *c);

struct bedrock_writer {
	struct gw_arena *a;
	struct ir_request *rq;
	const struct gw_write_opts *o;
	struct gw_json_out w;
	struct gw_str *param, *why;
	enum bedrock_family family;
	bool is_own, is_thinking;
	struct ir_claude claude; /* of that family, in requests of other dialects */
	bool wants_json_tool; /* a schema, and a model that is held to one by a forced tool alone */
	uint32_t cache_skip; /* marks still to be left out: there may be four */
	uint32_t documents;
};
enum gw_err bedrock_say(struct bedrock_writer *w, const char *param, const char *why);
enum gw_err bedrock_messages_write(struct bedrock_writer *w);
enum gw_err bedrock_tools_write(struct bedrock_writer *w);
/* Was the schema's answer asked for by way of a tool, and is this it? */
static inline bool bedrock_is_json_tool(const struct gw_carry *c, struct gw_str name)
{
	return c->is_json_tool && gw_str_eq(name, c->json_tool);
}
/* Does a request that came in this dialect hold thoughts of other makers? */
bool bedrock_has_foreign(const struct ir_request *rq);
void bedrock_cache_write(struct bedrock_writer *w, enum ir_cache c);
bool bedrock_is_blank(struct gw_str s);
struct gw_str bedrock_name(struct bedrock_writer *w, struct gw_str name);
/* An image, document, sound or film as a whole block. */
enum gw_err bedrock_media_write(struct bedrock_writer *w, const struct ir_block *b);

enum ir_finish bedrock_finish_read(struct gw_str word);
bool bedrock_finish_is_broken(struct gw_str word);
struct gw_str bedrock_finish_write(enum ir_finish f);
void bedrock_usage_read(const yyjson_val *u, struct gw_usage *out);
void bedrock_usage_write(struct gw_json_out *w, const struct gw_usage *u);

enum gw_err bedrock_read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				 struct gw_str *param, struct gw_str *why);
enum gw_err bedrock_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				  struct gw_buf *body, struct gw_str *param, struct gw_str *why);
enum gw_err bedrock_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			       struct ir_reply *out);
enum gw_err bedrock_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				struct gw_buf *body);
enum { BEDROCK_READER_BYTES = 512, BEDROCK_WRITER_BYTES = 256 };
enum gw_err bedrock_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
enum gw_err bedrock_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
enum gw_err bedrock_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);
void bedrock_writer_done(struct gw_stream_state *st);
