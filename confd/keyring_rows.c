/* The keyring's rows in the store: wrapping by the KEK and back. */
#include <stdio.h>

#include "confd/keyring_impl.h"
#include "lib/text.h"

enum { DEK_HEAD = 1 + 8 + 8, MAX_ROW = 512 };

const char *const gw_own_names[GW_OWN_COUNT] = { "pepper", "audit-signing", "session" };

enum gw_err gw_kek_derive(const struct gw_secret *root, const uint8_t install_id[GW_INSTALL_BYTES],
			  struct gw_secret **kek, char id[9])
{
	struct gw_sha256_ctx h;
	uint8_t *bytes, hash[32];
	struct gw_secret *s = gw_secret_room(GW_DEK_BYTES, &bytes);

	if (s == NULL)
		return GW_E_NOMEM;
	enum gw_err e = gw_hkdf_sha256(gw_secret_expose(root), gw_str((const char *)install_id, GW_INSTALL_BYTES),
				       GW_LIT("llmgw/kek/v1"), bytes, GW_DEK_BYTES);

	if (e != GW_OK) {
		gw_secret_unref(s);
		return e;
	}
	gw_sha256_start(&h);
	gw_sha256_add(&h, "llmgw/kek-id", 12);
	gw_sha256_add(&h, bytes, GW_DEK_BYTES);
	gw_sha256_end(&h, hash);
	(void)snprintf(id, 9, "%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
	*kek = s;
	return GW_OK;
}

/* Appends nonce | wrapped key. */
static enum gw_err wrap(const struct gw_secret *kek, struct gw_str aad, const struct gw_secret *key, struct gw_buf *out)
{
	uint8_t nonce[GW_NONCE_BYTES];

	gw_random(nonce, sizeof(nonce));
	gw_buf_put(out, nonce, sizeof(nonce));
	return gw_aead_seal(kek, nonce, aad, gw_secret_expose(key), out);
}

static enum gw_err unwrap(const struct gw_secret *kek, struct gw_str aad, struct gw_str row, struct gw_secret **out)
{
	if (row.n < GW_NONCE_BYTES + GW_TAG_BYTES)
		return GW_E_CORRUPT;
	return gw_aead_open(kek, (const uint8_t *)row.p, aad, gw_str_skip(row, GW_NONCE_BYTES), out);
}

static struct gw_str be32(char *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (char)(v >> (24 - 8 * i));
	return gw_str(out, 4);
}

static struct gw_str join(char *out, size_t max, struct gw_str head, struct gw_str tail)
{
	GW_REQUIRE(head.n + tail.n <= max);
	memcpy(out, head.p, head.n);
	memcpy(out + head.n, tail.p, tail.n);
	return gw_str(out, head.n + tail.n);
}

static const struct gw_str dek_prefix = { "dek/", 4 }, own_prefix = { "own/", 4 };
static const struct gw_str dek_aad = { "llmgw/dek/v1", 13 },
			   own_aad = { "llmgw/own/v1", 13 }; /* their NUL belongs to them */

enum gw_err gw_keyring_store_dek(const struct gw_keyring *k, const struct gw_dek *d, struct gw_txn *t)
{
	char id[4], key[16], aad[32], num[8];
	struct gw_buf row;

	(void)be32(id, d->info.id);
	gw_buf_init(&row, MAX_ROW);
	gw_buf_putc(&row, (char)d->info.is_primary);
	gw_buf_puts(&row, gw_be64((uint64_t)d->info.created_us, num));
	gw_buf_puts(&row, gw_be64(d->info.seals, num));
	enum gw_err e = wrap(k->kek, join(aad, sizeof(aad), dek_aad, gw_str(id, 4)), d->key, &row);

	if (e == GW_OK)
		e = row.err;
	if (e == GW_OK)
		e = gw_txn_put(t, GW_T_KEYRING, join(key, sizeof(key), dek_prefix, gw_str(id, 4)), gw_buf_view(&row));
	gw_buf_done(&row);
	return e;
}

static enum gw_err store_own(const struct gw_keyring *k, unsigned which, struct gw_txn *t)
{
	char key[32], aad[48];
	struct gw_str name = gw_str_z(gw_own_names[which]);
	struct gw_buf row;

	gw_buf_init(&row, MAX_ROW);
	enum gw_err e = wrap(k->kek, join(aad, sizeof(aad), own_aad, name), k->own[which], &row);

	if (e == GW_OK)
		e = row.err;
	if (e == GW_OK)
		e = gw_txn_put(t, GW_T_KEYRING, join(key, sizeof(key), own_prefix, name), gw_buf_view(&row));
	gw_buf_done(&row);
	return e;
}

enum gw_err gw_keyring_store(const struct gw_keyring *k, struct gw_txn *t)
{
	struct gw_buf row;
	enum gw_err e = GW_OK;

