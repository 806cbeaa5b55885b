/* The logger's page about the segment files: made by the logger, read by admin for status and /metrics. */
#include "shm/trail.h"
#include <stdio.h>

const struct gw_export_row gw_trail_rows[GW_T_COUNT] = {
#define COUNTER                           true
#define GAUGE                             false
#define GW_XMETRIC(name, type, unit, doc) { #name, type, unit, doc },
#include "schemas/trail_metrics.def"
#undef GW_XMETRIC
#undef COUNTER
#undef GAUGE
};

enum gw_err gw_trail_open(const char *dir, bool may_make, struct gw_trail **out)
{
	char path[256], text[64];
	struct gw_map map;
	bool was_there;
	int n = snprintf(text, sizeof text, "trail 1 %zu %d", sizeof(struct gw_trail), GW_T_COUNT);
	uint64_t layout = gw_layout_hash(text, (size_t)n);
	enum gw_err e = gw_region_path(path, dir, "trail", -1);

	if (!e && may_make)
		e = gw_region_make(path, "trail", layout, sizeof(struct gw_trail), true, &was_there, &map);
	else if (!e)
		e = gw_region_open(path, "trail", layout, false, &map);
	if (!e)
		*out = map.p;
	return e;
}
