/* Chat completions bodies from the IR, for OpenAI and for vendors that take most of it (GW_Q_*: core/provider.h). A body that came from this
 * dialect is written as it was. */
#include "core/dialect/openai/write.h"

#include "lib/siphash.h"

#define has openai_has

enum { NAME_BYTES = 64, ID_BYTES = 40, USER_BYTES = 64, SHORT_ID_BYTES = 9, MAX_STOPS = 4 };

void openai_refuse(struct openai_write *x, const char *param, const char *why)
{
	if (x->err)
		return;
	x->err = GW_E_INVALID;
	*x->param = gw_str_z(param);
	*x->why = gw_str_z(why);
}

void openai_drop(struct openai_write *x, const char *name)
{
	ir_drop(x->rq, name);
}

struct gw_str openai_name(struct openai_write *x, struct gw_str name)
{
	struct gw_str fit;

	if (x->is_home)
		return name;
	fit = ir_tool_name(x->a, name, NAME_BYTES);
	if (!fit.p && !x->err)
		x->err = GW_E_NOMEM;
	return fit;
}

static const struct gw_sip_key id_key = { { UINT64_C(0x6c6c6d6777206964), UINT64_C(0x63616c6c73206f66) } };

/* A pure function of the id: the call and its result agree without state. */
struct gw_str openai_call_id(struct openai_write *x, struct gw_str id)
{
	bool fits = id.n <= ID_BYTES || x->is_home;
	uint64_t h;

	if (has(x, GW_Q_TOOL_ID_9)) {
		fits = id.n == SHORT_ID_BYTES;
		for (size_t i = 0; fits && i < id.n; i++) {
			char c = id.p[i];

			fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		}
	}
	if (fits)
		return id;
	h = gw_siphash(id_key, id).t[0];
	id = has(x, GW_Q_TOOL_ID_9) ? ir_make_id(x->a, "", h, 0, SHORT_ID_BYTES) : ir_make_id(x->a, "call_", h, 0, 24);
	if (!id.p && !x->err)
		x->err = GW_E_NOMEM;
	return id;
}

/* ---- the members beside messages and tools ---- */

static void put_f64(struct openai_write *x, const char *name, struct ir_f64 v)
{
	if (!v.is_set)
		return;
	gw_jw_key(&x->w, gw_str_z(name));
	gw_jw_double(&x->w, v.v);
}

static void put_i64(struct openai_write *x, const char *name, struct ir_i64 v)
{
	if (v.is_set)
		gw_jw_ki64(&x->w, name, v.v);
}

static void put_str(struct openai_write *x, const char *name, struct gw_str v)
{
	if (v.p)
		gw_jw_kstr(&x->w, name, v);
}

static void put_tree(struct openai_write *x, const char *name, const yyjson_val *v)
{
	if (!v)
		return;
	gw_jw_key(&x->w, gw_str_z(name));
	gw_jw_val(&x->w, v);
}

static void put_stop(struct openai_write *x)
{
	const struct ir_name *n = x->rq->sampling.stop;
	size_t count = 0;

	if (!n)
		return;
	gw_jw_key(&x->w, GW_LIT("stop"));
	if (x->is_home && x->rq->form & OPENAI_STOP_STRING) {
		gw_jw_str(&x->w, n->name);
		return;
	}
	gw_jw_arr(&x->w);
	for (; n; n = n->next) {
		if (!x->is_home && count++ == MAX_STOPS) {
			openai_drop(x, "stop (more than 4)");
			break;
		}
		gw_jw_str(&x->w, n->name);
	}
	gw_jw_end_arr(&x->w);
}

