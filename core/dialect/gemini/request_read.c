/* A generateContent body into the IR: everything but the parts of contents (parts_read.c). Both spellings of a member are taken; a member
 * given in both is refused, because nobody could say which one a provider would follow. */
#include "core/dialect/gemini/gemini.h"

enum { MAX_UNKNOWN = 512, MAX_TOOLS = 4096, MAX_NAMES = 4096 };

enum gw_err gemini_refuse(struct gemini_reader *r, struct gw_str param, const char *why)
{
	*r->param = param;
	*r->why = gw_str_z(why);
	return param.p ? GW_E_INVALID : GW_E_NOMEM;
}

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

/* A member that the IR does not know, kept under its path ("generationConfig.speechConfig"). */
static enum gw_err keep_extra(struct gemini_reader *r, struct ir_extra **list, const char *prefix, struct gw_str key,
			      const yyjson_val *val)
{
	struct ir_extra **at = list, *x;
	unsigned n = 0;

	for (; *at; at = &(*at)->next) {
		if (++n >= MAX_UNKNOWN)
			return gemini_refuse(r, key, "there are too many members that are not known");
	}
	x = GW_NEW(r->a, struct ir_extra);
	if (!x)
		return GW_E_NOMEM;
	*x = (struct ir_extra){ .of = GW_D_GEMINI, .key = key, .val = val };
	if (*prefix)
		x->key = gw_arena_printf(r->a, "%s%.*s", prefix, GW_FMT(key));
	*at = x;
	return x->key.p ? GW_OK : GW_E_NOMEM;
}

/* Walks an object: known members go to `take`, others to the extras. */
typedef enum gw_err take_fn(struct gemini_reader *r, int field, const yyjson_val *val, void *ctx);
static enum gw_err walk(struct gemini_reader *r, const yyjson_val *obj, const struct gemini_fields *f, uint32_t *form,
			unsigned shift, const char *prefix, struct ir_extra **extra, take_fn *take, void *ctx)
{
	uint32_t seen = 0;
	yyjson_obj_iter it;
	yyjson_val *k;
	enum gw_err e = GW_OK;

	yyjson_obj_iter_init(mut(obj), &it);
	while (!e && (k = yyjson_obj_iter_next(&it))) {
		const yyjson_val *v = yyjson_obj_iter_get_val(k);
		bool is_snake;
		int i = gemini_field(f, gw_json_str(k), &is_snake);

		if (i < 0) {
			e = keep_extra(r, extra, prefix, gw_json_str(k), v);
			continue;
		}
		if (seen >> i & 1)
			return gemini_refuse(r, gw_arena_printf(r->a, "%s%s", prefix, f->names[i]),
					     "is given twice, in camelCase and in snake_case; keep one");
		seen |= UINT32_C(1) << i;
		if (is_snake)
			*form |= UINT32_C(1) << ((unsigned)i + shift);
		if (!yyjson_is_null(mut(v)))
			e = take(r, i, v, ctx);
	}
	return e;
}

static enum gw_err bad_type(struct gemini_reader *r, const char *prefix, const char *name, const char *why)
{
	return gemini_refuse(r, gw_arena_printf(r->a, "%s%s", prefix, name), why);
}

static bool as_int(const yyjson_val *v, struct ir_i64 *out)
{
	double d;

	if (yyjson_is_int(mut(v)) && !(yyjson_is_uint(mut(v)) && yyjson_get_uint(mut(v)) > INT64_MAX)) {
		*out = (struct ir_i64){ true, yyjson_get_sint(mut(v)) };
		return true;
	}
	if (yyjson_is_str(mut(v))) { /* proto JSON writes 64-bit numbers as strings */
		out->is_set = gw_str_i64(gw_json_str(v), &out->v);
		return out->is_set;
	}
	if (!yyjson_is_real(mut(v)))
		return false;
	d = yyjson_get_real(mut(v));
	if (!(d >= -9e15 && d <= 9e15) || d != (double)(int64_t)d)
		return false;
	*out = (struct ir_i64){ true, (int64_t)d };
	return true;
}

