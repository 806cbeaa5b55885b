#pragma once
/* A logger without its process: its own structs over real rings, in-flight tables and segment folders in a private folder, and a
 * worker that writes as worker/record_out.c does. A logger that "crashes" here loses its memory and its descriptors, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/record.h"
#include "lib/crypto.h"
#include "lib/segment_impl.h"
#include "lib/sys/clock.h"
#include "logger/logger.h"

enum { RING_BYTES = 1 << 20, MOST_RECORDS = 1 << 16 };
static char base_dir[64], run_dir[80], data_dir[80];
static struct gw_secret *key_secret;
static struct gw_signer *the_signer;
static uint8_t the_public_key[65];
static uint64_t seed = 42;

static inline uint64_t next_random(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int make_dirs(void **state)
{
	(void)state;
	snprintf(base_dir, sizeof base_dir, "/dev/shm/llmgw-test-XXXXXX");
	if (!mkdtemp(base_dir))
		return -1;
	snprintf(run_dir, sizeof run_dir, "%s/run", base_dir);
	snprintf(data_dir, sizeof data_dir, "%s/data", base_dir);
	return mkdir(run_dir, 0700) || mkdir(data_dir, 0700) ? -1 : 0;
}

static inline int drop_dirs(void **state)
{
	(void)state;
	return nftw(base_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int make_key(void **state)
{
	(void)state;
	if (gw_crypto_init() || gw_signer_make(&key_secret) || gw_signer_new(key_secret, &the_signer))
		return -1;
	gw_signer_public(the_signer, the_public_key);
	return 0;
}

static inline int drop_key(void **state)
{
	(void)state;
	gw_signer_free(the_signer);
	gw_secret_unref(key_secret);
	return 0;
}

/* --- the worker --- */
struct fake_worker {
	struct gw_ring_shared *ring;
	struct gw_ring_writer out;
	struct gw_inflight *inflight;
	struct gw_inflight_free free_list;
	struct gw_slot *page;
	uint32_t slot, epoch, n_requests;
};

static inline void worker_begin(struct fake_worker *w, uint32_t epoch)
{
	w->epoch = epoch;
	gw_ring_start(&w->out, w->ring, w->slot, epoch);
	gw_inflight_start(&w->free_list, w->inflight, epoch);
	gw_slot_start(w->page, (uint32_t)getpid(), epoch);
	atomic_store(&w->page->beat_ns, gw_now_ns());
}

static inline struct fake_worker *worker_new(uint32_t slot, uint32_t epoch)
{
	struct fake_worker *w = calloc(1, sizeof *w);

	assert_int_equal(gw_ring_make(run_dir, (int)slot, RING_BYTES), GW_OK);
	assert_int_equal(gw_inflight_make(run_dir, (int)slot), GW_OK);
	assert_int_equal(gw_slot_make(run_dir, (int)slot, &w->page), GW_OK);
	assert_int_equal(gw_ring_open(run_dir, (int)slot, &w->ring), GW_OK);
	assert_int_equal(gw_inflight_open(run_dir, (int)slot, &w->inflight), GW_OK);
	w->slot = slot;
	worker_begin(w, epoch);
	return w;
}

static inline void worker_free(struct fake_worker *w)
{
	struct gw_map a = { w->inflight, sizeof *w->inflight }, b = { w->page, sizeof *w->page };

	gw_ring_close(w->ring);
	gw_unmap(&a);
	gw_unmap(&b);
	free(w);
}

/* Request ids: slot, epoch, number. */
static inline void id_of(const struct fake_worker *w, uint32_t n, uint8_t id[16])
{
	memset(id, 0xa5, 16);
	memcpy(id, &w->slot, 4);
	memcpy(id + 4, &w->epoch, 4);
	memcpy(id + 8, &n, 4);
}

static inline uint64_t put_record(struct fake_worker *w, enum gw_rec_type type, const uint8_t id[16], int64_t cost)
{
	struct gw_record r = { .request_id = id,
			       .ts_start_us = gw_unix_us(),
			       .org = GW_LIT("acme"),
			       .key = GW_LIT("k1"),
			       .status = type == GW_REC_END ? 200 : 0,
			       .cost_nanousd = cost };
	struct gw_buf b;
	uint64_t seq = 0;

	gw_buf_init(&b, 65536);
	gw_record_pack(&r, type == GW_REC_START, &b);
	assert_int_equal(gw_ring_put(&w->out, type, gw_buf_view(&b), &seq), GW_OK);
	gw_buf_done(&b);
	return seq;
}

