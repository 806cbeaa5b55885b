/* A child's life: one table, action[state][event]. Nothing else changes a child's state.
 *
 *   NONE --START--> STARTING --READY--> UP --DIED--> BACKOFF --TIMEOUT--> STARTING ...
 *                                        \--DRAIN--> DRAINING --DIED--> GONE */
#include <signal.h>
#include <stdio.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "master/master.h"

static const char *const state_names[] = {
	[GW_CHILD_NONE] = "none",         [GW_CHILD_STARTING] = "starting", [GW_CHILD_UP] = "up",
	[GW_CHILD_DRAINING] = "draining", [GW_CHILD_BACKOFF] = "backoff",   [GW_CHILD_GONE] = "gone",
};

const char *gw_supervise_state_name(enum gw_child_state s)
{
	return state_names[s];
}

bool gw_supervise_in_loop(const struct gw_master *m, uint64_t now_ms)
{
	return now_ms < m->in_crash_loop_until_ms;
}

static void enter(struct gw_master *m, struct gw_child *c, enum gw_child_state s, uint64_t deadline_ms)
{
	c->state = s;
	c->deadline_ms = deadline_ms;
	gw_child_publish(m, c);
}

static uint64_t backoff_ms(const struct gw_child *c)
{
	uint32_t n = c->failures < 2 ? 0 : c->failures - 2;
	uint64_t ms = n >= 6 ? GW_BACKOFF_MAX_MS : (uint64_t)GW_BACKOFF_MS << n;

	return c->failures < 2 ? 0 : ms < GW_BACKOFF_MAX_MS ? ms : GW_BACKOFF_MAX_MS;
}

/* In a crash loop with no worker up, one at a time tries the last good images; the others wait for it. And no confd may
 * start while the new master of an upgrade holds the store. */
static bool must_wait(const struct gw_master *m, const struct gw_child *c, uint64_t now)
{
	if (c->role == GW_ROLE_CONFD && gw_upgrade_holds_store(m))
		return true;
	if (c->role != GW_ROLE_WORKER || !gw_supervise_in_loop(m, now))
		return false;
	for (uint32_t i = 0; i < m->n_workers; i++)
		if (&m->child[i] != c && m->child[i].state == GW_CHILD_UP)
			return false;
	for (uint32_t i = 0; i < m->n_workers; i++)
		if (&m->child[i] != c && m->child[i].state == GW_CHILD_STARTING)
			return true;
	return false;
}

static void do_spawn(struct gw_master *m, struct gw_child *c)
{
	uint64_t now = gw_now_ms();
	char name[32];
	enum gw_err e;

	if (must_wait(m, c, now)) {
		enter(m, c, GW_CHILD_BACKOFF, now + 250);
		return;
	}
	e = gw_child_start(m, c);
	if (e) {
		gw_child_name(c, name);
		gw_log(GW_ERROR, "cannot start %s: %s", name, gw_err_info(e)->doc);
		c->failures++;
		enter(m, c, GW_CHILD_BACKOFF, now + GW_BACKOFF_MAX_MS);
		return;
	}
	enter(m, c, GW_CHILD_STARTING, now + GW_READY_MS);
}

static void do_up(struct gw_master *m, struct gw_child *c)
{
	c->up_ms = gw_now_ms();
	enter(m, c, GW_CHILD_UP, 0);
}

static void keep_death(struct gw_master *m, const struct gw_child *c, const char *how, pid_t pid)
{
	struct gw_death *d = &m->death[m->n_deaths++ % GW_DEATHS_KEPT];

	*d = (struct gw_death){ .role = c->role,
				.slot = c->slot,
				.epoch = c->epoch,
				.pid = pid,
				.at_us = gw_unix_us(),
				.at_ms = gw_now_ms() };
	snprintf(d->how, sizeof(d->how), "%s", how);
	/* The page is the dead worker's to write: copied with a length, never trusted to end. */
	if (c->page && atomic_load(&c->page->panic_at_us) > (uint64_t)d->at_us - (d->at_ms - c->started_ms) * 1000) {
		snprintf(d->text, sizeof(d->text), "%.*s", (int)sizeof(c->page->panic) - 1, c->page->panic);
		snprintf(d->context, sizeof(d->context), "%.*s", (int)sizeof(c->page->panic_context) - 1,
			 c->page->panic_context);
	} else if (c->detail[0]) {
		snprintf(d->text, sizeof(d->text), "%s", c->detail);
	}
}

static void look_for_loop(struct gw_master *m, uint64_t now)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < GW_DEATHS_KEPT && i < m->n_deaths; i++)
		n += m->death[i].role == GW_ROLE_WORKER && now - m->death[i].at_ms < GW_LOOP_MS;
	if (n < GW_LOOP_DEATHS)
		return;
	if (!gw_supervise_in_loop(m, now))
		gw_log(GW_ERROR,
		       "crash loop: %llu worker deaths within a minute; new workers get the images of generation %llu",
		       (unsigned long long)n, (unsigned long long)(m->good.n ? m->good.generation : m->now.generation));
	m->in_crash_loop_until_ms = now + GW_LOOP_MS;
}

/* What every death needs, whatever comes after it. */
static void bury(struct gw_master *m, struct gw_child *c, bool is_expected)
{
	char how[48], name[32];
	pid_t pid = c->pid;

	gw_child_name(c, name);
	gw_child_reap(m, c, how);
	gw_wire_gone(m, c);
	if (is_expected && strcmp(how, "exit 0") == 0) {
		gw_log(GW_INFO, "%s (pid %d) has finished", name, (int)pid);
		return;
	}
	keep_death(m, c, how, pid);
	gw_log(GW_WARN, "%s (pid %d) died: %s%s%s", name, (int)pid, how,
	       m->death[(m->n_deaths - 1) % GW_DEATHS_KEPT].text[0] ? ": " : "",
	       m->death[(m->n_deaths - 1) % GW_DEATHS_KEPT].text);
}

