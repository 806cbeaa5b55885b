/* Messages as contents. Gemini wants the roles to alternate and the user to begin; results of parallel calls together, in the order of the
 * calls, under the name of the function (which OpenAI's tool messages do not tell); no empty parts. A request that came in this dialect
 * is written as it came. */
#include "core/dialect/gemini/gemini.h"
#include "core/provider.h"

enum { MAX_LOOK_BACK = 2000 };

enum gw_err gemini_say(struct gemini_writer *w, const char *param, const char *why)
{
	*w->param = gw_str_z(param);
	*w->why = gw_str_z(why);
	return GW_E_INVALID;
}

/* Extras of a block: plain ones stand in the part, "functionCall.x" in the object inside. */
static void put_extras(struct gemini_writer *w, const struct ir_block *b, const char *prefix)
{
	struct gw_str pre = gw_str_z(prefix);

	for (const struct ir_extra *x = b->extra; x; x = x->next) {
		bool is_inner = gw_str_has_prefix(x->key, GW_LIT("functionCall.")) ||
				gw_str_has_prefix(x->key, GW_LIT("functionResponse."));

		if (x->of != GW_D_GEMINI) {
			if (!pre.n)
				ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "messages[].content[].%.*s", GW_FMT(x->key)));
			continue;
		}
		if (pre.n ? !gw_str_has_prefix(x->key, pre) : is_inner)
			continue;
		gw_jw_key(&w->w, gw_str_skip(x->key, pre.n));
		gw_jw_val(&w->w, x->val);
	}
}

static uint16_t form_of(const struct gemini_writer *w, const struct ir_block *b)
{
	return w->is_own ? b->form : 0;
}

/* Members of a message that only its own dialect knows. */
static void note_extras(struct gemini_writer *w, const struct ir_extra *x)
{
	for (; x; x = x->next)
		ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "messages[].%.*s", GW_FMT(x->key)));
}

/* ---- media ---- */

/* What the first bytes of base64 data say, for data that came without a type. */
static struct gw_str sniff(const struct ir_block *b)
{
	static const struct {
		struct gw_str head, mime;
	} known[] = { { { "iVBOR", 5 }, { "image/png", 9 } },
		      { { "/9j/", 4 }, { "image/jpeg", 10 } },
		      { { "R0lGOD", 6 }, { "image/gif", 9 } },
		      { { "UklGR", 5 }, { "image/webp", 10 } },
		      { { "JVBER", 5 }, { "application/pdf", 15 } } };

	if (b->media.from == IR_BASE64) {
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
			if (gw_str_has_prefix(b->media.data, known[i].head))
				return known[i].mime;
		}
	}
	switch (b->kind) {
	case IR_IMAGE:
		return GW_LIT("image/jpeg");
	case IR_AUDIO:
		return GW_LIT("audio/wav");
	case IR_VIDEO:
		return GW_LIT("video/mp4");
	default:
		return b->media.from == IR_PLAIN ? GW_LIT("text/plain") : GW_LIT("application/pdf");
	}
}

/* Addresses that Gemini fetches by itself everywhere. */
static bool is_own_address(struct gw_str url)
{
	static const struct gw_str own[] = { { "gs://", 5 },
					     { "https://generativelanguage.googleapis.com/", 42 },
					     { "https://www.youtube.com/", 24 },
					     { "https://youtube.com/", 20 },
					     { "https://youtu.be/", 17 } };

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		if (gw_str_has_prefix(url, own[i]))
			return true;
	}
	return false;
}

static void put_inline(struct gemini_writer *w, struct gw_str mime, struct gw_str data, const struct ir_block *b)
{
	uint32_t form = (uint32_t)(form_of(w, b) >> GEMINI_MEDIA_SHIFT);

	gemini_key(&w->w, &gemini_part_fields, GP_INLINE, form_of(w, b));
	gw_jw_obj(&w->w);
	if (mime.n) {
		gemini_key(&w->w, &gemini_media_fields, GI_MIME, form);
		gw_jw_str(&w->w, mime);
	}
	gemini_key(&w->w, &gemini_media_fields, GI_DATA, form);
	gw_jw_str(&w->w, data);
	if (w->is_own && b->media.name.p) {
		gemini_key(&w->w, &gemini_media_fields, GI_NAME, form);
		gw_jw_str(&w->w, b->media.name);
	}
	gw_jw_end_obj(&w->w);
}

