/* The data plane's URLs: what is there, with which methods, and that near misses are not. */
#include "tests/unit/lib/util.h"

#include "core/endpoint.h"

static void expect(const char *method, const char *path, enum gw_endpoint_id id, const char *arg)
{
	const struct gw_endpoint_info *e = NULL;
	struct gw_str got = GW_NIL, allow;

	if (gw_endpoint_find(gw_str_z(method), gw_str_z(path), &e, &got, &allow))
		fail_msg("not found: %s %s", method, path);
	assert_int_equal(e->id, id);
	assert_str(got, arg);
}

static void refuse(const char *method, const char *path, enum gw_err err, const char *allow)
{
	const struct gw_endpoint_info *e = NULL;
	struct gw_str arg = GW_NIL, got = GW_NIL;

	if (gw_endpoint_find(gw_str_z(method), gw_str_z(path), &e, &arg, &got) != err)
		fail_msg("%s %s", method, path);
	assert_null(e);
	if (allow)
		assert_str(got, allow);
}

static void found(void **st)
{
	(void)st;
	expect("POST", "/v1/chat/completions", GW_EP_CHAT, "");
	expect("POST", "/chat/completions", GW_EP_CHAT, "");
	expect("GET", "/v1/models", GW_EP_MODELS, "");
	expect("GET", "/models", GW_EP_MODELS, "");
	expect("GET", "/v1/models/gpt-4o", GW_EP_MODEL, "gpt-4o");
	expect("GET", "/models/openai/gpt-4o", GW_EP_MODEL, "openai/gpt-4o");
	expect("HEAD", "/v1/models", GW_EP_MODELS, "");
	expect("HEAD", "/", GW_EP_ROOT, "");
	expect("GET", "/", GW_EP_ROOT, "");
	expect("GET", "/livez", GW_EP_LIVEZ, "");
	expect("GET", "/health/liveliness", GW_EP_LIVEZ, "");
	expect("GET", "/readyz", GW_EP_READYZ, "");
	expect("GET", "/healthz", GW_EP_READYZ, "");
	expect("GET", "/health/readiness", GW_EP_READYZ, "");
	expect("POST", "/v1/embeddings", GW_EP_API, "");
	expect("GET", "/files", GW_EP_API, "");
	expect("POST", "/v1/files", GW_EP_API, "");
	expect("GET", "/v1/files/file-a.B_9/content", GW_EP_API, "file-a.B_9");
	expect("DELETE", "/v1/responses/resp_1", GW_EP_API, "resp_1");
	expect("POST", "/v1/responses/resp_1/cancel", GW_EP_API, "resp_1");
	expect("POST", "/v1/responses/input_tokens", GW_EP_API, "");
	expect("POST", "/v1/messages", GW_EP_API, "");
	expect("POST", "/v1beta/models/gemini-x:streamGenerateContent", GW_EP_API, "gemini-x:streamGenerateContent");
	expect("GET", "/v1beta/models", GW_EP_MODELS, "");
	expect("GET", "/v1beta/models/gemini-x", GW_EP_MODEL, "gemini-x");
	expect("POST", "/model/a%3A0/converse", GW_EP_API, "a%3A0/converse");
	expect("POST", "/v2/chat", GW_EP_API, "");
	expect("POST", "/model/a%3A0/invoke", GW_EP_API, "a%3A0/invoke");
	expect("POST", "/v1beta/tunedModels/t-1:generateContent", GW_EP_API, "t-1:generateContent");
	expect("POST", "/v1alpha/models/g:generateContent", GW_EP_API, "g:generateContent");
	expect("POST", "/v1beta1/publishers/google/models/g:countTokens", GW_EP_API, "g:countTokens");
	expect("POST", "/v1beta1/projects/p-1/locations/global/publishers/google/models/g:generateContent", GW_EP_API,
	       "g:generateContent");
	expect("POST", "/v1/projects/p/locations/l/models/g:generateContent", GW_EP_API, "g:generateContent");
	expect("POST", "/projects/p/locations/l/publishers/anthropic/models/c@1:rawPredict", GW_EP_API,
	       "c@1:rawPredict");
	expect("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", GW_EP_API, "");
	expect("POST", "/v2/rerank", GW_EP_API, "");
	expect("POST", "/rerank", GW_EP_API, "");
	expect("POST", "/v1/messages/count_tokens", GW_EP_API, "");
	expect("POST", "/openai/deployments/my-gpt.4/chat/completions", GW_EP_CHAT, "my-gpt.4");
	expect("POST", "/openai/deployments/e/embeddings", GW_EP_API, "e");
	expect("POST", "/openai/v1/chat/completions", GW_EP_CHAT, "");
	expect("GET", "/openai/v1/models", GW_EP_MODELS, "");
	expect("GET", "/providers/p/a/b", GW_EP_API, "p/a/b");
}

