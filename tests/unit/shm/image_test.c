/* Images: what is put is found, in every shard; nothing that is not sealed, whole and of the given size is opened; any
 * change of any byte changes the digest; opening works in a hardened process of another uid. */
#include "tests/unit/shm/shm_test.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "lib/sys/sandbox.h"
#include "shm/image_write.h"

enum { ROW = 240 };

struct built { int fd; uint64_t size; uint8_t digest[32]; };

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, 32); }

/* n random indexes, sorted; the first nibble-and-more belongs to `shard` when >= 0. */
static uint8_t (*make_indexes(size_t n, int shard, uint64_t seed))[32]
{
	uint8_t(*ix)[32] = malloc(n * 32 + 1);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 32; k += 8) {
			uint64_t v = next_random(&seed);

			memcpy(ix[i] + k, &v, 8);
		}
		if (shard >= 0)
			ix[i][0] = (uint8_t)((ix[i][0] & ~(GW_KEY_SHARDS - 1)) | shard);
	}
	qsort(ix, n, 32, by_bytes);
	return ix;
}

/* The row of a key is made from its index, so that a reader can check it; length varies for the alignment. */
static struct gw_str row_of(const uint8_t ix[32], char out[ROW + 64])
{
	size_t n = ROW + ix[31] % 60;
	uint64_t seed;

	memcpy(&seed, ix + 8, 8);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(seed >> (i % 8 * 8)) ^ (char)i;
	return gw_str(out, n);
}

static struct built build_keys(enum gw_image_name name, uint8_t (*ix)[32], size_t n)
{
	struct gw_image_writer *w;
	struct built b = { -1, 0, { 0 } };
	char row[ROW + 64];

	assert_int_equal(gw_image_write_start(name, n * (ROW + 64), &w), GW_OK);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(gw_image_put(w, GW_DB_KEY, gw_str((char *)ix[i], 32), row_of(ix[i], row)), GW_OK);
	assert_int_equal(gw_image_write_end(w, &b.fd, &b.size, b.digest), GW_OK);
	return b;
}

static struct built build_config(unsigned n_models)
{
	struct gw_image_writer *w;
	struct built b = { -1, 0, { 0 } };
	char key[64], value[9000];

	assert_int_equal(gw_image_write_start(GW_IMAGE_CONFIG, n_models * 400, &w), GW_OK);
	assert_int_equal(gw_image_put(w, GW_DB_META, GW_LIT("generation"), GW_LIT("42")), GW_OK);
	for (unsigned i = 0; i < n_models; i++) {
		int n = snprintf(key, sizeof(key), "%c%08u", 3, i);

		memset(value, (char)i, sizeof(value));
		/* now and then one that needs pages of its own */
		assert_int_equal(gw_image_put(w, GW_DB_OBJECT, gw_str(key, (size_t)n),
					      gw_str(value, i % 100 ? 300 : sizeof(value))), GW_OK);
	}
	for (unsigned i = 0; i < n_models; i++) {
		int n = snprintf(key, sizeof(key), "o:acme\x1fmodel-%08u", i);

		assert_int_equal(gw_image_put(w, GW_DB_MODEL, gw_str(key, (size_t)n), gw_str(key + 13, 8)), GW_OK);
	}
	assert_int_equal(gw_image_write_end(w, &b.fd, &b.size, b.digest), GW_OK);
	return b;
}

struct walk { uint64_t n, stop_at; char last[64]; size_t last_n; bool is_rising; };

static bool count_rising(void *ctx, struct gw_str key, struct gw_str value)
{
	struct walk *w = ctx;

	(void)value;
	w->is_rising = w->n == 0 || gw_str_cmp(gw_str(w->last, w->last_n), key) < 0;
	memcpy(w->last, key.p, key.n);
	w->last_n = key.n;
	return ++w->n != w->stop_at && w->is_rising;
}

