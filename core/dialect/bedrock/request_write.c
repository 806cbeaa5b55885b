/* The IR as a Converse body: settings and what goes to the model beyond Converse; messages are messages_write.c's, tools tools_write.c's. */
#include "core/dialect/bedrock/bedrock.h"
#include "core/dialect/schema_closed.h"

enum { MAX_MARKS = 4 };

static struct gw_json_out *out(struct bedrock_writer *w)
{
	return &w->w;
}

static bool has(struct gw_str s, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= s.n; i++) {
		if (!memcmp(s.p + i, word, n))
			return true;
	}
	return false;
}

enum bedrock_family bedrock_family(struct gw_str model)
{
	static const struct {
		const char *word;
		enum bedrock_family is;
	} rows[] = { { "anthropic.", BEDROCK_ANTHROPIC }, { "amazon.nova-2", BEDROCK_NOVA_2 },
		     { "amazon.nova", BEDROCK_NOVA },     { "mistral.", BEDROCK_MISTRAL },
		     { "cohere.", BEDROCK_COHERE },       { "openai.", BEDROCK_OPENAI },
		     { "arn:", BEDROCK_UNTOLD } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (has(model, rows[i].word))
			return rows[i].is;
	}
	return BEDROCK_OTHER;
}

static bool has_extras(const struct bedrock_writer *w, const char *prefix)
{
	for (const struct ir_extra *x = w->rq->extra; x; x = x->next) {
		if (x->of == GW_D_BEDROCK && gw_str_has_prefix(x->key, gw_str_z(prefix)))
			return true;
	}
	return false;
}

static void put_extras(struct bedrock_writer *w, const char *prefix)
{
	struct gw_str pre = gw_str_z(prefix);

	for (const struct ir_extra *x = w->rq->extra; x; x = x->next) {
		bool is_inner = gw_str_has_prefix(x->key, GW_LIT("inferenceConfig.")) ||
				gw_str_has_prefix(x->key, GW_LIT("additionalModelRequestFields."));

		if (x->of != GW_D_BEDROCK || (pre.n ? !gw_str_has_prefix(x->key, pre) : is_inner))
			continue;
		gw_jw_key(out(w), gw_str_skip(x->key, pre.n));
		gw_jw_val(out(w), x->val);
	}
}

/* ---- thinking ---- */

static bool wants_thinking(const struct ir_reasoning *r)
{
	if (r->is_on == IR_NO || r->effort == IR_EFFORT_NONE ||
	    (r->budget.is_set && r->budget.v <= 0 && !r->is_adaptive))
		return false;
	return r->is_on == IR_YES || r->effort != IR_EFFORT_UNSET || r->budget.is_set || r->is_adaptive;
}

/* ---- inferenceConfig ---- */

static void put_stops(struct bedrock_writer *w)
{
	const struct ir_sampling *s = &w->rq->sampling;

	if (!s->stop)
		return;
	gw_jw_key(out(w), GW_LIT("stopSequences"));
	gw_jw_arr(out(w));
	for (const struct ir_name *n = s->stop; n; n = n->next) {
		if (w->is_own || (n->name.n && !(w->family == BEDROCK_ANTHROPIC && bedrock_is_blank(n->name))))
			gw_jw_str(out(w), n->name);
		else
			ir_drop(w->rq, "stop");
	}
	gw_jw_end_arr(out(w));
}

static void put_double(struct bedrock_writer *w, const char *key, double v)
{
	gw_jw_key(out(w), gw_str_z(key));
	gw_jw_double(out(w), v);
}

/* Claude: nothing but the defaults beside thinking and for the newest, and one of the two for all. */
static void put_sampling(struct bedrock_writer *w, bool is_claude)
{
	const struct ir_sampling *s = &w->rq->sampling;
	bool is_fixed = is_claude && (w->is_thinking || ir_claude_fixes_sampling(w->o->model));
	double t = s->temperature.v;

	if (s->temperature.is_set && !w->is_own && t > 1.0) {
		ir_drop(w->rq, "temperature");
		t = 1.0;
	}
	if (s->temperature.is_set && !is_fixed)
		put_double(w, "temperature", t);
	else if (s->temperature.is_set && t < 1.0)
		ir_drop(w->rq, "temperature");
	if (!s->top_p.is_set)
		return;
	if (!is_claude || (!is_fixed && !s->temperature.is_set))
		put_double(w, "topP", s->top_p.v);
	else if (s->top_p.v < 1.0)
		ir_drop(w->rq, "top_p");
}

