/* Answers out of bytes, see h1_client_parse.h. What llhttp lets pass and we do not: versions other than 1.0 and 1.1,
 * Transfer-Encoding other than exactly "chunked", upgrades, endless interim answers, heads, extensions and trailers. */
#include "net/h1_client_parse.h"

#include <stdlib.h>

#include "lib/http_chars.h"

enum { SPARE_HEADS = 16 };

static int stop(struct gw_h1p *h, enum gw_err e, const char *why)
{
	if (h->err == GW_OK) {
		h->err = e;
		h->why = why;
	}
	return -1;
}

static struct gw_h1p *of(llhttp_t *p)
{
	return p->data;
}

static void free_head(struct gw_h1p_head *b)
{
	gw_buf_done(&b->bytes);
	free(b);
}

static void give_head(struct gw_h1p *h)
{
	struct gw_h1p_head *b = h->head;

	h->head = NULL;
	h->n_headers = 0;
	if (!b)
		return;
	if (h->heads->n_spare >= SPARE_HEADS) {
		free_head(b);
		return;
	}
	gw_buf_clear(&b->bytes, 16384);
	b->next = h->heads->spare;
	h->heads->spare = b;
	h->heads->n_spare++;
}

static bool take_head(struct gw_h1p *h)
{
	struct gw_h1p_head *b = h->heads->spare;

	if (h->head)
		return true;
	if (b) {
		h->heads->spare = b->next;
		h->heads->n_spare--;
	} else {
		b = malloc(sizeof(*b));
		if (!b)
			return false;
		gw_buf_init(&b->bytes, GW_H1P_HEAD_BYTES);
	}
	b->from = NULL;
	h->head = b;
	return true;
}

void gw_h1p_heads_done(struct gw_h1p_heads *s)
{
	while (s->spare) {
		struct gw_h1p_head *b = s->spare;

		s->spare = b->next;
		free_head(b);
	}
	s->n_spare = 0;
}

static void forget_head(struct gw_h1p *h)
{
	if (h->head)
		gw_buf_clear(&h->head->bytes, 16384);
	h->n_headers = 0;
	h->content_length = -1;
	h->has_te = h->in_value = false;
}

static int on_message_begin(llhttp_t *p)
{
	struct gw_h1p *h = of(p);

	forget_head(h);
	return take_head(h) ? 0 : stop(h, GW_E_NOMEM, "no memory for the answer's head");
}

static int put(struct gw_h1p *h, const char *at, size_t n)
{
	gw_buf_put(&h->head->bytes, at, n);
	return h->head->bytes.err ? stop(h, GW_E_UP_TOO_BIG, "the head is larger than 64 KiB") : 0;
}

static int count_trailer(struct gw_h1p *h, size_t n)
{
	h->n_trailer_bytes += (uint32_t)n;
	return h->n_trailer_bytes > GW_H1P_TRAILER_BYTES ? stop(h, GW_E_UP_TOO_BIG, "the trailers are too long") : 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1p *h = of(p);

	if (h->has_head)
		return count_trailer(h, n);
	if (h->n_headers == 0 || h->in_value) {
		if (h->n_headers >= GW_H1P_HEADERS)
			return stop(h, GW_E_UP_TOO_BIG, "too many headers");
		h->head->rows[h->n_headers].at = (uint32_t)h->head->bytes.n;
		h->head->rows[h->n_headers].name_n = h->head->rows[h->n_headers].value_n = 0;
		h->n_headers++;
		h->in_value = false;
	}
	h->head->rows[h->n_headers - 1].name_n += (uint32_t)n;
	return put(h, at, n);
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1p *h = of(p);

	if (h->has_head)
		return count_trailer(h, n);
	h->in_value = true;
	h->head->rows[h->n_headers - 1].value_n += (uint32_t)n;
	return put(h, at, n);
}

/* llhttp tells an empty value by this event only. */
static int on_value_done(llhttp_t *p)
{
	of(p)->in_value = true;
	return 0;
}

