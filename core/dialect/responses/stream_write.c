/* The stream of responses from events: every item is announced, told in pieces, told whole, and told again in the last event, so its text is
 * held until then. One item at a time (the dialect is serial). */
#include "core/dialect/responses/responses.h"

enum { HELD_BYTES = 16 << 20 };

struct writer {
	bool is_ready, is_open;
	struct gw_stream_state *st; /* its seq, id and created are the stream's */
	uint32_t index; /* of the item that is open, or of the next */
	struct ir_block block; /* the open one; its texts in `words` */
	struct gw_str item_id;
	char item_id_text[48];
	struct gw_buf words, text, notes, items;
	struct gw_buf next_probs, probs; /* log probabilities: of the text that comes, of the whole block */
	uint32_t n_notes;
	enum ir_finish finish;
	struct gw_usage usage;
};
_Static_assert(sizeof(struct writer) <= RESPONSES_WRITER_BYTES, "too little room");

void responses_writer_done(struct gw_stream_state *st)
{
	struct writer *wr = st->own;

	if (!wr || !wr->is_ready)
		return;
	gw_buf_done(&wr->words);
	gw_buf_done(&wr->text);
	gw_buf_done(&wr->notes);
	gw_buf_done(&wr->items);
	gw_buf_done(&wr->next_probs);
	gw_buf_done(&wr->probs);
	wr->is_ready = false;
}

/* ---- frames ---- */

/* event: T, data: {"type":T,"sequence_number":N and what follows */
static void open_event(struct writer *wr, const char *type, struct gw_buf *out)
{
	struct gw_str t = gw_str_z(type);

	gw_buf_puts(out, GW_LIT("event: "));
	gw_buf_puts(out, t);
	gw_buf_puts(out, GW_LIT("\ndata: {\"type\":\""));
	gw_buf_puts(out, t);
	gw_buf_puts(out, GW_LIT("\",\"sequence_number\":"));
	gw_buf_put_u64(out, wr->st->seq++);
}

static void close_event(struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("}\n\n"));
}

static void put_place(struct writer *wr, struct gw_str part_key, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT(",\"item_id\":\""));
	gw_buf_puts(out, wr->item_id);
	gw_buf_puts(out, GW_LIT("\",\"output_index\":"));
	gw_buf_put_u64(out, wr->index);
	gw_buf_puts(out, part_key);
}

static struct gw_str part_key(const struct writer *wr)
{
	switch (wr->block.kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		return GW_LIT(",\"content_index\":0");
	case IR_REASONING:
		return GW_LIT(",\"summary_index\":0");
	default:
		return GW_NIL;
	}
}

/* Names of the events of this kind of block. */
static const char *delta_event(const struct writer *wr)
{
	switch (wr->block.kind) {
	case IR_TEXT:
		return "response.output_text.delta";
	case IR_REFUSAL:
		return "response.refusal.delta";
	case IR_REASONING:
		return "response.reasoning_summary_text.delta";
	default:
		return wr->block.is_custom ? "response.custom_tool_call_input.delta"
					   : "response.function_call_arguments.delta";
	}
}

static const char *done_event(const struct writer *wr)
{
	switch (wr->block.kind) {
	case IR_TEXT:
		return "response.output_text.done";
	case IR_REFUSAL:
		return "response.refusal.done";
	case IR_REASONING:
		return "response.reasoning_summary_text.done";
	default:
		return wr->block.is_custom ? "response.custom_tool_call_input.done"
					   : "response.function_call_arguments.done";
	}
}

static void put_response(struct gw_stream_state *st, const char *type, struct responses_told *t, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct gw_json_out w;

	t->id = st->id;
	t->created = st->created;
	open_event(wr, type, out);
	gw_buf_puts(out, GW_LIT(",\"response\":"));
	gw_jw_init(&w, out);
	responses_write_response(&w, st->carry, t);
	close_event(out);
}

/* ---- items ---- */

