#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* Locking a role down (RELIABILITY 5.7, ARCHITECTURE 2). Call order in every role: gw_harden first thing in main
 * (non-dumpable, no new privileges, no core), receive INIT, open what is needed, gw_sandbox_enter, and only then start
 * threads. Threads first would be wrong: Landlock restricts the calling thread and what it starts later, so a pool
 * thread from before would keep every file open to whoever takes the process over. gw_sandbox_enter refuses that
 * (GW_E_CONFLICT). Starting threads afterwards is allowed in every profile.
 *
 * seccomp: an allow-list per role (rows in sandbox_calls.c); everything else gets EPERM; execve, ptrace, process_vm_*,
 * kexec, bpf, module, mount and key calls and listen kill the process. Nothing may map or make memory executable.
 * io_uring (from gw_harden on, before any event loop is made) and clone3 answer ENOSYS, so that libuv and glibc fall back.
 * The master has a deny-list only: its filter survives execve into every role, the key command and the next binary.
 *
 *   listen(2) kills: poll an inherited listening socket (uv_poll + accept4). uv_listen calls listen again, so it is
 *   possible only before lock-down.
 *   bind(2) is EPERM everywhere but in the master; connect(2) works in worker and agent, accept in worker and admin.
 *   Opening for writing works in confd, logger and exporter only.
 *
 * Landlock: files only (never connect rules); signals and abstract Unix sockets of processes outside are out of reach.
 * Where the kernel lacks either, the level says so and start goes on.
 *
 * Opening /proc/self/fd/N (how LMDB gets an image) goes on working: after PR_SET_DUMPABLE 0 the folder belongs to root,
 * but Linux lets a thread group into its own fd folder and through its own links in any case, and a memfd lies on an
 * internal mount that Landlock rules do not cover. No rule is needed for it; shown for uid 65534 by sandbox_test. The
 * same is true of /proc/self/fd only: other files of /proc/self need a rule.
 *
 * Leak checking of sanitizer builds needs ptrace, so it is off in a process that has entered a profile. */
enum gw_sandbox_role {
	GW_SB_MASTER,
	GW_SB_CONFD,
	GW_SB_ADMIN,
	GW_SB_WORKER,
	GW_SB_LOGGER,
	GW_SB_AGENT,
	GW_SB_EXPORTER,
	GW_SB_COUNT
};
enum { GW_SB_HAS_SECCOMP = 1, GW_SB_HAS_LANDLOCK = 2 };

void gw_harden(void);

/* A file or a folder and all below it. A path that does not exist is passed over, unless it is writable:
 * GW_E_NOT_FOUND. */
struct gw_sandbox_path {
	const char *path;
	bool is_writable;
};
/* level: GW_SB_HAS_* bits. Paths are not looked at for the master (no Landlock there). */
GW_MUST enum gw_err gw_sandbox_enter(enum gw_sandbox_role role, const struct gw_sandbox_path *paths, size_t n,
				     uint32_t *out_level);
