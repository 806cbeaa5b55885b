/* audit verify: needs only the segment files, the tombstones of those that retention removed, and the public key; works on a copy on another
 * machine. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/segment_retired.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/text.h"

enum { LIVE_TRIES = 10, LIVE_WAIT_MS = 50, WHOLE_TRIES = 3 };

struct file {
	char name[96];
	uint64_t no;
	int cls;
};
struct seen {
	uint32_t slot, epoch;
	uint64_t last;
};
struct trail {
	struct file *v;
	size_t n, cap;
	uint8_t (*hashes)[32]; /* of every block so far: what a new writer's first segment may continue */
	size_t n_hashes, cap_hashes;
	struct seen *seen;
	size_t n_seen, cap_seen;
	uint64_t records, blocks, checkpoints, unsigned_, bad, retired, retired_records;
	const char *now;
	bool has_key, has_first; /* has_first: we know the trail from its number 1 on */
	bool has_vanished; /* a file was there and is not: retention has just removed it */
	struct gw_buf tombs; /* of the class at hand */
	uint8_t key[65];
};

static int by_no(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return x->cls != y->cls ? x->cls - y->cls : x->no < y->no ? -1 : x->no > y->no;
}

static bool add_file(struct trail *t, const char *name)
{
	size_t n = strlen(name);
	struct file f;

	if (n < 24 || n >= sizeof f.name || strncmp(name, "seg-", 4) != 0 || strcmp(name + n - 4, ".lga") != 0)
		return true;
	memcpy(f.name, name, n + 1);
	f.cls = strncmp(name, "seg-admin-", 10) == 0;
	if (!gw_str_u64(gw_str(name + n - 12, 8), &f.no))
		return true;
	if (t->n == t->cap) {
		struct file *v = realloc(t->v, (t->cap = t->cap ? t->cap * 2 : 64) * sizeof *v);

		if (!v)
			return false;
		t->v = v;
	}
	t->v[t->n++] = f;
	return true;
}

/* Sequences go on from file to file: 1..n for each (slot, epoch) of the class. */
static void on_span(void *ctx, const struct gw_seg_span *s)
{
	struct trail *t = ctx;

	for (size_t i = 0; i < t->n_seen; i++) {
		struct seen *k = &t->seen[i];

		if (k->slot != s->slot || k->epoch != s->epoch)
			continue;
		if (s->first_seq != k->last + 1) {
			cli_error("%s: records %llu to %llu of slot %u epoch %u are missing", t->now,
				  (unsigned long long)k->last + 1, (unsigned long long)s->first_seq - 1, s->slot,
				  s->epoch);
			t->bad++;
		}
		k->last = s->last_seq;
		return;
	}
	if (s->first_seq != 1 && t->has_first) {
		cli_error("%s: slot %u epoch %u begins with record %llu", t->now, s->slot, s->epoch,
			  (unsigned long long)s->first_seq);
		t->bad++;
	}
	if (t->n_seen == t->cap_seen) {
		struct seen *v = realloc(t->seen, (t->cap_seen = t->cap_seen ? t->cap_seen * 2 : 64) * sizeof *v);

		if (!v)
			return;
		t->seen = v;
	}
	t->seen[t->n_seen++] = (struct seen){ s->slot, s->epoch, s->last_seq };
}

static void note_hash(struct trail *t, const uint8_t hash[32])
{
	if (t->n_hashes && memcmp(t->hashes[t->n_hashes - 1], hash, 32) == 0)
		return;
	if (t->n_hashes == t->cap_hashes) {
		void *v = realloc(t->hashes, (t->cap_hashes = t->cap_hashes ? t->cap_hashes * 2 : 4096) * 32);

		if (!v)
			return;
		t->hashes = v;
	}
	memcpy(t->hashes[t->n_hashes++], hash, 32);
}

static bool is_known_hash(const struct trail *t, const uint8_t hash[32])
{
	for (size_t i = t->n_hashes; i-- > 0;)
		if (memcmp(t->hashes[i], hash, 32) == 0)
			return true;
	return false;
}

/* A segment continues one before it: the last block of its own writer, or, at a writer's first segment, any block that stood when it began
 * (two loggers write side by side during an upgrade). The very first continues nothing. */
static void check_link(struct trail *t, struct gw_str bytes, bool is_oldest)
{
	static const uint8_t zeros[32];
	struct gw_seg_reader r;
	struct gw_seg_record rec;

	if (gw_seg_open(&r, bytes) != GW_OK)
		return;
	bool is_nothing = memcmp(r.info.prev_final_hash, zeros, 32) == 0;
	if (is_nothing ? t->n_hashes > 0 && !is_oldest : !is_known_hash(t, r.info.prev_final_hash)) {
		cli_error(is_oldest && !t->n_hashes
			      ? "%s: the segments before it are missing, and no tombstone tells of them"
			      : "%s: does not continue a segment before it (one is missing, or the end of one was cut)",
			  t->now);
		t->bad++;
	}
	note_hash(t, r.hash);
	while (gw_seg_next(&r, false, &rec))
		note_hash(t, r.hash);
	note_hash(t, r.hash);
}

