/* The change log: what was, what differs, and the way back. */
#include "fixture.h"

#include "confd/history.h"
#include "core/record.h"

static int setup(void **state)
{
	*state = fx_new();
	fx_seed(*state);
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

static char *export_at(struct fixture *f, uint64_t generation)
{
	char body[64];

	snprintf(body, sizeof(body), "{\"generation\":%llu}", (unsigned long long)generation);
	CALL(f, 200, "export", "", generation ? body : "{}");
	return strdup(strstr(f->text, "\"items\""));
}

/* Whatever was exported at a generation is exported for it later, byte by byte. */
static void export_of_the_past(void **state)
{
	struct fixture *f = *state;
	char *was[40], body[256];
	uint64_t generation[40];
	unsigned n = 0, seed = 7;

	for (int i = 0; i < 40; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned pick = seed >> 16;

		switch (pick % 5) {
		case 0:
			snprintf(body, sizeof(body),
				 "{\"id\":\"x%u\",\"hidden\":%s,\"targets\":[{\"deployment\":\"d1\",\"weight\":%u}]}",
				 pick % 4, pick & 8 ? "true" : "false", 1 + pick % 100);
			fx_call(f, "put", "model", body);
			break;
		case 1:
			snprintf(body, sizeof(body), "{\"id\":\"x%u\"}", pick % 4);
			fx_call(f, "delete", "model", body);
			break;
		case 2:
			snprintf(body, sizeof(body), "{\"id\":\"d1\",\"patch\":{\"input_price\":%u}}", pick % 1000);
			fx_call(f, "patch", "deployment", body);
			break;
		case 3:
			snprintf(body, sizeof(body), "{\"id\":\"k%u\",\"disabled\":%s}", pick % 5,
				 pick & 16 ? "true" : "false");
			fx_call(f, "put", "key", body);
			break;
		default:
			snprintf(body, sizeof(body), "{\"id\":\"o%u\",\"display_name\":\"n%u\"}", pick % 3, pick % 9);
			fx_call(f, "put", "org", body);
			break;
		}
		if (f->status >= 300 || (n > 0 && generation[n - 1] == f->generation))
			continue;
		generation[n] = f->generation;
		was[n++] = export_at(f, 0);
	}
	assert_true(n > 15);
	fx_reopen(f);
	for (unsigned i = 0; i < n; i++) {
		char *then = export_at(f, generation[i]);

		assert_string_equal(then, was[i]);
		free(then);
		free(was[i]);
	}
	CALL(f, 404, "export", "", "{\"generation\":99999}");
}

static void list_of_changes(void **state)
{
	struct fixture *f = *state;
	char body[64];

	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"hidden\":true}}");
	CALL(f, 200, "generations", "", "{\"limit\":2}");
	assert_int_equal(fx_len(f, "/items"), 2);
	assert_string_equal(fx_str(f, "/items/0/act"), "update");
	assert_string_equal(fx_str(f, "/items/0/actor"), "boss");
	assert_string_equal(fx_str(f, "/items/0/id"), "m1");
	assert_string_equal(fx_str(f, "/items/1/act"), "create");
	assert_null(yyjson_doc_ptr_get(f->doc, "/items/0/after"));
	snprintf(body, sizeof(body), "{\"limit\":500,\"before\":%llu}", (unsigned long long)fx_u64(f, "/next"));
	CALL(f, 200, "generations", "", body);
	assert_int_equal(fx_len(f, "/items"), 3 + 3); /* the seed's first three, and the first start's */
	assert_int_equal(fx_u64(f, "/next"), 0);
	CALL(f, 200, "generations", "", "{\"kind\":\"model\",\"id\":\"m1\",\"full\":true}");
	assert_int_equal(fx_len(f, "/items"), 2);
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(f->doc, "/items/0/after/hidden")));
	CALL(f, 200, "generations", "", "{\"full\":true}");
	assert_null(strstr(f->text, "\"index\""));
	assert_null(strstr(f->text, "canary"));
}

static void differences(void **state)
{
	struct fixture *f = *state;
	uint64_t g = f->generation;
	char body[96];

	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"hidden\":true}}");
	CALL(f, 201, "put", "org", "{\"id\":\"o1\"}");
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"hidden\":null}}");
	CALL(f, 200, "delete", "org", "{\"id\":\"o1\"}");
	snprintf(body, sizeof(body), "{\"from\":%llu,\"to\":%llu}", (unsigned long long)g, (unsigned long long)g + 2);
	CALL(f, 200, "generation-diff", "", body);
	assert_int_equal(fx_len(f, "/changes"), 2);
	snprintf(body, sizeof(body), "{\"from\":%llu,\"to\":%llu}", (unsigned long long)g + 2, (unsigned long long)g);
	CALL(f, 200, "generation-diff", "", body);
	assert_int_equal(fx_len(f, "/changes"), 2);
	assert_non_null(strstr(f->text, "\"act\":\"delete\""));
	snprintf(body, sizeof(body), "{\"from\":%llu}", (unsigned long long)g + 1);
	CALL(f, 200, "generation-diff", "", body);
	assert_int_equal(fx_len(f, "/changes"), 1); /* o1 came and went */
	CALL(f, 404, "generation-diff", "", "{\"from\":99999}");
	CALL(f, 400, "generation-diff", "", "{}");
}

