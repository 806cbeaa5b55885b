/* Every call of docs/CONFIG_CALLS.md on one object: what it answers, what it refuses, what it leaves behind. */
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

static void first_start(void **state)
{
	struct fixture *f = *state;
	char path[256], token[128] = "", sha[65], body[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/admin.token", f->data);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	assert_non_null(fgets(token, sizeof(token), in));
	fclose(in);
	assert_int_equal(strlen(token), 64); /* 63 and the line end */
	token[63] = '\0';
	assert_int_equal(stat(f->root, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fx_sha256_hex(token, sha);
	snprintf(body, sizeof(body), "{\"sha256\":\"%s\"}", sha);
	CALL_AS(f, "", 200, "auth", "", body);
	assert_string_equal(fx_str(f, "/key"), "admin");
	assert_string_equal(fx_str(f, "/roles/0/role"), "platform-admin");
	/* a second start makes no second token */
	fx_reopen(f);
	CALL_AS(f, "", 200, "auth", "", body);
	CALL_AS(f, "", 401, "auth", "",
		"{\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}");
	CALL(f, 200, "get", "settings", "{\"id\":\"default\"}");
}

static void put_get_patch_delete(void **state)
{
	struct fixture *f = *state;

	fx_seed(f);
	CALL(f, 200, "get", "model", "{\"id\":\"m1\"}");
	assert_string_equal(fx_str(f, "/targets/0/deployment"), "d1");
	uint64_t v1 = f->version, g1 = f->generation;

	assert_int_equal(fx_u64(f, "/version"), v1);
	/* the same again changes nothing */
	CALL(f, 200, "put", "model", "{\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}");
	assert_int_equal(f->version, v1);
	assert_int_equal(f->generation, g1);
	/* get, edit, put */
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"labels\":{\"env\":\"prod\"},\"hidden\":true}}");
	assert_true(f->version > v1);
	assert_int_equal(f->generation, g1 + 1);
	assert_string_equal(fx_str(f, "/labels/env"), "prod");
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"labels\":{\"env\":null},\"hidden\":null}}");
	assert_null(yyjson_doc_ptr_get(f->doc, "/hidden"));
	/* put goes back to defaults for what is not named */
	CALL(f, 200, "put", "model", "{\"id\":\"m1\",\"hidden\":true,\"targets\":[{\"deployment\":\"d1\"}]}");
	CALL(f, 200, "put", "model", "{\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}");
	assert_null(yyjson_doc_ptr_get(f->doc, "/hidden"));
	CALL(f, 200, "delete", "model", "{\"id\":\"m1\"}");
	CALL(f, 404, "get", "model", "{\"id\":\"m1\"}");
	CALL(f, 404, "delete", "model", "{\"id\":\"m1\"}");
	/* an id that comes back has a version that never was */
	CALL(f, 201, "put", "model", "{\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}");
	assert_true(f->version > v1 + 4);
}

static void preconditions(void **state)
{
	struct fixture *f = *state;
	const char *model = "{\"id\":\"m1\",\"hidden\":true,\"targets\":[{\"deployment\":\"d1\"}]}";

	fx_seed(f);
	uint64_t v = f->version;

	assert_int_equal(fx_call_as(f, PLATFORM, "put", "model", model, v + 1, 0), 412);
	assert_string_equal(fx_str(f, "/error/name"), "PRECONDITION");
	assert_int_equal(fx_call_as(f, PLATFORM, "put", "model", model, v, 0), 200);
	assert_int_equal(fx_call_as(f, PLATFORM, "put", "model", model, v, 0), 412); /* the loser of a race */
	assert_int_equal(fx_call_as(f, PLATFORM, "delete", "model", "{\"id\":\"m1\"}", v, 0), 412);
	assert_int_equal(fx_call_as(f, PLATFORM, "put", "model", model, 0, GW_CALL_CREATE_ONLY), 409);
	assert_int_equal(
	    fx_call_as(f, PLATFORM, "put", "model", "{\"id\":\"m9\",\"targets\":[{\"deployment\":\"d1\"}]}", 7, 0),
	    412);
	CALL(f, 412, "put", "model", "{\"id\":\"m1\",\"version\":1,\"targets\":[{\"deployment\":\"d1\"}]}");
	/* dry runs say what would be and leave nothing */
	assert_int_equal(fx_call_as(f, PLATFORM, "delete", "model", "{\"id\":\"m1\"}", 0, GW_CALL_DRY_RUN), 200);
	CALL(f, 200, "get", "model", "{\"id\":\"m1\"}");
	assert_int_equal(fx_call_as(f, PLATFORM, "put", "org", "{\"id\":\"o1\"}", 0, GW_CALL_DRY_RUN), 201);
	CALL(f, 404, "get", "org", "{\"id\":\"o1\"}");
}

static void bad_input(void **state)
{
	struct fixture *f = *state;

	fx_seed(f);
	CALL(f, 404, "frobnicate", "", "{}");
	CALL(f, 404, "get", "frob", "{\"id\":\"a\"}");
	CALL(f, 400, "get", "model", "{}");
	CALL(f, 400, "get", "model", "{\"id\":\"m1\",\"extra\":1}");
	CALL(f, 400, "get", "model", "[1]");
	CALL(f, 400, "put", "model", "{\"id\":");
	assert_string_equal(fx_str(f, "/error/name"), "SYNTAX");
	CALL(f, 400, "put", "model", "{\"id\":\"a\",\"id\":\"b\"}");
	CALL(f, 400, "put", "model", "{\"id\":\"m2\",\"targts\":[]}");
	assert_string_equal(fx_str(f, "/error/faults/0/name"), "UNKNOWN_FIELD");
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/targts");
	CALL(f, 400, "put", "model", "{\"id\":\"m2\",\"targets\":[{\"deployment\":\"nope\"}]}");
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/targets/0/deployment");
	CALL(f, 400, "put", "deployment", "{\"id\":\"d2\",\"provider\":\"nope\",\"upstream_model\":\"x\"}");
	CALL(f, 409, "put", "model", "{\"id\":\"m2\",\"name\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}");
	CALL(f, 400, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"id\":\"m7\"}}");
	CALL(f, 400, "patch", "model", "{\"id\":\"m1\",\"patch\":7}");
	CALL(f, 400, "put", "credential", "{\"id\":\"c2\",\"provider\":\"p1\"}");
	CALL(f, 400, "put", "credential", "{\"id\":\"c2\",\"provider\":\"p1\",\"secret\":\"two words\"}");
	assert_null(strstr(f->text, "two words"));
	CALL(f, 409, "delete", "settings", "{\"id\":\"default\"}");
	CALL(f, 400, "put", "settings", "{\"id\":\"other\"}");
	/* not a single change of all this */
	CALL(f, 404, "get", "model", "{\"id\":\"m2\"}");
	CALL(f, 404, "get", "credential", "{\"id\":\"c2\"}");
	CALL(f, 404, "get", "deployment", "{\"id\":\"d2\"}");
}

static void references(void **state)
{
	struct fixture *f = *state;

	fx_seed(f);
	CALL(f, 409, "delete", "provider", "{\"id\":\"p1\"}");
	assert_string_equal(fx_str(f, "/error/name"), "IN_USE");
	assert_int_equal(fx_len(f, "/error/used_by"), 2);
	CALL(f, 409, "delete", "deployment", "{\"id\":\"d1\"}");
	assert_string_equal(fx_str(f, "/error/used_by/0/kind"), "model");
	assert_string_equal(fx_str(f, "/error/used_by/0/id"), "m1");
	/* a credential of another provider */
	CALL(f, 201, "put", "provider",
	     "{\"id\":\"p2\",\"type\":\"openai-compatible\",\"base_url\":\"http://127.0.0.1:1/v1\"}");
	CALL(f, 400, "put", "deployment",
	     "{\"id\":\"d2\",\"provider\":\"p2\",\"credential\":\"c1\",\"upstream_model\":\"x\"}");
	assert_string_equal(fx_str(f, "/error/faults/0/pointer"), "/credential");
	CALL(f, 400, "patch", "credential", "{\"id\":\"c1\",\"patch\":{\"provider\":\"p2\"}}");
	/* aliases: chains yes, circles no */
	CALL(f, 201, "put", "model", "{\"id\":\"a1\",\"alias_of\":\"m1\"}");
	CALL(f, 201, "put", "model", "{\"id\":\"a2\",\"alias_of\":\"a1\"}");
	CALL(f, 400, "put", "model", "{\"id\":\"a1\",\"alias_of\":\"a2\"}");
	CALL(f, 409, "delete", "model", "{\"id\":\"a1\"}");
	CALL(f, 200, "delete", "model", "{\"id\":\"a2\"}");
	CALL(f, 200, "delete", "model", "{\"id\":\"a1\"}");
	CALL(f, 200, "delete", "model", "{\"id\":\"m1\"}");
	CALL(f, 200, "delete", "deployment", "{\"id\":\"d1\"}");
	CALL(f, 200, "delete", "credential", "{\"id\":\"c1\"}");
	CALL(f, 200, "delete", "provider", "{\"id\":\"p1\"}");
}

static void keys(void **state)
{
	struct fixture *f = *state;
	char token[80], sha[65], body[256], id[64];

	CALL(f, 201, "put", "key", "{\"name\":\"unnamed\"}");
	snprintf(id, sizeof(id), "%s", fx_str(f, "/id"));
	assert_int_equal(strncmp(id, "key-", 4), 0);
	snprintf(token, sizeof(token), "%s", fx_str(f, "/token"));
	assert_int_equal(strlen(token), 63);
	assert_null(yyjson_doc_ptr_get(f->doc, "/index"));
	assert_int_equal(strncmp(fx_str(f, "/prefix"), token, 14), 0);
	assert_int_equal(strlen(fx_str(f, "/fingerprint")), 8);
	snprintf(body, sizeof(body), "{\"id\":\"%s\"}", id);
	CALL(f, 200, "get", "key", body);
	assert_string_equal(fx_str(f, "/token"), "");
	assert_null(strstr(f->text, token + 14));
	/* a serving key is no admin key */
	fx_sha256_hex(token, sha);
	snprintf(body, sizeof(body), "{\"sha256\":\"%s\"}", sha);
	CALL_AS(f, "", 403, "auth", "", body);
	/* import: the token of another gateway */
	fx_sha256_hex("sk-of-another-gateway", sha);
	snprintf(body, sizeof(body), "{\"id\":\"imp\",\"purpose\":\"admin\",\"import_sha256\":\"%s\"}", sha);
	CALL(f, 201, "put", "key", body);
	assert_null(strstr(f->text, "token"));
	assert_null(strstr(f->text, "import_sha256"));
	CALL(f, 200, "put", "key", body);
	snprintf(body, sizeof(body), "{\"id\":\"imp2\",\"import_sha256\":\"%s\"}", sha);
	CALL(f, 409, "put", "key", body);
	snprintf(body, sizeof(body), "{\"sha256\":\"%s\"}", sha);
	CALL_AS(f, "", 403, "auth", "", body); /* no role yet */
	CALL(f, 201, "put", "role_binding", "{\"id\":\"rb\",\"key\":\"imp\",\"role\":\"viewer\"}");
	CALL_AS(f, "", 200, "auth", "", body);
	assert_string_equal(fx_str(f, "/roles/0/role"), "viewer");
	CALL(f, 200, "patch", "key", "{\"id\":\"imp\",\"patch\":{\"disabled\":true}}");
	CALL_AS(f, "", 401, "auth", "", body);
	assert_string_equal(fx_str(f, "/error/name"), "KEY_DISABLED");
	CALL(f, 200, "patch", "key",
	     "{\"id\":\"imp\",\"patch\":{\"disabled\":false,\"expires_at\":\"2020-01-01T00:00:00Z\"}}");
	CALL_AS(f, "", 401, "auth", "", body);
	assert_string_equal(fx_str(f, "/error/name"), "KEY_EXPIRED");
	CALL(f, 409, "delete", "key", "{\"id\":\"imp\"}");
}

static void lists(void **state)
{
	struct fixture *f = *state;
	char body[256], after[64] = "";
	unsigned n = 0;

	for (int i = 0; i < 25; i++) {
		snprintf(body, sizeof(body),
			 "{\"id\":\"k%02d\",\"disabled\":%s,\"models\":[\"m%d\"],\"labels\":{\"n\":\"%d\"}}", i,
			 i % 2 ? "true" : "false", i % 3, i);
		CALL(f, 201, "put", "key", body);
	}
	for (;;) {
		snprintf(body, sizeof(body), "{\"limit\":10%s%s%s}", after[0] ? ",\"after\":\"" : "", after,
			 after[0] ? "\"" : "");
		CALL(f, 200, "list", "key", body);
		n += (unsigned)fx_len(f, "/items");
		if (fx_str(f, "/next")[0] == '\0')
			break;
		snprintf(after, sizeof(after), "%s", fx_str(f, "/next"));
	}
	assert_int_equal(n, 26); /* and the first admin key */
	CALL(f, 200, "list", "key", "{\"filter\":{\"disabled\":\"true\"}}");
	assert_int_equal(fx_len(f, "/items"), 12);
	CALL(f, 200, "list", "key", "{\"filter\":{\"purpose\":\"serve\",\"disabled\":\"false\"}}");
	assert_int_equal(fx_len(f, "/items"), 13);
	CALL(f, 200, "list", "key", "{\"filter\":{\"models\":\"m1\"}}");
	assert_int_equal(fx_len(f, "/items"), 8);
	CALL(f, 200, "list", "key", "{\"filter\":{\"labels.n\":\"7\"}}");
	assert_int_equal(fx_len(f, "/items"), 1);
	assert_string_equal(fx_str(f, "/items/0/id"), "k07");
	assert_null(strstr(f->text, "index"));
	CALL(f, 400, "list", "key", "{\"filter\":{\"index\":\"x\"}}");
	CALL(f, 400, "list", "key", "{\"filter\":{\"colour\":\"x\"}}");
	CALL(f, 400, "list", "key", "{\"limit\":0}");
	CALL(f, 400, "list", "key", "{\"limit\":1001}");
	CALL(f, 200, "list", "model", "{}");
	assert_int_equal(fx_len(f, "/items"), 0);
}

static void generations_move_only_with_served(void **state)
{
	struct fixture *f = *state;

	CALL(f, 200, "status", "", "{}");
	uint64_t g = fx_u64(f, "/generation"), seq = fx_u64(f, "/change_seq");

	CALL(f, 201, "put", "key", "{\"id\":\"k\",\"purpose\":\"admin\"}");
	assert_int_equal(f->generation, g + 1);
	CALL(f, 201, "put", "role_binding", "{\"id\":\"b\",\"key\":\"k\",\"role\":\"auditor\"}");
	assert_int_equal(f->generation, g + 1);
	CALL(f, 200, "status", "", "{}");
	assert_int_equal(fx_u64(f, "/generation"), g + 1);
	assert_int_equal(fx_u64(f, "/change_seq"), seq + 2);
	assert_int_equal(fx_u64(f, "/objects/key"), 2);
	assert_int_equal(fx_u64(f, "/outbox"), seq + 2); /* nobody took them yet */
	CALL(f, 200, "audit-key", "", "{}");
	assert_int_equal(strlen(fx_str(f, "/public_key")), 130);
}

static void own_branch(void **state)
{
	struct fixture *f = *state;
	const char *me = "{\"key\":\"admin\",\"roles\":[{\"role\":\"platform-admin\"}]}";

	CALL_AS(f, me, 409, "delete", "role_binding", "{\"id\":\"admin\"}");
	CALL_AS(f, me, 409, "patch", "key", "{\"id\":\"admin\",\"patch\":{\"disabled\":true}}");
	CALL_AS(f, me, 409, "patch", "role_binding", "{\"id\":\"admin\",\"patch\":{\"role\":\"viewer\"}}");
	CALL(f, 200, "delete", "role_binding", "{\"id\":\"admin\"}");
}

/* Two writers with the same ETag in one group commit: one wins, and neither takes the other down. */
static void group_commit(void **state)
{
	struct fixture *f = *state;
	struct gw_call q[6];
	struct gw_reply r[6];

	fx_seed(f);
	uint64_t v = f->version;
	const char *bodies[6] = { "{\"id\":\"m1\",\"hidden\":true,\"targets\":[{\"deployment\":\"d1\"}]}",
				  "{\"id\":\"m1\",\"disabled\":true,\"targets\":[{\"deployment\":\"d1\"}]}",
				  "{\"id\":\"m2\",\"targets\":[{\"deployment\":\"d1\"}]}",
				  "{\"id\":\"m3\",\"targets\":[{\"deployment\":\"none\"}]}",
				  "{\"id\":\"m4\",\"name\":\"m2\",\"targets\":[{\"deployment\":\"d1\"}]}",
				  "{\"id\":\"m5\",\"alias_of\":\"m2\"}" };
	int want[6] = { 200, 412, 201, 400, 409, 201 };

	for (int i = 0; i < 6; i++) {
		q[i] = (struct gw_call){ .method = GW_LIT("put"),
					 .kind = GW_LIT("model"),
					 .body = gw_str_z(bodies[i]),
					 .actor = GW_LIT(PLATFORM),
					 .version = i < 2 ? v : 0 };
		gw_reply_init(&r[i]);
	}
	gw_call_batch(&f->core, q, r, 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(r[i].status, want[i]);
		gw_reply_done(&r[i]);
	}
	CALL(f, 200, "get", "model", "{\"id\":\"m1\"}");
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(f->doc, "/hidden")));
	assert_null(yyjson_doc_ptr_get(f->doc, "/disabled"));
	CALL(f, 404, "get", "model", "{\"id\":\"m4\"}");
	CALL(f, 200, "get", "model", "{\"id\":\"m5\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_start, setup, teardown),
		cmocka_unit_test_setup_teardown(put_get_patch_delete, setup, teardown),
		cmocka_unit_test_setup_teardown(preconditions, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_input, setup, teardown),
		cmocka_unit_test_setup_teardown(references, setup, teardown),
		cmocka_unit_test_setup_teardown(keys, setup, teardown),
		cmocka_unit_test_setup_teardown(lists, setup, teardown),
		cmocka_unit_test_setup_teardown(generations_move_only_with_served, setup, teardown),
		cmocka_unit_test_setup_teardown(own_branch, setup, teardown),
		cmocka_unit_test_setup_teardown(group_commit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
