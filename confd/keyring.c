/* Keys in memory: opening the keyring at start, sealing and unsealing, rotation. */
#include <stdlib.h>

#include "confd/keyring_impl.h"
#include "lib/sys/clock.h"

enum { BLOB_HEAD = 1 + 4 + GW_NONCE_BYTES, BLOB_VERSION = 1 };
/* SP 800-38D allows 2^32 random nonces per key; half of it is reason enough for a new one. */
static const uint64_t WORN_SEALS = 1ull << 31;
static const int64_t WORN_US = 90ll * 86400 * 1000000;

static struct gw_dek *primary(struct gw_keyring *k)
{
	for (unsigned i = 0; i < k->n_deks; i++) {
		if (k->deks[i].info.is_primary)
			return &k->deks[i];
	}
	return NULL;
}

static enum gw_err random_secret(struct gw_secret **out)
{
	uint8_t *bytes;

	*out = gw_secret_room(GW_DEK_BYTES, &bytes);
	if (*out == NULL)
		return GW_E_NOMEM;
	gw_random(bytes, GW_DEK_BYTES);
	return GW_OK;
}

static enum gw_err add_dek(struct gw_keyring *k)
{
	uint32_t id = 0;
	struct gw_secret *key;

	if (k->n_deks == GW_MAX_DEKS)
		return GW_E_CONFLICT;
	for (unsigned i = 0; i < k->n_deks; i++)
		id = k->deks[i].info.id > id ? k->deks[i].info.id : id;
	enum gw_err e = random_secret(&key);

	if (e != GW_OK)
		return e;
	for (unsigned i = 0; i < k->n_deks; i++)
		k->deks[i].info.is_primary = false;
	k->deks[k->n_deks++] = (struct gw_dek){ { id + 1, true, gw_unix_us(), 0 }, key };
	return GW_OK;
}

/* --- opening --- */

/* Everything new: install id, KEK from the root key, one DEK, own keys. */
static enum gw_err make_first(struct gw_keyring *k, struct gw_store *s, const struct gw_secret *root)
{
	struct gw_txn t;

	gw_random(k->install_id, sizeof(k->install_id));
	enum gw_err e = gw_kek_derive(root, k->install_id, &k->kek, k->kek_id);

	if (e == GW_OK)
		e = add_dek(k);
	if (e == GW_OK)
		e = random_secret(&k->own[GW_OWN_PEPPER]);
	if (e == GW_OK)
		e = random_secret(&k->own[GW_OWN_SESSION]);
	if (e == GW_OK)
		e = gw_signer_make(&k->own[GW_OWN_AUDIT]);
	if (e == GW_OK)
		e = gw_txn_write(s, &t);
	if (e != GW_OK)
		return e;
	e = gw_keyring_store(k, &t);
	if (e == GW_OK)
		e = gw_txn_commit(&t);
	gw_txn_abort(&t);
	return e;
}

/* Is this root key the one that the keyring was wrapped with? Keeps the KEK then. */
static bool fits(struct gw_keyring *k, const struct gw_secret *root, const char *want)
{
	struct gw_secret *kek = NULL;
	char id[9];

	if (gw_kek_derive(root, k->install_id, &kek, id) != GW_OK)
		return false;
	if (memcmp(id, want, 8) != 0) {
		gw_secret_unref(kek);
		return false;
	}
	gw_secret_unref(k->kek);
	k->kek = kek;
	memcpy(k->kek_id, id, sizeof(id));
	return true;
}

/* The keyring is known; wrap it with this root key from now on. */
static enum gw_err rewrap(struct gw_keyring *k, struct gw_store *s, const struct gw_secret *root)
{
	struct gw_secret *kek, *old = k->kek;
	char id[9], old_id[9];
	struct gw_txn t;
	enum gw_err e = gw_kek_derive(root, k->install_id, &kek, id);

	if (e != GW_OK)
		return e;
	memcpy(old_id, k->kek_id, sizeof(old_id));
	k->kek = kek;
	memcpy(k->kek_id, id, sizeof(id));
	e = gw_txn_write(s, &t);
	if (e == GW_OK) {
		e = gw_keyring_store(k, &t);
		if (e == GW_OK)
			e = gw_txn_commit(&t);
		gw_txn_abort(&t);
	}
	if (e != GW_OK) {
		k->kek = old;
		memcpy(k->kek_id, old_id, sizeof(old_id));
		gw_secret_unref(kek);
		return e;
	}
	gw_secret_unref(old);
	return GW_OK;
}

static enum gw_err load(struct gw_keyring *k, struct gw_store *s)
{
	struct gw_txn t;
	enum gw_err e = gw_txn_read(s, &t);

	if (e != GW_OK)
		return e;
	e = gw_keyring_load(k, &t);
	gw_txn_abort(&t);
	return e;
}

