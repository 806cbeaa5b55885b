/* The Bedrock Converse dialect: each trap of its wire format, both ways, with OpenAI's dialect at the other end. */
#include "translate_room.h"
#include "core/dialect/bedrock/endpoints.h"

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

#define CLAUDE "us.anthropic.claude-sonnet-4-5-v1:0"
#define USER   "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define HI     "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]"
#define CALL(id, name)                                                                                                 \
	"{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":\"{\\\"a\\\":1}"   \
	"\"}}"
#define TOOL                                                                                                           \
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","          \
	"\"properties\":{\"a\":{\"type\":\"string\"}}}}}]"
#define SPEC                                                                                                           \
	"{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":{\"json\":{\"type\":\"object\",\"properties\":{\"a\":{"         \
	"\"type\":\"string\"}}}}}}"

static void to_bedrock(struct room *r, const char *model, const char *body, const char *want, const char *dropped)
{
	room_gives(r, &gw_openai, &gw_bedrock, model, 0, body, want, dropped);
}

static void home_trips_lose_nothing(void **state)
{
	static const char *const bodies[] = {
		"{" HI "}",
		"{" HI ",\"system\":[],\"inferenceConfig\":{}}",
		"{" HI ",\"system\":[{\"text\":\"s\"},{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}},{"
		"\"guardContent\":{\"text\":{\"text\":\"g\"}}}],"
		"\"inferenceConfig\":{\"maxTokens\":5,\"temperature\":0.5,\"topP\":1,\"stopSequences\":[\"a\"]}}",
		"{" HI ",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048},"
		"\"top_k\":5,\"x\":[1]}}",
		"{" HI ",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{"
		"\"effort\":\"high\"}}}",
		"{" HI ",\"additionalModelRequestFields\":{\"reasoningConfig\":{\"type\":\"enabled\","
		"\"maxReasoningEffort\":\"low\"},\"inferenceConfig\":{"
		"\"topK\":5}}}",
		"{" HI ",\"toolConfig\":{\"tools\":[" SPEC
		",{\"cachePoint\":{\"type\":\"default\"}},{\"systemTool\":{\"name\":\"nova_grounding\"}}],"
		"\"toolChoice\":{\"tool\":{\"name\":\"f\"}}}}",
		"{" HI ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{"
		"\"schema\":\"{ \\\"type\\\": \\\"object\\\"}\","
		"\"name\":\"n\"}}}}}",
		"{" HI ",\"guardrailConfig\":{\"guardrailIdentifier\":\"g\"},\"performanceConfig\":{\"latency\":"
		"\"optimized\"},\"serviceTier\":{\"type\":"
		"\"flex\"},\"requestMetadata\":{\"a\":\"b\"},\"additionalModelResponseFieldPaths\":[\"/x\"]}",
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":"
		"\"aGk=\"}}},{\"document\":{\"format\":"
		"\"txt\",\"name\":\"d\",\"source\":{\"text\":\"t\"},\"citations\":{\"enabled\":true}}},{\"text\":\"x\"}"
		",{\"cachePoint\":{\"type\":"
		"\"default\"}}]},{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{\"reasoningText\":{"
		"\"text\":\"r\",\"signature\":\"s\"}}},{"
		"\"reasoningContent\":{\"redactedContent\":\"cg==\"}},{\"toolUse\":{\"toolUseId\":\"t1\",\"name\":"
		"\"f\",\"input\":{\"a\":1}}}]},{\"role\":"
		"\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"t1\",\"content\":[{\"json\":{\"a\":1}},{"
		"\"searchResult\":{\"source\":\"x\"}}],"
		"\"status\":\"success\"}}]}]}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		room_gives(*state, &gw_bedrock, &gw_bedrock, CLAUDE, 0, bodies[i], bodies[i], "");
}

static void wrong_types_are_named(void **state)
{
	static const struct {
		const char *body, *param;
	} cases[] = {
		{ "{}", "messages" },
		{ "{\"messages\":{}}", "messages" },
		{ "{\"messages\":[{\"role\":\"tool\",\"content\":[]}]}", "messages[0].role" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", "messages[0].content" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":1}]}]}", "messages[0].content[0].text" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "messages[0].content[0]" },
		{ "{" HI ",\"system\":\"s\"}", "system" },
		{ "{" HI ",\"inferenceConfig\":{\"maxTokens\":\"1\"}}", "inferenceConfig.maxTokens" },
		{ "{" HI ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":{}}}]}}",
		  "toolConfig.tools[].toolSpec.inputSchema.json" },
		{ "{" HI ",\"outputConfig\":{\"textFormat\":{\"structure\":{\"jsonSchema\":{\"schema\":\"{\"}}}}}",
		  "outputConfig.textFormat.structure.jsonSchema.schema" },
		{ "{" HI ",\"requestMetadata\":{\"a\":1}}", "requestMetadata" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		room_refuses(*state, &gw_bedrock, &gw_openai, "m", cases[i].body, cases[i].param);
}

static void turns_alternate_and_nothing_is_blank(void **state)
{
	to_bedrock(
	    *state, CLAUDE,
	    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"A\"},{\"role\":\"assistant\","
	    "\"content\":\"B\"},{\"role\":\"user\","
	    "\"content\":\"C\"},{\"role\":\"assistant\",\"content\":\" \"},{\"role\":\"user\",\"content\":\"D\"}]}",
	    "{\"system\":[{\"text\":\"A\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Please "
	    "continue.\"}]},{\"role\":\"assistant\","
	    "\"content\":[{\"text\":\"B\"}]},{\"role\":\"user\",\"content\":[{\"text\":\"C\"},{\"text\":\"D\"}]}]}",
	    "");
}

static void results_share_a_message_and_tools_are_made_up(void **state)
{
	static const char body[] =
	    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":"
	    "null,"
	    "\"tool_calls\":[" CALL("c1", "f") "," CALL(
		"a/b c", "g.h") "]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"\"},"
				"{\"role\":\"tool\",\"tool_call_id\":\"a/b "
				"c\",\"content\":\"x\"},{\"role\":\"user\",\"content\":\"go\"}]}";
	struct room *r = *state;
	const yyjson_val *doc;
	yyjson_val *msgs, *call, *result;

	assert_int_equal(room_request(r, &gw_openai, &gw_bedrock, CLAUDE, 0, body), GW_OK);
	doc = room_tree(r, gw_buf_view(&r->out));
	msgs = gw_json_get(doc, GW_LIT("messages"));
	assert_int_equal(yyjson_arr_size(msgs), 3);
	call = yyjson_ptr_get(msgs, "/1/content/1/toolUse");
	result = yyjson_ptr_get(msgs, "/2/content/1/toolResult");
	assert_true(yyjson_equals(yyjson_obj_get(call, "toolUseId"), yyjson_obj_get(result, "toolUseId")));
	assert_int_equal(gw_str_find(gw_json_str(yyjson_obj_get(call, "toolUseId")), '/'),
			 yyjson_get_len(yyjson_obj_get(call, "toolUseId")));
	assert_true(yyjson_equals_str(yyjson_ptr_get(msgs, "/2/content/0/toolResult/content/0/text"), "(no output)"));
	assert_true(yyjson_equals_str(yyjson_ptr_get(msgs, "/2/content/2/text"), "go"));
	/* the history speaks of tools: their specs must be there, under the names that fit */
	assert_true(yyjson_equals(yyjson_ptr_get((yyjson_val *)(uintptr_t)doc, "/toolConfig/tools/1/toolSpec/name"),
				  yyjson_obj_get(call, "name")));
	assert_true(gw_str_eq(gw_carry_name_back(&r->carry, gw_json_str(yyjson_obj_get(call, "name"))), GW_LIT("g.h")));
	/* Mistral wants nine letters and digits */
	assert_int_equal(room_request(r, &gw_openai, &gw_bedrock, "mistral.mistral-large-2407-v1:0", 0, body), GW_OK);
	assert_int_equal(yyjson_get_len(yyjson_ptr_get((yyjson_val *)(uintptr_t)room_tree(r, gw_buf_view(&r->out)),
						       "/messages/1/content/0/toolUse/toolUseId")),
			 9);
}

static void tool_choice_has_the_forms_there_are(void **state)
{
	to_bedrock(*state, CLAUDE, "{\"model\":\"m\"," USER "," TOOL ",\"tool_choice\":\"none\"}", "{" HI "}", "");
	to_bedrock(*state, CLAUDE,
		   "{\"model\":\"m\"," USER "," TOOL ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
		   "{" HI ",\"toolConfig\":{\"tools\":[" SPEC "],\"toolChoice\":{\"any\":{}}}}", "parallel_tool_calls");
	to_bedrock(*state, "meta.llama3-1-70b", "{\"model\":\"m\"," USER "," TOOL ",\"tool_choice\":\"required\"}",
		   "{" HI ",\"toolConfig\":{\"tools\":[" SPEC "]}}", "tool_choice");
	to_bedrock(*state, CLAUDE,
		   "{\"model\":\"m\"," USER "," TOOL
		   ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
		   "{" HI ",\"toolConfig\":{\"tools\":[" SPEC "],\"toolChoice\":{\"tool\":{\"name\":\"f\"}}}}", "");
}

static void settings_go_where_the_family_has_them(void **state)
{
	to_bedrock(*state, "amazon.nova-2-lite-v1:0",
		   "{\"model\":\"m\"," USER
		   ",\"temperature\":1.5,\"reasoning_effort\":\"xhigh\",\"seed\":1,\"max_tokens\":9}",
		   "{" HI ",\"inferenceConfig\":{\"maxTokens\":9,\"temperature\":1.0},\"additionalModelRequestFields\":"
		   "{\"reasoningConfig\":{\"type\":"
		   "\"enabled\",\"maxReasoningEffort\":\"high\"}}}",
		   "temperature, seed");
	to_bedrock(*state, CLAUDE,
		   "{\"model\":\"m\"," USER ",\"temperature\":0.5,\"reasoning_effort\":\"low\",\"max_tokens\":100}",
		   "{" HI ",\"inferenceConfig\":{\"maxTokens\":1124},\"additionalModelRequestFields\":{\"thinking\":{"
		   "\"type\":\"enabled\",\"budget_tokens\":"
		   "1024}}}",
		   "temperature");
	to_bedrock(*state, "meta.llama3-1-70b", "{\"model\":\"m\"," USER ",\"reasoning_effort\":\"low\"}", "{" HI "}",
		   "reasoning_effort");
	to_bedrock(*state, CLAUDE,
		   "{\"model\":\"m\"," USER ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
		   "\"n\",\"schema\":{\"type\":\"object\"}}}}",
		   "{" HI ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{"
		   "\"schema\":\"{\\\"type\\\":"
		   "\\\"object\\\",\\\"additionalProperties\\\":false}\",\"name\":\"n\"}}}}}",
		   "");
	room_refuses(*state, &gw_openai, &gw_bedrock, CLAUDE, "{\"model\":\"m\"," USER ",\"n\":2}", "n");
}

static void media_is_bytes_or_refused(void **state)
{
#define PIC(url)                                                                                                       \
	"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"       \
	"\"url\":\"" url "\"}}]}]}"
	to_bedrock(*state, CLAUDE, PIC("data:image/jpg;base64,aGk="),
		   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"jpeg\",\"source\":{"
		   "\"bytes\":\"aGk=\"}}}]}]}",
		   "");
	room_refuses(*state, &gw_openai, &gw_bedrock, CLAUDE, PIC("https://example.com/x.png"),
		     "messages[].content[].image_url.url");
	room_refuses(*state, &gw_openai, &gw_bedrock, CLAUDE, PIC("data:image/tiff;base64,aGk="),
		     "messages[].content[]");
	to_bedrock(*state, CLAUDE,
		   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{"
		   "\"filename\":\"My_report  (1).pdf\",\"file_data\":"
		   "\"data:application/pdf;base64,aGk=\"}}]}]}",
		   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"document\":{\"format\":\"pdf\",\"name\":\"My "
		   "report (1) pdf 1\",\"source\":{\"bytes\":"
		   "\"aGk=\"}}},{\"text\":\"See the attached document.\"}]}]}",
		   "");
}

/* ---- replies and streams ---- */

static void usage_takes_the_cache_in_and_out(void **state)
{
	struct room *r = *state;
	static const char reply[] = "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":\"a\"}]}},"
				    "\"stopReason\":\"max_tokens\",\"usage\":{"
				    "\"inputTokens\":386,\"outputTokens\":4,\"totalTokens\":3142,"
				    "\"cacheReadInputTokens\":2000,\"cacheWriteInputTokens\":752,"
				    "\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":52}]}}";

	assert_int_equal(room_reply(r, &gw_bedrock, &gw_bedrock, reply), GW_OK);
	assert_int_equal(r->told.usage.input, 3138);
	assert_int_equal(r->told.usage.cache_write_1h, 52);
	assert_int_equal(r->told.usage.cache_write_5m, 700);
	assert_true(gw_str_eq(r->told.finish, GW_LIT("length")));
	room_same(r, gw_buf_view(&r->out),
		  "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":\"a\"}]}},\"stopReason\":"
		  "\"max_tokens\",\"usage\":{\"inputTokens\":386,"
		  "\"outputTokens\":4,\"totalTokens\":3142,\"cacheReadInputTokens\":2000,\"cacheWriteInputTokens\":752,"
		  "\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":52},{\"ttl\":\"5m\",\"inputTokens\":700}]}"
		  ",\"metrics\":{\"latencyMs\":0}}");
	assert_int_equal(room_reply(r, &gw_bedrock, &gw_openai, "{\"message\":\"no\"}"), GW_E_UP_GARBLED);
	assert_int_equal(room_reply(r, &gw_bedrock, &gw_openai,
				    "{\"output\":{\"message\":{\"content\":[1,null,{\"text\":2},{\"toolUse\":7},{"
				    "\"toolUse\":{\"type\":\"server_tool_use\",\"name\":"
				    "\"x\"}},{\"reasoningContent\":[]}]}},\"stopReason\":[],\"usage\":\"x\"}"),
			 GW_OK);
	assert_false(room_has(r, "\"name\":\"x\"")); /* the provider's own tool is not the client's to call */
}

