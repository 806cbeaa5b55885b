/* Hashes (lib/sha256.c, judged by PSA at the start), HMAC; HKDF by the PSA crypto API of Mbed TLS 3.6; randomness. A hash over
 * memory cannot fail for any reason that the input decides, so a failure there is a broken build or process. Ciphers are in crypto_aead.c, signatures in crypto_sign.c. */
#include "lib/crypto.h"

#include <errno.h>
#include <psa/crypto.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/secret.h"
#include "lib/sha256.h"

_Static_assert(sizeof(struct gw_sha256) <= sizeof(struct gw_sha256_ctx), "gw_sha256_ctx is too small");

enum { BLOCK_BYTES = 64 };

struct gw_hmac {
	struct gw_sha256 inner, outer; /* after the key block */
};

static void by_psa(struct gw_str s, uint8_t out[32])
{
	size_t n;

	GW_REQUIRE(psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)s.p, s.n, out, 32, &n) == PSA_SUCCESS);
}

enum gw_err gw_crypto_init(void)
{
	return psa_crypto_init() == PSA_SUCCESS && gw_sha256_choose(by_psa) ? GW_OK : GW_E_CRYPTO;
}

static struct gw_sha256 *of(struct gw_sha256_ctx *c)
{
	return (struct gw_sha256 *)(void *)c;
}

void gw_sha256(struct gw_str s, uint8_t out[32])
{
	struct gw_sha256 c;

	gw_sha256_begin(&c);
	gw_sha256_more(&c, s.p, s.n);
	gw_sha256_final(&c, out);
	gw_wipe(&c, sizeof(c)); /* tokens pass here */
}

void gw_sha256_start(struct gw_sha256_ctx *c)
{
	gw_sha256_begin(of(c));
}

void gw_sha256_add(struct gw_sha256_ctx *c, const void *p, size_t n)
{
	gw_sha256_more(of(c), p, n);
}

void gw_sha256_end(struct gw_sha256_ctx *c, uint8_t out[32])
{
	gw_sha256_final(of(c), out);
}

static void start_padded(struct gw_sha256 *c, const uint8_t key[BLOCK_BYTES], uint8_t pad)
{
	uint8_t block[BLOCK_BYTES];

	for (int i = 0; i < BLOCK_BYTES; i++)
		block[i] = key[i] ^ pad;
	gw_sha256_begin(c);
	gw_sha256_more(c, block, sizeof(block));
	gw_wipe(block, sizeof(block));
}

static void prepare(struct gw_hmac *h, struct gw_str key)
{
	uint8_t block[BLOCK_BYTES] = { 0 };

	if (key.n > BLOCK_BYTES)
		gw_sha256(key, block);
	else if (key.n)
		memcpy(block, key.p, key.n);
	start_padded(&h->inner, block, 0x36);
	start_padded(&h->outer, block, 0x5c);
	gw_wipe(block, sizeof(block));
}

static void finish_with(const struct gw_sha256 *start, const void *p, size_t n, uint8_t out[32])
{
	struct gw_sha256 c = *start;

	gw_sha256_more(&c, p, n);
	gw_sha256_final(&c, out);
	gw_wipe(&c, sizeof(c));
}

void gw_hmac_once(struct gw_hmac *h, struct gw_str msg, uint8_t out[32])
{
	uint8_t inner[32];

	finish_with(&h->inner, msg.p, msg.n, inner);
	finish_with(&h->outer, inner, sizeof(inner), out);
	gw_wipe(inner, sizeof(inner));
}

void gw_hmac_sha256(struct gw_str key, struct gw_str msg, uint8_t out[32])
{
	struct gw_hmac h;

	prepare(&h, key);
	gw_hmac_once(&h, msg, out);
	gw_wipe(&h, sizeof(h));
}

struct gw_hmac *gw_hmac_new(const struct gw_secret *key)
{
	struct gw_hmac *h = malloc(sizeof(*h));

	if (h)
		prepare(h, gw_secret_expose(key));
	return h;
}

void gw_hmac_free(struct gw_hmac *h)
{
	if (!h)
		return;
	gw_wipe(h, sizeof(*h));
	free(h);
}

/* The PSA of Debian's Mbed TLS is built without PSA_ALG_PBKDF2_HMAC, so its loop is here, over PSA's SHA-256. One block of
 * output: salt || 1 as the first message. */
void gw_pbkdf2_sha256(const struct gw_secret *password, struct gw_str salt, uint32_t count, uint8_t out[32])
{
	uint8_t first[128], u[32];
	struct gw_hmac h;

	GW_REQUIRE(salt.n + 4 <= sizeof(first) && count > 0);
	prepare(&h, gw_secret_expose(password));
	memcpy(first, salt.p, salt.n);
	memcpy(first + salt.n, "\0\0\0\1", 4);
	gw_hmac_once(&h, gw_str((const char *)first, salt.n + 4), u);
	memcpy(out, u, 32);
	for (uint32_t i = 1; i < count; i++) {
		gw_hmac_once(&h, gw_str((const char *)u, 32), u);
		for (int k = 0; k < 32; k++)
			out[k] ^= u[k];
	}
	gw_wipe(&h, sizeof(h));
	gw_wipe(u, sizeof(u));
}

enum gw_err gw_hkdf_sha256(struct gw_str ikm, struct gw_str salt, struct gw_str info, uint8_t *out, size_t n)
{
	psa_key_derivation_operation_t d = psa_key_derivation_operation_init();
	psa_status_t s;

	if (n == 0 || n > 255 * 32)
		return GW_E_INVALID;
	s = psa_key_derivation_setup(&d, PSA_ALG_HKDF(PSA_ALG_SHA_256));
	if (s == PSA_SUCCESS)
		s = psa_key_derivation_input_bytes(&d, PSA_KEY_DERIVATION_INPUT_SALT, (const uint8_t *)salt.p, salt.n);
	if (s == PSA_SUCCESS)
		s = psa_key_derivation_input_bytes(&d, PSA_KEY_DERIVATION_INPUT_SECRET, (const uint8_t *)ikm.p, ikm.n);
	if (s == PSA_SUCCESS)
		s = psa_key_derivation_input_bytes(&d, PSA_KEY_DERIVATION_INPUT_INFO, (const uint8_t *)info.p, info.n);
	if (s == PSA_SUCCESS)
		s = psa_key_derivation_output_bytes(&d, out, n);
	psa_key_derivation_abort(&d);
	return s == PSA_SUCCESS ? GW_OK : s == PSA_ERROR_INSUFFICIENT_MEMORY ? GW_E_NOMEM : GW_E_CRYPTO;
}

bool gw_ct_eq(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}

void gw_random(void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t r = getrandom(at, n, 0);

		GW_REQUIRE(r > 0 || (r < 0 && errno == EINTR));
		if (r > 0) {
			at += r;
			n -= (size_t)r;
		}
	}
}
