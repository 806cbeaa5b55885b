#pragma once
#include <stdatomic.h>
#include "shm/region.h"

/* A worker slot's own page and counters. It belongs to the worker NUMBER: counters go on when the process is replaced.
 * One writer per word (the worker of that slot); readers sum over slots. Rows in schemas/metrics.def. */
enum gw_metric { /* plain metrics of a slot */
#define GW_METRIC(name, type, unit, doc) GW_M_##name,
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
		 GW_M_COUNT
};
enum gw_metric_hist {
#define GW_METRIC(name, type, unit, doc)
#define GW_METRIC_HIST(name, unit, doc) GW_MH_##name,
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
	GW_MH_COUNT
};
enum gw_labelled {
#define GW_METRIC(name, type, unit, doc)
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc) GW_L_##name,
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
	GW_L_COUNT
};
enum gw_labelled_hist {
#define GW_METRIC(name, type, unit, doc)
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc) GW_LH_##name,
#include "schemas/metrics.def"
	GW_LH_COUNT
};
/* Prometheus buckets, not cumulative here: bucket i holds values <= 2^(6+i) us, from 64 us to 2^28 (268 s); the last is
 * +Inf; sum beside. */
enum { GW_HIST_BUCKETS = 24, GW_HIST_FIRST_BIT = 6 };
struct gw_shm_hist {
	_Atomic uint64_t count, sum; /* sum in the metric's unit (us) */
	_Atomic uint64_t bucket[GW_HIST_BUCKETS];
};
/* One combination of configured ids. `labels` is ready Prometheus text: model="..",provider="..",deployment="..",org="..",team="..". */
enum { GW_CELLS = 2048, GW_CELL_LABEL_BYTES = 232, GW_SLOT_ERRORS = 128 };
struct gw_cell {
	_Alignas(64) _Atomic uint64_t key; /* hash of the labels, 0 = free; set last */
	char labels[GW_CELL_LABEL_BYTES];
	_Atomic uint64_t counter[GW_L_COUNT];
	struct gw_shm_hist hist[GW_LH_COUNT];
};
struct gw_slot {
	struct gw_region_head head;
	_Atomic uint64_t beat_ns; /* monotonic; every loop turn, at least each GW_BEAT_MS */
	_Atomic uint32_t pid, epoch;
	_Atomic uint64_t generation; /* the worker serves */
	_Atomic uint32_t is_ready, is_draining;
	_Atomic uint64_t cpu_ns; /* refreshed once a second */
	_Alignas(64) char panic[512]; /* text of the last crash; NUL-terminated */
	_Atomic uint64_t panic_at_us; /* Unix time, 0 = never */
	char panic_context[64];
	_Alignas(64) _Atomic uint64_t metric[GW_M_COUNT];
	struct gw_shm_hist hist[GW_MH_COUNT];
	_Atomic uint64_t errors[GW_SLOT_ERRORS]; /* by code - GW_E_BASE_ of schemas/errors.def: gw_slot_error_index */
	_Atomic uint32_t n_cells;
	struct gw_cell overflow; /* when all cells are taken: labels model="other",... */
	struct gw_cell cells[GW_CELLS];
};
_Static_assert(offsetof(struct gw_slot, beat_ns) == 64, "the beat has its own line");
_Static_assert(offsetof(struct gw_slot, panic) == 128 && offsetof(struct gw_slot, metric) % 64 == 0,
	       "cache-line groups");
_Static_assert(offsetof(struct gw_slot, cells) % 64 == 0 && sizeof(struct gw_cell) % 64 == 0, "cells begin on a line");
_Static_assert(sizeof(struct gw_shm_hist) == 8 * (2 + GW_HIST_BUCKETS), "no hidden padding");
GW_MUST enum gw_err gw_slot_make(const char *dir, int slot, struct gw_slot **out);
GW_MUST enum gw_err gw_slot_open(const char *dir, int slot, bool is_writable, struct gw_slot **out);
/* Owner, at its start: pid and epoch of the new process; gauges (connections, leases ...) of the dead one become 0. */
void gw_slot_start(struct gw_slot *s, uint32_t pid, uint32_t epoch);
unsigned gw_slot_error_index(enum gw_err e); /* 0 for a code outside the table */

/* Owner side: relaxed load + store, no locked instruction. */
static inline void gw_count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void gw_gauge(_Atomic uint64_t *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}
void gw_observe(struct gw_shm_hist *h, uint64_t us);
/* The cell for these ids, made when new; the overflow cell when full. Never NULL. Label values are escaped and cut. */
struct gw_cell_ids {
	struct gw_str model, provider, deployment, org, team;
};
struct gw_cell *gw_slot_cell(struct gw_slot *s, const struct gw_cell_ids *ids);
