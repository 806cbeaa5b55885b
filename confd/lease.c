/* Plaintext for those who need it: credentials for workers and the agent, the pepper for workers, the signing key for the
 * logger. Nobody else is given anything. */
#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/object.h"
#include "confd/open.h"
#include "confd/sealed.h"
#include "core/provider.h"
#include "lib/sys/clock.h"
#include "net/tls.h"
#include "shm/heritage.h"

static enum gw_err own_key(struct gw_core *core, enum gw_own_key which, struct gw_leased *out)
{
	struct gw_str bytes = gw_secret_expose(gw_keyring_own(core->keyring, which));

	out->secret = gw_secret_new(bytes.p, bytes.n);
	out->version = 1;
	return out->secret != NULL ? GW_OK : GW_E_NOMEM;
}

/* Whether credentials may come from the machine at all. */
static bool may_be_ambient(struct gw_ctx *c)
{
	struct gw_str json;
	yyjson_val *settings;

	return gw_obj_get(c, GW_KIND_settings, GW_LIT("default"), &json, &settings) == GW_OK &&
	       gw_cf_bool(settings, GW_KIND_settings, "ambient_credentials");
}

/* With what a token is fetched: both objects, for the agent. */
static enum gw_err open_fetched(struct gw_ctx *c, const yyjson_val *obj, struct gw_str json, struct gw_leased *out)
{
	bool is_ambient = gw_cf_u64(obj, GW_KIND_credential, "source") != GW_CRED_FROM_SECRET;
	struct gw_str provider;
	struct gw_json_out w;

	if (is_ambient && !may_be_ambient(c)) {
		gw_buf_puts(&out->text, GW_LIT("Credentials of the machine are switched off. A platform admin may set "
					       "ambient_credentials of the "
					       "settings."));
		return GW_E_CRED_MISSING;
	}
	enum gw_err e = gw_obj_text(c, GW_KIND_provider, gw_obj_str(obj, "provider"), &provider);

	if (e != GW_OK)
		return e == GW_E_NOT_FOUND ? GW_E_CRED_MISSING : e;
	gw_jw_init(&w, &out->text);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("credential"));
	gw_jw_raw(&w, json);
	gw_jw_key(&w, GW_LIT("provider"));
	gw_jw_raw(&w, provider);
	gw_jw_end_obj(&w);
	out->is_fetched = true;
	return out->text.err;
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

	if (gw_cred_is_fetched((enum gw_cred_kind)gw_cf_u64(obj, GW_KIND_credential, "type"),
			       (enum gw_cred_source)gw_cf_u64(obj, GW_KIND_credential, "source"),
			       gw_obj_str(obj, "role_arn"))) {
		e = open_fetched(c, obj, json, out);
		if (e != GW_OK)
			return e;
		out->version = p.version;
		if (gw_cf_u64(obj, GW_KIND_credential, "source") != GW_CRED_FROM_SECRET)
			return GW_OK;
		next = 0; /* one token at a time: a staged secret is tried when it is promoted */
	}
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

/* Runs one of the open_* functions in a transaction of its own. */
typedef enum gw_err open_fn(struct gw_ctx *c, struct gw_str id, uint64_t version, struct gw_leased *out);
static enum gw_err reading(struct gw_core *core, open_fn *open, struct gw_str id, uint64_t version,
			   struct gw_leased *out)
{
	struct gw_ctx c;
	struct gw_txn t;
	enum gw_err e = gw_txn_read(core->store, &t);

	if (e != GW_OK)
		return e;
	gw_ctx_init(&c, core);
	c.txn = &t;
	e = open(&c, id, version, out);
	gw_ctx_done(&c);
	gw_txn_abort(&t);
	return e;
}

/* --- the gateway's own TLS listeners --- */

static enum gw_err open_certificate(struct gw_ctx *c, struct gw_str id, uint64_t version, struct gw_leased *out)
{
	struct gw_str json;
	yyjson_val *obj;
	enum gw_err e = gw_obj_get(c, GW_KIND_certificate, id, &json, &obj);

	if (e == GW_E_NOT_FOUND || (e == GW_OK && gw_cf_bool(obj, GW_KIND_certificate, "disabled")))
		return GW_E_CRED_MISSING;
	if (e != GW_OK)
		return e;
	struct gw_sealed_place p = { gw_certificate_sealed_id(c, id), GW_NIL, GW_NIL,
				     version != 0 ? version : gw_obj_u64(obj, "secret_version") };

	out->version = p.version;
	return p.id.p != NULL ? gw_sealed_get(c->core, c->txn, &p, &out->secret) : GW_E_NOMEM;
}