static void config_is_read_back(void **state)
{
	struct built b = build_config(1000);
	struct gw_image *im;
	struct gw_str v = GW_LIT("untouched");
	struct walk walk = { 0 };
	uint8_t digest[32];
	char key[64];

	(void)state;
	assert_true(gw_memfd_is_sealed(b.fd));
	assert_int_equal(gw_fd_size(b.fd), b.size);
	assert_int_equal(gw_image_open(b.fd, GW_IMAGE_CONFIG, b.size, &im), GW_OK);
	gw_image_digest(im, digest);
	assert_memory_equal(digest, b.digest, 32);
	assert_int_equal(gw_image_get(im, GW_DB_META, GW_LIT("generation"), &v), GW_OK);
	assert_true(gw_str_eq(v, GW_LIT("42")));
	for (unsigned i = 0; i < 1000; i++) {
		int n = snprintf(key, sizeof(key), "%c%08u", 3, i);

		assert_int_equal(gw_image_get(im, GW_DB_OBJECT, gw_str(key, (size_t)n), &v), GW_OK);
		assert_int_equal(v.n, i % 100 ? 300 : 9000);
		assert_int_equal(v.p[v.n - 1], (char)i);
		n = snprintf(key, sizeof(key), "o:acme\x1fmodel-%08u", i);
		assert_int_equal(gw_image_get(im, GW_DB_MODEL, gw_str(key, (size_t)n), &v), GW_OK);
		assert_memory_equal(v.p, key + 13, 8);
	}
	/* What is not there, the sentinel, keys that LMDB could not hold, a database of other images. */
	v = GW_LIT("untouched");
	memset(key, 0xff, sizeof(key));
	assert_int_equal(gw_image_get(im, GW_DB_OBJECT, GW_LIT("nobody"), &v), GW_E_NOT_FOUND);
	assert_int_equal(gw_image_get(im, GW_DB_OBJECT, gw_str(key, 40), &v), GW_E_NOT_FOUND);
	assert_int_equal(gw_image_get(im, GW_DB_OBJECT, GW_NIL, &v), GW_E_NOT_FOUND);
	assert_int_equal(gw_image_get(im, GW_DB_OBJECT, gw_str("", 0), &v), GW_E_NOT_FOUND);
	assert_int_equal(gw_image_get(im, GW_DB_KEY, GW_LIT("k"), &v), GW_E_NOT_FOUND);
	assert_true(gw_str_eq(v, GW_LIT("untouched")));
	/* Walks: all, from a key, stopped. */
	assert_int_equal(gw_image_walk(im, GW_DB_OBJECT, GW_NIL, count_rising, &walk), GW_OK);
	assert_int_equal(walk.n, 1000);
	assert_true(walk.is_rising);
	walk = (struct walk){ 0 };
	assert_int_equal(gw_image_walk(im, GW_DB_OBJECT, GW_LIT("\003" "00000990"), count_rising, &walk), GW_OK);
	assert_int_equal(walk.n, 10);
	walk = (struct walk){ .stop_at = 3 };
	assert_int_equal(gw_image_walk(im, GW_DB_MODEL, GW_NIL, count_rising, &walk), GW_OK);
	assert_int_equal(walk.n, 3);
	walk = (struct walk){ 0 };
	assert_int_equal(gw_image_walk(im, GW_DB_MODEL, GW_LIT("p"), count_rising, &walk), GW_OK);
	assert_int_equal(walk.n, 0);
	gw_image_close(im);
	gw_image_close(NULL);
}

