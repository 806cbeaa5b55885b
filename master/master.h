#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/msg.h"
#include "lib/sys/boot.h"
#include "lib/sys/msgio.h"
#include "lib/sys/role.h"
#include "shm/control.h"
#include "shm/slot.h"

/* The master: one poll loop, no threads, no library. It owns the listen sockets, the regions and the children; it reads
 * nothing but messages of its own children. All memory is here, all times are monotonic milliseconds.
 *
 *   place.c      folders, lock, regions, sockets         child.c      one process: start, INIT, stop
 *   supervise.c  a child's life as action[state][event]  wire.c       channels between children
 *   watch.c      the look: beats,      deadlines, adoption   images.c     the last images, for those who come later
 *   loop.c       poll, messages                           upgrade.c    the old master's half, takeover.c the new one's
 *   status.c     what `llmgwctl status` shows             notify.c     systemd */
enum {
	GW_TICK_MS = 20, /* between two looks while something is under way */
	GW_LOOK_MS = 250, /* in quiet times, if no beat is due before */
	GW_READY_MS = 10000, /* from start to READY */
	GW_STALE_MS = 5000, /* no beat for so long: killed */
	GW_ADOPT_MS = 200, /* no beat for so long (beats come each 50 ms): its socket is adopted */
	GW_STABLE_MS = 10000, /* up for so long: past deaths are forgiven */
	GW_BACKOFF_MS = 100, /* first wait; doubles */
	GW_BACKOFF_MAX_MS = 5000,
	GW_LOOP_DEATHS = 10, /* that many worker deaths in GW_LOOP_MS: a crash loop */
	GW_LOOP_MS = 60000,
	GW_MAX_CHILDREN = GW_MAX_WORKERS + GW_ROLE_COUNT,
	GW_MAX_LEFTOVERS = GW_MAX_SLOTS + 2 * GW_ROLE_COUNT,
	GW_DEATHS_KEPT = 32,
	GW_IMAGES_MAX = 32,
	GW_STOP_MS = 10000, /* admin, agent, exporter, confd, logger get so long to stop */
	GW_LOGGER_STOP_MS = 30000
};

struct gw_child {
	enum gw_role role; /* GW_ROLE_MASTER: this entry is not used */
	uint32_t slot; /* worker slot, or the half (0 or 1) */
	enum gw_child_state state;
	pid_t pid; /* 0 when there is no process */
	int pidfd, chan; /* -1 when there is no process */
	struct gw_msg_in in;
	uint32_t epoch, restarts;
	uint32_t failures; /* deaths in a row without a stable time between */
	uint32_t sandbox;
	uint64_t started_ms, up_ms;
	uint64_t deadline_ms; /* of the present state; 0 = none */
	uint64_t healthy_since_ms; /* workers: 0 = not healthy now */
	uint64_t chan_lost_ms; /* it closed its channel; 0 = it did not */
	uint64_t lagging_generation; /* replaced once for this one */
	int adopter; /* worker number that polls our socket too, or -1 */
	bool is_standby; /* READY means standing by; GO was not given */
	bool waits_for_go; /* GO was given, HANDED not yet here */
	bool was_killed; /* by us; says so in the log */
	char detail[256]; /* text of the last FATAL */
	struct gw_slot *page; /* workers */
};

struct gw_death { /* for `llmgwctl crashes` */
	enum gw_role role;
	uint32_t slot, epoch;
	pid_t pid;
	int64_t at_us;
	uint64_t at_ms;
	char how[48], text[512], context[64];
};

struct gw_images { /* descriptors of one whole set; names are opaque here */
	uint64_t generation;
	uint32_t n;
	struct {
		char name[28];
		uint8_t digest[32];
		int fd;
	} item[GW_IMAGES_MAX];
};

enum gw_stage { /* of the whole service */
		GW_STAGE_STANDBY, /* new master of an upgrade, before its point of no return */
		GW_STAGE_SERVING,
		GW_STAGE_HANDED_OVER, /* old master of an upgrade: everything drains, sockets are the new one's */
		GW_STAGE_STOPPING_EDGE, /* workers, admin, agent, exporter drain */
		GW_STAGE_STOPPING_LOGGER,
		GW_STAGE_STOPPING_CONFD,
		GW_STAGE_DONE
};

