/* lib/err.h: the table, the mapping of errno, and the panic (in a child). */
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"

static void table(void **st)
{
	unsigned n = 0;

	(void)st;
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++, n++) {
		const struct gw_err_info *i = gw_err_info((enum gw_err)e);

		assert_true(i->http >= 400 && i->http < 600);
		assert_true(strlen(i->type) > 3 && strlen(i->doc) > 10);
		assert_int_equal(gw_err_by_name(gw_str_z(i->name)), e);
		assert_true(e < 0);
	}
	assert_true(n > 50);
	assert_string_equal(gw_err_info(GW_E_LIMIT)->name, "LIMIT");
	assert_int_equal(gw_err_info(GW_E_LIMIT)->http, 429);
	assert_int_equal(gw_err_info(GW_E_UP_STALE)->retry, GW_RETRY_ONCE);
	assert_true(gw_err_info(GW_E_UP_REFUSED)->cools);
	assert_string_equal(gw_err_info((enum gw_err)12345)->name, "BUG");
	assert_string_equal(gw_err_info(GW_E_END_)->name, "BUG");
	assert_string_equal(gw_err_info(GW_OK)->name, "BUG");
	assert_int_equal(gw_err_by_name(GW_LIT("NO_SUCH")), GW_OK);
}

static void from_errno(void **st)
{
	(void)st;
	assert_int_equal(gw_err_from_errno(0), GW_OK);
	assert_int_equal(gw_err_from_errno(ECONNREFUSED), GW_E_UP_REFUSED);
	assert_int_equal(gw_err_from_errno(-ECONNREFUSED), GW_E_UP_REFUSED); /* libuv's form */
	assert_int_equal(gw_err_from_errno(-ETIMEDOUT), GW_E_UP_CONNECT);
	assert_int_equal(gw_err_from_errno(-4095), GW_E_UP_RESET); /* UV_EOF */
	assert_int_equal(gw_err_from_errno(-3008), GW_E_UP_RESOLVE); /* UV_EAI_NONAME */
	assert_int_equal(gw_err_from_errno(ENOSPC), GW_E_NO_SPACE);
	assert_int_equal(gw_err_from_errno(ENOTTY), GW_E_IO);
}

static void panic(void **st)
{
	char *slot = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char text[600] = "";
	int fds[2], status;
	pid_t pid;
	ssize_t n;

	(void)st;
	assert_true(slot != MAP_FAILED);
	memset(slot, 'z', 4096);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL); /* not cmocka's handler */
		gw_panic_slot(slot, 80);
		gw_panic_context(GW_LIT("req-42"));
		GW_REQUIRE(1 + 1 == 2);
		GW_REQUIRE(1 + 1 == 3);
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "err_test.c:"));
	assert_non_null(strstr(text, "1 + 1 == 3"));
	assert_non_null(strstr(text, "req-42"));
	assert_int_equal(text[n - 1], '\n');
	assert_ptr_equal(memchr(text, '\n', (size_t)n), text + n - 1); /* one line */
	assert_int_equal(strnlen(slot, 80), n - 1 < 79 ? n - 1 : 79);
	assert_memory_equal(slot, text, strnlen(slot, 80));
	assert_int_equal(slot[80], 'z'); /* no byte past the slot */
	close(fds[0]);
	munmap(slot, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(from_errno),
					    cmocka_unit_test(panic) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
