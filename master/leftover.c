/* Processes of a master that died: they serve on for a while and then finish. They hold worker slots, the store and perhaps
 * open streams, so a new master takes the other half of the slots, asks the single roles to go, and the workers to finish
 * once its own serve. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "master/master.h"
#include "shm/ring.h"

enum { WAIT_MS = 60000, STEP_MS = 100, STOP_SINGLE_MS = 5000, KILLED_MS = 1000 };

/* The page may be from long ago and the number be another program's now: the command line must say "llmgw <role>". */
static bool is_ours(pid_t pid, enum gw_role role)
{
	char path[64];
	struct gw_buf b;
	bool is = false;

	if (pid <= 1 || kill(pid, 0) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	gw_buf_init(&b, 256);
	if (!gw_read_file(AT_FDCWD, path, &b)) {
		struct gw_str name, rest;

		is = gw_str_cut(gw_buf_view(&b), 0, &name, &rest) && gw_str_eq(name, GW_LIT("llmgw")) &&
		     gw_str_cut(rest, 0, &name, &rest) && gw_str_eq(name, gw_str_z(gw_role_name(role)));
	}
	gw_buf_done(&b);
	return is;
}

static void add(struct gw_master *m, pid_t pid, enum gw_role role)
{
	m->leftover[m->n_leftover] = pid;
	m->leftover_role[m->n_leftover++] = role;
}

/* Whose lease a ring carries; 0 = there is no ring, or nobody. */
static pid_t ring_owner(const struct gw_master *m, int slot)
{
	struct gw_ring_shared *ring;
	pid_t pid;

	if (gw_ring_open(m->boot.runtime_dir, slot, &ring))
		return 0;
	pid = (pid_t)atomic_load(&ring->owner_pid);
	gw_ring_close(ring);
	return pid;
}

/* Loggers of all earlier masters: the control page knows only the last one, but each ring names its own. */
static void look_for_loggers(struct gw_master *m)
{
	for (int slot = 0; slot < GW_MAX_SLOTS; slot++) {
		pid_t pid = ring_owner(m, slot);
		bool is_new = is_ours(pid, GW_ROLE_LOGGER);

		for (uint32_t i = 0; i < m->n_leftover; i++)
			is_new = is_new && m->leftover[i] != pid;
		if (is_new && m->n_leftover < GW_MAX_LEFTOVERS)
			add(m, pid, GW_ROLE_LOGGER);
	}
}

static void look(struct gw_master *m, const struct gw_control *old, bool held[2])
{
	m->n_leftover = 0;
	held[0] = held[1] = false;
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++) {
		pid_t pid = (pid_t)atomic_load(&old->workers[i].pid);

		if (!is_ours(pid, GW_ROLE_WORKER))
			continue;
		held[i / GW_MAX_WORKERS] = true;
		add(m, pid, GW_ROLE_WORKER);
	}
	for (int r = GW_ROLE_CONFD; r < GW_ROLE_COUNT; r++)
		if (r != GW_ROLE_WORKER && is_ours((pid_t)atomic_load(&old->roles[r].pid), (enum gw_role)r))
			add(m, (pid_t)atomic_load(&old->roles[r].pid), (enum gw_role)r);
	look_for_loggers(m);
}

/* What must be gone before we start: who holds the store or the sockets of the admin API, and a logger that serves slots of
 * our half, because two loggers would write its records twice. None of them has streams to finish. */
static bool must_go(const struct gw_master *m, uint32_t i)
{
	enum gw_role r = m->leftover_role[i];

	if (r == GW_ROLE_CONFD || r == GW_ROLE_ADMIN || r == GW_ROLE_AGENT || r == GW_ROLE_EXPORTER)
		return true;
	for (int slot = 0; r == GW_ROLE_LOGGER && slot < GW_MAX_WORKERS; slot++)
		if (ring_owner(m, (int)m->half * GW_MAX_WORKERS + slot) == m->leftover[i])
			return true;
	return false;
}

/* True when they are gone within the time. */
static bool stop_with(const struct gw_master *m, const bool *goes, int sig, uint64_t within_ms)
{
	uint64_t until = gw_now_ms() + within_ms;
	bool any = true;

	for (uint32_t i = 0; i < m->n_leftover; i++)
		if (goes[i] && is_ours(m->leftover[i], m->leftover_role[i]))
			kill(m->leftover[i], sig);
	while (any && gw_now_ms() < until) {
		any = false;
		for (uint32_t i = 0; i < m->n_leftover; i++)
			any = any || (goes[i] && is_ours(m->leftover[i], m->leftover_role[i]));
		if (any)
			gw_sleep_ms(20);
	}
	return !any;
}

