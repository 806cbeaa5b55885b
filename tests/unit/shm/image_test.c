/* Images: what is put is found, in every shard and behind the delta; what the writer refuses; nothing is left behind by
 * swapping. The last test prints times. */
#include "tests/unit/shm/image_make.h"
#include <fcntl.h>
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"

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
	assert_int_equal(gw_image_walk(im, GW_DB_OBJECT,
				       GW_LIT("\003"
					      "00000990"),
				       count_rising, &walk),
			 GW_OK);
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
					       &set.image[GW_IMAGE_KEYS0 + s]),
				 GW_OK);
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
					      memcmp(changed[i], all[2][11], 32) ? GW_LIT("changed") : GW_NIL),
				 GW_OK);
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
	struct {
		struct gw_str key;
		enum gw_image_db db;
		enum gw_err err;
	} bad[] = {
		{ GW_LIT("a"), GW_DB_OBJECT, GW_E_INVALID }, /* does not rise */
		{ GW_LIT("b"), GW_DB_OBJECT, GW_E_INVALID }, /* equal */
		{ GW_NIL, GW_DB_OBJECT, GW_E_INVALID },
		{ GW_LIT("c"), GW_DB_KEY, GW_E_INVALID }, /* no such database here */
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

static double ms(uint64_t since)
{
	return (double)(gw_now_ns() - since) / 1e6;
}

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
			assert_int_equal(gw_image_get(im, GW_DB_KEY, gw_str((char *)ix[below(&seed, n)], 32), &v),
					 GW_OK);
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
		print_message(
		    "%6zu records: build, verify, seal %.1f ms (%.2f MB, digest %.1f ms of it), open %.3f ms, "
		    "get %.0f ns random, %.0f ns hot\n",
		    n, build_ms, (double)b.size / 1e6, digest_ms, open_ms, random_ns, hot_ns);
		gw_image_close(im);
		free(ix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_shards),        cmocka_unit_test(config_is_read_back),
		cmocka_unit_test(keys_over_shards),        cmocka_unit_test(the_writer_refuses),
		cmocka_unit_test(swapping_leaves_nothing), cmocka_unit_test(times),
	};

	if (gw_crypto_init() != GW_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
