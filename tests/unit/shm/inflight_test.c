/* The in-flight table: taking and giving, what a dead epoch left, and with the ring the promise of RELIABILITY 8: after a
 * kill -9 at any instruction, the STARTs in the ring are exactly those with an END in the ring or a used entry. */
#include "tests/unit/shm/shm_test.h"
#include "lib/buf.h"
#include "shm/inflight.h"
#include "shm/ring.h"

enum { KILLS = 300, HELD = 40, MAX_IDS = 1 << 16 };

static void make_id(uint8_t id[16], uint32_t epoch, uint32_t no)
{
	memset(id, 0, 16);
	memcpy(id, &epoch, 4);
	memcpy(id + 4, &no, 4);
}

static void takes_and_gives(void **state)
{
	struct gw_inflight *t;
	static struct gw_inflight_free f;
	static struct gw_inflight_entry copy;
	static int taken[GW_INFLIGHT_ENTRIES];
	static bool is_seen[GW_INFLIGHT_ENTRIES];
	static char body[GW_INFLIGHT_BODY + 1];
	uint8_t id[16];

	(void)state;
	assert_int_equal(gw_inflight_open(test_dir, 1, &t), GW_E_NOT_FOUND);
	assert_int_equal(gw_inflight_make(test_dir, 1), GW_OK);
	assert_int_equal(gw_inflight_open(test_dir, 1, &t), GW_OK);
	gw_inflight_start(&f, t, 5);
	make_id(id, 5, 0);
	assert_int_equal(gw_inflight_take(t, &f, 5, id, 1, gw_str(body, sizeof(body))), -1);
	for (uint32_t i = 0; i < GW_INFLIGHT_ENTRIES; i++) {
		make_id(id, 5, i);
		taken[i] = gw_inflight_take(t, &f, 5, id, 1000 + i, gw_str((char *)id, 16));
		assert_in_range(taken[i], 0, GW_INFLIGHT_ENTRIES - 1);
		assert_false(is_seen[taken[i]]);
		is_seen[taken[i]] = true;
	}
	assert_int_equal(gw_inflight_take(t, &f, 5, id, 1, GW_NIL), -1);
	assert_int_equal(atomic_load(&t->n_used), GW_INFLIGHT_ENTRIES);
	assert_true(gw_inflight_read(t, (uint32_t)taken[7], &copy));
	make_id(id, 5, 7);
	assert_memory_equal(copy.request_id, id, 16);
	assert_int_equal(copy.body_bytes, 16);
	assert_memory_equal(copy.body, id, 16);
	assert_int_equal(copy.started_us, 1007);
	gw_inflight_give(t, &f, taken[7]);
	assert_false(gw_inflight_read(t, (uint32_t)taken[7], &copy));
	assert_int_equal(gw_inflight_take(t, &f, 5, id, 1, GW_NIL), taken[7]);
	/* The worker may write anything; a copy is never longer than it is. */
	t->entry[3].body_bytes = 1u << 31;
	assert_true(gw_inflight_read(t, 3, &copy));
	assert_int_equal(copy.body_bytes, 0);
}

