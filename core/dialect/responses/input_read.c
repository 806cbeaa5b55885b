/* Input items and tools of responses into the IR. What the model said comes in items of its own (reasoning, message, calls); neighbours become one
 * message, as everybody else has it. */
#include "core/dialect/responses/responses.h"

static void read_media(struct ir_media *m, struct gw_str url)
{
	m->from = ir_data_url(url, &m->mime, &m->data) ? IR_BASE64 : IR_URL;
	if (m->from == IR_URL)
		m->data = url;
}

static bool read_image(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block *b)
{
	struct gw_str url = ir_get_str(v, GW_LIT("image_url")), id = ir_get_str(v, GW_LIT("file_id"));

	if (!url.n && !id.n)
		return ir_read_bad(r, at, "an input_image must have \"image_url\" or \"file_id\"");
	b->media.detail = ir_get_str(v, GW_LIT("detail"));
	if (url.n)
		read_media(&b->media, url);
	else
		b->media = (struct ir_media){ .from = IR_FILE_ID, .data = id };
	return true;
}

static bool read_file(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block *b)
{
	struct gw_str data = ir_get_str(v, GW_LIT("file_data")), id = ir_get_str(v, GW_LIT("file_id")),
		      url = ir_get_str(v, GW_LIT("file_url"));

	if (!data.n && !id.n && !url.n)
		return ir_read_bad(r, at, "an input_file must have \"file_data\", \"file_url\" or \"file_id\"");
	b->media.name = ir_get_str(v, GW_LIT("filename"));
	b->media.from = data.n ? IR_BASE64 : url.n ? IR_URL : IR_FILE_ID;
	b->media.data = data.n ? data : url.n ? url : id;
	if (data.n)
		ir_data_url(data, &b->media.mime, &b->media.data);
	return true;
}

static bool read_part(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block **list)
{
	struct gw_str type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;
	bool is_text = gw_str_eq(type, GW_LIT("input_text")) || gw_str_eq(type, GW_LIT("output_text")) ||
		       gw_str_eq(type, GW_LIT("text")),
	     is_refusal = gw_str_eq(type, GW_LIT("refusal")), is_image = gw_str_eq(type, GW_LIT("input_image")),
	     is_file = gw_str_eq(type, GW_LIT("input_file"));
	struct ir_block *b;

	if (!type.n)
		return ir_read_bad(r, IR_AT_KEY(at, "type"),
				   "each part of a content must be an object with a string \"type\"");
	b = ir_block_add(r->a, list,
			 is_text      ? IR_TEXT
			 : is_refusal ? IR_REFUSAL
			 : is_image   ? IR_IMAGE
			 : is_file    ? IR_FILE
				      : IR_OTHER);
	if (!b)
		return ir_read_nomem(r);
	if (is_text)
		return ir_read_str(r, IR_AT_KEY(at, "text"), yyjson_obj_get(v, "text"), &b->text);
	if (is_refusal)
		return ir_read_str(r, IR_AT_KEY(at, "refusal"), yyjson_obj_get(v, "refusal"), &b->text);
	if (is_image)
		return read_image(r, at, v, b);
	if (is_file)
		return read_file(r, at, v, b);
	b->other_of = GW_D_RESPONSES;
	b->other = v;
	return true;
}

static bool read_content(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block **list)
{
	yyjson_val *part;
	struct ir_block *b;
	size_t i, max;

	if (yyjson_is_str(v)) {
		b = ir_block_add(r->a, list, IR_TEXT);
		if (!b)
			return ir_read_nomem(r);
		b->text = gw_json_str(v);
		return true;
	}
	if (!yyjson_is_arr(v))
		return ir_read_bad(r, at, "must be a string or a list of parts");
	yyjson_arr_foreach(v, i, max, part)
	{
		if (!read_part(r, IR_AT_ITEM(at, i), part, list))
			return false;
	}
	return true;
}

/* The message that this item belongs to: what the model said is gathered. */
static struct ir_message *message_of(struct ir_read *r, enum ir_role role)
{
	struct ir_message *last = r->rq->last_message;

	if (role == IR_ASSISTANT && last && last->role == role)
		return last;
	return ir_message_add(r->a, r->rq, role);
}

