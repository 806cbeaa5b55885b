/* Bytes of a connection -> requests. The head is gathered whole in the connection (header views point into it), read by
 * h1_server_head.c line by line, and given to llhttp as well, which must come to the same end; from the blank line on
 * llhttp finds the body. Nothing of a message that either of them doubts reaches the owner. */
#include "lib/sys/clock.h"
#include "net/h1_server_int.h"

/* ---- refusing ---- */

void gw_h1_refuse(struct gw_h1_conn *c, enum gw_err e)
{
	if (c->phase >= GW_H1_PH_SERVING)
		return;
	if (e != GW_E_SLOW_CLIENT)
		c->s->stats.malformed++;
	c->must_close = true;
	if (gw_h1_is_uploading(c)) { /* the owner has the request: the answer is its own */
		c->phase = GW_H1_PH_SERVING;
		c->s->ops.on_body(c->s->ctx, c, GW_NIL, true, e);
		return;
	}
	c->phase = GW_H1_PH_SERVING; /* is_served stays false: the answer is ours */
	gw_h1_out_bad(c, e);
}

/* The owner's no: not the client's grammar, so the connection may go on if no body is under way. */
static void decline(struct gw_h1_conn *c, enum gw_err e)
{
	if (c->rq.has_body)
		c->must_close = true;
	c->phase = GW_H1_PH_SERVING;
	gw_h1_out_bad(c, e);
}

/* ---- parser callbacks: only notes, no calls outward ---- */

static int on_headers_complete(llhttp_t *p)
{
	struct gw_h1_conn *c = p->data;
	bool has_length = (p->flags & F_CONTENT_LENGTH) != 0;

	/* Upgrade is ignored: what follows stays HTTP. */
	p->upgrade = 0;
	p->flags &= (uint16_t) ~(F_UPGRADE | F_CONNECTION_UPGRADE);
	if (((p->flags & F_CHUNKED) != 0) != c->is_chunked || has_length != (c->rq.content_length >= 0) ||
	    (has_length && p->content_length != (uint64_t)c->rq.content_length)) {
		c->refused = GW_E_BAD_HTTP;
		return -1;
	}
	return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1_conn *c = p->data;

	c->upload_bytes += n;
	if (c->is_streamed && c->upload_bytes > c->upload_max) {
		c->refused = GW_E_TOO_BIG;
		return -1;
	}
	gw_buf_put(&c->body, at, n);
	if (!c->body.err)
		return 0;
	c->refused = c->body.err;
	return -1;
}

static int on_chunk_header(llhttp_t *p)
{
	struct gw_h1_conn *c = p->data;
	uint64_t room = c->is_streamed ? c->upload_max - c->upload_bytes : c->body.max - gw_buf_len(&c->body);

	if (p->content_length == 0) {
		p->settings = &c->s->trailer_settings;
	} else if (p->content_length > room) {
		c->refused = GW_E_TOO_BIG;
		return -1;
	}
	return 0;
}

static int on_extension(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1_conn *c = p->data;

	(void)at;
	if (n > c->s->lim.chunk_ext_bytes - c->ext_bytes) {
		c->refused = GW_E_BAD_HTTP;
		return -1;
	}
	c->ext_bytes += (uint32_t)n;
	return 0;
}

/* Trailers are counted and dropped. */
static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1_conn *c = p->data;

	(void)at;
	if (n + 2 > c->s->lim.trailer_bytes - c->trailer_bytes) {
		c->refused = GW_E_HEADERS_TOO_BIG;
		return -1;
	}
	c->trailer_bytes += (uint32_t)n + 2;
	return 0;
}

static int on_message_complete(llhttp_t *p)
{
	struct gw_h1_conn *c = p->data;

	c->is_complete = true;
	return HPE_PAUSED; /* the next request waits for the answer to this one */
}

void gw_h1_settings_init(struct gw_h1_server *s)
{
	llhttp_settings_init(&s->settings);
	s->settings.on_headers_complete = on_headers_complete;
	s->settings.on_body = on_body;
	s->settings.on_chunk_header = on_chunk_header;
	s->settings.on_chunk_extension_name = on_extension;
	s->settings.on_chunk_extension_value = on_extension;
	s->settings.on_message_complete = on_message_complete;
	/* Fields of the head are none of the parser's business: h1_server_head.c has read them. */
	s->trailer_settings = s->settings;
	s->trailer_settings.on_header_field = on_field;
	s->trailer_settings.on_header_value = on_field;
}

