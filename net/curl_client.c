/* The libcurl backend as upstream.c sees it: requests that travel over HTTP/2 or through a forward proxy. */
#include "net/curl_int.h"

#include <stdio.h>

#include "lib/sys/clock.h"

enum { NAME_MS = 60000 /* the request's own deadline is shorter */ };

/* --- where to --- */

/* A failure that is known before libcurl has the transfer; told from the loop. */
static void refuse(struct up_xfer *x, enum gw_err err, const char *why)
{
	x->err = err;
	x->why = why;
	up_hub_todo(x);
}

static bool put_address(struct gw_buf *b, const struct sockaddr_storage *sa, bool is_first)
{
	bool is_v6 = sa->ss_family == AF_INET6;
	char text[INET6_ADDRSTRLEN];
	int r = is_v6 ? uv_ip6_name((const struct sockaddr_in6 *)sa, text, sizeof(text))
		      : uv_ip4_name((const struct sockaddr_in *)sa, text, sizeof(text));

	if (r != 0)
		return false;
	gw_buf_puts(b, is_first ? GW_NIL : GW_LIT(","));
	gw_buf_puts(b, is_v6 ? GW_LIT("[") : GW_NIL);
	gw_buf_puts(b, gw_str_z(text));
	gw_buf_puts(b, is_v6 ? GW_LIT("]") : GW_NIL);
	return true;
}

/* "host:port:address,[address]": libcurl connects to these and asks nobody. It is told only when something changed. */
static enum gw_err tell_addresses(struct up_hub *hub, struct up_xfer *x, const struct gw_addrs *addrs)
{
	struct gw_endpoint *ep = hub->ep;
	struct gw_buf b;
	uint32_t n = 0;

	gw_buf_init(&b, 4096);
	gw_buf_puts(&b, ep->proxy_n ? gw_str(ep->proxy, ep->proxy_n) : gw_str(ep->host, ep->host_n));
	gw_buf_putc(&b, ':');
	gw_buf_put_u64(&b, ep->proxy_n ? ep->proxy_port : ep->port);
	gw_buf_putc(&b, ':');
	for (uint32_t i = 0; i < addrs->n; i++) {
		if (!gw_egress_may((const struct sockaddr *)&addrs->a[i], ep->allow, ep->n_allow))
			ep->up->stats.denied++;
		else if (put_address(&b, &addrs->a[i], n == 0))
			n++;
	}
	gw_buf_putc(&b, '\0');
	if (n > 0 && b.err == GW_OK && !gw_str_eq(gw_buf_view(&b), gw_buf_view(&hub->addresses))) {
		gw_buf_clear(&hub->addresses, SIZE_MAX);
		gw_buf_puts(&hub->addresses, gw_buf_view(&b));
		x->resolve_node.data = hub->addresses.p;
	}
	gw_buf_done(&b);
	return n == 0 ? GW_E_UP_DENIED : hub->addresses.err;
}

static void on_resolved(void *ctx, enum gw_err err, const struct gw_addrs *addrs)
{
	struct up_xfer *x = ctx;
	bool is_proxy = x->hub->ep->proxy_n > 0;

	x->resolving = NULL;
	if (err != GW_OK) {
		refuse(x, GW_E_UP_RESOLVE,
		       is_proxy ? "the proxy's name could not be resolved" : "the name could not be resolved");
		return;
	}
	err = tell_addresses(x->hub, x, addrs);
	if (err != GW_OK) {
		refuse(x, err,
		       is_proxy ? "every address of the proxy is in a range that is not allowed"
				: "every address is in a range that is not allowed");
		return;
	}
	x->is_ready = true;
	up_hub_todo(x);
}

/* Behind a proxy names are the proxy's to look up; what is an address already is looked at here. */
static bool is_target_denied(const struct gw_endpoint *ep)
{
	struct sockaddr_storage sa = { 0 };
	bool is_literal = uv_ip4_addr(ep->host, 0, (struct sockaddr_in *)&sa) == 0 ||
			  uv_ip6_addr(ep->host, 0, (struct sockaddr_in6 *)&sa) == 0;

	return is_literal && !gw_egress_may((struct sockaddr *)&sa, ep->allow, ep->n_allow);
}

void up_curl_begin(struct up_xfer *x)
{
	struct gw_endpoint *ep = x->hub->ep;
	struct gw_resolve_req *resolving;

	x->is_counted = true;
	x->hub->n_active++;
	up_req_phase(x->q, UP_PH_CONNECT);
	if (ep->proxy_n && is_target_denied(ep)) {
		ep->up->stats.denied++;
		refuse(x, GW_E_UP_DENIED, "the address is in a range that is not allowed");
		return;
	}
	gw_resolve(ep->up->resolver, ep->proxy_n ? gw_str(ep->proxy, ep->proxy_n) : gw_str(ep->host, ep->host_n),
		   ep->proxy_n ? ep->proxy_port : ep->port, NAME_MS, on_resolved, x, &resolving);
	x->resolving = resolving;
}

