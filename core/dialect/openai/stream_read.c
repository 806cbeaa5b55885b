/* The stream of chat completions, as all vendors of the dialect send it, into events (protocols of the vendors: usage in any chunk, role in
 * every delta, calls without index or with ids repeated, finish told twice, no [DONE]). A chunk may carry reasoning, text, calls, finish and
 * usage at once; they are told in that order. */
#include "core/dialect/openai/stream.h"

_Static_assert(sizeof(struct openai_reader) <= OPENAI_READER_BYTES, "too little room");

enum gw_err openai_tell(struct openai_run *x, const struct ir_event *ev)
{
	return x->fn(x->ctx, ev);
}

static enum gw_err start(struct openai_run *x)
{
	yyjson_val *created = x->root ? gw_json_get(x->root, GW_LIT("created")) : NULL;
	struct ir_event ev = { .kind = IR_EV_START };

	if (x->rd->has_started)
		return GW_OK;
	x->rd->has_started = true;
	if (x->root) {
		ev.id = ir_get_str(x->root, GW_LIT("id"));
		ev.model = ir_get_str(x->root, GW_LIT("model"));
		ev.created = yyjson_is_int(created) ? yyjson_get_sint(created) : 0;
	}
	return openai_tell(x, &ev);
}

static struct openai_choice *choice_of(struct openai_run *x, uint32_t index)
{
	struct openai_choice **at = &x->rd->choices;

	for (; *at; at = &(*at)->next)
		if ((*at)->index == index)
			return *at;
	if (x->rd->n_choices == OPENAI_MAX_CHOICES)
		return NULL;
	*at = GW_NEW(x->st->keep, struct openai_choice);
	if (!*at)
		return NULL;
	x->rd->n_choices++;
	**at = (struct openai_choice){ .index = index, .open = OPENAI_NO_BLOCK, .text = OPENAI_NO_BLOCK };
	return *at;
}

/* ---- blocks ---- */

enum gw_err openai_stop_block(struct openai_run *x, struct openai_choice *c, uint32_t block)
{
	return openai_tell(x, &(struct ir_event){ .kind = IR_EV_BLOCK_STOP, .choice = c->index, .block = block });
}

enum gw_err openai_close_open(struct openai_run *x, struct openai_choice *c)
{
	uint32_t block = (uint32_t)c->open;

	if (c->open == OPENAI_NO_BLOCK)
		return GW_OK;
	c->open = OPENAI_NO_BLOCK;
	return openai_stop_block(x, c, block);
}

static enum gw_err open_block(struct openai_run *x, struct openai_choice *c, enum ir_block_kind kind)
{
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .choice = c->index };
	enum gw_err e;

	if (c->open != OPENAI_NO_BLOCK && c->open_kind == kind)
		return GW_OK;
	e = openai_close_open(x, c);
	if (!e)
		e = openai_close_calls(x, c, false);
	if (e)
		return e;
	ev.start = (struct ir_block){ .kind = kind, .signature_of = GW_D_NONE, .other_of = GW_D_NONE };
	ev.block = c->n_blocks++;
	c->open = (int32_t)ev.block;
	c->open_kind = kind;
	if (kind == IR_TEXT)
		c->text = c->open;
	return openai_tell(x, &ev);
}

static enum gw_err text(struct openai_run *x, struct openai_choice *c, enum ir_block_kind kind, struct gw_str s)
{
	enum gw_err e;

	if (!s.n)
		return GW_OK;
	e = open_block(x, c, kind);
	if (e)
		return e;
	return openai_tell(x, &(struct ir_event){ .kind = IR_EV_DELTA,
						  .choice = c->index,
						  .block = (uint32_t)c->open,
						  .delta = IR_DELTA_TEXT,
						  .text = s });
}

/* A block that comes whole: a picture, or thoughts that only their maker can read. */
static enum gw_err whole_block(struct openai_run *x, struct openai_choice *c, const struct ir_block *b)
{
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .choice = c->index, .start = *b };
	enum gw_err e = openai_close_open(x, c);

	if (e)
		return e;
	ev.start.next = NULL;
	ev.block = c->n_blocks++;
	e = openai_tell(x, &ev);
	return e ? e : openai_stop_block(x, c, ev.block);
}

