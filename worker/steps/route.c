/* route: endpoints without a model (files, batches, stored responses, raw relay) go to a provider: the one that is named, or the only one
 * behind the models that the key may use. So a key reaches with them no provider, and no credential, that it could not reach with a chat.
 * The answer is remembered per key until the configuration changes: finding it looks at every model. */
#include "worker/api.h"

#include "lib/sys/clock.h"

enum { MODELS_MAX = 4096 };

struct search {
	struct gw_req *r;
	struct gw_rows rows;
	struct gw_str tenant, provider, deployment; /* asked for; NIL: any */
	struct gw_mark mark;
	struct gw_route_memo *out;
	uint32_t n_models;
	bool is_named; /* the deployment itself: the first one found is it */
	enum gw_err err;
};

static void copy(char to[64], struct gw_str s)
{
	size_t n = s.n < 63 ? s.n : 63;

	if (n)
		memcpy(to, s.p, n);
	to[n] = 0;
}

/* A deployment behind one of the key's models. Two that differ in provider or credential are a question that only the client can answer. */
static void consider(struct search *s, const struct gw_candidate *c)
{
	struct gw_route_memo *m = s->out;

	if ((s->provider.n && !gw_str_eq(c->provider, s->provider)) ||
	    (s->deployment.n && !gw_str_eq(c->deployment, s->deployment)))
		return;
	if (!m->deployment[0]) {
		copy(m->deployment, c->deployment);
		copy(m->provider, c->provider);
		copy(m->credential, c->credential);
		return;
	}
	if (!gw_str_eq(c->provider, gw_str_z(m->provider)))
		m->verdict = GW_ROUTE_PROVIDERS;
	else if (!gw_str_eq(c->credential, gw_str_z(m->credential)) && !m->verdict)
		m->verdict = GW_ROUTE_CREDENTIALS;
}

static bool on_model(void *ctx, struct gw_str key, struct gw_str id)
{
	struct search *s = ctx;
	struct gw_req *r = s->r;
	struct gw_plan plan = { 0 };
	struct gw_str name;

	(void)id;
	if (key.n <= s->tenant.n || !gw_str_has_prefix(key, s->tenant) || key.p[s->tenant.n] != 0x1f)
		return false;
	if (++s->n_models > MODELS_MAX) {
		s->out->verdict = GW_ROUTE_MODELS;
		return false;
	}
	gw_arena_reset(&r->arena, s->mark);
	name = gw_arena_str(&r->arena, gw_str_skip(key, s->tenant.n + 1));
	if (!name.p || gw_plan_resolve(&r->arena, &s->rows, &r->subject, name, &plan) != GW_OK)
		return true; /* not this key's, or nobody there */
	for (uint32_t i = 0; i < plan.n_candidates; i++)
		consider(s, &plan.candidates[i]);
	return s->out->verdict != GW_ROUTE_PROVIDERS && !(s->is_named && s->out->deployment[0]);
}

static void search_tenant(struct search *s, const char *prefix, struct gw_str owner)
{
	struct gw_image *config = s->r->w->images.image[GW_IMAGE_CONFIG];
	char tenant[80], from[96];

	if (owner.n > 64 || (prefix[0] && !owner.n) || s->out->verdict == GW_ROUTE_PROVIDERS)
		return;
	s->tenant = gw_str(tenant, (size_t)snprintf(tenant, sizeof(tenant), "%s%.*s", prefix, GW_FMT(owner)));
	memcpy(from, tenant, s->tenant.n);
	from[s->tenant.n] = 0x1f;
	if (gw_image_walk(config, GW_DB_MODEL, gw_str(from, s->tenant.n + 1), on_model, s) != GW_OK)
		s->err = GW_E_CORRUPT;
}

static uint64_t memo_hash(const struct gw_req *r)
{
	uint64_t h;

	memcpy(&h, r->subject.key_index, sizeof(h));
	const struct gw_str parts[] = { r->api->provider, r->api->deployment };
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < parts[i].n; k++)
			h = (h ^ (unsigned char)parts[i].p[k]) * 0x100000001b3u;
		h = (h ^ 0x1f) * 0x100000001b3u;
	}
	return h;
}

