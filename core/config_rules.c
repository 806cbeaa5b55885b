/* Rules that one row cannot say: they look at several fields of an object, or at the object before. */
#include "core/config_impl.h"
#include "core/cors.h"
#include "core/provider.h"
#include "lib/text.h"
#include "lib/url.h"

static struct gw_str text_of(struct gw_cf_check *c, const char *field)
{
	return gw_json_str(gw_json_get(c->in, gw_str_z(field)));
}

static void fault(struct gw_cf_check *c, enum gw_err e, const char *field, const char *message)
{
	gw_cf_fault(c, e, gw_cf_at(c, field), gw_arena_printf(c->arena, "%s", message));
}

/* Whose object it is: platform, an org's, a team's. */
static void check_owner(struct gw_cf_check *c)
{
	struct gw_str org = text_of(c, "org"), team = text_of(c, "team");

	if (gw_cf_kinds[c->kind].owner == GW_CF_PLATFORM) {
		if (org.n || team.n)
			gw_cf_fault(c, GW_E_INVALID, gw_cf_at(c, org.n ? "org" : "team"),
				    gw_arena_printf(c->arena,
						    "A %s belongs to the whole platform. Leave org and team out.",
						    gw_cf_kinds[c->kind].name));
		return;
	}
	if (team.n && !org.n)
		fault(c, GW_E_MISSING, "org", "org is required with team: which org the team is in.");
	if (c->kind == GW_KIND_team && !org.n)
		fault(c, GW_E_MISSING, "org", "org is required: a team is inside an org.");
	if (c->kind == GW_KIND_team && team.n)
		fault(c, GW_E_INVALID, "team", "A team is not inside another team. Leave team out.");
	if (org.n)
		gw_cf_check_ref(c, gw_cf_at(c, "org"), GW_KIND_org, org);
	if (team.n && c->kind != GW_KIND_team)
		gw_cf_check_ref(c, gw_cf_at(c, "team"), GW_KIND_team, team);
}

static void check_identity(struct gw_cf_check *c)
{
	struct gw_str id = text_of(c, "id");

	if (c->kind == GW_KIND_settings && !gw_str_eq(id, GW_LIT("default")))
		fault(c, GW_E_INVALID, "id", "There is one settings object; its id must be \"default\".");
	if (c->old && !gw_str_eq(id, gw_json_str(gw_json_get(c->old, GW_LIT("id")))))
		fault(c, GW_E_INVALID, "id", "id cannot be changed. Create a new object and delete this one.");
}

static void check_model(struct gw_cf_check *c)
{
	struct gw_str alias = text_of(c, "alias_of");
	size_t n_targets = yyjson_arr_size(gw_json_get(c->in, GW_LIT("targets")));

	if (alias.n && n_targets)
		fault(c, GW_E_INVALID, "alias_of", "A model has targets or alias_of, not both. Remove one of them.");
	if (!alias.n && !n_targets)
		fault(c, GW_E_MISSING, "targets",
		      "targets is required: which deployments answer (or alias_of: which model does).");
	if (alias.n && gw_str_eq(alias, text_of(c, "id")))
		fault(c, GW_E_INVALID, "alias_of",
		      "alias_of names the model itself. Name another one, or give targets.");
}

/* What stands in an address must look like it; what the type's address needs must be there. */
static void check_places(struct gw_cf_check *c, const struct gw_provider *row)
{
	static const struct {
		const char *field, *mark;
	} places[] = { { "region", "{region}" },
		       { "resource", "{resource}" },
		       { "project", "{project}" },
		       { "location", "{location}" } };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct gw_str v = text_of(c, places[i].field);

		if (!gw_provider_is_place(v))
			gw_cf_fault(c, GW_E_INVALID, gw_cf_at(c, places[i].field),
				    gw_arena_printf(c->arena, "%s may have letters, digits, '-', '.' and '_' only.",
						    places[i].field));
		else if (row && !v.n && text_of(c, "base_url").n == 0 && strstr(row->base_url, places[i].mark))
			gw_cf_fault(c, GW_E_MISSING, gw_cf_at(c, places[i].field),
				    gw_arena_printf(c->arena,
						    "%s is required for type %s: it is part of the address %s.",
						    places[i].field, row->name, row->base_url));
	}
}

