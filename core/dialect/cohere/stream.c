/* Streams of v2 chat, both ways. Their blocks come one after the other; indices of content and of calls may share a count or not, so the
 * reader only looks at what is open. */
#include "core/dialect/cohere/cohere.h"

/* ---- reading ---- */

struct reader {
	bool has_started, has_ended, is_open, is_plan, has_args;
	enum ir_block_kind kind;
	uint32_t ir, n_blocks;
};
static_assert(sizeof(struct reader) <= COHERE_STATE_BYTES, "the stream keeps room for it");

struct ctx {
	struct gw_stream_state *st;
	struct reader *r;
	ir_event_fn *fn;
	void *arg;
};

static enum gw_err send(const struct ctx *c, const struct ir_event *ev)
{
	return c->fn(c->arg, ev);
}

static enum gw_err send_text(const struct ctx *c, enum ir_delta_kind kind, struct gw_str text)
{
	if (!text.n || !c->r->is_open)
		return GW_OK;
	c->r->has_args |= kind == IR_DELTA_ARGS;
	return send(
	    c, &(struct ir_event){
		   .kind = IR_EV_DELTA, .block = c->r->ir, .delta = kind, .text = text, .signature_of = GW_D_NONE });
}

static enum gw_err close_block(const struct ctx *c)
{
	enum gw_err e = GW_OK;

	if (!c->r->is_open)
		return GW_OK;
	if (c->r->kind == IR_TOOL_CALL && !c->r->has_args)
		e = send_text(c, IR_DELTA_ARGS, GW_LIT("{}"));
	c->r->is_open = false;
	return e ? e : send(c, &(struct ir_event){ .kind = IR_EV_BLOCK_STOP, .block = c->r->ir });
}

static enum gw_err open_block(const struct ctx *c, enum ir_block_kind kind, bool is_plan, struct gw_str id,
			      struct gw_str name)
{
	struct ir_event ev = { .kind = IR_EV_BLOCK_START };
	enum gw_err e = close_block(c);

	if (e)
		return e;
	c->r->is_open = true;
	c->r->is_plan = is_plan;
	c->r->has_args = false;
	c->r->kind = kind;
	ev.block = c->r->ir = c->r->n_blocks++;
	ev.start.kind = kind;
	ev.start.form = is_plan ? COHERE_B_PLAN : 0;
	ev.start.id = id;
	ev.start.name = name;
	ev.start.signature_of = ev.start.other_of = GW_D_NONE;
	return send(c, &ev);
}

static enum gw_err start(const struct ctx *c, struct gw_str id)
{
	if (c->r->has_started)
		return GW_OK;
	c->r->has_started = true;
	return send(c, &(struct ir_event){ .kind = IR_EV_START, .id = id });
}

static enum gw_err on_content(const struct ctx *c, const yyjson_val *content, bool is_start)
{
	struct gw_str text = cohere_str(cohere_get(content, "text")),
		      thinking = cohere_str(cohere_get(content, "thinking"));
	bool is_thinking = cohere_is(cohere_get(content, "type"), "thinking") || thinking.n;
	enum ir_block_kind kind = is_thinking ? IR_REASONING : IR_TEXT;
	enum gw_err e = GW_OK;

	if (is_start || ((text.n || thinking.n) && (!c->r->is_open || c->r->is_plan || c->r->kind != kind)))
		e = open_block(c, kind, false, GW_NIL, GW_NIL);
	return e ? e : send_text(c, IR_DELTA_TEXT, is_thinking ? thinking : text);
}

/* Before the text that they belong to. */
static enum gw_err on_logprobs(const struct ctx *c, const yyjson_val *v)
{
	struct ir_event ev = { .kind = IR_EV_LOGPROBS, .block = c->r->ir };

	ev.logprobs = cohere_logprobs_read(c->st->scratch, v);
	return ev.logprobs ? send(c, &ev) : GW_OK;
}

static enum gw_err on_plan(const struct ctx *c, struct gw_str text)
{
	enum gw_err e = GW_OK;

