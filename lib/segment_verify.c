/* Verifying a whole segment and finding where a torn one is still good. Needs only the file and the public key. */
#include "lib/segment_impl.h"

/* (slot, epoch) -> sequences seen: open addressing, filled to a half at most. A file with more writers than that is
 * not one of ours. */
enum { N_CELLS = 8192, MAX_SPANS = N_CELLS / 2 };
struct cell {
	struct gw_seg_span span;
	bool is_used;
};

struct check {
	struct gw_seg_reader r; /* where we are: at, block_no, hash, saw_footer */
	const uint8_t *public_key;
	struct gw_seg_verdict *v;
	struct cell *cells;
	size_t n_spans;
};

static struct cell *find_cell(struct check *c, uint32_t slot, uint32_t epoch)
{
	uint64_t h = ((uint64_t)slot << 32 | epoch) * 0x9e3779b97f4a7c15u;

	for (size_t i = (size_t)(h >> 51);; i = (i + 1) % N_CELLS) {
		struct cell *x = &c->cells[i % N_CELLS];

		if (!x->is_used || (x->span.slot == slot && x->span.epoch == epoch))
			return x;
	}
}

static const char *count_record(struct check *c, const struct gw_seg_record *rec)
{
	struct cell *x = find_cell(c, rec->slot, rec->epoch);

	if (!x->is_used) {
		if (c->n_spans == MAX_SPANS)
			return "too many writers";
		c->n_spans++;
		*x = (struct cell){ { rec->slot, rec->epoch, rec->seq, rec->seq }, true };
		return NULL;
	}
	if (rec->seq <= x->span.last_seq)
		return "repeated sequence";
	if (rec->seq != x->span.last_seq + 1)
		return "missing sequence";
	x->span.last_seq = rec->seq;
	return NULL;
}

static const char *check_records(struct check *c, const struct seg_block *b)
{
	struct gw_str frames = b->payload;
	struct gw_seg_record rec;
	uint64_t n = 0;

	while (frames.n > 0) {
		const char *what;

		if (!gw_seg_frame_read(&frames, &rec))
			return "record frame";
		what = count_record(c, &rec);
		if (what)
			return what;
		n++;
	}
	if (n != b->n_records)
		return "record count";
	c->v->n_records += n;
	return NULL;
}

static const char *check_checkpoint(struct check *c, const struct seg_block *b)
{
	struct seg_checkpoint k = { 0 };
	uint8_t hash[32];

	if (b->n_records != 0 || !gw_seg_checkpoint_read(b->payload, &k))
		return "checkpoint";
	if (k.block_no != c->r.block_no || memcmp(k.hash.p, c->r.hash, 32) != 0)
		return "checkpoint chain";
	if (k.signature.n && c->public_key) {
		gw_seg_signed_hash(c->r.hash, k.pairs, hash);
		if (!gw_verify(c->public_key, hash, (const uint8_t *)k.signature.p))
			return "signature";
	}
	c->v->n_checkpoints++;
	c->v->n_unsigned += k.signature.n == 0;
	c->v->spend_nanousd = k.spend_nanousd;
	return NULL;
}

static const char *check_block(struct check *c)
{
	struct seg_block b;
	const char *what = gw_seg_block_read(c->r.bytes, c->r.at, true, &b);

	if (!what)
		what = gw_seg_chain_fault(&c->r, &b);
	if (!what)
		what = b.kind == SEG_RECORDS ? check_records(c, &b) : check_checkpoint(c, &b);
	if (what)
		return what;
	gw_seg_step_over(&c->r, &b);
	c->v->n_blocks++;
	return NULL;
}

static void check_all(struct check *c)
{
	const char *what = NULL;

	while (!what && !gw_seg_is_zero(gw_str_skip(c->r.bytes, c->r.at)))
		what = check_block(c);
	if (what) {
		c->v->err = GW_E_CORRUPT;
		c->v->what = what;
		c->v->bad_offset = c->r.at;
		c->v->bad_block = c->r.block_no + 1;
	}
	c->v->is_closed = c->r.saw_footer;
	memcpy(c->v->final_hash, c->r.hash, 32);
}

void gw_seg_verify(struct gw_str bytes, const uint8_t *public_key, struct gw_seg_verdict *v, gw_seg_span_fn *fn,
		   void *ctx)
{
	struct check c = { .public_key = public_key, .v = v };
	struct gw_buf memory;

	*v = (struct gw_seg_verdict){ 0 };
	if (gw_seg_open(&c.r, bytes)) {
		v->err = GW_E_CORRUPT;
		v->what = "header";
		return;
	}
	gw_buf_init(&memory, N_CELLS * sizeof(struct cell));
	c.cells = (struct cell *)(void *)gw_buf_room(&memory, N_CELLS * sizeof(struct cell));
	if (c.cells) {
		memset(c.cells, 0, N_CELLS * sizeof(struct cell));
		check_all(&c);
		for (size_t i = 0; fn && i < N_CELLS; i++)
			if (c.cells[i].is_used)
				fn(ctx, &c.cells[i].span);
	} else {
		v->err = GW_E_NOMEM;
		v->what = "out of memory";
	}
	gw_buf_done(&memory);
}

/* Is there a good checkpoint behind `at`? Blocks begin at multiples of 8. The work is bounded: a file made to look like
 * checkpoints everywhere ends as "yes", which means that it is not cut. */
static bool has_later_checkpoint(struct gw_str bytes, size_t at)
{
	uint64_t budget = 4 * (uint64_t)bytes.n + (64u << 20);

	for (size_t i = at + 8; i + SEG_HEAD_BYTES <= bytes.n; i += 8) {
		struct seg_block b;

		if (bytes.p[i] != 'L' || gw_seg_head_read(bytes, i, &b) || b.kind == SEG_RECORDS)
			continue;
		if (!gw_seg_block_read(bytes, i, true, &b) || budget < b.total)
			return true;
		budget -= b.total;
	}
	return false;
}

size_t gw_seg_good_bytes(struct gw_str bytes, bool *before_checkpoint)
{
	struct gw_seg_reader r;
	struct seg_block b;

	*before_checkpoint = false;
	if (gw_seg_open(&r, bytes))
		return 0;
	while (!gw_seg_is_zero(gw_str_skip(bytes, r.at))) {
		if (gw_seg_block_read(bytes, r.at, true, &b) || gw_seg_chain_fault(&r, &b)) {
			*before_checkpoint = has_later_checkpoint(bytes, r.at);
			break;
		}
		gw_seg_step_over(&r, &b);
	}
	return r.at;
}
