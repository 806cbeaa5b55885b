/* A stream from one dialect to another: frames are cut, read into events, put in order, written (translate.h). */
#include "core/dialect/translate.h"

#include "core/dialect/ir_estimate.h"

static bool make_own(struct gw_stream_state *st, size_t n)
{
	st->own = gw_alloc(st->keep, n ? n : 1);
	return st->own != NULL;
}

enum gw_err gw_translate_open(struct gw_translate *t, const struct gw_dialect *from, const struct gw_dialect *to,
			      const struct gw_carry *carry)
{
	*t = (struct gw_translate){ .carry = carry, .said = gw_estimate_begin(carry->family) };
	gw_arena_init(&t->keep, NULL, 0, GW_TRANSLATE_KEEP_BYTES);
	gw_arena_init(&t->scratch, NULL, 0, GW_TRANSLATE_SCRATCH_BYTES);
	t->in = (struct gw_stream_state){ .d = from, .keep = &t->keep, .scratch = &t->scratch, .carry = carry };
	t->out = (struct gw_stream_state){ .d = to, .keep = &t->keep, .scratch = &t->scratch, .carry = carry };
	t->serial.a = &t->keep;
	t->custom = (struct gw_custom){ .keep = &t->keep, .scratch = &t->scratch };
	if (from->framing == GW_FRAMING_AWS)
		gw_awsframe_init(&t->frames.aws, GW_TRANSLATE_EVENT_BYTES);
	else
		gw_sse_init(&t->frames.sse, GW_TRANSLATE_EVENT_BYTES, GW_TRANSLATE_EVENT_BYTES);
	if (make_own(&t->in, from->reader_bytes) && (!to || make_own(&t->out, to->writer_bytes)))
		return GW_OK;
	gw_translate_close(t);
	return GW_E_NOMEM;
}

void gw_translate_close(struct gw_translate *t)
{
	if (!t->in.d)
		return;
	if (t->in.d->framing == GW_FRAMING_AWS)
		gw_awsframe_done(&t->frames.aws);
	else
		gw_sse_done(&t->frames.sse);
	gw_serial_done(&t->serial);
	gw_custom_done(&t->custom);
	if (t->out.d && t->out.d->writer_done && t->out.own)
		t->out.d->writer_done(&t->out);
	gw_arena_done(&t->keep);
	gw_arena_done(&t->scratch);
	t->in.d = NULL;
}

static void keep_text(struct gw_translate *t, struct gw_str *dst, struct gw_str s)
{
	if (s.n && s.n <= 512 && !gw_str_eq(*dst, s))
		*dst = gw_arena_str(&t->keep, s);
}

static bool is_content(const struct ir_event *ev)
{
	if (ev->kind == IR_EV_DELTA)
		return ev->text.n > 0;
	return ev->kind == IR_EV_BLOCK_START && ev->start.kind != IR_TEXT && ev->start.kind != IR_REASONING &&
	       ev->start.kind != IR_REFUSAL;
}

static enum gw_err write(void *ctx, const struct ir_event *ev)
{
	struct gw_translate *t = ctx;
	enum gw_err e = t->out.d->write_event(&t->out, ev, t->to);

	return e ? e : t->to->err;
}

static enum gw_err put_in_order(void *ctx, const struct ir_event *ev)
{
	struct gw_translate *t = ctx;

	return t->out.d->is_serial ? gw_serial_event(&t->serial, ev, write, t) : write(t, ev);
}

static void take_usage(struct gw_translate *t, struct ir_event *ev)
{
	if (ev->usage.is_known) {
		if (ev->usage.output > t->told.usage.output)
			t->said_when_told = gw_estimate_tokens(&t->said);
		t->told.usage = ev->usage;
	} else if (ev->kind == IR_EV_END && !t->told.usage.is_known) {
		ir_estimate_usage(&ev->usage, t->carry, gw_estimate_tokens(&t->said));
		t->told.usage = ev->usage;
	}
	keep_text(t, &t->told.service_tier, ev->service_tier);
	t->has_ended = ev->kind == IR_EV_END;
}

static enum gw_err pass(struct gw_translate *t, const struct ir_event *ev)
{
	if (!t->out.d)
		return GW_OK;
	return t->carry->customs ? gw_custom_event(&t->custom, t->carry, ev, put_in_order, t) : put_in_order(t, ev);
}

