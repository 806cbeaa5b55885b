#pragma once
#include "core/plan.h"
#include "lib/err.h"

/* Which candidate is tried next: lowest priority number first, among equals those that are not set aside, among these by weight (random given),
 * skipping those tried, down, or pending. Pure. */
enum gw_cand_state { GW_CAND_UP, GW_CAND_PENDING, GW_CAND_DOWN };
struct gw_pick_in {
	const struct gw_plan *plan;
	const uint8_t *state; /* enum gw_cand_state per candidate */
	uint32_t tried; /* bit set of candidates */
	uint32_t aside; /* those that would leave out a part of the request: behind their equals */
	uint32_t random;
};
/* Index, or -1 with *why: MODEL_PENDING when only pending ones are left and none was tried, MODEL_DOWN else.
 * When everything left is down, the least bad (down) one is tried rather than nobody, unless it was tried. */
int gw_pick(const struct gw_pick_in *in, enum gw_err *why);
/* The others that could have been chosen as well as this one: bit set of candidates. */
uint32_t gw_pick_equals(const struct gw_pick_in *in, int chosen);

/* After a failed attempt, before anything reached the client (core/judge). */
enum gw_judgement {
	GW_JUDGE_GIVE_UP,
	GW_JUDGE_NEXT,
	GW_JUDGE_AGAIN, /* the same deployment; it counts as a retry */
	GW_JUDGE_AGAIN_FRESH,
	GW_JUDGE_OTHER_SECRET,
	GW_JUDGE_NEW_TOKEN
};
struct gw_judge_in {
	enum gw_err err;
	uint32_t attempts, retries; /* made so far, further ones allowed */
	bool was_reused; /* the attempt used a pooled connection */
	bool had_stale_retry; /* AGAIN_FRESH was used for this candidate already */
	bool had_again; /* AGAIN was */
	bool has_next_secret, used_next_secret;
	bool is_token, had_new_token; /* the credential was fetched; it was fetched anew for this request already */
	uint64_t now_ns, deadline_ns;
	bool has_more_candidates;
};
enum gw_judgement gw_judge(const struct gw_judge_in *in);
