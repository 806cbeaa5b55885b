/* Requests to providers: checked, followed by one deadline at a time, and ended exactly once. How they travel is their
 * endpoint's business: native HTTP/1.1 (h1_client*.c, pool.c) or libcurl (curl_*.c). */
#include <stdio.h>
#include <stdlib.h>

#include "lib/http_chars.h"
#include "lib/secret.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "net/curl_lib.h"
#include "net/upstream_int.h"

enum {
	HEAD_BYTES = 128 << 10,
	KEEP_HEAD_BYTES = 16 << 10,
	KEEP_REQS = 1024,
	TRIMMED_REQS = 16,
	QUEUE_MS = 5000,
	CONNECT_MS = 5000,
	FIRST_BYTE_MS = 120000,
	IDLE_MS = 60000,
	TOTAL_MS = 1800000,
	POOL_IDLE_MS = 60000,
	POOL_IDLE_MAX = 256
};

/* --- the life of a request --- */

static void on_deadline(void *ctx);

static struct gw_up_req *new_req(struct gw_upstream *up)
{
	struct gw_up_req *q = up->free_reqs;
	struct gw_buf head;

	if (q) {
		up->free_reqs = q->next;
		up->n_free_reqs--;
		head = q->head;
	} else {
		q = malloc(sizeof(*q));
		if (!q)
			return NULL;
		gw_buf_init(&head, HEAD_BYTES);
	}
	*q = (struct gw_up_req){ .up = up, .head = head, .timer = { .fn = on_deadline, .ctx = q } };
	q->all_next = up->all_reqs;
	if (up->all_reqs)
		up->all_reqs->all_prev = q;
	up->all_reqs = q;
	return q;
}

static void free_req(struct gw_up_req *q)
{
	struct gw_upstream *up = q->up;

	gw_wheel_drop(&up->wheel, &q->timer);
	*(q->all_prev ? &q->all_prev->all_next : &up->all_reqs) = q->all_next;
	if (q->all_next)
		q->all_next->all_prev = q->all_prev;
	if (q->ep)
		q->ep->n_reqs--;
	if (q->head.p)
		gw_wipe(q->head.p, q->head.n);
	gw_buf_clear(&q->head, KEEP_HEAD_BYTES);
	if (q->is_streamed) {
		gw_buf_done(&q->sending);
		gw_buf_done(&q->waiting);
	}
	if (up->n_free_reqs >= KEEP_REQS) {
		gw_buf_done(&q->head);
		free(q);
		return;
	}
	q->next = up->free_reqs;
	up->free_reqs = q;
	up->n_free_reqs++;
}

static void drop_free_req(struct gw_upstream *up)
{
	struct gw_up_req *q = up->free_reqs;

	up->free_reqs = q->next;
	up->n_free_reqs--;
	gw_buf_done(&q->head);
	free(q);
}

void gw_upstream_trim(struct gw_upstream *up)
{
	while (up->n_free_reqs > TRIMMED_REQS)
		drop_free_req(up);
}

static void start_upload(struct gw_up_req *q, const struct gw_up_send *s)
{
	q->is_streamed = true;
	q->is_chunked = s->stream_length < 0;
	q->on_room = s->on_room;
	gw_buf_init(&q->sending, UP_UPLOAD_MAX);
	gw_buf_init(&q->waiting, UP_UPLOAD_MAX);
	q->body = &q->piece;
	q->n_body = 1;
}

void up_req_end(struct gw_up_req *q, enum gw_err err, const char *detail)
{
	q->is_ended = true;
	q->times.end_ns = err ? gw_now_ns() : gw_recent_ns(); /* of the read that brought the end */
	gw_wheel_drop(&q->up->wheel, &q->timer);
	q->ops.on_end(q->ctx, q, err, gw_str_z(detail));
	free_req(q);
}

void up_req_phase(struct gw_up_req *q, enum up_phase phase)
{
	struct gw_wheel *w = &q->up->wheel;
	uint64_t now = gw_wheel_now_ms(w), due;

	q->phase = phase;
	switch (phase) {
	case UP_PH_QUEUE:
		q->phase_due_ms = now + q->deadlines.queue_ms;
		break;
	case UP_PH_CONNECT:
		q->phase_due_ms = now + q->deadlines.connect_ms;
		break;
	case UP_PH_SEND: /* while there is nothing to send the client has deadlines of its own */
		q->phase_due_ms = q->ep->via->is_upload_waiting(q) ? now + q->deadlines.idle_ms : UINT64_MAX;
		break;
	case UP_PH_FIRST:
		q->phase_due_ms = now + q->deadlines.first_byte_ms;
		break;
	case UP_PH_BODY:
		q->phase_due_ms = now + q->deadlines.idle_ms;
		break;
	case UP_PH_PAUSED:
		q->phase_due_ms = UINT64_MAX;
		break;
	}
	/* a deadline that moves away costs nothing: the wheel finds out when it comes by */
	due = q->phase_due_ms < q->total_due_ms ? q->phase_due_ms : q->total_due_ms;
	if (!q->timer.next || q->timer.due_ms > due)
		gw_wheel_set(w, &q->timer, due);
}

