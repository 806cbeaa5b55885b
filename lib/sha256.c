/* SHA-256: one message at a time (plain C, or the SHA instructions of x86), and eight messages of one length side by side in vector
 * registers (plain vectors, AVX2, or AVX-512VL: twice as quick again). What runs is chosen once, after it has agreed with PSA (lib/sha256.h). */
#include "lib/sha256.h"

#include <string.h>

#include "lib/err.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { BLOCK = 64, LANES = GW_SHA256_LANES, LEAF = GW_SHA256_LEAF };

static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The functions of the standard; for words and for vectors of words alike. */
#define ROR(x, n)    ((x) >> (n) | (x) << (32 - (n)))
#define BIG0(x)      (ROR(x, 2) ^ ROR(x, 13) ^ ROR(x, 22))
#define BIG1(x)      (ROR(x, 6) ^ ROR(x, 11) ^ ROR(x, 25))
#define SMALL0(x)    (ROR(x, 7) ^ ROR(x, 18) ^ (x) >> 3)
#define SMALL1(x)    (ROR(x, 17) ^ ROR(x, 19) ^ (x) >> 10)
#define CH(x, y, z)  ((z) ^ ((x) & ((y) ^ (z))))
#define MAJ(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
/* One round; the caller turns the names instead of moving the words. */
#define ROUND(a, b, c, d, e, f, g, h, kw)                                                                              \
	do {                                                                                                           \
		h += BIG1(e) + CH(e, f, g) + (kw);                                                                     \
		d += h;                                                                                                \
		h += BIG0(a) + MAJ(a, b, c);                                                                           \
	} while (0)
#define EXPAND(w, i) (w[(i)&15] += SMALL1(w[((i) + 14) & 15]) + w[((i) + 9) & 15] + SMALL0(w[((i) + 1) & 15]))
#define EIGHT(s, K, W, i)                                                                                              \
	do {                                                                                                           \
		ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], K[i] + W(i));                                    \
		ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], K[(i) + 1] + W((i) + 1));                        \
		ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], K[(i) + 2] + W((i) + 2));                        \
		ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], K[(i) + 3] + W((i) + 3));                        \
		ROUND(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], K[(i) + 4] + W((i) + 4));                        \
		ROUND(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], K[(i) + 5] + W((i) + 5));                        \
		ROUND(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], K[(i) + 6] + W((i) + 6));                        \
		ROUND(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], K[(i) + 7] + W((i) + 7));                        \
	} while (0)
#define FIRST(i) w[i]
#define LATER(i) EXPAND(w, i)
#define ROUNDS(s)                                                                                                      \
	do {                                                                                                           \
		EIGHT(s, k, FIRST, 0);                                                                                 \
		EIGHT(s, k, FIRST, 8);                                                                                 \
		for (int i = 16; i < 64; i += 16) {                                                                    \
			const uint32_t *kk = k + i;                                                                    \
			EIGHT(s, kk, LATER, 0);                                                                        \
			EIGHT(s, kk, LATER, 8);                                                                        \
		}                                                                                                      \
	} while (0)

static inline uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	memcpy(p, &v, 4);
}

/* ---- one message ---- */

typedef void blocks_fn(uint32_t h[8], const uint8_t *p, size_t n_blocks);

static void blocks_plain(uint32_t h[8], const uint8_t *p, size_t n_blocks)
{
	for (; n_blocks; n_blocks--, p += BLOCK) {
		uint32_t w[16], s[8];

		for (int i = 0; i < 16; i++)
			w[i] = be32(p + 4 * i);
		memcpy(s, h, sizeof(s));
		ROUNDS(s);
		for (int i = 0; i < 8; i++)
			h[i] += s[i];
	}
}

#ifdef __x86_64__
/* Four rounds; the words for sixteen rounds later are made on the way. m0 is used now, m1 follows it, m3 is the one before. */
#define NI_ROUNDS(i, m)                                                                                                \
	do {                                                                                                           \
		wk = _mm_add_epi32(m, _mm_loadu_si128((const __m128i *)(const void *)(k + (i))));                      \
		cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);                                                          \
		abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));                                 \
	} while (0)
/* w[t..t+3] out of the sixteen before: m0 the oldest four ... m3 the newest. */
#define NI_EXPAND(m0, m1, m2, m3)                                                                                      \
	(m0 = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4)), m3))