/* The three moments of a request's birth, in the worker's order; each may be the last one. */
enum birth { BIRTH_ENTRY, BIRTH_START, BIRTH_SEQ };
static inline int begin_request(struct fake_worker *w, enum birth how_far, uint8_t id[16])
{
	struct gw_record r = { .org = GW_LIT("acme"), .key = GW_LIT("k1"), .requested_model = GW_LIT("m") };
	struct gw_buf b;
	uint64_t seq;
	int i;

	id_of(w, ++w->n_requests, id);
	gw_buf_init(&b, 4096);
	gw_record_pack(&r, false, &b);
	i = gw_inflight_take(w->inflight, &w->free_list, w->epoch, id, gw_unix_us(), gw_buf_view(&b));
	gw_buf_done(&b);
	assert_true(i >= 0);
	if (how_far == BIRTH_ENTRY)
		return i;
	seq = put_record(w, GW_REC_START, id, 0);
	if (how_far == BIRTH_SEQ)
		w->inflight->entry[i].start_seq = seq;
	return i;
}

static inline void end_request(struct fake_worker *w, int i, const uint8_t id[16], int64_t cost, bool is_cleared)
{
	put_record(w, GW_REC_END, id, cost);
	if (is_cleared)
		gw_inflight_give(w->inflight, &w->free_list, i);
}

static inline void whole_request(struct fake_worker *w, int64_t cost)
{
	uint8_t id[16];
	int i = begin_request(w, BIRTH_SEQ, id);

	end_request(w, i, id, cost, true);
}

/* --- the logger --- */
static inline struct gw_logger *logger_new(void)
{
	struct gw_logger *l = calloc(1, sizeof *l);

	l->start.boot.runtime_dir = run_dir;
	l->start.boot.data_dir = data_dir;
	l->start.epoch = (uint32_t)(gw_now_ns() / 1000);
	l->signer = the_signer;
	memcpy(l->public_key, the_public_key, 65);
	gw_buf_init(&l->scratch, 1 << 20);
	gw_buf_init(&l->pack, 64 << 10);
	gw_lg_store_open(l);
	return l;
}

static inline void logger_crash(struct gw_logger *l)
{
	if (l->request.fd >= 0)
		close(l->request.fd);
	if (l->admin_file.fd >= 0)
		close(l->admin_file.fd);
	close(l->dir_fd);
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_lg_slot *s = &l->slots[i];
		struct gw_map a = { s->inflight, sizeof *s->inflight }, b = { s->page, sizeof *s->page };

		gw_ring_close(s->ring);
		if (s->inflight)
			gw_unmap(&a);
		if (s->page)
			gw_unmap(&b);
	}
	gw_buf_done(&l->request.frames);
	gw_buf_done(&l->admin_file.frames);
	gw_buf_done(&l->request.out);
	gw_buf_done(&l->admin_file.out);
	gw_buf_done(&l->scratch);
	gw_buf_done(&l->pack);
	free(l->ended_ids);
	free(l);
}

/* Ends as at a shutdown: everything durable, footers written. */
static inline void logger_end(struct gw_logger *l)
{
	gw_lg_poll_rings(l, true);
	assert_true(gw_lg_flush(l));
	assert_true(gw_lg_rings_empty(l));
	gw_lg_file_close(l, &l->request);
	gw_lg_file_close(l, &l->admin_file);
	logger_crash(l);
}

/* --- the trail --- */
struct trail_record {
	uint32_t slot, epoch, type;
	uint64_t seq;
	uint8_t id[16];
	bool is_synthetic;
	int64_t cost;
};
struct trail {
	struct trail_record *v;
	size_t n, n_files, n_closed, n_checkpoints, n_unsigned;
	int64_t spend;
	uint64_t span_records; /* of the spans in footers */
};

/* By segment number (two loggers may begin within one millisecond), then by name. */
static inline int by_no(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	int d = strcmp(x + strlen(x) - 12, y + strlen(y) - 12);

	return d ? d : strcmp(x, y);
}

static inline struct gw_str slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *p;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	p = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	return gw_str(p, (size_t)st.st_size);
}

