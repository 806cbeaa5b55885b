/* Proofs of reasoning find their maker again through a client of any dialect, and nobody else gets them: what would pass as bytes to another
 * maker is written without them, and only then. */
#include "translate_room.h"
#include "core/dialect/mark.h"

static int set_up(void **state)
{
	static struct room r;

	room_open(&r);
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	room_close(*state);
	return 0;
}

/* A reply with reasoning as its maker writes it; `proofs` must come home. */
static const struct {
	const struct gw_dialect *of;
	const char *reply;
	const char *proofs[2];
} makers[] = {
	{ &gw_anthropic,
	  "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":"
	  "\"thinking\",\"thinking\":\"hm\",\"signature\":\"SIG=\"},{\"type\":\"redacted_thinking\",\"data\":\"UkVE\"},"
	  "{\"type\":\"text\",\"text\":\"a\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_"
	  "tokens\":1}}",
	  { "SIG=", "UkVE" } },
	{ &gw_bedrock,
	  "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{\"reasoningText\":{"
	  "\"text\":\"hm\",\"signature\":\"SIG=\"}}},{\"reasoningContent\":{\"redactedContent\":\"UkVE\"}},{\"text\":"
	  "\"a\"}]}},\"stopReason\":\"end_turn\",\"usage\":{\"inputTokens\":1,\"outputTokens\":1,\"totalTokens\":2}}",
	  { "SIG=", "UkVE" } },
	{ &gw_responses,
	  "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"m\",\"output\":[{\"type\":"
	  "\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],\"encrypted_"
	  "content\":\"SIG=\"},{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"completed\","
	  "\"content\":[{\"type\":\"output_text\",\"text\":\"a\",\"annotations\":[]}]}]}",
	  { "SIG=" } },
};

/* Where a client of a dialect finds what the model said, and how it sends that back. */
static const struct {
	const struct gw_dialect *of;
	const char *place, *before, *after;
	bool is_items; /* the elements of what is there, not the list */
} clients[] = {
	{ &gw_anthropic, "/content",
	  "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
	  "\"assistant\","
	  "\"content\":",
	  "},{\"role\":\"user\",\"content\":\"on\"}],\"metadata\":{\"user_id\":\"u\",\"x\":1}}", false },
	{ &gw_bedrock, "/output/message/content",
	  "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":",
	  "},{\"role\":\"user\",\"content\":[{\"text\":\"on\"}]}],\"requestMetadata\":{\"x\":\"1\"}}", false },
	{ &gw_responses, "/output", "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"q\"},",
	  ",{\"role\":\"user\",\"content\":\"on\"}],\"metadata\":{\"x\":\"1\"}}", true },
	{ &gw_openai, "/choices/0/message", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},",
	  ",{\"role\":\"user\",\"content\":\"on\"}],\"metadata\":{\"x\":\"1\"}}", false },
};
enum { N_MAKERS = sizeof(makers) / sizeof(makers[0]), N_CLIENTS = sizeof(clients) / sizeof(clients[0]) };

/* The maker's reply, told to the client, and sent back by it as a history. */
static const char *history(struct room *r, const char *reply, const struct gw_dialect *maker, size_t client)
{
	struct gw_json_out w;
	struct gw_buf b;
	const char *text;
	yyjson_val *said;

	assert_int_equal(room_reply(r, maker, clients[client].of, reply), GW_OK);
	said = yyjson_ptr_getn((yyjson_val *)(uintptr_t)room_tree(r, gw_buf_view(&r->out)), clients[client].place,
			       strlen(clients[client].place));
	assert_non_null(said);
	gw_buf_init(&b, 1 << 20);
	gw_buf_puts(&b, gw_str_z(clients[client].before));
	gw_jw_init(&w, &b);
	if (clients[client].is_items) {
		yyjson_arr_iter it = yyjson_arr_iter_with(said);
		size_t n = 0;

		for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
			if (n++)
				gw_buf_putc(&b, ',');
			gw_jw_val(&w, v);
		}
	} else {
		gw_jw_val(&w, said);
	}
	gw_buf_puts(&b, gw_str_z(clients[client].after));
	gw_buf_putc(&b, 0);
	text = gw_arena_str(&r->a, gw_buf_view(&b)).p;
	gw_buf_done(&b);
	return text;
}

static enum gw_err home(struct room *r, const struct gw_dialect *d, const char *body)
{
	const struct gw_str path_model = GW_LIT("alias");
	struct gw_translate_in in = { .from = d,
				      .to = d,
				      .body = gw_str_z(body),
				      .path_model = d->id == GW_D_BEDROCK ? &path_model : NULL,
				      .opts = {
					  .model = GW_LIT("up"), .default_max_tokens = 4096, .carry = &r->carry } };

	gw_buf_clear(&r->out, SIZE_MAX);
	r->said = (struct gw_translate_out){ .body = &r->out };
	return gw_translate_home(&r->a, &r->keep, &in, &r->said);
}

