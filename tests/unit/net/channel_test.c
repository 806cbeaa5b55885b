/* net/channel: messages between roles on a loop. Two channels, or a channel and a bare socket, in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "net/channel.h"

enum { QUEUE_MAX = 4 << 20 };

struct side {
	struct gw_channel *ch;
	int messages, ends, answers, timeouts, downs;
	uint64_t last_corr, sum;
	size_t last_body;
	char first, last;
	bool do_answer, do_close, is_order_wrong;
	int kept_fd;
};
struct world {
	uv_loop_t loop;
	struct side a, b;
	int fds[2];
};

static void on_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct side *s = ctx;

	s->messages++;
	s->last_corr = m->corr;
	s->last_body = m->body.n;
	if (m->body.n) {
		s->first = m->body.p[0];
		s->last = m->body.p[m->body.n - 1];
	}
	if (m->count && m->count != s->sum + 1)
		s->is_order_wrong = true;
	if (m->count)
		s->sum = m->count;
	if (m->n_fds) {
		s->kept_fd = m->fds[0];
		m->fds[0] = -1; /* taken; the others are closed after us */
	}
	if (s->do_answer) {
		struct gw_msg a = { .type = GW_MSG_ANSWER };

		GW_MSG_SET(&a, corr, m->corr);
		GW_MSG_SET(&a, status, 7);
		assert_int_equal(gw_channel_send(ch, &a), GW_OK);
	}
	if (s->do_close)
		gw_channel_close(ch);
}

static void on_end(void *ctx, struct gw_channel *ch)
{
	struct side *s = ctx;

	assert_ptr_equal(s->ch, ch);
	s->ends++;
	s->ch = NULL;
}

static void on_answer(void *ctx, enum gw_err e, struct gw_msg *m)
{
	struct side *s = ctx;

	if (e == GW_OK) {
		assert_non_null(m);
		assert_int_equal(m->status, 7);
		s->answers++;
	} else {
		assert_null(m);
		s->timeouts += e == GW_E_UP_TIMEOUT;
		s->downs += e == GW_E_CONFD_DOWN;
	}
}

static const struct gw_channel_ops ops = { on_message, on_end };

static int open_fds(void)
{
	int n = 0;

	for (int i = 0; i < 512; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->a.kept_fd = w->b.kept_fd = -1;
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(gw_socketpair(w->fds, true), GW_OK);
	assert_int_equal(gw_channel_open(&w->loop, w->fds[0], &ops, &w->a, QUEUE_MAX, &w->a.ch), GW_OK);
	*state = w;
	return 0;
}

static void open_b(struct world *w)
{
	assert_int_equal(gw_channel_open(&w->loop, w->fds[1], &ops, &w->b, QUEUE_MAX, &w->b.ch), GW_OK);
	w->fds[1] = -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	gw_channel_close(w->a.ch);
	gw_channel_close(w->a.ch); /* idempotent */
	gw_channel_close(w->b.ch);
	gw_close(&w->fds[1]);
	gw_close(&w->a.kept_fd);
	gw_close(&w->b.kept_fd);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

/* Turns the loop until *what reaches want, at most 5 s. */
static void turn_until(struct world *w, const int *what, int want)
{
	uint64_t until = gw_now_ms() + 5000;

	while (*what < want && gw_now_ms() < until)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(*what, want);
}

static struct gw_msg body_msg(char *p, size_t n)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + i % 26);
	p[n - 1] = 'Z';
	GW_MSG_SET(&m, body, gw_str(p, n));
	return m;
}

static void whole_and_in_pieces(void **state)
{
	static const size_t sizes[] = { 1, 100, 65500, 65520, 65536, 200000, 3000000 };
	struct world *w = *state;
	char *p = malloc(3000000);

	open_b(w);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct gw_msg m = body_msg(p, sizes[i]);

		assert_int_equal(gw_channel_send(w->a.ch, &m), GW_OK);
		turn_until(w, &w->b.messages, (int)i + 1);
		assert_int_equal(w->b.last_body, sizes[i]);
		assert_true(w->b.first == (sizes[i] == 1 ? 'Z' : 'a') && w->b.last == 'Z');
		assert_int_equal(gw_channel_queued(w->a.ch), 0);
	}
	free(p);
}

