/* The poll loop: signals, the 20 ms timer, the children's pidfds and channels. Also the stages of an orderly stop. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "master/master.h"

enum { OWN = 4, POLLED = OWN + 2 * GW_MAX_CHILDREN, MESSAGES_AT_ONCE = 64, STATUS_BYTES = 256 << 10, HURRY_MS = 1000 };

/* --- messages of children --- */

static void keep_fatal(struct gw_child *c, struct gw_str text)
{
	size_t n = text.n < sizeof(c->detail) - 1 ? text.n : sizeof(c->detail) - 1;

	for (size_t i = 0; i < n; i++)
		c->detail[i] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? text.p[i] : '?';
	c->detail[n] = 0;
}

static void answer_status(struct gw_master *m, struct gw_child *c, const struct gw_msg *ask)
{
	struct gw_msg msg = { .type = GW_MSG_STATUS_IS };
	struct gw_buf body;

	gw_buf_init(&body, STATUS_BYTES);
	if (gw_str_eq(ask->name, GW_LIT("crashes")))
		gw_status_write_crashes(m, &body);
	else
		gw_status_write(m, &body);
	GW_MSG_SET(&msg, corr, ask->corr);
	GW_MSG_SET(&msg, body, gw_buf_view(&body));
	if (!body.err)
		gw_child_tell(m, c, &msg);
	gw_buf_done(&body);
}

static void on_handed(struct gw_master *m, struct gw_child *c, const struct gw_msg *msg)
{
	if (msg->flags == GW_HANDOVER_RELEASE && c->role == GW_ROLE_CONFD)
		gw_upgrade_released(m);
	else if (msg->flags == GW_HANDOVER_GO)
		gw_takeover_handed(m, c, msg->status);
}

/* Each role may say only what is its business; anything else is told and dropped. */
static void on_message(struct gw_master *m, struct gw_child *c, struct gw_msg *msg)
{
	char name[32];

	if (msg->type == GW_MSG_READY) {
		c->sandbox = (uint32_t)msg->flags;
		gw_supervise(m, c, GW_EV_READY);
	} else if (msg->type == GW_MSG_FATAL) {
		keep_fatal(c, msg->detail);
	} else if (msg->type == GW_MSG_HANDED) {
		on_handed(m, c, msg);
	} else if (msg->type == GW_MSG_IMAGE && c->role == GW_ROLE_CONFD) {
		gw_images_take(m, msg);
	} else if (msg->type == GW_MSG_IMAGE_BACK && c->role == GW_ROLE_CONFD) {
		m->now.generation = msg->generation;
		m->images_at_ms = gw_now_ms();
		atomic_store(&m->control->generation, msg->generation);
	} else if (msg->type == GW_MSG_STATUS && c->role == GW_ROLE_ADMIN) {
		answer_status(m, c, msg);
	} else if (msg->type == GW_MSG_UPGRADE && c->role == GW_ROLE_ADMIN) {
		gw_upgrade_begin(m, true, msg->corr);
	} else {
		gw_child_name(c, name);
		gw_log_slow(GW_WARN, "%s sent %s, which is not for the master", name, gw_msg_name(msg->type));
	}
}

static void on_channel(struct gw_master *m, struct gw_child *c)
{
	for (int i = 0; i < MESSAGES_AT_ONCE && c->chan >= 0; i++) {
		struct gw_msg msg;
		enum gw_err e = gw_msg_recv(c->chan, &c->in, &msg);

		if (e == GW_E_AGAIN)
			return;
		if (e) {
			/* Usually it is just ending; watch.c kills it when it lives on. */
			gw_close(&c->chan);
			c->chan_lost_ms = gw_now_ms();
			return;
		}
		on_message(m, c, &msg);
		for (uint32_t k = 0; k < msg.n_fds; k++)
			gw_close(&msg.fds[k]);
	}
}

/* --- stop --- */

static bool has_ended(struct gw_master *m, bool with_confd)
{
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		const struct gw_child *c = &m->child[i];
		bool is_edge = c->role == GW_ROLE_WORKER || c->role == GW_ROLE_ADMIN || c->role == GW_ROLE_AGENT ||
			       c->role == GW_ROLE_EXPORTER || (with_confd && c->role == GW_ROLE_CONFD);

		if (is_edge && c->state != GW_CHILD_GONE && c->state != GW_CHILD_NONE)
			return false;
	}
	return true;
}

static bool is_gone(struct gw_master *m, enum gw_role role)
{
	const struct gw_child *c = gw_child_of(m, role);

	return c->state == GW_CHILD_GONE || c->state == GW_CHILD_NONE;
}

void gw_loop_stage(struct gw_master *m)
{
	if ((m->stage == GW_STAGE_STOPPING_EDGE && has_ended(m, false)) ||
	    (m->stage == GW_STAGE_HANDED_OVER && has_ended(m, true))) {
		m->stage = GW_STAGE_STOPPING_LOGGER;
		gw_supervise_drain(m, gw_child_of(m, GW_ROLE_LOGGER), GW_LOGGER_STOP_MS);
	}
	if (m->stage == GW_STAGE_STOPPING_LOGGER && is_gone(m, GW_ROLE_LOGGER)) {
		m->stage = GW_STAGE_STOPPING_CONFD;
		if (!is_gone(m, GW_ROLE_CONFD))
			gw_supervise_drain(m, gw_child_of(m, GW_ROLE_CONFD), GW_STOP_MS);
	}
	if (m->stage == GW_STAGE_STOPPING_CONFD && is_gone(m, GW_ROLE_CONFD))
		m->stage = GW_STAGE_DONE;
}

