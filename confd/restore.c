/* `llmgw restore FILE`: a backup into an empty data folder, offline. The whole file is checked before anything is written, and the result
 * is opened with the root key before it is called done; what does not pass is taken away again. */
#include "confd/backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confd/open.h"
#include "lib/backup.h"
#include "lib/sys/boot.h"
#include "lib/sys/fd.h"
#include "lib/sys/role.h"

enum { BATCH = 2000, HASH_BYTES = 32 };

struct reader {
	struct gw_str all, rest; /* rest: records that are not read yet */
	uint64_t n_rows, n_files, generation, seq;
	char root_id[16];
	enum gw_table tables[64];
	size_t n_tables;
	struct gw_store *store;
	bool is_over;
};
struct record {
	char type;
	enum gw_table table;
	struct gw_str key, value; /* of a file: name and bytes */
};

static uint64_t le(struct gw_str s, size_t at, int bytes)
{
	uint64_t v = 0;

	for (int i = bytes - 1; i >= 0; i--)
		v = v << 8 | (uint8_t)s.p[at + (size_t)i];
	return v;
}

static enum gw_err bad(char why[512], const char *words)
{
	(void)snprintf(why, 512, "%s", words);
	return GW_E_CORRUPT;
}

static bool is_file_name(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_' || (c == '.' && i > 0)))
			return false;
	}
	return s.n > 0 && s.n < 96;
}

/* The next record; false at the end, or (r->rest not empty) at something broken. */
static bool next(struct reader *r, struct record *out)
{
	struct gw_str s = r->rest;

	if (s.n < 1)
		return false;
	*out = (struct record){ .type = s.p[0] };
	size_t head = s.p[0] == GW_BACKUP_ROW ? 10 : 11;

	if ((s.p[0] != GW_BACKUP_ROW && s.p[0] != GW_BACKUP_FILE) || s.n < head)
		return false;
	uint64_t n = s.p[0] == GW_BACKUP_ROW ? le(s, 2, 4) : le(s, 1, 2);
	uint64_t m = s.p[0] == GW_BACKUP_ROW ? le(s, 6, 4) : le(s, 3, 8);

	if (n > s.n - head || m > s.n - head - n)
		return false;
	out->key = gw_str(s.p + head, n);
	out->value = gw_str(s.p + head + n, m);
	if (s.p[0] == GW_BACKUP_ROW) {
		size_t table = (uint8_t)s.p[1];

		if (table >= r->n_tables || n == 0)
			return false;
		out->table = r->tables[table];
	} else if (!is_file_name(out->key)) {
		return false;
	}
	r->rest = gw_str_skip(s, head + n + m);
	return true;
}

static bool read_tables(struct reader *r, yyjson_val *list)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		int t = 0;

		while (t < GW_T_COUNT && !gw_str_eq(gw_json_str(v), gw_str_z(gw_store_table_name((enum gw_table)t))))
			t++;
		if (t == GW_T_COUNT || r->n_tables == sizeof(r->tables) / sizeof(r->tables[0]))
			return false; /* of a newer program */
		r->tables[r->n_tables++] = (enum gw_table)t;
	}
	return r->n_tables > 0;
}

static enum gw_err read_header(struct reader *r, char why[512])
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	struct gw_str s = r->all;
	uint64_t n = s.n >= 12 + HASH_BYTES + 1 ? le(s, 8, 4) : 0;

	if (!gw_str_has_prefix(s, GW_LIT(GW_BACKUP_MAGIC)) || n == 0 || n > GW_BACKUP_MAX_HEADER || n > s.n - 12 ||
	    gw_json_read(gw_str(s.p + 12, n), &gw_json_default_limits, &doc, &fault) != GW_OK)
		return bad(why, "this is not a backup of llmgw");
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct gw_str id = gw_json_str(yyjson_obj_get(root, "root_key_id"));

	r->generation = yyjson_get_uint(yyjson_obj_get(root, "generation"));
	r->seq = yyjson_get_uint(yyjson_obj_get(root, "change_seq"));
	(void)snprintf(r->root_id, sizeof(r->root_id), "%.*s", (int)(id.n < 15 ? id.n : 15), id.p != NULL ? id.p : "");
	bool ok = read_tables(r, yyjson_obj_get(root, "tables"));

	yyjson_doc_free(doc);
	r->rest = gw_str_skip(s, 12 + n);
	r->rest.n = r->rest.n > HASH_BYTES + 1 ? r->rest.n - HASH_BYTES - 1 : 0;
	return ok ? GW_OK : bad(why, "the backup was taken by a newer llmgw: restore it with that one");
}

