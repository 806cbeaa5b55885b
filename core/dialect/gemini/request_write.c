/* The IR as a generateContent body: settings and tools; contents are parts_write.c's. What Gemini has no word for is noted. */
#include "core/dialect/gemini/gemini.h"
#include "core/provider.h"

enum { MAX_STOPS = 5 };

static struct gw_json_out *out(struct gemini_writer *w)
{
	return &w->w;
}

static uint32_t form_of(const struct gemini_writer *w, unsigned shift)
{
	return w->is_own ? w->rq->form >> shift : 0;
}

static void key(struct gemini_writer *w, enum gemini_generation_field f)
{
	gemini_key(out(w), &gemini_generation_fields, (int)f, form_of(w, GEMINI_GENERATION_SHIFT));
}

static void put_int(struct gemini_writer *w, enum gemini_generation_field f, struct ir_i64 v)
{
	if (!v.is_set)
		return;
	key(w, f);
	gw_jw_i64(out(w), v.v);
}

static void put_double(struct gemini_writer *w, enum gemini_generation_field f, struct ir_f64 v)
{
	if (!v.is_set)
		return;
	key(w, f);
	gw_jw_double(out(w), v.v);
}

/* Extras whose key begins with the path of the open object. */
static void put_extras(struct gemini_writer *w, const char *prefix)
{
	struct gw_str pre = gw_str_z(prefix);

	for (const struct ir_extra *x = w->rq->extra; x; x = x->next) {
		if (x->of == GW_D_GEMINI && gw_str_has_prefix(x->key, pre) &&
		    gw_str_find(gw_str_skip(x->key, pre.n), '.') == x->key.n - pre.n) {
			gw_jw_key(out(w), gw_str_skip(x->key, pre.n));
			gw_jw_val(out(w), x->val);
		}
	}
}

static bool has_extras(const struct gemini_writer *w, const char *prefix)
{
	for (const struct ir_extra *x = w->rq->extra; x; x = x->next) {
		if (x->of == GW_D_GEMINI && gw_str_has_prefix(x->key, gw_str_z(prefix)))
			return true;
	}
	return false;
}

/* ---- sampling ---- */

static void put_sampling(struct gemini_writer *w)
{
	const struct ir_sampling *s = &w->rq->sampling;
	struct ir_i64 seed = s->seed;
	int n = 0;

	put_double(w, GG_TEMPERATURE, s->temperature);
	put_double(w, GG_TOP_P, s->top_p);
	put_int(w, GG_TOP_K, s->top_k);
	put_int(w, GG_MAX_TOKENS, s->max_tokens);
	put_int(w, GG_CANDIDATES, s->n);
	if (seed.is_set &&
	    (seed.v < INT32_MIN || seed.v > INT32_MAX)) /* 32 bits here: folded, the same for the same seed */
		seed.v = (seed.v ^ (seed.v >> 31)) & INT32_MAX;
	put_int(w, GG_SEED, seed);
	put_double(w, GG_PRESENCE, s->presence_penalty);
	put_double(w, GG_FREQUENCY, s->frequency_penalty);
	if (s->stop || (w->is_own && form_of(w, GEMINI_GENERATION_SHIFT + GG_STOP) & 1)) {
		key(w, GG_STOP);
		gw_jw_arr(out(w));
		for (const struct ir_name *x = s->stop; x; x = x->next) {
			if (!w->is_own && (!x->name.n || n == MAX_STOPS)) {
				ir_drop(w->rq, "stop");
				continue;
			}
			gw_jw_str(out(w), x->name);
			n++;
		}
		gw_jw_end_arr(out(w));
	}
	if (s->logprobs != IR_UNSET) {
		key(w, GG_LOGPROBS);
		gw_jw_bool(out(w), s->logprobs == IR_YES);
	}
	if (s->top_logprobs.is_set && (w->is_own || s->top_logprobs.v > 0))
		put_int(w, GG_TOP_LOGPROBS, s->top_logprobs);
	if (s->logit_bias)
		ir_drop(w->rq, "logit_bias");
}

/* ---- thinking ---- */

static struct gw_str level_word(const struct gemini_writer *w, enum ir_effort e)
{
	bool is_upper = w->is_own && (w->rq->form & GEMINI_UPPER_LEVEL);

	switch (e) {
	case IR_EFFORT_NONE: /* cannot be switched off: as little as there is */
	case IR_EFFORT_MINIMAL:
		if (w->is_pro && !w->is_own)
			return GW_LIT("low");
		return is_upper ? GW_LIT("MINIMAL") : GW_LIT("minimal");
	case IR_EFFORT_LOW:
		return is_upper ? GW_LIT("LOW") : GW_LIT("low");
	case IR_EFFORT_MEDIUM:
		return is_upper ? GW_LIT("MEDIUM") : GW_LIT("medium");
	default:
		return is_upper ? GW_LIT("HIGH") : GW_LIT("high");
	}
}

