/* Segments: what is written reads back; every flip, cut, deletion, reordering and insertion is found and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/segment.h"

enum { MAX_BLOCKS = 32, SPARE = 512 };

/* A segment with 9 blocks: records, records, checkpoint, records ×3, checkpoint, records, footer. */
struct sample {
	struct gw_buf bytes;
	size_t start[MAX_BLOCKS + 1]; /* start[i]: offset of block i+1; start[n]: end of the written part */
	struct gw_seg_writer before[MAX_BLOCKS]; /* writer as it was before block i+1 */
	size_t n;
	struct gw_seg_writer w;
	uint64_t seq;
};
static struct gw_signer *signer, *other_signer;
static uint8_t public_key[65];

static void add_records(struct sample *s, unsigned n, uint32_t slot, int64_t us)
{
	struct gw_buf frames;
	char body[300];

	gw_buf_init(&frames, 1 << 20);
	for (unsigned i = 0; i < n; i++) {
		struct gw_seg_record r = {
			slot, 7, i % 2 ? GW_REC_END : GW_REC_START, ++s->seq, { body, 50 + i * 37 % 200 }
		};

		memset(body, (int)('a' + i % 26), sizeof(body));
		gw_seg_frame(&frames, &r);
	}
	s->before[s->n] = s->w;
	gw_seg_block(&s->w, gw_buf_view(&frames), n, us, us + 10, &s->bytes);
	s->start[++s->n] = s->bytes.n;
	gw_buf_done(&frames);
}

static void add_checkpoint(struct sample *s, bool is_footer, const struct gw_signer *by)
{
	struct gw_seg_span span = { 3, 7, 1, s->seq };

	s->before[s->n] = s->w;
	assert_int_equal(gw_seg_checkpoint(&s->w, is_footer, &span, 1, 123456789, s->seq, by, &s->bytes), GW_OK);
	s->start[++s->n] = s->bytes.n;
}

static void begin(struct sample *s)
{
	struct gw_seg_info info = { .cls = GW_SEG_REQUEST, .segment_no = 42, .created_us = 1700000000000000 };

	memset(s, 0, sizeof(*s));
	memset(info.node, 1, 16);
	memset(info.writer, 2, 16);
	memset(info.prev_final_hash, 3, 32);
	memcpy(info.public_key, public_key, 65);
	gw_buf_init(&s->bytes, 1 << 24);
	gw_seg_begin(&s->w, &info, &s->bytes);
	assert_int_equal(s->bytes.n, GW_SEG_HEADER_BYTES);
	s->start[0] = s->bytes.n;
}

static void make(struct sample *s, bool is_closed, bool has_spare)
{
	begin(s);
	add_records(s, 5, 3, 1000);
	add_records(s, 1, 3, 2000);
	add_checkpoint(s, false, signer);
	add_records(s, 9, 3, 3000);
	add_records(s, 3, 3, 4000);
	add_records(s, 4, 3, 5000);
	add_checkpoint(s, false, signer);
	add_records(s, 7, 3, 6000);
	if (is_closed)
		add_checkpoint(s, true, signer);
	if (has_spare) {
		char zeros[SPARE] = { 0 };

		gw_buf_put(&s->bytes, zeros, sizeof(zeros));
	}
	assert_int_equal(s->bytes.err, GW_OK);
}

static struct gw_seg_verdict verify(struct gw_str bytes, const uint8_t *key)
{
	struct gw_seg_verdict v;

	gw_seg_verify(bytes, key, &v, NULL, NULL);
	return v;
}

static void expect_bad(struct gw_str bytes, const uint8_t *key, size_t offset, uint64_t block, const char *what)
{
	struct gw_seg_verdict v = verify(bytes, key);

	assert_int_equal(v.err, GW_E_CORRUPT);
	assert_int_equal(v.bad_offset, offset);
	assert_int_equal(v.bad_block, block);
	if (what)
		assert_string_equal(v.what, what);
}

static size_t block_of(const struct sample *s, size_t offset)
{
	size_t i = 0;

	while (i < s->n && offset >= s->start[i])
		i++;
	return i; /* 0: header */
}

static unsigned n_spans_seen;
static void on_span(void *ctx, const struct gw_seg_span *span)
{
	n_spans_seen++;
	assert_int_equal(span->slot, 3);
	assert_int_equal(span->epoch, 7);
	assert_int_equal(span->first_seq, 1);
	assert_int_equal(span->last_seq, *(uint64_t *)ctx);
}

