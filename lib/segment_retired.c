/* Tombstones of removed segments: reading, adding one, folding the oldest. The layout is in lib/segment_retired.h; the caller does the file
 * work. Every byte is hostile when reading. */
#include "lib/segment_retired.h"

#include "lib/segment_impl.h"
#include "lib/sha256.h"
#include "lib/text.h"

enum { HEAD = 16, TAIL = 64 + 4, FIELDS = 16, MAX_SLOT = 256, NAME_MAX_BYTES = 95 };

const char *gw_retired_why_name(uint64_t why)
{
	return why == GW_RETIRED_AGE ? "age" : why == GW_RETIRED_SIZE ? "size" : "unknown";
}

const char *gw_retired_file(enum gw_seg_class cls)
{
	return cls == GW_SEG_REQUEST ? "retired-request.lgt" : "retired-admin.lgt";
}

static void signed_hash(struct gw_str head_and_payload, uint8_t out[32])
{
	static const char tag[] = "llmgw/retired/v1";
	struct gw_sha256_ctx c;

	gw_sha256_start(&c);
	gw_sha256_add(&c, tag, sizeof(tag) - 1);
	gw_sha256_add(&c, head_and_payload.p, head_and_payload.n);
	gw_sha256_end(&c, out);
}

/* --- reading --- */
const uint8_t *gw_retired_link(struct gw_mp *links)
{
	struct gw_str s = gw_mp_read_str(links);

	if (links->err || s.n != 32) {
		links->err = GW_E_GARBLED;
		return NULL;
	}
	return (const uint8_t *)s.p;
}

bool gw_retired_span(struct gw_mp *r, struct gw_seg_span *out)
{
	if (gw_mp_read_arr(r) != 4)
		return false;
	out->slot = (uint32_t)gw_mp_read_u64(r);
	out->epoch = (uint32_t)gw_mp_read_u64(r);
	out->first_seq = gw_mp_read_u64(r);
	out->last_seq = gw_mp_read_u64(r);
	return !r->err;
}

static bool read_hash(struct gw_mp *r, uint8_t out[32])
{
	struct gw_str s = gw_mp_read_str(r);

	if (r->err || s.n != 32)
		return false;
	memcpy(out, s.p, 32);
	return true;
}

static bool read_links(struct gw_mp *r, struct gw_retired *t)
{
	t->n_links = gw_mp_read_arr(r);
	t->links = *r;
	for (uint32_t i = 0; i < t->n_links && !r->err; i++)
		if (!gw_retired_link(r))
			return false;
	return !r->err && t->n_links <= GW_RETIRED_LINKS;
}

static bool read_spans(struct gw_mp *r, struct gw_retired *t)
{
	struct gw_seg_span s;

	t->n_spans = gw_mp_read_arr(r);
	t->spans = *r;
	for (uint32_t i = 0; i < t->n_spans && !r->err; i++)
		if (!gw_retired_span(r, &s))
			return false;
	return !r->err && t->n_spans <= GW_RETIRED_SPANS;
}

static bool read_one(struct gw_mp *r, struct gw_retired *t)
{
	*t = (struct gw_retired){ 0 };
	if (gw_mp_read_arr(r) != FIELDS)
		return false;
	t->n_segments = gw_mp_read_u64(r);
	t->first_no = gw_mp_read_u64(r);
	t->last_no = gw_mp_read_u64(r);
	t->name = gw_mp_read_str(r);
	if (t->name.n > NAME_MAX_BYTES || !read_hash(r, t->prev_hash) || !read_hash(r, t->final_hash) ||
	    !read_links(r, t))
		return false;
	t->n_blocks = gw_mp_read_u64(r);
	t->n_records = gw_mp_read_u64(r);
	t->bytes = gw_mp_read_u64(r);
	t->first_us = gw_mp_read_i64(r);
	t->last_us = gw_mp_read_i64(r);
	t->retired_us = gw_mp_read_i64(r);
	t->why = gw_mp_read_u64(r);
	t->spend_nanousd = gw_mp_read_i64(r);
	return read_spans(r, t) && t->n_segments > 0 && t->first_no <= t->last_no;
}

