/* core/cred.h: secrets of each kind, in all the forms that people have them, and what is wrong with the others. */
#include "tests/unit/lib/util.h"

#include "core/cred.h"

static struct gw_arena arena;

static const char *take(enum gw_cred_kind kind, const char *given, const char *want_seal, const char *want_who)
{
	struct gw_str seal, who;
	const char *why;
	enum gw_err e = gw_cred_secret_take(&arena, kind, gw_str_z(given), &seal, &who, &why);

	if (want_seal) {
		if (e)
			fail_msg("%s: %s", given, why ? why : "");
		assert_str(seal, want_seal);
		assert_str(who, want_who);
		return NULL;
	}
	assert_int_equal(e, GW_E_INVALID);
	return why;
}

static void keys(void **st)
{
	(void)st;
	take(GW_CRED_KIND_KEY, "sk-abc", "sk-abc", "");
	take(GW_CRED_KIND_KEY, "a:b", "a:b", "");
	assert_non_null(strstr(take(GW_CRED_KIND_KEY, "sk abc", NULL, NULL), "secret has a character"));
	assert_non_null(strstr(take(GW_CRED_KIND_AZURE, "x\n", NULL, NULL), "secret has a character"));
	take(GW_CRED_KIND_AZURE, "Zx8~Q", "Zx8~Q", "");
}

static void aws(void **st)
{
	(void)st;
	take(GW_CRED_KIND_AWS, "AKIA:se/c+ret", "AKIA:se/c+ret", "AKIA");
	take(GW_CRED_KIND_AWS, "ASIA:s:t/k==", "ASIA:s:t/k==", "ASIA");
	take(GW_CRED_KIND_AWS,
	     "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"x\"}", "A:s:t",
	     "A");
	take(GW_CRED_KIND_AWS, "{\"access_key_id\":\"A\",\"secret_access_key\":\"s\"}", "A:s", "A");
	assert_non_null(take(GW_CRED_KIND_AWS, "{\"access_key_id\":\"A\"}", NULL, NULL));
	assert_non_null(take(GW_CRED_KIND_AWS, "{\"access_key_id\":", NULL, NULL));
	assert_non_null(take(GW_CRED_KIND_AWS, "AKIA", NULL, NULL));
	assert_non_null(take(GW_CRED_KIND_AWS, ":s", NULL, NULL));
	assert_non_null(take(GW_CRED_KIND_AWS, "A:s:t:u", NULL, NULL));
	assert_non_null(take(GW_CRED_KIND_AWS, "A: s", NULL, NULL));
}

#define PEM "\"private_key\":\"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n\""

static void gcp(void **st)
{
	static const char *const bad[][2] = {
		{ "sk-abc", "secret must be the JSON key file" },
		{ "[]", "secret must be the JSON key file" },
		{ "{\"type\":\"external_account\"}", "\"type\" must be" },
		{ "{\"type\":\"service_account\"," PEM "}", "lacks client_email" },
		{ "{\"type\":\"service_account\",\"client_email\":\"a@b\"}", "lacks private_key" },
		{ "{\"type\":\"service_account\",\"client_email\":\"a@b\",\"token_uri\":\"http://169.254.169.254/"
		  "\"," PEM "}",
		  "token_uri" },
		{ "{\"type\":\"authorized_user\",\"client_id\":\"i\",\"client_secret\":\"s\"}", "lacks refresh_token" },
		{ "{\"type\":\"authorized_user\",\"client_id\":\"i\",\"refresh_token\":\"s\"}", "lacks client_secret" },
	};
	const char *good =
	    "{\"type\":\"service_account\",\"client_email\":\"a@b\",\"token_uri\":\"https://t/\"," PEM "}";
	struct gw_gcp_key k;
	const char *why;

	(void)st;
	take(GW_CRED_KIND_GCP, good, good, "a@b");
	assert_int_equal(gw_gcp_key_read(&arena, gw_str_z(good), &k, &why), GW_OK);
	assert_str(k.private_key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	good = "{\"type\":\"authorized_user\",\"client_id\":\"i\",\"client_secret\":\"s\",\"refresh_token\":\"r\"}";
	take(GW_CRED_KIND_GCP, good, good, "i");
	for (size_t i = 0; i < N_OF(bad); i++) {
		why = take(GW_CRED_KIND_GCP, bad[i][0], NULL, NULL);
		if (!why || !strstr(why, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], why ? why : "no words");
	}
}

#define EXTERNAL "\"type\":\"external_account\",\"audience\":\"//iam/x\",\"subject_token_type\":\"jwt\","

static void external(void **st)
{
	static const char *const bad[][2] = {
		{ "", "not one of type" },
		{ "[]", "not one of type" },
		{ "{\"type\":\"service_account\"}", "not one of type" },
		{ "{\"type\":\"external_account\"}", "lacks audience" },
		{ "{\"type\":\"external_account\",\"audience\":\"a\"}", "lacks subject_token_type" },
		{ "{" EXTERNAL "\"token_url\":\"http://sts/\"}", "token_url" },
		{ "{" EXTERNAL "\"token_url\":\"https://sts/\",\"service_account_impersonation_url\":\"http://x/\"}",
		  "impersonation" },
		{ "{" EXTERNAL "\"token_url\":\"https://sts/\"}", "other than file" },
		{ "{" EXTERNAL
		  "\"token_url\":\"https://sts/\",\"credential_source\":{\"url\":\"http://169.254.169.254\"}}",
		  "other than file" },
		{ "{" EXTERNAL "\"token_url\":\"https://sts/\",\"credential_source\":{\"file\":7}}",
		  "other than file" },
	};
	struct gw_gcp_external x;
	const char *why = NULL;

	(void)st;
	assert_int_equal(
	    gw_gcp_external_read(&arena,
				 GW_LIT("{" EXTERNAL "\"token_url\":\"https://sts/v1\",\"credential_source\":"
					"{\"file\":\"/var/t\",\"format\":{\"type\":\"json\","
					"\"subject_token_field_name\":\"id\"}}}"),
				 &x, &why),
	    GW_OK);
	assert_str(x.file, "/var/t");
	assert_str(x.field, "id");
	assert_str(x.impersonation_url, "");
	assert_str(gw_gcp_subject(&arena, GW_LIT("{\"id\":\"a\\u0062\"}"), x.field), "ab");
	assert_int_equal(gw_gcp_subject(&arena, GW_LIT("{\"id\":7}"), x.field).n, 0);
	assert_int_equal(gw_gcp_subject(&arena, GW_LIT("ab"), x.field).n, 0);
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(gw_gcp_external_read(&arena, gw_str_z(bad[i][0]), &x, &why), GW_E_INVALID);
		if (!strstr(why, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], why);
	}
}

static int set_up(void **st)
{
	(void)st;
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	return 0;
}

static int tear_down(void **st)
{
	(void)st;
	gw_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(keys, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(aws, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(gcp, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(external, set_up, tear_down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
