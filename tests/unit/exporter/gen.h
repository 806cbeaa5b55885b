#pragma once
#include "exporter/exporter.h"

/* Segments as a logger writes them, made by lib/segment and filled with records whose values follow from their number, so that any
 * sum over them can be counted without reading them back. */
struct gen {
	char data[256]; /* a folder of its own: index/ and segments/ */
	struct gw_seg_writer w;
	struct gw_buf out, frames, body;
	int fd;
	uint64_t seq, seg_no, at, n_ends;
	int64_t t0_us; /* start of record 0; each further one begins step_us later */
	int64_t step_us;
	uint32_t keys, per_block;
};
void gen_init(struct gen *g, const char *name);
void gen_done(struct gen *g); /* removes the folder */
void gen_file(struct gen *g, int64_t created_us); /* begins a segment */
void gen_close(struct gen *g); /* footer, cut to size as a logger does */
/* Record number i, as gen_block writes it; strings in buf. */
void gen_record(const struct gen *g, uint64_t i, struct gw_record *r, char buf[256]);
void gen_block(struct gen *g, uint32_t n_ends); /* START and END of each */
/* gen_block until there are n more; a new file when one is full. */
void gen_many(struct gen *g, uint64_t n);
void gen_ix(const struct gen *g, struct gw_ix *ix, uint64_t *counts); /* a closed index over the folder */
/* gw_ix_open if needed and steps until nothing is left. */
enum gw_ex_result gen_drain(struct gw_ix *ix, int64_t now_us);
