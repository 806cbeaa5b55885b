/* Addresses as operators write them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "master/master.h"

static void takes(const char *text, const char *host, uint16_t port)
{
	struct gw_str h;
	uint16_t p;

	assert_true(gw_place_split_address(gw_str_z(text), &h, &p));
	assert_true(gw_str_eq(h, gw_str_z(host)));
	assert_int_equal(p, port);
}

static void test_addresses(void **state)
{
	static const char *const refused[] = { "",        ":",        "4000",          ":4000",
					       "0.0.0.0", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:x",
					       "a:-1",    "[::1]",    "0.0.0.0: 1" };
	struct gw_str h;
	uint16_t p;

	(void)state;
	takes("0.0.0.0:4000", "0.0.0.0", 4000);
	takes("127.0.0.1:0", "127.0.0.1", 0);
	takes("[::1]:65535", "[::1]", 65535);
	takes(":::80", "::", 80);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(gw_place_split_address(gw_str_z(refused[i]), &h, &p));
}

static void test_peers(void **state)
{
	(void)state;
	for (int a = 0; a < GW_ROLE_COUNT; a++) {
		assert_false(gw_wire_are_peers((enum gw_role)a, (enum gw_role)a));
		assert_false(gw_wire_are_peers(GW_ROLE_MASTER, (enum gw_role)a));
		for (int b = 0; b < GW_ROLE_COUNT; b++)
			assert_int_equal(gw_wire_are_peers((enum gw_role)a, (enum gw_role)b),
					 gw_wire_are_peers((enum gw_role)b, (enum gw_role)a));
	}
	assert_true(gw_wire_are_peers(GW_ROLE_WORKER, GW_ROLE_CONFD));
	assert_true(gw_wire_are_peers(GW_ROLE_WORKER, GW_ROLE_LOGGER));
	assert_false(gw_wire_are_peers(GW_ROLE_WORKER, GW_ROLE_ADMIN));
	assert_true(gw_wire_are_peers(GW_ROLE_ADMIN, GW_ROLE_AGENT));
}

/* Every state answers every event: a hole in the table would end the master. */
static void test_table_is_whole(void **state)
{
	static struct gw_master m;
	static struct gw_control control;
	static const struct {
		enum gw_child_state from;
		enum gw_child_event ev;
		enum gw_child_state to;
	} rows[] = {
		{ GW_CHILD_NONE, GW_EV_DRAIN, GW_CHILD_GONE },
		{ GW_CHILD_NONE, GW_EV_READY, GW_CHILD_NONE },
		{ GW_CHILD_NONE, GW_EV_TIMEOUT, GW_CHILD_NONE },
		{ GW_CHILD_NONE, GW_EV_STALE, GW_CHILD_NONE },
		{ GW_CHILD_NONE, GW_EV_DIED, GW_CHILD_NONE },
		{ GW_CHILD_STARTING, GW_EV_READY, GW_CHILD_UP },
		{ GW_CHILD_STARTING, GW_EV_STALE, GW_CHILD_STARTING },
		{ GW_CHILD_STARTING, GW_EV_DRAIN, GW_CHILD_DRAINING },
		{ GW_CHILD_STARTING, GW_EV_TIMEOUT, GW_CHILD_STARTING },
		{ GW_CHILD_UP, GW_EV_READY, GW_CHILD_UP },
		{ GW_CHILD_UP, GW_EV_TIMEOUT, GW_CHILD_UP },
		{ GW_CHILD_UP, GW_EV_STALE, GW_CHILD_UP },
		{ GW_CHILD_UP, GW_EV_DRAIN, GW_CHILD_DRAINING },
		{ GW_CHILD_DRAINING, GW_EV_READY, GW_CHILD_DRAINING },
		{ GW_CHILD_DRAINING, GW_EV_TIMEOUT, GW_CHILD_DRAINING },
		{ GW_CHILD_DRAINING, GW_EV_STALE, GW_CHILD_DRAINING },
		{ GW_CHILD_DRAINING, GW_EV_DRAIN, GW_CHILD_DRAINING },
		{ GW_CHILD_BACKOFF, GW_EV_DRAIN, GW_CHILD_GONE },
		{ GW_CHILD_BACKOFF, GW_EV_READY, GW_CHILD_BACKOFF },
		{ GW_CHILD_BACKOFF, GW_EV_STALE, GW_CHILD_BACKOFF },
		{ GW_CHILD_BACKOFF, GW_EV_DIED, GW_CHILD_BACKOFF },
		{ GW_CHILD_GONE, GW_EV_DIED, GW_CHILD_GONE },
		{ GW_CHILD_GONE, GW_EV_READY, GW_CHILD_GONE },
		{ GW_CHILD_GONE, GW_EV_TIMEOUT, GW_CHILD_GONE },
		{ GW_CHILD_GONE, GW_EV_STALE, GW_CHILD_GONE },
		{ GW_CHILD_GONE, GW_EV_DRAIN, GW_CHILD_GONE },
	};

	(void)state;
	m.control = &control;
	m.stage = GW_STAGE_SERVING;
	m.lock_fd = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gw_child c = {
			.role = GW_ROLE_AGENT, .state = rows[i].from, .pidfd = -1, .chan = -1, .adopter = -1
		};

		gw_supervise(&m, &c, rows[i].ev);
		if (c.state != rows[i].to)
			fail_msg("row %zu: state %d", i, (int)c.state);
		assert_int_equal(atomic_load(&control.roles[GW_ROLE_AGENT].state),
				 rows[i].from == c.state ? atomic_load(&control.roles[GW_ROLE_AGENT].state)
							 : (uint32_t)c.state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_table_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
