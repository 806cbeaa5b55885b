#pragma once
/* Images made for tests: keys whose rows can be checked from the key alone, and a config image. */
#include "tests/unit/shm/shm_test.h"
#include "shm/image_write.h"

enum { ROW = 240 };

struct built {
	int fd;
	uint64_t size;
	uint8_t digest[32];
};

static inline int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

/* n random indexes, sorted; the first nibble-and-more belongs to `shard` when >= 0. */
static inline uint8_t (*make_indexes(size_t n, int shard, uint64_t seed))[32]
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
static inline struct gw_str row_of(const uint8_t ix[32], char out[ROW + 64])
{
	size_t n = ROW + ix[31] % 60;
	uint64_t seed;

	memcpy(&seed, ix + 8, 8);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(seed >> (i % 8 * 8)) ^ (char)i;
	return gw_str(out, n);
}

static inline struct built build_keys(enum gw_image_name name, uint8_t (*ix)[32], size_t n)
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

static inline struct built build_config(unsigned n_models)
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
		assert_int_equal(
		    gw_image_put(w, GW_DB_OBJECT, gw_str(key, (size_t)n), gw_str(value, i % 100 ? 300 : sizeof(value))),
		    GW_OK);
	}
	for (unsigned i = 0; i < n_models; i++) {
		int n = snprintf(key, sizeof(key), "o:acme\x1fmodel-%08u", i);

		assert_int_equal(gw_image_put(w, GW_DB_MODEL, gw_str(key, (size_t)n), gw_str(key + 13, 8)), GW_OK);
	}
	assert_int_equal(gw_image_write_end(w, &b.fd, &b.size, b.digest), GW_OK);
	return b;
}

struct walk {
	uint64_t n, stop_at;
	char last[64];
	size_t last_n;
	bool is_rising;
};

static inline bool count_rising(void *ctx, struct gw_str key, struct gw_str value)
{
	struct walk *w = ctx;

	(void)value;
	w->is_rising = w->n == 0 || gw_str_cmp(gw_str(w->last, w->last_n), key) < 0;
	memcpy(w->last, key.p, key.n);
	w->last_n = key.n;
	return ++w->n != w->stop_at && w->is_rising;
}
