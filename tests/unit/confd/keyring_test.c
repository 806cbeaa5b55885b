/* Keys and secrets: rotation of everything that rotates, cut at any point; secrets that are nowhere in the clear; sealed
 * rows that open only where they belong; root key sources. */
#include "fixture.h"

#include <dirent.h>
#include <sys/wait.h>

#include "confd/sealed.h"

enum { MANY = 600 };

static int setup(void **state)
{
	*state = fx_new();
	fx_seed(*state);
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

static void make_many(struct fixture *f)
{
	char body[256];

	for (int i = 0; i < MANY; i++) {
		snprintf(body, sizeof(body),
			 "{\"id\":\"many%d\",\"provider\":\"p1\",\"secret\":\"sk-canary-many-%06d\"}", i, i);
		CALL(f, 201, "put", "credential", body);
	}
}

static void all_open(struct fixture *f)
{
	char id[32], want[64];

	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "many%d", i);
		snprintf(want, sizeof(want), "sk-canary-many-%06d", i);
		assert_string_equal(fx_lease(f, id, 0, false), want);
	}
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
}

static void rotate_credential(void **state)
{
	struct fixture *f = *state;

	CALL(f, 200, "get", "credential", "{\"id\":\"c1\"}");
	uint64_t v1 = fx_u64(f, "/secret_version");

	assert_string_equal(fx_str(f, "/last4"), "cdef");
	CALL(f, 200, "credential-rotate", "", "{\"id\":\"c1\",\"mode\":\"now\",\"secret\":\"sk-the-second-one\"}");
	uint64_t v2 = fx_u64(f, "/secret_version");

	assert_true(v2 > v1);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-the-second-one");
	assert_string_equal(fx_lease(f, "c1", v1, false), "sk-canary-0123456789abcdef"); /* for requests under way */
	CALL(f, 409, "credential-rotate", "", "{\"id\":\"c1\",\"mode\":\"promote\"}");
	CALL(f, 200, "credential-rotate", "", "{\"id\":\"c1\",\"mode\":\"stage\",\"secret\":\"sk-the-third-one\"}");
	assert_int_equal(fx_u64(f, "/secret_version"), v2);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-the-second-one");
	assert_string_equal(fx_lease(f, "c1", 0, true), "sk-the-third-one");
	CALL(f, 200, "credential-rotate", "", "{\"id\":\"c1\",\"mode\":\"promote\"}");
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-the-third-one");
	assert_string_equal(fx_lease(f, "c1", 0, true), "");
	assert_string_equal(fx_lease(f, "c1", v2, false), "sk-the-second-one");
	CALL(f, 400, "credential-rotate", "", "{\"id\":\"c1\",\"mode\":\"later\",\"secret\":\"x\"}");
	CALL(f, 400, "credential-rotate", "", "{\"id\":\"c1\"}");
	CALL(f, 404, "credential-rotate", "", "{\"id\":\"none\",\"secret\":\"x\"}");
	/* after the drain time the old ones are gone, the present one is not */
	assert_false(gw_maintain_secrets(&f->core));
	assert_string_equal(fx_lease(f, "c1", v1, false), "sk-canary-0123456789abcdef");
	f->core.drain_ms = 0;
	(void)gw_maintain_secrets(&f->core);
	assert_string_equal(fx_lease(f, "c1", v1, false), "");
	assert_string_equal(fx_lease(f, "c1", v2, false), "");
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-the-third-one");
	/* disabled: nobody gets it */
	CALL(f, 200, "patch", "credential", "{\"id\":\"c1\",\"patch\":{\"disabled\":true}}");
	assert_string_equal(fx_lease(f, "c1", 0, false), "");
}

