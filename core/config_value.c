/* Values of configuration fields: reading them from JSON trees with their defaults, and writing canonical JSON (keys in row
 * order, defaults left out, durations as ms, map keys sorted), which is what confd stores and what two exports compare by. */
#include "core/config_impl.h"
#include "lib/text.h"

yyjson_val *gw_cf_given(const yyjson_val *obj, const struct gw_cf_field *f)
{
	yyjson_val *v = gw_json_get(obj, gw_str_z(f->name));

	return v && !yyjson_is_null(v) ? v : NULL;
}

bool gw_cf_is_number_type(enum gw_cf_type t)
{
	return t == GW_CF_U64 || t == GW_CF_NANO || t == GW_CF_DUR || t == GW_CF_BOOL || t == GW_CF_ENUM;
}

bool gw_cf_is_text_type(enum gw_cf_type t)
{
	return t == GW_CF_STR || t == GW_CF_ID || t == GW_CF_NAME || t == GW_CF_REF || t == GW_CF_URL ||
	       t == GW_CF_PEM || t == GW_CF_TIME || t == GW_CF_SECRET;
}

struct gw_str gw_cf_word(const struct gw_cf_field *f, uint64_t i)
{
	struct gw_str rest = gw_str_z(f->def), word;

	while (gw_str_cut(rest, '|', &word, &rest)) {
		if (i-- == 0)
			return word;
	}
	return i == 0 ? word : GW_NIL;
}

static bool word_index(const struct gw_cf_field *f, struct gw_str text, uint64_t *out)
{
	for (uint64_t i = 0;; i++) {
		struct gw_str w = gw_cf_word(f, i);

		if (!w.p)
			return false;
		if (gw_str_eq(w, text)) {
			*out = i;
			return true;
		}
	}
}

bool gw_cf_number(const struct gw_cf_field *f, const yyjson_val *v_const, uint64_t *out)
{
	yyjson_val *v = (yyjson_val *)(uintptr_t)v_const;

	switch (f->type) {
	case GW_CF_BOOL:
		if (!yyjson_is_bool(v))
			return false;
		*out = yyjson_get_bool(v);
		return true;
	case GW_CF_ENUM:
		return yyjson_is_str(v) && word_index(f, gw_json_str(v), out);
	case GW_CF_DUR:
		if (yyjson_is_str(v))
			return gw_duration_read(gw_json_str(v), out);
		break;
	default:
		break;
	}
	if (!yyjson_is_uint(v))
		return false;
	*out = yyjson_get_uint(v);
	return true;
}

uint64_t gw_cf_default_number(const struct gw_cf_field *f)
{
	struct gw_str def = gw_str_z(f->def);
	uint64_t v = 0;

	if (f->type == GW_CF_BOOL)
		return gw_str_eq(def, GW_LIT("true"));
	if (f->type == GW_CF_DUR)
		return gw_duration_read(def, &v) ? v : 0;
	if (f->type == GW_CF_ENUM)
		return 0;
	return gw_str_u64(def, &v) ? v : 0;
}

/* A model's name is its id unless it says otherwise: the one default that is another field. */
static struct gw_str default_text(const yyjson_val *obj, const struct gw_cf_field *f)
{
	if (f->kind == GW_KIND_model && f->type == GW_CF_NAME) {
		struct gw_str id = gw_json_str(gw_json_get(obj, GW_LIT("id")));

		return id.p ? id : GW_LIT("");
	}
	return gw_str_z(f->def);
}

struct gw_str gw_cf_text(const yyjson_val *obj, const struct gw_cf_field *f)
{
	yyjson_val *v = gw_cf_given(obj, f);

	if (v && yyjson_is_str(v) && yyjson_get_len(v) > 0)
		return gw_json_str(v);
	return default_text(obj, f);
}

bool gw_cf_is_default(const yyjson_val *obj, const struct gw_cf_field *f, const yyjson_val *v_const)
{
	yyjson_val *v = (yyjson_val *)(uintptr_t)v_const;
	uint64_t n;

	if (f->flags & GW_CF_REQ)
		return false;
	if (gw_cf_is_number_type(f->type))
		return gw_cf_number(f, v, &n) && n == gw_cf_default_number(f);
	if (gw_cf_is_text_type(f->type))
		return yyjson_get_len(v) == 0 || gw_str_eq(gw_json_str(v), default_text(obj, f));
	return yyjson_get_len(v) == 0 || yyjson_arr_size(v) + yyjson_obj_size(v) == 0;
}

/* ---- for readers of trees ---- */

uint64_t gw_cf_u64(const yyjson_val *obj, enum gw_cf_kind kind, const char *field)
{
	const struct gw_cf_field *f = gw_cf_field_find(kind, gw_str_z(field));
	yyjson_val *v;
	uint64_t n;

	GW_REQUIRE(f && gw_cf_is_number_type(f->type));
	v = gw_cf_given(obj, f);
	return v && gw_cf_number(f, v, &n) ? n : gw_cf_default_number(f);
}

