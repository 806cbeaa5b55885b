/* Streams of Anthropic into events of the IR. Its blocks are numbered by themselves and come one after the other; other vendors of the format
 * are not always so strict, and broken proxies send a message's beginning twice or splice two messages. */
#include "core/dialect/anthropic/anthropic.h"

enum { MAX_OPEN = 16 };

struct open_block {
	uint64_t wire; /* its index in the stream */
	uint32_t ir; /* in the IR */
	enum ir_block_kind kind;
	bool is_whole; /* came complete: deltas say nothing new */
	bool has_args, is_json; /* a call: some came; it stands for the schema's answer */
};
struct reader {
	bool has_started, has_finished, has_ended;
	uint32_t n_blocks, n_open, n_calls;
	struct open_block open[MAX_OPEN];
	struct anthropic_usage usage;
	char tier[16], id[64];
	uint8_t tier_n, id_n;
};
static_assert(sizeof(struct reader) <= ANTHROPIC_READER_BYTES, "the stream keeps room for it");

struct ctx {
	struct gw_stream_state *st;
	struct reader *r;
	ir_event_fn *fn;
	void *arg;
};

static enum gw_err send(struct ctx *c, struct ir_event *ev)
{
	return c->fn(c->arg, ev);
}

static enum gw_err send_text(struct ctx *c, const struct open_block *b, enum ir_delta_kind kind, struct gw_str text)
{
	if (!text.n)
		return GW_OK;
	return send(c, &(struct ir_event){ .kind = IR_EV_DELTA,
					   .block = b->ir,
					   .delta = b->is_json && kind == IR_DELTA_ARGS ? IR_DELTA_TEXT : kind,
					   .text = text,
					   .signature_of = GW_D_ANTHROPIC });
}

static struct open_block *find(struct reader *r, const yyjson_val *root)
{
	uint64_t wire = yyjson_get_uint(anthropic_get(root, "index"));

	for (uint32_t i = 0; i < r->n_open; i++) {
		if (r->open[i].wire == wire)
			return &r->open[i];
	}
	return NULL;
}

static enum gw_err close_block(struct ctx *c, struct open_block *b)
{
	struct reader *r = c->r;
	struct open_block gone = *b;
	enum gw_err e = GW_OK;

	*b = r->open[--r->n_open];
	if (gone.kind == IR_TOOL_CALL && !gone.has_args) /* a tool without arguments may send none at all */
		e = send_text(c, &gone, IR_DELTA_ARGS, GW_LIT("{}"));
	return e ? e : send(c, &(struct ir_event){ .kind = IR_EV_BLOCK_STOP, .block = gone.ir });
}

static enum gw_err close_all(struct ctx *c)
{
	enum gw_err e = GW_OK;

	while (!e && c->r->n_open)
		e = close_block(c, &c->r->open[0]);
	return e;
}

static struct gw_usage usage_of(const struct reader *r)
{
	return anthropic_usage_out(&r->usage);
}

static enum gw_err send_usage(struct ctx *c, enum ir_event_kind kind)
{
	return send(c, &(struct ir_event){
			   .kind = kind, .usage = usage_of(c->r), .service_tier = gw_str(c->r->tier, c->r->tier_n) });
}

static enum gw_err usage_read(struct ctx *c, const yyjson_val *usage)
{
	struct gw_str tier = anthropic_str(anthropic_get(usage, "service_tier"));

	anthropic_usage_take(&c->r->usage, usage);
	if (tier.n && tier.n <= sizeof(c->r->tier)) {
		memcpy(c->r->tier, tier.p, tier.n);
		c->r->tier_n = (uint8_t)tier.n;
	}
	return c->r->usage.is_known ? send_usage(c, IR_EV_USAGE) : GW_OK;
}

/* ---- the message ---- */

static enum gw_err on_start(struct ctx *c, const yyjson_val *root)
{
	const yyjson_val *m = anthropic_get(root, "message");
	struct gw_str id = anthropic_str(anthropic_get(m, "id"));
	struct reader *r = c->r;
	enum gw_err e = GW_OK;

