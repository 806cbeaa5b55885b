/* What a dead worker left: every request that has a START gets exactly one END, whichever instruction was its last. */
#include <sys/wait.h>
#include "tests/unit/logger/fixture.h"

static void assert_no_entries(struct fake_worker *w)
{
	for (uint32_t i = 0; i < GW_INFLIGHT_ENTRIES; i++)
		assert_int_equal(atomic_load(&w->inflight->entry[i].state), 0);
}

/* One request at each window of its life, the last END not cleared: ids in the order below. */
enum { NO_START, NO_SEQ, UNDER_WAY, NOT_CLEARED, DONE, N_LIVES };
static void live_and_die(struct fake_worker *w, uint8_t id[N_LIVES][16])
{
	int i;

	begin_request(w, BIRTH_SEQ, id[UNDER_WAY]);
	i = begin_request(w, BIRTH_SEQ, id[DONE]);
	end_request(w, i, id[DONE], 1, true);
	i = begin_request(w, BIRTH_SEQ, id[NOT_CLEARED]);
	begin_request(w, BIRTH_ENTRY, id[NO_START]);
	begin_request(w, BIRTH_START, id[NO_SEQ]);
	end_request(w, i, id[NOT_CLEARED], 2, false);
}

static void check_lives(struct fake_worker *w, uint8_t id[N_LIVES][16], const struct trail *t)
{
	static const struct {
		size_t own, synthetic;
	} want[N_LIVES] = { [NO_START] = { 0, 0 },
			    [NO_SEQ] = { 0, 1 },
			    [UNDER_WAY] = { 0, 1 },
			    [NOT_CLEARED] = { 1, 0 },
			    [DONE] = { 1, 0 } };

	for (int i = 0; i < N_LIVES; i++) {
		if (count_ends(t, id[i], false) != want[i].own || count_ends(t, id[i], true) != want[i].synthetic)
			fail_msg("life %d: %zu own, %zu synthetic", i, count_ends(t, id[i], false),
				 count_ends(t, id[i], true));
	}
	assert_no_entries(w);
}

/* A worker cannot die between START of one request and END of another that began before it and still be the last of both: the two
 * windows are played one after the other here, in epochs of their own. */
static void every_window(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 10);
	struct gw_logger *l = logger_new();
	uint8_t id[N_LIVES][16];
	struct trail t;

	gw_lg_slot_open(l, 0);
	live_and_die(w, id);
	gw_lg_recover(l, &l->slots[0], 10);
	gw_lg_recover(l, &l->slots[0], 10); /* told twice */
	logger_end(l);
	trail_read(&t, "request");
	check_lives(w, id, &t);
	assert_exactly(&t, 0, 10, w->out.seq + 2);
	trail_done(&t);
	worker_free(w);
}

/* The next worker began, and wrote, before anybody noticed. */
static void epoch_already_replaced(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 10);
	struct gw_logger *l = logger_new();
	uint8_t id[N_LIVES][16];
	struct trail t;

	gw_lg_slot_open(l, 0);
	live_and_die(w, id);
	uint64_t old = w->out.seq;
	worker_begin(w, 11);
	whole_request(w, 1);
	gw_lg_poll_rings(l, true);
	whole_request(w, 1);
	uint8_t live[16];
	begin_request(w, BIRTH_SEQ, live);
	gw_lg_look_for_dead(l);
	trail_read(&t, "request");
	assert_int_equal(count_ends(&t, live, true), 0); /* alive */
	trail_done(&t);
	assert_true(gw_lg_has_entries(&l->slots[0]));
	logger_end(l);
	trail_read(&t, "request");
	assert_exactly(&t, 0, 10, old + 2);
	assert_exactly(&t, 0, 11, 5);
	trail_done(&t);
	worker_free(w);
}

