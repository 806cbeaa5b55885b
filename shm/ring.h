#pragma once
#include <stdatomic.h>
#include "lib/segment.h"
#include "shm/region.h"

/* The record ring of one worker slot (RELIABILITY 8.3): writer = the worker of that slot, reader = the logger, which
 * alone moves the tail, and only after the bytes are durable. The file outlives every process.
 *
 *   frame: u32 len (payload) | u32 crc32c(of all that follows in the frame) | u32 type | u32 slot | u32 epoch | u32 0 | u64 seq
 *          | payload, padded to 8.  len = 0xffffffff: skip to the start of the ring (wrap).
 *   0 <= head - tail <= size; head and tail are byte counters that never wrap (u64), position = counter mod size.
 * Commit point: the store-release of head. (slot, epoch, seq) is unique and without gaps, seq begins at 1 in each epoch.
 * The reader treats every byte as hostile. */
struct gw_ring_shared {
	struct gw_region_head region;
	uint64_t size; /* data bytes, multiple of 4096; informative, nobody relies on it */
	uint8_t pad0[56];
	_Atomic uint64_t head;
	_Atomic uint64_t reserved; /* bytes promised to admitted requests */
	_Atomic uint64_t last_seq; /* of the present epoch */
	_Atomic uint32_t epoch;
	uint8_t pad1[36];
	_Atomic uint64_t tail; /* logger */
	_Atomic uint64_t durable_seq; /* logger: last durable seq of durable_epoch */
	_Atomic uint32_t durable_epoch;
	_Atomic uint32_t owner_pid; /* lease of the logger that serves this slot */
	uint8_t pad2[40];
	uint8_t data[];
};
_Static_assert(offsetof(struct gw_ring_shared, head) == 128, "the writer's line");
_Static_assert(offsetof(struct gw_ring_shared, tail) == 192, "the reader's line");
_Static_assert(sizeof(struct gw_ring_shared) == 256, "data begins on a line");
enum {
	GW_RING_MIN_BYTES = 65536,
	GW_RING_MAX_PAYLOAD =
	    1 << 18, /* and no frame may pass 1/16 of the ring, or a reservation could fail at the wrap */
	GW_RING_MAX_FRAME = GW_RING_MAX_PAYLOAD + 32
};
/* Makes the file, or takes over the one that is there with its records. Another size than before comes into force only
 * when the logger has emptied the ring (until then the old one serves on, GW_OK). */
GW_MUST enum gw_err gw_ring_make(const char *dir, int slot, uint64_t size);
GW_MUST enum gw_err gw_ring_open(const char *dir, int slot, struct gw_ring_shared **out);

void gw_ring_close(struct gw_ring_shared *ring); /* unmaps; accepts NULL */

/* --- writer --- */
struct gw_ring_writer {
	struct gw_ring_shared *ring;
	uint32_t slot, epoch;
	uint64_t seq;
	uint64_t size; /* of the mapping, not the shared word */
};
/* Starts the epoch (given by the master, greater than any before). */
void gw_ring_start(struct gw_ring_writer *w, struct gw_ring_shared *ring, uint32_t slot, uint32_t epoch);
/* Bytes that a frame of this payload takes. */
uint64_t gw_ring_frame_bytes(uint32_t payload);
/* Promise room for later frames; false when head - tail + reserved + bytes would pass 15/16 of the ring. */
bool gw_ring_reserve(struct gw_ring_writer *w, uint64_t bytes);
void gw_ring_unreserve(struct gw_ring_writer *w, uint64_t bytes);
/* Writes a frame; *seq gets its number. Room must have been reserved (the caller unreserves what it used); without
 * reservation GW_E_AUDIT_FULL when it does not fit. */
GW_MUST enum gw_err gw_ring_put(struct gw_ring_writer *w, enum gw_rec_type type, struct gw_str payload, uint64_t *seq);
/* How far it has come: grows with every frame. */
uint64_t gw_ring_head(const struct gw_ring_writer *w);

/* --- reader (logger) --- */
struct gw_ring_reader {
	struct gw_ring_shared *ring;
	uint32_t slot;
	uint64_t at; /* position of the next frame to read */
	uint64_t corrupt; /* frames that failed their check; reading resumes at the head */
	uint64_t size, tail; /* private copies: the shared words belong to a process that may be compromised */
	uint64_t bad_head; /* the last impossible head, counted once */
};
/* Begins at the tail. The ring must come from gw_ring_open, which remembers the size of the mapping. */
void gw_ring_read_start(struct gw_ring_reader *r, struct gw_ring_shared *ring, uint32_t slot);
/* Next frame up to the head at the time of the call; body points into a copy made in `scratch` (the ring is writable by a
 * possibly compromised worker, so nothing is checked in place). False when there is none.
 * The scratch needs a ceiling of at least GW_RING_MAX_FRAME. */
bool gw_ring_next(struct gw_ring_reader *r, struct gw_buf *scratch, struct gw_seg_record *out);
/* All before r->at is durable. */
void gw_ring_advance(struct gw_ring_reader *r, uint32_t durable_epoch, uint64_t durable_seq);
/* One frame out of copied bytes; consumed bytes returned, 0 when broken. */
size_t gw_ring_frame_read(struct gw_str bytes, struct gw_seg_record *out);
