/* The confd process: start, life, end. Order at start: root key sources that a locked-down process cannot reach, folders,
 * sandbox, store and keyring, publishing thread, channels. A standby (in-place upgrade) opens the store when told so. */
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "confd/login.h"
#include "confd/failpoint.h"
#include "confd/root_key.h"
#include "confd/server.h"
#include "confd/tokens.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/sandbox.h"

enum { TICK_MS = 100, MASTER_QUEUE = 4 << 20, RELEASE_MS = 2000, DRAIN_MS = 5000 };
enum { EACH_SECOND = 1000 / TICK_MS, EACH_MINUTE = 60 * EACH_SECOND };
enum { MMAP_FROM_BYTES = 128 << 10 };

static void beat(void *ctx)
{
	struct gw_server *s = ctx;

	atomic_store_explicit(&s->beats->roles[GW_ROLE_CONFD].beat_ns, gw_now_ns(), memory_order_release);
}

/* --- the end --- */

static void stop(struct gw_server *s)
{
	s->is_stopping = true;
	uv_stop(&s->loop);
}

static void close_core(struct gw_server *s)
{
	if (!s->is_open)
		return;
	gw_queue_flush(s);
	gw_audit_flush(s);
	gw_publisher_stop(s->publisher);
	s->publisher = NULL;
	s->is_open = false;
	gw_core_close(&s->core);
}

static void on_drain_over(uv_timer_t *t)
{
	stop(t->data);
}

static void begin_drain(struct gw_server *s, uint64_t timeout_ms)
{
	if (s->is_draining)
		return;
	gw_queue_flush(s);
	s->is_draining = true;
	gw_audit_pump(s);
	uv_timer_start(&s->drain, on_drain_over, timeout_ms < DRAIN_MS ? timeout_ms : DRAIN_MS, 0);
}

/* --- upgrade --- */

static void answer_handover(struct gw_server *s, enum gw_handover phase, enum gw_err e)
{
	struct gw_msg a = { .type = GW_MSG_HANDED };

	GW_MSG_SET(&a, flags, (uint64_t)phase);
	GW_MSG_SET(&a, status, (uint64_t) - (int64_t)e);
	if (s->master == NULL || gw_channel_send(s->master, &a) != GW_OK)
		gw_log(GW_ERROR, "cannot answer the master");
}

/* Let go of the store: nothing new is taken, what is committed reaches the logger if it answers in time. */
static void check_release(struct gw_server *s)
{
	if (!s->is_releasing || s->is_released)
		return;
	bool is_late = gw_now_ms() >= s->release_by_ms;

	if (!is_late && (!gw_queue_is_idle(s) || !gw_audit_is_empty(s)))
		return;
	if (s->is_backing_up) /* its thread reads the store */
		return;
	close_core(s);
	s->is_released = true;
	answer_handover(s, GW_HANDOVER_RELEASE, GW_OK);
}

static enum gw_err open_core(struct gw_server *s)
{
	bool is_first = false;
	enum gw_err e = gw_core_open(&s->core, &s->opts, &is_first, s->why);

	if (e != GW_OK)
		return e;
	if (is_first)
		gw_log(GW_INFO, "first start: the admin token is in %s/admin.token", s->start.boot.data_dir);
	s->core.beat = beat;
	s->core.beat_ctx = s;
	s->is_open = true;
	gw_images_attach(s);
	return GW_OK;
}

static void handover(struct gw_server *s, const struct gw_msg *m)
{
	if (m->flags == GW_HANDOVER_RELEASE && s->is_open) {
		gw_queue_flush(s);
		s->is_releasing = true;
		s->release_by_ms = gw_now_ms() + RELEASE_MS;
		gw_audit_pump(s);
		check_release(s);
	} else if (m->flags == GW_HANDOVER_GO && !s->is_open) {
		enum gw_err e = open_core(s);

		if (e != GW_OK)
			gw_log(GW_ERROR, "%s", s->why);
		else
			s->start.is_standby = false;
		answer_handover(s, GW_HANDOVER_GO, e);
		if (e == GW_OK && gw_peer_logger(s) != NULL)
			gw_audit_connected(s);
	}
}

/* --- the master --- */