/* ---- reasoning ---- */

static enum gw_err signature(struct openai_run *x, struct openai_choice *c, const struct ir_block *b)
{
	enum gw_err e = open_block(x, c, IR_REASONING);

	if (e)
		return e;
	return openai_tell(x, &(struct ir_event){ .kind = IR_EV_DELTA,
						  .choice = c->index,
						  .block = (uint32_t)c->open,
						  .delta = IR_DELTA_SIGNATURE,
						  .text = b->signature,
						  .signature_of = b->signature_of });
}

static enum gw_err reasoning(struct openai_run *x, struct openai_choice *c, yyjson_val *delta)
{
	struct gw_str content = ir_get_str(delta, GW_LIT("reasoning_content"));
	struct ir_block *list = NULL;
	unsigned took;
	enum gw_err e = GW_OK;

	/* most deltas have the text alone */
	if (!gw_json_get(delta, GW_LIT("reasoning_details")) && !gw_json_get(delta, GW_LIT("thinking_blocks")))
		return text(x, c, IR_REASONING, content.n ? content : ir_get_str(delta, GW_LIT("reasoning")));
	if (!openai_read_reasoning(x->st->scratch, delta, &list, &took))
		return GW_E_NOMEM;
	for (const struct ir_block *b = list; b && !e; b = b->next) {
		if (b->is_redacted) {
			e = whole_block(x, c, b);
			continue;
		}
		e = text(x, c, IR_REASONING, b->text);
		if (!e && b->signature.n)
			e = signature(x, c, b);
	}
	return e;
}

/* ---- content ---- */

/* Text, or Mistral's list. */
static enum gw_err content(struct openai_run *x, struct openai_choice *c, yyjson_val *v)
{
	yyjson_val *part;
	size_t i, max;
	enum gw_err e = GW_OK;

	if (yyjson_is_str(v))
		return text(x, c, IR_TEXT, gw_json_str(v));
	yyjson_arr_foreach(v, i, max, part)
	{
		bool is_thinking = gw_str_eq(ir_get_str(part, GW_LIT("type")), GW_LIT("thinking"));

		if (!e && is_thinking)
			e = text(x, c, IR_REASONING, openai_thinking_text(x->st->scratch, part));
		else if (!e)
			e = text(x, c, IR_TEXT, ir_get_str(part, GW_LIT("text")));
	}
	return e;
}

static enum gw_err images(struct openai_run *x, struct openai_choice *c, yyjson_val *list)
{
	yyjson_val *v;
	size_t i, max;
	enum gw_err e = GW_OK;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct ir_block b = { .kind = IR_IMAGE, .signature_of = GW_D_NONE, .other_of = GW_D_NONE };
		struct gw_str url = ir_get_str(gw_json_get(v, GW_LIT("image_url")), GW_LIT("url"));

		if (!url.n || e)
			continue;
		b.media.from = ir_data_url(url, &b.media.mime, &b.media.data) ? IR_BASE64 : IR_URL;
		if (b.media.from == IR_URL)
			b.media.data = url;
		e = whole_block(x, c, &b);
	}
	return e;
}

static enum gw_err cite(struct openai_run *x, struct openai_choice *c, struct ir_block *holder)
{
	enum gw_err e = GW_OK;

	for (struct ir_citation *k = holder->citations; k && !e; k = k->next)
		e = openai_tell(x, &(struct ir_event){ .kind = IR_EV_DELTA,
						       .choice = c->index,
						       .block = (uint32_t)c->open,
						       .delta = IR_DELTA_CITATION,
						       .citation = k });
	return e;
}

static enum gw_err annotations(struct openai_run *x, struct openai_choice *c, yyjson_val *list)
{
	struct ir_block holder = { 0 };
	enum gw_err e;

