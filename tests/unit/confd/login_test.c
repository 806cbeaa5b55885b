/* Accounts, tokens, sessions: who is let in, who is not any more, and what of it is kept where. Idempotency-Key. */
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

/* The status of auth for a token; its answer is in f. */
static int auth(struct fixture *f, const char *token)
{
	char body[128], hex[65];

	fx_sha256_hex(token, hex);
	snprintf(body, sizeof(body), "{\"sha256\":\"%s\"}", hex);
	return fx_call_as(f, "", "auth", "", body, 0, 0);
}

static const char *keep(const struct fixture *f, const char *pointer, char out[128])
{
	snprintf(out, 128, "%s", fx_str(f, pointer));
	return out;
}

static int sign_in(struct fixture *f, const char *account, const char *password)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"account\":\"%s\",\"password\":\"%s\"}", account, password);
	return fx_call_as(f, "{\"source\":\"127.0.0.1\"}", "session-open", "", body, 0, 0);
}

static void token_lives_and_dies(void **state)
{
	struct fixture *f = *state;
	char t[128];

	CALL(f, 201, "put", "org", "{\"id\":\"acme\"}");
	CALL(f, 201, "put", "token", "{\"id\":\"ci\",\"org\":\"acme\",\"role\":\"org-admin\"}");
	keep(f, "/token", t);
	assert_int_equal(strlen(t), 63);
	assert_string_equal(fx_str(f, "/index"), "");
	CALL(f, 200, "get", "token", "{\"id\":\"ci\"}");
	assert_string_equal(fx_str(f, "/token"), ""); /* once */
	assert_int_equal(auth(f, t), 200);
	assert_string_equal(fx_str(f, "/key"), "token:ci");
	assert_string_equal(fx_str(f, "/kind"), "token");
	assert_string_equal(fx_str(f, "/roles/0/role"), "org-admin");
	assert_string_equal(fx_str(f, "/roles/0/org"), "acme");
	CALL(f, 200, "patch", "token", "{\"id\":\"ci\",\"patch\":{\"disabled\":true}}");
	assert_int_equal(auth(f, t), 401);
	CALL(f, 200, "patch", "token", "{\"id\":\"ci\",\"patch\":{\"disabled\":null}}");
	assert_int_equal(auth(f, t), 200);
	CALL(f, 200, "patch", "token", "{\"id\":\"ci\",\"patch\":{\"expires_at\":\"2020-01-01T00:00:00Z\"}}");
	assert_int_equal(auth(f, t), 401);
	assert_string_equal(fx_str(f, "/error/name"), "KEY_EXPIRED");
	CALL(f, 200, "patch", "token", "{\"id\":\"ci\",\"patch\":{\"expires_at\":null}}");
	CALL(f, 200, "patch", "org", "{\"id\":\"acme\",\"patch\":{\"disabled\":true}}");
	assert_int_equal(auth(f, t), 401);
	CALL(f, 200, "patch", "org", "{\"id\":\"acme\",\"patch\":{\"disabled\":null}}");
	fx_reopen(f);
	assert_int_equal(auth(f, t), 200);
	CALL(f, 200, "delete", "token", "{\"id\":\"ci\"}");
	assert_int_equal(auth(f, t), 401);
	CALL(f, 201, "put", "token", "{\"id\":\"ci\",\"org\":\"acme\",\"role\":\"viewer\"}");
	assert_int_equal(auth(f, t), 401); /* the name is the same, the token is not */
}

static void last_use_is_no_change(void **state)
{
	struct fixture *f = *state;
	char t[128];

	CALL(f, 201, "put", "token", "{\"id\":\"ci\",\"role\":\"viewer\"}");
	keep(f, "/token", t);
	uint64_t version = f->version;

	CALL(f, 200, "get", "token", "{\"id\":\"ci\"}");
	assert_string_equal(fx_str(f, "/last_used_at"), "");
	assert_int_equal(auth(f, t), 200);
	gw_login_flush(&f->core);
	CALL(f, 200, "get", "token", "{\"id\":\"ci\"}");
	assert_string_not_equal(fx_str(f, "/last_used_at"), "");
	assert_int_equal(f->version, version);
	/* what was read may be sent back, also when it has moved meanwhile; and given by nobody it stays unknown */
	CALL(f, 200, "put", "token",
	     "{\"id\":\"ci\",\"role\":\"viewer\",\"last_used_at\":\"2021-01-01T00:00:00Z\",\"name\":\"x\"}");
	CALL(f, 200, "get", "token", "{\"id\":\"ci\"}");
	assert_string_not_equal(fx_str(f, "/last_used_at"), "2021-01-01T00:00:00Z");
	CALL(f, 201, "put", "token", "{\"id\":\"cj\",\"role\":\"viewer\",\"last_used_at\":\"2021-01-01T00:00:00Z\"}");
	assert_string_equal(fx_str(f, "/last_used_at"), "");
}

