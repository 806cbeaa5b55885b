/* Blocks of the IR as Anthropic's content blocks. */
#include "core/dialect/anthropic/anthropic.h"

#include "lib/text.h"

void anthropic_refuse(struct anthropic_out *o, const char *param, const char *why)
{
	if (o->err)
		return;
	o->err = GW_E_INVALID;
	*o->param = gw_str_z(param);
	*o->why = gw_str_z(why);
}

void anthropic_no_memory(struct anthropic_out *o)
{
	if (!o->err)
		o->err = GW_E_NOMEM;
}

void anthropic_cache_write(struct anthropic_out *o, enum ir_cache c)
{
	static const char *const shapes[] = {
		[IR_CACHE_DEFAULT] = "{\"type\":\"ephemeral\"}",
		[IR_CACHE_5M] = "{\"type\":\"ephemeral\",\"ttl\":\"5m\"}",
		[IR_CACHE_1H] = "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
	};

	if (c == IR_CACHE_NONE)
		return;
	if (o->cache_skip) { /* the first ones: what a later mark covers includes them */
		o->cache_skip--;
		ir_drop(o->rq, "cache_control");
		return;
	}
	gw_jw_key(&o->w, GW_LIT("cache_control"));
	gw_jw_raw(&o->w, gw_str_z(shapes[c]));
}

struct gw_str anthropic_name_out(struct anthropic_out *o, struct gw_str name)
{
	struct gw_str fit = o->is_home ? name : ir_tool_name(o->a, name, ANTHROPIC_MAX_NAME);

	if (!fit.p || (o->o->carry && !gw_carry_name_note(o->a, o->o->carry, name, fit)))
		anthropic_no_memory(o);
	return fit;
}

static struct gw_str id_out(struct anthropic_out *o, struct gw_str id)
{
	struct gw_str fit = o->is_home ? id : ir_tool_name(o->a, id, ANTHROPIC_MAX_ID);

	if (!fit.p)
		anthropic_no_memory(o);
	return fit;
}

bool anthropic_is_blank(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\t' && s.p[i] != '\r')
			return false;
	}
	return true;
}

static void begin(struct anthropic_out *o, const char *type)
{
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", gw_str_z(type));
}

static void end(struct anthropic_out *o, const struct ir_block *b)
{
	anthropic_cache_write(o, b->cache);
	ir_extra_write(b->extra, GW_D_ANTHROPIC, &o->w, o->rq, "messages[].content[].");
	gw_jw_end_obj(&o->w);
}

void anthropic_text_write(struct anthropic_out *o, struct gw_str text)
{
	begin(o, "text");
	gw_jw_kstr(&o->w, "text", text);
	gw_jw_end_obj(&o->w);
}

/* ---- media ---- */

