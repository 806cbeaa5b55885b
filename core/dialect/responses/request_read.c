/* Bodies of responses into the IR. What the provider would have to remember (stored responses, conversations, references) cannot be
 * translated, and is refused in words. */
#include "core/dialect/responses/responses.h"

/* ---- what needs a memory at the provider ---- */

static bool refuse_state(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	(void)v;
	(void)base;
	return ir_read_bad(r, at, "the model is at a provider that keeps no state; send the whole history in input");
}

static bool read_store(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	(void)base;
	if (!yyjson_is_bool(v))
		return ir_read_bad(r, at, "must be true or false");
	return !yyjson_get_bool(v) ||
	       ir_read_bad(r, at, "the model is at a provider that stores no responses; leave store out or send false");
}

static bool read_background(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	(void)base;
	return !yyjson_is_true(v) || ir_read_bad(r, at,
						 "the model is at a provider that does not work in the background; "
						 "leave background out or send false");
}

/* ---- the members beside input and tools ---- */

static bool read_stream(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;

	if (!yyjson_is_bool(v))
		return ir_read_bad(r, at, "must be true or false");
	rq->is_stream = rq->wants_usage = yyjson_get_bool(v);
	return true;
}

static const struct ir_member format_members[] = {
	{ "type", IR_M_SKIP, 0, NULL },
	{ "name", IR_M_STR, offsetof(struct ir_format, name), NULL },
	{ "description", IR_M_STR, offsetof(struct ir_format, description), NULL },
	{ "schema", IR_M_OBJ, offsetof(struct ir_format, schema), NULL },
	{ "strict", IR_M_TRI, offsetof(struct ir_format, strict), NULL },
};

static bool read_format(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_format *f = &((struct ir_request *)base)->format;
	struct gw_str type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;

	if (!type.n)
		return ir_read_bad(r, at, "must be an object with a string \"type\"");
	if (gw_str_eq(type, GW_LIT("json_schema"))) {
		f->kind = IR_FORMAT_SCHEMA;
		return ir_read_members(r, at, v, format_members, 5, f, &f->extra, GW_D_RESPONSES);
	}
	f->kind = gw_str_eq(type, GW_LIT("text"))          ? IR_FORMAT_TEXT
		  : gw_str_eq(type, GW_LIT("json_object")) ? IR_FORMAT_JSON
							   : IR_FORMAT_RAW;
	f->schema = f->kind == IR_FORMAT_RAW ? v : NULL;
	return true;
}

static bool read_verbosity(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	return ir_read_keep(r, at, v, &((struct ir_request *)base)->extra, GW_D_RESPONSES);
}

static bool read_text(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	static const struct ir_member rows[] = {
		{ "format", IR_M_FN, 0, read_format },
		{ "verbosity", IR_M_FN, 0, read_verbosity },
	};

	return ir_read_members(r, at, v, rows, 2, base, &((struct ir_request *)base)->extra, GW_D_RESPONSES);
}

static bool read_effort(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_reasoning *rs = base;

	rs->effort = yyjson_is_str(v) ? ir_effort_of(gw_json_str(v)) : IR_EFFORT_UNSET;
	return rs->effort != IR_EFFORT_UNSET ||
	       ir_read_bad(r, at, "must be none, minimal, low, medium, high, xhigh or max");
}

static bool read_reasoning(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_reasoning *rs = &((struct ir_request *)base)->reasoning;
	static const struct ir_member rows[] = {
		{ "effort", IR_M_FN, 0, read_effort },
		{ "summary", IR_M_STR, offsetof(struct ir_reasoning, summary), NULL },
	};

	if (!ir_read_members(r, at, v, rows, 2, rs, &rs->extra, GW_D_RESPONSES))
		return false;
	if (rs->summary.n)
		rs->wants_text = IR_YES;
	return true;
}

/* What is to be told beside the answer: proofs of reasoning always are, log probabilities are a switch of their own elsewhere. */
static bool read_include(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_request *rq = base;
	yyjson_val *item;
	size_t i, max;

	if (!yyjson_is_arr(v))
		return ir_read_bad(r, at, "must be a list of strings");
	yyjson_arr_foreach(v, i, max, item)
	{
		struct gw_str word = yyjson_is_str(item) ? gw_json_str(item) : GW_NIL;

		if (gw_str_eq(word, GW_LIT("message.output_text.logprobs")))
			rq->sampling.logprobs = IR_YES;
		else if (!gw_str_eq(word, GW_LIT("reasoning.encrypted_content")) &&
			 !ir_read_keep(r, at, item, &rq->extra, GW_D_RESPONSES))
			return false;
	}
	return true;
}