static void who_may_lease(void **state)
{
	static const struct {
		const char *name;
		int role;
		enum gw_err want;
	} rows[] = {
		{ "pepper", 3, GW_OK },
		{ "pepper", 2, GW_E_FORBIDDEN },
		{ "pepper", 4, GW_E_FORBIDDEN },
		{ "pepper", 5, GW_E_FORBIDDEN },
		{ "audit-signing", 4, GW_OK },
		{ "audit-signing", 3, GW_E_FORBIDDEN },
		{ "session", 3, GW_E_CRED_MISSING },
		{ "c1", 3, GW_OK },
		{ "c1", 5, GW_OK },
		{ "c1", 2, GW_E_FORBIDDEN },
		{ "c1", 4, GW_E_FORBIDDEN },
		{ "nope", 3, GW_E_CRED_MISSING },
		{ "", 3, GW_E_CRED_MISSING },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gw_leased l;

		assert_int_equal(gw_lease(&f->core, gw_str_z(rows[i].name), 0, rows[i].role, &l), rows[i].want);
		gw_leased_done(&l);
	}
}

/* The DEK goes round in batches; at every batch the process may die. */
static void rotate_dek(void **state)
{
	struct fixture *f = *state;
	char token_sha[65], auth[96];
	int batches = 0;

	make_many(f);
	CALL(f, 201, "put", "key", "{\"id\":\"k1\",\"purpose\":\"admin\"}");
	fx_sha256_hex(fx_str(f, "/token"), token_sha);
	snprintf(auth, sizeof(auth), "{\"sha256\":\"%s\"}", token_sha);
	CALL(f, 201, "put", "role_binding", "{\"id\":\"r\",\"key\":\"k1\",\"role\":\"viewer\"}");
	CALL(f, 200, "keyring-rotate-dek", "", "{}");
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(f->doc, "/rotating")));
	assert_int_equal(fx_len(f, "/deks"), 2);
	all_open(f);
	while (gw_maintain_rekey(&f->core)) {
		batches++;
		all_open(f);
		fx_reopen(f); /* the next process goes on where this one stopped */
	}
	assert_int_equal(batches, (MANY + 1 + 255) / 256);
	CALL(f, 200, "keyring-status", "", "{}");
	assert_int_equal(fx_len(f, "/deks"), 1);
	assert_int_equal(fx_u64(f, "/deks/0/id"), 2);
	assert_int_equal(fx_u64(f, "/deks/0/records"), MANY + 1);
	fx_reopen(f);
	all_open(f);
	CALL_AS(f, "", 200, "auth", "", auth);
	/* a worn key is replaced by itself */
	gw_keyring_set_seals(f->core.keyring, 1ull << 31);
	CALL(f, 200, "credential-rotate", "", "{\"id\":\"many0\",\"secret\":\"sk-canary-many-000000\"}");
	while (gw_maintain_rekey(&f->core))
		;
	CALL(f, 200, "keyring-status", "", "{}");
	assert_int_equal(fx_len(f, "/deks"), 1);
	assert_int_equal(fx_u64(f, "/deks/0/id"), 3);
	all_open(f);
}

static void rotate_root(void **state)
{
	struct fixture *f = *state;
	char before[80] = "", after[80] = "", sha[65], auth[96];
	FILE *in = fopen(f->root, "r");

	CALL(f, 201, "put", "key", "{\"id\":\"k1\",\"purpose\":\"admin\"}");
	fx_sha256_hex(fx_str(f, "/token"), sha);
	snprintf(auth, sizeof(auth), "{\"sha256\":\"%s\"}", sha);
	CALL(f, 201, "put", "role_binding", "{\"id\":\"r\",\"key\":\"k1\",\"role\":\"viewer\"}");
	assert_non_null(fgets(before, sizeof(before), in));
	fclose(in);
	CALL(f, 200, "keyring-rotate-root", "", "{}");
	in = fopen(f->root, "r");
	assert_non_null(fgets(after, sizeof(after), in));
	fclose(in);
	assert_string_not_equal(before, after);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	CALL(f, 200, "put", "credential", "{\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-after-rotation\"}");
	fx_reopen(f);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-after-rotation");
	CALL_AS(f, "", 200, "auth", "", auth);
	/* the old key opens nothing any more */
	gw_core_close(&f->core);
	in = fopen(f->root, "w");
	fputs(before, in);
	fclose(in);
	char why[512] = "";
	bool is_first;

	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_CRYPTO);
	assert_non_null(strstr(why, "root_key_previous"));
	in = fopen(f->root, "w");
	fputs(after, in);
	fclose(in);
	fx_open_core(f);
}

