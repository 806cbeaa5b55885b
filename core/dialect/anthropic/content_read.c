/* Content blocks of Anthropic messages, of requests and of replies, into blocks of the IR. What the IR has no word for stays whole (OTHER),
 * or stays beside the text that it means to others (search results). */
#include "core/dialect/anthropic/anthropic.h"

enum gw_err anthropic_bad(struct anthropic_in *in, enum gw_err e, const char *leaf, const char *why)
{
	struct gw_buf b;

	gw_buf_init(&b, 256);
	gw_buf_puts(&b, gw_str_z(in->list));
	if (in->item >= 0)
		gw_buf_printf(&b, "[%d]", in->item);
	if (in->block >= 0)
		gw_buf_printf(&b, ".content[%d]", in->block);
	if (in->inner >= 0)
		gw_buf_printf(&b, ".content[%d]", in->inner);
	if (*leaf)
		gw_buf_printf(&b, "%s%s", b.n ? "." : "", leaf);
	*in->param = gw_arena_str(in->a, gw_buf_view(&b));
	*in->why = gw_str_z(why);
	gw_buf_done(&b);
	return e;
}

struct gw_str anthropic_json(struct gw_arena *a, const yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str s;

	gw_buf_init(&b, 32 << 20);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	s = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return s;
}

enum ir_cache anthropic_cache_read(const yyjson_val *v)
{
	const yyjson_val *ttl = anthropic_get(v, "ttl");

	if (!anthropic_is(anthropic_get(v, "type"), "ephemeral") ||
	    yyjson_obj_size((yyjson_val *)(uintptr_t)v) != (ttl ? 2 : 1))
		return IR_CACHE_NONE;
	if (!ttl)
		return IR_CACHE_DEFAULT;
	if (anthropic_is(ttl, "5m"))
		return IR_CACHE_5M;
	return anthropic_is(ttl, "1h") ? IR_CACHE_1H : IR_CACHE_NONE;
}

void anthropic_citation_take(struct ir_citation *c, const yyjson_val *v)
{
	c->url = anthropic_str(anthropic_get(v, "url"));
	c->title = anthropic_str(anthropic_get(v, "title"));
	if (!c->title.p)
		c->title = anthropic_str(anthropic_get(v, "document_title"));
	if (!c->url.p)
		c->url = anthropic_str(anthropic_get(v, "source"));
	c->quoted = anthropic_str(anthropic_get(v, "cited_text"));
	c->of = GW_D_ANTHROPIC;
	c->raw = v; /* start and end are places in the source, not in the text: they stay in here */
}

enum gw_err anthropic_citations_read(struct gw_arena *a, const yyjson_val *arr, struct ir_block *b)
{
	yyjson_arr_iter it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)arr);
	struct ir_citation **tail = &b->citations;

	for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
		struct ir_block one = { 0 };

		if (!yyjson_is_obj(v))
			continue;
		*tail = ir_citation_add(a, &one);
		if (!*tail)
			return GW_E_NOMEM;
		anthropic_citation_take(*tail, v);
		tail = &(*tail)->next;
	}
	return GW_OK;
}

/* Members that are known by a block's kind were taken; the rest goes home as it came. `known` is a list ended by NULL. */
static enum gw_err keep_rest(struct anthropic_in *in, const yyjson_val *v, struct ir_block *b, const char *const *known)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)v);
	struct ir_extra **tail = &b->extra;

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);
		size_t i;

		if (anthropic_is(key, "cache_control")) {
			b->cache = anthropic_cache_read(val);
			if (b->cache != IR_CACHE_NONE)
				continue;
		}
		for (i = 0; known[i] && !anthropic_is(key, known[i]); i++)
			;
		if (known[i])
			continue;
		if (!ir_extra_add(in->a, tail, GW_D_ANTHROPIC, key, val))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

static enum gw_err other_read(struct anthropic_in *in, const yyjson_val *v, struct ir_block **list)
{
	struct ir_block *b = ir_block_add(in->a, list, IR_OTHER);

