#pragma once
/* Helpers of the lib tests: a repeatable random source, whole files, and strings in memory of their exact size, so that
 * the address sanitizer sees every read past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/str.h"

#define UNUSED  __attribute__((unused))
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

UNUSED static uint64_t rng_state = 0x9e3779b97f4a7c15u;
/* xorshift64*, the same numbers in every run */
UNUSED static uint64_t rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 0x2545f4914f6cdd1du;
}
UNUSED static size_t rng_below(size_t n)
{
	return (size_t)(rng() % n);
}

/* A heap copy of exactly n bytes; free .p */
UNUSED static struct gw_str exact(struct gw_str s)
{
	char *p = malloc(s.n ? s.n : 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return gw_str(p, s.n);
}

UNUSED static void assert_str(struct gw_str got, const char *want)
{
	if (!gw_str_eq(got, gw_str_z(want)))
		fail_msg("got '%.*s', want '%s'", (int)got.n, got.p ? got.p : "", want);
}

UNUSED static void assert_same(struct gw_str got, struct gw_str want)
{
	assert_int_equal(got.n, want.n);
	if (want.n)
		assert_memory_equal(got.p, want.p, want.n);
}

/* A file below the shared data, or .p = NULL. free .p */
UNUSED static struct gw_str shared_file(const char *path)
{
	const char *root = getenv("LLMGW_SHARED");
	char full[1024];
	FILE *f;
	long n;
	char *p;

	snprintf(full, sizeof(full), "%s/%s", root ? root : "../shared", path);
	f = fopen(full, "rb");
	if (!f)
		return GW_NIL;
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	p = malloc(n > 0 ? (size_t)n : 1);
	n = (long)fread(p, 1, n > 0 ? (size_t)n : 0, f);
	fclose(f);
	return gw_str(p, (size_t)n);
}

/* For a main: exit code 77 is a skip. */
UNUSED static int skip_all(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}