static void thinking_key(struct gemini_writer *w, enum gemini_thinking_field f)
{
	gemini_key(out(w), &gemini_thinking_fields, (int)f, form_of(w, GEMINI_THINKING_SHIFT) & 7);
}

static void put_own_thinking(struct gemini_writer *w)
{
	const struct ir_reasoning *r = &w->rq->reasoning;

	if (!(w->rq->form & GEMINI_HAS_THINKING))
		return;
	key(w, GG_THINKING);
	gw_jw_obj(out(w));
	if (r->wants_text != IR_UNSET) {
		thinking_key(w, GT_INCLUDE);
		gw_jw_bool(out(w), r->wants_text == IR_YES);
	}
	if (r->budget.is_set || r->is_adaptive) {
		thinking_key(w, GT_BUDGET);
		gw_jw_i64(out(w), r->is_adaptive ? -1 : r->budget.v);
	}
	if (r->effort != IR_EFFORT_UNSET) {
		thinking_key(w, GT_LEVEL);
		gw_jw_str(out(w), level_word(w, r->effort));
	}
	ir_extra_write(r->extra, GW_D_GEMINI, out(w), w->rq, "");
	put_extras(w, "generationConfig.thinkingConfig.");
	gw_jw_end_obj(out(w));
}

/* Tokens to think for models that count them; -1: as the model likes. */
static int64_t budget_of(const struct gemini_writer *w)
{
	const struct ir_reasoning *r = &w->rq->reasoning;
	int64_t b = r->budget.v, least = w->is_pro ? 128 : 0, most = w->is_pro ? 32768 : 24576;

	if (!r->budget.is_set) {
		if (r->effort == IR_EFFORT_UNSET)
			b = r->is_on == IR_NO ? 0 : -1;
		else
			b = ir_effort_budget(r->effort);
	}
	if (b < 0)
		return -1;
	return b < least ? least : b > most ? most : b;
}

static void put_thinking(struct gemini_writer *w)
{
	const struct ir_reasoning *r = &w->rq->reasoning;
	bool is_set = r->effort != IR_EFFORT_UNSET || r->budget.is_set || r->is_on != IR_UNSET || r->is_adaptive;
	bool is_off = r->effort == IR_EFFORT_NONE || r->is_on == IR_NO;
	enum ir_effort e = r->effort;

	for (const struct ir_extra *x = r->extra; x; x = x->next)
		ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "reasoning.%.*s", GW_FMT(x->key)));
	if (!is_set && r->wants_text == IR_UNSET)
		return;
	if (w->generation == GEMINI_GEMMA || w->generation == GEMINI_BEFORE_2_5) {
		if (is_set && !is_off)
			ir_drop(w->rq, "reasoning_effort");
		return;
	}
	if (e == IR_EFFORT_UNSET && r->budget.is_set)
		e = ir_budget_effort(r->budget.v);
	if (is_off)
		e = IR_EFFORT_NONE;
	key(w, GG_THINKING);
	gw_jw_obj(out(w));
	if (r->wants_text != IR_UNSET || (is_set && !is_off))
		gw_jw_kbool(out(w), "includeThoughts", r->wants_text != IR_NO);
	if (w->generation == GEMINI_3) {
		if (e != IR_EFFORT_UNSET)
			gw_jw_kstr(out(w), "thinkingLevel", level_word(w, e));
	} else if (is_set) {
		gw_jw_ki64(out(w), "thinkingBudget", budget_of(w));
	}
	gw_jw_end_obj(out(w));
}

/* ---- the form of the answer ---- */

static bool has_functions(const struct ir_request *rq)
{
	for (const struct ir_tool *t = rq->tools; t; t = t->next) {
		if (t->kind != IR_TOOL_HOSTED)
			return true;
	}
	return false;
}

static enum gw_err put_own_format(struct gemini_writer *w)
{
	const struct ir_format *f = &w->rq->format;

	if (f->kind == IR_FORMAT_SCHEMA || f->kind == IR_FORMAT_JSON || (w->rq->form & GEMINI_IS_PLAIN_MIME)) {
		if (!has_extras(w, "generationConfig.responseMimeType")) {
			key(w, GG_MIME);
			gw_jw_str(out(w), w->rq->form & GEMINI_IS_PLAIN_MIME ? GW_LIT("text/plain")
									     : GW_LIT("application/json"));
		}
	}
	if (f->kind == IR_FORMAT_SCHEMA) {
		key(w, f->schema_own ? GG_SCHEMA : GG_JSON_SCHEMA);
		gw_jw_val(out(w), f->schema_own ? f->schema_own : f->schema);
	}
	return GW_OK;
}

