/* Records arrive exactly once out of the rings, whether the logger is told or looks by itself, with lies and restarts in between. */
#include "tests/unit/logger/fixture.h"

/* What worker/record_out.c says. */
static void tell(struct gw_logger *l, uint64_t slot)
{
	struct gw_msg m = { .type = GW_MSG_RECORDS };

	GW_MSG_SET(&m, slot, slot);
	gw_lg_on_records(l, &m);
}

static void told_and_read(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 7);
	struct gw_logger *l = logger_new();
	struct trail t;

	gw_lg_slot_open(l, 0);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 3; i++)
			whole_request(w, 10);
		tell(l, 0);
		assert_int_equal(l->slots[0].reader.at, atomic_load(&w->ring->head));
		if (round % 4 == 0)
			assert_true(gw_lg_flush(l));
	}
	logger_end(l);
	assert_int_equal(atomic_load(&w->ring->tail), atomic_load(&w->ring->head));
	assert_int_equal(atomic_load(&w->ring->durable_seq), 1200);
	trail_read(&t, "request");
	assert_exactly(&t, 0, 7, 1200);
	assert_int_equal(t.n, 1200);
	assert_int_equal(t.spend, 6000);
	trail_done(&t);
	worker_free(w);
}

/* Calls that are lost, and ones that the logger never saw: what they were for comes with the next one, or with a poll. */
static void calls_may_be_lost(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(3, 1);
	struct gw_logger *l = logger_new();
	struct trail t;

	gw_lg_slot_open(l, 3);
	for (int round = 0; round < 60; round++) {
		whole_request(w, 1);
		if (round % 3 != 1)
			tell(l, 3);
		assert_true(gw_lg_flush(l));
	}
	whole_request(w, 1);
	gw_lg_poll_rings(l, false); /* may still be told */
	gw_lg_poll_rings(l, false); /* nobody tells */
	assert_int_equal(l->slots[3].reader.at, atomic_load(&w->ring->head));
	logger_end(l);
	trail_read(&t, "request");
	assert_exactly(&t, 3, 1, 122);
	assert_int_equal(t.n, 122);
	trail_done(&t);
	worker_free(w);
}

/* Called for slots that are another's, nobody's, or no slots; for nothing new; again and again. */
static void lies_are_harmless(void **state)
{
	(void)state;
	const uint64_t slots[] = { 0, 1, 2, GW_MAX_SLOTS - 1, GW_MAX_SLOTS, 1000, UINT64_MAX };
	struct fake_worker *w = worker_new(0, 5), *other = worker_new(1, 6);
	struct gw_logger *l = logger_new();
	struct trail t;

	gw_lg_slot_open(l, 0);
	gw_lg_slot_open(l, 1);
	for (size_t lie = 0; lie < sizeof slots / sizeof slots[0]; lie++) {
		whole_request(w, 1);
		whole_request(other, 1);
		for (int again = 0; again < 3; again++)
			tell(l, slots[lie]);
		assert_true(gw_lg_flush(l));
	}
	logger_end(l);
	trail_read(&t, "request");
	assert_exactly(&t, 0, 5, 14);
	assert_exactly(&t, 1, 6, 14);
	assert_int_equal(t.n, 28);
	trail_done(&t);
	worker_free(w);
	worker_free(other);
}

