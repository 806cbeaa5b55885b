/* Names that every process shares: the roles, and where the shared files lie below the runtime folder. */
#include "shm/heritage.h"
#include <stdio.h>

static const char *const role_names[GW_ROLE_COUNT] = {
	[GW_ROLE_MASTER] = "master",     [GW_ROLE_CONFD] = "confd",   [GW_ROLE_ADMIN] = "admin",
	[GW_ROLE_WORKER] = "worker",     [GW_ROLE_LOGGER] = "logger", [GW_ROLE_AGENT] = "agent",
	[GW_ROLE_EXPORTER] = "exporter",
};

const char *gw_role_name(enum gw_role r)
{
	return (unsigned)r < GW_ROLE_COUNT ? role_names[r] : "?";
}

bool gw_role_by_name(struct gw_str s, enum gw_role *out)
{
	for (unsigned i = 0; i < GW_ROLE_COUNT; i++) {
		if (!gw_str_eq(s, gw_str_z(role_names[i])))
			continue;
		*out = (enum gw_role)i;
		return true;
	}
	return false;
}

enum gw_err gw_region_path(char out[256], const char *dir, const char *name, int slot)
{
	char path[256];
	int n = slot < 0 ? snprintf(path, sizeof(path), "%s/%s", dir, name)
			 : snprintf(path, sizeof(path), "%s/%s.%d", dir, name, slot);

	if (n < 0 || (size_t)n >= sizeof(path))
		return GW_E_TOO_BIG;
	memcpy(out, path, (size_t)n + 1);
	return GW_OK;
}
