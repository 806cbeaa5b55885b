#pragma once
#include "lib/segment.h"

/* What the segment files share: little-endian words, the layout of a block, and reading one block with all its
 * checks. */
enum {
	SEG_HEAD_BYTES = 72, /* block before its payload */
	SEG_TAIL_BYTES = 36, /* hash and checksum */
	SEG_FRAME_BYTES = 24, /* frame before its body */
	SEG_RECORDS = 1,
	SEG_CHECKPOINT = 2,
	SEG_FOOTER = 3,
};

struct seg_block {
	uint32_t kind, n_records;
	uint64_t block_no;
	int64_t first_us, last_us;
	const uint8_t *prev_hash, *hash;
	struct gw_str payload;
	size_t total; /* bytes up to the next block */
};
struct seg_checkpoint {
	uint64_t block_no, n_records;
	int64_t spend_nanousd;
	struct gw_str hash; /* 32 bytes */
	struct gw_str signature; /* 64 bytes, or n = 0 */
	struct gw_str pairs; /* encoded pairs 1..5 */
};

void gw_seg_le32(uint8_t *p, uint32_t v);
void gw_seg_le64(uint8_t *p, uint64_t v);
uint32_t gw_seg_le32_read(const char *p);
uint64_t gw_seg_le64_read(const char *p);

static inline size_t seg_round8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}
static inline size_t seg_block_bytes(size_t payload)
{
	return seg_round8(SEG_HEAD_BYTES + payload + SEG_TAIL_BYTES);
}

bool gw_seg_is_zero(struct gw_str s);
/* Hash of a block: its head, then the hashes of its payload's leaves. */
void gw_seg_block_hash(const char *block, size_t payload_bytes, uint8_t out[32]);
/* The head alone, lengths checked against the file. NULL when good, else what is wrong. */
const char *gw_seg_head_read(struct gw_str bytes, size_t at, struct seg_block *out);
/* The whole block: checksum and padding, and with check_hash its SHA-256. Not the chain. */
const char *gw_seg_block_read(struct gw_str bytes, size_t at, bool check_hash, struct seg_block *out);
/* Does the block go on where r stands? NULL when it does; and moving r behind it. */
const char *gw_seg_chain_fault(const struct gw_seg_reader *r, const struct seg_block *b);
void gw_seg_step_over(struct gw_seg_reader *r, const struct seg_block *b);
/* Takes one frame off the front of frames; false when it does not fit. */
bool gw_seg_frame_read(struct gw_str *frames, struct gw_seg_record *out);
bool gw_seg_checkpoint_read(struct gw_str payload, struct seg_checkpoint *out);
/* What a checkpoint's signature is over. */
void gw_seg_signed_hash(const uint8_t chain[32], struct gw_str pairs, uint8_t out[32]);
