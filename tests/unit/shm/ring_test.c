/* The ring in one process: against a reference queue, at every wrap position, reservations that cannot fail, pieces for
 * the socket, and a hostile writer. */
#include "tests/unit/shm/shm_test.h"
#include "lib/buf.h"
#include "shm/ring_frame.h"

enum { RING = GW_RING_MIN_BYTES, MODEL = 4096 };

struct model { /* what was put and not yet read */
	struct {
		uint32_t type, n;
		uint64_t seq, fill;
	} rec[MODEL];
	size_t head, tail;
};

struct rig {
	struct gw_ring_shared *ring;
	struct gw_ring_writer w;
	struct gw_ring_reader r;
	struct gw_buf scratch;
};

static void open_rig(struct rig *g, int slot, uint64_t size)
{
	assert_int_equal(gw_ring_make(test_dir, slot, size), GW_OK);
	assert_int_equal(gw_ring_open(test_dir, slot, &g->ring), GW_OK);
	gw_ring_start(&g->w, g->ring, (uint32_t)slot, 1);
	gw_ring_read_start(&g->r, g->ring, (uint32_t)slot);
	gw_buf_init(&g->scratch, GW_RING_MAX_FRAME);
}

static void close_rig(struct rig *g)
{
	gw_buf_done(&g->scratch);
	gw_ring_close(g->ring);
}

static void fill(char *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)next_random(&seed);
}

static bool is_filled(struct gw_str s, uint64_t seed)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != (char)next_random(&seed))
			return false;
	}
	return true;
}

static void check_next(struct rig *g, struct model *m)
{
	struct gw_seg_record rec;
	bool has = gw_ring_next(&g->r, &g->scratch, &rec);

	assert_int_equal(has, m->tail < m->head);
	if (!has)
		return;
	assert_int_equal(rec.type, m->rec[m->tail % MODEL].type);
	assert_int_equal(rec.seq, m->rec[m->tail % MODEL].seq);
	assert_int_equal(rec.epoch, g->w.epoch);
	assert_int_equal(rec.slot, g->w.slot);
	assert_int_equal(rec.body.n, m->rec[m->tail % MODEL].n);
	assert_true(is_filled(rec.body, m->rec[m->tail % MODEL].fill));
	m->tail++;
}

/* Puts, reads and advances at random; the model knows what must come out, and when it must fit. */
static void random_ops(uint64_t seed, uint32_t max_payload)
{
	struct rig g;
	struct model *m = calloc(1, sizeof(*m));
	char *body = malloc(max_payload + 1);
	uint64_t n_full = 0, n_put = 0;

	open_rig(&g, 0, RING);
	for (unsigned op = 0; op < 60000; op++) {
		uint64_t dice = below(&seed, 16), bias = (op / 2000) % 2 ? 10 : 6, seq = 0;

		if (dice < bias && m->head - m->tail < MODEL) {
			uint32_t n = (uint32_t)below(&seed, max_payload + 1), type = 1 + (uint32_t)below(&seed, 4);
			uint64_t s = next_random(&seed), used = atomic_load(&g.ring->head) - atomic_load(&g.ring->tail);
			enum gw_err e;

			fill(body, n, s);
			e = gw_ring_put(&g.w, (enum gw_rec_type)type, gw_str(body, n), &seq);
			if (e) {
				assert_int_equal(e, GW_E_AUDIT_FULL);
				assert_true(used + 2 * gw_ring_frame_bytes(n) > RING);
				n_full++;
				continue;
			}
			assert_int_equal(seq, ++n_put);
			m->rec[m->head % MODEL].type = type;
			m->rec[m->head % MODEL].n = n;
			m->rec[m->head % MODEL].seq = seq;
			m->rec[m->head++ % MODEL].fill = s;
		} else if (dice < 15) {
			check_next(&g, m);
		} else {
			gw_ring_advance(&g.r, 1, m->tail);
		}
		assert_true(atomic_load(&g.ring->head) - atomic_load(&g.ring->tail) <= RING);
	}
	while (m->tail < m->head)
		check_next(&g, m);
	check_next(&g, m);
	assert_int_equal(g.r.corrupt, 0);
	assert_true(n_full > 0 && n_put > 1000);
	free(body);
	free(m);
	close_rig(&g);
}

static void agrees_with_a_queue(void **state)
{
	char path[256];

	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		random_ops(seed, seed % 2 ? 700 : 4000);
		assert_int_equal(gw_region_path(path, test_dir, "ring", 0), GW_OK);
		unlink(path);
	}
}

