/* Building the IR: lists that keep their order, in the arena. Walking it: turns, names of calls, what was dropped. */
#include "core/dialect/ir_reply.h"

/* Appends `node` to a list of its type. The first of a list remembers the last one, so that a body with a hundred thousand parts costs what
 * it weighs; who puts a list together by hand need not: the walk goes on from what is remembered. */
#define APPEND(list, node)                                                                                             \
	do {                                                                                                           \
		__typeof__(*(list)) at_ = *(list);                                                                     \
		if (!at_) {                                                                                            \
			*(list) = (node);                                                                              \
		} else {                                                                                               \
			at_ = at_->last ? at_->last : at_;                                                             \
			while (at_->next)                                                                              \
				at_ = at_->next;                                                                       \
			at_->next = (node);                                                                            \
		}                                                                                                      \
		(*(list))->last = (node);                                                                              \
	} while (0)

enum { MAX_DROPS = 200 }; /* that are named; a header has no room for more */

struct ir_message *ir_message_add(struct gw_arena *a, struct ir_request *rq, enum ir_role role)
{
	struct ir_message *m = GW_NEW(a, struct ir_message);

	if (!m)
		return NULL;
	m->role = role;
	if (rq->last_message)
		rq->last_message->next = m;
	else
		rq->messages = m;
	rq->last_message = m;
	return m;
}

struct ir_block *ir_block_add(struct gw_arena *a, struct ir_block **list, enum ir_block_kind kind)
{
	struct ir_block *b = GW_NEW(a, struct ir_block);

	if (!b)
		return NULL;
	b->kind = kind;
	b->signature_of = b->other_of = GW_D_NONE;
	APPEND(list, b);
	return b;
}

struct ir_tool *ir_tool_add(struct gw_arena *a, struct ir_request *rq, enum ir_tool_kind kind)
{
	struct ir_tool *t = GW_NEW(a, struct ir_tool);

	if (!t)
		return NULL;
	t->kind = kind;
	t->hosted_of = GW_D_NONE;
	APPEND(&rq->tools, t);
	return t;
}

void ir_logprobs_begin(struct gw_arena *a, struct gw_json_out *w, struct gw_buf *b)
{
	gw_buf_init(b, a->max_bytes);
	gw_jw_init(w, b);
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("content"));
	gw_jw_arr(w);
}

const yyjson_val *ir_logprobs_end(struct gw_arena *a, struct gw_json_out *w)
{
	const yyjson_val *out = NULL;

	gw_jw_end_arr(w);
	gw_jw_key(w, GW_LIT("refusal"));
	gw_jw_null(w);
	gw_jw_end_obj(w);
	if (w->b->err || gw_json_tree(a, gw_buf_view(w->b), NULL, &out, NULL))
		out = NULL;
	gw_buf_done(w->b);
	return out;
}

struct ir_choice *ir_choice_add(struct gw_arena *a, struct ir_reply *rp, uint32_t index)
{
	struct ir_choice *c = GW_NEW(a, struct ir_choice);

	if (!c)
		return NULL;
	c->index = index;
	APPEND(&rp->choices, c);
	return c;
}

struct ir_citation *ir_citation_add(struct gw_arena *a, struct ir_block *b)
{
	struct ir_citation *c = GW_NEW(a, struct ir_citation);

	if (!c)
		return NULL;
	c->start = c->end = -1;
	c->of = GW_D_NONE;
	APPEND(&b->citations, c);
	return c;
}

bool ir_name_add(struct gw_arena *a, struct ir_name **list, struct gw_str name)
{
	struct ir_name *n = GW_NEW(a, struct ir_name);

	if (!n)
		return false;
	n->name = name;
	APPEND(list, n);
	return true;
}

bool ir_extra_add(struct gw_arena *a, struct ir_extra **list, enum gw_dialect_id of, const yyjson_val *key,
		  const yyjson_val *val)
{
	struct ir_extra *x = GW_NEW(a, struct ir_extra);

	if (!x)
		return false;
	*x = (struct ir_extra){ .of = of, .key = gw_json_str(key), .val = val };
	APPEND(list, x);
	return true;
}

/* ---- what is lost ---- */

void ir_drop_name(struct ir_request *rq, struct gw_str name)
{
	unsigned count = 0;
	struct ir_name *n;

	for (n = rq->dropped; n; n = n->next) {
		if (++count == MAX_DROPS || gw_str_eq(n->name, name))
			return;
	}
	if (!ir_name_add(rq->arena, &rq->dropped, gw_arena_str(rq->arena, name)))
		rq->is_drop_lost = true;
}

void ir_drop(struct ir_request *rq, const char *name)
{
	ir_drop_name(rq, gw_str_z(name));
}

