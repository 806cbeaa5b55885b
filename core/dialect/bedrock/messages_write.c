/* Messages as Converse has them: the user begins and the roles alternate, all results of a turn in one user message, no blank text, a text
 * beside each document, ids and names that fit their patterns. A request that came in this dialect is written as it came. */
#include "core/dialect/bedrock/bedrock.h"
#include "lib/text.h"

enum { MISTRAL_ID = 9, MAX_DOCUMENTS = 64 };

static struct gw_json_out *out(struct bedrock_writer *w)
{
	return &w->w;
}

enum gw_err bedrock_say(struct bedrock_writer *w, const char *param, const char *why)
{
	*w->param = gw_str_z(param);
	*w->why = gw_str_z(why);
	return GW_E_INVALID;
}

void bedrock_cache_write(struct bedrock_writer *w, enum ir_cache c)
{
	bool is_known = w->is_own || w->family == BEDROCK_ANTHROPIC || w->family == BEDROCK_NOVA ||
			w->family == BEDROCK_NOVA_2 || w->family == BEDROCK_UNTOLD;

	if (c == IR_CACHE_NONE)
		return;
	if (!is_known ||
	    w->cache_skip) { /* models without it refuse the request; of too many, later ones cover the first */
		w->cache_skip -= w->cache_skip > 0;
		ir_drop(w->rq, "cache_control");
		return;
	}
	if (!w->is_own && w->family != BEDROCK_ANTHROPIC)
		c = IR_CACHE_DEFAULT; /* Nova has one lifetime */
	gw_jw_raw(out(w), c == IR_CACHE_1H   ? GW_LIT("{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}")
			  : c == IR_CACHE_5M ? GW_LIT("{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"5m\"}}")
					     : GW_LIT("{\"cachePoint\":{\"type\":\"default\"}}"));
}

bool bedrock_is_blank(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\t' && s.p[i] != '\r')
			return false;
	}
	return true;
}

static void put_text(struct bedrock_writer *w, struct gw_str s)
{
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "text", s);
	gw_jw_end_obj(out(w));
}

/* ---- ids and names ---- */

/* The same id gives the same result, so that call and result agree. */
static struct gw_str fit_id(struct bedrock_writer *w, struct gw_str id)
{
	bool is_fit = id.n && id.n <= BEDROCK_ID_BYTES, is_nine = id.n == MISTRAL_ID;
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		bool is_alnum = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');

		/* Converse takes . and : as well, Claude behind it does not */
		is_fit &=
		    is_alnum || c == '_' || c == '-' || ((c == '.' || c == ':') && w->family != BEDROCK_ANTHROPIC);
		is_nine &= is_alnum;
		h = (h ^ (uint8_t)c) * UINT64_C(1099511628211);
	}
	if (w->family == BEDROCK_MISTRAL && !w->is_own)
		return is_nine ? id : ir_make_id(w->a, "", h, 0, MISTRAL_ID);
	return is_fit || w->is_own ? id : ir_make_id(w->a, "tooluse_", h, 0, 22);
}

struct gw_str bedrock_name(struct bedrock_writer *w, struct gw_str name)
{
	struct gw_str fit = w->is_own ? name : ir_tool_name(w->a, name, 64);

	if (fit.p && w->o->carry && !gw_str_eq(fit, name) && !gw_carry_name_note(w->a, w->o->carry, name, fit))
		return GW_NIL;
	return fit;
}

/* ---- blocks ---- */

static bool is_media(const struct ir_block *b)
{
	return b->kind == IR_IMAGE || b->kind == IR_FILE || b->kind == IR_AUDIO || b->kind == IR_VIDEO;
}

static enum gw_err put_result(struct bedrock_writer *w, const struct ir_block *b)
{
	bool has_any = false;
	enum gw_err e = GW_OK;