/* The one that says it is the default, else the first that the admin listener may show. */
static enum gw_err admin_certificate(struct gw_ctx *c, yyjson_val **out)
{
	char prefix = (char)GW_KIND_certificate;
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, c->txn, GW_T_OBJECT, gw_str(&prefix, 1), false);

	*out = NULL;
	if (e != GW_OK)
		return e;
	while (e == GW_OK && gw_scan_next(&s) && s.key.n > 1 && s.key.p[0] == prefix) {
		yyjson_val *obj;

		e = gw_ctx_tree(c, s.value, &obj);
		if (e != GW_OK || gw_cf_bool(obj, GW_KIND_certificate, "disabled") ||
		    gw_str_eq(gw_cf_str(obj, GW_KIND_certificate, "listener"), GW_LIT("data")))
			continue;
		if (*out == NULL || (gw_cf_bool(obj, GW_KIND_certificate, "is_default") &&
				     !gw_cf_bool(*out, GW_KIND_certificate, "is_default")))
			*out = obj;
	}
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	return e != GW_OK ? e : *out != NULL ? GW_OK : GW_E_NOT_FOUND;
}

static enum gw_err open_admin(struct gw_ctx *c, struct gw_str none, uint64_t known, struct gw_leased *out)
{
	yyjson_val *cert, *settings = NULL;
	struct gw_str json;
	struct gw_json_out w;
	uint64_t generation;
	enum gw_err e = gw_meta_u64(c->txn, "generation", &generation);

	(void)none;
	if (e == GW_OK && known != 0 && known == generation)
		return GW_E_AGAIN; /* nothing new */
	if (e == GW_OK)
		e = admin_certificate(c, &cert);
	if (e != GW_OK)
		return e;
	e = gw_obj_get(c, GW_KIND_settings, GW_LIT("default"), &json, &settings);
	if (e != GW_OK && e != GW_E_NOT_FOUND)
		return e;
	e = open_certificate(c, gw_obj_str(cert, "id"), 0, out);
	if (e != GW_OK)
		return e;
	out->version = generation;
	gw_jw_init(&w, &out->text);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "chain", gw_obj_str(cert, "chain"));
	gw_jw_kstr(&w, "client_ca", gw_obj_str(settings, "admin_client_ca"));
	gw_jw_kstr(&w, "client_cert", gw_cf_str(settings, GW_KIND_settings, "admin_client_cert"));
	gw_jw_end_obj(&w);
	return out->text.err;
}

/* Random, renewed each half day; the one before still opens tickets. They live in memory only, so that nothing on disk can
 * open what was recorded on the wire. */
static enum gw_err ticket_keys(struct gw_core *core, struct gw_leased *out)
{
	static const uint64_t life_ms = (uint64_t)GW_TLS_TICKET_LIFE_S * 1000;
	struct gw_ticket_keys *k = &core->tickets;
	uint64_t now = gw_now_ms();

	if (k->now == NULL || now - k->made_ms >= life_ms) {
		uint8_t *bytes;
		struct gw_secret *fresh = gw_secret_room(GW_TLS_TICKET_KEY_BYTES, &bytes);

		if (fresh == NULL)
			return GW_E_NOMEM;
		gw_random(bytes, GW_TLS_TICKET_KEY_BYTES);
		gw_secret_unref(k->before);
		k->before = k->now;
		k->now = fresh;
		k->made_ms = now;
		k->version++;
	}
	out->secret = gw_secret_ref(k->now);
	out->version = k->version;
	out->next = k->before != NULL ? gw_secret_ref(k->before) : NULL;
	out->next_version = k->before != NULL ? k->version - 1 : 0;
	out->life_ms = k->made_ms + life_ms - now;
	return GW_OK;
}

enum gw_err gw_lease(struct gw_core *core, struct gw_str name, uint64_t version, int role, struct gw_leased *out)
{
	enum gw_err e = GW_E_FORBIDDEN;

	*out = (struct gw_leased){ 0 };
	gw_buf_init(&out->text, GW_CF_MAX_OBJECT_BYTES * 2);
	if (gw_str_eq(name, GW_LIT("pepper"))) {
		if (role == GW_ROLE_WORKER)
			e = own_key(core, GW_OWN_PEPPER, out);
	} else if (gw_str_eq(name, GW_LIT("audit-signing"))) {
		if (role == GW_ROLE_LOGGER)
			e = own_key(core, GW_OWN_AUDIT, out);
	} else if (gw_str_eq(name, GW_LIT("tls-tickets"))) {
		if (role == GW_ROLE_WORKER)
			e = ticket_keys(core, out);
	} else if (gw_str_eq(name, GW_LIT("admin-tls"))) {
		if (role == GW_ROLE_ADMIN)
			e = reading(core, open_admin, GW_NIL, version, out);
	} else if (gw_str_has_prefix(name, GW_LIT("certificate/")) && name.n > 12) {
		if (role == GW_ROLE_WORKER)
			e = reading(core, open_certificate, gw_str_skip(name, 12), version, out);
	} else if (role == GW_ROLE_WORKER || role == GW_ROLE_AGENT) {
		e = reading(core, open_credential, name, version, out);
	}
	if (e != GW_OK) { /* text stays: it may say why */
		gw_secret_unref(out->secret);
		gw_secret_unref(out->next);
		out->secret = out->next = NULL;
	}
	*(e == GW_OK ? &core->leases_answered : &core->leases_refused) += 1;
	return e;
}

void gw_leased_done(struct gw_leased *l)
{
	gw_secret_unref(l->secret);
	gw_secret_unref(l->next);
	gw_buf_done(&l->text);
	*l = (struct gw_leased){ 0 };
}
