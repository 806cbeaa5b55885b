/* Whole chat completions replies from the IR. */
#include "core/dialect/openai/openai.h"

struct gw_str openai_finish_word(enum ir_finish f)
{
	switch (f) {
	case IR_FINISH_LENGTH:
		return GW_LIT("length");
	case IR_FINISH_TOOL_CALLS:
		return GW_LIT("tool_calls");
	case IR_FINISH_FILTER:
	case IR_FINISH_REFUSAL:
		return GW_LIT("content_filter");
	case IR_FINISH_UNSET:
	case IR_FINISH_STOP:
	case IR_FINISH_STOP_SEQUENCE:
	case IR_FINISH_PAUSE:
		break;
	}
	return GW_LIT("stop");
}

/* index < 0: none; elements of lists in a stream have one, because SDKs add them up by it. */
static void put_index(struct gw_json_out *w, int64_t index)
{
	if (index >= 0)
		gw_jw_ki64(w, "index", index);
}

void openai_write_annotation(struct gw_json_out *w, const struct ir_citation *c, int64_t index)
{
	gw_jw_obj(w);
	put_index(w, index);
	gw_jw_kstr(w, "type", GW_LIT("url_citation"));
	gw_jw_key(w, GW_LIT("url_citation"));
	gw_jw_obj(w);
	gw_jw_ki64(w, "start_index", c->start < 0 ? 0 : c->start);
	gw_jw_ki64(w, "end_index", c->end < 0 ? 0 : c->end);
	gw_jw_kstr(w, "url", c->url);
	gw_jw_kstr(w, "title", c->title);
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
}

/* Whose signature it is stands beside it: by that it is known again in a history (core/dialect/mark.h). */
static void put_maker(struct gw_json_out *w, enum gw_dialect_id of)
{
	static const char *const names[GW_D_COUNT] = {
		[GW_D_OPENAI] = "openai", [GW_D_RESPONSES] = "responses", [GW_D_ANTHROPIC] = "anthropic",
		[GW_D_GEMINI] = "gemini", [GW_D_BEDROCK] = "bedrock",     [GW_D_COHERE] = "cohere"
	};

	if ((unsigned)of < GW_D_COUNT && names[of])
		gw_jw_kstr(w, "signature_of", gw_str_z(names[of]));
}

void openai_write_thinking(struct gw_json_out *w, const struct ir_block *b, struct gw_str text, int64_t index)
{
	gw_jw_obj(w);
	put_index(w, index);
	gw_jw_kstr(w, "type", b->is_redacted ? GW_LIT("redacted_thinking") : GW_LIT("thinking"));
	if (b->is_redacted) {
		gw_jw_kstr(w, "data", b->signature);
	} else {
		gw_jw_kstr(w, "thinking", text);
		if (b->signature.n)
			gw_jw_kstr(w, "signature", b->signature);
	}
	if (b->signature.n)
		put_maker(w, b->signature_of);
	gw_jw_end_obj(w);
}

void openai_write_image(struct gw_json_out *w, const struct ir_media *m, int64_t index)
{
	gw_jw_obj(w);
	put_index(w, index);
	gw_jw_kstr(w, "type", GW_LIT("image_url"));
	gw_jw_key(w, GW_LIT("image_url"));
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("url"));
	if (m->from == IR_BASE64)
		ir_write_data_url(w, m->mime.n ? m->mime : GW_LIT("image/png"), m->data);
	else
		gw_jw_str(w, m->data);
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
}

/* All texts of one kind, one behind the other, straight into the buffer. */
static bool put_joined(struct gw_json_out *w, const struct ir_choice *ch, enum ir_block_kind kind)
{
	size_t start;
	bool is_open = false;

	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		if (b->kind != kind || !b->text.n)
			continue;
		if (!is_open) {
			gw_jw_str(w, b->text);
			is_open = true;
			continue;
		}
		if (w->b->err || w->b->n < 2)
			return true;
		w->b->n--; /* the closing quote; the next text's opening quote takes its place and is overwritten */
		start = w->b->n;
		gw_json_quote(w->b, b->text);
		if (w->b->err)
			return true;
		memmove(w->b->p + start, w->b->p + start + 1, w->b->n - start - 1);
		w->b->n--;
	}
	return is_open;
}

static bool has_text(const struct ir_choice *ch, enum ir_block_kind kind)
{
	for (const struct ir_block *b = ch->blocks; b; b = b->next)
		if (b->kind == kind && b->text.n)
			return true;
	return false;
}

static void put_calls(struct gw_json_out *w, const struct ir_choice *ch)
{
	bool is_open = false;

	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		if (b->kind != IR_TOOL_CALL)
			continue;
		if (!is_open) {
			gw_jw_key(w, GW_LIT("tool_calls"));
			gw_jw_arr(w);
			is_open = true;
		}
		gw_jw_obj(w);
		gw_jw_kstr(w, "id", b->id);
		gw_jw_kstr(w, "type", b->is_custom ? GW_LIT("custom") : GW_LIT("function"));
		gw_jw_key(w, b->is_custom ? GW_LIT("custom") : GW_LIT("function"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "name", b->name);
		gw_jw_kstr(w, b->is_custom ? "input" : "arguments", b->args.n || b->is_custom ? b->args : GW_LIT("{}"));
		gw_jw_end_obj(w);
		if (b->signature.n && b->signature_of == GW_D_GEMINI) {
			gw_jw_key(w, GW_LIT("extra_content"));
			gw_jw_raw(w, GW_LIT("{\"google\":{\"thought_signature\":"));
			gw_json_quote(w->b, b->signature);
			gw_buf_puts(w->b, GW_LIT("}}"));
		}
		gw_jw_end_obj(w);
	}
	if (is_open)
		gw_jw_end_arr(w);
}

