/* Costs against a golden table, against sums in decimal digits, and the laws they keep; the catalogue and how models are found in it. */
#include "tests/unit/lib/util.h"

#include "core/price_impl.h"

enum { M = 1000000 }; /* pico-USD a token is USD a million tokens times this */

static struct gw_cost cost(const struct gw_price_rate *rates, uint32_t n, struct gw_usage u)
{
	struct gw_price p = { .rates = rates, .n = n, .version = GW_LIT("test") };
	struct gw_cost c;

	u.is_known = true;
	gw_cost_of(&p, &u, &c);
	assert_true(c.input >= 0 && c.output >= 0 && c.input <= c.total - c.output);
	return c;
}

#define R(cls, ...)                                                                                                    \
	{                                                                                                              \
		GW_PC_##cls, __VA_ARGS__                                                                               \
	}
/* A model with every class of its own, and long and faster variants. */
static const struct gw_price_rate full[] = {
	R(INPUT, 0, 0, 2 * M),          R(OUTPUT, 0, 0, 10 * M),           R(CACHE_READ, 0, 0, M / 5),
	R(CACHE_WRITE_5M, 0, 0, 3 * M), R(CACHE_WRITE_1H, 0, 0, 4 * M),    R(REASONING, 0, 0, 7 * M),
	R(AUDIO_IN, 0, 0, 40 * M),      R(AUDIO_OUT, 0, 0, 80 * M),        R(IMAGE_IN, 0, 0, 5 * M),
	R(IMAGE_OUT, 0, 0, 30 * M),     R(SEARCH_LOW, 0, 0, 5000000000),   R(SEARCH_HIGH, 0, 0, 9000000000),
	R(QUERY, 0, 0, 2000000000),     R(INPUT, 0, 200, 4 * M),           R(OUTPUT, 0, 200, 15 * M),
	R(INPUT, GW_TIER_FLEX, 0, M),   R(OUTPUT, GW_TIER_FLEX, 0, 5 * M), R(INPUT, GW_TIER_PRIORITY, 200, 8 * M),
};
static const struct gw_price_rate plain[] = { R(INPUT, 0, 0, 2 * M), R(OUTPUT, 0, 0, 10 * M) };
static const struct gw_price_rate units[] = { R(IMAGE, 0, 0, 40000000000), R(SECOND, 0, 0, 100000000),
					      R(CHARACTER, 0, 0, 15000000), R(PIXEL, 0, 0, 20000) };

