/* The logger's start, its channels, its clock, its end. */
#include <stdlib.h>
#include <unistd.h>
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/sandbox.h"
#include "logger/logger.h"

enum { TICK_MS = 50, DRAIN_TICK_MS = 10, EACH_HALF_SECOND = 10, CHANNEL_QUEUE = 4 << 20, LEASE_MS = 2000 };

static void stop(struct gw_logger *l)
{
	l->is_stopping = true;
	uv_stop(&l->loop);
}

/* --- the signing key --- */
static void on_key(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_logger *l = ctx;

	if (err || m->status || m->secret.n != 32 || l->signer)
		return; /* the tick asks again */
	struct gw_secret *s = gw_secret_new(m->secret.p, m->secret.n);
	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (s && gw_signer_new(s, &l->signer) == GW_OK)
		gw_signer_public(l->signer, l->public_key);
	gw_secret_unref(s);
}

static void ask_key(struct gw_logger *l)
{
	struct gw_msg m = { .type = GW_MSG_LEASE };

	GW_MSG_SET(&m, name, GW_LIT("audit-signing"));
	if (!l->signer && l->confd && gw_channel_ask(l->confd, &m, LEASE_MS, on_key, l) != GW_OK)
		gw_log_slow(GW_WARN, "confd does not take the question for the signing key");
}

/* --- channels --- */
static void forget_waits(struct gw_logger *l, const struct gw_channel *ch)
{
	for (uint32_t i = 0; i < l->n_waits; i++)
		if (l->waits[i].ch == ch)
			l->waits[i].ch = NULL;
}

static void on_peer_end(void *ctx, struct gw_channel *ch)
{
	struct gw_logger *l = ctx;

	forget_waits(l, ch);
	if (l->confd == ch)
		l->confd = NULL;
	if (l->admin == ch)
		l->admin = NULL;
	for (int i = 0; i < GW_MAX_SLOTS; i++)
		if (l->workers[i] == ch)
			l->workers[i] = NULL;
}

static void on_batch_end(uv_timer_t *t)
{
	struct gw_logger *l = t->data;

	if (l->batch_since_ms)
		gw_lg_flush(l); /* what does not go out now is tried again by the tick */
}

/* Without records the logger sleeps: the group commit has a timer only while there is a batch. */
static void write_or_wait(struct gw_logger *l)
{
	if (gw_lg_is_due(l))
		gw_lg_flush(l);
	else if (l->batch_since_ms && !uv_is_active((uv_handle_t *)&l->batch_end))
		uv_timer_start(&l->batch_end, on_batch_end, GW_LG_BATCH_MS, 0);
}

static void on_peer_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_logger *l = ctx;

	if (m->type == GW_MSG_RECORDS) {
		if (m->slot < GW_MAX_SLOTS && l->workers[m->slot] == ch)
			gw_lg_on_records(l, m);
	} else if (m->type == GW_MSG_AUDIT && (ch == l->confd || ch == l->admin)) {
		gw_lg_on_audit(l, ch, m);
	}
	write_or_wait(l);
}

static const struct gw_channel_ops peer_ops = { on_peer_message, on_peer_end };

static void connect_peer(struct gw_logger *l, enum gw_role role, uint64_t slot, int fd)
{
	struct gw_channel **at = role == GW_ROLE_CONFD ? &l->confd : role == GW_ROLE_ADMIN ? &l->admin : NULL;

	if (role == GW_ROLE_WORKER && slot < GW_MAX_SLOTS)
		at = &l->workers[slot];
	if (at && *at)
		forget_waits(l, *at);
	gw_channel_replace(&l->loop, fd, &peer_ops, l, CHANNEL_QUEUE, at);
	if (role == GW_ROLE_CONFD)
		ask_key(l);
}

/* --- whose slots --- */
static void open_own_slots(struct gw_logger *l)
{
	int first = l->start.slot ? GW_MAX_WORKERS : 0;

	for (int i = 0; i < GW_MAX_WORKERS; i++)
		gw_lg_slot_open(l, first + i);
}

