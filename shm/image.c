/* Reading an image: an LMDB environment in a sealed memfd, opened through /proc/self/fd/N, one read transaction for its
 * life. LMDB has no checksums and trusts its pages, so three things stand before it: the seals (the bytes cannot change
 * or shrink under us), the digest (checked by whoever got the image from another process) and a CRC per record. */
#include "shm/image.h"
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/crypto.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "lib/text.h"
#include "shm/image_priv.h"

enum { CRC_BYTES = 4, MIN_BYTES = 2 * 4096, READ_BYTES = 65536, SUM_PAGE = 4096 };

struct gw_image {
	int fd;
	enum gw_image_name name;
	uint64_t size;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi[GW_DB_COUNT];
};

static const char *const db_names[GW_DB_COUNT] = { "object", "model", "meta", "key" };
static const char *const image_names[GW_IMAGE_COUNT] = {
	"config",  "delta",   "keys.00", "keys.01", "keys.02", "keys.03", "keys.04", "keys.05", "keys.06",
	"keys.07", "keys.08", "keys.09", "keys.10", "keys.11", "keys.12", "keys.13", "keys.14", "keys.15",
};
_Static_assert(GW_KEY_SHARDS == 16 && GW_IMAGE_KEYS0 == 2, "names are written out");

const char *gw_image_text(enum gw_image_name n)
{
	return (unsigned)n < GW_IMAGE_COUNT ? image_names[n] : "?";
}

bool gw_image_by_text(struct gw_str s, enum gw_image_name *out)
{
	for (unsigned i = 0; i < GW_IMAGE_COUNT; i++) {
		if (!gw_str_eq(s, gw_str_z(image_names[i])))
			continue;
		*out = (enum gw_image_name)i;
		return true;
	}
	return false;
}

const char *gw_image_db_name(enum gw_image_db db)
{
	return db_names[db];
}

bool gw_image_has_db(enum gw_image_name name, enum gw_image_db db)
{
	return (name == GW_IMAGE_CONFIG) != (db == GW_DB_KEY);
}

struct gw_str gw_image_sentinel(void)
{
	static const char key[] = "\xff\xff\xff\xff\xff\xff\xff\xff"
				  "\xff\xff\xff\xff\xff\xff\xff\xff"
				  "\xff\xff\xff\xff\xff\xff\xff\xff"
				  "\xff\xff\xff\xff\xff\xff\xff\xff"
				  "\xff\xff\xff\xff\xff\xff\xff\xff";

	_Static_assert(sizeof(key) - 1 == GW_IMAGE_SENTINEL_BYTES, "longer than any key index");
	return gw_str(key, sizeof(key) - 1);
}

enum gw_err gw_image_err(int code)
{
	switch (code) {
	case MDB_SUCCESS:
		return GW_OK;
	case MDB_NOTFOUND:
		return GW_E_NOT_FOUND;
	case MDB_KEYEXIST: /* MDB_APPEND: the key is not greater than the last */
		return GW_E_INVALID;
	case MDB_BAD_VALSIZE:
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return GW_E_TOO_BIG;
	default: /* errno, or one of LMDB's own words for a file that is none of its files */
		return code > 0 ? gw_err_from_errno(code) : GW_E_CORRUPT;
	}
}

/* The check that a record is what the builder wrote; *value becomes the part behind the CRC. */
static enum gw_err check_record(struct gw_str key, const MDB_val *v, struct gw_str *value)
{
	uint32_t want, have;

	if (v->mv_size < CRC_BYTES)
		return GW_E_CORRUPT;
	memcpy(&want, v->mv_data, CRC_BYTES);
	*value = gw_str((const char *)v->mv_data + CRC_BYTES, v->mv_size - CRC_BYTES);
	have = gw_crc32c(gw_crc32c(0, key.p, key.n), value->p, value->n);
	return have == want ? GW_OK : GW_E_CORRUPT;
}

static enum gw_err find(struct gw_image *im, enum gw_image_db db, struct gw_str key, struct gw_str *out)
{
	MDB_val k = { key.n, (void *)(uintptr_t)key.p }, v;
	int rc;

