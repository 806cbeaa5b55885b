#pragma once
#include "confd/keyring.h"

/* Shared by confd/keyring*.c only. */
enum { GW_DEK_BYTES = 32, GW_NONCE_BYTES = 12, GW_TAG_BYTES = 16, GW_INSTALL_BYTES = 16 };

struct gw_dek {
	struct gw_dek_info info;
	struct gw_secret *key;
};
struct gw_keyring {
	uint8_t install_id[GW_INSTALL_BYTES];
	char kek_id[9];
	struct gw_secret *kek;
	struct gw_dek deks[GW_MAX_DEKS];
	unsigned n_deks;
	struct gw_secret *own[GW_OWN_COUNT];
	struct gw_hmac *pepper;
	struct gw_signer *audit;
	struct gw_root_source root;
};
extern const char *const gw_own_names[GW_OWN_COUNT];

/* KEK and its id out of a root key. */
GW_MUST enum gw_err gw_kek_derive(const struct gw_secret *root, const uint8_t install_id[GW_INSTALL_BYTES],
				  struct gw_secret **kek, char id[9]);
/* All rows, wrapped by k->kek. */
GW_MUST enum gw_err gw_keyring_store(const struct gw_keyring *k, struct gw_txn *t);
GW_MUST enum gw_err gw_keyring_store_dek(const struct gw_keyring *k, const struct gw_dek *d, struct gw_txn *t);
/* DEKs and own keys from the rows, with k->kek. Replaces what k holds only on success. */
GW_MUST enum gw_err gw_keyring_load(struct gw_keyring *k, struct gw_txn *t);
/* Row "root" into install id and KEK id. GW_E_NOT_FOUND on an empty store. */
GW_MUST enum gw_err gw_keyring_root_row(struct gw_txn *t, uint8_t install_id[GW_INSTALL_BYTES], char id[9]);
void gw_keyring_drop_keys(struct gw_keyring *k);
