/* pick: the next deployment to try, by priority, weight and health. */
#include "worker/moves.h"

static uint8_t state_of(const struct gw_worker *w, const struct gw_candidate *c)
{
	const struct gw_health_cell *cell =
	    gw_health_get(w->health, gw_health_key(c->deployment, c->deployment_version));

	if (!c->is_probe_needed)
		return cell && atomic_load_explicit(&cell->verdict, memory_order_relaxed) == GW_VERDICT_DOWN
			   ? GW_CAND_DOWN
			   : GW_CAND_UP;
	if (!cell)
		return GW_CAND_PENDING;
	switch (atomic_load_explicit(&cell->verdict, memory_order_relaxed)) {
	case GW_VERDICT_UP:
		return GW_CAND_UP;
	case GW_VERDICT_DOWN:
		return GW_CAND_DOWN;
	default:
		return GW_CAND_PENDING;
	}
}

enum gw_step_id gw_step_pick(struct gw_req *r)
{
	struct gw_worker *w = r->w;
	uint8_t state[GW_PLAN_MAX_CANDIDATES];
	enum gw_err why = GW_E_MODEL_DOWN;

	for (uint32_t i = 0; i < r->plan.n_candidates; i++)
		state[i] = state_of(w, &r->plan.candidates[i]);
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	struct gw_pick_in in = { .plan = &r->plan,
				 .state = state,
				 .tried = r->tried,
				 .aside = r->aside,
				 .random = (uint32_t)(w->rng >> 32) };
	int i = gw_pick(&in, &why);
	if (i < 0) {
		if (!r->kept.err)
			return gw_req_fail(r, why, GW_NIL);
		gw_moves_tell_kept(r);
		return gw_req_fail(r, r->at.err, r->at.detail);
	}
	r->at = (struct gw_attempt){ .candidate = i, .is_final = r->aside >> i & 1 };
	if (r->plan.n_candidates > 1 && !r->at.is_final)
		r->at.equals = gw_pick_equals(&in, i);
	r->tried |= 1u << i;
	r->had_stale_retry = r->had_new_token = r->had_again = false;
	r->use_next_secret = false;
	return GW_STEP_send;
}
