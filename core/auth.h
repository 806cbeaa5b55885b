#pragma once
#include "core/plan.h"

/* What a request to a provider gets so that the provider knows whose it is: a header, a query parameter, or a signature over all of it. Pure:
 * the secret, the clock and the room for the values are arguments; nothing is kept.
 *
 * The plaintext of a lease, by the credential's kind: an API key or a token as it is; AWS keys as "id:secret" or "id:secret:session token"
 * (none of the three can have a colon). core/cred.h reads and makes these. */
enum { GW_AUTH_ROOM = 24 << 10, GW_AUTH_ADDS = 3, GW_AUTH_SIGNED = 24, GW_AUTH_PARTS = 2 };

struct gw_auth_header {
	struct gw_str name, value;
};
struct gw_auth_request {
	struct gw_str method, path; /* as it will be sent, with query, encoded */
	const struct gw_auth_header
	    *headers; /* that are sent with it; those that signatures cover are found among them */
	uint32_t n_headers;
	const struct gw_str *body; /* pieces */
	uint32_t n_body;
	bool is_streamed; /* the body comes later: it is no part of a signature */
	int64_t now_us;
};
struct gw_auth_add {
	struct gw_auth_header v[GW_AUTH_ADDS];
	uint32_t n;
	struct gw_str path; /* the request's own, or one with the key in it */
	size_t room_n; /* bytes of the room that were written: to be wiped, also after a failure */
};
/* Values lie in `room` (GW_AUTH_ROOM bytes, the caller wipes room_n of them). secret NIL: the deployment has no credential, nothing is added.
 * GW_E_CRED_MISSING: the secret is not what its kind needs, or (signatures) no region is known; GW_E_TOO_BIG. */
GW_MUST enum gw_err gw_auth_make(const struct gw_candidate *c, struct gw_str secret, const struct gw_auth_request *rq,
				 char *room, struct gw_auth_add *out);
/* The parts of a lease that must not be seen in anything that leaves, for scrubbing: at most GW_AUTH_PARTS. */
uint32_t gw_auth_secret_parts(enum gw_auth_kind kind, struct gw_str secret, struct gw_str parts[GW_AUTH_PARTS]);
