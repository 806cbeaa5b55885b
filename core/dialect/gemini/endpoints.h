#pragma once
#include "core/dialect/dialect.h"

/* What Gemini clients ask for beside chat: token counts and the list of models. */

/* A countTokens body: {contents, ...} or {generateContentRequest:{model, contents, ...}}. As gw_gemini.read_request. */
GW_MUST enum gw_err gw_gemini_count_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
					 struct gw_str *param, struct gw_str *why);
/* The request for a provider: Vertex AI takes the plain body, the Generative Language API wants it wrapped, with the model inside. */
GW_MUST enum gw_err gw_gemini_count_write(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
					  bool is_vertex, struct gw_buf *body, struct gw_str *param,
					  struct gw_str *why);
/* Its path: as gw_gemini.write_path, with :countTokens. */
void gw_gemini_count_path(const struct gw_path_in *in, struct gw_buf *out);
/* The provider's reply; false: it tells no number. */
bool gw_gemini_count_reply_read(const yyjson_val *root, uint64_t *tokens);
void gw_gemini_count_reply_write(uint64_t tokens, struct gw_buf *out);

/* {"models":[...]}: begin, one call a model, end. One model alone: its call between gw_jw_init of w and nothing. */
struct gw_gemini_models {
	struct gw_json_out w;
};
void gw_gemini_models_begin(struct gw_gemini_models *m, struct gw_buf *out);
void gw_gemini_models_add(struct gw_gemini_models *m, struct gw_str name, struct gw_str description);
void gw_gemini_models_end(struct gw_gemini_models *m);
