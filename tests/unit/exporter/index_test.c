/* The index over segments: every request once, roll-ups equal to a straight count, whatever happens to the exporter, its file or the
 * segments it reads. */
#include "gen.h"
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>
#include <cmocka.h>
#include "lib/sys/clock.h"

static struct gen g;
static struct gw_ix ix;
static uint64_t counts[GW_X_COUNT];

static int start(void **state)
{
	(void)state;
	gen_init(&g, "index");
	memset(counts, 0, sizeof counts);
	gen_ix(&g, &ix, counts);
	return 0;
}

static int end(void **state)
{
	(void)state;
	gw_ix_close(&ix);
	gen_done(&g);
	return 0;
}

static int64_t now_of(const struct gen *of)
{
	return of->t0_us + (int64_t)of->n_ends * of->step_us;
}

static int64_t ask(const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t v;

	assert_int_equal(sqlite3_prepare_v2(ix.db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

/* Sum of all roll-ups of a span whose tuple has this in that dimension (NULL: all). */
static void sum_of(int span, const char *dim, const char *text, struct gw_rollup *out)
{
	char sql[400];
	sqlite3_stmt *s = NULL;

	snprintf(sql, sizeof sql,
		 "SELECT data FROM rollup JOIN tuple t ON t.id = rollup.tuple WHERE span = %d AND (%s%s%s)", span,
		 dim ? "t.\"" : "1", dim ? dim : "", dim ? "\" = (SELECT id FROM dim WHERE text = ?)" : "");
	assert_int_equal(sqlite3_prepare_v2(ix.db, sql, -1, &s, NULL), SQLITE_OK);
	if (dim)
		sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
	gw_rollup_clear(out);
	while (sqlite3_step(s) == SQLITE_ROW)
		assert_int_equal(
		    gw_rollup_merge(out, gw_str(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0))), GW_OK);
	sqlite3_finalize(s);
}

/* Straight from the generator, for records [from, to). */
static void count_of(uint64_t from, uint64_t to, const char *key, struct gw_rollup *out)
{
	struct gw_rollup_item item;
	struct gw_record r;
	char buf[256];

	gw_rollup_clear(out);
	for (uint64_t i = from; i < to; i++) {
		gen_record(&g, i, &r, buf);
		if (key && !gw_str_eq(r.key, gw_str_z(key)))
			continue;
		gw_rollup_item(&r, &item);
		gw_rollup_add(out, &item);
	}
}

static void must_equal(uint64_t from, uint64_t to)
{
	static struct gw_rollup have, want;

	assert_int_equal(ask("SELECT count(*) FROM request"), to - from);
	for (int span = 1; span <= 60; span += 59) {
		sum_of(span, NULL, NULL, &have);
		count_of(from, to, NULL, &want);
		assert_memory_equal(&have, &want, sizeof have);
		sum_of(span, "key", "key-3", &have);
		count_of(from, to, "key-3", &want);
		assert_memory_equal(&have, &want, sizeof have);
	}
}

static void every_request_once(void **state)
{
	(void)state;
	g.step_us = 50000; /* 5000 requests over four minutes and more */
	gen_many(&g, 5000);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 5000);
	assert_int_equal(counts[GW_X_records], 5000);
	assert_int_equal(counts[GW_X_records_seen], 10000);
	assert_true(ix.is_caught_up);
	assert_int_equal(ask("SELECT count(DISTINCT at) FROM rollup WHERE span = 1"), 5);
	/* it goes on where it was, in the same file and in the next */
	gen_many(&g, 250);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	gen_close(&g);
	gen_many(&g, 250);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 5500);
	assert_int_equal(ask("SELECT count(*) FROM seg WHERE state = 1"), 1);
}

static void again_after_close(void **state)
{
	(void)state;
	gen_many(&g, 1000);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	gw_ix_close(&ix);
	gen_many(&g, 1000);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 2000);
	assert_int_equal(counts[GW_X_doubled], 0);
}

