/* gw_json_check and gw_json_read: the rules one by one, faults, limits, wanted members, hostile keys, and that both
 * readers agree on random and damaged documents. */
#include "util.h"

#include <time.h>

#include "json_gen.h"
#include "lib/json_write.h"

static struct gw_json_fault fault;

/* The verdict of both readers, which must be the same. */
static enum gw_err verdict(struct gw_str text, const struct gw_json_limits *lim)
{
	struct gw_str e = exact(text);
	struct gw_json_fault second = { 0 };
	struct gw_arena a;
	yyjson_doc *doc;
	enum gw_err err;

	fault = (struct gw_json_fault){ 0 };
	gw_arena_init(&a, NULL, 0, 64 << 20);
	err = gw_json_check(&a, e, lim, NULL, 0, &fault);
	assert_int_equal(gw_json_read(e, lim, &doc, &second), err);
	assert_true((err == GW_OK) == (doc != NULL));
	if (err) {
		assert_int_equal(err, GW_E_SYNTAX);
		assert_non_null(fault.what);
		assert_string_equal(fault.what, second.what);
		assert_int_equal(fault.offset, second.offset);
		assert_true(fault.offset <= e.n && fault.line >= 1 && fault.column >= 1);
	}
	yyjson_doc_free(doc);
	gw_arena_done(&a);
	if (fault.key.p) /* points into the copy; the tests compare with the original */
		fault.key.p = text.p + (fault.key.p - e.p);
	free((char *)(uintptr_t)e.p);
	return err;
}

static void good(void **st)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"null",
		"true",
		"false",
		"0",
		"-0",
		"\"\"",
		" [ ] ",
		"[1,2,[3,{\"a\":[]}]]",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"\":1,\" \":2}",
		"\"\\u0000\"",
		"\"\\ud83d\\ude00\"",
		"\"\x7f\"",
		"\"\xf4\x8f\xbf\xbf\"",
		"1e308",
		"1.7976931348623157e308",
		"1.797693134862315807e308",
		"1e-999999999999999999999",
		"0e999999999999999999999",
		"-0.0e-0",
		"[1e1,1E+1,1e-1]",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"{\"a\":1,\"A\":2}",
		"\t\r\n 1 \t\r\n",
	};

	(void)st;
	for (size_t i = 0; i < N_OF(texts); i++)
		if (verdict(gw_str_z(texts[i]), NULL))
			fail_msg("refused %s: %s", texts[i], fault.what);
}

