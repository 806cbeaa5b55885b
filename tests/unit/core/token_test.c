/* core/token.h and RS256: the shared JWT vector byte for byte, forms, replies good and bad, words of refusals, when a token is fetched anew. */
#include "tests/unit/lib/util.h"

#include "core/token.h"
#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/text.h"

static struct gw_arena arena;
static struct gw_buf out;

static int set_up(void **st)
{
	(void)st;
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	gw_buf_init(&out, 1 << 20);
	return 0;
}

static int tear_down(void **st)
{
	(void)st;
	gw_arena_done(&arena);
	gw_buf_done(&out);
	return 0;
}

static void forms(void **st)
{
	struct gw_token_ask a = { .role_arn = GW_LIT("arn:aws:iam::1:role/r"), .external_id = GW_LIT("a b&c") };

	(void)st;
	gw_token_sts_form(&out, &a, GW_NIL);
	assert_str(gw_buf_view(&out), "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
				      "RoleSessionName=llmgw&DurationSeconds=3600&ExternalId=a%20b%26c");
	gw_buf_clear(&out, 0);
	gw_token_sts_form(&out, &a, GW_LIT("jwt"));
	assert_str(gw_buf_view(&out),
		   "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
		   "RoleSessionName=llmgw&DurationSeconds=3600&WebIdentityToken=jwt");
}

static enum gw_err oauth(const char *body, struct gw_token_got *got)
{
	*got = (struct gw_token_got){ 0 };
	gw_buf_init(&got->value, 1000);
	return gw_token_read_oauth(&arena, gw_str_z(body), 1767323045000000, got); /* 2026-01-02T03:04:05Z */
}

static void oauth_replies(void **st)
{
	static const char *const bad[] = { "",
					   "<html>",
					   "[]",
					   "{}",
					   "{\"access_token\":\"a\"}",
					   "{\"expires_in\":1}",
					   "{\"access_token\":\"a\",\"expires_in\":-1}",
					   "{\"access_token\":\"\",\"expires_in\":1}",
					   "{\"access_token\":\"a\",\"expires_in\":\"soon\"}",
					   "{\"access_token\":7,\"expires_in\":1}",
					   "{\"access_token\":\"a b\",\"expires_in\":1}",
					   "{\"access_token\":\"a\\r\\nx: 1\",\"expires_in\":1}",
					   "{\"access_token\":\"a\",\"expires_in\":[1]}",
					   "{\"access_token\":\"a\",\"expires_on\":\"2026-01-02\"}",
					   "{\"access_token\":\"a\",\"expires_on\":\"9999999999999999999\"}",
					   "{\"access_token\":\"a\",\"expireTime\":\"2026-01-02T04:04:05Z\"}",
					   "{\"accessToken\":\"a\",\"expireTime\":\"soon\"}",
					   "{\"accessToken\":\"a\",\"expires_in\":1}" };
	struct gw_token_got got;

	(void)st;
	assert_int_equal(oauth("{\"access_token\":\"a\\u0062\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", &got),
			 GW_OK);
	assert_str(gw_buf_view(&got.value), "ab");
	assert_int_equal(got.life_ms, 3599000);
	gw_buf_done(&got.value);
	assert_int_equal(oauth("{\"access_token\":\"a\",\"expires_in\":\"86399999\"}", &got),
			 GW_OK); /* as text, and too long */
	assert_int_equal(got.life_ms, 86400000);
	gw_buf_done(&got.value);
	/* a time instead, as managed identities of apps have it; that of an impersonation */
	assert_int_equal(oauth("{\"access_token\":\"a\",\"expires_on\":\"1767323105\"}", &got), GW_OK);
	assert_int_equal(got.life_ms, 60000);
	gw_buf_done(&got.value);
	assert_int_equal(oauth("{\"access_token\":\"a\",\"expires_on\":1767323000}", &got), GW_OK);
	assert_int_equal(got.life_ms, 0); /* it has ended */
	gw_buf_done(&got.value);
	assert_int_equal(oauth("{\"accessToken\":\"ya29\",\"expireTime\":\"2026-01-02T04:04:05Z\"}", &got), GW_OK);
	assert_str(gw_buf_view(&got.value), "ya29");
	assert_int_equal(got.life_ms, 3600000);
	gw_buf_done(&got.value);
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(oauth(bad[i], &got), GW_E_UP_GARBLED);
		gw_buf_done(&got.value);
	}
}

static void aws_replies(void **st)
{
	const int64_t now = 1767323045000000; /* 2026-01-02T03:04:05Z */
	struct gw_token_got got = { 0 };

	(void)st;
	gw_buf_init(&got.value, 1000);
	assert_int_equal(
	    gw_token_read_keys(
		&arena,
		GW_LIT("{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
		       "\"Expiration\":\"2026-01-02T04:04:05Z\"}"),
		now, &got),
	    GW_OK);
	assert_str(gw_buf_view(&got.value), "A:s:t");
	assert_int_equal(got.life_ms, 3600000);
	gw_buf_clear(&got.value, 0);
	assert_int_equal(
	    gw_token_read_sts(
		GW_LIT("<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s/+</SecretAccessKey>\n"
		       "<SessionToken>\n t== \n</SessionToken><Expiration>2026-01-02T03:04:04Z</Expiration>"),
		now, &got),
	    GW_E_UP_GARBLED); /* a line break is no part of a token */
	gw_buf_clear(&got.value, 0);
	assert_int_equal(
	    gw_token_read_sts(GW_LIT("<AccessKeyId>A</AccessKeyId><SecretAccessKey>s/+</SecretAccessKey>"
				     "<SessionToken>t==</SessionToken><Expiration>2026-01-02T03:04:04Z</Expiration>"),
			      now, &got),
	    GW_OK);
	assert_int_equal(got.life_ms, 0); /* it has ended */
	gw_buf_clear(&got.value, 0);
	assert_int_equal(gw_token_read_sts(GW_LIT("<AccessKeyId>A</AccessKeyId>"), now, &got), GW_E_UP_GARBLED);
	assert_int_equal(gw_token_read_sts(GW_LIT(""), now, &got), GW_E_UP_GARBLED);
	gw_buf_done(&got.value);
}