	gw_jw_obj(out(w));
	gw_jw_key(out(w), GW_LIT("toolResult"));
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "toolUseId", fit_id(w, b->id));
	gw_jw_key(out(w), GW_LIT("content"));
	gw_jw_arr(out(w));
	for (const struct ir_block *c = b->content; c && !e; c = c->next) {
		if (w->is_own && c->other) {
			gw_jw_val(out(w), c->other);
		} else if (is_media(c)) {
			e = bedrock_media_write(w, c);
		} else if (c->kind == IR_TEXT && !bedrock_is_blank(c->text)) {
			put_text(w, c->text);
		} else {
			if (c->kind != IR_TEXT)
				ir_drop(w->rq, "messages[].content[].tool_result");
			continue;
		}
		has_any = true;
	}
	if (!has_any && !w->is_own)
		put_text(w, GW_LIT("(no output)"));
	gw_jw_end_arr(out(w));
	if (b->is_error || (w->is_own && (b->form & BB_HAS_STATUS)))
		gw_jw_kstr(out(w), "status", b->is_error ? GW_LIT("error") : GW_LIT("success"));
	gw_jw_end_obj(out(w));
	gw_jw_end_obj(out(w));
	return e;
}

static enum gw_err put_call(struct bedrock_writer *w, const struct ir_block *b)
{
	bool was_object;
	struct gw_str input = ir_args_object(w->a, b->args, &was_object), id = fit_id(w, b->id),
		      name = bedrock_name(w, b->name);

	if (!input.p || !id.p || !name.p)
		return GW_E_NOMEM;
	gw_jw_obj(out(w));
	gw_jw_key(out(w), GW_LIT("toolUse"));
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "toolUseId", id);
	gw_jw_kstr(out(w), "name", name);
	gw_jw_key(out(w), GW_LIT("input"));
	gw_jw_raw(out(w), input);
	gw_jw_end_obj(out(w));
	gw_jw_end_obj(out(w));
	return GW_OK;
}

static void put_reasoning(struct bedrock_writer *w, const struct ir_block *b)
{
	gw_jw_obj(out(w));
	gw_jw_key(out(w), GW_LIT("reasoningContent"));
	gw_jw_obj(out(w));
	if (b->is_redacted) {
		gw_jw_kstr(out(w), "redactedContent", b->signature);
	} else {
		gw_jw_key(out(w), GW_LIT("reasoningText"));
		gw_jw_obj(out(w));
		gw_jw_kstr(out(w), "text", b->text);
		if (b->signature.n)
			gw_jw_kstr(out(w), "signature", b->signature);
		gw_jw_end_obj(out(w));
	}
	gw_jw_end_obj(out(w));
	gw_jw_end_obj(out(w));
}

/* By its kind, as most dialects spell that. */
static void drop_other(struct bedrock_writer *w, const struct ir_block *b)
{
	yyjson_val *type = yyjson_obj_get((yyjson_val *)(uintptr_t)b->other, "type");

	if (yyjson_is_str(type))
		ir_drop_name(w->rq,
			     gw_arena_printf(w->rq->arena, "messages[].content[].%.*s", GW_FMT(gw_json_str(type))));
	else
		ir_drop(w->rq, "messages[].content[]");
}

/* Does the block go into a message of this role? What cannot is noted. Results are asked apart. */
static bool is_written(struct bedrock_writer *w, const struct ir_block *b, enum ir_role role)
{
	switch (b->kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		if (b->citations)
			ir_drop(w->rq, "messages[].content[].annotations");
		return !bedrock_is_blank(b->text);
	case IR_REASONING:
		if (b->signature_of == GW_D_BEDROCK)
			return true;
		ir_drop(w->rq, b->is_redacted   ? "messages[].redacted_thinking"
			       : b->signature.n ? "messages[].thinking.signature"
						: "messages[].reasoning_content");
		return false;
	case IR_OTHER:
		if (b->other_of == GW_D_BEDROCK)
			return true;
		drop_other(w, b);
		return false;
	case IR_TOOL_RESULT:
		return false;
	case IR_TOOL_CALL:
		return true;
	default:
		if (role == IR_ASSISTANT)
			ir_drop(w->rq, "messages[].content[]"); /* pictures are the user's alone */
		return role != IR_ASSISTANT;
	}
}

