/* Looking a model up in the price catalogue. Providers and clients spell one model in many ways; the plainest spelling is tried first, so
 * that a region's or a snapshot's own price goes before the model's. */
#include "core/price_impl.h"

#include <stdio.h>

enum { MAX_MODEL = 220 };

/* Makers whose own models may be recognised wherever they run. */
static const char *const makers[] = { "openai", "anthropic", "gemini",   "mistral", "deepseek",
				      "xai",    "cohere",    "moonshot", "zai",     "perplexity" };
/* Parts of cloud regions that Bedrock puts before a model's id. */
static const char *const clouds[] = { "us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au.", "ca.", "sa.", "me." };

/* "provider" "/" "model" against a row's name. */
static int compare(struct gw_str provider, struct gw_str model, const struct gw_price_row *r)
{
	const char *name = gw_price_names + r->name_at;
	size_t n = r->name_n, k = provider.n < n ? provider.n : n;
	int d = k ? memcmp(provider.p, name, k) : 0;

	if (d || k == n)
		return d ? d : 1;
	d = '/' - (unsigned char)name[k];
	if (d)
		return d;
	name += k + 1;
	n -= k + 1;
	d = memcmp(model.p, name, model.n < n ? model.n : n);
	return d ? d : (model.n > n) - (model.n < n);
}

static const struct gw_price_row *row_of(struct gw_str provider, struct gw_str model)
{
	uint32_t from = 0, to = gw_price_n_rows;

	if (!provider.n || !model.n)
		return NULL;
	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		int d = compare(provider, model, &gw_price_rows[mid]);

		if (d == 0)
			return &gw_price_rows[mid];
		if (d < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

/* The catalogue's name for a row of providers.def: itself, or what stands before its first dash ("azure-openai", "vertex-ai"). */
static struct gw_str family(struct gw_str provider)
{
	return gw_str(provider.p, gw_str_find(provider, '-'));
}

static bool all_digits(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n > 0;
}

/* Without "-2024-08-06", "-20250929", "@20250929", "-latest"; as it is when it has none of them. */
static struct gw_str without_date(struct gw_str m)
{
	struct gw_str latest = GW_LIT("-latest");

	if (m.n > 11 && m.p[m.n - 11] == '-' && m.p[m.n - 6] == '-' && m.p[m.n - 3] == '-' &&
	    all_digits(gw_str(m.p + m.n - 10, 4)) && all_digits(gw_str(m.p + m.n - 5, 2)) &&
	    all_digits(gw_str(m.p + m.n - 2, 2)))
		return gw_str(m.p, m.n - 11);
	if (m.n > 9 && (m.p[m.n - 9] == '-' || m.p[m.n - 9] == '@') && all_digits(gw_str(m.p + m.n - 8, 8)))
		return gw_str(m.p, m.n - 9);
	if (m.n > latest.n && gw_str_eq(gw_str_skip(m, m.n - latest.n), latest))
		return gw_str(m.p, m.n - latest.n);
	return m;
}

/* "arn:aws:bedrock:us-east-1:123:inference-profile/us.anthropic.x" -> "us.anthropic.x"; "models/x" -> "x". */
static struct gw_str without_path(struct gw_str m)
{
	size_t at = m.n;

	if (gw_str_has_prefix(m, GW_LIT("models/")))
		return gw_str_skip(m, 7);
	if (!gw_str_has_prefix(m, GW_LIT("arn:")))
		return m;
	while (at > 0 && m.p[at - 1] != '/')
		at--;
	return gw_str_skip(m, at);
}

static struct gw_str without_cloud(struct gw_str m)
{
	for (size_t i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++) {
		if (gw_str_has_prefix(m, gw_str_z(clouds[i])))
			return gw_str_skip(m, strlen(clouds[i]));
	}
	return m;
}

/* "ft:gpt-4o-2024-08-06:acme::x1" -> "ft:gpt-4o-2024-08-06": tuned models have a price of their own. */
static struct gw_str tuned_base(struct gw_str m)
{
	struct gw_str rest;
	size_t n;

	if (!gw_str_has_prefix(m, GW_LIT("ft:")))
		return m;
	rest = gw_str_skip(m, 3);
	n = gw_str_find(rest, ':');
	return gw_str(m.p, 3 + n);
}

/* All spellings of a model at one provider. */
static const struct gw_price_row *at_provider(struct gw_str provider, struct gw_str model, struct gw_str region)
{
	struct gw_str m = tuned_base(without_path(model));
	const struct gw_price_row *r = NULL;
	char text[MAX_MODEL];

	if (region.n && region.n + 1 + m.n <= sizeof(text)) { /* "eu/gpt-5", "us-east-1/anthropic.claude" */
		memcpy(text, region.p, region.n);
		text[region.n] = '/';
		if (m.n)
			memcpy(text + region.n + 1, m.p, m.n);
		r = row_of(provider, gw_str(text, region.n + 1 + m.n));
	}
	if (!r)
		r = row_of(provider, m);
	if (!r)
		r = row_of(provider, without_cloud(m));
	return r ? r : row_of(provider, without_date(without_cloud(m)));
}

/* "anthropic/claude-x" of a router names the maker itself. */
static const struct gw_price_row *at_makers(struct gw_str model)
{
	size_t slash = gw_str_find(model, '/');
	const struct gw_price_row *r = NULL;

	if (slash < model.n)
		return at_provider(gw_str(model.p, slash), gw_str_skip(model, slash + 1), GW_NIL);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]) && !r; i++)
		r = at_provider(gw_str_z(makers[i]), model, GW_NIL);
	return r;
}