/* 100,000 keys over 16 shards, with a delta before them. */
static void keys_over_shards(void **state)
{
	struct gw_image_set set = { .generation = 1 };
	uint8_t(*all[GW_KEY_SHARDS])[32], (*changed)[32];
	struct gw_image_writer *w;
	struct gw_str row;
	char want[ROW + 64];
	const size_t per_shard = 100000 / GW_KEY_SHARDS;
	uint8_t nobody[32] = { 3, 1, 4 }, digest[32];
	uint64_t size;
	int fd;

	(void)state;
	changed = malloc(3 * 32);
	assert_int_equal(gw_image_key(&set, nobody, &row), GW_E_NOT_FOUND); /* an empty set is a set */
	for (int s = 0; s < GW_KEY_SHARDS; s++) {
		struct built b;

		all[s] = make_indexes(per_shard, s, (uint64_t)s + 1);
		b = build_keys((enum gw_image_name)(GW_IMAGE_KEYS0 + s), all[s], per_shard);
		assert_int_equal(gw_image_open(b.fd, (enum gw_image_name)(GW_IMAGE_KEYS0 + s), b.size,
					       &set.image[GW_IMAGE_KEYS0 + s]), GW_OK);
	}
	for (int s = 0; s < GW_KEY_SHARDS; s++) {
		for (size_t i = 0; i < per_shard; i++) {
			struct gw_str expect = row_of(all[s][i], want);

			assert_int_equal(gw_image_key(&set, all[s][i], &row), GW_OK);
			assert_true(gw_str_eq(row, expect));
		}
	}
	assert_int_equal(gw_image_key(&set, nobody, &row), GW_E_NOT_FOUND);
	/* The delta: one changed, one deleted, one new. */
	memcpy(changed[0], all[2][10], 32);
	memcpy(changed[1], all[2][11], 32);
	memcpy(changed[2], nobody, 32);
	qsort(changed, 3, 32, by_bytes);
	assert_int_equal(gw_image_write_start(GW_IMAGE_DELTA, 1000, &w), GW_OK);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(gw_image_put(w, GW_DB_KEY, gw_str((char *)changed[i], 32),
					      memcmp(changed[i], all[2][11], 32) ? GW_LIT("changed") : GW_NIL), GW_OK);
	assert_int_equal(gw_image_write_end(w, &fd, &size, digest), GW_OK);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_DELTA, size, &set.image[GW_IMAGE_DELTA]), GW_OK);
	assert_int_equal(gw_image_key(&set, all[2][10], &row), GW_OK);
	assert_true(gw_str_eq(row, GW_LIT("changed")));
	assert_int_equal(gw_image_key(&set, all[2][11], &row), GW_E_NOT_FOUND);
	assert_int_equal(gw_image_key(&set, nobody, &row), GW_OK);
	assert_int_equal(gw_image_key(&set, all[2][12], &row), GW_OK);
	assert_true(gw_str_eq(row, row_of(all[2][12], want)));
	for (int s = 0; s < GW_KEY_SHARDS; s++)
		free(all[s]);
	free(changed);
	for (unsigned i = 0; i < GW_IMAGE_COUNT; i++)
		gw_image_close(set.image[i]);
}

static void names_and_shards(void **state)
{
	enum gw_image_name n;

	(void)state;
	for (unsigned i = 0; i < GW_IMAGE_COUNT; i++) {
		assert_true(gw_image_by_text(gw_str_z(gw_image_text((enum gw_image_name)i)), &n));
		assert_int_equal(n, i);
	}
	assert_string_equal(gw_image_text(GW_IMAGE_KEYS0 + 7), "keys.07");
	assert_false(gw_image_by_text(GW_LIT("keys.16"), &n));
	assert_int_equal(gw_image_shard((uint8_t[32]){ 0xff }), GW_IMAGE_KEYS0 + 15);
}

static void the_writer_refuses(void **state)
{
	struct gw_image_writer *w;
	char longer[600];
	uint64_t size = 7;
	uint8_t digest[32];
	int fd = -1;

	(void)state;
	memset(longer, 'k', sizeof(longer));
	struct { struct gw_str key; enum gw_image_db db; enum gw_err err; } bad[] = {
		{ GW_LIT("a"), GW_DB_OBJECT, GW_E_INVALID },	    /* does not rise */
		{ GW_LIT("b"), GW_DB_OBJECT, GW_E_INVALID },	    /* equal */
		{ GW_NIL, GW_DB_OBJECT, GW_E_INVALID },
		{ GW_LIT("c"), GW_DB_KEY, GW_E_INVALID },	    /* no such database here */
		{ gw_str(longer, 512), GW_DB_OBJECT, GW_E_TOO_BIG },
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gw_image_write_start(GW_IMAGE_CONFIG, 0, &w), GW_OK);
		assert_int_equal(gw_image_put(w, GW_DB_OBJECT, GW_LIT("b"), GW_LIT("v")), GW_OK);
		assert_int_equal(gw_image_put(w, bad[i].db, bad[i].key, GW_LIT("v")), bad[i].err);
		assert_int_equal(gw_image_put(w, GW_DB_OBJECT, GW_LIT("z"), GW_LIT("v")), bad[i].err); /* sticks */
		assert_int_equal(gw_image_write_end(w, &fd, &size, digest), bad[i].err);
		assert_int_equal(fd, -1);
		assert_int_equal(size, 7);
	}
	assert_int_equal(gw_image_write_start(GW_IMAGE_CONFIG, 0, &w), GW_OK);
	gw_image_write_drop(w);
	gw_image_write_drop(NULL);
	/* More than was announced, past the map: an error, not a crash. */
	assert_int_equal(gw_image_write_start(GW_IMAGE_DELTA, 0, &w), GW_OK);
	static char big[1 << 20];
	enum gw_err e = GW_OK;
	for (unsigned i = 0; i < 64 && !e; i++)
		e = gw_image_put(w, GW_DB_KEY, gw_str((char *)&(uint8_t){ (uint8_t)i }, 1), gw_str(big, sizeof(big)));
	assert_int_equal(e, GW_E_TOO_BIG);
	assert_int_equal(gw_image_write_end(w, &fd, &size, digest), GW_E_TOO_BIG);
}