static void rollback(void **state)
{
	struct fixture *f = *state;
	uint64_t g = f->generation;
	char body[256], token_sha[65], auth[96];

	CALL(f, 201, "put", "key", "{\"id\":\"k1\",\"purpose\":\"admin\"}");
	fx_sha256_hex(fx_str(f, "/token"), token_sha);
	snprintf(auth, sizeof(auth), "{\"sha256\":\"%s\"}", token_sha);
	CALL(f, 201, "put", "role_binding", "{\"id\":\"r1\",\"key\":\"k1\",\"role\":\"viewer\"}");
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"hidden\":true}}");
	CALL(f, 201, "put", "model", "{\"id\":\"m2\",\"alias_of\":\"m1\"}");
	CALL(f, 200, "patch", "deployment", "{\"id\":\"d1\",\"patch\":{\"input_price\":5}}");
	CALL(f, 200, "patch", "credential",
	     "{\"id\":\"c1\",\"patch\":{\"secret\":\"sk-second-secret\",\"disabled\":true}}");
	snprintf(body, sizeof(body), "{\"to\":%llu}", (unsigned long long)g);
	/* first look, then leap */
	assert_int_equal(fx_call_as(f, PLATFORM, "rollback", "", body, 0, GW_CALL_DRY_RUN), 200);
	assert_int_equal(fx_len(f, "/changes"), 3);
	CALL(f, 200, "get", "model", "{\"id\":\"m2\"}");
	uint64_t before = f->generation;

	CALL(f, 200, "rollback", "", body);
	assert_int_equal(f->generation, before + 1); /* generations never go back */
	CALL(f, 404, "get", "model", "{\"id\":\"m2\"}");
	CALL(f, 200, "get", "model", "{\"id\":\"m1\"}");
	assert_null(yyjson_doc_ptr_get(f->doc, "/hidden"));
	CALL(f, 200, "get", "key", "{\"id\":\"k1\"}"); /* left alone */
	CALL_AS(f, "", 200, "auth", "", auth);
	CALL(f, 200, "get", "credential", "{\"id\":\"c1\"}");
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(f->doc, "/disabled")));
	/* again: nothing left to do */
	CALL(f, 200, "rollback", "", body);
	assert_int_equal(fx_len(f, "/changes"), 0);
	assert_int_equal(f->generation, before + 1);
	/* and the rollback itself can be rolled back */
	snprintf(body, sizeof(body), "{\"to\":%llu,\"kinds\":[\"model\"]}", (unsigned long long)before);
	CALL(f, 200, "rollback", "", body);
	CALL(f, 200, "get", "model", "{\"id\":\"m2\"}");
	CALL(f, 200, "get", "deployment", "{\"id\":\"d1\"}");
	assert_int_equal(fx_u64(f, "/input_price"), 0); /* not of the chosen kind */
	/* a credential's settings go back, its secret does not */
	snprintf(body, sizeof(body), "{\"to\":%llu,\"kinds\":[\"credential\"]}", (unsigned long long)g);
	CALL(f, 200, "rollback", "", body);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-second-secret");
	/* chosen objects only */
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"disabled\":true}}");
	CALL(f, 200, "patch", "deployment", "{\"id\":\"d1\",\"patch\":{\"disabled\":true}}");
	snprintf(body, sizeof(body), "{\"to\":%llu,\"objects\":[{\"kind\":\"deployment\",\"id\":\"d1\"}]}",
		 (unsigned long long)f->generation - 2);
	CALL(f, 200, "rollback", "", body);
	assert_int_equal(fx_len(f, "/changes"), 1);
	CALL(f, 400, "rollback", "", "{}");
	CALL(f, 404, "rollback", "", "{\"to\":99999}");
}