/* The row leads to its record: the frame at the offset is the request's. */
static void a_row_finds_its_record(void **state)
{
	char path[700];
	uint8_t head[24], body[4096];
	struct gw_record r, want;
	char buf[256];
	sqlite3_stmt *s;

	(void)state;
	gen_many(&g, 300);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_int_equal(sqlite3_prepare_v2(ix.db,
					    "SELECT pos FROM request WHERE \"key\" = (SELECT id FROM dim WHERE text = "
					    "'key-3') ORDER BY pos DESC",
					    -1, &s, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	int64_t pos = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	assert_int_equal(gw_ipos_seg(pos), ix.segs[0].id);
	snprintf(path, sizeof path, "%s/%s", ix.segments, ix.segs[0].name);
	int fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, head, 24, (off_t)gw_ipos_offset(pos)), 24);
	uint32_t n = (uint32_t)head[0] | (uint32_t)head[1] << 8;
	assert_int_equal(pread(fd, body, n, (off_t)gw_ipos_offset(pos) + 24), n);
	close(fd);
	assert_int_equal(gw_record_unpack(gw_str((char *)body, n), &r), GW_OK);
	uint64_t last = 299;
	do
		gen_record(&g, last, &want, buf);
	while (!gw_str_eq(want.key, GW_LIT("key-3")) && last--);
	assert_memory_equal(r.request_id, want.request_id, 16);
	assert_int_equal(r.total_us, want.total_us);
}

/* Killed anywhere, again and again: nothing lost, nothing twice. */
static void killed_anywhere(void **state)
{
	unsigned seed = 20260101;

	(void)state;
	g.step_us = 20000;
	gen_many(&g, 20000);
	for (int i = 0; i < 12; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			gen_drain(&ix, now_of(&g));
			_exit(0);
		}
		usleep((unsigned)rand_r(&seed) % 150000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		gen_many(&g, 100);
	}
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, g.n_ends);
	assert_true(gw_ix_check(&ix));
}

/* An END that stands in the trail twice (a synthetic one came late) counts once; a START alone leaves nothing. */
static void doubled_and_missing(void **state)
{
	(void)state;
	gen_many(&g, 100);
	g.n_ends = 50;
	gen_many(&g, 100); /* 50 to 149: the first half a second time */
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 150);
	assert_int_equal(counts[GW_X_doubled], 50);
}

/* A block whose end is not there yet is read when it is. */
static void half_written(void **state)
{
	char cut[64];
	off_t at;

	(void)state;
	gen_many(&g, 100);
	at = (off_t)g.at - (off_t)sizeof cut;
	assert_int_equal(pread(g.fd, cut, sizeof cut, at), sizeof cut);
	assert_int_equal(ftruncate(g.fd, at), 0);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_int_equal(ask("SELECT count(*) FROM request"), 0);
	assert_int_equal(ftruncate(g.fd, 64 << 20), 0);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_int_equal(ask("SELECT count(*) FROM request"), 0);
	assert_int_equal(pwrite(g.fd, cut, sizeof cut, at), sizeof cut);
	gen_many(&g, 100);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 200);
}

/* Damage in a settled file: what is before it counts, the next files go on. */
static void damaged_segment(void **state)
{
	char noise[16] = "noise noise nois";

	(void)state;
	gen_many(&g, 100);
	uint64_t first = g.at;
	gen_many(&g, 100);
	assert_int_equal(pwrite(g.fd, noise, sizeof noise, (off_t)first + 500), sizeof noise);
	gen_close(&g);
	gen_many(&g, 100);
	int64_t later = g.t0_us + 3 * 3600LL * 1000000;
	assert_int_equal(gen_drain(&ix, later), GW_EX_IDLE);
	assert_int_equal(ask("SELECT count(*) FROM request"), 200);
	assert_true(counts[GW_X_errors] >= 1);
	assert_int_equal(ix.segs[0].state, GW_IS_DONE);
}

