/* Secrets of credentials by kind: what is given is judged and brought into the form that is sealed; what a kind needs beside the secret is
 * looked at by core/config_rules.c. */
#include "confd/edit.h"
#include "confd/object.h"
#include "core/cred.h"
#include "core/hint.h"

static enum gw_cred_kind kind_of(const yyjson_val *obj)
{
	return (enum gw_cred_kind)gw_cf_u64(obj, GW_KIND_credential, "type");
}

enum gw_err gw_edit_cred_secret(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *given, bool is_next,
				struct gw_secret **out, struct gw_str *who)
{
	char block[48 << 10]; /* of our own, because it is wiped */
	const char *why = NULL;
	struct gw_str seal;
	struct gw_arena a;

	*out = NULL;
	gw_arena_init(&a, block, sizeof(block), sizeof(block));
	enum gw_err e = gw_cred_secret_take(&a, kind_of(obj), gw_secret_expose(given), &seal, who, &why);

	if (e == GW_OK) {
		*who = gw_arena_str(&c->arena, *who);
		*out = gw_secret_new(seal.p, seal.n);
		e = *out != NULL && who->p != NULL ? GW_OK : GW_E_NOMEM;
	} else if (why != NULL) {
		e = gw_fault(c, e, is_next ? GW_LIT("/next_secret") : GW_LIT("/secret"), "%s%s", is_next ? "next_" : "",
			     why);
	}
	gw_arena_done(&a);
	gw_wipe(block, sizeof(block));
	return e;
}

void gw_edit_cred_whose(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *sealed,
			struct gw_edit_sets *sets)
{
	struct gw_secret *same;
	struct gw_str who;

	if (gw_edit_cred_secret(c, obj, sealed, false, &same, &who) == GW_OK)
		gw_edit_set_str(sets, "principal", who);
	gw_secret_unref(same);
}

/* The provider's row, when the provider is there already: in one stream both may be new. */
static const struct gw_provider *row_of(struct gw_ctx *c, const yyjson_val *obj, bool *has_own_address)
{
	struct gw_str json;
	yyjson_val *provider;

	if (gw_obj_get(c, GW_KIND_provider, gw_obj_str(obj, "provider"), &json, &provider) != GW_OK)
		return NULL;
	if (has_own_address != NULL)
		*has_own_address = gw_cf_str(provider, GW_KIND_provider, "base_url").n > 0;
	return gw_provider_find(gw_cf_str(provider, GW_KIND_provider, "type"));
}

void gw_edit_cred_warn(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *sealed,
		       struct gw_edit_sets *sets)
{
	bool has_own = false;
	const struct gw_provider *row = row_of(c, obj, &has_own);
	struct gw_str secret = gw_secret_expose(sealed), words = GW_NIL;

	if (kind_of(obj) == GW_CRED_KIND_KEY)
		words = gw_hint_key(row, has_own, secret);
	else if (kind_of(obj) == GW_CRED_KIND_AWS)
		words = gw_hint_aws(secret);
	gw_edit_set_str(sets, "warning", words.n > 0 ? words : GW_LIT(""));
}

enum gw_err gw_edit_cred_check(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *obj,
			       const struct gw_edit_secrets *secrets)
{
	static const char *const what[] = { "the API key itself", "access_key_id:secret_access_key",
					    "the JSON key file", "the client secret" };
	enum gw_cred_kind kind = kind_of(obj);
	bool is_ambient = gw_cf_u64(obj, GW_KIND_credential, "source") != GW_CRED_FROM_SECRET;
	bool has_before = e->before_obj != NULL && gw_obj_u64(e->before_obj, "secret_version") != 0;
	const struct gw_provider *row = row_of(c, obj, NULL);

	if (row != NULL && !(row->creds & 1u << kind))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/type"),
				"A provider of type %s takes no credential of type %.*s.", row->name,
				GW_FMT(gw_cf_str(obj, GW_KIND_credential, "type")));
	if (is_ambient && (secrets->secret != NULL || secrets->next != NULL))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/secret"),
				"secret is not stored with source %.*s: the identity comes from there. Leave it out.",
				GW_FMT(gw_cf_str(obj, GW_KIND_credential, "source")));
	if (is_ambient || secrets->secret != NULL)
		return GW_OK;
	if (!has_before)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/secret"), "secret is required for a new credential: %s.",
				what[kind]);
	if (kind_of(e->before_obj) != kind)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/secret"), "secret is required with a new type: %s.",
				what[kind]);
	return GW_OK;
}