/* Three vendors have their lists of models at one place. */
static void models_as(void **st)
{
	const struct gw_endpoint_info *e = NULL, *as;
	struct gw_str arg, allow;

	(void)st;
	assert_int_equal(gw_endpoint_find(GW_LIT("GET"), GW_LIT("/v1/models"), &e, &arg, &allow), GW_OK);
	as = gw_endpoint_for(e, GW_D_ANTHROPIC);
	assert_int_equal(as->id, GW_EP_MODELS);
	assert_int_equal(as->dialect, GW_D_ANTHROPIC);
	assert_string_equal(as->name, e->name);
	assert_int_equal(gw_endpoint_find(GW_LIT("GET"), GW_LIT("/v1/models/x"), &e, &arg, &allow), GW_OK);
	as = gw_endpoint_for(e, GW_D_GEMINI);
	assert_int_equal(as->id, GW_EP_MODEL);
	assert_int_equal(as->dialect, GW_D_GEMINI);
	assert_string_equal(as->path, e->path);
	assert_int_equal(gw_endpoint_find(GW_LIT("POST"), GW_LIT("/v1/files"), &e, &arg, &allow), GW_OK);
	assert_ptr_equal(gw_endpoint_for(e, GW_D_GEMINI), e);
}

/* What a path ends with tells whose body it has. */
static void wrapped(void **st)
{
	static const struct {
		const char *path;
		enum gw_dialect_id dialect;
	} cases[] = { { "/model/m/converse", GW_D_BEDROCK },
		      { "/model/m/invoke", GW_D_ANTHROPIC },
		      { "/model/m/invoke-with-response-stream", GW_D_ANTHROPIC },
		      { "/model/m/invoke/converse", GW_D_BEDROCK },
		      { "/model/invoke", GW_D_BEDROCK },
		      { "/v1/publishers/google/models/m:generateContent", GW_D_GEMINI },
		      { "/v1/publishers/anthropic/models/m:rawPredict", GW_D_ANTHROPIC } };
	const struct gw_endpoint_info *e;
	struct gw_str arg, allow;

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(gw_endpoint_find(GW_LIT("POST"), gw_str_z(cases[i].path), &e, &arg, &allow), GW_OK);
		assert_int_equal(e->dialect, cases[i].dialect);
		assert_int_equal(gw_endpoint_takes_query_key(e), cases[i].dialect == GW_D_GEMINI);
	}
}

static void not_found(void **st)
{
	static const char *const paths[] = { "",
					     "/v1",
					     "/v1/",
					     "/v1/chat",
					     "/v1/chat/completions/",
					     "/v1/v1/models",
					     "//v1/models",
					     "/v1//models",
					     "/V1/models",
					     "/v1/models/",
					     "/models/",
					     "/v1/../v1/models",
					     "/v1/livez",
					     "/admin/v1/keys",
					     "/metrics",
					     "/v1/chat%2fcompletions",
					     "v1/models",
					     "*",
					     "/v1/files/",
					     "/v1/files/..",
					     "/v1/files/a/b",
					     "/v1/files/a/content/",
					     "/v1/files/a%2fb",
					     "/v1/responses/./input_items",
					     "/providers/",
					     "/v1/providers/x/y",
					     "/openai/deployments/",
					     "/openai/deployments/../chat/completions",
					     "/openai/deployments/d/v1/chat/completions",
					     "/openai/deployments/d/models",
					     "/openai/chat/completions",
					     "/v1/projects/p/publishers/google/models/g:generateContent",
					     "/v1/projects/../locations/l/publishers/google/models/g:generateContent",
					     "/v1/projects/p/locations/l/chat/completions",
					     "/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
					     "/v1/publishers/meta/models/m:rawPredict",
					     "/v1alpha/chat/completions",
					     "/model/" };

	(void)st;
	for (size_t i = 0; i < N_OF(paths); i++)
		refuse("GET", paths[i], GW_E_NO_ROUTE, NULL);
	refuse("GET", "/v1/chat/completions", GW_E_BAD_METHOD, "POST");
	refuse("POST", "/v1/models", GW_E_BAD_METHOD, "GET, HEAD");
	refuse("OPTIONS", "/v1/chat/completions", GW_E_BAD_METHOD, "POST");
	refuse("GET", "/v1beta1/publishers/google/models/g", GW_E_BAD_METHOD, "POST");
	refuse("DELETE", "/v1/models/x", GW_E_BAD_METHOD, "GET, HEAD, POST");
	refuse("post", "/v1/chat/completions", GW_E_BAD_METHOD, "POST");
	refuse("DELETE", "/v1/files", GW_E_BAD_METHOD, "GET, HEAD, POST");
	refuse("POST", "/v1/files/x", GW_E_BAD_METHOD, "GET, HEAD, DELETE");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(found), cmocka_unit_test(models_as),
					    cmocka_unit_test(not_found), cmocka_unit_test(wrapped) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
