/* The set of revoked hashes. Open addressing with linear probing; see the header for why members never move.
 *
 *   cell: 0 = free (ends a probe) | 1 = tombstone | else a member
 *   For every member m at p: no cell between home(m) and p is free. Freeing a cell needs a free next cell, so it can
 *   never cut a member's path. */
#include "shm/revoke.h"
#include <stdio.h>
#include <stdlib.h>

enum { FREE = 0, GRAVE = 1, MASK = GW_REVOKE_CELLS - 1, MAX_TAKEN = GW_REVOKE_CELLS / 4 * 3 };

#define NOWHERE UINT32_MAX

static uint64_t layout(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "revoke 1 %zu %d", sizeof(struct gw_revoke), GW_REVOKE_CELLS);

	return gw_layout_hash(text, (size_t)n);
}

enum gw_err gw_revoke_open(const char *dir, bool may_make, bool is_writable, struct gw_revoke **out)
{
	char path[256];
	struct gw_map map;
	bool was_there;
	enum gw_err e = gw_region_path(path, dir, "revoke", -1);

	if (!e && may_make)
		e = gw_region_make(path, "revoke", layout(), sizeof(struct gw_revoke), true, &was_there, &map);
	else if (!e)
		e = gw_region_open(path, "revoke", layout(), is_writable, &map);
	if (!e)
		*out = map.p;
	return e;
}

static uint64_t load(const struct gw_revoke *r, uint32_t i)
{
	return atomic_load_explicit(&r->cell[i & MASK], memory_order_acquire);
}

static void store(struct gw_revoke *r, uint32_t i, uint64_t v)
{
	atomic_store_explicit(&r->cell[i & MASK], v, memory_order_release);
}

/* 0 and 1 mean something else in a cell. */
static uint64_t member(uint64_t hash)
{
	return hash > GRAVE ? hash : hash + 2;
}

static uint32_t home(uint64_t m)
{
	return (uint32_t)((m * 0x9e3779b97f4a7c15ULL) >> 48);
}

bool gw_revoke_has(const struct gw_revoke *r, uint64_t hash)
{
	uint64_t m = member(hash);
	uint32_t at = home(m);

	for (uint32_t i = 0; i < GW_REVOKE_CELLS; i++) {
		uint64_t c = load(r, at + i);

		if (c == m)
			return true;
		if (c == FREE)
			return false;
	}
	return false;
}

enum gw_err gw_revoke_add(struct gw_revoke *r, uint64_t hash)
{
	uint64_t m = member(hash), n = atomic_load_explicit(&r->n, memory_order_relaxed);
	uint32_t at = home(m), grave = NOWHERE;

	for (uint32_t i = 0; i < GW_REVOKE_CELLS; i++) {
		uint64_t c = load(r, at + i);

		if (c == m)
			return GW_OK;
		if (c == GRAVE && grave == NOWHERE)
			grave = at + i;
		if (c != FREE)
			continue;
		if (grave == NOWHERE)
			grave = at + i;
		break;
	}
	if (n >= MAX_TAKEN || grave == NOWHERE)
		return GW_E_NO_SPACE;
	store(r, grave, m);
	atomic_store_explicit(&r->n, n + 1, memory_order_relaxed);
	return GW_OK;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Everything that is not in the list dies; graves before a free cell become free, so go downwards, twice round. */
static uint64_t bury(struct gw_revoke *r, const uint64_t *keep, size_t n)
{
	uint64_t left = 0;

	for (uint32_t i = 0; i < GW_REVOKE_CELLS; i++) {
		uint64_t c = load(r, i);

		if (c <= GRAVE)
			continue;
		if (n && bsearch(&c, keep, n, sizeof(*keep), by_value))
			left++;
		else
			store(r, i, GRAVE);
	}
	for (uint32_t i = 2 * GW_REVOKE_CELLS; i-- > 0;) {
		if (load(r, i) == GRAVE && load(r, i + 1) == FREE)
			store(r, i, FREE);
	}
	return left;
}

void gw_revoke_reset(struct gw_revoke *r, const uint64_t *hashes, size_t n)
{
	static uint64_t sorted[MAX_TAKEN]; /* confd has one thread that revokes */
	uint64_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed) | 1;

	atomic_store_explicit(&r->seq, seq, memory_order_release);
	if (n <= MAX_TAKEN) {
		for (size_t i = 0; i < n; i++)
			sorted[i] = member(hashes[i]);
		if (n)
			qsort(sorted, n, sizeof(sorted[0]), by_value);
		atomic_store_explicit(&r->n, bury(r, sorted, n), memory_order_relaxed);
	}
	for (size_t i = 0; i < n; i++) {
		if (gw_revoke_add(r, hashes[i]) != GW_OK)
			break;
	}
	atomic_store_explicit(&r->seq, seq + 1, memory_order_release);
}
