/* Reading error bodies of all providers with one reader. Known shapes: {"error":{..}} (OpenAI, Anthropic, Google, Azure), {"error":"text"}
 * (xAI, Ollama, TGI), {"message"} (Cohere, Bedrock), {"detail":"text"} and {"detail":[{"loc","msg"}]} (Mistral, Voyage, FastAPI), a message that is
 * an object, [{"error":{..}}] (Google), {"__type"} (AWS), {"response":{"error"}} (Responses streams). The body is hostile: nothing is believed
 * but that it is JSON. */
#include "core/error_parts.h"

#include "lib/json.h"

enum { N_WANTED = 18 };
/* The members that matter, as spans of the body. */
struct members {
	struct gw_json_span error, message, Message, detail, error_message, code, type, param, error_type, aws_type,
	    status, status_code, details, innererror, metadata, request_id, response, id;
};
struct reader {
	struct gw_arena *a;
	struct gw_str body;
	struct gw_error_parts *out;
};

static void wants(struct members *m, struct gw_json_want w[N_WANTED])
{
	const struct gw_json_want all[N_WANTED] = {
		{ GW_LIT("error"), &m->error },
		{ GW_LIT("message"), &m->message },
		{ GW_LIT("Message"), &m->Message },
		{ GW_LIT("detail"), &m->detail },
		{ GW_LIT("errorMessage"), &m->error_message },
		{ GW_LIT("code"), &m->code },
		{ GW_LIT("type"), &m->type },
		{ GW_LIT("param"), &m->param },
		{ GW_LIT("error_type"), &m->error_type },
		{ GW_LIT("__type"), &m->aws_type },
		{ GW_LIT("status"), &m->status },
		{ GW_LIT("status_code"), &m->status_code },
		{ GW_LIT("details"), &m->details },
		{ GW_LIT("innererror"), &m->innererror },
		{ GW_LIT("metadata"), &m->metadata },
		{ GW_LIT("request_id"), &m->request_id },
		{ GW_LIT("response"), &m->response },
		{ GW_LIT("id"), &m->id },
	};

	memcpy(w, all, sizeof(all));
}

static struct gw_str raw(const struct reader *r, struct gw_json_span s)
{
	return gw_str(r->body.p + s.off, s.len);
}

/* A string or a number (codes of some providers) as text. */
static struct gw_str text_at(const struct reader *r, struct gw_json_span s)
{
	if (s.type == GW_JSON_STR)
		return gw_json_unescape(r->a, raw(r, s));
	return s.type == GW_JSON_NUM ? raw(r, s) : GW_NIL;
}

static void look_into(const struct reader *r, struct gw_json_span obj, struct members *m)
{
	struct gw_json_want w[N_WANTED];

	*m = (struct members){ 0 };
	if (obj.type != GW_JSON_OBJ)
		return;
	wants(m, w);
	gw_json_members(r->body, obj, w, N_WANTED);
}

static struct gw_json_span member(const struct reader *r, struct gw_json_span obj, const char *name)
{
	struct gw_json_span s = { 0 };
	const struct gw_json_want w = { gw_str_z(name), &s };

	if (obj.type == GW_JSON_OBJ)
		gw_json_members(r->body, obj, &w, 1);
	return s;
}

/* ---- Google's details ---- */

/* "48.94s" */
static uint64_t delay_ms(struct gw_str s)
{
	struct gw_str whole, rest;
	uint64_t v = 0, scale = 100;

	if (s.n < 2 || s.p[s.n - 1] != 's')
		return 0;
	gw_str_cut(gw_str(s.p, s.n - 1), '.', &whole, &rest);
	if (!gw_str_u64(whole, &v) || v > 86400)
		return 0;
	v *= 1000;
	for (size_t i = 0; i < rest.n && i < 3 && rest.p[i] >= '0' && rest.p[i] <= '9'; i++, scale /= 10)
		v += (uint64_t)(rest.p[i] - '0') * scale;
	return v ? v : 1;
}

static bool on_violation(void *ctx, struct gw_json_span item)
{
	const struct reader *r = ctx;
	struct gw_str quota = text_at(r, member(r, item, "quotaId"));

	r->out->is_quota = true;
	r->out->is_per_day |= quota.n >= 6 && memmem(quota.p, quota.n, "PerDay", 6) != NULL;
	return true;
}

static bool on_detail(void *ctx, struct gw_json_span item)
{
	struct reader *r = ctx;
	struct gw_str reason = text_at(r, member(r, item, "reason")), delay = text_at(r, member(r, item, "retryDelay"));
	struct gw_json_span violations = member(r, item, "violations");

	if (reason.n && !r->out->reason.n)
		r->out->reason = reason;
	if (delay.n)
		r->out->retry_ms = delay_ms(delay);
	if (violations.type == GW_JSON_ARR)
		gw_json_each_item(r->body, violations, on_violation, r);
	return true;
}

/* ---- the message ---- */

