/* Estimated usage of conversations between dialects (ir_estimate.h). */
#include "core/dialect/ir_estimate.h"

void ir_estimate_event(struct gw_estimate *e, const struct ir_event *ev)
{
	if (ev->kind == IR_EV_DELTA && ev->delta <= IR_DELTA_ARGS)
		gw_estimate_text(e, ev->text);
	else if (ev->kind == IR_EV_BLOCK_START && ev->start.kind == IR_TOOL_CALL)
		gw_estimate_call(e, ev->start.name);
}

void ir_estimate_usage(struct gw_usage *u, const struct gw_carry *c, uint64_t output)
{
	if (!c->asked.n)
		return;
	u->input = gw_estimate_request(c->family, c->asked);
	u->output = output;
	u->is_known = u->is_estimated = true;
	gw_usage_settle(u);
}
