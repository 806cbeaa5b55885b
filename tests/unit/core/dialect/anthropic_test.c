/* The Anthropic dialect: its home trip, each trap of writing for it, replies and streams both ways, errors, its other endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/anthropic/endpoints.h"
#include "core/error_body.h"
#include "core/provider.h"

struct room {
	struct gw_arena a;
	struct gw_carry carry;
	struct ir_request rq;
	struct gw_buf out;
	struct gw_str param, why;
};

static int set_up(void **state)
{
	static struct room r;

	r = (struct room){ 0 };
	gw_arena_init(&r.a, NULL, 0, 64 << 20);
	gw_buf_init(&r.out, 16 << 20);
	r.carry = (struct gw_carry){ .model = GW_LIT("alias"), .seed = 7, .wants_reasoning_text = true };
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	struct room *r = *state;

	gw_buf_done(&r->out);
	gw_arena_done(&r->a);
	return 0;
}

static const yyjson_val *tree(struct room *r, const char *text)
{
	const yyjson_val *root;

	if (gw_json_tree(&r->a, gw_str_z(text), NULL, &root, NULL))
		fail_msg("no JSON: %s", text);
	return root;
}

static void same_text(struct gw_str got, const char *want)
{
	if (!gw_str_eq(got, gw_str_z(want)))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static void same_value(struct room *r, struct gw_str got, const char *want)
{
	const yyjson_val *a = NULL;

	if (gw_json_tree(&r->a, gw_arena_str(&r->a, got), NULL, &a, NULL) ||
	    !yyjson_equals((yyjson_val *)(uintptr_t)a, (yyjson_val *)(uintptr_t)tree(r, want)))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static struct gw_str dropped(struct room *r)
{
	struct gw_str s = GW_LIT("");

	for (const struct ir_name *n = r->rq.dropped; n; n = n->next)
		s = gw_arena_printf(&r->a, "%.*s%s%.*s", GW_FMT(s), s.n ? " " : "", GW_FMT(n->name));
	return s;
}

static enum gw_err read_in(struct room *r, const char *text)
{
	r->rq = (struct ir_request){ .arena = &r->a };
	return gw_anthropic.read_request(&r->a, tree(r, text), &r->rq, &r->param, &r->why);
}

static enum gw_err write_as(struct room *r, enum gw_dialect_id source, const char *model, unsigned quirks)
{
	struct gw_write_opts o = {
		.model = gw_str_z(model), .quirks = quirks, .default_max_tokens = 4096, .carry = &r->carry
	};

	r->rq.source = source;
	gw_buf_clear(&r->out, 1 << 20);
	return gw_anthropic.write_request(&r->a, &r->rq, &o, &r->out, &r->param, &r->why);
}

/* ---- requests ---- */

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
#define HEAD     "{\"model\":\"m\",\"max_tokens\":4096,"
#define ONE_USER "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]"

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

/* ---- replies ---- */

static void a_reply_comes_home(void **state)
{
	static const char *const body = "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
					"\"alias\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"h\","
					"\"signature\":\"s\"},{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"server_"
					"tool_use\",\"id\":\"q\",\"name\":\"web_search\",\"input\":{}},"
					"{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"a\":1}}]"
					",\"stop_reason\":\"tool_use\",\"stop_sequence\":null,"
					"\"container\":null,\"usage\":{\"input_tokens\":10,\"cache_creation_input_"
					"tokens\":7,\"cache_read_input_tokens\":3,"
					"\"cache_creation\":{\"ephemeral_5m_input_tokens\":5,\"ephemeral_1h_input_"
					"tokens\":2},\"output_tokens\":8,\"output_tokens_details\":"
					"{\"thinking_tokens\":4},\"service_tier\":\"standard\"}}";
	struct room *r = *state;
	struct ir_reply rp = { 0 };

	assert_int_equal(gw_anthropic.read_reply(&r->a, tree(r, body), &r->carry, &rp), GW_OK);
	assert_int_equal(rp.usage.input, 20);
	assert_int_equal(rp.usage.output, 8);
	assert_int_equal(rp.usage.cache_read, 3);
	assert_int_equal(rp.usage.cache_write_5m, 5);
	assert_int_equal(rp.usage.cache_write_1h, 2);
	assert_int_equal(rp.usage.reasoning, 4);
	assert_int_equal(gw_anthropic.write_reply(&r->a, &rp, &r->carry, &r->out), GW_OK);
	same_value(r, gw_buf_view(&r->out), body);
}

