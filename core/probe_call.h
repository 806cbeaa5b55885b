#pragma once
#include "core/plan.h"

/* The smallest call that tells whether a deployment answers, in its provider's own dialect: a list of models, which costs nothing, or one
 * token. Used by the agent's probes and by deployments/{id}:test. */
struct gw_probe_call {
	bool is_chat; /* one token was asked for; the list has no such call at this provider */
	struct gw_str method, path, body; /* in the arena */
	struct gw_str header, header_value; /* one that the dialect wants; NIL: none */
};
/* is_chat: at once. GW_E_NOMEM. */
GW_MUST enum gw_err gw_probe_call(struct gw_arena *a, const struct gw_candidate *c, bool is_chat,
				  struct gw_probe_call *out);
