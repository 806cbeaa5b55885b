/* The file of an index: DATA_DIR/index/requests-<n>.db (the highest n counts), in WAL mode. Its readers in the admin process open it
 * read-only, so the log and its shared memory stay when the exporter ends. A file that is not a good index is kept aside as damaged.db and
 * another one begun; a new layout begins anew. */
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/exporter.h"
#include "lib/sys/diag.h"

enum { CACHE_KIB = 65536, CHECKPOINT_PAGES = 4000, LOG_KEPT = 64 << 20 };

static const char *const sql[GW_EX_S_COUNT] = {
	[GW_EX_S_ROW] = "SELECT 1 FROM request WHERE pos = ?",
	[GW_EX_S_DIM_GET] = "SELECT id, seen FROM dim WHERE text = ?",
	[GW_EX_S_DIM_PUT] = "INSERT INTO dim(text, seen) VALUES(?, ?)",
	[GW_EX_S_DIM_SEEN] = "UPDATE dim SET seen = ? WHERE id = ?",
	[GW_EX_S_ROLL_GET] = "SELECT data FROM rollup WHERE span = ? AND at = ? AND tuple = ?",
	[GW_EX_S_ROLL_PUT] = "INSERT OR REPLACE INTO rollup VALUES(?, ?, ?, ?)",
	[GW_EX_S_SEG_NEW] =
	    "INSERT INTO seg(id, name, no, created_ms, offset, block_no, hash, state, rows, min_us, max_us) "
	    "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[GW_EX_S_SEG_SAVE] = "UPDATE seg SET offset = ?, block_no = ?, hash = ?, state = ?, rows = ?, min_us = ?, "
			     "max_us = ? WHERE id = ?",
	[GW_EX_S_META] = "INSERT OR REPLACE INTO meta VALUES(?, ?)",
};

enum gw_ex_result gw_ix_fail(struct gw_ix *ix, const char *doing)
{
	int code = ix->db ? sqlite3_errcode(ix->db) & 0xff : SQLITE_CANTOPEN;

	if (!ix->db) {
		snprintf(ix->why, sizeof ix->why, "%s: out of memory", doing);
		return GW_EX_FULL;
	}
	snprintf(ix->why, sizeof ix->why, "%s: %s", doing, sqlite3_errmsg(ix->db));
	switch (code) {
	case SQLITE_OK: /* SQLite is content: what it gave us cannot be read */
	case SQLITE_ROW:
	case SQLITE_DONE:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR: /* a table that should be there is not */
		return GW_EX_BROKEN;
	default:
		return GW_EX_FULL;
	}
}

bool gw_ix_exec(struct gw_ix *ix, const char *text)
{
	return sqlite3_exec(ix->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

sqlite3_stmt *gw_ix_stmt(struct gw_ix *ix, enum gw_ex_stmt s)
{
	sqlite3_reset(ix->stmt[s]);
	return ix->stmt[s];
}

/* --- statements --- */
static void put_columns(struct gw_buf *b, const char *before, const char *between, const char *after)
{
	for (unsigned i = 0; i < GW_RD_COUNT; i++)
		gw_buf_printf(b, "%s%s\"%s\"%s", i ? between : "", before, gw_rollup_dim_names[i], after);
}

static bool prepare(struct gw_ix *ix)
{
	struct gw_buf b;
	bool ok = true;

	memset(ix->bound, 0, sizeof ix->bound);
	ix->bound_one.known = 0;
	gw_buf_init(&b, GW_EX_SQL);
	for (int i = 0; i < GW_EX_S_COUNT && ok; i++) {
		gw_buf_clear(&b, GW_EX_SQL);
		if (sql[i]) {
			gw_buf_puts(&b, gw_str_z(sql[i]));
		} else if (i == GW_EX_S_INSERT || i == GW_EX_S_INSERT_MANY) {
			gw_index_insert_sql(&b, i == GW_EX_S_INSERT ? 1 : GW_EX_ROWS);
		} else if (i == GW_EX_S_TUPLE_GET) {
			gw_buf_puts(&b, GW_LIT("SELECT id FROM tuple WHERE "));
			put_columns(&b, "", " AND ", " = ?");
		} else {
			gw_buf_puts(&b, GW_LIT("INSERT INTO tuple("));
			put_columns(&b, "", ", ", "");
			gw_buf_puts(&b, GW_LIT(") VALUES(?, ?, ?, ?, ?, ?, ?, ?)"));
		}
		ok = !b.err && sqlite3_prepare_v3(ix->db, b.p, (int)b.n, SQLITE_PREPARE_PERSISTENT, &ix->stmt[i],
						  NULL) == SQLITE_OK;
	}
	gw_buf_done(&b);
	return ok;
}

/* --- the file --- */
/* Highest number among the files of the folder; 0 = none. */
static uint64_t newest(const char *dir)
{
	DIR *d = opendir(dir);
	uint64_t best = 0, no;

	for (struct dirent *e; d && (e = readdir(d));)
		if (gw_index_name_read(gw_str_z(e->d_name), &no) && no > best)
			best = no;
	if (d)
		closedir(d);
	return best;
}

static void remove_file(const char *path)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	char name[640];

	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s%s", path, tails[i]);
		unlink(name);
	}
}

