/* Messages of chat completions from the IR. Tool results become messages of their own, before what else the turn says. */
#include "core/dialect/openai/openai.h"

#include "core/provider.h"

static bool has(const struct openai_write *x, uint64_t quirk)
{
	return (x->o->quirks & quirk) != 0;
}

static void open_message(struct openai_write *x, const char *role)
{
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "role", gw_str_z(role));
}

/* ---- parts ---- */

static void put_cache(struct openai_write *x, const struct ir_block *b)
{
	bool is_explicit =
	    x->is_home && b->other && yyjson_is_obj(gw_json_get(b->other, GW_LIT("prompt_cache_breakpoint")));

	if (!b->cache)
		return;
	if (x->is_home && b->other) {
		const char *name = is_explicit && !gw_json_get(b->other, GW_LIT("cache_control"))
				       ? "prompt_cache_breakpoint"
				       : "cache_control";

		gw_jw_key(&x->w, gw_str_z(name));
		gw_jw_val(&x->w, gw_json_get(b->other, gw_str_z(name)));
		return;
	}
	if (!has(x, GW_Q_CACHE_CONTROL)) {
		openai_drop(x, "cache_control");
		return;
	}
	gw_jw_key(&x->w, GW_LIT("cache_control"));
	gw_jw_raw(&x->w, b->cache == IR_CACHE_1H   ? GW_LIT("{\"type\":\"ephemeral\",\"ttl\":\"1h\"}")
			 : b->cache == IR_CACHE_5M ? GW_LIT("{\"type\":\"ephemeral\",\"ttl\":\"5m\"}")
						   : GW_LIT("{\"type\":\"ephemeral\"}"));
}

static void put_text_part(struct openai_write *x, const struct ir_block *b, struct gw_str text)
{
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", GW_LIT("text"));
	gw_jw_kstr(&x->w, "text", text);
	put_cache(x, b);
	ir_extra_write(b->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].content[].");
	gw_jw_end_obj(&x->w);
}

/* A data URL or the address. */
static void put_url(struct openai_write *x, const struct ir_media *m, struct gw_str mime)
{
	if (m->from == IR_URL)
		gw_jw_str(&x->w, m->data);
	else
		ir_write_data_url(&x->w, m->mime.n ? m->mime : mime, m->data);
}

static void put_image(struct openai_write *x, const struct ir_block *b)
{
	if (b->media.from != IR_URL && b->media.from != IR_BASE64) {
		openai_refuse(
		    x, "messages",
		    "an image by file id cannot be sent to this provider; send it as a data URL or an address");
		return;
	}
	if (b->media.from == IR_URL && has(x, GW_Q_DATA_IMAGES)) {
		openai_refuse(x, "messages", "this provider takes images as data URLs only, not by address");
		return;
	}
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", GW_LIT("image_url"));
	gw_jw_key(&x->w, GW_LIT("image_url"));
	gw_jw_obj(&x->w);
	gw_jw_key(&x->w, GW_LIT("url"));
	put_url(x, &b->media, GW_LIT("image/png"));
	if (b->media.detail.n)
		gw_jw_kstr(&x->w, "detail", b->media.detail);
	gw_jw_end_obj(&x->w);
	put_cache(x, b);
	ir_extra_write(b->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].content[].");
	gw_jw_end_obj(&x->w);
}

static void put_file(struct openai_write *x, const struct ir_block *b)
{
	const struct ir_media *m = &b->media;

	if (m->from == IR_PLAIN) {
		put_text_part(x, b, m->data);
		return;
	}
	if (m->from == IR_URL) {
		openai_refuse(x, "messages",
			      "a document by address cannot be sent to this provider; send its data in base64");
		return;
	}
	if (m->from == IR_FILE_ID && x->rq->source != GW_D_OPENAI && x->rq->source != GW_D_RESPONSES) {
		openai_refuse(x, "messages",
			      "a document by file id belongs to another provider; send its data in base64");
		return;
	}
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", GW_LIT("file"));
	gw_jw_key(&x->w, GW_LIT("file"));
	gw_jw_obj(&x->w);
	if (m->from == IR_FILE_ID) {
		gw_jw_kstr(&x->w, "file_id", m->data);
	} else {
		gw_jw_kstr(&x->w, "filename", m->name.n ? m->name : GW_LIT("document"));
		gw_jw_key(&x->w, GW_LIT("file_data"));
		put_url(x, m, GW_LIT("application/pdf"));
	}
	gw_jw_end_obj(&x->w);
	put_cache(x, b);
	gw_jw_end_obj(&x->w);
}

