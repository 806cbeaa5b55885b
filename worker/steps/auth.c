/* auth: the key's row, its org, team and user; the START record. From here on the request owes an END. */
#include "worker/api.h"

static enum gw_err look_up(struct gw_req *r)
{
	struct gw_worker *w = r->w;
	enum gw_err e;

	if (!w->pepper || !w->images.image[GW_IMAGE_CONFIG])
		return GW_E_NOT_READY;
#ifdef GW_PLANT_leak_key
	r->rec.action_id = gw_arena_str(&r->arena, gw_str_skip(r->token_header, r->token_header.n / 2));
#endif
	e = gw_memo_who(w, r->token_header, r->rec.ts_start_us, &r->who);
	r->token_header = GW_NIL;
	if (r->who)
		r->subject = r->who->subject;
	return e;
}

static void name_subject(struct gw_req *r)
{
	r->rec.key = r->subject.key;
	r->rec.org = r->subject.org;
	r->rec.team = r->subject.team;
	if (r->subject.user.n)
		r->rec.user = r->subject.user;
	r->rec.generation = r->w->images.generation;
}

enum gw_step_id gw_step_auth(struct gw_req *r)
{
	struct gw_str why = r->err ? r->parse_why : GW_NIL; /* before: no key, or two */
	enum gw_err e = r->err ? r->err : look_up(r);

	if (!r->subject.key.n) {
		gw_count(&r->w->page->metric[GW_M_requests_unauthenticated], 1);
		return gw_req_fail(r, e ? e : GW_E_BUG, why);
	}
	name_subject(r);
	enum gw_err started = gw_record_start(r);
	if (started)
		return gw_req_fail(r, started, GW_NIL);
	if (e)
		return gw_req_fail(r, e, GW_NIL);
	if (r->parse_err) {
		r->err_param = r->parse_param;
		return gw_req_fail(r, r->parse_err, r->parse_why);
	}
	return r->api ? gw_api_after_auth(r) : r->endpoint->id == GW_EP_CHAT ? GW_STEP_resolve : GW_STEP_models;
}
