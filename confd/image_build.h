#pragma once
#include "confd/store.h"
#include "shm/image_write.h"

/* Images out of one read transaction of the store (shm/image.h says what is in them). Used by the publishing thread. */
struct gw_built {
	int fd; /* sealed; -1 = not built */
	uint64_t size;
	uint8_t digest[32];
};
void gw_built_drop(struct gw_built *b);

GW_MUST enum gw_err gw_build_config(struct gw_txn *t, uint64_t generation, struct gw_built *out);
/* `index`: n key indexes of 32 bytes, rising. Keys that are gone become tombstones. */
GW_MUST enum gw_err gw_build_delta(struct gw_txn *t, const uint8_t (*index)[32], size_t n, struct gw_built *out);

/* One shard of keys, in slices, so that something more urgent can be done in between. */
struct gw_shard_build {
	struct gw_txn *txn;
	struct gw_image_writer *writer;
	struct gw_scan scan;
	unsigned shard, first_byte; /* of the index: first_byte & 15 == shard */
	bool is_scanning;
};
GW_MUST enum gw_err gw_shard_start(struct gw_shard_build *b, struct gw_txn *t, unsigned shard);
/* Up to n keys more; *is_done at the end. On failure the build is over. */
GW_MUST enum gw_err gw_shard_step(struct gw_shard_build *b, unsigned n, bool *is_done);
GW_MUST enum gw_err gw_shard_end(struct gw_shard_build *b, struct gw_built *out);
void gw_shard_drop(struct gw_shard_build *b);
