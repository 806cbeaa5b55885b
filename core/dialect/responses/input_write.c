/* Messages of the IR as input items of responses. */
#include "core/dialect/responses/responses.h"

static void open_item(struct responses_write *x, const char *type)
{
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", gw_str_z(type));
}

static void put_text(struct responses_write *x, const char *type, struct gw_str text)
{
	open_item(x, type);
	gw_jw_kstr(&x->w, "text", text);
	gw_jw_end_obj(&x->w);
}

static void put_url(struct responses_write *x, const char *key, const struct ir_media *m, struct gw_str mime)
{
	gw_jw_key(&x->w, gw_str_z(key));
	if (m->from == IR_URL)
		gw_jw_str(&x->w, m->data);
	else
		ir_write_data_url(&x->w, m->mime.n ? m->mime : mime, m->data);
}

static bool is_our_file(const struct responses_write *x)
{
	return x->rq->source == GW_D_OPENAI || x->rq->source == GW_D_RESPONSES;
}

static void put_image(struct responses_write *x, const struct ir_media *m)
{
	if (m->from == IR_FILE_ID && !is_our_file(x)) {
		responses_refuse(
		    x, "an image by file id belongs to another provider; send it as a data URL or an address");
		return;
	}
	open_item(x, "input_image");
	if (m->from == IR_FILE_ID)
		gw_jw_kstr(&x->w, "file_id", m->data);
	else
		put_url(x, "image_url", m, GW_LIT("image/png"));
	gw_jw_kstr(&x->w, "detail", m->detail.n ? m->detail : GW_LIT("auto"));
	gw_jw_end_obj(&x->w);
}

static void put_file(struct responses_write *x, const struct ir_media *m)
{
	if (m->from == IR_PLAIN) {
		put_text(x, "input_text", m->data);
		return;
	}
	if (m->from == IR_FILE_ID && !is_our_file(x)) {
		responses_refuse(x, "a document by file id belongs to another provider; send its data in base64");
		return;
	}
	open_item(x, "input_file");
	if (m->from == IR_FILE_ID) {
		gw_jw_kstr(&x->w, "file_id", m->data);
	} else if (m->from == IR_URL) {
		gw_jw_kstr(&x->w, "file_url", m->data);
	} else {
		gw_jw_kstr(&x->w, "filename", m->name.n ? m->name : GW_LIT("document"));
		put_url(x, "file_data", m, GW_LIT("application/pdf"));
	}
	gw_jw_end_obj(&x->w);
}

static void put_part(struct responses_write *x, const struct ir_block *b, const char *text_type)
{
	if (b->cache)
		ir_drop(x->rq, "cache_control");
	switch (b->kind) {
	case IR_TEXT:
		if (b->text.n)
			put_text(x, text_type, b->text);
		break;
	case IR_IMAGE:
		put_image(x, &b->media);
		break;
	case IR_FILE:
		put_file(x, &b->media);
		break;
	case IR_AUDIO:
		responses_refuse(x, "audio cannot be sent to this provider; use a model that takes audio");
		break;
	case IR_VIDEO:
		responses_refuse(x, "video cannot be sent to this provider");
		break;
	case IR_OTHER:
		ir_drop(x->rq, "messages[].content[] (a part that only its own provider knows)");
		break;
	default:
		break;
	}
}

static void put_call(struct responses_write *x, const struct ir_block *b)
{
	open_item(x, b->is_custom ? "custom_tool_call" : "function_call");
	gw_jw_kstr(&x->w, "call_id", b->id);
	gw_jw_kstr(&x->w, "name", responses_name(x, b->name));
	gw_jw_kstr(&x->w, b->is_custom ? "input" : "arguments", b->args.n || b->is_custom ? b->args : GW_LIT("{}"));
	if (b->signature.n && b->signature_of != GW_D_RESPONSES)
		ir_drop(x->rq, "messages[].tool_calls[].signature");
	gw_jw_end_obj(&x->w);
}

static bool is_plain(const struct ir_block *b)
{
	for (b = b->content; b; b = b->next)
		if (b->kind != IR_TEXT)
			return false;
	return true;
}

static bool is_custom_call(const struct ir_request *rq, struct gw_str id)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next)
		for (const struct ir_block *b = m->blocks; b; b = b->next)
			if (b->kind == IR_TOOL_CALL && gw_str_eq(b->id, id))
				return b->is_custom;
	return false;
}

