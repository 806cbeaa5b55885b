/* INIT as a role reads it: names and descriptors belong together, and nothing wrong may leak a descriptor or hang. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/sys/role.h"

#if defined(__SANITIZE_ADDRESS__)
/* Boot options live as long as the process, by contract; here they are read more than once. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static int pair[2];

static int begin(void **state)
{
	(void)state;
	return gw_socketpair(pair, true) == GW_OK ? 0 : 1;
}

static int end(void **state)
{
	(void)state;
	gw_close(&pair[0]);
	gw_close(&pair[1]);
	return 0;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* An INIT with these names and n_fds descriptors. */
static void send_init(enum gw_msg_type type, const char *const *names, uint32_t n_names, uint32_t n_fds)
{
	struct gw_msg m = { .type = type };
	struct gw_buf options, table;
	struct gw_boot boot;

	assert_int_equal(gw_boot_unpack(GW_LIT("\x80"), &boot), GW_OK);
	boot.workers = 3;
	boot.runtime_dir = "/dev/shm/x";
	gw_buf_init(&options, 65536);
	gw_buf_init(&table, 4096);
	gw_boot_pack(&boot, &options);
	gw_mp_arr(&table, n_names);
	for (uint32_t i = 0; i < n_names; i++)
		gw_mp_str(&table, gw_str_z(names[i]));
	GW_MSG_SET(&m, role, 3);
	GW_MSG_SET(&m, slot, 17);
	GW_MSG_SET(&m, epoch, 99);
	GW_MSG_SET(&m, flags, GW_INIT_STANDBY);
	GW_MSG_SET(&m, options, gw_buf_view(&options));
	GW_MSG_SET(&m, table, gw_buf_view(&table));
	for (uint32_t i = 0; i < n_fds; i++)
		m.fds[i] = STDERR_FILENO;
	m.n_fds = n_fds;
	assert_int_equal(gw_msg_send(pair[0], &m, 1000), GW_OK);
	gw_buf_done(&options);
	gw_buf_done(&table);
}

static void test_reads(void **state)
{
	static const char *const names[] = { "listen.0", "chan.confd" };
	static struct gw_role_start s;
	char path[32];

	(void)state;
	send_init(GW_MSG_INIT, names, 2, 2);
	assert_int_equal(gw_role_read_init(pair[1], 1000, &s), GW_OK);
	assert_int_equal(s.role, 3);
	assert_int_equal(s.slot, 17);
	assert_int_equal(s.epoch, 99);
	assert_true(s.is_standby);
	assert_int_equal(s.boot.workers, 3);
	assert_true(gw_role_fd(&s, "listen.0") >= 0);
	assert_true(gw_role_fd(&s, "chan.confd") >= 0);
	assert_int_not_equal(gw_role_fd(&s, "listen.0"), gw_role_fd(&s, "chan.confd"));
	assert_int_equal(gw_role_fd(&s, "chan"), -1);
	assert_int_equal(gw_role_path(&s, "control", path, sizeof(path)), GW_OK);
	assert_string_equal(path, "/dev/shm/x/control");
	assert_int_equal(gw_role_path(&s, "control", path, 10), GW_E_INVALID);
	for (uint32_t i = 0; i < s.n_fds; i++)
		close(s.fds[i].fd);
}

static void test_refuses(void **state)
{
	static const char *const names[] = { "listen.0", "chan.confd" };
	static const char *const long_name[] = { "chan.a-name-that-is-much-too-long" };
	static struct gw_role_start s;
	int before = count_fds();

	(void)state;
	send_init(GW_MSG_INIT, names, 2, 1);
	assert_int_equal(gw_role_read_init(pair[1], 1000, &s), GW_E_GARBLED);
	send_init(GW_MSG_INIT, names, 1, 2);
	assert_int_equal(gw_role_read_init(pair[1], 1000, &s), GW_E_GARBLED);
	send_init(GW_MSG_INIT, long_name, 1, 1);
	assert_int_equal(gw_role_read_init(pair[1], 1000, &s), GW_E_GARBLED);
	send_init(GW_MSG_DRAIN, names, 2, 2);
	assert_int_equal(gw_role_read_init(pair[1], 1000, &s), GW_E_GARBLED);
	assert_int_equal(count_fds(), before);
}

static void test_waits_and_gives_up(void **state)
{
	static struct gw_role_start s;
	uint64_t t = gw_now_ms();

	(void)state;
	assert_int_equal(gw_role_read_init(pair[1], 50, &s), GW_E_NOT_READY);
	assert_in_range(gw_now_ms() - t, 49, 5000);
	gw_close(&pair[0]);
	assert_int_equal(gw_role_read_init(pair[1], 5000, &s), GW_E_IO);
}

static void test_log_levels(void **state)
{
	(void)state;
	assert_int_equal(gw_role_log_level("debug"), 0);
	assert_int_equal(gw_role_log_level("error"), 3);
	assert_int_equal(gw_role_log_level("loud"), 1);
	assert_int_equal(gw_role_log_level(NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, begin, end),
		cmocka_unit_test_setup_teardown(test_refuses, begin, end),
		cmocka_unit_test_setup_teardown(test_waits_and_gives_up, begin, end),
		cmocka_unit_test(test_log_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