/* Paths of a class's segments, oldest first; free each and the list. */
static inline char **segment_paths(const char *cls, size_t *n)
{
	char dir[128], prefix[32], **v = calloc(512, sizeof *v);
	DIR *d;

	snprintf(dir, sizeof dir, "%s/segments", data_dir);
	snprintf(prefix, sizeof prefix, "seg-%s-", cls);
	d = opendir(dir);
	assert_non_null(d);
	*n = 0;
	for (struct dirent *e; (e = readdir(d));) {
		size_t k = strlen(e->d_name);

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || strcmp(e->d_name + k - 4, ".lga") != 0)
			continue;
		v[*n] = malloc(strlen(dir) + k + 2);
		snprintf(v[*n], strlen(dir) + k + 2, "%s/%s", dir, e->d_name);
		assert_true(++*n < 512);
	}
	closedir(d);
	qsort(v, *n, sizeof *v, by_no);
	return v;
}

static inline void free_paths(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

/* Records that the footer's spans promise. */
static inline uint64_t footer_spans(struct gw_str payload)
{
	struct gw_mp r = gw_mp_reader(payload);
	uint32_t pairs = gw_mp_read_map(&r);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < pairs; i++) {
		if (gw_mp_read_u64(&r) != 3) {
			gw_mp_skip(&r);
			continue;
		}
		for (uint32_t n = gw_mp_read_arr(&r); n > 0; n--) {
			assert_int_equal(gw_mp_read_arr(&r), 4);
			gw_mp_read_u64(&r);
			gw_mp_read_u64(&r);
			uint64_t first = gw_mp_read_u64(&r);
			sum += gw_mp_read_u64(&r) - first + 1;
		}
	}
	assert_int_equal(r.err, GW_OK);
	return sum;
}

static inline void read_blocks(struct trail *t, struct gw_str bytes)
{
	size_t at = GW_SEG_HEADER_BYTES;
	struct seg_block b;

	while (at < bytes.n && !gw_seg_block_read(bytes, at, true, &b)) {
		if (b.kind == SEG_FOOTER)
			t->span_records += footer_spans(b.payload);
		at += b.total;
	}
}

/* Every segment of the class must verify by itself. */
static inline void trail_read(struct trail *t, const char *cls)
{
	size_t n;
	char **paths = segment_paths(cls, &n);

	*t = (struct trail){ .v = calloc(MOST_RECORDS, sizeof *t->v), .n_files = n };
	for (size_t i = 0; i < n; i++) {
		struct gw_str bytes = slurp(paths[i]);
		struct gw_seg_verdict v;
		struct gw_seg_reader r;
		struct gw_seg_record rec;

		gw_seg_verify(bytes, the_public_key, &v, NULL, NULL);
		if (v.err)
			fail_msg("%s: %s at %zu", paths[i], v.what, v.bad_offset);
		t->n_closed += v.is_closed;
		t->n_checkpoints += v.n_checkpoints;
		t->n_unsigned += v.n_unsigned;
		t->spend = (int64_t)((uint64_t)t->spend + (uint64_t)v.spend_nanousd);
		read_blocks(t, bytes);
		assert_int_equal(gw_seg_open(&r, bytes), GW_OK);
		while (gw_seg_next(&r, true, &rec)) {
			struct trail_record *x = &t->v[t->n++];
			struct gw_record q;

			assert_true(t->n < MOST_RECORDS);
			*x = (struct trail_record){ rec.slot, rec.epoch, rec.type, rec.seq, { 0 }, false, 0 };
			if (rec.type == GW_REC_ADMIN || gw_record_unpack(rec.body, &q))
				continue;
			if (q.request_id)
				memcpy(x->id, q.request_id, 16);
			x->is_synthetic = q.is_synthetic;
			x->cost = q.cost_nanousd;
		}
		free((void *)(uintptr_t)bytes.p);
	}
	free_paths(paths, n);
}

static inline void trail_done(struct trail *t)
{
	free(t->v);
}

/* Records first..last of (slot, epoch) are there exactly once each and in order, and no others of it. */
static inline void assert_exactly(const struct trail *t, uint32_t slot, uint32_t epoch, uint64_t last)
{
	uint64_t want = 1;

	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].slot != slot || t->v[i].epoch != epoch)
			continue;
		assert_int_equal(t->v[i].seq, want);
		want++;
	}
	assert_int_equal(want, last + 1);
}

static inline size_t count_ends(const struct trail *t, const uint8_t id[16], bool is_synthetic)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->v[i].type == GW_REC_END && memcmp(t->v[i].id, id, 16) == 0 &&
		     t->v[i].is_synthetic == is_synthetic;
	return n;
}
