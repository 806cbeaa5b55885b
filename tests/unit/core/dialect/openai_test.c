/* Chat completions: home trips, traps of the vendors' replies, wrong types, quirks. Each row is one trap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/translate.h"
#include "core/error_body.h"
#include "core/provider.h"

static struct gw_carry carry = {
	.model = { "m", 1 }, .seed = 7, .now_s = 1700000000, .wants_usage = true, .wants_reasoning_text = true
};

struct result {
	struct gw_arena a, keep;
	struct gw_buf body;
	struct gw_translate_out out;
	enum gw_err err;
};

/* `source` other than openai: as if another dialect had read it (its spelling is forgotten). */
static void ask(struct result *r, const char *body, uint64_t quirks, bool is_foreign)
{
	const yyjson_val *root;
	struct ir_request rq = { .source = GW_D_OPENAI };
	struct gw_write_opts o = { .model = GW_LIT("up"), .quirks = quirks, .carry = &carry };

	gw_arena_init(&r->a, NULL, 0, 1 << 20);
	gw_arena_init(&r->keep, NULL, 0, 1 << 16);
	gw_buf_init(&r->body, 1 << 20);
	carry.names = NULL;
	carry.keep = &r->keep;
	r->out = (struct gw_translate_out){ .body = &r->body };
	rq.arena = &r->a;
	assert_int_equal(gw_json_tree(&r->a, gw_str_z(body), NULL, &root, NULL), GW_OK);
	r->err = gw_openai.read_request(&r->a, root, &rq, &r->out.param, &r->out.why);
	if (!r->err && is_foreign)
		rq.source = GW_D_ANTHROPIC;
	if (!r->err)
		r->err = gw_openai.write_request(&r->a, &rq, &o, &r->body, &r->out.param, &r->out.why);
	gw_buf_putc(&r->body, '\0');
	for (const struct ir_name *n = rq.dropped; n && !r->err; n = n->next)
		r->out.dropped = n->name; /* the last one */
}

static void done(struct result *r)
{
	carry.names = NULL;
	carry.keep = NULL;
	gw_buf_done(&r->body);
	gw_arena_done(&r->a);
	gw_arena_done(&r->keep);
}

static bool same(yyjson_val *a, yyjson_val *b)
{
	size_t i, max;
	yyjson_val *k, *v;

	if (yyjson_is_num(a) && yyjson_is_num(b))
		return yyjson_get_num(a) == yyjson_get_num(b);
	if (yyjson_get_type(a) != yyjson_get_type(b))
		return false;
	if (yyjson_is_obj(a)) {
		yyjson_obj_foreach(a, i, max, k, v)
		{
			if (!yyjson_obj_getn(b, yyjson_get_str(k), yyjson_get_len(k)) ||
			    !same(v, yyjson_obj_getn(b, yyjson_get_str(k), yyjson_get_len(k))))
				return false;
		}
		return yyjson_obj_size(a) == yyjson_obj_size(b);
	}
	if (yyjson_is_arr(a)) {
		yyjson_arr_foreach(a, i, max, v)
		{
			if (!same(v, yyjson_arr_get(b, i)))
				return false;
		}
		return yyjson_arr_size(a) == yyjson_arr_size(b);
	}
	return yyjson_equals(a, b);
}