static void on_master_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_server *s = ctx;

	(void)ch;
	switch ((int)m->type) {
	case GW_MSG_PEER:
		if (m->n_fds == 1 && m->role < GW_ROLE_COUNT) {
			int fd = m->fds[0];

			m->fds[0] = -1;
			gw_peers_connect(s, (enum gw_role)m->role, (uint32_t)m->slot, (uint32_t)m->epoch, fd);
		}
		break;
	case GW_MSG_HANDOVER:
		handover(s, m);
		break;
	case GW_MSG_DRAIN:
		begin_drain(s, GW_MSG_HAS(m, deadline_ms) ? m->deadline_ms : s->start.boot.drain_timeout);
		break;
	default: /* PEER_GONE: the channel's end says it too */
		break;
	}
}

static void on_orphan(uv_timer_t *t)
{
	begin_drain(t->data, DRAIN_MS);
}

static void on_master_end(void *ctx, struct gw_channel *ch)
{
	struct gw_server *s = ctx;

	(void)ch;
	s->master = NULL;
	if (s->start.is_standby)
		stop(s);
	else
		uv_timer_start(&s->orphan, on_orphan, s->start.boot.orphan_grace, 0);
}

static const struct gw_channel_ops master_ops = { on_master_message, on_master_end };

/* --- time --- */

/* The map grows by itself; what an operator must know is how far its end is. */
static void check_size(struct gw_server *s)
{
	struct gw_store_size size = gw_store_size(s->core.store);

	if (size.used_bytes > size.max_bytes / 10 * 6)
		gw_log(GW_WARN,
		       "the configuration database takes %llu of at most %llu MiB; at the end changes are refused",
		       (unsigned long long)(size.used_bytes >> 20), (unsigned long long)(size.max_bytes >> 20));
}

static void maintain(struct gw_server *s)
{
	if (gw_maintain_rekey(&s->core))
		return; /* more of it at the next tick; the rest has time */
	if (s->n_ticks % EACH_MINUTE == 0) {
		(void)gw_maintain_secrets(&s->core);
		gw_login_sweep(&s->core);
		gw_idem_sweep(&s->core);
		gw_revocation_sweep(s);
		check_size(s);
	}
	if (s->n_ticks % (20 * EACH_SECOND) == 0)
		gw_login_flush(&s->core);
	if (s->n_ticks % (60 * EACH_MINUTE) == EACH_MINUTE)
		(void)gw_maintain_history(&s->core);
	if (s->n_ticks % (10 * EACH_SECOND) == 0)
		gw_store_check_readers(s->core.store);
}

static void on_tick(uv_timer_t *t)
{
	struct gw_server *s = t->data;

	beat(s);
	s->n_ticks++;
	if (s->is_open) {
		gw_queue_check(s);
		gw_images_tick(s);
		gw_tokens_tick(s);
		if (s->n_ticks % 2 == 0) {
			gw_audit_flush(s);
			gw_audit_pump(s);
		}
		if (!s->is_releasing && !s->is_draining)
			maintain(s);
	}
	check_release(s);
	if (s->is_draining && gw_queue_is_idle(s) && gw_audit_is_empty(s))
		stop(s);
}

static void on_signal(uv_signal_t *sig, int signum)
{
	struct gw_server *s = sig->data;

	(void)signum;
	begin_drain(s, s->start.boot.drain_timeout);
}

static void start_timers(struct gw_server *s)
{
	uv_timer_t *const timers[] = { &s->tick, &s->orphan, &s->drain };

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		uv_timer_init(&s->loop, timers[i]);
		timers[i]->data = s;
	}
	uv_timer_start(&s->tick, on_tick, 0, TICK_MS);
	uv_signal_init(&s->loop, &s->term);
	s->term.data = s;
	uv_signal_start(&s->term, on_signal, SIGTERM);
}

/* --- start --- */

/* The folder of a key file: rotation writes beside it and renames. */
static const char *root_folder(const char *option, char out[PATH_MAX])
{
	struct gw_root_source src;

	if (!gw_root_source_read(option, &src) || src.kind != GW_ROOT_FILE)
		return NULL;
	const char *slash = strrchr(src.text, '/');
	int n = slash == NULL
		    ? snprintf(out, PATH_MAX, ".")
		    : snprintf(out, PATH_MAX, "%.*s", slash == src.text ? 1 : (int)(slash - src.text), src.text);

	return n > 0 && n < PATH_MAX ? out : NULL;
}