static enum gw_err put_format(struct gemini_writer *w)
{
	const struct ir_format *f = &w->rq->format;
	enum gw_err e;

	if (w->is_own)
		return put_own_format(w);
	if (f->kind == IR_FORMAT_RAW)
		ir_drop(w->rq, "response_format");
	for (const struct ir_extra *x = f->extra; x; x = x->next)
		ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "response_format.%.*s", GW_FMT(x->key)));
	if (f->kind != IR_FORMAT_JSON && f->kind != IR_FORMAT_SCHEMA)
		return GW_OK;
	if (has_functions(w->rq) && w->generation < GEMINI_3) { /* these refuse tools and JSON together */
		if (f->strict == IR_YES)
			return gemini_say(
			    w, "response_format",
			    "this model cannot promise a JSON form while it has tools; leave one of the two out, or do "
			    "without strict");
		ir_drop(w->rq, "response_format");
		return GW_OK;
	}
	key(w, GG_MIME);
	gw_jw_str(out(w), GW_LIT("application/json"));
	if (f->kind == IR_FORMAT_JSON || !f->schema)
		return GW_OK;
	if (w->o->quirks & GW_Q_GEMINI_JSON_SCHEMA) {
		key(w, GG_JSON_SCHEMA);
		gw_jw_val(out(w), f->schema);
		return GW_OK;
	}
	key(w, GG_SCHEMA);
	e = gemini_schema_write(w->a, f->schema, f->strict == IR_YES, w->rq, "response_format.json_schema.schema",
				out(w), w->why);
	if (e)
		*w->param = GW_LIT("response_format.json_schema.schema");
	return e;
}

static bool has_config(const struct gemini_writer *w)
{
	const struct ir_request *rq = w->rq;
	const struct ir_sampling *s = &rq->sampling;
	const struct ir_reasoning *r = &rq->reasoning;

	if (w->is_own)
		return rq->form & GEMINI_HAS_GENERATION;
	return s->max_tokens.is_set || s->n.is_set || s->seed.is_set || s->top_k.is_set || s->top_logprobs.is_set ||
	       s->temperature.is_set || s->top_p.is_set || s->presence_penalty.is_set || s->frequency_penalty.is_set ||
	       s->logprobs != IR_UNSET || s->logit_bias || s->stop || rq->format.kind != IR_FORMAT_UNSET ||
	       r->effort != IR_EFFORT_UNSET || r->budget.is_set || r->is_on != IR_UNSET || r->is_adaptive ||
	       r->wants_text != IR_UNSET || r->extra;
}

enum gw_err gemini_config_write(struct gemini_writer *w)
{
	enum gw_err e;

	if (!has_config(w))
		return GW_OK;
	gemini_key(out(w), &gemini_request_fields, GR_GENERATION, form_of(w, 0));
	gw_jw_obj(out(w));
	put_sampling(w);
	e = put_format(w);
	if (e)
		return e;
	if (w->is_own)
		put_own_thinking(w);
	else
		put_thinking(w);
	put_extras(w, "generationConfig.");
	gw_jw_end_obj(out(w));
	return GW_OK;
}

/* ---- tools ---- */

static enum gw_err put_parameters(struct gemini_writer *w, const struct ir_tool *t)
{
	bool is_json = w->is_own ? (t->form & GEMINI_IS_JSON_SCHEMA) : (w->o->quirks & GW_Q_GEMINI_JSON_SCHEMA);
	enum gw_err e;

	if (!t->parameters || (!w->is_own && gemini_schema_is_empty(t->parameters)))
		return GW_OK;
	gemini_key(out(w), &gemini_tool_fields, is_json ? GD_JSON_PARAMETERS : GD_PARAMETERS, w->is_own ? t->form : 0);
	if (w->is_own || is_json) {
		gw_jw_val(out(w), w->is_own && t->parameters_own ? t->parameters_own : t->parameters);
		return GW_OK;
	}
	e = gemini_schema_write(w->a, t->parameters, t->strict == IR_YES, w->rq, "tools[].parameters", out(w), w->why);
	if (e)
		*w->param = gw_arena_printf(w->a, "tools[\"%.*s\"].parameters", t->name.n > 64 ? 64 : GW_FMT(t->name));
	return e;
}