/* What the record wants of it, then on to the writer. */
static enum gw_err on_event(void *ctx, const struct ir_event *ev)
{
	struct gw_translate *t = ctx;
	struct ir_event last;

	if (t->has_ended || t->err)
		return GW_OK;
	switch (ev->kind) {
	case IR_EV_START:
		if (t->has_started)
			return GW_OK;
		t->has_started = true;
		keep_text(t, &t->told.model, ev->model);
		keep_text(t, &t->told.id, ev->id);
		break;
	case IR_EV_FINISH:
		if (!ev->choice)
			t->told.finish = gw_finish_word(ev->finish);
		break;
	case IR_EV_DELTA:
	case IR_EV_BLOCK_START:
		ir_estimate_event(&t->said, ev);
		break;
	case IR_EV_USAGE:
	case IR_EV_END:
		last = *ev;
		take_usage(t, &last);
		return pass(t, &last);
	case IR_EV_ERROR:
		t->error_json = gw_arena_str(&t->keep, ev->error_json);
		t->error_status = ev->error_status;
		return GW_E_UP_SERVER;
	default:
		break;
	}
	if (!t->has_content && is_content(ev))
		t->has_content = t->told.has_content = true;
	return pass(t, ev);
}

static void read_frame(struct gw_translate *t, const struct gw_frame *f)
{
	struct gw_mark m = gw_arena_mark(&t->scratch);

	if (t->err || t->has_ended)
		return;
	t->err = t->in.d->read_event(&t->in, f, on_event, t);
	if (!t->err && (t->keep.is_full || t->scratch.is_full))
		t->err = GW_E_NOMEM;
	gw_arena_reset(&t->scratch, m);
}

static void on_sse(void *ctx, const struct gw_sse_event *ev)
{
	if (ev->has_data)
		read_frame(ctx, &(struct gw_frame){ .event = ev->event, .data = ev->data });
}

static void on_aws(void *ctx, const struct gw_awsframe_message *m)
{
	bool is_error = gw_str_eq(m->message_type, GW_LIT("error"));
	struct gw_frame f = { .event = m->event_type, .data = m->payload };

	if (is_error || gw_str_eq(m->message_type, GW_LIT("exception"))) {
		f.is_exception = true;
		f.event = is_error ? m->error_code : m->exception_type;
		if (is_error)
			f.data = m->error_message;
	}
	read_frame(ctx, &f);
}

enum gw_err gw_translate_feed(struct gw_translate *t, struct gw_str bytes, struct gw_buf *out)
{
	enum gw_err e;

	if (t->err)
		return t->err;
	t->to = out;
	if (t->in.d->framing == GW_FRAMING_AWS)
		e = gw_awsframe_feed(&t->frames.aws, bytes.p, bytes.n, on_aws, t);
	else
		e = gw_sse_feed(&t->frames.sse, bytes.p, bytes.n, on_sse, t);
	if (e && !t->err)
		t->err = e == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : e;
	return t->err;
}

enum gw_err gw_translate_end(struct gw_translate *t, struct gw_buf *out)
{
	enum gw_err e = GW_OK;

	if (t->err)
		return t->err;
	t->to = out;
	if (t->in.d->framing == GW_FRAMING_AWS) {
		if (gw_awsframe_is_pending(&t->frames.aws) && !t->has_ended)
			t->err = GW_E_UP_CUT;
	} else {
		if (gw_sse_is_pending(
			&t->frames.sse)) { /* a last event whose blank line never came may be whole all the same */
			e = gw_sse_feed(&t->frames.sse, "\n\n", 2, on_sse, t);
			if (t->err == GW_E_UP_GARBLED)
				t->err = GW_E_UP_CUT;
		}
		if (!e)
			e = gw_sse_end(&t->frames.sse, on_sse, t);
		if (!e && gw_sse_is_pending(&t->frames.sse) && !t->has_ended)
			t->err = GW_E_UP_CUT;
	}
	if (e && !t->err)
		t->err = e;
	if (t->err || t->has_ended)
		return t->err;
	struct gw_mark m = gw_arena_mark(&t->scratch);
	t->err = t->in.d->read_end(&t->in, on_event, t);
	gw_arena_reset(&t->scratch, m);
	if (!t->err && !t->has_ended)
		t->err = GW_E_UP_CUT;
	return t->err;
}
