/* The server around the connections: listen sockets (not ours to close), accepting with its caps, drain, the end
 * of the loop turn, and the server's own life.
 *
 * Accepting pauses, instead of failing in a circle, when connections or descriptors run short: level-triggered
 * polling of a listen socket that cannot be accepted from would otherwise spin. One descriptor is held in reserve
 * so that in a shortage a waiting client can at least be turned away. */
#include "net/h1_server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys/fd.h"
#include "net/h1_server_int.h"

enum { ACCEPTS_PER_TURN = 64, RESUME_MS = 100, ROUNDS_PER_TURN = 8, SCRATCH_BYTES = 256 << 10 };

const struct gw_h1_limits gw_h1_default_limits = {
	.request_line_bytes = 8190,
	.head_bytes = 32 << 10,
	.head_count = 100,
	.pipeline_bytes = 64 << 10,
	.connections = 16 << 10,
	.connections_per_ip = 256,
	.requests_per_connection = 10000,
	.head_ms = 10000,
	.idle_ms = 75000,
	.body_total_ms = 120000,
	.upload_total_ms = 1800000,
	.write_stall_ms = 30000,
	.body_min_rate = 1024,
	.body_grace_ms = 10000,
	.out_high_bytes = 256 << 10,
	.out_low_bytes = 64 << 10,
	.trailer_bytes = 4 << 10,
	.chunk_ext_bytes = 256,
	.front_ms = 10000,
	.handshakes = 1024,
	.handshake_slice_us = 2000,
};

/* ---- connections per address ---- */

static struct gw_h1_group **group_place(struct gw_h1_server *s, const uint8_t key[16])
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < 16; i++)
		h = (h ^ key[i]) * 16777619u;
	return &s->groups[h % GW_H1_GROUPS];
}

bool gw_h1_group_enter(struct gw_h1_server *s, const uint8_t key[16], struct gw_h1_group **out)
{
	struct gw_h1_group **place = group_place(s, key), *g = *place;

	*out = NULL;
	if (s->lim.connections_per_ip == 0)
		return true;
	while (g && memcmp(g->key, key, 16) != 0)
		g = g->next;
	if (!g) {
		g = calloc(1, sizeof(*g));
		if (!g)
			return false;
		memcpy(g->key, key, 16);
		g->next = *place;
		*place = g;
	}
	if (g->count >= s->lim.connections_per_ip)
		return false;
	g->count++;
	*out = g;
	return true;
}

void gw_h1_group_leave(struct gw_h1_server *s, struct gw_h1_group *g)
{
	struct gw_h1_group **at;

	if (!g || --g->count)
		return;
	at = group_place(s, g->key);
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	free(g);
}

/* ---- accepting ---- */

static void on_listen(uv_poll_t *h, int status, int events);

static void set_polling(struct gw_h1_server *s)
{
	bool is_full = s->lim.connections && s->n_open >= s->lim.connections;
	bool may_accept = !s->is_closed && !s->is_draining && !s->is_accept_paused && !is_full;

	for (struct gw_h1_listener *l = s->listeners; l; l = l->next) {
		if (l->is_polling == may_accept)
			continue;
		l->is_polling = may_accept;
		if (may_accept)
			(void)uv_poll_start(&l->poll, UV_READABLE, on_listen);
		else
			(void)uv_poll_stop(&l->poll);
	}
}

static void on_resume(uv_timer_t *t)
{
	struct gw_h1_server *s = t->data;

	s->is_accept_paused = false;
	set_polling(s);
}

static void pause_accept(struct gw_h1_server *s)
{
	s->stats.accept_paused++;
	s->is_accept_paused = true;
	(void)uv_timer_start(&s->resume, on_resume, RESUME_MS, 0);
}

/* Out of descriptors: give up the reserve for a moment to turn one client away. */
static void turn_away(struct gw_h1_server *s, int listen_fd)
{
	int fd;

	gw_close(&s->reserve_fd);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	gw_close(&fd);
	s->reserve_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
}

/* IPv4 as v4-mapped; false: no Internet address. */
static bool read_address(const struct sockaddr_storage *a, uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a;

	memset(addr, 0, 16);
	if (a->ss_family == AF_INET) {
		memcpy(addr, mapped, 12);
		memcpy(addr + 12, &a4->sin_addr, 4);
	} else if (a->ss_family == AF_INET6) {
		memcpy(addr, &a6->sin6_addr, 16);
	}
	return a->ss_family == AF_INET || a->ss_family == AF_INET6;
}

static void take_socket(struct gw_h1_server *s, int fd, bool is_tls, const struct sockaddr_storage *a)
{
	uint8_t addr[16];
	bool is_unix = !read_address(a, addr);
	int one = 1;

	if (!is_unix)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	gw_h1_conn_open(s, fd, is_unix, is_tls, addr);
}

void gw_h1_adopt(struct gw_h1_server *s, int fd)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(a);

	(void)getpeername(fd, (struct sockaddr *)&a, &n);
	take_socket(s, fd, false, &a);
}

