/* Where the gateway lives: folders, the lock that keeps a second master out, regions, listen sockets. Every failure here is
 * one the operator must understand, so each sets a text. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "master/master.h"
#include "shm/health.h"
#include "shm/inflight.h"
#include "shm/revoke.h"
#include "shm/ring.h"

static char why_text[600];

#define FAIL(e, ...) (snprintf(why_text, sizeof(why_text), __VA_ARGS__), *why = why_text, (e))

/* --- folders, lock, limits --- */

static enum gw_err private_dir(const char *option, const char *path, const char **why)
{
	enum gw_err e = gw_private_dir(path);

	if (e == GW_E_FORBIDDEN)
		return FAIL(
		    e, "%s: %s is a link or belongs to somebody else; it must be a folder of the user that runs llmgw",
		    option, path);
	return e ? FAIL(e, "%s: cannot make %s (%s)", option, path, gw_err_info(e)->doc) : GW_OK;
}

enum gw_err gw_place_dirs(struct gw_master *m, const char **why)
{
	enum gw_err e;

	umask(077);
	if (m->boot.runtime_dir[0] != '/' || strlen(m->boot.runtime_dir) > 90)
		return FAIL(GW_E_INVALID,
			    "--runtime-dir: %s must be an absolute path of at most 90 bytes (it holds a socket)",
			    m->boot.runtime_dir);
	e = private_dir("--data-dir", m->boot.data_dir, why);
	return e ? e : private_dir("--runtime-dir", m->boot.runtime_dir, why);
}

static enum gw_err take_lock(struct gw_master *m, const char **why)
{
	char path[4200], pid[16] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/llmgw.lock", m->boot.data_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return FAIL(gw_err_from_errno(errno), "--data-dir: cannot open llmgw.lock in %s: %s", m->boot.data_dir,
			    strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		n = read(fd, pid, sizeof(pid) - 1);
		close(fd);
		return FAIL(
		    GW_E_IN_USE,
		    "--data-dir: %s is in use by another llmgw (pid %.*s); stop that one first, or give this one "
		    "another folder",
		    m->boot.data_dir, n > 0 ? (int)strcspn(pid, "\n") : 1, n > 0 ? pid : "?");
	}
	m->lock_fd = fd;
	return GW_OK;
}

void gw_place_write_lock(struct gw_master *m)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(m->lock_fd, 0) != 0 || pwrite(m->lock_fd, text, (size_t)n, 0) != n)
		gw_log(GW_WARN, "cannot write the process number into the lock file");
}

static enum gw_err open_exe(struct gw_master *m, const char **why)
{
	ssize_t n = readlink("/proc/self/exe", m->exe_path, sizeof(m->exe_path) - 1);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (n <= 0 || fd < 0)
		return FAIL(GW_E_IO, "cannot open my own executable: is /proc mounted?");
	m->exe_path[n] = 0;
	m->exe_fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
	return m->exe_fd >= 0 ? GW_OK : FAIL(GW_E_IO, "no descriptors left");
}

/* Each connection takes two descriptors; the soft limit of most shells is 1024. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) != 0)
			gw_log(GW_WARN, "cannot raise the limit of open files");
	}
}

static uint32_t count_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;

	return n < 2 ? 2 : n > GW_MAX_WORKERS ? GW_MAX_WORKERS : (uint32_t)n;
}

enum gw_err gw_place_prepare(struct gw_master *m, const char **why)
{
	enum gw_err e;

	if (geteuid() == 0 && !m->boot.allow_root)
		return FAIL(GW_E_FORBIDDEN,
			    "llmgw does not run as root: start it as another user, or give --allow-root (containers)");
	if (m->boot.workers > GW_MAX_WORKERS)
		return FAIL(GW_E_INVALID, "--workers: at most %d", GW_MAX_WORKERS);
	if (m->n_workers == 0) /* at an upgrade the old master says how many */
		m->n_workers = m->boot.workers ? (uint32_t)m->boot.workers : count_cpus();
	e = gw_place_dirs(m, why);
	if (!e && m->lock_fd < 0)
		e = take_lock(m, why);
	if (!e)
		e = open_exe(m, why);
	raise_limits();
	return e;
}

/* --- regions --- */

