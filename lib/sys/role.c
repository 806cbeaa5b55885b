/* The beginning of every role: it knows nothing but its name and descriptor 3. All else it may have arrives in INIT. */
#include "lib/sys/role.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/sandbox.h"

enum { SEND_MS = 1000, FATAL_BYTES = 900 };

int gw_role_log_level(const char *text)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	for (int i = 0; i < 4; i++)
		if (text && strcmp(text, names[i]) == 0)
			return i;
	return GW_INFO;
}

/* Names and descriptors go together: one name each, or the message is not ours. */
static enum gw_err take_table(struct gw_msg *m, struct gw_role_start *s)
{
	struct gw_mp r = gw_mp_reader(m->table);
	uint32_t n = GW_MSG_HAS(m, table) ? gw_mp_read_arr(&r) : 0;

	if (r.err || n != m->n_fds || n > GW_ROLE_MAX_FDS)
		return GW_E_GARBLED;
	for (uint32_t i = 0; i < n; i++) {
		struct gw_str name = gw_mp_read_str(&r);

		if (r.err || name.n == 0 || name.n >= sizeof(s->fds[i].name))
			return GW_E_GARBLED;
		memcpy(s->fds[i].name, name.p, name.n);
		s->fds[i].name[name.n] = 0;
		s->fds[i].fd = m->fds[i];
	}
	s->n_fds = n;
	return GW_OK;
}

static enum gw_err take_init(struct gw_msg *m, struct gw_role_start *out)
{
	struct gw_role_start s = { .role = (uint32_t)m->role,
				   .slot = (uint32_t)m->slot,
				   .epoch = (uint32_t)m->epoch,
				   .is_standby = GW_MSG_HAS(m, flags) && (m->flags & GW_INIT_STANDBY) };
	enum gw_err e = m->type == GW_MSG_INIT && GW_MSG_HAS(m, role) && GW_MSG_HAS(m, options) ? GW_OK : GW_E_GARBLED;

	if (!e)
		e = gw_boot_unpack(m->options, &s.boot);
	if (!e)
		e = take_table(m, &s);
	if (e) {
		for (uint32_t i = 0; i < m->n_fds; i++)
			close(m->fds[i]);
		return e;
	}
	*out = s;
	return GW_OK;
}

enum gw_err gw_role_read_init(int fd, int timeout_ms, struct gw_role_start *out)
{
	uint64_t until = gw_now_ms() + (uint64_t)timeout_ms;
	struct gw_msg_in in = { 0 };
	enum gw_err e = GW_E_AGAIN;

	while (e == GW_E_AGAIN) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = gw_now_ms();
		struct gw_msg m;
		int r;

		if (now >= until) {
			e = GW_E_NOT_READY;
			break;
		}
		r = poll(&p, 1, (int)(until - now));
		if (r < 0 && errno != EINTR)
			e = GW_E_IO;
		if (r <= 0)
			continue;
		e = gw_msg_recv(fd, &in, &m);
		if (!e)
			e = take_init(&m, out);
	}
	gw_msg_in_done(&in);
	return e;
}

/* Inherited dispositions and masks are the master's; a role begins with its own. */
static void set_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGINT, &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void gw_role_begin(struct gw_role_start *out, const char *role_name, bool slot_in_log)
{
	char title[16]; /* what ps shows; an exec by descriptor leaves the descriptor's number there */
	enum gw_err e;

	gw_harden();
	set_signals();
	gw_diag_init(role_name, -1, GW_INFO);
	e = gw_role_read_init(GW_ROLE_MASTER_FD, GW_ROLE_INIT_MS, out);
	if (e) {
		gw_log(GW_ERROR, "no INIT message on descriptor 3 (%s); a role is started by `llmgw`, not by hand",
		       gw_err_info(e)->name);
		exit(1);
	}
	out->role_name = role_name;
	gw_diag_init(role_name, slot_in_log ? (int)out->slot : -1,
		     (enum gw_level)gw_role_log_level(out->boot.log_level));
	snprintf(title, sizeof(title), "llmgw-%s", role_name);
	prctl(PR_SET_NAME, title);
}

int gw_role_fd(const struct gw_role_start *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_fds; i++)
		if (strcmp(s->fds[i].name, name) == 0)
			return s->fds[i].fd;
	return -1;
}

enum gw_err gw_role_path(const struct gw_role_start *s, const char *name, char *out, size_t n)
{
	int k = snprintf(out, n, "%s/%s", s->boot.runtime_dir, name);

	return k > 0 && (size_t)k < n ? GW_OK : GW_E_INVALID;
}

void gw_role_ready(uint32_t sandbox_level)
{
	struct gw_msg m = { .type = GW_MSG_READY };
	enum gw_err e;

	GW_MSG_SET(&m, flags, sandbox_level);
	e = gw_msg_send(GW_ROLE_MASTER_FD, &m, SEND_MS);
	if (e)
		gw_log(GW_WARN, "the master did not take READY (%s)", gw_err_info(e)->name);
}

void gw_role_fatal(const char *fmt, ...)
{
	struct gw_msg m = { .type = GW_MSG_FATAL };
	char text[FATAL_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	gw_log(GW_ERROR, "cannot start: %s", text);
	GW_MSG_SET(&m, detail, gw_str_z(text));
	if (gw_msg_send(GW_ROLE_MASTER_FD, &m, SEND_MS) != GW_OK)
		_exit(1); /* the log line has to do */
	_exit(1);
}