/* ---- generationConfig ---- */

static enum gw_err take_names(struct gemini_reader *r, const yyjson_val *v, struct ir_name **list, const char *path)
{
	yyjson_arr_iter it;
	yyjson_val *item;

	if (!yyjson_is_arr(mut(v)) || yyjson_arr_size(mut(v)) > MAX_NAMES)
		return gemini_refuse(r, gw_str_z(path), "must be an array of strings");
	yyjson_arr_iter_init(mut(v), &it);
	while ((item = yyjson_arr_iter_next(&it))) {
		if (!yyjson_is_str(item))
			return gemini_refuse(r, gw_str_z(path), "must be an array of strings");
		if (!ir_name_add(r->a, list, gw_json_str(item)))
			return GW_E_NOMEM;
		list = &(*list)->next; /* the next one is added without a walk */
	}
	return GW_OK;
}

static enum gw_err take_thinking(struct gemini_reader *r, int field, const yyjson_val *v, void *ctx)
{
	struct ir_reasoning *re = &r->rq->reasoning;

	(void)ctx;
	switch (field) {
	case GT_INCLUDE:
		if (!yyjson_is_bool(mut(v)))
			return bad_type(r, "generationConfig.thinkingConfig.", "includeThoughts",
					"must be true or false");
		re->wants_text = yyjson_get_bool(mut(v)) ? IR_YES : IR_NO;
		return GW_OK;
	case GT_BUDGET:
		if (!as_int(v, &re->budget))
			return bad_type(r, "generationConfig.thinkingConfig.", "thinkingBudget", "must be an integer");
		if (re->budget.v < 0) { /* -1: the model decides */
			re->is_adaptive = true;
			re->budget = (struct ir_i64){ 0 };
		}
		re->is_on = re->is_adaptive || re->budget.v ? IR_YES : IR_NO;
		return GW_OK;
	default:
		break;
	}
	if (!yyjson_is_str(mut(v)))
		return bad_type(r, "generationConfig.thinkingConfig.", "thinkingLevel", "must be a string");
	char lower[16];
	struct gw_str level = gw_json_str(v);
	size_t n = level.n < sizeof(lower) ? level.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = level.p[i] >= 'A' && level.p[i] <= 'Z' ? (char)(level.p[i] - 'A' + 'a') : level.p[i];
	re->effort = ir_effort_of(gw_str(lower, n));
	re->is_on = IR_YES;
	if (n && level.p[0] >= 'A' && level.p[0] <= 'Z')
		r->rq->form |= GEMINI_UPPER_LEVEL;
	return re->effort == IR_EFFORT_UNSET ? keep_extra(r, &re->extra, "", GW_LIT("thinkingLevel"), v) : GW_OK;
}

static enum gw_err take_format(struct gemini_reader *r, int field, const yyjson_val *v)
{
	struct ir_format *f = &r->rq->format;

	if (field != GG_MIME) {
		if (!yyjson_is_obj(mut(v)))
			return bad_type(r, "generationConfig.", gemini_generation_fields.names[field],
					"must be a JSON schema object");
		f->kind = IR_FORMAT_SCHEMA;
		f->schema = field == GG_SCHEMA ? gemini_schema_read(r->a, v) : v;
		f->schema_own = field == GG_SCHEMA ? v : NULL;
		return f->schema ? GW_OK : GW_E_NOMEM;
	}
	if (!yyjson_is_str(mut(v)))
		return bad_type(r, "generationConfig.", "responseMimeType", "must be a string");
	if (gw_str_eq(gw_json_str(v), GW_LIT("application/json"))) {
		if (f->kind == IR_FORMAT_UNSET)
			f->kind = IR_FORMAT_JSON;
		return GW_OK;
	}
	if (gw_str_eq(gw_json_str(v), GW_LIT("text/plain"))) {
		r->rq->form |= GEMINI_IS_PLAIN_MIME;
		return GW_OK;
	}
	return keep_extra(r, &r->rq->extra, "generationConfig.", GW_LIT("responseMimeType"), v); /* text/x.enum, ... */
}