static bool read_message(struct ir_read *r, const struct ir_at *at, yyjson_val *v)
{
	struct gw_str role = ir_get_str(v, GW_LIT("role"));
	bool is_user = gw_str_eq(role, GW_LIT("user")), is_assistant = gw_str_eq(role, GW_LIT("assistant"));
	struct ir_message *m;

	if (!is_user && !is_assistant && !gw_str_eq(role, GW_LIT("system")) && !gw_str_eq(role, GW_LIT("developer")))
		return ir_read_bad(r, IR_AT_KEY(at, "role"), "must be user, assistant, system or developer");
	m = message_of(r, is_user ? IR_USER : is_assistant ? IR_ASSISTANT : IR_SYSTEM);
	if (!m)
		return ir_read_nomem(r);
	return read_content(r, IR_AT_KEY(at, "content"), yyjson_obj_get(v, "content"), &m->blocks);
}

static struct ir_block *add(struct ir_read *r, enum ir_role role, enum ir_block_kind kind)
{
	struct ir_message *m = message_of(r, role);
	struct ir_block *b = m ? ir_block_add(r->a, &m->blocks, kind) : NULL;

	if (!b)
		ir_read_nomem(r);
	return b;
}

static bool read_call(struct ir_read *r, const struct ir_at *at, yyjson_val *v, bool is_custom)
{
	struct ir_block *b = add(r, IR_ASSISTANT, IR_TOOL_CALL);
	const char *input = is_custom ? "input" : "arguments";
	struct ir_at in = { .up = at, .key = gw_str_z(input) };

	if (!b)
		return false;
	b->is_custom = is_custom;
	return ir_read_str(r, IR_AT_KEY(at, "call_id"), yyjson_obj_get(v, "call_id"), &b->id) &&
	       ir_read_str(r, IR_AT_KEY(at, "name"), yyjson_obj_get(v, "name"), &b->name) &&
	       ir_read_str(r, &in, yyjson_obj_get(v, input), &b->args);
}

static bool read_result(struct ir_read *r, const struct ir_at *at, yyjson_val *v, bool is_custom)
{
	struct ir_block *b = add(r, IR_USER, IR_TOOL_RESULT);

	if (!b)
		return false;
	b->is_custom = is_custom;
	if (!ir_read_str(r, IR_AT_KEY(at, "call_id"), yyjson_obj_get(v, "call_id"), &b->id))
		return false;
	b->name = ir_call_name(r->rq, b->id);
	return read_content(r, IR_AT_KEY(at, "output"), yyjson_obj_get(v, "output"), &b->content);
}

static bool add_texts(struct ir_read *r, yyjson_val *list, struct ir_block **out)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct ir_block *b = ir_block_add(r->a, out, IR_TEXT);

		if (!b)
			return ir_read_nomem(r);
		b->text = ir_get_str(v, GW_LIT("text"));
	}
	return true;
}

static bool read_reasoning(struct ir_read *r, yyjson_val *v)
{
	struct ir_block *b = add(r, IR_ASSISTANT, IR_REASONING), *texts = NULL;

	if (!b || !add_texts(r, yyjson_obj_get(v, "summary"), &texts) ||
	    (!texts && !add_texts(r, yyjson_obj_get(v, "content"), &texts)))
		return false;
	b->text = ir_text_of(r->a, texts, GW_LIT("\n\n"));
	b->signature = ir_get_str(v, GW_LIT("encrypted_content"));
	if (b->signature.n)
		b->signature = ir_mark_take(r->a, b->signature, GW_D_RESPONSES, false, &b->signature_of);
	return (b->text.p && !r->a->is_full) || ir_read_nomem(r);
}

static bool read_item(struct ir_read *r, const struct ir_at *at, yyjson_val *v)
{
	struct gw_str type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;
	struct ir_block *b;

	if (!yyjson_is_obj(v))
		return ir_read_bad(r, at, "each item must be an object");
	if (!type.n || gw_str_eq(type, GW_LIT("message")))
		return read_message(r, at, v);
	if (gw_str_eq(type, GW_LIT("function_call")))
		return read_call(r, at, v, false);
	if (gw_str_eq(type, GW_LIT("custom_tool_call")))
		return read_call(r, at, v, true);
	if (gw_str_eq(type, GW_LIT("function_call_output")))
		return read_result(r, at, v, false);
	if (gw_str_eq(type, GW_LIT("custom_tool_call_output")))
		return read_result(r, at, v, true);
	if (gw_str_eq(type, GW_LIT("reasoning")))
		return read_reasoning(r, v);
	if (gw_str_eq(type, GW_LIT("item_reference")))
		return ir_read_bad(r, at, "the model is at a provider that keeps no items; send the item itself");
	b = add(r, IR_ASSISTANT, IR_OTHER);
	if (!b)
		return false;
	b->other_of = GW_D_RESPONSES;
	b->other = v;
	return true;
}