static void descriptors_travel_and_do_not_leak(void **state)
{
	struct world *w = *state;
	int before, pipes[2];
	struct gw_msg m = { .type = GW_MSG_PEER };
	char c;

	open_b(w);
	assert_int_equal(pipe(pipes), 0);
	before = open_fds();
	m.fds[0] = pipes[1];
	m.fds[1] = pipes[0];
	m.fds[2] = pipes[1];
	m.n_fds = 3;
	assert_int_equal(gw_channel_send(w->a.ch, &m), GW_OK);
	turn_until(w, &w->b.messages, 1);
	assert_int_equal(open_fds(), before + 1); /* the one taken */
	assert_int_equal(write(w->b.kept_fd, "x", 1), 1);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	gw_close(&pipes[0]);
	gw_close(&pipes[1]);
}

static void full_socket_queues_in_order_with_fds_and_ceiling(void **state)
{
	struct world *w = *state;
	static char p[100000];
	int sent = 0, before, null_fd;
	enum gw_err e = GW_OK;

	null_fd = open("/dev/null", O_WRONLY);
	before = open_fds();
	for (; !e && sent < 1000; sent += !e) { /* nobody reads */
		struct gw_msg m = body_msg(p, sizeof(p));

		GW_MSG_SET(&m, count, (uint64_t)sent + 1);
		if (sent == 10) {
			m.fds[0] = null_fd;
			m.n_fds = 1;
		}
		e = gw_channel_send(w->a.ch, &m);
		assert_true(gw_channel_queued(w->a.ch) <= QUEUE_MAX);
	}
	assert_int_equal(e, GW_E_BUSY);
	assert_in_range(sent, QUEUE_MAX / 100100, 100);
	assert_int_equal(open_fds(), before + 1); /* the waiting descriptor was dup'ed */
	open_b(w);
	turn_until(w, &w->b.messages, sent);
	assert_false(w->b.is_order_wrong);
	assert_int_equal(w->b.sum, sent);
	assert_int_equal(gw_channel_queued(w->a.ch), 0);
	assert_true(w->b.kept_fd >= 0);
	assert_int_equal(open_fds(), before + 1); /* dup closed, one arrived */
	close(null_fd);
}

static void questions_are_answered(void **state)
{
	struct world *w = *state;
	struct gw_msg m = { .type = GW_MSG_CALL };

	open_b(w);
	w->b.do_answer = true;
	w->a.do_answer = true;
	for (int i = 0; i < 100; i++) { /* both sides ask with the same numbers */
		assert_int_equal(gw_channel_ask(w->a.ch, &m, 1000, on_answer, &w->a), GW_OK);
		assert_int_equal(gw_channel_ask(w->b.ch, &m, 1000, on_answer, &w->b), GW_OK);
	}
	turn_until(w, &w->a.answers, 100);
	turn_until(w, &w->b.answers, 100);
	assert_int_equal(w->a.messages, 100);
	assert_int_equal(w->b.messages, 100);
	assert_int_equal(w->a.timeouts + w->a.downs + w->b.timeouts + w->b.downs, 0);
}

