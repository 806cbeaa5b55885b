/* audit verify: needs only the segment files and the public key; works on a copy on another machine. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/segment.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { LIVE_TRIES = 10, LIVE_WAIT_MS = 50 };

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
	uint64_t records, blocks, checkpoints, unsigned_, bad;
	const char *now;
	bool has_key, has_first; /* has_first: the oldest segment is number 1, nothing was retired */
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
	if (is_nothing ? t->n_hashes > 0 && !is_oldest : !is_oldest && !is_known_hash(t, r.info.prev_final_hash)) {
		cli_error("%s: does not continue a segment before it (one is missing, or the end of one was cut)",
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

static void check_all(struct trail *t, const char *dir)
{
	int cls = -1;

	qsort(t->v, t->n, sizeof t->v[0], by_no);
	for (size_t i = 0; i < t->n; i++) {
		bool is_oldest = t->v[i].cls != cls;

		if (is_oldest) {
			cls = t->v[i].cls;
			t->n_seen = 0;
			t->n_hashes = 0;
			t->has_first = t->v[i].no == 1;
		}
		check_file(t, dir, &t->v[i], is_oldest);
	}
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
	DIR *d = opendir(dir);
	if (!d) {
		cli_error("cannot open %s; name the folder with --dir", dir);
		return CLI_FAILED;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (!add_file(&t, e->d_name))
			break;
	closedir(d);
	check_all(&t, dir);
	printf("{\"segments\":%zu,\"blocks\":%llu,\"records\":%llu,\"checkpoints\":%llu,\"unsigned_checkpoints\":%llu,"
	       "\"signatures\":\"%s\",\"faults\":%llu}\n",
	       t.n, (unsigned long long)t.blocks, (unsigned long long)t.records, (unsigned long long)t.checkpoints,
	       (unsigned long long)t.unsigned_, t.has_key ? "checked" : "not checked", (unsigned long long)t.bad);
	if (!t.has_key)
		cli_note("Signatures were not checked: no public key (the gateway was not asked or did not answer); "
			 "give --public-key.");
	cli_note(t.bad ? "The trail is NOT intact." : "The trail is intact.");
	free(t.v);
	free(t.seen);
	free(t.hashes);
	return t.bad ? CLI_FAILED : CLI_OK;
}
