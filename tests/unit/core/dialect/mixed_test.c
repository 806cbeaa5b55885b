/* Histories that several vendors made, on the way to the vendor of the client's own dialect: calls of others are made fit, and bytes that are
 * all its own pass untouched (28_agent.py plays the same with whole conversations). */
#include "tests/unit/core/dialect/translate_room.h"

#define LOOP(id, thought)                                                                                              \
	"{\"model\":\"m\",\"max_tokens\":9000,\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"          \
	"\"assistant\","                                                                                               \
	"\"content\":[" thought "{\"type\":\"tool_use\",\"id\":\"" id                                                  \
	"\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\","                                                        \
	"\"content\":[{\"type\":\"tool_result\",\"tool_use_id\" : \"" id "\",\"content\":\"r\"}]}]"
#define BUDGET ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}}"
#define OWN    "{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"c2ln\"},"
#define NOVA(id)                                                                                                       \
	"{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":[{"     \
	"\"toolUse\":{"                                                                                                \
	"\"toolUseId\":\"" id "\",\"name\":\"f\",\"input\":{}}}]},{\"role\":\"user\",\"content\":[{\"toolResult\":{"   \
	"\"toolUseId\":\"" id "\",\"content\":[{\"text\":\"r\"}]}}]}]"
#define FIELDS ",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}}}"
#define PARTS(first)                                                                                                   \
	"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":[{"             \
	"\"functionCall\":{"                                                                                           \
	"\"name\":\"f\",\"args\":{}}" first "},{\"functionCall\":{\"name\":\"g\"}}]}]}"

/* want NULL: it goes as it came. */
static const struct {
	const struct gw_dialect *d;
	const char *model, *body, *want, *dropped;
} histories[] = {
	{ &gw_anthropic, "m", LOOP("toolu_1", OWN) BUDGET, NULL, "" },
	{ &gw_anthropic, "m", LOOP("call_1", OWN) BUDGET, NULL, "" }, /* signed: nothing is amiss */
	{ &gw_anthropic, "m", LOOP("toolu_1", "") BUDGET, NULL, "" }, /* its own matter */
	{ &gw_anthropic, "m", LOOP("call_1", "") "}", NULL, "" },
	{ &gw_anthropic, "m", LOOP("call_1", "") BUDGET, LOOP("call_1", "") "}", "thinking" },
	{ &gw_bedrock, "anthropic.claude-sonnet-4-5", NOVA("tooluse_1") FIELDS, NULL, "" },
	{ &gw_bedrock, "deepseek.r1", NOVA("call_1") FIELDS, NULL, "" },
	{ &gw_bedrock, "anthropic.claude-sonnet-4-5", NOVA("call_1") FIELDS,
	  NOVA("call_1") ",\"additionalModelRequestFields\":{}}", "additionalModelRequestFields.thinking" },
	{ &gw_gemini, "gemini-3-flash", PARTS(",\"thoughtSignature\":\"own=\""), NULL, "" },
	{ &gw_gemini, "gemini-2.5-flash", PARTS(""), NULL, "" },
	{ &gw_gemini, "gemini-3-flash", PARTS(""), PARTS(",\"thoughtSignature\":\"skip_thought_signature_validator\""),
	  "" },
};

static void a_mixed_history_is_made_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
		const struct gw_str path_model = GW_LIT("alias");
		struct room r;
		struct gw_translate_in in = { .from = histories[i].d,
					      .to = histories[i].d,
					      .body = gw_str_z(histories[i].body),
					      .path_model = histories[i].d->id == GW_D_ANTHROPIC ? NULL : &path_model,
					      .opts = { .model = gw_str_z(histories[i].model),
							.default_max_tokens = 4096 } };

		room_open(&r);
		in.opts.carry = &r.carry;
		r.said.body = &r.out;
		assert_int_equal(gw_translate_home(&r.a, &r.keep, &in, &r.said), GW_OK);
		if ((r.said.is_mended || r.said.dropped.n) != (histories[i].want != NULL))
			fail_msg("%zu: dropped %.*s", i, GW_FMT(r.said.dropped));
		assert_true(gw_str_eq(r.said.dropped, gw_str_z(histories[i].dropped)));
		if (histories[i].want)
			room_same(&r, gw_buf_view(&r.out), histories[i].want);
		room_close(&r);
	}
}

/* Ids that the client's own vendor would not take back (Kimi's functions.f:0) are changed, the same way in reply and stream. */
static void ids_fit_the_clients_vendor(void **state)
{
	static const char
	    whole[] =
		"{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":\"tool_calls\",\"message\":{"
		"\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"functions.f:0\",\"type\":"
		"\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}",
	    stream[] =
		"data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
		"\"id\":\"functions.f:0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
		"\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
	static const struct gw_dialect *const clients[] = { &gw_anthropic, &gw_bedrock };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct room r;

		room_open(&r);
		assert_int_equal(room_reply(&r, &gw_openai, clients[i], whole), GW_OK);
		assert_true(room_has(&r, "\"functions_f_0_") && !room_has(&r, "functions.f:0"));
		assert_int_equal(room_stream(&r, &gw_openai, clients[i], gw_str_z(stream), 9), GW_OK);
		assert_true(room_has(&r, "\"functions_f_0_") && !room_has(&r, "functions.f:0"));
		room_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_mixed_history_is_made_fit),
					    cmocka_unit_test(ids_fit_the_clients_vendor) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
