/* Usage out of replies, and its price against arithmetic with decimal digits. */
#include "tests/unit/lib/util.h"

#include "core/usage.h"

static struct gw_usage scan(const char *json, struct gw_usage u)
{
	struct gw_scan_value values[GW_UP_PATHS];
	struct gw_json_scan s;

	gw_json_scan_init(&s, gw_usage_tree, values, GW_UP_PATHS);
	gw_json_scan_feed(&s, json, strlen(json));
	gw_usage_take(&u, values);
	return u;
}

static void taken(void **st)
{
	const struct gw_usage none = { 0 };
	struct gw_usage u = scan(
	    "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,"
	    "\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}",
	    none);

	(void)st;
	assert_true(u.is_known);
	assert_int_equal(u.input, 10);
	assert_int_equal(u.output, 5);
	assert_int_equal(u.cached, 4);
	assert_int_equal(u.reasoning, 2);
	u = scan("{\"usage\":null}", u); /* nothing said: what was known stays */
	assert_int_equal(u.input, 10);
	u = scan("{\"usage\":{\"completion_tokens\":9}}", u);
	assert_int_equal(u.output, 9);
	assert_false(scan("{\"usage\":null}", none).is_known);
	assert_false(scan("{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5}}", none).is_known);
	assert_false(scan("{\"usage\":{\"prompt_tokens\":\"10\"}}", none).is_known);
	u = scan("{\"usage\":{\"prompt_tokens\":999999999999999,\"completion_tokens\":1}}", none);
	assert_int_equal(u.input, 1000000000); /* clamped */
}

static void known_prices(void **st)
{
	/* 1000 in, 500 out at 0.15 and 0.60 USD per million: 0.00015 + 0.0003 USD */
	struct gw_usage u = { .is_known = true, .input = 1000, .output = 500 };

	(void)st;
	assert_int_equal(gw_price_nanousd(&u, 150000, 600000, 75000), 450000);
	u.cached = 1000;
	assert_int_equal(gw_price_nanousd(&u, 150000, 600000, 75000), 375000);
	assert_int_equal(gw_price_nanousd(&u, 150000, 600000, 0), 450000); /* no price of its own: as any other input */
	u = (struct gw_usage){ .input = 1 };
	assert_int_equal(gw_price_nanousd(&u, 499, 0, 0), 0);
	assert_int_equal(gw_price_nanousd(&u, 500, 0, 0), 1); /* half up */
	assert_int_equal(gw_price_nanousd(&u, 1499, 0, 0), 1);
	assert_int_equal(gw_price_nanousd(&u, 1500, 0, 0), 2);
	u = (struct gw_usage){ .input = 1, .output = 1 };
	assert_int_equal(gw_price_nanousd(&u, 400, 400, 0), 1); /* rounded once, not each part */
	u = (struct gw_usage){ .input = 5, .cached = 50 }; /* more cached than there is */
	assert_int_equal(gw_price_nanousd(&u, 1000000, 0, 1000), 5);
	u = (struct gw_usage){ .input = UINT64_MAX, .output = UINT64_MAX };
	assert_true(gw_price_nanousd(&u, UINT64_MAX, UINT64_MAX, UINT64_MAX) == INT64_MAX);
}

/* The same sum digit by digit, as on paper: base 10^9 limbs. */
static void add_product(uint64_t limb[6], uint64_t a, uint64_t b)
{
	uint64_t x[3] = { a % 1000000000, a / 1000000000 % 1000000000, a / 1000000000 / 1000000000 };
	uint64_t y[3] = { b % 1000000000, b / 1000000000 % 1000000000, b / 1000000000 / 1000000000 };

	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 3; k++) {
			uint64_t v = x[i] * y[k];

			for (int at = i + k; v && at < 6; at++) {
				v += limb[at];
				limb[at] = v % 1000000000;
				v /= 1000000000;
			}
		}
	}
}

static void against_paper(void **st)
{
	(void)st;
	for (int round = 0; round < 200000; round++) {
		struct gw_usage u = { .input = rng_below(1000000001), .output = rng_below(1000000001) };
		uint64_t in = rng_below(1000000001) >> rng_below(30), out = rng_below(1000000001) >> rng_below(30);
		uint64_t cp = rng_below(2) ? rng_below(1000000001) >> rng_below(30) : 0, limb[6] = { 0 };
		uint64_t want, cached;

		u.cached = rng_below(u.input + 2);
		cached = u.cached < u.input ? u.cached : u.input;
		add_product(limb, u.input - cached, in);
		add_product(limb, cached, cp ? cp : in);
		add_product(limb, u.output, out);
		add_product(limb, 1, 500);
		assert_int_equal(limb[3] + limb[4] + limb[5], 0); /* below 10^27 pico-USD */
		if (limb[2] >= 9000) /* near the end of int64 nano-USD */
			continue;
		want = limb[2] * 1000000000000000 + limb[1] * 1000000 + limb[0] / 1000;
		assert_int_equal(gw_price_nanousd(&u, in, out, cp), (int64_t)want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(taken), cmocka_unit_test(known_prices),
					    cmocka_unit_test(against_paper) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
