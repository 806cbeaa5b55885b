/* A v2 chat request into the IR. */
#include "core/dialect/cohere/cohere.h"

#include <stdio.h>

struct in {
	struct gw_arena *a;
	struct ir_request *rq;
	struct gw_str *param, *why;
	int message, part; /* -1: not in one */
};

static enum gw_err bad(struct in *in, enum gw_err e, const char *leaf, const char *why)
{
	char at[64];
	int n = 0;

	if (in->message >= 0)
		n = snprintf(at, sizeof(at), "messages[%d].", in->message);
	if (in->message >= 0 && in->part >= 0)
		n = snprintf(at, sizeof(at), "messages[%d].content[%d].", in->message, in->part);
	*in->param = gw_arena_printf(in->a, "%.*s%s", n, n ? at : "", leaf);
	*in->why = gw_str_z(why);
	return e;
}

/* A block at the end of a list; `tail` moves on. */
static struct ir_block *add(struct in *in, struct ir_block ***tail, enum ir_block_kind kind, const yyjson_val *own)
{
	struct ir_block *b = ir_block_add(in->a, *tail, kind);

	if (!b)
		return NULL;
	b->other_of = GW_D_COHERE;
	b->other = own;
	*tail = &b->next;
	return b;
}

static enum gw_err keep(struct in *in, struct ir_extra ***tail, const yyjson_val *key, const yyjson_val *val)
{
	if (!ir_extra_add(in->a, *tail, GW_D_COHERE, key, val))
		return GW_E_NOMEM;
	*tail = &(**tail)->next;
	return GW_OK;
}

/* ---- content ---- */

static struct gw_str text_of_tree(struct gw_arena *a, const yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str s;

	if (yyjson_is_str(cohere_val(v)))
		return gw_json_str(v);
	gw_buf_init(&b, 32 << 20);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	s = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return s;
}

static enum gw_err image_read(struct in *in, const yyjson_val *v, struct ir_block ***tail)
{
	const yyjson_val *image = cohere_get(v, "image_url");
	struct gw_str url = cohere_str(yyjson_is_obj(cohere_val(image)) ? cohere_get(image, "url") : image);
	struct ir_block *b;

	if (!url.n)
		return bad(in, GW_E_INVALID, "image_url.url", "it must be an address or a data: URL");
	b = add(in, tail, IR_IMAGE, v);
	if (!b)
		return GW_E_NOMEM;
	b->media.from = IR_BASE64;
	if (!ir_data_url(url, &b->media.mime, &b->media.data)) {
		b->media.from = IR_URL;
		b->media.data = url;
	}
	b->media.detail = cohere_str(cohere_get(image, "detail"));
	return GW_OK;
}

static enum gw_err part_read(struct in *in, const yyjson_val *v, struct ir_block ***tail)
{
	const yyjson_val *type = cohere_get(v, "type");
	struct ir_block *b;

	if (!cohere_str(type).n)
		return bad(in, type ? GW_E_INVALID : GW_E_MISSING, "type", "each part has a type such as \"text\"");
	if (cohere_is(type, "image_url"))
		return image_read(in, v, tail);
	if (cohere_is(type, "document")) { /* of a tool: to others it is its text */
		b = add(in, tail, IR_TEXT, v);
		if (b)
			b->text = text_of_tree(in->a, cohere_get(cohere_get(v, "document"), "data"));
		return b && b->text.p ? GW_OK : GW_E_NOMEM;
	}
	if (!cohere_is(type, "text") && !cohere_is(type, "thinking"))
		return add(in, tail, IR_OTHER, v) ? GW_OK : GW_E_NOMEM;
	b = add(in, tail, cohere_is(type, "text") ? IR_TEXT : IR_REASONING, v);
	if (!b)
		return GW_E_NOMEM;
	b->text = cohere_str(cohere_get(v, b->kind == IR_TEXT ? "text" : "thinking"));
	if (!b->text.p)
		return bad(in, GW_E_INVALID, b->kind == IR_TEXT ? "text" : "thinking", "it must be a string");
	return GW_OK;
}

static enum gw_err content_read(struct in *in, const yyjson_val *v, struct ir_block ***tail)
{
	yyjson_arr_iter it;
	enum gw_err e = GW_OK;
	struct ir_block *b;