static bool is_running(uint32_t pid)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/%u", pid);
	return pid != 0 && access(path, F_OK) == 0;
}

/* Slots of the other half, when the logger that served them is dead (a crash of everything, or the end of an upgrade) and is not about to
 * be started again: at our own start, or when several looks in a row found nobody. */
static void open_orphaned_slots(struct gw_logger *l, uint32_t patience)
{
	bool has_looked = false;

	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_lg_slot *s = &l->slots[i];

		if (s->is_owned || (!s->ring && gw_ring_open(l->start.boot.runtime_dir, i, &s->ring)))
			continue;
		if (is_running(atomic_load(&s->ring->owner_pid))) {
			s->n_orphaned = 0;
			s->is_settled = false;
			continue;
		}
		bool is_read = atomic_load(&s->ring->head) == atomic_load(&s->ring->tail);
		if (s->n_orphaned++ < patience || (is_read && s->is_settled) || !gw_lg_slot_map(l, i))
			continue;
		if (is_read && !gw_lg_has_entries(s)) {
			s->is_settled = true;
			continue;
		}
		if (!has_looked)
			gw_lg_store_look_again(l);
		has_looked = true;
		gw_lg_slot_open(l, i);
	}
}

static void on_tick(uv_timer_t *t);

static void drain(struct gw_logger *l)
{
	if (!l->is_draining)
		uv_timer_start(&l->tick, on_tick, DRAIN_TICK_MS, DRAIN_TICK_MS);
	l->is_draining = true;
	gw_lg_poll_rings(l, true);
	gw_lg_look_for_dead(l);
	if (gw_lg_flush(l) && gw_lg_rings_empty(l)) {
		gw_lg_file_close(l, &l->request);
		gw_lg_file_close(l, &l->admin_file);
		stop(l);
	}
}

/* --- the master --- */
static void handover(struct gw_logger *l, const struct gw_msg *m)
{
	struct gw_msg a = { .type = GW_MSG_HANDED };

	if (m->flags != GW_HANDOVER_GO)
		return;
	l->start.is_standby = false;
	open_own_slots(l);
	GW_MSG_SET(&a, flags, GW_HANDOVER_GO);
	GW_MSG_SET(&a, status, 0);
	if (gw_channel_send(l->master, &a) != GW_OK)
		gw_log(GW_ERROR, "cannot answer the master");
}

static void peer_gone(struct gw_logger *l, const struct gw_msg *m)
{
	if (m->role != GW_ROLE_WORKER || m->slot >= GW_MAX_SLOTS)
		return;
	l->slots[m->slot].gone_epoch = (uint32_t)m->epoch;
	gw_lg_recover(l, &l->slots[m->slot], (uint32_t)m->epoch);
}

static void on_master_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_logger *l = ctx;

	(void)ch;
	switch ((int)m->type) {
	case GW_MSG_PEER:
		if (m->n_fds == 1) {
			int fd = m->fds[0];
			m->fds[0] = -1;
			if (m->role == GW_ROLE_WORKER && !l->start.is_standby && m->slot < GW_MAX_SLOTS)
				gw_lg_slot_open(l, (int)m->slot);
			connect_peer(l, (enum gw_role)m->role, m->slot, fd);
		}
		break;
	case GW_MSG_PEER_GONE:
		peer_gone(l, m);
		break;
	case GW_MSG_DRAIN:
		drain(l);
		break;
	case GW_MSG_HANDOVER:
		handover(l, m);
		break;
	default:
		break;
	}
}

static void on_orphan(uv_timer_t *t)
{
	struct gw_logger *l = t->data;

	/* the workers have the same grace and then their drain time: stay as long as they beat */
	for (int i = 0; i < GW_MAX_SLOTS; i++) {
		struct gw_lg_slot *s = &l->slots[i];

		if (s->is_owned && gw_now_ns() - atomic_load(&s->page->beat_ns) < 2000000000ULL)
			return;
	}
	drain(l);
}

static void on_master_end(void *ctx, struct gw_channel *ch)
{
	struct gw_logger *l = ctx;

	(void)ch;
	l->master = NULL;
	if (l->start.is_standby) {
		stop(l);
		return;
	}
	uv_timer_start(&l->orphan, on_orphan, l->start.boot.orphan_grace, 500);
}

