/* A messages request (or a count_tokens request, which has no max_tokens) into the IR. Spelling that others cannot mean (an odd value of a
 * known field, an unknown field) stays as extra and goes home unchanged. */
#include "core/dialect/anthropic/anthropic.h"

static bool is_str(const yyjson_val *v)
{
	return yyjson_is_str((yyjson_val *)(uintptr_t)v);
}
static bool is_arr(const yyjson_val *v)
{
	return yyjson_is_arr((yyjson_val *)(uintptr_t)v);
}
static size_t size(const yyjson_val *obj)
{
	return yyjson_obj_size((yyjson_val *)(uintptr_t)obj);
}
static enum gw_err bad(struct anthropic_in *in, const char *field, const char *why)
{
	in->list = "";
	in->item = in->block = in->inner = -1;
	return anthropic_bad(in, GW_E_INVALID, field, why);
}

/* ---- system and messages ---- */

static enum gw_err system_read(struct anthropic_in *in, const yyjson_val *v, struct ir_request *rq)
{
	struct ir_message *m;

	*in = (struct anthropic_in){ in->a, NULL, in->param, in->why, "system", -1, -1, -1, false };
	if (!is_str(v) && !is_arr(v))
		return bad(in, "system", "it must be a string or a list of text blocks");
	m = ir_message_add(in->a, rq, IR_SYSTEM);
	if (!m)
		return GW_E_NOMEM;
	m->form = ANTHROPIC_M_FIELD;
	if (is_arr(v))
		return anthropic_blocks_read(in, v, &m->blocks);
	m->form |= ANTHROPIC_M_STRING;
	struct ir_block *b = ir_block_add(in->a, &m->blocks, IR_TEXT);

	if (b)
		b->text = gw_json_str(v);
	return b ? GW_OK : GW_E_NOMEM;
}

static enum gw_err message_rest(struct anthropic_in *in, const yyjson_val *v, struct ir_message *m)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)v);
	struct ir_extra **tail = &m->extra;

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		if (anthropic_is(key, "role") || anthropic_is(key, "content"))
			continue;
		if (!ir_extra_add(in->a, tail, GW_D_ANTHROPIC, key, yyjson_obj_iter_get_val(key)))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

static enum gw_err message_read(struct anthropic_in *in, const yyjson_val *v, struct ir_request *rq)
{
	const yyjson_val *role = anthropic_get(v, "role"), *content = anthropic_get(v, "content");
	struct ir_message *m;
	enum ir_role r;
	enum gw_err e;

	if (anthropic_is(role, "user"))
		r = IR_USER;
	else if (anthropic_is(role, "assistant"))
		r = IR_ASSISTANT;
	else if (anthropic_is(role, "system"))
		r = IR_SYSTEM;
	else
		return anthropic_bad(in, role ? GW_E_INVALID : GW_E_MISSING, "role",
				     "it must be \"user\", \"assistant\" or \"system\"");
	if (!is_str(content) && !is_arr(content))
		return anthropic_bad(in, content ? GW_E_INVALID : GW_E_MISSING, "content",
				     "it must be a string or a list of blocks");
	m = ir_message_add(in->a, rq, r);
	if (!m)
		return GW_E_NOMEM;
	if (is_str(content)) {
		struct ir_block *b = ir_block_add(in->a, &m->blocks, IR_TEXT);

		if (!b)
			return GW_E_NOMEM;
		m->form = ANTHROPIC_M_STRING;
		b->text = gw_json_str(content);
	} else {
		e = anthropic_blocks_read(in, content, &m->blocks);
		if (e)
			return e;
	}
	return message_rest(in, v, m);
}

static enum gw_err messages_read(struct anthropic_in *in, const yyjson_val *v, struct ir_request *rq)
{
	yyjson_arr_iter it;
	int32_t i = 0;
	enum gw_err e = GW_OK;

	if (!is_arr(v) || yyjson_arr_size((yyjson_val *)(uintptr_t)v) == 0)
		return bad(in, "messages", "it must be a list with at least one message");
	it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)v);
	for (yyjson_val *m; !e && (m = yyjson_arr_iter_next(&it)); i++) {
		*in = (struct anthropic_in){ in->a, NULL, in->param, in->why, "messages", i, -1, -1, false };
		e = message_read(in, m, rq);
	}
	return e;
}

/* ---- the fields of several parts ---- */

