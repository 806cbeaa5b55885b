/* Bodies that cannot pass as they came, and what is left out of them (home.h). */
#include "worker/home.h"

#include "core/dialect/mark.h"
#include "core/dialect/plain.h"
#include "core/provider.h"
#include "worker/moves.h"
#include "worker/talk.h"

enum { DROPPED_IN_RECORD = 300 };

struct gw_home {
	struct gw_arena arena;
	struct gw_buf body;
};

enum gw_err gw_home_dropped(struct gw_req *r, struct gw_str names)
{
	r->dropped = r->rec.dropped = names;
	if (r->rec.dropped.n > DROPPED_IN_RECORD)
		r->rec.dropped.n = DROPPED_IN_RECORD;
	if (!names.n || !r->is_strict)
		return GW_OK;
	r->err_param = names;
	r->at.detail = gw_arena_printf(
	    &r->arena, "The provider cannot carry: %.*s. Remove it%s.", GW_FMT(names),
	    r->plan.is_strict      ? "; it may not be left out, because this model is strict"
	    : r->subject.is_strict ? "; it may not be left out, because this key (or its team, or its org) is strict"
				   : ", or allow it to be left out (no x-llmgw-strict)");
	gw_moves_refused(r, false);
	return GW_E_INVALID;
}

enum gw_err gw_home_body(struct gw_req *r, const struct gw_candidate *c, const struct gw_dialect *d, struct gw_str *out)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	struct gw_carry carry = { .model = r->chat.model };
	struct gw_translate_in in = {
		.from = d,
		.to = d,
		.body = r->body,
		.is_checked = true,
		.path_model = r->endpoint->model == GW_EPM_IN_PATH ? &r->chat.model : NULL,
		.is_stream = r->chat.is_stream,
		.opts = { .model = c->upstream_model,
			  .quirks = p->quirks,
			  .default_max_tokens = 4096,
			  .carry = &carry,
			  .needs_usage = true },
	};
	struct gw_translate_out told = { 0 };
	struct gw_home *h;
	enum gw_err e;
	bool must;

	*out = GW_NIL;
	must = d->id == GW_D_OPENAI && gw_chat_is_refused_as_is(p->quirks, r->body, r->chat.n_messages);
	if (!must && !gw_translate_home_is_likely(d, r->body, c->upstream_model))
		return GW_OK;
	gw_home_done(r);
	r->home = h = GW_NEW(&r->arena, struct gw_home);
	if (!h)
		return GW_E_NOMEM;
	gw_arena_init(&h->arena, NULL, 0, (1 << 20) + GW_TALK_BODY_FACTOR * r->body.n);
	gw_buf_init(&h->body, (1 << 20) + 4 * r->body.n);
	told.body = &h->body;
	e = must ? gw_translate_request(&h->arena, &r->arena, &in, &told)
		 : gw_translate_home(&h->arena, &r->arena, &in, &told);
	gw_arena_done(&h->arena);
	if (e) {
		r->err_param = told.param;
		r->at.detail = told.why;
		if (e != GW_E_NOMEM)
			gw_moves_refused(r, told.is_unread);
		return e;
	}
	if (must || told.dropped.n || told.is_mended) /* else it was a false alarm, and bytes pass */
		*out = gw_buf_view(&h->body);
	return gw_home_dropped(r, told.dropped);
}

void gw_home_done(struct gw_req *r)
{
	struct gw_home *h = r->home;

	if (!h)
		return;
	r->home = NULL;
	gw_arena_done(&h->arena);
	gw_buf_done(&h->body);
}
