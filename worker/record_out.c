/* START and END on their way out: into the ring, which is the promise; the logger, which takes them from there, is told a few hundred times
 * a second at most. */
#include "lib/sys/clock.h"
#include "worker/req.h"

/* END carries START's fields and these at most; longer free text is cut until it fits what was reserved. */
/* API_EXTRA: a form tells model and user after START. */
enum { END_EXTRA = 2112, API_EXTRA = 512, TELL_AT = 16 /* part of the ring */, TELL_AFTER_MS = 5 };

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

static void tell_logger(struct gw_worker *w)
{
	struct gw_msg m = { .type = GW_MSG_RECORDS };

	GW_MSG_SET(&m, slot, w->slot);
	if (w->logger && gw_channel_send(w->logger, &m) != GW_OK) {
		/* it looks into the ring by itself too */
	}
}

/* The logger is told that the ring has something new, when it is enough or old enough. The records themselves lie in shared memory: no
 * bytes are copied for it, and a call that is lost costs nothing but time. */
void gw_record_flush(struct gw_worker *w, bool is_forced)
{
	uint64_t head = gw_ring_head(&w->ring), now_ms;

	if (head == w->told_head)
		return;
	now_ms = uv_now(&w->loop);
	if (!w->untold_since_ms)
		w->untold_since_ms = now_ms;
	if (!is_forced && head - w->told_head < w->ring.size / TELL_AT && now_ms - w->untold_since_ms < TELL_AFTER_MS)
		return;
	tell_logger(w);
	w->told_head = head;
	w->untold_since_ms = 0;
}
