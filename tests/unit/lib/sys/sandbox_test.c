/* Each role's profile from the inside: a forked child enters it and tries what an intruder would, and what the role does
 * all day. Run as it stands and, when started by root, with uid 65534 too. */
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

enum { NOBODY = 65534, IS_EXTRA = 100 };

static char dir[] = "/tmp/gw-sandbox-XXXXXX";
static char rw_dir[128], ro_dir[128], ro_file[160], outside[160];
static int listen_fd = -1, image_fd = -1, pair[2] = { -1, -1 };
static uint16_t port;
static enum gw_sandbox_role role_now;
static const enum gw_sandbox_role roles[] = { GW_SB_CONFD, GW_SB_ADMIN, GW_SB_WORKER, GW_SB_LOGGER, GW_SB_AGENT };
static const char *const role_names[] = { "master", "confd", "admin", "worker", "logger", "agent" };

/* Exit code with the line, so that a failure inside the child says where. */
#define CHECK(cond) do { if (!(cond)) { \
	dprintf(2, "  %s: line %d: %s (errno %s)\n", role_names[role_now], __LINE__, #cond, strerror(errno)); _exit(1); } } while (0)
#define REFUSED(call, err) do { errno = 0; CHECK((call) == -1 && errno == (err)); } while (0)

static bool may_write(void)
{
	return role_now == GW_SB_CONFD || role_now == GW_SB_LOGGER;
}
static bool may_connect(void)
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

static void each_role(void (*fn)(void))
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		assert_int_equal(in_child(roles[i], 0, fn), 0);
		if (geteuid() == 0)
			assert_int_equal(in_child(roles[i], NOBODY, fn), 0);
	}
}

/* --- what kills --- */

static char *const no_args[] = { "true", NULL };
static struct iovec one_byte;
static void kill_execve(void) { execve("/bin/true", no_args, no_args + 1); }
static void kill_execveat(void) { syscall(SYS_execveat, AT_FDCWD, "/bin/true", no_args, no_args + 1, 0); }
static void kill_ptrace(void) { ptrace(PTRACE_ATTACH, getppid(), 0, 0); }
static void kill_vm_read(void) { syscall(SYS_process_vm_readv, getppid(), &one_byte, 1, &one_byte, 1, 0); }
static void kill_vm_write(void) { syscall(SYS_process_vm_writev, getppid(), &one_byte, 1, &one_byte, 1, 0); }
static void kill_listen(void) { listen(pair[0], 1); }
static void kill_keyctl(void) { syscall(SYS_keyctl, 0, 0, 0, 0, 0); }
static void kill_add_key(void) { syscall(SYS_add_key, "user", "x", "x", 1, 0); }
static void kill_mount(void) { syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL); }
static void kill_module(void) { syscall(SYS_init_module, NULL, 0, ""); }
static void kill_bpf(void) { syscall(SYS_bpf, 0, NULL, 0); }
static void kill_kexec(void) { syscall(SYS_kexec_load, 0, 0, NULL, 0); }
static void kill_unshare(void) { syscall(SYS_unshare, 0x10000000); }
static void kill_perf(void) { syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0); }
#ifdef __x86_64__
static void kill_x32(void) { syscall(0x40000000 | SYS_getpid); }
#endif

static void test_kills(void **state)
{
	static const struct { const char *what; void (*fn)(void); } cases[] = {
		{ "execve", kill_execve }, { "execveat", kill_execveat }, { "ptrace", kill_ptrace }, { "vm_readv", kill_vm_read },
		{ "vm_writev", kill_vm_write }, { "listen", kill_listen }, { "keyctl", kill_keyctl }, { "add_key", kill_add_key },
		{ "mount", kill_mount }, { "init_module", kill_module }, { "bpf", kill_bpf }, { "kexec", kill_kexec },
		{ "unshare", kill_unshare }, { "perf_event_open", kill_perf },
#ifdef __x86_64__
		{ "x32", kill_x32 },
#endif
	};

	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
			int status = in_child(roles[i], 0, cases[k].fn);

			if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
				fail_msg("%s in %s: status %x", cases[k].what, role_names[roles[i]], (unsigned)status);
		}
	}
}

/* --- what is refused --- */

