/* Gemini's stream into events. Each chunk is a whole reply object with what is new in it. There is no end mark: the connection closes, and
 * the stream is whole when every candidate has told why it finished. Finishing is held back until then, because calls and usage may still
 * come in or behind the chunk that tells the reason. */
#include "core/dialect/gemini/gemini.h"
#include "lib/text.h"

enum { REASON_BYTES = 40, TIER_BYTES = 24, PARTIAL_BYTES = 4 << 20 };

struct candidate {
	bool is_seen, is_open, has_calls, is_signed, is_ascii_lost;
	enum ir_block_kind kind; /* of the open block */
	uint32_t block; /* number of the open one, or of the next */
	uint64_t text_bytes;
	uint8_t reason_n;
	char reason[REASON_BYTES];
	struct gemini_partial partial;
};
struct reader {
	bool has_started;
	uint64_t calls;
	struct gemini_counts counts;
	struct gw_usage usage;
	uint8_t tier_n;
	char tier[TIER_BYTES];
	struct candidate c[GEMINI_CANDIDATES];
};
_Static_assert(sizeof(struct reader) <= GEMINI_READER_BYTES, "room for the reader");

struct run {
	struct gw_stream_state *st;
	struct reader *r;
	struct candidate *c;
	uint32_t index;
	ir_event_fn *fn;
	void *ctx;
};

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static struct gw_str word_of(const yyjson_val *obj, const char *key)
{
	return gw_json_str(gemini_get(obj, key));
}

static uint8_t keep(char *to, size_t room, struct gw_str s)
{
	size_t n = s.n < room ? s.n : room;

	if (n)
		memcpy(to, s.p, n);
	return (uint8_t)n;
}

static enum gw_err send(struct run *u, struct ir_event *ev)
{
	ev->choice = u->index;
	ev->block = u->c->block;
	return u->fn(u->ctx, ev);
}

static enum gw_err close_block(struct run *u)
{
	struct ir_event ev = { .kind = IR_EV_BLOCK_STOP };
	enum gw_err e;

	if (!u->c->is_open)
		return GW_OK;
	e = send(u, &ev);
	u->c->is_open = u->c->is_signed = false;
	u->c->block++;
	return e;
}

static enum gw_err open_block(struct run *u, const struct ir_block *start)
{
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .start = *start };
	enum gw_err e = close_block(u);

	if (e)
		return e;
	ev.start.text = ev.start.args = ev.start.signature = GW_NIL;
	ev.start.signature_of = GW_D_NONE;
	ev.start.next = NULL;
	u->c->kind = start->kind;
	u->c->is_open = true;
	return send(u, &ev);
}

static enum gw_err send_text(struct run *u, enum ir_delta_kind kind, struct gw_str text)
{
	struct ir_event ev = { .kind = IR_EV_DELTA, .delta = kind, .text = text, .signature_of = GW_D_GEMINI };

	return text.n ? send(u, &ev) : GW_OK;
}

static enum gw_err send_signature(struct run *u, const yyjson_val *part)
{
	struct gw_str s = word_of(part, "thoughtSignature");

	if (!s.n || !u->c->is_open)
		return GW_OK;
	u->c->is_signed = true;
	return send_text(u, IR_DELTA_SIGNATURE, s);
}

/* ---- parts ---- */

static enum gw_err take_text(struct run *u, const yyjson_val *part, struct gw_str text)
{
	struct ir_block start = { .kind = IR_TEXT, .signature_of = GW_D_NONE, .other_of = GW_D_NONE };
	enum gw_err e;

	if (yyjson_is_true(mut(gw_json_get(part, GW_LIT("thought")))))
		start.kind = IR_REASONING;
	if (text.n) {
		if (!u->c->is_open || u->c->kind != start.kind || u->c->is_signed) {
			e = open_block(u, &start);
			if (e)
				return e;
		}
		if (start.kind == IR_TEXT) {
			u->c->text_bytes += text.n;
			for (size_t i = 0; !u->c->is_ascii_lost && i < text.n; i++)
				u->c->is_ascii_lost = (uint8_t)text.p[i] >= 0x80;
		}
		e = send_text(u, IR_DELTA_TEXT, text);
		if (e)
			return e;
	}
	return send_signature(u, part);
}

