/* What the model said, in chat completions bodies: text, refusals, calls, and the reasoning of earlier turns, which each vendor wants elsewhere
 * or not at all. */
#include "core/dialect/openai/write.h"

#define has openai_has

/* ---- calls ---- */

/* What a call of this dialect had beside its function. */
static void put_call_rest(struct openai_write *x, const struct ir_block *b)
{
	bool is_plain = has(x, GW_Q_PLAIN_HISTORY | GW_Q_STRICT_FIELDS | GW_Q_REASONING_PARTS);
	bool is_signed = b->form & OPENAI_B_SIGNED || b->signature.n;

	if (is_signed && is_plain)
		openai_drop(x, "messages[].tool_calls[].extra_content");
	if (is_plain)
		return;
	if (x->is_home && b->form & OPENAI_B_SIGNED) {
		gw_jw_key(&x->w, GW_LIT("extra_content"));
		gw_jw_val(&x->w, gw_json_get(b->other, GW_LIT("extra_content")));
	} else if (b->signature.n && !x->is_home &&
		   !(has(x, GW_Q_REASONING_DETAILS) && b->signature_of == GW_D_GEMINI)) {
		openai_drop(x, "messages[].tool_calls[].signature");
	}
	if (x->is_home && gw_json_get(b->other, GW_LIT("index"))) {
		gw_jw_key(&x->w, GW_LIT("index"));
		gw_jw_val(&x->w, gw_json_get(b->other, GW_LIT("index")));
	}
	ir_extra_write(b->extra, GW_D_OPENAI, &x->w, x->rq, "messages[].tool_calls[].");
}

static void put_call(struct openai_write *x, const struct ir_block *b)
{
	struct gw_str args = b->args;

	if (!args.n && !x->is_home && !b->is_custom)
		args = GW_LIT("{}");
	gw_jw_obj(&x->w);
	if (b->id.p)
		gw_jw_kstr(&x->w, "id", openai_call_id(x, b->id));
	if (!x->is_home || gw_json_get(b->other, GW_LIT("type")))
		gw_jw_kstr(&x->w, "type", b->is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_key(&x->w, b->is_custom ? GW_LIT("custom") : GW_LIT("function"));
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "name", openai_name(x, b->name));
	if (args.p)
		gw_jw_kstr(&x->w, b->is_custom ? "input" : "arguments", args);
	gw_jw_end_obj(&x->w);
	put_call_rest(x, b);
	gw_jw_end_obj(&x->w);
}

static void put_calls(struct openai_write *x, const struct openai_turn *t, bool *has_calls)
{
	*has_calls = false;
	OPENAI_BLOCKS(t, m, b)
	{
		if (b->kind != IR_TOOL_CALL || (x->is_home && b->form == OPENAI_B_FUNCTION))
			continue;
		if (!*has_calls) {
			gw_jw_key(&x->w, GW_LIT("tool_calls"));
			gw_jw_arr(&x->w);
			*has_calls = true;
		}
		put_call(x, b);
	}
	if (*has_calls)
		gw_jw_end_arr(&x->w);
}

/* The one call of the time before tools. */
static void put_old_call(struct openai_write *x, const struct ir_message *m)
{
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind != IR_TOOL_CALL || b->form != OPENAI_B_FUNCTION)
			continue;
		gw_jw_key(&x->w, GW_LIT("function_call"));
		gw_jw_obj(&x->w);
		gw_jw_kstr(&x->w, "name", b->name);
		if (b->args.p)
			gw_jw_kstr(&x->w, "arguments", b->args);
		gw_jw_end_obj(&x->w);
	}
}

/* ---- as it was ---- */

/* Lists of reasoning blocks of one place. */
static void put_kept_list(struct openai_write *x, const struct ir_message *m, uint16_t form, const char *name)
{
	bool is_open = false;

	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind != IR_REASONING || b->form != form)
			continue;
		if (!is_open) {
			gw_jw_key(&x->w, gw_str_z(name));
			gw_jw_arr(&x->w);
			is_open = true;
		}
		gw_jw_val(&x->w, b->other);
	}
	if (is_open)
		gw_jw_end_arr(&x->w);
}

static void put_kept_reasoning(struct openai_write *x, const struct ir_message *m)
{
	put_kept_list(x, m, OPENAI_B_THINKING, "thinking_blocks");
	put_kept_list(x, m, OPENAI_B_DETAILS, "reasoning_details");
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_REASONING && (b->form == OPENAI_B_CONTENT || b->form == OPENAI_B_REASONING))
			gw_jw_kstr(&x->w, b->form == OPENAI_B_CONTENT ? "reasoning_content" : "reasoning", b->text);
	}
	if (m->form & OPENAI_M_CONTENT_TOO)
		gw_jw_kstr(&x->w, "reasoning_content", openai_reasoning_text(x->a, m->blocks));
	if (m->form & OPENAI_M_REASONING_TOO)
		gw_jw_kstr(&x->w, "reasoning", openai_reasoning_text(x->a, m->blocks));
}

