/* Text completions as a way to ask chat models (core/dialect/text.h). */
#include "core/dialect/text.h"

#include "core/dialect/openai/openai.h"
#include "core/error_body.h"
#include "lib/json.h"

enum { MAX_CHOICES = 128 };

/* ---- requests ---- */

static enum gw_err bad(struct gw_str *param, struct gw_str *why, enum gw_err e, const char *field, const char *words)
{
	*param = gw_str_z(field);
	*why = gw_str_z(words);
	return e;
}

/* What only a model that continues texts can do: refused, unless it says nothing. */
static enum gw_err refuse_member(yyjson_val *key, yyjson_val *v, bool *is_ours, struct gw_str *param,
				 struct gw_str *why)
{
	*is_ours = true;
	if (yyjson_equals_str(key, "echo"))
		return !yyjson_get_bool(v) ? GW_OK
					   : bad(param, why, GW_E_INVALID, "echo",
						 "echo is not possible: this model is a chat model. Remove it.");
	if (yyjson_equals_str(key, "best_of"))
		return yyjson_is_null(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) == 1)
			   ? GW_OK
			   : bad(param, why, GW_E_INVALID, "best_of",
				 "best_of is not possible: this model is a chat model. Remove it, or ask for n.");
	if (yyjson_equals_str(key, "suffix"))
		return yyjson_is_null(v) || yyjson_equals_str(v, "")
			   ? GW_OK
			   : bad(param, why, GW_E_INVALID, "suffix",
				 "suffix is not possible: this model is a chat model. Say in the prompt what is to "
				 "follow.");
	if (yyjson_equals_str(key, "logprobs"))
		return yyjson_is_null(v) ? GW_OK
					 : bad(param, why, GW_E_INVALID, "logprobs",
					       "logprobs of this form are not possible: this model is a chat model. "
					       "Use /v1/chat/completions.");
	*is_ours = yyjson_equals_str(key, "prompt");
	return GW_OK;
}

static enum gw_err prompt_of(yyjson_val *root, yyjson_val **prompt, struct gw_str *param, struct gw_str *why)
{
	yyjson_val *v = yyjson_obj_get(root, "prompt");

	if (yyjson_is_arr(v) && yyjson_arr_size(v) == 1)
		v = yyjson_arr_get_first(v);
	*prompt = v;
	if (yyjson_is_str(v) && yyjson_get_len(v))
		return GW_OK;
	return bad(param, why, v ? GW_E_INVALID : GW_E_MISSING, "prompt",
		   "prompt must be one text for this model: it is a chat model, which takes no tokens and no lists. "
		   "Send each prompt by itself.");
}

/* The same request as a chat. */
static enum gw_err write_chat(yyjson_val *root, yyjson_val *prompt, struct gw_buf *out, struct gw_str *param,
			      struct gw_str *why)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(root);
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("messages"));
	gw_jw_arr(&w);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "role", GW_LIT("user"));
	gw_jw_kstr(&w, "content", gw_json_str(prompt));
	gw_jw_end_obj(&w);
	gw_jw_end_arr(&w);
	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *v = yyjson_obj_iter_get_val(key);
		bool is_ours;
		enum gw_err e = refuse_member(key, v, &is_ours, param, why);

		if (e)
			return e;
		if (yyjson_equals_str(key, "messages") || yyjson_equals_str(key, "tools"))
			return bad(param, why, GW_E_INVALID, yyjson_get_str(key),
				   "messages and tools belong to /v1/chat/completions; here the prompt is all.");
		if (is_ours)
			continue;
		gw_jw_key(&w, gw_json_str(key));
		gw_jw_val(&w, v);
	}
	gw_jw_end_obj(&w);
	return out->err;
}

static enum gw_err read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				struct gw_str *param, struct gw_str *why)
{
	yyjson_val *top = (yyjson_val *)(uintptr_t)root, *prompt;
	const yyjson_val *chat;
	struct gw_str text;
	struct gw_buf b;
	enum gw_err e = prompt_of(top, &prompt, param, why);

	if (e)
		return e;
	gw_buf_init(&b, a->max_bytes);
	e = write_chat(top, prompt, &b, param, why);
	text = e ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	if (e || !text.p)
		return e ? e : GW_E_NOMEM;
	e = gw_json_tree(a, text, NULL, &chat, NULL);
	return e ? e : openai_read_request(a, chat, out, param, why);
}

/* ---- replies ---- */

/* From the brace to the list of choices. */
static void put_head(struct gw_json_out *w, struct gw_arena *a, const struct gw_carry *c, int64_t created)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "id", ir_make_id(a, "cmpl-", c->seed, 0, 29));
	gw_jw_kstr(w, "object", GW_LIT("text_completion"));
	gw_jw_ki64(w, "created", created > 0 ? created : c->now_s);
	gw_jw_kstr(w, "model", c->model);
	gw_jw_key(w, GW_LIT("choices"));
	gw_jw_arr(w);
}

/* What was said, refusals too: there is no other place for them. */
static void put_text(struct gw_json_out *w, const struct ir_choice *ch, struct gw_buf *text)
{
	gw_buf_clear(text, SIZE_MAX);
	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		if (b->kind == IR_TEXT || b->kind == IR_REFUSAL)
			gw_buf_puts(text, b->text);
	}
	gw_jw_kstr(w, "text", gw_buf_view(text));
}

