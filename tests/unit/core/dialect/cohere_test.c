/* The Cohere dialect: its home trip, the traps of writing for it, replies, streams and errors both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/dialect.h"
#include "core/error_body.h"

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
	r.carry = (struct gw_carry){
		.model = GW_LIT("alias"), .request_id = GW_LIT("rid"), .seed = 7, .wants_reasoning_text = true
	};
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

static const yyjson_val *tree(struct room *r, struct gw_str text)
{
	const yyjson_val *root;

	if (gw_json_tree(&r->a, gw_arena_str(&r->a, text), NULL, &root, NULL))
		fail_msg("no JSON: %.*s", GW_FMT(text));
	return root;
}

static void same_text(struct gw_str got, const char *want)
{
	if (!gw_str_eq(got, gw_str_z(want)))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static void same_value(struct room *r, struct gw_str got, const char *want)
{
	if (!yyjson_equals((yyjson_val *)(uintptr_t)tree(r, got), (yyjson_val *)(uintptr_t)tree(r, gw_str_z(want))))
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
	return gw_cohere.read_request(&r->a, tree(r, gw_str_z(text)), &r->rq, &r->param, &r->why);
}

static enum gw_err write_as(struct room *r, enum gw_dialect_id source)
{
	struct gw_write_opts o = { .model = GW_LIT("m"), .default_max_tokens = 4096, .carry = &r->carry };

	r->rq.source = source;
	gw_buf_clear(&r->out, 1 << 20);
	return gw_cohere.write_request(&r->a, &r->rq, &o, &r->out, &r->param, &r->why);
}

#define ONE_USER "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]"

static void requests_come_home_unchanged(void **state)
{
	static const char *const bodies[] = {
		"{\"model\":\"m\"," ONE_USER "}",
		"{\"model\":\"m\",\"stream\":false,\"max_tokens\":5,\"temperature\":0.5,\"p\":0.9,\"k\":3,\"seed\":1,"
		"\"frequency_penalty\":0.5,"
		"\"presence_penalty\":1.5,\"logprobs\":true,\"stop_sequences\":[\"a\"],\"strict_tools\":false,\"tool_"
		"choice\":\"NONE\","
		"\"thinking\":{\"type\":\"enabled\",\"token_budget\":7},\"response_format\":{\"type\":\"json_object\","
		"\"json_schema\":{\"type\":"
		"\"object\"}},\"documents\":[\"d\"],\"safety_mode\":\"STRICT\",\"tools\":[{\"type\":\"function\","
		"\"function\":{\"name\":\"f.g\","
		"\"x\":1}}],\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"s\"}]},{"
		"\"role\":\"assistant\","
		"\"tool_plan\":\"p\",\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\",\"function\":{\"name\":\"f."
		"g\",\"arguments\":\"{}\"},"
		"\"y\":2}],\"citations\":[]},{\"role\":\"tool\",\"tool_call_id\":\"i\",\"content\":[{\"type\":"
		"\"document\",\"document\":{\"data\":"
		"{\"a\":1},\"id\":\"z\"}}],\"odd\":1},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
		"\"thinking\":\"h\"},{\"type\":\"text\","
		"\"text\":\"\"}]},{\"role\":\"assistant\",\"content\":null},{\"role\":\"user\",\"content\":[{\"type\":"
		"\"image_url\",\"image_url\":"
		"{\"url\":\"data:image/png;base64,AA==\",\"detail\":\"low\"}},{\"type\":\"new\"}],\"extra\":1}]}",
		"{\"model\":\"m\",\"tools\":[],\"response_format\":{\"type\":\"odd\"},\"thinking\":{\"type\":"
		"\"disabled\"},\"stream\":true,"
		"\"strict_tools\":true,\"seed\":null," ONE_USER "}",
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(read_in(r, bodies[i]), GW_OK);
		assert_int_equal(write_as(r, GW_D_COHERE), GW_OK);
		same_value(r, gw_buf_view(&r->out), bodies[i]);
		same_text(dropped(r), "");
	}
}

static void wrong_types_are_told_by_place(void **state)
{
	static const struct {
		const char *body, *param;
	} cases[] = {
		{ "{}", "messages" },
		{ "{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content" },
		{ "{\"messages\":[{\"role\":\"bot\",\"content\":\"\"}]}", "messages[0].role" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
		  "messages[0].content[0].text" },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},{}]}]}",
		  "messages[0].content[1].type" },
		{ "{\"messages\":[{\"role\":\"tool\",\"content\":\"\"}]}", "messages[0].tool_call_id" },
		{ "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "messages[0].tool_calls" },
		{ "{" ONE_USER ",\"tools\":[{}]}", "tools" },
		{ "{" ONE_USER ",\"k\":\"3\"}", "k" },
		{ "{" ONE_USER ",\"stream\":3}", "stream" },
		{ "{" ONE_USER ",\"stop_sequences\":[3]}", "stop_sequences" },
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(read_in(r, cases[i].body), GW_OK);
		same_text(r->param, cases[i].param);
		assert_true(r->why.n > 0);
	}
}

static void each_trap_of_writing(void **state)
{
	struct room *r = *state;
	struct ir_block *b;

	/* a named choice is the only tool that is offered; the name of another pattern is mapped; penalties end at 1 */
	assert_int_equal(
	    read_in(r,
		    "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"tool_plan\":\"p\","
		    "\"tool_calls\":"
		    "[{\"id\":\"i\",\"function\":{\"name\":\"f.g\",\"arguments\":\"\"}}]},{\"role\":\"tool\",\"tool_"
		    "call_id\":\"i\","
		    "\"content\":\"r\"}],\"tools\":[{\"function\":{\"name\":\"f.g\"}},{\"function\":{\"name\":\"h\"}}],"
		    "\"frequency_penalty\":1.5,\"thinking\":{\"type\":\"disabled\"},\"response_format\":{\"type\":"
		    "\"json_object\"}}"),
	    GW_OK);
	r->rq.tool_choice.kind = IR_CHOICE_NAMED;
	assert_true(ir_name_add(&r->a, &r->rq.tool_choice.names, GW_LIT("f.g")));
	r->rq.parallel_tool_calls = IR_NO;
	r->rq.user = GW_LIT("u");
	b = ir_block_add(&r->a, &r->rq.last_message->blocks, IR_TEXT);
	b->text = GW_LIT("and");
	b = ir_block_add(&r->a, &r->rq.last_message->blocks->content, IR_IMAGE);
	b->media = (struct ir_media){ .from = IR_URL, .data = GW_LIT("https://x/y.png") };
	assert_int_equal(write_as(r, GW_D_OPENAI), GW_OK);
	struct gw_str name = ir_tool_name(&r->a, GW_LIT("f.g"), 64);
	same_value(r, gw_buf_view(&r->out),
		   gw_arena_z(&r->a, gw_arena_printf(&r->a,
						     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
						     "\"q\"},{\"role\":\"assistant\",\"content\":"
						     "[{\"type\":\"thinking\",\"thinking\":\"p\"}],\"tool_calls\":[{"
						     "\"id\":\"i\",\"type\":\"function\",\"function\":"
						     "{\"name\":\"%.*s\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\","
						     "\"tool_call_id\":\"i\",\"content\":\"r\"},{\"role\":"
						     "\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
						     "\"url\":\"https://x/y.png\"}}]},{\"role\":\"user\","
						     "\"content\":\"and\"}],\"tools\":[{\"type\":\"function\","
						     "\"function\":{\"name\":\"%.*s\",\"parameters\":{\"type\":"
						     "\"object\",\"properties\":{}}}}],\"tool_choice\":\"REQUIRED\","
						     "\"frequency_penalty\":1.0,\"thinking\":{\"type\":"
						     "\"disabled\"},\"response_format\":{\"type\":\"json_object\"}}",
						     GW_FMT(name), GW_FMT(name))));
	same_text(dropped(r), "messages[].content[].tool_result.image parallel_tool_calls frequency_penalty user");
	same_text(gw_carry_name_back(&r->carry, name), "f.g");
	assert_int_equal(read_in(r, "{" ONE_USER "}"), GW_OK);
	r->rq.sampling.n = (struct ir_i64){ true, 3 };
	assert_int_equal(write_as(r, GW_D_OPENAI), GW_E_INVALID);
	assert_int_equal(read_in(r, "{" ONE_USER "}"), GW_OK);
	b = ir_block_add(&r->a, &r->rq.messages->blocks, IR_FILE);
	b->media = (struct ir_media){ .from = IR_BASE64, .mime = GW_LIT("application/pdf"), .data = GW_LIT("AAAA") };
	assert_int_equal(write_as(r, GW_D_OPENAI), GW_E_INVALID);
}