static void put_inference(struct bedrock_writer *w)
{
	const struct ir_sampling *s = &w->rq->sampling;
	bool is_claude = !w->is_own && w->family == BEDROCK_ANTHROPIC, has_max = s->max_tokens.is_set;
	int64_t max = s->max_tokens.v;

	if (is_claude &&
	    w->is_thinking) { /* what is thought counts too, and the default is less than a budget may be */
		has_max = true;
		max = w->claude.max_tokens;
	}
	if (w->is_own ? !(w->rq->form & BR_HAS_INFERENCE)
		      : !has_max && !s->temperature.is_set && !s->top_p.is_set && !s->stop)
		return;
	gw_jw_key(out(w), GW_LIT("inferenceConfig"));
	gw_jw_obj(out(w));
	if (has_max)
		gw_jw_ki64(out(w), "maxTokens", max);
	put_sampling(w, is_claude);
	put_stops(w);
	put_extras(w, "inferenceConfig.");
	gw_jw_end_obj(out(w));
}

/* ---- additionalModelRequestFields ---- */

static void put_thinking(struct bedrock_writer *w, const char *key, enum ir_claude_kind kind, int64_t budget)
{
	gw_jw_key(out(w), gw_str_z(key));
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "type",
		   kind == IR_CLAUDE_ADAPTIVE ? GW_LIT("adaptive")
		   : kind == IR_CLAUDE_OFF    ? GW_LIT("disabled")
					      : GW_LIT("enabled"));
	if (kind == IR_CLAUDE_BUDGET)
		gw_jw_ki64(out(w), "budget_tokens", budget);
	gw_jw_end_obj(out(w));
}

static void put_own_thinking(struct bedrock_writer *w, const char *key)
{
	const struct ir_reasoning *r = &w->rq->reasoning;

	put_thinking(w, key,
		     r->is_adaptive      ? IR_CLAUDE_ADAPTIVE
		     : r->is_on == IR_NO ? IR_CLAUDE_OFF
					 : IR_CLAUDE_BUDGET,
		     r->budget.v);
}

static void put_effort_word(struct bedrock_writer *w, const char *key, const char *member, enum ir_effort effort)
{
	gw_jw_key(out(w), gw_str_z(key));
	gw_jw_obj(out(w));
	if (*member == 'm')
		gw_jw_kstr(out(w), "type", GW_LIT("enabled"));
	gw_jw_kstr(out(w), member, ir_effort_word(effort));
	gw_jw_end_obj(out(w));
}

static void put_effort(struct bedrock_writer *w, const char *key, const char *member)
{
	put_effort_word(w, key, member, w->rq->reasoning.effort);
}

/* The turn whose calls are being answered was another maker's: a budget is refused beside it. */
static bool has_lost_thinking(const struct bedrock_writer *w)
{
	const struct ir_reasoning *r = &w->rq->reasoning;

	return r->is_on == IR_YES && !r->is_adaptive &&
	       (bedrock_has_foreign(w->rq) ||
		(w->family == BEDROCK_ANTHROPIC && ir_claude_has_strangers(w->rq, GW_LIT("tooluse_")))) &&
	       ir_claude_lacks_proof(w->rq, GW_D_BEDROCK);
}

static void put_nova_top_k(struct bedrock_writer *w)
{
	gw_jw_key(out(w), GW_LIT("inferenceConfig"));
	gw_jw_obj(out(w));
	gw_jw_ki64(out(w), "topK", w->rq->sampling.top_k.v);
	gw_jw_end_obj(out(w));
}

