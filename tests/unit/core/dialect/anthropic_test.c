/* Requests of the Anthropic dialect: the home trip, each trap of writing for it, what is refused and what is told as dropped. */
#include "tests/unit/core/dialect/anthropic_room.h"

static void requests_come_home_unchanged(void **state)
{
	static const char *const bodies[] = {
		"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
		/* count_tokens: no max_tokens; explicit nulls and empty lists */
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}],\"system\":\"s\",\"tools\":[],"
		"\"stop_sequences\":[],"
		"\"temperature\":null,\"stream\":false}",
		"{\"model\":\"m\",\"max_tokens\":5,\"temperature\":1.7,\"top_p\":0.1,\"top_k\":3,\"stop_sequences\":["
		"\" \",\"b\"],"
		"\"service_tier\":\"standard_only\",\"metadata\":{\"user_id\":\"u\",\"x\":1},\"container\":\"c\","
		"\"messages\":["
		"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\",\"cache_control\":{\"type\":"
		"\"ephemeral\",\"ttl\":\"1h\"}},"
		"{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"other\"}},{\"type\":\"container_"
		"upload\",\"file_id\":\"f\"}]},"
		"{\"role\":\"user\",\"content\":\"again\"},{\"role\":\"system\",\"content\":\"mid\"},{\"role\":"
		"\"assistant\",\"content\":["
		"{\"type\":\"text\",\"text\":\"t "
		"\",\"citations\":[{\"type\":\"char_location\",\"start_char_index\":1}]},"
		"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"},{\"type\":\"redacted_thinking\",\"data\":"
		"\"d\"},"
		"{\"type\":\"tool_use\",\"id\":\"a.b\",\"name\":\"n.m\",\"input\":{\"k\":[1.5,null]},\"caller\":{"
		"\"type\":\"direct\"}}]},"
		"{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a.b\"},"
		"{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"is_error\":false,\"content\":\"\"},"
		"{\"type\":\"tool_result\",\"tool_use_id\":\"d\",\"content\":[{\"type\":\"tool_reference\",\"tool_"
		"name\":\"x\"},"
		"{\"type\":\"search_result\",\"title\":\"T\",\"source\":\"S\",\"content\":[{\"type\":\"text\",\"text\":"
		"\"w\"}]}]}]}]}",
		"{\"model\":\"m\",\"max_tokens\":9,\"cache_control\":{\"type\":\"ephemeral\"},\"thinking\":{\"type\":"
		"\"adaptive\","
		"\"display\":\"omitted\"},\"output_config\":{\"effort\":\"xhigh\",\"format\":{\"type\":\"json_schema\","
		"\"schema\":{\"type\":\"object\","
		"\"additionalProperties\":true}},\"task_budget\":3},\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\","
		"\"disable_parallel_tool_use\":true},\"tools\":[{\"name\":\"f\",\"input_schema\":{},\"strict\":false,"
		"\"defer_loading\":true,"
		"\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"5m\"}},{\"type\":\"custom\",\"name\":\"g\","
		"\"description\":\"\","
		"\"input_schema\":{\"type\":\"object\"}},{\"type\":\"web_search_20250305\",\"name\":\"web_search\","
		"\"max_uses\":2}],"
		"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\","
		"\"url\":\"https://x/y\"}},"
		"{\"type\":\"image\",\"source\":{\"type\":\"odd\"}},{\"type\":\"document\",\"title\":\"t\",\"context\":"
		"\"c\",\"citations\":"
		"{\"enabled\":true},\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"d\"}},"
		"{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":"
		"\"p\"}]}}]}]}",
		"{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},"
		"\"tool_choice\":{\"type\":\"auto\"},"
		"\"output_format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}},\"system\":[{\"type\":"
		"\"text\",\"text\":"
		"\"x-anthropic-billing-header: "
		"a\"},{\"type\":\"text\",\"text\":\"you\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
		"\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}",
		"{\"model\":\"m\",\"max_tokens\":9,\"thinking\":{\"type\":\"disabled\"},\"tool_choice\":{\"type\":"
		"\"odd\"},\"output_config\":{},"
		"\"service_tier\":\"turbo\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"extra\":{\"y\":[]}}]}",
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(read_in(r, bodies[i]), GW_OK);
		assert_int_equal(write_as(r, GW_D_ANTHROPIC, "m", 0), GW_OK);
		same_value(r, gw_buf_view(&r->out), bodies[i]);
		same_text(dropped(r), "");
	}
}

