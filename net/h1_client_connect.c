/* Making a connection: the name, the egress check on each address right before its connect, one attempt after the other
 * with a stagger of 250 ms (the next at once when one fails), the first that stands wins. */
#include <errno.h>
#include <stdlib.h>

#include "net/upstream_int.h"

static void on_sock_closed(uv_handle_t *h)
{
	struct up_sock *s = h->data;
	struct gw_upstream *up = s->up;

	gw_buf_done(&s->pending);
	free(s);
	up_handle_closed(up);
}

void up_sock_close(struct up_sock *s)
{
	if (!s || !s->conn)
		return;
	s->conn = NULL;
	uv_close((uv_handle_t *)&s->tcp, on_sock_closed);
}

void up_conn_stop_tries(struct up_conn *c, const struct up_sock *but)
{
	gw_wheel_drop(&c->ep->up->wheel, &c->stagger);
	gw_resolve_cancel(c->resolving);
	c->resolving = NULL;
	free(c->addrs);
	c->addrs = NULL;
	c->n_addrs = 0;
	for (int i = 0; i < UP_TRIES; i++) {
		if (c->tries[i] && c->tries[i] != but)
			up_sock_close(c->tries[i]);
		c->tries[i] = NULL;
	}
}

static bool is_trying(const struct up_conn *c)
{
	for (int i = 0; i < UP_TRIES; i++)
		if (c->tries[i])
			return true;
	return false;
}

static void next_try(struct up_conn *c);

static void on_connect(uv_connect_t *r, int status)
{
	struct up_sock *s = r->data;
	struct up_conn *c = s->conn;

	if (!c) /* given up meanwhile */
		return;
	if (status == 0) {
		c->sock = s;
		up_conn_stop_tries(c, s);
		up_conn_ready(c);
		return;
	}
	for (int i = 0; i < UP_TRIES; i++)
		if (c->tries[i] == s)
			c->tries[i] = NULL;
	up_sock_close(s);
	c->last_err = status == UV_ETIMEDOUT ? GW_E_UP_CONNECT : GW_E_UP_REFUSED;
	next_try(c);
}

static void on_stagger(void *ctx)
{
	next_try(ctx);
}

static enum gw_err start_try(struct up_conn *c, struct up_sock **at, const struct sockaddr *sa)
{
	struct gw_upstream *up = c->ep->up;
	struct up_sock *s = calloc(1, sizeof(*s));

	if (!s)
		return GW_E_NOMEM;
	if (uv_tcp_init(up->loop, &s->tcp) != 0) {
		free(s);
		return GW_E_NOMEM;
	}
	s->up = up;
	s->conn = c;
	s->tcp.data = s->connect.data = s->write.data = s;
	gw_buf_init(&s->pending, 4 << 20);
	up->n_handles++;
	up->stats.connects++;
	if (uv_tcp_connect(&s->connect, &s->tcp, sa, on_connect) != 0) {
		up_sock_close(s);
		return GW_E_UP_REFUSED;
	}
	(void)uv_tcp_nodelay(&s->tcp, 1);
	*at = s;
	return GW_OK;
}

static void next_try(struct up_conn *c)
{
	struct gw_endpoint *ep = c->ep;
	int slot = 0;

	while (slot < UP_TRIES && c->tries[slot])
		slot++;
	if (slot == UP_TRIES)
		return; /* enough at once; the next starts when one of them fails */
	while (c->next_addr < c->n_addrs) {
		const struct sockaddr *sa = (const struct sockaddr *)&c->addrs[c->next_addr++];

		if (!gw_egress_may(sa, ep->allow, ep->n_allow)) {
			ep->up->stats.denied++;
			continue;
		}
		c->last_err = start_try(c, &c->tries[slot], sa);
		if (c->last_err != GW_OK)
			continue;
		if (c->next_addr < c->n_addrs)
			gw_wheel_set(&ep->up->wheel, &c->stagger, gw_wheel_now_ms(&ep->up->wheel) + UP_STAGGER_MS);
		return;
	}
	if (!is_trying(c))
		up_conn_fail(c, c->last_err,
			     c->last_err == GW_E_UP_DENIED ? "every address is in a range that is not allowed"
							   : "no address could be connected to");
}

static void on_resolved(void *ctx, enum gw_err err, const struct gw_addrs *addrs)
{
	struct up_conn *c = ctx;

	c->resolving = NULL;
	if (err != GW_OK) {
		up_conn_fail(c, GW_E_UP_RESOLVE, "the name could not be resolved");
		return;
	}
	c->addrs = malloc((addrs->n + 1) * sizeof(*c->addrs));
	if (!c->addrs) {
		up_conn_fail(c, GW_E_NOMEM, "no memory for the provider's addresses");
		return;
	}
	memcpy(c->addrs, addrs->a, addrs->n * sizeof(*c->addrs));
	c->n_addrs = addrs->n;
	c->state = UP_CONNECT;
	c->last_err = GW_E_UP_DENIED;
	next_try(c);
}

/* An attempt that could not even begin is told from the loop, not from inside send. */
static void on_open_failed(void *ctx)
{
	struct up_conn *c = ctx;

	up_conn_fail(c, c->open_err, c->open_detail);
}

enum gw_err up_conn_open(struct gw_endpoint *ep, struct gw_up_req *q, struct up_conn **out)
{
	enum { NAME_MS = 60000 }; /* the request's own deadline is shorter */
	struct gw_resolve_req *resolving;
	struct up_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return GW_E_NOMEM;
	c->ep = ep;
	c->req = q;
	c->state = UP_RESOLVE;
	c->last_err = GW_E_UP_REFUSED;
	c->stagger.ctx = c;
	c->stagger.fn = on_stagger;
	gw_h1p_init(&c->parse, &ep->up->heads);
	c->next = ep->conns;
	if (ep->conns)
		ep->conns->prev = c;
	ep->conns = c;
	ep->n_conns++;
	ep->n_opening++;
	c->is_opening = true;
	ep->up->stats.open++;
	*out = c;
	q->conn = c;
	c->in_open = true;
	gw_resolve(ep->up->resolver, gw_str(ep->host, ep->host_n), ep->port, NAME_MS, on_resolved, c, &resolving);
	c->in_open = false;
	c->resolving = resolving;
	if (c->open_err != GW_OK) {
		c->stagger.fn = on_open_failed;
		gw_wheel_set(&ep->up->wheel, &c->stagger, 0);
	}
	return GW_OK;
}