static void test_reads_back(void **state)
{
	struct gw_seg_record rec;
	struct gw_seg_reader r;
	struct sample s;
	uint64_t n = 0;

	(void)state;
	make(&s, true, true);
	assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_OK);
	assert_int_equal(r.info.segment_no, 42);
	assert_int_equal(r.info.created_us, 1700000000000000);
	assert_int_equal(r.info.cls, GW_SEG_REQUEST);
	assert_memory_equal(r.info.public_key, public_key, 65);
	assert_int_equal(r.info.node[15], 1);
	assert_int_equal(r.info.writer[15], 2);
	assert_int_equal(r.info.prev_final_hash[31], 3);
	while (gw_seg_next(&r, true, &rec)) {
		assert_int_equal(rec.seq, ++n);
		assert_int_equal(rec.slot, 3);
		assert_int_equal(rec.epoch, 7);
		assert_in_range(rec.body.n, 50, 250);
		assert_int_equal(rec.body.p[0], rec.body.p[rec.body.n - 1]);
	}
	assert_int_equal(r.err, GW_OK);
	assert_true(r.is_end && r.saw_footer);
	assert_int_equal(n, 29);
	assert_int_equal(r.block_no, 9);
	gw_buf_done(&s.bytes);
}

static void test_verifies(void **state)
{
	struct gw_seg_verdict v;
	struct sample s;

	(void)state;
	make(&s, true, true);
	n_spans_seen = 0;
	gw_seg_verify(gw_buf_view(&s.bytes), public_key, &v, on_span, &s.seq);
	assert_int_equal(v.err, GW_OK);
	assert_null(v.what);
	assert_int_equal(v.n_blocks, 9);
	assert_int_equal(v.n_records, 29);
	assert_int_equal(v.n_checkpoints, 3);
	assert_int_equal(v.n_unsigned, 0);
	assert_true(v.is_closed);
	assert_int_equal(v.spend_nanousd, 123456789);
	assert_memory_equal(v.final_hash, s.w.hash, 32);
	assert_int_equal(n_spans_seen, 1);
	gw_buf_done(&s.bytes);

	begin(&s);
	add_records(&s, 2, 3, 1);
	add_checkpoint(&s, false, NULL);
	v = verify(gw_buf_view(&s.bytes), public_key);
	assert_int_equal(v.err, GW_OK);
	assert_int_equal(v.n_unsigned, 1);
	assert_false(v.is_closed);
	gw_buf_done(&s.bytes);
}

static void test_flip_anywhere(void **state)
{
	struct sample s;
	unsigned bit = 0;

	(void)state;
	make(&s, true, true);
	for (size_t i = 0; i < s.bytes.n; i += i < 200 || i >= s.start[0] ? 1 : 13) {
		size_t block = block_of(&s, i);
		struct gw_seg_record rec;
		struct gw_seg_reader r;
		bool before;
		size_t good;

		s.bytes.p[i] ^= (char)(1u << (bit = (bit + 3) % 8));
		if (block == 0) {
			expect_bad(gw_buf_view(&s.bytes), NULL, 0, 0, "header");
			assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_E_CORRUPT);
		} else {
			size_t at = i >= s.start[s.n] ? s.start[s.n] : s.start[block - 1];
			bool in_spare = i >= s.start[s.n];

			expect_bad(gw_buf_view(&s.bytes), NULL, at, in_spare ? s.n + 1 : block, NULL);
			good = gw_seg_good_bytes(gw_buf_view(&s.bytes), &before);
			assert_int_equal(good, at);
			assert_int_equal(before, block < 9 && !in_spare); /* the footer is block 9 */
			assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_OK);
			while (gw_seg_next(&r, false, &rec))
				;
			assert_true(r.at <= at);
		}
		s.bytes.p[i] ^= (char)(1u << bit);
	}
	assert_int_equal(verify(gw_buf_view(&s.bytes), public_key).err, GW_OK);
	gw_buf_done(&s.bytes);
}