/* Frames of one length hit every position before the end that exists. */
static void wraps_everywhere(void **state)
{
	char body[4064];
	struct gw_seg_record rec;
	uint64_t seq;

	(void)state;
	memset(body, 'w', sizeof(body));
	for (uint32_t n = 0; n <= 4064; n += 8 + n / 16) {
		struct rig g;
		char path[256];

		assert_int_equal(gw_region_path(path, test_dir, "ring", 1), GW_OK);
		unlink(path);
		open_rig(&g, 1, RING);
		for (unsigned i = 0; i < 3 * RING / (n + 32) + 3; i++) {
			assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, n), &seq), GW_OK);
			assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
			assert_int_equal(rec.seq, i + 1);
			assert_int_equal(rec.body.n, n);
			assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
			gw_ring_advance(&g.r, 1, rec.seq);
		}
		assert_int_equal(g.r.corrupt, 0);
		close_rig(&g);
	}
}

static void refuses_what_is_too_big(void **state)
{
	struct rig g;
	static char body[GW_RING_MAX_PAYLOAD + 1];
	struct gw_seg_record rec;
	uint64_t seq = 42;

	(void)state;
	assert_int_equal(gw_ring_make(test_dir, 2, RING - 4096), GW_E_INVALID);
	assert_int_equal(gw_ring_make(test_dir, 2, RING + 1), GW_E_INVALID);
	open_rig(&g, 2, RING);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, RING / 16 - 31), &seq), GW_E_TOO_BIG);
	assert_int_equal(seq, 42);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, RING / 16 - 32), &seq), GW_OK);
	assert_int_equal(seq, 1);
	close_rig(&g);
	open_rig(&g, 3, 32 << 20);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, sizeof(body)), &seq), GW_E_TOO_BIG);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, sizeof(body) - 1), &seq), GW_OK);
	assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(rec.body.n, sizeof(body) - 1);
	close_rig(&g);
}

/* Admission: START and END are promised; whatever the reader does, a promised put succeeds, and without promises the
 * ring takes at most 15/16. */
static void reserved_never_fails(void **state)
{
	struct rig g;
	struct gw_seg_record rec;
	uint32_t waiting[1024];
	uint64_t seed = 9, seq, n_admitted = 0, n_refused = 0, n_waiting = 0;
	static char body[RING / 16];

	(void)state;
	open_rig(&g, 4, RING);
	for (unsigned op = 0; op < 200000; op++) {
		uint64_t dice = below(&seed, 8);

		if (dice < 3 && n_waiting < 1024) {
			uint32_t n = (uint32_t)below(&seed, op % 5 ? 600 : RING / 16 - 32);

			if (!gw_ring_reserve(&g.w, gw_ring_frame_bytes(n))) {
				n_refused++;
				continue;
			}
			n_admitted++;
			waiting[n_waiting++] = n;
		} else if (dice < 6 && n_waiting) {
			uint64_t i = below(&seed, n_waiting);
			uint32_t n = waiting[i];

			assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, n), &seq), GW_OK);
			gw_ring_unreserve(&g.w, gw_ring_frame_bytes(n));
			waiting[i] = waiting[--n_waiting];
		} else if ((op / 5000) % 3 == 0) { /* the logger comes now and then */
			while (gw_ring_next(&g.r, &g.scratch, &rec))
				;
			gw_ring_advance(&g.r, 1, g.w.seq);
		}
	}
	assert_true(n_admitted > 10000 && n_refused > 1000);
	assert_int_equal(g.r.corrupt, 0);
	close_rig(&g);
}

static void another_size_waits_for_empty(void **state)
{
	struct rig g;
	struct gw_seg_record rec;
	uint64_t seq;

	(void)state;
	open_rig(&g, 6, RING);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_START, GW_LIT("kept"), &seq), GW_OK);
	gw_ring_close(g.ring);
	assert_int_equal(gw_ring_make(test_dir, 6, 2 * RING), GW_OK);
	assert_int_equal(gw_ring_open(test_dir, 6, &g.ring), GW_OK);
	assert_int_equal(g.ring->size, RING);
	gw_ring_read_start(&g.r, g.ring, 6);
	gw_ring_start(&g.w, g.ring, 6, 2);
	assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_true(gw_str_eq(rec.body, GW_LIT("kept")));
	assert_int_equal(rec.epoch, 1);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, GW_LIT("new"), &seq), GW_OK);
	assert_int_equal(seq, 1);
	assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(rec.epoch, 2);
	gw_ring_advance(&g.r, 2, 1);
	gw_ring_close(g.ring);
	assert_int_equal(gw_ring_make(test_dir, 6, 2 * RING), GW_OK);
	assert_int_equal(gw_ring_open(test_dir, 6, &g.ring), GW_OK);
	assert_int_equal(g.ring->size, 2 * RING);
	gw_ring_start(&g.w, g.ring, 6, 3);
	close_rig(&g);
}

