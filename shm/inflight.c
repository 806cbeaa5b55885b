/* Requests under way in one worker slot. The worker writes and frees its own entries; what a killed worker left stays
 * used until the logger has written the END records and clears it. So an entry has one writer at each moment:
 * the live epoch's worker for its own, the logger for a dead epoch's. */
#include "shm/inflight.h"
#include <stdio.h>

enum { RESCAN_EVERY = 256 }; /* failed takes between two looks at entries that the logger may have cleared */

static uint64_t layout(void)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "inflight 2 %zu %zu %d", sizeof(struct gw_inflight),
			 sizeof(struct gw_inflight_entry), GW_INFLIGHT_ENTRIES);

	return gw_layout_hash(text, (size_t)n);
}

enum gw_err gw_inflight_make(const char *dir, int slot)
{
	char path[256];
	struct gw_map map;
	bool was_there;
	enum gw_err e = gw_region_path(path, dir, "inflight", slot);

	/* Never replaced: what a dead worker left here is owed END records. */
	if (!e)
		e = gw_region_make(path, "inflight", layout(), sizeof(struct gw_inflight), false, &was_there, &map);
	if (!e)
		gw_unmap(&map);
	return e;
}

enum gw_err gw_inflight_open(const char *dir, int slot, struct gw_inflight **out)
{
	char path[256];
	struct gw_map map;
	enum gw_err e = gw_region_path(path, dir, "inflight", slot);

	if (!e)
		e = gw_region_open(path, "inflight", layout(), true, &map);
	if (!e)
		*out = map.p;
	return e;
}

uint32_t gw_inflight_end(const struct gw_inflight *t)
{
	uint32_t n = atomic_load_explicit(&t->n_ever, memory_order_acquire);

	return n < GW_INFLIGHT_ENTRIES ? n : GW_INFLIGHT_ENTRIES;
}

static bool is_used(const struct gw_inflight_entry *e)
{
	return atomic_load_explicit(&e->state, memory_order_acquire) != 0;
}

void gw_inflight_start(struct gw_inflight_free *f, const struct gw_inflight *t, uint32_t live_epoch)
{
	f->n = f->n_stale = f->n_failed = 0; /* not the list: 64 KiB that most workers never need */
	f->epoch = live_epoch;
	/* Downwards, so that entry 0 is taken first and the hot ones stay together. */
	for (uint32_t i = gw_inflight_end(t); i-- > 0;) {
		if (is_used(&t->entry[i]))
			f->n_stale++;
		else
			f->list[f->n++] = i;
	}
}

/* The private list is empty: every entry of ours is used, so a free one must have been cleared by the logger. */
static void find_cleared(const struct gw_inflight *t, struct gw_inflight_free *f)
{
	if (f->n_stale == 0 || f->n_failed++ % RESCAN_EVERY != 0)
		return;
	for (uint32_t i = 0; i < gw_inflight_end(t) && f->n_stale > 0; i++) {
		if (is_used(&t->entry[i]))
			continue;
		f->list[f->n++] = i;
		f->n_stale--;
	}
}

/* An entry that was used before, or the first untouched one: so the table has only as many pages as requests were ever under way. */
static bool pick(struct gw_inflight *t, struct gw_inflight_free *f, uint32_t *i)
{
	uint32_t end = gw_inflight_end(t);

	if (f->n == 0 && end < GW_INFLIGHT_ENTRIES) {
		atomic_store_explicit(&t->n_ever, end + 1, memory_order_release); /* before the entry counts */
		*i = end;
		return true;
	}
	if (f->n == 0)
		find_cleared(t, f);
	if (f->n == 0)
		return false;
	f->n_failed = 0;
	*i = f->list[--f->n];
	return true;
}

int gw_inflight_take(struct gw_inflight *t, struct gw_inflight_free *f, uint32_t epoch, const uint8_t request_id[16],
		     int64_t started_us, struct gw_str body)
{
	struct gw_inflight_entry *e;
	uint32_t i;

	GW_REQUIRE(epoch == f->epoch);
	if (body.n > GW_INFLIGHT_BODY || !pick(t, f, &i))
		return -1;
	e = &t->entry[i];
	e->epoch = epoch;
	memcpy(e->request_id, request_id, sizeof(e->request_id));
	e->start_seq = 0;
	e->started_us = started_us;
	e->body_bytes = (uint32_t)body.n;
	if (body.n)
		memcpy(e->body, body.p, body.n);
	atomic_store_explicit(&e->sent_bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&e->state, 1, memory_order_release); /* from here on the entry counts */
	atomic_store_explicit(&t->n_used, atomic_load_explicit(&t->n_used, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return (int)i;
}

void gw_inflight_give(struct gw_inflight *t, struct gw_inflight_free *f, int index)
{
	struct gw_inflight_entry *e;

	GW_REQUIRE(index >= 0 && index < GW_INFLIGHT_ENTRIES && f->n < GW_INFLIGHT_ENTRIES);
	e = &t->entry[index];
	GW_REQUIRE(is_used(e) && e->epoch == f->epoch);
	atomic_store_explicit(&e->state, 0, memory_order_release);
	atomic_store_explicit(&t->n_used, atomic_load_explicit(&t->n_used, memory_order_relaxed) - 1,
			      memory_order_relaxed);
	f->list[f->n++] = (uint32_t)index;
}

bool gw_inflight_read(const struct gw_inflight *t, uint32_t i, struct gw_inflight_entry *copy)
{
	const struct gw_inflight_entry *e;

	GW_REQUIRE(i < GW_INFLIGHT_ENTRIES);
	e = &t->entry[i];
	if (!is_used(e))
		return false;
	memcpy(copy, e, sizeof(*copy));
	if (copy->body_bytes > GW_INFLIGHT_BODY)
		copy->body_bytes = 0; /* a body of impossible length is no body */
	return true;
}

void gw_inflight_clear(struct gw_inflight *t, uint32_t i, uint32_t dead_epoch)
{
	struct gw_inflight_entry *e;

	GW_REQUIRE(i < GW_INFLIGHT_ENTRIES);
	e = &t->entry[i];
	if (is_used(e) && e->epoch == dead_epoch)
		atomic_store_explicit(&e->state, 0, memory_order_release);
}