static enum gw_err start_call(struct run *u, const yyjson_val *part, const yyjson_val *call)
{
	struct ir_block start = { .kind = IR_TOOL_CALL, .signature_of = GW_D_NONE, .other_of = GW_D_NONE };
	enum gw_err e;

	start.id = word_of(call, "id");
	start.name = gw_carry_name_back(u->st->carry, word_of(call, "name"));
	if (!start.id.n)
		start.id = ir_make_id(u->st->scratch, "call_", u->st->carry->seed,
				      ((uint64_t)u->index << 32) + u->r->calls, 24);
	u->r->calls++;
	u->c->has_calls = true;
	if (!start.id.p)
		return GW_E_NOMEM;
	e = open_block(u, &start);
	return e ? e : send_signature(u, part);
}

/* Pieces of arguments; the call ends when it says no more that it goes on. */
static enum gw_err take_pieces(struct run *u, const yyjson_val *call)
{
	const yyjson_val *pieces = gemini_get(call, "partialArgs");
	bool is_good = true;
	yyjson_arr_iter it;
	yyjson_val *p;
	struct gw_buf b;
	enum gw_err e;

	gw_buf_init(&b, PARTIAL_BYTES);
	if (yyjson_is_arr(mut(pieces))) {
		yyjson_arr_iter_init(mut(pieces), &it);
		while (is_good && (p = yyjson_arr_iter_next(&it)))
			is_good = gemini_partial_take(&u->c->partial, p, &b);
	}
	if (is_good && !yyjson_is_true(mut(gemini_get(call, "willContinue"))))
		gemini_partial_close(&u->c->partial, &b);
	e = !is_good ? GW_E_UP_GARBLED : b.err ? GW_E_UP_TOO_BIG : send_text(u, IR_DELTA_ARGS, gw_buf_view(&b));
	gw_buf_done(&b);
	if (!e && !u->c->partial.is_open)
		e = close_block(u);
	return e;
}

/* A call that was announced to go on and does not. */
static enum gw_err end_partial(struct run *u)
{
	struct gw_buf b;
	enum gw_err e;

	if (!u->c->partial.is_open)
		return GW_OK;
	gw_buf_init(&b, PARTIAL_BYTES);
	gemini_partial_close(&u->c->partial, &b);
	e = b.err ? GW_E_NOMEM : send_text(u, IR_DELTA_ARGS, gw_buf_view(&b));
	gw_buf_done(&b);
	return e ? e : close_block(u);
}

static enum gw_err take_call(struct run *u, const yyjson_val *part, const yyjson_val *call)
{
	bool is_new = word_of(call, "name").n > 0;
	const yyjson_val *args = gemini_get(call, "args");
	enum gw_err e = GW_OK;

	if (!is_new)
		return u->c->partial.is_open ? take_pieces(u, call) : GW_OK;
	e = end_partial(u);
	if (!e)
		e = start_call(u, part, call);
	if (e)
		return e;
	if (yyjson_is_true(mut(gemini_get(call, "willContinue"))) || gemini_get(call, "partialArgs")) {
		u->c->partial.is_open = true;
		return take_pieces(u, call);
	}
	struct gw_str text = yyjson_is_obj(mut(args)) ? gemini_json(u->st->scratch, args) : GW_LIT("{}");

	if (!text.p)
		return GW_E_NOMEM;
	e = send_text(u, IR_DELTA_ARGS, text);
	return e ? e : close_block(u);
}

static enum gw_err take_part(struct run *u, const yyjson_val *part)
{
	const yyjson_val *text = gw_json_get(part, GW_LIT("text")), *call;
	struct ir_block *list = NULL;
	enum gw_err e;