#define U "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
static const char *const bodies[] = {
	"{\"model\":\"up\"," U "}",
	"{\"model\":\"up\"," U
	",\"stream\":false,\"temperature\":null,\"stop\":\"x\",\"max_tokens\":5,\"n\":1,\"seed\":-3}",
	"{\"model\":\"up\"," U
	",\"max_tokens\":5,\"max_completion_tokens\":6,\"stop\":[],\"top_k\":3,\"logit_bias\":{\"1\":2}}",
	"{\"model\":\"up\"," U
	",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}}",
	"{\"model\":\"up\"," U
	",\"user\":\"a\",\"safety_identifier\":\"b\",\"metadata\":{\"k\":\"v\"},\"vendor\":{\"x\":[1]}}",
	"{\"model\":\"up\"," U ",\"safety_identifier\":\"b\",\"reasoning_effort\":\"high\",\"thinking\":{"
	"\"type\":\"enabled\",\"keep\":1}}",
	"{\"model\":\"up\"," U
	",\"reasoning\":{\"effort\":\"low\",\"max_tokens\":9,\"enabled\":true,\"exclude\":false}}",
	"{\"model\":\"up\"," U
	",\"reasoning_effort\":\"default\",\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\"}",
	"{\"model\":\"up\"," U
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":null,\"x\":1,"
	"\"parameters\":{\"type\":\"object\"},\"strict\":true},\"cache_control\":{\"type\":\"ephemeral\","
	"\"ttl\":\"5m\"},\"y\":2},"
	"{\"type\":\"web\",\"z\":1},{\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"format\":{\"type\":"
	"\"text\"}}}],"
	"\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
	"{\"model\":\"up\"," U ",\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"any\"}",
	"{\"model\":\"up\"," U
	",\"tools\":[],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\","
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}}",
	"{\"model\":\"up\"," U
	",\"functions\":[{\"name\":\"f\",\"parameters\":{}}],\"function_call\":{\"name\":\"f\"}}",
	"{\"model\":\"up\"," U
	",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{},"
	"\"strict\":null,\"q\":1}}}",
	"{\"model\":\"up\"," U ",\"response_format\":{\"type\":\"grammar\",\"value\":\"x\"}}",
	"{\"model\":\"up\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"\"}"
	"]},"
	"{\"role\":\"user\",\"name\":\"n\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{"
	"\"type\":\"ephemeral\"}},"
	"{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpg;base64,AA==\",\"detail\":\"low\"}},"
	"{\"type\":\"image_url\",\"image_url\":\"https://a.example/"
	"b.png\"},{\"type\":\"document_url\",\"document_url\":\"https://a.example\"},"
	"{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}},{\"type\":\"file\","
	"\"file\":{\"file_id\":\"f\"}},"
	"{\"type\":\"new_part\",\"v\":1},{\"type\":\"text\",\"text\":\"b\",\"prompt_cache_breakpoint\":{"
	"\"mode\":\"explicit\"}}]}]}",
	"{\"model\":\"up\",\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
	"\"c\",\"type\":\"function\","
	"\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"\"},\"extra_content\":{\"google\":{\"thought_"
	"signature\":\"s\"}}},"
	"{\"id\":\"d\",\"type\":\"custom\",\"custom\":{\"name\":\"g\",\"input\":\"x\"}}],\"refusal\":null,"
	"\"audio\":{\"id\":\"q\"}},"
	"{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"r\"}]},"
	"{\"role\":\"tool\",\"tool_call_id\":\"d\",\"content\":\"\",\"name\":\"g\"}]}",
	"{\"model\":\"up\",\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"function_call\":{\"name\":"
	"\"f\",\"arguments\":\"{}\"}},"
	"{\"role\":\"function\",\"name\":\"f\",\"content\":null}]}",
	"{\"model\":\"up\",\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[],"
	"\"reasoning_content\":\"ab\","
	"\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"a\",\"signature\":\"s\"},{\"type\":"
	"\"thinking\",\"thinking\":\"b\"},"
	"{\"type\":\"redacted_thinking\",\"data\":\"z\"}]}]}",
	"{\"model\":\"up\",\"messages\":[{\"role\":\"assistant\",\"refusal\":\"no\",\"reasoning\":\"r\","
	"\"reasoning_details\":["
	"{\"type\":\"reasoning.text\",\"text\":\"r\",\"format\":\"anthropic-claude-v1\",\"index\":0,"
	"\"signature\":\"s\"}]}]}",
	"{\"model\":\"up\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
	"\"thinking\":[{\"type\":\"text\","
	"\"text\":\"t\"}],\"closed\":true},{\"type\":\"text\",\"text\":\"u\"},{\"type\":\"refusal\","
	"\"refusal\":\"v\"}],\"prefix\":false}]}",
};

static void requests_come_home(void **state)
{

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const yyjson_val *want, *got;
		struct result r;

		ask(&r, bodies[i], 0, false);
		if (r.err)
			fail_msg("%zu: %.*s: %.*s", i, GW_FMT(r.out.param), GW_FMT(r.out.why));
		assert_int_equal(gw_json_tree(&r.a, gw_str_z(bodies[i]), NULL, &want, NULL), GW_OK);
		assert_int_equal(gw_json_tree(&r.a, gw_str_z(r.body.p), NULL, &got, NULL), GW_OK);
		if (!same((yyjson_val *)(uintptr_t)want, (yyjson_val *)(uintptr_t)got))
			fail_msg("%zu:\n%s\n%s", i, bodies[i], r.body.p);
		done(&r);
	}
}

