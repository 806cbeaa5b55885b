/* Embeddings requests: read in OpenAI's shape, written in each provider's (embed.h). */
#include "core/dialect/embed.h"

const struct embed_limits embed_limits[EMBED_COUNT] = {
#define GW_EMBED(ID, name, max_batch, min_dimensions, max_dimensions, doc)                                             \
	[EMBED_##ID] = { #name, max_batch, min_dimensions, max_dimensions },
#include "schemas/embeddings.def"
#undef GW_EMBED
};
enum { MAX_INPUTS = 2048 };

static yyjson_val *val(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}
static yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return yyjson_obj_get(val(obj), key);
}

enum embed_shape embed_shape_find(struct gw_str name)
{
	unsigned i = 0;

	while (i < EMBED_COUNT && !gw_str_eq(gw_str_z(embed_limits[i].name), name))
		i++;
	return (enum embed_shape)i;
}

static enum gw_err bad(struct gw_str *param, struct gw_str *why, enum gw_err e, const char *field, const char *words)
{
	*param = gw_str_z(field);
	*why = gw_str_z(words);
	return e;
}

/* ---- reading ---- */

static bool is_tokens(yyjson_val *v)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(v);

	if (!yyjson_arr_size(v))
		return false;
	for (yyjson_val *t; (t = yyjson_arr_iter_next(&it));) {
		if (!yyjson_is_uint(t))
			return false;
	}
	return true;
}

/* "text", ["text", ...], [1, 2], [[1, 2], ...] */
static enum gw_err input_read(struct gw_arena *a, yyjson_val *v, struct embed_request *out)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(v);
	bool is_texts = yyjson_is_str(v) || yyjson_is_str(yyjson_arr_get_first(v));
	uint32_t i = 0;

	out->raw = v;
	out->n = yyjson_is_str(v) || is_tokens(v) ? 1 : (uint32_t)yyjson_arr_size(v);
	if (out->n == 0 || out->n > MAX_INPUTS)
		return GW_E_INVALID;
	if (is_texts) {
		out->texts = GW_NEW_N(a, struct gw_str, out->n);
		if (!out->texts)
			return GW_E_NOMEM;
	}
	if (yyjson_is_str(v)) {
		out->texts[0] = gw_json_str(v);
		return out->texts[0].n ? GW_OK : GW_E_INVALID;
	}
	if (is_tokens(v))
		return GW_OK;
	for (yyjson_val *one; (one = yyjson_arr_iter_next(&it)); i++) {
		if (is_texts ? !yyjson_is_str(one) || !yyjson_get_len(one) : !is_tokens(one))
			return GW_E_INVALID;
		if (is_texts)
			out->texts[i] = gw_json_str(one);
	}
	return GW_OK;
}

static enum gw_err member_read(struct embed_request *out, yyjson_val *key, yyjson_val *v, struct gw_str *param,
			       struct gw_str *why)
{
	if (yyjson_is_null(v) || yyjson_equals_str(key, "model") || yyjson_equals_str(key, "input"))
		return GW_OK;
	if (yyjson_equals_str(key, "dimensions")) {
		if (!yyjson_is_uint(v) || !yyjson_get_uint(v) || yyjson_get_uint(v) > 65536)
			return bad(param, why, GW_E_INVALID, "dimensions", "it must be a whole number of at least 1");
		out->dimensions = (struct ir_i64){ true, yyjson_get_sint(v) };
	} else if (yyjson_equals_str(key, "encoding_format")) {
		out->wants_base64 = yyjson_equals_str(v, "base64");
		if (!out->wants_base64 && !yyjson_equals_str(v, "float"))
			return bad(param, why, GW_E_INVALID, "encoding_format", "it must be \"float\" or \"base64\"");
	} else if (yyjson_equals_str(key, "user") || yyjson_equals_str(key, "input_type")) {
		if (!yyjson_is_str(v))
			return bad(param, why, GW_E_INVALID, yyjson_get_str(key), "it must be a string");
		*(yyjson_equals_str(key, "user") ? &out->user : &out->input_type) = gw_json_str(v);
	} else {
		ir_drop_name(&out->notes, gw_json_str(key));
	}
	return GW_OK;
}

