/* Tools and the choice among them; the tool that stands for a schema where the provider has no structured output. */
#include "core/dialect/anthropic/anthropic.h"

#include "core/dialect/schema_closed.h"
#include "core/provider.h"

static const char json_tool[] = "json_answer";

bool anthropic_json_tool_wanted(const struct anthropic_out *o)
{
	return !o->is_home && o->rq->format.kind == IR_FORMAT_SCHEMA && (o->o->quirks & GW_Q_NO_JSON_SCHEMA) &&
	       o->o->carry;
}

/* The subset of an "allowed tools" choice; all tools for other choices. */
static bool is_allowed(const struct ir_request *rq, struct gw_str name)
{
	if (rq->tool_choice.kind != IR_CHOICE_ALLOWED)
		return true;
	for (const struct ir_name *n = rq->tool_choice.names; n; n = n->next) {
		if (gw_str_eq(n->name, name))
			return true;
	}
	return false;
}

/* The root must be an object's schema; the provider checks no more than that. */
static void parameters_write(struct anthropic_out *o, const struct ir_tool *t, bool is_strict)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)t->parameters);

	gw_jw_key(&o->w, GW_LIT("input_schema"));
	if (is_strict && t->parameters) {
		ir_schema_closed_write(&o->w, o->rq, t->parameters, "tools[].parameters");
		return;
	}
	if (o->is_home || anthropic_is(anthropic_get(t->parameters, "type"), "object")) {
		gw_jw_val(&o->w, t->parameters);
		return;
	}
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", GW_LIT("object"));
	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		if (anthropic_is(key, "type"))
			continue;
		gw_jw_key(&o->w, gw_json_str(key));
		gw_jw_val(&o->w, yyjson_obj_iter_get_val(key));
	}
	if (!anthropic_get(t->parameters, "properties"))
		gw_jw_key(&o->w, GW_LIT("properties")), gw_jw_raw(&o->w, GW_LIT("{}"));
	gw_jw_end_obj(&o->w);
}

static void function_write(struct anthropic_out *o, const struct ir_tool *t)
{
	/* what others mean by strict is kept only for schemas of this provider's kind */
	bool is_strict = !o->is_home && t->strict == IR_YES && !(o->o->quirks & GW_Q_NO_JSON_SCHEMA) &&
			 anthropic_is(anthropic_get(t->parameters, "type"), "object");

	gw_jw_obj(&o->w);
	if (o->is_home && (t->form & ANTHROPIC_T_CUSTOM))
		gw_jw_kstr(&o->w, "type", GW_LIT("custom"));
	gw_jw_kstr(&o->w, "name", anthropic_name_out(o, t->name));
	if (t->description.p)
		gw_jw_kstr(&o->w, "description", t->description);
	parameters_write(o, t, is_strict);
	if (is_strict || (o->is_home && t->strict != IR_UNSET))
		gw_jw_kbool(&o->w, "strict", t->strict == IR_YES);
	else if (t->strict == IR_YES)
		ir_drop(o->rq, "tools[].strict");
	anthropic_cache_write(o, t->cache);
	ir_extra_write(t->extra, GW_D_ANTHROPIC, &o->w, o->rq, "tools[].");
	gw_jw_end_obj(&o->w);
}

static void json_tool_write(struct anthropic_out *o)
{
	struct gw_carry *c = o->o->carry;

	c->is_json_tool = true;
	c->json_tool = gw_str(json_tool, sizeof(json_tool) - 1);
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "name", c->json_tool);
	gw_jw_kstr(&o->w, "description", GW_LIT("Call this with the whole answer."));
	gw_jw_key(&o->w, GW_LIT("input_schema"));
	gw_jw_val(&o->w, o->rq->format.schema);
	gw_jw_end_obj(&o->w);
}

