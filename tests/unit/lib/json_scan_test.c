/* lib/json_scan.h: what is picked, and that no cut of the bytes changes it. A model over yyjson judges random texts. */
#include "util.h"

#include "json_gen.h"
#include "lib/json_scan.h"

static const char *const paths[] = { "usage.prompt_tokens",
				     "usage.prompt_tokens_details.cached_tokens",
				     "choices.0.finish_reason",
				     "model",
				     "usage",
				     "choices",
				     "id",
				     "choices.1.index",
				     "error.code",
				     "choices.10.x" };
enum { N = sizeof(paths) / sizeof(paths[0]) };
/* The same places as a tree. */
static const struct gw_scan_node tree[] = { GW_SCAN_NODE("", 1, 5, -1),
					    GW_SCAN_NODE("usage", 6, 2, 4),
					    GW_SCAN_NODE("choices", 8, 3, 5),
					    GW_SCAN_NODE("model", 0, 0, 3),
					    GW_SCAN_NODE("id", 0, 0, 6),
					    GW_SCAN_NODE("error", 11, 1, -1),
					    GW_SCAN_NODE("prompt_tokens", 0, 0, 0),
					    GW_SCAN_NODE("prompt_tokens_details", 12, 1, -1),
					    GW_SCAN_NODE("0", 13, 1, -1),
					    GW_SCAN_NODE("1", 14, 1, -1),
					    GW_SCAN_NODE("10", 15, 1, -1),
					    GW_SCAN_NODE("code", 0, 0, 8),
					    GW_SCAN_NODE("cached_tokens", 0, 0, 1),
					    GW_SCAN_NODE("finish_reason", 0, 0, 2),
					    GW_SCAN_NODE("index", 0, 0, 7),
					    GW_SCAN_NODE("x", 0, 0, 9) };

struct result {
	struct gw_scan_value v[N];
	bool is_broken, is_done;
};

static void finish(struct gw_json_scan *s, struct result *r)
{
	r->is_broken = s->is_broken;
	r->is_done = s->is_done;
	for (int i = 0; i < N; i++) { /* what does not count is made equal, so that results can be compared as bytes */
		if (!r->v[i].type)
			r->v[i].len = r->v[i].is_cut = 0;
		memset(r->v[i].text + r->v[i].len, 0, sizeof(r->v[i].text) - r->v[i].len);
	}
}

static struct result scan(struct gw_str text, size_t cut, size_t step)
{
	struct result r;
	struct gw_json_scan s;

	memset(&r, 0, sizeof(r));
	gw_json_scan_init(&s, tree, r.v, N);
	if (step) {
		for (size_t i = 0; i < text.n; i += step)
			gw_json_scan_feed(&s, text.p + i, text.n - i < step ? text.n - i : step);
	} else {
		gw_json_scan_feed(&s, text.p, cut);
		gw_json_scan_feed(&s, text.p + cut, text.n - cut);
	}
	finish(&s, &r);
	return r;
}

static void same(const struct result *a, const struct result *b)
{
	if (memcmp(a, b, sizeof(*a)) != 0)
		fail_msg("the cut changed the result");
}

/* Whole, byte by byte, and in two at every position. */
static struct result scan_all_ways(struct gw_str text)
{
	struct gw_str e = exact(text);
	struct result whole = scan(e, 0, 0);

	for (size_t step = 1; step < 4; step++) {
		struct result r = scan(e, 0, step);

		same(&whole, &r);
	}
	for (size_t cut = 1; cut <= text.n; cut++) {
		struct result r = scan(e, cut, 0);

		same(&whole, &r);
	}
	free((char *)(uintptr_t)e.p);
	return whole;
}

static void reply(void **st)
{
	struct result r = scan_all_ways(GW_LIT("{\"id\":\"chatcmpl-1\",\"model\":\"gpt\\u002d4o\",\"choices\":[{"
					       "\"index\":0,\"message\":{\"content\":\"\\\"usage\\\":"
					       "{\\\"prompt_tokens\\\":666}\",\"usage\":{\"prompt_tokens\":667}},"
					       "\"finish_reason\":\"stop\"},{\"index\":1}],"
					       "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"prompt_"
					       "tokens_details\":{\"cached_tokens\":8}}}\n"));
	uint64_t u;

	(void)st;
	assert_true(r.is_done && !r.is_broken);
	assert_true(gw_scan_u64(&r.v[0], &u) && u == 12);
	assert_true(gw_scan_u64(&r.v[1], &u) && u == 8);
	assert_str(gw_scan_str(&r.v[2]), "stop");
	assert_str(gw_scan_str(&r.v[3]), "gpt\\u002d4o"); /* escapes kept */
	assert_int_equal(r.v[4].type, GW_JSON_OBJ);
	assert_int_equal(r.v[5].type, GW_JSON_ARR);
	assert_str(gw_scan_str(&r.v[6]), "chatcmpl-1");
	assert_true(gw_scan_u64(&r.v[7], &u) && u == 1);
	assert_int_equal(r.v[8].type, GW_JSON_NONE);
}

