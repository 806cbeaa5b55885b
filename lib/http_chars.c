/* Bytes of HTTP heads (lib/http_chars.h). */
#include "lib/http_chars.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define R10(c)                                                                                                         \
	[c] = 1, [c + 1] = 1, [c + 2] = 1, [c + 3] = 1, [c + 4] = 1, [c + 5] = 1, [c + 6] = 1, [c + 7] = 1,            \
	[c + 8] = 1, [c + 9] = 1
#define R26(c) R10(c), R10(c + 10), [c + 20] = 1, [c + 21] = 1, [c + 22] = 1, [c + 23] = 1, [c + 24] = 1, [c + 25] = 1
const uint8_t gw_http_token_table[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1,
	['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,  R10('0'),  R26('A'),  R26('a'),
};

#define R16(c) R10(c), [c + 10] = 1, [c + 11] = 1, [c + 12] = 1, [c + 13] = 1, [c + 14] = 1, [c + 15] = 1
const uint8_t gw_http_value_table[256] = {
	['\t'] = 1, /* not: the other control bytes */
	R16(0x20),  R16(0x30),  R16(0x40),  R16(0x50),  R16(0x60), /* not: 0x7f */
	R10(0x70),  [0x7a] = 1, [0x7b] = 1, [0x7c] = 1, [0x7d] = 1, [0x7e] = 1, /* ASCII */
	R16(0x80),  R16(0x90),  R16(0xa0),  R16(0xb0),  R16(0xc0),  R16(0xd0),  R16(0xe0), R16(0xf0),
};
#undef R10
#undef R16
#undef R26

/* Sixteen at a time; the last sixteen overlap those before. */
bool gw_http_is_long_value(struct gw_str s)
{
#ifdef __SSE2__
	const __m128i control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
	__m128i bad = _mm_setzero_si128();

	for (size_t i = 0; i < s.n; i += 16) {
		const char *at = s.n - i >= 16 ? s.p + i : s.p + s.n - 16;
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i low = _mm_andnot_si128(_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));

		bad = _mm_or_si128(bad, _mm_or_si128(low, _mm_cmpeq_epi8(v, del)));
	}
	return _mm_movemask_epi8(bad) == 0;
#else
	uint8_t ok = 1;

	for (size_t i = 0; i < s.n; i++)
		ok &= gw_http_value_table[(unsigned char)s.p[i]];
	return ok;
#endif
}
