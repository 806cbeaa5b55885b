/* Server-sent events out of a byte stream (lib/sse.h). A small machine finds where events end, byte positions only;
 * the lines of a complete event are then read in one go. So the result cannot depend on how the bytes were cut. */
#include "lib/sse.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { END_NONE, END_LF, END_CR, END_CRLF };
enum { KEEP_BYTES = 64 << 10, COMMENTS_MAX = 4096, BOM_PASSED = 4 };

void gw_sse_init(struct gw_sse *s, size_t max_line_bytes, size_t max_event_bytes)
{
	*s = (struct gw_sse){ .max_line_bytes = max_line_bytes, .max_event_bytes = max_event_bytes };
	gw_buf_init(&s->held, max_event_bytes);
	gw_buf_init(&s->joined, max_event_bytes);
	gw_buf_init(&s->last_id, max_line_bytes);
}

void gw_sse_done(struct gw_sse *s)
{
	gw_buf_done(&s->held);
	gw_buf_done(&s->joined);
	gw_buf_done(&s->last_id);
}

struct gw_str gw_sse_rest(const struct gw_sse *s)
{
	return gw_buf_view(&s->held);
}

bool gw_sse_is_pending(const struct gw_sse *s)
{
	bool in_field = s->line_bytes && !s->is_comment;

	return s->has_field || in_field;
}

/* First CR or LF, or end. */
static const char *find_line_end(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');

	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned hit = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));

		if (hit)
			return p + __builtin_ctz(hit);
		p += 16;
	}
#endif
	while (p < end && *p != '\n' && *p != '\r')
		p++;
	return p;
}

/* ---- reading one complete event ---- */

/* Next line of the block without its end; false when there is none. */
static bool next_line(struct gw_str *block, struct gw_str *line)
{
	const char *end, *stop;

	if (block->n == 0)
		return false;
	end = block->p + block->n;
	stop = find_line_end(block->p, end);
	*line = gw_str(block->p, (size_t)(stop - block->p));
	if (stop < end && *stop == '\r' && stop + 1 < end && stop[1] == '\n')
		stop++;
	if (stop < end)
		stop++;
	*block = gw_str(stop, (size_t)(end - stop));
	return true;
}

/* A data line: the first is a view, from the second on all are joined. */
static void add_data(struct gw_sse *s, struct gw_sse_event *ev, struct gw_str value, bool *is_joined)
{
	if (!ev->has_data) {
		ev->data = value;
		ev->has_data = true;
		return;
	}
	if (!*is_joined) {
		gw_buf_clear(&s->joined, KEEP_BYTES);
		gw_buf_puts(&s->joined, ev->data);
		*is_joined = true;
	}
	gw_buf_putc(&s->joined, '\n');
	gw_buf_puts(&s->joined, value);
}

static void read_line(struct gw_sse *s, struct gw_sse_event *ev, struct gw_str line, bool *is_joined)
{
	struct gw_str name, value;

	if (line.n == 0 || line.p[0] == ':')
		return;
	gw_str_cut(line, ':', &name, &value);
	if (value.n && value.p[0] == ' ')
		value = gw_str_skip(value, 1);
	if (gw_str_eq(name, GW_LIT("data"))) {
		add_data(s, ev, value, is_joined);
	} else if (gw_str_eq(name, GW_LIT("event"))) {
		ev->event = value;
	} else if (gw_str_eq(name, GW_LIT("id")) && gw_str_find(value, '\0') == value.n) {
		gw_buf_clear(&s->last_id, KEEP_BYTES);
		gw_buf_puts(&s->last_id, value);
	}
}

/* raw is one block; the stream's first may begin with a BOM. */
static void deliver(struct gw_sse *s, struct gw_str raw, gw_sse_fn *fn, void *ctx)
{
	struct gw_sse_event ev = { .raw = raw, .event = GW_LIT("") };
	struct gw_str block = raw, line;
	bool is_joined = false;

	if (!s->past_first && gw_str_has_prefix(block, GW_LIT("\xef\xbb\xbf")))
		block = gw_str_skip(block, 3);
	while (next_line(&block, &line))
		read_line(s, &ev, line, &is_joined);
	if (is_joined)
		ev.data = gw_buf_view(&s->joined);
	ev.id = gw_buf_view(&s->last_id);
	if (s->joined.err || s->last_id.err) {
		s->err = s->joined.err ? s->joined.err : s->last_id.err;
		return;
	}
	fn(ctx, &ev);
}

/* ---- finding where events end ---- */

enum found { MORE, BLOCK_ENDS };

/* A line of s->line_bytes has ended with `how` (CR: a LF may follow). Does the block end with it? */
static enum found line_ended(struct gw_sse *s, unsigned how)
{
	bool is_empty = s->line_bytes == 0;
	/* In a stream of CRLF lines the LF comes soon and belongs to this event; elsewhere a CR is enough, and waiting
	 * could hold the event back for ever. */
	bool expect_lf = how == END_CR && s->line_end == END_CRLF;

