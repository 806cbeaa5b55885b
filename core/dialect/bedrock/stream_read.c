/* ConverseStream into events. Text and reasoning blocks begin with their first delta (there is no contentBlockStart for them); a text stays open
 * past its stop, because citations come in blocks of their own behind it. messageStop comes before the usage. Every payload has a padding
 * member "p", which nobody looks at. Calls and results of the provider's own tools are passed over. */
#include "core/dialect/bedrock/bedrock.h"

enum { REASON_BYTES = 48 };

struct reader {
	bool has_started, is_open, has_args, is_stopped, is_ended, has_redacted;
	bool is_json, has_call; /* the open block is the schema's answer; there was a call of the client's own tools */
	enum ir_block_kind kind;
	uint32_t block; /* number of the open one, or of the next */
	int64_t index; /* the wire's number of the open one */
	uint8_t reason_n;
	char reason[REASON_BYTES];
	struct gw_usage usage;
};
_Static_assert(sizeof(struct reader) <= BEDROCK_READER_BYTES, "room for the reader");

struct run {
	struct gw_stream_state *st;
	struct reader *r;
	ir_event_fn *fn;
	void *ctx;
};

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static const yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return gw_json_get(obj, gw_str_z(key));
}

static enum gw_err send(struct run *u, struct ir_event ev)
{
	ev.block = u->r->block;
	return u->fn(u->ctx, &ev);
}

static enum gw_err start(struct run *u)
{
	if (u->r->has_started)
		return GW_OK;
	u->r->has_started = true;
	return send(u, (struct ir_event){ .kind = IR_EV_START });
}

static enum gw_err close_block(struct run *u)
{
	enum gw_err e = GW_OK;

	if (!u->r->is_open)
		return GW_OK;
	if (u->r->kind == IR_TOOL_CALL && !u->r->has_args)
		e = send(u, (struct ir_event){ .kind = IR_EV_DELTA, .delta = IR_DELTA_ARGS, .text = GW_LIT("{}") });
	if (!e)
		e = send(u, (struct ir_event){ .kind = IR_EV_BLOCK_STOP });
	u->r->is_open = false;
	u->r->block++;
	return e;
}

static enum gw_err open_block(struct run *u, struct ir_block start_block, int64_t index)
{
	enum gw_err e = close_block(u);

	if (e)
		return e;
	start_block.other_of = GW_D_NONE;
	if (!start_block.is_redacted)
		start_block.signature_of = GW_D_NONE;
	u->r->is_open = true;
	u->r->has_args = u->r->is_json = false;
	u->r->has_redacted = start_block.is_redacted;
	u->r->kind = start_block.kind;
	u->r->index = index;
	return send(u, (struct ir_event){ .kind = IR_EV_BLOCK_START, .start = start_block });
}

static enum gw_err take_start(struct run *u, const yyjson_val *root, int64_t index)
{
	const yyjson_val *call = get(get(root, "start"), "toolUse");
	struct ir_block b = { .kind = IR_TOOL_CALL };

	if (!yyjson_is_obj(mut(call)))
		return GW_OK;
	if (gw_str_eq(gw_json_str(get(call, "type")), GW_LIT("server_tool_use")))
		return close_block(u);
	if (bedrock_is_json_tool(u->st->carry, gw_json_str(get(call, "name")))) {
		enum gw_err e = open_block(u, (struct ir_block){ .kind = IR_TEXT }, index);

		u->r->is_json = true;
		return e;
	}
	u->r->has_call = true;
	b.id = gw_json_str(get(call, "toolUseId"));
	b.name = gw_carry_name_back(u->st->carry, gw_json_str(get(call, "name")));
	if (!b.id.n)
		b.id = ir_make_id(u->st->scratch, "tooluse_", u->st->carry->seed, u->r->block, 22);
	return b.id.p ? open_block(u, b, index) : GW_E_NOMEM;
}

