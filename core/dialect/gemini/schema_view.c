/* Places of a JSON Schema as the writer of Gemini's schemas looks at them (schema.h): references, merged objects, types. */
#include "core/dialect/gemini/schema.h"

const struct schema_type_row schema_types[SCHEMA_TYPES] = {
	{ T_STRING, "string", "STRING" },    { T_NUMBER, "number", "NUMBER" }, { T_INTEGER, "integer", "INTEGER" },
	{ T_BOOLEAN, "boolean", "BOOLEAN" }, { T_ARRAY, "array", "ARRAY" },    { T_OBJECT, "object", "OBJECT" },
	{ T_NULL, "null", "NULL" },
};

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

void schema_lose(struct schema_out *o, struct gw_str keyword)
{
	if (!o->lost.p)
		o->lost = keyword;
	ir_drop_name(o->rq, gw_arena_printf(o->rq->arena, "%s.%.*s", o->where, keyword.n > 64 ? 64 : GW_FMT(keyword)));
}

static void lose(struct schema_out *o, const char *keyword)
{
	schema_lose(o, gw_str_z(keyword));
}

/* ---- views ---- */

static const yyjson_val *resolve(const struct schema_out *o, struct gw_str ref)
{
	if (!ref.n || ref.p[0] != '#')
		return NULL;
	return ref.n == 1 ? o->root : yyjson_ptr_getn(mut(o->root), ref.p + 1, ref.n - 1);
}

/* Adds a schema and what it refers to. */
void schema_gather(struct schema_out *o, struct schema_view *v, const yyjson_val *s, int depth)
{
	const yyjson_val *ref, *all;
	yyjson_arr_iter it;
	yyjson_val *item;

	if (!yyjson_is_obj(mut(s))) {
		if (yyjson_is_false(mut(s)))
			lose(o, "false");
		return;
	}
	if (v->n == SCHEMA_SOURCES || depth > SCHEMA_DEPTH) {
		lose(o, "allOf");
		return;
	}
	v->src[v->n].s = s;
	v->src[v->n++].is_spent = false;
	ref = gw_json_get(s, GW_LIT("$ref"));
	if (yyjson_is_str(mut(ref))) {
		const yyjson_val *to = resolve(o, gw_json_str(ref));
		bool is_known = to == NULL || o->n_refs == SCHEMA_REFS;

		for (int i = 0; i < o->n_refs && !is_known; i++)
			is_known = o->refs[i] == to;
		if (is_known) {
			lose(o, "$ref"); /* nowhere, elsewhere, or round in a circle */
		} else {
			o->refs[o->n_refs++] = to;
			schema_gather(o, v, to, depth + 1);
		}
	}
	all = gw_json_get(s, GW_LIT("allOf"));
	if (yyjson_is_arr(mut(all))) {
		yyjson_arr_iter_init(mut(all), &it);
		while ((item = yyjson_arr_iter_next(&it)))
			schema_gather(o, v, item, depth + 1);
	}
}

const yyjson_val *schema_look(const struct schema_view *v, const char *key)
{
	for (int i = 0; i < v->n; i++) {
		const yyjson_val *x = gw_json_get(v->src[i].s, gw_str_z(key));

		if (x)
			return x;
	}
	return NULL;
}

/* The alternatives: anyOf, or oneOf, which here can only mean the same. */
const yyjson_val *schema_take_any(struct schema_view *v)
{
	for (int i = 0; i < v->n; i++) {
		const yyjson_val *x = gw_json_get(v->src[i].s, GW_LIT("anyOf"));

		if (!x)
			x = gw_json_get(v->src[i].s, GW_LIT("oneOf"));
		if (x && !v->src[i].is_spent && yyjson_is_arr(mut(x))) {
			v->src[i].is_spent = true;
			return x;
		}
	}
	return NULL;
}

static unsigned type_of(struct gw_str word)
{
	for (int i = 0; i < SCHEMA_TYPES; i++) {
		if (gw_str_ieq(gw_str_z(schema_types[i].ours), word))
			return schema_types[i].t;
	}
	return 0;
}

unsigned schema_types_of_values(const yyjson_val *list)
{
	unsigned t = 0;
	yyjson_arr_iter it;
	yyjson_val *v;

	yyjson_arr_iter_init(mut(list), &it);
	while ((v = yyjson_arr_iter_next(&it)))
		t |= yyjson_is_str(v)    ? T_STRING
		     : yyjson_is_int(v)  ? T_INTEGER
		     : yyjson_is_num(v)  ? T_NUMBER
		     : yyjson_is_bool(v) ? T_BOOLEAN
		     : yyjson_is_null(v) ? T_NULL
					 : 0;
	return t;
}

/* Types as told, or as the other members let us know. */
unsigned schema_types_of(const struct schema_view *v)
{
	const yyjson_val *t = schema_look(v, "type"), *c = schema_look(v, "const"), *e = schema_look(v, "enum");
	unsigned mask = 0;
	yyjson_arr_iter it;
	yyjson_val *item;

	if (yyjson_is_str(mut(t)))
		mask = type_of(gw_json_str(t));
	if (yyjson_is_arr(mut(t))) {
		yyjson_arr_iter_init(mut(t), &it);
		while ((item = yyjson_arr_iter_next(&it)))
			mask |= type_of(gw_json_str(item));
	}
	if (!mask && c)
		mask = yyjson_is_str(mut(c))    ? T_STRING
		       : yyjson_is_int(mut(c))  ? T_INTEGER
		       : yyjson_is_num(mut(c))  ? T_NUMBER
		       : yyjson_is_bool(mut(c)) ? T_BOOLEAN
		       : yyjson_is_null(mut(c)) ? T_NULL
						: 0;
	if (!mask && yyjson_is_arr(mut(e)))
		mask = schema_types_of_values(e);
	if (!mask && schema_look(v, "properties"))
		mask = T_OBJECT;
	if (!mask && (schema_look(v, "items") || schema_look(v, "prefixItems")))
		mask = T_ARRAY;
	if (yyjson_is_true(mut(schema_look(v, "nullable"))))
		mask |= T_NULL;
	if ((mask & T_NUMBER) && (mask & T_INTEGER))
		mask &= ~(unsigned)T_INTEGER; /* every integer is a number */
	return mask;
}