static enum gw_err start(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct responses_told t = { .status = GW_LIT("in_progress") };

	wr->st = st;
	st->id = gw_str_has_prefix(ev->id, GW_LIT("resp_")) && ev->id.n <= 128
		     ? gw_arena_str(st->keep, ev->id)
		     : ir_make_id(st->keep, "resp_", st->carry->seed, 0, 48);
	if (!st->id.p)
		return GW_E_NOMEM;
	st->created = ev->created;
	gw_buf_init(&wr->words, 1 << 20);
	gw_buf_init(&wr->text, HELD_BYTES);
	gw_buf_init(&wr->notes, HELD_BYTES);
	gw_buf_init(&wr->items, HELD_BYTES);
	gw_buf_init(&wr->next_probs, HELD_BYTES);
	gw_buf_init(&wr->probs, HELD_BYTES);
	wr->is_ready = true;
	put_response(st, "response.created", &t, out);
	put_response(st, "response.in_progress", &t, out);
	return out->err;
}

static void put_item_event(struct writer *wr, const char *type, bool is_done, struct gw_buf *out)
{
	struct responses_item it = { .block = &wr->block,
				     .id = wr->item_id,
				     .text = is_done ? gw_buf_view(&wr->text) : gw_str("", 0),
				     .annotations = gw_buf_view(&wr->notes),
				     .logprobs = gw_buf_view(&wr->probs),
				     .is_done = is_done };
	struct gw_json_out w;

	open_event(wr, type, out);
	gw_buf_puts(out, GW_LIT(",\"output_index\":"));
	gw_buf_put_u64(out, wr->index);
	gw_buf_puts(out, GW_LIT(",\"item\":"));
	gw_jw_init(&w, out);
	responses_write_item(&w, &it);
	close_event(out);
	if (!is_done)
		return;
	if (wr->items.n)
		gw_buf_putc(&wr->items, ',');
	gw_jw_init(&w, &wr->items);
	responses_write_item(&w, &it);
}

/* The part inside the item: its announcement and its whole. */
static void put_part_event(struct writer *wr, bool is_done, struct gw_buf *out)
{
	bool is_reasoning = wr->block.kind == IR_REASONING, is_refusal = wr->block.kind == IR_REFUSAL;

	open_event(wr,
		   is_reasoning
		       ? is_done ? "response.reasoning_summary_part.done" : "response.reasoning_summary_part.added"
		   : is_done ? "response.content_part.done"
			     : "response.content_part.added",
		   out);
	put_place(wr, part_key(wr), out);
	gw_buf_puts(out, GW_LIT(",\"part\":{\"type\":\""));
	gw_buf_puts(out, is_reasoning ? GW_LIT("summary_text")
			 : is_refusal ? GW_LIT("refusal")
				      : GW_LIT("output_text"));
	gw_buf_puts(out, is_refusal ? GW_LIT("\",\"refusal\":") : GW_LIT("\",\"text\":"));
	gw_json_quote(out, is_done ? gw_buf_view(&wr->text) : GW_NIL);
	if (!is_reasoning && !is_refusal) {
		gw_buf_puts(out, GW_LIT(",\"annotations\":["));
		if (is_done)
			gw_buf_puts(out, gw_buf_view(&wr->notes));
		gw_buf_puts(out, GW_LIT("],\"logprobs\":["));
		if (is_done)
			gw_buf_puts(out, gw_buf_view(&wr->probs));
		gw_buf_putc(out, ']');
	}
	gw_buf_putc(out, '}');
	close_event(out);
}

static void make_item_id(struct gw_stream_state *st, struct writer *wr)
{
	struct gw_mark m = gw_arena_mark(st->scratch);
	struct gw_str id = responses_item_id(st->scratch, &wr->block, st->carry, wr->index);

	wr->item_id = gw_str(wr->item_id_text, id.p ? id.n : 0);
	if (id.p)
		memcpy(wr->item_id_text, id.p, id.n);
	gw_arena_reset(st->scratch, m);
}

static bool has_part(const struct writer *wr)
{
	return wr->block.kind == IR_TEXT || wr->block.kind == IR_REFUSAL;
}

