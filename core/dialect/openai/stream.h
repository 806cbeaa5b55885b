#pragma once
#include "core/dialect/openai/openai.h"

/* What the reader of streams remembers, shared by its two files. */

enum { OPENAI_MAX_CHOICES = 128, OPENAI_MAX_CALLS = 128, OPENAI_NO_BLOCK = -1 };

/* How far the JSON text of a call's arguments has come: once it is whole, the call is over as soon as something else begins. */
struct openai_json_pace {
	bool in_string, is_escaped, is_whole;
	uint32_t depth;
};
struct openai_call {
	struct openai_call *next;
	int64_t index; /* the provider's */
	struct gw_str id; /* the provider's; n = 0: none */
	uint32_t block;
	bool is_open;
	struct openai_json_pace pace;
};
struct openai_choice {
	struct openai_choice *next;
	uint32_t index, n_blocks, n_calls;
	int32_t open; /* the block of text or reasoning that is open */
	enum ir_block_kind open_kind;
	int32_t text; /* the last block of text */
	struct openai_call *calls;
	bool is_finished, has_citations;
};
struct openai_reader {
	bool has_started, has_ended;
	struct openai_choice *choices;
	uint32_t n_choices;
	struct gw_usage usage;
	struct gw_str tier;
};

struct openai_run {
	struct gw_stream_state *st;
	struct openai_reader *rd;
	ir_event_fn *fn;
	void *ctx;
	const yyjson_val *root;
};

enum gw_err openai_tell(struct openai_run *x, const struct ir_event *ev);
/* Ends the block of text or reasoning that is open. */
enum gw_err openai_close_open(struct openai_run *x, struct openai_choice *c);
/* Ends the calls whose arguments are whole; all of them when the choice ends. */
enum gw_err openai_close_calls(struct openai_run *x, struct openai_choice *c, bool is_all);
enum gw_err openai_stop_block(struct openai_run *x, struct openai_choice *c, uint32_t block);
/* delta.tool_calls, and delta.function_call of the time before. */
enum gw_err openai_stream_calls(struct openai_run *x, struct openai_choice *c, yyjson_val *list);
enum gw_err openai_stream_old_call(struct openai_run *x, struct openai_choice *c, yyjson_val *fn);
