/* Tools and their choice, written into chat completions bodies. */
#include "core/dialect/openai/write.h"

#define has openai_has

/* Of a choice that allows some, only those are told of: providers of this dialect do not all know the longer form. */
static bool is_allowed(const struct openai_write *x, struct gw_str name)
{
	const struct ir_tool_choice *c = &x->rq->tool_choice;

	if (c->kind != IR_CHOICE_ALLOWED || x->is_home)
		return true;
	for (const struct ir_name *n = c->names; n; n = n->next)
		if (gw_str_eq(n->name, name))
			return true;
	return false;
}

/* A name that had to change is noted, so that the reply tells the client's own. */
static struct gw_str note_name(struct openai_write *x, struct gw_str name)
{
	struct gw_str theirs = openai_name(x, name);

	if (x->o->carry && !gw_carry_name_note(x->a, x->o->carry, name, theirs) && !x->err)
		x->err = GW_E_NOMEM;
	return theirs;
}

/* Unknown members of the inner object, from the object as it came. */
static void put_rest(struct openai_write *x, const struct ir_tool *t, const char *member)
{
	static const char *const known[] = { "name", "description", "parameters", "strict", "format" };
	const yyjson_val *body = ir_extra_get(t->extra, GW_D_OPENAI, gw_str_z(member));
	yyjson_val *k, *v;
	size_t i, max, j;

	yyjson_obj_foreach((yyjson_val *)(uintptr_t)body, i, max, k, v)
	{
		for (j = 0; j < 5; j++)
			if (gw_str_eq(gw_json_str(k), gw_str_z(known[j])))
				break;
		if (j < 5 && !yyjson_is_null(v))
			continue;
		gw_jw_key(&x->w, gw_json_str(k));
		gw_jw_val(&x->w, v);
	}
}

/* Chat completions nest the grammar, responses do not. */
static void put_custom_format(struct openai_write *x, const yyjson_val *f)
{
	bool is_flat = gw_json_get(f, GW_LIT("definition")) != NULL;

	gw_jw_key(&x->w, GW_LIT("format"));
	if (!is_flat) {
		gw_jw_val(&x->w, f);
		return;
	}
	gw_jw_raw(&x->w, GW_LIT("{\"type\":\"grammar\",\"grammar\":{\"syntax\":"));
	gw_json_quote(x->w.b, ir_get_str(f, GW_LIT("syntax")));
	gw_buf_puts(x->w.b, GW_LIT(",\"definition\":"));
	gw_json_quote(x->w.b, ir_get_str(f, GW_LIT("definition")));
	gw_buf_puts(x->w.b, GW_LIT("}}"));
}

static void put_function(struct openai_write *x, const struct ir_tool *t, const char *member)
{
	bool is_custom = t->kind == IR_TOOL_CUSTOM;

	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "name", note_name(x, t->name));
	if (t->description.p)
		gw_jw_kstr(&x->w, "description", t->description);
	if (t->parameters && is_custom) {
		put_custom_format(x, t->parameters);
	} else if (t->parameters) {
		gw_jw_key(&x->w, GW_LIT("parameters"));
		gw_jw_val(&x->w, t->parameters);
	}
	if (t->strict)
		gw_jw_kbool(&x->w, "strict", t->strict == IR_YES);
	if (x->is_home && member)
		put_rest(x, t, member);
	else if (x->is_home)
		ir_extra_write(t->extra, GW_D_OPENAI, &x->w, NULL, "");
	gw_jw_end_obj(&x->w);
}

static void put_tool_extras(struct openai_write *x, const struct ir_tool *t, const char *member)
{
	for (const struct ir_extra *e = t->extra; e; e = e->next) {
		if (e->of == GW_D_OPENAI && gw_str_eq(e->key, gw_str_z(member)))
			continue;
		ir_extra_write(&(struct ir_extra){ .of = e->of, .key = e->key, .val = e->val }, GW_D_OPENAI, &x->w,
			       x->rq, "tools[].");
	}
}

static void put_tool(struct openai_write *x, const struct ir_tool *t)
{
	const char *member = t->kind == IR_TOOL_CUSTOM ? "custom" : "function";

	if (t->kind == IR_TOOL_HOSTED) {
		gw_jw_val(&x->w, t->hosted);
		return;
	}
	gw_jw_obj(&x->w);
	if (!x->is_home || t->form != OPENAI_T_UNTYPED)
		gw_jw_kstr(&x->w, "type", gw_str_z(member));
	gw_jw_key(&x->w, gw_str_z(member));
	put_function(x, t, member);
	if (t->cache && (x->is_home || has(x, GW_Q_CACHE_CONTROL))) {
		gw_jw_key(&x->w, GW_LIT("cache_control"));
		gw_jw_raw(&x->w, t->cache == IR_CACHE_1H   ? GW_LIT("{\"type\":\"ephemeral\",\"ttl\":\"1h\"}")
				 : t->cache == IR_CACHE_5M ? GW_LIT("{\"type\":\"ephemeral\",\"ttl\":\"5m\"}")
							   : GW_LIT("{\"type\":\"ephemeral\"}"));
	} else if (t->cache) {
		openai_drop(x, "cache_control");
	}
	put_tool_extras(x, t, member);
	gw_jw_end_obj(&x->w);
}

