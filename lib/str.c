/* Operations on byte views (lib/str.h). Nothing here allocates or fails halfway. */
#include "lib/str.h"
#include "lib/utf8.h"

static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

/* Eight bytes at once: bit 5 set in each byte that is an ASCII capital. */
static uint64_t capitals(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u, low7 = w & ones * 0x7f;
	uint64_t from_a = low7 + ones * (0x80 - 'A'), above_z = low7 + ones * (0x80 - 'Z' - 1);

	return ((from_a & ~above_z & ~w) & ones * 0x80) >> 2;
}

bool gw_str_ieq_same_length(const char *a, const char *b, size_t n)
{
	if (n < 8) {
		for (size_t i = 0; i < n; i++)
			if (lower(a[i]) != lower(b[i]))
				return false;
		return true;
	}
	for (size_t i = 0; i < n; i += 8) { /* the last eight overlap those before */
		size_t at = n - i >= 8 ? i : n - 8;
		uint64_t x, y;

		memcpy(&x, a + at, 8);
		memcpy(&y, b + at, 8);
		if (x != y && (x | capitals(x)) != (y | capitals(y)))
			return false;
	}
	return true;
}

int gw_str_cmp(struct gw_str a, struct gw_str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : (a.n > b.n) - (a.n < b.n);
}

size_t gw_str_find(struct gw_str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

struct gw_str gw_str_trim(struct gw_str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool gw_str_u64(struct gw_str s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool gw_str_i64(struct gw_str s, int64_t *out)
{
	bool neg = s.n && s.p[0] == '-';
	uint64_t v;

	if (!gw_str_u64(neg ? gw_str(s.p + 1, s.n - 1) : s, &v))
		return false;
	if (v > (uint64_t)INT64_MAX + (neg ? 1 : 0))
		return false;
	*out = neg ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool gw_str_cut(struct gw_str s, char c, struct gw_str *head, struct gw_str *tail)
{
	size_t at = gw_str_find(s, c);

	*head = gw_str(s.p, at);
	if (at == s.n) {
		*tail = gw_str_skip(s, s.n);
		return false;
	}
	*tail = gw_str(s.p + at + 1, s.n - at - 1);
	return true;
}

bool gw_str_is_utf8(struct gw_str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t i = 0;

	while (i < s.n) {
		uint64_t w;
		size_t len;

		if (s.n - i >= sizeof(w)) {
			memcpy(&w, p + i, sizeof(w));
			if (!(w & 0x8080808080808080u)) {
				i += sizeof(w);
				continue;
			}
		}
		len = gw_utf8_len(p + i, s.n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}
