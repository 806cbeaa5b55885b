/* The logger's side of the ring. The writer may be compromised (RELIABILITY T36): head, tail, sizes and frames are
 * hostile. So the size is our own copy, the tail too, each frame is copied before it is checked, each call does a
 * bounded amount of work, and a ring that makes no sense costs the records of that slot only.
 *
 *   tail (private) <= at (private) <= head (theirs, believed only within tail .. tail + size) */
#include "lib/buf.h"
#include "lib/text.h"
#include "shm/ring_frame.h"

enum { MAX_OPEN = 4 * GW_MAX_SLOTS };

static struct {
	_Atomic(const struct gw_ring_shared *) ring;
	_Atomic uint64_t size;
} opened[MAX_OPEN];

enum gw_err gw_ring_remember(const struct gw_ring_shared *ring, uint64_t size)
{
	for (unsigned i = 0; i < MAX_OPEN; i++) {
		const struct gw_ring_shared *none = NULL;

		if (!atomic_compare_exchange_strong(&opened[i].ring, &none, ring))
			continue;
		atomic_store(&opened[i].size, size);
		return GW_OK;
	}
	return GW_E_LIMIT;
}

static int find(const struct gw_ring_shared *ring)
{
	for (unsigned i = 0; i < MAX_OPEN; i++) {
		if (atomic_load(&opened[i].ring) == ring)
			return (int)i;
	}
	return -1;
}

uint64_t gw_ring_size(const struct gw_ring_shared *ring)
{
	int i = find(ring);

	return i < 0 ? 0 : atomic_load(&opened[i].size);
}

uint64_t gw_ring_forget(const struct gw_ring_shared *ring)
{
	int i = find(ring);
	uint64_t size;

	if (i < 0)
		return 0;
	size = atomic_load(&opened[i].size);
	atomic_store(&opened[i].ring, NULL);
	return size;
}

void gw_ring_read_start(struct gw_ring_reader *r, struct gw_ring_shared *ring, uint32_t slot)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), size = gw_ring_size(ring);

	GW_REQUIRE(size != 0);
	tail = (tail + 7) & ~7ULL;
	*r = (struct gw_ring_reader){ .ring = ring, .slot = slot, .at = tail, .size = size, .tail = tail };
}

static bool is_known_type(uint32_t type)
{
	return type >= GW_REC_START && type <= GW_REC_DROPPED;
}

size_t gw_ring_frame_read(struct gw_str bytes, struct gw_seg_record *out)
{
	struct gw_ring_frame f;
	uint64_t need;
	uint32_t crc;

	if (bytes.n < sizeof(f))
		return 0;
	memcpy(&f, bytes.p, sizeof(f));
	if (f.len > GW_RING_MAX_PAYLOAD || !is_known_type(f.type) || f.zero != 0 || f.seq == 0)
		return 0;
	need = gw_ring_frame_bytes(f.len);
	if (need > bytes.n)
		return 0;
	crc = gw_crc32c(0, bytes.p + offsetof(struct gw_ring_frame, type), sizeof(f) - 8);
	if (gw_crc32c(crc, bytes.p + sizeof(f), f.len) != f.crc)
		return 0;
	*out = (struct gw_seg_record){ f.slot, f.epoch, f.type, f.seq, gw_str(bytes.p + sizeof(f), f.len) };
	return need;
}

/* The head if it can be one. */
static bool read_head(struct gw_ring_reader *r, uint64_t *head)
{
	uint64_t h = atomic_load_explicit(&r->ring->head, memory_order_acquire);

	if (h - r->tail <= r->size && h % 8 == 0) {
		*head = h;
		return true;
	}
	if (h != r->bad_head)
		r->corrupt++;
	r->bad_head = h;
	return false;
}

/* Bytes of the frame at r->at, its copy in scratch; 0 when there is nothing sound. A wrap mark is stepped over. */
static uint64_t copy_frame(struct gw_ring_reader *r, uint64_t head, struct gw_buf *scratch)
{
	uint64_t pos = r->at % r->size, need;
	uint32_t len;
	char *p;

	memcpy(&len, r->ring->data + pos, sizeof(len));
	if (len == gw_ring_wrap_mark) {
		if (head - r->at <= r->size - pos) /* nothing follows: not a mark that our writer made */
			return 0;
		r->at += r->size - pos;
		pos = 0;
		memcpy(&len, r->ring->data, sizeof(len));
	}
	if (len > GW_RING_MAX_PAYLOAD)
		return 0;
	need = gw_ring_frame_bytes(len);
	if (need > head - r->at || pos + need > r->size)
		return 0;
	p = gw_buf_room(scratch, need);
	if (!p)
		return 0;
	memcpy(p, r->ring->data + pos, need);
	gw_buf_commit(scratch, need);
	return need;
}

/* Puts our tail back when somebody else wrote it, so that a fresh writer finds its footing again. */
static void restore_tail(struct gw_ring_reader *r)
{
	if (atomic_load_explicit(&r->ring->tail, memory_order_relaxed) != r->tail)
		atomic_store_explicit(&r->ring->tail, r->tail, memory_order_release);
}

bool gw_ring_next(struct gw_ring_reader *r, struct gw_buf *scratch, struct gw_seg_record *out)
{
	uint64_t head, need;
	struct gw_seg_record rec;

	GW_REQUIRE(scratch->max >= GW_RING_MAX_FRAME);
	if (!read_head(r, &head) || head == r->at) {
		restore_tail(r);
		return false;
	}
	if (head - r->tail < r->at - r->tail) { /* it went back behind what we have read */
		r->corrupt++;
		r->at = head;
		return false;
	}
	gw_buf_clear(scratch, scratch->max);
	need = copy_frame(r, head, scratch);
	if (scratch->err == GW_E_NOMEM)
		return false; /* later */
	/* The copy is checked, with the length that was copied: the ring may have changed meanwhile. */
	if (need == 0 || gw_ring_frame_read(gw_buf_view(scratch), &rec) != need || rec.slot != r->slot) {
		r->corrupt++;
		r->at = head;
		return false;
	}
	r->at += need;
	*out = rec;
	return true;
}

void gw_ring_advance(struct gw_ring_reader *r, uint32_t durable_epoch, uint64_t durable_seq)
{
	atomic_store_explicit(&r->ring->durable_seq, durable_seq, memory_order_relaxed);
	atomic_store_explicit(&r->ring->durable_epoch, durable_epoch, memory_order_relaxed);
	r->tail = r->at;
	atomic_store_explicit(&r->ring->tail, r->tail, memory_order_release);
}
