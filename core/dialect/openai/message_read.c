/* Messages of chat completions into the IR. A tool message becomes a USER message of one result, as everywhere. */
#include "core/dialect/openai/openai.h"

/* ---- parts of the content ---- */

static void read_cache(yyjson_val *part, struct ir_block *b)
{
	yyjson_val *mark = yyjson_obj_get(part, "cache_control"),
		   *explicit = yyjson_obj_get(part, "prompt_cache_breakpoint");
	struct gw_str ttl = ir_get_str(mark, GW_LIT("ttl"));

	if (yyjson_is_obj(mark))
		b->cache = gw_str_eq(ttl, GW_LIT("1h")) ? IR_CACHE_1H : ttl.n ? IR_CACHE_5M : IR_CACHE_DEFAULT;
	else if (yyjson_is_obj(explicit))
		b->cache = IR_CACHE_DEFAULT;
}

/* A data URL, or an address. */
static void read_media(struct ir_media *m, struct gw_str url)
{
	m->from = ir_data_url(url, &m->mime, &m->data) ? IR_BASE64 : IR_URL;
	if (m->from == IR_URL)
		m->data = url;
}

/* {"url"} or the address itself, as Mistral takes it. */
static bool read_url(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block *b)
{
	yyjson_val *url = yyjson_is_obj(v) ? yyjson_obj_get(v, "url") : v;

	if (!yyjson_is_str(url))
		return ir_read_bad(r, at, "must be an object with a string \"url\"");
	read_media(&b->media, gw_json_str(url));
	if (yyjson_is_obj(v))
		b->media.detail = ir_get_str(v, GW_LIT("detail"));
	return true;
}

static bool read_file(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block *b)
{
	struct gw_str data = ir_get_str(v, GW_LIT("file_data")), id = ir_get_str(v, GW_LIT("file_id"));

	if (!data.n && !id.n)
		return ir_read_bad(r, at, "must be an object with \"file_data\" or \"file_id\"");
	b->media.name = ir_get_str(v, GW_LIT("filename"));
	if (!data.n) {
		b->media.from = IR_FILE_ID;
		b->media.data = id;
		return true;
	}
	read_media(&b->media, data);
	if (b->media.from == IR_URL && !gw_str_has_prefix(data, GW_LIT("http")))
		b->media.from = IR_BASE64;
	return true;
}

static bool read_audio(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block *b)
{
	struct gw_str data = ir_get_str(v, GW_LIT("data")), format = ir_get_str(v, GW_LIT("format"));

	if (!data.n || !format.n)
		return ir_read_bad(r, at, "must be an object with \"data\" (base64) and \"format\"");
	b->media.from = IR_BASE64;
	b->media.data = data;
	b->media.mime = gw_arena_printf(r->a, "audio/%.*s", GW_FMT(format));
	return b->media.mime.p || ir_read_nomem(r);
}

struct gw_str openai_thinking_text(struct gw_arena *a, yyjson_val *part)
{
	yyjson_val *v = yyjson_obj_get(part, "thinking"), *item;
	struct ir_block *list = NULL;
	size_t i, max;

	if (yyjson_is_str(v))
		return gw_json_str(v);
	yyjson_arr_foreach(v, i, max, item)
	{
		struct ir_block *b = ir_block_add(a, &list, IR_TEXT);

		if (!b)
			return GW_NIL;
		b->text = ir_get_str(item, GW_LIT("text"));
	}
	return ir_text_of(a, list, GW_NIL);
}

enum part { P_TEXT, P_REFUSAL, P_IMAGE, P_AUDIO, P_FILE, P_VIDEO, P_DOCUMENT, P_THINKING, P_OTHER };
static const struct {
	const char *type, *member;
	enum part part;
	enum ir_block_kind kind;
} parts[] = {
	{ "text", "text", P_TEXT, IR_TEXT },
	{ "refusal", "refusal", P_REFUSAL, IR_REFUSAL },
	{ "image_url", "image_url", P_IMAGE, IR_IMAGE },
	{ "input_audio", "input_audio", P_AUDIO, IR_AUDIO },
	{ "file", "file", P_FILE, IR_FILE },
	{ "video_url", "video_url", P_VIDEO, IR_VIDEO },
	{ "document_url", "document_url", P_DOCUMENT, IR_FILE },
	{ "thinking", "thinking", P_THINKING, IR_REASONING },
};