	if (!yyjson_is_arr(list) || !yyjson_arr_size(list))
		return GW_OK;
	if (!openai_read_annotations(x->st->scratch, list, &holder))
		return GW_E_NOMEM;
	c->has_citations |= holder.citations != NULL;
	e = holder.citations ? open_block(x, c, IR_TEXT) : GW_OK;
	return e ? e : cite(x, c, &holder);
}

/* ---- the end of a choice, of the stream ---- */

static enum gw_err fail(struct openai_run *x, struct gw_str json, int status)
{
	enum gw_err e = start(x);

	return e ? e
		 : openai_tell(x,
			       &(struct ir_event){ .kind = IR_EV_ERROR, .error_json = json, .error_status = status });
}

static enum gw_err finish(struct openai_run *x, struct openai_choice *c, struct gw_str word)
{
	struct ir_event ev = { .kind = IR_EV_FINISH, .choice = c->index, .finish_raw = word };
	struct ir_block holder = { 0 };
	int status;
	enum gw_err e = GW_OK;

	if (c->is_finished)
		return GW_OK;
	ev.finish = openai_finish(word, &status);
	if (status)
		return fail(
		    x,
		    GW_LIT(
			"{\"error\":{\"message\":\"The provider broke off its answer.\",\"type\":\"server_error\"}}"),
		    status);
	if (x->root && c->open != OPENAI_NO_BLOCK && c->open_kind == IR_TEXT && !c->has_citations) {
		if (!openai_read_citations(x->st->scratch, x->root, &holder))
			return GW_E_NOMEM;
		e = cite(x, c, &holder);
	}
	if (!e)
		e = openai_close_open(x, c);
	if (!e)
		e = openai_close_calls(x, c, true);
	if (e)
		return e;
	if (ev.finish == IR_FINISH_STOP && c->n_calls)
		ev.finish = IR_FINISH_TOOL_CALLS;
	if (x->root && !openai_read_extra(x->st->scratch, x->root, &ev.extra))
		return GW_E_NOMEM;
	c->is_finished = true;
	return openai_tell(x, &ev);
}

static enum gw_err end(struct openai_run *x)
{
	struct ir_event ev = { .kind = IR_EV_END };
	enum gw_err e = start(x);

	for (struct openai_choice *c = x->rd->choices; c && !e; c = c->next)
		e = finish(x, c, GW_LIT("stop"));
	if (e)
		return e;
	x->rd->has_ended = true;
	ev.usage = x->rd->usage;
	ev.service_tier = x->rd->tier;
	return openai_tell(x, &ev);
}

/* ---- chunks ---- */

static enum gw_err read_choice(struct openai_run *x, yyjson_val *v, size_t at)
{
	yyjson_val *n = gw_json_get(v, GW_LIT("index")), *delta = gw_json_get(v, GW_LIT("delta")), *lp, *m;
	struct openai_choice *c =
	    choice_of(x, yyjson_is_uint(n) && yyjson_get_uint(n) < OPENAI_MAX_CHOICES ? (uint32_t)yyjson_get_uint(n)
										      : (uint32_t)at);
	struct gw_str word = ir_get_str(v, GW_LIT("finish_reason")), refusal;
	enum gw_err e = GW_OK;

	if (!c)
		return x->st->keep->is_full ? GW_E_NOMEM : GW_OK;
	if (c->is_finished)
		return GW_OK;
	if (!delta && x->rd->n_choices && !c->n_blocks && (m = gw_json_get(v, GW_LIT("message"))))
		delta = m; /* a whole reply in place of a stream */
	lp = gw_json_get(v, GW_LIT("logprobs"));
	if (yyjson_is_obj(lp) && (yyjson_arr_size(gw_json_get(lp, GW_LIT("content"))) ||
				  yyjson_arr_size(gw_json_get(lp, GW_LIT("refusal")))))
		e = openai_tell(x, &(struct ir_event){ .kind = IR_EV_LOGPROBS, .choice = c->index, .logprobs = lp });
	if (!e && yyjson_is_obj(delta)) {
		refusal = ir_get_str(delta, GW_LIT("refusal"));
		e = reasoning(x, c, delta);
		if (!e)
			e = content(x, c, gw_json_get(delta, GW_LIT("content")));
		if (!e)
			e = text(x, c, IR_REFUSAL, refusal);
		if (!e)
			e = images(x, c, gw_json_get(delta, GW_LIT("images")));
		if (!e)
			e = annotations(x, c, gw_json_get(delta, GW_LIT("annotations")));
		if (!e)
			e = openai_stream_calls(x, c, gw_json_get(delta, GW_LIT("tool_calls")));
		if (!e)
			e = openai_stream_old_call(x, c, gw_json_get(delta, GW_LIT("function_call")));
	}
	return e || !word.n ? e : finish(x, c, word);
}

