/* lib/yaml.h: the core schema, what is refused and where, positions, writing and reading back. */
#include "util.h"

#include <math.h>

#include "json_gen.h"
#include "lib/json_write.h"
#include "lib/yaml.h"

static struct gw_json_fault fault;

/* text as YAML, as compact JSON (or the fault's words). */
static struct gw_str json_of(struct gw_buf *b, struct gw_str yaml, bool is_stream)
{
	struct gw_str e = exact(yaml);
	struct gw_json_out w;
	yyjson_doc *doc;
	enum gw_err err;

	gw_buf_clear(b, 1 << 20);
	fault = (struct gw_json_fault){ 0 };
	err = gw_yaml_read(e, is_stream, &doc, &fault);
	free((char *)(uintptr_t)e.p);
	if (err) {
		assert_int_equal(err, GW_E_SYNTAX);
		assert_null(doc);
		assert_true(fault.line >= 1 && fault.column >= 1 && fault.what);
		gw_buf_puts(b, gw_str_z(fault.what));
	} else {
		gw_jw_init(&w, b);
		gw_jw_val(&w, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	}
	return gw_buf_view(b);
}

static const char *const core_cases[][2] = {
	{ "~", "null" },
	{ "null", "null" },
	{ "NULL", "null" },
	{ "nULL", "\"nULL\"" },
	{ "", "null" },
	{ "# only a comment\n", "null" },
	{ "true", "true" },
	{ "False", "false" },
	{ "tRUE", "\"tRUE\"" },
	{ "yes", "\"yes\"" },
	{ "No", "\"No\"" },
	{ "on", "\"on\"" },
	{ "y", "\"y\"" },
	{ "0", "0" },
	{ "-0", "0" },
	{ "+12", "12" },
	{ "-12", "-12" },
	{ "007", "7" },
	{ "0o17", "15" },
	{ "0x1F", "31" },
	{ "0xffffffffffffffff", "18446744073709551615" },
	{ "-0x1F", "\"-0x1F\"" },
	{ "0b11", "\"0b11\"" },
	{ "1_000", "\"1_000\"" },
	{ "18446744073709551615", "18446744073709551615" },
	{ "-9223372036854775808", "-9223372036854775808" },
	{ "18446744073709551616", "1.8446744073709552e+19" },
	{ "1.5", "1.5" },
	{ "1.", "1.0" },
	{ ".5", "0.5" },
	{ "-.5", "-0.5" },
	{ "+1.5e3", "1500.0" },
	{ "1e3", "1000.0" },
	{ "1E-2", "0.01" },
	{ ".", "\".\"" },
	{ "1e", "\"1e\"" },
	{ "e3", "\"e3\"" },
	{ "1.2.3", "\"1.2.3\"" },
	{ "12:30", "\"12:30\"" },
	{ "2024-01-01", "\"2024-01-01\"" },
	{ "'1'", "\"1\"" },
	{ "\"true\"", "\"true\"" },
	{ "'it''s'", "\"it's\"" },
	{ "\"a\\tb\\u00e9\\x41\"", "\"a\\tb\xc3\xa9"
				   "A\"" },
	{ "!!str 12", "\"12\"" },
	{ "!!int 12", "12" },
	{ "!!float 12", "12.0" },
	{ "!!str", "\"\"" },
	{ "!!null ''", NULL },
	{ "!!bool true", "true" },
	{ "a: 1\nb: [1, two, {c: ~}]\n", "{\"a\":1,\"b\":[1,\"two\",{\"c\":null}]}" },
	{ "- a\n- - b\n  - c\n- k: v\n", "[\"a\",[\"b\",\"c\"],{\"k\":\"v\"}]" },
	{ "s: |\n  one\n  two\n", "{\"s\":\"one\\ntwo\\n\"}" },
	{ "s: >-\n  one\n  two\n", "{\"s\":\"one two\"}" },
	{ "'1': x\n\"true\": y\n", "{\"1\":\"x\",\"true\":\"y\"}" },
	{ "{\"json\": [1, 2.5, \"x\"], \"n\": null}", "{\"json\":[1,2.5,\"x\"],\"n\":null}" },
	{ "yes: 1", "{\"yes\":1}" },
	{ "\xef\xbb\xbf"
	  "a: 1",
	  "{\"a\":1}" },
	{ "%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}" },
	{ "{}", "{}" },
	{ "[]", "[]" },
	{ "!!map {a: 1}", "{\"a\":1}" },
	{ "a:\n", "{\"a\":null}" },
};

static void core_schema(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < N_OF(core_cases); i++) {
		struct gw_str got = json_of(&b, gw_str_z(core_cases[i][0]), false);

		if (core_cases[i][1] && (!gw_str_eq(got, gw_str_z(core_cases[i][1])) || fault.what))
			fail_msg("%s: %.*s", core_cases[i][0], GW_FMT(got));
		if (!core_cases[i][1] && !fault.what)
			fail_msg("accepted %s: %.*s", core_cases[i][0], GW_FMT(got));
	}
	gw_buf_done(&b);
}

