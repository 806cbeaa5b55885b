/* Streams passed through: recorded streams of many providers against what yyjson says they should become,
 * and that how the bytes arrive changes nothing. */
#include "tests/unit/lib/util.h"

#include <dirent.h>

#include "core/passthru.h"
#include "core/usage.h"
#include "lib/json.h"

static struct gw_buf scratch;
static struct gw_scan_value values[GW_UP_PATHS];

struct relay {
	bool wants_usage;
	struct gw_buf sent;
	struct gw_usage usage;
	struct gw_buf finish;
	unsigned n_events, first_content; /* number of the first event with content, from 1 */
	bool is_error;
	struct gw_chat_shape shape;
};

static void on_relay(void *ctx, const struct gw_sse_event *ev)
{
	struct relay *r = ctx;
	struct gw_chat_event out;

	r->n_events++;
	assert_int_equal(gw_chat_event(ev, r->wants_usage, &r->shape, values, &scratch, &out), GW_OK);
	if (out.has_values)
		gw_usage_take(&r->usage, values);
	if (out.has_values && values[GW_UP_FINISH].type == GW_JSON_STR) {
		gw_buf_clear(&r->finish, 4096);
		gw_buf_puts(&r->finish, gw_scan_str(&values[GW_UP_FINISH]));
	}
	if (out.has_content && !r->first_content)
		r->first_content = r->n_events;
	r->is_error |= out.kind == GW_EV_ERROR;
	if (out.kind == GW_EV_EDIT)
		gw_buf_puts(&r->sent, out.edited);
	else if (out.kind != GW_EV_DROP)
		gw_buf_puts(&r->sent, ev->raw);
}

static struct relay relay(struct gw_str stream, bool wants_usage, size_t cut)
{
	struct relay r = { .wants_usage = wants_usage };
	struct gw_sse s;

	gw_buf_init(&r.sent, 16 << 20);
	gw_buf_init(&r.finish, 4096);
	gw_sse_init(&s, 1 << 20, 4 << 20);
	for (size_t at = 0; at < stream.n; at += cut)
		assert_int_equal(
		    gw_sse_feed(&s, stream.p + at, at + cut < stream.n ? cut : stream.n - at, on_relay, &r), GW_OK);
	assert_int_equal(gw_sse_end(&s, on_relay, &r), GW_OK);
	gw_sse_done(&s);
	return r;
}

static void relay_done(struct relay *r)
{
	gw_buf_done(&r->sent);
	gw_buf_done(&r->finish);
}

/* What the relay should do, said with a tree: written without looking at core/passthru_event.c's ways. */
struct expect {
	struct gw_buf events; /* JSON of each event that goes out, one a line */
	struct gw_usage usage;
	bool has_content;
};

static void put_tree(struct gw_buf *b, yyjson_mut_doc *d)
{
	size_t n = 0;
	char *text = yyjson_mut_write(d, YYJSON_WRITE_NOFLAG, &n);

	gw_buf_put(b, text, n);
	gw_buf_putc(b, '\n');
	free(text);
}

static uint64_t number_at(yyjson_val *o, const char *a, const char *b)
{
	yyjson_val *v = yyjson_obj_get(o, a);

	return yyjson_get_uint(b ? yyjson_obj_get(v, b) : v);
}

static bool has_more(yyjson_val *v)
{
	return yyjson_is_str(v) ? yyjson_get_len(v) > 0 : yyjson_arr_size(v) + yyjson_obj_size(v) > 0;
}

static bool content_of(yyjson_val *root)
{
	static const char *const names[] = { "content",    "refusal",       "reasoning", "reasoning_content",
					     "tool_calls", "function_call", "audio",     "reasoning_details" };
	yyjson_val *choice;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(root, "choices"), i, n, choice)
	{
		for (size_t k = 0; k < N_OF(names); k++) {
			if (has_more(yyjson_obj_get(yyjson_obj_get(choice, "delta"), names[k])))
				return true;
		}
	}
	return false;
}