static void details(void **st)
{
	struct result r;
	char text[400];
	int n;

	(void)st;
	/* the last one wins, whatever its type */
	r = scan_all_ways(GW_LIT("{\"id\":1,\"id\":\"x\",\"model\":\"m\",\"model\":null}"));
	assert_int_equal(r.v[6].type, GW_JSON_STR);
	assert_str(gw_scan_str(&r.v[6]), "x");
	assert_int_equal(r.v[3].type, GW_JSON_NULL);
	/* a key in another spelling is the same key */
	r = scan_all_ways(GW_LIT("{\"us\\u0061ge\":{\"prompt\\u005Ftokens\":5},\"i\\td\":1}"));
	assert_str(gw_scan_str(&r.v[0]), "5");
	assert_int_equal(r.v[6].type, GW_JSON_NONE);
	/* near misses */
	r = scan_all_ways(GW_LIT(
	    "{\"usage\":[{\"prompt_tokens\":5}],\"ids\":1,\"i\":2,\"id\\u00e9\":3,\"x\":{\"id\":4},\"choices.0\":1}"));
	assert_int_equal(r.v[0].type, GW_JSON_NONE);
	assert_int_equal(r.v[6].type, GW_JSON_NONE);
	/* the eleventh item; keys that look like an index */
	r = scan_all_ways(GW_LIT("{\"choices\":[0,1,2,3,4,5,6,7,8,9,{\"x\":true}]}"));
	assert_str(gw_scan_str(&r.v[9]), "true");
	/* long values are cut, long keys do not match */
	n = snprintf(text, sizeof(text), "{\"id\":\"%0200d\",\"model%0100d\":1}", 7, 7);
	r = scan_all_ways(gw_str(text, (size_t)n));
	assert_true(r.v[6].is_cut && r.v[6].len == GW_SCAN_VALUE_BYTES);
	assert_int_equal(r.v[3].type, GW_JSON_NONE);
	/* scalars at the top */
	r = scan_all_ways(GW_LIT(" 12 "));
	assert_true(r.is_done && !r.is_broken);
	r = scan_all_ways(GW_LIT(""));
	assert_true(!r.is_done && !r.is_broken);
}

static void broken(void **st)
{
	static const char *const texts[] = {
		"{\"id\":1]",           "{\"id\" 1}",        "[1,]x",       "{,}",          "{\"id\":01}",
		"{\"id\":1.}",          "{\"id\":-}",        "{\"id\":+1}", "{\"id\":tru}", "{\"id\":\"\\x\"}",
		"{\"id\":\"\\u12x4\"}", "{\"id\":\"a\nb\"}", "{\"id\":1}}", "{\"id\":1} x", "]",
		"\xef\xbb\xbf{}",       "{\"id\":NaN}",      "{\"id\":1e}"
	};

	(void)st;
	for (size_t i = 0; i < N_OF(texts); i++) {
		struct result r = scan_all_ways(gw_str_z(texts[i]));

		if (!r.is_broken)
			fail_msg("not broken: %s", texts[i]);
	}
	/* what was complete before stays, what was under way does not count */
	struct result r = scan_all_ways(GW_LIT("{\"id\":\"x\",\"model\":\"ab\ncd\"}"));
	assert_int_equal(r.v[6].type, GW_JSON_STR);
	assert_int_equal(r.v[3].type, GW_JSON_NONE);
	r = scan_all_ways(GW_LIT("{\"id\":\"x\",\"id\":\"unfinish"));
	assert_int_equal(r.v[6].type, GW_JSON_NONE);
	assert_false(r.is_done);
	/* depth */
	char deep[GW_SCAN_MAX_DEPTH + 1];
	memset(deep, '[', sizeof(deep));
	r = scan_all_ways(gw_str(deep, GW_SCAN_MAX_DEPTH));
	assert_false(r.is_broken);
	r = scan_all_ways(gw_str(deep, GW_SCAN_MAX_DEPTH + 1));
	assert_true(r.is_broken);
}

static void usage_numbers(void **st)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t v;
	} cases[] = { { "0", true, 0 },
		      { "1000000000000000", true, 1000000000000000 },
		      { "1000000000000001", false, 0 },
		      { "-5", false, 0 },
		      { "1.5", false, 0 },
		      { "1e3", false, 0 },
		      { "1e308", false, 0 },
		      { "\"5\"", false, 0 },
		      { "null", false, 0 },
		      { "99999999999999999999999", false, 0 },
		      { "{}", false, 0 },
		      { "true", false, 0 } };

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		char text[200];
		int n = snprintf(text, sizeof(text), "{\"usage\":{\"prompt_tokens\":%s}}", cases[i].text);
		struct result r = scan_all_ways(gw_str(text, (size_t)n));
		uint64_t u = 77;

		assert_int_equal(gw_scan_u64(&r.v[0], &u), cases[i].ok);
		assert_true(u == (cases[i].ok ? cases[i].v : 77));
	}
}

