/* One process: fork and exec of the opened binary, its INIT message, its end. Between fork and exec only async-signal-safe
 * calls: dup, close, setpgid. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "master/master.h"

enum { ENV_MAX = 32, EXE_AT = 4, OPTIONS_BYTES = 65536 };

void gw_child_init(struct gw_master *m)
{
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *c = &m->child[i];
		bool is_worker = i < m->n_workers;

		*c = (struct gw_child){ .pidfd = -1, .chan = -1, .adopter = -1 };
		if (is_worker)
			c->role = GW_ROLE_WORKER;
		else if (i >= GW_MAX_WORKERS && i - GW_MAX_WORKERS != GW_ROLE_WORKER)
			c->role = (enum gw_role)(i - GW_MAX_WORKERS); /* the entry of the master itself stays unused */
		c->slot = is_worker ? m->half * GW_MAX_WORKERS + i : m->half;
	}
}

struct gw_child *gw_child_of(struct gw_master *m, enum gw_role role)
{
	return &m->child[GW_MAX_WORKERS + role];
}

uint32_t gw_child_number(const struct gw_master *m, const struct gw_child *c)
{
	return (uint32_t)(c - m->child);
}

void gw_child_name(const struct gw_child *c, char out[32])
{
	if (c->role == GW_ROLE_WORKER)
		snprintf(out, 32, "worker[%u]", c->slot);
	else
		snprintf(out, 32, "%s", gw_role_name(c->role));
}

void gw_child_publish(struct gw_master *m, const struct gw_child *c)
{
	struct gw_control_child *to;

	bool is_handed_over = m->lock_fd < 0;

	/* Until the point of no return the lines of the roles belong to the old master, then to the new one. */
	if (c->role != GW_ROLE_WORKER && (m->stage == GW_STAGE_STANDBY || is_handed_over))
		return;
	to = c->role == GW_ROLE_WORKER ? &m->control->workers[c->slot] : &m->control->roles[c->role];
	atomic_store(&to->state, (uint32_t)(is_handed_over && c->state == GW_CHILD_GONE ? GW_CHILD_NONE : c->state));
	atomic_store(&to->pid, (uint32_t)c->pid);
	atomic_store(&to->epoch, c->epoch);
	atomic_store(&to->restarts, c->restarts);
	atomic_store(&to->started_ns, c->started_ms * 1000000u);
	atomic_store(&to->adopter, c->adopter < 0 ? 0u : m->half * GW_MAX_WORKERS + (uint32_t)c->adopter + 1);
	atomic_store(&to->sandbox, c->sandbox);
}

/* --- exec --- */

static _Noreturn void become(int exe_fd, int chan, char *const argv[], char *const envp[], bool own_group)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	if (own_group)
		setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Both are above 9 (see callers), so no dup2 hits what the other still needs. */
	if ((null >= 0 && dup2(null, 0) < 0) || dup2(chan, GW_ROLE_MASTER_FD) < 0 ||
	    dup3(exe_fd, EXE_AT, O_CLOEXEC) < 0)
		_exit(126);
	syscall(SYS_close_range, (unsigned)EXE_AT + 1, ~0u, 0);
	syscall(SYS_execveat, EXE_AT, "", argv, envp, 0x1000 /* AT_EMPTY_PATH */);
	_exit(127);
}

