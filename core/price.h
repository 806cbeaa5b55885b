#pragma once
#include "core/usage.h"

/* What a request costs: usage times the prices that held, in integers. Prices are pico-USD a token or unit, costs nano-USD; sums are made in
 * 128 bits, rounded half up once, and saturate. docs/COST.md tells it to people. */
enum gw_price_class {
	GW_PC_INPUT,
	GW_PC_OUTPUT,
	GW_PC_CACHE_READ,
	GW_PC_CACHE_WRITE_5M,
	GW_PC_CACHE_WRITE_1H,
	GW_PC_REASONING,
	GW_PC_AUDIO_IN,
	GW_PC_AUDIO_OUT,
	GW_PC_IMAGE_IN,
	GW_PC_IMAGE_OUT,
	GW_PC_SEARCH_LOW,
	GW_PC_SEARCH_MEDIUM,
	GW_PC_SEARCH_HIGH,
	GW_PC_QUERY,
	GW_PC_IMAGE,
	GW_PC_SECOND,
	GW_PC_CHARACTER,
	GW_PC_PIXEL,
	GW_PC_COUNT
};
/* "input", "cache_write_5m", ...: as in schemas/prices.json. */
const char *gw_price_class_name(enum gw_price_class c);

/* One price of a list. above_k: holds for requests whose whole input is more than that many thousand tokens. */
struct gw_price_rate {
	uint8_t cls, tier; /* enum gw_price_class, enum gw_tier */
	uint16_t above_k;
	uint64_t pico;
};
/* A price list and when it holds; immutable. Its rates are the catalogue's own memory, or the plan's. */
struct gw_price {
	const struct gw_price_rate *rates;
	uint32_t n;
	uint16_t percent[GW_TIER_COUNT]; /* of tiers that have no rates of their own; 0 = 100 */
	bool is_free; /* costs nothing, which is known */
	bool is_operators; /* said by configuration: goes before what the provider tells */
	bool is_anthropic; /* cache prices that are not listed follow from the input's: a tenth, 5/4, twice */
	int64_t from_us, until_us; /* Unix microseconds; 0 = always */
	struct gw_str version; /* "deployment d@3", "price p@7", "catalogue 2026-11-22 openai/gpt-4o" */
};

struct gw_cost {
	bool is_known; /* else nothing is known about the price, and 0 is not the cost */
	bool is_providers; /* taken from usage.provider_cost */
	int64_t total, input, output; /* nano-USD; what is neither tokens in nor out is total - input - output */
	uint64_t input_price, output_price; /* pico-USD a token, as used */
};
/* p NULL: only the provider's own word is left. */
void gw_cost_of(const struct gw_price *p, const struct gw_usage *u, struct gw_cost *out);
/* The first list that holds at this time; NULL when none does. */
const struct gw_price *gw_price_at(const struct gw_price *lists, uint32_t n, int64_t now_us);

/* The catalogue (schemas/prices.json, compiled in). Tries, in this order: the provider's model of this name; without an ARN, a cloud
 * region's prefix, the parts behind a fine-tuned model's base, a date; and with `any_vendor` the makers' own models of that name. provider is a row of
 * providers.def ("azure-openai" is served by the prices of "azure"). False: unknown. *out is valid for ever; its version is in `room`. */
enum { GW_PRICE_VERSION_BYTES = 96 };
bool gw_price_find(struct gw_str provider, struct gw_str model, struct gw_str region, bool any_vendor,
		   struct gw_price *out, char room[GW_PRICE_VERSION_BYTES]);
/* What one picture of this size ("1024x1024") and quality ("hd"; NIL or "auto": the standard one) costs, where the catalogue tells it. */
bool gw_price_find_picture(struct gw_str provider, struct gw_str model, struct gw_str quality, struct gw_str size,
			   struct gw_price *out, char room[GW_PRICE_VERSION_BYTES]);
/* Only this very name at this provider: for the model that a reply names. */
bool gw_price_find_exact(struct gw_str provider, struct gw_str model, struct gw_price *out,
			 char room[GW_PRICE_VERSION_BYTES]);
