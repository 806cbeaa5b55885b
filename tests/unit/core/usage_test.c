/* Usage out of replies, whatever place a vendor tells it in. */
#include "tests/unit/lib/util.h"

#include "core/usage.h"

static struct gw_usage scan(const char *json, struct gw_usage u)
{
	struct gw_scan_value values[GW_UP_PATHS];
	struct gw_json_scan s;

	gw_json_scan_init(&s, gw_usage_tree, values, GW_UP_PATHS);
	gw_json_scan_feed(&s, json, strlen(json));
	gw_usage_take(&u, values);
	return u;
}

static void taken(void **st)
{
	const struct gw_usage none = { 0 };
	struct gw_usage u = scan(
	    "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,"
	    "\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}",
	    none);

	(void)st;
	assert_true(u.is_known);
	assert_int_equal(u.input, 10);
	assert_int_equal(u.output, 5);
	assert_int_equal(u.cache_read, 4);
	assert_int_equal(u.reasoning, 2);
	u = scan("{\"usage\":null}", u); /* nothing said: what was known stays */
	assert_int_equal(u.input, 10);
	u = scan("{\"usage\":{\"completion_tokens\":9}}", u);
	assert_int_equal(u.output, 9);
	assert_false(scan("{\"usage\":null}", none).is_known);
	assert_false(scan("{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5}}", none).is_known);
	assert_false(scan("{\"usage\":{\"prompt_tokens\":\"10\"}}", none).is_known);
	u = scan("{\"usage\":{\"prompt_tokens\":999999999999999,\"completion_tokens\":1}}", none);
	assert_int_equal(u.input, 1000000000); /* clamped */
}

