/* fail: the error in the client's own dialect: a whole answer while nothing has gone out, else an error event and a cut. */
#include "core/error_body.h"
#include "worker/talk.h"

static void tell(struct gw_req *r, struct gw_error_told *told)
{
	if (r->at.told.err == r->err)
		gw_error_tell_upstream(told, &r->at.told, gw_str(r->id_text, sizeof r->id_text));
	else
		gw_error_tell(told, r->err, r->err_detail, r->err_param, gw_str(r->id_text, sizeof r->id_text));
	if (r->at.retry_after_ms)
		told->retry_after_ms = r->at.retry_after_ms;
}

static void whole(struct gw_req *r)
{
	struct gw_error_told told;

	gw_buf_clear(&r->held, 16 << 10);
	tell(r, &told);
	gw_talk_error(r, &told, false, &r->held);
	r->status = gw_dialect_error_status(r->endpoint->dialect, r->err);
	gw_answer_whole(r, GW_LIT("application/json"), gw_buf_view(&r->held));
}

static void midway(struct gw_req *r)
{
	struct gw_error_told told;

	gw_buf_clear(&r->held, 16 << 10);
	if (!r->at.is_sse)
		return; /* in the middle of other bytes there is nothing to say */
	gw_error_tell(&told, r->err, r->err_detail, GW_NIL, gw_str(r->id_text, sizeof r->id_text));
	gw_talk_error(r, &told, true, &r->held);
	r->tail = gw_buf_view(&r->held);
}

enum gw_step_id gw_step_fail(struct gw_req *r)
{
	gw_count(&r->w->page->errors[gw_slot_error_index(r->err)], 1);
	r->rec.error = gw_str_z(gw_err_info(r->err)->name);
	r->rec.error_detail = r->err_detail;
	if (!r->conn)
		r->status = r->out == GW_OUT_STREAMING ? r->status : 499;
	else if (r->out == GW_OUT_STREAMING)
		midway(r);
	else
		whole(r);
	return GW_STEP_account;
}
