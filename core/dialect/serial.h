#pragma once
#include "core/dialect/ir_reply.h"

/* Between a reader whose blocks may overlap (OpenAI streams parallel calls side by side) and a writer whose dialect has one block open at a
 * time: what belongs to a later block is held back until the ones before it have stopped. Block numbers stay as they are. Only choice 0
 * passes: dialects of this kind know no others. */
enum { GW_SERIAL_BLOCKS = 128, GW_SERIAL_BYTES = 4 << 20 };

struct gw_serial_block {
	bool is_stopped, has_signature;
	struct ir_block start; /* texts in `words` */
	struct gw_buf words, held; /* id and name; text or arguments so far */
	struct gw_buf signature;
	enum gw_dialect_id signature_of;
};
struct gw_serial {
	struct gw_arena *a; /* for the table, once */
	bool is_open;
	uint32_t open; /* the block that passes */
	uint32_t first, n; /* held ones: block numbers first .. first + n - 1 */
	struct gw_serial_block *held; /* GW_SERIAL_BLOCKS of them, made when first needed */
	size_t bytes;
};
void gw_serial_done(struct gw_serial *s);
/* Gives `ev` to fn, now or later. GW_E_UP_TOO_BIG: more is held back than GW_SERIAL_BYTES or GW_SERIAL_BLOCKS; GW_E_NOMEM; what fn returned. */
GW_MUST enum gw_err gw_serial_event(struct gw_serial *s, const struct ir_event *ev, ir_event_fn *fn, void *ctx);
