/* What a dead worker left: its ring is read to the head, then every request that has a START and no END gets one (worker_crashed), and its
 * in-flight entry is cleared. Only the logger does this, once per (slot, epoch).
 *
 * The worker's order is: entry, START in the ring, start_seq in the entry ... END in the ring, entry cleared. So an entry without start_seq has a
 * START only if it is the last one of the ring, and an entry has an END only if that is the last END of the ring: one worker has one thread. */
#include <stdio.h>
#include <unistd.h>
#include "core/record.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "logger/logger.h"

enum { DEAD_AFTER_MS = 6000 };

static bool ended_before(const struct gw_logger *l, uint32_t n, const uint8_t id[16])
{
	for (uint32_t i = 0; i < n; i++)
		if (memcmp(l->ended_ids[i], id, 16) == 0)
			return true;
	return false;
}

static void remember(struct gw_logger *l, const uint8_t id[16])
{
	if (l->n_ended_ids == GW_LG_IDS)
		l->n_ended_ids = 0; /* entries are cleared within the same second: old ids have served */
	memcpy(l->ended_ids[l->n_ended_ids++], id, 16);
}

/* n_ended: ids remembered before this pass, in which each entry is seen once. */
static bool owes_end(const struct gw_logger *l, uint32_t n_ended, const struct gw_lg_epoch *of,
		     const struct gw_inflight_entry *e, uint32_t epoch)
{
	if (e->epoch != epoch)
		return false;
	if (!e->start_seq && memcmp(of->last_start, e->request_id, 16) != 0)
		return false;
	if (memcmp(of->last_end, e->request_id, 16) == 0)
		return false;
	return !ended_before(l, n_ended, e->request_id);
}

static bool write_end(struct gw_logger *l, struct gw_lg_slot *s, const struct gw_inflight_entry *e,
		      struct gw_lg_mark *at)
{
	struct gw_record r = { 0 };
	int64_t now = gw_unix_us();

	if (!gw_lg_has_room(l, &l->request, GW_RECORD_MAX_BYTES))
		return false;
	if (gw_record_unpack(gw_str((const char *)e->body, e->body_bytes), &r))
		r = (struct gw_record){ 0 };
	r.request_id = e->request_id;
	r.ts_start_us = e->started_us;
	r.worker = (uint64_t)s->slot;
	r.error = gw_str_z(gw_err_info(GW_E_WORKER_CRASHED)->name);
	r.total_us = now > e->started_us ? (uint64_t)(now - e->started_us) : 0;
	r.bytes_out = e->sent_bytes;
	r.usage_source = GW_LIT("none");
	r.is_synthetic = true;
	gw_buf_clear(&l->pack, 64 << 10);
	gw_record_pack(&r, false, &l->pack);
	struct gw_seg_record rec = { .slot = (uint32_t)s->slot,
				     .epoch = at->epoch,
				     .type = GW_REC_END,
				     .seq = ++at->seq,
				     .body = gw_buf_view(&l->pack) };
	gw_lg_add(l, &l->request, &rec, now, 0);
	remember(l, e->request_id);
	return true;
}

/* How far that epoch came. When nobody remembers, the START records that its entries name were there at least. */
static struct gw_lg_epoch *come_to(struct gw_lg_slot *s, uint32_t epoch)
{
	struct gw_lg_epoch *of = gw_lg_epoch_of(s, epoch);
	struct gw_inflight_entry e;

	if (of->mark.seq)
		return of;
	for (uint32_t i = 0; i < gw_inflight_end(s->inflight); i++)
		if (gw_inflight_read(s->inflight, i, &e) && e.epoch == epoch && e.start_seq > of->mark.seq)
			of->mark.seq = e.start_seq;
	return of;
}

void gw_lg_recover(struct gw_logger *l, struct gw_lg_slot *s, uint32_t dead_epoch)
{
	struct gw_lg_epoch *of;
	uint32_t n = 0, n_ended = l->n_ended_ids;

	if (!s->is_owned)
		return;
	gw_lg_read_ring(l, s);
	of = come_to(s, dead_epoch);
	for (uint32_t i = 0; i < gw_inflight_end(s->inflight); i++) {
		struct gw_inflight_entry e;

		if (!gw_inflight_read(s->inflight, i, &e) || !owes_end(l, n_ended, of, &e, dead_epoch))
			continue;
		if (!write_end(l, s, &e, &of->mark))
			return; /* disk: the next look finds the rest */
		n++;
	}
	s->is_dirty = true;
	if (!gw_lg_flush(l))
		return;
	for (uint32_t i = 0; i < gw_inflight_end(s->inflight); i++)
		gw_inflight_clear(s->inflight, i, dead_epoch);
	s->gone_epoch = 0;
	s->looked_epoch = 0; /* an epoch before it may wait too */
	if (n)
		gw_log(GW_WARN, "worker slot %d epoch %u died with %u requests under way: each has its END", s->slot,
		       dead_epoch, n);
}

bool gw_lg_has_entries(const struct gw_lg_slot *s)
{
	for (uint32_t i = 0; i < gw_inflight_end(s->inflight); i++)
		if (atomic_load_explicit(&s->inflight->entry[i].state, memory_order_acquire) == 1)
			return true;
	return false;
}

/* Silent, and its process is no more: a worker that was only stopped may go on, and its requests are its own. */
static bool is_dead(const struct gw_lg_slot *s, uint64_t now)
{
	uint64_t beat = atomic_load(&s->page->beat_ns);
	char path[32];

	if (now <= beat || now - beat <= DEAD_AFTER_MS * 1000000ULL)
		return false;
	snprintf(path, sizeof path, "/proc/%u", atomic_load(&s->page->pid));
	return access(path, F_OK) != 0;
}

/* An epoch among the entries that cannot be alive: lower than the live one, or the live one when its worker is dead. */
static uint32_t dead_epoch_of(const struct gw_lg_slot *s, uint32_t live, bool is_stale)
{
	for (uint32_t i = 0; i < gw_inflight_end(s->inflight); i++) {
		const struct gw_inflight_entry *e = &s->inflight->entry[i];

		if (atomic_load_explicit(&e->state, memory_order_acquire) == 1 &&
		    (e->epoch < live || (e->epoch == live && is_stale)))
			return e->epoch;
	}
	return 0;
}

void gw_lg_look_for_dead(struct gw_logger *l)
{
	uint64_t now = gw_now_ns();

	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_lg_slot *s = &l->slots[i];

		if (!s->is_owned)
			continue;
		uint32_t live = atomic_load(&s->page->epoch), dead = s->gone_epoch;
		bool is_stale = is_dead(s, now);

		/* The table is large: it is read when a worker died, began, or fell silent, not each time. */
		if (!dead && live == s->looked_epoch && is_stale == s->looked_stale)
			continue;
		if (!dead)
			dead = dead_epoch_of(s, live, is_stale);
		if (dead) {
			gw_lg_recover(l, s, dead);
		} else {
			s->looked_epoch = live;
			s->looked_stale = is_stale;
		}
	}
}
