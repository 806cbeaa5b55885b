/* Tools, their choice and the format of the answer, read from chat completions bodies. */
#include "core/dialect/openai/openai.h"

static const struct ir_member function_members[] = {
	{ "name", IR_M_STR, offsetof(struct ir_tool, name), NULL },
	{ "description", IR_M_STR, offsetof(struct ir_tool, description), NULL },
	{ "parameters", IR_M_OBJ, offsetof(struct ir_tool, parameters), NULL },
	{ "strict", IR_M_TRI, offsetof(struct ir_tool, strict), NULL },
};
static const struct ir_member custom_members[] = {
	{ "name", IR_M_STR, offsetof(struct ir_tool, name), NULL },
	{ "description", IR_M_STR, offsetof(struct ir_tool, description), NULL },
	{ "format", IR_M_OBJ, offsetof(struct ir_tool, parameters), NULL },
};

/* {"type":"ephemeral","ttl"}: Anthropic's mark, as OpenRouter takes it. */
static bool read_tool_cache(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_tool *t = base;
	struct gw_str ttl = ir_get_str(v, GW_LIT("ttl"));

	if (!yyjson_is_obj(v))
		return ir_read_bad(r, at, "must be an object");
	t->cache = gw_str_eq(ttl, GW_LIT("1h")) ? IR_CACHE_1H : ttl.n ? IR_CACHE_5M : IR_CACHE_DEFAULT;
	return true;
}

static const struct ir_member tool_members[] = {
	{ "type", IR_M_SKIP, 0, NULL },
	{ "function", IR_M_SKIP, 0, NULL },
	{ "custom", IR_M_SKIP, 0, NULL },
	{ "cache_control", IR_M_FN, 0, read_tool_cache },
};

static bool read_tool(struct ir_read *r, const struct ir_at *at, yyjson_val *v)
{
	struct gw_str type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;
	bool is_custom = gw_str_eq(type, GW_LIT("custom"));
	const struct ir_at *in = is_custom ? IR_AT_KEY(at, "custom") : IR_AT_KEY(at, "function");
	yyjson_val *body;
	struct ir_tool *t;
	struct ir_extra *rest = NULL;

	if (!type.n &&
	    !(yyjson_is_obj(v) && yyjson_is_obj(yyjson_obj_get(v, "function")))) /* Mistral's SDK leaves it out */
		return ir_read_bad(r, IR_AT_KEY(at, "type"), "each tool must be an object with a string \"type\"");
	t = ir_tool_add(r->a, r->rq, is_custom ? IR_TOOL_CUSTOM : IR_TOOL_FUNCTION);
	if (!t)
		return ir_read_nomem(r);
	if (!type.n)
		t->form = OPENAI_T_UNTYPED;
	if (type.n && !is_custom && !gw_str_eq(type, GW_LIT("function"))) {
		t->kind = IR_TOOL_HOSTED;
		t->name = type;
		t->hosted_of = GW_D_OPENAI;
		t->hosted = v;
		return true;
	}
	body = yyjson_obj_get(v, is_custom ? "custom" : "function");
	if (!ir_read_members(r, in, body, is_custom ? custom_members : function_members, is_custom ? 3 : 4, t, &rest,
			     GW_D_OPENAI))
		return false;
	if (!t->name.n)
		return ir_read_missing(r, IR_AT_KEY(in, "name"), "a tool must have a name");
	/* unknown members of the inner object: it is kept whole, and what is unknown in it is put back from there */
	if (rest && !ir_read_keep(r, in, body, &t->extra, GW_D_OPENAI))
		return false;
	return ir_read_members(r, at, v, tool_members, 4, t, &t->extra, GW_D_OPENAI);
}

bool openai_read_tools(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base)
{
	struct ir_request *rq = base;
	yyjson_val *v;
	size_t i, max;

	if (!yyjson_is_arr(list))
		return ir_read_bad(r, at, "must be a list of tools");
	if (!yyjson_arr_size(list))
		return ir_read_keep(r, at, list, &rq->extra, GW_D_OPENAI);
	yyjson_arr_foreach(list, i, max, v)
	{
		if (!read_tool(r, IR_AT_ITEM(at, i), v))
			return false;
	}
	return true;
}

bool openai_read_functions(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base)
{
	struct ir_request *rq = base;
	yyjson_val *v;
	size_t i, max;

	if (!yyjson_is_arr(list))
		return ir_read_bad(r, at, "must be a list of functions");
	rq->form |= OPENAI_FUNCTIONS;
	yyjson_arr_foreach(list, i, max, v)
	{
		struct ir_tool *t = ir_tool_add(r->a, rq, IR_TOOL_FUNCTION);

		if (!t)
			return ir_read_nomem(r);
		t->form = OPENAI_T_FUNCTION;
		if (!ir_read_members(r, IR_AT_ITEM(at, i), v, function_members, 4, t, &t->extra, GW_D_OPENAI))
			return false;
	}
	return true;
}

/* ---- tool_choice ---- */

