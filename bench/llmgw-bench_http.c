/* Answers out of bytes: what an HTTP/1.1 client needs of the protocol, and the events of a stream of chat completions. */
#include <ctype.h>
#include "bench/llmgw-bench.h"

enum { MAX_HEAD = 65536 };

static bool read_header(struct bench_conn *c, struct gw_str line)
{
	struct gw_str name, value;

	if (!gw_str_cut(line, ':', &name, &value))
		return false;
	value = gw_str_trim(value);
	if (name.n == 14 && gw_str_ieq(name, GW_LIT("content-length"))) {
		if (!gw_str_u64(value, &c->left))
			return false;
		c->part = BENCH_LENGTH;
	} else if (name.n == 17 && gw_str_ieq(name, GW_LIT("transfer-encoding"))) {
		c->part = BENCH_CHUNK_LINE;
	} else if (name.n == 10 && gw_str_ieq(name, GW_LIT("connection")) && gw_str_ieq(value, GW_LIT("close"))) {
		c->must_close = true;
	} else if (name.n == 13 && gw_str_ieq(name, GW_LIT("server-timing"))) {
		if (c->is_counted)
			bench_steps_header(c->run, value);
	} else if (name.n == 19 && gw_str_ieq(name, GW_LIT("x-llmgw-overhead-us"))) {
		uint64_t us;

		if (c->is_counted && gw_str_u64(value, &us))
			bench_steps_add(c->run, GW_LIT("overhead"), (double)us);
	}
	return true;
}

static bool read_head(struct bench_conn *c, struct gw_str head)
{
	struct gw_str line, rest = head;
	uint64_t status;

	gw_str_cut(rest, '\n', &line, &rest);
	if (line.n < 13 || !gw_str_has_prefix(line, GW_LIT("HTTP/1.1 ")) || !gw_str_u64(gw_str(line.p + 9, 3), &status))
		return false;
	c->status = (int)status;
	c->part = BENCH_UNTIL_END;
	while (rest.n > 2) {
		gw_str_cut(rest, '\n', &line, &rest);
		if (line.n > 0 && !read_header(c, gw_str(line.p, line.n - (line.p[line.n - 1] == '\r'))))
			return false;
	}
	if (status / 100 == 1)
		c->part = BENCH_HEAD;
	else if (c->is_held && status == 200)
		c->run->stats.held++;
	return true;
}

/* A line of an event stream. Content is what a reader waits for: the event that opens a stream has none. */
static void event_line(struct bench_conn *c, struct gw_str line)
{
	static const char content[] = "\"content\":\"";
	const char *at;

	if (!gw_str_has_prefix(line, GW_LIT("data: ")))
		return;
	at = memmem(line.p, line.n, content, sizeof(content) - 1);
	if (at && at + sizeof(content) - 1 < line.p + line.n && at[sizeof(content) - 1] != '"')
		bench_load_chunk(c);
	else if (line.n >= 12 && memcmp(line.p + 6, "[DONE]", 6) == 0)
		c->has_done = true;
}

static void take_body(struct bench_conn *c, struct gw_str s)
{
	const char *nl;
	size_t n;

	if (!c->is_stream || c->status != 200) {
		if (c->status != 200)
			bench_load_note(c->run, NULL, s);
		return;
	}
	while (s.n > 0) {
		nl = memchr(s.p, '\n', s.n);
		if (!nl) {
			gw_buf_puts(&c->line, s);
			return;
		}
		n = (size_t)(nl - s.p);
		if (gw_buf_len(&c->line) > 0) {
			gw_buf_put(&c->line, s.p, n);
			event_line(c, gw_buf_view(&c->line));
			gw_buf_clear(&c->line, 65536);
		} else {
			event_line(c, gw_str(s.p, n));
		}
		s = gw_str_skip(s, n + 1);
	}
}

static bool chunk_size(struct gw_str line, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < line.n && isxdigit((unsigned char)line.p[i]) && v < 1ull << 40; i++)
		v = v * 16 + (uint64_t)(line.p[i] <= '9' ? line.p[i] - '0' : (line.p[i] | 32) - 'a' + 10);
	*out = v;
	return i > 0 && v < 1ull << 40;
}

enum line { LINE_MORE, LINE_EMPTY, LINE_TEXT };

