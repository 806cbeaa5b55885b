/* Messages of chat completions from the IR. Tool results become messages of their own, before what else the turn says. */
#include "core/dialect/openai/write.h"

#define has openai_has

void openai_open_message(struct openai_write *x, const char *role)
{
	x->is_after_result = false;
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
	bool is_refused = b->kind == IR_IMAGE && b->media.from == IR_URL && has(x, GW_Q_DATA_IMAGES);

	if (x->is_home && b->kind != IR_TEXT && b->other && !is_refused) {
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

/* Members of one message that are not this gateway's own words: nulls say nothing, the others are noted where the provider refuses them. */
static bool is_taken(const struct openai_write *x, struct gw_str key)
{
	static const char *const names[] = { "audio", "refusal", "function_call", "prefix" };

	if (!has(x, GW_Q_STRICT_FIELDS | GW_Q_PLAIN_HISTORY))
		return true;
	for (size_t i = has(x, GW_Q_STRICT_FIELDS) ? 3 : 0; i < 4; i++)
		if (gw_str_eq(key, gw_str_z(names[i])))
			return true;
	return false;
}

static void put_extras(struct openai_write *x, const struct ir_message *m)
{
	for (const struct ir_extra *e = m->extra; e; e = e->next) {
		if (e->of != GW_D_OPENAI || is_taken(x, e->key)) {
			ir_extra_write(&(struct ir_extra){ .of = e->of, .key = e->key, .val = e->val }, GW_D_OPENAI,
				       &x->w, x->rq, "messages[].");
			continue;
		}
		if (!yyjson_is_null((yyjson_val *)(uintptr_t)e->val))
			ir_drop_name(x->rq, gw_arena_printf(x->a, "messages[].%.*s", GW_FMT(e->key)));
	}
}

void openai_write_rest(struct openai_write *x, const struct openai_turn *t)
{
	struct gw_str name = t->first->name;

	for (const struct ir_message *m = t->first->next; m && m != t->end; m = m->next)
		if (m->role == t->first->role && m->name.p && !gw_str_eq(m->name, name))
			name = GW_NIL; /* several spoke: the turn is nobody's alone */
	if (t->first->name.p && (!name.p || has(x, GW_Q_NO_NAMES)))
		openai_drop(x, "messages[].name");
	else if (name.p)
		gw_jw_kstr(&x->w, "name", name);
	put_extras(x, t->first);
}

/* Some want the assistant to have spoken between a result and what the user says. */
static void open_user(struct openai_write *x)
{
	if (x->is_after_result && has(x, GW_Q_BRIDGE)) {
		openai_open_message(x, "assistant");
		gw_jw_kstr(&x->w, "content", GW_LIT("."));
		gw_jw_end_obj(&x->w);
	}
	openai_open_message(x, "user");
}

static bool is_content(enum ir_block_kind k)
{
	return k == IR_TEXT || k == IR_IMAGE || k == IR_FILE || k == IR_AUDIO || k == IR_VIDEO || k == IR_OTHER;
}

/* One text goes as a string; more, marked or other content as a list. */
void openai_write_content(struct openai_write *x, const struct openai_turn *t)
{
	const struct ir_block *only = NULL;
	size_t n = 0, others = 0;

	OPENAI_BLOCKS(t, m, b)
	{
		if (!is_content(b->kind))
			continue;
		n += b->kind != IR_TEXT || b->text.n;
		others += b->kind != IR_TEXT || (b->cache && has(x, GW_Q_CACHE_CONTROL));
		if (b->text.n)
			only = b;
	}
	gw_jw_key(&x->w, GW_LIT("content"));
	if (t->is_kept ? !(t->first->form & OPENAI_M_LIST) : n <= 1 && !others) {
		if (t->is_kept && t->first->form & OPENAI_M_NULL)
			gw_jw_null(&x->w);
		else
			gw_jw_str(&x->w, only ? only->text : GW_LIT(""));
		if (only && only->cache)
			put_cache(x, only);
		return;
	}
	gw_jw_arr(&x->w);
	OPENAI_BLOCKS(t, m, b)
	{
		if (is_content(b->kind) || (x->is_home && b->form == OPENAI_B_PART))
			put_part(x, b);
	}
	gw_jw_end_arr(&x->w);
}

static void put_system(struct openai_write *x, const struct ir_message *m)
{
	struct openai_turn t = { m, m->next, x->is_home };
	bool is_developer = x->is_home && m->form & OPENAI_M_DEVELOPER && !has(x, GW_Q_NO_DEVELOPER);
	bool is_list = x->is_home && m->form & OPENAI_M_LIST;

	for (const struct ir_block *b = m->blocks; b && !is_list; b = b->next)
		is_list = b->cache && has(x, GW_Q_CACHE_CONTROL);
	openai_open_message(x, is_developer ? "developer" : "system");
	if (is_list || x->is_home) {
		openai_write_content(x, &t);
	} else {
		gw_jw_kstr(&x->w, "content", ir_text_of(x->a, m->blocks, GW_LIT("\n\n")));
		for (const struct ir_block *b = m->blocks; b; b = b->next)
			if (b->cache)
				openai_drop(x, "cache_control");
	}
	openai_write_rest(x, &t);
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

	openai_open_message(x, is_function ? "function" : "tool");
	x->is_after_result = true;
	if (!is_function)
		gw_jw_kstr(&x->w, "tool_call_id", openai_call_id(x, b->id));
	if (has(x, GW_Q_TOOL_NAME) && !name.p)
		name = ir_call_name(x->rq, b->id);
	if (name.p && (x->is_home || has(x, GW_Q_TOOL_NAME)))
		gw_jw_kstr(&x->w, "name", openai_name(x, name));
	if (x->is_home) {
		put_home_result(x, m, b);
		put_extras(x, m);
	} else {
		gw_jw_key(&x->w, GW_LIT("content"));
		put_result_text(x, b);
		if (b->cache)
			openai_drop(x, "cache_control");
	}
	gw_jw_end_obj(&x->w);
}

/* Pictures and documents of results: a tool message has texts only, so a user message brings them. */
static void put_attachments(struct openai_write *x, const struct openai_turn *t)
{
	bool is_open = false;

	OPENAI_BLOCKS(t, m, b)
	{
		if (b->kind != IR_TOOL_RESULT || !is_rich(b) || x->is_home)
			continue;
		if (!is_open) {
			open_user(x);
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

static void put_user(struct openai_write *x, const struct openai_turn *t)
{
	size_t results = 0, others = 0;

	OPENAI_BLOCKS(t, m, b)
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
	open_user(x);
	if (!t->is_kept || !(t->first->form & OPENAI_M_ABSENT))
		openai_write_content(x, t);
	openai_write_rest(x, t);
	gw_jw_end_obj(&x->w);
}

static void put_turn(struct openai_write *x, const struct ir_message *first, const struct ir_message *end)
{
	struct openai_turn t = { first, end, x->is_home };

	for (const struct ir_message *m = first->next; m && m != end; m = m->next)
		t.is_kept &= m->role != first->role;
	if (first->role == IR_SYSTEM)
		put_system(x, first);
	else if (first->role == IR_USER)
		put_user(x, &t);
	else if (first->blocks || x->is_home)
		openai_write_said(x, &t, end == NULL);
}

/* Where the tool loop under way begins: the last thing that the user himself said. */
static const struct ir_message *last_said_by_user(const struct ir_request *rq)
{
	const struct ir_message *last = NULL;

	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->role == IR_USER ? m->blocks : NULL; b; b = b->next)
			if (b->kind != IR_TOOL_RESULT)
				last = m;
	}
	return last;
}

void openai_write_messages(struct openai_write *x)
{
	const struct ir_message *m = x->rq->messages, *last = last_said_by_user(x->rq);
	bool is_strict = has(x, GW_Q_ALTERNATE);
	struct ir_turn run;

	x->is_in_loop = last == NULL;
	gw_jw_key(&x->w, GW_LIT("messages"));
	gw_jw_arr(&x->w);
	while (m && !x->err) {
		const struct ir_message *end = m->next;

		/* what the model said in several messages is one, or a result would not follow its call */
		while (!x->is_home && m->role == IR_ASSISTANT && end && end->role == IR_ASSISTANT)
			end = end->next;
		x->is_in_loop |= m == last;
		if (!is_strict || m->role == IR_SYSTEM)
			put_turn(x, m, end);
		m = end;
	}
	m = x->rq->messages;
	while (is_strict && !x->err && ir_next_turn(&m, &run))
		put_turn(x, run.first, run.end);
	if (!x->err)
		gw_jw_end_arr(&x->w);
}
