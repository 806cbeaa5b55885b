#pragma once
#include "core/dialect/dialect.h"

/* What the files of the Gemini dialect share. Others include core/dialect/dialect.h, or endpoints.h for what lies beside chat. */

/* Members have two spellings on this wire (proto JSON): camelCase and snake_case. A field is a row of a table; the reader takes both and notes
 * which it was, one bit a field, so that the same dialect's writer can spell it the same way. */
struct gemini_fields {
	const char *const *names; /* camelCase */
	int n;
};
/* Number of the field that `key` spells, or -1; *is_snake when it is the other spelling. */
int gemini_field(const struct gemini_fields *f, struct gw_str key, bool *is_snake);
/* Writes the key of field `i`, in snake_case when bit i of `form` is set. */
void gemini_key(struct gw_json_out *w, const struct gemini_fields *f, int i, uint32_t form);
/* The member under either spelling, for replies: what is told twice counts once. */
const yyjson_val *gemini_get(const yyjson_val *obj, const char *name);

/* ir_request.form: bits of gemini_request_fields below 8, of generationConfig from 8, of thinkingConfig from 24. */
enum gemini_request_field {
	GR_CONTENTS,
	GR_SYSTEM,
	GR_TOOLS,
	GR_TOOL_CONFIG,
	GR_GENERATION,
	GR_FUNCTION_CALLING,
	GR_ALLOWED,
	GR_N
};
enum gemini_generation_field {
	GG_TEMPERATURE,
	GG_TOP_P,
	GG_TOP_K,
	GG_MAX_TOKENS,
	GG_CANDIDATES,
	GG_STOP,
	GG_SEED,
	GG_PRESENCE,
	GG_FREQUENCY,
	GG_MIME,
	GG_SCHEMA,
	GG_JSON_SCHEMA,
	GG_LOGPROBS,
	GG_TOP_LOGPROBS,
	GG_THINKING,
	GG_N
};
enum gemini_thinking_field { GT_INCLUDE, GT_BUDGET, GT_LEVEL, GT_N };
enum { GEMINI_GENERATION_SHIFT = 8, GEMINI_THINKING_SHIFT = 24 };
#define GEMINI_UPPER_LEVEL    (UINT32_C(1) << 27) /* thinkingLevel in capitals */
#define GEMINI_HAS_GENERATION (UINT32_C(1) << 28) /* also when it was empty */
#define GEMINI_HAS_TOOLS      (UINT32_C(1) << 29)
#define GEMINI_IS_PLAIN_MIME  (UINT32_C(1) << 30) /* responseMimeType text/plain */
#define GEMINI_HAS_THINKING   (UINT32_C(1) << 31)
extern const struct gemini_fields gemini_request_fields, gemini_generation_fields, gemini_thinking_fields;

/* ir_message.form */
enum { GM_NO_ROLE = 1, GM_ROLE_USER = 2, GM_ROLE_FUNCTION = 4, GM_NO_PARTS = 8, GM_IS_STRING = 16 };
/* ir_block.form: bits of gemini_part_fields and of the object inside, then these. */
enum gemini_part_field { GP_TEXT, GP_THOUGHT, GP_SIGNATURE, GP_INLINE, GP_FILE, GP_CALL, GP_RESPONSE, GP_N };
enum gemini_media_field { GI_MIME, GI_DATA, GI_URI, GI_NAME, GI_N };
extern const struct gemini_fields gemini_part_fields, gemini_media_fields;
enum {
	GEMINI_MEDIA_SHIFT = 7,
	GEMINI_ID_MADE = 1 << 11, /* the call or result had no id */
	GEMINI_NO_ARGS = 1 << 12,
	GEMINI_THOUGHT_FALSE = 1 << 13 /* "thought":false was written out */
};
/* ir_tool.form: bits of gemini_tool_fields, then these. */
enum gemini_tool_field { GD_NAME, GD_DESCRIPTION, GD_PARAMETERS, GD_JSON_PARAMETERS, GD_N };
extern const struct gemini_fields gemini_tool_fields;
enum { GEMINI_NEW_ENTRY = 1 << 8, GEMINI_SNAKE_DECLARATIONS = 1 << 9, GEMINI_IS_JSON_SCHEMA = 1 << 10 };
/* ir_tool_choice.form */
enum { GC_LOWER_CASE = 1, GC_VALIDATED = 2, GC_HAS_NAMES = 4 };

