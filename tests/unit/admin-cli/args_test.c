/* Words on the command line: options in every spelling, what is missing, too much or misspelt, and exit statuses. */
#include "tests/unit/admin-cli/capture.h"

static struct cli *c;
static const struct cli_command *cmd;

static int parse(const char *line)
{
	static char words[4096];
	char *argv[64], *save = NULL;
	int argc = 0, rc;

	if (c)
		cli_free(c);
	c = cli_new();
	cmd = NULL;
	snprintf(words, sizeof words, "llmgwctl %s", line);
	for (char *w = strtok_r(words, " ", &save); w && argc < 63; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "''") == 0 ? w + 2 : w;
	argv[argc] = NULL;
	catch_begin();
	rc = cli_parse(argc, argv, c, &cmd);
	catch_end();
	return rc;
}

static int tear_down(void **state)
{
	(void)state;
	cli_free(c);
	c = NULL;
	return 0;
}

static void options(void **state)
{
	(void)state;
	assert_int_equal(parse("apply -f a.yaml --dry-run -o json"), CLI_OK);
	assert_string_equal(cmd->words, "apply");
	assert_string_equal(c->o.file, "a.yaml");
	assert_string_equal(c->o.output, "json");
	assert_non_null(c->o.dry_run);
	assert_null(c->o.yes);
	assert_int_equal(cli_format(c), CLI_JSON);
	assert_int_equal(parse("--output=yaml apply --file=b"), CLI_OK);
	assert_string_equal(c->o.file, "b");
	assert_int_equal(cli_format(c), CLI_YAML);
	assert_int_equal(parse("apply -f -"), CLI_OK); /* a single dash is a value */
	assert_string_equal(c->o.file, "-");
	assert_int_equal(parse("get models m-1 --filter a=b --filter c!=d -y"), CLI_OK);
	assert_int_equal(c->n_args, 2);
	assert_string_equal(c->args[1], "m-1");
	assert_int_equal(c->o.n_filters, 2);
	assert_string_equal(c->o.filters[1], "c!=d");
	assert_non_null(c->o.yes);
	assert_int_equal(parse("key create --name=a=b"), CLI_OK); /* only the first = cuts */
	assert_string_equal(c->o.name, "a=b");
	assert_string_equal(cmd->words, "key create");
	assert_int_equal(c->n_args, 0);
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *words;
	} rows[] = {
		{ "apply --fiel x", "did you mean --file?" },
		{ "apply --qqqqqqqqqq x", "there is no option --qqqqqqqqqq" },
		{ "apply -x", "there is no option -x" },
		{ "apply --", "there is no option" },
		{ "apply -f", "--file needs a value" },
		{ "apply --file", "--file needs a value" },
		{ "apply --dry-run=false -f x", "--dry-run takes no value" },
		{ "delete model m --yes=no", "--yes takes no value" },
		{ "apply -f x extra", "usage: llmgwctl apply" },
		{ "get", "usage: llmgwctl get" },
		{ "get models a b", "usage: llmgwctl get" },
		{ "get models --provider x", "takes no --provider" },
		{ "aply -f x", "did you mean \"apply\"?" },
		{ "key creat", "did you mean \"key create\"?" },
		{ "fly to the moon", "there is no command \"fly to\"" },
		{ "status -o xml", "--output: table, wide, name" },
		{ "get models 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", "too many arguments" },
	};
	char many[2048] = "get models", *p = many + strlen(many);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (parse(rows[i].line) != CLI_USAGE)
			fail_msg("%s was taken", rows[i].line);
		assert_says(rows[i].words);
		assert_string_equal(printed, "");
	}
	for (int i = 0; i < 33; i++)
		p += sprintf(p, " --filter=a=%d", i);
	assert_int_equal(parse(many), CLI_USAGE);
	assert_says("at most 32 times");
	assert_int_equal(parse(""), CLI_USAGE);
	assert_says("Commands:");
}

static void help(void **state)
{
	(void)state;
	assert_int_equal(parse("--help"), CLI_OK);
	assert_null(cmd);
	assert_non_null(strstr(printed, "Commands:"));
	assert_int_equal(parse("model add --help"), CLI_OK);
	assert_null(cmd); /* nothing is run */
	assert_non_null(strstr(printed, "Usage: llmgwctl model add"));
	assert_non_null(strstr(printed, "--upstream"));
	assert_int_equal(parse("--version"), CLI_OK);
	assert_null(cmd);
	assert_non_null(strstr(printed, "llmgwctl "));
}

/* Every option that a command names exists, every command has an example of itself. */
static void rows_fit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cli_n_commands; i++) {
		char list[512], *save = NULL;

		snprintf(list, sizeof list, "%s", cli_commands[i].options);
		for (char *w = strtok_r(list, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
			bool is_there = false;

			for (unsigned k = 0; k < cli_n_options; k++)
				is_there |= strcmp(cli_options[k].name, w) == 0 && !cli_options[k].is_global;
			if (!is_there)
				fail_msg("%s: no option --%s", cli_commands[i].words, w);
		}
		if (!strstr(cli_commands[i].examples, cli_commands[i].words))
			fail_msg("%s: no example", cli_commands[i].words);
	}
	assert_true(cli_n_commands <= CLI_MAX_NAMES &&
		    cli_n_options <= CLI_MAX_NAMES); /* what "did you mean" can hold */
}

static void exit_statuses(void **state)
{
	(void)state;
	static const struct {
		long http;
		int exit;
	} rows[] = { { 400, CLI_INVALID },  { 401, CLI_AUTH },     { 403, CLI_AUTH },    { 404, CLI_NOT_FOUND },
		     { 409, CLI_CONFLICT }, { 412, CLI_CONFLICT }, { 413, CLI_INVALID }, { 415, CLI_INVALID },
		     { 500, CLI_FAILED },   { 503, CLI_FAILED } };

	parse("status");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cli_reply r = { .status = rows[i].http };
		int rc;

		gw_buf_init(&r.body, 4096);
		catch_begin();
		rc = cli_say_error(c, &r); /* a body that is nothing */
		catch_end();
		assert_int_equal(rc, rows[i].exit);
		assert_says("HTTP");
		gw_buf_puts(&r.body, GW_LIT("{\"error\":{\"message\":\"no \\u001b[31m\\u009b2J "
					    "way\",\"faults\":[{\"pointer\":\"/a\",\"message\":\"bad\\u0007\"}],"
					    "\"used_by\":[{\"kind\":\"model\",\"id\":\"m\"},{}]}}"));
		catch_begin();
		rc = cli_say_error(c, &r);
		catch_end();
		assert_int_equal(rc, rows[i].exit);
		assert_says("no ?[31m??2J way");
		assert_says("/a: bad?");
		assert_says("used by model m");
		cli_reply_done(&r);
	}
	assert_int_equal(CLI_DIFFERS, 8); /* printed in the help: part of the interface */
	assert_int_equal(CLI_UNREACHABLE, 7);
	assert_int_equal(CLI_USAGE, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, tear_down)
	const struct CMUnitTest tests[] = { T(options), T(refused), T(help), cmocka_unit_test(rows_fit),
					    T(exit_statuses) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
