/* The stream of responses into events. Items are blocks; a message's parts are blocks of their own. Text that no delta told is taken from the
 * item when it is done. */
#include "core/dialect/responses/responses.h"

enum { MAX_ITEMS = 256 };

/* A block that is open, by its place in the output. */
struct part {
	struct part *next;
	int64_t output, content; /* content -1: the item itself */
	uint32_t block;
	enum ir_block_kind kind;
	bool is_used, has_text;
	int64_t summary; /* the last part of a summary */
};
struct reader {
	bool has_started, has_ended, has_calls, is_finished;
	uint32_t n_blocks, n_parts;
	struct part *parts;
	struct gw_usage usage;
};
_Static_assert(sizeof(struct reader) <= RESPONSES_READER_BYTES, "too little room");

struct run {
	struct gw_stream_state *st;
	struct reader *rd;
	ir_event_fn *fn;
	void *ctx;
	const yyjson_val *root;
};

static int64_t number(const yyjson_val *root, const char *key)
{
	yyjson_val *v = gw_json_get(root, gw_str_z(key));

	return yyjson_is_uint(v) && yyjson_get_uint(v) < (1u << 30) ? (int64_t)yyjson_get_uint(v) : 0;
}

static enum gw_err start(struct run *x, const yyjson_val *response)
{
	struct ir_event ev = { .kind = IR_EV_START };
	yyjson_val *created = response ? gw_json_get(response, GW_LIT("created_at")) : NULL;

	if (x->rd->has_started)
		return GW_OK;
	x->rd->has_started = true;
	ev.id = ir_get_str(response, GW_LIT("id"));
	ev.model = ir_get_str(response, GW_LIT("model"));
	if (yyjson_is_num(created) && yyjson_get_num(created) > 0 && yyjson_get_num(created) < 1e15)
		ev.created = (int64_t)yyjson_get_num(created);
	x->st->id = gw_arena_str(x->st->keep, ev.id.n <= 128 ? ev.id : GW_NIL);
	x->st->created = ev.created;
	return x->fn(x->ctx, &ev);
}

static struct part *find(const struct run *x, int64_t output, int64_t content)
{
	struct part *p = x->rd->parts;

	while (p && !(p->is_used && p->output == output && p->content == content))
		p = p->next;
	return p;
}

static enum gw_err open_part(struct run *x, int64_t output, int64_t content, const struct ir_block *b,
			     struct part **out)
{
	struct ir_event ev = { .kind = IR_EV_BLOCK_START, .start = *b };
	struct part *p = x->rd->parts;

	while (p && p->is_used)
		p = p->next;
	*out = NULL;
	if (!p) {
		if (x->rd->n_parts == MAX_ITEMS)
			return GW_E_UP_TOO_BIG;
		p = GW_NEW(x->st->keep, struct part);
		if (!p)
			return GW_E_NOMEM;
		x->rd->n_parts++;
		p->next = x->rd->parts;
		x->rd->parts = p;
	}
	*p = (struct part){ .next = p->next, .output = output, .content = content, .kind = b->kind, .is_used = true };
	p->block = ev.block = x->rd->n_blocks++;
	ev.start.next = NULL;
	*out = p;
	return x->fn(x->ctx, &ev);
}

static enum gw_err close_part(struct run *x, struct part *p)
{
	if (!p || !p->is_used)
		return GW_OK;
	p->is_used = false;
	return x->fn(x->ctx, &(struct ir_event){ .kind = IR_EV_BLOCK_STOP, .block = p->block });
}

static enum gw_err delta(struct run *x, struct part *p, struct gw_str s)
{
	if (!p || !s.n)
		return GW_OK;
	p->has_text = true;
	return x->fn(x->ctx, &(struct ir_event){ .kind = IR_EV_DELTA,
						 .block = p->block,
						 .delta = p->kind == IR_TOOL_CALL ? IR_DELTA_ARGS : IR_DELTA_TEXT,
						 .text = s });
}

/* ---- items ---- */

static enum gw_err item_added(struct run *x)
{
	yyjson_val *item = gw_json_get(x->root, GW_LIT("item"));
	struct gw_str type = ir_get_str(item, GW_LIT("type"));
	struct ir_block *b = NULL;
	struct part *p;

	if (!gw_str_eq(type, GW_LIT("function_call")) && !gw_str_eq(type, GW_LIT("custom_tool_call")) &&
	    !gw_str_eq(type, GW_LIT("reasoning")))
		return GW_OK; /* messages open with their parts, others come whole when they are done */
	if (!responses_read_item(x->st->scratch, item, x->st->carry, x->rd->n_blocks, &b) || !b)
		return GW_E_NOMEM;
	b->text = b->args = b->signature = GW_NIL;
	b->signature_of = GW_D_NONE;
	x->rd->has_calls |= b->kind == IR_TOOL_CALL;
	if (find(x, number(x->root, "output_index"), -1))
		return GW_OK;
	return open_part(x, number(x->root, "output_index"), -1, b, &p);
}

