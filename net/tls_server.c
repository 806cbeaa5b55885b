/* A server's TLS settings. They never change once made: new certificates make a new context, the old one lives until the
 * last connection that began with it is gone. Which certificate is shown is decided by the name in the client's hello:
 * an exact name, then a wildcard, then the default. */
#include <mbedtls/psa_util.h>
#include <stdlib.h>

#include "lib/secret.h"
#include "net/tls_int.h"

enum { MAX_OWN = 64, HOST_BYTES = 256, TICKET_NAME_BYTES = 4, TICKET_KEEP_S = 2 * GW_TLS_TICKET_LIFE_S };

void tls_own_done(struct tls_own *o)
{
	mbedtls_x509_crt_free(&o->chain);
	mbedtls_pk_free(&o->key);
}

/* ---- which certificate ---- */

/* One label for the star. */
static bool is_wildcard_of(const char *name, const char *host)
{
	const char *dot = strchr(host, '.');

	return name[0] == '*' && name[1] == '.' && dot && dot != host && strcmp(name + 1, dot) == 0;
}

static bool has_name(const struct tls_own *o, const char *host, bool is_wild)
{
	for (const char *n = o->names; *n; n += strlen(n) + 1)
		if (is_wild ? is_wildcard_of(n, host) : strcmp(n, host) == 0)
			return true;
	return false;
}

static struct tls_own *default_of(struct gw_tls_ctx *c)
{
	for (uint32_t i = 0; i < c->n_own; i++)
		if (c->own[i].is_default)
			return &c->own[i];
	return &c->own[0];
}