static void roles_fit_their_place(void **state)
{
	struct fixture *f = *state;
	static const char org_admin[] =
	    "{\"key\":\"oa\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"acme\",\"team\":\"\"}]}";
	static const char team_admin[] =
	    "{\"key\":\"ta\",\"roles\":[{\"role\":\"team-admin\",\"org\":\"acme\",\"team\":\"t1\"}]}";
	static const char stranger[] =
	    "{\"key\":\"st\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"other\",\"team\":\"\"}]}";

	CALL(f, 201, "put", "org", "{\"id\":\"acme\"}");
	CALL(f, 201, "put", "org", "{\"id\":\"other\"}");
	CALL(f, 201, "put", "team", "{\"id\":\"t1\",\"org\":\"acme\"}");
	for (int i = 0; i < 2; i++) {
		const char *kind = i ? "token" : "account";

		CALL_AS(f, org_admin, 403, "put", kind, "{\"id\":\"a\",\"role\":\"platform-admin\"}");
		CALL_AS(f, org_admin, 400, "put", kind, "{\"id\":\"a\",\"org\":\"acme\",\"role\":\"platform-admin\"}");
		CALL_AS(f, org_admin, 403, "put", kind, "{\"id\":\"a\",\"role\":\"viewer\"}");
		CALL_AS(f, org_admin, 403, "put", kind, "{\"id\":\"a\",\"org\":\"other\",\"role\":\"viewer\"}");
		CALL_AS(f, org_admin, 201, "put", kind, "{\"id\":\"a\",\"org\":\"acme\",\"role\":\"org-admin\"}");
		CALL_AS(f, stranger, 404, "get", kind, "{\"id\":\"a\"}");
		CALL_AS(f, stranger, 404, "delete", kind, "{\"id\":\"a\"}");
		CALL_AS(f, team_admin, 404, "get", kind, "{\"id\":\"a\"}");
		CALL_AS(f, team_admin, 400, "put", kind,
			"{\"id\":\"b\",\"org\":\"acme\",\"team\":\"t1\",\"role\":\"org-admin\"}");
		CALL_AS(f, team_admin, 403, "put", kind, "{\"id\":\"b\",\"org\":\"acme\",\"role\":\"viewer\"}");
		CALL_AS(f, team_admin, 201, "put", kind,
			"{\"id\":\"b\",\"org\":\"acme\",\"team\":\"t1\",\"role\":\"team-admin\"}");
	}
	/* nobody disables what he is using */
	static const char self[] =
	    "{\"key\":\"token:a\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"acme\",\"team\":\"\"}]}";

	CALL_AS(f, self, 409, "delete", "token", "{\"id\":\"a\"}");
	CALL_AS(f, self, 409, "patch", "token", "{\"id\":\"a\",\"patch\":{\"disabled\":true}}");
	CALL_AS(f, self, 409, "patch", "token", "{\"id\":\"a\",\"patch\":{\"role\":\"viewer\"}}");
	CALL_AS(f, self, 200, "delete", "account", "{\"id\":\"a\"}"); /* of that name, not it */
}

