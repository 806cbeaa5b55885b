/* JSON Schema as Gemini's own kind of schema (an OpenAPI 3.0 subset). References are unfolded; one that leads back to itself ends as a plain
 * object. What cannot be said is noted, or refused for a strict schema. */
#include "core/dialect/gemini/schema.h"

enum { MAX_OUT_BYTES = 512 << 10, MAX_ENUM_HINT = 512 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static void lose(struct schema_out *o, const char *keyword)
{
	schema_lose(o, gw_str_z(keyword));
}

/* ---- writing ---- */

static void emit(struct schema_out *o, struct schema_view *v, unsigned only, bool is_nullable, int depth);

static void emit_schema(struct schema_out *o, const yyjson_val *s, int depth)
{
	struct schema_view v = { .n = 0 };
	int refs = o->n_refs;

	schema_gather(o, &v, s, 0);
	emit(o, &v, 0, false, depth);
	o->n_refs = refs;
}

/* Members that need no change for a type. */
static const struct {
	const char *key;
	unsigned of;
} plain[] = {
	{ "title", ~0u },
	{ "default", ~0u },
	{ "minLength", T_STRING },
	{ "maxLength", T_STRING },
	{ "pattern", T_STRING },
	{ "minItems", T_ARRAY },
	{ "maxItems", T_ARRAY },
	{ "minProperties", T_OBJECT },
	{ "maxProperties", T_OBJECT },
	{ "propertyOrdering", T_OBJECT },
};
/* Members that say nothing about values, or are dealt with elsewhere. */
static const char *const quiet[] = {
	"$schema",
	"$id",
	"$comment",
	"$defs",
	"definitions",
	"$ref",
	"$anchor",
	"allOf",
	"anyOf",
	"oneOf",
	"type",
	"const",
	"enum",
	"description",
	"examples",
	"example",
	"nullable",
	"format",
	"items",
	"properties",
	"required",
	"minimum",
	"maximum",
	"exclusiveMinimum",
	"exclusiveMaximum",
	"strict",
	"readOnly",
	"writeOnly",
	"deprecated",
	"discriminator",
	"prefixItems",
};

static void note_lost(struct schema_out *o, const struct schema_view *v)
{
	for (int i = 0; i < v->n; i++) {
		yyjson_obj_iter it;
		yyjson_val *k;

		yyjson_obj_iter_init(mut(v->src[i].s), &it);
		while ((k = yyjson_obj_iter_next(&it))) {
			struct gw_str key = gw_json_str(k);
			bool is_known = false;

			for (size_t j = 0; !is_known && j < sizeof(quiet) / sizeof(*quiet); j++)
				is_known = gw_str_eq(key, gw_str_z(quiet[j]));
			for (size_t j = 0; !is_known && j < sizeof(plain) / sizeof(*plain); j++)
				is_known = gw_str_eq(key, gw_str_z(plain[j].key));
			if (!is_known && gw_str_eq(key, GW_LIT("additionalProperties"))) {
				yyjson_val *x = yyjson_obj_iter_get_val(k);

				is_known =
				    !yyjson_is_obj(x) || yyjson_obj_size(x) == 0; /* Gemini keeps to what is named */
			}
			if (!is_known)
				schema_lose(o, key);
		}
	}
}

static void put_key(struct schema_out *o, const char *key)
{
	gw_jw_key(o->w, gw_str_z(key));
}

/* The description, with what has no member of its own behind it. */
static void put_description(struct schema_out *o, const struct schema_view *v, struct gw_str format,
			    const yyjson_val *values)
{
	struct gw_str d = gw_json_str(schema_look(v, "description")), hint = GW_NIL;

	if (values)
		hint = gemini_json(o->a, values);
	if (hint.n > MAX_ENUM_HINT)
		hint = GW_NIL;
	if (!d.n && !format.n && !hint.n)
		return;
	if (format.n || hint.n)
		d = gw_arena_printf(o->a, "%.*s%s%s%.*s%s%s%.*s%s", GW_FMT(d), d.n ? " " : "",
				    format.n ? "(format: " : "", GW_FMT(format), format.n ? ")" : "",
				    hint.n ? "(one of: " : "", GW_FMT(hint), hint.n ? ")" : "");
	gw_jw_kstr(o->w, "description", d);
}

static bool is_format_known(unsigned type, struct gw_str f)
{
	static const struct {
		const char *word;
		unsigned of;
	} known[] = { { "enum", T_STRING },   { "date-time", T_STRING }, { "int32", T_INTEGER },
		      { "int64", T_INTEGER }, { "float", T_NUMBER },     { "double", T_NUMBER } };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if ((type & known[i].of) && gw_str_eq(gw_str_z(known[i].word), f))
			return true;
	}
	return false;
}

