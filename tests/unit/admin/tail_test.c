/* logs:tail over real segment files: what becomes durable is told once, in every file that grows, and nothing that was there before. */
#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>
#include <uv.h>
#include "lib/segment.h"
#include "lib/sys/clock.h"
#include "tests/unit/admin/fake_admin.h"

static struct gw_h1_conn c;
static char dir[64];

/* A logger's file: room in front of its end, blocks that come one by one. */
struct file {
	int fd;
	uint64_t at, seq;
	struct gw_seg_writer w;
};

static void begin(struct file *f, unsigned no, const char *writer)
{
	struct gw_seg_info info = { .cls = GW_SEG_REQUEST, .segment_no = no, .created_us = gw_unix_us() };
	char path[160];
	struct gw_buf b;

	snprintf(path, sizeof path, "%s/seg-request-%013lld-%s-%08u.lga", dir, (long long)gw_unix_us() / 1000, writer,
		 no);
	*f = (struct file){ .fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600) };
	assert_true(f->fd >= 0 && ftruncate(f->fd, 1 << 20) == 0);
	gw_buf_init(&b, 1 << 20);
	gw_seg_begin(&f->w, &info, &b);
	assert_int_equal(pwrite(f->fd, b.p, b.n, 0), b.n);
	f->at = b.n;
	gw_buf_done(&b);
}

/* One block with one END of this model; half: only its first bytes are there yet. */
static void append(struct file *f, const char *model, const char *org, int64_t started_us, bool half)
{
	struct gw_record r = { .model = gw_str_z(model), .org = gw_str_z(org), .ts_start_us = started_us };
	struct gw_buf body, frames, out;
	struct gw_seg_writer w = f->w;

	gw_buf_init(&body, 65536);
	gw_buf_init(&frames, 65536);
	gw_buf_init(&out, 1 << 20);
	gw_record_pack(&r, false, &body);
	struct gw_seg_record rec = { 0, 1, GW_REC_END, f->seq + 1, gw_buf_view(&body) };
	gw_seg_frame(&frames, &rec);
	gw_seg_block(&w, gw_buf_view(&frames), 1, gw_unix_us(), gw_unix_us(), &out);
	assert_true(pwrite(f->fd, out.p, half ? 90 : out.n, (off_t)f->at) > 0);
	if (!half) {
		f->at += out.n;
		f->w = w;
		f->seq++;
	}
	gw_buf_done(&body);
	gw_buf_done(&frames);
	gw_buf_done(&out);
}

static void finish(struct file *f)
{
	struct gw_buf b;

	gw_buf_init(&b, 65536);
	assert_int_equal(gw_seg_checkpoint(&f->w, true, NULL, 0, 0, f->seq, NULL, &b), GW_OK);
	assert_int_equal(pwrite(f->fd, b.p, b.n, (off_t)f->at), b.n);
	assert_int_equal(ftruncate(f->fd, (off_t)(f->at + b.n + 4096)), 0);
	gw_buf_done(&b);
	close(f->fd);
}

/* By turns, not by the clock: a machine that stalls must not skip the last look. */
static void run_for(uint64_t ms)
{
	for (uint64_t i = 0; i <= ms / 10; i++) {
		uv_run(&the_admin.loop, UV_RUN_NOWAIT);
		gw_sleep_ms(10);
	}
	uv_run(&the_admin.loop, UV_RUN_NOWAIT);
}

