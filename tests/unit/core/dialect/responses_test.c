/* Responses: what is refused, what other dialects are asked, the sequence of events, streams that fail, at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/translate.h"

static struct gw_carry carry = {
	.model = { "m", 1 }, .seed = 7, .now_s = 1700000000, .wants_usage = true, .wants_reasoning_text = true
};

struct result {
	struct gw_arena a, keep;
	struct gw_buf body;
	struct gw_translate_out out;
	enum gw_err err;
};

static void ask(struct result *r, const struct gw_dialect *from, const struct gw_dialect *to, const char *body)
{
	struct gw_translate_in in = { .from = from, .to = to, .body = gw_str_z(body) };

	gw_arena_init(&r->a, NULL, 0, 1 << 20);
	gw_arena_init(&r->keep, NULL, 0, 1 << 16);
	gw_buf_init(&r->body, 1 << 20);
	carry.names = NULL;
	carry.keep = &r->keep;
	in.opts = (struct gw_write_opts){ .model = GW_LIT("up"), .carry = &carry };
	r->out = (struct gw_translate_out){ .body = &r->body };
	r->err = gw_translate_request(&r->a, &r->keep, &in, &r->out);
	gw_buf_putc(&r->body, '\0');
}

static void done(struct result *r)
{
	carry.names = NULL;
	carry.keep = NULL;
	gw_buf_done(&r->body);
	gw_arena_done(&r->a);
	gw_arena_done(&r->keep);
}

static void what_needs_a_memory_is_refused(void **state)
{
	static const struct {
		const char *body, *param;
	} rows[] = {
		{ "{\"input\":\"x\",\"store\":true}", "store" },
		{ "{\"input\":\"x\",\"previous_response_id\":\"resp_1\"}", "previous_response_id" },
		{ "{\"input\":\"x\",\"conversation\":\"conv_1\"}", "conversation" },
		{ "{\"input\":\"x\",\"background\":true}", "background" },
		{ "{\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]}", "input[0]" },
		{ "{\"input\":3}", "input" },
		{ "{\"input\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "input[0].role" },
		{ "{\"input\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"\"}]}", "input[0].call_id" },
		{ "{\"input\":\"x\",\"tools\":[{\"type\":\"function\"}]}", "tools[0].name" },
		{ "{\"input\":\"x\",\"text\":{\"format\":1}}", "text.format" },
		{ "{}", "input" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r;

		ask(&r, &gw_responses, &gw_openai, rows[i].body);
		if ((r.err != GW_E_INVALID && r.err != GW_E_MISSING) || !r.out.why.n ||
		    !gw_str_eq(r.out.param, gw_str_z(rows[i].param)))
			fail_msg("%s: %d at %.*s", rows[i].body, r.err, GW_FMT(r.out.param));
		done(&r);
	}
}

static void requests_are_understood(void **state)
{
	static const struct {
		const struct gw_dialect *from, *to;
		const char *body, *has, *dropped;
	} rows[] = {
		{ &gw_responses, &gw_openai,
		  "{\"instructions\":\"be\",\"input\":\"hi\",\"store\":false,\"previous_response_id\":null}",
		  "[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hi\"}]", NULL },
		/* items of one turn become one message, so that the result follows its call */
		{ &gw_responses, &gw_openai,
		  "{\"input\":[{\"role\":\"assistant\",\"content\":\"a\"},{\"type\":\"function_call\",\"call_id\":"
		  "\"c1\",\"name\":\"f\",\"arguments\":\"{}\"},"
		  "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"},"
		  "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"1\"}]}",
		  "{\"name\":\"g\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":"
		  "\"1\"}",
		  NULL },
		{ &gw_responses, &gw_openai, "{\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}", "\"messages\"",
		  "tools[] (web_search)" },
		{ &gw_responses, &gw_openai,
		  "{\"input\":\"x\",\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_object\"}}}",
		  "\"verbosity\":\"low\"", NULL },
		{ &gw_responses, &gw_openai, "{\"input\":\"x\",\"max_tool_calls\":3}", "\"messages\"",
		  "max_tool_calls" },
		{ &gw_responses, &gw_responses,
		  "{\"model\":\"m\",\"input\":\"x\",\"x\":[1],\"tools\":[{\"type\":\"web_search\"}],\"user\":null}",
		  "{\"model\":\"up\",\"input\":\"x\",\"x\":[1],\"tools\":[{\"type\":\"web_search\"}],\"user\":null}",
		  NULL },
		{ &gw_openai, &gw_responses,
		  "{\"messages\":[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hi\"}],"
		  "\"max_tokens\":50,\"reasoning_effort\":\"low\"}",
		  "\"instructions\":\"be\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":"
		  "\"input_text\",\"text\":\"hi\"}]}],"
		  "\"max_output_tokens\":50,\"reasoning\":{\"effort\":\"low\"},\"include\":[\"reasoning.encrypted_"
		  "content\"],\"store\":false",
		  NULL },
		{ &gw_openai, &gw_responses, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"seed\":4}",
		  "\"input\"", "seed" },
		{ &gw_openai, &gw_responses,
		  "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"thinking_blocks\":[{\"type\":"
		  "\"thinking\",\"thinking\":\"t\",\"signature\":\"e\","
		  "\"signature_of\":\"responses\"}]},{\"role\":\"user\",\"content\":\"hi\"}]}",
		  "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"t\"}],\"encrypted_"
		  "content\":\"e\"}",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r;

		ask(&r, rows[i].from, rows[i].to, rows[i].body);
		if (r.err || !strstr(r.body.p, rows[i].has))
			fail_msg("%zu: %d %.*s\n%s", i, r.err, GW_FMT(r.out.why), r.body.p);
		if (rows[i].dropped ? !gw_str_eq(r.out.dropped, gw_str_z(rows[i].dropped)) : r.out.dropped.n > 0)
			fail_msg("%zu: dropped %.*s", i, GW_FMT(r.out.dropped));
		done(&r);
	}
}

