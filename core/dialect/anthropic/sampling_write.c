/* Thinking, the ceiling of tokens and the sampling that both allow: with thinking on the provider wants temperature 1 and a ceiling above the
 * budget; without, temperature ends at 1 and stands alone. */
#include "core/dialect/anthropic/anthropic.h"
#include "core/dialect/claude.h"
#include "core/dialect/schema_closed.h"

static void drop_reasoning(struct anthropic_out *o)
{
	ir_drop(o->rq, o->rq->source == GW_D_OPENAI ? "reasoning_effort" : "reasoning");
}

/* ---- thinking ---- */

static bool has_foreign(const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (anthropic_is_foreign(b))
				return true;
		}
	}
	return false;
}

static struct ir_claude home_plan(struct anthropic_out *o)
{
	const struct ir_reasoning *r = &o->rq->reasoning;
	struct ir_claude p = { .effort = r->effort, .budget = r->budget.v, .max_tokens = o->rq->sampling.max_tokens.v };

	if (r->is_on == IR_YES && !r->is_adaptive &&
	    (has_foreign(o->rq) || ir_claude_has_strangers(o->rq, GW_LIT("toolu_"))) &&
	    ir_claude_lacks_proof(o->rq, GW_D_ANTHROPIC)) {
		o->has_lost_thinking = true; /* the turn whose calls are being answered was another maker's */
		ir_drop(o->rq, "thinking");
		return p;
	}
	if (r->is_adaptive)
		p.kind = IR_CLAUDE_ADAPTIVE;
	else if (r->is_on == IR_YES)
		p.kind = IR_CLAUDE_BUDGET;
	else if (r->is_on == IR_NO)
		p.kind = IR_CLAUDE_OFF;
	return p;
}

static struct ir_claude plan_of(struct anthropic_out *o)
{
	const struct ir_reasoning *r = &o->rq->reasoning;
	struct ir_claude p;

	if (o->is_home)
		return home_plan(o);
	if (r->summary.n && !gw_str_eq(r->summary, GW_LIT("auto")))
		ir_drop(o->rq, "reasoning.summary");
	ir_extra_write(r->extra, GW_D_ANTHROPIC, &o->w, o->rq, "reasoning.");
	p = ir_claude_plan(o->rq, o->o->model, o->o->default_max_tokens, GW_D_ANTHROPIC);
	if (p.kind > IR_CLAUDE_OFF && anthropic_json_tool_wanted(o)) {
		/* a forced tool and thinking exclude each other: the schema counts more */
		p = (struct ir_claude){ .max_tokens = o->rq->sampling.max_tokens.is_set ? o->rq->sampling.max_tokens.v
											: o->o->default_max_tokens,
					.is_lost = true };
	}
	if (p.is_lost)
		drop_reasoning(o);
	return p;
}

