/* Reading a segment. The bytes are hostile: a block counts only when its lengths fit the file, its checksum is right,
 * and it continues the chain. Reading stops at the first that does not. */
#include "lib/segment_impl.h"

#include "lib/msgpack.h"
#include "lib/text.h"

uint32_t gw_seg_le32_read(const char *at)
{
	const uint8_t *p = (const uint8_t *)at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t gw_seg_le64_read(const char *p)
{
	return (uint64_t)gw_seg_le32_read(p) | (uint64_t)gw_seg_le32_read(p + 4) << 32;
}

bool gw_seg_is_zero(struct gw_str s)
{
	/* Each byte equal to its neighbour, and the first one zero. */
	return s.n == 0 || (s.p[0] == 0 && memcmp(s.p, s.p + 1, s.n - 1) == 0);
}

const char *gw_seg_head_read(struct gw_str bytes, size_t at, struct seg_block *out)
{
	struct gw_str rest = gw_str_skip(bytes, at);
	uint32_t payload;

	if (rest.n < SEG_HEAD_BYTES)
		return "torn block";
	if (memcmp(rest.p, "LGWB", 4) != 0)
		return "block magic";
	out->kind = gw_seg_le32_read(rest.p + 4);
	if (out->kind < SEG_RECORDS || out->kind > SEG_FOOTER)
		return "block kind";
	payload = gw_seg_le32_read(rest.p + 8);
	if (payload > GW_SEG_MAX_FRAMES)
		return "block length";
	out->total = seg_block_bytes(payload);
	if (out->total > rest.n)
		return "torn block";
	out->n_records = gw_seg_le32_read(rest.p + 12);
	out->block_no = gw_seg_le64_read(rest.p + 16);
	out->first_us = (int64_t)gw_seg_le64_read(rest.p + 24);
	out->last_us = (int64_t)gw_seg_le64_read(rest.p + 32);
	out->prev_hash = (const uint8_t *)rest.p + 40;
	out->payload = gw_str(rest.p + SEG_HEAD_BYTES, payload);
	out->hash = (const uint8_t *)rest.p + SEG_HEAD_BYTES + payload;
	return NULL;
}

const char *gw_seg_block_read(struct gw_str bytes, size_t at, bool check_hash, struct seg_block *out)
{
	const char *what = gw_seg_head_read(bytes, at, out);
	const char *p = bytes.p + at;
	uint8_t hash[32];
	size_t n;

	if (what)
		return what;
	n = SEG_HEAD_BYTES + out->payload.n;
	if (gw_crc32c(0, p, n + 32) != gw_seg_le32_read(p + n + 32))
		return "block checksum";
	if (!gw_seg_is_zero(gw_str(p + n + SEG_TAIL_BYTES, out->total - n - SEG_TAIL_BYTES)))
		return "block padding";
	if (!check_hash)
		return NULL;
	gw_seg_block_hash(p, out->payload.n, hash);
	return memcmp(hash, out->hash, 32) == 0 ? NULL : "block hash";
}

bool gw_seg_frame_read(struct gw_str *frames, struct gw_seg_record *out)
{
	size_t n;

	if (frames->n < SEG_FRAME_BYTES)
		return false;
	n = gw_seg_le32_read(frames->p);
	if (n > frames->n - SEG_FRAME_BYTES || seg_round8(n) > frames->n - SEG_FRAME_BYTES)
		return false;
	out->slot = gw_seg_le32_read(frames->p + 4);
	out->epoch = gw_seg_le32_read(frames->p + 8);
	out->type = gw_seg_le32_read(frames->p + 12);
	out->seq = gw_seg_le64_read(frames->p + 16);
	out->body = gw_str(frames->p + SEG_FRAME_BYTES, n);
	*frames = gw_str_skip(*frames, SEG_FRAME_BYTES + seg_round8(n));
	return true;
}

static void skip_spans(struct gw_mp *r)
{
	uint32_t n = gw_mp_read_arr(r);

	for (uint32_t i = 0; i < n && !r->err; i++) {
		if (gw_mp_read_arr(r) != 4)
			r->err = GW_E_GARBLED;
		for (int k = 0; k < 4 && !r->err; k++)
			(void)gw_mp_read_u64(r);
	}
}

bool gw_seg_checkpoint_read(struct gw_str payload, struct seg_checkpoint *out)
{
	struct gw_mp r = gw_mp_reader(payload);
	uint32_t n = gw_mp_read_map(&r), key = 1;

	out->signature = GW_NIL;
	/* One byte of map head and the five pairs in their order: the signature is over exactly these bytes. */
	if (r.err || (n != 5 && n != 6) || r.at != (const uint8_t *)payload.p + 1)
		return false;
	out->pairs.p = payload.p + 1;
	for (; key <= 5 && !r.err; key++) {
		if (gw_mp_read_u64(&r) != key)
			return false;
		if (key == 1)
			out->block_no = gw_mp_read_u64(&r);
		else if (key == 2)
			out->hash = gw_mp_read_str(&r);
		else if (key == 3)
			skip_spans(&r);
		else if (key == 4)
			out->spend_nanousd = gw_mp_read_i64(&r);
		else
			out->n_records = gw_mp_read_u64(&r);
	}
	out->pairs.n = (size_t)((const char *)r.at - out->pairs.p);
	if (!r.err && n == 6) {
		if (gw_mp_read_u64(&r) != 6)
			return false;
		out->signature = gw_mp_read_str(&r);
		if (out->signature.n != 64)
			return false;
	}
	return !r.err && r.at == r.end && out->hash.n == 32;
}

enum gw_err gw_seg_open(struct gw_seg_reader *r, struct gw_str bytes)
{
	const char *h = bytes.p;
	struct gw_seg_reader n = { .bytes = bytes, .at = GW_SEG_HEADER_BYTES };

	if (bytes.n < GW_SEG_HEADER_BYTES || memcmp(h, "LGWA0002", 8) != 0 ||
	    gw_seg_le32_read(h + 8) != GW_SEG_HEADER_BYTES)
		return GW_E_CORRUPT;
	if (gw_crc32c(0, h, GW_SEG_HEADER_BYTES - 4) != gw_seg_le32_read(h + GW_SEG_HEADER_BYTES - 4))
		return GW_E_CORRUPT;
	n.info.cls = (enum gw_seg_class)gw_seg_le32_read(h + 12);
	if (n.info.cls != GW_SEG_REQUEST && n.info.cls != GW_SEG_ADMIN)
		return GW_E_CORRUPT;
	memcpy(n.info.node, h + 16, 16);
	n.info.segment_no = gw_seg_le64_read(h + 32);
	memcpy(n.info.prev_final_hash, h + 40, 32);
	n.info.created_us = (int64_t)gw_seg_le64_read(h + 72);
	memcpy(n.info.writer, h + 80, 16);
	memcpy(n.info.public_key, h + 96, 65);
	gw_sha256(gw_str(h, GW_SEG_HEADER_BYTES), n.hash);
	*r = n;
	return GW_OK;
}

/* End of the written part: nothing, or a block head's worth of the zeros that preallocation left. */
static bool is_at_end(const struct gw_seg_reader *r)
{
	struct gw_str rest = gw_str_skip(r->bytes, r->at);

	return gw_seg_is_zero(gw_str(rest.p, rest.n < SEG_HEAD_BYTES ? rest.n : SEG_HEAD_BYTES));
}

const char *gw_seg_chain_fault(const struct gw_seg_reader *r, const struct seg_block *b)
{
	if (r->saw_footer)
		return "data after the footer";
	if (b->block_no != r->block_no + 1)
		return "block number";
	return memcmp(b->prev_hash, r->hash, 32) == 0 ? NULL : "chain";
}

void gw_seg_step_over(struct gw_seg_reader *r, const struct seg_block *b)
{
	r->at += b->total;
	r->block_no = b->block_no;
	r->last_us = b->last_us;
	memcpy(r->hash, b->hash, 32);
	if (b->kind == SEG_FOOTER)
		r->saw_footer = true;
}

static bool stop(struct gw_seg_reader *r, const char *what)
{
	r->err = GW_E_CORRUPT;
	r->what = what;
	return false;
}

bool gw_seg_next(struct gw_seg_reader *r, bool check_hash, struct gw_seg_record *out)
{
	while (!r->err && r->frames.n == 0) {
		struct seg_block b;
		const char *what;

		r->is_end = is_at_end(r);
		if (r->is_end)
			return false;
		what = gw_seg_block_read(r->bytes, r->at, check_hash, &b);
		if (!what)
			what = gw_seg_chain_fault(r, &b);
		if (what)
			return stop(r, what);
		gw_seg_step_over(r, &b);
		if (b.kind == SEG_RECORDS)
			r->frames = b.payload;
	}
	if (r->err)
		return false;
	return gw_seg_frame_read(&r->frames, out) || stop(r, "record frame");
}

void gw_seg_skip_to(struct gw_seg_reader *r, int64_t from_us)
{
	struct seg_block b;

	/* Whatever looks odd is left to gw_seg_next, which says why. */
	while (!r->err && r->frames.n == 0 && !is_at_end(r) && !gw_seg_head_read(r->bytes, r->at, &b) &&
	       !gw_seg_chain_fault(r, &b) && b.last_us < from_us)
		gw_seg_step_over(r, &b);
}

bool gw_seg_frame_at(struct gw_str bytes, uint64_t offset, struct gw_seg_record *out)
{
	struct gw_str rest = gw_str_skip(bytes, offset < bytes.n ? (size_t)offset : bytes.n);

	return gw_seg_frame_read(&rest, out);
}