static const struct {
	struct gw_str text;
	size_t offset;
	const char *what;
} bad_cases[] = {
#define BAD(lit, offset, what)                                                                                         \
	{                                                                                                              \
		{ lit, sizeof(lit) - 1 }, offset, what                                                                 \
	}
	BAD("", 0, "ends too early"),
	BAD("  ", 2, "ends too early"),
	BAD("{", 1, "ends too early"),
	BAD("[1,", 3, "ends too early"),
	BAD("[1,]", 3, "expected a JSON value"),
	BAD("[,1]", 1, "expected a JSON value"),
	BAD("[1 2]", 3, "expected ',' or ']'"),
	BAD("{\"a\":1,}", 7, "key in quotes"),
	BAD("{\"a\" 1}", 5, "expected ':'"),
	BAD("{a:1}", 1, "key in quotes"),
	BAD("{1:1}", 1, "key in quotes"),
	BAD("{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"),
	BAD("[}", 1, "expected a JSON value"),
	BAD("{]", 1, "key in quotes"),
	BAD("[1}", 2, "expected ',' or ']'"),
	BAD("{} {}", 3, "after the end"),
	BAD("1\0", 1, "after the end"),
	BAD("\xef\xbb\xbf{}", 0, "byte order mark"),
	BAD("nul", 0, "expected a JSON value"),
	BAD("nulL", 0, "expected a JSON value"),
	BAD("truex", 4, "after the end"),
	BAD("NaN", 0, "expected a JSON value"),
	BAD("Infinity", 0, "expected a JSON value"),
	BAD("+1", 0, "expected a JSON value"),
	BAD("01", 0, "must not begin with 0"),
	BAD("-", 0, "needs a digit"),
	BAD("1.", 0, "after the point"),
	BAD(".5", 0, "expected a JSON value"),
	BAD("1e", 0, "in the exponent"),
	BAD("1e+", 0, "in the exponent"),
	BAD("1e400", 0, "too large"),
	BAD("-1e309", 0, "too large"),
	BAD("[1.8e308]", 1, "too large"),
	BAD("1.797693134862315808e308", 0, "too large"),
	BAD("1e99999999999999999999", 0, "too large"),
	BAD("\"", 1, "inside a string"),
	BAD("\"a\\\"", 4, "inside a string"),
	BAD("\"\\", 2, "ends too early"),
	BAD("\"\\x\"", 1, "unknown escape"),
	BAD("\"\\u12g4\"", 1, "four hex digits"),
	BAD("\"\\u123\"", 1, "four hex digits"),
	BAD("\"\\ud800\"", 1, "lone surrogate"),
	BAD("\"\\udc00\"", 1, "lone surrogate"),
	BAD("\"\\ud800\\ud800\"", 1, "lone surrogate"),
	BAD("\"\\ud800\\u0041\"", 1, "lone surrogate"),
	BAD("\"\\ud800x\"", 1, "lone surrogate"),
	BAD("\"\\udc00\\ud800\"", 1, "lone surrogate"),
	BAD("\"a\nb\"", 2, "control byte"),
	BAD("\"a\0b\"", 2, "control byte"),
	BAD("\"\x1f\"", 1, "control byte"),
	BAD("\"\xff\"", 1, "invalid UTF-8"),
	BAD("\"\xc3\"", 1, "invalid UTF-8"),
	BAD("\"\xed\xa0\x80\"", 1, "invalid UTF-8"),
	BAD("\"\xc0\x80\"", 1, "invalid UTF-8"),
	BAD("'a'", 0, "expected a JSON value"),
	BAD("[1]//c", 3, "after the end"),
	BAD("{\"a\":1,\"a\":1}", 7, "duplicate key"),
	BAD("{\"a\":1,\"\\u0061\":1}", 7, "duplicate key"),
	BAD("{\"\\u0061\":1,\"a\":1}", 12, "duplicate key"),
	BAD("{\"\\u0061\":1,\"\\u0061\":1}", 12, "duplicate key"),
	BAD("{\"\xc3\xa9\":1,\"\\u00E9\":1}", 8, "duplicate key"),
	BAD("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}", 10, "duplicate key"),
	BAD("{\"/\":1,\"\\/\":1}", 7, "duplicate key"),
	BAD("{\"\":1,\"\":1}", 6, "duplicate key"),
	BAD("[{\"x\":[{\"b\":{\"a\":1,\"c\":{\"a\":{}},\"a\":1}}]}]", 32, "duplicate key"),
#undef BAD
};

static void bad(void **st)
{
	(void)st;
	for (size_t i = 0; i < N_OF(bad_cases); i++) {
		if (verdict(bad_cases[i].text, NULL) == GW_OK)
			fail_msg("accepted %.*s", GW_FMT(bad_cases[i].text));
		if (fault.offset != bad_cases[i].offset || !strstr(fault.what, bad_cases[i].what))
			fail_msg("%.*s: %zu %s", GW_FMT(bad_cases[i].text), fault.offset, fault.what);
	}
}