/* enum and const of strings; other values become bounds or words in the description. */
static void put_values(struct schema_out *o, const struct schema_view *v, unsigned type)
{
	const yyjson_val *c = schema_look(v, "const"), *e = schema_look(v, "enum");
	yyjson_arr_iter it;
	yyjson_val *item;

	if (type == T_STRING && yyjson_is_str(mut(c))) {
		put_key(o, "enum");
		gw_jw_arr(o->w);
		gw_jw_str(o->w, gw_json_str(c));
		gw_jw_end_arr(o->w);
	} else if (type == T_STRING && yyjson_is_arr(mut(e))) {
		put_key(o, "enum");
		gw_jw_arr(o->w);
		yyjson_arr_iter_init(mut(e), &it);
		while ((item = yyjson_arr_iter_next(&it))) {
			if (yyjson_is_str(item))
				gw_jw_str(o->w, gw_json_str(item));
			else if (!yyjson_is_null(item) && schema_types_of_values(e) == T_STRING)
				lose(o, "enum");
		}
		gw_jw_end_arr(o->w);
	} else if (c && (type == T_INTEGER || type == T_NUMBER) && yyjson_is_num(mut(c))) {
		put_key(o, "minimum");
		gw_jw_val(o->w, c);
		put_key(o, "maximum");
		gw_jw_val(o->w, c);
	} else if (c && !yyjson_is_null(mut(c))) {
		lose(o, "const");
	} else if (e && type != T_STRING) {
		lose(o, "enum"); /* told in the description */
	}
}

static void put_bounds(struct schema_out *o, const struct schema_view *v, unsigned type)
{
	static const struct {
		const char *key, *exclusive;
		int step;
	} bounds[] = { { "minimum", "exclusiveMinimum", 1 }, { "maximum", "exclusiveMaximum", -1 } };

	if (!(type & (T_INTEGER | T_NUMBER)) || yyjson_is_num(mut(schema_look(v, "const"))))
		return;
	for (int i = 0; i < 2; i++) {
		const yyjson_val *x = schema_look(v, bounds[i].key), *ex = schema_look(v, bounds[i].exclusive);

		if (yyjson_is_num(mut(ex)) && !yyjson_is_num(mut(x))) {
			put_key(o, bounds[i].key);
			if (type == T_INTEGER && yyjson_is_int(mut(ex)) && yyjson_get_sint(mut(ex)) < INT32_MAX &&
			    yyjson_get_sint(mut(ex)) > INT32_MIN) {
				gw_jw_i64(o->w, yyjson_get_sint(mut(ex)) + bounds[i].step);
			} else {
				gw_jw_val(o->w, ex);
				lose(o, bounds[i].exclusive); /* the bound itself is let in */
			}
		} else if (yyjson_is_num(mut(x))) {
			put_key(o, bounds[i].key);
			gw_jw_val(o->w, x);
		}
	}
}

static void put_items(struct schema_out *o, const struct schema_view *v, int depth)
{
	const yyjson_val *items = schema_look(v, "items"), *tuple = schema_look(v, "prefixItems");

	if (yyjson_is_arr(mut(items)))
		tuple = items;
	if (yyjson_is_arr(mut(tuple))) {
		lose(o, "prefixItems");
		items = yyjson_arr_get_first(mut(tuple));
	}
	put_key(o, "items");
	if (yyjson_is_obj(mut(items)) && yyjson_obj_size(mut(items)))
		emit_schema(o, items, depth + 1);
	else
		gw_jw_raw(o->w, GW_LIT("{\"type\":\"STRING\"}")); /* an array must say what is in it */
}

static bool is_seen_before(const struct schema_view *v, int src, const char *map, struct gw_str key)
{
	for (int i = 0; i < src; i++) {
		if (gw_json_get(gw_json_get(v->src[i].s, gw_str_z(map)), key))
			return true;
	}
	return false;
}

