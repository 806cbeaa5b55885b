/* toolConfig of a Converse body: specs, also of tools that only the history speaks of, and the choice among them. */
#include "core/dialect/bedrock/bedrock.h"
#include "core/dialect/schema_closed.h"

enum { MAX_STUBS = 256 };

static struct gw_json_out *out(struct bedrock_writer *w)
{
	return &w->w;
}

static void put_spec(struct bedrock_writer *w, const struct ir_tool *t)
{
	gw_jw_obj(out(w));
	gw_jw_key(out(w), GW_LIT("toolSpec"));
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "name", bedrock_name(w, t->name));
	if (t->description.n || (w->is_own && t->description.p))
		gw_jw_kstr(out(w), "description", t->description);
	if (t->parameters) {
		gw_jw_key(out(w), GW_LIT("inputSchema"));
		gw_jw_obj(out(w));
		gw_jw_key(out(w), GW_LIT("json"));
		if (!w->is_own && t->strict == IR_YES && w->family == BEDROCK_ANTHROPIC)
			ir_schema_closed_write(out(w), w->rq, t->parameters, "tools[].parameters");
		else
			gw_jw_val(out(w), t->parameters);
		gw_jw_end_obj(out(w));
	} else if (!w->is_own) {
		gw_jw_key(out(w), GW_LIT("inputSchema"));
		gw_jw_raw(out(w), GW_LIT("{\"json\":{\"type\":\"object\",\"properties\":{}}}"));
	}
	if (w->is_own ? t->strict != IR_UNSET : t->strict == IR_YES && w->family == BEDROCK_ANTHROPIC)
		gw_jw_kbool(out(w), "strict", t->strict == IR_YES);
	else if (t->strict == IR_YES)
		ir_drop(w->rq, "tools[].strict");
	ir_extra_write(t->extra, GW_D_BEDROCK, out(w), w->rq, "tools[].");
	gw_jw_end_obj(out(w));
	gw_jw_end_obj(out(w));
	bedrock_cache_write(w, t->cache);
}

static const char json_tool[] = "json_answer";

/* The model's answer as the input of a tool that it must call. */
static void put_json_tool(struct bedrock_writer *w)
{
	struct gw_carry *c = w->o->carry;

	c->is_json_tool = true;
	c->json_tool = gw_str(json_tool, sizeof(json_tool) - 1);
	put_spec(w, &(struct ir_tool){ .kind = IR_TOOL_FUNCTION,
				       .name = c->json_tool,
				       .description = GW_LIT("Call this with the whole answer."),
				       .parameters = w->rq->format.schema });
}

/* Converse wants the specs of tools that the history speaks of, even when the client sends none. */
static void put_stubs(struct bedrock_writer *w)
{
	struct ir_name *names = NULL;
	unsigned n = 0;

	for (const struct ir_message *m = w->rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			const struct ir_name *x = names;

			if (b->kind != IR_TOOL_CALL || !b->name.n)
				continue;
			while (x && !gw_str_eq(x->name, b->name))
				x = x->next;
			if (x || ++n > MAX_STUBS || !ir_name_add(w->a, &names, b->name))
				continue;
			put_spec(w, &(struct ir_tool){ .kind = IR_TOOL_FUNCTION, .name = b->name });
		}
	}
	if (!n)
		put_spec(w, &(struct ir_tool){ .kind = IR_TOOL_FUNCTION, .name = GW_LIT("unknown_tool") });
}

static bool has_tool_blocks(const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->kind == IR_TOOL_CALL || b->kind == IR_TOOL_RESULT)
				return true;
		}
	}
	return false;
}

static bool is_allowed(const struct ir_tool_choice *c, struct gw_str name)
{
	const struct ir_name *n = c->names;

	if (c->kind != IR_CHOICE_ALLOWED)
		return true;
	while (n && !gw_str_eq(n->name, name))
		n = n->next;
	return n != NULL;
}

static void put_choice(struct bedrock_writer *w)
{
	const struct ir_tool_choice *c = &w->rq->tool_choice;
	bool must = c->kind == IR_CHOICE_REQUIRED || c->kind == IR_CHOICE_NAMED ||
		    (c->kind == IR_CHOICE_ALLOWED && c->is_required);
	bool may_force = w->family != BEDROCK_OTHER && w->family != BEDROCK_COHERE &&
			 !(w->is_thinking && w->family == BEDROCK_ANTHROPIC);

	if (c->raw && !w->is_own)
		ir_drop(w->rq, "tool_choice");
	if (w->wants_json_tool) {
		gw_jw_key(out(w), GW_LIT("toolChoice"));
		gw_jw_raw(out(w), GW_LIT("{\"any\":{}}"));
		return;
	}
	if (c->kind == IR_CHOICE_UNSET && !(c->raw && w->is_own))
		return;
	if (c->kind == IR_CHOICE_NONE || (must && !may_force && !w->is_own)) {
		ir_drop(w->rq, "tool_choice");
		return;
	}
	gw_jw_key(out(w), GW_LIT("toolChoice"));
	if (c->raw) {
		gw_jw_val(out(w), c->raw);
	} else if (c->kind == IR_CHOICE_NAMED) {
		gw_jw_obj(out(w));
		gw_jw_key(out(w), GW_LIT("tool"));
		gw_jw_obj(out(w));
		gw_jw_kstr(out(w), "name", bedrock_name(w, c->names->name));
		gw_jw_end_obj(out(w));
		gw_jw_end_obj(out(w));
	} else {
		gw_jw_raw(out(w), must ? GW_LIT("{\"any\":{}}") : GW_LIT("{\"auto\":{}}"));
	}
}

enum gw_err bedrock_tools_write(struct bedrock_writer *w)
{
	const struct ir_request *rq = w->rq;
	bool has_history = !w->is_own && has_tool_blocks(rq), has_any = false;
	const struct ir_tool *t;

	for (t = rq->tools; t; t = t->next) {
		if (t->kind == IR_TOOL_HOSTED && t->hosted_of != GW_D_BEDROCK)
			ir_drop_name(w->rq, gw_arena_printf(rq->arena, "tools[].%.*s", GW_FMT(t->name)));
		else
			has_any = true;
	}
	if (!w->is_own && rq->tool_choice.kind == IR_CHOICE_NONE && !has_history && !w->wants_json_tool)
		return GW_OK; /* no tools, no calls */
	has_any |= w->wants_json_tool;
	if (w->is_own ? !(rq->form & BR_HAS_TOOLS) : !has_any && !has_history)
		return GW_OK;
	gw_jw_key(out(w), GW_LIT("toolConfig"));
	gw_jw_obj(out(w));
	if (has_any || !w->is_own) {
		gw_jw_key(out(w), GW_LIT("tools"));
		gw_jw_arr(out(w));
		for (t = rq->tools; t; t = t->next) {
			if (t->kind == IR_TOOL_HOSTED && t->hosted_of == GW_D_BEDROCK) {
				gw_jw_val(out(w), t->hosted);
				bedrock_cache_write(w, t->cache);
			} else if (t->kind != IR_TOOL_HOSTED && (w->is_own || is_allowed(&rq->tool_choice, t->name))) {
				put_spec(w, t);
			}
		}
		if (w->wants_json_tool)
			put_json_tool(w);
		if (!has_any)
			put_stubs(w);
		gw_jw_end_arr(out(w));
	}
	if (has_any)
		put_choice(w);
	gw_jw_end_obj(out(w));
	if (!w->is_own && rq->parallel_tool_calls == IR_NO && has_any)
		ir_drop(w->rq, "parallel_tool_calls");
	return GW_OK;
}
