/* Bodies of responses from the IR. Nothing is stored at the provider; proofs of reasoning are asked for when they may be needed. */
#include "core/dialect/responses/responses.h"

enum { NAME_BYTES = 64, USER_BYTES = 64, MIN_TOKENS = 16 };

void responses_refuse(struct responses_write *x, const char *why)
{
	if (x->err)
		return;
	x->err = GW_E_INVALID;
	*x->param = GW_LIT("messages");
	*x->why = gw_str_z(why);
}

struct gw_str responses_name(struct responses_write *x, struct gw_str name)
{
	struct gw_str fit = ir_tool_name(x->a, name, NAME_BYTES);

	if (!fit.p && !x->err)
		x->err = GW_E_NOMEM;
	return fit;
}

static void put_tree(struct responses_write *x, const char *name, const yyjson_val *v)
{
	if (!v)
		return;
	gw_jw_key(&x->w, gw_str_z(name));
	gw_jw_val(&x->w, v);
}

/* The way home: every member as it came. */
static void put_home(struct responses_write *x)
{
	for (const struct ir_extra *e = x->rq->extra; e; e = e->next) {
		if (e->of != GW_D_NONE)
			continue;
		gw_jw_key(&x->w, e->key);
		if (gw_str_eq(e->key, GW_LIT("model")))
			gw_jw_str(&x->w, x->o->model);
		else
			gw_jw_val(&x->w, e->val);
	}
}

/* ---- tools ---- */

static bool is_allowed(const struct responses_write *x, const struct ir_tool *t)
{
	const struct ir_tool_choice *c = &x->rq->tool_choice;

	if (c->kind != IR_CHOICE_ALLOWED)
		return true;
	for (const struct ir_name *n = c->names; n; n = n->next)
		if (gw_str_eq(n->name, t->name))
			return true;
	return false;
}

static void put_custom_format(struct responses_write *x, const yyjson_val *f)
{
	yyjson_val *grammar = gw_json_get(f, GW_LIT("grammar")); /* chat completions nest it */

	gw_jw_key(&x->w, GW_LIT("format"));
	if (!yyjson_is_obj(grammar)) {
		gw_jw_val(&x->w, f);
		return;
	}
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", GW_LIT("grammar"));
	gw_jw_kstr(&x->w, "syntax", ir_get_str(grammar, GW_LIT("syntax")));
	gw_jw_kstr(&x->w, "definition", ir_get_str(grammar, GW_LIT("definition")));
	gw_jw_end_obj(&x->w);
}

static void put_tool(struct responses_write *x, const struct ir_tool *t)
{
	bool is_custom = t->kind == IR_TOOL_CUSTOM;
	struct gw_str name = responses_name(x, t->name);

	if (x->o->carry && !gw_carry_name_note(x->a, x->o->carry, t->name, name) && !x->err)
		x->err = GW_E_NOMEM;
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_kstr(&x->w, "name", name);
	if (t->description.p)
		gw_jw_kstr(&x->w, "description", t->description);
	if (is_custom) {
		if (t->parameters)
			put_custom_format(x, t->parameters);
	} else {
		gw_jw_key(&x->w, GW_LIT("parameters"));
		if (t->parameters)
			gw_jw_val(&x->w, t->parameters);
		else
			gw_jw_raw(&x->w, GW_LIT("{\"type\":\"object\",\"properties\":{}}"));
		gw_jw_kbool(&x->w, "strict", t->strict == IR_YES); /* unsaid it would be true here */
	}
	if (t->cache)
		ir_drop(x->rq, "cache_control");
	ir_extra_write(t->extra, GW_D_RESPONSES, &x->w, x->rq, "tools[].");
	gw_jw_end_obj(&x->w);
}

static void put_choice(struct responses_write *x)
{
	const struct ir_tool_choice *c = &x->rq->tool_choice;
	bool is_required = c->kind == IR_CHOICE_REQUIRED || (c->kind == IR_CHOICE_ALLOWED && c->is_required);

	if (c->kind == IR_CHOICE_UNSET) {
		if (c->raw)
			ir_drop(x->rq, "tool_choice");
		return;
	}
	gw_jw_key(&x->w, GW_LIT("tool_choice"));
	if (c->kind == IR_CHOICE_NAMED && c->names) {
		gw_jw_obj(&x->w);
		gw_jw_kstr(&x->w, "type", GW_LIT("function"));
		gw_jw_kstr(&x->w, "name", responses_name(x, c->names->name));
		gw_jw_end_obj(&x->w);
		return;
	}
	gw_jw_str(&x->w, c->kind == IR_CHOICE_NONE ? GW_LIT("none")
			 : is_required             ? GW_LIT("required")
						   : GW_LIT("auto"));
}

