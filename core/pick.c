/* Which deployment is tried next, and what follows a failure: the two decisions of the retry loop, without its state. */
#include "core/pick.h"

/* May this one be chosen now, among those of its priority and state? */
static bool is_open(const struct gw_pick_in *in, uint32_t i, uint32_t priority, uint8_t state, bool is_aside)
{
	return in->plan->candidates[i].priority == priority && in->state[i] == state && !(in->tried >> i & 1) &&
	       (in->aside >> i & 1) == is_aside;
}

static bool has_open(const struct gw_pick_in *in, uint32_t priority, uint8_t state, bool is_aside)
{
	for (uint32_t i = 0; i < in->plan->n_candidates; i++) {
		if (is_open(in, i, priority, state, is_aside))
			return true;
	}
	return false;
}

static uint64_t weight_of(const struct gw_pick_in *in, uint32_t priority, uint8_t state, bool is_aside)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < in->plan->n_candidates; i++) {
		if (is_open(in, i, priority, state, is_aside))
			sum += in->plan->candidates[i].weight;
	}
	return sum;
}

/* The candidate at which the running sum of weights passes a random share of the whole. */
static int by_weight(const struct gw_pick_in *in, uint32_t priority, uint8_t state)
{
	bool is_aside = in->aside && !has_open(in, priority, state, false);
	uint64_t sum = weight_of(in, priority, state, is_aside);
	uint64_t at = (uint64_t)in->random * sum >> 32;
	int last = -1;

	for (uint32_t i = 0; i < in->plan->n_candidates; i++) {
		const struct gw_candidate *c = &in->plan->candidates[i];

		if (!is_open(in, i, priority, state, is_aside))
			continue;
		if (at < c->weight)
			return (int)i;
		at -= c->weight;
		last = (int)i; /* only weights of 0 */
	}
	return last;
}

uint32_t gw_pick_equals(const struct gw_pick_in *in, int chosen)
{
	uint32_t out = 0, me = (uint32_t)chosen;

	for (uint32_t i = 0; i < in->plan->n_candidates; i++) {
		if (i != me && is_open(in, i, in->plan->candidates[me].priority, in->state[me], in->aside >> me & 1))
			out |= 1u << i;
	}
	return out;
}

/* Best candidate in this state, lowest priority number first. */
static int pick_in_state(const struct gw_pick_in *in, uint8_t state)
{
	uint32_t best = UINT32_MAX;
	bool has_one = false;

	for (uint32_t i = 0; i < in->plan->n_candidates; i++) {
		if (in->state[i] != state || (in->tried >> i & 1))
			continue;
		if (!has_one || in->plan->candidates[i].priority < best)
			best = in->plan->candidates[i].priority;
		has_one = true;
	}
	return has_one ? by_weight(in, best, state) : -1;
}

int gw_pick(const struct gw_pick_in *in, enum gw_err *why)
{
	int i;
	bool has_pending = false;

	GW_REQUIRE(in->plan->n_candidates <= GW_PLAN_MAX_CANDIDATES);
	i = pick_in_state(in, GW_CAND_UP);
	if (i < 0)
		i = pick_in_state(in, GW_CAND_DOWN); /* rather the least bad one than nobody */
	if (i >= 0)
		return i;
	for (uint32_t k = 0; k < in->plan->n_candidates; k++)
		has_pending |= in->state[k] == GW_CAND_PENDING && !(in->tried >> k & 1);
	*why = has_pending && in->tried == 0 ? GW_E_MODEL_PENDING : GW_E_MODEL_DOWN;
	return -1;
}

enum gw_judgement gw_judge(const struct gw_judge_in *in)
{
	if (in->now_ns >= in->deadline_ns)
		return GW_JUDGE_GIVE_UP;
	/* A pooled connection that the provider had closed says nothing about the provider, and costs no retry. */
	if (in->err == GW_E_UP_STALE && in->was_reused && !in->had_stale_retry)
		return GW_JUDGE_AGAIN_FRESH;
	/* Nor does the first half of a rotation: the next secret is the same deployment. */
	if (in->err == GW_E_UP_AUTH && in->has_next_secret && !in->used_next_secret)
		return GW_JUDGE_OTHER_SECRET;
	/* A token may have ended before its time. */
	if (in->err == GW_E_UP_AUTH && in->is_token && !in->had_new_token)
		return GW_JUDGE_NEW_TOKEN;
	if (gw_err_info(in->err)->retry == GW_RETRY_NO || in->attempts > in->retries)
		return GW_JUDGE_GIVE_UP;
	/* What the model wrote by chance: the same question may have another answer. */
	if (gw_err_info(in->err)->retry == GW_RETRY_ONCE && in->err != GW_E_UP_STALE && !in->had_again)
		return GW_JUDGE_AGAIN;
	if (!in->has_more_candidates)
		return GW_JUDGE_GIVE_UP;
	return GW_JUDGE_NEXT;
}