enum gw_err embed_request_read(struct gw_arena *a, const yyjson_val *root, struct embed_request *out,
			       struct gw_str *param, struct gw_str *why)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(val(root));
	yyjson_val *model = get(root, "model"), *input = get(root, "input");
	enum gw_err e;

	*out = (struct embed_request){ .notes.arena = a };
	if (!yyjson_is_obj(val(root)))
		return bad(param, why, GW_E_INVALID, "", "the body must be a JSON object");
	if (model && (!yyjson_is_str(model) || !yyjson_get_len(model)))
		return bad(param, why, GW_E_INVALID, "model", "it must be the name of a model");
	out->model = model ? gw_json_str(model) : GW_NIL;
	if (!input)
		return bad(param, why, GW_E_MISSING, "input", "a text, or a list of texts, is needed");
	e = input_read(a, input, out);
	if (e == GW_E_INVALID)
		return bad(param, why, e, "input",
			   "it must be a text, a list of up to 2048 texts that are not empty, or tokens");
	for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));)
		e = member_read(out, key, yyjson_obj_iter_get_val(key), param, why);
	return e ? e : out->notes.is_drop_lost ? GW_E_NOMEM : GW_OK;
}

/* ---- writing ---- */

/* What the text is for, in the words of those who ask. The first column holds what clients may say beside the others. */
static const struct {
	const char *word, *cohere, *voyage, *gemini, *jina;
} uses[] = {
	{ "document", "search_document", "document", "RETRIEVAL_DOCUMENT", "retrieval.passage" },
	{ "query", "search_query", "query", "RETRIEVAL_QUERY", "retrieval.query" },
	{ "classification", "classification", NULL, "CLASSIFICATION", "classification" },
	{ "clustering", "clustering", NULL, "CLUSTERING", "separation" },
	{ "similarity", NULL, NULL, "SEMANTIC_SIMILARITY", "text-matching" },
	{ "question_answering", NULL, NULL, "QUESTION_ANSWERING", NULL },
	{ "fact_verification", NULL, NULL, "FACT_VERIFICATION", NULL },
	{ "code_query", NULL, NULL, "CODE_RETRIEVAL_QUERY", NULL },
};
enum { N_USES = sizeof(uses) / sizeof(uses[0]) };

static int use_of(struct gw_str word)
{
	for (int i = 0; word.n && i < N_USES; i++) {
		if (gw_str_eq(word, gw_str_z(uses[i].word)) || gw_str_eq(word, gw_str_z(uses[i].cohere)) ||
		    gw_str_eq(word, gw_str_z(uses[i].gemini)) || gw_str_eq(word, gw_str_z(uses[i].jina)))
			return i;
	}
	return -1;
}

struct part {
	struct embed_request *in;
	struct gw_str model;
	uint32_t first, n;
	struct gw_json_out w;
};

static void texts_write(struct part *p, const char *key)
{
	gw_jw_key(&p->w, gw_str_z(key));
	gw_jw_arr(&p->w);
	for (uint32_t i = 0; i < p->n; i++)
		gw_jw_str(&p->w, p->in->texts[p->first + i]);
	gw_jw_end_arr(&p->w);
}

static void dimensions_write(struct part *p, const char *key)
{
	if (p->in->dimensions.is_set)
		gw_jw_ki64(&p->w, key, p->in->dimensions.v);
}

/* input_type under the provider's name for it and in its word; dropped when it has none. */
static void use_write(struct part *p, const char *key, const char *word)
{
	if (key && word)
		gw_jw_kstr(&p->w, key, gw_str_z(word));
	else if (p->in->input_type.n)
		ir_drop(&p->in->notes, "input_type");
}

