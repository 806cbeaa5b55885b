/* Calls in streams of chat completions: pieces of arguments that belong together by index, by id, or by coming next. */
#include "core/dialect/openai/stream.h"

enum gw_err openai_close_calls(struct openai_run *x, struct openai_choice *c, bool is_all)
{
	enum gw_err e = GW_OK;

	for (struct openai_call *k = c->calls; k && !e; k = k->next) {
		if (!k->is_open || !(is_all || k->pace.is_whole))
			continue;
		k->is_open = false;
		e = openai_stop_block(x, c, k->block);
	}
	return e;
}

static void pace(struct openai_json_pace *p, struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];

		if (p->in_string) {
			if (p->is_escaped)
				p->is_escaped = false;
			else if (ch == '\\')
				p->is_escaped = true;
			else if (ch == '"')
				p->in_string = false;
		} else if (ch == '"') {
			p->in_string = true;
		} else if (ch == '{' || ch == '[') {
			p->depth++;
		} else if ((ch == '}' || ch == ']') && p->depth) {
			p->is_whole = --p->depth == 0;
		}
	}
}

/* By the provider's index; by id where it tells none; else the last one, when there is nothing new in it. */
static struct openai_call *find_call(struct openai_choice *c, int64_t index, struct gw_str id, bool has_name)
{
	struct openai_call *last = NULL;

	for (struct openai_call *k = c->calls; k; k = k->next) {
		if (index >= 0 ? k->index == index && !(has_name && id.n && k->id.n && !gw_str_eq(k->id, id))
			       : id.n && gw_str_eq(k->id, id))
			return k;
		last = k;
	}
	return index < 0 && !id.n && !has_name ? last : NULL;
}

static enum gw_err open_call(struct openai_run *x, struct openai_choice *c, yyjson_val *v, int64_t index,
			     struct gw_str id, struct openai_call **out)
{
	bool is_custom = gw_str_eq(ir_get_str(v, GW_LIT("type")), GW_LIT("custom"));
	yyjson_val *fn = gw_json_get(v, is_custom ? GW_LIT("custom") : GW_LIT("function"));
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .choice = c->index };
	struct openai_call **at = &c->calls, *k;
	enum gw_err e;

	*out = NULL;
	if (c->n_calls == OPENAI_MAX_CALLS)
		return GW_OK;
	while (*at)
		at = &(*at)->next;
	k = GW_NEW(x->st->keep, struct openai_call);
	if (!k)
		return GW_E_NOMEM;
	*k = (struct openai_call){ .index = index, .is_open = true, .id = gw_arena_str(x->st->keep, id) };
	e = openai_close_open(x, c);
	if (!e)
		e = openai_close_calls(x, c, false);
	if (e)
		return e;
	*at = *out = k;
	k->block = ev.block = c->n_blocks++;
	ev.start = (struct ir_block){ .kind = IR_TOOL_CALL, .is_custom = is_custom, .other_of = GW_D_NONE };
	ev.start.name = gw_carry_name_back(x->st->carry, ir_get_str(fn, GW_LIT("name")));
	ev.start.id =
	    id.n ? id
		 : ir_make_id(x->st->scratch, "call_", x->st->carry->seed, ((uint64_t)c->index << 32) + c->n_calls, 24);
	ev.start.signature = openai_call_signature(v);
	ev.start.signature_of = ev.start.signature.n ? GW_D_GEMINI : GW_D_NONE;
	c->n_calls++;
	return ev.start.id.p ? openai_tell(x, &ev) : GW_E_NOMEM;
}

static enum gw_err call_args(struct openai_run *x, struct openai_choice *c, yyjson_val *v, struct openai_call *k)
{
	yyjson_val *fn = gw_json_get(v, GW_LIT("function")), *args;
	struct gw_str s = GW_NIL;

	if (fn)
		args = gw_json_get(fn, GW_LIT("arguments"));
	else
		args = gw_json_get(gw_json_get(v, GW_LIT("custom")), GW_LIT("input"));
	if (yyjson_is_str(args)) {
		s = gw_json_str(args);
	} else if (yyjson_is_obj(args)) {
		s = ir_tree_text(x->st->scratch, args);
		if (!s.p)
			return GW_E_NOMEM;
	}
	if (!s.n || !k->is_open)
		return GW_OK;
	pace(&k->pace, s);
	return openai_tell(
	    x, &(struct ir_event){
		   .kind = IR_EV_DELTA, .choice = c->index, .block = k->block, .delta = IR_DELTA_ARGS, .text = s });
}

enum gw_err openai_stream_calls(struct openai_run *x, struct openai_choice *c, yyjson_val *list)
{
	yyjson_val *v;
	size_t i, max;
	enum gw_err e = GW_OK;

	yyjson_arr_foreach(list, i, max, v)
	{
		yyjson_val *n = gw_json_get(v, GW_LIT("index")), *fn = gw_json_get(v, GW_LIT("function"));
		int64_t index = yyjson_is_int(n) && yyjson_get_sint(n) >= 0 ? yyjson_get_sint(n) : -1;
		struct gw_str id = ir_get_str(v, GW_LIT("id"));
		bool has_name = ir_get_str(fn ? fn : gw_json_get(v, GW_LIT("custom")), GW_LIT("name")).n > 0;
		struct openai_call *k;

		if (e || !yyjson_is_obj(v))
			continue;
		k = find_call(c, index, id, has_name);
		if (!k && has_name)
			e = open_call(x, c, v, index, id, &k);
		if (!e && k)
			e = call_args(x, c, v, k);
	}
	return e;
}

/* The one call of the time before tools. */
enum gw_err openai_stream_old_call(struct openai_run *x, struct openai_choice *c, yyjson_val *fn)
{
	struct gw_str name = ir_get_str(fn, GW_LIT("name")), args = ir_get_str(fn, GW_LIT("arguments"));
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .choice = c->index };
	struct openai_call *k = c->calls;
	enum gw_err e = GW_OK;

	if (!k && name.n) {
		k = c->calls = GW_NEW(x->st->keep, struct openai_call);
		if (!k)
			return GW_E_NOMEM;
		e = openai_close_open(x, c);
		c->n_calls = 1;
		*k = (struct openai_call){ .is_open = true, .block = c->n_blocks++ };
		ev.block = k->block;
		ev.start = (struct ir_block){ .kind = IR_TOOL_CALL, .other_of = GW_D_NONE, .signature_of = GW_D_NONE };
		ev.start.name = gw_carry_name_back(x->st->carry, name);
		ev.start.id = ir_make_id(x->st->scratch, "call_", x->st->carry->seed, (uint64_t)c->index << 32, 24);
		if (!e)
			e = ev.start.id.p ? openai_tell(x, &ev) : GW_E_NOMEM;
	}
	if (e || !k || !args.n || !k->is_open)
		return e;
	return openai_tell(
	    x, &(struct ir_event){
		   .kind = IR_EV_DELTA, .choice = c->index, .block = k->block, .delta = IR_DELTA_ARGS, .text = args });
}