/* True: taken. False: it is of a kind that others have no word for, and stays as extra. */
static bool choice_read(struct gw_arena *a, const yyjson_val *v, struct ir_request *rq)
{
	static const struct {
		const char *type;
		enum ir_choice_kind kind;
	} kinds[] = { { "auto", IR_CHOICE_AUTO },
		      { "any", IR_CHOICE_REQUIRED },
		      { "none", IR_CHOICE_NONE },
		      { "tool", IR_CHOICE_NAMED } };
	const yyjson_val *name = anthropic_get(v, "name"), *single = anthropic_get(v, "disable_parallel_tool_use");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bool is_named = kinds[i].kind == IR_CHOICE_NAMED;

		if (!anthropic_is(anthropic_get(v, "type"), kinds[i].type))
			continue;
		if (size(v) != 1u + is_named + (single != NULL) || (is_named && !anthropic_str(name).n) ||
		    (single && !yyjson_is_bool((yyjson_val *)(uintptr_t)single)))
			return false;
		if (is_named && !ir_name_add(a, &rq->tool_choice.names, gw_json_str(name)))
			return false;
		rq->tool_choice.kind = kinds[i].kind;
		if (single)
			rq->parallel_tool_calls = yyjson_get_bool((yyjson_val *)(uintptr_t)single) ? IR_NO : IR_YES;
		return true;
	}
	return false;
}

static bool thinking_read(const yyjson_val *v, struct ir_request *rq)
{
	const yyjson_val *display = anthropic_get(v, "display"), *budget = anthropic_get(v, "budget_tokens");
	struct ir_reasoning r = rq->reasoning;
	size_t n = 1 + (display != NULL);

	if (anthropic_is(anthropic_get(v, "type"), "enabled")) {
		if (!yyjson_is_int((yyjson_val *)(uintptr_t)budget))
			return false;
		r.is_on = IR_YES;
		r.budget = (struct ir_i64){ true, yyjson_get_sint((yyjson_val *)(uintptr_t)budget) };
		n++;
	} else if (anthropic_is(anthropic_get(v, "type"), "adaptive")) {
		r.is_on = IR_YES;
		r.is_adaptive = true;
	} else if (anthropic_is(anthropic_get(v, "type"), "disabled")) {
		r.is_on = IR_NO;
	} else {
		return false;
	}
	if (display && !anthropic_is(display, "summarized") && !anthropic_is(display, "omitted"))
		return false;
	if (size(v) != n)
		return false;
	if (r.is_on == IR_YES)
		r.wants_text = anthropic_is(display, "omitted") ? IR_NO : IR_YES;
	rq->form |= display ? ANTHROPIC_F_DISPLAY : 0;
	rq->reasoning = r;
	return true;
}

static bool format_read(const yyjson_val *v, struct ir_request *rq)
{
	const yyjson_val *schema = anthropic_get(v, "schema");

	if (!anthropic_is(anthropic_get(v, "type"), "json_schema") || size(v) != 2 ||
	    !yyjson_is_obj((yyjson_val *)(uintptr_t)schema) || rq->format.kind != IR_FORMAT_UNSET)
		return false;
	rq->format.kind = IR_FORMAT_SCHEMA;
	rq->format.schema = schema;
	rq->format.strict = IR_YES; /* this provider knows no other */
	return true;
}

static enum gw_err output_config_read(struct gw_arena *a, const yyjson_val *v, struct ir_request *rq)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)v);
	struct ir_extra **tail = &rq->format.extra;

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);

		if (anthropic_is(key, "effort")) {
			rq->reasoning.effort = ir_effort_of(anthropic_str(val));
			if (rq->reasoning.effort != IR_EFFORT_UNSET)
				continue;
		} else if (anthropic_is(key, "format") && format_read(val, rq)) {
			continue;
		}
		if (!ir_extra_add(a, tail, GW_D_ANTHROPIC, key, val))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