/* Another epoch finds the table full of its predecessor's entries; they come back when the logger clears them. */
static void stale_entries_come_back(void **state)
{
	struct gw_inflight *t;
	static struct gw_inflight_free f;
	uint8_t id[16];
	unsigned n = 0;

	(void)state;
	assert_int_equal(gw_inflight_make(test_dir, 1), GW_OK); /* as the test before left it: full, epoch 5 */
	assert_int_equal(gw_inflight_open(test_dir, 1, &t), GW_OK);
	gw_inflight_start(&f, t, 6);
	make_id(id, 6, 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(gw_inflight_take(t, &f, 6, id, 1, GW_NIL), -1);
	for (uint32_t i = 0; i < 100; i++)
		gw_inflight_clear(t, i * 3, i % 2 ? 5 : 4); /* only the right epoch counts: 50 */
	for (unsigned i = 0; i < 1000; i++)
		n += gw_inflight_take(t, &f, 6, id, 1, GW_NIL) >= 0;
	assert_int_equal(n, 50);
	for (uint32_t i = 0; i < GW_INFLIGHT_ENTRIES; i++)
		gw_inflight_clear(t, i, 5);
	for (unsigned i = 0; i < GW_INFLIGHT_ENTRIES + 1000; i++)
		n += gw_inflight_take(t, &f, 6, id, 1, GW_NIL) >= 0;
	assert_int_equal(n, GW_INFLIGHT_ENTRIES);
	for (uint32_t i = 0; i < GW_INFLIGHT_ENTRIES; i++)
		gw_inflight_clear(t, i, 5); /* these live */
	assert_int_equal(gw_inflight_take(t, &f, 6, id, 1, GW_NIL), -1);
}

/* The table has as many touched entries as requests were ever under way at once, whoever the worker is. */
static void grows_as_needed(void **state)
{
	static struct gw_inflight_free f;
	struct gw_inflight *t;
	uint8_t id[16] = { 1 };
	int a, b;

	(void)state;
	assert_int_equal(gw_inflight_make(test_dir, 2), GW_OK);
	assert_int_equal(gw_inflight_open(test_dir, 2, &t), GW_OK);
	assert_int_equal(gw_inflight_end(t), 0);
	gw_inflight_start(&f, t, 5);
	for (unsigned i = 0; i < 100; i++) {
		a = gw_inflight_take(t, &f, 5, id, 1, GW_NIL);
		b = gw_inflight_take(t, &f, 5, id, 1, GW_NIL);
		assert_int_equal(a + b, 1);
		gw_inflight_give(t, &f, b);
		if (i < 99)
			gw_inflight_give(t, &f, a);
	}
	assert_int_equal(gw_inflight_end(t), 2);
	gw_inflight_start(&f, t, 6); /* entry 0 or 1 is left by the one before */
	b = gw_inflight_take(t, &f, 6, id, 1, GW_NIL);
	assert_int_equal(a + b, 1);
	assert_int_equal(gw_inflight_take(t, &f, 6, id, 1, GW_NIL), 2);
	assert_int_equal(gw_inflight_end(t), 3);
	atomic_store(&t->n_ever, UINT32_MAX); /* a worker gone wild does not send readers out of the table */
	assert_int_equal(gw_inflight_end(t), GW_INFLIGHT_ENTRIES);
}

/* As a worker does it: entry, START, (egress), END, free the entry; up to HELD requests at once, in any order. */
static _Noreturn void serve_forever(uint32_t epoch, _Atomic uint32_t *is_started)
{
	static struct gw_inflight_free f;
	struct gw_inflight *t;
	struct gw_ring_shared *ring;
	struct gw_ring_writer w;
	int held[HELD];
	uint32_t n_held = 0, no = 0;
	uint64_t seed = epoch, seq;
	uint8_t id[16];

	if (gw_inflight_open(test_dir, 0, &t) || gw_ring_open(test_dir, 0, &ring))
		_exit(3);
	gw_ring_start(&w, ring, 0, epoch);
	gw_inflight_start(&f, t, epoch);
	for (;;) {
		atomic_store(is_started, 1);
		if (n_held < HELD && below(&seed, 2)) {
			if (!gw_ring_reserve(&w, 2 * gw_ring_frame_bytes(16)))
				continue;
			make_id(id, epoch, no++);
			held[n_held] = gw_inflight_take(t, &f, epoch, id, 1, gw_str((char *)id, 16));
			if (held[n_held] < 0 || gw_ring_put(&w, GW_REC_START, gw_str((char *)id, 16), &seq))
				_exit(4);
			t->entry[held[n_held++]].start_seq = seq;
		} else if (n_held) {
			uint64_t i = below(&seed, n_held);

			memcpy(id, t->entry[held[i]].request_id, 16);
			if (gw_ring_put(&w, GW_REC_END, gw_str((char *)id, 16), &seq))
				_exit(5);
			gw_inflight_give(t, &f, held[i]);
			gw_ring_unreserve(&w, 2 * gw_ring_frame_bytes(16));
			held[i] = held[--n_held];
		}
	}
}

static uint8_t seen_start[MAX_IDS], seen_end[MAX_IDS], seen_used[MAX_IDS];

static void read_ring(struct gw_ring_reader *r, struct gw_buf *scratch, uint32_t epoch)
{
	struct gw_seg_record rec;
	uint32_t no, of;

	while (gw_ring_next(r, scratch, &rec)) {
		assert_int_equal(rec.epoch, epoch);
		assert_int_equal(rec.body.n, 16);
		memcpy(&of, rec.body.p, 4);
		memcpy(&no, rec.body.p + 4, 4);
		assert_int_equal(of, epoch);
		assert_true(no < MAX_IDS);
		if (rec.type == GW_REC_START) {
			assert_int_equal(seen_start[no]++, 0);
		} else {
			assert_int_equal(seen_start[no], 1);
			assert_int_equal(seen_end[no]++, 0);
		}
	}
	gw_ring_advance(r, epoch, 0);
}

/* The logger's part for a dead epoch: every used entry is read, then cleared. */
static unsigned recover(struct gw_inflight *t, uint32_t epoch, unsigned *without_start, unsigned *with_end)
{
	static struct gw_inflight_entry e;
	unsigned n = 0;

	for (uint32_t i = 0; i < GW_INFLIGHT_ENTRIES; i++) {
		uint32_t no;

		if (!gw_inflight_read(t, i, &e))
			continue;
		assert_true(i < gw_inflight_end(t)); /* the logger looks no further */
		assert_int_equal(e.epoch, epoch);
		memcpy(&no, e.request_id + 4, 4);
		assert_true(no < MAX_IDS);
		assert_int_equal(seen_used[no]++, 0);
		assert_int_equal(e.body_bytes, 16);
		assert_memory_equal(e.body, e.request_id, 16);
		*without_start += !seen_start[no];
		*with_end += seen_end[no];
		gw_inflight_clear(t, i, epoch);
		n++;
	}
	return n;
}

static void starts_are_ends_and_entries(void **state)
{
	_Atomic uint32_t *is_started = shared_page(4096);
	struct gw_inflight *t;
	struct gw_ring_shared *ring;
	struct gw_ring_reader r;
	struct gw_buf scratch;
	uint64_t seed = 5, n_starts = 0;
	unsigned without_start = 0, with_end = 0, n_crashed = 0;

	(void)state;
	assert_int_equal(gw_inflight_make(test_dir, 0), GW_OK);
	assert_int_equal(gw_ring_make(test_dir, 0, 1 << 20), GW_OK);
	assert_int_equal(gw_inflight_open(test_dir, 0, &t), GW_OK);
	assert_int_equal(gw_ring_open(test_dir, 0, &ring), GW_OK);
	gw_buf_init(&scratch, GW_RING_MAX_FRAME);
	gw_ring_read_start(&r, ring, 0);
	for (uint32_t epoch = 1; epoch <= KILLS; epoch++) {
		unsigned no_start = 0, both = 0;
		pid_t pid;

		atomic_store(is_started, 0);
		memset(seen_start, 0, sizeof(seen_start));
		memset(seen_end, 0, sizeof(seen_end));
		memset(seen_used, 0, sizeof(seen_used));
		pid = fork();
		if (pid == 0)
			serve_forever(epoch, is_started);
		while (!atomic_load(is_started))
			;
		kill_child(pid, (unsigned)below(&seed, 1500));
		read_ring(&r, &scratch, epoch);
		assert_int_equal(r.corrupt, 0);
		n_crashed += recover(t, epoch, &no_start, &both);
		/* One thread: at most one request is between its entry and its START, or between END and freeing. */
		assert_true(no_start + both <= 1);
		without_start += no_start;
		with_end += both;
		for (unsigned no = 0; no < MAX_IDS; no++) {
			n_starts += seen_start[no];
			assert_true(!seen_start[no] || seen_end[no] || seen_used[no]);
		}
	}
	print_message("%d kills: %llu STARTs; %u entries left, %u of them without START, %u with END already\n", KILLS,
		      (unsigned long long)n_starts, n_crashed, without_start, with_end);
	assert_true(n_starts > KILLS * 10 && n_crashed > KILLS);
	gw_buf_done(&scratch);
	gw_ring_close(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_and_gives),
		cmocka_unit_test(stale_entries_come_back),
		cmocka_unit_test(grows_as_needed),
		cmocka_unit_test(starts_are_ends_and_entries),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