static void words(void **st)
{
	(void)st;
	assert_str(gw_token_why(&arena, GW_LIT("{\"error\":\"invalid_client\",\"error_description\":\"no such key\"}")),
		   "no such key");
	assert_str(gw_token_why(&arena, GW_LIT("{\"error\":\"invalid_grant\"}")), "invalid_grant");
	assert_str(gw_token_why(&arena, GW_LIT("{\"error\":{\"code\":403,\"message\":\"denied\"}}")), "denied");
	assert_str(gw_token_why(&arena, GW_LIT("{\"Code\":\"Failed\",\"Message\":\"cannot assume\"}")),
		   "cannot assume");
	assert_str(gw_token_why(&arena, GW_LIT("{\"error\":[1],\"message\":{}}")), "");
	assert_str(gw_token_skew_words(&arena, 60), "");
	assert_str(gw_token_skew_words(&arena, -3600), " This machine's clock is 3600 s ahead of theirs.");
	assert_str(gw_token_skew_words(&arena, 3600), " This machine's clock is 3600 s behind theirs.");
	assert_str(gw_token_why(&arena, GW_LIT("{\"message\":\"m\"}")), "m");
	assert_str(gw_token_why(&arena, GW_LIT("<E><Error><Message>not you</Message></Error></E>")), "not you");
	assert_str(gw_token_why(&arena, GW_LIT("oops")), "");
	assert_str(gw_token_why(&arena, GW_LIT("")), "");
}

static void early(void **st)
{
	(void)st;
	assert_int_equal(gw_token_refresh_ms(3600000, 0), 3300000);
	assert_in_range(gw_token_refresh_ms(3600000, UINT32_MAX), 3270000, 3270001);
	assert_int_equal(gw_token_refresh_ms(10000, 0), 8000);
	assert_in_range(gw_token_refresh_ms(10000, UINT32_MAX), 7500, 7501);
	assert_int_equal(gw_token_refresh_ms(0, UINT32_MAX), 0);
}

static yyjson_doc *doc;

static struct gw_str member(yyjson_val *o, const char *name)
{
	return gw_json_str(yyjson_obj_get(o, name));
}

/* Byte for byte: RS256 leaves no room for chance. */
static void jwt_vector(void **st)
{
	yyjson_val *o = yyjson_doc_get_root(doc), *account = yyjson_obj_get(o, "service_account");
	struct gw_gcp_key k = { .client_email = member(account, "client_email"),
				.private_key = member(account, "private_key"),
				.private_key_id = member(account, "private_key_id") };
	struct gw_buf sig, form;

	(void)st;
	gw_token_jwt(&out, &k, GW_LIT("https://www.googleapis.com/auth/cloud-platform"),
		     GW_LIT("https://oauth2.googleapis.com/token"), 1767323045000000);
	assert_same(gw_buf_view(&out), member(o, "signing_input"));
	gw_buf_init(&sig, 1000);
	gw_buf_init(&form, 10000);
	assert_int_equal(gw_rs256_sign(k.private_key, gw_buf_view(&out), &sig), GW_OK);
	gw_buf_putc(&out, '.');
	gw_b64url_put(&out, sig.p, sig.n);
	assert_same(gw_buf_view(&out), member(o, "jwt"));
	gw_form_put(&form, "grant_type", GW_LIT("urn:ietf:params:oauth:grant-type:jwt-bearer"));
	gw_form_put(&form, "assertion", gw_buf_view(&out));
	assert_same(gw_buf_view(&form), member(o, "token_request_body"));
	gw_buf_done(&sig);
	gw_buf_done(&form);
}

static void no_key(void **st)
{
	static const char *const bad[] = {
		"",
		"x",
		"-----BEGIN PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMIL/////AQ==\n-----END PRIVATE KEY-----\n"
	};

	(void)st;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(gw_rs256_sign(gw_str_z(bad[i]), GW_LIT("m"), &out), GW_E_CRYPTO);
	assert_int_equal(out.n, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { T(forms), T(oauth_replies), T(aws_replies), T(words), T(early), T(no_key) };
	const struct CMUnitTest with_vector[] = { T(jwt_vector) };
	struct gw_str text = shared_file("fixtures/vertex-oauth/jwt-rs256-vector.json");

	if (gw_crypto_init())
		return 1;
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	if (!text.p)
		return rc ? rc : skip_all("no fixtures/vertex-oauth below LLMGW_SHARED");
	doc = yyjson_read(text.p, text.n, 0);
	rc += cmocka_run_group_tests(with_vector, NULL, NULL);
	yyjson_doc_free(doc);
	free((char *)(uintptr_t)text.p);
	return rc;
}
