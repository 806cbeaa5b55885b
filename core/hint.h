#pragma once
#include "lib/err.h"
#include "lib/str.h"

/* What to do about a credential or deployment that does not work: for operators, never for clients. Pure. */

/* By what the provider said, else by what kind of failure it was; NIL: nothing in particular. Static text. */
struct gw_str gw_hint_of(enum gw_err err, struct gw_str said);

struct gw_provider;
/* A key that begins as another vendor's do, at a provider of this row that is asked at its own address: what is odd about it, for people. NIL: nothing.
 * Holds nothing of the secret. */
struct gw_str gw_hint_key(const struct gw_provider *row, bool has_own_address, struct gw_str secret);
/* The same of AWS keys, "id:secret[:session]". */
struct gw_str gw_hint_aws(struct gw_str secret);
