/* bench/llmgw-bench_plan.h: when requests come due, ramps, mixes, names, durations. */
#include "tests/unit/lib/util.h"

#include <math.h>
#include "bench/llmgw-bench.h"

static struct bench_plan plan(double from, double to, uint64_t ms)
{
	struct bench_plan p = { .n_stages = 1, .is_open = true, .seed = 3 };

	p.stages[0] = (struct bench_stage){ ms, from, to, 10, 10 };
	return p;
}

static void constant_rate_is_exact(void **st)
{
	struct bench_plan p = plan(250, 250, 4000);
	struct bench_arrivals a;
	uint64_t n = 0;

	(void)st;
	for (bench_arrivals_init(&a, &p); a.next_ns != UINT64_MAX; bench_arrivals_step(&a), n++)
		assert_true(llabs((int64_t)a.next_ns - (int64_t)(n * 4000000)) <= 1);
	assert_int_equal(n, 1000);
}

static void ramps_have_the_right_number(void **st)
{
	struct bench_plan p = plan(0, 1000, 10000);
	struct bench_arrivals a;
	uint64_t n = 0, half = 0, last = 0;

	(void)st;
	p.warmup_ms = 1000; /* at a rate of 0 nothing comes */
	for (bench_arrivals_init(&a, &p); a.next_ns != UINT64_MAX; bench_arrivals_step(&a), n++) {
		assert_true(a.next_ns >= last);
		last = a.next_ns;
		half += a.next_ns < 6000000000u;
	}
	assert_int_equal(n, 5000);
	assert_in_range(half, 1249, 1251); /* a quarter of them in the first half */
	assert_true(fabs(bench_plan_rate_at(&p, 6000000000u) - 500) < 1e-6);
	p = plan(1000, 0, 10000); /* downwards */
	for (n = 0, bench_arrivals_init(&a, &p); a.next_ns != UINT64_MAX; bench_arrivals_step(&a))
		n++;
	assert_in_range(n, 4999, 5001);
}

static void stages_follow_each_other(void **st)
{
	struct bench_plan p = plan(100, 100, 1000);
	struct bench_arrivals a;
	uint64_t in[3] = { 0 };

	(void)st;
	p.n_stages = 3;
	p.stages[1] = (struct bench_stage){ 1000, 0, 0, 10, 500 };
	p.stages[2] = (struct bench_stage){ 1000, 300, 300, 500, 500 };
	for (bench_arrivals_init(&a, &p); a.next_ns != UINT64_MAX; bench_arrivals_step(&a))
		in[a.next_ns / 1000000000u]++;
	assert_int_equal(in[0], 100);
	assert_int_equal(in[1], 0);
	assert_int_equal(in[2], 300);
	assert_int_equal(bench_plan_connections(&p), 500);
	assert_int_equal(bench_plan_connections_at(&p, 1500000000u), 255);
	assert_int_equal(bench_plan_ms(&p), 3000);
}

static void poisson_has_mean_and_spread(void **st)
{
	struct bench_plan p = plan(1000, 1000, 100000);
	struct bench_arrivals a;
	double sum = 0, squares = 0, before = 0;
	uint64_t n = 0;

	(void)st;
	p.is_poisson = true;
	for (bench_arrivals_init(&a, &p); a.next_ns != UINT64_MAX; bench_arrivals_step(&a), n++) {
		double gap = (double)a.next_ns / 1e6 - before; /* milliseconds */

		sum += gap;
		squares += gap * gap;
		before = (double)a.next_ns / 1e6;
	}
	assert_true(n > 98500 && n < 101500);
	assert_true(fabs(sum / (double)n - 1) < 0.02);
	assert_true(fabs(squares / (double)n - 2) < 0.1); /* E[x²] of an exponential is twice its mean squared */
}

/* A server with one connection that stands still for a second: counted from when requests were due the stall is seen by
 * all that came due in it; counted from when they were sent it is seen once. That is coordinated omission. */
