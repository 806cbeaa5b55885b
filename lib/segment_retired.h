#pragma once
#include "lib/msgpack.h"
#include "lib/segment.h"

/* What is left of segments that retention has removed: one file per class beside the segments, signed as a whole, so that the chain of those
 * that stay still has a beginning that nobody can make up. Pure code over bytes, as lib/segment.h.
 *
 *   file  retired-<class>.lgt, replaced as a whole (written beside, synced, renamed), little endian
 *   "LGWR0001" | u32 class | u32 payload_bytes | payload | u8 signature[64] over SHA-256("llmgw/retired/v1" || all before it)
 *              | u32 crc32c of all before
 *   payload: msgpack array of tombstones, oldest first; a tombstone is an array:
 *      [ n_segments, first_no, last_no, name of the last, prev_final_hash of the first, final hash of the last, [further hashes that a
 *        segment still there continues], n_blocks, n_records, bytes, first_us, last_us, retired_us, reason, spend nano-USD,
 *        [[slot, epoch, first_seq, last_seq], ...] ]
 *
 * One tombstone is one segment, until there are GW_RETIRED_MAX: then the two oldest become one. So the file has a ceiling. */
enum { GW_RETIRED_MAX = 1024, GW_RETIRED_LINKS = 64, GW_RETIRED_SPANS = 256, GW_RETIRED_BYTES = 8 << 20 };
enum gw_retired_why { GW_RETIRED_AGE = 1, GW_RETIRED_SIZE = 2, GW_RETIRED_WHYS };
const char *gw_retired_why_name(uint64_t why); /* "age", "size"; "unknown" */
const char *gw_retired_file(enum gw_seg_class cls); /* its name in the folder */

struct gw_retired {
	uint64_t n_segments, first_no, last_no;
	struct gw_str name;
	uint8_t prev_hash[32], final_hash[32];
	uint64_t n_blocks, n_records, bytes;
	int64_t first_us, last_us, retired_us;
	uint64_t why;
	int64_t spend_nanousd;
	uint32_t n_links, n_spans;
	struct gw_mp links, spans; /* to be read with the two functions below */
	const uint8_t (*link)[32]; /* for writing: used when not NULL, else `links` is copied */
	const struct gw_seg_span *span; /* the same */
};
/* The next hash or span of a tombstone that was read. */
const uint8_t *gw_retired_link(struct gw_mp *links);
bool gw_retired_span(struct gw_mp *spans, struct gw_seg_span *out);

struct gw_retired_reader {
	struct gw_mp at;
	uint32_t left;
};
/* Checks the whole file: GW_E_CORRUPT with *what set (a literal) when it is not one, or (public_key given) nobody with the key signed it.
 * After GW_OK gw_retired_next gives each tombstone. */
GW_MUST enum gw_err gw_retired_open(struct gw_retired_reader *r, struct gw_str bytes, enum gw_seg_class cls,
				    const uint8_t *public_key, const char **what);
bool gw_retired_next(struct gw_retired_reader *r, struct gw_retired *out);

/* A hash that must not be forgotten: a segment or tombstone behind continues it. */
typedef bool gw_retired_needed_fn(void *ctx, const uint8_t hash[32]);
/* The file `old` (empty: there was none) with one more tombstone, signed anew. Old ones beyond the ceiling are folded; `needed` says which
 * of their hashes are kept. GW_E_CORRUPT: old is not what this signer made. */
GW_MUST enum gw_err gw_retired_add(struct gw_str old, enum gw_seg_class cls, const struct gw_retired *one,
				   const struct gw_signer *signer, gw_retired_needed_fn *needed, void *ctx,
				   struct gw_buf *out);
