/* Streams of chat completions: each row is a trap that a vendor set, played at every split. */
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

static enum gw_err play(const char *in, size_t cut, struct gw_buf *out, struct gw_translate *t)
{
	struct gw_str s = gw_str_z(in);
	enum gw_err e;

	assert_int_equal(gw_translate_open(t, &gw_openai, &gw_openai, &carry), GW_OK);
	e = gw_translate_feed(t, gw_str(s.p, cut), out);
	if (!e)
		e = gw_translate_feed(t, gw_str_skip(s, cut), out);
	return e ? e : gw_translate_end(t, out);
}

#define D(delta) "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":" delta "}]}\n\n"
#define F(word)  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}\n\n"
#define DONE     "data: [DONE]\n\n"
static const struct {
	const char *in;
	const char *has[4];
	const char *hasnt;
} vendors[] = {
	{ D("{\"role\":\"assistant\",\"content\":\"\"}") D("{\"role\":\"assistant\",\"content\":\"a\"}")
	      D("{\"role\":\"assistant\",\"content\":\"b\"}") F("stop") F("stop") DONE,
	  { "\"content\":\"a\"", "\"content\":\"b\"", "\"finish_reason\":\"stop\"", "[DONE]" },
	  "assistant\",\"content\":\"a" },
	/* no [DONE], CRLF, the whole text told beside the delta, usage in every chunk, citations */
	{ "data: "
	  "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"message\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":"
	  "1,"
	  "\"completion_tokens\":1}}\r\n\r\ndata: "
	  "{\"object\":\"chat.completion.done\",\"choices\":[{\"delta\":{},\"message\":{\"content\":\"a\"},"
	  "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":3},\"search_results\":[{"
	  "\"url\":\"https://a.example\","
	  "\"title\":\"T\"}]}\r\n\r\n",
	  { "\"content\":\"a\"", "\"completion_tokens\":3", "\"title\":\"T\"", "[DONE]" },
	  "\"completion_tokens\":1," },
	/* Mistral: lists and texts */
	{ D("{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]}")
	      D("{\"content\":\"yes\"}") F("stop") DONE,
	  { "\"reasoning_content\":\"hm\"", "\"content\":\"yes\"", NULL, NULL },
	  NULL },
	/* Azure: a first chunk without choices, id and model */
	{ "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"prompt_filter_results\":[]}\n\n" D(
	      "{\"content\":\"a\"}") F("stop") DONE,
	  { "\"id\":\"chatcmpl-1\"", "\"content\":\"a\"", NULL, NULL },
	  "\"id\":\"\"" },
	/* Groq: usage below x_groq */
	{ D("{\"content\":\"a\"}") "data: "
				   "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{"
				   "\"prompt_tokens\":4,"
				   "\"completion_tokens\":5}}}\n\n" DONE,
	  { "\"prompt_tokens\":4", NULL, NULL, NULL },
	  NULL },
	/* calls: index missing, the id again in each piece, no arguments at all, finish "stop" */
	{ D("{\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]}")
	      D("{\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"arguments\":\":1}\"}}]}") D(
		  "{\"tool_calls\":[{\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":null}}]}") F("stop") DONE,
	  { "\"index\":0,\"id\":\"c1\"", "\"index\":1,\"id\":\"c2\"",
	    "{\"index\":1,\"function\":{\"arguments\":\"{}\"}}", "\"finish_reason\":\"tool_calls\"" },
	  "\"index\":2" },
	/* two calls side by side in one chunk, whole, the arguments an object */
	{ D("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}},"
	    "{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}") F("tool_calls") DONE,
	  { "\"arguments\":\"{\\\"a\\\":1}\"", "\"index\":1,\"id\":\"c2\"", NULL, NULL },
	  NULL },
	/* OpenRouter: comments, usage with choices, finish twice */
	{ ": OPENROUTER PROCESSING\n\n" D("{\"role\":\"assistant\",\"content\":\"a\"}")
	      F("length") "data: "
			  "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"length\"}],"
			  "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n" DONE,
	  { "\"prompt_tokens\":9", "\"finish_reason\":\"length\"", NULL, NULL },
	  NULL },
	/* n = 2, side by side */
	{ "data: "
	  "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}},{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
	  "data: "
	  "{\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"},{\"index\":0,\"delta\":{},\"finish_"
	  "reason\":\"length\"}]}\n\n" DONE,
	  { "\"index\":1,\"delta\":{\"content\":\"b\"}", "\"index\":0,\"delta\":{\"content\":\"a\"}", NULL, NULL },
	  NULL },
	/* the end without [DONE] is an end when the choice has finished */
	{ D("{\"refusal\":\"no\"}") F("stop"),
	  { "\"refusal\":\"no\"", "\"finish_reason\":\"stop\"", "[DONE]", NULL },
	  NULL },
};