static void refused_files(void)
{
	REFUSED(open("/etc/shadow", O_RDONLY), EACCES);
	REFUSED(open("/etc/passwd", O_RDONLY), EACCES);
	REFUSED(open("/", O_RDONLY | O_DIRECTORY), EACCES);
	REFUSED(open("/proc/1/environ", O_RDONLY), EACCES);
	CHECK(open(outside, O_WRONLY | O_CREAT, 0600) == -1 && (errno == EPERM || errno == EACCES));
	CHECK(open(ro_file, O_WRONLY) == -1 && (errno == EPERM || errno == EACCES));
	CHECK(open(ro_file, O_RDWR) == -1 && (errno == EPERM || errno == EACCES));
	CHECK(open(ro_file, O_RDONLY | O_TRUNC) == -1 && (errno == EPERM || errno == EACCES));
	CHECK(unlink(ro_file) == -1 && (errno == EPERM || errno == EACCES));
	CHECK(rename(ro_file, outside) == -1);
	CHECK(link(ro_file, outside) == -1);
	CHECK(chmod(ro_file, 0777) == -1 || may_write()); /* own files only, and Landlock has no rule for modes */
	REFUSED(symlink(ro_file, outside), EPERM);
	REFUSED(mknod(outside, S_IFIFO | 0600, 0), EPERM);
	REFUSED(chroot("/"), EPERM);
	if (role_now != GW_SB_CONFD)
		REFUSED(memfd_create("x", 0), EPERM);
}

static void refused_process(void)
{
	unsigned clone3_args[16] = { 0 };
	struct rlimit lim = { 1, 1 };

	REFUSED(fork(), EPERM);
	REFUSED(syscall(SYS_clone3, clone3_args, 64), ENOSYS);
	REFUSED(kill(getppid(), SIGTERM), EPERM);
	REFUSED(kill(getppid(), 0), EPERM);
	REFUSED(kill(-1, 0), EPERM);
	REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM);
	REFUSED(syscall(SYS_pidfd_open, getppid(), 0), EPERM);
	REFUSED(setuid(0), EPERM);
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
	REFUSED(prctl(PR_SET_SECCOMP, 0, 0, 0, 0), EPERM);
	REFUSED(setrlimit(RLIMIT_CORE, &lim), EPERM);
	REFUSED(syscall(SYS_io_uring_setup, 8, clone3_args), ENOSYS);
	REFUSED(ioctl(0, TIOCSTI, "x"), ENOTTY);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_cur == 0 && lim.rlim_max == 0);
}

static void refused_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM);
	REFUSED(mprotect(p, 4096, PROT_READ | PROT_EXEC), EPERM);
	REFUSED(mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EPERM);
	REFUSED(syscall(SYS_pkey_mprotect, p, 4096, PROT_EXEC, 0), EPERM);
	REFUSED(syscall(SYS_personality, 0x0400000), EPERM); /* READ_IMPLIES_EXEC */
	CHECK(mprotect(p, 4096, PROT_READ) == 0);
}

static void refused_network(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s;

	REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
	REFUSED(socket(AF_NETLINK, SOCK_DGRAM, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_PACKET, SOCK_DGRAM, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_INET, SOCK_RAW, 1), EPERM);
	if (!may_connect()) {
		REFUSED(socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT);
		REFUSED(connect(pair[0], (struct sockaddr *)&a, sizeof(a)), EPERM);
		return;
	}
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s >= 0);
	REFUSED(bind(s, (struct sockaddr *)&a, sizeof(a)), EPERM);
	if (role_now == GW_SB_AGENT)
		REFUSED(accept4(listen_fd, NULL, NULL, 0), EPERM);
}

static void test_refused_files(void **state) { (void)state; each_role(refused_files); }
static void test_refused_process(void **state) { (void)state; each_role(refused_process); }
static void test_refused_memory(void **state) { (void)state; each_role(refused_memory); }
static void test_refused_network(void **state) { (void)state; each_role(refused_network); }

/* --- what goes on working --- */

static void *add_in_thread(void *p)
{
	int *n = p;
	char *big = malloc(1 << 20);

	memset(big, 1, 1 << 20);
	*n += big[99];
	free(big);
	return NULL;
}