	if (!r->has_started) {
		r->has_started = true;
		e = send(c, &(struct ir_event){
				.kind = IR_EV_START, .id = id, .model = anthropic_str(anthropic_get(m, "model")) });
	} else if (!gw_str_eq(id, gw_str(r->id, r->id_n))) {
		e = close_all(c); /* another message: what was open will not go on, and indices begin anew */
	}
	if (id.n <= sizeof(r->id)) {
		memcpy(r->id, id.p ? id.p : "", id.n);
		r->id_n = (uint8_t)id.n;
	}
	return e ? e : usage_read(c, anthropic_get(m, "usage"));
}

/* Streams of other vendors may leave the beginning out. */
static enum gw_err start_if_needed(struct ctx *c)
{
	if (c->r->has_started)
		return GW_OK;
	c->r->has_started = true;
	return send(c, &(struct ir_event){ .kind = IR_EV_START });
}

/* ---- blocks ---- */

static struct open_block *add_open(struct ctx *c, const yyjson_val *root, enum ir_block_kind kind)
{
	struct open_block *b;

	if (c->r->n_open == MAX_OPEN)
		return NULL;
	b = &c->r->open[c->r->n_open++];
	*b = (struct open_block){ .wire = yyjson_get_uint(anthropic_get(root, "index")),
				  .ir = c->r->n_blocks++,
				  .kind = kind };
	return b;
}

static enum ir_block_kind kind_of(const yyjson_val *block)
{
	const yyjson_val *type = anthropic_get(block, "type");

	if (anthropic_is(type, "text"))
		return IR_TEXT;
	if (anthropic_is(type, "tool_use"))
		return IR_TOOL_CALL;
	return anthropic_is(type, "thinking") || anthropic_is(type, "redacted_thinking") ? IR_REASONING : IR_OTHER;
}

static void start_of_call(struct ctx *c, const yyjson_val *v, struct ir_event *ev, struct open_block *b)
{
	const struct gw_carry *carry = c->st->carry;
	struct gw_str name = anthropic_str(anthropic_get(v, "name"));

	if (carry->is_json_tool && gw_str_eq(name, carry->json_tool)) {
		b->is_json = true;
		b->kind = ev->start.kind = IR_TEXT;
		return;
	}
	c->r->n_calls++;
	ev->start.id = anthropic_str(anthropic_get(v, "id"));
	ev->start.name = gw_carry_name_back(carry, name);
}

static void start_of_thinking(const yyjson_val *v, struct ir_event *ev, struct open_block *b)
{
	if (!anthropic_is(anthropic_get(v, "type"), "redacted_thinking"))
		return;
	b->is_whole = ev->start.is_redacted = true;
	ev->start.signature = anthropic_str(anthropic_get(v, "data"));
	ev->start.signature_of = GW_D_ANTHROPIC;
}

/* What the start of a block already holds, as deltas. */
static enum gw_err first_words(struct ctx *c, const yyjson_val *v, struct open_block *b)
{
	yyjson_val *input = anthropic_get(v, "input");
	struct ir_block cited = { 0 };
	enum gw_err e = GW_OK;

	if (b->kind == IR_TEXT && !b->is_json)
		e = send_text(c, b, IR_DELTA_TEXT, anthropic_str(anthropic_get(v, "text")));
	if (b->kind == IR_REASONING && !b->is_whole) {
		e = send_text(c, b, IR_DELTA_TEXT, anthropic_str(anthropic_get(v, "thinking")));
		if (!e)
			e = send_text(c, b, IR_DELTA_SIGNATURE, anthropic_str(anthropic_get(v, "signature")));
	}
	if ((b->kind == IR_TOOL_CALL || b->is_json) && yyjson_obj_size(input) > 0) {
		b->has_args = b->is_whole = true; /* usually {}, which is only a placeholder */
		struct gw_str args = anthropic_json(c->st->scratch, input);

		e = args.p ? send_text(c, b, IR_DELTA_ARGS, args) : GW_E_NOMEM;
	}
	if (e || b->kind != IR_TEXT)
		return e;
	e = anthropic_citations_read(c->st->scratch, anthropic_get(v, "citations"), &cited);
	for (struct ir_citation *ct = cited.citations; ct && !e; ct = ct->next)
		e = send(c, &(struct ir_event){
				.kind = IR_EV_DELTA, .block = b->ir, .delta = IR_DELTA_CITATION, .citation = ct });
	return e;
}

