#pragma once
#include "core/dialect/dialect.h"

/* CountTokens of Bedrock: {"input":{"converse":{...}}}. */
GW_MUST enum gw_err gw_bedrock_count_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
					  struct gw_str *param, struct gw_str *why);
/* Path: /model/{id}/count-tokens. */
void gw_bedrock_count_path(const struct gw_path_in *in, struct gw_buf *out);
/* The provider's reply; false: it tells no number. */
bool gw_bedrock_count_reply_read(const yyjson_val *root, uint64_t *tokens);
void gw_bedrock_count_reply_write(uint64_t tokens, struct gw_buf *out);
