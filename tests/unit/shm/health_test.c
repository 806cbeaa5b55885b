/* Health verdicts: set, changed, forgotten, and the table when it is full. */
#include "tests/unit/shm/shm_test.h"
#include "shm/health.h"

enum { MAX = GW_HEALTH_CELLS / 4 * 3 };

static struct gw_health *open_one(void)
{
	struct gw_health *h;

	assert_int_equal(gw_health_open(test_dir, true, true, &h), GW_OK);
	gw_health_keep(h, NULL, 0);
	return h;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sets_and_gets(void **state)
{
	struct gw_health *h = open_one(), *ro;
	uint64_t key = gw_health_key(GW_LIT("dep-1"), 3);
	const struct gw_health_cell *c;
	char words[GW_HEALTH_DETAIL], longer[300];

	(void)state;
	assert_int_equal(gw_health_open(test_dir, false, false, &ro), GW_OK);
	assert_int_not_equal(key, gw_health_key(GW_LIT("dep-1"), 4));
	assert_int_not_equal(key, gw_health_key(GW_LIT("dep-2"), 3));
	assert_ptr_equal(gw_health_get(ro, key), NULL);
	assert_ptr_equal(gw_health_get(ro, 0), NULL);
	assert_int_equal(gw_health_set(h, key, GW_VERDICT_DOWN, GW_E_UP_REFUSED, 250, 10, 1000, GW_LIT("no route")),
			 GW_OK);
	c = gw_health_get(ro, key);
	assert_non_null(c);
	assert_int_equal(atomic_load(&c->verdict), GW_VERDICT_DOWN);
	assert_int_equal(-(int)atomic_load(&c->error), GW_E_UP_REFUSED);
	assert_int_equal(atomic_load(&c->latency_us), 250);
	assert_int_equal(atomic_load(&c->changed_us), 1000);
	gw_health_detail(c, words);
	assert_string_equal(words, "no route");
	/* The same verdict again: checked anew, not changed. */
	assert_int_equal(gw_health_set(h, key, GW_VERDICT_DOWN, GW_E_UP_CONNECT, 1, 20, 2000, GW_NIL), GW_OK);
	assert_int_equal(atomic_load(&c->changed_us), 1000);
	assert_int_equal(atomic_load(&c->checked_ns), 20);
	gw_health_detail(c, words);
	assert_string_equal(words, "");
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(gw_health_set(h, key, GW_VERDICT_UP, GW_OK, 1, 30, 3000, gw_str(longer, 300)), GW_OK);
	assert_int_equal(atomic_load(&c->changed_us), 3000);
	assert_int_equal(atomic_load(&c->error), 0);
	gw_health_detail(c, words);
	assert_int_equal(strlen(words), GW_HEALTH_DETAIL - 1);
	/* A writer that died in the middle does not stop readers. */
	atomic_store(&((struct gw_health_cell *)(uintptr_t)gw_health_get(h, key))->seq, 7);
	gw_health_detail(c, words);
	assert_string_equal(words, "");
	assert_int_equal(gw_health_set(h, key, GW_VERDICT_UP, GW_OK, 1, 40, 4000, GW_NIL), GW_OK);
	assert_int_equal(atomic_load(&c->seq) % 2, 0);
	/* Forgotten and new again: a new verdict, even if it is the one that the cell held. */
	gw_health_keep(h, NULL, 0);
	assert_ptr_equal(gw_health_get(ro, key), NULL);
	assert_int_equal(gw_health_set(h, key, GW_VERDICT_UP, GW_OK, 1, 50, 5000, GW_NIL), GW_OK);
	assert_ptr_equal(gw_health_get(ro, key), c);
	assert_int_equal(atomic_load(&c->changed_us), 5000);
}

static void full_and_forgotten(void **state)
{
	struct gw_health *h = open_one();
	static uint64_t keys[MAX + 1], keep[MAX];
	uint64_t seed = 5;

	(void)state;
	for (unsigned i = 0; i <= MAX; i++)
		keys[i] = gw_health_key(GW_LIT("d"), i);
	for (unsigned i = 0; i < MAX; i++)
		assert_int_equal(gw_health_set(h, keys[i], GW_VERDICT_UP, GW_OK, i, 1, 1, GW_NIL), GW_OK);
	assert_int_equal(gw_health_set(h, keys[MAX], GW_VERDICT_UP, GW_OK, 0, 1, 1, GW_NIL), GW_E_NO_SPACE);
	assert_int_equal(gw_health_set(h, keys[0], GW_VERDICT_DOWN, GW_E_UP_TLS, 0, 1, 1, GW_NIL), GW_OK);
	for (unsigned round = 0; round < 6; round++) {
		static bool is_in[MAX];
		size_t n = 0;

		for (unsigned i = 0; i < MAX; i++) {
			is_in[i] = below(&seed, 3) > 0;
			if (is_in[i])
				keep[n++] = keys[i];
		}
		qsort(keep, n, sizeof(*keep), by_value);
		for (unsigned i = 0; i < MAX; i++)
			assert_int_equal(gw_health_set(h, keys[i], GW_VERDICT_UP, GW_OK, i, 1, 1, GW_NIL), GW_OK);
		gw_health_keep(h, keep, n);
		for (unsigned i = 0; i < MAX; i++) {
			const struct gw_health_cell *c = gw_health_get(h, keys[i]);

			assert_int_equal(c != NULL, is_in[i]);
			if (c)
				assert_int_equal(atomic_load(&c->latency_us), i);
		}
	}
	gw_health_keep(h, NULL, 0);
	for (unsigned i = 0; i < GW_HEALTH_CELLS; i++)
		assert_int_equal(atomic_load(&h->cell[i].key), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sets_and_gets), cmocka_unit_test(full_and_forgotten) };

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