static void write_text(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	assert_int_equal(chmod(path, 0600), 0);
}

static void read_text(const char *path, char *out, size_t n)
{
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	assert_non_null(fgets(out, (int)n, in));
	fclose(in);
}

/* A crash on either side of the commit leaves two files, of which exactly one fits. */
static void rotate_root_cut(void **state)
{
	struct fixture *f = *state;
	char beside[256], before[80], after[80];
	struct stat st;

	snprintf(beside, sizeof(beside), "%s.new", f->root);
	/* before the commit: the file beside means nothing and goes away */
	write_text(beside, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	fx_reopen(f);
	assert_int_equal(stat(beside, &st), -1);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	/* after the commit, before the rename: the file beside is the key */
	read_text(f->root, before, sizeof(before));
	CALL(f, 200, "keyring-rotate-root", "", "{}");
	read_text(f->root, after, sizeof(after));
	write_text(beside, after);
	write_text(f->root, before);
	fx_reopen(f);
	assert_int_equal(stat(beside, &st), -1);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	char now[80];

	read_text(f->root, now, sizeof(now));
	assert_string_equal(now, after);
}

/* From a file to the environment, and to a command, by root_key_previous. */
static void other_sources(void **state)
{
	struct fixture *f = *state;
	static char env[] = "LLMGW_TEST_ROOT", script[200], source[240], previous[200];
	char why[512];
	bool is_first;
	struct gw_secret *s = NULL;

	gw_core_close(&f->core);
	setenv(env, "a0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 1);
	const char *seen = getenv(env);

	snprintf(previous, sizeof(previous), "file:%s", f->root);
	f->opts.root_key = "env:LLMGW_TEST_ROOT";
	f->opts.root_key_previous = previous;
	assert_int_equal(gw_core_preload(&f->opts, why), GW_OK);
	assert_null(getenv(env));
	assert_true(seen[0] != 'a'); /* wiped where /proc shows it */
	s = f->opts.root_loaded;
	fx_open_core(f);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	CALL(f, 409, "keyring-rotate-root", "", "{}");
	assert_non_null(strstr(fx_str(f, "/error/message"), "root_key_previous"));
	gw_core_close(&f->core);
	/* the file is of no use any more */
	f->opts.root_loaded = NULL;
	f->opts.root_key = f->root;
	f->opts.root_key_previous = "";
	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_CRYPTO);
	/* a command prints the same key as base64 */
	snprintf(script, sizeof(script), "%s/rootcmd", f->dir);
	write_text(script,
		   "#!/bin/sh\n[ -z \"$HOME$1\" ] || exit 3\necho oBEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=\n");
	chmod(script, 0700);
	snprintf(source, sizeof(source), "cmd:%s", script);
	f->opts.root_key = source;
	setenv("HOME", "/nowhere", 1);
	assert_int_equal(gw_core_preload(&f->opts, why), GW_OK);
	gw_secret_unref(s);
	s = f->opts.root_loaded;
	fx_open_core(f);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	gw_core_close(&f->core);
	f->opts.root_loaded = NULL;
	write_text(script, "#!/bin/sh\nexit 1\n");
	chmod(script, 0700);
	assert_int_not_equal(gw_core_preload(&f->opts, why), GW_OK);
	f->opts.root_loaded = s;
	fx_open_core(f);
	gw_secret_unref(s);
}

static void insecure_files(void **state)
{
	struct fixture *f = *state;
	char why[512], inside[256], link[256];
	bool is_first;
	const char *root = f->root;

	gw_core_close(&f->core);
	assert_int_equal(chmod(root, 0644), 0);
	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_FORBIDDEN);
	assert_non_null(strstr(why, "0600"));
	assert_int_equal(chmod(root, 0600), 0);
	snprintf(link, sizeof(link), "%s/link.key", f->dir);
	assert_int_equal(symlink(root, link), 0);
	f->opts.root_key = link;
	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_FORBIDDEN);
	snprintf(inside, sizeof(inside), "%s/root.key", f->data);
	f->opts.root_key = inside;
	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_INVALID);
	assert_non_null(strstr(why, "data folder"));
	write_text(link, "");
	unlink(link);
	write_text(link, "too short\n");
	f->opts.root_key = link;
	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_INVALID);
	/* a lost key is never quietly replaced by a new one */
	unlink(link);
	assert_int_not_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_OK);
	struct stat st;

	assert_int_equal(stat(link, &st), -1);
	f->opts.root_key = root;
	write_text(root, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	assert_int_equal(gw_core_open(&f->core, &f->opts, &is_first, why), GW_E_CRYPTO);
	teardown(state);
	*state = fx_new();
}

