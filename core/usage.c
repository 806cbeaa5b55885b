/* Tokens and money. Prices are integers in pico-USD per token, costs integers in nano-USD; nothing here is a floating number. */
#include "core/usage.h"

enum { PICO_PER_NANO = 1000 };
static const uint64_t max_tokens = 1000000000; /* more than any request has: a hostile count must not become money */

/* Breadth first: the children of a row stand together. */
const struct gw_scan_node gw_usage_tree[] = {
	GW_SCAN_NODE("", 1, 5, -1),
	GW_SCAN_NODE("id", 0, 0, GW_UP_ID),
	GW_SCAN_NODE("model", 0, 0, GW_UP_MODEL),
	GW_SCAN_NODE("choices", 6, 1, -1),
	GW_SCAN_NODE("usage", 7, 4, GW_UP_USAGE),
	GW_SCAN_NODE("error", 11, 3, GW_UP_ERROR),
	GW_SCAN_NODE("0", 14, 1, -1), /* 6: of choices */
	GW_SCAN_NODE("prompt_tokens", 0, 0, GW_UP_INPUT), /* 7: of usage */
	GW_SCAN_NODE("completion_tokens", 0, 0, GW_UP_OUTPUT),
	GW_SCAN_NODE("prompt_tokens_details", 15, 1, -1),
	GW_SCAN_NODE("completion_tokens_details", 16, 1, -1),
	GW_SCAN_NODE("code", 0, 0, GW_UP_ERROR_CODE), /* 11: of error */
	GW_SCAN_NODE("type", 0, 0, GW_UP_ERROR_TYPE),
	GW_SCAN_NODE("message", 0, 0, GW_UP_ERROR_MESSAGE),
	GW_SCAN_NODE("finish_reason", 0, 0, GW_UP_FINISH), /* 14: of choices.0 */
	GW_SCAN_NODE("cached_tokens", 0, 0, GW_UP_CACHED), /* 15 */
	GW_SCAN_NODE("reasoning_tokens", 0, 0, GW_UP_REASONING) /* 16 */
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
