/* The endpoints beside chat: what is read of a body, what is sent on, which events end a stream, which URLs may be relayed. */
#include "tests/unit/lib/util.h"

#include "core/api.h"

static struct gw_arena arena;

static const struct gw_endpoint_info *row(const char *name)
{
	for (unsigned i = 0; i < gw_n_endpoints; i++)
		if (strcmp(gw_endpoints[i].name, name) == 0)
			return &gw_endpoints[i];
	fail_msg("no row %s", name);
	return NULL;
}

static int setup(void **st)
{
	(void)st;
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	return 0;
}

static int teardown(void **st)
{
	(void)st;
	gw_arena_done(&arena);
	return 0;
}

static enum gw_err take(const char *name, const char *body, struct gw_chat_request *q, struct gw_api_units *u,
			const char *field)
{
	struct gw_str param = GW_NIL, why = GW_NIL;
	enum gw_err e = gw_api_read(&arena, row(name), gw_str_z(body), GW_NIL, q, u, &param, &why);

	if (e && field) {
		assert_str(param, field);
		assert_true(why.n > 0);
	}
	return e;
}

static void bodies(void **st)
{
	struct gw_chat_request q;
	struct gw_api_units u;

	(void)st;
	assert_int_equal(take("embeddings", "{\"model\":\"m\",\"input\":[\"a\"],\"user\":\"ann\"}", &q, &u, NULL),
			 GW_OK);
	assert_str(q.model, "m");
	assert_str(q.user, "ann");
	assert_null(u.unit);
	assert_int_equal(take("embeddings", "{\"input\":\"a\"}", &q, &u, "model"), GW_E_MISSING);
	assert_int_equal(take("embeddings", "{\"model\":\"\",\"input\":\"a\"}", &q, &u, "model"), GW_E_INVALID);
	assert_int_equal(take("embeddings", "{\"model\":7,\"input\":\"a\"}", &q, &u, "model"), GW_E_INVALID);
	assert_int_equal(take("embeddings", "{\"model\":\"m\"}", &q, &u, "input"), GW_E_MISSING);
	assert_int_equal(take("embeddings", "{\"model\":\"m\",\"input\":\"a\",\"Input\":\"b\"}", &q, &u, "Input"),
			 GW_E_SYNTAX);
	assert_int_equal(take("embeddings", "{\"model\":\"m\",\"input\":\"a\",\"MODEL\":\"b\"}", &q, &u, "MODEL"),
			 GW_E_SYNTAX);
	assert_int_equal(take("embeddings", "{\"model\":\"m\",\"model\":\"x\",\"input\":\"a\"}", &q, &u, NULL),
			 GW_E_SYNTAX);
	assert_int_equal(take("embeddings", "[]", &q, &u, NULL), GW_E_SYNTAX);
	assert_int_equal(take("embeddings", "", &q, &u, NULL), GW_E_SYNTAX);
	assert_int_equal(take("moderations", "{\"input\":\"a\"}", &q, &u, NULL), GW_OK);
	assert_str(q.model, "omni-moderation-latest");
	assert_int_equal(
	    take("responses.create",
		 "{\"model\":\"m\",\"input\":\"x\",\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}}",
		 &q, &u, NULL),
	    GW_OK);
	assert_true(q.is_stream && q.wants_usage);
	assert_int_equal(take("responses.create", "{\"model\":\"m\",\"stream\":\"yes\"}", &q, &u, "stream"),
			 GW_E_INVALID);
	assert_int_equal(
	    take("completions", "{\"model\":\"m\",\"prompt\":\"x\",\"stream_options\":{}}", &q, &u, "stream_options"),
	    GW_E_INVALID);
	assert_int_equal(take("images.generations", "{\"prompt\":\"x\",\"n\":3}", &q, &u, NULL), GW_OK);
	assert_str(q.model, "dall-e-2");
	assert_string_equal(u.unit, "image");
	assert_int_equal(u.n, 3);
	assert_int_equal(take("images.generations", "{\"prompt\":\"x\",\"n\":0}", &q, &u, "n"), GW_E_INVALID);
	assert_int_equal(
	    take("audio.speech", "{\"model\":\"m\",\"input\":\"h\xc3\xa9 there\",\"voice\":\"alloy\"}", &q, &u, NULL),
	    GW_OK);
	assert_string_equal(u.unit, "character");
	assert_int_equal(u.n, 8);
	assert_int_equal(take("responses.cancel", "", &q, &u, NULL), GW_OK);
	assert_int_equal(take("batches.create", "", &q, &u, NULL), GW_E_SYNTAX);
	assert_int_equal(take("batches.create", "{\"endpoint\":\"/v1/x\"}", &q, &u, "input_file_id"), GW_E_MISSING);
}

