/* Sums over the worker slots. Everything is read with relaxed loads while the workers count on: a sum is of no exact
 * moment, but no counter ever goes back. */
#include "shm/counters_read.h"
#include <stdlib.h>
#include "lib/sys/map.h"

#define COUNTER GW_COUNTER
#define GAUGE   GW_GAUGE
#define LEAST   GW_LEAST
const struct gw_metric_row gw_metric_rows[GW_M_COUNT] = {
#define GW_METRIC(name, type, unit, doc) { #name, unit, doc, type },
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
};
const struct gw_metric_row gw_metric_hist_rows[GW_MH_COUNT] = {
#define GW_METRIC(name, type, unit, doc)
#define GW_METRIC_HIST(name, unit, doc) { #name, unit, doc, GW_HISTOGRAM },
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
};
const struct gw_metric_row gw_labelled_rows[GW_L_COUNT] = {
#define GW_METRIC(name, type, unit, doc)
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc) { #name, unit, doc, type },
#define GW_LABELLED_HIST(name, unit, doc)
#include "schemas/metrics.def"
};
const struct gw_metric_row gw_labelled_hist_rows[GW_LH_COUNT] = {
#define GW_METRIC(name, type, unit, doc)
#define GW_METRIC_HIST(name, unit, doc)
#define GW_LABELLED(name, type, unit, doc)
#define GW_LABELLED_HIST(name, unit, doc) { #name, unit, doc, GW_HISTOGRAM },
#include "schemas/metrics.def"
};

struct gw_cells {
	uint32_t max, n;
	uint32_t index_mask;
	uint32_t *index; /* open addressing over `cell`: number + 1, 0 = free; at least twice as many as cells */
	struct gw_cell_sum *cell; /* max + 1: the last place is for "other" */
};

unsigned gw_slots_open(struct gw_slots *s, const char *dir)
{
	unsigned n = 0;

	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_slot *slot;

		if (!s->slot[i] && gw_slot_open(dir, i, false, &slot) == GW_OK)
			s->slot[i] = slot;
		n += s->slot[i] != NULL;
	}
	return n;
}

void gw_slots_close(struct gw_slots *s)
{
	for (unsigned i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_map map = { (void *)(uintptr_t)s->slot[i], sizeof(struct gw_slot) };

		if (s->slot[i])
			gw_unmap(&map);
		s->slot[i] = NULL;
	}
}

static uint64_t load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

uint64_t gw_slots_sum(const struct gw_slots *s, enum gw_metric m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < GW_MAX_SLOTS; i++) {
		if (!s->slot[i] || (gw_metric_rows[m].type != GW_COUNTER && !s->is_live[i]))
			continue;
		uint64_t v = load(&s->slot[i]->metric[m]);

		if (gw_metric_rows[m].type != GW_LEAST)
			sum += v;
		else if (v && (!sum || v < sum))
			sum = v;
	}
	return sum;
}

uint64_t gw_slots_errors(const struct gw_slots *s, enum gw_err e)
{
	unsigned index = gw_slot_error_index(e);
	uint64_t sum = 0;

	for (unsigned i = 0; i < GW_MAX_SLOTS; i++)
		sum += s->slot[i] ? load(&s->slot[i]->errors[index]) : 0;
	return sum;
}

/* While adding up, buckets are plain; finish_hist makes them cumulative. */
static void add_hist(struct gw_hist_sum *to, const struct gw_shm_hist *from)
{
	to->sum += load(&from->sum);
	for (unsigned i = 0; i < GW_HIST_BUCKETS; i++)
		to->bucket[i] += load(&from->bucket[i]);
}

/* The count is that of the buckets: the worker's own may be one ahead or behind, and Prometheus wants them equal. */
static void finish_hist(struct gw_hist_sum *h)
{
	for (unsigned i = 1; i < GW_HIST_BUCKETS; i++)
		h->bucket[i] += h->bucket[i - 1];
	h->count = h->bucket[GW_HIST_BUCKETS - 1];
}

void gw_slots_hist(const struct gw_slots *s, enum gw_metric_hist h, struct gw_hist_sum *out)
{
	*out = (struct gw_hist_sum){ 0 };
	for (unsigned i = 0; i < GW_MAX_SLOTS; i++) {
		if (s->slot[i])
			add_hist(out, &s->slot[i]->hist[h]);
	}
	finish_hist(out);
}

uint64_t gw_hist_bound_us(unsigned i)
{
	return i < GW_HIST_BUCKETS - 1 ? 1ULL << (GW_HIST_FIRST_BIT + i) : UINT64_MAX;
}

enum gw_err gw_cells_new(uint32_t max, struct gw_cells **out)
{
	struct gw_cells *c;
	uint32_t n_index = 64;

