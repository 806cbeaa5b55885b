/* Events as Gemini's stream: chunks that are whole replies with what is new in them. Arguments of calls go out whole, so they are gathered; the
 * reasons to finish and the usage wait for the end and share the last chunk. Two framings: SSE with CRLF (alt=sse), or one JSON array whose
 * elements come as they are made. */
#include "core/dialect/gemini/gemini.h"

enum { N_KINDS = 1024, N_CHOICES = 128, N_CALLS = 64, REASON_BYTES = 40, CALL_BYTES = 4 << 20 };

struct call {
	bool is_used;
	uint32_t choice, block;
	struct gw_buf words, args, signature; /* id and name; arguments; thought signature */
	size_t id_n;
};
struct done {
	bool is_set;
	uint8_t finish, raw_n;
	char raw[REASON_BYTES];
};
struct writer {
	bool has_started;
	struct gw_str tail; /* what every chunk ends with, in keep */
	size_t held; /* bytes of arguments gathered */
	uint32_t n_done; /* highest choice that finished, + 1 */
	uint8_t kinds[N_KINDS]; /* of the latest blocks */
	struct done done[N_CHOICES];
	struct call calls[N_CALLS];
};
_Static_assert(sizeof(struct writer) <= GEMINI_WRITER_BYTES, "room for the writer");

static uint8_t *kind_at(struct writer *w, const struct ir_event *ev)
{
	return &w->kinds[(ev->choice & 15) << 6 | (ev->block & 63)];
}

/* ---- chunks ---- */

static bool is_array(const struct gw_stream_state *st)
{
	return st->carry->framing == GW_FRAMING_ARRAY;
}

static void open_chunk(const struct gw_stream_state *st, struct gw_buf *out)
{
	gw_buf_puts(out, is_array(st) ? GW_LIT(",\r\n") : GW_LIT("data: "));
}

static void close_chunk(const struct gw_stream_state *st, struct gw_buf *out)
{
	const struct writer *w = st->own;

	gw_buf_puts(out, w->tail);
	if (!is_array(st))
		gw_buf_puts(out, GW_LIT("\r\n\r\n"));
}

static void open_parts(const struct gw_stream_state *st, struct gw_buf *out)
{
	open_chunk(st, out);
	gw_buf_puts(out, GW_LIT("{\"candidates\":[{\"content\":{\"parts\":["));
}

static void close_parts(const struct gw_stream_state *st, uint32_t choice, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("],\"role\":\"model\"},\"index\":"));
	gw_buf_put_u64(out, choice);
	gw_buf_puts(out, GW_LIT("}],"));
	close_chunk(st, out);
}

static enum gw_err start(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	struct gw_json_out j;
	struct gw_buf b;

	if (w->has_started)
		return GW_OK;
	w->has_started = true;
	gw_buf_init(&b, 64 << 10);
	gw_buf_puts(&b, GW_LIT("\"modelVersion\":"));
	gw_jw_init(&j, &b);
	gw_jw_str(&j, st->carry->model);
	gw_buf_puts(&b, GW_LIT(",\"responseId\":"));
	gw_jw_str(&j, ev->id.n && ev->id.n < 512 ? ev->id : st->carry->request_id);
	gw_buf_putc(&b, '}');
	w->tail = b.err ? GW_NIL : gw_arena_str(st->keep, gw_buf_view(&b));
	gw_buf_done(&b);
	if (!w->tail.p)
		return GW_E_NOMEM;
	if (is_array(st)) { /* a first element, so that what follows, an error too, always begins with a comma */
		gw_buf_puts(out, GW_LIT("[{\"candidates\":[{\"content\":{\"role\":\"model\"},\"index\":0}],"));
		gw_buf_puts(out, w->tail);
	}
	return GW_OK;
}

/* ---- calls ---- */

static struct call *call_of(struct writer *w, const struct ir_event *ev)
{
	for (int i = 0; i < N_CALLS; i++) {
		if (w->calls[i].is_used && w->calls[i].choice == ev->choice && w->calls[i].block == ev->block)
			return &w->calls[i];
	}
	return NULL;
}

