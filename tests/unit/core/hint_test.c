/* core/hint.h: what providers say leads to what to do; keys that begin as another vendor's are noticed, and nothing of them is told. */
#include "tests/unit/lib/util.h"

#include "core/hint.h"
#include "core/provider.h"

static void words(void **st)
{
	static const struct {
		enum gw_err err;
		const char *said, *want;
	} cases[] = {
		{ GW_E_UP_AUTH, "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z", "clock" },
		{ GW_E_UP_PERMISSION, "User: arn is not authorized to perform: sts:AssumeRole on resource: x",
		  "trust policy" },
		{ GW_E_CRED_MISSING, "No token: AADSTS7000222: The provided client secret keys are expired",
		  "expired" },
		{ GW_E_UP_BAD_REQUEST, "You don't have access to the model with the specified model ID.",
		  "not enabled" },
		{ GW_E_UP_LIMIT, "Quota exceeded for metric: x, limit: 0, model: y", "zero" },
		{ GW_E_UP_AUTH, "go away", "does not take the key" },
		{ GW_E_UP_NOT_FOUND, "", "upstream_model" },
		{ GW_E_UP_TIMEOUT, "", NULL },
		{ GW_E_UP_SERVER, "boom", NULL },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct gw_str got = gw_hint_of(cases[i].err, gw_str_z(cases[i].said));

		if (cases[i].want ? !got.n || !strstr(got.p, cases[i].want) : got.n > 0)
			fail_msg("%s: %.*s", cases[i].said, GW_FMT(got));
	}
}

static struct gw_str key(const char *type, bool has_own, const char *secret)
{
	return gw_hint_key(gw_provider_find(gw_str_z(type)), has_own, gw_str_z(secret));
}

static void keys(void **st)
{
	static const char *const odd[][3] = { { "openai", "sk-ant-api03-x", "Anthropic" },
					      { "anthropic", "sk-proj-x", "OpenAI" },
					      { "mistral", "gsk_x", "Groq" },
					      { "openai", "AIzaSyx", "Google" },
					      { "gemini", "AKIAIOSFODNN7EXAMPLE", "AWS" },
					      { "cohere", "ABSKx", "Bedrock" } };
	static const char *const fine[][2] = { { "openai", "sk-proj-x" },       { "openai-responses", "sk-svcacct-x" },
					       { "anthropic", "sk-ant-x" },     { "gemini", "AIzaSyx" },
					       { "vertex", "ya29.x" },          { "openai", "anything" },
					       { "openai-compatible", "hf_x" }, { "openrouter", "sk-or-v1-x" } };

	(void)st;
	for (size_t i = 0; i < N_OF(odd); i++) {
		struct gw_str got = key(odd[i][0], false, odd[i][1]);

		if (!got.n || !strstr(got.p, odd[i][2]) || strstr(got.p, odd[i][1]))
			fail_msg("%s: %.*s", odd[i][1], GW_FMT(got));
		assert_int_equal(key(odd[i][0], true, odd[i][1]).n, 0); /* who is there knows */
	}
	for (size_t i = 0; i < N_OF(fine); i++)
		assert_int_equal(key(fine[i][0], false, fine[i][1]).n, 0);
	assert_int_equal(gw_hint_key(NULL, false, GW_LIT("sk-ant-x")).n, 0);
	assert_int_equal(gw_hint_aws(GW_LIT("AKIAIOSFODNN7EXAMPLE:secret")).n, 0);
	assert_true(gw_hint_aws(GW_LIT("secret/with+such:AKIAIOSFODNN7EXAMPLE")).n > 0);
	assert_true(gw_hint_aws(GW_LIT("ASIAIOSFODNN7EXAMPLE:secret")).n > 0);
	assert_int_equal(gw_hint_aws(GW_LIT("ASIAIOSFODNN7EXAMPLE:secret:token")).n, 0);
	assert_int_equal(gw_hint_aws(GW_LIT("nonsense")).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words), cmocka_unit_test(keys) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
