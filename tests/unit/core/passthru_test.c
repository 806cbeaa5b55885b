/* Chat requests: what is read and refused, and that a splice changes what it must and no byte else. */
#include "tests/unit/lib/util.h"

#include <dirent.h>
#include <time.h>

#include "core/passthru_impl.h"

static struct gw_arena arena;
static struct gw_str param, why;

static enum gw_err read_body(struct gw_str body, struct gw_chat_request *rq)
{
	*rq = (struct gw_chat_request){ 0 };
	param = why = GW_NIL;
	return gw_chat_read(&arena, body, rq, &param, &why);
}

#define MSG "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void good(void **st)
{
	struct gw_chat_request q;

	(void)st;
	assert_int_equal(read_body(GW_LIT("{\"model\":\"gpt\\u002d4o\"," MSG "}"), &q), GW_OK);
	assert_str(q.model, "gpt-4o");
	assert_int_equal(q.n_messages, 1);
	assert_false(q.is_stream);
	assert_int_equal(q.max_tokens, -1);
	assert_int_equal(
	    read_body(
		GW_LIT(" {\"model\":\"m\",\"messages\":[{\"role\":\"system\"},{\"role\":\"user\"}],\"stream\":true,"
		       "\"stream_options\":{\"include_usage\":true},\"max_tokens\":7,\"user\":\"u\",\"n\":2,"
		       "\"temperature\":0.5,"
		       "\"top_p\":1,\"tools\":[],\"metadata\":{\"session_id\":\"s\",\"action_id\":\"a\",\"tags\":\"x,"
		       "y\",\"other\":\"o\"},"
		       "\"unknown\":{\"x\":[1]}} \n"),
		&q),
	    GW_OK);
	assert_true(q.is_stream && q.wants_usage);
	assert_int_equal(q.n_messages, 2);
	assert_int_equal(q.max_tokens, 7);
	assert_str(q.user, "u");
	assert_str(q.session_id, "s");
	assert_str(q.action_id, "a");
	assert_str(q.tags, "x,y");
	/* null is as if it were not there */
	assert_int_equal(
	    read_body(GW_LIT("{\"model\":\"m\"," MSG
			     ",\"stream\":null,\"stream_options\":null,\"n\":null,\"max_tokens\":null,\"tools\":null,"
			     "\"temperature\":null,\"metadata\":null,\"user\":null}"),
		      &q),
	    GW_OK);
	assert_false(q.is_stream);
	assert_int_equal(
	    read_body(GW_LIT("{\"model\":\"m\"," MSG
			     ",\"max_tokens\":5,\"max_completion_tokens\":9,\"safety_identifier\":\"id\"}"),
		      &q),
	    GW_OK);
	assert_int_equal(q.max_tokens, 9);
	assert_str(q.user, "id");
	assert_int_equal(
	    read_body(GW_LIT("{\"model\":\"m\"," MSG ",\"stream\":true,\"stream_options\":{\"include_usage\":false}}"),
		      &q),
	    GW_OK);
	assert_true(q.is_stream && !q.wants_usage);
}

