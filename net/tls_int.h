#pragma once
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include "net/tls.h"

/* Inside of net/tls*.c.
 *
 *   tls.c         settings common to both sides, the client's, and one connection over memory
 *   tls_server.c  a server's settings: certificates chosen by name, ticket keys, client certificates
 *   tls_cert.c    reading and judging a certificate and its key
 *   tls_mem.c     where the records of a connection lie */
enum { TLS_NAMES_BYTES = 1024 };

/* One certificate chain that a server may show. */
struct tls_own {
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	char names[TLS_NAMES_BYTES]; /* lower case, each ended by a NUL; an empty one ends the list */
	bool is_default;
};

struct gw_tls_ctx {
	uint32_t refs; /* the owner's and one of each connection: a swap ends nothing */
	mbedtls_ssl_config conf;
	mbedtls_x509_crt certs; /* client: trusted authorities; server: those of client certificates */
	struct tls_own *own; /* server */
	uint32_t n_own;
	mbedtls_ssl_ticket_context tickets;
	bool is_server;
	bool ticket_hit; /* server: a ticket was accepted during the step under way */
};

/* tls.c */
struct gw_tls_ctx *tls_ctx_make(void);
GW_MUST enum gw_err tls_ctx_set_up(struct gw_tls_ctx *c, int endpoint);
/* mbedTLS wants the NUL counted. may_skip_some: certificates that cannot be read are left out. */
GW_MUST enum gw_err tls_certs_add(mbedtls_x509_crt *to, struct gw_str pem, bool may_skip_some);

/* tls_mem.c */
struct tls_mem {
	unsigned char *in, *out; /* our mappings; NULL: the library's own buffers, or (out) the thread's */
	bool is_moved;
};
void tls_mem_begin(struct tls_mem *m, mbedtls_ssl_context *ssl);
void tls_mem_settle(struct tls_mem *m, mbedtls_ssl_context *ssl);
void tls_mem_end(struct tls_mem *m, mbedtls_ssl_context *ssl);

/* tls_server.c */
void tls_own_done(struct tls_own *o);

/* tls_cert.c */
GW_MUST enum gw_err tls_key_read(mbedtls_pk_context *to, struct gw_str pem);
/* Host names of a certificate: its alternative names, else its common name. Those that do not fit are left out. */
void tls_names_of(const mbedtls_x509_crt *crt, char names[TLS_NAMES_BYTES]);
