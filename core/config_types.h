#pragma once
#include "core/config.h"

/* One C struct per kind of object, made from the rows of schemas/config.def: common fields first, at the same offsets in every kind.
 *
 * Each struct includes all rows and keeps those of its own kind and of `common`. The choice is made by the preprocessor:
 * GW_CF_IS_<want>_<kind> is defined (as "~, 1") only where want == kind, so that the second of (GW_CF_IS_..., 0) is 1 or 0.
 * A new kind needs a line here, a block below, one in core/config.c, and its rows. */
#define GW_CF_SECOND(a, b, ...) b
#define GW_CF_SECOND_OF(...)    GW_CF_SECOND(__VA_ARGS__)
#define GW_CF_PASTE_(a, b)      a##b
#define GW_CF_PASTE(a, b)       GW_CF_PASTE_(a, b)
#define GW_CF_KEEP_1(...)       __VA_ARGS__
#define GW_CF_KEEP_0(...)
#define GW_CF_IF_(want, kind)                                                                                          \
	GW_CF_PASTE(GW_CF_KEEP_, GW_CF_SECOND_OF(GW_CF_IS_##want##_##kind, GW_CF_SECOND_OF(GW_CF_ANY_##kind, 0, ~), ~))
/* GW_CF_IF(want, kind)(x): x when a row of `kind` belongs to objects of `want`, else nothing */
#define GW_CF_IF(want, kind)               GW_CF_IF_(want, kind)
#define GW_CF_ANY_common                   ~, 1
#define GW_CF_IS_settings_settings         ~, 1
#define GW_CF_IS_org_org                   ~, 1
#define GW_CF_IS_team_team                 ~, 1
#define GW_CF_IS_user_user                 ~, 1
#define GW_CF_IS_key_key                   ~, 1
#define GW_CF_IS_role_binding_role_binding ~, 1
#define GW_CF_IS_provider_provider         ~, 1
#define GW_CF_IS_credential_credential     ~, 1
#define GW_CF_IS_deployment_deployment     ~, 1
#define GW_CF_IS_model_model               ~, 1
#define GW_CF_IS_account_account           ~, 1
#define GW_CF_IS_token_token               ~, 1
#define GW_CF_IS_certificate_certificate   ~, 1
#define GW_CF_IS_price_price               ~, 1

#define GW_KIND(kind, plural, owner, served, doc)
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc) GW_CF_IF(GW_CF_WANT, kind)(GW_CT_##type name;)
#define GW_CF_WANT                                                common
struct gw_cf_common {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT settings
struct gw_cf_settings {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT org
struct gw_cf_org {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT team
struct gw_cf_team {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT user
struct gw_cf_user {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT key
struct gw_cf_key {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT role_binding
struct gw_cf_role_binding {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT provider
struct gw_cf_provider {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT credential
struct gw_cf_credential {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT deployment
struct gw_cf_deployment {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT model
struct gw_cf_model {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT account
struct gw_cf_account {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT token
struct gw_cf_token {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT certificate
struct gw_cf_certificate {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT price
struct gw_cf_price {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#undef GW_KIND
#undef GW_FIELD_DEF

/* gw_cf_read_model(row, arena, &model) and so on */
#define GW_KIND(kind, plural, owner, served, doc)                                                                      \
	static inline GW_MUST enum gw_err gw_cf_read_##kind(struct gw_str row, struct gw_arena *a,                     \
							    struct gw_cf_##kind *out)                                  \
	{                                                                                                              \
		return gw_cf_read(GW_KIND_##kind, row, a, out);                                                        \
	}
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)
#include "schemas/config.def"
#undef GW_KIND
#undef GW_FIELD_DEF
