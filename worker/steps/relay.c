/* relay: waits while relay.c pumps, then decides how the attempt ended. */
#include "core/error_body.h"
#include "worker/api.h"
#include "worker/single.h"

static enum gw_err read_error_reply(struct gw_req *r)
{
	struct gw_str secrets[GW_REQ_SECRETS];
	struct gw_upstream_error ue = { 0 };

	struct gw_upstream_reply in = { .status = r->at.status,
					.body = gw_buf_view(&r->held),
					.asked_ms = r->at.retry_after_ms,
					.error_type = r->at.error_type,
					.secrets = secrets,
					.n_secrets = gw_req_secrets(r, secrets) };

	gw_upstream_error_take(&r->arena, &in, &ue);
	if (r->api)
		ue.err = gw_api_error(r, ue.err);
	r->at.detail = ue.message.n ? ue.message : ue.note;
	r->at.told = ue;
	r->at.said = ue.code.n ? ue.code : ue.type;
	if (!r->at.upstream_request_id.n)
		r->at.upstream_request_id = ue.request_id;
	if (ue.param.n)
		r->err_param = ue.param;
	r->at.retry_after_ms = ue.retry_after_ms;
	return ue.err;
}

static enum gw_err end_of_stream(struct gw_req *r)
{
	if (r->saw_done)
		return GW_OK;
	/* Some providers leave [DONE] out: a finish reason and a clean end is as good. Clients are told it all the same. */
	if (!r->finish_reason.n || gw_sse_rest(&r->sse).n)
		return GW_E_UP_CUT;
	if (r->endpoint->usage == GW_EPU_CHAT || r->endpoint->usage == GW_EPU_TEXT)
		r->tail = GW_LIT("data: [DONE]\n\n");
	return GW_OK;
}

/* A failure that came as a 200: nobody has seen it yet, so it is one like any other. */
static bool is_error_inside(struct gw_req *r)
{
	const struct gw_scan_value *v = &r->values[GW_UP_ERROR], *finish = &r->values[GW_UP_FINISH];
	bool has_failed = finish->type == GW_JSON_NONE || gw_str_eq(gw_scan_str(finish), GW_LIT("failed"));

	return r->out == GW_OUT_NONE && (v->type == GW_JSON_OBJ || (v->type == GW_JSON_STR && v->len)) && has_failed &&
	       r->endpoint->reply != GW_EPR_AS_IT_IS && gw_upstream_is_error(&r->arena, gw_buf_view(&r->held));
}

static enum gw_err end_of_whole(struct gw_req *r)
{
	gw_usage_take(&r->usage, r->values);
	if (r->api && !r->api->is_json)
		return GW_OK;
	if (is_error_inside(r))
		return gw_relay_error_event(r, 200, gw_buf_view(&r->held));
	if (r->values[GW_UP_MODEL].type == GW_JSON_STR)
		r->response_model = gw_arena_str(&r->arena, gw_scan_str(&r->values[GW_UP_MODEL]));
	if (r->values[GW_UP_FINISH].type == GW_JSON_STR && r->endpoint->usage != GW_EPU_MEDIA)
		r->finish_reason = gw_arena_str(&r->arena, gw_scan_str(&r->values[GW_UP_FINISH]));
	if (r->endpoint->reply == GW_EPR_AS_IT_IS)
		return GW_OK; /* what it is, is the provider's business */
	return r->scan.is_broken || !r->scan.is_done ? GW_E_UP_GARBLED : GW_OK;
}

static enum gw_err how_it_ended(struct gw_req *r)
{
	enum gw_err e;

	if (r->at.status >= 400) /* the status says enough, even when the words behind it are cut */
		return read_error_reply(r);
	if (r->talk)
		return r->saw_error_event ? r->up_err : gw_talk_end(r);
	if (r->up_err &&
	    !(r->at.is_sse && r->saw_done)) /* after [DONE] the answer is whole, however the connection ends */
		return r->up_err;
	e = r->at.is_sse ? end_of_stream(r) : end_of_whole(r);
	return e ? e : gw_upstream_finish_error(r->finish_reason);
}

/* A stream that is cut or stalls before its first content is an answer that never began: another deployment may give it. */
static enum gw_err unbegun(const struct gw_req *r, enum gw_err e)
{
	if (!r->at.is_sse || r->saw_content)
		return e;
	return e == GW_E_UP_CUT ? GW_E_UP_RESET : e == GW_E_UP_STALLED ? GW_E_UP_TIMEOUT : e;
}

static enum gw_step_id done_well(struct gw_req *r)
{
	r->status = r->at.status;
	if (r->at.is_sse) {
		gw_relay_release(r); /* a stream without content has not begun yet */
	} else if (r->out == GW_OUT_NONE) {
		if (r->talk && r->at.status < 400)
			gw_answer_whole(r, GW_LIT("application/json"), gw_talk_whole(r->talk));
		else
			gw_answer_whole(r, r->content_type, gw_buf_view(&r->held));
	} else {
		r->tail = gw_buf_view(&r->held);
	}
	if (r->attempts > 1) /* one that succeeded at once is told by the record's own fields */
		gw_relay_note_attempt(r);
	return GW_STEP_account;
}

enum gw_step_id gw_step_relay(struct gw_req *r)
{
	if (r->ev_gone || r->ev_late) {
		enum gw_step_id next = gw_req_event(r);

		if (next == GW_STEP_fail || r->out == GW_OUT_NONE)
			return next;
		gw_relay_note_attempt(r);
		return gw_req_fail(r, r->at.err, r->at.detail);
	}
	if (!r->ev_end)
		return GW_STEP_wait;
	r->at.err = how_it_ended(r);
	if (r->at.err == GW_E_AGAIN) { /* one part of several */
		r->at.err = GW_OK;
		return GW_STEP_wait;
	}
	if (!r->at.err || (r->api && r->api->is_raw_error))
		return done_well(r);
	gw_single_say_part(r);
	if (r->out == GW_OUT_NONE) {
		r->at.err = unbegun(r, r->at.err);
		return GW_STEP_judge;
	}
	if (r->at.err == GW_E_UP_TIMEOUT)
		r->at.err = GW_E_UP_STALLED;
	gw_relay_note_attempt(r);
	return gw_req_fail(r, r->at.err, r->at.detail);
}
