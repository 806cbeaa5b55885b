/* An old segment is read whole before it may go: its tombstone says what was in it, and a damaged one is evidence that stays. Runs in a pool
 * thread; nothing here uses keys. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/segment_impl.h"
#include "lib/sys/fd.h"
#include "logger/logger.h"

static void on_span(void *ctx, const struct gw_seg_span *s)
{
	struct gw_lg_exam *x = ctx;

	if (x->n_spans < GW_RETIRED_SPANS)
		x->spans[x->n_spans] = *s;
	x->n_spans++;
}

/* A writer that began while this segment grew continues some block of it, not the last. */
static void note_link(struct gw_lg_exam *x, const uint8_t hash[32], const uint8_t (*needed)[32], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(needed[i], hash, 32) != 0)
			continue;
		if (x->n_links < GW_RETIRED_LINKS)
			memcpy(x->links[x->n_links], hash, 32);
		x->n_links++;
		return;
	}
}

static void note_signature(struct gw_lg_exam *x, const uint8_t chain[32], struct gw_str payload)
{
	struct seg_checkpoint k = { 0 };

	if (!gw_seg_checkpoint_read(payload, &k) || k.signature.n != 64)
		return;
	gw_seg_signed_hash(chain, k.pairs, x->signed_hash);
	memcpy(x->signature, k.signature.p, 64);
	x->is_signed = true;
}

/* Over the heads of its blocks, which the verification has found good. */
static void walk(struct gw_str bytes, const uint8_t (*needed)[32], size_t n_needed, struct gw_lg_exam *x)
{
	struct gw_seg_reader r;
	struct seg_block b;

	if (gw_seg_open(&r, bytes) != GW_OK)
		return;
	x->info = r.info;
	note_link(x, r.hash, needed, n_needed);
	while (r.block_no < x->verdict.n_blocks && !gw_seg_head_read(bytes, r.at, &b)) {
		if (b.kind != SEG_RECORDS)
			note_signature(x, r.hash, b.payload);
		else if (!x->first_us || b.first_us < x->first_us)
			x->first_us = b.first_us;
		if (b.last_us > x->last_us)
			x->last_us = b.last_us;
		gw_seg_step_over(&r, &b);
		if (r.block_no < x->verdict.n_blocks)
			note_link(x, r.hash, needed, n_needed);
	}
}

void gw_lg_examine(int dir_fd, const struct gw_lg_found *f, const uint8_t (*needed)[32], size_t n_needed,
		   struct gw_lg_exam *x)
{
	int fd = openat(dir_fd, f->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *p;

	*x = (struct gw_lg_exam){ .is_busy = true };
	if (fd < 0 || gw_lg_is_written_by_another(fd) || fstat(fd, &st) != 0 || st.st_size <= 0) {
		gw_close(&fd);
		return;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0); /* the lock keeps it from being cut */
	if (p != MAP_FAILED) {
		struct gw_str bytes = gw_str(p, (size_t)st.st_size);

		x->is_busy = false;
		gw_seg_verify(bytes, NULL, &x->verdict, on_span, x);
		if (!x->verdict.err)
			walk(bytes, needed, n_needed, x);
		munmap(p, (size_t)st.st_size);
	}
	gw_close(&fd);
	x->what = x->verdict.err                                                   ? x->verdict.what
		  : x->n_spans > GW_RETIRED_SPANS || x->n_links > GW_RETIRED_LINKS ? "too many writers"
										   : NULL;
	x->is_damaged = x->what != NULL;
}