/* Any change of any bit is found. */
static void frames_are_checked(void **state)
{
	struct rig g;
	struct gw_seg_record rec;
	uint64_t seq, from;
	char copy[128], junk[600];
	uint64_t seed = 77;

	(void)state;
	open_rig(&g, 7, RING);
	from = gw_ring_head(&g.w);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_START, GW_LIT("thirteen byte"), &seq), GW_OK);
	assert_int_equal(gw_ring_head(&g.w), from + 48);
	memcpy(copy, g.ring->data + from % RING, 48);
	for (size_t cut = 0; cut < 48; cut++)
		assert_int_equal(gw_ring_frame_read(gw_str(copy, cut), &rec), 0);
	for (size_t bit = 0; bit < (32 + 13) * 8; bit++) {
		copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
		assert_int_equal(gw_ring_frame_read(gw_str(copy, 48), &rec), 0);
		copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
	}
	assert_int_equal(gw_ring_frame_read(gw_str(copy, 48), &rec), 48);
	for (unsigned i = 0; i < 20000; i++) {
		fill(junk, sizeof(junk), next_random(&seed));
		assert_int_equal(gw_ring_frame_read(gw_str(junk, below(&seed, sizeof(junk))), &rec), 0);
	}
	close_rig(&g);
}

/* A ring on the heap, where AddressSanitizer sees a step outside of it. */
static void heap_rig(struct rig *g, uint32_t slot)
{
	g->ring = aligned_alloc(64, sizeof(*g->ring) + RING);
	memset(g->ring, 0, sizeof(*g->ring) + RING);
	assert_int_equal(gw_ring_remember(g->ring, RING), GW_OK);
	gw_ring_start(&g->w, g->ring, slot, 1);
	gw_ring_read_start(&g->r, g->ring, slot);
	gw_buf_init(&g->scratch, GW_RING_MAX_FRAME);
}

static void drop_heap_rig(struct rig *g)
{
	assert_int_equal(gw_ring_forget(g->ring), RING);
	gw_buf_done(&g->scratch);
	free(g->ring);
}

/* Reads until there is nothing more; a hostile ring may not give more records than its bytes can hold. */
static void drain_bounded(struct rig *g)
{
	struct gw_seg_record rec;
	unsigned n = 0;

	while (gw_ring_next(&g->r, &g->scratch, &rec)) {
		assert_true(rec.body.n <= GW_RING_MAX_PAYLOAD);
		assert_true(++n <= RING / 32);
	}
}

/* T36: random writes to data, head, tail, size, region head; the reader lives, its work is bounded, it counts, and after
 * the worker was replaced records flow again. */
static void hostile_bytes(void **state)
{
	struct rig g;
	struct gw_seg_record rec;
	uint64_t seed = 4711, seq, n_good = 0, n_corrupt = 0;
	static char body[300];

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		heap_rig(&g, 8);
		for (unsigned op = 0; op < 200; op++) {
			uint64_t what = below(&seed, 24), v = next_random(&seed) >> below(&seed, 64);

			if (what < 10)
				(void)!gw_ring_put(&g.w, GW_REC_START, gw_str(body, below(&seed, 300)), &seq);
			else if (what < 13)
				g.ring->data[below(&seed, RING)] ^= (uint8_t)v;
			else if (what < 14)
				memcpy(g.ring->data + below(&seed, RING / 8) * 8, &gw_ring_wrap_mark, 4);
			else if (what < 15)
				atomic_store(&g.ring->head, v);
			else if (what < 16)
				atomic_fetch_add(&g.ring->head, below(&seed, RING / 4) * 8 - RING);
			else if (what < 17)
				atomic_store(&g.ring->tail, v);
			else if (what < 18)
				g.ring->size = v;
			else if (what < 19)
				memset(&g.ring->region, (int)v, sizeof(g.ring->region));
			else
				drain_bounded(&g);
			if (what == 23)
				gw_ring_advance(&g.r, 1, 1);
		}
		drain_bounded(&g);
		n_corrupt += g.r.corrupt;
		/* A new worker takes over. */
		gw_ring_start(&g.w, g.ring, 8, 2);
		drain_bounded(&g);
		gw_ring_advance(&g.r, 1, 1);
		drain_bounded(&g);
		for (unsigned i = 0; i < 50; i++) {
			uint64_t at = g.r.corrupt;

			assert_int_equal(gw_ring_put(&g.w, GW_REC_END, gw_str(body, 100), &seq), GW_OK);
			n_good += gw_ring_next(&g.r, &g.scratch, &rec) && rec.epoch == 2 && rec.seq == seq;
			assert_true(i == 0 || at == g.r.corrupt);
			gw_ring_advance(&g.r, 2, seq);
		}
		drop_heap_rig(&g);
	}
	print_message("hostile ring: %llu frames found corrupt, %llu of 15000 read after the worker was replaced\n",
		      (unsigned long long)n_corrupt, (unsigned long long)n_good);
	assert_true(n_corrupt > 300);
	assert_true(n_good >= 300 * 49); /* one record may pay for the first resync */
}

