/* Whole replies: a message with content blocks, both ways. */
#include "core/dialect/anthropic/anthropic.h"

/* ---- reading ---- */

static enum gw_err extras_read(struct gw_arena *a, const yyjson_val *root, struct ir_reply *rp)
{
	static const char *const kept[] = { "container", "context_management", "stop_details" };
	struct ir_extra **tail = &rp->extra;
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)root);

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
			if (!anthropic_is(key, kept[i]) || *tail)
				continue;
			if (!ir_extra_add(a, tail, GW_D_ANTHROPIC, key, yyjson_obj_iter_get_val(key)))
				return GW_E_NOMEM;
		}
		if (*tail)
			tail = &(*tail)->next;
	}
	return GW_OK;
}

/* The words of a refusal, which no block has. */
static enum gw_err details_read(struct gw_arena *a, const yyjson_val *root, struct ir_choice *c)
{
	struct gw_str words = anthropic_str(anthropic_get(anthropic_get(root, "stop_details"), "explanation"));
	struct ir_block *b;

	if (c->finish != IR_FINISH_REFUSAL || !words.n)
		return GW_OK;
	b = ir_block_add(a, &c->blocks, IR_REFUSAL);
	if (!b)
		return GW_E_NOMEM;
	b->form = ANTHROPIC_B_DETAILS;
	b->text = words;
	return GW_OK;
}

enum gw_err anthropic_reply_read(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
				 struct ir_reply *out)
{
	struct anthropic_in in = { a, c, NULL, NULL, "content", -1, -1, -1, true };
	const yyjson_val *content = anthropic_get(root, "content"), *usage = anthropic_get(root, "usage");
	struct anthropic_usage u = { 0 };
	struct ir_choice *ch;
	enum gw_err e;

	if (!yyjson_is_arr((yyjson_val *)(uintptr_t)content))
		return GW_E_UP_GARBLED;
	out->source = GW_D_ANTHROPIC;
	out->id = anthropic_str(anthropic_get(root, "id"));
	out->model = anthropic_str(anthropic_get(root, "model"));
	ch = ir_choice_add(a, out, 0);
	if (!ch)
		return GW_E_NOMEM;
	e = anthropic_blocks_read(&in, content, &ch->blocks);
	if (e)
		return e;
	ch->finish_raw = anthropic_str(anthropic_get(root, "stop_reason"));
	ch->finish = anthropic_finish_read(ch->finish_raw);
	ch->stop_sequence = anthropic_str(anthropic_get(root, "stop_sequence"));
	if (c->is_json_tool && ch->finish == IR_FINISH_TOOL_CALLS) {
		const struct ir_block *b = ch->blocks;

		while (b && b->kind != IR_TOOL_CALL)
			b = b->next;
		if (!b)
			ch->finish = IR_FINISH_STOP;
	}
	anthropic_usage_take(&u, usage);
	out->usage = anthropic_usage_out(&u);
	out->service_tier = anthropic_str(anthropic_get(usage, "service_tier"));
	e = extras_read(a, root, out);
	return e ? e : details_read(a, root, ch);
}

/* ---- writing ---- */

struct gw_str anthropic_id_out(struct gw_arena *a, struct gw_str id, const struct gw_carry *c)
{
	if (gw_str_has_prefix(id, GW_LIT("msg_")))
		return id;
	return ir_make_id(a, "msg_", c->seed, 0, 24);
}

static void text_write(struct gw_json_out *w, const struct ir_block *b)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "type", GW_LIT("text"));
	gw_jw_kstr(w, "text", b->text);
	if (b->citations) {
		gw_jw_key(w, GW_LIT("citations"));
		gw_jw_arr(w);
		for (const struct ir_citation *c = b->citations; c; c = c->next)
			anthropic_citation_write(w, c);
		gw_jw_end_arr(w);
	}
	gw_jw_end_obj(w);
}

static void thinking_write(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *b)
{
	struct gw_str proof = ir_mark_put(a, b->signature, b->signature_of, GW_D_ANTHROPIC, false);

	gw_jw_obj(w);
	gw_jw_kstr(w, "type", b->is_redacted ? GW_LIT("redacted_thinking") : GW_LIT("thinking"));
	if (!b->is_redacted)
		gw_jw_kstr(w, "thinking", b->text);
	gw_jw_kstr(w, b->is_redacted ? "data" : "signature", proof);
	gw_jw_end_obj(w);
}