/* "body.messages: field required" out of {"loc": ["body", "messages"], "msg": "field required"} */
static bool on_loc(void *ctx, struct gw_json_span item)
{
	struct reader *r = ctx;
	struct gw_str part = text_at(r, item);

	if (part.n)
		r->out->param =
		    r->out->param.n ? gw_arena_printf(r->a, "%.*s.%.*s", GW_FMT(r->out->param), GW_FMT(part)) : part;
	return r->out->param.n < 256;
}

static bool on_fault(void *ctx, struct gw_json_span item)
{
	struct reader *r = ctx;
	struct gw_str msg = item.type == GW_JSON_STR ? text_at(r, item) : text_at(r, member(r, item, "msg"));
	struct gw_json_span loc = member(r, item, "loc");

	if (!msg.n)
		return true;
	if (loc.type == GW_JSON_ARR)
		gw_json_each_item(r->body, loc, on_loc, r);
	r->out->message =
	    r->out->param.n ? gw_arena_printf(r->a, "%.*s: %.*s", GW_FMT(r->out->param), GW_FMT(msg)) : msg;
	return false; /* the first says enough */
}

/* A string; a list of faults; an object with one of them inside. */
static bool take_message(struct reader *r, struct gw_json_span s)
{
	struct members m;

	if (s.type == GW_JSON_STR)
		r->out->message = text_at(r, s);
	else if (s.type == GW_JSON_ARR)
		gw_json_each_item(r->body, s, on_fault, r);
	if (s.type != GW_JSON_OBJ)
		return r->out->message.n > 0;
	look_into(r, s, &m);
	if (m.message.type == GW_JSON_STR)
		r->out->message = text_at(r, m.message);
	else if (m.detail.type == GW_JSON_STR)
		r->out->message = text_at(r, m.detail);
	else if (m.detail.type == GW_JSON_ARR)
		gw_json_each_item(r->body, m.detail, on_fault, r);
	return r->out->message.n > 0;
}

static void find_message(struct reader *r, const struct members *top, const struct members *in)
{
	const struct gw_json_span order[] = { in->message,  in->detail,  top->error,        top->message,
					      top->Message, top->detail, top->error_message };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (take_message(r, order[i]))
			return;
	}
}

/* ---- all of it ---- */

static struct gw_json_span first_of(struct gw_json_span a, struct gw_json_span b)
{
	return a.type == GW_JSON_STR || a.type == GW_JSON_NUM ? a : b;
}

static void take(struct reader *r, struct gw_json_span whole)
{
	struct gw_error_parts *out = r->out;
	struct members top, in, of_response;
	uint64_t number;

	look_into(r, whole, &top);
	look_into(r, top.response, &of_response);
	if (of_response.error.type == GW_JSON_OBJ)
		top.error = of_response.error;
	look_into(r, top.error.type == GW_JSON_OBJ ? top.error : top.detail, &in);
	find_message(r, &top, &in);
	out->code = text_at(r, first_of(in.code, first_of(top.code, first_of(top.aws_type, top.error_type))));
	out->type = text_at(r, first_of(in.type, first_of(top.type, top.error_type)));
	if (in.param.type == GW_JSON_STR)
		out->param = text_at(r, in.param);
	out->rpc_status = in.status.type == GW_JSON_STR ? text_at(r, in.status) : GW_NIL;
	out->request_id = text_at(r, first_of(top.request_id, top.id));
	out->inner_code = text_at(r, member(r, in.innererror, "code"));
	out->is_flagged = member(r, in.metadata, "reasons").type == GW_JSON_ARR ||
			  member(r, in.metadata, "flagged_input").type == GW_JSON_STR;
	if (gw_str_u64(text_at(r, first_of(in.status_code, first_of(top.status_code, in.code))), &number) &&
	    number >= 400 && number < 600)
		out->status = (int)number;
	if (in.details.type == GW_JSON_ARR)
		gw_json_each_item(r->body, in.details, on_detail, r);
}

static bool on_first(void *ctx, struct gw_json_span item)
{
	*(struct gw_json_span *)ctx = item;
	return false;
}

bool gw_error_parts_read(struct gw_arena *a, struct gw_str body, struct gw_error_parts *out)
{
	struct reader r = { .a = a, .body = body, .out = out };
	struct gw_str text = gw_str_trim(body);
	struct gw_json_span whole = { .type = GW_JSON_OBJ,
				      .off = (uint32_t)(text.p - body.p),
				      .len = (uint32_t)text.n };

	*out = (struct gw_error_parts){ 0 };
	if (text.n == 0 || body.n > GW_ERROR_BODY_BYTES || (text.p[0] != '{' && text.p[0] != '[') ||
	    gw_json_check(a, body, &gw_json_default_limits, NULL, 0, NULL))
		return false;
	if (text.p[0] == '[') {
		whole.type = GW_JSON_ARR;
		struct gw_json_span first = { 0 };

		gw_json_each_item(body, whole, on_first, &first);
		whole = first;
	}
	if (whole.type != GW_JSON_OBJ)
		return false;
	take(&r, whole);
	return true;
}