static void on_deadline(void *ctx)
{
	static const struct {
		enum gw_err err;
		const char *words;
	} rows[] = {
		[UP_PH_QUEUE] = { GW_E_UP_QUEUE, "no connection became free in time" },
		[UP_PH_CONNECT] = { GW_E_UP_CONNECT, "the connection was not made in time" },
		[UP_PH_SEND] = { GW_E_UP_TIMEOUT, "the provider stopped taking the request's body" },
		[UP_PH_FIRST] = { GW_E_UP_TIMEOUT, "the answer did not begin in time" },
		[UP_PH_BODY] = { GW_E_UP_STALLED, "the answer stopped coming" },
	};
	struct gw_up_req *q = ctx;
	uint64_t now = gw_wheel_now_ms(&q->up->wheel);

	if (q->late_err != GW_OK)
		q->ep->via->fail(q, q->late_err, q->detail[0] ? q->detail : "the request could not be started");
	else if (q->total_due_ms <= now)
		q->ep->via->fail(q, GW_E_UP_TOTAL, "the whole answer took too long");
	else if (q->phase_due_ms <= now)
		q->ep->via->fail(q, rows[q->phase].err, rows[q->phase].words);
	else
		gw_wheel_set(&q->up->wheel, &q->timer,
			     q->phase_due_ms < q->total_due_ms ? q->phase_due_ms : q->total_due_ms);
}

/* --- what may be sent --- */

bool up_path_may(struct gw_str s)
{
	uint8_t bad = 0;

	for (size_t i = 0; i < s.n; i++)
		bad |= (uint8_t)(s.p[i] - '!') > '~' - '!' || s.p[i] == '#';
	return !bad && s.n > 0 && s.p[0] == '/';
}

/* Headers that frame the message or the connection are ours alone. */
static bool is_ours(struct gw_str name)
{
	static const struct gw_str ours[] = {
		{ "te", 2 },
		{ "host", 4 },
		{ "expect", 6 },
		{ "trailer", 7 },
		{ "upgrade", 7 },
		{ "connection", 10 },
		{ "keep-alive", 10 },
		{ "content-length", 14 },
		{ "accept-encoding", 15 },
		{ "transfer-encoding", 17 },
	};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ours[i].n == name.n && gw_str_ieq(ours[i], name))
			return true;
	return false;
}

bool up_header_may(const struct gw_up_header *h)
{
	return gw_http_is_token(h->name) && gw_http_is_value(h->value) && !is_ours(h->name);
}

bool up_has_length(const struct gw_up_send *s, uint64_t *length)
{
	*length = s->is_streamed && s->stream_length > 0 ? (uint64_t)s->stream_length : 0;
	for (uint32_t i = 0; i < s->n_body; i++)
		*length += s->body[i].n;
	return s->is_streamed ? s->stream_length >= 0 : s->n_body > 0 || s->method.p[0] == 'P'; /* POST, PUT, PATCH */
}

static uint64_t or_default(uint64_t v, uint64_t usual)
{
	return v ? v : usual;
}

enum gw_err gw_upstream_send(struct gw_upstream *up, const struct gw_up_send *s, const struct gw_up_ops *ops, void *ctx,
			     struct gw_up_req **out)
{
	const struct gw_up_deadlines *d = &s->deadlines;
	struct gw_up_req *q = up->is_closing ? NULL : new_req(up);
	enum gw_err e;

