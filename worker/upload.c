/* Bodies that are streamed. Pieces are held back until the request knows where it goes (and, of a form, which model it means); then
 * they pass, with back-pressure both ways and the model's name replaced on the way. Once the provider was given a byte there is no other
 * attempt. A form whose model stands behind its files is held like a JSON body, under the same ceiling. */
#include "worker/api.h"

enum { SLICE = 64 << 10, PART_MAX = 512 };

/* A part that names the model, for forms that do not. */
static struct gw_str model_part(struct gw_req *r, struct gw_str name)
{
	const struct gw_form *f = &r->api->up->form;

	return gw_arena_printf(&r->arena, "%.*s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%.*s\r\n",
			       (int)(f->mark_n - 2), f->mark + 2, GW_FMT(name));
}

/* What replaces [*at, *at + *n) of the body. */
static struct gw_str replacement(struct gw_req *r, struct gw_str upstream_model, uint64_t *at, uint64_t *n)
{
	const struct gw_form *f = &r->api->up->form;
	bool has_model = f->has[GW_FORM_MODEL];

	*at = has_model ? f->model_at : 0;
	*n = has_model ? f->model_n : 0;
	return has_model ? upstream_model : model_part(r, upstream_model);
}

int64_t gw_upload_length(const struct gw_req *r, struct gw_str upstream_model)
{
	const struct gw_upload *u = r->api->up;
	int64_t n = u->is_ended ? (int64_t)u->n_in : r->api->content_length;

	if (n < 0 || !u->has_form)
		return n;
	if (!u->form.has[GW_FORM_MODEL]) /* as model_part prints it */
		return n + u->form.mark_n - 2 +
		       (int64_t)strlen("\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n") +
		       (int64_t)upstream_model.n;
	return n - (int64_t)u->form.model_n + (int64_t)upstream_model.n;
}

enum gw_err gw_upload_splice(struct gw_req *r, struct gw_str upstream_model, struct gw_str pieces[8],
			     uint32_t *n_pieces)
{
	uint64_t at, n;
	struct gw_str with = replacement(r, upstream_model, &at, &n);

	if (!with.p)
		return GW_E_NOMEM;
	pieces[0] = gw_str(r->body.p, at);
	pieces[1] = with;
	pieces[2] = gw_str_skip(r->body, at + n);
	*n_pieces = 3;
	return GW_OK;
}

/* ---- what the form says ---- */

static enum gw_err form_fault(struct gw_req *r, enum gw_err e)
{
	r->parse_why = gw_str_z(r->api->up->form.why);
	return e;
}

enum gw_err gw_upload_take_fields(struct gw_req *r)
{
	const struct gw_form *f = &r->api->up->form;
	struct gw_str stream = gw_form_value(f, GW_FORM_STREAM), n = gw_form_value(f, GW_FORM_N);
	uint64_t count = 1;

	r->chat.model = gw_form_value(f, GW_FORM_MODEL);
	r->chat.user = gw_form_value(f, GW_FORM_USER);
	r->chat.is_stream = gw_str_ieq(stream, GW_LIT("true")) || gw_str_eq(stream, GW_LIT("1"));
	r->chat.wants_usage = true;
	if (r->chat.model.n == 0 && !f->has[GW_FORM_MODEL])
		r->chat.model = gw_str_z(r->endpoint->fallback);
	if (r->chat.model.n == 0) {
		r->parse_param = GW_LIT("model");
		r->parse_why = GW_LIT("model is required: the name of a model, see GET /v1/models.");
		return f->has[GW_FORM_MODEL] ? GW_E_INVALID : GW_E_MISSING;
	}
	if (r->endpoint->usage != GW_EPU_TYPED)
		return GW_OK;
	if (n.n && (!gw_str_u64(n, &count) || count == 0 || count > 1000)) {
		r->parse_param = GW_LIT("n");
		r->parse_why = GW_LIT("n must be a whole number of at least 1.");
		return GW_E_INVALID;
	}
	r->api->units = (struct gw_api_units){ .unit = "image", .n = count };
	return GW_OK;
}

enum gw_err gw_upload_read_whole(struct gw_req *r)
{
	struct gw_form *f = &r->api->up->form;
	enum gw_err e = gw_form_feed(f, r->body);

