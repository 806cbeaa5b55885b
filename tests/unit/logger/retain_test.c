/* Retention: what is due and what is not, tombstones, and the states that a crash leaves. */
#include "tests/unit/logger/fixture.h"
#include <sys/file.h>
#include "lib/sys/fd.h"

enum { FILES = 8 };

static int set_up(void **state)
{
	return make_dirs(state);
}

static struct gw_logger *open_logger(void)
{
	struct gw_logger *l = logger_new();

	gw_buf_init(&l->retain.old, GW_RETIRED_BYTES);
	gw_buf_init(&l->retain.made, GW_RETIRED_BYTES);
	l->retain.dir_fd = l->dir_fd;
	l->retain.now_us = gw_unix_us();
	return l;
}

static void close_logger(struct gw_logger *l)
{
	gw_buf_done(&l->retain.old);
	gw_buf_done(&l->retain.made);
	free(l->retain.needed);
	logger_end(l);
}

/* n closed segments with `each` requests in each. */
static void make_segments(int n, int each)
{
	struct fake_worker *w = worker_new(0, 1);

	for (int i = 0; i < n; i++) {
		struct gw_logger *l = logger_new();

		gw_lg_slot_open(l, 0);
		for (int k = 0; k < each; k++)
			whole_request(w, 7);
		logger_end(l);
	}
	worker_free(w);
}

static size_t n_segments(void)
{
	size_t n;
	char **v = segment_paths("request", &n);

	free_paths(v, n);
	return n;
}

/* One turn. True when something was removed. */
static bool turn(struct gw_logger *l)
{
	gw_lg_retain_scan(&l->retain);
	if (!l->retain.has_due || !gw_lg_retain_prepare(l))
		return false;
	gw_lg_retain_remove(&l->retain);
	assert_int_equal(l->retain.err, GW_OK);
	return true;
}

static uint32_t read_tombstones(struct gw_logger *l, struct gw_retired *last, uint64_t *segments, uint64_t *records)
{
	static struct gw_buf b;
	struct gw_retired_reader r;
	const char *what;
	uint32_t n = 0;

	gw_buf_done(&b);
	gw_buf_init(&b, GW_RETIRED_BYTES);
	*segments = *records = 0;
	assert_int_equal(gw_read_file(l->dir_fd, "retired-request.lgt", &b), GW_OK);
	assert_int_equal(gw_retired_open(&r, gw_buf_view(&b), GW_SEG_REQUEST, the_public_key, &what), GW_OK);
	for (; gw_retired_next(&r, last); n++) {
		*segments += last->n_segments;
		*records += last->n_records;
	}
	return n;
}

static void nothing_is_due(void **state)
{
	(void)state;
	make_segments(FILES, 3);
	struct gw_logger *l = open_logger();

	l->retain.unread_no = 1000;
	assert_false(turn(l)); /* no limits */
	l->retain.keep.days = 1;
	assert_false(turn(l)); /* too young */
	l->retain.keep.max_bytes = 1 << 30;
	assert_false(turn(l)); /* too small */
	assert_int_equal(l->retain.n_files, FILES);
	assert_true(l->retain.bytes > 0 && l->retain.free_bytes > 0 && l->retain.oldest_us > 0);
	assert_int_equal(n_segments(), FILES);
	close_logger(l);
}

static void by_size_to_the_newest_four(void **state)
{
	(void)state;
	make_segments(FILES, 3);
	struct gw_logger *l = open_logger();
	struct gw_retired last;
	uint64_t segments, records;

	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	for (size_t left = FILES; left > GW_LG_STOCK_FILES; left--) {
		assert_true(turn(l));
		assert_int_equal(n_segments(), left - 1);
	}
	assert_false(turn(l));
	assert_int_equal(read_tombstones(l, &last, &segments, &records), FILES - GW_LG_STOCK_FILES);
	assert_int_equal(segments, FILES - GW_LG_STOCK_FILES);
	assert_int_equal(records, (FILES - GW_LG_STOCK_FILES) * 6);
	assert_int_equal(last.last_no, FILES - GW_LG_STOCK_FILES);
	assert_int_equal(last.why, GW_RETIRED_SIZE);
	assert_int_equal(last.n_spans, 1);
	assert_int_equal(last.spend_nanousd, 21);
	/* the oldest that is left continues the last that went */
	size_t n;
	char **v = segment_paths("request", &n);
	struct gw_str s = slurp(v[0]);
	struct gw_seg_reader r;

	assert_int_equal(gw_seg_open(&r, s), GW_OK);
	assert_memory_equal(r.info.prev_final_hash, last.final_hash, 32);
	free((void *)(uintptr_t)s.p);
	free_paths(v, n);
	close_logger(l);
}