static const struct {
	const struct gw_price_rate *rates;
	uint32_t n;
	struct gw_usage u;
	int64_t want; /* nano-USD; -1 = unknown */
} golden[] = {
	/* 1000 in at 2 and 500 out at 10 USD a million: 0.002 + 0.005 USD */
	{ full, N_OF(full), { .input = 1000, .output = 500 }, 7000000 },
	/* a provider that counts more than it bills */
	{ full,
	  N_OF(full),
	  { .input = 1000, .output = 500, .is_billed_apart = true, .billed_input = 100, .billed_output = 50 },
	  700000 },
	/* each class of input once: 400 left at 2, 100 read at 0.2, 200 + 300 written at 3 and 4 */
	{ full,
	  N_OF(full),
	  { .input = 1000, .cache_read = 100, .cache_write_5m = 200, .cache_write_1h = 300 },
	  800000 + 20000 + 600000 + 1200000 },
	{ full,
	  N_OF(full),
	  { .input = 1000, .audio_in = 100, .image_in = 200 },
	  700 * 2000 + 100 * 40000 + 200 * 5000 },
	{ full,
	  N_OF(full),
	  { .output = 1000, .reasoning = 600, .audio_out = 100, .image_out = 200 },
	  100 * 10000 + 600 * 7000 + 100 * 80000 + 200 * 30000 },
	/* classes without a price of their own are what they are a part of */
	{ plain,
	  N_OF(plain),
	  { .input = 1000, .cache_read = 400, .cache_write_1h = 100, .audio_in = 300, .output = 10, .reasoning = 9 },
	  1000 * 2000 + 10 * 10000 },
	/* at the threshold and one above: all tokens, outputs too; what has no price above it keeps the one below */
	{ full, N_OF(full), { .input = 200000, .output = 1 }, 200000ll * 2000 + 10000 },
	{ full, N_OF(full), { .input = 200001, .output = 1 }, 200001ll * 4000 + 15000 },
	{ full, N_OF(full), { .input = 200001, .cache_read = 200000 }, 4000 + 200000ll * 200 },
	/* tiers, and a threshold's own price of a tier */
	{ full, N_OF(full), { .input = 1000, .output = 100, .tier = GW_TIER_FLEX }, 1000 * 1000 + 100 * 5000 },
	{ full, N_OF(full), { .input = 1000, .tier = GW_TIER_PRIORITY }, 1000 * 2000 },
	{ full, N_OF(full), { .input = 300000, .output = 1, .tier = GW_TIER_PRIORITY }, 300000ll * 8000 + 15000 },
	{ full, N_OF(full), { .input = 300000, .tier = GW_TIER_FLEX }, 300000ll * 4000 },
	/* searches by their size; not told: medium, which is not listed here, then low */
	{ full, N_OF(full), { .input = 1, .searches = 2, .search_size = GW_SEARCH_HIGH }, 2000 + 18000000 },
	{ full, N_OF(full), { .input = 1, .searches = 2 }, 2000 + 10000000 },
	{ full, N_OF(full), { .queries = 3 }, 6000000 },
	/* beside tokens */
	{ units, N_OF(units), { .images = 2 }, 80000000 },
	{ units, N_OF(units), { .images = 2, .pixels = 2 * M }, 80000000 },
	{ units + 3, 1, { .images = 2, .pixels = 2 * M }, 40000000 },
	{ units, N_OF(units), { .seconds = 61 }, 6100000 },
	{ units, N_OF(units), { .characters = 1000 }, 15000000 },
	/* pictures that were told in tokens, by a model with token prices: not billed twice */
	{ full, N_OF(full), { .input = 10, .output = 100, .images = 1 }, 10 * 2000 + 100 * 10000 },
	/* nothing fits: unknown */
	{ units, N_OF(units), { .input = 10 }, -1 },
	{ plain, N_OF(plain), { .images = 1 }, -1 },
	{ plain, 0, { .input = 10 }, -1 },
	/* used nothing: known and 0 only where tokens are priced is not claimed */
	{ plain, N_OF(plain), { 0 }, -1 },
};

static void golden_table(void **st)
{
	(void)st;
	for (size_t i = 0; i < N_OF(golden); i++) {
		struct gw_cost c = cost(golden[i].rates, golden[i].n, golden[i].u);

		if (c.is_known != (golden[i].want >= 0) || (c.is_known && c.total != golden[i].want))
			fail_msg("golden row %zu: %d %lld, not %lld", i, c.is_known, (long long)c.total,
				 (long long)golden[i].want);
	}
}

static void rounding(void **st)
{
	struct gw_price_rate r[] = { R(INPUT, 0, 0, 400), R(OUTPUT, 0, 0, 400) };
	struct gw_cost c = cost(r, 2, (struct gw_usage){ .input = 1, .output = 1 });

	(void)st;
	assert_int_equal(c.total, 1); /* once, not each part */
	r[0].pico = 499;
	assert_int_equal(cost(r, 1, (struct gw_usage){ .input = 1 }).total, 0);
	r[0].pico = 500;
	assert_int_equal(cost(r, 1, (struct gw_usage){ .input = 1 }).total, 1); /* half up */
	r[0].pico = UINT64_MAX;
	c = cost(r, 1, (struct gw_usage){ .input = UINT64_MAX });
	assert_true(c.total == INT64_MAX && c.input == INT64_MAX && c.output == 0);
}

static void of_anthropic(void **st)
{
	struct gw_price p = { .rates = plain, .n = 2, .is_anthropic = true };
	struct gw_usage u = { .input = 1000, .cache_read = 100, .cache_write_5m = 200, .cache_write_1h = 300 };
	struct gw_cost c;

	(void)st;
	gw_cost_of(&p, &u, &c);
	assert_int_equal(c.total, 400 * 2000 + 100 * 200 + 200 * 2500 + 300 * 4000);
	p.percent[GW_TIER_BATCH] = 50;
	u.tier = GW_TIER_BATCH;
	gw_cost_of(&p, &u, &c);
	assert_int_equal(c.total, (400 * 2000 + 100 * 200 + 200 * 2500 + 300 * 4000) / 2);
	p = (struct gw_price){ .rates = full, .n = N_OF(full), .is_anthropic = true }; /* listed ones stay */
	u.tier = GW_TIER_DEFAULT;
	gw_cost_of(&p, &u, &c);
	assert_int_equal(c.total, 400 * 2000 + 100 * 200 + 200 * 3000 + 300 * 4000);
}

