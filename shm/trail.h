#pragma once
#include "shm/export.h"

/* What the logger says of the segment files: one writer (the logger that retires them), read by admin. Rows: schemas/trail_metrics.def. */
enum gw_trail_metric {
#define GW_XMETRIC(name, type, unit, doc) GW_T_##name,
#include "schemas/trail_metrics.def"
#undef GW_XMETRIC
	GW_T_COUNT
};
extern const struct gw_export_row gw_trail_rows[GW_T_COUNT];

struct gw_trail {
	struct gw_region_head head;
	_Atomic uint64_t metric[GW_T_COUNT];
};
GW_MUST enum gw_err gw_trail_open(const char *dir, bool may_make, struct gw_trail **out);
static inline void gw_trail_set(struct gw_trail *t, enum gw_trail_metric m, uint64_t v)
{
	if (t)
		atomic_store_explicit(&t->metric[m], v, memory_order_relaxed);
}
static inline void gw_trail_add(struct gw_trail *t, enum gw_trail_metric m, uint64_t v)
{
	if (t)
		atomic_fetch_add_explicit(&t->metric[m], v, memory_order_relaxed);
}