static void put_tools(struct responses_write *x)
{
	bool is_open = false;

	for (const struct ir_tool *t = x->rq->tools; t; t = t->next) {
		if (t->kind == IR_TOOL_HOSTED) {
			ir_drop_name(x->rq, gw_arena_printf(x->a, "tools[] (%.*s)", GW_FMT(t->name)));
			continue;
		}
		if (!is_allowed(x, t))
			continue;
		if (!is_open) {
			gw_jw_key(&x->w, GW_LIT("tools"));
			gw_jw_arr(&x->w);
			is_open = true;
		}
		put_tool(x, t);
	}
	if (!is_open)
		return;
	gw_jw_end_arr(&x->w);
	put_choice(x);
	if (x->rq->parallel_tool_calls)
		gw_jw_kbool(&x->w, "parallel_tool_calls", x->rq->parallel_tool_calls == IR_YES);
}

/* ---- the rest ---- */

static void put_sampling(struct responses_write *x)
{
	const struct ir_sampling *s = &x->rq->sampling;
	static const char *const names[] = { "stop",      "seed", "top_k", "presence_penalty", "frequency_penalty",
					     "logit_bias" };
	const bool is_set[] = { s->stop != NULL,
				s->seed.is_set,
				s->top_k.is_set,
				s->presence_penalty.is_set && s->presence_penalty.v != 0,
				s->frequency_penalty.is_set && s->frequency_penalty.v != 0,
				s->logit_bias != NULL };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_set[i])
			ir_drop(x->rq, names[i]);
	if (s->n.is_set && s->n.v > 1 && !x->err) {
		x->err = GW_E_INVALID;
		*x->param = GW_LIT("n");
		*x->why = GW_LIT("this provider gives one choice only; leave n out or send 1");
	}
	if (s->max_tokens.is_set)
		gw_jw_ki64(&x->w, "max_output_tokens", s->max_tokens.v < MIN_TOKENS ? MIN_TOKENS : s->max_tokens.v);
	if (s->max_tokens.is_set && s->max_tokens.v < MIN_TOKENS)
		ir_drop(x->rq, "max_tokens (at least 16 here)");
	if (s->temperature.is_set) {
		gw_jw_key(&x->w, GW_LIT("temperature"));
		gw_jw_double(&x->w, s->temperature.v);
	}
	if (s->top_p.is_set) {
		gw_jw_key(&x->w, GW_LIT("top_p"));
		gw_jw_double(&x->w, s->top_p.v);
	}
	if (s->top_logprobs.is_set)
		gw_jw_ki64(&x->w, "top_logprobs", s->top_logprobs.v);
}

static void put_format(struct responses_write *x)
{
	const struct ir_format *f = &x->rq->format;

	if (f->kind == IR_FORMAT_RAW) {
		ir_drop(x->rq, "response_format");
		return;
	}
	gw_jw_key(&x->w, GW_LIT("format"));
	gw_jw_obj(&x->w);
	if (f->kind != IR_FORMAT_SCHEMA) {
		gw_jw_kstr(&x->w, "type", f->kind == IR_FORMAT_JSON ? GW_LIT("json_object") : GW_LIT("text"));
	} else {
		gw_jw_kstr(&x->w, "type", GW_LIT("json_schema"));
		gw_jw_kstr(&x->w, "name", f->name.n ? f->name : GW_LIT("response"));
		if (f->description.p)
			gw_jw_kstr(&x->w, "description", f->description);
		gw_jw_key(&x->w, GW_LIT("schema"));
		if (f->schema)
			gw_jw_val(&x->w, f->schema);
		else
			gw_jw_raw(&x->w, GW_LIT("{}"));
		if (f->strict)
			gw_jw_kbool(&x->w, "strict", f->strict == IR_YES);
		ir_extra_write(f->extra, GW_D_RESPONSES, &x->w, x->rq, "response_format.");
	}
	gw_jw_end_obj(&x->w);
}

static void put_text(struct responses_write *x)
{
	const yyjson_val *verbosity = ir_extra_get(x->rq->extra, GW_D_OPENAI, GW_LIT("verbosity"));

	if (x->rq->format.kind == IR_FORMAT_UNSET && !yyjson_is_str((yyjson_val *)(uintptr_t)verbosity))
		return;
	gw_jw_key(&x->w, GW_LIT("text"));
	gw_jw_obj(&x->w);
	if (x->rq->format.kind != IR_FORMAT_UNSET)
		put_format(x);
	if (verbosity)
		put_tree(x, "verbosity", verbosity);
	gw_jw_end_obj(&x->w);
}

