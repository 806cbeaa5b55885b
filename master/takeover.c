/* In-place upgrade, the new master's half (docs/adr/0003-upgrade.md): everything in standby, then GO, then it is the master. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "master/master.h"

enum { RECEIVE_MS = 5000, WORKERS_GO_MS = 3000 };

/* Before the loop runs: waits for one message. */
static enum gw_err wait_message(struct gw_master *m, enum gw_msg_type type, struct gw_msg *msg)
{
	uint64_t until = gw_now_ms() + RECEIVE_MS;

	for (;;) {
		struct pollfd p = { .fd = m->takeover.chan, .events = POLLIN };
		uint64_t now = gw_now_ms();
		enum gw_err e;

		if (now >= until)
			return GW_E_NOT_READY;
		if (poll(&p, 1, (int)(until - now)) <= 0)
			continue;
		e = gw_msg_recv(m->takeover.chan, &m->takeover.in, msg);
		if (e != GW_E_AGAIN)
			return e ? e : msg->type == type ? GW_OK : GW_E_GARBLED;
	}
}

/* Sockets that this version knows and the old one did not have stay away until a full start. */
static enum gw_err take_sockets(struct gw_master *m, const struct gw_msg *msg)
{
	struct gw_role_fd fds[GW_LISTEN_MAX + 1];
	uint32_t n = GW_LISTEN_MAX + 1;
	enum gw_err e = gw_msg_get_names(msg, fds, &n);

	if (e || msg->count == 0 || msg->count > GW_MAX_WORKERS)
		return e ? e : GW_E_GARBLED;
	m->n_workers = (uint32_t)msg->count;
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(fds[i].name, "lock") == 0)
			m->lock_fd = fds[i].fd;
		else if (!gw_place_take_socket(m, &fds[i]))
			return GW_E_GARBLED;
	}
	for (uint32_t i = 0; i < m->n_workers; i++)
		if (m->listen.fd[i] < 0)
			return GW_E_GARBLED;
	return m->lock_fd >= 0 && m->listen.admin_tcp >= 0 && m->listen.admin_unix >= 0 ? GW_OK : GW_E_GARBLED;
}

/* What is bound to sockets and regions that live stays as it was. */
static enum gw_err compare_options(struct gw_master *m, struct gw_str packed, const char **why)
{
	struct gw_boot old;
	enum gw_err e = gw_boot_unpack(packed, &old);

	if (e)
		return e;
	if (strcmp(old.data_dir, m->boot.data_dir) != 0 || strcmp(old.runtime_dir, m->boot.runtime_dir) != 0) {
		*why =
		    "data_dir or runtime_dir differ from those of the running gateway; that needs a stop and a start";
		return GW_E_CONFLICT;
	}
	if (strcmp(old.listen, m->boot.listen) != 0 || strcmp(old.admin_listen, m->boot.admin_listen) != 0 ||
	    strcmp(old.listen_tls, m->boot.listen_tls) != 0 ||
	    strcmp(old.admin_listen_tls, m->boot.admin_listen_tls) != 0 || old.workers != m->boot.workers)
		gw_log(GW_WARN,
		       "listen addresses or workers have changed; that comes into force at the next full start");
	m->boot.listen = old.listen;
	m->boot.admin_listen = old.admin_listen;
	m->boot.listen_tls = old.listen_tls;
	m->boot.admin_listen_tls = old.admin_listen_tls;
	m->boot.workers = old.workers;
	return GW_OK;
}

static enum gw_err ask_wires(struct gw_master *m)
{
	struct gw_msg ask = { .type = GW_MSG_HANDOVER }, msg;
	enum gw_err e;

	GW_MSG_SET(&ask, flags, GW_HANDOVER_WIRE);
	e = gw_msg_send(m->takeover.chan, &ask, RECEIVE_MS);
	if (!e)
		e = wait_message(m, GW_MSG_HANDED, &msg);
	m->takeover.n_wired = sizeof(m->takeover.wired) / sizeof(m->takeover.wired[0]);
	if (!e)
		e = gw_msg_get_names(&msg, m->takeover.wired, &m->takeover.n_wired);
	if (e)
		m->takeover.n_wired = 0;
	return e;
}

enum gw_err gw_takeover_receive(struct gw_master *m, const char **why)
{
	struct gw_msg msg;
	enum gw_err e;

	*why = "the old master did not hand over what is needed";
	m->takeover.chan = fcntl(GW_ROLE_MASTER_FD, F_DUPFD_CLOEXEC, 10);
	close(GW_ROLE_MASTER_FD);
	if (m->takeover.chan < 0)
		return GW_E_IO;
	e = wait_message(m, GW_MSG_HANDOVER, &msg);
	if (!e)
		e = take_sockets(m, &msg);
	if (e)
		return e;
	m->half = msg.slot == 0;
	m->last_epoch = (uint32_t)msg.epoch;
	m->takeover.old_pid = (pid_t)msg.pid;
	e = compare_options(m, msg.options, why);
	if (e)
		return e;
	e = gw_place_dirs(m, why);
	if (!e)
		e = wait_message(m, GW_MSG_IMAGE, &msg);
	if (e)
		return e;
	gw_child_init(m);
	e = gw_place_regions(m, why);
	if (e)
		return e;
	gw_images_take(m, &msg);
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++)
		m->child[i].is_standby = true;
	m->stage = GW_STAGE_STANDBY;
	return ask_wires(m);
}

/* --- while the loop runs --- */

