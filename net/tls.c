/* TLS over memory on mbedTLS 3.6: first the settings made once (versions, suites, groups, authorities, own certificate),
 * then one connection: cipher bytes are fed in and taken out by the owner.
 * Settings are chosen for CPU cost on our side among what every provider offers. Measured with mbedTLS 3.6.6 on x86-64 with
 * AES-NI, a record of 1,400 bytes: ChaCha20-Poly1305 5.9 us, AES-128-GCM 7.6 us (its GHASH goes block by block); a handshake
 * with P-256 is a little cheaper than with X25519. */
#include "net/tls.h"

#include <fcntl.h>
#include <mbedtls/platform.h>
#include <mbedtls/psa_util.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/sys/fd.h"
#include "net/tls_int.h"

enum {
	CA_BUNDLE_BYTES = 8 << 20,
	IN_BYTES = 1 << 20, /* cipher bytes waiting to be opened: far above one read of the owner */
	OUT_BYTES = 64 << 20, /* the owner feeds request bodies in slices; this bounds its mistakes */
	KEEP_BYTES =
	    4
	    << 10, /* of a queue that is empty: more is asked for anew, which is little beside opening that many bytes */
	HOST_BYTES = 256
};

struct gw_tls_session {
	mbedtls_ssl_session s;
};
struct gw_tls {
	mbedtls_ssl_context ssl;
	struct tls_mem mem;
	struct gw_tls_ctx *ctx;
	struct gw_buf in, out;
	struct gw_tls_session *session; /* the newest ticket of TLS 1.3 */
	bool is_done, is_broken, was_verified, was_resumed;
	bool has_given_session; /* one is enough */
	char why[96];
};

static const int suites[] = { MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
			      MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
			      MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
			      MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			      MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			      MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			      MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			      MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			      MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			      0 };
static const uint16_t groups[] = { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
				   MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE };
static const char *protocols[] = { "http/1.1", NULL };

