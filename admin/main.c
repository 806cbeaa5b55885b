/* The admin process: start, channels, clock, end. */
#include <stdlib.h>
#include <unistd.h>
#include "admin/admin.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/sandbox.h"

enum { TICK_MS = 500, CHANNEL_QUEUE = 64 << 20, CELLS = 8192, LISTEN_TCP = 0, LISTEN_UNIX = 1 };

static void stop(struct gw_admin *ad)
{
	ad->is_stopping = true;
	uv_stop(&ad->loop);
}

static void on_empty(void *ctx)
{
	stop(ctx);
}
static void on_drain_over(uv_timer_t *t)
{
	stop(t->data);
}

static void begin_drain(struct gw_admin *ad)
{
	if (ad->is_draining)
		return;
	ad->is_draining = true;
	uv_timer_start(&ad->drain, on_drain_over, 5000, 0);
	gw_h1_drain(ad->server, on_empty);
}

static void listen_all(struct gw_admin *ad)
{
	int tcp = gw_role_fd(&ad->start, "admin.tcp"), local = gw_role_fd(&ad->start, "admin.unix");

	gw_adm_tls_tick(ad);
	gw_adm_tls_listen(ad);
	if ((tcp >= 0 && gw_h1_listen(ad->server, tcp, LISTEN_TCP)) ||
	    (local >= 0 && gw_h1_listen(ad->server, local, LISTEN_UNIX)))
		gw_log(GW_ERROR, "cannot poll the admin sockets");
}

/* --- channels --- */
static void on_peer_end(void *ctx, struct gw_channel *ch)
{
	struct gw_admin *ad = ctx;

	if (ad->confd == ch)
		ad->confd = NULL;
	if (ad->logger == ch)
		ad->logger = NULL;
	if (ad->agent == ch)
		ad->agent = NULL;
	if (ad->exporter == ch)
		ad->exporter = NULL;
}

static void on_peer_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	(void)ctx;
	(void)ch;
	(void)m; /* answers are paired by the channel; nothing else is expected */
}

static const struct gw_channel_ops peer_ops = { on_peer_message, on_peer_end };

static void connect_peer(struct gw_admin *ad, enum gw_role role, int fd)
{
	struct gw_channel **at = role == GW_ROLE_CONFD      ? &ad->confd
				 : role == GW_ROLE_LOGGER   ? &ad->logger
				 : role == GW_ROLE_AGENT    ? &ad->agent
				 : role == GW_ROLE_EXPORTER ? &ad->exporter
							    : NULL;

	gw_channel_replace(&ad->loop, fd, &peer_ops, ad, CHANNEL_QUEUE, at);
}

static void handover(struct gw_admin *ad, const struct gw_msg *m)
{
	struct gw_msg a = { .type = GW_MSG_HANDED };

	if (m->flags != GW_HANDOVER_GO)
		return;
	ad->start.is_standby = false;
	listen_all(ad);
	GW_MSG_SET(&a, flags, GW_HANDOVER_GO);
	GW_MSG_SET(&a, status, 0);
	if (gw_channel_send(ad->master, &a) != GW_OK)
		gw_log(GW_ERROR, "cannot answer the master");
}

static void on_master_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_admin *ad = ctx;

	(void)ch;
	if (m->type == GW_MSG_PEER && m->n_fds == 1) {
		int fd = m->fds[0];

		m->fds[0] = -1;
		connect_peer(ad, (enum gw_role)m->role, fd);
	} else if (m->type == GW_MSG_DRAIN) {
		begin_drain(ad);
	} else if (m->type == GW_MSG_HANDOVER) {
		handover(ad, m);
	}
}

static void on_orphan(uv_timer_t *t)
{
	begin_drain(t->data);
}

static void on_master_end(void *ctx, struct gw_channel *ch)
{
	struct gw_admin *ad = ctx;

	(void)ch;
	ad->master = NULL;
	if (ad->start.is_standby)
		stop(ad);
	else
		uv_timer_start(&ad->orphan, on_orphan, ad->start.boot.orphan_grace, 0);
}

static const struct gw_channel_ops master_ops = { on_master_message, on_master_end };

