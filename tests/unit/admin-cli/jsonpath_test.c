/* The jsonpath subset: what it finds, how it is joined, and what it says about a template that it does not understand. */
#include "tests/unit/admin-cli/capture.h"

static const char json[] = "{\"items\":[{\"id\":\"a\",\"n\":1,\"on\":true,\"labels\":{\"env\":\"prod\",\"odd "
			   "name\":\"x\"},\"t\":[{\"d\":\"d1\"},{\"d\":"
			   "\"d2\"}]},{\"id\":\"b\",\"n\":2.5,\"on\":false,\"t\":[]},{\"id\":\"c]\\\"}\",\"n\":30,"
			   "\"z\":null}],\"next\":\"q\"}";

static bool run(const char *template, char *out, size_t n, const char **why)
{
	struct gw_json_fault fault;
	struct gw_arena a;
	struct gw_buf b;
	yyjson_doc *doc;
	bool ok;

	gw_arena_init(&a, NULL, 0, 8 << 20);
	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_json_read(gw_str_z(json), &gw_json_default_limits, &doc, &fault), GW_OK);
	*why = NULL;
	ok = cli_jsonpath(&a, template, yyjson_doc_get_root(doc), &b, why);
	snprintf(out, n, "%.*s", GW_FMT(gw_buf_view(&b)));
	yyjson_doc_free(doc);
	gw_buf_done(&b);
	gw_arena_done(&a);
	return ok;
}

static void found(void **state)
{
	(void)state;
	static const struct {
		const char *template, *want;
	} rows[] = {
		{ "{.items[*].id}", "a b c]\"}" },
		{ ".items[*].id", "a b c]\"}" },
		{ "{$.next}", "q" },
		{ "items[0].id", "a" },
		{ "{.items[-1].n}", "30" },
		{ "{.items[7].id}", "" },
		{ "{.items[-7].id}", "" },
		{ "{.nothing.at.all}", "" },
		{ "{.items[0].labels['odd name']}", "x" },
		{ "{.items[0].labels.env}", "prod" },
		{ "{.items[0].labels.*}", "prod x" },
		{ "{.items[0].t}", "[{\"d\":\"d1\"},{\"d\":\"d2\"}]" },
		{ "{.items[*].t[*].d}", "d1 d2" },
		{ "{.items[?(@.id==\"b\")].n}", "2.5" },
		{ "{.items[?(@.id=='c]\"}')].n}", "30" },
		{ "{.items[?(@.id != 'a')].id}", "b c]\"}" },
		{ "{.items[?(@.n>=2.5)].id}", "b c]\"}" },
		{ "{.items[?(@.n<2)].id}", "a" },
		{ "{.items[?(@.n==1)].id}", "a" },
		{ "{.items[?(@.on==true)].id}", "a" },
		{ "{.items[?(@.on==false)].id}", "b" },
		{ "{.items[?(@.z==null)].id}", "c]\"}" },
		{ "{.items[?(@.labels)].id}", "a" },
		{ "{.items[?(@.labels.env==\"prod\")].id}", "a" },
		{ "{.items[?(@.n==\"1\")].id}", "" }, /* a number is not a text */
		{ "{.items[*].z}", "null" },
		{ "n={.next}!", "n=q!" },
		{ "{range .items[*]}{.id}{\"\\t\"}{.n}{\"\\n\"}{end}.", "a\t1\nb\t2.5\nc]\"}\t30\n." },
		{ "{range .items[?(@.t)]}{@.id}:{range .t[*]}<{.d}>{end};{end}{$.next}", "a:<d1><d2>;b:;q" },
		{ "{\"}\"}", "}" },
	};
	const char *why;
	char out[1024];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (!run(rows[i].template, out, sizeof out, &why))
			fail_msg("%s: %s", rows[i].template, why);
		if (strcmp(out, rows[i].want) != 0)
			fail_msg("%s: '%s', not '%s'", rows[i].template, out, rows[i].want);
	}
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *template, *words;
	} rows[] = {
		{ "", "give a template" },
		{ "{.items[*].id", "{ is not closed" },
		{ "{.items[0.id}", "[ is not closed" },
		{ "{.items[x]}", "in brackets" },
		{ "{.items[]}", "in brackets" },
		{ "{..id}", "\"..\" is not supported" },
		{ "{.items[?@.a]}", "a filter looks like" },
		{ "{.items[?(.a==1)]}", "begins with @" },
		{ "{.items[?(@.id==b)]}", "compares with" },
		{ "{.items[?(@.id==\"b)]}", "not closed" },
		{ "{range .items[*]}{.id}", "without {end}" },
		{ "{end}", "without {range}" },
		{ "{\"x}", "not closed" },
	};
	const char *why;
	char out[1024], deep[4096] = "", *p = deep;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (run(rows[i].template, out, sizeof out, &why))
			fail_msg("%s was taken: %s", rows[i].template, out);
		if (!strstr(why, rows[i].words))
			fail_msg("%s: '%s' is not in '%s'", rows[i].template, rows[i].words, why);
	}
	for (int i = 0; i < 100; i++)
		p += sprintf(p, "{range $}");
	for (int i = 0; i < 100; i++)
		p += sprintf(p, "{end}");
	assert_false(run(deep, out, sizeof out, &why));
	assert_string_equal(why, "nested too deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(found), cmocka_unit_test(refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
