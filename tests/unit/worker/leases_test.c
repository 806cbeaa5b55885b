/* Credential plaintext on loan: who waits gets it, or an error in bounded time; versions, refusals, confd away, revocation. */
#include "tests/unit/worker/fixture.h"

static void finish_well(struct ask *a, const char *auth)
{
	struct ended e;

	assert_int_equal(fake.n_under_way, 1);
	assert_string_equal(fake.first->auth, auth);
	up_head(fake.first, 200, "application/json");
	up_body(fake.first, whole_reply);
	up_end(fake.first, GW_OK);
	assert_end(&e, 200, "");
	assert_int_equal(e.rec.credential.n > 0, 1);
	ask_done(a);
}

static void first_use_waits_for_the_answer(void **state)
{
	(void)state;
	struct ask *a = ask_chat("sec", false, false), *b = ask_chat("sec", false, false);

	assert_int_equal(fake.n_asks, 1); /* one question for both */
	assert_string_equal(fake.asks[0].name, "cred");
	assert_int_equal(fake.n_under_way, 0);
	confd_answers(0, GW_OK, 0, 4, "alpha", 0, NULL);
	assert_int_equal(fake.n_under_way, 2);
	assert_int_equal(w->n_leases, 1);
	struct gw_up_req *second = fake.first->next;
	assert_string_equal(second->auth, "Bearer alpha");
	gw_front_ops.on_gone(w, second->ctx == a->c->user ? a->c : b->c);
	struct ended e;
	read_records(&e);
	assert_int_equal(e.n_end, 1);
	struct ask *gone = a->c->is_ended ? a : b, *left = gone == a ? b : a;
	up_head(fake.first, 200, "application/json");
	up_body(fake.first, whole_reply);
	up_end(fake.first, GW_OK);
	read_records(&e);
	assert_int_equal(e.n_end, 1);
	ask_done(gone);
	ask_done(left);
	a = ask_chat("sec", false, false); /* the next one asks nobody */
	assert_int_equal(fake.n_asks, 1);
	finish_well(a, "Bearer alpha");
	assert_nothing_left();
}

/* The question about "cred" that waits for its answer; others may have been asked ahead of need. */
static uint32_t open_ask(void)
{
	for (uint32_t i = fake.n_asks; i-- > 0;) {
		if (fake.asks[i].is_open && strcmp(fake.asks[i].name, "cred") == 0)
			return i;
	}
	fail_msg("nobody asked for the credential");
	return 0;
}

/* Whatever was asked, ahead of need too, and is asked again for those who came meanwhile. */
static void confd_refuses(void)
{
	for (uint32_t i = 0; i < fake.n_asks; i++) {
		if (fake.asks[i].is_open)
			confd_answers(i, GW_OK, 1, 0, NULL, 0, NULL);
	}
}

/* No answer, a refusal, a channel that does not take the question, no confd at all: an error, and the request is over. Where confd is gone
 * the next one is waited for, though not for long. */
static void no_secret(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct ask *a;
		struct ended e;

		fake.ask_err = how == 2 ? GW_E_BUSY : GW_OK;
		w->confd = how == 3 ? NULL : some_channel;
		a = ask_chat("sec", false, false);
		if (how == 0)
			confd_answers(fake.n_asks - 1, GW_E_UP_TIMEOUT, 0, 0, NULL, 0, NULL);
		if (how == 1)
			confd_refuses();
		if (how == 0 || how == 3) {
			assert_false(a->c->is_whole);
			fake_pass_ms(5100);
			gw_lease_tick(w, fake_ns / 1000000);
		}
		assert_true(a->c->is_whole);
		assert_int_equal(a->c->status, 503);
		assert_int_equal(fake.n_sent, 0);
		assert_end(&e, 503, gw_err_info(GW_E_CRED_MISSING)->name);
		ask_done(a);
		assert_nothing_left();
	}
	fake.ask_err = GW_OK;
	w->confd = some_channel;
}