static void put_reasoning(struct gw_json_out *w, const struct ir_choice *ch)
{
	bool is_signed = false;

	if (has_text(ch, IR_REASONING)) {
		gw_jw_key(w, GW_LIT("reasoning_content"));
		put_joined(w, ch, IR_REASONING);
	}
	for (const struct ir_block *b = ch->blocks; b; b = b->next)
		is_signed |= b->kind == IR_REASONING && b->signature.n;
	if (!is_signed)
		return;
	gw_jw_key(w, GW_LIT("thinking_blocks"));
	gw_jw_arr(w);
	for (const struct ir_block *b = ch->blocks; b; b = b->next)
		if (b->kind == IR_REASONING)
			openai_write_thinking(w, b, b->text, -1);
	gw_jw_end_arr(w);
}

static void put_annotations(struct gw_json_out *w, const struct ir_choice *ch)
{
	bool is_open = false;

	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		for (const struct ir_citation *c = b->citations; c; c = c->next) {
			if (!c->url.n)
				continue; /* citations of documents have no place here */
			if (!is_open) {
				gw_jw_key(w, GW_LIT("annotations"));
				gw_jw_arr(w);
				is_open = true;
			}
			openai_write_annotation(w, c, -1);
		}
	}
	if (is_open)
		gw_jw_end_arr(w);
}

static void put_media(struct gw_json_out *w, const struct ir_choice *ch)
{
	bool is_open = false;

	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		if (b->kind == IR_AUDIO && b->other) {
			gw_jw_key(w, GW_LIT("audio"));
			gw_jw_val(w, b->other);
			break;
		}
	}
	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		if (b->kind != IR_IMAGE)
			continue;
		if (!is_open) {
			gw_jw_key(w, GW_LIT("images"));
			gw_jw_arr(w);
			is_open = true;
		}
		openai_write_image(w, &b->media, -1);
	}
	if (is_open)
		gw_jw_end_arr(w);
}

static void put_choice(struct gw_json_out *w, const struct ir_choice *ch)
{
	bool has_refusal = has_text(ch, IR_REFUSAL), has_calls = false;

	for (const struct ir_block *b = ch->blocks; b; b = b->next)
		has_calls |= b->kind == IR_TOOL_CALL;
	gw_jw_obj(w);
	gw_jw_ku64(w, "index", ch->index);
	gw_jw_key(w, GW_LIT("message"));
	gw_jw_obj(w);
	gw_jw_kstr(w, "role", GW_LIT("assistant"));
	gw_jw_key(w, GW_LIT("content"));
	if (!put_joined(w, ch, IR_TEXT)) {
		if (has_calls || has_refusal)
			gw_jw_null(w);
		else
			gw_jw_str(w, GW_LIT(""));
	}
	gw_jw_key(w, GW_LIT("refusal"));
	if (!put_joined(w, ch, IR_REFUSAL))
		gw_jw_null(w);
	put_reasoning(w, ch);
	put_calls(w, ch);
	put_annotations(w, ch);
	put_media(w, ch);
	gw_jw_end_obj(w);
	gw_jw_key(w, GW_LIT("logprobs"));
	if (ch->logprobs)
		gw_jw_val(w, ch->logprobs);
	else
		gw_jw_null(w);
	gw_jw_kstr(w, "finish_reason", openai_finish_word(ch->finish));
	gw_jw_end_obj(w);
}

enum gw_err openai_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body)
{
	struct gw_json_out w;
	struct gw_str id = in->id;

	if (!id.n || (in->source != GW_D_OPENAI && !gw_str_has_prefix(id, GW_LIT("chatcmpl-"))))
		id = ir_make_id(a, "chatcmpl-", c->seed, 0, 29);
	if (!id.p)
		return GW_E_NOMEM;
	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "id", id);
	gw_jw_kstr(&w, "object", GW_LIT("chat.completion"));
	gw_jw_ki64(&w, "created", in->created > 0 ? in->created : c->now_s);
	gw_jw_kstr(&w, "model", c->model);
	gw_jw_key(&w, GW_LIT("choices"));
	gw_jw_arr(&w);
	for (const struct ir_choice *ch = in->choices; ch; ch = ch->next)
		put_choice(&w, ch);
	gw_jw_end_arr(&w);
	if (in->usage.is_known) {
		gw_jw_key(&w, GW_LIT("usage"));
		ir_usage_write(&w, &in->usage, false);
	}
	if (ir_tier_word(in->service_tier).p)
		gw_jw_kstr(&w, "service_tier", ir_tier_word(in->service_tier));
	ir_extra_write(in->extra, GW_D_OPENAI, &w, NULL, "");
	gw_jw_end_obj(&w);
	return body->err;
}