/* ---- schemas (schema.c, schema_read.c) ---- */

/* Writes a JSON Schema as Gemini's own kind of schema. What cannot be said is left out and its keyword noted in rq under `where`;
 * GW_E_INVALID instead when is_strict. GW_E_TOO_BIG: references unfold to more than the ceiling. */
enum gw_err gemini_schema_write(struct gw_arena *a, const yyjson_val *schema, bool is_strict, struct ir_request *rq,
				const char *where, struct gw_json_out *w, struct gw_str *why);
/* True for an object schema that names no properties: Gemini wants no schema at all then. */
bool gemini_schema_is_empty(const yyjson_val *schema);
/* Gemini's own kind of schema as JSON Schema: `own` itself when it is one already. NULL: arena full. */
const yyjson_val *gemini_schema_read(struct gw_arena *a, const yyjson_val *own);

/* ---- models ---- */

enum gemini_generation { GEMINI_GEMMA, GEMINI_BEFORE_2_5, GEMINI_2_5, GEMINI_3 };
/* By name; names that tell nothing count as 2.5 (3 understands what 2.5 does). */
enum gemini_generation gemini_model(struct gw_str model, bool *is_pro);

/* ---- requests (parts_read.c, parts_write.c) ---- */

enum { GEMINI_PENDING = 128 }; /* parallel calls of one turn that are looked through */
struct gemini_reader {
	struct gw_arena *a;
	struct ir_request *rq;
	struct gw_str *param, *why;
	uint64_t calls; /* so far: what ids are made of */
	uint32_t content, part; /* where we are */
	/* Calls of the last model turn: results without an id belong to one of them, by name or else by order. */
	const struct ir_block *pending[GEMINI_PENDING];
	bool is_answered[GEMINI_PENDING];
	uint32_t n_pending;
	bool is_answering; /* results came since the last call */
};
enum gw_err gemini_refuse(struct gemini_reader *r, struct gw_str param, const char *why);
enum gw_err gemini_parts_read(struct gemini_reader *r, const yyjson_val *parts, struct ir_message *m);
/* A tree value as JSON text in the arena; .p NULL: full. */
struct gw_str gemini_json(struct gw_arena *a, const yyjson_val *v);
/* One part of a reply (or of a request's model turn) as a block: TEXT, REASONING, IMAGE and its kind, OTHER; not calls and results. NULL: full. */
struct ir_block *gemini_part_read(struct gw_arena *a, const yyjson_val *part, struct ir_block **list);

struct gemini_writer {
	struct gw_arena *a;
	struct ir_request *rq;
	const struct gw_write_opts *o;
	struct gw_json_out w;
	struct gw_str *param, *why;
	enum gemini_generation generation;
	bool is_own; /* the request came in this dialect */
	bool is_pro;
};
enum gw_err gemini_contents_write(struct gemini_writer *w);
enum gw_err gemini_config_write(struct gemini_writer *w);
enum gw_err gemini_tools_write(struct gemini_writer *w);
bool gemini_is_media(const struct ir_block *b);
/* Members of a message or block that only their own dialect knows. */
void gemini_note_extras(struct gemini_writer *w, const struct ir_extra *x);
/* Does the block become a part here? Results are written apart; what cannot be written is noted. */
bool gemini_block_is_written(struct gemini_writer *w, const struct ir_block *b);
enum gw_err gemini_block_write(struct gemini_writer *w, const struct ir_block *b, bool *is_first_call);
/* A tool result as a whole part, under the function's name. */
enum gw_err gemini_result_write(struct gemini_writer *w, const struct ir_block *b, struct gw_str name);
/* A media block as inlineData or fileData, without the part's braces. */
enum gw_err gemini_media_write(struct gemini_writer *w, const struct ir_block *b);
/* The name of a function as Gemini takes it. .p NULL: full. */
struct gw_str gemini_name(struct gemini_writer *w, struct gw_str name);
enum gw_err gemini_say(struct gemini_writer *w, const char *param, const char *why);

