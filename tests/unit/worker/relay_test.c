/* From the provider's answer to the client's: what passes, what is retried where nobody sees it, how an answer that began ends. */
#include "tests/unit/worker/fixture.h"

static void whole_answer(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", false, false);
	struct ended e;

	assert_non_null(fake.first);
	assert_has((gw_buf_putc(&fake.first->body, 0), fake.first->body.p), "\"model\":\"real-1\"");
	up_head(fake.first, 200, "application/json");
	up_body(fake.first, whole_reply);
	assert_false(a->c->is_started);
	up_end(fake.first, GW_OK);
	assert_true(a->c->is_whole);
	assert_int_equal(a->c->status, 200);
	assert_string_equal(out_of(a), whole_reply);
	assert_has(head_of(a), "x-llmgw-deployment: d1");
	assert_has(head_of(a), "x-llmgw-attempts: 1");
	assert_end(&e, 200, "");
	assert_string_equal(e.deployment, "d1");
	assert_string_equal(e.finish, "stop");
	assert_int_equal(e.rec.tokens_input, 11);
	assert_int_equal(e.rec.tokens_output, 5);
	assert_int_equal(e.rec.cost_nanousd, (11 * 1000 + 5 * 2000) / 1000);
	assert_int_equal(e.rec.bytes_out, sizeof whole_reply - 1);
	ask_done(a);
	assert_nothing_left();
}

/* Too large to hold: it goes through as it comes, and bytes are counted once. */
static void large_answer(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", false, false);
	size_t n = 900 << 10;
	char *text = malloc(n + 1);
	struct ended e;

	memset(text, 'x', n);
	text[n] = 0;
	up_head(fake.first, 200, "application/json");
	up_body(fake.first, "{\"id\":\"");
	for (size_t i = 0; i < n; i += 100 << 10)
		up_bytes(fake.first, gw_str(text + i, 100 << 10));
	assert_true(a->c->is_started);
	up_body(fake.first, "\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}");
	up_end(fake.first, GW_OK);
	assert_true(a->c->is_ended && !a->c->is_cut);
	assert_true(a->c->out.n > n);
	assert_end(&e, 200, "");
	assert_int_equal(e.rec.bytes_out, a->c->out.n);
	assert_int_equal(e.rec.tokens_output, 4);
	free(text);
	ask_done(a);
	assert_nothing_left();
}

static void stream(void **state)
{
	(void)state;
	char want[2048];

	for (int wants_usage = 0; wants_usage < 2; wants_usage++) {
		struct ask *a = ask_chat("one", true, wants_usage);
		struct ended e;

		gw_buf_putc(&fake.first->body, 0);
		assert_has(fake.first->body.p, "\"include_usage\":true"); /* asked for in any case */
		up_head(fake.first, 200, "text/event-stream");
		up_body(fake.first, role_event);
		assert_false(a->c->is_started); /* held: another deployment could still answer */
		up_body(fake.first, content_event);
		assert_true(a->c->is_started);
		up_body(fake.first, finish_event);
		up_body(fake.first, usage_event);
		up_body(fake.first, done_event);
		assert_false(a->c->is_ended); /* END comes before the last bytes */
		up_end(fake.first, GW_OK);
		assert_true(a->c->is_ended && !a->c->is_cut);
		snprintf(want, sizeof want, "%s%s%s%s%s", role_event, content_event, finish_event,
			 wants_usage ? usage_event : "", done_event);
		if (wants_usage) /* byte-exact */
			assert_string_equal(out_of(a), want);
		else
			assert_null(strstr(out_of(a), "usage"));
		assert_end(&e, 200, "");
		assert_int_equal(e.rec.tokens_input, 11);
		assert_int_equal(e.rec.bytes_out, a->c->out.n);
		assert_true(e.rec.is_stream);
		ask_done(a);
		assert_nothing_left();
	}
}

/* Cut into single bytes the same comes out. */
static void stream_in_bytes(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", true, true);
	char all[2048];

	snprintf(all, sizeof all, "%s%s%s%s%s", role_event, content_event, finish_event, usage_event, done_event);
	up_head(fake.first, 200, "text/event-stream");
	for (size_t i = 0; all[i]; i++)
		up_bytes(fake.first, gw_str(all + i, 1));
	up_end(fake.first, GW_OK);
	assert_string_equal(out_of(a), all);
	ask_done(a);
}

