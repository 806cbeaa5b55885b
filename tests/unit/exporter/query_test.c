/* Queries with an index must say the same as queries without one: same records, same order, same pages, whatever part of the trail the
 * index has. */
#include "gen.h"
#include "admin/query.h"
#include <setjmp.h>
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
static struct gw_arena arena;

enum { MAX = 20000 };
struct list {
	uint64_t n, *v;
};

static int start(void **state)
{
	(void)state;
	gen_init(&g, "query");
	memset(counts, 0, sizeof counts);
	gen_ix(&g, &ix, counts);
	gw_arena_init(&arena, NULL, 0, 16 << 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	gw_ix_close(&ix);
	gen_done(&g);
	gw_arena_done(&arena);
	return 0;
}

static int64_t now_of(void)
{
	return g.t0_us + (int64_t)g.n_ends * g.step_us;
}

/* Number of the record, from its id. */
static uint64_t number_of(const struct gw_seg_record *rec)
{
	struct gw_record r;
	uint64_t v = 0;

	assert_int_equal(gw_record_unpack(rec->body, &r), GW_OK);
	for (int k = 0; k < 8; k++)
		v = v << 8 | r.request_id[k];
	return v;
}

static bool tell(struct gw_q *y, const struct gw_seg_record *rec)
{
	uint64_t v = number_of(rec);

	gw_buf_put(&y->out, &v, sizeof v);
	y->n_out++;
	return y->n_out < y->limit;
}

struct ask {
	const char *filters[4];
	uint64_t from, to; /* record numbers, as times; 0 = open */
	const char *org, *user, *text;
	bool is_ascending, starts;
};

/* All pages of an answer. */
static struct list walk(const struct ask *a, bool with_index, uint64_t limit)
{
	struct gw_q_pos at = { .name = "" };
	struct list out = { 0, malloc(MAX * sizeof(uint64_t)) };
	struct gw_str terms[4], why = GW_NIL;
	unsigned n = 0;

	while (n < 4 && a->filters[n]) {
		terms[n] = gw_str_z(a->filters[n]);
		n++;
	}
	struct gw_record_filter *filter = NULL;

	if (n)
		assert_int_equal(gw_record_filter_parse(&arena, terms, n, &filter, &why), GW_OK);
	for (int pages = 0;; pages++) {
		struct gw_q y = { .limit = limit,
				  .until_ms = gw_now_ms() + 60000,
				  .max_bytes = 16 << 20,
				  .fn = tell,
				  .at = at,
				  .is_ascending = a->is_ascending };

		assert_true(pages < MAX);
		y.want = (struct gw_adm_want){ .cls = GW_SEG_REQUEST, .to_us = INT64_MAX, .with_starts = a->starts };
		y.want.org = gw_str_z(a->org);
		y.want.user = gw_str_z(a->user);
		y.want.text = gw_str_z(a->text);
		if (a->from)
			y.want.from_us = g.t0_us + (int64_t)a->from * g.step_us;
		if (a->to)
			y.want.to_us = g.t0_us + (int64_t)a->to * g.step_us;
		y.want.filter = filter;
		snprintf(y.segments, sizeof y.segments, "%s/segments", g.data);
		snprintf(y.index, sizeof y.index, "%s/%s", g.data, with_index ? "index" : "nothing");
		gw_buf_init(&y.out, 16 << 20);
		gw_q_walk(&y);
		assert_int_equal(y.err, GW_OK);
		assert_false(y.is_index_bad);
		assert_false(y.is_cut);
		assert_true(y.n_out <= limit && out.n + y.n_out < MAX);
		if (y.n_out)
			memcpy(out.v + out.n, y.out.p, y.n_out * sizeof(uint64_t));
		out.n += y.n_out;
		gw_buf_done(&y.out);
		if (!y.is_full)
			return out;
		struct gw_buf b; /* through its printed form, as a client does */
		gw_buf_init(&b, 256);
		gw_q_pos_put(&b, &y.at);
		assert_true(gw_q_pos_read(gw_buf_view(&b), GW_SEG_REQUEST, &at));
		gw_buf_done(&b);
	}
}

static void must_be_same(const struct ask *a, uint64_t limit, uint64_t at_least)
{
	struct list x = walk(a, false, MAX - 1), y = walk(a, true, limit), z = walk(a, false, limit);

	assert_true(x.n >= at_least);
	assert_int_equal(x.n, y.n);
	assert_int_equal(x.n, z.n);
	assert_memory_equal(x.v, y.v, x.n * sizeof *x.v);
	assert_memory_equal(x.v, z.v, x.n * sizeof *x.v);
	for (uint64_t i = 1; i < x.n; i++)
		assert_true(a->starts || (a->is_ascending ? x.v[i - 1] < x.v[i] : x.v[i - 1] > x.v[i]));
	free(x.v);
	free(y.v);
	free(z.v);
}

static const struct ask asks[] = {
	{ .filters = { NULL } },
	{ .filters = { "key=key-3" } },
	{ .filters = { "key=key-9", "status>399" } },
	{ .filters = { "key!=key-3", "total_us>900000" } },
	{ .filters = { "session_id=session-7" } },
	{ .filters = { "session_id=" } },
	{ .filters = { "error=UP_SERVER" } },
	{ .filters = { "error=" } },
	{ .filters = { "error!=" } },
	{ .filters = { "error~SERV" } },
	{ .filters = { "error_detail~with 49" } },
	{ .filters = { "model=model-3", "provider=prov-1" } },
	{ .filters = { "model~3" } },
	{ .filters = { "tags~b1" } },
	{ .filters = { "tokens_input<15", "tokens_output=23" } },
	{ .filters = { "cost_nanousd>1990" } },
	{ .filters = { "user_agent~Python", "finish_reason=stop" } },
	{ .filters = { "is_stream=true", "key=key-1" } },
	{ .filters = { "ttft_us=0" } },
	{ .filters = { "endpoint=chat.completions" }, .from = 500, .to = 1500 },
	{ .filters = { "key=key-2" }, .from = 700 },
	{ .filters = { NULL }, .to = 300 },
	{ .filters = { NULL }, .from = 900, .to = 901 },
	{ .filters = { NULL }, .org = "org-2" },
	{ .filters = { "key=key-2" }, .org = "org-2" },
	{ .filters = { NULL }, .text = "SERVER" },
	{ .filters = { NULL }, .text = "failed with 1" },
	{ .filters = { "request_id=00000000-0000-0064-5a5b-58595e5f5c5d" } },
	{ .filters = { NULL }, .starts = true },
};

static void all_asks(uint64_t limit)
{
	for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
		struct ask a = asks[i];

		must_be_same(&a, limit, 1);
		a.is_ascending = true;
		must_be_same(&a, limit, 1);
	}
	/* what nobody has */
	const struct ask none[] = { { .filters = { "key=nobody" } },
				    { .filters = { "key=key-3" }, .org = "org-1" },
				    { .filters = { "status=418" } },
				    { .org = "org-77" },
				    { .user = "nobody" } };
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct list x = walk(&none[i], true, limit);

		assert_int_equal(x.n, 0);
		free(x.v);
		must_be_same(&none[i], limit, 0);
	}
}