static void proofs_find_their_maker_again(void **state)
{
	struct room *r = *state;

	for (size_t m = 0; m < N_MAKERS; m++) {
		for (size_t c = 0; c < N_CLIENTS; c++) {
			const char *asked = history(r, makers[m].reply, makers[m].of, c);

			if (makers[m].of == clients[c].of)
				continue;
			if (room_request(r, clients[c].of, makers[m].of, "claude-sonnet-4-5", 0, asked))
				fail_msg("%s", asked);
			for (size_t i = 0; i < 2 && makers[m].proofs[i]; i++) {
				if (!room_has(r, makers[m].proofs[i]))
					fail_msg("%s is not in %.*s\n%s", makers[m].proofs[i],
						 GW_FMT(gw_buf_view(&r->out)), asked);
			}
			if (room_has(r, "llmgw.") || room_has(r, "bGxtZ3cu"))
				fail_msg("%.*s", GW_FMT(gw_buf_view(&r->out)));
		}
	}
}

static void nobody_else_gets_them(void **state)
{
	struct room *r = *state;

	for (size_t m = 0; m < N_MAKERS; m++) {
		for (size_t c = 0; c < N_CLIENTS; c++) {
			const char *asked = history(r, makers[m].reply, makers[m].of, c);

			assert_int_equal(home(r, clients[c].of, asked), GW_OK);
			if (makers[m].of == clients[c].of) { /* its own: bytes pass */
				assert_int_equal(r->said.dropped.n, 0);
				continue;
			}
			if (!r->said.dropped.n || room_has(r, "SIG=") || room_has(r, "UkVE") || room_has(r, "llmgw.") ||
			    room_has(r, "hm") || !room_has(r, "on") || !room_has(r, "x"))
				fail_msg("%s: dropped %.*s from %s\n%.*s", clients[c].of->name, GW_FMT(r->said.dropped),
					 asked, GW_FMT(gw_buf_view(&r->out)));
		}
	}
}

/* Text of reasoning that nobody signed looks like the provider's own, but for the mark. */
static void unsigned_thoughts_are_marked_too(void **state)
{
	static const char reply[] =
	    "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":"
	    "\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"hm\"}}]}";
	struct room *r = *state;

	for (size_t c = 0; c < 3; c++) {
		const char *asked = history(r, reply, &gw_openai, c);

		assert_non_null(strstr(asked, "\"llmgw.none.\""));
		assert_int_equal(home(r, clients[c].of, asked), GW_OK);
		assert_true(r->said.dropped.n > 0);
		assert_false(room_has(r, "hm"));
		/* as any other reasoning without a proof: to those who want it back */
		assert_int_equal(room_request(r, clients[c].of, &gw_openai, "m", GW_Q_REASONING_BACK, asked), GW_OK);
		assert_true(room_has(r, "\"reasoning_content\":\"hm\""));
	}
}

static void streams_mark_as_replies_do(void **state)
{
	static const char thought[] = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"m\","
				      "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
	static const char end[] =
	    "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":"
	    "[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"
	    "data: [DONE]\n\n";
	static const char claude[] =
	    "data: "
	    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":"
	    "1}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\","
	    "\"thinking\":\"\",\"signature\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
	    "\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
	    "\"delta\":{\"type\":\"signature_delta\",\"signature\":\"SIG=\"}}\n\ndata: "
	    "{\"type\":\"content_block_stop\","
	    "\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
	    "\"output_tokens\":1}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
	struct room *r = *state;
	struct gw_str s = gw_arena_printf(&r->a, "%s%s", thought, end);

	for (size_t c = 0; c < 3; c++) {
		assert_int_equal(room_stream(r, &gw_openai, clients[c].of, s, s.n / 2), GW_OK);
		assert_true(room_has(r, "\"llmgw.none.\""));
		if (clients[c].of == &gw_anthropic)
			continue;
		assert_int_equal(room_stream(r, &gw_anthropic, clients[c].of, gw_str_z(claude), 40), GW_OK);
		assert_true(room_has(r, "\"llmgw.anthropic.SIG=\""));
		assert_false(room_has(r, "\"llmgw.none.\""));
	}
}

