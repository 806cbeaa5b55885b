/* lib/json_write.h: commas, escapes, numbers, errors that stick. Trees are covered by json_check_test. */
#include "util.h"

#include <math.h>

#include "lib/json_write.h"

static struct gw_buf b;
static struct gw_json_out w;

static void start(void)
{
	gw_buf_clear(&b, 1 << 20);
	gw_jw_init(&w, &b);
}

static void structure(void **st)
{
	(void)st;
	start();
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "a", GW_LIT("x"));
	gw_jw_key(&w, GW_LIT("list"));
	gw_jw_arr(&w);
	gw_jw_u64(&w, 1);
	gw_jw_obj(&w);
	gw_jw_end_obj(&w);
	gw_jw_arr(&w);
	gw_jw_end_arr(&w);
	gw_jw_null(&w);
	gw_jw_raw(&w, GW_LIT("{\"r\":0}"));
	gw_jw_end_arr(&w);
	gw_jw_ku64(&w, "u", UINT64_MAX);
	gw_jw_ki64(&w, "i", INT64_MIN);
	gw_jw_kbool(&w, "t", true);
	gw_jw_kbool(&w, "f", false);
	gw_jw_end_obj(&w);
	assert_str(gw_buf_view(&b), "{\"a\":\"x\",\"list\":[1,{},[],null,{\"r\":0}],\"u\":18446744073709551615,"
				    "\"i\":-9223372036854775808,\"t\":true,\"f\":false}");
	assert_int_equal(w.depth, 0);
}

static void strings(void **st)
{
	static const struct {
		struct gw_str in;
		const char *out;
	} cases[] = {
#define CASE(lit, out) { { lit, sizeof(lit) - 1 }, out }
		CASE("", "\"\""),
		CASE("a\"b\\c/d", "\"a\\\"b\\\\c/d\""),
		CASE("\n\r\t\b\f", "\"\\n\\r\\t\\b\\f\""),
		CASE("\x00\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\x7f\""),
		CASE("\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""),
		CASE("a\xff"
		     "b\xc3",
		     "\"a\xef\xbf\xbd"
		     "b\xef\xbf\xbd\""),
		CASE("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
#undef CASE
	};

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct gw_str in = exact(cases[i].in);

		start();
		gw_jw_str(&w, in);
		assert_str(gw_buf_view(&b), cases[i].out);
		start();
		gw_jw_obj(&w);
		gw_jw_key(&w, in);
		gw_jw_null(&w);
		gw_jw_end_obj(&w);
		assert_true(gw_str_has_prefix(gw_str_skip(gw_buf_view(&b), 1), gw_str_z(cases[i].out)));
		free((char *)(uintptr_t)in.p);
	}
	start();
	gw_jw_str(&w, GW_NIL);
	assert_str(gw_buf_view(&b), "\"\"");
}

/* Whatever bytes: valid JSON comes out, and valid UTF-8 comes back unchanged. */
static void random_bytes(void **st)
{
	(void)st;
	for (int i = 0; i < 20000; i++) {
		char raw[24];
		struct gw_str s = gw_str(raw, rng_below(sizeof(raw)));
		yyjson_doc *doc;

		for (size_t k = 0; k < s.n; k++)
			raw[k] = (char)(rng_below(2) ? rng_below(0x60) : rng());
		start();
		gw_jw_str(&w, s);
		assert_int_equal(gw_json_read(gw_buf_view(&b), NULL, &doc, NULL), GW_OK);
		if (gw_str_is_utf8(s))
			assert_same(gw_json_str(yyjson_doc_get_root(doc)), s);
		yyjson_doc_free(doc);
	}
}

static void doubles(void **st)
{
	static const struct {
		double v;
		const char *out;
	} cases[] = { { 0, "0.0" },
		      { -0.0, "-0.0" },
		      { 1, "1.0" },
		      { 0.1, "0.1" },
		      { -1.5e300, "-1.5e+300" },
		      { 5e-324, "4.94065645841247e-324" },
		      { 123456789012345680.0, "1.2345678901234568e+17" },
		      { NAN, "null" },
		      { INFINITY, "null" },
		      { -INFINITY, "null" } };

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		start();
		gw_jw_double(&w, cases[i].v);
		assert_str(gw_buf_view(&b), cases[i].out);
	}
	for (int i = 0; i < 50000; i++) {
		uint64_t bits = rng();
		double v, back;

		memcpy(&v, &bits, sizeof(v));
		if (!isfinite(v))
			continue;
		start();
		gw_jw_double(&w, v);
		assert_true(gw_json_double(gw_buf_view(&b), &back));
		assert_memory_equal(&v, &back, sizeof(v));
	}
}

static void ceilings(void **st)
{
	struct gw_buf small;

	(void)st;
	start();
	for (int i = 0; i < 64; i++)
		gw_jw_arr(&w);
	assert_int_equal(b.err, GW_OK);
	gw_jw_u64(&w, 1);
	gw_jw_u64(&w, 2);
	for (int i = 0; i < 64; i++)
		gw_jw_end_arr(&w);
	assert_int_equal(b.err, GW_OK);
	assert_memory_equal(b.p + 64, "1,2", 3);
	start();
	for (int i = 0; i < 65; i++)
		gw_jw_arr(&w);
	assert_int_equal(b.err, GW_E_TOO_BIG);
	gw_jw_u64(&w, 1);
	for (int i = 0; i < 65; i++)
		gw_jw_end_arr(&w);
	gw_buf_init(&small, 10);
	gw_jw_init(&w, &small);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "key", GW_LIT("too long for this"));
	gw_jw_end_obj(&w);
	assert_int_equal(small.err, GW_E_TOO_BIG);
	gw_buf_done(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(structure), cmocka_unit_test(strings),
					    cmocka_unit_test(random_bytes), cmocka_unit_test(doubles),
					    cmocka_unit_test(ceilings) };
	int rc;

	gw_buf_init(&b, 1 << 20);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	gw_buf_done(&b);
	return rc;
}