/* A compromised worker may put anything into its ring: others lose nothing, files stay sound. */
static void hostile_ring(void **state)
{
	(void)state;
	struct fake_worker *bad = worker_new(0, 5), *good = worker_new(1, 6);
	struct gw_logger *l = logger_new();
	uint8_t id[16] = { 1 };
	struct trail t;
	uint64_t seq;

	gw_lg_slot_open(l, 0);
	gw_lg_slot_open(l, 1);
	for (int i = 0; i < 3; i++) { /* costs whose sum no integer holds */
		put_record(bad, GW_REC_END, id, INT64_MAX);
		whole_request(good, 1);
	}
	gw_lg_poll_rings(l, true);
	assert_true(gw_lg_flush(l));
	size_t n = (RING_BYTES / 16) - 64; /* the largest frames that the ring takes, many in one batch */
	char *big = malloc(n);
	memset(big, 0xc1, n);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(gw_ring_put(&bad->out, GW_REC_START, gw_str(big, n), &seq), GW_OK);
		whole_request(good, 1);
	}
	free(big);
	gw_lg_poll_rings(l, true);
	assert_true(gw_lg_flush(l));
	for (uint32_t e = 6; e < 200; e++) { /* an incarnation for every record */
		gw_ring_start(&bad->out, bad->ring, 0, e);
		put_record(bad, GW_REC_START, id, 0);
		whole_request(good, 1);
		gw_lg_poll_rings(l, e % 50 == 0);
	}
	put_record(bad, GW_REC_ADMIN, id, 0); /* not a worker's to say */
	memset(bad->ring->data, 0x5a, RING_BYTES / 2);
	atomic_store(&bad->ring->head, atomic_load(&bad->ring->head) + 4096);
	logger_end(l);
	trail_read(&t, "request");
	assert_exactly(&t, 1, 6, good->out.seq);
	for (size_t i = 0; i < t.n; i++)
		assert_true(t.v[i].type != GW_REC_ADMIN);
	trail_done(&t);
	worker_free(bad);
	worker_free(good);
}

/* Random work, random crashes; after each crash the tail stands where it stood at some earlier durable moment or later. */
static void exactly_once_over_restarts(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 100), *x = worker_new(2, 101);
	uint64_t total = 0, seqs[2] = { 0, 0 };
	struct trail t;

	for (int life = 0; life < 24; life++) {
		struct gw_logger *l = logger_new();

		gw_lg_slot_open(l, 0);
		gw_lg_slot_open(l, 2);
		for (uint64_t i = 0, n = next_random() % 40; i < n; i++) {
			whole_request(w, 5);
			if (i % 3 == 0)
				whole_request(x, 7);
			switch (next_random() % 5) {
			case 0:
				tell(l, 0);
				break;
			case 1:
				gw_lg_poll_rings(l, true);
				break;
			case 2:
				assert_true(gw_lg_flush(l));
				break;
			default:
				break;
			}
		}
		uint64_t tails[2] = { atomic_load(&w->ring->tail), atomic_load(&x->ring->tail) };
		if (next_random() % 2) { /* durable, and dead before the tails moved */
			gw_lg_poll_rings(l, true);
			assert_true(gw_lg_flush(l));
			atomic_store(&w->ring->tail, tails[0]);
			atomic_store(&x->ring->tail, tails[1]);
		}
		logger_crash(l);
	}
	seqs[0] = w->out.seq;
	seqs[1] = x->out.seq;
	total = seqs[0] + seqs[1];
	struct gw_logger *l = logger_new();
	gw_lg_slot_open(l, 0);
	gw_lg_slot_open(l, 2);
	logger_end(l);
	trail_read(&t, "request");
	assert_exactly(&t, 0, 100, seqs[0]);
	assert_exactly(&t, 2, 101, seqs[1]);
	assert_int_equal(t.n, total);
	trail_done(&t);
	worker_free(w);
	worker_free(x);
}

/* A ring full of records that are durable already must be given back even though no new record ever comes. */
static void known_records_free_the_ring(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 3);
	struct gw_logger *l = logger_new();

	gw_lg_slot_open(l, 0);
	uint64_t tail = atomic_load(&w->ring->tail);
	for (int i = 0; i < 100; i++)
		whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	assert_true(gw_lg_flush(l));
	atomic_store(&w->ring->tail, tail);
	logger_crash(l);
	l = logger_new();
	gw_lg_slot_open(l, 0);
	assert_false(gw_lg_is_due(l));
	gw_lg_poll_rings(l, true);
	usleep(20000);
	assert_true(gw_lg_is_due(l)); /* the tick flushes when something is due */
	assert_true(gw_lg_flush(l));
	assert_true(gw_lg_rings_empty(l));
	assert_int_equal(l->request.fd, -1); /* and nothing was written for it */
	logger_crash(l);
	worker_free(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dirs, drop_dirs)
	const struct CMUnitTest tests[] = {
		T(told_and_read), T(calls_may_be_lost),          T(lies_are_harmless),
		T(hostile_ring),  T(exactly_once_over_restarts), T(known_records_free_the_ring),
	};
	return cmocka_run_group_tests(tests, make_key, drop_key);
}