static enum gw_err say_region(struct gw_master *m, enum gw_err e, const char *what, uint32_t slot, const char **why)
{
	if (e == GW_E_NO_SPACE)
		return FAIL(e,
			    "the %s of worker slot %u does not fit: %u rings of %llu MiB and their tables are wanted "
			    "below %s, %llu MiB "
			    "are free; make --ring-size or --workers smaller, or give --runtime-dir on another tmpfs",
			    what, slot, m->n_workers, (unsigned long long)(m->boot.ring_size >> 20),
			    m->boot.runtime_dir, (unsigned long long)(gw_fs_free_bytes(m->boot.runtime_dir) >> 20));
	return FAIL(e, "cannot make the %s of worker slot %u below %s: %s", what, slot, m->boot.runtime_dir,
		    gw_err_info(e)->doc);
}

static enum gw_err make_slot(struct gw_master *m, uint32_t i, const char **why)
{
	uint32_t slot = m->half * GW_MAX_WORKERS + i, epoch;
	const char *dir = m->boot.runtime_dir;
	struct gw_ring_shared *ring = NULL;
	enum gw_err e = gw_slot_make(dir, (int)slot, &m->child[i].page);

	if (e)
		return say_region(m, e, "page", slot, why);
	e = gw_ring_make(dir, (int)slot, m->boot.ring_size);
	if (!e)
		e = gw_ring_open(dir, (int)slot, &ring);
	if (e)
		return say_region(m, e, "ring", slot, why);
	epoch = atomic_load(&ring->epoch);
	if (epoch > m->last_epoch && epoch < UINT32_MAX - 1000000)
		m->last_epoch = epoch;
	gw_ring_close(ring);
	e = gw_inflight_make(dir, (int)slot);
	return e ? say_region(m, e, "in-flight table", slot, why) : GW_OK;
}

static void begin_control(struct gw_master *m)
{
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		uint32_t epoch = atomic_load(&m->control->workers[i].epoch);

		if (epoch > m->last_epoch && epoch < UINT32_MAX - 1000000)
			m->last_epoch = epoch;
	}
}

enum gw_err gw_place_regions(struct gw_master *m, const char **why)
{
	const char *dir = m->boot.runtime_dir;
	struct gw_health *health;
	struct gw_revoke *revoke;
	enum gw_err e = gw_control_make(dir, &m->control);

	if (!e)
		e = gw_beats_open(dir, true, &m->beats);
	if (!e)
		e = gw_health_open(dir, true, true, &health);
	if (!e)
		e = gw_revoke_open(dir, true, true, &revoke);
	if (e)
		return FAIL(e, "cannot make the shared pages below %s: %s", dir, gw_err_info(e)->doc);
	begin_control(m);
	for (uint32_t i = 0; i < m->n_workers; i++) {
		e = make_slot(m, i, why);
		if (e)
			return e;
	}
	return GW_OK;
}

/* Empty rings and tables of a gateway that has stopped in order: no reason to hold that much memory. */
void gw_place_clean(struct gw_master *m)
{
	char sock[256];

	if (!gw_region_path(sock, m->boot.runtime_dir, "admin.sock", -1))
		unlink(sock);
	for (int slot = 0; slot < GW_MAX_SLOTS; slot++) {
		struct gw_ring_shared *ring;
		char path[256];
		bool is_empty;

		if (gw_ring_open(m->boot.runtime_dir, slot, &ring))
			continue;
		is_empty = atomic_load(&ring->head) == atomic_load(&ring->tail);
		gw_ring_close(ring);
		if (!is_empty)
			continue;
		if (!gw_region_path(path, m->boot.runtime_dir, "ring", slot))
			unlink(path);
		if (!gw_region_path(path, m->boot.runtime_dir, "inflight", slot))
			unlink(path);
	}
}

/* --- sockets --- */

bool gw_place_split_address(struct gw_str text, struct gw_str *host, uint16_t *port)
{
	size_t at = text.n;
	uint64_t p;

	while (at > 0 && text.p[at - 1] != ':')
		at--;
	if (at == 0 || !gw_str_u64(gw_str_skip(text, at), &p) || p > 65535)
		return false;
	*host = gw_str(text.p, at - 1);
	*port = (uint16_t)p;
	return host->n > 0;
}

/* SO_REUSEPORT would let us share a port with a stranger of the same user; without it the kernel tells. */
static bool is_taken(int like)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int fd, on = 1, e = 0;

	if (getsockname(like, (struct sockaddr *)&a, &n) != 0)
		return false;
	close(like);
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, n) != 0)
		e = errno;
	close(fd);
	return e == EADDRINUSE;
}