static void wrong_types_are_told_by_place(void **state)
{
	static const struct {
		const char *body, *param;
		enum gw_err err;
	} cases[] = {
		{ "{}", "messages", GW_E_MISSING },
		{ "[]", "", GW_E_INVALID },
		{ "{\"messages\":[]}", "messages", GW_E_INVALID },
		{ "{\"messages\":[3]}", "messages[0].role", GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"tool\",\"content\":\"\"}]}", "messages[0].role", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "messages[0].content[0].type",
		  GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":1}]}]}",
		  "messages[0].content[0].text", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":[{\"type\":"
		  "\"text\",\"text\":\"\"},"
		  "{\"type\":\"tool_result\",\"tool_use_id\":\"x\",\"content\":[{\"type\":\"image\"}]}]}]}",
		  "messages[1].content[1].content[0].source", GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":"
		  "\"b\",\"input\":\"{}\"}]}]}",
		  "messages[0].content[0].input", GW_E_INVALID },
		{ "{\"system\":7,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "system", GW_E_INVALID },
		{ "{\"system\":[{\"type\":\"text\"}],\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
		  "system[0].text", GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":\"9\"}", "max_tokens",
		  GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stream\":1}", "stream", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stop_sequences\":\"x\"}", "stop_sequences",
		  GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":{}}", "tools", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"name\":\"a\",\"input_schema\":{}"
		  "},{\"name\":\"f\"}]}",
		  "tools[1].input_schema", GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"model\":3}", "model", GW_E_INVALID },
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_in(r, cases[i].body) != cases[i].err)
			fail_msg("%s", cases[i].body);
		same_text(r->param, cases[i].param);
		assert_true(r->why.n > 0);
	}
}

/* What others' requests become: read in this dialect's words, written as if they had come from elsewhere. */
#define HEAD "{\"model\":\"m\",\"max_tokens\":4096,"

