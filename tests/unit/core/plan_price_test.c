/* Which price holds for a candidate: the deployment's own, price objects by how particular they are and by their days, the catalogue. */
#include "tests/unit/core/rows.h"

#include "core/price.h"

static int set_up(void **st)
{
	(void)st;
	n_objects = 0;
	give(GW_KIND_provider, "p",
	     "{\"id\":\"p\",\"version\":3,\"type\":\"openai\",\"base_url\":\"http://127.0.0.1:9000/v1/\"}");
	give(GW_KIND_deployment, "d",
	     "{\"id\":\"d\",\"version\":9,\"provider\":\"p\",\"upstream_model\":\"gpt-4o-mini\"}");
	give(GW_KIND_model, "m", "{\"id\":\"m\",\"name\":\"m\",\"targets\":[{\"deployment\":\"d\"}]}");
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	return 0;
}

static int tear_down(void **st)
{
	(void)st;
	gw_arena_done(&arena);
	gw_buf_done(&row);
	return 0;
}

static const struct gw_candidate *candidate(const char *org, const char *team)
{
	struct gw_subject s = { .org = gw_str_z(org), .team = gw_str_z(team) };
	static struct gw_plan p;

	p = (struct gw_plan){ 0 };
	assert_int_equal(gw_plan_resolve(&arena, &rows, &s, GW_LIT("m"), &p), GW_OK);
	assert_int_equal(p.n_candidates, 1);
	return p.candidates;
}

/* Version of the price that holds at a time, "" for none. */
static struct gw_str version(const struct gw_candidate *c, int64_t now_us)
{
	const struct gw_price *p = gw_price_at(c->prices, c->n_prices, now_us);

	return p ? p->version : GW_NIL;
}

static void who_goes_first(void **st)
{
	(void)st;
	assert_true(gw_str_has_prefix(version(candidate("", ""), 1), GW_LIT("catalogue ")));
	give(GW_KIND_price, "all", "{\"id\":\"all\",\"version\":1,\"model\":\"*\",\"input\":1,\"batch_percent\":50}");
	assert_str(version(candidate("", ""), 1), "price all@1");
	give(GW_KIND_price, "family", "{\"id\":\"family\",\"version\":2,\"model\":\"gpt-4o*\",\"input\":2}");
	assert_str(version(candidate("", ""), 1), "price family@2");
	give(GW_KIND_price, "exact", "{\"id\":\"exact\",\"version\":3,\"model\":\"gpt-4o-mini\",\"input\":3}");
	assert_str(version(candidate("", ""), 1), "price exact@3");
	give(GW_KIND_price, "type",
	     "{\"id\":\"type\",\"version\":4,\"model\":\"*\",\"provider_type\":\"openai\",\"input\":4}");
	give(GW_KIND_price, "other",
	     "{\"id\":\"other\",\"version\":4,\"model\":\"*\",\"provider_type\":\"openai-compatible\",\"input\":4}");
	assert_str(version(candidate("", ""), 1), "price type@4");
	give(GW_KIND_price, "org", "{\"id\":\"org\",\"version\":5,\"model\":\"*\",\"for_org\":\"acme\",\"input\":5}");
	give(GW_KIND_price, "team", "{\"id\":\"team\",\"version\":6,\"model\":\"*\",\"for_team\":\"red\",\"input\":6}");
	assert_str(version(candidate("", ""), 1), "price type@4");
	assert_str(version(candidate("acme", ""), 1), "price org@5");
	assert_str(version(candidate("acme", "red"), 1), "price team@6");
	give(GW_KIND_price, "team",
	     "{\"id\":\"team\",\"version\":7,\"model\":\"*\",\"for_team\":\"red\",\"input\":6,\"disabled\":true}");
	assert_str(version(candidate("acme", "red"), 1), "price org@5");
	give(GW_KIND_deployment, "d",
	     "{\"id\":\"d\",\"version\":10,\"provider\":\"p\",\"upstream_model\":\"gpt-4o-mini\",\"input_price\":7}");
	assert_str(version(candidate("acme", "red"), 1), "deployment d@10");
	assert_int_equal(candidate("acme", "red")->n_prices, 1);
}

/* Days: image rows carry microseconds. */
static void from_a_day_on(void **st)
{
	const struct gw_candidate *c;

	(void)st;
	give(GW_KIND_price, "old",
	     "{\"id\":\"old\",\"version\":1,\"model\":\"gpt-4o-mini\",\"input\":1,\"effective_until\":\"2026-01-01T00:"
	     "00:00Z\"}");
	give(GW_KIND_price, "new",
	     "{\"id\":\"new\",\"version\":1,\"model\":\"gpt-4o-mini\",\"input\":2,\"effective_from\":\"2026-07-01T00:"
	     "00:00Z\"}");
	c = candidate("", "");
	assert_int_equal(c->n_prices, 3);
	assert_str(version(c, 1767225600000000 - 1), "price old@1");
	assert_true(
	    gw_str_has_prefix(version(c, 1767225600000000), GW_LIT("catalogue "))); /* none of them: the catalogue */
	assert_true(gw_str_has_prefix(version(c, 1782864000000000 - 1), GW_LIT("catalogue ")));
	assert_str(version(c, 1782864000000000), "price new@1");
}

