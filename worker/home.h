#pragma once
#include "core/dialect/translate.h"
#include "worker/req.h"

/* Client and provider speak the same dialect and the body passes as it came: unless it brings proofs of other makers back, which the
 * provider would refuse (core/dialect/mark.h), or members and roles that it does not know (core/dialect/plain.h). Then it is written anew without them, for this attempt alone. */

/* The body to send instead, whole, with the provider's name of the model; .p NULL: what came passes. It lasts as long as the attempt. */
GW_MUST enum gw_err gw_home_body(struct gw_req *r, const struct gw_candidate *c, const struct gw_dialect *d,
				 struct gw_str *out);
void gw_home_done(struct gw_req *r);
/* Tells, in header and record, what the provider does not get; a strict request is refused for it. */
GW_MUST enum gw_err gw_home_dropped(struct gw_req *r, struct gw_str names);
