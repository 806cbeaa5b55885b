/* Custom tools of OpenAI at providers that know functions alone: there and back, whole and streamed, cut anywhere. */
#include "translate_room.h"

static int set_up(void **state)
{
	static struct room r;

	room_open(&r);
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	room_close(*state);
	return 0;
}

#define GRAMMAR "\"syntax\":\"lark\",\"definition\":\"start: x\""
/* A second turn: the tool, a call of it and what came of it. */
static const char chat[] =
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"tool_calls\":[{"
    "\"id\":"
    "\"c1\",\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"input\":\"*** \\\"a\\\"\\n+b\"}}]},{\"role\":\"tool\","
    "\"tool_call_id\":\"c1\",\"content\":\"done\"}],\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"patch\","
    "\"description\":\"Edits.\",\"format\":{\"type\":\"grammar\",\"grammar\":{" GRAMMAR "}}}},{\"type\":\"function\","
    "\"function\":{\"name\":\"plain\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}],\"tool_choice\":{"
    "\"type\":"
    "\"custom\",\"custom\":{\"name\":\"patch\"}}}";
static const char responses[] =
    "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"q\"},{\"type\":\"custom_tool_call\",\"call_id\":"
    "\"c1\","
    "\"name\":\"patch\",\"input\":\"*** "
    "\\\"a\\\"\\n+b\"},{\"type\":\"custom_tool_call_output\",\"call_id\":\"c1\",\"output\":"
    "\"done\"}],\"tools\":[{\"type\":\"custom\",\"name\":\"patch\",\"description\":\"Edits.\",\"format\":{\"type\":"
    "\"grammar\"," GRAMMAR "}}]}";

#define INPUT "{\"input\":\"*** \\\"a\\\"\\n+b\"}"
static const struct {
	const struct gw_dialect *of;
	const char *call; /* of the history */
	bool is_text; /* arguments are JSON in a string */
} providers[] = {
	{ &gw_anthropic, "\"input\":" INPUT, false },
	{ &gw_gemini, "\"args\":" INPUT, false },
	{ &gw_bedrock, "\"input\":" INPUT, false },
	{ &gw_cohere, "\"arguments\":\"{\\\"input\\\":\\\"*** \\\\\\\"a\\\\\\\"\\\\n+b\\\"}\"", true },
};
enum { N_PROVIDERS = sizeof(providers) / sizeof(providers[0]) };

static void they_are_functions_elsewhere(void **state)
{
	struct room *r = *state;

	for (size_t i = 0; i < N_PROVIDERS; i++) {
		assert_int_equal(room_request(r, &gw_openai, providers[i].of, "claude-sonnet-4-5", 0, chat), GW_OK);
		if (!room_has(r, providers[i].call) ||
		    !room_has(r, "Edits.\\n\\nThe text must follow this grammar (lark):\\nstart: x") ||
		    !room_has(r, "\"required\":[\"input\"]"))
			fail_msg("%.*s", GW_FMT(gw_buf_view(&r->out)));
		assert_non_null(strstr(gw_arena_z(&r->a, r->said.dropped), "tools[].custom.format"));
		assert_non_null(r->carry.customs);
		r->carry.customs = NULL;
		assert_int_equal(room_request(r, &gw_responses, providers[i].of, "claude-sonnet-4-5", 0, responses),
				 GW_OK);
		if (!room_has(r, providers[i].call) || !room_has(r, "done"))
			fail_msg("%.*s", GW_FMT(gw_buf_view(&r->out)));
		assert_non_null(strstr(gw_arena_z(&r->a, r->said.dropped), "tools[].format"));
	}
}

static void openai_gets_them_as_they_are(void **state)
{
	struct room *r = *state;

	assert_int_equal(room_request(r, &gw_openai, &gw_responses, "m", 0, chat), GW_OK);
	assert_true(room_has(r, "\"type\":\"custom\"") && room_has(r, "\"definition\":\"start: x\""));
	assert_null(r->carry.customs);
	assert_int_equal(room_request(r, &gw_responses, &gw_openai, "m", 0, responses), GW_OK);
	assert_true(room_has(r, "\"type\":\"custom\""));
	/* vendors of the same chat, who have never heard of them */
	assert_int_equal(room_request(r, &gw_responses, &gw_openai, "m", GW_Q_NO_CUSTOM, responses), GW_OK);
	assert_false(room_has(r, "\"type\":\"custom\""));
	assert_true(room_has(r, "\"arguments\":\"{\\\"input\\\":"));
}

