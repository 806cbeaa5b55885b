/* One candidate of a plan: a deployment with its provider's endpoint and the versions of its credential. */
#include "core/plan_impl.h"

#include "core/provider.h"
#include "lib/text.h"
#include "lib/url.h"

/* Words of the rows' ENUM columns, by index. */
enum { ACTIVATION_DEFAULT = 0, ACTIVATION_PROBE = 1, ACTIVATION_IMMEDIATE = 2 };
enum { PROBE_NONE = 2 };
enum { HTTP_2 = 1 };

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3u; /* FNV-1a */
	return h;
}

/* All that shapes connections. The version covers every field; the certificates too, because a provider that was deleted and
 * made anew begins with version 1 again and must not meet connections that trusted other ones. */
static uint64_t policy_of(const struct gw_cf_provider *p)
{
	uint32_t pem = gw_crc32c(0, p->ca_pem.p, p->ca_pem.n);
	uint64_t h = mix(0xcbf29ce484222325u, p->id.p, p->id.n);

	h = mix(h, &p->version, sizeof(p->version));
	h = mix(h, &pem, sizeof(pem));
	for (uint32_t i = 0; i < p->allow_private.n; i++)
		h = mix(h, p->allow_private.v[i].p, p->allow_private.v[i].n);
	return h;
}

/* The value of a "{name}" at the front of *text, which is taken off. False: there is none of this name, or it has no value. */
static bool put_place(char *to, size_t room, size_t *n, struct gw_str *text, const struct gw_cf_provider *p,
		      const struct gw_candidate *c)
{
	char host[GW_LOCATION_HOST];
	const struct {
		struct gw_str mark, value;
	} places[] = { { GW_LIT("{location_host}"),
			 p->location.n ? gw_str(host, gw_provider_location_host(p->location, host)) : GW_NIL },
		       { GW_LIT("{region}"), c->region.n ? c->region : p->region },
		       { GW_LIT("{resource}"), p->resource },
		       { GW_LIT("{project}"), p->project },
		       { GW_LIT("{location}"), p->location } };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct gw_str v = places[i].value;

		if (!gw_str_has_prefix(*text, places[i].mark))
			continue;
		if (v.n == 0 || v.n > room - *n || !gw_provider_is_place(v))
			return false;
		memcpy(to + *n, v.p, v.n);
		*n += v.n;
		*text = gw_str_skip(*text, places[i].mark.n);
		return true;
	}
	return false;
}

/* The row's base URL with what its places stand for; NIL when one of them is not known. */
static struct gw_str fill_in(const char *base_url, const struct gw_cf_provider *p, const struct gw_candidate *c,
			     char *to, size_t room)
{
	struct gw_str text = gw_str_z(base_url);
	size_t n = 0;

	while (text.n) {
		if (text.p[0] == '{') {
			if (!put_place(to, room, &n, &text, p, c))
				return GW_NIL;
			continue;
		}
		if (n == room)
			return GW_NIL;
		to[n++] = text.p[0];
		text = gw_str_skip(text, 1);
	}
	return gw_str(to, n);
}

static bool put_auth(struct gw_plan_room *m, const struct gw_cf_provider *p, const struct gw_provider *row,
		     struct gw_candidate *c)
{
	c->key_auth = gw_auth_kind_of(row, (enum gw_provider_auth)p->auth, GW_CRED_KIND_KEY);
	c->auth = c->key_auth;
	c->auth_name = gw_plan_copy(m, p->auth_name);
	c->provider_region = gw_plan_copy(m, p->region);
	c->resource = gw_plan_copy(m, p->resource);
	c->project = gw_plan_copy(m, p->project);
	c->location = gw_plan_copy(m, p->location);
	c->api_version = gw_plan_copy(m, p->api_version);
	return c->auth_name.p && c->provider_region.p && c->resource.p && c->project.p && c->location.p &&
	       c->api_version.p;
}

/* How it is reached beyond an address: HTTP/2, a forward proxy. */
static bool put_proxy(struct gw_plan_room *m, const struct gw_cf_provider *p, struct gw_candidate *c)
{
	struct gw_url url;

	c->wants_h2 = p->http_version == HTTP_2;
	c->proxy_credential = gw_plan_copy(m, p->proxy_credential);
	c->proxy_host = gw_plan_copy(m, GW_NIL);
	if (p->proxy.n && gw_url_parse(p->proxy, &url) == GW_OK) {
		c->proxy_is_https = url.is_https;
		c->proxy_port = url.port;
		c->proxy_host = gw_plan_copy(m, url.host);
	}
	return c->proxy_credential.p && c->proxy_host.p;
}