static void frame(struct gw_buf *b, const char *name, const char *payload)
{
	assert_int_equal(gw_awsframe_put_event(b, gw_str_z(name), gw_str_z(payload)), GW_OK);
}

static void streams_open_blocks_lazily(void **state)
{
	struct room *r = *state;
	struct gw_str whole;
	struct gw_buf in;

	gw_buf_init(&in, 1 << 20);
	frame(&in, "messageStart", "{\"role\":\"assistant\",\"p\":\"abc\"}");
	frame(&in, "contentBlockDelta",
	      "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"hm\"}},\"p\":\"a\"}");
	frame(&in, "contentBlockDelta",
	      "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"sig\"}}}");
	frame(&in, "contentBlockStop", "{\"contentBlockIndex\":0}");
	frame(&in, "contentBlockDelta", "{\"contentBlockIndex\":1,\"delta\":{\"text\":\"\"}}");
	frame(&in, "contentBlockDelta", "{\"contentBlockIndex\":1,\"delta\":{\"text\":\"Hi\"}}");
	frame(&in, "contentBlockStop", "{\"contentBlockIndex\":1}");
	frame(&in, "contentBlockStart",
	      "{\"contentBlockIndex\":2,\"start\":{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\"}}}");
	frame(&in, "contentBlockStop", "{\"contentBlockIndex\":2}");
	frame(&in, "messageStop", "{\"stopReason\":\"tool_use\"}");
	size_t before_usage = in.n;

	frame(&in, "metadata",
	      "{\"usage\":{\"inputTokens\":3,\"outputTokens\":4,\"totalTokens\":7},\"metrics\":{\"latencyMs\":1}}");
	assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_buf_view(&in), 0), GW_OK);
	assert_true(gw_str_eq(r->told.finish, GW_LIT("tool_calls")));
	assert_int_equal(r->told.usage.output, 4);
	assert_true(room_has(r, "\"content\":\"Hi\""));
	assert_true(room_has(r, "\"arguments\":\"{}\"")); /* none were told */
	whole = gw_arena_str(&r->a, gw_buf_view(&r->out));
	for (size_t at = 1; at < in.n; at += 3) {
		assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_buf_view(&in), at), GW_OK);
		assert_true(gw_str_eq(whole, gw_buf_view(&r->out)));
	}
	assert_int_equal(room_stream(r, &gw_bedrock, &gw_bedrock, gw_buf_view(&in), 0), GW_OK);
	assert_true(room_has(r, "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"sig\"}}}"));
	assert_true(room_has(r, "{\"contentBlockIndex\":1,\"delta\":{\"text\":\"Hi\"}}"));
	/* whole once messageStop was there, cut before */
	assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_str(in.p, before_usage), 0), GW_OK);
	assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_str(in.p, before_usage - 150), 0), GW_E_UP_CUT);
	gw_buf_done(&in);
}

