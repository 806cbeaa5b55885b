/* What leaves the index: requests older than index_days, and the oldest when it is larger than index_max_bytes. Rows go by whole segments,
 * roll-ups by minutes, a piece at a time, so that new records never wait long. The mark coverage_us rises first: from then on nobody asks
 * the index for what is older. The segments themselves are not touched. */
#include <sqlite3.h>
#include <stdio.h>

#include "exporter/exporter.h"

enum { PIECE = 20000 };
#define DAY_US (86400LL * 1000000)

static int64_t end_of(const struct gw_ex_seg *s)
{
	return s->max_us > s->created_ms * 1000 ? s->max_us : s->created_ms * 1000;
}

/* An expired one with rows was being dropped when the exporter ended. */
static bool is_kept(const struct gw_ex_seg *s)
{
	return s->state == GW_IS_DONE || (s->state == GW_IS_EXPIRED && s->rows > 0);
}

/* The first request that shall stay. */
static int64_t new_coverage(struct gw_ix *ix, const struct gw_ex_limits *lim, int64_t unix_us)
{
	int64_t from = lim->days ? unix_us - (int64_t)lim->days * DAY_US : 0;

	if (!lim->max_bytes || gw_ix_used(ix) <= lim->max_bytes)
		return from;
	for (uint32_t i = 0; i < ix->n_segs; i++)
		if (is_kept(&ix->segs[i])) {
			int64_t until = end_of(&ix->segs[i]) + 1;

			return until > from ? until : from;
		}
	return from;
}

static bool run(struct gw_ix *ix, const char *text, int64_t a, int64_t b, int *changes)
{
	sqlite3_stmt *s = NULL;
	bool ok = sqlite3_prepare_v2(ix->db, text, -1, &s, NULL) == SQLITE_OK;

	if (ok) {
		sqlite3_bind_int64(s, 1, a);
		if (sqlite3_bind_parameter_count(s) > 1)
			sqlite3_bind_int64(s, 2, b);
		ok = sqlite3_step(s) == SQLITE_DONE;
	}
	if (changes)
		*changes = ok ? sqlite3_changes(ix->db) : 0;
	sqlite3_finalize(s);
	return ok;
}

/* A piece of the rows of one segment. */
static bool drop_rows(struct gw_ix *ix, struct gw_ex_seg *s, bool *is_more)
{
	int n;

	if (!run(ix,
		 "DELETE FROM request WHERE pos IN (SELECT pos FROM request WHERE pos >= ? AND pos < ? LIMIT 20000)",
		 gw_ipos(s->id, 0), gw_ipos(s->id + 1, 0), &n))
		return false;
	ix->total_rows -= (uint64_t)n < ix->total_rows ? (uint64_t)n : ix->total_rows;
	*is_more = n == PIECE;
	s->state = GW_IS_EXPIRED;
	s->rows = *is_more;
	return run(ix, "UPDATE seg SET state = 2, rows = ? WHERE id = ?", *is_more, s->id, NULL) &&
	       gw_ix_meta(ix, "rows", (int64_t)ix->total_rows);
}

/* Roll-ups of minutes before the mark, of hours that are all before it. */
static bool drop_rollups(struct gw_ix *ix, bool *is_more)
{
	int64_t minute = ix->coverage_us / 60000000;
	int n, k;

	if (!run(ix,
		 "DELETE FROM rollup WHERE (span, at, tuple) IN "
		 "(SELECT span, at, tuple FROM rollup WHERE span = 1 AND at < ? LIMIT 20000)",
		 minute, 0, &n) ||
	    !run(ix,
		 "DELETE FROM rollup WHERE (span, at, tuple) IN "
		 "(SELECT span, at, tuple FROM rollup WHERE span = 60 AND at <= ? - 60 LIMIT 20000)",
		 minute, 0, &k))
		return false;
	*is_more = n == PIECE || k == PIECE;
	return true;
}

/* Once a day: tuples without roll-ups, and texts not seen since before the oldest row. */
static bool collect(struct gw_ix *ix, const struct gw_ex_limits *lim, int64_t today)
{
	if (ix->collected_day == today || !lim->days)
		return true;
	ix->collected_day = today;
	gw_ix_dims_forget(ix);
	return gw_ix_exec(ix, "DELETE FROM tuple WHERE id NOT IN (SELECT tuple FROM rollup)") &&
	       run(ix, "DELETE FROM dim WHERE seen < ?", today - (int64_t)lim->days - 2, 0, NULL);
}

enum gw_ex_result gw_ix_retain(struct gw_ix *ix, const struct gw_ex_limits *lim, int64_t unix_us)
{
	int64_t coverage = new_coverage(ix, lim, unix_us);
	bool ok = gw_ix_begin(ix), is_more = false;

	if (ok && coverage > ix->coverage_us) {
		ok = gw_ix_meta(ix, "coverage_us", coverage);
		ix->coverage_us = coverage;
	}
	for (uint32_t i = 0; i < ix->n_segs && ok && !is_more; i++) {
		struct gw_ex_seg *s = &ix->segs[i];

		if (!is_kept(s) || end_of(s) >= ix->coverage_us || s->is_new)
			continue;
		ok = drop_rows(ix, s, &is_more);
	}
	if (ok && !is_more)
		ok = drop_rollups(ix, &is_more);
	if (ok && !is_more)
		ok = collect(ix, lim, unix_us / DAY_US);
	if (!ok || !gw_ix_commit(ix))
		return gw_ix_fail(ix, "cannot drop what is old");
	return is_more ? GW_EX_MORE : GW_EX_IDLE;
}
