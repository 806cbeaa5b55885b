/* Every byte at every place of a short and a long text, against the words of RFC 9110. */
#include "lib/http_chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool is_tchar(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void test_tokens(void **state)
{
	(void)state;
	assert_false(gw_http_is_token(GW_LIT("")));
	for (int c = 0; c < 256; c++) {
		char text[5] = { 'a', 'b', 'c', 'd', 'e' };

		assert_int_equal(gw_http_is_tchar((char)c), is_tchar(c));
		for (size_t at = 0; at < sizeof(text); at++) {
			char old = text[at];

			text[at] = (char)c;
			assert_int_equal(gw_http_is_token(gw_str(text, sizeof(text))), is_tchar(c));
			text[at] = old;
		}
	}
}

static void test_values(void **state)
{
	static const size_t sizes[] = { 1, 7, 15, 16, 17, 31, 32, 40 };

	(void)state;
	assert_true(gw_http_is_value(GW_NIL));
	for (int c = 0; c < 256; c++) {
		bool want = c == '\t' || (c >= 0x20 && c != 0x7f);

		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			char text[40];

			for (size_t at = 0; at < sizes[k]; at++) {
				memset(text, 'x', sizeof(text));
				text[at] = (char)c;
				assert_int_equal(gw_http_is_value(gw_str(text, sizes[k])), want);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tokens), cmocka_unit_test(test_values) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