static void put_file(struct gemini_writer *w, const struct ir_block *b)
{
	uint32_t form = (uint32_t)(form_of(w, b) >> GEMINI_MEDIA_SHIFT);
	struct gw_str mime = b->media.mime.n || w->is_own ? b->media.mime : sniff(b);

	gemini_key(&w->w, &gemini_part_fields, GP_FILE, form_of(w, b));
	gw_jw_obj(&w->w);
	if (mime.n) {
		gemini_key(&w->w, &gemini_media_fields, GI_MIME, form);
		gw_jw_str(&w->w, mime);
	}
	gemini_key(&w->w, &gemini_media_fields, GI_URI, form);
	gw_jw_str(&w->w, b->media.data);
	if (w->is_own && b->media.name.p) {
		gemini_key(&w->w, &gemini_media_fields, GI_NAME, form);
		gw_jw_str(&w->w, b->media.name);
	}
	gw_jw_end_obj(&w->w);
}

enum gw_err gemini_media_write(struct gemini_writer *w, const struct ir_block *b)
{
	struct gw_str mime, data;

	if (b->media.detail.n && !gw_str_eq(b->media.detail, GW_LIT("auto")))
		ir_drop(w->rq, "messages[].content[].image_url.detail");
	switch (b->media.from) {
	case IR_BASE64:
		put_inline(w, b->media.mime.n || w->is_own ? b->media.mime : sniff(b), b->media.data, b);
		return GW_OK;
	case IR_PLAIN:
		gw_jw_kstr(&w->w, "text", b->media.data);
		return GW_OK;
	case IR_URL:
		if (ir_data_url(b->media.data, &mime, &data)) {
			put_inline(w, mime.n ? mime : sniff(b), data, b);
			return GW_OK;
		}
		if (!w->is_own && !is_own_address(b->media.data) && !(w->o->quirks & GW_Q_GEMINI_FETCHES_URLS))
			return gemini_say(w, "messages[].content[].image_url.url",
					  "this provider does not fetch files from the web, and the gateway does not either; send "
					  "the content as a data: URL (base64)");
		put_file(w, b);
		return GW_OK;
	case IR_FILE_ID:
		break;
	}
	return gemini_say(w, "messages[].content[].file.file_id",
			  "a file id is known only to the provider where the file was uploaded; send the content as a data: URL");
}

/* ---- calls and results ---- */

/* True when the signature can go along; others are noted. */
static bool may_sign(struct gemini_writer *w, const struct ir_block *b)
{
	if (!b->signature.p)
		return false;
	if (b->signature_of == GW_D_GEMINI)
		return true;
	if (b->signature.n)
		ir_drop(w->rq, "messages[].thinking.signature");
	return false;
}

static void put_signature(struct gemini_writer *w, const struct ir_block *b)
{
	gemini_key(&w->w, &gemini_part_fields, GP_SIGNATURE, form_of(w, b));
	gw_jw_str(&w->w, b->signature);
}

static enum gw_err put_call(struct gemini_writer *w, const struct ir_block *b, bool is_first)
{
	struct gw_str args;
	bool was_object;