struct row {
	char key[128], value[512];
	size_t key_n, value_n;
};

static enum gw_err read_row(struct gw_txn *t, const char *id, struct row *r)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_SEALED, gw_str_z(id), false);

	if (e == GW_OK && gw_scan_next(&s)) {
		memcpy(r->key, s.key.p, r->key_n = s.key.n);
		memcpy(r->value, s.value.p, r->value_n = s.value.n);
	}
	gw_scan_end(&s);
	return e;
}

static enum gw_err swap_rows(struct gw_txn *t, void *arg)
{
	struct row a, b;

	(void)arg;
	assert_int_equal(read_row(t, "c1", &a), GW_OK);
	assert_int_equal(read_row(t, "c2", &b), GW_OK);
	assert_int_equal(gw_txn_put(t, GW_T_SEALED, gw_str(a.key, a.key_n), gw_str(b.value, b.value_n)), GW_OK);
	assert_int_equal(gw_txn_put(t, GW_T_SEALED, gw_str(b.key, b.key_n), gw_str(a.value, a.value_n)), GW_OK);
	return GW_OK;
}

/* An old ciphertext of the same credential, put back under the present version. */
static enum gw_err replay_row(struct gw_txn *t, void *arg)
{
	struct row *old = arg, now;

	assert_int_equal(read_row(t, "c3", &now), GW_OK);
	assert_int_equal(gw_txn_put(t, GW_T_SEALED, gw_str(now.key, now.key_n), gw_str(old->value, old->value_n)),
			 GW_OK);
	return GW_OK;
}

static enum gw_err flip_bit(struct gw_txn *t, void *arg)
{
	struct row r;
	size_t at = *(size_t *)arg;

	assert_int_equal(read_row(t, "c1", &r), GW_OK);
	if (at >= r.value_n)
		return GW_E_NOT_FOUND;
	r.value[at] = (char)(r.value[at] ^ 1);
	return gw_txn_put(t, GW_T_SEALED, gw_str(r.key, r.key_n), gw_str(r.value, r.value_n));
}

static void moved_ciphertext(void **state)
{
	struct fixture *f = *state;
	struct gw_leased l;
	struct gw_txn t;
	struct row old;

	for (size_t at = 8; gw_store_update(f->core.store, flip_bit, &at) == GW_OK; at++) {
		assert_int_equal(gw_lease(&f->core, GW_LIT("c1"), 0, 3, &l), GW_E_CRYPTO);
		assert_int_equal(gw_store_update(f->core.store, flip_bit, &at), GW_OK);
	}
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	CALL(f, 201, "put", "credential", "{\"id\":\"c2\",\"provider\":\"p1\",\"secret\":\"sk-of-number-two\"}");
	assert_int_equal(gw_store_update(f->core.store, swap_rows, NULL), GW_OK);
	assert_int_equal(gw_lease(&f->core, GW_LIT("c1"), 0, 3, &l), GW_E_CRYPTO);
	assert_int_equal(gw_lease(&f->core, GW_LIT("c2"), 0, 3, &l), GW_E_CRYPTO);
	/* a rotation keeps the key of rows that do not open, and the rest goes on */
	CALL(f, 201, "put", "credential", "{\"id\":\"c3\",\"provider\":\"p1\",\"secret\":\"sk-of-number-three\"}");
	CALL(f, 200, "keyring-rotate-dek", "", "{}");
	while (gw_maintain_rekey(&f->core))
		;
	CALL(f, 200, "keyring-status", "", "{}");
	assert_int_equal(fx_len(f, "/deks"), 2);
	assert_string_equal(fx_lease(f, "c3", 0, false), "sk-of-number-three");
	assert_int_equal(gw_store_update(f->core.store, swap_rows, NULL), GW_OK);
	assert_string_equal(fx_lease(f, "c1", 0, false), "sk-canary-0123456789abcdef");
	while (gw_maintain_rekey(&f->core))
		;
	CALL(f, 200, "keyring-status", "", "{}");
	assert_int_equal(fx_len(f, "/deks"), 1);
	/* replay of an older version */
	assert_int_equal(gw_txn_read(f->core.store, &t), GW_OK);
	assert_int_equal(read_row(&t, "c3", &old), GW_OK);
	gw_txn_abort(&t);
	f->core.drain_ms = 0;
	CALL(f, 200, "credential-rotate", "", "{\"id\":\"c3\",\"secret\":\"sk-of-number-four\"}");
	(void)gw_maintain_secrets(&f->core);
	assert_int_equal(gw_store_update(f->core.store, replay_row, &old), GW_OK);
	assert_int_equal(gw_lease(&f->core, GW_LIT("c3"), 0, 3, &l), GW_E_CRYPTO);
}

