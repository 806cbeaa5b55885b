/* Parts of contents into blocks. A part has one payload (text, inlineData, fileData, functionCall, functionResponse) and may carry a thought
 * signature; payloads that only Gemini knows (executableCode, toolCall, ...) stay whole. Calls without an id get one that depends on
 * nothing but the request, and results without one find their call by name, or else by order. */
#include "core/dialect/gemini/gemini.h"

enum { MAX_PART_EXTRAS = 64 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

struct gw_str gemini_json(struct gw_arena *a, const yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str out;

	if (yyjson_is_obj(mut(v)) && yyjson_obj_size(mut(v)) == 0)
		return GW_LIT("{}");
	gw_buf_init(&b, a->max_bytes);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	out = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

static struct gw_str where(struct gemini_reader *r, const char *field)
{
	if (r->content == UINT32_MAX)
		return gw_arena_printf(r->a, "systemInstruction.parts[%u]%s", r->part, field);
	return gw_arena_printf(r->a, "contents[%u].parts[%u]%s", r->content, r->part, field);
}

static enum gw_err refuse(struct gemini_reader *r, const char *field, const char *why)
{
	return gemini_refuse(r, where(r, field), why);
}

static enum ir_block_kind media_kind(struct gw_str mime)
{
	if (gw_str_has_prefix(mime, GW_LIT("image/")))
		return IR_IMAGE;
	if (gw_str_has_prefix(mime, GW_LIT("audio/")))
		return IR_AUDIO;
	if (gw_str_has_prefix(mime, GW_LIT("video/")))
		return IR_VIDEO;
	return IR_FILE;
}

/* Members of inlineData or fileData; false: a wrong type. */
static bool read_media(const yyjson_val *obj, struct ir_block *b)
{
	struct gw_str *const places[GI_N] = { &b->media.mime, &b->media.data, &b->media.data, &b->media.name };
	yyjson_obj_iter it;
	yyjson_val *k;

	if (!yyjson_is_obj(mut(obj)))
		return false;
	yyjson_obj_iter_init(mut(obj), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		bool is_snake;
		int i = gemini_field(&gemini_media_fields, gw_json_str(k), &is_snake);
		const yyjson_val *v = yyjson_obj_iter_get_val(k);

		if (i < 0 || yyjson_is_null(mut(v)))
			continue;
		if (!yyjson_is_str(mut(v)))
			return false;
		*places[i] = gw_json_str(v);
		if (is_snake)
			b->form |= (uint16_t)(1u << (i + GEMINI_MEDIA_SHIFT));
		if (i == GI_URI)
			b->media.from = IR_URL;
	}
	b->kind = media_kind(b->media.mime);
	return b->media.data.p != NULL;
}

static bool put_extra(struct gemini_reader *r, struct ir_extra **list, const char *prefix, struct gw_str key,
		      const yyjson_val *v)
{
	struct ir_extra **at = list;
	unsigned n = 0;

	for (; *at; at = &(*at)->next) {
		if (++n >= MAX_PART_EXTRAS)
			return false;
	}
	*at = GW_NEW(r->a, struct ir_extra);
	if (!*at)
		return false;
	**at = (struct ir_extra){ .of = GW_D_GEMINI,
				  .key = *prefix ? gw_arena_printf(r->a, "%s%.*s", prefix, GW_FMT(key)) : key,
				  .val = v };
	return true;
}

/* ---- calls ---- */

static enum gw_err read_call(struct gemini_reader *r, const yyjson_val *obj, struct ir_block *b)
{
	yyjson_obj_iter it;
	yyjson_val *k;

	if (!yyjson_is_obj(mut(obj)))
		return refuse(r, ".functionCall", "must be an object");
	b->kind = IR_TOOL_CALL;
	b->form |= GEMINI_NO_ARGS;
	b->args = GW_LIT("{}");
	yyjson_obj_iter_init(mut(obj), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		const yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct gw_str key = gw_json_str(k);

		if (gw_str_eq(key, GW_LIT("name"))) {
			b->name = gw_json_str(v);
		} else if (gw_str_eq(key, GW_LIT("id"))) {
			b->id = gw_json_str(v);
		} else if (gw_str_eq(key, GW_LIT("args"))) {
			if (yyjson_is_null(mut(v)))
				continue;
			if (!yyjson_is_obj(mut(v)))
				return refuse(r, ".functionCall.args", "must be an object");
			b->args = gemini_json(r->a, v);
			b->form &= (uint16_t)~GEMINI_NO_ARGS;
		} else if (!put_extra(r, &b->extra, "functionCall.", key, v)) {
			return refuse(r, ".functionCall", "has too many members");
		}
	}
	if (!b->name.n)
		return refuse(r, ".functionCall.name", "must be a string that is not empty");
	r->calls++;
	if (!b->id.n) {
		b->id = ir_make_id(r->a, "call_", 0, r->calls, 24);
		b->form |= GEMINI_ID_MADE;
	}
	if (r->is_answering) {
		r->is_answering = false;
		r->n_pending = 0;
	}
	if (r->n_pending < GEMINI_PENDING) {
		r->is_answered[r->n_pending] = false;
		r->pending[r->n_pending++] = b;
	}
	return b->id.p && b->args.p ? GW_OK : GW_E_NOMEM;
}

/* ---- results ---- */

/* The call that a result answers, so that it is not given twice. */
static const struct ir_block *find_call(struct gemini_reader *r, const struct ir_block *b)
{
	uint32_t found = UINT32_MAX;

	r->is_answering = true;
	for (uint32_t i = 0; i < r->n_pending; i++) {
		const struct ir_block *call = r->pending[i];

		if (b->id.n) {
			if (gw_str_eq(call->id, b->id))
				r->is_answered[i] = true;
			continue;
		}
		if (r->is_answered[i])
			continue;
		if (gw_str_eq(call->name, b->name)) {
			found = i;
			break;
		}
		if (found == UINT32_MAX)
			found = i;
	}
	if (found == UINT32_MAX)
		return NULL;
	r->is_answered[found] = true;
	return r->pending[found];
}

/* {"output": "text"} and its like are a text in an envelope; everything else is told as JSON. */
static bool read_response(struct gemini_reader *r, const yyjson_val *v, struct ir_block *b)
{
	static const char *const envelopes[] = { "output", "result", "content", "error" };
	struct ir_block *t;
	yyjson_obj_iter it;
	yyjson_val *k, *inner;

	b->other = v;
	b->other_of = GW_D_GEMINI;
	if (yyjson_obj_size(mut(v)) == 0 && b->content)
		return true; /* its parts say it all */
	t = GW_NEW(r->a, struct ir_block);
	if (!t)
		return false;
	t->signature_of = t->other_of = GW_D_NONE;
	t->next = b->content;
	b->content = t;
	if (yyjson_obj_size(mut(v)) == 1) {
		yyjson_obj_iter_init(mut(v), &it);
		k = yyjson_obj_iter_next(&it);
		inner = yyjson_obj_iter_get_val(k);
		b->is_error = gw_str_eq(gw_json_str(k), GW_LIT("error"));
		for (size_t i = 0; i < sizeof(envelopes) / sizeof(*envelopes); i++) {
			if (yyjson_is_str(inner) && gw_str_eq(gw_json_str(k), gw_str_z(envelopes[i]))) {
				t->text = gw_json_str(inner);
				return true;
			}
		}
	}
	t->text = gemini_json(r->a, v);
	return t->text.p != NULL;
}

static enum gw_err read_response_parts(struct gemini_reader *r, const yyjson_val *parts, struct ir_block *b)
{
	struct ir_block **tail = &b->content;
	yyjson_arr_iter it;
	yyjson_val *p;

	if (!yyjson_is_arr(mut(parts)))
		return refuse(r, ".functionResponse.parts", "must be an array");
	yyjson_arr_iter_init(mut(parts), &it);
	while ((p = yyjson_arr_iter_next(&it))) {
		const yyjson_val *in = gemini_get(p, "inlineData"), *file = gemini_get(p, "fileData");
		struct ir_block *m = ir_block_add(r->a, tail, IR_FILE);

		if (!m)
			return GW_E_NOMEM;
		if ((!in && !file) || !read_media(in ? in : file, m))
			return refuse(r, ".functionResponse.parts[]", "must have inlineData or fileData");
		m->form |= gw_json_get(p, GW_LIT("inline_data")) ? 1u << GP_INLINE : 0;
		m->form |= gw_json_get(p, GW_LIT("file_data")) ? 1u << GP_FILE : 0;
		tail = &m->next;
	}
	return GW_OK;
}

static enum gw_err read_result(struct gemini_reader *r, const yyjson_val *obj, struct ir_block *b)
{
	const yyjson_val *response = NULL;
	const struct ir_block *call;
	yyjson_obj_iter it;
	yyjson_val *k;
	enum gw_err e;

	if (!yyjson_is_obj(mut(obj)))
		return refuse(r, ".functionResponse", "must be an object");
	b->kind = IR_TOOL_RESULT;
	yyjson_obj_iter_init(mut(obj), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		const yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct gw_str key = gw_json_str(k);

		if (gw_str_eq(key, GW_LIT("name"))) {
			b->name = gw_json_str(v);
		} else if (gw_str_eq(key, GW_LIT("id"))) {
			b->id = gw_json_str(v);
		} else if (gw_str_eq(key, GW_LIT("response"))) {
			response = v;
		} else if (gw_str_eq(key, GW_LIT("parts"))) {
			e = read_response_parts(r, v, b);
			if (e)
				return e;
		} else if (!put_extra(r, &b->extra, "functionResponse.", key, v)) {
			return refuse(r, ".functionResponse", "has too many members");
		}
	}
	if (!yyjson_is_obj(mut(response)))
		return refuse(r, ".functionResponse.response",
			      "must be an object; put a plain text into {\"output\": text}");
	if (!b->name.n)
		return refuse(r, ".functionResponse.name", "must be the name of the function that was called");
	call = find_call(r, b);
	if (!b->id.n) {
		b->form |= GEMINI_ID_MADE;
		b->id = call ? call->id : ir_make_id(r->a, "call_", 1, ++r->calls, 24);
	}
	return read_response(r, response, b) && b->id.p ? GW_OK : GW_E_NOMEM;
}

/* ---- parts ---- */

static enum gw_err fill(struct gemini_reader *r, const yyjson_val *part, const yyjson_val *const vals[GP_N],
			struct ir_block *b)
{
	const yyjson_val *thought = vals[GP_THOUGHT];

	if (vals[GP_SIGNATURE]) {
		if (!yyjson_is_str(mut(vals[GP_SIGNATURE])))
			return refuse(r, ".thoughtSignature", "must be a string");
		b->signature = gw_json_str(vals[GP_SIGNATURE]);
		b->signature_of = GW_D_GEMINI;
	}
	if (thought && !yyjson_is_bool(mut(thought)))
		return refuse(r, ".thought", "must be true or false");
	if (thought && !yyjson_get_bool(mut(thought)))
		b->form |= GEMINI_THOUGHT_FALSE;
	if (vals[GP_CALL])
		return read_call(r, vals[GP_CALL], b);
	if (vals[GP_RESPONSE])
		return read_result(r, vals[GP_RESPONSE], b);
	if (vals[GP_INLINE] || vals[GP_FILE]) {
		if (!read_media(vals[GP_INLINE] ? vals[GP_INLINE] : vals[GP_FILE], b))
			return refuse(r, vals[GP_INLINE] ? ".inlineData" : ".fileData",
				      vals[GP_INLINE] ? "must be an object with mimeType and data (base64)"
						      : "must be an object with fileUri");
		return GW_OK;
	}
	if (vals[GP_TEXT] && !yyjson_is_str(mut(vals[GP_TEXT])))
		return refuse(r, ".text", "must be a string");
	if (!vals[GP_TEXT] && !b->signature.p) { /* a kind of its own */
		b->kind = IR_OTHER;
		b->other = part;
		b->other_of = GW_D_GEMINI;
		b->extra = NULL;
		return GW_OK;
	}
	b->text = gw_json_str(vals[GP_TEXT]);
	if (thought && yyjson_get_bool(mut(thought)))
		b->kind = IR_REASONING;
	return GW_OK;
}

/* The members of a part, sorted out. */
static enum gw_err sort(struct gemini_reader *r, const yyjson_val *part, const yyjson_val *vals[GP_N],
			struct ir_block *b, bool *is_own_kind)
{
	yyjson_obj_iter it;
	yyjson_val *k;

	*is_own_kind = false;
	yyjson_obj_iter_init(mut(part), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		const yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct gw_str key = gw_json_str(k);
		bool is_snake;
		int i = gemini_field(&gemini_part_fields, key, &is_snake);

		if (i < 0) {
			bool is_note =
			    gw_str_eq(key, GW_LIT("videoMetadata")) || gw_str_eq(key, GW_LIT("video_metadata")) ||
			    gw_str_eq(key, GW_LIT("mediaResolution")) || gw_str_eq(key, GW_LIT("media_resolution")) ||
			    gw_str_eq(key, GW_LIT("partMetadata")) || gw_str_eq(key, GW_LIT("part_metadata"));

			*is_own_kind |= !is_note;
			if (!put_extra(r, &b->extra, "", key, v))
				return refuse(r, "", "has too many members");
			continue;
		}
		if (vals[i])
			return gemini_refuse(r,
					     gw_arena_printf(r->a, "contents[%u].parts[%u].%s", r->content, r->part,
							     gemini_part_fields.names[i]),
					     "is given twice, in camelCase and in snake_case; keep one");
		if (yyjson_is_null(mut(v)))
			continue;
		vals[i] = v;
		if (is_snake)
			b->form |= (uint16_t)(1u << i);
	}
	return GW_OK;
}

enum gw_err gemini_parts_read(struct gemini_reader *r, const yyjson_val *parts, struct ir_message *m)
{
	struct ir_block **tail = &m->blocks;
	yyjson_arr_iter it;
	yyjson_val *p;

	r->part = 0;
	if (!yyjson_is_arr(mut(parts)))
		return gemini_refuse(r, GW_LIT("contents[].parts"), "must be an array of parts");
	yyjson_arr_iter_init(mut(parts), &it);
	for (; (p = yyjson_arr_iter_next(&it)); r->part++) {
		const yyjson_val *vals[GP_N] = { NULL };
		struct ir_block *b;
		bool is_own_kind;
		enum gw_err e;

		if (!yyjson_is_obj(p))
			return refuse(r, "", "must be an object");
		b = ir_block_add(r->a, tail, IR_TEXT);
		if (!b)
			return GW_E_NOMEM;
		tail = &b->next;
		e = sort(r, p, vals, b, &is_own_kind);
		if (e)
			return e;
		if (is_own_kind && !vals[GP_TEXT] && !vals[GP_CALL] && !vals[GP_RESPONSE] && !vals[GP_INLINE] &&
		    !vals[GP_FILE]) {
			b->kind = IR_OTHER;
			b->other = p;
			b->other_of = GW_D_GEMINI;
			b->extra = NULL;
			continue;
		}
		e = fill(r, p, vals, b);
		if (e)
			return e;
	}
	return GW_OK;
}

/* ---- of replies: any type anywhere ---- */

struct ir_block *gemini_part_read(struct gw_arena *a, const yyjson_val *part, struct ir_block **list)
{
	const yyjson_val *text = gw_json_get(part, GW_LIT("text")), *data = gemini_get(part, "inlineData");
	const yyjson_val *file = data ? NULL : gemini_get(part, "fileData");
	const yyjson_val *signature = gemini_get(part, "thoughtSignature");
	struct ir_block *b = ir_block_add(a, list, IR_OTHER);

	if (!b)
		return NULL;
	if (yyjson_is_str(mut(text))) {
		b->kind = yyjson_is_true(mut(gw_json_get(part, GW_LIT("thought")))) ? IR_REASONING : IR_TEXT;
		b->text = gw_json_str(text);
	} else if (!(data || file) || !read_media(data ? data : file, b)) {
		b->kind = IR_OTHER;
		b->other = part;
		b->other_of = GW_D_GEMINI;
	}
	if (yyjson_is_str(mut(signature)) && b->kind != IR_OTHER) {
		b->signature = gw_json_str(signature);
		b->signature_of = GW_D_GEMINI;
	}
	return b;
}