static void replies_both_ways(void **state)
{
	static const char *const body = "{\"id\":\"u\",\"message\":{\"role\":\"assistant\",\"tool_plan\":\"p\","
					"\"content\":[{\"type\":\"thinking\",\"thinking\":\"h\"},{\"type\":"
					"\"text\",\"text\":\"t\"}],\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\","
					"\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}],"
					"\"citations\":[{\"start\":0,\"end\":1,\"text\":\"t\",\"sources\":[{\"type\":"
					"\"document\",\"id\":\"doc:0\",\"document\":{\"title\":\"T\"}}]}]},"
					"\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"billed_units\":{\"input_tokens\":"
					"2,\"output_tokens\":3},\"tokens\":{\"input_tokens\":5,"
					"\"output_tokens\":4,\"reasoning_tokens\":2},\"cached_tokens\":3}}";
	struct room *r = *state;
	struct ir_reply rp = { 0 };

	assert_int_equal(gw_cohere.read_reply(&r->a, tree(r, gw_str_z(body)), &r->carry, &rp), GW_OK);
	assert_int_equal(rp.choices->finish, IR_FINISH_TOOL_CALLS);
	assert_int_equal(rp.usage.cache_read, 3);
	assert_int_equal(rp.usage.input, 5);
	assert_true(rp.usage.is_billed_apart && rp.usage.billed_input == 2 && rp.usage.billed_output == 3);
	same_text(rp.choices->blocks->next->next->citations->title, "T");
	assert_int_equal(gw_cohere.write_reply(&r->a, &rp, &r->carry, &r->out), GW_OK);
	same_value(r, gw_buf_view(&r->out), body);
	/* floats; failed ends; nonsense */
	rp = (struct ir_reply){ 0 };
	assert_int_equal(
	    gw_cohere.read_reply(
		&r->a,
		tree(r,
		     GW_LIT(
			 "{\"message\":{\"content\":[7,{\"type\":\"text\"}],\"tool_calls\":[[],{}],\"citations\":[1]},"
			 "\"usage\":{\"tokens\":{\"input_tokens\":8.0,\"output_tokens\":-1}}}")),
		&r->carry, &rp),
	    GW_OK);
	assert_int_equal(rp.usage.input, 8);
	assert_int_equal(gw_cohere.read_reply(&r->a, tree(r, GW_LIT("{\"message\":{},\"finish_reason\":\"ERROR\"}")),
					      &r->carry, &rp),
			 GW_E_UP_SERVER);
	assert_int_equal(gw_cohere.read_reply(&r->a, tree(r, GW_LIT("{\"message\":{},\"finish_reason\":\"TIMEOUT\"}")),
					      &r->carry, &rp),
			 GW_E_UP_TIMEOUT);
	assert_int_equal(gw_cohere.read_reply(&r->a, tree(r, GW_LIT("{\"message\":\"x\"}")), &r->carry, &rp),
			 GW_E_UP_GARBLED);
}

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
	if (ev->kind == IR_EV_FINISH)
		gw_buf_printf(&l->text, "%d", (int)ev->finish);
	if (ev->kind == IR_EV_ERROR)
		gw_buf_printf(&l->text, "%d%.*s", ev->error_status, GW_FMT(ev->error_json));
	gw_buf_putc(&l->text, ' ');
	return l->frames && ev->kind != IR_EV_ERROR ? gw_cohere.write_event(&l->out, ev, l->frames) : GW_OK;
}