/* What the client has not seen is tried elsewhere; each way to fail. */
static void fail_once(int how)
{
	struct gw_up_req *q = fake.first;

	switch (how) {
	case 0:
		up_end(q, GW_E_UP_REFUSED);
		return;
	case 1:
		up_head(q, 500, "application/json");
		up_body(q, "{\"error\":{\"message\":\"boom\"}}");
		up_end(q, GW_OK);
		return;
	case 2:
		up_head(q, 429, "application/json");
		up_body(q, "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit\"}}");
		up_end(q, GW_OK);
		return;
	case 3:
		up_head(q, 200, "text/event-stream");
		up_body(q, role_event);
		up_end(q, GW_E_UP_CUT);
		return;
	case 4:
		up_head(q, 200, "text/event-stream");
		up_body(q, "data: not json\n\n");
		return;
	case 5:
		up_head(q, 200, "text/html");
		return;
	case 6:
		up_head(q, 200, "text/event-stream");
		up_body(q, role_event);
		up_end(q, GW_OK);
		return; /* no [DONE], no finish */
	case 7:
		up_head(q, 200, "text/event-stream");
		up_body(
		    q, "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\",\"code\":503}}\n\n");
		return;
	case 8:
		up_head(q, 503, "text/plain");
		up_end(q, GW_E_UP_CUT);
		return;
	}
}
enum { N_FAILURES = 9 };

static void failover_before_content(void **state)
{
	(void)state;
	for (int how = 0; how < N_FAILURES; how++) {
		struct ask *a = ask_chat("two", true, true);
		struct ended e;

		fail_once(how);
		if (fake.n_under_way != 1)
			fail_msg("failure %d: no second attempt", how);
		assert_false(a->c->is_started);
		gw_buf_putc(&fake.first->body, 0);
		assert_has(fake.first->body.p, "\"model\":\"real-2\"");
		up_head(fake.first, 200, "text/event-stream");
		up_body(fake.first, content_event);
		up_body(fake.first, finish_event);
		up_body(fake.first, done_event);
		up_end(fake.first, GW_OK);
		assert_end(&e, 200, "");
		assert_string_equal(e.deployment, "d2");
		assert_int_equal(e.rec.attempts, 2);
		assert_true(e.rec.is_retry_hidden);
		assert_has(e.attempt_log, "\"deployment\":\"d1\"");
		assert_has(e.attempt_log, "\"deployment\":\"d2\"");
		assert_null(strstr(out_of(a), "boom"));
		assert_has(head_of(a), "x-llmgw-attempts: 2");
		ask_done(a);
		assert_nothing_left();
	}
}

static void nobody_left_to_try(void **state)
{
	(void)state;
	for (int how = 0; how < N_FAILURES; how++) {
		struct ask *a = ask_chat("one", true, true);
		struct ended e;

		fail_once(how);
		assert_int_equal(fake.n_under_way, 0);
		assert_true(a->c->is_whole);
		assert_true(a->c->status >= 429);
		assert_has(out_of(a), "\"error\"");
		assert_has(head_of(a), "x-should-retry");
		assert_null(strstr(out_of(a), "127.0.0.1"));
		read_records(&e);
		assert_int_equal(e.n_end, 1);
		assert_int_equal(e.rec.status, a->c->status);
		assert_true(e.error[0] != 0);
		ask_done(a);
		assert_nothing_left();
	}
}

/* Faults that no other deployment would mend go straight to the client, with the field that the provider named; and the field of
 * a first attempt is not told with the error of a second. */
static void error_details_belong_to_their_attempt(void **state)
{
	(void)state;
	struct ask *a = ask_chat("two", false, false);

	up_head(fake.first, 400, "application/json");
	up_body(fake.first, "{\"error\":{\"message\":\"bad "
			    "temperature\",\"type\":\"invalid_request_error\",\"param\":\"temperature\"}}");
	up_end(fake.first, GW_OK);
	assert_int_equal(a->c->status, 400);
	assert_has(out_of(a), "temperature");
	ask_done(a);

	a = ask_chat("two", false, false);
	up_head(fake.first, 500, "application/json");
	up_body(fake.first, "{\"error\":{\"message\":\"inner\",\"type\":\"server_error\",\"param\":\"secretparam\"}}");
	up_end(fake.first, GW_OK);
	assert_int_equal(fake.n_under_way, 1);
	up_end(fake.first, GW_E_UP_REFUSED);
	assert_true(a->c->is_whole);
	assert_null(strstr(out_of(a), "secretparam"));
	ask_done(a);
	assert_nothing_left();
}

