/* Secrets: what the pages promise (locked, not dumped, not inherited), wiping, counting, and who may look inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/secret.h"

/* Reads our own memory behind the sanitizer's back, so that freed cells can be looked at. */
static ssize_t peek(const void *at, void *out, size_t n)
{
	struct iovec to = { out, n }, from = { (void *)(uintptr_t)at, n };

	return syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0);
}

static void test_holds_what_it_got(void **state)
{
	static const size_t sizes[] = { 0, 1, 31, 32, 48, 49, 100, 1000, 4000, 4096, 8192, 65535, 65536 };
	static char text[65536];
	struct gw_secret *s[sizeof(sizes) / sizeof(sizes[0])];

	(void)state;
	gw_random(text, sizeof(text));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		s[i] = gw_secret_new(text, sizes[i]);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_non_null(s[i]);
		assert_int_equal(gw_secret_len(s[i]), sizes[i]);
		assert_true(gw_str_eq(gw_secret_expose(s[i]), gw_str(text, sizes[i])));
	}
	assert_int_equal(gw_secret_alive(), sizeof(sizes) / sizeof(sizes[0]));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		gw_secret_unref(s[i]);
	gw_secret_unref(NULL);
	assert_int_equal(gw_secret_alive(), 0);
	assert_null(gw_secret_new(text, 65537));
}

static void test_many(void **state)
{
	enum { N = 5000 };
	static struct gw_secret *s[N];

	(void)state;
	for (unsigned i = 0; i < N; i++)
		s[i] = gw_secret_new(&i, sizeof(i));
	for (unsigned i = 0; i < N; i += 2)
		gw_secret_unref(s[i]);
	for (unsigned i = 0; i < N; i += 2) {
		unsigned v = i + 1000000;

		s[i] = gw_secret_new(&v, sizeof(v));
	}
	for (unsigned i = 0; i < N; i++) {
		unsigned v;

		memcpy(&v, gw_secret_expose(s[i]).p, sizeof(v));
		assert_int_equal(v, i % 2 ? i : i + 1000000);
		gw_secret_unref(s[i]);
	}
	assert_int_equal(gw_secret_alive(), 0);
}

static void test_wiped_at_the_last_reference(void **state)
{
	char canary[] = "canary-5cbf3b0d-of-a-secret-value", seen[sizeof(canary)];
	struct gw_secret *s = gw_secret_new(canary, sizeof(canary));
	const char *at = gw_secret_expose(s).p;

	(void)state;
	assert_ptr_equal(gw_secret_ref(s), s);
	gw_secret_unref(s);
	assert_int_equal(peek(at, seen, sizeof(seen)), sizeof(seen));
	assert_memory_equal(seen, canary, sizeof(canary));
	gw_secret_unref(s);
	assert_int_equal(peek(at, seen, sizeof(seen)), sizeof(seen));
	for (size_t i = 0; i < sizeof(seen); i++)
		assert_int_equal(seen[i], 0);
}

/* The VmFlags line of the mapping that holds p. */
static bool flags_of(const void *p, char *out, size_t n)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	bool is_here = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long from, to;

		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			is_here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (is_here && strncmp(line, "VmFlags:", 8) == 0) {
			snprintf(out, n, "%s", line);
			fclose(f);
			return true;
		}
	}
	fclose(f);
	return false;
}

static void test_pages(void **state)
{
	struct rlimit lim;
	char flags[512];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &lim), 0);
	for (int i = 0; i < 2; i++) {
		static char big[60000];
		struct gw_secret *s = gw_secret_new(big, i ? sizeof(big) : 40);

		assert_true(flags_of(gw_secret_expose(s).p, flags, sizeof(flags)));
		assert_non_null(strstr(flags, " dd")); /* not in dumps */
		assert_non_null(strstr(flags, " wf")); /* wiped on fork */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which make mlock do nothing */
		if (geteuid() == 0 || lim.rlim_cur >= 1 << 20)
			assert_non_null(strstr(flags, " lo")); /* locked */
#endif
		gw_secret_unref(s);
	}
}

