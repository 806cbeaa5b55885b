/* What each quirk of a provider's row does (GW_Q_* of core/provider.h): a case a bit, and none without one. */
#include "core/dialect/plain.h"
#include "tests/unit/core/dialect/translate_room.h"

#define U "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define F "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define CALL                                                                                                           \
	"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"toolu_0123456789\",\"type\":\"function\"," \
	"\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"
#define RESULT        "{\"role\":\"tool\",\"tool_call_id\":\"toolu_0123456789\",\"content\":\"r\"}"
#define THOUGHT(more) "{\"role\":\"assistant\",\"content\":\"x\"," more "}"
#define CLAUDE(more)  "{\"model\":\"m\",\"max_tokens\":9," more "}"
#define CLAUDE_THOUGHT                                                                                                 \
	"{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","           \
	"\"thinking\":\"deep\",\"signature\":\"sig\"},{\"type\":\"text\",\"text\":\"x\"}]},{\"role\":\"user\","        \
	"\"content\":\"more\"}"

/* body: what the client sends; has, hasnt: what the provider gets; dropped: one of the names that are told. */
struct row {
	uint64_t quirks;
	const struct gw_dialect *from;
	const char *body, *has, *hasnt, *dropped;
};
#define O &gw_openai
#define A &gw_anthropic
static const struct row rows[] = {
	{ GW_Q_MAX_TOKENS, O, "{" U ",\"max_completion_tokens\":5}", "\"max_tokens\":5", "max_completion", NULL },
	{ GW_Q_MAX_TOKENS, O, "{" U ",\"max_tokens\":4,\"max_completion_tokens\":5}", "\"max_tokens\":5",
	  "\"max_tokens\":4", NULL },
	{ GW_Q_MAX_TOKENS, A, CLAUDE(U), "\"max_tokens\":9", "max_completion", NULL },
	{ GW_Q_RANDOM_SEED, O, "{" U ",\"seed\":5}", "\"random_seed\":5", "\"seed\"", NULL },
	{ GW_Q_RANDOM_SEED, O, "{" U ",\"seed\":5,\"random_seed\":6}", "\"random_seed\":5", "6", NULL },
	{ GW_Q_NO_STREAM_OPTIONS, O, "{" U ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
	  "\"stream\":true", "stream_options", NULL },
	{ GW_Q_TOOL_ID_9, O, "{\"messages\":[" CALL "," RESULT "]}", "\"tool_call_id\":\"", "toolu_", NULL },
	{ GW_Q_TOOL_ID_9, O, "{\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"aB3456789\",\"content\":\"r\"}]}",
	  "aB3456789", NULL, NULL },
	{ GW_Q_NO_LOGPROBS, O, "{" U ",\"logprobs\":true,\"logit_bias\":{\"1\":2}}", "hi", "logprobs", "logprobs" },
	{ GW_Q_CHOICE_ANY, O, "{" U "," F ",\"tool_choice\":\"required\"}", "\"tool_choice\":\"any\"", NULL, NULL },
	{ GW_Q_NO_NAMES, O, "{\"messages\":[{\"role\":\"user\",\"name\":\"bo\",\"content\":\"x\"}]}", "\"x\"", "bo",
	  "messages[].name" },
	{ GW_Q_NO_NAMES, O, "{\"messages\":[{\"role\":\"system\",\"name\":\"bo\",\"content\":\"x\"}]}", "\"x\"", "bo",
	  "messages[].name" },
	{ GW_Q_NO_NAMES, O, "{\"messages\":[{\"role\":\"assistant\",\"name\":\"bo\",\"content\":\"x\"}]}", "\"x\"",
	  "bo", "messages[].name" },
	{ GW_Q_STRICT_FIELDS, O, "{" U ",\"user\":\"bo\",\"store\":false,\"safe_prompt\":true}", "\"safe_prompt\":true",
	  "\"bo\"", "store" },
	{ GW_Q_STRICT_FIELDS, O,
	  "{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"refusal\":\"I will not\",\"audio\":null,"
	  "\"annotations\":[1]}]}",
	  "\"content\":\"I will not\"", "refusal", "messages[].annotations" },
	{ GW_Q_REASONING_BACK, O, "{\"messages\":[" THOUGHT("\"reasoning\":\"deep\"") "]}",
	  "\"reasoning_content\":\"deep\"", "\"reasoning\":", NULL },
	{ GW_Q_REASONING_BACK, A, CLAUDE("\"messages\":[" CLAUDE_THOUGHT "]"), "\"reasoning_content\":\"deep\"", "sig",
	  "messages[].thinking.signature" },
	{ GW_Q_REASONING_BACK | GW_Q_REASONING_WORD, O,
	  "{\"messages\":[" THOUGHT("\"reasoning_content\":\"deep\"") "]}", "\"reasoning\":\"deep\"",
	  "reasoning_content", NULL },
	{ GW_Q_TOP_K, A, CLAUDE(U ",\"top_k\":4"), "\"top_k\":4", NULL, NULL },
	{ GW_Q_CACHE_CONTROL, A,
	  CLAUDE("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{"
		 "\"type\":\"ephemeral\"}}]}]"),
	  "\"cache_control\":{\"type\":\"ephemeral\"}", NULL, NULL },
	{ GW_Q_NO_TOOL_CHOICE, O, "{" U "," F ",\"tool_choice\":\"required\"}", "\"tools\"", "tool_choice",
	  "tool_choice" },
	{ GW_Q_ALTERNATE, A,
	  CLAUDE("\"messages\":[{\"role\":\"user\",\"content\":\"a1\"},{\"role\":\"user\",\"content\":\"b2\"}]"),
	  "[{\"type\":\"text\",\"text\":\"a1\"},{\"type\":\"text\",\"text\":\"b2\"}]", NULL, NULL },
	{ GW_Q_ALTERNATE, O,
	  "{\"messages\":[{\"role\":\"user\",\"content\":\"a1\"},{\"role\":\"system\",\"content\":\"s\"},{\"role\":"
	  "\"user\",\"name\":\"bo\",\"content\":\"b2\"},{\"role\":\"assistant\",\"content\":\"c3\"},{\"role\":"
	  "\"assistant\",\"content\":\"d4\"}]}",
	  "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
	  "\"a1\"},{\"type\":\"text\",\"text\":\"b2\"}]},{\"role\":\"assistant\",\"content\":\"c3d4\"}]",
	  NULL, NULL },
	{ GW_Q_TOOL_NAME, O, "{\"messages\":[" CALL "," RESULT "]}", "\"name\":\"f\",\"content\":\"r\"", NULL, NULL },
	{ GW_Q_PREFIX, O, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"Well\"}]}", "\"prefix\":true", NULL,
	  NULL },
	{ GW_Q_PREFIX, O, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"Well\",\"prefix\":false}]}",
	  "\"prefix\":false", "true", NULL },
	{ GW_Q_N_ONE, O, "{" U ",\"n\":1}", "hi", "\"n\"", NULL },
	{ GW_Q_NO_EFFORT, A, CLAUDE(U ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), "hi", "effort",
	  "reasoning_effort" },
	{ GW_Q_JSON_OBJECT, O,
	  "{" U ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{}}}}",
	  "{\"type\":\"json_object\"}", "schema", "response_format.json_schema" },
	{ GW_Q_NO_PARALLEL, O, "{" U "," F ",\"parallel_tool_calls\":false}", "\"tools\"", "parallel",
	  "parallel_tool_calls" },
	{ GW_Q_NO_DEVELOPER, O, "{\"messages\":[{\"role\":\"developer\",\"content\":\"x\"}]}", "\"role\":\"system\"",
	  "developer", NULL },
	{ GW_Q_BRIDGE, O, "{\"messages\":[" CALL "," RESULT ",{\"role\":\"user\",\"content\":\"stop\"}]}",
	  "{\"role\":\"assistant\",\"content\":\".\"},{\"role\":\"user\"", NULL, NULL },
	{ GW_Q_BRIDGE, O, "{\"messages\":[" CALL "," RESULT "," RESULT "]}", "\"r\"", "\".\"", NULL },
	{ GW_Q_REASONING_BACK | GW_Q_REASONING_LOOP, O,
	  "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}," THOUGHT(
	      "\"reasoning_content\":\"old\"") ",{\"role\":\"user\","
					       "\"content\":\"b\"}," THOUGHT(
						   "\"reasoning_content\":\"deep\",\"tool_calls\":[{\"id\":\"c\","
						   "\"type\":\"function\","
						   "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]") "," RESULT
													   "]}",
	  "\"reasoning_content\":\"deep\"", "old", NULL },
	{ GW_Q_REASONING_PARTS, O, "{\"messages\":[" THOUGHT("\"reasoning_content\":\"deep\"") "]}",
	  "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"deep\"}]},{\"type\":"
	  "\"text\","
	  "\"text\":\"x\"}]",
	  "reasoning_content", NULL },
	{ GW_Q_REASONING_PARTS, O,
	  "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"closed\":"
	  "true"
	  "}]}]}",
	  "\"closed\":true", NULL, NULL },
	{ GW_Q_REASONING_DETAILS, A, CLAUDE("\"messages\":[" CLAUDE_THOUGHT "]"),
	  "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"deep\",\"signature\":\"sig\",\"format\":"
	  "\"anthropic-claude-v1\",\"index\":0}]",
	  "reasoning_content", NULL },
	{ GW_Q_THINKING_TYPE | GW_Q_NO_EFFORT, O, "{" U ",\"reasoning_effort\":\"high\"}",
	  "\"thinking\":{\"type\":\"enabled\"}", "effort", NULL },
	{ GW_Q_THINKING_TYPE, A, CLAUDE(U ",\"thinking\":{\"type\":\"disabled\"}"),
	  "\"thinking\":{\"type\":\"disabled\"}", "effort", NULL },
	{ GW_Q_ENABLE_THINKING | GW_Q_NO_EFFORT, A,
	  CLAUDE(U ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"),
	  "\"enable_thinking\":true,\"thinking_budget\":1024", "effort", NULL },
	{ GW_Q_ENABLE_THINKING | GW_Q_NO_EFFORT, O, "{" U ",\"reasoning_effort\":\"none\"}",
	  "\"enable_thinking\":false", "effort", NULL },
	{ GW_Q_ENABLE_THINKING | GW_Q_NO_EFFORT, O, "{" U ",\"reasoning_effort\":\"low\",\"enable_thinking\":false}",
	  "\"enable_thinking\":false", "true", NULL },
	{ GW_Q_EFFORT_3, &gw_responses, "{\"input\":\"x\",\"reasoning\":{\"effort\":\"minimal\"}}",
	  "\"reasoning_effort\":\"low\"", NULL, NULL },
	{ GW_Q_EFFORT_3, &gw_responses, "{\"input\":\"x\",\"reasoning\":{\"effort\":\"xhigh\"}}",
	  "\"reasoning_effort\":\"high\"", NULL, NULL },
	{ GW_Q_EFFORT_3, &gw_responses, "{\"input\":\"x\",\"reasoning\":{\"effort\":\"none\"}}", "x",
	  "reasoning_effort", "reasoning_effort" },
	{ GW_Q_PLAIN_HISTORY, O,
	  "{\"messages\":[" THOUGHT(
	      "\"reasoning_content\":\"deep\",\"refusal\":null,\"annotations\":[],\"thinking_blocks\":"
	      "[{\"type\":\"thinking\",\"thinking\":\"deep\",\"signature\":\"s\"}]") "]}",
	  "{\"role\":\"assistant\",\"content\":\"x\"", "deep", "messages[].thinking_blocks" },
	{ GW_Q_PLAIN_HISTORY, O,
	  "{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
	  "\"index\":0,\"extra_content\":{\"google\":{\"thought_signature\":\"s\"}},\"function\":{\"name\":\"f\","
	  "\"arguments\":\"{}\"}}]}]}",
	  "\"id\":\"c\"", "google", "messages[].tool_calls[].extra_content" },
	{ GW_Q_NO_CUSTOM, &gw_openai,
	  "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":"
	  "\"f\"}}]}",
	  "\"type\":\"function\"", "\"custom\"", NULL },
};
/* Asked for elsewhere: refusals and paths below; what the worker decides by them, in tests/flow/29_wire.py; other dialects' own tests. */
static const uint64_t elsewhere = GW_Q_DATA_IMAGES | GW_Q_DEPLOYMENT_PATH | GW_Q_CHAT_PATH | GW_Q_NO_RESPONSES |
				  GW_Q_NO_COMPLETIONS | GW_Q_NO_JSON_SCHEMA | GW_Q_GEMINI_JSON_SCHEMA |
				  GW_Q_GEMINI_FETCHES_URLS;

