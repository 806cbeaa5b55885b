#pragma once
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/err.h"

/* The durable trail: pure code over bytes; logger/ does the file work, admin/ and llmgwctl read with it.
 *
 *   file  seg-<class>-<created unix ms, 13 digits>-<writer 8 hex>-<no, 8 digits>.lga, preallocated, little endian
 *   HEADER 4096 B  "LGWA0002" | u32 header_bytes | u32 class | u8 node[16] | u64 segment_no | u8 prev_final_hash[32]
 *                  | i64 created_us | u8 writer[16] | u8 public_key[65] | zeros | u32 crc32c of all before it (last 4 bytes)
 *   BLOCK*         "LGWB" | u32 kind (1 records, 2 checkpoint, 3 footer) | u32 payload_bytes | u32 n_records | u64 block_no
 *                  | i64 first_us | i64 last_us | u8 prev_hash[32] | payload
 *                  | u8 hash[32] = SHA-256(the 72 bytes before the payload || SHA-256 of each KiB of the payload, the last as long
 *                    as what is left; none for an empty one)
 *                  | u32 crc32c(all before in the block), padded to 8
 *   records block payload: frames { u32 len | u32 slot | u32 epoch | u32 type | u64 seq | len bytes msgpack } padded to 8
 *   checkpoint payload: msgpack map { 1: block_no, 2: hash, 3: array of [slot, epoch, first_seq, last_seq], 4: spend nano-USD, 5: count,
 *                  6: signature r||s 64 bytes over SHA-256("llmgw/checkpoint/v1" || hash of the chain here || payload without 6) }
 *                  "payload without 6" = the map of the five pairs 1..5 in this order; 6 is the last pair when there is one
 *   footer         as a checkpoint, last block; its hash is the next segment's prev_final_hash
 *   The first block has number 1; padding is zero; after the last block there are zeros (preallocated) or nothing.
 * The chain: block.prev_hash = hash of the block before; the first block's prev_hash = SHA-256 of the header.
 * Every byte is hostile when reading: lengths are checked, a bad CRC ends the readable part. */
enum gw_seg_class { GW_SEG_REQUEST = 1, GW_SEG_ADMIN = 2 };
enum gw_rec_type { GW_REC_START = 1, GW_REC_END = 2, GW_REC_ADMIN = 3, GW_REC_DROPPED = 4 };
/* GW_SEG_MAX_FRAMES: most payload bytes of one block. */
enum { GW_SEG_HEADER_BYTES = 4096, GW_SEG_MAX_BLOCK = 1 << 20, GW_SEG_MAX_FRAMES = GW_SEG_MAX_BLOCK - 128 };

struct gw_seg_record {
	uint32_t slot, epoch, type;
	uint64_t seq;
	struct gw_str body; /* msgpack */
};
struct gw_seg_info {
	enum gw_seg_class cls;
	uint8_t node[16], writer[16], prev_final_hash[32], public_key[65];
	uint64_t segment_no;
	int64_t created_us;
};

/* --- writing: bytes to be appended come out in a buffer, the caller writes and syncs them --- */
struct gw_seg_writer {
	uint64_t block_no; /* of the last block written; 0 = only the header */
	uint8_t hash[32]; /* chain head */
	int64_t last_us; /* of the last records block; a checkpoint carries it */
};
/* A writer that goes on where a good file ends: r has read all of it (gw_seg_next until is_end). False after a footer. */
struct gw_seg_reader;
bool gw_seg_resume(struct gw_seg_writer *w, const struct gw_seg_reader *r);
/* Header bytes into out; starts the chain. */
void gw_seg_begin(struct gw_seg_writer *w, const struct gw_seg_info *info, struct gw_buf *out);
/* Frame of one record appended to `frames` (the payload under way). */
void gw_seg_frame(struct gw_buf *frames, const struct gw_seg_record *rec);
/* One records block made of frames; out->err = GW_E_TOO_BIG when they are more than GW_SEG_MAX_FRAMES bytes. */
void gw_seg_block(struct gw_seg_writer *w, struct gw_str frames, uint32_t n_records, int64_t first_us, int64_t last_us,
		  struct gw_buf *out);
struct gw_seg_span {
	uint32_t slot, epoch;
	uint64_t first_seq, last_seq;
};
/* Checkpoint or footer; signer may be NULL (unsigned until confd has handed out the key). */
GW_MUST enum gw_err gw_seg_checkpoint(struct gw_seg_writer *w, bool is_footer, const struct gw_seg_span *spans,
				      size_t n, int64_t spend_nanousd, uint64_t n_records,
				      const struct gw_signer *signer, struct gw_buf *out);

/* --- reading --- */
struct gw_seg_reader {
	struct gw_str bytes; /* the file, mapped or read */
	struct gw_seg_info info;
	size_t at; /* next block */
	uint64_t block_no; /* of the last block read */
	uint8_t hash[32]; /* its hash, as the block says; of the header before that */
	int64_t last_us; /* of the last block read */
	struct gw_str frames; /* rest of the current records block */
	bool is_end; /* clean end: zeros or end of file after whole blocks */
	bool saw_footer;
	enum gw_err
	    err; /* GW_E_CORRUPT at the first bad block; `at` names the offset. Reading a file that still grows may
			      * meet a half-written block: set err to GW_OK, give the new `bytes`, and go on from `at` */
	const char *what; /* with err: literal, "block checksum" */
};
GW_MUST enum gw_err gw_seg_open(struct gw_seg_reader *r, struct gw_str bytes);
/* Next record; false at the end or error. check_hash = verify SHA-256 of each block too (CRC always). */
bool gw_seg_next(struct gw_seg_reader *r, bool check_hash, struct gw_seg_record *out);
/* The frame at this offset of the file, as an index remembers it; nothing but its lengths is checked. */
bool gw_seg_frame_at(struct gw_str bytes, uint64_t offset, struct gw_seg_record *out);
/* Skip blocks that end before `from_us` without looking into them (a time range query); block times are read from the head. */
void gw_seg_skip_to(struct gw_seg_reader *r, int64_t from_us);

/* Whole-file verification: chain, CRCs, seq continuity inside the file, checkpoint signatures. */
struct gw_seg_verdict {
	enum gw_err err;
	size_t bad_offset;
	uint64_t bad_block; /* number it has or should have; 0 = the header */
	const char *what; /* literal: "block hash", "missing sequence", "signature", ... */
	uint64_t n_blocks, n_records, n_checkpoints, n_unsigned;
	uint8_t final_hash[32];
	bool is_closed; /* has a footer */
	int64_t spend_nanousd; /* of the last checkpoint */
};
/* err is GW_OK or GW_E_CORRUPT (bad_offset, bad_block, what tell the first fault; the counts are of what lies before it), or
 * GW_E_NOMEM. A file cut exactly after a block is whole but not closed: only the next file or an anchor can tell.
 * public_key NULL: signatures are not checked. Spans (slot, epoch → first..last seq) go to the callback. */
typedef void gw_seg_span_fn(void *ctx, const struct gw_seg_span *span);
void gw_seg_verify(struct gw_str bytes, const uint8_t *public_key, struct gw_seg_verdict *v, gw_seg_span_fn *fn,
		   void *ctx);
/* Bytes that are whole and good, for cutting a torn tail: offset after the last good block. *before_checkpoint is set
 * when a bad block lies before a later good checkpoint (tampering, never cut). A writer therefore syncs what it has
 * appended before it appends a checkpoint. 0: the header is bad. */
size_t gw_seg_good_bytes(struct gw_str bytes, bool *before_checkpoint);
