/* Each role's profile from the inside: a forked child enters it and tries what an intruder would. Run as it stands and,
 * when started by root, with uid 65534 too. What goes on working is in sandbox_work_test.c. */
#include "tests/unit/lib/sys/sandbox_test.h"

/* --- what kills --- */

/* clang-format off */
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
/* clang-format on */

static void test_kills(void **state)
{
	static const struct {
		const char *what;
		void (*fn)(void);
	} cases[] = {
		{ "execve", kill_execve },
		{ "execveat", kill_execveat },
		{ "ptrace", kill_ptrace },
		{ "vm_readv", kill_vm_read },
		{ "vm_writev", kill_vm_write },
		{ "listen", kill_listen },
		{ "keyctl", kill_keyctl },
		{ "add_key", kill_add_key },
		{ "mount", kill_mount },
		{ "init_module", kill_module },
		{ "bpf", kill_bpf },
		{ "kexec", kill_kexec },
		{ "unshare", kill_unshare },
		{ "perf_event_open", kill_perf },
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
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	      errno == EPERM);
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

static void test_refused_files(void **state)
{
	(void)state;
	each_role(refused_files);
}
static void test_refused_process(void **state)
{
	(void)state;
	each_role(refused_process);
}
static void test_refused_memory(void **state)
{
	(void)state;
	each_role(refused_memory);
}
static void test_refused_network(void **state)
{
	(void)state;
	each_role(refused_network);
}

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

/* --- before any profile --- */

static void test_no_io_uring_once_hardened(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		char params[256] = { 0 };

		gw_harden();
		_exit(syscall(SYS_io_uring_setup, 8, params) < 0 && errno == ENOSYS ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_refused_files),
		cmocka_unit_test(test_refused_process),
		cmocka_unit_test(test_refused_memory),
		cmocka_unit_test(test_refused_network),
		cmocka_unit_test(test_master),
		cmocka_unit_test(test_no_io_uring_once_hardened),
		cmocka_unit_test(test_threads_must_come_later),
		cmocka_unit_test(test_missing_writable_path),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
