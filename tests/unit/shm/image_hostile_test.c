/* Images that are not what confd sealed: nothing that is unsealed, cut or of another size is opened, any change of any byte
 * changes the digest, and what LMDB does with corrupt pages is counted. And as a worker opens them: hardened, of another
 * uid, in its sandbox. */
#include "tests/unit/shm/image_make.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "lib/crypto.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "lib/sys/sandbox.h"

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
	uint8_t digest[32], zeros[32] = { 0 };

	(void)state;
	gw_image_fd_digest(b.fd, b.size, digest);
	assert_memory_equal(digest, b.digest, 32);
	gw_image_fd_digest(b.fd, b.size + 1, digest);
	assert_memory_equal(digest, zeros, 32);
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

enum { N_KEYS = 500, TRIES = 900, BATCH = 60 };
enum outcome { CRASHED, HARMLESS, REFUSED, NOTICED, WRONG, N_OUTCOMES };
struct corrupt_run { /* in shared memory: a child goes on until it crashes, the next one from there */
	_Atomic unsigned at;
	_Atomic uint8_t outcome[BATCH];
};

/* What a worker would do with bytes that confd did not seal. In a child: LMDB trusts its pages. */
static enum outcome use_corrupt(int fd, uint64_t size, uint8_t (*ix)[32])
{
	struct gw_image *im;
	struct gw_str row;
	struct walk walk = { 0 };
	char want[ROW + 64];
	enum outcome outcome = HARMLESS;

	if (gw_image_open(fd, GW_IMAGE_KEYS0, size, &im) != GW_OK)
		return REFUSED;
	for (size_t i = 0; i < N_KEYS; i++) {
		enum gw_err e = gw_image_get(im, GW_DB_KEY, gw_str((char *)ix[i], 32), &row);

		if (e)
			outcome = NOTICED;
		else if (!gw_str_eq(row, row_of(ix[i], want)))
			return WRONG;
	}
	if (gw_image_walk(im, GW_DB_KEY, GW_NIL, count_rising, &walk) || walk.n != N_KEYS)
		outcome = NOTICED;
	gw_image_close(im);
	return outcome;
}

static _Noreturn void use_all(struct corrupt_run *run, const int *fds, uint64_t size, uint8_t (*ix)[32])
{
	struct rlimit none = { 0, 0 };

	is_expected_to_die = true;
	if (!freopen("/dev/null", "w", stderr))
		_exit(8);
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	alarm(20);
	for (unsigned i = atomic_load(&run->at); i < BATCH; i++) {
		atomic_store(&run->at, i);
		atomic_store(&run->outcome[i], (uint8_t)use_corrupt(fds[i], size, ix));
	}
	atomic_store(&run->at, BATCH);
	_exit(0);
}

/* A copy with 1, 8 or 512 bytes changed somewhere; tells whether its SHA-256 is another. */
static int corrupt_copy(const struct built *b, uint64_t *seed, bool *is_found)
{
	int fd = copy_of(b, b->size, false);
	uint64_t at = below(seed, b->size), n = (uint64_t[]){ 1, 8, 512 }[below(seed, 3)];
	uint8_t junk[512], was[512], digest[32];

	n = n > b->size - at ? b->size - at : n;
	assert_int_equal(pread(fd, was, n, (off_t)at), n);
	do {
		for (size_t k = 0; k < n; k++)
			junk[k] = (uint8_t)next_random(seed);
	} while (memcmp(junk, was, n) == 0);
	assert_int_equal(pwrite(fd, junk, n, (off_t)at), n);
	gw_image_fd_digest(fd, b->size, digest);
	*is_found = memcmp(digest, b->digest, 32) != 0;
	assert_int_equal(gw_memfd_seal(fd), GW_OK);
	return fd;
}

static void corruption_is_found(void **state)
{
	uint8_t(*ix)[32] = make_indexes(N_KEYS, 0, 5);
	struct built b = build_keys(GW_IMAGE_KEYS0, ix, N_KEYS);
	struct corrupt_run *run = shared_page(sizeof(*run));
	unsigned n_digest = 0, n[N_OUTCOMES] = { 0 };
	uint64_t seed = 42;
	int fds[BATCH];

	(void)state;
	for (unsigned done = 0; done < TRIES; done += BATCH) {
		memset(run, 0, sizeof(*run)); /* CRASHED until told otherwise */
		for (unsigned i = 0; i < BATCH; i++) {
			bool is_found;

			fds[i] = corrupt_copy(&b, &seed, &is_found);
			n_digest += is_found;
		}
		while (atomic_load(&run->at) < BATCH) {
			int status;
			pid_t pid = fork();

			if (pid == 0)
				use_all(run, fds, b.size, ix);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				atomic_fetch_add(&run->at, 1);
		}
		for (unsigned i = 0; i < BATCH; i++) {
			n[atomic_load(&run->outcome[i])]++;
			close(fds[i]);
		}
	}
	print_message("%d corruptions: digest finds %u; used without looking at it: %u refused at open, %u at the "
		      "record, %u crash LMDB, %u hit nothing used, %u served wrong\n",
		      TRIES, n_digest, n[REFUSED], n[NOTICED], n[CRASHED], n[HARMLESS], n[WRONG]);
	assert_int_equal(n_digest, TRIES);
	assert_int_equal(n[WRONG], 0); /* the CRC of the record */
	assert_true(n[REFUSED] + n[NOTICED] > TRIES / 3);
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
		pid = fork();
		if (pid == 0) {
			struct built b;
			struct gw_image *im;
			struct gw_str v;
			uint8_t digest[32];
			uint32_t level;

			if (geteuid() == 0 && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corruption_is_found),
		cmocka_unit_test(sealed_means_sealed),
		cmocka_unit_test(only_sealed_and_whole_images_open),
		cmocka_unit_test(digest_is_of_the_whole),
		cmocka_unit_test(opens_in_a_locked_process),
	};

	if (gw_crypto_init() != GW_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