static void openai_write(struct part *p, enum embed_shape s)
{
	struct embed_request *in = p->in;
	int use = use_of(in->input_type);
	bool is_renamed = s == EMBED_VOYAGE || s == EMBED_MISTRAL;

	gw_jw_kstr(&p->w, "model", p->model);
	if (in->texts) {
		texts_write(p, "input");
	} else { /* tokens: one list, or a list of lists */
		gw_jw_key(&p->w, GW_LIT("input"));
		gw_jw_val(&p->w, in->raw);
	}
	gw_jw_kstr(&p->w, s == EMBED_JINA ? "embedding_type" : "encoding_format", GW_LIT("base64"));
	dimensions_write(p, is_renamed ? "output_dimension" : "dimensions");
	use_write(p,
		  s == EMBED_VOYAGE ? "input_type"
		  : s == EMBED_JINA ? "task"
				    : NULL,
		  use < 0             ? NULL
		  : s == EMBED_VOYAGE ? uses[use].voyage
				      : uses[use].jina);
	if (in->user.n && s == EMBED_OPENAI)
		gw_jw_kstr(&p->w, "user", in->user);
}

static void cohere_write(struct part *p, bool has_model)
{
	int use = use_of(p->in->input_type);
	const char *word = use >= 0 ? uses[use].cohere : NULL;

	if (has_model)
		gw_jw_kstr(&p->w, "model", p->model);
	texts_write(p, "texts");
	gw_jw_kstr(&p->w, "input_type", gw_str_z(word ? word : uses[0].cohere)); /* required */
	if (!word && p->in->input_type.n)
		ir_drop(&p->in->notes, "input_type");
	gw_jw_key(&p->w, GW_LIT("embedding_types"));
	gw_jw_raw(&p->w, GW_LIT("[\"float\"]"));
	dimensions_write(p, "output_dimension");
}

static void gemini_write(struct part *p)
{
	struct gw_arena *a = p->in->notes.arena;
	int use = use_of(p->in->input_type);

	if (use < 0 && p->in->input_type.n)
		ir_drop(&p->in->notes, "input_type");
	gw_jw_key(&p->w, GW_LIT("requests"));
	gw_jw_arr(&p->w);
	for (uint32_t i = 0; i < p->n; i++) {
		gw_jw_obj(&p->w);
		gw_jw_kstr(&p->w, "model", gw_arena_printf(a, "models/%.*s", GW_FMT(p->model)));
		gw_jw_key(&p->w, GW_LIT("content"));
		gw_jw_obj(&p->w);
		gw_jw_key(&p->w, GW_LIT("parts"));
		gw_jw_arr(&p->w);
		gw_jw_obj(&p->w);
		gw_jw_kstr(&p->w, "text", p->in->texts[p->first + i]);
		gw_jw_end_obj(&p->w);
		gw_jw_end_arr(&p->w);
		gw_jw_end_obj(&p->w);
		dimensions_write(p, "outputDimensionality");
		if (use >= 0)
			gw_jw_kstr(&p->w, "taskType", gw_str_z(uses[use].gemini));
		if (p->in->titles && p->in->titles[p->first + i].n)
			gw_jw_kstr(&p->w, "title", p->in->titles[p->first + i]);
		gw_jw_end_obj(&p->w);
	}
	gw_jw_end_arr(&p->w);
}

/* instances, and parameters for all of them. */
static void vertex_write(struct part *p, bool is_multimodal)
{
	int use = is_multimodal ? -1 : use_of(p->in->input_type);

	if (use < 0 && p->in->input_type.n)
		ir_drop(&p->in->notes, "input_type");
	gw_jw_key(&p->w, GW_LIT("instances"));
	gw_jw_arr(&p->w);
	for (uint32_t i = 0; i < p->n; i++) {
		gw_jw_obj(&p->w);
		gw_jw_kstr(&p->w, is_multimodal ? "text" : "content", p->in->texts[p->first + i]);
		if (use >= 0)
			gw_jw_kstr(&p->w, "task_type", gw_str_z(uses[use].gemini));
		if (!is_multimodal && p->in->titles && p->in->titles[p->first + i].n)
			gw_jw_kstr(&p->w, "title", p->in->titles[p->first + i]);
		gw_jw_end_obj(&p->w);
	}
	gw_jw_end_arr(&p->w);
	if (!p->in->dimensions.is_set)
		return;
	gw_jw_key(&p->w, GW_LIT("parameters"));
	gw_jw_obj(&p->w);
	dimensions_write(p, is_multimodal ? "dimension" : "outputDimensionality");
	gw_jw_end_obj(&p->w);
}

static bool has_titles(enum embed_shape s)
{
	return s == EMBED_GEMINI || s == EMBED_VERTEX || s == EMBED_VERTEX_GEMINI;
}

