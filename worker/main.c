/* A worker's start, its channels, its end. */
#include <stdlib.h>
#include <unistd.h>
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/sandbox.h"
#include "worker/crash.h"
#include "worker/main.h"
#include "worker/worker.h"

enum { LOGGER_QUEUE = 64 << 10, CHANNEL_QUEUE = 1 << 20, LAST_BYTES_MS = 250 };

static void begin_drain(struct gw_worker *w, uint64_t timeout_ms);

void gw_worker_check_ready(struct gw_worker *w)
{
	if (w->is_ready || !w->pepper || !w->images.image[GW_IMAGE_CONFIG] || !w->tls.is_ready)
		return;
	if (!w->has_leases) {
		gw_lease_ahead(w); /* comes back here */
		return;
	}
	w->is_ready = true;
	atomic_store_explicit(&w->page->is_ready, 1, memory_order_release);
	if (!w->start.is_standby)
		gw_worker_accept(w);
}

/* --- accepting --- */
static int own_listen_id(const struct gw_worker *w)
{
	return (int)(w->slot % GW_MAX_WORKERS);
}

static void listen_on(struct gw_worker *w, int id)
{
	char name[24];
	int fd;

	snprintf(name, sizeof name, "listen.%d", id);
	fd = gw_role_fd(&w->start, name);
	if (fd >= 0 && gw_h1_listen(w->server, fd, id) != GW_OK)
		gw_log(GW_ERROR, "cannot poll listen socket %d", id);
	snprintf(name, sizeof name, "tls.%d", id);
	fd = gw_role_fd(&w->start, name);
	if (fd >= 0 && gw_h1_listen_tls(w->server, fd, id) != GW_OK)
		gw_log(GW_ERROR, "cannot poll TLS listen socket %d", id);
}

void gw_worker_accept(struct gw_worker *w)
{
	if (!w->is_draining)
		listen_on(w, own_listen_id(w));
}

static void adopt(struct gw_worker *w, const struct gw_msg *m)
{
	int id = (int)(m->slot % GW_MAX_WORKERS);

	if (id == own_listen_id(w) || w->is_draining || !w->is_ready)
		return;
	if (m->flags & 1)
		listen_on(w, id);
	else
		gw_h1_unlisten(w->server, id);
}

/* --- channels --- */
static void on_peer_end(void *ctx, struct gw_channel *ch)
{
	struct gw_worker *w = ctx;

	if (w->confd == ch)
		w->confd = NULL;
	else if (w->logger == ch)
		w->logger = NULL;
}

static void on_peer_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_worker *w = ctx;

	(void)ch;
	if (m->type == GW_MSG_IMAGE)
		gw_worker_image(w, m);
	else if (m->type == GW_MSG_LEASE_DROP)
		gw_lease_drop(w, m->name, m->flags == GW_DROP_RENEW);
}

static const struct gw_channel_ops peer_ops = { on_peer_message, on_peer_end };

static void connect_peer(struct gw_worker *w, enum gw_role role, int fd)
{
	struct gw_channel **at = role == GW_ROLE_CONFD ? &w->confd : role == GW_ROLE_LOGGER ? &w->logger : NULL;

	gw_channel_replace(&w->loop, fd, &peer_ops, w, role == GW_ROLE_LOGGER ? LOGGER_QUEUE : CHANNEL_QUEUE, at);
	if (role == GW_ROLE_CONFD && w->confd) {
		gw_lease_pepper(w);
		gw_worker_tls_confd(w);
	}
}

static void handover(struct gw_worker *w, const struct gw_msg *m)
{
	struct gw_msg a = { .type = GW_MSG_HANDED };

	if (m->flags != GW_HANDOVER_GO)
		return;
	w->start.is_standby = false;
	if (w->is_ready)
		gw_worker_accept(w);
	GW_MSG_SET(&a, flags, GW_HANDOVER_GO);
	GW_MSG_SET(&a, status, 0);
	if (gw_channel_send(w->master, &a) != GW_OK)
		gw_log(GW_ERROR, "cannot answer the master");
}