static enum gw_err on_block_start(struct ctx *c, const yyjson_val *root)
{
	const yyjson_val *v = anthropic_get(root, "content_block");
	struct ir_event ev = { .kind = IR_EV_BLOCK_START };
	struct open_block *b = find(c->r, root);
	enum gw_err e = b ? close_block(c, b) : GW_OK;

	if (e || !anthropic_str(anthropic_get(v, "type")).n)
		return e;
	b = add_open(c, root, kind_of(v));
	if (!b)
		return GW_E_UP_GARBLED;
	ev.block = b->ir;
	ev.start.kind = b->kind;
	ev.start.signature_of = ev.start.other_of = GW_D_NONE;
	if (b->kind == IR_TOOL_CALL)
		start_of_call(c, v, &ev, b);
	else if (b->kind == IR_REASONING)
		start_of_thinking(v, &ev, b);
	if (b->kind == IR_OTHER) {
		ev.start.other_of = GW_D_ANTHROPIC;
		ev.start.other = v;
		b->is_whole = true;
	}
	e = send(c, &ev);
	return e ? e : first_words(c, v, b);
}

/* A delta of text or thinking whose block never began. */
static enum gw_err open_late(struct ctx *c, const yyjson_val *root, struct open_block **out)
{
	const yyjson_val *type = anthropic_get(anthropic_get(root, "delta"), "type");
	struct ir_event ev = { .kind = IR_EV_BLOCK_START };

	*out = NULL;
	if (!anthropic_is(type, "text_delta") && !anthropic_is(type, "thinking_delta"))
		return GW_OK;
	*out = add_open(c, root, anthropic_is(type, "text_delta") ? IR_TEXT : IR_REASONING);
	if (!*out)
		return GW_E_UP_GARBLED;
	ev.block = (*out)->ir;
	ev.start.kind = (*out)->kind;
	ev.start.signature_of = ev.start.other_of = GW_D_NONE;
	return send(c, &ev);
}

static enum gw_err on_delta(struct ctx *c, const yyjson_val *root)
{
	const yyjson_val *d = anthropic_get(root, "delta"), *type = anthropic_get(d, "type");
	struct open_block *b = find(c->r, root);
	struct ir_citation ct = { .start = -1, .end = -1 };
	struct gw_str args;
	enum gw_err e = b ? GW_OK : open_late(c, root, &b);

	if (e || !b || b->is_whole)
		return e;
	if (b->kind == IR_TEXT && !b->is_json && anthropic_is(type, "text_delta"))
		return send_text(c, b, IR_DELTA_TEXT, anthropic_str(anthropic_get(d, "text")));
	if (b->kind == IR_REASONING && anthropic_is(type, "thinking_delta"))
		return send_text(c, b, IR_DELTA_TEXT, anthropic_str(anthropic_get(d, "thinking")));
	if (b->kind == IR_REASONING && anthropic_is(type, "signature_delta"))
		return send_text(c, b, IR_DELTA_SIGNATURE, anthropic_str(anthropic_get(d, "signature")));
	if ((b->kind == IR_TOOL_CALL || b->is_json) && anthropic_is(type, "input_json_delta")) {
		args = anthropic_str(anthropic_get(d, "partial_json"));
		b->has_args |= args.n > 0;
		return send_text(c, b, IR_DELTA_ARGS, args);
	}
	if (b->kind != IR_TEXT || b->is_json || !anthropic_is(type, "citations_delta") ||
	    !yyjson_is_obj(anthropic_get(d, "citation")))
		return GW_OK;
	anthropic_citation_take(&ct, anthropic_get(d, "citation"));
	return send(
	    c, &(struct ir_event){ .kind = IR_EV_DELTA, .block = b->ir, .delta = IR_DELTA_CITATION, .citation = &ct });
}

/* ---- the end ---- */

/* The words of a refusal, as a block of their own. */
static enum gw_err send_details(struct ctx *c, const yyjson_val *delta)
{
	struct gw_str words = anthropic_str(anthropic_get(anthropic_get(delta, "stop_details"), "explanation"));
	struct open_block b = { .ir = c->r->n_blocks, .kind = IR_REFUSAL };
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .block = b.ir };
	enum gw_err e;

	if (!words.n)
		return GW_OK;
	c->r->n_blocks++;
	ev.start.kind = IR_REFUSAL;
	ev.start.form = ANTHROPIC_B_DETAILS;
	ev.start.signature_of = ev.start.other_of = GW_D_NONE;
	e = send(c, &ev);
	if (!e)
		e = send_text(c, &b, IR_DELTA_TEXT, words);
	return e ? e : send(c, &(struct ir_event){ .kind = IR_EV_BLOCK_STOP, .block = b.ir });
}