static void plain_write(struct part *p, enum embed_shape s)
{
	if (p->in->input_type.n)
		ir_drop(&p->in->notes, "input_type");
	if (s == EMBED_TITAN) {
		gw_jw_kstr(&p->w, "inputText", p->in->texts[p->first]);
	} else {
		gw_jw_kstr(&p->w, "model", p->model);
		texts_write(p, "input");
	}
	dimensions_write(p, "dimensions");
}

enum gw_err embed_request_write(struct embed_request *in, enum embed_shape s, struct gw_str model, uint32_t first,
				uint32_t n, struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	const struct embed_limits *l = &embed_limits[s];
	struct part p = { .in = in, .model = model, .first = first, .n = n };

	GW_REQUIRE(n > 0 && n <= l->max_batch && first + n <= in->n);
	if (!in->texts && s != EMBED_OPENAI)
		return bad(param, why, GW_E_INVALID, "input", "the provider takes texts, not tokens");
	if (in->dimensions.is_set && (in->dimensions.v < l->min_dimensions || in->dimensions.v > l->max_dimensions))
		return bad(param, why, GW_E_INVALID, "dimensions", "the provider offers no vectors of this length");
	if (in->user.n && s != EMBED_OPENAI)
		ir_drop(&in->notes, "user");
	if (in->titles && !has_titles(s))
		ir_drop(&in->notes, "title");
	gw_jw_init(&p.w, body);
	gw_jw_obj(&p.w);
	if (s == EMBED_OPENAI || s == EMBED_VOYAGE || s == EMBED_MISTRAL || s == EMBED_JINA)
		openai_write(&p, s);
	else if (s == EMBED_VERTEX || s == EMBED_VERTEX_GEMINI || s == EMBED_VERTEX_MULTIMODAL)
		vertex_write(&p, s == EMBED_VERTEX_MULTIMODAL);
	else if (s == EMBED_COHERE || s == EMBED_BEDROCK_COHERE)
		cohere_write(&p, s == EMBED_COHERE);
	else if (s == EMBED_GEMINI)
		gemini_write(&p);
	else
		plain_write(&p, s);
	gw_jw_end_obj(&p.w);
	return in->notes.is_drop_lost || in->notes.arena->is_full ? GW_E_NOMEM : body->err;
}

/* A model's name in a path: what is no letter, digit or one of "-._~" as %XX. */
static void put_escaped(struct gw_buf *out, struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '.' || c == '_' || c == '~')
			gw_buf_putc(out, c);
		else
			gw_buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

void embed_path_write(enum embed_shape s, struct gw_str base, struct gw_str model, struct gw_buf *out)
{
	static const struct {
		const char *before, *after;
	} paths[EMBED_COUNT] = { [EMBED_OPENAI] = { "/embeddings", NULL },
				 [EMBED_VOYAGE] = { "/embeddings", NULL },
				 [EMBED_MISTRAL] = { "/embeddings", NULL },
				 [EMBED_JINA] = { "/embeddings", NULL },
				 [EMBED_COHERE] = { "/v2/embed", NULL },
				 [EMBED_OLLAMA] = { "/api/embed", NULL },
				 [EMBED_GEMINI] = { "/models/", ":batchEmbedContents" },
				 [EMBED_VERTEX] = { "/models/", ":predict" },
				 [EMBED_VERTEX_GEMINI] = { "/models/", ":predict" },
				 [EMBED_VERTEX_MULTIMODAL] = { "/models/", ":predict" },
				 [EMBED_TITAN] = { "/model/", "/invoke" },
				 [EMBED_BEDROCK_COHERE] = { "/model/", "/invoke" } };
	struct gw_str v1 = GW_LIT("/v1");

	/* Ollama's own API stands beside the one that is like OpenAI's */
	if (s == EMBED_OLLAMA && base.n >= v1.n && gw_str_eq(gw_str_skip(base, base.n - v1.n), v1))
		base.n -= v1.n;
	gw_buf_puts(out, base);
	gw_buf_puts(out, gw_str_z(paths[s].before));
	if (!paths[s].after)
		return;
	put_escaped(out, model);
	gw_buf_puts(out, gw_str_z(paths[s].after));
}