static void replies_of_others_fit(void **state)
{
	struct room *r = *state;
	struct ir_reply rp = { .source = GW_D_OPENAI, .id = GW_LIT("chatcmpl-1") };
	struct ir_choice *c = ir_choice_add(&r->a, &rp, 0);
	struct ir_block *b = ir_block_add(&r->a, &c->blocks, IR_REASONING);

	b->text = GW_LIT("h");
	b->signature = GW_LIT("xyz");
	b->signature_of = GW_D_GEMINI;
	b = ir_block_add(&r->a, &c->blocks, IR_TOOL_CALL);
	b->name = GW_LIT("f"); /* no id, no arguments, and the provider said "stop" */
	c->finish = IR_FINISH_STOP;
	rp.usage = (struct gw_usage){ .is_known = true, .input = 9, .cache_read = 4, .output = 2 };
	assert_int_equal(gw_anthropic.write_reply(&r->a, &rp, &r->carry, &r->out), GW_OK);
	const yyjson_val *v = tree(r, gw_arena_z(&r->a, gw_buf_view(&r->out)));
	assert_true(gw_str_has_prefix(gw_json_str(gw_json_get(v, GW_LIT("id"))), GW_LIT("msg_")));
	same_text(gw_json_str(gw_json_get(v, GW_LIT("stop_reason"))), "tool_use");
	yyjson_val *content = gw_json_get(v, GW_LIT("content"));
	same_text(gw_json_str(gw_json_get(yyjson_arr_get(content, 0), GW_LIT("signature"))), "llmgw.gemini.xyz");
	assert_true(
	    gw_str_has_prefix(gw_json_str(gw_json_get(yyjson_arr_get(content, 1), GW_LIT("id"))), GW_LIT("toolu_")));
	assert_int_equal(yyjson_obj_size(gw_json_get(yyjson_arr_get(content, 1), GW_LIT("input"))), 0);
	assert_int_equal(yyjson_get_uint(gw_json_get(gw_json_get(v, GW_LIT("usage")), GW_LIT("input_tokens"))), 5);
}

static void refusals_keep_their_words(void **state)
{
	struct room *r = *state;
	struct ir_reply rp = { 0 };

	assert_int_equal(
	    gw_anthropic.read_reply(
		&r->a,
		tree(r, "{\"content\":[],\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\","
			"\"category\":\"cyber\",\"explanation\":\"no\"}}"),
		&r->carry, &rp),
	    GW_OK);
	assert_int_equal(rp.choices->finish, IR_FINISH_REFUSAL);
	assert_int_equal(rp.choices->blocks->kind, IR_REFUSAL);
	same_text(rp.choices->blocks->text, "no");
	assert_int_equal(gw_anthropic.write_reply(&r->a, &rp, &r->carry, &r->out), GW_OK);
	const yyjson_val *v = tree(r, gw_arena_z(&r->a, gw_buf_view(&r->out)));
	assert_int_equal(yyjson_arr_size(gw_json_get(v, GW_LIT("content"))), 0);
	same_text(gw_json_str(gw_json_get(gw_json_get(v, GW_LIT("stop_details")), GW_LIT("category"))), "cyber");
}