static enum gw_err block_start(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	enum ir_block_kind kind = ev->start.kind;
	bool is_other = kind == IR_OTHER && ev->start.other_of == GW_D_RESPONSES && ev->start.other;

	wr->is_open = kind == IR_TEXT || kind == IR_REFUSAL || kind == IR_REASONING || kind == IR_TOOL_CALL || is_other;
	if (!wr->is_open)
		return GW_OK;
	gw_buf_clear(&wr->words, 65536);
	gw_buf_clear(&wr->text, 65536);
	gw_buf_clear(&wr->notes, 65536);
	gw_buf_clear(&wr->probs, 65536);
	wr->n_notes = 0;
	wr->block = ev->start;
	if (is_other) { /* whole, and only while this call lasts */
		put_item_event(wr, "response.output_item.added", false, out);
		put_item_event(wr, "response.output_item.done", true, out);
		wr->index++;
		wr->is_open = false;
		return out->err;
	}
	gw_buf_puts(&wr->words, ev->start.id);
	gw_buf_puts(&wr->words, ev->start.name);
	gw_buf_puts(&wr->words, ev->start.signature);
	if (wr->words.err)
		return GW_E_UP_TOO_BIG;
	wr->block =
	    (struct ir_block){ .kind = kind, .is_custom = ev->start.is_custom, .signature_of = ev->start.signature_of };
	wr->block.id = gw_str(wr->words.p, ev->start.id.n);
	wr->block.name = gw_str(wr->words.p + ev->start.id.n, ev->start.name.n);
	wr->block.signature = gw_str(wr->words.p + ev->start.id.n + ev->start.name.n, ev->start.signature.n);
	make_item_id(st, wr);
	put_item_event(wr, "response.output_item.added", false, out);
	if (has_part(wr))
		put_part_event(wr, false, out);
	return out->err;
}

static enum gw_err signature(struct writer *wr, const struct ir_event *ev)
{
	size_t id = wr->block.id.n, name = wr->block.name.n;

	if (wr->block.kind != IR_REASONING)
		return GW_OK;
	gw_buf_puts(&wr->words, ev->text);
	if (wr->words.err)
		return GW_E_UP_TOO_BIG;
	wr->block.id = gw_str(wr->words.p, id); /* the buffer may have moved */
	wr->block.name = gw_str(wr->words.p + id, name);
	wr->block.signature = gw_str(wr->words.p + wr->words.n - ev->text.n, ev->text.n);
	wr->block.signature_of = ev->signature_of;
	return GW_OK;
}

static void annotation(struct writer *wr, const struct ir_citation *c, struct gw_buf *out)
{
	struct gw_json_out w;

	if (wr->block.kind != IR_TEXT || !c || (!c->url.n && !(c->of == GW_D_RESPONSES && c->raw)))
		return;
	open_event(wr, "response.output_text.annotation.added", out);
	put_place(wr, part_key(wr), out);
	gw_buf_puts(out, GW_LIT(",\"annotation_index\":"));
	gw_buf_put_u64(out, wr->n_notes);
	gw_buf_puts(out, GW_LIT(",\"annotation\":"));
	gw_jw_init(&w, out);
	responses_write_annotation(&w, c);
	close_event(out);
	if (wr->n_notes++)
		gw_buf_putc(&wr->notes, ',');
	gw_jw_init(&w, &wr->notes);
	responses_write_annotation(&w, c);
}

/* What was told of the text that is now written: once with it, and for the block's end. */
static void take_probs(struct writer *wr)
{
	if (!wr->next_probs.n)
		return;
	if (wr->probs.n)
		gw_buf_putc(&wr->probs, ',');
	gw_buf_puts(&wr->probs, gw_buf_view(&wr->next_probs));
	gw_buf_clear(&wr->next_probs, 65536);
}

static enum gw_err block_delta(struct writer *wr, const struct ir_event *ev, struct gw_buf *out)
{
	if (!wr->is_open)
		return GW_OK;
	if (ev->delta == IR_DELTA_SIGNATURE)
		return signature(wr, ev);
	if (ev->delta == IR_DELTA_CITATION) {
		annotation(wr, ev->citation, out);
		return wr->notes.err ? GW_E_UP_TOO_BIG : out->err;
	}
	if (!ev->text.n || (ev->delta == IR_DELTA_ARGS) != (wr->block.kind == IR_TOOL_CALL))
		return GW_OK;
	if (wr->block.kind == IR_REASONING && !wr->text.n)
		put_part_event(wr, false, out);
	gw_buf_puts(&wr->text, ev->text);
	open_event(wr, delta_event(wr), out);
	put_place(wr, part_key(wr), out);
	gw_buf_puts(out, GW_LIT(",\"delta\":"));
	gw_json_quote(out, ev->text);
	if (wr->block.kind == IR_TEXT) {
		gw_buf_puts(out, GW_LIT(",\"logprobs\":["));
		gw_buf_puts(out, gw_buf_view(&wr->next_probs));
		gw_buf_putc(out, ']');
		take_probs(wr);
	}
	close_event(out);
	return wr->text.err || wr->probs.err ? GW_E_UP_TOO_BIG : out->err;
}