static void expect_sent(const char *name, const char *body, const char *want)
{
	struct gw_chat_request q;
	struct gw_api_units u;
	struct gw_str pieces[8];
	char got[512] = "";
	uint32_t n = 0;
	size_t at = 0;

	assert_int_equal(take(name, body, &q, &u, NULL), GW_OK);
	assert_int_equal(gw_api_splice(&arena, row(name), gw_str_z(body), &q, GW_LIT("up\"1"), pieces, &n), GW_OK);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(got + at, pieces[i].p, pieces[i].n);
		at += pieces[i].n;
	}
	assert_string_equal(got, want);
}

static void splices(void **st)
{
	(void)st;
	expect_sent("embeddings", "{\"input\": \"a\", \"model\" : \"m\"} ",
		    "{\"input\": \"a\", \"model\" : \"up\\\"1\"} ");
	expect_sent("moderations", " { \"input\":\"a\"}", " {\"model\":\"up\\\"1\", \"input\":\"a\"}");
	expect_sent("moderations", "{\"model\":null,\"input\":\"a\"}", "{\"model\":\"up\\\"1\",\"input\":\"a\"}");
	expect_sent(
	    "completions", "{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true}",
	    "{\"model\":\"up\\\"1\",\"prompt\":\"p\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	expect_sent("responses.create", "{\"model\":\"m\",\"stream\":true}", "{\"model\":\"up\\\"1\",\"stream\":true}");
	expect_sent("batches.create", "{\"input_file_id\":\"model\"}", "{\"input_file_id\":\"model\"}");
}

static struct gw_chat_event event(enum gw_ep_usage usage, const char *name, const char *data, struct gw_scan_value *v,
				  enum gw_err want)
{
	struct gw_sse_event ev = {
		.event = gw_str_z(name), .data = gw_str_z(data), .raw = gw_str_z(data), .has_data = true
	};
	struct gw_chat_event out;
	struct gw_buf scratch;

	gw_buf_init(&scratch, 65536);
	assert_int_equal(gw_api_event(usage, &ev, true, v, &scratch, &out), want);
	gw_buf_done(&scratch);
	return out;
}

static void events(void **st)
{
	struct gw_scan_value v[GW_UP_PATHS];
	struct gw_usage u = { 0 };
	struct gw_chat_event e;

	(void)st;
	e = event(GW_EPU_TYPED, "response.created", "{\"type\":\"response.created\",\"response\":{}}", v, GW_OK);
	assert_true(e.kind == GW_EV_PASS && !e.has_content);
	e = event(GW_EPU_TYPED, "", "{\"type\":\"response.output_text.delta\",\"delta\":\"x\"}", v, GW_OK);
	assert_true(e.kind == GW_EV_PASS && e.has_content);
	e = event(GW_EPU_TYPED, "", "{\"sequence_number\":4,\"type\":\"response.output_text.delta\"}", v, GW_OK);
	assert_true(e.has_content);
	e = event(GW_EPU_TYPED, "",
		  "{\"type\":\"response.completed\",\"response\":{\"model\":\"r-1\",\"status\":\"completed\",\"usage\":"
		  "{\"input_tokens\":5,"
		  "\"input_tokens_details\":{\"cached_tokens\":2},\"output_tokens\":7}}}",
		  v, GW_OK);
	assert_int_equal(e.kind, GW_EV_DONE);
	gw_usage_take(&u, v);
	assert_true(u.is_known && u.input == 5 && u.cache_read == 2 && u.output == 7);
	assert_str(gw_scan_str(&v[GW_UP_MODEL]), "r-1");
	assert_int_equal(event(GW_EPU_TYPED, "", "{\"type\":\"response.failed\",\"response\":{}}", v, GW_OK).kind,
			 GW_EV_ERROR);
	assert_int_equal(
	    event(GW_EPU_TYPED, "error", "{\"type\":\"error\",\"error\":{\"code\":\"server_error\"}}", v, GW_OK).kind,
	    GW_EV_ERROR);
	assert_int_equal(
	    event(GW_EPU_MEDIA, "", "{\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":3}}", v, GW_OK)
		.kind,
	    GW_EV_DONE);
	event(GW_EPU_TYPED, "", "not json", v, GW_E_UP_GARBLED);
	e = event(GW_EPU_TEXT, "", "{\"choices\":[{\"text\":\"hi\",\"index\":0,\"finish_reason\":null}]}", v, GW_OK);
	assert_true(e.kind == GW_EV_PASS && e.has_content);
	assert_int_equal(event(GW_EPU_TEXT, "", "[DONE]", v, GW_OK).kind, GW_EV_DONE);
}