/* Arguments as a model writes them, and the text that the client's tool is given. */
static const struct {
	const char *args, *text;
} told[] = {
	{ "{\"input\":\"*** \\\"a\\\"\\n+b\"}", "*** \"a\"\n+b" },
	{ " { \"input\" :\t\"x\" } ", "x" },
	{ "{\"input\":\"\"}", "" },
	{ "{}", "" },
	{ "", "" },
	{ "{\"input\":\"\\u00e4\\ud83d\\ude00\\/\\\\ \xc3\xa4\"}", "\xc3\xa4\xf0\x9f\x98\x80/\\ \xc3\xa4" },
	{ "{\"input\":\"x\",\"more\":[1]}", "x" },
	/* another shape than was asked for */
	{ "{\"more\":{\"input\":1},\"input\":\"y\"}", "y" },
	{ "{\"text\":\"z\"}", "{\"text\":\"z\"}" },
	{ "{\"input\":{\"a\":1}}", "{\"input\":{\"a\":1}}" },
	{ "*** plain", "*** plain" },
	{ "[1]", "[1]" },
};

static void prepare(struct room *r)
{
	static struct gw_carry_name patch;

	patch = (struct gw_carry_name){ .ours = GW_LIT("patch") };
	r->carry.customs = &patch;
}

static struct gw_str quoted(struct room *r, struct gw_str s)
{
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, 1 << 16);
	gw_json_quote(&b, s);
	out = gw_arena_str(&r->a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

static void a_reply_gives_the_text_back(void **state)
{
	struct room *r = *state;

	prepare(r);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct gw_str reply = gw_arena_printf(
		    &r->a,
		    "{\"id\":\"x\",\"finish_reason\":\"TOOL_CALL\",\"message\":{\"role\":\"assistant\",\"tool_"
		    "calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"patch\",\"arguments\":"
		    "%.*s}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"plain\",\"arguments\":"
		    "\"{\\\"input\\\":1}\"}}]}}",
		    GW_FMT(quoted(r, gw_str_z(told[i].args))));
		struct gw_str want = quoted(r, gw_str_z(told[i].text));

		assert_int_equal(room_reply(r, &gw_cohere, &gw_openai, gw_arena_z(&r->a, reply)), GW_OK);
		if (!room_has(
			r, gw_arena_z(&r->a,
				      gw_arena_printf(
					  &r->a, "\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"input\":%.*s}",
					  GW_FMT(want)))) ||
		    !room_has(r, "\"function\":{\"name\":\"plain\",\"arguments\":\"{\\\"input\\\":1}\""))
			fail_msg("%s\n%.*s", told[i].args, GW_FMT(gw_buf_view(&r->out)));
		assert_int_equal(room_reply(r, &gw_cohere, &gw_responses, gw_arena_z(&r->a, reply)), GW_OK);
		if (!room_has(r, "custom_tool_call") ||
		    !room_has(r, gw_arena_z(&r->a, gw_arena_printf(&r->a, "\"input\":%.*s", GW_FMT(want)))))
			fail_msg("%s\n%.*s", told[i].args, GW_FMT(gw_buf_view(&r->out)));
	}
}

/* A stream of Anthropic whose call comes in two pieces, cut at `at`. */
static struct gw_str stream_of(struct room *r, struct gw_str args, size_t at)
{
	return gw_arena_printf(
	    &r->a,
	    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n"
	    "data: "
	    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"c1\","
	    "\"name\":\"patch\",\"input\":{}}}\n\n"
	    "data: "
	    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
	    "%.*s}}\n\n"
	    "data: "
	    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
	    "%.*s}}\n\n"
	    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
	    "data: "
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":1}}\n\n"
	    "data: {\"type\":\"message_stop\"}\n\n",
	    GW_FMT(quoted(r, gw_str(args.p, at))), GW_FMT(quoted(r, gw_str_skip(args, at))));
}

