/* Meaning of single JSON tokens (lib/json.h): unescaping strings, values of numbers. The tokens were accepted by
 * gw_json_check before. Numbers are taken apart as decimal digits, so that no length of theirs costs memory. */
#include "lib/json_impl.h"

#include <stdio.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes with bit 7 set where w has a byte that ends a plain run. */
static inline uint64_t special_bytes(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');

	/* a borrow can mark a byte above a true hit only; the lowest mark is always right */
	return ((w - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | w) & high;
}

#ifdef __SSE2__
static inline __m128i plain_hits(const uint8_t *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

	/* signed compare: bytes above 0x7f are negative, so "below space" catches them as well */
	return _mm_or_si128(_mm_or_si128(quote, slash), _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
}
#endif

const uint8_t *gw_json_plain_end(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
	while (end - p >= 64) { /* prompts are long: four at once, then one by one to the place */
		__m128i a = plain_hits(p), b = plain_hits(p + 16), c = plain_hits(p + 32), d = plain_hits(p + 48);

		if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))))
			break;
		p += 64;
	}
	while (end - p >= 16) {
		unsigned mask = (unsigned)_mm_movemask_epi8(plain_hits(p));

		if (mask)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (end - p >= 8) {
		uint64_t w;

		memcpy(&w, p, sizeof(w));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		w = __builtin_bswap64(w);
#endif
		w = special_bytes(w);
		if (w)
			return p + __builtin_ctzll(w) / 8;
		p += 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* ---- strings ---- */

static uint32_t hex4(const uint8_t *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return v;
}

static int next_escape(struct gw_json_chars *c)
{
	uint32_t cp;

	switch (*c->at++) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'u':
		break;
	default: /* '"', '\\', '/' */
		return c->at[-1];
	}
	cp = hex4(c->at);
	c->at += 4;
	if (cp >= 0xd800 && cp < 0xdc00) {
		cp = 0x10000 + ((cp & 0x3ff) << 10 | (hex4(c->at + 2) & 0x3ff));
		c->at += 6;
	}
	c->n_pending = (uint8_t)gw_utf8_put(cp, c->pending);
	c->i_pending = 1;
	return (uint8_t)c->pending[0];
}

int gw_json_next(struct gw_json_chars *c)
{
	if (c->i_pending < c->n_pending)
		return (uint8_t)c->pending[c->i_pending++];
	if (c->at == c->end)
		return -1;
	if (*c->at != '\\')
		return *c->at++;
	c->at++;
	return next_escape(c);
}

bool gw_json_inside_eq(struct gw_str inside, struct gw_str plain)
{
	struct gw_json_chars c = gw_json_chars(inside);

	if (inside.n < plain.n)
		return false;
	if (inside.n == plain.n && gw_str_find(inside, '\\') == inside.n)
		return gw_str_eq(inside, plain);
	for (size_t i = 0; i < plain.n; i++)
		if (gw_json_next(&c) != (uint8_t)plain.p[i])
			return false;
	return gw_json_next(&c) < 0;
}

struct gw_str gw_json_unescape(struct gw_arena *a, struct gw_str quoted)
{
	struct gw_str inside = gw_str(quoted.p + 1, quoted.n - 2);
	struct gw_json_chars c = gw_json_chars(inside);
	size_t n = 0;
	char *out;

	if (gw_str_find(inside, '\\') == inside.n)
		return inside;
	out = gw_alloc_bytes(a, inside.n);
	if (!out)
		return GW_NIL;
	for (int ch = gw_json_next(&c); ch >= 0; ch = gw_json_next(&c))
		out[n++] = (char)ch;
	return gw_str(out, n);
}

/* ---- numbers ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Value of "[+-]digits", held at +-10^12: far outside of what any text's length can outweigh. */
static int64_t read_exponent(struct gw_str s)
{
	const int64_t most = 1000000000000;
	bool neg = s.n && s.p[0] == '-';
	int64_t v = 0;

	for (size_t i = s.n && !is_digit(s.p[0]); i < s.n; i++)
		v = v > most ? most : v * 10 + (s.p[i] - '0');
	return neg ? -v : v;
}

struct gw_json_number gw_json_number_split(struct gw_str token)
{
	struct gw_json_number num = { .is_negative = token.n && token.p[0] == '-' };
	size_t i = num.is_negative, from = 0, point = 0;
	bool has_point = false, started = false;
	int64_t before = 0; /* digits between the first non-zero one and the point; negative: zeros after the point */

	for (; i < token.n && (is_digit(token.p[i]) || token.p[i] == '.'); i++) {
		if (token.p[i] == '.') {
			has_point = true;
			point = i;
		} else if (started) {
			before += !has_point;
		} else if (token.p[i] != '0') {
			started = true;
			from = i;
			before = has_point ? -(int64_t)(i - point - 1) : 1;
		}
	}
	num.is_zero = !started;
	if (num.is_zero)
		return num;
	num.digits = gw_str(token.p + from, i - from);
	num.exp10 = before + (i < token.n ? read_exponent(gw_str_skip(token, i + 1)) : 0);
	return num;
}

/* 2^1024 - 2^970, the first value that rounds to infinity as a double: 0.17976... * 10^309. */
static const char first_infinite[] =
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963302864166"
    "9288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027006985557136695962"
    "2842914819860834936475292719074168444365510704342711559699508093042880177904174497792";

bool gw_json_number_is_finite(struct gw_str token)
{
	struct gw_json_number num;
	size_t k = 0;

	if (token.n < 309) {
		size_t i = 0;

		while (i < token.n && (token.p[i] | 0x20) != 'e')
			i++;
		if (i == token.n) /* too few digits to be that large */
			return true;
	}
	num = gw_json_number_split(token);
	if (num.is_zero || num.exp10 < 309)
		return true;
	if (num.exp10 > 309)
		return false;
	for (size_t i = 0; i < num.digits.n && k < sizeof(first_infinite) - 1; i++) {
		if (num.digits.p[i] == '.')
			continue;
		if (num.digits.p[i] != first_infinite[k])
			return num.digits.p[i] < first_infinite[k];
		k++;
	}
	while (k < sizeof(first_infinite) - 1) /* the token is shorter: the rest counts as zeros */
		if (first_infinite[k++] != '0')
			return true;
	return false;
}

bool gw_json_int(struct gw_str token, int64_t *out)
{
	return gw_str_i64(token, out);
}

bool gw_json_bool(struct gw_str token, bool *out)
{
	bool is_true = gw_str_eq(token, GW_LIT("true"));

	if (!is_true && !gw_str_eq(token, GW_LIT("false")))
		return false;
	*out = is_true;
	return true;
}

bool gw_json_double(struct gw_str token, double *out)
{
	/* 767 digits decide every double; one more non-zero digit stands for all that follow. */
	enum { DECIDING = 768 };
	char text[DECIDING + 32] = "-0.";
	size_t n = 3;
	struct gw_json_number num;

	if (token.n == 0 || (!is_digit(token.p[0]) && token.p[0] != '-'))
		return false;
	num = gw_json_number_split(token);
	if (num.is_zero) {
		*out = num.is_negative ? -0.0 : 0.0;
		return true;
	}
	if (!gw_json_number_is_finite(token))
		return false;
	for (size_t i = 0; i < num.digits.n; i++) {
		if (num.digits.p[i] == '.')
			continue;
		if (n == DECIDING + 3) {
			if (num.digits.p[i] != '0') {
				text[n++] = '1';
				break;
			}
			continue;
		}
		text[n++] = num.digits.p[i];
	}
	/* past -2000 it is zero whatever the digits say */
	snprintf(text + n, sizeof(text) - n, "e%d", num.exp10 < -2000 ? -2000 : (int)num.exp10);
	*out = strtod(text + !num.is_negative, NULL);
	return true;
}
