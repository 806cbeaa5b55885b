/* SipHash-2-4-128, from the paper "SipHash: a fast short-input PRF" and its 128-bit variant. Little-endian words. */
#include "lib/siphash.h"

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline uint64_t word_of(const char *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = n; i-- > 0;)
		w = w << 8 | (uint8_t)p[i];
	return w;
}

static inline void add_word(uint64_t v[4], uint64_t w)
{
	v[3] ^= w;
	sip_round(v);
	sip_round(v);
	v[0] ^= w;
}

static inline uint64_t finish(uint64_t v[4])
{
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct gw_sip_tag gw_siphash(struct gw_sip_key key, struct gw_str s)
{
	uint64_t v[4] = { 0x736f6d6570736575u ^ key.k[0], 0x646f72616e646f6du ^ key.k[1] ^ 0xee,
			  0x6c7967656e657261u ^ key.k[0], 0x7465646279746573u ^ key.k[1] };
	struct gw_sip_tag tag;
	size_t at = 0;

	for (; at + 8 <= s.n; at += 8)
		add_word(v, word_of(s.p + at, 8));
	add_word(v, (uint64_t)s.n << 56 | word_of(s.p + at, s.n - at));
	v[2] ^= 0xee;
	tag.t[0] = finish(v);
	v[1] ^= 0xdd;
	tag.t[1] = finish(v);
	return tag;
}