/* Every two leading bytes with edge bytes behind: the fast ways through a string draw the line where gw_str_is_utf8 does. */
static void utf8_in_strings(void **st)
{
	static const uint8_t tails[] = { 'a', 0x7f, 0x80, 0xbf, 0xc0 };
	struct gw_arena a;

	(void)st;
	gw_arena_init(&a, NULL, 0, 1 << 20);
	for (unsigned i = 0; i < 128 * 256 * N_OF(tails) * 2; i++) {
		unsigned lead = 0x80 + (i & 127), second = i >> 7 & 255, t = i >> 15;
		char text[] = { '"', (char)lead, (char)second, (char)tails[t / 2], t % 2 ? 'a' : '\x80', '"' };
		bool is_utf8 = gw_str_is_utf8(gw_str(text + 1, 4));

		if (second == '"' || second == '\\' || second < 0x20)
			continue;
		if ((gw_json_check(&a, gw_str(text, 6), NULL, NULL, 0, NULL) == GW_OK) != is_utf8)
			fail_msg("%02x %02x %02x %02x", lead, second, (uint8_t)text[3], (uint8_t)text[4]);
	}
	gw_arena_done(&a);
}

static void places(void **st)
{
	(void)st;
	verdict(GW_LIT("{\n  \"a\": 1,\n  \"\xc3\xa9\": x\n}"), NULL);
	assert_int_equal(fault.line, 3);
	assert_int_equal(fault.column, 9); /* bytes */
	verdict(GW_LIT("{\"abc\":1,\n \"abc\":2}"), NULL);
	assert_int_equal(fault.line, 2);
	assert_int_equal(fault.column, 2);
	assert_str(fault.key, "abc");
}

static void limits(void **st)
{
	struct gw_json_limits lim = { .max_depth = 3, .max_nodes = 6 };
	struct gw_buf b;

	(void)st;
	assert_int_equal(verdict(GW_LIT("[[[1]]]"), &lim), GW_OK);
	assert_int_equal(verdict(GW_LIT("[[[[]]]]"), &lim), GW_E_SYNTAX);
	assert_non_null(strstr(fault.what, "deeper"));
	assert_int_equal(fault.offset, 3);
	assert_int_equal(verdict(GW_LIT("[1,2,3,4,5]"), &lim), GW_OK);
	assert_int_equal(verdict(GW_LIT("[1,2,3,4,5,6]"), &lim), GW_E_SYNTAX);
	assert_non_null(strstr(fault.what, "more values"));
	assert_int_equal(verdict(GW_LIT("{\"a\":1,\"b\":2}"), &lim), GW_OK);
	assert_int_equal(verdict(GW_LIT("{\"a\":1,\"b\":2,\"c\":3}"), &lim), GW_E_SYNTAX); /* keys count */
	gw_buf_init(&b, 1000);
	for (int i = 0; i < 64; i++)
		gw_buf_puts(&b, i % 2 ? GW_LIT("[") : GW_LIT("{\"a\":"));
	for (int i = 64; i-- > 0;)
		gw_buf_putc(&b, i % 2 ? ']' : '}');
	gw_buf_puts(&b, GW_LIT(" "));
	assert_int_equal(verdict(gw_buf_view(&b), NULL), GW_OK);
	gw_buf_clear(&b, 1000);
	for (int i = 0; i < 65; i++)
		gw_buf_putc(&b, '[');
	assert_int_equal(verdict(gw_buf_view(&b), NULL), GW_E_SYNTAX);
	gw_buf_done(&b);
}

