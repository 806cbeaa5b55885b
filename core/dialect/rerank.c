/* Reranking: one shape with small differences between vendors (embed.h). */
#include "core/dialect/embed.h"

enum { MAX_DOCUMENTS = 10000 };

static yyjson_val *val(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}
static yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return yyjson_obj_get(val(obj), key);
}

static enum gw_err bad(struct gw_str *param, struct gw_str *why, enum gw_err e, const char *field, const char *words)
{
	*param = gw_str_z(field);
	*why = gw_str_z(words);
	return e;
}

/* ---- requests ---- */

/* "text" or {"text": ...} */
static enum gw_err documents_read(struct gw_arena *a, yyjson_val *v, struct rerank_request *out)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(v);
	size_t n = yyjson_arr_size(v);

	if (!n || n > MAX_DOCUMENTS)
		return GW_E_INVALID;
	out->documents = GW_NEW_N(a, struct gw_str, n);
	if (!out->documents)
		return GW_E_NOMEM;
	for (yyjson_val *d; (d = yyjson_arr_iter_next(&it));) {
		if (yyjson_is_obj(d))
			d = get(d, "text");
		if (!yyjson_is_str(d))
			return GW_E_INVALID;
		out->documents[out->n++] = gw_json_str(d);
	}
	return GW_OK;
}

static enum gw_err member_read(struct rerank_request *out, yyjson_val *key, yyjson_val *v, struct gw_str *param,
			       struct gw_str *why)
{
	bool is_top = yyjson_equals_str(key, "top_n") || yyjson_equals_str(key, "top_k");

	if (yyjson_is_null(v) || yyjson_equals_str(key, "model") || yyjson_equals_str(key, "query") ||
	    yyjson_equals_str(key, "documents"))
		return GW_OK;
	if (is_top || yyjson_equals_str(key, "max_tokens_per_doc")) {
		if (!yyjson_is_uint(v) || !yyjson_get_uint(v) || yyjson_get_uint(v) > INT32_MAX)
			return bad(param, why, GW_E_INVALID, yyjson_get_str(key),
				   "it must be a whole number of at least 1");
		*(is_top ? &out->top_n : &out->max_tokens_per_doc) = (struct ir_i64){ true, yyjson_get_sint(v) };
		return GW_OK;
	}
	if (!yyjson_equals_str(key, "return_documents")) {
		ir_drop_name(&out->notes, gw_json_str(key));
		return GW_OK;
	}
	out->wants_documents = yyjson_get_bool(v);
	return yyjson_is_bool(v) ? GW_OK
				 : bad(param, why, GW_E_INVALID, "return_documents", "it must be true or false");
}

enum gw_err rerank_request_read(struct gw_arena *a, const yyjson_val *root, struct rerank_request *out,
				struct gw_str *param, struct gw_str *why)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(val(root));
	yyjson_val *model = get(root, "model"), *query = get(root, "query"), *documents = get(root, "documents");
	enum gw_err e;

	*out = (struct rerank_request){ .notes.arena = a };
	if (!yyjson_is_obj(val(root)))
		return bad(param, why, GW_E_INVALID, "", "the body must be a JSON object");
	if (model && (!yyjson_is_str(model) || !yyjson_get_len(model)))
		return bad(param, why, GW_E_INVALID, "model", "it must be the name of a model");
	if (!yyjson_is_str(query) || !yyjson_get_len(query))
		return bad(param, why, query ? GW_E_INVALID : GW_E_MISSING, "query",
			   "a text to compare with is needed");
	if (!documents)
		return bad(param, why, GW_E_MISSING, "documents", "a list of texts is needed");
	out->model = model ? gw_json_str(model) : GW_NIL;
	out->query = gw_json_str(query);
	e = documents_read(a, documents, out);
	if (e == GW_E_INVALID)
		return bad(param, why, e, "documents", "it must be a list of 1 to 10000 texts");
	for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));)
		e = member_read(out, key, yyjson_obj_iter_get_val(key), param, why);
	return e ? e : out->notes.is_drop_lost ? GW_E_NOMEM : GW_OK;
}

