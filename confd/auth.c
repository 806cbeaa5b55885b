/* auth: which caller a token belongs to. Three kinds of secret are found by one index: keys of purpose admin (their roles are
 * role_bindings), tokens and the sessions of accounts (their role is in the object). Everything is looked up at each question,
 * so that what was disabled, deleted or has expired is refused at once. */
#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/login.h"
#include "confd/object.h"
#include "core/key.h"
#include "lib/text.h"

/* What was found: the object that stands for the caller. */
struct caller {
	enum gw_cf_kind kind;
	yyjson_val *obj;
	int64_t ends_us; /* of a session; 0 = none */
};

static enum gw_err refuse_object(struct gw_ctx *c, const struct caller *who)
{
	int64_t expires;

	if (gw_cf_bool(who->obj, who->kind, "disabled"))
		return gw_fail(c, GW_E_KEY_DISABLED, "The %s is disabled.", gw_cf_kinds[who->kind].name);
	if (gw_time_read(gw_obj_str(who->obj, "expires_at"), &expires) && expires <= c->now_us)
		return gw_fail(c, GW_E_KEY_EXPIRED, "The %s has expired.", gw_cf_kinds[who->kind].name);
	if (who->kind == GW_KIND_key && !gw_str_eq(gw_cf_str(who->obj, GW_KIND_key, "purpose"), GW_LIT("admin")))
		return gw_fail(c, GW_E_FORBIDDEN,
			       "The key is for the data plane. The admin API needs a token or a key of purpose admin.");
	return GW_OK;
}

/* The caller's user, team and org may be disabled as well. */
static enum gw_err refuse_owner(struct gw_ctx *c, const struct caller *who)
{
	static const struct {
		enum gw_cf_kind kind;
		const char *field;
	} owners[] = {
		{ GW_KIND_user, "user" },
		{ GW_KIND_team, "team" },
		{ GW_KIND_org, "org" },
	};

	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		struct gw_str id = gw_obj_str(who->obj, owners[i].field), json;
		yyjson_val *obj;

		if (id.n == 0)
			continue;
		enum gw_err e = gw_obj_get(c, owners[i].kind, id, &json, &obj);

		if (e != GW_OK)
			return e;
		if (gw_cf_bool(obj, owners[i].kind, "disabled"))
			return gw_fail(c, GW_E_KEY_DISABLED, "The %s's %s is disabled.", gw_cf_kinds[who->kind].name,
				       owners[i].field);
	}
	return GW_OK;
}

/* --- finding --- */

static enum gw_err take(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct caller *out)
{
	struct gw_str json;

	out->kind = kind;
	enum gw_err e = gw_obj_get(c, kind, gw_arena_str(&c->arena, id), &json, &out->obj);

	return e == GW_E_NOT_FOUND ? gw_fail(c, GW_E_BAD_KEY, "The token is not known.") : e;
}

static enum gw_err find_session(struct gw_ctx *c, const uint8_t index[32], struct caller *out)
{
	char key[33] = { 's' };
	struct gw_str row;

	memcpy(key + 1, index, 32);
	enum gw_err e = gw_txn_get(c->txn, GW_T_LOGIN, gw_str(key, sizeof(key)), &row);

	if (e == GW_E_NOT_FOUND)
		return gw_fail(c, GW_E_BAD_KEY, "The token is not known.");
	if (e != GW_OK || row.n < 17)
		return e != GW_OK ? e : GW_E_CORRUPT;
	int64_t opened = (int64_t)gw_be64_read(row), used = (int64_t)gw_be64_read(gw_str_skip(row, 8));
	int64_t noted = gw_login_noted(c->core, gw_str(key, sizeof(key)));

	used = noted > used ? noted : used;
	out->ends_us = opened + (int64_t)GW_SESSION_MAX_S * 1000000;
	if (c->now_us >= out->ends_us || c->now_us - used >= (int64_t)GW_SESSION_IDLE_S * 1000000)
		return gw_fail(c, GW_E_KEY_EXPIRED, "The session is over. Sign in again.");
	e = take(c, GW_KIND_account, gw_str_skip(row, 16), out);
	if (e == GW_OK)
		gw_login_note(c->core, true, gw_str(key, sizeof(key)), c->now_us);
	return e;
}

static enum gw_err find(struct gw_ctx *c, const uint8_t index[32], struct caller *out)
{
	char key[33];
	struct gw_str id;
	enum gw_err e = gw_txn_get(c->txn, GW_T_KEY, gw_str((const char *)index, 32), &id);

