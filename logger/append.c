/* The batch onto the disk: one block, one write, one fdatasync; only then the rings' tails move and audit senders are answered. A failed
 * write or sync is final for that file (the kernel may have dropped the pages): its batch goes into a new one. */
#include <errno.h>
#include <unistd.h>
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "logger/logger.h"

enum { BATCH_BYTES = 256 << 10, CHECKPOINT_BLOCKS = 1000, FRAME_HEAD = 64 };
#define CHECKPOINT_US (60LL * 1000000)

static void note_span(struct gw_seg_span *spans, uint32_t *n, const struct gw_seg_span *add)
{
	for (uint32_t i = 0; i < *n; i++) {
		struct gw_seg_span *s = &spans[i];

		if (s->slot == add->slot && s->epoch == add->epoch) {
			s->last_seq = add->last_seq;
			return;
		}
	}
	if (*n < GW_LG_SPANS)
		spans[(*n)++] = *add;
}

/* Costs come from workers: a sum that cannot be stays at the end of the range. */
static int64_t add_cost(int64_t sum, int64_t cost)
{
	int64_t out;

	if (__builtin_add_overflow(sum, cost, &out))
		return cost > 0 ? INT64_MAX : INT64_MIN;
	return out;
}

void gw_lg_add(struct gw_logger *l, struct gw_lg_file *f, const struct gw_seg_record *rec, int64_t ts_us, int64_t cost)
{
	if (!f->n_frames)
		f->first_us = ts_us;
	f->last_us = ts_us;
	gw_seg_frame(&f->frames, rec);
	f->n_frames++;
	f->batch_cost = add_cost(f->batch_cost, cost);
	note_span(f->batch_spans, &f->n_batch_spans,
		  &(struct gw_seg_span){ rec->slot, rec->epoch, rec->seq, rec->seq });
	if (!l->batch_since_ms)
		l->batch_since_ms = gw_now_ms();
}

bool gw_lg_has_room(struct gw_logger *l, struct gw_lg_file *f, size_t body_bytes)
{
	if (f->frames.n + body_bytes + FRAME_HEAD <= GW_SEG_MAX_FRAMES && f->n_batch_spans < GW_LG_SPANS)
		return true;
	return gw_lg_flush(l);
}

static bool write_all_at(struct gw_lg_file *f, struct gw_str s)
{
	uint64_t at = f->offset;

	while (s.n) {
		ssize_t n = pwrite(f->fd, s.p, s.n, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = gw_str_skip(s, (size_t)n);
		at += (uint64_t)n;
	}
	return fdatasync(f->fd) == 0;
}

/* By itself, after the blocks that it covers are durable: a checkpoint that survives a power cut without them would look like tampering. */
static void add_checkpoint(struct gw_logger *l, struct gw_lg_file *f)
{
	struct gw_seg_writer chain = f->chain;
	int64_t now = gw_unix_us();

	if (f->blocks_since_checkpoint < CHECKPOINT_BLOCKS && now - f->checkpoint_us < CHECKPOINT_US)
		return;
	gw_buf_clear(&f->out, 1 << 20);
	if (gw_seg_checkpoint(&chain, false, f->spans, f->n_spans, f->spend_nanousd, f->n_records, l->signer,
			      &f->out) != GW_OK)
		return;
	f->blocks_since_checkpoint = 0;
	f->checkpoint_us = now;
	if (!write_all_at(f, gw_buf_view(&f->out))) {
		gw_lg_file_abandon(f);
		return;
	}
	f->chain = chain;
	f->offset += gw_buf_len(&f->out);
	gw_buf_clear(&f->out, 1 << 20);
}

/* The batch is durable in this file. */
static void count_batch(struct gw_lg_file *f)
{
	f->n_records += f->n_frames;
	f->spend_nanousd = add_cost(f->spend_nanousd, f->batch_cost);
	for (uint32_t i = 0; i < f->n_batch_spans; i++)
		note_span(f->spans, &f->n_spans, &f->batch_spans[i]);
	f->batch_cost = 0;
	f->n_frames = f->n_batch_spans = 0;
	gw_buf_clear(&f->frames, GW_SEG_MAX_BLOCK);
	gw_buf_clear(&f->out, 1 << 20);
}

/* One file's batch. False: nothing of it counts; it stays in `frames`. */
static bool flush_file(struct gw_logger *l, struct gw_lg_file *f)
{
	if (!f->n_frames)
		return true;
	if (!gw_lg_file_ready(l, f))
		return false;
	struct gw_seg_writer chain = f->chain;
	gw_buf_clear(&f->out, 1 << 20);
	gw_seg_block(&chain, gw_buf_view(&f->frames), f->n_frames, f->first_us, f->last_us, &f->out);
	f->blocks_since_checkpoint++;
	if (f->out.err || !write_all_at(f, gw_buf_view(&f->out))) {
		gw_log_slow(GW_ERROR, "writing records failed (%s): another segment is begun", strerror(errno));
		if (errno == ENOSPC || errno == EDQUOT)
			gw_lg_release_reserve(l);
		gw_lg_file_abandon(f);
		l->retry_at_ms = gw_now_ms() + 100;
		return false;
	}
	f->chain = chain;
	f->offset += gw_buf_len(&f->out);
	count_batch(f);
	add_checkpoint(l, f);
	return true;
}

static void advance_tails(struct gw_logger *l)
{
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_lg_slot *s = &l->slots[i];

		if (!s->is_dirty)
			continue;
		s->is_dirty = false;
		gw_ring_advance(&s->reader, s->seen.mark.epoch, s->seen.mark.seq);
	}
}

static void answer_waits(struct gw_logger *l)
{
	for (uint32_t i = 0; i < l->n_waits; i++) {
		struct gw_msg m = { .type = GW_MSG_AUDITED };

		if (!l->waits[i].ch)
			continue;
		GW_MSG_SET(&m, corr, l->waits[i].corr);
		GW_MSG_SET(&m, status, 0);
		if (gw_channel_send(l->waits[i].ch, &m) != GW_OK)
			gw_log_slow(GW_WARN, "an audit sender does not take its answer; it will ask again");
	}
	l->n_waits = 0;
}

bool gw_lg_flush(struct gw_logger *l)
{
	bool request = flush_file(l, &l->request), admin = flush_file(l, &l->admin_file);

	l->flushed_ms = gw_now_ms();

	if (request)
		advance_tails(l);
	if (admin)
		answer_waits(l);
	if (request && admin)
		l->batch_since_ms = 0;
	return request && admin;
}

bool gw_lg_is_due(const struct gw_logger *l)
{
	if (l->n_waits)
		return true; /* a repeated question adds nothing to a batch and still wants its answer */
	if (!l->batch_since_ms)
		return false;
	uint64_t now = gw_now_ms();

	/* Workers have waited before they told: after a quiet time nothing is gained by waiting once more. */
	return l->request.frames.n >= BATCH_BYTES || l->admin_file.n_frames ||
	       now - l->batch_since_ms >= GW_LG_BATCH_MS || now - l->flushed_ms >= GW_LG_BATCH_MS;
}
