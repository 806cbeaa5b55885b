#pragma once
#include "core/price.h"

/* The table that tools/prices.py makes of schemas/prices.json for core/price_find.c: rows in the order of their names' bytes,
 * "provider/model". Offsets instead of pointers, so that nothing is to be relocated at start. */
struct gw_price_row {
	uint32_t name_at, rates_at, max_input, max_output;
	uint8_t name_n, n_rates, mode;
};
extern const struct gw_price_row gw_price_rows[];
extern const uint32_t gw_price_n_rows;
extern const struct gw_price_rate gw_price_rates[];
extern const char gw_price_names[];
extern const char *const gw_price_modes[];
extern const char gw_price_catalogue_version[];
