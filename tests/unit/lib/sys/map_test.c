/* Shared files are whole or absent; memfds seal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sys/map.h"

static char dir[] = "/dev/shm/gw-map-XXXXXX";
static char path[128];

static void test_file(void **state)
{
	bool was_there = true;
	int fd = -1, again = -1;
	struct gw_map m, n;
	struct stat st;

	(void)state;
	assert_int_equal(gw_map_file(path, 100000, &fd, &was_there), GW_OK);
	assert_false(was_there);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 100000);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true((size_t)st.st_blocks * 512 >= 100000); /* allocated, not sparse */
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(gw_map_fd(fd, 100000, true, &m), GW_OK);
	memcpy(m.p, "kept", 4);
	assert_int_equal(gw_map_file(path, 100000, &again, &was_there), GW_OK);
	assert_true(was_there);
	assert_int_equal(gw_map_fd(again, 100000, false, &n), GW_OK);
	assert_memory_equal(n.p, "kept", 4);
	gw_unmap(&n);
	gw_unmap(&m);
	gw_unmap(&m);
	close(fd);
	close(again);
	again = -1;
	assert_int_equal(gw_map_file(path, 4096, &again, &was_there), GW_E_CONFLICT);
	assert_int_equal(gw_map_file(path, 0, &again, &was_there), GW_E_INVALID);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(gw_map_file(path, 100000, &again, &was_there), GW_E_FORBIDDEN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_not_equal(gw_map_file(path, 100000, &again, &was_there), GW_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(again, -1);
}

static void test_unfinished_file_is_filled(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool was_there = true;

	(void)state;
	close(fd);
	assert_int_equal(gw_map_file(path, 8192, &fd, &was_there), GW_OK);
	assert_false(was_there);
	assert_int_equal(gw_fd_size(fd), 8192);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void test_no_space_leaves_nothing(void **state)
{
	struct rlimit lim = { 1 << 20, 1 << 20 };
	bool was_there;
	int fd = -1, status;
	pid_t pid;

	(void)state;
	/* More than the file system has. */
	assert_int_equal(gw_map_file(path, (size_t)gw_fs_free_bytes(dir) + (1u << 30), &fd, &was_there), GW_E_NO_SPACE);
	assert_int_equal(access(path, F_OK), -1);
	pid = fork();
	if (pid == 0) { /* more than a file may have */
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &lim);
		_exit(gw_map_file(path, 2 << 20, &fd, &was_there) == GW_E_NO_SPACE && access(path, F_OK) == -1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_memfd(void **state)
{
	struct gw_map m;
	int fd = -1;

	(void)state;
	assert_int_equal(gw_memfd("test", 5000, &fd), GW_OK);
	assert_int_equal(gw_fd_size(fd), 5000);
	assert_false(gw_memfd_is_sealed(fd));
	assert_int_equal(gw_map_fd(fd, 5001, false, &m), GW_E_CORRUPT);
	assert_int_equal(gw_map_fd(fd, 0, false, &m), GW_E_CORRUPT);
	assert_int_equal(gw_map_fd(fd, 5000, true, &m), GW_OK);
	assert_int_equal(gw_memfd_seal(fd), GW_E_IN_USE);
	gw_unmap(&m);
	assert_int_equal(gw_memfd_seal(fd), GW_OK);
	assert_true(gw_memfd_is_sealed(fd));
	assert_int_not_equal(gw_map_fd(fd, 5000, true, &m), GW_OK);
	assert_int_equal(gw_map_fd(fd, 5000, false, &m), GW_OK);
	assert_int_equal(mprotect(m.p, 4096, PROT_READ | PROT_WRITE), -1);
	gw_unmap(&m);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	close(fd);
	assert_int_equal(gw_memfd("empty", 0, &fd), GW_OK);
	assert_int_equal(gw_fd_size(fd), 0);
	close(fd);
	assert_false(gw_memfd_is_sealed(0));
	assert_int_equal(gw_fd_size(-1), 0);
	assert_true(gw_fs_free_bytes("/") > 0);
	assert_int_equal(gw_fs_free_bytes("/no/such"), 0);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_unfinished_file_is_filled),
		cmocka_unit_test(test_no_space_leaves_nothing),
		cmocka_unit_test(test_memfd),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