/* After the first content nobody else can answer: error event, cut, and the record says so. */
static void no_failover_after_content(void **state)
{
	(void)state;
	for (int how = 0; how < 5; how++) {
		struct ask *a = ask_chat("two", true, true);
		struct ended e;

		up_head(fake.first, 200, "text/event-stream");
		up_body(fake.first, content_event);
		switch (how) {
		case 0:
			up_end(fake.first, GW_E_UP_CUT);
			break;
		case 1:
			up_end(fake.first, GW_OK);
			break; /* clean end without finish */
		case 2:
			up_body(fake.first, "data: {{{\n\n");
			break;
		case 3:
			up_body(fake.first, "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n");
			break;
		case 4:
			up_end(fake.first, GW_E_UP_TIMEOUT);
			break;
		}
		assert_int_equal(fake.n_under_way, 0);
		assert_int_equal(fake.n_sent, (uint32_t)how + 1);
		assert_true(a->c->is_cut);
		assert_int_equal(a->c->status, 200);
		assert_has(out_of(a), "Hello");
		assert_has(out_of(a), "\"error\"");
		assert_null(strstr(out_of(a), "[DONE]"));
		read_records(&e);
		assert_int_equal(e.n_end, 1);
		assert_true(e.error[0] != 0);
		assert_int_equal(e.rec.bytes_out, a->c->out.n);
		if (how == 4)
			assert_string_equal(e.error, gw_err_info(GW_E_UP_STALLED)->name);
		ask_done(a);
		assert_nothing_left();
	}
}

/* [DONE] is the end: a reset after it, or a connection that stays open, does not spoil a whole answer. */
static void done_is_done(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		struct ask *a = ask_chat("one", true, true);
		struct ended e;

		up_head(fake.first, 200, "text/event-stream");
		up_body(fake.first, content_event);
		up_body(fake.first, done_event);
		if (how == 0)
			up_end(fake.first, GW_E_UP_CUT);
		else
			pass(250);
		assert_true(a->c->is_ended && !a->c->is_cut);
		assert_has(out_of(a), "[DONE]");
		assert_end(&e, 200, "");
		ask_done(a);
		assert_nothing_left();
	}
}

static void hold_ends_with_time(void **state)
{
	(void)state;
	struct ask *a = ask_chat("two", true, true);
	struct ended e;

	up_head(fake.first, 200, "text/event-stream");
	up_body(fake.first, role_event);
	pass(2900);
	assert_false(a->c->is_started);
	pass(300);
	assert_true(a->c->is_started);
	assert_string_equal(out_of(a), role_event);
	pass(16000);
	assert_has(out_of(a), ": keep-alive\n\n");
	up_end(fake.first, GW_E_UP_CUT); /* too late for another */
	assert_int_equal(fake.n_under_way, 0);
	assert_true(a->c->is_cut);
	assert_end(&e, 200, gw_err_info(GW_E_UP_CUT)->name);
	ask_done(a);
	assert_nothing_left();
}

/* More before the first content than is held: everything arrives, in order, nothing twice. */
static void held_bytes_are_never_lost(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", true, true);
	struct gw_buf want;
	char event[3000];

	gw_buf_init(&want, 4 << 20);
	up_head(fake.first, 200, "text/event-stream");
	for (int i = 0; i < 200; i++) {
		int n =
		    snprintf(event, sizeof event,
			     "data: {\"n\":%d,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"%02000d\"}}]}\n\n", i, i);

		gw_buf_put(&want, event, (size_t)n);
		up_body(fake.first, event);
	}
	assert_true(a->c->is_started);
	up_body(fake.first, content_event);
	up_body(fake.first, done_event);
	up_end(fake.first, GW_OK);
	gw_buf_puts(&want, gw_str_z(content_event));
	gw_buf_puts(&want, gw_str_z(done_event));
	assert_int_equal(a->c->out.n, want.n);
	assert_memory_equal(a->c->out.p, want.p, want.n);
	gw_buf_done(&want);
	ask_done(a);
	assert_nothing_left();
}

static void slow_client_pauses_the_provider(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", true, true);

	up_head(fake.first, 200, "text/event-stream");
	a->c->is_blocked = true;
	up_body(fake.first, content_event);
	assert_true(fake.first->is_paused);
	pass(130000); /* our first-token deadline is for the provider, not for the client */
	assert_true(fake.n_under_way == 1);
	a->c->is_blocked = false;
	gw_front_ops.on_drain(w, a->c);
	assert_false(fake.first->is_paused);
	up_body(fake.first, done_event);
	up_end(fake.first, GW_OK);
	assert_false(a->c->is_cut);
	ask_done(a);
}

