#pragma once
#include "shm/slot.h"

/* Reading the counters of all worker slots: sums over slots, labelled cells merged by their labels. For /metrics and
 * status, which print from the rows below and need not know how a slot is laid out. Slots are read-only here, and what
 * a worker wrote into its own is not trusted: labels are checked before anybody prints them. */
enum gw_metric_type { GW_COUNTER, GW_GAUGE, GW_HISTOGRAM, GW_LEAST };
struct gw_metric_row {
	const char *name, *unit, *doc;
	enum gw_metric_type type;
};
extern const struct gw_metric_row gw_metric_rows[GW_M_COUNT];
extern const struct gw_metric_row gw_metric_hist_rows[GW_MH_COUNT];
extern const struct gw_metric_row gw_labelled_rows[GW_L_COUNT];
extern const struct gw_metric_row gw_labelled_hist_rows[GW_LH_COUNT];

/* The slots of this process; entries may be NULL. A slot whose worker is not alive keeps its counters, but its gauges
 * (open connections ...) are not counted. */
struct gw_slots {
	const struct gw_slot *slot[GW_MAX_SLOTS];
	bool is_live[GW_MAX_SLOTS];
};
/* Opens what exists and is not open yet, read-only; a slot file that was replaced by one of another layout is left out.
 * Returns how many are open. */
unsigned gw_slots_open(struct gw_slots *s, const char *dir);
void gw_slots_close(struct gw_slots *s);

uint64_t gw_slots_sum(const struct gw_slots *s, enum gw_metric m);
uint64_t gw_slots_errors(const struct gw_slots *s, enum gw_err e);

struct gw_hist_sum {
	uint64_t count, sum;
	uint64_t bucket[GW_HIST_BUCKETS]; /* cumulative; the last is +Inf and equals count */
};
void gw_slots_hist(const struct gw_slots *s, enum gw_metric_hist h, struct gw_hist_sum *out);
/* Upper bound of bucket i in us; the last is +Inf (UINT64_MAX). */
uint64_t gw_hist_bound_us(unsigned i);

/* Labelled cells of all slots, equal labels added up, sorted by labels. `max` cells at most (made once, at start-up);
 * what does not fit is added to one cell "other". Cells are valid until the next gather. */
struct gw_cell_sum {
	char labels[GW_CELL_LABEL_BYTES]; /* checked Prometheus text without braces, NUL-terminated */
	uint64_t key;
	uint64_t counter[GW_L_COUNT];
	struct gw_hist_sum hist[GW_LH_COUNT];
};
struct gw_cells;
GW_MUST enum gw_err gw_cells_new(uint32_t max, struct gw_cells **out);
void gw_cells_free(struct gw_cells *c); /* accepts NULL */
uint32_t gw_cells_gather(struct gw_cells *c, const struct gw_slots *s);
const struct gw_cell_sum *gw_cells_at(const struct gw_cells *c, uint32_t i);
