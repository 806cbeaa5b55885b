/* The one program: every process of the gateway is this file, started again with the name of its role. Without a role name
 * it is the master, which starts all others. */
#include <stdio.h>
#include <string.h>

#include "lib/sys/role.h"

static const struct {
	const char *name;
	int (*run)(void);
} roles[] = {
	{ "confd", gw_confd_main },   { "admin", gw_admin_main }, { "worker", gw_worker_main },
	{ "logger", gw_logger_main }, { "agent", gw_agent_main }, { "exporter", gw_exporter_main },
};

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit wants ptrace, which kills a process in our sandbox. Leaks are for the unit tests to find. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(argv[1], roles[i].name) == 0)
			return roles[i].run();
	if (argc >= 2 && strcmp(argv[1], "takeover") == 0) {
		argv[1] = argv[0];
		return gw_master_takeover_main(argc - 1, argv + 1);
	}
	if (argc >= 2 && strcmp(argv[1], "restore") == 0) {
		argv[1] = argv[0];
		return gw_confd_restore_main(argc - 1, argv + 1);
	}
	return gw_master_main(argc, argv);
}
