#pragma once
#include "core/dialect/dialect.h"

/* Usage of a conversation that its provider did not tell (core/estimate.h), for those who write the reply: clients whose dialect always tells
 * usage get a number, not zeros. */

/* What a model says, event by event. */
void ir_estimate_event(struct gw_estimate *e, const struct ir_event *ev);
/* Input by the client's request, output as given. Does nothing when the request is not there (carry.asked). */
void ir_estimate_usage(struct gw_usage *u, const struct gw_carry *c, uint64_t output);