/* Lengths that lead outside: past the head, past the end of the ring, and a wrap mark with nothing behind it, which must
 * not give a record of the lap before once more. */
static void lies_about_lengths(void **state)
{
	struct rig g;
	struct gw_seg_record rec;
	uint64_t seq;
	static char body[2000];
	uint32_t len;

	(void)state;
	heap_rig(&g, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(gw_ring_put(&g.w, GW_REC_START, GW_LIT("0123456789abcdef"), &seq), GW_OK);
	assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
	memcpy(g.ring->data + 48, &gw_ring_wrap_mark, 4);
	assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.corrupt, 1);
	assert_int_equal(g.r.at, 3 * 48);
	drop_heap_rig(&g);
	for (len = 1; len <= GW_RING_MAX_PAYLOAD + 64; len += len < 100 ? 1 : 777) {
		heap_rig(&g, 3);
		while (atomic_load(&g.ring->head) < RING - 2100) { /* to the last bytes of the ring */
			assert_int_equal(gw_ring_put(&g.w, GW_REC_START, gw_str(body, 2000), &seq), GW_OK);
			assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
		}
		gw_ring_advance(&g.r, 1, seq);
		assert_int_equal(gw_ring_put(&g.w, GW_REC_START, gw_str(body, 8), &seq), GW_OK);
		memcpy(g.ring->data + g.r.at, &len, 4);
		atomic_store(&g.ring->head, g.r.tail + RING); /* as far as can be believed */
		assert_int_equal(gw_ring_next(&g.r, &g.scratch, &rec), len == 8);
		assert_int_equal(g.r.corrupt, len != 8);
		drop_heap_rig(&g);
	}
}

/* One broken frame: counted once, reading goes on at the head. */
static void resync_counts(void **state)
{
	struct rig g;
	struct gw_seg_record rec;
	uint64_t seq;

	(void)state;
	open_rig(&g, 9, RING);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(gw_ring_put(&g.w, GW_REC_END, GW_LIT("0123456789abcdef"), &seq), GW_OK);
	g.ring->data[48 + 40] ^= 1; /* in the second payload */
	assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.corrupt, 1);
	assert_int_equal(g.r.at, atomic_load(&g.ring->head));
	assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.corrupt, 1);
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, GW_LIT("x"), &seq), GW_OK);
	assert_true(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(rec.seq, 4);
	/* A frame of another slot is not this slot's. */
	g.w.slot = 10;
	assert_int_equal(gw_ring_put(&g.w, GW_REC_END, GW_LIT("x"), &seq), GW_OK);
	assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.corrupt, 2);
	/* An impossible head is counted once, however often one looks. */
	atomic_store(&g.ring->head, 3ULL << 40);
	for (unsigned i = 0; i < 10; i++)
		assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.corrupt, 3);
	/* So is one between two frames; the reader stays where it was. */
	uint64_t at = g.r.at;
	atomic_store(&g.ring->head, at + 45);
	assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.corrupt, 4);
	assert_int_equal(g.r.at, at);
	/* A head that went back: what lies behind it is not read. */
	atomic_store(&g.ring->head, at - 40);
	assert_false(gw_ring_next(&g.r, &g.scratch, &rec));
	assert_int_equal(g.r.at, at - 40);
	close_rig(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_queue),
		cmocka_unit_test(wraps_everywhere),
		cmocka_unit_test(refuses_what_is_too_big),
		cmocka_unit_test(reserved_never_fails),
		cmocka_unit_test(another_size_waits_for_empty),
		cmocka_unit_test(frames_are_checked),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(lies_about_lengths),
		cmocka_unit_test(resync_counts),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
