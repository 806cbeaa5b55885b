/* Writing a segment: header, records blocks, checkpoints and the footer come out as bytes in a buffer. The layout is in
 * lib/segment.h; the caller writes and syncs. */
#include "lib/segment_impl.h"

#include "lib/msgpack.h"
#include "lib/sha256.h"
#include "lib/text.h"

/* Offsets in the header. */
enum {
	AT_BYTES = 8,
	AT_CLASS = 12,
	AT_NODE = 16,
	AT_NO = 32,
	AT_PREV = 40,
	AT_CREATED = 72,
	AT_WRITER = 80,
	AT_KEY = 96
};

void gw_seg_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void gw_seg_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void gw_seg_begin(struct gw_seg_writer *w, const struct gw_seg_info *info, struct gw_buf *out)
{
	uint8_t h[GW_SEG_HEADER_BYTES] = { 0 };

	memcpy(h, "LGWA0002", 8);
	gw_seg_le32(h + AT_BYTES, GW_SEG_HEADER_BYTES);
	gw_seg_le32(h + AT_CLASS, (uint32_t)info->cls);
	memcpy(h + AT_NODE, info->node, 16);
	gw_seg_le64(h + AT_NO, info->segment_no);
	memcpy(h + AT_PREV, info->prev_final_hash, 32);
	gw_seg_le64(h + AT_CREATED, (uint64_t)info->created_us);
	memcpy(h + AT_WRITER, info->writer, 16);
	memcpy(h + AT_KEY, info->public_key, 65);
	gw_seg_le32(h + GW_SEG_HEADER_BYTES - 4, gw_crc32c(0, h, GW_SEG_HEADER_BYTES - 4));
	gw_buf_put(out, h, sizeof(h));
	w->block_no = 0;
	w->last_us = 0;
	gw_sha256(gw_str((const char *)h, sizeof(h)), w->hash);
}

bool gw_seg_resume(struct gw_seg_writer *w, const struct gw_seg_reader *r)
{
	if (r->saw_footer || r->err || !r->is_end)
		return false;
	w->block_no = r->block_no;
	w->last_us = r->last_us;
	memcpy(w->hash, r->hash, 32);
	return true;
}

static const char zeros[8];

void gw_seg_frame(struct gw_buf *frames, const struct gw_seg_record *rec)
{
	uint8_t head[SEG_FRAME_BYTES];

	/* A length that does not fit the field could be read as another frame's bytes. */
	if (rec->body.n > GW_SEG_MAX_FRAMES - SEG_FRAME_BYTES) {
		frames->err = GW_E_TOO_BIG;
		return;
	}
	gw_seg_le32(head, (uint32_t)rec->body.n);
	gw_seg_le32(head + 4, rec->slot);
	gw_seg_le32(head + 8, rec->epoch);
	gw_seg_le32(head + 12, rec->type);
	gw_seg_le64(head + 16, rec->seq);
	gw_buf_put(frames, head, sizeof(head));
	gw_buf_puts(frames, rec->body);
	gw_buf_put(frames, zeros, seg_round8(rec->body.n) - rec->body.n);
}

void gw_seg_block_hash(const char *block, size_t payload_bytes, uint8_t out[32])
{
	gw_sha256_leaves(gw_str(block, SEG_HEAD_BYTES), gw_str(block + SEG_HEAD_BYTES, payload_bytes), out);
}