static enum gw_err stop_read(struct anthropic_in *in, const yyjson_val *v, struct ir_request *rq)
{
	yyjson_arr_iter it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)v);
	struct ir_name **tail = &rq->sampling.stop;

	if (!is_arr(v))
		return bad(in, "stop_sequences", "it must be a list of strings");
	for (yyjson_val *s; (s = yyjson_arr_iter_next(&it));) {
		if (!yyjson_is_str(s))
			return bad(in, "stop_sequences", "it must be a list of strings");
		if (!ir_name_add(in->a, tail, gw_json_str(s)))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

/* ---- the top level ---- */

static enum gw_err integer(struct anthropic_in *in, const char *field, const yyjson_val *v, struct ir_i64 *out)
{
	if (!yyjson_is_int((yyjson_val *)(uintptr_t)v) || yyjson_get_sint((yyjson_val *)(uintptr_t)v) < 0)
		return bad(in, field, "it must be a whole number that is not negative");
	*out = (struct ir_i64){ true, yyjson_get_sint((yyjson_val *)(uintptr_t)v) };
	return GW_OK;
}

static enum gw_err number(struct anthropic_in *in, const char *field, const yyjson_val *v, struct ir_f64 *out)
{
	if (!yyjson_is_num((yyjson_val *)(uintptr_t)v))
		return bad(in, field, "it must be a number");
	*out = (struct ir_f64){ true, yyjson_get_num((yyjson_val *)(uintptr_t)v) };
	return GW_OK;
}

/* One member. *taken false: it is kept as it came. */
static enum gw_err member_read(struct anthropic_in *in, struct gw_str key, const yyjson_val *v, struct ir_request *rq,
			       bool *taken)
{
	struct ir_sampling *s = &rq->sampling;

	*taken = true;
#define IS(name) gw_str_eq(key, GW_LIT(name))
	if (IS("model") || IS("messages") || IS("system") || IS("anthropic_version") || IS("anthropic_beta"))
		return GW_OK;
	if (yyjson_is_null((yyjson_val *)(uintptr_t)v)) {
		*taken = false;
		return GW_OK;
	}
	if (IS("max_tokens"))
		return integer(in, "max_tokens", v, &s->max_tokens);
	if (IS("top_k"))
		return integer(in, "top_k", v, &s->top_k);
	if (IS("temperature"))
		return number(in, "temperature", v, &s->temperature);
	if (IS("top_p"))
		return number(in, "top_p", v, &s->top_p);
	if (IS("stream")) {
		rq->form |= ANTHROPIC_F_STREAM;
		rq->is_stream = yyjson_get_bool((yyjson_val *)(uintptr_t)v);
		return yyjson_is_bool((yyjson_val *)(uintptr_t)v) ? GW_OK
								  : bad(in, "stream", "it must be true or false");
	}
	if (IS("stop_sequences") && !(is_arr(v) && yyjson_arr_size((yyjson_val *)(uintptr_t)v) == 0))
		return stop_read(in, v, rq);
	if (IS("tools") && !(is_arr(v) && yyjson_arr_size((yyjson_val *)(uintptr_t)v) == 0))
		return anthropic_tools_read(in, v, rq);
	if (IS("metadata") && anthropic_str(anthropic_get(v, "user_id")).p) {
		rq->user = gw_json_str(anthropic_get(v, "user_id"));
		*taken = size(v) == 1;
		return GW_OK;
	}
	if (IS("service_tier") && (anthropic_is(v, "auto") || anthropic_is(v, "standard_only"))) {
		rq->service_tier = anthropic_is(v, "auto") ? GW_LIT("auto") : GW_LIT("default");
		return GW_OK;
	}
	if (IS("output_config") && size(v))
		return output_config_read(in->a, v, rq);
	if (IS("output_format") && format_read(v, rq))
		rq->form |= ANTHROPIC_F_OUTPUT_FORMAT;
	else if (IS("cache_control") && anthropic_cache_read(v) != IR_CACHE_NONE)
		rq->cache = anthropic_cache_read(v);
	else
		*taken = (IS("tool_choice") && choice_read(in->a, v, rq)) || (IS("thinking") && thinking_read(v, rq));
#undef IS
	return GW_OK;
}

enum gw_err anthropic_request_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				   struct gw_str *param, struct gw_str *why)
{
	struct anthropic_in in = { a, NULL, param, why, "", -1, -1, -1, false };
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)root);
	const yyjson_val *system = anthropic_get(root, "system"), *messages = anthropic_get(root, "messages");
	struct ir_extra **tail = &out->extra;
	enum gw_err e;

	out->source = GW_D_ANTHROPIC;
	out->arena = a;
	out->wants_usage = true; /* replies of this dialect always tell it */
	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)root))
		return bad(&in, "", "the body must be a JSON object");
	out->model = anthropic_str(anthropic_get(root, "model"));
	if (anthropic_get(root, "model") && !out->model.n)
		return bad(&in, "model", "it must be the name of a model");
	if (!messages)
		return anthropic_bad(&in, GW_E_MISSING, "messages", "a list of messages is needed");
	if (system && (e = system_read(&in, system, out)))
		return e;
	e = messages_read(&in, messages, out);
	for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));) {
		bool taken;

		e = member_read(&in, gw_json_str(key), yyjson_obj_iter_get_val(key), out, &taken);
		if (e || taken)
			continue;
		if (!ir_extra_add(a, tail, GW_D_ANTHROPIC, key, yyjson_obj_iter_get_val(key)))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return e;
}
