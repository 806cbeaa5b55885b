/* Chat completions bodies into the IR: the members beside messages and tools. Every member goes back where it was when the same dialect
 * writes the request again; vendors' own members stay as extra. */
#include "core/dialect/openai/openai.h"

static bool keep(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_request *rq)
{
	return ir_read_keep(r, at, v, &rq->extra, GW_D_OPENAI);
}

static bool read_stop(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;
	yyjson_val *item;
	size_t i, max;

	if (yyjson_is_str(v)) {
		rq->form |= OPENAI_STOP_STRING;
		return ir_name_add(r->a, &rq->sampling.stop, gw_json_str(v)) || ir_read_nomem(r);
	}
	if (!yyjson_is_arr(v))
		return ir_read_bad(r, at, "must be a string or a list of strings");
	if (!yyjson_arr_size(v))
		return keep(r, at, v, rq);
	yyjson_arr_foreach(v, i, max, item)
	{
		if (!yyjson_is_str(item))
			return ir_read_bad(r, IR_AT_ITEM(at, i), "must be a string");
		if (!ir_name_add(r->a, &rq->sampling.stop, gw_json_str(item)))
			return ir_read_nomem(r);
	}
	return true;
}

static bool read_stream(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;

	if (!yyjson_is_bool(v))
		return ir_read_bad(r, at, "must be true or false");
	rq->is_stream = yyjson_get_bool(v);
	rq->form |= OPENAI_STREAM_TOLD;
	return true;
}

static bool read_stream_options(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;
	yyjson_val *usage;

	if (!yyjson_is_obj(v))
		return ir_read_bad(r, at, "must be an object");
	usage = yyjson_obj_get(v, "include_usage");
	if (usage && !yyjson_is_bool(usage) && !yyjson_is_null(usage))
		return ir_read_bad(r, IR_AT_KEY(at, "include_usage"), "must be true or false");
	rq->wants_usage = yyjson_is_true(usage);
	if (rq->wants_usage && yyjson_obj_size(v) == 1) {
		rq->form |= OPENAI_STREAM_OPTIONS;
		return true;
	}
	return keep(r, at, v, rq);
}

/* Words that only a vendor knows ("default") are its own business. */
static bool read_effort(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;

	if (!yyjson_is_str(v))
		return ir_read_bad(r, at, "must be a string: none, minimal, low, medium, high, xhigh or max");
	rq->reasoning.effort = ir_effort_of(gw_json_str(v));
	return rq->reasoning.effort != IR_EFFORT_UNSET || keep(r, at, v, rq);
}

/* {"type": "enabled"|"disabled", "budget_tokens"} of Z.ai, DeepSeek, Moonshot. */
static bool read_thinking(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;
	struct gw_str type = ir_get_str(v, GW_LIT("type"));
	static const struct ir_member rows[] = {
		{ "type", IR_M_SKIP, 0, NULL },
		{ "budget_tokens", IR_M_I64, offsetof(struct ir_reasoning, budget), NULL },
	};
	bool is_on = gw_str_eq(type, GW_LIT("enabled"));

	if ((!is_on && !gw_str_eq(type, GW_LIT("disabled"))))
		return keep(r, at, v, rq);
	rq->form |= OPENAI_THINKING;
	rq->reasoning.is_on = is_on ? IR_YES : IR_NO;
	return ir_read_members(r, at, v, rows, 2, &rq->reasoning, &rq->reasoning.extra, GW_D_OPENAI);
}

static bool read_reasoning_effort(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_reasoning *rs = base;

	rs->effort = yyjson_is_str(v) ? ir_effort_of(gw_json_str(v)) : IR_EFFORT_UNSET;
	return rs->effort != IR_EFFORT_UNSET ||
	       ir_read_bad(r, at, "must be none, minimal, low, medium, high, xhigh or max");
}

/* {"effort", "max_tokens", "enabled"} of OpenRouter. */
static bool read_reasoning(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;
	static const struct ir_member rows[] = {
		{ "effort", IR_M_FN, 0, read_reasoning_effort },
		{ "max_tokens", IR_M_I64, offsetof(struct ir_reasoning, budget), NULL },
		{ "enabled", IR_M_TRI, offsetof(struct ir_reasoning, is_on), NULL },
	};

	if (!yyjson_is_obj(v) || rq->form & OPENAI_THINKING || rq->reasoning.effort != IR_EFFORT_UNSET)
		return keep(r, at, v, rq);
	rq->form |= OPENAI_REASONING;
	return ir_read_members(r, at, v, rows, 3, &rq->reasoning, &rq->reasoning.extra, GW_D_OPENAI);
}

/* The word the model is bound by: the newer of the two when both are there; the other one is the client's own business. */
static bool read_max(struct ir_read *r, yyjson_val *root, struct ir_request *rq)
{
	yyjson_val *now = yyjson_obj_get(root, "max_completion_tokens"), *old = yyjson_obj_get(root, "max_tokens");
	bool has_now = now && !yyjson_is_null(now), has_old = old && !yyjson_is_null(old);
	const struct ir_at *at_now = IR_AT_KEY(NULL, "max_completion_tokens"), *at_old = IR_AT_KEY(NULL, "max_tokens");
	yyjson_val *v = has_now ? now : old;

	if ((has_now && !yyjson_is_int(now)) || (has_old && !yyjson_is_int(old)))
		return ir_read_bad(r, has_now && !yyjson_is_int(now) ? at_now : at_old, "must be an integer");
	if (now && !has_now && !keep(r, at_now, now, rq))
		return false;
	if (old && (!has_old || has_now) && !keep(r, at_old, old, rq))
		return false;
	if (!has_now && !has_old)
		return true;
	if (!has_now)
		rq->form |= OPENAI_OLD_MAX;
	rq->sampling.max_tokens = (struct ir_i64){ true, yyjson_get_sint(v) };
	return true;
}

