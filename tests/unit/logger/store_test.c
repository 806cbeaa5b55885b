/* Segment files when things go wrong: failed writes and syncs, a full disk, torn tails, two loggers side by side; and what a closed
 * file promises about itself. */
#include <errno.h>
#include "tests/unit/logger/fixture.h"

/* The logger's own calls, made to fail on demand. */
static int fail_syncs, fail_rooms;
int fdatasync(int fd)
{
	if (fail_syncs > 0 && fail_syncs--) {
		errno = EIO;
		return -1;
	}
	return fsync(fd);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	if (fail_rooms > 0 && fail_rooms--)
		return ENOSPC;
	return ftruncate(fd, at + n) ? errno : 0;
}

static void assert_nothing_lost(struct fake_worker *w, uint64_t last, size_t n_files)
{
	struct trail t;

	trail_read(&t, "request");
	assert_exactly(&t, w->slot, w->epoch, last);
	assert_int_equal(t.n, last);
	assert_int_equal(t.n_files, n_files);
	trail_done(&t);
}

static void failed_sync_begins_another_segment(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1);
	struct gw_logger *l = logger_new();

	gw_lg_slot_open(l, 0);
	for (int round = 0; round < 6; round++) {
		uint64_t tail = atomic_load(&w->ring->tail);

		whole_request(w, 1);
		gw_lg_poll_rings(l, true);
		if (round % 2) {
			fail_syncs = 1;
			assert_false(gw_lg_flush(l));
			assert_int_equal(atomic_load(&w->ring->tail), tail); /* not durable: not given back */
			assert_int_equal(l->request.fd, -1);
			assert_false(gw_lg_flush(l)); /* not at once again */
			l->retry_at_ms = 0;
		}
		assert_true(gw_lg_flush(l));
		assert_int_equal(atomic_load(&w->ring->tail), atomic_load(&w->ring->head));
	}
	logger_end(l);
	assert_nothing_lost(w, 12, 4);
	worker_free(w);
}

static void failed_write_begins_another_segment(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1);
	struct gw_logger *l = logger_new();

	gw_lg_slot_open(l, 0);
	whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	assert_true(gw_lg_flush(l));
	int ro = open("/dev/null", O_RDONLY);
	assert_true(dup2(ro, l->request.fd) >= 0); /* whoever writes there gets EBADF */
	close(ro);
	whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	assert_false(gw_lg_flush(l));
	l->retry_at_ms = 0;
	assert_true(gw_lg_flush(l));
	logger_end(l);
	assert_nothing_lost(w, 4, 2);
	worker_free(w);
}

/* The sync of a checkpoint or of a new file's header fails: no record hangs on it. */
static void failures_beside_records(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1);
	struct gw_logger *l = logger_new();

	gw_lg_slot_open(l, 0);
	whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	fail_syncs = 1; /* the header's */
	assert_false(gw_lg_flush(l));
	l->retry_at_ms = 0;
	assert_true(gw_lg_flush(l));
	whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	l->request.checkpoint_us = 0; /* one is due */
	assert_true(gw_lg_flush(l));
	assert_int_equal(l->request.blocks_since_checkpoint, 0); /* it was written */
	logger_end(l);
	assert_nothing_lost(w, 4, 1);
	worker_free(w);
}

static void full_disk(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1);
	struct gw_logger *l = logger_new();
	char path[160];

	snprintf(path, sizeof path, "%s/segments/reserve", data_dir);
	assert_int_equal(access(path, F_OK), 0);
	gw_lg_slot_open(l, 0);
	for (int i = 0; i < 50; i++)
		whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	fail_rooms = 2;
	assert_false(gw_lg_flush(l));
	assert_int_equal(access(path, F_OK), -1); /* given up */
	l->retry_at_ms = 0;
	assert_false(gw_lg_flush(l));
	for (int i = 0; i < 50; i++)
		whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	l->retry_at_ms = 0;
	assert_true(gw_lg_flush(l));
	logger_end(l);
	assert_nothing_lost(w, 200, 1);
	worker_free(w);
}

/* Longer than the disk is away, more than a batch holds: the ring keeps it. */
static void disk_away_for_long(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1);
	struct gw_logger *l = logger_new();
	uint64_t seq;
	char body[8000];

	memset(body, 0xc0, sizeof body);
	gw_lg_slot_open(l, 0);
	l->retry_at_ms = UINT64_MAX;
	for (uint64_t i = 1; i <= 110; i++) {
		assert_int_equal(gw_ring_put(&w->out, GW_REC_START, gw_str(body, sizeof body), &seq), GW_OK);
		gw_lg_poll_rings(l, true);
	}
	assert_true(l->slots[0].reader.at < atomic_load(&w->ring->head)); /* some are left in the ring */
	assert_int_equal(atomic_load(&w->ring->tail), 0);
	l->retry_at_ms = 0;
	gw_lg_poll_rings(l, true);
	assert_true(gw_lg_flush(l));
	logger_end(l);
	assert_nothing_lost(w, 110, 1);
	worker_free(w);
}

