/* Remembered subjects and plans: found again, never used for other images or another pepper, never more than the tables hold, and whoever
 * holds an entry keeps it whatever is forgotten. */
#include "tests/unit/worker/fixture.h"

static struct gw_memo *who(const char *token)
{
	struct gw_memo *m = NULL;

	assert_int_equal(gw_memo_who(w, gw_str_z(token), 1000, &m), GW_OK);
	assert_non_null(m);
	return m;
}

static struct gw_memo *where(const struct gw_subject *s, const char *name)
{
	struct gw_memo *m = NULL;

	assert_int_equal(gw_memo_where(w, s, gw_str_z(name), &m), GW_OK);
	assert_non_null(m);
	return m;
}

static void the_second_look_finds_the_first(void **state)
{
	struct gw_memo *a = who(TOKEN), *b = who(TOKEN);

	(void)state;
	assert_ptr_equal(a, b);
	assert_true(gw_str_eq(a->subject.key, GW_LIT("k1")));
	struct gw_memo *p = where(&a->subject, "two"), *q = where(&a->subject, "two"), *one = where(&a->subject, "one");

	assert_ptr_equal(p, q);
	assert_ptr_not_equal(p, one);
	assert_int_equal(p->plan.n_candidates, 2);
	assert_true(gw_str_eq(one->plan.candidates[0].upstream_model, GW_LIT("real-1")));
	gw_memo_unref(w, a);
	gw_memo_unref(w, b);
	gw_memo_unref(w, p);
	gw_memo_unref(w, q);
	gw_memo_unref(w, one);
}

/* The plan is the team's, the lists are the key's: a key that may not must not profit from one that may. */
static void a_plan_of_another_key_is_checked_for_this_one(void **state)
{
	struct gw_memo *a = who(TOKEN), *p = where(&a->subject, "two"), *none = NULL;
	struct gw_str only = GW_LIT("one"), prefix = GW_LIT("tw*");
	struct gw_subject s = a->subject;

	(void)state;
	s.key_models = (struct gw_strs){ &only, 1 };
	assert_int_equal(gw_memo_where(w, &s, GW_LIT("two"), &none), GW_E_MODEL_DENIED);
	assert_null(none);
	s.key_models = (struct gw_strs){ &prefix, 1 };
	s.team_models = (struct gw_strs){ &only, 1 };
	assert_int_equal(gw_memo_where(w, &s, GW_LIT("two"), &none), GW_E_MODEL_DENIED);
	s.team_models = (struct gw_strs){ 0 };
	assert_int_equal(gw_memo_where(w, &s, GW_LIT("two"), &none), GW_OK);
	assert_ptr_equal(none, p);
	gw_memo_unref(w, none);
	gw_memo_unref(w, p);
	gw_memo_unref(w, a);
}

static void other_teams_and_names_do_not_meet(void **state)
{
	struct gw_memo *a = who(TOKEN), *p = where(&a->subject, "two"), *q;
	struct gw_subject s = a->subject;

	(void)state;
	s.team = GW_NIL;
	q = where(&s, "two");
	assert_ptr_not_equal(p, q);
	gw_memo_unref(w, q);
	s.org = GW_LIT("acmer"); /* "acme" + "red" is not "acmer" + "ed" */
	s.team = GW_LIT("ed");
	q = where(&s, "two");
	assert_ptr_not_equal(p, q);
	gw_memo_unref(w, q);
	gw_memo_unref(w, p);
	gw_memo_unref(w, a);
}

static void refusals_are_not_remembered(void **state)
{
	struct gw_memo *m = NULL, *a = who(TOKEN);

	(void)state;
	assert_int_equal(gw_memo_who(w, GW_LIT("sk-unknown"), 1000, &m), GW_E_BAD_KEY);
	assert_int_equal(gw_memo_who(w, GW_LIT("sk-unknown"), 1000, &m), GW_E_BAD_KEY);
	assert_int_equal(gw_memo_where(w, &a->subject, GW_LIT("nothing"), &m), GW_E_MODEL_NOT_FOUND);
	assert_int_equal(gw_memo_where(w, &a->subject, GW_LIT("nothing"), &m), GW_E_MODEL_NOT_FOUND);
	assert_null(m);
	gw_memo_unref(w, a);
}

