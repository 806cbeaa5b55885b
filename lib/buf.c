/* A growing byte buffer with a ceiling (lib/buf.h). The other file that may call malloc on a request's way. */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 256 };

void gw_buf_init(struct gw_buf *b, size_t max_bytes)
{
	*b = (struct gw_buf){ .max = max_bytes };
}

void gw_buf_done(struct gw_buf *b)
{
	free(b->p);
	*b = (struct gw_buf){ .max = b->max };
}

void gw_buf_clear(struct gw_buf *b, size_t keep_bytes)
{
	if (b->cap > keep_bytes) {
		free(b->p);
		b->p = NULL;
		b->cap = 0;
	}
	b->off = b->n = 0;
	b->err = GW_OK;
}

static void to_front(struct gw_buf *b)
{
	if (b->off == 0)
		return;
	if (b->n > b->off)
		memmove(b->p, b->p + b->off, b->n - b->off);
	b->n -= b->off;
	b->off = 0;
}

/* Makes cap >= need (<= max); doubles so that n puts cost O(n). */
static bool grow(struct gw_buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	char *p;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max)
		cap = b->max;
	p = realloc(b->p, cap);
	if (!p) {
		b->err = GW_E_NOMEM;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

char *gw_buf_room(struct gw_buf *b, size_t n)
{
	size_t len = b->n - b->off;

	if (b->err)
		return NULL;
	if (b->p && n <= b->cap - b->n)
		return b->p + b->n;
	if (n > b->max || len > b->max - n || b->max == 0) {
		b->err = GW_E_TOO_BIG;
		return NULL;
	}
	/* Moving is cheap when the read part is at least as large as the rest, and needed when growing cannot help. */
	if (b->off && (b->off >= len || n > b->max - b->n))
		to_front(b);
	if ((!b->p || n > b->cap - b->n) && !grow(b, b->n + (n ? n : 1)))
		return NULL;
	return b->p + b->n;
}

void gw_buf_commit(struct gw_buf *b, size_t n)
{
	GW_REQUIRE(n <= b->cap - b->n);
	b->n += n;
}

void gw_buf_put_growing(struct gw_buf *b, const void *p, size_t n)
{
	char *to = gw_buf_room(b, n);

	if (!to)
		return;
	memcpy(to, p, n);
	b->n += n;
}

void gw_buf_put_u64(struct gw_buf *b, uint64_t v)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	gw_buf_put(b, text + at, sizeof(text) - at);
}

void gw_buf_put_i64(struct gw_buf *b, int64_t v)
{
	if (v < 0)
		gw_buf_putc(b, '-');
	gw_buf_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void gw_buf_printf(struct gw_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	/* vsnprintf writes a NUL after the text; where the ceiling leaves no room for it, print beside and copy. */
	if (!b->err && b->max - (b->n - b->off) == (size_t)n) {
		char *tmp = malloc((size_t)n + 1);

		if (!tmp) {
			b->err = GW_E_NOMEM;
			return;
		}
		va_start(ap, fmt);
		vsnprintf(tmp, (size_t)n + 1, fmt, ap);
		va_end(ap);
		gw_buf_put(b, tmp, (size_t)n);
		free(tmp);
		return;
	}
	to = gw_buf_room(b, (size_t)n + 1);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void gw_buf_consume(struct gw_buf *b, size_t n)
{
	GW_REQUIRE(n <= b->n - b->off);
	b->off += n;
	if (b->off == b->n)
		b->off = b->n = 0;
	else if (b->off >= b->n - b->off)
		to_front(b);
}
