#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shm/heritage.h"

/* Which keys changed since their shard was built: index and the generation of the last change. Not locked; the publisher
 * does that. When full, everything must be built anew. */
enum { GW_DELTA_CELLS = 8192 };
struct gw_delta_cell {
	uint8_t index[32];
	uint64_t generation;
	bool is_used;
};
struct gw_delta {
	struct gw_delta_cell cell[GW_DELTA_CELLS];
	size_t n;
	uint64_t overflow; /* generation of a change that found no room; 0 = none */
};
void gw_delta_add(struct gw_delta *d, const uint8_t index[32], uint64_t generation);
/* Drops those of a shard (or of all: shard < 0) whose last change is not newer than `generation`. */
void gw_delta_drop(struct gw_delta *d, int shard, uint64_t generation);
/* All indexes, rising. Returns how many. */
size_t gw_delta_sorted(const struct gw_delta *d, uint8_t (*out)[32]);
size_t gw_delta_of_shard(const struct gw_delta *d, unsigned shard);