void up_curl_next(struct up_hub *hub)
{
	struct gw_endpoint *ep = hub->ep;

	while (!ep->up->is_closing && ep->queue_first && hub->n_active < hub->max_active) {
		struct gw_up_req *q = ep->queue_first;

		up_queue_remove(q);
		up_curl_begin(q->xfer);
	}
}

/* --- the table --- */

static enum gw_err start(struct gw_up_req *q, const struct gw_up_send *s)
{
	struct gw_endpoint *ep = q->ep;
	struct up_xfer *x;
	enum gw_err e;

	ep->last_used_ms = gw_wheel_now_ms(&ep->up->wheel);
	if (!ep->hub) {
		e = up_hub_new(ep, &ep->hub);
		if (e != GW_OK) {
			ep->hub = NULL;
			return e;
		}
	}
	x = up_hub_xfer(ep->hub);
	if (!x)
		return GW_E_NOMEM;
	e = up_curl_write_text(x, s);
	if (e != GW_OK) {
		up_hub_release(x);
		return e;
	}
	x->q = q;
	q->xfer = x;
	if (ep->hub->n_active >= ep->hub->max_active)
		up_queue_add(q);
	else
		up_curl_begin(x);
	return GW_OK;
}

/* Takes the request off its transfer; libcurl hears of it in the next turn. */
static void leave(struct gw_up_req *q)
{
	struct up_xfer *x = q->xfer;

	up_queue_remove(q);
	gw_resolve_cancel(x->resolving);
	x->resolving = NULL;
	q->xfer = NULL;
	x->q = NULL;
	up_hub_todo(x);
}

static void fail(struct gw_up_req *q, enum gw_err err, const char *detail)
{
	const struct up_xfer *x = q->xfer;

	if (err == GW_E_UP_CONNECT && x->is_added && x->n_sockets == 0 && x->hub->n_connected > 0) {
		err = GW_E_UP_QUEUE;
		detail = "no connection became free in time";
	}
	leave(q);
	up_req_end(q, err, detail);
}

void up_curl_end(struct up_xfer *x, enum gw_err err, const char *detail)
{
	struct gw_up_req *q = x->q;
	struct up_hub *hub = x->hub;

	x->q = NULL;
	if (q) {
		q->xfer = NULL;
		up_queue_remove(q);
		snprintf(q->detail, sizeof(q->detail), "%s", detail);
	}
	up_hub_release(x);
	up_curl_next(hub);
	if (q)
		up_req_end(q, err, q->detail);
}

/* Reading stops by what the body callback answers next. */
static void pause_reading(struct gw_up_req *q, bool is_paused)
{
	struct up_xfer *x = q->xfer;

	x->is_paused = is_paused;
	if (is_paused || !x->is_recv_held)
		return;
	x->wants_resume = true;
	up_hub_todo(x);
}

static void go_on_sending(struct up_xfer *x)
{
	if (!x->is_send_held)
		return;
	x->is_send_held = false;
	x->wants_resume = true;
	up_hub_todo(x);
}

static bool write_more(struct gw_up_req *q, struct gw_str bytes)
{
	if (bytes.n == 0)
		return true;
	gw_buf_puts(&q->waiting, bytes);
	if (q->waiting.err) { /* an owner that does not heed its answers */
		q->late_err = GW_E_NOMEM;
		gw_wheel_set(&q->up->wheel, &q->timer, 0);
		return true;
	}
	go_on_sending(q->xfer);
	if (gw_buf_len(&q->waiting) <= UP_UPLOAD_HIGH)
		return true;
	q->is_room_owed = true;
	return false;
}

static void write_end(struct gw_up_req *q)
{
	q->is_upload_ended = true;
	go_on_sending(q->xfer);
}

static bool is_upload_waiting(const struct gw_up_req *q)
{
	return gw_buf_len(&q->waiting) > 0;
}

/* libcurl looks after its idle connections only when it makes new ones: a hub that nobody used for as long as a pooled connection may
 * live goes as a whole. */
static void sweep(struct gw_endpoint *ep, uint64_t now_ms)
{
	struct up_hub *hub = ep->hub;

	if (!hub || hub->xfers || hub->is_kicked || hub->quiet_since_ms + ep->up->cfg.idle_ms > now_ms)
		return;
	ep->hub = NULL;
	up_hub_free(hub);
}

static void close_all(struct gw_endpoint *ep)
{
	if (ep->hub)
		up_hub_free(ep->hub);
	ep->hub = NULL;
}

const struct up_backend up_via_curl = {
	.start = start,
	.drop = leave,
	.fail = fail,
	.pause = pause_reading,
	.write = write_more,
	.write_end = write_end,
	.is_upload_waiting = is_upload_waiting,
	.sweep = sweep,
	.close = close_all,
};