static enum gw_err feed(struct room *r, struct log *l, const char *const *frames)
{
	struct gw_stream_state st = { .d = &gw_cohere,
				      .keep = &r->a,
				      .scratch = &r->a,
				      .carry = &r->carry,
				      .own = gw_alloc(&r->a, gw_cohere.reader_bytes) };
	enum gw_err e = GW_OK;

	l->out = (struct gw_stream_state){ .d = &gw_cohere,
					   .keep = &r->a,
					   .scratch = &r->a,
					   .carry = &r->carry,
					   .own = gw_alloc(&r->a, gw_cohere.writer_bytes) };
	gw_buf_init(&l->text, 1 << 20);
	for (; !e && *frames; frames++)
		e = gw_cohere.read_event(&st, &(struct gw_frame){ .data = gw_str_z(*frames) }, note, l);
	return e ? e : gw_cohere.read_end(&st, note, l);
}

#define M_(type, index, m) "{\"type\":\"" type "\",\"index\":" index ",\"delta\":{\"message\":" m "}}"
#define BEGIN_             "{\"type\":\"message-start\",\"id\":\"u\"}"
#define END_(why)          "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"" why "\"}}"

static void streams_are_understood(void **state)
{
	static const struct {
		const char *frames[12], *log;
		enum gw_err err;
	} cases[] = {
		{ { BEGIN_, M_("tool-plan-delta", "0", "{\"tool_plan\":\"p\"}"),
		    M_("tool-call-start", "0",
		       "{\"tool_calls\":{\"id\":\"i\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}"),
		    "{\"type\":\"tool-call-end\",\"index\":0}",
		    M_("tool-call-start", "1",
		       "{\"tool_calls\":{\"id\":\"j\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}}"),
		    M_("tool-call-delta", "1", "{\"tool_calls\":{\"function\":{\"arguments\":\"}\"}}}"),
		    END_("TOOL_CALL"), "[DONE]" },
		  "START OPEN0:2 DELTA0:0=p CLOSE OPEN1:7 DELTA1:1={} CLOSE OPEN2:7 DELTA2:1={ DELTA2:1=} CLOSE "
		  "FINISH4 END ",
		  GW_OK },
		{ { BEGIN_, M_("content-start", "0", "{\"content\":{\"type\":\"thinking\",\"thinking\":\"a\"}}"),
		    M_("content-delta", "0", "{\"content\":{\"thinking\":\"b\"}}"),
		    "{\"type\":\"content-end\",\"index\":0}",
		    M_("content-delta", "1", "{\"content\":{\"text\":\"c\"}}"),
		    M_("citation-start", "0", "{\"citations\":{\"start\":0,\"end\":1,\"text\":\"c\"}}"),
		    "{\"type\":\"citation-end\",\"index\":0}", END_("COMPLETE") },
		  "START OPEN0:2 DELTA0:0=a DELTA0:0=b CLOSE OPEN1:0 DELTA1:0=c DELTA1:3= CLOSE FINISH1 END ",
		  GW_OK },
		{ { BEGIN_,
		    "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"bad \\\"luck\\\"\"}}",
		    END_("COMPLETE") },
		  "START ERROR502{\"message\":\"bad \\\"luck\\\"\"} ",
		  GW_OK },
		{ { "{\"message\":\"no\"}" }, "ERROR0{\"message\":\"no\"} ", GW_OK },
		{ { BEGIN_, M_("content-delta", "0", "{\"content\":{\"text\":\"c\"}}") },
		  "START OPEN0:0 DELTA0:0=c ",
		  GW_E_UP_CUT },
		{ { BEGIN_, "{" }, "START ", GW_E_UP_GARBLED },
		{ { "5", M_("content-start", "{}", "7"), M_("tool-call-delta", "0", "{\"tool_calls\":[]}"),
		    "{\"type\":\"tool-plan-delta\"}", M_("citation-start", "0", "[]"), END_("COMPLETE") },
		  "START OPEN0:0 CLOSE FINISH1 END ",
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

static void streams_are_written(void **state)
{
	static const char *const frames[] = {
		BEGIN_, M_("content-start", "0", "{\"content\":{\"type\":\"text\",\"text\":\"a\\n\"}}"),
		M_("tool-call-start", "1", "{\"tool_calls\":{\"function\":{\"name\":\"f\"}}}"), END_("TOOL_CALL"), NULL
	};
	struct room *r = *state;
	struct log l = { .frames = &r->out };
	struct gw_str id = ir_make_id(&r->a, "call_", 7, 1, 24);

	assert_int_equal(feed(r, &l, frames), GW_OK);
	same_text(
	    gw_buf_view(&r->out),
	    gw_arena_z(
		&r->a,
		gw_arena_printf(
		    &r->a,
		    "event: message-start\ndata: "
		    "{\"type\":\"message-start\",\"id\":\"rid\",\"delta\":{\"message\":{\"role\":\"assistant\","
		    "\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n"
		    "event: content-start\ndata: "
		    "{\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\","
		    "\"text\":\"\"}}}}\n\n"
		    "event: content-delta\ndata: "
		    "{\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"a\\n\"}}}}"
		    "\n\n"
		    "event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\n"
		    "event: tool-call-start\ndata: "
		    "{\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"%.*s\","
		    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}}\n\n"
		    "event: tool-call-delta\ndata: "
		    "{\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":"
		    "{\"arguments\":\"{}\"}}}}}\n\n"
		    "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":0}\n\n"
		    "event: message-end\ndata: "
		    "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"billed_units\":"
		    "{\"input_tokens\":0,\"output_tokens\":0},\"tokens\":{\"input_tokens\":0,\"output_tokens\":0},"
		    "\"cached_tokens\":0}}}\n\n"
		    "data: [DONE]\n\n",
		    GW_FMT(id))));
	gw_buf_done(&l.text);
}

static void errors_have_this_dialects_shape(void **state)
{
	struct room *r = *state;
	struct gw_error_told t;

	gw_error_tell(&t, GW_E_INVALID, GW_LIT("m"), GW_NIL, GW_LIT("rid"));
	gw_cohere.write_error(&t, &r->out);
	same_text(gw_buf_view(&r->out), "{\"id\":\"rid\",\"message\":\"m\"}");
	gw_buf_clear(&r->out, 1 << 20);
	gw_error_tell(&t, GW_E_LIMIT, GW_LIT("m"), GW_NIL, GW_LIT("rid"));
	gw_cohere.write_error_event(&t, &r->carry, &r->out);
	same_text(gw_buf_view(&r->out),
		  "event: message-end\ndata: "
		  "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"m\"}}\n\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_come_home_unchanged),
		T(wrong_types_are_told_by_place),
		T(each_trap_of_writing),
		T(replies_both_ways),
		T(streams_are_understood),
		T(streams_are_written),
		T(errors_have_this_dialects_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
