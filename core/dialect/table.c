/* The table of dialects (schemas/dialects.def). */
#include "core/dialect/dialect.h"

#include "core/error_body.h"

/* A dialect without a symbol here is not linked: rows and folders must agree. */
static const struct gw_dialect *const table[GW_D_COUNT + 1] = {
#define GW_DIALECT(ID, name, symbol, where, doc) [GW_D_##ID] = &symbol,
#include "schemas/dialects.def"
#undef GW_DIALECT
	[GW_D_COUNT] = NULL,
};

const struct gw_dialect *gw_dialect_of(enum gw_dialect_id id)
{
	return (unsigned)id < GW_D_COUNT ? table[id] : NULL;
}

const struct gw_dialect *gw_dialect_find(struct gw_str name)
{
	for (unsigned i = 0; i < GW_D_COUNT; i++) {
		if (table[i] && gw_str_eq(gw_str_z(table[i]->name), name))
			return table[i];
	}
	return NULL;
}

int gw_dialect_error_status(enum gw_dialect_id id, enum gw_err e)
{
	if (id == GW_D_ANTHROPIC && (e == GW_E_UP_OVERLOADED || e == GW_E_BUSY))
		return 529; /* this vendor's own; its clients wait longer at it than at a 503 */
	return gw_err_info(e)->http;
}

void gw_dialect_error(enum gw_dialect_id id, const struct gw_error_told *t, struct gw_buf *out)
{
	const struct gw_dialect *d = gw_dialect_of(id);

	if (d)
		d->write_error(t, out);
	else
		gw_error_write_openai(out, t);
}