static const struct {
	const char *in, *out, *dropped, *model;
} traps[] = {
	/* neighbours merge, results come first, blanks go, ids and names fit, a string content stays one */
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":[{\"type\":"
	  "\"text\",\"text\":\" \\n\"},"
	  "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
	  "\"text\":\"\"},"
	  "{\"type\":\"tool_use\",\"id\":\"call.1\",\"name\":\"get weather\",\"input\":{}},"
	  "{\"type\":\"tool_use\",\"id\":\"ok-2_x\",\"name\":\"g\",\"input\":{\"a\":1}}]},{\"role\":\"user\","
	  "\"content\":["
	  "{\"type\":\"text\",\"text\":\"and\"},{\"type\":\"tool_result\",\"tool_use_id\":\"call.1\","
	  "\"content\":\"r1\"}]},"
	  "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"ok-2_x\",\"is_error\":"
	  "true,\"content\":[]}]}]}",
	  HEAD "\"tools\":[{\"name\":\"get_weather_3e1fb3dd\",\"input_schema\":{\"type\":\"object\"}},{"
	       "\"name\":\"g\",\"input_schema\":"
	       "{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"none\"},\"messages\":[{\"role\":\"user\","
	       "\"content\":["
	       "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":"
	       "\"assistant\",\"content\":["
	       "{\"type\":\"tool_use\",\"id\":\"CALL1\",\"name\":\"GETW\",\"input\":{}},"
	       "{\"type\":\"tool_use\",\"id\":\"ok-2_x\",\"name\":\"g\",\"input\":{\"a\":1}}]},{\"role\":"
	       "\"user\",\"content\":["
	       "{\"type\":\"tool_result\",\"tool_use_id\":\"CALL1\",\"content\":\"r1\"},"
	       "{\"type\":\"tool_result\",\"tool_use_id\":\"ok-2_x\",\"is_error\":true},{\"type\":\"text\","
	       "\"text\":\"and\"}]}]}",
	  "", "m" },
	/* an empty turn of the model vanishes, and what stood around it becomes one turn */
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"\"},"
	  "{\"role\":\"user\",\"content\":\"b\"}]}",
	  HEAD "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
	       "\"text\",\"text\":\"b\"}]}]}",
	  "", "m" },
	/* system from anywhere, in order; a prefill without blanks at its end */
	{ "{\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\","
	  "\"content\":\"t\"},"
	  "{\"role\":\"assistant\",\"content\":\"so: \\n\"}]}",
	  HEAD "\"system\":[{\"type\":\"text\",\"text\":\"s\"},{\"type\":\"text\",\"text\":\"t\"}],\"messages\":[{"
	       "\"role\":\"user\","
	       "\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"so:\"}]}]}",
	  "", "m" },
	/* nothing but instructions */
	{ "{\"messages\":[{\"role\":\"system\",\"content\":\"only\"}]}",
	  HEAD "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"only\"}]}]}", "", "m" },
	/* temperature ends at 1 and stands alone; blank stops go; what an unknown field was is told */
	{ "{" ONE_USER ",\"temperature\":1.5,\"top_p\":0.5,\"stop_sequences\":[\"\",\"x\"],\"top_k\":4}",
	  HEAD "\"temperature\":1.0,\"top_k\":4,\"stop_sequences\":[\"x\"]," ONE_USER "}", "temperature top_p stop",
	  "m" },
	{ "{" ONE_USER ",\"top_p\":0.5}", HEAD "\"top_p\":0.5," ONE_USER "}", "", "m" },
	/* four marks, the last ones */
	{ "{\"system\":[{\"type\":\"text\",\"text\":\"1\",\"cache_control\":{\"type\":\"ephemeral\"}},{"
	  "\"type\":\"text\",\"text\":\"2\","
	  "\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":[{"
	  "\"type\":\"text\",\"text\":\"3\","
	  "\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"text\",\"text\":\"4\",\"cache_control\":{"
	  "\"type\":\"ephemeral\"}}]}],"
	  "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}",
	  HEAD "\"system\":[{\"type\":\"text\",\"text\":\"1\"},{\"type\":\"text\",\"text\":\"2\",\"cache_"
	       "control\":{\"type\":\"ephemeral\"}}],"
	       "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"3\",\"cache_"
	       "control\":{\"type\":\"ephemeral\"}},"
	       "{\"type\":\"text\",\"text\":\"4\",\"cache_control\":{\"type\":\"ephemeral\"}}]}],\"cache_"
	       "control\":{\"type\":\"ephemeral\","
	       "\"ttl\":\"1h\"}}",
	  "cache_control", "m" },
	/* a budget raises the default ceiling, halves into a given one, or raises one that is too small */
	{ "{" ONE_USER ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"temperature\":0.2}",
	  "{\"model\":\"claude-opus-4-5\",\"max_tokens\":6096,\"thinking\":{\"type\":\"enabled\",\"budget_"
	  "tokens\":2000}," ONE_USER "}",
	  "temperature", "claude-opus-4-5" },
	{ "{" ONE_USER ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":20000},\"max_tokens\":10000}",
	  "{\"model\":\"m\",\"max_tokens\":10000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5000}"
	  "," ONE_USER "}",
	  "", "m" },
	{ "{" ONE_USER ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5},\"max_tokens\":100}",
	  "{\"model\":\"m\",\"max_tokens\":1124,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"
	  "," ONE_USER "}",
	  "", "m" },
	/* newer models are told an effort */
	{ "{" ONE_USER ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":9000}}",
	  "{\"model\":\"claude-sonnet-4-6\",\"max_tokens\":12288,\"thinking\":{\"type\":\"adaptive\","
	  "\"display\":\"summarized\"},"
	  "\"output_config\":{\"effort\":\"medium\"}," ONE_USER "}",
	  "", "claude-sonnet-4-6" },
	{ "{" ONE_USER ",\"output_config\":{\"effort\":\"low\"}}",
	  "{\"model\":\"claude-3-7-sonnet-20250219\",\"max_tokens\":5120,\"thinking\":{\"type\":\"enabled\","
	  "\"budget_tokens\":1024}," ONE_USER "}",
	  "", "claude-3-7-sonnet-20250219" },
	{ "{" ONE_USER ",\"thinking\":{\"type\":\"disabled\"}}",
	  HEAD "\"thinking\":{\"type\":\"disabled\"}," ONE_USER "}", "", "m" },
	/* the newest take nothing but the defaults of sampling */
	{ "{" ONE_USER ",\"temperature\":0.2,\"top_p\":0.5,\"top_k\":3}",
	  "{\"model\":\"claude-opus-4-7\",\"max_tokens\":4096," ONE_USER "}", "top_p temperature top_k",
	  "claude-opus-4-7" },
	/* a turn that was begun for the model begins with no thought */
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"It is\"}],"
	  "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}",
	  HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":"
	       "\"text\",\"text\":\"It is\"}]}]}",
	  "reasoning", "m" },
	/* strict: the schema in this provider's terms */
	{ "{" ONE_USER
	  ",\"tools\":[{\"name\":\"f\",\"strict\":true,\"input_schema\":{\"type\":\"object\",\"properties\":{"
	  "\"a\":{\"type\":\"integer\",\"minimum\":1}}}}]}",
	  HEAD "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
	       "\"integer\"}},\"additionalProperties\":false},\"strict\":true}]," ONE_USER "}",
	  "tools[].parameters.minimum", "m" },
	/* thinking forbids forcing a call */
	{ "{" ONE_USER ",\"thinking\":{\"type\":\"adaptive\"},\"tool_choice\":{\"type\":\"any\"},\"tools\":[{"
	  "\"name\":\"f\",\"input_schema\":{}}]}",
	  "{\"model\":\"claude-fable-5\",\"max_tokens\":8192,\"thinking\":{\"type\":\"adaptive\",\"display\":"
	  "\"summarized\"},\"tools\":[{\"name\":"
	  "\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{\"type\":\"auto\"}"
	  "," ONE_USER "}",
	  "tool_choice", "claude-fable-5" },
	/* calls under way whose reasoning is not ours to prove: no budget */
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":"
	  "\"thinking\",\"thinking\":\"h\","
	  "\"signature\":\"llmgw.gemini.abc\"},{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{}}"
	  "]},{\"role\":\"user\",\"content\":["
	  "{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":\"r\"}]}],\"thinking\":{\"type\":"
	  "\"enabled\",\"budget_tokens\":2000}}",
	  HEAD "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":"
	       "\"none\"},\"messages\":[{\"role\":"
	       "\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":"
	       "\"i\",\"name\":\"f\",\"input\":{}}]},"
	       "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":"
	       "\"r\"}]}]}",
	  "reasoning messages[].thinking.signature", "m" },
	/* its own signatures go back, first in the turn */
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":"
	  "\"text\",\"text\":\"t\"},"
	  "{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"sig\"},{\"type\":\"redacted_thinking\","
	  "\"data\":\"d\"}]},"
	  "{\"role\":\"user\",\"content\":\"r\"}]}",
	  HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{"
	       "\"type\":\"thinking\",\"thinking\":"
	       "\"h\",\"signature\":\"sig\"},{\"type\":\"redacted_thinking\",\"data\":\"d\"},{\"type\":"
	       "\"text\",\"text\":\"t\"}]},{\"role\":\"user\","
	       "\"content\":\"r\"}]}",
	  "", "m" },
	/* schemas are closed, bounds go */
	{ "{" ONE_USER ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
	  "\"object\",\"properties\":{\"minimum\":"
	  "{\"type\":\"number\",\"minimum\":1},\"l\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":"
	  "\"object\",\"properties\":{},"
	  "\"additionalProperties\":true}}},\"required\":[\"l\"]}}}}",
	  HEAD "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\","
	       "\"properties\":{\"minimum\":{\"type\":"
	       "\"number\"},\"l\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"object\","
	       "\"properties\":{},\"additionalProperties\":"
	       "false}}},\"required\":[\"l\"],\"additionalProperties\":false}}}," ONE_USER "}",
	  "response_format.json_schema.schema.minimum response_format.json_schema.schema.additionalProperties", "m" },
	/* one call at a time, without a choice made; hosted tools of its own */
	{ "{" ONE_USER ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true},\"tools\":[{"
	  "\"type\":\"bash_20250124\","
	  "\"name\":\"bash\"}]}",
	  HEAD "\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}],\"tool_choice\":{\"type\":\"auto\","
	       "\"disable_parallel_tool_use\":true}," ONE_USER "}",
	  "", "m" },
	/* tiers and users */
	{ "{" ONE_USER ",\"service_tier\":\"standard_only\",\"metadata\":{\"user_id\":\"u\"},\"stream\":true}",
	  HEAD ONE_USER ",\"stream\":true,\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"standard_only\"}", "",
	  "m" },
};