static void put_result(struct responses_write *x, const struct ir_block *b)
{
	struct gw_str text = ir_text_of(x->a, b->content, GW_LIT("\n"));

	open_item(x, is_custom_call(x->rq, b->id) ? "custom_tool_call_output" : "function_call_output");
	gw_jw_kstr(&x->w, "call_id", b->id);
	gw_jw_key(&x->w, GW_LIT("output"));
	if (is_plain(b)) {
		if (b->is_error)
			text = gw_arena_printf(x->a, "Error: %.*s", GW_FMT(text));
		gw_jw_str(&x->w, text);
	} else {
		gw_jw_arr(&x->w);
		for (const struct ir_block *p = b->content; p; p = p->next)
			put_part(x, p, "input_text");
		gw_jw_end_arr(&x->w);
	}
	if (b->cache)
		ir_drop(x->rq, "cache_control");
	gw_jw_end_obj(&x->w);
}

static void put_reasoning(struct responses_write *x, const struct ir_block *b)
{
	if (b->signature_of != GW_D_RESPONSES || !b->signature.n) {
		ir_drop(x->rq, b->signature.n ? "messages[].thinking.signature" : "messages[].thinking");
		return;
	}
	open_item(x, "reasoning");
	gw_jw_key(&x->w, GW_LIT("summary"));
	gw_jw_arr(&x->w);
	if (b->text.n)
		put_text(x, "summary_text", b->text);
	gw_jw_end_arr(&x->w);
	gw_jw_kstr(&x->w, "encrypted_content", b->signature);
	gw_jw_end_obj(&x->w);
}

static bool is_said(const struct ir_block *b, enum ir_role role)
{
	if (b->kind == IR_TEXT || b->kind == IR_REFUSAL)
		return b->text.n > 0;
	return role != IR_ASSISTANT && b->kind != IR_TOOL_CALL && b->kind != IR_TOOL_RESULT && b->kind != IR_REASONING;
}

/* A run of parts as one message; returns behind it. */
static const struct ir_block *put_parts(struct responses_write *x, const struct ir_message *m, const struct ir_block *b)
{
	bool is_assistant = m->role == IR_ASSISTANT;

	open_item(x, "message");
	gw_jw_kstr(&x->w, "role",
		   is_assistant           ? GW_LIT("assistant")
		   : m->role == IR_SYSTEM ? GW_LIT("system")
					  : GW_LIT("user"));
	gw_jw_key(&x->w, GW_LIT("content"));
	gw_jw_arr(&x->w);
	for (; b && is_said(b, m->role); b = b->next) {
		if (b->kind == IR_REFUSAL) {
			open_item(x, "refusal");
			gw_jw_kstr(&x->w, "refusal", b->text);
			gw_jw_end_obj(&x->w);
		} else {
			put_part(x, b, is_assistant ? "output_text" : "input_text");
		}
	}
	gw_jw_end_arr(&x->w);
	gw_jw_end_obj(&x->w);
	return b;
}

static void put_message(struct responses_write *x, const struct ir_message *m)
{
	const struct ir_block *b = m->blocks;

	if (m->name.p)
		ir_drop(x->rq, "messages[].name");
	for (const struct ir_extra *e = m->extra; e; e = e->next)
		if (e->of != GW_D_NONE && !yyjson_is_null((yyjson_val *)(uintptr_t)e->val))
			ir_drop_name(x->rq, gw_arena_printf(x->a, "messages[].%.*s", GW_FMT(e->key)));
	while (b && !x->err) {
		if (is_said(b, m->role)) {
			b = put_parts(x, m, b);
			continue;
		}
		if (b->kind == IR_TOOL_CALL)
			put_call(x, b);
		else if (b->kind == IR_TOOL_RESULT)
			put_result(x, b);
		else if (b->kind == IR_REASONING)
			put_reasoning(x, b);
		else if (b->kind == IR_OTHER && b->other_of == GW_D_RESPONSES)
			gw_jw_val(&x->w, b->other);
		else if (b->kind != IR_TEXT && b->kind != IR_REFUSAL)
			ir_drop(x->rq, "messages[].content[] (of the assistant, not text)");
		b = b->next;
	}
}

/* System messages at the beginning are the instructions; later ones stand where they stood. */
void responses_write_input(struct responses_write *x)
{
	const struct ir_message *m = x->rq->messages;
	struct ir_block *texts = NULL;

	for (; m && m->role == IR_SYSTEM; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			struct ir_block *c = b->kind == IR_TEXT ? ir_block_add(x->a, &texts, IR_TEXT) : NULL;

			if (c)
				c->text = b->text;
			if (b->cache)
				ir_drop(x->rq, "cache_control");
		}
	}
	if (texts)
		gw_jw_kstr(&x->w, "instructions", ir_text_of(x->a, texts, GW_LIT("\n\n")));
	gw_jw_key(&x->w, GW_LIT("input"));
	gw_jw_arr(&x->w);
	for (; m && !x->err; m = m->next)
		put_message(x, m);
	if (!x->err)
		gw_jw_end_arr(&x->w);
}
