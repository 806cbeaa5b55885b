#pragma once
#include <uv.h>
#include "admin/admin.h"
#include "admin/segments.h"
#include "core/index.h"

/* Queries over records, in a pool thread: from the index (DATA_DIR/index, written by the exporter) where it has the records, from the
 * segments where it has not: what is newer than its cursor, what it has dropped, the class admin, or everything while there is no index.
 *
 *   query.c         GET logs: parameters, answer      query_export.c  GET logs:export, streamed
 *   query_walk.c    the spans, and records in order   query_usage.c   GET usage: roll-ups added up
 *   query_index.c   the index opened read-only        query_status.c  GET index, POST index:rebuild
 *   query_sql.c     filters as SQL
 *
 * A record found by the index is read from its segment and checked again like any other, tenant limits included: the index only
 * says where to look. */
struct sqlite3;
struct sqlite3_stmt;

/* A place between records: this file, before (or behind) the frame at this offset. */
struct gw_q_pos {
	char name[96]; /* "" = no place */
	uint64_t offset;
};
/* Some records of the trail, in order of position. */
struct gw_q_span {
	bool is_index;
	uint32_t seg_lo, seg_hi; /* index: segment ids, both included */
	uint32_t file_lo, file_hi; /* files of the list that it covers, both included */
	uint64_t offset, block_no; /* file: where to begin */
	uint8_t hash[32];
};

/* A file of the trail and what the index knows of it. */
struct gw_q_file {
	struct gw_adm_segment seg;
	int64_t created_ms, min_us, max_us;
	uint32_t id; /* 0 = not in the index */
	enum gw_iseg_state state;
	uint64_t offset, block_no, rows;
	uint8_t hash[32];
};

struct gw_q;
/* One wanted record. False: enough. */
typedef bool gw_q_fn(struct gw_q *y, const struct gw_seg_record *rec);

struct gw_q {
	struct gw_adm_want want;
	char segments[512], index[600];
	bool is_ascending; /* export: oldest first, streamed; else newest first, at most `limit` */
	uint64_t limit, until_ms, max_bytes; /* ends of a turn */
	struct gw_q_pos at; /* everything up to here has been told */
	gw_q_fn *fn;
	struct gw_buf out;
	uint64_t n_out; /* records told in this turn */
	bool is_cut; /* time or bytes: `at` says how far it came */
	bool has_moved; /* a file was read to its end in this turn */
	bool is_full; /* fn or limit said enough */
	bool is_index_bad; /* SQLite cannot read it */
	/* while it runs */
	struct sqlite3 *db;
	struct gw_q_file *files; /* oldest first */
	uint32_t n_files;
	struct gw_str bytes; /* the segment last looked into */
	uint32_t mapped;
	enum gw_err err;
};

/* query_walk.c: goes on behind y->at until an end of the turn or of the trail. */
void gw_q_walk(struct gw_q *y);
bool gw_q_is_over(struct gw_q *y); /* time, bytes */
/* "1700000000000-0a1b2c3d-00000007.4096", and back. */
void gw_q_pos_put(struct gw_buf *b, const struct gw_q_pos *p);
bool gw_q_pos_read(struct gw_str s, enum gw_seg_class cls, struct gw_q_pos *p);

/* query_index.c */
bool gw_q_index_open(struct gw_q *y); /* y->db, a read transaction begun; false: none, or not readable */
void gw_q_index_close(struct gw_q *y);
bool gw_q_index_files(struct gw_q *y); /* what seg says of y->files */
/* Number of a text, -1 when no row has it, -2 on error. */
int64_t gw_q_dim(struct gw_q *y, struct gw_str text);
int64_t gw_q_number(struct gw_q *y, const char *sql, int64_t otherwise);

/* query_sql.c: SELECT pos of candidates with lo <= pos < hi; NULL with *is_none when there can be none, else on error. */
struct sqlite3_stmt *gw_q_select(struct gw_q *y, int64_t lo, int64_t hi, bool *is_none);
bool gw_q_has_index(struct gw_q *y); /* the filters have an equality that an index serves */

/* query.c: parameters that logs and logs:export share; *why on failure. */
GW_MUST enum gw_err gw_q_read(struct gw_adm_req *q, struct gw_arena *a, struct gw_q *y, struct gw_str *why);
bool gw_q_read_time(struct gw_str s, int64_t *out);
/* The index could not be read: the exporter shall look at it. */
void gw_q_report_bad_index(struct gw_admin *ad);

/* query_status.c */
struct gw_json_out;
void gw_q_status_json(struct gw_admin *ad, struct gw_json_out *w); /* an object */
void gw_q_trail_json(struct gw_admin *ad, struct gw_json_out *w); /* the same of the segment files */
void gw_q_metrics(struct gw_admin *ad, struct gw_buf *b);