	if (yyjson_is_str(cohere_val(v))) {
		b = add(in, tail, IR_TEXT, NULL);
		if (b)
			b->text = gw_json_str(v);
		return b ? GW_OK : GW_E_NOMEM;
	}
	if (!yyjson_is_arr(cohere_val(v)))
		return bad(in, v ? GW_E_INVALID : GW_E_MISSING, "content", "it must be a string or a list of parts");
	it = yyjson_arr_iter_with(cohere_val(v));
	in->part = 0;
	for (yyjson_val *p; !e && (p = yyjson_arr_iter_next(&it)); in->part++)
		e = part_read(in, p, tail);
	if (!e)
		in->part = -1;
	return e;
}

/* ---- messages ---- */

static enum gw_err calls_read(struct in *in, const yyjson_val *v, struct ir_block ***tail)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));

	if (!yyjson_is_arr(cohere_val(v)))
		return bad(in, GW_E_INVALID, "tool_calls", "it must be a list");
	for (yyjson_val *call; (call = yyjson_arr_iter_next(&it));) {
		const yyjson_val *f = cohere_get(call, "function");
		struct ir_block *b;

		if (!cohere_str(cohere_get(call, "id")).n || !cohere_str(cohere_get(f, "name")).n)
			return bad(in, GW_E_INVALID, "tool_calls", "each call needs an id and function.name");
		b = add(in, tail, IR_TOOL_CALL, call);
		if (!b)
			return GW_E_NOMEM;
		b->id = gw_json_str(cohere_get(call, "id"));
		b->name = gw_json_str(cohere_get(f, "name"));
		b->args = cohere_str(cohere_get(f, "arguments"));
	}
	return GW_OK;
}

static enum gw_err tool_message(struct in *in, const yyjson_val *v, struct ir_message *m, struct ir_block ***tail)
{
	struct gw_str id = cohere_str(cohere_get(v, "tool_call_id"));
	struct ir_block *b, **inner;

	if (!id.n)
		return bad(in, GW_E_MISSING, "tool_call_id", "it must be the id of the call that this answers");
	b = add(in, tail, IR_TOOL_RESULT, v);
	if (!b)
		return GW_E_NOMEM;
	b->id = id;
	m->form = 0;
	inner = &b->content;
	return content_read(in, cohere_get(v, "content"), &inner);
}

static enum gw_err message_rest(struct in *in, const yyjson_val *v, struct ir_message *m, struct ir_block ***tail)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(cohere_val(v));
	struct ir_extra **extra = &m->extra;
	enum gw_err e = GW_OK;

	for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);
		struct ir_block *b;

		if (cohere_is(key, "role") || (cohere_is(key, "content") && !yyjson_is_null(val)))
			continue;
		if (cohere_is(key, "tool_calls") && yyjson_arr_size(val)) {
			e = calls_read(in, val, tail);
		} else if (cohere_is(key, "tool_plan") && yyjson_is_str(val)) {
			b = add(in, tail, IR_REASONING, val);
			if (!b)
				return GW_E_NOMEM;
			b->form = COHERE_B_PLAN;
			b->text = gw_json_str(val);
		} else {
			e = keep(in, &extra, key, val);
		}
	}
	return e;
}

static enum gw_err message_read(struct in *in, const yyjson_val *v)
{
	const yyjson_val *role = cohere_get(v, "role"), *content = cohere_get(v, "content");
	bool is_tool = cohere_is(role, "tool"), is_model = cohere_is(role, "assistant");
	struct ir_block **tail;
	struct ir_message *m;
	enum gw_err e;

	if (!is_tool && !is_model && !cohere_is(role, "user") && !cohere_is(role, "system"))
		return bad(in, role ? GW_E_INVALID : GW_E_MISSING, "role",
			   "it must be \"system\", \"user\", \"assistant\" or \"tool\"");
	m = ir_message_add(in->a, in->rq, cohere_is(role, "system") ? IR_SYSTEM : is_model ? IR_ASSISTANT : IR_USER);
	if (!m)
		return GW_E_NOMEM;
	tail = &m->blocks;
	if (is_tool)
		return tool_message(in, v, m, &tail);
	m->form = yyjson_is_str(cohere_val(content)) ? COHERE_M_STRING : COHERE_M_LIST;
	if (is_model && (!content || yyjson_is_null(cohere_val(content))))
		m->form = 0;
	else if ((e = content_read(in, content, &tail)))
		return e;
	return message_rest(in, v, m, &tail);
}