static const struct gw_channel_ops master_ops = { on_master_message, on_master_end };

/* --- the clock --- */
static void on_tick(uv_timer_t *t)
{
	struct gw_logger *l = t->data;

	atomic_store_explicit(&l->beats->roles[GW_ROLE_LOGGER].beat_ns, gw_now_ns(), memory_order_release);
	if (l->start.is_standby)
		return;
	l->ticks++;
	gw_lg_poll_rings(l, false);
	write_or_wait(l);
	if (l->ticks % EACH_HALF_SECOND == 0) {
		ask_key(l);
		gw_lg_look_for_dead(l);
		gw_lg_retain(l);
	}
	if (l->ticks % (4 * EACH_HALF_SECOND) == 0)
		open_orphaned_slots(l, 3);
	if (l->is_draining)
		drain(l);
}

static uint32_t lock_down(struct gw_logger *l)
{
	char segments[512];
	struct gw_sandbox_path paths[] = { { segments, true },
					   { l->start.boot.runtime_dir, true },
					   { "/proc", false } };
	uint32_t level = 0;

	snprintf(segments, sizeof segments, "%s/segments", l->start.boot.data_dir);
	if (l->start.boot.sandbox && gw_sandbox_enter(GW_SB_LOGGER, paths, sizeof paths / sizeof paths[0], &level))
		gw_role_fatal("cannot enter the sandbox");
	return level;
}

static void open_channels(struct gw_logger *l)
{
	char name[28];
	int fd;

	if (gw_channel_open(&l->loop, GW_ROLE_MASTER_FD, &master_ops, l, CHANNEL_QUEUE, &l->master))
		gw_role_fatal("cannot open the channel to the master");
	if ((fd = gw_role_fd(&l->start, "chan.confd")) >= 0)
		connect_peer(l, GW_ROLE_CONFD, 0, fd);
	if ((fd = gw_role_fd(&l->start, "chan.admin")) >= 0)
		connect_peer(l, GW_ROLE_ADMIN, 0, fd);
	for (unsigned i = 0; i < GW_MAX_SLOTS; i++) {
		snprintf(name, sizeof name, "chan.worker.%u", i);
		if ((fd = gw_role_fd(&l->start, name)) >= 0)
			connect_peer(l, GW_ROLE_WORKER, i, fd);
	}
}

int gw_logger_main(void)
{
	static struct gw_logger logger;
	struct gw_logger *l = &logger;

	gw_role_begin(&l->start, "logger", false);
	setenv("UV_USE_IO_URING", "0", 1);
	setenv("UV_THREADPOOL_SIZE", "1", 1); /* for old segments only */
	if (gw_crypto_init() || uv_loop_init(&l->loop))
		gw_role_fatal("cannot initialise cryptography or the event loop");
	if (gw_beats_open(l->start.boot.runtime_dir, false, &l->beats))
		gw_role_fatal("cannot map the beats in %s", l->start.boot.runtime_dir);
	l->started_ms = gw_now_ms();
	gw_buf_init(&l->scratch, 1 << 20);
	gw_buf_init(&l->pack, 64 << 10);
	gw_lg_store_open(l);
	if (!l->start.is_standby) {
		open_own_slots(l);
		open_orphaned_slots(l, 0);
	}
	uint32_t level = lock_down(l);
	open_channels(l);
	uv_timer_init(&l->loop, &l->orphan);
	l->orphan.data = l;
	uv_timer_init(&l->loop, &l->batch_end);
	l->batch_end.data = l;
	uv_timer_init(&l->loop, &l->tick);
	l->tick.data = l;
	uv_timer_start(&l->tick, on_tick, 0, TICK_MS);
	gw_role_ready(level);
	while (!l->is_stopping || l->retain.is_working)
		uv_run(&l->loop, UV_RUN_DEFAULT);
	gw_lg_flush(l);
	gw_log(GW_INFO, "stopped");
	return 0;
}