static bool read_known_part(struct ir_read *r, const struct ir_at *at, yyjson_val *part, struct ir_block *b,
			    enum part what, yyjson_val *v)
{
	switch (what) {
	case P_TEXT:
	case P_REFUSAL:
		return ir_read_str(r, at, v, &b->text);
	case P_IMAGE:
	case P_VIDEO:
	case P_DOCUMENT:
		return read_url(r, at, v, b);
	case P_AUDIO:
		return read_audio(r, at, v, b);
	case P_FILE:
		return read_file(r, at, v, b);
	case P_THINKING:
		b->text = openai_thinking_text(r->a, part);
		return b->text.p || !yyjson_is_arr(v) || ir_read_nomem(r);
	case P_OTHER:
		break;
	}
	return true;
}

/* What stands in a part beside its own member. */
static bool keep_rest(struct ir_read *r, yyjson_val *part, struct ir_block *b, const char *member)
{
	yyjson_val *k, *v;
	size_t i, max;

	yyjson_obj_foreach(part, i, max, k, v)
	{
		struct gw_str key = gw_json_str(k);

		if (gw_str_eq(key, GW_LIT("type")) || gw_str_eq(key, gw_str_z(member)))
			continue;
		if (b->cache &&
		    (gw_str_eq(key, GW_LIT("cache_control")) || gw_str_eq(key, GW_LIT("prompt_cache_breakpoint"))))
			continue;
		if (!ir_extra_add(r->a, &b->extra, GW_D_OPENAI, k, v))
			return ir_read_nomem(r);
	}
	return true;
}

static bool read_part(struct ir_read *r, const struct ir_at *at, yyjson_val *part, struct ir_block **list)
{
	yyjson_val *type = yyjson_is_obj(part) ? yyjson_obj_get(part, "type") : NULL, *v;
	struct ir_block *b;
	size_t i;

	if (!yyjson_is_str(type))
		return ir_read_bad(r, IR_AT_KEY(at, "type"),
				   "each part of a content must be an object with a string \"type\"");
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (gw_str_eq(gw_json_str(type), gw_str_z(parts[i].type)))
			break;
	b = ir_block_add(r->a, list, i < sizeof(parts) / sizeof(parts[0]) ? parts[i].kind : IR_OTHER);
	if (!b)
		return ir_read_nomem(r);
	b->form = OPENAI_B_PART;
	b->other = part;
	b->other_of = GW_D_OPENAI;
	if (b->kind == IR_OTHER)
		return true;
	v = yyjson_obj_get(part, parts[i].member);
	struct ir_at here = { .up = at, .key = gw_str_z(parts[i].member) };
	read_cache(part, b);
	return read_known_part(r, &here, part, b, parts[i].part, v) && keep_rest(r, part, b, parts[i].member);
}

/* A string or a list of parts. */
static bool read_content(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_block **list,
			 uint16_t *form)
{
	yyjson_val *part;
	struct ir_block *b;
	size_t i, max;

	if (!v || yyjson_is_null(v)) {
		*form |= v ? OPENAI_M_NULL : OPENAI_M_ABSENT;
		return true;
	}
	if (yyjson_is_str(v)) {
		if (!yyjson_get_len(v))
			return true;
		b = ir_block_add(r->a, list, IR_TEXT);
		if (!b)
			return ir_read_nomem(r);
		b->text = gw_json_str(v);
		return true;
	}
	if (!yyjson_is_arr(v))
		return ir_read_bad(r, at, "must be a string or a list of parts");
	*form |= OPENAI_M_LIST;
	yyjson_arr_foreach(v, i, max, part)
	{
		if (!read_part(r, IR_AT_ITEM(at, i), part, list))
			return false;
	}
	return true;
}

