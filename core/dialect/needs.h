#pragma once
#include "core/dialect/ir.h"

/* What a request asks of a provider's dialect, and whether a provider can carry all of it: schemas/features.def as a question. A guess before
 * anything is written, for choosing between deployments of different dialects; what is left out in the end is what the writer notes. */
struct gw_needs {
	uint64_t rows; /* bit i: row i of features.def */
	uint8_t owners; /* bit d: it has things that only dialect d knows */
	bool is_known; /* it was read */
};
void gw_needs_read(const struct ir_request *rq, struct gw_needs *out);

enum gw_fit { GW_FIT_WHOLE, GW_FIT_LESS, GW_FIT_REFUSED };
/* quirks: GW_Q_* of the provider's row. */
enum gw_fit gw_needs_fit(const struct gw_needs *n, enum gw_dialect_id provider, uint64_t quirks);
