/* Which system calls each role may make: one row each, first match decides, no match is EPERM (ALLOW in the master).
 * The order is: what a worker does for every request, then by kind. Linux 5.11 and later keep a bitmap of calls that
 * are allowed whatever their arguments are, so most calls never run the program.
 *
 * A row with an argument matches when (args[arg] & mask) == value, in the low 32 bits; the arguments used here are ints
 * or flags. */
#include "lib/sys/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

enum { ANY_ARG = -1, OWN_PID = -2 /* value is our process id, argument 0 */ };
enum {
	M = 1 << GW_SB_MASTER,
	C = 1 << GW_SB_CONFD,
	A = 1 << GW_SB_ADMIN,
	W = 1 << GW_SB_WORKER,
	L = 1 << GW_SB_LOGGER,
	G = 1 << GW_SB_AGENT,
	X = 1 << GW_SB_EXPORTER,
	ROLES = C | A | W | L | G | X,
};

struct row {
	uint32_t nr, roles, action;
	int arg;
	uint32_t mask, value;
};

#define ALLOW  SECCOMP_RET_ALLOW
#define KILL   SECCOMP_RET_KILL_PROCESS
#define ERR(e) (SECCOMP_RET_ERRNO | (e))

#define YES(roles, call)                                                                                               \
	{                                                                                                              \
		__NR_##call, roles, ALLOW, ANY_ARG, 0, 0                                                               \
	}
#define YES_IF(roles, call, arg, mask, val)                                                                            \
	{                                                                                                              \
		__NR_##call, roles, ALLOW, arg, (uint32_t)(mask), (uint32_t)(val)                                      \
	}
#define YES_EQ(roles, call, arg, val) YES_IF(roles, call, arg, ~0u, val)
#define YES_SELF(roles, call)                                                                                          \
	{                                                                                                              \
		__NR_##call, roles, ALLOW, OWN_PID, ~0u, 0                                                             \
	}
#define NO(roles, call, err)                                                                                           \
	{                                                                                                              \
		__NR_##call, roles, ERR(err), ANY_ARG, 0, 0                                                            \
	}
#define DIE(roles, call)                                                                                               \
	{                                                                                                              \
		__NR_##call, roles, KILL, ANY_ARG, 0, 0                                                                \
	}

/* Flags of open that write or make something. */
#define WRITE_FLAGS (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

