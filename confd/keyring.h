#pragma once
#include "confd/core.h"
#include "confd/root_key.h"

/* The keyring: the root key makes the KEK, which wraps the data keys (DEKs) that seal credentials, and the gateway's own
 * keys. All by AES-256-GCM.
 *
 *   KEK  = HKDF-SHA-256(root key, salt = install id, info = "llmgw/kek/v1")
 *   KEYRING rows   "root"            JSON {"install_id": 32 hex, "kek": 8 hex that tell KEKs apart}
 *                  "dek/" be32 id    u8 is_primary | be64 created_us | be64 seals | nonce 12 | wrapped key   AAD "llmgw/dek/v1" 0 be32 id
 *                  "own/" name       nonce 12 | wrapped key                                          AAD "llmgw/own/v1" 0 name
 *   sealed blob    u8 1 | u32 dek id | nonce 12 | ciphertext, tag; the caller's AAD names the place
 *
 * Own keys, random, made once: "pepper" (key index), "audit-signing" (P-256, for the logger's checkpoints), "session". */
enum gw_own_key { GW_OWN_PEPPER, GW_OWN_AUDIT, GW_OWN_SESSION, GW_OWN_COUNT };

struct gw_keyring_opts {
	struct gw_root_source root, previous;
	bool has_previous;
};
/* Makes the keyring on an empty store (and the root key file when there is none), else opens it: finishes a root rotation
 * that was cut, re-wraps from `previous`. Commits by itself. *why names the remedy. */
GW_MUST enum gw_err gw_keyring_open(struct gw_store *s, const struct gw_keyring_opts *o, struct gw_keyring **out,
				    const char **why);
void gw_keyring_free(struct gw_keyring *k);
const struct gw_secret *gw_keyring_own(const struct gw_keyring *k, enum gw_own_key which);
struct gw_hmac *gw_keyring_pepper(struct gw_keyring *k);
/* Public half of "audit-signing". */
void gw_keyring_audit_public(const struct gw_keyring *k, uint8_t out[65]);

GW_MUST enum gw_err gw_keyring_seal(struct gw_keyring *k, struct gw_txn *t, struct gw_str aad,
				    const struct gw_secret *plain, struct gw_buf *out);
GW_MUST enum gw_err gw_keyring_unseal(struct gw_keyring *k, struct gw_str aad, struct gw_str blob,
				      struct gw_secret **out);
/* Is the blob sealed with a key that is to be retired? */
bool gw_keyring_is_old(const struct gw_keyring *k, struct gw_str blob);

/* A new primary DEK. Old ones stay until gw_keyring_retire. */
GW_MUST enum gw_err gw_keyring_rotate_dek(struct gw_keyring *k, struct gw_txn *t);
bool gw_keyring_is_rotating(const struct gw_keyring *k);
/* Deletes all DEKs but the primary; the caller knows that nothing is sealed with them. */
GW_MUST enum gw_err gw_keyring_retire(struct gw_keyring *k, struct gw_txn *t);
/* The primary has sealed so often (2^31 times), or for so long (90 days), that it should be replaced. */
bool gw_keyring_is_worn(const struct gw_keyring *k);
/* File sources: new root key file, everything wrapped anew. Commits by itself. GW_E_CONFLICT: not a file source. */
GW_MUST enum gw_err gw_keyring_rotate_root(struct gw_keyring *k, struct gw_store *s, const char **why);
/* After a transaction that touched the keyring failed: memory is read again from the store. */
GW_MUST enum gw_err gw_keyring_reload(struct gw_keyring *k, struct gw_store *s);

struct gw_dek_info {
	uint32_t id;
	bool is_primary;
	int64_t created_us;
	uint64_t seals;
};
enum { GW_MAX_DEKS = 8 };
unsigned gw_keyring_deks(const struct gw_keyring *k, struct gw_dek_info out[GW_MAX_DEKS]);
const char *gw_keyring_root_id(const struct gw_keyring *k); /* 8 hex */
const char *gw_keyring_source(const struct gw_keyring *k);
uint32_t gw_keyring_blob_dek(struct gw_str blob);
/* Tests: makes the counter of the primary look used. */
void gw_keyring_set_seals(struct gw_keyring *k, uint64_t n);