static enum gw_err message_part(struct run *x, int64_t output, int64_t content, bool is_refusal, struct part **out)
{
	struct ir_block b = { .kind = is_refusal ? IR_REFUSAL : IR_TEXT,
			      .signature_of = GW_D_NONE,
			      .other_of = GW_D_NONE };

	*out = find(x, output, content);
	return *out ? GW_OK : open_part(x, output, content, &b, out);
}

/* The item whole: what was not told before is told now. */
static enum gw_err rest_of_block(struct run *x, struct part *p, const struct ir_block *b)
{
	struct gw_str all = b->kind == IR_TOOL_CALL ? b->args : b->text;
	enum gw_err e = p->has_text ? GW_OK : delta(x, p, all);

	if (!e && b->kind == IR_REASONING && b->signature.n)
		e = x->fn(x->ctx, &(struct ir_event){ .kind = IR_EV_DELTA,
						      .block = p->block,
						      .delta = IR_DELTA_SIGNATURE,
						      .text = b->signature,
						      .signature_of = GW_D_RESPONSES });
	return e ? e : close_part(x, p);
}

static enum gw_err message_done(struct run *x, int64_t output)
{
	enum gw_err e = GW_OK;

	for (struct part *p = x->rd->parts; p && !e; p = p->next)
		if (p->output == output)
			e = close_part(x, p);
	return e;
}

static enum gw_err item_done(struct run *x)
{
	yyjson_val *item = gw_json_get(x->root, GW_LIT("item"));
	int64_t output = number(x->root, "output_index");
	struct gw_str type = ir_get_str(item, GW_LIT("type"));
	struct ir_block *b = NULL;
	struct part *p;
	enum gw_err e = GW_OK;

	if (!responses_read_item(x->st->scratch, item, x->st->carry, x->rd->n_blocks, &b))
		return GW_E_NOMEM;
	if (!b || gw_str_eq(type, GW_LIT("message")))
		return message_done(x, output);
	p = find(x, output, -1);
	x->rd->has_calls |= b->kind == IR_TOOL_CALL;
	if (!p) {
		struct ir_block head = *b;

		head.text = head.args = head.signature = GW_NIL;
		e = open_part(x, output, -1, &head, &p);
	}
	return e || !p ? e : rest_of_block(x, p, b);
}

/* ---- pieces ---- */

static enum gw_err logprobs(struct run *x)
{
	yyjson_val *list = gw_json_get(x->root, GW_LIT("logprobs"));
	struct ir_event ev = { .kind = IR_EV_LOGPROBS };

	if (!yyjson_is_arr(list) || !yyjson_arr_size(list))
		return GW_OK;
	ev.logprobs = responses_read_logprobs(x->st->scratch, list);
	return ev.logprobs ? x->fn(x->ctx, &ev) : GW_E_NOMEM;
}

static enum gw_err text_delta(struct run *x, bool is_refusal)
{
	struct part *p;
	enum gw_err e =
	    message_part(x, number(x->root, "output_index"), number(x->root, "content_index"), is_refusal, &p);

	if (!e && !is_refusal)
		e = logprobs(x);
	return e ? e : delta(x, p, ir_get_str(x->root, GW_LIT("delta")));
}

/* Parts of a summary are parted by an empty line, as in whole replies. */
static enum gw_err reasoning_delta(struct run *x)
{
	int64_t output = number(x->root, "output_index"), at = number(x->root, "summary_index");
	struct ir_block b = { .kind = IR_REASONING, .signature_of = GW_D_NONE, .other_of = GW_D_NONE };
	struct part *p = find(x, output, -1);
	enum gw_err e = p ? GW_OK : open_part(x, output, -1, &b, &p);

	if (!e && p->has_text && at != p->summary)
		e = delta(x, p, GW_LIT("\n\n"));
	if (e)
		return e;
	p->summary = at;
	return delta(x, p, ir_get_str(x->root, GW_LIT("delta")));
}

static enum gw_err annotation(struct run *x)
{
	struct part *p = find(x, number(x->root, "output_index"), number(x->root, "content_index"));
	yyjson_val *v = gw_json_get(x->root, GW_LIT("annotation"));
	struct ir_citation c = { .start = -1, .end = -1, .of = GW_D_RESPONSES, .raw = v };

	if (!p || p->kind != IR_TEXT || !yyjson_is_obj(v))
		return GW_OK;
	c.url = ir_get_str(v, GW_LIT("url"));
	c.title = ir_get_str(v, GW_LIT("title"));
	if (gw_json_get(v, GW_LIT("start_index")))
		c.start = number(v, "start_index");
	if (gw_json_get(v, GW_LIT("end_index")))
		c.end = number(v, "end_index");
	return x->fn(x->ctx, &(struct ir_event){
				 .kind = IR_EV_DELTA, .block = p->block, .delta = IR_DELTA_CITATION, .citation = &c });
}

/* ---- the end ---- */

static enum gw_err fail(struct run *x, struct gw_str json)
{
	enum gw_err e = start(x, NULL);

	return e ? e : x->fn(x->ctx, &(struct ir_event){ .kind = IR_EV_ERROR, .error_json = json });
}

