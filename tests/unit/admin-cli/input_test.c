/* Files of objects: YAML and JSON, unknown names with their place, values from the environment and from files, secrets. */
#include "lib/yaml.h"
#include "tests/unit/admin-cli/capture.h"

static int read_text(const char *text, char *json, size_t n)
{
	struct cli *c = cli_new();
	struct gw_buf b;
	int rc;

	c->o.file = put_file("in.yaml", text, strlen(text));
	gw_buf_init(&b, 1 << 20);
	catch_begin();
	rc = cli_read_objects(c, &b);
	catch_end();
	snprintf(json, n, "%.*s", GW_FMT(gw_buf_view(&b)));
	gw_buf_done(&b);
	gw_yaml_pos_free(c->pos);
	cli_free(c);
	return rc;
}

static void good_files(void **state)
{
	(void)state;
	static const char want[] = "[{\"kind\":\"org\",\"id\":\"a\"},{\"kind\":\"org\",\"id\":\"b\"}]";
	static const char *const texts[] = {
		"kind: org\nid: a\n---\nkind: org\nid: b\n",
		"- kind: org\n  id: a\n- {kind: org, id: b}\n",
		"[{\"kind\":\"org\",\"id\":\"a\"},{\"kind\":\"org\",\"id\":\"b\"}]",
		"{\"items\":[{\"kind\":\"org\",\"id\":\"a\"},{\"kind\":\"org\",\"id\":\"b\"}]}",
		"items:\n- kind: org\n  id: a\n- kind: org\n  id: b\n",
	};
	char json[4096];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (read_text(texts[i], json, sizeof json))
			fail_msg("%s: %s", texts[i], said);
		assert_string_equal(json, want);
	}
}

static void faults_have_a_place(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "kind: org\nid: a\nnmae: x\n", "in.yaml: line 3, column 1: org has no field \"nmae\"" },
		{ "kind: org\nid: a\n---\n\nkind: model\nid: m\n   \ntragets: []\n",
		  "line 8, column 1: model has no field \"tragets\"" },
		{ "- kind: org\n  id: a\n- kind: org\n  idd: b\n", "line 4, column 3: org has no field \"idd\"" },
		{ "items:\n- kind: org\n  idd: b\n", "line 3, column 3: org has no field \"idd\"" },
		{ "[{\"kind\":\"org\",\n \"x\":1}]", "line 2, column 2: org has no field \"x\"" },
		{ "kind: planet\nid: a\n", "object 1: kind is missing or unknown: planet" },
		{ "id: a\n", "object 1: kind is missing" },
		{ "kind: 7\n", "object 1: kind is missing" },
		{ "- 1\n", "object 1: kind is missing" },
		{ "kind: org\nid: a\nid: b\n", "line 3" }, /* the same key twice */
		{ "kind: org\nid: &x a\ndisplay_name: *x\n", "line 2" }, /* no anchors */
		{ "kind: org\n\tid: a\n", "line 2" },
		{ "kind: [org\n", "line" },
	};
	char json[4096];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (read_text(rows[i].text, json, sizeof json) != CLI_INVALID)
			fail_msg("taken: %s", rows[i].text);
		assert_says(rows[i].words);
	}
}