static void works_threads_and_waiting(void)
{
	int n = 0, ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event e = { .events = EPOLLIN };
	struct gw_secret *s = gw_secret_new("x", 1);
	uint8_t random[32] = { 0 }, hash[32];
	pthread_t t[4];

	for (int i = 0; i < 4; i++) {
		CHECK(pthread_create(&t[i], NULL, add_in_thread, &n) == 0);
		CHECK(pthread_join(t[i], NULL) == 0);
	}
	CHECK(n == 4 && ep >= 0 && ev >= 0 && s != NULL);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(eventfd_write(ev, 1) == 0 && epoll_wait(ep, &e, 1, 1000) == 1);
	gw_random(random, sizeof(random));
	gw_sha256(gw_str((char *)random, 32), hash);
	gw_secret_unref(s);
	gw_sleep_ms(1);
	CHECK(gw_now_ns() > 0 && gw_cpu_ns() > 0 && gw_unix_us() > 0);
	CHECK(raise(0) == 0 && kill(getpid(), 0) == 0);
}

static void works_files(void)
{
	struct gw_buf b;
	char path[256];
	int fd;

	gw_buf_init(&b, 100);
	CHECK(gw_read_file(AT_FDCWD, ro_file, &b) == GW_OK && gw_str_eq(gw_buf_view(&b), GW_LIT("hello")));
	gw_buf_done(&b);
	snprintf(path, sizeof(path), "%s/new-%d", rw_dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!may_write()) {
		CHECK(fd == -1);
		return;
	}
	CHECK(fd >= 0 && posix_fallocate(fd, 0, 8192) == 0 && pwrite(fd, "a", 1, 8191) == 1 && fdatasync(fd) == 0);
	CHECK(ftruncate(fd, 10) == 0 && close(fd) == 0);
	CHECK(gw_write_file(AT_FDCWD, path, GW_LIT("content"), 0600) == GW_OK);
	CHECK(unlink(path) == 0);
	CHECK(opendir(rw_dir) != NULL);
}

static void works_image(void)
{
	MDB_val k = { 5, "color" }, v;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char path[64];

	CHECK(gw_memfd_is_sealed(image_fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, gw_fd_size(image_fd)) == 0);
	CHECK(mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_get(txn, dbi, &k, &v) == 0 && v.mv_size == 4 && memcmp(v.mv_data, "blue", 4) == 0);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

static void works_network(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char byte = 0;
	int s;

	CHECK(gw_packet_send(pair[0], "x", 1, &pair[0], 1) == 1);
	CHECK(recv(pair[1], &byte, 1, 0) == 1 && byte == 'x');
	if (role_now == GW_SB_ADMIN || role_now == GW_SB_WORKER)
		REFUSED(accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), EAGAIN);
	if (!may_connect())
		return;
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s >= 0 && connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	if (role_now == GW_SB_WORKER) {
		int c = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		CHECK(c >= 0 && write(s, "y", 1) == 1);
	} else {
		close(s);
	}
}

static int uv_done;
static void on_work(uv_work_t *w) { (void)w; gw_sleep_ms(1); }
static void on_worked(uv_work_t *w, int status) { uv_done += status == 0; (void)w; }
static void on_time(uv_timer_t *t) { uv_done++; uv_close((uv_handle_t *)t, NULL); }
static void on_async(uv_async_t *a) { uv_done++; uv_close((uv_handle_t *)a, NULL); }

static void works_libuv(void)
{
	uv_work_t work[4];
	uv_timer_t timer;
	uv_async_t async;
	uv_loop_t loop;

	CHECK(uv_loop_init(&loop) == 0);
	CHECK(uv_timer_init(&loop, &timer) == 0 && uv_timer_start(&timer, on_time, 5, 0) == 0);
	CHECK(uv_async_init(&loop, &async, on_async) == 0 && uv_async_send(&async) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(uv_queue_work(&loop, &work[i], on_work, on_worked) == 0);
	CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0 && uv_done == 6);
	CHECK(uv_loop_close(&loop) == 0);
	gw_log(GW_DEBUG, "not printed");
}