	if (text.n && !(c->r->is_open && c->r->is_plan))
		e = open_block(c, IR_REASONING, true, GW_NIL, GW_NIL);
	return e ? e : send_text(c, IR_DELTA_TEXT, text);
}

static enum gw_err on_call(const struct ctx *c, const yyjson_val *call, bool is_start)
{
	const yyjson_val *f = cohere_get(call, "function");
	enum gw_err e = GW_OK;

	if (is_start)
		e = open_block(c, IR_TOOL_CALL, false, cohere_str(cohere_get(call, "id")),
			       gw_carry_name_back(c->st->carry, cohere_str(cohere_get(f, "name"))));
	if (e || !c->r->is_open || c->r->kind != IR_TOOL_CALL)
		return e;
	return send_text(c, IR_DELTA_ARGS, cohere_str(cohere_get(f, "arguments")));
}

static enum gw_err on_citation(const struct ctx *c, const yyjson_val *v)
{
	struct ir_citation ct = { 0 };

	if (!c->r->is_open || c->r->kind != IR_TEXT || !yyjson_is_obj(cohere_val(v)))
		return GW_OK;
	cohere_citation_take(&ct, v);
	return send(c, &(struct ir_event){
			   .kind = IR_EV_DELTA, .block = c->r->ir, .delta = IR_DELTA_CITATION, .citation = &ct });
}

/* An error as whole replies have it. */
static enum gw_err fail(const struct ctx *c, struct gw_str why, int status)
{
	struct gw_buf b;
	struct gw_str json;

	gw_buf_init(&b, 64 << 10);
	gw_buf_puts(&b, GW_LIT("{\"message\":"));
	gw_json_quote(&b, gw_str(why.p, why.n > 4096 ? 4096 : why.n));
	gw_buf_putc(&b, '}');
	json = gw_arena_str(c->st->scratch, gw_buf_view(&b));
	gw_buf_done(&b);
	c->r->has_ended = true;
	return json.p ? send(c, &(struct ir_event){ .kind = IR_EV_ERROR, .error_json = json, .error_status = status })
		      : GW_E_NOMEM;
}

static enum gw_err on_end(const struct ctx *c, const yyjson_val *delta)
{
	struct ir_event ev = { .kind = IR_EV_FINISH, .finish_raw = cohere_str(cohere_get(delta, "finish_reason")) };
	struct gw_usage u = cohere_usage_read(cohere_get(delta, "usage"));
	struct gw_str why = cohere_str(cohere_get(delta, "error"));
	enum gw_err e = cohere_finish_read(ev.finish_raw, &ev.finish);

	if (e)
		return fail(c, why.n ? why : GW_LIT("the provider ended its answer with an error"),
			    e == GW_E_UP_TIMEOUT ? 504 : 502);
	e = close_block(c);
	if (!e && u.is_known)
		e = send(c, &(struct ir_event){ .kind = IR_EV_USAGE, .usage = u });
	if (!e)
		e = send(c, &ev);
	c->r->has_ended = true;
	return e ? e : send(c, &(struct ir_event){ .kind = IR_EV_END, .usage = u });
}

enum gw_err cohere_event_read(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx)
{
	const struct ctx c = { st, st->own, fn, ctx };
	const yyjson_val *root, *delta, *m;
	struct gw_str type;
	enum gw_err e;

	if (c.r->has_ended)
		return GW_OK;
	e = gw_frame_tree(st, f, &root, &type);
	if (e || !root)
		return e;
	if (!type.n && cohere_str(cohere_get(root, "message")).n)
		return fail(&c, gw_json_str(cohere_get(root, "message")), 0);
	delta = cohere_get(root, "delta");
	m = cohere_get(delta, "message");
	e = start(&c, cohere_str(cohere_get(root, "id")));
	if (e)
		return e;
#define IS(word) gw_str_eq(type, GW_LIT(word))
	if (IS("content-delta") || IS("content-start")) {
		e = on_logprobs(&c, cohere_get(root, "logprobs"));
		return e ? e : on_content(&c, cohere_get(m, "content"), IS("content-start"));
	}
	if (IS("tool-plan-delta"))
		return on_plan(&c, cohere_str(cohere_get(m, "tool_plan")));
	if (IS("tool-call-start") || IS("tool-call-delta"))
		return on_call(&c, cohere_get(m, "tool_calls"), IS("tool-call-start"));
	if (IS("content-end") || IS("tool-call-end"))
		return close_block(&c);
	if (IS("citation-start"))
		return on_citation(&c, cohere_get(m, "citations"));
	return IS("message-end") ? on_end(&c, delta) : GW_OK;
#undef IS
}

