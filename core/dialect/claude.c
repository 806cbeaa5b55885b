/* Claude models, by whoever they are served (claude.h). */
#include "core/dialect/claude.h"

enum { MIN_BUDGET = 1024, DEFAULT_BUDGET = 4096 };

/* The first number after "claude-<family>-": 4-6 in claude-opus-4-6-20260101. Older names have it before the family: claude-3-5-sonnet,
 * or after a v: claude-v2:1. False: another maker's model. */
static bool version_of(struct gw_str model, int *major, int *minor)
{
	size_t i = 0;

	while (i + 7 <= model.n && !gw_str_has_prefix(gw_str_skip(model, i), GW_LIT("claude-")))
		i++;
	if (i + 7 > model.n)
		return false;
	model = gw_str_skip(model, i + 7);
	*major = *minor = 0;
	for (struct gw_str part; model.n;) {
		uint64_t v;

		if (!gw_str_cut(model, '-', &part, &model))
			model = GW_NIL;
		if (!*major && part.n > 1 && part.p[0] == 'v' && part.p[1] >= '0' && part.p[1] <= '9') {
			*major = 1;
			break;
		}
		if (part.n > 2 || !gw_str_u64(part, &v)) { /* a family, a date, "v1:0" */
			if (*major)
				break;
			continue;
		}
		if (*major) {
			*minor = (int)v;
			break;
		}
		*major = (int)v;
	}
	return true;
}

/* Names without a number are newer than all numbers. */
static bool is_at_least(struct gw_str model, int want_major, int want_minor)
{
	int major, minor;

	if (!version_of(model, &major, &minor))
		return false;
	return major == 0 || major > want_major || (major == want_major && minor >= want_minor);
}

/* Since 4.6 the model decides how much it thinks and is told an effort; budgets are of the past. Other makers' models behind Anthropic's dialect
 * are told a budget. */
static bool is_adaptive(struct gw_str model)
{
	return is_at_least(model, 4, 6);
}

bool ir_claude_fixes_sampling(struct gw_str model)
{
	return is_at_least(model, 4, 7);
}

bool ir_claude_keeps_to_schemas(struct gw_str model)
{
	return is_at_least(model, 4, 5);
}

bool ir_claude_lacks_proof(const struct ir_request *rq, enum gw_dialect_id own)
{
	bool in_loop = false, lacks = false;

	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		bool has_call = false, has_proof = false, has_result = false;

		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			has_call |= b->kind == IR_TOOL_CALL;
			has_result |= b->kind == IR_TOOL_RESULT;
			has_proof |= b->kind == IR_REASONING && b->signature.n && b->signature_of == own;
		}
		if (m->role == IR_ASSISTANT) {
			lacks = has_call && !has_proof;
			in_loop = false;
		} else if (m->role == IR_USER) {
			in_loop |= has_result;
		}
	}
	return in_loop && lacks;
}

bool ir_claude_has_strangers(const struct ir_request *rq, struct gw_str own_id)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		for (const struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->kind == IR_TOOL_CALL && !gw_str_has_prefix(b->id, own_id))
				return true;
		}
	}
	return false;
}

bool ir_claude_may_be_mixed(struct gw_str body, struct gw_str member, struct gw_str own_id)
{
	const char *end = body.p + body.n, *at;

	if (!memmem(body.p, body.n, "budget_tokens", 13))
		return false;
	for (struct gw_str rest = body; (at = memmem(rest.p, rest.n, member.p, member.n));
	     rest = gw_str(at, (size_t)(end - at))) {
		at += member.n;
		while (at < end &&
		       (*at == ' ' || *at == ':' || *at == '"' || *at == '\n' || *at == '\r' || *at == '\t'))
			at++;
		if (!gw_str_has_prefix(gw_str(at, (size_t)(end - at)), own_id))
			return true;
	}
	return false;
}

static bool is_asked(const struct ir_reasoning *r)
{
	if (r->is_on == IR_NO || r->effort == IR_EFFORT_NONE)
		return false;
	return r->is_on == IR_YES || r->is_adaptive || r->effort > IR_EFFORT_NONE ||
	       (r->budget.is_set && r->budget.v > 0);
}

/* The model's turn was begun for it: it cannot think first. */
static bool is_begun(const struct ir_request *rq)
{
	const struct ir_message *last = NULL;

	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		if (m->role != IR_SYSTEM)
			last = m;
	}
	return last && last->role == IR_ASSISTANT;
}

static void plan_budget(const struct ir_request *rq, struct ir_claude *p)
{
	const struct ir_reasoning *r = &rq->reasoning;

	p->kind = IR_CLAUDE_BUDGET;
	p->budget = r->budget.is_set && r->budget.v > 0 ? r->budget.v : ir_effort_budget(r->effort);
	if (p->budget == 0)
		p->budget = DEFAULT_BUDGET;
	if (p->budget < MIN_BUDGET)
		p->budget = MIN_BUDGET;
	if (!rq->sampling.max_tokens.is_set)
		p->max_tokens += p->budget;
	if (p->budget < p->max_tokens)
		return;
	if (p->max_tokens >= 2 * MIN_BUDGET) {
		p->budget = p->max_tokens / 2; /* the client's ceiling holds: half of it is left for the answer */
		return;
	}
	p->budget = MIN_BUDGET;
	p->max_tokens += MIN_BUDGET;
}

struct ir_claude ir_claude_plan(const struct ir_request *rq, struct gw_str model, int64_t default_max_tokens,
				enum gw_dialect_id own)
{
	const struct ir_reasoning *r = &rq->reasoning;
	struct ir_claude p = { .max_tokens =
				   rq->sampling.max_tokens.is_set ? rq->sampling.max_tokens.v : default_max_tokens };

	if (!is_asked(r)) {
		if (r->is_on == IR_NO || r->effort == IR_EFFORT_NONE || r->budget.is_set)
			p.kind = IR_CLAUDE_OFF;
		return p;
	}
	if (!is_adaptive(model)) {
		p.is_lost = ir_claude_lacks_proof(rq, own) || is_begun(rq);
		if (!p.is_lost)
			plan_budget(rq, &p);
		return p;
	}
	p.kind = IR_CLAUDE_ADAPTIVE;
	p.effort = r->effort == IR_EFFORT_MINIMAL ? IR_EFFORT_LOW : r->effort;
	if (p.effort == IR_EFFORT_UNSET && r->budget.is_set && r->budget.v > 0)
		p.effort = ir_budget_effort(r->budget.v);
	if (!rq->sampling.max_tokens.is_set) /* the default is meant for the answer alone */
		p.max_tokens += p.effort == IR_EFFORT_UNSET ? DEFAULT_BUDGET : ir_effort_budget(p.effort);
	return p;
}
