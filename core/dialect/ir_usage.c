/* Usage in the words of OpenAI and its kin, from and into JSON. What vendors do to it is in core/usage.c; here the values are only found. */
#include "core/dialect/ir_read.h"

#include <stdio.h>

static void put_number(struct gw_scan_value *out, yyjson_val *v)
{
	int n;

	if (yyjson_is_uint(v))
		n = snprintf(out->text, sizeof(out->text), "%llu", (unsigned long long)yyjson_get_uint(v));
	else if (yyjson_is_sint(v))
		n = snprintf(out->text, sizeof(out->text), "%lld", (long long)yyjson_get_sint(v));
	else
		n = snprintf(out->text, sizeof(out->text), "%.15g", yyjson_get_real(v));
	out->type = GW_JSON_NUM;
	out->len = (uint8_t)n;
}

static void put_value(struct gw_scan_value *out, yyjson_val *v)
{
	struct gw_str s;

	if (yyjson_is_num(v)) {
		put_number(out, v);
	} else if (yyjson_is_str(v)) {
		s = gw_json_str(v);
		out->is_cut = s.n > sizeof(out->text);
		out->len = (uint8_t)(out->is_cut ? sizeof(out->text) : s.n);
		memcpy(out->text, s.p, out->len);
		out->type = GW_JSON_STR;
	} else if (yyjson_is_ctn(v)) {
		out->type = GW_JSON_OBJ;
	}
}

/* The same tree that the scan of replies in pieces follows. Depth: that of the tree, five. */
static void walk(uint8_t at, yyjson_val *v, struct gw_scan_value *values)
{
	const struct gw_scan_node *node = &gw_usage_tree[at];

	if (node->value >= 0 && !(node->n && !yyjson_is_obj(v) && node->value == GW_UP_USAGE))
		put_value(&values[node->value], v);
	if (!yyjson_is_obj(v))
		return;
	for (uint8_t i = node->first; i < node->first + node->n; i++) {
		const struct gw_scan_node *child = &gw_usage_tree[i];
		yyjson_val *m = yyjson_obj_getn(v, child->name, child->name_n);

		if (m && !yyjson_is_null(m))
			walk(i, m, values);
	}
}

static void pick(struct gw_scan_value *out, const yyjson_val *obj, struct gw_str key)
{
	yyjson_val *v = obj ? gw_json_get(obj, key) : NULL;

	if (v && !yyjson_is_null(v))
		put_value(out, v);
}

/* The words of responses. */
static void walk_responses(yyjson_val *usage, struct gw_scan_value *values)
{
	yyjson_val *in = gw_json_get(usage, GW_LIT("input_tokens_details")),
		   *out = gw_json_get(usage, GW_LIT("output_tokens_details"));

	pick(&values[GW_UP_INPUT], usage, GW_LIT("input_tokens"));
	pick(&values[GW_UP_OUTPUT], usage, GW_LIT("output_tokens"));
	pick(&values[GW_UP_TOTAL], usage, GW_LIT("total_tokens"));
	pick(&values[GW_UP_TICKS], usage, GW_LIT("cost_in_usd_ticks"));
	pick(&values[GW_UP_CACHED], in, GW_LIT("cached_tokens"));
	pick(&values[GW_UP_CACHE_WRITE], in, GW_LIT("cache_write_tokens"));
	pick(&values[GW_UP_AUDIO_IN], in, GW_LIT("audio_tokens"));
	pick(&values[GW_UP_IMAGE_IN], in, GW_LIT("image_tokens"));
	pick(&values[GW_UP_REASONING], out, GW_LIT("reasoning_tokens"));
	pick(&values[GW_UP_AUDIO_OUT], out, GW_LIT("audio_tokens"));
	pick(&values[GW_UP_IMAGE_OUT], out, GW_LIT("image_tokens"));
}

bool ir_usage_read(struct gw_usage *u, const yyjson_val *root)
{
	struct gw_scan_value values[GW_UP_PATHS] = { 0 };
	yyjson_val *usage = gw_json_get(root, GW_LIT("usage"));

	walk(0, (yyjson_val *)(uintptr_t)root, values);
	if (yyjson_is_obj(usage) && gw_json_get(usage, GW_LIT("input_tokens")))
		walk_responses(usage, values);
	gw_usage_take(u, values);
	return values[GW_UP_USAGE].type != GW_JSON_NONE;
}

static void put_input(struct gw_json_out *w, const struct gw_usage *u, bool is_responses)
{
	uint64_t written = u->cache_write_5m + u->cache_write_1h;

	gw_jw_key(w, is_responses ? GW_LIT("input_tokens_details") : GW_LIT("prompt_tokens_details"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "cached_tokens", u->cache_read);
	if (written || is_responses) /* SDKs ask for it there */
		gw_jw_ku64(w, "cache_write_tokens", written);
	if (u->audio_in)
		gw_jw_ku64(w, "audio_tokens", u->audio_in);
	gw_jw_end_obj(w);
}

static void put_output(struct gw_json_out *w, const struct gw_usage *u, bool is_responses)
{
	gw_jw_key(w, is_responses ? GW_LIT("output_tokens_details") : GW_LIT("completion_tokens_details"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "reasoning_tokens", u->reasoning);
	if (u->audio_out)
		gw_jw_ku64(w, "audio_tokens", u->audio_out);
	gw_jw_end_obj(w);
}

void ir_usage_write(struct gw_json_out *w, const struct gw_usage *u, bool is_responses)
{
	gw_jw_obj(w);
	gw_jw_ku64(w, is_responses ? "input_tokens" : "prompt_tokens", u->input);
	gw_jw_ku64(w, is_responses ? "output_tokens" : "completion_tokens", u->output);
	gw_jw_ku64(w, "total_tokens", u->input + u->output);
	put_input(w, u, is_responses);
	put_output(w, u, is_responses);
	gw_jw_end_obj(w);
}

struct gw_str ir_tier_word(struct gw_str tier)
{
	static const char *const known[] = { "auto", "default", "flex", "scale", "priority" };
	static const char *const same_as_default[] = { "on_demand", "standard" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (gw_str_eq(tier, gw_str_z(known[i])))
			return tier;
	for (size_t i = 0; i < sizeof(same_as_default) / sizeof(same_as_default[0]); i++)
		if (gw_str_eq(tier, gw_str_z(same_as_default[i])))
			return GW_LIT("default");
	return GW_NIL;
}