/* ---- calls ---- */

struct gw_str openai_call_signature(const yyjson_val *call)
{
	yyjson_val *google = gw_json_get(gw_json_get(call, GW_LIT("extra_content")), GW_LIT("google"));
	struct gw_str s = ir_get_str(google, GW_LIT("thought_signature"));

	return s.n ? s : ir_get_str(gw_json_get(call, GW_LIT("provider_specific_fields")), GW_LIT("thought_signature"));
}

static bool read_call_text(struct ir_read *r, const struct ir_at *at, yyjson_val *of, const char *name,
			   struct gw_str *out)
{
	yyjson_val *v = yyjson_obj_get(of, name);
	struct ir_at here = { .up = at, .key = gw_str_z(name) };

	if (!v || yyjson_is_null(v))
		return true;
	return ir_read_str(r, &here, v, out);
}

static bool keep_call_rest(struct ir_read *r, yyjson_val *call, struct ir_block *b)
{
	yyjson_val *k, *v;
	size_t i, max;

	yyjson_obj_foreach(call, i, max, k, v)
	{
		struct gw_str key = gw_json_str(k);

		if (gw_str_eq(key, GW_LIT("id")) || gw_str_eq(key, GW_LIT("type")) ||
		    gw_str_eq(key, GW_LIT("function")) || gw_str_eq(key, GW_LIT("custom")) ||
		    gw_str_eq(key, GW_LIT("index")))
			continue;
		if (b->signature.n && gw_str_eq(key, GW_LIT("extra_content"))) {
			b->form |= OPENAI_B_SIGNED; /* carried as the signature; `other` has it as it was */
			continue;
		}
		if (!ir_extra_add(r->a, &b->extra, GW_D_OPENAI, k, v))
			return ir_read_nomem(r);
	}
	return true;
}

static bool read_call(struct ir_read *r, const struct ir_at *at, yyjson_val *call, struct ir_block **list)
{
	bool is_custom = gw_str_eq(ir_get_str(call, GW_LIT("type")), GW_LIT("custom"));
	yyjson_val *fn = yyjson_is_obj(call) ? yyjson_obj_get(call, is_custom ? "custom" : "function") : NULL;
	struct ir_block *b = ir_block_add(r->a, list, IR_TOOL_CALL);
	const struct ir_at *in = is_custom ? IR_AT_KEY(at, "custom") : IR_AT_KEY(at, "function");

	if (!b)
		return ir_read_nomem(r);
	if (!yyjson_is_obj(fn))
		return ir_read_bad(r, in, "must be an object with \"name\" and \"arguments\"");
	b->is_custom = is_custom;
	b->other = call;
	b->signature = openai_call_signature(call);
	b->signature_of = b->signature.n ? GW_D_GEMINI : GW_D_NONE;
	if (!read_call_text(r, at, call, "id", &b->id) || !read_call_text(r, in, fn, "name", &b->name) ||
	    !read_call_text(r, in, fn, is_custom ? "input" : "arguments", &b->args))
		return false;
	if (!b->name.n)
		return ir_read_missing(r, IR_AT_KEY(in, "name"), "a call must name its function");
	return keep_call_rest(r, call, b);
}

static bool read_calls(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_message *m = base;
	yyjson_val *call;
	size_t i, max;

	if (!yyjson_is_arr(v))
		return ir_read_bad(r, at, "must be a list of calls");
	if (!yyjson_arr_size(v))
		return ir_read_keep(r, at, v, &m->extra, GW_D_OPENAI);
	yyjson_arr_foreach(v, i, max, call)
	{
		if (!read_call(r, IR_AT_ITEM(at, i), call, &m->blocks))
			return false;
	}
	return true;
}

