/* Many objects in one body: apply, diff, validate, export; and who may see and do what. */
#include "fixture.h"

static int setup(void **state)
{
	*state = fx_new();
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

static const char whole[] =
    "[{\"kind\":\"model\",\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]},"
    "{\"kind\":\"model\",\"id\":\"alias\",\"alias_of\":\"m1\"},"
    "{\"kind\":\"deployment\",\"id\":\"d1\",\"provider\":\"p1\",\"credential\":\"c1\",\"upstream_model\":\"gpt-4o\"},"
    "{\"kind\":\"credential\",\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-canary-apply-000000\"},"
    "{\"kind\":\"key\",\"id\":\"k1\",\"org\":\"acme\",\"team\":\"t1\",\"user\":\"u1\"},"
    "{\"kind\":\"user\",\"id\":\"u1\",\"org\":\"acme\"},"
    "{\"kind\":\"team\",\"id\":\"t1\",\"org\":\"acme\"},"
    "{\"kind\":\"org\",\"id\":\"acme\"},"
    "{\"kind\":\"provider\",\"id\":\"p1\",\"type\":\"openai\"}]";

static void apply_in_any_order(void **state)
{
	struct fixture *f = *state;

	CALL(f, 200, "status", "", "{}");
	uint64_t g = fx_u64(f, "/generation");

	CALL(f, 200, "apply", "", whole);
	assert_int_equal(fx_u64(f, "/created"), 9);
	assert_int_equal(f->generation, g + 1); /* one transaction, one generation */
	assert_int_equal(strlen(fx_str(f, "/changes/4/token")), 63);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-apply-000000");
	/* the same file again: nothing moves, the secret included */
	CALL(f, 200, "apply", "", whole);
	assert_int_equal(fx_u64(f, "/unchanged"), 9);
	assert_int_equal(f->generation, g + 1);
	assert_string_equal(fx_str(f, "/changes/4/token"), "");
	/* two models swap their names */
	CALL(f, 200, "apply", "",
	     "[{\"kind\":\"model\",\"id\":\"m1\",\"name\":\"alias\",\"targets\":[{\"deployment\":\"d1\"}]},"
	     "{\"kind\":\"model\",\"id\":\"alias\",\"name\":\"m1\",\"alias_of\":\"m1\"}]");
	assert_int_equal(fx_u64(f, "/updated"), 2);
}

static void all_or_nothing(void **state)
{
	struct fixture *f = *state;

	CALL(f, 400, "apply", "",
	     "[{\"kind\":\"org\",\"id\":\"acme\"},{\"kind\":\"team\",\"id\":\"t\"},{\"kind\":\"user\",\"id\":\"u\","
	     "\"org\":\"acme\",\"mail\":\"x\"},"
	     "{\"kind\":\"frob\",\"id\":\"x\"},7]");
	assert_int_equal(fx_len(f, "/error/faults"), 4); /* every fault of the file */
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/1/org");
	assert_string_equal(fx_str(f, "/error/faults/1/pointer"), "/2/mail");
	assert_string_equal(fx_str(f, "/error/faults/2/pointer"), "/3/kind");
	CALL(f, 404, "get", "org", "{\"id\":\"acme\"}");
	CALL(f, 400, "apply", "",
	     "[{\"kind\":\"org\",\"id\":\"acme\"},{\"kind\":\"user\",\"id\":\"u\",\"org\":\"nope\"}]");
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/1/org");
	CALL(f, 409, "apply", "",
	     "[{\"kind\":\"org\",\"id\":\"acme\"},{\"kind\":\"org\",\"id\":\"acme\",\"disabled\":true}]");
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/1/id");
	CALL(f, 400, "apply", "", "\"text\"");
	CALL(f, 404, "get", "org", "{\"id\":\"acme\"}");
	CALL(f, 400, "apply", "", "[{\"kind\":\"key\",\"name\":\"without id\"}]");
}

static void yaml(void **state)
{
	struct fixture *f = *state;
	const char *good = "kind: org\nid: acme\n---\nkind: team\nid: t1\norg: acme\nmodels: [gpt-*]\n";
	const char *bad = "kind: org\nid: acme\n---\nkind: team\nid: t1\norg: acme\nmodls: [gpt-*]\n";

	assert_int_equal(fx_call_as(f, PLATFORM, "validate", "", good, 0, GW_CALL_YAML), 200);
	CALL(f, 404, "get", "org", "{\"id\":\"acme\"}");
	assert_int_equal(fx_call_as(f, PLATFORM, "apply", "", bad, 0, GW_CALL_YAML), 400);
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/1/modls");
	assert_int_equal(fx_u64(f, "/error/faults/0/line"), 7);
	assert_int_equal(fx_u64(f, "/error/faults/0/column"), 1);
	assert_int_equal(fx_call_as(f, PLATFORM, "apply", "", good, 0, GW_CALL_YAML), 200);
	assert_int_equal(fx_call_as(f, PLATFORM, "apply", "", "kind: [\n", 0, GW_CALL_YAML), 400);
	assert_string_equal(fx_str(f, "/error/name"), "SYNTAX");
}

static void diff_writes_nothing(void **state)
{
	struct fixture *f = *state;

	fx_seed(f);
	CALL(f, 200, "diff", "",
	     "[{\"kind\":\"model\",\"id\":\"m1\",\"hidden\":true,\"targets\":[{\"deployment\":\"d1\"}]},"
	     "{\"kind\":\"provider\",\"id\":\"p1\",\"type\":\"openai\"},{\"kind\":\"org\",\"id\":\"acme\"}]");
	assert_int_equal(fx_len(f, "/changes"), 2);
	assert_string_equal(fx_str(f, "/changes/0/act"), "update");
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(f->doc, "/changes/0/after/hidden")));
	assert_null(yyjson_doc_ptr_get(f->doc, "/changes/0/before/hidden"));
	assert_string_equal(fx_str(f, "/changes/1/act"), "create");
	CALL(f, 404, "get", "org", "{\"id\":\"acme\"}");
	CALL(f, 200, "validate", "", "[{\"kind\":\"org\",\"id\":\"acme\"}]");
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(f->doc, "/valid")));
	CALL(f, 400, "validate", "", "[{\"kind\":\"org\",\"id\":\"UPPER\"}]");
}

