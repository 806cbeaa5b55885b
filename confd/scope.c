/* Scope of a caller. An object's scope is its org and team; an org object's is itself, a team object's is itself inside
 * its org. docs/CONFIG_CALLS.md has the table that this file is. */
#include "confd/scope.h"

static const char *const role_names[] = { "viewer", "platform-admin", "org-admin", "team-admin", "member", "auditor" };

static bool role_by_name(struct gw_str s, enum gw_grant_role *out)
{
	for (size_t i = 0; i < sizeof(role_names) / sizeof(role_names[0]); i++) {
		if (gw_str_eq(s, gw_str_z(role_names[i]))) {
			*out = (enum gw_grant_role)i;
			return true;
		}
	}
	return false;
}

static struct gw_str text_of(const yyjson_val *obj, const char *name)
{
	yyjson_val *v = gw_json_get(obj, gw_str_z(name));

	return yyjson_is_str(v) ? gw_json_str(v) : GW_NIL;
}

enum gw_err gw_actor_read(struct gw_ctx *c, struct gw_str json)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	yyjson_val *role;
	size_t i, max;

	c->actor = (struct gw_actor){ 0 };
	if (json.n == 0)
		return GW_OK;
	enum gw_err e = gw_json_read(json, &gw_json_default_limits, &doc, &fault);

	if (e == GW_OK)
		e = gw_ctx_keep(c, doc);
	if (e != GW_OK)
		return gw_fail(c, GW_E_INVALID, "The actor of the call is not valid JSON.");
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct gw_actor *a = &c->actor;

	a->key = text_of(root, "key");
	a->user = text_of(root, "user");
	a->source = text_of(root, "source");
	a->request_id = text_of(root, "request_id");
	a->route = text_of(root, "route");
	yyjson_arr_foreach(yyjson_obj_get(root, "roles"), i, max, role)
	{
		struct gw_grant g = { 0, text_of(role, "org"), text_of(role, "team") };

		if (a->n_grants < GW_ACTOR_GRANTS && role_by_name(text_of(role, "role"), &g.role))
			a->grants[a->n_grants++] = g;
	}
	return GW_OK;
}

void gw_actor_system(struct gw_ctx *c)
{
	c->actor = (struct gw_actor){ .key = GW_LIT("system"), .source = GW_LIT("confd"), .n_grants = 1 };
	c->actor.grants[0] = (struct gw_grant){ .role = GW_GRANT_PLATFORM_ADMIN };
}

bool gw_scope_is_platform(const struct gw_actor *a)
{
	for (unsigned i = 0; i < a->n_grants; i++) {
		if (a->grants[i].role == GW_GRANT_PLATFORM_ADMIN && a->grants[i].org.n == 0)
			return true;
	}
	return false;
}

struct where {
	struct gw_str org, team;
};

static struct where scope_of(enum gw_cf_kind kind, const yyjson_val *obj)
{
	if (kind == GW_KIND_org)
		return (struct where){ text_of(obj, "id"), GW_NIL };
	if (kind == GW_KIND_team)
		return (struct where){ text_of(obj, "org"), text_of(obj, "id") };
	return (struct where){ text_of(obj, "org"), text_of(obj, "team") };
}

/* Is `w` at or below the grant's place in the tenant tree? */
static bool covers(const struct gw_grant *g, struct where w)
{
	if (g->org.n == 0)
		return true;
	return gw_str_eq(g->org, w.org) && (g->team.n == 0 || gw_str_eq(g->team, w.team));
}

static bool member_may_read(const struct gw_actor *a, enum gw_cf_kind kind, const yyjson_val *obj)
{
	if (kind == GW_KIND_model || kind == GW_KIND_team)
		return true;
	if (kind == GW_KIND_user)
		return a->user.n > 0 && gw_str_eq(text_of(obj, "id"), a->user);
	if (kind == GW_KIND_account || kind == GW_KIND_token) {
		struct gw_str head, tail;

		return gw_str_cut(a->key, ':', &head, &tail) && gw_str_eq(head, gw_str_z(gw_cf_kinds[kind].name)) &&
		       gw_str_eq(tail, text_of(obj, "id"));
	}
	return kind == GW_KIND_key && a->user.n > 0 && gw_str_eq(text_of(obj, "user"), a->user);
}