static void on_listen(uv_poll_t *h, int status, int events)
{
	struct gw_h1_listener *l = h->data;
	struct gw_h1_server *s = l->s;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && status == 0 && l->is_polling; i++) {
		struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
		socklen_t n = sizeof(a);
		int fd = accept4(l->fd, (struct sockaddr *)&a, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0 && fd < s->fd_ceiling) {
			take_socket(s, fd, l->is_tls, &a);
			if (s->lim.connections && s->n_open >= s->lim.connections) {
				s->stats.accept_paused++;
				break;
			}
			continue;
		}
		if (fd >= 0) { /* what is left is for upstreams and control */
			close(fd);
			pause_accept(s);
			break;
		}
		if (errno == EAGAIN)
			break;
		if (errno == ECONNABORTED || errno == EINTR)
			continue; /* that client only */
		if (errno == EMFILE || errno == ENFILE)
			turn_away(s, l->fd);
		pause_accept(s);
		break;
	}
	set_polling(s);
}

static enum gw_err listen_on(struct gw_h1_server *s, int fd, int id, bool is_tls)
{
	struct gw_h1_listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return GW_E_NOMEM;
	r = uv_poll_init(s->loop, &l->poll, fd);
	if (r < 0) {
		free(l);
		return gw_err_from_errno(r);
	}
	l->poll.data = l;
	l->s = s;
	l->fd = fd;
	l->id = id;
	l->is_tls = is_tls;
	l->next = s->listeners;
	s->listeners = l;
	set_polling(s);
	return GW_OK;
}

enum gw_err gw_h1_listen(struct gw_h1_server *s, int fd, int id)
{
	return listen_on(s, fd, id, false);
}

enum gw_err gw_h1_listen_tls(struct gw_h1_server *s, int fd, int id)
{
	return listen_on(s, fd, id, true);
}

/* ---- life ---- */

static void on_server_closed(uv_handle_t *h)
{
	struct gw_h1_server *s = h->data;

	if (--s->handles)
		return;
	gw_buf_done(&s->scratch);
	gw_buf_done(&s->bad_body);
	gw_close(&s->reserve_fd);
	gw_h1_fronts_free(s);
	free(s->proxies);
	free(s->trusted);
	free(s);
}

static void end_if_over(struct gw_h1_server *s)
{
	if (!s->is_closed || s->n_alive || s->n_resting || uv_is_closing((uv_handle_t *)&s->prepare))
		return;
	uv_close((uv_handle_t *)&s->prepare, on_server_closed);
	uv_close((uv_handle_t *)&s->again, on_server_closed);
	uv_close((uv_handle_t *)&s->timer, on_server_closed);
	uv_close((uv_handle_t *)&s->resume, on_server_closed);
}

static void on_listener_closed(uv_handle_t *h)
{
	struct gw_h1_listener *l = h->data;
	struct gw_h1_server *s = l->s;

	free(l);
	s->n_resting--;
	end_if_over(s);
}

static void drop_listener(struct gw_h1_listener **at)
{
	struct gw_h1_listener *l = *at;

	*at = l->next;
	l->is_polling = false;
	l->s->n_resting++;
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
}

void gw_h1_unlisten(struct gw_h1_server *s, int id)
{
	for (struct gw_h1_listener **at = &s->listeners; *at;) {
		if ((*at)->id == id)
			drop_listener(at);
		else
			at = &(*at)->next;
	}
}

static void on_again(uv_idle_t *h)
{
	(void)h;
}

void gw_h1_again(struct gw_h1_server *s)
{
	if (!uv_is_closing((uv_handle_t *)&s->again))
		(void)uv_idle_start(&s->again, on_again);
}

void gw_h1_conn_left(struct gw_h1_server *s)
{
	set_polling(s);
	if (s->on_empty && s->n_alive == 0)
		gw_h1_again(s);
	end_if_over(s);
}

/* End of the turn: flush, tell owners, go on with pipelined requests. A few rounds, then the loop has its say. */
static void on_prepare(uv_prepare_t *h)
{
	struct gw_h1_server *s = h->data;

	(void)uv_idle_stop(&s->again);
	for (int i = 0; i < ROUNDS_PER_TURN && s->dirty_first; i++) {
		struct gw_h1_conn *last = s->dirty_last;
		bool is_last = false;

		while (!is_last) {
			struct gw_h1_conn *c = s->dirty_first;

			is_last = c == last;
			s->dirty_first = c->dirty_next;
			if (!s->dirty_first)
				s->dirty_last = NULL;
			gw_h1_conn_advance(c); /* may free c, or put it at the end again */
		}
	}
	if (!s->dirty_first)
		(void)uv_idle_stop(&s->again);
	if (s->fronts)
		gw_h1_front_turn(s);
	if (s->on_empty && s->n_alive == 0) {
		void (*on_empty)(void *ctx) = s->on_empty;

		s->on_empty = NULL;
		on_empty(s->ctx);
	}
}

void gw_h1_drain(struct gw_h1_server *s, void (*on_empty)(void *ctx))
{
	s->is_draining = true;
	s->on_empty = on_empty;
	while (s->listeners)
		drop_listener(&s->listeners);
	for (struct gw_h1_conn *c = s->conns; c; c = c->next)
		gw_h1_conn_settle(c);
	gw_h1_again(s); /* on_empty comes from a turn, also when nothing is open */
}

