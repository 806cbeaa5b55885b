/* What the server itself writes into keys and credentials: indexes, fingerprints, secret versions. */
#include <stdio.h>

#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/object.h"
#include "confd/sealed.h"
#include "core/key.h"
#include "core/provider.h"
#include "lib/text.h"

enum { KEY_PREFIX_BYTES = 14 /* "lgw_" and the public id */, LAST4_LEAST = 16 };

static struct gw_str hex(struct gw_ctx *c, const uint8_t *p, size_t n)
{
	struct gw_buf b;

	gw_buf_init(&b, 2 * n + 1);
	gw_hex_put(&b, p, n);
	struct gw_str s = gw_arena_str(&c->arena, gw_buf_view(&b));

	gw_buf_done(&b);
	return s;
}

static enum gw_err set_index(struct gw_ctx *c, const uint8_t index[32], struct gw_edit_sets *sets)
{
	struct gw_str text = hex(c, index, 32);

	if (text.p == NULL)
		return GW_E_NOMEM;
	gw_edit_set_str(sets, "index", text);
	return GW_OK;
}

/* A token of another gateway comes over by its SHA-256; we never see it. */
static enum gw_err import_key(struct gw_ctx *c, struct gw_edit *e, struct gw_str sha, struct gw_edit_sets *sets)
{
	uint8_t raw[32], index[32];

	if (!gw_hex_read(sha, raw, sizeof(raw)))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/import_sha256"),
				"import_sha256 must be 64 hex digits: the SHA-256 of the token.");
	gw_key_index_of_sha256(gw_keyring_pepper(c->core->keyring), raw, index);
	if (e->before_obj != NULL) {
		struct gw_str now = hex(c, index, 32);

		if (gw_str_eq(now, gw_obj_str(e->before_obj, "index")))
			return GW_OK;
		return gw_fault(
		    c, GW_E_CONFLICT, GW_LIT("/import_sha256"),
		    "The key \"%.*s\" exists with another token. Import it under a new id, or delete this one first.",
		    GW_FMT(e->id));
	}
	gw_edit_set_str(sets, "fingerprint", hex(c, index, 4));
	return set_index(c, index, sets);
}

enum gw_err gw_edit_key_fields(struct gw_ctx *c, struct gw_edit *e, struct gw_str import_sha256,
			       struct gw_edit_sets *sets)
{
	char token[GW_KEY_TOKEN_BYTES + 1], fingerprint[9];
	uint8_t random[40], index[32];

	if (import_sha256.n > 0)
		return import_key(c, e, import_sha256, sets);
	if (e->before_obj != NULL)
		return GW_OK;
	gw_random(random, sizeof(random));
	gw_key_token(random, token);
	gw_wipe(random, sizeof(random));
	struct gw_str t = gw_str(token, GW_KEY_TOKEN_BYTES);

	gw_key_index(gw_keyring_pepper(c->core->keyring), t, index);
	struct gw_secret *secret = gw_secret_new(token, GW_KEY_TOKEN_BYTES);

	if (secret == NULL)
		return GW_E_NOMEM;
	gw_secret_fingerprint(secret, fingerprint);
	gw_secret_unref(secret);
	e->token = gw_arena_str(&c->arena, t);
	gw_edit_set_str(sets, "prefix", gw_arena_str(&c->arena, gw_str(token, KEY_PREFIX_BYTES)));
	gw_edit_set_str(sets, "fingerprint", gw_arena_str(&c->arena, gw_str(fingerprint, 8)));
	gw_wipe(token, sizeof(token));
	return e->token.p != NULL ? set_index(c, index, sets) : GW_E_NOMEM;
}

/* --- credentials --- */

static struct gw_sealed_place place_of(const struct gw_edit *e, const yyjson_val *obj, uint64_t version)
{
	return (struct gw_sealed_place){ e->id, gw_obj_str(obj, "org"), gw_obj_str(obj, "team"), version };
}

/* Is it what is stored already? Then applying the same file again changes nothing. */
static bool is_stored(struct gw_ctx *c, const struct gw_edit *e, const char *version_field,
		      const struct gw_secret *secret)
{
	struct gw_secret *now = NULL;

	if (e->before_obj == NULL || gw_obj_u64(e->before_obj, version_field) == 0)
		return false;
	struct gw_sealed_place p = place_of(e, e->before_obj, gw_obj_u64(e->before_obj, version_field));

	if (gw_sealed_get(c->core, c->txn, &p, &now) != GW_OK)
		return false;
	bool is_same = gw_secret_len(now) == gw_secret_len(secret) &&
		       gw_ct_eq(gw_secret_expose(now).p, gw_secret_expose(secret).p, gw_secret_len(now));

	gw_secret_unref(now);
	return is_same;
}

/* The end of an API key says which it is; that of a key file says nothing. */
static bool shows_end(const yyjson_val *obj, struct gw_str s)
{
	return s.n >= LAST4_LEAST && gw_cf_u64(obj, GW_KIND_credential, "type") == GW_CRED_KIND_KEY;
}

static void set_shown(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *secret, bool is_next,
		      struct gw_edit_sets *sets)
{
	struct gw_str s = gw_secret_expose(secret);
	char fingerprint[9];

