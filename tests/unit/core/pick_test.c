/* Order of the candidates, shares by weight, and what is decided after a failure. */
#include "tests/unit/lib/util.h"

#include "core/pick.h"

static struct gw_candidate cands[GW_PLAN_MAX_CANDIDATES];
static uint8_t state[GW_PLAN_MAX_CANDIDATES];
static struct gw_plan plan = { .candidates = cands };
static enum gw_err why;
static uint32_t aside;

static int pick(uint32_t tried, uint32_t random)
{
	struct gw_pick_in in = { .plan = &plan, .state = state, .tried = tried, .aside = aside, .random = random };

	why = GW_OK;
	return gw_pick(&in, &why);
}

static void set(uint32_t i, uint32_t weight, uint32_t priority, enum gw_cand_state s)
{
	cands[i].weight = weight;
	cands[i].priority = priority;
	state[i] = (uint8_t)s;
	plan.n_candidates = i + 1;
}

static void order(void **st)
{
	(void)st;
	set(0, 1, 5, GW_CAND_UP);
	set(1, 1, 2, GW_CAND_UP);
	set(2, 1, 9, GW_CAND_DOWN);
	assert_int_equal(pick(0, 0), 1);
	assert_int_equal(pick(0, UINT32_MAX), 1);
	assert_int_equal(pick(1 << 1, 7), 0);
	assert_int_equal(pick(1 << 1 | 1, 7), 2); /* the one that is down, rather than nobody */
	assert_int_equal(pick(7, 7), -1);
	assert_int_equal(why, GW_E_MODEL_DOWN);
	state[1] = GW_CAND_DOWN; /* up before down, whatever the priority */
	assert_int_equal(pick(0, 0), 0);
	assert_int_equal(pick(1, 0), 1); /* the better of two that are down */
}

static void pending(void **st)
{
	(void)st;
	set(0, 1, 0, GW_CAND_PENDING);
	assert_int_equal(pick(0, 0), -1);
	assert_int_equal(why, GW_E_MODEL_PENDING);
	set(1, 1, 0, GW_CAND_UP);
	assert_int_equal(pick(0, UINT32_MAX), 1);
	assert_int_equal(pick(2, 0), -1); /* one was tried: the model is down, not pending */
	assert_int_equal(why, GW_E_MODEL_DOWN);
	plan.n_candidates = 0;
	assert_int_equal(pick(0, 0), -1);
	assert_int_equal(why, GW_E_MODEL_DOWN);
}

static void shares(void **st)
{
	unsigned hits[3] = { 0 };

	(void)st;
	set(0, 1, 0, GW_CAND_UP);
	set(1, 3, 0, GW_CAND_UP);
	set(2, 6, 0, GW_CAND_UP);
	for (int i = 0; i < 100000; i++)
		hits[pick(0, (uint32_t)rng())]++;
	assert_in_range(hits[0], 9500, 10500);
	assert_in_range(hits[1], 29000, 31000);
	assert_in_range(hits[2], 59000, 61000);
	memset(hits, 0, sizeof(hits));
	for (int i = 0; i < 90000; i++) /* without the third: 1 to 3 */
		hits[pick(1 << 2, (uint32_t)rng())]++;
	assert_int_equal(hits[2], 0);
	assert_in_range(hits[0], 21500, 23500);
}

/* Trying one after the other visits every candidate that is not pending exactly once. */
static void visits_all(void **st)
{
	(void)st;
	for (int round = 0; round < 5000; round++) {
		uint32_t n = 1 + (uint32_t)rng_below(GW_PLAN_MAX_CANDIDATES), tried = 0, want = 0;
		int i;

		for (uint32_t k = 0; k < n; k++) {
			set(k, (uint32_t)rng_below(5), (uint32_t)rng_below(3), (enum gw_cand_state)rng_below(3));
			want |= (state[k] != GW_CAND_PENDING ? 1u : 0u) << k;
		}
		while ((i = pick(tried, (uint32_t)rng())) >= 0) {
			assert_false(tried >> i & 1);
			tried |= 1u << i;
		}
		assert_int_equal(tried, want);
	}
}

