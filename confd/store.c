/* The live database over LMDB. Three things that LMDB leaves to its user are done here and nowhere else: checksums of
 * every value, growth of the map (which must happen while no transaction of this process is open, so readers in other
 * threads hold a read lock), and refusal of places where its locks or its mapping do not work (network file systems,
 * a second confd). */
#include "confd/store.h"
#include "confd/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/sys/fd.h"
#include "lib/text.h"

enum { FRAME_BYTES = 5, FRAME_VERSION = 1, MAX_READERS = 64 };
#ifdef GW_FAILPOINTS /* a store that grows within a test */
static const uint64_t DEFAULT_MAP = 1ull << 20, DEFAULT_MAX = 64ull << 30;
#else
static const uint64_t DEFAULT_MAP = 1ull << 30, DEFAULT_MAX = 64ull << 30;
#endif

struct gw_store {
	MDB_env *env;
	MDB_dbi table[GW_T_COUNT];
	int lock_fd; /* flock: one confd per data folder */
	uint64_t max_bytes;
	pthread_rwlock_t map_lock; /* held for reading by every read transaction */
	atomic_bool wants_grow, is_full;
};

static const char *const table_names[GW_T_COUNT] = { "object", "model",  "key",  "ref", "sealed", "keyring",
						     "change", "outbox", "meta", "row", "login",  "idem" };

const char *gw_store_table_name(enum gw_table t)
{
	return table_names[t];
}

static enum gw_err from_mdb(struct gw_store *s, int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return GW_OK;
	case MDB_NOTFOUND:
		return GW_E_NOT_FOUND;
	case MDB_MAP_FULL:
		atomic_store(&s->is_full, true);
		return GW_E_NO_SPACE;
	case MDB_TXN_FULL:
		return GW_E_TOO_BIG;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return GW_E_CORRUPT;
	case ENOSPC:
	case EDQUOT:
		return GW_E_NO_SPACE;
	case ENOMEM:
		return GW_E_NOMEM;
	default:
		return GW_E_IO;
	}
}

static MDB_val val(struct gw_str s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

/* --- opening --- */

/* Network and user-space file systems: neither locks nor shared mappings can be trusted there. */
static bool is_local_fs(const char *dir)
{
	static const long bad[] = { 0x6969 /* NFS */,      0x65735546 /* FUSE */, 0xff534d42 /* CIFS */,
				    0xfe534d42 /* SMB2 */, 0x517b /* SMB */,      0x01021997 /* 9p */ };
	struct statfs fs;

	if (statfs(dir, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if ((long)fs.f_type == bad[i])
			return false;
	}
	return true;
}

static enum gw_err take_lock(struct gw_store *s, const char *dir)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/owner.lock", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return GW_E_INVALID;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return gw_err_from_errno(errno);
	return flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0 ? GW_OK : GW_E_IN_USE;
}

static enum gw_err open_tables(struct gw_store *s)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	for (int i = 0; rc == 0 && i < GW_T_COUNT; i++)
		rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &s->table[i]);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return from_mdb(s, rc);
}

static enum gw_err open_env(struct gw_store *s, const struct gw_store_opts *o)
{
	uint64_t size = o->map_bytes ? o->map_bytes : DEFAULT_MAP;
	struct stat st;
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/data.mdb", o->dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return GW_E_INVALID;
	/* a store that has grown before begins with room to work in */
	while (stat(path, &st) == 0 && size < (uint64_t)st.st_size * 2 && size * 2 <= s->max_bytes)
		size *= 2;
	int rc = mdb_env_create(&s->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(s->env, size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, GW_T_COUNT);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(s->env, MAX_READERS);
	if (rc == 0)
		rc = mdb_env_open(s->env, o->dir, MDB_NOTLS, 0600);
	return rc == 0 ? open_tables(s) : from_mdb(s, rc);
}

enum gw_err gw_store_open(const struct gw_store_opts *o, struct gw_store **out)
{
	struct gw_store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return GW_E_NOMEM;
	s->lock_fd = -1;
	s->max_bytes = o->max_bytes ? o->max_bytes : DEFAULT_MAX;
	pthread_rwlock_init(&s->map_lock, NULL);
	enum gw_err e = gw_private_dir(o->dir);

	if (e == GW_OK && !is_local_fs(o->dir))
		e = GW_E_FORBIDDEN;
	if (e == GW_OK)
		e = take_lock(s, o->dir);
	if (e == GW_OK)
		e = open_env(s, o);
	if (e != GW_OK) {
		gw_store_close(s);
		return e;
	}
	gw_store_check_readers(s);
	*out = s;
	return GW_OK;
}

void gw_store_close(struct gw_store *s)
{
	if (s == NULL)
		return;
	if (s->env != NULL)
		mdb_env_close(s->env);
	gw_close(&s->lock_fd);
	pthread_rwlock_destroy(&s->map_lock);
	free(s);
}

/* --- transactions --- */

enum gw_err gw_txn_read(struct gw_store *s, struct gw_txn *t)
{
	MDB_txn *h;