static void elements_of_a_list(void **st)
{
	static const struct {
		const char *text;
		uint32_t n, at;
		enum gw_json_item_fault fault;
	} rows[] = {
		{ "{\"list\":[{\"k\":\"v\"},{\"x\":[{\"k\":1},2],\"k\":\"\"}],\"more\":[1,{}]}", 2, 0, GW_ITEM_OK },
		{ "{\"more\":[1,{}],\"list\":[ {\"\\u006b\" : \"v\"} ]}", 1, 0, GW_ITEM_OK },
		{ "{\"list\":[]}", 0, 0, GW_ITEM_OK },
		{ "{\"list\":{\"a\":{\"b\":1}}}", 0, 0, GW_ITEM_OK }, /* no list: the span says so */
		{ "{\"list\":3,\"more\":[[[1]],{\"a\":{\"k\":2}}]}", 0, 0, GW_ITEM_OK },
		{ "{\"list\":[{\"k\":\"v\"},{}]}", 2, 1, GW_ITEM_WITHOUT },
		{ "{\"list\":[{\"j\":{\"k\":\"v\"}},4]}", 2, 0, GW_ITEM_WITHOUT },
		{ "{\"list\":[{\"k\":\"v\"},[{\"k\":\"v\"}],{}]}", 3, 1, GW_ITEM_NO_OBJECT },
		{ "{\"list\":[null]}", 1, 0, GW_ITEM_NO_OBJECT },
		{ "{\"list\":[{\"k\":\"v\"},{\"k\":null,\"l\":\"v\"},{}]}", 3, 1, GW_ITEM_OTHER_TYPE },
		{ "{\"list\":[{\"k\":{\"k\":\"v\"}}]}", 1, 0, GW_ITEM_OTHER_TYPE },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct gw_json_items items = {
			.of = GW_LIT("list"), .key = GW_LIT("k"), .type = GW_JSON_STR, .n = 77, .fault = GW_ITEM_WITHOUT
		};
		struct gw_json_limits lim = { .max_depth = 64, .max_nodes = 1000, .items = &items };
		struct gw_json_span list, more;
		const struct gw_json_want want[] = { { GW_LIT("list"), &list }, { GW_LIT("more"), &more } };
		struct gw_json_fault f;
		struct gw_arena a;

		gw_arena_init(&a, NULL, 0, 1 << 20);
		assert_int_equal(gw_json_check(&a, gw_str_z(rows[i].text), &lim, want, 2, &f), GW_OK);
		gw_arena_done(&a);
		assert_int_equal(items.n, rows[i].n);
		assert_int_equal(items.fault, rows[i].fault);
		if (items.fault)
			assert_int_equal(items.at, rows[i].at);
	}
}

static void known_keys(void **st)
{
	const struct gw_str known[] = { GW_LIT("mode"), GW_LIT("MODE"), GW_LIT("model"), GW_LIT("messages"),
					GW_LIT("maxTokens") };
	struct gw_json_limits lim = { .max_depth = 64, .max_nodes = 1000, .known = known, .n_known = N_OF(known) };

	(void)st;
	assert_int_equal(verdict(GW_LIT("{\"model\":{\"messages\":1,\"maxTokens\":2,\"models\":3}}"), &lim), GW_OK);
	assert_int_equal(verdict(GW_LIT("{\"mode\":1,\"MODE\":2}"), &lim), GW_OK); /* both are known */
	assert_int_equal(verdict(GW_LIT("{\"Mode\":1}"), &lim), GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"Model\":1}"), &lim), GW_E_SYNTAX);
	assert_non_null(strstr(fault.what, "upper and lower case"));
	assert_str(fault.key, "Model");
	assert_int_equal(verdict(GW_LIT("{\"MODEL\":1}"), &lim), GW_E_SYNTAX);
	/* as Go folds: U+017F is an s, U+212A a k */
	assert_int_equal(verdict(GW_LIT("{\"me\xc5\xbf\xc5\xbf"
					"ages\":1}"),
				 &lim),
			 GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"maxTo\xe2\x84\xaa"
					"ens\":1}"),
				 &lim),
			 GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"me\\u017fsages\":1}"), &lim), GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"me\xc5\xbe\xc5\xbf"
					"ages\":1,\"\xc3\xa9\":2}"),
				 &lim),
			 GW_OK);
	assert_int_equal(verdict(GW_LIT("{\"maxtokens\":1}"), &lim), GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"x\":[{\"y\":{\"Messages\":1}}]}"), &lim), GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"\\u004dodel\":1}"), &lim), GW_E_SYNTAX);
	assert_int_equal(verdict(GW_LIT("{\"\\u006dodel\":1}"), &lim), GW_OK);
	assert_int_equal(verdict(GW_LIT("{\"a\":\"Model\"}"), &lim), GW_OK); /* values are free */
	assert_int_equal(verdict(GW_LIT("{\"Model\":1}"), NULL), GW_OK);
}