static void stalls_are_not_omitted(void **st)
{
	struct bench_plan p = plan(1000, 1000, 10000);
	struct bench_arrivals a;
	struct bench_hist due = { 0 }, sent = { 0 };
	uint64_t free_at = 0;

	(void)st;
	for (bench_arrivals_init(&a, &p); a.next_ns != UINT64_MAX; bench_arrivals_step(&a)) {
		uint64_t begin = a.next_ns > free_at ? a.next_ns : free_at, end = begin + 100000;

		if (begin < 5000000000u && end >= 5000000000u - 1000000)
			end = 6000000000u; /* the stall */
		bench_hist_add(&due, end - a.next_ns);
		bench_hist_add(&sent, end - begin);
		free_at = end;
	}
	assert_true(bench_hist_us(&sent, 0.99) < 200);
	assert_true(bench_hist_us(&due, 0.99) > 800000);
	assert_true(bench_hist_us(&due, 0.5) < 200);
	assert_true((double)due.max >= 1e9 && bench_hist_us(&due, 1) >= 1e6 * 0.999);
	bench_hist_free(&due);
	bench_hist_free(&sent);
}

static void histograms_are_within_a_thousandth(void **st)
{
	struct bench_hist h = { 0 };

	(void)st;
	assert_true(bench_hist_us(&h, 0.99) == 0);
	for (uint64_t i = 1; i <= 100000; i++)
		bench_hist_add(&h, i * 1000);
	for (int q = 1; q < 100; q++)
		assert_true(fabs(bench_hist_us(&h, q / 100.0) / (q * 1000.0) - 1) < 0.0015);
	bench_hist_clear(&h);
	assert_true(h.n == 0 && bench_hist_us(&h, 0.5) == 0);
	bench_hist_free(&h);
}

static void mixes_follow_their_weights(void **st)
{
	struct bench_plan p = { .n_classes = 3 };
	struct bench_rng r;
	uint32_t n[3] = { 0 };

	(void)st;
	p.classes[0].weight = 70;
	p.classes[1].weight = 0;
	p.classes[2].weight = 30;
	bench_rng_init(&r, 1);
	for (int i = 0; i < 100000; i++)
		n[bench_plan_pick(&p, &r)]++;
	assert_in_range(n[0], 69000, 71000);
	assert_int_equal(n[1], 0);
	for (int i = 0; i < 10000; i++)
		assert_true(bench_rng_below(&r, 7) < 7);
}

static void names_and_numbers(void **st)
{
	struct bench_plan p = { .n_classes = 1 };
	struct bench_names *n = &p.classes[0].models;
	uint64_t ms;
	double a, b;

	(void)st;
	assert_true(bench_names_expand(n, GW_LIT("m-{8..11}-x")));
	assert_int_equal(n->n, 4);
	assert_string_equal(n->items[3], "m-11-x");
	for (int i = 0; i < 300; i++)
		assert_true(bench_names_add(n, GW_LIT("again")));
	assert_string_equal(n->items[303], "again");
	assert_false(bench_names_expand(n, GW_LIT("m-{8..}")));
	assert_false(bench_names_expand(n, GW_LIT("m-{9..8}")));
	assert_false(bench_names_expand(n, GW_LIT("m-{1..99999}")));
	assert_false(bench_names_expand(n, GW_LIT("m-{1..2")));
	bench_plan_free(&p);
	assert_true(bench_duration(GW_LIT("1500ms"), &ms) && ms == 1500);
	assert_true(bench_duration(GW_LIT("1.5s"), &ms) && ms == 1500);
	assert_true(bench_duration(GW_LIT("2m"), &ms) && ms == 120000);
	assert_true(bench_duration(GW_LIT("7"), &ms) && ms == 7000);
	assert_false(bench_duration(GW_LIT(""), &ms) || bench_duration(GW_LIT("s"), &ms) ||
		     bench_duration(GW_LIT("-1s"), &ms) || bench_duration(GW_LIT("25h"), &ms) ||
		     bench_duration(GW_LIT("5 s"), &ms));
	assert_true(bench_range(GW_LIT("100..2.5"), 1000, &a, &b) && a == 100 && b == 2.5);
	assert_true(bench_range(GW_LIT("7"), 1000, &a, &b) && a == 7 && b == 7);
	assert_false(bench_range(GW_LIT("7.."), 1000, &a, &b) || bench_range(GW_LIT("1001"), 1000, &a, &b) ||
		     bench_range(GW_LIT("1e3"), 1000, &a, &b) || bench_range(GW_NIL, 1000, &a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_rate_is_exact),     cmocka_unit_test(ramps_have_the_right_number),
		cmocka_unit_test(stages_follow_each_other),   cmocka_unit_test(poisson_has_mean_and_spread),
		cmocka_unit_test(stalls_are_not_omitted),     cmocka_unit_test(histograms_are_within_a_thousandth),
		cmocka_unit_test(mixes_follow_their_weights), cmocka_unit_test(names_and_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