static enum gw_err put_block(struct bedrock_writer *w, const struct ir_block *b)
{
	for (const struct ir_extra *x = w->is_own ? NULL : b->extra; x; x = x->next)
		ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "messages[].content[].%.*s", GW_FMT(x->key)));
	switch (b->kind) {
	case IR_TOOL_CALL:
		return put_call(w, b);
	case IR_TOOL_RESULT:
		return put_result(w, b);
	case IR_REASONING:
		put_reasoning(w, b);
		return GW_OK;
	case IR_TEXT:
	case IR_REFUSAL:
		put_text(w, b->text);
		return GW_OK;
	case IR_OTHER:
		gw_jw_val(out(w), b->other);
		return GW_OK;
	default:
		return bedrock_media_write(w, b);
	}
}

/* ---- as it came ---- */

static enum gw_err put_own_list(struct bedrock_writer *w, const struct ir_block *b)
{
	gw_jw_arr(out(w));
	for (; b; b = b->next) {
		gw_jw_val(out(w), b->other);
		bedrock_cache_write(w, b->cache);
	}
	gw_jw_end_arr(out(w));
	return GW_OK;
}

/* A thought whose mark says that it is another maker's: the model refuses it. */
static bool is_foreign(const struct ir_block *b)
{
	return b->kind == IR_REASONING && b->signature.p && b->signature_of != GW_D_BEDROCK;
}

bool bedrock_has_foreign(const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (is_foreign(b))
				return true;
		}
	}
	return false;
}

static bool is_left(const struct ir_message *m)
{
	const struct ir_block *b = m->blocks;

	while (b && is_foreign(b))
		b = b->next;
	return b || !m->blocks;
}

/* The texts, calls and results of our own dialect come out of the IR; kinds that say more than it holds come out as they were. */
static enum gw_err put_own_blocks(struct bedrock_writer *w, const struct ir_block *b)
{
	enum gw_err e = GW_OK;

	for (; b && !e; b = b->next) {
		if (is_foreign(b)) {
			ir_drop(w->rq, "messages[].content[].reasoningContent");
			continue;
		}
		bool is_plain = (b->kind == IR_TEXT && !b->citations) || b->kind == IR_TOOL_CALL ||
				b->kind == IR_TOOL_RESULT || b->kind == IR_REASONING;

		if (!is_plain && b->other)
			gw_jw_val(out(w), b->other);
		else
			e = put_block(w, b);
		bedrock_cache_write(w, b->cache);
	}
	return e;
}

static void close_own(struct bedrock_writer *w, bool is_open)
{
	if (!is_open)
		return;
	gw_jw_end_arr(out(w));
	gw_jw_end_obj(out(w));
}

static enum gw_err put_own(struct bedrock_writer *w)
{
	const struct ir_message *m = w->rq->messages;
	bool is_open = false, is_gap = false;
	enum ir_role role = IR_USER;
	enum gw_err e = GW_OK;

	if (m && m->role == IR_SYSTEM && !m->form) {
		gw_jw_key(out(w), GW_LIT("system"));
		e = put_own_list(w, m->blocks);
		m = m->next;
	} else if (w->rq->form & BR_HAS_SYSTEM) {
		gw_jw_key(out(w), GW_LIT("system"));
		gw_jw_raw(out(w), GW_LIT("[]"));
	}
	gw_jw_key(out(w), GW_LIT("messages"));
	gw_jw_arr(out(w));
	for (; m && !e; m = m->next) {
		if (!is_left(m)) { /* neighbours of one role that it parted are one message now */
			(void)put_own_blocks(w, m->blocks);
			is_gap = true;
			continue;
		}
		if (is_gap && is_open && role == m->role) {
			e = put_own_blocks(w, m->blocks);
			continue;
		}
		close_own(w, is_open);
		is_open = true;
		is_gap = false;
		role = m->role;
		gw_jw_obj(out(w));
		gw_jw_kstr(out(w), "role",
			   m->role == IR_USER     ? GW_LIT("user")
			   : m->role == IR_SYSTEM ? GW_LIT("system")
						  : GW_LIT("assistant"));
		gw_jw_key(out(w), GW_LIT("content"));
		gw_jw_arr(out(w));
		e = put_own_blocks(w, m->blocks);
	}
	close_own(w, is_open);
	gw_jw_end_arr(out(w));
	return e;
}

/* ---- of other dialects ---- */

