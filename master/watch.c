/* The look: deadlines, beats, adopted sockets, stages. Each 20 ms while something is under way; in quiet times not before a beat
 * could be missing. */
#include <stdio.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "master/master.h"

enum { FORGIVE_MS = 2000, STOPPED_MS = 1000, YOUNG_MS = 2000, SETTLED_MS = 100 };

static uint64_t beat_ms(const struct gw_master *m, const struct gw_child *c)
{
	uint64_t ns = c->page ? atomic_load_explicit(&c->page->beat_ns, memory_order_relaxed)
			      : atomic_load_explicit(&m->beats->roles[c->role].beat_ns, memory_order_relaxed);

	return ns / 1000000;
}

bool gw_watch_is_healthy(const struct gw_master *m, const struct gw_child *c, uint64_t now_ms)
{
	uint64_t beat;

	if (c->role != GW_ROLE_WORKER || c->state != GW_CHILD_UP || c->was_killed || c->is_standby || !c->page)
		return false;
	if (atomic_load(&c->page->pid) != (uint32_t)c->pid || !atomic_load(&c->page->is_ready))
		return false;
	beat = beat_ms(m, c);
	return now_ms < m->forgive_until_ms || beat + GW_ADOPT_MS >= now_ms;
}

/* --- adoption --- */

static void tell_adopt(struct gw_master *m, struct gw_child *adopter, const struct gw_child *c, uint64_t flag)
{
	struct gw_msg msg = { .type = GW_MSG_ADOPT };

	GW_MSG_SET(&msg, slot, c->slot);
	GW_MSG_SET(&msg, flags, flag);
	gw_child_tell(m, adopter, &msg);
}

/* The healthy worker that has adopted least, then the one with fewest connections. */
static int pick_adopter(struct gw_master *m, const struct gw_child *c, uint64_t now)
{
	uint64_t best_load = UINT64_MAX;
	int best = -1;

	for (uint32_t i = 0; i < m->n_workers; i++) {
		struct gw_child *w = &m->child[i];
		uint64_t load = 0;

		if (w == c || !gw_watch_is_healthy(m, w, now))
			continue;
		for (uint32_t k = 0; k < m->n_workers; k++)
			load += m->child[k].adopter == (int)i ? (uint64_t)1 << 32 : 0;
		load += atomic_load_explicit(&w->page->metric[GW_M_connections], memory_order_relaxed) & 0xffffffff;
		if (load < best_load) {
			best_load = load;
			best = (int)i;
		}
	}
	return best;
}

static void set_adopter(struct gw_master *m, struct gw_child *c, int adopter)
{
	if (c->adopter == adopter)
		return;
	if (c->adopter >= 0 && gw_child_has_process(&m->child[c->adopter]))
		tell_adopt(m, &m->child[c->adopter], c, 0);
	c->adopter = adopter;
	if (adopter >= 0)
		tell_adopt(m, &m->child[adopter], c, 1);
	gw_child_publish(m, c);
}

void gw_watch_adopt(struct gw_master *m, uint64_t now)
{
	if (m->stage != GW_STAGE_SERVING)
		return;
	for (uint32_t i = 0; i < m->n_workers; i++) {
		struct gw_child *c = &m->child[i];
		bool is_healthy = gw_watch_is_healthy(m, c, now);

		if (!is_healthy)
			c->healthy_since_ms = 0;
		else if (c->healthy_since_ms == 0)
			c->healthy_since_ms = now;
		/* At the first start everybody is young; nothing waits in the sockets yet. */
		if (!is_healthy && c->restarts == 0 && c->state == GW_CHILD_STARTING && now - c->started_ms < YOUNG_MS)
			continue;
		if (is_healthy && now - c->healthy_since_ms >= SETTLED_MS)
			set_adopter(m, c, -1);
		else if (!is_healthy && (c->adopter < 0 || !gw_watch_is_healthy(m, &m->child[c->adopter], now)))
			set_adopter(m, c, pick_adopter(m, c, now));
	}
}

/* --- one child --- */

static bool are_others_healthy(const struct gw_master *m, const struct gw_child *c, uint64_t now)
{
	for (uint32_t i = 0; i < m->n_workers; i++)
		if (&m->child[i] != c && !gw_watch_is_healthy(m, &m->child[i], now))
			return false;
	return true;
}

/* A worker that does not take a generation within 5 s is replaced, once per generation: its successor begins with it. One
 * after the other, so that a generation that nobody can take does not take all of them away at once. */
