/* Admin acts: each change once, in the order of its number, answered when durable, whatever is asked twice or finds no room. */
#include <sys/socket.h>
#include "tests/unit/logger/fixture.h"

static void on_nothing(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	(void)ctx;
	(void)ch;
	(void)m;
}
static void on_no_end(void *ctx, struct gw_channel *ch)
{
	(void)ctx;
	(void)ch;
}
static const struct gw_channel_ops no_ops = { on_nothing, on_no_end };

struct confd {
	struct gw_logger *l;
	int fd; /* confd's end */
	struct gw_msg_in in;
};

static void confd_connect(struct confd *c, struct gw_logger *l)
{
	int pair[2];

	*c = (struct confd){ .l = l };
	assert_int_equal(uv_loop_init(&l->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(gw_channel_open(&l->loop, pair[0], &no_ops, l, 4 << 20, &l->confd), GW_OK);
	c->fd = pair[1];
}

static void confd_gone(struct confd *c)
{
	gw_channel_close(c->l->confd);
	uv_run(&c->l->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->l->loop), 0);
	close(c->fd);
	gw_msg_in_done(&c->in);
}

static void say(struct confd *c, uint64_t seq, struct gw_str body)
{
	struct gw_msg m = { .type = GW_MSG_AUDIT };

	GW_MSG_SET(&m, corr, seq);
	GW_MSG_SET(&m, body, body);
	gw_lg_on_audit(c->l, c->l->confd, &m);
}

/* corr of the next answer, 0 = none; *status its status. */
static uint64_t hear(struct confd *c, uint64_t *status)
{
	struct gw_msg m;

	if (gw_msg_recv(c->fd, &c->in, &m) != GW_OK)
		return 0;
	assert_int_equal(m.type, GW_MSG_AUDITED);
	*status = m.status;
	return m.corr;
}

static void assert_acts(uint64_t last)
{
	struct trail t;

	trail_read(&t, "admin");
	assert_exactly(&t, GW_LG_SLOT_CONFD, 0, last);
	assert_int_equal(t.n, last);
	trail_done(&t);
}

static void each_change_once(void **state)
{
	(void)state;
	struct gw_str body = GW_LIT("\x80");
	struct gw_logger *l = logger_new();
	struct confd c;
	uint64_t status;

	confd_connect(&c, l);
	for (uint64_t i = 1; i <= 5; i++)
		say(&c, i, body);
	assert_int_equal(hear(&c, &status), 0); /* not before it is durable */
	assert_true(gw_lg_is_due(l));
	assert_true(gw_lg_flush(l));
	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(hear(&c, &status), i);
		assert_int_equal(status, 0);
	}
	say(&c, 3, body); /* confd has forgotten that it asked */
	assert_true(gw_lg_is_due(l));
	assert_true(gw_lg_flush(l));
	assert_int_equal(hear(&c, &status), 3);
	assert_int_equal(status, 0);
	confd_gone(&c);
	logger_crash(l); /* after a crash too: the segments know */
	l = logger_new();
	confd_connect(&c, l);
	for (uint64_t i = 4; i <= 7; i++)
		say(&c, i, body);
	assert_true(gw_lg_flush(l));
	for (uint64_t i = 4; i <= 7; i++)
		assert_int_equal(hear(&c, &status), i);
	confd_gone(&c);
	logger_end(l);
	assert_acts(7);
}

/* Large objects: an act carries one before and one after. */
static void large_acts(void **state)
{
	(void)state;
	struct gw_logger *l = logger_new();
	size_t n = 600 << 10;
	char *big = malloc(n);
	struct confd c;
	uint64_t status;

	memset(big, 0xc0, n);
	confd_connect(&c, l);
	for (uint64_t i = 1; i <= 4; i++)
		say(&c, i, gw_str(big, n));
	assert_true(gw_lg_flush(l));
	for (uint64_t i = 1; i <= 4; i++) {
		assert_int_equal(hear(&c, &status), i);
		assert_int_equal(status, 0);
	}
	free(big);
	confd_gone(&c);
	logger_end(l);
	assert_acts(4);
}

/* No room on the disk: refused with a status, and nothing that comes later overtakes it. */
static void order_survives_a_full_disk(void **state)
{
	(void)state;
	struct gw_logger *l = logger_new();
	size_t n = 300 << 10;
	char *big = malloc(n);
	struct confd c;
	uint64_t status;

	memset(big, 0xc0, n);
	confd_connect(&c, l);
	l->retry_at_ms = UINT64_MAX;
	for (uint64_t i = 1; i <= 3; i++)
		say(&c, i, gw_str(big, n));
	say(&c, 4, gw_str(big, n)); /* does not fit any more */
	assert_int_equal(hear(&c, &status), 4);
	assert_int_not_equal(status, 0);
	say(&c, 5, GW_LIT("\x80")); /* would fit, but 4 is missing */
	assert_int_equal(hear(&c, &status), 5);
	assert_int_not_equal(status, 0);
	l->retry_at_ms = 0;
	assert_true(gw_lg_flush(l));
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(hear(&c, &status), i);
	say(&c, 5, GW_LIT("\x80"));
	assert_int_equal(hear(&c, &status), 5);
	assert_int_not_equal(status, 0);
	say(&c, 4, gw_str(big, n));
	say(&c, 5, GW_LIT("\x80"));
	assert_true(gw_lg_flush(l));
	assert_int_equal(hear(&c, &status), 4);
	assert_int_equal(status, 0);
	assert_int_equal(hear(&c, &status), 5);
	assert_int_equal(status, 0);
	free(big);
	confd_gone(&c);
	logger_end(l);
	assert_acts(5);
}

/* Refused acts come from admin without numbers: the logger counts them, per incarnation of its own. */
static void refused_acts(void **state)
{
	(void)state;
	struct trail t;

	for (int life = 0; life < 2; life++) {
		struct gw_logger *l = logger_new();
		struct confd c;
		struct gw_msg m = { .type = GW_MSG_AUDIT };

		confd_connect(&c, l);
		l->admin = l->confd;
		l->confd = NULL;
		for (int i = 0; i < 4; i++) {
			GW_MSG_SET(&m, corr, 9);
			GW_MSG_SET(&m, body, GW_LIT("\x80"));
			gw_lg_on_audit(l, l->admin, &m);
		}
		assert_true(gw_lg_flush(l));
		l->confd = l->admin;
		confd_gone(&c);
		logger_end(l);
		usleep(2000);
	}
	trail_read(&t, "admin");
	assert_int_equal(t.n, 8);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(t.v[i].slot, GW_LG_SLOT_ADMIN);
		assert_int_equal(t.v[i].seq, i % 4 + 1);
	}
	assert_int_not_equal(t.v[0].epoch, t.v[4].epoch);
	trail_done(&t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dirs, drop_dirs)
	const struct CMUnitTest tests[] = {
		T(each_change_once),
		T(large_acts),
		T(order_survives_a_full_disk),
		T(refused_acts),
	};
	return cmocka_run_group_tests(tests, make_key, drop_key);
}
