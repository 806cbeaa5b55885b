/* Segment files: taking stock of what an earlier logger left, opening new ones, rotation, a full disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/record.h"
#include "lib/segment_impl.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "logger/logger.h"

/* SLACK: zeros that stay behind the end of a file, for readers that have it mapped and look whether another block follows. */
enum { SLACK = 4096, SEGMENT_BYTES = 64 << 20, RESERVE_BYTES = 64 << 20, KEY_WAIT_MS = 3000 };
#define SEGMENT_AGE_US (3600LL * 1000000)

static const char *class_name(enum gw_seg_class c)
{
	return c == GW_SEG_REQUEST ? "request" : "admin";
}

/* --- what is there --- */
static int by_no(const void *a, const void *b)
{
	const struct gw_lg_found *x = a, *y = b;

	return x->no != y->no ? (x->no < y->no ? -1 : 1)
			      : strcmp(x->name, y->name); /* time of making comes first in it */
}

/* "seg-request-1700000000000-0a1b2c3d-00000007.lga" */
static bool read_name(const char *name, struct gw_lg_found *f)
{
	size_t n = strlen(name);

	if (n < 24 || n >= sizeof f->name || strcmp(name + n - 4, ".lga") != 0 || strncmp(name, "seg-", 4) != 0)
		return false;
	f->cls = strncmp(name + 4, "request-", 8) == 0 ? GW_SEG_REQUEST : GW_SEG_ADMIN;
	memcpy(f->name, name, n + 1);
	return gw_str_u64(gw_str(name + n - 12, 8), &f->no);
}

struct gw_lg_found *gw_lg_list(int dir_fd, size_t *n)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct gw_lg_found *v = NULL, f;
	size_t cap = 0;

	*n = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!read_name(e->d_name, &f))
			continue;
		if (*n == cap) {
			struct gw_lg_found *bigger = realloc(v, (cap = cap ? cap * 2 : 64) * sizeof *v);

			if (!bigger)
				gw_role_fatal("out of memory while listing segments");
			v = bigger;
		}
		v[(*n)++] = f;
	}
	if (d)
		closedir(d);
	if (*n)
		qsort(v, *n, sizeof *v, by_no);
	return v;
}

static void raise_mark(struct gw_logger *l, const struct gw_seg_record *rec)
{
	if (rec->slot < GW_MAX_SLOTS) {
		gw_lg_note(&l->slots[rec->slot], rec, NULL);
	} else if (rec->slot == GW_LG_SLOT_CONFD && rec->seq > l->confd_seq) {
		l->confd_seq = rec->seq;
	}
}

static void note_synthetic(struct gw_logger *l, const struct gw_seg_record *rec)
{
	struct gw_record_peek r;

	if (rec->type != GW_REC_END || gw_record_peek(rec->body, &r) || !r.is_synthetic || !r.request_id)
		return;
	if (l->n_ended_ids < GW_LG_IDS)
		memcpy(l->ended_ids[l->n_ended_ids++], r.request_id, 16);
}

bool gw_lg_is_written_by_another(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) != 0;
}

/* The file in memory of its own: a mapping would fault when the writer of a live file cuts it to size. */
static char *read_all(int fd, size_t *n)
{
	struct stat st;
	char *p;
	ssize_t k;

	*n = 0;
	if (fstat(fd, &st) != 0 || st.st_size < GW_SEG_HEADER_BYTES || !(p = malloc((size_t)st.st_size)))
		return NULL;
	while (*n < (size_t)st.st_size && (k = pread(fd, p + *n, (size_t)st.st_size - *n, (off_t)*n)) > 0)
		*n += (size_t)k;
	return p;
}

/* The file ends here: what may be behind is gone. Readers never see it shorter than what they look at. */
static bool cut_to(int fd, uint64_t end)
{
	static const char zeros[SLACK];

	if (pwrite(fd, zeros, SLACK, (off_t)end) != SLACK)
		return ftruncate(fd, (off_t)end) == 0;
	return ftruncate(fd, (off_t)(end + SLACK)) == 0;
}

/* All records of the good part: marks, and the chain's end into file. */
static void read_records(struct gw_logger *l, struct gw_str good, struct gw_lg_file *file)
{
	struct gw_seg_reader r;
	struct gw_seg_record rec;

	if (!good.n || gw_seg_open(&r, good) != GW_OK)
		return;
	while (gw_seg_next(&r, false, &rec)) {
		raise_mark(l, &rec);
		note_synthetic(l, &rec);
	}
	memcpy(file->prev_hash, r.hash, 32);
}