static void look_at_lag(struct gw_master *m, struct gw_child *c, uint64_t now)
{
	uint64_t want = m->now.generation, has;

	if (!c->page || c->state != GW_CHILD_UP || c->is_standby || !want || now - m->images_at_ms < GW_STALE_MS ||
	    now - c->up_ms < GW_STALE_MS || c->lagging_generation == want || gw_supervise_in_loop(m, now))
		return;
	has = atomic_load(&c->page->generation);
	if (has >= want || !are_others_healthy(m, c, now))
		return;
	c->lagging_generation = want;
	gw_child_kill(c, "it has not taken the present configuration within 5 s");
}

static void look_at(struct gw_master *m, struct gw_child *c, uint64_t now)
{
	if (c->deadline_ms && now >= c->deadline_ms)
		gw_supervise(m, c, GW_EV_TIMEOUT);
	if (!gw_child_has_process(c) || c->was_killed)
		return;
	if (c->chan_lost_ms && now - c->chan_lost_ms > STOPPED_MS)
		gw_child_kill(c, "it closed its channel to the master");
	if ((c->state == GW_CHILD_UP || c->state == GW_CHILD_DRAINING) && now >= m->forgive_until_ms) {
		uint64_t last = beat_ms(m, c);

		if (last < c->up_ms)
			last = c->up_ms;
		if (now > last && now - last > GW_STALE_MS)
			gw_supervise(m, c, GW_EV_STALE);
	}
	look_at_lag(m, c, now);
}

static bool is_all_up(struct gw_master *m, uint64_t now)
{
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *c = &m->child[i];

		if (c->role == GW_ROLE_WORKER ? !gw_watch_is_healthy(m, c, now)
					      : c->role != GW_ROLE_MASTER && c->state != GW_CHILD_UP)
			return false;
	}
	return true;
}

static void look_for_ready(struct gw_master *m, uint64_t now)
{
	uint64_t every = gw_notify_watchdog_ms();

	if (m->stage == GW_STAGE_SERVING && !m->told_ready && is_all_up(m, now)) {
		m->told_ready = true;
		gw_log(GW_INFO, "ready: %u workers on %s, admin on %s", m->n_workers, m->boot.listen,
		       m->boot.admin_listen);
		gw_notify("READY=1\nSTATUS=serving");
		gw_leftover_finish(m);
	}
	if (every && now - m->notify_ms >= every) {
		m->notify_ms = now;
		gw_notify("WATCHDOG=1");
	}
}

static bool is_under_way(const struct gw_master *m)
{
	return m->stage != GW_STAGE_SERVING || !m->told_ready || m->upgrade.step != GW_UP_NONE || m->n_leftover ||
	       (m->takeover.old_pid && !m->takeover.is_done);
}

/* When this child could next need us; 0 = now and at each tick. */
static uint64_t child_needs_ms(const struct gw_master *m, const struct gw_child *c, uint64_t now)
{
	if (c->state != GW_CHILD_UP || c->was_killed || c->chan_lost_ms || c->adopter >= 0)
		return 0;
	if (c->role != GW_ROLE_WORKER)
		return now + GW_LOOK_MS; /* its beat may be 5 s old */
	return gw_watch_is_healthy(m, c, now) && c->healthy_since_ms ? beat_ms(m, c) + GW_ADOPT_MS + 1 : 0;
}

/* A healthy worker's last beat says when it would have to be adopted: nothing can be learnt before that, so nobody wakes up for it. */
static uint64_t next_look_ms(const struct gw_master *m, uint64_t now)
{
	uint64_t next = now + GW_LOOK_MS, soon = now + GW_TICK_MS;

	if (is_under_way(m))
		return soon;
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		const struct gw_child *c = &m->child[i];
		uint64_t needs;

		if (c->role == GW_ROLE_MASTER)
			continue;
		needs = child_needs_ms(m, c, now);
		if (c->deadline_ms && c->deadline_ms < needs)
			needs = c->deadline_ms;
		if (needs < next)
			next = needs;
	}
	return next > soon ? next : soon;
}

void gw_watch_tick(struct gw_master *m)
{
	uint64_t now = gw_now_ms();

	/* We were stopped ourselves (a frozen container): what we see is as old as we are. */
	if (m->tick_ms && now - m->tick_ms > STOPPED_MS)
		m->forgive_until_ms = now + FORGIVE_MS;
	m->tick_ms = now;
	if (m->stage != GW_STAGE_STANDBY && m->stage != GW_STAGE_HANDED_OVER)
		atomic_store(&m->control->master_beat_ns, gw_now_ns());
	gw_takeover_tick(m, now);
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++)
		if (m->child[i].role != GW_ROLE_MASTER)
			look_at(m, &m->child[i], now);
	gw_watch_adopt(m, now);
	gw_images_keep_good(m, now);
	gw_upgrade_tick(m, now);
	gw_leftover_tick(m);
	look_for_ready(m, now);
	gw_loop_stage(m);
	m->next_look_ms = next_look_ms(m, now);
}