static enum gw_err take_generation(struct gemini_reader *r, int field, const yyjson_val *v, void *ctx)
{
	struct ir_sampling *s = &r->rq->sampling;
	struct ir_i64 *const ints[GG_N] = { [GG_TOP_K] = &s->top_k,
					    [GG_MAX_TOKENS] = &s->max_tokens,
					    [GG_CANDIDATES] = &s->n,
					    [GG_SEED] = &s->seed,
					    [GG_TOP_LOGPROBS] = &s->top_logprobs };
	struct ir_f64 *const doubles[GG_N] = { [GG_TEMPERATURE] = &s->temperature,
					       [GG_TOP_P] = &s->top_p,
					       [GG_PRESENCE] = &s->presence_penalty,
					       [GG_FREQUENCY] = &s->frequency_penalty };
	const char *name = gemini_generation_fields.names[field];

	(void)ctx;
	if (ints[field])
		return as_int(v, ints[field]) ? GW_OK : bad_type(r, "generationConfig.", name, "must be an integer");
	if (doubles[field]) {
		if (!yyjson_is_num(mut(v)))
			return bad_type(r, "generationConfig.", name, "must be a number");
		*doubles[field] = (struct ir_f64){ true, yyjson_get_num(mut(v)) };
		return GW_OK;
	}
	switch (field) {
	case GG_STOP:
		return take_names(r, v, &s->stop, "generationConfig.stopSequences");
	case GG_LOGPROBS:
		if (!yyjson_is_bool(mut(v)))
			return bad_type(r, "generationConfig.", name, "must be true or false");
		s->logprobs = yyjson_get_bool(mut(v)) ? IR_YES : IR_NO;
		return GW_OK;
	case GG_THINKING:
		if (!yyjson_is_obj(mut(v)))
			return bad_type(r, "generationConfig.", name, "must be an object");
		r->rq->form |= GEMINI_HAS_THINKING;
		return walk(r, v, &gemini_thinking_fields, &r->rq->form, GEMINI_THINKING_SHIFT,
			    "generationConfig.thinkingConfig.", &r->rq->extra, take_thinking, NULL);
	default:
		return take_format(r, field, v);
	}
}

/* ---- tools ---- */

static enum gw_err take_declaration_field(struct gemini_reader *r, int field, const yyjson_val *v, void *ctx)
{
	struct ir_tool *t = ctx;
	const char *name = gemini_tool_fields.names[field];

	if (field == GD_NAME || field == GD_DESCRIPTION) {
		if (!yyjson_is_str(mut(v)))
			return bad_type(r, "tools[].functionDeclarations[].", name, "must be a string");
		*(field == GD_NAME ? &t->name : &t->description) = gw_json_str(v);
		return GW_OK;
	}
	if (!yyjson_is_obj(mut(v)))
		return bad_type(r, "tools[].functionDeclarations[].", name, "must be a JSON schema object");
	if (field == GD_JSON_PARAMETERS) {
		t->form |= GEMINI_IS_JSON_SCHEMA;
		t->parameters = v;
		t->parameters_own = NULL;
		return GW_OK;
	}
	if (t->form & GEMINI_IS_JSON_SCHEMA)
		return keep_extra(r, &t->extra, "", gw_str_z(name), v);
	t->parameters_own = v;
	t->parameters = gemini_schema_read(r->a, v);
	return t->parameters ? GW_OK : GW_E_NOMEM;
}

static struct ir_tool *add_tool(struct gemini_reader *r, struct ir_tool **last, enum ir_tool_kind kind)
{
	struct ir_tool *t = GW_NEW(r->a, struct ir_tool);

	if (!t)
		return NULL;
	t->kind = kind;
	t->hosted_of = GW_D_NONE;
	if (*last)
		(*last)->next = t;
	else
		r->rq->tools = t;
	*last = t;
	return t;
}

static enum gw_err take_declarations(struct gemini_reader *r, const yyjson_val *list, uint16_t form,
				     struct ir_tool **last)
{
	yyjson_arr_iter it;
	yyjson_val *d;