static void exceptions_end_the_stream(void **state)
{
	struct room *r = *state;
	struct gw_error_told told;
	struct gw_buf in;

	gw_buf_init(&in, 1 << 20);
	frame(&in, "messageStart", "{\"role\":\"assistant\"}");
	assert_int_equal(
	    gw_awsframe_put_exception(&in, GW_LIT("throttlingException"), GW_LIT("{\"message\":\"slow down\"}")),
	    GW_OK);
	assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_buf_view(&in), 0), GW_E_UP_SERVER);
	gw_buf_done(&in);
	gw_error_tell(&told, GW_E_UP_LIMIT, GW_LIT("slow down"), GW_NIL, r->carry.request_id);
	gw_buf_clear(&r->out, SIZE_MAX);
	gw_bedrock.write_error_event(&told, &r->carry, &r->out);
	assert_true(room_has(r, "throttlingException"));
	gw_buf_clear(&r->out, SIZE_MAX);
	gw_bedrock.write_error(&told, &r->out);
	room_same(r, gw_buf_view(&r->out), "{\"__type\":\"ThrottlingException\",\"message\":\"slow down\"}");
}

/* Models that are held to a schema by a forced tool alone: what it is called with is the answer. */
static void a_schema_may_go_as_a_tool(void **state)
{
#define SCHEMA                                                                                                         \
	",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":"         \
	"\"object\"}}}"
	static const char *const models[] = { "us.amazon.nova-pro-v1:0", "anthropic.claude-3-7-sonnet-20250219-v1:0" };
	struct room *r = *state;
	struct gw_buf in;

	for (size_t i = 0; i < 2; i++) {
		r->carry.is_json_tool = false;
		to_bedrock(
		    r, models[i], "{\"model\":\"m\"," USER SCHEMA ",\"tool_choice\":\"none\"}",
		    "{" HI
		    ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"json_answer\",\"description\":\"Call this "
		    "with the whole "
		    "answer.\",\"inputSchema\":{\"json\":{\"type\":\"object\"}}}}],\"toolChoice\":{\"any\":{}}}}",
		    "");
		assert_true(r->carry.is_json_tool);
		assert_int_equal(
		    room_reply(r, &gw_bedrock, &gw_openai,
			       "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"toolUse\":{"
			       "\"toolUseId\":\"t\","
			       "\"name\":\"json_answer\",\"input\":{\"a\":1}}}]}},\"stopReason\":\"tool_use\"}"),
		    GW_OK);
		assert_true(room_has(r, "\"content\":\"{\\\"a\\\":1}\"") && room_has(r, "\"finish_reason\":\"stop\""));
		assert_false(room_has(r, "tool_calls"));
	}
	gw_buf_init(&in, 1 << 20);
	frame(&in, "messageStart", "{\"role\":\"assistant\"}");
	frame(&in, "contentBlockStart",
	      "{\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"json_answer\"}}}");
	frame(&in, "contentBlockDelta",
	      "{\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"{\\\"a\\\":\"}}}");
	frame(&in, "contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"1}\"}}}");
	frame(&in, "contentBlockStop", "{\"contentBlockIndex\":0}");
	frame(&in, "messageStop", "{\"stopReason\":\"tool_use\"}");
	frame(&in, "metadata", "{\"usage\":{\"inputTokens\":3,\"outputTokens\":4,\"totalTokens\":7}}");
	assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_buf_view(&in), 50), GW_OK);
	assert_true(room_has(r, "\"content\":\"{\\\"a\\\":\"") && room_has(r, "\"content\":\"1}\""));
	assert_true(room_has(r, "\"finish_reason\":\"stop\"") && !room_has(r, "tool_calls"));
	gw_buf_done(&in);
	/* thinking and a forced tool exclude each other: the schema counts more */
	assert_int_equal(room_request(r, &gw_openai, &gw_bedrock, models[1], 0,
				      "{\"model\":\"m\"," USER SCHEMA ",\"reasoning_effort\":\"low\"}"),
			 GW_OK);
	assert_true(gw_str_eq(r->said.dropped, GW_LIT("reasoning_effort")) && !room_has(r, "thinking"));
}

