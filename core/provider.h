#pragma once
#include "lib/str.h"

/* Rows of schemas/providers.def. */
enum gw_auth_kind { GW_AUTH_NONE, GW_AUTH_BEARER, GW_AUTH_X_API_KEY, GW_AUTH_API_KEY };
enum gw_provider_quirk { GW_Q_NONE = 0 };
struct gw_provider {
	const char *name, *dialect, *base_url;
	enum gw_auth_kind auth;
	unsigned quirks;
	const char *env, *base_env, *models, *doc;
};
extern const struct gw_provider gw_providers[];
extern const unsigned gw_n_providers;
const struct gw_provider *gw_provider_find(struct gw_str name); /* NULL when there is none */
/* Auth header of a kind: name and the text before the secret ("Authorization", "Bearer "). */
struct gw_str gw_auth_header_name(enum gw_auth_kind k);
struct gw_str gw_auth_header_prefix(enum gw_auth_kind k);
/* The row that word number i of the config field provider.type names; NULL when there is none. */
const struct gw_provider *gw_provider_by_type(uint32_t i);