static void put_sampling(struct openai_write *x)
{
	const struct ir_sampling *s = &x->rq->sampling;
	bool is_old = x->is_home ? x->rq->form & OPENAI_OLD_MAX : false;

	put_i64(x, is_old || has(x, GW_Q_MAX_TOKENS) ? "max_tokens" : "max_completion_tokens", s->max_tokens);
	put_f64(x, "temperature", s->temperature);
	put_f64(x, "top_p", s->top_p);
	if (x->is_home || has(x, GW_Q_TOP_K))
		put_i64(x, "top_k", s->top_k);
	else if (s->top_k.is_set)
		openai_drop(x, "top_k");
	if (has(x, GW_Q_N_ONE) && s->n.is_set && s->n.v > 1)
		openai_refuse(x, "n", "this provider gives one choice only; leave n out or send 1");
	else if (!has(x, GW_Q_N_ONE))
		put_i64(x, "n", s->n);
	put_i64(x, has(x, GW_Q_RANDOM_SEED) ? "random_seed" : "seed", s->seed);
	put_stop(x);
	put_f64(x, "presence_penalty", s->presence_penalty);
	put_f64(x, "frequency_penalty", s->frequency_penalty);
	if (has(x, GW_Q_NO_LOGPROBS)) {
		if (s->logprobs == IR_YES)
			openai_drop(x, "logprobs");
		if (s->logit_bias)
			openai_drop(x, "logit_bias");
		return;
	}
	if (s->logprobs)
		gw_jw_kbool(&x->w, "logprobs", s->logprobs == IR_YES);
	put_i64(x, "top_logprobs", s->top_logprobs);
	put_tree(x, "logit_bias", s->logit_bias);
}

/* Usage is asked for, and whatever else the client said there. */
static void put_usage_wanted(struct openai_write *x, const yyjson_val *own)
{
	yyjson_val *k, *v;
	size_t i, max;

	gw_jw_key(&x->w, GW_LIT("stream_options"));
	gw_jw_obj(&x->w);
	yyjson_obj_foreach((yyjson_val *)(uintptr_t)own, i, max, k, v)
	{
		if (yyjson_equals_str(k, "include_usage"))
			continue;
		gw_jw_key(&x->w, gw_json_str(k));
		gw_jw_val(&x->w, v);
	}
	gw_jw_kbool(&x->w, "include_usage", true);
	gw_jw_end_obj(&x->w);
}

static void put_stream(struct openai_write *x)
{
	struct ir_request *rq = x->rq;
	const yyjson_val *own = ir_extra_get(rq->extra, GW_D_OPENAI, GW_LIT("stream_options"));

	if (rq->is_stream || (x->is_home && rq->form & OPENAI_STREAM_TOLD))
		gw_jw_kbool(&x->w, "stream", rq->is_stream);
	if (!rq->is_stream && !(x->is_home && rq->form & OPENAI_STREAM_OPTIONS))
		return;
	if (has(x, GW_Q_NO_STREAM_OPTIONS))
		return; /* usage comes by itself */
	if (x->o->needs_usage && rq->is_stream)
		put_usage_wanted(x, own);
	else if (!own && (!x->is_home || rq->wants_usage)) /* the client's own object is among the extras */
		put_usage_wanted(x, NULL);
}

static void put_home_reasoning(struct openai_write *x)
{
	struct ir_reasoning *rs = &x->rq->reasoning;
	bool is_thinking = x->rq->form & OPENAI_THINKING;

	if (!is_thinking && !(x->rq->form & OPENAI_REASONING)) {
		put_str(x, "reasoning_effort", ir_effort_word(rs->effort));
		return;
	}
	if (is_thinking)
		put_str(x, "reasoning_effort", ir_effort_word(rs->effort));
	gw_jw_key(&x->w, is_thinking ? GW_LIT("thinking") : GW_LIT("reasoning"));
	gw_jw_obj(&x->w);
	if (is_thinking)
		gw_jw_kstr(&x->w, "type", rs->is_on == IR_YES ? GW_LIT("enabled") : GW_LIT("disabled"));
	else
		put_str(x, "effort", ir_effort_word(rs->effort));
	put_i64(x, is_thinking ? "budget_tokens" : "max_tokens", rs->budget);
	if (!is_thinking && rs->is_on)
		gw_jw_kbool(&x->w, "enabled", rs->is_on == IR_YES);
	ir_extra_write(rs->extra, GW_D_OPENAI, &x->w, NULL, "");
	gw_jw_end_obj(&x->w);
}

/* The words that a vendor knows. */
static struct gw_str effort_word(struct openai_write *x, enum ir_effort e)
{
	if (e == IR_EFFORT_UNSET)
		return GW_NIL;
	if (has(x, GW_Q_NO_EFFORT) || (e == IR_EFFORT_NONE && has(x, GW_Q_EFFORT_3))) {
		openai_drop(x, "reasoning_effort");
		return GW_NIL;
	}
	if (has(x, GW_Q_EFFORT_3))
		e = e == IR_EFFORT_MINIMAL ? IR_EFFORT_LOW : e > IR_EFFORT_HIGH ? IR_EFFORT_HIGH : e;
	return ir_effort_word(e);
}