/* Calls in the history need definitions of what they call, also when the client sends none any more. */
static void history_write(struct anthropic_out *o)
{
	struct ir_name *done = NULL, **tail = &done, *n;

	for (const struct ir_message *m = o->rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->kind != IR_TOOL_CALL)
				continue;
			for (n = done; n && !gw_str_eq(n->name, b->name); n = n->next)
				;
			if (n)
				continue;
			if (!ir_name_add(o->a, tail, b->name)) {
				anthropic_no_memory(o);
				return;
			}
			tail = &(*tail)->next;
		}
	}
	if (!done)
		return;
	gw_jw_key(&o->w, GW_LIT("tools"));
	gw_jw_arr(&o->w);
	for (n = done; n; n = n->next) {
		gw_jw_obj(&o->w);
		gw_jw_kstr(&o->w, "name", anthropic_name_out(o, n->name));
		gw_jw_key(&o->w, GW_LIT("input_schema"));
		gw_jw_raw(&o->w, GW_LIT("{\"type\":\"object\"}"));
		gw_jw_end_obj(&o->w);
	}
	gw_jw_end_arr(&o->w);
	gw_jw_key(&o->w, GW_LIT("tool_choice"));
	gw_jw_raw(&o->w, GW_LIT("{\"type\":\"none\"}"));
}

/* Forcing a call and thinking exclude each other. */
static const char *choice_word(struct anthropic_out *o, bool has_json)
{
	const struct ir_tool_choice *c = &o->rq->tool_choice;
	bool is_forced = c->kind == IR_CHOICE_REQUIRED || c->kind == IR_CHOICE_NAMED ||
			 (c->kind == IR_CHOICE_ALLOWED && c->is_required);

	if (has_json)
		return "any";
	if (is_forced && o->is_thinking && !o->is_home) {
		ir_drop(o->rq, "tool_choice");
		return "auto";
	}
	if (c->kind == IR_CHOICE_NAMED)
		return "tool";
	if (is_forced)
		return "any";
	if (c->kind == IR_CHOICE_NONE)
		return "none";
	if (c->kind == IR_CHOICE_UNSET && !(o->rq->parallel_tool_calls == IR_NO))
		return NULL;
	return "auto";
}

static void choice_write(struct anthropic_out *o, bool has_json)
{
	const char *word = choice_word(o, has_json);
	enum ir_tri many = o->rq->parallel_tool_calls;
	bool is_none = word && word[0] == 'n';

	if (o->rq->tool_choice.raw && !o->is_home)
		ir_drop(o->rq, "tool_choice");
	if (!word || (o->is_home && o->rq->tool_choice.kind == IR_CHOICE_UNSET))
		return;
	gw_jw_key(&o->w, GW_LIT("tool_choice"));
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "type", gw_str_z(word));
	if (word[0] == 't')
		gw_jw_kstr(&o->w, "name", anthropic_name_out(o, o->rq->tool_choice.names->name));
	if (o->is_home ? many != IR_UNSET : many == IR_NO && !is_none)
		gw_jw_kbool(&o->w, "disable_parallel_tool_use", many == IR_NO);
	gw_jw_end_obj(&o->w);
}

void anthropic_tools_write(struct anthropic_out *o)
{
	bool has_json = anthropic_json_tool_wanted(o);
	size_t n = 0;

	for (const struct ir_tool *t = o->rq->tools; t; t = t->next) {
		if (t->kind == IR_TOOL_HOSTED && t->hosted_of != GW_D_ANTHROPIC) {
			ir_drop_name(o->rq, gw_arena_printf(o->a, "tools[].%.*s", GW_FMT(t->name)));
			continue;
		}
		if (!is_allowed(o->rq, t->name))
			continue;
		if (!n++) {
			gw_jw_key(&o->w, GW_LIT("tools"));
			gw_jw_arr(&o->w);
		}
		if (t->kind == IR_TOOL_HOSTED)
			gw_jw_val(&o->w, t->hosted);
		else
			function_write(o, t);
	}
	if (has_json) {
		if (!n++) {
			gw_jw_key(&o->w, GW_LIT("tools"));
			gw_jw_arr(&o->w);
		}
		json_tool_write(o);
	}
	if (n)
		gw_jw_end_arr(&o->w);
	if (n || o->is_home)
		choice_write(o, has_json);
	else
		history_write(o);
}