/* A worker crash loop while no logger ran: several epochs wait in one ring and one table. */
static void several_epochs_died(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 20);
	uint8_t id[6][16];
	uint64_t seq[6];
	struct trail t;

	for (uint32_t e = 0; e < 6; e++) {
		if (e)
			worker_begin(w, 20 + e);
		for (uint32_t i = 0; i <= e; i++)
			whole_request(w, 1);
		begin_request(w, BIRTH_SEQ, id[e]);
		seq[e] = w->out.seq;
	}
	worker_begin(w, 30);
	whole_request(w, 1);
	struct gw_logger *l = logger_new();
	gw_lg_slot_open(l, 0);
	for (int i = 0; i < 8; i++)
		gw_lg_look_for_dead(l);
	assert_no_entries(w);
	logger_end(l);
	trail_read(&t, "request");
	for (uint32_t e = 0; e < 6; e++) {
		assert_int_equal(count_ends(&t, id[e], true), 1);
		assert_exactly(&t, 0, 20 + e, seq[e] + 1);
	}
	trail_done(&t);
	worker_free(w);
}

/* END is durable, the logger dies before it clears the entries: its successor writes none of them again, and numbers go on. */
static void logger_dies_while_recovering(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 40);
	uint8_t id[N_LIVES][16], late[16];
	struct trail t;

	live_and_die(w, id);
	struct gw_logger *l = logger_new();
	gw_lg_slot_open(l, 0);
	struct gw_inflight *copy = malloc(sizeof *copy);
	memcpy(copy, w->inflight, sizeof *copy);
	uint64_t tail = atomic_load(&w->ring->tail);
	gw_lg_recover(l, &l->slots[0], 40);
	assert_no_entries(w);
	memcpy(w->inflight, copy, sizeof *copy); /* as if the memory had not been written yet */
	free(copy);
	atomic_store(&w->ring->tail, tail);
	logger_crash(l);
	/* a third request of that epoch owes its END still */
	uint64_t last = w->out.seq + 2;
	id_of(w, 999, late);
	struct gw_inflight_entry *e = &w->inflight->entry[100];
	e->epoch = 40;
	memcpy(e->request_id, late, 16);
	e->start_seq = 1;
	atomic_store(&w->inflight->n_ever, 101);
	atomic_store(&e->state, 1);
	worker_begin(w, 41);
	whole_request(w, 1);
	l = logger_new();
	gw_lg_slot_open(l, 0);
	gw_lg_look_for_dead(l);
	logger_end(l);
	trail_read(&t, "request");
	check_lives(w, id, &t);
	assert_int_equal(count_ends(&t, late, true), 1);
	assert_exactly(&t, 0, 40, last + 1);
	trail_done(&t);
	worker_free(w);
}

/* More requests under way than a block holds: several blocks, several tries. */
static void a_full_table(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 50);
	struct gw_logger *l = logger_new();
	uint8_t id[16];
	struct trail t;

	gw_lg_slot_open(l, 0);
	for (int i = 0; i < GW_INFLIGHT_ENTRIES; i++) {
		begin_request(w, BIRTH_SEQ, id);
		if (i % 1000 == 0) {
			gw_lg_poll_rings(l, true);
			assert_true(gw_lg_flush(l));
		}
	}
	gw_lg_recover(l, &l->slots[0], 50);
	assert_no_entries(w);
	logger_end(l);
	trail_read(&t, "request");
	assert_exactly(&t, 0, 50, 2 * GW_INFLIGHT_ENTRIES);
	trail_done(&t);
	worker_free(w);
}

/* A worker that is only stopped is not dead, however long; one whose process is gone is. */
static void stopped_is_not_dead(void **state)
{
	(void)state;
	struct fake_worker *w = worker_new(0, 60);
	struct gw_logger *l = logger_new();
	uint8_t id[16];
	struct trail t;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	gw_lg_slot_open(l, 0);
	begin_request(w, BIRTH_SEQ, id);
	atomic_store(&w->page->beat_ns, gw_now_ns() - 60000000000ULL);
	gw_lg_look_for_dead(l);
	assert_true(gw_lg_has_entries(&l->slots[0]));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	atomic_store(&w->page->pid, (uint32_t)pid);
	gw_lg_look_for_dead(l);
	assert_no_entries(w);
	logger_end(l);
	trail_read(&t, "request");
	assert_int_equal(count_ends(&t, id, true), 1);
	trail_done(&t);
	worker_free(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dirs, drop_dirs)
	const struct CMUnitTest tests[] = {
		T(every_window), T(epoch_already_replaced), T(several_epochs_died), T(logger_dies_while_recovering),
		T(a_full_table), T(stopped_is_not_dead),
	};
	return cmocka_run_group_tests(tests, make_key, drop_key);
}
