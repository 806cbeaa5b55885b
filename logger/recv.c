/* Frames in, in sequence, from the rings; a worker's message only says when to look. Everything in a ring is hostile until checked; what a
 * worker can harm is its own slot. */
#include <unistd.h>
#include "core/record.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "logger/logger.h"

enum { ACT_MAX = GW_SEG_MAX_FRAMES - 64 }; /* an act with its object before and after, each up to 256 KiB */

bool gw_lg_slot_map(struct gw_logger *l, int slot)
{
	struct gw_lg_slot *s = &l->slots[slot];
	const char *dir = l->start.boot.runtime_dir;

	if (!s->ring && gw_ring_open(dir, slot, &s->ring)) {
		s->ring = NULL;
		return false;
	}
	if ((!s->inflight && gw_inflight_open(dir, slot, &s->inflight)) ||
	    (!s->page && gw_slot_open(dir, slot, false, &s->page))) {
		gw_log_slow(GW_ERROR, "slot %d: its regions cannot be mapped, its records stay in the ring", slot);
		return false;
	}
	return true;
}

void gw_lg_slot_open(struct gw_logger *l, int slot)
{
	struct gw_lg_slot *s = &l->slots[slot];

	if (s->is_owned || !gw_lg_slot_map(l, slot))
		return;
	s->slot = slot;
	atomic_store(&s->ring->owner_pid, (uint32_t)getpid());
	gw_ring_read_start(&s->reader, s->ring, (uint32_t)slot);
	s->seen_at = s->reader.at;
	s->is_owned = true;
}

static bool is_known(const struct gw_lg_slot *s, const struct gw_seg_record *rec)
{
	const struct gw_lg_mark *m = &s->seen.mark;

	return rec->epoch < m->epoch || (rec->epoch == m->epoch && rec->seq <= m->seq);
}

struct gw_lg_epoch *gw_lg_epoch_of(struct gw_lg_slot *s, uint32_t epoch)
{
	struct gw_lg_epoch *e;

	if (epoch == s->seen.mark.epoch)
		return &s->seen;
	for (uint32_t i = 0; i < GW_LG_PRIORS; i++)
		if (s->prior[i].mark.epoch == epoch)
			return &s->prior[i];
	e = &s->prior[s->n_prior++ % GW_LG_PRIORS];
	if (epoch > s->seen.mark.epoch) {
		*e = s->seen;
		e = &s->seen;
	}
	*e = (struct gw_lg_epoch){ .mark = { epoch, 0 } };
	return e;
}

void gw_lg_note(struct gw_lg_slot *s, const struct gw_seg_record *rec, int64_t *cost)
{
	struct gw_lg_epoch *of = gw_lg_epoch_of(s, rec->epoch);
	struct gw_record_peek r;

	if (rec->seq <= of->mark.seq)
		return;
	of->mark.seq = rec->seq;
	if (gw_record_peek(rec->body, &r))
		return;
	if (rec->type == GW_REC_END && cost)
		*cost = r.cost_nanousd;
	if (r.request_id && !r.is_synthetic) /* what the worker itself wrote last tells what it had still to clear */
		memcpy(rec->type == GW_REC_END ? of->last_end : of->last_start, r.request_id, 16);
}

/* Takes a record if it is new; old ones are passed over. False: it cannot be taken now (disk). */
static bool take(struct gw_logger *l, struct gw_lg_slot *s, const struct gw_seg_record *rec)
{
	struct gw_seg_record own = *rec;
	const struct gw_lg_mark *m = &s->seen.mark;
	int64_t cost = 0;

	if (is_known(s, rec) || (rec->type != GW_REC_START && rec->type != GW_REC_END && rec->type != GW_REC_DROPPED))
		return true;
	if (!gw_lg_has_room(l, &l->request, rec->body.n))
		return false;
	if (rec->seq != (rec->epoch == m->epoch ? m->seq + 1 : 1))
		gw_log_slow(GW_ERROR, "slot %d epoch %u: a gap before record %llu", s->slot, rec->epoch,
			    (unsigned long long)rec->seq);
	own.slot = (uint32_t)s->slot;
	gw_lg_note(s, &own, &cost);
	gw_lg_add(l, &l->request, &own, gw_unix_us(), cost);
	s->is_dirty = true;
	return true;
}