static void reuse(void **st)
{
	struct result r;
	struct gw_json_scan s;

	(void)st;
	memset(&r, 0, sizeof(r));
	gw_json_scan_init(&s, tree, r.v, N);
	gw_json_scan_feed(&s, "{\"id\":\"x", 8);
	gw_json_scan_reset(&s);
	assert_int_equal(r.v[6].type, GW_JSON_NONE);
	gw_json_scan_feed(&s, "{\"model\":\"y\"}", 13);
	assert_true(s.is_done);
	assert_int_equal(r.v[6].type, GW_JSON_NONE);
	assert_str(gw_scan_str(&r.v[3]), "y");
}

/* ---- random texts ---- */

/* What yyjson finds at a path, or NULL. */
static yyjson_val *lookup(yyjson_val *v, const char *path)
{
	struct gw_str seg, rest = gw_str_z(path);
	bool more = true;

	while (more && v) {
		uint64_t i;

		more = gw_str_cut(rest, '.', &seg, &rest);
		if (yyjson_is_obj(v))
			v = gw_json_get(v, seg);
		else
			v = yyjson_is_arr(v) && gw_str_u64(seg, &i) ? yyjson_arr_get(v, i) : NULL;
	}
	return v;
}

/* Documents with the names of the paths strewn in. */
static void gen_reply(struct gw_buf *b, unsigned depth)
{
	static const char *const names[] = { "usage",
					     "prompt_tokens",
					     "prompt_tokens_details",
					     "cached_tokens",
					     "choices",
					     "finish_reason",
					     "model",
					     "id",
					     "index",
					     "error",
					     "code",
					     "x",
					     "0",
					     "1",
					     "10" };
	size_t n = rng_below(depth ? 5 : 13), first = rng_below(N_OF(names));

	if (depth > 3 || rng_below(5) == 0) {
		gen_value(b, 5);
		return;
	}
	bool is_obj = rng_below(3) != 0;
	gw_buf_putc(b, is_obj ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			gw_buf_putc(b, ',');
		if (is_obj)
			gw_buf_printf(b, "\"%s\" :", names[(first + i) % N_OF(names)]); /* no duplicates */
		gen_reply(b, depth + 1);
	}
	gw_buf_putc(b, is_obj ? '}' : ']');
}

static void against_model(void **st)
{
	unsigned found = 0;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 4 << 20);
	for (int round = 0; round < 2500; round++) {
		yyjson_doc *doc;
		struct result r;

		gw_buf_clear(&b, SIZE_MAX);
		gen_reply(&b, 0);
		r = b.n < 150 ? scan_all_ways(gw_buf_view(&b)) : scan(gw_buf_view(&b), rng_below(b.n), 0);
		if (gw_json_read(gw_buf_view(&b), NULL, &doc, NULL))
			continue;
		if (yyjson_is_ctn(yyjson_doc_get_root(doc)))
			assert_true(r.is_done);
		assert_false(r.is_broken);
		for (int i = 0; i < N; i++) {
			static const uint8_t types[] = {
				[YYJSON_TYPE_NULL] = GW_JSON_NULL, [YYJSON_TYPE_BOOL] = GW_JSON_BOOL,
				[YYJSON_TYPE_NUM] = GW_JSON_NUM,   [YYJSON_TYPE_STR] = GW_JSON_STR,
				[YYJSON_TYPE_ARR] = GW_JSON_ARR,   [YYJSON_TYPE_OBJ] = GW_JSON_OBJ
			};
			yyjson_val *v = lookup(yyjson_doc_get_root(doc), paths[i]);
			uint64_t u;

			assert_int_equal(r.v[i].type, v ? types[yyjson_get_type(v)] : GW_JSON_NONE);
			if (v && yyjson_is_uint(v) && yyjson_get_uint(v) <= 1000000000000000u)
				assert_true(gw_scan_u64(&r.v[i], &u) && u == yyjson_get_uint(v));
			found += v != NULL;
		}
		yyjson_doc_free(doc);
	}
	assert_true(found > 1000);
	gw_buf_done(&b);
}

/* Damaged texts: the same result at every cut; a text that the strict reader takes is never broken. */
static void damaged(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 4 << 20);
	for (int round = 0; round < 1000; round++) {
		gw_buf_clear(&b, SIZE_MAX);
		gen_reply(&b, 2);
		gen_damage(&b, 1 + rng_below(3));
		if (b.n < 120)
			scan_all_ways(gw_buf_view(&b));
	}
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reply),  cmocka_unit_test(details),
					    cmocka_unit_test(broken), cmocka_unit_test(usage_numbers),
					    cmocka_unit_test(reuse),  cmocka_unit_test(against_model),
					    cmocka_unit_test(damaged) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