	gemini_key(&w->w, &gemini_part_fields, GP_CALL, form_of(w, b));
	gw_jw_obj(&w->w);
	if (w->is_own && !(b->form & GEMINI_ID_MADE))
		gw_jw_kstr(&w->w, "id", b->id);
	gw_jw_kstr(&w->w, "name", gemini_name(w, b->name));
	if (!w->is_own || !(b->form & GEMINI_NO_ARGS)) {
		args = ir_args_object(w->a, b->args, &was_object);
		if (!args.p)
			return GW_E_NOMEM;
		gw_jw_key(&w->w, GW_LIT("args"));
		gw_jw_raw(&w->w, args);
	}
	put_extras(w, b, "functionCall.");
	gw_jw_end_obj(&w->w);
	if (may_sign(w, b))
		put_signature(w, b);
	else if (!w->is_own && is_first && w->generation == GEMINI_3)
		gw_jw_kstr(&w->w, "thoughtSignature", GW_LIT("skip_thought_signature_validator"));
	return GW_OK;
}

static bool is_media(const struct ir_block *b)
{
	return b->kind == IR_IMAGE || b->kind == IR_FILE || b->kind == IR_AUDIO || b->kind == IR_VIDEO;
}

static bool has_media(const struct ir_block *list)
{
	for (; list; list = list->next) {
		if (is_media(list))
			return true;
	}
	return false;
}

/* A result's text as the object that `response` must be. */
static enum gw_err put_response(struct gemini_writer *w, const struct ir_block *b)
{
	struct gw_str text = ir_text_of(w->a, b->content, GW_LIT("\n"));
	const yyjson_val *tree;
	struct gw_mark m = gw_arena_mark(w->a);

	if (!text.p)
		return GW_E_NOMEM;
	gw_jw_key(&w->w, GW_LIT("response"));
	if (w->is_own && b->other && b->other_of == GW_D_GEMINI) {
		gw_jw_val(&w->w, b->other);
		return GW_OK;
	}
	if (!b->is_error && text.n && *text.p == '{' && gw_json_tree(w->a, text, NULL, &tree, NULL) == GW_OK) {
		gw_jw_val(&w->w, tree); /* not the text itself: a tool may write keys twice */
		gw_arena_reset(w->a, m);
		return GW_OK;
	}
	gw_jw_obj(&w->w);
	gw_jw_kstr(&w->w, b->is_error ? "error" : "output", text);
	gw_jw_end_obj(&w->w);
	return GW_OK;
}

static enum gw_err put_result(struct gemini_writer *w, const struct ir_block *b, struct gw_str name)
{
	bool has_inner = has_media(b->content) && (w->is_own || w->generation == GEMINI_3);
	enum gw_err e;

	gw_jw_obj(&w->w);
	gemini_key(&w->w, &gemini_part_fields, GP_RESPONSE, form_of(w, b));
	gw_jw_obj(&w->w);
	if (w->is_own && !(b->form & GEMINI_ID_MADE))
		gw_jw_kstr(&w->w, "id", b->id);
	gw_jw_kstr(&w->w, "name", gemini_name(w, name));
	e = put_response(w, b);
	if (!e && has_inner) {
		gw_jw_key(&w->w, GW_LIT("parts"));
		gw_jw_arr(&w->w);
		for (const struct ir_block *m = b->content; m && !e; m = m->next) {
			if (!is_media(m) || m->media.from == IR_PLAIN)
				continue;
			gw_jw_obj(&w->w);
			e = gemini_media_write(w, m);
			gw_jw_end_obj(&w->w);
		}
		gw_jw_end_arr(&w->w);
	}
	if (e)
		return e;
	put_extras(w, b, "functionResponse.");
	gw_jw_end_obj(&w->w);
	if (b->signature.p && w->is_own)
		put_signature(w, b);
	put_extras(w, b, "");
	gw_jw_end_obj(&w->w);
	return GW_OK;
}

/* ---- blocks ---- */

static bool is_blank(const struct ir_block *b)
{
	return (b->kind == IR_TEXT || b->kind == IR_REFUSAL || b->kind == IR_REASONING) && !b->text.n;
}