static const char *check_frame(struct gw_str b, enum gw_seg_class cls, const uint8_t *public_key)
{
	uint8_t hash[32];

	if (b.n < HEAD + TAIL || b.n > GW_RETIRED_BYTES || memcmp(b.p, "LGWR0001", 8) != 0 ||
	    gw_seg_le32_read(b.p + 12) != b.n - HEAD - TAIL)
		return "not a file of tombstones";
	if (gw_crc32c(0, b.p, b.n - 4) != gw_seg_le32_read(b.p + b.n - 4))
		return "checksum";
	if (gw_seg_le32_read(b.p + 8) != (uint32_t)cls)
		return "tombstones of another class";
	if (!public_key)
		return NULL;
	signed_hash(gw_str(b.p, b.n - TAIL), hash);
	return gw_verify(public_key, hash, (const uint8_t *)b.p + b.n - TAIL) ? NULL : "signature";
}

enum gw_err gw_retired_open(struct gw_retired_reader *r, struct gw_str b, enum gw_seg_class cls, const uint8_t *key,
			    const char **what)
{
	struct gw_retired_reader look;
	struct gw_retired t;

	*r = (struct gw_retired_reader){ 0 };
	*what = check_frame(b, cls, key);
	if (*what)
		return GW_E_CORRUPT;
	look.at = gw_mp_reader(gw_str(b.p + HEAD, b.n - HEAD - TAIL));
	look.left = gw_mp_read_arr(&look.at);
	*r = look;
	while (look.left > 0 && gw_retired_next(&look, &t))
		;
	if (look.left || look.at.err || look.at.at != look.at.end || r->left > GW_RETIRED_MAX) {
		*r = (struct gw_retired_reader){ 0 };
		*what = "tombstone";
		return GW_E_CORRUPT;
	}
	return GW_OK;
}

bool gw_retired_next(struct gw_retired_reader *r, struct gw_retired *out)
{
	if (r->left == 0 || r->at.err || !read_one(&r->at, out))
		return false;
	r->left--;
	return true;
}

/* --- writing --- */
static void put_hash(struct gw_buf *b, const uint8_t h[32])
{
	gw_mp_bin(b, gw_str((const char *)h, 32));
}

static void put_spans(struct gw_buf *b, const struct gw_retired *t)
{
	struct gw_mp in = t->spans;
	struct gw_seg_span s;

	gw_mp_arr(b, t->n_spans);
	for (uint32_t i = 0; i < t->n_spans; i++) {
		if (t->span)
			s = t->span[i];
		else if (!gw_retired_span(&in, &s))
			return;
		gw_mp_arr(b, 4);
		gw_mp_u64(b, s.slot);
		gw_mp_u64(b, s.epoch);
		gw_mp_u64(b, s.first_seq);
		gw_mp_u64(b, s.last_seq);
	}
}

static void put_one(struct gw_buf *b, const struct gw_retired *t)
{
	struct gw_mp in = t->links;

	gw_mp_arr(b, FIELDS);
	gw_mp_u64(b, t->n_segments);
	gw_mp_u64(b, t->first_no);
	gw_mp_u64(b, t->last_no);
	gw_mp_str(b, t->name);
	put_hash(b, t->prev_hash);
	put_hash(b, t->final_hash);
	gw_mp_arr(b, t->n_links);
	for (uint32_t i = 0; i < t->n_links; i++) {
		const uint8_t *h = t->link ? t->link[i] : gw_retired_link(&in);

		if (h)
			put_hash(b, h);
	}
	gw_mp_u64(b, t->n_blocks);
	gw_mp_u64(b, t->n_records);
	gw_mp_u64(b, t->bytes);
	gw_mp_i64(b, t->first_us);
	gw_mp_i64(b, t->last_us);
	gw_mp_i64(b, t->retired_us);
	gw_mp_u64(b, t->why);
	gw_mp_i64(b, t->spend_nanousd);
	put_spans(b, t);
}

/* Of each slot the newest epoch: an older one does not go on this long after. */
static void merge_spans(const struct gw_retired *t, struct gw_seg_span newest[MAX_SLOT])
{
	struct gw_mp in = t->spans;
	struct gw_seg_span s;

	for (uint32_t i = 0; i < t->n_spans && gw_retired_span(&in, &s); i++) {
		struct gw_seg_span *n = &newest[s.slot % MAX_SLOT];

		if (n->last_seq && n->epoch == s.epoch)
			n->last_seq = s.last_seq;
		else if (!n->last_seq || s.epoch > n->epoch)
			*n = s;
	}
}

