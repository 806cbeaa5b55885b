/* Tables, JSON and YAML: widths, what is cut, and that nothing that comes from outside steers the terminal. */
#include "tests/unit/admin-cli/capture.h"

static const char *const columns[] = { "id", "a.b", "list.1", "ts_start_us", NULL };

static int print(const char *format, const char *json)
{
	struct cli *c = cli_new();
	int rc;

	c->o.output = format;
	catch_begin();
	rc = cli_print(c, gw_str_z(json), "items", columns);
	catch_end();
	cli_free(c);
	return rc;
}

static void tables(void **state)
{
	(void)state;
	assert_int_equal(print(NULL, "{\"items\":[{\"id\":\"long-name\",\"a\":{\"b\":true},\"list\":[1,2]},{\"id\":"
				     "\"x\",\"a\":{\"b\":null}},{\"a\":7}]}"),
			 CLI_OK);
	assert_string_equal(printed, "ID         A.B  LIST.1  TS_START_US\n"
				     "long-name  yes  2       \n"
				     "x                       \n"
				     "                        \n");
	assert_int_equal(print(NULL, "{\"items\":[{\"ts_start_us\":1700000000000000}]}"), CLI_OK);
	assert_non_null(strstr(printed, "2023-11-14T22:13:20"));
	assert_int_equal(print(NULL, "{\"items\":[]}"), CLI_OK);
	assert_says("(none)");
	assert_int_equal(print(NULL, "garbage"), CLI_FAILED);
	assert_says("not JSON");
	assert_int_equal(print("json", "{\"items\":[1]}"), CLI_OK);
	assert_string_equal(printed, "{\"items\":[1]}\n");
	assert_int_equal(print("yaml", "{\"items\":[{\"id\":\"x\"}]}"), CLI_OK);
	assert_non_null(strstr(printed, "id: x"));
}

/* ESC, BEL, CR, NUL-like, DEL, and the C1 range as UTF-8 (U+009B is CSI). */
static void no_control_characters(void **state)
{
	(void)state;
	static const char json[] = "{\"items\":[{\"id\":\"a\\u001b[31mb\\u0007c\\rd\\u007fe\\u009b31mf\\u0085g\\tz\","
				   "\"a\":{\"b\":\"caf\\u00e9 \\u00a0\"}}]}";

	assert_int_equal(print(NULL, json), CLI_OK);
	assert_non_null(strstr(printed, "a?[31mb?c?d?e??31mf??g?z"));
	assert_non_null(strstr(printed, "caf\xc3\xa9 \xc2\xa0")); /* letters stay */
	assert_int_equal(print("yaml", json), CLI_OK);
	for (const char *p = printed; *p; p++)
		assert_true(((unsigned char)*p >= 0x20 || *p == '\n') && *p != 0x7f);
	assert_null(strstr(printed, "\xc2\x9b"));
	catch_begin();
	cli_error("from outside: %s", "x\x1b]0;title\x07\xc2\x9by\nz");
	catch_end();
	assert_string_equal(said, "llmgwctl: from outside: x?]0;title???y\nz\n");
}

/* Long texts are cut, never in the middle of a letter. */
static void long_cells(void **state)
{
	(void)state;
	for (int pad = 50; pad < 62; pad++) {
		char json[512], *p = json;

		p += sprintf(p, "{\"items\":[{\"id\":\"");
		for (int i = 0; i < pad; i++)
			*p++ = 'x';
		sprintf(p, "\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9 and more and more\"}]}");
		assert_int_equal(print(NULL, json), CLI_OK);
		const char *line = strchr(printed, '\n') + 1;
		size_t n = 0;

		while ((unsigned char)line[n] > ' ')
			n++;
		assert_true(n <= 60);
		struct gw_json_fault f;
		yyjson_doc *d;
		char back[256];
		int k = snprintf(back, sizeof back, "\"%.*s\"", (int)n, line);
		assert_int_equal(gw_json_read(gw_str(back, (size_t)k), &gw_json_default_limits, &d, &f),
				 GW_OK); /* whole UTF-8 */
		yyjson_doc_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tables), cmocka_unit_test(no_control_characters),
					    cmocka_unit_test(long_cells) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