static void wrong_types_are_told_with_their_place(void **state)
{
	static const struct {
		const char *body, *param;
		enum gw_err err;
	} rows[] = {
		{ "{}", "messages", GW_E_MISSING },
		{ "{\"messages\":{}}", "messages", GW_E_INVALID },
		{ "{\"messages\":[1]}", "messages[0]", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"robot\"}]}", "messages[0].role", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":3}]}", "messages[0].content", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}]}", "messages[0].content[0].type",
		  GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":1}]}]}",
		  "messages[0].content[0].text", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]}",
		  "messages[0].content[0].image_url", GW_E_INVALID },
		{ "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id", GW_E_MISSING },
		{ "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{"
		  "}}}]}]}",
		  "messages[0].tool_calls[0].function.arguments", GW_E_INVALID },
		{ "{" U ",\"stop\":[1]}", "stop[0]", GW_E_INVALID },
		{ "{" U ",\"n\":1.5}", "n", GW_E_INVALID },
		{ "{" U ",\"temperature\":\"hot\"}", "temperature", GW_E_INVALID },
		{ "{" U ",\"max_tokens\":\"5\"}", "max_tokens", GW_E_INVALID },
		{ "{" U ",\"stream\":1}", "stream", GW_E_INVALID },
		{ "{" U ",\"stream_options\":{\"include_usage\":1}}", "stream_options.include_usage", GW_E_INVALID },
		{ "{" U ",\"tools\":[{\"type\":\"function\",\"function\":{}}]}", "tools[0].function.name",
		  GW_E_MISSING },
		{ "{" U ",\"tool_choice\":\"maybe\"}", "tool_choice", GW_E_INVALID },
		{ "{" U ",\"response_format\":\"json\"}", "response_format", GW_E_INVALID },
		{ "{" U ",\"user\":5}", "user", GW_E_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r;

		ask(&r, rows[i].body, 0, false);
		if (r.err != rows[i].err || !gw_str_eq(r.out.param, gw_str_z(rows[i].param)) || !r.out.why.n)
			fail_msg("%s: %d at %.*s", rows[i].body, r.err, GW_FMT(r.out.param));
		done(&r);
	}
}

#define CALLS                                                                                                          \
	"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"toolu_0123456789\",\"type\":\"function\"," \
	"\"function\":"                                                                                                \
	"{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"toolu_0123456789\","           \
	"\"content\":\"r\"}"
