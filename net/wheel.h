#pragma once
#include <uv.h>
#include "lib/err.h"

/* Deadlines for many things with one uv_timer: a ring of slots, 8 ms each. Adding, moving and removing are O(1) and touch
 * no heap; the loop is woken only for slots that hold something. Resolution is one slot, always late, never early.
 * An item whose time lies further away than a turn of the wheel (8.2 s) is looked at once a turn. */
enum { GW_WHEEL_SLOTS = 1024, GW_WHEEL_SLOT_MS = 8 };

struct gw_wheel_item {
	struct gw_wheel_item *next, *prev; /* NULL: not on a wheel */
	uint64_t due_ms;
	void (*fn)(void *ctx); /* called off the wheel; may add the item again */
	void *ctx;
};
struct gw_wheel {
	uv_timer_t timer;
	struct gw_wheel_item slots[GW_WHEEL_SLOTS]; /* list heads */
	uint64_t used[GW_WHEEL_SLOTS / 64]; /* slots that may hold items */
	uint64_t at; /* slot number (time / slot) up to which all has been looked at */
	uint64_t armed_ms; /* when the timer goes off; UINT64_MAX = not armed */
	uint32_t n;
};

GW_MUST enum gw_err gw_wheel_init(struct gw_wheel *w, uv_loop_t *loop);
/* Closes the timer; on_closed gets the handle, whose data is ctx. Items are forgotten. */
void gw_wheel_close(struct gw_wheel *w, uv_close_cb on_closed, void *ctx);
uint64_t gw_wheel_now_ms(const struct gw_wheel *w); /* the loop's time */
/* Adds or moves. */
void gw_wheel_set(struct gw_wheel *w, struct gw_wheel_item *it, uint64_t due_ms);
void gw_wheel_drop(struct gw_wheel *w, struct gw_wheel_item *it);