__attribute__((target("sha,sse4.1"))) static void blocks_ni(uint32_t h[8], const uint8_t *p, size_t n_blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i abef, cdgh, t, wk, m[4];

	/* a b c d, e f g h -> a b e f, c d g h, highest word first, as the instructions want them */
	t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)h), 0xb1);
	cdgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(h + 4)), 0x1b);
	abef = _mm_alignr_epi8(t, cdgh, 8);
	cdgh = _mm_blend_epi16(cdgh, t, 0xf0);
	for (; n_blocks; n_blocks--, p += BLOCK) {
		const __m128i abef0 = abef, cdgh0 = cdgh;

		for (int i = 0; i < 4; i++)
			m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), swap);
		for (int i = 0; i < 4; i++)
			NI_ROUNDS(4 * i, m[i]);
		for (int i = 16; i < 64; i += 16) {
			NI_EXPAND(m[0], m[1], m[2], m[3]);
			NI_ROUNDS(i, m[0]);
			NI_EXPAND(m[1], m[2], m[3], m[0]);
			NI_ROUNDS(i + 4, m[1]);
			NI_EXPAND(m[2], m[3], m[0], m[1]);
			NI_ROUNDS(i + 8, m[2]);
			NI_EXPAND(m[3], m[0], m[1], m[2]);
			NI_ROUNDS(i + 12, m[3]);
		}
		abef = _mm_add_epi32(abef, abef0);
		cdgh = _mm_add_epi32(cdgh, cdgh0);
	}
	t = _mm_shuffle_epi32(abef, 0x1b);
	cdgh = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)h, _mm_blend_epi16(t, cdgh, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(h + 4), _mm_alignr_epi8(cdgh, t, 8));
}
#endif

/* ---- eight leaves side by side ---- */

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));

/* One block of each lane: words come from `p`, LEAF bytes apart, or (NULL) are the end of a message of LEAF bytes. */
#define LANE_BLOCK(h, p)                                                                                               \
	do {                                                                                                           \
		vec w[16], s[8];                                                                                       \
		for (int i = 0; i < 16; i++)                                                                           \
			for (int lane = 0; lane < LANES; lane++)                                                       \
				w[i][lane] = (p)       ? be32((p) + (size_t)lane * LEAF + 4 * i)                       \
					     : i == 0  ? 0x80000000                                                    \
					     : i == 15 ? LEAF * 8                                                      \
						       : 0;                                                            \
		for (int i = 0; i < 8; i++)                                                                            \
			s[i] = h[i];                                                                                   \
		ROUNDS(s);                                                                                             \
		for (int i = 0; i < 8; i++)                                                                            \
			h[i] += s[i];                                                                                  \
	} while (0)
#define LANES_BODY(p, out)                                                                                             \
	do {                                                                                                           \
		vec h[8];                                                                                              \
		for (int i = 0; i < 8; i++)                                                                            \
			h[i] = (vec){ 0 } + start[i];                                                                  \
		for (size_t at = 0; at < LEAF; at += BLOCK) {                                                          \
			const uint8_t *from = (p) + at;                                                                \
			LANE_BLOCK(h, from);                                                                           \
		}                                                                                                      \
		const uint8_t *padding = NULL;                                                                         \
		LANE_BLOCK(h, padding);                                                                                \
		for (int lane = 0; lane < LANES; lane++)                                                               \
			for (int i = 0; i < 8; i++)                                                                    \
				put_be32((out) + 32 * lane + 4 * i, h[i][lane]);                                       \
	} while (0)

/* LANES leaves that stand one behind the other; their hashes likewise. */
typedef void lanes_fn(const uint8_t *p, uint8_t *out);

