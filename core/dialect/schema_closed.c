/* JSON Schemas as Anthropic and Bedrock take them for structured output: objects are closed, and bounds of numbers, strings and lists are refused. What
 * is left out is noted; what remains still holds for every answer that the whole schema allows. */
#include "core/dialect/schema_closed.h"

enum what { SCHEMA, SCHEMA_MAP, SCHEMA_LIST, VALUE };

static bool is_in(const yyjson_val *key, const char *const *list)
{
	for (; *list; list++) {
		if (yyjson_equals_str((yyjson_val *)(uintptr_t)key, *list))
			return true;
	}
	return false;
}

static enum what kind_of(const yyjson_val *key, const yyjson_val *val)
{
	static const char *const maps[] = { "properties", "$defs", "definitions", NULL };
	static const char *const lists[] = { "anyOf", "allOf", "oneOf", "prefixItems", NULL };

	if (is_in(key, maps))
		return SCHEMA_MAP;
	if (is_in(key, lists))
		return SCHEMA_LIST;
	if (yyjson_equals_str((yyjson_val *)(uintptr_t)key, "items"))
		return yyjson_is_arr((yyjson_val *)(uintptr_t)val) ? SCHEMA_LIST : SCHEMA;
	return VALUE;
}

static bool is_refused(const yyjson_val *key, const yyjson_val *val)
{
	static const char *const words[] = { "minimum",     "maximum",       "exclusiveMinimum", "exclusiveMaximum",
					     "multipleOf",  "minLength",     "maxLength",        "maxItems",
					     "uniqueItems", "minProperties", "maxProperties",    NULL };

	if (yyjson_equals_str((yyjson_val *)(uintptr_t)key, "minItems"))
		return yyjson_get_num((yyjson_val *)(uintptr_t)val) > 1;
	return is_in(key, words);
}

struct out {
	struct gw_json_out *w;
	struct ir_request *rq;
};

static void drop(const struct out *o, const char *where, const yyjson_val *key)
{
	ir_drop_name(o->rq, gw_arena_printf(o->rq->arena, "%s.%.*s", where, GW_FMT(gw_json_str(key))));
}

static bool is_object_type(const yyjson_val *v)
{
	yyjson_val *type = yyjson_obj_get((yyjson_val *)(uintptr_t)v, "type");
	yyjson_arr_iter it = yyjson_arr_iter_with(type);

	if (yyjson_equals_str(type, "object") || (!type && yyjson_obj_get((yyjson_val *)(uintptr_t)v, "properties")))
		return true;
	for (yyjson_val *t; (t = yyjson_arr_iter_next(&it));) {
		if (yyjson_equals_str(t, "object"))
			return true;
	}
	return false;
}

static void schema_write(const struct out *o, const yyjson_val *v, enum what what, const char *where);

static void members_write(const struct out *o, const yyjson_val *v, const char *where)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)v);
	bool is_object = is_object_type(v);

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);

		if (is_refused(key, val)) {
			drop(o, where, key);
			continue;
		}
		if (is_object && yyjson_equals_str((yyjson_val *)(uintptr_t)key, "additionalProperties")) {
			if (!yyjson_is_false(val))
				drop(o, where, key);
			continue;
		}
		gw_jw_key(o->w, gw_json_str(key));
		schema_write(o, val, kind_of(key, val), where);
	}
	if (is_object)
		gw_jw_kbool(o->w, "additionalProperties", false);
}

/* Depth: the tree's reader has bounded it. */
static void schema_write(const struct out *o, const yyjson_val *v, enum what what, const char *where)
{
	yyjson_val *val = (yyjson_val *)(uintptr_t)v;

	if (what == SCHEMA_LIST && yyjson_is_arr(val)) {
		yyjson_arr_iter it = yyjson_arr_iter_with(val);

		gw_jw_arr(o->w);
		for (yyjson_val *one; (one = yyjson_arr_iter_next(&it));)
			schema_write(o, one, SCHEMA, where);
		gw_jw_end_arr(o->w);
	} else if (what == SCHEMA_MAP && yyjson_is_obj(val)) {
		yyjson_obj_iter it = yyjson_obj_iter_with(val);

		gw_jw_obj(o->w);
		for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
			gw_jw_key(o->w, gw_json_str(key));
			schema_write(o, yyjson_obj_iter_get_val(key), SCHEMA, where);
		}
		gw_jw_end_obj(o->w);
	} else if (what == SCHEMA && yyjson_is_obj(val)) {
		gw_jw_obj(o->w);
		members_write(o, v, where);
		gw_jw_end_obj(o->w);
	} else {
		gw_jw_val(o->w, v);
	}
}

void ir_schema_closed_write(struct gw_json_out *w, struct ir_request *rq, const yyjson_val *schema, const char *where)
{
	schema_write(&(struct out){ w, rq }, schema, SCHEMA, where);
}