static void hostile_replies_do_no_harm(void **state)
{
	static const char *const bodies[] = {
		"{\"content\":[1,null,{},{\"type\":7},{\"type\":\"text\"},{\"type\":\"tool_use\",\"id\":[],\"name\":{},"
		"\"input\":\"x\"},"
		"{\"type\":\"tool_result\",\"content\":[{\"type\":\"tool_result\",\"content\":[{\"type\":\"text\"}]}]},"
		"{\"type\":\"image\",\"source\":3},{\"type\":\"thinking\"},{\"type\":\"redacted_thinking\"},{\"type\":"
		"\"document\"}],"
		"\"usage\":[1],\"stop_reason\":{},\"stop_sequence\":[],\"id\":1,\"model\":null}",
		"{\"content\":[],\"usage\":{\"input_tokens\":-5,\"output_tokens\":1e300,\"cache_read_input_tokens\":"
		"18446744073709551615,"
		"\"cache_creation\":7}}",
	};
	struct room *r = *state;
	struct ir_reply rp;

	for (size_t i = 0; i < 2; i++) {
		rp = (struct ir_reply){ 0 };
		gw_buf_clear(&r->out, 1 << 20);
		assert_int_equal(gw_anthropic.read_reply(&r->a, tree(r, bodies[i]), &r->carry, &rp), GW_OK);
		assert_int_equal(gw_anthropic.write_reply(&r->a, &rp, &r->carry, &r->out), GW_OK);
		tree(r, gw_arena_z(&r->a, gw_buf_view(&r->out)));
	}
	assert_int_equal(rp.usage.input, 1000000000); /* clamped */
	rp = (struct ir_reply){ 0 };
	assert_int_equal(gw_anthropic.read_reply(&r->a, tree(r, "{\"content\":\"x\"}"), &r->carry, &rp),
			 GW_E_UP_GARBLED);
	assert_int_equal(gw_anthropic.read_reply(&r->a, tree(r, "[]"), &r->carry, &rp), GW_E_UP_GARBLED);
}

/* ---- streams ---- */

struct log {
	struct gw_buf text;
	struct gw_stream_state out;
	struct gw_buf *frames;
};

static enum gw_err note(void *ctx, const struct ir_event *ev)
{
	static const char *const kinds[] = { "START",  "OPEN",  "DELTA", "CLOSE", "LOGPROBS",
					     "FINISH", "USAGE", "PING",  "ERROR", "END" };
	struct log *l = ctx;

	gw_buf_printf(&l->text, "%s", kinds[ev->kind]);
	if (ev->kind == IR_EV_BLOCK_START)
		gw_buf_printf(&l->text, "%u:%d", ev->block, (int)ev->start.kind);
	if (ev->kind == IR_EV_DELTA)
		gw_buf_printf(&l->text, "%u:%d=%.*s", ev->block, (int)ev->delta, GW_FMT(ev->text));
	if (ev->kind == IR_EV_BLOCK_STOP)
		gw_buf_printf(&l->text, "%u", ev->block);
	if (ev->kind == IR_EV_FINISH)
		gw_buf_printf(&l->text, "%d", (int)ev->finish);
	if (ev->kind == IR_EV_USAGE || ev->kind == IR_EV_END)
		gw_buf_printf(&l->text, "%d/%d", (int)ev->usage.input, (int)ev->usage.output);
	if (ev->kind == IR_EV_ERROR)
		gw_buf_printf(&l->text, "%d", ev->error_status);
	gw_buf_putc(&l->text, ' ');
	return l->frames ? gw_anthropic.write_event(&l->out, ev, l->frames) : GW_OK;
}

/* Frames are data lines; "!" alone: the connection ends. */
static enum gw_err feed(struct room *r, struct log *l, const char *const *frames)
{
	struct gw_stream_state st = { &gw_anthropic, &r->a, &r->a, &r->carry,
				      gw_alloc(&r->a, gw_anthropic.reader_bytes) };
	enum gw_err e = GW_OK;

	l->out = (struct gw_stream_state){ &gw_anthropic, &r->a, &r->a, &r->carry,
					   gw_alloc(&r->a, gw_anthropic.writer_bytes) };
	gw_buf_init(&l->text, 1 << 20);
	for (; !e && *frames; frames++)
		e = gw_anthropic.read_event(&st, &(struct gw_frame){ .data = gw_str_z(*frames) }, note, l);
	return e ? e : gw_anthropic.read_end(&st, note, l);
}

#define START_                                                                                                         \
	"{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}" \
	"}}"
#define OPEN_(i, block) "{\"type\":\"content_block_start\",\"index\":" i ",\"content_block\":" block "}"
#define DELTA_(i, d)    "{\"type\":\"content_block_delta\",\"index\":" i ",\"delta\":" d "}"
#define CLOSE_(i)       "{\"type\":\"content_block_stop\",\"index\":" i "}"
#define DONE_(why)                                                                                                     \
	"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" why "\"},\"usage\":{\"output_tokens\":9}}"