static void password_opens_a_session(void **state)
{
	struct fixture *f = *state;
	char one[128], two[128], words[512];

	CALL(f, 201, "put", "account", "{\"id\":\"alice\",\"role\":\"platform-admin\"}");
	assert_int_equal(sign_in(f, "alice", "correct horse battery"), 401); /* none set yet */
	snprintf(words, sizeof(words), "%s", f->text);
	assert_int_equal(sign_in(f, "nobody", "correct horse battery"), 401);
	assert_string_equal(words, f->text);
	CALL(f, 400, "account-password", "", "{\"id\":\"alice\",\"password\":\"short\"}");
	CALL(f, 404, "account-password", "", "{\"id\":\"bob\",\"password\":\"correct horse battery\"}");
	CALL(f, 200, "account-password", "", "{\"id\":\"alice\",\"password\":\"correct horse battery\"}");
	assert_int_equal(sign_in(f, "alice", "correct horse batterx"), 401);
	assert_string_equal(words, f->text);
	assert_int_equal(sign_in(f, "alice", "correct horse battery"), 200);
	keep(f, "/token", one);
	assert_int_equal(auth(f, one), 200);
	assert_string_equal(fx_str(f, "/key"), "account:alice");
	assert_string_equal(fx_str(f, "/roles/0/role"), "platform-admin");
	fx_reopen(f);
	assert_int_equal(auth(f, one), 200); /* a restart signs nobody out */
	assert_int_equal(sign_in(f, "alice", "correct horse battery"), 200);
	keep(f, "/token", two);
	/* sign out ends this one, a new password ends all */
	char body[128], hex[65];

	fx_sha256_hex(two, hex);
	snprintf(body, sizeof(body), "{\"sha256\":\"%s\"}", hex);
	CALL_AS(f, "{\"key\":\"account:alice\"}", 200, "session-close", "", body);
	assert_int_equal(auth(f, two), 401);
	assert_int_equal(auth(f, one), 200);
	static const char self[] =
	    "{\"key\":\"account:alice\",\"roles\":[{\"role\":\"platform-admin\",\"org\":\"\",\"team\":\"\"}]}";

	CALL_AS(f, self, 400, "account-password", "", "{\"id\":\"alice\",\"password\":\"another password\"}");
	CALL_AS(f, self, 403, "account-password", "",
		"{\"id\":\"alice\",\"password\":\"another password\",\"old_password\":\"wrong\"}");
	CALL_AS(f, self, 200, "account-password", "",
		"{\"id\":\"alice\",\"password\":\"another password\",\"old_password\":\"correct horse battery\"}");
	assert_int_equal(auth(f, one), 401);
	assert_int_equal(sign_in(f, "alice", "another password"), 200);
	keep(f, "/token", one);
	CALL(f, 200, "patch", "account", "{\"id\":\"alice\",\"patch\":{\"disabled\":true}}");
	assert_int_equal(auth(f, one), 401);
	assert_int_equal(sign_in(f, "alice", "another password"), 401);
	/* made anew under the same name: neither old sessions nor the old password */
	CALL(f, 200, "delete", "account", "{\"id\":\"alice\"}");
	CALL(f, 201, "put", "account", "{\"id\":\"alice\",\"role\":\"viewer\"}");
	assert_int_equal(auth(f, one), 401);
	assert_int_equal(sign_in(f, "alice", "another password"), 401);
	/* signing in is in the log, and is no change of the account that a rollback would undo */
	CALL(f, 200, "generations", "", "{\"limit\":50}");
	assert_non_null(strstr(f->text, "\"act\":\"sign-in\""));
	assert_null(strstr(f->text, "password\":\"a"));
}

/* A try counts when it begins, so that many at once gain nothing; deriving is left out here. */
static int try_only(struct fixture *f, const char *account)
{
	char body[256];
	struct gw_call q = { .method = GW_LIT("session-open") };
	struct gw_reply r;
	struct gw_kdf kdf;

	snprintf(body, sizeof(body), "{\"account\":\"%s\",\"password\":\"guess\"}", account);
	q.body = gw_str_z(body);
	gw_reply_init(&r);
	int status = gw_kdf_begin(&f->core, &q, &kdf, &r) == GW_OK ? 0 : r.status;

	if (status == 0)
		gw_kdf_done(&kdf);
	f->retry_ms = r.retry_ms;
	gw_reply_done(&r);
	return status;
}

static void guessing_gets_slower(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(try_only(f, "mallory"), 0);
	assert_int_equal(try_only(f, "mallory"), 429);
	assert_true(f->retry_ms > 0 && f->retry_ms <= 1000);
	assert_int_equal(try_only(f, "somebody"), 0); /* nobody else waits for it */
}

static void done_once(void **state)
{
	struct fixture *f = *state;
	char token[128];

	f->idem = "call-1";
	CALL(f, 201, "put", "key", "{\"id\":\"k1\"}");
	keep(f, "/token", token);
	assert_false(f->is_replay);
	CALL(f, 201, "put", "key", "{\"id\":\"k1\"}");
	assert_true(f->is_replay);
	assert_string_equal(fx_str(f, "/token"), token);
	CALL(f, 422, "put", "key", "{\"id\":\"k2\"}"); /* another call under the same name */
	CALL(f, 422, "delete", "key", "{\"id\":\"k1\"}");
	/* another caller's names are its own */
	CALL_AS(f, "{\"key\":\"b2\",\"roles\":[{\"role\":\"platform-admin\",\"org\":\"\",\"team\":\"\"}]}", 201, "put",
		"key", "{\"id\":\"k3\"}");
	/* what failed may be corrected */
	f->idem = "call-2";
	CALL(f, 400, "put", "key", "{\"id\":\"k4\",\"user\":\"nobody\"}");
	CALL(f, 201, "put", "key", "{\"id\":\"k4\"}");
	/* after a restart, and a change of the data key, too */
	fx_reopen(f);
	f->idem = "call-1";
	CALL(f, 201, "put", "key", "{\"id\":\"k1\"}");
	assert_true(f->is_replay);
	assert_string_equal(fx_str(f, "/token"), token);
	f->idem = NULL;
	CALL(f, 200, "put", "key", "{\"id\":\"k1\",\"name\":\"x\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(token_lives_and_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(last_use_is_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(roles_fit_their_place, setup, teardown),
		cmocka_unit_test_setup_teardown(password_opens_a_session, setup, teardown),
		cmocka_unit_test_setup_teardown(guessing_gets_slower, setup, teardown),
		cmocka_unit_test_setup_teardown(done_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
