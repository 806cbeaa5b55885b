/* How fast records come into the index, and how fast the last fifty of a key come out. As a unit test it takes a small dose and only looks
 * whether the answers are right; LLMGW_INDEX_LOAD=5000000 in a release build makes it the measurement of bench/RESULTS.md. */
#include "gen.h"
#include "admin/query.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/sys/clock.h"

enum { SMALL = 20000, ASKS = 200 };

static bool tell(struct gw_q *y, const struct gw_seg_record *rec)
{
	return gw_adm_record_json(&y->want, rec, &y->out) && ++y->n_out < y->limit;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Microseconds of one "last 50 by key", opening the index included. */
static uint64_t last_50(const struct gen *g, uint64_t key, struct gw_arena *a)
{
	struct gw_q y = { .limit = 50, .until_ms = gw_now_ms() + 60000, .max_bytes = 16 << 20, .fn = tell };
	struct gw_str term = gw_arena_printf(a, "key=key-%llu", (unsigned long long)key), why = GW_NIL;
	uint64_t began = gw_now_ns();

	y.want = (struct gw_adm_want){ .cls = GW_SEG_REQUEST, .to_us = INT64_MAX };
	assert_int_equal(gw_record_filter_parse(a, &term, 1, &y.want.filter, &why), GW_OK);
	snprintf(y.segments, sizeof y.segments, "%s/segments", g->data);
	snprintf(y.index, sizeof y.index, "%s/index", g->data);
	gw_buf_init(&y.out, 16 << 20);
	gw_q_walk(&y);
	assert_false(y.is_cut || y.err || y.is_index_bad);
	assert_true(y.n_out == 50 || g->n_ends / g->keys < 100);
	gw_buf_done(&y.out);
	return (gw_now_ns() - began) / 1000;
}

static void load_and_ask(void **state)
{
	const char *wish = getenv("LLMGW_INDEX_LOAD"), *keys = getenv("LLMGW_INDEX_KEYS");
	uint64_t n = wish ? strtoull(wish, NULL, 10) : SMALL, counts[GW_X_COUNT] = { 0 }, took[ASKS];
	struct gw_arena a;
	struct gw_ix ix;
	struct gen g;

	(void)state;
	gen_init(&g, "load");
	gw_arena_init(&a, NULL, 0, 4 << 20);
	g.keys = keys ? (uint32_t)strtoul(keys, NULL, 10) : 1000;
	g.per_block = 200;
	gen_many(&g, n);
	gen_ix(&g, &ix, counts);
	uint64_t cpu = gw_cpu_ns(), wall = gw_now_ns();
	assert_int_equal(gen_drain(&ix, g.t0_us + (int64_t)n * g.step_us), GW_EX_IDLE);
	cpu = gw_cpu_ns() - cpu;
	wall = gw_now_ns() - wall;
	assert_int_equal(counts[GW_X_records], n);
	assert_int_equal(ix.total_rows, n);
	uint64_t bytes = gw_ix_bytes(&ix);
	for (uint64_t i = 0; i < ASKS; i++)
		took[i] = last_50(&g, i * 7919 % g.keys, &a);
	qsort(took, ASKS, sizeof took[0], by_size);
	printf("%llu requests (%llu records), %u keys: %llu requests/s and %llu records/s of CPU, %llu requests/s of "
	       "wall time; "
	       "%llu bytes a request; last 50 by key: p50 %llu us, p99 %llu us, worst %llu us\n",
	       (unsigned long long)n, (unsigned long long)counts[GW_X_records_seen], g.keys,
	       (unsigned long long)(n * 1000000000 / (cpu + 1)),
	       (unsigned long long)(counts[GW_X_records_seen] * 1000000000 / (cpu + 1)),
	       (unsigned long long)(n * 1000000000 / (wall + 1)), (unsigned long long)(bytes / n),
	       (unsigned long long)took[ASKS / 2], (unsigned long long)took[ASKS * 99 / 100],
	       (unsigned long long)took[ASKS - 1]);
	gw_ix_close(&ix);
	gw_arena_done(&a);
	gen_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(load_and_ask) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
