/* One writer and its readers as threads over the same memory, for ThreadSanitizer (which cannot see across processes):
 *   meson setup build-tsan -Db_sanitize=thread -Db_lundef=false && meson test -C build-tsan --suite tsan
 * They run in every other build too, where they check the values. */
#include "tests/unit/shm/shm_test.h"
#include <pthread.h>
#include "lib/buf.h"
#include "shm/counters_read.h"
#include "shm/health.h"
#include "shm/inflight.h"
#include "shm/revoke.h"
#include "shm/ring.h"

static atomic_bool is_over;

static void run_two(void *(*a)(void *), void *(*b)(void *), void *arg)
{
	pthread_t ta, tb;

	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&ta, NULL, a, arg), 0);
	assert_int_equal(pthread_create(&tb, NULL, b, arg), 0);
	assert_int_equal(pthread_join(ta, NULL), 0);
	atomic_store(&is_over, true);
	assert_int_equal(pthread_join(tb, NULL), 0);
}

enum { RECORDS = 60000 };
struct ring_arg {
	struct gw_ring_shared *ring;
	uint64_t n_read, n_bad;
};

static void *ring_writer(void *p)
{
	struct ring_arg *a = p;
	struct gw_ring_writer w;
	uint64_t seed = 1, seq;
	static char body[1000];

	gw_ring_start(&w, a->ring, 0, 1);
	for (unsigned i = 0; i < RECORDS;) {
		size_t n = below(&seed, sizeof(body));

		memset(body, (char)(i + 1), n);
		if (gw_ring_put(&w, GW_REC_END, gw_str(body, n), &seq) == GW_OK)
			i++;
		else
			usleep(50);
	}
	return NULL;
}

static void *ring_reader(void *p)
{
	struct ring_arg *a = p;
	struct gw_ring_reader r;
	struct gw_seg_record rec;
	struct gw_buf scratch;

	gw_buf_init(&scratch, GW_RING_MAX_FRAME);
	gw_ring_read_start(&r, a->ring, 0);
	while (a->n_read < RECORDS && a->n_bad == 0) {
		unsigned n = 0;

		while (gw_ring_next(&r, &scratch, &rec)) {
			a->n_bad += rec.seq != ++a->n_read;
			for (size_t i = 0; i < rec.body.n; i++)
				a->n_bad += rec.body.p[i] != (char)rec.seq;
			if (++n == 20)
				break;
		}
		a->n_bad += r.corrupt;
		gw_ring_advance(&r, 1, a->n_read);
	}
	gw_buf_done(&scratch);
	return NULL;
}

static void ring_race(void **state)
{
	struct ring_arg a = { 0 };

	(void)state;
	assert_int_equal(gw_ring_make(test_dir, 0, GW_RING_MIN_BYTES), GW_OK);
	assert_int_equal(gw_ring_open(test_dir, 0, &a.ring), GW_OK);
	run_two(ring_writer, ring_reader, &a);
	assert_int_equal(a.n_bad, 0);
	assert_int_equal(a.n_read, RECORDS);
	gw_ring_close(a.ring);
}

struct revoke_arg {
	struct gw_revoke *r;
	uint64_t members[3000];
	uint64_t n_missed, n_looked;
};

static void *revoke_writer(void *p)
{
	struct revoke_arg *a = p;
	uint64_t seed = 5;

	for (unsigned i = 0; i < 60; i++) { /* the first 500 stay */
		gw_revoke_reset(a->r, a->members, 500 + below(&seed, 2500));
		for (unsigned k = 0; k < 200; k++)
			(void)!gw_revoke_add(a->r, a->members[below(&seed, 3000)]);
	}
	return NULL;
}

static void *revoke_reader(void *p)
{
	struct revoke_arg *a = p;

	while (!atomic_load(&is_over)) {
		for (unsigned i = 0; i < 500; i++, a->n_looked++)
			a->n_missed += !gw_revoke_has(a->r, a->members[i]);
		gw_revoke_has(a->r, a->n_looked);
	}
	return NULL;
}

