/* The native backend as upstream.c sees it: the head of a request as bytes, and which function does what. */
#include "net/upstream_int.h"

static enum gw_err write_head(struct gw_up_req *q, const struct gw_up_send *s)
{
	struct gw_buf *b = &q->head;
	uint64_t length;

	gw_buf_puts(b, s->method);
	gw_buf_putc(b, ' ');
	gw_buf_puts(b, s->path);
	gw_buf_puts(b, GW_LIT(" HTTP/1.1\r\nHost: "));
	gw_buf_put(b, q->ep->host_header, q->ep->host_header_n);
	gw_buf_puts(b, GW_LIT("\r\nAccept-Encoding: identity\r\n"));
	for (uint32_t i = 0; i < s->n_headers; i++) {
		const struct gw_up_header *h = &s->headers[i];

		if (!up_header_may(h))
			return GW_E_INVALID;
		gw_buf_puts(b, h->name);
		gw_buf_put(b, ": ", 2);
		gw_buf_puts(b, h->value);
		gw_buf_put(b, "\r\n", 2);
	}
	if (up_has_length(s, &length)) {
		gw_buf_puts(b, GW_LIT("Content-Length: "));
		gw_buf_put_u64(b, length);
		gw_buf_put(b, "\r\n", 2);
	} else if (s->is_streamed) {
		gw_buf_puts(b, GW_LIT("Transfer-Encoding: chunked\r\n"));
	}
	gw_buf_put(b, "\r\n", 2);
	return b->err;
}

static enum gw_err start(struct gw_up_req *q, const struct gw_up_send *s)
{
	enum gw_err e = write_head(q, s);

	return e == GW_OK ? up_pool_take(q, s->must_be_fresh) : e;
}

static void drop(struct gw_up_req *q)
{
	struct up_conn *c = q->conn;

	if (c) {
		struct gw_endpoint *ep = c->ep;

		c->req = NULL;
		q->conn = NULL;
		up_conn_give_up(c);
		up_pool_next(ep);
	}
	up_queue_remove(q);
}

static void fail(struct gw_up_req *q, enum gw_err err, const char *detail)
{
	if (q->conn) {
		up_conn_fail(q->conn, err, detail);
		return;
	}
	up_queue_remove(q);
	up_req_end(q, err, detail);
}

static void pause_reading(struct gw_up_req *q, bool is_paused)
{
	up_conn_pause(q->conn, is_paused);
}

static void close_all(struct gw_endpoint *ep)
{
	while (ep->conns)
		up_conn_give_up(ep->conns);
}

const struct up_backend up_native = {
	.start = start,
	.drop = drop,
	.fail = fail,
	.pause = pause_reading,
	.write = up_upload_write,
	.write_end = up_upload_end,
	.is_upload_waiting = up_upload_is_waiting,
	.sweep = up_pool_sweep_idle,
	.close = close_all,
};
