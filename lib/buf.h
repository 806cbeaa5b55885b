#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* A growing byte buffer with a ceiling given at birth. Failure sticks: past the ceiling (or out of memory) nothing
 * more is written and `err` stays set; do ten puts, check once. Owns p (malloc); done frees it and accepts a zeroed
 * struct. `off` is where unread bytes begin, for use as a queue: 0 <= off <= n <= cap <= max. */
struct gw_buf {
	char *p;
	size_t off, n, cap, max;
	enum gw_err err; /* GW_OK, GW_E_TOO_BIG or GW_E_NOMEM */
};

void gw_buf_init(struct gw_buf *b, size_t max_bytes);
void gw_buf_done(struct gw_buf *b);
/* Forget the content and the error, keep the memory (unless cap > keep_bytes). */
void gw_buf_clear(struct gw_buf *b, size_t keep_bytes);
/* Room for n more bytes at the end, or NULL with err set. Follow with gw_buf_commit. */
char *gw_buf_room(struct gw_buf *b, size_t n);
void gw_buf_commit(struct gw_buf *b, size_t n);
void gw_buf_put_growing(struct gw_buf *b, const void *p, size_t n);
/* A head is made of some ninety puts, nearly all of which fit: those cost a comparison and a copy. */
static inline void gw_buf_put(struct gw_buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (n > b->cap - b->n || b->err) {
		gw_buf_put_growing(b, p, n);
		return;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}
static inline void gw_buf_puts(struct gw_buf *b, struct gw_str s)
{
	gw_buf_put(b, s.p, s.n);
}
static inline void gw_buf_putc(struct gw_buf *b, char c)
{
	gw_buf_put(b, &c, 1);
}
void gw_buf_put_u64(struct gw_buf *b, uint64_t v); /* decimal */
void gw_buf_put_i64(struct gw_buf *b, int64_t v);
void gw_buf_printf(struct gw_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Unread bytes; valid until the next put. */
static inline struct gw_str gw_buf_view(const struct gw_buf *b)
{
	return gw_str(b->p ? b->p + b->off : NULL, b->n - b->off);
}
static inline size_t gw_buf_len(const struct gw_buf *b)
{
	return b->n - b->off;
}
/* Mark n bytes as read; moves the rest to the front when cheap. */
void gw_buf_consume(struct gw_buf *b, size_t n);
