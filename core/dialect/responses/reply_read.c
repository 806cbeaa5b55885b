/* Whole replies of responses into the IR. Items of tools that the provider runs itself stay as they are. */
#include "core/dialect/responses/responses.h"

enum ir_finish responses_finish(const yyjson_val *response, bool has_calls)
{
	struct gw_str status = ir_get_str(response, GW_LIT("status")),
		      reason = ir_get_str(gw_json_get(response, GW_LIT("incomplete_details")), GW_LIT("reason"));

	if (gw_str_eq(reason, GW_LIT("content_filter")))
		return IR_FINISH_FILTER;
	if (gw_str_eq(status, GW_LIT("incomplete")))
		return IR_FINISH_LENGTH;
	return has_calls ? IR_FINISH_TOOL_CALLS : IR_FINISH_STOP;
}

static int64_t position(const yyjson_val *v, struct gw_str key)
{
	yyjson_val *n = gw_json_get(v, key);

	return yyjson_is_int(n) && yyjson_get_sint(n) >= 0 ? yyjson_get_sint(n) : -1;
}

bool responses_read_annotations(struct gw_arena *a, yyjson_val *list, struct ir_block *to)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct ir_citation *c = yyjson_is_obj(v) ? ir_citation_add(a, to) : NULL;

		if (!yyjson_is_obj(v))
			continue;
		if (!c)
			return false;
		c->url = ir_get_str(v, GW_LIT("url"));
		c->title = ir_get_str(v, GW_LIT("title"));
		if (!c->title.n)
			c->title = ir_get_str(v, GW_LIT("filename"));
		c->start = position(v, GW_LIT("start_index"));
		c->end = position(v, GW_LIT("end_index"));
		c->of = GW_D_RESPONSES;
		c->raw = v;
	}
	return true;
}

const yyjson_val *responses_read_logprobs(struct gw_arena *a, yyjson_val *list)
{
	const yyjson_val *out = NULL;
	struct gw_str text;

	if (!yyjson_is_arr(list) || !yyjson_arr_size(list))
		return NULL;
	text = ir_tree_text(a, list);
	if (text.p)
		text = gw_arena_printf(a, "{\"content\":%.*s,\"refusal\":null}", GW_FMT(text));
	return text.p && !gw_json_tree(a, text, NULL, &out, NULL) ? out : NULL;
}

/* Of the first part that has them. */
static void take_logprobs(struct gw_arena *a, yyjson_val *output, struct ir_choice *ch)
{
	yyjson_val *item, *part;
	size_t i, max, j, n;

	yyjson_arr_foreach(output, i, max, item)
	{
		yyjson_val *parts = yyjson_is_obj(item) ? gw_json_get(item, GW_LIT("content")) : NULL;

		yyjson_arr_foreach(parts, j, n, part)
		{
			if (!ch->logprobs && yyjson_is_obj(part))
				ch->logprobs = responses_read_logprobs(a, gw_json_get(part, GW_LIT("logprobs")));
		}
	}
}

static bool read_parts(struct gw_arena *a, yyjson_val *list, struct ir_block **out)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct gw_str type = ir_get_str(v, GW_LIT("type"));
		bool is_refusal = gw_str_eq(type, GW_LIT("refusal"));
		struct ir_block *b;

		if (!is_refusal && !gw_str_eq(type, GW_LIT("output_text")))
			continue;
		b = ir_block_add(a, out, is_refusal ? IR_REFUSAL : IR_TEXT);
		if (!b)
			return false;
		b->text = ir_get_str(v, is_refusal ? GW_LIT("refusal") : GW_LIT("text"));
		if (!responses_read_annotations(a, yyjson_is_obj(v) ? gw_json_get(v, GW_LIT("annotations")) : NULL, b))
			return false;
	}
	return true;
}

static bool read_texts(struct gw_arena *a, yyjson_val *list, struct ir_block **out)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct ir_block *b = ir_block_add(a, out, IR_TEXT);

		if (!b)
			return false;
		b->text = ir_get_str(v, GW_LIT("text"));
	}
	return true;
}