static uint32_t lock_down(struct gw_server *s)
{
	static char folder[PATH_MAX], previous[PATH_MAX];
	const char *roots[] = { root_folder(s->start.boot.root_key, folder),
				root_folder(s->start.boot.root_key_previous, previous) };
	struct gw_sandbox_path paths[8] = {
		{ s->start.boot.data_dir, true },
		{ s->start.boot.runtime_dir, true },
		{ "/proc/self", false },
	};
	size_t n = 3;
	uint32_t level = 0;

	for (size_t i = 0; i < 2; i++) {
		if (roots[i] != NULL)
			paths[n++] = (struct gw_sandbox_path){ roots[i], true };
	}
	if (s->start.boot.sandbox && gw_sandbox_enter(GW_SB_CONFD, paths, n, &level) != GW_OK)
		gw_role_fatal("cannot enter the sandbox");
	return level;
}

static void open_channels(struct gw_server *s)
{
	if (gw_channel_open(&s->loop, GW_ROLE_MASTER_FD, &master_ops, s, MASTER_QUEUE, &s->master) != GW_OK)
		gw_role_fatal("cannot open the channel to the master");
	for (uint32_t i = 0; i < s->start.n_fds; i++) {
		const struct gw_role_fd *f = &s->start.fds[i];
		struct gw_str name = gw_str_z(f->name), head, tail, worker = GW_LIT("chan.worker.");
		uint64_t slot = 0;
		enum gw_role role;

		if (gw_str_has_prefix(name, worker)) {
			if (gw_str_u64(gw_str_skip(name, worker.n), &slot))
				gw_peers_connect(s, GW_ROLE_WORKER, (uint32_t)slot, 0, f->fd);
		} else if (gw_str_cut(name, '.', &head, &tail) && gw_str_eq(head, GW_LIT("chan")) &&
			   gw_role_by_name(tail, &role)) {
			gw_peers_connect(s, role, s->start.slot, 0, f->fd); /* of the same master */
		}
	}
}

static void read_options(struct gw_server *s)
{
	s->opts = (struct gw_core_opts){ .data_dir = s->start.boot.data_dir,
					 .root_key = s->start.boot.root_key,
					 .root_key_previous = s->start.boot.root_key_previous,
					 .drain_ms = s->start.boot.drain_timeout };
	if (gw_private_dir(s->start.boot.data_dir) != GW_OK)
		gw_role_fatal("the data folder %s cannot be made or is not ours", s->start.boot.data_dir);
	if (gw_core_preload(&s->opts, s->why) != GW_OK)
		gw_role_fatal("%s", s->why);
}

int gw_confd_main(void)
{
	static struct gw_server server;
	struct gw_server *s = &server;

	/* An LMDB environment that is opened to write an image has lists of some 4 MiB of which it uses a page. glibc would give them mappings
	 * of their own the first time, then raise its threshold, and zero them in a heap that keeps them for good. */
	mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES);
	gw_role_begin(&s->start, "confd", false);
	setenv("UV_USE_IO_URING", "0", 1);
	setenv("UV_THREADPOOL_SIZE", "2", 1); /* passwords */
	if (gw_crypto_init() != GW_OK || uv_loop_init(&s->loop) != 0)
		gw_role_fatal("cannot initialise cryptography or the event loop");
	if (gw_beats_open(s->start.boot.runtime_dir, false, &s->beats) != GW_OK)
		gw_role_fatal("cannot map the shared regions in %s", s->start.boot.runtime_dir);
	gw_revocation_open(s);
	if (gw_tokens_init(s) != GW_OK)
		gw_role_fatal("no memory for the table of tokens");
	read_options(s);
	gw_failpoint_dir(s->start.boot.data_dir);
	uint32_t level = lock_down(s);

	gw_queue_init(s);
	if (!s->start.is_standby && open_core(s) != GW_OK)
		gw_role_fatal("%s", s->why);
	open_channels(s);
	start_timers(s);
	gw_role_ready(level);
	while (!s->is_stopping)
		uv_run(&s->loop, UV_RUN_DEFAULT);
	while (s->is_backing_up)
		uv_run(&s->loop, UV_RUN_ONCE);
	close_core(s);
	gw_log(GW_INFO, "stopped");
	return 0;
}