/* The hash first, then the structure: nothing is believed that has not passed both. */
static enum gw_err check(struct reader *r, char why[512])
{
	uint8_t hash[32];
	struct record rec;
	enum gw_err e = read_header(r, why);

	if (e != GW_OK)
		return e;
	gw_sha256(gw_str(r->all.p, r->all.n - HASH_BYTES), hash);
	if (r->all.p[r->all.n - HASH_BYTES - 1] != GW_BACKUP_END ||
	    !gw_ct_eq(hash, r->all.p + r->all.n - HASH_BYTES, HASH_BYTES))
		return bad(why, "the backup is damaged or cut: its hash does not fit. Use another copy");
	struct gw_str begin = r->rest;

	while (next(r, &rec)) {
		r->n_rows += rec.type == GW_BACKUP_ROW;
		r->n_files += rec.type == GW_BACKUP_FILE;
	}
	if (r->rest.n > 0)
		return bad(
		    why,
		    "the backup holds something that this llmgw does not know. Restore it with the one it came from");
	r->rest = begin;
	return GW_OK;
}

static bool is_empty_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool is_empty = true;

	if (d == NULL)
		return true;
	while ((e = readdir(d)) != NULL)
		is_empty = is_empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
	closedir(d);
	return is_empty;
}

static enum gw_err write_segment(const char *data_dir, const struct record *rec)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/segments", data_dir);
	enum gw_err e = n > 0 && (size_t)n < sizeof(path) ? gw_private_dir(path) : GW_E_INVALID;

	n = snprintf(path, sizeof(path), "%s/segments/%.*s", data_dir, GW_FMT(rec->key));
	if (e != GW_OK || n < 0 || (size_t)n >= sizeof(path))
		return e != GW_OK ? e : GW_E_INVALID;
	return gw_write_file(AT_FDCWD, path, rec->value, 0600);
}

/* The next rows in one transaction. Files are written by the way: they are whole before the store is. */
struct batch {
	struct reader *r;
	const char *data_dir;
};

static enum gw_err put_batch(struct gw_txn *t, void *arg)
{
	struct batch *b = arg;
	struct gw_str begin = b->r->rest;
	struct record rec;
	enum gw_err e = GW_OK;

	for (int i = 0; i < BATCH && e == GW_OK; i++) {
		if (!next(b->r, &rec)) {
			b->r->is_over = true;
			break;
		}
		e = rec.type == GW_BACKUP_ROW ? gw_txn_put(t, rec.table, rec.key, rec.value)
					      : write_segment(b->data_dir, &rec);
	}
	if (e != GW_OK)
		b->r->rest = begin; /* tried again when the map has grown */
	return e;
}

static void take_away(const char *data_dir)
{
	static const char *const names[] = { "config/data.mdb", "config/lock.mdb", "config/owner.lock" };
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/segments", data_dir);
	DIR *d = n > 0 && (size_t)n < sizeof(path) ? opendir(path) : NULL;
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
	(void)rmdir(path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		n = snprintf(path, sizeof(path), "%s/%s", data_dir, names[i]);
		if (n > 0 && (size_t)n < sizeof(path))
			(void)unlink(path);
	}
	n = snprintf(path, sizeof(path), "%s/config", data_dir);
	if (n > 0 && (size_t)n < sizeof(path))
		(void)rmdir(path);
}

