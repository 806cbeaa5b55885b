/* Endpoints: who may connect where, idle connections newest first (the oldest dry out and are swept), the queue of
 * requests when all connections are in use. Every operation of a request is O(1). */
#include <stdlib.h>

#include "lib/sys/fd.h"
#include "lib/text.h"
#include "net/upstream_int.h"

enum {
	DEFAULT_CONNECTIONS = 1024,
	DEFAULT_IDLE = 256,
	DEFAULT_IDLE_MS = 60000,
	SWEEP_MS = 1000,
	ENDPOINT_IDLE_MS = 300000,
	MAX_ALLOW = 64
};

/* --- connections --- */

static void idle_unlink(struct up_conn *c)
{
	struct gw_endpoint *ep = c->ep;

	if (c->state != UP_IDLE)
		return;
	*(c->idle_prev ? &c->idle_prev->idle_next : &ep->idle_first) = c->idle_next;
	*(c->idle_next ? &c->idle_next->idle_prev : &ep->idle_last) = c->idle_prev;
	c->idle_next = c->idle_prev = NULL;
	c->state = UP_BUSY;
	ep->n_idle--;
	ep->up->stats.idle--;
}

void up_pool_opened(struct up_conn *c)
{
	c->ep->n_opening -= c->is_opening;
	c->is_opening = false;
}

static bool may_open(const struct gw_endpoint *ep)
{
	return ep->n_conns < ep->max_connections && (!ep->is_https || ep->n_opening < UP_OPENING_MAX);
}

