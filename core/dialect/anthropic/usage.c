/* Usage and the words for why a reply ended. Anthropic counts input without what the cache gave or took; the IR counts all of it. */
#include "core/dialect/anthropic/anthropic.h"

static bool count(const yyjson_val *obj, const char *key, uint64_t *out)
{
	const yyjson_val *v = anthropic_get(obj, key);

	if (!yyjson_is_uint((yyjson_val *)(uintptr_t)v))
		return false;
	*out = yyjson_get_uint((yyjson_val *)(uintptr_t)v);
	if (*out > 1000000000)
		*out = 1000000000;
	return true;
}

void anthropic_usage_take(struct anthropic_usage *u, const yyjson_val *v)
{
	const yyjson_val *parts = anthropic_get(v, "cache_creation");
	struct gw_str tier = anthropic_str(anthropic_get(v, "service_tier"));
	bool has = count(v, "input_tokens", &u->input);

	has |= count(v, "output_tokens", &u->output);
	count(v, "cache_read_input_tokens", &u->cache_read);
	count(v, "cache_creation_input_tokens", &u->cache_write);
	count(parts, "ephemeral_5m_input_tokens", &u->write_5m);
	count(parts, "ephemeral_1h_input_tokens", &u->write_1h);
	count(anthropic_get(v, "output_tokens_details"), "thinking_tokens", &u->thinking);
	count(anthropic_get(v, "server_tool_use"), "web_search_requests", &u->searches);
	if (tier.n)
		u->tier = (uint8_t)gw_tier_of(tier);
	u->is_known |= has;
}

struct gw_usage anthropic_usage_out(const struct anthropic_usage *u)
{
	struct gw_usage out = { .is_known = u->is_known,
				.tier = u->tier,
				.output = u->output,
				.cache_read = u->cache_read,
				.cache_write_5m = u->write_5m,
				.cache_write_1h = u->write_1h,
				.reasoning = u->thinking,
				.searches = u->searches };

	/* the total is told again at the end of a stream, its parts are not: what they do not explain was the short kind */
	if (u->write_5m + u->write_1h < u->cache_write)
		out.cache_write_5m = u->cache_write - u->write_1h;
	else if (u->write_5m + u->write_1h > u->cache_write && u->cache_write)
		out.cache_write_5m = u->cache_write > u->write_1h ? u->cache_write - u->write_1h : 0;
	out.input = u->input + out.cache_read + out.cache_write_5m + out.cache_write_1h;
	gw_usage_settle(&out);
	return out;
}

void anthropic_usage_write(struct gw_json_out *w, const struct gw_usage *u)
{
	uint64_t wrote = u->cache_write_5m + u->cache_write_1h, cached = u->cache_read + wrote;

	gw_jw_ku64(w, "input_tokens", u->input > cached ? u->input - cached : 0);
	gw_jw_ku64(w, "cache_creation_input_tokens", wrote);
	gw_jw_ku64(w, "cache_read_input_tokens", u->cache_read);
	if (wrote) {
		gw_jw_key(w, GW_LIT("cache_creation"));
		gw_jw_obj(w);
		gw_jw_ku64(w, "ephemeral_5m_input_tokens", u->cache_write_5m);
		gw_jw_ku64(w, "ephemeral_1h_input_tokens", u->cache_write_1h);
		gw_jw_end_obj(w);
	}
	gw_jw_ku64(w, "output_tokens", u->output);
	if (u->reasoning) {
		gw_jw_key(w, GW_LIT("output_tokens_details"));
		gw_jw_obj(w);
		gw_jw_ku64(w, "thinking_tokens", u->reasoning);
		gw_jw_end_obj(w);
	}
	if (u->searches) {
		gw_jw_key(w, GW_LIT("server_tool_use"));
		gw_jw_obj(w);
		gw_jw_ku64(w, "web_search_requests", u->searches);
		gw_jw_ku64(w, "web_fetch_requests", 0);
		gw_jw_end_obj(w);
	}
	if (u->is_known) {
		static const char *const tiers[] = { [GW_TIER_PRIORITY] = "priority", [GW_TIER_BATCH] = "batch" };
		const char *word = u->tier < GW_TIER_COUNT ? tiers[u->tier] : NULL;

		gw_jw_kstr(w, "service_tier", gw_str_z(word ? word : "standard"));
	}
}

static const struct {
	const char *word;
	enum ir_finish finish;
} reasons[] = {
	{ "end_turn", IR_FINISH_STOP },       { "stop_sequence", IR_FINISH_STOP_SEQUENCE },
	{ "max_tokens", IR_FINISH_LENGTH },   { "model_context_window_exceeded", IR_FINISH_LENGTH },
	{ "tool_use", IR_FINISH_TOOL_CALLS }, { "refusal", IR_FINISH_REFUSAL },
	{ "pause_turn", IR_FINISH_PAUSE },
};

enum ir_finish anthropic_finish_read(struct gw_str word)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (gw_str_eq(word, gw_str_z(reasons[i].word)))
			return reasons[i].finish;
	}
	return word.n ? IR_FINISH_STOP : IR_FINISH_UNSET;
}

struct gw_str anthropic_finish_write(enum ir_finish f, bool has_call, bool has_refusal)
{
	if (f == IR_FINISH_REFUSAL || f == IR_FINISH_FILTER || has_refusal)
		return GW_LIT("refusal");
	if (f == IR_FINISH_LENGTH)
		return GW_LIT("max_tokens");
	if (has_call) /* some providers say "stop" to a call */
		return GW_LIT("tool_use");
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (f == reasons[i].finish && f != IR_FINISH_TOOL_CALLS)
			return gw_str_z(reasons[i].word);
	}
	return GW_LIT("end_turn");
}
