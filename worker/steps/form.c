/* form: waits until a multipart body has told its model; then it goes the way of all requests. */
#include "worker/api.h"

enum gw_step_id gw_step_form(struct gw_req *r)
{
	enum gw_err e;

	if (r->ev_gone)
		return gw_req_fail(r, GW_E_CLIENT_GONE, GW_NIL);
	if (r->ev_late)
		return gw_req_fail(r, r->late_err, r->parse_why);
	if (!gw_upload_knows_model(r))
		return GW_STEP_wait;
	e = gw_upload_take_fields(r);
	r->start_record = GW_NIL; /* START knew less than END will */
	gw_parse_note_body(r);
	if (!e)
		return GW_STEP_resolve;
	r->err_param = r->parse_param;
	return gw_req_fail(r, e, r->parse_why);
}