static bool has_word(struct gw_str s, const char *word)
{
	return memmem(s.p, s.n, word, strlen(word)) != NULL;
}

static void each_does_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *q = &rows[i];
		struct room r;
		struct gw_str body;
		enum gw_err e;

		room_open(&r);
		e = room_request(&r, q->from, &gw_openai, "up", q->quirks, q->body);
		body = gw_buf_view(&r.out);
		if (e || !has_word(body, q->has) || (q->hasnt && has_word(body, q->hasnt)))
			fail_msg("%zu %s\n%d %.*s: %.*s", i, q->body, (int)e, GW_FMT(r.said.why), GW_FMT(body));
		if (q->dropped ? !has_word(r.said.dropped, q->dropped) : r.said.dropped.n > 0)
			fail_msg("%zu dropped: %.*s, not %s", i, GW_FMT(r.said.dropped), q->dropped ? q->dropped : "");
		room_tree(&r, body);
		room_close(&r);
	}
}

static void none_is_without_a_case(void **state)
{
	uint64_t held = elsewhere, used = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		held |= rows[i].quirks;
	for (unsigned i = 0; i < gw_n_providers; i++)
		used |= gw_providers[i].quirks;
	assert_int_equal(held, GW_Q_ALL);
	assert_int_equal(used & ~GW_Q_ALL, 0);
}