static enum gw_err put_endpoint(struct gw_plan_room *m, const struct gw_cf_provider *p, const struct gw_provider *row,
				struct gw_candidate *c)
{
	char filled[1024];
	struct gw_str text = p->base_url.n ? p->base_url : fill_in(row->base_url, p, c, filled, sizeof(filled));
	struct gw_plan_room pem = { .arena = m->arena,
				    .left = SIZE_MAX }; /* certificates are long: they count against the arena only */
	struct gw_url url;

	if (gw_url_parse(text, &url))
		return GW_E_NOT_FOUND;
	c->provider_type = (uint32_t)(row - gw_providers);
	c->is_regional = !p->base_url.n && strstr(row->base_url, "{region}") != NULL;
	c->is_https = url.is_https;
	c->port = url.port;
	c->host = gw_plan_copy(m, url.host);
	c->base_path = gw_plan_copy(m, url.path);
	c->ca_pem = gw_plan_copy(&pem, p->ca_pem);
	c->max_connections = (uint32_t)p->max_connections;
	c->queue_ms = p->queue_timeout;
	c->connect_ms = p->connect_timeout;
	c->first_token_ms = p->first_token_timeout;
	c->idle_ms = p->idle_timeout;
	c->total_ms = p->total_timeout;
	c->policy = policy_of(p);
	if (!c->host.p || !c->base_path.p || !c->ca_pem.p || !put_auth(m, p, row, c) || !put_proxy(m, p, c) ||
	    !gw_plan_copy_list(m, &p->allow_private, &c->allow_private))
		return GW_E_NOMEM;
	return GW_OK;
}

static void share_endpoint(const struct gw_candidate *from, struct gw_candidate *c)
{
	c->provider = from->provider;
	c->provider_type = from->provider_type;
	c->is_https = from->is_https;
	c->port = from->port;
	c->host = from->host;
	c->base_path = from->base_path;
	c->ca_pem = from->ca_pem;
	c->allow_private = from->allow_private;
	c->max_connections = from->max_connections;
	c->queue_ms = from->queue_ms;
	c->connect_ms = from->connect_ms;
	c->first_token_ms = from->first_token_ms;
	c->idle_ms = from->idle_ms;
	c->total_ms = from->total_ms;
	c->policy = from->policy;
	c->wants_h2 = from->wants_h2;
	c->proxy_is_https = from->proxy_is_https;
	c->proxy_host = from->proxy_host;
	c->proxy_port = from->proxy_port;
	c->proxy_credential = from->proxy_credential;
	c->proxy_credential_version = from->proxy_credential_version;
	c->is_regional = from->is_regional;
	c->auth = from->key_auth;
	c->key_auth = from->key_auth;
	c->auth_name = from->auth_name;
	c->provider_region = from->provider_region;
	c->resource = from->resource;
	c->project = from->project;
	c->location = from->location;
	c->api_version = from->api_version;
}

/* A credential in use: a secret goes only to the provider that it was given for. GW_E_NOT_FOUND: disabled, or another provider's. */
static enum gw_err credential_of(struct gw_plan_room *m, const struct gw_rows *rows, const struct gw_candidate *c,
				 struct gw_str id, struct gw_cf_credential *out)
{
	struct gw_str bytes;
	enum gw_err e = rows->object(rows->ctx, GW_KIND_credential, id, &bytes);

	if (!e)
		e = gw_cf_read_credential(bytes, m->arena, out);
	if (e)
		return e;
	return out->disabled || !gw_str_eq(out->provider, c->provider) ? GW_E_NOT_FOUND : GW_OK;
}

/* A provider whose proxy wants a credential that is gone cannot be reached. Another version of it is another pool: tunnels that the old
 * one opened are not used any more. */
static enum gw_err read_proxy_credential(struct gw_plan_room *m, const struct gw_rows *rows, struct gw_candidate *c)
{
	struct gw_cf_credential cred;
	enum gw_err e;

	if (c->proxy_credential.n == 0)
		return GW_OK;
	e = credential_of(m, rows, c, c->proxy_credential, &cred);
	if (e)
		return e;
	c->proxy_credential_version = cred.secret_version;
	c->policy = mix(c->policy, &cred.secret_version, sizeof(cred.secret_version));
	return GW_OK;
}

/* c->provider is set. Deployments of one provider share the texts. */
static enum gw_err read_provider(struct gw_plan_room *m, const struct gw_rows *rows, const struct gw_plan *plan,
				 struct gw_candidate *c)
{
	const struct gw_provider *row;
	struct gw_cf_provider p;
	struct gw_str bytes;
	enum gw_err e;

