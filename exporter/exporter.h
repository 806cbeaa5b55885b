#pragma once
#include <stdatomic.h>
#include <uv.h>
#include "core/index.h"
#include "core/rollup.h"
#include "lib/segment.h"
#include "lib/sys/role.h"
#include "net/channel.h"
#include "shm/control.h"
#include "shm/export.h"

/* The exporter: a consumer of the segments with a cursor. It keeps the index of requests (SQLite) that log and usage queries
 * read. Nothing waits for it: killed, stopped or without disk it loses nothing, because cursor, rows and roll-ups move in one
 * transaction and the segments stay.
 *
 *   main.c     start, channels, the clock              work.c     what a turn in the pool thread does, state, rebuild
 *   store.c    files, tables, transactions             trail.c    segments: finding, reading from a cursor
 *   rows.c     one END record: row and roll-up item    dims.c     texts and tuples as numbers, with a cache
 *   rollup.c   a batch's items added to the roll-ups   retain.c   age and size
 *
 * All of an index (struct gw_ix) is used by one thread at a time: by a pool thread while a turn runs, else by nobody. */
struct sqlite3;
struct sqlite3_stmt;

enum {
	GW_EX_BATCH = 32768, /* requests of a transaction, and at most as many more of its last block */
	GW_EX_TURN_MS = 500, /* and its time, so that a stop does not wait */
	GW_EX_PAUSE_MS =
	    1000, /* between two looks at the segments when there is nothing more: what a batch costs beside its records is shared by more of them */
	GW_EX_WINDOW = 4 << 20, /* bytes of a segment in memory at once; a block is at most 1 MiB */
	GW_EX_SQL = 8192,
	GW_EX_ROWS = 32 /* of one INSERT: it opens the table and its indexes once for all */
};

/* What operators set (settings object), with the defaults of schemas/config.def until confd has been asked. */
struct gw_ex_limits {
	uint64_t days, max_bytes;
};

/* --- dims.c: texts as numbers. The caches are small and forgotten whenever they are full. --- */
enum { GW_EX_DIMS = 1 << 15, GW_EX_DIM_POOL = 2 << 20, GW_EX_TUPLES = 1 << 15 };
struct gw_ex_dims {
	struct {
		uint64_t hash;
		uint32_t id, at;
		uint32_t n, day;
	} * dim;
	char *pool;
	uint32_t n_dims, n_pool, n_tuples;
	uint32_t last
	    [GW_ICOL_COUNT]; /* where in dim the text stands that each column had last: most rows have the same again */
	struct {
		uint32_t dim[GW_RD_COUNT];
		uint32_t id;
	} * tuple;
	uint32_t today;
};

/* --- one index --- */
enum gw_ex_stmt {
	GW_EX_S_INSERT,
	GW_EX_S_INSERT_MANY,
	GW_EX_S_ROW,
	GW_EX_S_DIM_GET,
	GW_EX_S_DIM_PUT,
	GW_EX_S_DIM_SEEN,
	GW_EX_S_TUPLE_GET,
	GW_EX_S_TUPLE_PUT,
	GW_EX_S_ROLL_GET,
	GW_EX_S_ROLL_PUT,
	GW_EX_S_SEG_NEW,
	GW_EX_S_SEG_SAVE,
	GW_EX_S_META,
	GW_EX_S_COUNT
};

/* A segment and the cursor in it. */
struct gw_ex_seg {
	char name[96];
	uint32_t id;
	uint64_t no, offset, block_no, size; /* size: of the file when last looked at */
	int64_t created_ms, min_us, max_us;
	uint64_t rows;
	uint8_t hash[32];
	enum gw_iseg_state state;
	bool is_new, is_dirty, is_bad;
};

struct gw_ex_item { /* of the batch, for the roll-ups */
	uint32_t minute, tuple;
	struct gw_rollup_item of;
};

struct gw_ex_row { /* to be inserted with others; its texts lie in the window */
	int64_t pos;
	struct gw_record r;
	uint32_t dim[GW_ICOL_COUNT]; /* columns of kind DIM */
};

/* What a row's parameters hold since the last time: what has not changed is not bound again. */
struct gw_ex_bound {
	uint32_t known; /* bit per column: v is what is bound (of a text: 0 = the empty one) */
	int64_t v[GW_ICOL_COUNT];
};
_Static_assert(GW_ICOL_COUNT <= 32, "a bit per column");

struct gw_ix {
	char dir[512], path[600]; /* the folder; the file, "" = none is open */
	char segments[512];
	uint64_t no; /* of the file's name; 0 = being built */
	struct sqlite3 *db;
	struct sqlite3_stmt *stmt[GW_EX_S_COUNT];
	struct gw_ex_dims dims;
	struct gw_ex_seg *segs; /* oldest first */
	uint32_t n_segs, cap_segs;
	int64_t listed_ns; /* mtime of the folder when it was last listed */
	int64_t coverage_us; /* requests that began before are not kept */
	bool is_caught_up, is_begun;
	int64_t collected_day; /* when texts nobody uses were last removed */
	struct gw_ex_item *items;
	uint32_t n_items;
	struct gw_ex_row rows[GW_EX_ROWS];
	uint32_t n_rows;
	struct gw_ex_bound bound[GW_EX_ROWS], bound_one; /* of INSERT_MANY's rows; of INSERT */
	char *window;
	uint64_t total_rows;
	uint64_t *count; /* GW_X_COUNT counters, added to */
	int64_t last_us; /* time of the last block read */
	char why[160]; /* words about the last failure */
};

