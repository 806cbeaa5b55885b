/* SHA-256 blocks by the CPU's own instructions. The logger hashes every record twice (chain and block) and the workers each token:
 * in software this was a tenth of what a request costs. */
#include "lib/crypto_sha_x86.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

static const uint32_t k256[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static bool look(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

bool gw_sha256_x86_has(void)
{
	static atomic_int known; /* 0: not looked yet; every thread would find the same */
	int k = atomic_load_explicit(&known, memory_order_relaxed);

	if (k == 0) {
		k = look() ? 1 : 2;
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k == 1;
}

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))

/* Four rounds. The instructions keep the eight variables as (A,B,E,F) and (C,D,G,H). */
WITH_SHA static inline void four_rounds(__m128i *abef, __m128i *cdgh, __m128i w, const uint32_t *k)
{
	__m128i wk = _mm_add_epi32(w, _mm_loadu_si128((const __m128i *)(const void *)k));

	*cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, wk);
	*abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/* The next four words of the message schedule, in place of the oldest four. */
WITH_SHA static inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
	__m128i t = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));

	return _mm_sha256msg2_epu32(t, w3);
}

WITH_SHA void gw_sha256_x86_blocks(uint32_t state[8], const uint8_t *p, size_t n_blocks)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i lo = _mm_loadu_si128((const __m128i *)(const void *)state); /* a b c d */
	__m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(state + 4)); /* e f g h */
	__m128i abef, cdgh, w[4];

	lo = _mm_shuffle_epi32(lo, 0xb1);
	hi = _mm_shuffle_epi32(hi, 0x1b);
	abef = _mm_alignr_epi8(lo, hi, 8);
	cdgh = _mm_blend_epi16(hi, lo, 0xf0);
	for (; n_blocks > 0; n_blocks--, p += 64) {
		__m128i abef_before = abef, cdgh_before = cdgh;

		for (int i = 0; i < 4; i++) {
			w[i] =
			    _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), big_endian);
			four_rounds(&abef, &cdgh, w[i], k256 + 4 * i);
		}
		for (int i = 4; i < 16; i += 4) {
			for (int j = 0; j < 4; j++) {
				w[j] = next_words(w[j], w[(j + 1) & 3], w[(j + 2) & 3], w[(j + 3) & 3]);
				four_rounds(&abef, &cdgh, w[j], k256 + 4 * (i + j));
			}
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	lo = _mm_shuffle_epi32(abef, 0x1b);
	hi = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(lo, hi, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(hi, lo, 8));
}

#else

bool gw_sha256_x86_has(void)
{
	return false;
}

void gw_sha256_x86_blocks(uint32_t state[8], const uint8_t *p, size_t n_blocks)
{
	(void)state;
	(void)p;
	(void)n_blocks;
}

#endif