enum gw_err gw_child_exec(int exe_fd, int chan, char *const argv[], char *const envp[], bool own_group, pid_t *pid,
			  int *pidfd)
{
	pid_t p;
	int fd;

	GW_REQUIRE(exe_fd > 9 && chan > 9);
	p = fork();
	if (p < 0)
		return gw_err_from_errno(errno);
	if (p == 0)
		become(exe_fd, chan, argv, envp, own_group);
	fd = (int)syscall(SYS_pidfd_open, p, 0);
	if (fd < 0) {
		int e = errno;

		kill(p, SIGKILL);
		waitpid(p, NULL, 0);
		return gw_err_from_errno(e);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	*pid = p;
	*pidfd = fd;
	return GW_OK;
}

/* A role sees only what it may need: the environment of the operator's shell often holds keys. */
static void pick_env(const struct gw_master *m, enum gw_role role, char *out[ENV_MAX])
{
	static const char *const all[] = {
		"PATH",         "LANG",          "LC_ALL",       "TZ",           "SSL_CERT_FILE",     "SSL_CERT_DIR",
		"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE", "LLMGW_FAILPOINT"
	};
	static const char *const identity[] = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
						"AWS_CONTAINER_CREDENTIALS_FULL_URI",
						"AWS_CONTAINER_AUTHORIZATION_TOKEN",
						"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
						"AWS_WEB_IDENTITY_TOKEN_FILE",
						"IDENTITY_ENDPOINT",
						"IDENTITY_HEADER",
						"AZURE_FEDERATED_TOKEN_FILE",
						"AZURE_AUTHORITY_HOST",
						"AZURE_TENANT_ID",
						"AZURE_CLIENT_ID",
						"GOOGLE_APPLICATION_CREDENTIALS" };
	const char *root[2] = { m->boot.root_key, m->boot.root_key_previous };
	size_t n = 0;

	for (char **e = environ; *e && n + 1 < ENV_MAX; e++) {
		struct gw_str name, rest;
		bool take = false;

		if (!gw_str_cut(gw_str_z(*e), '=', &name, &rest))
			continue;
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !take; i++)
			take = gw_str_eq(name, gw_str_z(all[i]));
		if (role == GW_ROLE_CONFD) {
			take = take || gw_str_eq(name, GW_LIT("CREDENTIALS_DIRECTORY"));
			for (int i = 0; i < 2; i++)
				take = take ||
				       (strncmp(root[i], "env:", 4) == 0 && gw_str_eq(name, gw_str_z(root[i] + 4)));
		}
		/* where the platform keeps the machine's own identity: for the agent, which fetches tokens */
		for (size_t i = 0; role == GW_ROLE_AGENT && i < sizeof(identity) / sizeof(identity[0]); i++)
			take = take || gw_str_eq(name, gw_str_z(identity[i]));
		if (take)
			out[n++] = *e;
	}
	out[n] = NULL;
}

/* --- INIT --- */

/* At an upgrade: the channel to the old confd, made by the old master. */
static void put_old_confd(struct gw_master *m, const struct gw_child *c, struct gw_role_fd *fds, uint32_t *n)
{
	char name[32];

	gw_child_name(c, name);
	for (uint32_t i = 0; i < m->takeover.n_wired; i++)
		if (strcmp(m->takeover.wired[i].name, name) == 0 && m->takeover.wired[i].fd >= 0) {
			snprintf(fds[*n].name, sizeof(fds[*n].name), "chan.confd");
			fds[(*n)++].fd = m->takeover.wired[i].fd;
			m->takeover.wired[i].fd = -1;
		}
}

static enum gw_err send_init(struct gw_master *m, struct gw_child *c)
{
	struct gw_role_fd fds[GW_ROLE_MAX_FDS];
	struct gw_msg msg = { .type = GW_MSG_INIT };
	uint32_t n_ours = gw_place_sockets(m, c->role == GW_ROLE_WORKER, c->role == GW_ROLE_ADMIN, fds), n = n_ours;
	struct gw_buf options, names;
	enum gw_err e;

	if (c->is_standby)
		put_old_confd(m, c, fds, &n);
	e = gw_wire_make(m, c, fds, &n);
	gw_buf_init(&options, OPTIONS_BYTES);
	gw_buf_init(&names, 4096);
	gw_boot_pack(&m->boot, &options);
	gw_msg_set_names(&msg, &names, fds, n);
	GW_MSG_SET(&msg, role, (uint64_t)c->role);
	GW_MSG_SET(&msg, slot, c->slot);
	GW_MSG_SET(&msg, epoch, c->epoch);
	GW_MSG_SET(&msg, flags, c->is_standby ? GW_INIT_STANDBY : 0);
	GW_MSG_SET(&msg, options, gw_buf_view(&options));
	if (!e)
		e = options.err ? options.err : names.err;
	if (!e)
		e = gw_msg_send(c->chan, &msg, 0);
	for (uint32_t i = n_ours; i < n; i++)
		close(fds[i].fd);
	gw_buf_done(&options);
	gw_buf_done(&names);
	return e;
}

