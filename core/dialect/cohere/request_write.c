/* A v2 chat request from the IR. */
#include "core/dialect/cohere/cohere.h"

#include "lib/text.h"

struct out {
	struct gw_arena *a;
	struct ir_request *rq;
	const struct gw_write_opts *o;
	struct gw_json_out w;
	struct gw_str *param, *why;
	enum gw_err err; /* sticks */
	bool is_home;
};
enum { MAX_NAME = 64 };

static void refuse(struct out *o, const char *param, const char *why)
{
	if (o->err)
		return;
	o->err = GW_E_INVALID;
	*o->param = gw_str_z(param);
	*o->why = gw_str_z(why);
}

static struct gw_str name_out(struct out *o, struct gw_str name)
{
	struct gw_str fit = o->is_home ? name : ir_tool_name(o->a, name, MAX_NAME);

	if (!fit.p || (o->o->carry && !gw_carry_name_note(o->a, o->o->carry, name, fit)))
		o->err = GW_E_NOMEM;
	return fit;
}

/* ---- parts ---- */

static void text_part(struct out *o, const char *type, struct gw_str text)
{
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", gw_str_z(type));
	gw_jw_kstr(&o->w, type, text);
	gw_jw_end_obj(&o->w);
}

static void image_part(struct out *o, const struct ir_media *m)
{
	struct gw_str url = m->data;

	if (m->from == IR_BASE64)
		url = gw_arena_printf(o->a, "data:%.*s;base64,%.*s", GW_FMT(m->mime), GW_FMT(m->data));
	else if (m->from != IR_URL || !gw_str_has_prefix(url, GW_LIT("http")))
		refuse(o, "messages", "the provider takes images as data or by an http address");
	if (!url.p)
		o->err = GW_E_NOMEM;
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", GW_LIT("image_url"));
	gw_jw_key(&o->w, GW_LIT("image_url"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "url", url);
	if (m->detail.n)
		gw_jw_kstr(&o->w, "detail", m->detail);
	gw_jw_end_obj(&o->w);
	gw_jw_end_obj(&o->w);
}

/* A document as its text: all that the format has beside grounding. */
static void file_part(struct out *o, const struct ir_media *m)
{
	struct gw_buf b;
	struct gw_str text = m->data;

	gw_buf_init(&b, 32 << 20);
	if (m->from == IR_BASE64 && !gw_str_has_prefix(m->mime, GW_LIT("text/")) &&
	    !gw_str_eq(m->mime, GW_LIT("application/json")))
		refuse(o, "messages", "the provider takes text documents only, no PDF or other files");
	else if (m->from == IR_BASE64 && gw_b64_read(&b, m->data) && gw_str_is_utf8(gw_buf_view(&b)))
		text = gw_arena_str(o->a, gw_buf_view(&b));
	else if (m->from != IR_PLAIN)
		refuse(o, "messages", "the provider takes documents as UTF-8 text only, not by address or file id");
	gw_buf_done(&b);
	if (m->name.n)
		text = gw_arena_printf(o->a, "%.*s\n\n%.*s", GW_FMT(m->name), GW_FMT(text));
	if (!text.p)
		o->err = GW_E_NOMEM;
	text_part(o, "text", text);
}

static void drop_reasoning(struct out *o, const struct ir_block *b)
{
	if (b->signature.n)
		ir_drop(o->rq, "messages[].thinking.signature");
	else if (b->is_redacted)
		ir_drop(o->rq, "messages[].reasoning_content");
}

static bool is_part(struct out *o, const struct ir_block *b)
{
	switch (b->kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		return b->text.n > 0;
	case IR_REASONING:
		drop_reasoning(o, b);
		return !b->is_redacted && b->text.n > 0;
	case IR_TOOL_CALL:
	case IR_TOOL_RESULT:
		return false;
	case IR_OTHER:
		ir_drop_name(o->rq, gw_arena_printf(o->a, "messages[].content[].%.*s",
						    GW_FMT(cohere_str(cohere_get(b->other, "type")))));
		return false;
	default:
		return true;
	}
}

static void part_write(struct out *o, const struct ir_block *b)
{
	if (b->cache != IR_CACHE_NONE)
		ir_drop(o->rq, "cache_control");
	if (b->citations)
		ir_drop(o->rq, "messages[].annotations");
	ir_extra_write(b->extra, GW_D_COHERE, &o->w, o->rq, "messages[].content[].");
	switch (b->kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		text_part(o, "text", b->text);
		break;
	case IR_REASONING:
		text_part(o, "thinking", b->text);
		break;
	case IR_IMAGE:
		image_part(o, &b->media);
		break;
	case IR_FILE:
		file_part(o, &b->media);
		break;
	default:
		refuse(o, "messages", "the provider takes no audio and no video");
		break;
	}
}

/* ---- messages ---- */

static void begin(struct out *o, const char *role)
{
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "role", gw_str_z(role));
}