	if (max == 0 || max > GW_MAX_SLOTS * GW_CELLS)
		return GW_E_INVALID;
	while (n_index < 2 * max)
		n_index *= 2;
	c = calloc(1, sizeof(*c));
	if (!c)
		return GW_E_NOMEM;
	c->max = max;
	c->index_mask = n_index - 1;
	c->index = calloc(n_index, sizeof(*c->index));
	c->cell = calloc((size_t)max + 1, sizeof(*c->cell));
	if (!c->index || !c->cell) {
		gw_cells_free(c);
		return GW_E_NOMEM;
	}
	*out = c;
	return GW_OK;
}

void gw_cells_free(struct gw_cells *c)
{
	if (!c)
		return;
	free(c->index);
	free(c->cell);
	free(c);
}

/* A copy of the labels if they are what gw_slot_cell writes: name="value" pairs, comma-separated, no control bytes.
 * A worker that was taken over could otherwise write lines of its own into /metrics. */
static bool copy_labels(char out[GW_CELL_LABEL_BYTES], const char *from)
{
	bool is_inside = false, is_escaped = false;
	size_t n;

	memcpy(out, from, GW_CELL_LABEL_BYTES);
	for (n = 0; n < GW_CELL_LABEL_BYTES && out[n]; n++) {
		char c = out[n];

		if ((uint8_t)c < 0x20 || c == 0x7f)
			return false;
		if (is_escaped) {
			is_escaped = false;
		} else if (c == '\\') {
			is_escaped = is_inside;
		} else if (c == '"') {
			is_inside = !is_inside;
		} else if (!is_inside && !(c == ',' || c == '=' || c == '_' || (c >= 'a' && c <= 'z'))) {
			return false;
		}
	}
	return n > 0 && n < GW_CELL_LABEL_BYTES && !is_inside && out[n - 1] == '"' && gw_str_is_utf8(gw_str(out, n));
}

/* The merged cell of these labels; when all places are taken, the last one, for "other". */
static struct gw_cell_sum *place(struct gw_cells *c, uint64_t key, const char labels[GW_CELL_LABEL_BYTES])
{
	for (uint32_t i = 0;; i++) {
		uint32_t *slot = &c->index[(key + i) & c->index_mask];
		struct gw_cell_sum *cell = *slot ? &c->cell[*slot - 1] : NULL;

		if (cell && cell->key == key && strcmp(cell->labels, labels) == 0)
			return cell;
		if (cell)
			continue;
		if (c->n >= c->max)
			return NULL;
		cell = &c->cell[c->n++];
		*slot = c->n;
		*cell = (struct gw_cell_sum){ .key = key };
		memcpy(cell->labels, labels, GW_CELL_LABEL_BYTES);
		return cell;
	}
}

static void add_cell(struct gw_cells *c, const struct gw_cell *from, struct gw_cell_sum *other, bool is_overflow)
{
	char labels[GW_CELL_LABEL_BYTES];
	struct gw_cell_sum *to = other;
	uint64_t any = 0;

	if (!is_overflow) {
		if (!copy_labels(labels, from->labels))
			return;
		to = place(c, gw_layout_hash(labels, strlen(labels)), labels);
		to = to ? to : other;
	}
	for (unsigned i = 0; i < GW_L_COUNT; i++) {
		to->counter[i] += load(&from->counter[i]);
		any |= to->counter[i];
	}
	for (unsigned i = 0; i < GW_LH_COUNT; i++) {
		add_hist(&to->hist[i], &from->hist[i]);
		any |= to->hist[i].sum;
	}
	if (to == other && any)
		other->key = 1;
}

static int by_labels(const void *a, const void *b)
{
	return strcmp(((const struct gw_cell_sum *)a)->labels, ((const struct gw_cell_sum *)b)->labels);
}

uint32_t gw_cells_gather(struct gw_cells *c, const struct gw_slots *s)
{
	static const struct gw_cell_sum empty = {
		.labels = "model=\"other\",provider=\"other\",deployment=\"other\",org=\"other\",team=\"other\"",
	};
	struct gw_cell_sum *other = &c->cell[c->max];

	memset(c->index, 0, sizeof(*c->index) * ((size_t)c->index_mask + 1));
	c->n = 0;
	*other = empty;
	for (unsigned i = 0; i < GW_MAX_SLOTS; i++) {
		const struct gw_slot *slot = s->slot[i];

		if (!slot)
			continue;
		add_cell(c, &slot->overflow, other, true);
		for (uint32_t k = 0; k < GW_CELLS; k++) {
			if (atomic_load_explicit(&slot->cells[k].key, memory_order_acquire))
				add_cell(c, &slot->cells[k], other, false);
		}
	}
	if (other->key)
		c->cell[c->n++] = *other;
	for (uint32_t i = 0; i < c->n; i++) {
		for (unsigned h = 0; h < GW_LH_COUNT; h++)
			finish_hist(&c->cell[i].hist[h]);
	}
	if (c->n)
		qsort(c->cell, c->n, sizeof(*c->cell), by_labels);
	return c->n;
}

const struct gw_cell_sum *gw_cells_at(const struct gw_cells *c, uint32_t i)
{
	GW_REQUIRE(i < c->n);
	return &c->cell[i];
}