/* Is this llhttp the strict one? Each of these must be refused at the latest at its last byte. */
bool gw_h1_parser_is_strict(void)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
		"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		llhttp_settings_t none;
		llhttp_t p;

		llhttp_settings_init(&none);
		llhttp_init(&p, HTTP_REQUEST, &none);
		if (p.lenient_flags != 0 || llhttp_execute(&p, bad[i], strlen(bad[i])) == HPE_OK)
			return false;
	}
	return true;
}

/* Gives bytes to the parser; *taken is how many belong to this message. False: refused. */
static bool feed(struct gw_h1_conn *c, struct gw_str in, size_t *taken)
{
	llhttp_errno_t r = llhttp_execute(&c->parser, in.p, in.n);

	*taken = in.n;
	if (r == HPE_PAUSED && c->is_complete) {
		*taken = (size_t)(llhttp_get_error_pos(&c->parser) - in.p);
		GW_REQUIRE(*taken <= in.n);
		return true;
	}
	if (r == HPE_OK)
		return true;
	gw_h1_refuse(c, c->refused ? c->refused : GW_E_BAD_HTTP);
	return false;
}

/* ---- head ---- */

static struct gw_str head_part(const struct gw_h1_conn *c, size_t from, size_t to)
{
	return gw_str(c->head.p + from, to - from);
}

/* First byte of a request: everything about the one before is gone. */
static void begin(struct gw_h1_conn *c)
{
	c->phase = GW_H1_PH_HEAD;
	gw_h1_due_clear(c);
	llhttp_init(&c->parser, HTTP_REQUEST, &c->s->settings);
	c->parser.data = c;
	c->head.max = c->s->lim.request_line_bytes + c->s->lim.head_bytes + 16u;
	c->is_trimmed = false;
	c->rq.first_byte_ns = gw_recent_ns(); /* of the read that brought it */
}

/* Bytes of `in` up to and including the blank line, if it is there, else all. */
static size_t up_to_blank_line(const struct gw_h1_conn *c, struct gw_str in)
{
	size_t had = c->head.n;

	if (had == 0) { /* from line to line: a third of what memmem costs */
		const char *at = in.p, *end = in.p + in.n;

		while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
			at++;
			if (end - at >= 2 && at[0] == '\r' && at[1] == '\n' && at - in.p >= 2 && at[-2] == '\r')
				return (size_t)(at - in.p) + 2;
		}
		return in.n;
	}
	for (size_t i = 0; i < in.n; i++) {
		char last[4];
		const char *lf = memchr(in.p + i, '\n', in.n - i);

		if (!lf)
			break;
		i = (size_t)(lf - in.p);
		if (had + i + 1 < 4)
			continue;
		for (size_t k = 0; k < 4; k++) { /* may begin in what came before */
			size_t at = had + i - 3 + k;

			last[k] = at < had ? c->head.p[at] : in.p[at - had];
		}
		if (memcmp(last, "\r\n\r\n", 4) == 0)
			return i + 1;
	}
	return in.n;
}

/* The request line as far as it is there (without CRLF): short enough, and its bytes in order? The answer does not
 * depend on how much came at once: only the first bytes up to the limit are looked at. */
static enum gw_err check_line(const struct gw_h1_conn *c, struct gw_str line)
{
	size_t max = c->s->lim.request_line_bytes;
	enum gw_err e = line.n ? gw_h1_line_begin(gw_str(line.p, line.n < max + 1 ? line.n : max + 1)) : GW_OK;

	return e ? e : line.n > max ? GW_E_URI_TOO_LONG : GW_OK;
}

/* The line [line_at, end) with its CRLF is there: the request line, or a blank one before it. */
static bool take_first_line(struct gw_h1_conn *c, size_t end)
{
	struct gw_str text = head_part(c, c->line_at, end - 2);
	struct gw_h1_line line;
	enum gw_err e;

	if (text.n == 0) {
		if (++c->blank_lines > GW_H1_BLANK_LINES) {
			gw_h1_refuse(c, GW_E_BAD_HTTP);
			return false;
		}
		c->line_at = c->head_first = c->fed = end;
		return true;
	}
	e = check_line(c, text);
	if (!e)
		e = gw_h1_line_read(text, c->s->lim.may_put, &line);
	if (e) {
		gw_h1_refuse(c, e);
		return false;
	}
	c->rq.method = line.method; /* views wait until the head stands still */
	c->rq.is_http10 = line.is_http10;
	c->request_line_bytes = end - c->line_at;
	c->line_at = end;
	return true;
}

