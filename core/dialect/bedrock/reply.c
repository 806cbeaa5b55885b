/* Converse replies, both ways, and what their streams share: stop reasons and usage. */
#include "core/dialect/bedrock/bedrock.h"
#include "lib/text.h"

enum { MAX_DETAILS = 16 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static const yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return gw_json_get(obj, gw_str_z(key));
}

/* ---- stop reasons ---- */

static const struct {
	const char *word;
	enum ir_finish finish;
} stops[] = {
	{ "end_turn", IR_FINISH_STOP },
	{ "stop_sequence", IR_FINISH_STOP_SEQUENCE },
	{ "tool_use", IR_FINISH_TOOL_CALLS },
	{ "max_tokens", IR_FINISH_LENGTH },
	{ "model_context_window_exceeded", IR_FINISH_LENGTH },
	{ "guardrail_intervened", IR_FINISH_FILTER },
	{ "content_filtered", IR_FINISH_FILTER },
};

enum ir_finish bedrock_finish_read(struct gw_str word)
{
	for (size_t i = 0; i < sizeof(stops) / sizeof(*stops); i++) {
		if (gw_str_eq(gw_str_z(stops[i].word), word))
			return stops[i].finish;
	}
	return IR_FINISH_STOP;
}

bool bedrock_finish_is_broken(struct gw_str word)
{
	return gw_str_eq(word, GW_LIT("malformed_model_output")) || gw_str_eq(word, GW_LIT("malformed_tool_use"));
}

struct gw_str bedrock_finish_write(enum ir_finish f)
{
	switch (f) {
	case IR_FINISH_STOP_SEQUENCE:
		return GW_LIT("stop_sequence");
	case IR_FINISH_LENGTH:
		return GW_LIT("max_tokens");
	case IR_FINISH_TOOL_CALLS:
		return GW_LIT("tool_use");
	case IR_FINISH_FILTER:
	case IR_FINISH_REFUSAL:
		return GW_LIT("content_filtered");
	default:
		return GW_LIT("end_turn");
	}
}

/* ---- usage: inputTokens has no cache in it ---- */

static uint64_t count(const yyjson_val *obj, const char *key)
{
	const yyjson_val *v = get(obj, key);
	double d = yyjson_is_num(mut(v)) ? yyjson_get_num(mut(v)) : 0;

	return d > 0 ? d < 1e9 ? (uint64_t)d : 1000000000 : 0;
}

void bedrock_usage_read(const yyjson_val *u, struct gw_usage *out)
{
	uint64_t written = count(u, "cacheWriteInputTokens"), hour = 0;
	const yyjson_val *details = get(u, "cacheDetails");
	yyjson_arr_iter it;
	yyjson_val *d;
	unsigned n = 0;

	if (!yyjson_is_num(mut(get(u, "inputTokens"))) && !yyjson_is_num(mut(get(u, "outputTokens"))))
		return;
	if (yyjson_is_arr(mut(details))) {
		yyjson_arr_iter_init(mut(details), &it);
		while ((d = yyjson_arr_iter_next(&it)) && ++n <= MAX_DETAILS) {
			if (gw_str_eq(gw_json_str(get(d, "ttl")), GW_LIT("1h")))
				hour += count(d, "inputTokens");
		}
	}
	hour = hour < written ? hour : written;
	out->is_known = true;
	out->cache_read = count(u, "cacheReadInputTokens");
	out->cache_write_1h = hour;
	out->cache_write_5m = written - hour;
	out->input = count(u, "inputTokens") + out->cache_read + written;
	out->output = count(u, "outputTokens");
	gw_usage_settle(out);
}

static void put_lifetime(struct gw_json_out *w, struct gw_str ttl, uint64_t tokens)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "ttl", ttl);
	gw_jw_ku64(w, "inputTokens", tokens);
	gw_jw_end_obj(w);
}

void bedrock_usage_write(struct gw_json_out *w, const struct gw_usage *u)
{
	uint64_t written = u->cache_write_5m + u->cache_write_1h, cached = u->cache_read + written;

	gw_jw_key(w, GW_LIT("usage"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "inputTokens", u->input > cached ? u->input - cached : 0);
	gw_jw_ku64(w, "outputTokens", u->output);
	gw_jw_ku64(w, "totalTokens", u->input + u->output);
	if (u->cache_read)
		gw_jw_ku64(w, "cacheReadInputTokens", u->cache_read);
	if (written)
		gw_jw_ku64(w, "cacheWriteInputTokens", written);
	if (u->cache_write_1h) {
		gw_jw_key(w, GW_LIT("cacheDetails"));
		gw_jw_arr(w);
		put_lifetime(w, GW_LIT("1h"), u->cache_write_1h);
		if (u->cache_write_5m)
			put_lifetime(w, GW_LIT("5m"), u->cache_write_5m);
		gw_jw_end_arr(w);
	}
	gw_jw_end_obj(w);
}

/* ---- reading ---- */

enum gw_err bedrock_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			       struct ir_reply *out)
{
	const yyjson_val *content = get(get(get(root, "output"), "message"), "content"), *delta;
	struct gw_str stop = gw_json_str(get(root, "stopReason"));
	bool has_call = false;
	struct ir_choice *choice;
	struct ir_block **tail;
	yyjson_arr_iter it;
	yyjson_val *b;

