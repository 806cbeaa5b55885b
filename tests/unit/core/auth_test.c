/* core/auth.h: each kind of authentication, what does not fit, and a signature that is checked against one made by hand with lib/sigv4. */
#include "tests/unit/lib/util.h"

#include "core/auth.h"
#include "lib/crypto.h"
#include "lib/sigv4.h"

static char room[GW_AUTH_ROOM];

static struct gw_candidate candidate(enum gw_auth_kind kind)
{
	return (struct gw_candidate){ .auth = kind,
				      .provider_type =
					  (uint32_t)(gw_provider_find(GW_LIT("openai-compatible")) - gw_providers),
				      .auth_name = GW_LIT("X-Own"),
				      .sign_region = GW_LIT("us-east-1"),
				      .host = GW_LIT("api.test"),
				      .port = 443,
				      .is_https = true };
}

static struct gw_auth_request request(void)
{
	return (
	    struct gw_auth_request){ .method = GW_LIT("POST"), .path = GW_LIT("/v1/chat"), .now_us = 1767323045000000 };
}

static struct gw_auth_add make(enum gw_auth_kind kind, const char *secret, const char *path)
{
	struct gw_candidate c = candidate(kind);
	struct gw_auth_request rq = request();
	struct gw_auth_add add;

	rq.path = gw_str_z(path);
	assert_int_equal(gw_auth_make(&c, gw_str_z(secret), &rq, room, &add), GW_OK);
	return add;
}

static void headers(void **st)
{
	static const struct {
		enum gw_auth_kind kind;
		const char *name, *value;
	} cases[] = { { GW_AUTH_BEARER, "Authorization", "Bearer s3" },
		      { GW_AUTH_X_API_KEY, "x-api-key", "s3" },
		      { GW_AUTH_API_KEY, "api-key", "s3" },
		      { GW_AUTH_X_GOOG_API_KEY, "x-goog-api-key", "s3" },
		      { GW_AUTH_HEADER, "X-Own", "s3" } };
	struct gw_auth_add add;

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		add = make(cases[i].kind, "s3", "/p");
		assert_int_equal(add.n, 1);
		assert_str(add.v[0].name, cases[i].name);
		assert_str(add.v[0].value, cases[i].value);
		assert_str(add.path, "/p");
		assert_int_equal(add.room_n, add.v[0].value.n);
	}
	assert_int_equal(make(GW_AUTH_NONE, "s3", "/p").n, 0);
	assert_int_equal(make(GW_AUTH_BEARER, "", "/p").n, 0);
}

static void queries(void **st)
{
	(void)st;
	assert_str(make(GW_AUTH_QUERY_KEY, "a+b/c", "/p").path, "/p?key=a%2Bb%2Fc");
	assert_str(make(GW_AUTH_QUERY_KEY, "k", "/p?alt=sse").path, "/p?alt=sse&key=k");
	assert_str(make(GW_AUTH_QUERY, "k&x=1", "/p").path, "/p?X-Own=k%26x%3D1");
	assert_int_equal(make(GW_AUTH_QUERY, "k", "/p").n, 0);
}