/* The second request: what still runs gets one second. Records are safe, the logger ends in its own time. */
static void hurry(struct gw_master *m)
{
	gw_log(GW_WARN, "asked again: cutting what is still open");
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++)
		if (m->child[i].state == GW_CHILD_DRAINING && m->child[i].role != GW_ROLE_LOGGER)
			gw_supervise_drain(m, &m->child[i], HURRY_MS);
}

void gw_loop_stop(struct gw_master *m)
{
	if (m->stage == GW_STAGE_STANDBY) { /* an upgrade that is being called off from outside */
		gw_close(&m->takeover.chan);
		m->stage = GW_STAGE_DONE;
		return;
	}
	if (m->stage != GW_STAGE_SERVING) {
		hurry(m);
		return;
	}
	gw_upgrade_cancel(m, "the service is stopping");
	gw_log(GW_INFO, "stopping: open requests have %llu s", (unsigned long long)(m->boot.drain_timeout / 1000));
	gw_notify("STOPPING=1");
	m->stage = GW_STAGE_STOPPING_EDGE;
	atomic_store(&m->control->is_draining, 1);
	for (uint32_t i = 0; i < m->n_workers; i++) {
		m->child[i].adopter = -1;
		gw_supervise_drain(m, &m->child[i], m->boot.drain_timeout);
	}
	gw_place_close_sockets(m, true, false); /* the last holder closes: clients are refused instead of waiting */
	gw_supervise_drain(m, gw_child_of(m, GW_ROLE_ADMIN), GW_STOP_MS);
	gw_supervise_drain(m, gw_child_of(m, GW_ROLE_AGENT), GW_STOP_MS);
	gw_supervise_drain(m, gw_child_of(m, GW_ROLE_EXPORTER), GW_STOP_MS);
}

static void on_signal(struct gw_master *m)
{
	struct signalfd_siginfo si;

	while (read(m->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
			gw_loop_stop(m);
		else if (si.ssi_signo == SIGUSR2)
			gw_upgrade_begin(m, false, 0);
		else if (si.ssi_signo == SIGHUP)
			gw_log(GW_INFO, "SIGHUP does nothing: configuration is applied with `llmgwctl apply`");
	}
}

/* --- the loop --- */

static size_t collect(struct gw_master *m, struct pollfd *p, struct gw_child **who)
{
	int own[OWN] = { m->signal_fd, m->upgrade.pidfd, m->upgrade.chan, m->takeover.chan };
	size_t n = 0;

	for (size_t i = 0; i < OWN; i++, n++)
		p[n] = (struct pollfd){ .fd = own[i], .events = POLLIN };
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		who[n] = &m->child[i];
		p[n++] = (struct pollfd){ .fd = m->child[i].pidfd, .events = POLLIN };
		who[n] = &m->child[i];
		p[n++] = (struct pollfd){ .fd = m->child[i].chan, .events = POLLIN };
	}
	return n;
}

static void turn(struct gw_master *m)
{
	struct gw_child *who[POLLED];
	struct pollfd p[POLLED];
	size_t n = collect(m, p, who);
	uint64_t now = gw_now_ms();
	int r = poll(p, n, m->next_look_ms > now ? (int)(m->next_look_ms - now) : 0);

	if (r < 0) {
		GW_REQUIRE(errno == EINTR);
		return;
	}
	now = gw_now_ms();
	if (r > 0 && m->next_look_ms > now + GW_TICK_MS) /* something happened: what follows from it is seen soon */
		m->next_look_ms = now + GW_TICK_MS;
	if (p[0].revents)
		on_signal(m);
	for (size_t i = OWN; i < n; i++) {
		bool is_pidfd = (i - OWN) % 2 == 0;

		/* A child that was replaced in this turn has other descriptors, perhaps with the same numbers. */
		if (!p[i].revents || p[i].fd != (is_pidfd ? who[i]->pidfd : who[i]->chan))
			continue;
		on_channel(m, who[i]); /* last words first */
		if (is_pidfd)
			gw_supervise(m, who[i], GW_EV_DIED);
	}
	if (p[2].revents && p[2].fd == m->upgrade.chan)
		gw_upgrade_readable(m);
	if (p[1].revents && p[1].fd == m->upgrade.pidfd)
		gw_upgrade_died(m);
	if (p[3].revents && p[3].fd == m->takeover.chan)
		gw_takeover_readable(m);
	if (now >= m->next_look_ms)
		gw_watch_tick(m);
	gw_loop_stage(m);
}

static bool open_sources(struct gw_master *m)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd >= 0;
}

int gw_loop_run(struct gw_master *m)
{
	if (!open_sources(m)) {
		gw_log(GW_ERROR, "cannot make the signal descriptor");
		return 1;
	}
	gw_supervise_start_all(m);
	while (m->stage != GW_STAGE_DONE)
		turn(m);
	return 0;
}
