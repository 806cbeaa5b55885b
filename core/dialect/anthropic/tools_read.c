/* Tool definitions: functions by name and schema; the provider's own tools (web search, code execution, ...) as they came. */
#include "core/dialect/anthropic/anthropic.h"

/* A tool at the end of the list that *tail is; lists of thousands cost no more than short ones. */
static struct ir_tool *add(struct gw_arena *a, struct ir_tool ***tail, enum ir_tool_kind kind)
{
	struct ir_request one = { 0 };
	struct ir_tool *t = ir_tool_add(a, &one, kind);

	**tail = t;
	if (t)
		*tail = &t->next;
	return t;
}

static enum gw_err function_rest(struct anthropic_in *in, const yyjson_val *v, struct ir_tool *t)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)v);
	struct ir_extra **tail = &t->extra;

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);

		if (anthropic_is(key, "name") || anthropic_is(key, "input_schema") || anthropic_is(key, "type"))
			continue;
		if (anthropic_is(key, "description") && yyjson_is_str(val)) {
			t->description = gw_json_str(val);
			continue;
		}
		if (anthropic_is(key, "strict") && yyjson_is_bool(val)) {
			t->strict = yyjson_get_bool(val) ? IR_YES : IR_NO;
			continue;
		}
		if (anthropic_is(key, "cache_control")) {
			t->cache = anthropic_cache_read(val);
			if (t->cache != IR_CACHE_NONE)
				continue;
		}
		if (!ir_extra_add(in->a, tail, GW_D_ANTHROPIC, key, val))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

static enum gw_err tool_read(struct anthropic_in *in, const yyjson_val *v, struct ir_tool ***tail)
{
	const yyjson_val *type = anthropic_get(v, "type"), *schema = anthropic_get(v, "input_schema");
	struct gw_str name = anthropic_str(anthropic_get(v, "name"));
	struct ir_tool *t;

	if (type && anthropic_str(type).n && !anthropic_is(type, "custom")) {
		t = add(in->a, tail, IR_TOOL_HOSTED);
		if (!t)
			return GW_E_NOMEM;
		t->name = gw_json_str(type);
		t->hosted_of = GW_D_ANTHROPIC;
		t->hosted = v;
		return GW_OK;
	}
	if (type && !anthropic_is(type, "custom"))
		return anthropic_bad(in, GW_E_INVALID, "type", "it must be \"custom\" or the type of a server tool");
	if (!name.n)
		return anthropic_bad(in, anthropic_get(v, "name") ? GW_E_INVALID : GW_E_MISSING, "name",
				     "each tool needs a name");
	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)schema))
		return anthropic_bad(in, schema ? GW_E_INVALID : GW_E_MISSING, "input_schema",
				     "it must be a JSON Schema, an object");
	t = add(in->a, tail, IR_TOOL_FUNCTION);
	if (!t)
		return GW_E_NOMEM;
	t->form = type ? ANTHROPIC_T_CUSTOM : 0;
	t->name = name;
	t->parameters = schema;
	return function_rest(in, v, t);
}

enum gw_err anthropic_tools_read(struct anthropic_in *in, const yyjson_val *arr, struct ir_request *rq)
{
	yyjson_arr_iter it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)arr);
	struct ir_tool **tail = &rq->tools;
	enum gw_err e = GW_OK;
	int32_t i = 0;

	*in = (struct anthropic_in){ in->a, NULL, in->param, in->why, "tools", -1, -1, -1, false };
	if (!yyjson_is_arr((yyjson_val *)(uintptr_t)arr))
		return anthropic_bad(in, GW_E_INVALID, "", "it must be a list of tools");
	for (yyjson_val *v; !e && (v = yyjson_arr_iter_next(&it)); i++) {
		in->item = i;
		e = tool_read(in, v, &tail);
	}
	return e;
}