static enum gw_err messages_read(struct in *in, const yyjson_val *v)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));
	enum gw_err e = GW_OK;

	if (!yyjson_is_arr(cohere_val(v)) || !yyjson_arr_size(cohere_val(v)))
		return bad(in, v ? GW_E_INVALID : GW_E_MISSING, "messages",
			   "a list with at least one message is needed");
	for (yyjson_val *m; !e && (m = yyjson_arr_iter_next(&it));) {
		in->message++;
		in->part = -1;
		e = message_read(in, m);
	}
	if (!e)
		in->message = -1;
	return e;
}

/* ---- the rest ---- */

static enum gw_err tools_read(struct in *in, const yyjson_val *arr)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(arr));
	struct ir_tool **tail = &in->rq->tools;

	if (!yyjson_is_arr(cohere_val(arr)))
		return bad(in, GW_E_INVALID, "tools", "it must be a list of tools");
	for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
		const yyjson_val *f = cohere_get(v, "function"), *schema = cohere_get(f, "parameters");
		struct ir_request one = { 0 };
		struct ir_tool *t;

		if (!cohere_str(cohere_get(f, "name")).n)
			return bad(in, GW_E_INVALID, "tools",
				   "each tool is {\"type\":\"function\",\"function\":{\"name\",...}}");
		t = ir_tool_add(in->a, &one, IR_TOOL_FUNCTION);
		if (!t)
			return GW_E_NOMEM;
		*tail = t;
		tail = &t->next;
		t->name = gw_json_str(cohere_get(f, "name"));
		t->description = cohere_str(cohere_get(f, "description"));
		t->parameters = yyjson_is_obj(cohere_val(schema)) ? schema : NULL;
		t->hosted_of = GW_D_COHERE;
		t->hosted = v;
		t->strict = yyjson_is_true(cohere_get(f, "strict")) ? IR_YES : IR_UNSET;
	}
	return GW_OK;
}

static enum gw_err stop_read(struct in *in, const yyjson_val *v)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));
	struct ir_name **tail = &in->rq->sampling.stop;

	if (!yyjson_is_arr(cohere_val(v)))
		return bad(in, GW_E_INVALID, "stop_sequences", "it must be a list of strings");
	for (yyjson_val *s; (s = yyjson_arr_iter_next(&it));) {
		if (!yyjson_is_str(s))
			return bad(in, GW_E_INVALID, "stop_sequences", "it must be a list of strings");
		if (!ir_name_add(in->a, tail, gw_json_str(s)))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

static bool format_read(const yyjson_val *v, struct ir_format *f)
{
	const yyjson_val *schema = cohere_get(v, "json_schema");
	size_t n = yyjson_obj_size(cohere_val(v));

	if (cohere_is(cohere_get(v, "type"), "text") && n == 1)
		f->kind = IR_FORMAT_TEXT;
	else if (cohere_is(cohere_get(v, "type"), "json_object") && n == 1)
		f->kind = IR_FORMAT_JSON;
	else if (cohere_is(cohere_get(v, "type"), "json_object") && n == 2 && yyjson_is_obj(cohere_val(schema)))
		f->kind = IR_FORMAT_SCHEMA;
	else
		return false;
	f->schema = schema;
	return true;
}

static bool thinking_read(const yyjson_val *v, struct ir_reasoning *r)
{
	const yyjson_val *budget = cohere_get(v, "token_budget");
	bool is_on = cohere_is(cohere_get(v, "type"), "enabled");

	if ((!is_on && !cohere_is(cohere_get(v, "type"), "disabled")) ||
	    yyjson_obj_size(cohere_val(v)) != 1u + (budget != NULL) || (budget && !yyjson_is_int(cohere_val(budget))))
		return false;
	r->is_on = is_on ? IR_YES : IR_NO;
	r->wants_text = is_on ? IR_YES : IR_UNSET;
	if (budget)
		r->budget = (struct ir_i64){ true, yyjson_get_sint(cohere_val(budget)) };
	return true;
}

static bool choice_read(const yyjson_val *v, struct ir_tool_choice *c)
{
	if (cohere_is(v, "REQUIRED"))
		c->kind = IR_CHOICE_REQUIRED;
	else if (cohere_is(v, "NONE"))
		c->kind = IR_CHOICE_NONE;
	return c->kind != IR_CHOICE_UNSET;
}

/* Numbers and flags. 0: it is none of them; 1: taken; -1: wrong type. */
static int scalar_read(struct ir_request *rq, struct gw_str key, yyjson_val *v)
{
	struct ir_sampling *s = &rq->sampling;
	const struct {
		const char *name;
		struct ir_i64 *i;
		struct ir_f64 *f;
	} rows[] = { { "max_tokens", &s->max_tokens, NULL },
		     { "k", &s->top_k, NULL },
		     { "seed", &s->seed, NULL },
		     { "temperature", NULL, &s->temperature },
		     { "p", NULL, &s->top_p },
		     { "frequency_penalty", NULL, &s->frequency_penalty },
		     { "presence_penalty", NULL, &s->presence_penalty } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!gw_str_eq(key, gw_str_z(rows[i].name)))
			continue;
		if (rows[i].i ? !yyjson_is_int(v) : !yyjson_is_num(v))
			return -1;
		if (rows[i].i)
			*rows[i].i = (struct ir_i64){ true, yyjson_get_sint(v) };
		else
			*rows[i].f = (struct ir_f64){ true, yyjson_get_num(v) };
		return 1;
	}
	if (gw_str_eq(key, GW_LIT("stream"))) {
		rq->is_stream = yyjson_get_bool(v);
		rq->form |= COHERE_F_STREAM;
	} else if (gw_str_eq(key, GW_LIT("logprobs"))) {
		s->logprobs = yyjson_get_bool(v) ? IR_YES : IR_NO;
	} else if (gw_str_eq(key, GW_LIT("strict_tools"))) {
		rq->form |= yyjson_get_bool(v) ? COHERE_F_STRICT : COHERE_F_NOT_STRICT;
	} else {
		return 0;
	}
	return yyjson_is_bool(v) ? 1 : -1;
}