static bool is_written(struct openai_write *x, const struct ir_tool *t)
{
	if (t->kind == IR_TOOL_HOSTED && t->hosted_of != GW_D_OPENAI) {
		ir_drop_name(x->rq, gw_arena_printf(x->a, "tools[] (%.*s)", GW_FMT(t->name)));
		return false;
	}
	return t->kind == IR_TOOL_HOSTED || is_allowed(x, t->name);
}

static void put_choice_word(struct openai_write *x, const struct ir_tool_choice *c)
{
	bool is_any = has(x, GW_Q_CHOICE_ANY) || (x->is_home && c->form & OPENAI_C_ANY);
	bool is_required = c->kind == IR_CHOICE_REQUIRED || (c->kind == IR_CHOICE_ALLOWED && c->is_required);

	gw_jw_str(&x->w, c->kind == IR_CHOICE_NONE ? GW_LIT("none")
			 : !is_required            ? GW_LIT("auto")
			 : is_any                  ? GW_LIT("any")
						   : GW_LIT("required"));
}

static bool is_custom_tool(const struct openai_write *x, struct gw_str name)
{
	for (const struct ir_tool *t = x->rq->tools; t; t = t->next)
		if (gw_str_eq(t->name, name))
			return t->kind == IR_TOOL_CUSTOM;
	return false;
}

static void put_named(struct openai_write *x, struct gw_str name)
{
	bool is_custom = is_custom_tool(x, name) || (x->is_home && x->rq->tool_choice.form & OPENAI_C_CUSTOM);

	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_key(&x->w, is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "name", openai_name(x, name));
	gw_jw_end_obj(&x->w);
	gw_jw_end_obj(&x->w);
}

static void put_home_allowed(struct openai_write *x, const struct ir_tool_choice *c)
{
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", GW_LIT("allowed_tools"));
	gw_jw_key(&x->w, GW_LIT("allowed_tools"));
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "mode", c->is_required ? GW_LIT("required") : GW_LIT("auto"));
	gw_jw_key(&x->w, GW_LIT("tools"));
	gw_jw_arr(&x->w);
	for (const struct ir_name *n = c->names; n; n = n->next)
		put_named(x, n->name);
	gw_jw_end_arr(&x->w);
	gw_jw_end_obj(&x->w);
	gw_jw_end_obj(&x->w);
}

static void put_choice(struct openai_write *x)
{
	const struct ir_tool_choice *c = &x->rq->tool_choice;

	if (c->kind == IR_CHOICE_UNSET && !(c->raw && x->is_home)) {
		if (c->raw)
			openai_drop(x, "tool_choice");
		return;
	}
	if (has(x, GW_Q_NO_TOOL_CHOICE)) {
		if (c->kind != IR_CHOICE_AUTO)
			openai_drop(x, "tool_choice");
		return;
	}
	gw_jw_key(&x->w,
		  x->is_home && c->form & OPENAI_C_FUNCTION_CALL ? GW_LIT("function_call") : GW_LIT("tool_choice"));
	if (c->kind == IR_CHOICE_UNSET) {
		gw_jw_val(&x->w, c->raw);
	} else if (c->kind == IR_CHOICE_NAMED && c->names && c->form & OPENAI_C_FUNCTION_CALL && x->is_home) {
		gw_jw_obj(&x->w);
		gw_jw_kstr(&x->w, "name", c->names->name);
		gw_jw_end_obj(&x->w);
	} else if (c->kind == IR_CHOICE_NAMED && c->names) {
		put_named(x, c->names->name);
	} else if (c->kind == IR_CHOICE_ALLOWED && x->is_home) {
		put_home_allowed(x, c);
	} else {
		put_choice_word(x, c);
	}
}

void openai_write_tools(struct openai_write *x)
{
	bool is_old = x->is_home && x->rq->form & OPENAI_FUNCTIONS, is_open = false;

	for (int pass = is_old ? 0 : 1; pass < 2; pass++) {
		is_open = false;
		for (const struct ir_tool *t = x->rq->tools; t; t = t->next) {
			if ((is_old && t->form == OPENAI_T_FUNCTION) != (pass == 0) || !is_written(x, t))
				continue;
			if (!is_open) {
				gw_jw_key(&x->w, pass ? GW_LIT("tools") : GW_LIT("functions"));
				gw_jw_arr(&x->w);
				is_open = true;
			}
			if (pass)
				put_tool(x, t);
			else
				put_function(x, t, NULL);
		}
		if (is_open)
			gw_jw_end_arr(&x->w);
	}
	if (!is_open && !x->is_home) {
		if (x->rq->tool_choice.kind > IR_CHOICE_NONE)
			openai_drop(x, "tool_choice");
		return; /* a choice without tools is an error at most providers */
	}
	put_choice(x);
	if (x->rq->parallel_tool_calls == IR_UNSET)
		return;
	if (has(x, GW_Q_NO_PARALLEL))
		openai_drop(x, "parallel_tool_calls");
	else
		gw_jw_kbool(&x->w, "parallel_tool_calls", x->rq->parallel_tool_calls == IR_YES);
}
