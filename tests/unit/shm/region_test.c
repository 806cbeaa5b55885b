/* Regions: a file is what its header says, or it is not mapped. With heritage (names), control page and beats. */
#include "tests/unit/shm/shm_test.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "shm/control.h"

static void roles_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GW_ROLE_COUNT; i++) {
		enum gw_role r = GW_ROLE_COUNT;

		assert_true(gw_role_by_name(gw_str_z(gw_role_name((enum gw_role)i)), &r));
		assert_int_equal(r, i);
	}
	enum gw_role r = GW_ROLE_AGENT;
	assert_false(gw_role_by_name(GW_LIT("work"), &r));
	assert_false(gw_role_by_name(GW_NIL, &r));
	assert_int_equal(r, GW_ROLE_AGENT);
	assert_string_equal(gw_role_name((enum gw_role)99), "?");
}

static void paths_are_bounded(void **state)
{
	char out[256] = "untouched", longer[300];

	(void)state;
	assert_int_equal(gw_region_path(out, "/run/x", "control", -1), GW_OK);
	assert_string_equal(out, "/run/x/control");
	assert_int_equal(gw_region_path(out, "/run/x", "ring", 31), GW_OK);
	assert_string_equal(out, "/run/x/ring.31");
	memset(longer, 'd', sizeof(longer));
	longer[299] = 0;
	assert_int_equal(gw_region_path(out, longer, "ring", 1), GW_E_TOO_BIG);
	assert_string_equal(out, "/run/x/ring.31");
}

static void make_then_open(void **state)
{
	char path[256];
	struct gw_map a, b;
	bool was_there = true;
	struct stat st;

	(void)state;
	assert_int_equal(gw_region_path(path, test_dir, "thing", -1), GW_OK);
	assert_int_equal(gw_region_open(path, "thing", 7, true, &a), GW_E_NOT_FOUND);
	assert_int_equal(gw_region_make(path, "thing", 7, 8192, false, &was_there, &a), GW_OK);
	assert_false(was_there);
	assert_int_equal(a.n, 8192);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_blocks * 512 >= 8192); /* allocated whole */
	((char *)a.p)[8191] = 'z';
	assert_int_equal(gw_region_make(path, "thing", 7, 8192, false, &was_there, &b), GW_OK);
	assert_true(was_there);
	assert_int_equal(((char *)b.p)[8191], 'z');
	gw_unmap(&b);
	assert_int_equal(gw_region_open(path, "thing", 7, false, &b), GW_OK);
	assert_int_equal(((char *)b.p)[8191], 'z');
	gw_unmap(&b);
	gw_unmap(&a);
}

static void another_layout_is_refused(void **state)
{
	char path[256], temp[300];
	struct gw_map a, b = { NULL, 1 };
	bool was_there;

	(void)state;
	assert_int_equal(gw_region_path(path, test_dir, "other", 3), GW_OK);
	assert_int_equal(gw_region_make(path, "other", 7, 8192, false, &was_there, &a), GW_OK);
	((char *)a.p)[100] = 'o';
	assert_int_equal(gw_region_open(path, "other", 8, true, &b), GW_E_CORRUPT);
	assert_int_equal(gw_region_open(path, "othe", 7, true, &b), GW_E_CORRUPT);
	assert_int_equal(gw_region_make(path, "other", 8, 8192, false, &was_there, &b), GW_E_CORRUPT);
	assert_int_equal(gw_region_make(path, "other", 7, 4096, false, &was_there, &b), GW_E_CORRUPT);
	assert_ptr_equal(b.p, NULL);
	/* Replacing makes a new file: who has the old one keeps it whole. */
	assert_int_equal(gw_region_make(path, "other", 8, 4096, true, &was_there, &b), GW_OK);
	assert_false(was_there);
	assert_int_equal(((char *)b.p)[100], 0);
	assert_int_equal(((char *)a.p)[100], 'o');
	gw_unmap(&a);
	gw_unmap(&b);
	snprintf(temp, sizeof(temp), "%s.new", path);
	assert_int_not_equal(access(temp, F_OK), 0);
}