static void drain(void)
{
	assert_int_equal(gen_drain(&ix, now_of()), GW_EX_IDLE);
	gw_ix_close(&ix); /* a reader beside a closed one, and below beside an open one */
}

static void indexed_whole(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		gen_many(&g, 500);
		gen_close(&g);
	}
	drain();
	all_asks(MAX - 1);
	all_asks(37);
}

/* Files that the index has dropped, files it has, one it is in the middle of, one it has not seen. */
static void indexed_in_part(void **state)
{
	struct gw_ex_limits lim = { .days = 1 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		gen_many(&g, 400);
		gen_close(&g);
	}
	gen_many(&g, 300);
	assert_int_equal(gen_drain(&ix, now_of()), GW_EX_IDLE);
	/* the first file is a day older than the mark */
	while (gw_ix_retain(&ix, &lim, g.t0_us + 86400LL * 1000000 + 500 * g.step_us) == GW_EX_MORE)
		;
	assert_int_equal(ix.segs[0].state, GW_IS_EXPIRED);
	assert_int_equal(ix.segs[1].state, GW_IS_DONE);
	gen_many(&g, 200);
	all_asks(MAX - 1);
	gen_close(&g);
	gen_many(&g, 300);
	all_asks(MAX - 1);
	all_asks(41);
	assert_int_equal(gen_drain(&ix, now_of()), GW_EX_IDLE);
	all_asks(53);
}

