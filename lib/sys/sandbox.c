/* Hardening of the process and entering a role's profile: Landlock first (it opens paths), seccomp last. */
#include "lib/sys/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sys/diag.h"
#include "lib/sys/sandbox_calls.h"

/* From the kernel's landlock.h; written here because the build system's headers may be older than the kernel it runs
 * on. */
struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};
struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));
enum {
	CREATE_RULESET_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_ABI_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13, /* ABI 2 */
	FS_TRUNCATE = 1 << 14, /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	SCOPE_ALL = 3, /* ABI 6: abstract Unix sockets, signals */
	FS_ON_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
	FS_READING = FS_READ_FILE | FS_READ_DIR,
	FS_WRITING =
	    FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_LEAK__)
#define HAS_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif

#ifdef HAS_LSAN
static int is_locked_down;
/* Asked by the leak checker at exit. It would clone and ptrace, which the profile ends. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return is_locked_down;
}
#endif

/* libuv 1.49 and later make a ring for epoll_ctl in uv_loop_init, before a role is locked down, and abort when its use is refused
 * afterwards; no environment variable keeps them from it. Where the kernel has no seccomp there is no lock-down to clash with. */
static void refuse_io_uring(void)
{
	struct sock_filter calls[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(calls) / sizeof(calls[0]), calls };

	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

void gw_harden(void)
{
	struct rlimit none = { 0, 0 };

	GW_REQUIRE(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	GW_REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	GW_REQUIRE(setrlimit(RLIMIT_CORE, &none) == 0);
	refuse_io_uring();
}

/* --- Landlock --- */

static uint64_t handled_fs(long abi)
{
	return FS_ALL_ABI_1 | (abi >= 2 ? FS_REFER : 0u) | (abi >= 3 ? FS_TRUNCATE : 0u) |
	       (abi >= 5 ? FS_IOCTL_DEV : 0u);
}

static enum gw_err add_path(int ruleset, const struct gw_sandbox_path *path, uint64_t handled)
{
	struct path_beneath_attr rule = { FS_READING | (path->is_writable ? FS_WRITING : 0u), 0 };
	struct stat st;
	long r = -1;

	rule.parent_fd = open(path->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return path->is_writable ? GW_E_NOT_FOUND : GW_OK;
	if (fstat(rule.parent_fd, &st) == 0) {
		rule.allowed_access &= S_ISDIR(st.st_mode) ? handled : handled & FS_ON_FILES;
		r = syscall(__NR_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
	}
	close(rule.parent_fd);
	return r == 0 ? GW_OK : GW_E_IO;
}

static enum gw_err enter_landlock(const struct gw_sandbox_path *paths, size_t n, bool *is_on)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset_attr attr = { 0 };
	enum gw_err e = GW_OK;
	int ruleset;

	*is_on = false;
	if (abi < 1) /* not built in, or switched off at boot */
		return GW_OK;
	attr.handled_access_fs = handled_fs(abi);
	attr.scoped = abi >= 6 ? SCOPE_ALL : 0;
	ruleset = (int)syscall(__NR_landlock_create_ruleset, &attr,
			       abi >= 6   ? sizeof(attr)
			       : abi >= 4 ? 2 * sizeof(uint64_t)
					  : sizeof(uint64_t),
			       0);
	if (ruleset < 0)
		return GW_E_IO;
	for (size_t i = 0; !e && i < n; i++)
		e = add_path(ruleset, &paths[i], attr.handled_access_fs);
	if (!e && syscall(__NR_landlock_restrict_self, ruleset, 0) != 0)
		e = GW_E_IO;
	close(ruleset);
	*is_on = !e;
	return e;
}

/* --- seccomp --- */

static enum gw_err enter_seccomp(enum gw_sandbox_role role, bool *is_on)
{
	static struct sock_filter program[GW_SB_MAX_PROGRAM];
	struct sock_fprog prog = { gw_sandbox_program(role, (uint32_t)getpid(), program), program };

	*is_on = false;
	if (prog.len == 0)
		return GW_OK;
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		return errno == ENOSYS || errno == EINVAL ? GW_OK : GW_E_IO;
	*is_on = true;
	return GW_OK;
}

static bool has_other_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	int n = 0;

	if (!d)
		return false;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
#ifdef HAS_TSAN
	n--; /* its own background thread */
#endif
	return n > 1;
}

enum gw_err gw_sandbox_enter(enum gw_sandbox_role role, const struct gw_sandbox_path *paths, size_t n,
			     uint32_t *out_level)
{
	bool has_landlock = false, has_seccomp = false;
	enum gw_err e;

	GW_REQUIRE(role < GW_SB_COUNT);
	if (has_other_threads()) {
		gw_log(GW_ERROR,
		       "sandbox: threads run already; they must be started after gw_sandbox_enter (see its header)");
		return GW_E_CONFLICT;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return GW_E_IO;
	if (role != GW_SB_MASTER) {
		e = enter_landlock(paths, n, &has_landlock);
		if (e)
			return e;
#ifdef HAS_LSAN
		is_locked_down = 1;
#endif
	}
	e = enter_seccomp(role, &has_seccomp);
	if (e)
		return e;
	*out_level = (has_seccomp ? GW_SB_HAS_SECCOMP : 0u) | (has_landlock ? GW_SB_HAS_LANDLOCK : 0u);
	return GW_OK;
}
