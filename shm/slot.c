/* A worker slot's page: beat, last panic, counters. The worker of the slot writes, everybody reads. */
#include "shm/slot.h"
#include <stdio.h>

/* The rows are part of the layout: another binary with other metrics has another page. */
static uint64_t layout(void)
{
	static const char rows[] =
#define GW_METRIC(name, type, unit, doc)   #name " " #type "\n"
#define GW_METRIC_HIST(name, unit, doc)    #name " hist\n"
#define GW_LABELLED(name, type, unit, doc) #name " labelled\n"
#define GW_LABELLED_HIST(name, unit, doc)  #name " labelled hist\n"
#include "schemas/metrics.def"
#define GW_ERROR(name, http, type, code, retry, cools, doc) #name "\n"
#include "schemas/errors.def"
#undef GW_ERROR
	    ;
	uint64_t sizes[] = { 1,        sizeof(struct gw_slot), sizeof(struct gw_cell),
			     GW_CELLS, GW_HIST_BUCKETS,        GW_HIST_FIRST_BIT };

	return gw_layout_hash(rows, sizeof(rows) - 1) ^ gw_layout_hash((const char *)sizes, sizeof(sizes));
}

enum gw_err gw_slot_make(const char *dir, int slot, struct gw_slot **out)
{
	static const char other[] =
	    "model=\"other\",provider=\"other\",deployment=\"other\",org=\"other\",team=\"other\"";
	char path[256];
	struct gw_map map;
	bool was_there;
	struct gw_slot *s;
	enum gw_err e = gw_region_path(path, dir, "slot", slot);

	_Static_assert(sizeof(other) <= GW_CELL_LABEL_BYTES, "fits");
	if (!e)
		e = gw_region_make(path, "slot", layout(), sizeof(struct gw_slot), true, &was_there, &map);
	if (e)
		return e;
	s = map.p;
	memcpy(s->overflow.labels, other, sizeof(other));
	atomic_store_explicit(&s->overflow.key, 1, memory_order_release);
	*out = s;
	return GW_OK;
}

enum gw_err gw_slot_open(const char *dir, int slot, bool is_writable, struct gw_slot **out)
{
	char path[256];
	struct gw_map map;
	enum gw_err e = gw_region_path(path, dir, "slot", slot);

	if (!e)
		e = gw_region_open(path, "slot", layout(), is_writable, &map);
	if (!e)
		*out = map.p;
	return e;
}

void gw_slot_start(struct gw_slot *s, uint32_t pid, uint32_t epoch)
{
	enum { COUNTER, GAUGE, LEAST };
	static const uint8_t type[GW_M_COUNT] = {
#define GW_METRIC(name, type, unit, doc) [GW_M_##name] = type,
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
	};

	uint32_t n_cells = 0;

	/* The dead one may have counted a cell that it did not come to make. No cell counted: none made, and no page is touched. */
	for (unsigned i = 0; i < GW_CELLS && atomic_load_explicit(&s->n_cells, memory_order_relaxed); i++)
		n_cells += atomic_load_explicit(&s->cells[i].key, memory_order_relaxed) != 0;
	atomic_store_explicit(&s->n_cells, n_cells, memory_order_relaxed);
	for (unsigned i = 0; i < GW_M_COUNT; i++) {
		if (type[i] != COUNTER)
			gw_gauge(&s->metric[i], 0);
	}
	atomic_store_explicit(&s->is_ready, 0, memory_order_relaxed);
	atomic_store_explicit(&s->is_draining, 0, memory_order_relaxed);
	atomic_store_explicit(&s->generation, 0, memory_order_relaxed);
	atomic_store_explicit(&s->cpu_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&s->epoch, epoch, memory_order_relaxed);
	atomic_store_explicit(&s->pid, pid, memory_order_release);
}

unsigned gw_slot_error_index(enum gw_err e)
{
	_Static_assert(GW_E_END_ - GW_E_BASE_ <= GW_SLOT_ERRORS, "every code has a word");
	return e > GW_E_BASE_ && e < GW_E_END_ ? (unsigned)(e - GW_E_BASE_) : 0;
}

void gw_observe(struct gw_shm_hist *h, uint64_t us)
{
	unsigned i = 0;

	if (us > (1u << GW_HIST_FIRST_BIT))
		i = 64 - (unsigned)__builtin_clzll(us - 1) - GW_HIST_FIRST_BIT;
	if (i > GW_HIST_BUCKETS - 1)
		i = GW_HIST_BUCKETS - 1;
	gw_count(&h->bucket[i], 1);
	gw_count(&h->sum, us);
	gw_count(&h->count, 1);
}