enum gw_err tls_ctx_set_up(struct gw_tls_ctx *c, int endpoint)
{
	if (psa_crypto_init() != PSA_SUCCESS)
		return GW_E_CRYPTO;
	if (mbedtls_ssl_config_defaults(&c->conf, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) !=
	    0)
		return GW_E_NOMEM;
	mbedtls_ssl_conf_rng(&c->conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
	mbedtls_ssl_conf_min_tls_version(&c->conf, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(&c->conf, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_ciphersuites(&c->conf, suites);
	mbedtls_ssl_conf_groups(&c->conf, groups);
	/* a resumed session still makes a fresh shared secret */
	mbedtls_ssl_conf_tls13_key_exchange_modes(&c->conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL |
								MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
	mbedtls_ssl_conf_renegotiation(&c->conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
	mbedtls_ssl_conf_session_tickets(&c->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
	return mbedtls_ssl_conf_alpn_protocols(&c->conf, protocols) == 0 ? GW_OK : GW_E_NOMEM;
}

struct gw_tls_ctx *tls_ctx_make(void)
{
	struct gw_tls_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->refs = 1;
	mbedtls_ssl_config_init(&c->conf);
	mbedtls_x509_crt_init(&c->certs);
	mbedtls_ssl_ticket_init(&c->tickets);
	return c;
}

void gw_tls_ctx_free(struct gw_tls_ctx *c)
{
	if (!c || --c->refs)
		return;
	mbedtls_ssl_config_free(&c->conf);
	mbedtls_x509_crt_free(&c->certs);
	for (uint32_t i = 0; i < c->n_own; i++)
		tls_own_done(&c->own[i]);
	free(c->own);
	mbedtls_ssl_ticket_free(&c->tickets);
	free(c);
}

enum gw_err tls_certs_add(mbedtls_x509_crt *to, struct gw_str pem, bool may_skip_some)
{
	struct gw_buf z;
	int r;

	gw_buf_init(&z, CA_BUNDLE_BYTES + 1);
	gw_buf_puts(&z, pem);
	gw_buf_putc(&z, '\0');
	if (z.err) {
		gw_buf_done(&z);
		return GW_E_TOO_BIG;
	}
	r = mbedtls_x509_crt_parse(to, (const unsigned char *)z.p, z.n);
	gw_buf_done(&z);
	/* > 0: that many of the certificates could not be read; a system bundle may hold exotic ones */
	return r < 0 || (r > 0 && !may_skip_some) || to->version == 0 ? GW_E_INVALID : GW_OK;
}

const char *const gw_tls_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
	NULL,
};

enum gw_err gw_tls_bundle_open(struct gw_str ca_path, int *fd)
{
	char path[1024];

	*fd = -1;
	if (ca_path.n > 0 && ca_path.n < sizeof(path)) {
		memcpy(path, ca_path.p, ca_path.n);
		path[ca_path.n] = '\0';
		*fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	for (size_t i = 0; ca_path.n == 0 && *fd < 0 && gw_tls_bundles[i]; i++)
		*fd = open(gw_tls_bundles[i], O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? GW_E_NOT_FOUND : GW_OK;
}

static enum gw_err add_bundle(mbedtls_x509_crt *to, int fd)
{
	struct gw_buf pem;
	enum gw_err e;

	gw_buf_init(&pem, CA_BUNDLE_BYTES);
	e = gw_read_rest(fd, &pem);
	if (e == GW_OK)
		e = tls_certs_add(to, gw_buf_view(&pem), true);
	gw_buf_done(&pem);
	return e;
}

/* ca_pem NIL: what bundle_fd holds. */
static enum gw_err client_ctx(struct gw_str ca_pem, int bundle_fd, struct gw_tls_ctx **out)
{
	struct gw_tls_ctx *c = tls_ctx_make();
	enum gw_err e;

	if (!c)
		return GW_E_NOMEM;
	e = tls_ctx_set_up(c, MBEDTLS_SSL_IS_CLIENT);
	if (e == GW_OK)
		e = ca_pem.n > 0 ? tls_certs_add(&c->certs, ca_pem, false) : add_bundle(&c->certs, bundle_fd);
	if (e != GW_OK) {
		gw_tls_ctx_free(c);
		return e;
	}
	mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(&c->conf, &c->certs, NULL);
	mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(&c->conf,
								 MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
	*out = c;
	return GW_OK;
}

enum gw_err gw_tls_client_ctx_of(int bundle_fd, struct gw_tls_ctx **out)
{
	return client_ctx(GW_NIL, bundle_fd, out);
}

enum gw_err gw_tls_client_ctx(struct gw_str ca_pem, struct gw_str ca_path, struct gw_tls_ctx **out)
{
	int fd = -1;
	enum gw_err e = ca_pem.n > 0 ? GW_OK : gw_tls_bundle_open(ca_path, &fd);

	if (e == GW_OK)
		e = client_ctx(ca_pem, fd, out);
	gw_close(&fd);
	return e;
}

static int on_send(void *p, const unsigned char *bytes, size_t n)
{
	struct gw_tls *t = p;

	gw_buf_put(&t->out, bytes, n);
	t->is_broken |= t->out.err != GW_OK; /* never again a call: a record must not stay behind in the library */
	return t->out.err ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)n;
}

static int on_recv(void *p, unsigned char *to, size_t n)
{
	struct gw_tls *t = p;
	size_t have = gw_buf_len(&t->in);

	if (have == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (n > have)
		n = have;
	memcpy(to, t->in.p + t->in.off, n);
	t->in.off += n; /* compacted once per feed, not per record */
	return (int)n;
}

/* Called for each certificate of a full handshake, never on resumption: that is how resumption is seen. */
static int on_verify(void *p, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct gw_tls *t = p;

	(void)crt;
	(void)depth;
	(void)flags;
	t->was_verified = true;
	return 0;
}

static void explain(struct gw_tls *t, int r)
{
	static const struct {
		uint32_t flag;
		const char *words;
	} rows[] = {
		{ MBEDTLS_X509_BADCERT_EXPIRED, "the certificate has expired" },
		{ MBEDTLS_X509_BADCERT_FUTURE, "the certificate is not valid yet" },
		{ MBEDTLS_X509_BADCERT_CN_MISMATCH, "the certificate is for another host name" },
		{ MBEDTLS_X509_BADCERT_NOT_TRUSTED, "the certificate is not signed by a trusted authority" },
		{ MBEDTLS_X509_BADCERT_REVOKED, "the certificate is revoked" },
	};
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

	t->is_broken = true;
	if (r == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (flags & rows[i].flag) {
				snprintf(t->why, sizeof(t->why), "%s", rows[i].words);
				return;
			}
	if (r == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
		snprintf(t->why, sizeof(t->why), "the certificate is not acceptable (flags 0x%x)", (unsigned)flags);
	else if (r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		snprintf(t->why, sizeof(t->why), "the peer sent a fatal alert");
	else
		snprintf(t->why, sizeof(t->why), "TLS error -0x%04x", (unsigned)-r);
}

void gw_tls_session_free(struct gw_tls_session *s)
{
	if (!s)
		return;
	mbedtls_ssl_session_free(&s->s);
	free(s);
}

enum gw_err gw_tls_new(struct gw_tls_ctx *c, struct gw_str host, const struct gw_tls_session *resume,
		       struct gw_tls **out)
{
	struct gw_tls *t;
	char name[HOST_BYTES];

	if (host.n >= sizeof(name) || (!c->is_server && host.n == 0))
		return GW_E_INVALID;
	t = calloc(1, sizeof(*t));
	if (!t)
		return GW_E_NOMEM;
	t->ctx = c;
	c->refs++;
	mbedtls_ssl_init(&t->ssl);
	gw_buf_init(&t->in, IN_BYTES);
	gw_buf_init(&t->out, OUT_BYTES);
	if (host.n > 0)
		memcpy(name, host.p, host.n);
	name[host.n] = '\0';
	if (mbedtls_ssl_setup(&t->ssl, &c->conf) != 0) {
		gw_tls_free(t);
		return GW_E_NOMEM;
	}
	tls_mem_begin(&t->mem, &t->ssl);
	if ((!c->is_server && mbedtls_ssl_set_hostname(&t->ssl, name) != 0)) {
		gw_tls_free(t);
		return GW_E_NOMEM;
	}
	mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
	mbedtls_ssl_set_verify(&t->ssl, on_verify, t);
	/* a session that does not fit any more only costs a full handshake */
	if (resume)
		(void)mbedtls_ssl_set_session(&t->ssl, &resume->s);
	*out = t;
	return GW_OK;
}

void gw_tls_free(struct gw_tls *t)
{
	if (!t)
		return;
	gw_tls_session_free(t->session);
	tls_mem_end(&t->mem, &t->ssl);
	mbedtls_ssl_free(&t->ssl);
	gw_buf_done(&t->in);
	gw_buf_done(&t->out);
	gw_tls_ctx_free(t->ctx);
	free(t);
}

enum gw_err gw_tls_feed(struct gw_tls *t, const void *p, size_t n)
{
	gw_buf_consume(&t->in, 0); /* what on_recv took goes now */
	if (gw_buf_len(&t->in) == 0)
		gw_buf_clear(&t->in, KEEP_BYTES);
	gw_buf_put(&t->in, p, n);
	return t->in.err;
}

void gw_tls_trim(struct gw_tls *t)
{
	if (gw_buf_len(&t->out) == 0)
		gw_buf_clear(&t->out, 0);
	if (gw_buf_len(&t->in) == 0)
		gw_buf_clear(&t->in, 0);
}

struct gw_buf *gw_tls_out(struct gw_tls *t)
{
	return &t->out;
}

/* The provider's chain was judged; nobody asks for it again, and it is the largest part of a connection that stands and of each session. */
static void drop_peer_chain(struct gw_tls *t)
{
#if defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE)
	mbedtls_ssl_session *s = t->ssl.MBEDTLS_PRIVATE(session);

	if (!s || !s->MBEDTLS_PRIVATE(peer_cert))
		return;
	mbedtls_x509_crt_free(s->MBEDTLS_PRIVATE(peer_cert));
	mbedtls_free(s->MBEDTLS_PRIVATE(peer_cert));
	s->MBEDTLS_PRIVATE(peer_cert) = NULL;
#endif
}

/* What a handshake needs is a multiple of what a connection needs that carries small records. */
static void settle(struct gw_tls *t)
{
	t->is_done = true;
	if (!t->ctx->is_server) {
		t->was_resumed = !t->was_verified;
		drop_peer_chain(t);
	}
	tls_mem_settle(&t->mem, &t->ssl);
	if (gw_buf_len(&t->in) == 0)
		gw_buf_clear(&t->in, 0);
}

enum gw_err gw_tls_handshake(struct gw_tls *t)
{
	int r;

	if (t->is_done)
		return GW_OK;
	if (t->is_broken)
		return GW_E_UP_TLS;
	t->ctx->ticket_hit = false;
	r = mbedtls_ssl_handshake(&t->ssl);
	if (t->ctx->is_server && t->ctx->ticket_hit)
		t->was_resumed = true;
	/* a client may leave its certificate out where it is optional, but not show a bad one */
	if (r == 0 && t->ctx->is_server && mbedtls_ssl_get_peer_cert(&t->ssl) &&
	    mbedtls_ssl_get_verify_result(&t->ssl) != 0)
		r = MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
	if (r == 0) {
		settle(t);
		return GW_OK;
	}
	if (r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE)
		return GW_E_AGAIN;
	explain(t, r);
	return GW_E_UP_TLS;
}

bool gw_tls_was_resumed(const struct gw_tls *t)
{
	return t->is_done && t->was_resumed;
}

static struct gw_tls_session *export_session(struct gw_tls *t)
{
	struct gw_tls_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	mbedtls_ssl_session_init(&s->s);
	if (mbedtls_ssl_get_session(&t->ssl, &s->s) == 0)
		return s;
	gw_tls_session_free(s);
	return NULL;
}

static void keep_ticket(struct gw_tls *t)
{
	struct gw_tls_session *s = t->has_given_session ? NULL : export_session(t);

	if (!s)
		return;
	gw_tls_session_free(t->session);
	t->session = s;
}

enum gw_err gw_tls_write(struct gw_tls *t, const void *p, size_t n)
{
	const unsigned char *at = p;
	int r;

	if (!t->is_done || t->is_broken)
		return GW_E_UP_TLS;
	while (n > 0) {
		r = mbedtls_ssl_write(&t->ssl, at, n);
		if (r ==
		    MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) { /* it came with the last read, nothing is written yet */
			keep_ticket(t);
			continue;
		}
		if (r <= 0) {
			explain(t, r);
			return GW_E_UP_TLS;
		}
		at += r;
		n -= (size_t)r;
	}
	return GW_OK;
}

long gw_tls_read(struct gw_tls *t, void *p, size_t n)
{
	size_t left;
	int r;

	if (!t->is_done || t->is_broken)
		return -2;
	for (;;) {
		left = gw_buf_len(&t->in);
		r = mbedtls_ssl_read(&t->ssl, p, n);
		if (r > 0)
			return r;
		if (r == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
			keep_ticket(t);
			continue;
		}
		if (r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE) {
			/* also said after a message of the handshake layer (a ticket), before it is acted upon and whether or not
			 * more records wait: only a call that took nothing in is the end */
			if (gw_buf_len(&t->in) < left)
				continue;
			if (left == 0)
				gw_buf_clear(&t->in, KEEP_BYTES);
			return 0;
		}
		if (r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || r == 0)
			return -1;
		explain(t, r);
		return -2;
	}
}

bool gw_tls_peer_subject(const struct gw_tls *t, char *out, size_t n)
{
	const mbedtls_x509_crt *crt = t->is_done ? mbedtls_ssl_get_peer_cert(&t->ssl) : NULL;

	return crt && mbedtls_ssl_get_verify_result(&t->ssl) == 0 && mbedtls_x509_dn_gets(out, n, &crt->subject) > 0;
}

const char *gw_tls_version(const struct gw_tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

void gw_tls_close_notify(struct gw_tls *t)
{
	if (t->is_done && !t->is_broken)
		(void)mbedtls_ssl_close_notify(&t->ssl);
}

struct gw_tls_session *gw_tls_session_take(struct gw_tls *t)
{
	struct gw_tls_session *s = t->session;

	t->session = NULL;
	t->has_given_session |= s != NULL;
	if (s || !t->is_done || t->ctx->is_server)
		return s;
	/* TLS 1.2 has its session as soon as the handshake ends */
	return mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2 ? export_session(t) : NULL;
}

const char *gw_tls_why(const struct gw_tls *t)
{
	return t->why[0] ? t->why : "no TLS error";
}
