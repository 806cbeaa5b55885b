#pragma once
#include <stdatomic.h>
#include "shm/region.h"

/* The control page: the master's word about every process, read by all, and the beats of the roles.
 * One writer: the master. */
enum gw_child_state { /* a child's life, as the master sees it */
		      GW_CHILD_NONE,
		      GW_CHILD_STARTING,
		      GW_CHILD_UP,
		      GW_CHILD_DRAINING,
		      GW_CHILD_BACKOFF,
		      GW_CHILD_GONE
};
struct gw_control_child {
	_Atomic uint32_t state, pid, epoch, restarts;
	_Atomic uint64_t started_ns; /* monotonic */
	_Atomic uint32_t adopter; /* worker slot that polls this slot's listen socket too, + 1; 0 = nobody */
	_Atomic uint32_t sandbox; /* level told by READY */
	uint8_t pad[32];
};
struct gw_control {
	struct gw_region_head head;
	_Atomic uint64_t master_beat_ns;
	_Atomic uint32_t master_pid, n_workers,
	    first_slot; /* live slots of the present master: first_slot .. + n_workers */
	_Atomic uint32_t is_draining;
	_Atomic uint64_t generation; /* of the last images that confd sent */
	_Atomic uint64_t started_us; /* Unix time */
	uint8_t pad[24];
	struct gw_control_child workers[GW_MAX_SLOTS];
	struct gw_control_child roles[GW_ROLE_COUNT];
};
_Static_assert(sizeof(struct gw_control_child) == 64, "one cache line per child");
_Static_assert(offsetof(struct gw_control, master_beat_ns) == 64, "the master's words have their own line");
_Static_assert(offsetof(struct gw_control, workers) == 128, "children begin on a line");
_Static_assert(sizeof(struct gw_control) == 128 + 64 * (GW_MAX_SLOTS + GW_ROLE_COUNT), "no hidden padding");
GW_MUST enum gw_err gw_control_make(const char *dir, struct gw_control **out);
GW_MUST enum gw_err gw_control_open(const char *dir, const struct gw_control **out);

/* Beats of confd, admin, logger, agent, exporter: each writes its own line (workers beat in their slot). */
struct gw_beats {
	struct gw_region_head head;
	struct {
		_Atomic uint64_t beat_ns;
		_Atomic uint64_t loop_lag_us;
		uint8_t pad[48];
	} roles[GW_ROLE_COUNT];
};
_Static_assert(sizeof(struct gw_beats) == 64 + 64 * GW_ROLE_COUNT, "one cache line per role");
GW_MUST enum gw_err gw_beats_open(const char *dir, bool may_make, struct gw_beats **out);