/* A pooled connection that the provider had closed: once more, fresh, on the same deployment, at no cost. */
static void stale_connection(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", false, false);
	struct ended e;

	up_end(fake.first, GW_E_UP_STALE);
	assert_int_equal(fake.n_under_way, 1);
	assert_true(fake.first->must_be_fresh);
	up_head(fake.first, 200, "application/json");
	up_body(fake.first, whole_reply);
	up_end(fake.first, GW_OK);
	assert_end(&e, 200, "");
	ask_done(a);

	a = ask_chat("one", false, false); /* not for ever */
	up_end(fake.first, GW_E_UP_STALE);
	up_end(fake.first, GW_E_UP_STALE);
	assert_int_equal(fake.n_under_way, 0);
	assert_int_equal(a->c->status, 502);
	ask_done(a);
	assert_nothing_left();
}

static void client_gone(void **state)
{
	(void)state;
	for (int when = 0; when < 5; when++) {
		struct ask *a = ask_chat("two", true, true);
		struct gw_up_req *q = fake.first;
		struct ended e;

		if (when >= 1)
			up_head(q, 200, "text/event-stream");
		if (when >= 2)
			up_body(q, role_event);
		if (when >= 3)
			up_body(q, content_event);
		if (when >= 4)
			up_body(q, done_event);
		gw_front_ops.on_gone(w, a->c);
		assert_false(up_is_alive(q)); /* cancelled at once */
		assert_int_equal(fake.n_under_way, 0);
		assert_true(a->c->is_cut);
		assert_end(&e, when >= 3 ? 200 : 499, gw_err_info(GW_E_CLIENT_GONE)->name);
		ask_done(a);
		assert_nothing_left();
	}
}

static void deadlines(void **state)
{
	(void)state;
	struct ended e;
	struct ask *a = ask_chat("two", true, true); /* the first token is late: another deployment */
	uint32_t sent = fake.n_sent;

	up_head(fake.first, 200, "text/event-stream");
	for (int i = 0; i < 4000 && fake.n_sent == sent; i++) {
		pass(50);
		if (a->c->is_started)
			break; /* the hold ended first, as by default */
	}
	assert_true(a->c->is_started);
	pass(125000);
	assert_true(a->c->is_cut);
	assert_end(&e, 200, gw_err_info(GW_E_UP_TIMEOUT)->name);
	ask_done(a);

	a = ask_chat("one", false, false); /* the whole answer is late */
	up_head(fake.first, 200, "application/json");
	fake_pass_ms(3600 * 1000);
	tick();
	assert_int_equal(a->c->status, 504);
	assert_end(&e, 504, gw_err_info(GW_E_UP_TOTAL)->name);
	ask_done(a);

	a = ask_chat("one", true, true); /* revoked while it runs */
	up_head(fake.first, 200, "text/event-stream");
	up_body(fake.first, content_event);
	assert_int_equal(gw_revoke_add((struct gw_revoke *)(uintptr_t)w->revoke, gw_key_revoke_hash(key_index)), GW_OK);
	pass(1100);
	assert_true(a->c->is_cut);
	assert_end(&e, 200, gw_err_info(GW_E_KEY_DISABLED)->name);
	ask_done(a);
	a = ask_chat("one", true, true); /* and the next one does not begin */
	assert_int_equal(a->c->status, 401);
	assert_end(&e, 401, gw_err_info(GW_E_KEY_DISABLED)->name);
	ask_done(a);
	assert_nothing_left();
}

static void all_end_when_the_drain_is_over(void **state)
{
	(void)state;
	struct ask *a = ask_chat("one", true, true), *b = ask_chat("sec", false, false),
		   *c = ask_chat("one", false, false);
	struct ended e;

	up_head(a->c->user ? ((struct gw_req *)a->c->user)->at.up : NULL, 200, "text/event-stream");
	up_body(((struct gw_req *)a->c->user)->at.up, content_event);
	gw_tick_end_all(w, GW_E_DRAINING);
	assert_true(a->c->is_cut);
	assert_int_equal(b->c->status, 503);
	assert_int_equal(c->c->status, 503);
	read_records(&e);
	assert_int_equal(e.n_end, 3);
	assert_nothing_left();
	if (fake.asks[0].is_open)
		confd_answers(0, GW_OK, 0, 4, "late", 0, NULL); /* nobody waits any more */
	ask_done(a);
	ask_done(b);
	ask_done(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(whole_answer),
		T(large_answer),
		T(stream),
		T(stream_in_bytes),
		T(failover_before_content),
		T(nobody_left_to_try),
		T(error_details_belong_to_their_attempt),
		T(no_failover_after_content),
		T(done_is_done),
		T(hold_ends_with_time),
		T(held_bytes_are_never_lost),
		T(slow_client_pauses_the_provider),
		T(stale_connection),
		T(client_gone),
		T(deadlines),
		T(all_end_when_the_drain_is_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
