/* bench/llmgw-bench_profile.c: profiles, good and bad. */
#include "tests/unit/lib/util.h"

#include "bench/llmgw-bench_plan.h"

static const char whole[] = "url: http://127.0.0.1:4000\n"
			    "arrivals: poisson\n"
			    "connections: 256\n"
			    "warmup: 2s\n"
			    "timeout: 45s\n"
			    "seed: 9\n"
			    "models: [small, 'big-{1..3}']\n"
			    "stages:\n"
			    "  - {duration: 10s, rate: 100}\n"
			    "  - {duration: 500ms, rate: 100..1000, connections: 256..512}\n"
			    "mix:\n"
			    "  - {kind: chat, weight: 70, prompt_bytes: [512, 4096], max_tokens: 64}\n"
			    "  - {name: slow, kind: stream, weight: 25, mock: 'chunks=50 chunk_ms=20'}\n"
			    "  - {kind: embeddings, weight: 5, inputs: 4, model: embed}\n";

static bool read(const char *yaml, struct bench_plan *p, struct bench_profile_more *more, char *why)
{
	*p = (struct bench_plan){ .timeout_ms = 30000 };
	*more = (struct bench_profile_more){ 0 };
	why[0] = '\0';
	return bench_profile_read(gw_str_z(yaml), "mix.yaml", p, more, why, 600);
}

static void good(void **st)
{
	struct bench_plan p;
	struct bench_profile_more more;
	char why[600];

	(void)st;
	assert_true(read(whole, &p, &more, why));
	assert_string_equal(more.url, "http://127.0.0.1:4000");
	assert_true(p.is_open && p.is_poisson && p.seed == 9 && p.warmup_ms == 2000 && p.timeout_ms == 45000);
	assert_int_equal(p.n_stages, 2);
	assert_int_equal(p.stages[0].conns_from, 256);
	assert_true(p.stages[1].ms == 500 && p.stages[1].rate_to == 1000 && p.stages[1].conns_to == 512);
	assert_int_equal(p.n_classes, 3);
	assert_int_equal(p.classes[0].models.n, 4);
	assert_string_equal(p.classes[0].models.items[3], "big-3");
	assert_int_equal(p.classes[0].n_sizes, 2);
	assert_true(p.classes[1].kind == BENCH_STREAM);
	assert_string_equal(p.classes[1].name, "slow");
	assert_string_equal(p.classes[1].message, "mock: chunks=50 chunk_ms=20");
	assert_true(p.classes[2].kind == BENCH_EMBEDDINGS && p.classes[2].inputs == 4 && p.classes[2].models.n == 1);
	bench_plan_free(&p);
	assert_true(read("connections: 10..100\nduration: 3s\nthink: {mean: 200ms}\n", &p, &more, why));
	assert_true(!p.is_open && p.is_think_random && p.think_ms == 200 && p.stages[0].ms == 3000 &&
		    p.stages[0].conns_to == 100);
	bench_plan_free(&p);
}

static void bad(void **st)
{
	static const struct {
		const char *yaml, *said;
	} rows[] = {
		{ "mix: [{kind: strem}]", "mix.yaml:1:8: mix/0/kind wants one of chat, stream, embeddings" },
		{ "mix: [{weight: 1}]", "mix/0/kind wants one of" },
		{ "mix: []", "mix wants a list of 1 to 16" },
		{ "mix: [{kind: chat, wieght: 1}]",
		  "\"wieght\" is not known here; a row of the mix has name, kind, weight" },
		{ "mix: [{kind: chat, weight: -1}]", "mix/0/weight wants a whole number" },
		{ "mix: [{kind: chat, prompt_bytes: [1, x]}]", "mix/0/prompt_bytes wants a whole number" },
		{ "mix: [{kind: chat, prompt_bytes: 99999999999}]",
		  "mix/0/prompt_bytes wants a whole number up to 33554432" },
		{ "mix: [{kind: chat, message: a, mock: b}]", "two ways to say the same" },
		{ "mix: [{kind: chat, message: [a]}]", "mix/0/message wants text" },
		{ "mix: [{kind: chat, model: 'm-{3..1}'}]", "a range is written m-{1..100}" },
		{ "raet: 5", "mix.yaml:1:" },
		{ "rate: fast", "rate wants a number or a ramp" },
		{ "rate: 5000000", "at most 1000000" },
		{ "duration: 0s", "longer than nothing" },
		{ "duration: soon", "duration wants a duration" },
		{ "stages: [{rate: 5}]", "stages/0 needs a duration" },
		{ "stages: [{duration: 5s, connections: 0}]", "at least 1 connection" },
		{ "stages: {}", "stages wants a list" },
		{ "arrivals: random", "arrivals wants constant or poisson" },
		{ "rate: 5\nthink: 1s", "think is for the closed loop" },
		{ "- 1", "a profile wants key: value pairs" },
		{ "a: [", "mix.yaml:" },
		{ "rate: 5\nrate: 6", "mix.yaml:2:1: not a YAML document" },
	};
	struct bench_plan p;
	struct bench_profile_more more;
	char why[600];

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (read(rows[i].yaml, &p, &more, why) || !strstr(why, rows[i].said))
			fail_msg("%s: said \"%s\", not \"%s\"", rows[i].yaml, why, rows[i].said);
		bench_plan_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