	if (!yyjson_is_arr(mut(content)))
		return GW_E_UP_GARBLED;
	choice = ir_choice_add(a, out, 0);
	if (!choice)
		return GW_E_NOMEM;
	tail = &choice->blocks;
	yyjson_arr_iter_init(mut(content), &it);
	while ((b = yyjson_arr_iter_next(&it))) {
		if (!bedrock_block_read(a, b, tail))
			return GW_E_NOMEM;
		if ((*tail)->kind == IR_TOOL_RESULT) { /* of the provider's own tools */
			(*tail)->kind = IR_OTHER;
			(*tail)->content = NULL;
		}
		if ((*tail)->kind == IR_TOOL_CALL && bedrock_is_json_tool(c, (*tail)->name))
			**tail = (struct ir_block){
				.kind = IR_TEXT, .text = (*tail)->args, .signature_of = GW_D_NONE, .other_of = GW_D_NONE
			};
		has_call |= (*tail)->kind == IR_TOOL_CALL;
		(*tail)->name = gw_carry_name_back(c, (*tail)->name);
		tail = &(*tail)->next;
	}
	if (bedrock_finish_is_broken(stop) && !choice->blocks)
		return GW_E_UP_GARBLED;
	choice->finish = bedrock_finish_read(stop);
	if (c->is_json_tool && choice->finish == IR_FINISH_TOOL_CALLS && !has_call)
		choice->finish = IR_FINISH_STOP;
	choice->finish_raw = stop;
	delta = get(get(root, "additionalModelResponseFields"), "delta");
	choice->stop_sequence = gw_json_str(get(delta, "stop_sequence"));
	bedrock_usage_read(get(root, "usage"), &out->usage);
	out->service_tier = gw_json_str(get(get(root, "serviceTier"), "type"));
	if (out->service_tier.n)
		out->usage.tier = (uint8_t)gw_tier_of(out->service_tier);
	return a->is_full ? GW_E_NOMEM : GW_OK;
}

/* ---- writing ---- */

static void put_call(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *b)
{
	bool was_object;

	gw_jw_key(w, GW_LIT("toolUse"));
	gw_jw_obj(w);
	gw_jw_kstr(w, "toolUseId", ir_tool_name(a, b->id, BEDROCK_ID_BYTES));
	gw_jw_kstr(w, "name", b->name);
	gw_jw_key(w, GW_LIT("input"));
	gw_jw_raw(w, ir_args_object(a, b->args, &was_object));
	gw_jw_end_obj(w);
}

static void put_reasoning(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *b)
{
	struct gw_str proof = ir_mark_put(a, b->signature, b->signature_of, GW_D_BEDROCK, b->is_redacted);

	gw_jw_key(w, GW_LIT("reasoningContent"));
	gw_jw_obj(w);
	if (b->is_redacted) {
		gw_jw_kstr(w, "redactedContent", proof);
	} else {
		gw_jw_key(w, GW_LIT("reasoningText"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "text", b->text);
		gw_jw_kstr(w, "signature", proof);
		gw_jw_end_obj(w);
	}
	gw_jw_end_obj(w);
}

static void put_text(struct gw_json_out *w, const struct ir_block *b)
{
	if (!b->citations) {
		gw_jw_kstr(w, "text", b->text);
		return;
	}
	gw_jw_key(w, GW_LIT("citationsContent"));
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("content"));
	gw_jw_arr(w);
	gw_jw_obj(w);
	gw_jw_kstr(w, "text", b->text);
	gw_jw_end_obj(w);
	gw_jw_end_arr(w);
	gw_jw_key(w, GW_LIT("citations"));
	gw_jw_arr(w);
	for (const struct ir_citation *c = b->citations; c; c = c->next)
		bedrock_citation_write(w, c);
	gw_jw_end_arr(w);
	gw_jw_end_obj(w);
}

static bool is_told(const struct ir_block *b, const struct gw_carry *c)
{
	switch (b->kind) {
	case IR_TEXT:
	case IR_REFUSAL:
		return b->text.n > 0;
	case IR_REASONING:
		return c->wants_reasoning_text && (b->is_redacted || b->text.n > 0 || b->signature.n > 0);
	case IR_TOOL_CALL:
		return true;
	default: /* pictures and the like: Converse has no place for them that SDKs of today read */
		return false;
	}
}

enum gw_err bedrock_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				struct gw_buf *body)
{
	const struct ir_choice *choice = in->choices;
	struct gw_json_out w;

	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("output"));
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("message"));
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "role", GW_LIT("assistant"));
	gw_jw_key(&w, GW_LIT("content"));
	gw_jw_arr(&w);
	for (const struct ir_block *b = choice->blocks; b; b = b->next) {
		if (!is_told(b, c))
			continue;
		gw_jw_obj(&w);
		if (b->kind == IR_TOOL_CALL)
			put_call(a, &w, b);
		else if (b->kind == IR_REASONING)
			put_reasoning(a, &w, b);
		else
			put_text(&w, b);
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	gw_jw_kstr(&w, "stopReason", bedrock_finish_write(choice->finish));
	bedrock_usage_write(&w, &in->usage);
	gw_jw_key(&w, GW_LIT("metrics"));
	gw_jw_raw(&w, GW_LIT("{\"latencyMs\":0}")); /* the shape demands it; a pure function has no clock */
	if (choice->stop_sequence.n) {
		gw_jw_key(&w, GW_LIT("additionalModelResponseFields"));
		gw_jw_obj(&w);
		gw_jw_key(&w, GW_LIT("delta"));
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "stop_sequence", choice->stop_sequence);
		gw_jw_end_obj(&w);
		gw_jw_end_obj(&w);
	}
	gw_jw_end_obj(&w);
	return body->err == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : body->err || a->is_full ? GW_E_NOMEM : GW_OK;
}