static void stop_singles(struct gw_master *m)
{
	bool goes[GW_MAX_LEFTOVERS];

	for (uint32_t i = 0; i < m->n_leftover; i++)
		goes[i] = must_go(m, i);
	if (!stop_with(m, goes, SIGTERM, STOP_SINGLE_MS) && !stop_with(m, goes, SIGKILL, KILLED_MS))
		gw_log(GW_WARN, "a process of the earlier run cannot be ended; going on");
}

enum gw_err gw_leftover_find(struct gw_master *m, const char **why)
{
	uint64_t until = gw_now_ms() + WAIT_MS, told_ms = 0;
	const struct gw_control *old;
	bool held[2];

	if (gw_control_open(m->boot.runtime_dir, &old))
		return GW_OK; /* none, or of another layout: then the ring leases keep the old processes apart */
	for (;;) {
		look(m, old, held);
		if (!held[0] || !held[1])
			break;
		if (gw_now_ms() > until) {
			*why = "processes of earlier runs still hold all worker slots; stop them (their numbers are "
			       "above), then start again";
			return GW_E_IN_USE;
		}
		if (told_ms == 0 || gw_now_ms() - told_ms > 5000) {
			told_ms = gw_now_ms();
			for (uint32_t i = 0; i < m->n_leftover; i++)
				gw_log(GW_WARN, "waiting for %s (pid %d) of an earlier run to finish",
				       gw_role_name(m->leftover_role[i]), (int)m->leftover[i]);
		}
		gw_sleep_ms(STEP_MS);
	}
	if (m->n_leftover == 0)
		return GW_OK;
	gw_log(GW_WARN, "an earlier llmgw on this data folder died; %u of its processes still run and will be relieved",
	       m->n_leftover);
	m->half = held[0] ? 1 : held[1] ? 0 : atomic_load(&old->first_slot) == 0;
	stop_singles(m);
	return GW_OK;
}

static bool is_leftover(const struct gw_master *m, uint32_t pid)
{
	for (uint32_t i = 0; i < m->n_leftover; i++)
		if (m->leftover_role[i] == GW_ROLE_WORKER && (uint32_t)m->leftover[i] == pid)
			return true;
	return false;
}

void gw_leftover_publish(struct gw_master *m)
{
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_control_child *c = &m->control->workers[i];

		if ((uint32_t)i / GW_MAX_WORKERS == m->half && (uint32_t)i % GW_MAX_WORKERS < m->n_workers)
			continue; /* ours */
		atomic_store(&c->adopter, 0);
		if (is_leftover(m, atomic_load(&c->pid))) {
			atomic_store(&c->state, (uint32_t)GW_CHILD_DRAINING);
		} else {
			atomic_store(&c->state, (uint32_t)GW_CHILD_NONE);
			atomic_store(&c->pid, 0);
		}
	}
}

void gw_leftover_finish(struct gw_master *m)
{
	for (uint32_t i = 0; i < m->n_leftover; i++)
		if (m->leftover_role[i] == GW_ROLE_WORKER && is_ours(m->leftover[i], GW_ROLE_WORKER))
			kill(m->leftover[i], SIGTERM);
}

void gw_leftover_tick(struct gw_master *m)
{
	static uint64_t next_ms;
	uint64_t now = gw_now_ms();
	uint32_t n = 0, n_workers = 0;

	if (m->n_leftover == 0 || now < next_ms)
		return;
	next_ms = now + 1000;
	for (uint32_t i = 0; i < m->n_leftover; i++) {
		if (!is_ours(m->leftover[i], m->leftover_role[i]))
			continue;
		n_workers += m->leftover_role[i] == GW_ROLE_WORKER;
		m->leftover[n] = m->leftover[i];
		m->leftover_role[n++] = m->leftover_role[i];
	}
	m->n_leftover = n;
	/* Without workers their loggers have nothing more to come; ours takes over what they leave in the rings. */
	for (uint32_t i = 0; n_workers == 0 && i < n; i++)
		if (m->leftover_role[i] == GW_ROLE_LOGGER)
			kill(m->leftover[i], SIGTERM);
	gw_leftover_publish(m);
	if (n == 0)
		gw_log(GW_INFO, "the processes of the earlier run have finished");
}