static void references(void **state)
{
	(void)state;
	char json[4096], text[512];

	setenv("LLMGW_TEST_A", "from \"env\"", 1);
	unsetenv("LLMGW_TEST_NONE");
	assert_int_equal(
	    read_text("kind: org\nid: a\ndisplay_name: ${LLMGW_TEST_A}\nlabels: {x: '${ENV:LLMGW_TEST_A}'}\n", json,
		      sizeof json),
	    CLI_OK);
	assert_string_equal(json, "[{\"kind\":\"org\",\"id\":\"a\",\"display_name\":\"from "
				  "\\\"env\\\"\",\"labels\":{\"x\":\"from \\\"env\\\"\"}}]");
	assert_int_equal(read_text("kind: org\nid: a\ndisplay_name: ${LLMGW_TEST_NONE}\n", json, sizeof json),
			 CLI_INVALID);
	assert_says("the environment has no LLMGW_TEST_NONE");
	snprintf(text, sizeof text, "kind: org\nid: a\ndisplay_name: ${FILE:%s}\n",
		 put_file("secret", "s3cret\r\n", 8));
	if (read_text(text, json, sizeof json))
		fail_msg("%s", said);
	assert_string_equal(json, "[{\"kind\":\"org\",\"id\":\"a\",\"display_name\":\"s3cret\"}]");
	assert_int_equal(read_text("kind: org\nid: a\ndisplay_name: ${FILE:/nowhere/at/all}\n", json, sizeof json),
			 CLI_INVALID);
	assert_says("cannot read /nowhere/at/all");
	/* only whole values, and never keys */
	assert_int_equal(
	    read_text("kind: org\nid: a\ndisplay_name: x${LLMGW_TEST_A}\nlabels: {\"${LLMGW_TEST_A}\": y}\n", json,
		      sizeof json),
	    CLI_OK);
	assert_non_null(strstr(json, "\"x${LLMGW_TEST_A}\""));
	assert_non_null(strstr(json, "\"${LLMGW_TEST_A}\":\"y\""));
}

static int secret_of(const char *env, const char *input, char *out)
{
	struct cli *c = cli_new();
	struct gw_buf b;
	int rc, kept_in = dup(0), fd = open(put_file("in", input, strlen(input)), O_RDONLY);

	c->o.from_env = env;
	dup2(fd, 0);
	close(fd);
	catch_begin();
	rc = cli_read_secret(c, &b);
	catch_end();
	dup2(kept_in, 0);
	close(kept_in);
	snprintf(out, 256, "%.*s", GW_FMT(gw_buf_view(&b)));
	gw_buf_done(&b);
	cli_free(c);
	return rc;
}

static void secrets(void **state)
{
	(void)state;
	char out[256];

	setenv("LLMGW_TEST_S", "abc", 1);
	assert_int_equal(secret_of("LLMGW_TEST_S", "", out), CLI_OK);
	assert_string_equal(out, "abc");
	assert_int_equal(secret_of("LLMGW_TEST_NONE", "", out), CLI_USAGE);
	assert_int_equal(secret_of(NULL, "line\n\r\n", out), CLI_OK);
	assert_string_equal(out, "line");
	assert_int_equal(secret_of(NULL, "\n", out), CLI_USAGE);
	assert_int_equal(secret_of(NULL, "", out), CLI_USAGE);
	assert_null(strstr(said, "abc"));
}

static void kinds(void **state)
{
	(void)state;
	assert_string_equal(cli_plural("deployment"), "deployments");
	assert_string_equal(cli_plural("deployments"), "deployments");
	catch_begin();
	const char *none = cli_plural("deploymet"), *far = cli_plural("zzzzzzzzzzz");
	catch_end();
	assert_null(none);
	assert_null(far);
	assert_says("did you mean \"deployments\"?");
}

static void queries(void **state)
{
	(void)state;
	struct cli *c = cli_new();
	struct gw_buf q;

	gw_buf_init(&q, 4096);
	cli_query(&q, "a", "b&c=d");
	cli_query(&q, "none", NULL);
	cli_query(&q, "e", "\xc3\xa9 ");
	assert_int_equal(q.n, strlen("a=b%26c%3Dd&e=%C3%A9%20"));
	assert_memory_equal(q.p, "a=b%26c%3Dd&e=%C3%A9%20", q.n);
	gw_buf_done(&q);
	struct gw_str e = cli_enc(c, "a/../b?c");
	assert_int_equal(gw_str_find(e, '/'), e.n);
	assert_int_equal(gw_str_find(e, '?'), e.n);
	cli_free(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)
	const struct CMUnitTest tests[] = { T(good_files), T(faults_have_a_place),  T(references),
					    T(secrets),    cmocka_unit_test(kinds), cmocka_unit_test(queries) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
