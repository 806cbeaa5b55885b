/* In-place upgrade, the old master's half (docs/adr/0003-upgrade.md). Until the new master says that it serves, nothing of
 * ours has changed but the store, and that comes back by starting a confd again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "master/master.h"

enum { PREPARE_MS = 10000, RELEASE_MS = 5000, GO_MS = 10000, CANCEL_MS = 1000, ARGS_MAX = 128 };

bool gw_upgrade_holds_store(const struct gw_master *m)
{
	return m->upgrade.step != GW_UP_NONE && m->upgrade.has_released;
}

/* Tells the log, `status` and whoever asked. */
static void conclude(struct gw_master *m, enum gw_err e, const char *text)
{
	struct gw_upgrade *u = &m->upgrade;
	struct gw_msg msg = { .type = GW_MSG_UPGRADED };

	gw_log(e ? GW_ERROR : GW_INFO, "upgrade: %s", text);
	snprintf(u->last, sizeof(u->last), "%s", text);
	if (u->has_asker) {
		GW_MSG_SET(&msg, corr, u->corr);
		GW_MSG_SET(&msg, status, e ? (uint64_t) - (int64_t)e : 0);
		GW_MSG_SET(&msg, detail, gw_str_z(u->last));
		gw_child_tell(m, gw_child_of(m, GW_ROLE_ADMIN), &msg);
	}
	u->has_asker = false;
}

static bool is_other_half_free(const struct gw_master *m)
{
	return m->n_leftover == 0 && (m->takeover.old_pid == 0 || getppid() != m->takeover.old_pid);
}

/* --- 1: start it --- */

static enum gw_err spawn(struct gw_master *m)
{
	struct gw_upgrade *u = &m->upgrade;
	char *argv[ARGS_MAX + 2];
	int pair[2], exe, n = 0, fd = open(m->exe_path, O_RDONLY | O_CLOEXEC);
	enum gw_err e;

	if (fd < 0)
		return gw_err_from_errno(errno);
	exe = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
	if (exe < 0 || m->argc > ARGS_MAX) {
		gw_close(&exe);
		return GW_E_TOO_BIG;
	}
	e = gw_child_channel(pair);
	if (!e) {
		argv[n++] = (char *)(uintptr_t) "llmgw";
		argv[n++] = (char *)(uintptr_t) "takeover";
		for (int i = 1; i < m->argc; i++)
			argv[n++] = m->argv[i];
		argv[n] = NULL;
		e = gw_child_exec(exe, pair[1], argv, environ, false, &u->pid, &u->pidfd);
		close(pair[1]);
		if (e)
			close(pair[0]);
		else
			u->chan = pair[0];
	}
	close(exe);
	return e;
}

static enum gw_err send_images(struct gw_master *m)
{
	struct gw_msg msg = { .type = GW_MSG_IMAGE };
	struct gw_buf names, digests;
	enum gw_err e;

	gw_buf_init(&names, 4096);
	gw_buf_init(&digests, 4096);
	gw_images_to_message(&m->now, &msg, &names, &digests);
	e = gw_msg_send(m->upgrade.chan, &msg, 0);
	gw_buf_done(&names);
	gw_buf_done(&digests);
	return e;
}

static enum gw_err send_prepare(struct gw_master *m)
{
	struct gw_msg msg = { .type = GW_MSG_HANDOVER };
	struct gw_role_fd fds[GW_LISTEN_MAX + 1];
	struct gw_buf names, options;
	uint32_t n = gw_place_sockets(m, true, true, fds);
	enum gw_err e;

	fds[n++] = (struct gw_role_fd){ "lock", m->lock_fd };
	gw_buf_init(&names, 4096);
	gw_buf_init(&options, 65536);
	gw_boot_pack(&m->boot, &options);
	gw_msg_set_names(&msg, &names, fds, n);
	GW_MSG_SET(&msg, flags, GW_HANDOVER_PREPARE);
	GW_MSG_SET(&msg, slot, m->half);
	GW_MSG_SET(&msg, count, m->n_workers);
	GW_MSG_SET(&msg, epoch, m->last_epoch);
	GW_MSG_SET(&msg, pid, (uint64_t)getpid());
	GW_MSG_SET(&msg, options, gw_buf_view(&options));
	e = gw_msg_send(m->upgrade.chan, &msg, 0);
	gw_buf_done(&names);
	gw_buf_done(&options);
	return e ? e : send_images(m);
}

