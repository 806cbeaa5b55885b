/* The exporter process: start, channels, the clock, end. The work itself is in work.c, in a pool thread. */
#include "exporter/exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/sandbox.h"

enum { TICK_MS = 50, CHANNEL_QUEUE = 1 << 20, ASK_TICKS = 100, ASK_MS = 2000, STUCK_MS = 120000 };
enum { DAYS = 7, MAX_GIB = 4, NICE = 15, HEAP_STEP_BYTES = 1 << 20 };

static void stop(struct gw_exporter *ex)
{
	ex->is_stopping = true;
	if (!ex->is_working) /* else when the turn is over */
		uv_stop(&ex->loop);
}

/* --- settings --- */
static void on_settings(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_exporter *ex = ctx;
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (err || m->status != 200 || gw_json_read(m->body, &gw_json_default_limits, &doc, &fault))
		return;
	yyjson_val *v = yyjson_doc_get_root(doc), *days = gw_json_get(v, GW_LIT("index_days")),
		   *bytes = gw_json_get(v, GW_LIT("index_max_bytes"));

	if (yyjson_is_uint(days)) /* the next turn goes by them */
		ex->wanted.days = yyjson_get_uint(days);
	if (yyjson_is_uint(bytes))
		ex->wanted.max_bytes = yyjson_get_uint(bytes);
	yyjson_doc_free(doc);
}

static void ask_settings(struct gw_exporter *ex)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	if (!ex->confd)
		return;
	GW_MSG_SET(&m, name, GW_LIT("get"));
	GW_MSG_SET(&m, kind, GW_LIT("settings"));
	GW_MSG_SET(&m, body, GW_LIT("{\"id\":\"default\"}"));
	GW_MSG_SET(&m, actor,
		   GW_LIT("{\"key\":\"exporter\",\"roles\":[{\"role\":\"viewer\",\"org\":\"\",\"team\":\"\"}]}"));
	if (gw_channel_ask(ex->confd, &m, ASK_MS, on_settings, ex) != GW_OK)
		gw_log_slow(GW_WARN, "confd does not take a question");
}

/* --- calls of admin --- */
static void answer(struct gw_exporter *ex, uint64_t corr, uint64_t status, struct gw_str body)
{
	struct gw_msg a = { .type = GW_MSG_ANSWER };

	GW_MSG_SET(&a, corr, corr);
	GW_MSG_SET(&a, status, status);
	GW_MSG_SET(&a, body, body);
	if (ex->admin && gw_channel_send(ex->admin, &a) != GW_OK)
		gw_log_slow(GW_WARN, "admin does not take an answer");
}

static void on_call(struct gw_exporter *ex, const struct gw_msg *m)
{
	if (gw_str_eq(m->name, GW_LIT("index-check"))) {
		ex->wants_check = true;
		answer(ex, m->corr, 202, GW_LIT("{\"checking\":true}"));
	} else if (!gw_str_eq(m->name, GW_LIT("index-rebuild"))) {
		answer(ex, m->corr, 404, GW_LIT("{}"));
	} else if (ex->is_building || ex->wants_rebuild) {
		answer(ex, m->corr, 409, GW_LIT("{\"rebuilding\":true}"));
	} else {
		ex->wants_rebuild = true;
		atomic_store_explicit(&ex->page->metric[GW_X_rebuild_total], 1, memory_order_relaxed);
		answer(ex, m->corr, 202, GW_LIT("{\"rebuilding\":true}"));
		gw_ex_kick(ex);
	}
}

/* --- channels --- */
static void on_peer_end(void *ctx, struct gw_channel *ch)
{
	struct gw_exporter *ex = ctx;

	if (ex->confd == ch)
		ex->confd = NULL;
	if (ex->admin == ch)
		ex->admin = NULL;
}

static void on_peer_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_exporter *ex = ctx;

	if (m->type == GW_MSG_CALL && ch == ex->admin)
		on_call(ex, m);
}

static const struct gw_channel_ops peer_ops = { on_peer_message, on_peer_end };

static void connect_peer(struct gw_exporter *ex, enum gw_role role, int fd)
{
	struct gw_channel **at = role == GW_ROLE_CONFD ? &ex->confd : role == GW_ROLE_ADMIN ? &ex->admin : NULL;

	gw_channel_replace(&ex->loop, fd, &peer_ops, ex, CHANNEL_QUEUE, at);
	if (role == GW_ROLE_CONFD)
		ask_settings(ex);
}

static void handover(struct gw_exporter *ex, const struct gw_msg *m)
{
	struct gw_msg a = { .type = GW_MSG_HANDED };

	if (m->flags != GW_HANDOVER_GO)
		return;
	ex->start.is_standby = false;
	GW_MSG_SET(&a, flags, GW_HANDOVER_GO);
	GW_MSG_SET(&a, status, 0);
	if (gw_channel_send(ex->master, &a) != GW_OK)
		gw_log(GW_ERROR, "cannot answer the master");
	gw_ex_kick(ex);
}

static void on_master_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_exporter *ex = ctx;

	(void)ch;
	if (m->type == GW_MSG_PEER && m->n_fds == 1) {
		int fd = m->fds[0];

		m->fds[0] = -1;
		connect_peer(ex, (enum gw_role)m->role, fd);
	} else if (m->type == GW_MSG_HANDOVER) {
		handover(ex, m);
	} else if (m->type == GW_MSG_DRAIN) {
		stop(ex);
	}
}

static void on_orphan(uv_timer_t *t)
{
	stop(t->data);
}