static void each_trap_of_writing(void **state)
{
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
		struct gw_str name = ir_tool_name(&r->a, GW_LIT("get weather"), 128),
			      id = ir_tool_name(&r->a, GW_LIT("call.1"), 64);
		char want[4096], *at;

		assert_int_equal(read_in(r, traps[i].in), GW_OK);
		assert_int_equal(write_as(r, GW_D_GEMINI, traps[i].model, 0), GW_OK);
		/* names that the hash makes */
		assert_true(strlen(traps[i].out) < 3000);
		memset(want, 0, sizeof(want));
		for (const char *p = traps[i].out; *p;) {
			at = want + strlen(want);
			if (!strncmp(p, "CALL1", 5)) {
				memcpy(at, id.p, id.n);
				p += 5;
			} else if (!strncmp(p, "GETW", 4) || !strncmp(p, "get_weather_3e1fb3dd", 20)) {
				memcpy(at, name.p, name.n);
				p += *p == 'G' ? 4 : 20;
			} else {
				*at = *p++;
			}
		}
		same_value(r, gw_buf_view(&r->out), want);
		same_text(dropped(r), traps[i].dropped);
	}
}

static void what_cannot_be_said_is_refused(void **state)
{
	struct room *r = *state;
	struct ir_block *b;

	assert_int_equal(read_in(r, "{" ONE_USER "}"), GW_OK);
	r->rq.sampling.n = (struct ir_i64){ true, 2 };
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", 0), GW_E_INVALID);
	same_text(r->param, "n");
	assert_int_equal(read_in(r, "{" ONE_USER "}"), GW_OK);
	b = ir_block_add(&r->a, &r->rq.messages->blocks, IR_AUDIO);
	assert_non_null(b);
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", 0), GW_E_INVALID);
	assert_int_equal(read_in(r, "{" ONE_USER "}"), GW_OK);
	b = ir_block_add(&r->a, &r->rq.messages->blocks, IR_IMAGE);
	assert_non_null(b);
	b->media = (struct ir_media){ .from = IR_FILE_ID, .data = GW_LIT("file-1") };
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", 0), GW_E_INVALID);
	b->media = (struct ir_media){ .from = IR_BASE64, .mime = GW_LIT("image/tiff"), .data = GW_LIT("AAAA") };
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", 0), GW_E_INVALID);
	assert_int_equal(read_in(r, "{\"messages\":[{\"role\":\"user\",\"content\":\" \"}]}"), GW_OK);
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", 0), GW_E_INVALID);
}