static enum gw_err finish(struct ctx *c, const yyjson_val *delta)
{
	struct gw_str word = anthropic_str(anthropic_get(delta, "stop_reason"));
	struct ir_event ev = { .kind = IR_EV_FINISH, .finish_raw = word };
	enum gw_err e = close_all(c);

	if (e || c->r->has_finished)
		return e;
	c->r->has_finished = true;
	ev.finish = word.n ? anthropic_finish_read(word) : IR_FINISH_STOP;
	if (ev.finish == IR_FINISH_TOOL_CALLS && c->st->carry->is_json_tool && !c->r->n_calls)
		ev.finish = IR_FINISH_STOP;
	ev.stop_sequence = anthropic_str(anthropic_get(delta, "stop_sequence"));
	if (ev.finish == IR_FINISH_REFUSAL)
		e = send_details(c, delta);
	return e ? e : send(c, &ev);
}

static enum gw_err on_message_delta(struct ctx *c, const yyjson_val *root)
{
	const yyjson_val *d = anthropic_get(root, "delta");
	enum gw_err e = usage_read(c, anthropic_get(root, "usage"));

	if (!e && anthropic_str(anthropic_get(d, "stop_reason")).n)
		e = finish(c, d);
	return e;
}

static enum gw_err end(struct ctx *c)
{
	enum gw_err e = finish(c, NULL);

	c->r->has_ended = true;
	return e ? e : send_usage(c, IR_EV_END);
}

static enum gw_err on_error(struct ctx *c, const struct gw_frame *f, const yyjson_val *root)
{
	static const struct {
		const char *type;
		int status;
	} rows[] = { { "invalid_request_error", 400 }, { "authentication_error", 401 },
		     { "billing_error", 402 },         { "permission_error", 403 },
		     { "not_found_error", 404 },       { "request_too_large", 413 },
		     { "rate_limit_error", 429 },      { "api_error", 500 },
		     { "timeout_error", 504 },         { "overloaded_error", 529 } };
	const yyjson_val *type = anthropic_get(anthropic_get(root, "error"), "type");
	struct ir_event ev = { .kind = IR_EV_ERROR, .error_json = f->data };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (anthropic_is(type, rows[i].type))
			ev.error_status = rows[i].status;
	}
	c->r->has_ended = true;
	return send(c, &ev);
}

/* ---- frames ---- */

enum gw_err anthropic_event_read(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx)
{
	struct ctx c = { st, st->own, fn, ctx };
	const yyjson_val *root;
	struct gw_str type;
	enum gw_err e;

	if (c.r->has_ended)
		return GW_OK;
	e = gw_frame_tree(st, f, &root, &type);
	if (e || !root)
		return e;
#define IS(word) gw_str_eq(type, GW_LIT(word))
	if (IS("error"))
		return on_error(&c, f, root);
	if (IS("message_start"))
		return on_start(&c, root);
	if (IS("ping"))
		return c.r->has_started ? send(&c, &(struct ir_event){ .kind = IR_EV_PING }) : GW_OK;
	if (c.r->has_finished && !IS("message_stop") && !IS("message_delta"))
		return GW_OK;
	e = start_if_needed(&c);
	if (e)
		return e;
	if (IS("content_block_delta"))
		return on_delta(&c, root);
	if (IS("content_block_start"))
		return on_block_start(&c, root);
	if (IS("content_block_stop")) {
		struct open_block *b = find(c.r, root);

		return b ? close_block(&c, b) : GW_OK;
	}
	if (IS("message_delta"))
		return on_message_delta(&c, root);
	return IS("message_stop") ? end(&c) : GW_OK;
#undef IS
}

enum gw_err anthropic_end_read(struct gw_stream_state *st, ir_event_fn *fn, void *ctx)
{
	struct ctx c = { st, st->own, fn, ctx };

	if (c.r->has_ended)
		return GW_OK;
	return c.r->has_finished ? end(&c) : GW_E_UP_CUT; /* the last event may be missing, the reason may not */
}
