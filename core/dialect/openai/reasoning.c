/* Reasoning, wherever vendors put it in a message: thinking_blocks, reasoning_details, reasoning_content, reasoning. Most tell the same
 * thing twice; it is read once. Used for histories and for replies. */
#include "core/dialect/openai/openai.h"

/* Who can read the signature: said beside it by us, or by the format's name. */
static enum gw_dialect_id maker_of(yyjson_val *v)
{
	static const struct {
		const char *word;
		enum gw_dialect_id id;
	} makers[] = {
		{ "openai", GW_D_OPENAI }, { "responses", GW_D_RESPONSES }, { "anthropic", GW_D_ANTHROPIC },
		{ "gemini", GW_D_GEMINI }, { "bedrock", GW_D_BEDROCK },     { "cohere", GW_D_COHERE },
		{ "google", GW_D_GEMINI },
	};
	struct gw_str who = ir_get_str(v, GW_LIT("signature_of")), format = ir_get_str(v, GW_LIT("format"));

	if (gw_str_has_prefix(format, GW_LIT("openai-responses")))
		return GW_D_RESPONSES;
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		struct gw_str word = gw_str_z(makers[i].word);

		if (gw_str_eq(who, word) || (!who.n && gw_str_has_prefix(format, word)))
			return makers[i].id;
	}
	return who.n || format.n ? GW_D_NONE : GW_D_ANTHROPIC;
}

static struct ir_block *add(struct gw_arena *a, struct ir_block **out, yyjson_val *raw, uint16_t form)
{
	struct ir_block *b = ir_block_add(a, out, IR_REASONING);

	if (b) {
		b->form = form;
		b->other = raw;
	}
	return b;
}

static bool read_thinking(struct gw_arena *a, yyjson_val *list, struct ir_block **out, struct gw_str whole)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct gw_str type = ir_get_str(v, GW_LIT("type"));
		struct ir_block *b = add(a, out, v, OPENAI_B_THINKING);

		if (!b)
			return false;
		b->is_redacted = gw_str_eq(type, GW_LIT("redacted_thinking"));
		b->text = ir_get_str(v, GW_LIT("thinking"));
		b->signature = ir_get_str(v, b->is_redacted ? GW_LIT("data") : GW_LIT("signature"));
		if (b->signature.n)
			b->signature_of = maker_of(v);
		if (!b->text.n && !b->is_redacted && max == 1)
			b->text = whole; /* streams tell the signature without the text */
	}
	return true;
}

static bool read_details(struct gw_arena *a, yyjson_val *list, struct ir_block **out)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		struct gw_str type = ir_get_str(v, GW_LIT("type"));
		struct ir_block *b = add(a, out, v, OPENAI_B_DETAILS);

		if (!b)
			return false;
		b->text =
		    ir_get_str(v, gw_str_eq(type, GW_LIT("reasoning.summary")) ? GW_LIT("summary") : GW_LIT("text"));
		b->signature = ir_get_str(v, GW_LIT("signature"));
		if (gw_str_eq(type, GW_LIT("reasoning.encrypted"))) {
			b->is_redacted = true;
			b->signature = ir_get_str(v, GW_LIT("data"));
		}
		if (b->signature.n)
			b->signature_of = maker_of(v);
	}
	return true;
}

struct gw_str openai_reasoning_text(struct gw_arena *a, const struct ir_block *blocks)
{
	struct ir_block *list = NULL;

	for (const struct ir_block *b = blocks; b; b = b->next) {
		struct ir_block *t = b->kind == IR_REASONING ? ir_block_add(a, &list, IR_TEXT) : NULL;

		if (t)
			t->text = b->text;
		else if (b->kind == IR_REASONING)
			return GW_NIL;
	}
	return ir_text_of(a, list, GW_NIL);
}

static bool has_items(yyjson_val *v)
{
	size_t i, max;
	yyjson_val *item;

	if (!yyjson_is_arr(v) || !yyjson_arr_size(v))
		return false;
	yyjson_arr_foreach(v, i, max, item)
	{
		if (!yyjson_is_obj(item))
			return false;
	}
	return true;
}

bool openai_read_reasoning(struct gw_arena *a, yyjson_val *m, struct ir_block **out, unsigned *took)
{
	yyjson_val *thinking = yyjson_obj_get(m, "thinking_blocks"), *details = yyjson_obj_get(m, "reasoning_details");
	struct gw_str content = ir_get_str(m, GW_LIT("reasoning_content")),
		      reasoning = ir_get_str(m, GW_LIT("reasoning"));
	struct ir_block *b;

	*took = 0;
	if (has_items(thinking)) {
		*took = OPENAI_TOOK_THINKING;
		return read_thinking(a, thinking, out, content.n ? content : reasoning);
	}
	if (has_items(details)) {
		*took = OPENAI_TOOK_DETAILS;
		return read_details(a, details, out);
	}
	if (!content.n && !reasoning.n)
		return true;
	b = add(a, out, NULL, content.n ? OPENAI_B_CONTENT : OPENAI_B_REASONING);
	if (!b)
		return false;
	*took = content.n ? OPENAI_TOOK_CONTENT : OPENAI_TOOK_REASONING;
	b->text = content.n ? content : reasoning;
	return true;
}
