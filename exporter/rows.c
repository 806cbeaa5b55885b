/* One END record: a row of the index and an item of the batch's roll-ups. Records are hostile: what cannot be read is counted and passed
 * over. A request has one row, whichever END came first. */
#include <sqlite3.h>

#include "exporter/exporter.h"

static int64_t clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int64_t number_of(const struct gw_rfield *f, const void *at)
{
	return f->type == GW_RF_I64 ? *(const int64_t *)at : clamp(*(const uint64_t *)at);
}

/* Text as it is, cut out of what may not be UTF-8: SQLite keeps bytes, and a NUL would end its text for functions. */
static struct gw_str text_of(const void *at)
{
	struct gw_str s = *(const struct gw_str *)at;

	return gw_str(s.p ? s.p : "", gw_str_find(s, 0));
}

/* Into the parameters of the statement's n-th row. */
static bool bind_row(struct gw_ix *ix, sqlite3_stmt *s, int n, const struct gw_ex_row *row)
{
	const struct gw_record *r = &row->r;
	int first = n * (1 + GW_ICOL_COUNT) + 1;

	sqlite3_bind_int64(s, first++, row->pos);
	for (int i = 0; i < GW_ICOL_COUNT; i++) {
		const struct gw_rfield *f = &gw_record_fields[gw_icols[i].field];
		const void *at = (const char *)r + f->offset;
		struct gw_str text;
		uint32_t id;

		switch (gw_icols[i].how) {
		case GW_IC_DIM:
			if (!gw_ix_dim(ix, text_of(at), &id))
				return false;
			sqlite3_bind_int64(s, first + i, id);
			break;
		case GW_IC_NUM:
			sqlite3_bind_int64(s, first + i, number_of(f, at));
			break;
		case GW_IC_TEXT:
			text = text_of(at);
			sqlite3_bind_text(s, first + i, text.p, (int)text.n, SQLITE_STATIC);
			break;
		case GW_IC_ID:
			sqlite3_bind_blob(s, first + i, *(const uint8_t *const *)at, 16, SQLITE_STATIC);
			break;
		}
	}
	return true;
}

static bool add_item(struct gw_ix *ix, const struct gw_record *r)
{
	struct gw_ex_item *item = &ix->items[ix->n_items];
	uint32_t dim[GW_RD_COUNT];

	for (int k = 0; k < GW_RD_COUNT; k++) {
		struct gw_str text = gw_rollup_dim_of(r, (enum gw_rollup_dim)k);

		if (!gw_ix_dim(ix, text_of(&text), &dim[k]))
			return false;
	}
	item->minute = r->ts_start_us > 0 ? (uint32_t)(r->ts_start_us / 60000000) : 0;
	gw_rollup_item(r, &item->of);
	if (!gw_ix_tuple(ix, dim, &item->tuple))
		return false;
	ix->n_items++;
	return true;
}

static bool count_row(struct gw_ix *ix, struct gw_ex_seg *seg, const struct gw_record *r)
{
	ix->count[GW_X_records]++;
	ix->total_rows++;
	seg->rows++;
	if (!seg->min_us || r->ts_start_us < seg->min_us)
		seg->min_us = r->ts_start_us;
	if (r->ts_start_us > seg->max_us)
		seg->max_us = r->ts_start_us;
	return add_item(ix, r);
}

/* Rows that a request has already were passed over; their places are empty, as all of them were before: rows and cursor move in one
 * transaction, so no place is written twice. */
static bool find_new(struct gw_ix *ix, bool is_new[GW_EX_ROWS])
{
	for (uint32_t i = 0; i < ix->n_rows; i++) {
		sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_ROW);
		int rc;

		sqlite3_bind_int64(s, 1, ix->rows[i].pos);
		rc = sqlite3_step(s);
		is_new[i] = rc == SQLITE_ROW;
		sqlite3_reset(s);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return false;
	}
	return true;
}

static bool insert_many(struct gw_ix *ix, bool is_new[GW_EX_ROWS])
{
	sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_INSERT_MANY);

	for (uint32_t i = 0; i < ix->n_rows; i++)
		if (!bind_row(ix, s, (int)i, &ix->rows[i]))
			return false;
	if (sqlite3_step(s) != SQLITE_DONE)
		return false;
	if (sqlite3_changes(ix->db) != GW_EX_ROWS)
		return find_new(ix, is_new);
	memset(is_new, true, GW_EX_ROWS);
	return true;
}

static bool insert_each(struct gw_ix *ix, bool is_new[GW_EX_ROWS])
{
	for (uint32_t i = 0; i < ix->n_rows; i++) {
		sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_INSERT);

		if (!bind_row(ix, s, 0, &ix->rows[i]) || sqlite3_step(s) != SQLITE_DONE)
			return false;
		is_new[i] = sqlite3_changes(ix->db) != 0;
	}
	return true;
}

bool gw_ix_take_rest(struct gw_ix *ix, struct gw_ex_seg *seg)
{
	bool is_new[GW_EX_ROWS];
	uint32_t n = ix->n_rows;

	if (n && !(n == GW_EX_ROWS ? insert_many(ix, is_new) : insert_each(ix, is_new)))
		return false;
	ix->n_rows = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!is_new[i])
			ix->count[GW_X_doubled]++;
		else if (!count_row(ix, seg, &ix->rows[i].r))
			return false;
	}
	return true;
}

bool gw_ix_take(struct gw_ix *ix, struct gw_ex_seg *seg, uint64_t offset, const struct gw_seg_record *rec)
{
	struct gw_ex_row *row = &ix->rows[ix->n_rows];

	ix->count[GW_X_records_seen]++;
	if (rec->type != GW_REC_END)
		return true;
	if (gw_record_unpack(rec->body, &row->r) || !row->r.request_id) {
		ix->count[GW_X_errors]++;
		return true;
	}
	row->pos = gw_ipos(seg->id, offset);
	return ++ix->n_rows < GW_EX_ROWS || gw_ix_take_rest(ix, seg);
}
