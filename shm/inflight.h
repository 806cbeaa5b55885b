#pragma once
#include <stdatomic.h>
#include "shm/region.h"

/* Requests under way in one worker slot, so that the logger can write END (worker_crashed) for those that died with it.
 * Writer: the worker; the logger clears entries of a dead epoch. An entry counts when `state` is 1, stored last; the
 * identity is written before. Order at START: entry first, then ring; at END: ring first, then clear. */
enum { GW_INFLIGHT_ENTRIES = 16384, GW_INFLIGHT_BODY = 320 };
struct gw_inflight_entry {
	_Atomic uint32_t state; /* 0 free, 1 used */
	uint32_t epoch;
	uint8_t request_id[16];
	uint64_t start_seq; /* of the START record; 0 until written */
	int64_t started_us; /* Unix */
	uint32_t body_bytes;
	uint32_t pad;
	_Atomic uint64_t sent_bytes; /* to the client so far */
	uint8_t body[GW_INFLIGHT_BODY]; /* msgpack map of the identity fields of the record, as in START */
	uint8_t pad1[8];
};
_Static_assert(sizeof(struct gw_inflight_entry) == 384, "six cache lines");
struct gw_inflight {
	struct gw_region_head head;
	_Atomic uint32_t n_used; /* owner's count */
	_Atomic uint32_t
	    n_ever; /* entries below were used at some time; those from here on were never touched, and nobody need look */
	uint8_t pad[56];
	struct gw_inflight_entry entry[GW_INFLIGHT_ENTRIES];
};
_Static_assert(offsetof(struct gw_inflight, n_used) == 64, "the owner's count has its own line");
_Static_assert(offsetof(struct gw_inflight, entry) == 128, "entries begin on a line");
GW_MUST enum gw_err gw_inflight_make(const char *dir, int slot);
GW_MUST enum gw_err gw_inflight_open(const char *dir, int slot, struct gw_inflight **out);
/* Owner: takes a free entry (O(1), private free list); -1 when all are used, or the body is longer than GW_INFLIGHT_BODY.
 * Entries that a dead epoch left are not free; they come back once the logger has cleared them. */
struct gw_inflight_free {
	uint32_t n;
	uint32_t n_stale; /* left by dead epochs when we began */
	uint32_t n_failed; /* takes that found nothing, since the last look at the stale ones */
	uint32_t epoch; /* ours */
	uint32_t list[GW_INFLIGHT_ENTRIES]; /* of those below n_ever; the last one is taken next */
};
void gw_inflight_start(struct gw_inflight_free *f, const struct gw_inflight *t, uint32_t live_epoch);
int gw_inflight_take(struct gw_inflight *t, struct gw_inflight_free *f, uint32_t epoch, const uint8_t request_id[16],
		     int64_t started_us, struct gw_str body);
void gw_inflight_give(struct gw_inflight *t, struct gw_inflight_free *f, int index);
/* Where to stop looking: clamped, the table is a worker's to write. */
uint32_t gw_inflight_end(const struct gw_inflight *t);
/* Logger: copies entry i when it is used; body_bytes of the copy is clamped too. */
bool gw_inflight_read(const struct gw_inflight *t, uint32_t i, struct gw_inflight_entry *copy);
/* Logger: frees entry i if it still belongs to that dead epoch. */
void gw_inflight_clear(struct gw_inflight *t, uint32_t i, uint32_t dead_epoch);
