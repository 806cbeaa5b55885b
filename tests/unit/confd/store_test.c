/* The store below the objects: check sums, nested transactions, growth, the end of space, kills in the middle of commits. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { KILLS = 120 };

static int setup(void **state)
{
	*state = fx_new();
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

static void two_owners(void **state)
{
	struct fixture *f = *state;
	struct gw_store *other;
	char dir[192];
	struct gw_store_opts o = { dir, 0, 0 };

	snprintf(dir, sizeof(dir), "%s/config", f->data);
	assert_int_equal(gw_store_open(&o, &other), GW_E_IN_USE);
}

/* One bit anywhere in a value is noticed when the value is read. */
static void check_sums(void **state)
{
	struct fixture *f = *state;
	char path[200];
	unsigned noticed = 0, places = 0;

	fx_seed(f);
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"labels\":{\"needle\":\"findmehere\"}}}");
	gw_core_close(&f->core);
	snprintf(path, sizeof(path), "%s/config/data.mdb", f->data);
	int fd = open(path, O_RDWR);
	off_t n = lseek(fd, 0, SEEK_END);
	char *bytes = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(bytes != MAP_FAILED);
	/* in the object itself; copies in the change log and in free pages do not matter */
	for (char *at = bytes; (at = memmem(at, (size_t)(bytes + n - at), "findmehere", 10)) != NULL; at += 10) {
		places++;
		at[3] ^= 4;
	}
	munmap(bytes, (size_t)n);
	close(fd);
	assert_true(places > 0);
	fx_open_core(f);
	noticed += fx_call(f, "get", "model", "{\"id\":\"m1\"}") == 500;
	assert_string_equal(fx_str(f, "/error/name"), "CORRUPT");
	noticed += fx_call(f, "put", "model", "{\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}") == 500;
	assert_int_equal(noticed, 2);
	CALL(f, 200, "get", "deployment", "{\"id\":\"d1\"}"); /* the others are as they were */
}

static void nested(void **state)
{
	struct fixture *f = *state;
	struct gw_txn t, child;
	struct gw_str v;

	assert_int_equal(gw_txn_write(f->core.store, &t), GW_OK);
	assert_int_equal(gw_txn_put(&t, GW_T_META, GW_LIT("a"), GW_LIT("1")), GW_OK);
	assert_int_equal(gw_txn_child(&t, &child), GW_OK);
	assert_int_equal(gw_txn_put(&child, GW_T_META, GW_LIT("b"), GW_LIT("2")), GW_OK);
	gw_txn_abort(&child);
	assert_int_equal(gw_txn_child(&t, &child), GW_OK);
	assert_int_equal(gw_txn_put(&child, GW_T_META, GW_LIT("c"), GW_LIT("3")), GW_OK);
	assert_int_equal(gw_txn_commit(&child), GW_OK);
	assert_int_equal(gw_txn_commit(&t), GW_OK);
	assert_int_equal(gw_txn_read(f->core.store, &t), GW_OK);
	assert_int_equal(gw_txn_get(&t, GW_T_META, GW_LIT("a"), &v), GW_OK);
	assert_int_equal(gw_txn_get(&t, GW_T_META, GW_LIT("b"), &v), GW_E_NOT_FOUND);
	assert_int_equal(gw_txn_get(&t, GW_T_META, GW_LIT("c"), &v), GW_OK);
	assert_true(gw_str_eq(v, GW_LIT("3")));
	gw_txn_abort(&t);
}

static void scans(void **state)
{
	struct fixture *f = *state;
	struct gw_txn t;
	struct gw_scan s;
	char key[8];
	uint64_t want;

	assert_int_equal(gw_txn_write(f->core.store, &t), GW_OK);
	for (uint64_t i = 1000; i < 1300; i += 2)
		assert_int_equal(gw_txn_put(&t, GW_T_CHANGE, gw_be64(i, key), GW_LIT("{}")), GW_OK);
	assert_int_equal(gw_scan_start(&s, &t, GW_T_CHANGE, gw_be64(1101, key), false), GW_OK);
	for (want = 1102; gw_scan_next(&s); want += 2)
		assert_int_equal(gw_be64_read(s.key), want);
	assert_int_equal(want, 1300);
	gw_scan_end(&s);
	assert_int_equal(gw_scan_start(&s, &t, GW_T_CHANGE, gw_be64(1100, key), true), GW_OK);
	assert_true(gw_scan_next(&s));
	assert_int_equal(gw_be64_read(s.key), 1098); /* backwards: strictly before */
	gw_scan_end(&s);
	assert_int_equal(gw_scan_start(&s, &t, GW_T_CHANGE, GW_NIL, true), GW_OK);
	assert_true(gw_scan_next(&s));
	assert_int_equal(gw_be64_read(s.key), 1298);
	gw_scan_end(&s);
	gw_txn_abort(&t);
}

