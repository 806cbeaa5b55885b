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

static bool number_dims(struct gw_ix *ix, struct gw_ex_row *row)
{
	for (int i = 0; i < GW_ICOL_COUNT; i++) {
		const struct gw_rfield *f = &gw_record_fields[gw_icols[i].field];

		if (gw_icols[i].how == GW_IC_DIM &&
		    !gw_ix_dim(ix, (enum gw_icol_id)i,
			       *(const struct gw_str *)(const void *)((const char *)&row->r + f->offset), &row->dim[i]))
			return false;
	}
	return true;
}

static void bind_number(sqlite3_stmt *s, int at, struct gw_ex_bound *b, int i, int64_t v)
{
	if ((b->known >> i & 1) && b->v[i] == v)
		return;
	sqlite3_bind_int64(s, at, v);
	b->known |= 1u << i;
	b->v[i] = v;
}

static void bind_text(sqlite3_stmt *s, int at, struct gw_ex_bound *b, int i, struct gw_str text)
{
	if (text.n == 0 && (b->known >> i & 1))
		return;
	sqlite3_bind_text(s, at, text.n ? text.p : "", (int)text.n, SQLITE_STATIC);
	b->known = text.n ? b->known & ~(1u << i) : b->known | 1u << i;
}

/* Into the parameters from `at` on. */
static bool bind_row(struct gw_ix *ix, sqlite3_stmt *s, int at, struct gw_ex_bound *b, struct gw_ex_row *row)
{
	if (!number_dims(ix, row))
		return false;
	sqlite3_bind_int64(s, at++, row->pos);
	for (int i = 0; i < GW_ICOL_COUNT; i++, at++) {
		const struct gw_rfield *f = &gw_record_fields[gw_icols[i].field];
		const void *from = (const char *)&row->r + f->offset;

		switch (gw_icols[i].how) {
		case GW_IC_DIM:
			bind_number(s, at, b, i, row->dim[i]);
			break;
		case GW_IC_NUM:
			bind_number(s, at, b, i, number_of(f, from));
			break;
		case GW_IC_TEXT:
			bind_text(s, at, b, i, gw_ix_text(*(const struct gw_str *)from));
			break;
		case GW_IC_ID:
			sqlite3_bind_blob(s, at, *(const uint8_t *const *)from, 16, SQLITE_STATIC);
			break;
		}
	}
	return true;
}

/* The dims of a roll-up are columns of the row. */
static const uint8_t col_of_dim[GW_RD_COUNT] = {
	[GW_RD_ORG] = GW_ICOL_org,
	[GW_RD_TEAM] = GW_ICOL_team,
	[GW_RD_USER] = GW_ICOL_user,
	[GW_RD_KEY] = GW_ICOL_key,
	[GW_RD_MODEL] = GW_ICOL_model,
	[GW_RD_PROVIDER] = GW_ICOL_provider,
	[GW_RD_DEPLOYMENT] = GW_ICOL_deployment,
	[GW_RD_TAGS] = GW_ICOL_tags,
};

static bool add_item(struct gw_ix *ix, const struct gw_ex_row *row)
{
	struct gw_ex_item *item = &ix->items[ix->n_items];
	const struct gw_record *r = &row->r;
	uint32_t dim[GW_RD_COUNT];

	for (int k = 0; k < GW_RD_COUNT; k++)
		dim[k] = row->dim[col_of_dim[k]];
	item->minute = r->ts_start_us > 0 ? (uint32_t)(r->ts_start_us / 60000000) : 0;
	gw_rollup_item(r, &item->of);
	if (!gw_ix_tuple(ix, dim, &item->tuple))
		return false;
	ix->n_items++;
	return true;
}

static bool count_row(struct gw_ix *ix, struct gw_ex_seg *seg, const struct gw_ex_row *row)
{
	const struct gw_record *r = &row->r;

	ix->count[GW_X_records]++;
	ix->total_rows++;
	seg->rows++;
	if (!seg->min_us || r->ts_start_us < seg->min_us)
		seg->min_us = r->ts_start_us;
	if (r->ts_start_us > seg->max_us)
		seg->max_us = r->ts_start_us;
	return add_item(ix, row);
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
		if (!bind_row(ix, s, (int)i * (1 + GW_ICOL_COUNT) + 1, &ix->bound[i], &ix->rows[i]))
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

		if (!bind_row(ix, s, 1, &ix->bound_one, &ix->rows[i]) || sqlite3_step(s) != SQLITE_DONE)
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
		else if (!count_row(ix, seg, &ix->rows[i]))
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