/* Who leaves or is late while waiting is out of the list: the answer finds nobody. */
static void waiters_that_left(void **state)
{
	(void)state;
	struct ask *a = ask_chat("sec", false, false), *b = ask_chat("sec", false, false),
		   *c = ask_chat("sec", false, false);
	struct ended e;

	gw_front_ops.on_gone(w, b->c);
	read_records(&e);
	assert_int_equal(e.n_end, 1);
	assert_string_equal(e.error, gw_err_info(GW_E_CLIENT_GONE)->name);
	fake_pass_ms(3600 * 1000);
	tick(); /* the others are late as a whole */
	assert_int_equal(a->c->status, 504);
	assert_int_equal(c->c->status, 504);
	read_records(&e);
	assert_int_equal(e.n_end, 2);
	ask_done(a);
	ask_done(b);
	ask_done(c);
	confd_answers(0, GW_OK, 0, 4, "alpha", 0, NULL);
	assert_int_equal(fake.n_under_way, 0);
	assert_nothing_left();
}

/* First half of a rotation: the provider refuses one secret, the other is tried on the same deployment. */
static void next_version(void **state)
{
	(void)state;
	struct ask *a = ask_chat("turn", false, false);

	confd_answers(0, GW_OK, 0, 4, "old-one", 5, "new-one");
	assert_string_equal(fake.first->auth, "Bearer old-one");
	up_head(fake.first, 401, "application/json");
	up_body(fake.first, "{\"error\":{\"message\":\"Incorrect API key provided: old-one\"}}");
	up_end(fake.first, GW_OK);
	finish_well(a, "Bearer new-one");
	assert_nothing_left();
}

/* The provider's words may hold the secret: the client and the record never do. */
static void secrets_are_scrubbed(void **state)
{
	(void)state;
	struct ask *a = ask_chat("sec", false, false);
	struct ended e;

	confd_answers(0, GW_OK, 0, 4, "plain-secret-of-cred", 0, NULL);
	up_head(fake.first, 400, "application/json");
	up_body(fake.first,
		"{\"error\":{\"message\":\"key plain-secret-of-cred is odd\",\"type\":\"invalid_request_error\"}}");
	up_end(fake.first, GW_OK);
	assert_int_equal(a->c->status, 400);
	assert_null(strstr(out_of(a), "plain-secret"));
	read_records(&e);
	char detail[512];
	snprintf(detail, sizeof detail, "%.*s", GW_FMT(e.rec.error_detail));
	assert_null(strstr(detail, "plain-secret"));
	ask_done(a);
}

/* The image names a newer version than the lease: asked again once; confd's own word ends the question. */
static void older_version_than_named(void **state)
{
	(void)state;
	struct ask *a = ask_chat("sec", false, false);

	fake_pass_ms(5);
	confd_answers(0, GW_OK, 0, 3, "third", 0, NULL);
	finish_well(a, "Bearer third");
	a = ask_chat("sec", false, false);
	assert_int_equal(fake.n_asks, 2);
	confd_answers(1, GW_E_UP_TIMEOUT, 0, 0, NULL, 0, NULL); /* hangs: an older version beats none */
	finish_well(a, "Bearer third");
	w->confd = NULL;
	a = ask_chat("sec", false, false);
	finish_well(a, "Bearer third");
	w->confd = some_channel;
	assert_nothing_left();
}