static void put_kept(struct openai_write *x, const struct openai_turn *t)
{
	const struct ir_message *m = t->first;

	put_kept_reasoning(x, m);
	if (!(m->form & OPENAI_M_ABSENT))
		openai_write_content(x, t);
	for (const struct ir_block *b = m->blocks; b; b = b->next)
		if (b->kind == IR_REFUSAL && b->form == OPENAI_B_FIELD)
			gw_jw_kstr(&x->w, "refusal", b->text);
}

/* ---- anew ---- */

static void put_format(struct openai_write *x, enum gw_dialect_id maker)
{
	if (maker == GW_D_ANTHROPIC || maker == GW_D_BEDROCK)
		gw_jw_kstr(&x->w, "format", GW_LIT("anthropic-claude-v1"));
	else if (maker == GW_D_GEMINI)
		gw_jw_kstr(&x->w, "format", GW_LIT("google-gemini-v1"));
	else if (maker == GW_D_RESPONSES)
		gw_jw_kstr(&x->w, "format", GW_LIT("openai-responses-v1"));
}

/* One element of reasoning_details: a text with its proof, or what only its maker reads. */
static void put_detail(struct openai_write *x, const struct ir_block *b, int64_t index, bool is_sealed)
{
	gw_jw_obj(&x->w);
	gw_jw_kstr(&x->w, "type", is_sealed ? GW_LIT("reasoning.encrypted") : GW_LIT("reasoning.text"));
	gw_jw_kstr(&x->w, is_sealed ? "data" : "text", is_sealed ? b->signature : b->text);
	if (!is_sealed && b->signature.n && b->signature_of == GW_D_ANTHROPIC)
		gw_jw_kstr(&x->w, "signature", b->signature);
	if (is_sealed && b->kind == IR_TOOL_CALL)
		gw_jw_kstr(&x->w, "id", b->id);
	put_format(x, b->signature_of);
	gw_jw_ki64(&x->w, "index", index);
	gw_jw_end_obj(&x->w);
}

static void put_details(struct openai_write *x, const struct openai_turn *t)
{
	int64_t n = 0;

	OPENAI_BLOCKS(t, m, b)
	{
		bool is_call = b->kind == IR_TOOL_CALL, has_text = b->kind == IR_REASONING && b->text.n,
		     is_sealed = b->signature.n && (is_call ? b->signature_of == GW_D_GEMINI
							    : b->is_redacted || b->signature_of != GW_D_ANTHROPIC);

		if ((!is_call && b->kind != IR_REASONING) || (!has_text && !is_sealed))
			continue;
		if (!n) {
			gw_jw_key(&x->w, GW_LIT("reasoning_details"));
			gw_jw_arr(&x->w);
		}
		if (has_text)
			put_detail(x, b, n++, false);
		if (is_sealed)
			put_detail(x, b, n++, true);
	}
	if (n)
		gw_jw_end_arr(&x->w);
}

/* The texts of one kind of a turn, one behind the other; .p NULL when there are none. */
static struct gw_str texts_of(struct openai_write *x, const struct openai_turn *t, enum ir_block_kind kind,
			      const char *between)
{
	struct ir_block *list = NULL;
	struct gw_str text;

	OPENAI_BLOCKS(t, m, b)
	{
		struct ir_block *c = b->kind == kind && b->text.n ? ir_block_add(x->a, &list, IR_TEXT) : NULL;

		if (c)
			c->text = b->text;
	}
	if (!list)
		return GW_NIL;
	text = ir_text_of(x->a, list, gw_str_z(between));
	if (!text.p && !x->err)
		x->err = GW_E_NOMEM;
	return text;
}

static void drop_reasoning(struct openai_write *x, const struct openai_turn *t)
{
	if (x->is_home && t->first->form & OPENAI_M_CONTENT_TOO)
		openai_drop(x, "messages[].reasoning_content");
	OPENAI_BLOCKS(t, m, b)
	{
		if (b->kind != IR_REASONING)
			continue;
		if (b->signature.n && !x->is_home)
			openai_drop(x, "messages[].thinking.signature");
		if (b->text.n || x->is_home)
			openai_drop(x, !x->is_home                     ? "messages[].thinking"
				       : b->form == OPENAI_B_THINKING  ? "messages[].thinking_blocks"
				       : b->form == OPENAI_B_DETAILS   ? "messages[].reasoning_details"
				       : b->form == OPENAI_B_REASONING ? "messages[].reasoning"
								       : "messages[].reasoning_content");
	}
}

/* Most providers of this dialect want nothing of what was thought before; those that do take the text, some the proofs. */
static struct gw_str put_reasoning(struct openai_write *x, const struct openai_turn *t)
{
	struct gw_str text = texts_of(x, t, IR_REASONING, "\n");