static void refused(void **st)
{
	static const struct {
		const char *body;
		enum gw_err err;
		const char *param, *words;
	} all[] = {
		{ "", GW_E_SYNTAX, "", "line 1" },
		{ "[]", GW_E_SYNTAX, "", "" },
		{ "{\"model\":\"m\"," MSG "", GW_E_SYNTAX, "", "" },
		{ "{\"model\":\"m\",\"model\":\"n\"," MSG "}", GW_E_SYNTAX, "", "duplicate" },
		{ "{\"model\":\"m\",\"mod\\u0065l\":\"n\"," MSG "}", GW_E_SYNTAX, "", "duplicate" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"content\":\"b\"}]}",
		  GW_E_SYNTAX, "", "duplicate" },
		{ "{\"model\":\"m\",\"Model\":\"n\"," MSG "}", GW_E_SYNTAX, "Model", "upper and lower case" },
		{ "{\"model\":\"m\",\"\xc5\xbftream\":true," MSG "}", GW_E_SYNTAX, "\xc5\xbftream",
		  "upper and lower case" },
		{ "{\"model\":\"m\",\"toolS\\u017f\":true,\"logit_bia\\u017f\":1," MSG "}", GW_E_SYNTAX,
		  "logit_bia\xc5\xbf", "upper and lower case" },
		{ "{\"model\":\"m\",\"MESSAGES\":[]," MSG "}", GW_E_SYNTAX, "MESSAGES", "upper and lower case" },
		{ "{\"model\":\"m\",\"mess\\u0041ges\":[]," MSG "}", GW_E_SYNTAX, "messAges", "upper and lower case" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"Content\":\"b\"}]}",
		  GW_E_SYNTAX, "Content", "upper and lower" },
		{ "{\"model\":\"m\"," MSG ",\"tools\":[{\"function\":{\"Parameters\":{}}}]}", GW_E_SYNTAX, "Parameters",
		  "upper and lower" },
		{ "{" MSG "}", GW_E_MISSING, "model", "model is required" },
		{ "{\"model\":null," MSG "}", GW_E_MISSING, "model", "" },
		{ "{\"model\":\"\"," MSG "}", GW_E_INVALID, "model", "not be empty" },
		{ "{\"model\":4," MSG "}", GW_E_INVALID, "model", "must be text" },
		{ "{\"model\":\"m\"}", GW_E_MISSING, "messages", "required" },
		{ "{\"model\":\"m\",\"messages\":[]}", GW_E_INVALID, "messages", "at least one" },
		{ "{\"model\":\"m\",\"messages\":\"hi\"}", GW_E_INVALID, "messages", "must be a list" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"},\"x\"]}", GW_E_INVALID, "messages[1]",
		  "must be an object" },
		{ "{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}", GW_E_MISSING, "messages[0].role", "" },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":1}]}", GW_E_INVALID, "messages[0].role", "" },
		{ "{\"model\":\"m\"," MSG ",\"stream\":\"yes\"}", GW_E_INVALID, "stream", "true or false" },
		{ "{\"model\":\"m\"," MSG ",\"stream\":1}", GW_E_INVALID, "stream", "true or false" },
		{ "{\"model\":\"m\"," MSG ",\"stream_options\":{}}", GW_E_INVALID, "stream_options",
		  "only allowed with" },
		{ "{\"model\":\"m\"," MSG ",\"stream\":false,\"stream_options\":{}}", GW_E_INVALID, "stream_options",
		  "only allowed with" },
		{ "{\"model\":\"m\"," MSG ",\"stream\":true,\"stream_options\":[]}", GW_E_INVALID, "stream_options",
		  "an object" },
		{ "{\"model\":\"m\"," MSG ",\"stream\":true,\"stream_options\":{\"include_usage\":1}}", GW_E_INVALID,
		  "stream_options.include_usage", "true or" },
		{ "{\"model\":\"m\"," MSG ",\"n\":0}", GW_E_INVALID, "n", "at least 1" },
		{ "{\"model\":\"m\"," MSG ",\"n\":1.5}", GW_E_INVALID, "n", "whole number" },
		{ "{\"model\":\"m\"," MSG ",\"max_tokens\":-1}", GW_E_INVALID, "max_tokens", "at least 1" },
		{ "{\"model\":\"m\"," MSG ",\"max_completion_tokens\":\"9\"}", GW_E_INVALID, "max_completion_tokens",
		  "whole" },
		{ "{\"model\":\"m\"," MSG ",\"temperature\":\"hot\"}", GW_E_INVALID, "temperature", "a number" },
		{ "{\"model\":\"m\"," MSG ",\"top_p\":true}", GW_E_INVALID, "top_p", "a number" },
		{ "{\"model\":\"m\"," MSG ",\"tools\":{}}", GW_E_INVALID, "tools", "a list" },
		{ "{\"model\":\"m\"," MSG ",\"metadata\":[]}", GW_E_INVALID, "metadata", "text pairs" },
		{ "{\"model\":\"m\"," MSG ",\"metadata\":{\"a\":\"b\",\"k\":1}}", GW_E_INVALID, "metadata.k",
		  "must be text" },
		{ "{\"model\":\"m\"," MSG ",\"user\":7}", GW_E_INVALID, "user", "must be text" },
	};
	struct gw_chat_request q;

	(void)st;
	for (size_t i = 0; i < N_OF(all); i++) {
		enum gw_err e = read_body(gw_str_z(all[i].body), &q);

		if (e != all[i].err || !gw_str_eq(param, gw_str_z(all[i].param)) ||
		    (all[i].words[0] && (!why.n || !memmem(why.p, why.n, all[i].words, strlen(all[i].words)))))
			fail_msg("%s: %s, '%.*s', '%.*s'", all[i].body, gw_err_info(e)->name, GW_FMT(param),
				 GW_FMT(why));
		assert_null(q.model.p); /* untouched */
	}
}

