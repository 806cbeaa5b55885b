/* Answers -> bytes. A whole answer leaves in one sendmsg. Pieces of a streamed answer are gathered in the out buffer
 * of the connection, head included, and leave together at the end of the loop turn (or when there is a good deal of
 * them), so a turn that brings five events costs one system call. What the kernel does not take stays there. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/http_chars.h"
#include "lib/sys/clock.h"
#include "net/h1_server_int.h"

enum {
	GATHER_BYTES = 64 << 10, /* more than this does not wait for the end of the turn */
	COPY_BYTES = 16 << 10 /* larger pieces go to the kernel from where they are */
};

/* ---- to the kernel ---- */

static void count_out(struct gw_h1_conn *c, size_t n)
{
	c->bytes_out += n;
	c->s->stats.bytes_out += n;
}

/* Sends; what is not taken stays. -1: dead. */
static ssize_t send_parts(struct gw_h1_conn *c, struct iovec *parts, size_t n_parts)
{
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = n_parts };
	ssize_t n;

	if (c->front) {
		n = gw_h1_front_send(c, parts, n_parts);
	} else {
		do
			n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EAGAIN)
			return 0;
	}
	if (n < 0) {
		gw_h1_conn_kill(c);
		return -1;
	}
	count_out(c, (size_t)n);
	return n;
}

static void set_blocked(struct gw_h1_conn *c, bool is_blocked, bool has_moved)
{
	if (has_moved && c->due == GW_H1_DUE_WRITE)
		gw_h1_due_clear(c); /* progress: the stall begins anew */
	c->is_blocked = is_blocked;
	gw_h1_conn_settle(c);
}

bool gw_h1_out_flush(struct gw_h1_conn *c)
{
	size_t len = gw_buf_len(&c->out);
	struct iovec part = { c->out.p + c->out.off, len };
	bool is_short;
	ssize_t n;

	if (c->phase == GW_H1_PH_DEAD || !gw_h1_out_waits(c))
		return c->phase != GW_H1_PH_DEAD;
	n = send_parts(c, &part, len > 0);
	if (n < 0)
		return false;
	gw_buf_consume(&c->out, (size_t)n);
	is_short = (size_t)n < len || (c->front && gw_h1_front_waits(c));
	if (c->is_blocked || is_short)
		set_blocked(c, is_short, n > 0);
	return true;
}

static void append(struct gw_h1_conn *c, const void *p, size_t n)
{
	gw_buf_put(&c->out, p, n);
	if (c->out.err)
		gw_h1_conn_kill(c); /* a cut is better than a hole in the stream */
}

/* What waits, then up to 3 parts, in one call; the rest is kept. */
static void send_now(struct gw_h1_conn *c, const struct gw_str *parts, size_t n_parts)
{
	struct iovec v[4];
	size_t n_v = 0, waiting = gw_buf_len(&c->out), total = waiting, skip;
	ssize_t n;

	if (waiting)
		v[n_v++] = (struct iovec){ c->out.p + c->out.off, waiting };
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].n == 0)
			continue;
		v[n_v++] = (struct iovec){ (void *)(uintptr_t)parts[i].p, parts[i].n };
		total += parts[i].n;
	}
	n = c->is_blocked ? 0 : send_parts(c, v, n_v);
	if (n < 0)
		return;
	skip = (size_t)n;
	if (waiting) {
		size_t w = skip < waiting ? skip : waiting;

		gw_buf_consume(&c->out, w);
		skip -= w;
	}
	for (size_t i = 0; i < n_parts && c->phase != GW_H1_PH_DEAD; i++) {
		size_t w = skip < parts[i].n ? skip : parts[i].n;

		skip -= w;
		if (w < parts[i].n)
			append(c, parts[i].p + w, parts[i].n - w);
	}
	if (c->phase != GW_H1_PH_DEAD && !c->is_blocked && ((size_t)n < total || (c->front && gw_h1_front_waits(c))))
		set_blocked(c, true, false);
}

/* ---- heads ---- */