static void put_own_fields(struct bedrock_writer *w)
{
	uint32_t form = w->rq->form;

	if ((form & (BR_THINKING | BR_REASONING_CONFIG)) && has_lost_thinking(w)) {
		ir_drop(w->rq, "additionalModelRequestFields.thinking");
		form &= ~(uint32_t)(BR_THINKING | BR_REASONING_CONFIG);
	}
	if (form & BR_THINKING)
		put_own_thinking(w, "thinking");
	if (form & BR_REASONING_CONFIG)
		put_own_thinking(w, "reasoning_config");
	if (form & BR_NOVA_REASONING)
		put_effort(w, "reasoningConfig", "maxReasoningEffort");
	if (form & BR_OUTPUT_EFFORT)
		put_effort(w, "output_config", "effort");
	if (form & BR_TOP_K)
		gw_jw_ki64(out(w), "top_k", w->rq->sampling.top_k.v);
	if (form & BR_NOVA_TOP_K)
		put_nova_top_k(w);
	put_extras(w, "additionalModelRequestFields.");
}

static void put_reasoning(struct bedrock_writer *w)
{
	struct ir_reasoning *r = &w->rq->reasoning;

	if (!w->is_thinking)
		return;
	if (w->family == BEDROCK_ANTHROPIC) {
		put_thinking(w, "thinking", w->claude.kind, w->claude.budget);
		if (w->claude.kind == IR_CLAUDE_ADAPTIVE && w->claude.effort != IR_EFFORT_UNSET)
			put_effort_word(w, "output_config", "effort", w->claude.effort);
		return;
	}
	if (r->effort == IR_EFFORT_UNSET)
		r->effort = r->budget.is_set ? ir_budget_effort(r->budget.v) : IR_EFFORT_MEDIUM;
	if (r->effort == IR_EFFORT_MINIMAL)
		r->effort = IR_EFFORT_LOW;
	if (r->effort == IR_EFFORT_XHIGH || r->effort == IR_EFFORT_MAX)
		r->effort = IR_EFFORT_HIGH;
	if (w->family == BEDROCK_NOVA_2)
		put_effort(w, "reasoningConfig", "maxReasoningEffort");
	else if (w->family == BEDROCK_OPENAI)
		gw_jw_kstr(out(w), "reasoning_effort", ir_effort_word(r->effort));
	else
		ir_drop(w->rq, "reasoning_effort");
}

static void put_top_k(struct bedrock_writer *w)
{
	const struct ir_i64 *k = &w->rq->sampling.top_k;

	if (!k->is_set)
		return;
	if ((w->family == BEDROCK_ANTHROPIC && !w->is_thinking && !ir_claude_fixes_sampling(w->o->model)) ||
	    w->family == BEDROCK_MISTRAL)
		gw_jw_ki64(out(w), "top_k", k->v);
	else if (w->family == BEDROCK_COHERE)
		gw_jw_ki64(out(w), "k", k->v);
	else if (w->family == BEDROCK_NOVA || w->family == BEDROCK_NOVA_2)
		put_nova_top_k(w);
	else
		ir_drop(w->rq, "top_k");
}

static void put_model_fields(struct bedrock_writer *w)
{
	size_t from = out(w)->b->n;
	struct gw_json_out before = *out(w);

	if (w->is_own ? !(w->rq->form & BR_HAS_MODEL_FIELDS) && !has_extras(w, "additionalModelRequestFields.")
		      : !w->is_thinking && !w->rq->sampling.top_k.is_set)
		return;
	gw_jw_key(out(w), GW_LIT("additionalModelRequestFields"));
	gw_jw_obj(out(w));
	size_t began = out(w)->b->n;

	if (w->is_own) {
		put_own_fields(w);
	} else {
		put_reasoning(w);
		put_top_k(w);
	}
	if (out(w)->b->n == began && !w->is_own) { /* nothing could be said: no empty object */
		out(w)->b->n = from;
		*out(w) = before;
		return;
	}
	gw_jw_end_obj(out(w));
}

/* ---- the form of the answer, and the rest ---- */

static struct gw_str schema_text(struct bedrock_writer *w)
{
	struct gw_json_out j;
	struct gw_buf b;
	struct gw_str s;

	gw_buf_init(&b, w->a->max_bytes);
	gw_jw_init(&j, &b);
	ir_schema_closed_write(&j, w->rq, w->rq->format.schema, "response_format.json_schema.schema");
	s = b.err ? GW_NIL : gw_arena_str(w->a, gw_buf_view(&b));
	gw_buf_done(&b);
	return s;
}