/* Appends the block and moves the chain on; on failure neither. */
static void put_block(struct gw_seg_writer *w, uint32_t kind, struct gw_str payload, uint32_t n_records,
		      int64_t first_us, int64_t last_us, struct gw_buf *out)
{
	size_t total = seg_block_bytes(payload.n), n = SEG_HEAD_BYTES + payload.n;
	uint8_t *b;

	if (payload.n > GW_SEG_MAX_FRAMES) {
		out->err = GW_E_TOO_BIG;
		return;
	}
	b = (uint8_t *)gw_buf_room(out, total);
	if (!b)
		return;
	memcpy(b, "LGWB", 4);
	gw_seg_le32(b + 4, kind);
	gw_seg_le32(b + 8, (uint32_t)payload.n);
	gw_seg_le32(b + 12, n_records);
	gw_seg_le64(b + 16, w->block_no + 1);
	gw_seg_le64(b + 24, (uint64_t)first_us);
	gw_seg_le64(b + 32, (uint64_t)last_us);
	memcpy(b + 40, w->hash, 32);
	if (payload.n)
		memcpy(b + SEG_HEAD_BYTES, payload.p, payload.n);
	gw_seg_block_hash((const char *)b, payload.n, b + n);
	memcpy(w->hash, b + n, 32);
	gw_seg_le32(b + n + 32, gw_crc32c(0, b, n + 32));
	memset(b + n + SEG_TAIL_BYTES, 0, total - n - SEG_TAIL_BYTES);
	gw_buf_commit(out, total);
	w->block_no++;
	w->last_us = last_us;
}

void gw_seg_block(struct gw_seg_writer *w, struct gw_str frames, uint32_t n_records, int64_t first_us, int64_t last_us,
		  struct gw_buf *out)
{
	put_block(w, SEG_RECORDS, frames, n_records, first_us, last_us, out);
}

void gw_seg_signed_hash(const uint8_t chain[32], struct gw_str pairs, uint8_t out[32])
{
	static const char tag[] = "llmgw/checkpoint/v1";
	struct gw_sha256_ctx c;

	gw_sha256_start(&c);
	gw_sha256_add(&c, tag, sizeof(tag) - 1);
	gw_sha256_add(&c, chain, 32);
	gw_sha256_add(&c, "\x85", 1); /* msgpack: map of 5 pairs */
	gw_sha256_add(&c, pairs.p, pairs.n);
	gw_sha256_end(&c, out);
}

static void put_pairs(struct gw_buf *b, const struct gw_seg_writer *w, const struct gw_seg_span *spans, size_t n,
		      int64_t spend_nanousd, uint64_t n_records)
{
	gw_mp_u64(b, 1);
	gw_mp_u64(b, w->block_no);
	gw_mp_u64(b, 2);
	gw_mp_bin(b, gw_str((const char *)w->hash, 32));
	gw_mp_u64(b, 3);
	gw_mp_arr(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		gw_mp_arr(b, 4);
		gw_mp_u64(b, spans[i].slot);
		gw_mp_u64(b, spans[i].epoch);
		gw_mp_u64(b, spans[i].first_seq);
		gw_mp_u64(b, spans[i].last_seq);
	}
	gw_mp_u64(b, 4);
	gw_mp_i64(b, spend_nanousd);
	gw_mp_u64(b, 5);
	gw_mp_u64(b, n_records);
}

enum gw_err gw_seg_checkpoint(struct gw_seg_writer *w, bool is_footer, const struct gw_seg_span *spans, size_t n,
			      int64_t spend_nanousd, uint64_t n_records, const struct gw_signer *signer,
			      struct gw_buf *out)
{
	uint8_t hash[32], sig[64];
	struct gw_buf b;
	enum gw_err e;

	gw_buf_init(&b, GW_SEG_MAX_FRAMES);
	gw_mp_map(&b, signer ? 6 : 5);
	put_pairs(&b, w, spans, n, spend_nanousd, n_records);
	e = b.err;
	if (!e && signer) {
		gw_seg_signed_hash(w->hash, gw_str_skip(gw_buf_view(&b), 1), hash);
		e = gw_sign(signer, hash, sig);
		gw_mp_u64(&b, 6);
		gw_mp_bin(&b, gw_str((const char *)sig, sizeof(sig)));
	}
	if (!e && !b.err)
		put_block(w, is_footer ? SEG_FOOTER : SEG_CHECKPOINT, gw_buf_view(&b), 0, w->last_us, w->last_us, out);
	e = e ? e : b.err ? b.err : out->err;
	gw_buf_done(&b);
	return e;
}
