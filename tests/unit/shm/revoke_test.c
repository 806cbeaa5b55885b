/* The revocation table against a plain set, at high load, through rebuilds, and after a writer was killed in one. */
#include "tests/unit/shm/shm_test.h"
#include "shm/revoke.h"

enum { MAX = GW_REVOKE_CELLS / 4 * 3 };

static struct gw_revoke *open_one(void)
{
	struct gw_revoke *r;

	assert_int_equal(gw_revoke_open(test_dir, true, true, &r), GW_OK);
	gw_revoke_reset(r, NULL, 0);
	return r;
}

static void finds_what_was_added(void **state)
{
	struct gw_revoke *r = open_one();
	uint64_t seed = 1, again = 1;

	(void)state;
	assert_false(gw_revoke_has(r, 0));
	assert_false(gw_revoke_has(r, 1));
	for (unsigned i = 0; i < MAX; i++)
		assert_int_equal(gw_revoke_add(r, next_random(&seed)), GW_OK);
	assert_int_equal(gw_revoke_add(r, next_random(&seed)), GW_E_NO_SPACE);
	for (unsigned i = 0; i < MAX; i++) {
		uint64_t h = next_random(&again);

		assert_true(gw_revoke_has(r, h));
		assert_int_equal(gw_revoke_add(r, h), GW_OK); /* again: no new cell */
	}
	assert_int_equal(atomic_load(&r->n), MAX);
	for (unsigned i = 0; i < 100000; i++)
		assert_false(gw_revoke_has(r, next_random(&seed)));
	/* The odd values are members like others. */
	gw_revoke_reset(r, (uint64_t[]){ 0, 1, UINT64_MAX }, 3);
	assert_true(gw_revoke_has(r, 0) && gw_revoke_has(r, 1) && gw_revoke_has(r, UINT64_MAX));
	assert_int_equal(atomic_load(&r->n), 3);
}

/* Many rebuilds: the set is exactly what was given, however full of tombstones the table once was. */
static void reset_is_exact(void **state)
{
	struct gw_revoke *r = open_one();
	static uint64_t all[MAX], chosen[MAX];
	uint64_t seed = 99;

	(void)state;
	for (unsigned i = 0; i < MAX; i++)
		all[i] = next_random(&seed);
	for (unsigned round = 0; round < 40; round++) {
		static bool is_in[MAX];
		size_t n = 0;
		uint64_t one_in = 1 + below(&seed, 20);

		for (unsigned i = 0; i < MAX; i++) {
			is_in[i] = below(&seed, one_in) == 0;
			if (is_in[i])
				chosen[n++] = all[i];
		}
		gw_revoke_reset(r, chosen, n);
		for (unsigned i = 0; i < MAX; i++)
			assert_int_equal(gw_revoke_has(r, all[i]), is_in[i]);
		assert_int_equal(atomic_load(&r->n), n);
		assert_int_equal(atomic_load(&r->seq) % 2, 0);
	}
	gw_revoke_reset(r, NULL, 0);
	for (unsigned i = 0; i < GW_REVOKE_CELLS; i++)
		assert_int_equal(atomic_load(&r->cell[i]), 0); /* no tombstone outlives an empty set */
}

/* More than fit: nothing becomes valid again. */
static void too_many_removes_nothing(void **state)
{
	struct gw_revoke *r = open_one();
	static uint64_t many[MAX + 10];
	uint64_t seed = 3;
	unsigned n = 0;

	(void)state;
	assert_int_equal(gw_revoke_add(r, 12345), GW_OK);
	for (unsigned i = 0; i < MAX + 10; i++)
		many[i] = next_random(&seed);
	gw_revoke_reset(r, many, MAX + 10);
	assert_true(gw_revoke_has(r, 12345));
	for (unsigned i = 0; i < MAX + 10; i++)
		n += gw_revoke_has(r, many[i]);
	assert_int_equal(n, MAX - 1);
}

/* confd dies in the middle of a rebuild: what is in the old and in the new set was never out of it. */
static void killed_rebuild(void **state)
{
	struct gw_revoke *r = open_one();
	static uint64_t all[20000];
	uint64_t seed = 8;
	unsigned n_odd = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		all[i] = next_random(&seed);
	gw_revoke_reset(r, all, 20000);
	for (unsigned kills = 0; kills < 60; kills++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (;;) { /* the first 1000 stay throughout */
				gw_revoke_reset(r, all, 1000 + below(&seed, 19000));
				gw_revoke_reset(r, all, 20000);
			}
		}
		for (unsigned i = 0; i < 3000; i++)
			assert_true(gw_revoke_has(r, all[i % 1000]));
		kill_child(pid, (unsigned)below(&seed, 20000));
		n_odd += atomic_load(&r->seq) % 2 != 0;
		for (unsigned i = 0; i < 1000; i++)
			assert_true(gw_revoke_has(r, all[i]));
		next_random(&seed);
	}
	assert_true(n_odd > 0); /* some did die in the middle */
	gw_revoke_reset(r, all, 1500);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(gw_revoke_has(r, all[i]), i < 1500);
	assert_int_equal(atomic_load(&r->seq) % 2, 0);
}

static void readers_map_it_read_only(void **state)
{
	struct gw_revoke *r = open_one(), *ro;

	(void)state;
	assert_int_equal(gw_revoke_open(test_dir, false, false, &ro), GW_OK);
	assert_int_equal(gw_revoke_add(r, 4242), GW_OK);
	assert_true(gw_revoke_has(ro, 4242));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_added),     cmocka_unit_test(reset_is_exact),
		cmocka_unit_test(too_many_removes_nothing), cmocka_unit_test(killed_rebuild),
		cmocka_unit_test(readers_map_it_read_only),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
