/* One event of a stream at a time: what is content, what is an error, which bytes go when usage is taken out, what is not JSON. */
#include "tests/unit/lib/util.h"

#include <time.h>

#include "core/passthru.h"
#include "core/usage.h"
#include "lib/json.h"

static struct gw_buf scratch;
static struct gw_scan_value values[GW_UP_PATHS];
static struct gw_chat_event ev_out;

struct one {
	bool wants_usage;
	enum gw_err err;
	unsigned n;
	struct gw_buf sent;
};

static void on_event(void *ctx, const struct gw_sse_event *ev)
{
	struct one *o = ctx;

	o->n++;
	o->err = gw_chat_event(ev, o->wants_usage, NULL, values, &scratch, &ev_out);
	if (o->err || ev_out.kind == GW_EV_DROP)
		return;
	gw_buf_puts(&o->sent, ev_out.kind == GW_EV_EDIT ? ev_out.edited : ev->raw);
}

/* Runs the text of one event; what is sent for it must be `want` (NULL: nothing). */
static void event(bool wants_usage, const char *raw, enum gw_chat_event_kind kind, bool has_content, const char *want)
{
	struct one o = { .wants_usage = wants_usage };
	struct gw_sse s;

	gw_buf_init(&o.sent, 1 << 20);
	gw_sse_init(&s, 1 << 20, 4 << 20);
	assert_int_equal(gw_sse_feed(&s, raw, strlen(raw), on_event, &o), GW_OK);
	assert_int_equal(gw_sse_end(&s, on_event, &o), GW_OK);
	if (o.n != 1 || o.err || ev_out.kind != kind || ev_out.has_content != has_content)
		fail_msg("%s: %u events, %s, kind %d, content %d", raw, o.n, gw_err_info(o.err)->name, ev_out.kind,
			 ev_out.has_content);
	assert_str(gw_buf_view(&o.sent), want ? want : "");
	gw_sse_done(&s);
	gw_buf_done(&o.sent);
}

static void pass(const char *raw, bool has_content)
{
	event(false, raw, GW_EV_PASS, has_content, raw);
	event(true, raw, GW_EV_PASS, has_content, raw);
}

static void edit(const char *raw, bool has_content, const char *want)
{
	event(false, raw, GW_EV_EDIT, has_content, want);
	event(true, raw, GW_EV_PASS, has_content, raw);
}

static void garbled(const char *raw)
{
	struct one o = { 0 };
	struct gw_sse s;

	gw_buf_init(&o.sent, 1 << 20);
	gw_sse_init(&s, 1 << 20, 4 << 20);
	assert_int_equal(gw_sse_feed(&s, raw, strlen(raw), on_event, &o), GW_OK);
	if (o.n != 1 || o.err != GW_E_UP_GARBLED)
		fail_msg("%s: %u events, %s", raw, o.n, gw_err_info(o.err)->name);
	gw_sse_done(&s);
	gw_buf_done(&o.sent);
}

#define D(delta) "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"

static void content(void **st)
{
	(void)st;
	pass(D("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"), false);
	pass(D("{\"role\":\"assistant\",\"content\":null}"), false);
	pass(D("{}"), false);
	pass(D("{\"content\":\"a\"}"), true);
	pass(D("{\"content\": \" \"}"), true);
	pass(D("{\"content\":\"\\\"usage\\\":null \\\\\"}"), true);
	pass(D("{\"content\":\"{\\\"error\\\":{}}\"}"), true);
	pass(D("{\"refusal\":\"no\"}"), true);
	pass(D("{\"reasoning_content\":\"hm\"}"), true);
	pass(D("{\"reasoning\":\"hm\"}"), true);
	pass(D("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}"), true);
	pass(D("{\"tool_calls\":[]}"), false);
	pass(D("{\"tool_calls\": [ ]}"), false);
	pass(D("{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}"), true);
	pass(D("{\"annotations\":[1]}"), false);
	pass("data: {\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"second choice\"}}]}\n\n", true);
	pass("data: {\"choices\":[],\"prompt_filter_results\":[{\"x\":1}]}\n\n", false);
	pass("data: {}\n\n", false);
	pass("data: { \"choices\" : [ { \"delta\" : { \"content\" : \"x\" } } ] } \n\n", true);
	pass("data:\n\n", false);
	pass(": ping\nevent: x\ndata: {\"choices\":null}\n\n", false);
	event(false, "data: [DONE]\n\n", GW_EV_DONE, false, "data: [DONE]\n\n");
	event(true, "data:[DONE]\r\n\r\n", GW_EV_DONE, false, "data:[DONE]\r\n\r\n");
}