static void put_properties(struct schema_out *o, const struct schema_view *v, int depth)
{
	bool has_required = false;

	put_key(o, "properties");
	gw_jw_obj(o->w);
	for (int i = 0; i < v->n; i++) {
		const yyjson_val *props = gw_json_get(v->src[i].s, GW_LIT("properties"));
		yyjson_obj_iter it;
		yyjson_val *k;

		if (!yyjson_is_obj(mut(props)))
			continue;
		yyjson_obj_iter_init(mut(props), &it);
		while (!o->is_too_big && (k = yyjson_obj_iter_next(&it))) {
			if (is_seen_before(v, i, "properties", gw_json_str(k)))
				continue;
			gw_jw_key(o->w, gw_json_str(k));
			emit_schema(o, yyjson_obj_iter_get_val(k), depth + 1);
		}
	}
	gw_jw_end_obj(o->w);
	for (int i = 0; i < v->n; i++) { /* only what is there may be required */
		const yyjson_val *req = gw_json_get(v->src[i].s, GW_LIT("required"));
		yyjson_arr_iter it;
		yyjson_val *name;

		if (!yyjson_is_arr(mut(req)))
			continue;
		yyjson_arr_iter_init(mut(req), &it);
		while ((name = yyjson_arr_iter_next(&it))) {
			if (!yyjson_is_str(name) || !is_seen_before(v, v->n, "properties", gw_json_str(name)))
				continue;
			if (!has_required) {
				put_key(o, "required");
				gw_jw_arr(o->w);
				has_required = true;
			}
			gw_jw_str(o->w, gw_json_str(name));
		}
	}
	if (has_required)
		gw_jw_end_arr(o->w);
}

static bool has_properties(const struct schema_view *v)
{
	for (int i = 0; i < v->n; i++) {
		const yyjson_val *p = gw_json_get(v->src[i].s, GW_LIT("properties"));

		if (yyjson_is_obj(mut(p)) && yyjson_obj_size(mut(p)))
			return true;
	}
	return false;
}

/* A schema of one type. */
static void emit_one(struct schema_out *o, const struct schema_view *v, unsigned type, bool is_nullable, int depth)
{
	struct gw_str format = gw_json_str(schema_look(v, "format"));
	const yyjson_val *e = schema_look(v, "enum"), *example = schema_look(v, "example"),
			 *examples = schema_look(v, "examples");

	gw_jw_obj(o->w);
	for (int i = 0; i < SCHEMA_TYPES; i++) {
		if (schema_types[i].t == type)
			gw_jw_kstr(o->w, "type", gw_str_z(schema_types[i].theirs));
	}
	if (is_nullable)
		gw_jw_kbool(o->w, "nullable", true);
	if (format.n && is_format_known(type, format)) {
		gw_jw_kstr(o->w, "format", format);
		format = GW_NIL;
	}
	put_description(o, v, format, type != T_STRING && yyjson_is_arr(mut(e)) ? e : NULL);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		const yyjson_val *x = (plain[i].of & type) ? schema_look(v, plain[i].key) : NULL;

		if (x) {
			put_key(o, plain[i].key);
			gw_jw_val(o->w, x);
		}
	}
	if (!example && yyjson_is_arr(mut(examples)))
		example = yyjson_arr_get_first(mut(examples));
	if (example) {
		put_key(o, "example");
		gw_jw_val(o->w, example);
	}
	put_values(o, v, type);
	put_bounds(o, v, type);
	if (type == T_ARRAY)
		put_items(o, v, depth);
	if (type == T_OBJECT && has_properties(v))
		put_properties(o, v, depth);
	gw_jw_end_obj(o->w);
}

static bool is_null_schema(const yyjson_val *s)
{
	return gw_str_eq(gw_json_str(gw_json_get(s, GW_LIT("type"))), GW_LIT("null")) ||
	       yyjson_is_null(mut(gw_json_get(s, GW_LIT("const"))));
}

/* One alternative together with what its parent says. */
static void emit_member(struct schema_out *o, const struct schema_view *parent, const yyjson_val *s, bool is_nullable,
			int depth)
{
	struct schema_view v = { .n = 0 };
	int refs = o->n_refs;

	schema_gather(o, &v, s, 0);
	for (int i = 0; i < parent->n && v.n < SCHEMA_SOURCES; i++)
		v.src[v.n++] = parent->src[i];
	emit(o, &v, 0, is_nullable, depth + 1);
	o->n_refs = refs;
}