/* Function names: a letter or _, then letters, digits and _ . - : as this dialect has them; 64 at most. Others are changed, the same way
 * each time, and the reply's reader changes them back. */
struct gw_str gemini_name(struct gemini_writer *w, struct gw_str name)
{
	bool is_fit = name.n && name.n <= 64 && ((name.p[0] | 32) >= 'a' ? (name.p[0] | 32) <= 'z' : false);
	struct gw_str fit;

	if (w->is_own)
		return name;
	is_fit |= name.n && name.n <= 64 && name.p[0] == '_';
	for (size_t i = 0; is_fit && i < name.n; i++) {
		char c = name.p[i];

		is_fit = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
			 c == '-' || c == ':';
	}
	if (is_fit)
		return name;
	fit = ir_tool_name(w->a, gw_arena_printf(w->a, "_%.*s", GW_FMT(name)), 64);
	if (w->o->carry && fit.p && !gw_carry_name_note(w->a, w->o->carry, name, fit))
		return GW_NIL;
	return fit;
}

static enum gw_err put_declaration(struct gemini_writer *w, const struct ir_tool *t)
{
	struct gw_str name = gemini_name(w, t->name);
	enum gw_err e;

	if (!name.p)
		return GW_E_NOMEM;
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "name", name);
	if (t->description.n || (w->is_own && t->description.p))
		gw_jw_kstr(out(w), "description", t->description);
	e = put_parameters(w, t);
	if (e)
		return e;
	if (!w->is_own && t->cache != IR_CACHE_NONE)
		ir_drop(w->rq, "tools[].cache_control");
	ir_extra_write(t->extra, GW_D_GEMINI, out(w), w->rq, "tools[].");
	gw_jw_end_obj(out(w));
	return GW_OK;
}

static void open_declarations(struct gemini_writer *w, const struct ir_tool *t, bool *is_entry)
{
	if (!*is_entry)
		gw_jw_obj(out(w));
	*is_entry = true;
	gw_jw_key(out(w), w->is_own && (t->form & GEMINI_SNAKE_DECLARATIONS) ? GW_LIT("function_declarations")
									     : GW_LIT("functionDeclarations"));
	gw_jw_arr(out(w));
}

/* One entry holds all functions; hosted tools have entries of their own, or share one where they did in the request. */
static enum gw_err put_tools(struct gemini_writer *w)
{
	bool is_entry = false, is_list = false;
	enum gw_err e = GW_OK;

	gw_jw_arr(out(w));
	for (const struct ir_tool *t = w->rq->tools; t && !e; t = t->next) {
		bool is_hosted = t->kind == IR_TOOL_HOSTED;

		if (is_hosted && t->hosted_of != GW_D_GEMINI) {
			ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "tools[].%.*s", GW_FMT(t->name)));
			continue;
		}
		if (is_list && (is_hosted || (t->form & GEMINI_NEW_ENTRY))) {
			gw_jw_end_arr(out(w));
			is_list = false;
		}
		if (is_entry && (t->form & GEMINI_NEW_ENTRY)) {
			gw_jw_end_obj(out(w));
			is_entry = false;
		}
		if (is_hosted) {
			if (!is_entry)
				gw_jw_obj(out(w));
			is_entry = true;
			gw_jw_key(out(w), t->name);
			gw_jw_val(out(w), t->hosted);
			continue;
		}
		if (!is_list)
			open_declarations(w, t, &is_entry);
		is_list = true;
		e = put_declaration(w, t);
	}
	if (e)
		return e;
	if (is_list)
		gw_jw_end_arr(out(w));
	if (is_entry)
		gw_jw_end_obj(out(w));
	gw_jw_end_arr(out(w));
	return GW_OK;
}

/* ---- tool choice ---- */

static const char *mode_of(const struct gemini_writer *w, const struct ir_tool_choice *c)
{
	bool is_own = w->is_own;

	switch (c->kind) {
	case IR_CHOICE_NONE:
		return "NONE";
	case IR_CHOICE_REQUIRED:
	case IR_CHOICE_NAMED:
		return "ANY";
	case IR_CHOICE_ALLOWED: /* AUTO takes no names */
		return c->is_required ? "ANY" : is_own && !(c->form & GC_VALIDATED) ? "AUTO" : "VALIDATED";
	default:
		return is_own && (c->form & GC_VALIDATED) ? "VALIDATED" : "AUTO";
	}
}