/* Rises across restarts of the master and, by the clock, across boots, because (slot, epoch, seq) names a record. */
static uint32_t next_epoch(struct gw_master *m)
{
	uint32_t now = (uint32_t)(gw_unix_us() / 1000000);

	m->last_epoch = m->last_epoch + 1 > now ? m->last_epoch + 1 : now;
	return m->last_epoch;
}

enum gw_err gw_child_channel(int pair[2])
{
	enum gw_err e = gw_socketpair(pair, true);
	int high;

	if (e)
		return e;
	high = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
	if (high < 0) {
		e = gw_err_from_errno(errno);
		close(pair[0]);
		close(pair[1]);
		return e;
	}
	close(pair[1]);
	pair[1] = high;
	return GW_OK;
}

enum gw_err gw_child_start(struct gw_master *m, struct gw_child *c)
{
	char *argv[3] = { (char *)(uintptr_t) "llmgw", (char *)(uintptr_t)gw_role_name(c->role), NULL }, *envp[ENV_MAX];
	enum gw_err e;
	int pair[2];

	e = gw_child_channel(pair);
	if (e)
		return e;
	pick_env(m, c->role, envp);
	c->epoch = next_epoch(m);
	e = gw_child_exec(m->exe_fd, pair[1], argv, envp, true, &c->pid, &c->pidfd);
	close(pair[1]);
	if (e) {
		close(pair[0]);
		return e;
	}
	c->chan = pair[0];
	c->in = (struct gw_msg_in){ 0 };
	c->started_ms = gw_now_ms();
	c->up_ms = c->healthy_since_ms = c->chan_lost_ms = 0;
	c->waits_for_go = false;
	c->sandbox = 0;
	c->was_killed = false;
	c->detail[0] = 0;
	e = send_init(m, c);
	if (e) {
		gw_child_kill(c, "it did not take its INIT message");
		return GW_OK; /* its death is the event that counts */
	}
	gw_images_send(m, c);
	return GW_OK;
}

void gw_child_tell(struct gw_master *m, struct gw_child *c, const struct gw_msg *msg)
{
	enum gw_err e;

	(void)m;
	if (c->chan < 0)
		return;
	e = gw_msg_send(c->chan, msg, 0);
	if (e == GW_E_AGAIN)
		gw_child_kill(c, "it does not read its channel");
	else if (e && e != GW_E_IO) /* closed: its death will be told by the pidfd */
		gw_child_kill(c, gw_err_info(e)->name);
}

void gw_child_kill(struct gw_child *c, const char *why)
{
	char name[32];

	if (!gw_child_has_process(c) || c->was_killed)
		return;
	gw_child_name(c, name);
	gw_log(GW_WARN, "killing %s (pid %d): %s", name, (int)c->pid, why);
	c->was_killed = true;
	kill(c->pid, SIGKILL); /* ours until we reap it, so the number cannot have been given away */
}

void gw_child_reap(struct gw_master *m, struct gw_child *c, char how[48])
{
	siginfo_t info = { 0 };

	(void)m;
	snprintf(how, 48, "unknown");
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == c->pid) {
		if (info.si_code == CLD_EXITED)
			snprintf(how, 48, "exit %d", info.si_status);
		else
			snprintf(how, 48, "signal %d", info.si_status);
	}
	gw_close(&c->pidfd);
	gw_close(&c->chan);
	gw_msg_in_done(&c->in);
	c->pid = 0;
	c->healthy_since_ms = 0;
}