static void damaged_files_are_refused(void **state)
{
	char path[256];
	struct gw_map a;
	bool was_there;
	int fd;

	(void)state;
	assert_int_equal(gw_region_path(path, test_dir, "hurt", -1), GW_OK);
	/* Each byte of the header counts. */
	for (off_t at = 0; at < 64; at++) {
		uint8_t c;

		unlink(path);
		assert_int_equal(gw_region_make(path, "hurt", 7, 4096, false, &was_there, &a), GW_OK);
		gw_unmap(&a);
		fd = open(path, O_RDWR);
		assert_int_equal(pread(fd, &c, 1, at), 1);
		c ^= 0x40;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		close(fd);
		assert_int_equal(gw_region_open(path, "hurt", 7, false, &a), GW_E_CORRUPT);
	}
	/* Cut, grown, empty, a link, a folder. */
	unlink(path);
	assert_int_equal(gw_region_make(path, "hurt", 7, 8192, false, &was_there, &a), GW_OK);
	gw_unmap(&a);
	for (off_t size = 0; size <= 12288; size += 4096) {
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(gw_region_open(path, "hurt", 7, false, &a),
				 GW_E_CORRUPT); /* even at 8192: its head was cut off */
	}
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_not_equal(gw_region_open(path, "hurt", 7, false, &a), GW_OK);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(gw_region_open(path, "hurt", 7, false, &a), GW_OK);
	rmdir(path);
}

static void a_stale_half_file_is_no_obstacle(void **state)
{
	char path[256], temp[300];
	struct gw_map a;
	bool was_there = true;
	int fd;

	(void)state;
	assert_int_equal(gw_region_path(path, test_dir, "half", -1), GW_OK);
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "junk", 4), 4);
	close(fd);
	assert_int_equal(gw_region_make(path, "half", 7, 4096, false, &was_there, &a), GW_OK);
	assert_false(was_there);
	gw_unmap(&a);
}

static void control_and_beats(void **state)
{
	struct gw_control *c;
	const struct gw_control *ro;
	struct gw_beats *b1, *b2;
	struct gw_map m;

	(void)state;
	assert_int_equal(gw_control_open(test_dir, &ro), GW_E_NOT_FOUND);
	assert_int_equal(gw_beats_open(test_dir, false, &b1), GW_E_NOT_FOUND);
	assert_int_equal(gw_control_make(test_dir, &c), GW_OK);
	assert_int_equal(gw_control_open(test_dir, &ro), GW_OK);
	atomic_store(&c->workers[GW_MAX_SLOTS - 1].pid, 77);
	atomic_store(&c->roles[GW_ROLE_AGENT].state, GW_CHILD_UP);
	assert_int_equal(atomic_load(&ro->workers[GW_MAX_SLOTS - 1].pid), 77);
	assert_int_equal(atomic_load(&ro->roles[GW_ROLE_AGENT].state), GW_CHILD_UP);
	assert_int_equal(gw_beats_open(test_dir, true, &b1), GW_OK);
	assert_int_equal(gw_beats_open(test_dir, false, &b2), GW_OK);
	atomic_store(&b1->roles[GW_ROLE_LOGGER].beat_ns, 5);
	assert_int_equal(atomic_load(&b2->roles[GW_ROLE_LOGGER].beat_ns), 5);
	m = (struct gw_map){ c, sizeof(*c) };
	gw_unmap(&m);
	m = (struct gw_map){ (void *)(uintptr_t)ro, sizeof(*ro) };
	gw_unmap(&m);
	m = (struct gw_map){ b1, sizeof(*b1) };
	gw_unmap(&m);
	m = (struct gw_map){ b2, sizeof(*b2) };
	gw_unmap(&m);
}

/* The control page is mapped read-only in everybody but the master: a write is a fault, not a change. */
static void control_is_read_only(void **state)
{
	struct gw_control *c;
	const struct gw_control *ro;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(gw_control_make(test_dir, &c), GW_OK);
	assert_int_equal(gw_control_open(test_dir, &ro), GW_OK);
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		atomic_store(&((struct gw_control *)(uintptr_t)ro)->generation, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_equal(atomic_load(&c->generation), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_have_names),
		cmocka_unit_test(paths_are_bounded),
		cmocka_unit_test(make_then_open),
		cmocka_unit_test(another_layout_is_refused),
		cmocka_unit_test(damaged_files_are_refused),
		cmocka_unit_test(a_stale_half_file_is_no_obstacle),
		cmocka_unit_test(control_and_beats),
		cmocka_unit_test(control_is_read_only),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