/* What comes after the reasoning that stays behind must still be a request that the provider takes. */
static void what_is_left_can_be_said(void **state)
{
	struct room *r = *state;

	/* nothing but a thought: the message goes; a budget beside calls without reasoning: so does that, and what leans on it */
	assert_int_equal(
	    home(r, &gw_anthropic,
		 "{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},"
		 "\"context_management\":{\"edits\":[]},\"temperature\":1,\"messages\":[{\"role\":\"user\",\"content\":"
		 "\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":"
		 "\"llmgw.gemini.U0lH\"}]},{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"assistant\",\"content\":[{"
		 "\"type\":\"redacted_thinking\",\"data\":\"llmgw.bedrock.UkVE\"},{\"type\":\"tool_use\",\"id\":\"t\","
		 "\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_"
		 "id\":\"t\"}]}]}"),
	    GW_OK);
	room_same(
	    r, gw_buf_view(&r->out),
	    "{\"model\":\"up\",\"max_tokens\":9000,\"temperature\":1,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"q\"},{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_"
	    "use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_"
	    "result\",\"tool_use_id\":\"t\"}]}]}");
	assert_true(gw_str_eq(r->said.dropped, GW_LIT("thinking, messages[].content[].thinking, context_management")));
	/* the same here, where roles must alternate */
	assert_int_equal(
	    home(
		r, &gw_bedrock,
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":"
		"[{"
		"\"reasoningContent\":{\"reasoningText\":{\"text\":\"hm\",\"signature\":\"llmgw.none.\"}}}]},{\"role\":"
		"\"user\",\"content\":[{\"text\":\"w\"}]},{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{"
		"\"redactedContent\":\"bGxtZ3cuYW50aHJvcGljLlVrVkU=\"}},{\"toolUse\":{\"toolUseId\":\"t\",\"name\":"
		"\"f\","
		"\"input\":{}}}]},{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"t\",\"content\":[]}}"
		"]}],\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},"
		"\"x\":1}}"),
	    GW_OK);
	room_same(
	    r, gw_buf_view(&r->out),
	    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"q\"},{\"text\":\"w\"}]},{\"role\":"
	    "\"assistant\",\"content\":[{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\",\"input\":{}}}]},{\"role\":"
	    "\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"t\",\"content\":[]}}]}],\"additionalModelRequest"
	    "Fields\":{\"x\":1}}");
	assert_true(gw_str_eq(r->said.dropped, GW_LIT("messages[].content[].reasoningContent, "
						      "additionalModelRequestFields.thinking")));
}

static void bodies_without_marks_are_left_alone(void **state)
{
	struct room *r = *state;

	/* the word in a question is no proof: nothing is left out, so bytes pass */
	assert_int_equal(
	    home(
		r, &gw_anthropic,
		"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"llmgw.gemini.x\"}]}"),
	    GW_OK);
	assert_int_equal(r->said.dropped.n, 0);
	assert_true(ir_mark_is_in(GW_D_BEDROCK, GW_LIT("{\"redactedContent\":\"bGxtZ3cuYQ==\"}")));
	assert_false(ir_mark_is_in(GW_D_ANTHROPIC, GW_LIT("{\"signature\":\"EqQBCgIYAhIkMTIz\"}")));
	assert_false(ir_mark_is_in(GW_D_COHERE, GW_LIT("\"llmgw.")));
	assert_false(ir_mark_is_in(GW_D_GEMINI, GW_LIT("")));
	/* at both ends, cut, and behind many that are nearly one */
	assert_true(ir_mark_is_in(GW_D_OPENAI, GW_LIT("\"signature_of\"")));
	assert_false(ir_mark_is_in(GW_D_OPENAI, GW_LIT("\"signature_of")));
	assert_false(ir_mark_is_in(GW_D_OPENAI, GW_LIT("signature_of\"")));
	assert_true(ir_mark_is_in(GW_D_OPENAI, GW_LIT("{\"max_tokens\":1,\"signature_off\":_,\"signature_of\":1}")));
	assert_true(ir_mark_is_in(GW_D_RESPONSES, GW_LIT("...\"llmgw\".\"llmgw.")));
	assert_true(ir_mark_is_in(GW_D_BEDROCK, GW_LIT("\"llmgw.anthropic.x\"")));
	assert_false(ir_mark_is_in(GW_D_GEMINI, GW_LIT("ZZZZ\"bGxtZ3c")));
}

static void marks_of_strangers_are_their_own(void **state)
{
	static const char *const odd[] = {
		"", "llmgw.", "llmgw.gemini", "llmgw.mars.x", "xllmgw.gemini.x", "bGxtZ3cu"
	};
	struct room *r = *state;
	enum gw_dialect_id of;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_true(
		    gw_str_eq(ir_mark_take(&r->a, gw_str_z(odd[i]), GW_D_ANTHROPIC, false, &of), gw_str_z(odd[i])));
		assert_int_equal(of, GW_D_ANTHROPIC);
		assert_true(
		    gw_str_eq(ir_mark_take(&r->a, gw_str_z(odd[i]), GW_D_BEDROCK, true, &of), gw_str_z(odd[i])));
		assert_int_equal(of, GW_D_BEDROCK);
	}
	/* SDKs that hold bytes write them in their own alphabet, with padding or without */
	assert_true(
	    gw_str_eq(ir_mark_take(&r->a, GW_LIT("bGxtZ3cuYW50aHJvcGljLj8_"), GW_D_GEMINI, true, &of), GW_LIT("\?\?")));
	assert_int_equal(of, GW_D_ANTHROPIC);
	assert_true(gw_str_eq(ir_mark_take(&r->a, ir_mark_put(&r->a, GW_LIT("\?\?>"), GW_D_OPENAI, GW_D_GEMINI, true),
					   GW_D_GEMINI, true, &of),
			      GW_LIT("\?\?>")));
	assert_int_equal(of, GW_D_OPENAI);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(proofs_find_their_maker_again),    T(nobody_else_gets_them),
		T(unsigned_thoughts_are_marked_too), T(streams_mark_as_replies_do),
		T(what_is_left_can_be_said),         T(bodies_without_marks_are_left_alone),
		T(marks_of_strangers_are_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