static void put_system(struct bedrock_writer *w)
{
	bool is_open = w->rq->format.kind == IR_FORMAT_JSON;

	if (is_open) {
		gw_jw_key(out(w), GW_LIT("system"));
		gw_jw_arr(out(w));
	}
	for (const struct ir_message *m = w->rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->role == IR_SYSTEM ? m->blocks : NULL; b; b = b->next) {
			if (b->kind != IR_TEXT || bedrock_is_blank(b->text)) {
				if (b->kind != IR_TEXT)
					ir_drop(w->rq, "messages[].content[]");
				continue;
			}
			if (!is_open) {
				gw_jw_key(out(w), GW_LIT("system"));
				gw_jw_arr(out(w));
			}
			is_open = true;
			put_text(w, b->text);
			bedrock_cache_write(w, b->cache);
		}
	}
	if (w->rq->format.kind == IR_FORMAT_JSON) /* there is no such mode */
		put_text(w, IR_JSON_ONLY);
	if (is_open)
		gw_jw_end_arr(out(w));
}

struct turn_state {
	bool is_open, has_text, has_document;
	enum ir_role role;
};

static void close_message(struct bedrock_writer *w, struct turn_state *s)
{
	if (!s->is_open)
		return;
	if (s->has_document && !s->has_text)
		put_text(w, GW_LIT("See the attached document."));
	gw_jw_end_arr(out(w));
	gw_jw_end_obj(out(w));
	*s = (struct turn_state){ .role = s->role };
}

static void open_message(struct bedrock_writer *w, struct turn_state *s, enum ir_role role)
{
	if (s->is_open && s->role == role)
		return;
	close_message(w, s);
	*s = (struct turn_state){ .is_open = true, .role = role };
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "role", role == IR_USER ? GW_LIT("user") : GW_LIT("assistant"));
	gw_jw_key(out(w), GW_LIT("content"));
	gw_jw_arr(out(w));
}

/* The blocks of a turn that are results, or those that are not. */
static enum gw_err put_turn(struct bedrock_writer *w, const struct ir_turn *t, bool is_results, struct turn_state *s)
{
	enum gw_err e = GW_OK;

	for (const struct ir_message *m = t->first; m != t->end && !e; m = m->next) {
		if (m->role == IR_SYSTEM)
			continue;
		if (m->name.n)
			ir_drop(w->rq, "messages[].name");
		for (const struct ir_extra *x = is_results ? NULL : m->extra; x; x = x->next)
			ir_drop_name(w->rq, gw_arena_printf(w->rq->arena, "messages[].%.*s", GW_FMT(x->key)));
		for (const struct ir_block *b = m->blocks; b && !e; b = b->next) {
			if (is_results ? b->kind != IR_TOOL_RESULT : !is_written(w, b, t->role))
				continue;
			open_message(w, s, t->role);
			s->has_text |= b->kind == IR_TEXT;
			s->has_document |= b->kind == IR_FILE;
			e = put_block(w, b);
			if (!e)
				bedrock_cache_write(w, b->cache);
		}
	}
	return e;
}

static void put_filler(struct bedrock_writer *w, struct turn_state *s)
{
	open_message(w, s, IR_USER);
	put_text(w, GW_LIT("Please continue."));
	s->has_text = true;
}

enum gw_err bedrock_messages_write(struct bedrock_writer *w)
{
	const struct ir_message *rest = w->rq->messages;
	struct turn_state s = { 0 };
	bool has_any = false;
	struct ir_turn t;
	enum gw_err e = GW_OK;

	if (w->is_own)
		return put_own(w);
	put_system(w);
	gw_jw_key(out(w), GW_LIT("messages"));
	gw_jw_arr(out(w));
	while (!e && ir_next_turn(&rest, &t)) {
		if (!has_any && t.role == IR_ASSISTANT)
			put_filler(w, &s);
		if (t.role == IR_USER)
			e = put_turn(w, &t, true, &s);
		if (!e)
			e = put_turn(w, &t, false, &s);
		has_any = s.is_open;
	}
	if (e)
		return e;
	if (!s.is_open)
		put_filler(w, &s);
	bedrock_cache_write(w, w->rq->cache);
	close_message(w, &s);
	gw_jw_end_arr(out(w));
	return GW_OK;
}