static bool read_reasoning(struct gw_arena *a, yyjson_val *item, struct ir_block *b)
{
	struct ir_block *texts = NULL;

	b->signature = ir_get_str(item, GW_LIT("encrypted_content"));
	b->signature_of = b->signature.n ? GW_D_RESPONSES : GW_D_NONE;
	b->id = ir_get_str(item, GW_LIT("id"));
	if (!read_texts(a, gw_json_get(item, GW_LIT("summary")), &texts) ||
	    (!texts && !read_texts(a, gw_json_get(item, GW_LIT("content")), &texts)))
		return false;
	b->text = ir_text_of(a, texts, GW_LIT("\n\n"));
	return b->text.p != NULL;
}

bool responses_read_item(struct gw_arena *a, yyjson_val *item, const struct gw_carry *c, uint64_t counter,
			 struct ir_block **list)
{
	struct gw_str type = ir_get_str(item, GW_LIT("type")), call_id = ir_get_str(item, GW_LIT("call_id"));
	bool is_custom = gw_str_eq(type, GW_LIT("custom_tool_call")),
	     is_reasoning = gw_str_eq(type, GW_LIT("reasoning")),
	     is_call = is_custom || gw_str_eq(type, GW_LIT("function_call"));
	struct ir_block *b;

	if (!type.n)
		return true;
	if (gw_str_eq(type, GW_LIT("message")))
		return read_parts(a, gw_json_get(item, GW_LIT("content")), list);
	b = ir_block_add(a, list, is_call ? IR_TOOL_CALL : is_reasoning ? IR_REASONING : IR_OTHER);
	if (!b)
		return false;
	if (is_reasoning)
		return read_reasoning(a, item, b);
	if (!is_call) {
		b->other_of = GW_D_RESPONSES;
		b->other = item;
		return true;
	}
	b->is_custom = is_custom;
	b->id = call_id.n ? call_id : ir_make_id(a, "call_", c->seed, counter, 24);
	b->name = gw_carry_name_back(c, ir_get_str(item, GW_LIT("name")));
	b->args = ir_get_str(item, is_custom ? GW_LIT("input") : GW_LIT("arguments"));
	return b->id.p != NULL;
}

enum gw_err responses_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
				 struct ir_reply *out)
{
	yyjson_val *output, *created, *v;
	struct ir_choice *ch;
	bool has_calls = false;
	size_t i, max;

	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)root))
		return GW_E_UP_GARBLED;
	output = gw_json_get(root, GW_LIT("output"));
	if (!yyjson_is_arr(output))
		return GW_E_UP_GARBLED;
	if (gw_str_eq(ir_get_str(root, GW_LIT("status")), GW_LIT("failed")))
		return GW_E_UP_SERVER;
	created = gw_json_get(root, GW_LIT("created_at"));
	out->id = ir_get_str(root, GW_LIT("id"));
	out->model = ir_get_str(root, GW_LIT("model"));
	out->created = yyjson_is_num(created) && yyjson_get_num(created) > 0 && yyjson_get_num(created) < 1e15
			   ? (int64_t)yyjson_get_num(created)
			   : 0;
	out->service_tier = ir_get_str(root, GW_LIT("service_tier"));
	ch = ir_choice_add(a, out, 0);
	if (!ch)
		return GW_E_NOMEM;
	yyjson_arr_foreach(output, i, max, v)
	{
		if (yyjson_is_obj(v) && !responses_read_item(a, v, c, i, &ch->blocks))
			return GW_E_NOMEM;
	}
	take_logprobs(a, output, ch);
	for (const struct ir_block *b = ch->blocks; b; b = b->next)
		has_calls |= b->kind == IR_TOOL_CALL;
	ch->finish = responses_finish(root, has_calls);
	ch->finish_raw = ir_get_str(root, GW_LIT("status"));
	ir_usage_read(&out->usage, root);
	return GW_OK;
}
