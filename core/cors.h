#pragma once
#include "lib/buf.h"
#include "lib/str.h"

/* Which web pages may call the data plane from a browser (Fetch standard, CORS). Credentials mode is never allowed: keys
 * travel in a header that the page sets itself, so "*" gives nothing away that a key does not. */
struct gw_cors {
	const struct gw_str *origins; /* exact, or the one entry "*" */
	uint32_t n_origins; /* 0: off */
	const struct gw_str *headers; /* that pages may send; none: those they ask for */
	uint32_t n_headers;
	uint64_t max_age_s;
};
/* NULL when it is an origin (or "*"), else what is wrong with it. */
const char *gw_cors_origin_fault(struct gw_str s);
bool gw_cors_may(const struct gw_cors *c, struct gw_str origin);
/* Header lines for any answer to a request with this Origin (NIL: none). */
void gw_cors_put(const struct gw_cors *c, struct gw_str origin, struct gw_buf *lines);
/* Value of access-control-allow-headers for a preflight that asks for these. */
void gw_cors_put_allowed(const struct gw_cors *c, struct gw_str asked, struct gw_buf *out);
