/* msgpack (lib/msgpack.h): writing through msgpack-c's pack templates straight into a gw_buf; reading by a cursor of
 * our own, because msgpack-c's unpacker builds a tree and trusts lengths more than hostile bytes deserve. */
#include "lib/msgpack.h"

#include <msgpack.h>

enum { MAX_DEPTH = 32 };

static int put(void *ctx, const char *p, size_t n)
{
	gw_buf_put(ctx, p, n);
	return 0; /* the buffer remembers its error */
}

static inline msgpack_packer packer(struct gw_buf *b)
{
	return (msgpack_packer){ .data = b, .callback = put };
}

void gw_mp_map(struct gw_buf *b, uint32_t pairs)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_map(&pk, pairs);
}

void gw_mp_arr(struct gw_buf *b, uint32_t items)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_array(&pk, items);
}

void gw_mp_nil(struct gw_buf *b)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_nil(&pk);
}

void gw_mp_bool(struct gw_buf *b, bool v)
{
	msgpack_packer pk = packer(b);

	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void gw_mp_u64(struct gw_buf *b, uint64_t v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_uint64(&pk, v);
}

void gw_mp_i64(struct gw_buf *b, int64_t v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_int64(&pk, v);
}

void gw_mp_double(struct gw_buf *b, double v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_double(&pk, v);
}

void gw_mp_str(struct gw_buf *b, struct gw_str s)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_str(&pk, s.n);
	gw_buf_puts(b, s);
}

void gw_mp_bin(struct gw_buf *b, struct gw_str s)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_bin(&pk, s.n);
	gw_buf_puts(b, s);
}

/* ---- reading ---- */

static void garbled(struct gw_mp *r)
{
	r->err = GW_E_GARBLED;
	r->at = r->end;
}

static size_t left(const struct gw_mp *r)
{
	return (size_t)(r->end - r->at);
}

