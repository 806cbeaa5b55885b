/* Deployments that are passed over because of what their dialect can carry (moves.h). */
#include "worker/moves.h"

#include "core/provider.h"
#include "lib/json_write.h"
#include "worker/talk.h"

enum { LOG_ROOM = 2048, WHY_IN_LOG = 100 };

static struct gw_str cut(struct gw_str s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80) /* no half letters */
		max--;
	return gw_str(s.p, max);
}

void gw_moves_refused(struct gw_req *r, bool is_unread)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];

	r->at.is_refused = true;
	r->dropped = r->rec.dropped = GW_NIL; /* nothing was left out: nothing was sent */
	if (is_unread || !r->at.detail.n || r->plan.n_candidates < 2)
		return;
	r->at.detail = gw_arena_printf(&r->arena, "%.*s (deployment %.*s, provider type %s)", GW_FMT(r->at.detail),
				       GW_FMT(c->deployment), gw_providers[c->provider_type].name);
}

static bool would_carry(const struct gw_req *r, const struct gw_candidate *c, const struct gw_needs *needs)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];

	if (!gw_talk_is_needed(r, c) || (p->dialect_id == r->endpoint->dialect && !(p->quirks & GW_Q_EDITED)))
		return true; /* its bytes pass */
	return gw_needs_fit(needs, p->dialect_id, p->quirks) == GW_FIT_WHOLE;
}

bool gw_moves_is_set_aside(struct gw_req *r, const struct gw_needs *needs)
{
	for (uint32_t i = 0; needs->is_known && i < r->plan.n_candidates; i++) {
		if ((r->at.equals >> i & 1) && would_carry(r, &r->plan.candidates[i], needs)) {
			r->at.is_aside = true;
			return true;
		}
	}
	return false;
}

/* What was passed over, as a row of attempt_log: no status, no time. */
static void note(struct gw_req *r)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	struct gw_str before = gw_buf_view(&r->attempt_log), why = r->at.is_aside ? r->at.left_out : r->at.detail;
	struct gw_json_out w;

	if (before.n > LOG_ROOM)
		return;
	if (before.n)
		gw_buf_putc(&r->attempt_log, ',');
	gw_jw_init(&w, &r->attempt_log);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "deployment", c->deployment);
	gw_jw_kstr(&w, "skipped", r->at.is_aside ? GW_LIT("would_drop") : gw_str_z(gw_err_info(r->at.err)->name));
	if (r->err_param.n && !r->at.is_aside)
		gw_jw_kstr(&w, "param", cut(r->err_param, WHY_IN_LOG));
	if (why.n)
		gw_jw_kstr(&w, "why", cut(why, WHY_IN_LOG));
	gw_jw_end_obj(&w);
	r->n_passed_over++;
}

/* Those that would say just the same need not be asked. */
static void refuse_alike(struct gw_req *r)
{
	const struct gw_candidate *me = &r->plan.candidates[r->at.candidate];

	for (uint32_t i = 0; i < r->plan.n_candidates; i++) {
		const struct gw_candidate *c = &r->plan.candidates[i];

		if (c->provider_type == me->provider_type && gw_str_eq(c->upstream_model, me->upstream_model))
			r->tried |= 1u << i;
	}
}

/* What a provider that was asked has said is worth more than what nobody was asked; of the same worth, the latest. */
static void keep(struct gw_req *r, bool was_asked)
{
	if (r->kept.was_asked && !was_asked)
		return;
	r->kept = (struct gw_kept){ .err = r->at.err,
				    .was_asked = was_asked,
				    .candidate = r->at.candidate,
				    .status = r->at.status,
				    .retry_after_ms = r->at.retry_after_ms,
				    .param = r->err_param,
				    .detail = r->at.detail };
}

bool gw_moves_pass_over(struct gw_req *r)
{
	uint32_t all = r->plan.n_candidates >= 32 ? UINT32_MAX : (1u << r->plan.n_candidates) - 1;

	note(r);
	if (r->at.is_aside) {
		r->aside |= 1u << r->at.candidate;
		r->tried &= ~(1u << r->at.candidate);
		return true;
	}
	refuse_alike(r);
	keep(r, false);
	if ((r->tried & all) != all)
		return true;
	gw_moves_tell_kept(r);
	return false;
}

void gw_moves_note_failure(struct gw_req *r)
{
	keep(r, true);
}

void gw_moves_tell_kept(struct gw_req *r)
{
	const struct gw_kept *k = &r->kept;

	r->at = (struct gw_attempt){ .candidate = k->candidate,
				     .status = k->status,
				     .err = k->err,
				     .detail = k->detail,
				     .retry_after_ms = k->retry_after_ms };
	r->err_param = k->param;
}

/* ---- over the reset of the attempt's memory ---- */

static size_t put(char *room, size_t max, struct gw_str s)
{
	s = cut(s, max);
	if (s.n)
		memcpy(room, s.p, s.n);
	return s.n;
}

void gw_moves_save(const struct gw_req *r, struct gw_moves_room *room)
{
	room->param_n = put(room->param, sizeof(room->param), r->kept.param);
	room->detail_n = put(room->detail, sizeof(room->detail), r->kept.detail);
}

void gw_moves_restore(struct gw_req *r, const struct gw_moves_room *room)
{
	r->kept.param = gw_arena_str(&r->arena, gw_str(room->param, room->param_n));
	r->kept.detail = gw_arena_str(&r->arena, gw_str(room->detail, room->detail_n));
}