static enum gw_err write_store(struct reader *r, const char *data_dir, char why[512])
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%s/config", data_dir);
	struct gw_store_opts o = { .dir = dir };
	struct batch b = { r, data_dir };
	enum gw_err e = n > 0 && (size_t)n < sizeof(dir) ? gw_private_dir(data_dir) : GW_E_INVALID;

	if (e == GW_OK)
		e = gw_store_open(&o, &r->store);
	while (e == GW_OK && !r->is_over)
		e = gw_store_update(r->store, put_batch, &b);
	gw_store_close(r->store);
	if (e != GW_OK)
		(void)snprintf(why, 512, "cannot write %.300s: %s", data_dir, gw_err_info(e)->doc);
	return e;
}

/* As the gateway will open it: with the root key. */
static enum gw_err try_open(const struct reader *r, const struct gw_boot *boot, char why[512])
{
	struct gw_core_opts o = { .data_dir = boot->data_dir,
				  .root_key = boot->root_key,
				  .root_key_previous = boot->root_key_previous,
				  .drain_ms = boot->drain_timeout };
	struct gw_core core;
	char words[512] = "";
	bool is_first;
	enum gw_err e = gw_core_preload(&o, words);

	if (e == GW_OK)
		e = gw_core_open(&core, &o, &is_first, words);
	if (e == GW_OK)
		gw_core_close(&core);
	else
		(void)snprintf(why, 512, "%.380s. The backup needs the root key with the id %s", words, r->root_id);
	return e;
}

enum gw_err gw_restore(const char *file, const struct gw_boot *boot, char why[512])
{
	struct reader r = { .n_rows = 0 };
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	enum gw_err e = GW_E_IO;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		r.all = gw_str(mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0), (size_t)st.st_size);
		e = r.all.p == MAP_FAILED ? GW_E_IO : GW_OK;
	}
	gw_close(&fd);
	if (e != GW_OK) {
		(void)snprintf(why, 512, "cannot read %.400s", file);
		return e;
	}
	e = check(&r, why);
	if (e == GW_OK && !is_empty_dir(boot->data_dir)) {
		(void)snprintf(why, 512, "%.400s is not empty: a backup goes into a new data folder", boot->data_dir);
		e = GW_E_CONFLICT;
	} else if (e == GW_OK) {
		e = write_store(&r, boot->data_dir, why);
		if (e == GW_OK)
			e = try_open(&r, boot, why);
		if (e != GW_OK)
			take_away(boot->data_dir);
	}
	munmap((void *)(uintptr_t)r.all.p, r.all.n);
	if (e == GW_OK)
		(void)snprintf(why, 512, "restored generation %llu, change %llu: %llu rows, %llu segments, into %.200s",
			       (unsigned long long)r.generation, (unsigned long long)r.seq,
			       (unsigned long long)r.n_rows, (unsigned long long)r.n_files, boot->data_dir);
	return e;
}

/* argv: FILE, then boot options (--data-dir, --root-key). */
int gw_confd_restore_main(int argc, char **argv)
{
	struct gw_boot boot;
	const char *why_boot = "";
	char why[512] = "";

	if (argc < 2 || argv[1][0] == '-') {
		(void)fprintf(stderr, "usage: llmgw restore FILE --data-dir DIR [--root-key SOURCE]\n");
		return 2;
	}
	const char *file = argv[1];

	argv[1] = argv[0];
	if (gw_boot_read(argc - 1, argv + 1, &boot, &why_boot) != GW_OK || gw_crypto_init() != GW_OK) {
		(void)fprintf(stderr, "llmgw restore: %s\n", why_boot);
		return 2;
	}
	enum gw_err e = gw_restore(file, &boot, why);

	(void)fprintf(e == GW_OK ? stdout : stderr, "%s%s\n", e == GW_OK ? "" : "llmgw restore: ", why);
	return e == GW_OK ? 0 : 1;
}
