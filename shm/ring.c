/* The record ring: its file, and the writer's side. The reader is in ring_read.c. */
#include "shm/ring.h"
#include <stdio.h>
#include "lib/text.h"
#include "shm/ring_frame.h"

static uint64_t layout(void)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "ring 1 head %zu frame %zu", sizeof(struct gw_ring_shared),
			 sizeof(struct gw_ring_frame));

	return gw_layout_hash(text, (size_t)n);
}

static uint64_t data_bytes(const struct gw_map *map)
{
	return map->n - sizeof(struct gw_ring_shared);
}

static void unmap(struct gw_ring_shared *ring, uint64_t size)
{
	struct gw_map map = { ring, sizeof(*ring) + size };

	gw_unmap(&map);
}

enum gw_err gw_ring_make(const char *dir, int slot, uint64_t size)
{
	char path[256];
	struct gw_map map;
	struct gw_ring_shared *ring;
	bool was_there, is_empty;
	enum gw_err e = gw_region_path(path, dir, "ring", slot);

	if (!e && (size < GW_RING_MIN_BYTES || size % 4096 || size > (1ULL << 40)))
		e = GW_E_INVALID;
	if (e)
		return e;
	e = gw_region_open(path, "ring", layout(), true, &map);
	if (!e) { /* records may be in it: they outweigh a new size */
		ring = map.p;
		is_empty = atomic_load(&ring->head) == atomic_load(&ring->tail);
		e = data_bytes(&map) == size || !is_empty ? GW_OK : GW_E_CONFLICT;
		gw_unmap(&map);
		if (e != GW_E_CONFLICT)
			return e;
	} else if (e != GW_E_NOT_FOUND) {
		return e;
	}
	e = gw_region_make(path, "ring", layout(), sizeof(*ring) + size, e == GW_E_CONFLICT, &was_there, &map);
	if (!e)
		gw_unmap(&map);
	return e;
}

enum gw_err gw_ring_open(const char *dir, int slot, struct gw_ring_shared **out)
{
	char path[256];
	struct gw_map map;
	struct gw_ring_shared *ring;
	enum gw_err e = gw_region_path(path, dir, "ring", slot);

	if (!e)
		e = gw_region_open(path, "ring", layout(), true, &map);
	if (e)
		return e;
	if (map.n < sizeof(struct gw_ring_shared) + GW_RING_MIN_BYTES || data_bytes(&map) % 4096) {
		gw_unmap(&map);
		return GW_E_CORRUPT;
	}
	e = gw_ring_remember(map.p, data_bytes(&map));
	if (e) {
		gw_unmap(&map);
		return e;
	}
	ring = map.p;
	if (ring->size != data_bytes(&map)) /* new; for the eyes of others, nobody relies on it */
		ring->size = data_bytes(&map);
	*out = ring;
	return GW_OK;
}

void gw_ring_close(struct gw_ring_shared *ring)
{
	uint64_t size = ring ? gw_ring_forget(ring) : 0;

	if (size)
		unmap(ring, size);
}

uint64_t gw_ring_frame_bytes(uint32_t payload)
{
	return sizeof(struct gw_ring_frame) + (((uint64_t)payload + 7) & ~7ULL);
}

/* head and tail as the writer may believe them. When they cannot be (a compromised predecessor, or the logger has put
 * its tail right after one), the ring is declared empty: nothing in it could be read anyway. */
static uint64_t used_bytes(struct gw_ring_writer *w)
{
	uint64_t head = atomic_load_explicit(&w->ring->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&w->ring->tail, memory_order_acquire);

	if (head - tail <= w->size && head % 8 == 0)
		return head - tail;
	atomic_store_explicit(&w->ring->head, (tail + 7) & ~7ULL, memory_order_release);
	return 0;
}

void gw_ring_start(struct gw_ring_writer *w, struct gw_ring_shared *ring, uint32_t slot, uint32_t epoch)
{
	uint64_t size = gw_ring_size(ring);

	GW_REQUIRE(size != 0);
	*w = (struct gw_ring_writer){ .ring = ring, .slot = slot, .epoch = epoch, .size = size };
	used_bytes(w);
	/* Hints for people and metrics; the truth about an epoch is the frames. */
	atomic_store_explicit(&ring->reserved, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->last_seq, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->epoch, epoch, memory_order_release);
}

bool gw_ring_reserve(struct gw_ring_writer *w, uint64_t bytes)
{
	uint64_t reserved = atomic_load_explicit(&w->ring->reserved, memory_order_relaxed);
	uint64_t limit = w->size / 16 * 15;

	if (bytes > limit || reserved > limit || used_bytes(w) + reserved + bytes > limit)
		return false;
	atomic_store_explicit(&w->ring->reserved, reserved + bytes, memory_order_relaxed);
	return true;
}

void gw_ring_unreserve(struct gw_ring_writer *w, uint64_t bytes)
{
	uint64_t reserved = atomic_load_explicit(&w->ring->reserved, memory_order_relaxed);

	GW_REQUIRE(bytes <= reserved);
	atomic_store_explicit(&w->ring->reserved, reserved - bytes, memory_order_relaxed);
}

/* Why a reservation cannot fail here: head - tail + reserved <= 15/16 of the ring when it was given, every put moves
 * bytes from the one to the other, and what a wrap wastes (once between tail and head) is less than one frame, which
 * is at most the last sixteenth. */
enum gw_err gw_ring_put(struct gw_ring_writer *w, enum gw_rec_type type, struct gw_str payload, uint64_t *seq)
{
	struct gw_ring_frame f = { .len = (uint32_t)payload.n, .type = type, .slot = w->slot, .epoch = w->epoch };
	uint64_t need, used, head, at, skip;
	uint8_t *p;

	if (payload.n > GW_RING_MAX_PAYLOAD || gw_ring_frame_bytes((uint32_t)payload.n) > w->size / 16)
		return GW_E_TOO_BIG;
	need = gw_ring_frame_bytes((uint32_t)payload.n);
	used = used_bytes(w);
	head = atomic_load_explicit(&w->ring->head, memory_order_relaxed);
	at = head % w->size;
	skip = at + need > w->size ? w->size - at : 0;
	if (used + skip + need > w->size)
		return GW_E_AUDIT_FULL;
	if (skip) {
		memcpy(w->ring->data + at, &gw_ring_wrap_mark, sizeof(gw_ring_wrap_mark));
		at = 0;
	}
	f.seq = w->seq + 1;
	p = w->ring->data + at;
	f.crc =
	    gw_crc32c(gw_crc32c(0, &f.type, sizeof(f) - offsetof(struct gw_ring_frame, type)), payload.p, payload.n);
	memcpy(p, &f, sizeof(f));
	if (payload.n)
		memcpy(p + sizeof(f), payload.p, payload.n);
	memset(p + sizeof(f) + payload.n, 0, need - sizeof(f) - payload.n);
	w->seq++;
	atomic_store_explicit(&w->ring->head, head + skip + need, memory_order_release); /* the commit point */
	atomic_store_explicit(&w->ring->last_seq, w->seq, memory_order_relaxed);
	*seq = w->seq;
	return GW_OK;
}

uint64_t gw_ring_head(const struct gw_ring_writer *w)
{
	return atomic_load_explicit(&w->ring->head, memory_order_relaxed);
}