/* The one call of the time before tools; it has no id, its name serves as one. */
static bool read_old_call(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_message *m = base;
	struct ir_block *b = ir_block_add(r->a, &m->blocks, IR_TOOL_CALL);

	if (!b)
		return ir_read_nomem(r);
	if (!yyjson_is_obj(v))
		return ir_read_bad(r, at, "must be an object with \"name\" and \"arguments\"");
	b->form = OPENAI_B_FUNCTION;
	if (!read_call_text(r, at, v, "name", &b->name) || !read_call_text(r, at, v, "arguments", &b->args))
		return false;
	b->id = gw_arena_printf(r->a, "call_%.*s", GW_FMT(b->name));
	return b->id.p || ir_read_nomem(r);
}

static bool read_refusal(struct ir_read *r, const struct ir_at *at, yyjson_val *v, void *base)
{
	struct ir_message *m = base;
	struct ir_block *b;

	if (!yyjson_is_str(v))
		return ir_read_bad(r, at, "must be a string");
	if (!yyjson_get_len(v))
		return ir_read_keep(r, at, v, &m->extra, GW_D_OPENAI);
	b = ir_block_add(r->a, &m->blocks, IR_REFUSAL);
	if (!b)
		return ir_read_nomem(r);
	b->form = OPENAI_B_FIELD;
	b->text = gw_json_str(v);
	return true;
}

/* ---- messages ---- */

static const struct ir_member plain_members[] = {
	{ "role", IR_M_SKIP, 0, NULL },
	{ "content", IR_M_SKIP, 0, NULL },
	{ "name", IR_M_STR, offsetof(struct ir_message, name), NULL },
};
static const struct ir_member assistant_members[] = {
	{ "role", IR_M_SKIP, 0, NULL },
	{ "content", IR_M_SKIP, 0, NULL },
	{ "name", IR_M_STR, offsetof(struct ir_message, name), NULL },
	{ "tool_calls", IR_M_FN, 0, read_calls },
	{ "function_call", IR_M_FN, 0, read_old_call },
	{ "refusal", IR_M_FN, 0, read_refusal },
	{ "reasoning_content", IR_M_SKIP, 0, NULL },
	{ "reasoning", IR_M_SKIP, 0, NULL },
	{ "reasoning_details", IR_M_SKIP, 0, NULL },
	{ "thinking_blocks", IR_M_SKIP, 0, NULL },
};
static const struct ir_member tool_members[] = {
	{ "role", IR_M_SKIP, 0, NULL },
	{ "content", IR_M_SKIP, 0, NULL },
	{ "tool_call_id", IR_M_SKIP, 0, NULL },
	{ "name", IR_M_SKIP, 0, NULL },
};
#define N(list) (sizeof(list) / sizeof((list)[0]))

static bool read_tool(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_message *m, bool is_function)
{
	yyjson_val *id = yyjson_obj_get(v, "tool_call_id"), *name = yyjson_obj_get(v, "name");
	struct ir_block *b = ir_block_add(r->a, &m->blocks, IR_TOOL_RESULT);

	if (!b)
		return ir_read_nomem(r);
	m->form |= is_function ? OPENAI_M_FUNCTION : OPENAI_M_TOOL;
	if (yyjson_is_str(name))
		b->name = gw_json_str(name);
	else if (name && !ir_read_keep(r, IR_AT_KEY(at, "name"), name, &m->extra, GW_D_OPENAI))
		return false;
	if (is_function) {
		b->id = gw_arena_printf(r->a, "call_%.*s", GW_FMT(b->name));
		if (!b->name.n)
			return ir_read_missing(r, IR_AT_KEY(at, "name"), "a function message must name its function");
	} else if (!yyjson_is_str(id)) {
		return ir_read_missing(r, IR_AT_KEY(at, "tool_call_id"),
				       "a tool message must name the call it answers");
	} else {
		b->id = gw_json_str(id);
	}
	return read_content(r, IR_AT_KEY(at, "content"), yyjson_obj_get(v, "content"), &b->content, &m->form) &&
	       ir_read_members(r, at, v, tool_members, N(tool_members), m, &m->extra, GW_D_OPENAI);
}