static void what_only_others_have_is_told(void **state)
{
	struct room *r = *state;
	struct ir_block *b;

	assert_int_equal(read_in(r, "{" ONE_USER "}"), GW_OK);
	r->rq.sampling.seed = (struct ir_i64){ true, 1 };
	r->rq.sampling.logprobs = IR_YES;
	r->rq.sampling.presence_penalty = (struct ir_f64){ true, 0 }; /* the default says nothing */
	r->rq.sampling.frequency_penalty = (struct ir_f64){ true, 0.5 };
	r->rq.cache_key = GW_LIT("k");
	r->rq.service_tier = GW_LIT("priority");
	r->rq.format.kind = IR_FORMAT_JSON;
	b = ir_block_add(&r->a, &r->rq.messages->blocks, IR_FILE); /* a text file that came as data */
	assert_non_null(b);
	b->media = (struct ir_media){ .mime = GW_LIT("text/csv"), .data = GW_LIT("YSxi"), .name = GW_LIT("t.csv") };
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", 0), GW_OK);
	same_text(dropped(r), "seed frequency_penalty logprobs prompt_cache_key service_tier");
	same_value(r, gw_buf_view(&r->out),
		   HEAD "\"system\":[{\"type\":\"text\",\"text\":\"Answer with one JSON object and nothing else: no "
			"other words, no code fence.\"}],"
			"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"},{\"type\":"
			"\"document\",\"source\":{\"type\":"
			"\"text\",\"media_type\":\"text/plain\",\"data\":\"a,b\"},\"title\":\"t.csv\"}]}]}");
}

