#pragma once
#include "core/dialect/ir.h"

/* Texts of the IR that dialects spell differently. Results are in the arena or views of what was given; .p NULL: the arena is full. */

/* The arguments as an object: as they are when they are the text of one; {} when empty or null; else {"arguments": "<text>"}, so that
 * nothing is lost. *was_object tells. The view may be `args` itself. .p NULL: arena full. */
struct gw_str ir_args_object(struct gw_arena *a, struct gw_str args, bool *was_object);
/* Text blocks of a list as one text, `between` them; in the arena. */
struct gw_str ir_text_of(struct gw_arena *a, const struct ir_block *blocks, struct gw_str between);
/* "data:image/png;base64,AAAA" into mime and data; false when it is none. */
bool ir_data_url(struct gw_str url, struct gw_str *mime, struct gw_str *data);
/* A tool name that fits [a-zA-Z0-9_-]{1,max} (max <= 128): itself, or made fit with a hash at its end, the same for the same name. Writers
 * that change names must let the reply's reader know: ir_carry. */
struct gw_str ir_tool_name(struct gw_arena *a, struct gw_str name, size_t max);
/* Deterministic text of `n` letters and digits after `prefix`, from a seed and a counter: ids of what has none on the wire. */
struct gw_str ir_make_id(struct gw_arena *a, const char *prefix, uint64_t seed, uint64_t counter, size_t n);
/* What a model is told when JSON was asked for and the provider has no such mode. */
#define IR_JSON_ONLY GW_LIT("Answer with one JSON object and nothing else: no other words, no code fence.")
/* A JSON string "data:image/png;base64,AAAA"; bytes that have no place in base64 are left out. */
struct gw_json_out;
void ir_write_data_url(struct gw_json_out *w, struct gw_str mime, struct gw_str data);