static void refused(void **st)
{
	static const struct {
		const char *text;
		uint32_t line, column;
		const char *what;
	} cases[] = {
		{ "a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key" },
		{ "x:\n  - {k: 1, 'k': 2}\n", 2, 12, "duplicate key" },
		{ "a: &x 1\nb: *x\n", 1, 4, "anchors" },
		{ "a: *x\n", 1, 4, "aliases" },
		{ "a: &m {k: 1}\n", 1, 4, "anchors" },
		{ "a: !secret x\n", 1, 4, "tag" },
		{ "a: !!binary aGk=\n", 1, 4, "tag" },
		{ "a: !!set {x}\n", 1, 4, "tag" },
		{ "a: !!int x\n", 1, 4, "tag" },
		{ "a: !!float 0x10\n", 1, 4, "tag" },
		{ "a: ! x\n", 1, 4, "tag" },
		{ "1: x\n", 1, 1, "key must be a string" },
		{ "true: x\n", 1, 1, "key must be a string" },
		{ "a: {~: 1}\n", 1, 5, "key must be a string" },
		{ "? [a]\n: 1\n", 1, 3, "key must be a string" },
		{ "? {a: b}\n: 1\n", 1, 3, "key must be a string" },
		{ "a: .inf\n", 1, 4, "infinity" },
		{ "a: -.Inf\n", 1, 4, "infinity" },
		{ "a: .nan\n", 1, 4, "infinity" },
		{ "a: 1e999\n", 1, 4, "too large" },
		{ "a: 0x10000000000000000\n", 1, 4, "too large" },
		{ "a: 1\n---\nb: 2\n", 2, 1, "several documents" },
		{ "a: [1, 2\n", 2, 1, "did not find" },
		{ "a: 1\n  b: 2\n", 2, 4, "mapping values are not allowed" },
		{ "a:\n\t- b\n", 2, 1, "found character that cannot start any token" },
		{ "ok: 1\nbad: \x01\n", 2, 6, "control characters" },
		{ "a: \xff\n", 1, 1, "UTF-8" },
	};
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct gw_str got = json_of(&b, gw_str_z(cases[i].text), false);

		if (!fault.what)
			fail_msg("accepted %s: %.*s", cases[i].text, GW_FMT(got));
		if (!strstr(fault.what, cases[i].what) || fault.line != cases[i].line ||
		    fault.column != cases[i].column)
			fail_msg("%s: %u:%u %s", cases[i].text, fault.line, fault.column, fault.what);
	}
	gw_buf_done(&b);
}

static void streams(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	assert_str(json_of(&b, GW_LIT("a: 1\n---\nb: 2\n---\n- 3\n"), true), "[{\"a\":1},{\"b\":2},[3]]");
	assert_str(json_of(&b, GW_LIT("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n---\n"), true),
		   "[{\"a\":1},{\"b\":2}]");
	assert_str(json_of(&b, GW_LIT("--- ~\n"), true), "[null]"); /* said, not left out */
	assert_str(json_of(&b, GW_LIT(""), true), "[]");
	assert_str(json_of(&b, GW_LIT("a: 1"), true), "[{\"a\":1}]");
	json_of(&b, GW_LIT("a: 1\n---\na: 1\na: 2\n"), true);
	assert_string_equal(fault.what, "duplicate key");
	assert_int_equal(fault.line, 4);
	gw_buf_done(&b);
}

