#pragma once
#include "lib/json.h"

/* YAML 1.2 core schema (no yes/no booleans) read by libyaml events into a yyjson tree, so that one validator serves
 * both. Several documents in one text become the items of an array when `is_stream`. Duplicate keys, anchors/aliases,
 * custom tags and non-string keys are refused; depth and node limits as in lib/json.h. */
GW_MUST enum gw_err gw_yaml_read(struct gw_str text, bool is_stream, yyjson_doc **out, struct gw_json_fault *fault);
/* As above, and remembers where each mapping key and value stands: *pos maps a JSON pointer ("/0/spec/name") to its
 * line and column. Free with gw_yaml_pos_free. */
struct gw_yaml_pos;
GW_MUST enum gw_err gw_yaml_read_pos(struct gw_str text, bool is_stream, yyjson_doc **out, struct gw_yaml_pos **pos,
				     struct gw_json_fault *fault);
bool gw_yaml_where(const struct gw_yaml_pos *pos, struct gw_str pointer, uint32_t *line, uint32_t *column);
void gw_yaml_pos_free(struct gw_yaml_pos *pos);
/* A tree as YAML text: block style, keys in order, strings quoted only where needed. */
void gw_yaml_write(struct gw_buf *b, const yyjson_val *v);
