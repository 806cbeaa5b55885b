/* JSON Schema as Gemini's own kind of schema (an OpenAPI 3.0 subset). Several schema objects may stand for one place ($ref beside other
 * members, allOf, a member of anyOf with what its parent says): they are looked at together as a view, the nearest one first. References
 * are unfolded; one that leads back to itself ends as a plain object. What cannot be said is noted, or refused for a strict schema. */
#include "core/dialect/gemini/gemini.h"

enum { MAX_SOURCES = 16, MAX_REFS = 32, MAX_DEPTH = 32, MAX_OUT_BYTES = 512 << 10, MAX_ENUM_HINT = 512 };

/* One place of the schema. */
struct view {
	struct {
		const yyjson_val *s;
		bool is_spent; /* its anyOf was looked at already */
	} src[MAX_SOURCES];
	int n;
};

struct out {
	struct gw_arena *a;
	const yyjson_val *root;
	struct ir_request *rq;
	const char *where;
	struct gw_json_out *w;
	size_t began;
	bool is_strict;
	const yyjson_val *refs[MAX_REFS]; /* being unfolded */
	int n_refs;
	struct gw_str lost; /* the first keyword that could not be said */
	bool is_too_big;
};

enum type { T_STRING = 1, T_NUMBER = 2, T_INTEGER = 4, T_BOOLEAN = 8, T_ARRAY = 16, T_OBJECT = 32, T_NULL = 64 };
static const struct {
	enum type t;
	const char *ours, *theirs;
} types[] = {
	{ T_STRING, "string", "STRING" },   { T_NUMBER, "number", "NUMBER" }, { T_INTEGER, "integer", "INTEGER" },
	{ T_BOOLEAN, "boolean", "BOOLEAN" }, { T_ARRAY, "array", "ARRAY" },	{ T_OBJECT, "object", "OBJECT" },
	{ T_NULL, "null", "NULL" },
};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static void lose(struct out *o, struct gw_str keyword)
{
	if (!o->lost.p)
		o->lost = keyword;
	ir_drop_name(o->rq, gw_arena_printf(o->rq->arena, "%s.%.*s", o->where, keyword.n > 64 ? 64 : GW_FMT(keyword)));
}

static void lose_z(struct out *o, const char *keyword)
{
	lose(o, gw_str_z(keyword));
}

/* ---- views ---- */

static const yyjson_val *resolve(const struct out *o, struct gw_str ref)
{
	if (!ref.n || ref.p[0] != '#')
		return NULL;
	return ref.n == 1 ? o->root : yyjson_ptr_getn(mut(o->root), ref.p + 1, ref.n - 1);
}

/* Adds a schema and what it refers to. */
static void gather(struct out *o, struct view *v, const yyjson_val *s, int depth)
{
	const yyjson_val *ref, *all;
	yyjson_arr_iter it;
	yyjson_val *item;

	if (!yyjson_is_obj(mut(s))) {
		if (yyjson_is_false(mut(s)))
			lose_z(o, "false");
		return;
	}
	if (v->n == MAX_SOURCES || depth > MAX_DEPTH) {
		lose_z(o, "allOf");
		return;
	}
	v->src[v->n].s = s;
	v->src[v->n++].is_spent = false;
	ref = gw_json_get(s, GW_LIT("$ref"));
	if (yyjson_is_str(mut(ref))) {
		const yyjson_val *to = resolve(o, gw_json_str(ref));
		bool is_known = to == NULL || o->n_refs == MAX_REFS;

		for (int i = 0; i < o->n_refs && !is_known; i++)
			is_known = o->refs[i] == to;
		if (is_known) {
			lose_z(o, "$ref"); /* nowhere, elsewhere, or round in a circle */
		} else {
			o->refs[o->n_refs++] = to;
			gather(o, v, to, depth + 1);
		}
	}
	all = gw_json_get(s, GW_LIT("allOf"));
	if (yyjson_is_arr(mut(all))) {
		yyjson_arr_iter_init(mut(all), &it);
		while ((item = yyjson_arr_iter_next(&it)))
			gather(o, v, item, depth + 1);
	}
}