static void thinking_is_told_as_the_model_takes_it(void **state)
{
	/* the ceiling holds thoughts and answer; it must be told, as a budget may be above what stands there unsaid */
	to_bedrock(
	    *state, CLAUDE, "{\"model\":\"m\"," USER ",\"reasoning_effort\":\"medium\"}",
	    "{" HI
	    ",\"inferenceConfig\":{\"maxTokens\":12288},\"additionalModelRequestFields\":{\"thinking\":{\"type\":"
	    "\"enabled\",\"budget_tokens\":8192}}}",
	    "");
	to_bedrock(*state, "anthropic.claude-opus-4-6-v1:0",
		   "{\"model\":\"m\"," USER ",\"reasoning_effort\":\"minimal\",\"max_tokens\":50}",
		   "{" HI
		   ",\"inferenceConfig\":{\"maxTokens\":50},\"additionalModelRequestFields\":{\"thinking\":{\"type\":"
		   "\"adaptive\"},\"output_config\":{\"effort\":\"low\"}}}",
		   "");
	/* calls of a turn without reasoning are being answered */
	to_bedrock(*state, CLAUDE,
		   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\","
		   "\"tool_calls\":[" CALL("t", "f") "]},{\"role\":\"tool\",\"tool_call_id\":\"t\",\"content\":\"r\"}],"
						     "\"reasoning_effort\":\"low\"," TOOL "}",
		   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]},{\"role\":\"assistant\","
		   "\"content\":[{\"toolUse\":"
		   "{\"toolUseId\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}}]},{\"role\":\"user\",\"content\":[{"
		   "\"toolResult\":{"
		   "\"toolUseId\":\"t\",\"content\":[{\"text\":\"r\"}]}}]}],\"toolConfig\":{\"tools\":[" SPEC "]}}",
		   "reasoning_effort");
	/* the newest take nothing but the defaults */
	to_bedrock(*state, "global.anthropic.claude-opus-4-7-v1:0",
		   "{\"model\":\"m\"," USER ",\"temperature\":0.5,\"top_p\":1}", "{" HI ",\"inferenceConfig\":{}}",
		   "temperature");
}