static void test_cut_anywhere(void **state)
{
	struct sample s;

	(void)state;
	make(&s, true, true);
	assert_true(s.bytes.n > GW_SEG_HEADER_BYTES);
	for (size_t n = s.bytes.n > 8192 ? s.bytes.n - 8192 : 0; n < s.bytes.n; n++) {
		/* A copy of exactly n bytes, so that ASan sees any read past the end. */
		char *copy = malloc(n ? n : 1);
		struct gw_str cut = { copy, n };
		struct gw_seg_verdict v;
		struct gw_seg_record rec;
		struct gw_seg_reader r;
		bool before, is_edge = n >= s.start[s.n];
		size_t whole = 0;

		memcpy(copy, s.bytes.p, n);
		v = verify(cut, NULL);
		if (n < GW_SEG_HEADER_BYTES) {
			assert_int_equal(v.err, GW_E_CORRUPT);
			assert_string_equal(v.what, "header");
			assert_int_equal(gw_seg_good_bytes(cut, &before), 0);
			free(copy);
			continue;
		}
		while (whole < s.n && s.start[whole + 1] <= n)
			whole++;
		is_edge |= n == s.start[whole];
		assert_int_equal(v.err, is_edge ? GW_OK : GW_E_CORRUPT);
		assert_int_equal(v.n_blocks, whole);
		assert_int_equal(v.is_closed, whole == s.n);
		if (!is_edge) {
			assert_int_equal(v.bad_offset, s.start[whole]);
			assert_int_equal(v.bad_block, whole + 1);
		}
		assert_int_equal(gw_seg_good_bytes(cut, &before), s.start[whole]);
		assert_false(before);
		assert_int_equal(gw_seg_open(&r, cut), GW_OK);
		while (gw_seg_next(&r, true, &rec))
			;
		assert_int_equal(r.is_end, is_edge);
		assert_int_equal(r.at, s.start[whole]);
		free(copy);
	}
	gw_buf_done(&s.bytes);
}

static void put_block(struct gw_buf *b, const struct sample *s, size_t i)
{
	gw_buf_put(b, s->bytes.p + s->start[i], s->start[i + 1] - s->start[i]);
}

static void test_delete_reorder_repeat(void **state)
{
	struct sample s;

	(void)state;
	make(&s, true, false);
	for (size_t k = 0; k < s.n; k++) {
		struct gw_buf b;

		gw_buf_init(&b, 1 << 24);
		gw_buf_put(&b, s.bytes.p, s.start[0]);
		for (size_t i = 0; i < s.n; i++)
			if (i != k)
				put_block(&b, &s, i);
		if (k < s.n - 1)
			expect_bad(gw_buf_view(&b), public_key, s.start[k], k + 1, "block number");
		else
			assert_false(verify(gw_buf_view(&b), public_key).is_closed);

		gw_buf_clear(&b, 1 << 24);
		gw_buf_put(&b, s.bytes.p, s.start[0]);
		for (size_t i = 0; i < s.n; i++) {
			put_block(&b, &s, i);
			if (i == k)
				put_block(&b, &s, i);
		}
		expect_bad(gw_buf_view(&b), public_key, s.start[k + 1], k + 2,
			   k == s.n - 1 ? "data after the footer" : "block number");

		if (k + 1 < s.n) {
			gw_buf_clear(&b, 1 << 24);
			gw_buf_put(&b, s.bytes.p, s.start[0]);
			for (size_t i = 0; i < s.n; i++)
				put_block(&b, &s, i == k ? k + 1 : i == k + 1 ? k : i);
			expect_bad(gw_buf_view(&b), public_key, s.start[k], k + 1, "block number");
		}
		gw_buf_done(&b);
	}
	gw_buf_done(&s.bytes);
}

/* A forger who computes good checksums and hashes but has no key. */
static void test_forged_block(void **state)
{
	struct gw_seg_writer w;
	struct gw_buf b, frames;
	struct sample s;
	struct gw_seg_record rec = { 3, 7, GW_REC_END, 6, { "forged", 6 } };

	(void)state;
	make(&s, true, false);
	gw_buf_init(&b, 1 << 24);
	gw_buf_init(&frames, 1 << 16);
	gw_seg_frame(&frames, &rec);
	/* Block 2 replaced, its own hash right: block 3 no longer follows. */
	w = s.before[1];
	gw_buf_put(&b, s.bytes.p, s.start[1]);
	gw_seg_block(&w, gw_buf_view(&frames), 1, 2000, 2010, &b);
	gw_buf_put(&b, s.bytes.p + s.start[2], s.start[9] - s.start[2]);
	expect_bad(gw_buf_view(&b), NULL, b.n - (s.start[9] - s.start[2]), 3, "chain");
	gw_buf_done(&b);
	gw_buf_done(&s.bytes);

	/* Everything after it written anew and signed by another key. */
	begin(&s);
	add_records(&s, 5, 3, 1000);
	add_checkpoint(&s, false, other_signer);
	add_records(&s, 1, 3, 2000);
	expect_bad(gw_buf_view(&s.bytes), public_key, s.start[1], 2, "signature");
	assert_int_equal(verify(gw_buf_view(&s.bytes), NULL).err, GW_OK);
	gw_buf_done(&frames);
	gw_buf_done(&s.bytes);
}