bool gw_scope_may_read(const struct gw_actor *a, enum gw_cf_kind kind, const yyjson_val *obj)
{
	struct where w = scope_of(kind, obj);

	for (unsigned i = 0; i < a->n_grants; i++) {
		const struct gw_grant *g = &a->grants[i];

		if (kind == GW_KIND_org && g->org.n > 0 && gw_str_eq(g->org, w.org))
			return true;
		if (covers(g, w) && (g->role != GW_GRANT_MEMBER || member_may_read(a, kind, obj)))
			return true;
	}
	return false;
}

static bool grant_may_write(const struct gw_actor *a, const struct gw_grant *g, enum gw_cf_kind kind,
			    const yyjson_val *obj)
{
	switch (g->role) {
	case GW_GRANT_PLATFORM_ADMIN:
		return g->org.n == 0;
	case GW_GRANT_ORG_ADMIN:
		return g->org.n > 0 && gw_cf_kinds[kind].owner != GW_CF_PLATFORM;
	case GW_GRANT_TEAM_ADMIN:
		return g->team.n > 0 && gw_cf_kinds[kind].owner != GW_CF_PLATFORM && kind != GW_KIND_team;
	case GW_GRANT_MEMBER:
		return g->org.n > 0 && kind == GW_KIND_key && a->user.n > 0 &&
		       gw_str_eq(text_of(obj, "user"), a->user) && !gw_str_eq(text_of(obj, "purpose"), GW_LIT("admin"));
	case GW_GRANT_VIEWER:
	case GW_GRANT_AUDITOR:
		return false;
	}
	return false;
}

bool gw_scope_may_write(const struct gw_actor *a, enum gw_cf_kind kind, const yyjson_val *obj)
{
	struct where w = scope_of(kind, obj);

	for (unsigned i = 0; i < a->n_grants; i++) {
		if (covers(&a->grants[i], w) && grant_may_write(a, &a->grants[i], kind, obj))
			return true;
	}
	return false;
}

bool gw_scope_may_use(const struct gw_actor *a, enum gw_cf_kind target_kind, const yyjson_val *target)
{
	if (gw_scope_is_platform(a))
		return true;
	if (target_kind == GW_KIND_provider && text_of(target, "org").n == 0)
		return true;
	if ((target_kind == GW_KIND_deployment || target_kind == GW_KIND_model) && text_of(target, "org").n == 0)
		return gw_cf_bool(target, target_kind, "shared");
	if (target_kind == GW_KIND_org || target_kind == GW_KIND_team)
		return gw_scope_may_read(a, target_kind, target);
	struct where w = scope_of(target_kind, target);

	for (unsigned i = 0; i < a->n_grants; i++) {
		if (a->grants[i].org.n > 0 && gw_str_eq(a->grants[i].org, w.org))
			return true;
	}
	return false;
}

struct gw_str gw_scope_role_name(const struct gw_actor *a, const yyjson_val *obj)
{
	struct where w = { text_of(obj, "org"), text_of(obj, "team") };
	static const enum gw_grant_role order[] = { GW_GRANT_PLATFORM_ADMIN, GW_GRANT_ORG_ADMIN, GW_GRANT_TEAM_ADMIN,
						    GW_GRANT_MEMBER,         GW_GRANT_AUDITOR,   GW_GRANT_VIEWER };

	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		for (unsigned i = 0; i < a->n_grants; i++) {
			if (a->grants[i].role == order[k] && covers(&a->grants[i], w))
				return gw_str_z(role_names[order[k]]);
		}
	}
	return GW_NIL;
}
