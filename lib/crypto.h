#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"
#include "lib/str.h"

/* Cryptography through PSA only (Mbed TLS 3.6; 4.x has nothing else), but for SHA-256, which PSA only judges (lib/sha256.h).
 * gw_crypto_init once per process after exec; GW_E_CRYPTO also when the two do not agree. */
GW_MUST enum gw_err gw_crypto_init(void);

void gw_sha256(struct gw_str s, uint8_t out[32]);
struct gw_sha256_ctx {
	uint64_t opaque[32];
}; /* sized and asserted in crypto.c */
void gw_sha256_start(struct gw_sha256_ctx *c);
void gw_sha256_add(struct gw_sha256_ctx *c, const void *p, size_t n);
void gw_sha256_end(struct gw_sha256_ctx *c, uint8_t out[32]);

/* HMAC-SHA-256 (RFC 2104). The prepared form hashes the key once; each call then goes on from two SHA-256 states: for a
 * message of 32 bytes that is 2 block functions instead of 4, and nothing is allocated. */
void gw_hmac_sha256(struct gw_str key, struct gw_str msg, uint8_t out[32]);
struct gw_hmac;
struct gw_hmac *gw_hmac_new(const struct gw_secret *key);
void gw_hmac_free(struct gw_hmac *h);
void gw_hmac_once(struct gw_hmac *h, struct gw_str msg, uint8_t out[32]);

/* HKDF-SHA-256 (RFC 5869). n <= 8160. */
GW_MUST enum gw_err gw_hkdf_sha256(struct gw_str ikm, struct gw_str salt, struct gw_str info, uint8_t *out, size_t n);

/* PBKDF2-HMAC-SHA-256 (RFC 8018), 32 bytes. Slow on purpose: `count` times two HMACs' worth of SHA-256 (600,000: the better
 * part of a second). For passwords only; never on an event loop. */
void gw_pbkdf2_sha256(const struct gw_secret *password, struct gw_str salt, uint32_t count, uint8_t out[32]);

/* AES-256-GCM (SP 800-38D): 12-byte nonce, 16-byte tag appended to the ciphertext. key is 32 bytes.
 * open refuses with GW_E_CRYPTO and writes nothing when the tag does not fit. */
GW_MUST enum gw_err gw_aead_seal(const struct gw_secret *key, const uint8_t nonce[12], struct gw_str aad,
				 struct gw_str plain, struct gw_buf *out);
GW_MUST enum gw_err gw_aead_open(const struct gw_secret *key, const uint8_t nonce[12], struct gw_str aad,
				 struct gw_str sealed, struct gw_secret **out);
/* The same with raw nonce length and key size, for test vectors. */
GW_MUST enum gw_err gw_aead_open_raw(struct gw_str key, struct gw_str nonce, struct gw_str aad, struct gw_str sealed,
				     struct gw_buf *out);

/* ECDSA P-256 over SHA-256 (FIPS 186-5), signature r||s 64 bytes, public key 65 bytes uncompressed (0x04||x||y). */
struct gw_signer;
GW_MUST enum gw_err gw_signer_make(struct gw_secret **out_private32); /* new random key */
GW_MUST enum gw_err gw_signer_new(const struct gw_secret *private32, struct gw_signer **out);
void gw_signer_free(struct gw_signer *s);
void gw_signer_public(const struct gw_signer *s, uint8_t out[65]);
GW_MUST enum gw_err gw_sign(const struct gw_signer *s, const uint8_t hash[32], uint8_t sig[64]);
bool gw_verify(const uint8_t public65[65], const uint8_t hash[32], const uint8_t sig[64]);

/* RS256: RSA over SHA-256 (PKCS #1 v1.5), appended to sig; the key in PKCS #8 PEM. GW_E_CRYPTO: no such key. Some ms. */
GW_MUST enum gw_err gw_rs256_sign(struct gw_str pem, struct gw_str msg, struct gw_buf *sig);

/* Equal without telling where they differ. */
bool gw_ct_eq(const void *a, const void *b, size_t n);
/* Fills with the kernel's random bytes; aborts if the kernel has none. */
void gw_random(void *p, size_t n);
