/* What the server does with a certificate of its own: the key is judged against the chain and sealed like a credential's
 * secret, and what people want to know (names, expiry) is read out of the chain. */
#include "confd/edit.h"
#include "confd/object.h"
#include "confd/sealed.h"
#include "lib/crypto.h"
#include "lib/text.h"
#include "net/tls.h"

/* Keys of certificates stand beside those of credentials; no id of an object begins with '='. */
struct gw_str gw_certificate_sealed_id(struct gw_ctx *c, struct gw_str id)
{
	return gw_arena_printf(&c->arena, "=%.*s", GW_FMT(id));
}

static enum gw_err stored_key(struct gw_ctx *c, const struct gw_edit *e, struct gw_secret **out)
{
	struct gw_sealed_place p = { gw_certificate_sealed_id(c, e->id), GW_NIL, GW_NIL, 0 };

	*out = NULL;
	if (e->before_obj == NULL)
		return GW_OK;
	p.version = gw_obj_u64(e->before_obj, "secret_version");
	return gw_sealed_get(c->core, c->txn, &p, out);
}

static bool is_same_key(const struct gw_secret *a, const struct gw_secret *b)
{
	return a != NULL && b != NULL && gw_secret_len(a) == gw_secret_len(b) &&
	       gw_ct_eq(gw_secret_expose(a).p, gw_secret_expose(b).p, gw_secret_len(a));
}

static enum gw_err seal_key(struct gw_ctx *c, const struct gw_edit *e, const struct gw_secret *key,
			    struct gw_edit_sets *sets)
{
	struct gw_sealed_place p = { gw_certificate_sealed_id(c, e->id), GW_NIL, GW_NIL, 0 };
	uint64_t old = e->before_obj != NULL ? gw_obj_u64(e->before_obj, "secret_version") : 0;
	enum gw_err err = p.id.p != NULL ? gw_sealed_put(c->core, c->txn, &p, key) : GW_E_NOMEM;

	if (err == GW_OK && old != 0)
		err = gw_sealed_retire(c->txn, p.id, old, c->now_us);
	if (err == GW_OK)
		gw_edit_set_u64(sets, "secret_version", p.version);
	return err;
}

static enum gw_err judge(struct gw_ctx *c, struct gw_str chain, const struct gw_secret *key, bool has_new_key,
			 struct gw_edit_sets *sets)
{
	struct gw_tls_cert_info info;
	const char *why;
	struct gw_buf b;
	enum gw_err err = gw_tls_cert_check(chain, key, c->now_us, &info, &why);

	if (err != GW_OK)
		return gw_fault(c, GW_E_INVALID,
				has_new_key && strstr(why, "private key") != NULL ? GW_LIT("/private_key")
										  : GW_LIT("/chain"),
				"%s", why);
	gw_buf_init(&b, 64);
	gw_time_put(&b, info.not_after_us);
	gw_edit_set_str(sets, "names", gw_arena_str(&c->arena, gw_str_z(info.names)));
	gw_edit_set_str(sets, "not_after", gw_arena_str(&c->arena, gw_buf_view(&b)));
	gw_buf_done(&b);
	return GW_OK;
}

enum gw_err gw_edit_certificate_fields(struct gw_ctx *c, struct gw_edit *e, const yyjson_val *obj,
				       const struct gw_edit_secrets *secrets, struct gw_edit_sets *sets,
				       bool *is_changed)
{
	struct gw_str chain = gw_obj_str(obj, "chain");
	bool is_new_chain = e->before_obj == NULL || !gw_str_eq(chain, gw_obj_str(e->before_obj, "chain"));
	struct gw_secret *stored = NULL;
	enum gw_err err = GW_OK;

	if (secrets->secret == NULL && e->before_obj == NULL)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/private_key"),
				"private_key is required for a new certificate: the key in PEM that it was made for.");
	if (secrets->secret == NULL && !is_new_chain)
		return GW_OK; /* one that has expired can still be disabled */
	err = stored_key(c, e, &stored);
	if (err != GW_OK && secrets->secret == NULL)
		return gw_fault(c, GW_E_CONFLICT, GW_LIT("/private_key"),
				"The stored private key cannot be opened. Give it again.");
	*is_changed = secrets->secret != NULL && !is_same_key(stored, secrets->secret);
	err = judge(c, chain, secrets->secret != NULL ? secrets->secret : stored, secrets->secret != NULL, sets);
	if (err == GW_OK && *is_changed)
		err = seal_key(c, e, secrets->secret, sets);
	gw_secret_unref(stored);
	return err;
}