#define STOP_ "{\"type\":\"message_stop\"}"

static void streams_are_understood(void **state)
{
	static const struct {
		const char *frames[12], *log;
		enum gw_err err;
	} cases[] = {
		{ { "{\"type\":\"ping\"}", START_, OPEN_("0", "{\"type\":\"text\",\"text\":\"\"}"),
		    "{\"type\":\"ping\"}", DELTA_("0", "{\"type\":\"text_delta\",\"text\":\"hi\"}"), CLOSE_("0"),
		    DONE_("end_turn"), STOP_, DONE_("max_tokens") },
		  "START USAGE5/1 OPEN0:0 PING DELTA0:0=hi CLOSE0 USAGE5/9 FINISH1 END5/9 ",
		  GW_OK },
		/* a call without arguments; input:{} is a placeholder */
		{ { START_, OPEN_("3", "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}"),
		    DELTA_("3", "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}"), CLOSE_("3"),
		    DONE_("tool_use"), STOP_ },
		  "START USAGE5/1 OPEN0:7 DELTA0:1={} CLOSE0 USAGE5/9 FINISH4 END5/9 ",
		  GW_OK },
		{ { START_, OPEN_("0", "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{\"x\":1}}"),
		    DELTA_("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}"), CLOSE_("0"),
		    DONE_("tool_use"), STOP_ },
		  "START USAGE5/1 OPEN0:7 DELTA0:1={\"x\":1} CLOSE0 USAGE5/9 FINISH4 END5/9 ",
		  GW_OK },
		/* thinking with its proof, redacted whole; deltas of the wrong kind or place are passed over */
		{ {
		      START_,
		      OPEN_("0", "{\"type\":\"thinking\",\"thinking\":\"\"}"),
		      DELTA_("0", "{\"type\":\"thinking_delta\",\"thinking\":\"h\"}"),
		      DELTA_("0", "{\"type\":\"text_delta\",\"text\":\"x\"}"),
		      DELTA_("0", "{\"type\":\"signature_delta\",\"signature\":\"s\"}"),
		      CLOSE_("0"),
		      OPEN_("1", "{\"type\":\"redacted_thinking\",\"data\":\"d\"}"),
		      DELTA_("9", "{\"type\":\"input_json_delta\"}"),
		      CLOSE_("1"),
		      CLOSE_("1"),
		      DONE_("end_turn"),
		  },
		  "START USAGE5/1 OPEN0:2 DELTA0:0=h DELTA0:2=s CLOSE0 OPEN1:2 CLOSE1 USAGE5/9 FINISH1 END5/9 ",
		  GW_OK },
		/* the same beginning twice; another message spliced in */
		{ { START_, OPEN_("0", "{\"type\":\"text\",\"text\":\"a\"}"), START_,
		    DELTA_("0", "{\"type\":\"text_delta\",\"text\":\"b\"}"),
		    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_2\"}}",
		    OPEN_("0", "{\"type\":\"text\",\"text\":\"c\"}"), CLOSE_("0"), DONE_("end_turn"), STOP_ },
		  "START USAGE5/1 OPEN0:0 DELTA0:0=a USAGE5/1 DELTA0:0=b CLOSE0 USAGE5/1 OPEN1:0 DELTA1:0=c CLOSE1 "
		  "USAGE5/9 FINISH1 END5/9 ",
		  GW_OK },
		/* refusals with words; text that never began; no reason before the end */
		{ { START_,
		    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{"
		    "\"explanation\":\"no\"}}}",
		    STOP_ },
		  "START USAGE5/1 USAGE5/1 OPEN0:1 DELTA0:0=no CLOSE0 FINISH6 END5/1 ",
		  GW_OK },
		{ { DELTA_("0", "{\"type\":\"text_delta\",\"text\":\"x\"}"), STOP_, "[DONE]" },
		  "START OPEN0:0 DELTA0:0=x CLOSE0 FINISH1 END0/0 ",
		  GW_OK },
		{ { START_, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}", STOP_ },
		  "START USAGE5/1 ERROR529 ",
		  GW_OK },
		{ { START_, OPEN_("0", "{\"type\":\"text\",\"text\":\"a\"}") },
		  "START USAGE5/1 OPEN0:0 DELTA0:0=a ",
		  GW_E_UP_CUT },
		{ { START_, "{\"type\":" }, "START USAGE5/1 ", GW_E_UP_GARBLED },
		{ { "7", "null", "{\"type\":[]}", OPEN_("\"x\"", "7"), OPEN_("0", "{\"type\":\"image\"}"),
		    DELTA_("0", "[]"), "{\"type\":\"message_delta\",\"delta\":3,\"usage\":[]}",
		    "{\"type\":\"message_start\",\"message\":4}", STOP_ },
		  "START OPEN0:9 CLOSE0 FINISH1 END0/0 ",
		  GW_OK },
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log l = { 0 };

		assert_int_equal(feed(r, &l, cases[i].frames), cases[i].err);
		same_text(gw_buf_view(&l.text), cases[i].log);
		gw_buf_done(&l.text);
	}
}

static void too_many_open_blocks_are_garbage(void **state)
{
	struct room *r = *state;
	const char *frames[24] = { START_ };
	struct log l = { 0 };

	for (int i = 1; i < 20; i++)
		frames[i] = gw_arena_z(&r->a, gw_arena_printf(&r->a, OPEN_("%d", "{\"type\":\"text\"}"), i));
	assert_int_equal(feed(r, &l, frames), GW_E_UP_GARBLED);
	gw_buf_done(&l.text);
}

static void streams_are_written(void **state)
{
	static const char *const frames[] = {
		START_,
		OPEN_("0", "{\"type\":\"thinking\",\"thinking\":\"\"}"),
		DELTA_("0", "{\"type\":\"signature_delta\",\"signature\":\"s\"}"),
		CLOSE_("0"),
		OPEN_("1", "{\"type\":\"text\",\"text\":\"\"}"),
		DELTA_("1", "{\"type\":\"text_delta\",\"text\":\"a\\\"b\"}"),
		CLOSE_("1"),
		OPEN_("2", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}"),
		DELTA_("2", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"x\\\":1}\"}"),
		CLOSE_("2"),
		DONE_("tool_use"),
		"{\"type\":\"ping\"}",
		STOP_,
		NULL
	};
	struct room *r = *state;
	struct log l = { .frames = &r->out };

	assert_int_equal(feed(r, &l, frames), GW_OK);
	same_text(
	    gw_buf_view(&r->out),
	    "event: message_start\ndata: "
	    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
	    "\"model\":\"alias\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_"
	    "tokens\":0,"
	    "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n"
	    "event: content_block_start\ndata: "
	    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\","
	    "\"thinking\":\"\",\"signature\":\"\"}}\n\n"
	    "event: content_block_delta\ndata: "
	    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
	    "\"signature\":\"s\"}}\n\n"
	    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
	    "event: content_block_start\ndata: "
	    "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
	    "event: content_block_delta\ndata: "
	    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":"
	    "\"a\\\"b\"}}\n\n"
	    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
	    "event: content_block_start\ndata: "
	    "{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\","
	    "\"name\":\"f\",\"input\":{}}}\n\n"
	    "event: content_block_delta\ndata: "
	    "{\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\","
	    "\"partial_json\":\"{\\\"x\\\":1}\"}}\n\n"
	    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
	    "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	    "event: message_delta\ndata: "
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":"
	    "{\"input_tokens\":5,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":9,"
	    "\"service_tier\":"
	    "\"standard\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
	gw_buf_done(&l.text);
}

/* ---- errors and other endpoints ---- */

static void errors_have_this_dialects_words(void **state)
{
	static const struct {
		enum gw_err err;
		const char *type;
	} cases[] = {
		{ GW_E_UP_LIMIT, "rate_limit_error" },       { GW_E_UP_OVERLOADED, "overloaded_error" },
		{ GW_E_BAD_KEY, "authentication_error" },    { GW_E_MODEL_DENIED, "permission_error" },
		{ GW_E_MODEL_NOT_FOUND, "not_found_error" }, { GW_E_TOO_BIG, "request_too_large" },
		{ GW_E_UP_TIMEOUT, "timeout_error" },        { GW_E_UP_SERVER, "api_error" },
		{ GW_E_INVALID, "invalid_request_error" },   { GW_E_UP_BILLING, "billing_error" },
	};
	struct room *r = *state;
	struct gw_error_told t;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		gw_buf_clear(&r->out, 1 << 20);
		gw_error_tell(&t, cases[i].err, GW_LIT("m"), GW_NIL, GW_LIT("rid"));
		gw_anthropic.write_error(&t, &r->out);
		const yyjson_val *v = tree(r, gw_arena_z(&r->a, gw_buf_view(&r->out)));
		same_text(gw_json_str(gw_json_get(gw_json_get(v, GW_LIT("error")), GW_LIT("type"))), cases[i].type);
	}
	gw_buf_clear(&r->out, 1 << 20);
	gw_error_tell(&t, GW_E_UP_CONTEXT, GW_LIT("maximum context length is 5"), GW_NIL, GW_LIT("rid"));
	gw_anthropic.write_error_event(&t, &r->carry, &r->out);
	same_text(gw_buf_view(&r->out),
		  "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
		  "\"prompt is too long: maximum context length is 5\"},\"request_id\":\"rid\"}\n\n");
}

static void other_endpoints(void **state)
{
	struct room *r = *state;
	struct gw_write_opts o = { .model = GW_LIT("up"), .default_max_tokens = 4096, .carry = &r->carry };
	const struct anthropic_model models[] = { { GW_LIT("claude-a"), GW_LIT("A"), 0 },
						  { GW_LIT("b"), GW_NIL, 86400 } };
	uint64_t n = 0;

	assert_int_equal(
	    read_in(r,
		    "{\"model\":\"x\",\"max_tokens\":5,\"temperature\":0.5,\"stream\":true,\"system\":\"s\"," ONE_USER
		    "}"),
	    GW_OK);
	assert_int_equal(anthropic_count_write(&r->a, &r->rq, &o, &r->out, &r->param, &r->why), GW_OK);
	same_value(r, gw_buf_view(&r->out), "{\"model\":\"up\",\"system\":\"s\"," ONE_USER "}");
	assert_true(anthropic_count_read(tree(r, "{\"input_tokens\":14}"), &n));
	assert_int_equal(n, 14);
	assert_false(anthropic_count_read(tree(r, "{\"input_tokens\":\"14\"}"), &n));
	gw_buf_clear(&r->out, 1 << 20);
	anthropic_count_reply(3, &r->out);
	same_text(gw_buf_view(&r->out), "{\"input_tokens\":3}");
	gw_buf_clear(&r->out, 1 << 20);
	anthropic_models_write(models, 2, &r->out);
	same_value(r, gw_buf_view(&r->out),
		   "{\"data\":[{\"type\":\"model\",\"id\":\"claude-a\",\"display_name\":\"A\",\"created_at\":\"1970-01-"
		   "01T00:00:00.000Z\"},"
		   "{\"type\":\"model\",\"id\":\"b\",\"display_name\":\"b\",\"created_at\":\"1970-01-02T00:00:00."
		   "000Z\"}],\"has_more\":false,"
		   "\"first_id\":\"claude-a\",\"last_id\":\"b\"}");
	gw_buf_clear(&r->out, 1 << 20);
	anthropic_models_write(NULL, 0, &r->out);
	same_value(r, gw_buf_view(&r->out), "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
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

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_come_home_unchanged),
		T(wrong_types_are_told_by_place),
		T(each_trap_of_writing),
		T(what_cannot_be_said_is_refused),
		T(what_only_others_have_is_told),
		T(a_schema_may_go_as_a_tool),
		T(a_reply_comes_home),
		T(replies_of_others_fit),
		T(refusals_keep_their_words),
		T(hostile_replies_do_no_harm),
		T(streams_are_understood),
		T(too_many_open_blocks_are_garbage),
		T(streams_are_written),
		T(errors_have_this_dialects_words),
		T(other_endpoints),
		T(long_lists_cost_no_more_than_short_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
