/* lib/str.h */
#include "util.h"

static void compare(void **st)
{
	(void)st;
	assert_true(gw_str_eq(GW_LIT("a"), GW_LIT("a")));
	assert_false(gw_str_eq(GW_LIT("a"), GW_LIT("b")));
	assert_true(gw_str_eq(GW_NIL, GW_LIT("")));
	assert_true(gw_str_ieq(GW_LIT("Content-LENGTH"), GW_LIT("content-length")));
	assert_false(gw_str_ieq(GW_LIT("a["), GW_LIT("a{"))); /* differ by 0x20 but are no letters */
	assert_false(gw_str_ieq(GW_LIT("\xc3\x84"), GW_LIT("\xc3\xa4"))); /* ASCII only */
	assert_true(gw_str_cmp(GW_LIT("a"), GW_LIT("ab")) < 0);
	assert_true(gw_str_cmp(GW_LIT("b"), GW_LIT("ab")) > 0);
	assert_true(gw_str_cmp(GW_LIT("\xff"), GW_LIT("a")) > 0); /* bytes are unsigned */
	assert_int_equal(gw_str_cmp(GW_NIL, GW_LIT("")), 0);
	assert_true(gw_str_has_prefix(GW_LIT("abc"), GW_LIT("ab")));
	assert_false(gw_str_has_prefix(GW_LIT("a"), GW_LIT("ab")));
	assert_true(gw_str_has_prefix(GW_NIL, GW_NIL));
}

static int ascii_lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Every pair of bytes, at every place of texts shorter and longer than the eight bytes that are compared at once. */
static void case_of_every_byte(void **st)
{
	static const size_t sizes[] = { 1, 7, 8, 9, 15, 16, 17 };

	(void)st;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		for (size_t at = 0; at < sizes[k]; at++) {
			char a[17], b[17];

			memcpy(a, "Content-Length: 1", 17);
			memcpy(b, "cONTENT-lENGTH: 1", 17);
			for (int x = 0; x < 256; x++) {
				for (int y = 0; y < 256; y++) {
					a[at] = (char)x;
					b[at] = (char)y;
					if (gw_str_ieq(gw_str(a, sizes[k]), gw_str(b, sizes[k])) !=
					    (ascii_lower(x) == ascii_lower(y)))
						fail_msg("%d and %d at %zu of %zu", x, y, at, sizes[k]);
				}
			}
		}
	}
}

static void parts(void **st)
{
	struct gw_str h, t;

	(void)st;
	assert_int_equal(gw_str_find(GW_LIT("abc"), 'c'), 2);
	assert_int_equal(gw_str_find(GW_LIT("abc"), 'x'), 3);
	assert_str(gw_str_trim(GW_LIT(" \t a b \t")), "a b");
	assert_str(gw_str_trim(GW_LIT(" \t ")), "");
	assert_str(gw_str_trim(GW_LIT("\na")), "\na");
	assert_true(gw_str_cut(GW_LIT("k=v=w"), '=', &h, &t));
	assert_str(h, "k");
	assert_str(t, "v=w");
	assert_true(gw_str_cut(GW_LIT("k="), '=', &h, &t));
	assert_str(t, "");
	assert_false(gw_str_cut(GW_LIT("kv"), '=', &h, &t));
	assert_str(h, "kv");
	assert_str(t, "");
	assert_str(gw_str_skip(GW_LIT("abc"), 1), "bc");
	assert_str(gw_str_skip(GW_LIT("abc"), 9), "");
	/* in place: tail may be the source */
	t = GW_LIT("a.b");
	assert_true(gw_str_cut(t, '.', &h, &t));
	assert_str(t, "b");
}

static void numbers(void **st)
{
	uint64_t u = 7;
	int64_t i = 7;

	(void)st;
	assert_true(gw_str_u64(GW_LIT("18446744073709551615"), &u));
	assert_true(u == UINT64_MAX);
	u = 7;
	assert_false(gw_str_u64(GW_LIT("18446744073709551616"), &u));
	assert_false(gw_str_u64(GW_LIT("99999999999999999999999"), &u));
	assert_false(gw_str_u64(GW_LIT(""), &u));
	assert_false(gw_str_u64(GW_LIT("-1"), &u));
	assert_false(gw_str_u64(GW_LIT("+1"), &u));
	assert_false(gw_str_u64(GW_LIT("1 "), &u));
	assert_int_equal(u, 7); /* untouched */
	assert_true(gw_str_u64(GW_LIT("007"), &u));
	assert_int_equal(u, 7);
	assert_true(gw_str_i64(GW_LIT("-9223372036854775808"), &i));
	assert_true(i == INT64_MIN);
	assert_true(gw_str_i64(GW_LIT("9223372036854775807"), &i));
	assert_true(i == INT64_MAX);
	assert_false(gw_str_i64(GW_LIT("9223372036854775808"), &i));
	assert_false(gw_str_i64(GW_LIT("-9223372036854775809"), &i));
	assert_false(gw_str_i64(GW_LIT("-"), &i));
	assert_false(gw_str_i64(GW_LIT("--1"), &i));
	assert_true(i == INT64_MAX);
}

/* The definition, code point by code point. */
static bool slow_utf8(struct gw_str s)
{
	for (size_t i = 0; i < s.n;) {
		uint8_t c = (uint8_t)s.p[i];
		size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
		uint32_t cp = n == 1 ? c : c & (0x7fu >> n);
		static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

		if (n == 0 || i + n > s.n)
			return false;
		for (size_t k = 1; k < n; k++) {
			if (((uint8_t)s.p[i + k] & 0xc0) != 0x80)
				return false;
			cp = cp << 6 | ((uint8_t)s.p[i + k] & 0x3f);
		}
		if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
			return false;
		i += n;
	}
	return true;
}

static void utf8(void **st)
{
	unsigned agree_good = 0;

	(void)st;
	assert_true(gw_str_is_utf8(GW_LIT("plain, h\xc3\xa9llo, \xe2\x82\xac, \xf0\x9f\x98\x80")));
	assert_false(gw_str_is_utf8(GW_LIT("\xc0\xaf")));
	assert_false(gw_str_is_utf8(GW_LIT("\xed\xa0\x80")));
	assert_false(gw_str_is_utf8(GW_LIT("\xf4\x90\x80\x80")));
	assert_false(gw_str_is_utf8(GW_LIT("\xe2\x82")));
	/* every sequence of up to 3 interesting bytes, at every place around the 8-byte step */
	static const uint8_t bytes[] = { 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
					 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff };
	for (size_t k = 0; k < 400000; k++) {
		char text[16];
		size_t n = 1 + rng_below(sizeof(text));
		struct gw_str s;

		memset(text, 'x', sizeof(text));
		for (size_t i = 0; i < 4; i++)
			text[rng_below(n)] = (char)bytes[rng_below(sizeof(bytes))];
		s = gw_str(text, n);
		assert_int_equal(gw_str_is_utf8(s), slow_utf8(s));
		agree_good += slow_utf8(s);
	}
	assert_true(agree_good > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(compare), cmocka_unit_test(case_of_every_byte),
					    cmocka_unit_test(parts), cmocka_unit_test(numbers),
					    cmocka_unit_test(utf8) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
