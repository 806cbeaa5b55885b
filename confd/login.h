#pragma once
#include "confd/call.h"

/* Who may call the admin API: tokens, accounts with passwords, and the sessions that a password opens. What makes them valid
 * is in the table LOGIN, so that no object, export, log entry or image carries it:
 *
 *   't' index     token id                                  index: HMAC(pepper, SHA-256(token)), 32 bytes, as for keys
 *   's' index     be64 opened_us | be64 used_us | account id
 *   'p' account   u8 1 | be32 count | salt 16 | SHA-256(PBKDF2-HMAC-SHA-256(password, salt, count)) 32
 *   'i' caller 0 key of an Idempotency-Key: confd/idem.c
 *
 * A password costs the better part of a second, so it is derived in a pool thread: gw_kdf_begin on the loop, gw_kdf_run
 * anywhere, then the call as a write with call.kdf. Unknown accounts cost the same and get the same words. */
enum {
	GW_KDF_COUNT = 600000,
	GW_SESSION_IDLE_S = 30 * 60,
	GW_SESSION_MAX_S = 12 * 3600,
	GW_SESSIONS_PER_ACCOUNT = 16,
	GW_PASSWORD_LEAST = 12,
	GW_PASSWORD_MOST = 256
};
struct gw_kdf {
	uint32_t count[2];
	unsigned n; /* passwords to derive: 1, or 2 (the old one first) */
	struct gw_secret *password[2];
	uint8_t salt[2][16], out[2][32];
};
/* Does the call carry a password? */
bool gw_kdf_is_needed(const struct gw_call *q);
/* GW_OK: run, then call with call.kdf = k. Else r is the answer (GW_E_LIMIT: r->retry_ms says when). */
GW_MUST enum gw_err gw_kdf_begin(struct gw_core *core, const struct gw_call *q, struct gw_kdf *k, struct gw_reply *r);
void gw_kdf_run(struct gw_kdf *k);
void gw_kdf_done(struct gw_kdf *k);

/* Memory of the module: who was used when, and whose passwords fail. Made with the core. */
struct gw_login;
struct gw_login *gw_login_new(void);
void gw_login_free(struct gw_login *l);
/* Writes what was used since the last time; deletes sessions whose time is over. */
void gw_login_flush(struct gw_core *core);
void gw_login_sweep(struct gw_core *core);

/* Rows of the object's own changes (confd/edit_write.c). */
struct gw_str gw_login_token_key(const uint8_t index[32], char out[33]);
GW_MUST enum gw_err gw_login_account_gone(struct gw_txn *t, struct gw_str account);

gw_method_fn gw_do_auth, gw_do_session_open, gw_do_session_close, gw_do_account_password;

/* --- between the files of the module --- */
enum { GW_LOGIN_USED = 1024, GW_LOGIN_FAILS = 1024, GW_LOGIN_NAME = 72 };
struct gw_login_used {
	int64_t at_us; /* 0 = clean */
	uint8_t n;
	char key[GW_LOGIN_NAME]; /* row key of a session, or kind u8 | id of an object */
	bool is_session;
};
struct gw_login_fail {
	uint64_t name; /* hash */
	uint32_t n;
	uint64_t until_ms;
};
struct gw_login {
	struct gw_login_used used[GW_LOGIN_USED];
	struct gw_login_fail fail[GW_LOGIN_FAILS];
};
uint64_t gw_login_hash(struct gw_str s);
GW_MUST enum gw_err gw_login_put_session(struct gw_ctx *c, const uint8_t index[32], struct gw_str account);
void gw_login_note(struct gw_core *core, bool is_session, struct gw_str key, int64_t now_us);
int64_t gw_login_noted(struct gw_core *core, struct gw_str key);
GW_MUST enum gw_err gw_login_drop_sessions(struct gw_txn *t, struct gw_str account);
