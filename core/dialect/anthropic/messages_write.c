/* Messages of the IR as Anthropic wants them: turns of one role merged, the results of tools first in the user's turn and reasoning first in
 * the model's, nothing empty. A request that came in this dialect keeps its own order and shape. */
#include "core/dialect/anthropic/anthropic.h"

/* ---- home: as it came ---- */

static void message_write(struct anthropic_out *o, const struct ir_message *m)
{
	static const char *const roles[] = { [IR_SYSTEM] = "system", [IR_USER] = "user", [IR_ASSISTANT] = "assistant" };
	bool is_sent = !m->blocks; /* what came empty goes as it came; what became empty does not go */

	for (const struct ir_block *b = m->blocks; b; b = b->next)
		is_sent |= anthropic_is_sent(o, b);
	if (!is_sent)
		return;
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "role", gw_str_z(roles[m->role]));
	gw_jw_key(&o->w, GW_LIT("content"));
	if (m->form & ANTHROPIC_M_STRING) {
		gw_jw_str(&o->w, m->blocks->text);
	} else {
		gw_jw_arr(&o->w);
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (anthropic_is_sent(o, b))
				anthropic_block_write(o, b);
		}
		gw_jw_end_arr(&o->w);
	}
	ir_extra_write(m->extra, GW_D_ANTHROPIC, &o->w, NULL, "");
	gw_jw_end_obj(&o->w);
}

static void home_write(struct anthropic_out *o)
{
	const struct ir_message *m = o->rq->messages;

	if (m && (m->form & ANTHROPIC_M_FIELD)) {
		gw_jw_key(&o->w, GW_LIT("system"));
		if (m->form & ANTHROPIC_M_STRING) {
			gw_jw_str(&o->w, m->blocks->text);
		} else {
			gw_jw_arr(&o->w);
			for (const struct ir_block *b = m->blocks; b; b = b->next)
				anthropic_block_write(o, b);
			gw_jw_end_arr(&o->w);
		}
		m = m->next;
	}
	gw_jw_key(&o->w, GW_LIT("messages"));
	gw_jw_arr(&o->w);
	for (; m; m = m->next)
		message_write(o, m);
	gw_jw_end_arr(&o->w);
}

/* ---- from other dialects ---- */

/* The blocks of neighbours of one role, those that are sent, in the order in which they are written. */
struct turn {
	struct turn *next;
	enum ir_role role;
	struct turn_block {
		struct turn_block *next;
		const struct ir_block *b;
	} * first, **first_end, *rest, **rest_end;
};

static bool turn_add(struct anthropic_out *o, struct turn *t, const struct ir_block *b)
{
	struct turn_block *n = GW_NEW(o->a, struct turn_block);
	bool is_first = b->kind == (t->role == IR_USER ? IR_TOOL_RESULT : IR_REASONING);

	if (!n) {
		anthropic_no_memory(o);
		return false;
	}
	n->b = b;
	if (is_first) {
		*t->first_end = n;
		t->first_end = &n->next;
	} else {
		*t->rest_end = n;
		t->rest_end = &n->next;
	}
	return true;
}

/* Messages without anything to send make no turn, and what stands on both sides of them becomes neighbours. */
static struct turn *turns_of(struct anthropic_out *o)
{
	struct turn *head = NULL, *t = NULL;

	for (const struct ir_message *m = o->rq->messages; m; m = m->next) {
		if (m->role == IR_SYSTEM)
			continue;
		if (m->name.n)
			ir_drop(o->rq, "messages[].name");
		ir_extra_write(m->extra, GW_D_ANTHROPIC, &o->w, o->rq, "messages[].");
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (!anthropic_is_sent(o, b))
				continue;
			if (!t || t->role != m->role) {
				struct turn *n = GW_NEW(o->a, struct turn);

				if (!n) {
					anthropic_no_memory(o);
					return NULL;
				}
				n->role = m->role;
				n->first_end = &n->first;
				n->rest_end = &n->rest;
				*(t ? &t->next : &head) = n;
				t = n;
			}
			if (!turn_add(o, t, b))
				return NULL;
		}
	}
	return head;
}

/* The last words of a turn that the model is to go on with: the provider refuses blanks at their end. */
static void prefill_write(struct anthropic_out *o, const struct ir_block *b)
{
	struct ir_block cut = *b;

	while (cut.text.n && anthropic_is_blank(gw_str(cut.text.p + cut.text.n - 1, 1)))
		cut.text.n--;
	anthropic_block_write(o, &cut);
}

static void turn_write(struct anthropic_out *o, const struct turn *t)
{
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "role", t->role == IR_USER ? GW_LIT("user") : GW_LIT("assistant"));
	gw_jw_key(&o->w, GW_LIT("content"));
	if (t->role == IR_USER && !t->first && !t->rest->next && t->rest->b->kind == IR_TEXT &&
	    t->rest->b->cache == IR_CACHE_NONE && !t->rest->b->extra && !t->rest->b->other) {
		gw_jw_str(&o->w, t->rest->b->text);
		gw_jw_end_obj(&o->w);
		return;
	}
	gw_jw_arr(&o->w);
	*t->first_end = t->rest;
	for (const struct turn_block *n = t->first ? t->first : t->rest; n; n = n->next) {
		if (t->role == IR_ASSISTANT && !t->next && !n->next && n->b->kind == IR_TEXT)
			prefill_write(o, n->b);
		else
			anthropic_block_write(o, n->b);
	}
	gw_jw_end_arr(&o->w);
	gw_jw_end_obj(&o->w);
}

/* System messages, wherever they stood, as blocks in their order. */
static size_t system_blocks(struct anthropic_out *o, bool is_write)
{
	size_t n = 0;

	for (const struct ir_message *m = o->rq->messages; m; m = m->next) {
		if (m->role != IR_SYSTEM)
			continue;
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->kind != IR_TEXT) {
				ir_drop(o->rq, "system");
			} else if (!anthropic_is_blank(b->text)) {
				n++;
				if (is_write)
					anthropic_block_write(o, b);
			}
		}
	}
	return n;
}

static void system_write(struct anthropic_out *o)
{
	size_t n = system_blocks(o, false);
	bool is_json = o->rq->format.kind == IR_FORMAT_JSON;

	if (!n && !is_json)
		return;
	gw_jw_key(&o->w, GW_LIT("system"));
	gw_jw_arr(&o->w);
	system_blocks(o, true);
	if (is_json) /* the provider has no such mode */
		anthropic_text_write(o, IR_JSON_ONLY);
	gw_jw_end_arr(&o->w);
}

void anthropic_messages_write(struct anthropic_out *o)
{
	struct turn *turns;

	if (o->is_home) {
		home_write(o);
		return;
	}
	turns = turns_of(o);
	if (turns)
		system_write(o);
	gw_jw_key(&o->w, GW_LIT("messages"));
	gw_jw_arr(&o->w);
	for (const struct turn *t = turns; t; t = t->next)
		turn_write(o, t);
	if (turns || o->err) {
		gw_jw_end_arr(&o->w);
		return;
	}
	/* Only instructions: the provider wants something from the user, so they are the user's words. */
	if (!system_blocks(o, false))
		anthropic_refuse(o, "messages", "there is no message with anything in it");
	gw_jw_obj(&o->w);
	gw_jw_kstr(&o->w, "role", GW_LIT("user"));
	gw_jw_key(&o->w, GW_LIT("content"));
	gw_jw_arr(&o->w);
	system_blocks(o, true);
	gw_jw_end_arr(&o->w);
	gw_jw_end_obj(&o->w);
	gw_jw_end_arr(&o->w);
}