static bool take(const struct gw_price_row *r, struct gw_price *out, char room[GW_PRICE_VERSION_BYTES])
{
	int n;

	if (!r)
		return false;
	*out = (struct gw_price){ .rates = gw_price_rates + r->rates_at,
				  .n = r->n_rates,
				  .percent = { [GW_TIER_BATCH] = 50 } };
	for (size_t i = 0; i + 6 <= r->name_n; i++)
		out->is_anthropic |= memcmp(gw_price_names + r->name_at + i, "claude", 6) == 0;
	n = snprintf(room, GW_PRICE_VERSION_BYTES, "catalogue %s %.*s", gw_price_catalogue_version, (int)r->name_n,
		     gw_price_names + r->name_at);
	out->version = gw_str(room, n < GW_PRICE_VERSION_BYTES ? (size_t)n : GW_PRICE_VERSION_BYTES - 1);
	return true;
}

bool gw_price_find_exact(struct gw_str provider, struct gw_str model, struct gw_price *out,
			 char room[GW_PRICE_VERSION_BYTES])
{
	const struct gw_price_row *r = row_of(provider, model);

	return take(r ? r : row_of(family(provider), model), out, room);
}

bool gw_price_find(struct gw_str provider, struct gw_str model, struct gw_str region, bool any_vendor,
		   struct gw_price *out, char room[GW_PRICE_VERSION_BYTES])
{
	const struct gw_price_row *r = at_provider(provider, model, region);

	if (!r)
		r = at_provider(family(provider), model, region);
	if (!r && any_vendor)
		r = at_makers(model);
	return take(r, out, room);
}

/* "dall-e-3#hd/1024x1024" */
static const struct gw_price_row *picture_row(struct gw_str provider, struct gw_str model, struct gw_str quality,
					      struct gw_str size)
{
	const struct gw_str parts[] = { model, GW_LIT("#"), quality, quality.n ? GW_LIT("/") : GW_LIT(""), size };
	char text[MAX_MODEL];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].n > sizeof(text) - n)
			return NULL;
		if (parts[i].n)
			memcpy(text + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	return row_of(provider, gw_str(text, n));
}

bool gw_price_find_picture(struct gw_str provider, struct gw_str model, struct gw_str quality, struct gw_str size,
			   struct gw_price *out, char room[GW_PRICE_VERSION_BYTES])
{
	bool is_usual = !quality.n || gw_str_eq(quality, GW_LIT("auto"));
	const struct gw_str names[] = { model, without_date(model) }, at[] = { provider, family(provider) };
	const struct gw_price_row *r = NULL;

	for (size_t i = 0; i < 4 && !r && size.n; i++) {
		r = picture_row(at[i / 2], names[i % 2], is_usual ? GW_LIT("standard") : quality, size);
		if (!r && (is_usual || gw_str_eq(quality, GW_LIT("standard"))))
			r = picture_row(at[i / 2], names[i % 2], GW_NIL, size);
	}
	return take(r, out, room);
}
