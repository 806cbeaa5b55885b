#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "lib/str.h"

/* Memory that dies with a request. A chain of blocks under one ceiling: the first block is the caller's (reused from
 * request to request), further ones come from malloc and are freed by done (or cut by reset).
 * Failure sticks: once the ceiling is met every later allocation is NULL and `is_full` stays true until reset to an
 * earlier mark or init. Under ASan memory that is not allocated is poisoned. Not thread-safe. */
struct gw_arena_block;
struct gw_arena {
	char *at, *end; /* free part of the current block */
	struct gw_arena_block *blocks; /* malloc'ed blocks, newest first */
	char *first, *first_end; /* the caller's block */
	size_t used_bytes; /* sum of malloc'ed block sizes + first block size */
	size_t max_bytes; /* ceiling, the first block included */
	bool is_full;
};
struct gw_mark {
	char *at;
	struct gw_arena_block *block;
};

/* `first` may be NULL with n = 0. The arena never frees `first`. */
void gw_arena_init(struct gw_arena *a, void *first, size_t n, size_t max_bytes);
/* Frees what malloc gave. The arena can be used again after a new init only. */
void gw_arena_done(struct gw_arena *a);
/* Zeroed, aligned for any type; NULL when full. n = 0 gives a valid pointer. */
void *gw_alloc(struct gw_arena *a, size_t n);
/* Not zeroed, aligned to 1. */
char *gw_alloc_bytes(struct gw_arena *a, size_t n);
struct gw_mark gw_arena_mark(const struct gw_arena *a);
/* All that was allocated since the mark is gone; clears is_full. */
void gw_arena_reset(struct gw_arena *a, struct gw_mark m);

/* Copies; .p = NULL when full (an empty string gives a non-NULL .p). */
struct gw_str gw_arena_str(struct gw_arena *a, struct gw_str s);
/* NUL-terminated copy, or NULL. */
char *gw_arena_z(struct gw_arena *a, struct gw_str s);
/* printf into the arena; GW_NIL when full. */
struct gw_str gw_arena_printf(struct gw_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define GW_NEW(arena, type)        ((type *)gw_alloc((arena), sizeof(type)))
#define GW_NEW_N(arena, type, cnt) ((type *)gw_alloc((arena), sizeof(type) * (cnt)))
