#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* An absolute http or https URL (RFC 3986), strict: no userinfo, no fragment, no control bytes, no backslash, host is a
 * DNS name (ASCII, <= 253), a dotted-quad IPv4 or a bracketed IPv6 literal; other numeric IPv4 spellings (octal, hex,
 * one number) are refused. All parts are views into the text. */
struct gw_url {
	bool is_https;
	struct gw_str host; /* without brackets */
	bool is_ipv6;
	uint16_t port; /* default filled in */
	struct gw_str path; /* "" or begins with '/', no trailing '/' */
	struct gw_str query; /* without '?' */
};
GW_MUST enum gw_err gw_url_parse(struct gw_str text, struct gw_url *out);
/* Percent-encode all but unreserved characters. */
void gw_url_encode(struct gw_buf *b, struct gw_str s);
/* Decode %XX (and nothing else) into b; false on bad escapes or NUL. */
bool gw_url_decode(struct gw_buf *b, struct gw_str s);
/* Value of `key` in a query string "a=1&b=2", still encoded; false when absent. */
bool gw_query_get(struct gw_str query, struct gw_str key, struct gw_str *out);