struct keep {
	uint8_t link[GW_RETIRED_LINKS][32];
	uint32_t n;
	gw_retired_needed_fn *needed;
	void *ctx;
};

static void keep_link(struct keep *k, const uint8_t *h)
{
	if (h && k->n < GW_RETIRED_LINKS && k->needed(k->ctx, h))
		memcpy(k->link[k->n++], h, 32);
}

static void fold(const struct gw_retired *a, const struct gw_retired *b, struct keep *k, struct gw_buf *out)
{
	struct gw_seg_span newest[MAX_SLOT] = { 0 };
	struct gw_retired t = *b;
	struct gw_mp links = a->links;

	for (uint32_t i = 0; i < a->n_links; i++)
		keep_link(k, gw_retired_link(&links));
	keep_link(k, a->final_hash);
	links = b->links;
	for (uint32_t i = 0; i < b->n_links; i++)
		keep_link(k, gw_retired_link(&links));
	merge_spans(a, newest);
	merge_spans(b, newest);
	t.n_segments += a->n_segments;
	t.first_no = a->first_no < b->first_no ? a->first_no : b->first_no;
	t.last_no = a->last_no > b->last_no ? a->last_no : b->last_no;
	memcpy(t.prev_hash, a->prev_hash, 32);
	t.n_blocks += a->n_blocks;
	t.n_records += a->n_records;
	t.bytes += a->bytes;
	t.first_us = a->first_us < b->first_us ? a->first_us : b->first_us;
	t.last_us = a->last_us > b->last_us ? a->last_us : b->last_us;
	if (__builtin_add_overflow(t.spend_nanousd, a->spend_nanousd, &t.spend_nanousd))
		t.spend_nanousd = a->spend_nanousd > 0 ? INT64_MAX : INT64_MIN;
	t.link = (const uint8_t(*)[32])k->link;
	t.n_links = k->n;
	t.n_spans = 0;
	for (int i = 0; i < MAX_SLOT; i++) /* packed to the front */
		if (newest[i].last_seq)
			newest[t.n_spans++] = newest[i];
	t.span = newest;
	put_one(out, &t);
}

/* The old tombstones, with the oldest two as one when there is no room for another. */
static void copy_old(struct gw_retired_reader *r, struct keep *k, struct gw_buf *b)
{
	struct gw_retired x, y;

	gw_mp_arr(b, r->left + 1 - (r->left >= GW_RETIRED_MAX));
	if (r->left >= GW_RETIRED_MAX && gw_retired_next(r, &x) && gw_retired_next(r, &y))
		fold(&x, &y, k, b);
	while (gw_retired_next(r, &x))
		put_one(b, &x);
}

enum gw_err gw_retired_add(struct gw_str old, enum gw_seg_class cls, const struct gw_retired *one,
			   const struct gw_signer *signer, gw_retired_needed_fn *needed, void *ctx, struct gw_buf *out)
{
	struct gw_retired_reader r = { 0 };
	struct keep k = { .needed = needed, .ctx = ctx };
	uint8_t key[65], hash[32], sig[64], word[4], *p;
	const char *what;
	enum gw_err e;

	gw_signer_public(signer, key);
	if (old.n && (e = gw_retired_open(&r, old, cls, key, &what)) != GW_OK)
		return e;
	gw_buf_clear(out, GW_RETIRED_BYTES);
	gw_buf_put(out, "LGWR0001\0\0\0\0\0\0\0\0", HEAD);
	copy_old(&r, &k, out);
	put_one(out, one);
	if (out->err)
		return out->err;
	p = (uint8_t *)out->p;
	gw_seg_le32(p + 8, (uint32_t)cls);
	gw_seg_le32(p + 12, (uint32_t)(out->n - HEAD));
	signed_hash(gw_buf_view(out), hash);
	e = gw_sign(signer, hash, sig);
	if (e)
		return e;
	gw_buf_put(out, sig, sizeof(sig));
	gw_seg_le32(word, gw_crc32c(0, out->p, out->n));
	gw_buf_put(out, word, 4);
	return out->err;
}