static const char *canaries[] = {
	"sk-canary-0123456789abcdef", "sk-canary-rotated", "sk-canary-staged", NULL, NULL, NULL
};
static unsigned n_files;

static int grep_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (flag != FTW_F || strstr(path, "admin.token") != NULL)
		return 0;
	int fd = open(path, O_RDONLY);
	off_t n = lseek(fd, 0, SEEK_END);
	char *bytes = malloc((size_t)n + 1);

	assert_int_equal(pread(fd, bytes, (size_t)n, 0), n);
	for (int i = 0; canaries[i] != NULL; i++) {
		if (memmem(bytes, (size_t)n, canaries[i], strlen(canaries[i])) != NULL) {
			print_error("%s is in %s\n", canaries[i], path);
			free(bytes);
			close(fd);
			return 1;
		}
	}
	n_files++;
	free(bytes);
	close(fd);
	return 0;
}

/* Neither provider secrets nor tokens nor their plain hashes, nor the keys of the keyring, are in any file. */
static void no_canary_on_disk(void **state)
{
	struct fixture *f = *state;
	static char token[80], sha[65], pepper[33];

	CALL(f, 200, "credential-rotate", "", "{\"id\":\"c1\",\"secret\":\"sk-canary-rotated\"}");
	CALL(f, 200, "credential-rotate", "", "{\"id\":\"c1\",\"mode\":\"stage\",\"secret\":\"sk-canary-staged\"}");
	CALL(f, 200, "patch", "credential",
	     "{\"id\":\"c1\",\"patch\":{\"labels\":{\"a\":\"b\"},\"next_secret\":\"sk-canary-staged\"}}");
	assert_null(strstr(f->text, "canary"));
	CALL(f, 201, "put", "key", "{\"id\":\"k1\"}");
	snprintf(token, sizeof(token), "%s", fx_str(f, "/token"));
	fx_sha256_hex(token, sha);
	memcpy(pepper, gw_secret_expose(gw_keyring_own(f->core.keyring, GW_OWN_PEPPER)).p, 32);
	canaries[3] = token;
	canaries[4] = sha;
	canaries[5] = NULL;
	n_files = 0;
	assert_int_equal(nftw(f->data, grep_one, 16, FTW_PHYS), 0);
	assert_true(n_files >= 2);
	/* the search itself can find something */
	canaries[0] = "m1";
	assert_int_equal(nftw(f->data, grep_one, 16, FTW_PHYS), 1);
	canaries[0] = "sk-canary-0123456789abcdef";
	gw_wipe(pepper, sizeof(pepper));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rotate_credential, setup, teardown),
		cmocka_unit_test_setup_teardown(who_may_lease, setup, teardown),
		cmocka_unit_test_setup_teardown(rotate_dek, setup, teardown),
		cmocka_unit_test_setup_teardown(rotate_root, setup, teardown),
		cmocka_unit_test_setup_teardown(rotate_root_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(other_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(insecure_files, setup, teardown),
		cmocka_unit_test_setup_teardown(moved_ciphertext, setup, teardown),
		cmocka_unit_test_setup_teardown(no_canary_on_disk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