static void put_audio(struct openai_write *x, const struct ir_block *b)
{
	struct gw_str head, format = b->media.mime;

	if (b->media.from != IR_BASE64) {
		openai_refuse(x, "messages", "audio must be sent in base64 to this provider");
		return;
	}
	gw_str_cut(b->media.mime, '/', &head, &format);
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", GW_LIT("input_audio"));
	gw_jw_key(&x->w, GW_LIT("input_audio"));
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "data", b->media.data);
	gw_jw_kstr(&x->w, "format", gw_str_eq(format, GW_LIT("mpeg")) || !format.n ? GW_LIT("mp3") : format);
	gw_jw_end_obj(&x->w);
	gw_jw_end_obj(&x->w);
}

static void put_part(struct openai_write *x, const struct ir_block *b)
{
	if (x->is_home && b->kind != IR_TEXT && b->other) {
		gw_jw_val(&x->w, b->other);
		return;
	}
	switch (b->kind) {
	case IR_TEXT:
		if (b->text.n || x->is_home)
			put_text_part(x, b, b->text);
		break;
	case IR_IMAGE:
		put_image(x, b);
		break;
	case IR_FILE:
		put_file(x, b);
		break;
	case IR_AUDIO:
		put_audio(x, b);
		break;
	case IR_VIDEO:
		openai_refuse(x, "messages", "video cannot be sent to this provider");
		break;
	case IR_OTHER:
		openai_drop(x, "messages[].content[] (a part that only its own provider knows)");
		break;
	default: /* refusals, reasoning, calls and results have places of their own */
		break;
	}
}

/* ---- content ---- */

/* The blocks of a turn, one message behind the other. */
struct turn {
	const struct ir_message *first, *end;
};
#define FOR_BLOCKS(t, m, b)                                                                                            \
	for (const struct ir_message *m = (t)->first; m != (t)->end; m = m->next)                                      \
		for (const struct ir_block *b = m->role == (t)->first->role ? m->blocks : NULL; b; b = b->next)

static bool is_content(enum ir_block_kind k)
{
	return k == IR_TEXT || k == IR_IMAGE || k == IR_FILE || k == IR_AUDIO || k == IR_VIDEO || k == IR_OTHER;
}

/* One text goes as a string; more, marked or other content as a list. */
static void put_user_content(struct openai_write *x, const struct turn *t)
{
	const struct ir_block *only = NULL;
	size_t n = 0, others = 0;

	FOR_BLOCKS(t, m, b)
	{
		if (!is_content(b->kind))
			continue;
		n += b->kind != IR_TEXT || b->text.n;
		others += b->kind != IR_TEXT || (b->cache && has(x, GW_Q_CACHE_CONTROL));
		if (b->text.n)
			only = b;
	}
	gw_jw_key(&x->w, GW_LIT("content"));
	if (x->is_home ? !(t->first->form & OPENAI_M_LIST) : n <= 1 && !others) {
		if (x->is_home && t->first->form & OPENAI_M_NULL)
			gw_jw_null(&x->w);
		else
			gw_jw_str(&x->w, only ? only->text : GW_LIT(""));
		if (only && only->cache)
			put_cache(x, only);
		return;
	}
	gw_jw_arr(&x->w);
	FOR_BLOCKS(t, m, b)
	{
		if (is_content(b->kind) || (x->is_home && b->form == OPENAI_B_PART))
			put_part(x, b);
	}
	gw_jw_end_arr(&x->w);
}

static void put_system(struct openai_write *x, const struct ir_message *m)
{
	struct turn t = { m, m->next };
	bool is_list = x->is_home && m->form & OPENAI_M_LIST;

	for (const struct ir_block *b = m->blocks; b && !is_list; b = b->next)
		is_list = b->cache && has(x, GW_Q_CACHE_CONTROL);
	open_message(x, x->is_home && m->form & OPENAI_M_DEVELOPER ? "developer" : "system");
	if (is_list || x->is_home) {
		put_user_content(x, &t);
	} else {
		gw_jw_kstr(&x->w, "content", ir_text_of(x->a, m->blocks, GW_LIT("\n\n")));
		for (const struct ir_block *b = m->blocks; b; b = b->next)
			if (b->cache)
				openai_drop(x, "cache_control");
	}
	if (m->name.p && !has(x, GW_Q_NO_NAMES))
		gw_jw_kstr(&x->w, "name", m->name);
	ir_extra_write(m->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].");
	gw_jw_end_obj(&x->w);
}

