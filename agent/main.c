/* The agent's start, its channels, and the schedule of first probes: at once, then every 2 s, slower with each failure, until it passes. */
#include <stdlib.h>
#include <unistd.h>
#include "agent/token_fetch.h"
#include "core/config_types.h"
#include "core/hint.h"
#include "lib/crypto.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/sandbox.h"

enum { TICK_MS = 200, CHANNEL_QUEUE = 1 << 20, RETRY_MS = 2000, RETRY_MAX_MS = 30000 };

static void stop(struct gw_agent *ag)
{
	ag->is_stopping = true;
	uv_stop(&ag->loop);
}

/* --- the schedule --- */
static struct gw_ag_dep *find_dep(struct gw_agent *ag, struct gw_str id)
{
	for (uint32_t i = 0; i < ag->n_deps; i++)
		if (gw_str_eq(gw_str(ag->deps[i].id, ag->deps[i].id_n), id))
			return &ag->deps[i];
	if (ag->n_deps == GW_AGENT_DEPLOYMENTS || id.n >= sizeof ag->deps[0].id)
		return NULL;
	struct gw_ag_dep *d = &ag->deps[ag->n_deps++];
	*d = (struct gw_ag_dep){ .id_n = (uint8_t)id.n };
	memcpy(d->id, id.p, id.n);
	return d;
}

static void set(struct gw_agent *ag, const struct gw_ag_dep *d, enum gw_verdict v, enum gw_err why, uint64_t us,
		struct gw_str detail)
{
	if (gw_health_set(ag->health, d->key, v, why, us, gw_now_ns(), gw_unix_us(), detail))
		gw_log_slow(GW_WARN, "no room for the health of %.*s", d->id_n, d->id);
}

struct walk {
	struct gw_agent *ag;
	bool is_first;
	bool is_probe_default; /* settings: what "default" means */
};

enum { DEFAULT = 0, IMMEDIATE = 2, PROBE_NONE = 2, SETTINGS_IMMEDIATE = 1 };

/* Serves without having passed a probe: it says so itself, or the settings do. */
static bool needs_no_probe(const struct walk *w, const struct gw_cf_deployment *d)
{
	return d->probe == PROBE_NONE || d->activation == IMMEDIATE ||
	       (d->activation == DEFAULT && !w->is_probe_default);
}

static bool probe_is_default(struct gw_agent *ag)
{
	struct gw_rows rows = gw_agent_rows(ag);
	struct gw_cf_settings settings;
	struct gw_str row;
	struct gw_arena a;
	char block[2048];
	bool is_default = true;

	gw_arena_init(&a, block, sizeof block, 16 << 10);
	if (rows.object(rows.ctx, GW_KIND_settings, GW_LIT("default"), &row) == GW_OK &&
	    gw_cf_read_settings(row, &a, &settings) == GW_OK)
		is_default = settings.activation != SETTINGS_IMMEDIATE;
	gw_arena_done(&a);
	return is_default;
}

/* Deployments that were there when a service begins have served before: they count as up, so that a start does not depend on
 * providers being reachable. Later ones, and changed ones, must pass. */
static bool on_deployment(void *ctx, struct gw_str key, struct gw_str row)
{
	struct walk *w = ctx;
	struct gw_cf_deployment d;
	struct gw_arena a;
	char block[2048];

	if (key.n < 2 || key.p[0] != (char)GW_KIND_deployment)
		return false;
	gw_arena_init(&a, block, sizeof block, 16 << 10);
	if (gw_cf_read_deployment(row, &a, &d) == GW_OK) {
		struct gw_ag_dep *dep = find_dep(w->ag, gw_str_skip(key, 1));
		uint64_t cell = gw_health_key(gw_str_skip(key, 1), d.version);

		if (dep && dep->key != cell) {
			dep->key = cell;
			dep->version = d.version;
			dep->failures = 0;
			dep->due_ms = 0;
			const struct gw_health_cell *known = gw_health_get(w->ag->health, cell);
			bool is_up = known && atomic_load(&known->verdict) == GW_VERDICT_UP;
			if ((!known && w->is_first) || needs_no_probe(w, &d))
				set(w->ag, dep, GW_VERDICT_UP, GW_OK, 0, GW_NIL);
			else if (!is_up) {
				set(w->ag, dep, GW_VERDICT_PENDING, GW_OK, 0, GW_NIL);
				dep->due_ms = gw_now_ms();
			}
		}
		if (dep)
			dep->is_present = true;
	}
	gw_arena_done(&a);
	return true;
}

