#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* TLS 1.2 and 1.3 over mbedTLS, fed with bytes (no sockets here): the owner moves cipher bytes between the session and
 * its socket. Client: verification always on (chain and host name), system or own CA, sessions reused per endpoint.
 * Server half: used by mockllm now and by the listener later. */
struct gw_tls_ctx;
struct gw_tls;
/* ca_pem NIL: bundle at ca_path (NIL: usual places). */
GW_MUST enum gw_err gw_tls_client_ctx(struct gw_str ca_pem, struct gw_str ca_path, struct gw_tls_ctx **out);
GW_MUST enum gw_err gw_tls_server_ctx(struct gw_str cert_pem, struct gw_str key_pem, struct gw_tls_ctx **out);
void gw_tls_ctx_free(struct gw_tls_ctx *c);

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
const char *gw_tls_why(const struct gw_tls *t); /* words without addresses or secrets */