static void usage_goes(void **st)
{
	(void)st;
	edit("data: {\"id\":\"x\",\"usage\":null}\n\n", false, "data: {\"id\":\"x\"}\n\n");
	edit("data: {\"usage\":null,\"id\":\"x\"}\n\n", false, "data: {\"id\":\"x\"}\n\n");
	edit("data: {\"usage\":null}\n\n", false, "data: {}\n\n");
	edit("data: {\"a\":1, \"usage\" : null , \"b\":2}\n\n", false, "data: {\"a\":1 , \"b\":2}\n\n");
	edit("data: { \"usage\" : null , \"b\":2}\n\n", false, "data: { \"b\":2}\n\n");
	edit("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\r\n\r\n", true,
	     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\n");
	/* with the last content: the chunk stays, the usage goes */
	edit("data: "
	     "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_"
	     "tokens\":2},\"p\":\"x\"}\n\n",
	     false, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"p\":\"x\"}\n\n");
	edit(": c\nid: 7\ndata: {\"choices\":[],\"usage\":null}\n\n", false, ": c\nid: 7\ndata: {\"choices\":[]}\n\n");
	/* alone: the whole chunk */
	event(false, "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n", GW_EV_DROP, false,
	      NULL);
	event(false, "data: {\"id\":\"x\",\"choices\": [ ],\"usage\":{}}\n\n", GW_EV_DROP, false, NULL);
	event(false, "data: {\"id\":\"x\",\"usage\":{\"prompt_tokens\":1}}\n\n", GW_EV_DROP, false, NULL);
	event(true, "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n", GW_EV_PASS, false,
	      "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n");
	/* somebody else's usage stays */
	pass("data: {\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":1}}}\n\n", false);
	/* data in several lines */
	edit("id: 1\ndata: {\"id\":\"x\",\ndata: \"usage\":null,\nretry: 5\ndata: \"b\":2}\n\n", false,
	     "id: 1\ndata: {\"id\":\"x\",\ndata: \"b\":2}\nretry: 5\n\n");
	edit("\xef\xbb\xbf"
	     "data: {\"id\":\"x\",\ndata: \"usage\":null}\n\n",
	     false, "data: {\"id\":\"x\"}\n\n");
}

static void errors(void **st)
{
	(void)st;
	event(false, "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"c\"}}\n\n", GW_EV_ERROR,
	      false, "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"c\"}}\n\n");
	assert_str(gw_scan_str(&values[GW_UP_ERROR_CODE]), "c");
	assert_str(gw_scan_str(&values[GW_UP_ERROR_TYPE]), "server_error");
	assert_str(gw_scan_str(&values[GW_UP_ERROR_MESSAGE]), "m");
	event(false, "data: {\"error\":\"text\"}\n\n", GW_EV_ERROR, false, "data: {\"error\":\"text\"}\n\n");
	event(true, "event: error\ndata: {\"message\":\"m\"}\n\n", GW_EV_ERROR, false,
	      "event: error\ndata: {\"message\":\"m\"}\n\n");
	pass("data: {\"choices\":[],\"error\":null}\n\n", false);
	pass("data: {\"choices\":[],\"error\":false}\n\n", false);
	pass("data: {\"choices\":[],\"error\":\"\"}\n\n", false);
	pass("data: {\"choices\":[],\"error\":{ }}\n\n", false);
}

