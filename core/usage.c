/* Usage as OpenAI and its kin tell it, in the form of struct gw_usage.
 *
 * Vendors of the same dialect put the same counts in different places; all of them are rows of one tree, so that a vendor needs no code:
 * cached tokens in the details, beside the totals (Moonshot, Hugging Face), as num_cached_tokens (Mistral) or prompt_cache_hit_tokens
 * (DeepSeek); the whole usage below x_groq (Groq); a price in USD (OpenRouter), below cost (Perplexity) or in ticks of 1e-10 USD (xAI). */
#include "core/usage.h"

#include "lib/json.h"

enum { NANO_DIGITS = 9, TICKS_PER_NANO = 10 };
static const uint64_t max_count = 1000000000; /* more than any request has: a hostile count must not become money */

/* The children of a row stand together. x_groq.usage has the children of usage. */
const struct gw_scan_node gw_usage_tree[] = {
	GW_SCAN_NODE("", 1, 7, -1),
	GW_SCAN_NODE("id", 0, 0, GW_UP_ID),
	GW_SCAN_NODE("model", 0, 0, GW_UP_MODEL),
	GW_SCAN_NODE("choices", 8, 1, -1),
	GW_SCAN_NODE("usage", 9, 15, GW_UP_USAGE),
	GW_SCAN_NODE("error", 24, 3, GW_UP_ERROR),
	GW_SCAN_NODE("service_tier", 0, 0, GW_UP_TIER),
	GW_SCAN_NODE("x_groq", 27, 1, -1),
	GW_SCAN_NODE("0", 28, 1, -1), /* 8: of choices */
	GW_SCAN_NODE("prompt_tokens", 0, 0, GW_UP_INPUT), /* 9: of usage */
	GW_SCAN_NODE("completion_tokens", 0, 0, GW_UP_OUTPUT),
	GW_SCAN_NODE("total_tokens", 0, 0, GW_UP_TOTAL),
	GW_SCAN_NODE("prompt_tokens_details", 29, 4, -1),
	GW_SCAN_NODE("completion_tokens_details", 33, 3, -1),
	GW_SCAN_NODE("cached_tokens", 0, 0, GW_UP_CACHED),
	GW_SCAN_NODE("num_cached_tokens", 0, 0, GW_UP_CACHED),
	GW_SCAN_NODE("prompt_cache_hit_tokens", 0, 0, GW_UP_CACHED),
	GW_SCAN_NODE("reasoning_tokens", 0, 0, GW_UP_REASONING),
	GW_SCAN_NODE("cost", 36, 1, GW_UP_COST),
	GW_SCAN_NODE("cost_in_usd_ticks", 0, 0, GW_UP_TICKS),
	GW_SCAN_NODE("num_search_queries", 0, 0, GW_UP_SEARCHES),
	GW_SCAN_NODE("server_tool_use_details", 37, 1, -1),
	GW_SCAN_NODE("prompt_audio_seconds", 0, 0, GW_UP_SECONDS),
	GW_SCAN_NODE("search_context_size", 0, 0, GW_UP_SEARCH_SIZE),
	GW_SCAN_NODE("code", 0, 0, GW_UP_ERROR_CODE), /* 24: of error */
	GW_SCAN_NODE("type", 0, 0, GW_UP_ERROR_TYPE),
	GW_SCAN_NODE("message", 0, 0, GW_UP_ERROR_MESSAGE),
	GW_SCAN_NODE("usage", 9, 15, GW_UP_USAGE), /* 27: of x_groq */
	GW_SCAN_NODE("finish_reason", 0, 0, GW_UP_FINISH), /* 28: of choices.0 */
	GW_SCAN_NODE("cached_tokens", 0, 0, GW_UP_CACHED), /* 29: of prompt_tokens_details */
	GW_SCAN_NODE("audio_tokens", 0, 0, GW_UP_AUDIO_IN),
	GW_SCAN_NODE("image_tokens", 0, 0, GW_UP_IMAGE_IN),
	GW_SCAN_NODE("cache_write_tokens", 0, 0, GW_UP_CACHE_WRITE),
	GW_SCAN_NODE("reasoning_tokens", 0, 0, GW_UP_REASONING), /* 33: of completion_tokens_details */
	GW_SCAN_NODE("audio_tokens", 0, 0, GW_UP_AUDIO_OUT),
	GW_SCAN_NODE("image_tokens", 0, 0, GW_UP_IMAGE_OUT),
	GW_SCAN_NODE("total_cost", 0, 0, GW_UP_COST), /* 36: of cost */
	GW_SCAN_NODE("web_search_requests", 0, 0, GW_UP_SEARCHES) /* 37: of server_tool_use_details */
};