static bool read_user(struct ir_read *r, yyjson_val *root, struct ir_request *rq)
{
	yyjson_val *user = yyjson_obj_get(root, "user"), *safety = yyjson_obj_get(root, "safety_identifier");
	const struct ir_at *at_user = IR_AT_KEY(NULL, "user"), *at_safety = IR_AT_KEY(NULL, "safety_identifier");
	bool has_user = user && !yyjson_is_null(user);

	if (user && !has_user && !keep(r, at_user, user, rq))
		return false;
	if (has_user && !ir_read_str(r, at_user, user, &rq->user))
		return false;
	if (!safety)
		return true;
	if (has_user || yyjson_is_null(safety))
		return keep(r, at_safety, safety, rq);
	rq->form |= OPENAI_SAFETY_ID;
	return ir_read_str(r, at_safety, safety, &rq->user);
}

/* One of the three ways; more than one at a time is between the client and its vendor. */
static bool read_thought(struct ir_read *r, yyjson_val *root, struct ir_request *rq)
{
	static const struct {
		const char *name;
		ir_member_fn *fn;
	} ways[] = { { "reasoning_effort", read_effort },
		     { "reasoning", read_reasoning },
		     { "thinking", read_thinking } };

	for (size_t i = 0; i < 3; i++) {
		yyjson_val *v = yyjson_obj_get(root, ways[i].name);
		struct ir_at at = { .key = gw_str_z(ways[i].name) };

		if (!v)
			continue;
		if (yyjson_is_null(v) ? !keep(r, &at, v, rq) : !ways[i].fn(r, &at, v, rq))
			return false;
	}
	return true;
}

#define AT(field) offsetof(struct ir_request, field)
static const struct ir_member members[] = {
	{ "model", IR_M_STR, AT(model), NULL },
	{ "messages", IR_M_FN, 0, openai_read_messages },
	{ "stream", IR_M_FN, 0, read_stream },
	{ "stream_options", IR_M_FN, 0, read_stream_options },
	{ "temperature", IR_M_F64, AT(sampling.temperature), NULL },
	{ "top_p", IR_M_F64, AT(sampling.top_p), NULL },
	{ "top_k", IR_M_I64, AT(sampling.top_k), NULL },
	{ "n", IR_M_I64, AT(sampling.n), NULL },
	{ "seed", IR_M_I64, AT(sampling.seed), NULL },
	{ "stop", IR_M_FN, 0, read_stop },
	{ "presence_penalty", IR_M_F64, AT(sampling.presence_penalty), NULL },
	{ "frequency_penalty", IR_M_F64, AT(sampling.frequency_penalty), NULL },
	{ "logprobs", IR_M_TRI, AT(sampling.logprobs), NULL },
	{ "top_logprobs", IR_M_I64, AT(sampling.top_logprobs), NULL },
	{ "logit_bias", IR_M_OBJ, AT(sampling.logit_bias), NULL },
	{ "tools", IR_M_FN, 0, openai_read_tools },
	{ "tool_choice", IR_M_FN, 0, openai_read_tool_choice },
	{ "parallel_tool_calls", IR_M_TRI, AT(parallel_tool_calls), NULL },
	{ "functions", IR_M_FN, 0, openai_read_functions },
	{ "function_call", IR_M_FN, 0, openai_read_function_call },
	{ "response_format", IR_M_FN, 0, openai_read_format },
	{ "service_tier", IR_M_STR, AT(service_tier), NULL },
	{ "prompt_cache_key", IR_M_STR, AT(cache_key), NULL },
	{ "metadata", IR_M_OBJ, AT(metadata), NULL },
	{ "max_tokens", IR_M_SKIP, 0, NULL },
	{ "max_completion_tokens", IR_M_SKIP, 0, NULL },
	{ "user", IR_M_SKIP, 0, NULL },
	{ "safety_identifier", IR_M_SKIP, 0, NULL },
	{ "reasoning_effort", IR_M_SKIP, 0, NULL },
	{ "reasoning", IR_M_SKIP, 0, NULL },
	{ "thinking", IR_M_SKIP, 0, NULL },
};
#undef AT

enum gw_err openai_read_request(struct gw_arena *a, const yyjson_val *root_in, struct ir_request *out,
				struct gw_str *param, struct gw_str *why)
{
	struct ir_read r = { .a = a, .rq = out, .param = param, .why = why };
	yyjson_val *root = (yyjson_val *)(uintptr_t)root_in;

	if (!yyjson_is_obj(root)) {
		ir_read_bad(&r, NULL, "the body must be an object");
		return r.err;
	}
	out->form |= OPENAI_NATIVE;
	if (!ir_read_members(&r, NULL, root, members, sizeof(members) / sizeof(members[0]), out, &out->extra,
			     GW_D_OPENAI) ||
	    !read_max(&r, root, out) || !read_user(&r, root, out) || !read_thought(&r, root, out))
		return r.err;
	if (!out->messages)
		ir_read_missing(&r, IR_AT_KEY(NULL, "messages"), "there must be at least one message");
	return r.err;
}