static enum gw_err hold_call(struct writer *w, const struct ir_event *ev)
{
	for (int i = 0; i < N_CALLS; i++) {
		struct call *c = &w->calls[i];

		if (c->is_used)
			continue;
		*c = (struct call){ .is_used = true, .choice = ev->choice, .block = ev->block, .id_n = ev->start.id.n };
		gw_buf_init(&c->words, 64 << 10);
		gw_buf_init(&c->args, CALL_BYTES);
		gw_buf_init(&c->signature, CALL_BYTES);
		gw_buf_puts(&c->words, ev->start.id);
		gw_buf_puts(&c->words, ev->start.name);
		return c->words.err ? GW_E_UP_TOO_BIG : GW_OK;
	}
	return GW_E_UP_TOO_BIG;
}

static void drop_call(struct writer *w, struct call *c)
{
	w->held -= c->args.n + c->signature.n;
	gw_buf_done(&c->words);
	gw_buf_done(&c->args);
	gw_buf_done(&c->signature);
	c->is_used = false;
}

static enum gw_err hold(struct writer *w, struct gw_buf *to, struct gw_str text)
{
	gw_buf_puts(to, text);
	if (to->err)
		return to->err == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : GW_E_NOMEM;
	w->held += text.n;
	return w->held > CALL_BYTES ? GW_E_UP_TOO_BIG : GW_OK;
}

static enum gw_err put_call(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	struct call *c = call_of(w, ev);
	struct gw_json_out j;
	struct gw_str words;
	struct ir_block b = { .kind = IR_TOOL_CALL };

	if (!c)
		return GW_OK;
	words = gw_buf_view(&c->words);
	b.id = gw_str(words.p, c->id_n);
	b.name = gw_str_skip(words, c->id_n);
	b.args = gw_buf_view(&c->args);
	b.signature = gw_buf_view(&c->signature);
	b.signature_of = GW_D_GEMINI;
	open_parts(st, out);
	gw_jw_init(&j, out);
	gemini_reply_part_write(st->scratch, &j, &b);
	close_parts(st, ev->choice, out);
	drop_call(w, c);
	return GW_OK;
}

void gemini_writer_done(struct gw_stream_state *st)
{
	struct writer *w = st->own;

	for (int i = 0; i < N_CALLS; i++) {
		if (w->calls[i].is_used)
			drop_call(w, &w->calls[i]);
	}
}

/* ---- blocks ---- */

static bool is_media(enum ir_block_kind k)
{
	return k == IR_IMAGE || k == IR_FILE || k == IR_AUDIO || k == IR_VIDEO;
}

static enum gw_err block_start(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out j;

	*kind_at(st->own, ev) = (uint8_t)ev->start.kind;
	if (ev->start.kind == IR_TOOL_CALL)
		return hold_call(st->own, ev);
	if (!is_media(ev->start.kind) && (ev->start.kind != IR_OTHER || ev->start.other_of != GW_D_GEMINI))
		return GW_OK;
	if (ev->start.kind == IR_OTHER ? !ev->start.other : !ev->start.media.data.n)
		return GW_OK;
	open_parts(st, out);
	gw_jw_init(&j, out);
	gemini_reply_part_write(st->scratch, &j, &ev->start);
	close_parts(st, ev->choice, out);
	return GW_OK;
}

static void put_citation(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	const struct ir_citation *c = ev->citation;
	struct gw_json_out j;

	if (!c->url.n && !c->title.n)
		return;
	open_chunk(st, out);
	gw_buf_puts(out, GW_LIT("{\"candidates\":[{\"citationMetadata\":{\"citations\":["));
	gw_jw_init(&j, out);
	gw_jw_obj(&j);
	if (c->start >= 0)
		gw_jw_ki64(&j, "startIndex", c->start);
	if (c->end >= 0)
		gw_jw_ki64(&j, "endIndex", c->end);
	if (c->url.n)
		gw_jw_kstr(&j, "uri", c->url);
	if (c->title.n)
		gw_jw_kstr(&j, "title", c->title);
	gw_jw_end_obj(&j);
	gw_buf_puts(out, GW_LIT("]},\"index\":"));
	gw_buf_put_u64(out, ev->choice);
	gw_buf_puts(out, GW_LIT("}],"));
	close_chunk(st, out);
}

static void put_text(struct gw_stream_state *st, const struct ir_event *ev, bool is_thought, struct gw_str text,
		     struct gw_str signature, struct gw_buf *out)
{
	open_parts(st, out);
	gw_buf_puts(out, GW_LIT("{\"text\":"));
	gw_json_quote(out, text);
	if (is_thought)
		gw_buf_puts(out, GW_LIT(",\"thought\":true"));
	if (signature.n) {
		gw_buf_puts(out, GW_LIT(",\"thoughtSignature\":"));
		gw_json_quote(out, signature);
	}
	gw_buf_putc(out, '}');
	close_parts(st, ev->choice, out);
}

