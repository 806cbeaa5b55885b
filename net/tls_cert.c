/* Certificates of the gateway's own: reading, names, and whether one can serve. What would only fail at a client's first
 * handshake is refused when it is saved. */
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/secret.h"
#include "net/tls_int.h"

enum { RSA_LEAST_BITS = 2048, HOST_BYTES = 254 };

enum gw_err tls_key_read(mbedtls_pk_context *to, struct gw_str pem)
{
	struct gw_secret *z; /* the NUL-terminated copy lives in locked memory */
	uint8_t *copy;
	int r;

	z = gw_secret_room(pem.n + 1, &copy);
	if (!z)
		return GW_E_NOMEM;
	memcpy(copy, pem.p, pem.n);
	copy[pem.n] = '\0';
	r = mbedtls_pk_parse_key(to, copy, pem.n + 1, NULL, 0, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
	gw_secret_unref(z);
	return r == 0 ? GW_OK : GW_E_INVALID;
}

/* ---- names ---- */

static bool is_host(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool ok = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
			  (p[i] >= '0' && p[i] <= '9') || p[i] == '-' || p[i] == '.' || p[i] == '_' || p[i] == '*';

		if (!ok)
			return false;
	}
	return n > 0 && n < HOST_BYTES;
}

static size_t put_name(char *names, size_t at, const unsigned char *p, size_t n)
{
	if (!is_host(p, n) || at + n + 2 > TLS_NAMES_BYTES)
		return at;
	for (size_t i = 0; i < n; i++)
		names[at + i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : (char)p[i];
	names[at + n] = '\0';
	names[at + n + 1] = '\0';
	return at + n + 1;
}

void tls_names_of(const mbedtls_x509_crt *crt, char names[TLS_NAMES_BYTES])
{
	size_t at = 0;

	names[0] = names[1] = '\0';
	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s && s->buf.p; s = s->next)
		if ((s->buf.tag & 0x1f) == MBEDTLS_X509_SAN_DNS_NAME)
			at = put_name(names, at, s->buf.p, s->buf.len);
	for (const mbedtls_x509_name *d = &crt->subject; at == 0 && d; d = d->next)
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &d->oid) == 0)
			at = put_name(names, at, d->val.p, d->val.len);
}

static void show_names(const mbedtls_x509_crt *crt, char *out, size_t max)
{
	char names[TLS_NAMES_BYTES];
	size_t at = 0;

	tls_names_of(crt, names);
	out[0] = '\0';
	for (const char *n = names; *n; n += strlen(n) + 1) {
		int w = snprintf(out + at, max - at, "%s%s", at ? ", " : "", n);

		if (w < 0 || (size_t)w >= max - at) {
			out[at] = '\0'; /* no half names */
			return;
		}
		at += (size_t)w;
	}
}

/* ---- judging ---- */

/* Days from civil date: years begin in March. */
static int64_t unix_us(const mbedtls_x509_time *t)
{
	int64_t y = t->year - (t->mon <= 2), era = y / 400, yoe = y - era * 400;
	int64_t doy = (153 * (t->mon + (t->mon > 2 ? -3 : 9)) + 2) / 5 + t->day - 1;
	int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;

	return (((days * 24 + t->hour) * 60 + t->min) * 60 + t->sec) * 1000000;
}

static const char *key_fault(const mbedtls_x509_crt *leaf)
{
	mbedtls_pk_type_t type = mbedtls_pk_get_type(&leaf->pk);
	size_t bits = mbedtls_pk_get_bitlen(&leaf->pk);

	if (type == MBEDTLS_PK_RSA)
		return bits >= RSA_LEAST_BITS ? NULL
					      : "The certificate's RSA key is shorter than 2048 bits. Make a new one.";
	if (type == MBEDTLS_PK_ECKEY || type == MBEDTLS_PK_ECDSA) {
		mbedtls_ecp_group_id g = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(leaf->pk));

		return g == MBEDTLS_ECP_DP_SECP256R1 || g == MBEDTLS_ECP_DP_SECP384R1
			   ? NULL
			   : "The certificate's key is on a curve that is not used here. Use P-256 or P-384.";
	}
	return "The certificate's key is neither RSA nor ECDSA. Use ECDSA P-256, or RSA of 2048 bits or more.";
}

static const char *chain_fault(const mbedtls_x509_crt *leaf)
{
	for (const mbedtls_x509_crt *c = leaf; c->next; c = c->next)
		if (c->issuer_raw.len != c->next->subject_raw.len ||
		    memcmp(c->issuer_raw.p, c->next->subject_raw.p, c->issuer_raw.len) != 0)
			return "The chain is not in order: each certificate must be followed by the one that signed "
			       "it, "
			       "the gateway's own first.";
	return NULL;
}

static const char *pair_fault(mbedtls_x509_crt *leaf, const struct gw_secret *key)
{
	mbedtls_pk_context pk;
	const char *why = NULL;

	mbedtls_pk_init(&pk);
	if (tls_key_read(&pk, gw_secret_expose(key)))
		why = "The private key cannot be read. Give one key in PEM, without a passphrase.";
	else if (mbedtls_pk_check_pair(&leaf->pk, &pk, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE) != 0)
		why = "The private key does not belong to the first certificate of the chain.";
	mbedtls_pk_free(&pk);
	return why;
}

static const char *date_fault(const struct gw_tls_cert_info *info, int64_t now_us)
{
	if (now_us && now_us >= info->not_after_us)
		return "The certificate has expired. Give one that is valid now.";
	if (now_us && now_us < info->not_before_us)
		return "The certificate is not valid yet. Give one that is valid now.";
	return NULL;
}

enum gw_err gw_tls_cert_check(struct gw_str chain_pem, const struct gw_secret *key, int64_t now_us,
			      struct gw_tls_cert_info *out, const char **why)
{
	mbedtls_x509_crt chain;
	enum gw_err e;

	*out = (struct gw_tls_cert_info){ 0 };
	mbedtls_x509_crt_init(&chain);
	e = psa_crypto_init() == PSA_SUCCESS ? tls_certs_add(&chain, chain_pem, false) : GW_E_CRYPTO;
	*why = e ? "The chain cannot be read. Give certificates in PEM, the gateway's own first." : NULL;
	if (!e) {
		out->not_before_us = unix_us(&chain.valid_from);
		out->not_after_us = unix_us(&chain.valid_to);
		show_names(&chain, out->names, sizeof(out->names));
		for (const mbedtls_x509_crt *c = &chain; c; c = c->next)
			out->n_chain++;
		*why = key_fault(&chain);
		if (!*why)
			*why = chain_fault(&chain);
		if (!*why)
			*why = date_fault(out, now_us);
		if (!*why && key)
			*why = pair_fault(&chain, key);
		if (*why)
			e = GW_E_INVALID;
	}
	mbedtls_x509_crt_free(&chain);
	return e;
}
