/* Roll-ups: what is summed, and how a sum is packed. */
#include "core/rollup.h"

const char *const gw_rollup_dim_names[GW_RD_COUNT] = { "org",   "team",     "user",       "key",
						       "model", "provider", "deployment", "tag" };
const char *const gw_rollup_sum_names[GW_RS_COUNT] = { "requests",
						       "errors",
						       "tokens_input",
						       "tokens_output",
						       "tokens_cached",
						       "tokens_reasoning",
						       "total_us",
						       "streamed",
						       "ttft_sum_us",
						       "tokens_cache_write_5m",
						       "tokens_cache_write_1h",
						       "tokens_audio_in",
						       "tokens_audio_out",
						       "tokens_image_in",
						       "tokens_image_out",
						       "web_searches",
						       "cost_input_nanousd",
						       "cost_output_nanousd",
						       "unpriced",
						       "estimated",
						       "cost_estimated_nanousd" };
enum { SUMS_OF_1 = 9, MAX_SUMS = 256 };

void gw_rollup_item(const struct gw_record *r, struct gw_rollup_item *o)
{
	*o = (struct gw_rollup_item){ .cost_nanousd = r->cost_nanousd };
	o->sum[GW_RS_REQUESTS] = 1;
	o->sum[GW_RS_ERRORS] = r->error.n || r->status == 0 || r->status >= 400;
	o->sum[GW_RS_TOKENS_INPUT] = r->tokens_input;
	o->sum[GW_RS_TOKENS_OUTPUT] = r->tokens_output;
	o->sum[GW_RS_TOKENS_CACHED] = r->tokens_cached;
	o->sum[GW_RS_TOKENS_REASONING] = r->tokens_reasoning;
	o->sum[GW_RS_TOTAL_US] = r->total_us;
	o->sum[GW_RS_STREAMED] = r->ttft_us > 0;
	o->sum[GW_RS_TTFT_US] = r->ttft_us;
	o->sum[GW_RS_TOKENS_CACHE_WRITE_5M] = r->tokens_cache_write_5m;
	o->sum[GW_RS_TOKENS_CACHE_WRITE_1H] = r->tokens_cache_write_1h;
	o->sum[GW_RS_TOKENS_AUDIO_IN] = r->tokens_audio_in;
	o->sum[GW_RS_TOKENS_AUDIO_OUT] = r->tokens_audio_out;
	o->sum[GW_RS_TOKENS_IMAGE_IN] = r->tokens_image_in;
	o->sum[GW_RS_TOKENS_IMAGE_OUT] = r->tokens_image_out;
	o->sum[GW_RS_WEB_SEARCHES] = r->web_searches;
	o->sum[GW_RS_COST_INPUT] = r->cost_input_nanousd > 0 ? (uint64_t)r->cost_input_nanousd : 0;
	o->sum[GW_RS_COST_OUTPUT] = r->cost_output_nanousd > 0 ? (uint64_t)r->cost_output_nanousd : 0;
	o->sum[GW_RS_UNPRICED] = r->is_unpriced;
	o->sum[GW_RS_ESTIMATED] =
	    gw_str_eq(r->usage_source, GW_LIT("estimated")) || gw_str_eq(r->usage_source, GW_LIT("partial"));
	o->sum[GW_RS_COST_ESTIMATED] = o->sum[GW_RS_ESTIMATED] && r->cost_nanousd > 0 ? (uint64_t)r->cost_nanousd : 0;
	o->latency = (uint16_t)gw_hist_index(r->total_us, GW_ROLLUP_SUB_BITS, GW_ROLLUP_MAX_BITS);
	o->ttft = (uint16_t)gw_hist_index(r->ttft_us, GW_ROLLUP_SUB_BITS, GW_ROLLUP_MAX_BITS);
}

void gw_rollup_clear(struct gw_rollup *r)
{
	memset(r, 0, sizeof *r);
}

static void mark(uint64_t *in, uint64_t slot)
{
	in[slot / 64] |= 1ULL << slot % 64;
}

static void empty_hist(uint64_t *slots, uint64_t *in)
{
	for (uint32_t w = 0; w < GW_ROLLUP_SLOTS / 64; w++)
		for (; in[w]; in[w] &= in[w] - 1)
			slots[64 * w + (uint32_t)__builtin_ctzll(in[w])] = 0;
}