static void marks_and_metadata_that_are_refused_stay_behind(void **state)
{
#define MARKED(role, text)                                                                                             \
	"{\"role\":\"" role "\",\"content\":[{\"type\":\"text\",\"text\":\"" text                                      \
	"\",\"cache_control\":{\"type\":\"ephemeral\","                                                                \
	"\"ttl\":\"1h\"}}]}"
	static const char five[] = "{\"model\":\"m\",\"messages\":[" MARKED("system", "s") "," MARKED(
	    "user", "a") "," MARKED("assistant", "b") "," MARKED("user", "c") "," MARKED("assistant", "d") "]}";
#define POINT "{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}"
	to_bedrock(
	    *state, CLAUDE, five,
	    "{\"system\":[{\"text\":\"s\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}," POINT
	    "]},{\"role\":\"assistant\",\"content\":[{\"text\":\"b\"}," POINT
	    "]},{\"role\":\"user\",\"content\":[{\"text\":"
	    "\"c\"}," POINT "]},{\"role\":\"assistant\",\"content\":[{\"text\":\"d\"}," POINT "]}]}",
	    "cache_control");
	to_bedrock(*state, "amazon.nova-lite-v1:0", "{\"model\":\"m\",\"messages\":[" MARKED("user", "a") "]}",
		   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"},{\"cachePoint\":{\"type\":"
		   "\"default\"}}]}]}",
		   "");
	to_bedrock(*state, "meta.llama3-1-70b", "{\"model\":\"m\",\"messages\":[" MARKED("user", "a") "]}",
		   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}]}", "cache_control");
	to_bedrock(*state, CLAUDE, "{\"model\":\"m\"," USER ",\"metadata\":{\"team\":\"a b\",\"note\":\"(no)\"}}",
		   "{" HI ",\"requestMetadata\":{\"team\":\"a b\"}}", "metadata.note");
	to_bedrock(*state, CLAUDE, "{\"model\":\"m\"," USER ",\"response_format\":{\"type\":\"json_object\"}}",
		   "{\"system\":[{\"text\":\"Answer with one JSON object and nothing else: no other words, no code "
		   "fence.\"}]," HI "}",
		   "");
}

