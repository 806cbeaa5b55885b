/* Tokens and spans of accepted JSON (lib/json.h): unescaping, numbers, walking objects and arrays. */
#include "util.h"

#include <math.h>

#include "json_gen.h"

static struct gw_arena arena;

static void unescape(void **st)
{
	struct gw_str plain = GW_LIT("\"plain \xc3\xa9\""), s;

	(void)st;
	s = gw_json_unescape(&arena, plain);
	assert_ptr_equal(s.p, plain.p + 1); /* a view */
	assert_str(s, "plain \xc3\xa9");
	assert_str(gw_json_unescape(&arena, GW_LIT("\"\"")), "");
	assert_same(
	    gw_json_unescape(&arena, GW_LIT("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\u20AC\\ud83d\\uDE00z\"")),
	    GW_LIT("a\"\\/\b\f\n\r\t\0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"));
	struct gw_arena tiny;
	gw_arena_init(&tiny, NULL, 0, 0);
	assert_null(gw_json_unescape(&tiny, GW_LIT("\"\\n\"")).p);
	gw_arena_done(&tiny);
}

/* Our unescaping and yyjson's agree on random strings. */
static void unescape_random(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	for (int i = 0; i < 5000; i++) {
		struct gw_mark m = gw_arena_mark(&arena);
		yyjson_doc *doc;

		gw_buf_clear(&b, SIZE_MAX);
		gen_string(&b, false);
		assert_int_equal(gw_json_read(gw_buf_view(&b), NULL, &doc, NULL), GW_OK);
		assert_same(gw_json_unescape(&arena, gw_buf_view(&b)), gw_json_str(yyjson_doc_get_root(doc)));
		yyjson_doc_free(doc);
		gw_arena_reset(&arena, m);
	}
	gw_buf_done(&b);
}