static void told_by_the_provider(void **st)
{
	struct gw_price p = { .rates = plain, .n = 2 };
	struct gw_usage u = { .input = 1000, .output = 100, .has_cost = true, .provider_cost = 5000000 };
	struct gw_cost c;

	(void)st;
	gw_cost_of(&p, &u, &c);
	assert_true(c.is_known && c.is_providers && c.total == 5000000 && c.input == 2000000 && c.output == 1000000);
	u.provider_cost = 7;
	gw_cost_of(&p, &u, &c); /* parts that do not fit are not told */
	assert_true(c.total == 7 && c.input == 0 && c.output == 0);
	gw_cost_of(NULL, &u, &c);
	assert_true(c.is_known && c.is_providers && c.total == 7);
	p.is_operators = true; /* the operator's word goes first */
	gw_cost_of(&p, &u, &c);
	assert_true(!c.is_providers && c.total == 3000000);
	p = (struct gw_price){ .is_free = true, .is_operators = true };
	gw_cost_of(&p, &u, &c);
	assert_true(c.is_known && !c.is_providers && c.total == 0);
	u.has_cost = false;
	gw_cost_of(NULL, &u, &c);
	assert_false(c.is_known);
}

/* ---- laws ---- */

static uint64_t some(uint64_t max)
{
	return rng_below(max + 1) >> rng_below(20);
}

static struct gw_usage some_usage(void)
{
	struct gw_usage u = { .is_known = true,
			      .input = some(M),
			      .output = some(M),
			      .cache_read = some(M),
			      .cache_write_5m = some(M),
			      .cache_write_1h = some(M),
			      .audio_in = some(M),
			      .image_in = some(M),
			      .reasoning = some(M),
			      .audio_out = some(M),
			      .image_out = some(M),
			      .searches = some(100),
			      .queries = some(100),
			      .images = some(100),
			      .seconds = some(10000),
			      .characters = some(M),
			      .tier = (uint8_t)rng_below(GW_TIER_COUNT) };

	gw_usage_settle(&u);
	return u;
}

static uint32_t some_rates(struct gw_price_rate *r, uint32_t max, bool is_flat)
{
	uint32_t n = 1 + (uint32_t)rng_below(max);

	for (uint32_t i = 0; i < n; i++)
		r[i] = (struct gw_price_rate){ .cls = i < 2 ? (uint8_t)i : (uint8_t)rng_below(GW_PC_COUNT),
					       .tier = is_flat ? 0 : (uint8_t)rng_below(GW_TIER_COUNT),
					       .above_k = is_flat ? 0 : (uint16_t)rng_below(500),
					       .pico = some(1000000000) };
	return n;
}

/* The cost of a flat list, token by token class, in decimal digits: base 10^9 limbs, as on paper. */
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
	for (int round = 0; round < 100000; round++) {
		struct gw_price_rate r[] = { R(INPUT, 0, 0, some(1000000000)), R(OUTPUT, 0, 0, some(1000000000)),
					     R(CACHE_READ, 0, 0, some(1000000000)) };
		struct gw_usage u = { .input = some(1000000000), .output = some(1000000000) };
		uint64_t limb[6] = { 0 };

		u.cache_read = rng_below(u.input + 1);
		add_product(limb, u.input - u.cache_read, r[0].pico);
		add_product(limb, u.cache_read, r[2].pico);
		add_product(limb, u.output, r[1].pico);
		add_product(limb, 1, 500);
		if (limb[3] || limb[2] >= 9000) /* near the end of int64 nano-USD */
			continue;
		if (u.input || u.output)
			assert_int_equal(cost(r, 3, u).total,
					 (int64_t)(limb[2] * 1000000000000000 + limb[1] * 1000000 + limb[0] / 1000));
	}
}