/* All pieces of the call's text, put together as an SDK does. */
static struct gw_str joined(struct room *r, const char *key)
{
	struct gw_str s = gw_buf_view(&r->out), line;
	struct gw_buf all;
	struct gw_str out;

	gw_buf_init(&all, 1 << 16);
	while (s.n) {
		yyjson_val *v, *root;
		const yyjson_val *tree;

		if (!gw_str_cut(s, '\n', &line, &s))
			line = s, s = GW_NIL;
		if (!gw_str_has_prefix(line, GW_LIT("data: {")))
			continue;
		assert_int_equal(gw_json_tree(&r->a, gw_str_skip(line, 6), NULL, &tree, NULL), GW_OK);
		root = (yyjson_val *)(uintptr_t)tree;
		if (*key == '/')
			v = yyjson_ptr_get(root, key);
		else
			v = yyjson_equals_str(yyjson_obj_get(root, "type"), key) ? yyjson_obj_get(root, "delta") : NULL;
		gw_buf_puts(&all, gw_json_str(v));
	}
	out = gw_arena_str(&r->a, gw_buf_view(&all));
	gw_buf_done(&all);
	return out;
}

static void a_stream_gives_it_back_wherever_it_is_cut(void **state)
{
	struct room *r = *state;

	prepare(r);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct gw_str args = gw_str_z(told[i].args);

		for (size_t at = 0; at <= args.n; at++) {
			struct gw_str in;

			if (at < args.n && ((unsigned char)args.p[at] & 0xc0) == 0x80)
				continue; /* JSON texts are cut between characters */
			in = stream_of(r, args, at);
			assert_int_equal(room_stream(r, &gw_anthropic, &gw_openai, in, 100), GW_OK);
			if (!gw_str_eq(joined(r, "/choices/0/delta/tool_calls/0/custom/input"),
				       gw_str_z(told[i].text)) ||
			    !room_has(r, "\"type\":\"custom\""))
				fail_msg("%s at %zu\n%.*s", told[i].args, at, GW_FMT(gw_buf_view(&r->out)));
			assert_int_equal(room_stream(r, &gw_anthropic, &gw_responses, in, 100), GW_OK);
			if (!gw_str_eq(joined(r, "response.custom_tool_call_input.delta"), gw_str_z(told[i].text)) ||
			    !room_has(r, gw_arena_z(&r->a, gw_arena_printf(&r->a, "\"input\":%.*s",
									   GW_FMT(quoted(r, gw_str_z(told[i].text)))))))
				fail_msg("%s at %zu\n%.*s", told[i].args, at, GW_FMT(gw_buf_view(&r->out)));
		}
	}
}

/* Broken escapes are hostile or cut; they stay within what they are. */
static void broken_escapes_do_no_harm(void **state)
{
	static const char *const odd[] = { "{\"input\":\"\\ud83d\\ud83dx\"}",
					   "{\"input\":\"\\udc00\"}",
					   "{\"input\":\"\\uzzzz\"}",
					   "{\"input\":\"\\q\"}",
					   "{\"input\":\"\\ud83d",
					   "{\"input\":\"\\",
					   "{\"input\":\"\\ud83d\\n\"}" };
	struct room *r = *state;

	prepare(r);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct gw_str args = gw_str_z(odd[i]);

		for (size_t at = 0; at <= args.n; at++) {
			assert_int_equal(room_stream(r, &gw_anthropic, &gw_openai, stream_of(r, args, at), 100), GW_OK);
			(void)joined(r, "/choices/0/delta/tool_calls/0/custom/input");
		}
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(they_are_functions_elsewhere), T(openai_gets_them_as_they_are),
		T(a_reply_gives_the_text_back),  T(a_stream_gives_it_back_wherever_it_is_cut),
		T(broken_escapes_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