static bool read_truncation(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	if (yyjson_is_str(v) && gw_str_eq(gw_json_str(v), GW_LIT("disabled")))
		return true;
	return ir_read_keep(r, at, v, &((struct ir_request *)base)->extra, GW_D_RESPONSES);
}

#define AT(field) offsetof(struct ir_request, field)
static const struct ir_member members[] = {
	{ "model", IR_M_STR, AT(model), NULL },
	{ "input", IR_M_FN, 0, responses_read_input },
	{ "instructions", IR_M_SKIP, 0, NULL }, /* read first: it comes before the input */
	{ "tools", IR_M_FN, 0, responses_read_tools },
	{ "tool_choice", IR_M_FN, 0, responses_read_tool_choice },
	{ "parallel_tool_calls", IR_M_TRI, AT(parallel_tool_calls), NULL },
	{ "max_output_tokens", IR_M_I64, AT(sampling.max_tokens), NULL },
	{ "temperature", IR_M_F64, AT(sampling.temperature), NULL },
	{ "top_p", IR_M_F64, AT(sampling.top_p), NULL },
	{ "top_logprobs", IR_M_I64, AT(sampling.top_logprobs), NULL },
	{ "text", IR_M_FN, 0, read_text },
	{ "reasoning", IR_M_FN, 0, read_reasoning },
	{ "include", IR_M_FN, 0, read_include },
	{ "stream", IR_M_FN, 0, read_stream },
	{ "stream_options", IR_M_SKIP, 0,
	  NULL }, /* padding against observers: a matter between client and its server */
	{ "store", IR_M_FN, 0, read_store },
	{ "background", IR_M_FN, 0, read_background },
	{ "previous_response_id", IR_M_FN, 0, refuse_state },
	{ "conversation", IR_M_FN, 0, refuse_state },
	{ "prompt", IR_M_FN, 0, refuse_state },
	{ "truncation", IR_M_FN, 0, read_truncation },
	{ "metadata", IR_M_OBJ, AT(metadata), NULL },
	{ "service_tier", IR_M_STR, AT(service_tier), NULL },
	{ "user", IR_M_STR, AT(user), NULL },
	{ "prompt_cache_key", IR_M_STR, AT(cache_key), NULL },
};
#undef AT

/* The members as they came, for the way home. */
static bool keep_all(struct ir_read *r, yyjson_val *root)
{
	yyjson_val *k, *v;
	size_t i, max;

	yyjson_obj_foreach(root, i, max, k, v)
	{
		if (!ir_extra_add(r->a, &r->rq->extra, GW_D_NONE, k, v))
			return ir_read_nomem(r);
	}
	return true;
}

enum gw_err responses_read_request(struct gw_arena *a, const yyjson_val *root_in, struct ir_request *out,
				   struct gw_str *param, struct gw_str *why)
{
	struct ir_read r = { .a = a, .rq = out, .param = param, .why = why };
	yyjson_val *root = (yyjson_val *)(uintptr_t)root_in, *instructions;
	struct ir_message *m;
	struct ir_block *b;

	if (!yyjson_is_obj(root)) {
		ir_read_bad(&r, NULL, "the body must be an object");
		return r.err;
	}
	out->form |= RESPONSES_NATIVE;
	instructions = yyjson_obj_get(root, "instructions");
	if (instructions && !yyjson_is_null(instructions)) {
		struct gw_str text;

		if (!ir_read_str(&r, IR_AT_KEY(NULL, "instructions"), instructions, &text))
			return r.err;
		m = ir_message_add(a, out, IR_SYSTEM);
		b = m ? ir_block_add(a, &m->blocks, IR_TEXT) : NULL;
		if (!b)
			return GW_E_NOMEM;
		b->text = text;
	}
	if (!keep_all(&r, root) || !ir_read_members(&r, NULL, root, members, sizeof(members) / sizeof(members[0]), out,
						    &out->extra, GW_D_RESPONSES))
		return r.err;
	if (!yyjson_obj_get(root, "input"))
		ir_read_missing(&r, IR_AT_KEY(NULL, "input"), "there must be an input");
	return r.err;
}