static bool read_choice_word(struct ir_tool_choice *c, struct gw_str word)
{
	static const struct {
		const char *word;
		enum ir_choice_kind kind;
		uint16_t form;
	} words[] = { { "auto", IR_CHOICE_AUTO, 0 },
		      { "none", IR_CHOICE_NONE, 0 },
		      { "required", IR_CHOICE_REQUIRED, 0 },
		      { "any", IR_CHOICE_REQUIRED, OPENAI_C_ANY } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (gw_str_eq(word, gw_str_z(words[i].word))) {
			c->kind = words[i].kind;
			c->form |= words[i].form;
			return true;
		}
	}
	return false;
}

static bool read_named(struct ir_read *r, const struct ir_at *at, yyjson_val *of, const char *key,
		       struct ir_tool_choice *c)
{
	struct gw_str name = ir_get_str(yyjson_obj_get(of, key), GW_LIT("name"));

	if (!name.n)
		return ir_read_bad(r, at,
				   "must name the function: {\"type\":\"function\",\"function\":{\"name\":\"...\"}}");
	return ir_name_add(r->a, &c->names, name) || ir_read_nomem(r);
}

static bool read_allowed(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_tool_choice *c)
{
	yyjson_val *list = yyjson_obj_get(v, "tools"), *tool;
	size_t i, max;

	if (!yyjson_is_arr(list))
		return ir_read_bad(r, IR_AT_KEY(at, "tools"), "must be a list of tools");
	c->kind = IR_CHOICE_ALLOWED;
	c->is_required = gw_str_eq(ir_get_str(v, GW_LIT("mode")), GW_LIT("required"));
	yyjson_arr_foreach(list, i, max, tool)
	{
		bool is_custom = gw_str_eq(ir_get_str(tool, GW_LIT("type")), GW_LIT("custom"));

		if (!read_named(r, IR_AT_ITEM(at, i), tool, is_custom ? "custom" : "function", c))
			return false;
	}
	return true;
}

bool openai_read_tool_choice(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_tool_choice *c = &((struct ir_request *)base)->tool_choice;
	struct gw_str type;

	if (yyjson_is_str(v))
		return read_choice_word(c, gw_json_str(v)) ||
		       ir_read_bad(r, at, "must be auto, none, required or a tool");
	if (!yyjson_is_obj(v))
		return ir_read_bad(r, at, "must be auto, none, required or a tool");
	type = ir_get_str(v, GW_LIT("type"));
	if (gw_str_eq(type, GW_LIT("function")) || gw_str_eq(type, GW_LIT("custom"))) {
		c->kind = IR_CHOICE_NAMED;
		c->form |= gw_str_eq(type, GW_LIT("custom")) ? OPENAI_C_CUSTOM : 0;
		return read_named(r, at, v, c->form & OPENAI_C_CUSTOM ? "custom" : "function", c);
	}
	if (gw_str_eq(type, GW_LIT("allowed_tools")))
		return read_allowed(r, IR_AT_KEY(at, "allowed_tools"), yyjson_obj_get(v, "allowed_tools"), c);
	c->raw = v;
	return true;
}

bool openai_read_function_call(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_tool_choice *c = &((struct ir_request *)base)->tool_choice;
	struct gw_str name;

	c->form |= OPENAI_C_FUNCTION_CALL;
	if (yyjson_is_str(v))
		return read_choice_word(c, gw_json_str(v)) ||
		       ir_read_bad(r, at, "must be auto, none or {\"name\":\"...\"}");
	name = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("name")) : GW_NIL;
	if (!name.n)
		return ir_read_bad(r, at, "must be auto, none or {\"name\":\"...\"}");
	c->kind = IR_CHOICE_NAMED;
	return ir_name_add(r->a, &c->names, name) || ir_read_nomem(r);
}

/* ---- response_format ---- */

static const struct ir_member schema_members[] = {
	{ "name", IR_M_STR, offsetof(struct ir_format, name), NULL },
	{ "description", IR_M_STR, offsetof(struct ir_format, description), NULL },
	{ "schema", IR_M_OBJ, offsetof(struct ir_format, schema), NULL },
	{ "strict", IR_M_TRI, offsetof(struct ir_format, strict), NULL },
};

bool openai_read_format(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_format *f = &((struct ir_request *)base)->format;
	struct gw_str type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;

	if (!type.n)
		return ir_read_bad(r, at, "must be an object with a string \"type\"");
	if (gw_str_eq(type, GW_LIT("json_schema"))) {
		f->kind = IR_FORMAT_SCHEMA;
		return ir_read_members(r, IR_AT_KEY(at, "json_schema"), yyjson_obj_get(v, "json_schema"),
				       schema_members, 4, f, &f->extra, GW_D_OPENAI);
	}
	if (yyjson_obj_size(v) == 1 && gw_str_eq(type, GW_LIT("text"))) {
		f->kind = IR_FORMAT_TEXT;
	} else if (yyjson_obj_size(v) == 1 && gw_str_eq(type, GW_LIT("json_object"))) {
		f->kind = IR_FORMAT_JSON;
	} else {
		f->kind = IR_FORMAT_RAW;
		f->schema = v;
	}
	return true;
}