/* More of anything, or a higher price, never costs less; the order of a list means nothing unless two rates say the same. */
static void monotone(void **st)
{
	struct gw_price_rate r[12];

	(void)st;
	for (int round = 0; round < 100000; round++) {
		uint32_t n = some_rates(r, N_OF(r), true), at = (uint32_t)rng_below(n);
		struct gw_usage u = some_usage(), more = u;
		int64_t before = cost(r, n, u).total;

		u.images = u.seconds = u.characters = more.images = more.seconds = more.characters =
		    0; /* these give way to tokens */
		before = cost(r, n, u).total;
		more.output += 1 + some(1000);
		more.input += some(1000);
		more.searches += some(3);
		if (cost(r, n, more).total < before)
			fail_msg("round %d: more costs less", round);
		for (uint32_t i = 0; i < n; i++) { /* of one class the first rate holds: raise that */
			if (r[i].cls == r[at].cls) {
				r[i].pico += 1 + some(1000);
				break;
			}
		}
		if (cost(r, n, u).total < before)
			fail_msg("round %d: a higher price costs less", round);
	}
}

/* Whatever the counts and prices: no overflow, parts within the whole (asserted in cost()). */
static void hostile(void **st)
{
	struct gw_price_rate r[20];

	(void)st;
	for (int round = 0; round < 100000; round++) {
		uint32_t n = some_rates(r, N_OF(r), false);
		struct gw_usage u = { 0 };
		uint8_t *bytes = (uint8_t *)&u;

		for (size_t i = 0; i < sizeof(u); i++)
			bytes[i] = (uint8_t)rng_below(256);
		u.is_known = u.is_estimated = false;
		u.is_partial = false;
		u.is_billed_apart = rng_below(2);
		u.has_cost = rng_below(2);
		for (uint32_t i = 0; i < n; i++)
			r[i].pico = rng_below(2) ? UINT64_MAX : r[i].pico;
		assert_true(cost(r, n, u).total >= 0);
		gw_usage_settle(&u);
		assert_true(cost(r, n, u).total >= 0);
	}
}

static void by_time(void **st)
{
	struct gw_price p[] = { { .from_us = 100, .until_us = 200 }, { .from_us = 150 }, { .until_us = 50 } };

	(void)st;
	assert_ptr_equal(gw_price_at(p, 3, 100), &p[0]);
	assert_ptr_equal(gw_price_at(p, 3, 199), &p[0]);
	assert_ptr_equal(gw_price_at(p, 3, 200), &p[1]);
	assert_ptr_equal(gw_price_at(p, 3, 49), &p[2]);
	assert_null(gw_price_at(p, 3, 50));
	assert_null(gw_price_at(NULL, 0, 50));
}

/* ---- the catalogue ---- */

static void catalogue_is_sound(void **st)
{
	struct gw_price p;
	char room[GW_PRICE_VERSION_BYTES];

	(void)st;
	assert_true(gw_price_n_rows > 1000);
	for (uint32_t i = 0; i < gw_price_n_rows; i++) {
		const struct gw_price_row *r = &gw_price_rows[i];
		struct gw_str name = gw_str(gw_price_names + r->name_at, r->name_n), provider, model;
		size_t slash = gw_str_find(name, '/');

		assert_true(slash < name.n && r->n_rates > 0);
		provider = gw_str(name.p, slash);
		model = gw_str_skip(name, slash + 1);
		if (!gw_price_find_exact(provider, model, &p, room))
			fail_msg("%.*s is not found", GW_FMT(name));
		assert_ptr_equal(p.rates, gw_price_rates + r->rates_at);
		for (uint32_t k = 0; k < p.n; k++) {
			assert_true(p.rates[k].cls < GW_PC_COUNT && p.rates[k].tier < GW_TIER_COUNT);
			if (p.rates[k].cls <= GW_PC_IMAGE_OUT && p.rates[k].pico > 1000000000)
				fail_msg("%.*s: more than 0.001 USD a token", GW_FMT(name));
		}
	}
}

static const char *found(const char *provider, const char *model, const char *region)
{
	static char name[256];
	char room[GW_PRICE_VERSION_BYTES];
	struct gw_price p;

	if (!gw_price_find(gw_str_z(provider), gw_str_z(model), gw_str_z(region), true, &p, room))
		return "";
	assert_true(gw_str_has_prefix(p.version, GW_LIT("catalogue 20")) && p.version.n > 21);
	snprintf(name, sizeof(name), "%.*s", GW_FMT(gw_str_skip(p.version, 21)));
	return name;
}