static enum gw_err put_output(struct bedrock_writer *w)
{
	const struct ir_format *f = &w->rq->format;
	bool has_effort = w->is_own && (w->rq->form & BR_CONFIG_EFFORT),
	     has_schema = f->kind == IR_FORMAT_SCHEMA && f->schema;
	struct gw_str schema = GW_NIL;

	if (!w->is_own && f->kind == IR_FORMAT_RAW)
		ir_drop(w->rq, "response_format");
	if (w->wants_json_tool)
		return GW_OK;
	if (!has_schema && !has_effort)
		return GW_OK;
	if (has_schema) {
		schema = w->is_own && f->schema_own ? gw_json_str(f->schema_own) : schema_text(w);
		if (!schema.p)
			return GW_E_NOMEM;
	}
	gw_jw_key(out(w), GW_LIT("outputConfig"));
	gw_jw_obj(out(w));
	if (has_schema) {
		gw_jw_key(out(w), GW_LIT("textFormat"));
		gw_jw_obj(out(w));
		gw_jw_kstr(out(w), "type", GW_LIT("json_schema"));
		gw_jw_key(out(w), GW_LIT("structure"));
		gw_jw_obj(out(w));
		gw_jw_key(out(w), GW_LIT("jsonSchema"));
		gw_jw_obj(out(w));
		gw_jw_kstr(out(w), "schema", schema);
		if (f->name.n)
			gw_jw_kstr(out(w), "name", f->name);
		if (f->description.n)
			gw_jw_kstr(out(w), "description", f->description);
		gw_jw_end_obj(out(w));
		gw_jw_end_obj(out(w));
		gw_jw_end_obj(out(w));
	}
	if (has_effort)
		gw_jw_kstr(out(w), "effort", ir_effort_word(w->rq->reasoning.effort));
	gw_jw_end_obj(out(w));
	return GW_OK;
}

static void note_dropped(struct bedrock_writer *w)
{
	struct ir_request *rq = w->rq;
	const struct ir_sampling *s = &rq->sampling;

	if (s->seed.is_set)
		ir_drop(rq, "seed");
	if (s->presence_penalty.is_set && s->presence_penalty.v != 0.0)
		ir_drop(rq, "presence_penalty");
	if (s->frequency_penalty.is_set && s->frequency_penalty.v != 0.0)
		ir_drop(rq, "frequency_penalty");
	if (s->logprobs == IR_YES)
		ir_drop(rq, "logprobs");
	if (s->top_logprobs.is_set && s->top_logprobs.v)
		ir_drop(rq, "top_logprobs");
	if (s->logit_bias)
		ir_drop(rq, "logit_bias");
	if (rq->user.n)
		ir_drop(rq, "user");
	if (rq->cache_key.n)
		ir_drop(rq, "prompt_cache_key");
	for (const struct ir_extra *x = rq->extra; x; x = x->next) {
		if (x->of != GW_D_BEDROCK && x->of != GW_D_NONE) /* NONE: kept for the reply alone */
			ir_drop_name(rq, x->key);
	}
	for (const struct ir_extra *x = rq->reasoning.extra; x; x = x->next)
		ir_drop_name(rq, gw_arena_printf(rq->arena, "reasoning.%.*s", GW_FMT(x->key)));
	for (const struct ir_extra *x = rq->format.extra; x; x = x->next)
		ir_drop_name(rq, gw_arena_printf(rq->arena, "response_format.%.*s", GW_FMT(x->key)));
}

static void put_tier(struct bedrock_writer *w)
{
	struct gw_str t = w->rq->service_tier;
	bool is_known = gw_str_eq(t, GW_LIT("priority")) || gw_str_eq(t, GW_LIT("default")) ||
			gw_str_eq(t, GW_LIT("flex")) || gw_str_eq(t, GW_LIT("reserved"));

	if (!t.n || gw_str_eq(t, GW_LIT("auto")))
		return;
	if (!is_known && !w->is_own) {
		ir_drop(w->rq, "service_tier");
		return;
	}
	gw_jw_key(out(w), GW_LIT("serviceTier"));
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "type", t);
	gw_jw_end_obj(out(w));
}