static void lanes_plain(const uint8_t *p, uint8_t *out)
{
	LANES_BODY(p, out);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void lanes_avx2(const uint8_t *p, uint8_t *out)
{
	LANES_BODY(p, out);
}

/* The same eight lanes, with rotations and three-way logic in one instruction each. */
__attribute__((target("avx512f,avx512vl"))) static void lanes_avx512vl(const uint8_t *p, uint8_t *out)
{
	LANES_BODY(p, out);
}
#endif

/* ---- what is used ---- */

static blocks_fn *blocks = blocks_plain;
static lanes_fn *lanes; /* NULL: leaves are hashed one by one */

void gw_sha256_begin(struct gw_sha256 *c)
{
	memcpy(c->h, start, sizeof(c->h));
	c->n = 0;
}

void gw_sha256_more(struct gw_sha256 *c, const void *from, size_t n)
{
	const uint8_t *p = from;
	size_t had = c->n % BLOCK;

	c->n += n;
	if (had) {
		size_t room = BLOCK - had, part = n < room ? n : room;

		memcpy(c->rest + had, p, part);
		p += part;
		n -= part;
		if (part < room)
			return;
		blocks(c->h, c->rest, 1);
	}
	if (n >= BLOCK)
		blocks(c->h, p, n / BLOCK);
	if (n % BLOCK)
		memcpy(c->rest, p + n - n % BLOCK, n % BLOCK);
}

void gw_sha256_final(struct gw_sha256 *c, uint8_t out[32])
{
	uint8_t last[2 * BLOCK] = { 0 };
	size_t had = c->n % BLOCK, n = had + 9 <= BLOCK ? BLOCK : 2 * BLOCK;

	if (had)
		memcpy(last, c->rest, had);
	last[had] = 0x80;
	put_be32(last + n - 8, (uint32_t)(c->n >> 29));
	put_be32(last + n - 4, (uint32_t)(c->n << 3));
	blocks(c->h, last, n / BLOCK);
	for (int i = 0; i < 8; i++)
		put_be32(out + 4 * i, c->h[i]);
}

static void one(struct gw_str s, uint8_t out[32])
{
	struct gw_sha256 c;

	gw_sha256_begin(&c);
	gw_sha256_more(&c, s.p, s.n);
	gw_sha256_final(&c, out);
}

/* Up to LANES whole leaves. Lanes without one hash zeros: two leaves are already cheaper this way than one by one. */
static void some_leaves(const uint8_t *p, size_t n, uint8_t out[32 * LANES])
{
	uint8_t room[LANES * LEAF];

	if (n == LANES) {
		lanes(p, out);
		return;
	}
	memcpy(room, p, n * LEAF);
	memset(room + n * LEAF, 0, (LANES - n) * LEAF);
	lanes(room, out);
}

void gw_sha256_leaves(struct gw_str head, struct gw_str body, uint8_t out[32])
{
	struct gw_sha256 root;

	gw_sha256_begin(&root);
	gw_sha256_more(&root, head.p, head.n);
	while (body.n) {
		uint8_t leaf[32 * LANES];
		size_t n = body.n < LEAF ? body.n : LEAF, n_leaves = 1;

		if (lanes && body.n >= 2 * LEAF) {
			n_leaves = body.n / LEAF < LANES ? body.n / LEAF : LANES;
			n = n_leaves * LEAF;
			some_leaves((const uint8_t *)body.p, n_leaves, leaf);
		} else {
			one(gw_str(body.p, n), leaf);
		}
		gw_sha256_more(&root, leaf, 32 * n_leaves);
		body = gw_str_skip(body, n);
	}
	gw_sha256_final(&root, out);
}

/* ---- choosing ---- */

static bool agrees(gw_sha256_fn *reference)
{
	static const uint16_t lengths[] = { 0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 127, 128, 200, 1000 };
	uint8_t text[1000], got[32], want[32];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 151 + (i >> 3));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct gw_str s = gw_str((const char *)text, lengths[i]);

		reference(s, want);
		one(s, got);
		if (memcmp(got, want, 32) != 0)
			return false;
	}
	return true;
}

static bool lanes_agree(lanes_fn *fn)
{
	uint8_t text[LANES * LEAF], got[32 * LANES], want[32];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 29 + (i >> 8) * 7);
	fn(text, got);
	for (size_t i = 0; i < LANES; i++) {
		one(gw_str((const char *)text + i * LEAF, LEAF), want);
		if (memcmp(got + 32 * i, want, 32) != 0)
			return false;
	}
	return true;
}

bool gw_sha256_choose(gw_sha256_fn *reference)
{
	lanes_fn *wide = lanes_plain;

	lanes = NULL;
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		wide = lanes_avx2;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
		wide = lanes_avx512vl;
	unsigned a, b, c, d;
	__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
	if (b >> 29 & 1 && __builtin_cpu_supports("sse4.1")) { /* as quick as the lanes, message by message */
		blocks = blocks_ni;
		if (agrees(reference))
			return true;
	}
#endif
	blocks = blocks_plain;
	if (!agrees(reference))
		return false;
	if (lanes_agree(wide))
		lanes = wide;
	return true;
}