static void spellings(void **st)
{
	(void)st;
	assert_string_equal(found("openai", "gpt-4o", ""), "openai/gpt-4o");
	assert_string_equal(found("openai", "gpt-4o-2024-05-13", ""),
			    "openai/gpt-4o-2024-05-13"); /* a price of its own */
	assert_string_equal(found("openai", "gpt-4o-2031-05-13", ""), "openai/gpt-4o");
	assert_string_equal(found("openai", "ft:gpt-4o-2024-08-06:acme::x1", ""), "openai/ft:gpt-4o-2024-08-06");
	assert_string_equal(found("azure-openai", "gpt-4o", ""), "azure/gpt-4o");
	assert_string_equal(found("azure-openai", "gpt-4o-2024-08-06", "eu"), "azure/eu/gpt-4o-2024-08-06");
	assert_string_equal(found("openai-compatible", "gpt-4o", ""),
			    "openai/gpt-4o"); /* the maker's own model elsewhere */
	assert_string_equal(found("openrouter", "openai/gpt-4o", ""), "openai/gpt-4o");
	assert_string_equal(
	    found(
		"bedrock",
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
		""),
	    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0");
	assert_string_equal(found("bedrock", "sa.anthropic.claude-sonnet-4-5-20250929-v1:0", ""),
			    "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0");
	assert_string_equal(found("gemini", "models/gemini-2.5-pro", ""), "gemini/gemini-2.5-pro");
	assert_string_equal(found("vertex-ai", "claude-sonnet-4-5@20250929", ""), "vertex/claude-sonnet-4-5@20250929");
	assert_string_equal(found("vllm", "my-own-model", ""), "");
	assert_string_equal(found("", "", ""), "");
	assert_string_equal(found("openai", "arn:", ""), "");
	assert_string_equal(found("bedrock", "us.", ""), "");
}

static void known_model(void **st)
{
	char room[GW_PRICE_VERSION_BYTES];
	struct gw_usage u = { .input = 1000000, .output = 1000000, .cache_read = 0 };
	struct gw_price p;
	struct gw_cost c;

	(void)st;
	assert_true(gw_price_find(GW_LIT("openai"), GW_LIT("gpt-4o-mini"), GW_NIL, false, &p, room));
	gw_cost_of(&p, &u, &c); /* 0.15 and 0.60 USD a million */
	assert_true(c.total == 750000000 && c.input_price == 150000 && c.output_price == 600000);
	assert_true(gw_price_find(GW_LIT("anthropic"), GW_LIT("claude-sonnet-4-5"), GW_NIL, false, &p, room) &&
		    p.is_anthropic);
	assert_false(gw_price_find(GW_LIT("vllm"), GW_LIT("gpt-4o"), GW_NIL, false, &p, room));
	/* pictures: quality and size; the usual quality where none is told; nothing that only looks like it */
	assert_true(gw_price_find_picture(GW_LIT("azure-openai"), GW_LIT("dall-e-3"), GW_LIT("hd"), GW_LIT("1024x1792"),
					  &p, room) &&
		    p.n == 1 && p.rates[0].cls == GW_PC_IMAGE && p.rates[0].pico == 132000015974);
	assert_true(
	    gw_price_find_picture(GW_LIT("azure-openai"), GW_LIT("dall-e-3"), GW_NIL, GW_LIT("1024x1024"), &p, room) &&
	    p.rates[0].pico == 44000031539);
	assert_true(gw_price_find_picture(GW_LIT("openai"), GW_LIT("gpt-image-1.5-2025-12-16"), GW_LIT("auto"),
					  GW_LIT("1024x1536"), &p, room) &&
		    p.rates[0].pico == 13000000000);
	assert_false(
	    gw_price_find_picture(GW_LIT("openai"), GW_LIT("gpt-image-1"), GW_LIT("high"), GW_LIT("9x9"), &p, room));
	assert_false(gw_price_find_picture(GW_LIT("openai"), GW_LIT("gpt-image-1"), GW_LIT("ultra"),
					   GW_LIT("1024x1024"), &p, room));
	assert_false(gw_price_find_picture(GW_LIT("openai"), GW_LIT("gpt-image-1"), GW_LIT("high"), GW_NIL, &p, room));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_table),
		cmocka_unit_test(rounding),
		cmocka_unit_test(of_anthropic),
		cmocka_unit_test(told_by_the_provider),
		cmocka_unit_test(against_paper),
		cmocka_unit_test(monotone),
		cmocka_unit_test(hostile),
		cmocka_unit_test(by_time),
		cmocka_unit_test(catalogue_is_sound),
		cmocka_unit_test(spellings),
		cmocka_unit_test(known_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