	s->last_cr = how == END_CR;
	s->line_end = (uint8_t)how;
	s->line_bytes = 0;
	if (!is_empty) {
		s->has_field = s->has_field || !s->is_comment;
		/* comments alone are passed on now and then, so that they cannot pile up */
		return !s->has_field && s->block_bytes >= COMMENTS_MAX ? BLOCK_ENDS : MORE;
	}
	s->wait_lf = expect_lf;
	return expect_lf ? MORE : BLOCK_ENDS;
}

/* Bytes of a leading BOM do not belong to the first line. Returns how many of p..end were taken as BOM. */
static size_t skip_bom(struct gw_sse *s, const char *p, const char *end)
{
	static const char bom[] = "\xef\xbb\xbf";
	size_t n = 0;

	while (s->bom < 3 && p + n < end && p[n] == bom[s->bom]) {
		s->bom++;
		n++;
	}
	if (p + n < end && s->bom < 3) { /* it was none; what looked like one is part of the line */
		s->line_bytes = s->bom;
		s->bom = BOM_PASSED;
	} else if (s->bom == 3) {
		s->bom = BOM_PASSED;
	}
	s->block_bytes += n;
	return n;
}

/* Scans from p until a block ends. Returns how many bytes belong to the block under way. */
static size_t scan(struct gw_sse *s, const char *p, const char *end, enum found *found)
{
	const char *from = p;

	*found = MORE;
	if (s->bom != BOM_PASSED)
		p += skip_bom(s, p, end);
	while (p < end && *found == MORE && !s->err) {
		if (s->wait_lf || (s->last_cr && *p == '\n')) {
			bool is_lf = *p == '\n';

			*found = s->wait_lf ? BLOCK_ENDS : MORE;
			s->wait_lf = s->last_cr = false;
			if (is_lf) {
				s->line_end = END_CRLF;
				s->block_bytes++;
				p++;
			}
			continue;
		}
		s->last_cr = false;
		if (*p == '\n' || *p == '\r') {
			s->block_bytes++;
			*found = line_ended(s, *p++ == '\n' ? END_LF : END_CR);
			continue;
		}
		const char *stop = find_line_end(p, end);

		if (s->line_bytes == 0)
			s->is_comment = *p == ':';
		s->line_bytes += (size_t)(stop - p);
		s->block_bytes += (size_t)(stop - p);
		p = stop;
		if (s->line_bytes > s->max_line_bytes || s->block_bytes > s->max_event_bytes)
			s->err = GW_E_TOO_BIG;
	}
	if (s->block_bytes > s->max_event_bytes)
		s->err = GW_E_TOO_BIG;
	return (size_t)(p - from);
}

static void block_done(struct gw_sse *s)
{
	s->block_bytes = 0;
	s->has_field = false;
	s->past_first = true;
	gw_buf_clear(&s->held, KEEP_BYTES);
}

/* An event as nearly all are: "data: ...", LF, LF, whole and with nothing before it. Its length, or 0 for the machine to look. */
static size_t plain_event(const struct gw_sse *s, const char *p, const char *end)
{
	const char *stop;

	if (s->line_bytes || s->block_bytes || s->wait_lf || s->last_cr || !s->past_first || gw_buf_len(&s->held) ||
	    end - p < 8 || memcmp(p, "data: ", 6) != 0)
		return 0;
	stop = find_line_end(p + 6, end);
	if (end - stop < 2 || stop[0] != '\n' || stop[1] != '\n' || (size_t)(stop - p) > s->max_line_bytes ||
	    (size_t)(stop + 2 - p) > s->max_event_bytes)
		return 0;
	return (size_t)(stop + 2 - p);
}

/* Leaves the machine where it would stand behind this event. */
static void deliver_plain(struct gw_sse *s, struct gw_str raw, gw_sse_fn *fn, void *ctx)
{
	struct gw_sse_event ev = { .raw = raw,
				   .data = gw_str(raw.p + 6, raw.n - 8),
				   .event = GW_LIT(""),
				   .id = gw_buf_view(&s->last_id),
				   .has_data = true };

	s->is_comment = false;
	s->line_end = END_LF;
	fn(ctx, &ev);
}

enum gw_err gw_sse_feed(struct gw_sse *s, const char *p, size_t n, gw_sse_fn *fn, void *ctx)
{
	const char *end = n ? p + n : p;

	while (p < end && !s->err) {
		enum found found;
		size_t k = plain_event(s, p, end);

		if (k) {
			deliver_plain(s, gw_str(p, k), fn, ctx);
			p += k;
			continue;
		}
		k = scan(s, p, end, &found);
		bool is_whole = found == BLOCK_ENDS && gw_buf_len(&s->held) == 0;

		if (s->err)
			break;
		if (!is_whole)
			gw_buf_put(&s->held, p, k);
		if (s->held.err) {
			s->err = s->held.err;
			break;
		}
		if (found == BLOCK_ENDS) {
			deliver(s, is_whole ? gw_str(p, k) : gw_buf_view(&s->held), fn, ctx);
			block_done(s);
		}
		p += k;
	}
	return s->err;
}

enum gw_err gw_sse_end(struct gw_sse *s, gw_sse_fn *fn, void *ctx)
{
	if (s->wait_lf && !s->err) {
		s->wait_lf = false;
		deliver(s, gw_buf_view(&s->held), fn, ctx);
		block_done(s);
	}
	return s->err;
}
