/* Tokens and money. Prices are integers in pico-USD per token, costs integers in nano-USD; nothing here is a floating number. */
#include "core/usage.h"

enum { PICO_PER_NANO = 1000 };
static const uint64_t max_tokens = 1000000000; /* more than any request has: a hostile count must not become money */

const char *const gw_usage_paths[GW_UP_PATHS] = {
	[GW_UP_INPUT] = "usage.prompt_tokens",
	[GW_UP_OUTPUT] = "usage.completion_tokens",
	[GW_UP_CACHED] = "usage.prompt_tokens_details.cached_tokens",
	[GW_UP_REASONING] = "usage.completion_tokens_details.reasoning_tokens",
	[GW_UP_MODEL] = "model",
	[GW_UP_FINISH] = "choices.0.finish_reason",
	[GW_UP_ERROR_CODE] = "error.code",
	[GW_UP_ERROR_TYPE] = "error.type",
	[GW_UP_ERROR_MESSAGE] = "error.message",
	[GW_UP_ERROR] = "error",
	[GW_UP_USAGE] = "usage",
	[GW_UP_ID] = "id",
};

static bool take(const struct gw_scan_value *v, uint64_t *out)
{
	uint64_t n;

	if (!gw_scan_u64(v, &n))
		return false;
	*out = n < max_tokens ? n : max_tokens;
	return true;
}

void gw_usage_take(struct gw_usage *u, const struct gw_scan_value values[GW_UP_PATHS])
{
	bool has_input = take(&values[GW_UP_INPUT], &u->input), has_output = take(&values[GW_UP_OUTPUT], &u->output);

	take(&values[GW_UP_CACHED], &u->cached);
	take(&values[GW_UP_REASONING], &u->reasoning);
	u->is_known |= has_input || has_output;
}

__extension__ typedef unsigned __int128 u128;

int64_t gw_price_nanousd(const struct gw_usage *u, uint64_t input_price, uint64_t output_price, uint64_t cached_price)
{
	uint64_t cached = u->cached < u->input ? u->cached : u->input;
	u128 pico = (u128)(u->input - cached) * input_price;

	pico += (u128)cached * (cached_price ? cached_price : input_price);
	pico += (u128)u->output * output_price;
	pico = (pico + PICO_PER_NANO / 2) / PICO_PER_NANO;
	return pico > INT64_MAX ? INT64_MAX : (int64_t)pico;
}
