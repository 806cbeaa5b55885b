/* Requests and whole replies from one dialect to another (translate.h). */
#include "core/dialect/translate.h"

#include "core/dialect/ir_estimate.h"
#include "core/dialect/mark.h"
#include "core/provider.h"
#include "lib/json.h"

struct gw_str gw_translate_names(struct gw_arena *keep, const struct ir_name *list)
{
	struct gw_buf b;
	struct gw_str out;

	if (!list)
		return GW_NIL;
	gw_buf_init(&b, 2048);
	for (; list; list = list->next) {
		if (b.n + list->name.n + 8 > b.max) {
			gw_buf_puts(&b, GW_LIT(", ..."));
			break;
		}
		if (b.n)
			gw_buf_puts(&b, GW_LIT(", "));
		for (size_t i = 0; i < list->name.n; i++) {
			char c = list->name.p[i];

			gw_buf_putc(&b, c >= ' ' && c < 0x7f && c != ','
					    ? c
					    : '?'); /* the client's own words: a header value stays one */
		}
	}
	out = b.err ? GW_NIL : gw_arena_str(keep, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

static enum gw_err fault(struct gw_arena *keep, struct gw_translate_out *out, enum gw_err e)
{
	out->param = gw_arena_str(keep, out->param);
	out->why = gw_arena_str(keep, out->why);
	return e;
}

/* OpenAI's own do; of the vendors of its chat, few. */
static bool knows_custom_tools(const struct gw_dialect *to, uint64_t quirks)
{
	if (to->id == GW_D_OPENAI)
		return !(quirks & GW_Q_NO_CUSTOM);
	return to->id == GW_D_RESPONSES;
}

enum gw_err gw_translate_request(struct gw_arena *a, struct gw_arena *keep, const struct gw_translate_in *in,
				 struct gw_translate_out *out)
{
	struct ir_request *rq = GW_NEW(a, struct ir_request);
	const yyjson_val *root;
	struct gw_json_fault f = { 0 };
	enum gw_err e;

	if (!rq)
		return GW_E_NOMEM;
	out->param = out->why = out->dropped = GW_NIL;
	out->is_unread = true;
	e = gw_json_tree(a, in->body, in->is_checked ? NULL : &gw_json_default_limits, &root, &f);
	if (e) {
		out->why = f.what ? gw_str_z(f.what) : GW_NIL;
		return fault(keep, out, e);
	}
	*rq = (struct ir_request){ .source = in->from->id, .arena = a };
	e = in->from->read_request(a, root, rq, &out->param, &out->why);
	if (e)
		return fault(keep, out, e);
	if (in->echo && in->from->write_echo)
		in->from->write_echo(root, in->echo);
	if (in->path_model)
		rq->model = *in->path_model;
	rq->is_stream |= in->is_stream;
	out->is_unread = false;
	if (in->wants_needs)
		gw_needs_read(rq, &out->needs);
	if (in->opts.carry)
		in->opts.carry->keep = keep;
	if (in->from != in->to)
		ir_choice_settle(rq, in->to->id);
	if (!knows_custom_tools(in->to, in->opts.quirks) && !gw_custom_hide(a, rq, in->opts.carry))
		return GW_E_NOMEM;
	e = in->to->write_request(a, rq, &in->opts, out->body, &out->param, &out->why);
	if (e)
		return fault(keep, out, e);
	if (rq->is_drop_lost || out->body->err)
		return out->body->err == GW_E_TOO_BIG ? GW_E_TOO_BIG : GW_E_NOMEM;
	out->is_mended = rq->is_mended;
	out->dropped = gw_translate_names(keep, rq->dropped);
	return rq->dropped && !out->dropped.n ? GW_E_NOMEM : GW_OK;
}

static enum gw_err write_home(struct gw_arena *a, struct gw_arena *keep, const struct gw_translate_in *in,
			      struct gw_translate_out *out)
{
	struct ir_request *notes = GW_NEW(a, struct ir_request);
	const yyjson_val *root;
	enum gw_err e;

	if (!notes)
		return GW_E_NOMEM;
	e = gw_json_tree(a, in->body, in->is_checked ? NULL : &gw_json_default_limits, &root, NULL);
	if (e)
		return e;
	*notes = (struct ir_request){ .source = in->from->id, .arena = a };
	e = in->to->write_home(a, root, &in->opts, notes, out->body);
	if (e)
		return e;
	if (notes->is_drop_lost || out->body->err)
		return out->body->err == GW_E_TOO_BIG ? GW_E_TOO_BIG : GW_E_NOMEM;
	out->dropped = gw_translate_names(keep, notes->dropped);
	return notes->dropped && !out->dropped.n ? GW_E_NOMEM : GW_OK;
}

bool gw_translate_home_is_likely(const struct gw_dialect *d, struct gw_str body, struct gw_str model)
{
	return ir_mark_is_in(d->id, body) || (d->may_be_mixed && d->may_be_mixed(body, model));
}

enum gw_err gw_translate_home(struct gw_arena *a, struct gw_arena *keep, const struct gw_translate_in *in,
			      struct gw_translate_out *out)
{
	out->param = out->why = out->dropped = GW_NIL;
	out->is_mended = false;
	if (!gw_translate_home_is_likely(in->from, in->body, in->opts.model))
		return GW_OK;
	return in->to->write_home ? write_home(a, keep, in, out) : gw_translate_request(a, keep, in, out);
}

struct gw_str gw_finish_word(enum ir_finish f)
{
	switch (f) {
	case IR_FINISH_STOP:
	case IR_FINISH_STOP_SEQUENCE:
	case IR_FINISH_PAUSE:
		return GW_LIT("stop");
	case IR_FINISH_LENGTH:
		return GW_LIT("length");
	case IR_FINISH_TOOL_CALLS:
		return GW_LIT("tool_calls");
	case IR_FINISH_FILTER:
	case IR_FINISH_REFUSAL:
		return GW_LIT("content_filter");
	case IR_FINISH_UNSET:
		break;
	}
	return GW_NIL;
}

enum gw_err gw_translate_reply(struct gw_arena *a, const struct gw_dialect *from, const struct gw_dialect *to,
			       const struct gw_carry *carry, struct gw_str body, struct gw_buf *out,
			       struct gw_told *told)
{
	struct ir_reply *rp = GW_NEW(a, struct ir_reply);
	const yyjson_val *root;
	enum gw_err e;

	if (!rp)
		return GW_E_NOMEM;
	e = gw_json_tree(a, body, NULL, &root, NULL);
	if (e)
		return e == GW_E_SYNTAX ? GW_E_UP_GARBLED : e;
	rp->source = from->id;
	e = from->read_reply(a, root, carry, rp);
	if (e)
		return e;
	if (!rp->choices)
		return GW_E_UP_GARBLED;
	if (!gw_custom_show(a, rp, carry))
		return GW_E_NOMEM;
	if (!rp->usage.is_known)
		ir_estimate_usage(&rp->usage, carry, gw_estimate_reply(carry->family, body));
	told->usage = rp->usage;
	told->model = rp->model;
	told->id = rp->id;
	told->service_tier = rp->service_tier;
	told->finish = gw_finish_word(rp->choices->finish);
	told->has_content = rp->choices->blocks != NULL;
	if (!to)
		return GW_OK;
	e = to->write_reply(a, rp, carry, out);
	return e ? e : out->err;
}
