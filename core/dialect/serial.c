/* One block at a time (serial.h). */
#include "core/dialect/serial.h"

static void block_done(struct gw_serial_block *b)
{
	gw_buf_done(&b->words);
	gw_buf_done(&b->held);
	gw_buf_done(&b->signature);
}

void gw_serial_done(struct gw_serial *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		block_done(&s->held[i]);
	s->n = 0;
}

static struct gw_str keep(struct gw_buf *b, size_t off, size_t n)
{
	return n ? gw_str(b->p + off, n) : GW_NIL;
}

static enum gw_err hold_start(struct gw_serial *s, const struct ir_event *ev)
{
	struct gw_serial_block *b;

	if (!s->held)
		s->held = GW_NEW_N(s->a, struct gw_serial_block, GW_SERIAL_BLOCKS);
	if (!s->held)
		return GW_E_NOMEM;
	if (s->n == GW_SERIAL_BLOCKS)
		return GW_E_UP_TOO_BIG;
	if (s->n == 0)
		s->first = ev->block;
	if (ev->block != s->first + s->n)
		return GW_E_UP_GARBLED; /* a reader numbers its blocks without gaps */
	b = &s->held[s->n++];
	*b = (struct gw_serial_block){ .start = ev->start };
	gw_buf_init(&b->words, 64 << 10);
	gw_buf_init(&b->held, GW_SERIAL_BYTES);
	gw_buf_init(&b->signature, GW_SERIAL_BYTES);
	gw_buf_puts(&b->words, ev->start.id);
	gw_buf_puts(&b->words, ev->start.name);
	b->start.id = keep(&b->words, 0, ev->start.id.n);
	b->start.name = keep(&b->words, ev->start.id.n, ev->start.name.n);
	gw_buf_puts(&b->signature, ev->start.signature);
	b->start.signature = gw_buf_view(&b->signature);
	/* what lies in the event's own memory cannot wait; blocks that carry it come whole and first in all dialects */
	b->start.citations = NULL;
	b->start.content = NULL;
	b->start.extra = NULL;
	b->start.other = NULL;
	b->start.media = (struct ir_media){ 0 };
	return b->words.err || b->signature.err ? GW_E_UP_TOO_BIG : GW_OK;
}

static enum gw_err hold_delta(struct gw_serial *s, const struct ir_event *ev)
{
	struct gw_serial_block *b = &s->held[ev->block - s->first];
	bool is_signature = ev->delta == IR_DELTA_SIGNATURE;

	if (ev->delta == IR_DELTA_CITATION)
		return GW_OK; /* belongs to a text that others overtook: the text counts */
	s->bytes += ev->text.n;
	if (s->bytes > GW_SERIAL_BYTES)
		return GW_E_UP_TOO_BIG;
	gw_buf_puts(is_signature ? &b->signature : &b->held, ev->text);
	if (is_signature) {
		b->has_signature = true;
		b->signature_of = ev->signature_of;
	}
	return b->held.err || b->signature.err ? GW_E_NOMEM : GW_OK;
}

/* The first of the held blocks passes now; *is_stopped when it is already over. */
static enum gw_err let_go(struct gw_serial *s, ir_event_fn *fn, void *ctx, bool *is_stopped)
{
	struct gw_serial_block *b = &s->held[0];
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .block = s->first, .start = b->start };
	enum gw_err e = fn(ctx, &ev);

	ev = (struct ir_event){ .kind = IR_EV_DELTA, .block = s->first };
	if (!e && gw_buf_len(&b->held)) {
		ev.delta = b->start.kind == IR_TOOL_CALL ? IR_DELTA_ARGS : IR_DELTA_TEXT;
		ev.text = gw_buf_view(&b->held);
		e = fn(ctx, &ev);
	}
	if (!e && b->has_signature) {
		ev.delta = IR_DELTA_SIGNATURE;
		ev.text = gw_buf_view(&b->signature);
		ev.signature_of = b->signature_of;
		e = fn(ctx, &ev);
	}
	*is_stopped = b->is_stopped;
	s->bytes -= gw_buf_len(&b->held);
	s->is_open = true;
	s->open = s->first++;
	block_done(b);
	s->n--;
	memmove(s->held, s->held + 1, s->n * sizeof(*s->held));
	return e;
}

static enum gw_err stop(struct gw_serial *s, ir_event_fn *fn, void *ctx)
{
	bool is_stopped = true;
	enum gw_err e;

	while (is_stopped) {
		struct ir_event ev = { .kind = IR_EV_BLOCK_STOP, .block = s->open };

		e = fn(ctx, &ev);
		s->is_open = false;
		if (e || !s->n)
			return e;
		e = let_go(s, fn, ctx, &is_stopped);
		if (e)
			return e;
	}
	return GW_OK;
}

static bool is_held(const struct gw_serial *s, uint32_t block)
{
	return s->n && block >= s->first && block - s->first < s->n;
}

enum gw_err gw_serial_event(struct gw_serial *s, const struct ir_event *ev, ir_event_fn *fn, void *ctx)
{
	if (ev->choice)
		return GW_OK;
	switch (ev->kind) {
	case IR_EV_BLOCK_START:
		if (s->is_open)
			return hold_start(s, ev);
		s->is_open = true;
		s->open = ev->block;
		return fn(ctx, ev);
	case IR_EV_DELTA:
		return is_held(s, ev->block) ? hold_delta(s, ev) : fn(ctx, ev);
	case IR_EV_BLOCK_STOP:
		if (is_held(s, ev->block)) {
			s->held[ev->block - s->first].is_stopped = true;
			return GW_OK;
		}
		return s->is_open && s->open == ev->block ? stop(s, fn, ctx) : GW_E_UP_GARBLED;
	default:
		return fn(ctx, ev);
	}
}