/* Does the block become a part? What does not is noted here. */
static bool is_written(struct gemini_writer *w, const struct ir_block *b)
{
	if (w->is_own)
		return true;
	if (b->cache != IR_CACHE_NONE)
		ir_drop(w->rq, "messages[].content[].cache_control");
	switch (b->kind) {
	case IR_TOOL_RESULT:
		return false; /* written apart */
	case IR_OTHER:
		if (b->other_of == GW_D_GEMINI)
			return true;
		ir_drop(w->rq, "messages[].content[]");
		return false;
	case IR_REASONING:
		if (b->is_redacted) {
			ir_drop(w->rq, "messages[].redacted_thinking");
			return false;
		}
		if (is_blank(b) && b->signature_of != GW_D_GEMINI) {
			(void)may_sign(w, b);
			return false;
		}
		return true;
	case IR_TEXT:
	case IR_REFUSAL:
		return !is_blank(b) || (b->signature.n && b->signature_of == GW_D_GEMINI);
	default:
		return true;
	}
}

static enum gw_err put_block(struct gemini_writer *w, const struct ir_block *b, bool *is_first_call)
{
	enum gw_err e = GW_OK;

	if (b->kind == IR_OTHER) {
		gw_jw_val(&w->w, b->other);
		return GW_OK;
	}
	if (b->kind == IR_TOOL_RESULT)
		return put_result(w, b, b->name);
	if (b->citations)
		ir_drop(w->rq, "messages[].content[].annotations");
	gw_jw_obj(&w->w);
	switch (b->kind) {
	case IR_TOOL_CALL:
		e = put_call(w, b, *is_first_call);
		*is_first_call = false;
		break;
	case IR_IMAGE:
	case IR_FILE:
	case IR_AUDIO:
	case IR_VIDEO:
		e = gemini_media_write(w, b);
		break;
	default:
		if (b->text.p)
			gw_jw_kstr(&w->w, "text", b->text);
		if (b->kind == IR_REASONING)
			gw_jw_kbool(&w->w, "thought", true);
	}
	if (e)
		return e;
	if (w->is_own && (b->form & GEMINI_THOUGHT_FALSE))
		gw_jw_kbool(&w->w, "thought", false);
	if (b->kind != IR_TOOL_CALL && may_sign(w, b))
		put_signature(w, b);
	put_extras(w, b, "");
	gw_jw_end_obj(&w->w);
	return GW_OK;
}

/* ---- a request of this dialect, as it came ---- */

static enum gw_err put_own_content(struct gemini_writer *w, const struct ir_message *m)
{
	bool is_first = true;
	enum gw_err e = GW_OK;

	gw_jw_obj(&w->w);
	if (!(m->form & GM_NO_ROLE))
		gw_jw_kstr(&w->w, "role",
			   m->role == IR_ASSISTANT		 ? GW_LIT("model")
			   : (m->form & GM_ROLE_FUNCTION)	 ? GW_LIT("function")
			   : m->role == IR_USER			 ? GW_LIT("user")
			   : (m->form & GM_ROLE_USER)		 ? GW_LIT("user")
								 : GW_LIT("system"));
	if (!(m->form & GM_NO_PARTS)) {
		gw_jw_key(&w->w, GW_LIT("parts"));
		gw_jw_arr(&w->w);
		for (const struct ir_block *b = m->blocks; b && !e; b = b->next)
			e = put_block(w, b, &is_first);
		gw_jw_end_arr(&w->w);
	}
	if (!e)
		ir_extra_write(m->extra, GW_D_GEMINI, &w->w, w->rq, "messages[].");
	gw_jw_end_obj(&w->w);
	return e;
}

static enum gw_err put_own(struct gemini_writer *w)
{
	const struct ir_message *m = w->rq->messages;
	enum gw_err e = GW_OK;

	if (m && m->role == IR_SYSTEM) {
		gemini_key(&w->w, &gemini_request_fields, GR_SYSTEM, w->rq->form);
		if (m->form & GM_IS_STRING)
			gw_jw_str(&w->w, m->blocks->text);
		else
			e = put_own_content(w, m);
		m = m->next;
	}
	gw_jw_key(&w->w, GW_LIT("contents"));
	gw_jw_arr(&w->w);
	for (; m && !e; m = m->next)
		e = put_own_content(w, m);
	gw_jw_end_arr(&w->w);
	return e;
}