/* The client named a host. Two certificates for it (RSA and ECDSA) are both offered; the library takes what fits. */
static int on_name(void *p, mbedtls_ssl_context *ssl, const unsigned char *name, size_t n)
{
	struct gw_tls_ctx *c = p;
	char host[HOST_BYTES];
	bool is_found = false;

	if (n >= sizeof(host))
		n = 0;
	for (size_t i = 0; i < n; i++)
		host[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : (char)name[i];
	host[n] = '\0';
	if (n && host[n - 1] == '.')
		host[n - 1] = '\0';
	for (int is_wild = 0; is_wild < 2 && !is_found; is_wild++) {
		for (uint32_t i = 0; i < c->n_own; i++) {
			if (!has_name(&c->own[i], host, is_wild))
				continue;
			if (mbedtls_ssl_set_hs_own_cert(ssl, &c->own[i].chain, &c->own[i].key) != 0)
				return -1;
			is_found = true;
		}
	}
	return 0; /* not found: the default of the settings stands */
}

/* ---- tickets ---- */

/* mbedTLS does not tell afterwards whether a session was resumed; an accepted ticket does. */
static int parse_ticket(void *p, mbedtls_ssl_session *session, unsigned char *buf, size_t n)
{
	struct gw_tls_ctx *c = p;
	int r = mbedtls_ssl_ticket_parse(&c->tickets, session, buf, n);

	if (r == 0)
		c->ticket_hit = true;
	return r;
}

static int write_ticket(void *p, const mbedtls_ssl_session *session, unsigned char *start, const unsigned char *end,
			size_t *n, uint32_t *lifetime_s)
{
	struct gw_tls_ctx *c = p;
	int r = mbedtls_ssl_ticket_write(&c->tickets, session, start, end, n, lifetime_s);

	/* Keys are kept twice as long as a ticket is good for, so that a rotation costs nobody a full handshake. */
	if (r == 0)
		*lifetime_s = GW_TLS_TICKET_LIFE_S;
	return r;
}

static enum gw_err rotate(struct gw_tls_ctx *c, const struct gw_secret *key)
{
	const unsigned char *p = (const unsigned char *)gw_secret_expose(key).p;

	if (gw_secret_len(key) != GW_TLS_TICKET_KEY_BYTES)
		return GW_E_INVALID;
	return mbedtls_ssl_ticket_rotate(&c->tickets, p, TICKET_NAME_BYTES, p + TICKET_NAME_BYTES,
					 GW_TLS_TICKET_KEY_BYTES - TICKET_NAME_BYTES, TICKET_KEEP_S) == 0
		   ? GW_OK
		   : GW_E_CRYPTO;
}

enum gw_err gw_tls_ticket_keys(struct gw_tls_ctx *c, const struct gw_secret *before, const struct gw_secret *now)
{
	enum gw_err e = before ? rotate(c, before) : GW_OK;

	return e ? e : rotate(c, now);
}

static enum gw_err set_tickets(struct gw_tls_ctx *c)
{
	if (mbedtls_ssl_ticket_setup(&c->tickets, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE,
				     MBEDTLS_CIPHER_AES_256_GCM, TICKET_KEEP_S) != 0)
		return GW_E_NOMEM;
	mbedtls_ssl_conf_session_tickets_cb(&c->conf, write_ticket, parse_ticket, c);
	mbedtls_ssl_conf_new_session_tickets(&c->conf, 1);
	return GW_OK;
}

/* ---- making ---- */

static enum gw_err read_own(struct tls_own *o, const struct gw_tls_own *in)
{
	enum gw_err e;

	mbedtls_x509_crt_init(&o->chain);
	mbedtls_pk_init(&o->key);
	o->is_default = in->is_default;
	e = tls_certs_add(&o->chain, in->chain_pem, false);
	if (!e)
		e = tls_key_read(&o->key, gw_secret_expose(in->key));
	if (!e)
		tls_names_of(&o->chain, o->names);
	return e;
}

static enum gw_err add_own(struct gw_tls_ctx *c, const struct gw_tls_server_desc *d, uint32_t *bad)
{
	struct tls_own *def;

	c->own = calloc(d->n_own, sizeof(*c->own));
	if (!c->own)
		return GW_E_NOMEM;
	for (uint32_t i = 0; i < d->n_own; i++) {
		enum gw_err e = read_own(&c->own[i], &d->own[i]);

		c->n_own = i + 1;
		*bad = i;
		if (e)
			return e;
	}
	def = default_of(c);
	if (mbedtls_ssl_conf_own_cert(&c->conf, &def->chain, &def->key) != 0)
		return GW_E_NOMEM;
	if (c->n_own > 1)
		mbedtls_ssl_conf_sni(&c->conf, on_name, c);
	return GW_OK;
}

/* A resumed session does not tell who the client was, so there is none where certificates are asked for. */
static enum gw_err ask_clients(struct gw_tls_ctx *c, const struct gw_tls_server_desc *d)
{
	enum gw_err e = tls_certs_add(&c->certs, d->client_ca_pem, false);

	if (e)
		return e;
	mbedtls_ssl_conf_ca_chain(&c->conf, &c->certs, NULL);
	mbedtls_ssl_conf_session_tickets(&c->conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	mbedtls_ssl_conf_new_session_tickets(&c->conf, 0);
	mbedtls_ssl_conf_authmode(&c->conf, d->client_cert == GW_TLS_CLIENT_REQUIRED ? MBEDTLS_SSL_VERIFY_REQUIRED
										     : MBEDTLS_SSL_VERIFY_OPTIONAL);
	return GW_OK;
}

enum gw_err gw_tls_listener_ctx(const struct gw_tls_server_desc *d, struct gw_tls_ctx **out, uint32_t *bad)
{
	struct gw_tls_ctx *c;
	enum gw_err e;

	*bad = 0;
	if (d->n_own == 0 || d->n_own > MAX_OWN)
		return GW_E_INVALID;
	c = tls_ctx_make();
	if (!c)
		return GW_E_NOMEM;
	c->is_server = true;
	e = tls_ctx_set_up(c, MBEDTLS_SSL_IS_SERVER);
	if (!e)
		e = add_own(c, d, bad);
	if (!e)
		e = set_tickets(c);
	mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_NONE);
	if (!e && d->client_cert != GW_TLS_CLIENT_NONE) {
		*bad = d->n_own;
		e = ask_clients(c, d);
	}
	if (e) {
		gw_tls_ctx_free(c);
		return e;
	}
	*out = c;
	return GW_OK;
}

enum gw_err gw_tls_server_ctx(struct gw_str cert_pem, struct gw_str key_pem, struct gw_tls_ctx **out)
{
	struct gw_secret *key = gw_secret_new(key_pem.p, key_pem.n);
	struct gw_tls_own own = { .chain_pem = cert_pem, .key = key };
	struct gw_tls_server_desc d = { .own = &own, .n_own = 1 };
	uint32_t bad;
	enum gw_err e = key ? gw_tls_listener_ctx(&d, out, &bad) : GW_E_NOMEM;

	gw_secret_unref(key);
	return e;
}