	for (unsigned i = 0; e == GW_OK && i < k->n_deks; i++)
		e = gw_keyring_store_dek(k, &k->deks[i], t);
	for (unsigned i = 0; e == GW_OK && i < GW_OWN_COUNT; i++)
		e = store_own(k, i, t);
	if (e != GW_OK)
		return e;
	gw_buf_init(&row, MAX_ROW);
	gw_buf_puts(&row, GW_LIT("{\"install_id\":\""));
	gw_hex_put(&row, k->install_id, GW_INSTALL_BYTES);
	gw_buf_printf(&row, "\",\"kek\":\"%s\"}", k->kek_id);
	e = row.err == GW_OK ? gw_txn_put(t, GW_T_KEYRING, GW_LIT("root"), gw_buf_view(&row)) : row.err;
	gw_buf_done(&row);
	return e;
}

enum gw_err gw_keyring_root_row(struct gw_txn *t, uint8_t install_id[GW_INSTALL_BYTES], char id[9])
{
	struct gw_str row;
	enum gw_err e = gw_txn_get(t, GW_T_KEYRING, GW_LIT("root"), &row);

	if (e != GW_OK)
		return e;
	yyjson_doc *doc = yyjson_read(row.p, row.n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct gw_str hex = gw_json_str(yyjson_obj_get(root, "install_id")),
		      kek = gw_json_str(yyjson_obj_get(root, "kek"));
	bool is_ok = kek.n == 8 && gw_hex_read(hex, install_id, GW_INSTALL_BYTES);

	if (is_ok) {
		memcpy(id, kek.p, 8);
		id[8] = '\0';
	}
	yyjson_doc_free(doc);
	return is_ok ? GW_OK : GW_E_CORRUPT;
}

void gw_keyring_drop_keys(struct gw_keyring *k)
{
	for (unsigned i = 0; i < k->n_deks; i++)
		gw_secret_unref(k->deks[i].key);
	k->n_deks = 0;
	for (unsigned i = 0; i < GW_OWN_COUNT; i++) {
		gw_secret_unref(k->own[i]);
		k->own[i] = NULL;
	}
	gw_hmac_free(k->pepper);
	k->pepper = NULL;
	gw_signer_free(k->audit);
	k->audit = NULL;
}

static enum gw_err load_dek(struct gw_keyring *k, struct gw_str key, struct gw_str row)
{
	char aad[32];
	struct gw_dek *d = &k->deks[k->n_deks];
	struct gw_str id = gw_str_skip(key, dek_prefix.n);

	if (id.n != 4 || row.n < DEK_HEAD || k->n_deks == GW_MAX_DEKS)
		return GW_E_CORRUPT;
	d->info.id = (uint32_t)(uint8_t)id.p[0] << 24 | (uint32_t)(uint8_t)id.p[1] << 16 |
		     (uint32_t)(uint8_t)id.p[2] << 8 | (uint8_t)id.p[3];
	d->info.is_primary = row.p[0] != 0;
	d->info.created_us = (int64_t)gw_be64_read(gw_str_skip(row, 1));
	d->info.seals = gw_be64_read(gw_str_skip(row, 9));
	enum gw_err e = unwrap(k->kek, join(aad, sizeof(aad), dek_aad, id), gw_str_skip(row, DEK_HEAD), &d->key);

	if (e == GW_OK)
		k->n_deks++;
	return e;
}

static enum gw_err load_own(struct gw_keyring *k, unsigned which, struct gw_txn *t)
{
	char key[32], aad[48];
	struct gw_str name = gw_str_z(gw_own_names[which]), row;
	enum gw_err e = gw_txn_get(t, GW_T_KEYRING, join(key, sizeof(key), own_prefix, name), &row);

	if (e == GW_E_NOT_FOUND)
		return GW_E_CORRUPT;
	return e == GW_OK ? unwrap(k->kek, join(aad, sizeof(aad), own_aad, name), row, &k->own[which]) : e;
}

static enum gw_err load_all(struct gw_keyring *k, struct gw_txn *t)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_KEYRING, dek_prefix, false);

	if (e != GW_OK)
		return e;
	while (e == GW_OK && gw_scan_next(&s) && gw_str_has_prefix(s.key, dek_prefix))
		e = load_dek(k, s.key, s.value);
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	for (unsigned i = 0; e == GW_OK && i < GW_OWN_COUNT; i++)
		e = load_own(k, i, t);
	if (e == GW_OK && k->n_deks == 0)
		e = GW_E_CORRUPT;
	if (e == GW_OK)
		e = gw_signer_new(k->own[GW_OWN_AUDIT], &k->audit);
	if (e == GW_OK)
		k->pepper = gw_hmac_new(k->own[GW_OWN_PEPPER]);
	return e == GW_OK && k->pepper == NULL ? GW_E_NOMEM : e;
}

enum gw_err gw_keyring_load(struct gw_keyring *k, struct gw_txn *t)
{
	struct gw_keyring next = { .kek = k->kek };
	enum gw_err e = load_all(&next, t);

	if (e != GW_OK) {
		gw_keyring_drop_keys(&next);
		return e;
	}
	gw_keyring_drop_keys(k);
	memcpy(k->deks, next.deks, sizeof(k->deks));
	k->n_deks = next.n_deks;
	memcpy(k->own, next.own, sizeof(k->own));
	k->pepper = next.pepper;
	k->audit = next.audit;
	return GW_OK;
}
