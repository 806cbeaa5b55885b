/* One deployment as a plan of its own: what the agent probes and tests. */
#include "core/plan_impl.h"

static enum gw_err probe_of(const struct gw_rows *rows, struct gw_arena *a, struct gw_str deployment, uint32_t *probe)
{
	struct gw_cf_deployment d;
	struct gw_str bytes;
	enum gw_err e = rows->object(rows->ctx, GW_KIND_deployment, deployment, &bytes);

	if (!e)
		e = gw_cf_read_deployment(bytes, a, &d);
	if (!e)
		*probe = d.probe;
	return e;
}

enum gw_err gw_plan_one(struct gw_arena *a, const struct gw_rows *rows, struct gw_str deployment, struct gw_plan *out,
			uint32_t *probe)
{
	struct gw_plan_room m = { .arena = a, .left = GW_PLAN_MAX_BYTES };
	struct gw_plan plan = { .generation = out->generation };
	struct gw_cf_target target = { .deployment = gw_plan_copy(&m, deployment), .weight = 1 };
	enum gw_err e = target.deployment.p ? probe_of(rows, a, target.deployment, probe) : GW_E_NOMEM;

	if (e)
		return e;
	plan.candidates = GW_NEW_N(a, struct gw_candidate, 1);
	if (!plan.candidates)
		return GW_E_NOMEM;
	e = gw_plan_candidate(&m, rows, &target, true, &plan);
	if (!e)
		*out = plan;
	return e;
}