	if (!yyjson_is_obj(mut(part)))
		return GW_OK;
	call = gemini_get(part, "functionCall");
	if (yyjson_is_obj(mut(call)))
		return take_call(u, part, call);
	e = end_partial(u);
	if (e)
		return e;
	if (yyjson_is_str(mut(text)))
		return take_text(u, part, gw_json_str(text));
	if (yyjson_obj_size(mut(part)) == 1 && gemini_get(part, "thoughtSignature"))
		return send_signature(u, part);
	if (!gemini_part_read(u->st->scratch, part, &list))
		return GW_E_NOMEM;
	e = open_block(u, list);
	return e ? e : close_block(u);
}

/* ---- candidates ---- */

static enum gw_err take_citations(struct run *u, const yyjson_val *cand)
{
	struct ir_block holder = { .kind = IR_TEXT };
	enum gw_err e = GW_OK;

	if (!u->c->is_open || u->c->kind != IR_TEXT)
		return GW_OK;
	if (!gemini_get(cand, "groundingMetadata") && !gemini_get(cand, "citationMetadata"))
		return GW_OK;
	if (!gemini_citations_read(u->st->scratch, cand,
				   gw_str(NULL, u->c->is_ascii_lost ? 0 : (size_t)u->c->text_bytes), &holder))
		return GW_E_NOMEM;
	for (struct ir_citation *c = holder.citations; c && !e; c = c->next) {
		struct ir_event ev = { .kind = IR_EV_DELTA, .delta = IR_DELTA_CITATION, .citation = c };

		e = send(u, &ev);
	}
	return e;
}

static enum gw_err take_candidate(struct run *u, const yyjson_val *cand)
{
	const yyjson_val *index = gemini_get(cand, "index"), *logprobs = gemini_get(cand, "logprobsResult");
	const yyjson_val *parts = gemini_get(gemini_get(cand, "content"), "parts");
	struct gw_str reason = word_of(cand, "finishReason");
	yyjson_arr_iter it;
	yyjson_val *p;
	enum gw_err e = GW_OK;

	u->index = 0;
	if (yyjson_is_uint(mut(index)))
		u->index = yyjson_get_uint(mut(index)) < GEMINI_CANDIDATES ? (uint32_t)yyjson_get_uint(mut(index))
									   : (uint32_t)GEMINI_CANDIDATES;
	if (!yyjson_is_obj(mut(cand)) || u->index >= GEMINI_CANDIDATES)
		return GW_OK;
	u->c = &u->r->c[u->index];
	u->c->is_seen = true;
	if (yyjson_is_arr(mut(parts))) {
		yyjson_arr_iter_init(mut(parts), &it);
		while (!e && (p = yyjson_arr_iter_next(&it)))
			e = take_part(u, p);
	}
	if (!e)
		e = take_citations(u, cand);
	if (!e && logprobs) {
		struct ir_event ev = { .kind = IR_EV_LOGPROBS,
				       .logprobs = gemini_logprobs_read(u->st->scratch, logprobs) };

		if (ev.logprobs)
			e = send(u, &ev);
	}
	if (reason.n)
		u->c->reason_n = keep(u->c->reason, REASON_BYTES, reason);
	return e;
}

static enum gw_err take_usage(struct run *u, const yyjson_val *root)
{
	struct gw_usage before = u->r->usage;
	struct gw_str tier = GW_NIL;
	struct ir_event ev = { .kind = IR_EV_USAGE };

	gemini_usage_read(gemini_get(root, "usageMetadata"), &u->r->counts, &u->r->usage, &tier);
	if (tier.n)
		u->r->tier_n = keep(u->r->tier, TIER_BYTES, tier);
	if (!u->r->usage.is_known || !memcmp(&before, &u->r->usage, sizeof(before)))
		return GW_OK;
	ev.usage = u->r->usage;
	ev.service_tier = gw_str(u->r->tier, u->r->tier_n);
	return u->fn(u->ctx, &ev);
}

static enum gw_err start(struct run *u, const yyjson_val *root)
{
	struct ir_event ev = { .kind = IR_EV_START };
	int64_t us;

	if (u->r->has_started)
		return GW_OK;
	u->r->has_started = true;
	ev.id = word_of(root, "responseId");
	ev.model = word_of(root, "modelVersion");
	if (gw_time_read(word_of(root, "createTime"), &us))
		ev.created = us / 1000000;
	return u->fn(u->ctx, &ev);
}