/* Reads one file: marks, the chain's end; cuts a torn tail. */
static void take_stock(struct gw_logger *l, const struct gw_lg_found *f, struct gw_lg_file *file)
{
	int fd = openat(l->dir_fd, f->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool is_tampered = false, is_live;
	size_t n, good;
	char *p;

	if (fd < 0)
		return;
	is_live = gw_lg_is_written_by_another(fd); /* first: what is read after it is whole when nobody writes */
	p = read_all(fd, &n);
	good = p ? gw_seg_good_bytes(gw_str(p, n), &is_tampered) : 0;
	if (is_tampered)
		gw_log(GW_ERROR,
		       "segment %s is damaged before its last checkpoint: left as it is, run `llmgwctl audit verify`",
		       f->name);
	read_records(l, gw_str(p, good), file);
	if (good && !is_live && !is_tampered && !(n <= good + SLACK && gw_seg_is_zero(gw_str(p + good, n - good))) &&
	    !cut_to(fd, good))
		gw_log(GW_WARN, "cannot cut the tail of %s: %s", f->name, strerror(errno));
	free(p);
	gw_close(&fd);
}

/* The last files of a class say what is durable: a few, because the newest may have begun just before the end and two loggers may have
 * written side by side. */
static void take_stock_of(struct gw_logger *l, const struct gw_lg_found *v, size_t n, struct gw_lg_file *file)
{
	size_t last = n, taken = 0;

	for (size_t i = n; i-- > 0 && taken < GW_LG_STOCK_FILES;) {
		if (v[i].cls != file->cls)
			continue;
		last = i;
		taken++;
	}
	for (size_t i = last; i < n; i++) {
		if (v[i].cls != file->cls)
			continue;
		take_stock(l, &v[i], file);
		file->segment_no = v[i].no;
	}
}

void gw_lg_store_look_again(struct gw_logger *l)
{
	struct gw_lg_file request = { .cls = GW_SEG_REQUEST }; /* our own chains stay as they are */
	size_t n;
	struct gw_lg_found *v = gw_lg_list(l->dir_fd, &n);

	take_stock_of(l, v, n, &request);
	free(v);
}

/* Segments that were being made when their logger died: no record is in them. */
static void remove_unborn(const struct gw_logger *l)
{
	int fd = openat(l->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), f;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	for (struct dirent *e; d && (e = readdir(d));) {
		size_t n = strlen(e->d_name);

		if (n < 8 || strncmp(e->d_name, "seg-", 4) != 0 || strcmp(e->d_name + n - 4, ".new") != 0)
			continue;
		f = openat(l->dir_fd, e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (f >= 0 && !gw_lg_is_written_by_another(f))
			unlinkat(l->dir_fd, e->d_name, 0);
		gw_close(&f);
	}
	if (d)
		closedir(d);
}

static void read_node_id(struct gw_logger *l)
{
	struct gw_buf b;

	gw_buf_init(&b, 256);
	if (gw_read_file(l->dir_fd, "node.id", &b) == GW_OK && b.n == 16) {
		memcpy(l->node, b.p, 16);
	} else {
		gw_random(l->node, 16);
		if (gw_write_file(l->dir_fd, "node.id", gw_str((char *)l->node, 16), 0600))
			gw_role_fatal("cannot write in the segment folder");
	}
	gw_buf_done(&b);
}

/* Space that is given up when the disk is full, so that what is under way can still be recorded. */
bool gw_lg_make_reserve(int dir_fd)
{
	int fd = openat(dir_fd, "reserve", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && posix_fallocate(fd, 0, RESERVE_BYTES) == 0;

	if (fd >= 0 && !ok)
		unlinkat(dir_fd, "reserve", 0);
	gw_close(&fd);
	return ok;
}

void gw_lg_release_reserve(struct gw_logger *l)
{
	if (!l->has_reserve)
		return;
	l->has_reserve = false;
	unlinkat(l->dir_fd, "reserve", 0);
	gw_log(GW_ERROR, "the disk is full: the reserve of 64 MiB is released, make room in the data folder");
}

void gw_lg_store_open(struct gw_logger *l)
{
	char path[512];
	size_t n;

	snprintf(path, sizeof path, "%s/segments", l->start.boot.data_dir);
	if (gw_private_dir(path) || (l->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		gw_role_fatal("cannot open %s", path);
	read_node_id(l);
	gw_random(l->writer, 16);
	l->ended_ids = calloc(GW_LG_IDS, 16);
	if (!l->ended_ids)
		gw_role_fatal("out of memory");
	l->request = (struct gw_lg_file){ .cls = GW_SEG_REQUEST, .fd = -1 };
	l->admin_file = (struct gw_lg_file){ .cls = GW_SEG_ADMIN, .fd = -1 };
	gw_buf_init(&l->request.frames, GW_SEG_MAX_BLOCK);
	gw_buf_init(&l->admin_file.frames, GW_SEG_MAX_BLOCK);
	gw_buf_init(&l->request.out, 64 << 20);
	gw_buf_init(&l->admin_file.out, 64 << 20);
	struct gw_lg_found *v = gw_lg_list(l->dir_fd, &n);
	take_stock_of(l, v, n, &l->request);
	take_stock_of(l, v, n, &l->admin_file);
	free(v);
	remove_unborn(l);
	l->has_reserve = gw_lg_make_reserve(l->dir_fd);
}

/* --- files --- */
/* Room for the whole segment and its header, durable, under a name that readers do not look at. */
static enum gw_err begin_file(struct gw_logger *l, const char *name, struct gw_str header, int *out)
{
	int fd = openat(l->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), err;

	if (fd < 0)
		return gw_err_from_errno(errno);
	err = gw_lg_is_written_by_another(fd) ? EAGAIN : posix_fallocate(fd, 0, SEGMENT_BYTES);
	errno = 0;
	if (!err && (pwrite(fd, header.p, header.n, 0) != (ssize_t)header.n || fdatasync(fd) != 0))
		err = errno ? errno : EIO;
	if (err) {
		unlinkat(l->dir_fd, name, 0);
		gw_close(&fd);
		return gw_err_from_errno(err);
	}
	*out = fd;
	return GW_OK;
}

/* The file gets its name when its header is on the disk: a segment without one would look like tampering. */
static enum gw_err make_file(struct gw_logger *l, struct gw_lg_file *f)
{
	char name[96], unborn[104];
	int64_t now = gw_unix_us();
	struct gw_seg_info info = { .cls = f->cls, .segment_no = f->segment_no + 1, .created_us = now };
	struct gw_seg_writer chain;
	int fd;

	snprintf(name, sizeof name, "seg-%s-%013lld-%02x%02x%02x%02x-%08llu.lga", class_name(f->cls),
		 (long long)(now / 1000), l->writer[0], l->writer[1], l->writer[2], l->writer[3],
		 (unsigned long long)info.segment_no);
	snprintf(unborn, sizeof unborn, "%s.new", name);
	memcpy(info.node, l->node, 16);
	memcpy(info.writer, l->writer, 16);
	memcpy(info.prev_final_hash, f->prev_hash, 32);
	memcpy(info.public_key, l->public_key, 65);
	gw_buf_clear(&f->out, 1 << 20);
	gw_seg_begin(&chain, &info, &f->out);
	enum gw_err e = f->out.err ? f->out.err : begin_file(l, unborn, gw_buf_view(&f->out), &fd);
	if (!e && renameat(l->dir_fd, unborn, l->dir_fd, name) != 0) {
		e = gw_err_from_errno(errno);
		unlinkat(l->dir_fd, unborn, 0);
		gw_close(&fd);
	}
	if (e)
		return e;
	fsync(l->dir_fd);
	f->chain = chain;
	f->fd = fd;
	f->segment_no = info.segment_no;
	f->offset = GW_SEG_HEADER_BYTES;
	f->opened_us = f->checkpoint_us = now;
	f->n_spans = 0;
	f->n_records = 0;
	f->spend_nanousd = 0;
	f->blocks_since_checkpoint = 0;
	gw_buf_clear(&f->out, 1 << 20);
	return GW_OK;
}

/* What failed may be on the disk all the same; it is cut off, because its records go into the next file. */
void gw_lg_file_abandon(struct gw_lg_file *f)
{
	if (!cut_to(f->fd, f->offset))
		gw_log_slow(GW_ERROR, "a suspect segment cannot be cut (%s): it may repeat records of the next one",
			    strerror(errno));
	memcpy(f->prev_hash, f->chain.hash, 32);
	gw_close(&f->fd);
}

void gw_lg_file_close(struct gw_logger *l, struct gw_lg_file *f)
{
	struct gw_seg_writer chain = f->chain;
	struct gw_buf b;

	if (f->fd < 0)
		return;
	gw_buf_init(&b, 1 << 20);
	if (gw_seg_checkpoint(&chain, true, f->spans, f->n_spans, f->spend_nanousd, f->n_records, l->signer, &b) ==
		GW_OK &&
	    pwrite(f->fd, b.p, b.n, (off_t)f->offset) == (ssize_t)b.n) {
		f->offset += b.n;
		f->chain = chain;
	}
	if (!cut_to(f->fd, f->offset) || fdatasync(f->fd) != 0)
		gw_log(GW_WARN, "closing a segment: %s", strerror(errno));
	gw_buf_done(&b);
	memcpy(f->prev_hash, f->chain.hash, 32);
	gw_close(&f->fd);
}

static bool is_full(const struct gw_lg_file *f)
{
	uint64_t want = f->offset + gw_buf_len(&f->frames) + 65536;

	return want > SEGMENT_BYTES || f->n_spans + f->n_batch_spans > GW_LG_SPANS ||
	       gw_unix_us() - f->opened_us > SEGMENT_AGE_US;
}

bool gw_lg_file_ready(struct gw_logger *l, struct gw_lg_file *f)
{
	if (!l->may_open && (l->signer || gw_now_ms() - l->started_ms > KEY_WAIT_MS))
		l->may_open = true;
	if (!l->may_open || gw_now_ms() < l->retry_at_ms)
		return false;
	if (f->fd >= 0 && f->n_records && is_full(f))
		gw_lg_file_close(l, f);
	if (f->fd >= 0)
		return true;
	enum gw_err e = make_file(l, f);
	if (e == GW_E_NO_SPACE)
		gw_lg_release_reserve(l);
	if (e) {
		gw_log_slow(GW_ERROR, "cannot make a segment: %s", gw_err_info(e)->doc);
		l->retry_at_ms = gw_now_ms() + 500;
	}
	return e == GW_OK;
}
