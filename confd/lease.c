/* Plaintext for those who need it: credentials for workers and the agent, the pepper for workers, the signing key for the
 * logger. Nobody else is given anything. */
#include "confd/keyring.h"
#include "confd/object.h"
#include "confd/open.h"
#include "confd/sealed.h"
#include "shm/heritage.h"

static enum gw_err own_key(struct gw_core *core, enum gw_own_key which, struct gw_leased *out)
{
	struct gw_str bytes = gw_secret_expose(gw_keyring_own(core->keyring, which));

	out->secret = gw_secret_new(bytes.p, bytes.n);
	out->version = 1;
	return out->secret != NULL ? GW_OK : GW_E_NOMEM;
}

static enum gw_err open_credential(struct gw_ctx *c, struct gw_str id, uint64_t version, struct gw_leased *out)
{
	struct gw_str json;
	yyjson_val *obj;
	enum gw_err e = gw_obj_get(c, GW_KIND_credential, id, &json, &obj);

	if (e == GW_E_NOT_FOUND || (e == GW_OK && gw_cf_bool(obj, GW_KIND_credential, "disabled")))
		return GW_E_CRED_MISSING;
	if (e != GW_OK)
		return e;
	struct gw_sealed_place p = { id, gw_obj_str(obj, "org"), gw_obj_str(obj, "team"),
				     gw_obj_u64(obj, "secret_version") };
	uint64_t next = gw_obj_u64(obj, "next_version");

	if (version != 0)
		p.version = version;
	out->version = p.version;
	e = gw_sealed_get(c->core, c->txn, &p, &out->secret);
	if (e != GW_OK || version != 0 || next == 0)
		return e == GW_E_NOT_FOUND ? GW_E_CRED_MISSING : e;
	p.version = next;
	out->next_version = next;
	return gw_sealed_get(c->core, c->txn, &p, &out->next);
}

static enum gw_err credential(struct gw_core *core, struct gw_str id, uint64_t version, struct gw_leased *out)
{
	struct gw_ctx c;
	struct gw_txn t;
	enum gw_err e = gw_txn_read(core->store, &t);

	if (e != GW_OK)
		return e;
	gw_ctx_init(&c, core);
	c.txn = &t;
	e = open_credential(&c, id, version, out);
	gw_ctx_done(&c);
	gw_txn_abort(&t);
	return e;
}

enum gw_err gw_lease(struct gw_core *core, struct gw_str name, uint64_t version, int role, struct gw_leased *out)
{
	enum gw_err e = GW_E_FORBIDDEN;

	*out = (struct gw_leased){ 0 };
	if (gw_str_eq(name, GW_LIT("pepper"))) {
		if (role == GW_ROLE_WORKER)
			e = own_key(core, GW_OWN_PEPPER, out);
	} else if (gw_str_eq(name, GW_LIT("audit-signing"))) {
		if (role == GW_ROLE_LOGGER)
			e = own_key(core, GW_OWN_AUDIT, out);
	} else if (role == GW_ROLE_WORKER || role == GW_ROLE_AGENT) {
		e = credential(core, name, version, out);
	}
	if (e != GW_OK)
		gw_leased_done(out);
	*(e == GW_OK ? &core->leases_answered : &core->leases_refused) += 1;
	return e;
}

void gw_leased_done(struct gw_leased *l)
{
	gw_secret_unref(l->secret);
	gw_secret_unref(l->next);
	*l = (struct gw_leased){ 0 };
}