static void ints_and_bools(void **st)
{
	int64_t i = 7;
	bool t = false;

	(void)st;
	assert_true(gw_json_int(GW_LIT("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(gw_json_int(GW_LIT("-0"), &i) && i == 0);
	assert_false(gw_json_int(GW_LIT("9223372036854775808"), &i));
	assert_false(gw_json_int(GW_LIT("1.0"), &i));
	assert_false(gw_json_int(GW_LIT("1e2"), &i));
	assert_false(gw_json_int(GW_LIT("true"), &i));
	assert_false(gw_json_int(GW_LIT("\"1\""), &i));
	assert_int_equal(i, 0);
	assert_true(gw_json_bool(GW_LIT("true"), &t) && t);
	assert_true(gw_json_bool(GW_LIT("false"), &t) && !t);
	assert_false(gw_json_bool(GW_LIT("null"), &t));
	assert_false(gw_json_bool(GW_LIT("\"true\""), &t));
}

static void doubles(void **st)
{
	static const char *const tokens[] = {
		"0",
		"-0",
		"1",
		"-1.5",
		"0.1",
		"1e5",
		"1E+5",
		"1e-5",
		"123.456e-2",
		"0.00000000000000000000000000000001",
		"1.7976931348623157e308",
		"5e-324",
		"2.4703282292062327e-324",
		"2.4703282292062328e-324",
		"1e-99999999999999",
		"0e99999999999",
		"9007199254740993",
		"9007199254740993.0000000000000000000000000000001",
		"179769313486231570000e288",
	};
	double d;

	(void)st;
	for (size_t i = 0; i < N_OF(tokens); i++) {
		double want = strtod(tokens[i], NULL);

		assert_true(gw_json_double(gw_str_z(tokens[i]), &d));
		if (d != want || signbit(d) != signbit(want))
			fail_msg("%s: %.17g, not %.17g", tokens[i], d, want);
	}
	assert_false(gw_json_double(GW_LIT("1e309"), &d));
	assert_false(gw_json_double(GW_LIT("\"1\""), &d));
	assert_false(gw_json_double(GW_LIT("null"), &d));
	assert_false(gw_json_double(GW_LIT(""), &d));
}

/* Long digit strings near a rounding boundary and near infinity, against strtod. */
static void doubles_random(void **st)
{
	unsigned infinite = 0;

	(void)st;
	for (int round = 0; round < 20000; round++) {
		char text[1400];
		size_t n = 0, digits = 1 + rng_below(rng_below(10) ? 40 : 1200);
		struct gw_str token;
		double want, got = 0;

		if (rng_below(2))
			text[n++] = '-';
		text[n++] = (char)('1' + rng_below(9));
		for (size_t i = 0; i < digits; i++) {
			if (i == digits / 3 && rng_below(2) && !memchr(text, '.', n))
				text[n++] = '.';
			text[n++] = (char)('0' + (rng_below(4) ? rng_below(10) : 0));
		}
		text[n] = '\0';
		if (rng_below(2))
			n += (size_t)snprintf(text + n, 20, "e%d", (int)rng_below(700) - 350);
		token = exact(gw_str(text, n));
		want = strtod(text, NULL);
		assert_int_equal(gw_json_double(token, &got), isfinite(want));
		if (isfinite(want))
			assert_true(got == want);
		else
			infinite++;
		/* and the check draws the same line */
		assert_int_equal(gw_json_check(&arena, token, NULL, NULL, 0, NULL) == GW_OK, isfinite(want));
		free((char *)(uintptr_t)token.p);
	}
	assert_true(infinite > 100);
}

/* The edge of infinity to the last digit: 2^1024 - 2^970. */
static void edge_of_infinity(void **st)
{
	char below[400], edge[400];
	double d;

	(void)st;
	snprintf(edge, sizeof(edge), "%s%s%s",
		 "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709"
		 "63302864166",
		 "92887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855"
		 "57136695962",
		 "2842914819860834936475292719074168444365510704342711559699508093042880177904174497792");
	snprintf(below, sizeof(below), "%s", edge);
	below[strlen(below) - 1] = '1'; /* ...791 */
	assert_int_equal(strlen(edge), 309);
	assert_true(isinf(strtod(edge, NULL)) && isfinite(strtod(below, NULL)));
	assert_int_equal(gw_json_check(&arena, gw_str_z(edge), NULL, NULL, 0, NULL), GW_E_SYNTAX);
	assert_int_equal(gw_json_check(&arena, gw_str_z(below), NULL, NULL, 0, NULL), GW_OK);
	assert_true(gw_json_double(gw_str_z(below), &d));
	snprintf(below + strlen(below), 20, ".99999");
	assert_int_equal(gw_json_check(&arena, gw_str_z(below), NULL, NULL, 0, NULL), GW_OK);
}

/* ---- walking ---- */

struct walk {
	struct gw_str text;
	yyjson_obj_iter obj;
	yyjson_arr_iter arr;
	unsigned seen, stop_after;
};

static void check_span(struct gw_str text, struct gw_json_span span, yyjson_val *v);

static bool on_member(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	struct walk *w = ctx;
	yyjson_val *k = yyjson_obj_iter_next(&w->obj);
	struct gw_mark m = gw_arena_mark(&arena);
	struct gw_str quoted = gw_str(raw_key.p - 1, raw_key.n + 2);

	assert_non_null(k);
	assert_same(gw_json_unescape(&arena, quoted), gw_json_str(k));
	gw_arena_reset(&arena, m);
	check_span(w->text, value, yyjson_obj_iter_get_val(k));
	return ++w->seen != w->stop_after;
}

static bool on_item(void *ctx, struct gw_json_span value)
{
	struct walk *w = ctx;

	check_span(w->text, value, yyjson_arr_iter_next(&w->arr));
	return ++w->seen != w->stop_after;
}

/* A span means the value v: type, exact bytes, and all below. */
static void check_span(struct gw_str text, struct gw_json_span span, yyjson_val *v)
{
	static const enum gw_json_type types[] = {
		[YYJSON_TYPE_NULL] = GW_JSON_NULL, [YYJSON_TYPE_BOOL] = GW_JSON_BOOL, [YYJSON_TYPE_NUM] = GW_JSON_NUM,
		[YYJSON_TYPE_STR] = GW_JSON_STR,   [YYJSON_TYPE_ARR] = GW_JSON_ARR,   [YYJSON_TYPE_OBJ] = GW_JSON_OBJ
	};
	struct walk w = { .text = text };
	yyjson_doc *doc;

	assert_non_null(v);
	assert_int_equal(span.type, types[yyjson_get_type(v)]);
	assert_int_equal(gw_json_read(gw_str(text.p + span.off, span.len), NULL, &doc, NULL), GW_OK);
	assert_true(yyjson_equals(yyjson_doc_get_root(doc), v));
	yyjson_doc_free(doc);
	assert_true(span.len > 0 && !strchr(" \t\r\n", text.p[span.off]) &&
		    !strchr(" \t\r\n", text.p[span.off + span.len - 1]));
	if (span.type == GW_JSON_OBJ) {
		yyjson_obj_iter_init(v, &w.obj);
		gw_json_each(text, span, on_member, &w);
		assert_int_equal(w.seen, yyjson_get_len(v));
	} else if (span.type == GW_JSON_ARR) {
		yyjson_arr_iter_init(v, &w.arr);
		gw_json_each_item(text, span, on_item, &w);
		assert_int_equal(w.seen, yyjson_get_len(v));
	}
}

static void walking(void **st)
{
	unsigned walked = 0;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 4 << 20);
	for (int round = 0; round < 1500; round++) {
		struct gw_json_span all;
		struct gw_json_want want = { GW_LIT("all"), &all };
		yyjson_doc *doc;
		struct gw_str text;

		gw_buf_clear(&b, SIZE_MAX);
		gw_buf_puts(&b, GW_LIT("{\"all\":"));
		gen_value(&b, 0);
		gw_buf_putc(&b, '}');
		text = exact(gw_buf_view(&b));
		if (gw_json_check(&arena, text, NULL, &want, 1, NULL) == GW_OK) {
			assert_int_equal(gw_json_read(text, NULL, &doc, NULL), GW_OK);
			check_span(text, all, yyjson_obj_get(yyjson_doc_get_root(doc), "all"));
			yyjson_doc_free(doc);
			walked++;
		}
		free((char *)(uintptr_t)text.p);
	}
	assert_true(walked > 1000);
	gw_buf_done(&b);
}

static bool count_member(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	(void)raw_key, (void)value;
	return ++*(unsigned *)ctx < 2;
}

static bool count_item(void *ctx, struct gw_json_span value)
{
	(void)value;
	return ++*(unsigned *)ctx < 2;
}

static void stopping(void **st)
{
	unsigned n = 0;

	(void)st;
	gw_json_each(GW_LIT("{\"a\":1,\"b\":2,\"c\":3}"), (struct gw_json_span){ 0, 19, GW_JSON_OBJ }, count_member,
		     &n);
	assert_int_equal(n, 2);
	n = 0;
	gw_json_each_item(GW_LIT("[1,2,3]"), (struct gw_json_span){ 0, 7, GW_JSON_ARR }, count_item, &n);
	assert_int_equal(n, 2);
	n = 0;
	gw_json_each(GW_LIT("[1,2,3]"), (struct gw_json_span){ 0, 7, GW_JSON_ARR }, count_member, &n); /* no object */
	gw_json_each_item(GW_LIT("7"), (struct gw_json_span){ 0, 1, GW_JSON_NUM }, count_item, &n);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unescape), cmocka_unit_test(unescape_random), cmocka_unit_test(ints_and_bools),
		cmocka_unit_test(doubles),  cmocka_unit_test(doubles_random),  cmocka_unit_test(edge_of_infinity),
		cmocka_unit_test(walking),  cmocka_unit_test(stopping),
	};
	int rc;

	gw_arena_init(&arena, NULL, 0, 8 << 20);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	gw_arena_done(&arena);
	return rc;
}