static void test_fork_sees_nothing(void **state)
{
	struct gw_secret *s = gw_secret_new("visible", 7);
	const char *at = gw_secret_expose(s).p;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(at[0] == 0 && at[6] == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_equal(at, "visible", 7);
	gw_secret_unref(s);
}

static void test_fingerprint(void **state)
{
	struct gw_secret *s = gw_secret_new("abc", 3), *t = gw_secret_new("abd", 3);
	char a[9], b[9];

	(void)state;
	gw_secret_fingerprint(s, a);
	gw_secret_fingerprint(t, b);
	/* printf 'llmgw/fpabc' | sha256sum */
	assert_string_equal(a, "d90c3250");
	assert_string_not_equal(a, b);
	gw_secret_unref(s);
	gw_secret_unref(t);
}

static void *churn(void *p)
{
	for (int i = 0; i < 3000; i++) {
		struct gw_secret *s = gw_secret_new(&i, sizeof(i)), *r = gw_secret_ref(s);
		int v;

		gw_secret_unref(s);
		memcpy(&v, gw_secret_expose(r).p, sizeof(v));
		if (v != i)
			return p;
		gw_secret_unref(r);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[4];
	void *bad;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, &t), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(gw_secret_alive(), 0);
}

/* The files that may look inside a secret, and what for. A new name here is a decision, not a formality. */
static const struct {
	const char *path, *why;
} may_look[] = {
	{ "lib/secret.c", "owns the bytes" },
	{ "lib/secret.h", "declares it" },
	{ "lib/crypto.c", "keys of HMAC and HKDF" },
	{ "lib/crypto_aead.c", "keys of AES-GCM" },
	{ "lib/crypto_sign.c", "signing keys" },
	{ "net/tls_cert.c", "judges a private key against its certificate" },
	{ "net/tls_server.c", "private key and ticket keys of a TLS server" },
	{ "confd/edit_certificate.c", "compares a submitted private key with the stored one" },
	{ "worker/tls.c", "tells a new ticket key from the one in use" },
	{ "confd/keyring.c", "seals credentials" },
	{ "confd/keyring_rows.c", "wraps keys by the root key" },
	{ "confd/lease.c", "hands a leased secret to the process that uses it" },
	{ "confd/peers.c", "hands a leased secret to the process that uses it" },
	{ "confd/root_key.c", "writes a new root key file" },
	{ "confd/edit_fields.c", "compares a submitted secret with the stored one, checks its form" },
	{ "agent/probe.c", "writes the auth header, takes the secret out of what comes back" },
	{ "agent/token.c", "tells a provider's proxy who asks when a token is fetched by it" },
	{ "confd/idem.c", "the kept answer of a call that made a key" },
	{ "confd/edit_credential.c",
	  "judges a submitted secret by its credential's type, takes from it what may be shown" },
	{ "confd/token.c", "keeps a fetched token and hands it to the processes that use it" },
	{ "worker/req.c", "lists what is taken out of what a provider sends back" },
	{ "worker/steps/send.c", "writes the auth header" },
};

static bool is_listed(const char *path)
{
	for (size_t i = 0; i < sizeof(may_look) / sizeof(may_look[0]); i++)
		if (strcmp(may_look[i].path, path) == 0)
			return true;
	return false;
}

static unsigned n_files, n_strangers;

static void look_at(const char *root, const char *path)
{
	static char text[1 << 20];
	char full[1024];
	size_t n;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	f = fopen(full, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	n_files++;
	if (strstr(text, "gw_secret_expose(") && !is_listed(path)) {
		printf("%s uses gw_secret_expose and is not in the list of secret_test.c; add it with its reason\n",
		       path);
		n_strangers++;
	}
}

static void walk(const char *root, const char *folder)
{
	char full[1024], path[1024];
	struct dirent *e;
	DIR *d;

	snprintf(full, sizeof(full), "%s/%s", root, folder);
	d = opendir(full);
	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_type == DT_DIR)
			walk(root, path);
		else if (n > 2 && e->d_name[n - 2] == '.' && (e->d_name[n - 1] == 'c' || e->d_name[n - 1] == 'h'))
			look_at(root, path);
	}
	if (d)
		closedir(d);
}

static void test_who_looks(void **state)
{
	static const char *const folders[] = { "lib",    "core",   "shm",   "net",      "master",    "confd", "admin",
					       "worker", "logger", "agent", "exporter", "admin-cli", "bench" };
	const char *root = getenv("LLMGW_SOURCE");

	(void)state;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		walk(root ? root : ".", folders[i]);
	assert_true(n_files > 30);
	assert_int_equal(n_strangers, 0);
}

static int set_up(void **state)
{
	(void)state;
	return gw_crypto_init() ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holds_what_it_got),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_wiped_at_the_last_reference),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_fork_sees_nothing),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_who_looks),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