/* ---- replies (reply_read.c, reply_write.c, usage.c) ---- */

enum ir_finish gemini_finish_read(struct gw_str word, bool has_calls);
bool gemini_finish_is_known(struct gw_str word);
/* The model broke its own format: an error when there is nothing else. */
bool gemini_finish_is_broken(struct gw_str word);
struct gw_str gemini_finish_write(enum ir_finish f, struct gw_str raw, bool is_own);
/* The counts as told last; zeroed at the beginning of a reply or stream. */
struct gemini_counts {
	uint64_t prompt, tools, answer, thoughts;
	bool has_answer;
};
void gemini_usage_read(const yyjson_val *meta, struct gemini_counts *k, struct gw_usage *u, struct gw_str *tier);
void gemini_usage_write(struct gw_json_out *w, const struct gw_usage *u);
/* logprobsResult as OpenAI's logprobs; NULL: none, or no memory. And back. */
const yyjson_val *gemini_logprobs_read(struct gw_arena *a, const yyjson_val *result);
void gemini_logprobs_write(struct gw_json_out *w, const yyjson_val *logprobs);
/* Grounding and citation metadata of a candidate as citations of `b`; text: what they point into, NIL when it is not at hand; .p NULL with a
 * length: not at hand, but so many bytes of ASCII. */
bool gemini_citations_read(struct gw_arena *a, const yyjson_val *candidate, struct gw_str text, struct ir_block *b);

enum gw_err gemini_read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				struct gw_str *param, struct gw_str *why);
enum gw_err gemini_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				 struct gw_buf *body, struct gw_str *param, struct gw_str *why);
enum gw_err gemini_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			      struct ir_reply *out);
enum gw_err gemini_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body);
/* One block of a reply as a part. */
void gemini_reply_part_write(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *b);

/* ---- streams (stream_read.c, partial.c, stream_write.c) ---- */

/* Arguments that come as paths and values (streamFunctionCallArguments), turned into JSON text as they come. */
enum { GEMINI_PATH_DEPTH = 24, GEMINI_PATH_BYTES = 480 };
struct gemini_partial {
	bool is_open; /* a call is under way */
	bool in_string; /* the last value is a string that goes on */
	uint16_t depth; /* steps of the path last written */
	uint16_t n; /* bytes of `steps` */
	struct {
		uint16_t at, n; /* key in `steps`; n = 0 and is_index: an array element */
		bool is_index;
		uint32_t index;
	} path[GEMINI_PATH_DEPTH];
	char steps[GEMINI_PATH_BYTES];
};
/* Appends the JSON text that one partialArgs element adds. False: its path cannot follow the ones before. */
bool gemini_partial_take(struct gemini_partial *p, const yyjson_val *arg, struct gw_buf *out);
/* Appends what closes the arguments. */
void gemini_partial_close(struct gemini_partial *p, struct gw_buf *out);

enum { GEMINI_CANDIDATES = 8 };
/* Sizes of what the two sides of a stream remember; their own structs are asserted to fit. */
enum { GEMINI_READER_BYTES = 8 << 10, GEMINI_WRITER_BYTES = 24 << 10 };
enum gw_err gemini_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
enum gw_err gemini_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
enum gw_err gemini_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);
void gemini_writer_done(struct gw_stream_state *st);
