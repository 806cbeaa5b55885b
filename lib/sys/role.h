#pragma once
#include "lib/msg.h"
#include "lib/sys/boot.h"
#include "lib/sys/msgio.h"

/* How every role but the master begins and speaks to the master before it has a loop of its own. Role numbers are
 * enum gw_role of shm/heritage.h, plain ints here.
 *
 *   int gw_worker_main(void)
 *   {
 *           static struct gw_role_start start;
 *           gw_role_begin(&start);                         harden, INIT, options; ends the process when that fails
 *           ... open regions below start.boot.runtime_dir, sockets gw_role_fd(&start, "listen.0"), channels ...
 *           ... sandbox, then threads ...                  gw_role_fatal("cannot open %s: ...") when it cannot go on
 *           ... gw_channel_open(loop, GW_ROLE_MASTER_FD, ...) ...
 *           gw_role_ready(level);                          then the loop
 *
 * What a role owes the master:
 *   DRAIN, or SIGTERM     stop accepting, finish within deadline_ms (SIGTERM: options' drain_timeout), exit 0
 *   end of descriptor 3   the master is dead: go on up to orphan_grace, then as DRAIN. While in standby: exit at once
 *   PEER                  a channel that replaces the one to the same (role, slot); its end tells nothing about the peer
 *   beats                 at least each 100 ms, from the moment the loop runs
 * SIGINT and SIGPIPE are ignored already; each role has a process group of its own, so a terminal reaches only the master.
 *
 * In-place upgrade (docs/adr/0003-upgrade.md). A role of the new master starts with `is_standby`: it does all its start work
 * except taking what an older process still holds, and sends READY. On HANDOVER with flags GW_HANDOVER_GO it takes that
 * and answers HANDED (flags GO, status 0, or the error as positive number). What is held: confd the store (open it only
 * after GO); worker accepting; admin accepting; agent probing; logger the ring leases;
 * exporter the index.
 * HANDOVER with flags GW_HANDOVER_RELEASE goes to the old confd only: refuse further commits, ship what the outbox holds
 * (<= 2 s), close the store and its lock, answer HANDED (flags RELEASE); leases in memory may still be answered. DRAIN follows.
 * The slot of a role other than worker is 0 or 1 and alternates at each upgrade, so that both generations of a role can
 * have channels to the same peer: a role keeps channels by (role, slot) and asks the one that came last. */
enum { GW_ROLE_MASTER_FD = 3, GW_ROLE_MAX_FDS = GW_MSG_MAX_FDS, GW_ROLE_INIT_MS = 10000 };
enum gw_handover {
	GW_HANDOVER_PREPARE = 1, /* old master -> new master: all descriptors; answer: everything is READY in standby */
	GW_HANDOVER_WIRE, /* new -> old: channels of new roles to the old confd, please; and the old one's answer */
	GW_HANDOVER_RELEASE, /* master -> old confd: let go of the store */
	GW_HANDOVER_GO, /* master -> role in standby: begin. old -> new master: the store is free, take over */
	GW_HANDOVER_CANCEL /* old -> new master: stop everything of yours and exit */
};
enum { GW_INIT_STANDBY = 1 }; /* bit of INIT's flags */

struct gw_role_fd {
	char name[28];
	int fd;
};
struct gw_role_start {
	uint32_t role, slot, epoch;
	bool is_standby;
	const char *role_name; /* argv[1], "worker" */
	struct gw_boot boot;
	struct gw_role_fd fds[GW_ROLE_MAX_FDS]; /* in INIT's order; open for as long as nobody closes them */
	uint32_t n_fds;
};

/* First thing in every gw_<role>_main: gw_harden, signals, INIT from descriptor 3 (<= 10 s), options, operator log. Logs and
 * ends the process on failure. `slot_in_log`: the log says "worker[3]" (true for roles with more than one process). */
void gw_role_begin(struct gw_role_start *out, const char *role_name, bool slot_in_log);
/* The part without side effects on the process: reads INIT from fd. For tests. */
GW_MUST enum gw_err gw_role_read_init(int fd, int timeout_ms, struct gw_role_start *out);
/* Descriptor of that name ("chan.confd", "listen.2"), or -1. */
int gw_role_fd(const struct gw_role_start *s, const char *name);
/* "<runtime_dir>/<name>" into out; GW_E_INVALID when it does not fit. */
GW_MUST enum gw_err gw_role_path(const struct gw_role_start *s, const char *name, char *out, size_t n);
/* Tells the master that the role serves (or stands by). */
void gw_role_ready(uint32_t sandbox_level);
/* Cannot start: the text goes to the log and to the master (which shows it in `status` and backs off), exit 1. */
_Noreturn void gw_role_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* enum gw_level of boot option log_level. */
int gw_role_log_level(const char *text);

/* The mains, each in the library of its folder; `llmgw.c` at the root picks one by argv[1]. */
int gw_confd_main(void);
int gw_confd_restore_main(int argc, char **argv); /* `llmgw restore FILE`: no role, runs alone */
int gw_admin_main(void);
int gw_worker_main(void);
int gw_logger_main(void);
int gw_agent_main(void);
int gw_exporter_main(void);
int gw_master_main(int argc, char **argv); /* argv as given by the operator */
int gw_master_takeover_main(int argc, char **argv); /* started by the old master at an upgrade; the same argv */
