#pragma once
#include "core/dialect/ir.h"

/* Tools of the readers of requests: a JSON object is read by a table of its known members; what the table does not know is kept as extra, and a
 * wrong type is told with the place where it stands ("messages[2].content[0].type"). Functions return false when r->err is set. */

struct ir_read {
	struct gw_arena *a;
	struct ir_request *rq;
	struct gw_str *param, *why;
	enum gw_err err;
};
/* Where we are; a chain on the stack. */
struct ir_at {
	const struct ir_at *up;
	struct gw_str key; /* n = 0: an element of a list */
	size_t index;
};
#define IR_AT_KEY(up_, name_)                                                                                          \
	&(struct ir_at)                                                                                                \
	{                                                                                                              \
		.up = (up_), .key = GW_LIT(name_)                                                                      \
	}
#define IR_AT_ITEM(up_, i_)                                                                                            \
	&(struct ir_at)                                                                                                \
	{                                                                                                              \
		.up = (up_), .index = (i_)                                                                             \
	}

typedef bool ir_member_fn(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base);
enum ir_member_kind {
	IR_M_STR, /* struct gw_str */
	IR_M_I64, /* struct ir_i64 */
	IR_M_F64, /* struct ir_f64 */
	IR_M_TRI, /* enum ir_tri */
	IR_M_OBJ, /* const yyjson_val *: an object as it is */
	IR_M_FN, /* as the function says */
	IR_M_SKIP /* read elsewhere */
};
struct ir_member {
	const char *name;
	enum ir_member_kind kind;
	size_t offset; /* in base */
	ir_member_fn *fn;
};

/* GW_E_INVALID at this place. `why` is a whole sentence. */
bool ir_read_bad(struct ir_read *r, const struct ir_at *at, const char *why);
bool ir_read_missing(struct ir_read *r, const struct ir_at *at, const char *why);
bool ir_read_nomem(struct ir_read *r);
bool ir_read_str(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct gw_str *out);
/* Reads all members of obj. A null counts as absent; it is kept as extra, and put back by the dialect it came from. */
bool ir_read_members(struct ir_read *r, const struct ir_at *at, yyjson_val *obj, const struct ir_member *rows,
		     size_t n_rows, void *base, struct ir_extra **extra, enum gw_dialect_id of);
/* The member named by `at` as it is, for the writer of the same dialect. */
bool ir_read_keep(struct ir_read *r, const struct ir_at *at, const yyjson_val *v, struct ir_extra **extra,
		  enum gw_dialect_id of);
/* The member as text; NIL when it is absent or something else. */
struct gw_str ir_get_str(const yyjson_val *obj, struct gw_str key);
/* JSON text of a tree, in the arena; .p NULL when it is full. */
struct gw_str ir_tree_text(struct gw_arena *a, const yyjson_val *v);

/* Usage in the words of OpenAI and its kin ("prompt_tokens" or "input_tokens"), with all that vendors of the dialect do to it. `root` is the
 * reply or chunk: usage, x_groq.usage and service_tier of it are looked at. False: it tells nothing. */
bool ir_usage_read(struct gw_usage *u, const yyjson_val *root);
/* The object that chat completions (false) or responses (true) tell. */
void ir_usage_write(struct gw_json_out *w, const struct gw_usage *u, bool is_responses);
/* The service tier in OpenAI's words: SDKs refuse others. NIL: it has no name there. */
struct gw_str ir_tier_word(struct gw_str tier);