static unsigned times(const char *model)
{
	char want[64];
	unsigned n = 0;

	snprintf(want, sizeof want, "\"model\":\"%s\"", model);
	for (const char *p = c.body; (p = strstr(p, want)) != NULL; p++)
		n++;
	return n;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	memset(&the_admin, 0, sizeof the_admin);
	the_admin.confd = (struct gw_channel *)(uintptr_t)8;
	snprintf(dir, sizeof dir, "/tmp/llmgw-test-XXXXXX");
	if (!mkdtemp(dir) || uv_loop_init(&the_admin.loop))
		return -1;
	snprintf(the_admin.segments, sizeof the_admin.segments, "%s", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gw_adm_ops.on_gone(&the_admin, &c);
	run_for(300);
	assert_int_equal(the_admin.n_open, 0);
	assert_int_equal(the_admin.n_tails, 0);
	assert_int_equal(uv_loop_close(&the_admin.loop), 0);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static unsigned n_tokens;
static void start_tail(const char *principal, const char *query)
{
	char target[256], token[64];

	snprintf(target, sizeof target, "/admin/v1/logs:tail%s", query);
	snprintf(token, sizeof token, "Bearer tail-%u", ++n_tokens);
	call(&c, GW_H1_GET, target, token, NULL, NULL);
	confd_says(200, principal);
	assert_int_equal(c.status, 200);
}
#define ADMIN "{\"key\":\"k\",\"roles\":[{\"role\":\"platform-admin\"}]}"

static void what_comes_is_told_once(void **state)
{
	(void)state;
	struct file f;

	begin(&f, 1, "00000001");
	append(&f, "before", "acme", gw_unix_us(), false);
	start_tail(ADMIN, "");
	append(&f, "after", "acme", gw_unix_us(), false);
	append(&f, "long", "acme", gw_unix_us() - 600000000, false); /* began before the tail, ended now */
	append(&f, "half", "acme", gw_unix_us(), true);
	run_for(500);
	assert_int_equal(times("before"), 0);
	assert_int_equal(times("after"), 1);
	assert_int_equal(times("long"), 1);
	assert_int_equal(times("half"), 0);
	append(&f, "half", "acme", gw_unix_us(), false);
	run_for(500);
	assert_int_equal(times("half"), 1);
	assert_int_equal(times("after"), 1);
	finish(&f);
	begin(&f, 2, "00000001"); /* the next file */
	append(&f, "next", "acme", gw_unix_us(), false);
	run_for(500);
	assert_int_equal(times("next"), 1);
	assert_int_equal(times("half"), 1);
	close(f.fd);
}

/* An upgrade: two loggers write, with any numbers. */
static void two_writers(void **state)
{
	(void)state;
	struct file a, b;

	begin(&a, 7, "0000000a");
	append(&a, "old", "acme", gw_unix_us(), false);
	start_tail(ADMIN, "");
	begin(&b, 8, "0000000b");
	for (int i = 0; i < 3; i++) {
		append(&a, "from-a", "acme", gw_unix_us(), false);
		append(&b, "from-b", "acme", gw_unix_us(), false);
		run_for(300);
	}
	finish(&a);
	begin(&a, 8, "0000000a"); /* the same number */
	append(&a, "again-a", "acme", gw_unix_us(), false);
	append(&b, "again-b", "acme", gw_unix_us(), false);
	run_for(500);
	assert_int_equal(times("old"), 0);
	assert_int_equal(times("from-a"), 3);
	assert_int_equal(times("from-b"), 3);
	assert_int_equal(times("again-a"), 1);
	assert_int_equal(times("again-b"), 1);
	close(a.fd);
	close(b.fd);
}

/* More files than are followed at once. */
static void many_files(void **state)
{
	(void)state;
	struct file f;
	char model[32];

	start_tail(ADMIN, "");
	for (unsigned i = 1; i <= 30; i++) {
		begin(&f, i, "0000000c");
		snprintf(model, sizeof model, "m%u-", i);
		append(&f, model, "acme", gw_unix_us(), false);
		if (i % 5 == 0)
			run_for(300);
		finish(&f);
	}
	run_for(300);
	for (unsigned i = 1; i <= 30; i++) {
		snprintf(model, sizeof model, "m%u-", i);
		assert_int_equal(times(model), 1);
	}
}

static void tenants_and_filters(void **state)
{
	(void)state;
	struct file f;

	begin(&f, 1, "00000001");
	start_tail("{\"key\":\"k\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"acme\"}]}", "?filter=model%3Dgood");
	append(&f, "good", "acme", gw_unix_us(), false);
	append(&f, "good", "other", gw_unix_us(), false);
	append(&f, "bad", "acme", gw_unix_us(), false);
	run_for(500);
	if (times("good") != 1)
		fail_msg("%s", c.body);
	assert_int_equal(times("bad"), 0);
	close(f.fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(what_comes_is_told_once), T(two_writers), T(many_files),
					    T(tenants_and_filters) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