/* has: what the body must contain; hasnt: what not; dropped: the last name that was noted. */
static void quirks_and_other_dialects(void **state)
{
	static const struct {
		const char *body;
		uint64_t quirks;
		const char *has, *hasnt, *dropped;
	} rows[] = {
		{ "{" U ",\"max_completion_tokens\":5}", GW_Q_MAX_TOKENS, "\"max_tokens\":5", "max_completion", NULL },
		{ "{" U ",\"max_tokens\":5}", 0, "\"max_completion_tokens\":5", "\"max_tokens\"", NULL },
		{ "{" U ",\"seed\":5}", GW_Q_RANDOM_SEED, "\"random_seed\":5", "\"seed\"", NULL },
		{ "{" U ",\"stream\":true}", GW_Q_NO_STREAM_OPTIONS, "\"stream\":true", "stream_options", NULL },
		{ "{" U ",\"stream\":true}", 0, "\"include_usage\":true", NULL, NULL },
		{ "{\"messages\":[" CALLS "]}", GW_Q_TOOL_ID_9, "\"tool_call_id\":\"", "toolu_", NULL },
		{ "{" U ",\"logprobs\":true}", GW_Q_NO_LOGPROBS, "\"model\":\"up\"", "\"logprobs\"", "logprobs" },
		{ "{" U
		  ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\"}",
		  GW_Q_CHOICE_ANY, "\"tool_choice\":\"any\"", NULL, NULL },
		{ "{" U
		  ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\"}",
		  GW_Q_NO_TOOL_CHOICE, "\"tools\"", "tool_choice", "tool_choice" },
		{ "{" U ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false}", 0, "\"model\"", "parallel",
		  "tool_choice" },
		{ "{\"messages\":[{\"role\":\"user\",\"name\":\"bo\",\"content\":\"x\"}]}", GW_Q_NO_NAMES, "\"x\"",
		  "\"bo\"", "messages[].name" },
		{ "{" U ",\"user\":\"bo\"}", GW_Q_STRICT_FIELDS, "\"hi\"", "\"bo\"", "user" },
		{ "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"deep\"}]}",
		  GW_Q_REASONING_BACK, "\"reasoning_content\":\"deep\"", NULL, NULL },
		{ "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"deep\"}]}",
		  GW_Q_REASONING_BACK | GW_Q_REASONING_WORD, "\"reasoning\":\"deep\"", NULL, NULL },
		{ "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"deep\"}]}", 0,
		  "\"x\"", "deep", "messages[].thinking" },
		{ "{" U ",\"top_k\":4}", GW_Q_TOP_K, "\"top_k\":4", NULL, NULL },
		{ "{" U ",\"top_k\":4}", 0, "\"hi\"", "top_k", "top_k" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{"
		  "\"type\":\"ephemeral\"}}]}]}",
		  GW_Q_CACHE_CONTROL, "\"cache_control\":{\"type\":\"ephemeral\"}", NULL, NULL },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{"
		  "\"type\":\"ephemeral\"}}]}]}",
		  0, "\"content\":\"x\"", "ephemeral", "cache_control" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a1\"},{\"role\":\"user\",\"content\":\"b2\"}]}",
		  GW_Q_ALTERNATE, "[{\"type\":\"text\",\"text\":\"a1\"},{\"type\":\"text\",\"text\":\"b2\"}]", NULL,
		  NULL },
		{ "{\"messages\":[" CALLS "]}", GW_Q_TOOL_NAME, "\"name\":\"f\",\"content\":\"r\"", NULL, NULL },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"Well\"}]"
		  "}",
		  GW_Q_PREFIX, "\"prefix\":true", NULL, NULL },
		{ "{" U ",\"reasoning_effort\":\"low\"}", GW_Q_NO_EFFORT, "\"hi\"", "reasoning_effort",
		  "reasoning_effort" },
		{ "{" U
		  ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{}}}}",
		  GW_Q_JSON_OBJECT, "{\"type\":\"json_object\"}", "schema", "response_format.json_schema" },
		{ "{" U
		  ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"parallel_tool_calls\":false}",
		  GW_Q_NO_PARALLEL, "\"tools\"", "parallel", "parallel_tool_calls" },
		{ "{" U ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a.b\"}}]}", 0, "\"name\":\"a_b_",
		  "a.b", NULL },
		{ "{" U ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", 0, "[\"1\",\"2\",\"3\",\"4\"]", NULL,
		  "stop (more than 4)" },
		{ "{" U ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}}", 0,
		  "\"reasoning_effort\":\"low\"", NULL, NULL },
		{ "{" U ",\"service_tier\":\"standard_only\"}", 0, "\"hi\"", "service_tier", "service_tier" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r;

		ask(&r, rows[i].body, rows[i].quirks, true);
		if (r.err || !strstr(r.body.p, rows[i].has) || (rows[i].hasnt && strstr(r.body.p, rows[i].hasnt)))
			fail_msg("%zu %s: %d\n%s", i, rows[i].body, r.err, r.body.p);
		if (rows[i].dropped && !gw_str_eq(r.out.dropped, gw_str_z(rows[i].dropped)))
			fail_msg("%zu: dropped %.*s, not %s", i, GW_FMT(r.out.dropped), rows[i].dropped);
		done(&r);
	}
}

static void what_cannot_be_said_is_refused(void **state)
{
	static const struct {
		const char *body;
		uint64_t quirks;
	} rows[] = {
		{ "{" U ",\"n\":2}", GW_Q_N_ONE },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
		  "\"https://a.example\"}}]}]}",
		  GW_Q_DATA_IMAGES },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document_url\",\"document_url\":\"https:/"
		  "/a.example\"}]}]}",
		  0 },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"
		  "]}]}",
		  0 },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video_url\",\"video_url\":{\"url\":"
		  "\"https://a.example\"}}]}]}",
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r;

		ask(&r, rows[i].body, rows[i].quirks, true);
		assert_int_equal(r.err, GW_E_INVALID);
		assert_true(r.out.param.n && r.out.why.n);
		done(&r);
	}
}

