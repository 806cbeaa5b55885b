#pragma once
#include "admin-cli/cli.h"

/* Files of this user: contexts and open transactions. All 0600 in folders 0700; what others could have changed is refused. */

/* ~/.config/llmgw/<name> ($XDG_CONFIG_HOME), ~/.local/state/llmgw/<name> ($XDG_STATE_HOME). NULL and said: no home. */
enum cli_home { CLI_HOME_CONFIG, CLI_HOME_STATE };
const char *cli_home_path(struct cli *c, enum cli_home which, const char *name);
/* CLI_NOT_FOUND (nothing said) when there is none; refuses what others may read or write. */
int cli_home_read(const char *path, struct gw_buf *out);
/* Makes the folder when it is not there. */
int cli_home_write(const char *path, struct gw_str text);