static void what_cannot_be_said_is_refused(void **state)
{
	static const struct {
		uint64_t quirks;
		const char *body;
	} refused[] = {
		{ GW_Q_N_ONE, "{" U ",\"n\":2}" },
		{ GW_Q_DATA_IMAGES,
		  "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
		  "\"https://a.example\",\"detail\":\"low\"}}]}]}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct room r;

		room_open(&r);
		assert_int_equal(room_request(&r, &gw_openai, &gw_openai, "up", refused[i].quirks, refused[i].body),
				 GW_E_INVALID);
		assert_true(r.said.param.n && r.said.why.n > 10);
		room_close(&r);
	}
}

static void paths_are_the_vendors(void **state)
{
	static const struct {
		uint64_t quirks;
		const char *want;
	} paths[] = { { 0, "/v1/chat/completions" },
		      { GW_Q_DEPLOYMENT_PATH, "/v1/my%20gpt/chat/completions" },
		      { GW_Q_CHAT_PATH, "/v1/chat" } };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct gw_provider row = { .dialect_id = GW_D_OPENAI, .quirks = paths[i].quirks };
		struct gw_buf b;

		gw_buf_init(&b, 4096);
		gw_provider_path(&row, GW_LIT("/v1"), GW_LIT("my gpt"), GW_NIL, GW_LIT("/chat/completions"), GW_NIL,
				 &b);
		assert_true(gw_str_eq(gw_buf_view(&b), gw_str_z(paths[i].want)));
		gw_buf_done(&b);
	}
}