/* The exporter was killed: its log is there, its map of it is stale. */
static void after_a_kill(void **state)
{
	(void)state;
	gen_many(&g, 1500);
	pid_t pid = fork();
	if (pid == 0) {
		gen_drain(&ix, now_of());
		_exit(0); /* nothing is closed */
	}
	waitpid(pid, NULL, 0);
	all_asks(100);
}

/* Noise in the index is never an answer: it is found out, and the segments are read. */
static void damaged(void **state)
{
	char path[600], noise[4096];
	struct ask a = { .filters = { "key=key-3" } };
	struct list want, have;

	(void)state;
	gen_many(&g, 1000);
	drain();
	want = walk(&a, false, MAX - 1);
	snprintf(path, sizeof path, "%s/requests-00000001.db", ix.dir);
	memset(noise, 0xa5, sizeof noise);
	for (off_t at = 0; at < 40 * 4096; at += 4096) {
		int fd = open(path, O_RDWR);
		char was[4096];

		if (pread(fd, was, sizeof was, at) != sizeof was) {
			close(fd);
			break;
		}
		assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
		struct gw_str why = GW_NIL, term = GW_LIT("key=key-3");
		struct gw_q y = {
			.limit = MAX - 1, .until_ms = gw_now_ms() + 60000, .max_bytes = 16 << 20, .fn = tell
		};
		y.want = (struct gw_adm_want){ .cls = GW_SEG_REQUEST, .to_us = INT64_MAX };
		assert_int_equal(gw_record_filter_parse(&arena, &term, 1, &y.want.filter, &why), GW_OK);
		snprintf(y.segments, sizeof y.segments, "%s", ix.segments);
		snprintf(y.index, sizeof y.index, "%s", ix.dir);
		gw_buf_init(&y.out, 16 << 20);
		gw_q_walk(&y);
		have = (struct list){ y.n_out, (uint64_t *)(void *)y.out.p };
		for (uint64_t i = 0; i < have.n; i++) { /* never another's record */
			bool is_there = false;

			for (uint64_t k = 0; k < want.n && !is_there; k++)
				is_there = want.v[k] == have.v[i];
			assert_true(is_there);
		}
		if (at == 0)
			assert_int_equal(have.n, want.n);
		gw_buf_done(&y.out);
		assert_int_equal(pwrite(fd, was, sizeof was, at), sizeof was);
		close(fd);
	}
	free(want.v);
}

static void places(void **state)
{
	static const char *const bad[] = { "",
					   ".",
					   "x.1",
					   "1700000000000-0a1b2c3d-00000007",
					   "1700000000000-0a1b2c3d-00000007.",
					   "1700000000000-0a1b2c3d-00000007.-1",
					   "1700000000000-0a1b2c3d-0000000x.1",
					   "1700000000000-0A1B2C3D-00000007.1",
					   "1700000000000/../a3d-00000007.1",
					   "17000000000000a1b2c3d-000000070.1" };
	struct gw_q_pos p;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(gw_q_pos_read(gw_str_z(bad[i]), GW_SEG_REQUEST, &p));
	assert_true(gw_q_pos_read(GW_LIT("1700000000000-0a1b2c3d-00000007.4096"), GW_SEG_ADMIN, &p));
	assert_string_equal(p.name, "seg-admin-1700000000000-0a1b2c3d-00000007.lga");
	assert_int_equal(p.offset, 4096);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		T(indexed_whole), T(indexed_in_part), T(after_a_kill), T(damaged), T(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