static void source_write(struct anthropic_out *o, const struct ir_media *m, struct gw_str mime)
{
	static const struct {
		const char *type, *data;
	} words[] = {
		[IR_BASE64] = { "base64", "data" },
		[IR_URL] = { "url", "url" },
		[IR_FILE_ID] = { "file", "file_id" },
		[IR_PLAIN] = { "text", "data" },
	};

	gw_jw_key(&o->w, GW_LIT("source"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", gw_str_z(words[m->from].type));
	if (m->from == IR_BASE64 || m->from == IR_PLAIN)
		gw_jw_kstr(&o->w, "media_type", mime);
	gw_jw_kstr(&o->w, words[m->from].data, m->data);
	gw_jw_end_obj(&o->w);
}

static bool is_one_of(struct gw_str mime, const char *const *list)
{
	for (; *list; list++) {
		if (gw_str_ieq(mime, gw_str_z(*list)))
			return true;
	}
	return false;
}

static void check_place(struct anthropic_out *o, const struct ir_media *m)
{
	if (o->is_home)
		return;
	if (m->from == IR_URL && !gw_str_has_prefix(m->data, GW_LIT("https://")) &&
	    !gw_str_has_prefix(m->data, GW_LIT("http://")))
		anthropic_refuse(o, "messages",
				 "the provider fetches images and documents by http and https only: send "
				 "the data itself in base64");
	if (m->from == IR_FILE_ID)
		anthropic_refuse(o, "messages",
				 "a file id of another provider means nothing to this one: send the data "
				 "itself in base64");
}

static void image_write(struct anthropic_out *o, const struct ir_block *b)
{
	static const char *const taken[] = { "image/jpeg", "image/png", "image/gif", "image/webp", NULL };
	struct gw_str mime = b->media.mime;

	check_place(o, &b->media);
	if (gw_str_ieq(mime, GW_LIT("image/jpg")))
		mime = GW_LIT("image/jpeg");
	if (!o->is_home && b->media.from == IR_BASE64 && !is_one_of(mime, taken))
		anthropic_refuse(o, "messages", "the provider takes JPEG, PNG, GIF and WebP images");
	if (b->media.detail.n && !gw_str_eq(b->media.detail, GW_LIT("auto")))
		ir_drop(o->rq, "messages[].content[].image_url.detail");
	begin(o, "image");
	source_write(o, &b->media, mime);
	end(o, b);
}

/* The text of a text file that came in base64; false when it is none. */
static bool plain_of(struct anthropic_out *o, const struct ir_media *m, struct ir_media *out)
{
	struct gw_buf b;
	bool is_ok;

	gw_buf_init(&b, 32 << 20);
	is_ok = gw_b64_read(&b, m->data) && gw_str_is_utf8(gw_buf_view(&b));
	if (is_ok) {
		*out = (struct ir_media){ .from = IR_PLAIN, .data = gw_arena_str(o->a, gw_buf_view(&b)) };
		if (!out->data.p)
			anthropic_no_memory(o);
	}
	gw_buf_done(&b);
	return is_ok;
}

static void file_write(struct anthropic_out *o, const struct ir_block *b)
{
	static const char *const also_text[] = { "application/json", "application/xml", "application/yaml", NULL };
	struct ir_media m = b->media;
	struct gw_str mime = m.mime;

	check_place(o, &m);
	if (!o->is_home && m.from == IR_BASE64 && !gw_str_ieq(mime, GW_LIT("application/pdf"))) {
		if (!(gw_str_has_prefix(mime, GW_LIT("text/")) || is_one_of(mime, also_text)) ||
		    !plain_of(o, &b->media, &m))
			anthropic_refuse(o, "messages", "the provider takes PDF and UTF-8 text documents");
	}
	begin(o, "document");
	source_write(o, &m, m.from == IR_PLAIN && !o->is_home ? GW_LIT("text/plain") : mime);
	if (b->media.name.p)
		gw_jw_kstr(&o->w, "title", b->media.name);
	end(o, b);
}

/* ---- calls, results, reasoning ---- */

static void call_write(struct anthropic_out *o, const struct ir_block *b)
{
	struct gw_str args;
	bool was_object = true;

	args = ir_args_object(o->a, b->args, &was_object);
	if (!args.p) {
		anthropic_no_memory(o);
		return;
	}
	begin(o, "tool_use");
	gw_jw_kstr(&o->w, "id", id_out(o, b->id));
	gw_jw_kstr(&o->w, "name", anthropic_name_out(o, b->name));
	gw_jw_key(&o->w, GW_LIT("input"));
	gw_jw_raw(&o->w, args);
	if (b->signature.n)
		ir_drop(o->rq, "messages[].tool_calls[].signature");
	end(o, b);
}

static void result_write(struct anthropic_out *o, const struct ir_block *b)
{
	const struct ir_block *c, *only = NULL;
	size_t n = 0;

	for (c = b->content; c; c = c->next) {
		if (anthropic_is_sent(o, c)) {
			only = c;
			n++;
		}
	}
	begin(o, "tool_result");
	gw_jw_kstr(&o->w, "tool_use_id", id_out(o, b->id));
	if (o->is_home ? (b->form & ANTHROPIC_B_STRING) != 0
		       : n == 1 && only->kind == IR_TEXT && only->cache == IR_CACHE_NONE && !only->extra) {
		gw_jw_kstr(&o->w, "content", o->is_home ? b->content->text : only->text);
	} else if (o->is_home ? !(b->form & ANTHROPIC_B_NO_CONTENT) : n > 0) {
		gw_jw_key(&o->w, GW_LIT("content"));
		gw_jw_arr(&o->w);
		for (c = b->content; c; c = c->next) {
			if (anthropic_is_sent(o, c))
				anthropic_block_write(o, c);
		}
		gw_jw_end_arr(&o->w);
	}
	if (o->is_home ? (b->form & ANTHROPIC_B_IS_ERROR) != 0 : b->is_error)
		gw_jw_kbool(&o->w, "is_error", b->is_error);
	end(o, b);
}

static void thinking_write(struct anthropic_out *o, const struct ir_block *b)
{
	begin(o, b->is_redacted ? "redacted_thinking" : "thinking");
	if (!b->is_redacted)
		gw_jw_kstr(&o->w, "thinking", b->text);
	if (b->signature.p || b->is_redacted)
		gw_jw_kstr(&o->w, b->is_redacted ? "data" : "signature", b->signature);
	end(o, b);
}

void anthropic_citation_write(struct gw_json_out *w, const struct ir_citation *c)
{
	if (c->raw && c->of == GW_D_ANTHROPIC) {
		gw_jw_val(w, c->raw);
		return;
	}
	gw_jw_obj(w);
	gw_jw_kstr(w, "type", GW_LIT("web_search_result_location"));
	gw_jw_kstr(w, "url", c->url);
	gw_jw_key(w, GW_LIT("title"));
	if (c->title.p)
		gw_jw_str(w, c->title);
	else
		gw_jw_null(w);
	gw_jw_kstr(w, "cited_text", c->quoted);
	gw_jw_kstr(w, "encrypted_index", GW_LIT(""));
	gw_jw_end_obj(w);
}

static void text_block_write(struct anthropic_out *o, const struct ir_block *b)
{
	bool is_foreign = false;

	begin(o, "text");
	gw_jw_kstr(&o->w, "text", b->text);
	if (b->citations) {
		is_foreign = b->citations->of != GW_D_ANTHROPIC; /* only its own can be proven to it */
		if (is_foreign)
			ir_drop(o->rq, "messages[].annotations");
	}
	if (b->citations && !is_foreign) {
		gw_jw_key(&o->w, GW_LIT("citations"));
		gw_jw_arr(&o->w);
		for (const struct ir_citation *c = b->citations; c; c = c->next) {
			if (c->of == GW_D_ANTHROPIC)
				anthropic_citation_write(&o->w, c);
		}
		gw_jw_end_arr(&o->w);
	}
	end(o, b);
}

/* ---- one block ---- */

bool anthropic_is_foreign(const struct ir_block *b)
{
	return b->kind == IR_REASONING && b->signature.p && b->signature_of != GW_D_ANTHROPIC;
}

bool anthropic_is_sent(struct anthropic_out *o, const struct ir_block *b)
{
	if (o->is_home) {
		if (anthropic_is_foreign(b))
			ir_drop(o->rq, "messages[].content[].thinking");
		return !anthropic_is_foreign(b);
	}
	switch (b->kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		return !anthropic_is_blank(b->text);
	case IR_REASONING:
		if (b->signature.n && b->signature_of == GW_D_ANTHROPIC)
			return true;
		ir_drop(o->rq, b->signature.n ? "messages[].thinking.signature" : "messages[].reasoning_content");
		return false;
	case IR_OTHER:
		if (b->other_of == GW_D_ANTHROPIC)
			return true;
		ir_drop_name(o->rq, gw_arena_printf(o->a, "messages[].content[].%.*s",
						    GW_FMT(anthropic_str(anthropic_get(b->other, "type")))));
		return false;
	default:
		return true;
	}
}

void anthropic_block_write(struct anthropic_out *o, const struct ir_block *b)
{
	if (b->other && b->other_of == GW_D_ANTHROPIC) {
		gw_jw_val(&o->w, b->other);
		return;
	}
	switch (b->kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		text_block_write(o, b);
		break;
	case IR_REASONING:
		thinking_write(o, b);
		break;
	case IR_IMAGE:
		image_write(o, b);
		break;
	case IR_FILE:
		file_write(o, b);
		break;
	case IR_TOOL_CALL:
		call_write(o, b);
		break;
	case IR_TOOL_RESULT:
		result_write(o, b);
		break;
	case IR_AUDIO:
		anthropic_refuse(o, "messages", "the provider does not take audio");
		break;
	case IR_VIDEO:
		anthropic_refuse(o, "messages", "the provider does not take video");
		break;
	case IR_OTHER:
		break;
	}
}