/* ---- words and numbers ---- */

const char *gw_tier_name(enum gw_tier t)
{
	static const char *const names[GW_TIER_COUNT] = { "default", "flex", "priority", "batch" };

	return (unsigned)t < GW_TIER_COUNT ? names[t] : names[GW_TIER_DEFAULT];
}

enum gw_tier gw_tier_of(struct gw_str word)
{
	if (gw_str_ieq(word, GW_LIT("flex")))
		return GW_TIER_FLEX;
	if (gw_str_ieq(word, GW_LIT("priority")))
		return GW_TIER_PRIORITY;
	return gw_str_ieq(word, GW_LIT("batch")) ? GW_TIER_BATCH : GW_TIER_DEFAULT;
}

/* "e-05" behind the digits; more than three digits of exponent are no price. */
static bool read_exponent(struct gw_str s, int *out)
{
	bool is_minus = false;
	uint64_t n;

	*out = 0;
	if (s.n == 0)
		return true;
	if (s.p[0] != 'e' && s.p[0] != 'E')
		return false;
	s = gw_str_skip(s, 1);
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		is_minus = s.p[0] == '-';
		s = gw_str_skip(s, 1);
	}
	if (s.n > 3 || !gw_str_u64(s, &n))
		return false;
	*out = is_minus ? -(int)n : (int)n;
	return true;
}

/* mantissa * 10^exp, rounded half up. */
static bool scale(uint64_t mantissa, int exp, uint64_t *out)
{
	for (; exp > 0 && mantissa; exp--) {
		if (__builtin_mul_overflow(mantissa, 10u, &mantissa))
			return false;
	}
	for (; exp < -1 && mantissa; exp++)
		mantissa /= 10; /* only the last digit that is dropped decides */
	*out = exp == -1 ? mantissa / 10 + (mantissa % 10 >= 5) : mantissa;
	return true;
}

