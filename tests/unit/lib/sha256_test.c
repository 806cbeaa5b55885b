/* lib/sha256.h against PSA's SHA-256: all lengths, all cuts, and the hash over leaves against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <psa/crypto.h>

#include "lib/sha256.h"

static void psa(struct gw_str s, uint8_t out[32])
{
	size_t n;

	assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)s.p, s.n, out, 32, &n), PSA_SUCCESS);
}

static void wrong(struct gw_str s, uint8_t out[32])
{
	psa(s, out);
	out[31] ^= s.n == 120;
}

/* n bytes in memory of their own, so that a read past the end is seen. */
static char *noise(size_t n, uint32_t seed)
{
	char *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (char)(seed >> 24);
	}
	return p;
}

static void all_lengths_and_cuts(void **state)
{
	uint8_t want[32], got[32];

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		char *p = noise(n, (uint32_t)n);

		psa(gw_str(p, n), want);
		for (size_t cut = 0; cut <= n; cut += n > 140 ? 7 : 1) {
			struct gw_sha256 c;

			gw_sha256_begin(&c);
			gw_sha256_more(&c, p, cut);
			gw_sha256_more(&c, p + cut, n - cut);
			gw_sha256_final(&c, got);
			assert_memory_equal(got, want, 32);
		}
		free(p);
	}
}

static void leaves(void **state)
{
	static const size_t lengths[] = { 0,    1,    8,    1023, 1024, 1025,  2047, 2048,
					  3000, 8191, 8192, 8200, 9216, 17000, 70000 };
	char head[72];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i], at = 0, n_root = sizeof(head);
		char *p = noise(n, (uint32_t)n), *root = malloc(sizeof(head) + 32 * (n / GW_SHA256_LEAF + 1));
		uint8_t got[32], want[32];

		memset(head, (int)i, sizeof(head));
		memcpy(root, head, sizeof(head));
		for (; at < n; at += GW_SHA256_LEAF, n_root += 32)
			psa(gw_str(p + at, n - at < GW_SHA256_LEAF ? n - at : GW_SHA256_LEAF),
			    (uint8_t *)root + n_root);
		psa(gw_str(root, n_root), want);
		gw_sha256_leaves(gw_str(head, sizeof(head)), gw_str(p, n), got);
		assert_memory_equal(got, want, 32);
		free(root);
		free(p);
	}
}

/* Each variant is judged: with a reference that differs at one length none is good. */
static void disagreement(void **state)
{
	(void)state;
	assert_false(gw_sha256_choose(wrong));
	assert_true(gw_sha256_choose(psa));
}

static int begin(void **state)
{
	(void)state;
	return psa_crypto_init() == PSA_SUCCESS && gw_sha256_choose(psa) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_lengths_and_cuts),
		cmocka_unit_test(leaves),
		cmocka_unit_test(disagreement),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
