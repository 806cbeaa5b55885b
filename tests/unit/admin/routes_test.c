/* Paths become routes in one place, and every cell of route x role x scope is what the policy says. The policy is written down here a second
 * time, by hand: a row of schemas/routes.def that changes its rights must change here too, with somebody's eyes on it. */
#include "tests/unit/admin/fake_admin.h"

static enum gw_err find(enum gw_h1_method m, const char *path, const char **name, char *id, char *kind)
{
	const struct gw_adm_route *r = NULL;
	struct gw_str k = GW_NIL, d = GW_NIL;
	struct gw_arena a;
	enum gw_err e;

	gw_arena_init(&a, NULL, 0, 65536);
	e = gw_adm_route_find(&a, m, gw_str_z(path), &r, &k, &d);
	*name = e ? NULL : r->name;
	snprintf(id, 64, "%.*s", GW_FMT(d));
	snprintf(kind, 64, "%.*s", GW_FMT(k));
	gw_arena_done(&a);
	return e;
}

static const struct {
	enum gw_h1_method m;
	const char *path, *name, *kind, *id;
} good_paths[] = {
	{ GW_H1_GET, "/admin/v1/keys", "objects_list", "keys", "" },
	{ GW_H1_POST, "/admin/v1/models", "objects_create", "models", "" },
	{ GW_H1_GET, "/admin/v1/models/m-1", "objects_get", "models", "m-1" },
	{ GW_H1_GET, "/admin/v1/models/a%2Fb", "objects_get", "models",
	  "a/b" }, /* decoded after the cut: never two segments */
	{ GW_H1_GET, "/admin/v1/models/%2e%2e", "objects_get", "models",
	  ".." }, /* an id like any other: no path is made of it */
	{ GW_H1_PUT, "/admin/v1/models/m", "objects_put", "models", "m" },
	{ GW_H1_PATCH, "/admin/v1/models/m", "objects_patch", "models", "m" },
	{ GW_H1_DELETE, "/admin/v1/models/m", "objects_delete", "models", "m" },
	{ GW_H1_POST, "/admin/v1/credentials/c:rotate", "cred_rotate", "", "c" },
	{ GW_H1_POST, "/admin/v1/deployments/d:test", "dep_test", "", "d" },
	{ GW_H1_GET, "/admin/v1/deployments/d:health", "dep_health", "", "d" },
	{ GW_H1_GET, "/admin/v1/deployments:health", "dep_healths", "", "" },
	{ GW_H1_POST, "/admin/v1/config:apply", "config_apply", "", "" },
	{ GW_H1_GET, "/admin/v1/logs:tail", "logs_tail", "", "" },
	{ GW_H1_GET, "/admin/v1/logs", "logs", "", "" },
	{ GW_H1_GET, "/metrics", "metrics", "", "" },
	{ GW_H1_POST, "/admin/v1/keys:bulk", "objects_bulk", "keys", "" },
	{ GW_H1_POST, "/admin/v1/session", "session_open", "", "" },
	{ GW_H1_POST, "/admin/v1/accounts/a:password", "account_password", "", "a" },
};
static const struct {
	enum gw_h1_method m;
	const char *path;
	enum gw_err e;
} bad_paths[] = {
	{ GW_H1_GET, "/", GW_E_NO_ROUTE },
	{ GW_H1_GET, "", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1//keys", GW_E_NO_ROUTE },
	{ GW_H1_GET, "//admin/v1/keys", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys//x", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/x/", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/x/y", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/Keys", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/Admin/v1/keys", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/key", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/nothing", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/../v1/keys", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/../models", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin%2Fv1%2Fkeys", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/%zz", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/%", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys/k:rotate", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/credentials/c:rotates", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/credentials/c:", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/credentials/:rotate", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/credentials/a:b:rotate", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/config:Apply", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/config%3aapply", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/keyring:explode", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/credentials/c:rotate", GW_E_BAD_METHOD },
	{ GW_H1_DELETE, "/admin/v1/keys", GW_E_BAD_METHOD },
	{ GW_H1_HEAD, "/admin/v1/keys", GW_E_BAD_METHOD },
	{ GW_H1_OPTIONS, "/admin/v1/keys/k", GW_E_BAD_METHOD },
	{ GW_H1_POST, "/metrics", GW_E_BAD_METHOD },
	{ GW_H1_POST, "/admin/v1/nothing:bulk", GW_E_NO_ROUTE },
	{ GW_H1_POST, "/admin/v1/:bulk", GW_E_NO_ROUTE },
	{ GW_H1_GET, "/admin/v1/keys:bulk", GW_E_BAD_METHOD },
};

static void paths(void **state)
{
	(void)state;
	char id[64], kind[64], longest[9000];
	const char *name;

	for (size_t i = 0; i < sizeof good_paths / sizeof good_paths[0]; i++) {
		if (find(good_paths[i].m, good_paths[i].path, &name, id, kind) || strcmp(name, good_paths[i].name) != 0)
			fail_msg("%s: %s", good_paths[i].path, name ? name : "no route");
		assert_string_equal(id, good_paths[i].id);
		assert_string_equal(kind, good_paths[i].kind);
	}
	for (size_t i = 0; i < sizeof bad_paths / sizeof bad_paths[0]; i++) {
		enum gw_err e = find(bad_paths[i].m, bad_paths[i].path, &name, id, kind);

		if (e != bad_paths[i].e)
			fail_msg("%s: %s %s", bad_paths[i].path, gw_err_info(e)->name, name ? name : "");
	}
	memset(longest, 'x', sizeof longest);
	memcpy(longest, "/admin/v1/keys/", 15);
	longest[8000] = 0;
	assert_int_equal(find(GW_H1_GET, longest, &name, id, kind), GW_E_NO_ROUTE);
}

/* Roles that may call it; '!' = only with a platform-wide grant; "-" = nobody needs to be known. */
static const struct {
	const char *route, *who;
} policy[] = {
	{ "objects_list", "POTMVA" },
	{ "objects_create", "POTM" },
	{ "objects_get", "POTMVA" },
	{ "objects_put", "POTM" },
	{ "objects_patch", "POTM" },
	{ "objects_delete", "POTM" },
	{ "cred_rotate", "POT" },
	{ "dep_test", "POT" },
	{ "dep_health", "POTV" },
	{ "dep_healths", "POTV" },
	{ "config_apply", "POT" },
	{ "config_diff", "POT" },
	{ "config_validate", "POT" },
	{ "config_export", "POTA" },
	{ "generations", "POTA" },
	{ "generation_diff", "PA!" },
	{ "rollback", "P!" },
	{ "keyring", "P!" },
	{ "keyring_dek", "P!" },
	{ "keyring_root", "P!" },
	{ "republish", "P!" },
	{ "status", "POTMVA!" },
	{ "workers", "PVA!" },
	{ "crashes", "PA!" },
	{ "upgrade", "P!" },
	{ "logs", "POTMVA" },
	{ "logs_tail", "POTMVA" },
	{ "audit_key", "PA!" },
	{ "whoami", "POTMVA" },
	{ "objects_bulk", "POTM" },
	{ "logs_export", "POTMVA" },
	{ "usage", "POTMVA" },
	{ "index_status", "PVA!" },
	{ "index_rebuild", "P!" },
	{ "backup", "P!" },
	{ "session_open", "-" },
	{ "session_close", "POTMVA" },
	{ "account_password", "POTMVA" },
	{ "metrics", "-" },
	{ "openapi", "-" },
	{ "livez", "-" },
	{ "readyz", "-" },
};
static const char role_letters[] = "POTMVA";
static const char *const role_names[] = { "platform-admin", "org-admin", "team-admin", "member", "viewer", "auditor" };

static const char *policy_of(const char *route)
{
	for (size_t i = 0; i < sizeof policy / sizeof policy[0]; i++)
		if (strcmp(policy[i].route, route) == 0)
			return policy[i].who;
	return NULL;
}

static void every_cell(void **state)
{
	(void)state;
	unsigned cells = 0;

	assert_int_equal(gw_adm_n_routes, sizeof policy / sizeof policy[0]);
	for (unsigned i = 0; i < gw_adm_n_routes; i++) {
		const struct gw_adm_route *r = &gw_adm_routes[i];
		const char *who = policy_of(r->name);

		if (!who)
			fail_msg("route %s has no row in this policy", r->name);
		for (unsigned role = 0; role < 6; role++) {
			for (unsigned scope = 0; scope < 4; scope++) { /* platform, org, team, a team without its org */
				struct gw_adm_principal p = { .key = GW_LIT("k"), .n_grants = 1 };
				bool may = strchr(who, role_letters[role]) != NULL && (scope == 0 || !strchr(who, '!'));

				assert_int_equal(gw_adm_role_bit(gw_str_z(role_names[role])), 1u << role);
				p.grants[0] = (struct gw_adm_grant){ 1u << role,
								     scope == 1 || scope == 2 ? GW_LIT("acme") : GW_NIL,
								     scope >= 2 ? GW_LIT("red") : GW_NIL };
				if ((gw_adm_may(r, &p) == GW_OK) != may)
					fail_msg("%s for %s, scope %u", r->name, role_names[role], scope);
				cells++;
			}
		}
		struct gw_adm_principal nobody = { .key = GW_LIT("k") };
		assert_int_equal(gw_adm_may(r, &nobody), GW_E_FORBIDDEN);
	}
	assert_int_equal(cells, gw_adm_n_routes * 24);
	assert_int_equal(gw_adm_role_bit(GW_LIT("root")), 0);
	assert_int_equal(gw_adm_role_bit(GW_LIT("")), 0);
	assert_int_equal(gw_adm_role_bit(GW_LIT("Platform-Admin")), 0);
}

/* Two grants: the one that the route knows counts, and a wide grant of another role does not widen it. */
static void several_grants(void **state)
{
	(void)state;
	const struct gw_adm_route *upgrade = NULL, *keyring = NULL, *logs = NULL;

	for (unsigned i = 0; i < gw_adm_n_routes; i++) {
		if (strcmp(gw_adm_routes[i].name, "upgrade") == 0)
			upgrade = &gw_adm_routes[i];
		if (strcmp(gw_adm_routes[i].name, "keyring") == 0)
			keyring = &gw_adm_routes[i];
		if (strcmp(gw_adm_routes[i].name, "logs") == 0)
			logs = &gw_adm_routes[i];
	}
	struct gw_adm_principal p = { .key = GW_LIT("k"), .n_grants = 2 };
	p.grants[0] =
	    (struct gw_adm_grant){ GW_ADM_P, GW_LIT("acme"), GW_NIL }; /* platform-admin of one org: no such thing */
	p.grants[1] = (struct gw_adm_grant){ GW_ADM_V, GW_NIL, GW_NIL };
	assert_int_equal(gw_adm_may(upgrade, &p), GW_E_FORBIDDEN);
	assert_int_equal(gw_adm_may(keyring, &p), GW_E_FORBIDDEN);
	assert_ptr_equal(gw_adm_widest(&p, logs->roles), &p.grants[1]);
	p.grants[0] = (struct gw_adm_grant){ GW_ADM_T, GW_LIT("acme"), GW_LIT("red") };
	p.grants[1] = (struct gw_adm_grant){ GW_ADM_O, GW_LIT("acme"), GW_NIL };
	assert_ptr_equal(gw_adm_widest(&p, GW_ADM_O | GW_ADM_T), &p.grants[1]);
	assert_ptr_equal(gw_adm_widest(&p, GW_ADM_T), &p.grants[0]);
	assert_null(gw_adm_widest(&p, GW_ADM_A));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(every_cell),
		cmocka_unit_test(several_grants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