bool responses_read_input(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_message *m;
	yyjson_val *item;
	size_t i, max;

	(void)base;
	if (yyjson_is_str(v)) {
		m = ir_message_add(r->a, r->rq, IR_USER);
		return m ? read_content(r, at, v, &m->blocks) : ir_read_nomem(r);
	}
	if (!yyjson_is_arr(v))
		return ir_read_bad(r, at, "must be a string or a list of items");
	yyjson_arr_foreach(v, i, max, item)
	{
		if (!read_item(r, IR_AT_ITEM(at, i), item))
			return false;
	}
	return true;
}

/* ---- tools ---- */

static const struct ir_member tool_members[] = {
	{ "type", IR_M_SKIP, 0, NULL },
	{ "name", IR_M_STR, offsetof(struct ir_tool, name), NULL },
	{ "description", IR_M_STR, offsetof(struct ir_tool, description), NULL },
	{ "parameters", IR_M_OBJ, offsetof(struct ir_tool, parameters), NULL },
	{ "format", IR_M_OBJ, offsetof(struct ir_tool, parameters), NULL },
	{ "strict", IR_M_TRI, offsetof(struct ir_tool, strict), NULL },
};

static bool read_tool(struct ir_read *r, const struct ir_at *at, yyjson_val *v)
{
	struct gw_str type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;
	bool is_custom = gw_str_eq(type, GW_LIT("custom"));
	struct ir_tool *t;

	if (!type.n)
		return ir_read_bad(r, IR_AT_KEY(at, "type"), "each tool must be an object with a string \"type\"");
	t = ir_tool_add(r->a, r->rq, is_custom ? IR_TOOL_CUSTOM : IR_TOOL_FUNCTION);
	if (!t)
		return ir_read_nomem(r);
	if (!is_custom && !gw_str_eq(type, GW_LIT("function"))) {
		t->kind = IR_TOOL_HOSTED;
		t->name = type;
		t->hosted_of = GW_D_RESPONSES;
		t->hosted = v;
		return true;
	}
	if (!ir_read_members(r, at, v, tool_members, 6, t, &t->extra, GW_D_RESPONSES))
		return false;
	return t->name.n || ir_read_missing(r, IR_AT_KEY(at, "name"), "a tool must have a name");
}

bool responses_read_tools(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base)
{
	yyjson_val *v;
	size_t i, max;

	(void)base;
	if (!yyjson_is_arr(list))
		return ir_read_bad(r, at, "must be a list of tools");
	yyjson_arr_foreach(list, i, max, v)
	{
		if (!read_tool(r, IR_AT_ITEM(at, i), v))
			return false;
	}
	return true;
}

bool responses_read_tool_choice(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_tool_choice *c = &((struct ir_request *)base)->tool_choice;
	struct gw_str word = yyjson_is_str(v) ? gw_json_str(v) : GW_NIL,
		      type = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("type")) : GW_NIL;
	yyjson_val *tool;
	size_t i, max;

	if (gw_str_eq(word, GW_LIT("auto")) || gw_str_eq(word, GW_LIT("none")) || gw_str_eq(word, GW_LIT("required"))) {
		c->kind = *word.p == 'a' ? IR_CHOICE_AUTO : *word.p == 'n' ? IR_CHOICE_NONE : IR_CHOICE_REQUIRED;
		return true;
	}
	if (!type.n)
		return ir_read_bad(r, at, "must be auto, none, required or a tool");
	if (gw_str_eq(type, GW_LIT("function")) || gw_str_eq(type, GW_LIT("custom"))) {
		c->kind = IR_CHOICE_NAMED;
		if (!ir_get_str(v, GW_LIT("name")).n)
			return ir_read_bad(r, IR_AT_KEY(at, "name"), "must name the function");
		return ir_name_add(r->a, &c->names, ir_get_str(v, GW_LIT("name"))) || ir_read_nomem(r);
	}
	if (!gw_str_eq(type, GW_LIT("allowed_tools"))) {
		c->raw = v;
		return true;
	}
	c->kind = IR_CHOICE_ALLOWED;
	c->is_required = gw_str_eq(ir_get_str(v, GW_LIT("mode")), GW_LIT("required"));
	yyjson_arr_foreach(yyjson_obj_get(v, "tools"), i, max, tool)
	{
		if (ir_get_str(tool, GW_LIT("name")).n &&
		    !ir_name_add(r->a, &c->names, ir_get_str(tool, GW_LIT("name"))))
			return ir_read_nomem(r);
	}
	return true;
}