/* A small map grows by itself; at its cap writes fail with 507, reads go on, and deleting makes room. */
static void growth(void **state)
{
	struct fixture *f = fx_new_at("/tmp", 1 << 20, 8 << 20);
	char body[8192];
	int status = 201, n = 0;

	(void)state;
	while (status == 201 && n < 5000) {
		int at = snprintf(body, sizeof(body), "{\"id\":\"u%d\",\"labels\":{", n++);

		for (int i = 0; i < 30; i++)
			at += snprintf(body + at, sizeof(body) - (size_t)at, "%s\"l%d\":\"%060d\"", i > 0 ? "," : "", i,
				       i);
		snprintf(body + at, sizeof(body) - (size_t)at, "}}");
		status = fx_call(f, "put", "user", body);
	}
	assert_int_equal(status, 507);
	assert_string_equal(fx_str(f, "/error/name"), "NO_SPACE");
	assert_true(n > 200);
	CALL(f, 200, "status", "", "{}");
	assert_int_equal(fx_u64(f, "/store/map_bytes"), 8 << 20);
	CALL(f, 200, "get", "user", "{\"id\":\"u0\"}");
	snprintf(body, sizeof(body), "{\"id\":\"u%d\"}", n - 1);
	CALL(f, 404, "get", "user", body);
	fx_reopen(f);
	CALL(f, 200, "get", "user", "{\"id\":\"u0\"}");
	fx_free(f);
}

/* --- kills --- */

struct shared {
	_Atomic uint32_t acked[KILLS + 1];
}; /* per life: writes that were answered */

_Noreturn static void live(struct fixture *f, struct shared *sh, int life)
{
	static struct gw_core core;
	char why[512], body[200];
	bool is_first;

	if (gw_crypto_init() != GW_OK || gw_core_open(&core, &f->opts, &is_first, why) != GW_OK)
		_exit(9);
	for (unsigned i = 0; i < 100000; i++) {
		struct gw_call q[2] = { { .method = GW_LIT("put"), .actor = GW_LIT(PLATFORM) } };
		struct gw_reply r[2];

		/* a key and an alias of the model in one batch */
		snprintf(body, sizeof(body), "{\"id\":\"l%d-%u\",\"models\":[\"m1\"]}", life, i);
		q[1] = q[0];
		q[0].kind = GW_LIT("key");
		q[0].body = gw_str_z(body);
		char model[200];

		snprintf(model, sizeof(model), "{\"id\":\"l%d-%u\",\"alias_of\":\"m1\"}", life, i);
		q[1].kind = GW_LIT("model");
		q[1].body = gw_str_z(model);
		gw_reply_init(&r[0]);
		gw_reply_init(&r[1]);
		gw_call_batch(&core, q, r, 2);
		if (r[0].status != 201 || r[1].status != 201)
			_exit(8);
		gw_reply_done(&r[0]);
		gw_reply_done(&r[1]);
		atomic_store(&sh->acked[life], i + 1);
	}
	_exit(0);
}

static void check_life(struct fixture *f, int life, uint32_t acked)
{
	char body[64];

	for (uint32_t i = 0; i < acked + 1; i++) {
		int want = i < acked ? 200 : 0;

		snprintf(body, sizeof(body), "{\"id\":\"l%d-%u\"}", life, i);
		int key = fx_call(f, "get", "key", body), model = fx_call(f, "get", "model", body);

		assert_int_equal(key, model); /* both of a batch or none */
		if (want != 0)
			assert_int_equal(key, want);
	}
}

/* Killed at random moments: what was answered is there, a batch is whole or not at all, versions and counters agree. */
static void kills(void **state)
{
	struct fixture *f = *state;
	struct shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t total = 0, seq, outbox;
	unsigned seed = 4711;

	assert_true(sh != MAP_FAILED);
	fx_seed(f);
	gw_core_close(&f->core);
	for (int life = 0; life < KILLS; life++) {
		pid_t pid = fork();

		if (pid == 0)
			live(f, sh, life);
		seed = seed * 1103515245 + 12345;
		/* first let it come up, then a random moment of its work */
		for (int i = 0; i < 2000 && atomic_load(&sh->acked[life]) == 0 && waitpid(pid, NULL, WNOHANG) == 0; i++)
			usleep(500);
		usleep((seed >> 8) % 40000);
		kill(pid, SIGKILL);
		int status = 0;

		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		total += atomic_load(&sh->acked[life]);
	}
	fx_open_core(f);
	for (int life = 0; life < KILLS; life++)
		check_life(f, life, atomic_load(&sh->acked[life]));
	assert_true(total >= KILLS);
	CALL(f, 200, "status", "", "{}");
	seq = fx_u64(f, "/change_seq");
	outbox = fx_u64(f, "/outbox");
	assert_int_equal(seq, outbox); /* one audit record per change, not one lost */
	assert_int_equal(fx_u64(f, "/objects/key") - 1, fx_u64(f, "/objects/model") - 1);
	print_message("%d kills, %llu answered batches\n", KILLS, (unsigned long long)total);
	munmap(sh, sizeof(*sh));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(check_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(nested, setup, teardown),
		cmocka_unit_test_setup_teardown(scans, setup, teardown),
		cmocka_unit_test(growth),
		cmocka_unit_test_setup_teardown(kills, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
