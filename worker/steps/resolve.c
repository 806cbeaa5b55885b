/* resolve: model name to plan. After this the request looks at no image again. */
#include "worker/req.h"

enum gw_step_id gw_step_resolve(struct gw_req *r)
{
	enum gw_err e = gw_memo_where(r->w, &r->subject, r->chat.model, &r->where);

	if (r->where)
		r->plan = r->where->plan;
	r->rec.model = r->plan.model;
	r->is_strict |= r->subject.is_strict || r->plan.is_strict; /* the header may ask for more, not for less */
	if (e == GW_E_MODEL_NOT_FOUND) {
		r->err_param = GW_LIT("model");
		return gw_req_fail(r, e,
				   gw_arena_printf(&r->arena,
						   "The model `%.*s` does not exist or you do not have access to it.",
						   GW_FMT(r->rec.requested_model)));
	}
	if (e == GW_E_MODEL_DENIED) {
		r->err_param = GW_LIT("model");
		return gw_req_fail(r, e,
				   gw_arena_printf(&r->arena, "This API key may not use the model `%.*s`.",
						   GW_FMT(r->rec.requested_model)));
	}
	if (e)
		return gw_req_fail(r, e, GW_NIL);
	r->deadline_ns = r->first_byte_ns + r->plan.candidates[0].total_ms * 1000000;
	return GW_STEP_limit;
}