/* A null or an empty list where others have no such field. */
static bool says_nothing(const yyjson_val *v)
{
	yyjson_val *val = (yyjson_val *)(uintptr_t)v;

	return yyjson_is_null(val) || (yyjson_is_arr(val) && yyjson_arr_size(val) == 0);
}

void ir_extra_write(const struct ir_extra *list, enum gw_dialect_id of, struct gw_json_out *w, struct ir_request *rq,
		    const char *where)
{
	for (; list; list = list->next) {
		if (list->of == of) {
			gw_jw_key(w, list->key);
			gw_jw_val(w, list->val);
		} else if (rq && list->of != GW_D_NONE && !says_nothing(list->val)) {
			ir_drop_name(rq, gw_arena_printf(rq->arena, "%s%.*s", where, GW_FMT(list->key)));
		}
	}
}

const yyjson_val *ir_extra_get(const struct ir_extra *list, enum gw_dialect_id of, struct gw_str key)
{
	for (; list; list = list->next) {
		if (list->of == of && gw_str_eq(list->key, key))
			return list->val;
	}
	return NULL;
}

/* ---- choices ---- */

static bool is_offered(const struct ir_request *rq, const struct ir_name *names, enum gw_dialect_id to)
{
	for (const struct ir_tool *t = rq->tools; t; t = t->next) {
		const struct ir_name *n = names;

		while (n && !gw_str_eq(n->name, t->name))
			n = n->next;
		if ((n || !names) && (t->kind != IR_TOOL_HOSTED || t->hosted_of == to))
			return true;
	}
	return false;
}

void ir_choice_settle(struct ir_request *rq, enum gw_dialect_id to)
{
	const struct ir_tool *t = rq->tools;
	struct ir_tool_choice *c = &rq->tool_choice;

	while (t && (t->kind != IR_TOOL_HOSTED || t->hosted_of == to))
		t = t->next;
	if (!t || c->kind == IR_CHOICE_UNSET || c->kind == IR_CHOICE_NONE || is_offered(rq, c->names, to))
		return;
	if (c->kind != IR_CHOICE_AUTO)
		ir_drop(rq, "tool_choice");
	*c = (struct ir_tool_choice){ 0 };
}

/* ---- walking ---- */

struct gw_str ir_call_name(const struct ir_request *rq, struct gw_str id)
{
	struct gw_str found = GW_NIL;

	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->kind == IR_TOOL_CALL && gw_str_eq(b->id, id))
				found = b->name; /* ids that come again mean the latest call */
		}
	}
	return found;
}

bool ir_next_turn(const struct ir_message **rest, struct ir_turn *out)
{
	const struct ir_message *m = *rest;

	while (m && m->role == IR_SYSTEM)
		m = m->next;
	if (!m) {
		*rest = NULL;
		return false;
	}
	*out = (struct ir_turn){ .role = m->role, .first = m };
	while (m && (m->role == IR_SYSTEM || m->role == out->role))
		m = m->next;
	out->end = *rest = m;
	return true;
}

static const struct {
	const char *word;
	int64_t budget;
} efforts[] = {
	[IR_EFFORT_UNSET] = { "", 0 },
	[IR_EFFORT_NONE] = { "none", 0 },
	[IR_EFFORT_MINIMAL] = { "minimal", 1024 },
	[IR_EFFORT_LOW] = { "low", 1024 },
	[IR_EFFORT_MEDIUM] = { "medium", 8192 },
	[IR_EFFORT_HIGH] = { "high", 24576 },
	[IR_EFFORT_XHIGH] = { "xhigh", 32768 },
	[IR_EFFORT_MAX] = { "max", 32768 },
};
enum { N_EFFORTS = sizeof(efforts) / sizeof(efforts[0]) };

int64_t ir_effort_budget(enum ir_effort e)
{
	return efforts[e].budget;
}

enum ir_effort ir_budget_effort(int64_t tokens)
{
	if (tokens <= 0)
		return IR_EFFORT_NONE;
	if (tokens <= 2048)
		return IR_EFFORT_LOW;
	return tokens <= 12288 ? IR_EFFORT_MEDIUM : IR_EFFORT_HIGH;
}

struct gw_str ir_effort_word(enum ir_effort e)
{
	return e == IR_EFFORT_UNSET ? GW_NIL : gw_str_z(efforts[e].word);
}

enum ir_effort ir_effort_of(struct gw_str word)
{
	for (int i = IR_EFFORT_NONE; i < N_EFFORTS; i++) {
		if (gw_str_eq(gw_str_z(efforts[i].word), word))
			return (enum ir_effort)i;
	}
	return IR_EFFORT_UNSET;
}