/* The root key does not fit: perhaps a rotation was cut before its rename, or the operator changed the source. */
static enum gw_err open_with_others(struct gw_keyring *k, struct gw_store *s, const struct gw_keyring_opts *o,
				    const char *want, struct gw_secret **root, const char **why)
{
	struct gw_secret *other = NULL;
	enum gw_err e;

	if (gw_root_read_beside(&o->root, &other) == GW_OK && fits(k, other, want)) {
		gw_secret_unref(other);
		e = gw_root_adopt_beside(&o->root);
		*why = "the key file of a rotation (\"<root_key>.new\") cannot be renamed";
		return e == GW_OK ? load(k, s) : e;
	}
	gw_secret_unref(other);
	other = NULL;
	*why = "it is not the root key that this data folder was made with; give the right one, or the one before as "
	       "root_key_previous";
	if (!o->has_previous || gw_root_read(&o->previous, &other, why) != GW_OK)
		return GW_E_CRYPTO;
	bool is_previous = fits(k, other, want);

	gw_secret_unref(other);
	if (!is_previous) {
		*why = "neither root_key nor root_key_previous is the root key that this data folder was made with";
		return GW_E_CRYPTO;
	}
	e = load(k, s);
	if (e == GW_OK && *root == NULL)
		e = o->root.kind == GW_ROOT_FILE ? gw_root_make(&o->root, false, root, why) : GW_E_NOT_FOUND;
	return e == GW_OK ? rewrap(k, s, *root) : e;
}

static enum gw_err open_known(struct gw_keyring *k, struct gw_store *s, const struct gw_keyring_opts *o,
			      const char *want, const char **why)
{
	struct gw_secret *root = NULL;
	enum gw_err e = gw_root_read(&o->root, &root, why);

	if (e != GW_OK && e != GW_E_NOT_FOUND)
		return e;
	if (root != NULL && fits(k, root, want)) {
		gw_root_drop_beside(&o->root);
		*why = "the keyring in the data folder is damaged";
		e = load(k, s);
	} else {
		e = open_with_others(k, s, o, want, &root, why);
	}
	gw_secret_unref(root);
	return e;
}

static enum gw_err open_first(struct gw_keyring *k, struct gw_store *s, const struct gw_keyring_opts *o,
			      const char **why)
{
	struct gw_secret *root = NULL;
	enum gw_err e = gw_root_read(&o->root, &root, why);

	if (e == GW_E_NOT_FOUND && o->root.kind == GW_ROOT_FILE)
		e = gw_root_make(&o->root, false, &root, why);
	if (e != GW_OK)
		return e;
	*why = "the new keyring cannot be stored";
	e = make_first(k, s, root);
	gw_secret_unref(root);
	return e == GW_OK ? load(k, s) : e;
}

enum gw_err gw_keyring_open(struct gw_store *s, const struct gw_keyring_opts *o, struct gw_keyring **out,
			    const char **why)
{
	struct gw_keyring *k = calloc(1, sizeof(*k));
	struct gw_txn t;
	char want[9];

	*why = "out of memory";
	if (k == NULL)
		return GW_E_NOMEM;
	k->root = o->root;
	k->root.loaded = NULL; /* the caller's */
	enum gw_err e = gw_txn_read(s, &t);

	if (e == GW_OK) {
		*why = "the keyring in the data folder is damaged";
		e = gw_keyring_root_row(&t, k->install_id, want);
		gw_txn_abort(&t);
		if (e == GW_OK)
			e = open_known(k, s, o, want, why);
		else if (e == GW_E_NOT_FOUND)
			e = open_first(k, s, o, why);
	}
	if (e != GW_OK) {
		gw_keyring_free(k);
		return e;
	}
	*out = k;
	return GW_OK;
}

void gw_keyring_free(struct gw_keyring *k)
{
	if (k == NULL)
		return;
	gw_keyring_drop_keys(k);
	gw_secret_unref(k->kek);
	free(k);
}

enum gw_err gw_keyring_reload(struct gw_keyring *k, struct gw_store *s)
{
	return load(k, s);
}

/* --- sealing --- */

