/* The exporter's page: made by the exporter, read by admin for status and /metrics. */
#include "shm/export.h"
#include <stdio.h>

const struct gw_export_row gw_export_rows[GW_X_COUNT] = {
#define COUNTER                           true
#define GAUGE                             false
#define GW_XMETRIC(name, type, unit, doc) { #name, type, unit, doc },
#include "schemas/export_metrics.def"
#undef GW_XMETRIC
#undef COUNTER
#undef GAUGE
};

static uint64_t layout(void)
{
	char text[64];
	int n = snprintf(text, sizeof text, "exporter 1 %zu %d", sizeof(struct gw_export), GW_X_COUNT);

	return gw_layout_hash(text, (size_t)n);
}

enum gw_err gw_export_open(const char *dir, bool may_make, struct gw_export **out)
{
	char path[256];
	struct gw_map map;
	bool was_there;
	enum gw_err e = gw_region_path(path, dir, "exporter", -1);

	if (!e && may_make)
		e = gw_region_make(path, "exporter", layout(), sizeof(struct gw_export), true, &was_there, &map);
	else if (!e)
		e = gw_region_open(path, "exporter", layout(), false, &map);
	if (!e)
		*out = map.p;
	return e;
}

const char *gw_export_state_name(uint64_t s)
{
	static const char *const names[GW_EXPORT_STATES] = { "starting", "catching_up", "current", "waiting" };

	return s < GW_EXPORT_STATES ? names[s] : "unknown";
}

void gw_export_say(struct gw_export *x, struct gw_str s)
{
	uint64_t seq = atomic_load_explicit(&x->seq, memory_order_relaxed) | 1;
	size_t n = s.n < GW_EXPORT_DETAIL - 1 ? s.n : GW_EXPORT_DETAIL - 1;

	atomic_store_explicit(&x->seq, seq, memory_order_relaxed);
	for (size_t i = 0; i < GW_EXPORT_DETAIL; i++)
		__atomic_store_n(&x->detail[i], i < n ? s.p[i] : 0, __ATOMIC_RELEASE);
	atomic_store_explicit(&x->seq, seq + 1, memory_order_release);
}

void gw_export_detail(const struct gw_export *x, char out[GW_EXPORT_DETAIL])
{
	for (unsigned tries = 0; tries < 100; tries++) {
		uint64_t seq = atomic_load_explicit(&x->seq, memory_order_acquire);

		for (size_t i = 0; i < GW_EXPORT_DETAIL; i++)
			out[i] = __atomic_load_n(&x->detail[i], __ATOMIC_ACQUIRE);
		out[GW_EXPORT_DETAIL - 1] = 0;
		if (!(seq & 1) && atomic_load_explicit(&x->seq, memory_order_relaxed) == seq)
			return;
	}
	memset(out, 0, GW_EXPORT_DETAIL);
}
