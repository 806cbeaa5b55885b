/* A segment file by somebody else (RELIABILITY T34): the reader, the verifier and the cutter take any bytes. Rules that
 * hold for all of them are checked: what verifies reads back whole; the good part never grows past the first fault.
 *
 *   input: u8 flags | bytes. flags bit 0: the bytes come behind a good header, with magic and checksums of blocks made
 *   right, so that the checks behind them are reached too. */
#include <stdint.h>
#include <stdlib.h>
#include "lib/segment_impl.h"
#include "lib/text.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	check(gw_crypto_init() == GW_OK);
	return 0;
}

/* Magic, number, chain, hash and checksum of every block that fits. */
static void mend(struct gw_buf *b, struct gw_seg_writer *w)
{
	for (size_t at = GW_SEG_HEADER_BYTES; at + SEG_HEAD_BYTES + SEG_TAIL_BYTES <= b->n;) {
		uint8_t *p = (uint8_t *)b->p + at;
		size_t n = gw_seg_le32_read(b->p + at + 8) % (b->n - at), end;

		end = SEG_HEAD_BYTES + n;
		if (seg_block_bytes(n) > b->n - at)
			return;
		memcpy(p, "LGWB", 4);
		gw_seg_le32(p + 4, 1 + p[4] % 3u);
		gw_seg_le32(p + 8, (uint32_t)n);
		gw_seg_le64(p + 16, ++w->block_no);
		memcpy(p + 40, w->hash, 32);
		gw_seg_block_hash((char *)p, n, p + end);
		memcpy(w->hash, p + end, 32);
		gw_seg_le32(p + end + 32, gw_crc32c(0, p, end + 32));
		memset(p + end + SEG_TAIL_BYTES, 0, seg_block_bytes(n) - end - SEG_TAIL_BYTES);
		at += seg_block_bytes(n);
	}
}

static void count_span(void *ctx, const struct gw_seg_span *span)
{
	*(uint64_t *)ctx += span->last_seq - span->first_seq + 1;
}

static void read_all(struct gw_str bytes)
{
	struct gw_seg_verdict v;
	struct gw_seg_reader r;
	struct gw_seg_record rec;
	uint64_t n = 0, in_spans = 0;
	uint8_t key[65] = { 4 };
	bool before;
	size_t good = gw_seg_good_bytes(bytes, &before);

	gw_seg_verify(bytes, key, &v, count_span, &in_spans);
	check(good <= bytes.n);
	if (gw_seg_open(&r, bytes)) {
		check(v.err != GW_OK && good == 0);
		return;
	}
	while (gw_seg_next(&r, true, &rec)) {
		check(rec.body.n <= GW_SEG_MAX_FRAMES && rec.body.p >= bytes.p &&
		      rec.body.p + rec.body.n <= bytes.p + bytes.n);
		n++;
	}
	if (v.err) {
		check(v.what && v.bad_offset <= bytes.n);
	} else {
		check(r.is_end && n == v.n_records && in_spans == n && good == r.at);
	}
	check(gw_seg_open(&r, bytes) == GW_OK);
	gw_seg_skip_to(&r, (int64_t)n);
	while (gw_seg_next(&r, false, &rec))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_seg_info info = { .cls = GW_SEG_REQUEST };
	struct gw_seg_writer w;
	struct gw_buf b;

	if (size == 0)
		return 0;
	gw_buf_init(&b, 1 << 24);
	if (data[0] & 1)
		gw_seg_begin(&w, &info, &b);
	gw_buf_put(&b, data + 1, size - 1);
	if (data[0] & 1)
		mend(&b, &w);
	if (!b.err && b.p)
		read_all(gw_buf_view(&b));
	gw_buf_done(&b);
	return 0;
}
