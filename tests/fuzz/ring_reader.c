/* The logger's reader of a ring that a compromised worker wrote (RELIABILITY T36): any bytes, any head and tail, changed
 * while it reads. It must stay inside the ring and end after a bounded number of records.
 *
 *   input: u8 flags | u64 head | u64 tail | u16 at, u8 value (a later write) ... | frames
 *   flags bit 0: the CRCs are made right, so that the checks behind them are reached too
 *         bit 1: head and tail are near each other */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/buf.h"
#include "lib/text.h"
#include "shm/ring_frame.h"

enum { RING = GW_RING_MIN_BYTES, HEAD_BYTES = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Walks the input as frames and puts the CRC where a writer would. */
static void fix_crcs(uint8_t *p, size_t n)
{
	struct gw_ring_frame f;

	for (size_t at = 0; at + sizeof(f) <= n;) {
		uint64_t need;

		memcpy(&f, p + at, sizeof(f));
		if (f.len > GW_RING_MAX_PAYLOAD)
			return;
		need = gw_ring_frame_bytes(f.len);
		if (need > n - at)
			return;
		f.type = f.type % 5;
		f.zero = 0;
		memcpy(p + at, &f, sizeof(f));
		f.crc = gw_crc32c(0, p + at + 8, sizeof(f) - 8 + f.len);
		memcpy(p + at, &f, sizeof(f));
		at += need;
	}
}

static unsigned drain(struct gw_ring_reader *r, struct gw_buf *scratch)
{
	struct gw_seg_record rec;
	unsigned n = 0;
	volatile uint8_t sink = 0;

	while (gw_ring_next(r, scratch, &rec)) {
		check(rec.body.n <= GW_RING_MAX_PAYLOAD && rec.slot == r->slot && rec.seq != 0);
		for (size_t i = 0; i < rec.body.n; i += 97)
			sink ^= (uint8_t)rec.body.p[i];
		check(++n <= RING / sizeof(struct gw_ring_frame));
	}
	check(r->at - r->tail <= RING);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gw_ring_shared *ring;
	static struct gw_buf scratch;
	struct gw_ring_reader r;
	struct gw_ring_writer w;
	struct gw_seg_record rec;
	uint64_t head, tail, seq;
	uint16_t at;

	if (!ring) {
		ring = aligned_alloc(64, sizeof(*ring) + RING);
		check(ring && gw_ring_remember(ring, RING) == GW_OK);
		gw_buf_init(&scratch, GW_RING_MAX_FRAME);
	}
	if (size < HEAD_BYTES)
		return 0;
	memset(ring, 0, sizeof(*ring) + RING);
	memcpy(&head, data + 1, 8);
	memcpy(&tail, data + 9, 8);
	memcpy(&at, data + 17, 2);
	memcpy(ring->data, data + HEAD_BYTES, size - HEAD_BYTES < RING ? size - HEAD_BYTES : RING);
	if (data[0] & 1)
		fix_crcs(ring->data, RING);
	if (data[0] & 2) {
		tail = tail % (2 * RING) & ~7ULL;
		head = tail + (head % (RING + 64) & ~7ULL);
	}
	atomic_store(&ring->tail, tail);
	gw_ring_read_start(&r, ring, 0);
	atomic_store(&ring->head, head);
	drain(&r, &scratch);
	ring->data[at % RING] = data[19];
	atomic_store(&ring->head, head + at);
	drain(&r, &scratch);
	gw_ring_advance(&r, 1, 1);
	gw_ring_frame_read(gw_str((const char *)data + HEAD_BYTES, size - HEAD_BYTES), &rec);
	/* A new worker on this ring is heard, once the logger has been twice round (the first finds the junk, and a head that
	 * could not be may have become one that can when the tail moved). */
	gw_ring_start(&w, ring, 0, 2);
	for (unsigned i = 0; i < 2; i++) {
		(void)!gw_ring_put(&w, GW_REC_START, GW_LIT("first"), &seq);
		drain(&r, &scratch);
		gw_ring_advance(&r, 2, 1);
	}
	check(gw_ring_put(&w, GW_REC_START, GW_LIT("second"), &seq) == GW_OK);
	check(gw_ring_next(&r, &scratch, &rec) && gw_str_eq(rec.body, GW_LIT("second")));
	return 0;
}