static void thinking_write(struct anthropic_out *o, const struct ir_claude *p)
{
	static const char *const types[] = {
		[IR_CLAUDE_OFF] = "disabled", [IR_CLAUDE_BUDGET] = "enabled", [IR_CLAUDE_ADAPTIVE] = "adaptive"
	};
	const struct ir_reasoning *r = &o->rq->reasoning;
	bool has_display = o->is_home ? (o->rq->form & ANTHROPIC_F_DISPLAY) != 0
				      : p->kind == IR_CLAUDE_ADAPTIVE && r->wants_text != IR_UNSET;

	if (p->kind == IR_CLAUDE_UNTOLD)
		return;
	gw_jw_key(&o->w, GW_LIT("thinking"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", gw_str_z(types[p->kind]));
	if (p->kind == IR_CLAUDE_BUDGET)
		gw_jw_ki64(&o->w, "budget_tokens", p->budget);
	if (has_display)
		gw_jw_kstr(&o->w, "display", r->wants_text == IR_NO ? GW_LIT("omitted") : GW_LIT("summarized"));
	gw_jw_end_obj(&o->w);
}

/* ---- output_config ---- */

static void format_write(struct anthropic_out *o, const char *key)
{
	const struct ir_format *f = &o->rq->format;

	gw_jw_key(&o->w, gw_str_z(key));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", GW_LIT("json_schema"));
	gw_jw_key(&o->w, GW_LIT("schema"));
	if (o->is_home)
		gw_jw_val(&o->w, f->schema);
	else
		ir_schema_closed_write(&o->w, o->rq, f->schema, "response_format.json_schema.schema");
	gw_jw_end_obj(&o->w);
}

static void output_config_write(struct anthropic_out *o, enum ir_effort effort)
{
	const struct ir_format *f = &o->rq->format;
	bool is_old = o->is_home && (o->rq->form & ANTHROPIC_F_OUTPUT_FORMAT),
	     has_schema = f->kind == IR_FORMAT_SCHEMA && f->schema && !anthropic_json_tool_wanted(o);

	if (!o->is_home) {
		if (f->kind == IR_FORMAT_RAW || (f->kind == IR_FORMAT_SCHEMA && !f->schema))
			ir_drop(o->rq, "response_format");
		if (f->description.n)
			ir_drop(o->rq, "response_format.json_schema.description");
		ir_extra_write(f->extra, GW_D_ANTHROPIC, &o->w, o->rq, "response_format.");
	}
	if (is_old && has_schema)
		format_write(o, "output_format");
	if (effort == IR_EFFORT_UNSET && (is_old || !has_schema) && !(o->is_home && f->extra))
		return;
	gw_jw_key(&o->w, GW_LIT("output_config"));
	gw_jw_obj(&o->w);
	if (effort != IR_EFFORT_UNSET)
		gw_jw_kstr(&o->w, "effort", ir_effort_word(effort));
	if (has_schema && !is_old)
		format_write(o, "format");
	if (o->is_home)
		ir_extra_write(f->extra, GW_D_ANTHROPIC, &o->w, NULL, "");
	gw_jw_end_obj(&o->w);
}

/* ---- sampling ---- */

static void put_double(struct anthropic_out *o, const char *key, double v)
{
	gw_jw_key(&o->w, gw_str_z(key));
	gw_jw_double(&o->w, v);
}

static void temperature_write(struct anthropic_out *o)
{
	const struct ir_sampling *s = &o->rq->sampling;
	double t = s->temperature.v, p = s->top_p.v;
	bool has_t = s->temperature.is_set, has_p = s->top_p.is_set;

	if (!o->is_home && has_t && t > 1) {
		t = 1;
		ir_drop(o->rq, "temperature");
	}
	if (!o->is_home && o->is_thinking && has_t && t < 1) {
		has_t = false;
		ir_drop(o->rq, "temperature");
	}
	/* one of the two, newer models say; the default of the other says nothing */
	if (!o->is_home && has_p && (p >= 1 || has_t || (o->is_thinking && p < 0.95))) {
		has_p = false;
		if (p < 1)
			ir_drop(o->rq, "top_p");
	}
	if (!o->is_home && ir_claude_fixes_sampling(o->o->model)) {
		if (has_t && t < 1)
			ir_drop(o->rq, "temperature");
		if (has_p && p < 0.99)
			ir_drop(o->rq, "top_p");
		if (s->top_k.is_set)
			ir_drop(o->rq, "top_k");
		return;
	}
	if (has_t)
		put_double(o, "temperature", t);
	if (has_p)
		put_double(o, "top_p", p);
	if (s->top_k.is_set && (o->is_home || !o->is_thinking))
		gw_jw_ki64(&o->w, "top_k", s->top_k.v);
	else if (s->top_k.is_set)
		ir_drop(o->rq, "top_k");
}

static void stop_write(struct anthropic_out *o)
{
	const struct ir_name *n = o->rq->sampling.stop;
	size_t sent = 0;

	for (; n; n = n->next) {
		if (!o->is_home && anthropic_is_blank(n->name)) {
			ir_drop(o->rq, "stop");
			continue;
		}
		if (!sent++) {
			gw_jw_key(&o->w, GW_LIT("stop_sequences"));
			gw_jw_arr(&o->w);
		}
		gw_jw_str(&o->w, n->name);
	}
	if (sent)
		gw_jw_end_arr(&o->w);
}

static void drop_what_it_lacks(struct anthropic_out *o)
{
	const struct ir_sampling *s = &o->rq->sampling;

	if (s->n.is_set && s->n.v > 1)
		anthropic_refuse(o, "n", "the provider gives one answer a call: send the request n times");
	if (s->seed.is_set)
		ir_drop(o->rq, "seed");
	if (s->presence_penalty.is_set && s->presence_penalty.v != 0)
		ir_drop(o->rq, "presence_penalty");
	if (s->frequency_penalty.is_set && s->frequency_penalty.v != 0)
		ir_drop(o->rq, "frequency_penalty");
	if (s->logprobs == IR_YES)
		ir_drop(o->rq, "logprobs");
	if (s->top_logprobs.is_set && s->top_logprobs.v > 0)
		ir_drop(o->rq, "top_logprobs");
	if (s->logit_bias && yyjson_obj_size((yyjson_val *)(uintptr_t)s->logit_bias))
		ir_drop(o->rq, "logit_bias");
}

void anthropic_sampling_write(struct anthropic_out *o)
{
	struct ir_claude p = plan_of(o);

	o->is_thinking = p.kind == IR_CLAUDE_BUDGET || p.kind == IR_CLAUDE_ADAPTIVE;
	if (!o->is_home || o->rq->sampling.max_tokens.is_set)
		gw_jw_ki64(&o->w, "max_tokens", p.max_tokens);
	thinking_write(o, &p);
	output_config_write(o, p.effort);
	temperature_write(o);
	stop_write(o);
	if (!o->is_home)
		drop_what_it_lacks(o);
}

void anthropic_count_sampling_write(struct anthropic_out *o)
{
	struct ir_claude p = plan_of(o);

	o->is_thinking = p.kind == IR_CLAUDE_BUDGET || p.kind == IR_CLAUDE_ADAPTIVE;
	thinking_write(o, &p);
	output_config_write(o, p.effort);
}