	if (!q)
		return up->is_closing ? GW_E_DRAINING : GW_E_NOMEM;
	q->ep = s->endpoint;
	q->ep->n_reqs++;
	q->ops = *ops;
	q->ctx = ctx;
	q->body = s->body;
	q->n_body = s->n_body;
	if (s->is_streamed)
		start_upload(q, s);
	q->is_head_request = gw_str_eq(s->method, GW_LIT("HEAD"));
	q->deadlines = (struct gw_up_deadlines){
		or_default(d->queue_ms, QUEUE_MS),           or_default(d->connect_ms, CONNECT_MS),
		or_default(d->first_byte_ms, FIRST_BYTE_MS), or_default(d->idle_ms, IDLE_MS),
		or_default(d->total_ms, TOTAL_MS),
	};
	q->total_due_ms = gw_wheel_now_ms(&up->wheel) + q->deadlines.total_ms;
	q->times.queued_ns = gw_recent_ns();
	if (!gw_http_is_token(s->method) || !up_path_may(s->path)) {
		free_req(q);
		return GW_E_INVALID;
	}
	*out = q;
	e = q->ep->via->start(q, s);
	if (e != GW_OK) {
		*out = NULL;
		free_req(q);
	}
	return e;
}

void gw_upstream_cancel(struct gw_up_req *q)
{
	if (q->is_ended) /* inside its own on_end */
		return;
	q->ep->via->drop(q);
	free_req(q);
}

void gw_upstream_pause(struct gw_up_req *q)
{
	if (q->phase == UP_PH_PAUSED || q->phase < UP_PH_FIRST)
		return;
	q->ep->via->pause(q, true);
	up_req_phase(q, UP_PH_PAUSED);
}

void gw_upstream_resume(struct gw_up_req *q)
{
	if (q->phase != UP_PH_PAUSED)
		return;
	up_req_phase(q, q->had_body ? UP_PH_BODY : UP_PH_FIRST);
	q->ep->via->pause(q, false);
}

bool gw_upstream_write(struct gw_up_req *q, struct gw_str bytes)
{
	GW_REQUIRE(q->is_streamed && !q->is_upload_ended);
	return q->ep->via->write(q, bytes);
}

void gw_upstream_write_end(struct gw_up_req *q)
{
	GW_REQUIRE(q->is_streamed && !q->is_upload_ended);
	q->ep->via->write_end(q);
}

const struct gw_up_times *gw_upstream_times(const struct gw_up_req *q)
{
	return &q->times;
}

const struct gw_up_stats *gw_upstream_stats(const struct gw_upstream *up)
{
	return &up->stats;
}

/* --- the process's part --- */

void up_handle_closed(struct gw_upstream *up)
{
	if (--up->n_handles > 0)
		return;
	while (up->free_reqs)
		drop_free_req(up);
	gw_close(&up->bundle_fd);
	gw_h1p_heads_done(&up->heads);
	gw_tls_ctx_free(up->system_tls);
	if (up->on_closed)
		up->on_closed(up->closed_ctx);
	free(up);
}

static void on_wheel_closed(uv_handle_t *h)
{
	up_handle_closed(h->data);
}

enum gw_err gw_upstream_new(uv_loop_t *loop, const struct gw_upstream_config *cfg, struct gw_upstream **out)
{
	struct gw_upstream *up = calloc(1, sizeof(*up));
	enum gw_err e;

	if (!up)
		return GW_E_NOMEM;
	up->loop = loop;
	up->bundle_fd = -1;
	up->cfg.idle_ms = or_default(cfg->idle_ms, POOL_IDLE_MS);
	up->cfg.max_idle_per_endpoint = (uint32_t)or_default(cfg->max_idle_per_endpoint, POOL_IDLE_MAX);
	up->sweep.fn = up_pool_sweep;
	up->sweep.ctx = up;
	e = gw_wheel_init(&up->wheel, loop);
	if (e == GW_OK) {
		up->n_handles = 1;
		e = gw_resolver_new(loop, &up->resolver);
		if (e == GW_OK) {
			if (gw_tls_bundle_open(cfg->system_ca_path, &up->bundle_fd) != GW_OK)
				up->bundle_fd = -1;
			if (cfg->has_libcurl)
				(void)gw_curl_load(); /* what is missing is told where it is needed */
			*out = up;
			return GW_OK;
		}
		gw_wheel_close(&up->wheel, on_wheel_closed, up);
		return e;
	}
	free(up);
	return e;
}

void gw_upstream_close(struct gw_upstream *up, void (*on_closed)(void *ctx), void *ctx)
{
	up->is_closing = true;
	up->on_closed = on_closed;
	up->closed_ctx = ctx;
	while (up->all_reqs)
		gw_upstream_cancel(up->all_reqs);
	for (uint32_t i = 0; i < UP_BUCKETS; i++)
		while (up->buckets[i]) {
			struct gw_endpoint *ep = up->buckets[i];

			up->buckets[i] = ep->next;
			up_endpoint_free(ep);
		}
	up_curl_close(up);
	gw_resolver_close(up->resolver);
	gw_wheel_close(&up->wheel, on_wheel_closed, up);
}