static void works_lmdb_store(void)
{
	MDB_val k = { 3, "key" }, v = { 5, "value" };
	char path[256];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	if (role_now != GW_SB_CONFD)
		return;
	snprintf(path, sizeof(path), "%s/store-%d", rw_dir, getpid());
	CHECK(mkdir(path, 0700) == 0);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, 1 << 22) == 0);
	CHECK(mdb_env_open(env, path, 0, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_put(txn, dbi, &k, &v, 0) == 0 && mdb_txn_commit(txn) == 0);
	CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 && mdb_get(txn, dbi, &k, &v) == 0 && v.mv_size == 5);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

static void works_image_build(void)
{
	MDB_val k = { 3, "key" }, v = { 5, "value" };
	char path[64];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int fd;

	if (role_now != GW_SB_CONFD)
		return;
	CHECK(gw_memfd("image", 0, &fd) == GW_OK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, 1 << 20) == 0);
	CHECK(mdb_env_open(env, path, MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR | MDB_NOSYNC, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_put(txn, dbi, &k, &v, MDB_APPEND) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
	CHECK(gw_memfd_seal(fd) == GW_OK && gw_memfd_is_sealed(fd));
	CHECK(write(fd, "x", 1) == -1 && errno == EPERM);
}

static void test_works_threads(void **state) { (void)state; each_role(works_threads_and_waiting); }
static void test_works_files(void **state) { (void)state; each_role(works_files); }
static void test_works_image(void **state) { (void)state; each_role(works_image); }
static void test_works_network(void **state) { (void)state; each_role(works_network); }
static void test_works_libuv(void **state) { (void)state; each_role(works_libuv); }
static void test_works_store(void **state) { (void)state; each_role(works_lmdb_store); each_role(works_image_build); }

/* --- the master --- */

static void master_spawns(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		execve("/bin/true", no_args, no_args + 1);
		_exit(9);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(open("/etc/passwd", O_RDONLY) >= 0);
	CHECK(kill(getppid(), 0) == 0);
}

static void test_master(void **state)
{
	int status;

	(void)state;
	assert_int_equal(in_child(GW_SB_MASTER, 0, master_spawns), 0);
	status = in_child(GW_SB_MASTER, 0, kill_ptrace);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_child(GW_SB_MASTER, 0, kill_mount);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* A role lives under the master's filter as well: both at once. */
static void role_below_master(void)
{
	role_now = GW_SB_WORKER;
	enter();
	works_threads_and_waiting();
	works_image();
	works_libuv();
}

static void test_role_below_master(void **state)
{
	(void)state;
	assert_int_equal(in_child(GW_SB_MASTER, 0, role_below_master), 0);
}

/* --- order --- */

static void *wait_forever(void *p)
{
	pause();
	return p;
}

static void test_threads_must_come_later(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		uint32_t level;
		pthread_t t;

		role_now = GW_SB_WORKER;
		CHECK(pthread_create(&t, NULL, wait_forever, NULL) == 0);
		CHECK(gw_sandbox_enter(GW_SB_WORKER, NULL, 0, &level) == GW_E_CONFLICT);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_missing_writable_path(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct gw_sandbox_path gone = { "/no/such/folder", true };
		uint32_t level;

		CHECK(gw_sandbox_enter(GW_SB_LOGGER, &gone, 1, &level) == GW_E_NOT_FOUND);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- set-up --- */

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
	    gw_write_file(AT_FDCWD, ro_file, GW_LIT("hello"), 0644) || gw_listen_tcp(GW_LIT("127.0.0.1"), 0, &listen_fd) ||
	    gw_socketpair(pair, true))
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_refused_files),
		cmocka_unit_test(test_refused_process),
		cmocka_unit_test(test_refused_memory),
		cmocka_unit_test(test_refused_network),
		cmocka_unit_test(test_works_threads),
		cmocka_unit_test(test_works_files),
		cmocka_unit_test(test_works_image),
		cmocka_unit_test(test_works_network),
		cmocka_unit_test(test_works_libuv),
		cmocka_unit_test(test_works_store),
		cmocka_unit_test(test_master),
		cmocka_unit_test(test_role_below_master),
		cmocka_unit_test(test_threads_must_come_later),
		cmocka_unit_test(test_missing_writable_path),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
