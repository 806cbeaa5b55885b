/* Each role's profile from the inside: what a role does all day goes on working. */
#include "tests/unit/lib/sys/sandbox_test.h"

/* --- what goes on working --- */

static void *add_in_thread(void *p)
{
	int *n = p;
	char *big = malloc(1 << 20);

	memset(big, 1, 1 << 20);
	*n += big[99];
	free(big);
	return NULL;
}

static void works_threads_and_waiting(void)
{
	int n = 0, ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event e = { .events = EPOLLIN };
	struct gw_secret *s = gw_secret_new("x", 1);
	uint8_t random[32] = { 0 }, hash[32];
	pthread_t t[4];

	for (int i = 0; i < 4; i++) {
		CHECK(pthread_create(&t[i], NULL, add_in_thread, &n) == 0);
		CHECK(pthread_join(t[i], NULL) == 0);
	}
	CHECK(n == 4 && ep >= 0 && ev >= 0 && s != NULL);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(eventfd_write(ev, 1) == 0 && epoll_wait(ep, &e, 1, 1000) == 1);
	gw_random(random, sizeof(random));
	gw_sha256(gw_str((char *)random, 32), hash);
	gw_secret_unref(s);
	gw_sleep_ms(1);
	CHECK(gw_now_ns() > 0 && gw_cpu_ns() > 0 && gw_unix_us() > 0);
	CHECK(raise(0) == 0 && kill(getpid(), 0) == 0);
}

static void works_files(void)
{
	struct gw_buf b;
	char path[256];
	int fd;

	gw_buf_init(&b, 100);
	CHECK(gw_read_file(AT_FDCWD, ro_file, &b) == GW_OK && gw_str_eq(gw_buf_view(&b), GW_LIT("hello")));
	gw_buf_done(&b);
	snprintf(path, sizeof(path), "%s/new-%d", rw_dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!may_write()) {
		CHECK(fd == -1);
		return;
	}
	CHECK(fd >= 0 && posix_fallocate(fd, 0, 8192) == 0 && pwrite(fd, "a", 1, 8191) == 1 && fdatasync(fd) == 0);
	CHECK(ftruncate(fd, 10) == 0 && close(fd) == 0);
	CHECK(gw_write_file(AT_FDCWD, path, GW_LIT("content"), 0600) == GW_OK);
	CHECK(unlink(path) == 0);
	CHECK(opendir(rw_dir) != NULL);
}

static void works_image(void)
{
	MDB_val k = { 5, "color" }, v;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char path[64];

	CHECK(gw_memfd_is_sealed(image_fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, gw_fd_size(image_fd)) == 0);
	CHECK(mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_get(txn, dbi, &k, &v) == 0 && v.mv_size == 4 && memcmp(v.mv_data, "blue", 4) == 0);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

static void works_network(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char byte = 0;
	int s;

	CHECK(gw_packet_send(pair[0], "x", 1, &pair[0], 1) == 1);
	CHECK(recv(pair[1], &byte, 1, 0) == 1 && byte == 'x');
	if (role_now == GW_SB_ADMIN || role_now == GW_SB_WORKER)
		REFUSED(accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), EAGAIN);
	if (!may_connect())
		return;
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s >= 0 && connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	if (role_now == GW_SB_WORKER) {
		int c = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		CHECK(c >= 0 && write(s, "y", 1) == 1);
	} else {
		close(s);
	}
}

static int uv_done;
static void on_work(uv_work_t *w)
{
	(void)w;
	gw_sleep_ms(1);
}
static void on_worked(uv_work_t *w, int status)
{
	uv_done += status == 0;
	(void)w;
}
static void on_time(uv_timer_t *t)
{
	uv_done++;
	uv_close((uv_handle_t *)t, NULL);
}
static void on_async(uv_async_t *a)
{
	uv_done++;
	uv_close((uv_handle_t *)a, NULL);
}

static void works_libuv(void)
{
	uv_work_t work[4];
	uv_timer_t timer;
	uv_async_t async;
	uv_loop_t loop;

	CHECK(uv_loop_init(&loop) == 0);
	CHECK(uv_timer_init(&loop, &timer) == 0 && uv_timer_start(&timer, on_time, 5, 0) == 0);
	CHECK(uv_async_init(&loop, &async, on_async) == 0 && uv_async_send(&async) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(uv_queue_work(&loop, &work[i], on_work, on_worked) == 0);
	CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0 && uv_done == 6);
	CHECK(uv_loop_close(&loop) == 0);
	gw_log(GW_DEBUG, "not printed");
}

static void works_lmdb_store(void)
{
	MDB_val k = { 3, "key" }, v = { 5, "value" };
	char path[256];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	if (role_now != GW_SB_CONFD)
		return;
	snprintf(path, sizeof(path), "%s/store-%d", rw_dir, getpid());
	CHECK(mkdir(path, 0700) == 0);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, 1 << 22) == 0);
	CHECK(mdb_env_open(env, path, 0, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_put(txn, dbi, &k, &v, 0) == 0 && mdb_txn_commit(txn) == 0);
	CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 && mdb_get(txn, dbi, &k, &v) == 0 && v.mv_size == 5);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

static void works_image_build(void)
{
	MDB_val k = { 3, "key" }, v = { 5, "value" };
	char path[64];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int fd;

	if (role_now != GW_SB_CONFD)
		return;
	CHECK(gw_memfd("image", 0, &fd) == GW_OK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, 1 << 20) == 0);
	CHECK(mdb_env_open(env, path, MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR | MDB_NOSYNC, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_put(txn, dbi, &k, &v, MDB_APPEND) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
	CHECK(gw_memfd_seal(fd) == GW_OK && gw_memfd_is_sealed(fd));
	CHECK(write(fd, "x", 1) == -1 && errno == EPERM);
}

static void test_works_threads(void **state)
{
	(void)state;
	each_role(works_threads_and_waiting);
}
static void test_works_files(void **state)
{
	(void)state;
	each_role(works_files);
}
static void test_works_image(void **state)
{
	(void)state;
	each_role(works_image);
}
static void test_works_network(void **state)
{
	(void)state;
	each_role(works_network);
}
static void test_works_libuv(void **state)
{
	(void)state;
	each_role(works_libuv);
}
static void test_works_store(void **state)
{
	(void)state;
	each_role(works_lmdb_store);
	each_role(works_image_build);
}

/* A role lives under the master's filter as well: both at once. */
static void role_below_master(void)
{
	role_now = GW_SB_WORKER;
	enter();
	works_threads_and_waiting();
	works_image();
	works_libuv();
}

static void test_role_below_master(void **state)
{
	(void)state;
	assert_int_equal(in_child(GW_SB_MASTER, 0, role_below_master), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_works_threads),     cmocka_unit_test(test_works_files),
		cmocka_unit_test(test_works_image),       cmocka_unit_test(test_works_network),
		cmocka_unit_test(test_works_libuv),       cmocka_unit_test(test_works_store),
		cmocka_unit_test(test_role_below_master),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