/* Which bodies cannot pass as bytes: by members, not by what somebody writes about them. */
static void histories_are_looked_at(void **state)
{
	static const struct {
		uint64_t quirks;
		const char *body;
		uint32_t n;
		bool want;
	} bodies[] = {
		{ GW_Q_NO_DEVELOPER, "{\"messages\":[{\"role\":\"developer\",\"content\":\"x\"}]}", 1, true },
		{ GW_Q_NO_DEVELOPER, "{\"messages\":[{\"role\":\"user\",\"content\":\"a \\\"developer\\\"\"}]}", 1,
		  false },
		{ GW_Q_PLAIN_HISTORY, "[{\"reasoning_content\":\"x\"},{}]", 2, true },
		{ GW_Q_PLAIN_HISTORY, "[{\"thinking_blocks\":[]},{}]", 2, true },
		{ GW_Q_PLAIN_HISTORY, "[{\"reasoning_details\":[]},{}]", 2, true },
		{ GW_Q_PLAIN_HISTORY, "[{\"extra_content\":{}},{}]", 2, true },
		{ GW_Q_PLAIN_HISTORY,
		  "[{\"content\":\"\\\"reasoning_content\\\": x\"},{}],\"reasoning_effort\":\"low\"", 2, false },
		{ GW_Q_PLAIN_HISTORY, "[{}]", 1, false },
		{ 0, "[{\"role\":\"developer\",\"reasoning_content\":\"x\"},{}]", 2, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (gw_chat_is_refused_as_is(bodies[i].quirks, gw_str_z(bodies[i].body), bodies[i].n) != bodies[i].want)
			fail_msg("%zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_does_what_it_says),         cmocka_unit_test(none_is_without_a_case),
		cmocka_unit_test(what_cannot_be_said_is_refused), cmocka_unit_test(paths_are_the_vendors),
		cmocka_unit_test(histories_are_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