static void all_its_classes(void **st)
{
	struct gw_usage u = { .is_known = true,
			      .input = 100,
			      .cache_read = 10,
			      .cache_write_5m = 20,
			      .cache_write_1h = 30,
			      .audio_in = 5,
			      .image_in = 5,
			      .output = 100,
			      .reasoning = 50,
			      .audio_out = 10,
			      .image_out = 10,
			      .searches = 2 };
	const struct gw_candidate *c;
	struct gw_cost cost;

	(void)st;
	give(GW_KIND_price, "x",
	     "{\"id\":\"x\",\"version\":1,\"model\":\"gpt-4o-mini\",\"input\":1000000,\"output\":2000000,\"cache_"
	     "read\":100000,"
	     "\"cache_write_5m\":1250000,\"cache_write_1h\":3000000,\"reasoning\":4000000,\"audio_in\":5000000,\"audio_"
	     "out\":6000000,"
	     "\"image_in\":7000000,\"image_out\":8000000,\"search\":9000000,\"long_above\":1000,\"long_input\":2000000,"
	     "\"flex_percent\":50,\"priority_percent\":200}");
	c = candidate("", "");
	gw_cost_of(&c->prices[0], &u, &cost);
	assert_true(cost.is_known);
	assert_int_equal(cost.input, 30 * 1000 + 10 * 100 + 20 * 1250 + 30 * 3000 + 5 * 5000 + 5 * 7000);
	assert_int_equal(cost.output, 30 * 2000 + 50 * 4000 + 10 * 6000 + 10 * 8000);
	assert_int_equal(cost.total, cost.input + cost.output + 2 * 9000);
	int64_t whole = cost.total;

	u.tier = GW_TIER_FLEX;
	gw_cost_of(&c->prices[0], &u, &cost);
	assert_int_equal(cost.total, whole / 2);
	u.tier = GW_TIER_PRIORITY;
	gw_cost_of(&c->prices[0], &u, &cost);
	assert_int_equal(cost.total, whole * 2);
	u = (struct gw_usage){ .is_known = true, .input = 1001 };
	gw_cost_of(&c->prices[0], &u, &cost);
	assert_int_equal(cost.total, 1001 * 2000);
}

static void free_or_unknown(void **st)
{
	struct gw_usage u = { .is_known = true, .input = 100 };
	const struct gw_candidate *c;
	struct gw_cost cost;

	(void)st;
	give(GW_KIND_deployment, "d", "{\"id\":\"d\",\"version\":9,\"provider\":\"p\",\"upstream_model\":\"our-own\"}");
	c = candidate("", "");
	assert_int_equal(c->n_prices, 0); /* nobody knows */
	gw_cost_of(gw_price_at(c->prices, c->n_prices, 1), &u, &cost);
	assert_false(cost.is_known);
	give(GW_KIND_deployment, "d",
	     "{\"id\":\"d\",\"version\":9,\"provider\":\"p\",\"upstream_model\":\"our-own\",\"free\":true}");
	c = candidate("", "");
	gw_cost_of(&c->prices[0], &u, &cost);
	assert_true(cost.is_known && cost.total == 0);
	give(GW_KIND_deployment, "d",
	     "{\"id\":\"d\",\"version\":9,\"provider\":\"p\",\"upstream_model\":\"our-own\",\"base_model\":\"gpt-4o-"
	     "mini\"}");
	c = candidate("", "");
	assert_true(c->is_base_model);
	gw_cost_of(&c->prices[0], &u, &cost);
	assert_true(cost.is_known && cost.total == 100 * 150);
	give(GW_KIND_price, "zero", "{\"id\":\"zero\",\"version\":1,\"model\":\"gpt-4o-mini\"}");
	c = candidate("", "");
	assert_true(c->prices[0].is_free); /* a price object with nothing but zeros */
}

/* More objects than are kept: the most particular ones are. */
static void many(void **st)
{
	static char ids[40][8], json[40][160];

	(void)st;
	for (int i = 0; i < 40; i++) {
		snprintf(ids[i], sizeof(ids[i]), "x%02d", i);
		snprintf(json[i], sizeof(json[i]), "{\"id\":\"x%02d\",\"version\":1,\"model\":\"%.*s*\",\"input\":%d}",
			 i, i % 12, "gpt-4o-mini", i + 1);
		give(GW_KIND_price, ids[i], json[i]);
	}
	const struct gw_candidate *c = candidate("", "");

	assert_str(version(c, 1), "price x11@1"); /* the longest prefix, and the first of those that have it */
	assert_int_equal(c->n_prices, 7);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = { T(who_goes_first), T(from_a_day_on), T(all_its_classes), T(free_or_unknown),
					    T(many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