static const yyjson_val *look(const struct view *v, const char *key)
{
	for (int i = 0; i < v->n; i++) {
		const yyjson_val *x = gw_json_get(v->src[i].s, gw_str_z(key));

		if (x)
			return x;
	}
	return NULL;
}

/* The alternatives: anyOf, or oneOf, which here can only mean the same. */
static const yyjson_val *take_any(struct view *v)
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
	for (int i = 0; i < N_TYPES; i++) {
		if (gw_str_ieq(gw_str_z(types[i].ours), word))
			return types[i].t;
	}
	return 0;
}

static unsigned types_of_values(const yyjson_val *list)
{
	unsigned t = 0;
	yyjson_arr_iter it;
	yyjson_val *v;

	yyjson_arr_iter_init(mut(list), &it);
	while ((v = yyjson_arr_iter_next(&it)))
		t |= yyjson_is_str(v)  ? T_STRING
		     : yyjson_is_int(v)	 ? T_INTEGER
		     : yyjson_is_num(v)	 ? T_NUMBER
		     : yyjson_is_bool(v) ? T_BOOLEAN
		     : yyjson_is_null(v) ? T_NULL
					 : 0;
	return t;
}

/* Types as told, or as the other members let us know. */
static unsigned types_of(const struct view *v)
{
	const yyjson_val *t = look(v, "type"), *c = look(v, "const"), *e = look(v, "enum");
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
		       : yyjson_is_int(mut(c))	? T_INTEGER
		       : yyjson_is_num(mut(c))	? T_NUMBER
		       : yyjson_is_bool(mut(c)) ? T_BOOLEAN
		       : yyjson_is_null(mut(c)) ? T_NULL
						: 0;
	if (!mask && yyjson_is_arr(mut(e)))
		mask = types_of_values(e);
	if (!mask && look(v, "properties"))
		mask = T_OBJECT;
	if (!mask && (look(v, "items") || look(v, "prefixItems")))
		mask = T_ARRAY;
	if (yyjson_is_true(mut(look(v, "nullable"))))
		mask |= T_NULL;
	if ((mask & T_NUMBER) && (mask & T_INTEGER))
		mask &= ~(unsigned)T_INTEGER; /* every integer is a number */
	return mask;
}

/* ---- writing ---- */

static void emit(struct out *o, struct view *v, unsigned only, bool is_nullable, int depth);

static void emit_schema(struct out *o, const yyjson_val *s, int depth)
{
	struct view v = { .n = 0 };
	int refs = o->n_refs;

	gather(o, &v, s, 0);
	emit(o, &v, 0, false, depth);
	o->n_refs = refs;
}

/* Members that need no change for a type. */
static const struct {
	const char *key;
	unsigned of;
} plain[] = {
	{ "title", ~0u },	       { "default", ~0u },	      { "minLength", T_STRING },
	{ "maxLength", T_STRING },     { "pattern", T_STRING },	      { "minItems", T_ARRAY },
	{ "maxItems", T_ARRAY },       { "minProperties", T_OBJECT }, { "maxProperties", T_OBJECT },
	{ "propertyOrdering", T_OBJECT },
};
/* Members that say nothing about values, or are dealt with elsewhere. */
static const char *const quiet[] = {
	"$schema", "$id",	 "$comment",	"$defs",    "definitions", "$ref",	    "$anchor",		"allOf",
	"anyOf",   "oneOf",	 "type",	"const",    "enum",	   "description",   "examples",		"example",
	"nullable", "format",	 "items",	"properties", "required",  "minimum",	    "maximum",		"exclusiveMinimum",
	"exclusiveMaximum",	 "strict",	"readOnly", "writeOnly",   "deprecated",    "discriminator",	"prefixItems",
};

static void note_lost(struct out *o, const struct view *v)
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

				is_known = !yyjson_is_obj(x) || yyjson_obj_size(x) == 0; /* Gemini keeps to what is named */
			}
			if (!is_known)
				lose(o, key);
		}
	}
}

static void put_key(struct out *o, const char *key)
{
	gw_jw_key(o->w, gw_str_z(key));
}