/* What a worker writes meanwhile waits for the next time: others have their turn. */
void gw_lg_read_ring(struct gw_logger *l, struct gw_lg_slot *s)
{
	struct gw_seg_record rec;
	uint64_t before, until;

	if (!s->is_owned)
		return;
	until = atomic_load_explicit(&s->ring->head, memory_order_relaxed);
	do {
		before = s->reader.at;
		if (!gw_lg_has_room(l, &l->request, GW_RING_MAX_PAYLOAD) ||
		    !gw_ring_next(&s->reader, &l->scratch, &rec))
			break;
		if (!take(l, s, &rec)) {
			s->reader.at = before;
			break;
		}
	} while (s->reader.at < until);
	if (s->reader.at != s->seen_at) {
		s->seen_at = s->reader.at;
		s->is_dirty = true; /* passed-over frames free their room too */
		if (!l->batch_since_ms)
			l->batch_since_ms = gw_now_ms();
	}
}

void gw_lg_on_records(struct gw_logger *l, const struct gw_msg *m)
{
	if (m->slot < GW_MAX_SLOTS)
		gw_lg_read_ring(l, &l->slots[m->slot]);
}

void gw_lg_poll_rings(struct gw_logger *l, bool is_forced)
{
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_lg_slot *s = &l->slots[i];

		if (!s->is_owned)
			continue;
		uint64_t head = atomic_load_explicit(&s->ring->head, memory_order_acquire);
		if (head != s->reader.at && (is_forced || head == s->idle_head))
			gw_lg_read_ring(l, s);
		s->idle_head = head;
	}
}

bool gw_lg_rings_empty(const struct gw_logger *l)
{
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		const struct gw_lg_slot *s = &l->slots[i];

		if (s->is_owned && atomic_load(&s->ring->head) != atomic_load(&s->ring->tail))
			return false;
	}
	return true;
}

static void refuse_act(struct gw_channel *ch, uint64_t corr, enum gw_err e)
{
	struct gw_msg no = { .type = GW_MSG_AUDITED };

	GW_MSG_SET(&no, corr, corr);
	GW_MSG_SET(&no, status, (uint64_t) - (int64_t)e);
	if (gw_channel_send(ch, &no) != GW_OK)
		gw_log_slow(GW_WARN, "an audit sender does not take its answer; it will ask again");
}

/* Into the batch, in the order of their changes: once one found no room those after it wait too, or it would look known later. */
static bool take_act(struct gw_logger *l, const struct gw_seg_record *rec, bool is_confd)
{
	if (is_confd && rec->seq <= l->confd_seq)
		return true;
	if (is_confd && l->confd_refused && rec->seq > l->confd_refused)
		return false;
	if (!gw_lg_has_room(l, &l->admin_file, rec->body.n)) {
		if (is_confd)
			l->confd_refused = rec->seq;
		return false;
	}
	gw_lg_add(l, &l->admin_file, rec, gw_unix_us(), 0);
	if (is_confd) {
		l->confd_seq = rec->seq;
		l->confd_refused = 0;
	} else {
		l->refused_seq = rec->seq;
	}
	return true;
}

/* An admin act: from confd with the number of its change (known ones are only answered again), from admin numbered here. */
void gw_lg_on_audit(struct gw_logger *l, struct gw_channel *ch, struct gw_msg *m)
{
	bool is_confd = ch == l->confd;
	struct gw_seg_record rec = { .slot = is_confd ? GW_LG_SLOT_CONFD : GW_LG_SLOT_ADMIN,
				     .epoch = is_confd ? 0 : l->start.epoch,
				     .type = GW_REC_ADMIN,
				     .seq = is_confd ? m->corr : l->refused_seq + 1,
				     .body = m->body };

	if (m->body.n > ACT_MAX)
		refuse_act(ch, m->corr, GW_E_TOO_BIG);
	else if (l->n_waits >= GW_LG_WAITS || !take_act(l, &rec, is_confd))
		refuse_act(ch, m->corr, GW_E_BUSY);
	else
		l->waits[l->n_waits++] = (struct gw_lg_wait){ ch, m->corr };
}
