/* The body of a messages request, or of a count_tokens request, from the IR. */
#include "core/dialect/anthropic/anthropic.h"
#include "core/dialect/anthropic/endpoints.h"

static uint32_t marks_of(const struct ir_request *rq)
{
	uint32_t n = rq->cache != IR_CACHE_NONE;

	for (const struct ir_tool *t = rq->tools; t; t = t->next)
		n += t->cache != IR_CACHE_NONE;
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			n += b->cache != IR_CACHE_NONE;
			for (const struct ir_block *c = b->content; c; c = c->next)
				n += c->cache != IR_CACHE_NONE;
		}
	}
	return n;
}

static void tier_write(struct anthropic_out *o)
{
	struct gw_str tier = o->rq->service_tier;

	if (gw_str_eq(tier, GW_LIT("auto")))
		gw_jw_kstr(&o->w, "service_tier", tier);
	else if (gw_str_eq(tier, GW_LIT("default")))
		gw_jw_kstr(&o->w, "service_tier", GW_LIT("standard_only"));
	else if (tier.n)
		ir_drop(o->rq, "service_tier");
}

static void user_write(struct anthropic_out *o)
{
	const struct ir_request *rq = o->rq;

	if (rq->user.p && !(o->is_home && ir_extra_get(rq->extra, GW_D_ANTHROPIC, GW_LIT("metadata")))) {
		gw_jw_key(&o->w, GW_LIT("metadata"));
		gw_jw_obj(&o->w);
		gw_jw_kstr(&o->w, "user_id", rq->user);
		gw_jw_end_obj(&o->w);
	}
	if (rq->metadata && yyjson_obj_size((yyjson_val *)(uintptr_t)rq->metadata))
		ir_drop(o->rq, "metadata");
	if (rq->cache_key.n)
		ir_drop(o->rq, "prompt_cache_key");
}

/* Edits of thoughts are refused where there is no thinking. */
static void extras_write(struct anthropic_out *o)
{
	struct ir_extra **at = &o->rq->extra;

	for (; o->has_lost_thinking && *at; at = &(*at)->next) {
		if (!gw_str_eq((*at)->key, GW_LIT("context_management")))
			continue;
		ir_drop(o->rq, "context_management");
		*at = (*at)->next;
		break;
	}
	ir_extra_write(o->rq->extra, GW_D_ANTHROPIC, &o->w, o->rq, "");
}

static enum gw_err write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *opts,
			 struct gw_buf *body, struct gw_str *param, struct gw_str *why, bool is_count)
{
	struct anthropic_out o = { .a = a, .rq = rq, .o = opts, .param = param, .why = why };
	uint32_t marks = marks_of(rq);

	o.is_home = rq->source == GW_D_ANTHROPIC;
	o.cache_skip = !o.is_home && marks > ANTHROPIC_MAX_CACHE ? marks - ANTHROPIC_MAX_CACHE : 0;
	gw_jw_init(&o.w, body);
	gw_jw_obj(&o.w);
	gw_jw_kstr(&o.w, "model", opts->model);
	if (is_count)
		anthropic_count_sampling_write(&o);
	else
		anthropic_sampling_write(&o);
	anthropic_tools_write(&o);
	anthropic_messages_write(&o);
	anthropic_cache_write(&o, rq->cache);
	if (!is_count) {
		if (rq->is_stream || (o.is_home && (rq->form & ANTHROPIC_F_STREAM)))
			gw_jw_kbool(&o.w, "stream", rq->is_stream);
		user_write(&o);
		tier_write(&o);
		extras_write(&o);
	}
	gw_jw_end_obj(&o.w);
	return o.err ? o.err : body->err;
}

enum gw_err anthropic_request_write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *o,
				    struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	return write(a, rq, o, body, param, why, false);
}

enum gw_err anthropic_count_write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *o,
				  struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	return write(a, rq, o, body, param, why, true);
}