/* The parts of a list that make a message; true when there was one. A lone text is a string. */
static size_t content_write(struct out *o, const struct ir_block *blocks, const char *role, bool opens)
{
	const struct ir_block *only = NULL;
	size_t n = 0;

	for (const struct ir_block *b = blocks; b; b = b->next) {
		if (is_part(o, b)) {
			only = b;
			n++;
		}
	}
	if (!n)
		return 0;
	if (opens)
		begin(o, role);
	gw_jw_key(&o->w, GW_LIT("content"));
	if (n == 1 && only->kind == IR_TEXT && only->cache == IR_CACHE_NONE) {
		gw_jw_str(&o->w, only->text);
		return n;
	}
	gw_jw_arr(&o->w);
	for (const struct ir_block *b = blocks; b; b = b->next) {
		if (is_part(o, b))
			part_write(o, b);
	}
	gw_jw_end_arr(&o->w);
	return n;
}

static void result_write(struct out *o, const struct ir_block *r)
{
	struct gw_str text = ir_text_of(o->a, r->content, GW_LIT("\n"));

	if (r->is_error)
		text = gw_arena_printf(o->a, "Error: %.*s", GW_FMT(text));
	if (!text.p)
		o->err = GW_E_NOMEM;
	if (r->cache != IR_CACHE_NONE)
		ir_drop(o->rq, "cache_control");
	begin(o, "tool");
	gw_jw_kstr(&o->w, "tool_call_id", r->id);
	gw_jw_kstr(&o->w, "content", text);
	gw_jw_end_obj(&o->w);
}

static bool is_media(const struct ir_block *b)
{
	return b->kind == IR_IMAGE || b->kind == IR_FILE;
}

/* What a tool gave beside text goes into a message of the user behind the results. */
static void media_of_results(struct out *o, const struct ir_block *blocks)
{
	bool is_open = false;

	for (const struct ir_block *r = blocks; r; r = r->next) {
		for (const struct ir_block *c = r->kind == IR_TOOL_RESULT ? r->content : NULL; c; c = c->next) {
			if (c->kind != IR_TEXT && !is_media(c))
				ir_drop(o->rq, "messages[].content[].tool_result");
			if (!is_media(c))
				continue;
			if (!is_open) {
				ir_drop(o->rq, "messages[].content[].tool_result.image");
				begin(o, "user");
				gw_jw_key(&o->w, GW_LIT("content"));
				gw_jw_arr(&o->w);
				is_open = true;
			}
			part_write(o, c);
		}
	}
	if (!is_open)
		return;
	gw_jw_end_arr(&o->w);
	gw_jw_end_obj(&o->w);
}

static void user_write(struct out *o, const struct ir_message *m)
{
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_TOOL_RESULT)
			result_write(o, b);
	}
	media_of_results(o, m->blocks);
	if (content_write(o, m->blocks, m->role == IR_SYSTEM ? "system" : "user", true))
		gw_jw_end_obj(&o->w);
}

static void call_write(struct out *o, const struct ir_block *b)
{
	struct gw_str args = b->args.n ? b->args : GW_LIT("{}");

	if (b->signature.n)
		ir_drop(o->rq, "messages[].tool_calls[].signature");
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "id", b->id);
	gw_jw_kstr(&o->w, "type", GW_LIT("function"));
	gw_jw_key(&o->w, GW_LIT("function"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "name", name_out(o, b->name));
	gw_jw_kstr(&o->w, "arguments", args);
	gw_jw_end_obj(&o->w);
	gw_jw_end_obj(&o->w);
}

