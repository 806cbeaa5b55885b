/* Thinking, the ceiling of tokens and the sampling that both allow: with thinking on the provider wants temperature 1 and a ceiling above the
 * budget; without, temperature ends at 1 and stands alone. */
#include "core/dialect/anthropic/anthropic.h"

enum { MIN_BUDGET = 1024, DEFAULT_BUDGET = 4096 };

/* ---- which kind of thinking a model takes ---- */

/* The first number after "claude-<family>-": 4-6 in claude-opus-4-6-20260101. Older names have it before the family: claude-3-5-sonnet. */
static bool version_of(struct gw_str model, int *major, int *minor)
{
	size_t i = 0;

	while (i + 7 <= model.n && !gw_str_has_prefix(gw_str_skip(model, i), GW_LIT("claude-")))
		i++;
	if (i + 7 > model.n)
		return false;
	model = gw_str_skip(model, i + 7);
	*major = *minor = 0;
	for (struct gw_str part; model.n;) {
		uint64_t v;

		if (!gw_str_cut(model, '-', &part, &model))
			model = GW_NIL;
		if (part.n > 2 || !gw_str_u64(part, &v)) { /* a family, a date, "v1:0" */
			if (*major)
				break;
			continue;
		}
		if (*major) {
			*minor = (int)v;
			break;
		}
		*major = (int)v;
	}
	return true;
}

/* Since 4.6 the model decides how much it thinks and is told an effort; budgets are of the past, and names without a number are newer still.
 * Other makers' models behind this dialect are told a budget. */
static bool is_adaptive_model(struct gw_str model)
{
	int major, minor;

	if (!version_of(model, &major, &minor))
		return false;
	return major == 0 || major > 4 || (major == 4 && minor >= 6);
}

/* With a budget the last of the model's turns must begin with its reasoning while its calls are being answered. */
static bool lacks_reasoning(const struct ir_request *rq)
{
	bool in_loop = false, lacks = false;

	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		bool has_call = false, has_proof = false, has_result = false;

		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			has_call |= b->kind == IR_TOOL_CALL;
			has_result |= b->kind == IR_TOOL_RESULT;
			has_proof |= b->kind == IR_REASONING && b->signature.n && b->signature_of == GW_D_ANTHROPIC;
		}
		if (m->role == IR_ASSISTANT) {
			lacks = has_call && !has_proof;
			in_loop = false;
		} else if (m->role == IR_USER) {
			in_loop |= has_result;
		}
	}
	return in_loop && lacks;
}

static void drop_reasoning(struct anthropic_out *o)
{
	ir_drop(o->rq, o->rq->source == GW_D_OPENAI ? "reasoning_effort" : "reasoning");
}

/* ---- thinking ---- */

struct plan {
	enum { THINK_UNTOLD, THINK_OFF, THINK_BUDGET, THINK_ADAPTIVE } kind;
	int64_t budget, max_tokens;
	enum ir_effort effort;
};

static void home_plan(const struct ir_reasoning *r, struct plan *p)
{
	if (r->is_adaptive)
		p->kind = THINK_ADAPTIVE;
	else if (r->is_on == IR_YES)
		p->kind = THINK_BUDGET;
	else if (r->is_on == IR_NO)
		p->kind = THINK_OFF;
	p->budget = r->budget.v;
	p->effort = r->effort;
}

static bool is_asked(const struct ir_reasoning *r)
{
	return r->is_on == IR_YES || r->is_adaptive || r->effort > IR_EFFORT_NONE ||
	       (r->budget.is_set && r->budget.v > 0);
}

static void budget_plan(struct anthropic_out *o, struct plan *p)
{
	const struct ir_reasoning *r = &o->rq->reasoning;

	if (lacks_reasoning(o->rq)) {
		drop_reasoning(o);
		return;
	}
	p->kind = THINK_BUDGET;
	p->effort = IR_EFFORT_UNSET;
	p->budget = r->budget.is_set && r->budget.v > 0 ? r->budget.v : ir_effort_budget(r->effort);
	if (p->budget == 0)
		p->budget = DEFAULT_BUDGET;
	if (p->budget < MIN_BUDGET)
		p->budget = MIN_BUDGET;
	if (!o->rq->sampling.max_tokens.is_set)
		p->max_tokens += p->budget;
	if (p->budget < p->max_tokens)
		return;
	if (p->max_tokens >= 2 * MIN_BUDGET) {
		p->budget = p->max_tokens / 2; /* the client's ceiling holds: half of it is left for the answer */
		return;
	}
	p->budget = MIN_BUDGET;
	p->max_tokens += MIN_BUDGET;
}

static struct plan plan_of(struct anthropic_out *o)
{
	const struct ir_reasoning *r = &o->rq->reasoning;
	struct plan p = { .max_tokens = o->rq->sampling.max_tokens.is_set ? o->rq->sampling.max_tokens.v
									  : o->o->default_max_tokens };

	if (o->is_home) {
		home_plan(r, &p);
		return p;
	}
	if (r->summary.n && !gw_str_eq(r->summary, GW_LIT("auto")))
		ir_drop(o->rq, "reasoning.summary");
	ir_extra_write(r->extra, GW_D_ANTHROPIC, &o->w, o->rq, "reasoning.");
	if (!is_asked(r)) {
		if (r->is_on == IR_NO || r->effort == IR_EFFORT_NONE || r->budget.is_set)
			p.kind = THINK_OFF;
		return p;
	}
	if (anthropic_json_tool_wanted(o)) { /* a forced tool and thinking exclude each other: the schema counts more */
		drop_reasoning(o);
		return p;
	}
	if (!is_adaptive_model(o->o->model)) {
		budget_plan(o, &p);
		return p;
	}
	p.kind = THINK_ADAPTIVE;
	p.effort = r->effort == IR_EFFORT_MINIMAL ? IR_EFFORT_LOW : r->effort;
	if (p.effort == IR_EFFORT_UNSET && r->budget.is_set && r->budget.v > 0)
		p.effort = ir_budget_effort(r->budget.v);
	if (!o->rq->sampling.max_tokens.is_set) /* the default is meant for the answer alone */
		p.max_tokens += p.effort == IR_EFFORT_UNSET ? DEFAULT_BUDGET : ir_effort_budget(p.effort);
	return p;
}

static void thinking_write(struct anthropic_out *o, const struct plan *p)
{
	static const char *const types[] = {
		[THINK_OFF] = "disabled", [THINK_BUDGET] = "enabled", [THINK_ADAPTIVE] = "adaptive"
	};
	const struct ir_reasoning *r = &o->rq->reasoning;
	bool has_display = o->is_home ? (o->rq->form & ANTHROPIC_F_DISPLAY) != 0
				      : p->kind == THINK_ADAPTIVE && r->wants_text != IR_UNSET;

	if (p->kind == THINK_UNTOLD)
		return;
	gw_jw_key(&o->w, GW_LIT("thinking"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", gw_str_z(types[p->kind]));
	if (p->kind == THINK_BUDGET)
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
		anthropic_schema_write(o, f->schema, "response_format.json_schema.schema");
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
	struct plan p = plan_of(o);

	o->is_thinking = p.kind == THINK_BUDGET || p.kind == THINK_ADAPTIVE;
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
	struct plan p = plan_of(o);

	o->is_thinking = p.kind == THINK_BUDGET || p.kind == THINK_ADAPTIVE;
	thinking_write(o, &p);
	output_config_write(o, p.effort);
}
