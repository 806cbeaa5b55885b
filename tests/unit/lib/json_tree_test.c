/* lib/json_tree.c, and gw_json_quote as its other end: what is special is found wherever it stands among plain bytes, sixteen of which are
 * looked at at once; brackets inside of strings are no nesting. */
#include "util.h"

#include "lib/json.h"
#include "lib/json_write.h"

enum { LONGEST = 150 };

static enum gw_err tree(struct gw_str text, const yyjson_val **root, struct gw_arena *a)
{
	struct gw_str e = exact(text);
	enum gw_err err = gw_json_tree(a, e, NULL, root, NULL);

	free((char *)(uintptr_t)e.p);
	return err;
}

/* One special piece at each place of plain text: quoted, read again, the same. */
static void round_trips(void **st)
{
	static const char *const pieces[] = { "\"",   "\\",   "\n",       "\x01",
					      "\x1f", "\x7f", "\xc3\xa4", "\xf0\x9f\x98\x80",
					      "\\\"", "[[",   "" };
	char plain[LONGEST + 8];

	(void)st;
	for (size_t k = 0; k < N_OF(pieces); k++) {
		for (size_t n = 0; n < LONGEST; n += n < 70 ? 1 : 13) {
			for (size_t at = 0; at <= n; at++) {
				size_t len = strlen(pieces[k]);
				const yyjson_val *root = NULL;
				struct gw_arena a;
				struct gw_buf b;

				memset(plain, 'x', sizeof(plain));
				memcpy(plain + at, pieces[k], len);
				gw_arena_init(&a, NULL, 0, 1 << 20);
				gw_buf_init(&b, 1 << 20);
				gw_json_quote(&b, gw_str(plain, n + len));
				assert_int_equal(tree(gw_buf_view(&b), &root, &a), GW_OK);
				assert_same(gw_json_str(root), gw_str(plain, n + len));
				gw_buf_done(&b);
				gw_arena_done(&a);
			}
		}
	}
}

static void bad_utf8_is_replaced(void **st)
{
	(void)st;
	for (size_t n = 0; n < 40; n++) {
		char text[64];
		struct gw_buf b;

		memset(text, 'x', sizeof(text));
		text[n] = (char)0xc3; /* cut, before a plain byte and at the end */
		gw_buf_init(&b, 1000);
		gw_json_quote(&b, gw_str(text, n + 2));
		assert_int_equal(b.n, n + 1 + 3 + 2);
		assert_memory_equal(b.p + 1 + n,
				    "\xef\xbf\xbd"
				    "x\"",
				    5);
		gw_buf_clear(&b, SIZE_MAX);
		gw_json_quote(&b, gw_str(text, n + 1));
		assert_int_equal(b.n, n + 3 + 2);
		gw_buf_done(&b);
	}
}

static enum gw_err nested(size_t outside, size_t inside, size_t pad)
{
	const yyjson_val *root = NULL;
	struct gw_arena a;
	struct gw_buf b;
	enum gw_err e;

	gw_arena_init(&a, NULL, 0, 4 << 20);
	gw_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < outside; i++)
		gw_buf_putc(&b, '[');
	gw_buf_putc(&b, '"');
	for (size_t i = 0; i < pad; i++)
		gw_buf_putc(&b, 'x');
	gw_buf_puts(&b, GW_LIT("\\\""));
	for (size_t i = 0; i < inside; i++)
		gw_buf_putc(&b, '[');
	gw_buf_puts(&b, GW_LIT("\\\\\""));
	for (size_t i = 0; i < outside; i++)
		gw_buf_putc(&b, ']');
	e = tree(gw_buf_view(&b), &root, &a);
	gw_buf_done(&b);
	gw_arena_done(&a);
	return e;
}

static void depth(void **st)
{
	size_t max = gw_json_default_limits.max_depth;

	(void)st;
	for (size_t pad = 0; pad < 40; pad++) {
		assert_int_equal(nested(max, 2 * max, pad), GW_OK);
		assert_int_equal(nested(max + 1, 0, pad), GW_E_SYNTAX);
	}
}

/* Every cut of a text with escapes is refused and read within its bytes. */
static void cuts(void **st)
{
	static const char text[] = "{\"a\\\\\":\"xxxxxxxxxxxxxxxxxxxx\\\"[[\\\\\",\"b\":[\"\\u00e4\"]}";

	(void)st;
	for (size_t n = 0; n < sizeof(text); n++) {
		const yyjson_val *root = NULL;
		struct gw_arena a;

		gw_arena_init(&a, NULL, 0, 1 << 20);
		assert_int_equal(tree(gw_str(text, n), &root, &a), n == sizeof(text) - 1 ? GW_OK : GW_E_SYNTAX);
		gw_arena_done(&a);
	}
}

/* Whatever is no string reads as nothing, its members are not counted as bytes. */
static void only_strings_are_text(void **st)
{
	static const struct {
		const char *json, *text;
	} rows[] = { { "\"abc\"", "abc" },      { "\"\"", "" }, { "[1,2,3]", "" }, { "{\"a\":1,\"b\":2}", "" },
		     { "184467440737095", "" }, { "null", "" }, { "true", "" },    { "1.5", "" } };

	(void)st;
	for (size_t i = 0; i < N_OF(rows); i++) {
		const yyjson_val *root = NULL;
		struct gw_arena a;

		gw_arena_init(&a, NULL, 0, 1 << 20);
		assert_int_equal(tree(gw_str_z(rows[i].json), &root, &a), GW_OK);
		assert_true(gw_str_eq(gw_json_str(root), gw_str_z(rows[i].text)));
		gw_arena_done(&a);
	}
	assert_int_equal(gw_json_str(NULL).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(round_trips), cmocka_unit_test(bad_utf8_is_replaced),
					    cmocka_unit_test(depth), cmocka_unit_test(cuts),
					    cmocka_unit_test(only_strings_are_text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