	pthread_rwlock_rdlock(&s->map_lock);
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &h);

	if (rc != 0) {
		pthread_rwlock_unlock(&s->map_lock);
		return from_mdb(s, rc);
	}
	*t = (struct gw_txn){ .store = s, .handle = h };
	return GW_OK;
}

static enum gw_err begin_write(struct gw_store *s, MDB_txn *parent, struct gw_txn *t)
{
	MDB_txn *h;
	int rc = mdb_txn_begin(s->env, parent, 0, &h);

	if (rc != 0)
		return from_mdb(s, rc);
	*t = (struct gw_txn){ .store = s, .handle = h, .is_write = true, .is_child = parent != NULL };
	return GW_OK;
}

enum gw_err gw_txn_write(struct gw_store *s, struct gw_txn *t)
{
	return begin_write(s, NULL, t);
}

enum gw_err gw_txn_child(struct gw_txn *parent, struct gw_txn *t)
{
	GW_REQUIRE(parent->is_write && parent->handle != NULL);
	return begin_write(parent->store, parent->handle, t);
}

enum gw_err gw_txn_commit(struct gw_txn *t)
{
	GW_REQUIRE(t->handle != NULL && t->is_write);
	gw_failpoint("before-commit");
	int rc = mdb_txn_commit(t->handle);

	if (!t->is_child)
		gw_failpoint("after-commit");

	t->handle = NULL;
	return from_mdb(t->store, rc);
}

void gw_txn_abort(struct gw_txn *t)
{
	if (t->handle == NULL)
		return;
	mdb_txn_abort(t->handle);
	t->handle = NULL;
	if (!t->is_write)
		pthread_rwlock_unlock(&t->store->map_lock);
}

/* --- values --- */

static uint32_t crc_of(struct gw_str key, struct gw_str payload)
{
	return gw_crc32c(gw_crc32c(0, key.p, key.n), payload.p, payload.n);
}

static enum gw_err unframe(struct gw_str key, const MDB_val *v, struct gw_str *out)
{
	const uint8_t *p = v->mv_data;

	if (v->mv_size < FRAME_BYTES || p[0] != FRAME_VERSION)
		return GW_E_CORRUPT;
	uint32_t crc = (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
	struct gw_str payload = gw_str((const char *)p + FRAME_BYTES, v->mv_size - FRAME_BYTES);

	if (crc != crc_of(key, payload))
		return GW_E_CORRUPT;
	*out = payload;
	return GW_OK;
}

enum gw_err gw_txn_get(struct gw_txn *t, enum gw_table table, struct gw_str key, struct gw_str *value)
{
	MDB_val k = val(key), v;
	int rc = key.n == 0 ? MDB_NOTFOUND : mdb_get(t->handle, t->store->table[table], &k, &v);

	return rc == 0 ? unframe(key, &v, value) : from_mdb(t->store, rc);
}

enum gw_err gw_txn_put(struct gw_txn *t, enum gw_table table, struct gw_str key, struct gw_str value)
{
	MDB_val k = val(key), v = { value.n + FRAME_BYTES, NULL };
	int rc = mdb_put(t->handle, t->store->table[table], &k, &v, MDB_RESERVE);

	if (rc != 0)
		return rc == MDB_BAD_VALSIZE ? GW_E_TOO_BIG : from_mdb(t->store, rc);
	uint8_t *p = v.mv_data;
	uint32_t crc = crc_of(key, value);

	p[0] = FRAME_VERSION;
	for (int i = 0; i < 4; i++)
		p[1 + i] = (uint8_t)(crc >> (8 * i));
	if (value.n > 0)
		memcpy(p + FRAME_BYTES, value.p, value.n);
	return GW_OK;
}

enum gw_err gw_txn_del(struct gw_txn *t, enum gw_table table, struct gw_str key)
{
	MDB_val k = val(key);

