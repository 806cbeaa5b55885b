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
		assert_string_equal(p->dialect, "openai");
		if (p->base_url[0])
			assert_int_equal(gw_url_parse(gw_str_z(p->base_url), &u), GW_OK);
		assert_true((p->auth == GW_AUTH_NONE) == (gw_auth_header_name(p->auth).n == 0));
	}
	assert_null(gw_provider_find(GW_LIT("")));
	assert_null(gw_provider_find(GW_LIT("open")));
	assert_string_equal(gw_provider_by_type(0)->name, "openai-compatible");
	assert_string_equal(gw_provider_by_type(1)->name, "openai");
	assert_null(gw_provider_by_type(1000));
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rows), cmocka_unit_test(headers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