/* Cut at each of many places, or with bits turned in the last block: the next logger keeps what is whole and goes on. */
static void torn_tail(void **state)
{
	(void)state;
	for (int cut = 0; cut < 6; cut++) {
		struct fake_worker *w = worker_new(0, 1);
		struct gw_logger *l = logger_new();
		size_t n;

		gw_lg_slot_open(l, 0);
		whole_request(w, 1);
		gw_lg_poll_rings(l, true);
		assert_true(gw_lg_flush(l));
		uint64_t tail = atomic_load(&w->ring->tail), good = l->request.offset;
		whole_request(w, 1);
		gw_lg_poll_rings(l, true);
		assert_true(gw_lg_flush(l));
		uint64_t end = l->request.offset;
		atomic_store(&w->ring->tail, tail);
		logger_crash(l);
		char **v = segment_paths("request", &n);
		int fd = open(v[n - 1], O_RDWR);
		if (cut < 4) {
			assert_int_equal(ftruncate(fd, (off_t)(good + (end - good) * (uint64_t)cut / 4 + 3)), 0);
		} else {
			assert_int_equal(pwrite(fd, "\xff\xff", 2, (off_t)(cut == 4 ? end - 20 : good + 90)), 2);
		}
		close(fd);
		free_paths(v, n);
		l = logger_new();
		gw_lg_slot_open(l, 0);
		logger_end(l);
		assert_nothing_lost(w, 4, 2);
		worker_free(w);
		drop_dirs(NULL);
		assert_int_equal(make_dirs(NULL), 0);
	}
}

/* Damage before a checkpoint is tampering: reported and left for `audit verify`, never repaired away. */
static void damage_before_a_checkpoint_stays(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1);
	struct gw_logger *l = logger_new();
	struct gw_seg_verdict v;
	size_t n;

	gw_lg_slot_open(l, 0);
	whole_request(w, 1);
	logger_end(l);
	char **p = segment_paths("request", &n);
	assert_int_equal(n, 1);
	int fd = open(p[0], O_RDWR);
	assert_int_equal(pwrite(fd, "\xff\xff", 2, GW_SEG_HEADER_BYTES + 100), 2);
	close(fd);
	struct gw_str before = slurp(p[0]);
	l = logger_new();
	logger_crash(l);
	struct gw_str after = slurp(p[0]);
	assert_int_equal(before.n, after.n);
	assert_memory_equal(before.p, after.p, before.n);
	gw_seg_verify(after, the_public_key, &v, NULL, NULL);
	assert_int_equal(v.err, GW_E_CORRUPT);
	free((void *)(uintptr_t)before.p);
	free((void *)(uintptr_t)after.p);
	free_paths(p, n);
	worker_free(w);
}

/* In an upgrade the new logger takes stock while the old one goes on writing: it must not touch the old one's file. */
static void two_loggers(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1), *x = worker_new(GW_MAX_WORKERS, 2);
	struct gw_logger *old = logger_new();
	struct trail t;

	gw_lg_slot_open(old, 0);
	whole_request(w, 1);
	gw_lg_poll_rings(old, true);
	assert_true(gw_lg_flush(old));
	struct gw_logger *new = logger_new();
	gw_lg_slot_open(new, GW_MAX_WORKERS);
	for (int i = 0; i < 10; i++) {
		whole_request(w, 1);
		whole_request(x, 1);
		gw_lg_poll_rings(old, true);
		gw_lg_poll_rings(new, true);
		assert_true(gw_lg_flush(old));
		assert_true(gw_lg_flush(new));
	}
	/* the old one dies with records durable that it has not given back: its slot goes over without doubles */
	uint64_t tail = atomic_load(&w->ring->tail);
	whole_request(w, 1);
	gw_lg_poll_rings(old, true);
	assert_true(gw_lg_flush(old));
	atomic_store(&w->ring->tail, tail);
	logger_crash(old);
	whole_request(w, 1);
	gw_lg_store_look_again(new);
	gw_lg_slot_open(new, 0);
	logger_end(new);
	trail_read(&t, "request");
	assert_exactly(&t, 0, 1, 26);
	assert_exactly(&t, GW_MAX_WORKERS, 2, 20);
	assert_int_equal(t.n, 46);
	trail_done(&t);
	worker_free(w);
	worker_free(x);
}

/* A logger that dies while it makes a file leaves no segment without a header, and the next one removes what is left. */
static void unborn_segments_go(void **state)
{
	(void)state;
	struct gw_logger *l = logger_new();
	char path[200];

	snprintf(path, sizeof path, "%s/segments/seg-request-0001700000000-00000000-00000009.lga.new", data_dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	close(fd);
	logger_crash(l);
	l = logger_new();
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(l->request.segment_no, 0);
	logger_crash(l);
}

/* Footers say which records are inside and what they cost, for each file by itself. */
static void closed_files_tell_the_truth(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 1), *x = worker_new(1, 2);
	struct gw_logger *l = logger_new();
	struct trail t;

	gw_lg_slot_open(l, 0);
	gw_lg_slot_open(l, 1);
	for (int round = 0; round < 5; round++) {
		whole_request(w, 100);
		whole_request(x, 11);
		gw_lg_poll_rings(l, true);
		if (l->request.fd >= 0)
			l->request.opened_us -=
			    2 * 3600 * 1000000LL; /* old enough: closed before this batch is written */
		assert_true(gw_lg_flush(l));
	}
	logger_end(l);
	trail_read(&t, "request");
	assert_int_equal(t.n_files, 5);
	assert_int_equal(t.n_closed, 5);
	assert_int_equal(t.n_unsigned, 0);
	assert_int_equal(t.spend, 555);
	assert_int_equal(t.span_records, t.n);
	assert_int_equal(t.n, 20);
	trail_done(&t);
	worker_free(w);
	worker_free(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dirs, drop_dirs)
	const struct CMUnitTest tests[] = {
		T(failed_sync_begins_another_segment),
		T(failed_write_begins_another_segment),
		T(failures_beside_records),
		T(full_disk),
		T(disk_away_for_long),
		T(torn_tail),
		T(damage_before_a_checkpoint_stays),
		T(two_loggers),
		T(unborn_segments_go),
		T(closed_files_tell_the_truth),
	};
	return cmocka_run_group_tests(tests, make_key, drop_key);
}