static void by_age(void **state)
{
	(void)state;
	make_segments(FILES, 1);
	struct gw_logger *l = open_logger();

	l->retain.unread_no = 1000;
	l->retain.keep.days = 2;
	l->retain.now_us += 2 * 86400LL * 1000000 - 1000000;
	assert_false(turn(l));
	l->retain.now_us += 61 * 1000000;
	assert_true(turn(l));
	assert_int_equal(l->retain.why, GW_RETIRED_AGE);
	assert_int_equal(l->retain.due.no, 1);
	l->retain.keep.days = 3;
	assert_false(turn(l));
	close_logger(l);
}

static void not_before_the_index_has_it(void **state)
{
	(void)state;
	make_segments(FILES, 1);
	struct gw_logger *l = open_logger();

	l->retain.keep.max_bytes = 1;
	assert_false(turn(l)); /* nobody knows */
	assert_true(l->retain.is_held);
	l->retain.unread_no = 2;
	assert_true(turn(l));
	assert_false(turn(l));
	assert_true(l->retain.is_held);
	l->retain.is_short = true; /* what is due goes, read or not */
	assert_true(turn(l));
	assert_true(l->retain.is_unread);
	l->retain.keep.max_bytes = 0; /* but nothing that is not due */
	assert_false(turn(l));
	close_logger(l);
}

static void never_one_that_is_written_or_damaged(void **state)
{
	(void)state;
	make_segments(FILES, 2);
	struct gw_logger *l = open_logger();
	size_t n;
	char **v = segment_paths("request", &n);
	int fd = open(v[0], O_RDWR);

	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_false(turn(l));
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_int_equal(pwrite(fd, "x", 1, GW_SEG_HEADER_BYTES + 90), 1);
	assert_false(turn(l));
	assert_string_equal(l->retain.damaged, strrchr(v[0], '/') + 1);
	assert_int_equal(n_segments(), FILES);
	close(fd);
	free_paths(v, n);
	close_logger(l);
}

/* Rewritten with everything in order but the key: the signature of its last checkpoint gives it away. */
static void never_one_of_another_key(void **state)
{
	(void)state;
	struct gw_signer *ours = the_signer, *forger;
	struct gw_secret *other;

	assert_int_equal(gw_signer_make(&other), GW_OK);
	assert_int_equal(gw_signer_new(other, &forger), GW_OK);
	the_signer = forger;
	make_segments(FILES, 2);
	the_signer = ours;
	struct gw_logger *l = open_logger();

	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	assert_false(turn(l));
	assert_string_equal(l->retain.damage, "signature");
	close_logger(l);
	gw_signer_free(forger);
	gw_secret_unref(other);
}

/* The gateway died behind the tombstone: the next turn takes the file away and adds nothing. */
static void crash_before_unlink(void **state)
{
	(void)state;
	make_segments(FILES, 2);
	struct gw_logger *l = open_logger();
	struct gw_retired last;
	uint64_t segments, records;

	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	gw_lg_retain_scan(&l->retain);
	assert_true(l->retain.has_due && gw_lg_retain_prepare(l));
	assert_int_equal(gw_write_file(l->dir_fd, "retired-request.lgt", gw_buf_view(&l->retain.made), 0600), GW_OK);
	close_logger(l);

	l = open_logger(); /* without any limit: what was begun is finished */
	assert_int_equal(n_segments(), FILES);
	assert_true(turn(l));
	assert_true(l->retain.is_left);
	assert_int_equal(n_segments(), FILES - 1);
	assert_int_equal(read_tombstones(l, &last, &segments, &records), 1);
	assert_false(turn(l));
	close_logger(l);
}

/* The gateway died before it: nothing happened, and it is done from the start. A half-written file of tombstones is not looked at. */
static void crash_before_tombstone(void **state)
{
	(void)state;
	make_segments(FILES, 2);
	struct gw_logger *l = open_logger();
	struct gw_retired last;
	uint64_t segments, records;

	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	gw_lg_retain_scan(&l->retain);
	assert_true(l->retain.has_due && gw_lg_retain_prepare(l));
	close_logger(l);

	l = open_logger();
	int fd = openat(l->dir_fd, "retired-request.lgt.new", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "LGWR", 4), 4);
	close(fd);
	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	assert_true(turn(l));
	assert_int_equal(read_tombstones(l, &last, &segments, &records), 1);
	assert_int_equal(n_segments(), FILES - 1);
	close_logger(l);
}