static void assert_usage(const struct gw_usage *got, const struct gw_usage *want, const char *what)
{
#define SAME(field)                                                                                                    \
	if (got->field != want->field)                                                                                 \
	fail_msg(#field " is %llu, not %llu: %s", (unsigned long long)got->field, (unsigned long long)want->field, what)
	SAME(is_known);
	SAME(is_estimated);
	SAME(has_cost);
	SAME(tier);
	SAME(input);
	SAME(output);
	SAME(cache_read);
	SAME(cache_write_5m);
	SAME(cache_write_1h);
	SAME(audio_in);
	SAME(image_in);
	SAME(reasoning);
	SAME(audio_out);
	SAME(image_out);
	SAME(searches);
	SAME(seconds);
	SAME(provider_cost);
#undef SAME
}

/* Each vendor's way to tell it, in documents of our own. */
static const struct {
	const char *json;
	struct gw_usage u;
} told[] = {
	/* OpenAI with all details */
	{ "{\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"total_"
	  "tokens\":150,"
	  "\"prompt_tokens_details\":{\"cached_tokens\":20,\"audio_tokens\":7,\"image_tokens\":3},"
	  "\"completion_tokens_details\":{\"reasoning_tokens\":30,\"audio_tokens\":5,\"accepted_prediction_"
	  "tokens\":0}}}",
	  { .input = 100,
	    .output = 50,
	    .cache_read = 20,
	    .audio_in = 7,
	    .image_in = 3,
	    .reasoning = 30,
	    .audio_out = 5,
	    .tier = GW_TIER_FLEX } },
	/* Groq, in a stream's last chunk */
	{ "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\","
	  "\"usage\":"
	  "{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,\"queue_time\":0.1}}}",
	  { .input = 9, .output = 4 } },
	/* and told twice: not counted twice */
	{ "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13},\"x_groq\":{\"usage\":"
	  "{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13}},\"service_tier\":\"on_demand\"}",
	  { .input = 9, .output = 4 } },
	/* Moonshot */
	{ "{\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":4,\"total_tokens\":23,\"cached_tokens\":10}}",
	  { .input = 19, .output = 4, .cache_read = 10 } },
	/* DeepSeek */
	{ "{\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":4,\"total_tokens\":54,\"prompt_cache_hit_"
	  "tokens\":48,"
	  "\"prompt_cache_miss_tokens\":2}}",
	  { .input = 50, .output = 4, .cache_read = 48 } },
	/* xAI chat: reasoning beside the output; its price in ticks */
	{ "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":2,\"total_tokens\":354,\"prompt_tokens_"
	  "details\":"
	  "{\"cached_tokens\":11},\"completion_tokens_details\":{\"reasoning_tokens\":340},\"cost_in_usd_"
	  "ticks\":1721250}}",
	  { .input = 12,
	    .output = 342,
	    .cache_read = 11,
	    .reasoning = 340,
	    .has_cost = true,
	    .provider_cost = 172125 } },
	/* the same counts told inside of it stay as they are */
	{ "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":342,\"total_tokens\":354,\"completion_tokens_"
	  "details\":"
	  "{\"reasoning_tokens\":340}}}",
	  { .input = 12, .output = 342, .reasoning = 340 } },
	/* xAI on Azure: more cached than there is */
	{ "{\"usage\":{\"prompt_tokens\":198,\"completion_tokens\":2,\"total_tokens\":200,\"prompt_tokens_"
	  "details\":"
	  "{\"cached_tokens\":314}}}",
	  { .input = 198, .output = 2, .cache_read = 198 } },
	/* Perplexity */
	{ "{\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":392,\"total_tokens\":403,\"search_context_"
	  "size\":\"low\","
	  "\"num_search_queries\":2,\"cost\":{\"input_tokens_cost\":1e-05,\"request_cost\":0.005,\"total_"
	  "cost\":0.00501}}}",
	  { .input = 11, .output = 392, .searches = 2, .has_cost = true, .provider_cost = 5010000 } },
	/* OpenRouter */
	{ "{\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":13,\"total_tokens\":29,\"cost\":8.1e-05,\"is_"
	  "byok\":false,"
	  "\"prompt_tokens_details\":{\"cached_tokens\":2,\"cache_write_tokens\":3,\"audio_tokens\":0},\"cost_"
	  "details\":"
	  "{\"upstream_inference_cost\":null},\"server_tool_use_details\":{\"web_search_requests\":1}}}",
	  { .input = 16,
	    .output = 13,
	    .cache_read = 2,
	    .cache_write_5m = 3,
	    .searches = 1,
	    .has_cost = true,
	    .provider_cost = 81000 } },
	/* Mistral */
	{ "{\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":6,\"total_tokens\":46,\"num_cached_tokens\":"
	  "32,"
	  "\"prompt_tokens_details\":null,\"prompt_audio_seconds\":12}}",
	  { .input = 40, .output = 6, .cache_read = 32, .seconds = 12 } },
	/* Voyage: only a total */
	{ "{\"usage\":{\"total_tokens\":7}}", { .input = 7 } },
};

static void vendors(void **st)
{
	(void)st;
	for (size_t i = 0; i < N_OF(told); i++) {
		struct gw_usage want = told[i].u, got = scan(told[i].json, (struct gw_usage){ 0 });

		want.is_known = true;
		assert_usage(&got, &want, told[i].json);
		got = scan(told[i].json, got); /* a running total told again changes nothing */
		assert_usage(&got, &want, told[i].json);
	}
}

static void settled(void **st)
{
	struct gw_usage u = { .input = 10,
			      .output = 5,
			      .cache_read = 8,
			      .cache_write_5m = 7,
			      .cache_write_1h = 1,
			      .audio_in = 9,
			      .image_in = 9,
			      .reasoning = 6,
			      .audio_out = 4,
			      .image_out = 4,
			      .searches = UINT64_MAX };

	(void)st;
	gw_usage_settle(&u);
	assert_int_equal(u.cache_read + u.cache_write_5m + u.cache_write_1h, 10);
	assert_int_equal(u.cache_write_1h, 1);
	assert_int_equal(u.audio_in + u.image_in, 10);
	assert_int_equal(u.audio_out + u.image_out, 5);
	assert_int_equal(u.reasoning, 5);
	assert_int_equal(u.searches, 1000000000);
}

static void money_texts(void **st)
{
	static const struct {
		const char *text;
		int64_t want; /* nano-USD; -1 = refused */
	} all[] = { { "0", 0 },
		    { "0.005", 5000000 },
		    { "8.1e-05", 81000 },
		    { "1E-9", 1 },
		    { "4.9e-10", 0 },
		    { "5e-10", 1 },
		    { "1.5e+1", 15000000000 },
		    { "123", 123000000000 },
		    { "0.0000000014999999", 1 },
		    { "0.0000000015", 2 },
		    { "", -1 },
		    { ".", -1 },
		    { "-1", -1 },
		    { "1e", -1 },
		    { "1e99", -1 },
		    { "1x", -1 },
		    { "nan", -1 },
		    { "1.2.3", -1 },
		    { "99999999999999", -1 },
		    { "0.00000000000000000000000000000000000001", 0 },
		    { "0.12345678901234567890123456789", 123456789 } };

	(void)st;
	for (size_t i = 0; i < N_OF(all); i++) {
		uint64_t n = 0;
		bool is_read = gw_usd_read(gw_str_z(all[i].text), 9, &n);

		if (is_read != (all[i].want >= 0) || (is_read && n != (uint64_t)all[i].want))
			fail_msg("\"%s\": %d %llu", all[i].text, is_read, (unsigned long long)n);
	}
	assert_int_equal(gw_tier_of(GW_LIT("PRIORITY")), GW_TIER_PRIORITY);
	assert_int_equal(gw_tier_of(GW_LIT("standard")), GW_TIER_DEFAULT);
	for (int t = 0; t < GW_TIER_COUNT; t++)
		assert_int_equal(gw_tier_of(gw_str_z(gw_tier_name((enum gw_tier)t))), t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(taken), cmocka_unit_test(vendors),
					    cmocka_unit_test(settled), cmocka_unit_test(money_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