	return from_mdb(t->store, mdb_del(t->handle, t->store->table[table], &k, NULL));
}

uint64_t gw_txn_count(struct gw_txn *t, enum gw_table table)
{
	MDB_stat st;

	return mdb_stat(t->handle, t->store->table[table], &st) == 0 ? st.ms_entries : 0;
}

uint64_t gw_txn_bytes(struct gw_txn *t, enum gw_table table)
{
	MDB_stat st;

	if (mdb_stat(t->handle, t->store->table[table], &st) != 0)
		return 0;
	return (uint64_t)st.ms_psize * (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages);
}

/* --- scans --- */

enum gw_err gw_scan_start(struct gw_scan *s, struct gw_txn *t, enum gw_table table, struct gw_str from,
			  bool is_backwards)
{
	MDB_cursor *c;
	int rc = mdb_cursor_open(t->handle, t->store->table[table], &c);

	if (rc != 0)
		return from_mdb(t->store, rc);
	*s = (struct gw_scan){ .txn = t, .cursor = c, .is_backwards = is_backwards, .from = from };
	return GW_OK;
}

static int first_step(struct gw_scan *s, MDB_val *k, MDB_val *v)
{
	if (s->from.n == 0)
		return mdb_cursor_get(s->cursor, k, v, s->is_backwards ? MDB_LAST : MDB_FIRST);
	*k = val(s->from);
	int rc = mdb_cursor_get(s->cursor, k, v, MDB_SET_RANGE);

	if (!s->is_backwards)
		return rc;
	return mdb_cursor_get(s->cursor, k, v, rc == 0 ? MDB_PREV : MDB_LAST);
}

bool gw_scan_next(struct gw_scan *s)
{
	MDB_val k = { 0, NULL }, v = { 0, NULL };
	int rc;

	if (s->cursor == NULL || s->err != GW_OK)
		return false;
	if (!s->is_started)
		rc = first_step(s, &k, &v);
	else
		rc = mdb_cursor_get(s->cursor, &k, &v, s->is_backwards ? MDB_PREV : MDB_NEXT);
	s->is_started = true;
	if (rc == MDB_NOTFOUND)
		return false;
	if (rc != 0) {
		s->err = from_mdb(s->txn->store, rc);
		return false;
	}
	s->key = gw_str(k.mv_data, k.mv_size);
	s->err = unframe(s->key, &v, &s->value);
	return s->err == GW_OK;
}

void gw_scan_end(struct gw_scan *s)
{
	if (s->cursor != NULL)
		mdb_cursor_close(s->cursor);
	s->cursor = NULL;
}

/* --- size --- */

bool gw_store_take_full(struct gw_store *s)
{
	return atomic_exchange(&s->is_full, false);
}

bool gw_store_wants_grow(const struct gw_store *s)
{
	return atomic_load(&s->wants_grow);
}

struct gw_store_size gw_store_size(struct gw_store *s)
{
	MDB_envinfo info;
	MDB_stat st;
	struct gw_store_size out = { .max_bytes = s->max_bytes };

	if (mdb_env_info(s->env, &info) == 0 && mdb_env_stat(s->env, &st) == 0) {
		out.map_bytes = info.me_mapsize;
		out.used_bytes = (uint64_t)st.ms_psize * (info.me_last_pgno + 1);
	}
	return out;
}

enum gw_err gw_store_grow(struct gw_store *s)
{
	uint64_t now = gw_store_size(s).map_bytes;

	if (now >= s->max_bytes)
		return GW_E_NO_SPACE;
	atomic_store(&s->wants_grow, true);
	pthread_rwlock_wrlock(&s->map_lock);
	int rc = mdb_env_set_mapsize(s->env, now * 2 < s->max_bytes ? now * 2 : s->max_bytes);

	gw_failpoint("set-mapsize");
	pthread_rwlock_unlock(&s->map_lock);
	atomic_store(&s->wants_grow, false);
	return from_mdb(s, rc);
}

void gw_store_check_readers(struct gw_store *s)
{
	int n_dead;

	(void)mdb_reader_check(s->env, &n_dead);
}

/* --- numbers in META --- */

enum gw_err gw_meta_u64(struct gw_txn *t, const char *name, uint64_t *out)
{
	struct gw_str v;
	enum gw_err e = gw_txn_get(t, GW_T_META, gw_str_z(name), &v);

	if (e == GW_E_NOT_FOUND) {
		*out = 0;
		return GW_OK;
	}
	if (e != GW_OK)
		return e;
	return gw_str_u64(v, out) ? GW_OK : GW_E_CORRUPT;
}

enum gw_err gw_meta_set_u64(struct gw_txn *t, const char *name, uint64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);

	return gw_txn_put(t, GW_T_META, gw_str_z(name), gw_str(text, (size_t)n));
}

enum gw_err gw_store_update(struct gw_store *s, gw_update_fn *fn, void *ctx)
{
	enum gw_err e;

	do {
		struct gw_txn t;

		(void)gw_store_take_full(s);
		e = gw_txn_write(s, &t);
		if (e != GW_OK)
			return e;
		e = fn(&t, ctx);
		if (e == GW_OK)
			e = gw_txn_commit(&t);
		gw_txn_abort(&t);
		if (e == GW_E_NO_SPACE && gw_store_take_full(s) && gw_store_grow(s) == GW_OK)
			e = GW_E_AGAIN;
	} while (e == GW_E_AGAIN);
	return e;
}