static void old_leave(void **state)
{
	struct gw_ex_limits lim = { .days = 2 };
	int64_t hour = 3600LL * 1000000;
	static struct gw_rollup have, want;

	(void)state;
	g.step_us = hour / 100; /* 100 requests an hour, a file an hour, three days */
	for (int h = 0; h < 72; h++) {
		gen_file(&g, now_of(&g));
		gen_block(&g, 100);
		gen_close(&g);
	}
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 7200);
	while (gw_ix_retain(&ix, &lim, now_of(&g)) == GW_EX_MORE)
		;
	/* whole segments before the mark are gone, and whole minutes */
	assert_int_equal(ask("SELECT count(*) FROM request"), 4800);
	assert_int_equal(ask("SELECT count(*) FROM seg WHERE state = 2"), 24);
	assert_int_equal(ask("SELECT value FROM meta WHERE name = 'coverage_us'"), now_of(&g) - 48 * hour);
	sum_of(1, NULL, NULL, &have);
	/* the minute that holds the mark is kept whole */
	int64_t minute = (now_of(&g) - 48 * hour) / 60000000 * 60000000;
	uint64_t from = (uint64_t)((minute - g.t0_us + g.step_us - 1) / g.step_us);
	count_of(from, 7200, NULL, &want);
	assert_memory_equal(&have, &want, sizeof have);
	/* an index that begins now does not read what is older */
	gw_ix_close(&ix);
	assert_int_equal(gw_ix_open(&ix, true), GW_EX_IDLE);
	assert_int_equal(gw_ix_retain(&ix, &lim, now_of(&g)), GW_EX_IDLE);
	uint64_t seen = counts[GW_X_records_seen];
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_true(counts[GW_X_records_seen] - seen < 2 * 5200);
}

static void large_leave(void **state)
{
	struct gw_ex_limits lim = { .max_bytes = 600 << 10 };

	(void)state;
	for (int h = 0; h < 20; h++) {
		gen_file(&g, now_of(&g));
		for (int k = 0; k < 5; k++)
			gen_block(&g, 100);
		gen_close(&g);
	}
	gen_file(&g, now_of(&g));
	gen_block(&g, 100);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_true(gw_ix_used(&ix) > lim.max_bytes);
	for (int i = 0; i < 100 && gw_ix_used(&ix) > lim.max_bytes; i++)
		(void)gw_ix_retain(&ix, &lim, now_of(&g));
	assert_true(gw_ix_used(&ix) <= lim.max_bytes);
	int64_t left = ask("SELECT count(*) FROM request");
	assert_true(left >= 100 && left < 9000);
	/* the newest are those that stay */
	assert_int_equal(ask("SELECT min(ts_start_us) FROM request"), g.t0_us + (10100 - left) * g.step_us);
}

static void a_new_one_swapped_in(void **state)
{
	struct gw_ix build;
	uint64_t not_counted[GW_X_COUNT] = { 0 };

	(void)state;
	gen_many(&g, 2000);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	uint64_t no = ix.no;
	gen_ix(&g, &build, not_counted);
	assert_int_equal(gw_ix_open(&build, true), GW_EX_IDLE);
	assert_int_equal(gen_drain(&build, now_of(&g)), GW_EX_IDLE);
	assert_true(gw_ix_adopt(&build, &ix));
	gen_many(&g, 100);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_int_equal(ix.no, no + 1);
	must_equal(0, 2100);
}

/* Not an index any more: noticed, set aside, made anew. */
static void damaged_index(void **state)
{
	char path[600], noise[8192];

	(void)state;
	gen_many(&g, 3000);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	snprintf(path, sizeof path, "%s", ix.path);
	gw_ix_close(&ix);
	memset(noise, 0x5a, sizeof noise);
	int fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise);
	close(fd);
	assert_int_equal(gw_ix_open(&ix, false), GW_EX_BROKEN);
	gw_ix_set_aside(&ix);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	must_equal(0, 3000);
	snprintf(path, sizeof path, "%s/damaged.db", ix.dir);
	assert_int_equal(access(path, F_OK), 0);
}

static void another_layout(void **state)
{
	(void)state;
	gen_many(&g, 100);
	assert_int_equal(gen_drain(&ix, now_of(&g)), GW_EX_IDLE);
	assert_true(gw_ix_exec(&ix, "PRAGMA user_version = 5"));
	gw_ix_close(&ix);
	assert_int_equal(gw_ix_open(&ix, false), GW_EX_BROKEN);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		T(every_request_once),  T(again_after_close),    T(a_row_finds_its_record), T(killed_anywhere),
		T(doubled_and_missing), T(half_written),         T(damaged_segment),        T(old_leave),
		T(large_leave),         T(a_new_one_swapped_in), T(damaged_index),          T(another_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
