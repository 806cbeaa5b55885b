/* Vectors: read from each provider's reply, written as OpenAI's list (embed.h). */
#include "core/dialect/embed.h"

#include <math.h>
#include <stdio.h>
#include "lib/text.h"

enum { MAX_LENGTH = 65536 };

static yyjson_val *val(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}
static yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return yyjson_obj_get(val(obj), key);
}

enum gw_err embed_reply_init(struct gw_arena *a, uint32_t n, struct embed_reply *out)
{
	*out = (struct embed_reply){ .vectors = GW_NEW_N(a, struct embed_vector, n), .n = n };
	return out->vectors ? GW_OK : GW_E_NOMEM;
}

/* ---- reading ---- */

static enum gw_err numbers_read(struct gw_arena *a, yyjson_val *v, struct embed_vector *out)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(v);
	size_t n = yyjson_arr_size(v), i = 0;
	double *d;

	if (!n || n > MAX_LENGTH)
		return GW_E_UP_GARBLED;
	d = GW_NEW_N(a, double, n);
	if (!d)
		return GW_E_NOMEM;
	for (yyjson_val *x; (x = yyjson_arr_iter_next(&it));) {
		if (!yyjson_is_num(x))
			return GW_E_UP_GARBLED;
		d[i++] = yyjson_get_num(x);
	}
	*out = (struct embed_vector){ d, (uint32_t)n };
	return GW_OK;
}

static enum gw_err base64_read(struct gw_arena *a, struct gw_str text, struct embed_vector *out)
{
	enum gw_err e = GW_E_UP_GARBLED;
	struct gw_buf b;
	size_t n;

	gw_buf_init(&b, 4 * MAX_LENGTH);
	if (gw_b64_read(&b, text) && b.n && b.n % 4 == 0) {
		double *d = GW_NEW_N(a, double, n = b.n / 4);

		e = d ? GW_OK : GW_E_NOMEM;
		for (size_t i = 0; d && i < n; i++) {
			const unsigned char *p = (const unsigned char *)b.p + 4 * i;
			uint32_t bits =
			    (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
			float f;

			memcpy(&f, &bits, sizeof(f));
			d[i] = (double)f;
			if (!isfinite(f))
				e = GW_E_UP_GARBLED;
		}
		if (!e)
			*out = (struct embed_vector){ d, (uint32_t)n };
	}
	gw_buf_done(&b);
	return e;
}

static enum gw_err vector_read(struct gw_arena *a, yyjson_val *v, struct embed_vector *out)
{
	if (yyjson_is_str(v))
		return base64_read(a, gw_json_str(v), out);
	return yyjson_is_arr(v) ? numbers_read(a, v, out) : GW_E_UP_GARBLED;
}

static bool is_like_openai(enum embed_shape s)
{
	return s == EMBED_OPENAI || s == EMBED_VOYAGE || s == EMBED_MISTRAL || s == EMBED_JINA;
}

static bool is_vertex(enum embed_shape s)
{
	return s == EMBED_VERTEX || s == EMBED_VERTEX_GEMINI || s == EMBED_VERTEX_MULTIMODAL;
}

/* Where the list stands. */
static yyjson_val *list_of(const yyjson_val *root, enum embed_shape s)
{
	yyjson_val *v = get(root, is_like_openai(s) ? "data" : is_vertex(s) ? "predictions" : "embeddings");

	return (s == EMBED_COHERE || s == EMBED_BEDROCK_COHERE) && yyjson_is_obj(v) ? get(v, "float") : v;
}

/* The vector of one of the list's elements. */
static yyjson_val *vector_of(yyjson_val *v, enum embed_shape s)
{
	if (!yyjson_is_obj(v))
		return v;
	if (s == EMBED_VERTEX_MULTIMODAL)
		return get(v, "textEmbedding");
	if (s == EMBED_VERTEX || s == EMBED_VERTEX_GEMINI)
		return get(get(v, "embeddings"), "values");
	return get(v, s == EMBED_GEMINI ? "values" : "embedding");
}

static void tokens_add(struct gw_usage *u, yyjson_val *v)
{
	if (!yyjson_is_num(v) || !(yyjson_get_num(v) >= 0))
		return;
	u->is_known = true;
	u->input += yyjson_get_num(v) > 1e9 ? 1000000000 : (uint64_t)yyjson_get_num(v);
	gw_usage_settle(u);
}

/* Told with each vector. */
static void vertex_usage(const yyjson_val *root, struct gw_usage *u)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(get(root, "predictions"));

	for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));)
		tokens_add(u, get(get(get(v, "embeddings"), "statistics"), "token_count"));
}

