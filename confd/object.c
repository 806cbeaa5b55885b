/* Objects in the store: row keys, what callers see of them, what they refer to. */
#include "confd/object.h"

struct gw_str gw_obj_key(enum gw_cf_kind kind, struct gw_str id, char out[GW_OBJ_KEY_BYTES])
{
	if (id.n == 0 || id.n >= GW_OBJ_KEY_BYTES)
		return GW_NIL;
	out[0] = (char)kind;
	memcpy(out + 1, id.p, id.n);
	return gw_str(out, id.n + 1);
}

bool gw_obj_key_read(struct gw_str key, enum gw_cf_kind *kind, struct gw_str *id)
{
	if (key.n < 2 || (uint8_t)key.p[0] >= GW_KIND_COUNT)
		return false;
	*kind = (enum gw_cf_kind)key.p[0];
	*id = gw_str_skip(key, 1);
	return true;
}

enum gw_err gw_obj_text(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_str *json)
{
	char buf[GW_OBJ_KEY_BYTES];
	struct gw_str v;
	enum gw_err e = gw_txn_get(c->txn, GW_T_OBJECT, gw_obj_key(kind, id, buf), &v);

	if (e != GW_OK)
		return e;
	*json = gw_arena_str(&c->arena, v);
	return json->p != NULL ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_obj_get(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_str *json, yyjson_val **obj)
{
	enum gw_err e = gw_obj_text(c, kind, id, json);

	return e == GW_OK ? gw_ctx_tree(c, *json, obj) : e;
}

struct gw_str gw_obj_str(const yyjson_val *obj, const char *name)
{
	yyjson_val *v = gw_json_get(obj, gw_str_z(name));

	return yyjson_is_str(v) ? gw_json_str(v) : GW_NIL;
}

uint64_t gw_obj_u64(const yyjson_val *obj, const char *name)
{
	return yyjson_get_uint(gw_json_get(obj, gw_str_z(name)));
}

void gw_obj_print(struct gw_json_out *w, enum gw_cf_kind kind, const yyjson_val *obj, bool is_portable,
		  struct gw_str token)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];

	gw_jw_obj(w);
	if (is_portable)
		gw_jw_kstr(w, "kind", gw_str_z(k->name));
	for (unsigned i = 0; i < k->n_fields; i++) {
		const struct gw_cf_field *f = k->fields[i];
		yyjson_val *v = gw_json_get(obj, gw_str_z(f->name));

		if (v == NULL || (f->flags & GW_CF_WO) || (is_portable && (f->flags & GW_CF_RO)))
			continue;
		if ((kind == GW_KIND_key || kind == GW_KIND_token) && gw_str_eq(gw_str_z(f->name), GW_LIT("index")))
			continue;
		gw_jw_key(w, gw_str_z(f->name));
		gw_jw_val(w, v);
	}
	if (token.n > 0)
		gw_jw_kstr(w, "token", token);
	gw_jw_end_obj(w);
}

struct gw_str gw_obj_tenant(struct gw_ctx *c, const yyjson_val *obj)
{
	struct gw_str org = gw_obj_str(obj, "org"), team = gw_obj_str(obj, "team");

	if (team.n > 0)
		return gw_arena_printf(&c->arena, "t:%.*s", GW_FMT(team));
	return org.n > 0 ? gw_arena_printf(&c->arena, "o:%.*s", GW_FMT(org)) : GW_LIT("");
}

struct gw_str gw_obj_model_key(struct gw_ctx *c, const yyjson_val *model)
{
	struct gw_str tenant = gw_obj_tenant(c, model), name = gw_cf_str(model, GW_KIND_model, "name");

	return gw_arena_printf(&c->arena, "%.*s\x1f%.*s", GW_FMT(tenant), GW_FMT(name));
}

/* --- references --- */

static enum gw_err refs_of_field(const struct gw_cf_field *f, yyjson_val *v, gw_ref_fn *fn, void *ctx)
{
	enum gw_cf_kind to = f->ref;
	enum gw_err e = GW_OK;
	yyjson_val *item;
	size_t i, max;

	switch (f->type) {
	case GW_CF_REF:
		return yyjson_get_len(v) > 0 ? fn(ctx, f->name, (size_t)GW_REF_SINGLE, to, gw_json_str(v)) : GW_OK;
	case GW_CF_REFS:
		break;
	case GW_CF_TARGETS:
		to = GW_KIND_deployment;
		break;
	case GW_CF_IDS:
		if (!gw_str_eq(gw_str_z(f->name), GW_LIT("teams")))
			return GW_OK;
		to = GW_KIND_team;
		break;
	default:
		return GW_OK;
	}
	yyjson_arr_foreach(v, i, max, item)
	{
		yyjson_val *id = f->type == GW_CF_TARGETS ? yyjson_obj_get(item, "deployment") : item;

		if (e == GW_OK)
			e = fn(ctx, f->name, i, to, gw_json_str(id));
	}
	return e;
}

enum gw_err gw_refs_each(enum gw_cf_kind kind, const yyjson_val *obj, gw_ref_fn *fn, void *ctx)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];
	struct gw_str org = gw_obj_str(obj, "org"), team = gw_obj_str(obj, "team");
	enum gw_err e = GW_OK;

	if (org.n > 0)
		e = fn(ctx, "org", (size_t)GW_REF_SINGLE, GW_KIND_org, org);
	if (e == GW_OK && team.n > 0)
		e = fn(ctx, "team", (size_t)GW_REF_SINGLE, GW_KIND_team, team);
	for (unsigned i = 0; e == GW_OK && i < k->n_fields; i++) {
		yyjson_val *v = gw_json_get(obj, gw_str_z(k->fields[i]->name));

		if (v != NULL)
			e = refs_of_field(k->fields[i], v, fn, ctx);
	}
	return e;
}

struct gw_str gw_ref_key(struct gw_ctx *c, enum gw_cf_kind to, struct gw_str to_id, enum gw_cf_kind from,
			 struct gw_str from_id)
{
	size_t n = 3 + to_id.n + from_id.n;
	char *p = gw_alloc_bytes(&c->arena, n);

	if (p == NULL || to_id.n == 0)
		return GW_NIL;
	p[0] = (char)to;
	memcpy(p + 1, to_id.p, to_id.n);
	p[1 + to_id.n] = '\0';
	p[2 + to_id.n] = (char)from;
	if (from_id.n > 0)
		memcpy(p + 3 + to_id.n, from_id.p, from_id.n);
	return gw_str(p, n);
}