/* The description, with what has no member of its own behind it. */
static void put_description(struct out *o, const struct view *v, struct gw_str format, const yyjson_val *values)
{
	struct gw_str d = gw_json_str(look(v, "description")), hint = GW_NIL;

	if (values)
		hint = gemini_json(o->a, values);
	if (hint.n > MAX_ENUM_HINT)
		hint = GW_NIL;
	if (!d.n && !format.n && !hint.n)
		return;
	if (format.n || hint.n)
		d = gw_arena_printf(o->a, "%.*s%s%s%.*s%s%s%.*s%s", GW_FMT(d), d.n ? " " : "", format.n ? "(format: " : "",
				    GW_FMT(format), format.n ? ")" : "", hint.n ? "(one of: " : "", GW_FMT(hint),
				    hint.n ? ")" : "");
	gw_jw_kstr(o->w, "description", d);
}

static bool is_format_known(unsigned type, struct gw_str f)
{
	static const struct {
		const char *word;
		unsigned of;
	} known[] = { { "enum", T_STRING },   { "date-time", T_STRING }, { "int32", T_INTEGER },
		      { "int64", T_INTEGER }, { "float", T_NUMBER },	 { "double", T_NUMBER } };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if ((type & known[i].of) && gw_str_eq(gw_str_z(known[i].word), f))
			return true;
	}
	return false;
}

/* enum and const of strings; other values become bounds or words in the description. */
static void put_values(struct out *o, const struct view *v, unsigned type)
{
	const yyjson_val *c = look(v, "const"), *e = look(v, "enum");
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
			else if (!yyjson_is_null(item) && types_of_values(e) == T_STRING)
				lose_z(o, "enum");
		}
		gw_jw_end_arr(o->w);
	} else if (c && (type == T_INTEGER || type == T_NUMBER) && yyjson_is_num(mut(c))) {
		put_key(o, "minimum");
		gw_jw_val(o->w, c);
		put_key(o, "maximum");
		gw_jw_val(o->w, c);
	} else if (c && !yyjson_is_null(mut(c))) {
		lose_z(o, "const");
	} else if (e && type != T_STRING) {
		lose_z(o, "enum"); /* told in the description */
	}
}

static void put_bounds(struct out *o, const struct view *v, unsigned type)
{
	static const struct {
		const char *key, *exclusive;
		int step;
	} bounds[] = { { "minimum", "exclusiveMinimum", 1 }, { "maximum", "exclusiveMaximum", -1 } };

	if (!(type & (T_INTEGER | T_NUMBER)) || yyjson_is_num(mut(look(v, "const"))))
		return;
	for (int i = 0; i < 2; i++) {
		const yyjson_val *x = look(v, bounds[i].key), *ex = look(v, bounds[i].exclusive);

		if (yyjson_is_num(mut(ex)) && !yyjson_is_num(mut(x))) {
			put_key(o, bounds[i].key);
			if (type == T_INTEGER && yyjson_is_int(mut(ex)) && yyjson_get_sint(mut(ex)) < INT32_MAX &&
			    yyjson_get_sint(mut(ex)) > INT32_MIN) {
				gw_jw_i64(o->w, yyjson_get_sint(mut(ex)) + bounds[i].step);
			} else {
				gw_jw_val(o->w, ex);
				lose_z(o, bounds[i].exclusive); /* the bound itself is let in */
			}
		} else if (yyjson_is_num(mut(x))) {
			put_key(o, bounds[i].key);
			gw_jw_val(o->w, x);
		}
	}
}

static void put_items(struct out *o, const struct view *v, int depth)
{
	const yyjson_val *items = look(v, "items"), *tuple = look(v, "prefixItems");

	if (yyjson_is_arr(mut(items)))
		tuple = items;
	if (yyjson_is_arr(mut(tuple))) {
		lose_z(o, "prefixItems");
		items = yyjson_arr_get_first(mut(tuple));
	}
	put_key(o, "items");
	if (yyjson_is_obj(mut(items)) && yyjson_obj_size(mut(items)))
		emit_schema(o, items, depth + 1);
	else
		gw_jw_raw(o->w, GW_LIT("{\"type\":\"STRING\"}")); /* an array must say what is in it */
}