	if (!yyjson_is_arr(mut(list)) || yyjson_arr_size(mut(list)) > MAX_TOOLS)
		return gemini_refuse(r, GW_LIT("tools[].functionDeclarations"),
				     "must be an array of at most 4096 functions");
	yyjson_arr_iter_init(mut(list), &it);
	while ((d = yyjson_arr_iter_next(&it))) {
		uint32_t spelling = 0;
		struct ir_tool *t;
		enum gw_err e;

		if (!yyjson_is_obj(d))
			return gemini_refuse(r, GW_LIT("tools[].functionDeclarations[]"), "must be an object");
		t = add_tool(r, last, IR_TOOL_FUNCTION);
		if (!t)
			return GW_E_NOMEM;
		t->form = form;
		form &= (uint16_t)~GEMINI_NEW_ENTRY;
		e = walk(r, d, &gemini_tool_fields, &spelling, 0, "", &t->extra, take_declaration_field, t);
		if (e)
			return e;
		t->form |= (uint16_t)spelling;
		if (!t->name.n)
			return gemini_refuse(r, GW_LIT("tools[].functionDeclarations[].name"),
					     "must be a string that is not empty");
	}
	return GW_OK;
}

static enum gw_err take_tools(struct gemini_reader *r, const yyjson_val *list)
{
	struct ir_tool *last = NULL;
	yyjson_arr_iter it;
	yyjson_val *entry, *k;
	unsigned n = 0;

	if (!yyjson_is_arr(mut(list)))
		return gemini_refuse(r, GW_LIT("tools"), "must be an array");
	r->rq->form |= GEMINI_HAS_TOOLS;
	yyjson_arr_iter_init(mut(list), &it);
	while ((entry = yyjson_arr_iter_next(&it))) {
		uint16_t form = GEMINI_NEW_ENTRY;
		yyjson_obj_iter oi;

		if (!yyjson_is_obj(entry))
			return gemini_refuse(r, GW_LIT("tools[]"), "must be an object");
		yyjson_obj_iter_init(entry, &oi);
		while ((k = yyjson_obj_iter_next(&oi))) {
			const yyjson_val *v = yyjson_obj_iter_get_val(k);
			bool is_snake = gw_str_eq(gw_json_str(k), GW_LIT("function_declarations"));
			struct ir_tool *t;

			if (++n > MAX_TOOLS)
				return gemini_refuse(r, GW_LIT("tools"), "has more than 4096 entries");
			if (is_snake || gw_str_eq(gw_json_str(k), GW_LIT("functionDeclarations"))) {
				enum gw_err e = take_declarations(
				    r, v, (uint16_t)(form | (is_snake ? GEMINI_SNAKE_DECLARATIONS : 0)), &last);
				if (e)
					return e;
			} else {
				t = add_tool(r, &last, IR_TOOL_HOSTED);
				if (!t)
					return GW_E_NOMEM;
				t->form = form;
				t->name = gw_json_str(k);
				t->hosted = v;
				t->hosted_of = GW_D_GEMINI;
			}
			form = 0;
		}
	}
	return GW_OK;
}

/* ---- toolConfig ---- */

static enum gw_err take_mode(struct gemini_reader *r, const yyjson_val *cfg)
{
	struct ir_tool_choice *c = &r->rq->tool_choice;
	struct gw_str mode = gw_json_str(gemini_get(cfg, "mode"));
	const yyjson_val *names = gw_json_get(cfg, GW_LIT("allowedFunctionNames"));
	enum gw_err e;