static void expiry_and_revocation_are_asked_each_time(void **state)
{
	struct gw_memo *a = who(TOKEN), *m = NULL;

	(void)state;
	a->subject.expires_at_us = 5000;
	gw_memo_unref(w, who(TOKEN)); /* at 1000 */
	assert_int_equal(gw_memo_who(w, GW_LIT(TOKEN), 5000, &m), GW_E_KEY_EXPIRED);
	assert_null(m);
	a->subject.expires_at_us = 0;
	assert_int_equal(gw_revoke_add((struct gw_revoke *)(uintptr_t)w->revoke, gw_key_revoke_hash(key_index)), GW_OK);
	assert_int_equal(gw_memo_who(w, GW_LIT(TOKEN), 1000, &m), GW_E_KEY_DISABLED);
	assert_ptr_equal(m, a); /* so that the refusal has a record */
	gw_memo_unref(w, m);
	gw_memo_unref(w, a);
}

static void after_a_swap_rows_are_read_again(void **state)
{
	struct gw_memo *a = who(TOKEN), *p = where(&a->subject, "one"), *b, *q;

	(void)state;
	gw_memo_swapped(w);
	b = who(TOKEN);
	q = where(&b->subject, "one");
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(p, q);
	assert_true(gw_str_eq(a->subject.key, GW_LIT("k1"))); /* who holds it still reads it */
	assert_true(gw_str_eq(p->plan.model, GW_LIT("m-one")));
	gw_image_close(w->images.image[GW_IMAGE_DELTA]);
	w->images.image[GW_IMAGE_DELTA] = NULL;
	gw_memo_swapped(w);
	struct gw_memo *m = NULL;

	assert_int_equal(gw_memo_who(w, GW_LIT(TOKEN), 1000, &m), GW_E_BAD_KEY); /* its row is gone */
	gw_memo_unref(w, a);
	gw_memo_unref(w, b);
	gw_memo_unref(w, p);
	gw_memo_unref(w, q);
}

static void another_pepper_is_another_key(void **state)
{
	struct gw_secret *pepper = gw_secret_new("another pepper, another pepper!!", 32);
	struct gw_memo *a = who(TOKEN), *m = NULL;

	(void)state;
	gw_hmac_free(w->pepper);
	w->pepper = gw_hmac_new(pepper);
	gw_secret_unref(pepper);
	gw_memo_forget(w);
	assert_int_equal(gw_memo_who(w, GW_LIT(TOKEN), 1000, &m), GW_E_BAD_KEY);
	gw_memo_unref(w, a);
	assert_int_equal(w->memos.bytes, 0);
}

/* More keys of entries than slots: the tables stay as large as they are, and what leaves them is given back. */
static void tables_are_bounded(void **state)
{
	struct gw_memo *a = who(TOKEN);
	size_t most = 0;

	(void)state;
	for (int i = 0; i < 3 * GW_MEMO_SETS * GW_MEMO_WAYS; i++) {
		struct gw_subject s = a->subject;
		char org[16];

		s.org = gw_str(org, (size_t)snprintf(org, sizeof org, "org-%d", i));
		gw_memo_unref(w, where(&s, "one"));
		most = w->memos.bytes > most ? w->memos.bytes : most;
	}
	assert_true(most <= GW_MEMO_MAX_BYTES);
	assert_true(most > 100000);
	gw_memo_unref(w, a);
	gw_memo_forget(w);
	assert_int_equal(w->memos.bytes, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_second_look_finds_the_first),
		T(a_plan_of_another_key_is_checked_for_this_one),
		T(other_teams_and_names_do_not_meet),
		T(refusals_are_not_remembered),
		T(expiry_and_revocation_are_asked_each_time),
		T(after_a_swap_rows_are_read_again),
		T(another_pepper_is_another_key),
		T(tables_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