/* The verdict for this key and these names; made anew when the configuration is another. */
static struct gw_route_memo *find(struct gw_req *r, enum gw_err *e)
{
	uint64_t hash = memo_hash(r), generation = r->w->images.generation;
	struct gw_route_memo *m = &r->w->routes[hash % GW_ROUTE_MEMOS];
	struct search s = { .r = r,
			    .rows = gw_worker_rows(r->w),
			    .provider = r->api->provider,
			    .deployment = r->api->deployment,
			    .is_named = r->api->deployment.n != 0,
			    .out = m,
			    .mark = gw_arena_mark(&r->arena) };

	*e = GW_OK;
	if (m->generation == generation && m->hash == hash &&
	    memcmp(m->key_index, r->subject.key_index, sizeof(m->key_index)) == 0 &&
	    gw_str_eq(gw_str_z(m->asked_provider), s.provider) &&
	    gw_str_eq(gw_str_z(m->asked_deployment), s.deployment))
		return m;
	*m = (struct gw_route_memo){ .hash = hash };
	memcpy(m->key_index, r->subject.key_index, sizeof(m->key_index));
	copy(m->asked_provider, s.provider);
	copy(m->asked_deployment, s.deployment);
	search_tenant(&s, "", GW_NIL);
	search_tenant(&s, "o:", r->subject.org);
	search_tenant(&s, "t:", r->subject.team);
	gw_arena_reset(&r->arena, s.mark);
	if (m->deployment[0] && m->verdict == GW_ROUTE_FOUND)
		m->generation = generation; /* a refusal is looked at again */
	*e = s.err;
	return m;
}

static enum gw_step_id refuse(struct gw_req *r, const struct gw_route_memo *m)
{
	const bool is_raw = gw_api_is_raw(r);

	r->err_param = is_raw ? GW_NIL : GW_LIT("x-llmgw-provider");
	if (m->verdict == GW_ROUTE_PROVIDERS)
		return gw_req_fail(
		    r, GW_E_INVALID,
		    GW_LIT("This key reaches more than one provider. Name one in the header x-llmgw-provider "
			   "(or the query parameter llmgw_provider)."));
	if (m->verdict != GW_ROUTE_FOUND) {
		r->err_param = GW_LIT("x-llmgw-deployment");
		return gw_req_fail(
		    r, GW_E_INVALID,
		    GW_LIT("This key reaches the provider with more than one credential. Name a deployment in "
			   "the header x-llmgw-deployment."));
	}
	if (r->api->deployment.n || r->api->provider.n)
		return gw_req_fail(
		    r, GW_E_NOT_FOUND,
		    GW_LIT("There is no such provider or deployment behind the models that this key may use."));
	return gw_req_fail(r, GW_E_NOT_FOUND, GW_LIT("This key may use no model, so there is no provider to ask."));
}

enum gw_step_id gw_step_route(struct gw_req *r)
{
	struct gw_rows rows = gw_worker_rows(r->w);
	struct gw_route_memo *m;
	uint32_t probe;
	enum gw_err e;

	if (gw_api_is_raw(r) && !r->subject.may_relay_raw)
		return gw_req_fail(
		    r, GW_E_FORBIDDEN,
		    GW_LIT("This key may not relay raw calls; an operator can set raw_relay on the key or its "
			   "team."));
	if (r->api->provider.n > 63 || r->api->deployment.n > 63)
		return gw_req_fail(r, GW_E_NOT_FOUND, GW_LIT("There is no such provider."));
	m = find(r, &e);
	if (e)
		return gw_req_fail(r, e, GW_NIL);
	if (m->verdict || !m->deployment[0])
		return refuse(r, m);
	e = gw_plan_one(&r->arena, &rows, gw_str_z(m->deployment), &r->plan, &probe);
	if (e)
		return gw_req_fail(r, e == GW_E_NOT_FOUND ? GW_E_MODEL_DOWN : e, GW_NIL);
	r->plan.server_timing = r->w->limits.server_timing;
	r->plan.candidates[0].is_probe_needed = false; /* asked for by name: its own answer says how it is */
	r->deadline_ns = r->first_byte_ns + r->plan.candidates[0].total_ms * 1000000;
	return GW_STEP_limit;
}
