/* Messages as contents. Gemini wants the roles to alternate and the user to begin; results of parallel calls together, in the order of the
 * calls, under the name of the function (which OpenAI's tool messages do not tell). A request that came in this dialect is written as it
 * came. */
#include "core/dialect/gemini/gemini.h"

enum { MAX_LOOK_BACK = 2000 };

/* ---- a request of this dialect, as it came ---- */

static enum gw_err put_own_content(struct gemini_writer *w, const struct ir_message *m)
{
	bool is_first = true;
	enum gw_err e = GW_OK;

	gw_jw_obj(&w->w);
	if (!(m->form & GM_NO_ROLE))
		gw_jw_kstr(&w->w, "role",
			   m->role == IR_ASSISTANT        ? GW_LIT("model")
			   : (m->form & GM_ROLE_FUNCTION) ? GW_LIT("function")
			   : m->role == IR_USER           ? GW_LIT("user")
			   : (m->form & GM_ROLE_USER)     ? GW_LIT("user")
							  : GW_LIT("system"));
	if (!(m->form & GM_NO_PARTS)) {
		gw_jw_key(&w->w, GW_LIT("parts"));
		gw_jw_arr(&w->w);
		for (const struct ir_block *b = m->blocks; b && !e; b = b->next)
			e = gemini_block_write(w, b, &is_first);
		gw_jw_end_arr(&w->w);
	}
	if (!e)
		ir_extra_write(m->extra, GW_D_GEMINI, &w->w, w->rq, "messages[].");
	gw_jw_end_obj(&w->w);
	return e;
}

static enum gw_err put_own(struct gemini_writer *w)
{
	const struct ir_message *m = w->rq->messages;
	enum gw_err e = GW_OK;

	if (m && m->role == IR_SYSTEM) {
		gemini_key(&w->w, &gemini_request_fields, GR_SYSTEM, w->rq->form);
		if (m->form & GM_IS_STRING)
			gw_jw_str(&w->w, m->blocks->text);
		else
			e = put_own_content(w, m);
		m = m->next;
	}
	gw_jw_key(&w->w, GW_LIT("contents"));
	gw_jw_arr(&w->w);
	for (; m && !e; m = m->next)
		e = put_own_content(w, m);
	gw_jw_end_arr(&w->w);
	return e;
}

/* ---- of other dialects ---- */

static void put_system_parts(struct gemini_writer *w)
{
	for (const struct ir_message *m = w->rq->messages; m; m = m->next) {
		if (m->role != IR_SYSTEM)
			continue;
		gemini_note_extras(w, m->extra);
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->cache != IR_CACHE_NONE)
				ir_drop(w->rq, "messages[].content[].cache_control");
			if (b->kind != IR_TEXT) {
				ir_drop(w->rq, "messages[].content[]");
				continue;
			}
			if (!b->text.n)
				continue;
			gw_jw_obj(&w->w);
			gw_jw_kstr(&w->w, "text", b->text);
			gw_jw_end_obj(&w->w);
		}
	}
}

static bool has_system(const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? m->blocks : NULL; b; b = b->next) {
			if (b->kind == IR_TEXT && b->text.n)
				return true;
		}
	}
	return false;
}

/* Which result answers this call; NULL when there is none. */
static const struct ir_block *result_of(const struct ir_turn *t, struct gw_str id, unsigned *looked)
{
	for (const struct ir_message *m = t->first; m != t->end; m = m->next) {
		if (m->role == IR_SYSTEM)
			continue;
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (++*looked > MAX_LOOK_BACK * MAX_LOOK_BACK)
				return NULL;
			if (b->kind == IR_TOOL_RESULT && gw_str_eq(b->id, id))
				return b;
		}
	}
	return NULL;
}

static bool is_answered_above(const struct ir_turn *calls, struct gw_str id, unsigned *looked)
{
	if (!calls->first)
		return false;
	for (const struct ir_message *m = calls->first; m != calls->end; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b; b = b->next) {
			if (++*looked > MAX_LOOK_BACK * MAX_LOOK_BACK)
				return false;
			if (b->kind == IR_TOOL_CALL && gw_str_eq(b->id, id))
				return true;
		}
	}
	return false;
}

/* Results first: those of the calls just before, in the calls' order; then those of earlier calls. */
static enum gw_err put_results(struct gemini_writer *w, const struct ir_turn *calls, const struct ir_turn *t)
{
	unsigned looked = 0, strays = 0;
	enum gw_err e = GW_OK;

	for (const struct ir_message *m = calls->first; m && m != calls->end && !e; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b && !e; b = b->next) {
			const struct ir_block *r = b->kind == IR_TOOL_CALL ? result_of(t, b->id, &looked) : NULL;

			if (r)
				e = gemini_result_write(w, r, b->name);
		}
	}
	for (const struct ir_message *m = t->first; m != t->end && !e; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b && !e; b = b->next) {
			struct gw_str name;

			if (b->kind != IR_TOOL_RESULT || is_answered_above(calls, b->id, &looked))
				continue;
			if (++strays > MAX_LOOK_BACK)
				return gemini_say(w, "messages", "has too many tool results that answer no call");
			name = b->name.n ? b->name : ir_call_name(w->rq, b->id);
			if (!name.n)
				return gemini_say(
				    w, "messages[].tool_call_id",
				    "no earlier message has a tool call of this id, and this provider needs the "
				    "name of the function that was called");
			e = gemini_result_write(w, b, name);
		}
	}
	if (looked > MAX_LOOK_BACK * MAX_LOOK_BACK)
		return gemini_say(w, "messages", "has too many tool calls and results in one turn");
	return e;
}