static void usage_read(const yyjson_val *root, enum embed_shape s, struct gw_usage *u)
{
	const yyjson_val *usage = get(root, "usage");

	switch (s) {
	case EMBED_OPENAI:
	case EMBED_MISTRAL:
		tokens_add(u, get(usage, "prompt_tokens"));
		break;
	case EMBED_JINA:
	case EMBED_VOYAGE:
		tokens_add(u, get(usage, "total_tokens"));
		break;
	case EMBED_COHERE:
	case EMBED_BEDROCK_COHERE:
		tokens_add(u, get(get(get(root, "meta"), "billed_units"), "input_tokens"));
		break;
	case EMBED_TITAN:
		tokens_add(u, get(root, "inputTextTokenCount"));
		break;
	case EMBED_OLLAMA:
		tokens_add(u, get(root, "prompt_eval_count"));
		break;
	case EMBED_GEMINI:
		tokens_add(u, get(get(root, "usageMetadata"), "promptTokenCount"));
		break;
	case EMBED_VERTEX:
	case EMBED_VERTEX_GEMINI:
		vertex_usage(root, u);
		break;
	case EMBED_VERTEX_MULTIMODAL: /* is billed by character and says nothing */
	case EMBED_COUNT:
		break;
	}
}

enum gw_err embed_reply_read(struct gw_arena *a, const yyjson_val *root, enum embed_shape s, uint32_t first, uint32_t n,
			     struct embed_reply *out)
{
	yyjson_val *list = list_of(root, s);
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	enum gw_err e = GW_OK;
	uint32_t i = 0;

	GW_REQUIRE(first + n <= out->n);
	if (s == EMBED_TITAN)
		e = vector_read(a, get(root, "embedding"), &out->vectors[first]);
	else if (yyjson_arr_size(list) != n)
		return GW_E_UP_GARBLED;
	for (yyjson_val *v; !e && (v = yyjson_arr_iter_next(&it)); i++) {
		yyjson_val *index = get(v, "index");
		uint64_t at = yyjson_is_uint(index) ? yyjson_get_uint(index) : i;

		if (at >= n)
			return GW_E_UP_GARBLED;
		e = vector_read(a, vector_of(v, s), &out->vectors[first + at]);
	}
	if (!e)
		usage_read(root, s, &out->usage);
	for (i = 0; !e && i < n; i++) {
		if (!out->vectors[first + i].v)
			e = GW_E_UP_GARBLED;
	}
	return e;
}

/* ---- writing ---- */

/* What was a float32 needs nine digits at most. */
void embed_number_write(struct gw_json_out *w, double d)
{
	char text[32];
	int n;

	if ((double)(float)d != d) {
		gw_jw_double(w, d);
		return;
	}
	n = snprintf(text, sizeof(text), "%.9g", d);
	gw_jw_raw(w, gw_str(text, (size_t)n));
}

static void base64_write(struct gw_json_out *w, const struct embed_vector *v, struct gw_buf *bytes, struct gw_buf *text)
{
	gw_buf_clear(bytes, SIZE_MAX);
	gw_buf_clear(text, SIZE_MAX);
	for (uint32_t i = 0; i < v->n; i++) {
		float f = (float)v->v[i];
		uint32_t bits;
		unsigned char le[4];

		memcpy(&bits, &f, sizeof(bits));
		for (int k = 0; k < 4; k++)
			le[k] = (unsigned char)(bits >> (8 * k));
		gw_buf_put(bytes, le, 4);
	}
	gw_b64_put(text, bytes->p, bytes->n);
	gw_jw_str(w, gw_buf_view(text));
}

enum gw_err embed_reply_write(const struct embed_reply *in, bool wants_base64, struct gw_str model, struct gw_buf *out)
{
	struct gw_buf bytes, text;
	struct gw_json_out w;

	gw_buf_init(&bytes, 4 * MAX_LENGTH);
	gw_buf_init(&text, 8 * MAX_LENGTH);
	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "object", GW_LIT("list"));
	gw_jw_key(&w, GW_LIT("data"));
	gw_jw_arr(&w);
	for (uint32_t i = 0; i < in->n; i++) {
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "object", GW_LIT("embedding"));
		gw_jw_ku64(&w, "index", i);
		gw_jw_key(&w, GW_LIT("embedding"));
		if (wants_base64) {
			base64_write(&w, &in->vectors[i], &bytes, &text);
		} else {
			gw_jw_arr(&w);
			for (uint32_t k = 0; k < in->vectors[i].n; k++)
				embed_number_write(&w, in->vectors[i].v[k]);
			gw_jw_end_arr(&w);
		}
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	gw_jw_kstr(&w, "model", model);
	gw_jw_key(&w, GW_LIT("usage"));
	gw_jw_obj(&w);
	gw_jw_ku64(&w, "prompt_tokens", in->usage.input);
	gw_jw_ku64(&w, "total_tokens", in->usage.input);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	enum gw_err e = bytes.err ? bytes.err : text.err ? text.err : out->err;

	gw_buf_done(&bytes);
	gw_buf_done(&text);
	return e;
}
