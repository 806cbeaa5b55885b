/* Names to addresses with c-ares on the loop: its sockets are uv_poll handles, its time-outs a tick that runs only while
 * a question is open. resolv.conf and nsswitch.conf are read when the resolver is made (before the sandbox closes);
 * /etc/hosts is read at each question, answers of either kind are cached here. */
#include "net/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>

enum {
	BUCKETS = 256,
	MAX_ENTRIES = 2048,
	HOST_BYTES = 256,
	TICK_MS = 50,
	MIN_TTL_S = 30,
	MAX_TTL_S = 300,
	FAIL_TTL_MS = 1000,
	TRY_MS = 2000,
	TRIES = 3
};

struct entry {
	struct entry *next; /* in its bucket */
	struct gw_resolver *owner;
	char host[HOST_BYTES]; /* lower case */
	struct gw_addrs addrs;
	enum gw_err err;
	uint64_t good_until_ms;
	bool is_open; /* a question is under way */
	struct gw_resolve_req *waiters;
};

struct gw_resolve_req {
	struct gw_resolve_req *next, *prev;
	struct entry *entry;
	gw_resolve_fn *fn;
	void *ctx;
	uint64_t deadline_ms;
	uint16_t port;
};

struct poll {
	uv_poll_t handle;
	struct poll *next;
	struct gw_resolver *owner;
	ares_socket_t fd;
};

struct gw_resolver {
	uv_loop_t *loop;
	ares_channel channel;
	uv_timer_t tick;
	struct poll *polls;
	struct entry *buckets[BUCKETS];
	uint32_t n_entries, n_open, n_handles;
	bool is_closing;
};

static void release(struct gw_resolver *r)
{
	if (--r->n_handles > 0)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct entry *e = r->buckets[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	free(r);
}

static void on_tick_closed(uv_handle_t *h)
{
	release(h->data);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct poll *p = h->data;
	struct gw_resolver *r = p->owner;

	free(p);
	release(r);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct poll *p = h->data;
	bool in = status < 0 || (events & UV_READABLE), out = status < 0 || (events & UV_WRITABLE);

	ares_process_fd(p->owner->channel, in ? p->fd : ARES_SOCKET_BAD, out ? p->fd : ARES_SOCKET_BAD);
}

static void drop_poll(struct gw_resolver *r, ares_socket_t fd)
{
	for (struct poll **at = &r->polls, *p; (p = *at) != NULL; at = &p->next)
		if (p->fd == fd) {
			*at = p->next;
			uv_close((uv_handle_t *)&p->handle, on_poll_closed);
			return;
		}
}

/* c-ares tells what it wants to know about a socket; neither = it closes it next. */
static void on_sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct gw_resolver *r = data;
	struct poll *p = r->polls;

	while (p && p->fd != fd)
		p = p->next;
	if (!readable && !writable) {
		drop_poll(r, fd);
		return;
	}
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p || uv_poll_init(r->loop, &p->handle, fd) != 0) {
			free(p); /* the question ends by its time-out */
			return;
		}
		p->handle.data = p;
		p->owner = r;
		p->fd = fd;
		p->next = r->polls;
		r->polls = p;
		r->n_handles++;
	}
	(void)uv_poll_start(&p->handle, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_poll);
}

static void unlink_req(struct gw_resolve_req *q)
{
	if (q->prev)
		q->prev->next = q->next;
	else
		q->entry->waiters = q->next;
	if (q->next)
		q->next->prev = q->prev;
}

static void set_port(struct gw_addrs *a, uint16_t port)
{
	for (uint32_t i = 0; i < a->n; i++) {
		uint16_t *at = a->a[i].ss_family == AF_INET ? &((struct sockaddr_in *)&a->a[i])->sin_port
							    : &((struct sockaddr_in6 *)&a->a[i])->sin6_port;

		*at = htons(port);
	}
}

static void answer(struct gw_resolve_req *q, enum gw_err err, const struct gw_addrs *from)
{
	struct gw_addrs addrs = { .n = 0 };
	gw_resolve_fn *fn = q->fn;
	void *ctx = q->ctx;

	if (err == GW_OK) {
		addrs = *from;
		set_port(&addrs, q->port);
	}
	unlink_req(q);
	free(q);
	fn(ctx, err, &addrs);
}