/* A piece of text or reasoning, in the open block of its kind or in a new one. */
static enum gw_err take_words(struct run *u, enum ir_block_kind kind, enum ir_delta_kind delta, struct gw_str words,
			      int64_t index)
{
	bool is_fit =
	    u->r->is_open && u->r->kind == kind && (kind == IR_TEXT || u->r->index == index) && !u->r->has_redacted;
	enum gw_err e = GW_OK;

	if (!words.n)
		return GW_OK;
	if (!is_fit)
		e = open_block(u, (struct ir_block){ .kind = kind }, index);
	return e ? e
		 : send(u, (struct ir_event){
			       .kind = IR_EV_DELTA, .delta = delta, .text = words, .signature_of = GW_D_BEDROCK });
}

static enum gw_err take_reasoning(struct run *u, const yyjson_val *v, int64_t index)
{
	struct gw_str red = gw_json_str(get(v, "redactedContent"));

	if (red.n) {
		enum gw_err e = open_block(
		    u,
		    (struct ir_block){
			.kind = IR_REASONING, .is_redacted = true, .signature = red, .signature_of = GW_D_BEDROCK },
		    index);

		return e ? e : close_block(u);
	}
	if (get(v, "signature"))
		return take_words(u, IR_REASONING, IR_DELTA_SIGNATURE, gw_json_str(get(v, "signature")), index);
	return take_words(u, IR_REASONING, IR_DELTA_TEXT, gw_json_str(get(v, "text")), index);
}

static enum gw_err take_citation(struct run *u, const yyjson_val *v)
{
	struct ir_block holder = { .kind = IR_TEXT };

	if (!u->r->is_open || u->r->kind != IR_TEXT)
		return GW_OK;
	if (!bedrock_citation_read(u->st->scratch, v, &holder))
		return GW_E_NOMEM;
	if (!holder.citations)
		return GW_OK;
	return send(u,
		    (struct ir_event){ .kind = IR_EV_DELTA, .delta = IR_DELTA_CITATION, .citation = holder.citations });
}

static enum gw_err take_delta(struct run *u, const yyjson_val *root, int64_t index)
{
	const yyjson_val *d = get(root, "delta"), *v;
	struct gw_str args;

	if ((v = get(d, "text")))
		return take_words(u, IR_TEXT, IR_DELTA_TEXT, gw_json_str(v), index);
	if ((v = get(d, "reasoningContent")))
		return take_reasoning(u, v, index);
	if ((v = get(d, "citation")))
		return take_citation(u, v);
	args = gw_json_str(get(get(d, "toolUse"), "input"));
	if (!args.n || !u->r->is_open || u->r->index != index)
		return GW_OK;
	if (u->r->is_json)
		return send(u, (struct ir_event){ .kind = IR_EV_DELTA, .delta = IR_DELTA_TEXT, .text = args });
	if (u->r->kind != IR_TOOL_CALL)
		return GW_OK;
	u->r->has_args = true;
	return send(u, (struct ir_event){ .kind = IR_EV_DELTA, .delta = IR_DELTA_ARGS, .text = args });
}

/* ---- the end ---- */

static enum gw_err end(struct run *u)
{
	u->r->is_ended = true;
	return send(u, (struct ir_event){ .kind = IR_EV_END, .usage = u->r->usage });
}

static enum gw_err take_stop(struct run *u, const yyjson_val *root)
{
	struct gw_str reason = gw_json_str(get(root, "stopReason"));
	struct ir_event ev = { .kind = IR_EV_FINISH, .finish = bedrock_finish_read(reason), .finish_raw = reason };
	enum gw_err e = close_block(u);

	if (e || u->r->is_stopped)
		return e;
	u->r->is_stopped = true;
	if (ev.finish == IR_FINISH_TOOL_CALLS && u->st->carry->is_json_tool && !u->r->has_call)
		ev.finish = IR_FINISH_STOP;
	if (bedrock_finish_is_broken(reason) && !u->r->block)
		return send(u, (struct ir_event){
				   .kind = IR_EV_ERROR,
				   .error_status = 502,
				   .error_json = GW_LIT(
				       "{\"__type\":\"ModelErrorException\",\"message\":\"the model's answer was "
				       "malformed and nothing of it could be used\"}") });
	ev.stop_sequence = gw_json_str(get(get(get(root, "additionalModelResponseFields"), "delta"), "stop_sequence"));
	return send(u, ev);
}