static void export_is_an_input(void **state)
{
	struct fixture *f = *state, *g = fx_new();

	CALL(f, 200, "apply", "", whole);
	CALL(f, 200, "export", "", "{\"kinds\":[\"org\",\"team\",\"user\",\"provider\",\"deployment\",\"model\"]}");
	assert_int_equal(fx_len(f, "/items"), 7);
	assert_null(strstr(f->text, "canary"));
	assert_null(strstr(f->text, "version"));
	char *text = strdup(f->text);

	CALL(f, 200, "apply", "", text);
	assert_int_equal(fx_u64(f, "/unchanged"), 7);
	/* into another gateway, where the credential is made first */
	CALL(g, 201, "put", "provider", "{\"id\":\"p1\",\"type\":\"openai\"}");
	CALL(g, 201, "put", "credential", "{\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-other\"}");
	CALL(g, 200, "apply", "", text);
	assert_int_equal(fx_u64(g, "/created"), 6);
	CALL(g, 200, "export", "", "{\"kinds\":[\"org\",\"team\",\"user\",\"provider\",\"deployment\",\"model\"]}");
	char *a = strstr(text, "\"items\""), *b = strstr(g->text, "\"items\"");

	assert_string_equal(a, b);
	free(text);
	CALL(f, 200, "export", "", "{}");
	assert_int_equal(fx_len(f, "/items"), 9 + 3);
	CALL(f, 200, "export", "", "{\"org\":\"acme\"}");
	assert_int_equal(fx_len(f, "/items"), 3); /* team, user, key */
	CALL(f, 400, "export", "", "{\"kinds\":[\"frob\"]}");
	fx_free(g);
}

/* --- scope --- */

#define ORG_ADMIN  "{\"key\":\"oa\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"acme\",\"team\":\"\"}]}"
#define TEAM_ADMIN "{\"key\":\"ta\",\"roles\":[{\"role\":\"team-admin\",\"org\":\"acme\",\"team\":\"t1\"}]}"
#define MEMBER     "{\"key\":\"me\",\"user\":\"u1\",\"roles\":[{\"role\":\"member\",\"org\":\"acme\",\"team\":\"t1\"}]}"
#define AUDITOR    "{\"key\":\"au\",\"roles\":[{\"role\":\"auditor\",\"org\":\"acme\",\"team\":\"\"}]}"
#define STRANGER   "{\"key\":\"st\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"other\",\"team\":\"\"}]}"
#define NOBODY     "{\"key\":\"no\",\"roles\":[]}"