	if (!gw_image_has_db(im->name, db) || key.n == 0 || key.n > 511)
		return GW_E_NOT_FOUND;
	rc = mdb_get(im->txn, im->dbi[db], &k, &v);
	return rc ? gw_image_err(rc) : check_record(key, &v, out);
}

enum gw_err gw_image_count(struct gw_image *im, enum gw_image_db db, uint64_t *n)
{
	struct gw_str v = GW_NIL;
	enum gw_err e = find(im, db, gw_image_sentinel(), &v);

	if (e || v.n != sizeof(*n))
		return GW_E_CORRUPT;
	memcpy(n, v.p, sizeof(*n));
	return GW_OK;
}

/* The tree must lie inside the file: LMDB would map what its header claims, and reading past the end is a SIGBUS. */
static int check_extent(struct gw_image *im)
{
	MDB_envinfo info;
	MDB_stat st;
	int rc = mdb_env_info(im->env, &info);

	if (!rc)
		rc = mdb_env_stat(im->env, &st);
	if (!rc && (info.me_mapsize != im->size || info.me_last_pgno >= im->size / st.ms_psize))
		rc = MDB_INVALID;
	return rc;
}

static enum gw_err open_env(struct gw_image *im)
{
	char path[64];
	int rc = mdb_env_create(&im->env);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", im->fd);
	if (!rc)
		rc = mdb_env_set_maxdbs(im->env, GW_DB_COUNT);
	if (!rc)
		rc = mdb_env_set_mapsize(im->env, im->size);
	if (!rc)
		rc = mdb_env_open(im->env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR, 0);
	if (!rc)
		rc = check_extent(im);
	if (!rc)
		rc = mdb_txn_begin(im->env, NULL, MDB_RDONLY, &im->txn);
	for (unsigned db = 0; !rc && db < GW_DB_COUNT; db++) {
		if (gw_image_has_db(im->name, (enum gw_image_db)db))
			rc = mdb_dbi_open(im->txn, db_names[db], 0, &im->dbi[db]);
	}
	return rc == MDB_NOTFOUND ? GW_E_CORRUPT : gw_image_err(rc);
}

/* The sentinel of each database, and the number of records in it that LMDB counts too. */
static enum gw_err probe(struct gw_image *im)
{
	MDB_stat st;

	for (unsigned i = 0; i < GW_DB_COUNT; i++) {
		enum gw_image_db db = (enum gw_image_db)i;
		uint64_t n;

		if (!gw_image_has_db(im->name, db))
			continue;
		if (gw_image_count(im, db, &n) || mdb_stat(im->txn, im->dbi[db], &st) || st.ms_entries != n + 1)
			return GW_E_CORRUPT;
	}
	return GW_OK;
}

static void close_env(struct gw_image *im)
{
	if (im->txn)
		mdb_txn_abort(im->txn);
	if (im->env)
		mdb_env_close(im->env);
}

enum gw_err gw_image_open_unsealed(int fd, enum gw_image_name name, uint64_t size, struct gw_image **out)
{
	struct gw_image *im;
	enum gw_err e;

	if ((unsigned)name >= GW_IMAGE_COUNT || size < MIN_BYTES || size % 4096 || gw_fd_size(fd) != size)
		return GW_E_CORRUPT;
	im = calloc(1, sizeof(*im));
	if (!im)
		return GW_E_NOMEM;
	*im = (struct gw_image){ .fd = fd, .name = name, .size = size };
	e = open_env(im);
	if (!e)
		e = probe(im);
	if (e) {
		close_env(im);
		free(im);
		return e;
	}
	*out = im;
	return GW_OK;
}

enum gw_err gw_image_open(int fd, enum gw_image_name name, uint64_t size, struct gw_image **out)
{
	return gw_memfd_is_sealed(fd) ? gw_image_open_unsealed(fd, name, size, out) : GW_E_CORRUPT;
}

void gw_image_close(struct gw_image *im)
{
	if (!im)
		return;
	close_env(im);
	gw_close(&im->fd);
	free(im);
}