/* clang-format off */
static const struct row rows[] = {
	/* each request */
	YES(ROLES, read), YES(ROLES, write), YES(ROLES, readv), YES(ROLES, writev), YES(ROLES, epoll_pwait),
#ifdef __NR_epoll_wait
	YES(ROLES, epoll_wait),
#endif
	YES(ROLES, recvmsg), YES(ROLES, sendmsg), YES(ROLES, recvfrom), YES(ROLES, sendto), YES(ROLES, futex),
	YES(ROLES, epoll_ctl), YES(ROLES, close), YES(W | A, accept4), YES(W | A, accept), YES(ROLES, setsockopt),
	YES(ROLES, getsockopt), YES(ROLES, shutdown), YES(ROLES, getsockname), YES(ROLES, getpeername),

	/* egress: connections go out over IPv4 and IPv6 only; no raw sockets */
	{ __NR_socket, ROLES, ERR(EPERM), 1, 0xf, SOCK_RAW },
	YES_EQ(W | G, socket, 0, AF_INET), YES_EQ(W | G, socket, 0, AF_INET6),
	NO(ROLES, socket, EAFNOSUPPORT),
	YES(W | G, connect), YES(ROLES, sendmmsg), YES(ROLES, recvmmsg),

	/* memory: never executable */
	YES_IF(ROLES, mmap, 2, PROT_EXEC, 0), YES_IF(ROLES, mprotect, 2, PROT_EXEC, 0), YES(ROLES, munmap),
	YES(ROLES, mremap), YES(ROLES, madvise), YES(ROLES, brk), YES(ROLES, msync), YES(ROLES, mlock), YES(ROLES, mlock2),
	YES(ROLES, munlock), YES(ROLES, membarrier),

	/* threads yes, processes no. clone3 hides its flags from us; glibc falls back to clone on ENOSYS. */
	YES_IF(ROLES, clone, 0, CLONE_THREAD, CLONE_THREAD), NO(ROLES, clone3, ENOSYS), YES(ROLES, set_robust_list),
	YES(ROLES, get_robust_list), YES(ROLES, set_tid_address), YES(ROLES, sched_yield), YES(ROLES, sched_getaffinity),
	YES(ROLES, sched_setaffinity), YES(ROLES, sched_getparam), YES(ROLES, sched_getscheduler), YES(ROLES, getcpu),
	YES(ROLES, exit), YES(ROLES, exit_group), YES(ROLES, restart_syscall),
#ifdef __NR_rseq
	YES(ROLES, rseq),
#endif

	/* time, identity, randomness */
	YES(ROLES, clock_gettime), YES(ROLES, clock_getres), YES(ROLES, clock_nanosleep), YES(ROLES, nanosleep),
	YES(ROLES, gettimeofday), YES(ROLES, getrandom), YES(ROLES, getpid), YES(ROLES, gettid), YES(ROLES, getppid),
	YES(ROLES, getuid), YES(ROLES, geteuid), YES(ROLES, getgid), YES(ROLES, getegid), YES(ROLES, uname),
	YES(ROLES, sysinfo), YES(ROLES, getrusage), YES(ROLES, times), YES_EQ(ROLES, prlimit64, 2, 0),
	YES(ROLES, getrlimit),
#ifdef __NR_time
	YES(ROLES, time),
#endif

	/* signals: to ourselves only */
	YES(ROLES, rt_sigaction), YES(ROLES, rt_sigprocmask), YES(ROLES, rt_sigreturn), YES(ROLES, rt_sigtimedwait),
	YES(ROLES, sigaltstack), YES_SELF(ROLES, tgkill), YES_SELF(ROLES, kill),

	/* waiting */
	YES(ROLES, epoll_create1), YES(ROLES, epoll_pwait2), YES(ROLES, ppoll), YES(ROLES, pselect6), YES(ROLES, eventfd2),
	YES(ROLES, timerfd_create), YES(ROLES, timerfd_settime), YES(ROLES, timerfd_gettime), YES(ROLES, pipe2),
	YES(ROLES, signalfd4),
#ifdef __NR_epoll_create
	YES(ROLES, epoll_create), YES(ROLES, poll), YES(ROLES, select), YES(ROLES, pipe),
#endif
	NO(ROLES, io_uring_setup, ENOSYS), NO(ROLES, io_uring_enter, ENOSYS), NO(ROLES, io_uring_register, ENOSYS),

	/* files: reading; Landlock says which */
	YES_IF(ROLES, openat, 2, WRITE_FLAGS, 0), YES(C | L | X, openat),
	YES(ROLES, fstat), YES(ROLES, newfstatat), YES(ROLES, statx), YES(ROLES, lseek), YES(ROLES, pread64),
	YES(ROLES, preadv), YES(ROLES, getdents64), YES(ROLES, readlinkat), YES(ROLES, faccessat), YES(ROLES, faccessat2),
	YES(ROLES, fcntl), YES(ROLES, dup), YES(ROLES, dup3), YES(ROLES, statfs), YES(ROLES, fstatfs), YES(ROLES, getcwd),
	YES(ROLES, close_range),
#ifdef __NR_open
	YES_IF(ROLES, open, 1, WRITE_FLAGS, 0), YES(C | L | X, open), YES(ROLES, stat), YES(ROLES, lstat), YES(ROLES, access),
	YES(ROLES, readlink), YES(ROLES, dup2),
#endif
	YES_EQ(ROLES, ioctl, 1, FIONBIO), YES_EQ(ROLES, ioctl, 1, FIONREAD), YES_EQ(ROLES, ioctl, 1, FIOCLEX),
	YES_EQ(ROLES, ioctl, 1, TCGETS), NO(ROLES, ioctl, ENOTTY),
	YES_EQ(ROLES, prctl, 0, PR_SET_NAME), YES_EQ(ROLES, prctl, 0, PR_GET_NAME), YES_EQ(ROLES, prctl, 0, PR_GET_DUMPABLE),
	YES_EQ(ROLES, prctl, 0, PR_SET_VMA),

	/* files: writing (store, segments) */
	YES(C | L | X, pwrite64), YES(C | L, pwritev), YES(C | L | X, fsync), YES(C | L | X, fdatasync), YES(C | L, sync_file_range),
	YES(C | L | X, ftruncate), YES(C | L | X, fallocate), YES(C | L | X, renameat2), YES(C | L | X, unlinkat),
	YES(C | L | X, mkdirat), YES(C | L | X, fchmod), YES(C | L, fchmodat), YES(C | L | X, flock), YES(C | L, umask),
	YES(C | L, fadvise64), YES(C, memfd_create), YES(C | L, linkat),
#ifdef __NR_renameat
	YES(C | L | X, renameat),
#endif
#ifdef __NR_rename
	YES(C | L | X, rename), YES(C | L | X, unlink), YES(C | L | X, mkdir), YES(C | L, chmod), YES(C | L, rmdir),
#endif

	/* never, and no second try */
	DIE(ROLES, execve), DIE(ROLES, execveat), DIE(ROLES, listen), DIE(ROLES, add_key), DIE(ROLES, request_key),
	DIE(ROLES, keyctl), DIE(ROLES, unshare), DIE(ROLES, setns),
	DIE(M | ROLES, ptrace), DIE(M | ROLES, process_vm_readv), DIE(M | ROLES, process_vm_writev), DIE(M | ROLES, kexec_load),
#ifdef __NR_kexec_file_load
	DIE(M | ROLES, kexec_file_load),
#endif
	DIE(M | ROLES, init_module), DIE(M | ROLES, finit_module), DIE(M | ROLES, delete_module), DIE(M | ROLES, bpf),
	DIE(M | ROLES, perf_event_open), DIE(M | ROLES, mount), DIE(M | ROLES, umount2), DIE(M | ROLES, pivot_root),
	DIE(M | ROLES, move_mount), DIE(M | ROLES, open_tree), DIE(M | ROLES, fsopen), DIE(M | ROLES, fsconfig),
	DIE(M | ROLES, fsmount), DIE(M | ROLES, fspick), DIE(M | ROLES, swapon), DIE(M | ROLES, swapoff),
	DIE(M | ROLES, reboot),
	NO(M, pidfd_getfd, EPERM), NO(M, userfaultfd, EPERM), NO(M, open_by_handle_at, EPERM),
#ifdef __NR_iopl
	DIE(M | ROLES, iopl), DIE(M | ROLES, ioperm),
#endif
};
/* clang-format on */