static void on_expect(void *ctx, const struct gw_sse_event *ev)
{
	struct expect *x = ctx;
	yyjson_doc *d = yyjson_read(ev->data.p, ev->data.n, 0);
	yyjson_val *root = yyjson_doc_get_root(d), *usage = yyjson_obj_get(root, "usage");
	yyjson_mut_doc *m;

	if (!d)
		return;
	x->has_content |= content_of(root);
	if (usage && !yyjson_is_null(usage)) {
		x->usage = (struct gw_usage){
			.is_known = true,
			.input = number_at(usage, "prompt_tokens", NULL),
			.output = number_at(usage, "completion_tokens", NULL),
			.cache_read = number_at(usage, "prompt_tokens_details", "cached_tokens"),
			.reasoning = number_at(usage, "completion_tokens_details", "reasoning_tokens"),
		};
		if (number_at(usage, "total_tokens", NULL) == x->usage.input + x->usage.output + x->usage.reasoning)
			x->usage.output += x->usage.reasoning; /* told beside the output (xAI) */
		if (x->usage.cache_read > x->usage.input)
			x->usage.cache_read = x->usage.input; /* more cached than there is (xAI on Azure) */
		if (yyjson_arr_size(yyjson_obj_get(root, "choices")) == 0) {
			yyjson_doc_free(d);
			return;
		}
	}
	m = yyjson_doc_mut_copy(d, NULL);
	yyjson_mut_obj_remove_key(yyjson_mut_doc_get_root(m), "usage");
	put_tree(&x->events, m);
	yyjson_mut_doc_free(m);
	yyjson_doc_free(d);
}

static void on_sent(void *ctx, const struct gw_sse_event *ev)
{
	yyjson_doc *d = yyjson_read(ev->data.p, ev->data.n, 0);

	if (d) {
		yyjson_mut_doc *m = yyjson_doc_mut_copy(d, NULL);

		put_tree(ctx, m);
		yyjson_mut_doc_free(m);
	}
	yyjson_doc_free(d);
}

static void each_event(struct gw_str stream, gw_sse_fn *fn, void *ctx)
{
	struct gw_sse s;

	gw_sse_init(&s, 1 << 20, 4 << 20);
	assert_int_equal(gw_sse_feed(&s, stream.p, stream.n, fn, ctx), GW_OK);
	assert_int_equal(gw_sse_end(&s, fn, ctx), GW_OK);
	gw_sse_done(&s);
}

static void check_against_tree(const char *name, struct gw_str stream)
{
	struct expect x = { 0 };
	struct relay r = relay(stream, false, stream.n);
	struct gw_buf got;

	gw_buf_init(&x.events, 16 << 20);
	gw_buf_init(&got, 16 << 20);
	each_event(stream, on_expect, &x);
	each_event(gw_buf_view(&r.sent), on_sent, &got);
	if (!gw_str_eq(gw_buf_view(&got), gw_buf_view(&x.events)))
		fail_msg("%s: sent\n%.*s\nexpected\n%.*s", name, GW_FMT(gw_buf_view(&got)),
			 GW_FMT(gw_buf_view(&x.events)));
	assert_int_equal(r.usage.is_known, x.usage.is_known);
	assert_int_equal(r.usage.input, x.usage.input);
	assert_int_equal(r.usage.output, x.usage.output);
	assert_int_equal(r.usage.cache_read, x.usage.cache_read);
	assert_int_equal(r.usage.reasoning, x.usage.reasoning);
	assert_int_equal(r.first_content > 0, x.has_content);
	gw_buf_done(&x.events);
	gw_buf_done(&got);
	relay_done(&r);
}

/* A client that asked for usage gets the provider's bytes. */
static void check_untouched(struct gw_str stream)
{
	struct relay r = relay(stream, true, stream.n);

	assert_same(gw_buf_view(&r.sent), gw_str(stream.p, r.sent.n));
	relay_done(&r);
}

static void check_cuts(struct gw_str stream)
{
	static const size_t cuts[] = { 1, 2, 3, 7, 64, 1000 };
	struct relay whole = relay(stream, false, stream.n);

	for (size_t i = 0; i < N_OF(cuts); i++) {
		struct relay r = relay(stream, false, cuts[i]);

		assert_same(gw_buf_view(&r.sent), gw_buf_view(&whole.sent));
		assert_same(gw_buf_view(&r.finish), gw_buf_view(&whole.finish));
		assert_memory_equal(&r.usage, &whole.usage, sizeof(r.usage));
		assert_int_equal(r.first_content, whole.first_content);
		assert_int_equal(r.is_error, whole.is_error);
		relay_done(&r);
	}
	relay_done(&whole);
}

