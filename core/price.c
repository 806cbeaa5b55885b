/* Usage times price. Which of a list's rates holds for a request is decided once (context threshold first, then tier), then every token is
 * billed in exactly one class. Rules and their sources: docs/COST.md. */
#include "core/price.h"

__extension__ typedef unsigned __int128 u128;
enum { PICO_PER_NANO = 1000, PERCENT = 100 };

/* The rates that hold for one request. */
struct held {
	uint32_t has; /* bit of each class */
	uint64_t pico[GW_PC_COUNT];
};
_Static_assert(GW_PC_COUNT <= 32, "classes are bits of held.has");

const char *gw_price_class_name(enum gw_price_class c)
{
	static const char *const names[GW_PC_COUNT] = {
		"input",       "output",    "cache_read", "cache_write_5m", "cache_write_1h", "reasoning",
		"audio_in",    "audio_out", "image_in",   "image_out",      "search_low",     "search_medium",
		"search_high", "query",     "image",      "second",         "character",      "pixel",
	};

	return (unsigned)c < GW_PC_COUNT ? names[c] : "";
}

static bool has(const struct held *h, enum gw_price_class c)
{
	return h->has >> c & 1;
}

static void put(struct held *h, enum gw_price_class c, uint64_t pico)
{
	h->has |= 1u << c;
	h->pico[c] = pico;
}

/* A list has few rates: one walk. A rate above a threshold that is passed beats one below it; at the same threshold the tier's own beats
 * the default tier's. */
static void hold(const struct gw_price *p, const struct gw_usage *u, struct held *h)
{
	uint32_t worth[GW_PC_COUNT] = { 0 };
	uint64_t percent = u->tier < GW_TIER_COUNT && p->percent[u->tier] ? p->percent[u->tier] : PERCENT;

	h->has = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		const struct gw_price_rate *r = &p->rates[i];
		bool is_own = r->tier == u->tier;
		uint32_t w = 1 + ((uint32_t)r->above_k << 1 | is_own);

		if (r->cls >= GW_PC_COUNT || (!is_own && r->tier != GW_TIER_DEFAULT) || w <= worth[r->cls] ||
		    (r->above_k && u->input <= (uint64_t)r->above_k * 1000))
			continue;
		worth[r->cls] = w;
		put(h, (enum gw_price_class)r->cls,
		    is_own && r->tier != GW_TIER_DEFAULT ? r->pico : (uint64_t)((u128)r->pico * percent / PERCENT));
	}
	if (p->is_anthropic && has(h, GW_PC_INPUT)) {
		uint64_t in = h->pico[GW_PC_INPUT];

		if (!has(h, GW_PC_CACHE_READ))
			put(h, GW_PC_CACHE_READ, in / 10);
		if (!has(h, GW_PC_CACHE_WRITE_5M))
			put(h, GW_PC_CACHE_WRITE_5M, in + in / 4);
		if (!has(h, GW_PC_CACHE_WRITE_1H))
			put(h, GW_PC_CACHE_WRITE_1H, in * 2);
	}
}

/* The price of a class, else of the class it falls back to, else nothing. */
static uint64_t price(const struct held *h, enum gw_price_class c, enum gw_price_class other)
{
	return has(h, c) ? h->pico[c] : has(h, other) ? h->pico[other] : 0;
}

/* Takes up to n out of *left; what was taken. */
static uint64_t out_of(uint64_t *left, uint64_t n)
{
	uint64_t t = n < *left ? n : *left;

	*left -= t;
	return t;
}

static u128 input_pico(const struct held *h, const struct gw_usage *u)
{
	uint64_t left = u->input, write = price(h, GW_PC_CACHE_WRITE_5M, GW_PC_INPUT);
	u128 sum = (u128)out_of(&left, u->cache_read) * price(h, GW_PC_CACHE_READ, GW_PC_INPUT);

	sum += (u128)out_of(&left, u->cache_write_1h) *
	       (has(h, GW_PC_CACHE_WRITE_1H) ? h->pico[GW_PC_CACHE_WRITE_1H] : write);
	sum += (u128)out_of(&left, u->cache_write_5m) * write;
	if (has(h, GW_PC_AUDIO_IN))
		sum += (u128)out_of(&left, u->audio_in) * h->pico[GW_PC_AUDIO_IN];
	if (has(h, GW_PC_IMAGE_IN))
		sum += (u128)out_of(&left, u->image_in) * h->pico[GW_PC_IMAGE_IN];
	return has(h, GW_PC_INPUT) ? sum + (u128)left * h->pico[GW_PC_INPUT] : sum;
}

static u128 output_pico(const struct held *h, const struct gw_usage *u)
{
	uint64_t left = u->output;
	u128 sum = 0;

	if (has(h, GW_PC_AUDIO_OUT))
		sum += (u128)out_of(&left, u->audio_out) * h->pico[GW_PC_AUDIO_OUT];
	if (has(h, GW_PC_IMAGE_OUT))
		sum += (u128)out_of(&left, u->image_out) * h->pico[GW_PC_IMAGE_OUT];
	if (has(h, GW_PC_REASONING))
		sum += (u128)out_of(&left, u->reasoning) * h->pico[GW_PC_REASONING];
	return has(h, GW_PC_OUTPUT) ? sum + (u128)left * h->pico[GW_PC_OUTPUT] : sum;
}

