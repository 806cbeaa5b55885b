/* The table of providers (schemas/providers.def) and the headers that carry their keys. */
#include "core/provider.h"

#include "core/config_impl.h"

const struct gw_provider gw_providers[] = {
#define GW_PROVIDER(name_, dialect_, base_url_, auth_, quirks_, env_, base_env_, models_, doc_)                        \
	{ .name = #name_,                                                                                              \
	  .dialect = #dialect_,                                                                                        \
	  .base_url = base_url_,                                                                                       \
	  .auth = GW_AUTH_##auth_,                                                                                     \
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
	case GW_AUTH_NONE:
		break;
	}
	return GW_NIL;
}

struct gw_str gw_auth_header_prefix(enum gw_auth_kind k)
{
	return k == GW_AUTH_BEARER ? GW_LIT("Bearer ") : GW_LIT("");
}