/* A copy of an image in a memfd of its own, with these seals. */
static int copy_of(const struct built *b, uint64_t size, bool is_sealed)
{
	char *p = malloc(b->size);
	int fd;

	assert_int_equal(pread(b->fd, p, b->size, 0), b->size);
	assert_int_equal(gw_memfd("copy", 0, &fd), GW_OK);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, p, size < b->size ? size : b->size, 0), size < b->size ? size : b->size);
	if (is_sealed)
		assert_int_equal(gw_memfd_seal(fd), GW_OK);
	free(p);
	return fd;
}

static void only_sealed_and_whole_images_open(void **state)
{
	struct built b = build_config(50);
	struct gw_image *im = NULL;
	int fd, null = open("/dev/null", O_RDONLY), empty;

	(void)state;
	fd = copy_of(&b, b.size, false);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, b.size, &im), GW_E_CORRUPT);
	for (unsigned left_out = 1; left_out <= F_SEAL_WRITE; left_out <<= 1) { /* every seal counts */
		close(fd);
		fd = copy_of(&b, b.size, false);
		unsigned seals = (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) & ~left_out;
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
		assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, b.size, &im), GW_E_CORRUPT);
	}
	close(fd);
	fd = copy_of(&b, b.size, true);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, b.size - 4096, &im), GW_E_CORRUPT);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, b.size + 4096, &im), GW_E_CORRUPT);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, 0, &im), GW_E_CORRUPT);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_DELTA, b.size, &im), GW_E_CORRUPT); /* under another name */
	assert_int_equal(gw_image_open(fd, GW_IMAGE_COUNT, b.size, &im), GW_E_CORRUPT);
	assert_int_equal(gw_image_open(null, GW_IMAGE_CONFIG, b.size, &im), GW_E_CORRUPT);
	assert_int_equal(gw_image_open(-1, GW_IMAGE_CONFIG, b.size, &im), GW_E_CORRUPT);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* a refused fd stays the caller's */
	for (uint64_t size = 0; size < b.size; size += 4096) { /* cut, and truthful about it */
		int cut = copy_of(&b, size, true);

		assert_int_equal(gw_image_open(cut, GW_IMAGE_CONFIG, size, &im), GW_E_CORRUPT);
		close(cut);
	}
	assert_int_equal(gw_memfd("empty", 0, &empty), GW_OK);
	assert_int_equal(ftruncate(empty, 65536), 0);
	assert_int_equal(gw_memfd_seal(empty), GW_OK);
	assert_int_equal(gw_image_open(empty, GW_IMAGE_CONFIG, 65536, &im), GW_E_CORRUPT); /* zeros */
	assert_ptr_equal(im, NULL);
	assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, b.size, &im), GW_OK);
	gw_image_close(im);
	close(b.fd);
	close(null);
	close(empty);
}

static void sealed_means_sealed(void **state)
{
	struct built b = build_config(10);

	(void)state;
	assert_int_equal(pwrite(b.fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(b.fd, 0), -1);
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0) == MAP_FAILED);
	close(b.fd);
}

/* AddressSanitizer's hook: the children that read corrupt pages die at once instead of writing a report. */
static bool is_expected_to_die;
void __asan_on_error(void);
void __asan_on_error(void)
{
	if (is_expected_to_die)
		_exit(88);
}

