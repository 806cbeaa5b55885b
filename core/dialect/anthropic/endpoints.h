#pragma once
#include "core/dialect/dialect.h"

/* What the Anthropic API has beside messages: counting tokens, and its list of models. */

/* The body of POST /v1/messages/count_tokens: the prompt without what only concerns the answer. As gw_dialect.write_request. */
GW_MUST enum gw_err anthropic_count_write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *o,
					  struct gw_buf *body, struct gw_str *param, struct gw_str *why);
/* {"input_tokens":N}, both ways. False: the reply does not tell it. */
bool anthropic_count_read(const yyjson_val *root, uint64_t *out);
void anthropic_count_reply(uint64_t input_tokens, struct gw_buf *out);

/* One model of the list; created_s: Unix time, 0 = not known. */
struct anthropic_model {
	struct gw_str id, display_name; /* display_name NIL: the id */
	int64_t created_s;
};
/* The body of GET /v1/models: one page of all. */
void anthropic_models_write(const struct anthropic_model *models, size_t n, struct gw_buf *out);
void anthropic_model_write(const struct anthropic_model *m, struct gw_buf *out);

/* Events of a stream as its writer wrote them (whole ones) in the wrapping of Bedrock's InvokeModelWithResponseStream: an AWS message "chunk"
 * each, whose payload has the event's JSON as base64. */
void anthropic_invoke_chunks(struct gw_str sse, struct gw_buf *out);
