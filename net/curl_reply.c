/* What libcurl calls while it works: for a socket, when the request begins, for its body, with the answer's head and body. Nothing here
 * may call libcurl; a request may be cancelled by what it is told, and then the transfer refuses to go on. */
#include "net/curl_int.h"

#include <errno.h>
#include <unistd.h>

#include "lib/http_chars.h"
#include "lib/sys/clock.h"

static size_t refuse(struct up_xfer *x, enum gw_err err, const char *why)
{
	if (x->err == GW_OK) {
		x->err = err;
		x->why = why;
	}
	return 0;
}

/* --- sockets --- */

curl_socket_t up_curl_on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct up_xfer *x = ctx;
	struct gw_endpoint *ep = x->hub->ep;
	int fd;

	(void)purpose;
	if (!gw_egress_may(&a->addr, ep->allow, ep->n_allow)) {
		ep->up->stats.denied++;
		x->was_denied = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	x->n_sockets++;
	ep->up->stats.connects++;
	ep->up->stats.open++;
	ep->up->stats.idle++; /* until it is polled */
	return fd;
}

int up_curl_on_close(void *ctx, curl_socket_t fd)
{
	struct up_hub *hub = ctx;

	up_hub_forget_fd(hub, fd);
	hub->ep->up->stats.open--;
	hub->ep->up->stats.idle--;
	return close(fd);
}

/* --- the request --- */

static void all_sent(struct up_xfer *x)
{
	struct gw_up_req *q = x->q;

	if (x->is_all_sent)
		return;
	x->is_all_sent = true;
	q->times.sent_ns = gw_recent_ns();
	if (q->phase == UP_PH_SEND)
		up_req_phase(q, UP_PH_FIRST);
}

/* Right before the request goes out, on a new connection or a reused one. */
int up_curl_on_request(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct up_xfer *x = ctx;
	struct gw_up_req *q = x->q;
	struct gw_up_stats *stats = &x->hub->ep->up->stats;

	(void)ip, (void)local_ip, (void)port, (void)local_port;
	if (!q)
		return CURL_PREREQFUNC_ABORT;
	if (!x->is_connected) {
		x->is_connected = true;
		x->hub->n_connected++;
		stats->reused += x->n_sockets == 0;
		stats->handshakes += x->n_sockets > 0 && x->hub->ep->is_https;
	}
	q->times.connected_ns = gw_recent_ns();
	up_req_phase(q, q->is_streamed ? UP_PH_SEND : UP_PH_FIRST);
	if (q->is_streamed)
		q->on_room(q->ctx);
	else if (x->upload <= 0)
		all_sent(x);
	return CURL_PREREQFUNC_OK;
}

static size_t read_whole(struct up_xfer *x, char *to, size_t room)
{
	const struct gw_up_req *q = x->q;
	size_t n = 0;

	while (n < room && x->piece < q->n_body) {
		struct gw_str p = gw_str_skip(q->body[x->piece], x->off);
		size_t step = p.n < room - n ? p.n : room - n;

		if (step > 0)
			memcpy(to + n, p.p, step);
		n += step;
		x->off += step;
		if (step == p.n) {
			x->piece++;
			x->off = 0;
		}
	}
	return n;
}

static size_t read_stream(struct up_xfer *x, char *to, size_t room)
{
	struct gw_up_req *q = x->q;
	struct gw_str v = gw_buf_view(&q->waiting);
	size_t n = v.n < room ? v.n : room;

	if (n > 0) {
		memcpy(to, v.p, n);
		gw_buf_consume(&q->waiting, n);
	}
	if (q->is_room_owed && gw_buf_len(&q->waiting) <= UP_UPLOAD_LOW) {
		q->is_room_owed = false;
		q->on_room(q->ctx);
	}
	if (q->phase == UP_PH_SEND)
		up_req_phase(q, UP_PH_SEND);
	if (n == 0 && !q->is_upload_ended) {
		x->is_send_held = true;
		return CURL_READFUNC_PAUSE;
	}
	return n;
}

size_t up_curl_on_read(char *to, size_t size, size_t n, void *ctx)
{
	struct up_xfer *x = ctx;
	size_t got;

	if (!x->q)
		return CURL_READFUNC_ABORT;
	got = x->q->is_streamed ? read_stream(x, to, size * n) : read_whole(x, to, size * n);
	if (got == CURL_READFUNC_PAUSE)
		return got;
	x->uploaded += got;
	if (got == 0 || (x->upload >= 0 && x->uploaded >= (uint64_t)x->upload))
		all_sent(x);
	return got;
}

/* libcurl would send a request again by itself, up to five times, when a reused connection dies. Whether and where it goes again is judged
 * above: UP_STALE. */
int up_curl_on_seek(void *ctx, curl_off_t off, int origin)
{
	(void)ctx, (void)off, (void)origin;
	return CURL_SEEKFUNC_FAIL;
}

/* --- the head --- */

static bool is_http1(const struct up_xfer *x)
{
	return x->head.n > 0 && x->head.p[0] == '1';
}

static struct gw_str name_of(const struct up_xfer *x, uint32_t i)
{
	return gw_str(x->head.p + x->rows[i].at, x->rows[i].name_n);
}

static struct gw_str value_of(const struct up_xfer *x, uint32_t i)
{
	return gw_str(x->head.p + x->rows[i].at + x->rows[i].name_n, x->rows[i].value_n);
}