enum gw_err rerank_request_write(struct rerank_request *in, enum rerank_shape s, struct gw_str model,
				 struct gw_buf *body)
{
	struct gw_json_out w;

	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "model", model);
	gw_jw_kstr(&w, "query", in->query);
	gw_jw_key(&w, GW_LIT("documents"));
	gw_jw_arr(&w);
	for (uint32_t i = 0; i < in->n; i++)
		gw_jw_str(&w, in->documents[i]);
	gw_jw_end_arr(&w);
	if (in->top_n.is_set)
		gw_jw_ki64(&w, s == RERANK_VOYAGE ? "top_k" : "top_n", in->top_n.v);
	if (in->max_tokens_per_doc.is_set && s == RERANK_COHERE)
		gw_jw_ki64(&w, "max_tokens_per_doc", in->max_tokens_per_doc.v);
	else if (in->max_tokens_per_doc.is_set)
		ir_drop(&in->notes, "max_tokens_per_doc");
	if (s != RERANK_COHERE) /* the texts are here; nobody needs them sent back */
		gw_jw_kbool(&w, "return_documents", false);
	gw_jw_end_obj(&w);
	return in->notes.is_drop_lost ? GW_E_NOMEM : body->err;
}

void rerank_path_write(enum rerank_shape s, struct gw_str base, struct gw_buf *out)
{
	gw_buf_puts(out, base);
	gw_buf_puts(out, s == RERANK_COHERE ? GW_LIT("/v2/rerank") : GW_LIT("/rerank"));
}

/* ---- replies ---- */

static bool count(yyjson_val *v, uint64_t *out)
{
	if (!yyjson_is_num(v) || !(yyjson_get_num(v) >= 0))
		return false;
	*out = yyjson_get_num(v) > 1e9 ? 1000000000 : (uint64_t)yyjson_get_num(v);
	return true;
}

enum gw_err rerank_reply_read(struct gw_arena *a, const yyjson_val *root, uint32_t n_documents,
			      struct rerank_reply *out)
{
	yyjson_val *list = get(root, "results"), *id = get(root, "id");
	yyjson_arr_iter it;
	size_t n;

	*out = (struct rerank_reply){ .id = yyjson_is_str(id) ? gw_json_str(id) : GW_NIL };
	if (!list)
		list = get(root, "data");
	n = yyjson_arr_size(list);
	if (!yyjson_is_arr(list) || n > n_documents)
		return GW_E_UP_GARBLED;
	out->results = GW_NEW_N(a, struct rerank_result, n ? n : 1);
	if (!out->results)
		return GW_E_NOMEM;
	it = yyjson_arr_iter_with(list);
	for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
		yyjson_val *index = get(v, "index"), *score = get(v, "relevance_score");

		if (!score)
			score = get(v, "score");
		if (!yyjson_is_uint(index) || yyjson_get_uint(index) >= n_documents || !yyjson_is_num(score))
			return GW_E_UP_GARBLED;
		out->results[out->n++] =
		    (struct rerank_result){ (uint32_t)yyjson_get_uint(index), yyjson_get_num(score) };
	}
	out->usage.is_known = count(get(get(root, "usage"), "total_tokens"), &out->usage.input);
	out->usage.is_known |= count(get(get(get(root, "meta"), "billed_units"), "search_units"), &out->usage.queries);
	gw_usage_settle(&out->usage);
	return GW_OK;
}

enum gw_err rerank_reply_write(const struct rerank_reply *in, const struct rerank_request *rq, struct gw_str model,
			       struct gw_str id, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "id", in->id.n ? in->id : id);
	gw_jw_kstr(&w, "model", model);
	gw_jw_key(&w, GW_LIT("results"));
	gw_jw_arr(&w);
	for (uint32_t i = 0; i < in->n; i++) {
		gw_jw_obj(&w);
		gw_jw_ku64(&w, "index", in->results[i].index);
		gw_jw_key(&w, GW_LIT("relevance_score"));
		gw_jw_double(&w, in->results[i].score);
		if (rq->wants_documents) {
			gw_jw_key(&w, GW_LIT("document"));
			gw_jw_obj(&w);
			gw_jw_kstr(&w, "text", rq->documents[in->results[i].index]);
			gw_jw_end_obj(&w);
		}
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	gw_jw_key(&w, GW_LIT("meta"));
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("billed_units"));
	gw_jw_obj(&w);
	if (in->usage.queries)
		gw_jw_ku64(&w, "search_units", in->usage.queries);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	gw_jw_key(&w, GW_LIT("usage"));
	gw_jw_obj(&w);
	gw_jw_ku64(&w, "total_tokens", in->usage.input);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	return out->err;
}