static void wanted(void **st)
{
	struct gw_str text = GW_LIT(" {\"a\" : [1, {\"b\":2}] ,\"b\":\"x\\\"y\", \"c\":-1.5e3 "
				    ",\"\\u0064\":true,\"e\":{},\"f\":null, \"n\":{\"a\":7}}");
	struct gw_json_span a, b, c, d, e, f, n, none;
	const struct gw_json_want want[] = { { GW_LIT("a"), &a },       { GW_LIT("b"), &b }, { GW_LIT("c"), &c },
					     { GW_LIT("d"), &d },       { GW_LIT("e"), &e }, { GW_LIT("f"), &f },
					     { GW_LIT("none"), &none }, { GW_LIT("n"), &n } };
	struct gw_arena arena;
#define SPAN(s) gw_str(text.p + (s).off, (s).len)

	(void)st;
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 0)
			assert_int_equal(gw_json_check(&arena, text, NULL, want, N_OF(want), &fault), GW_OK);
		else
			gw_json_members(text, (struct gw_json_span){ 1, text.n - 1, GW_JSON_OBJ }, want, N_OF(want));
		assert_true(a.type == GW_JSON_ARR && b.type == GW_JSON_STR && c.type == GW_JSON_NUM &&
			    d.type == GW_JSON_BOOL);
		assert_true(e.type == GW_JSON_OBJ && f.type == GW_JSON_NULL && none.type == GW_JSON_NONE &&
			    n.type == GW_JSON_OBJ);
		assert_str(SPAN(a), "[1, {\"b\":2}]");
		assert_str(SPAN(b), "\"x\\\"y\"");
		assert_str(SPAN(c), "-1.5e3");
		assert_str(SPAN(d), "true");
		assert_str(SPAN(e), "{}");
		assert_str(SPAN(f), "null");
		assert_str(SPAN(n), "{\"a\":7}");
	}
	/* the top level must be an object then; a failed check leaves nothing behind */
	assert_int_equal(gw_json_check(&arena, GW_LIT("[1]"), NULL, want, N_OF(want), &fault), GW_E_SYNTAX);
	assert_non_null(strstr(fault.what, "object"));
	assert_int_equal(gw_json_check(&arena, GW_LIT("{\"a\":1,\"b\":2,\"a\":3}"), NULL, want, N_OF(want), NULL),
			 GW_E_SYNTAX);
	assert_int_equal(a.type, GW_JSON_NONE);
	assert_int_equal(b.type, GW_JSON_NONE);
	gw_arena_done(&arena);
}

/* ---- large objects ---- */

/* {"k0":0,"k1":0,...} with `inner` put behind key number `at`. */
static void big_object(struct gw_buf *b, unsigned n, unsigned at, const char *inner)
{
	gw_buf_clear(b, SIZE_MAX);
	gw_buf_putc(b, '{');
	for (unsigned i = 0; i < n; i++) {
		if (i)
			gw_buf_putc(b, ',');
		gw_buf_puts(b, GW_LIT("\"k"));
		gw_buf_put_u64(b, i);
		gw_buf_puts(b, GW_LIT("\":"));
		gw_buf_puts(b, i == at ? gw_str_z(inner) : GW_LIT("0"));
	}
}

