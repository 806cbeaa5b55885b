/* The set of changed keys: open addressing, rebuilt when something is dropped. The index is a keyed hash, so its own bytes
 * are as good as any hash of it. */
#include "confd/delta.h"

#include <stdlib.h>
#include <string.h>

static size_t start_of(const uint8_t index[32])
{
	return ((size_t)index[1] | (size_t)index[2] << 8) % GW_DELTA_CELLS;
}

void gw_delta_add(struct gw_delta *d, const uint8_t index[32], uint64_t generation)
{
	size_t i = start_of(index);

	while (d->cell[i].is_used && memcmp(d->cell[i].index, index, 32) != 0)
		i = (i + 1) % GW_DELTA_CELLS;
	if (!d->cell[i].is_used && d->n >= GW_DELTA_MAX) {
		d->overflow = generation > d->overflow ? generation : d->overflow;
		return;
	}
	d->n += !d->cell[i].is_used;
	d->cell[i].is_used = true;
	memcpy(d->cell[i].index, index, 32);
	d->cell[i].generation = generation;
}

void gw_delta_drop(struct gw_delta *d, int shard, uint64_t generation)
{
	static struct gw_delta_cell kept[GW_DELTA_MAX]; /* one thread drops */
	size_t n = 0;

	for (size_t i = 0; i < GW_DELTA_CELLS; i++) {
		struct gw_delta_cell *c = &d->cell[i];
		bool is_other = shard >= 0 && (c->index[0] & (GW_KEY_SHARDS - 1)) != shard;

		if (c->is_used && (is_other || c->generation > generation))
			kept[n++] = *c;
		c->is_used = false;
	}
	d->n = 0;
	for (size_t i = 0; i < n; i++)
		gw_delta_add(d, kept[i].index, kept[i].generation);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

size_t gw_delta_sorted(const struct gw_delta *d, uint8_t (*out)[32])
{
	size_t n = 0;

	for (size_t i = 0; i < GW_DELTA_CELLS; i++) {
		if (d->cell[i].is_used)
			memcpy(out[n++], d->cell[i].index, 32);
	}
	qsort(out, n, 32, by_bytes);
	return n;
}

size_t gw_delta_of_shard(const struct gw_delta *d, unsigned shard)
{
	size_t n = 0;

	for (size_t i = 0; i < GW_DELTA_CELLS; i++)
		n += d->cell[i].is_used && (d->cell[i].index[0] & (GW_KEY_SHARDS - 1)) == shard;
	return n;
}