static bool call_write(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *b, const struct gw_carry *c,
		       uint64_t nth)
{
	bool was_object;
	struct gw_str args = ir_args_object(a, b->args, &was_object),
		      id = b->id.n ? ir_tool_name(a, b->id, ANTHROPIC_MAX_ID) /* so that Anthropic takes it back */
				   : ir_make_id(a, "toolu_", c->seed, nth, 24);

	if (!args.p || !id.p)
		return false;
	gw_jw_obj(w);
	gw_jw_kstr(w, "type", GW_LIT("tool_use"));
	gw_jw_kstr(w, "id", id);
	gw_jw_kstr(w, "name", b->name);
	gw_jw_key(w, GW_LIT("input"));
	gw_jw_raw(w, args);
	gw_jw_end_obj(w);
	return true;
}

static bool blocks_write(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *blocks,
			 const struct gw_carry *c)
{
	uint64_t nth = 0;

	for (const struct ir_block *b = blocks; b; b = b->next) {
		nth++;
		if (b->kind == IR_REASONING && (c->wants_reasoning_text || b->signature_of == GW_D_ANTHROPIC))
			thinking_write(a, w, b);
		else if ((b->kind == IR_TEXT || b->kind == IR_REFUSAL) && b->text.n && !(b->form & ANTHROPIC_B_DETAILS))
			text_write(w, b);
		else if (b->kind == IR_TOOL_CALL && !call_write(a, w, b, c, nth))
			return false;
		else if (b->kind == IR_OTHER && b->other_of == GW_D_ANTHROPIC)
			gw_jw_val(w, b->other);
	}
	return true;
}

static void put_or_null(struct gw_json_out *w, const char *key, struct gw_str s)
{
	gw_jw_key(w, gw_str_z(key));
	if (s.p)
		gw_jw_str(w, s);
	else
		gw_jw_null(w);
}

static void end_write(struct gw_json_out *w, const struct ir_reply *in)
{
	const struct ir_choice *ch = in->choices;
	const struct ir_block *refusal = NULL;
	bool has_call = false;

	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		has_call |= b->kind == IR_TOOL_CALL;
		if (b->kind == IR_REFUSAL)
			refusal = b;
	}
	if (in->source == GW_D_ANTHROPIC && ch->finish_raw.n && ch->finish != IR_FINISH_STOP)
		gw_jw_kstr(w, "stop_reason", ch->finish_raw);
	else
		gw_jw_kstr(w, "stop_reason", anthropic_finish_write(ch->finish, has_call, refusal != NULL));
	put_or_null(w, "stop_sequence", ch->stop_sequence);
	ir_extra_write(in->extra, GW_D_ANTHROPIC, w, NULL, "");
	if (refusal && in->source != GW_D_ANTHROPIC) {
		gw_jw_key(w, GW_LIT("stop_details"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "type", GW_LIT("refusal"));
		put_or_null(w, "category", GW_NIL);
		gw_jw_kstr(w, "explanation", refusal->text);
		gw_jw_end_obj(w);
	}
}

enum gw_err anthropic_reply_write(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				  struct gw_buf *body)
{
	struct gw_json_out w;
	struct gw_str id = anthropic_id_out(a, in->id, c);

	if (!id.p)
		return GW_E_NOMEM;
	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "id", id);
	gw_jw_kstr(&w, "type", GW_LIT("message"));
	gw_jw_kstr(&w, "role", GW_LIT("assistant"));
	gw_jw_kstr(&w, "model", c->model);
	gw_jw_key(&w, GW_LIT("content"));
	gw_jw_arr(&w);
	if (!blocks_write(a, &w, in->choices->blocks, c))
		return GW_E_NOMEM;
	gw_jw_end_arr(&w);
	end_write(&w, in);
	gw_jw_key(&w, GW_LIT("usage"));
	gw_jw_obj(&w);
	anthropic_usage_write(&w, &in->usage);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	return body->err;
}
