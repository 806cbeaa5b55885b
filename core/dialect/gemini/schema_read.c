/* Gemini's own kind of schema (OpenAPI 3.0: types in capitals, nullable, numbers as strings) as JSON Schema, which is what the IR has. */
#include "core/dialect/gemini/gemini.h"

enum { MAX_DEPTH = 48 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static const char *const int_keys[] = { "minItems",  "maxItems",      "minLength",
					"maxLength", "minProperties", "maxProperties" };

static bool is_int_key(struct gw_str key)
{
	for (size_t i = 0; i < sizeof(int_keys) / sizeof(*int_keys); i++) {
		if (gw_str_eq(key, gw_str_z(int_keys[i])))
			return true;
	}
	return false;
}

/* Does any schema within say something in a way that JSON Schema does not? Only places where schemas stand are looked at. */
static bool is_foreign(const yyjson_val *s, int depth)
{
	yyjson_obj_iter it;
	yyjson_arr_iter ai;
	yyjson_val *k, *item;

	if (!yyjson_is_obj(mut(s)) || depth > MAX_DEPTH)
		return false;
	yyjson_obj_iter_init(mut(s), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct gw_str key = gw_json_str(k);

		if (gw_str_eq(key, GW_LIT("nullable")) || gw_str_eq(key, GW_LIT("propertyOrdering")) ||
		    gw_str_eq(key, GW_LIT("property_ordering")) || gw_str_eq(key, GW_LIT("any_of")) ||
		    (is_int_key(key) && yyjson_is_str(v)))
			return true;
		if (gw_str_eq(key, GW_LIT("type")) && yyjson_is_str(v) && yyjson_get_len(v) &&
		    yyjson_get_str(v)[0] >= 'A' && yyjson_get_str(v)[0] <= 'Z')
			return true;
		if (gw_str_eq(key, GW_LIT("items")) && is_foreign(v, depth + 1))
			return true;
		if (gw_str_eq(key, GW_LIT("properties")) && yyjson_is_obj(v)) {
			yyjson_obj_iter pi;

			yyjson_obj_iter_init(v, &pi);
			while ((item = yyjson_obj_iter_next(&pi))) {
				if (is_foreign(yyjson_obj_iter_get_val(item), depth + 1))
					return true;
			}
		}
		if (gw_str_eq(key, GW_LIT("anyOf")) && yyjson_is_arr(v)) {
			yyjson_arr_iter_init(v, &ai);
			while ((item = yyjson_arr_iter_next(&ai))) {
				if (is_foreign(item, depth + 1))
					return true;
			}
		}
	}
	return false;
}

static void put_schema(struct gw_json_out *w, const yyjson_val *s, int depth);

static void put_type(struct gw_json_out *w, struct gw_str word, bool is_nullable)
{
	char lower[16];
	size_t n = word.n < sizeof(lower) ? word.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] - 'A' + 'a') : word.p[i];
	if (gw_str_eq(gw_str(lower, n), GW_LIT("type_unspecifie")) ||
	    gw_str_has_prefix(gw_str(lower, n), GW_LIT("type_")))
		return;
	gw_jw_key(w, GW_LIT("type"));
	if (!is_nullable) {
		gw_jw_str(w, gw_str(lower, n));
		return;
	}
	gw_jw_arr(w);
	gw_jw_str(w, gw_str(lower, n));
	gw_jw_str(w, GW_LIT("null"));
	gw_jw_end_arr(w);
}

static void put_properties(struct gw_json_out *w, const yyjson_val *v, int depth)
{
	yyjson_obj_iter it;
	yyjson_val *k;

	gw_jw_obj(w);
	yyjson_obj_iter_init(mut(v), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		gw_jw_key(w, gw_json_str(k));
		put_schema(w, yyjson_obj_iter_get_val(k), depth + 1);
	}
	gw_jw_end_obj(w);
}

static void put_any_of(struct gw_json_out *w, const yyjson_val *v, bool is_nullable, int depth)
{
	yyjson_arr_iter it;
	yyjson_val *item;

	gw_jw_key(w, GW_LIT("anyOf"));
	gw_jw_arr(w);
	yyjson_arr_iter_init(mut(v), &it);
	while ((item = yyjson_arr_iter_next(&it)))
		put_schema(w, item, depth + 1);
	if (is_nullable)
		gw_jw_raw(w, GW_LIT("{\"type\":\"null\"}"));
	gw_jw_end_arr(w);
}

static void put_member(struct gw_json_out *w, struct gw_str key, const yyjson_val *v, bool is_nullable, int depth)
{
	int64_t n;

	if (gw_str_eq(key, GW_LIT("type")) && yyjson_is_str(mut(v))) {
		put_type(w, gw_json_str(v), is_nullable);
	} else if (gw_str_eq(key, GW_LIT("nullable")) || gw_str_eq(key, GW_LIT("propertyOrdering")) ||
		   gw_str_eq(key, GW_LIT("property_ordering"))) {
		return;
	} else if ((gw_str_eq(key, GW_LIT("anyOf")) || gw_str_eq(key, GW_LIT("any_of"))) && yyjson_is_arr(mut(v))) {
		put_any_of(w, v, is_nullable, depth);
	} else if (gw_str_eq(key, GW_LIT("items"))) {
		gw_jw_key(w, key);
		put_schema(w, v, depth + 1);
	} else if (gw_str_eq(key, GW_LIT("properties")) && yyjson_is_obj(mut(v))) {
		gw_jw_key(w, key);
		put_properties(w, v, depth);
	} else if (is_int_key(key) && yyjson_is_str(mut(v)) && gw_str_i64(gw_json_str(v), &n)) {
		gw_jw_key(w, key);
		gw_jw_i64(w, n);
	} else if (gw_str_eq(key, GW_LIT("example"))) {
		gw_jw_key(w, GW_LIT("examples"));
		gw_jw_arr(w);
		gw_jw_val(w, v);
		gw_jw_end_arr(w);
	} else {
		gw_jw_key(w, key);
		gw_jw_val(w, v);
	}
}

static void put_schema(struct gw_json_out *w, const yyjson_val *s, int depth)
{
	bool is_nullable = yyjson_is_true(mut(gw_json_get(s, GW_LIT("nullable"))));
	yyjson_obj_iter it;
	yyjson_val *k;

	if (!yyjson_is_obj(mut(s)) || depth > MAX_DEPTH) {
		gw_jw_val(w, s);
		return;
	}
	gw_jw_obj(w);
	yyjson_obj_iter_init(mut(s), &it);
	while ((k = yyjson_obj_iter_next(&it)))
		put_member(w, gw_json_str(k), yyjson_obj_iter_get_val(k), is_nullable, depth);
	gw_jw_end_obj(w);
}

const yyjson_val *gemini_schema_read(struct gw_arena *a, const yyjson_val *own)
{
	const yyjson_val *out = NULL;
	struct gw_json_out w;
	struct gw_buf b;

	if (!is_foreign(own, 0))
		return own;
	gw_buf_init(&b, a->max_bytes);
	gw_jw_init(&w, &b);
	put_schema(&w, own, 0);
	/* yyjson copies the text, so that the buffer may go */
	if (b.err || gw_json_tree(a, gw_buf_view(&b), NULL, &out, NULL))
		out = NULL;
	gw_buf_done(&b);
	return out;
}