bool gw_cf_bool(const yyjson_val *obj, enum gw_cf_kind kind, const char *field)
{
	return gw_cf_u64(obj, kind, field) != 0;
}

struct gw_str gw_cf_str(const yyjson_val *obj, enum gw_cf_kind kind, const char *field)
{
	const struct gw_cf_field *f = gw_cf_field_find(kind, gw_str_z(field));
	uint64_t n = 0;

	GW_REQUIRE(f && (gw_cf_is_text_type(f->type) || f->type == GW_CF_ENUM));
	if (f->type == GW_CF_ENUM) {
		yyjson_val *v = gw_cf_given(obj, f);

		return gw_cf_word(f, v && gw_cf_number(f, v, &n) ? n : 0);
	}
	return gw_cf_text(obj, f);
}

/* ---- canonical JSON ---- */

/* Pairs in the order of their keys. At most f->max of them (32): the smallest key above the last one is searched each time. */
static void put_map(struct gw_json_out *w, const yyjson_val *map)
{
	struct gw_str last = GW_NIL;

	gw_jw_obj(w);
	for (;;) {
		yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)map);
		yyjson_val *key, *best = NULL;

		while ((key = yyjson_obj_iter_next(&it))) {
			struct gw_str k = gw_json_str(key);

			if ((!last.p || gw_str_cmp(k, last) > 0) && (!best || gw_str_cmp(k, gw_json_str(best)) < 0))
				best = key;
		}
		if (!best)
			break;
		last = gw_json_str(best);
		gw_jw_key(w, last);
		gw_jw_str(w, gw_json_str(yyjson_obj_iter_get_val(best)));
	}
	gw_jw_end_obj(w);
}

static uint64_t target_number(const yyjson_val *target, struct gw_str name, uint64_t def)
{
	yyjson_val *v = gw_json_get(target, name);

	return yyjson_is_uint(v) ? yyjson_get_uint(v) : def;
}

static void put_target(struct gw_json_out *w, const yyjson_val *t)
{
	uint64_t weight = target_number(t, GW_LIT("weight"), 1), priority = target_number(t, GW_LIT("priority"), 0);

	gw_jw_obj(w);
	gw_jw_kstr(w, "deployment", gw_json_str(gw_json_get(t, GW_LIT("deployment"))));
	if (weight != 1)
		gw_jw_ku64(w, "weight", weight);
	if (priority != 0)
		gw_jw_ku64(w, "priority", priority);
	gw_jw_end_obj(w);
}

static void put_value(struct gw_json_out *w, const struct gw_cf_field *f, const yyjson_val *v)
{
	yyjson_arr_iter it;
	yyjson_val *item;
	uint64_t n = 0;

	gw_jw_key(w, gw_str_z(f->name));
	if (f->type == GW_CF_BOOL || f->type == GW_CF_ENUM) {
		gw_jw_val(w, v);
	} else if (gw_cf_is_number_type(f->type)) {
		gw_cf_number(f, v, &n);
		gw_jw_u64(w, n);
	} else if (f->type == GW_CF_MAP) {
		put_map(w, v);
	} else if (gw_cf_is_text_type(f->type)) {
		gw_jw_str(w, gw_json_str(v));
	} else {
		gw_jw_arr(w);
		it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)v);
		while ((item = yyjson_arr_iter_next(&it))) {
			if (f->type == GW_CF_TARGETS)
				put_target(w, item);
			else
				gw_jw_str(w, gw_json_str(item));
		}
		gw_jw_end_arr(w);
	}
}

static const struct gw_cf_set *find_set(const struct gw_cf_field *f, const struct gw_cf_set *sets, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (gw_str_eq(gw_str_z(sets[i].field), gw_str_z(f->name)))
			return &sets[i];
	}
	return NULL;
}

static void put_set(struct gw_json_out *w, const struct gw_cf_field *f, const struct gw_cf_set *s)
{
	if (s->type == GW_CF_SET_U64) {
		if (s->u64 != gw_cf_default_number(f))
			gw_jw_ku64(w, f->name, s->u64);
	} else if (!gw_str_eq(s->str, gw_str_z(f->def))) {
		gw_jw_kstr(w, f->name, s->str);
	}
}

void gw_cf_canonical(enum gw_cf_kind kind, const yyjson_val *obj, const struct gw_cf_set *sets, unsigned n_sets,
		     struct gw_buf *out)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	for (unsigned i = 0; i < k->n_fields; i++) {
		const struct gw_cf_field *f = k->fields[i];
		const struct gw_cf_set *s = find_set(f, sets, n_sets);
		yyjson_val *v = gw_cf_given(obj, f);

		if (f->flags & GW_CF_WO)
			continue;
		if (s)
			put_set(&w, f, s);
		else if (v && !gw_cf_is_default(obj, f, v))
			put_value(&w, f, v);
	}
	gw_jw_end_obj(&w);
}