static int64_t number(struct gw_ix *ix, const char *text, bool *ok)
{
	sqlite3_stmt *s = NULL;
	int64_t v = 0;

	*ok = sqlite3_prepare_v2(ix->db, text, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
	if (*ok)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

static bool set_up(struct gw_ix *ix)
{
	char text[256];
	int persist = 1;

	snprintf(text, sizeof text,
		 "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-%d;"
		 "PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%d",
		 CACHE_KIB, LOG_KEPT);
	/* A build has no readers: its log goes when it is closed, so that the file can be renamed. */
	return gw_ix_exec(ix, text) &&
	       (ix->no == 0 || sqlite3_file_control(ix->db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist) == SQLITE_OK);
}

static bool make_tables(struct gw_ix *ix)
{
	struct gw_buf b;
	bool ok;

	gw_buf_init(&b, 2 * GW_EX_SQL);
	gw_buf_puts(&b, GW_LIT("BEGIN IMMEDIATE;\n"));
	gw_index_create_sql(&b);
	gw_buf_printf(&b, "PRAGMA user_version=%d;\nCOMMIT;", (int)gw_index_version());
	gw_buf_putc(&b, 0);
	ok = !b.err && gw_ix_exec(ix, b.p);
	gw_buf_done(&b);
	return ok;
}

static bool load(struct gw_ix *ix)
{
	bool a, b, c;

	ix->coverage_us = number(ix, "SELECT value FROM meta WHERE name = 'coverage_us'", &a);
	ix->is_caught_up = number(ix, "SELECT value FROM meta WHERE name = 'caught_up'", &b) != 0;
	ix->total_rows = (uint64_t)number(ix, "SELECT value FROM meta WHERE name = 'rows'", &c);
	return a && b && c && gw_ix_segs_load(ix);
}

/* Opened, of our layout and readable. */
static enum gw_ex_result open_file(struct gw_ix *ix)
{
	struct stat st;
	bool is_new = stat(ix->path, &st) != 0 || st.st_size == 0, ok;

	if (sqlite3_open_v2(ix->path, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return gw_ix_fail(ix, "cannot open the index");
	sqlite3_busy_timeout(ix->db, 2000);
	sqlite3_extended_result_codes(ix->db, 1);
	if (!set_up(ix) || (is_new && !make_tables(ix)))
		return gw_ix_fail(ix, "cannot set up the index");
	int64_t version = number(ix, "PRAGMA user_version", &ok);
	if (!ok)
		return gw_ix_fail(ix, "cannot read the index");
	if (version != gw_index_version()) {
		snprintf(ix->why, sizeof ix->why, "it has the layout of another version");
		return GW_EX_BROKEN;
	}
	if (!prepare(ix) || !load(ix) || !gw_ix_dims_init(ix))
		return gw_ix_fail(ix, "cannot read the index");
	return GW_EX_IDLE;
}

static void remove_older(const struct gw_ix *ix)
{
	char path[640];
	uint64_t no;
	DIR *d = opendir(ix->dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (!gw_index_name_read(gw_str_z(e->d_name), &no) || no >= ix->no)
			continue;
		snprintf(path, sizeof path, "%s/requests-%08llu.db", ix->dir, (unsigned long long)no);
		remove_file(path);
	}
	if (d)
		closedir(d);
}

enum gw_ex_result gw_ix_open(struct gw_ix *ix, bool is_build)
{
	ix->no = is_build ? 0 : newest(ix->dir);
	if (!is_build && !ix->no)
		ix->no = 1;
	if (is_build)
		snprintf(ix->path, sizeof ix->path, "%s/build.db", ix->dir);
	else
		snprintf(ix->path, sizeof ix->path, "%s/requests-%08llu.db", ix->dir, (unsigned long long)ix->no);
	if (is_build)
		remove_file(ix->path);
	ix->items = malloc((size_t)2 * GW_EX_BATCH * sizeof *ix->items);
	ix->window = malloc(GW_EX_WINDOW);
	if (!ix->items || !ix->window) {
		gw_ix_close(ix);
		return gw_ix_fail(ix, "cannot open the index");
	}
	enum gw_ex_result r = open_file(ix);
	if (r == GW_EX_IDLE && !is_build)
		remove_older(ix);
	return r;
}

void gw_ix_close(struct gw_ix *ix)
{
	for (int i = 0; i < GW_EX_S_COUNT; i++) {
		sqlite3_finalize(ix->stmt[i]);
		ix->stmt[i] = NULL;
	}
	if (ix->db)
		sqlite3_close(ix->db);
	gw_ix_dims_done(ix);
	free(ix->segs);
	free(ix->items);
	free(ix->window);
	ix->db = NULL;
	ix->segs = NULL;
	ix->items = NULL;
	ix->window = NULL;
	ix->n_segs = ix->cap_segs = ix->n_items = ix->n_rows = 0;
	ix->listed_ns = 0;
	ix->is_begun = false;
	ix->total_rows = 0;
}

void gw_ix_set_aside(struct gw_ix *ix)
{
	char to[640];
	uint64_t no = ix->no;

	gw_ix_close(ix);
	snprintf(to, sizeof to, "%s/damaged.db", ix->dir);
	remove_file(to);
	if (rename(ix->path, to) != 0)
		gw_log_slow(GW_WARN, "the damaged index cannot be set aside");
	remove_file(ix->path);
	/* Readers that still have the old file open look for a higher number. */
	snprintf(ix->path, sizeof ix->path, "%s/requests-%08llu.db", ix->dir, (unsigned long long)(no + 1));
	FILE *f = fopen(ix->path, "we");
	if (f)
		fclose(f);
}

bool gw_ix_adopt(struct gw_ix *built, struct gw_ix *old)
{
	char from[640], to[640];
	uint64_t no = old->no + 1;

	sqlite3_wal_checkpoint_v2(built->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	snprintf(from, sizeof from, "%s", built->path);
	snprintf(to, sizeof to, "%s/requests-%08llu.db", old->dir, (unsigned long long)no);
	gw_ix_close(built);
	if (rename(from, to) != 0)
		return false;
	gw_ix_close(old);
	return true;
}

/* --- transactions --- */
bool gw_ix_begin(struct gw_ix *ix)
{
	ix->is_begun = gw_ix_exec(ix, "BEGIN IMMEDIATE");
	ix->n_items = ix->n_rows = 0;
	return ix->is_begun;
}

/* The log is folded into the file beside readers, never waiting for them. */
static void fold_log(struct gw_ix *ix)
{
	int log = 0, done = 0;

	if (sqlite3_wal_checkpoint_v2(ix->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &done) != SQLITE_OK)
		gw_log_slow(GW_WARN, "index: its log cannot be folded in now: %s", sqlite3_errmsg(ix->db));
}

bool gw_ix_commit(struct gw_ix *ix)
{
	char path[640];
	struct stat st;

	if (!gw_ix_exec(ix, "COMMIT"))
		return false;
	ix->is_begun = false;
	if (ix->count)
		ix->count[GW_X_commits]++;
	snprintf(path, sizeof path, "%s-wal", ix->path);
	if (stat(path, &st) == 0 && st.st_size > CHECKPOINT_PAGES * 4096LL)
		fold_log(ix);
	return true;
}

bool gw_ix_meta(struct gw_ix *ix, const char *name, int64_t value)
{
	sqlite3_stmt *s = gw_ix_stmt(ix, GW_EX_S_META);

	sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, value);
	return sqlite3_step(s) == SQLITE_DONE;
}

uint64_t gw_ix_bytes(const struct gw_ix *ix)
{
	static const char *const tails[] = { "", "-wal" };
	char path[640];
	struct stat st;
	uint64_t sum = 0;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s%s", ix->path, tails[i]);
		if (stat(path, &st) == 0)
			sum += (uint64_t)st.st_size;
	}
	return sum;
}

uint64_t gw_ix_used(struct gw_ix *ix)
{
	bool a, b, c;
	int64_t pages = number(ix, "PRAGMA page_count", &a), unused = number(ix, "PRAGMA freelist_count", &b),
		size = number(ix, "PRAGMA page_size", &c);

	return a && b && c && pages > unused ? (uint64_t)((pages - unused) * size) : 0;
}

bool gw_ix_check(struct gw_ix *ix)
{
	sqlite3_stmt *s = NULL;
	bool ok = sqlite3_prepare_v2(ix->db, "PRAGMA quick_check(1)", -1, &s, NULL) == SQLITE_OK &&
		  sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;

	sqlite3_finalize(s);
	return ok;
}