	if (!b)
		return GW_E_NOMEM;
	b->other_of = GW_D_ANTHROPIC;
	b->other = v;
	b->cache = anthropic_cache_read(anthropic_get(v, "cache_control"));
	return GW_OK;
}

/* A claim about who pays, that this vendor's coding tool sends as the first system block: nobody else is to read it. */
static bool is_attribution(const struct anthropic_in *in, struct gw_str text)
{
	return !in->is_reply && in->list[0] == 's' && gw_str_has_prefix(text, GW_LIT("x-anthropic-billing-header:"));
}

static enum gw_err text_read(struct anthropic_in *in, const yyjson_val *v, struct ir_block **list)
{
	static const char *const known[] = { "type", "text", "citations", NULL };
	static const char *const but_citations[] = { "type", "text", NULL };
	const yyjson_val *text = anthropic_get(v, "text"), *cites = anthropic_get(v, "citations");
	bool has = yyjson_arr_size((yyjson_val *)(uintptr_t)cites) > 0;
	struct ir_block *b;

	if (!yyjson_is_str((yyjson_val *)(uintptr_t)text) && !in->is_reply)
		return anthropic_bad(in, text ? GW_E_INVALID : GW_E_MISSING, "text", "it must be a string");
	if (is_attribution(in, anthropic_str(text)))
		return other_read(in, v, list);
	b = ir_block_add(in->a, list, IR_TEXT);
	if (!b)
		return GW_E_NOMEM;
	b->text = anthropic_str(text);
	if (has && anthropic_citations_read(in->a, cites, b))
		return GW_E_NOMEM;
	return keep_rest(in, v, b, has ? known : but_citations);
}

/* {"type":"base64","media_type","data"} | {"type":"url","url"} | {"type":"file","file_id"} | {"type":"text","media_type","data"}, and
 * nothing else in it. */
static bool source_read(const yyjson_val *s, struct ir_media *m)
{
	static const struct {
		const char *type, *data;
		enum ir_media_from from;
		size_t n;
	} kinds[] = {
		{ "base64", "data", IR_BASE64, 3 },
		{ "url", "url", IR_URL, 2 },
		{ "file", "file_id", IR_FILE_ID, 2 },
		{ "text", "data", IR_PLAIN, 3 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!anthropic_is(anthropic_get(s, "type"), kinds[i].type))
			continue;
		m->from = kinds[i].from;
		m->data = anthropic_str(anthropic_get(s, kinds[i].data));
		m->mime = kinds[i].n == 3 ? anthropic_str(anthropic_get(s, "media_type")) : GW_NIL;
		return m->data.p && yyjson_obj_size((yyjson_val *)(uintptr_t)s) == kinds[i].n &&
		       (kinds[i].n == 2 || m->mime.p);
	}
	return false;
}

static enum gw_err add_words(struct gw_buf *b, const yyjson_val *parts)
{
	yyjson_arr_iter it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)parts);

	if (yyjson_is_str((yyjson_val *)(uintptr_t)parts))
		gw_buf_puts(b, gw_json_str(parts));
	for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
		struct gw_str text = anthropic_str(anthropic_get(v, "text"));

		gw_buf_puts(b, text);
		if (text.n)
			gw_buf_putc(b, '\n');
	}
	return b->err;
}

/* A search result, or a document made of parts: to others it is the text of it; at home it goes back whole. */
static enum gw_err worded_read(struct anthropic_in *in, const yyjson_val *v, const yyjson_val *parts,
			       struct ir_block **list)
{
	struct gw_str title = anthropic_str(anthropic_get(v, "title")), at = anthropic_str(anthropic_get(v, "source"));
	struct ir_block *b = ir_block_add(in->a, list, IR_TEXT);
	struct gw_buf words;

	if (!b)
		return GW_E_NOMEM;
	gw_buf_init(&words, 32 << 20);
	gw_buf_puts(&words, title);
	if (title.n)
		gw_buf_putc(&words, '\n');
	gw_buf_puts(&words, at);
	if (at.n)
		gw_buf_putc(&words, '\n');
	if (!add_words(&words, parts))
		b->text = gw_arena_str(in->a, gw_buf_view(&words));
	gw_buf_done(&words);
	b->other_of = GW_D_ANTHROPIC;
	b->other = v;
	b->cache = anthropic_cache_read(anthropic_get(v, "cache_control"));
	return b->text.p ? GW_OK : GW_E_NOMEM;
}