static void depth_and_size(void **st)
{
	struct gw_buf text, b;

	(void)st;
	gw_buf_init(&text, 4 << 20);
	gw_buf_init(&b, 4 << 20);
	for (int i = 0; i < 64; i++)
		gw_buf_putc(&text, '[');
	for (int i = 0; i < 64; i++)
		gw_buf_putc(&text, ']');
	json_of(&b, gw_buf_view(&text), false);
	assert_null(fault.what);
	gw_buf_clear(&text, 4 << 20);
	for (int i = 0; i < 100000; i++) /* never closed, refused at the 65th */
		gw_buf_putc(&text, '[');
	json_of(&b, gw_buf_view(&text), false);
	assert_non_null(strstr(fault.what, "deeper"));
	/* 30,000 keys: not quadratic */
	gw_buf_clear(&text, 4 << 20);
	for (int i = 0; i < 30000; i++)
		gw_buf_printf(&text, "key%d: %d\n", i, i);
	json_of(&b, gw_buf_view(&text), false);
	assert_null(fault.what);
	gw_buf_puts(&text, GW_LIT("key123: again\n"));
	json_of(&b, gw_buf_view(&text), false);
	assert_int_equal(fault.line, 30001);
	gw_buf_done(&text);
	gw_buf_done(&b);
}

static void where(void **st)
{
	struct gw_str text = GW_LIT("kind: model\nspec:\n  name: x\n  targets:\n    - a\n    - b: 1\n      c/d: 2\n    "
				    "  'e~f': 3\n---\nkind: key\n");
	static const struct {
		const char *pointer;
		uint32_t line, column;
	} found[] = { { "", 1, 1 },
		      { "/0/kind", 1, 1 },
		      { "/0/spec", 2, 1 },
		      { "/0/spec/name", 3, 3 },
		      { "/0/spec/targets/0", 5, 7 },
		      { "/0/spec/targets/1", 6, 7 },
		      { "/0/spec/targets/1/b", 6, 7 },
		      { "/0/spec/targets/1/c~1d", 7, 7 },
		      { "/0/spec/targets/1/e~0f", 8, 7 },
		      { "/1/kind", 10, 1 },
		      { "/1", 10, 1 } };
	static const char *const absent[] = {
		"/2", "/0/nothing", "/0/spec/targets/2", "/0/spec/targets/x", "kind", "/0/kind/x", "/"
	};
	struct gw_yaml_pos *pos;
	yyjson_doc *doc;
	uint32_t line, column;

	(void)st;
	assert_int_equal(gw_yaml_read_pos(text, true, &doc, &pos, &fault), GW_OK);
	for (size_t i = 0; i < N_OF(found); i++) {
		if (!gw_yaml_where(pos, gw_str_z(found[i].pointer), &line, &column))
			fail_msg("%s not found", found[i].pointer);
		if (line != found[i].line || column != found[i].column)
			fail_msg("%s: %u:%u", found[i].pointer, line, column);
	}
	for (size_t i = 0; i < N_OF(absent); i++)
		if (gw_yaml_where(pos, gw_str_z(absent[i]), &line, &column))
			fail_msg("found %s", absent[i]);
	gw_yaml_pos_free(pos);
	yyjson_doc_free(doc);
	assert_int_equal(gw_yaml_read_pos(GW_LIT("a:\n  b: 1\n"), false, &doc, &pos, &fault), GW_OK);
	assert_true(gw_yaml_where(pos, GW_LIT("/a/b"), &line, &column) && line == 2 && column == 3);
	gw_yaml_pos_free(pos);
	yyjson_doc_free(doc);
	assert_int_equal(gw_yaml_read_pos(GW_LIT("a: ["), false, &doc, &pos, &fault), GW_E_SYNTAX);
	assert_null(pos);
	gw_yaml_pos_free(NULL);
}

