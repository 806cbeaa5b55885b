/* The smallest call of each dialect: where it goes, how, with what. */
#include "tests/unit/lib/util.h"

#include "core/probe_call.h"
#include "core/provider.h"

static struct gw_arena arena;

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

static struct gw_candidate at(const char *type, const char *base)
{
	const struct gw_provider *p = gw_provider_find(gw_str_z(type));

	assert_non_null(p);
	return (struct gw_candidate){ .provider_type = (uint32_t)(p - gw_providers),
				      .base_path = gw_str_z(base),
				      .upstream_model = GW_LIT("a model") };
}

static void expect(const char *type, const char *base, bool wants_chat, const char *method, const char *path,
		   const char *body)
{
	struct gw_candidate c = at(type, base);
	struct gw_probe_call call;
	bool is_chat = strcmp(method, "POST") == 0;

	assert_int_equal(gw_probe_call(&arena, &c, wants_chat, &call), GW_OK);
	assert_int_equal(call.is_chat, is_chat);
	assert_str(call.method, method);
	assert_str(call.path, path);
	assert_str(call.body, body);
}

static void lists(void **st)
{
	(void)st;
	expect("openai", "/v1", false, "GET", "/v1/models", "");
	expect("openai-responses", "/v1", false, "GET", "/v1/models", "");
	expect("anthropic", "/v1", false, "GET", "/v1/models?limit=1", "");
	expect("gemini", "/v1beta", false, "GET", "/v1beta/models?pageSize=1", "");
	expect("cohere", "", false, "GET", "/v1/models?page_size=1", "");
}

static void tokens(void **st)
{
	(void)st;
	expect("openai-compatible", "/v1", true, "POST", "/v1/chat/completions",
	       "{\"model\":\"a model\",\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}],\"max_tokens\":1}");
	expect("anthropic", "/v1", true, "POST", "/v1/messages",
	       "{\"model\":\"a model\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}]}");
	expect("cohere", "", true, "POST", "/v2/chat",
	       "{\"model\":\"a model\",\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}],\"max_tokens\":1}");
	expect("gemini", "/v1beta", true, "POST", "/v1beta/models/a%20model:generateContent",
	       "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"ping\"}]}],\"generationConfig\":{"
	       "\"maxOutputTokens\":1}}");
	expect("bedrock", "", true, "POST", "/model/a%20model/converse",
	       "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"ping\"}]}],\"inferenceConfig\":{"
	       "\"maxTokens\":1}}");
}

/* Where nothing can be listed, one token is asked for at once. */
static void no_list(void **st)
{
	struct gw_candidate c = at("bedrock", "");
	struct gw_probe_call call;

	(void)st;
	assert_int_equal(gw_probe_call(&arena, &c, false, &call), GW_OK);
	assert_true(call.is_chat);
	c = at("vertex", "/v1/projects/p/locations/l/publishers/google");
	assert_int_equal(gw_probe_call(&arena, &c, false, &call), GW_OK);
	assert_true(call.is_chat);
	c = at("azure-classic", "/openai/deployments");
	c.upstream_model = GW_LIT("mine");
	c.api_version = GW_LIT("2024-10-21");
	assert_int_equal(gw_probe_call(&arena, &c, false, &call), GW_OK);
	assert_true(call.is_chat);
	assert_str(call.path, "/openai/deployments/mine/chat/completions?api-version=2024-10-21");
}

static void headers(void **st)
{
	struct gw_candidate c = at("anthropic", "/v1");
	struct gw_probe_call call;

	(void)st;
	assert_int_equal(gw_probe_call(&arena, &c, false, &call), GW_OK);
	assert_str(call.header, "anthropic-version");
	assert_str(call.header_value, "2023-06-01");
	c = at("cohere", "");
	assert_int_equal(gw_probe_call(&arena, &c, true, &call), GW_OK);
	assert_int_equal(call.header.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(lists, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(tokens, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(no_list, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(headers, set_up, tear_down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