/* What a worker would do with bytes that confd did not seal. In a child: LMDB trusts its pages. */
static _Noreturn void use_corrupt(int fd, uint64_t size, uint8_t (*ix)[32], size_t n)
{
	struct gw_image *im;
	struct gw_str row;
	struct walk walk = { 0 };
	char want[ROW + 64];
	int status = 0;
	struct rlimit none = { 0, 0 };

	is_expected_to_die = true;
	if (!freopen("/dev/null", "w", stderr))
		_exit(8);
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	alarm(10);
	if (gw_image_open(fd, GW_IMAGE_KEYS0, size, &im) != GW_OK)
		_exit(1); /* refused at once */
	for (size_t i = 0; i < n; i++) {
		enum gw_err e = gw_image_get(im, GW_DB_KEY, gw_str((char *)ix[i], 32), &row);

		if (e)
			status = 2; /* noticed at the record */
		else if (!gw_str_eq(row, row_of(ix[i], want)))
			_exit(9); /* wrong data served */
	}
	if (gw_image_walk(im, GW_DB_KEY, GW_NIL, count_rising, &walk) || walk.n != n)
		status = 2;
	_exit(status);
}

static void corruption_is_found(void **state)
{
	enum { N = 500, TRIES = 900 };
	uint8_t(*ix)[32] = make_indexes(N, 0, 5);
	struct built b = build_keys(GW_IMAGE_KEYS0, ix, N);
	uint64_t seed = 42;
	unsigned n_digest = 0, n_refused = 0, n_noticed = 0, n_crashed = 0, n_harmless = 0, n_wrong = 0;

	(void)state;
	for (unsigned i = 0; i < TRIES; i++) {
		int fd = copy_of(&b, b.size, false), status;
		uint64_t at = below(&seed, b.size), n = i % 3 == 0 ? 1 : i % 3 == 1 ? 8 : 512;
		uint8_t junk[512], digest[32], was[512];
		static uint8_t page[1 << 20];
		struct gw_sha256_ctx c;
		pid_t pid;

		n = n > b.size - at ? b.size - at : n;
		assert_int_equal(pread(fd, was, n, (off_t)at), n);
		do {
			for (size_t k = 0; k < n; k++)
				junk[k] = (uint8_t)next_random(&seed);
		} while (memcmp(junk, was, n) == 0);
		assert_int_equal(pwrite(fd, junk, n, (off_t)at), n);
		gw_sha256_start(&c);
		for (uint64_t pos = 0; pos < b.size;) {
			ssize_t got = pread(fd, page, sizeof(page), (off_t)pos);

			assert_true(got > 0);
			gw_sha256_add(&c, page, (size_t)got);
			pos += (uint64_t)got;
		}
		gw_sha256_end(&c, digest);
		n_digest += memcmp(digest, b.digest, 32) != 0;
		assert_int_equal(gw_memfd_seal(fd), GW_OK);
		pid = fork();
		if (pid == 0)
			use_corrupt(fd, b.size, ix, N);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		n_crashed += WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) > 9); /* > 9: a sanitizer's */
		n_harmless += WIFEXITED(status) && WEXITSTATUS(status) == 0;
		n_refused += WIFEXITED(status) && WEXITSTATUS(status) == 1;
		n_noticed += WIFEXITED(status) && WEXITSTATUS(status) == 2;
		n_wrong += WIFEXITED(status) && WEXITSTATUS(status) == 9;
		close(fd);
	}
	print_message("%d corruptions: digest finds %u; used without looking at it: %u refused at open, %u at the record, "
		      "%u crash LMDB, %u hit nothing used, %u served wrong\n", TRIES, n_digest, n_refused, n_noticed,
		      n_crashed, n_harmless, n_wrong);
	assert_int_equal(n_digest, TRIES);
	assert_int_equal(n_wrong, 0); /* the CRC of the record */
	free(ix);
	close(b.fd);
}

/* A digest is of what is mapped: the same pages, and of each page every byte. */
static void digest_is_of_the_whole(void **state)
{
	struct built b = build_config(20);
	struct gw_image *im;
	uint8_t digest[32];

	(void)state;
	for (uint64_t at = 4096 + 200; at < b.size; at += 4096) { /* past what opening looks at */
		int fd = copy_of(&b, b.size, false);
		uint8_t c;

		assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
		c ^= 1;
		assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
		assert_int_equal(gw_memfd_seal(fd), GW_OK);
		if (gw_image_open(fd, GW_IMAGE_CONFIG, b.size, &im) != GW_OK) {
			close(fd);
			continue;
		}
		gw_image_digest(im, digest);
		assert_memory_not_equal(digest, b.digest, 32);
		gw_image_close(im);
	}
	close(b.fd);
}