static void scope_of_reads(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *kind, *body;
		int platform, org, team, member, auditor, stranger, nobody;
	} rows[] = {
		{ "provider", "{\"id\":\"p1\"}", 200, 404, 404, 404, 404, 404, 404 },
		{ "credential", "{\"id\":\"c1\"}", 200, 404, 404, 404, 404, 404, 404 },
		{ "settings", "{\"id\":\"default\"}", 200, 404, 404, 404, 404, 404, 404 },
		{ "org", "{\"id\":\"acme\"}", 200, 200, 200, 200, 200, 404, 404 },
		{ "team", "{\"id\":\"t1\"}", 200, 200, 200, 200, 200, 404, 404 },
		{ "user", "{\"id\":\"u1\"}", 200, 200, 404, 404, 200, 404, 404 },
		{ "key", "{\"id\":\"k1\"}", 200, 200, 200, 200, 200, 404, 404 },
		{ "key", "{\"id\":\"admin\"}", 200, 404, 404, 404, 404, 404, 404 },
	};

	CALL(f, 200, "apply", "", whole);
	CALL(f, 201, "put", "org", "{\"id\":\"other\"}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CALL_AS(f, PLATFORM, rows[i].platform, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, ORG_ADMIN, rows[i].org, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, TEAM_ADMIN, rows[i].team, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, MEMBER, rows[i].member, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, AUDITOR, rows[i].auditor, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, STRANGER, rows[i].stranger, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, NOBODY, rows[i].nobody, "get", rows[i].kind, rows[i].body);
		CALL_AS(f, "", rows[i].nobody, "get", rows[i].kind, rows[i].body);
	}
	CALL_AS(f, STRANGER, 200, "list", "key", "{}");
	assert_int_equal(fx_len(f, "/items"), 0);
	CALL_AS(f, ORG_ADMIN, 200, "list", "key", "{}");
	assert_int_equal(fx_len(f, "/items"), 1);
	CALL_AS(f, STRANGER, 200, "export", "", "{}");
	assert_int_equal(fx_len(f, "/items"), 1); /* its org */
	CALL_AS(f, STRANGER, 200, "generations", "", "{}");
	assert_int_equal(fx_len(f, "/items"), 1);
}

static void scope_of_writes(void **state)
{
	struct fixture *f = *state;

	CALL(f, 200, "apply", "", whole);
	/* tenants make their own things, in their own place */
	CALL_AS(f, ORG_ADMIN, 201, "put", "key", "{\"id\":\"k2\",\"org\":\"acme\"}");
	CALL_AS(f, ORG_ADMIN, 403, "put", "key", "{\"id\":\"k3\"}");
	CALL_AS(f, ORG_ADMIN, 403, "put", "key", "{\"id\":\"k3\",\"org\":\"other\"}");
	CALL_AS(f, ORG_ADMIN, 403, "put", "org", "{\"id\":\"acme\",\"disabled\":true}");
	CALL_AS(f, ORG_ADMIN, 200, "patch", "team", "{\"id\":\"t1\",\"patch\":{\"display_name\":\"One\"}}");
	CALL_AS(f, TEAM_ADMIN, 403, "patch", "team", "{\"id\":\"t1\",\"patch\":{\"models\":[]}}");
	CALL_AS(f, TEAM_ADMIN, 201, "put", "key", "{\"id\":\"k4\",\"org\":\"acme\",\"team\":\"t1\"}");
	CALL_AS(f, TEAM_ADMIN, 404, "patch", "key", "{\"id\":\"k2\",\"patch\":{\"disabled\":true}}");
	CALL_AS(f, TEAM_ADMIN, 404, "delete", "key", "{\"id\":\"k2\"}");
	CALL_AS(f, STRANGER, 404, "delete", "key", "{\"id\":\"k1\"}");
	CALL_AS(f, STRANGER, 404, "put", "key", "{\"id\":\"k1\",\"org\":\"other\"}");
	CALL_AS(f, AUDITOR, 403, "delete", "key", "{\"id\":\"k1\"}");
	CALL_AS(f, MEMBER, 201, "put", "key", "{\"id\":\"k5\",\"org\":\"acme\",\"team\":\"t1\",\"user\":\"u1\"}");
	CALL_AS(f, MEMBER, 403, "put", "key", "{\"id\":\"k6\",\"org\":\"acme\",\"team\":\"t1\"}");
	CALL_AS(f, MEMBER, 403, "put", "key",
		"{\"id\":\"k6\",\"org\":\"acme\",\"team\":\"t1\",\"user\":\"u1\",\"purpose\":\"admin\"}");
	/* things move to nobody else */
	CALL(f, 400, "patch", "key", "{\"id\":\"k1\",\"patch\":{\"team\":null}}");
	/* fields of the platform */
	CALL_AS(f, ORG_ADMIN, 403, "put", "provider",
		"{\"id\":\"ap\",\"org\":\"acme\",\"type\":\"openai-compatible\",\"base_url\":\"http://127.0.0.1:1/"
		"v1\",\"allow_private\":[\"127.0.0.1/32\"]}");
	CALL_AS(
	    f, ORG_ADMIN, 201, "put", "provider",
	    "{\"id\":\"ap\",\"org\":\"acme\",\"type\":\"openai-compatible\",\"base_url\":\"http://198.51.100.1/v1\"}");
	CALL(f, 200, "patch", "provider", "{\"id\":\"ap\",\"patch\":{\"allow_private\":[\"10.0.0.0/8\"]}}");
	CALL_AS(f, ORG_ADMIN, 200, "patch", "provider", "{\"id\":\"ap\",\"patch\":{\"max_connections\":7}}");
	CALL_AS(f, ORG_ADMIN, 403, "patch", "provider",
		"{\"id\":\"ap\",\"patch\":{\"allow_private\":[\"0.0.0.0/0\"]}}");
	/* a tenant must not spend the platform's credential, least of all at an address of its own */
	CALL_AS(f, ORG_ADMIN, 400, "put", "deployment",
		"{\"id\":\"ad\",\"org\":\"acme\",\"provider\":\"ap\",\"credential\":\"c1\",\"upstream_model\":\"x\"}");
	CALL_AS(f, ORG_ADMIN, 400, "put", "deployment",
		"{\"id\":\"ad\",\"org\":\"acme\",\"provider\":\"p1\",\"credential\":\"c1\",\"upstream_model\":\"x\"}");
	CALL_AS(f, ORG_ADMIN, 400, "put", "model",
		"{\"id\":\"am\",\"org\":\"acme\",\"targets\":[{\"deployment\":\"d1\"}]}");
	CALL_AS(f, ORG_ADMIN, 201, "put", "credential",
		"{\"id\":\"ac\",\"org\":\"acme\",\"provider\":\"p1\",\"secret\":\"sk-acme\"}");
	CALL_AS(f, ORG_ADMIN, 201, "put", "deployment",
		"{\"id\":\"ad\",\"org\":\"acme\",\"provider\":\"p1\",\"credential\":\"ac\",\"upstream_model\":\"x\"}");
	CALL_AS(f, ORG_ADMIN, 201, "put", "model",
		"{\"id\":\"am\",\"org\":\"acme\",\"name\":\"m1\",\"targets\":[{\"deployment\":\"ad\"}]}");
	CALL_AS(f, STRANGER, 404, "credential-rotate", "", "{\"id\":\"ac\",\"secret\":\"sk-evil\"}");
	CALL_AS(f, AUDITOR, 403, "credential-rotate", "", "{\"id\":\"ac\",\"secret\":\"sk-evil\"}");
	CALL_AS(f, ORG_ADMIN, 403, "rollback", "", "{\"to\":1}");
	CALL_AS(f, ORG_ADMIN, 403, "keyring-status", "", "{}");
	CALL_AS(f, ORG_ADMIN, 403, "keyring-rotate-dek", "", "{}");
}