/* What is typed wrong most: a zone for a region, a whole address for a resource's name. */
static void check_place_words(struct gw_cf_check *c, const struct gw_provider *row)
{
	struct gw_str region = text_of(c, "region"), location = text_of(c, "location"),
		      resource = text_of(c, "resource");
	bool is_word = gw_str_eq(location, GW_LIT("global")) || gw_str_eq(location, GW_LIT("us")) ||
		       gw_str_eq(location, GW_LIT("eu"));

	if (region.n && (row->creds & GW_CRED_AWS) && strstr(row->base_url, "{region}") &&
	    !gw_provider_is_region(region))
		fault(c, GW_E_INVALID, "region", "region must be the name of an AWS region, such as us-east-1.");
	if (location.n && strstr(row->base_url, "{location}") && !is_word && !gw_provider_is_region(location))
		fault(c, GW_E_INVALID, "location",
		      "location must be a region of Google Cloud, such as europe-west4 (not a zone), or global, us or "
		      "eu.");
	if (gw_str_find(resource, '.') < resource.n && strstr(row->base_url, "{resource}"))
		fault(c, GW_E_INVALID, "resource",
		      "resource is the name of the Azure resource alone: the first part of its address.");
}

static void check_provider_auth(struct gw_cf_check *c)
{
	struct gw_str how = text_of(c, "auth"), name = text_of(c, "auth_name");
	bool is_header = gw_str_eq(how, GW_LIT("header")), is_query = gw_str_eq(how, GW_LIT("query"));

	if ((is_header || is_query) && !name.n)
		fault(c, GW_E_MISSING, "auth_name",
		      "auth_name is required with auth header or query: the header or query parameter that carries the "
		      "key.");
	else if (name.n && !is_header && !is_query)
		fault(c, GW_E_INVALID, "auth_name",
		      "auth_name goes with auth header or query. Leave it out, or set auth.");
	else if (is_header && !gw_auth_is_header_name(name))
		fault(c, GW_E_INVALID, "auth_name",
		      "auth_name is no header that may carry a key: letters, digits and '-', and none that frame a "
		      "message "
		      "(such as Host or Content-Length).");
	else if (is_query && !gw_provider_is_place(name))
		fault(c, GW_E_INVALID, "auth_name",
		      "auth_name may have letters, digits, '-', '.' and '_' only: the name of a query parameter.");
}

/* Proxy, HTTP/2: what libcurl is used for. */
static void check_transport(struct gw_cf_check *c, const struct gw_provider *row)
{
	struct gw_str base = text_of(c, "base_url"), proxy = text_of(c, "proxy");
	struct gw_url url;

	if (base.n == 0 && row)
		base = gw_str_z(row->base_url);
	if (gw_str_eq(text_of(c, "http_version"), GW_LIT("2")) && base.n &&
	    !gw_str_has_prefix(base, GW_LIT("https://")))
		fault(c, GW_E_INVALID, "http_version",
		      "http_version 2 needs a base_url that begins with https://: it is agreed on by TLS.");
	if (proxy.n && gw_url_parse(proxy, &url) == GW_OK && url.path.n)
		fault(c, GW_E_INVALID, "proxy",
		      "proxy must be scheme, host and port alone, such as http://proxy.example:3128.");
	if (text_of(c, "proxy_credential").n && !proxy.n)
		fault(c, GW_E_MISSING, "proxy", "proxy is required with proxy_credential: the proxy that it is for.");
}

