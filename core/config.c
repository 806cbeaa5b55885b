/* The tables behind core/config.h, expanded from the rows of schemas/config.def, and look-ups in them. */
#include "core/config_types.h"

#include "core/config_impl.h"

/* Words of the rows' flags column. */
enum { REQ = GW_CF_REQ, IMG = GW_CF_IMG, RO = GW_CF_RO, WO = GW_CF_WO, PLAT = GW_CF_PLAT, VOL = GW_CF_VOL };

/* Position of each row: its number in images, from 1. */
enum {
	AT_zero_,
#define GW_KIND(kind, plural, owner, served, doc)
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc) AT_##kind##_##name,
#include "schemas/config.def"
#undef GW_FIELD_DEF
};

/* "REF(user)" of a row gives the type and the kind it refers to. */
#define GW_CF_REF(k)  GW_CF_REF, .ref = GW_KIND_##k
#define GW_CF_REFS(k) GW_CF_REFS, .ref = GW_KIND_##k
const struct gw_cf_field gw_cf_rows[] = {
	{ .name = "" }, /* number 0 is no field */
#define GW_FIELD_DEF(kind_, name_, type_, def_, min_, max_, flags_, doc_)                                              \
	{ .name = #name_,                                                                                              \
	  .type = GW_CF_##type_,                                                                                       \
	  .def = def_,                                                                                                 \
	  .min = min_,                                                                                                 \
	  .max = max_,                                                                                                 \
	  .flags = flags_,                                                                                             \
	  .doc = doc_,                                                                                                 \
	  .kind = GW_KIND_##kind_,                                                                                     \
	  .number = AT_##kind_##_##name_,                                                                              \
	  .offset = offsetof(struct gw_cf_##kind_, name_) },
#include "schemas/config.def"
#undef GW_FIELD_DEF
};
const unsigned gw_cf_n_rows = sizeof(gw_cf_rows) / sizeof(gw_cf_rows[0]);
#undef GW_CF_REF
#undef GW_CF_REFS

/* Fields of each kind, in row order. */
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)                                                      \
	GW_CF_IF(GW_CF_WANT, kind)(&gw_cf_rows[AT_##kind##_##name], )
#define GW_CF_WANT settings
static const struct gw_cf_field *const fields_settings[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT org
static const struct gw_cf_field *const fields_org[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT team
static const struct gw_cf_field *const fields_team[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT user
static const struct gw_cf_field *const fields_user[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT key
static const struct gw_cf_field *const fields_key[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT role_binding
static const struct gw_cf_field *const fields_role_binding[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT provider
static const struct gw_cf_field *const fields_provider[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT credential
static const struct gw_cf_field *const fields_credential[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT deployment
static const struct gw_cf_field *const fields_deployment[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT model
static const struct gw_cf_field *const fields_model[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT account
static const struct gw_cf_field *const fields_account[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT token
static const struct gw_cf_field *const fields_token[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT certificate
static const struct gw_cf_field *const fields_certificate[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#define GW_CF_WANT price
static const struct gw_cf_field *const fields_price[] = {
#include "schemas/config.def"
};
#undef GW_CF_WANT
#undef GW_FIELD_DEF
#undef GW_KIND

enum { PLATFORM = GW_CF_PLATFORM, ANY = GW_CF_ANY };
const struct gw_cf_kind_info gw_cf_kinds[GW_KIND_COUNT] = {
#define GW_KIND(kind, plural_, owner_, served, doc_)                                                                   \
	[GW_KIND_##kind] = { .name = #kind,                                                                            \
			     .plural = plural_,                                                                        \
			     .owner = (enum gw_cf_owner)owner_,                                                        \
			     .is_served = served,                                                                      \
			     .doc = doc_,                                                                              \
			     .fields = fields_##kind,                                                                  \
			     .n_fields = sizeof(fields_##kind) / sizeof(fields_##kind[0]) },
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)
#include "schemas/config.def"
#undef GW_KIND
#undef GW_FIELD_DEF
};

/* Bytes of each kind's struct, for clearing. */
const size_t gw_cf_sizes[GW_KIND_COUNT] = {
#define GW_KIND(kind, plural, owner, served, doc) [GW_KIND_##kind] = sizeof(struct gw_cf_##kind),
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)
#include "schemas/config.def"
#undef GW_KIND
#undef GW_FIELD_DEF
};

/* Common fields lie at the same place in every kind: gw_cf_read writes them by the offset in struct gw_cf_common. */
#define GW_KIND(kind, plural, owner, served, doc)                                                                      \
	_Static_assert(offsetof(struct gw_cf_##kind, labels) == offsetof(struct gw_cf_common, labels) &&               \
			   offsetof(struct gw_cf_##kind, updated_at) == offsetof(struct gw_cf_common, updated_at),     \
		       #kind);
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)
#include "schemas/config.def"
#undef GW_KIND
#undef GW_FIELD_DEF

bool gw_cf_kind_by_name(struct gw_str name, enum gw_cf_kind *out)
{
	for (unsigned i = 0; i < GW_KIND_COUNT; i++) {
		if (gw_str_eq(name, gw_str_z(gw_cf_kinds[i].name))) {
			*out = (enum gw_cf_kind)i;
			return true;
		}
	}
	return false;
}

bool gw_cf_kind_by_plural(struct gw_str name, enum gw_cf_kind *out)
{
	for (unsigned i = 0; i < GW_KIND_COUNT; i++) {
		if (gw_str_eq(name, gw_str_z(gw_cf_kinds[i].plural))) {
			*out = (enum gw_cf_kind)i;
			return true;
		}
	}
	return false;
}

const struct gw_cf_field *gw_cf_field_find(enum gw_cf_kind kind, struct gw_str name)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];

	for (unsigned i = 0; i < k->n_fields; i++) {
		if (gw_str_eq(name, gw_str_z(k->fields[i]->name)))
			return k->fields[i];
	}
	return NULL;
}