static int by_key(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void forget_gone(struct gw_agent *ag)
{
	static uint64_t keys[GW_AGENT_DEPLOYMENTS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < ag->n_deps;) {
		if (!ag->deps[i].is_present && !ag->deps[i].is_running) {
			ag->deps[i] = ag->deps[--ag->n_deps];
			continue;
		}
		keys[n++] = ag->deps[i++].key;
	}
	qsort(keys, n, sizeof keys[0], by_key);
	gw_health_keep(ag->health, keys, n);
}

static void start_due(struct gw_agent *ag);

void gw_agent_reschedule(struct gw_agent *ag)
{
	struct walk w = { ag, !ag->had_images, probe_is_default(ag) };
	char from = (char)GW_KIND_deployment;

	for (uint32_t i = 0; i < ag->n_deps; i++)
		ag->deps[i].is_present = false;
	if (!ag->images.image[GW_IMAGE_CONFIG] ||
	    gw_image_walk(ag->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(&from, 1), on_deployment, &w))
		return;
	ag->had_images = true;
	forget_gone(ag);
	start_due(ag);
}

struct running {
	struct gw_agent *ag;
	char id[64];
	uint8_t id_n;
	uint64_t key;
};

static void on_probed(void *ctx, const struct gw_ag_result *r)
{
	struct running *run = ctx;
	struct gw_agent *ag = run->ag;
	struct gw_ag_dep *d = find_dep(ag, gw_str(run->id, run->id_n));

	if (d) {
		d->is_running = false;
		if (!d->is_present) {
			d->due_ms = 0; /* deleted meanwhile: the next images forget it */
		} else if (d->key != run->key) {
			d->due_ms = gw_now_ms();
		} else if (!r->err) {
			d->due_ms = 0;
			set(ag, d, GW_VERDICT_UP, GW_OK, r->us, GW_NIL);
			gw_log(GW_INFO, "deployment %.*s passed its first probe in %llu ms", d->id_n, d->id,
			       (unsigned long long)r->us / 1000);
		} else {
			uint64_t wait = (uint64_t)RETRY_MS << (d->failures < 4 ? d->failures : 4);

			d->failures++;
			d->due_ms = gw_now_ms() + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
			set(ag, d, GW_VERDICT_PENDING, r->err, r->us,
			    r->detail.n ? r->detail : gw_str_z(gw_err_info(r->err)->doc));
			gw_log(GW_WARN, "deployment %.*s failed its probe: %s", d->id_n, d->id,
			       gw_err_info(r->err)->doc);
		}
	}
	free(run);
}

static void start_one(struct gw_agent *ag, struct gw_ag_dep *d)
{
	struct running *run = calloc(1, sizeof *run);

	if (!run)
		return;
	*run = (struct running){ .ag = ag, .id_n = d->id_n, .key = d->key };
	memcpy(run->id, d->id, d->id_n);
	enum gw_err e = gw_agent_probe(ag, gw_str(d->id, d->id_n), false, on_probed, run);
	if (!e) {
		d->is_running = true;
		return;
	}
	free(run);
	d->due_ms = gw_now_ms() + (e == GW_E_BUSY ? 100 : RETRY_MS);
	if (e != GW_E_BUSY)
		set(ag, d, GW_VERDICT_PENDING, e, 0, gw_str_z(gw_err_info(e)->doc));
}

static void start_due(struct gw_agent *ag)
{
	uint64_t now = gw_now_ms();

	if (ag->start.is_standby)
		return;
	for (uint32_t i = 0; i < ag->n_deps; i++)
		if (ag->deps[i].due_ms && ag->deps[i].due_ms <= now && !ag->deps[i].is_running)
			start_one(ag, &ag->deps[i]);
}

/* --- :test --- */
struct test {
	struct gw_agent *ag;
	uint64_t corr;
};

/* What to do about it. A clock that is wrong is behind many refusals that do not name it. */
static void put_hint(struct gw_json_out *w, const struct gw_ag_result *r)
{
	struct gw_str hint = gw_hint_of(r->err, r->detail), skew;
	bool is_refused = r->err == GW_E_UP_AUTH || r->err == GW_E_UP_PERMISSION;
	struct gw_arena a;
	char block[1024];

	gw_arena_init(&a, block, sizeof block, sizeof block);
	skew = gw_token_skew_words(&a, is_refused ? r->skew_s : 0);
	hint = gw_str_trim(gw_arena_printf(&a, "%.*s%.*s", GW_FMT(hint), GW_FMT(skew)));
	if (hint.n)
		gw_jw_kstr(w, "hint", hint);
	gw_arena_done(&a);
}

static void answer(struct gw_agent *ag, uint64_t corr, int status, const struct gw_ag_result *r)
{
	struct gw_msg m = { .type = GW_MSG_ANSWER };
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 8192);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kbool(&w, "ok", !r->err);
	gw_jw_ku64(&w, "status", (uint64_t)(r->status > 0 ? r->status : 0));
	gw_jw_ku64(&w, "ms", r->us / 1000);
	if (r->model.n)
		gw_jw_kstr(&w, "model", r->model);
	if (r->err) {
		gw_jw_kstr(&w, "error", gw_str_z(gw_err_info(r->err)->name));
		gw_jw_kstr(&w, "message", r->detail.n ? r->detail : gw_str_z(gw_err_info(r->err)->doc));
		put_hint(&w, r);
	}
	gw_jw_end_obj(&w);
	GW_MSG_SET(&m, corr, corr);
	GW_MSG_SET(&m, status, (uint64_t)status);
	GW_MSG_SET(&m, body, gw_buf_view(&b));
	if (ag->admin && gw_channel_send(ag->admin, &m) != GW_OK)
		gw_log_slow(GW_WARN, "admin does not take an answer");
	gw_buf_done(&b);
}