/* response.failed: the error stands in the response. */
static enum gw_err failed(struct run *x)
{
	yyjson_val *error = gw_json_get(gw_json_get(x->root, GW_LIT("response")), GW_LIT("error"));
	struct gw_str text = ir_tree_text(x->st->scratch, error);

	if (!text.p)
		return GW_E_NOMEM;
	text = gw_arena_printf(x->st->scratch, "{\"error\":%.*s}", GW_FMT(text));
	return text.p ? fail(x, text) : GW_E_NOMEM;
}

static enum gw_err completed(struct run *x)
{
	yyjson_val *response = gw_json_get(x->root, GW_LIT("response"));
	struct ir_event ev = { .kind = IR_EV_FINISH };
	enum gw_err e = start(x, response);

	for (struct part *p = x->rd->parts; p && !e; p = p->next)
		e = close_part(x, p);
	if (e)
		return e;
	ev.finish = responses_finish(response, x->rd->has_calls);
	ev.finish_raw = ir_get_str(response, GW_LIT("status"));
	e = x->fn(x->ctx, &ev);
	if (e)
		return e;
	if (response)
		ir_usage_read(&x->rd->usage, response);
	x->rd->has_ended = true;
	return x->fn(x->ctx, &(struct ir_event){ .kind = IR_EV_END,
						 .usage = x->rd->usage,
						 .service_tier = ir_get_str(response, GW_LIT("service_tier")) });
}

static enum gw_err content_part(struct run *x)
{
	bool is_refusal =
	    gw_str_eq(ir_get_str(gw_json_get(x->root, GW_LIT("part")), GW_LIT("type")), GW_LIT("refusal"));
	struct gw_str type = ir_get_str(gw_json_get(x->root, GW_LIT("part")), GW_LIT("type"));
	struct part *p;

	if (!is_refusal && !gw_str_eq(type, GW_LIT("output_text")))
		return GW_OK;
	return message_part(x, number(x->root, "output_index"), number(x->root, "content_index"), is_refusal, &p);
}

static enum gw_err content_part_done(struct run *x)
{
	return close_part(x, find(x, number(x->root, "output_index"), number(x->root, "content_index")));
}

static enum gw_err created(struct run *x)
{
	return start(x, gw_json_get(x->root, GW_LIT("response")));
}
static enum gw_err output_text(struct run *x)
{
	return text_delta(x, false);
}
static enum gw_err refusal(struct run *x)
{
	return text_delta(x, true);
}
static enum gw_err args_delta(struct run *x)
{
	return delta(x, find(x, number(x->root, "output_index"), -1), ir_get_str(x->root, GW_LIT("delta")));
}

static const struct {
	const char *type;
	enum gw_err (*fn)(struct run *x);
} handlers[] = {
	{ "response.output_text.delta", output_text },
	{ "response.function_call_arguments.delta", args_delta },
	{ "response.reasoning_summary_text.delta", reasoning_delta },
	{ "response.reasoning_text.delta", reasoning_delta },
	{ "response.custom_tool_call_input.delta", args_delta },
	{ "response.refusal.delta", refusal },
	{ "response.created", created },
	{ "response.in_progress", created },
	{ "response.output_item.added", item_added },
	{ "response.output_item.done", item_done },
	{ "response.content_part.added", content_part },
	{ "response.content_part.done", content_part_done },
	{ "response.output_text.annotation.added", annotation },
	{ "response.completed", completed },
	{ "response.incomplete", completed },
	{ "response.failed", failed },
};

/* The number of the event that would come next, for an error of ours. */
static void count(struct run *x)
{
	yyjson_val *v = gw_json_get(x->root, GW_LIT("sequence_number"));

	x->st->seq = (yyjson_is_uint(v) && yyjson_get_uint(v) < UINT32_MAX ? yyjson_get_uint(v) : x->st->seq) + 1;
}

enum gw_err responses_read_event(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx)
{
	struct run x = { .st = st, .rd = st->own, .fn = fn, .ctx = ctx };
	struct gw_str type;
	enum gw_err e;

	if (x.rd->has_ended)
		return GW_OK;
	e = gw_frame_tree(st, f, &x.root, &type);
	if (e || !x.root)
		return e;
	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)x.root))
		return GW_E_UP_GARBLED;
	if (gw_str_eq(type, GW_LIT("error")) || yyjson_is_obj(gw_json_get(x.root, GW_LIT("error"))))
		return fail(&x, f->data); /* flat or nested, both are read by the classifier */
	count(&x);
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (!gw_str_eq(type, gw_str_z(handlers[i].type)))
			continue;
		e = i >= 6 ? GW_OK : start(&x, NULL);
		return e ? e : handlers[i].fn(&x);
	}
	return GW_OK;
}

/* The end is told in words; without them the stream was cut. */
enum gw_err responses_read_end(struct gw_stream_state *st, ir_event_fn *fn, void *ctx)
{
	const struct reader *rd = st->own;

	(void)fn;
	(void)ctx;
	return rd->has_ended ? GW_OK : GW_E_UP_CUT;
}
