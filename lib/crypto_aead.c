/* AES-GCM of lib/crypto.h through PSA. The key is imported for the one call: these are cold paths (an envelope opened
 * when a credential is leased or stored), and no key then outlives its secret. */
#include "lib/crypto.h"

#include <psa/crypto.h>

enum { KEY_BYTES = 32, TAG_BYTES = 16 };

static enum gw_err from_psa(psa_status_t s)
{
	return s == PSA_SUCCESS ? GW_OK : s == PSA_ERROR_INSUFFICIENT_MEMORY ? GW_E_NOMEM : GW_E_CRYPTO;
}

static psa_status_t import(struct gw_str key, psa_key_usage_t usage, psa_key_id_t *id)
{
	psa_key_attributes_t a = psa_key_attributes_init();

	psa_set_key_usage_flags(&a, usage);
	psa_set_key_algorithm(&a, PSA_ALG_GCM);
	psa_set_key_type(&a, PSA_KEY_TYPE_AES);
	psa_set_key_bits(&a, key.n * 8);
	return psa_import_key(&a, (const uint8_t *)key.p, key.n, id);
}

enum gw_err gw_aead_seal(const struct gw_secret *key, const uint8_t nonce[12], struct gw_str aad, struct gw_str plain,
			 struct gw_buf *out)
{
	psa_key_id_t id;
	psa_status_t s;
	char *room;
	size_t n = 0;

	if (gw_secret_len(key) != KEY_BYTES)
		return GW_E_CRYPTO;
	room = gw_buf_room(out, plain.n + TAG_BYTES);
	if (!room)
		return out->err;
	s = import(gw_secret_expose(key), PSA_KEY_USAGE_ENCRYPT, &id);
	if (s != PSA_SUCCESS)
		return from_psa(s);
	s = psa_aead_encrypt(id, PSA_ALG_GCM, nonce, 12, (const uint8_t *)aad.p, aad.n, (const uint8_t *)plain.p,
			     plain.n, (uint8_t *)room, plain.n + TAG_BYTES, &n);
	psa_destroy_key(id);
	if (s == PSA_SUCCESS)
		gw_buf_commit(out, n);
	return from_psa(s);
}

/* Opens into exactly sealed.n - 16 bytes; PSA leaves no plaintext behind when the tag does not fit. */
static enum gw_err open_into(struct gw_str key, struct gw_str nonce, struct gw_str aad, struct gw_str sealed,
			     uint8_t *out)
{
	psa_key_id_t id;
	psa_status_t s = import(key, PSA_KEY_USAGE_DECRYPT, &id);
	uint8_t none;
	size_t n = sealed.n - TAG_BYTES, got = 0;

	if (s != PSA_SUCCESS)
		return from_psa(s);
	s = psa_aead_decrypt(id, PSA_ALG_GCM, (const uint8_t *)nonce.p, nonce.n, (const uint8_t *)aad.p, aad.n,
			     (const uint8_t *)sealed.p, sealed.n, n ? out : &none, n, &got);
	psa_destroy_key(id);
	return s == PSA_SUCCESS && got != n ? GW_E_CRYPTO : from_psa(s);
}

enum gw_err gw_aead_open(const struct gw_secret *key, const uint8_t nonce[12], struct gw_str aad, struct gw_str sealed,
			 struct gw_secret **out)
{
	struct gw_secret *plain;
	uint8_t *bytes;
	enum gw_err e;

	if (sealed.n < TAG_BYTES || gw_secret_len(key) != KEY_BYTES)
		return GW_E_CRYPTO;
	plain = gw_secret_room(sealed.n - TAG_BYTES, &bytes);
	if (!plain)
		return GW_E_NOMEM;
	e = open_into(gw_secret_expose(key), gw_str((const char *)nonce, 12), aad, sealed, bytes);
	if (e) {
		gw_secret_unref(plain);
		return e;
	}
	*out = plain;
	return GW_OK;
}

enum gw_err gw_aead_open_raw(struct gw_str key, struct gw_str nonce, struct gw_str aad, struct gw_str sealed,
			     struct gw_buf *out)
{
	enum gw_err e;
	char *room;

	if (sealed.n < TAG_BYTES || nonce.n == 0)
		return GW_E_CRYPTO;
	room = gw_buf_room(out, sealed.n - TAG_BYTES);
	if (!room)
		return out->err;
	e = open_into(key, nonce, aad, sealed, (uint8_t *)room);
	if (!e)
		gw_buf_commit(out, sealed.n - TAG_BYTES);
	return e;
}