/* ---- results ---- */

static bool is_rich(const struct ir_block *result)
{
	for (const struct ir_block *b = result->content; b; b = b->next)
		if (b->kind != IR_TEXT)
			return true;
	return false;
}

static void put_result_text(struct openai_write *x, const struct ir_block *b)
{
	struct gw_str text = ir_text_of(x->a, b->content, GW_LIT("\n"));

	if (b->is_error && text.p)
		text = gw_arena_printf(x->a, "Error: %.*s", GW_FMT(text));
	else if (!text.n && is_rich(b))
		text = GW_LIT("The result is attached in the next message.");
	if (!text.p && !x->err)
		x->err = GW_E_NOMEM;
	gw_jw_str(&x->w, text);
}

static void put_home_result(struct openai_write *x, const struct ir_message *m, const struct ir_block *b)
{
	if (m->form & OPENAI_M_ABSENT)
		return;
	gw_jw_key(&x->w, GW_LIT("content"));
	if (m->form & OPENAI_M_NULL) {
		gw_jw_null(&x->w);
	} else if (m->form & OPENAI_M_LIST) {
		gw_jw_arr(&x->w);
		for (const struct ir_block *p = b->content; p; p = p->next)
			put_part(x, p);
		gw_jw_end_arr(&x->w);
	} else {
		gw_jw_str(&x->w, b->content ? b->content->text : GW_LIT(""));
	}
}

static void put_result(struct openai_write *x, const struct ir_message *m, const struct ir_block *b)
{
	bool is_function = x->is_home && m->form & OPENAI_M_FUNCTION;
	struct gw_str name = b->name;

	open_message(x, is_function ? "function" : "tool");
	if (!is_function)
		gw_jw_kstr(&x->w, "tool_call_id", openai_call_id(x, b->id));
	if (has(x, GW_Q_TOOL_NAME) && !name.p)
		name = ir_call_name(x->rq, b->id);
	if (name.p && (x->is_home || has(x, GW_Q_TOOL_NAME)))
		gw_jw_kstr(&x->w, "name", openai_name(x, name));
	if (x->is_home) {
		put_home_result(x, m, b);
		ir_extra_write(m->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].");
	} else {
		gw_jw_key(&x->w, GW_LIT("content"));
		put_result_text(x, b);
		if (b->cache)
			openai_drop(x, "cache_control");
	}
	gw_jw_end_obj(&x->w);
}

/* Pictures and documents of results: a tool message has texts only, so a user message brings them. */
static void put_attachments(struct openai_write *x, const struct turn *t)
{
	bool is_open = false;

	FOR_BLOCKS(t, m, b)
	{
		if (b->kind != IR_TOOL_RESULT || !is_rich(b) || x->is_home)
			continue;
		if (!is_open) {
			open_message(x, "user");
			gw_jw_key(&x->w, GW_LIT("content"));
			gw_jw_arr(&x->w);
			is_open = true;
		}
		for (const struct ir_block *p = b->content; p; p = p->next)
			if (p->kind != IR_TEXT)
				put_part(x, p);
	}
	if (!is_open)
		return;
	gw_jw_end_arr(&x->w);
	gw_jw_end_obj(&x->w);
}

static void put_user(struct openai_write *x, const struct turn *t)
{
	size_t results = 0, others = 0;

	FOR_BLOCKS(t, m, b)
	{
		if (b->kind == IR_TOOL_RESULT) {
			put_result(x, m, b);
			results++;
		} else {
			others++;
		}
	}
	if (results)
		put_attachments(x, t);
	if (results && !others)
		return;
	open_message(x, "user");
	if (!x->is_home || !(t->first->form & OPENAI_M_ABSENT))
		put_user_content(x, t);
	if (t->first->name.p) {
		if (has(x, GW_Q_NO_NAMES))
			openai_drop(x, "messages[].name");
		else
			gw_jw_kstr(&x->w, "name", t->first->name);
	}
	ir_extra_write(t->first->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].");
	gw_jw_end_obj(&x->w);
}

/* ---- what the model said ---- */