static void writing(void **st)
{
	static const char json[] = "{\"name\":\"gpt-4o\",\"empty\":\"\",\"n\":1,\"f\":2.0,\"t\":true,\"z\":null,"
				   "\"quoted\":[\"yes\",\"true\",\"1\",\"~\",\"- x\",\"a: b\",\"a #b\","
				   "\"x:\",\" x\",\"x "
				   "\",\"#x\",\"é\",\"two\\nlines\",\"@x\",\"=\"],\"list\":[{\"a\":1,\"b\":[]},[1,[2]],"
				   "{}],\"m\":{\"k\":{\"1\":\"a b\"}},\"url\":\"http://x:1/y?z#w\"}";
	static const char want[] =
	    "name: gpt-4o\nempty: \"\"\n\"n\": 1\nf: 2.0\nt: true\nz: null\nquoted:\n  - \"yes\"\n  - \"true\"\n  - "
	    "\"1\"\n"
	    "  - \"~\"\n  - \"- x\"\n  - \"a: b\"\n  - \"a #b\"\n  - \"x:\"\n  - \" x\"\n  - \"x \"\n  - \"#x\"\n  - "
	    "\"é\"\n"
	    "  - \"two\\nlines\"\n  - \"@x\"\n  - \"=\"\nlist:\n  - a: 1\n    b: []\n  - - 1\n    - - 2\n  - {}\n"
	    "m:\n  k:\n    \"1\": a b\nurl: http://x:1/y?z#w\n";
	struct gw_buf b;
	yyjson_doc *doc;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_json_read(gw_str_z(json), NULL, &doc, NULL), GW_OK);
	gw_yaml_write(&b, yyjson_doc_get_root(doc));
	assert_str(gw_buf_view(&b), want);
	yyjson_doc_free(doc);
	gw_buf_done(&b);
}

static bool same_tree(struct gw_str yaml, yyjson_val *v)
{
	yyjson_doc *back;
	bool ok;

	if (gw_yaml_read(yaml, false, &back, &fault))
		fail_msg("cannot read back (%u:%u %s): %.*s", fault.line, fault.column, fault.what, GW_FMT(yaml));
	ok = yyjson_equals(yyjson_doc_get_root(back), v);
	yyjson_doc_free(back);
	return ok;
}

static void round_trip(void **st)
{
	struct gw_buf json, b;
	unsigned trees = 0;

	(void)st;
	gw_buf_init(&json, 4 << 20);
	gw_buf_init(&b, 8 << 20);
	for (int round = 0; round < 5000; round++) {
		yyjson_doc *doc;

		gw_buf_clear(&json, SIZE_MAX);
		gw_buf_clear(&b, SIZE_MAX);
		gen_value(&json, round % 4 ? 2 : 0);
		if (gw_json_read(gw_buf_view(&json), NULL, &doc, NULL))
			continue;
		trees++;
		gw_yaml_write(&b, yyjson_doc_get_root(doc));
		assert_int_equal(b.err, GW_OK);
		if (!same_tree(gw_buf_view(&b), yyjson_doc_get_root(doc)))
			fail_msg("%.*s became %.*s", (int)json.n, json.p, (int)b.n, b.p);
		yyjson_doc_free(doc);
	}
	assert_true(trees > 2500);
	gw_buf_done(&json);
	gw_buf_done(&b);
}