static bool has_proofs(const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next)
		for (const struct ir_block *b = m->blocks; b; b = b->next)
			if (b->kind == IR_REASONING && b->signature_of == GW_D_RESPONSES)
				return true;
	return false;
}

static void put_reasoning(struct responses_write *x)
{
	struct ir_reasoning *rs = &x->rq->reasoning;
	enum ir_effort effort = rs->effort;
	bool wants_text = rs->wants_text == IR_YES || rs->summary.n;

	if (effort == IR_EFFORT_UNSET && rs->budget.is_set && rs->budget.v > 0 && rs->is_on != IR_NO)
		effort = ir_budget_effort(rs->budget.v);
	if (effort == IR_EFFORT_UNSET && rs->is_on == IR_NO)
		ir_drop(x->rq, "thinking.type (disabled)");
	if (effort != IR_EFFORT_UNSET || wants_text) {
		gw_jw_key(&x->w, GW_LIT("reasoning"));
		gw_jw_obj(&x->w);
		if (effort != IR_EFFORT_UNSET)
			gw_jw_kstr(&x->w, "effort", ir_effort_word(effort));
		if (wants_text)
			gw_jw_kstr(&x->w, "summary", rs->summary.n ? rs->summary : GW_LIT("auto"));
		gw_jw_end_obj(&x->w);
	}
	if (x->rq->sampling.logprobs == IR_YES || effort > IR_EFFORT_NONE || has_proofs(x->rq)) {
		gw_jw_key(&x->w, GW_LIT("include"));
		gw_jw_arr(&x->w);
		if (effort > IR_EFFORT_NONE || has_proofs(x->rq))
			gw_jw_str(&x->w, GW_LIT("reasoning.encrypted_content"));
		if (x->rq->sampling.logprobs == IR_YES)
			gw_jw_str(&x->w, GW_LIT("message.output_text.logprobs"));
		gw_jw_end_arr(&x->w);
	}
	for (const struct ir_extra *e = rs->extra; e; e = e->next)
		ir_drop_name(x->rq, gw_arena_printf(x->a, "reasoning.%.*s", GW_FMT(e->key)));
}

static void put_account(struct responses_write *x)
{
	struct ir_request *rq = x->rq;
	static const char *const shared[] = { "prompt_cache_retention", "prompt_cache_options", "safety_identifier" };

	if (rq->user.p)
		gw_jw_kstr(&x->w, "user",
			   rq->user.n > USER_BYTES ? ir_tool_name(x->a, rq->user, USER_BYTES) : rq->user);
	if (ir_tier_word(rq->service_tier).p)
		gw_jw_kstr(&x->w, "service_tier", ir_tier_word(rq->service_tier));
	else if (rq->service_tier.p)
		ir_drop(rq, "service_tier");
	if (rq->cache_key.p)
		gw_jw_kstr(&x->w, "prompt_cache_key", rq->cache_key);
	put_tree(x, "metadata", rq->metadata);
	if (rq->cache)
		ir_drop(rq, "cache_control");
	for (const struct ir_extra *e = rq->extra; e; e = e->next) {
		bool is_shared = false;

		for (size_t i = 0; i < 3 && e->of == GW_D_OPENAI; i++)
			is_shared |= gw_str_eq(e->key, gw_str_z(shared[i]));
		if (is_shared) {
			gw_jw_key(&x->w, e->key);
			gw_jw_val(&x->w, e->val);
			continue;
		}
		if (e->of != GW_D_NONE && !yyjson_is_null((yyjson_val *)(uintptr_t)e->val) &&
		    !gw_str_eq(e->key, GW_LIT("verbosity")) && !gw_str_eq(e->key, GW_LIT("stream_options")))
			ir_drop_name(rq, e->key);
	}
}

enum gw_err responses_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				    struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	struct responses_write x = { .a = a, .rq = in, .o = o, .param = param, .why = why };

	gw_jw_init(&x.w, body);
	gw_jw_obj(&x.w);
	if (in->source == GW_D_RESPONSES && in->form & RESPONSES_NATIVE) {
		put_home(&x);
	} else {
		gw_jw_kstr(&x.w, "model", o->model);
		responses_write_input(&x);
		put_tools(&x);
		put_sampling(&x);
		put_text(&x);
		put_reasoning(&x);
		put_account(&x);
		gw_jw_kbool(&x.w, "store", false);
		if (in->is_stream)
			gw_jw_kbool(&x.w, "stream", true);
	}
	if (!x.err)
		gw_jw_end_obj(&x.w);
	return x.err ? x.err : body->err;
}
