/* Events of the IR as a stream of Anthropic: named events, one block at a time, the reason and the usage together at the end. Deltas are
 * written straight into the buffer. */
#include "core/dialect/anthropic/anthropic.h"

struct writer {
	bool has_started, has_ended, is_open, has_call, has_refusal;
	bool has_proof; /* the open block is reasoning, and told its signature */
	enum ir_block_kind kind; /* of the open block */
	uint32_t wire; /* its index; the next one when none is open */
	enum ir_finish finish;
	struct gw_str stop_sequence; /* in keep; at most one */
	struct gw_usage usage;
};
static_assert(sizeof(struct writer) <= ANTHROPIC_WRITER_BYTES, "the stream keeps room for it");

#define PUT(out, literal) gw_buf_puts((out), GW_LIT(literal))

static void message_start(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_str id = anthropic_id_out(st->scratch, ev->id, st->carry);

	w->has_started = true;
	PUT(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":");
	gw_json_quote(out, id);
	PUT(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
	gw_json_quote(out, st->carry->model);
	PUT(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,"
		 "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n");
}

/* ---- blocks ---- */

static void open_block(struct writer *w, enum ir_block_kind kind, struct gw_buf *out)
{
	w->is_open = true;
	w->kind = kind;
	PUT(out, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
	gw_buf_put_u64(out, w->wire);
	PUT(out, ",\"content_block\":");
}

static void delta_head(const struct writer *w, struct gw_buf *out)
{
	PUT(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
	gw_buf_put_u64(out, w->wire);
}

static void signature(const struct writer *w, struct gw_str proof, struct gw_buf *out)
{
	delta_head(w, out);
	PUT(out, ",\"delta\":{\"type\":\"signature_delta\",\"signature\":");
	gw_json_quote(out, proof);
	PUT(out, "}}\n\n");
}

static void close_block(struct gw_stream_state *st, struct writer *w, struct gw_buf *out)
{
	if (!w->is_open)
		return;
	if (w->kind == IR_REASONING &&
	    !w->has_proof) /* without one it would look like this vendor's when it comes back */
		signature(w, ir_mark_put(st->scratch, GW_NIL, GW_D_NONE, GW_D_ANTHROPIC, false), out);
	w->is_open = false;
	PUT(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
	gw_buf_put_u64(out, w->wire++);
	PUT(out, "}\n\n");
}

static void start_call(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_str id = ir_tool_name(st->scratch, ev->start.id, ANTHROPIC_MAX_ID);

	if (!ev->start.id.n)
		id = ir_make_id(st->scratch, "toolu_", st->carry->seed, ev->block, 24);
	w->has_call = true;
	open_block(w, IR_TOOL_CALL, out);
	PUT(out, "{\"type\":\"tool_use\",\"id\":");
	gw_json_quote(out, id);
	PUT(out, ",\"name\":");
	gw_json_quote(out, ev->start.name);
	PUT(out, ",\"input\":{}}}\n\n");
}

static void start_thinking(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_str proof;

	if (!st->carry->wants_reasoning_text && ev->start.signature_of != GW_D_ANTHROPIC)
		return;
	open_block(w, IR_REASONING, out);
	w->has_proof = ev->start.is_redacted;
	if (!ev->start.is_redacted) {
		PUT(out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n");
		return;
	}
	proof = ir_mark_put(st->scratch, ev->start.signature, ev->start.signature_of, GW_D_ANTHROPIC, false);
	PUT(out, "{\"type\":\"redacted_thinking\",\"data\":");
	gw_json_quote(out, proof);
	PUT(out, "}}\n\n");
}

static void start_other(struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out jw;

	if (ev->start.other_of != GW_D_ANTHROPIC || !ev->start.other)
		return;
	open_block(w, IR_OTHER, out);
	gw_jw_init(&jw, out);
	gw_jw_val(&jw, ev->start.other);
	PUT(out, "}\n\n");
}

/* What this dialect has no block for (pictures, sound) stays closed: its deltas are passed over. */
static void block_start(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	close_block(st, w, out);
	switch (ev->start.kind) {
	case IR_REFUSAL:
		w->has_refusal = true;
		if (ev->start.form & ANTHROPIC_B_DETAILS)
			break;
		open_block(w, IR_TEXT, out);
		PUT(out, "{\"type\":\"text\",\"text\":\"\"}}\n\n");
		break;
	case IR_TEXT:
		open_block(w, IR_TEXT, out);
		PUT(out, "{\"type\":\"text\",\"text\":\"\"}}\n\n");
		break;
	case IR_TOOL_CALL:
		start_call(st, w, ev, out);
		break;
	case IR_REASONING:
		start_thinking(st, w, ev, out);
		break;
	case IR_OTHER:
		start_other(w, ev, out);
		break;
	default:
		break;
	}
}

/* ---- deltas ---- */

static void citation(const struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out jw;

	delta_head(w, out);
	PUT(out, ",\"delta\":{\"type\":\"citations_delta\",\"citation\":");
	gw_jw_init(&jw, out);
	anthropic_citation_write(&jw, ev->citation);
	PUT(out, "}}\n\n");
}

static void text_delta(const struct writer *w, struct gw_str text, struct gw_buf *out)
{
	if (!text.n)
		return;
	delta_head(w, out);
	if (w->kind == IR_TEXT)
		PUT(out, ",\"delta\":{\"type\":\"text_delta\",\"text\":");
	else
		PUT(out, ",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":");
	gw_json_quote(out, text);
	PUT(out, "}}\n\n");
}

static void delta(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	if (!w->is_open)
		return;
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (w->kind == IR_TEXT || w->kind == IR_REASONING)
			text_delta(w, ev->text, out);
		break;
	case IR_DELTA_ARGS:
		if (w->kind != IR_TOOL_CALL || !ev->text.n)
			break;
		delta_head(w, out);
		PUT(out, ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":");
		gw_json_quote(out, ev->text);
		PUT(out, "}}\n\n");
		break;
	case IR_DELTA_SIGNATURE:
		if (w->kind != IR_REASONING)
			break;
		w->has_proof = true;
		signature(w, ir_mark_put(st->scratch, ev->text, ev->signature_of, GW_D_ANTHROPIC, false), out);
		break;
	case IR_DELTA_CITATION:
		if (w->kind == IR_TEXT && ev->citation)
			citation(w, ev, out);
		break;
	}
}

/* ---- the end ---- */

static void message_end(struct gw_stream_state *st, struct writer *w, struct gw_buf *out)
{
	struct gw_json_out jw;

	close_block(st, w, out);
	PUT(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":");
	gw_json_quote(out, anthropic_finish_write(w->finish, w->has_call, w->has_refusal));
	PUT(out, ",\"stop_sequence\":");
	if (w->stop_sequence.n)
		gw_json_quote(out, w->stop_sequence);
	else
		PUT(out, "null");
	PUT(out, "},\"usage\":");
	gw_jw_init(&jw, out);
	gw_jw_obj(&jw);
	anthropic_usage_write(&jw, &w->usage);
	gw_jw_end_obj(&jw);
	PUT(out, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
	w->has_ended = true;
}

enum gw_err anthropic_event_write(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;

	if (ev->choice || w->has_ended)
		return GW_OK; /* one answer is all that the format has */
	if (!w->has_started && ev->kind != IR_EV_PING)
		message_start(st, w, ev, out);
	switch (ev->kind) {
	case IR_EV_BLOCK_START:
		block_start(st, w, ev, out);
		break;
	case IR_EV_DELTA:
		delta(st, w, ev, out);
		break;
	case IR_EV_BLOCK_STOP:
		close_block(st, w, out);
		break;
	case IR_EV_FINISH:
		w->finish = ev->finish;
		if (ev->stop_sequence.n && ev->stop_sequence.n <= 1024 && !w->stop_sequence.n)
			w->stop_sequence = gw_arena_str(st->keep, ev->stop_sequence);
		break;
	case IR_EV_END:
	case IR_EV_USAGE:
		if (ev->usage.is_known)
			w->usage = ev->usage;
		if (ev->kind == IR_EV_END)
			message_end(st, w, out);
		break;
	case IR_EV_PING:
		PUT(out, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
		break;
	default:
		break;
	}
	return out->err;
}
