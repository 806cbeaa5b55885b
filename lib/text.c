/* Small encodings (lib/text.h): hex, base64, CRC32C, UUIDv7, and "did you mean". Durations, sizes and times are in
 * lib/text_units.c. */
#include "lib/text.h"

#if defined(__SSE4_2__) || defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

static const char hex_digits[] = "0123456789abcdef";

void gw_hex_put(struct gw_buf *b, const void *p, size_t n)
{
	const uint8_t *in = p;
	char *to = n <= SIZE_MAX / 2 ? gw_buf_room(b, 2 * n) : NULL;

	if (!to || n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		to[2 * i] = hex_digits[in[i] >> 4];
		to[2 * i + 1] = hex_digits[in[i] & 15];
	}
	gw_buf_commit(b, 2 * n);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool gw_hex_read(struct gw_str s, uint8_t *out, size_t n)
{
	if (s.n / 2 != n || s.n % 2)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(s.p[2 * i]), lo = hex_value(s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* ---- base64 ---- */

static const char b64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void b64_put(struct gw_buf *b, const uint8_t *in, size_t n, const char *digits, bool pad)
{
	while (n > 0) {
		size_t k = n < 3 ? n : 3;
		uint32_t v = (uint32_t)in[0] << 16 | (k > 1 ? (uint32_t)in[1] << 8 : 0) | (k > 2 ? in[2] : 0);
		char four[4] = { digits[v >> 18], digits[v >> 12 & 63], k > 1 ? digits[v >> 6 & 63] : '=',
				 k > 2 ? digits[v & 63] : '=' };

		gw_buf_put(b, four, pad ? 4 : k + 1);
		in += k;
		n -= k;
	}
}

void gw_b64_put(struct gw_buf *b, const void *p, size_t n)
{
	b64_put(b, p, n, b64_std, true);
}

void gw_b64url_put(struct gw_buf *b, const void *p, size_t n)
{
	b64_put(b, p, n, b64_url, false);
}

static int b64_value(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	return -1;
}

/* Unpadded digits. One spelling per value: bits that fall out must be zero. */
static bool b64_read(struct gw_buf *b, struct gw_str s, bool url)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	if (s.n % 4 == 1)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int v = b64_value(s.p[i], url);

		if (v < 0)
			return false;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			gw_buf_putc(b, (char)(acc >> bits));
			acc &= (1u << bits) - 1;
		}
	}
	return acc == 0 && !b->err;
}

bool gw_b64_read(struct gw_buf *b, struct gw_str s)
{
	if (s.n % 4)
		return false;
	for (int i = 0; i < 2 && s.n && s.p[s.n - 1] == '='; i++)
		s.n--;
	return b64_read(b, s, false);
}

bool gw_b64url_read(struct gw_buf *b, struct gw_str s)
{
	return b64_read(b, s, true);
}

/* ---- CRC32C (Castagnoli, reflected 0x82f63b78) ---- */

static uint32_t crc_soft(uint32_t c, const uint8_t *p, size_t n)
{
	/* one entry per nibble */
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		c = c >> 4 ^ table[c & 15];
		c = c >> 4 ^ table[c & 15];
	}
	return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse(uint32_t c, const uint8_t *p, size_t n)
{
	uint64_t c64 = c;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w;

		memcpy(&w, p, sizeof(w));
		c64 = _mm_crc32_u64(c64, w);
	}
	c = (uint32_t)c64;
	for (; n; n--, p++)
		c = _mm_crc32_u8(c, *p);
	return c;
}
#endif

uint32_t gw_crc32c(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *in = p;

	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse(crc, in, n);
#elif defined(__ARM_FEATURE_CRC32)
	for (; n >= 8; n -= 8, in += 8) {
		uint64_t w;

		memcpy(&w, in, sizeof(w));
		crc = __crc32cd(crc, w);
	}
#endif
	return ~crc_soft(crc, in, n);
}

/* ---- UUID ---- */

void gw_uuid7_make(struct gw_uuid7 *u, uint64_t unix_ms, const uint8_t random[10], uint8_t out[16])
{
	/* A fresh millisecond starts the counter in its lower half, so that at least 2048 more ids fit behind it. */
	uint16_t start = (uint16_t)((random[0] << 8 | random[1]) & 0x7ff);

	if (unix_ms > u->last_ms) {
		u->last_ms = unix_ms;
		u->counter = start;
	} else if (u->counter < 0xfff) {
		u->counter++;
	} else { /* 12 bits used up, or the clock stands still: run ahead of it rather than go back */
		u->last_ms++;
		u->counter = start;
	}
	for (unsigned i = 0; i < 6; i++)
		out[i] = (uint8_t)(u->last_ms >> (40 - 8 * i));
	out[6] = (uint8_t)(0x70 | u->counter >> 8);
	out[7] = (uint8_t)u->counter;
	memcpy(out + 8, random + 2, 8);
	out[8] = (uint8_t)(0x80 | (out[8] & 0x3f));
}

static bool has_hyphen_before(unsigned byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void gw_uuid_print(const uint8_t id[16], char out[36])
{
	for (unsigned i = 0; i < 16; i++) {
		if (has_hyphen_before(i))
			*out++ = '-';
		*out++ = hex_digits[id[i] >> 4];
		*out++ = hex_digits[id[i] & 15];
	}
}

bool gw_uuid_read(struct gw_str s, uint8_t out[16])
{
	uint8_t id[16];
	size_t at = 0;

	if (s.n != 36)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		if (has_hyphen_before(i) && s.p[at++] != '-')
			return false;
		if (!gw_hex_read(gw_str(s.p + at, 2), &id[i], 1))
			return false;
		at += 2;
	}
	memcpy(out, id, sizeof(id));
	return true;
}

/* ---- did you mean ---- */

enum { NEAREST_MAX = 64, NEAREST_DIST = 3 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance (insert, delete, replace, swap of neighbours); both at most NEAREST_MAX long. */
static unsigned distance(struct gw_str a, struct gw_str b)
{
	unsigned rows[3][NEAREST_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (unsigned j = 0; j <= b.n; j++)
		above[j] = j;
	memset(rows[0], 0, sizeof(rows[0]));
	for (unsigned i = 1; i <= a.n; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned cost = a.p[i - 1] != b.p[j - 1];

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		unsigned *spare = before;

		before = above;
		above = row;
		row = spare;
	}
	return above[b.n];
}

int gw_nearest(struct gw_str word, const char *const *names, size_t n)
{
	unsigned best = NEAREST_DIST + 1;
	int at = -1;

	if (word.n > NEAREST_MAX)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct gw_str name = gw_str_z(names[i]);
		size_t longer = name.n > word.n ? name.n : word.n;
		unsigned d;

		if (name.n > NEAREST_MAX)
			continue;
		d = distance(word, name);
		/* "ab" is three edits from every short word; a guess must share at least half of its letters */
		if (d < best && 2 * (size_t)d <= longer) {
			best = d;
			at = (int)i;
		}
	}
	return at;
}
