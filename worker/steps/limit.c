/* limit: how many requests of one key may be under way in this worker. */
#include "worker/req.h"

/* Cell of the key: the first one with its hash, or a free one on the way. Cells are reused when their count is zero. */
static struct gw_key_load *cell_of(struct gw_worker *w, uint64_t hash)
{
	struct gw_key_load *empty = NULL;

	for (uint32_t i = 0; i < 32; i++) {
		struct gw_key_load *c = &w->loads[(hash + i) & (GW_KEY_LOADS - 1)];

		if (c->hash == hash)
			return c;
		if (c->n == 0 && !empty)
			empty = c;
	}
	if (empty)
		empty->hash = hash;
	return empty;
}

enum gw_step_id gw_step_limit(struct gw_req *r)
{
	uint64_t hash;

	memcpy(&hash, r->subject.key_index, sizeof hash);
	struct gw_key_load *c = cell_of(r->w, hash);
	if (!c)
		return gw_req_fail(r, GW_E_BUSY, GW_NIL);
	if (c->n >= r->w->limits.max_in_flight_per_key)
		return gw_req_fail(r, GW_E_LIMIT,
				   GW_LIT("This API key has too many requests under way; wait for some to finish."));
	c->n++;
	r->load = c;
	return GW_STEP_pick;
}