static void on_tick(uv_timer_t *t)
{
	struct gw_admin *ad = t->data;

	if (ad->ticks++ % (5000 / TICK_MS) == 0)
		gw_adm_limits_read(ad);
	atomic_store_explicit(&ad->beats->roles[GW_ROLE_ADMIN].beat_ns, gw_now_ns(), memory_order_release);
	gw_adm_tls_tick(ad);
}

static void on_signal(uv_signal_t *s, int signum)
{
	(void)signum;
	begin_drain(s->data);
}

static void open_shared(struct gw_admin *ad)
{
	const char *dir = ad->start.boot.runtime_dir;

	if (gw_beats_open(dir, false, &ad->beats) || gw_control_open(dir, &ad->control) ||
	    gw_health_open(dir, false, false, &ad->health) || gw_cells_new(CELLS, &ad->cells))
		gw_role_fatal("cannot map the shared regions in %s", dir);
	gw_slots_open(&ad->slots, dir);
}

static uint32_t lock_down(struct gw_admin *ad)
{
	struct gw_sandbox_path paths[] = { { ad->segments, false },
					   { ad->index, false },
					   { ad->start.boot.runtime_dir, false } };
	uint32_t level = 0;

	if (ad->start.boot.sandbox && gw_sandbox_enter(GW_SB_ADMIN, paths, sizeof paths / sizeof paths[0], &level))
		gw_role_fatal("cannot enter the sandbox");
	return level;
}

static void open_channels(struct gw_admin *ad)
{
	static const struct {
		const char *name;
		enum gw_role role;
	} rows[] = {
		{ "chan.confd", GW_ROLE_CONFD },
		{ "chan.logger", GW_ROLE_LOGGER },
		{ "chan.agent", GW_ROLE_AGENT },
		{ "chan.exporter", GW_ROLE_EXPORTER },
	};

	if (gw_channel_open(&ad->loop, GW_ROLE_MASTER_FD, &master_ops, ad, CHANNEL_QUEUE, &ad->master))
		gw_role_fatal("cannot open the channel to the master");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd = gw_role_fd(&ad->start, rows[i].name);

		if (fd >= 0)
			connect_peer(ad, rows[i].role, fd);
	}
}

static void start_timers(struct gw_admin *ad, uv_signal_t *term)
{
	uv_timer_t *const timers[] = { &ad->orphan, &ad->drain, &ad->tick };

	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
		uv_timer_init(&ad->loop, timers[i]);
		timers[i]->data = ad;
	}
	uv_timer_start(&ad->tick, on_tick, 0, TICK_MS);
	uv_signal_init(&ad->loop, term);
	term->data = ad;
	uv_signal_start(term, on_signal, SIGTERM);
}

int gw_admin_main(void)
{
	static struct gw_admin admin;
	static uv_signal_t term;
	struct gw_admin *ad = &admin;
	struct gw_h1_limits lim = gw_h1_default_limits;

	gw_role_begin(&ad->start, "admin", false);
	setenv("UV_THREADPOOL_SIZE", "2", 1);
	setenv("UV_USE_IO_URING", "0", 1);
	if (gw_crypto_init() || uv_loop_init(&ad->loop))
		gw_role_fatal("cannot initialise cryptography or the event loop");
	/* The logger and the exporter make them too; the sandbox only opens what is there when it closes. */
	snprintf(ad->segments, sizeof ad->segments, "%s/segments", ad->start.boot.data_dir);
	snprintf(ad->index, sizeof ad->index, "%s/index", ad->start.boot.data_dir);
	if (gw_private_dir(ad->segments) || gw_private_dir(ad->index))
		gw_role_fatal("cannot open %s", ad->segments);
	open_shared(ad);
	lim.may_put = true;
	lim.connections = 1024;
	lim.connections_per_ip = 0;
	if (gw_h1_server_new(&ad->loop, &lim, &gw_adm_ops, ad, &ad->server))
		gw_role_fatal("cannot make the HTTP server");
	uint32_t level = lock_down(ad);
	open_channels(ad);
	start_timers(ad, &term);
	if (!ad->start.is_standby)
		listen_all(ad);
	gw_role_ready(level);
	while (!ad->is_stopping)
		uv_run(&ad->loop, UV_RUN_DEFAULT);
	gw_log(GW_INFO, "stopped");
	return 0;
}