static void on_tested(void *ctx, const struct gw_ag_result *r)
{
	struct test *t = ctx;

	answer(t->ag, t->corr, 200, r);
	free(t);
}

static void on_call(struct gw_agent *ag, const struct gw_msg *m)
{
	struct gw_ag_result no = { .err = GW_E_NOMEM };
	struct gw_json_span id = { 0 };
	const struct gw_json_want want = { GW_LIT("id"), &id };
	struct gw_json_fault fault;
	struct test *t = calloc(1, sizeof *t);
	struct gw_arena a;
	char block[1024];

	gw_arena_init(&a, block, sizeof block, sizeof block);
	if (t && gw_str_eq(m->name, GW_LIT("test")) &&
	    gw_json_check(&a, m->body, &gw_json_default_limits, &want, 1, &fault) == GW_OK && id.type == GW_JSON_STR) {
		*t = (struct test){ ag, m->corr };
		no.err =
		    gw_agent_probe(ag, gw_json_unescape(&a, gw_str(m->body.p + id.off, id.len)), true, on_tested, t);
		t = no.err ? t : NULL;
	} else {
		no.err = GW_E_INVALID;
	}
	if (no.err) {
		answer(ag, m->corr, gw_err_info(no.err)->http, &no);
		free(t);
	}
	gw_arena_done(&a);
}

/* --- channels --- */
static void on_peer_end(void *ctx, struct gw_channel *ch)
{
	struct gw_agent *ag = ctx;

	if (ag->confd == ch)
		ag->confd = NULL;
	if (ag->admin == ch)
		ag->admin = NULL;
}

static void on_peer_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_agent *ag = ctx;

	if (m->type == GW_MSG_IMAGE && ch == ag->confd)
		gw_agent_image(ag, m);
	else if (m->type == GW_MSG_TOKEN && ch == ag->confd)
		gw_agent_token(ag, m);
	else if (m->type == GW_MSG_CALL && ch == ag->admin)
		on_call(ag, m);
}

static const struct gw_channel_ops peer_ops = { on_peer_message, on_peer_end };

static void connect_peer(struct gw_agent *ag, enum gw_role role, int fd)
{
	struct gw_channel **at = role == GW_ROLE_CONFD ? &ag->confd : role == GW_ROLE_ADMIN ? &ag->admin : NULL;

	gw_channel_replace(&ag->loop, fd, &peer_ops, ag, CHANNEL_QUEUE, at);
}

static void handover(struct gw_agent *ag, const struct gw_msg *m)
{
	struct gw_msg a = { .type = GW_MSG_HANDED };

	if (m->flags != GW_HANDOVER_GO)
		return;
	ag->start.is_standby = false;
	GW_MSG_SET(&a, flags, GW_HANDOVER_GO);
	GW_MSG_SET(&a, status, 0);
	if (gw_channel_send(ag->master, &a) != GW_OK)
		gw_log(GW_ERROR, "cannot answer the master");
	start_due(ag);
}