static enum gw_err take_error(struct run *u, const yyjson_val *root, const yyjson_val *error)
{
	const yyjson_val *code = gw_json_get(error, GW_LIT("code"));
	struct ir_event ev = { .kind = IR_EV_ERROR, .error_json = gemini_json(u->st->scratch, root) };

	if (yyjson_is_uint(mut(code)) && yyjson_get_uint(mut(code)) >= 400 && yyjson_get_uint(mut(code)) < 600)
		ev.error_status = (int)yyjson_get_uint(mut(code));
	return ev.error_json.p ? u->fn(u->ctx, &ev) : GW_E_NOMEM;
}

enum gw_err gemini_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx)
{
	struct run u = { .st = st, .r = st->own, .fn = fn, .ctx = ctx };
	const yyjson_val *root, *list, *error;
	struct gw_str blocked;
	yyjson_arr_iter it;
	yyjson_val *cand;
	enum gw_err e = gw_json_tree(st->scratch, f->data, NULL, &root, NULL);

	if (e)
		return e == GW_E_SYNTAX ? GW_E_UP_GARBLED : e;
	if (yyjson_is_arr(mut(root)))
		root = yyjson_arr_get_first(mut(root)); /* errors come in a list now and then */
	if (!yyjson_is_obj(mut(root)))
		return GW_E_UP_GARBLED;
	error = gw_json_get(root, GW_LIT("error"));
	if (error && !yyjson_is_null(mut(error)))
		return take_error(&u, root, error);
	e = start(&u, root);
	list = gemini_get(root, "candidates");
	if (!e && yyjson_is_arr(mut(list))) {
		yyjson_arr_iter_init(mut(list), &it);
		while (!e && (cand = yyjson_arr_iter_next(&it)))
			e = take_candidate(&u, cand);
	}
	blocked = word_of(gemini_get(root, "promptFeedback"), "blockReason");
	if (blocked.n && !u.r->c[0].is_seen) {
		u.r->c[0].is_seen = true;
		u.r->c[0].reason_n = keep(u.r->c[0].reason, REASON_BYTES, GW_LIT("SAFETY"));
	}
	return e ? e : take_usage(&u, root);
}

/* ---- the end ---- */

static enum gw_err finish(struct run *u)
{
	struct ir_event ev = { .kind = IR_EV_FINISH };
	struct gw_str reason = gw_str(u->c->reason, u->c->reason_n);
	enum gw_err e = end_partial(u);

	if (!e)
		e = close_block(u);
	if (e)
		return e;
	if (gemini_finish_is_broken(reason) && !u->c->block) {
		ev.kind = IR_EV_ERROR;
		ev.error_json = GW_LIT("{\"error\":{\"code\":500,\"status\":\"INTERNAL\",\"message\":\"the model's "
				       "answer was malformed and "
				       "nothing of it could be used\"}}");
		ev.error_status = 500;
		return send(u, &ev);
	}
	ev.finish = gemini_finish_read(reason, u->c->has_calls);
	ev.finish_raw = reason;
	return send(u, &ev);
}

enum gw_err gemini_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx)
{
	struct run u = { .st = st, .r = st->own, .fn = fn, .ctx = ctx };
	struct ir_event ev = { .kind = IR_EV_END };
	bool has_any = false;
	enum gw_err e = GW_OK;

	for (uint32_t i = 0; i < GEMINI_CANDIDATES; i++) {
		if (u.r->c[i].is_seen && !u.r->c[i].reason_n)
			return GW_E_UP_CUT;
		has_any |= u.r->c[i].is_seen;
	}
	if (!has_any)
		return GW_E_UP_CUT;
	for (u.index = 0; u.index < GEMINI_CANDIDATES && !e; u.index++) {
		u.c = &u.r->c[u.index];
		if (u.c->is_seen)
			e = finish(&u);
	}
	if (e)
		return e;
	ev.usage = u.r->usage;
	ev.service_tier = gw_str(u.r->tier, u.r->tier_n);
	return fn(ctx, &ev);
}