	if (!names) {
		names = gw_json_get(cfg, GW_LIT("allowed_function_names"));
		if (names)
			r->rq->form |= 1u << GR_ALLOWED;
	} else if (gw_json_get(cfg, GW_LIT("allowed_function_names"))) {
		return gemini_refuse(r, GW_LIT("toolConfig.functionCallingConfig.allowedFunctionNames"),
				     "is given twice, in camelCase and in snake_case; keep one");
	}
	if (names) {
		e = take_names(r, names, &c->names, "toolConfig.functionCallingConfig.allowedFunctionNames");
		if (e)
			return e;
		c->form |= GC_HAS_NAMES;
	}
	if (mode.n && mode.p[0] >= 'a' && mode.p[0] <= 'z')
		c->form |= GC_LOWER_CASE;
	if (gw_str_ieq(mode, GW_LIT("none"))) {
		c->kind = IR_CHOICE_NONE;
	} else if (gw_str_ieq(mode, GW_LIT("any"))) {
		c->kind = !c->names ? IR_CHOICE_REQUIRED : c->names->next ? IR_CHOICE_ALLOWED : IR_CHOICE_NAMED;
		c->is_required = true;
	} else if (gw_str_ieq(mode, GW_LIT("validated"))) {
		c->kind = c->names ? IR_CHOICE_ALLOWED : IR_CHOICE_AUTO;
		c->form |= GC_VALIDATED;
	} else if (gw_str_ieq(mode, GW_LIT("auto"))) {
		c->kind = c->names ? IR_CHOICE_ALLOWED : IR_CHOICE_AUTO;
	} else {
		c->raw = cfg;
	}
	return GW_OK;
}

static enum gw_err take_tool_config(struct gemini_reader *r, const yyjson_val *cfg)
{
	yyjson_obj_iter it;
	yyjson_val *k;
	bool is_seen = false;

	if (!yyjson_is_obj(mut(cfg)))
		return gemini_refuse(r, GW_LIT("toolConfig"), "must be an object");
	yyjson_obj_iter_init(mut(cfg), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		const yyjson_val *v = yyjson_obj_iter_get_val(k);
		bool is_snake = gw_str_eq(gw_json_str(k), GW_LIT("function_calling_config"));
		enum gw_err e;

		if (!is_snake && !gw_str_eq(gw_json_str(k), GW_LIT("functionCallingConfig"))) {
			e = keep_extra(r, &r->rq->extra, "toolConfig.", gw_json_str(k), v);
		} else if (is_seen || !yyjson_is_obj(mut(v))) {
			return gemini_refuse(r, GW_LIT("toolConfig.functionCallingConfig"),
					     is_seen ? "is given twice, in camelCase and in snake_case; keep one"
						     : "must be an object");
		} else {
			is_seen = true;
			r->rq->form |= is_snake ? 1u << GR_FUNCTION_CALLING : 0;
			e = take_mode(r, v);
		}
		if (e)
			return e;
	}
	return GW_OK;
}

/* ---- contents ---- */

static enum gw_err take_content(struct gemini_reader *r, const yyjson_val *c, struct ir_message *m)
{
	const yyjson_val *parts = NULL;
	yyjson_obj_iter it;
	yyjson_val *k;

	yyjson_obj_iter_init(mut(c), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		enum gw_err e;

		if (gw_str_eq(gw_json_str(k), GW_LIT("parts"))) {
			parts = yyjson_obj_iter_get_val(k);
		} else if (!gw_str_eq(gw_json_str(k), GW_LIT("role"))) {
			e = keep_extra(r, &m->extra, "", gw_json_str(k), yyjson_obj_iter_get_val(k));
			if (e)
				return e;
		}
	}
	if (!parts || yyjson_is_null(mut(parts))) {
		m->form |= GM_NO_PARTS;
		return GW_OK;
	}
	return gemini_parts_read(r, parts, m);
}

static enum gw_err take_system(struct gemini_reader *r, const yyjson_val *v)
{
	struct ir_message *m = ir_message_add(r->a, r->rq, IR_SYSTEM);
	struct gw_str role;