static void not_json(void **st)
{
	static const char *const texts[] = { "hello",
					     "[]",
					     "{",
					     "{\"a\"}",
					     "{\"a\":}",
					     "{\"a\":1,}",
					     "{\"a\":1",
					     "{\"a\":\"x}",
					     "{\"a\":1}}",
					     "{\"a\":1}x",
					     "{,}",
					     "{\"a\":1 \"b\":2}",
					     "null",
					     "{\"choices\":[{]}",
					     "{\"choices\":[{},]}",
					     "{\"choices\":[{\"delta\":{\"content\":\"a}}]}",
					     "[DONE] ?",
					     "{\"usage\":null,\"usage\":{\"prompt_tokens\":1}}",
					     "<html>",
					     "{\"a\":\"\\\"}" };

	(void)st;
	for (size_t i = 0; i < N_OF(texts); i++) {
		char raw[256];

		snprintf(raw, sizeof(raw), "data: %s\n\n", texts[i]);
		garbled(raw);
	}
}

static void picked_values(void **st)
{
	(void)st;
	event(false, "data: {\"id\":\"i\",\"model\":\"m-2\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n",
	      GW_EV_PASS, false,
	      "data: {\"id\":\"i\",\"model\":\"m-2\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n");
	assert_str(gw_scan_str(&values[GW_UP_MODEL]), "m-2");
	assert_str(gw_scan_str(&values[GW_UP_ID]), "i");
	pass(
	    "data: "
	    "{\"id\":\"i\",\"model\":\"m-2\",\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n",
	    true);
	assert_false(ev_out.has_values);
	pass("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n", false);
	assert_str(gw_scan_str(&values[GW_UP_FINISH]), "length");
}

/* Damage of any kind: an answer, and no read outside of the bytes. */
static void damaged(void **st)
{
	static const char whole[] = "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\\"b\"},"
				    "\"finish_reason\":null}],\"usage\":null,\"p\":\"q\"}";

	(void)st;
	for (int i = 0; i < 60000; i++) {
		struct gw_str e = exact(gw_str(whole, 1 + rng_below(sizeof(whole) - 1)));
		struct gw_sse_event ev = { .raw = e, .event = GW_LIT(""), .data = e, .has_data = true };
		struct gw_chat_event out;
		enum gw_err err;

		for (size_t k = rng_below(3); k > 0; k--)
			((char *)(uintptr_t)e.p)[rng_below(e.n)] = "\"{}[]:,\\ nu0"[rng_below(11)];
		err = gw_chat_event(&ev, rng_below(2), NULL, values, &scratch, &out);
		assert_true(err == GW_OK || err == GW_E_UP_GARBLED);
		free((char *)(uintptr_t)e.p);
	}
}

/* One event, looked at with the shape of those before it and without any. */
static bool same_with_shape(struct gw_str data, struct gw_chat_shape *shape)
{
	struct gw_str e = exact(data);
	struct gw_sse_event ev = { .raw = e, .event = GW_LIT(""), .data = e, .has_data = true };
	struct gw_chat_event with, without;
	bool wants_usage = rng_below(3) == 0,
	     is_hit = shape->before_n && data.n >= (size_t)shape->before_n + shape->after_n &&
		      memcmp(data.p, shape->text, shape->before_n) == 0 &&
		      memcmp(data.p + data.n - shape->after_n, shape->text + shape->before_n, shape->after_n) == 0;
	struct gw_buf edited;
	enum gw_err a, b;

	gw_buf_init(&edited, 4096);
	b = gw_chat_event(&ev, wants_usage, NULL, values, &edited, &without);
	a = gw_chat_event(&ev, wants_usage, shape, values, &scratch, &with);
	if (a != b || (!a && (with.kind != without.kind || with.has_content != without.has_content ||
			      with.has_values != without.has_values)))
		fail_msg("otherwise with a shape: %.*s", GW_FMT(data));
	if (!a && with.kind == GW_EV_EDIT)
		assert_same(with.edited, without.edited);
	gw_buf_done(&edited);
	free((char *)(uintptr_t)e.p);
	return is_hit;
}

