/* Which shape of embeddings calls a provider speaks for a model (embed.h). */
#include "core/dialect/embed.h"
#include "core/provider.h"

static bool has(struct gw_str model, const char *part)
{
	return model.n && memmem(model.p, model.n, part, strlen(part)) != NULL;
}

/* Vertex AI's models differ in what they take of one call. */
static enum embed_shape of_vertex(struct gw_str model)
{
	return has(model, "multimodalembedding") ? EMBED_VERTEX_MULTIMODAL
	       : has(model, "gemini-embedding")  ? EMBED_VERTEX_GEMINI
						 : EMBED_VERTEX;
}

enum embed_shape embed_shape_of(const struct gw_provider *p, struct gw_str model)
{
	static const struct {
		const char *type;
		enum embed_shape shape;
	} at[] = {
#define GW_EMBED_AT(type_, SHAPE) { #type_, EMBED_##SHAPE },
#include "schemas/embeddings.def"
#undef GW_EMBED_AT
	};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		if (strcmp(at[i].type, p->name) == 0)
			return at[i].shape;
	}
	switch (p->dialect_id) {
	case GW_D_OPENAI:
	case GW_D_RESPONSES:
		return EMBED_OPENAI;
	case GW_D_COHERE:
		return EMBED_COHERE;
	case GW_D_GEMINI: /* the quirk is Vertex AI's */
		return p->quirks & GW_Q_GEMINI_FETCHES_URLS ? of_vertex(model) : EMBED_GEMINI;
	case GW_D_BEDROCK:
		return has(model, "titan-embed")    ? EMBED_TITAN
		       : has(model, "cohere.embed") ? EMBED_BEDROCK_COHERE
						    : EMBED_COUNT;
	default:
		return EMBED_COUNT;
	}
}