void gw_upgrade_begin(struct gw_master *m, bool has_asker, uint64_t corr)
{
	struct gw_upgrade *u = &m->upgrade;
	char text[200];
	enum gw_err e;

	if (u->step != GW_UP_NONE) {
		gw_log(GW_WARN, "upgrade: one is under way already");
		if (has_asker && !u->has_asker) {
			u->has_asker = true; /* it hears the outcome of that one */
			u->corr = corr;
		}
		return;
	}
	u->has_asker = has_asker;
	u->corr = corr;
	if (m->stage != GW_STAGE_SERVING || !m->told_ready)
		conclude(m, GW_E_CONFLICT, "refused: the gateway is starting or stopping");
	else if (getpid() == 1)
		conclude(m, GW_E_CONFLICT,
			 "refused: this is process 1 of a container, which would end with it; replace the container");
	else if (!is_other_half_free(m))
		conclude(m, GW_E_CONFLICT,
			 "refused: processes of the one before still finish their streams; try again later");
	else if ((e = spawn(m)) != GW_OK) {
		snprintf(text, sizeof(text), "cannot start %.120s: %s", m->exe_path, gw_err_info(e)->doc);
		conclude(m, e, text);
	} else {
		gw_log(GW_INFO, "upgrade: started %s as new master (pid %d)", m->exe_path, (int)u->pid);
		u->step = GW_UP_PREPARING;
		u->has_released = false;
		u->deadline_ms = gw_now_ms() + PREPARE_MS;
		if (send_prepare(m))
			gw_upgrade_cancel(m, "the new master does not take what it is handed");
	}
}

/* --- 2: channels to our confd for the new roles --- */

static void add_wire(struct gw_master *m, enum gw_role role, uint32_t slot, struct gw_role_fd *fds, uint32_t *n)
{
	struct gw_child name = { .role = role, .slot = slot };
	char text[32];
	int pair[2];

	if (gw_socketpair(pair, true))
		return;
	gw_wire_tell_peer(m, gw_child_of(m, GW_ROLE_CONFD), role, slot, 0, 0, pair[0]);
	close(pair[0]);
	gw_child_name(&name, text);
	snprintf(fds[*n].name, sizeof(fds[*n].name), "%.27s", text);
	fds[(*n)++].fd = pair[1];
}

static void wire(struct gw_master *m)
{
	struct gw_msg msg = { .type = GW_MSG_HANDED };
	struct gw_role_fd fds[GW_MAX_WORKERS + 2];
	uint32_t n = 0, half = !m->half;
	struct gw_buf names;
	enum gw_err e;

	for (uint32_t i = 0; i < m->n_workers; i++)
		add_wire(m, GW_ROLE_WORKER, half * GW_MAX_WORKERS + i, fds, &n);
	add_wire(m, GW_ROLE_LOGGER, half, fds, &n);
	add_wire(m, GW_ROLE_AGENT, half, fds, &n);
	gw_buf_init(&names, 4096);
	gw_msg_set_names(&msg, &names, fds, n);
	GW_MSG_SET(&msg, flags, GW_HANDOVER_WIRE);
	e = gw_msg_send(m->upgrade.chan, &msg, 0);
	gw_buf_done(&names);
	for (uint32_t i = 0; i < n; i++)
		close(fds[i].fd);
	if (e)
		gw_upgrade_cancel(m, "the new master does not read its channel");
}

/* --- 4, 5: the store --- */

static void tell_new(struct gw_master *m, enum gw_handover phase)
{
	struct gw_msg msg = { .type = GW_MSG_HANDOVER };

	GW_MSG_SET(&msg, flags, (uint64_t)phase);
	if (m->upgrade.chan >= 0 && gw_msg_send(m->upgrade.chan, &msg, 0) && phase != GW_HANDOVER_CANCEL)
		gw_upgrade_cancel(m, "the new master does not read its channel");
}

void gw_upgrade_released(struct gw_master *m)
{
	if (m->upgrade.step != GW_UP_RELEASING)
		return;
	m->upgrade.has_released = true;
	m->upgrade.step = GW_UP_GOING;
	m->upgrade.deadline_ms = gw_now_ms() + GO_MS;
	tell_new(m, GW_HANDOVER_GO);
}

static void release(struct gw_master *m)
{
	struct gw_child *confd = gw_child_of(m, GW_ROLE_CONFD);
	struct gw_msg msg = { .type = GW_MSG_HANDOVER };

	gw_log(GW_INFO, "upgrade: the new processes stand by; taking the store from confd");
	m->upgrade.step = GW_UP_RELEASING;
	m->upgrade.has_released = true; /* from here on no confd of ours may start */
	m->upgrade.deadline_ms = gw_now_ms() + RELEASE_MS;
	GW_MSG_SET(&msg, flags, GW_HANDOVER_RELEASE);
	if (gw_child_has_process(confd))
		gw_child_tell(m, confd, &msg);
	else
		gw_upgrade_released(m);
}

/* --- 6, 7: done --- */

static void forget(struct gw_master *m)
{
	struct gw_upgrade *u = &m->upgrade;

	u->step = GW_UP_NONE;
	u->has_released = false;
	u->deadline_ms = 0;
	u->pid = 0;
	gw_close(&u->pidfd);
	gw_close(&u->chan);
	gw_msg_in_done(&u->in);
}