/* ---- streams ---- */

static enum gw_err play(const struct gw_dialect *from, const struct gw_dialect *to, const char *in, size_t cut,
			struct gw_buf *out)
{
	struct gw_str s = gw_str_z(in);
	struct gw_translate t;
	enum gw_err e;

	assert_int_equal(gw_translate_open(&t, from, to, &carry), GW_OK);
	e = gw_translate_feed(&t, gw_str(s.p, cut), out);
	if (!e)
		e = gw_translate_feed(&t, gw_str_skip(s, cut), out);
	if (!e)
		e = gw_translate_end(&t, out);
	gw_translate_close(&t);
	return e;
}

#define D(delta) "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":" delta "}]}\n\n"
static const char chat[] = D("{\"reasoning_content\":\"hm\"}") D("{\"content\":\"a\"}") D("{\"content\":\"b\"}")
    D("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}")
	D("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]}") "data: "
										 "{\"choices\":[{\"delta\":{},\"finish_"
										 "reason\":\"tool_calls\"}],\"usage\":{"
										 "\"prompt_tokens\":3,\"completion_"
										 "tokens\":4}}\n\ndata: [DONE]\n\n";

/* The names of the events in order, as the SDK waits for them; and back again. */
static void the_whole_sequence_is_told(void **state)
{
	static const char *const order[] = {
		"response.created",
		"response.in_progress",
		"response.output_item.added",
		"response.reasoning_summary_part.added",
		"response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done",
		"response.reasoning_summary_part.done",
		"response.output_item.done",
		"response.output_item.added",
		"response.content_part.added",
		"response.output_text.delta",
		"response.output_text.delta",
		"response.output_text.done",
		"response.content_part.done",
		"response.output_item.done",
		"response.output_item.added",
		"response.function_call_arguments.delta",
		"response.function_call_arguments.delta",
		"response.function_call_arguments.done",
		"response.output_item.done",
		"response.completed",
	};
	struct gw_buf whole, back;
	const char *at;

	(void)state;
	gw_buf_init(&whole, 1 << 20);
	assert_int_equal(play(&gw_openai, &gw_responses, chat, 0, &whole), GW_OK);
	gw_buf_putc(&whole, '\0');
	at = whole.p;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		at = strstr(at, "event: ");
		assert_non_null(at);
		at += 7;
		if (strncmp(at, order[i], strlen(order[i])) != 0 || at[strlen(order[i])] != '\n')
			fail_msg("event %zu is %.50s, not %s", i, at, order[i]);
	}
	assert_null(strstr(at, "event: "));
	assert_non_null(strstr(at, "\"text\":\"ab\""));
	assert_non_null(strstr(at, "\"arguments\":\"{}\""));
	assert_non_null(strstr(at, "\"input_tokens\":3,\"output_tokens\":4"));
	for (size_t cut = 1; cut < sizeof(chat) - 1; cut++) {
		struct gw_buf b;

		gw_buf_init(&b, 1 << 20);
		assert_int_equal(play(&gw_openai, &gw_responses, chat, cut, &b), GW_OK);
		gw_buf_putc(&b, '\0');
		assert_string_equal(b.p, whole.p);
		gw_buf_done(&b);
	}
	gw_buf_init(&back, 1 << 20);
	assert_int_equal(play(&gw_responses, &gw_openai, whole.p, 0, &back), GW_OK);
	gw_buf_putc(&back, '\0');
	assert_non_null(strstr(back.p, "\"reasoning_content\":\"hm\""));
	assert_non_null(strstr(back.p, "\"content\":\"b\""));
	assert_non_null(strstr(back.p, "\"id\":\"c1\""));
	assert_non_null(strstr(back.p, "\"finish_reason\":\"tool_calls\""));
	gw_buf_done(&back);
	gw_buf_done(&whole);
}

static void streams_that_fail(void **state)
{
	static const struct {
		const char *in;
		enum gw_err err;
	} rows[] = {
		{ "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n", GW_E_UP_CUT },
		{ "data: {\"type\":\"error\",\"code\":\"x\",\"message\":\"flat\"}\n\n", GW_E_UP_SERVER },
		{ "data: {\"type\":\"error\",\"error\":{\"code\":\"x\",\"message\":\"nested\"}}\n\n", GW_E_UP_SERVER },
		{ "data: "
		  "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}"
		  "}\n\n",
		  GW_E_UP_SERVER },
		{ "data: {\"type\":\"response.failed\"}\n\n", GW_E_UP_SERVER },
		{ "data: []\n\n", GW_E_UP_GARBLED },
		{ "data: {\"type\":\"response.completed\",\"response\":7}\n\n", GW_OK },
		{ "data: {\"type\":\"response.output_item.done\",\"output_index\":-1,\"item\":[]}\n\ndata: "
		  "{\"type\":\"response.incomplete\"}\n\n",
		  GW_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gw_buf b;
		enum gw_err e;

		gw_buf_init(&b, 1 << 20);
		e = play(&gw_responses, &gw_openai, rows[i].in, 0, &b);
		if (e != rows[i].err)
			fail_msg("%zu: %d", i, e);
		gw_buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_needs_a_memory_is_refused),
		cmocka_unit_test(requests_are_understood),
		cmocka_unit_test(the_whole_sequence_is_told),
		cmocka_unit_test(streams_that_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
