/* A batch's requests added to the roll-ups: sorted by minute and tuple, so that each roll-up is read and written once a batch, and one dense
 * histogram is enough. The same for hours. */
#include <sqlite3.h>
#include <stdlib.h>

#include "exporter/exporter.h"

enum { PACKED_MAX = 64 << 10 };

static int by_tuple_minute(const void *a, const void *b)
{
	const struct gw_ex_item *x = a, *y = b;

	if (x->tuple != y->tuple)
		return x->tuple < y->tuple ? -1 : 1;
	return x->minute < y->minute ? -1 : x->minute > y->minute;
}

static bool bind_key(sqlite3_stmt *s, uint32_t span, uint32_t at, uint32_t tuple)
{
	return sqlite3_bind_int64(s, 1, span) == SQLITE_OK && sqlite3_bind_int64(s, 2, at) == SQLITE_OK &&
	       sqlite3_bind_int64(s, 3, tuple) == SQLITE_OK;
}

/* What the table has, plus the items. */
static bool add_run(struct gw_ix *ix, uint32_t span, uint32_t at, const struct gw_ex_item *v, uint32_t n,
		    struct gw_buf *b)
{
	static _Thread_local struct gw_rollup sum;
	sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_ROLL_GET);
	bool is_good;
	int rc;

	gw_rollup_empty(&sum);
	if (!bind_key(s, span, at, v->tuple))
		return false;
	rc = sqlite3_step(s);
	is_good = rc != SQLITE_ROW ||
		  gw_rollup_merge(&sum, gw_str(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0))) == GW_OK;
	sqlite3_reset(s);
	if ((rc != SQLITE_ROW && rc != SQLITE_DONE) || !is_good)
		return false;
	for (uint32_t i = 0; i < n; i++)
		gw_rollup_add(&sum, &v[i].of);
	gw_buf_clear(b, PACKED_MAX);
	gw_rollup_pack(&sum, b);
	s = gw_ix_stmt(ix, GW_EX_S_ROLL_PUT);
	return !b->err && bind_key(s, span, at, v->tuple) &&
	       sqlite3_bind_blob(s, 4, b->p, (int)b->n, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(s) == SQLITE_DONE;
}

static bool add_all(struct gw_ix *ix, uint32_t span, struct gw_buf *b)
{
	for (uint32_t i = 0, n; i < ix->n_items; i += n) {
		const struct gw_ex_item *v = &ix->items[i];
		uint32_t at = v->minute / span;

		for (n = 1; i + n < ix->n_items && v[n].tuple == v->tuple && v[n].minute / span == at; n++)
			;
		if (!add_run(ix, span, at * span, v, n, b))
			return false;
	}
	return true;
}

bool gw_ix_roll(struct gw_ix *ix)
{
	struct gw_buf b;
	bool ok;

	if (!ix->n_items)
		return true;
	qsort(ix->items, ix->n_items, sizeof *ix->items, by_tuple_minute);
	gw_buf_init(&b, PACKED_MAX);
	ok = add_all(ix, 1, &b) && add_all(ix, 60, &b);
	gw_buf_done(&b);
	ix->n_items = 0;
	return ok;
}