void gw_rollup_empty(struct gw_rollup *r)
{
	empty_hist(r->latency, r->in_latency);
	empty_hist(r->ttft, r->in_ttft);
	memset(r->sum, 0, sizeof r->sum);
	r->cost_nanousd = 0;
}

/* Costs come from workers: a sum that cannot be stays at the end of the range. */
static int64_t add_cost(int64_t a, int64_t b)
{
	int64_t out;

	if (__builtin_add_overflow(a, b, &out))
		return b > 0 ? INT64_MAX : INT64_MIN;
	return out;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t out;

	return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

void gw_rollup_add(struct gw_rollup *r, const struct gw_rollup_item *i)
{
	for (int k = 0; k < GW_RS_COUNT; k++)
		r->sum[k] = add(r->sum[k], i->sum[k]);
	r->cost_nanousd = add_cost(r->cost_nanousd, i->cost_nanousd);
	r->latency[i->latency]++;
	mark(r->in_latency, i->latency);
	if (i->sum[GW_RS_STREAMED]) {
		r->ttft[i->ttft]++;
		mark(r->in_ttft, i->ttft);
	}
}

static void pack_hist(const uint64_t *slots, const uint64_t *in, struct gw_buf *out)
{
	uint32_t n = 0, last = 0;

	for (uint32_t w = 0; w < GW_ROLLUP_SLOTS / 64; w++)
		n += (uint32_t)__builtin_popcountll(in[w]);
	gw_mp_arr(out, 2 * n);
	for (uint32_t w = 0; w < GW_ROLLUP_SLOTS / 64; w++) {
		for (uint64_t left = in[w]; left; left &= left - 1) {
			uint32_t i = 64 * w + (uint32_t)__builtin_ctzll(left);

			gw_mp_u64(out, i - last);
			gw_mp_u64(out, slots[i]);
			last = i;
		}
	}
}

void gw_rollup_pack(const struct gw_rollup *r, struct gw_buf *out)
{
	gw_mp_arr(out, 2 + GW_RS_COUNT + 3);
	gw_mp_u64(out, 2);
	gw_mp_u64(out, GW_RS_COUNT);
	for (int k = 0; k < GW_RS_COUNT; k++)
		gw_mp_u64(out, r->sum[k]);
	gw_mp_i64(out, r->cost_nanousd);
	pack_hist(r->latency, r->in_latency, out);
	pack_hist(r->ttft, r->in_ttft, out);
}

static bool merge_hist(uint64_t *slots, uint64_t *in, struct gw_mp *m)
{
	uint32_t n = gw_mp_read_arr(m);
	uint64_t at = 0;

	if (n % 2)
		return false;
	for (uint32_t i = 0; i < n && !m->err; i += 2) {
		at = add(at, gw_mp_read_u64(m));
		uint64_t count = gw_mp_read_u64(m);

		if (m->err || at >= GW_ROLLUP_SLOTS)
			return false;
		slots[at] = add(slots[at], count);
		if (count)
			mark(in, at);
	}
	return !m->err;
}

enum gw_err gw_rollup_merge(struct gw_rollup *r, struct gw_str packed)
{
	struct gw_mp m = gw_mp_reader(packed);

	uint32_t items = gw_mp_read_arr(&m);
	uint64_t version = gw_mp_read_u64(&m), n = version == 1 ? SUMS_OF_1 : gw_mp_read_u64(&m);

	if (version < 1 || version > 2 || n > MAX_SUMS || items != version + n + 3)
		return GW_E_CORRUPT;
	for (uint64_t k = 0; k < n; k++) {
		uint64_t v = gw_mp_read_u64(&m);

		if (k < GW_RS_COUNT)
			r->sum[k] = add(r->sum[k], v);
	}
	r->cost_nanousd = add_cost(r->cost_nanousd, gw_mp_read_i64(&m));
	if (!merge_hist(r->latency, r->in_latency, &m) || !merge_hist(r->ttft, r->in_ttft, &m) || m.err)
		return GW_E_CORRUPT;
	return GW_OK;
}

uint64_t gw_rollup_quantile(const uint64_t slots[GW_ROLLUP_SLOTS], double q)
{
	return gw_hist_quantile(slots, GW_ROLLUP_SLOTS, GW_ROLLUP_SUB_BITS, q);
}
