/* Verdicts about deployments, one writer (the agent). Open addressing like the revocation table: a cell in use never
 * moves, a forgotten one leaves a tombstone (key 1) that becomes free when the next cell is free. */
#include "shm/health.h"
#include <stdio.h>
#include <stdlib.h>

enum { FREE = 0, GRAVE = 1, MASK = GW_HEALTH_CELLS - 1, MAX_TAKEN = GW_HEALTH_CELLS / 4 * 3 };

static uint64_t layout(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "health 2 %zu %d %d", sizeof(struct gw_health), GW_HEALTH_CELLS,
			 GW_HEALTH_DETAIL);

	return gw_layout_hash(text, (size_t)n);
}

enum gw_err gw_health_open(const char *dir, bool may_make, bool is_writable, struct gw_health **out)
{
	char path[256];
	struct gw_map map;
	bool was_there;
	enum gw_err e = gw_region_path(path, dir, "health", -1);

	if (!e && may_make)
		e = gw_region_make(path, "health", layout(), sizeof(struct gw_health), true, &was_there, &map);
	else if (!e)
		e = gw_region_open(path, "health", layout(), is_writable, &map);
	if (!e)
		*out = map.p;
	return e;
}

uint64_t gw_health_key(struct gw_str deployment_id, uint64_t version)
{
	uint64_t h = gw_layout_hash(deployment_id.p, deployment_id.n) ^ (version * 0x9e3779b97f4a7c15ULL);

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	return h > GRAVE ? h : h + 2;
}

static uint64_t load_key(const struct gw_health *h, uint32_t i)
{
	return atomic_load_explicit(&h->cell[i & MASK].key, memory_order_acquire);
}

static void store_key(struct gw_health *h, uint32_t i, uint64_t key)
{
	atomic_store_explicit(&h->cell[i & MASK].key, key, memory_order_release);
}

const struct gw_health_cell *gw_health_get(const struct gw_health *h, uint64_t key)
{
	uint32_t at = (uint32_t)key;

	if (key <= GRAVE)
		return NULL;
	for (uint32_t i = 0; i < GW_HEALTH_CELLS; i++) {
		uint64_t k = load_key(h, at + i);

		if (k == key)
			return &h->cell[(at + i) & MASK];
		if (k == FREE)
			return NULL;
	}
	return NULL;
}

/* The key's cell, or the one it shall have; NULL when the table is too full. Only the writer asks. */
static struct gw_health_cell *cell_for(struct gw_health *h, uint64_t key)
{
	uint32_t at = (uint32_t)key;
	struct gw_health_cell *found = (struct gw_health_cell *)(uintptr_t)gw_health_get(h, key);

	if (found)
		return found;
	if (atomic_load_explicit(&h->n_taken, memory_order_relaxed) >= MAX_TAKEN)
		return NULL;
	for (uint32_t i = 0; i < GW_HEALTH_CELLS; i++) {
		if (load_key(h, at + i) <= GRAVE)
			return &h->cell[(at + i) & MASK];
	}
	return NULL;
}

/* The words are read by others while they change: byte by byte, each atomic, under the cell's seq. */
static void put_detail(struct gw_health_cell *c, struct gw_str s)
{
	size_t n = s.n < GW_HEALTH_DETAIL - 1 ? s.n : GW_HEALTH_DETAIL - 1;

	for (size_t i = 0; i < GW_HEALTH_DETAIL; i++)
		__atomic_store_n(&c->detail[i], i < n ? s.p[i] : 0, __ATOMIC_RELEASE);
}

void gw_health_detail(const struct gw_health_cell *c, char out[GW_HEALTH_DETAIL])
{
	/* A writer that died in the middle leaves seq odd until the next one has probed, so the tries are counted. */
	for (unsigned tries = 0; tries < 100; tries++) {
		uint32_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);

		for (size_t i = 0; i < GW_HEALTH_DETAIL; i++)
			out[i] = __atomic_load_n(&c->detail[i], __ATOMIC_ACQUIRE);
		out[GW_HEALTH_DETAIL - 1] = 0;
		if (!(seq & 1) && atomic_load_explicit(&c->seq, memory_order_relaxed) == seq)
			return;
	}
	memset(out, 0, GW_HEALTH_DETAIL);
}

enum gw_err gw_health_set(struct gw_health *h, uint64_t key, enum gw_verdict v, enum gw_err why, uint64_t latency_us,
			  uint64_t now_ns, int64_t now_us, struct gw_str detail)
{
	struct gw_health_cell *c;
	uint32_t seq;
	bool is_new;

	GW_REQUIRE(key > GRAVE);
	c = cell_for(h, key);
	if (!c)
		return GW_E_NO_SPACE;
	is_new = atomic_load_explicit(&c->key, memory_order_relaxed) != key;
	seq = atomic_load_explicit(&c->seq, memory_order_relaxed) | 1;
	atomic_store_explicit(&c->seq, seq, memory_order_relaxed);
	put_detail(c, detail);
	if (is_new || atomic_load_explicit(&c->verdict, memory_order_relaxed) != v)
		atomic_store_explicit(&c->changed_us, (uint64_t)now_us, memory_order_relaxed);
	atomic_store_explicit(&c->error, (uint32_t)-why, memory_order_relaxed);
	atomic_store_explicit(&c->latency_us, latency_us, memory_order_relaxed);
	atomic_store_explicit(&c->checked_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&c->verdict, v, memory_order_release);
	atomic_store_explicit(&c->seq, seq + 1, memory_order_release);
	if (is_new) { /* counted first: an agent that dies in between has counted one too many, which the next keep sets right */
		atomic_store_explicit(&h->n_taken, atomic_load_explicit(&h->n_taken, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		atomic_store_explicit(&c->key, key, memory_order_release);
	}
	return GW_OK;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void gw_health_keep(struct gw_health *h, const uint64_t *keys, size_t n)
{
	uint32_t n_taken = 0;

	/* All that were counted are to be kept: nothing to forget, and the table's pages need not be touched. */
	for (size_t i = 0; i < n; i++)
		n_taken += gw_health_get(h, keys[i]) != NULL;
	if (n_taken == atomic_load_explicit(&h->n_taken, memory_order_relaxed))
		return;
	n_taken = 0;
	for (uint32_t i = 0; i < GW_HEALTH_CELLS; i++) {
		uint64_t k = load_key(h, i);

		if (k > GRAVE && !(n && bsearch(&k, keys, n, sizeof(*keys), by_value)))
			store_key(h, i, GRAVE);
		else
			n_taken += k > GRAVE;
	}
	atomic_store_explicit(&h->n_taken, n_taken, memory_order_relaxed);
	for (uint32_t i = 2 * GW_HEALTH_CELLS; i-- > 0;) {
		if (load_key(h, i) == GRAVE && load_key(h, i + 1) == FREE)
			store_key(h, i, FREE);
	}
}