/* Takes the next line off, and reads a chunk's size from it. */
static enum line take_line(struct bench_conn *c, uint64_t *size, bool *is_size)
{
	struct gw_str v = gw_buf_view(&c->in);
	size_t n = gw_str_find(v, '\n'), text;

	if (n == v.n)
		return LINE_MORE;
	text = n > 0 && v.p[n - 1] == '\r' ? n - 1 : n;
	*is_size = chunk_size(gw_str(v.p, text), size);
	gw_buf_consume(&c->in, n + 1);
	return text > 0 ? LINE_TEXT : LINE_EMPTY;
}

enum step { STEP_ON, STEP_WAIT, STEP_WHOLE, STEP_BAD };

static enum step step_head(struct bench_conn *c)
{
	struct gw_str v = gw_buf_view(&c->in);
	const char *end = v.n ? memmem(v.p, v.n, "\r\n\r\n", 4) : NULL;
	size_t n;

	if (!end)
		return v.n > MAX_HEAD ? STEP_BAD : STEP_WAIT;
	n = (size_t)(end - v.p) + 4;
	if (!read_head(c, gw_str(v.p, n)))
		return STEP_BAD;
	gw_buf_consume(&c->in, n);
	return c->part == BENCH_LENGTH && c->left == 0 ? STEP_WHOLE : STEP_ON;
}

static enum step step_data(struct bench_conn *c, bool is_endless)
{
	struct gw_str v = gw_buf_view(&c->in);
	size_t n = is_endless || v.n < c->left ? v.n : (size_t)c->left;

	if (n == 0)
		return STEP_WAIT;
	take_body(c, gw_str(v.p, n));
	gw_buf_consume(&c->in, n);
	if (is_endless)
		return STEP_WAIT;
	c->left -= n;
	if (c->left > 0)
		return STEP_WAIT;
	if (c->part == BENCH_LENGTH)
		return STEP_WHOLE;
	c->part = BENCH_CHUNK_END;
	return STEP_ON;
}

static enum step step_line(struct bench_conn *c)
{
	uint64_t size;
	bool is_size;
	enum line line = take_line(c, &size, &is_size);

	if (line == LINE_MORE)
		return STEP_WAIT;
	if (c->part == BENCH_TRAILER)
		return line == LINE_EMPTY ? STEP_WHOLE : STEP_ON;
	if (c->part == BENCH_CHUNK_END) {
		c->part = BENCH_CHUNK_LINE;
		return line == LINE_EMPTY ? STEP_ON : STEP_BAD;
	}
	c->left = size;
	c->part = size > 0 ? BENCH_CHUNK_DATA : BENCH_TRAILER;
	return is_size ? STEP_ON : STEP_BAD;
}

static enum step step(struct bench_conn *c)
{
	switch (c->part) {
	case BENCH_HEAD:
		return step_head(c);
	case BENCH_LENGTH:
	case BENCH_CHUNK_DATA:
		return step_data(c, false);
	case BENCH_UNTIL_END:
		return step_data(c, true);
	case BENCH_CHUNK_LINE:
	case BENCH_CHUNK_END:
	case BENCH_TRAILER:
		return step_line(c);
	}
	return STEP_BAD;
}

static void finish(struct bench_conn *c)
{
	bool whole = !c->is_stream || c->has_done || c->status != 200;

	c->part = BENCH_HEAD;
	if (c->status == 200 && whole)
		bench_load_done(c);
	else if (c->status == 200)
		bench_load_failed(c, BENCH_E_CUT_STREAM);
	else
		bench_load_failed(c, c->status == 401       ? BENCH_E_401
				     : c->status == 429     ? BENCH_E_429
				     : c->status / 100 == 4 ? BENCH_E_4XX
				     : c->status / 100 == 5 ? BENCH_E_5XX
							    : BENCH_E_STATUS);
}

bool bench_http_feed(struct bench_conn *c, const char *p, size_t n)
{
	enum step s;

	gw_buf_put(&c->in, p, n);
	if (c->in.err || c->line.err)
		return false;
	while ((s = step(c)) == STEP_ON)
		;
	if (s == STEP_WHOLE) {
		if (gw_buf_len(&c->in) > 0) /* more than was asked for */
			return false;
		gw_buf_clear(&c->in, 65536);
		finish(c);
	}
	return s != STEP_BAD;
}

bool bench_http_end(struct bench_conn *c)
{
	if (c->part != BENCH_UNTIL_END)
		return false;
	c->must_close = true;
	finish(c);
	return true;
}
