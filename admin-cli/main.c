/* llmgwctl: finds the command, runs it. */
#include <stdio.h>
#include "admin-cli/cli.h"
#include "lib/crypto.h"
#include "lib/yaml.h"

/* These ask no gateway, so a broken or missing context does not matter to them. */
static bool is_local(const struct cli_command *cmd)
{
	static cli_run_fn *const local[] = { cli_cmd_context_list, cli_cmd_context_use,
					     cli_cmd_context_set,  cli_cmd_context_delete,
					     cli_cmd_completion,   cli_cmd_explain,
					     cli_cmd_doc,          cli_cmd_help,
					     cli_cmd_version };

	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
		if (cmd->run == local[i])
			return true;
	return false;
}

static int run(struct cli *c, const struct cli_command *cmd)
{
	int rc = is_local(cmd) ? CLI_OK : cli_context_resolve(c);

	if (rc)
		return rc;
	if (gw_crypto_init()) {
		cli_error("cannot initialise cryptography");
		return CLI_FAILED;
	}
	cli_client_start();
	rc = cmd->run(c);
	cli_client_end();
	if (fflush(stdout) != 0 && rc == CLI_OK)
		rc = CLI_FAILED;
	return rc;
}

int main(int argc, char **argv)
{
	static struct cli c;
	const struct cli_command *cmd = NULL;
	int rc;

	gw_arena_init(&c.arena, c.block, sizeof c.block, 256 << 20);
	if (argc > 1 && strcmp(argv[1], "__complete") == 0)
		return cli_complete(&c, argc - 2, argv + 2);
	cli_say_start(argc, argv);
	rc = cli_parse(argc, argv, &c, &cmd);
	if (rc == CLI_OK && cmd) {
		cli_say_options(&c);
		rc = run(&c, cmd);
	}
	rc = cli_say_end(rc);
	gw_yaml_pos_free(c.pos);
	gw_arena_done(&c.arena);
	return rc;
}
