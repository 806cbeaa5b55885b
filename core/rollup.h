#pragma once
#include "core/record.h"
#include "lib/hist.h"

/* Sums over many requests, as the exporter keeps them per minute and hour and the admin process adds them up. Pure: the exporter
 * and the admin process share it so that both mean the same by a "request with an error" or a percentile. */
enum gw_rollup_dim { /* what sums are kept by; the names are fields of the record */
		     GW_RD_ORG,
		     GW_RD_TEAM,
		     GW_RD_USER,
		     GW_RD_KEY,
		     GW_RD_MODEL,
		     GW_RD_PROVIDER,
		     GW_RD_DEPLOYMENT,
		     GW_RD_TAGS,
		     GW_RD_COUNT
};
extern const char *const gw_rollup_dim_names[GW_RD_COUNT]; /* as in queries: "tag" for tags */

/* Histograms of microseconds: 2^5 slots per power of two, so a percentile is at most 3.2 % too high; up to 2^36 us (19 h). */
enum { GW_ROLLUP_SUB_BITS = 5, GW_ROLLUP_MAX_BITS = 36, GW_ROLLUP_SLOTS = 1024 };
enum gw_rollup_sum {
	GW_RS_REQUESTS,
	GW_RS_ERRORS, /* with a row of errors.def, or a status of 400 and above, or cut */
	GW_RS_TOKENS_INPUT,
	GW_RS_TOKENS_OUTPUT,
	GW_RS_TOKENS_CACHED,
	GW_RS_TOKENS_REASONING,
	GW_RS_TOTAL_US,
	GW_RS_STREAMED, /* requests that have a ttft */
	GW_RS_TTFT_US,
	GW_RS_TOKENS_CACHE_WRITE_5M,
	GW_RS_TOKENS_CACHE_WRITE_1H,
	GW_RS_TOKENS_AUDIO_IN,
	GW_RS_TOKENS_AUDIO_OUT,
	GW_RS_TOKENS_IMAGE_IN,
	GW_RS_TOKENS_IMAGE_OUT,
	GW_RS_WEB_SEARCHES,
	GW_RS_COST_INPUT, /* nano-USD; parts of cost_nanousd */
	GW_RS_COST_OUTPUT,
	GW_RS_UNPRICED, /* requests whose cost is not known */
	GW_RS_ESTIMATED, /* requests whose usage the provider did not tell, or told in part */
	GW_RS_COST_ESTIMATED, /* nano-USD: what those cost; part of cost_nanousd */
	GW_RS_COUNT
};
extern const char *const gw_rollup_sum_names[GW_RS_COUNT];

/* One request, as small as a batch of thousands wants it. */
struct gw_rollup_item {
	uint64_t sum[GW_RS_COUNT];
	int64_t cost_nanousd;
	uint16_t latency, ttft; /* slots of the histograms; ttft only when sum[STREAMED] */
};
void gw_rollup_item(const struct gw_record *r, struct gw_rollup_item *out);

struct gw_rollup {
	uint64_t sum[GW_RS_COUNT];
	int64_t cost_nanousd;
	uint64_t latency[GW_ROLLUP_SLOTS], ttft[GW_ROLLUP_SLOTS];
	/* a bit for each slot that is not 0: most sums are of few requests, and are packed and emptied by the thousand */
	uint64_t in_latency[GW_ROLLUP_SLOTS / 64], in_ttft[GW_ROLLUP_SLOTS / 64];
};
void gw_rollup_clear(struct gw_rollup *r);
/* The same for one that was in use: costs what is in it. */
void gw_rollup_empty(struct gw_rollup *r);
void gw_rollup_add(struct gw_rollup *r, const struct gw_rollup_item *item);
/* msgpack: [2, number of sums, sums.., cost, latency, ttft]; a histogram is [slot, count, slot step, count, ...]. Append sums only: what
 * earlier versions packed ([1, the first nine sums.., ...], fewer sums) is merged too. */
void gw_rollup_pack(const struct gw_rollup *r, struct gw_buf *out);
/* Adds what is packed. GW_E_CORRUPT: nothing is known about r any more. */
GW_MUST enum gw_err gw_rollup_merge(struct gw_rollup *r, struct gw_str packed);
uint64_t gw_rollup_quantile(const uint64_t slots[GW_ROLLUP_SLOTS], double q);