static void test_sequences(void **state)
{
	struct sample s;

	(void)state;
	begin(&s);
	add_records(&s, 5, 3, 1000);
	s.seq++;
	add_records(&s, 2, 3, 2000);
	expect_bad(gw_buf_view(&s.bytes), NULL, s.start[1], 2, "missing sequence");
	gw_buf_done(&s.bytes);

	begin(&s);
	add_records(&s, 5, 3, 1000);
	s.seq--;
	add_records(&s, 2, 3, 2000);
	expect_bad(gw_buf_view(&s.bytes), NULL, s.start[1], 2, "repeated sequence");
	gw_buf_done(&s.bytes);

	begin(&s); /* other writers have sequences of their own */
	add_records(&s, 5, 3, 1000);
	s.seq = 100;
	add_records(&s, 5, 4, 1000);
	s.seq = 5;
	add_records(&s, 5, 3, 1000);
	assert_int_equal(verify(gw_buf_view(&s.bytes), NULL).err, GW_OK);
	gw_buf_done(&s.bytes);
}

static void test_wrong_count_and_frames(void **state)
{
	struct gw_seg_record rec = { 1, 1, 1, 1, { "12345678", 8 } }, got;
	struct gw_seg_reader r;
	struct gw_buf frames;
	struct sample s;

	(void)state;
	gw_buf_init(&frames, 1 << 16);
	gw_seg_frame(&frames, &rec);
	begin(&s);
	gw_seg_block(&s.w, gw_buf_view(&frames), 2, 1, 1, &s.bytes);
	expect_bad(gw_buf_view(&s.bytes), NULL, s.start[0], 1, "record count");
	gw_buf_done(&s.bytes);

	begin(&s);
	frames.p[0] = 9; /* says 9 bytes: 16 with padding, there are 8 */
	gw_seg_block(&s.w, gw_buf_view(&frames), 1, 1, 1, &s.bytes);
	expect_bad(gw_buf_view(&s.bytes), NULL, s.start[0], 1, "record frame");
	assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_OK);
	assert_false(gw_seg_next(&r, true, &got));
	assert_int_equal(r.err, GW_E_CORRUPT);
	memset(frames.p, 0xff, 4);
	gw_buf_clear(&s.bytes, 1 << 20);
	gw_buf_done(&s.bytes);
	begin(&s);
	gw_seg_block(&s.w, gw_buf_view(&frames), 1, 1, 1, &s.bytes);
	expect_bad(gw_buf_view(&s.bytes), NULL, s.start[0], 1, "record frame");
	gw_buf_done(&frames);
	gw_buf_done(&s.bytes);
}

static void test_checkpoint_must_fit(void **state)
{
	struct gw_seg_writer lie;
	struct sample s;

	(void)state;
	begin(&s);
	add_records(&s, 5, 3, 1000);
	/* A good checkpoint of another place in the chain, framed as if it were here. */
	lie = s.w;
	lie.block_no = 0;
	assert_int_equal(gw_seg_checkpoint(&lie, false, NULL, 0, 0, 0, signer, &s.bytes), GW_OK);
	expect_bad(gw_buf_view(&s.bytes), public_key, s.start[1], 2, "block number");
	gw_buf_done(&s.bytes);
}

static void test_skip_and_resume(void **state)
{
	struct gw_seg_record rec;
	struct gw_seg_writer w;
	struct gw_seg_reader r;
	struct sample s;
	unsigned n = 0;

	(void)state;
	make(&s, false, true);
	assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_OK);
	gw_seg_skip_to(&r, 4005);
	assert_true(gw_seg_next(&r, true, &rec));
	assert_int_equal(rec.seq, 16); /* 5 + 1 + 9 records lie before */
	while (gw_seg_next(&r, true, &rec))
		n++;
	assert_int_equal(n, 13);
	assert_true(r.is_end);
	assert_true(gw_seg_resume(&w, &r));
	assert_memory_equal(&w.hash, &s.w.hash, 32);
	assert_int_equal(w.block_no, s.w.block_no);
	assert_int_equal(r.at, s.start[s.n]);
	assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_OK);
	gw_seg_skip_to(&r, INT64_MAX);
	assert_false(gw_seg_next(&r, true, &rec));
	assert_true(r.is_end);
	gw_buf_done(&s.bytes);

	make(&s, true, false);
	assert_int_equal(gw_seg_open(&r, gw_buf_view(&s.bytes)), GW_OK);
	while (gw_seg_next(&r, true, &rec))
		;
	assert_false(gw_seg_resume(&w, &r)); /* closed */
	gw_buf_done(&s.bytes);
}