static void hand_over(struct gw_master *m)
{
	static const enum gw_role singles[] = { GW_ROLE_ADMIN, GW_ROLE_AGENT, GW_ROLE_EXPORTER, GW_ROLE_CONFD };
	char text[64];

	snprintf(text, sizeof(text), "MAINPID=%d", (int)m->upgrade.pid);
	gw_notify(text);
	conclude(m, GW_OK, "the new processes serve; the old ones finish their streams");
	m->stage = GW_STAGE_HANDED_OVER;
	for (uint32_t i = 0; i < m->n_workers; i++) {
		m->child[i].adopter = -1;
		gw_supervise_drain(m, &m->child[i], m->boot.drain_timeout);
	}
	gw_place_close_sockets(m, true, false);
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++)
		gw_supervise_drain(m, gw_child_of(m, singles[i]), GW_STOP_MS);
	gw_place_close_sockets(m, false, true);
	gw_close(&m->lock_fd); /* the new master holds the same lock */
	forget(m);
}

/* --- back --- */

void gw_upgrade_cancel(struct gw_master *m, const char *why)
{
	struct gw_upgrade *u = &m->upgrade;
	char text[200];

	if (u->step == GW_UP_NONE || u->step == GW_UP_CANCELLING)
		return;
	u->step = GW_UP_CANCELLING;
	u->deadline_ms = gw_now_ms() + CANCEL_MS;
	snprintf(text, sizeof(text), "rolled back: %.180s", why);
	conclude(m, GW_E_NOT_READY, text);
	tell_new(m, GW_HANDOVER_CANCEL);
}

void gw_upgrade_died(struct gw_master *m)
{
	struct gw_upgrade *u = &m->upgrade;
	bool has_released = u->has_released;
	struct gw_child *confd = gw_child_of(m, GW_ROLE_CONFD);
	siginfo_t info = { 0 };

	if (waitid(P_PID, (id_t)u->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid != u->pid)
		return;
	if (u->chan >= 0)
		gw_upgrade_readable(m); /* its last words may say why */
	if (u->step == GW_UP_NONE)
		return;
	gw_upgrade_cancel(m, "the new master ended before it was ready; its lines in the log say why");
	forget(m);
	if (!has_released)
		return;
	if (gw_child_has_process(confd))
		gw_child_kill(confd, "it has let the store go; a fresh one takes it back");
	else
		gw_supervise(m, confd, GW_EV_START);
}

static void on_message(struct gw_master *m, const struct gw_msg *msg)
{
	char text[200];

	if (msg->type == GW_MSG_HANDOVER && msg->flags == GW_HANDOVER_WIRE && m->upgrade.step == GW_UP_PREPARING) {
		wire(m);
	} else if (msg->type == GW_MSG_HANDED && msg->status != 0) {
		snprintf(text, sizeof(text), "%.*s", (int)(msg->detail.n < 180 ? msg->detail.n : 180),
			 msg->detail.p ? msg->detail.p : "");
		gw_upgrade_cancel(m, text);
	} else if (msg->type == GW_MSG_HANDED && msg->flags == GW_HANDOVER_PREPARE &&
		   m->upgrade.step == GW_UP_PREPARING) {
		release(m);
	} else if (msg->type == GW_MSG_HANDED && msg->flags == GW_HANDOVER_GO && m->upgrade.step == GW_UP_GOING) {
		hand_over(m);
	}
}

void gw_upgrade_readable(struct gw_master *m)
{
	struct gw_upgrade *u = &m->upgrade;

	while (u->chan >= 0) {
		struct gw_msg msg;
		enum gw_err e = gw_msg_recv(u->chan, &u->in, &msg);

		if (e == GW_E_AGAIN)
			return;
		if (e) {
			gw_close(&u->chan); /* its end comes by the pidfd, or by the deadline */
			return;
		}
		on_message(m, &msg);
		for (uint32_t k = 0; k < msg.n_fds; k++)
			gw_close(&msg.fds[k]);
	}
}

void gw_upgrade_tick(struct gw_master *m, uint64_t now)
{
	struct gw_upgrade *u = &m->upgrade;

	if (u->step == GW_UP_NONE || u->deadline_ms == 0 || now < u->deadline_ms)
		return;
	if (u->step == GW_UP_PREPARING) {
		gw_upgrade_cancel(m, "the new processes were not ready in 10 s");
	} else if (u->step == GW_UP_RELEASING) {
		gw_child_kill(gw_child_of(m, GW_ROLE_CONFD), "it did not let the store go in 5 s");
		u->deadline_ms = now + RELEASE_MS;
		if (!gw_child_has_process(gw_child_of(m, GW_ROLE_CONFD)))
			gw_upgrade_released(m);
	} else if (u->step == GW_UP_GOING) {
		gw_upgrade_cancel(m, "the new processes did not take over in 10 s");
	} else {
		u->deadline_ms = 0;
		kill(u->pid, SIGKILL);
	}
}