enum gw_upgrade_step { /* old master */
		       GW_UP_NONE,
		       GW_UP_PREPARING,
		       GW_UP_RELEASING,
		       GW_UP_GOING,
		       GW_UP_CANCELLING
};
struct gw_upgrade {
	enum gw_upgrade_step step;
	pid_t pid; /* the new master */
	int pidfd, chan;
	struct gw_msg_in in;
	uint64_t deadline_ms;
	bool has_asker; /* admin waits for UPGRADED with this corr */
	uint64_t corr;
	bool has_released; /* the old confd let the store go, or was killed */
	char last[200]; /* outcome of the last one, for status */
};
struct gw_takeover { /* new master */
	int chan; /* to the old master; -1 when there is none */
	struct gw_msg_in in;
	uint64_t deadline_ms;
	bool is_prepared, has_go, is_done; /* told the old master: all READY; was told GO; told it that we serve */
	pid_t old_pid;
	struct gw_role_fd
	    wired[GW_MAX_WORKERS + GW_ROLE_COUNT]; /* channels to the old confd, by the name of the new role */
	uint32_t n_wired;
};

struct gw_listen { /* -1: none; names for roles: "listen.0", "tls.0", "admin.tcp" ... */
	int fd[GW_MAX_WORKERS], tls[GW_MAX_WORKERS], admin_tcp, admin_tls, admin_unix;
};
enum { GW_LISTEN_MAX = 2 * GW_MAX_WORKERS + 3 };

struct gw_master {
	struct gw_boot boot;
	int argc;
	char **argv;
	char exe_path[4096];
	int exe_fd, lock_fd, signal_fd;
	enum gw_stage stage;
	uint32_t n_workers, half; /* slots half * GW_MAX_WORKERS .. + n_workers */
	struct gw_listen listen;
	struct gw_control *control;
	struct gw_beats *beats;
	struct gw_child child[GW_MAX_CHILDREN]; /* 0 .. n_workers-1 workers by number, then one entry per role */
	struct gw_images now, good; /* the last set; the last one that workers have run on without dying */
	uint64_t images_at_ms;
	struct gw_death death[GW_DEATHS_KEPT];
	uint64_t n_deaths;
	uint64_t in_crash_loop_until_ms;
	uint32_t last_epoch;
	uint64_t next_look_ms;
	uint64_t tick_ms; /* time of the last look, to notice that we ourselves were stopped */
	uint64_t forgive_until_ms; /* no verdicts about stale beats before */
	uint64_t start_deadline_ms, notify_ms;
	bool told_ready;
	struct gw_upgrade upgrade;
	struct gw_takeover takeover;
	pid_t leftover[GW_MAX_LEFTOVERS]; /* processes of a dead master that still finish */
	enum gw_role leftover_role[GW_MAX_LEFTOVERS];
	uint32_t n_leftover;
};

/* place.c */
GW_MUST enum gw_err gw_place_prepare(struct gw_master *m, const char **why); /* folders, lock, exe, limits */
GW_MUST enum gw_err gw_place_regions(struct gw_master *m, const char **why);
GW_MUST enum gw_err gw_place_dirs(struct gw_master *m, const char **why); /* the part that a new master does too */
void gw_place_clean(struct gw_master *m); /* after an orderly stop: what is big and empty */
GW_MUST enum gw_err gw_place_listen(struct gw_master *m, const char **why);
uint32_t gw_place_sockets(const struct gw_master *m, bool workers, bool admin, struct gw_role_fd fds[GW_LISTEN_MAX]);
bool gw_place_take_socket(struct gw_master *m, const struct gw_role_fd *fd);
void gw_place_close_sockets(struct gw_master *m, bool workers, bool admin);
void gw_place_write_lock(struct gw_master *m); /* our pid into the lock file */
bool gw_place_split_address(struct gw_str text, struct gw_str *host, uint16_t *port);
/* leftover.c: processes of a dead master. find chooses the half; waits when both are held. */
GW_MUST enum gw_err gw_leftover_find(struct gw_master *m, const char **why);
void gw_leftover_finish(struct gw_master *m); /* once our own workers serve */
void gw_leftover_tick(struct gw_master *m);
void gw_leftover_publish(struct gw_master *m); /* lines of worker slots that are not ours: draining, or nobody's */

/* child.c */
void gw_child_init(struct gw_master *m);
struct gw_child *gw_child_of(struct gw_master *m, enum gw_role role);
static inline bool gw_child_has_process(const struct gw_child *c)
{
	return c->pid > 0;
}
uint32_t gw_child_number(const struct gw_master *m, const struct gw_child *c); /* worker number */
void gw_child_name(const struct gw_child *c, char out[32]); /* "worker[3]" */
GW_MUST enum gw_err gw_child_start(struct gw_master *m, struct gw_child *c);
/* Sends or, when the child does not read any more, kills it: it is replaced and learns everything anew. */
void gw_child_tell(struct gw_master *m, struct gw_child *c, const struct gw_msg *msg);
void gw_child_kill(struct gw_child *c, const char *why);
void gw_child_reap(struct gw_master *m, struct gw_child *c, char how[48]);
void gw_child_publish(struct gw_master *m, const struct gw_child *c); /* its line of the control page */
/* fork + exec of the opened binary with chan as descriptor 3. Also the new master of an upgrade. */
GW_MUST enum gw_err gw_child_exec(int exe_fd, int chan, char *const argv[], char *const envp[], bool own_group,
				  pid_t *pid, int *pidfd);
