#pragma once
#include "lib/err.h"
#include "lib/json_scan.h"
#include "lib/str.h"

/* How fast the provider says it served the request: it decides which of a model's prices hold. */
enum gw_tier { GW_TIER_DEFAULT, GW_TIER_FLEX, GW_TIER_PRIORITY, GW_TIER_BATCH, GW_TIER_COUNT };
enum gw_search_size { GW_SEARCH_NOT_TOLD, GW_SEARCH_LOW, GW_SEARCH_MEDIUM, GW_SEARCH_HIGH };
/* What a request used, in one form for all providers. Totals include their parts: input counts what was read from and written to the cache,
 * sound and pictures; output counts reasoning, sound and pictures. All counts within [0, 10^9]. Readers of dialects fill it and call
 * gw_usage_settle at the end (again for each later event; absent fields keep what earlier events told). */
struct gw_usage {
	bool is_known; /* the provider told tokens or units, or we estimated them */
	bool is_estimated; /* by us, all or some: the provider was silent or its stream was cut */
	bool is_partial; /* estimated: the provider told the other part */
	bool has_cost; /* provider_cost was told; 0 is a price too */
	bool
	    is_billed_apart; /* the provider bills other numbers of tokens than it counts: Cohere's own template is free */
	uint8_t tier; /* enum gw_tier, as the reply told it */
	uint8_t search_size; /* enum gw_search_size of the searches */
	uint64_t input, output; /* tokens */
	uint64_t billed_input, billed_output; /* is_billed_apart */
	uint64_t cache_read, cache_write_5m, cache_write_1h, audio_in, image_in; /* parts of input */
	uint64_t reasoning, audio_out, image_out; /* parts of output */
	/* billed beside tokens; queries: search units of rerankers */
	uint64_t searches, queries, images, seconds, characters, pixels;
	uint64_t provider_cost; /* nano-USD that the provider says it charges */
};
/* Makes the invariants hold that providers break: parts never exceed their total, counts their ceiling. */
void gw_usage_settle(struct gw_usage *u);
/* "default", "flex", "priority", "batch"; providers' own words for them ("auto", "standard", "on_demand", ...) are understood by the
 * second. Unknown words are the default tier. */
const char *gw_tier_name(enum gw_tier t);
enum gw_tier gw_tier_of(struct gw_str word);
/* Decimal text of USD ("0.0000126", "1.2e-05") as an integer of 10^-digits USD, rounded half up. False: no number, negative, too large. */
bool gw_usd_read(struct gw_str text, unsigned digits, uint64_t *out);

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
	GW_UP_TOTAL,
	GW_UP_CACHE_WRITE,
	GW_UP_AUDIO_IN,
	GW_UP_AUDIO_OUT,
	GW_UP_IMAGE_IN,
	GW_UP_IMAGE_OUT,
	GW_UP_SEARCHES,
	GW_UP_SECONDS,
	GW_UP_COST,
	GW_UP_TICKS,
	GW_UP_TIER,
	GW_UP_SEARCH_SIZE,
	GW_UP_PATHS
};
extern const struct gw_scan_node gw_usage_tree[];
/* Takes what the scan found, settled; absent fields leave `u` as it is (chunks tell running totals: the last one known holds). */
void gw_usage_take(struct gw_usage *u, const struct gw_scan_value values[GW_UP_PATHS]);
