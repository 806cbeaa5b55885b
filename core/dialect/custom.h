#pragma once
#include "core/dialect/ir_reply.h"

/* Custom tools of OpenAI take free text instead of arguments. Providers of other dialects know functions alone: there such a tool is a function
 * with one text, "input". In requests the tools, their calls in the history and the grammar (which becomes words of the description; that
 * nobody holds the model to it is noted) are turned into that; in replies and streams the text is taken out of the arguments again. No writer
 * or reader of those dialects sees a custom tool. */

struct gw_carry;
struct gw_carry_name;

/* Turns them. carry->customs gets their names. False: the arena is full. */
bool gw_custom_hide(struct gw_arena *a, struct ir_request *rq, struct gw_carry *carry);
/* Back again, in a whole reply. */
bool gw_custom_show(struct gw_arena *a, struct ir_reply *rp, const struct gw_carry *carry);

/* ... in a stream. The arguments' JSON may be cut anywhere; the text in it goes on as it comes. Arguments of another shape than the one that was asked
 * for are held until they are whole. */
enum { GW_CUSTOM_OPEN = 16, GW_CUSTOM_BYTES = 5 << 20 };
struct gw_custom_call {
	bool is_open;
	enum { GW_CUSTOM_BEFORE, GW_CUSTOM_INSIDE, GW_CUSTOM_AFTER, GW_CUSTOM_ODD } at;
	uint32_t choice, block;
	struct gw_buf held; /* what cannot be told yet */
};
struct gw_custom {
	struct gw_arena *keep, *scratch;
	struct gw_custom_call *calls; /* GW_CUSTOM_OPEN of them, made when first needed */
};
void gw_custom_done(struct gw_custom *c);
/* Gives `ev`, or what becomes of it, to fn. GW_E_UP_TOO_BIG: too many open at once, or held back; GW_E_NOMEM; what fn returned. */
GW_MUST enum gw_err gw_custom_event(struct gw_custom *c, const struct gw_carry *carry, const struct ir_event *ev,
				    ir_event_fn *fn, void *ctx);