static void revoke_race(void **state)
{
	static struct revoke_arg a;
	uint64_t seed = 77;

	(void)state;
	assert_int_equal(gw_revoke_open(test_dir, true, true, &a.r), GW_OK);
	for (unsigned i = 0; i < 3000; i++)
		a.members[i] = next_random(&seed);
	gw_revoke_reset(a.r, a.members, 3000);
	run_two(revoke_writer, revoke_reader, &a);
	assert_true(a.n_looked >= 500);
	assert_int_equal(a.n_missed, 0);
}

struct health_arg {
	struct gw_health *h;
	uint64_t key[50];
	uint64_t n_torn, n_missed, n_read;
};

static void *health_writer(void *p)
{
	struct health_arg *a = p;
	uint64_t seed = 5, keep[50];
	char words[60];

	memcpy(keep, a->key, sizeof(keep));
	for (unsigned i = 0; i < 5000; i++) {
		memset(words, 'a' + (char)below(&seed, 26), sizeof(words));
		(void)!gw_health_set(a->h, a->key[below(&seed, 50)], GW_VERDICT_DOWN, GW_E_UP_TLS, i, i, i,
				     gw_str(words, sizeof(words)));
		if (i % 500 == 0) {
			for (unsigned k = 0; k < 100; k++)
				(void)!gw_health_set(a->h, gw_health_key(GW_LIT("x"), i + k), GW_VERDICT_UP, GW_OK, 1,
						     1, 1, GW_NIL);
			gw_health_keep(a->h, keep, 50);
		}
	}
	return NULL;
}