/* CRC-32C of each page, little endian, appended to `sums`. */
static size_t sum_pages(const uint8_t *piece, size_t n, uint8_t *sums)
{
	size_t used = 0;

	for (size_t at = 0; at < n; at += SUM_PAGE, used += 4) {
		uint32_t crc = gw_crc32c(0, piece + at, n - at < SUM_PAGE ? n - at : SUM_PAGE);

		for (int i = 0; i < 4; i++)
			sums[used + (size_t)i] = (uint8_t)(crc >> (8 * i));
	}
	return used;
}

/* SHA-256 over the pages' CRC-32C: fifty times faster than over the bytes, and this is against damage, not against an author (the
 * memfd is sealed and comes from confd by a private socket). By pread, not by the mapping: LMDB has it under MADV_RANDOM, and a
 * read cannot fault. */
void gw_image_fd_digest(int fd, uint64_t size, uint8_t out[32])
{
	struct gw_sha256_ctx c;
	uint8_t piece[READ_BYTES], sums[READ_BYTES / SUM_PAGE * 4];
	uint64_t at = 0;

	gw_sha256_start(&c);
	while (at < size) {
		uint64_t left = size - at;
		ssize_t n = pread(fd, piece, left < sizeof(piece) ? left : sizeof(piece), (off_t)at);

		if (n <= 0 || (n % SUM_PAGE && (uint64_t)n != left))
			break;
		gw_sha256_add(&c, sums, sum_pages(piece, (size_t)n, sums));
		at += (uint64_t)n;
	}
	gw_sha256_end(&c, out);
	if (at != size) /* what cannot be read matches nothing */
		memset(out, 0, 32);
}

void gw_image_digest(const struct gw_image *im, uint8_t out[32])
{
	gw_image_fd_digest(im->fd, im->size, out);
}

enum gw_err gw_image_get(struct gw_image *im, enum gw_image_db db, struct gw_str key, struct gw_str *out)
{
	struct gw_str v;
	enum gw_err e;

	if (gw_str_eq(key, gw_image_sentinel()))
		return GW_E_NOT_FOUND;
	e = find(im, db, key, &v);
	if (!e)
		*out = v;
	return e;
}

enum gw_err gw_image_walk(struct gw_image *im, enum gw_image_db db, struct gw_str from, gw_image_fn *fn, void *ctx)
{
	MDB_cursor *cur;
	MDB_val k = { from.n, (void *)(uintptr_t)from.p }, v;
	enum gw_err e = GW_OK;
	int rc;

	if (!gw_image_has_db(im->name, db))
		return GW_E_NOT_FOUND;
	rc = mdb_cursor_open(im->txn, im->dbi[db], &cur);
	if (rc)
		return gw_image_err(rc);
	for (rc = mdb_cursor_get(cur, &k, &v, from.n ? MDB_SET_RANGE : MDB_FIRST); !rc;
	     rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
		struct gw_str key = gw_str(k.mv_data, k.mv_size), value;

		if (gw_str_eq(key, gw_image_sentinel())) {
			rc = MDB_NOTFOUND;
			break;
		}
		e = check_record(key, &v, &value);
		if (e || !fn(ctx, key, value))
			break;
	}
	mdb_cursor_close(cur);
	return e ? e : rc == MDB_NOTFOUND ? GW_OK : gw_image_err(rc);
}

enum gw_err gw_image_key(const struct gw_image_set *set, const uint8_t index[32], struct gw_str *row)
{
	struct gw_image *delta = set->image[GW_IMAGE_DELTA], *shard = set->image[gw_image_shard(index)];
	struct gw_str key = gw_str((const char *)index, 32), v = GW_NIL;
	enum gw_err e = delta ? gw_image_get(delta, GW_DB_KEY, key, &v) : GW_E_NOT_FOUND;

	if (!e && v.n == 0)
		return GW_E_NOT_FOUND; /* tombstone */
	if (e == GW_E_NOT_FOUND && shard)
		e = gw_image_get(shard, GW_DB_KEY, key, &v);
	if (!e)
		*row = v;
	return e;
}
