#pragma once
#include <stdatomic.h>
#include "shm/region.h"

/* Verdicts about deployments: the agent is the only writer; workers, admin read. Keyed by hash of (deployment id, row
 * version), so that a changed deployment begins as pending again. */
enum gw_verdict { GW_VERDICT_NONE, GW_VERDICT_PENDING, GW_VERDICT_UP, GW_VERDICT_DOWN };
enum { GW_HEALTH_CELLS = 8192, GW_HEALTH_DETAIL = 80 };
struct gw_health_cell {
	_Atomic uint64_t key; /* 0 = free; set last */
	_Atomic uint32_t verdict;
	_Atomic uint32_t error; /* enum gw_err as positive number of the last failed probe */
	_Atomic uint64_t checked_ns, latency_us;
	_Atomic uint64_t changed_us; /* Unix, of the verdict */
	_Atomic uint32_t seq; /* odd while the agent writes the cell */
	uint32_t pad;
	char detail
	    [GW_HEALTH_DETAIL]; /* words of the last failure, NUL-terminated, scrubbed; read by gw_health_detail */
};
_Static_assert(sizeof(struct gw_health_cell) == 128, "two cache lines");
struct gw_health {
	struct gw_region_head head;
	_Atomic uint64_t baseline; /* generation whose deployments count as up without a probe (they served before) */
	_Atomic uint32_t n_taken; /* the agent's count of keys; never less than there are */
	uint8_t pad[52];
	struct gw_health_cell cell[GW_HEALTH_CELLS];
};
_Static_assert(offsetof(struct gw_health, baseline) == 64 && offsetof(struct gw_health, cell) == 128,
	       "cache-line groups");
GW_MUST enum gw_err gw_health_open(const char *dir, bool may_make, bool is_writable, struct gw_health **out);
uint64_t gw_health_key(struct gw_str deployment_id, uint64_t version);
/* NULL when there is no verdict yet. Use the cell at once, keep no pointer: the agent may give it to another key. */
const struct gw_health_cell *gw_health_get(const struct gw_health *h, uint64_t key);
/* The words, whole, of one moment; "" while (or since) a writer is in the middle of them. */
void gw_health_detail(const struct gw_health_cell *c, char out[GW_HEALTH_DETAIL]);
/* GW_E_NO_SPACE when three quarters of the cells are taken. Unchanged `changed_us` unless the verdict changes. */
GW_MUST enum gw_err gw_health_set(struct gw_health *h, uint64_t key, enum gw_verdict v, enum gw_err why,
				  uint64_t latency_us, uint64_t now_ns, int64_t now_us, struct gw_str detail);
/* Agent: forget cells whose keys are not in the sorted list. */
void gw_health_keep(struct gw_health *h, const uint64_t *keys, size_t n);
