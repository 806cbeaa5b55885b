/* RS256 (RFC 7518 3.3): RSA signatures of PKCS #1 v1.5 over SHA-256, with a key in PKCS #8 PEM as Google's key files have it. PSA takes the
 * inner PKCS #1 structure; what is around it is taken off here. */
#include <psa/crypto.h>

#include "lib/crypto.h"
#include "lib/text.h"

enum { DER_MAX = 8192, SIG_MAX = 1024 };

/* One DER element of this tag off the front of *s; its content in *in. */
static bool der(struct gw_str *s, uint8_t tag, struct gw_str *in)
{
	size_t at = 2, n;

	if (s->n < 2 || (uint8_t)s->p[0] != tag)
		return false;
	n = (uint8_t)s->p[1];
	if (n >= 0x80) {
		size_t digits = n & 0x7f;

		if (digits == 0 || digits > 3 || s->n < 2 + digits)
			return false;
		for (n = 0; at < 2 + digits; at++)
			n = n << 8 | (uint8_t)s->p[at];
	}
	if (n > s->n - at)
		return false;
	*in = gw_str(s->p + at, n);
	*s = gw_str_skip(*s, at + n);
	return true;
}

/* PKCS #8: SEQUENCE { INTEGER 0, SEQUENCE algorithm, OCTET STRING { PKCS #1 } } */
static bool inner_key(struct gw_str pkcs8, struct gw_str *out)
{
	struct gw_str seq, part;

	return der(&pkcs8, 0x30, &seq) && der(&seq, 0x02, &part) && der(&seq, 0x30, &part) && der(&seq, 0x04, out);
}

/* The base64 between the lines BEGIN and END, decoded. */
static bool from_pem(struct gw_str pem, struct gw_buf *out)
{
	struct gw_str begin = GW_LIT("-----BEGIN PRIVATE KEY-----"), end = GW_LIT("-----END PRIVATE KEY-----");
	const char *from = pem.n ? memmem(pem.p, pem.n, begin.p, begin.n) : NULL, *to;
	struct gw_buf text;
	bool is_good;

	if (!from)
		return false;
	from += begin.n;
	to = memmem(from, (size_t)(pem.p + pem.n - from), end.p, end.n);
	if (!to)
		return false;
	gw_buf_init(&text, DER_MAX * 2);
	for (; from < to; from++) {
		if (*from != '\n' && *from != '\r' && *from != ' ')
			gw_buf_putc(&text, *from);
	}
	is_good = !text.err && gw_b64_read(out, gw_buf_view(&text));
	if (text.p)
		gw_wipe(text.p, text.cap);
	gw_buf_done(&text);
	return is_good;
}

enum gw_err gw_rs256_sign(struct gw_str pem, struct gw_str msg, struct gw_buf *sig)
{
	psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t hash[32], out[SIG_MAX];
	psa_key_id_t id;
	struct gw_str key;
	struct gw_buf pkcs8;
	psa_status_t s = PSA_ERROR_INVALID_ARGUMENT;
	size_t n = 0;

	gw_buf_init(&pkcs8, DER_MAX);
	if (from_pem(pem, &pkcs8) && inner_key(gw_buf_view(&pkcs8), &key)) {
		psa_set_key_type(&a, PSA_KEY_TYPE_RSA_KEY_PAIR);
		psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
		psa_set_key_algorithm(&a, PSA_ALG_RSA_PKCS1V15_SIGN(PSA_ALG_SHA_256));
		s = psa_import_key(&a, (const uint8_t *)key.p, key.n, &id);
	}
	if (pkcs8.p)
		gw_wipe(pkcs8.p, pkcs8.cap);
	gw_buf_done(&pkcs8);
	if (s != PSA_SUCCESS)
		return GW_E_CRYPTO;
	gw_sha256(msg, hash);
	s = psa_sign_hash(id, PSA_ALG_RSA_PKCS1V15_SIGN(PSA_ALG_SHA_256), hash, sizeof(hash), out, sizeof(out), &n);
	psa_destroy_key(id);
	if (s != PSA_SUCCESS)
		return GW_E_CRYPTO;
	gw_buf_put(sig, out, n);
	return sig->err;
}
