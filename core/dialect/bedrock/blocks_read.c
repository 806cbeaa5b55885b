/* Content blocks of Converse into the IR: one member a block, whose name is its kind. Used for requests, which are judged, and for replies,
 * which may hold anything. A cachePoint marks the block before it. */
#include "core/dialect/bedrock/bedrock.h"

enum { MAX_CITATIONS = 1024 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static const yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return gw_json_get(obj, gw_str_z(key));
}

struct gw_str bedrock_json(struct gw_arena *a, const yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, a->max_bytes);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	out = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

/* ---- media ---- */

static const struct {
	const char *kind, *format, *mime;
	enum ir_block_kind is;
} formats[] = {
	{ "image", "png", "image/png", IR_IMAGE },
	{ "image", "jpeg", "image/jpeg", IR_IMAGE },
	{ "image", "gif", "image/gif", IR_IMAGE },
	{ "image", "webp", "image/webp", IR_IMAGE },
	{ "document", "pdf", "application/pdf", IR_FILE },
	{ "document", "csv", "text/csv", IR_FILE },
	{ "document", "doc", "application/msword", IR_FILE },
	{ "document", "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", IR_FILE },
	{ "document", "xls", "application/vnd.ms-excel", IR_FILE },
	{ "document", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", IR_FILE },
	{ "document", "html", "text/html", IR_FILE },
	{ "document", "md", "text/markdown", IR_FILE },
	{ "document", "txt", "text/plain", IR_FILE },
	{ "video", "mp4", "video/mp4", IR_VIDEO },
	{ "video", "mov", "video/quicktime", IR_VIDEO },
	{ "video", "webm", "video/webm", IR_VIDEO },
	{ "video", "mkv", "video/x-matroska", IR_VIDEO },
	{ "audio", "mp3", "audio/mpeg", IR_AUDIO },
	{ "audio", "wav", "audio/wav", IR_AUDIO },
	{ "audio", "flac", "audio/flac", IR_AUDIO },
	{ "audio", "ogg", "audio/ogg", IR_AUDIO },
};
enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

/* True when the member is an image, document, film or sound that the IR can hold. */
static bool read_media(struct gw_str kind, const yyjson_val *v, struct ir_block *b)
{
	const yyjson_val *source = get(v, "source"), *data;
	struct gw_str format = gw_json_str(get(v, "format"));

	for (int i = 0; i < N_FORMATS; i++) {
		if (!gw_str_eq(gw_str_z(formats[i].kind), kind))
			continue;
		b->kind = formats[i].is;
		if (!gw_str_eq(gw_str_z(formats[i].format), format))
			continue;
		b->media.mime = gw_str_z(formats[i].mime);
	}
	if (b->kind == IR_OTHER)
		return false;
	b->media.name = gw_json_str(get(v, "name"));
	data = get(source, "bytes");
	if (!data && (data = get(source, "text")))
		b->media.from = IR_PLAIN;
	if (!data && (data = get(get(source, "s3Location"), "uri")))
		b->media.from = IR_URL;
	if (yyjson_is_str(mut(data))) {
		b->media.data = gw_json_str(data);
		return true;
	}
	b->kind = IR_OTHER;
	return false;
}

/* ---- citations ---- */

bool bedrock_citation_read(struct gw_arena *a, const yyjson_val *v, struct ir_block *b)
{
	struct ir_citation *c;

	if (!yyjson_is_obj(mut(v)))
		return true;
	c = ir_citation_add(a, b);
	if (!c)
		return false;
	c->url = gw_json_str(get(get(get(v, "location"), "web"), "url"));
	if (!c->url.n)
		c->url = gw_json_str(get(v, "source"));
	c->title = gw_json_str(get(v, "title"));
	if (!c->title.n)
		c->title = gw_json_str(get(get(get(v, "location"), "web"), "domain"));
	c->quoted = gw_json_str(get(yyjson_arr_get_first(mut(get(v, "sourceContent"))), "text"));
	c->of = GW_D_BEDROCK;
	c->raw = v;
	return true;
}

void bedrock_citation_write(struct gw_json_out *w, const struct ir_citation *c)
{
	gw_jw_obj(w);
	if (c->title.n)
		gw_jw_kstr(w, "title", c->title);
	if (c->url.n && !gw_str_has_prefix(c->url, GW_LIT("http")))
		gw_jw_kstr(w, "source", c->url);
	if (c->quoted.n) {
		gw_jw_key(w, GW_LIT("sourceContent"));
		gw_jw_arr(w);
		gw_jw_obj(w);
		gw_jw_kstr(w, "text", c->quoted);
		gw_jw_end_obj(w);
		gw_jw_end_arr(w);
	}
	if (gw_str_has_prefix(c->url, GW_LIT("http"))) {
		gw_jw_key(w, GW_LIT("location"));
		gw_jw_obj(w);
		gw_jw_key(w, GW_LIT("web"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "url", c->url);
		gw_jw_end_obj(w);
		gw_jw_end_obj(w);
	}
	gw_jw_end_obj(w);
}

static bool read_cited(struct gw_arena *a, const yyjson_val *v, struct ir_block *b)
{
	const yyjson_val *content = get(v, "content"), *list = get(v, "citations");
	struct ir_block *texts = NULL, **tail = &texts;
	yyjson_arr_iter it;
	yyjson_val *x;
	unsigned n = 0;

	b->kind = IR_TEXT;
	if (yyjson_is_arr(mut(content))) {
		yyjson_arr_iter_init(mut(content), &it);
		while ((x = yyjson_arr_iter_next(&it))) {
			*tail = GW_NEW(a, struct ir_block);
			if (!*tail)
				return false;
			(*tail)->text = gw_json_str(get(x, "text"));
			tail = &(*tail)->next;
		}
	}
	b->text = ir_text_of(a, texts, GW_LIT(""));
	if (yyjson_is_arr(mut(list))) {
		yyjson_arr_iter_init(mut(list), &it);
		while ((x = yyjson_arr_iter_next(&it)) && ++n <= MAX_CITATIONS) {
			if (!bedrock_citation_read(a, x, b))
				return false;
		}
	}
	return b->text.p != NULL;
}

/* ---- blocks ---- */

static bool read_reasoning(struct gw_arena *a, const yyjson_val *v, struct ir_block *b)
{
	const yyjson_val *t = get(v, "reasoningText"), *red = get(v, "redactedContent"), *sig = get(t, "signature");

	if (yyjson_is_str(mut(red))) {
		b->kind = IR_REASONING;
		b->is_redacted = true;
		b->signature = ir_mark_take(a, gw_json_str(red), GW_D_BEDROCK, true, &b->signature_of);
	} else if (yyjson_is_obj(mut(t))) {
		b->kind = IR_REASONING;
		b->text = gw_json_str(get(t, "text"));
		if (yyjson_is_str(mut(sig)))
			b->signature = ir_mark_take(a, gw_json_str(sig), GW_D_BEDROCK, false, &b->signature_of);
	}
	return !a->is_full;
}

static bool read_call(struct gw_arena *a, const yyjson_val *v, struct ir_block *b)
{
	const yyjson_val *input = get(v, "input");

	if (gw_str_eq(gw_json_str(get(v, "type")), GW_LIT("server_tool_use")))
		return true; /* the provider's own tool: not the client's to answer */
	b->kind = IR_TOOL_CALL;
	b->id = gw_json_str(get(v, "toolUseId"));
	b->name = gw_json_str(get(v, "name"));
	b->args = input ? bedrock_json(a, input) : GW_LIT("{}");
	return b->args.p != NULL;
}

static bool read_result(struct gw_arena *a, const yyjson_val *v, struct ir_block *b)
{
	const yyjson_val *list = get(v, "content"), *json;
	struct ir_block **tail = &b->content;
	yyjson_arr_iter it;
	yyjson_val *x;

	b->kind = IR_TOOL_RESULT;
	b->id = gw_json_str(get(v, "toolUseId"));
	b->form |= get(v, "status") ? BB_HAS_STATUS : 0;
	b->is_error = gw_str_eq(gw_json_str(get(v, "status")), GW_LIT("error"));
	if (!yyjson_is_arr(mut(list)))
		return true;
	yyjson_arr_iter_init(mut(list), &it);
	while ((x = yyjson_arr_iter_next(&it))) {
		struct ir_block *c = ir_block_add(a, tail, IR_OTHER);
		yyjson_obj_iter oi;
		yyjson_val *k;

		if (!c)
			return false;
		tail = &c->next;
		c->other = x;
		c->other_of = GW_D_BEDROCK;
		json = get(x, "json");
		if (yyjson_is_str(mut(get(x, "text"))) || json) {
			c->kind = IR_TEXT;
			c->text = json ? bedrock_json(a, json) : gw_json_str(get(x, "text"));
			if (!c->text.p)
				return false;
			continue;
		}
		yyjson_obj_iter_init(x, &oi);
		k = yyjson_is_obj(x) ? yyjson_obj_iter_next(&oi) : NULL;
		if (k)
			(void)read_media(gw_json_str(k), yyjson_obj_iter_get_val(k), c);
	}
	return true;
}

bool bedrock_block_read(struct gw_arena *a, const yyjson_val *v, struct ir_block **list)
{
	struct ir_block *b = ir_block_add(a, list, IR_OTHER);
	const yyjson_val *x;
	yyjson_obj_iter it;
	yyjson_val *k;

	if (!b)
		return false;
	b->other = v;
	b->other_of = GW_D_BEDROCK;
	if (!yyjson_is_obj(mut(v)))
		return true;
	if (yyjson_is_str(mut(x = get(v, "text")))) {
		b->kind = IR_TEXT;
		b->text = gw_json_str(x);
		return true;
	}
	if ((x = get(v, "toolUse")))
		return read_call(a, x, b);
	if ((x = get(v, "toolResult")))
		return read_result(a, x, b);
	if ((x = get(v, "citationsContent")))
		return read_cited(a, x, b);
	if ((x = get(v, "reasoningContent")))
		return read_reasoning(a, x, b);
	yyjson_obj_iter_init(mut(v), &it);
	while ((k = yyjson_obj_iter_next(&it)) && b->kind == IR_OTHER)
		(void)read_media(gw_json_str(k), yyjson_obj_iter_get_val(k), b);
	return true;
}

/* ---- of requests ---- */

static struct gw_str where(struct bedrock_reader *r, const char *field)
{
	if (*r->list == 's')
		return gw_arena_printf(r->a, "system[%u]%s", r->block, field);
	return gw_arena_printf(r->a, "messages[%u].content[%u]%s", r->message, r->block, field);
}

enum gw_err bedrock_refuse(struct bedrock_reader *r, struct gw_str param, const char *why)
{
	*r->param = param;
	*r->why = gw_str_z(why);
	return param.p ? GW_E_INVALID : GW_E_NOMEM;
}

/* {"cachePoint":{"type":"default","ttl":"5m"}} behind a block that has none yet; others stay blocks of their own. */
static bool take_cache(const yyjson_val *v, struct ir_block *last)
{
	const yyjson_val *c = get(v, "cachePoint");
	struct gw_str ttl = gw_json_str(get(c, "ttl"));
	size_t known = ttl.n ? 2 : 1;

	if (!c || !last || last->cache != IR_CACHE_NONE || yyjson_obj_size(mut(v)) != 1 ||
	    yyjson_obj_size(mut(c)) != known || !gw_str_eq(gw_json_str(get(c, "type")), GW_LIT("default")))
		return false;
	if (ttl.n && !gw_str_eq(ttl, GW_LIT("5m")) && !gw_str_eq(ttl, GW_LIT("1h")))
		return false;
	last->cache = !ttl.n ? IR_CACHE_DEFAULT : *ttl.p == '5' ? IR_CACHE_5M : IR_CACHE_1H;
	return true;
}

enum gw_err bedrock_blocks_read(struct bedrock_reader *r, const yyjson_val *list, struct ir_block **out)
{
	struct ir_block *last = NULL, **tail = out;
	yyjson_arr_iter it;
	yyjson_val *x;

	r->block = 0;
	if (!yyjson_is_arr(mut(list)))
		return bedrock_refuse(
		    r, gw_arena_printf(r->a, *r->list == 's' ? "system" : "messages[%u].content", r->message),
		    "must be an array of content blocks");
	yyjson_arr_iter_init(mut(list), &it);
	for (; (x = yyjson_arr_iter_next(&it)); r->block++) {
		const yyjson_val *t = get(x, "text");

		if (!yyjson_is_obj(x) || !yyjson_obj_size(x))
			return bedrock_refuse(r, where(r, ""),
					      "must be an object with one member, the kind of the block");
		if (t && !yyjson_is_str(mut(t)))
			return bedrock_refuse(r, where(r, ".text"), "must be a string");
		if (take_cache(x, last))
			continue;
		if (!bedrock_block_read(r->a, x, tail))
			return GW_E_NOMEM;
		last = *tail;
		tail = &last->next;
		if (last->kind == IR_TOOL_CALL && (!last->id.n || !last->name.n))
			return bedrock_refuse(r, where(r, ".toolUse"), "must have a toolUseId and a name");
		if (last->kind == IR_TOOL_RESULT && !last->id.n)
			return bedrock_refuse(r, where(r, ".toolResult.toolUseId"),
					      "must be the id of the call that it answers");
	}
	return GW_OK;
}