/* As a worker runs: another uid, hardened (not dumpable), in its profile. */
static void opens_in_a_locked_process(void **state)
{
	for (unsigned with_sandbox = 0; with_sandbox < 2; with_sandbox++) {
		pid_t pid;
		int status;

		(void)state;
		if (geteuid() != 0)
			skip();
		pid = fork();
		if (pid == 0) {
			struct built b;
			struct gw_image *im;
			struct gw_str v;
			uint8_t digest[32];
			uint32_t level;

			if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
				_exit(10);
			gw_harden();
			if (prctl(PR_GET_DUMPABLE) != 0)
				_exit(11);
			b = build_config(100); /* confd builds under the same conditions */
			if (with_sandbox && gw_sandbox_enter(GW_SB_WORKER, NULL, 0, &level))
				_exit(12);
			if (gw_image_open(b.fd, GW_IMAGE_CONFIG, b.size, &im) != GW_OK)
				_exit(13);
			if (gw_image_get(im, GW_DB_META, GW_LIT("generation"), &v) != GW_OK)
				_exit(14);
			gw_image_digest(im, digest);
			if (memcmp(digest, b.digest, 32))
				_exit(15);
			gw_image_close(im);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* No descriptor and no mapping is left behind by many generations. */
static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void swapping_leaves_nothing(void **state)
{
	unsigned before = count_fds();
	struct gw_image *cur = NULL;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		struct built b = build_config(i % 20);
		struct gw_image *next;

		assert_int_equal(gw_image_open(b.fd, GW_IMAGE_CONFIG, b.size, &next), GW_OK);
		gw_image_close(cur);
		cur = next;
	}
	gw_image_close(cur);
	assert_int_equal(count_fds(), before);
}

static double ms(uint64_t since) { return (double)(gw_now_ns() - since) / 1e6; }

/* Printed, not judged: the machine is shared, and a sanitizer build is slow. */
static void times(void **state)
{
	(void)state;
	for (size_t n = 1000; n <= 100000; n *= 10) {
		uint8_t(*ix)[32] = make_indexes(n, 0, n);
		uint64_t t = gw_now_ns(), seed = 1, sum = 0;
		struct built b = build_keys(GW_IMAGE_KEYS0, ix, n);
		double build_ms = ms(t), open_ms, random_ns, hot_ns, digest_ms;
		struct gw_image *im;
		struct gw_str v;
		uint8_t digest[32];
		const unsigned gets = 200000;

		t = gw_now_ns();
		assert_int_equal(gw_image_open(b.fd, GW_IMAGE_KEYS0, b.size, &im), GW_OK);
		open_ms = ms(t);
		t = gw_now_ns();
		for (unsigned i = 0; i < gets; i++) {
			assert_int_equal(gw_image_get(im, GW_DB_KEY, gw_str((char *)ix[below(&seed, n)], 32), &v), GW_OK);
			sum += v.n;
		}
		random_ns = ms(t) * 1e6 / gets;
		t = gw_now_ns();
		for (unsigned i = 0; i < gets; i++)
			sum += gw_image_get(im, GW_DB_KEY, gw_str((char *)ix[n / 2], 32), &v) == GW_OK;
		hot_ns = ms(t) * 1e6 / gets;
		t = gw_now_ns();
		gw_image_digest(im, digest);
		digest_ms = ms(t);
		assert_true(sum > 0);
		print_message("%6zu records: build, verify, seal %.1f ms (%.2f MB, digest %.1f ms of it), open %.3f ms, "
			      "get %.0f ns random, %.0f ns hot\n", n, build_ms, (double)b.size / 1e6, digest_ms, open_ms,
			      random_ns, hot_ns);
		gw_image_close(im);
		free(ix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corruption_is_found), /* first: its 900 forks are cheap while the process is small */
		cmocka_unit_test(names_and_shards),	  cmocka_unit_test(config_is_read_back),
		cmocka_unit_test(keys_over_shards),	  cmocka_unit_test(the_writer_refuses),
		cmocka_unit_test(sealed_means_sealed),	  cmocka_unit_test(only_sealed_and_whole_images_open),
		cmocka_unit_test(digest_is_of_the_whole),
		cmocka_unit_test(swapping_leaves_nothing), cmocka_unit_test(opens_in_a_locked_process),
		cmocka_unit_test(times),
	};

	if (gw_crypto_init() != GW_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
