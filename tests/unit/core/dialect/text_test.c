/* Old text completions asked of chat models: what a prompt becomes, what is refused, replies and streams. */
#include "tests/unit/lib/util.h"

#include "core/dialect/text.h"
#include "core/dialect/translate.h"

static struct gw_carry carry = { .model = { "m", 1 }, .seed = 7, .now_s = 1700000000, .wants_usage = true };

struct asked {
	struct gw_arena arena;
	struct gw_buf body;
	struct gw_translate_out out;
	enum gw_err err;
};

static void ask(struct asked *x, const char *json)
{
	struct gw_translate_in in = {
		.from = &gw_text,
		.to = &gw_anthropic,
		.body = gw_str_z(json),
		.opts = { .model = GW_LIT("up"), .default_max_tokens = 99, .carry = &carry },
	};

	gw_arena_init(&x->arena, NULL, 0, 1 << 20);
	gw_buf_init(&x->body, 1 << 20);
	x->out = (struct gw_translate_out){ .body = &x->body };
	x->err = gw_translate_request(&x->arena, &x->arena, &in, &x->out);
}

static void done(struct asked *x)
{
	gw_arena_done(&x->arena);
	gw_buf_done(&x->body);
}

static void becomes(const char *json, const char *want, const char *dropped)
{
	struct asked x;

	ask(&x, json);
	assert_int_equal(x.err, GW_OK);
	assert_str(gw_buf_view(&x.body), want);
	assert_str(x.out.dropped, dropped);
	done(&x);
}

static void refused(const char *json, enum gw_err err, const char *param)
{
	struct asked x;

	ask(&x, json);
	assert_int_equal(x.err, err);
	assert_str(x.out.param, param);
	assert_true(x.out.why.n > 20);
	done(&x);
}

static void requests(void **st)
{
	static const char plain[] =
	    "{\"model\":\"up\",\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":\"Once\"}]}";

	(void)st;
	becomes("{\"model\":\"m\",\"prompt\":\"Once\"}", plain, "");
	becomes(
	    "{\"model\":\"m\",\"prompt\":[\"Once\"],\"echo\":false,\"best_of\":1,\"suffix\":null,\"logprobs\":null}",
	    plain, "");
	becomes("{\"model\":\"m\",\"prompt\":\"Once\",\"seed\":3}", plain, "seed");
	becomes("{\"model\":\"m\",\"prompt\":\"a\\\"b\",\"max_tokens\":5,\"temperature\":0.5,\"stop\":[\"x\"]}",
		"{\"model\":\"up\",\"max_tokens\":5,\"temperature\":0.5,\"stop_sequences\":[\"x\"],"
		"\"messages\":[{\"role\":\"user\",\"content\":\"a\\\"b\"}]}",
		"");
}

static void bad_requests(void **st)
{
	(void)st;
	refused("{\"model\":\"m\"}", GW_E_MISSING, "prompt");
	refused("{\"model\":\"m\",\"prompt\":\"\"}", GW_E_INVALID, "prompt");
	refused("{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}", GW_E_INVALID, "prompt");
	refused("{\"model\":\"m\",\"prompt\":[1,2]}", GW_E_INVALID, "prompt");
	refused("{\"model\":\"m\",\"prompt\":[[1,2]]}", GW_E_INVALID, "prompt");
	refused("{\"model\":\"m\",\"prompt\":\"a\",\"echo\":true}", GW_E_INVALID, "echo");
	refused("{\"model\":\"m\",\"prompt\":\"a\",\"best_of\":2}", GW_E_INVALID, "best_of");
	refused("{\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"z\"}", GW_E_INVALID, "suffix");
	refused("{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":3}", GW_E_INVALID, "logprobs");
	refused("{\"model\":\"m\",\"prompt\":\"a\",\"messages\":[]}", GW_E_INVALID, "messages");
}

static void reply(void **st)
{
	static const char in[] = "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\","
				 "\"content\":[{\"type\":\"thinking\","
				 "\"thinking\":\"hm\",\"signature\":\"s\"},{\"type\":\"text\",\"text\":\"upon "
				 "\"},{\"type\":\"text\",\"text\":\"a time\"}],"
				 "\"stop_reason\":\"max_tokens\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}";
	struct gw_arena a;
	struct gw_buf out;
	struct gw_told told = { 0 };

	(void)st;
	gw_arena_init(&a, NULL, 0, 1 << 20);
	gw_buf_init(&out, 1 << 20);
	assert_int_equal(gw_translate_reply(&a, &gw_anthropic, &gw_text, &carry, gw_str_z(in), &out, &told), GW_OK);
	gw_buf_putc(&out, 0);
	assert_non_null(
	    strstr(out.p, "\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{"
			  "\"text\":\"upon a time\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"length\"}]"));
	assert_non_null(strstr(out.p, "\"completion_tokens\":4"));
	assert_null(strstr(out.p, "hm"));
	gw_buf_done(&out);
	gw_arena_done(&a);
}

#define EV(name, json) "event: " name "\ndata: {\"type\":\"" name "\"," json "}\n\n"
static const char stream_in[] = EV(
    "message_start",
    "\"message\":{\"id\":\"msg_1\",\"model\":\"up\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}")
    EV("content_block_start",
       "\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
	EV("content_block_delta", "\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}")
	    EV("content_block_stop", "\"index\":0")
		EV("content_block_start", "\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
		    EV("content_block_delta", "\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"upon\"}")
			EV("content_block_delta", "\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\" a\"}")
			    EV("content_block_stop", "\"index\":1")
				EV("message_delta",
				   "\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":"
				   "4}") "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static void stream_cut_at(size_t cut, struct gw_buf *out)
{
	struct gw_translate t;
	struct gw_str s = gw_str_z(stream_in);

	assert_int_equal(gw_translate_open(&t, &gw_anthropic, &gw_text, &carry), GW_OK);
	assert_int_equal(gw_translate_feed(&t, gw_str(s.p, cut), out), GW_OK);
	assert_int_equal(gw_translate_feed(&t, gw_str_skip(s, cut), out), GW_OK);
	assert_int_equal(gw_translate_end(&t, out), GW_OK);
	gw_translate_close(&t);
}

static void stream(void **st)
{
	struct gw_buf whole, out;

	(void)st;
	gw_buf_init(&whole, 1 << 20);
	stream_cut_at(0, &whole);
	for (size_t cut = 1; cut <= sizeof(stream_in) - 1; cut++) {
		gw_buf_init(&out, 1 << 20);
		stream_cut_at(cut, &out);
		assert_true(gw_str_eq(gw_buf_view(&out), gw_buf_view(&whole)));
		gw_buf_done(&out);
	}
	gw_buf_putc(&whole, 0);
	assert_non_null(strstr(whole.p, "{\"text\":\"upon\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}"));
	assert_non_null(strstr(whole.p, "{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}"));
	assert_non_null(strstr(whole.p, "\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4"));
	assert_non_null(strstr(whole.p, "data: [DONE]\n\n"));
	assert_null(strstr(whole.p, "hm"));
	gw_buf_done(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(requests), cmocka_unit_test(bad_requests),
					    cmocka_unit_test(reply), cmocka_unit_test(stream) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
