/* The engine and the lives of requests: the table is the law, every step is passed through, nothing of one request is found in the next,
 * and after ten thousand of them every promise and every entry is given back. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "tests/unit/worker/fixture.h"

static void the_table_is_sound(void **state)
{
	(void)state;
	uint32_t reached = 1u << GW_STEP_parse, before = 0;

	while (reached != before) {
		before = reached;
		for (int i = 0; i < GW_STEP_COUNT; i++)
			if (reached >> i & 1)
				reached |= gw_steps[i].edges;
	}
	assert_int_equal(reached, (1u << GW_STEP_COUNT) - 1); /* every step can be reached */
	for (int i = 0; i < GW_STEP_COUNT; i++) {
		assert_non_null(gw_steps[i].run);
		assert_true(i == GW_STEP_end ? gw_steps[i].edges == 0 : gw_steps[i].edges != 0);
		assert_true((gw_steps[i].edges >> GW_STEP_COUNT) == 0);
	}
	/* END is written once: only account leads to the end, and nothing leads back behind it */
	for (int i = 0; i < GW_STEP_COUNT; i++)
		if (gw_steps[i].edges >> GW_STEP_end & 1)
			assert_int_equal(i, GW_STEP_account);
	assert_int_equal(gw_steps[GW_STEP_account].edges, 1u << GW_STEP_end);
}