static enum gw_err listen_tcp(struct gw_master *m, const char *option, const char *text, uint32_t n, int *fds,
			      const char **why)
{
	struct gw_str host;
	uint16_t port;
	enum gw_err e;
	int probe = -1;

	if (!gw_place_split_address(gw_str_z(text), &host, &port))
		return FAIL(GW_E_INVALID, "--%s: \"%s\" is not address:port, for example 0.0.0.0:4000", option, text);
	if (port != 0 && m->n_leftover == 0) {
		e = gw_listen_tcp(host, port, &probe);
		if (!e && is_taken(probe))
			e = GW_E_IN_USE;
		if (e == GW_E_IN_USE)
			return FAIL(e, "--%s: %s is taken by another program; stop it or give another port", option,
				    text);
	}
	for (uint32_t i = 0; i < n; i++) {
		e = gw_listen_tcp(host, port, &fds[i]);
		if (e == GW_E_INVALID)
			return FAIL(e, "--%s: \"%.*s\" is not an IP address (names are not looked up here)", option,
				    GW_FMT(host));
		if (e)
			return FAIL(e, "--%s: cannot listen on %s: %s", option, text,
				    e == GW_E_IN_USE ? "it is taken by another program" : gw_err_info(e)->doc);
		if (port == 0)
			port = gw_socket_port(fds[i]);
	}
	return GW_OK;
}

enum gw_err gw_place_listen(struct gw_master *m, const char **why)
{
	char path[256];
	enum gw_err e = listen_tcp(m, "listen", m->boot.listen, m->n_workers, m->listen.fd, why);

	if (!e && m->boot.listen_tls[0])
		e = listen_tcp(m, "listen-tls", m->boot.listen_tls, m->n_workers, m->listen.tls, why);
	if (!e)
		e = listen_tcp(m, "admin-listen", m->boot.admin_listen, 1, &m->listen.admin_tcp, why);
	if (!e && m->boot.admin_listen_tls[0])
		e = listen_tcp(m, "admin-listen-tls", m->boot.admin_listen_tls, 1, &m->listen.admin_tls, why);
	if (e)
		return e;
	snprintf(path, sizeof(path), "%s/admin.sock", m->boot.runtime_dir);
	e = gw_listen_unix(path, &m->listen.admin_unix);
	return e ? FAIL(e, "cannot listen on %s: %s", path, gw_err_info(e)->doc) : GW_OK;
}

static void add_socket(struct gw_role_fd *fds, uint32_t *n, const char *name, int number, int fd)
{
	if (fd < 0)
		return;
	if (number < 0)
		snprintf(fds[*n].name, sizeof(fds[*n].name), "%s", name);
	else
		snprintf(fds[*n].name, sizeof(fds[*n].name), "%s.%d", name, number);
	fds[(*n)++].fd = fd;
}

uint32_t gw_place_sockets(const struct gw_master *m, bool workers, bool admin, struct gw_role_fd fds[GW_LISTEN_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; workers && i < m->n_workers; i++) {
		add_socket(fds, &n, "listen", (int)i, m->listen.fd[i]);
		add_socket(fds, &n, "tls", (int)i, m->listen.tls[i]);
	}
	if (admin) {
		add_socket(fds, &n, "admin.tcp", -1, m->listen.admin_tcp);
		add_socket(fds, &n, "admin.tls", -1, m->listen.admin_tls);
		add_socket(fds, &n, "admin.unix", -1, m->listen.admin_unix);
	}
	return n;
}

static bool take_numbered(struct gw_master *m, const struct gw_role_fd *fd, const char *prefix, int *to)
{
	struct gw_str name = gw_str_z(fd->name);
	uint64_t number;

	if (!gw_str_has_prefix(name, gw_str_z(prefix)) || !gw_str_u64(gw_str_skip(name, strlen(prefix)), &number) ||
	    number >= m->n_workers)
		return false;
	to[number] = fd->fd;
	return true;
}

bool gw_place_take_socket(struct gw_master *m, const struct gw_role_fd *fd)
{
	const struct {
		const char *name;
		int *to;
	} singles[] = { { "admin.tcp", &m->listen.admin_tcp },
			{ "admin.tls", &m->listen.admin_tls },
			{ "admin.unix", &m->listen.admin_unix } };

	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
		if (strcmp(fd->name, singles[i].name) == 0) {
			*singles[i].to = fd->fd;
			return true;
		}
	}
	return take_numbered(m, fd, "listen.", m->listen.fd) || take_numbered(m, fd, "tls.", m->listen.tls);
}

void gw_place_close_sockets(struct gw_master *m, bool workers, bool admin)
{
	for (uint32_t i = 0; workers && i < m->n_workers; i++) {
		gw_close(&m->listen.fd[i]);
		gw_close(&m->listen.tls[i]);
	}
	if (admin) {
		gw_close(&m->listen.admin_tcp);
		gw_close(&m->listen.admin_tls);
		gw_close(&m->listen.admin_unix);
	}
}
