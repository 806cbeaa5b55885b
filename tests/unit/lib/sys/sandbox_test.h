/* What both sandbox tests share: a child in a profile, the folders and sockets it tries things on. Each program takes
 * the set-up whole, so the statics are marked as possibly unused. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "lib/sys/sandbox.h"

enum { NOBODY = 65534 };

static char dir[] = "/tmp/gw-sandbox-XXXXXX";
static char rw_dir[128], ro_dir[128], ro_file[160], outside[160];
static int listen_fd = -1, image_fd = -1, pair[2] = { -1, -1 };
static uint16_t port;
static enum gw_sandbox_role role_now;
static const enum gw_sandbox_role roles[] = { GW_SB_CONFD,  GW_SB_ADMIN, GW_SB_WORKER,
					      GW_SB_LOGGER, GW_SB_AGENT, GW_SB_EXPORTER };
static const char *const role_names[] = { "master", "confd", "admin", "worker", "logger", "agent", "exporter" };

/* Exit code with the line, so that a failure inside the child says where. */
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			dprintf(2, "  %s: line %d: %s (errno %s)\n", role_names[role_now], __LINE__, #cond,            \
				strerror(errno));                                                                      \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)
#define REFUSED(call, err)                                                                                             \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		CHECK((call) == -1 && errno == (err));                                                                 \
	} while (0)

static bool may_write(void)
{
	return role_now == GW_SB_CONFD || role_now == GW_SB_LOGGER || role_now == GW_SB_EXPORTER;
}
__attribute__((unused)) static bool may_connect(void)
{
	return role_now == GW_SB_WORKER || role_now == GW_SB_AGENT;
}

static void enter(void)
{
	struct gw_sandbox_path paths[] = { { ro_dir, false }, { rw_dir, may_write() }, { "/no/such/folder", false } };
	uint32_t level = 0;

	gw_harden();
	CHECK(gw_sandbox_enter(role_now, paths, 3, &level) == GW_OK);
	CHECK(level == (role_now == GW_SB_MASTER ? GW_SB_HAS_SECCOMP : GW_SB_HAS_SECCOMP | GW_SB_HAS_LANDLOCK));
}

/* Wait status of a child that enters the profile and runs fn. */
static int in_child(enum gw_sandbox_role role, int uid, void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		role_now = role;
		alarm(60);
		if (uid)
			CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
		enter();
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

__attribute__((unused)) static void each_role(void (*fn)(void))
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		assert_int_equal(in_child(roles[i], 0, fn), 0);
		if (geteuid() == 0)
			assert_int_equal(in_child(roles[i], NOBODY, fn), 0);
	}
}

static int make_image(void)
{
	MDB_val k = { 5, "color" }, v = { 4, "blue" };
	char path[64];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	if (gw_memfd("image", 0, &image_fd))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	if (mdb_env_create(&env) || mdb_env_set_mapsize(env, 1 << 20) ||
	    mdb_env_open(env, path, MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR | MDB_NOSYNC, 0600) ||
	    mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi) || mdb_put(txn, dbi, &k, &v, 0) ||
	    mdb_txn_commit(txn))
		return -1;
	mdb_env_close(env);
	return gw_memfd_seal(image_fd) ? -1 : 0;
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chmod(dir, 0755) || gw_crypto_init())
		return -1;
	snprintf(rw_dir, sizeof(rw_dir), "%s/rw", dir);
	snprintf(ro_dir, sizeof(ro_dir), "%s/ro", dir);
	snprintf(ro_file, sizeof(ro_file), "%s/file", ro_dir);
	snprintf(outside, sizeof(outside), "%s/outside", dir);
	if (mkdir(rw_dir, 0777) || chmod(rw_dir, 0777) || mkdir(ro_dir, 0755) ||
	    gw_write_file(AT_FDCWD, ro_file, GW_LIT("hello"), 0644) ||
	    gw_listen_tcp(GW_LIT("127.0.0.1"), 0, &listen_fd) || gw_socketpair(pair, true))
		return -1;
	port = gw_socket_port(listen_fd);
	return make_image();
}

static void remove_tree(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlinkat(fd, e->d_name, 0) != 0)
			remove_tree(fd, e->d_name);
	if (d)
		closedir(d);
	unlinkat(at, name, AT_REMOVEDIR);
}

static int tear_down(void **state)
{
	(void)state;
	remove_tree(AT_FDCWD, dir);
	return 0;
}