static void do_back_off(struct gw_master *m, struct gw_child *c)
{
	uint64_t now = gw_now_ms(), wait;

	if (c->up_ms && now - c->up_ms >= GW_STABLE_MS)
		c->failures = 0;
	bury(m, c, false);
	c->failures++;
	c->restarts++;
	if (c->role == GW_ROLE_WORKER)
		look_for_loop(m, now);
	wait = backoff_ms(c);
	enter(m, c, GW_CHILD_BACKOFF, now + wait);
	gw_watch_adopt(m, now);
	if (wait == 0 && m->stage != GW_STAGE_STANDBY)
		gw_supervise(m, c, GW_EV_TIMEOUT);
}

static void do_gone(struct gw_master *m, struct gw_child *c)
{
	bury(m, c, true);
	enter(m, c, GW_CHILD_GONE, 0);
	gw_watch_adopt(m, gw_now_ms());
}

static void do_end(struct gw_master *m, struct gw_child *c)
{
	enter(m, c, GW_CHILD_GONE, 0);
}

static void do_kill_late(struct gw_master *m, struct gw_child *c)
{
	(void)m;
	gw_child_kill(c, "it was not ready in 10 s");
	c->deadline_ms = 0;
}

static void do_kill_stale(struct gw_master *m, struct gw_child *c)
{
	(void)m;
	gw_child_kill(c, "it has not shown a sign of life for 5 s");
}

static void do_kill_drained(struct gw_master *m, struct gw_child *c)
{
	(void)m;
	gw_child_kill(c, "its time to finish is over");
	c->deadline_ms = 0;
}

/* DRAIN itself was sent by gw_supervise_drain, which knows how long. */
static void do_drain(struct gw_master *m, struct gw_child *c)
{
	enter(m, c, GW_CHILD_DRAINING, c->deadline_ms);
}

static void ignore(struct gw_master *m, struct gw_child *c)
{
	(void)m;
	(void)c;
}

typedef void action_fn(struct gw_master *m, struct gw_child *c);

static action_fn *const action[GW_CHILD_GONE + 1][GW_EV_COUNT] = {
	[GW_CHILD_NONE] = {
		[GW_EV_START] = do_spawn, [GW_EV_READY] = ignore, [GW_EV_DIED] = ignore,
		[GW_EV_TIMEOUT] = ignore, [GW_EV_STALE] = ignore, [GW_EV_DRAIN] = do_end,
	},
	[GW_CHILD_STARTING] = {
		[GW_EV_START] = ignore, [GW_EV_READY] = do_up, [GW_EV_DIED] = do_back_off,
		[GW_EV_TIMEOUT] = do_kill_late, [GW_EV_STALE] = ignore, [GW_EV_DRAIN] = do_drain,
	},
	[GW_CHILD_UP] = {
		[GW_EV_START] = ignore, [GW_EV_READY] = ignore, [GW_EV_DIED] = do_back_off,
		[GW_EV_TIMEOUT] = ignore, [GW_EV_STALE] = do_kill_stale, [GW_EV_DRAIN] = do_drain,
	},
	[GW_CHILD_DRAINING] = {
		[GW_EV_START] = ignore, [GW_EV_READY] = ignore, [GW_EV_DIED] = do_gone,
		[GW_EV_TIMEOUT] = do_kill_drained, [GW_EV_STALE] = do_kill_stale, [GW_EV_DRAIN] = do_drain,
	},
	[GW_CHILD_BACKOFF] = {
		[GW_EV_START] = do_spawn, [GW_EV_READY] = ignore, [GW_EV_DIED] = ignore,
		[GW_EV_TIMEOUT] = do_spawn, [GW_EV_STALE] = ignore, [GW_EV_DRAIN] = do_end,
	},
	[GW_CHILD_GONE] = {
		[GW_EV_START] = do_spawn, [GW_EV_READY] = ignore, [GW_EV_DIED] = ignore,
		[GW_EV_TIMEOUT] = ignore, [GW_EV_STALE] = ignore, [GW_EV_DRAIN] = ignore,
	},
};

void gw_supervise(struct gw_master *m, struct gw_child *c, enum gw_child_event ev)
{
	action_fn *fn = action[c->state][ev];

	GW_REQUIRE(fn != NULL);
	fn(m, c);
}

void gw_supervise_drain(struct gw_master *m, struct gw_child *c, uint64_t within_ms)
{
	struct gw_msg msg = { .type = GW_MSG_DRAIN };

	if (gw_child_has_process(c)) {
		GW_MSG_SET(&msg, deadline_ms, within_ms);
		gw_child_tell(m, c, &msg);
		/* A little longer than it was told, so that it can end by itself. */
		c->deadline_ms = gw_now_ms() + within_ms + 1000;
	}
	gw_supervise(m, c, GW_EV_DRAIN);
}

void gw_supervise_start_all(struct gw_master *m)
{
	static const enum gw_role order[] = { GW_ROLE_LOGGER, GW_ROLE_CONFD, GW_ROLE_ADMIN, GW_ROLE_AGENT,
					      GW_ROLE_EXPORTER };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		gw_supervise(m, gw_child_of(m, order[i]), GW_EV_START);
	for (uint32_t i = 0; i < m->n_workers; i++)
		gw_supervise(m, &m->child[i], GW_EV_START);
}