static void check_provider(struct gw_cf_check *c)
{
	const struct gw_provider *row = gw_provider_find(text_of(c, "type"));

	check_places(c, row);
	if (row)
		check_place_words(c, row);
	check_provider_auth(c);
	check_transport(c, row);

	if (row && row->base_url[0] == '\0' && text_of(c, "base_url").n == 0)
		gw_cf_fault(c, GW_E_MISSING, gw_cf_at(c, "base_url"),
			    gw_arena_printf(
				c->arena,
				"base_url is required for type %s: where the API is, such as http://127.0.0.1:8000/v1.",
				row->name));
}

static void check_settings(struct gw_cf_check *c)
{
	yyjson_val *list = gw_json_get(c->in, GW_LIT("cors_origins")), *v;
	size_t i, n;

	yyjson_arr_foreach(list, i, n, v)
	{
		const char *why = gw_cors_origin_fault(gw_json_str(v));

		if (why)
			gw_cf_fault(c, GW_E_INVALID, gw_cf_at_index(c, gw_cf_at(c, "cors_origins"), i),
				    gw_arena_printf(c->arena, "cors_origins/%zu %s.", i, why));
	}
	if (gw_str_eq(text_of(c, "admin_client_cert"), GW_LIT("required")) && !text_of(c, "admin_client_ca").n)
		fault(
		    c, GW_E_MISSING, "admin_client_ca",
		    "admin_client_ca is required with admin_client_cert: which authorities sign client certificates.");
}

static void check_key(struct gw_cf_check *c)
{
	yyjson_val *v = gw_json_get(c->in, GW_LIT("import_sha256"));
	uint8_t hash[32];

	if (v && yyjson_get_len(v) && !gw_hex_read(gw_json_str(v), hash, sizeof(hash)))
		fault(c, GW_E_INVALID, "import_sha256",
		      "import_sha256 must be 64 hex digits: the SHA-256 of the token.");
}

/* Times are RFC 3339 in one form (UTC, checked by their row): text order is their order. */
static void check_price(struct gw_cf_check *c)
{
	struct gw_str from = text_of(c, "effective_from"), until = text_of(c, "effective_until"),
		      type = text_of(c, "provider_type");
	struct gw_str model = text_of(c, "model");
	int64_t from_us = 0, until_us = 0;

	if (from.n && until.n && gw_time_read(from, &from_us) && gw_time_read(until, &until_us) && until_us <= from_us)
		fault(c, GW_E_INVALID, "effective_until", "effective_until must be later than effective_from.");
	if (type.n && !gw_provider_find(type))
		fault(c, GW_E_INVALID, "provider_type",
		      "provider_type is no type of provider. See `llmgwctl explain provider.type`.");
	if (model.n && gw_str_find(model, '*') + 1 < model.n)
		fault(c, GW_E_INVALID, "model", "model may have a * at its end only.");
	if (yyjson_get_uint(gw_json_get(c->in, GW_LIT("long_above"))) % 1000)
		fault(c, GW_E_INVALID, "long_above", "long_above must be whole thousands of tokens, such as 200000.");
}

/* A header's value: what HTTP cannot carry would be a key that never works. */
static void check_credential(struct gw_cf_check *c)
{
	for (unsigned i = 0; i < c->n_secrets; i++) {
		struct gw_str s = c->secrets[i].value;

		if (s.n && s.p[0] == '{')
			continue; /* a key file: read by its kind */
		for (size_t at = 0; at < s.n; at++) {
			if (s.p[at] > ' ' && s.p[at] < 0x7f)
				continue;
			gw_cf_fault(c, GW_E_INVALID, gw_cf_at(c, c->secrets[i].field->name),
				    gw_arena_printf(c->arena,
						    "%s has a character that an HTTP header cannot carry (a space, a "
						    "line break?). Paste the key alone.",
						    c->secrets[i].field->name));
			break;
		}
	}
}

