/* lib/hist.h */
#include "util.h"

#include "lib/hist.h"

static void slots_cover(void **st)
{
	(void)st;
	for (uint32_t sub = 0; sub <= 5; sub++) {
		uint32_t n = gw_hist_slots(sub, 14), last = 0;

		for (uint64_t v = 0; v < 1 << 14; v++) {
			uint32_t i = gw_hist_index(v, sub, 14);
			uint64_t top = gw_hist_value(i, sub);

			assert_true(i < n && (i == last || i == last + 1)); /* no gap, no step back */
			assert_true(top >= v);
			assert_true(top - v <= v >> sub); /* relative error */
			if (v)
				assert_true(gw_hist_value(i, sub) == v || gw_hist_index(v + 1, sub, 15) == i);
			last = i;
		}
		assert_int_equal(last, n - 1);
		assert_int_equal(gw_hist_index(UINT64_MAX, sub, 14), n - 1); /* clamped */
	}
	assert_int_equal(gw_hist_index(UINT64_MAX, 10, 64), gw_hist_slots(10, 64) - 1);
	assert_true(gw_hist_value(gw_hist_slots(10, 64) - 1, 10) == UINT64_MAX);
	for (int k = 0; k < 100000; k++) {
		uint64_t v = rng() >> rng_below(64), top = gw_hist_value(gw_hist_index(v, 10, 64), 10);

		assert_true(top >= v && top - v <= v >> 10);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void quantiles(void **st)
{
	static uint64_t values[5000];
	static const double qs[] = { 0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
	uint32_t n = gw_hist_slots(10, 40);
	uint64_t *slots = calloc(n, sizeof(*slots));

	(void)st;
	assert_int_equal(gw_hist_quantile(slots, n, 10, 0.5), 0);
	slots[1] = slots[10] = 1; /* of two values, anything past one half is the second */
	assert_int_equal(gw_hist_quantile(slots, n, 10, 0.5), 1);
	assert_int_equal(gw_hist_quantile(slots, n, 10, 0.51), 10);
	assert_int_equal(gw_hist_quantile(slots, n, 10, 0), 1);
	slots[1] = slots[10] = 0;
	for (size_t i = 0; i < N_OF(values); i++) {
		values[i] = rng() >> (24 + rng_below(30));
		slots[gw_hist_index(values[i], 10, 40)]++;
	}
	qsort(values, N_OF(values), sizeof(values[0]), by_value);
	for (size_t i = 0; i < N_OF(qs); i++) {
		double exact_rank = qs[i] * (double)N_OF(values);
		size_t rank = (size_t)exact_rank + ((double)(size_t)exact_rank < exact_rank);
		uint64_t want = values[rank ? rank - 1 : 0], got = gw_hist_quantile(slots, n, 10, qs[i]);

		assert_true(got >= want && got - want <= want >> 10);
	}
	free(slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(slots_cover), cmocka_unit_test(quantiles) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