/* A search by its size; medium when that was not told, else whatever is listed. */
static uint64_t search_price(const struct held *h, unsigned size)
{
	static const enum gw_price_class order[] = { GW_PC_SEARCH_MEDIUM, GW_PC_SEARCH_LOW, GW_PC_SEARCH_HIGH };
	enum gw_price_class own = size == GW_SEARCH_LOW    ? GW_PC_SEARCH_LOW
				  : size == GW_SEARCH_HIGH ? GW_PC_SEARCH_HIGH
							   : GW_PC_SEARCH_MEDIUM;

	if (has(h, own))
		return h->pico[own];
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (has(h, order[i]))
			return h->pico[order[i]];
	}
	return 0;
}

/* What is counted beside tokens. Pictures and sound are billed by tokens where tokens are told and have a price. */
static u128 unit_pico(const struct held *h, const struct gw_usage *u, bool by_tokens)
{
	u128 sum =
	    (u128)u->searches * search_price(h, u->search_size) + (u128)u->queries * price(h, GW_PC_QUERY, GW_PC_QUERY);

	if (by_tokens)
		return sum;
	sum += (u128)u->images * price(h, GW_PC_IMAGE, GW_PC_IMAGE);
	sum += (u128)u->seconds * price(h, GW_PC_SECOND, GW_PC_SECOND);
	sum += (u128)u->characters * price(h, GW_PC_CHARACTER, GW_PC_CHARACTER);
	return sum + (u128)u->pixels * (has(h, GW_PC_IMAGE) ? 0 : price(h, GW_PC_PIXEL, GW_PC_PIXEL));
}

static int64_t nano(u128 pico)
{
	pico = (pico + PICO_PER_NANO / 2) / PICO_PER_NANO;
	return pico > INT64_MAX ? INT64_MAX : (int64_t)pico;
}

/* Is there a price for anything that was used? */
static bool is_priced(const struct held *h, const struct gw_usage *u, bool by_tokens)
{
	return by_tokens || (u->queries && has(h, GW_PC_QUERY)) || (u->images && has(h, GW_PC_IMAGE)) ||
	       (u->seconds && has(h, GW_PC_SECOND)) || (u->characters && has(h, GW_PC_CHARACTER)) ||
	       (u->pixels && has(h, GW_PC_PIXEL));
}

static void from_list(const struct gw_price *p, const struct gw_usage *u, struct gw_cost *out)
{
	bool has_tokens = u->input || u->output, by_tokens;
	struct held h;
	u128 in, of_output;
	int64_t rest;

	hold(p, u, &h);
	by_tokens = has_tokens && (has(&h, GW_PC_INPUT) || has(&h, GW_PC_OUTPUT));
	out->is_known = p->is_free || is_priced(&h, u, by_tokens);
	if (!out->is_known || p->is_free)
		return;
	out->input_price = price(&h, GW_PC_INPUT, GW_PC_INPUT);
	out->output_price = price(&h, GW_PC_OUTPUT, GW_PC_OUTPUT);
	in = input_pico(&h, u);
	of_output = output_pico(&h, u);
	out->total = nano(in + of_output + unit_pico(&h, u, by_tokens));
	out->input = nano(in) < out->total ? nano(in) : out->total;
	rest = out->total - out->input;
	out->output = nano(of_output) < rest ? nano(of_output) : rest;
}

static struct gw_usage as_billed(const struct gw_usage *u)
{
	struct gw_usage b = *u;

	b.input = u->billed_input;
	b.output = u->billed_output;
	gw_usage_settle(&b);
	return b;
}

void gw_cost_of(const struct gw_price *p, const struct gw_usage *u, struct gw_cost *out)
{
	struct gw_usage b;

	*out = (struct gw_cost){ 0 };
	if (u->is_billed_apart) {
		b = as_billed(u);
		u = &b;
	}
	if (p)
		from_list(p, u, out);
	if (!u->has_cost || (p && p->is_operators && out->is_known))
		return;
	/* what the provider charges is better known to it than to us; the parts stay ours where they fit */
	out->is_known = out->is_providers = true;
	out->total = u->provider_cost > INT64_MAX ? INT64_MAX : (int64_t)u->provider_cost;
	if (out->input > out->total - out->output)
		out->input = out->output = 0;
}

const struct gw_price *gw_price_at(const struct gw_price *lists, uint32_t n, int64_t now_us)
{
	for (uint32_t i = 0; i < n; i++) {
		if ((!lists[i].from_us || now_us >= lists[i].from_us) &&
		    (!lists[i].until_us || now_us < lists[i].until_us))
			return &lists[i];
	}
	return NULL;
}
