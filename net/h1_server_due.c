/* Deadlines of all connections with one timer. Every kind has a fixed length, so a list per kind, appended at the
 * end, is in order of time. The timer is set to the earliest deadline and only ever moved forward: setting a
 * deadline costs two pointers, not a system call nor a heap operation; a fire that finds nothing due arms itself
 * again. */
#include "net/h1_server_int.h"

static void on_timer(uv_timer_t *t);

static void arm(struct gw_h1_server *s, uint64_t at_ms)
{
	uint64_t now = uv_now(s->loop);

	if (s->is_closed || (s->timer_at_ms && s->timer_at_ms <= at_ms))
		return;
	s->timer_at_ms = at_ms ? at_ms : 1;
	(void)uv_timer_start(&s->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

void gw_h1_due_clear(struct gw_h1_conn *c)
{
	struct gw_h1_due_list *l = &c->s->due[c->due];

	if (c->due == GW_H1_DUE_NONE)
		return;
	*(c->due_prev ? &c->due_prev->due_next : &l->first) = c->due_next;
	*(c->due_next ? &c->due_next->due_prev : &l->last) = c->due_prev;
	c->due_prev = c->due_next = NULL;
	c->due = GW_H1_DUE_NONE;
}

void gw_h1_due_set(struct gw_h1_conn *c, enum gw_h1_due kind)
{
	struct gw_h1_due_list *l = &c->s->due[kind];

	gw_h1_due_clear(c);
	if (kind == GW_H1_DUE_NONE)
		return;
	c->due = kind;
	c->due_at_ms = uv_now(c->s->loop) + l->after_ms;
	c->due_prev = l->last;
	*(l->last ? &l->last->due_next : &l->first) = c;
	l->last = c;
	arm(c->s, c->due_at_ms);
}

/* Rate over the time past the grace, and the total. */
static bool is_body_too_slow(const struct gw_h1_conn *c)
{
	const struct gw_h1_limits *lim = &c->s->lim;
	uint64_t ms = uv_now(c->s->loop) - c->body_since_ms;

	if (ms >= (c->is_streamed ? lim->upload_total_ms : lim->body_total_ms))
		return true;
	return ms > lim->body_grace_ms && c->body_wire_bytes < (ms - lim->body_grace_ms) * lim->body_min_rate / 1000;
}

static void expire(struct gw_h1_conn *c, enum gw_h1_due kind)
{
	switch (kind) {
	case GW_H1_DUE_FRONT:
		gw_h1_front_expire(c);
		break;
	case GW_H1_DUE_HEAD:
		gw_h1_refuse(c, GW_E_SLOW_CLIENT);
		break;
	case GW_H1_DUE_BODY:
		if (is_body_too_slow(c))
			gw_h1_refuse(c, GW_E_SLOW_CLIENT);
		break; /* else settle begins the next interval */
	case GW_H1_DUE_TRIM:
		gw_h1_conn_trim(c);
		break;
	case GW_H1_DUE_IDLE:
	case GW_H1_DUE_DRAIN:
		gw_h1_conn_linger(c);
		break;
	default: /* FIRST, WRITE, LINGER */
		gw_h1_conn_kill(c);
	}
	gw_h1_conn_settle(c);
}

static void on_timer(uv_timer_t *t)
{
	struct gw_h1_server *s = t->data;
	uint64_t now = uv_now(s->loop), earliest = UINT64_MAX;

	s->timer_at_ms = 0;
	for (int k = GW_H1_DUE_NONE + 1; k < GW_H1_DUE_COUNT; k++) {
		while (s->due[k].first && s->due[k].first->due_at_ms <= now) {
			struct gw_h1_conn *c = s->due[k].first;

			gw_h1_due_clear(c);
			expire(c, (enum gw_h1_due)k);
		}
	}
	for (int k = GW_H1_DUE_NONE + 1; k < GW_H1_DUE_COUNT; k++)
		if (s->due[k].first && s->due[k].first->due_at_ms < earliest)
			earliest = s->due[k].first->due_at_ms;
	if (earliest != UINT64_MAX)
		arm(s, earliest);
}

void gw_h1_due_start(struct gw_h1_server *s)
{
	const struct gw_h1_limits *l = &s->lim;
	uint64_t tick = l->body_total_ms < l->body_grace_ms + 1 ? l->body_total_ms : l->body_grace_ms + 1;

	tick = tick / 4 < 10 ? 10 : tick / 4 > 500 ? 500 : tick / 4;
	s->due[GW_H1_DUE_FIRST].after_ms = s->due[GW_H1_DUE_HEAD].after_ms = l->head_ms;
	s->due[GW_H1_DUE_FRONT].after_ms = l->front_ms;
	s->due[GW_H1_DUE_BODY].after_ms = tick;
	s->due[GW_H1_DUE_WRITE].after_ms = l->write_stall_ms;
	s->due[GW_H1_DUE_TRIM].after_ms = l->idle_ms < GW_H1_TRIM_MS ? l->idle_ms : GW_H1_TRIM_MS;
	s->due[GW_H1_DUE_IDLE].after_ms = l->idle_ms - s->due[GW_H1_DUE_TRIM].after_ms;
	s->due[GW_H1_DUE_DRAIN].after_ms = GW_H1_DRAIN_MS;
	s->due[GW_H1_DUE_LINGER].after_ms = GW_H1_LINGER_MS;
}
