/* One multi of libcurl on the loop. It says which sockets and which time it waits for; it is called when one of them is due, and between
 * two calls it hears what the gateway wants: transfers to start, to go on with, to give up. */
#include <stdlib.h>

#include "lib/secret.h"
#include "lib/sys/clock.h"
#include "net/curl_int.h"

static void run(struct up_hub *hub, curl_socket_t fd, int events);

/* --- sockets --- */

static void on_poll_closed(uv_handle_t *h)
{
	struct up_poll *p = h->data;
	struct gw_upstream *up = p->up;

	free(p);
	up_handle_closed(up);
}

/* libuv must be off a descriptor before it is closed; the number may be another socket's the moment after. */
static void drop_poll(struct up_poll *p)
{
	*(p->prev ? &p->prev->next : &p->hub->polls) = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->hub = NULL;
	p->up->stats.idle++;
	uv_close((uv_handle_t *)&p->handle, on_poll_closed);
}

void up_hub_forget_fd(struct up_hub *hub, curl_socket_t fd)
{
	for (struct up_poll *p = hub->polls; p; p = p->next)
		if (p->fd == fd) {
			drop_poll(p);
			return;
		}
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct up_poll *p = h->data;
	int what = status < 0 ? CURL_CSELECT_ERR : 0;

	if (!p->hub)
		return;
	what |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
	what |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
	(void)gw_now_ns(); /* for all stamps of what these bytes set off */
	run(p->hub, p->fd, what);
}

static struct up_poll *new_poll(struct up_hub *hub, curl_socket_t fd)
{
	struct up_poll *p = calloc(1, sizeof(*p));

	if (!p || uv_poll_init_socket(hub->ep->up->loop, &p->handle, fd) != 0) {
		free(p); /* the transfer ends by its deadline */
		return NULL;
	}
	p->handle.data = p;
	p->hub = hub;
	p->up = hub->ep->up;
	p->fd = fd;
	p->next = hub->polls;
	if (hub->polls)
		hub->polls->prev = p;
	hub->polls = p;
	p->up->n_handles++;
	p->up->stats.idle--;
	return p;
}

static int on_sock_state(CURL *easy, curl_socket_t fd, int what, void *ctx, void *at)
{
	struct up_hub *hub = ctx;
	struct up_poll *p = at;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (p)
			drop_poll(p);
		(void)gw_curl()->multi_assign(hub->multi, fd, NULL);
		return 0;
	}
	if (!p) {
		p = new_poll(hub, fd);
		if (!p)
			return 0;
		(void)gw_curl()->multi_assign(hub->multi, fd, p);
	}
	(void)uv_poll_start(
	    &p->handle, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0), on_poll);
	return 0;
}

/* --- time --- */

static void kick(struct up_hub *hub);

static int on_timer_wanted(CURLM *multi, long ms, void *ctx)
{
	struct up_hub *hub = ctx;
	struct gw_wheel *w = &hub->ep->up->wheel;

	(void)multi;
	hub->is_due = ms == 0;
	if (ms > 0) {
		gw_wheel_set(w, &hub->timer, gw_wheel_now_ms(w) + (uint64_t)ms);
		return 0;
	}
	gw_wheel_drop(w, &hub->timer);
	if (ms == 0)
		kick(hub);
	return 0;
}

static void on_time(void *ctx)
{
	run(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(uv_idle_t *h)
{
	struct up_curl *c = h->data;
	struct up_hub *list = c->kicked;

	uv_idle_stop(h);
	c->kicked = NULL;
	(void)gw_now_ns();
	for (struct up_hub *hub = list; hub; hub = hub->kick_next)
		hub->ep->n_reqs++; /* what ends here may make room for other endpoints, but not in place of these */
	while (list) {
		struct up_hub *hub = list;
		struct gw_endpoint *ep = hub->ep;

		list = hub->kick_next;
		hub->is_kicked = false;
		run(hub, CURL_SOCKET_TIMEOUT, 0);
		ep->n_reqs--;
	}
}

static void kick(struct up_hub *hub)
{
	struct up_curl *c = hub->ep->up->curl;

	if (hub->is_kicked)
		return;
	hub->is_kicked = true;
	hub->kick_next = c->kicked;
	c->kicked = hub;
	uv_idle_start(&c->kick, on_kick);
}

/* --- what the gateway wants --- */

void up_hub_todo(struct up_xfer *x)
{
	struct up_hub *hub = x->hub;

	if (!x->is_todo) {
		x->is_todo = true;
		x->todo_next = NULL;
		*(hub->todo_last ? &hub->todo_last->todo_next : &hub->todo_first) = x;
		hub->todo_last = x;
	}
	kick(hub);
}

static void take_off(struct up_xfer *x)
{
	if (x->is_added)
		(void)gw_curl()->multi_remove_handle(x->hub->multi, x->easy);
	x->is_added = false;
}

/* Takes off a transfer in the middle. Of an HTTP/2 stream libcurl writes RST_STREAM only into its own buffer, and the provider would go on
 * working: the last stream of a connection closes it, else the others are made to write (poke). */
static void break_off(struct up_xfer *x)
{
	if (x->is_added && x->is_connected && x->hub->ep->wants_h2) {
		(void)gw_curl()->easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L);
		x->hub->needs_poke = true;
		take_off(x);
		(void)gw_curl()->easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 0L);
	}
	take_off(x);
}