/* What a step came to. */
enum gw_ex_result {
	GW_EX_MORE, /* there is more to read now */
	GW_EX_IDLE, /* all that is there is in the index */
	GW_EX_FULL, /* no space, no rights: try later; ix->why */
	GW_EX_BROKEN /* the file is not an index any more; ix->why */
};

/* store.c */
/* Opens the newest index in ix->dir, or makes one. is_build: a new one to be swapped in by gw_ix_adopt. */
enum gw_ex_result gw_ix_open(struct gw_ix *ix, bool is_build);
void gw_ix_close(struct gw_ix *ix);
enum gw_ex_result gw_ix_fail(struct gw_ix *ix, const char *doing); /* sqlite's last error as a result */
bool gw_ix_begin(struct gw_ix *ix);
bool gw_ix_commit(struct gw_ix *ix);
void gw_ix_set_aside(struct gw_ix *ix); /* closes; keeps the file as damaged.db */
/* Closes what was built and gives it its name; the older file goes away. */
bool gw_ix_adopt(struct gw_ix *built, struct gw_ix *old);
bool gw_ix_meta(struct gw_ix *ix, const char *name, int64_t value);
uint64_t gw_ix_bytes(const struct gw_ix *ix); /* on disk */
uint64_t gw_ix_used(struct gw_ix *ix); /* of these, not free for reuse */
bool gw_ix_check(struct gw_ix *ix); /* reads all of it; false when it is damaged */
bool gw_ix_exec(struct gw_ix *ix, const char *sql);
struct sqlite3_stmt *gw_ix_stmt(struct gw_ix *ix, enum gw_ex_stmt s); /* reset, ready to bind */

/* dims.c */
bool gw_ix_dims_init(struct gw_ix *ix);
void gw_ix_dims_done(struct gw_ix *ix);
void gw_ix_dims_forget(struct gw_ix *ix);
struct gw_str gw_ix_text(struct gw_str s); /* what SQLite gets of a text */
bool gw_ix_dim(struct gw_ix *ix, enum gw_icol_id col, struct gw_str text, uint32_t *id);
bool gw_ix_tuple(struct gw_ix *ix, const uint32_t dim[GW_RD_COUNT], uint32_t *id);

/* rows.c: an END into the table and the batch, at the latest with gw_ix_take_rest, which is due before the segment's window is left.
 * False: SQLite failed. */
bool gw_ix_take(struct gw_ix *ix, struct gw_ex_seg *seg, uint64_t offset, const struct gw_seg_record *rec);
bool gw_ix_take_rest(struct gw_ix *ix, struct gw_ex_seg *seg);
/* rollup.c: the batch's items into the roll-ups. */
bool gw_ix_roll(struct gw_ix *ix);

/* trail.c */
bool gw_ix_segs_load(struct gw_ix *ix); /* from the table */
/* Reads on, up to a batch, in one transaction. unix_us: now. */
enum gw_ex_result gw_ix_step(struct gw_ix *ix, int64_t unix_us);
uint64_t gw_ix_read_bytes(const struct gw_ix *ix); /* of all segments that are not expired */
uint64_t gw_ix_behind(const struct gw_ix *ix); /* bytes of segments but the newest that are still to be read */

/* retain.c: drops what is too old or too much, a piece at a time; MORE when another piece waits. */
enum gw_ex_result gw_ix_retain(struct gw_ix *ix, const struct gw_ex_limits *lim, int64_t unix_us);

/* --- the process --- */
struct gw_exporter {
	uv_loop_t loop;
	struct gw_role_start start;
	struct gw_beats *beats;
	struct gw_export *page;
	struct gw_channel *master, *confd, *admin;
	uv_timer_t tick, orphan, next;
	uv_work_t work;
	struct gw_ex_limits limits, wanted; /* of this turn; as confd told last */
	uint64_t ticks, turn_began_ms, retry_ms, retain_at_ms;
	int lock_fd;
	struct gw_ix main, build;
	uint64_t counts[GW_X_COUNT];
	bool is_working, is_stopping, has_lock;
	_Atomic bool wants_rebuild, wants_check; /* asked on the loop, taken up by the next turn */
	bool is_building;
	int64_t idle_us; /* when everything was in the index */
	enum gw_ex_result result;
	enum gw_export_state state;
	char why[200];
};
/* work.c */
void gw_ex_turn(uv_work_t *w); /* in the pool thread */
void gw_ex_after(uv_work_t *w, int status);
void gw_ex_kick(struct gw_exporter *ex); /* begins a turn unless one runs */
int gw_exporter_main(void);
