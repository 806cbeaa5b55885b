/* Building an image: a fresh LMDB environment in a sparse memfd, filled in key order, then cut to the pages in use,
 * read back through a read-only mapping, hashed and sealed. The writable mapping (MDB_WRITEMAP) makes the build one
 * copy per record; it is gone before the seal, which the kernel would refuse otherwise. */
#include "shm/image_write.h"
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "lib/text.h"
#include "shm/image_priv.h"

enum { MIN_MAP_BYTES = 16 << 20 };

struct gw_image_writer {
	enum gw_image_name name;
	int fd;
	enum gw_err err;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi[GW_DB_COUNT];
	uint64_t n[GW_DB_COUNT];
};

static enum gw_err open_env(struct gw_image_writer *w, size_t map_bytes)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC | MDB_WRITEMAP;
	char path[64];
	int rc = mdb_env_create(&w->env);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
	if (!rc)
		rc = mdb_env_set_maxdbs(w->env, GW_DB_COUNT);
	if (!rc)
		rc = mdb_env_set_mapsize(w->env, map_bytes);
	if (!rc)
		rc = mdb_env_open(w->env, path, flags, 0600);
	if (!rc)
		rc = mdb_txn_begin(w->env, NULL, 0, &w->txn);
	for (unsigned i = 0; !rc && i < GW_DB_COUNT; i++) {
		enum gw_image_db db = (enum gw_image_db)i;

		if (gw_image_has_db(w->name, db))
			rc = mdb_dbi_open(w->txn, gw_image_db_name(db), MDB_CREATE, &w->dbi[i]);
	}
	return gw_image_err(rc);
}

static void close_env(struct gw_image_writer *w)
{
	if (w->txn)
		mdb_txn_abort(w->txn);
	if (w->env)
		mdb_env_close(w->env);
	w->txn = NULL;
	w->env = NULL;
}

enum gw_err gw_image_write_start(enum gw_image_name name, size_t expected_bytes, struct gw_image_writer **out)
{
	struct gw_image_writer *w = calloc(1, sizeof(*w));
	/* Address space only: pages come when they are written. Four times covers page and branch overhead. */
	size_t map_bytes =
	    ((expected_bytes > SIZE_MAX / 8 ? SIZE_MAX / 8 : expected_bytes) * 4 + MIN_MAP_BYTES) & ~4095ULL;
	enum gw_err e;

	if (!w)
		return GW_E_NOMEM;
	w->name = name;
	e = gw_memfd(gw_image_text(name), 0, &w->fd);
	if (e) {
		free(w);
		return e;
	}
	e = open_env(w, map_bytes); /* LMDB makes the empty file as long as the map: sparse */
	if (e)
		gw_image_write_drop(w);
	else
		*out = w;
	return e;
}

static enum gw_err put(struct gw_image_writer *w, enum gw_image_db db, struct gw_str key, struct gw_str value)
{
	MDB_val k = { key.n, (void *)(uintptr_t)key.p }, v = { sizeof(uint32_t) + value.n, NULL };
	uint32_t crc = gw_crc32c(gw_crc32c(0, key.p, key.n), value.p, value.n);
	int rc = mdb_put(w->txn, w->dbi[db], &k, &v, MDB_APPEND | MDB_RESERVE);

	if (rc)
		return gw_image_err(rc);
	memcpy(v.mv_data, &crc, sizeof(crc));
	if (value.n)
		memcpy((char *)v.mv_data + sizeof(crc), value.p, value.n);
	return GW_OK;
}

enum gw_err gw_image_put(struct gw_image_writer *w, enum gw_image_db db, struct gw_str key, struct gw_str value)
{
	if (w->err)
		return w->err;
	if (!gw_image_has_db(w->name, db) || key.n == 0 || gw_str_cmp(key, gw_image_sentinel()) >= 0)
		w->err = GW_E_INVALID;
	else if (key.n > (size_t)mdb_env_get_maxkeysize(w->env) || value.n > UINT32_MAX / 2)
		w->err = GW_E_TOO_BIG;
	else
		w->err = put(w, db, key, value);
	w->n[db] += w->err == GW_OK;
	return w->err;
}

/* Sentinels, commit, and the file cut to the pages in use. */
static enum gw_err finish(struct gw_image_writer *w, uint64_t *size)
{
	MDB_envinfo info;
	MDB_stat st;
	enum gw_err e = w->err;

	for (unsigned i = 0; !e && i < GW_DB_COUNT; i++) {
		enum gw_image_db db = (enum gw_image_db)i;

		if (gw_image_has_db(w->name, db))
			e = put(w, db, gw_image_sentinel(), gw_str((const char *)&w->n[db], sizeof(w->n[db])));
	}
	if (!e) {
		e = gw_image_err(mdb_txn_commit(w->txn));
		w->txn = NULL;
	}
	if (!e)
		e = gw_image_err(mdb_env_info(w->env, &info));
	if (!e)
		e = gw_image_err(mdb_env_stat(w->env, &st));
	close_env(w);
	if (e)
		return e;
	*size = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
	return ftruncate(w->fd, (off_t)*size) == 0 ? GW_OK : GW_E_IO;
}

static bool count_one(void *ctx, struct gw_str key, struct gw_str value)
{
	(void)key;
	(void)value;
	++*(uint64_t *)ctx;
	return true;
}

/* Reads all of it as a worker will: every record's CRC, and as many as were put. */
static enum gw_err verify(const struct gw_image_writer *w, uint64_t size, uint8_t digest[32])
{
	struct gw_image *im;
	enum gw_err e;
	int fd = dup(w->fd);

	if (fd < 0)
		return GW_E_IO;
	e = gw_image_open_unsealed(fd, w->name, size, &im);
	if (e) {
		gw_close(&fd);
		return e;
	}
	for (unsigned i = 0; !e && i < GW_DB_COUNT; i++) {
		enum gw_image_db db = (enum gw_image_db)i;
		uint64_t n = 0;

		if (!gw_image_has_db(w->name, db))
			continue;
		e = gw_image_walk(im, db, GW_NIL, count_one, &n);
		if (!e && n != w->n[i])
			e = GW_E_CORRUPT;
	}
	if (!e)
		gw_image_digest(im, digest);
	gw_image_close(im);
	return e;
}

enum gw_err gw_image_write_end(struct gw_image_writer *w, int *fd, uint64_t *size, uint8_t digest[32])
{
	uint8_t hash[32];
	uint64_t bytes = 0;
	enum gw_err e = finish(w, &bytes);

	if (!e)
		e = verify(w, bytes, hash);
	if (!e)
		e = gw_memfd_seal(w->fd);
	if (!e) {
		*fd = w->fd;
		*size = bytes;
		memcpy(digest, hash, sizeof(hash));
		w->fd = -1;
	}
	gw_image_write_drop(w);
	return e;
}

void gw_image_write_drop(struct gw_image_writer *w)
{
	if (!w)
		return;
	close_env(w);
	gw_close(&w->fd);
	free(w);
}
