/* Passwords: the calls session-open, session-close and account-password, and how often they failed of late. */
#include "confd/login.h"

#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/object.h"
#include "confd/scope.h"
#include "core/key.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { VERIFIER_BYTES = 1 + 4 + 16 + 32, FREE_TRIES = 5, MAX_WAIT_S = 900 };

/* --- passwords --- */

static struct gw_str password_key(struct gw_str account, char out[GW_LOGIN_NAME])
{
	out[0] = 'p';
	if (account.n >= GW_LOGIN_NAME)
		return GW_NIL;
	memcpy(out + 1, account.p, account.n);
	return gw_str(out, 1 + account.n);
}

struct gw_str gw_login_token_key(const uint8_t index[32], char out[33])
{
	out[0] = 't';
	memcpy(out + 1, index, 32);
	return gw_str(out, 33);
}

enum gw_err gw_login_account_gone(struct gw_txn *t, struct gw_str account)
{
	char key[GW_LOGIN_NAME];
	enum gw_err e = gw_txn_del(t, GW_T_LOGIN, password_key(account, key));

	return e == GW_OK || e == GW_E_NOT_FOUND ? gw_login_drop_sessions(t, account) : e;
}

/* The account's salt and count; for one that has none, a salt that looks like one and is always the same. */
static void salt_of(struct gw_core *core, struct gw_str account, uint8_t salt[16], uint32_t *count)
{
	char key[GW_LOGIN_NAME];
	uint8_t mac[32];
	struct gw_str row;
	struct gw_txn t;

	*count = GW_KDF_COUNT;
	gw_hmac_once(gw_keyring_pepper(core->keyring), account, mac);
	memcpy(salt, mac, 16);
	if (gw_txn_read(core->store, &t) != GW_OK)
		return;
	if (gw_txn_get(&t, GW_T_LOGIN, password_key(account, key), &row) == GW_OK && row.n == VERIFIER_BYTES) {
		const uint8_t *p = (const uint8_t *)row.p;

		*count = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
		memcpy(salt, p + 5, 16);
	}
	gw_txn_abort(&t);
}

static bool is_right(struct gw_ctx *c, struct gw_str account, const uint8_t derived[32])
{
	char key[GW_LOGIN_NAME];
	uint8_t want[32] = { 0 }, sha[32];
	struct gw_str row;
	bool has = gw_txn_get(c->txn, GW_T_LOGIN, password_key(account, key), &row) == GW_OK && row.n == VERIFIER_BYTES;

	if (has)
		memcpy(want, row.p + 21, 32);
	gw_sha256(gw_str((const char *)derived, 32), sha);
	return gw_ct_eq(want, sha, 32) && has;
}

static struct gw_login_fail *fail_cell(struct gw_core *core, struct gw_str account)
{
	uint64_t h = gw_login_hash(account);
	struct gw_login_fail *f = &core->login->fail[h % GW_LOGIN_FAILS];
	uint64_t now = gw_now_ms();

	/* another's cell is shared while it is hot, so that nobody gets rid of a wait by hot neighbours */
	if (f->name != h && now > f->until_ms + MAX_WAIT_S * 1000)
		*f = (struct gw_login_fail){ .name = h };
	if (f->n > 0 && now > f->until_ms + MAX_WAIT_S * 1000)
		f->n = 0;
	return f;
}

/* Each try counts as failed until it has succeeded, so that many at once gain nothing. */
static uint64_t count_try(struct gw_core *core, struct gw_str account)
{
	struct gw_login_fail *f = fail_cell(core, account);
	uint64_t now = gw_now_ms(), wait_s = 0;

	if (f->until_ms > now && f->n >= FREE_TRIES)
		return f->until_ms - now;
	f->n++;
	if (f->n >= FREE_TRIES) {
		unsigned more = f->n - FREE_TRIES;

		wait_s = more >= 10 || (1u << more) > MAX_WAIT_S ? MAX_WAIT_S : 1u << more;
	}
	f->until_ms = now + wait_s * 1000;
	return 0;
}

/* --- the slow half --- */

bool gw_kdf_is_needed(const struct gw_call *q)
{
	return gw_str_eq(q->method, GW_LIT("session-open")) || gw_str_eq(q->method, GW_LIT("account-password"));
}

static struct gw_secret *take_password(yyjson_val *root, const char *field)
{
	struct gw_str s = gw_obj_str(root, field);
	struct gw_secret *out = s.n > 0 && s.n <= GW_PASSWORD_MOST ? gw_secret_new(s.p, s.n) : NULL;

	if (s.n > 0)
		gw_wipe((char *)(uintptr_t)s.p, s.n);
	return out;
}

/* This copy of the body is not needed for more than names. */
static void wipe_passwords(yyjson_val *root)
{
	gw_secret_unref(take_password(root, "password"));
	gw_secret_unref(take_password(root, "old_password"));
}

