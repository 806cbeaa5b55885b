/* The engine that runs a request through worker/req_steps.def: a dozen lines that every request passes through. */
#include "worker/req_fsm.h"
#include "lib/err.h"
#include "lib/sys/clock.h"
#include "worker/req.h"

#define E(x) (1u << GW_STEP_##x)
const struct gw_step gw_steps[GW_STEP_COUNT] = {
#define GW_STEP(name, edges, doc) [GW_STEP_##name] = { #name, gw_step_##name, edges, doc },
#include "worker/req_steps.def"
#undef GW_STEP
};
#undef E
_Static_assert(GW_STEP_end == GW_STEP_COUNT - 1, "the last row of the table");
_Static_assert(GW_STEP_COUNT <= 32, "edges is a 32-bit set");

/* Time between two moves belongs to the step that was left, waits included. Steps that read no clock take nothing; their microsecond goes to
 * the next one that does. A request that is timed reads it at each move. */
static void stamp(struct gw_req *r)
{
	uint64_t now = r->is_timed ? gw_now_ns() : gw_recent_ns();

	r->step_ns[r->step] += now - r->stamped_ns;
	r->stamped_ns = now;
}

/* Into the histograms of the steps: of those requests whose every step looked at the clock. */
static void observe(const struct gw_req *r)
{
	enum { GW_MH_step_end = GW_MH_COUNT }; /* nothing happens there */
	static const uint8_t hist[GW_STEP_COUNT] = {
#define GW_STEP(name, edges, doc) [GW_STEP_##name] = GW_MH_step_##name,
#include "worker/req_steps.def"
#undef GW_STEP
	};

	for (int i = 0; r->is_timed && i < GW_STEP_end; i++)
		if (r->step_ns[i])
			gw_observe(&r->w->page->hist[hist[i]], r->step_ns[i] >> 4);
}

_Bool gw_req_run(struct gw_req *r)
{
	GW_REQUIRE(!r->is_running);
	r->is_running = true;
	while (r->step != GW_STEP_end) {
		const struct gw_step *s = &gw_steps[r->step];
		enum gw_step_id next = s->run(r);

		if (next == GW_STEP_wait) {
			r->is_running = false;
			return true;
		}
		GW_REQUIRE(next < GW_STEP_COUNT && (s->edges >> next & 1));
		stamp(r);
		r->step = next;
	}
	r->is_running = false;
	observe(r);
	gw_req_end(r);
	return false;
}
