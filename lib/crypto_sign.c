/* ECDSA on P-256 of lib/crypto.h through PSA. Signing is the deterministic form (RFC 6979), so a weak moment of the
 * random source cannot give the key away; verifiers cannot tell the difference. */
#include "lib/crypto.h"

#include <psa/crypto.h>
#include <stdlib.h>

enum { PRIVATE_BYTES = 32, PUBLIC_BYTES = 65, HASH_BYTES = 32, SIG_BYTES = 64 };
#define CURVE  PSA_ECC_FAMILY_SECP_R1
#define SIGN   PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256)
#define VERIFY PSA_ALG_ECDSA(PSA_ALG_SHA_256)

struct gw_signer {
	psa_key_id_t id;
	uint8_t public_key[PUBLIC_BYTES];
};

static psa_key_attributes_t attributes(psa_key_type_t type, psa_key_usage_t usage, psa_algorithm_t alg)
{
	psa_key_attributes_t a = psa_key_attributes_init();

	psa_set_key_type(&a, type);
	psa_set_key_bits(&a, 256);
	psa_set_key_usage_flags(&a, usage);
	psa_set_key_algorithm(&a, alg);
	return a;
}

enum gw_err gw_signer_make(struct gw_secret **out_private32)
{
	psa_key_attributes_t a = attributes(PSA_KEY_TYPE_ECC_KEY_PAIR(CURVE), PSA_KEY_USAGE_EXPORT, SIGN);
	struct gw_secret *s;
	psa_key_id_t id;
	psa_status_t st;
	uint8_t *bytes;
	size_t n = 0;

	if (psa_generate_key(&a, &id) != PSA_SUCCESS)
		return GW_E_CRYPTO;
	s = gw_secret_room(PRIVATE_BYTES, &bytes);
	st = s ? psa_export_key(id, bytes, PRIVATE_BYTES, &n) : PSA_ERROR_INSUFFICIENT_MEMORY;
	psa_destroy_key(id);
	if (st != PSA_SUCCESS || n != PRIVATE_BYTES) {
		gw_secret_unref(s);
		return st == PSA_ERROR_INSUFFICIENT_MEMORY ? GW_E_NOMEM : GW_E_CRYPTO;
	}
	*out_private32 = s;
	return GW_OK;
}

enum gw_err gw_signer_new(const struct gw_secret *private32, struct gw_signer **out)
{
	psa_key_attributes_t a = attributes(PSA_KEY_TYPE_ECC_KEY_PAIR(CURVE), PSA_KEY_USAGE_SIGN_HASH, SIGN);
	struct gw_str key = gw_secret_expose(private32);
	struct gw_signer *s;
	size_t n = 0;

	if (key.n != PRIVATE_BYTES)
		return GW_E_CRYPTO;
	s = calloc(1, sizeof(*s));
	if (!s)
		return GW_E_NOMEM;
	if (psa_import_key(&a, (const uint8_t *)key.p, key.n, &s->id) != PSA_SUCCESS) {
		free(s);
		return GW_E_CRYPTO;
	}
	if (psa_export_public_key(s->id, s->public_key, PUBLIC_BYTES, &n) != PSA_SUCCESS || n != PUBLIC_BYTES) {
		gw_signer_free(s);
		return GW_E_CRYPTO;
	}
	*out = s;
	return GW_OK;
}

void gw_signer_free(struct gw_signer *s)
{
	if (!s)
		return;
	psa_destroy_key(s->id);
	free(s);
}

void gw_signer_public(const struct gw_signer *s, uint8_t out[65])
{
	memcpy(out, s->public_key, PUBLIC_BYTES);
}

enum gw_err gw_sign(const struct gw_signer *s, const uint8_t hash[32], uint8_t sig[64])
{
	size_t n = 0;

	if (psa_sign_hash(s->id, SIGN, hash, HASH_BYTES, sig, SIG_BYTES, &n) != PSA_SUCCESS || n != SIG_BYTES)
		return GW_E_CRYPTO;
	return GW_OK;
}

bool gw_verify(const uint8_t public65[65], const uint8_t hash[32], const uint8_t sig[64])
{
	psa_key_attributes_t a = attributes(PSA_KEY_TYPE_ECC_PUBLIC_KEY(CURVE), PSA_KEY_USAGE_VERIFY_HASH, VERIFY);
	psa_key_id_t id;
	bool is_good;

	if (psa_import_key(&a, public65, PUBLIC_BYTES, &id) != PSA_SUCCESS)
		return false;
	is_good = psa_verify_hash(id, VERIFY, hash, HASH_BYTES, sig, SIG_BYTES) == PSA_SUCCESS;
	psa_destroy_key(id);
	return is_good;
}
