#pragma once
#include <stdint.h>

/* The step engine. A step runs until it names the next one; GW_STEP_wait parks the request until an event calls gw_req_run again.
 * Only the engine writes r->step. */
struct gw_req;
enum gw_step_id {
#define GW_STEP(name, edges, doc) GW_STEP_##name,
#include "worker/req_steps.def"
#undef GW_STEP
	GW_STEP_COUNT,
	GW_STEP_wait /* not a step */
};
typedef enum gw_step_id gw_step_fn(struct gw_req *r);
struct gw_step {
	const char *name;
	gw_step_fn *run;
	uint32_t edges;
	const char *doc;
};
extern const struct gw_step gw_steps[GW_STEP_COUNT];

/* Runs steps until one waits or the request ends; a request that ended is freed: r is dead when this returns false. */
_Bool gw_req_run(struct gw_req *r);

#define GW_STEP(name, edges, doc) gw_step_fn gw_step_##name;
#include "worker/req_steps.def"
#undef GW_STEP
