/* Which price lists may hold for a candidate, the one that goes first at the front: the deployment's own price, price objects from the most
 * particular to the most general, the catalogue. More than one because price objects hold from a day on: which of them does is decided by
 * the time of each request (gw_price_at), the plan may be older. */
#include "core/plan_impl.h"

#include "core/price.h"
#include "core/provider.h"

enum { MAX_OBJECTS = 6, MAX_RATES = 24, LONG_K = 1000 };

/* A price object that fits, and how particular it is. */
struct fit {
	uint32_t score;
	struct gw_price price;
};
struct search {
	struct gw_plan_room *m;
	const struct gw_candidate *c;
	struct gw_str type, model;
	struct fit fits[MAX_OBJECTS];
	uint32_t n;
	enum gw_err err;
};
struct rates {
	uint32_t n;
	struct gw_price_rate v[MAX_RATES];
};

static void add(struct rates *r, enum gw_price_class cls, uint64_t above, uint64_t pico)
{
	if (pico && r->n < MAX_RATES)
		r->v[r->n++] =
		    (struct gw_price_rate){ .cls = (uint8_t)cls, .above_k = (uint16_t)(above / LONG_K), .pico = pico };
}

/* The rates and the version move into the plan. */
static bool keep(struct gw_plan_room *m, const struct rates *r, const char *kind, struct gw_str id, uint64_t version,
		 struct gw_price *p)
{
	struct gw_price_rate *v = NULL;

	if (r->n) {
		if (r->n * sizeof(*v) > m->left)
			return false;
		m->left -= r->n * sizeof(*v);
		v = GW_NEW_N(m->arena, struct gw_price_rate, r->n);
		if (!v)
			return false;
		memcpy(v, r->v, r->n * sizeof(*v));
	}
	p->rates = v;
	p->n = r->n;
	p->is_free = r->n == 0;
	p->is_operators = true;
	p->version = gw_arena_printf(m->arena, "%s %.*s@%llu", kind, GW_FMT(id), (unsigned long long)version);
	if (!p->version.p || p->version.n > m->left)
		return false;
	m->left -= p->version.n;
	return true;
}

/* ---- the deployment's own ---- */

static bool has_own(const struct gw_cf_deployment *d)
{
	return d->free || d->input_price || d->output_price || d->cached_price || d->unit_price;
}

static bool own_price(struct gw_plan_room *m, const struct gw_cf_deployment *d, struct gw_price *out)
{
	struct rates r = { 0 };

	if (!d->free) {
		add(&r, GW_PC_INPUT, 0, d->input_price);
		add(&r, GW_PC_OUTPUT, 0, d->output_price);
		add(&r, GW_PC_CACHE_READ, 0, d->cached_price);
		add(&r, GW_PC_IMAGE, 0, d->unit_price);
		add(&r, GW_PC_SECOND, 0, d->unit_price);
		add(&r, GW_PC_CHARACTER, 0, d->unit_price);
	}
	return keep(m, &r, "deployment", d->id, d->version, out);
}

/* ---- price objects ---- */

static void object_rates(const struct gw_cf_price *p, struct rates *r)
{
	uint64_t above = p->long_above;

	add(r, GW_PC_INPUT, 0, p->input);
	add(r, GW_PC_OUTPUT, 0, p->output);
	add(r, GW_PC_CACHE_READ, 0, p->cache_read);
	add(r, GW_PC_CACHE_WRITE_5M, 0, p->cache_write_5m);
	add(r, GW_PC_CACHE_WRITE_1H, 0, p->cache_write_1h);
	add(r, GW_PC_REASONING, 0, p->reasoning);
	add(r, GW_PC_AUDIO_IN, 0, p->audio_in);
	add(r, GW_PC_AUDIO_OUT, 0, p->audio_out);
	add(r, GW_PC_IMAGE_IN, 0, p->image_in);
	add(r, GW_PC_IMAGE_OUT, 0, p->image_out);
	add(r, GW_PC_SEARCH_MEDIUM, 0, p->search);
	add(r, GW_PC_QUERY, 0, p->query);
	add(r, GW_PC_IMAGE, 0, p->image);
	add(r, GW_PC_SECOND, 0, p->second);
	add(r, GW_PC_CHARACTER, 0, p->character);
	add(r, GW_PC_PIXEL, 0, p->pixel);
	if (!above)
		return;
	add(r, GW_PC_INPUT, above, p->long_input);
	add(r, GW_PC_OUTPUT, above, p->long_output);
	add(r, GW_PC_CACHE_READ, above, p->long_cache_read);
	add(r, GW_PC_CACHE_WRITE_5M, above, p->long_cache_write);
	add(r, GW_PC_CACHE_WRITE_1H, above, p->long_cache_write);
}

