/* Embeddings as clients of Gemini's API ask for them (embed.h): embedContent has one content, batchEmbedContents a list of such requests. */
#include "core/dialect/embed.h"

enum { MAX_REQUESTS = 2048 };

static yyjson_val *val(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static enum gw_err bad(struct gw_str *param, struct gw_str *why, const char *field, const char *words)
{
	*param = gw_str_z(field);
	*why = gw_str_z(words);
	return GW_E_INVALID;
}

/* {"parts": [{"text": ...}, ...]}: one text. NIL: there is none, or something else in it. */
static struct gw_str content_text(struct gw_arena *a, yyjson_val *content)
{
	yyjson_val *parts = yyjson_obj_get(content, "parts"), *part;
	yyjson_arr_iter it = yyjson_arr_iter_with(parts);
	struct gw_str text = GW_NIL;

	while ((part = yyjson_arr_iter_next(&it))) {
		yyjson_val *v = yyjson_obj_get(part, "text");

		if (!yyjson_is_str(v) || yyjson_obj_size(part) != 1)
			return GW_NIL;
		text = text.n ? gw_arena_printf(a, "%.*s%.*s", GW_FMT(text), GW_FMT(gw_json_str(v))) : gw_json_str(v);
	}
	return text;
}

/* What is said for one text must be the same for all: providers take one word for a call. */
static enum gw_err take_task(struct embed_request *out, yyjson_val *v, bool is_first, struct gw_str *param,
			     struct gw_str *why)
{
	struct gw_str task = gw_json_str(v);

	if (v && !yyjson_is_str(v))
		return bad(param, why, "taskType", "it must be a string");
	if (gw_str_eq(task, GW_LIT("TASK_TYPE_UNSPECIFIED")))
		task = GW_NIL;
	if (!is_first && !gw_str_eq(task, out->input_type))
		return bad(param, why, "requests", "all of them must have the same taskType");
	out->input_type = task;
	return GW_OK;
}

static enum gw_err take_dimensions(struct embed_request *out, yyjson_val *v, bool is_first, struct gw_str *param,
				   struct gw_str *why)
{
	if (v && (!yyjson_is_uint(v) || !yyjson_get_uint(v) || yyjson_get_uint(v) > 65536))
		return bad(param, why, "outputDimensionality", "it must be a whole number of at least 1");
	struct ir_i64 n = { v != NULL, v ? yyjson_get_sint(v) : 0 };

	if (!is_first && (n.is_set != out->dimensions.is_set || n.v != out->dimensions.v))
		return bad(param, why, "requests", "all of them must have the same outputDimensionality");
	out->dimensions = n;
	return GW_OK;
}

static enum gw_err take_title(struct gw_arena *a, struct embed_request *out, uint32_t i, yyjson_val *v,
			      struct gw_str *param, struct gw_str *why)
{
	if (!v)
		return GW_OK;
	if (!yyjson_is_str(v))
		return bad(param, why, "title", "it must be a string");
	if (!out->titles) {
		out->titles = GW_NEW_N(a, struct gw_str, out->n);
		if (!out->titles)
			return GW_E_NOMEM;
		memset(out->titles, 0, out->n * sizeof(*out->titles));
	}
	out->titles[i] = gw_json_str(v);
	return GW_OK;
}

/* Members as the API names them, and with an underline as some clients write them. */
static yyjson_val *either(yyjson_val *obj, const char *name, const char *other)
{
	yyjson_val *v = yyjson_obj_get(obj, name);

	v = v ? v : yyjson_obj_get(obj, other);
	return yyjson_is_null(v) ? NULL : v;
}

static void note_others(struct embed_request *out, yyjson_val *one)
{
	static const char *const known[] = {
		"model", "content", "taskType", "task_type", "title", "outputDimensionality", "output_dimensionality"
	};
	yyjson_obj_iter it = yyjson_obj_iter_with(one);

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		bool is_known = yyjson_is_null(yyjson_obj_iter_get_val(key));

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known |= yyjson_equals_str(key, known[i]);
		if (!is_known)
			ir_drop_name(&out->notes, gw_json_str(key));
	}
}

static enum gw_err one_read(struct gw_arena *a, struct embed_request *out, uint32_t i, yyjson_val *one,
			    struct gw_str *param, struct gw_str *why)
{
	enum gw_err e;

	out->texts[i] = content_text(a, yyjson_obj_get(one, "content"));
	if (!out->texts[i].n)
		return bad(param, why, "content",
			   "it must have parts with text, and nothing but text, that is not empty");
	e = take_task(out, either(one, "taskType", "task_type"), i == 0, param, why);
	if (!e)
		e = take_dimensions(out, either(one, "outputDimensionality", "output_dimensionality"), i == 0, param,
				    why);
	if (!e)
		e = take_title(a, out, i, either(one, "title", "title"), param, why);
	note_others(out, one);
	return e;
}

enum gw_err embed_gemini_read(struct gw_arena *a, const yyjson_val *root, bool is_batch, struct embed_request *out,
			      struct gw_str *param, struct gw_str *why)
{
	yyjson_val *requests = is_batch ? yyjson_obj_get(val(root), "requests") : NULL;
	yyjson_arr_iter it = yyjson_arr_iter_with(requests);
	enum gw_err e = GW_OK;
	uint32_t i = 0;

	*out = (struct embed_request){ .notes.arena = a, .n = is_batch ? (uint32_t)yyjson_arr_size(requests) : 1 };
	if (!yyjson_is_obj(val(root)))
		return bad(param, why, "", "the body must be a JSON object");
	if (out->n == 0 || out->n > MAX_REQUESTS)
		return bad(param, why, "requests", "it must be a list of 1 to 2048 requests");
	out->texts = GW_NEW_N(a, struct gw_str, out->n);
	if (!out->texts)
		return GW_E_NOMEM;
	if (!is_batch)
		return one_read(a, out, 0, val(root), param, why);
	for (yyjson_val *one; !e && (one = yyjson_arr_iter_next(&it)); i++)
		e = one_read(a, out, i, one, param, why);
	return e ? e : out->notes.is_drop_lost ? GW_E_NOMEM : GW_OK;
}

static void vector_write(struct gw_json_out *w, const struct embed_vector *v)
{
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("values"));
	gw_jw_arr(w);
	for (uint32_t k = 0; k < v->n; k++)
		embed_number_write(w, v->v[k]);
	gw_jw_end_arr(w);
	gw_jw_end_obj(w);
}

enum gw_err embed_gemini_reply(const struct embed_reply *in, bool is_batch, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	if (is_batch) {
		gw_jw_key(&w, GW_LIT("embeddings"));
		gw_jw_arr(&w);
		for (uint32_t i = 0; i < in->n; i++)
			vector_write(&w, &in->vectors[i]);
		gw_jw_end_arr(&w);
	} else {
		gw_jw_key(&w, GW_LIT("embedding"));
		vector_write(&w, &in->vectors[0]);
	}
	if (in->usage.is_known) {
		gw_jw_key(&w, GW_LIT("usageMetadata"));
		gw_jw_obj(&w);
		gw_jw_ku64(&w, "promptTokenCount", in->usage.input);
		gw_jw_end_obj(&w);
	}
	gw_jw_end_obj(&w);
	return out->err;
}