void gw_h1_server_close(struct gw_h1_server *s)
{
	if (!s || s->is_closed)
		return;
	s->is_closed = true;
	s->on_empty = NULL;
	while (s->listeners)
		drop_listener(&s->listeners);
	for (struct gw_h1_conn *c = s->conns; c; c = c->next)
		gw_h1_conn_kill(c);
	end_if_over(s);
}

/* Descriptors that clients may not take: 5 %, or 64 where there are few. */
static int fd_ceiling(void)
{
	struct rlimit r;
	rlim_t kept;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY || r.rlim_cur > INT_MAX)
		return INT_MAX;
	kept = r.rlim_cur / 20;
	if (kept < 64)
		kept = r.rlim_cur / 4 < 64 ? r.rlim_cur / 4 : 64;
	return (int)(r.rlim_cur - kept);
}

enum gw_err gw_h1_server_new(uv_loop_t *loop, const struct gw_h1_limits *lim, const struct gw_h1_ops *ops, void *ctx,
			     struct gw_h1_server **out)
{
	struct gw_h1_server *s = calloc(1, sizeof(*s));

	if (!s)
		return GW_E_NOMEM;
	GW_REQUIRE(gw_h1_parser_is_strict());
	GW_REQUIRE(ops->on_head && ops->on_request && lim->idle_ms && lim->head_count);
	s->loop = loop;
	s->lim = *lim;
	s->ops = *ops;
	s->ctx = ctx;
	(void)uv_prepare_init(loop, &s->prepare);
	(void)uv_idle_init(loop, &s->again);
	(void)uv_timer_init(loop, &s->timer);
	(void)uv_timer_init(loop, &s->resume);
	s->handles = 4;
	s->prepare.data = s->again.data = s->timer.data = s->resume.data = s;
	(void)uv_prepare_start(&s->prepare, on_prepare);
	/* Connections and listeners keep the loop alive, these need not. */
	uv_unref((uv_handle_t *)&s->prepare);
	uv_unref((uv_handle_t *)&s->timer);
	s->fd_ceiling = fd_ceiling();
	s->reserve_fd = fcntl(uv_backend_fd(loop), F_DUPFD_CLOEXEC, 0);
	gw_buf_init(&s->scratch, SCRATCH_BYTES);
	gw_buf_init(&s->bad_body, SCRATCH_BYTES);
	gw_h1_settings_init(s);
	gw_h1_due_start(s);
	*out = s;
	return GW_OK;
}

void gw_h1_set_caps(struct gw_h1_server *s, uint32_t connections, uint32_t connections_per_ip)
{
	s->lim.connections = connections;
	s->lim.connections_per_ip = connections_per_ip;
	set_polling(s);
}

static enum gw_err copy_cidrs(const struct gw_cidr *v, uint32_t n, struct gw_cidr **out)
{
	*out = NULL;
	if (n == 0)
		return GW_OK;
	*out = malloc(n * sizeof(*v));
	if (!*out)
		return GW_E_NOMEM;
	memcpy(*out, v, n * sizeof(*v));
	return GW_OK;
}

enum gw_err gw_h1_set_proxies(struct gw_h1_server *s, const struct gw_cidr *proxies, uint32_t n_proxies,
			      const struct gw_cidr *trusted, uint32_t n_trusted)
{
	struct gw_cidr *p, *t = NULL;
	enum gw_err e = copy_cidrs(proxies, n_proxies, &p);

	if (!e)
		e = copy_cidrs(trusted, n_trusted, &t);
	if (e) {
		free(p);
		return e;
	}
	free(s->proxies);
	free(s->trusted);
	s->proxies = p;
	s->n_proxies = n_proxies;
	s->trusted = t;
	s->n_trusted = n_trusted;
	return GW_OK;
}

uint32_t gw_h1_open(const struct gw_h1_server *s)
{
	return s->n_open;
}

const struct gw_h1_stats *gw_h1_stats(const struct gw_h1_server *s)
{
	return &s->stats;
}

/* ---- small questions ---- */

struct gw_str gw_h1_header(const struct gw_h1_request *rq, struct gw_str name, uint32_t *count)
{
	struct gw_str first = GW_NIL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < rq->n_headers; i++) {
		if (!gw_str_ieq(rq->headers[i].name, name))
			continue;
		if (n++ == 0)
			first = rq->headers[i].value;
		if (!count)
			break;
	}
	if (count)
		*count = n;
	return first;
}

void gw_h1_set_user(struct gw_h1_conn *c, void *user)
{
	c->user = user;
}

void *gw_h1_user(const struct gw_h1_conn *c)
{
	return c->user;
}

struct gw_str gw_h1_peer(const struct gw_h1_conn *c)
{
	return gw_str(c->peer, c->peer_n);
}

bool gw_h1_is_unix(const struct gw_h1_conn *c)
{
	return c->is_unix;
}

const uint8_t *gw_h1_addr(const struct gw_h1_conn *c)
{
	return c->is_unix ? NULL : c->addr;
}