static void assistant_write(struct out *o, const struct ir_message *m)
{
	size_t n = content_write(o, m->blocks, "assistant", true), calls = 0;

	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind != IR_TOOL_CALL)
			continue;
		if (!n++)
			begin(o, "assistant");
		if (!calls++) {
			gw_jw_key(&o->w, GW_LIT("tool_calls"));
			gw_jw_arr(&o->w);
		}
		call_write(o, b);
	}
	if (calls)
		gw_jw_end_arr(&o->w);
	if (n)
		gw_jw_end_obj(&o->w);
}

/* ---- home: as it came ---- */

static void home_assistant(struct out *o, const struct ir_message *m)
{
	bool has_calls = false;

	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		has_calls |= b->kind == IR_TOOL_CALL;
		if (b->form & COHERE_B_PLAN)
			gw_jw_kstr(&o->w, "tool_plan", b->text);
	}
	if (!has_calls)
		return;
	gw_jw_key(&o->w, GW_LIT("tool_calls"));
	gw_jw_arr(&o->w);
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_TOOL_CALL)
			gw_jw_val(&o->w, b->other);
	}
	gw_jw_end_arr(&o->w);
}

static void home_message(struct out *o, const struct ir_message *m)
{
	static const char *const roles[] = { [IR_SYSTEM] = "system", [IR_USER] = "user", [IR_ASSISTANT] = "assistant" };

	if (m->blocks && m->blocks->kind == IR_TOOL_RESULT) {
		gw_jw_val(&o->w, m->blocks->other);
		return;
	}
	begin(o, roles[m->role]);
	if (m->form & COHERE_M_STRING) {
		gw_jw_kstr(&o->w, "content", m->blocks->text);
	} else if (m->form & COHERE_M_LIST) {
		gw_jw_key(&o->w, GW_LIT("content"));
		gw_jw_arr(&o->w);
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->kind != IR_TOOL_CALL && !(b->form & COHERE_B_PLAN))
				gw_jw_val(&o->w, b->other);
		}
		gw_jw_end_arr(&o->w);
	}
	home_assistant(o, m);
	ir_extra_write(m->extra, GW_D_COHERE, &o->w, NULL, "");
	gw_jw_end_obj(&o->w);
}

static void messages_write(struct out *o)
{
	gw_jw_key(&o->w, GW_LIT("messages"));
	gw_jw_arr(&o->w);
	for (const struct ir_message *m = o->rq->messages; m; m = m->next) {
		if (o->is_home) {
			home_message(o, m);
			continue;
		}
		if (m->name.n)
			ir_drop(o->rq, "messages[].name");
		ir_extra_write(m->extra, GW_D_COUNT, &o->w, o->rq, "messages[]."); /* noted only: no object is open */
		if (m->role == IR_ASSISTANT)
			assistant_write(o, m);
		else
			user_write(o, m);
	}
	gw_jw_end_arr(&o->w);
}

/* ---- tools ---- */

/* The provider has no choice of one tool, so it gets no other. */
static bool is_offered(const struct ir_request *rq, const struct ir_tool *t)
{
	if (rq->tool_choice.kind != IR_CHOICE_NAMED && rq->tool_choice.kind != IR_CHOICE_ALLOWED)
		return true;
	for (const struct ir_name *n = rq->tool_choice.names; n; n = n->next) {
		if (gw_str_eq(n->name, t->name))
			return true;
	}
	return false;
}