static void poke(struct up_hub *hub)
{
	curl_socket_t fds[64];
	int n = 0, running;

	hub->needs_poke = false;
	for (struct up_poll *p = hub->polls; p && n < 64; p = p->next)
		fds[n++] = p->fd;
	while (n > 0)
		(void)gw_curl()->multi_socket_action(hub->multi, fds[--n], CURL_CSELECT_IN, &running);
}

static void begin(struct up_xfer *x)
{
	enum gw_err e = up_curl_set(x);

	if (e == GW_OK && gw_curl()->multi_add_handle(x->hub->multi, x->easy) != CURLM_OK)
		e = GW_E_NOMEM;
	x->is_added = e == GW_OK;
	if (e != GW_OK)
		up_curl_end(x, e, "the request could not be started");
}

static void resume(struct up_xfer *x)
{
	int still = 0;

	x->wants_resume = false;
	if (x->is_paused && x->is_recv_held)
		still |= CURLPAUSE_RECV;
	else
		x->is_recv_held = false;
	if (x->is_send_held)
		still |= CURLPAUSE_SEND;
	if (!x->is_added)
		return;
	/* calls back with what it held; a refusal of that ends nothing by itself */
	if (gw_curl()->easy_pause(x->easy, still) != CURLE_OK && x->q) {
		x->why = x->err != GW_OK ? x->why : "the answer could not be taken";
		x->err = x->err != GW_OK ? x->err : GW_E_UP_CUT;
		up_hub_todo(x);
	}
}

static void do_todo(struct up_hub *hub)
{
	struct up_xfer *x;

	while ((x = hub->todo_first) != NULL) {
		hub->todo_first = x->todo_next;
		if (!hub->todo_first)
			hub->todo_last = NULL;
		x->is_todo = false;
		if (!x->q) {
			break_off(x);
			up_curl_end(x, GW_OK, "");
		} else if (x->err != GW_OK) {
			break_off(x);
			up_curl_end(x, x->err, x->why);
		} else if (x->is_ready) {
			x->is_ready = false;
			begin(x);
		} else if (x->wants_resume) {
			resume(x);
		}
	}
}

static void reap(struct up_hub *hub)
{
	const struct gw_curl_lib *lib = gw_curl();
	CURLMsg *m;
	int left;

	while ((m = lib->multi_info_read(hub->multi, &left)) != NULL) {
		CURLcode code = m->data.result;
		const char *detail = "";
		struct up_xfer *x = NULL;
		enum gw_err e;

		if (m->msg != CURLMSG_DONE ||
		    lib->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x) != CURLE_OK)
			continue;
		e = up_curl_error(x, code, &detail);
		take_off(x);
		up_curl_end(x, e, detail);
	}
}

/* libcurl's turn. An endpoint that its own requests leave behind idle stays until this is over. */
static void run(struct up_hub *hub, curl_socket_t fd, int events)
{
	struct gw_endpoint *ep = hub->ep;
	int running;

	ep->n_reqs++;
	do_todo(hub);
	if (hub->needs_poke)
		poke(hub);
	if (fd != CURL_SOCKET_TIMEOUT || hub->is_due || !hub->timer.next) {
		hub->is_due = false;
		(void)gw_curl()->multi_socket_action(hub->multi, fd, events, &running);
	}
	reap(hub);
	ep->n_reqs--;
}

/* --- life --- */

struct up_xfer *up_hub_xfer(struct up_hub *hub)
{
	struct up_xfer *x = hub->spare;

	if (x) {
		hub->spare = x->next;
		hub->n_spare--;
	} else {
		x = calloc(1, sizeof(*x));
		if (!x)
			return NULL;
		x->hub = hub;
		gw_buf_init(&x->text, 160 << 10);
		gw_buf_init(&x->nodes, 64 << 10);
		gw_buf_init(&x->head, GW_H1P_HEAD_BYTES);
		x->easy = gw_curl()->easy_init();
		if (!x->easy || up_curl_options(x) != GW_OK) {
			if (x->easy)
				gw_curl()->easy_cleanup(x->easy);
			free(x);
			return NULL;
		}
	}
	x->next = hub->xfers;
	x->prev = NULL;
	if (hub->xfers)
		hub->xfers->prev = x;
	hub->xfers = x;
	return x;
}

static void free_xfer(struct up_xfer *x)
{
	gw_curl()->easy_cleanup(x->easy);
	gw_buf_done(&x->text);
	gw_buf_done(&x->nodes);
	gw_buf_done(&x->head);
	free(x);
}

static void forget_todo(struct up_xfer *x)
{
	struct up_hub *hub = x->hub;
	struct up_xfer *before = NULL;

	if (!x->is_todo)
		return;
	for (struct up_xfer *at = hub->todo_first; at != x; at = at->todo_next)
		before = at;
	*(before ? &before->todo_next : &hub->todo_first) = x->todo_next;
	if (hub->todo_last == x)
		hub->todo_last = before;
}