static void question_times_out_and_late_answer_is_dropped(void **state)
{
	struct world *w = *state;
	struct gw_msg m = { .type = GW_MSG_CALL }, late = { .type = GW_MSG_ANSWER };
	uint64_t start = gw_now_ms();

	open_b(w);
	assert_int_equal(gw_channel_ask(w->a.ch, &m, 5000, on_answer, &w->a), GW_OK);
	assert_int_equal(gw_channel_ask(w->a.ch, &m, 60, on_answer, &w->a), GW_OK); /* shorter after longer */
	turn_until(w, &w->a.timeouts, 1);
	assert_in_range(gw_now_ms() - start, 55, 1000);
	turn_until(w, &w->b.messages, 2);
	GW_MSG_SET(&late, corr, w->b.last_corr);
	assert_int_equal(gw_channel_send(w->b.ch, &late), GW_OK);
	GW_MSG_SET(&late, corr, 5); /* nobody asked with this number: a message like any other */
	assert_int_equal(gw_channel_send(w->b.ch, &late), GW_OK);
	turn_until(w, &w->a.messages, 1);
	assert_int_equal(w->a.last_corr, 5);
	assert_int_equal(w->a.answers, 0);
	gw_channel_close(w->a.ch);
	w->a.ch = NULL;
	assert_int_equal(w->a.downs, 1);
	assert_int_equal(w->a.ends, 0); /* closed by its owner */
}

static void peer_death_ends_once(void **state)
{
	struct world *w = *state;
	struct gw_msg m = { .type = GW_MSG_CALL };

	assert_int_equal(gw_channel_ask(w->a.ch, &m, 5000, on_answer, &w->a), GW_OK);
	assert_int_equal(gw_channel_ask(w->a.ch, &m, 5000, on_answer, &w->a), GW_OK);
	gw_close(&w->fds[1]);
	turn_until(w, &w->a.ends, 1);
	assert_int_equal(w->a.downs, 2);
	uv_run(&w->loop, UV_RUN_DEFAULT); /* nothing is left that keeps the loop alive */
	assert_int_equal(w->a.ends, 1);
}

static void garbage_ends_the_channel(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{ "x", 1 },
		{ "GWM1\x04\0\0\0\0\0\0\0\1\0\0\0", 16 }, /* no bytes */
		{ "XXXX\x04\0\0\0\0\0\0\0\1\0\0\0abcd", 20 }, /* magic */
		{ "GWM1\xff\xff\xff\xff\0\0\0\0\1\0\0\0abcd", 20 }, /* too large */
		{ "GWM1\x08\0\0\0\x04\0\0\0\1\0\0\0abcd", 20 }, /* begins in the middle */
		{ "GWM1\x02\0\0\0\0\0\0\0\1\0\0\0abcd", 20 }, /* more than its total */
		{ "GWM1\x04\0\0\0\0\0\0\0\1\0\0\0\xff\xff\xff\xff", 20 }, /* framing right, no msgpack map */
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct side s = { .kept_fd = -1 };
		int fds[2], before = open_fds(), null_fd = open("/dev/null", O_WRONLY);

		assert_int_equal(gw_socketpair(fds, true), GW_OK);
		assert_int_equal(gw_channel_open(&w->loop, fds[0], &ops, &s, QUEUE_MAX, &s.ch), GW_OK);
		assert_int_equal(gw_packet_send(fds[1], bad[i].p, bad[i].n, &null_fd, 1), bad[i].n);
		turn_until(w, &s.ends, 1);
		assert_int_equal(s.messages, 0);
		close(fds[1]);
		close(null_fd);
		for (int k = 0; k < 3; k++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_int_equal(open_fds(), before);
	}
}

static void closing_inside_the_handler(void **state)
{
	struct world *w = *state;
	struct gw_msg m = { .type = GW_MSG_CALL };

	open_b(w);
	w->b.do_close = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(gw_channel_send(w->a.ch, &m), GW_OK);
	turn_until(w, &w->b.messages, 1);
	turn_until(w, &w->a.ends, 1);
	assert_int_equal(w->b.messages, 1);
	assert_int_equal(w->b.ends, 0);
	w->b.ch = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_and_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_travel_and_do_not_leak, setup, teardown),
		cmocka_unit_test_setup_teardown(full_socket_queues_in_order_with_fds_and_ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(questions_are_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(question_times_out_and_late_answer_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(peer_death_ends_once, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_ends_the_channel, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_inside_the_handler, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