static void on_master_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_worker *w = ctx;

	(void)ch;
	switch ((int)m->type) {
	case GW_MSG_PEER:
		if (m->n_fds == 1) {
			int fd = m->fds[0];
			m->fds[0] = -1;
			connect_peer(w, (enum gw_role)m->role, fd);
		}
		break;
	case GW_MSG_IMAGE: /* what the master keeps may be older than what confd sent meanwhile */
		if (m->generation >= w->images.generation)
			gw_worker_image(w, m);
		break;
	case GW_MSG_ADOPT:
		adopt(w, m);
		break;
	case GW_MSG_DRAIN:
		begin_drain(w, GW_MSG_HAS(m, deadline_ms) ? m->deadline_ms : w->start.boot.drain_timeout);
		break;
	case GW_MSG_HANDOVER:
		handover(w, m);
		break;
	default:
		break;
	}
}

static void on_orphan(uv_timer_t *t)
{
	struct gw_worker *w = t->data;

	gw_log(GW_WARN, "the master did not come back: draining");
	begin_drain(w, w->start.boot.drain_timeout);
}

static void on_master_end(void *ctx, struct gw_channel *ch)
{
	struct gw_worker *w = ctx;

	(void)ch;
	w->master = NULL;
	if (w->start.is_standby) {
		w->is_stopping = true;
		uv_stop(&w->loop);
		return;
	}
	gw_log(GW_WARN, "the master is gone: serving on with frozen configuration for %llu s",
	       (unsigned long long)w->start.boot.orphan_grace / 1000);
	uv_timer_start(&w->orphan, on_orphan, w->start.boot.orphan_grace, 0);
}

static const struct gw_channel_ops master_ops = { on_master_message, on_master_end };

/* --- the end --- */
static void stop_now(struct gw_worker *w)
{
	w->is_stopping = true;
	uv_stop(&w->loop);
}

static void on_empty(void *ctx)
{
	stop_now(ctx);
}

static void on_drain_over(uv_timer_t *t)
{
	struct gw_worker *w = t->data;

	if (w->n_active) {
		gw_log(GW_WARN, "drain time is over with %u requests under way: they are cut", w->n_active);
		gw_tick_end_all(w, GW_E_DRAINING);
		uv_timer_start(t, on_drain_over, LAST_BYTES_MS, 0);
		return;
	}
	stop_now(w);
}

static void begin_drain(struct gw_worker *w, uint64_t timeout_ms)
{
	if (w->is_draining)
		return;
	w->is_draining = true;
	atomic_store_explicit(&w->page->is_draining, 1, memory_order_release);
	uv_timer_start(&w->drain, on_drain_over, timeout_ms, 0);
	gw_h1_drain(w->server, on_empty);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct gw_worker *w = s->data;

	(void)signum;
	begin_drain(w, w->start.boot.drain_timeout);
}

/* --- start --- */
static void open_shared(struct gw_worker *w)
{
	const char *dir = w->start.boot.runtime_dir;
	struct gw_ring_shared *ring;
	struct gw_revoke *revoke;
	struct gw_health *health;
	int slot = (int)w->slot;

	if (gw_control_open(dir, &w->control) || gw_slot_open(dir, slot, true, &w->page) ||
	    gw_ring_open(dir, slot, &ring) || gw_inflight_open(dir, slot, &w->inflight) ||
	    gw_revoke_open(dir, false, false, &revoke) || gw_health_open(dir, false, false, &health))
		gw_role_fatal("cannot map the shared regions in %s", dir);
	w->revoke = revoke;
	w->health = health;
	gw_ring_start(&w->ring, ring, w->slot, w->epoch);
	w->told_head = gw_ring_head(&w->ring);
	gw_inflight_start(&w->inflight_free, w->inflight, w->epoch);
	gw_slot_start(w->page, (uint32_t)getpid(), w->epoch);
	atomic_store(&w->page->is_ready, 0);
	atomic_store(&w->page->is_draining, 0);
	gw_crash_slot(w->page);
}