enum gw_err cohere_end_read(struct gw_stream_state *st, ir_event_fn *fn, void *ctx)
{
	const struct reader *r = st->own;

	(void)fn, (void)ctx;
	return r->has_ended ? GW_OK : GW_E_UP_CUT;
}

/* ---- writing ---- */

struct writer {
	bool has_started, has_ended, is_open, has_call;
	enum ir_block_kind kind;
	uint32_t content, call, citation; /* the next index of each; of the open one */
	enum ir_finish finish;
	struct gw_usage usage;
	struct gw_buf probs; /* log probabilities that came before their text's block: an object a line */
};
static_assert(sizeof(struct writer) <= COHERE_STATE_BYTES, "the stream keeps room for it");

#define PUT(out, literal) gw_buf_puts((out), GW_LIT(literal))

static void message_start(struct gw_stream_state *st, struct writer *w, struct gw_buf *out)
{
	w->has_started = true;
	PUT(out, "event: message-start\ndata: {\"type\":\"message-start\",\"id\":");
	gw_json_quote(out, st->carry->request_id);
	PUT(out, ",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],"
		 "\"citations\":[]}}}\n\n");
}

static void block_end(struct writer *w, struct gw_buf *out)
{
	bool is_call = w->kind == IR_TOOL_CALL;

	if (!w->is_open)
		return;
	w->is_open = false;
	if (is_call)
		PUT(out, "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":");
	else
		PUT(out, "event: content-end\ndata: {\"type\":\"content-end\",\"index\":");
	gw_buf_put_u64(out, is_call ? w->call++ : w->content++);
	PUT(out, "}\n\n");
}

static void call_start(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_str id = ev->start.id;

	if (!id.n)
		id = ir_make_id(st->scratch, "call_", st->carry->seed, ev->block, 24);
	w->has_call = true;
	PUT(out, "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":");
	gw_buf_put_u64(out, w->call);
	PUT(out, ",\"delta\":{\"message\":{\"tool_calls\":{\"id\":");
	gw_json_quote(out, id);
	PUT(out, ",\"type\":\"function\",\"function\":{\"name\":");
	gw_json_quote(out, ev->start.name);
	PUT(out, ",\"arguments\":\"\"}}}}}\n\n");
}

enum { PROBS_BYTES = 16 << 10 };

/* Those told before the block of their text: here is the block. */
static void probs_flush(struct writer *w, struct gw_buf *out)
{
	struct gw_str rest = gw_buf_view(&w->probs), one;

	while (gw_str_cut(rest, '\n', &one, &rest)) {
		PUT(out, "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":");
		gw_buf_put_u64(out, w->content);
		PUT(out, ",\"delta\":{\"message\":{\"content\":{\"text\":\"\"}}},\"logprobs\":");
		gw_buf_puts(out, one);
		PUT(out, "}\n\n");
	}
	gw_buf_clear(&w->probs, PROBS_BYTES);
}

static void logprobs(struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_get(ev->logprobs, "content"));
	struct gw_json_out jw;

	if (!w->probs.max)
		gw_buf_init(&w->probs, PROBS_BYTES);
	for (yyjson_val *t; (t = yyjson_arr_iter_next(&it));) {
		gw_jw_init(&jw, &w->probs);
		cohere_logprob_write(&jw, t);
		gw_buf_putc(&w->probs, '\n');
	}
	if (w->probs.err)
		gw_buf_clear(&w->probs, 0);
	else if (w->is_open && w->kind == IR_TEXT)
		probs_flush(w, out);
}

static void block_start(struct gw_stream_state *st, struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	enum ir_block_kind kind = ev->start.kind == IR_REFUSAL ? IR_TEXT : ev->start.kind;

	block_end(w, out);
	if (kind == IR_TOOL_CALL)
		gw_buf_clear(&w->probs, 0); /* of its arguments, which have no place for them */
	if (kind == IR_REASONING && (!st->carry->wants_reasoning_text || ev->start.is_redacted))
		return;
	if (kind != IR_TEXT && kind != IR_REASONING && kind != IR_TOOL_CALL)
		return;
	w->is_open = true;
	w->kind = kind;
	if (kind == IR_TOOL_CALL) {
		call_start(st, w, ev, out);
		return;
	}
	PUT(out, "event: content-start\ndata: {\"type\":\"content-start\",\"index\":");
	gw_buf_put_u64(out, w->content);
	if (kind == IR_TEXT)
		PUT(out, ",\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n"),
		    probs_flush(w, out);
	else
		PUT(out, ",\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}}}\n\n");
}

static void citation(struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	struct gw_json_out jw;

	PUT(out, "event: citation-start\ndata: {\"type\":\"citation-start\",\"index\":");
	gw_buf_put_u64(out, w->citation);
	PUT(out, ",\"delta\":{\"message\":{\"citations\":");
	gw_jw_init(&jw, out);
	cohere_citation_write(&jw, ev->citation);
	PUT(out, "}}}\n\nevent: citation-end\ndata: {\"type\":\"citation-end\",\"index\":");
	gw_buf_put_u64(out, w->citation++);
	PUT(out, "}\n\n");
}

static void delta(struct writer *w, const struct ir_event *ev, struct gw_buf *out)
{
	if (!w->is_open)
		return;
	if (ev->delta == IR_DELTA_CITATION && w->kind == IR_TEXT && ev->citation)
		citation(w, ev, out);
	if (!ev->text.n)
		return;
	if (ev->delta == IR_DELTA_ARGS && w->kind == IR_TOOL_CALL) {
		PUT(out, "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":");
		gw_buf_put_u64(out, w->call);
		PUT(out, ",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":");
		gw_json_quote(out, ev->text);
		PUT(out, "}}}}}\n\n");
	} else if (ev->delta == IR_DELTA_TEXT && w->kind != IR_TOOL_CALL) {
		PUT(out, "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":");
		gw_buf_put_u64(out, w->content);
		if (w->kind == IR_TEXT)
			PUT(out, ",\"delta\":{\"message\":{\"content\":{\"text\":");
		else
			PUT(out, ",\"delta\":{\"message\":{\"content\":{\"thinking\":");
		gw_json_quote(out, ev->text);
		PUT(out, "}}}}\n\n");
	}
}

static void message_end(struct writer *w, struct gw_buf *out)
{
	struct gw_json_out jw;

	block_end(w, out);
	PUT(out, "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":");
	gw_json_quote(out, cohere_finish_write(w->finish, w->has_call));
	PUT(out, ",\"usage\":");
	gw_jw_init(&jw, out);
	cohere_usage_write(&jw, &w->usage);
	PUT(out, "}}\n\ndata: [DONE]\n\n");
	w->has_ended = true;
}

void cohere_writer_done(struct gw_stream_state *st)
{
	gw_buf_done(&((struct writer *)st->own)->probs);
}

enum gw_err cohere_event_write(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *w = st->own;

	if (ev->choice || w->has_ended)
		return GW_OK;
	if (!w->has_started && ev->kind != IR_EV_PING)
		message_start(st, w, out);
	switch (ev->kind) {
	case IR_EV_BLOCK_START:
		block_start(st, w, ev, out);
		break;
	case IR_EV_DELTA:
		delta(w, ev, out);
		break;
	case IR_EV_LOGPROBS:
		logprobs(w, ev, out);
		break;
	case IR_EV_BLOCK_STOP:
		block_end(w, out);
		break;
	case IR_EV_FINISH:
		w->finish = ev->finish;
		break;
	case IR_EV_USAGE:
	case IR_EV_END:
		if (ev->usage.is_known)
			w->usage = ev->usage;
		if (ev->kind == IR_EV_END)
			message_end(w, out);
		break;
	default:
		break;
	}
	return out->err;
}