static enum gw_err delta(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	enum ir_block_kind kind = (enum ir_block_kind) * kind_at(w, ev);
	bool is_thought = kind == IR_REASONING;
	struct call *c;

	if (kind == IR_TOOL_CALL) {
		c = call_of(w, ev);
		if (!c || (ev->delta == IR_DELTA_SIGNATURE && ev->signature_of != GW_D_GEMINI))
			return GW_OK;
		return hold(w, ev->delta == IR_DELTA_SIGNATURE ? &c->signature : &c->args, ev->text);
	}
	if (is_thought && !st->carry->wants_reasoning_text)
		return GW_OK;
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (ev->text.n)
			put_text(st, ev, is_thought, ev->text, GW_NIL, out);
		break;
	case IR_DELTA_SIGNATURE:
		if (ev->text.n && ev->signature_of == GW_D_GEMINI)
			put_text(st, ev, is_thought, GW_LIT(""), ev->text, out);
		break;
	case IR_DELTA_CITATION:
		if (ev->citation)
			put_citation(st, ev, out);
		break;
	case IR_DELTA_ARGS:
		break;
	}
	return GW_OK;
}

/* ---- the end ---- */

static void finish(struct writer *w, const struct ir_event *ev)
{
	struct done *d;

	if (ev->choice >= N_CHOICES)
		return;
	d = &w->done[ev->choice];
	d->is_set = true;
	d->finish = (uint8_t)ev->finish;
	if (gemini_finish_is_known(ev->finish_raw) && ev->finish_raw.n <= REASON_BYTES) {
		d->raw_n = (uint8_t)ev->finish_raw.n;
		memcpy(d->raw, ev->finish_raw.p, ev->finish_raw.n);
	}
	if (w->n_done <= ev->choice)
		w->n_done = ev->choice + 1;
}

static void end(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	struct gw_json_out j;

	open_chunk(st, out);
	gw_jw_init(&j, out);
	gw_buf_puts(out, GW_LIT("{\"candidates\":"));
	gw_jw_arr(&j);
	for (uint32_t i = 0; i < w->n_done; i++) {
		const struct done *d = &w->done[i];

		if (!d->is_set)
			continue;
		gw_jw_obj(&j);
		gw_jw_key(&j, GW_LIT("content"));
		gw_jw_raw(&j, GW_LIT("{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}"));
		gw_jw_kstr(&j, "finishReason",
			   gemini_finish_write((enum ir_finish)d->finish, gw_str(d->raw, d->raw_n), d->raw_n > 0));
		gw_jw_ku64(&j, "index", i);
		gw_jw_end_obj(&j);
	}
	gw_jw_end_arr(&j);
	gw_buf_putc(out, ',');
	if (ev->usage.is_known) {
		gw_jw_init(&j, out);
		gemini_usage_write(&j, &ev->usage);
		gw_buf_putc(out, ',');
	}
	close_chunk(st, out);
	if (is_array(st))
		gw_buf_putc(out, ']');
}

static void put_logprobs(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out j;

	if (!ev->logprobs)
		return;
	open_chunk(st, out);
	gw_buf_puts(out, GW_LIT("{\"candidates\":["));
	gw_jw_init(&j, out);
	gw_jw_obj(&j);
	gw_jw_ku64(&j, "index", ev->choice);
	gemini_logprobs_write(&j, ev->logprobs);
	gw_jw_end_obj(&j);
	gw_buf_puts(out, GW_LIT("],"));
	close_chunk(st, out);
}

enum gw_err gemini_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;
	enum gw_err e = GW_OK;

	switch (ev->kind) {
	case IR_EV_START:
		e = start(st, ev, out);
		break;
	case IR_EV_BLOCK_START:
		e = block_start(st, ev, out);
		break;
	case IR_EV_DELTA:
		e = delta(st, ev, out);
		break;
	case IR_EV_BLOCK_STOP:
		e = put_call(st, ev, out);
		break;
	case IR_EV_LOGPROBS:
		put_logprobs(st, ev, out);
		break;
	case IR_EV_FINISH:
		finish(w, ev);
		break;
	case IR_EV_END:
		end(st, ev, out);
		break;
	default: /* usage waits for the end; there is no ping that all SDKs can read */
		break;
	}
	if (e)
		return e;
	return out->err == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : out->err;
}
