/* Replies and streams of the Anthropic dialect both ways, its errors, its other endpoints. */
#include "tests/unit/core/dialect/anthropic_room.h"

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
	struct gw_stream_state st = { .d = &gw_anthropic,
				      .keep = &r->a,
				      .scratch = &r->a,
				      .carry = &r->carry,
				      .own = gw_alloc(&r->a, gw_anthropic.reader_bytes) };
	enum gw_err e = GW_OK;

	l->out = (struct gw_stream_state){ .d = &gw_anthropic,
					   .keep = &r->a,
					   .scratch = &r->a,
					   .carry = &r->carry,
					   .own = gw_alloc(&r->a, gw_anthropic.writer_bytes) };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reply_comes_home),         T(replies_of_others_fit),           T(refusals_keep_their_words),
		T(hostile_replies_do_no_harm), T(streams_are_understood),          T(too_many_open_blocks_are_garbage),
		T(streams_are_written),        T(errors_have_this_dialects_words), T(other_endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
