/* Texts and tuples as small numbers. The tables have them all; a cache of fixed size has those of late, and is emptied when it is full or
 * when a transaction that gave numbers out is undone. */
#include <sqlite3.h>
#include <stdlib.h>

#include "exporter/exporter.h"

bool gw_ix_dims_init(struct gw_ix *ix)
{
	struct gw_ex_dims *d = &ix->dims;

	d->dim = calloc(GW_EX_DIMS, sizeof *d->dim);
	d->tuple = calloc(GW_EX_TUPLES, sizeof *d->tuple);
	d->pool = malloc(GW_EX_DIM_POOL);
	return d->dim && d->tuple && d->pool;
}

void gw_ix_dims_done(struct gw_ix *ix)
{
	struct gw_ex_dims *d = &ix->dims;

	free(d->dim);
	free(d->tuple);
	free(d->pool);
	*d = (struct gw_ex_dims){ .today = d->today };
}

static void forget_dims(struct gw_ex_dims *d)
{
	memset(d->dim, 0, GW_EX_DIMS * sizeof *d->dim);
	memset(d->last, 0, sizeof d->last);
	d->n_dims = d->n_pool = 0;
}

static void forget_tuples(struct gw_ex_dims *d)
{
	memset(d->tuple, 0, GW_EX_TUPLES * sizeof *d->tuple);
	d->n_tuples = 0;
}

void gw_ix_dims_forget(struct gw_ix *ix)
{
	if (ix->dims.n_dims)
		forget_dims(&ix->dims);
	if (ix->dims.n_tuples)
		forget_tuples(&ix->dims);
}

static uint64_t hash_of(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = 0x9e3779b97f4a7c15ULL ^ n;

	for (; n >= 8; b += 8, n -= 8) {
		uint64_t v;

		memcpy(&v, b, 8);
		h = (h ^ v) * 0xd6e8feb86659fd93ULL;
		h ^= h >> 32;
	}
	for (; n; b++, n--)
		h = (h ^ *b) * 0x100000001b3ULL;
	h ^= h >> 29;
	return h ? h : 1;
}

/* The text's number from the table; given out when it is new. `seen` is kept to the day, for retain.c. */
static bool from_table(struct gw_ix *ix, struct gw_str text, uint32_t *id)
{
	sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_DIM_GET);
	int rc;

	sqlite3_bind_text(s, 1, text.p, (int)text.n, SQLITE_STATIC);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		int64_t seen = sqlite3_column_int64(s, 1);

		*id = (uint32_t)sqlite3_column_int64(s, 0);
		sqlite3_reset(s);
		if (seen >= ix->dims.today)
			return true;
		s = gw_ix_stmt(ix, GW_EX_S_DIM_SEEN);
		sqlite3_bind_int64(s, 1, ix->dims.today);
		sqlite3_bind_int64(s, 2, *id);
		return sqlite3_step(s) == SQLITE_DONE;
	}
	sqlite3_reset(s);
	if (rc != SQLITE_DONE)
		return false;
	s = gw_ix_stmt(ix, GW_EX_S_DIM_PUT);
	sqlite3_bind_text(s, 1, text.p, (int)text.n, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, ix->dims.today);
	if (sqlite3_step(s) != SQLITE_DONE)
		return false;
	*id = (uint32_t)sqlite3_last_insert_rowid(ix->db);
	return true;
}

/* Text as it is, cut out of what may not be UTF-8: SQLite keeps bytes, and a NUL would end its text for functions. */
struct gw_str gw_ix_text(struct gw_str s)
{
	return gw_str(s.p ? s.p : "", gw_str_find(s, 0));
}

/* The place of the text in the cache, or the empty one where it would stand. */
static uint32_t place_of(const struct gw_ex_dims *d, struct gw_str text, uint64_t h)
{
	uint32_t i = (uint32_t)h % GW_EX_DIMS;

	for (; d->dim[i].hash; i = (i + 1) % GW_EX_DIMS)
		if (d->dim[i].hash == h && d->dim[i].day == d->today &&
		    gw_str_eq(gw_str(d->pool + d->dim[i].at, d->dim[i].n), text))
			break;
	return i;
}

static bool add_dim(struct gw_ix *ix, struct gw_str text, uint64_t h, uint32_t *place)
{
	struct gw_ex_dims *d = &ix->dims;
	uint32_t id;

	if (!from_table(ix, text, &id))
		return false;
	if (d->n_dims >= GW_EX_DIMS / 2 || d->n_pool + text.n > GW_EX_DIM_POOL) {
		forget_dims(d);
		*place = (uint32_t)h % GW_EX_DIMS;
	}
	d->dim[*place].hash = h;
	d->dim[*place].id = id;
	d->dim[*place].at = d->n_pool;
	d->dim[*place].n = (uint32_t)text.n;
	d->dim[*place].day = d->today;
	memcpy(d->pool + d->n_pool, text.p, text.n);
	d->n_pool += (uint32_t)text.n;
	d->n_dims++;
	return true;
}

bool gw_ix_dim(struct gw_ix *ix, enum gw_icol_id col, struct gw_str text, uint32_t *id)
{
	struct gw_ex_dims *d = &ix->dims;
	uint32_t last = d->last[col], place;
	uint64_t h;

	*id = 0;
	if (!text.n)
		return true;
	if (d->dim[last].n != text.n || d->dim[last].day != d->today || !d->dim[last].hash ||
	    memcmp(d->pool + d->dim[last].at, text.p, text.n) != 0) {
		text = gw_ix_text(text);
		if (!text.n)
			return true;
		h = hash_of(text.p, text.n);
		place = place_of(d, text, h);
		if (!d->dim[place].hash && !add_dim(ix, text, h, &place))
			return false;
		d->last[col] = last = place;
	}
	*id = d->dim[last].id;
	return true;
}

static bool tuple_from_table(struct gw_ix *ix, const uint32_t *dim, uint32_t *id)
{
	sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_TUPLE_GET);
	int rc;

	for (int k = 0; k < GW_RD_COUNT; k++)
		sqlite3_bind_int64(s, k + 1, dim[k]);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*id = (uint32_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	if (rc != SQLITE_DONE)
		return rc == SQLITE_ROW;
	s = gw_ix_stmt(ix, GW_EX_S_TUPLE_PUT);
	for (int k = 0; k < GW_RD_COUNT; k++)
		sqlite3_bind_int64(s, k + 1, dim[k]);
	if (sqlite3_step(s) != SQLITE_DONE)
		return false;
	*id = (uint32_t)sqlite3_last_insert_rowid(ix->db);
	return true;
}

bool gw_ix_tuple(struct gw_ix *ix, const uint32_t dim[GW_RD_COUNT], uint32_t *id)
{
	struct gw_ex_dims *d = &ix->dims;
	size_t bytes = GW_RD_COUNT * sizeof dim[0];
	uint32_t i = (uint32_t)hash_of(dim, bytes) % GW_EX_TUPLES;

	for (; d->tuple[i].id; i = (i + 1) % GW_EX_TUPLES) {
		if (memcmp(d->tuple[i].dim, dim, bytes) != 0)
			continue;
		*id = d->tuple[i].id;
		return true;
	}
	if (!tuple_from_table(ix, dim, id))
		return false;
	if (d->n_tuples >= GW_EX_TUPLES / 2) {
		forget_tuples(d);
		i = (uint32_t)hash_of(dim, bytes) % GW_EX_TUPLES;
	}
	memcpy(d->tuple[i].dim, dim, bytes);
	d->tuple[i].id = *id;
	d->n_tuples++;
	return true;
}
