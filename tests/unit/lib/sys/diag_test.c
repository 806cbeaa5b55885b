/* The operator log: its one format, its levels, and that a reader who stops reading stops nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/text.h"

static int saved = -1, pipe_fds[2] = { -1, -1 };

static void catch (void)
{
	saved = dup(2);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(dup2(pipe_fds[1], 2), 2);
}

static void release(void)
{
	dup2(saved, 2);
	close(saved);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* What was written since; the text is NUL-terminated. */
static size_t caught(char *out, size_t n)
{
	ssize_t r = read(pipe_fds[0], out, n - 1);

	out[r > 0 ? r : 0] = 0;
	return r > 0 ? (size_t)r : 0;
}

static void test_format(void **state)
{
	char line[4096];
	int64_t us, now = gw_unix_us();

	(void)state;
	catch ();
	gw_diag_init("worker", 2, GW_INFO);
	gw_log(GW_WARN, "ring is %d %% full", 80);
	caught(line, sizeof(line));
	release();
	assert_int_equal(line[24], ' ');
	assert_true(gw_time_read(gw_str(line, 24), &us));
	assert_in_range(us, now - 2000, now + 5000000);
	assert_string_equal(line + 24, " warn worker[2] ring is 80 % full\n");
}

static void test_levels(void **state)
{
	char line[4096];

	(void)state;
	catch ();
	gw_diag_init("master", -1, GW_WARN);
	gw_log(GW_DEBUG, "a");
	gw_log(GW_INFO, "b");
	assert_int_equal(caught(line, sizeof(line)), 0);
	gw_log(GW_ERROR, "c");
	caught(line, sizeof(line));
	release();
	assert_non_null(strstr(line, " error master c\n"));
}

static void test_one_line_always(void **state)
{
	static char big[10000];
	char line[8192];
	size_t n;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	catch ();
	gw_diag_init("admin", -1, GW_INFO);
	gw_log(GW_INFO, "from outside: %s", "a\r\n2026-01-01T00:00:00.000Z error master forged\x1b[2J");
	caught(line, sizeof(line));
	assert_null(strchr(line, '\x1b'));
	assert_null(strchr(line, '\r'));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	gw_log(GW_INFO, "%s", big);
	n = caught(line, sizeof(line));
	release();
	assert_in_range(n, 1000, 4096);
	assert_int_equal(line[n - 1], '\n');
}

static void test_never_blocks(void **state)
{
	uint64_t start = gw_now_ms();
	char line[4096];
	int n_lines = 0;

	(void)state;
	catch ();
	gw_diag_init("logger", -1, GW_INFO);
	for (int i = 0; i < 5000; i++) /* far more than a pipe holds */
		gw_log(GW_INFO, "line %d that nobody reads", i);
	while (caught(line, sizeof(line)))
		n_lines++;
	gw_log(GW_INFO, "reader is back");
	caught(line, sizeof(line));
	release();
	assert_true(n_lines > 0);
	assert_true(gw_now_ms() - start < 5000);
	assert_non_null(strstr(line, "reader is back ("));
	assert_non_null(strstr(line, " lines lost before)\n"));
}

static void slow_site(int i)
{
	gw_log_slow(GW_WARN, "upstream refused %d", i);
}

static void test_slow(void **state)
{
	char line[4096];

	(void)state;
	catch ();
	gw_diag_init("agent", -1, GW_INFO);
	for (int i = 0; i < 10; i++)
		slow_site(i);
	caught(line, sizeof(line));
	assert_non_null(strstr(line, "upstream refused 0\n"));
	assert_null(strstr(line, "refused 1"));
	gw_sleep_ms(1050);
	slow_site(10);
	caught(line, sizeof(line));
	release();
	assert_non_null(strstr(line, "upstream refused 10 (and 9 like it)\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_one_line_always),
		cmocka_unit_test(test_never_blocks),
		cmocka_unit_test(test_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