/* Fields by kind: those that it needs, and none that say something to another kind. */
static void check_credential_kind(struct gw_cf_check *c)
{
	enum { AWS = 1, AZURE = 2, TOKEN = 4, ANY_TOKEN = AWS | AZURE | TOKEN };
	static const struct {
		const char *field;
		unsigned kinds;
	} rows[] = { { "region", AWS },         { "role_arn", AWS },    { "external_id", AWS },
		     { "tenant_id", AZURE },    { "client_id", AZURE }, { "scope", TOKEN | AZURE },
		     { "token_url", ANY_TOKEN } };
	struct gw_str kind = text_of(c, "type"), source = text_of(c, "source");
	unsigned is = gw_str_eq(kind, GW_LIT("aws"))     ? AWS
		      : gw_str_eq(kind, GW_LIT("azure")) ? AZURE
		      : gw_str_eq(kind, GW_LIT("gcp"))   ? TOKEN
							 : 0;
	bool is_ambient = source.n && !gw_str_eq(source, GW_LIT("secret"));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (text_of(c, rows[i].field).n && !(rows[i].kinds & is))
			gw_cf_fault(
			    c, GW_E_INVALID, gw_cf_at(c, rows[i].field),
			    gw_arena_printf(c->arena,
					    "%s says nothing to a credential of type %.*s. Leave it out, or set type.",
					    rows[i].field, GW_FMT(kind.n ? kind : GW_LIT("api_key"))));
	}
	if (is_ambient && (!is || (is == TOKEN && gw_str_eq(source, GW_LIT("container")))))
		fault(
		    c, GW_E_INVALID, "source",
		    "source: api_key takes secret only; gcp takes secret, instance or web_identity; aws and azure take "
		    "all.");
	if (is_ambient && (text_of(c, "org").n || text_of(c, "team").n))
		fault(c, GW_E_INVALID, "source",
		      "source: the machine's own identity is for the platform's credentials only. Leave org and team "
		      "out.");
	if (is == AWS && !text_of(c, "region").n)
		fault(c, GW_E_MISSING, "region",
		      "region is required for type aws: where requests are signed for, such as us-east-1.");
	if (is == AWS && text_of(c, "region").n && !gw_provider_is_region(text_of(c, "region")))
		fault(c, GW_E_INVALID, "region", "region must be the name of an AWS region, such as us-east-1.");
	if (is == AWS && text_of(c, "role_arn").n && !gw_str_has_prefix(text_of(c, "role_arn"), GW_LIT("arn:")))
		fault(c, GW_E_INVALID, "role_arn",
		      "role_arn must be an ARN, such as arn:aws:iam::123456789012:role/llmgw.");
	if (is == AWS && gw_str_eq(source, GW_LIT("web_identity")) && !text_of(c, "role_arn").n)
		fault(c, GW_E_MISSING, "role_arn",
		      "role_arn is required with source web_identity: the role that the token is for.");
	if (is == AZURE && !is_ambient && !text_of(c, "tenant_id").n)
		fault(c, GW_E_MISSING, "tenant_id",
		      "tenant_id is required for type azure: the directory of the application.");
	if (is == AZURE && !is_ambient && !text_of(c, "client_id").n)
		fault(c, GW_E_MISSING, "client_id",
		      "client_id is required for type azure: the application that the secret is of.");
	if (is == AZURE && !gw_provider_is_place(text_of(c, "tenant_id")))
		fault(c, GW_E_INVALID, "tenant_id", "tenant_id may have letters, digits, '-', '.' and '_' only.");
}

void gw_cf_check_rules(struct gw_cf_check *c)
{
	check_identity(c);
	check_owner(c);
	if (c->kind == GW_KIND_settings)
		check_settings(c);
	else if (c->kind == GW_KIND_model)
		check_model(c);
	else if (c->kind == GW_KIND_provider)
		check_provider(c);
	else if (c->kind == GW_KIND_key)
		check_key(c);
	else if (c->kind == GW_KIND_credential) {
		check_credential(c);
		check_credential_kind(c);
	} else if (c->kind == GW_KIND_price) {
		check_price(c);
	}
}