	if (has(x, GW_Q_REASONING_DETAILS)) {
		put_details(x, t);
		return GW_NIL;
	}
	if (!has(x, GW_Q_REASONING_BACK | GW_Q_REASONING_PARTS)) {
		drop_reasoning(x, t);
		return GW_NIL;
	}
	OPENAI_BLOCKS(t, m, b)
	{
		if (b->kind == IR_REASONING && b->signature.n)
			openai_drop(x, "messages[].thinking.signature");
	}
	if (!text.n || has(x, GW_Q_REASONING_PARTS))
		return text;
	if (x->is_in_loop || !has(x, GW_Q_REASONING_LOOP)) /* what lies further back the vendor passes over by itself */
		gw_jw_kstr(&x->w, has(x, GW_Q_REASONING_WORD) ? "reasoning" : "reasoning_content", text);
	return GW_NIL;
}

/* {"type":"thinking","thinking":[{"type":"text"}]} and the text, as Mistral has it. */
static void put_parts(struct openai_write *x, struct gw_str thought, struct gw_str text)
{
	gw_jw_arr(&x->w);
	gw_jw_raw(&x->w, GW_LIT("{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"));
	gw_json_quote(x->w.b, thought);
	gw_buf_puts(x->w.b, GW_LIT("}]}"));
	if (text.n) {
		gw_jw_obj(&x->w);
		gw_jw_kstr(&x->w, "type", GW_LIT("text"));
		gw_jw_kstr(&x->w, "text", text);
		gw_jw_end_obj(&x->w);
	}
	gw_jw_end_arr(&x->w);
}

static void put_said(struct openai_write *x, const struct openai_turn *t, struct gw_str thought)
{
	struct gw_str text = texts_of(x, t, IR_TEXT, ""), refusal = texts_of(x, t, IR_REFUSAL, "\n");
	bool has_calls = false;

	OPENAI_BLOCKS(t, m, b)
	{
		has_calls |= b->kind == IR_TOOL_CALL;
		if (b->kind == IR_IMAGE || b->kind == IR_FILE || b->kind == IR_AUDIO || b->kind == IR_OTHER)
			openai_drop(x, "messages[].content[] (of the assistant, not text)");
		if (b->cache)
			openai_drop(x, "cache_control");
	}
	if (refusal.n && has(x, GW_Q_STRICT_FIELDS)) { /* no place of its own there */
		text = text.n ? gw_arena_printf(x->a, "%.*s\n%.*s", GW_FMT(text), GW_FMT(refusal)) : refusal;
		refusal = GW_NIL;
	}
	gw_jw_key(&x->w, GW_LIT("content"));
	if (thought.n)
		put_parts(x, thought, text);
	else if (!text.n && (has_calls || refusal.n))
		gw_jw_null(&x->w);
	else
		gw_jw_str(&x->w, text);
	if (refusal.n)
		gw_jw_kstr(&x->w, "refusal", refusal);
}

/* Thoughts that the gateway gave out for a provider of another dialect: no provider of this one knows the form. */
static bool has_foreign(const struct ir_message *m)
{
	for (const struct ir_block *b = m->blocks; b; b = b->next) {
		if (b->kind == IR_REASONING && b->form == OPENAI_B_THINKING &&
		    gw_json_get(b->other, GW_LIT("signature_of")))
			return true;
	}
	return false;
}

/* Does the message stay as it was? Not where its reasoning has to move, or a refusal has no place. */
static bool is_kept(const struct openai_write *x, const struct openai_turn *t)
{
	if (t->is_kept && has_foreign(t->first))
		return false;
	if (!t->is_kept || !has(x, GW_Q_PLAIN_HISTORY | GW_Q_STRICT_FIELDS | GW_Q_REASONING_BACK |
				       GW_Q_REASONING_PARTS | GW_Q_REASONING_DETAILS))
		return t->is_kept;
	OPENAI_BLOCKS(t, m, b)
	{
		if ((b->kind == IR_REASONING && b->form != OPENAI_B_PART) ||
		    (b->kind == IR_REFUSAL && has(x, GW_Q_STRICT_FIELDS)))
			return false;
	}
	return true;
}

void openai_write_said(struct openai_write *x, const struct openai_turn *t, bool is_last)
{
	bool has_calls;

	openai_open_message(x, "assistant");
	if (is_kept(x, t))
		put_kept(x, t);
	else
		put_said(x, t, put_reasoning(x, t));
	if (x->is_home)
		put_old_call(x, t->first);
	put_calls(x, t, &has_calls);
	openai_write_rest(x, t);
	if (is_last && has(x, GW_Q_PREFIX) && !has_calls &&
	    !ir_extra_get(t->first->extra, GW_D_OPENAI, GW_LIT("prefix")))
		gw_jw_kbool(&x->w, "prefix", true);
	gw_jw_end_obj(&x->w);
}
