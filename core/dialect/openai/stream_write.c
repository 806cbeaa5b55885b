/* The stream of chat completions from events. What SDKs demand: the role once, id and name of a call once, indexes of calls from 0 without
 * gaps, an index in every element of every list, usage in the last chunk, [DONE] at the end. A delta is written straight into the buffer. */
#include "core/dialect/openai/openai.h"

enum { MAX_CHOICES = 128 };

/* A block that is open; its place is used again when it has stopped. */
struct open {
	struct open *next;
	uint32_t block, tool; /* number of the call among the choice's calls */
	enum ir_block_kind kind;
	bool is_used, is_custom, has_args;
};
struct choice {
	struct choice *next;
	uint32_t index, n_calls, n_thoughts, n_notes, n_images;
	struct open *open;
};
struct writer {
	struct gw_str head; /* from "data: " to the choice's number */
	struct gw_str tail; /* behind the choice's delta */
	bool has_usage;
	struct gw_usage usage;
	struct choice *choices;
	uint32_t n_choices;
};
_Static_assert(sizeof(struct writer) <= OPENAI_WRITER_BYTES, "too little room");

/* ---- what all chunks have ---- */

static void put_head(struct gw_json_out *w, const struct gw_stream_state *st, const struct ir_event *ev,
		     struct gw_str id)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "id", id);
	gw_jw_kstr(w, "object", GW_LIT("chat.completion.chunk"));
	gw_jw_ki64(w, "created", ev->created > 0 ? ev->created : st->carry->now_s);
	gw_jw_kstr(w, "model", st->carry->model);
}

static enum gw_err prepare(struct gw_stream_state *st, const struct ir_event *ev)
{
	struct writer *wr = st->own;
	struct gw_str id = ev->id;
	struct gw_json_out w;
	struct gw_buf b;

	if (!id.n || id.n > 128 || !gw_str_has_prefix(id, GW_LIT("chatcmpl")))
		id = ir_make_id(st->keep, "chatcmpl-", st->carry->seed, 0, 29);
	if (!id.p)
		return GW_E_NOMEM;
	gw_buf_init(&b, 4096);
	gw_jw_init(&w, &b);
	gw_buf_puts(&b, GW_LIT("data: "));
	put_head(&w, st, ev, id);
	gw_buf_puts(&b, GW_LIT(",\"choices\":[{\"index\":"));
	wr->head = b.err ? GW_NIL : gw_arena_str(st->keep, gw_buf_view(&b));
	gw_buf_done(&b);
	wr->tail = st->carry->wants_usage ? GW_LIT(",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n")
					  : GW_LIT(",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
	return wr->head.p ? GW_OK : GW_E_NOMEM;
}

static void open_delta(const struct writer *wr, const struct choice *c, struct gw_buf *out)
{
	gw_buf_puts(out, wr->head);
	gw_buf_put_u64(out, c->index);
	gw_buf_puts(out, GW_LIT(",\"delta\":"));
}

static void close_delta(const struct writer *wr, struct gw_buf *out)
{
	gw_buf_puts(out, wr->tail);
}

static struct choice *choice_of(struct gw_stream_state *st, uint32_t index, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct choice **at = &wr->choices;

	for (; *at; at = &(*at)->next)
		if ((*at)->index == index)
			return *at;
	if (wr->n_choices == MAX_CHOICES)
		return NULL;
	*at = GW_NEW(st->keep, struct choice);
	if (!*at)
		return NULL;
	wr->n_choices++;
	(*at)->index = index;
	open_delta(wr, *at, out);
	gw_buf_puts(out, GW_LIT("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"));
	close_delta(wr, out);
	return *at;
}

static struct open *find(const struct choice *c, uint32_t block)
{
	struct open *o = c->open;

	while (o && !(o->is_used && o->block == block))
		o = o->next;
	return o;
}

static struct open *take(struct gw_stream_state *st, struct choice *c, const struct ir_event *ev)
{
	struct open *o = c->open;