static int on_ext(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1p *h = of(p);

	(void)at;
	h->n_ext_bytes += (uint32_t)n;
	return h->n_ext_bytes > GW_H1P_CHUNK_EXT_BYTES ? stop(h, GW_E_UP_TOO_BIG, "the chunk extensions are too long")
						       : 0;
}

static struct gw_str value_of(const struct gw_h1p *h, uint32_t i)
{
	return gw_str_trim(
	    gw_str(h->head->bytes.p + h->head->rows[i].at + h->head->rows[i].name_n, h->head->rows[i].value_n));
}

void gw_h1p_headers(const struct gw_h1p *h, struct gw_up_header out[GW_H1P_HEADERS])
{
	const char *from = h->head->from;

	for (uint32_t i = 0; from && i < h->n_headers; i++)
		out[i] = (struct gw_up_header){ gw_str(from + h->head->rows[i].at, h->head->rows[i].name_n),
						gw_str(from + h->head->rows[i].value_at, h->head->rows[i].value_n) };
	for (uint32_t i = 0; !from && i < h->n_headers; i++)
		out[i] = (struct gw_up_header){ gw_str(h->head->bytes.p + h->head->rows[i].at, h->head->rows[i].name_n),
						value_of(h, i) };
}

static int check_framing(struct gw_h1p *h)
{
	uint64_t length;

	for (uint32_t i = 0; i < h->n_headers; i++) {
		struct gw_str name = gw_str(h->head->bytes.p + h->head->rows[i].at, h->head->rows[i].name_n);

		if (name.n == 17 && gw_str_ieq(name, GW_LIT("transfer-encoding"))) {
			if (h->has_te || !gw_str_ieq(value_of(h, i), GW_LIT("chunked")))
				return stop(h, GW_E_UP_GARBLED, "a transfer encoding other than chunked");
			h->has_te = true;
		}
		if (name.n == 14 && gw_str_ieq(name, GW_LIT("content-length"))) {
			if (h->content_length >= 0 || !gw_str_u64(value_of(h, i), &length) || length > INT64_MAX)
				return stop(h, GW_E_UP_GARBLED, "a bad Content-Length");
			h->content_length = (int64_t)length;
		}
	}
	if (h->has_te && h->content_length >= 0)
		return stop(h, GW_E_UP_GARBLED, "both Content-Length and Transfer-Encoding");
	return 0;
}

static int on_headers_done(llhttp_t *p)
{
	struct gw_h1p *h = of(p);
	bool is_wanted;

	h->status = llhttp_get_status_code(p);
	if (p->http_major != 1 || p->http_minor > 1)
		return stop(h, GW_E_UP_GARBLED, "not HTTP/1.0 or 1.1");
	if (h->status < 100 || h->status > 599)
		return stop(h, GW_E_UP_GARBLED, "a status that does not exist");
	if (h->status == 101)
		return stop(h, GW_E_UP_GARBLED, "an upgrade nobody asked for");
	if (check_framing(h) != 0)
		return -1;
	if (h->status < 200) /* llhttp would read a body here if a length said so */
		return h->has_te || h->content_length >= 0 ? stop(h, GW_E_UP_GARBLED, "an interim answer with a body")
							   : 0;
	h->has_head = true;
	is_wanted = h->on_head(h->ctx);
	give_head(h);
	if (!is_wanted)
		return stop(h, GW_E_CLIENT_GONE, "the request is gone");
	/* 1: no body whatever the headers say; what comes all the same makes the connection unclean */
	return h->is_head_request || h->status == 204 || h->status == 304 ? 1 : 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct gw_h1p *h = of(p);

	if (n > 0 && !h->on_body(h->ctx, gw_str(at, n)))
		return stop(h, GW_E_CLIENT_GONE, "the request is gone");
	return 0;
}