/* The caller's own names may be spelt as the caller likes. */
static void free_form(void **st)
{
	static const char *const bodies[] = {
		"{\"model\":\"m\"," MSG
		",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
		"\"properties\":{\"Name\":{\"type\":\"string\"},\"Model\":{\"type\":\"string\"},\"URL\":{\"Type\":1}}}}"
		"}]}",
		"{\"model\":\"m\"," MSG ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
		"\"n\",\"schema\":{\"properties\":{\"User\":{}}}}}}",
		"{\"model\":\"m\"," MSG ",\"metadata\":{\"User\":\"x\",\"Session_ID\":\"y\"}}",
	};
	struct gw_chat_request q;

	(void)st;
	for (size_t i = 0; i < N_OF(bodies); i++) {
		if (read_body(gw_str_z(bodies[i]), &q))
			fail_msg("%s: %.*s", bodies[i], GW_FMT(why));
		assert_str(q.model, "m");
		assert_true(q.model_span.len == 3 && q.n_messages == 1);
	}
	/* but not beside one */
	assert_int_equal(read_body(GW_LIT("{\"model\":\"m\"," MSG
					  ",\"tools\":[{\"function\":{\"parameters\":{\"Name\":1},\"Name\":\"f\"}}]}"),
				   &q),
			 GW_E_SYNTAX);
	assert_str(param, "Name");
}

/* ---- splice ---- */

static struct gw_str joined(struct gw_str body, const struct gw_chat_request *q, struct gw_str model,
			    struct gw_buf *out)
{
	struct gw_str pieces[8];
	uint32_t n = 0;

	assert_int_equal(gw_chat_splice(&arena, body, q, model, pieces, &n), GW_OK);
	assert_in_range(n, 1, 8);
	gw_buf_init(out, 64 << 20);
	for (uint32_t i = 0; i < n; i++)
		gw_buf_puts(out, pieces[i]);
	return gw_buf_view(out);
}

static void spliced(const char *body, const char *model, const char *want)
{
	struct gw_chat_request q;
	struct gw_buf b;

	assert_int_equal(read_body(gw_str_z(body), &q), GW_OK);
	assert_str(joined(gw_str_z(body), &q, gw_str_z(model), &b), want);
	gw_buf_done(&b);
}

static void splices(void **st)
{
	(void)st;
	spliced("{\"model\":\"m\"," MSG "}", "up", "{\"model\":\"up\"," MSG "}");
	spliced("{\"model\":\"m\"," MSG "}", "m", "{\"model\":\"m\"," MSG "}");
	spliced("{ " MSG " , \"model\" :\t\"m\" }\n", "up", "{ " MSG " , \"model\" :\t\"up\" }\n");
	spliced("{\"model\":\"m\"," MSG "}", "a\"\\\n", "{\"model\":\"a\\\"\\\\\\u000a\"," MSG "}");
	spliced("{\"stream\":true,\"model\":\"m\"," MSG "}", "up",
		"{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\":\"up\"," MSG "}");
	spliced("{\"model\":\"m\"," MSG ",\"stream\": true }", "up",
		"{\"model\":\"up\"," MSG ",\"stream\": true,\"stream_options\":{\"include_usage\":true} }");
	spliced("{\"model\":\"m\",\"stream\":true,\"stream_options\":null," MSG "}", "up",
		"{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," MSG "}");
	spliced("{\"model\":\"m\",\"stream\":true,\"stream_options\":{ }," MSG "}", "up",
		"{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true }," MSG "}");
	spliced("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}," MSG "}", "up",
		"{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":"
		"false}," MSG "}");
	spliced("{\"stream_options\":{\"include_usage\":false},\"stream\":true,\"model\":\"m\"," MSG "}", "up",
		"{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"up\"," MSG "}");
	spliced("{\"stream_options\":{\"include_usage\":null},\"stream\":true,\"model\":\"m\"," MSG "}", "m",
		"{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"m\"," MSG "}");
	spliced("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," MSG "}", "up",
		"{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," MSG "}");
	spliced("{\"model\":\"m\",\"stream\":false," MSG "}", "up", "{\"model\":\"up\",\"stream\":false," MSG "}");
}