static void large_objects(void **st)
{
	static const unsigned sizes[] = { 14, 15, 16, 17, 18, 31, 33, 64, 65, 100, 1000, 5000 };
	struct gw_buf b, inner;

	(void)st;
	gw_buf_init(&b, 4 << 20);
	gw_buf_init(&inner, 4 << 20);
	for (size_t i = 0; i < N_OF(sizes); i++) {
		unsigned n = sizes[i];

		big_object(&b, n, 0, "0");
		gw_buf_putc(&b, '}');
		assert_int_equal(verdict(gw_buf_view(&b), NULL), GW_OK);
		/* a twin of an early, a middle and the last key, plain and escaped */
		unsigned twins[] = { 0, n / 2, n - 1 };
		for (size_t t = 0; t < 6; t++) {
			big_object(&b, n, 0, "0");
			gw_buf_printf(&b, t % 2 ? ",\"\\u006b%u\":1}" : ",\"k%u\":1}", twins[t / 2]);
			assert_int_equal(verdict(gw_buf_view(&b), NULL), GW_E_SYNTAX);
			assert_string_equal(fault.what, "duplicate key");
		}
		/* large objects in large objects, same keys: tables nest and empty again */
		big_object(&inner, 40, 3, "{\"k1\":{\"k1\":1},\"k2\":2}");
		gw_buf_putc(&inner, '}');
		gw_buf_putc(&inner, '\0');
		big_object(&b, n, n / 2, inner.p);
		gw_buf_putc(&b, '}');
		assert_int_equal(verdict(gw_buf_view(&b), NULL), GW_OK);
		gw_buf_printf(&b, " ");
		big_object(&b, n, n / 2, inner.p);
		gw_buf_puts(&b, GW_LIT(",\"k0\":1}"));
		assert_int_equal(verdict(gw_buf_view(&b), NULL), GW_E_SYNTAX);
		gw_buf_clear(&inner, SIZE_MAX);
	}
	gw_buf_done(&b);
	gw_buf_done(&inner);
}

/* Random objects against a plain quadratic model. */
static void random_keys(void **st)
{
	struct gw_buf b;
	unsigned with = 0, without = 0;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	for (int round = 0; round < 1000; round++) {
		unsigned n = (unsigned)rng_below(120), range = 1 + (unsigned)rng_below(20000), keys[120];
		bool twice = false;

		gw_buf_clear(&b, SIZE_MAX);
		gw_buf_puts(&b, GW_LIT("{\"o\":{"));
		for (unsigned i = 0; i < n; i++) {
			keys[i] = (unsigned)rng_below(range);
			for (unsigned k = 0; k < i; k++)
				twice = twice || keys[k] == keys[i];
			gw_buf_printf(&b, "%s\"%s%u\":%s", i ? "," : "", rng_below(3) ? "x" : "\\u0078", keys[i],
				      rng_below(5) ? "1" : "{\"x1\":{},\"x2\":[{\"x1\":2}]}");
		}
		gw_buf_puts(&b, GW_LIT("}}"));
		assert_int_equal(verdict(gw_buf_view(&b), NULL), twice ? GW_E_SYNTAX : GW_OK);
		twice ? with++ : without++;
	}
	assert_true(with > 100 && without > 100);
	gw_buf_done(&b);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 16 MiB whose point is to be slow: half a million keys in one object, long escaped keys, many medium objects. */
static void hostile_sizes(void **st)
{
	struct gw_buf b;
	struct gw_arena a;
	double t0 = seconds(), t;

	(void)st;
	gw_buf_init(&b, 16 << 20);
	gw_arena_init(&a, NULL, 0, 48 << 20);
	big_object(&b, 499000, 0, "0");
	gw_buf_putc(&b, '}');
	assert_int_equal(gw_json_check(&a, gw_buf_view(&b), NULL, NULL, 0, &fault), GW_OK);
	big_object(&b, 499000, 0, "0");
	gw_buf_puts(&b, GW_LIT(",\"k17\":0}"));
	assert_int_equal(gw_json_check(&a, gw_buf_view(&b), NULL, NULL, 0, &fault), GW_E_SYNTAX);
	assert_string_equal(fault.what, "duplicate key");
	/* over the node ceiling */
	big_object(&b, 600000, 0, "0");
	gw_buf_putc(&b, '}');
	assert_int_equal(gw_json_check(&a, gw_buf_view(&b), NULL, NULL, 0, &fault), GW_E_SYNTAX);
	assert_non_null(strstr(fault.what, "more values"));
	/* one key of 8 MiB, all escapes, and another that differs in the last letter */
	gw_buf_clear(&b, SIZE_MAX);
	for (int k = 0; k < 2; k++) {
		gw_buf_puts(&b, k ? GW_LIT(",\"") : GW_LIT("{\""));
		for (int i = 0; i < 1000000; i++)
			gw_buf_puts(&b, GW_LIT("\\u0041"));
		gw_buf_puts(&b, k ? GW_LIT("x\":1}") : GW_LIT("y\":1"));
	}
	assert_int_equal(gw_json_check(&a, gw_buf_view(&b), NULL, NULL, 0, &fault), GW_OK);
	t = seconds() - t0;
	assert_true(t < 20); /* sanitizers and slow machines included; quadratic would be hours */
	/* memory was given back and a small arena says so instead of crashing */
	assert_int_equal(a.used_bytes, 0);
	gw_arena_done(&a);
	gw_arena_init(&a, NULL, 0, 1 << 16);
	big_object(&b, 100000, 0, "0");
	gw_buf_putc(&b, '}');
	assert_int_equal(gw_json_check(&a, gw_buf_view(&b), NULL, NULL, 0, &fault), GW_E_NOMEM);
	gw_arena_done(&a);
	gw_buf_done(&b);
}

/* ---- random documents ---- */

static void same_after_writing(struct gw_str text)
{
	yyjson_doc *first, *again;
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 4 << 20);
	assert_int_equal(gw_json_read(text, NULL, &first, &fault), GW_OK);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, yyjson_doc_get_root(first));
	assert_int_equal(b.err, GW_OK);
	if (gw_json_read(gw_buf_view(&b), NULL, &again, &fault) != GW_OK)
		fail_msg("cannot read back %.*s: %s", (int)b.n, b.p, fault.what);
	if (!yyjson_equals(yyjson_doc_get_root(first), yyjson_doc_get_root(again)))
		fail_msg("%.*s became %.*s", GW_FMT(text), (int)b.n, b.p);
	yyjson_doc_free(first);
	yyjson_doc_free(again);
	gw_buf_done(&b);
}