static enum gw_err member_read(struct in *in, const yyjson_val *key, yyjson_val *v, struct ir_extra ***extra)
{
	int scalar;

	if (cohere_is(key, "model") || cohere_is(key, "messages"))
		return GW_OK;
	if (yyjson_is_null(v) || (yyjson_is_arr(v) && !yyjson_arr_size(v)))
		return keep(in, extra, key, v);
	scalar = scalar_read(in->rq, gw_json_str(key), v);
	if (scalar < 0)
		return bad(in, GW_E_INVALID, yyjson_get_str(cohere_val(key)), "it has the wrong type");
	if (scalar)
		return GW_OK;
	if (cohere_is(key, "tools"))
		return tools_read(in, v);
	if (cohere_is(key, "stop_sequences"))
		return stop_read(in, v);
	if ((cohere_is(key, "response_format") && format_read(v, &in->rq->format)) ||
	    (cohere_is(key, "thinking") && thinking_read(v, &in->rq->reasoning)) ||
	    (cohere_is(key, "tool_choice") && choice_read(v, &in->rq->tool_choice)))
		return GW_OK;
	return keep(in, extra, key, v);
}

enum gw_err cohere_request_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				struct gw_str *param, struct gw_str *why)
{
	struct in in = { a, out, param, why, -1, -1 };
	yyjson_obj_iter it = yyjson_obj_iter_with(cohere_val(root));
	struct ir_extra **extra = &out->extra;
	enum gw_err e;

	out->source = GW_D_COHERE;
	out->arena = a;
	out->wants_usage = true;
	if (!yyjson_is_obj(cohere_val(root)))
		return bad(&in, GW_E_INVALID, "", "the body must be a JSON object");
	out->model = cohere_str(cohere_get(root, "model"));
	if (cohere_get(root, "model") && !out->model.n)
		return bad(&in, GW_E_INVALID, "model", "it must be the name of a model");
	e = messages_read(&in, cohere_get(root, "messages"));
	for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));)
		e = member_read(&in, key, yyjson_obj_iter_get_val(key), &extra);
	if (!e && (out->form & COHERE_F_STRICT)) {
		for (struct ir_tool *t = out->tools; t; t = t->next)
			t->strict = IR_YES;
	}
	return e;
}
