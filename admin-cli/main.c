/* llmgwctl: finds the command, runs it. */
#include <stdio.h>
#include "admin-cli/cli.h"
#include "lib/crypto.h"
#include "lib/yaml.h"

int main(int argc, char **argv)
{
	static struct cli c;
	const struct cli_command *cmd = NULL;
	int rc;

	gw_arena_init(&c.arena, c.block, sizeof c.block, 256 << 20);
	rc = cli_parse(argc, argv, &c, &cmd);
	if (rc != CLI_OK || !cmd)
		return rc;
	if (gw_crypto_init()) {
		cli_error("cannot initialise cryptography");
		return CLI_FAILED;
	}
	cli_client_start();
	rc = cmd->run(&c);
	cli_client_end();
	gw_yaml_pos_free(c.pos);
	gw_arena_done(&c.arena);
	if (fflush(stdout) != 0 && rc == CLI_OK)
		rc = CLI_FAILED;
	return rc;
}