static int on_message_done(llhttp_t *p)
{
	struct gw_h1p *h = of(p);

	if (h->has_head) {
		h->is_done = true;
		return HPE_PAUSED; /* what follows belongs to nobody */
	}
	if (++h->n_interim > GW_H1P_INTERIM)
		return stop(h, GW_E_UP_GARBLED, "too many interim answers");
	return 0;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_message_begin,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_done,
	.on_chunk_extension_name = on_ext,
	.on_chunk_extension_value = on_ext,
	.on_headers_complete = on_headers_done,
	.on_body = on_body,
	.on_message_complete = on_message_done,
};

/* ---- plain answers ----
 *
 * Nearly every answer that is no stream has its head in one piece, in the plainest grammar, with a length. Reading it here takes a quarter
 * of what llhttp takes. Whatever is not exactly that goes to llhttp from its first byte on, so nothing is taken here that it would refuse,
 * and faults have one judge. */

/* "HTTP/1.1 200 OK" with a body that its length alone tells; 0: something else. */
static int plain_status(struct gw_str line)
{
	const char *p = line.p;

	if (line.n < 13 || memcmp(p, "HTTP/1.1 ", 9) != 0 || p[9] < '2' || p[9] > '5' || p[10] < '0' || p[10] > '9' ||
	    p[11] < '0' || p[11] > '9' || p[12] != ' ' || !gw_http_is_value(line))
		return 0;
	int status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] - '0';

	return status == 204 || status == 304 ? 0 : status;
}

/* Does this field leave the framing to Content-Length? */
static bool is_plain_field(struct gw_h1p *h, struct gw_str name, struct gw_str value)
{
	uint64_t length;

	switch (name.n) {
	case 7:
		return !gw_str_ieq(name, GW_LIT("upgrade"));
	case 10:
		return !gw_str_ieq(name, GW_LIT("connection")) || gw_str_ieq(value, GW_LIT("keep-alive"));
	case 14:
		if (!gw_str_ieq(name, GW_LIT("content-length")))
			return true;
		if (h->content_length >= 0 || !gw_str_u64(value, &length) || length > INT64_MAX)
			return false;
		h->content_length = (int64_t)length;
		return true;
	case 16:
		return !gw_str_ieq(name, GW_LIT("proxy-connection"));
	case 17:
		return !gw_str_ieq(name, GW_LIT("transfer-encoding"));
	default:
		return true;
	}
}

/* line: without CRLF. */
static bool take_plain_field(struct gw_h1p *h, const char *from, struct gw_str line)
{
	size_t colon = gw_str_find(line, ':');
	struct gw_str name = gw_str(line.p, colon), value;

	if (colon == line.n || h->n_headers >= GW_H1P_HEADERS)
		return false;
	value = gw_str_skip(line, colon + 1);
	if (value.n && value.p[0] == ' ')
		value = gw_str_skip(value, 1);
	if (!gw_http_is_token(name) || !gw_http_is_value(value) ||
	    (value.n && (value.p[0] == ' ' || value.p[0] == '\t' || value.p[value.n - 1] == ' ' ||
			 value.p[value.n - 1] == '\t')) ||
	    !is_plain_field(h, name, value))
		return false;
	h->head->rows[h->n_headers].at = (uint32_t)(name.p - from);
	h->head->rows[h->n_headers].name_n = (uint32_t)name.n;
	h->head->rows[h->n_headers].value_at = (uint32_t)(value.p - from);
	h->head->rows[h->n_headers++].value_n = (uint32_t)value.n;
	return true;
}