static void rollback_brings_back(void **state)
{
	struct fixture *f = *state;
	char body[160], sha[65], auth[96];

	CALL(f, 201, "put", "key", "{\"id\":\"k1\",\"purpose\":\"admin\"}");
	fx_sha256_hex(fx_str(f, "/token"), sha);
	snprintf(auth, sizeof(auth), "{\"sha256\":\"%s\"}", sha);
	uint64_t g = f->generation;

	CALL(f, 200, "delete", "model", "{\"id\":\"m1\"}");
	CALL(f, 200, "delete", "deployment", "{\"id\":\"d1\"}");
	CALL(f, 200, "delete", "key", "{\"id\":\"k1\"}");
	snprintf(body, sizeof(body), "{\"to\":%llu}", (unsigned long long)g);
	CALL(f, 200, "rollback", "", body);
	CALL(f, 200, "get", "model", "{\"id\":\"m1\"}");
	CALL(f, 404, "get", "key", "{\"id\":\"k1\"}");
	CALL_AS(f, "", 401, "auth", "", auth);
	/* a deleted key comes back only when asked for by name, and works again then */
	snprintf(body, sizeof(body), "{\"to\":%llu,\"objects\":[{\"kind\":\"key\",\"id\":\"k1\"}]}",
		 (unsigned long long)g);
	CALL(f, 200, "rollback", "", body);
	CALL_AS(f, "", 403, "auth", "", auth); /* known, without a role */
	/* a credential that is gone is gone */
	CALL(f, 200, "delete", "model", "{\"id\":\"m1\"}");
	CALL(f, 200, "delete", "deployment", "{\"id\":\"d1\"}");
	CALL(f, 200, "delete", "credential", "{\"id\":\"c1\"}");
	snprintf(body, sizeof(body), "{\"to\":%llu}", (unsigned long long)g);
	CALL(f, 400, "rollback", "", body); /* the deployment needs it */
	snprintf(body, sizeof(body), "{\"to\":%llu,\"kinds\":[\"credential\"]}", (unsigned long long)g);
	CALL(f, 409, "rollback", "", body);
}

static enum gw_err prune_all(struct gw_txn *t, void *arg)
{
	unsigned n;

	return gw_history_prune(t, *(int64_t *)arg, UINT64_MAX, 1000, &n);
}

static void pruning(void **state)
{
	struct fixture *f = *state;
	uint64_t g = f->generation;
	char body[64];

	gw_sleep_ms(5);
	int64_t cut = gw_unix_us();

	gw_sleep_ms(5);
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"hidden\":true}}");
	assert_int_equal(gw_store_update(f->core.store, prune_all, &cut), GW_OK);
	CALL(f, 200, "generations", "", "{}");
	assert_int_equal(fx_len(f, "/items"), 1);
	snprintf(body, sizeof(body), "{\"generation\":%llu}", (unsigned long long)g);
	CALL(f, 200, "export", "", body); /* just reachable */
	snprintf(body, sizeof(body), "{\"generation\":%llu}", (unsigned long long)g - 1);
	CALL(f, 404, "export", "", body);
	assert_non_null(strstr(fx_str(f, "/error/message"), "History reaches back"));
}

struct audit {
	uint64_t last;
	unsigned n;
};

static bool look_at_audit(void *ctx, uint64_t seq, struct gw_str record)
{
	struct audit *a = ctx;
	struct gw_admin_record r;

	assert_true(seq > a->last);
	assert_int_equal(gw_admin_record_unpack(record, &r), GW_OK);
	assert_int_equal(r.change_seq, seq);
	assert_true(r.actor.n > 0 && r.act.n > 0 && r.kind.n > 0 && r.object.n > 0);
	a->last = seq;
	a->n++;
	return true;
}

/* Every change has its audit record, in the same commit, until somebody says that he has it. */
static void outbox(void **state)
{
	struct fixture *f = *state;
	struct audit a = { 0 }, b = { 0 };

	CALL(f, 400, "put", "model", "{\"id\":\"bad\"}");
	assert_int_equal(gw_outbox_each(&f->core, 0, look_at_audit, &a), GW_OK);
	assert_int_equal(a.n, 3 + 4);
	uint64_t seqs[3] = { 1, 2, 3 };

	assert_int_equal(gw_outbox_delete(&f->core, seqs, 3), GW_OK);
	assert_int_equal(gw_outbox_delete(&f->core, seqs, 3), GW_OK); /* a late second answer */
	fx_reopen(f);
	assert_int_equal(gw_outbox_each(&f->core, 0, look_at_audit, &b), GW_OK);
	assert_int_equal(b.n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(export_of_the_past, setup, teardown),
		cmocka_unit_test_setup_teardown(list_of_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(differences, setup, teardown),
		cmocka_unit_test_setup_teardown(rollback, setup, teardown),
		cmocka_unit_test_setup_teardown(rollback_brings_back, setup, teardown),
		cmocka_unit_test_setup_teardown(pruning, setup, teardown),
		cmocka_unit_test_setup_teardown(outbox, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
