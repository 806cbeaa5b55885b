#pragma once
#include "lib/err.h"
#include "lib/str.h"

/* What every process knows of the others: the roles, the names of shared files, the limits. Regions are named files on
 * tmpfs below the runtime folder, made and fully allocated by the master, opened by each role before it locks down;
 * they survive the death of all processes. Sockets and channels come with the INIT message (schemas/messages.def). */
enum gw_role {
	GW_ROLE_MASTER,
	GW_ROLE_CONFD,
	GW_ROLE_ADMIN,
	GW_ROLE_WORKER,
	GW_ROLE_LOGGER,
	GW_ROLE_AGENT,
	GW_ROLE_EXPORTER,
	GW_ROLE_COUNT
};
enum {
	GW_MAX_WORKERS = 16, /* per master; two generations of masters share the slots during an upgrade */
	GW_MAX_SLOTS = 2 * GW_MAX_WORKERS, /* worker slots */
	GW_KEY_SHARDS = 16,
	GW_DELTA_MAX = 4096, /* changed or tombstoned keys in the delta image */
	GW_BEAT_MS = 100, /* every role beats at least this often */
	GW_MASTER_FD = 3 /* the channel to the master in every role */
};
const char *gw_role_name(enum gw_role r); /* "worker" */
bool gw_role_by_name(struct gw_str s, enum gw_role *out);

/* File names below the runtime folder:
 *   control            master writes, all read             shm/control.h
 *   revoke             confd writes, workers/agent read     shm/revoke.h
 *   health             agent writes, all read               shm/health.h
 *   exporter           exporter writes, admin reads           shm/export.h
 *   beats              one line per non-worker role         shm/control.h
 *   slot.<n>           worker n writes, all read            shm/slot.h
 *   ring.<n>           worker n writes, logger moves tail   shm/ring.h
 *   inflight.<n>       worker n writes, logger clears       shm/inflight.h */
/* "<dir>/<name>" or "<dir>/<name>.<slot>" (slot < 0: none) into out[256]. */
GW_MUST enum gw_err gw_region_path(char out[256], const char *dir, const char *name, int slot);