static void stop_tick_if_idle(struct gw_resolver *r)
{
	if (r->n_open == 0 && !r->is_closing)
		uv_timer_stop(&r->tick);
}

static void on_tick(uv_timer_t *t)
{
	struct gw_resolver *r = t->data;
	uint64_t now = uv_now(r->loop);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct entry *e = r->buckets[i]; e; e = e->next) {
			struct gw_resolve_req *q = e->waiters;

			while (q) {
				struct gw_resolve_req *late = q->deadline_ms <= now ? q : NULL;

				q = q->next;
				if (late) {
					answer(late, GW_E_UP_RESOLVE, NULL);
					q = e->waiters; /* the callback may have changed the list */
				}
			}
		}
	stop_tick_if_idle(r);
}

static void take_addrs(struct entry *e, const struct ares_addrinfo *found)
{
	uint64_t ttl = MAX_TTL_S;

	e->addrs.n = 0;
	for (const struct ares_addrinfo_node *n = found->nodes; n && e->addrs.n < 16; n = n->ai_next) {
		if ((n->ai_family != AF_INET && n->ai_family != AF_INET6) || n->ai_addrlen > sizeof(e->addrs.a[0]))
			continue;
		memcpy(&e->addrs.a[e->addrs.n++], n->ai_addr, n->ai_addrlen);
		if (n->ai_ttl < (int)ttl)
			ttl = n->ai_ttl > 0 ? (uint64_t)n->ai_ttl : 0;
	}
	e->err = e->addrs.n > 0 ? GW_OK : GW_E_UP_RESOLVE;
	ttl = ttl < MIN_TTL_S ? MIN_TTL_S : ttl;
	e->good_until_ms = uv_now(e->owner->loop) + (e->err == GW_OK ? ttl * 1000 : FAIL_TTL_MS);
}

static void on_found(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	struct entry *e = arg;
	struct gw_resolver *r = e->owner;
	struct gw_addrs addrs;
	enum gw_err err;

	(void)timeouts;
	e->is_open = false;
	r->n_open--;
	if (r->is_closing) {
		ares_freeaddrinfo(found);
		return;
	}
	if (status == ARES_SUCCESS && found) {
		take_addrs(e, found);
	} else {
		e->err = GW_E_UP_RESOLVE;
		e->good_until_ms = uv_now(r->loop) + FAIL_TTL_MS;
	}
	ares_freeaddrinfo(found);
	/* by copy: a callback may ask again, or so many other names that this entry goes */
	addrs = e->addrs;
	err = e->err;
	e->is_open = true; /* pins the entry */
	while (e->waiters)
		answer(e->waiters, err, &addrs);
	e->is_open = false;
	stop_tick_if_idle(r);
}

enum gw_err gw_resolver_new(uv_loop_t *loop, struct gw_resolver **out)
{
	struct ares_options o = { .timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_sock_state };
	struct gw_resolver *r;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return GW_E_NOMEM;
	r = calloc(1, sizeof(*r));
	if (!r)
		return GW_E_NOMEM;
	r->loop = loop;
	o.sock_state_cb_data = r;
	if (ares_init_options(&r->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) !=
	    ARES_SUCCESS) {
		free(r);
		return GW_E_IO;
	}
	if (uv_timer_init(loop, &r->tick) != 0) {
		ares_destroy(r->channel);
		free(r);
		return GW_E_NOMEM;
	}
	r->tick.data = r;
	r->n_handles = 1;
	*out = r;
	return GW_OK;
}

enum gw_err gw_resolver_servers(struct gw_resolver *r, const char *csv)
{
	return ares_set_servers_ports_csv(r->channel, csv) == ARES_SUCCESS ? GW_OK : GW_E_INVALID;
}

void gw_resolver_close(struct gw_resolver *r)
{
	if (!r)
		return;
	r->is_closing = true;
	ares_destroy(r->channel); /* ends every question and reports every socket as gone */
	while (r->polls)
		drop_poll(r, r->polls->fd);
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct entry *e = r->buckets[i]; e; e = e->next)
			while (e->waiters) {
				struct gw_resolve_req *q = e->waiters;

				unlink_req(q);
				free(q);
			}
	uv_close((uv_handle_t *)&r->tick, on_tick_closed);
}