static enum gw_err media_read(struct anthropic_in *in, const yyjson_val *v, enum ir_block_kind kind,
			      struct ir_block **list)
{
	static const char *const known_image[] = { "type", "source", NULL };
	static const char *const known_file[] = { "type", "source", "title", NULL };
	const yyjson_val *source = anthropic_get(v, "source"), *title = anthropic_get(v, "title");
	struct ir_media m = { 0 };
	struct ir_block *b;
	bool has_title = kind == IR_FILE && anthropic_str(title).p;

	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)source) && !in->is_reply)
		return anthropic_bad(in, source ? GW_E_INVALID : GW_E_MISSING, "source",
				     "it must be an object with a type: base64, url, file");
	if (!source_read(source, &m)) {
		if (kind == IR_FILE && anthropic_is(anthropic_get(source, "type"), "content"))
			return worded_read(in, v, anthropic_get(source, "content"), list);
		return other_read(in, v, list);
	}
	b = ir_block_add(in->a, list, kind);
	if (!b)
		return GW_E_NOMEM;
	b->media = m;
	if (has_title)
		b->media.name = gw_json_str(title);
	return keep_rest(in, v, b, has_title ? known_file : known_image);
}

static enum gw_err call_read(struct anthropic_in *in, const yyjson_val *v, struct ir_block **list)
{
	static const char *const known[] = { "type", "id", "name", "input", NULL };
	const yyjson_val *input = anthropic_get(v, "input");
	struct gw_str id = anthropic_str(anthropic_get(v, "id")), name = anthropic_str(anthropic_get(v, "name"));
	bool is_obj = yyjson_is_obj((yyjson_val *)(uintptr_t)input);
	struct ir_block *b;

	if (!in->is_reply && !id.n)
		return anthropic_bad(in, GW_E_INVALID, "id", "it must be the call's id, a string that is not empty");
	if (!in->is_reply && !name.n)
		return anthropic_bad(in, GW_E_INVALID, "name", "it must be the tool's name");
	if (!in->is_reply && !is_obj)
		return anthropic_bad(in, GW_E_INVALID, "input", "it must be an object; {} when the tool takes nothing");
	b = ir_block_add(in->a, list, IR_TOOL_CALL);
	if (!b)
		return GW_E_NOMEM;
	b->id = id;
	b->name = in->carry ? gw_carry_name_back(in->carry, name) : name;
	b->args = is_obj ? anthropic_json(in->a, input) : GW_LIT("{}");
	if (in->carry && in->carry->is_json_tool && gw_str_eq(name, in->carry->json_tool)) {
		b->kind = IR_TEXT; /* the schema's answer came as this tool's input */
		b->text = b->args;
		b->id = b->name = b->args = GW_NIL;
		return b->text.p ? GW_OK : GW_E_NOMEM;
	}
	return b->args.p ? keep_rest(in, v, b, known) : GW_E_NOMEM;
}

static enum gw_err result_read(struct anthropic_in *in, const yyjson_val *v, struct ir_block **list)
{
	static const char *const known[] = { "type", "tool_use_id", "content", "is_error", NULL };
	yyjson_val *content = anthropic_get(v, "content"), *is_error = anthropic_get(v, "is_error");
	struct gw_str id = anthropic_str(anthropic_get(v, "tool_use_id"));
	struct ir_block *b, *text;
	enum gw_err e = GW_OK;