static enum gw_err write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body)
{
	struct gw_json_out w;
	struct gw_buf text;
	enum gw_err e;

	gw_buf_init(&text, body->max);
	gw_jw_init(&w, body);
	put_head(&w, a, c, in->created);
	for (const struct ir_choice *ch = in->choices; ch; ch = ch->next) {
		gw_jw_obj(&w);
		put_text(&w, ch, &text);
		gw_jw_ku64(&w, "index", ch->index);
		gw_jw_key(&w, GW_LIT("logprobs"));
		gw_jw_null(&w);
		gw_jw_kstr(&w, "finish_reason", openai_finish_word(ch->finish));
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	if (in->usage.is_known) {
		gw_jw_key(&w, GW_LIT("usage"));
		ir_usage_write(&w, &in->usage, false);
	}
	gw_jw_end_obj(&w);
	e = text.err ? text.err : body->err;
	gw_buf_done(&text);
	return a->is_full ? GW_E_NOMEM : e;
}

/* ---- streams ---- */

struct writer {
	struct gw_str head; /* "data: " to the bracket of the choices */
	struct gw_usage usage;
	uint8_t kind[MAX_CHOICES]; /* of the choice's open block */
};

static enum gw_err start(struct gw_stream_state *st, const struct ir_event *ev)
{
	struct writer *wr = st->own;
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 4096);
	gw_buf_puts(&b, GW_LIT("data: "));
	gw_jw_init(&w, &b);
	put_head(&w, st->keep, st->carry, ev->created);
	wr->head = b.err ? GW_NIL : gw_arena_str(st->keep, gw_buf_view(&b));
	gw_buf_done(&b);
	return wr->head.p ? GW_OK : GW_E_NOMEM;
}

static void put_piece(struct gw_stream_state *st, uint32_t choice, struct gw_str text, struct gw_str finish,
		      struct gw_buf *out)
{
	const struct writer *wr = st->own;

	gw_buf_puts(out, wr->head);
	gw_buf_puts(out, GW_LIT("{\"text\":"));
	gw_json_quote(out, text);
	gw_buf_puts(out, GW_LIT(",\"index\":"));
	gw_buf_put_u64(out, choice);
	gw_buf_puts(out, GW_LIT(",\"logprobs\":null,\"finish_reason\":"));
	if (finish.n)
		gw_json_quote(out, finish);
	else
		gw_buf_puts(out, GW_LIT("null"));
	gw_buf_puts(out, st->carry->wants_usage ? GW_LIT("}],\"usage\":null}\n\n") : GW_LIT("}]}\n\n"));
}

static void end(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	struct gw_json_out w;

	if (ev->usage.is_known)
		wr->usage = ev->usage;
	if (st->carry->wants_usage && wr->usage.is_known) {
		gw_buf_puts(out, wr->head);
		gw_buf_puts(out, GW_LIT("],\"usage\":"));
		gw_jw_init(&w, out);
		ir_usage_write(&w, &wr->usage, false);
		gw_buf_puts(out, GW_LIT("}\n\n"));
	}
	gw_buf_puts(out, GW_LIT("data: [DONE]\n\n"));
}

static enum gw_err write_event(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out)
{
	struct writer *wr = st->own;
	bool is_known = ev->choice < MAX_CHOICES;

	if (ev->kind == IR_EV_START)
		return start(st, ev);
	if (!wr->head.p)
		return GW_OK;
	if (ev->kind == IR_EV_BLOCK_START && is_known)
		wr->kind[ev->choice] = (uint8_t)ev->start.kind;
	else if (ev->kind == IR_EV_DELTA && ev->delta == IR_DELTA_TEXT && is_known &&
		 (wr->kind[ev->choice] == IR_TEXT || wr->kind[ev->choice] == IR_REFUSAL))
		put_piece(st, ev->choice, ev->text, GW_NIL, out);
	else if (ev->kind == IR_EV_FINISH && is_known)
		put_piece(st, ev->choice, GW_LIT(""), openai_finish_word(ev->finish), out);
	else if (ev->kind == IR_EV_USAGE)
		wr->usage = ev->usage;
	else if (ev->kind == IR_EV_PING)
		gw_buf_puts(out, GW_LIT(": ping\n\n"));
	else if (ev->kind == IR_EV_END)
		end(st, ev, out);
	return out->err;
}

static void write_error(const struct gw_error_told *told, struct gw_buf *out)
{
	gw_error_write_openai(out, told);
}

static void write_error_event(const struct gw_error_told *told, const struct gw_carry *c, struct gw_buf *out)
{
	gw_openai.write_error_event(told, c, out);
}

const struct gw_dialect gw_text = {
	.id = GW_D_OPENAI,
	.name = "text",
	.framing = GW_FRAMING_SSE,
	.is_serial = true,
	.writer_bytes = sizeof(struct writer),
	.read_request = read_request,
	.write_reply = write_reply,
	.write_event = write_event,
	.write_error = write_error,
	.write_error_event = write_error_event,
};