static void on_master_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_agent *ag = ctx;

	(void)ch;
	switch ((int)m->type) {
	case GW_MSG_PEER:
		if (m->n_fds == 1) {
			int fd = m->fds[0];
			m->fds[0] = -1;
			connect_peer(ag, (enum gw_role)m->role, fd);
		}
		break;
	case GW_MSG_IMAGE:
		gw_agent_image(ag, m);
		break;
	case GW_MSG_HANDOVER:
		handover(ag, m);
		break;
	case GW_MSG_DRAIN:
		stop(ag);
		break;
	default:
		break;
	}
}

static void on_orphan(uv_timer_t *t)
{
	stop(t->data);
}

static void on_master_end(void *ctx, struct gw_channel *ch)
{
	struct gw_agent *ag = ctx;

	(void)ch;
	ag->master = NULL;
	if (ag->start.is_standby)
		stop(ag);
	else
		uv_timer_start(&ag->orphan, on_orphan, ag->start.boot.orphan_grace, 0);
}

static const struct gw_channel_ops master_ops = { on_master_message, on_master_end };

static void on_tick(uv_timer_t *t)
{
	struct gw_agent *ag = t->data;

	atomic_store_explicit(&ag->beats->roles[GW_ROLE_AGENT].beat_ns, gw_now_ns(), memory_order_release);
	start_due(ag);
}

static void on_signal(uv_signal_t *s, int signum)
{
	(void)signum;
	stop(s->data);
}

static uint32_t lock_down(struct gw_agent *ag)
{
	struct gw_sandbox_path paths[5 + GW_TOKEN_FOLDERS] = {
		{ "/etc/ssl", false },           { "/etc/resolv.conf", false }, { "/etc/hosts", false },
		{ "/etc/nsswitch.conf", false }, { "/proc/self", false },
	};
	/* tokens that the platform puts there and renews, by a new file under the same name */
	const char *folders[GW_TOKEN_FOLDERS];
	uint32_t level = 0, n_folders = gw_token_folders(folders);

	for (uint32_t i = 0; i < n_folders; i++)
		paths[5 + i] = (struct gw_sandbox_path){ folders[i], false };
	if (ag->start.boot.sandbox && gw_sandbox_enter(GW_SB_AGENT, paths, 5 + n_folders, &level))
		gw_role_fatal("cannot enter the sandbox");
	return level;
}

static void open_channels(struct gw_agent *ag)
{
	int confd = gw_role_fd(&ag->start, "chan.confd"), admin = gw_role_fd(&ag->start, "chan.admin");

	if (gw_channel_open(&ag->loop, GW_ROLE_MASTER_FD, &master_ops, ag, CHANNEL_QUEUE, &ag->master))
		gw_role_fatal("cannot open the channel to the master");
	if (confd >= 0)
		connect_peer(ag, GW_ROLE_CONFD, confd);
	if (admin >= 0)
		connect_peer(ag, GW_ROLE_ADMIN, admin);
}

int gw_agent_main(void)
{
	static struct gw_agent agent;
	static uv_signal_t term;
	struct gw_agent *ag = &agent;
	struct gw_upstream_config up = { .idle_ms = 30000, .max_idle_per_endpoint = 2 };

	gw_role_begin(&ag->start, "agent", false);
	up.has_libcurl = ag->start.boot.libcurl;
	setenv("UV_USE_IO_URING", "0", 1);
	if (gw_crypto_init() || uv_loop_init(&ag->loop))
		gw_role_fatal("cannot initialise cryptography or the event loop");
	if (gw_beats_open(ag->start.boot.runtime_dir, false, &ag->beats) ||
	    gw_health_open(ag->start.boot.runtime_dir, true, true, &ag->health))
		gw_role_fatal("cannot map the shared regions in %s", ag->start.boot.runtime_dir);
	if (gw_upstream_new(&ag->loop, &up, &ag->upstream))
		gw_role_fatal("cannot make the upstream client: no memory or no descriptors");
	uint32_t level = lock_down(ag);
	open_channels(ag);
	uv_timer_init(&ag->loop, &ag->orphan);
	ag->orphan.data = ag;
	uv_timer_init(&ag->loop, &ag->tick);
	ag->tick.data = ag;
	uv_timer_start(&ag->tick, on_tick, 0, TICK_MS);
	uv_signal_init(&ag->loop, &term);
	term.data = ag;
	uv_signal_start(&term, on_signal, SIGTERM);
	gw_role_ready(level);
	while (!ag->is_stopping)
		uv_run(&ag->loop, UV_RUN_DEFAULT);
	gw_log(GW_INFO, "stopped");
	return 0;
}