static void shapes(void **st)
{
	static const char *const frames[][2] = {
		{ "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":", "},\"finish_reason\":null}]}" },
		{ "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":",
		  "},\"finish_reason\":\"stop\"}]}" },
		{ "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":", "},\"finish_reason\":null}]}" },
		{ "{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":", ",\"refusal\":\"no\"}}]}" },
		{ "{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":", "}}],\"usage\":null}" },
		{ "{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":", "}}],\"usage\":{\"prompt_tokens\":1}}" },
		{ "{\"id\":\"x\",\"error\":", "}" },
	};
	static const char *const texts[] = { "\"\"",
					     "\"word \"",
					     "\"\\\"\"",
					     "\"\\\\\"",
					     "\"a\\\\\\\"b\"",
					     "null",
					     "5",
					     "\"\\\"",
					     "\"x\"},\"y\":{\"z\":\"\"",
					     "\"a\",\"content\":\"b\"",
					     "\"a\"b\"" };
	struct gw_chat_shape shape = { 0 };
	unsigned n_hits = 0;

	(void)st;
	for (int i = 0; i < 60000; i++) {
		const char *const *f = frames[rng_below(4) ? 0 : rng_below(N_OF(frames))];
		char text[300];
		int n = snprintf(text, sizeof(text), "%s%s%s", f[0], texts[rng_below(N_OF(texts))], f[1]);

		if (rng_below(20) == 0)
			text[rng_below((size_t)n)] = "\"{}[]:,\\ nu0"[rng_below(11)];
		n_hits += same_with_shape(gw_str(text, (size_t)n), &shape);
	}
	assert_true(n_hits > 1000);
}

/* A chunk larger than a shape can hold is looked at each time; an event that is called an error never has the shape of a chunk. */
static void no_shape(void **st)
{
	struct gw_chat_shape shape = { 0 };
	struct gw_sse_event ev = { .has_data = true, .event = GW_LIT("") };
	struct gw_chat_event out;
	char text[2048];

	(void)st;
	ev.data = GW_LIT("{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}");
	assert_int_equal(gw_chat_event(&ev, false, &shape, values, &scratch, &out), GW_OK);
	assert_int_not_equal(shape.before_n, 0);
	ev.event = GW_LIT("error");
	assert_int_equal(gw_chat_event(&ev, false, &shape, values, &scratch, &out), GW_OK);
	assert_int_equal(out.kind, GW_EV_ERROR);
	ev.event = GW_LIT("");
	int n = snprintf(text, sizeof(text), "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"p\":\"%0900d\"}", 7);
	ev.data = gw_str(text, (size_t)n);
	assert_int_equal(gw_chat_event(&ev, false, &shape, values, &scratch, &out), GW_OK);
	assert_true(out.has_content);
	assert_int_equal(shape.before_n, 0);
}

static double event_ns(const char *data)
{
	enum { N = 200000 };
	struct gw_sse_event ev = {
		.raw = gw_str_z(data), .event = GW_LIT(""), .data = gw_str_z(data), .has_data = true
	};
	struct timespec t0, t1;
	struct gw_chat_event out;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (int i = 0; i < N; i++)
		assert_int_equal(gw_chat_event(&ev, false, NULL, values, &scratch, &out), GW_OK);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	return ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / N;
}

#define HEAD                                                                                                           \
	"{\"id\":\"chatcmpl-C4HqHBe4xca0k0EzsCnf1t6V3YFXp\",\"object\":\"chat.completion.chunk\",\"created\":"         \
	"1755137933,"                                                                                                  \
	"\"model\":\"gpt-5-nano-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{"  \
	"\"index\":0,\"delta\":"
/* Printed, not judged. */
static void speed(void **st)
{
	(void)st;
	print_message(
	    "ns per event: content %.0f, usage:null %.0f, first %.0f\n",
	    event_ns(HEAD "{\"content\":\" about\"},\"finish_reason\":null}],\"obfuscation\":\"AhjV0cXZqo72k8\"}"),
	    event_ns(
		HEAD
		"{\"content\":\" about\"},\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"AhjV0cXZqo72k8\"}"),
	    event_ns(HEAD "{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"obfuscation\":"
			  "\"AhjV0cXZqo72k8\"}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content),  cmocka_unit_test(usage_goes),    cmocka_unit_test(errors),
		cmocka_unit_test(not_json), cmocka_unit_test(picked_values), cmocka_unit_test(damaged),
		cmocka_unit_test(shapes),   cmocka_unit_test(no_shape),      cmocka_unit_test(speed),
	};
	int failed;

	gw_buf_init(&scratch, 4 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_buf_done(&scratch);
	return failed;
}
