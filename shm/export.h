#pragma once
#include <stdatomic.h>
#include "shm/region.h"

/* What the exporter says of itself: one writer (the exporter), read by admin. Rows: schemas/export_metrics.def. */
enum gw_export_metric {
#define GW_XMETRIC(name, type, unit, doc) GW_X_##name,
#include "schemas/export_metrics.def"
#undef GW_XMETRIC
	GW_X_COUNT
};
enum gw_export_state {
	GW_EXPORT_STARTING, /* stands by, or another exporter still holds the index */
	GW_EXPORT_CATCHING_UP,
	GW_EXPORT_CURRENT, /* all that is durable is in the index */
	GW_EXPORT_WAITING, /* cannot write (disk full, no rights); tries again. detail says why */
	GW_EXPORT_STATES
};
enum { GW_EXPORT_DETAIL = 192 };
struct gw_export_row {
	const char *name;
	bool is_counter;
	const char *unit, *doc;
};
extern const struct gw_export_row gw_export_rows[GW_X_COUNT];

struct gw_export {
	struct gw_region_head head;
	_Atomic uint64_t state;
	_Atomic uint64_t beat_ns; /* when the words below were last written */
	_Atomic uint64_t seq; /* odd while detail is being written */
	_Atomic uint64_t metric[GW_X_COUNT];
	char detail[GW_EXPORT_DETAIL];
};
GW_MUST enum gw_err gw_export_open(const char *dir, bool may_make, struct gw_export **out);
const char *gw_export_state_name(uint64_t s);
void gw_export_say(struct gw_export *x, struct gw_str detail);
/* The words, whole, of one moment; "" while a writer is in the middle of them. */
void gw_export_detail(const struct gw_export *x, char out[GW_EXPORT_DETAIL]);
