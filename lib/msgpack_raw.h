#pragma once
#include <string.h>
#include "lib/str.h"

/* msgpack written to a plain pointer, for loops that have made room for everything beforehand (records, on the request path). The
 * same bytes as gw_mp_*: the shortest form. Each returns the place after what it wrote. Worst case: 9 bytes a number, 5 + n a text. */
static inline uint8_t *gw_mpr_be(uint8_t *p, uint8_t head, uint64_t v, int bytes)
{
	*p++ = head;
	for (int i = bytes - 1; i >= 0; i--)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static inline uint8_t *gw_mpr_u64(uint8_t *p, uint64_t v)
{
	if (v < 0x80) {
		*p = (uint8_t)v;
		return p + 1;
	}
	if (v <= 0xff)
		return gw_mpr_be(p, 0xcc, v, 1);
	if (v <= 0xffff)
		return gw_mpr_be(p, 0xcd, v, 2);
	if (v <= 0xffffffff)
		return gw_mpr_be(p, 0xce, v, 4);
	return gw_mpr_be(p, 0xcf, v, 8);
}

static inline uint8_t *gw_mpr_i64(uint8_t *p, int64_t v)
{
	if (v >= 0)
		return gw_mpr_u64(p, (uint64_t)v);
	if (v >= -32) {
		*p = (uint8_t)v;
		return p + 1;
	}
	if (v >= INT8_MIN)
		return gw_mpr_be(p, 0xd0, (uint64_t)v, 1);
	if (v >= INT16_MIN)
		return gw_mpr_be(p, 0xd1, (uint64_t)v, 2);
	if (v >= INT32_MIN)
		return gw_mpr_be(p, 0xd2, (uint64_t)v, 4);
	return gw_mpr_be(p, 0xd3, (uint64_t)v, 8);
}

static inline uint8_t *gw_mpr_bool(uint8_t *p, bool v)
{
	*p = v ? 0xc3 : 0xc2;
	return p + 1;
}

static inline uint8_t *gw_mpr_map(uint8_t *p, uint32_t pairs)
{
	if (pairs < 16) {
		*p = (uint8_t)(0x80 | pairs);
		return p + 1;
	}
	return pairs <= 0xffff ? gw_mpr_be(p, 0xde, pairs, 2) : gw_mpr_be(p, 0xdf, pairs, 4);
}

static inline uint8_t *gw_mpr_str(uint8_t *p, struct gw_str s)
{
	if (s.n < 32)
		*p++ = (uint8_t)(0xa0 | s.n);
	else if (s.n <= 0xff)
		p = gw_mpr_be(p, 0xd9, s.n, 1);
	else if (s.n <= 0xffff)
		p = gw_mpr_be(p, 0xda, s.n, 2);
	else
		p = gw_mpr_be(p, 0xdb, s.n, 4);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

/* n < 256 */
static inline uint8_t *gw_mpr_bin(uint8_t *p, const void *bytes, size_t n)
{
	p = gw_mpr_be(p, 0xc4, n, 1);
	memcpy(p, bytes, n);
	return p + n;
}

/* Behind the scalar or text that begins at p, if it is of a common kind and lies before end; else NULL, and gw_mp_skip knows more. */
static inline const uint8_t *gw_mpr_skip(const uint8_t *p, const uint8_t *end)
{
	size_t n = 1, left = (size_t)(end - p);
	uint8_t c;

	if (left < 4)
		return NULL;
	c = *p;
	if (c >= 0xa0 && c < 0xc0)
		n += c & 31u;
	else if (c == 0xd9 || c == 0xc4)
		n += 1u + p[1];
	else if (c == 0xda || c == 0xc5)
		n += 2u + ((size_t)p[1] << 8 | p[2]);
	else if (c >= 0xcc && c <= 0xd3)
		n += (size_t)1 << (c & 3);
	else if (c > 0x7f && c < 0xe0 && c != 0xc2 && c != 0xc3)
		return NULL;
	return n <= left ? p + n : NULL;
}

/* Reading of the common kinds: behind the value, or NULL when it is of another kind or near the end: then gw_mp_* says what it is. */
static inline const uint8_t *gw_mpr_read_u64(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	unsigned bytes;
	uint64_t raw;

	if (end - p < 9)
		return NULL;
	if (*p < 0x80) {
		*v = *p;
		return p + 1;
	}
	if (*p < 0xcc || *p > 0xcf)
		return NULL;
	bytes = 1u << (*p & 3);
	memcpy(&raw, p + 1, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	raw = __builtin_bswap64(raw);
#endif
	*v = raw >> (64 - 8 * bytes);
	return p + 1 + bytes;
}

static inline const uint8_t *gw_mpr_read_str(const uint8_t *p, const uint8_t *end, struct gw_str *s)
{
	size_t n;

	if (end - p < 3)
		return NULL;
	if (*p >= 0xa0 && *p < 0xc0) {
		n = *p & 31u;
		p++;
	} else if (*p == 0xd9 || *p == 0xc4) {
		n = p[1];
		p += 2;
	} else if (*p == 0xda) {
		n = (size_t)p[1] << 8 | p[2];
		p += 3;
	} else {
		return NULL;
	}
	if (n > (size_t)(end - p))
		return NULL;
	*s = gw_str((const char *)p, n);
	return p + n;
}