static enum gw_err begin(struct gw_ctx *c, const struct gw_call *q, struct gw_kdf *k, uint64_t *retry_ms)
{
	bool is_open = gw_str_eq(q->method, GW_LIT("session-open"));
	static const char *const open_params[] = { "account", "password", NULL };
	static const char *const set_params[] = { "id", "password", "old_password", NULL };
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e == GW_OK)
		e = gw_call_known(c, root, is_open ? open_params : set_params);
	if (e != GW_OK)
		return e;
	struct gw_str account = gw_obj_str(root, is_open ? "account" : "id");
	size_t n = gw_obj_str(root, "password").n;

	if (account.n == 0 || account.n > 63)
		return gw_fault(c, GW_E_MISSING, is_open ? GW_LIT("/account") : GW_LIT("/id"),
				"account is required: who signs in.");
	if (n == 0)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/password"), "password is required.");
	if (n > GW_PASSWORD_MOST || (!is_open && n < GW_PASSWORD_LEAST))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/password"), "A password has %d to %d bytes.",
				GW_PASSWORD_LEAST, GW_PASSWORD_MOST);
	if (is_open || gw_obj_str(root, "old_password").n > 0) {
		*retry_ms = count_try(c->core, account);
		if (*retry_ms > 0)
			return gw_fail(c, GW_E_LIMIT, "Too many failed sign-ins. Try again in %llu s.",
				       (unsigned long long)(*retry_ms + 999) / 1000);
		k->password[k->n] = take_password(root, is_open ? "password" : "old_password");
		salt_of(c->core, account, k->salt[k->n], &k->count[k->n]);
		k->n++;
	}
	if (!is_open) {
		k->password[k->n] = take_password(root, "password");
		gw_random(k->salt[k->n], 16);
		k->count[k->n++] = GW_KDF_COUNT;
	}
	for (unsigned i = 0; i < k->n; i++) {
		if (k->password[i] == NULL)
			return gw_fault(c, GW_E_INVALID, GW_LIT("/password"), "A password has %d to %d bytes.",
					GW_PASSWORD_LEAST, GW_PASSWORD_MOST);
	}
	return GW_OK;
}

enum gw_err gw_kdf_begin(struct gw_core *core, const struct gw_call *q, struct gw_kdf *k, struct gw_reply *r)
{
	struct gw_ctx c;

	*k = (struct gw_kdf){ .n = 0 };
	gw_ctx_init(&c, core);
	enum gw_err e = begin(&c, q, k, &r->retry_ms);

	if (e != GW_OK) {
		gw_kdf_done(k);
		gw_call_refuse(&c, e, r);
	}
	gw_ctx_done(&c);
	return e;
}

void gw_kdf_run(struct gw_kdf *k)
{
	for (unsigned i = 0; i < k->n; i++)
		gw_pbkdf2_sha256(k->password[i], gw_str((const char *)k->salt[i], 16), k->count[i], k->out[i]);
}

void gw_kdf_done(struct gw_kdf *k)
{
	for (unsigned i = 0; i < 2; i++)
		gw_secret_unref(k->password[i]);
	gw_wipe(k, sizeof(*k));
}

/* --- the calls --- */

static enum gw_err refuse_login(struct gw_ctx *c)
{
	return gw_fail(c, GW_E_BAD_KEY, "The account or the password is not right.");
}

static void put_opened(struct gw_ctx *c, struct gw_str token, struct gw_str account)
{
	struct gw_buf b;

	gw_buf_init(&b, 64);
	gw_time_put(&b, c->now_us + (int64_t)GW_SESSION_MAX_S * 1000000);
	gw_jw_obj(&c->out);
	gw_jw_kstr(&c->out, "token", token);
	gw_jw_kstr(&c->out, "account", account);
	gw_jw_kstr(&c->out, "expires_at", gw_buf_view(&b));
	gw_jw_ku64(&c->out, "idle_timeout_s", GW_SESSION_IDLE_S);
	gw_jw_end_obj(&c->out);
	gw_buf_done(&b);
}