static enum gw_err take_usage(struct run *u, const yyjson_val *root)
{
	enum gw_err e;

	bedrock_usage_read(get(root, "usage"), &u->r->usage);
	e = send(u, (struct ir_event){ .kind = IR_EV_USAGE,
				       .usage = u->r->usage,
				       .service_tier = gw_json_str(get(get(root, "serviceTier"), "type")) });
	return !e && u->r->is_stopped && !u->r->is_ended ? end(u) : e;
}

/* ---- exceptions ---- */

static int status_of(struct gw_str name)
{
	static const struct {
		const char *name;
		int status;
	} rows[] = { { "validationException", 400 },       { "accessDeniedException", 403 },
		     { "resourceNotFoundException", 404 }, { "modelTimeoutException", 408 },
		     { "modelErrorException", 424 },       { "modelStreamErrorException", 424 },
		     { "throttlingException", 429 },       { "serviceQuotaExceededException", 429 },
		     { "internalServerException", 500 },   { "serviceUnavailableException", 503 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (gw_str_ieq(gw_str_z(rows[i].name), name))
			return rows[i].status;
	}
	return 500;
}

/* As AWS tells errors outside of streams: the name in __type. */
static enum gw_err take_exception(struct run *u, const struct gw_frame *f)
{
	struct ir_event ev = { .kind = IR_EV_ERROR, .error_status = status_of(f->event) };
	const yyjson_val *root = NULL;
	struct gw_str message = f->data;
	struct gw_json_out w;
	struct gw_buf b;

	if (gw_json_tree(u->st->scratch, f->data, NULL, &root, NULL) == GW_OK && yyjson_is_obj(mut(root)))
		message = gw_json_str(get(root, "message"));
	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "__type", f->event);
	gw_jw_kstr(&w, "message", message.n > 8192 ? gw_str(message.p, 8192) : message);
	gw_jw_end_obj(&w);
	ev.error_json = b.err ? GW_NIL : gw_arena_str(u->st->scratch, gw_buf_view(&b));
	gw_buf_done(&b);
	return ev.error_json.p ? send(u, ev) : GW_E_NOMEM;
}

enum gw_err bedrock_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx)
{
	struct run u = { .st = st, .r = st->own, .fn = fn, .ctx = ctx };
	const yyjson_val *root, *v;
	int64_t index = 0;
	enum gw_err e;

	if (f->is_exception)
		return take_exception(&u, f);
	if (u.r->is_ended)
		return GW_OK;
	e = gw_json_tree(st->scratch, f->data, NULL, &root, NULL);
	if (e)
		return e == GW_E_SYNTAX ? GW_E_UP_GARBLED : e;
	v = get(root, "contentBlockIndex");
	if (yyjson_is_uint(mut(v)))
		index = (int64_t)(yyjson_get_uint(mut(v)) & INT32_MAX);
	e = start(&u);
	if (e)
		return e;
	if (gw_str_eq(f->event, GW_LIT("contentBlockDelta")))
		return take_delta(&u, root, index);
	if (gw_str_eq(f->event, GW_LIT("contentBlockStart")))
		return take_start(&u, root, index);
	if (gw_str_eq(f->event, GW_LIT("contentBlockStop")))
		return u.r->is_open && u.r->kind != IR_TEXT && u.r->index == index ? close_block(&u) : GW_OK;
	if (gw_str_eq(f->event, GW_LIT("messageStop")))
		return take_stop(&u, root);
	if (gw_str_eq(f->event, GW_LIT("metadata")))
		return take_usage(&u, root);
	return GW_OK;
}

enum gw_err bedrock_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx)
{
	struct run u = { .st = st, .r = st->own, .fn = fn, .ctx = ctx };

	if (u.r->is_ended)
		return GW_OK;
	return u.r->is_stopped ? end(&u) : GW_E_UP_CUT;
}