bool gw_usd_read(struct gw_str text, unsigned digits, uint64_t *out)
{
	uint64_t mantissa = 0;
	int exp, shift = (int)digits;
	bool is_behind = false, has_digit = false;
	size_t i = 0;

	for (; i < text.n; i++) {
		char c = text.p[i];

		if (c == '.' && !is_behind) {
			is_behind = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		has_digit = true;
		if (mantissa > UINT64_MAX / 10 - 10) { /* further digits are below the last one that counts */
			shift += !is_behind;
			continue;
		}
		mantissa = mantissa * 10 + (uint64_t)(c - '0');
		shift -= is_behind;
	}
	return has_digit && read_exponent(gw_str_skip(text, i), &exp) && scale(mantissa, shift + exp, out);
}

/* ---- the counts ---- */

static void at_most(uint64_t *n, uint64_t max)
{
	if (*n > max)
		*n = max;
}

/* Takes a part out of what is left of its total. */
static void part(uint64_t *n, uint64_t *left)
{
	at_most(n, *left);
	*left -= *n;
}

void gw_usage_settle(struct gw_usage *u)
{
	uint64_t *counts[] = { &u->input,   &u->output,     &u->searches, &u->queries,      &u->images,
			       &u->seconds, &u->characters, &u->pixels,   &u->billed_input, &u->billed_output };
	uint64_t left;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		at_most(counts[i], max_count);
	left = u->input;
	part(&u->cache_read, &left);
	part(&u->cache_write_1h, &left);
	part(&u->cache_write_5m, &left);
	left = u->input; /* cached sound is sound too */
	part(&u->audio_in, &left);
	part(&u->image_in, &left);
	left = u->output;
	part(&u->audio_out, &left);
	part(&u->image_out, &left);
	at_most(&u->reasoning, u->output);
}

static bool take(const struct gw_scan_value *v, uint64_t *out)
{
	uint64_t n;

	if (v->type == GW_JSON_NONE || !gw_scan_u64(v, &n))
		return false;
	*out = n < max_count ? n : max_count;
	return true;
}

static enum gw_search_size search_size_of(struct gw_str word)
{
	if (gw_str_eq(word, GW_LIT("low")))
		return GW_SEARCH_LOW;
	return gw_str_eq(word, GW_LIT("high")) ? GW_SEARCH_HIGH : GW_SEARCH_MEDIUM;
}

static void take_cost(struct gw_usage *u, const struct gw_scan_value *usd, const struct gw_scan_value *ticks)
{
	uint64_t n;

	if (usd->type == GW_JSON_NUM && !usd->is_cut && gw_usd_read(gw_scan_str(usd), NANO_DIGITS, &n)) {
		u->provider_cost = n;
		u->has_cost = true;
	} else if (ticks->type == GW_JSON_NUM && gw_scan_u64(ticks, &n)) {
		u->provider_cost = (n + TICKS_PER_NANO / 2) / TICKS_PER_NANO;
		u->has_cost = true;
	}
}

static void take_totals(struct gw_usage *u, const struct gw_scan_value values[GW_UP_PATHS])
{
	bool has_input = take(&values[GW_UP_INPUT], &u->input), has_output = take(&values[GW_UP_OUTPUT], &u->output);
	uint64_t total;

	if (take(&values[GW_UP_TOTAL], &total)) {
		if (!has_input && !has_output)
			has_input = take(&values[GW_UP_TOTAL], &u->input); /* embeddings: nothing comes out */
		else if (has_output && u->reasoning && total == u->input + u->output + u->reasoning)
			u->output += u->reasoning; /* told beside the output, not inside of it (xAI) */
	}
	u->is_known |= has_input || has_output;
}

void gw_usage_take(struct gw_usage *u, const struct gw_scan_value values[GW_UP_PATHS])
{
	if (values[GW_UP_TIER].type == GW_JSON_STR)
		u->tier = (uint8_t)gw_tier_of(gw_scan_str(&values[GW_UP_TIER]));
	if (values[GW_UP_USAGE].type == GW_JSON_NONE)
		return;
	take(&values[GW_UP_CACHED], &u->cache_read);
	take(&values[GW_UP_CACHE_WRITE], &u->cache_write_5m);
	take(&values[GW_UP_REASONING], &u->reasoning);
	take(&values[GW_UP_AUDIO_IN], &u->audio_in);
	take(&values[GW_UP_AUDIO_OUT], &u->audio_out);
	take(&values[GW_UP_IMAGE_IN], &u->image_in);
	take(&values[GW_UP_IMAGE_OUT], &u->image_out);
	take(&values[GW_UP_SEARCHES], &u->searches);
	take(&values[GW_UP_SECONDS], &u->seconds);
	if (values[GW_UP_SEARCH_SIZE].type == GW_JSON_STR)
		u->search_size = (uint8_t)search_size_of(gw_scan_str(&values[GW_UP_SEARCH_SIZE]));
	take_totals(u, values);
	take_cost(u, &values[GW_UP_COST], &values[GW_UP_TICKS]);
	gw_usage_settle(u);
}
