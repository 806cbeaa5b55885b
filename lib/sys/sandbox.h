#pragma once
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* Locking a role down (RELIABILITY 5.7, ARCHITECTURE 2). Call order in every role: gw_harden first thing in main
 * (non-dumpable, no new privileges, no core), start threads, open what is needed, then gw_sandbox_enter.
 * seccomp: an allow-list per role; everything else gets EPERM and is counted; execve, ptrace, process_vm_*,
 * kexec, module and key calls (and listen outside master) kill the process. Nothing may map or make memory executable.
 * Landlock: files only (never connect rules). Where the kernel lacks either, the level says so and start goes on. */
enum gw_sandbox_role { GW_SB_MASTER, GW_SB_CONFD, GW_SB_ADMIN, GW_SB_WORKER, GW_SB_LOGGER, GW_SB_AGENT, GW_SB_COUNT };

void gw_harden(void);

struct gw_sandbox_path { const char *path; bool is_writable; }; /* file or folder and all below it */
/* level: bit 0 seccomp on, bit 1 Landlock on. */
GW_MUST enum gw_err gw_sandbox_enter(enum gw_sandbox_role role, const struct gw_sandbox_path *paths, size_t n,
				     uint32_t *out_level);