/* Big-endian unsigned of n bytes (1, 2, 4, 8) after the type byte; consumes both. */
static uint64_t take_be(struct gw_mp *r, size_t n)
{
	uint64_t v = 0;

	if (left(r) < 1 + n) {
		garbled(r);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | r->at[1 + i];
	r->at += 1 + n;
	return v;
}

enum gw_mp_type gw_mp_peek(struct gw_mp *r)
{
	uint8_t c;

	if (r->err || r->at == r->end)
		return GW_MP_END;
	c = *r->at;
	if (c <= 0x7f || c >= 0xe0)
		return GW_MP_INT;
	if (c <= 0x8f)
		return GW_MP_MAP;
	if (c <= 0x9f)
		return GW_MP_ARR;
	if (c <= 0xbf)
		return GW_MP_STR;
	switch (c) {
	case 0xc0:
		return GW_MP_NIL;
	case 0xc2:
	case 0xc3:
		return GW_MP_BOOL;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return GW_MP_BIN;
	case 0xca:
	case 0xcb:
		return GW_MP_DOUBLE;
	case 0xd9:
	case 0xda:
	case 0xdb:
		return GW_MP_STR;
	case 0xdc:
	case 0xdd:
		return GW_MP_ARR;
	case 0xde:
	case 0xdf:
		return GW_MP_MAP;
	default:
		if (c >= 0xcc && c <= 0xd3)
			return GW_MP_INT;
		garbled(r); /* 0xc1 and the ext family */
		return GW_MP_END;
	}
}

/* Number of items behind a container or string head: in the low bits of the type byte, or 1, 2 or 4 bytes behind it. */
static uint32_t take_len(struct gw_mp *r)
{
	uint8_t c = *r->at;

	if (c >= 0x80 && c <= 0x9f) {
		r->at++;
		return c & 0x0f;
	}
	if (c >= 0xa0 && c <= 0xbf) {
		r->at++;
		return c & 0x1f;
	}
	if (c == 0xc4 || c == 0xd9)
		return (uint32_t)take_be(r, 1);
	if (c == 0xc5 || c == 0xda || c == 0xdc || c == 0xde)
		return (uint32_t)take_be(r, 2);
	return (uint32_t)take_be(r, 4);
}

/* A container's count, refused when the bytes that are left cannot hold that many values. */
static uint32_t read_count(struct gw_mp *r, enum gw_mp_type type, uint64_t values_per_item)
{
	uint32_t n;

	if (gw_mp_peek(r) != type) {
		garbled(r);
		return 0;
	}
	n = take_len(r);
	if (n * values_per_item > left(r)) {
		garbled(r);
		return 0;
	}
	return n;
}

uint32_t gw_mp_read_map(struct gw_mp *r)
{
	return read_count(r, GW_MP_MAP, 2);
}

uint32_t gw_mp_read_arr(struct gw_mp *r)
{
	return read_count(r, GW_MP_ARR, 1);
}

/* The value as two's complement; *neg tells which of the two readings of bit 63 is meant. */
static uint64_t take_int(struct gw_mp *r, bool *neg)
{
	uint8_t c;
	uint64_t v;
	unsigned bytes;

	*neg = false;
	if (gw_mp_peek(r) != GW_MP_INT) {
		garbled(r);
		return 0;
	}
	c = *r->at;
	if (c <= 0x7f || c >= 0xe0) {
		r->at++;
		*neg = c >= 0xe0;
		return (uint64_t)(int64_t)(int8_t)c;
	}
	bytes = 1u << (c & 3); /* cc..cf unsigned, d0..d3 signed: 1, 2, 4, 8 bytes */
	v = take_be(r, bytes);
	if (c >= 0xd0 && bytes < 8 && v >> (bytes * 8 - 1)) /* widen the sign */
		v |= ~0ull << (bytes * 8);
	*neg = c >= 0xd0 && v >> 63;
	return v;
}

uint64_t gw_mp_read_u64(struct gw_mp *r)
{
	bool neg;
	uint64_t v = take_int(r, &neg);

	if (neg) {
		garbled(r);
		return 0;
	}
	return v;
}

int64_t gw_mp_read_i64(struct gw_mp *r)
{
	bool neg;
	uint64_t v = take_int(r, &neg);

	if (!neg && v > INT64_MAX) {
		garbled(r);
		return 0;
	}
	return (int64_t)v;
}

bool gw_mp_read_bool(struct gw_mp *r)
{
	if (gw_mp_peek(r) != GW_MP_BOOL) {
		garbled(r);
		return false;
	}
	return *r->at++ == 0xc3;
}

double gw_mp_read_double(struct gw_mp *r)
{
	enum gw_mp_type t = gw_mp_peek(r);

	if (t == GW_MP_INT) {
		bool neg;
		uint64_t v = take_int(r, &neg);

		return neg ? (double)(int64_t)v : (double)v;
	}
	if (t != GW_MP_DOUBLE) {
		garbled(r);
		return 0;
	}
	if (*r->at == 0xca) {
		uint32_t bits = (uint32_t)take_be(r, 4);
		float f;

		memcpy(&f, &bits, sizeof(f));
		return (double)f;
	}
	uint64_t bits = take_be(r, 8);
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

struct gw_str gw_mp_read_str(struct gw_mp *r)
{
	enum gw_mp_type t = gw_mp_peek(r);
	struct gw_str s;
	uint32_t n;

	if (t != GW_MP_STR && t != GW_MP_BIN) {
		garbled(r);
		return GW_NIL;
	}
	n = take_len(r);
	if (r->err || n > left(r)) {
		garbled(r);
		return GW_NIL;
	}
	s = gw_str((const char *)r->at, n);
	r->at += n;
	return s;
}

/* Consumes one scalar, or the head of a container: returns how many values follow inside it. */
static uint64_t skip_one(struct gw_mp *r)
{
	bool neg;

	switch (gw_mp_peek(r)) {
	case GW_MP_NIL:
	case GW_MP_BOOL:
		r->at++;
		return 0;
	case GW_MP_INT:
		take_int(r, &neg);
		return 0;
	case GW_MP_DOUBLE:
		gw_mp_read_double(r);
		return 0;
	case GW_MP_STR:
	case GW_MP_BIN:
		gw_mp_read_str(r);
		return 0;
	case GW_MP_ARR:
		return gw_mp_read_arr(r);
	case GW_MP_MAP:
		return 2ull * gw_mp_read_map(r);
	case GW_MP_END:
	default:
		garbled(r);
		return 0;
	}
}

void gw_mp_skip(struct gw_mp *r)
{
	uint64_t open[MAX_DEPTH + 1] = { 1 }; /* values still to come, per level */
	unsigned depth = 0;

	while (!r->err) {
		uint64_t inside;

		if (open[depth] == 0) {
			if (depth == 0)
				return;
			depth--;
			continue;
		}
		open[depth]--;
		inside = skip_one(r);
		if (inside == 0)
			continue;
		if (depth == MAX_DEPTH) {
			garbled(r);
			return;
		}
		open[++depth] = inside;
	}
}