/* Bytes of a plain head at the beginning of the bytes; 0: it is none, nothing was taken. */
static size_t read_plain_head(struct gw_h1p *h, const char *p, size_t n)
{
	const char *at = p, *end = p + (n < GW_H1P_HEAD_BYTES ? n : GW_H1P_HEAD_BYTES), *lf;
	bool is_good = !h->is_head_request && take_head(h);

	h->status = 0;
	while (is_good && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL && lf > at && lf[-1] == '\r') {
		struct gw_str line = gw_str(at, (size_t)(lf - at) - 1);

		at = lf + 1;
		if (line.n == 0 && h->content_length >= 0) {
			h->head->from = p;
			return (size_t)(at - p);
		}
		if (h->status)
			is_good = line.n && take_plain_field(h, p, line);
		else
			is_good = (h->status = plain_status(line)) != 0;
	}
	forget_head(h);
	return 0;
}

static enum gw_err feed_plain(struct gw_h1p *h, const char *p, size_t n, size_t *used)
{
	size_t part = (uint64_t)h->left < n ? (size_t)h->left : n;

	if (part && !h->on_body(h->ctx, gw_str(p, part))) {
		stop(h, GW_E_CLIENT_GONE, "the request is gone");
		return h->err;
	}
	h->left -= (int64_t)part;
	h->is_done = h->left == 0;
	*used += part;
	return GW_OK;
}

/* The first bytes of an answer: plain, or llhttp's. */
static size_t begin(struct gw_h1p *h, const char *p, size_t n)
{
	size_t head_n = read_plain_head(h, p, n);

	h->is_begun = true;
	h->is_plain = head_n > 0;
	if (!h->is_plain) {
		llhttp_init(&h->p, HTTP_RESPONSE, &settings);
		GW_REQUIRE(h->p.lenient_flags == 0);
		h->p.data = h;
		return 0;
	}
	h->has_head = true;
	h->left = h->content_length;
	if (!h->on_head(h->ctx))
		stop(h, GW_E_CLIENT_GONE, "the request is gone");
	give_head(h);
	return head_n;
}

void gw_h1p_init(struct gw_h1p *h, struct gw_h1p_heads *heads)
{
	h->heads = heads;
	h->head = NULL;
	gw_h1p_start(h, false);
}

void gw_h1p_done(struct gw_h1p *h)
{
	give_head(h);
}

void gw_h1p_start(struct gw_h1p *h, bool is_head_request)
{
	give_head(h);
	forget_head(h);
	h->n_interim = h->n_trailer_bytes = h->n_ext_bytes = 0;
	h->status = 0;
	h->err = GW_OK;
	h->why = "";
	h->is_head_request = is_head_request;
	h->is_begun = h->is_plain = h->has_head = h->is_done = false;
}

enum gw_err gw_h1p_feed(struct gw_h1p *h, const char *p, size_t n, size_t *used)
{
	llhttp_errno_t r;

	*used = 0;
	if (h->is_done || n == 0)
		return GW_OK;
	if (!h->is_begun)
		*used = begin(h, p, n);
	if (h->err != GW_OK)
		return h->err;
	if (h->is_plain)
		return feed_plain(h, p + *used, n - *used, used);
	r = llhttp_execute(&h->p, p, n);
	if (h->err != GW_OK)
		return h->err;
	if (h->is_done) {
		*used = (size_t)(llhttp_get_error_pos(&h->p) - p);
		return GW_OK;
	}
	if (r != HPE_OK) {
		stop(h, GW_E_UP_GARBLED, "not a valid HTTP answer");
		return h->err;
	}
	*used = n;
	return GW_OK;
}

enum gw_err gw_h1p_eof(struct gw_h1p *h)
{
	if (!h->has_head)
		return GW_E_UP_RESET;
	if (!h->is_done && (h->has_te || h->content_length >= 0))
		return GW_E_UP_CUT;
	if (!h->is_done && llhttp_finish(&h->p) != HPE_OK && !h->is_done)
		return GW_E_UP_CUT;
	return h->is_done ? GW_OK : GW_E_UP_CUT;
}

bool gw_h1p_may_reuse(const struct gw_h1p *h)
{
	/* 204, 304 and HEAD end without a body whatever their headers say */
	return h->is_done && (h->is_plain || (llhttp_should_keep_alive(&h->p) && h->p.http_minor == 1));
}