/* Takes one edge out of the table in a child: the move must end the process, not happen. */
static void forbidden_moves_abort(void **state)
{
	(void)state;
	static const enum gw_step_id used[][2] = { { GW_STEP_parse, GW_STEP_auth },
						   { GW_STEP_auth, GW_STEP_resolve },
						   { GW_STEP_limit, GW_STEP_pick },
						   { GW_STEP_send, GW_STEP_relay } };

	for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			size_t page = (size_t)sysconf(_SC_PAGESIZE);
			uintptr_t from = (uintptr_t)gw_steps & ~(page - 1), to = (uintptr_t)(gw_steps + GW_STEP_COUNT);

			if (mprotect((void *)from, to - from, PROT_READ | PROT_WRITE) != 0 ||
			    !freopen("/dev/null", "w", stderr))
				_exit(3);
			((struct gw_step *)(uintptr_t)&gw_steps[used[i][0]])->edges &= ~(1u << used[i][1]);
			ask_chat("one", false, false);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

static void refused(const char *token, const char *path, const char *body, int status, const char *word,
		    bool has_record)
{
	struct ask *a = ask_with(strcmp(path, "/v1/chat/completions") == 0 ? GW_H1_POST : GW_H1_GET, path, token, body);
	struct ended e;

	assert_true(a->c->is_whole);
	if (a->c->status != status)
		fail_msg("%s: %d, wanted %d: %s", body, a->c->status, status, out_of(a));
	assert_has(out_of(a), word);
	assert_has(head_of(a), "x-request-id: ");
	read_records(&e);
	assert_int_equal(e.n_start, has_record);
	assert_int_equal(e.n_end, has_record);
	if (has_record)
		assert_int_equal(e.rec.status, status);
	ask_done(a);
	assert_nothing_left();
}

static void refusals(void **state)
{
	(void)state;
	const char *chat = "/v1/chat/completions",
		   *good = "{\"model\":\"one\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";

	refused(NULL, chat, good, 401, "", false);
	refused("sk-unknown", chat, good, 401, "", false);
	refused(TOKEN, chat, "{", 400, "error", true);
	refused(TOKEN, chat, "{\"model\":\"one\",\"messages\":3}", 400, "messages", true);
	refused(TOKEN, chat,
		"{\"model\":\"one\",\"model\":\"two\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 400,
		"error", true);
	refused(TOKEN, chat, "{\"model\":\"nobody\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 404,
		"model_not_found", true);
	refused(TOKEN, chat, "{\"model\":\"pend\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 503,
		"deployment_pending", true);
	refused(TOKEN, "/v1/models/nobody", "", 404, "model_not_found", true);
	refused(TOKEN, "/v1/models/%zz", "", 404, "", true);
	w->limits.max_in_flight_per_key = 0;
	refused(TOKEN, chat, good, 429, "too many requests", true);
	w->limits.max_in_flight_per_key = 256;
	struct gw_hmac *pepper = w->pepper;
	w->pepper = NULL;
	refused(TOKEN, chat, good, 503, "", false);
	w->pepper = pepper;
}

static void models(void **state)
{
	(void)state;
	struct ask *a = ask_with(GW_H1_GET, "/v1/models", TOKEN, "");
	struct ended e;

	assert_int_equal(a->c->status, 200);
	assert_has(out_of(a), "\"id\":\"one\"");
	assert_has(out_of(a), "\"id\":\"two\"");
	assert_end(&e, 200, "");
	ask_done(a);
	a = ask_with(GW_H1_GET, "/v1/models/two", TOKEN, "");
	assert_int_equal(a->c->status, 200);
	assert_null(strstr(out_of(a), "\"one\""));
	assert_end(&e, 200, "");
	ask_done(a);
	assert_nothing_left();
}

static void concurrency_of_a_key(void **state)
{
	(void)state;
	struct ask *a[4];

	w->limits.max_in_flight_per_key = 3;
	for (int i = 0; i < 4; i++)
		a[i] = ask_chat("one", false, false);
	assert_int_equal(fake.n_under_way, 3);
	assert_int_equal(a[3]->c->status, 429);
	ask_done(a[3]);
	gw_front_ops.on_gone(w, a[0]->c);
	ask_done(a[0]);
	a[3] = ask_chat("one", false, false); /* one place is free again */
	assert_int_equal(fake.n_under_way, 3);
	for (int i = 1; i < 4; i++) {
		gw_front_ops.on_gone(w, a[i]->c);
		ask_done(a[i]);
	}
	struct ended e;
	read_records(&e);
	assert_int_equal(e.n_end, 5);
	assert_nothing_left();
}

/* No room for records: the request is refused before it costs anything, and room that comes back is used again. */
static void no_room_for_records(void **state)
{
	(void)state;
	uint64_t size = w->ring.size / 16 * 15;
	struct ended e;

	assert_true(gw_ring_reserve(&w->ring, size - 64));
	struct ask *a = ask_chat("one", false, false);
	assert_int_equal(a->c->status, 503);
	assert_has(head_of(a), "retry-after: ");
	assert_int_equal(fake.n_sent, 0);
	read_records(&e);
	assert_int_equal(e.n_start + e.n_end, 0);
	ask_done(a);
	gw_ring_unreserve(&w->ring, size - 64);
	assert_nothing_left();
	a = ask_chat("one", false, false);
	assert_int_equal(fake.n_sent, 1);
	up_end(fake.first, GW_E_UP_REFUSED);
	read_records(&e);
	assert_int_equal(e.n_end, 1);
	ask_done(a);
	assert_nothing_left();
}

/* The longest END that there can be fits what START reserved. */
static void longest_record(void **state)
{
	(void)state;
	char body[4096], big[201], reply[2048];
	struct ended e;

	memset(big, 'm', 200);
	big[200] = 0;
	snprintf(body, sizeof body,
		 "{\"model\":\"two\",\"user\":\"%s\",\"metadata\":{\"session_id\":\"%s\",\"action_id\":\"%s\"},"
		 "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
		 big, big, big);
	struct ask *a = ask_with(GW_H1_POST, "/v1/chat/completions", TOKEN, body);
	up_head(fake.first, 500, "application/json");
	snprintf(reply, sizeof reply, "{\"error\":{\"message\":\"%s%s\",\"code\":\"%s\"}}", big, big, big);
	up_body(fake.first, reply);
	up_end(fake.first, GW_OK);
	up_head(fake.first, 200, "application/json");
	snprintf(reply, sizeof reply,
		 "{\"model\":\"%.120s\",\"choices\":[{\"finish_reason\":\"%.120s\"}],\"usage\":{\"prompt_tokens\":"
		 "4000000000,\"completion_tokens\":4000000000}}",
		 big, big);
	up_body(fake.first, reply);
	up_end(fake.first, GW_OK);
	assert_end(&e, 200, "");
	assert_true(e.attempt_log[0] == '[');
	ask_done(a);
	assert_nothing_left();
}

/* A request that had everything, then a bare one in the same memory: it must look exactly like a first one. */
static void nothing_of_the_former_request_is_left(void **state)
{
	(void)state;
	struct ask *a = ask_chat("two", true, true);
	struct gw_req *r = a->c->user;

	up_head(fake.first, 500, "application/json");
	up_body(fake.first, "{\"error\":{\"message\":\"x\",\"param\":\"p\"}}");
	up_end(fake.first, GW_OK);
	up_head(fake.first, 200, "text/event-stream");
	up_body(fake.first, content_event);
	up_body(fake.first, finish_event);
	up_body(fake.first, usage_event);
	up_body(fake.first, done_event);
	up_end(fake.first, GW_OK);
	ask_done(a);
	assert_ptr_equal(w->pool, r);

	struct gw_h1_conn *c = fake_conn();
	struct gw_h1_request rq = { .first_byte_ns = 5, .head_done_ns = 6 };
	struct gw_req *again = gw_req_new(w, c, &rq, NULL), *fresh = calloc(1, sizeof *fresh);
	assert_ptr_equal(again, r); /* the same memory */
	w->pool = NULL;
	struct gw_req *first = gw_req_new(w, c, &rq, NULL); /* the pool is empty: new memory */
	assert_ptr_not_equal(first, r);
	/* equal but for what must differ: links, clocks, ids, and pointers into themselves */
	memcpy(fresh, again, offsetof(struct gw_req, first_block));
	fresh->prev = first->prev;
	fresh->next = first->next;
	fresh->stamped_ns = first->stamped_ns;
	memcpy(fresh->id, first->id, sizeof fresh->id);
	memcpy(fresh->id_text, first->id_text, sizeof fresh->id_text);
	fresh->rec.request_id = first->rec.request_id;
	fresh->rec.ts_start_us = first->rec.ts_start_us;
	fresh->arena = first->arena;
	fresh->held = first->held;
	fresh->attempt_log = first->attempt_log;
	assert_memory_equal(fresh, first, offsetof(struct gw_req, first_block));
	assert_int_equal(gw_buf_len(&again->held), 0);
	assert_int_equal(gw_buf_len(&again->attempt_log), 0);
	assert_memory_not_equal(again->id, first->id, 16);
	free(fresh);
	gw_req_end(again);
	gw_req_end(first);
	fake_conn_free(c);
	struct ended e;
	read_records(&e);
	assert_nothing_left();
}

/* --- ten thousand --- */
static uint64_t seed = 7;
static uint64_t below(uint64_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % n;
}

static void provider_moves(struct gw_up_req *q)
{
	static const enum gw_err errs[] = { GW_E_UP_REFUSED, GW_E_UP_CUT, GW_E_UP_STALE, GW_E_UP_TIMEOUT,
					    GW_E_UP_RESET };
	static const char *const events[] = { role_event, content_event, finish_event, usage_event,
					      done_event, "data: {\n\n", ": c\n\n" };
	struct gw_req *r = q->ctx;

	switch (r->at.status) {
	case 0:
		if (below(4) == 0)
			up_end(q, errs[below(5)]);
		else if (below(4) == 0)
			up_head(q, 400 + (int)below(130), "application/json");
		else
			up_head(q, 200, r->chat.is_stream ? "text/event-stream" : "application/json");
		break;
	case 200:
		if (below(8) == 0)
			up_end(q, errs[below(5)]);
		else if (r->at.is_sse)
			up_body(q, events[below(7)]);
		else
			up_body(q, whole_reply);
		if (up_is_alive(q) && below(3) == 0)
			up_end(q, GW_OK);
		break;
	default:
		if (below(2))
			up_body(q, "{\"error\":{\"message\":\"no\"}}");
		if (up_is_alive(q))
			up_end(q, below(4) ? GW_OK : GW_E_UP_CUT);
	}
}

static void ten_thousand(void **state)
{
	(void)state;
	static const char *const names[] = { "one", "two", "two", "sec", "turn", "pend", "nobody" };
	enum { OPEN = 40 };
	struct ask *open[OPEN] = { 0 };
	uint64_t begun = 0, n_start = 0, n_end = 0;
	struct ended e;

	while (begun < 10000 || w->n_active) {
		size_t i = below(OPEN);

		if (!open[i] && begun < 10000) {
			open[i] = ask_chat(names[below(7)], below(2), below(2));
			begun++;
		}
		struct gw_req *r = open[i] ? open[i]->c->user : NULL;
		if (r && below(20) == 0)
			gw_front_ops.on_gone(w, open[i]->c);
		else if (r && r->at.up)
			provider_moves(r->at.up);
		if (open[i] && open[i]->c->is_ended) {
			ask_done(open[i]);
			open[i] = NULL;
		}
		for (uint32_t k = 0; k < fake.n_asks; k++)
			if (fake.asks[k].is_open && below(3) == 0)
				confd_answers(k, below(5) ? GW_OK : GW_E_UP_TIMEOUT, below(6) == 0, 4, "alpha", 5,
					      "beta");
		if (fake.n_asks == 16 || (fake.n_asks && !fake.asks[fake.n_asks - 1].is_open)) {
			bool is_open = false;
			for (uint32_t k = 0; k < fake.n_asks; k++)
				is_open |= fake.asks[k].is_open;
			fake.n_asks = is_open ? fake.n_asks : 0;
		}
		if (below(200) == 0)
			gw_lease_drop(w, GW_LIT("cred"), false);
		if (below(50) == 0)
			pass(50 + below(100) * 50);
		read_records(&e);
		n_start += e.n_start;
		n_end += e.n_end;
	}
	for (size_t i = 0; i < OPEN; i++)
		if (open[i])
			ask_done(open[i]);
	read_records(&e);
	assert_int_equal(n_start + e.n_start, 10000);
	assert_int_equal(n_end + e.n_end, 10000);
	assert_nothing_left();
	gw_lease_drop(w, GW_LIT("cred"), false);
	gw_lease_drop(w, GW_LIT("turning"), false);
	assert_int_equal(w->n_leases, 0);
}

/* The tests above passed through every step of the table. */
static void every_step_was_run(void **state)
{
	(void)state;
	for (int i = 0; i < GW_STEP_COUNT; i++) {
		char name[32];

		if (i == GW_STEP_account || i == GW_STEP_end) /* END is written inside account */
			continue;
		if (i == GW_STEP_form || i == GW_STEP_route) /* api_test.c */
			continue;
		snprintf(name, sizeof name, ",%s=", gw_steps[i].name);
		if (!strstr(steps_seen, name))
			fail_msg("no request of these tests went through %s: %.200s", gw_steps[i].name, steps_seen);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_table_is_sound),
		T(forbidden_moves_abort),
		T(refusals),
		T(models),
		T(concurrency_of_a_key),
		T(no_room_for_records),
		T(longest_record),
		T(nothing_of_the_former_request_is_left),
		T(ten_thousand),
		cmocka_unit_test(every_step_was_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
