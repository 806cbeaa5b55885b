#pragma once
#include "core/dialect/ir.h"

/* Embeddings and reranking: what clients ask in OpenAI's shape (/v1/embeddings), in Gemini's (embedContent, batchEmbedContents) and in the one that rerankers share (/v1|v2/rerank), and the
 * shapes of providers. Pure. Where a provider takes fewer texts a call than came, the caller makes several calls, each for a part
 * (first, n), and reads all replies into one. */

/* Shapes of providers and what they allow: schemas/embeddings.def. */
enum embed_shape {
#define GW_EMBED(ID, name, max_batch, min_dimensions, max_dimensions, doc) EMBED_##ID,
#include "schemas/embeddings.def"
#undef GW_EMBED
	EMBED_COUNT
};
struct embed_limits {
	const char *name;
	uint32_t max_batch; /* texts a call */
	uint32_t min_dimensions, max_dimensions; /* that may be asked for; 0 = dimensions cannot be chosen */
};
extern const struct embed_limits embed_limits[EMBED_COUNT];
enum embed_shape embed_shape_find(struct gw_str name); /* EMBED_COUNT when there is none */
/* What a provider of this row speaks for this model. EMBED_OPENAI: a client's bytes pass as they are. EMBED_COUNT: it has none. */
struct gw_provider;
enum embed_shape embed_shape_of(const struct gw_provider *p, struct gw_str model);

struct embed_request {
	struct gw_str model;
	struct gw_str *texts; /* NULL when tokens came instead */
	const yyjson_val *raw; /* "input" as it came: lists of tokens go on to those who take them */
	uint32_t n; /* inputs */
	struct ir_i64 dimensions;
	bool wants_base64;
	struct gw_str user, input_type; /* NIL = not told */
	struct gw_str *titles; /* of documents, one per text; NULL = none was told */
	struct ir_request notes; /* what was dropped (ir_drop) */
};
/* One vector per input, in their order. */
struct embed_vector {
	const double *v; /* NULL: the provider left it out */
	uint32_t n;
};
struct embed_reply {
	struct embed_vector *vectors; /* room for n, made by embed_reply_init */
	uint32_t n;
	struct gw_usage usage; /* input; unknown when no call told it. Summed over calls */
};

/* GW_E_INVALID, GW_E_MISSING with *param, *why; GW_E_NOMEM. */
GW_MUST enum gw_err embed_request_read(struct gw_arena *a, const yyjson_val *root, struct embed_request *out,
				       struct gw_str *param, struct gw_str *why);
/* Gemini's: one content, or a list of requests. */
GW_MUST enum gw_err embed_gemini_read(struct gw_arena *a, const yyjson_val *root, bool is_batch,
				      struct embed_request *out, struct gw_str *param, struct gw_str *why);
GW_MUST enum gw_err embed_gemini_reply(const struct embed_reply *in, bool is_batch, struct gw_buf *out);
/* Inputs first .. first + n - 1, n at most the shape's batch. */
GW_MUST enum gw_err embed_request_write(struct embed_request *in, enum embed_shape s, struct gw_str model,
					uint32_t first, uint32_t n, struct gw_buf *body, struct gw_str *param,
					struct gw_str *why);
void embed_path_write(enum embed_shape s, struct gw_str base, struct gw_str model, struct gw_buf *out);
GW_MUST enum gw_err embed_reply_init(struct gw_arena *a, uint32_t n, struct embed_reply *out);
/* The reply to the call for first .. first + n - 1. GW_E_UP_GARBLED: not n vectors. */
GW_MUST enum gw_err embed_reply_read(struct gw_arena *a, const yyjson_val *root, enum embed_shape s, uint32_t first,
				     uint32_t n, struct embed_reply *out);
/* OpenAI's list; base64 (little-endian float32) or numbers, as the client asked. */
void embed_number_write(struct gw_json_out *w, double d);
GW_MUST enum gw_err embed_reply_write(const struct embed_reply *in, bool wants_base64, struct gw_str model,
				      struct gw_buf *out);

/* ---- rerank ---- */

enum rerank_shape { RERANK_COHERE, RERANK_VOYAGE, RERANK_JINA /* also Together */ };
struct rerank_request {
	struct gw_str model, query;
	struct gw_str *documents;
	uint32_t n;
	struct ir_i64 top_n, max_tokens_per_doc;
	bool wants_documents;
	struct ir_request notes;
};
struct rerank_result {
	uint32_t index;
	double score;
};
struct rerank_reply {
	struct gw_str id;
	struct rerank_result *results; /* as the provider ordered them */
	uint32_t n;
	struct gw_usage usage; /* input tokens, or queries (search units) */
};
GW_MUST enum gw_err rerank_request_read(struct gw_arena *a, const yyjson_val *root, struct rerank_request *out,
					struct gw_str *param, struct gw_str *why);
GW_MUST enum gw_err rerank_request_write(struct rerank_request *in, enum rerank_shape s, struct gw_str model,
					 struct gw_buf *body);
void rerank_path_write(enum rerank_shape s, struct gw_str base, struct gw_buf *out);
/* Any of the shapes. n_documents: indices beyond it are garbage. */
GW_MUST enum gw_err rerank_reply_read(struct gw_arena *a, const yyjson_val *root, uint32_t n_documents,
				      struct rerank_reply *out);
GW_MUST enum gw_err rerank_reply_write(const struct rerank_reply *in, const struct rerank_request *rq,
				       struct gw_str model, struct gw_str id, struct gw_buf *out);