static void a_changed_name_comes_back(void **state)
{
	struct result r;
	const yyjson_val *root;
	struct ir_reply rp = { .source = GW_D_OPENAI };
	char reply[400];

	(void)state;
	ask(&r, "{" U ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"mcp.get\"}}]}", 0, true);
	assert_non_null(carry.names);
	snprintf(reply, sizeof(reply),
		 "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"%.*s\",\"arguments\":{\"a\":1}}"
		 "}]}}]}",
		 GW_FMT(carry.names->theirs));
	assert_int_equal(gw_json_tree(&r.a, gw_str_z(reply), NULL, &root, NULL), GW_OK);
	assert_int_equal(gw_openai.read_reply(&r.a, root, &carry, &rp), GW_OK);
	assert_true(gw_str_eq(rp.choices->blocks->name, GW_LIT("mcp.get")));
	assert_true(gw_str_eq(rp.choices->blocks->args, GW_LIT("{\"a\":1}"))); /* an object becomes its text */
	assert_true(rp.choices->blocks->id.n > 5); /* there was none */
	assert_int_equal(rp.choices->finish, IR_FINISH_TOOL_CALLS);
	done(&r);
}

static void replies_of_vendors(void **state)
{
	static const struct {
		const char *in, *has;
	} rows[] = {
		{ "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
		  "\"text\":\"hm\"}]},"
		  "{\"type\":\"text\",\"text\":\"yes\"}]},\"finish_reason\":\"model_length\"}]}",
		  "\"content\":\"yes\",\"refusal\":null,\"reasoning_content\":\"hm\"}" },
		{ "{\"choices\":[{\"message\":{\"content\":\"x\",\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"}}]}",
		  "\"reasoning_content\":\"hm\"" },
		{ "{\"choices\":[{\"message\":{\"content\":\"x\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
		  "\"text\":\"hm\","
		  "\"signature\":\"s\",\"format\":\"anthropic-claude-v1\"}]}}]}",
		  "\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\","
		  "\"signature_of\":\"anthropic\"}]" },
		{ "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}",
		  "\"content\":null,\"refusal\":\"no\"" },
		{ "{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":\"content_filter\"}]}",
		  "\"finish_reason\":\"content_filter\"" },
		{ "{\"citations\":[\"https://a.example\"],\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
		  "\"url\":\"https://a.example\"" },
		{ "{\"service_tier\":\"on_demand\",\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
		  "\"service_tier\":\"default\"" },
		{ "{\"usage\":{\"prompt_tokens\":307,\"completion_tokens\":26,\"total_tokens\":588,\"completion_tokens_"
		  "details\":"
		  "{\"reasoning_tokens\":255}},\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
		  "\"completion_tokens\":281,\"total_tokens\":588" },
		{ "{\"choices\":[{\"index\":\"no\",\"message\":[],\"finish_reason\":7,\"logprobs\":1}],\"usage\":[],"
		  "\"id\":{}}",
		  "\"content\":\"\"" },
	};
	static const char *const bad[] = { "{}", "{\"choices\":[]}", "{\"choices\":{}}", "{\"choices\":[1]}",
					   "{\"error\":\"x\"}" };
	struct gw_arena a;
	struct gw_buf out;
	struct gw_told told;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gw_arena_init(&a, NULL, 0, 1 << 20);
		gw_buf_init(&out, 1 << 20);
		assert_int_equal(
		    gw_translate_reply(&a, &gw_openai, &gw_openai, &carry, gw_str_z(rows[i].in), &out, &told), GW_OK);
		gw_buf_putc(&out, '\0');
		if (!strstr(out.p, rows[i].has))
			fail_msg("%zu: %s", i, out.p);
		gw_buf_done(&out);
		gw_arena_done(&a);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gw_arena_init(&a, NULL, 0, 1 << 20);
		gw_buf_init(&out, 1 << 20);
		assert_int_equal(gw_translate_reply(&a, &gw_openai, &gw_openai, &carry, gw_str_z(bad[i]), &out, &told),
				 GW_E_UP_GARBLED);
		gw_buf_done(&out);
		gw_arena_done(&a);
	}
}

static void errors_have_their_shape(void **state)
{
	struct gw_error_told told;
	struct gw_buf b;

	(void)state;
	gw_error_tell(&told, GW_E_INVALID, GW_LIT("no"), GW_LIT("n"), GW_NIL);
	gw_buf_init(&b, 4096);
	gw_openai.write_error_event(&told, &carry, &b);
	gw_buf_putc(&b, '\0');
	assert_string_equal(b.p,
			    "data: {\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":\"n\","
			    "\"code\":\"invalid_value\"}}\n\n");
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_home),        cmocka_unit_test(wrong_types_are_told_with_their_place),
		cmocka_unit_test(quirks_and_other_dialects), cmocka_unit_test(what_cannot_be_said_is_refused),
		cmocka_unit_test(a_changed_name_comes_back), cmocka_unit_test(replies_of_vendors),
		cmocka_unit_test(errors_have_their_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