static void put_mode(struct gemini_writer *w, const struct ir_tool_choice *c)
{
	const char *mode = mode_of(w, c);
	char lower[16] = "";

	if (w->is_own && (c->form & GC_LOWER_CASE)) {
		for (size_t i = 0; mode[i] && i + 1 < sizeof(lower); i++)
			lower[i] = (char)(mode[i] | 32);
		mode = lower;
	}
	gw_jw_kstr(out(w), "mode", gw_str_z(mode));
	if (!c->names && !(w->is_own && (c->form & GC_HAS_NAMES)))
		return;
	gemini_key(out(w), &gemini_request_fields, GR_ALLOWED, form_of(w, 0));
	gw_jw_arr(out(w));
	for (const struct ir_name *n = c->names; n; n = n->next)
		gw_jw_str(out(w), gemini_name(w, n->name));
	gw_jw_end_arr(out(w));
}

static void put_choice(struct gemini_writer *w)
{
	const struct ir_tool_choice *c = &w->rq->tool_choice;
	bool has_mode = w->is_own ? c->kind != IR_CHOICE_UNSET || c->raw
				  : c->kind != IR_CHOICE_UNSET && (w->rq->tools || c->kind == IR_CHOICE_NONE);

	if (!w->is_own && c->raw)
		ir_drop(w->rq, "tool_choice");
	if (!has_mode && !has_extras(w, "toolConfig.") && !(w->is_own && form_of(w, 0) & (1u << GR_TOOL_CONFIG)))
		return;
	if (!w->is_own && !w->rq->tools)
		return; /* nothing to choose from: none is what happens anyway */
	gemini_key(out(w), &gemini_request_fields, GR_TOOL_CONFIG, form_of(w, 0));
	gw_jw_obj(out(w));
	if (has_mode) {
		gemini_key(out(w), &gemini_request_fields, GR_FUNCTION_CALLING, form_of(w, 0));
		if (c->raw) {
			gw_jw_val(out(w), c->raw);
		} else {
			gw_jw_obj(out(w));
			put_mode(w, c);
			gw_jw_end_obj(out(w));
		}
	}
	put_extras(w, "toolConfig.");
	gw_jw_end_obj(out(w));
}

enum gw_err gemini_tools_write(struct gemini_writer *w)
{
	bool has_any = w->is_own && (w->rq->form & GEMINI_HAS_TOOLS);
	enum gw_err e;

	for (const struct ir_tool *t = w->rq->tools; t; t = t->next)
		has_any |= t->kind != IR_TOOL_HOSTED || t->hosted_of == GW_D_GEMINI;
	if (has_any || w->rq->tools) {
		if (has_any)
			gw_jw_key(out(w), GW_LIT("tools"));
		else
			ir_drop(w->rq, "tools");
		e = has_any ? put_tools(w) : GW_OK;
		if (e)
			return e;
	}
	if (has_any || w->is_own)
		put_choice(w);
	if (!w->is_own && w->rq->parallel_tool_calls == IR_NO && has_any)
		ir_drop(w->rq, "parallel_tool_calls");
	return GW_OK;
}

/* ---- the rest ---- */

static void note_dropped(struct gemini_writer *w)
{
	struct ir_request *rq = w->rq;

	if (rq->user.n)
		ir_drop(rq, "user");
	if (rq->metadata)
		ir_drop(rq, "metadata");
	if (rq->cache_key.n)
		ir_drop(rq, "prompt_cache_key");
	if (rq->cache != IR_CACHE_NONE)
		ir_drop(rq, "cache_control");
	if (rq->service_tier.n && !gw_str_eq(rq->service_tier, GW_LIT("auto")) &&
	    !gw_str_eq(rq->service_tier, GW_LIT("default")))
		ir_drop(rq, "service_tier");
	for (const struct ir_extra *x = rq->extra; x; x = x->next) {
		if (x->of != GW_D_GEMINI && x->of != GW_D_NONE) /* NONE: kept for the reply alone */
			ir_drop_name(rq, x->key);
	}
}

enum gw_err gemini_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				 struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	struct gemini_writer w = {
		.a = a, .rq = in, .o = o, .param = param, .why = why, .is_own = in->source == GW_D_GEMINI
	};
	enum gw_err e;

	w.generation = gemini_model(o->model, &w.is_pro);
	gw_jw_init(&w.w, body);
	gw_jw_obj(&w.w);
	e = gemini_contents_write(&w);
	if (!e)
		e = gemini_tools_write(&w);
	if (!e)
		e = gemini_config_write(&w);
	if (e)
		return e;
	put_extras(&w, ""); /* those of inner objects have a dot in their key */
	note_dropped(&w);
	gw_jw_end_obj(&w.w);
	return body->err == GW_E_TOO_BIG ? GW_E_TOO_BIG : body->err ? GW_E_NOMEM : GW_OK;
}