static void open_sockets(struct gw_worker *w)
{
	struct gw_upstream_config up = { .idle_ms = 60000,
					 .max_idle_per_endpoint = 1024,
					 .has_libcurl = w->start.boot.libcurl };
	struct gw_h1_limits lim = gw_h1_default_limits;

	lim.may_put = true; /* raw relay; elsewhere the endpoint says 405 */
	if (gw_h1_server_new(&w->loop, &lim, &gw_front_ops, w, &w->server))
		gw_role_fatal("cannot make the HTTP server");
	if (gw_upstream_new(&w->loop, &up, &w->upstream))
		gw_role_fatal("cannot make the upstream client: no memory or no descriptors");
}

static void open_channels(struct gw_worker *w)
{
	int confd = gw_role_fd(&w->start, "chan.confd"), logger = gw_role_fd(&w->start, "chan.logger");

	if (gw_channel_open(&w->loop, GW_ROLE_MASTER_FD, &master_ops, w, CHANNEL_QUEUE, &w->master))
		gw_role_fatal("cannot open the channel to the master");
	if (confd >= 0)
		connect_peer(w, GW_ROLE_CONFD, confd);
	if (logger >= 0)
		connect_peer(w, GW_ROLE_LOGGER, logger);
}

static uint32_t lock_down(struct gw_worker *w)
{
	static const struct gw_sandbox_path paths[] = {
		{ "/etc/ssl", false },           { "/etc/resolv.conf", false }, { "/etc/hosts", false },
		{ "/etc/nsswitch.conf", false }, { "/proc/self", false },       { "/usr/share/zoneinfo", false },
	};
	uint32_t level = 0;

	if (!w->start.boot.sandbox)
		return 0;
	if (gw_sandbox_enter(GW_SB_WORKER, paths, sizeof paths / sizeof paths[0], &level))
		gw_role_fatal("cannot enter the sandbox; run with --sandbox=false only to find out why");
	return level;
}

static void start_timers(struct gw_worker *w, uv_signal_t *term)
{
	uv_timer_init(&w->loop, &w->orphan);
	w->orphan.data = w;
	uv_timer_init(&w->loop, &w->drain);
	w->drain.data = w;
	uv_signal_init(&w->loop, term);
	term->data = w;
	uv_signal_start(term, on_signal, SIGTERM);
	gw_tick_start(w);
}

static void finish(struct gw_worker *w)
{
	gw_record_flush(w, true);
	atomic_store(&w->page->is_ready, 0);
	gw_worker_images_done(w);
	gw_log(GW_INFO, "stopped");
}

int gw_worker_main(void)
{
	static struct gw_worker worker;
	static uv_signal_t term;
	struct gw_worker *w = &worker;

	gw_role_begin(&w->start, "worker", true);
	w->slot = w->start.slot;
	w->epoch = w->start.epoch;
	setenv("UV_THREADPOOL_SIZE", "2", 1);
	setenv("UV_USE_IO_URING", "0", 1);
	if (gw_crypto_init() || uv_loop_init(&w->loop))
		gw_role_fatal("cannot initialise cryptography or the event loop");
	gw_random(&w->rng, sizeof w->rng);
	w->rng |= 1;
	gw_buf_init(&w->pack, 4 << 20);
	w->loads = calloc(GW_KEY_LOADS, sizeof *w->loads);
	if (!w->loads || gw_lease_init(w))
		gw_role_fatal("out of memory");
	open_shared(w);
	open_sockets(w);
	uint32_t level = lock_down(w);
	open_channels(w);
	start_timers(w, &term);
	gw_role_ready(level);
	while (!w->is_stopping)
		uv_run(&w->loop, UV_RUN_DEFAULT);
	finish(w);
	return 0;
}
