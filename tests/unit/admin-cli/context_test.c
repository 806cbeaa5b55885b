/* Contexts and the files of a user: made, changed, used, forgotten; which of option, environment and context wins; what is refused. */
#include "tests/unit/admin-cli/capture.h"
#include "admin-cli/home.h"

static struct cli *c;

static int run(const char *line)
{
	static char words[4096];
	const struct cli_command *cmd = NULL;
	char *argv[64], *save = NULL;
	int argc = 0, rc;

	if (c)
		cli_free(c);
	c = cli_new();
	snprintf(words, sizeof words, "llmgwctl %s", line);
	for (char *w = strtok_r(words, " ", &save); w && argc < 63; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	catch_begin();
	rc = cli_parse(argc, argv, c, &cmd);
	if (!rc && strncmp(cmd->words, "context", 7) != 0)
		rc = cli_context_resolve(c);
	else if (!rc)
		rc = cmd->run(c);
	catch_end();
	return rc;
}

static int set_up(void **state)
{
	int rc = make_dir(state);

	setenv("XDG_CONFIG_HOME", test_dir, 1);
	unsetenv("LLMGW_CONTEXT");
	unsetenv("LLMGW_ADMIN_URL");
	unsetenv("LLMGW_ADMIN_TOKEN");
	unsetenv("LLMGW_DATA_DIR");
	unsetenv("LLMGW_URL");
	return rc;
}

static int tear_down(void **state)
{
	cli_free(c);
	c = NULL;
	return drop_dir(state);
}

static const char *file(void)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/llmgw/contexts.yaml", test_dir);
	return path;
}

static void life(void **state)
{
	(void)state;
	struct stat st;

	assert_int_equal(run("context list"), CLI_OK);
	assert_int_equal(run("context set prod --server https://gw:4001 --token-env PROD_TOKEN"), CLI_OK);
	assert_int_equal(stat(file(), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(
	    run("context set test --server http://127.0.0.1:1 --token-file /tmp/t --gateway http://127.0.0.1:2"),
	    CLI_OK);
	assert_int_equal(run("context list --no-headers --field current,name,server"), CLI_OK);
	assert_string_equal(printed, "*  prod  https://gw:4001\n   test  http://127.0.0.1:1\n");
	assert_int_equal(run("status"), CLI_OK); /* the first one is current */
	assert_string_equal(c->o.server, "https://gw:4001");
	assert_string_equal(c->token_env, "PROD_TOKEN");
	assert_true(c->has_own_token);
	assert_int_equal(run("context use test"), CLI_OK);
	assert_int_equal(run("status"), CLI_OK);
	assert_string_equal(c->o.server, "http://127.0.0.1:1");
	assert_string_equal(c->o.token_file, "/tmp/t");
	assert_string_equal(c->o.gateway, "http://127.0.0.1:2");
	assert_int_equal(run("context set test --server http://127.0.0.1:3"), CLI_OK); /* the rest stays */
	assert_int_equal(run("status"), CLI_OK);
	assert_string_equal(c->o.server, "http://127.0.0.1:3");
	assert_string_equal(c->o.token_file, "/tmp/t");
	assert_int_equal(run("context delete test --yes"), CLI_OK);
	assert_int_equal(run("status"), CLI_OK); /* none is current now */
	assert_null(c->o.server);
	assert_int_equal(run("status --context prod"), CLI_OK);
	assert_string_equal(c->o.server, "https://gw:4001");
}

static void who_wins(void **state)
{
	(void)state;
	assert_int_equal(run("context set a --server http://ctx:1 --token-file /ctx"), CLI_OK);
	setenv("LLMGW_ADMIN_URL", "http://env:1", 1);
	setenv("LLMGW_ADMIN_TOKEN", "secret", 1);
	assert_int_equal(run("status"), CLI_OK); /* merely current: the environment wins */
	assert_null(c->o.server);
	assert_null(c->o.token_file);
	assert_int_equal(run("status --context a"), CLI_OK); /* asked for */
	assert_string_equal(c->o.server, "http://ctx:1");
	assert_string_equal(c->o.token_file, "/ctx");
	setenv("LLMGW_CONTEXT", "a", 1);
	assert_int_equal(run("status --server http://opt:1"), CLI_OK); /* an option beats all */
	assert_string_equal(c->o.server, "http://opt:1");
	assert_false(c->has_own_token);
	unsetenv("LLMGW_ADMIN_URL");
	unsetenv("LLMGW_ADMIN_TOKEN");
	unsetenv("LLMGW_CONTEXT");
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(run("context use nowhere"), CLI_NOT_FOUND);
	assert_int_equal(run("context set ../x --server http://a"), CLI_USAGE);
	assert_says("no name for a context");
	assert_int_equal(run("context set x --server ftp://a"), CLI_USAGE);
	assert_int_equal(run("context set production --server http://a:1"), CLI_OK);
	assert_int_equal(run("status --context prodution"), CLI_NOT_FOUND);
	assert_says("did you mean \"production\"?");
	assert_int_equal(run("context delete production"), CLI_USAGE); /* nobody can be asked */
	assert_says("--yes");
	assert_int_equal(chmod(file(), 0644), 0);
	assert_int_equal(run("status"), CLI_FAILED);
	assert_says("chmod 600");
	assert_int_equal(chmod(file(), 0600), 0);
	FILE *f = fopen(file(), "w");
	assert_non_null(f);
	fputs("contexts:\n  - name: [\n", f);
	fclose(f);
	assert_int_equal(run("status"), CLI_INVALID);
	assert_says("line ");
	assert_null(strstr(printed, "secret"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(life), T(who_wins), T(refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