/* A reader at the growing end: half a block now, the whole of it later. */
static void test_growing_file(void **state)
{
	struct gw_seg_record rec;
	struct gw_seg_reader r;
	struct sample s;
	unsigned n = 0;

	(void)state;
	make(&s, false, false);
	assert_int_equal(gw_seg_open(&r, gw_str(s.bytes.p, s.start[1] + 100)), GW_OK);
	while (gw_seg_next(&r, true, &rec))
		n++;
	assert_int_equal(r.err, GW_E_CORRUPT);
	assert_int_equal(n, 5);
	r.err = GW_OK;
	r.bytes = gw_buf_view(&s.bytes);
	while (gw_seg_next(&r, true, &rec))
		n++;
	assert_int_equal(r.err, GW_OK);
	assert_int_equal(n, 29);
	gw_buf_done(&s.bytes);
}

static void test_ceilings(void **state)
{
	static char big[GW_SEG_MAX_FRAMES + 8];
	struct gw_seg_record rec = { 1, 1, 1, 1, { big, GW_SEG_MAX_FRAMES } };
	struct gw_buf frames;
	struct sample s;

	(void)state;
	gw_buf_init(&frames, 1 << 24);
	gw_seg_frame(&frames, &rec);
	assert_int_equal(frames.err, GW_E_TOO_BIG);
	gw_buf_done(&frames);
	begin(&s);
	gw_seg_block(&s.w, gw_str(big, GW_SEG_MAX_FRAMES + 1), 1, 1, 1, &s.bytes);
	assert_int_equal(s.bytes.err, GW_E_TOO_BIG);
	assert_int_equal(s.w.block_no, 0);
	gw_buf_done(&s.bytes);
	begin(&s);
	gw_seg_block(&s.w, gw_str(big, GW_SEG_MAX_FRAMES), 1, 1, 1, &s.bytes);
	assert_int_equal(s.bytes.err, GW_OK);
	assert_true(s.bytes.n - s.start[0] <= GW_SEG_MAX_BLOCK);
	gw_buf_done(&s.bytes);
}

static void test_noise(void **state)
{
	struct sample s;
	uint32_t x = 12345;

	(void)state;
	make(&s, true, true);
	for (int round = 0; round < 500; round++) {
		struct gw_str cut = { s.bytes.p, s.bytes.n };
		char saved[64];
		size_t at;
		bool before;

		x = x * 1664525u + 1013904223u;
		at = GW_SEG_HEADER_BYTES + x % (s.bytes.n - GW_SEG_HEADER_BYTES - 64);
		memcpy(saved, s.bytes.p + at, 64);
		for (int i = 0; i < 64; i++) {
			x = x * 1664525u + 1013904223u;
			s.bytes.p[at + (size_t)i] = (char)(x >> 24);
		}
		assert_int_equal(verify(cut, NULL).err, GW_E_CORRUPT);
		assert_true(gw_seg_good_bytes(cut, &before) <= at);
		memcpy(s.bytes.p + at, saved, 64);
	}
	gw_buf_done(&s.bytes);
}

static int set_up(void **state)
{
	struct gw_secret *k1, *k2;

	(void)state;
	if (gw_crypto_init() || gw_signer_make(&k1) || gw_signer_make(&k2) || gw_signer_new(k1, &signer) ||
	    gw_signer_new(k2, &other_signer))
		return -1;
	gw_signer_public(signer, public_key);
	gw_secret_unref(k1);
	gw_secret_unref(k2);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gw_signer_free(signer);
	gw_signer_free(other_signer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_back),
		cmocka_unit_test(test_verifies),
		cmocka_unit_test(test_flip_anywhere),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_delete_reorder_repeat),
		cmocka_unit_test(test_forged_block),
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_wrong_count_and_frames),
		cmocka_unit_test(test_checkpoint_must_fit),
		cmocka_unit_test(test_skip_and_resume),
		cmocka_unit_test(test_growing_file),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