static void *health_reader(void *p)
{
	struct health_arg *a = p;
	uint64_t seed = 6;

	do {
		const struct gw_health_cell *c = gw_health_get(a->h, a->key[below(&seed, 50)]);
		char words[GW_HEALTH_DETAIL];

		a->n_missed += c == NULL;
		if (!c)
			continue;
		a->n_read += atomic_load_explicit(&c->verdict, memory_order_acquire) == GW_VERDICT_DOWN;
		gw_health_detail(c, words);
		for (unsigned i = 0; words[i]; i++)
			a->n_torn += words[i] != words[0];
	} while (!atomic_load(&is_over));
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void health_race(void **state)
{
	static struct health_arg a;

	(void)state;
	assert_int_equal(gw_health_open(test_dir, true, true, &a.h), GW_OK);
	for (unsigned i = 0; i < 50; i++) {
		a.key[i] = gw_health_key(GW_LIT("dep"), i);
		assert_int_equal(gw_health_set(a.h, a.key[i], GW_VERDICT_DOWN, GW_E_UP_TLS, 1, 1, 1, GW_LIT("bb")),
				 GW_OK);
	}
	qsort(a.key, 50, sizeof(a.key[0]), by_value);
	run_two(health_writer, health_reader, &a);
	assert_true(a.n_read > 0);
	assert_int_equal(a.n_missed, 0);
	assert_int_equal(a.n_torn, 0);
}

enum { COUNTS = 20000 };
struct slot_arg {
	struct gw_slot *s;
	struct gw_slots slots;
	struct gw_cells *cells;
	uint64_t n_back, last;
};

static void *slot_writer(void *p)
{
	struct slot_arg *a = p;

	for (unsigned i = 0; i < COUNTS; i++) {
		char name[16];
		struct gw_cell_ids ids = { GW_NIL, GW_LIT("p"), GW_LIT("d"), GW_LIT("o"), GW_LIT("t") };
		struct gw_cell *c;

		snprintf(name, sizeof(name), "m%u", i % 300);
		ids.model = gw_str_z(name);
		c = gw_slot_cell(a->s, &ids);
		gw_count(&c->counter[GW_L_requests_2xx], 1);
		gw_observe(&c->hist[GW_LH_duration], i);
		gw_count(&a->s->metric[GW_M_bytes_in], 10);
	}
	return NULL;
}

static uint64_t sum_cells(struct slot_arg *a)
{
	uint64_t sum = 0;
	uint32_t n = gw_cells_gather(a->cells, &a->slots);

	for (uint32_t i = 0; i < n; i++)
		sum += gw_cells_at(a->cells, i)->counter[GW_L_requests_2xx];
	return sum;
}

static void *slot_reader(void *p)
{
	struct slot_arg *a = p;

	do {
		uint64_t sum = sum_cells(a);

		a->n_back += sum < a->last; /* no counter goes back */
		a->last = sum;
		gw_slots_sum(&a->slots, GW_M_bytes_in);
	} while (!atomic_load(&is_over));
	return NULL;
}

static void slot_race(void **state)
{
	static struct slot_arg a;

	(void)state;
	assert_int_equal(gw_slot_make(test_dir, 0, &a.s), GW_OK);
	a.slots.slot[0] = a.s;
	assert_int_equal(gw_cells_new(1000, &a.cells), GW_OK);
	run_two(slot_writer, slot_reader, &a);
	assert_int_equal(a.n_back, 0);
	assert_int_equal(sum_cells(&a), COUNTS);
	assert_int_equal(gw_slots_sum(&a.slots, GW_M_bytes_in), 10 * COUNTS);
	gw_cells_free(a.cells);
}

/* The logger clears a dead epoch's entries while the next worker takes and gives its own. */
struct inflight_arg {
	struct gw_inflight *t;
	uint64_t n_taken, n_cleared, n_alien;
};
enum { STALE = GW_INFLIGHT_ENTRIES - 10 };

static void *inflight_owner(void *p)
{
	struct inflight_arg *a = p;
	static struct gw_inflight_free f;
	static int held[GW_INFLIGHT_ENTRIES];
	uint8_t id[16] = { 2 };
	unsigned n = 0;

	gw_inflight_start(&f, a->t, 2);
	for (unsigned tries = 0; n < GW_INFLIGHT_ENTRIES && tries < 50000000; tries++) {
		int i = gw_inflight_take(a->t, &f, 2, id, 1, GW_LIT("two"));

		if (i >= 0)
			held[n++] = i;
		else if (n && tries % 3 == 0)
			gw_inflight_give(a->t, &f, held[--n]);
	}
	a->n_taken = n;
	return NULL;
}

static void *inflight_logger(void *p)
{
	struct inflight_arg *a = p;

	for (uint32_t i = 0; i < GW_INFLIGHT_ENTRIES; i++) {
		struct gw_inflight_entry *e = &a->t->entry[i];

		/* Only what was used before the new worker began is the logger's to read. */
		if (i >= STALE)
			continue;
		static struct gw_inflight_entry copy;
		if (!gw_inflight_read(a->t, i, &copy))
			continue;
		a->n_alien += copy.epoch != 1;
		gw_inflight_clear(a->t, i, 1);
		a->n_cleared += atomic_load(&e->state) == 0 || e->epoch == 2;
	}
	return NULL;
}

static void inflight_race(void **state)
{
	static struct inflight_arg a;
	static struct gw_inflight_free dead;
	uint8_t id[16] = { 1 };

	(void)state;
	assert_int_equal(gw_inflight_make(test_dir, 0), GW_OK);
	assert_int_equal(gw_inflight_open(test_dir, 0, &a.t), GW_OK);
	gw_inflight_start(&dead, a.t, 1);
	for (unsigned i = 0; i < STALE; i++)
		assert_int_equal(gw_inflight_take(a.t, &dead, 1, id, 1, GW_LIT("one")), i);
	run_two(inflight_owner, inflight_logger, &a);
	assert_int_equal(a.n_alien, 0);
	assert_int_equal(a.n_cleared, STALE);
	assert_int_equal(a.n_taken, GW_INFLIGHT_ENTRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_race), cmocka_unit_test(revoke_race),   cmocka_unit_test(health_race),
		cmocka_unit_test(slot_race), cmocka_unit_test(inflight_race),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
