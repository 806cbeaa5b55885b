/* Events as ConverseStream: AWS messages, one block at a time (core/dialect/serial.c sees to it), contentBlockStart for calls alone, messageStop
 * and then the usage. */
#include "core/dialect/bedrock/bedrock.h"
#include "lib/awsframe.h"

enum { PAYLOAD_BYTES = 8 << 20 };

struct writer {
	bool has_started, is_shown, is_block, has_args;
	bool has_proof; /* the block is reasoning, and told its signature */
	enum ir_block_kind kind;
	uint32_t index; /* the wire's number of the open block, or of the next */
	struct gw_buf payload;
};
_Static_assert(sizeof(struct writer) <= BEDROCK_WRITER_BYTES, "room for the writer");

void bedrock_writer_done(struct gw_stream_state *st)
{
	gw_buf_done(&((struct writer *)st->own)->payload);
}

static void begin(struct writer *w)
{
	if (!w->payload.max)
		gw_buf_init(&w->payload, PAYLOAD_BYTES);
	gw_buf_clear(&w->payload, 64 << 10);
}

static enum gw_err put(struct writer *w, const char *name, struct gw_buf *out)
{
	enum gw_err e =
	    w->payload.err ? w->payload.err : gw_awsframe_put_event(out, gw_str_z(name), gw_buf_view(&w->payload));

	return e == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : e;
}

static void put_index(struct writer *w)
{
	gw_buf_puts(&w->payload, GW_LIT("{\"contentBlockIndex\":"));
	gw_buf_put_u64(&w->payload, w->index);
}

static enum gw_err start_call(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	struct gw_buf *b = &w->payload;

	begin(w);
	put_index(w);
	gw_buf_puts(b, GW_LIT(",\"start\":{\"toolUse\":{\"toolUseId\":"));
	gw_json_quote(b, ev->start.id.n ? ir_tool_name(st->scratch, ev->start.id, BEDROCK_ID_BYTES)
					: ir_make_id(st->scratch, "tooluse_", st->carry->seed, ev->block, 22));
	gw_buf_puts(b, GW_LIT(",\"name\":"));
	gw_json_quote(b, ev->start.name);
	gw_buf_puts(b, GW_LIT("}}}"));
	w->is_block = true;
	return put(w, "contentBlockStart", out);
}

static enum gw_err put_redacted(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	struct gw_str proof = ir_mark_put(st->scratch, ev->start.signature, ev->start.signature_of, GW_D_BEDROCK, true);

	begin(w);
	put_index(w);
	gw_buf_puts(&w->payload, GW_LIT(",\"delta\":{\"reasoningContent\":{\"redactedContent\":"));
	gw_json_quote(&w->payload, proof);
	gw_buf_puts(&w->payload, GW_LIT("}}}"));
	w->is_block = true;
	return put(w, "contentBlockDelta", out);
}

static enum gw_err block_start(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;

	w->kind = ev->start.kind;
	w->is_block = w->has_args = w->has_proof = false;
	w->is_shown = w->kind == IR_TEXT || w->kind == IR_REFUSAL || w->kind == IR_TOOL_CALL ||
		      (w->kind == IR_REASONING && st->carry->wants_reasoning_text);
	if (!w->is_shown)
		return GW_OK;
	if (w->kind == IR_TOOL_CALL)
		return start_call(st, ev, out);
	if (w->kind == IR_REASONING && ev->start.is_redacted) {
		w->has_proof = true;
		return put_redacted(st, ev, out);
	}
	return GW_OK;
}

/* Of another maker, or none: marked, so that it does not come back as this one's. */
static enum gw_err put_proof(struct gw_stream_state *st, struct gw_str proof, enum gw_dialect_id of, struct gw_buf *out)
{
	struct writer *w = st->own;

	begin(w);
	put_index(w);
	gw_buf_puts(&w->payload, GW_LIT(",\"delta\":{\"reasoningContent\":{\"signature\":"));
	gw_json_quote(&w->payload, ir_mark_put(st->scratch, proof, of, GW_D_BEDROCK, false));
	gw_buf_puts(&w->payload, GW_LIT("}}}"));
	w->has_proof = w->is_block = true;
	return put(w, "contentBlockDelta", out);
}