static struct gw_str reason(int status)
{
	static const struct {
		int status;
		struct gw_str text;
	} rows[] = {
#define ROW(status, text)                                                                                              \
	{                                                                                                              \
		status,                                                                                                \
		{                                                                                                      \
			text, sizeof(text) - 1                                                                         \
		}                                                                                                      \
	}
		ROW(200, "OK"),
		ROW(201, "Created"),
		ROW(202, "Accepted"),
		ROW(204, "No Content"),
		ROW(301, "Moved Permanently"),
		ROW(302, "Found"),
		ROW(303, "See Other"),
		ROW(304, "Not Modified"),
		ROW(307, "Temporary Redirect"),
		ROW(400, "Bad Request"),
		ROW(401, "Unauthorized"),
		ROW(403, "Forbidden"),
		ROW(404, "Not Found"),
		ROW(405, "Method Not Allowed"),
		ROW(408, "Request Timeout"),
		ROW(409, "Conflict"),
		ROW(411, "Length Required"),
		ROW(412, "Precondition Failed"),
		ROW(413, "Content Too Large"),
		ROW(414, "URI Too Long"),
		ROW(415, "Unsupported Media Type"),
		ROW(417, "Expectation Failed"),
		ROW(422, "Unprocessable Content"),
		ROW(429, "Too Many Requests"),
		ROW(431, "Request Header Fields Too Large"),
		ROW(500, "Internal Server Error"),
		ROW(501, "Not Implemented"),
		ROW(502, "Bad Gateway"),
		ROW(503, "Service Unavailable"),
		ROW(504, "Gateway Timeout"),
		ROW(505, "HTTP Version Not Supported"),
		ROW(507, "Insufficient Storage"),
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return GW_NIL;
}

static void two_digits(char *to, int64_t v)
{
	to[0] = (char)('0' + v / 10);
	to[1] = (char)('0' + v % 10);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", made anew when the second has changed by the loop's clock. Civil date from days: years begin in March. */
static struct gw_str date(struct gw_h1_server *s)
{
	static const char days[] = "ThuFriSatSunMonTueWed", months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
	int64_t now, day, left, era, doe, yoe, doy, month, year, us;

	if (s->date_until_ms > uv_now(s->loop))
		return gw_str(s->date, sizeof(s->date));
	us = gw_unix_us();
	now = us / 1000000;
	day = now / 86400;
	left = now % 86400;
	s->date_until_ms = uv_now(s->loop) + 1000 - (uint64_t)(us / 1000 % 1000);
	era = (day + 719468) / 146097;
	doe = (day + 719468) % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	month = (5 * doy + 2) / 153; /* 0 = March */
	year = yoe + era * 400 + (month >= 10);
	memcpy(s->date, "Xxx, 00 Xxx 0000 00:00:00 GMT", sizeof(s->date));
	memcpy(s->date, days + day % 7 * 3, 3);
	two_digits(s->date + 5, doy - (153 * month + 2) / 5 + 1);
	memcpy(s->date + 8, months + month * 3, 3);
	two_digits(s->date + 12, year / 100);
	two_digits(s->date + 14, year % 100);
	two_digits(s->date + 17, left / 3600);
	two_digits(s->date + 20, left / 60 % 60);
	two_digits(s->date + 23, left % 60);
	return gw_str(s->date, sizeof(s->date));
}

/* Those that this module writes itself. */
static bool is_ours(struct gw_str name)
{
	return gw_str_ieq(name, GW_LIT("content-length")) || gw_str_ieq(name, GW_LIT("transfer-encoding")) ||
	       gw_str_ieq(name, GW_LIT("connection")) || gw_str_ieq(name, GW_LIT("date"));
}

static void put_field(struct gw_buf *b, struct gw_str name, struct gw_str value)
{
	gw_buf_puts(b, name);
	gw_buf_put(b, ": ", 2);
	gw_buf_puts(b, value);
	gw_buf_put(b, "\r\n", 2);
}

static void put_head(struct gw_h1_conn *c, struct gw_buf *b, const struct gw_h1_answer *a, int64_t length)
{
	gw_buf_puts(b, GW_LIT("HTTP/1.1 "));
	gw_buf_put_u64(b, (uint64_t)a->status);
	gw_buf_putc(b, ' ');
	gw_buf_puts(b, reason(a->status));
	gw_buf_puts(b, GW_LIT("\r\ndate: "));
	gw_buf_puts(b, date(c->s));
	gw_buf_put(b, "\r\n", 2);
	if (a->content_type.n && gw_http_is_value(a->content_type))
		put_field(b, GW_LIT("content-type"), a->content_type);
	if (length >= 0) {
		gw_buf_puts(b, GW_LIT("content-length: "));
		gw_buf_put_u64(b, (uint64_t)length);
		gw_buf_put(b, "\r\n", 2);
	} else if (c->framing == GW_H1_CHUNKED) {
		gw_buf_puts(b, GW_LIT("transfer-encoding: chunked\r\n"));
	}
	for (uint32_t i = 0; i < a->n_headers; i++) {
		const struct gw_h1_header *h = &a->headers[i];

		if (h->name.n && gw_http_is_value(h->name) && gw_http_is_value(h->value) && !is_ours(h->name))
			put_field(b, h->name, h->value);
	}
	if (c->s->ops.on_extra)
		c->s->ops.on_extra(c->s->ctx, &c->rq, b);
	if (c->must_close)
		gw_buf_puts(b, GW_LIT("connection: close\r\n"));
	gw_buf_put(b, "\r\n", 2);
}

/* The head of this answer in the server's scratch; NIL when it is larger than any answer of ours may be. */
static struct gw_str make_head(struct gw_h1_conn *c, const struct gw_h1_answer *a, int64_t length)
{
	struct gw_buf *b = &c->s->scratch;

	GW_REQUIRE(a->status >= 200 && a->status <= 999);
	if (c->s->is_draining)
		c->must_close = true;
	gw_buf_clear(b, GATHER_BYTES);
	put_head(c, b, a, length);
	if (b->err) {
		struct gw_h1_answer bare = { .status = a->status, .content_type = a->content_type };

		gw_buf_clear(b, GATHER_BYTES);
		put_head(c, b, &bare, length);
	}
	return gw_buf_view(b);
}

/* An answer before the end of a streamed body: the rest of it is read and thrown away. */
static void stop_upload(struct gw_h1_conn *c)
{
	if (!gw_h1_is_uploading(c))
		return;
	c->must_close = true;
	c->is_body_paused = false;
	c->phase = GW_H1_PH_SERVING;
}

static bool may_answer(struct gw_h1_conn *c)
{
	if (c->answer != GW_H1_UNANSWERED)
		return false;
	stop_upload(c);
	if (c->phase != GW_H1_PH_DEAD)
		return true;
	c->answer = GW_H1_ENDED; /* the client is gone: the owner is done with it */
	gw_h1_conn_dirty(c);
	return false;
}

static bool is_bodyless(const struct gw_h1_conn *c, int status)
{
	return c->rq.method == GW_H1_HEAD || status == 204 || status == 304;
}

void gw_h1_reply(struct gw_h1_conn *c, const struct gw_h1_answer *a, struct gw_str body)
{
	struct gw_str parts[2];

	if (!may_answer(c))
		return;
	c->framing = GW_H1_LENGTH;
	parts[0] = make_head(c, a, a->status == 204 || a->status == 304 ? -1 : (int64_t)body.n);
	parts[1] = is_bodyless(c, a->status) ? GW_NIL : body;
	c->answer = GW_H1_ENDED;
	gw_h1_conn_dirty(c);
	send_now(c, parts, 2);
}

void gw_h1_reply_start(struct gw_h1_conn *c, const struct gw_h1_answer *a)
{
	struct gw_str head;

	if (c->phase == GW_H1_PH_DEAD && c->answer == GW_H1_UNANSWERED)
		c->answer = GW_H1_STARTED; /* swallowed up to reply_end */
	if (c->answer != GW_H1_UNANSWERED)
		return;
	stop_upload(c);
	c->length_left = a->content_length;
	if (is_bodyless(c, a->status))
		c->framing = GW_H1_NO_BODY;
	else if (a->content_length >= 0)
		c->framing = GW_H1_LENGTH;
	else
		c->framing = c->rq.is_http10 ? GW_H1_UNTIL_CLOSE : GW_H1_CHUNKED;
	if (c->framing == GW_H1_UNTIL_CLOSE)
		c->must_close = true;
	head = make_head(c, a, a->status == 204 || a->status == 304 ? -1 : a->content_length);
	c->answer = GW_H1_STARTED;
	append(c, head.p, head.n);
	gw_h1_conn_dirty(c);
}

static size_t chunk_head(char to[20], size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t digits = 1;

	while (digits < 16 && n >> (4 * digits))
		digits++;
	for (size_t i = 0; i < digits; i++)
		to[i] = hex[n >> (4 * (digits - 1 - i)) & 15];
	to[digits] = '\r';
	to[digits + 1] = '\n';
	return digits + 2;
}

bool gw_h1_reply_piece(struct gw_h1_conn *c, struct gw_str bytes)
{
	char head[20];
	struct gw_str parts[3] = { GW_NIL, bytes, GW_NIL };

	if (c->phase == GW_H1_PH_DEAD || c->answer != GW_H1_STARTED || c->framing == GW_H1_NO_BODY || bytes.n == 0)
		return true;
	if (c->framing == GW_H1_LENGTH) {
		if ((uint64_t)c->length_left < bytes.n) { /* more than the head said */
			gw_h1_conn_kill(c);
			return true;
		}
		c->length_left -= (int64_t)bytes.n;
	} else if (c->framing == GW_H1_CHUNKED) {
		parts[0] = gw_str(head, chunk_head(head, bytes.n));
		parts[2] = GW_LIT("\r\n");
	}
	if (bytes.n < COPY_BYTES) {
		for (int i = 0; i < 3 && c->phase != GW_H1_PH_DEAD; i++)
			append(c, parts[i].p, parts[i].n);
		if (gw_buf_len(&c->out) >= GATHER_BYTES && !c->is_blocked)
			(void)gw_h1_out_flush(c);
	} else {
		send_now(c, parts, 3);
	}
	gw_h1_conn_dirty(c);
	if (c->phase == GW_H1_PH_DEAD || gw_buf_len(&c->out) <= c->s->lim.out_high_bytes)
		return true;
	c->was_high = true;
	return false;
}

void gw_h1_reply_end(struct gw_h1_conn *c)
{
	if (c->answer != GW_H1_STARTED) {
		(void)may_answer(c); /* gone before the answer began */
		return;
	}
	c->answer = GW_H1_ENDED;
	gw_h1_conn_dirty(c);
	if (c->phase == GW_H1_PH_DEAD)
		return;
	if (c->framing == GW_H1_CHUNKED)
		append(c, "0\r\n\r\n", 5);
	else if (c->framing == GW_H1_LENGTH && c->length_left > 0)
		c->must_close = true; /* short of what the head said */
}

void gw_h1_reply_cut(struct gw_h1_conn *c)
{
	if (c->answer == GW_H1_ENDED)
		return;
	c->must_close = true;
	if (c->phase != GW_H1_PH_DEAD && c->framing == GW_H1_UNTIL_CLOSE) {
		/* Here a plain close would look like the end. */
		struct linger reset = { .l_onoff = 1 };

		(void)gw_h1_out_flush(c);
		if (c->phase != GW_H1_PH_DEAD)
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		gw_h1_conn_kill(c);
	}
	c->answer = GW_H1_ENDED;
	gw_h1_conn_dirty(c);
}

/* ---- our own answers ---- */

void gw_h1_out_bad(struct gw_h1_conn *c, enum gw_err e)
{
	static const struct gw_h1_header allow = { { "allow", 5 }, { "GET, HEAD, POST, DELETE, OPTIONS", 32 } };
	static const struct gw_h1_header allow_put = { { "allow", 5 },
						       { "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 44 } };
	struct gw_h1_answer a = { .status = gw_err_info(e)->http, .content_type = GW_LIT("application/json") };
	struct gw_buf *b = &c->s->bad_body;

	if (e == GW_E_BAD_METHOD) {
		a.headers = c->s->lim.may_put ? &allow_put : &allow;
		a.n_headers = 1;
	}
	gw_buf_clear(b, GATHER_BYTES);
	if (c->s->ops.on_bad)
		c->s->ops.on_bad(c->s->ctx, e, c->rq.path, b);
	gw_h1_reply(c, &a, gw_buf_view(b));
}

void gw_h1_out_continue(struct gw_h1_conn *c)
{
	struct gw_str line = GW_LIT("HTTP/1.1 100 Continue\r\n\r\n");

	send_now(c, &line, 1);
}

/* OPTIONS * is about the server as a whole. */
void gw_h1_out_options(struct gw_h1_conn *c)
{
	static const struct gw_h1_header allow = { { "allow", 5 }, { "GET, HEAD, POST, DELETE, OPTIONS", 32 } };
	struct gw_h1_answer a = { .status = 204, .headers = &allow, .n_headers = 1 };

	gw_h1_reply(c, &a, GW_NIL);
}

void gw_h1_release_body(struct gw_h1_conn *c)
{
	gw_buf_clear(&c->body, 0);
	c->rq.body = GW_NIL;
}

uint64_t gw_h1_queued(const struct gw_h1_conn *c)
{
	return gw_buf_len(&c->out);
}

uint64_t gw_h1_bytes_out(const struct gw_h1_conn *c)
{
	return c->bytes_out;
}