/* Content-Type, Host with its port and every x-amz- header are covered, the rest is not. */
static void signature(void **st)
{
	const struct gw_auth_header sent[] = { { GW_LIT("content-type"), GW_LIT("application/json") },
					       { GW_LIT("accept"), GW_LIT("*/*") },
					       { GW_LIT("X-Amzn-Bedrock-Trace"), GW_LIT("ENABLED") } };
	const struct gw_str body[] = { GW_LIT("{\"a\":"), GW_LIT("1}") };
	const struct gw_sigv4_header by_hand[] = { { GW_LIT("Host"), GW_LIT("[::1]:8443") },
						   { GW_LIT("X-Amz-Security-Token"), GW_LIT("tok") },
						   { GW_LIT("Content-Type"), GW_LIT("application/json") },
						   { GW_LIT("x-amzn-bedrock-trace"), GW_LIT("ENABLED") } };
	struct gw_candidate c = candidate(GW_AUTH_SIGV4);
	struct gw_auth_request rq = request();
	struct gw_auth_add add;
	char hash[64], date[GW_SIGV4_DATE], want[GW_SIGV4_AUTH_MAX];
	size_t n;

	(void)st;
	rq.path = GW_LIT("/model/a%3A0/converse?x=1");
	rq.headers = sent;
	rq.n_headers = 3;
	rq.body = body;
	rq.n_body = 2;
	c.host = GW_LIT("::1");
	c.port = 8443;
	assert_int_equal(gw_auth_make(&c, GW_LIT("AKID:se/cr+et:tok"), &rq, room, &add), GW_OK);
	gw_sigv4_hash(body, 2, hash);
	struct gw_sigv4 s = { .access_key = GW_LIT("AKID"),
			      .secret_key = GW_LIT("se/cr+et"),
			      .region = GW_LIT("us-east-1"),
			      .service = GW_LIT("bedrock"),
			      .now_us = rq.now_us,
			      .method = GW_LIT("POST"),
			      .path = GW_LIT("/model/a%3A0/converse"),
			      .query = GW_LIT("x=1"),
			      .headers = by_hand,
			      .n_headers = 4,
			      .body_hash = gw_str(hash, 64) };
	assert_int_equal(gw_sigv4_sign(&s, date, want, &n), GW_OK);
	assert_int_equal(add.n, 3);
	assert_str(add.v[0].name, "x-amz-security-token");
	assert_str(add.v[0].value, "tok");
	assert_str(add.v[1].name, "x-amz-date");
	assert_str(add.v[1].value, "20260102T030405Z");
	assert_same(add.v[2].value, gw_str(want, n));
	rq.is_streamed = true;
	assert_int_equal(gw_auth_make(&c, GW_LIT("AKID:se/cr+et:tok"), &rq, room, &add), GW_OK);
	s.body_hash = GW_LIT("UNSIGNED-PAYLOAD");
	assert_int_equal(gw_sigv4_sign(&s, date, want, &n), GW_OK);
	assert_same(add.v[2].value, gw_str(want, n));
}

static void does_not_fit(void **st)
{
	static char big[GW_AUTH_ROOM];
	struct gw_candidate c = candidate(GW_AUTH_SIGV4);
	struct gw_auth_request rq = request();
	struct gw_auth_add add;

	(void)st;
	memset(big, 'x', sizeof(big));
	assert_int_equal(gw_auth_make(&c, GW_LIT("no keys"), &rq, room, &add), GW_E_CRED_MISSING);
	assert_int_equal(gw_auth_make(&c, GW_LIT("a:"), &rq, room, &add), GW_E_CRED_MISSING);
	c.sign_region = GW_LIT("");
	assert_int_equal(gw_auth_make(&c, GW_LIT("a:b"), &rq, room, &add), GW_E_CRED_MISSING);
	c = candidate(GW_AUTH_SIGV4);
	memcpy(big, "a:b:", 4);
	assert_int_equal(gw_auth_make(&c, gw_str(big, sizeof(big) - 100), &rq, room, &add), GW_E_TOO_BIG);
	assert_true(add.room_n <= sizeof(room));
	c = candidate(GW_AUTH_BEARER);
	assert_int_equal(gw_auth_make(&c, gw_str(big, sizeof(big)), &rq, room, &add), GW_E_TOO_BIG);
	assert_true(add.room_n <= sizeof(room));
}

static void parts(void **st)
{
	struct gw_str p[GW_AUTH_PARTS];

	(void)st;
	assert_int_equal(gw_auth_secret_parts(GW_AUTH_BEARER, GW_LIT(""), p), 0);
	assert_int_equal(gw_auth_secret_parts(GW_AUTH_BEARER, GW_LIT("a:b"), p), 1);
	assert_str(p[0], "a:b");
	assert_int_equal(gw_auth_secret_parts(GW_AUTH_SIGV4, GW_LIT("a:b"), p), 1);
	assert_str(p[0], "b");
	assert_int_equal(gw_auth_secret_parts(GW_AUTH_SIGV4, GW_LIT("a:b:c"), p), 2);
	assert_str(p[1], "c");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(headers), cmocka_unit_test(queries),
					    cmocka_unit_test(signature), cmocka_unit_test(does_not_fit),
					    cmocka_unit_test(parts) };

	if (gw_crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