/* Who would leave something out stands behind its equals, before those of a worse priority, and is never lost. */
static void set_aside(void **st)
{
	struct gw_pick_in in = { .plan = &plan, .state = state };

	(void)st;
	set(0, 1, 0, GW_CAND_UP);
	set(1, 900, 0, GW_CAND_UP);
	set(2, 1, 1, GW_CAND_UP);
	set(3, 1, 0, GW_CAND_DOWN);
	assert_int_equal(gw_pick_equals(&in, 1), 1 << 0);
	assert_int_equal(gw_pick_equals(&in, 2), 0);
	aside = 1 << 1;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pick(0, (uint32_t)rng()), 0); /* whatever the weights */
	assert_int_equal(pick(1, 7), 1); /* before another priority */
	assert_int_equal(pick(3, 7), 2);
	assert_int_equal(pick(7, 7), 3);
	in.aside = aside;
	assert_int_equal(gw_pick_equals(&in, 1), 0);
	assert_int_equal(gw_pick_equals(&in, 0), 0);
	in.tried = 1 << 0;
	in.aside = 0;
	assert_int_equal(gw_pick_equals(&in, 1), 0);
	aside = 3; /* all of them: by weight again */
	assert_int_equal(pick(0, UINT32_MAX), 1);
	assert_int_equal(pick(0, 0), 0);
	aside = 0;
}

static enum gw_judgement judge(enum gw_err err, struct gw_judge_in in)
{
	in.err = err;
	if (!in.deadline_ns)
		in.deadline_ns = 100;
	return gw_judge(&in);
}

static void judgements(void **st)
{
	struct gw_judge_in base = { .attempts = 1, .retries = 2, .has_more_candidates = true };
	struct gw_judge_in in = base;

	(void)st;
	assert_int_equal(judge(GW_E_UP_SERVER, base), GW_JUDGE_NEXT);
	assert_int_equal(judge(GW_E_UP_LIMIT, base), GW_JUDGE_NEXT);
	assert_int_equal(judge(GW_E_UP_BAD_REQUEST, base), GW_JUDGE_GIVE_UP);
	assert_int_equal(judge(GW_E_UP_CONTEXT, base), GW_JUDGE_GIVE_UP);
	assert_int_equal(judge(GW_E_CLIENT_GONE, base), GW_JUDGE_GIVE_UP);
	in.attempts = 2;
	assert_int_equal(judge(GW_E_UP_SERVER, in), GW_JUDGE_NEXT);
	in.attempts = 3;
	assert_int_equal(judge(GW_E_UP_SERVER, in), GW_JUDGE_GIVE_UP);
	in = base;
	in.retries = 0;
	assert_int_equal(judge(GW_E_UP_SERVER, in), GW_JUDGE_GIVE_UP);
	in = base;
	in.has_more_candidates = false;
	assert_int_equal(judge(GW_E_UP_SERVER, in), GW_JUDGE_GIVE_UP);
	in.was_reused = true; /* a stale connection costs nothing and needs nobody else */
	in.retries = 0;
	assert_int_equal(judge(GW_E_UP_STALE, in), GW_JUDGE_AGAIN_FRESH);
	in.had_stale_retry = true;
	assert_int_equal(judge(GW_E_UP_STALE, in), GW_JUDGE_GIVE_UP);
	in = base; /* what a model wrote by chance: once more, then elsewhere */
	assert_int_equal(judge(GW_E_UP_TOOL_CALL, in), GW_JUDGE_AGAIN);
	in.has_more_candidates = false;
	assert_int_equal(judge(GW_E_UP_TOOL_CALL, in), GW_JUDGE_AGAIN);
	in.had_again = true;
	assert_int_equal(judge(GW_E_UP_TOOL_CALL, in), GW_JUDGE_GIVE_UP);
	in.has_more_candidates = true;
	assert_int_equal(judge(GW_E_UP_TOOL_CALL, in), GW_JUDGE_NEXT);
	in = base;
	in.retries = 0;
	assert_int_equal(judge(GW_E_UP_TOOL_CALL, in), GW_JUDGE_GIVE_UP);
	in = base;
	in.has_next_secret = true;
	assert_int_equal(judge(GW_E_UP_AUTH, in), GW_JUDGE_OTHER_SECRET);
	assert_int_equal(judge(GW_E_UP_SERVER, in), GW_JUDGE_NEXT);
	in.used_next_secret = true;
	assert_int_equal(judge(GW_E_UP_AUTH, in), GW_JUDGE_NEXT);
	in.now_ns = 100;
	assert_int_equal(judge(GW_E_UP_AUTH, in), GW_JUDGE_GIVE_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(order),     cmocka_unit_test(pending),
					    cmocka_unit_test(shares),    cmocka_unit_test(visits_all),
					    cmocka_unit_test(set_aside), cmocka_unit_test(judgements) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