/* Read again, a spliced body has the new model and asks for usage, and in all else it is the body before. */
static void check_splice(struct gw_str body)
{
	struct gw_mark mark = gw_arena_mark(&arena);
	struct gw_chat_request q, again;
	struct gw_json_fault f;
	yyjson_doc *before, *after;
	yyjson_mut_doc *left, *right;
	struct gw_buf b;
	struct gw_str out;

	if (read_body(body, &q))
		fail_msg("%.*s: %.*s", (int)(body.n < 200 ? body.n : 200), body.p, GW_FMT(why));
	out = joined(body, &q, GW_LIT("vendor/model-x:7b"), &b);
	assert_int_equal(read_body(out, &again), GW_OK);
	assert_str(again.model, "vendor/model-x:7b");
	assert_int_equal(again.is_stream, q.is_stream);
	assert_int_equal(again.wants_usage, q.is_stream);
	assert_int_equal(gw_json_read(body, &gw_json_default_limits, &before, &f), GW_OK);
	assert_int_equal(gw_json_read(out, &gw_json_default_limits, &after, &f), GW_OK);
	left = yyjson_doc_mut_copy(before, NULL);
	right = yyjson_doc_mut_copy(after, NULL);
	for (int i = 0; i < 2; i++) { /* without the two members that may differ they are equal */
		yyjson_mut_val *o = yyjson_mut_doc_get_root(i ? right : left);
		yyjson_mut_val *opt = yyjson_mut_obj_get(o, "stream_options");

		yyjson_mut_obj_remove_key(o, "model");
		if (opt && yyjson_mut_is_obj(opt))
			yyjson_mut_obj_remove_key(opt, "include_usage");
		if (opt && (!yyjson_mut_is_obj(opt) || yyjson_mut_obj_size(opt) == 0))
			yyjson_mut_obj_remove_key(o, "stream_options");
	}
	assert_true(yyjson_mut_equals(yyjson_mut_doc_get_root(left), yyjson_mut_doc_get_root(right)));
	yyjson_mut_doc_free(left);
	yyjson_mut_doc_free(right);
	yyjson_doc_free(before);
	yyjson_doc_free(after);
	gw_buf_done(&b);
	gw_arena_reset(&arena, mark);
}

static void random_splices(void **st)
{
	static const char *const parts[] = {
		"\"model\":\"m\"",
		MSG,
		"\"stream\":true",
		"\"stream\":false",
		"\"stream\" : null",
		"\"stream_options\":{\"include_usage\":false}",
		"\"stream_options\":{}",
		"\"stream_options\": { \"include_obfuscation\" : true , \"include_usage\" : null }",
		"\"stream_options\":null",
		"\"x\":[1,2,{\"model\":\"inner\",\"stream\":true}]",
		"\"user\":\"\\ud83d\\ude00\"",
		"\"n\":3",
		"\"stop\":[\"\\\"model\\\":\"]",
	};

	(void)st;
	for (int round = 0; round < 20000; round++) {
		unsigned order[8], n = 0;
		bool has_stream = rng_below(2);
		struct gw_buf b;

		order[n++] = 0;
		order[n++] = 1;
		order[n++] = has_stream ? 2 : 3 + (unsigned)rng_below(2);
		if (rng_below(2))
			order[n++] = has_stream ? 5 + (unsigned)rng_below(4) : 8;
		for (unsigned k = 9; k < 13; k++) {
			if (rng_below(3) == 0)
				order[n++] = k;
		}
		for (unsigned k = n - 1; k > 0; k--) {
			unsigned other = (unsigned)rng_below(k + 1), x = order[k];

			order[k] = order[other];
			order[other] = x;
		}
		gw_buf_init(&b, 65536);
		gw_buf_puts(&b, GW_LIT("{"));
		for (unsigned k = 0; k < n; k++)
			gw_buf_printf(&b, "%s%s%s", k ? "," : "", rng_below(4) ? "" : "\n ", parts[order[k]]);
		gw_buf_puts(&b, GW_LIT("}"));
		check_splice(gw_buf_view(&b));
		gw_buf_done(&b);
	}
}