static void a_schema_may_go_as_a_tool(void **state)
{
	struct room *r = *state;
	struct ir_reply rp = { 0 };

	assert_int_equal(
	    read_in(r, "{" ONE_USER
		       ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}},"
		       "\"thinking\":{\"type\":\"adaptive\"}}"),
	    GW_OK);
	assert_int_equal(write_as(r, GW_D_OPENAI, "m", GW_Q_NO_JSON_SCHEMA), GW_OK);
	same_value(r, gw_buf_view(&r->out),
		   HEAD "\"tools\":[{\"name\":\"json_answer\",\"description\":\"Call this with the whole "
			"answer.\",\"input_schema\":{\"type\":"
			"\"object\"}}],\"tool_choice\":{\"type\":\"any\"}," ONE_USER "}");
	same_text(dropped(r), "reasoning_effort");
	assert_true(r->carry.is_json_tool);
	assert_int_equal(
	    gw_anthropic.read_reply(
		&r->a,
		tree(r, "{\"content\":[{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"json_answer\",\"input\":"
			"{\"a\":[1]}}],\"stop_reason\":\"tool_use\"}"),
		&r->carry, &rp),
	    GW_OK);
	assert_int_equal(rp.choices->finish, IR_FINISH_STOP);
	assert_int_equal(rp.choices->blocks->kind, IR_TEXT);
	same_text(rp.choices->blocks->text, "{\"a\":[1]}");
}

static void long_lists_cost_no_more_than_short_ones(void **state)
{
	struct room *r = *state;
	struct gw_buf b;

	/* would take minutes if each block were searched its place from the front */
	gw_buf_init(&b, 32 << 20);
	gw_buf_puts(&b, GW_LIT("{\"messages\":[{\"role\":\"user\",\"content\":["));
	for (int i = 0; i < 100000; i++)
		gw_buf_printf(&b, "%s{\"type\":\"text\",\"text\":\"\"}", i ? "," : "");
	gw_buf_puts(&b, GW_LIT("]}]"));
	for (int i = 0; i < 100000; i++)
		gw_buf_printf(&b, ",\"x%d\":1", i);
	gw_buf_putc(&b, '}');
	assert_int_equal(read_in(r, gw_arena_z(&r->a, gw_buf_view(&b))), GW_OK);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_come_home_unchanged),
		T(wrong_types_are_told_by_place),
		T(each_trap_of_writing),
		T(what_cannot_be_said_is_refused),
		T(what_only_others_have_is_told),
		T(a_schema_may_go_as_a_tool),
		T(long_lists_cost_no_more_than_short_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