static bool is_metadata(struct gw_str s, size_t min)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') ||
		      (c && strchr(" \t\r\n:_@$#=/+,-.", c))))
			return false;
	}
	return s.n >= min && s.n <= 256;
}

/* Sixteen pairs of plain characters are taken; one more or another refuses the whole request. */
static void put_metadata(struct bedrock_writer *w)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)w->rq->metadata);
	unsigned n = 0;

	for (yyjson_val *key; w->rq->metadata && (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);

		if (!w->is_own && (n == 16 || !is_metadata(gw_json_str(key), 1) || !is_metadata(gw_json_str(val), 0))) {
			ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "metadata.%.*s", GW_FMT(gw_json_str(key))));
			continue;
		}
		if (!n++) {
			gw_jw_key(out(w), GW_LIT("requestMetadata"));
			gw_jw_obj(out(w));
		}
		gw_jw_key(out(w), gw_json_str(key));
		gw_jw_val(out(w), val);
	}
	if (!n && w->is_own && w->rq->metadata) {
		gw_jw_key(out(w), GW_LIT("requestMetadata"));
		gw_jw_obj(out(w));
	}
	if (n || (w->is_own && w->rq->metadata))
		gw_jw_end_obj(out(w));
}

static uint32_t marks_of(const struct ir_request *rq)
{
	uint32_t n = rq->cache != IR_CACHE_NONE;

	for (const struct ir_tool *t = rq->tools; t; t = t->next)
		n += t->cache != IR_CACHE_NONE;
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next)
			n += b->cache != IR_CACHE_NONE;
	}
	return n;
}

/* What the family of the model makes of the request. */
static void plan(struct bedrock_writer *w)
{
	struct ir_request *rq = w->rq;
	uint32_t marks = marks_of(rq);
	bool is_claude;

	w->family = bedrock_family(w->o->model);
	w->is_thinking = wants_thinking(&rq->reasoning);
	if (w->is_own)
		return;
	is_claude = w->family == BEDROCK_ANTHROPIC;
	w->cache_skip = marks > MAX_MARKS ? marks - MAX_MARKS : 0;
	w->wants_json_tool = rq->format.kind == IR_FORMAT_SCHEMA && rq->format.schema && w->o->carry &&
			     (w->family == BEDROCK_NOVA || w->family == BEDROCK_NOVA_2 ||
			      (is_claude && !ir_claude_keeps_to_schemas(w->o->model)));
	if (!is_claude)
		return;
	w->claude = ir_claude_plan(rq, w->o->model, w->o->default_max_tokens, GW_D_BEDROCK);
	w->is_thinking = w->claude.kind > IR_CLAUDE_OFF && !w->wants_json_tool; /* a forced tool excludes it */
	if (w->claude.is_lost || (w->claude.kind > IR_CLAUDE_OFF && w->wants_json_tool))
		ir_drop(rq, rq->source == GW_D_OPENAI ? "reasoning_effort" : "reasoning");
}

enum gw_err bedrock_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				  struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	struct bedrock_writer w = {
		.a = a, .rq = in, .o = o, .param = param, .why = why, .is_own = in->source == GW_D_BEDROCK
	};
	enum gw_err e;

	plan(&w);
	if (in->sampling.n.is_set && in->sampling.n.v > 1)
		return bedrock_say(&w, "n", "this provider gives one answer a request; send the request n times");
	gw_jw_init(&w.w, body);
	gw_jw_obj(&w.w);
	e = bedrock_messages_write(&w);
	if (e)
		return e;
	put_inference(&w);
	e = bedrock_tools_write(&w);
	if (!e)
		e = put_output(&w);
	if (e)
		return e;
	put_model_fields(&w);
	put_tier(&w);
	put_metadata(&w);
	put_extras(&w, "");
	note_dropped(&w);
	gw_jw_end_obj(&w.w);
	return body->err == GW_E_TOO_BIG ? GW_E_TOO_BIG : body->err || a->is_full ? GW_E_NOMEM : GW_OK;
}