	gw_secret_fingerprint(secret, fingerprint);
	gw_edit_set_str(sets, is_next ? "next_fingerprint" : "fingerprint",
			gw_arena_str(&c->arena, gw_str(fingerprint, 8)));
	if (!is_next)
		gw_edit_set_str(sets, "last4",
				shows_end(obj, s) ? gw_arena_str(&c->arena, gw_str_skip(s, s.n - 4)) : GW_LIT(""));
}

/* Seals a secret as current or next version of the credential; the version before it in that place retires. */
static enum gw_err store_secret(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *obj,
				const struct gw_secret *secret, bool is_next, struct gw_edit_sets *sets)
{
	const char *field = is_next ? "next_version" : "secret_version";
	uint64_t old = e->before_obj != NULL ? gw_obj_u64(e->before_obj, field) : 0;
	struct gw_sealed_place p = place_of(e, obj, 0);
	enum gw_err err = gw_sealed_put(c->core, c->txn, &p, secret);

	if (err == GW_OK && old != 0)
		err = gw_sealed_retire(c->txn, e->id, old, c->now_us);
	if (err != GW_OK)
		return err;
	gw_edit_set_u64(sets, field, p.version);
	set_shown(c, obj, secret, is_next, sets);
	return GW_OK;
}

/* A secret as it was given: brought into its form, and stored unless it is there already. */
static enum gw_err take_secret(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *obj,
			       const struct gw_secret *given, bool is_next, struct gw_edit_sets *sets, bool *is_changed)
{
	struct gw_secret *secret;
	struct gw_str who;
	enum gw_err err = gw_edit_cred_secret(c, obj, given, is_next, &secret, &who);

	if (err == GW_OK && !is_stored(c, e, is_next ? "next_version" : "secret_version", secret)) {
		err = store_secret(c, e, obj, secret, is_next, sets);
		if (err == GW_OK && !is_next) {
			gw_edit_set_str(sets, "principal", who);
			gw_edit_cred_warn(c, obj, secret, sets);
		}
		*is_changed = true;
	}
	gw_secret_unref(secret);
	return err;
}

enum gw_err gw_edit_secret_fields(struct gw_ctx *c, struct gw_edit *e, const yyjson_val *obj,
				  const struct gw_edit_secrets *secrets, struct gw_edit_sets *sets, bool *is_changed)
{
	enum gw_err err = gw_edit_cred_check(c, e, obj, secrets);

	if (err == GW_OK && secrets->secret != NULL)
		err = take_secret(c, e, obj, secrets->secret, false, sets, is_changed);
	if (err == GW_OK && secrets->next != NULL)
		err = take_secret(c, e, obj, secrets->next, true, sets, is_changed);
	return err;
}

/* The next version becomes the current one; nothing is sealed anew. */
static enum gw_err promote(struct gw_ctx *c, const struct gw_edit *e, struct gw_edit_sets *sets)
{
	struct gw_sealed_place p = place_of(e, e->before_obj, gw_obj_u64(e->before_obj, "next_version"));
	struct gw_secret *secret = NULL;

	if (p.version == 0)
		return gw_fail(c, GW_E_CONFLICT,
			       "The credential \"%.*s\" has no staged secret. Rotate with mode stage first.",
			       GW_FMT(e->id));
	enum gw_err err = gw_sealed_get(c->core, c->txn, &p, &secret);

	if (err != GW_OK)
		return gw_fail(c, err, "The staged secret of \"%.*s\" cannot be opened. Stage it again.",
			       GW_FMT(e->id));
	set_shown(c, e->before_obj, secret, false, sets);
	gw_edit_cred_whose(c, e->before_obj, secret, sets);
	gw_edit_cred_warn(c, e->before_obj, secret, sets);
	gw_secret_unref(secret);
	gw_edit_set_u64(sets, "secret_version", p.version);
	gw_edit_set_u64(sets, "next_version", 0);
	gw_edit_set_str(sets, "next_fingerprint", GW_LIT(""));
	return gw_sealed_retire(c->txn, e->id, gw_obj_u64(e->before_obj, "secret_version"), c->now_us);
}

enum gw_err gw_edit_rotate(struct gw_ctx *c, struct gw_str id, enum gw_rotate_mode mode, const struct gw_secret *secret,
			   struct gw_edit *out)
{
	struct gw_edit e = { .kind = GW_KIND_credential, .act = "rotate", .doc = c->doc };
	struct gw_edit_sets sets = { .n = 0 };
	bool is_changed = false;
	enum gw_err err;

	/* rights, existence and If-Match are those of a deletion: who may delete it may rotate it */
	err = gw_edit_delete(c, GW_KIND_credential, id, &e);
	if (err != GW_OK)
		return err;
	e.act = "rotate";
	if (mode == GW_ROTATE_PROMOTE)
		err = promote(c, &e, &sets);
	else if (secret == NULL)
		err = gw_fault(c, GW_E_MISSING, GW_LIT("/secret"),
			       "secret is required: the new API key (printable, without spaces).");
	else
		err = take_secret(c, &e, e.before_obj, secret, mode == GW_ROTATE_STAGE, &sets, &is_changed);
	if (err == GW_OK)
		err = gw_edit_finish(c, &e, e.before_obj, &sets);
	if (err == GW_OK)
		*out = e;
	return err;
}