void up_pool_forget(struct up_conn *c)
{
	struct gw_endpoint *ep = c->ep;

	idle_unlink(c);
	*(c->prev ? &c->prev->next : &ep->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	ep->n_conns--;
	up_pool_opened(c);
}

static void attach(struct up_conn *c, struct gw_up_req *q)
{
	c->req = q;
	q->conn = c;
	c->is_reused = true;
	c->ep->up->stats.reused++;
	up_conn_serve(c);
}

void up_queue_remove(struct gw_up_req *q)
{
	struct gw_endpoint *ep = q->ep;

	if (!q->is_queued)
		return;
	*(q->prev ? &q->prev->next : &ep->queue_first) = q->next;
	*(q->next ? &q->next->prev : &ep->queue_last) = q->prev;
	q->next = q->prev = NULL;
	q->is_queued = false;
	ep->up->stats.queued--;
}

void up_queue_add(struct gw_up_req *q)
{
	struct gw_endpoint *ep = q->ep;

	q->prev = ep->queue_last;
	q->next = NULL;
	*(ep->queue_last ? &ep->queue_last->next : &ep->queue_first) = q;
	ep->queue_last = q;
	q->is_queued = true;
	ep->up->stats.queued++;
	up_req_phase(q, UP_PH_QUEUE);
}

static enum gw_err open_for(struct gw_up_req *q)
{
	struct up_conn *c;

	up_req_phase(q, UP_PH_CONNECT);
	return up_conn_open(q->ep, q, &c);
}

enum gw_err up_pool_take(struct gw_up_req *q, bool must_be_fresh)
{
	struct gw_endpoint *ep = q->ep;
	struct up_conn *c = ep->idle_first;

	ep->last_used_ms = gw_wheel_now_ms(&ep->up->wheel);
	if (c && !must_be_fresh && !q->is_streamed) { /* half an upload on a stale connection cannot be sent again */
		idle_unlink(c);
		attach(c, q);
		return GW_OK;
	}
	if (ep->n_conns >= ep->max_connections && ep->idle_last)
		up_conn_give_up(ep->idle_last);
	if (may_open(ep))
		return open_for(q);
	up_queue_add(q);
	return GW_OK;
}

void up_pool_give(struct up_conn *c)
{
	struct gw_endpoint *ep = c->ep;
	struct gw_upstream *up = ep->up;
	struct gw_up_req *q = ep->queue_first;

	up_conn_pause(c, false);
	if (q) {
		up_queue_remove(q);
		attach(c, q);
		return;
	}
	if (ep->n_idle >= up->cfg.max_idle_per_endpoint)
		up_conn_give_up(ep->idle_last);
	c->state = UP_IDLE;
	c->idle_since_ms = gw_wheel_now_ms(&up->wheel);
	c->idle_next = ep->idle_first;
	c->idle_prev = NULL;
	*(ep->idle_first ? &ep->idle_first->idle_prev : &ep->idle_last) = c;
	ep->idle_first = c;
	ep->n_idle++;
	up->stats.idle++;
}

void up_pool_next(struct gw_endpoint *ep)
{
	while (!ep->up->is_closing && ep->queue_first && may_open(ep)) {
		struct gw_up_req *q = ep->queue_first;

		up_queue_remove(q);
		if (open_for(q) != GW_OK) {
			q->late_err = GW_E_NOMEM;
			gw_wheel_set(&ep->up->wheel, &q->timer, 0);
		}
	}
}

/* --- endpoints --- */

void up_endpoint_free(struct gw_endpoint *ep)
{
	struct gw_upstream *up = ep->up;

	ep->via->close(ep);
	if (ep->tls && ep->tls != up->system_tls)
		gw_tls_ctx_free(ep->tls);
	gw_tls_session_free(ep->session);
	free(ep->ca_pem);
	free(ep->allow);
	free(ep->allow_text);
	free(ep);
	up->n_endpoints--;
}

void up_pool_sweep_idle(struct gw_endpoint *ep, uint64_t now)
{
	while (ep->idle_last && ep->idle_last->idle_since_ms + ep->up->cfg.idle_ms <= now)
		up_conn_give_up(ep->idle_last);
}

static void sweep(struct gw_upstream *up, uint64_t unused_ms)
{
	uint64_t now = gw_wheel_now_ms(&up->wheel);

	for (uint32_t i = 0; i < UP_BUCKETS; i++)
		for (struct gw_endpoint **at = &up->buckets[i], *ep; (ep = *at) != NULL;) {
			ep->via->sweep(ep, now);
			if (ep->n_conns - ep->n_idle > 0 || ep->n_reqs > 0 || ep->last_used_ms + unused_ms > now) {
				at = &ep->next;
				continue;
			}
			*at = ep->next;
			up_endpoint_free(ep);
		}
}

void up_pool_sweep(void *ctx)
{
	struct gw_upstream *up = ctx;

	sweep(up, ENDPOINT_IDLE_MS);
	if (up->n_endpoints > 0)
		gw_wheel_set(&up->wheel, &up->sweep, gw_wheel_now_ms(&up->wheel) + SWEEP_MS);
}

static uint32_t hash_of(const struct gw_endpoint_desc *d)
{
	uint32_t h = gw_crc32c(0, d->host.p, d->host.n);
	uint64_t tail[3] = { d->port | (uint64_t)d->is_https << 16 | (uint64_t)d->wants_h2 << 17 |
				 (uint64_t)d->proxy_is_https << 18 | (uint64_t)d->proxy_port << 32,
			     d->policy, d->max_connections };

	h = gw_crc32c(h, d->ca_pem.p, d->ca_pem.n);
	h = gw_crc32c(h, d->proxy_host.p, d->proxy_host.n);
	for (uint32_t i = 0; i < d->n_allow_private; i++)
		h = gw_crc32c(h, d->allow_private[i].p, d->allow_private[i].n);
	return gw_crc32c(h, tail, sizeof(tail));
}

static bool allow_is_same(const struct gw_endpoint *ep, const struct gw_endpoint_desc *d)
{
	struct gw_str rest = gw_str(ep->allow_text, ep->allow_text_n);

	if (ep->n_allow != d->n_allow_private)
		return false;
	for (uint32_t i = 0; i < d->n_allow_private; i++) {
		if (!gw_str_has_prefix(rest, d->allow_private[i]))
			return false;
		rest = gw_str_skip(rest, d->allow_private[i].n);
		if (rest.n == 0 || rest.p[0] != '\n')
			return false;
		rest = gw_str_skip(rest, 1);
	}
	return rest.n == 0;
}

static uint32_t connections_of(const struct gw_endpoint_desc *d)
{
	return d->max_connections ? d->max_connections : DEFAULT_CONNECTIONS;
}

static bool is_same(const struct gw_endpoint *ep, const struct gw_endpoint_desc *d)
{
	return ep->port == d->port && ep->is_https == d->is_https && ep->policy == d->policy &&
	       ep->max_connections == connections_of(d) && gw_str_eq(gw_str(ep->host, ep->host_n), d->host) &&
	       gw_str_eq(gw_str(ep->ca_pem, ep->ca_pem_n), d->ca_pem) && ep->wants_h2 == d->wants_h2 &&
	       gw_str_eq(gw_str(ep->proxy, ep->proxy_n), d->proxy_host) && ep->proxy_port == d->proxy_port &&
	       ep->proxy_is_https == d->proxy_is_https && allow_is_same(ep, d);
}

static enum gw_err read_allow(struct gw_endpoint *ep, const struct gw_endpoint_desc *d)
{
	enum gw_err e = GW_OK;
	size_t n = 0;

	if (d->n_allow_private == 0)
		return GW_OK;
	if (d->n_allow_private > MAX_ALLOW)
		return GW_E_INVALID;
	for (uint32_t i = 0; i < d->n_allow_private; i++)
		n += d->allow_private[i].n + 1;
	ep->allow = calloc(d->n_allow_private, sizeof(*ep->allow));
	ep->allow_text = malloc(n);
	if (!ep->allow || !ep->allow_text)
		return GW_E_NOMEM;
	for (uint32_t i = 0; i < d->n_allow_private && e == GW_OK; i++) {
		e = gw_cidr_read(d->allow_private[i], &ep->allow[i]);
		if (e == GW_OK) {
			memcpy(ep->allow_text + ep->allow_text_n, d->allow_private[i].p, d->allow_private[i].n);
			ep->allow_text_n += d->allow_private[i].n;
			ep->allow_text[ep->allow_text_n++] = '\n';
		}
	}
	ep->n_allow = d->n_allow_private;
	return e;
}

static void name_host(struct gw_endpoint *ep)
{
	uint16_t usual = ep->is_https ? 443 : 80;
	bool is_v6 = memchr(ep->host, ':', ep->host_n) != NULL;
	struct gw_buf b;

	gw_buf_init(&b, sizeof(ep->host_header));
	if (is_v6)
		gw_buf_putc(&b, '[');
	gw_buf_put(&b, ep->host, ep->host_n);
	if (is_v6)
		gw_buf_putc(&b, ']');
	if (ep->port != usual) {
		gw_buf_putc(&b, ':');
		gw_buf_put_u64(&b, ep->port);
	}
	ep->host_header_n = b.n;
	memcpy(ep->host_header, b.p, b.n);
	gw_buf_done(&b);
}

/* A machine without a bundle can still serve plain http and providers with their own CA. */
static struct gw_tls_ctx *system_tls(struct gw_upstream *up)
{
	if (up->bundle_fd >= 0 && gw_tls_client_ctx_of(up->bundle_fd, &up->system_tls) != GW_OK)
		up->system_tls = NULL;
	gw_close(&up->bundle_fd);
	return up->system_tls;
}

static enum gw_err fill(struct gw_endpoint *ep, const struct gw_endpoint_desc *d)
{
	memcpy(ep->host, d->host.p, d->host.n);
	ep->host_n = d->host.n;
	ep->port = d->port;
	ep->is_https = d->is_https;
	ep->policy = d->policy;
	ep->max_connections = connections_of(d);
	ep->wants_h2 = d->wants_h2;
	if (d->proxy_host.n > 0)
		memcpy(ep->proxy, d->proxy_host.p, d->proxy_host.n);
	ep->proxy_n = d->proxy_host.n;
	ep->proxy_port = d->proxy_port;
	ep->proxy_is_https = d->proxy_is_https;
	ep->via = d->wants_h2 || d->proxy_host.n > 0 ? &up_via_curl : &up_native;
	name_host(ep);
	if (d->ca_pem.n > 0) {
		ep->ca_pem = malloc(d->ca_pem.n);
		if (!ep->ca_pem)
			return GW_E_NOMEM;
		memcpy(ep->ca_pem, d->ca_pem.p, d->ca_pem.n);
		ep->ca_pem_n = d->ca_pem.n;
	}
	if (ep->via != &up_native)
		return read_allow(ep, d);
	/* an unusable bundle shows when a connection is made: UP_TLS, not a refusal to know the endpoint */
	if (ep->is_https && ep->ca_pem && gw_tls_client_ctx(d->ca_pem, GW_NIL, &ep->tls) != GW_OK)
		ep->tls = NULL;
	if (ep->is_https && !ep->ca_pem)
		ep->tls = system_tls(ep->up);
	return read_allow(ep, d);
}

static bool is_host(struct gw_str h)
{
	for (size_t i = 0; i < h.n; i++)
		if ((unsigned char)h.p[i] <= ' ' || (unsigned char)h.p[i] >= 0x7f || strchr("/?#@\\\"<>", h.p[i]))
			return false;
	return h.n > 0 && h.n < 254;
}

enum gw_err gw_upstream_endpoint(struct gw_upstream *up, const struct gw_endpoint_desc *d, struct gw_endpoint **out)
{
	uint32_t hash = hash_of(d);
	struct gw_endpoint *ep, **bucket = &up->buckets[hash % UP_BUCKETS];
	enum gw_err e;

	for (ep = *bucket; ep; ep = ep->next)
		if (ep->hash == hash && is_same(ep, d)) {
			*out = ep;
			return GW_OK;
		}
	if (!gw_egress_may_port(d->port) || (d->proxy_host.n > 0 && !gw_egress_may_port(d->proxy_port)))
		return GW_E_UP_DENIED;
	if (!is_host(d->host) || (d->proxy_host.n > 0 && !is_host(d->proxy_host)))
		return GW_E_INVALID;
	if (up->n_endpoints >= UP_MAX_ENDPOINTS)
		sweep(up, SWEEP_MS);
	ep = up->n_endpoints < UP_MAX_ENDPOINTS ? calloc(1, sizeof(*ep)) : NULL;
	if (!ep)
		return GW_E_NOMEM;
	ep->up = up;
	ep->via = &up_native; /* until it is known better */
	ep->hash = hash;
	ep->last_used_ms = gw_wheel_now_ms(&up->wheel);
	up->n_endpoints++;
	e = fill(ep, d);
	if (e != GW_OK) {
		up_endpoint_free(ep);
		return e;
	}
	ep->next = *bucket;
	*bucket = ep;
	if (!up->sweep.next)
		gw_wheel_set(&up->wheel, &up->sweep, gw_wheel_now_ms(&up->wheel) + SWEEP_MS);
	*out = ep;
	return GW_OK;
}