/* Reasoning on or off, in the words of vendors that have a switch for it. True: nothing more is to be said. */
static bool put_switch(struct openai_write *x, enum ir_effort effort)
{
	struct ir_reasoning *rs = &x->rq->reasoning;
	bool is_off = effort == IR_EFFORT_NONE || (effort == IR_EFFORT_UNSET && rs->is_on == IR_NO),
	     is_on = effort > IR_EFFORT_NONE || (!is_off && (rs->is_on == IR_YES || rs->is_adaptive));
	int64_t budget = rs->budget.is_set ? rs->budget.v : ir_effort_budget(effort);

	if (!is_on && !is_off)
		return false;
	if (has(x, GW_Q_THINKING_TYPE)) {
		gw_jw_key(&x->w, GW_LIT("thinking"));
		gw_jw_raw(&x->w, is_on ? GW_LIT("{\"type\":\"enabled\"}") : GW_LIT("{\"type\":\"disabled\"}"));
		return is_off || has(x, GW_Q_NO_EFFORT);
	}
	if (!has(x, GW_Q_ENABLE_THINKING))
		return false;
	gw_jw_kbool(&x->w, "enable_thinking", is_on);
	if (is_on && budget > 0)
		gw_jw_ki64(&x->w, "thinking_budget", budget);
	return true;
}

/* The client's own words stay, but for an effort where the vendor has none: it becomes the vendor's switch, if that was not told too. */
static bool is_home_reasoning(const struct openai_write *x)
{
	if (!x->is_home || !has(x, GW_Q_NO_EFFORT) || x->rq->reasoning.effort == IR_EFFORT_UNSET)
		return x->is_home;
	return x->rq->form & (OPENAI_THINKING | OPENAI_REASONING) ||
	       ir_extra_get(x->rq->extra, GW_D_OPENAI, GW_LIT("thinking")) ||
	       ir_extra_get(x->rq->extra, GW_D_OPENAI, GW_LIT("enable_thinking"));
}

/* Others say it by effort, by budget, or by a switch; here there is one word. */
static void put_reasoning(struct openai_write *x)
{
	struct ir_reasoning *rs = &x->rq->reasoning;
	enum ir_effort effort = rs->effort;

	if (is_home_reasoning(x)) {
		put_home_reasoning(x);
		return;
	}
	if (effort == IR_EFFORT_UNSET && rs->budget.is_set && rs->is_on != IR_NO && rs->budget.v > 0)
		effort = ir_budget_effort(rs->budget.v);
	if (!put_switch(x, effort)) {
		put_str(x, "reasoning_effort", effort_word(x, effort));
		if (effort == IR_EFFORT_UNSET && rs->is_on == IR_NO)
			openai_drop(x, "thinking.type (disabled)"); /* models that do not reason refuse to be told so */
	}
	if (rs->summary.n)
		openai_drop(x, "reasoning.summary");
	ir_extra_write(rs->extra, GW_D_OPENAI, &x->w, x->rq, "reasoning.");
}

static void put_schema(struct openai_write *x, const struct ir_format *f)
{
	struct gw_str name = f->name.n || x->is_home ? f->name : GW_LIT("response");

	gw_jw_kstr(&x->w, "type", GW_LIT("json_schema"));
	gw_jw_key(&x->w, GW_LIT("json_schema"));
	gw_jw_obj(&x->w);
	put_str(x, "name", name);
	put_str(x, "description", f->description);
	put_tree(x, "schema", f->schema);
	if (f->strict)
		gw_jw_kbool(&x->w, "strict", f->strict == IR_YES);
	ir_extra_write(f->extra, GW_D_OPENAI, &x->w, x->rq, "response_format.");
	gw_jw_end_obj(&x->w);
}