struct program {
	struct sock_filter *at;
	unsigned n;
};

static void put(struct program *p, struct sock_filter f)
{
	GW_REQUIRE(p->n < GW_SB_MAX_PROGRAM);
	p->at[p->n++] = f;
}

static void put_load(struct program *p, size_t offset)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void put_return(struct program *p, uint32_t action)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* The accumulator holds the call's number before and, when the row does not match, after. */
static void put_row(struct program *p, const struct row *r, uint32_t own_pid)
{
	bool is_self = r->arg == OWN_PID;
	size_t arg = is_self ? 0 : (size_t)r->arg;

	if (r->arg == ANY_ARG) {
		put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->nr, 0, 1));
		put_return(p, r->action);
		return;
	}
	/* Both processors are little endian: the low half comes first. */
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->nr, 0, 5));
	put_load(p, offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t));
	put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->mask));
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, is_self ? own_pid : r->value, 0, 1));
	put_return(p, r->action);
	put_load(p, offsetof(struct seccomp_data, nr));
}

unsigned short gw_sandbox_program(enum gw_sandbox_role role, uint32_t own_pid,
				  struct sock_filter out[GW_SB_MAX_PROGRAM])
{
	struct program p = { out, 0 };

	if (OUR_ARCH == 0)
		return 0;
	/* Another architecture's numbers (int 0x80, x32) would mean other calls. */
	put_load(&p, offsetof(struct seccomp_data, arch));
	put(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0));
	put_return(&p, KILL);
	put_load(&p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	put(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
	put_return(&p, KILL);
#endif
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].roles >> role & 1)
			put_row(&p, &rows[i], own_pid);
	put_return(&p, role == GW_SB_MASTER ? ALLOW : ERR(EPERM));
	return (unsigned short)p.n;
}
