/* lib/arena.h */
#include "util.h"

#include "lib/arena.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
int __asan_address_is_poisoned(void const volatile *p);
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
int __asan_address_is_poisoned(void const volatile *p);
#endif
#endif

static void alignment_and_zero(void **st)
{
	char first[512];
	struct gw_arena a;

	(void)st;
	memset(first, 0x5a, sizeof(first));
	gw_arena_init(&a, first, sizeof(first), 1 << 20);
	for (size_t n = 0; n < 200; n++) {
		char *b = gw_alloc_bytes(&a, 1 + n % 3);
		unsigned char *p = gw_alloc(&a, n);

		assert_non_null(b);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n); /* so that reuse would show */
	}
	gw_arena_done(&a);
	first[0] = 1; /* the caller's block is usable again */
}

static void ceiling_sticks(void **st)
{
	char first[256];
	struct gw_arena a;
	struct gw_mark m;
	size_t got = 0;

	(void)st;
	gw_arena_init(&a, first, sizeof(first), 100000);
	m = gw_arena_mark(&a);
	while (gw_alloc(&a, 1000))
		got += 1000;
	assert_true(got > 70000 && got <= 100000);
	assert_true(a.is_full);
	assert_true(a.used_bytes <= 100000);
	assert_null(gw_alloc(&a, 1)); /* though one byte would fit */
	assert_null(gw_alloc_bytes(&a, 0));
	assert_null(gw_arena_str(&a, GW_LIT("x")).p);
	assert_null(gw_arena_printf(&a, "%d", 1).p);
	gw_arena_reset(&a, m);
	assert_false(a.is_full);
	assert_non_null(gw_alloc(&a, 1000));
	gw_arena_done(&a);
	gw_arena_init(&a, NULL, 0, 1000);
	assert_null(gw_alloc(&a, SIZE_MAX));
	assert_null(gw_alloc(&a, 1));
	gw_arena_done(&a);
	gw_arena_init(&a, NULL, 0, 0);
	assert_null(gw_alloc(&a, 0));
	gw_arena_done(&a);
}

/* Random allocations with nested marks: what is older than a mark keeps its bytes over a reset. */
static void mark_and_reset(void **st)
{
	static char first[3000];
	struct gw_arena a;

	(void)st;
	for (int round = 0; round < 25; round++) {
		struct gw_mark marks[8];
		struct {
			unsigned char *p;
			size_t n;
			unsigned char fill;
		} live[8][8];
		size_t used[8];

		gw_arena_init(&a, round % 2 ? first : NULL, sizeof(first), 1 << 22);
		for (int level = 0; level < 8; level++) {
			marks[level] = gw_arena_mark(&a);
			used[level] = a.used_bytes;
			for (int i = 0; i < 8; i++) {
				size_t n = 1 + rng_below(rng_below(20) == 0 ? 60000 : 900);

				live[level][i].p = gw_alloc(&a, n);
				live[level][i].n = n;
				live[level][i].fill = (unsigned char)rng();
				assert_non_null(live[level][i].p);
				memset(live[level][i].p, live[level][i].fill, n);
			}
		}
		for (int level = 7; level >= 0; level--) {
			for (int l = 0; l <= level; l++)
				for (int i = 0; i < 8; i++)
					for (size_t k = 0; k < live[l][i].n; k++)
						if (live[l][i].p[k] != live[l][i].fill)
							fail_msg("overwritten");
			gw_arena_reset(&a, marks[level]);
			assert_int_equal(a.used_bytes, used[level]); /* newer blocks were freed */
		}
		gw_arena_done(&a);
	}
}

static void strings(void **st)
{
	struct gw_arena a;
	struct gw_str s;

	(void)st;
	gw_arena_init(&a, NULL, 0, 1 << 16);
	s = gw_arena_str(&a, GW_LIT("abc"));
	assert_str(s, "abc");
	assert_non_null(gw_arena_str(&a, GW_NIL).p);
	assert_string_equal(gw_arena_z(&a, GW_LIT("xyz")), "xyz");
	assert_string_equal(gw_arena_z(&a, GW_NIL), "");
	assert_str(gw_arena_printf(&a, "%s-%d", "n", 42), "n-42");
	assert_str(gw_arena_printf(&a, "%s", ""), "");
	assert_int_equal(GW_NEW(&a, struct gw_str)->n, 0);
	gw_arena_done(&a);
}

static void poison(void **st)
{
	(void)st;
#ifdef HAS_ASAN
	char first[256];
	struct gw_arena a;
	struct gw_mark m;
	char *p, *q;

	gw_arena_init(&a, first, sizeof(first), 1 << 16);
	assert_true(__asan_address_is_poisoned(first));
	p = gw_alloc(&a, 16);
	assert_false(__asan_address_is_poisoned(p + 15));
	assert_true(__asan_address_is_poisoned(p + 16));
	m = gw_arena_mark(&a);
	q = gw_alloc(&a, 16);
	assert_false(__asan_address_is_poisoned(q));
	gw_arena_reset(&a, m);
	assert_true(__asan_address_is_poisoned(q));
	gw_arena_done(&a);
	assert_false(__asan_address_is_poisoned(first + 255));
#else
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(alignment_and_zero), cmocka_unit_test(ceiling_sticks),
					    cmocka_unit_test(mark_and_reset), cmocka_unit_test(strings),
					    cmocka_unit_test(poison) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