/* Before the request line is whole; a CR at its end may be half of its end. */
static void check_unfinished_line(struct gw_h1_conn *c)
{
	struct gw_str s = head_part(c, c->line_at, c->head.n);
	enum gw_err e;

	if (s.p[s.n - 1] == '\r')
		s.n--;
	e = check_line(c, s);
	if (e)
		gw_h1_refuse(c, e);
}

/* Fills rq from the whole head and checks it. */
static enum gw_err read_head(struct gw_h1_conn *c)
{
	size_t fields_at = c->head_first + c->request_line_bytes;
	struct gw_str line = head_part(c, c->head_first, fields_at - 2), method, rest;
	struct gw_str block = head_part(c, fields_at, c->head.n - 2);
	struct gw_h1_framing_in in = { .content_length = -1 };
	const struct gw_h1_limits *lim = &c->s->lim;
	enum gw_err e;

	if (block.n > lim->head_bytes)
		return GW_E_HEADERS_TOO_BIG;
	c->fields.max = lim->head_count * sizeof(struct gw_h1_header);
	gw_buf_clear(&c->fields, SIZE_MAX);
	e = gw_h1_fields_read(block, c->rq.is_http10, lim->head_count, &c->fields, &in);
	(void)gw_str_cut(line, ' ', &method, &rest);
	(void)gw_str_cut(rest, ' ', &c->rq.target, &rest);
	if (!gw_str_cut(c->rq.target, '?', &c->rq.path, &c->rq.query))
		c->rq.query = GW_NIL;
	if (e)
		return e;
	c->rq.headers = (const struct gw_h1_header *)(const void *)c->fields.p;
	c->rq.n_headers = (uint32_t)(c->fields.n / sizeof(struct gw_h1_header));
	c->rq.host = in.host;
	c->rq.content_length = in.content_length;
	c->rq.has_body = in.is_chunked || in.content_length > 0;
	c->is_chunked = in.is_chunked;
	c->is_expecting = in.is_expecting;
	if (in.is_closing || ++c->requests >= lim->requests_per_connection || c->s->is_draining)
		c->must_close = true;
	return GW_OK;
}

/* ---- to the owner ---- */

static void serve(struct gw_h1_conn *c)
{
	c->rq.body_done_ns = c->rq.has_body ? gw_recent_ns() : c->rq.head_done_ns;
	c->rq.wire_bytes = c->head.n + c->body_wire_bytes;
	c->rq.body = c->rq.has_body ? gw_buf_view(&c->body) : GW_NIL;
	c->phase = GW_H1_PH_SERVING;
	c->is_served = true;
	c->s->ops.on_request(c->s->ctx, c, &c->rq);
}

/* The head is sound. What the owner says decides about the body. */
static void begin_body(struct gw_h1_conn *c)
{
	size_t body_max = 0;
	enum gw_err e;

	c->rq.head_done_ns = gw_recent_ns();
	if (c->rq.method == GW_H1_OPTIONS && c->rq.target.n == 1 && c->rq.target.p[0] == '*') {
		c->must_close |= c->rq.has_body;
		c->phase = GW_H1_PH_SERVING;
		gw_h1_out_options(c);
		return;
	}
	c->phase = GW_H1_PH_BODY;
	e = c->s->ops.on_head(c->s->ctx, c, &c->rq, &body_max);
	c->is_owned = !e;
	if (c->phase != GW_H1_PH_BODY)
		return; /* closed meanwhile */
	if (e) {
		decline(c, e);
		return;
	}
	if (c->answer != GW_H1_UNANSWERED) { /* answered from on_head */
		c->must_close |= c->rq.has_body;
		c->phase = GW_H1_PH_SERVING;
		c->is_served = true;
		return;
	}
	if (c->rq.has_body && body_max == 0) {
		gw_h1_refuse(c, GW_E_BAD_HTTP);
		return;
	}
	if (c->rq.content_length > 0 && (uint64_t)c->rq.content_length > body_max) {
		gw_h1_refuse(c, GW_E_TOO_BIG);
		return;
	}
	c->body_since_ms = uv_now(c->s->loop);
	if (c->is_streamed && c->rq.has_body) {
		c->upload_max = body_max;
		c->body.max = GW_H1_PIECE_BYTES;
		c->is_served = true;
		c->s->ops.on_request(c->s->ctx, c, &c->rq);
		return;
	}
	c->is_streamed = false;
	c->body.max = body_max;
	if (c->rq.content_length > 0 && c->rq.content_length <= GW_H1_READ_BYTES)
		(void)gw_buf_room(&c->body, (size_t)c->rq.content_length);
}