static void put_call(struct openai_write *x, const struct ir_block *b)
{
	struct gw_str args = b->args;

	if (!args.n && !x->is_home && !b->is_custom)
		args = GW_LIT("{}");
	gw_jw_obj(&x->w);
	if (b->id.p)
		gw_jw_kstr(&x->w, "id", openai_call_id(x, b->id));
	if (!x->is_home || gw_json_get(b->other, GW_LIT("type")))
		gw_jw_kstr(&x->w, "type", b->is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_key(&x->w, b->is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "name", openai_name(x, b->name));
	if (args.p)
		gw_jw_kstr(&x->w, b->is_custom ? "input" : "arguments", args);
	gw_jw_end_obj(&x->w);
	if (x->is_home && b->form & OPENAI_B_SIGNED) {
		gw_jw_key(&x->w, GW_LIT("extra_content"));
		gw_jw_val(&x->w, gw_json_get(b->other, GW_LIT("extra_content")));
	} else if (b->signature.n && !x->is_home) {
		openai_drop(x, "messages[].tool_calls[].signature");
	}
	if (x->is_home && gw_json_get(b->other, GW_LIT("index"))) {
		gw_jw_key(&x->w, GW_LIT("index"));
		gw_jw_val(&x->w, gw_json_get(b->other, GW_LIT("index")));
	}
	ir_extra_write(b->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].tool_calls[].");
	gw_jw_end_obj(&x->w);
}

/* Lists of reasoning blocks of one place. */
static void put_home_list(struct openai_write *x, const struct ir_message *m, uint16_t form, const char *name)
{
	bool is_open = false;

	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind != IR_REASONING || b->form != form)
			continue;
		if (!is_open) {
			gw_jw_key(&x->w, gw_str_z(name));
			gw_jw_arr(&x->w);
			is_open = true;
		}
		gw_jw_val(&x->w, b->other);
	}
	if (is_open)
		gw_jw_end_arr(&x->w);
}

/* Thoughts that the gateway gave out for a provider of another dialect: no provider of this one knows the form. */
static bool has_foreign(const struct ir_message *m)
{
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_REASONING && b->form == OPENAI_B_THINKING &&
		    gw_json_get(b->other, GW_LIT("signature_of")))
			return true;
	}
	return false;
}

static void put_home_reasoning(struct openai_write *x, const struct ir_message *m)
{
	if (has_foreign(m)) {
		struct gw_str text = openai_reasoning_text(x->a, m->blocks);

		openai_drop(x, "messages[].thinking_blocks");
		if (!text.n)
			return;
		if (has(x, GW_Q_REASONING_BACK))
			gw_jw_kstr(&x->w, has(x, GW_Q_REASONING_WORD) ? "reasoning" : "reasoning_content", text);
		else
			openai_drop(x, "messages[].reasoning_content");
		return;
	}
	put_home_list(x, m, OPENAI_B_THINKING, "thinking_blocks");
	put_home_list(x, m, OPENAI_B_DETAILS, "reasoning_details");
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_REASONING && (b->form == OPENAI_B_CONTENT || b->form == OPENAI_B_REASONING))
			gw_jw_kstr(&x->w, b->form == OPENAI_B_CONTENT ? "reasoning_content" : "reasoning", b->text);
	}
	if (m->form & OPENAI_M_CONTENT_TOO)
		gw_jw_kstr(&x->w, "reasoning_content", openai_reasoning_text(x->a, m->blocks));
	if (m->form & OPENAI_M_REASONING_TOO)
		gw_jw_kstr(&x->w, "reasoning", openai_reasoning_text(x->a, m->blocks));
}

/* Most providers of this dialect want nothing of what was thought before; those that do take the text. */
static void put_reasoning(struct openai_write *x, const struct turn *t)
{
	struct ir_block *list = NULL;
	struct gw_str text;

	FOR_BLOCKS(t, m, b)
	{
		if (b->kind != IR_REASONING)
			continue;
		if (b->signature.n)
			openai_drop(x, "messages[].thinking.signature");
		struct ir_block *c = b->text.n ? ir_block_add(x->a, &list, IR_TEXT) : NULL;
		if (c)
			c->text = b->text;
	}
	text = ir_text_of(x->a, list, GW_LIT("\n"));
	if (!text.n)
		return;
	if (has(x, GW_Q_REASONING_BACK))
		gw_jw_kstr(&x->w, has(x, GW_Q_REASONING_WORD) ? "reasoning" : "reasoning_content", text);
	else
		openai_drop(x, "messages[].thinking");
}