/* Somebody who may write files but has no key cannot make the gateway remove anything. */
static void forged_tombstone_removes_nothing(void **state)
{
	(void)state;
	make_segments(FILES, 2);
	struct gw_signer *ours = the_signer, *forger;
	struct gw_secret *other;
	struct gw_logger *l = open_logger();

	assert_int_equal(gw_signer_make(&other), GW_OK);
	assert_int_equal(gw_signer_new(other, &forger), GW_OK);
	l->retain.unread_no = 1000;
	l->retain.keep.max_bytes = 1;
	l->signer = forger;
	gw_lg_retain_scan(&l->retain);
	assert_true(l->retain.has_due);
	gw_buf_clear(&l->retain.old, 0);
	assert_true(gw_lg_retain_prepare(l));
	assert_int_equal(gw_write_file(l->dir_fd, "retired-request.lgt", gw_buf_view(&l->retain.made), 0600), GW_OK);
	l->signer = ours;
	assert_false(turn(l));
	assert_int_equal(l->retain.err, GW_E_CORRUPT);
	assert_int_equal(n_segments(), FILES);
	close_logger(l);
	gw_signer_free(forger);
	gw_secret_unref(other);
}

/* The file of tombstones has a ceiling: the oldest become one, and the chain and the sums stay. */
static bool never(void *ctx, const uint8_t hash[32])
{
	return ctx && memcmp(ctx, hash, 32) == 0;
}

static void folding(void **state)
{
	(void)state;
	struct gw_buf files[2];
	struct gw_seg_span span[2];
	struct gw_retired t, x;
	struct gw_retired_reader r;
	uint8_t wanted[32] = { 3, 0 }; /* the third's final hash, which somebody continues */
	const char *what;
	uint64_t records = 0, last_no = 0;
	uint32_t n = 0;

	gw_buf_init(&files[0], GW_RETIRED_BYTES);
	gw_buf_init(&files[1], GW_RETIRED_BYTES);
	for (uint32_t i = 1; i <= GW_RETIRED_MAX + 20; i++) {
		span[0] = (struct gw_seg_span){ 0, 7, 10 * i - 9, 10 * i };
		span[1] = (struct gw_seg_span){ 1, i, 1, 5 };
		t = (struct gw_retired){ .n_segments = 1,
					 .first_no = i,
					 .last_no = i,
					 .name = GW_LIT("x"),
					 .n_records = 15,
					 .spend_nanousd = 2,
					 .span = span,
					 .n_spans = 2 };
		t.prev_hash[0] = (uint8_t)(i - 1);
		t.prev_hash[1] = (uint8_t)((i - 1) >> 8);
		t.final_hash[0] = (uint8_t)i;
		t.final_hash[1] = (uint8_t)(i >> 8);
		gw_buf_clear(&files[i % 2], GW_RETIRED_BYTES);
		assert_int_equal(gw_retired_add(gw_buf_view(&files[(i + 1) % 2]), GW_SEG_REQUEST, &t, the_signer, never,
						wanted, &files[i % 2]),
				 GW_OK);
	}
	assert_int_equal(gw_retired_open(&r, gw_buf_view(&files[0]), GW_SEG_REQUEST, the_public_key, &what), GW_OK);
	for (; gw_retired_next(&r, &x); n++) {
		if (n == 0) {
			struct gw_seg_span s;

			assert_int_equal(x.n_segments, 21);
			assert_int_equal(x.first_no, 1);
			assert_int_equal(x.spend_nanousd, 42);
			assert_int_equal(x.n_links, 1);
			assert_memory_equal(gw_retired_link(&x.links), wanted, 32);
			assert_int_equal(x.n_spans, 2);
			assert_true(gw_retired_span(&x.spans, &s));
			assert_int_equal(s.first_seq, 1);
			assert_int_equal(s.last_seq, 210);
			assert_true(gw_retired_span(&x.spans, &s));
			assert_int_equal(s.epoch, 21);
		}
		assert_int_equal(x.first_no, last_no + 1);
		last_no = x.last_no;
		records += x.n_records;
	}
	assert_int_equal(n, GW_RETIRED_MAX);
	assert_int_equal(last_no, GW_RETIRED_MAX + 20);
	assert_int_equal(records, (GW_RETIRED_MAX + 20) * 15);
	gw_buf_done(&files[0]);
	gw_buf_done(&files[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, drop_dirs)
	const struct CMUnitTest tests[] = {
		T(nothing_is_due),
		T(by_size_to_the_newest_four),
		T(by_age),
		T(not_before_the_index_has_it),
		T(never_one_that_is_written_or_damaged),
		T(never_one_of_another_key),
		T(crash_before_unlink),
		T(crash_before_tombstone),
		T(forged_tombstone_removes_nothing),
		T(folding),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
