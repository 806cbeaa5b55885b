#pragma once
#include "core/endpoint.h"
#include "core/passthru.h"
#include "core/usage.h"

/* The other endpoints of the OpenAI dialect: what the gateway must know of a request is little (model, stream, what it will be
 * billed by), and every byte but the model's name passes as it came. Which endpoint is which: schemas/endpoints.def. */

/* What a request is billed by when tokens are not told. */
struct gw_api_units {
	struct gw_str size, quality; /* of pictures, as the client asked for them; views */
	const char *unit; /* "image", "second", "character", or NULL */
	uint64_t n;
	uint64_t pixels; /* of all images together, where the request says how large they are */
};
/* A JSON body. out->model is the fallback when the body has none and the row allows that (model_span NONE then). param and why as in
 * gw_chat_read. An empty body is allowed where nothing is needed of it. */
GW_MUST enum gw_err gw_api_read(struct gw_arena *a, const struct gw_endpoint_info *ep, struct gw_str body,
				struct gw_str path_model /* told by the URL; NIL */, struct gw_chat_request *out,
				struct gw_api_units *units, struct gw_str *param, struct gw_str *why);
/* The body to send: model replaced or put in, for completions streams the usage asked for. <= 8 pieces. upstream_model NIL: unchanged. */
GW_MUST enum gw_err gw_api_splice(struct gw_arena *a, const struct gw_endpoint_info *ep, struct gw_str body,
				  const struct gw_chat_request *rq, struct gw_str upstream_model,
				  struct gw_str pieces[8], uint32_t *n_pieces);
/* As gw_chat_event, for streams of the other endpoints. Typed events (responses, images, audio) pass as they are; the one that ends
 * the answer has kind DONE, one that tells a failure has kind ERROR. */
GW_MUST enum gw_err gw_api_event(enum gw_ep_usage usage, const struct gw_sse_event *ev, bool wants_usage,
				 struct gw_scan_value *values, struct gw_buf *scratch, struct gw_chat_event *out);
/* Where a whole reply of this kind tells its usage; places as in core/usage.h. */
const struct gw_scan_node *gw_api_usage_tree(enum gw_ep_usage usage);
/* Seconds of sound that a MEDIA reply told; 0 when it did not. */
uint64_t gw_api_seconds(const struct gw_scan_value values[GW_UP_PATHS]);

/* A path below /providers/{name}/, still encoded: may it be put behind a provider's base URL? Refused is what some reader of URLs takes for
 * something else: dot segments however they are spelt, empty segments, encoded slashes, backslashes, percent signs, control bytes. */
bool gw_api_path_is_plain(struct gw_str path);
/* The query without one of its parameters, as pieces joined in the arena; NIL when nothing is left. */
struct gw_str gw_api_query_without(struct gw_arena *a, struct gw_str query, struct gw_str name);
