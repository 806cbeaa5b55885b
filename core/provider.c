/* The table of providers (schemas/providers.def) and the headers that carry their keys. */
#include "core/provider.h"

#include "core/config_impl.h"
#include "lib/url.h"

/* Rows name dialects as people write them. */
enum {
	id_openai = GW_D_OPENAI,
	id_responses = GW_D_RESPONSES,
	id_anthropic = GW_D_ANTHROPIC,
	id_gemini = GW_D_GEMINI,
	id_bedrock = GW_D_BEDROCK,
	id_cohere = GW_D_COHERE,
};

const char *gw_dialect_name(enum gw_dialect_id id)
{
	static const char *const names[] = {
		[GW_D_OPENAI] = "openai", [GW_D_RESPONSES] = "responses", [GW_D_ANTHROPIC] = "anthropic",
		[GW_D_GEMINI] = "gemini", [GW_D_BEDROCK] = "bedrock",     [GW_D_COHERE] = "cohere"
	};

	return (unsigned)id < GW_D_COUNT ? names[id] : names[GW_D_OPENAI];
}

const struct gw_provider gw_providers[] = {
#define GW_PROVIDER(name_, dialect_, base_url_, auth_, creds_, scope_, quirks_, env_, base_env_, models_, doc_)        \
	{ .name = #name_,                                                                                              \
	  .dialect = #dialect_,                                                                                        \
	  .dialect_id = (enum gw_dialect_id)id_##dialect_,                                                             \
	  .base_url = base_url_,                                                                                       \
	  .auth = GW_AUTH_##auth_,                                                                                     \
	  .creds = creds_,                                                                                             \
	  .scope = scope_,                                                                                             \
	  .quirks = quirks_,                                                                                           \
	  .env = env_,                                                                                                 \
	  .base_env = base_env_,                                                                                       \
	  .models = models_,                                                                                           \
	  .doc = doc_ },
#include "schemas/providers.def"
#undef GW_PROVIDER
};
const unsigned gw_n_providers = sizeof(gw_providers) / sizeof(gw_providers[0]);

const struct gw_provider *gw_provider_find(struct gw_str name)
{
	for (unsigned i = 0; i < gw_n_providers; i++) {
		if (gw_str_eq(name, gw_str_z(gw_providers[i].name)))
			return &gw_providers[i];
	}
	return NULL;
}

/* Words and rows have orders of their own; there are few of them. */
const struct gw_provider *gw_provider_by_type(uint32_t i)
{
	return gw_provider_find(gw_cf_word(gw_cf_field_find(GW_KIND_provider, GW_LIT("type")), i));
}

struct gw_str gw_auth_header_name(enum gw_auth_kind k)
{
	switch (k) {
	case GW_AUTH_BEARER:
		return GW_LIT("Authorization");
	case GW_AUTH_X_API_KEY:
		return GW_LIT("x-api-key");
	case GW_AUTH_API_KEY:
		return GW_LIT("api-key");
	case GW_AUTH_X_GOOG_API_KEY:
		return GW_LIT("x-goog-api-key");
	case GW_AUTH_SIGV4:
		return GW_LIT("Authorization");
	case GW_AUTH_NONE:
	case GW_AUTH_QUERY_KEY:
	case GW_AUTH_HEADER:
	case GW_AUTH_QUERY:
		break;
	}
	return GW_NIL;
}

struct gw_str gw_auth_header_prefix(enum gw_auth_kind k)
{
	return k == GW_AUTH_BEARER ? GW_LIT("Bearer ") : GW_LIT("");
}

enum gw_auth_kind gw_auth_kind_of(const struct gw_provider *row, enum gw_provider_auth auth, enum gw_cred_kind kind)
{
	if (kind == GW_CRED_KIND_AWS)
		return GW_AUTH_SIGV4;
	if (kind == GW_CRED_KIND_GCP || kind == GW_CRED_KIND_AZURE)
		return GW_AUTH_BEARER; /* a token, wherever it came from */
	switch (auth) {
	case GW_PROVIDER_AUTH_BEARER:
		return GW_AUTH_BEARER;
	case GW_PROVIDER_AUTH_HEADER:
		return GW_AUTH_HEADER;
	case GW_PROVIDER_AUTH_QUERY:
		return GW_AUTH_QUERY;
	case GW_PROVIDER_AUTH_NONE:
		return GW_AUTH_NONE;
	case GW_PROVIDER_AUTH_DEFAULT:
		break;
	}
	return row->auth;
}

bool gw_cred_is_fetched(enum gw_cred_kind kind, enum gw_cred_source source, struct gw_str role_arn)
{
	switch (kind) {
	case GW_CRED_KIND_KEY:
		return false;
	case GW_CRED_KIND_AWS:
		return source != GW_CRED_FROM_SECRET || role_arn.n > 0;
	case GW_CRED_KIND_GCP:
	case GW_CRED_KIND_AZURE:
		return true;
	}
	return false;
}

bool gw_provider_is_place(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '.' || c == '_'))
			return false;
	}
	return true;
}

size_t gw_provider_location_host(struct gw_str location, char out[GW_LOCATION_HOST])
{
	const struct gw_str tail = GW_LIT("aiplatform.googleapis.com");
	bool is_multi = gw_str_eq(location, GW_LIT("us")) || gw_str_eq(location, GW_LIT("eu"));
	struct gw_str parts[3] = { location, GW_LIT("-"), tail };
	size_t n = 0;

	if (gw_str_eq(location, GW_LIT("global"))) {
		parts[0] = parts[1] = GW_LIT("");
	} else if (is_multi) {
		parts[0] = GW_LIT("aiplatform.");
		parts[1] = location;
		parts[2] = GW_LIT(".rep.googleapis.com");
	}
	for (size_t i = 0; i < 3; i++) {
		if (parts[i].n > GW_LOCATION_HOST - n)
			return 0;
		if (parts[i].n)
			memcpy(out + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	return n;
}

bool gw_provider_is_region(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
			return false;
	}
	return s.n > 3 && s.p[0] >= 'a' && gw_str_find(s, '-') < s.n && s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9';
}

bool gw_auth_is_header_name(struct gw_str name)
{
	static const char *const taken[] = { "host",
					     "content-length",
					     "content-type",
					     "transfer-encoding",
					     "connection",
					     "keep-alive",
					     "accept-encoding",
					     "accept",
					     "expect",
					     "trailer",
					     "upgrade",
					     "te",
					     "cookie",
					     "user-agent",
					     "proxy-authorization" };

	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_'))
			return false;
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (gw_str_ieq(name, gw_str_z(taken[i])))
			return false;
	}
	return name.n > 0;
}

void gw_provider_path(const struct gw_provider *row, struct gw_str base, struct gw_str model, struct gw_str api_version,
		      struct gw_str tail, struct gw_str query, struct gw_buf *out)
{
	const struct gw_str usual = GW_LIT("/chat/completions");

	gw_buf_puts(out, base);
	if (row->quirks & GW_Q_DEPLOYMENT_PATH) {
		gw_buf_putc(out, '/');
		gw_url_encode(out, model);
	}
	if ((row->quirks & GW_Q_CHAT_PATH) && gw_str_eq(tail, usual))
		tail.n = sizeof("/chat") - 1;
	gw_buf_puts(out, tail);
	if (query.n) {
		gw_buf_putc(out, '?');
		gw_buf_puts(out, query);
	}
	if (api_version.n && row->dialect_id == GW_D_OPENAI) {
		gw_buf_puts(out, query.n ? GW_LIT("&api-version=") : GW_LIT("?api-version="));
		gw_url_encode(out, api_version);
	}
}