static void seconds(void **st)
{
	static const struct {
		const char *body;
		uint64_t want;
	} rows[] = {
		{ "{\"text\":\"x\",\"usage\":{\"type\":\"duration\",\"seconds\":12}}", 12 },
		{ "{\"duration\":8.47,\"text\":\"x\"}", 9 },
		{ "{\"duration\":\"3.0\"}", 3 },
		{ "{\"duration\":-4}", 0 },
		{ "{\"duration\":1e9}", 0 },
		{ "{\"text\":\"x\"}", 0 },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct gw_scan_value v[GW_UP_PATHS];
		struct gw_json_scan s;

		gw_json_scan_init(&s, gw_api_usage_tree(GW_EPU_MEDIA), v, GW_UP_PATHS);
		gw_json_scan_feed(&s, rows[i].body, strlen(rows[i].body));
		assert_int_equal(gw_api_seconds(v), rows[i].want);
	}
}

static void paths(void **st)
{
	static const char *const good[] = {
		"chat/completions", "v1beta/models/gemini:generateContent", "a", "a%20b/c", "x/.well-known", "a;v=1",
		"..a/b.."
	};
	static const char *const bad[] = { "",        "..",       "a/..",     "a/../b", "./a",   "a//b",  "a/",
					   "/a",      "%2e%2e/a", "a/%2E%2e", ".%2e/x", "a%2fb", "a%5cb", "a\\b",
					   "a%00b",   "a%",       "a%zz",     "a%252e", "a?b",   "a#b",   "..;/a",
					   "a/.;x/b", "a%0d%0ab", "a b",      "\x80",   "a%7f" };

	(void)st;
	for (size_t i = 0; i < N_OF(good); i++)
		if (!gw_api_path_is_plain(gw_str_z(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < N_OF(bad); i++)
		if (gw_api_path_is_plain(gw_str_z(bad[i])))
			fail_msg("let through: %s", bad[i]);
	assert_str(gw_api_query_without(&arena, GW_LIT("a=1&llmgw_provider=x&b=2"), GW_LIT("llmgw_provider")),
		   "a=1&b=2");
	assert_str(gw_api_query_without(&arena, GW_LIT("llmgw_provider=x"), GW_LIT("llmgw_provider")), "");
	assert_str(gw_api_query_without(&arena, GW_LIT("a&&b"), GW_LIT("x")), "a&b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bodies, setup, teardown),
		cmocka_unit_test_setup_teardown(splices, setup, teardown),
		cmocka_unit_test_setup_teardown(events, setup, teardown),
		cmocka_unit_test(seconds),
		cmocka_unit_test_setup_teardown(paths, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