static int status_of(const yyjson_val *error, const yyjson_val *root)
{
	static const char *const names[] = { "status_code", "code", "status" };

	for (int i = 0; i < 6; i++) {
		yyjson_val *v = gw_json_get(i < 3 ? error : root, gw_str_z(names[i % 3]));

		if (yyjson_is_int(v) && yyjson_get_sint(v) >= 400 && yyjson_get_sint(v) < 600)
			return (int)yyjson_get_sint(v);
	}
	return 0;
}

static bool is_error(yyjson_val *v)
{
	return (yyjson_is_obj(v) && yyjson_obj_size(v)) || (yyjson_is_str(v) && yyjson_get_len(v)) || yyjson_is_true(v);
}

static enum gw_err read_usage(struct openai_run *x)
{
	struct gw_str tier = ir_get_str(x->root, GW_LIT("service_tier"));
	yyjson_val *usage = gw_json_get(x->root, GW_LIT("usage"));

	if (tier.n && tier.n < 64 && !x->rd->tier.n)
		x->rd->tier = gw_arena_str(x->st->keep, tier);
	if (!yyjson_is_obj(usage) && !gw_json_get(x->root, GW_LIT("x_groq")))
		return GW_OK;
	if (!ir_usage_read(&x->rd->usage, x->root))
		return GW_OK;
	return openai_tell(
	    x, &(struct ir_event){ .kind = IR_EV_USAGE, .usage = x->rd->usage, .service_tier = x->rd->tier });
}

static enum gw_err read_chunk(struct openai_run *x)
{
	yyjson_val *choices = gw_json_get(x->root, GW_LIT("choices")), *v;
	size_t i, max;
	enum gw_err e = GW_OK;

	/* Azure's first chunk tells of the prompt's filters and has no id yet */
	if (yyjson_arr_size(choices) || ir_get_str(x->root, GW_LIT("id")).n)
		e = start(x);
	yyjson_arr_foreach(choices, i, max, v)
	{
		if (!e && i < OPENAI_MAX_CHOICES && yyjson_is_obj(v))
			e = read_choice(x, v, i);
	}
	if (e)
		return e;
	return x->rd->has_started ? read_usage(x) : GW_OK;
}

enum gw_err openai_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx)
{
	struct openai_run x = { .st = st, .rd = st->own, .fn = fn, .ctx = ctx };
	struct gw_str data = gw_str_trim(f->data);
	yyjson_val *error;
	enum gw_err e;

	if (!data.n || x.rd->has_ended)
		return GW_OK;
	if (gw_str_eq(data, GW_LIT("[DONE]")))
		return end(&x);
	e = gw_json_tree(st->scratch, data, NULL, &x.root, NULL);
	if (e)
		return e == GW_E_SYNTAX ? GW_E_UP_GARBLED : e;
	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)x.root))
		return GW_E_UP_GARBLED;
	error = gw_json_get(x.root, GW_LIT("error"));
	if (is_error(error) || gw_str_eq(f->event, GW_LIT("error")))
		return fail(&x, data, status_of(error, x.root));
	return read_chunk(&x);
}

enum gw_err openai_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx)
{
	struct openai_run x = { .st = st, .rd = st->own, .fn = fn, .ctx = ctx };

	if (x.rd->has_ended)
		return GW_OK;
	if (!x.rd->choices)
		return GW_E_UP_CUT;
	for (const struct openai_choice *c = x.rd->choices; c; c = c->next)
		if (!c->is_finished)
			return GW_E_UP_CUT;
	return end(&x);
}
