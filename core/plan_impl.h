#pragma once
#include "core/config_types.h"
#include "core/plan.h"

/* Shared by core/plan*.c only. */

/* The request's arena behind the plan's own ceiling. */
struct gw_plan_room {
	struct gw_arena *arena;
	size_t left;
	const struct gw_subject *subject; /* whose request it is; NULL for probes */
	bool has_owner; /* of the model whose targets are looked at: */
	struct gw_str org, team;
};
/* .p NULL when the plan or the arena is full. */
struct gw_str gw_plan_copy(struct gw_plan_room *m, struct gw_str s);
bool gw_plan_copy_list(struct gw_plan_room *m, const struct gw_strs *in, struct gw_strs *out);

/* Appends the candidate of a target. GW_E_NOT_FOUND: a part of it is disabled or gone, so it is left out. */
GW_MUST enum gw_err gw_plan_candidate(struct gw_plan_room *m, const struct gw_rows *rows,
				      const struct gw_cf_target *target, bool is_probe_default, struct gw_plan *plan);
/* The price lists that may hold for c, whose other parts are set; d is its deployment, just read. */
GW_MUST enum gw_err gw_plan_prices(struct gw_plan_room *m, const struct gw_rows *rows, const struct gw_cf_deployment *d,
				   struct gw_candidate *c);