	if (e == GW_OK)
		return take(c, GW_KIND_key, id, out);
	if (e == GW_E_NOT_FOUND)
		e = gw_txn_get(c->txn, GW_T_LOGIN, gw_login_token_key(index, key), &id);
	if (e == GW_OK)
		return take(c, GW_KIND_token, id, out);
	return e == GW_E_NOT_FOUND ? find_session(c, index, out) : e;
}

/* --- the answer --- */

static void put_role(struct gw_ctx *c, enum gw_cf_kind kind, const yyjson_val *obj)
{
	gw_jw_obj(&c->out);
	gw_jw_kstr(&c->out, "role", gw_cf_str(obj, kind, "role"));
	gw_jw_kstr(&c->out, "org", gw_obj_str(obj, "org"));
	gw_jw_kstr(&c->out, "team", gw_obj_str(obj, "team"));
	gw_jw_end_obj(&c->out);
}

static enum gw_err put_bindings(struct gw_ctx *c, struct gw_str key_id, unsigned *n)
{
	struct gw_str prefix = gw_ref_key(c, GW_KIND_key, key_id, GW_KIND_role_binding, GW_NIL);
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, c->txn, GW_T_REF, prefix, false);

	if (e != GW_OK)
		return e;
	while (e == GW_OK && *n < GW_ACTOR_GRANTS && gw_scan_next(&s) && gw_str_has_prefix(s.key, prefix)) {
		struct gw_str json;
		yyjson_val *b;

		e = gw_obj_get(c, GW_KIND_role_binding, gw_str_skip(s.key, prefix.n), &json, &b);
		if (e != GW_OK)
			break;
		put_role(c, GW_KIND_role_binding, b);
		(*n)++;
	}
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	return e;
}

/* Name of the caller in records: ids of keys as they are, "token:ci", "account:alice". */
static struct gw_str name_of(struct gw_ctx *c, const struct caller *who)
{
	struct gw_str id = gw_obj_str(who->obj, "id");

	if (who->kind == GW_KIND_key)
		return id;
	return gw_arena_printf(&c->arena, "%s:%.*s", gw_cf_kinds[who->kind].name, GW_FMT(id));
}

/* Until when: the object's own end, or the session's when that comes first. */
static void put_end(struct gw_ctx *c, const struct caller *who)
{
	struct gw_str at = gw_obj_str(who->obj, "expires_at");
	struct gw_buf b;
	int64_t expires;

	if (who->ends_us == 0 || (gw_time_read(at, &expires) && expires < who->ends_us)) {
		gw_jw_kstr(&c->out, "expires_at", at);
		return;
	}
	gw_buf_init(&b, 64);
	gw_time_put(&b, who->ends_us);
	gw_jw_kstr(&c->out, "expires_at", gw_buf_view(&b));
	gw_buf_done(&b);
}

static enum gw_err put_caller(struct gw_ctx *c, const struct caller *who)
{
	static const char *const shown[] = { "org", "team", "user" };
	enum gw_err e = GW_OK;
	unsigned n_roles = 0;

	gw_jw_obj(&c->out);
	gw_jw_kstr(&c->out, "key", name_of(c, who));
	gw_jw_kstr(&c->out, "kind", gw_str_z(gw_cf_kinds[who->kind].name));
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		gw_jw_kstr(&c->out, shown[i], gw_obj_str(who->obj, shown[i]));
	put_end(c, who);
	gw_jw_key(&c->out, GW_LIT("roles"));
	gw_jw_arr(&c->out);
	if (who->kind == GW_KIND_key) {
		e = put_bindings(c, gw_obj_str(who->obj, "id"), &n_roles);
	} else {
		put_role(c, who->kind, who->obj);
		n_roles = 1;
	}
	gw_jw_end_arr(&c->out);
	gw_jw_end_obj(&c->out);
	if (e == GW_OK && n_roles == 0)
		return gw_fail(c, GW_E_FORBIDDEN, "The key has no role. A role_binding gives it one.");
	return e;
}

enum gw_err gw_do_auth(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	uint8_t sha[32], index[32];
	char used[GW_OBJ_KEY_BYTES];
	struct caller who = { 0 };
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e != GW_OK)
		return e;
	if (!gw_hex_read(gw_obj_str(root, "sha256"), sha, sizeof(sha)))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/sha256"), "sha256 must be 64 hex digits.");
	gw_key_index_of_sha256(gw_keyring_pepper(c->core->keyring), sha, index);
	e = find(c, index, &who);
	if (e == GW_OK)
		e = refuse_object(c, &who);
	if (e == GW_OK)
		e = refuse_owner(c, &who);
	if (e == GW_OK)
		e = put_caller(c, &who);
	if (e == GW_OK && who.kind != GW_KIND_key)
		gw_login_note(c->core, false, gw_obj_key(who.kind, gw_obj_str(who.obj, "id"), used), c->now_us);
	return e;
}