/* Strings and keys of every awkward kind come back the same. */
static void awkward_strings(void **st)
{
	static const char *const pieces[] = { "a",
					      " ",
					      ":",
					      "#",
					      "-",
					      "?",
					      ",",
					      "[",
					      "]",
					      "{",
					      "}",
					      "&",
					      "*",
					      "!",
					      "|",
					      ">",
					      "'",
					      "\"",
					      "%",
					      "@",
					      "`",
					      "\n",
					      "\t",
					      "\r",
					      "\x01",
					      "\x7f",
					      "\xc2\x80",
					      "\xc2\x85",
					      "\xc2\xa0",
					      "\xe2\x80\xa8",
					      "\xef\xbb\xbf",
					      "\xef\xbf\xbe",
					      "\xef\xbf\xbf",
					      "\xf0\x9f\x98\x80",
					      "1",
					      ".",
					      "e",
					      "0x",
					      "~",
					      "null",
					      "true",
					      "...",
					      "---",
					      "<<",
					      "=",
					      "\\" };
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	for (int round = 0; round < 8000; round++) {
		yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *root = yyjson_mut_obj(m), *list = yyjson_mut_arr(m);
		char text[2000];
		size_t n = 0;
		yyjson_doc *doc;

		for (size_t k = rng_below(6); k > 0; k--)
			n += (size_t)snprintf(text + n, 20, "%s", pieces[rng_below(N_OF(pieces))]);
		if (rng_below(200) == 0)
			for (size_t k = 200 + rng_below(1400); k > 0; k--)
				text[n++] = 'k';
		yyjson_mut_arr_append(list, yyjson_mut_strn(m, text, n));
		yyjson_mut_obj_add(root, yyjson_mut_strn(m, text, n),
				   rng_below(2) ? list : yyjson_mut_strn(m, text, n));
		yyjson_mut_doc_set_root(m, root);
		doc = yyjson_mut_doc_imut_copy(m, NULL);
		gw_buf_clear(&b, SIZE_MAX);
		gw_yaml_write(&b, yyjson_doc_get_root(doc));
		if (!same_tree(gw_buf_view(&b), yyjson_doc_get_root(doc)))
			fail_msg("%.*s", (int)b.n, b.p);
		yyjson_doc_free(doc);
		yyjson_mut_doc_free(m);
	}
	gw_buf_done(&b);
}

/* JSON is YAML: what the JSON reader takes, this one takes with the same meaning, apart from a few known differences. */
static void json_is_yaml(void **st)
{
	struct gw_buf json;
	unsigned n = 0;

	(void)st;
	gw_buf_init(&json, 4 << 20);
	for (int round = 0; round < 3000; round++) {
		yyjson_doc *doc;

		gw_buf_clear(&json, SIZE_MAX);
		gen_value(&json, 3);
		for (size_t i = 0; i < json.n; i++) /* on one line: YAML wants a key and its colon there, and no tabs */
			json.p[i] = (uint8_t)json.p[i] < ' ' ? ' ' : json.p[i];
		gw_buf_putc(&json, '\0');
		json.n--;
		/* surrogate pairs are not YAML; -0 is an integer 0 here and a double in JSON */
		if (strstr(json.p, "\\ud83d") || strstr(json.p, "-0") ||
		    gw_json_read(gw_buf_view(&json), NULL, &doc, NULL))
			continue;
		n++;
		if (!same_tree(gw_buf_view(&json), yyjson_doc_get_root(doc)))
			fail_msg("%.*s", (int)json.n, json.p);
		yyjson_doc_free(doc);
	}
	assert_true(n > 1000);
	gw_buf_done(&json);
}

static void damaged(void **st)
{
	struct gw_buf json, b;

	(void)st;
	gw_buf_init(&json, 4 << 20);
	gw_buf_init(&b, 8 << 20);
	for (int round = 0; round < 5000; round++) {
		yyjson_doc *doc;

		gw_buf_clear(&json, SIZE_MAX);
		gen_value(&json, 3);
		if (gw_json_read(gw_buf_view(&json), NULL, &doc, NULL))
			continue;
		gw_buf_clear(&b, SIZE_MAX);
		gw_yaml_write(&b, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
		gen_damage(&b, 1 + rng_below(4));
		gw_buf_clear(&json, SIZE_MAX);
		json_of(&json, gw_buf_view(&b), round % 2);
	}
	gw_buf_done(&json);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_schema),    cmocka_unit_test(refused),         cmocka_unit_test(streams),
		cmocka_unit_test(depth_and_size), cmocka_unit_test(where),           cmocka_unit_test(writing),
		cmocka_unit_test(round_trip),     cmocka_unit_test(awkward_strings), cmocka_unit_test(json_is_yaml),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