/* Our end in pair[0], the other, above 9, in pair[1]. */
GW_MUST enum gw_err gw_child_channel(int pair[2]);

/* supervise.c */
enum gw_child_event { GW_EV_START, GW_EV_READY, GW_EV_DIED, GW_EV_TIMEOUT, GW_EV_STALE, GW_EV_DRAIN, GW_EV_COUNT };
void gw_supervise(struct gw_master *m, struct gw_child *c, enum gw_child_event ev);
const char *gw_supervise_state_name(enum gw_child_state s);
bool gw_supervise_in_loop(const struct gw_master *m, uint64_t now_ms);
void gw_supervise_start_all(struct gw_master *m);
void gw_supervise_drain(struct gw_master *m, struct gw_child *c, uint64_t within_ms);

/* wire.c */
/* Makes the channels between c and its living peers: c's ends into fds/names (for INIT), the other ends sent as PEER. */
GW_MUST enum gw_err gw_wire_make(struct gw_master *m, struct gw_child *c, struct gw_role_fd *fds, uint32_t *n);
void gw_wire_gone(struct gw_master *m, const struct gw_child *c);
void gw_wire_tell_peer(struct gw_master *m, struct gw_child *to, enum gw_role role, uint32_t slot, uint32_t epoch,
		       pid_t pid, int fd);
/* A fresh channel between two living children, PEER to both. */
GW_MUST enum gw_err gw_wire_pair(struct gw_master *m, struct gw_child *a, struct gw_child *b);
bool gw_wire_are_peers(enum gw_role a, enum gw_role b);
void gw_msg_set_names(struct gw_msg *msg, struct gw_buf *b, const struct gw_role_fd *fds, uint32_t n);
GW_MUST enum gw_err gw_msg_get_names(const struct gw_msg *msg, struct gw_role_fd *fds,
				     uint32_t *n); /* n: in room, out count */

/* images.c */
void gw_images_take(struct gw_master *m, struct gw_msg *msg); /* IMAGE from confd */
void gw_images_send(struct gw_master *m, struct gw_child *c);
void gw_images_to_message(const struct gw_images *im, struct gw_msg *msg, struct gw_buf *names, struct gw_buf *digests);
void gw_images_keep_good(struct gw_master *m, uint64_t now_ms);
GW_MUST enum gw_err gw_images_add(struct gw_images *im, struct gw_str name, const uint8_t digest[32], int fd);

/* watch.c */
void gw_watch_tick(struct gw_master *m);
void gw_watch_adopt(struct gw_master *m, uint64_t now_ms);
bool gw_watch_is_healthy(const struct gw_master *m, const struct gw_child *c, uint64_t now_ms);

/* loop.c */
int gw_loop_run(struct gw_master *m);
void gw_loop_stop(struct gw_master *m); /* SIGTERM; the second one hurries */
void gw_loop_stage(struct gw_master *m); /* goes on when a stage is finished */

/* status.c */
void gw_status_write(const struct gw_master *m, struct gw_buf *out);
void gw_status_write_crashes(const struct gw_master *m, struct gw_buf *out); /* STATUS with name "crashes" */

/* upgrade.c, takeover.c */
void gw_upgrade_begin(struct gw_master *m, bool has_asker, uint64_t corr);
void gw_upgrade_readable(struct gw_master *m); /* the new master's channel */
void gw_upgrade_died(struct gw_master *m); /* its pidfd is readable */
bool gw_upgrade_holds_store(const struct gw_master *m); /* the store is not ours now: no confd may start */
void gw_upgrade_tick(struct gw_master *m, uint64_t now_ms);
void gw_upgrade_released(struct gw_master *m); /* the old confd let go, or is dead */
void gw_upgrade_cancel(struct gw_master *m, const char *why);
GW_MUST enum gw_err gw_takeover_receive(struct gw_master *m, const char **why);
void gw_takeover_readable(struct gw_master *m);
void gw_takeover_tick(struct gw_master *m, uint64_t now_ms);
void gw_takeover_handed(struct gw_master *m, struct gw_child *c, uint64_t status);

/* notify.c */
void gw_notify(const char *text);
uint64_t gw_notify_watchdog_ms(void); /* 0 = none */