/* ---- of other dialects ---- */

static void put_system_parts(struct gemini_writer *w)
{
	for (const struct ir_message *m = w->rq->messages; m; m = m->next) {
		if (m->role != IR_SYSTEM)
			continue;
		note_extras(w, m->extra);
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->cache != IR_CACHE_NONE)
				ir_drop(w->rq, "messages[].content[].cache_control");
			if (b->kind != IR_TEXT) {
				ir_drop(w->rq, "messages[].content[]");
				continue;
			}
			if (!b->text.n)
				continue;
			gw_jw_obj(&w->w);
			gw_jw_kstr(&w->w, "text", b->text);
			gw_jw_end_obj(&w->w);
		}
	}
}

static bool has_system(const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? m->blocks : NULL; b; b = b->next) {
			if (b->kind == IR_TEXT && b->text.n)
				return true;
		}
	}
	return false;
}

/* Which result answers this call; NULL when there is none. */
static const struct ir_block *result_of(const struct ir_turn *t, struct gw_str id, unsigned *looked)
{
	for (const struct ir_message *m = t->first; m != t->end; m = m->next) {
		if (m->role == IR_SYSTEM)
			continue;
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (++*looked > MAX_LOOK_BACK * MAX_LOOK_BACK)
				return NULL;
			if (b->kind == IR_TOOL_RESULT && gw_str_eq(b->id, id))
				return b;
		}
	}
	return NULL;
}

static bool is_answered_above(const struct ir_turn *calls, struct gw_str id, unsigned *looked)
{
	if (!calls->first)
		return false;
	for (const struct ir_message *m = calls->first; m != calls->end; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b; b = b->next) {
			if (++*looked > MAX_LOOK_BACK * MAX_LOOK_BACK)
				return false;
			if (b->kind == IR_TOOL_CALL && gw_str_eq(b->id, id))
				return true;
		}
	}
	return false;
}

/* Results first: those of the calls just before, in the calls' order; then those of earlier calls. */
static enum gw_err put_results(struct gemini_writer *w, const struct ir_turn *calls, const struct ir_turn *t)
{
	unsigned looked = 0, strays = 0;
	enum gw_err e = GW_OK;

	for (const struct ir_message *m = calls->first; m && m != calls->end && !e; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b && !e; b = b->next) {
			const struct ir_block *r = b->kind == IR_TOOL_CALL ? result_of(t, b->id, &looked) : NULL;

			if (r)
				e = put_result(w, r, b->name);
		}
	}
	for (const struct ir_message *m = t->first; m != t->end && !e; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b && !e; b = b->next) {
			struct gw_str name;

			if (b->kind != IR_TOOL_RESULT || is_answered_above(calls, b->id, &looked))
				continue;
			if (++strays > MAX_LOOK_BACK)
				return gemini_say(w, "messages", "has too many tool results that answer no call");
			name = b->name.n ? b->name : ir_call_name(w->rq, b->id);
			if (!name.n)
				return gemini_say(w, "messages[].tool_call_id",
						  "no earlier message has a tool call of this id, and this provider needs the "
						  "name of the function that was called");
			e = put_result(w, b, name);
		}
	}
	if (looked > MAX_LOOK_BACK * MAX_LOOK_BACK)
		return gemini_say(w, "messages", "has too many tool calls and results in one turn");
	return e;
}

/* Pictures of results that have no place inside them follow all results. */
static enum gw_err put_result_media(struct gemini_writer *w, const struct ir_turn *t)
{
	enum gw_err e = GW_OK;