	if (!m)
		return GW_E_NOMEM;
	r->content = UINT32_MAX;
	if (yyjson_is_str(mut(v))) { /* SDKs take it; some send it on */
		struct ir_block *b = ir_block_add(r->a, &m->blocks, IR_TEXT);

		if (!b)
			return GW_E_NOMEM;
		m->form |= GM_IS_STRING;
		b->text = gw_json_str(v);
		return GW_OK;
	}
	if (!yyjson_is_obj(mut(v)))
		return gemini_refuse(r, GW_LIT("systemInstruction"), "must be a content object with parts");
	role = gw_json_str(gw_json_get(v, GW_LIT("role")));
	m->form |= gw_str_eq(role, GW_LIT("user")) ? GM_ROLE_USER : role.n ? 0 : GM_NO_ROLE;
	return take_content(r, v, m);
}

static enum gw_err take_contents(struct gemini_reader *r, const yyjson_val *list)
{
	yyjson_arr_iter it;
	yyjson_val *c;

	if (!yyjson_is_arr(mut(list)))
		return gemini_refuse(r, GW_LIT("contents"), "must be an array of contents");
	yyjson_arr_iter_init(mut(list), &it);
	for (r->content = 0; (c = yyjson_arr_iter_next(&it)); r->content++) {
		const yyjson_val *role = yyjson_is_obj(c) ? gw_json_get(c, GW_LIT("role")) : NULL;
		struct gw_str word = gw_json_str(role);
		struct ir_message *m;
		enum gw_err e;

		if (!yyjson_is_obj(c))
			return gemini_refuse(r, gw_arena_printf(r->a, "contents[%u]", r->content), "must be an object");
		if (word.n && !gw_str_eq(word, GW_LIT("user")) && !gw_str_eq(word, GW_LIT("model")) &&
		    !gw_str_eq(word, GW_LIT("function")))
			return gemini_refuse(r, gw_arena_printf(r->a, "contents[%u].role", r->content),
					     "must be \"user\" or \"model\"");
		m = ir_message_add(r->a, r->rq, gw_str_eq(word, GW_LIT("model")) ? IR_ASSISTANT : IR_USER);
		if (!m)
			return GW_E_NOMEM;
		m->form |= !word.n ? GM_NO_ROLE : *word.p == 'f' ? GM_ROLE_FUNCTION : 0;
		e = take_content(r, c, m);
		if (e)
			return e;
	}
	return GW_OK;
}

/* The system text comes first in the IR, wherever it stands in the body: contents wait until all else was read. */
static enum gw_err take_top(struct gemini_reader *r, int field, const yyjson_val *v, void *ctx)
{
	const yyjson_val **contents = ctx;

	switch (field) {
	case GR_CONTENTS:
		*contents = v;
		return GW_OK;
	case GR_SYSTEM:
		return take_system(r, v);
	case GR_TOOLS:
		return take_tools(r, v);
	case GR_TOOL_CONFIG:
		return take_tool_config(r, v);
	case GR_GENERATION:
		if (!yyjson_is_obj(mut(v)))
			return gemini_refuse(r, GW_LIT("generationConfig"), "must be an object");
		r->rq->form |= GEMINI_HAS_GENERATION;
		return walk(r, v, &gemini_generation_fields, &r->rq->form, GEMINI_GENERATION_SHIFT, "generationConfig.",
			    &r->rq->extra, take_generation, NULL);
	default: /* names of inner objects that stand at the top mean nothing there */
		return keep_extra(r, &r->rq->extra, "", gw_str_z(gemini_request_fields.names[field]), v);
	}
}

enum gw_err gemini_read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				struct gw_str *param, struct gw_str *why)
{
	struct gemini_reader r = { .a = a, .rq = out, .param = param, .why = why };
	const yyjson_val *contents = NULL;
	enum gw_err e;

	if (!yyjson_is_obj(mut(root)))
		return gemini_refuse(&r, GW_LIT("contents"), "the body must be a JSON object");
	e = walk(&r, root, &gemini_request_fields, &out->form, 0, "", &out->extra, take_top, &contents);
	if (e)
		return e;
	if (!contents) {
		*param = GW_LIT("contents");
		*why = GW_LIT("is required");
		return GW_E_MISSING;
	}
	e = take_contents(&r, contents);
	if (!e && out->reasoning.is_adaptive)
		out->reasoning.is_on = IR_YES;
	return e;
}
