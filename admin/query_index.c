/* The index opened for one query: read-only, its newest file, in one read transaction, so that rows and cursors fit together. The sandbox lets
 * this process write nothing there; SQLite then reads the log beside the file with a map of its own when the exporter is not alive. */
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include "admin/query.h"
#include "lib/sys/clock.h"

enum { OPS_PER_LOOK = 20000, BUSY_MS = 200 };

static bool newest(const char *dir, char out[700])
{
	DIR *d = opendir(dir);
	uint64_t best = 0, no;

	for (struct dirent *e; d && (e = readdir(d));)
		if (gw_index_name_read(gw_str_z(e->d_name), &no) && no > best)
			best = no;
	if (d)
		closedir(d);
	snprintf(out, 700, "file:%s/requests-%08llu.db?mode=ro&readonly_shm=1", dir, (unsigned long long)best);
	return best > 0;
}

static int on_progress(void *ctx)
{
	struct gw_q *y = ctx;

	return gw_now_ms() >= y->until_ms;
}

int64_t gw_q_number(struct gw_q *y, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *s = NULL;
	int64_t v = otherwise;

	if (sqlite3_prepare_v2(y->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

bool gw_q_index_open(struct gw_q *y)
{
	char name[700];

	/* a path with characters that mean something in a file name of SQLite is not opened by a guess */
	if (y->is_index_bad || strpbrk(y->index, "?#%") || !newest(y->index, name))
		return false;
	if (sqlite3_open_v2(name, &y->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL)) {
		gw_q_index_close(y);
		return false;
	}
	sqlite3_busy_timeout(y->db, BUSY_MS);
	sqlite3_progress_handler(y->db, OPS_PER_LOOK, on_progress, y);
	if (gw_q_number(y, "PRAGMA user_version", -1) != gw_index_version() ||
	    sqlite3_exec(y->db, "BEGIN", NULL, NULL, NULL)) {
		gw_q_index_close(y);
		return false;
	}
	return true;
}

void gw_q_index_close(struct gw_q *y)
{
	if (y->db)
		sqlite3_close(y->db);
	y->db = NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct gw_q_file *x = a, *y = b;

	if (x->seg.no != y->seg.no)
		return x->seg.no < y->seg.no ? -1 : 1;
	return strcmp(x->seg.name, y->seg.name);
}

bool gw_q_index_files(struct gw_q *y)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(
	    y->db, "SELECT name, id, state, offset, block_no, hash, min_us, max_us, no, rows FROM seg", -1, &s, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);
		struct gw_q_file want = { .seg.no = (uint64_t)sqlite3_column_int64(s, 8) }, *f;

		rc = SQLITE_OK;
		if (!name || strlen(name) >= sizeof want.seg.name || sqlite3_column_bytes(s, 5) != 32)
			continue;
		memcpy(want.seg.name, name, strlen(name) + 1);
		f = y->n_files ? bsearch(&want, y->files, y->n_files, sizeof *y->files, by_name) : NULL;
		if (!f)
			continue;
		f->id = (uint32_t)sqlite3_column_int64(s, 1);
		f->state = (enum gw_iseg_state)sqlite3_column_int(s, 2);
		f->offset = (uint64_t)sqlite3_column_int64(s, 3);
		f->block_no = (uint64_t)sqlite3_column_int64(s, 4);
		memcpy(f->hash, sqlite3_column_blob(s, 5), 32);
		f->min_us = sqlite3_column_int64(s, 6);
		f->max_us = sqlite3_column_int64(s, 7);
		f->rows = (uint64_t)sqlite3_column_int64(s, 9);
	}
	sqlite3_finalize(s);
	return rc == SQLITE_DONE;
}

int64_t gw_q_dim(struct gw_q *y, struct gw_str text)
{
	sqlite3_stmt *s = NULL;
	int64_t id = -2;
	int rc = sqlite3_prepare_v2(y->db, "SELECT id FROM dim WHERE text = ?", -1, &s, NULL);

	if (!text.n)
		id = 0;
	else if (rc == SQLITE_OK) {
		sqlite3_bind_text(s, 1, text.p, (int)text.n, SQLITE_STATIC);
		rc = sqlite3_step(s);
		id = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : rc == SQLITE_DONE ? -1 : -2;
	}
	sqlite3_finalize(s);
	return id;
}