static void random_documents(void **st)
{
	unsigned accepted = 0, refused = 0;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 4 << 20);
	for (int round = 0; round < 3000; round++) {
		gw_buf_clear(&b, SIZE_MAX);
		gen_value(&b, 0);
		gen_damage(&b, rng_below(4));
		if (verdict(gw_buf_view(&b), NULL) == GW_OK) {
			same_after_writing(gw_buf_view(&b));
			accepted++;
		} else {
			refused++;
		}
	}
	assert_true(accepted > 500 && refused > 500);
	gw_buf_done(&b);
}

/* An independent judge of grammar: yyjson alone must accept what we accept, and what it refuses we refuse. */
static void against_yyjson(void **st)
{
	unsigned stricter = 0;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 4 << 20);
	for (int round = 0; round < 6000; round++) {
		yyjson_doc *doc;
		bool ok;

		gw_buf_clear(&b, SIZE_MAX);
		gen_value(&b, 2);
		gen_damage(&b, 1 + rng_below(3));
		if (b.n == 0)
			continue;
		ok = verdict(gw_buf_view(&b), NULL) == GW_OK;
		doc = yyjson_read_opts(b.p, b.n, 0, NULL, NULL);
		if (ok && !doc)
			fail_msg("we accept, yyjson does not: %.*s", (int)b.n, b.p);
		if (!ok && doc) { /* then it must be one of the rules that yyjson lacks */
			stricter++;
			if (strcmp(fault.what, "duplicate key") != 0)
				fail_msg("only we refuse (%s): %.*s", fault.what, (int)b.n, b.p);
		}
		yyjson_doc_free(doc);
	}
	gw_buf_done(&b);
	(void)stricter;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),           cmocka_unit_test(bad),
		cmocka_unit_test(places),         cmocka_unit_test(utf8_in_strings),
		cmocka_unit_test(limits),         cmocka_unit_test(elements_of_a_list),
		cmocka_unit_test(known_keys),     cmocka_unit_test(wanted),
		cmocka_unit_test(large_objects),  cmocka_unit_test(random_keys),
		cmocka_unit_test(hostile_sizes),  cmocka_unit_test(random_documents),
		cmocka_unit_test(against_yyjson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