static bool is_seen_before(const struct view *v, int src, const char *map, struct gw_str key)
{
	for (int i = 0; i < src; i++) {
		if (gw_json_get(gw_json_get(v->src[i].s, gw_str_z(map)), key))
			return true;
	}
	return false;
}

static void put_properties(struct out *o, const struct view *v, int depth)
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

static bool has_properties(const struct view *v)
{
	for (int i = 0; i < v->n; i++) {
		const yyjson_val *p = gw_json_get(v->src[i].s, GW_LIT("properties"));

		if (yyjson_is_obj(mut(p)) && yyjson_obj_size(mut(p)))
			return true;
	}
	return false;
}

/* A schema of one type. */
static void emit_one(struct out *o, const struct view *v, unsigned type, bool is_nullable, int depth)
{
	struct gw_str format = gw_json_str(look(v, "format"));
	const yyjson_val *e = look(v, "enum"), *example = look(v, "example"), *examples = look(v, "examples");

	gw_jw_obj(o->w);
	for (int i = 0; i < N_TYPES; i++) {
		if (types[i].t == type)
			gw_jw_kstr(o->w, "type", gw_str_z(types[i].theirs));
	}
	if (is_nullable)
		gw_jw_kbool(o->w, "nullable", true);
	if (format.n && is_format_known(type, format)) {
		gw_jw_kstr(o->w, "format", format);
		format = GW_NIL;
	}
	put_description(o, v, format, type != T_STRING && yyjson_is_arr(mut(e)) ? e : NULL);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		const yyjson_val *x = (plain[i].of & type) ? look(v, plain[i].key) : NULL;

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
static void emit_member(struct out *o, const struct view *parent, const yyjson_val *s, bool is_nullable, int depth)
{
	struct view v = { .n = 0 };
	int refs = o->n_refs;

	gather(o, &v, s, 0);
	for (int i = 0; i < parent->n && v.n < MAX_SOURCES; i++)
		v.src[v.n++] = parent->src[i];
	emit(o, &v, 0, is_nullable, depth + 1);
	o->n_refs = refs;
}

static void emit_any(struct out *o, const struct view *v, const yyjson_val *any, bool is_nullable, int depth)
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

static void emit(struct out *o, struct view *v, unsigned only, bool is_nullable, int depth)
{
	const yyjson_val *any = only ? NULL : take_any(v);
	unsigned mask, rest;

	if (o->is_too_big || depth > MAX_DEPTH || o->w->b->n - o->began > MAX_OUT_BYTES) {
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
	mask = only ? only : types_of(v);
	if (!mask && look(v, "$ref"))
		mask = T_OBJECT; /* a reference that could not be followed */
	rest = mask & ~(unsigned)T_NULL;
	if (rest && (mask & T_NULL))
		is_nullable = true;
	if (rest & (rest - 1)) { /* several types: one alternative each */
		gw_jw_obj(o->w);
		put_key(o, "anyOf");
		gw_jw_arr(o->w);
		for (int i = 0; i < N_TYPES; i++) {
			if (rest & types[i].t)
				emit_one(o, v, types[i].t, is_nullable, depth + 1);
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
	struct out o = { .a = a, .root = schema, .rq = rq, .where = where, .w = w, .began = w->b->n, .is_strict = is_strict };

	o.refs[o.n_refs++] = schema; /* "#" leads back here */
	emit_schema(&o, schema, 0);
	if (o.is_too_big) {
		*why = GW_LIT("the schema is nested too deep, or its references unfold to more than 512 KiB, which is more than this "
			      "provider's schema form can take");
		return GW_E_INVALID;
	}
	if (is_strict && o.lost.p) {
		*why = gw_arena_printf(a, "strict is asked for, but this provider's schemas have no \"%.*s\"; leave the keyword out or "
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
	return !gw_json_get(s, GW_LIT("$ref")) && !gw_json_get(s, GW_LIT("anyOf")) && !gw_json_get(s, GW_LIT("oneOf")) &&
	       !gw_json_get(s, GW_LIT("allOf"));
}