void up_hub_release(struct up_xfer *x)
{
	struct up_hub *hub = x->hub;

	forget_todo(x);
	*(x->prev ? &x->prev->next : &hub->xfers) = x->next;
	if (x->next)
		x->next->prev = x->prev;
	hub->n_active -= x->is_counted;
	hub->n_connected -= x->is_connected;
	hub->quiet_since_ms = gw_wheel_now_ms(&hub->ep->up->wheel);
	if (x->text.p)
		gw_wipe(x->text.p, x->text.n); /* the credential */
	if (hub->n_spare >= UP_SPARE_XFERS) {
		free_xfer(x);
		return;
	}
	gw_buf_clear(&x->text, 16 << 10);
	gw_buf_clear(&x->nodes, 16 << 10);
	gw_buf_clear(&x->head, 16 << 10);
	*x = (struct up_xfer){
		.hub = hub, .easy = x->easy, .text = x->text, .nodes = x->nodes, .head = x->head, .next = hub->spare
	};
	hub->spare = x;
	hub->n_spare++;
}

static enum gw_err need_curl(struct gw_upstream *up)
{
	if (up->curl)
		return GW_OK;
	up->curl = calloc(1, sizeof(*up->curl));
	if (!up->curl)
		return GW_E_NOMEM;
	up->curl->up = up;
	uv_idle_init(up->loop, &up->curl->kick);
	up->curl->kick.data = up->curl;
	up->n_handles++;
	return GW_OK;
}

static void on_kick_closed(uv_handle_t *h)
{
	struct up_curl *c = h->data;
	struct gw_upstream *up = c->up;

	free(c);
	up_handle_closed(up);
}

void up_curl_close(struct gw_upstream *up)
{
	if (up->curl)
		uv_close((uv_handle_t *)&up->curl->kick, on_kick_closed);
	up->curl = NULL;
}

static enum gw_err set_multi(struct up_hub *hub)
{
	const struct gw_curl_lib *lib = gw_curl();
	const struct gw_endpoint *ep = hub->ep;
	uint32_t keep = ep->up->cfg.max_idle_per_endpoint;
	CURLMcode r = CURLM_OK;

#define SET(option, value)                                                                                             \
	if (r == CURLM_OK)                                                                                             \
	r = lib->multi_setopt(hub->multi, option, value)
	SET(CURLMOPT_SOCKETFUNCTION, on_sock_state);
	SET(CURLMOPT_SOCKETDATA, hub);
	SET(CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	SET(CURLMOPT_TIMERDATA, hub);
	SET(CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	SET(CURLMOPT_MAX_CONCURRENT_STREAMS, (long)UP_STREAMS);
	SET(CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)ep->max_connections);
	SET(CURLMOPT_MAXCONNECTS, (long)(keep < ep->max_connections ? keep : ep->max_connections));
#undef SET
	if (r == CURLM_OK && lib->share_setopt(hub->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
		r = CURLM_OUT_OF_MEMORY;
	return r == CURLM_OK ? GW_OK : GW_E_NOMEM;
}

enum gw_err up_hub_new(struct gw_endpoint *ep, struct up_hub **out)
{
	const struct gw_curl_lib *lib = gw_curl();
	struct up_hub *hub;

	if (!lib)
		return GW_E_UP_BACKEND;
	if (need_curl(ep->up) != GW_OK)
		return GW_E_NOMEM;
	hub = calloc(1, sizeof(*hub));
	if (!hub)
		return GW_E_NOMEM;
	hub->ep = ep;
	hub->timer.fn = on_time;
	hub->timer.ctx = hub;
	hub->max_active = ep->max_connections * (ep->wants_h2 ? UP_STREAMS : 1);
	gw_buf_init(&hub->addresses, 4096);
	hub->multi = lib->multi_init();
	hub->share = lib->share_init();
	if (!hub->multi || !hub->share || set_multi(hub) != GW_OK) {
		up_hub_free(hub);
		return GW_E_NOMEM;
	}
	*out = hub;
	return GW_OK;
}

static void unkick(struct up_hub *hub)
{
	for (struct up_hub **at = &hub->ep->up->curl->kicked; *at; at = &(*at)->kick_next)
		if (*at == hub) {
			*at = hub->kick_next;
			return;
		}
}

void up_hub_free(struct up_hub *hub)
{
	const struct gw_curl_lib *lib = gw_curl();

	while (hub->xfers) {
		take_off(hub->xfers);
		up_hub_release(hub->xfers);
	}
	while (hub->spare) {
		struct up_xfer *x = hub->spare;

		hub->spare = x->next;
		free_xfer(x);
	}
	if (hub->multi)
		(void)lib->multi_cleanup(hub->multi); /* closes its sockets */
	if (hub->share)
		(void)lib->share_cleanup(hub->share);
	while (hub->polls)
		drop_poll(hub->polls);
	gw_wheel_drop(&hub->ep->up->wheel, &hub->timer);
	unkick(hub);
	gw_buf_done(&hub->addresses);
	free(hub);
}