static void tool_write(struct out *o, const struct ir_tool *t)
{
	if (t->cache != IR_CACHE_NONE)
		ir_drop(o->rq, "cache_control");
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", GW_LIT("function"));
	gw_jw_key(&o->w, GW_LIT("function"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "name", name_out(o, t->name));
	if (t->description.n)
		gw_jw_kstr(&o->w, "description", t->description);
	gw_jw_key(&o->w, GW_LIT("parameters"));
	if (t->parameters)
		gw_jw_val(&o->w, t->parameters);
	else
		gw_jw_raw(&o->w, GW_LIT("{\"type\":\"object\",\"properties\":{}}"));
	gw_jw_end_obj(&o->w);
	ir_extra_write(t->extra, GW_D_COHERE, &o->w, o->rq, "tools[].");
	gw_jw_end_obj(&o->w);
}

static void choice_write(struct out *o)
{
	const struct ir_tool_choice *c = &o->rq->tool_choice;

	if (c->kind == IR_CHOICE_REQUIRED || c->kind == IR_CHOICE_NAMED ||
	    (c->kind == IR_CHOICE_ALLOWED && c->is_required))
		gw_jw_kstr(&o->w, "tool_choice", GW_LIT("REQUIRED"));
	else if (c->kind == IR_CHOICE_NONE)
		gw_jw_kstr(&o->w, "tool_choice", GW_LIT("NONE"));
	else if (c->raw)
		ir_drop(o->rq, "tool_choice");
}

static void tools_write(struct out *o)
{
	bool is_strict = false;
	size_t n = 0;

	for (const struct ir_tool *t = o->rq->tools; t; t = t->next) {
		if (t->kind == IR_TOOL_HOSTED) {
			ir_drop_name(o->rq, gw_arena_printf(o->a, "tools[].%.*s", GW_FMT(t->name)));
			continue;
		}
		if (!o->is_home && !is_offered(o->rq, t))
			continue;
		if (!n++) {
			gw_jw_key(&o->w, GW_LIT("tools"));
			gw_jw_arr(&o->w);
		}
		is_strict |= t->strict == IR_YES;
		if (o->is_home)
			gw_jw_val(&o->w, t->hosted);
		else
			tool_write(o, t);
	}
	if (n)
		gw_jw_end_arr(&o->w);
	if (n || o->is_home)
		choice_write(o);
	if (o->is_home && (o->rq->form & (COHERE_F_STRICT | COHERE_F_NOT_STRICT)))
		gw_jw_kbool(&o->w, "strict_tools", (o->rq->form & COHERE_F_STRICT) != 0);
	else if (!o->is_home && is_strict)
		gw_jw_kbool(&o->w, "strict_tools", true);
	if (!o->is_home && n && o->rq->parallel_tool_calls == IR_NO)
		ir_drop(o->rq, "parallel_tool_calls");
}

/* ---- the rest ---- */

static void put_i64(struct out *o, const char *key, struct ir_i64 v)
{
	if (v.is_set)
		gw_jw_ki64(&o->w, key, v.v);
}

static void put_f64(struct out *o, const char *key, struct ir_f64 v)
{
	if (!v.is_set)
		return;
	gw_jw_key(&o->w, gw_str_z(key));
	gw_jw_double(&o->w, v.v);
}

/* 0 to 1 here, -2 to 2 elsewhere. */
static void penalty_write(struct out *o, const char *key, struct ir_f64 v)
{
	if (!o->is_home && v.is_set && (v.v < 0 || v.v > 1)) {
		ir_drop(o->rq, key);
		v.v = v.v > 1 ? 1 : 0;
	}
	put_f64(o, key, v);
}

static void sampling_write(struct out *o)
{
	const struct ir_sampling *s = &o->rq->sampling;

	put_i64(o, "max_tokens", s->max_tokens);
	put_f64(o, "temperature", s->temperature);
	put_f64(o, "p", s->top_p);
	put_i64(o, "k", s->top_k);
	put_i64(o, "seed", s->seed);
	penalty_write(o, "frequency_penalty", s->frequency_penalty);
	penalty_write(o, "presence_penalty", s->presence_penalty);
	if (s->logprobs != IR_UNSET)
		gw_jw_kbool(&o->w, "logprobs", s->logprobs == IR_YES);
	if (s->stop) {
		gw_jw_key(&o->w, GW_LIT("stop_sequences"));
		gw_jw_arr(&o->w);
		for (const struct ir_name *n = s->stop; n; n = n->next)
			gw_jw_str(&o->w, n->name);
		gw_jw_end_arr(&o->w);
	}
}

static void thinking_write(struct out *o)
{
	const struct ir_reasoning *r = &o->rq->reasoning;
	int64_t budget = r->budget.is_set ? r->budget.v : ir_effort_budget(r->effort);
	bool is_off = r->is_on == IR_NO || r->effort == IR_EFFORT_NONE || (r->budget.is_set && r->budget.v == 0),
	     is_on = !is_off && (r->is_on == IR_YES || r->is_adaptive || r->effort != IR_EFFORT_UNSET || budget > 0);

	if (!is_on && !is_off)
		return;
	gw_jw_key(&o->w, GW_LIT("thinking"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", is_on ? GW_LIT("enabled") : GW_LIT("disabled"));
	if (o->is_home ? r->budget.is_set : is_on && budget > 0)
		gw_jw_ki64(&o->w, "token_budget", budget);
	gw_jw_end_obj(&o->w);
}

static void format_write(struct out *o)
{
	const struct ir_format *f = &o->rq->format;

	if (f->kind == IR_FORMAT_UNSET || (f->kind == IR_FORMAT_TEXT && !o->is_home))
		return;
	if (f->kind == IR_FORMAT_RAW) {
		ir_drop(o->rq, "response_format");
		return;
	}
	if (f->description.n)
		ir_drop(o->rq, "response_format.json_schema.description");
	ir_extra_write(f->extra, GW_D_COHERE, &o->w, o->rq, "response_format.");
	gw_jw_key(&o->w, GW_LIT("response_format"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", f->kind == IR_FORMAT_TEXT ? GW_LIT("text") : GW_LIT("json_object"));
	if (f->kind == IR_FORMAT_SCHEMA && f->schema) {
		gw_jw_key(&o->w, GW_LIT("json_schema"));
		gw_jw_val(&o->w, f->schema);
	}
	gw_jw_end_obj(&o->w);
}

static void drop_what_it_lacks(struct out *o)
{
	const struct ir_request *rq = o->rq;
	const struct ir_sampling *s = &rq->sampling;
	const struct {
		const char *name;
		bool is_lost;
	} rows[] = {
		{ "top_logprobs", s->top_logprobs.is_set && s->top_logprobs.v > 0 },
		{ "logit_bias", yyjson_obj_size(cohere_val(s->logit_bias)) > 0 },
		{ "user", rq->user.n > 0 },
		{ "metadata", yyjson_obj_size(cohere_val(rq->metadata)) > 0 },
		{ "service_tier", rq->service_tier.n && !gw_str_eq(rq->service_tier, GW_LIT("auto")) &&
				      !gw_str_eq(rq->service_tier, GW_LIT("default")) },
		{ "prompt_cache_key", rq->cache_key.n > 0 },
		{ "cache_control", rq->cache != IR_CACHE_NONE },
		{ "reasoning.summary", rq->reasoning.summary.n && !gw_str_eq(rq->reasoning.summary, GW_LIT("auto")) },
	};

	if (s->n.is_set && s->n.v > 1)
		refuse(o, "n", "the provider gives one answer a call: send the request n times");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].is_lost)
			ir_drop(o->rq, rows[i].name);
	}
	ir_extra_write(rq->reasoning.extra, GW_D_COHERE, &o->w, o->rq, "reasoning.");
}

enum gw_err cohere_request_write(struct gw_arena *a, struct ir_request *rq, const struct gw_write_opts *opts,
				 struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	struct out o = { .a = a, .rq = rq, .o = opts, .param = param, .why = why };

	o.is_home = rq->source == GW_D_COHERE;
	gw_jw_init(&o.w, body);
	gw_jw_obj(&o.w);
	gw_jw_kstr(&o.w, "model", opts->model);
	messages_write(&o);
	tools_write(&o);
	sampling_write(&o);
	thinking_write(&o);
	format_write(&o);
	if (rq->is_stream || (o.is_home && (rq->form & COHERE_F_STREAM)))
		gw_jw_kbool(&o.w, "stream", rq->is_stream);
	if (!o.is_home)
		drop_what_it_lacks(&o);
	ir_extra_write(rq->extra, GW_D_COHERE, &o.w, rq, "");
	gw_jw_end_obj(&o.w);
	return o.err ? o.err : body->err;
}