	if (e)
		return form_fault(r, e);
	if (!f->is_done) {
		r->parse_why = GW_LIT("The form ends before its last boundary.");
		return GW_E_GARBLED;
	}
	return gw_upload_take_fields(r);
}

bool gw_upload_knows_model(const struct gw_req *r)
{
	const struct gw_upload *u = r->api->up;

	/* its value is whole, and so is what may stand between it and the next part */
	return u->err || u->is_ended || u->form.has[GW_FORM_MODEL];
}

/* ---- towards the provider ---- */

/* One step of passing on; false when the provider can take no more at the moment. */
static bool give(struct gw_req *r, struct gw_str upstream_model)
{
	struct gw_upload *u = r->api->up;
	size_t n = gw_buf_len(&u->hold) < SLICE ? gw_buf_len(&u->hold) : SLICE;
	bool has_room;

	u->is_given = true;
	if (u->has_form && !u->is_spliced) {
		uint64_t at, cut;
		struct gw_str with = replacement(r, upstream_model, &at, &cut);

		if (at == u->at) {
			u->is_spliced = true;
			gw_buf_consume(&u->hold, cut);
			u->at += cut;
			return gw_upstream_write(r->at.up, with);
		}
		if (n > at - u->at)
			n = at - u->at;
	}
	has_room = gw_upstream_write(r->at.up, gw_str(gw_buf_view(&u->hold).p, n));
	gw_buf_consume(&u->hold, n);
	u->at += n;
	return has_room;
}

void gw_upload_pump(void *req)
{
	struct gw_req *r = req;
	struct gw_upload *u = r->api->up;
	bool has_room = true;

	if (!r->at.up || u->is_ended_up || u->err)
		return;
	while (has_room && gw_buf_len(&u->hold))
		has_room = give(r, r->plan.candidates[r->at.candidate].upstream_model);
	if (has_room && u->is_ended) {
		u->is_ended_up = true;
		gw_upstream_write_end(r->at.up);
	}
	u->is_flowing = has_room;
	if (gw_buf_len(&u->hold) <= GW_UPLOAD_LOW && r->conn)
		gw_h1_body_resume(r->conn);
}

/* ---- from the client ---- */

/* A form that is not one, or a body that breaks off: the request cannot become what it was to be. */
static void fail(struct gw_req *r, enum gw_err e)
{
	r->api->up->err = e;
	r->ev_late = true;
	r->late_err = e;
	r->at.detail = r->parse_why;
	gw_req_run(r);
}

static enum gw_err keep(struct gw_req *r, struct gw_str piece, bool is_end)
{
	struct gw_upload *u = r->api->up;

	if (u->has_form && gw_form_feed(&u->form, piece))
		return form_fault(r, u->form.err);
	if (is_end && u->has_form && !u->form.is_done) {
		r->parse_why = GW_LIT("The form ends before its last boundary.");
		return GW_E_GARBLED;
	}
	gw_buf_puts(&u->hold, piece);
	if (u->hold.err == GW_E_TOO_BIG && r->step == GW_STEP_form)
		r->parse_why =
		    GW_LIT("The form's field model comes behind too many bytes. Send model before the files.");
	return u->hold.err;
}

void gw_upload_take(struct gw_req *r, struct gw_str piece, bool is_end, enum gw_err e)
{
	struct gw_upload *u = r->api->up;

	if (u->err || u->is_ended)
		return;
	u->n_in += piece.n;
	u->is_ended = is_end && !e;
	r->rec.bytes_in = r->rq->wire_bytes;
	r->rq_done_ns = is_end && r->rq->body_done_ns ? r->rq->body_done_ns : r->rq_done_ns;
	if (!e)
		e = keep(r, piece, is_end);
	if (e) {
		fail(r, e);
		return;
	}
	if (r->step == GW_STEP_form) {
		if (gw_upload_knows_model(r))
			gw_req_run(r);
		return;
	}
	if (u->is_flowing)
		gw_upload_pump(r);
	if (r->conn && gw_buf_len(&u->hold) > GW_UPLOAD_HIGH)
		gw_h1_body_pause(r->conn);
}