/* Pictures of results that have no place inside them follow all results. */
static enum gw_err put_result_media(struct gemini_writer *w, const struct ir_turn *t)
{
	enum gw_err e = GW_OK;

	for (const struct ir_message *m = t->first; m != t->end; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b; b = b->next) {
			for (const struct ir_block *c = b->kind == IR_TOOL_RESULT ? b->content : NULL; c; c = c->next) {
				if (c->kind == IR_OTHER)
					ir_drop(w->rq, "messages[].content[].tool_result");
				if (!gemini_is_media(c) || (w->generation == GEMINI_3 && c->media.from != IR_PLAIN))
					continue;
				gw_jw_obj(&w->w);
				e = gemini_media_write(w, c);
				gw_jw_end_obj(&w->w);
				if (e)
					return e;
			}
		}
	}
	return GW_OK;
}

static bool has_parts(struct gemini_writer *w, const struct ir_turn *t)
{
	for (const struct ir_message *m = t->first; m != t->end; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? NULL : m->blocks; b; b = b->next) {
			if (b->kind == IR_TOOL_RESULT || gemini_block_is_written(w, b))
				return true;
		}
	}
	return false;
}

static enum gw_err put_turn(struct gemini_writer *w, const struct ir_turn *calls, const struct ir_turn *t,
			    bool has_lead)
{
	bool is_first = true;
	enum gw_err e = GW_OK;

	gw_jw_obj(&w->w);
	gw_jw_kstr(&w->w, "role", t->role == IR_ASSISTANT ? GW_LIT("model") : GW_LIT("user"));
	gw_jw_key(&w->w, GW_LIT("parts"));
	gw_jw_arr(&w->w);
	if (has_lead)
		put_system_parts(w);
	if (t->role == IR_USER) {
		e = put_results(w, calls, t);
		if (!e)
			e = put_result_media(w, t);
	}
	for (const struct ir_message *m = t->first; m != t->end && !e; m = m->next) {
		if (m->role == IR_SYSTEM)
			continue;
		if (m->name.n)
			ir_drop(w->rq, "messages[].name");
		gemini_note_extras(w, m->extra);
		for (const struct ir_block *b = m->blocks; b && !e; b = b->next) {
			if (gemini_block_is_written(w, b))
				e = gemini_block_write(w, b, &is_first);
		}
	}
	gw_jw_end_arr(&w->w);
	gw_jw_end_obj(&w->w);
	return e;
}

/* What stands where a user's turn must be and the client has none. */
static void put_filler(struct gemini_writer *w, bool has_lead)
{
	gw_jw_obj(&w->w);
	gw_jw_kstr(&w->w, "role", GW_LIT("user"));
	gw_jw_key(&w->w, GW_LIT("parts"));
	gw_jw_arr(&w->w);
	if (has_lead)
		put_system_parts(w);
	else
		gw_jw_raw(&w->w, GW_LIT("{\"text\":\" \"}"));
	gw_jw_end_arr(&w->w);
	gw_jw_end_obj(&w->w);
}

enum gw_err gemini_contents_write(struct gemini_writer *w)
{
	const struct ir_message *rest = w->rq->messages;
	struct ir_turn t, before = { 0 };
	bool has_lead = has_system(w->rq), has_any = false;
	enum gw_err e = GW_OK;

	if (w->is_own)
		return put_own(w);
	if (has_lead && w->generation != GEMINI_GEMMA) {
		gw_jw_key(&w->w, GW_LIT("systemInstruction"));
		gw_jw_obj(&w->w);
		gw_jw_key(&w->w, GW_LIT("parts"));
		gw_jw_arr(&w->w);
		put_system_parts(w);
		gw_jw_end_arr(&w->w);
		gw_jw_end_obj(&w->w);
		has_lead = false;
	}
	gw_jw_key(&w->w, GW_LIT("contents"));
	gw_jw_arr(&w->w);
	while (!e && ir_next_turn(&rest, &t)) {
		if (!has_parts(w, &t))
			continue;
		if (!has_any && t.role == IR_ASSISTANT) {
			put_filler(w, has_lead);
			has_lead = false;
		}
		e = put_turn(w, &before, &t, has_lead && t.role == IR_USER);
		has_lead &= t.role != IR_USER;
		has_any = true;
		before = t.role == IR_ASSISTANT ? t : (struct ir_turn){ 0 };
	}
	if (!has_any && !e)
		put_filler(w, has_lead);
	gw_jw_end_arr(&w->w);
	return e;
}