static void grants_do_not_grow(void **state)
{
	struct fixture *f = *state;

	CALL(f, 200, "apply", "", whole);
	CALL_AS(f, ORG_ADMIN, 201, "put", "key", "{\"id\":\"kk\",\"org\":\"acme\",\"purpose\":\"admin\"}");
	CALL_AS(f, ORG_ADMIN, 403, "put", "role_binding", "{\"id\":\"x\",\"key\":\"kk\",\"role\":\"platform-admin\"}");
	CALL_AS(f, ORG_ADMIN, 400, "put", "role_binding",
		"{\"id\":\"x\",\"org\":\"acme\",\"key\":\"kk\",\"role\":\"platform-admin\"}");
	CALL_AS(f, ORG_ADMIN, 403, "put", "role_binding", "{\"id\":\"x\",\"key\":\"kk\",\"role\":\"viewer\"}");
	CALL_AS(f, TEAM_ADMIN, 403, "put", "role_binding",
		"{\"id\":\"x\",\"org\":\"acme\",\"key\":\"kk\",\"role\":\"org-admin\"}");
	CALL_AS(f, TEAM_ADMIN, 400, "put", "role_binding",
		"{\"id\":\"x\",\"org\":\"acme\",\"team\":\"t1\",\"key\":\"kk\",\"role\":\"org-admin\"}");
	CALL_AS(f, ORG_ADMIN, 400, "put", "role_binding",
		"{\"id\":\"x\",\"org\":\"acme\",\"key\":\"admin\",\"role\":\"viewer\"}");
	CALL_AS(f, ORG_ADMIN, 201, "put", "role_binding",
		"{\"id\":\"x\",\"org\":\"acme\",\"key\":\"kk\",\"role\":\"org-admin\"}");
	CALL_AS(f, MEMBER, 403, "put", "role_binding",
		"{\"id\":\"y\",\"org\":\"acme\",\"team\":\"t1\",\"key\":\"kk\",\"role\":\"viewer\"}");
	CALL(f, 400, "put", "role_binding", "{\"id\":\"y\",\"key\":\"kk\",\"role\":\"org-admin\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(apply_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml, setup, teardown),
		cmocka_unit_test_setup_teardown(diff_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(export_is_an_input, setup, teardown),
		cmocka_unit_test_setup_teardown(scope_of_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(scope_of_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(grants_do_not_grow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