	while (o && o->is_used)
		o = o->next;
	if (!o) {
		o = GW_NEW(st->keep, struct open);
		if (!o)
			return NULL;
		o->next = c->open;
		c->open = o;
	}
	*o = (struct open){ .next = o->next,
			    .block = ev->block,
			    .kind = ev->start.kind,
			    .is_used = true,
			    .is_custom = ev->start.is_custom };
	return o;
}

/* ---- blocks ---- */

static void put_signature(struct gw_buf *out, struct gw_str signature)
{
	gw_buf_puts(out, GW_LIT("\"extra_content\":{\"google\":{\"thought_signature\":"));
	gw_json_quote(out, signature);
	gw_buf_puts(out, GW_LIT("}}"));
}

static void put_call(struct writer *wr, struct choice *c, struct open *o, const struct ir_block *b, struct gw_buf *out)
{
	struct gw_str word = b->is_custom ? GW_LIT("custom") : GW_LIT("function");

	o->tool = c->n_calls++;
	open_delta(wr, c, out);
	gw_buf_puts(out, GW_LIT("{\"tool_calls\":[{\"index\":"));
	gw_buf_put_u64(out, o->tool);
	gw_buf_puts(out, GW_LIT(",\"id\":"));
	gw_json_quote(out, b->id);
	gw_buf_puts(out, GW_LIT(",\"type\":\""));
	gw_buf_puts(out, word);
	gw_buf_puts(out, GW_LIT("\",\""));
	gw_buf_puts(out, word);
	gw_buf_puts(out, GW_LIT("\":{\"name\":"));
	gw_json_quote(out, b->name);
	gw_buf_puts(out, b->is_custom ? GW_LIT(",\"input\":\"\"}") : GW_LIT(",\"arguments\":\"\"}"));
	if (b->signature.n && b->signature_of == GW_D_GEMINI) {
		gw_buf_putc(out, ',');
		put_signature(out, b->signature);
	}
	gw_buf_puts(out, GW_LIT("}]}"));
	close_delta(wr, out);
}

/* One element of a list of the delta. */
static void open_list(struct writer *wr, struct choice *c, const char *name, struct gw_buf *out)
{
	open_delta(wr, c, out);
	gw_buf_puts(out, GW_LIT("{\""));
	gw_buf_puts(out, gw_str_z(name));
	gw_buf_puts(out, GW_LIT("\":["));
}

static void close_list(struct writer *wr, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("]}"));
	close_delta(wr, out);
}

static enum gw_err block_start(struct gw_stream_state *st, struct choice *c, const struct ir_event *ev,
			       struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct gw_json_out w;
	struct open *o = take(st, c, ev);

	if (!o)
		return GW_E_NOMEM;
	gw_jw_init(&w, out);
	if (ev->start.kind == IR_TOOL_CALL) {
		put_call(wr, c, o, &ev->start, out);
	} else if (ev->start.kind == IR_IMAGE) {
		open_list(wr, c, "images", out);
		openai_write_image(&w, &ev->start.media, c->n_images++);
		close_list(wr, out);
	} else if (ev->start.kind == IR_REASONING && ev->start.signature.n) {
		open_list(wr, c, "thinking_blocks", out);
		openai_write_thinking(&w, &ev->start, GW_LIT(""), c->n_thoughts++);
		close_list(wr, out);
	}
	return GW_OK;
}

static void put_text(struct writer *wr, struct choice *c, struct gw_str before, struct gw_str text, struct gw_buf *out)
{
	open_delta(wr, c, out);
	gw_buf_puts(out, before);
	gw_json_quote(out, text);
	gw_buf_putc(out, '}');
	close_delta(wr, out);
}

static void put_args(struct writer *wr, struct choice *c, struct open *o, struct gw_str text, struct gw_buf *out)
{
	o->has_args = true;
	open_delta(wr, c, out);
	gw_buf_puts(out, GW_LIT("{\"tool_calls\":[{\"index\":"));
	gw_buf_put_u64(out, o->tool);
	gw_buf_puts(out, o->is_custom ? GW_LIT(",\"custom\":{\"input\":") : GW_LIT(",\"function\":{\"arguments\":"));
	gw_json_quote(out, text);
	gw_buf_puts(out, GW_LIT("}}]}"));
	close_delta(wr, out);
}

static void put_signed(struct writer *wr, struct choice *c, struct open *o, const struct ir_event *ev,
		       struct gw_buf *out)
{
	struct ir_block b = { .kind = IR_REASONING, .signature = ev->text, .signature_of = ev->signature_of };
	struct gw_json_out w;

	gw_jw_init(&w, out);
	if (o->kind == IR_REASONING) {
		open_list(wr, c, "thinking_blocks", out);
		openai_write_thinking(&w, &b, GW_LIT(""), c->n_thoughts++);
		close_list(wr, out);
	} else if (o->kind == IR_TOOL_CALL && ev->signature_of == GW_D_GEMINI) {
		open_list(wr, c, "tool_calls", out);
		gw_buf_puts(out, GW_LIT("{\"index\":"));
		gw_buf_put_u64(out, o->tool);
		gw_buf_puts(out, GW_LIT(",\"function\":{\"arguments\":\"\"},")); /* SDKs look for it in each piece */
		put_signature(out, ev->text);
		gw_buf_putc(out, '}');
		close_list(wr, out);
	}
}

