/* Bodies that come while they are sent: two buffers, one that the socket is taking from and must stand still, one that grows behind it.
 * The connection sees them as one piece after another. */
#include <stdio.h>

#include "net/upstream_int.h"

static size_t queued(const struct gw_up_req *q)
{
	return gw_buf_len(&q->waiting) + (q->piece.n && q->conn ? q->piece.n - q->conn->w_off : 0);
}

bool up_upload_is_waiting(const struct gw_up_req *q)
{
	return q->conn && q->conn->sock && q->conn->sock->is_writing;
}

bool up_upload_next(struct up_conn *c)
{
	struct gw_up_req *q = c->req;
	struct gw_buf empty = q->sending;

	if (!q->is_streamed)
		return false;
	c->w_piece = 1; /* 0 is the head */
	c->w_off = 0;
	q->piece = GW_NIL;
	gw_buf_clear(&empty, UP_UPLOAD_HIGH);
	q->sending = q->waiting;
	q->waiting = empty;
	q->piece = gw_buf_view(&q->sending);
	return q->piece.n > 0;
}

void up_upload_tell_room(struct up_conn *c)
{
	struct gw_up_req *q = c->req;

	if (!q->is_room_owed || q->is_upload_ended || (queued(q) > UP_UPLOAD_LOW && !c->is_write_broken))
		return;
	q->is_room_owed = false;
	q->on_room(q->ctx);
}

static void put(struct gw_up_req *q, struct gw_str bytes)
{
	char size[24];
	int n;

	if (!q->is_chunked) {
		gw_buf_puts(&q->waiting, bytes);
		return;
	}
	n = snprintf(size, sizeof(size), "%zx\r\n", bytes.n);
	gw_buf_put(&q->waiting, size, (size_t)n);
	gw_buf_puts(&q->waiting, bytes);
	gw_buf_put(&q->waiting, "\r\n", 2);
}

/* Writes what waits. A queue that cannot grow is an owner that does not heed its answers: the request fails from the loop. */
static void go_on(struct gw_up_req *q)
{
	struct up_conn *c = q->conn;

	if (q->waiting.err) {
		q->late_err = GW_E_NOMEM;
		gw_wheel_set(&q->up->wheel, &q->timer, 0);
		return;
	}
	if (!c->sock->is_writing)
		up_conn_write(c);
}

bool up_upload_write(struct gw_up_req *q, struct gw_str bytes)
{
	struct up_conn *c = q->conn;

	GW_REQUIRE(c && c->sock);
	if (bytes.n == 0 || c->is_write_broken) /* what the provider said before it closed is still to be read */
		return true;
	put(q, bytes);
	go_on(q);
	if (queued(q) <= UP_UPLOAD_HIGH)
		return true;
	q->is_room_owed = true;
	return false;
}

void up_upload_end(struct gw_up_req *q)
{
	GW_REQUIRE(q->conn && q->conn->sock);
	if (q->is_chunked)
		gw_buf_puts(&q->waiting, GW_LIT("0\r\n\r\n"));
	q->is_upload_ended = true;
	go_on(q);
}
