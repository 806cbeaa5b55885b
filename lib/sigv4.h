#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* AWS Signature Version 4 (docs.aws.amazon.com, "Signing AWS API requests"), in the Authorization header. Sign exactly what goes on the
 * wire: the path as it is sent is encoded once more for the signature ("%3A" becomes "%253A"), as all services but S3 want.
 *
 * Nothing is allocated and the body is not seen: the caller gives its SHA-256, so it may lie in pieces or be streamed
 * ("UNSIGNED-PAYLOAD" where the service takes that). Pure: the clock is an argument.
 * Cost: 35,000 instructions for a small Bedrock call on a machine without SHA instructions, three quarters of them the five HMACs
 * (callgrind, release build). */
enum { GW_SIGV4_HEADERS = 48, GW_SIGV4_PARAMS = 64, GW_SIGV4_DATE = 16, GW_SIGV4_AUTH_MAX = 2048 };

struct gw_sigv4_header {
	struct gw_str name, value;
};
struct gw_sigv4 {
	struct gw_str access_key, secret_key, region, service;
	int64_t now_us; /* Unix */
	struct gw_str method;
	struct gw_str path, query; /* as sent; query without '?', "" = none */
	/* What is signed, Host included, x-amz-date not: it is added here. A session token is to be among them as x-amz-security-token. The
	 * same name several times is joined by commas. Those that proxies change (User-Agent, Connection, ...) are passed over. */
	const struct gw_sigv4_header *headers;
	uint32_t n_headers;
	struct gw_str body_hash; /* hex SHA-256 of the body, or UNSIGNED-PAYLOAD */
	bool is_raw_path; /* do not take dots and double slashes out of the path first */
	struct gw_buf *show_request,
	    *show_text; /* for tests: the canonical request and the string to sign are put here too; or NULL */
};
/* date: value of the header x-amz-date; out: value of Authorization, *n bytes of at most GW_SIGV4_AUTH_MAX.
 * GW_E_TOO_BIG: more headers or parameters than are signed, or a value longer than fits; GW_E_INVALID: time before 1970 or after 9999. */
GW_MUST enum gw_err gw_sigv4_sign(const struct gw_sigv4 *s, char date[GW_SIGV4_DATE], char out[GW_SIGV4_AUTH_MAX],
				  size_t *n);
/* Hex SHA-256 of pieces that follow each other. */
void gw_sigv4_hash(const struct gw_str *pieces, size_t n, char out[64]);
