/* Arena: memory that dies with a request (lib/arena.h). One of the two files that may call malloc on the way of a
 * request; everything else asks here, so that one ceiling bounds what a client can make us hold.
 *
 * Invariant: allocation happens in the newest block only, so a mark (position + block) says all there is to say. */
#include "lib/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
/* as in <sanitizer/asan_interface.h>, which not every clang package brings */
void __asan_poison_memory_region(void volatile *p, size_t n);
void __asan_unpoison_memory_region(void volatile *p, size_t n);
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
/* A gap after every allocation, so that running over its end is seen. */
enum { GAP = 8 };
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

enum { ALIGN = alignof(max_align_t), BLOCK_MIN = 4 << 10, BLOCK_MAX = 1 << 20 };

struct gw_arena_block {
	struct gw_arena_block *older;
	char *end;
	size_t size; /* this header included */
	alignas(max_align_t) char data[];
};

void gw_arena_init(struct gw_arena *a, void *first, size_t n, size_t max_bytes)
{
	if (!first)
		n = 0;
	*a = (struct gw_arena){ .at = first,
				.end = n ? (char *)first + n : first,
				.first = first,
				.first_end = n ? (char *)first + n : first,
				.used_bytes = n,
				.max_bytes = max_bytes };
	if (n)
		POISON(first, n);
}

static void drop_newest(struct gw_arena *a)
{
	struct gw_arena_block *b = a->blocks;

	a->blocks = b->older;
	a->used_bytes -= b->size;
	UNPOISON(b, b->size);
	free(b);
}

void gw_arena_done(struct gw_arena *a)
{
	while (a->blocks)
		drop_newest(a);
	if (a->first)
		UNPOISON(a->first, (size_t)(a->first_end - a->first));
	*a = (struct gw_arena){ .is_full = true };
}

/* A new block with room for n bytes; twice the last one's size where the ceiling allows. */
static bool add_block(struct gw_arena *a, size_t n)
{
	size_t left = a->max_bytes > a->used_bytes ? a->max_bytes - a->used_bytes : 0;
	size_t need = sizeof(struct gw_arena_block) + n;
	size_t want = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
	struct gw_arena_block *b;

	if (need > left)
		return false;
	if (want > BLOCK_MAX)
		want = BLOCK_MAX;
	if (want < need)
		want = need;
	if (want > left)
		want = left;
	b = malloc(want);
	if (!b)
		return false;
	b->older = a->blocks;
	b->size = want;
	b->end = (char *)b + want;
	a->blocks = b;
	a->used_bytes += want;
	a->at = b->data;
	a->end = b->end;
	POISON(b->data, want - sizeof(*b));
	return true;
}

static char *take(struct gw_arena *a, size_t n, size_t align)
{
	size_t pad, total;

	if (a->is_full)
		return NULL;
	if (n == 0)
		n = 1;
	if (GAP != 0 && align < 8)
		align = 8; /* the sanitizer's shadow has a grain of 8 bytes */
	if (n > SIZE_MAX / 4) {
		a->is_full = true;
		return NULL;
	}
	total = n + GAP;
	pad = (0 - (uintptr_t)a->at) & (align - 1);
	if (!a->at || (size_t)(a->end - a->at) < total + pad) {
		/* data[] is aligned for any type, so a fresh block needs no padding */
		if (!add_block(a, total)) {
			a->is_full = true;
			return NULL;
		}
		pad = 0;
	}
	char *p = a->at + pad;

	a->at = p + total;
	UNPOISON(p, n);
	return p;
}

void *gw_alloc(struct gw_arena *a, size_t n)
{
	char *p = take(a, n, ALIGN);

	return p ? memset(p, 0, n) : NULL;
}

char *gw_alloc_bytes(struct gw_arena *a, size_t n)
{
	return take(a, n, 1);
}

struct gw_mark gw_arena_mark(const struct gw_arena *a)
{
	return (struct gw_mark){ a->at, a->blocks };
}

void gw_arena_reset(struct gw_arena *a, struct gw_mark m)
{
	while (a->blocks != m.block)
		drop_newest(a);
	a->at = m.at;
	a->end = a->blocks ? a->blocks->end : a->first_end;
	a->is_full = false;
	if (a->at)
		POISON(a->at, (size_t)(a->end - a->at));
}

struct gw_str gw_arena_str(struct gw_arena *a, struct gw_str s)
{
	char *p = gw_alloc_bytes(a, s.n);

	if (!p)
		return GW_NIL;
	if (s.n)
		memcpy(p, s.p, s.n);
	return gw_str(p, s.n);
}

char *gw_arena_z(struct gw_arena *a, struct gw_str s)
{
	char *p = gw_alloc_bytes(a, s.n + 1);

	if (!p)
		return NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct gw_str gw_arena_printf(struct gw_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return GW_NIL;
	p = gw_alloc_bytes(a, (size_t)n + 1);
	if (!p)
		return GW_NIL;
	va_start(ap, fmt);
	n = vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return gw_str(p, (size_t)n);
}