static enum gw_err delta(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	struct gw_buf *b = &w->payload;
	const char *close = "}}";
	struct gw_json_out j;

	if (!w->is_shown || (ev->delta != IR_DELTA_CITATION && !ev->text.n) ||
	    (ev->delta == IR_DELTA_SIGNATURE && w->kind != IR_REASONING) ||
	    (ev->delta == IR_DELTA_CITATION && !ev->citation))
		return GW_OK;
	if (ev->delta == IR_DELTA_SIGNATURE)
		return put_proof(st, ev->text, ev->signature_of, out);
	begin(w);
	put_index(w);
	if (ev->delta == IR_DELTA_CITATION) {
		gw_buf_puts(b, GW_LIT(",\"delta\":{\"citation\":"));
		gw_jw_init(&j, b);
		bedrock_citation_write(&j, ev->citation);
	} else {
		if (ev->delta == IR_DELTA_ARGS) {
			gw_buf_puts(b, GW_LIT(",\"delta\":{\"toolUse\":{\"input\":"));
			w->has_args = true;
			close = "}}}";
		} else if (w->kind == IR_REASONING) {
			gw_buf_puts(b, GW_LIT(",\"delta\":{\"reasoningContent\":{\"text\":"));
			close = "}}}";
		} else {
			gw_buf_puts(b, GW_LIT(",\"delta\":{\"text\":"));
		}
		gw_json_quote(b, ev->text);
	}
	gw_buf_puts(b, gw_str_z(close));
	w->is_block = true;
	return put(w, "contentBlockDelta", out);
}

static enum gw_err block_stop(struct gw_stream_state *st, struct gw_buf *out)
{
	struct writer *w = st->own;
	enum gw_err e = GW_OK;

	if (!w->is_shown || !w->is_block)
		return GW_OK;
	if (w->kind == IR_TOOL_CALL && !w->has_args) {
		const struct ir_event none = { .kind = IR_EV_DELTA, .delta = IR_DELTA_ARGS, .text = GW_LIT("{}") };

		e = delta(st, &none, out);
	} else if (w->kind == IR_REASONING && !w->has_proof) {
		e = put_proof(st, GW_NIL, GW_D_NONE, out);
	}
	begin(w);
	put_index(w);
	gw_buf_putc(&w->payload, '}');
	w->is_shown = false;
	w->index++;
	return e ? e : put(w, "contentBlockStop", out);
}

static enum gw_err finish(struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out j;

	begin(w);
	gw_jw_init(&j, &w->payload);
	gw_jw_obj(&j);
	gw_jw_kstr(&j, "stopReason", bedrock_finish_write(ev->finish));
	if (ev->stop_sequence.n) {
		gw_jw_key(&j, GW_LIT("additionalModelResponseFields"));
		gw_jw_obj(&j);
		gw_jw_key(&j, GW_LIT("delta"));
		gw_jw_obj(&j);
		gw_jw_kstr(&j, "stop_sequence", ev->stop_sequence);
		gw_jw_end_obj(&j);
		gw_jw_end_obj(&j);
	}
	gw_jw_end_obj(&j);
	return put(w, "messageStop", out);
}

static enum gw_err end(struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out j;

	begin(w);
	gw_jw_init(&j, &w->payload);
	gw_jw_obj(&j);
	bedrock_usage_write(&j, &ev->usage);
	gw_jw_key(&j, GW_LIT("metrics"));
	gw_jw_raw(&j, GW_LIT("{\"latencyMs\":0}"));
	gw_jw_end_obj(&j);
	return put(w, "metadata", out);
}

enum gw_err bedrock_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;

	if (ev->choice)
		return GW_OK;
	switch (ev->kind) {
	case IR_EV_START:
		if (w->has_started)
			return GW_OK;
		w->has_started = true;
		begin(w);
		gw_buf_puts(&w->payload, GW_LIT("{\"role\":\"assistant\"}"));
		return put(w, "messageStart", out);
	case IR_EV_BLOCK_START:
		return block_start(st, ev, out);
	case IR_EV_DELTA:
		return delta(st, ev, out);
	case IR_EV_BLOCK_STOP:
		return block_stop(st, out);
	case IR_EV_FINISH:
		return finish(w, ev, out);
	case IR_EV_END:
		return end(w, ev, out);
	default: /* usage waits for the end; log probabilities have no place here */
		return GW_OK;
	}
}