static void on_master_end(void *ctx, struct gw_channel *ch)
{
	struct gw_exporter *ex = ctx;

	(void)ch;
	ex->master = NULL;
	if (ex->start.is_standby)
		stop(ex);
	else
		uv_timer_start(&ex->orphan, on_orphan, ex->start.boot.orphan_grace, 0);
}

static const struct gw_channel_ops master_ops = { on_master_message, on_master_end };

/* A turn that hangs (a disk that does not answer) ends the beats, and the master replaces the process. */
static void on_tick(uv_timer_t *t)
{
	struct gw_exporter *ex = t->data;

	if (!ex->is_working || gw_now_ms() - ex->turn_began_ms < STUCK_MS)
		atomic_store_explicit(&ex->beats->roles[GW_ROLE_EXPORTER].beat_ns, gw_now_ns(), memory_order_release);
	if (ex->ticks++ % ASK_TICKS == 0)
		ask_settings(ex);
}

static void on_signal(uv_signal_t *s, int signum)
{
	(void)signum;
	stop(s->data);
}

/* --- start --- */
/* A folder that cannot be made is no reason to end: the state says so and it is tried again at the next start. */
static void open_places(struct gw_exporter *ex)
{
	const char *data = ex->start.boot.data_dir;
	char path[600];

	snprintf(ex->main.dir, sizeof ex->main.dir, "%s/index", data);
	snprintf(ex->main.segments, sizeof ex->main.segments, "%s/segments", data);
	if (gw_private_dir(ex->main.dir) || gw_private_dir(ex->main.segments))
		gw_role_fatal("cannot open %s", ex->main.dir);
	memcpy(ex->build.dir, ex->main.dir, sizeof ex->build.dir);
	memcpy(ex->build.segments, ex->main.segments, sizeof ex->build.segments);
	ex->main.count = ex->counts;
	snprintf(path, sizeof path, "%s/lock", ex->main.dir);
	ex->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ex->lock_fd < 0)
		gw_role_fatal("cannot make %s", path);
	if (gw_beats_open(ex->start.boot.runtime_dir, false, &ex->beats) ||
	    gw_export_open(ex->start.boot.runtime_dir, true, &ex->page))
		gw_role_fatal("cannot map the shared regions in %s", ex->start.boot.runtime_dir);
	for (int i = 0; i < GW_X_COUNT; i++) /* counters go on where the last exporter was */
		if (gw_export_rows[i].is_counter)
			ex->counts[i] = atomic_load(&ex->page->metric[i]);
}

static uint32_t lock_down(struct gw_exporter *ex)
{
	struct gw_sandbox_path paths[] = { { ex->main.dir, true }, { ex->main.segments, false } };
	uint32_t level = 0;

	if (ex->start.boot.sandbox && gw_sandbox_enter(GW_SB_EXPORTER, paths, sizeof paths / sizeof paths[0], &level))
		gw_role_fatal("cannot enter the sandbox");
	return level;
}

static void open_channels(struct gw_exporter *ex)
{
	int confd = gw_role_fd(&ex->start, "chan.confd"), admin = gw_role_fd(&ex->start, "chan.admin");

	if (gw_channel_open(&ex->loop, GW_ROLE_MASTER_FD, &master_ops, ex, CHANNEL_QUEUE, &ex->master))
		gw_role_fatal("cannot open the channel to the master");
	if (confd >= 0)
		connect_peer(ex, GW_ROLE_CONFD, confd);
	if (admin >= 0)
		connect_peer(ex, GW_ROLE_ADMIN, admin);
}

static void start_timers(struct gw_exporter *ex, uv_signal_t *term)
{
	uv_timer_t *const timers[] = { &ex->orphan, &ex->next, &ex->tick };

	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
		uv_timer_init(&ex->loop, timers[i]);
		timers[i]->data = ex;
	}
	uv_timer_start(&ex->tick, on_tick, 0, TICK_MS);
	uv_signal_init(&ex->loop, term);
	term->data = ex;
	uv_signal_start(term, on_signal, SIGTERM);
}

int gw_exporter_main(void)
{
	static struct gw_exporter exporter;
	static uv_signal_t term;
	struct gw_exporter *ex = &exporter;
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	gw_role_begin(&ex->start, "exporter", false);
	sigaction(SIGXFSZ, &ignore, NULL); /* a limit on the size of files is met like a full disk */
	if (setpriority(PRIO_PROCESS, 0,
			NICE)) /* requests first: the index may lag, and llmgw_index_lag_seconds says by how much */
		gw_log(GW_WARN, "the index cannot be made to stand back for requests: %s", strerror(errno));
	setenv("UV_THREADPOOL_SIZE", "1", 1);
	/* One turn at a time, in the one pool thread: SQLite needs no locks, and the heap grows and shrinks in large steps. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, HEAP_STEP_BYTES);
	mallopt(M_TRIM_THRESHOLD, 4 * HEAP_STEP_BYTES);
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* nobody reads them; each allocation would take a lock for them */
	setenv("UV_USE_IO_URING", "0", 1);
	if (uv_loop_init(&ex->loop))
		gw_role_fatal("cannot initialise the event loop");
	ex->wanted = (struct gw_ex_limits){ .days = DAYS, .max_bytes = (uint64_t)MAX_GIB << 30 };
	open_places(ex);
	uint32_t level = lock_down(ex);
	open_channels(ex);
	start_timers(ex, &term);
	gw_role_ready(level);
	gw_ex_kick(ex);
	while (!ex->is_stopping || ex->is_working)
		uv_run(&ex->loop, UV_RUN_DEFAULT);
	gw_ix_close(&ex->build);
	gw_ix_close(&ex->main);
	gw_log(GW_INFO, "stopped");
	return 0;
}