uint32_t gw_keyring_blob_dek(struct gw_str blob)
{
	const uint8_t *p = (const uint8_t *)blob.p;

	if (blob.n < BLOB_HEAD || p[0] != BLOB_VERSION)
		return 0;
	return (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
}

enum gw_err gw_keyring_seal(struct gw_keyring *k, struct gw_txn *t, struct gw_str aad, const struct gw_secret *plain,
			    struct gw_buf *out)
{
	struct gw_dek *d = primary(k);
	uint8_t head[BLOB_HEAD] = { BLOB_VERSION };

	if (d == NULL || d->info.seals >= 2 * WORN_SEALS)
		return GW_E_CRYPTO;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (uint8_t)(d->info.id >> (8 * i));
	gw_random(head + 5, GW_NONCE_BYTES);
	gw_buf_put(out, head, sizeof(head));
	d->info.seals++;
	enum gw_err e = gw_keyring_store_dek(k, d, t);

	if (e == GW_OK)
		e = gw_aead_seal(d->key, head + 5, aad, gw_secret_expose(plain), out);
	return e == GW_OK ? out->err : e;
}

enum gw_err gw_keyring_unseal(struct gw_keyring *k, struct gw_str aad, struct gw_str blob, struct gw_secret **out)
{
	uint32_t id = gw_keyring_blob_dek(blob);

	for (unsigned i = 0; id != 0 && i < k->n_deks; i++) {
		if (k->deks[i].info.id == id)
			return gw_aead_open(k->deks[i].key, (const uint8_t *)blob.p + 5, aad,
					    gw_str_skip(blob, BLOB_HEAD), out);
	}
	return GW_E_CRYPTO;
}

bool gw_keyring_is_old(const struct gw_keyring *k, struct gw_str blob)
{
	uint32_t id = gw_keyring_blob_dek(blob);

	for (unsigned i = 0; i < k->n_deks; i++) {
		if (k->deks[i].info.id == id)
			return !k->deks[i].info.is_primary;
	}
	return false;
}

/* --- rotation --- */

enum gw_err gw_keyring_rotate_dek(struct gw_keyring *k, struct gw_txn *t)
{
	enum gw_err e = add_dek(k);

	for (unsigned i = 0; e == GW_OK && i < k->n_deks; i++)
		e = gw_keyring_store_dek(k, &k->deks[i], t);
	return e;
}

bool gw_keyring_is_rotating(const struct gw_keyring *k)
{
	return k->n_deks > 1;
}

bool gw_keyring_is_worn(const struct gw_keyring *k)
{
	for (unsigned i = 0; i < k->n_deks; i++) {
		const struct gw_dek_info *d = &k->deks[i].info;

		if (d->is_primary)
			return d->seals >= WORN_SEALS || (d->seals > 0 && gw_unix_us() - d->created_us > WORN_US);
	}
	return false;
}

enum gw_err gw_keyring_retire(struct gw_keyring *k, struct gw_txn *t)
{
	enum gw_err e = GW_OK;
	unsigned kept = 0;

	for (unsigned i = 0; i < k->n_deks; i++) {
		struct gw_dek *d = &k->deks[i];
		char key[8] = { 'd',
				'e',
				'k',
				'/',
				(char)(d->info.id >> 24),
				(char)(d->info.id >> 16),
				(char)(d->info.id >> 8),
				(char)d->info.id };

		if (d->info.is_primary) {
			k->deks[kept++] = *d;
			continue;
		}
		gw_secret_unref(d->key);
		if (e == GW_OK)
			e = gw_txn_del(t, GW_T_KEYRING, gw_str(key, sizeof(key)));
	}
	k->n_deks = kept;
	return e;
}

enum gw_err gw_keyring_rotate_root(struct gw_keyring *k, struct gw_store *s, const char **why)
{
	struct gw_secret *root = NULL;

	if (k->root.kind != GW_ROOT_FILE) {
		*why =
		    "the root key does not come from a file: put the new one where root_key points, the old one into "
		    "root_key_previous, and restart";
		return GW_E_CONFLICT;
	}
	enum gw_err e = gw_root_make(&k->root, true, &root, why);

	if (e != GW_OK)
		return e;
	*why = "the keyring cannot be stored";
	e = rewrap(k, s, root);
	gw_secret_unref(root);
	if (e != GW_OK) /* the file beside stays: a commit that failed late may be on disk; the next start finds out */
		return e;
	*why =
	    "the new key file cannot be renamed; it is beside the old one as .new and will be taken at the next start";
	return gw_root_adopt_beside(&k->root);
}

/* --- looking --- */

const struct gw_secret *gw_keyring_own(const struct gw_keyring *k, enum gw_own_key which)
{
	return k->own[which];
}

struct gw_hmac *gw_keyring_pepper(struct gw_keyring *k)
{
	return k->pepper;
}

void gw_keyring_audit_public(const struct gw_keyring *k, uint8_t out[65])
{
	gw_signer_public(k->audit, out);
}

unsigned gw_keyring_deks(const struct gw_keyring *k, struct gw_dek_info out[GW_MAX_DEKS])
{
	for (unsigned i = 0; i < k->n_deks; i++)
		out[i] = k->deks[i].info;
	return k->n_deks;
}

const char *gw_keyring_root_id(const struct gw_keyring *k)
{
	return k->kek_id;
}

const char *gw_keyring_source(const struct gw_keyring *k)
{
	return gw_root_kind_name(k->root.kind);
}

void gw_keyring_set_seals(struct gw_keyring *k, uint64_t n)
{
	struct gw_dek *d = primary(k);

	if (d != NULL)
		d->info.seals = n;
}