static void renewal_and_revocation(void **state)
{
	(void)state;
	struct ask *a = ask_chat("sec", false, false);

	confd_answers(0, GW_OK, 0, 4, "alpha", 0, NULL);
	finish_well(a, "Bearer alpha");
	size_t alive = gw_secret_alive();
	fake_pass_ms(290 * 1000);
	gw_lease_tick(w, fake_ns / 1000000);
	assert_int_equal(fake.n_asks, 1);
	fake_pass_ms(20 * 1000); /* past the half */
	gw_lease_tick(w, fake_ns / 1000000);
	assert_int_equal(fake.n_asks, 2);
	gw_lease_tick(w, fake_ns / 1000000); /* not twice */
	assert_int_equal(fake.n_asks, 2);
	confd_answers(1, GW_E_CONFD_DOWN, 0, 0, NULL, 0, NULL);
	w->confd = NULL; /* away for hours: it serves on */
	fake_pass_ms(5 * 3600 * 1000);
	gw_lease_tick(w, fake_ns / 1000000);
	a = ask_chat("sec", false, false);
	finish_well(a, "Bearer alpha");
	assert_int_equal(gw_secret_alive(), alive);
	assert_int_equal(
	    gw_revoke_add((struct gw_revoke *)(uintptr_t)w->revoke, gw_cred_revoke_hash(GW_LIT("cred"), 4)), GW_OK);
	gw_lease_tick(w, fake_ns / 1000000);
	assert_int_equal(gw_secret_alive(), alive - 1); /* wiped, confd or not */
	assert_int_equal(w->n_leases, 0);
	struct ended e;
	a = ask_chat("sec", false, false); /* it waits for the next confd, though not for long */
	fake_pass_ms(5100);
	gw_lease_tick(w, fake_ns / 1000000);
	assert_end(&e, 503, gw_err_info(GW_E_CRED_MISSING)->name);
	ask_done(a);
	w->confd = some_channel;
	a = ask_chat("sec", false, false); /* and a day is the longest */
	confd_answers(open_ask(), GW_OK, 0, 5, "beta", 0, NULL);
	finish_well(a, "Bearer beta");
	w->confd = NULL;
	fake_pass_ms(25 * 3600 * 1000);
	gw_lease_tick(w, fake_ns / 1000000);
	assert_int_equal(w->n_leases, 0);
	w->confd = some_channel;
	assert_nothing_left();
}

/* A confd that is starting or busy says nothing about the credential; one that knows it is gone or disabled does. */
static void refusals_that_pass(void **state)
{
	static const enum gw_err passing[] = { GW_E_NOT_READY, GW_E_LIMIT, GW_E_BUSY, GW_E_NOMEM };
	(void)state;
	struct ask *a = ask_chat("sec", false, false);

	confd_answers(0, GW_OK, 0, 4, "alpha", 0, NULL);
	finish_well(a, "Bearer alpha");
	fake_pass_ms(310 * 1000);
	for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
		gw_lease_tick(w, fake_ns / 1000000);
		confd_answers(open_ask(), GW_OK, (uint64_t) - (int64_t)passing[i], 0, NULL, 0, NULL);
		assert_int_equal(w->n_leases, 1);
		fake_pass_ms(6000);
	}
	a = ask_chat("sec", false, false);
	finish_well(a, "Bearer alpha");
	gw_lease_tick(w, fake_ns / 1000000);
	confd_answers(open_ask(), GW_OK, (uint64_t) - (int64_t)GW_E_CRED_MISSING, 0, NULL, 0, NULL);
	assert_int_equal(w->n_leases, 0);
	for (uint32_t i = 0; i < fake.n_asks; i++) {
		if (fake.asks[i].is_open)
			confd_answers(i, GW_OK, (uint64_t) - (int64_t)GW_E_CRED_MISSING, 0, NULL, 0, NULL);
	}
	assert_nothing_left();
}

/* More credentials in the life of a worker than the table has cells: those that are no more make room. */
static void cells_come_back(void **state)
{
	(void)state;
	struct gw_candidate one = { 0 };
	struct gw_req waiter = { .w = w, .plan = { .candidates = &one, .n_candidates = 1 } };
	char id[32];

	for (int i = 0; i < 5000; i++) {
		int n = snprintf(id, sizeof id, "cred-%d", i);

		fake.n_asks = 0;
		waiter.at.err = GW_OK;
		assert_null(gw_lease_get(w, gw_str(id, (size_t)n), 1, false, &waiter));
		if (waiter.at.err)
			fail_msg("no cell for credential %d", i);
		gw_lease_forget_waiter(w, &waiter);
		confd_answers(0, GW_OK, 0, 1, "s", 0, NULL);
		assert_int_equal(w->n_leases, 1);
		gw_lease_drop(w, gw_str(id, (size_t)n), false);
		assert_int_equal(w->n_leases, 0);
	}
	fake.n_asks = 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(first_use_waits_for_the_answer),
		T(no_secret),
		T(waiters_that_left),
		T(next_version),
		T(secrets_are_scrubbed),
		T(older_version_than_named),
		T(renewal_and_revocation),
		T(refusals_that_pass),
		T(cells_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