/* A tool of another provider stays behind, and so does a choice that wants it. */
static void choices_of_absent_tools_go_with_them(void **state)
{
#define ASK_A                                                                                                          \
	"{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"tools\":[{"         \
	"\"type\":"                                                                                                    \
	"\"web_search_20250305\",\"name\":\"web_search\"}"
#define F_A ",{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}"
	static const struct {
		const char *body, *dropped;
		bool is_kept;
	} rows[] = {
		{ ASK_A "],\"tool_choice\":{\"type\":\"any\"}}", "tool_choice, tools[].web_search_20250305", false },
		{ ASK_A F_A "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"web_search\"}}",
		  "tool_choice, tools[].web_search_20250305", false },
		{ ASK_A F_A "],\"tool_choice\":{\"type\":\"any\"}}", "tools[].web_search_20250305", true },
		{ ASK_A F_A "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}}", "tools[].web_search_20250305",
		  true },
		{ ASK_A "],\"tool_choice\":{\"type\":\"auto\"}}", "tools[].web_search_20250305", false },
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(room_request(r, &gw_anthropic, &gw_bedrock, CLAUDE, 0, rows[i].body), GW_OK);
		if (!gw_str_eq(r->said.dropped, gw_str_z(rows[i].dropped)) ||
		    room_has(r, "toolChoice") != rows[i].is_kept)
			fail_msg("%.*s: %.*s", GW_FMT(r->said.dropped), GW_FMT(gw_buf_view(&r->out)));
		assert_int_equal(room_request(r, &gw_anthropic, &gw_openai, "m", 0, rows[i].body), GW_OK);
		assert_true(room_has(r, "tool_choice") == rows[i].is_kept);
	}
}