/* Every position of a short stream, cut in two. */
static void every_split(void **st)
{
	static const char stream[] =
	    ": hi\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\r\n\r\n"
	    "data: {\"choices\":[{\"delta\":{\"content\":\"a\\\"\"}}],\"usage\":null}\n\ndata: "
	    "{\"choices\":[{\"delta\":{},"
	    "\"finish_reason\":\"stop\"}]}\n\ndata: "
	    "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n"
	    "data: [DONE]\n\n";
	static const char want[] =
	    ": hi\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n"
	    "data: {\"choices\":[{\"delta\":{\"content\":\"a\\\"\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},"
	    "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

	(void)st;
	for (size_t at = 1; at < sizeof(stream) - 1; at++) {
		struct relay r = { 0 };
		struct gw_sse s;

		gw_buf_init(&r.sent, 1 << 20);
		gw_buf_init(&r.finish, 4096);
		gw_sse_init(&s, 1 << 20, 4 << 20);
		assert_int_equal(gw_sse_feed(&s, stream, at, on_relay, &r), GW_OK);
		assert_int_equal(gw_sse_feed(&s, stream + at, sizeof(stream) - 1 - at, on_relay, &r), GW_OK);
		assert_str(gw_buf_view(&r.sent), want);
		assert_int_equal(r.usage.input, 3);
		assert_int_equal(r.usage.output, 4);
		assert_str(gw_buf_view(&r.finish), "stop");
		gw_sse_done(&s);
		relay_done(&r);
	}
	check_cuts(GW_LIT(stream));
}

/* ---- recorded ---- */

static unsigned n_recorded, n_with_usage, n_errors;
static bool has_shared;

static void check_recorded(const char *name, struct gw_str stream)
{
	struct relay r = relay(stream, false, stream.n);

	n_with_usage += r.usage.is_known;
	n_errors += r.is_error;
	n_recorded++;
	relay_done(&r);
	check_against_tree(name, stream);
	check_untouched(stream);
	check_cuts(stream);
}

/* One JSON text a line, framing removed: frame it again. */
static struct gw_str reframe(struct gw_str lines)
{
	struct gw_buf b;

	gw_buf_init(&b, 64 << 20);
	while (lines.n) {
		struct gw_str line;

		gw_str_cut(lines, '\n', &line, &lines);
		line = gw_str_trim(line);
		if (line.n == 0)
			continue;
		gw_buf_puts(&b, GW_LIT("data: "));
		gw_buf_puts(&b, line);
		gw_buf_puts(&b, GW_LIT("\n\n"));
	}
	gw_buf_puts(&b, GW_LIT("data: [DONE]\n\n"));
	return gw_buf_view(&b); /* freed by the caller through .p */
}

static void recorded_of(const char *provider)
{
	char dir[1024], path[2048];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/fixtures/%s", getenv("LLMGW_SHARED"), provider);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		struct gw_str s;

		if (strncmp(e->d_name, "chat-stream__", 13))
			continue;
		snprintf(path, sizeof(path), "fixtures/%s/%s/response.sse", provider, e->d_name);
		s = shared_file(path);
		if (!s.p) {
			struct gw_str lines;

			snprintf(path, sizeof(path), "fixtures/%s/%s/response.chunks.txt", provider, e->d_name);
			lines = shared_file(path);
			if (!lines.p)
				continue;
			s = reframe(lines);
			free((char *)(uintptr_t)lines.p);
		}
		check_recorded(path, s);
		free((char *)(uintptr_t)s.p);
	}
	if (d)
		closedir(d);
}

static void recorded(void **st)
{
	static const char *const providers[] = { "openai",    "openai-compat", "groq",  "deepseek",   "mistral",
						 "xai",       "openrouter",    "azure", "perplexity", "alibaba",
						 "snowflake", "zai",           "ollama" };

	(void)st;
	if (!has_shared)
		skip();
	for (size_t i = 0; i < N_OF(providers); i++)
		recorded_of(providers[i]);
	print_message("%u recorded streams, %u with usage, %u with an error\n", n_recorded, n_with_usage, n_errors);
	assert_true(n_recorded >= 35 && n_with_usage >= 20 && n_errors >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_split), cmocka_unit_test(recorded) };
	struct gw_str index = shared_file("fixtures/INDEX.tsv");
	int failed;

	has_shared = index.p != NULL;
	free((char *)(uintptr_t)index.p);
	gw_buf_init(&scratch, 4 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_buf_done(&scratch);
	return failed || has_shared ? failed : skip_all("no recorded streams: LLMGW_SHARED has no fixtures/");
}