/* What the reasoning's reader did not understand or need stays as it is. */
static bool keep_reasoning(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_message *m,
			   unsigned took)
{
	static const struct {
		const char *name;
		unsigned bit;
	} fields[] = { { "thinking_blocks", OPENAI_TOOK_THINKING },
		       { "reasoning_details", OPENAI_TOOK_DETAILS },
		       { "reasoning_content", OPENAI_TOOK_CONTENT },
		       { "reasoning", OPENAI_TOOK_REASONING } };

	for (size_t i = 0; i < N(fields); i++) {
		yyjson_val *f = yyjson_obj_get(v, fields[i].name);
		struct ir_at here = { .up = at, .key = gw_str_z(fields[i].name) };

		if (!f || took & fields[i].bit)
			continue;
		if (took && i >= 2 && yyjson_get_len(f) && yyjson_is_str(f) &&
		    gw_str_eq(gw_json_str(f), openai_reasoning_text(r->a, m->blocks)))
			m->form |= i == 2 ? OPENAI_M_CONTENT_TOO : OPENAI_M_REASONING_TOO;
		else if (!ir_read_keep(r, &here, f, &m->extra, GW_D_OPENAI))
			return false;
	}
	return true;
}

static bool read_assistant(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_message *m)
{
	unsigned took = 0;

	if (!openai_read_reasoning(r->a, v, &m->blocks, &took))
		return ir_read_nomem(r);
	return keep_reasoning(r, at, v, m, took) &&
	       read_content(r, IR_AT_KEY(at, "content"), yyjson_obj_get(v, "content"), &m->blocks, &m->form) &&
	       ir_read_members(r, at, v, assistant_members, N(assistant_members), m, &m->extra, GW_D_OPENAI);
}

static bool read_message(struct ir_read *r, const struct ir_at *at, yyjson_val *v)
{
	struct gw_str role = yyjson_is_obj(v) ? ir_get_str(v, GW_LIT("role")) : GW_NIL;
	bool is_function = gw_str_eq(role, GW_LIT("function")), is_developer = gw_str_eq(role, GW_LIT("developer")),
	     is_system = is_developer || gw_str_eq(role, GW_LIT("system")),
	     is_assistant = gw_str_eq(role, GW_LIT("assistant")),
	     is_tool = is_function || gw_str_eq(role, GW_LIT("tool"));
	struct ir_message *m;

	if (!role.p)
		return ir_read_bad(r, at, "each message must be an object with a string \"role\"");
	if (!is_system && !is_assistant && !is_tool && !gw_str_eq(role, GW_LIT("user")))
		return ir_read_bad(r, IR_AT_KEY(at, "role"), "must be system, developer, user, assistant or tool");
	m = ir_message_add(r->a, r->rq, is_system ? IR_SYSTEM : is_assistant ? IR_ASSISTANT : IR_USER);
	if (!m)
		return ir_read_nomem(r);
	if (is_developer)
		m->form |= OPENAI_M_DEVELOPER;
	if (is_tool)
		return read_tool(r, at, v, m, is_function);
	if (is_assistant)
		return read_assistant(r, at, v, m);
	return read_content(r, IR_AT_KEY(at, "content"), yyjson_obj_get(v, "content"), &m->blocks, &m->form) &&
	       ir_read_members(r, at, v, plain_members, N(plain_members), m, &m->extra, GW_D_OPENAI);
}

bool openai_read_messages(struct ir_read *r, const struct ir_at *at, yyjson_val *list, void *base)
{
	yyjson_val *v;
	size_t i, max;

	(void)base;
	if (!yyjson_is_arr(list))
		return ir_read_bad(r, at, "must be a list of messages");
	yyjson_arr_foreach(list, i, max, v)
	{
		if (!read_message(r, IR_AT_ITEM(at, i), v))
			return false;
	}
	return true;
}