/* The gateway appends to the newest files while we read: a copy is taken, and taken again when its last block was only half there. */
bool cli_segment_read(int fd, const uint8_t *key, struct gw_str *bytes)
{
	bool is_live = flock(fd, LOCK_SH | LOCK_NB) != 0; /* its writer holds a lock */
	struct gw_seg_verdict v;
	struct stat st;

	for (int tries = 0;; tries++) {
		size_t n = 0;
		ssize_t k;
		char *p;

		if (fstat(fd, &st) != 0 || st.st_size == 0 || !(p = malloc((size_t)st.st_size)))
			return false;
		while (n < (size_t)st.st_size && (k = pread(fd, p + n, (size_t)st.st_size - n, (off_t)n)) > 0)
			n += (size_t)k;
		*bytes = gw_str(p, n);
		if (!is_live || tries == LIVE_TRIES)
			return true;
		gw_seg_verify(*bytes, key, &v, NULL, NULL);
		if (!v.err)
			return true;
		free(p);
		gw_sleep_ms(LIVE_WAIT_MS);
	}
}

static void check_file(struct trail *t, const char *dir, const struct file *f, bool is_oldest)
{
	struct gw_seg_verdict v;
	struct gw_str bytes;
	char path[4400];

	snprintf(path, sizeof path, "%s/%s", dir, f->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	t->has_vanished |= fd < 0 && errno == ENOENT;
	bool ok = fd >= 0 && cli_segment_read(fd, t->has_key ? t->key : NULL, &bytes);
	if (fd >= 0)
		close(fd);
	if (!ok) {
		cli_error("%s: cannot be read", f->name);
		t->bad++;
		return;
	}
	t->now = f->name;
	gw_seg_verify(bytes, t->has_key ? t->key : NULL, &v, on_span, t);
	t->records += v.n_records;
	t->blocks += v.n_blocks;
	t->checkpoints += v.n_checkpoints;
	t->unsigned_ += v.n_unsigned;
	if (v.err) {
		cli_error("%s: %s at byte %zu, block %llu", f->name, v.what, v.bad_offset,
			  (unsigned long long)v.bad_block);
		t->bad++;
	}
	check_link(t, bytes, is_oldest);
	note_hash(t, v.final_hash);
	free((void *)(uintptr_t)bytes.p);
}

static int find_key(struct cli *c, struct trail *t)
{
	struct cli_reply r;
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (c->o.public_key) {
		t->has_key = gw_hex_read(gw_str_z(c->o.public_key), t->key, 65);
		if (!t->has_key)
			cli_error("--public-key: 130 hex digits");
		return t->has_key ? CLI_OK : CLI_USAGE;
	}
	if (c->o.dir || cli_call(c, "GET", GW_LIT("/admin/v1/audit/key"), GW_NIL, GW_NIL, NULL, &r) != CLI_OK)
		return CLI_OK;
	if (r.status == 200 && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		t->has_key =
		    gw_hex_read(gw_json_str(yyjson_obj_get(yyjson_doc_get_root(doc), "public_key")), t->key, 65);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	return CLI_OK;
}

/* --- tombstones --- */
static void walk_over(struct trail *t, struct gw_retired *one)
{
	static const uint8_t zeros[32];
	bool is_first = memcmp(one->prev_hash, zeros, 32) == 0;
	struct gw_seg_span s;

	if (is_first)
		t->has_first = true;
	if (is_first ? t->n_hashes > 0 : !is_known_hash(t, one->prev_hash)) {
		cli_error("%s: the tombstone of segment %llu does not continue one before it", t->now,
			  (unsigned long long)one->first_no);
		t->bad++;
	}
	for (uint32_t i = 0; i < one->n_links; i++) {
		const uint8_t *h = gw_retired_link(&one->links);

		if (h)
			note_hash(t, h);
	}
	note_hash(t, one->final_hash);
	for (uint32_t i = 0; i < one->n_spans && gw_retired_span(&one->spans, &s); i++)
		on_span(t, &s);
	t->retired += one->n_segments;
	t->retired_records += one->n_records;
}

/* What retention removed: its records are gone, its hashes and sequences are not. */
static void check_tombstones(struct trail *t, const char *dir, enum gw_seg_class cls)
{
	struct gw_retired_reader r;
	struct gw_retired one;
	const char *what = "cannot be read";
	char path[4400];

	gw_buf_clear(&t->tombs, GW_RETIRED_BYTES);
	snprintf(path, sizeof path, "%s/%s", dir, gw_retired_file(cls));
	enum gw_err e = gw_read_file(AT_FDCWD, path, &t->tombs);
	if (e == GW_E_NOT_FOUND)
		return;
	t->now = gw_retired_file(cls);
	if (!e)
		e = gw_retired_open(&r, gw_buf_view(&t->tombs), cls, t->has_key ? t->key : NULL, &what);
	if (e) {
		cli_error("%s: %s", t->now, what);
		t->bad++;
		gw_buf_clear(&t->tombs, 0);
		return;
	}
	while (gw_retired_next(&r, &one))
		walk_over(t, &one);
}

/* A file whose tombstone stands: a copy put back, or the gateway died before it removed it. It must be what the tombstone says. */
static bool is_retired(struct trail *t, const struct file *f, const char *dir)
{
	enum gw_seg_class cls = f->cls ? GW_SEG_ADMIN : GW_SEG_REQUEST;
	struct gw_retired_reader r;
	struct gw_retired one;
	struct gw_seg_verdict v;
	struct gw_str bytes;
	const char *what;
	char path[4400];

	if (!t->tombs.n || gw_retired_open(&r, gw_buf_view(&t->tombs), cls, NULL, &what))
		return false;
	while (gw_retired_next(&r, &one)) {
		if (!gw_str_eq(one.name, gw_str_z(f->name)))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, f->name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		bool ok = fd >= 0 && cli_segment_read(fd, NULL, &bytes);

		gw_close(&fd);
		if (ok) {
			gw_seg_verify(bytes, t->has_key ? t->key : NULL, &v, NULL, NULL);
			ok = !v.err && memcmp(v.final_hash, one.final_hash, 32) == 0;
			free((void *)(uintptr_t)bytes.p);
		}
		if (ok)
			cli_note("%s has a tombstone and is still there; the gateway removes it.", f->name);
		else
			cli_error("%s: is not the segment that its tombstone tells of", f->name);
		t->bad += !ok;
		return true;
	}
	return false;
}

static void begin_class(struct trail *t, const char *dir, int cls)
{
	t->n_seen = 0;
	t->n_hashes = 0;
	t->has_first = false;
	check_tombstones(t, dir, cls ? GW_SEG_ADMIN : GW_SEG_REQUEST);
}

static void check_all(struct trail *t, const char *dir)
{
	size_t i = 0;

	if (t->n)
		qsort(t->v, t->n, sizeof t->v[0], by_no);
	for (int cls = 0; cls < 2; cls++) {
		bool is_oldest = true;

		begin_class(t, dir, cls);
		for (; i < t->n && t->v[i].cls == cls && !t->has_vanished; i++) {
			if (is_retired(t, &t->v[i], dir))
				continue;
			t->has_first |= is_oldest && t->v[i].no == 1;
			check_file(t, dir, &t->v[i], is_oldest && !t->n_hashes);
			is_oldest = false;
		}
	}
}

/* From the list of files on. False: the folder cannot be opened. */
static bool check_folder(struct trail *t, const char *dir)
{
	DIR *d = opendir(dir);

	if (!d)
		return false;
	t->n = 0;
	t->records = t->blocks = t->checkpoints = t->unsigned_ = t->bad = t->retired = t->retired_records = 0;
	t->has_vanished = false;
	for (struct dirent *e; (e = readdir(d));)
		if (!add_file(t, e->d_name))
			break;
	closedir(d);
	check_all(t, dir);
	return true;
}

static void print_verdict(const struct trail *t)
{
	printf("{\"segments\":%zu,\"blocks\":%llu,\"records\":%llu,\"checkpoints\":%llu,\"unsigned_checkpoints\":%llu,"
	       "\"signatures\":\"%s\",\"faults\":%llu,\"retired_segments\":%llu,\"retired_records\":%llu}\n",
	       t->n, (unsigned long long)t->blocks, (unsigned long long)t->records, (unsigned long long)t->checkpoints,
	       (unsigned long long)t->unsigned_, t->has_key ? "checked" : "not checked", (unsigned long long)t->bad,
	       (unsigned long long)t->retired, (unsigned long long)t->retired_records);
	if (!t->has_key)
		cli_note("Signatures were not checked: no public key (the gateway was not asked or did not answer); "
			 "give --public-key.");
	if (t->retired)
		cli_note("%llu older segments were removed by retention; their tombstones carry the chain.",
			 (unsigned long long)t->retired);
	cli_note(t->bad ? "The trail is NOT intact." : "The trail is intact.");
}

int cli_cmd_audit_verify(struct cli *c)
{
	char path[4200];
	const char *dir = c->o.dir;
	struct trail t = { 0 };
	int rc = find_key(c, &t);

	if (rc)
		return rc;
	if (!dir) {
		snprintf(path, sizeof path, "%s/segments", cli_data_dir(c));
		dir = path;
	}
	gw_buf_init(&t.tombs, GW_RETIRED_BYTES);
	for (int tries = 0; tries == 0 || (t.has_vanished && tries < WHOLE_TRIES); tries++)
		if (!check_folder(&t, dir)) {
			cli_error("cannot open %s; name the folder with --dir", dir);
			return CLI_FAILED;
		}
	print_verdict(&t);
	gw_buf_done(&t.tombs);
	free(t.v);
	free(t.seen);
	free(t.hashes);
	return t.bad ? CLI_FAILED : CLI_OK;
}