	if (!in->is_reply && !id.n)
		return anthropic_bad(in, GW_E_INVALID, "tool_use_id",
				     "it must be the id of the tool_use that it answers");
	if (!in->is_reply && is_error && !yyjson_is_bool(is_error))
		return anthropic_bad(in, GW_E_INVALID, "is_error", "it must be true or false");
	if (!in->is_reply && content && !yyjson_is_str(content) && !yyjson_is_arr(content))
		return anthropic_bad(in, GW_E_INVALID, "content", "it must be a string or a list of blocks");
	b = ir_block_add(in->a, list, IR_TOOL_RESULT);
	if (!b)
		return GW_E_NOMEM;
	b->id = id;
	b->is_error = yyjson_get_bool(is_error);
	b->form = is_error ? ANTHROPIC_B_IS_ERROR : 0;
	if (yyjson_is_str(content)) {
		text = ir_block_add(in->a, &b->content, IR_TEXT);
		if (!text)
			return GW_E_NOMEM;
		text->text = gw_json_str(content);
		b->form |= ANTHROPIC_B_STRING;
	} else if (yyjson_is_arr(content) && in->inner < 0) {
		in->inner = 0;
		e = anthropic_blocks_read(in, content, &b->content);
		if (!e)
			in->inner = -1;
	} else if (!content) {
		b->form |= ANTHROPIC_B_NO_CONTENT;
	}
	return e ? e : keep_rest(in, v, b, known);
}

static enum gw_err thinking_read(struct anthropic_in *in, const yyjson_val *v, bool is_redacted, struct ir_block **list)
{
	static const char *const known[] = { "type", "thinking", "signature", NULL };
	static const char *const known_redacted[] = { "type", "data", NULL };
	const yyjson_val *proof = anthropic_get(v, is_redacted ? "data" : "signature"),
			 *text = anthropic_get(v, "thinking");
	struct ir_block *b;

	if (!in->is_reply && is_redacted && !anthropic_str(proof).p)
		return anthropic_bad(in, GW_E_INVALID, "data", "it must be a string");
	if (!in->is_reply && !is_redacted && !anthropic_str(text).p)
		return anthropic_bad(in, GW_E_INVALID, "thinking", "it must be a string");
	b = ir_block_add(in->a, list, IR_REASONING);
	if (!b)
		return GW_E_NOMEM;
	b->is_redacted = is_redacted;
	b->text = is_redacted ? GW_NIL : anthropic_str(text);
	b->signature = anthropic_str(proof);
	if (b->signature.p)
		b->signature = ir_mark_take(in->a, b->signature, GW_D_ANTHROPIC, false, &b->signature_of);
	return keep_rest(in, v, b, is_redacted ? known_redacted : known);
}

static enum gw_err block_read(struct anthropic_in *in, const yyjson_val *v, struct ir_block **list)
{
	const yyjson_val *type = anthropic_get(v, "type");

	if (!yyjson_is_str((yyjson_val *)(uintptr_t)type)) {
		if (in->is_reply)
			return GW_OK;
		return anthropic_bad(in, type ? GW_E_INVALID : GW_E_MISSING, "type",
				     "each block is an object with a type such as \"text\"");
	}
	if (anthropic_is(type, "text"))
		return text_read(in, v, list);
	if (anthropic_is(type, "tool_use"))
		return call_read(in, v, list);
	if (anthropic_is(type, "tool_result"))
		return result_read(in, v, list);
	if (anthropic_is(type, "thinking"))
		return thinking_read(in, v, false, list);
	if (anthropic_is(type, "redacted_thinking"))
		return thinking_read(in, v, true, list);
	if (anthropic_is(type, "image"))
		return media_read(in, v, IR_IMAGE, list);
	if (anthropic_is(type, "document"))
		return media_read(in, v, IR_FILE, list);
	if (anthropic_is(type, "search_result"))
		return worded_read(in, v, anthropic_get(v, "content"), list);
	return other_read(in, v, list);
}

enum gw_err anthropic_blocks_read(struct anthropic_in *in, const yyjson_val *arr, struct ir_block **list)
{
	yyjson_arr_iter it = yyjson_arr_iter_with((yyjson_val *)(uintptr_t)arr);
	int32_t *at = in->inner >= 0 ? &in->inner : in->list[0] == 's' ? &in->item : &in->block, i = 0;
	enum gw_err e = GW_OK;

	for (yyjson_val *v; !e && (v = yyjson_arr_iter_next(&it)); i++) {
		*at = i;
		e = block_read(in, v, list);
		while (*list) /* the end of the list, so that long ones cost no more than short ones */
			list = &(*list)->next;
	}
	return e;
}