static void put_said(struct openai_write *x, const struct turn *t)
{
	struct ir_block *texts = NULL;
	bool has_calls = false, has_refusal = false;
	struct gw_str text;

	FOR_BLOCKS(t, m, b)
	{
		struct ir_block *c = b->kind == IR_TEXT && b->text.n ? ir_block_add(x->a, &texts, IR_TEXT) : NULL;

		if (c)
			c->text = b->text;
		has_calls |= b->kind == IR_TOOL_CALL;
		has_refusal |= b->kind == IR_REFUSAL && b->text.n;
		if (b->kind == IR_IMAGE || b->kind == IR_FILE || b->kind == IR_AUDIO || b->kind == IR_OTHER)
			openai_drop(x, "messages[].content[] (of the assistant, not text)");
		if (b->cache)
			openai_drop(x, "cache_control");
	}
	text = ir_text_of(x->a, texts, GW_NIL);
	gw_jw_key(&x->w, GW_LIT("content"));
	if (!text.n && (has_calls || has_refusal))
		gw_jw_null(&x->w);
	else
		gw_jw_str(&x->w, text);
	FOR_BLOCKS(t, m, b)
	{
		if (b->kind == IR_REFUSAL && b->text.n && has_refusal) {
			gw_jw_kstr(&x->w, "refusal", b->text);
			has_refusal = false;
		}
	}
}

static void put_home_said(struct openai_write *x, const struct turn *t)
{
	const struct ir_message *m = t->first;

	put_home_reasoning(x, m);
	if (!(m->form & OPENAI_M_ABSENT))
		put_user_content(x, t);
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_REFUSAL && b->form == OPENAI_B_FIELD)
			gw_jw_kstr(&x->w, "refusal", b->text);
		if (b->kind != IR_TOOL_CALL || b->form != OPENAI_B_FUNCTION)
			continue;
		gw_jw_key(&x->w, GW_LIT("function_call"));
		gw_jw_obj(&x->w);
		gw_jw_kstr(&x->w, "name", b->name);
		if (b->args.p)
			gw_jw_kstr(&x->w, "arguments", b->args);
		gw_jw_end_obj(&x->w);
	}
}

static void put_assistant(struct openai_write *x, const struct turn *t, bool is_last)
{
	bool is_open = false;

	open_message(x, "assistant");
	if (x->is_home) {
		put_home_said(x, t);
	} else {
		put_reasoning(x, t);
		put_said(x, t);
	}
	FOR_BLOCKS(t, m, b)
	{
		if (b->kind != IR_TOOL_CALL || (x->is_home && b->form == OPENAI_B_FUNCTION))
			continue;
		if (!is_open) {
			gw_jw_key(&x->w, GW_LIT("tool_calls"));
			gw_jw_arr(&x->w);
			is_open = true;
		}
		put_call(x, b);
	}
	if (is_open)
		gw_jw_end_arr(&x->w);
	if (t->first->name.p && !has(x, GW_Q_NO_NAMES))
		gw_jw_kstr(&x->w, "name", t->first->name);
	if (is_last && has(x, GW_Q_PREFIX) && !is_open && !x->is_home)
		gw_jw_kbool(&x->w, "prefix", true);
	ir_extra_write(t->first->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].");
	gw_jw_end_obj(&x->w);
}

static void put_turn(struct openai_write *x, const struct turn *t)
{
	if (t->first->role == IR_SYSTEM)
		put_system(x, t->first);
	else if (t->first->role == IR_USER)
		put_user(x, t);
	else if (t->first->blocks || x->is_home)
		put_assistant(x, t, t->end == NULL);
}

void openai_write_messages(struct openai_write *x)
{
	const struct ir_message *m = x->rq->messages;
	bool is_strict = has(x, GW_Q_ALTERNATE);
	struct ir_turn run;

	gw_jw_key(&x->w, GW_LIT("messages"));
	gw_jw_arr(&x->w);
	while (m && !x->err) {
		const struct ir_message *end = m->next;

		/* what the model said in several messages is one, or a result would not follow its call */
		while (!x->is_home && m->role == IR_ASSISTANT && end && end->role == IR_ASSISTANT)
			end = end->next;
		if (!is_strict || m->role == IR_SYSTEM)
			put_turn(x, &(struct turn){ m, end });
		m = end;
	}
	m = x->rq->messages;
	while (is_strict && !x->err && ir_next_turn(&m, &run))
		put_turn(x, &(struct turn){ run.first, run.end });
	if (!x->err)
		gw_jw_end_arr(&x->w);
}