enum gw_err gw_do_session_open(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	char token[GW_KEY_TOKEN_BYTES + 1];
	uint8_t random[40], index[32];
	yyjson_val *root, *obj = NULL;
	struct gw_str json;
	int64_t expires;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e != GW_OK || q->kdf == NULL)
		return e != GW_OK ? e : GW_E_BUG;
	wipe_passwords(root);
	struct gw_str account = gw_obj_str(root, "account");
	bool is_right_one = is_right(c, account, q->kdf->out[0]);

	e = gw_obj_get(c, GW_KIND_account, account, &json, &obj);
	if (e != GW_OK && e != GW_E_NOT_FOUND)
		return e;
	if (!is_right_one || e != GW_OK || gw_cf_bool(obj, GW_KIND_account, "disabled") ||
	    (gw_time_read(gw_obj_str(obj, "expires_at"), &expires) && expires <= c->now_us))
		return refuse_login(c);
	gw_random(random, sizeof(random));
	gw_key_token(random, token);
	gw_wipe(random, sizeof(random));
	gw_key_index(gw_keyring_pepper(c->core->keyring), gw_str(token, GW_KEY_TOKEN_BYTES), index);
	e = gw_login_put_session(c, index, account);
	c->actor.key = gw_arena_printf(&c->arena, "account:%.*s", GW_FMT(account));
	if (e == GW_OK)
		e = gw_change_note(c, "sign-in", "session", account);
	if (e == GW_OK)
		put_opened(c, gw_str(token, GW_KEY_TOKEN_BYTES), account);
	gw_wipe(token, sizeof(token));
	if (e == GW_OK)
		*fail_cell(c->core, account) = (struct gw_login_fail){ 0 };
	return e;
}

enum gw_err gw_do_session_close(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	uint8_t sha[32];
	char key[33] = { 's' };
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e != GW_OK)
		return e;
	if (!gw_hex_read(gw_obj_str(root, "sha256"), sha, sizeof(sha)))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/sha256"), "sha256 must be 64 hex digits.");
	gw_key_index_of_sha256(gw_keyring_pepper(c->core->keyring), sha, (uint8_t *)key + 1);
	e = gw_txn_del(c->txn, GW_T_LOGIN, gw_str(key, sizeof(key)));
	if (e == GW_E_NOT_FOUND)
		return gw_fail(c, GW_E_CONFLICT,
			       "Only a session can be signed out. Disable or delete a token instead.");
	struct gw_str name =
	    gw_str_has_prefix(c->actor.key, GW_LIT("account:")) ? gw_str_skip(c->actor.key, 8) : c->actor.key;
	if (e == GW_OK)
		e = gw_change_note(c, "sign-out", "session", name);
	gw_jw_obj(&c->out);
	gw_jw_kbool(&c->out, "signed_out", true);
	gw_jw_end_obj(&c->out);
	return e;
}

static enum gw_err put_verifier(struct gw_ctx *c, struct gw_str account, const struct gw_kdf *k, unsigned i)
{
	char key[GW_LOGIN_NAME];
	uint8_t row[VERIFIER_BYTES] = { 1, (uint8_t)(k->count[i] >> 24), (uint8_t)(k->count[i] >> 16),
					(uint8_t)(k->count[i] >> 8), (uint8_t)k->count[i] };

	memcpy(row + 5, k->salt[i], 16);
	gw_sha256(gw_str((const char *)k->out[i], 32), row + 21);
	return gw_txn_put(c->txn, GW_T_LOGIN, password_key(account, key), gw_str((const char *)row, sizeof(row)));
}

/* Admins of the account set it outright; the person itself must know the old one. All sessions of the account end. */
enum gw_err gw_do_account_password(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct gw_str id, json, own = GW_LIT("account:");
	yyjson_val *root, *obj;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e == GW_OK)
		e = gw_call_id(c, root, &id);
	if (e != GW_OK || q->kdf == NULL)
		return e != GW_OK ? e : GW_E_BUG;
	wipe_passwords(root);
	bool is_own = gw_str_has_prefix(c->actor.key, own) && gw_str_eq(gw_str_skip(c->actor.key, own.n), id);

	e = gw_obj_get(c, GW_KIND_account, id, &json, &obj);
	if (e == GW_E_NOT_FOUND || (e == GW_OK && !is_own && !gw_scope_may_read(&c->actor, GW_KIND_account, obj)))
		return gw_fail(c, GW_E_NOT_FOUND, "There is no account \"%.*s\".", GW_FMT(id));
	if (e != GW_OK)
		return e;
	if (!is_own && !gw_scope_may_write(&c->actor, GW_KIND_account, obj))
		return gw_fail(c, GW_E_FORBIDDEN, "Your role may not write the account \"%.*s\".", GW_FMT(id));
	if (is_own && q->kdf->n < 2)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/old_password"),
				"old_password is required to change your own password.");
	if (q->kdf->n == 2 && !is_right(c, id, q->kdf->out[0]))
		return gw_fault(c, GW_E_FORBIDDEN, GW_LIT("/old_password"), "The old password is not right.");
	if (q->kdf->n == 2)
		*fail_cell(c->core, id) = (struct gw_login_fail){ 0 };
	e = put_verifier(c, id, q->kdf, q->kdf->n - 1);
	if (e == GW_OK)
		e = gw_login_drop_sessions(c->txn, id);
	if (e == GW_OK)
		e = gw_change_note(c, "password", "session", id);
	gw_jw_obj(&c->out);
	gw_jw_kstr(&c->out, "id", id);
	gw_jw_kbool(&c->out, "password_set", true);
	gw_jw_end_obj(&c->out);
	return e;
}