static void streams_of_vendors(void **state)
{

	(void)state;
	for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++) {
		struct gw_buf whole;
		struct gw_translate t;

		gw_buf_init(&whole, 1 << 20);
		assert_int_equal(play(vendors[i].in, 0, &whole, &t), GW_OK);
		gw_translate_close(&t);
		gw_buf_putc(&whole, '\0');
		for (size_t k = 0; k < 4 && vendors[i].has[k]; k++)
			if (!strstr(whole.p, vendors[i].has[k]))
				fail_msg("%zu lacks %s:\n%s", i, vendors[i].has[k], whole.p);
		if (vendors[i].hasnt && strstr(whole.p, vendors[i].hasnt))
			fail_msg("%zu has %s:\n%s", i, vendors[i].hasnt, whole.p);
		for (size_t cut = 1; cut < strlen(vendors[i].in); cut++) {
			struct gw_buf b;

			gw_buf_init(&b, 1 << 20);
			assert_int_equal(play(vendors[i].in, cut, &b, &t), GW_OK);
			gw_translate_close(&t);
			gw_buf_putc(&b, '\0');
			assert_string_equal(b.p, whole.p);
			gw_buf_done(&b);
		}
		gw_buf_done(&whole);
	}
}

static void streams_that_fail(void **state)
{
	static const struct {
		const char *in;
		enum gw_err err;
		int status;
	} rows[] = {
		{ D("{\"content\":\"a\"}"), GW_E_UP_CUT, 0 },
		{ "", GW_E_UP_CUT, 0 },
		{ "data: [1]\n\n", GW_E_UP_GARBLED, 0 },
		{ "data: {\"choices\"\n\n", GW_E_UP_GARBLED, 0 },
		{ D("{\"content\":\"a\"}") "event: error\ndata: "
					   "{\"error\":{\"message\":\"x\",\"status_code\":400}}\n\n",
		  GW_E_UP_SERVER, 400 },
		{ "data: "
		  "{\"error\":{\"message\":\"x\",\"code\":502},\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]"
		  "}\n\n",
		  GW_E_UP_SERVER, 502 },
		{ "data: {\"error\":\"words\"}\n\n", GW_E_UP_SERVER, 0 },
		{ D("{\"content\":\"a\"}") F("insufficient_system_resource"), GW_E_UP_SERVER, 503 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gw_translate t;
		struct gw_buf b;

		gw_buf_init(&b, 1 << 20);
		assert_int_equal(play(rows[i].in, 0, &b, &t), rows[i].err);
		assert_int_equal(t.error_status, rows[i].status);
		assert_int_equal(t.error_json.n > 0, rows[i].err == GW_E_UP_SERVER);
		gw_translate_close(&t);
		gw_buf_done(&b);
	}
}

/* 10,000 deltas must not make the stream's own memory larger. */
static void a_long_stream_keeps_nothing(void **state)
{
	struct gw_translate t;
	struct gw_buf b;
	struct gw_str d = gw_str_z(D("{\"content\":\"word \"}"));
	size_t used = 0;

	(void)state;
	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_translate_open(&t, &gw_openai, &gw_openai, &carry), GW_OK);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(gw_translate_feed(&t, d, &b), GW_OK);
		gw_buf_clear(&b, 1 << 20);
		if (i == 1)
			used = t.keep.used_bytes;
	}
	assert_int_equal(t.keep.used_bytes, used);
	gw_translate_close(&t);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_of_vendors),
		cmocka_unit_test(streams_that_fail),
		cmocka_unit_test(a_long_stream_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