/* Each kind of exception in a stream is an error of its own; the first frame of all may be one. */
static void every_exception_has_its_status(void **state)
{
	static const struct {
		const char *name;
		int status;
	} rows[] = { { "internalServerException", 500 },     { "modelStreamErrorException", 424 },
		     { "validationException", 400 },         { "throttlingException", 429 },
		     { "serviceUnavailableException", 503 }, { "modelTimeoutException", 408 },
		     { "accessDeniedException", 403 },       { "somethingNewException", 500 } };
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gw_translate t;
		struct gw_buf in;

		gw_buf_init(&in, 1 << 20);
		assert_int_equal(gw_awsframe_put_exception(&in, gw_str_z(rows[i].name),
							   GW_LIT("{\"message\":\"why\",\"originalStatusCode\":500}")),
				 GW_OK);
		assert_int_equal(gw_translate_open(&t, &gw_bedrock, &gw_openai, &r->carry), GW_OK);
		assert_int_equal(gw_translate_feed(&t, gw_buf_view(&in), &r->out), GW_E_UP_SERVER);
		assert_int_equal(t.error_status, rows[i].status);
		assert_non_null(strstr(gw_arena_z(&r->a, t.error_json), rows[i].name));
		gw_translate_close(&t);
		/* a flipped bit is no frame */
		in.p[in.n - 6] ^= 1;
		assert_int_equal(room_stream(r, &gw_bedrock, &gw_openai, gw_buf_view(&in), 0), GW_E_UP_GARBLED);
		gw_buf_done(&in);
	}
}

static void paths_have_the_model_as_one_segment(void **state)
{
	struct room *r = *state;
	uint64_t n = 0;

	gw_bedrock.write_path(
	    &(struct gw_path_in){ GW_LIT(""), GW_LIT("arn:aws:bedrock:eu-1:1:inference-profile/x-v1:0"), true },
	    &r->out);
	assert_true(
	    gw_str_eq(gw_buf_view(&r->out),
		      GW_LIT("/model/arn%3Aaws%3Abedrock%3Aeu-1%3A1%3Ainference-profile%2Fx-v1%3A0/converse-stream")));
	assert_true(gw_bedrock_count_reply_read(room_tree(r, GW_LIT("{\"inputTokens\":375}")), &n));
	assert_int_equal(n, 375);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(home_trips_lose_nothing),
		T(wrong_types_are_named),
		T(turns_alternate_and_nothing_is_blank),
		T(results_share_a_message_and_tools_are_made_up),
		T(tool_choice_has_the_forms_there_are),
		T(settings_go_where_the_family_has_them),
		T(media_is_bytes_or_refused),
		T(usage_takes_the_cache_in_and_out),
		T(streams_open_blocks_lazily),
		T(exceptions_end_the_stream),
		T(a_schema_may_go_as_a_tool),
		T(thinking_is_told_as_the_model_takes_it),
		T(marks_and_metadata_that_are_refused_stay_behind),
		T(choices_of_absent_tools_go_with_them),
		T(every_exception_has_its_status),
		T(paths_have_the_model_as_one_segment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