	for (const struct ir_message *m = t->first; m != t->end; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b; b = b->next) {
			for (const struct ir_block *c = b->kind == IR_TOOL_RESULT ? b->content : NULL; c; c = c->next) {
				if (c->kind == IR_OTHER)
					ir_drop(w->rq, "messages[].content[].tool_result");
				if (!is_media(c) || (w->generation == GEMINI_3 && c->media.from != IR_PLAIN))
					continue;
				gw_jw_obj(&w->w);
				e = gemini_media_write(w, c);
				gw_jw_end_obj(&w->w);
				if (e)
					return e;
			}
		}
	}
	return GW_OK;
}

static bool has_parts(struct gemini_writer *w, const struct ir_turn *t)
{
	for (const struct ir_message *m = t->first; m != t->end; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b; b = b->next) {
			if (b->kind == IR_TOOL_RESULT || is_written(w, b))
				return true;
		}
	}
	return false;
}

static enum gw_err put_turn(struct gemini_writer *w, const struct ir_turn *calls, const struct ir_turn *t, bool has_lead)
{
	bool is_first = true;
	enum gw_err e = GW_OK;

	gw_jw_obj(&w->w);
	gw_jw_kstr(&w->w, "role", t->role == IR_ASSISTANT ? GW_LIT("model") : GW_LIT("user"));
	gw_jw_key(&w->w, GW_LIT("parts"));
	gw_jw_arr(&w->w);
	if (has_lead)
		put_system_parts(w);
	if (t->role == IR_USER) {
		e = put_results(w, calls, t);
		if (!e)
			e = put_result_media(w, t);
	}
	for (const struct ir_message *m = t->first; m != t->end && !e; m = m->next) {
		if (m->role == IR_SYSTEM)
			continue;
		if (m->name.n)
			ir_drop(w->rq, "messages[].name");
		note_extras(w, m->extra);
		for (const struct ir_block *b = m->blocks; b && !e; b = b->next) {
			if (is_written(w, b))
				e = put_block(w, b, &is_first);
		}
	}
	gw_jw_end_arr(&w->w);
	gw_jw_end_obj(&w->w);
	return e;
}

/* What stands where a user's turn must be and the client has none. */
static void put_filler(struct gemini_writer *w, bool has_lead)
{
	gw_jw_obj(&w->w);
	gw_jw_kstr(&w->w, "role", GW_LIT("user"));
	gw_jw_key(&w->w, GW_LIT("parts"));
	gw_jw_arr(&w->w);
	if (has_lead)
		put_system_parts(w);
	else
		gw_jw_raw(&w->w, GW_LIT("{\"text\":\" \"}"));
	gw_jw_end_arr(&w->w);
	gw_jw_end_obj(&w->w);
}

enum gw_err gemini_contents_write(struct gemini_writer *w)
{
	const struct ir_message *rest = w->rq->messages;
	struct ir_turn t, before = { 0 };
	bool has_lead = has_system(w->rq), has_any = false;
	enum gw_err e = GW_OK;

	if (w->is_own)
		return put_own(w);
	if (has_lead && w->generation != GEMINI_GEMMA) {
		gw_jw_key(&w->w, GW_LIT("systemInstruction"));
		gw_jw_obj(&w->w);
		gw_jw_key(&w->w, GW_LIT("parts"));
		gw_jw_arr(&w->w);
		put_system_parts(w);
		gw_jw_end_arr(&w->w);
		gw_jw_end_obj(&w->w);
		has_lead = false;
	}
	gw_jw_key(&w->w, GW_LIT("contents"));
	gw_jw_arr(&w->w);
	while (!e && ir_next_turn(&rest, &t)) {
		if (!has_parts(w, &t))
			continue;
		if (!has_any && t.role == IR_ASSISTANT) {
			put_filler(w, has_lead);
			has_lead = false;
		}
		e = put_turn(w, &before, &t, has_lead && t.role == IR_USER);
		has_lead &= t.role != IR_USER;
		has_any = true;
		before = t.role == IR_ASSISTANT ? t : (struct ir_turn){ 0 };
	}
	if (!has_any && !e)
		put_filler(w, has_lead);
	gw_jw_end_arr(&w->w);
	return e;
}