/* The blank line is at the end of c->head: all of it to our reading, then to the parser. */
static void end_head(struct gw_h1_conn *c)
{
	enum gw_err e = read_head(c);
	size_t taken;

	if (e) {
		gw_h1_refuse(c, e);
		return;
	}
	if (!feed(c, head_part(c, c->fed, c->head.n), &taken))
		return;
	if (c->is_complete == c->rq.has_body || taken != c->head.n - c->fed) {
		gw_h1_refuse(c, GW_E_BAD_HTTP);
		return;
	}
	begin_body(c);
	if (c->phase == GW_H1_PH_BODY && c->is_complete)
		serve(c);
}

/* The whole lines of c->head from line_at on. False: nothing more to do here (refused, or the head is done). */
static bool take_lines(struct gw_h1_conn *c)
{
	const char *lf;

	while ((lf = memchr(c->head.p + c->line_at, '\n', c->head.n - c->line_at)) != NULL) {
		size_t end = (size_t)(lf - c->head.p) + 1;

		if (end - c->line_at < 2 || lf[-1] != '\r') {
			gw_h1_refuse(c, GW_E_BAD_HTTP); /* bare LF */
			return false;
		}
		if (c->request_line_bytes == 0) {
			if (!take_first_line(c, end))
				return false;
		} else if (end - c->line_at == 2) {
			end_head(c);
			return false;
		} else {
			c->line_at = end;
		}
	}
	return true;
}

static size_t take_head(struct gw_h1_conn *c, struct gw_str in)
{
	size_t n = up_to_blank_line(c, in), room = c->head.max - c->head.n, taken;

	if (n > room)
		n = room; /* a head that fills it is refused below */
	gw_buf_put(&c->head, in.p, n);
	if (c->head.err) {
		gw_h1_refuse(c, GW_E_NOMEM);
		return n;
	}
	if (!take_lines(c))
		return n;
	if (c->request_line_bytes == 0) {
		if (c->line_at == c->head.n) { /* blank lines only: dropped */
			gw_buf_clear(&c->head, SIZE_MAX);
			c->line_at = c->head_first = c->fed = 0;
		} else {
			check_unfinished_line(c);
		}
	} else if (c->head.n - c->head_first - c->request_line_bytes > c->s->lim.head_bytes) {
		gw_h1_refuse(c, GW_E_HEADERS_TOO_BIG);
	} else if (c->fed < c->head.n && feed(c, head_part(c, c->fed, c->head.n), &taken)) {
		c->fed = c->head.n;
	}
	return n;
}

/* ---- body ---- */

/* What the parser left in c->body goes to the owner. */
static void hand_over(struct gw_h1_conn *c)
{
	struct gw_str piece = gw_buf_view(&c->body);
	bool is_end = c->is_complete;

	if (is_end) {
		c->phase = GW_H1_PH_SERVING;
		c->rq.body_done_ns = gw_now_ns();
	}
	c->rq.wire_bytes = c->head.n + c->body_wire_bytes;
	if (piece.n || is_end)
		c->s->ops.on_body(c->s->ctx, c, piece, is_end, GW_OK);
	gw_buf_clear(&c->body, GW_H1_KEEP_BYTES);
}

static size_t take_body(struct gw_h1_conn *c, struct gw_str in)
{
	size_t taken;

	if (!feed(c, in, &taken))
		return in.n;
	c->body_wire_bytes += taken;
	if (c->is_streamed)
		hand_over(c);
	else if (c->is_complete)
		serve(c);
	return taken;
}

size_t gw_h1_parse(struct gw_h1_conn *c, struct gw_str in)
{
	size_t done = 0;

	while (done < in.n) {
		struct gw_str rest = gw_str_skip(in, done);

		if (c->phase == GW_H1_PH_IDLE)
			begin(c);
		if (c->phase == GW_H1_PH_HEAD)
			done += take_head(c, rest);
		else if (c->phase == GW_H1_PH_BODY)
			done += take_body(c, rest);
		else
			break;
	}
	/* The client waits for our word before it sends the body. */
	if (c->phase == GW_H1_PH_BODY && c->is_expecting) {
		c->is_expecting = false;
		if (c->body_wire_bytes == 0)
			gw_h1_out_continue(c);
	}
	return done;
}