static void block_delta(struct writer *wr, struct choice *c, const struct ir_event *ev, struct gw_buf *out)
{
	struct open *o = find(c, ev->block);
	struct gw_json_out w;

	if (!o)
		return;
	switch (ev->delta) {
	case IR_DELTA_TEXT:
		if (o->kind == IR_TEXT)
			put_text(wr, c, GW_LIT("{\"content\":"), ev->text, out);
		else if (o->kind == IR_REASONING)
			put_text(wr, c, GW_LIT("{\"reasoning_content\":"), ev->text, out);
		else if (o->kind == IR_REFUSAL)
			put_text(wr, c, GW_LIT("{\"refusal\":"), ev->text, out);
		break;
	case IR_DELTA_ARGS:
		if (o->kind == IR_TOOL_CALL)
			put_args(wr, c, o, ev->text, out);
		break;
	case IR_DELTA_SIGNATURE:
		put_signed(wr, c, o, ev, out);
		break;
	case IR_DELTA_CITATION:
		if (o->kind != IR_TEXT || !ev->citation || !ev->citation->url.n)
			break;
		gw_jw_init(&w, out);
		open_list(wr, c, "annotations", out);
		openai_write_annotation(&w, ev->citation, c->n_notes++);
		close_list(wr, out);
		break;
	}
}

static void block_stop(struct writer *wr, struct choice *c, uint32_t block, struct gw_buf *out)
{
	struct open *o = find(c, block);

	if (!o)
		return;
	if (o->kind == IR_TOOL_CALL && !o->has_args && !o->is_custom)
		put_args(wr, c, o, GW_LIT("{}"), out); /* no arguments are an empty object */
	o->is_used = false;
}

/* ---- the rest ---- */

static void put_logprobs(struct gw_stream_state *st, struct choice *c, const yyjson_val *lp, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	open_delta(st->own, c, out);
	gw_buf_puts(out, GW_LIT("{},\"logprobs\":"));
	gw_jw_val(&w, lp);
	gw_buf_puts(out, GW_LIT(",\"finish_reason\":null}]"));
	gw_buf_puts(out, st->carry->wants_usage ? GW_LIT(",\"usage\":null}\n\n") : GW_LIT("}\n\n"));
}

static void put_finish(struct gw_stream_state *st, struct choice *c, const struct ir_event *ev, struct gw_buf *out)
{
	open_delta(st->own, c, out);
	gw_buf_puts(out, GW_LIT("{},\"logprobs\":null,\"finish_reason\":\""));
	gw_buf_puts(out, openai_finish_word(ev->finish));
	gw_buf_puts(out, st->carry->wants_usage ? GW_LIT("\"}],\"usage\":null") : GW_LIT("\"}]"));
	for (const struct ir_extra *x = ev->extra; x; x = x->next) {
		struct gw_json_out w;

		if (x->of != GW_D_OPENAI)
			continue;
		gw_buf_putc(out, ',');
		gw_json_quote(out, x->key);
		gw_buf_putc(out, ':');
		gw_jw_init(&w, out);
		gw_jw_val(&w, x->val);
	}
	gw_buf_puts(out, GW_LIT("}\n\n"));
}

static void put_end(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct gw_str head = wr->head;
	struct gw_json_out w;

	if (ev->usage.is_known) {
		wr->usage = ev->usage;
		wr->has_usage = true;
	}
	if (st->carry->wants_usage && wr->has_usage) {
		head.n -= sizeof("{\"index\":") - 1; /* the list of choices stays empty */
		gw_buf_puts(out, head);
		gw_buf_putc(out, ']');
		if (ir_tier_word(ev->service_tier).p) {
			gw_buf_puts(out, GW_LIT(",\"service_tier\":"));
			gw_json_quote(out, ir_tier_word(ev->service_tier));
		}
		gw_buf_puts(out, GW_LIT(",\"usage\":"));
		gw_jw_init(&w, out);
		ir_usage_write(&w, &wr->usage, false);
		gw_buf_puts(out, GW_LIT("}\n\n"));
	}
	gw_buf_puts(out, GW_LIT("data: [DONE]\n\n"));
}

enum gw_err openai_write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct choice *c = NULL;

	if (ev->kind == IR_EV_START) {
		enum gw_err e = prepare(st, ev);

		return e ? e : choice_of(st, 0, out) ? out->err : GW_E_NOMEM;
	}
	if (!wr->head.p)
		return GW_OK;
	if (ev->kind == IR_EV_USAGE) {
		wr->usage = ev->usage;
		wr->has_usage = ev->usage.is_known;
		return GW_OK;
	}
	if (ev->kind == IR_EV_PING) {
		gw_buf_puts(out, GW_LIT(": ping\n\n"));
		return out->err;
	}
	if (ev->kind == IR_EV_END) {
		put_end(st, ev, out);
		return out->err;
	}
	c = choice_of(st, ev->choice, out);
	if (!c)
		return st->keep->is_full ? GW_E_NOMEM : GW_OK;
	if (ev->kind == IR_EV_BLOCK_START)
		return block_start(st, c, ev, out);
	if (ev->kind == IR_EV_DELTA)
		block_delta(wr, c, ev, out);
	else if (ev->kind == IR_EV_BLOCK_STOP)
		block_stop(wr, c, ev->block, out);
	else if (ev->kind == IR_EV_LOGPROBS)
		put_logprobs(st, c, ev->logprobs, out);
	else if (ev->kind == IR_EV_FINISH)
		put_finish(st, c, ev, out);
	return out->err;
}