static bool has_shared;

/* Recorded requests of real clients to all OpenAI-compatible providers. */
static unsigned fixtures_of(const char *provider)
{
	char dir[1024], path[2048];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/fixtures/%s", getenv("LLMGW_SHARED"), provider);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		struct gw_str body;

		if (strncmp(e->d_name, "chat__", 6) && strncmp(e->d_name, "chat-stream__", 13))
			continue;
		snprintf(path, sizeof(path), "fixtures/%s/%s/request.json", provider, e->d_name);
		body = shared_file(path);
		if (!body.p)
			continue;
		check_splice(body);
		n++;
		free((char *)(uintptr_t)body.p);
	}
	if (d)
		closedir(d);
	return n;
}

static void recorded(void **st)
{
	static const char *const providers[] = { "openai",  "openai-compat",      "groq",     "deepseek",
						 "mistral", "together",           "xai",      "openrouter",
						 "azure",   "perplexity",         "cerebras", "moonshotai",
						 "alibaba", "huggingface-router", "zai" };
	unsigned n = 0;

	(void)st;
	if (!has_shared)
		skip();
	for (size_t i = 0; i < N_OF(providers); i++)
		n += fixtures_of(providers[i]);
	print_message("%u recorded requests\n", n);
	assert_true(n >= 60);
}

static void speed(void **st)
{
	enum { N = 20000 };
	struct timespec t0, t1;
	struct gw_chat_request q;
	struct gw_str pieces[8];
	uint32_t n;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 65536);
	gw_buf_puts(&b, GW_LIT("{\"model\":\"gpt-4o\",\"stream\":true,\"temperature\":0.2,\"messages\":[{\"role\":"
			       "\"system\",\"content\":\"You are.\"},"
			       "{\"role\":\"user\",\"content\":\""));
	while (b.n < 1000)
		gw_buf_puts(&b, GW_LIT("words and words, "));
	gw_buf_puts(&b, GW_LIT("\"}]}"));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (int i = 0; i < N; i++) {
		struct gw_mark m = gw_arena_mark(&arena);

		assert_int_equal(read_body(gw_buf_view(&b), &q), GW_OK);
		assert_int_equal(gw_chat_splice(&arena, gw_buf_view(&b), &q, GW_LIT("up"), pieces, &n), GW_OK);
		gw_arena_reset(&arena, m);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	print_message("ns per 1 kB request, read and spliced: %.0f\n",
		      ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / N);
	gw_buf_done(&b);
}

static void small_arenas(void **st)
{
	struct gw_str body = GW_LIT("{\"model\":\"m\\u0031\"," MSG
				    ",\"stream\":true,\"metadata\":{\"session_id\":\"s\\u0032\"},\"Extra\":1}");

	(void)st;
	for (size_t max = 0; max < 512; max++) {
		static char first[512];
		struct gw_arena a;
		struct gw_chat_request q;
		struct gw_str pieces[8], p, w;
		uint32_t n;
		enum gw_err e;

		gw_arena_init(&a, first, max, max);
		e = gw_chat_read(&a, body, &q, &p, &w);
		assert_true(e == GW_OK || e == GW_E_NOMEM);
		if (!e) {
			e = gw_chat_splice(&a, body, &q, GW_LIT("a longer name"), pieces, &n);
			assert_true(e == GW_OK || e == GW_E_NOMEM);
		}
		gw_arena_done(&a);
	}
}

static void known_names_are_in_order(void **state)
{
	(void)state;
	assert_true(gw_passthru_known_is_sound());
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(known_names_are_in_order),
					    cmocka_unit_test(good),
					    cmocka_unit_test(refused),
					    cmocka_unit_test(free_form),
					    cmocka_unit_test(splices),
					    cmocka_unit_test(random_splices),
					    cmocka_unit_test(recorded),
					    cmocka_unit_test(small_arenas),
					    cmocka_unit_test(speed) };
	struct gw_str index = shared_file("fixtures/INDEX.tsv");
	int failed;

	has_shared = index.p != NULL;
	free((char *)(uintptr_t)index.p);
	gw_arena_init(&arena, NULL, 0, 64 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_arena_done(&arena);
	return failed || has_shared ? failed : skip_all("no recorded requests: LLMGW_SHARED has no fixtures/");
}
