/* The table of providers: rows are found by name and by the word of a provider's type, their URLs parse, headers fit their kind. */
#include "tests/unit/lib/util.h"

#include "core/provider.h"
#include "lib/url.h"

static void rows(void **st)
{
	(void)st;
	assert_true(gw_n_providers >= 2);
	for (unsigned i = 0; i < gw_n_providers; i++) {
		const struct gw_provider *p = &gw_providers[i];
		struct gw_url u;

		assert_ptr_equal(gw_provider_find(gw_str_z(p->name)), p);
		assert_string_equal(p->dialect, gw_dialect_name(p->dialect_id));
		if (p->base_url[0])
			assert_int_equal(strchr(p->base_url, '{') ? GW_OK : gw_url_parse(gw_str_z(p->base_url), &u),
					 GW_OK);
		assert_true(gw_auth_header_name(p->auth).n || p->auth == GW_AUTH_NONE || p->auth == GW_AUTH_QUERY_KEY);
		assert_true(p->creds != 0 || p->auth == GW_AUTH_NONE);
		assert_true(p->scope[0] || !(p->creds & (GW_CRED_AWS | GW_CRED_GCP | GW_CRED_AZURE)));
	}
	assert_null(gw_provider_find(GW_LIT("")));
	assert_null(gw_provider_find(GW_LIT("open")));
	assert_string_equal(gw_provider_by_type(0)->name, "openai-compatible");
	assert_string_equal(gw_provider_by_type(1)->name, "openai");
	assert_null(gw_provider_by_type(1000));
}

static void expect_path(const char *type, const char *version, const char *query, const char *want)
{
	struct gw_buf b;

	gw_buf_init(&b, 500);
	gw_provider_path(gw_provider_find(gw_str_z(type)), GW_LIT("/base"), GW_LIT("my gpt"), gw_str_z(version),
			 GW_LIT("/chat/completions"), gw_str_z(query), &b);
	assert_str(gw_buf_view(&b), want);
	gw_buf_done(&b);
}

static void paths(void **st)
{
	(void)st;
	expect_path("openai", "", "", "/base/chat/completions");
	expect_path("openai", "", "a=1", "/base/chat/completions?a=1");
	expect_path("azure", "preview", "a=1", "/base/chat/completions?a=1&api-version=preview");
	expect_path("azure-classic", "2024-10-21", "", "/base/my%20gpt/chat/completions?api-version=2024-10-21");
	expect_path("writer", "", "", "/base/chat");
}

static void headers(void **st)
{
	(void)st;
	assert_str(gw_auth_header_name(GW_AUTH_BEARER), "Authorization");
	assert_str(gw_auth_header_prefix(GW_AUTH_BEARER), "Bearer ");
	assert_str(gw_auth_header_name(GW_AUTH_X_API_KEY), "x-api-key");
	assert_str(gw_auth_header_name(GW_AUTH_API_KEY), "api-key");
	assert_str(gw_auth_header_prefix(GW_AUTH_API_KEY), "");
	assert_null(gw_auth_header_name(GW_AUTH_NONE).p);
}

static void kinds(void **st)
{
	const struct gw_provider *p = gw_provider_find(GW_LIT("openai"));
	struct gw_str none = GW_LIT("");

	(void)st;
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_DEFAULT, GW_CRED_KIND_KEY), GW_AUTH_BEARER);
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_HEADER, GW_CRED_KIND_KEY), GW_AUTH_HEADER);
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_QUERY, GW_CRED_KIND_KEY), GW_AUTH_QUERY);
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_NONE, GW_CRED_KIND_KEY), GW_AUTH_NONE);
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_HEADER, GW_CRED_KIND_AWS), GW_AUTH_SIGV4);
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_HEADER, GW_CRED_KIND_GCP), GW_AUTH_BEARER);
	assert_int_equal(gw_auth_kind_of(p, GW_PROVIDER_AUTH_DEFAULT, GW_CRED_KIND_AZURE), GW_AUTH_BEARER);
	assert_false(gw_cred_is_fetched(GW_CRED_KIND_KEY, GW_CRED_FROM_SECRET, none));
	assert_false(gw_cred_is_fetched(GW_CRED_KIND_AWS, GW_CRED_FROM_SECRET, none));
	assert_true(gw_cred_is_fetched(GW_CRED_KIND_AWS, GW_CRED_FROM_SECRET, GW_LIT("arn:aws:iam::1:role/r")));
	assert_true(gw_cred_is_fetched(GW_CRED_KIND_AWS, GW_CRED_FROM_INSTANCE, none));
	assert_true(gw_cred_is_fetched(GW_CRED_KIND_GCP, GW_CRED_FROM_SECRET, none));
	assert_true(gw_cred_is_fetched(GW_CRED_KIND_AZURE, GW_CRED_FROM_INSTANCE, none));
}

static void names(void **st)
{
	(void)st;
	assert_true(gw_auth_is_header_name(GW_LIT("X-My-Key")));
	assert_true(gw_auth_is_header_name(GW_LIT("authorization")));
	assert_false(gw_auth_is_header_name(GW_LIT("")));
	assert_false(gw_auth_is_header_name(GW_LIT("a b")));
	assert_false(gw_auth_is_header_name(GW_LIT("a:b")));
	assert_false(gw_auth_is_header_name(GW_LIT("Host")));
	assert_false(gw_auth_is_header_name(GW_LIT("Content-Length")));
	assert_true(gw_provider_is_place(GW_LIT("us-east-1")));
	assert_false(gw_provider_is_place(GW_LIT("evil/..")));
	assert_false(gw_provider_is_place(GW_LIT("a@b")));
}

static void locations(void **st)
{
	static const char *const hosts[][2] = { { "europe-west4", "europe-west4-aiplatform.googleapis.com" },
						{ "global", "aiplatform.googleapis.com" },
						{ "us", "aiplatform.us.rep.googleapis.com" },
						{ "eu", "aiplatform.eu.rep.googleapis.com" } };
	static const char *const regions[] = { "us-east-1", "us-gov-west-1", "europe-west4",
					       "northamerica-northeast2" };
	static const char *const none[] = { "",          "us",        "global", "us-central1-a",
					    "US-EAST-1", "us east 1", "1-a1",   "useast1" };
	char room[GW_LOCATION_HOST], far[200];

	(void)st;
	for (size_t i = 0; i < N_OF(hosts); i++)
		assert_str(gw_str(room, gw_provider_location_host(gw_str_z(hosts[i][0]), room)), hosts[i][1]);
	memset(far, 'a', sizeof(far));
	assert_int_equal(gw_provider_location_host(gw_str(far, sizeof(far)), room), 0);
	for (size_t i = 0; i < N_OF(regions); i++)
		assert_true(gw_provider_is_region(gw_str_z(regions[i])));
	for (size_t i = 0; i < N_OF(none); i++)
		assert_false(gw_provider_is_region(gw_str_z(none[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rows),    cmocka_unit_test(paths),
					    cmocka_unit_test(headers), cmocka_unit_test(kinds),
					    cmocka_unit_test(names),   cmocka_unit_test(locations) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
