/* START and END on their way out: into the ring (the promise), and in batches over the socket (the fast way to the logger). */
#include "lib/sys/clock.h"
#include "worker/req.h"

/* END carries START's fields and these at most; longer free text is cut until it fits what was reserved. */
/* API_EXTRA: a form tells model and user after START. */
enum { END_EXTRA = 2112, API_EXTRA = 512, SEND_MAX = 48 << 10, SEND_AT = 16 << 10, SEND_AFTER_MS = 5 };

/* What identifies the request, for when START is longer than an entry of the table. */
static struct gw_str pack_identity(const struct gw_req *r, struct gw_buf *out)
{
	struct gw_record id = { .org = r->rec.org,
				.team = r->rec.team,
				.user = r->rec.user,
				.key = r->rec.key,
				.requested_model = r->rec.requested_model,
				.endpoint = r->rec.endpoint,
				.request_id = r->rec.request_id,
				.ts_start_us = r->rec.ts_start_us,
				.is_stream = r->rec.is_stream,
				.generation = r->rec.generation };

	gw_buf_clear(out, 64 << 10);
	gw_record_pack(&id, true, out);
	if (out->n > GW_INFLIGHT_BODY) {
		id.requested_model = id.endpoint = GW_NIL;
		gw_buf_clear(out, 64 << 10);
		gw_record_pack(&id, true, out);
	}
	return out->n > GW_INFLIGHT_BODY ? GW_NIL : gw_buf_view(out);
}

/* START is packed once: into the table of requests under way, into the ring, and as the first part of END. */
enum gw_err gw_record_start(struct gw_req *r)
{
	struct gw_worker *w = r->w;
	struct gw_buf *b = &w->pack;
	uint64_t seq, start_frame;
	struct gw_str body;

	gw_buf_clear(b, 64 << 10);
	gw_record_pack(&r->rec, true, b);
	body = r->start_record = gw_arena_str(&r->arena, gw_buf_view(b));
	if (b->err || !body.p)
		return GW_E_NOMEM;
	if (body.n > GW_INFLIGHT_BODY)
		body = pack_identity(r, b);
	r->inflight = gw_inflight_take(w->inflight, &w->inflight_free, w->epoch, r->id, r->rec.ts_start_us, body);
	if (r->inflight < 0)
		return GW_E_BUSY;
	body = r->start_record;
	start_frame = gw_ring_frame_bytes((uint32_t)body.n);
	r->reserved_bytes = start_frame + gw_ring_frame_bytes((uint32_t)body.n + END_EXTRA + (r->api ? API_EXTRA : 0));
	if (!gw_ring_reserve(&w->ring, r->reserved_bytes)) {
		gw_inflight_give(w->inflight, &w->inflight_free, r->inflight);
		r->inflight = -1;
		gw_count(&w->page->metric[GW_M_records_refused], 1);
		return GW_E_AUDIT_FULL;
	}
	GW_REQUIRE(gw_ring_put(&w->ring, GW_REC_START, body, &seq) == GW_OK);
	gw_ring_unreserve(&w->ring, start_frame);
	r->reserved_bytes -= start_frame;
	w->inflight->entry[r->inflight].start_seq = seq;
	r->owes_end = true;
	gw_count(&w->page->metric[GW_M_records_started], 1);
	return GW_OK;
}

static void pack_end(struct gw_req *r, struct gw_buf *b)
{
	struct gw_str *const cut[] = { &r->rec.attempt_log, &r->rec.steps_us, &r->rec.error_detail,
				       &r->rec.user_agent,  &r->rec.tags,     &r->rec.dropped };

	gw_buf_clear(b, 64 << 10);
	gw_record_pack_end(&r->rec, r->start_record, b);
	for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
		if (gw_ring_frame_bytes((uint32_t)b->n) <= r->reserved_bytes)
			return;
		*cut[i] = GW_NIL;
		gw_buf_clear(b, 64 << 10);
		gw_record_pack(&r->rec, false, b);
	}
}

void gw_record_end(struct gw_req *r)
{
	struct gw_worker *w = r->w;
	struct gw_buf *b = &w->pack;
	uint64_t seq;

	if (!r->owes_end)
		return;
	r->owes_end = false;
	pack_end(r, b);
#ifdef GW_PLANT_drop_record
	if (r->id[15] % 64 == 0) {
		gw_inflight_give(w->inflight, &w->inflight_free, r->inflight);
		return;
	}
#endif
	GW_REQUIRE(gw_ring_put(&w->ring, GW_REC_END, gw_buf_view(b), &seq) == GW_OK);
	gw_ring_unreserve(&w->ring, r->reserved_bytes);
	gw_inflight_give(w->inflight, &w->inflight_free, r->inflight);
	r->inflight = -1;
	gw_count(&w->page->metric[GW_M_records_ended], 1);
}

/* What was written since the last time goes to the logger as one packet, when it is enough or old enough. Anything that does not
 * fit or is not taken stays in the ring, where the logger finds it by the gap. */
void gw_record_flush(struct gw_worker *w, bool is_forced)
{
	struct gw_str piece[2];
	struct gw_msg m = { .type = GW_MSG_RECORDS };
	uint64_t head, now_ms;

	if (w->sent_seq == w->ring.seq)
		return;
	now_ms = uv_now(&w->loop);
	if (!w->unsent_since_ms)
		w->unsent_since_ms = now_ms;
	head = gw_ring_since(&w->ring, w->sent_head, piece);
	if (!is_forced && head - w->sent_head < SEND_AT && now_ms - w->unsent_since_ms < SEND_AFTER_MS)
		return;
	if (w->logger && !piece[1].n && piece[0].n <= SEND_MAX) {
		GW_MSG_SET(&m, slot, w->slot);
		GW_MSG_SET(&m, epoch, w->epoch);
		GW_MSG_SET(&m, first_seq, w->sent_seq + 1);
		GW_MSG_SET(&m, last_seq, w->ring.seq);
		GW_MSG_SET(&m, count, head);
		GW_MSG_SET(&m, body, piece[0]);
		if (gw_channel_send(w->logger, &m) != GW_OK) {
			/* the ring has it */
		}
	}
	w->sent_head = head;
	w->sent_seq = w->ring.seq;
	w->unsent_since_ms = 0;
}
