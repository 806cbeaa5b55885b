/* schemas/routes.def as a table, and the one place where a path becomes a route. */
#include "admin/admin.h"
#include "lib/url.h"

#define P    GW_ADM_P
#define O    GW_ADM_O
#define T    GW_ADM_T
#define M    GW_ADM_M
#define V    GW_ADM_V
#define A    GW_ADM_A
#define NONE 0
#define GW_ROUTE(name, method, path, roles, scope, body, audit, doc)                                                   \
	{ #name, GW_H1_##method, path, roles, GW_ADM_##scope, GW_ADM_BODY_##body, GW_ADM_##audit, gw_adm_##name, doc },
const struct gw_adm_route gw_adm_routes[] = {
#include "schemas/routes.def"
};
const unsigned gw_adm_n_routes = sizeof gw_adm_routes / sizeof gw_adm_routes[0];

static struct gw_str decode(struct gw_arena *a, struct gw_str s)
{
	struct gw_buf b;
	struct gw_str out = GW_NIL;

	gw_buf_init(&b, 2048);
	if (gw_url_decode(&b, s) && !b.err)
		out = gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

/* Longest text of the segment up to '/' ; rest goes on behind it. */
static struct gw_str segment(struct gw_str *rest)
{
	struct gw_str head;

	if (!gw_str_cut(*rest, '/', &head, rest))
		*rest = GW_NIL;
	return head;
}

/* One pattern segment against one path segment: literal, {kind}, {id}, {kind}:verb or {id}:verb. */
static bool fits(struct gw_arena *a, struct gw_str want, struct gw_str got, struct gw_str *kind, struct gw_str *id)
{
	bool is_kind = gw_str_has_prefix(want, GW_LIT("{kind}"));
	if (!is_kind && !gw_str_has_prefix(want, GW_LIT("{id}")))
		return gw_str_eq(want, got);
	struct gw_str verb = gw_str_skip(want, is_kind ? 6 : 4);
	if (verb.n && (got.n <= verb.n || !gw_str_eq(gw_str_skip(got, got.n - verb.n), verb)))
		return false;
	got.n -= verb.n;
	/* ids have no ':'; one with a verb that has no route is nothing */
	if (!got.n || gw_str_find(got, ':') != got.n)
		return false;
	*(is_kind ? kind : id) = decode(a, got);
	return is_kind ? kind->n > 0 : id->n > 0;
}

static bool path_fits(struct gw_arena *a, const char *pattern, struct gw_str path, struct gw_str *kind,
		      struct gw_str *id)
{
	struct gw_str want = gw_str_z(pattern);

	while (want.p || path.p) {
		struct gw_str w = segment(&want), g = segment(&path);

		if (!fits(a, w, g, kind, id) || !want.p != !path.p)
			return false;
	}
	return true;
}

static bool is_admin_kind(struct gw_str kind)
{
	enum gw_cf_kind k;

	return gw_cf_kind_by_plural(kind, &k);
}

enum gw_err gw_adm_route_find(struct gw_arena *a, enum gw_h1_method m, struct gw_str path,
			      const struct gw_adm_route **out, struct gw_str *kind, struct gw_str *id)
{
	bool is_path_known = false;
	struct gw_mark mark = gw_arena_mark(a);

	for (unsigned i = 0; i < gw_adm_n_routes; i++) {
		struct gw_str k = GW_NIL, d = GW_NIL;

		gw_arena_reset(a, mark);
		if (!path_fits(a, gw_adm_routes[i].path, path, &k, &d) || (k.n && !is_admin_kind(k)))
			continue;
		is_path_known = true;
		if (gw_adm_routes[i].method != m)
			continue;
		*out = &gw_adm_routes[i];
		*kind = k;
		*id = d;
		return GW_OK;
	}
	return is_path_known ? GW_E_BAD_METHOD : GW_E_NO_ROUTE;
}

void gw_adm_route_allow(struct gw_arena *a, struct gw_str path, struct gw_buf *out)
{
	static const char *const names[] = {
		[GW_H1_GET] = "GET",     [GW_H1_HEAD] = "HEAD",     [GW_H1_POST] = "POST",      [GW_H1_PUT] = "PUT",
		[GW_H1_PATCH] = "PATCH", [GW_H1_DELETE] = "DELETE", [GW_H1_OPTIONS] = "OPTIONS"
	};
	struct gw_mark mark = gw_arena_mark(a);

	for (unsigned i = 0; i < gw_adm_n_routes; i++) {
		struct gw_str k = GW_NIL, d = GW_NIL;

		gw_arena_reset(a, mark);
		if (!path_fits(a, gw_adm_routes[i].path, path, &k, &d) || (k.n && !is_admin_kind(k)))
			continue;
		gw_buf_puts(out, out->n ? GW_LIT(", ") : GW_LIT(""));
		gw_buf_puts(out, gw_str_z(names[gw_adm_routes[i].method]));
	}
}