/* The same rules as for native answers (h1_client_parse.c): a message that two readers would frame differently is refused. */
static const char *framing_fault(struct up_xfer *x)
{
	uint64_t length;

	x->content_length = -1;
	x->has_te = false;
	for (uint32_t i = 0; i < x->n_rows; i++) {
		struct gw_str name = name_of(x, i);

		if (name.n == 17 && gw_str_ieq(name, GW_LIT("transfer-encoding"))) {
			if (x->has_te || !is_http1(x) || !gw_str_ieq(value_of(x, i), GW_LIT("chunked")))
				return "a transfer encoding other than chunked";
			x->has_te = true;
		}
		if (name.n == 14 && gw_str_ieq(name, GW_LIT("content-length"))) {
			if (x->content_length >= 0 || !gw_str_u64(value_of(x, i), &length) || length > INT64_MAX)
				return "a bad Content-Length";
			x->content_length = (int64_t)length;
		}
	}
	return x->has_te && x->content_length >= 0 ? "both Content-Length and Transfer-Encoding" : NULL;
}

static size_t tell_head(struct up_xfer *x, size_t n)
{
	struct gw_up_req *q = x->q;
	struct gw_up_header *views = x->hub->ep->up->views;
	struct gw_up_reply r = { .status = x->status,
				 .headers = views,
				 .n_headers = x->n_rows,
				 .content_length = x->content_length,
				 .is_reused = x->n_sockets == 0 };

	x->has_head = true;
	if (x->status == 407 && x->hub->ep->proxy_n && !x->hub->ep->is_https)
		return refuse(x, GW_E_UP_PROXY,
			      x->proxy_at ? "the proxy refuses the provider's proxy_credential (407)"
					  : "the proxy wants a credential (407): give the provider a proxy_credential");
	for (uint32_t i = 0; i < x->n_rows; i++)
		views[i] = (struct gw_up_header){ name_of(x, i), value_of(x, i) };
	q->times.head_ns = gw_recent_ns();
	q->ops.on_head(q->ctx, q, &r);
	return x->q ? n : 0;
}

static size_t end_of_head(struct up_xfer *x, size_t n)
{
	const char *fault = framing_fault(x);

	if (fault)
		return refuse(x, GW_E_UP_GARBLED, fault);
	if (x->status < 100 || x->status > 599)
		return refuse(x, GW_E_UP_GARBLED, "a status that does not exist");
	if (x->status == 101)
		return refuse(x, GW_E_UP_GARBLED, "an upgrade nobody asked for");
	if (x->status >= 200)
		return tell_head(x, n);
	if (x->has_te || x->content_length >= 0)
		return refuse(x, GW_E_UP_GARBLED, "an interim answer with a body");
	return ++x->n_interim > GW_H1P_INTERIM ? refuse(x, GW_E_UP_GARBLED, "too many interim answers") : n;
}

static bool is_version(struct gw_str v)
{
	return gw_str_eq(v, GW_LIT("1.1")) || gw_str_eq(v, GW_LIT("1.0")) || gw_str_eq(v, GW_LIT("2"));
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static size_t status_line(struct up_xfer *x, struct gw_str line, size_t n)
{
	struct gw_str version, rest;
	uint64_t status;

	gw_buf_clear(&x->head, 16 << 10);
	x->n_rows = 0;
	if (!gw_str_cut(gw_str_skip(line, 5), ' ', &version, &rest) || rest.n < 3 ||
	    !gw_str_u64(gw_str(rest.p, 3), &status) || (rest.n > 3 && rest.p[3] != ' ') || !is_version(version))
		return refuse(x, GW_E_UP_GARBLED, "not a valid HTTP answer");
	gw_buf_puts(&x->head, gw_str(version.p, 1));
	x->status = (int)status;
	return x->head.err ? refuse(x, GW_E_NOMEM, "no memory for the head") : n;
}

static size_t header_line(struct up_xfer *x, struct gw_str line, size_t n)
{
	struct gw_str name, value;

	if (!gw_str_cut(line, ':', &name, &value) || !gw_http_is_token(name) || !gw_http_is_value(gw_str_trim(value)))
		return refuse(x, GW_E_UP_GARBLED, "not a valid HTTP answer");
	if (x->n_rows >= GW_H1P_HEADERS)
		return refuse(x, GW_E_UP_TOO_BIG, "too many headers");
	value = gw_str_trim(value);
	x->rows[x->n_rows].at = (uint32_t)x->head.n;
	x->rows[x->n_rows].name_n = (uint32_t)name.n;
	x->rows[x->n_rows].value_n = (uint32_t)value.n;
	x->n_rows++;
	gw_buf_puts(&x->head, name);
	gw_buf_puts(&x->head, value);
	return x->head.err ? refuse(x, GW_E_UP_TOO_BIG, "the head is larger than 64 KiB") : n;
}

size_t up_curl_on_header(char *p, size_t size, size_t count, void *ctx)
{
	struct up_xfer *x = ctx;
	size_t n = size * count;
	struct gw_str line = gw_str(p, n);

	if (!x->q)
		return 0;
	if (x->has_head) { /* trailers */
		x->n_trailer_bytes += (uint32_t)n;
		return x->n_trailer_bytes > GW_H1P_TRAILER_BYTES
			   ? refuse(x, GW_E_UP_TOO_BIG, "the trailers are too long")
			   : n;
	}
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (line.n == 0)
		return end_of_head(x, n);
	return gw_str_has_prefix(line, GW_LIT("HTTP/")) ? status_line(x, line, n) : header_line(x, line, n);
}

/* --- the body --- */

size_t up_curl_on_body(char *p, size_t size, size_t count, void *ctx)
{
	struct up_xfer *x = ctx;
	struct gw_up_req *q = x->q;
	size_t n = size * count;

	if (!q)
		return 0;
	if (x->is_paused) {
		x->is_recv_held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (!q->had_body) {
		q->had_body = true;
		q->times.first_body_ns = gw_recent_ns();
	}
	up_req_phase(q, UP_PH_BODY);
	q->ops.on_body(q->ctx, q, gw_str(p, n));
	return x->q ? n : 0;
}