static void put_format(struct openai_write *x)
{
	const struct ir_format *f = &x->rq->format;

	if (f->kind == IR_FORMAT_RAW && !x->is_home)
		openai_drop(x, "response_format");
	if (f->kind == IR_FORMAT_UNSET || (f->kind == IR_FORMAT_RAW && !x->is_home))
		return;
	gw_jw_key(&x->w, GW_LIT("response_format"));
	if (f->kind == IR_FORMAT_RAW) {
		gw_jw_val(&x->w, f->schema);
		return;
	}
	gw_jw_obj(&x->w);
	if (f->kind == IR_FORMAT_SCHEMA && !has(x, GW_Q_JSON_OBJECT)) {
		put_schema(x, f);
	} else {
		if (f->kind == IR_FORMAT_SCHEMA)
			openai_drop(x, "response_format.json_schema");
		gw_jw_kstr(&x->w, "type", f->kind == IR_FORMAT_TEXT ? GW_LIT("text") : GW_LIT("json_object"));
	}
	gw_jw_end_obj(&x->w);
}

static void put_account(struct openai_write *x)
{
	struct ir_request *rq = x->rq;
	struct gw_str user =
	    rq->user.n > USER_BYTES && !x->is_home ? ir_tool_name(x->a, rq->user, USER_BYTES) : rq->user;
	bool is_strict = has(x, GW_Q_STRICT_FIELDS);

	if (user.p && is_strict)
		openai_drop(x, "user");
	else
		put_str(x, x->is_home && rq->form & OPENAI_SAFETY_ID ? "safety_identifier" : "user", user);
	if (rq->service_tier.p && (is_strict || (!x->is_home && !ir_tier_word(rq->service_tier).p)))
		openai_drop(x, "service_tier");
	else
		put_str(x, "service_tier", x->is_home ? rq->service_tier : ir_tier_word(rq->service_tier));
	put_str(x, "prompt_cache_key", rq->cache_key);
	put_tree(x, "metadata", rq->metadata);
	if (rq->cache && !x->is_home)
		openai_drop(x, "cache_control");
}

/* What the vendor that refuses unknown members knows beside the common ones. */
static bool is_strict_known(struct gw_str key)
{
	static const char *const names[] = { "prompt_mode", "safe_prompt", "guardrails", "prediction", "random_seed" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gw_str_eq(key, gw_str_z(names[i])))
			return true;
	return false;
}

/* Members that only responses and chat completions share. */
static bool is_shared(struct gw_str key)
{
	static const char *const names[] = { "prompt_cache_retention", "prompt_cache_options", "safety_identifier",
					     "verbosity" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gw_str_eq(key, gw_str_z(names[i])))
			return true;
	return false;
}

/* A second word for the same thing, when the first one has this name here. */
static bool is_told(const struct openai_write *x, struct gw_str key)
{
	if (gw_str_eq(key, GW_LIT("stream_options")))
		return has(x, GW_Q_NO_STREAM_OPTIONS) || (x->o->needs_usage && x->rq->is_stream);
	return (has(x, GW_Q_MAX_TOKENS) && x->rq->sampling.max_tokens.is_set && gw_str_eq(key, GW_LIT("max_tokens"))) ||
	       (has(x, GW_Q_RANDOM_SEED) && x->rq->sampling.seed.is_set && gw_str_eq(key, GW_LIT("random_seed")));
}

static void put_extras(struct openai_write *x)
{
	for (const struct ir_extra *e = x->rq->extra; e; e = e->next) {
		bool is_known = e->of == GW_D_OPENAI || (e->of == GW_D_RESPONSES && is_shared(e->key));

		if (has(x, GW_Q_STRICT_FIELDS))
			is_known = e->of == GW_D_OPENAI && is_strict_known(e->key);
		if (e->of == GW_D_NONE || is_told(x, e->key))
			continue;
		if (!is_known) {
			if (!yyjson_is_null((yyjson_val *)(uintptr_t)e->val))
				ir_drop_name(x->rq, e->key);
			continue;
		}
		gw_jw_key(&x->w, e->key);
		gw_jw_val(&x->w, e->val);
	}
}

enum gw_err openai_write_request(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				 struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	struct openai_write x = { .a = a,
				  .rq = in,
				  .o = o,
				  .is_home = in->source == GW_D_OPENAI && in->form & OPENAI_NATIVE,
				  .param = param,
				  .why = why };

	gw_jw_init(&x.w, body);
	gw_jw_obj(&x.w);
	gw_jw_kstr(&x.w, "model", o->model);
	openai_write_messages(&x);
	openai_write_tools(&x);
	put_stream(&x);
	put_sampling(&x);
	put_reasoning(&x);
	put_format(&x);
	put_account(&x);
	put_extras(&x);
	if (!x.err)
		gw_jw_end_obj(&x.w);
	return x.err ? x.err : body->err;
}
