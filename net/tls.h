#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"
#include "lib/str.h"

/* TLS 1.2 and 1.3 over mbedTLS, fed with bytes (no sockets here): the owner moves cipher bytes between the session and
 * its socket. Client: verification always on (chain and host name), system or own CA, sessions reused per endpoint.
 * Server: several certificates chosen by the name that the client asks for, ticket keys that several processes share. */
struct gw_tls_ctx;
struct gw_tls; /* of one thread, from its beginning to its end */
extern const char *const gw_tls_bundles[]; /* the usual places of the system's CA bundle, ended by NULL */
/* ca_pem NIL: bundle at ca_path (NIL: usual places). */
GW_MUST enum gw_err gw_tls_client_ctx(struct gw_str ca_pem, struct gw_str ca_path, struct gw_tls_ctx **out);
/* The same in two halves: the bundle is opened before the sandbox closes, and read when somebody needs it (some 150 certificates:
 * several milliseconds and a third of a MiB). The descriptor stays the caller's. */
GW_MUST enum gw_err gw_tls_bundle_open(struct gw_str ca_path, int *fd);
GW_MUST enum gw_err gw_tls_client_ctx_of(int bundle_fd, struct gw_tls_ctx **out);
GW_MUST enum gw_err gw_tls_server_ctx(struct gw_str cert_pem, struct gw_str key_pem, struct gw_tls_ctx **out);
/* A certificate that a server may show; the key in PEM. */
struct gw_tls_own {
	struct gw_str chain_pem; /* leaf first */
	const struct gw_secret *key;
	bool is_default; /* for clients that ask for no name, or for one that none is for; else the first */
};
enum gw_tls_client_cert { GW_TLS_CLIENT_NONE, GW_TLS_CLIENT_OPTIONAL, GW_TLS_CLIENT_REQUIRED };
struct gw_tls_server_desc {
	const struct gw_tls_own *own;
	uint32_t n_own; /* 1 .. 64 */
	struct gw_str client_ca_pem; /* authorities of client certificates */
	enum gw_tls_client_cert client_cert;
};
/* GW_E_INVALID: a chain or key cannot be used (*bad: which, or n_own for the client authorities). */
GW_MUST enum gw_err gw_tls_listener_ctx(const struct gw_tls_server_desc *d, struct gw_tls_ctx **out, uint32_t *bad);
/* Ticket keys of all who serve the same names: `now` seals, `before` (may be NULL) still opens. Without this call the
 * context makes its own. Each has GW_TLS_TICKET_KEY_BYTES. */
enum { GW_TLS_TICKET_KEY_BYTES = 36, GW_TLS_TICKET_LIFE_S = 43200 };
GW_MUST enum gw_err gw_tls_ticket_keys(struct gw_tls_ctx *c, const struct gw_secret *before,
				       const struct gw_secret *now);
/* Connections that use it keep it alive. */
void gw_tls_ctx_free(struct gw_tls_ctx *c);

/* What a certificate says, and whether it can serve: read, in order, key fits, key strong enough, valid now. */
struct gw_tls_cert_info {
	int64_t not_before_us, not_after_us;
	char names[512]; /* "a.example, *.b.example" */
	unsigned n_chain;
};
/* On failure *why is a sentence for the operator (static). key NULL: not looked at. now_us 0: dates are not judged. */
GW_MUST enum gw_err gw_tls_cert_check(struct gw_str chain_pem, const struct gw_secret *key, int64_t now_us,
				      struct gw_tls_cert_info *out, const char **why);

struct gw_tls_session; /* a resumable client session, opaque; owned by the endpoint */
void gw_tls_session_free(struct gw_tls_session *s);

/* host: SNI and name to verify (NIL on the server). resume may be NULL. */
GW_MUST enum gw_err gw_tls_new(struct gw_tls_ctx *c, struct gw_str host, const struct gw_tls_session *resume,
			       struct gw_tls **out);
void gw_tls_free(struct gw_tls *t);
/* Cipher bytes from the socket. */
GW_MUST enum gw_err gw_tls_feed(struct gw_tls *t, const void *p, size_t n);
/* Cipher bytes for the socket: take them from this queue with gw_buf_view / gw_buf_consume. */
struct gw_buf *gw_tls_out(struct gw_tls *t);
/* Gives back what the queues have and do not need now. */
void gw_tls_trim(struct gw_tls *t);
/* GW_OK done, GW_E_AGAIN more bytes needed, GW_E_UP_TLS failed (gw_tls_why). Verification failure is a failure. */
GW_MUST enum gw_err gw_tls_handshake(struct gw_tls *t);
bool gw_tls_was_resumed(const struct gw_tls *t);
/* Plain bytes in: encrypts into gw_tls_out. */
GW_MUST enum gw_err gw_tls_write(struct gw_tls *t, const void *p, size_t n);
/* Plain bytes out: n > 0 bytes, 0 = nothing now, -1 = clean close_notify, -2 = broken. */
long gw_tls_read(struct gw_tls *t, void *p, size_t n);
void gw_tls_close_notify(struct gw_tls *t);
/* The session for later reuse, or NULL; call when the connection has been used (TLS 1.3 tickets come late). */
struct gw_tls_session *gw_tls_session_take(struct gw_tls *t);
/* Verified subject of the client's certificate, as text; false when it showed none. */
bool gw_tls_peer_subject(const struct gw_tls *t, char *out, size_t n);
const char *gw_tls_version(const struct gw_tls *t); /* "TLSv1.3" */
const char *gw_tls_why(const struct gw_tls *t); /* words without addresses or secrets */
