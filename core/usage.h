#pragma once
#include "lib/err.h"
#include "lib/json_scan.h"
#include "lib/str.h"

/* Tokens as the provider told them (OpenAI shape), clamped to [0, 10^9]; and what they cost. */
struct gw_usage {
	bool is_known;
	uint64_t input, output, cached, reasoning;
};
/* What is picked from a reply or a chunk; places in the values that gw_usage_tree fills. */
enum gw_usage_path {
	GW_UP_INPUT,
	GW_UP_OUTPUT,
	GW_UP_CACHED,
	GW_UP_REASONING,
	GW_UP_MODEL,
	GW_UP_FINISH,
	GW_UP_ERROR_CODE,
	GW_UP_ERROR_TYPE,
	GW_UP_ERROR_MESSAGE,
	GW_UP_ERROR,
	GW_UP_USAGE,
	GW_UP_ID,
	GW_UP_PATHS
};
extern const struct gw_scan_node gw_usage_tree[];
/* Takes what the scan found; absent fields leave `u` as it is (chunks add up to the last known). */
void gw_usage_take(struct gw_usage *u, const struct gw_scan_value values[GW_UP_PATHS]);
/* Nano-USD: (input - cached) * input_price + cached * cached_price (0 = input_price) + output * output_price in pico-USD,
 * rounded half up once; saturates at INT64_MAX. */
int64_t gw_price_nanousd(const struct gw_usage *u, uint64_t input_price, uint64_t output_price, uint64_t cached_price);