	for (uint32_t i = 0; i < plan->n_candidates; i++) {
		const struct gw_candidate *from = &plan->candidates[i];

		if (gw_str_eq(from->provider, c->provider) &&
		    (!from->is_regional || gw_str_eq(from->region, c->region))) {
			share_endpoint(from, c);
			return GW_OK;
		}
	}
	e = rows->object(rows->ctx, GW_KIND_provider, c->provider, &bytes);
	if (!e)
		e = gw_cf_read_provider(bytes, m->arena, &p);
	if (e)
		return e;
	row = gw_provider_by_type(p.type);
	if (p.disabled || !row)
		return GW_E_NOT_FOUND;
	e = put_endpoint(m, &p, row, c);
	return e ? e : read_proxy_credential(m, rows, c);
}

/* c->credential and c->provider are set. A secret goes only to the provider that it was given for: a deployment that pairs it
 * with another one would send it to a stranger. */
static enum gw_err read_credential(struct gw_plan_room *m, const struct gw_rows *rows, struct gw_candidate *c)
{
	struct gw_cf_credential cred;
	enum gw_err e;

	if (c->credential.n == 0)
		return GW_OK;
	e = credential_of(m, rows, c, c->credential, &cred);
	if (e)
		return e;
	c->auth = cred.type == GW_CRED_KIND_KEY
		      ? c->key_auth
		      : gw_auth_kind_of(&gw_providers[c->provider_type], GW_PROVIDER_AUTH_DEFAULT,
					(enum gw_cred_kind)cred.type);
	c->is_token = gw_cred_is_fetched((enum gw_cred_kind)cred.type, (enum gw_cred_source)cred.source, cred.role_arn);
	c->sign_region = c->region.n            ? c->region
			 : c->provider_region.n ? c->provider_region
						: gw_plan_copy(m, cred.region);
	if (!c->sign_region.p)
		return GW_E_NOMEM;
	c->credential_version = cred.secret_version;
	c->credential_next_version = cred.next_version;
	return GW_OK;
}

/* The deployment once more: its row did not outlive the look-ups since. */
static enum gw_err read_prices(struct gw_plan_room *m, const struct gw_rows *rows, struct gw_candidate *c)
{
	struct gw_cf_deployment d;
	struct gw_str bytes;
	enum gw_err e = rows->object(rows->ctx, GW_KIND_deployment, c->deployment, &bytes);

	if (!e)
		e = gw_cf_read_deployment(bytes, m->arena, &d);
	return e ? e : gw_plan_prices(m, rows, &d, c);
}

/* A model's targets are the platform's, or of its own org and team. confd sees to that when either is written; a plan that crosses
 * tenants is not made all the same. */
static bool may_target(const struct gw_plan_room *m, const struct gw_cf_deployment *d)
{
	return !m->has_owner || !d->org.n || (gw_str_eq(d->org, m->org) && (!d->team.n || gw_str_eq(d->team, m->team)));
}

enum gw_err gw_plan_candidate(struct gw_plan_room *m, const struct gw_rows *rows, const struct gw_cf_target *target,
			      bool is_probe_default, struct gw_plan *plan)
{
	struct gw_candidate c = { .deployment = target->deployment,
				  .weight = target->weight,
				  .priority = target->priority };
	struct gw_cf_deployment d;
	struct gw_str bytes;
	enum gw_err e = rows->object(rows->ctx, GW_KIND_deployment, target->deployment, &bytes);

	if (!e)
		e = gw_cf_read_deployment(bytes, m->arena, &d);
	if (e)
		return e;
	if (d.disabled || !may_target(m, &d))
		return GW_E_NOT_FOUND;
	c.deployment_version = d.version;
	c.provider = gw_plan_copy(m, d.provider);
	c.credential = gw_plan_copy(m, d.credential);
	c.upstream_model = gw_plan_copy(m, d.upstream_model);
	c.region = gw_plan_copy(m, d.region);
	c.is_probe_needed = d.probe != PROBE_NONE && (d.activation == ACTIVATION_PROBE ||
						      (d.activation == ACTIVATION_DEFAULT && is_probe_default));
	if (!c.provider.p || !c.credential.p || !c.upstream_model.p || !c.region.p)
		return GW_E_NOMEM;
	e = read_provider(m, rows, plan, &c);
	if (!e)
		e = read_credential(m, rows, &c);
	if (!e)
		e = read_prices(m, rows, &c);
	if (!e)
		plan->candidates[plan->n_candidates++] = c;
	return e;
}