/* 0 = it is not about this candidate. The larger, the more particular. */
static uint32_t score_of(const struct search *s, const struct gw_cf_price *p)
{
	const struct gw_subject *who = s->m->subject;
	bool is_prefix = p->model.n && p->model.p[p->model.n - 1] == '*';
	struct gw_str name = is_prefix ? gw_str(p->model.p, p->model.n - 1) : p->model;
	uint32_t score = 1 + (uint32_t)(name.n < 255 ? name.n : 255) + (is_prefix ? 0 : 256);

	if (p->disabled || !(is_prefix ? gw_str_has_prefix(s->model, name) : gw_str_eq(s->model, name)) ||
	    (p->provider_type.n && !gw_str_eq(p->provider_type, s->type)) ||
	    (p->provider.n && !gw_str_eq(p->provider, s->c->provider)) ||
	    (p->deployment.n && !gw_str_eq(p->deployment, s->c->deployment)) ||
	    (p->for_org.n && (!who || !gw_str_eq(p->for_org, who->org))) ||
	    (p->for_team.n && (!who || !gw_str_eq(p->for_team, who->team))))
		return 0;
	return score + (p->provider_type.n ? 512u : 0) + (p->provider.n ? 1024u : 0) + (p->deployment.n ? 2048u : 0) +
	       (p->for_org.n ? 4096u : 0) + (p->for_team.n ? 8192u : 0) +
	       (p->effective_from ? 16384u : 0); /* a price from a day on is newer than one that always held */
}

/* Into its place; of equals the one that was there first stays first, the least particular one falls out. */
static void insert(struct search *s, const struct fit *f)
{
	uint32_t at = s->n;

	while (at > 0 && s->fits[at - 1].score < f->score)
		at--;
	if (at == MAX_OBJECTS)
		return;
	if (s->n == MAX_OBJECTS)
		s->n--;
	memmove(&s->fits[at + 1], &s->fits[at], (s->n - at) * sizeof(*f));
	s->fits[at] = *f;
	s->n++;
}

static bool on_object(void *arg, struct gw_str row)
{
	struct search *s = arg;
	struct gw_cf_price p;
	struct rates r = { 0 };
	struct fit f = { 0 };

	s->err = gw_cf_read_price(row, s->m->arena, &p);
	if (s->err)
		return false;
	f.score = score_of(s, &p);
	if (!f.score || (s->n == MAX_OBJECTS && s->fits[MAX_OBJECTS - 1].score >= f.score))
		return true;
	object_rates(&p, &r);
	if (!keep(s->m, &r, "price", p.id, p.version, &f.price)) {
		s->err = GW_E_NOMEM;
		return false;
	}
	f.price.from_us = p.effective_from;
	f.price.until_us = p.effective_until;
	f.price.percent[GW_TIER_FLEX] = (uint16_t)p.flex_percent;
	f.price.percent[GW_TIER_PRIORITY] = (uint16_t)p.priority_percent;
	f.price.percent[GW_TIER_BATCH] = (uint16_t)p.batch_percent;
	insert(s, &f);
	return true;
}

/* ---- all of them ---- */

static bool is_claude(const struct search *s)
{
	return gw_str_eq(s->type, GW_LIT("anthropic")) ||
	       (s->model.n >= 6 && memmem(s->model.p, s->model.n, "claude", 6) != NULL);
}

static enum gw_err put_lists(struct gw_plan_room *m, const struct search *s, const struct gw_price *first,
			     const struct gw_price *last, struct gw_candidate *c)
{
	uint32_t n = (first ? 1 : 0) + s->n + (last ? 1 : 0), at = 0;
	struct gw_price *v;

	if (n == 0)
		return GW_OK;
	if (n * sizeof(*v) > m->left)
		return GW_E_NOMEM;
	m->left -= n * sizeof(*v);
	v = GW_NEW_N(m->arena, struct gw_price, n);
	if (!v)
		return GW_E_NOMEM;
	if (first)
		v[at++] = *first;
	for (uint32_t i = 0; i < s->n; i++)
		v[at++] = s->fits[i].price;
	if (last)
		v[at++] = *last;
	for (uint32_t i = 0; i < n; i++)
		v[i].is_anthropic |= is_claude(s);
	c->prices = v;
	c->n_prices = n;
	return GW_OK;
}

enum gw_err gw_plan_prices(struct gw_plan_room *m, const struct gw_rows *rows, const struct gw_cf_deployment *d,
			   struct gw_candidate *c)
{
	const char *type = gw_providers[c->provider_type].name;
	struct search s = { .m = m, .c = c, .type = gw_str_z(type) };
	char room[GW_PRICE_VERSION_BYTES];
	struct gw_price own = { 0 }, listed;
	bool is_listed;

	s.model = d->base_model.n ? d->base_model : d->upstream_model;
	c->is_base_model = d->base_model.n > 0;
	if (has_own(d)) /* nothing else is asked then */
		return own_price(m, d, &own) ? put_lists(m, &s, &own, NULL, c) : GW_E_NOMEM;
	s.model = gw_plan_copy(m, s.model); /* the walk ends the life of the deployment's row */
	if (!s.model.p)
		return GW_E_NOMEM;
	c->priced_model = s.model;
	struct gw_str region = c->region;

	if (rows->each) {
		enum gw_err e = rows->each(rows->ctx, GW_KIND_price, on_object, &s);

		if (e || s.err)
			return e ? e : s.err;
	}
	is_listed = gw_price_find(s.type, s.model, region, true, &listed, room);
	if (is_listed) {
		listed.version = gw_plan_copy(m, listed.version);
		if (!listed.version.p)
			return GW_E_NOMEM;
	}
	return put_lists(m, &s, NULL, is_listed ? &listed : NULL, c);
}