static bool literal(struct gw_str host, struct gw_addrs *out)
{
	char z[INET6_ADDRSTRLEN];

	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = gw_str(host.p + 1, host.n - 2);
	if (host.n == 0 || host.n >= sizeof(z))
		return false;
	memcpy(z, host.p, host.n);
	z[host.n] = '\0';
	memset(&out->a[0], 0, sizeof(out->a[0]));
	out->n = 1;
	if (uv_ip4_addr(z, 0, (struct sockaddr_in *)&out->a[0]) == 0)
		return true;
	/* a scope ("fe80::1%eth0") names an interface of ours: never wanted */
	return !strchr(z, '%') && uv_ip6_addr(z, 0, (struct sockaddr_in6 *)&out->a[0]) == 0;
}

static uint32_t bucket_of(const char *host)
{
	uint32_t h = 2166136261u;

	for (; *host; host++)
		h = (h ^ (unsigned char)*host) * 16777619u;
	return h % BUCKETS;
}

/* Room for one more: everything that is neither asked for nor fresh goes. */
static void drop_old(struct gw_resolver *r, uint64_t now)
{
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct entry **at = &r->buckets[i], *e; (e = *at) != NULL;) {
			if (e->is_open || e->waiters || e->good_until_ms > now) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			r->n_entries--;
			free(e);
		}
}

static struct entry *entry_of(struct gw_resolver *r, struct gw_str host)
{
	struct entry *e;
	char name[HOST_BYTES];
	uint32_t b;

	if (host.n == 0 || host.n >= sizeof(name) || memchr(host.p, '\0', host.n))
		return NULL;
	for (size_t i = 0; i < host.n; i++)
		name[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 32) : host.p[i];
	name[host.n] = '\0';
	b = bucket_of(name);
	for (e = r->buckets[b]; e; e = e->next)
		if (strcmp(e->host, name) == 0)
			return e;
	if (r->n_entries >= MAX_ENTRIES)
		drop_old(r, uv_now(r->loop));
	e = r->n_entries < MAX_ENTRIES ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	memcpy(e->host, name, host.n + 1);
	e->owner = r;
	e->next = r->buckets[b];
	r->buckets[b] = e;
	r->n_entries++;
	return e;
}

static void ask(struct gw_resolver *r, struct entry *e)
{
	const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

	if (e->is_open)
		return;
	e->is_open = true;
	if (r->n_open++ == 0)
		uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
	ares_getaddrinfo(r->channel, e->host, NULL, &hints, on_found, e);
}

void gw_resolve(struct gw_resolver *r, struct gw_str host, uint16_t port, uint64_t timeout_ms, gw_resolve_fn *fn,
		void *ctx, struct gw_resolve_req **out)
{
	struct gw_addrs addrs = { .n = 0 };
	struct gw_resolve_req *q;
	struct entry *e;
	bool is_lit = literal(host, &addrs);

	*out = NULL;
	e = is_lit ? NULL : entry_of(r, host);
	if (e && !e->is_open && e->good_until_ms > uv_now(r->loop)) {
		addrs = e->addrs;
		is_lit = e->err == GW_OK;
		e = NULL;
	}
	q = e ? calloc(1, sizeof(*q)) : NULL;
	if (!q) { /* known already, or no memory to find out */
		set_port(&addrs, port);
		fn(ctx, is_lit ? GW_OK : GW_E_UP_RESOLVE, &addrs);
		return;
	}
	*q = (struct gw_resolve_req){ .next = e->waiters,
				      .entry = e,
				      .fn = fn,
				      .ctx = ctx,
				      .port = port,
				      .deadline_ms = uv_now(r->loop) + (timeout_ms ? timeout_ms : 1) };
	if (e->waiters)
		e->waiters->prev = q;
	e->waiters = q;
	*out = q;
	ask(r, e); /* may answer at once (hosts file) */
	if (!e->is_open)
		*out = NULL;
}

void gw_resolve_cancel(struct gw_resolve_req *q)
{
	if (!q)
		return;
	unlink_req(q);
	free(q);
}