static void put_whole(struct writer *wr, struct gw_buf *out)
{
	enum ir_block_kind k = wr->block.kind;

	if (k == IR_TOOL_CALL && !wr->text.n && !wr->block.is_custom) { /* no arguments are an empty object */
		gw_buf_puts(&wr->text, GW_LIT("{}"));
		open_event(wr, delta_event(wr), out);
		put_place(wr, GW_NIL, out);
		gw_buf_puts(out, GW_LIT(",\"delta\":\"{}\""));
		close_event(out);
	}
	open_event(wr, done_event(wr), out);
	put_place(wr, part_key(wr), out);
	if (k == IR_TOOL_CALL && !wr->block.is_custom) {
		gw_buf_puts(out, GW_LIT(",\"name\":"));
		gw_json_quote(out, wr->block.name);
	}
	gw_buf_puts(out, k == IR_REFUSAL       ? GW_LIT(",\"refusal\":")
			 : k != IR_TOOL_CALL   ? GW_LIT(",\"text\":")
			 : wr->block.is_custom ? GW_LIT(",\"input\":")
					       : GW_LIT(",\"arguments\":"));
	gw_json_quote(out, gw_buf_view(&wr->text));
	if (k == IR_TEXT) {
		gw_buf_puts(out, GW_LIT(",\"logprobs\":["));
		gw_buf_puts(out, gw_buf_view(&wr->probs));
		gw_buf_putc(out, ']');
	}
	close_event(out);
}

static enum gw_err block_stop(struct writer *wr, struct gw_buf *out)
{
	if (!wr->is_open)
		return GW_OK;
	wr->is_open = false;
	if (wr->block.kind == IR_TEXT)
		take_probs(wr);
	if (wr->block.kind != IR_REASONING || wr->text.n) {
		put_whole(wr, out);
		if (has_part(wr) || wr->block.kind == IR_REASONING)
			put_part_event(wr, true, out);
	}
	put_item_event(wr, "response.output_item.done", true, out);
	wr->index++;
	return wr->items.err ? GW_E_UP_TOO_BIG : out->err;
}

static enum gw_err end(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct responses_told t = { .output = gw_buf_view(&wr->items),
				    .reason = responses_reason(wr->finish),
				    .tier = ev->service_tier,
				    .usage = ev->usage.is_known ? &ev->usage : &wr->usage };

	t.status = t.reason.n ? GW_LIT("incomplete") : GW_LIT("completed");
	put_response(st, t.reason.n ? "response.incomplete" : "response.completed", &t, out);
	return out->err;
}

enum gw_err responses_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;

	if (ev->kind == IR_EV_START)
		return start(st, ev, out);
	if (!wr->is_ready)
		return GW_OK;
	switch (ev->kind) {
	case IR_EV_BLOCK_START:
		return block_start(st, ev, out);
	case IR_EV_DELTA:
		return block_delta(wr, ev, out);
	case IR_EV_BLOCK_STOP:
		return block_stop(wr, out);
	case IR_EV_FINISH:
		wr->finish = ev->finish;
		return GW_OK;
	case IR_EV_USAGE:
		wr->usage = ev->usage;
		return GW_OK;
	case IR_EV_PING:
		gw_buf_puts(out, GW_LIT(": ping\n\n"));
		return out->err;
	case IR_EV_END:
		return end(st, ev, out);
	case IR_EV_LOGPROBS:
		responses_write_logprobs(&wr->next_probs, ev->logprobs);
		return wr->next_probs.err ? GW_E_UP_TOO_BIG : GW_OK;
	case IR_EV_START:
	case IR_EV_ERROR:
		break;
	}
	return GW_OK;
}
