#pragma once
#include "shm/ring.h"

/* What the two sides of the ring share among themselves. */
struct gw_ring_frame {
	uint32_t len, crc; /* crc over everything from `type` to the end of the payload, without the padding */
	uint32_t type, slot, epoch, zero;
	uint64_t seq;
};
_Static_assert(sizeof(struct gw_ring_frame) == 32, "frames are exchanged between processes");

static const uint32_t gw_ring_wrap_mark = 0xffffffff;

/* The size of each mapping that gw_ring_open made, kept outside shared memory: a compromised worker can write the
 * header, and the logger must not believe it. */
GW_MUST enum gw_err gw_ring_remember(const struct gw_ring_shared *ring, uint64_t size);
uint64_t gw_ring_size(const struct gw_ring_shared *ring); /* 0 when unknown */
uint64_t gw_ring_forget(const struct gw_ring_shared *ring); /* the size it had, 0 when unknown */
