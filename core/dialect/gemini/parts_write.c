/* Blocks as parts of contents: media, calls, results, texts and thoughts with their signatures. No part is empty. */
#include "core/dialect/gemini/gemini.h"
#include "core/provider.h"

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
				ir_drop_name(
				    w->rq, gw_arena_printf(w->rq->arena, "messages[].content[].%.*s", GW_FMT(x->key)));
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
void gemini_note_extras(struct gemini_writer *w, const struct ir_extra *x)
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
			return gemini_say(
			    w, "messages[].content[].image_url.url",
			    "this provider does not fetch files from the web, and the gateway does not either; send "
			    "the content as a data: URL (base64)");
		put_file(w, b);
		return GW_OK;
	case IR_FILE_ID:
		break;
	}
	return gemini_say(
	    w, "messages[].content[].file.file_id",
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
	else if (is_first && w->generation == GEMINI_3) {
		gw_jw_kstr(&w->w, "thoughtSignature", GW_LIT("skip_thought_signature_validator"));
		w->rq->is_mended = true; /* another vendor's call: also in a request of this dialect */
	}
	return GW_OK;
}

bool gemini_is_media(const struct ir_block *b)
{
	return b->kind == IR_IMAGE || b->kind == IR_FILE || b->kind == IR_AUDIO || b->kind == IR_VIDEO;
}

static bool has_media(const struct ir_block *list)
{
	for (; list; list = list->next) {
		if (gemini_is_media(list))
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

enum gw_err gemini_result_write(struct gemini_writer *w, const struct ir_block *b, struct gw_str name)
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
			if (!gemini_is_media(m) || m->media.from == IR_PLAIN)
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
bool gemini_block_is_written(struct gemini_writer *w, const struct ir_block *b)
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

enum gw_err gemini_block_write(struct gemini_writer *w, const struct ir_block *b, bool *is_first_call)
{
	enum gw_err e = GW_OK;

	if (b->kind == IR_OTHER) {
		gw_jw_val(&w->w, b->other);
		return GW_OK;
	}
	if (b->kind == IR_TOOL_RESULT)
		return gemini_result_write(w, b, b->name);
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
