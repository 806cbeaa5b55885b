/* judge: an attempt failed and the client has seen nothing of it. Again, another deployment, or give up. */
#include "core/price.h"
#include "lib/sys/clock.h"
#include "worker/api.h"
#include "worker/guess.h"
#include "worker/home.h"
#include "worker/moves.h"
#include "worker/talk.h"

/* What the provider has counted it charges, though nobody gets the answer. */
static void keep_cost(struct gw_req *r)
{
	struct gw_str version;
	struct gw_cost cost;

	gw_account_price(r, &cost, &version);
	r->is_failed_unpriced |= !cost.is_known;
	if (__builtin_add_overflow(r->failed_nanousd, cost.total, &r->failed_nanousd))
		r->failed_nanousd = INT64_MAX;
}

/* What an attempt has left in the request, but for its memory. */
static void clear(struct gw_req *r)
{
	gw_buf_clear(&r->held, 16 << 10);
	if (r->has_sse)
		gw_sse_done(&r->sse);
	r->has_sse = false;
	r->saw_done = r->saw_content = r->saw_error_event = false;
	r->ev_head = r->ev_end = false;
	r->up_err = GW_OK;
	r->hold_until_ns = r->first_content_ns = r->done_ns = 0;
	r->said_when_told = r->said_bytes = r->sampled_bytes = 0;
	r->said_pieces = 0;
	r->n_events = 0;
	r->tail = r->content_type = r->err_param = GW_NIL;
	r->at = (struct gw_attempt){ .candidate = r->at.candidate };
}

static void begin_again(struct gw_req *r)
{
	struct gw_moves_room room;

	if (r->usage.is_known)
		keep_cost(r);
	gw_talk_done(r);
	gw_home_done(r);
	gw_moves_save(r, &room);
	gw_arena_reset(&r->arena, r->mark);
	gw_moves_restore(r, &room);
	clear(r);
	r->usage = (struct gw_usage){ 0 };
	r->dropped = r->rec.dropped = GW_NIL;
	r->finish_reason = r->response_model = GW_NIL;
}

/* The same deployment: of a question that takes several calls, only the one that failed is made again. */
static void once_more(struct gw_req *r)
{
	if (gw_talk_goes_on(r))
		clear(r);
	else
		begin_again(r);
}

/* What the client is told lives longer than the attempt: copied before the arena is reset only when we go on. */
static enum gw_step_id give_up(struct gw_req *r)
{
	if (gw_guess_count(r))
		return GW_STEP_account;
	return gw_req_fail(r, r->at.err, r->at.detail);
}

static enum gw_step_id pass_over(struct gw_req *r)
{
	if (!gw_moves_pass_over(r))
		return give_up(r);
	begin_again(r);
	return GW_STEP_pick;
}

enum gw_step_id gw_step_judge(struct gw_req *r)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	uint32_t all = r->plan.n_candidates >= 32 ? UINT32_MAX : (1u << r->plan.n_candidates) - 1;

	if (gw_moves_is_passed_over(r))
		return pass_over(r);
	gw_relay_note_attempt(r);
	struct gw_judge_in in = {
		.err = r->at.err,
		.attempts = r->attempts - r->free_attempts,
		.retries = r->plan.retries,
		.was_reused = r->at.is_reused || r->at.err == GW_E_UP_STALE, /* no head came that could have told */
		.had_stale_retry = r->had_stale_retry,
		.had_again = r->had_again,
		.has_next_secret = c->credential_next_version != 0,
		.used_next_secret = r->use_next_secret,
		.is_token = c->is_token,
		.had_new_token = r->had_new_token,
		.now_ns = gw_now_ns(),
		.deadline_ns = r->deadline_ns,
		.has_more_candidates = (r->tried & all) != all,
	};
	if (r->api && r->api->up && (r->api->up->is_given || r->api->up->err))
		return give_up(r); /* half a body cannot be sent again */
	switch (gw_judge(&in)) {
	case GW_JUDGE_GIVE_UP:
		return give_up(r);
	case GW_JUDGE_NEXT:
		gw_moves_note_failure(r);
		begin_again(r);
		r->rec.is_retry_hidden = true;
		return GW_STEP_pick;
	case GW_JUDGE_AGAIN:
		once_more(r);
		r->had_again = r->rec.is_retry_hidden = true;
		return GW_STEP_send;
	case GW_JUDGE_AGAIN_FRESH:
		once_more(r);
		r->had_stale_retry = true;
		r->free_attempts++;
		return GW_STEP_send;
	case GW_JUDGE_NEW_TOKEN:
		gw_lease_refused(r->w, c->credential, r->secret);
		once_more(r);
		r->had_new_token = true;
		r->free_attempts++;
		return GW_STEP_send;
	case GW_JUDGE_OTHER_SECRET:
		once_more(r);
		r->use_next_secret = true;
		r->free_attempts++;
		return GW_STEP_send;
	}
	return give_up(r);
}
