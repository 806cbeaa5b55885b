#pragma once
#include "lib/buf.h"
#include "lib/json.h"

/* Appends JSON to a gw_buf; commas are placed by itself. Nesting ceiling 64. Sticky error in the buffer. */
struct gw_json_out {
	struct gw_buf *b;
	uint64_t has_item; /* bit per level: a comma is due */
	uint32_t depth;
	bool after_key;
};

void gw_jw_init(struct gw_json_out *w, struct gw_buf *b);
void gw_jw_obj(struct gw_json_out *w);
void gw_jw_end_obj(struct gw_json_out *w);
void gw_jw_arr(struct gw_json_out *w);
void gw_jw_end_arr(struct gw_json_out *w);
void gw_jw_key(struct gw_json_out *w, struct gw_str key);
/* Invalid UTF-8 is replaced by U+FFFD, control bytes are escaped. */
void gw_jw_str(struct gw_json_out *w, struct gw_str s);
void gw_jw_u64(struct gw_json_out *w, uint64_t v);
void gw_jw_i64(struct gw_json_out *w, int64_t v);
void gw_jw_double(struct gw_json_out *w, double v);
void gw_jw_bool(struct gw_json_out *w, bool v);
void gw_jw_null(struct gw_json_out *w);
void gw_jw_raw(struct gw_json_out *w, struct gw_str json); /* trusted JSON text */
void gw_jw_val(struct gw_json_out *w, const yyjson_val *v); /* a whole tree */
/* key + value in one */
void gw_jw_kstr(struct gw_json_out *w, const char *key, struct gw_str s);
void gw_jw_ku64(struct gw_json_out *w, const char *key, uint64_t v);
void gw_jw_ki64(struct gw_json_out *w, const char *key, int64_t v);
void gw_jw_kbool(struct gw_json_out *w, const char *key, bool v);
/* Only the quoted, escaped string, no comma logic. */
void gw_json_quote(struct gw_buf *b, struct gw_str s);
