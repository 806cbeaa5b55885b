/* Only in the program of tests/plant: see failpoint.h. */
#include "confd/failpoint.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static char folder[4096];

void gw_failpoint_dir(const char *data_dir)
{
	snprintf(folder, sizeof(folder), "%s", data_dir);
}

bool gw_failpoint_hit(const char *name)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/failpoint.%s", folder, name);
	return folder[0] != '\0' && unlink(path) == 0;
}

void gw_failpoint(const char *name)
{
	if (gw_failpoint_hit(name))
		kill(getpid(), SIGKILL);
}