static void tell_old(struct gw_master *m, enum gw_handover phase, enum gw_err e, const char *detail)
{
	struct gw_msg msg = { .type = GW_MSG_HANDED };

	GW_MSG_SET(&msg, flags, (uint64_t)phase);
	GW_MSG_SET(&msg, status, e ? (uint64_t) - (int64_t)e : 0);
	GW_MSG_SET(&msg, detail, gw_str_z(detail));
	if (m->takeover.chan >= 0 && gw_msg_send(m->takeover.chan, &msg, 1000))
		gw_log(GW_WARN, "takeover: the old master does not listen any more");
}

static void give_up(struct gw_master *m, const char *why)
{
	gw_log(GW_ERROR, "takeover: given up: %s", why);
	tell_old(m, m->takeover.has_go ? GW_HANDOVER_GO : GW_HANDOVER_PREPARE, GW_E_NOT_READY, why);
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++)
		if (gw_child_has_process(&m->child[i]))
			kill(m->child[i].pid, SIGKILL);
	exit(1);
}

static void send_go(struct gw_master *m, struct gw_child *c)
{
	struct gw_msg msg = { .type = GW_MSG_HANDOVER };

	GW_MSG_SET(&msg, flags, GW_HANDOVER_GO);
	c->is_standby = false;
	c->waits_for_go = true;
	gw_child_tell(m, c, &msg);
}

/* The store is free: confd takes it, wired to all the others. */
static void go(struct gw_master *m)
{
	struct gw_child *confd = gw_child_of(m, GW_ROLE_CONFD);

	m->takeover.has_go = true;
	confd->is_standby = false;
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *c = &m->child[i];

		if (gw_child_has_process(c) && gw_wire_are_peers(GW_ROLE_CONFD, c->role) && gw_wire_pair(m, confd, c)) {
			give_up(m, "no descriptors left");
			return;
		}
	}
	send_go(m, gw_child_of(m, GW_ROLE_LOGGER));
	send_go(m, confd);
}

/* The point of no return. */
static void become_master(struct gw_master *m)
{
	m->stage = GW_STAGE_SERVING;
	m->takeover.deadline_ms = gw_now_ms() + WORKERS_GO_MS;
	gw_place_write_lock(m);
	atomic_store(&m->control->master_pid, (uint32_t)getpid());
	atomic_store(&m->control->first_slot, m->half * GW_MAX_WORKERS);
	atomic_store(&m->control->n_workers, m->n_workers);
	atomic_store(&m->control->started_us, (uint64_t)gw_unix_us());
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *c = &m->child[i];

		if (c->role == GW_ROLE_MASTER)
			continue;
		gw_child_publish(m, c);
		if (c->is_standby)
			send_go(m, c);
	}
}

void gw_takeover_handed(struct gw_master *m, struct gw_child *c, uint64_t status)
{
	c->waits_for_go = false;
	if (m->stage != GW_STAGE_STANDBY || c->role != GW_ROLE_CONFD || !m->takeover.has_go)
		return;
	if (status != 0)
		give_up(m, "the new confd could not open the store");
	else
		become_master(m);
}

static void on_message(struct gw_master *m, const struct gw_msg *msg)
{
	if (msg->type != GW_MSG_HANDOVER || m->stage != GW_STAGE_STANDBY)
		return;
	if (msg->flags == GW_HANDOVER_GO && m->takeover.is_prepared && !m->takeover.has_go)
		go(m);
	else if (msg->flags == GW_HANDOVER_CANCEL)
		give_up(m, "called off by the old master");
}

void gw_takeover_readable(struct gw_master *m)
{
	while (m->takeover.chan >= 0) {
		struct gw_msg msg;
		enum gw_err e = gw_msg_recv(m->takeover.chan, &m->takeover.in, &msg);

		if (e == GW_E_AGAIN)
			return;
		if (e) {
			gw_close(&m->takeover.chan);
			if (m->stage == GW_STAGE_STANDBY && !m->takeover.has_go)
				give_up(m, "the old master is gone");
			return;
		}
		on_message(m, &msg);
		for (uint32_t k = 0; k < msg.n_fds; k++)
			gw_close(&msg.fds[k]);
	}
}

void gw_takeover_tick(struct gw_master *m, uint64_t now)
{
	struct gw_takeover *t = &m->takeover;
	bool is_all_up = true, has_gone = true;

	if (t->old_pid == 0 || t->is_done)
		return;
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *c = &m->child[i];

		if (c->role == GW_ROLE_MASTER)
			continue;
		if (m->stage == GW_STAGE_STANDBY && (c->restarts > 0 || c->was_killed)) {
			char text[360], name[32];

			gw_child_name(c, name);
			snprintf(text, sizeof(text), "the new %s did not live: %s", name,
				 c->detail[0] ? c->detail : "see the log");
			give_up(m, text);
		}
		is_all_up = is_all_up && c->state == GW_CHILD_UP;
		has_gone = has_gone && !(c->role == GW_ROLE_WORKER && c->waits_for_go);
	}
	if (m->stage == GW_STAGE_STANDBY && is_all_up && !t->is_prepared) {
		t->is_prepared = true;
		tell_old(m, GW_HANDOVER_PREPARE, GW_OK, "");
	}
	if (m->stage == GW_STAGE_SERVING && (has_gone || now > t->deadline_ms)) {
		t->is_done = true;
		tell_old(m, GW_HANDOVER_GO, GW_OK, "");
		gw_log(GW_INFO, "takeover: done");
	}
}
