#pragma once
#include "core/dialect/dialect.h"
#include "core/dialect/ir_read.h"

/* OpenAI chat completions, and everybody who speaks it. Private to this folder. */

/* ir_request.form */
enum {
	OPENAI_NATIVE = 1, /* read from a chat completions body: it is written back as it was */
	OPENAI_OLD_MAX = 2, /* max_tokens, not max_completion_tokens */
	OPENAI_STOP_STRING = 4,
	OPENAI_STREAM_TOLD = 8, /* "stream": false was written */
	OPENAI_STREAM_OPTIONS = 16,
	OPENAI_FUNCTIONS = 32, /* functions and function_call, before there were tools */
	OPENAI_THINKING = 64, /* "thinking": {"type"} */
	OPENAI_REASONING = 128, /* "reasoning": {"effort"} */
	OPENAI_SAFETY_ID = 256 /* the user stands in safety_identifier */
};
/* ir_message.form */
enum {
	OPENAI_M_LIST = 1, /* content is a list */
	OPENAI_M_NULL = 2,
	OPENAI_M_ABSENT = 4,
	OPENAI_M_DEVELOPER = 8,
	OPENAI_M_TOOL = 16,
	OPENAI_M_FUNCTION = 32,
	OPENAI_M_CONTENT_TOO = 64, /* the text of the reasoning stands in reasoning_content as well */
	OPENAI_M_REASONING_TOO = 128 /* in reasoning */
};
/* ir_block.form: where in the message it stood */
enum {
	OPENAI_B_PART = 1, /* in the list of the content */
	OPENAI_B_CONTENT = 2, /* reasoning_content */
	OPENAI_B_REASONING = 3, /* reasoning */
	OPENAI_B_THINKING = 4, /* thinking_blocks */
	OPENAI_B_DETAILS = 5, /* reasoning_details */
	OPENAI_B_FIELD = 6, /* refusal */
	OPENAI_B_FUNCTION = 7, /* function_call */
	OPENAI_B_SIGNED = 16 /* bit: extra_content.google.thought_signature */
};
/* ir_tool.form */
enum { OPENAI_T_FUNCTION = 1, OPENAI_T_UNTYPED = 2 }; /* among "functions"; without a "type" */
/* ir_tool_choice.form */
enum { OPENAI_C_ANY = 1, OPENAI_C_CUSTOM = 2, OPENAI_C_FUNCTION_CALL = 4 };

bool openai_read_messages(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base);
bool openai_read_tools(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base);
bool openai_read_functions(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base);
bool openai_read_tool_choice(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
bool openai_read_function_call(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
bool openai_read_format(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
enum gw_err openai_read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				struct gw_str *param, struct gw_str *why);
/* Reasoning in all the places where vendors and clients put it; of replies and of histories. What was understood is in `took`. */
enum { OPENAI_TOOK_THINKING = 1, OPENAI_TOOK_DETAILS = 2, OPENAI_TOOK_CONTENT = 4, OPENAI_TOOK_REASONING = 8 };
bool openai_read_reasoning(struct gw_arena *a, yyjson_val *message, struct ir_block **out, unsigned *took);
/* The texts of all reasoning blocks, one behind the other. */
struct gw_str openai_reasoning_text(struct gw_arena *a, const struct ir_block *blocks);
/* {"type":"thinking","thinking":[{"text"}]} of Mistral, or a string: its text. */
struct gw_str openai_thinking_text(struct gw_arena *a, yyjson_val *part);
/* extra_content.google.thought_signature or provider_specific_fields.thought_signature of a call; NIL. */
struct gw_str openai_call_signature(const yyjson_val *call);

/* What writers of requests hold together. */
struct openai_write {
	struct gw_json_out w;
	struct gw_arena *a;
	struct ir_request *rq;
	const struct gw_write_opts *o;
	bool is_home; /* from a chat completions body: its own spelling */
	bool is_after_result; /* the last message is a tool's */
	bool is_in_loop; /* the user said nothing more: what comes belongs to the tool loop under way */
	struct gw_str *param, *why;
	enum gw_err err;
};
void openai_write_messages(struct openai_write *x);
void openai_write_tools(struct openai_write *x);
void openai_refuse(struct openai_write *x, const char *param, const char *why);
/* The name and the id of a call as this provider takes them. */
struct gw_str openai_name(struct openai_write *x, struct gw_str name);
struct gw_str openai_call_id(struct openai_write *x, struct gw_str id);
/* Something from another dialect that cannot be said here; told by a name that its client knows. */
void openai_drop(struct openai_write *x, const char *name);
enum gw_err openai_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				 struct gw_buf *body, struct gw_str *param, struct gw_str *why);

enum gw_err openai_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			      struct ir_reply *out);
enum gw_err openai_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body);
/* finish_reason into the IR's; *status is set when the word means that the provider failed. */
enum ir_finish openai_finish(struct gw_str word, int *status);
struct gw_str openai_finish_word(enum ir_finish f);
bool openai_read_annotations(struct gw_arena *a, yyjson_val *list, struct ir_block *to);
/* Members of a reply or chunk that are the vendor's own (search_results, system_fingerprint): kept for clients of the same dialect. */
bool openai_read_extra(struct gw_arena *a, const yyjson_val *root, struct ir_extra **to);
bool openai_read_citations(struct gw_arena *a, const yyjson_val *root, struct ir_block *to);
void openai_write_annotation(struct gw_json_out *w, const struct ir_citation *c, int64_t index);
void openai_write_thinking(struct gw_json_out *w, const struct ir_block *b, struct gw_str text, int64_t index);
void openai_write_image(struct gw_json_out *w, const struct ir_media *m, int64_t index);

enum gw_err openai_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
enum gw_err openai_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
enum gw_err openai_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);
enum { OPENAI_READER_BYTES = 512, OPENAI_WRITER_BYTES = 512 }; /* of what the two remember; their files check it */