static void emit_any(struct schema_out *o, const struct schema_view *v, const yyjson_val *any, bool is_nullable,
		     int depth)
{
	unsigned n = 0;
	yyjson_arr_iter it;
	yyjson_val *s, *only = NULL;

	yyjson_arr_iter_init(mut(any), &it);
	while ((s = yyjson_arr_iter_next(&it))) {
		if (is_null_schema(s)) {
			is_nullable = true;
			continue;
		}
		only = s;
		n++;
	}
	if (n <= 1) {
		emit_member(o, v, only, is_nullable, depth);
		return;
	}
	gw_jw_obj(o->w);
	put_key(o, "anyOf"); /* Vertex wants nothing beside it */
	gw_jw_arr(o->w);
	yyjson_arr_iter_init(mut(any), &it);
	while (!o->is_too_big && (s = yyjson_arr_iter_next(&it))) {
		if (!is_null_schema(s))
			emit_member(o, v, s, is_nullable, depth);
	}
	gw_jw_end_arr(o->w);
	gw_jw_end_obj(o->w);
}

static void emit(struct schema_out *o, struct schema_view *v, unsigned only, bool is_nullable, int depth)
{
	const yyjson_val *any = only ? NULL : schema_take_any(v);
	unsigned mask, rest;

	if (o->is_too_big || depth > SCHEMA_DEPTH || o->w->b->n - o->began > MAX_OUT_BYTES) {
		o->is_too_big = true;
		gw_jw_raw(o->w, GW_LIT("{}"));
		return;
	}
	if (any) {
		emit_any(o, v, any, is_nullable, depth);
		return;
	}
	if (!only)
		note_lost(o, v);
	mask = only ? only : schema_types_of(v);
	if (!mask && schema_look(v, "$ref"))
		mask = T_OBJECT; /* a reference that could not be followed */
	rest = mask & ~(unsigned)T_NULL;
	if (rest && (mask & T_NULL))
		is_nullable = true;
	if (rest & (rest - 1)) { /* several types: one alternative each */
		gw_jw_obj(o->w);
		put_key(o, "anyOf");
		gw_jw_arr(o->w);
		for (int i = 0; i < SCHEMA_TYPES; i++) {
			if (rest & schema_types[i].t)
				emit_one(o, v, schema_types[i].t, is_nullable, depth + 1);
		}
		gw_jw_end_arr(o->w);
		gw_jw_end_obj(o->w);
		return;
	}
	emit_one(o, v, rest ? rest : mask, is_nullable, depth);
}

enum gw_err gemini_schema_write(struct gw_arena *a, const yyjson_val *schema, bool is_strict, struct ir_request *rq,
				const char *where, struct gw_json_out *w, struct gw_str *why)
{
	struct schema_out o = {
		.a = a, .root = schema, .rq = rq, .where = where, .w = w, .began = w->b->n, .is_strict = is_strict
	};

	o.refs[o.n_refs++] = schema; /* "#" leads back here */
	emit_schema(&o, schema, 0);
	if (o.is_too_big) {
		*why = GW_LIT("the schema is nested too deep, or its references unfold to more than 512 KiB, which is "
			      "more than this "
			      "provider's schema form can take");
		return GW_E_INVALID;
	}
	if (is_strict && o.lost.p) {
		*why = gw_arena_printf(
		    a,
		    "strict is asked for, but this provider's schemas have no \"%.*s\"; leave the keyword out or "
		    "do without strict",
		    o.lost.n > 64 ? 64 : GW_FMT(o.lost));
		return why->p ? GW_E_INVALID : GW_E_NOMEM;
	}
	return GW_OK;
}

bool gemini_schema_is_empty(const yyjson_val *s)
{
	const yyjson_val *p = gw_json_get(s, GW_LIT("properties"));

	if (!yyjson_is_obj(mut(s)))
		return true;
	if (yyjson_is_obj(mut(p)) && yyjson_obj_size(mut(p)))
		return false;
	return !gw_json_get(s, GW_LIT("$ref")) && !gw_json_get(s, GW_LIT("anyOf")) &&
	       !gw_json_get(s, GW_LIT("oneOf")) && !gw_json_get(s, GW_LIT("allOf"));
}
