/* A turn: what the exporter does in a pool thread while its loop goes on answering and beating. One turn at a time; each is short, and the
 * next one begins at once when there is more to do. */
#include <stdio.h>
#include <sys/file.h>

#include "exporter/exporter.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { RETAIN_MS = 10000, RETRY_MS = 1000 };

/* --- in the pool thread --- */
static void say(struct gw_exporter *ex, enum gw_ex_result r, const char *why)
{
	ex->result = r;
	snprintf(ex->why, sizeof ex->why, "%s", why);
}

/* One exporter at a time: an older one, of an upgrade or of a dead master, may still finish its turn. */
static bool take_lock(struct gw_exporter *ex)
{
	if (!ex->has_lock)
		ex->has_lock = ex->lock_fd >= 0 && flock(ex->lock_fd, LOCK_EX | LOCK_NB) == 0;
	return ex->has_lock;
}

/* A failure of the main index: closed, and damaged files put aside; the next turn opens it again and goes on at its cursor. */
static void give_up(struct gw_exporter *ex, enum gw_ex_result r)
{
	ex->counts[GW_X_errors]++;
	if (r == GW_EX_BROKEN) {
		gw_log(GW_ERROR,
		       "the index is damaged (%s): it is set aside as damaged.db and made anew from the segments",
		       ex->main.why);
		say(ex, GW_EX_MORE, "the index was damaged and is being made anew");
		gw_ix_set_aside(&ex->main);
		return;
	}
	gw_log_slow(GW_ERROR, "the index cannot be written: %s; records stay in the segments, it is tried again",
		    ex->main.why);
	say(ex, GW_EX_FULL, ex->main.why);
	gw_ix_close(&ex->main);
}

static bool open_main(struct gw_exporter *ex)
{
	enum gw_ex_result r;

	if (ex->main.db)
		return true;
	r = gw_ix_open(&ex->main, false);
	ex->retain_at_ms = 0;
	if (r == GW_EX_IDLE)
		return true;
	give_up(ex, r);
	return false;
}

static void check(struct gw_exporter *ex)
{
	ex->wants_check = false;
	if (gw_ix_check(&ex->main))
		return;
	snprintf(ex->main.why, sizeof ex->main.why, "a check found it inconsistent");
	give_up(ex, GW_EX_BROKEN);
}

/* --- rebuild: a second index from the beginning, swapped in when it has come as far as the first --- */
static void stop_building(struct gw_exporter *ex, const char *why)
{
	gw_log(GW_ERROR, "rebuild of the index given up: %s", why);
	gw_ix_close(&ex->build);
	ex->is_building = false;
}

static void begin_building(struct gw_exporter *ex)
{
	ex->wants_rebuild = false;
	ex->build.coverage_us = 0;
	if (gw_ix_open(&ex->build, true) == GW_EX_IDLE) {
		ex->is_building = true;
		gw_log(GW_INFO, "rebuilding the index from the segments");
	} else {
		stop_building(ex, ex->build.why);
	}
}

static enum gw_ex_result build_on(struct gw_exporter *ex, int64_t now_us)
{
	static uint64_t not_counted[GW_X_COUNT]; /* the counters are of the main index */
	enum gw_ex_result r = GW_EX_IDLE;

	ex->build.count = not_counted;
	if (!ex->build.coverage_us)
		r = gw_ix_retain(&ex->build, &ex->limits, now_us);
	if (r == GW_EX_IDLE)
		r = gw_ix_step(&ex->build, now_us);
	if (r == GW_EX_FULL || r == GW_EX_BROKEN) {
		stop_building(ex, ex->build.why);
		return GW_EX_IDLE;
	}
	if (r == GW_EX_MORE || ex->result != GW_EX_IDLE)
		return GW_EX_MORE;
	if (gw_ix_adopt(&ex->build, &ex->main))
		gw_log(GW_INFO, "the rebuilt index is in service");
	else
		stop_building(ex, "the new file cannot be given its name");
	ex->is_building = false;
	return GW_EX_MORE; /* to open it */
}

static void run_turn(struct gw_exporter *ex)
{
	int64_t now_us = gw_unix_us();
	enum gw_ex_result r;

	if (!take_lock(ex)) {
		say(ex, GW_EX_FULL, "another exporter still holds the index");
		return;
	}
	if (!open_main(ex))
		return;
	if (ex->wants_check)
		check(ex);
	if (!ex->main.db)
		return;
	r = GW_EX_IDLE;
	if (gw_now_ms() >= ex->retain_at_ms) {
		r = gw_ix_retain(&ex->main, &ex->limits, now_us);
		ex->retain_at_ms = gw_now_ms() + (r == GW_EX_MORE ? GW_EX_PAUSE_MS : RETAIN_MS);
	}
	if (r == GW_EX_IDLE || r == GW_EX_MORE)
		r = gw_ix_step(&ex->main, now_us);
	if (r == GW_EX_FULL || r == GW_EX_BROKEN) {
		give_up(ex, r);
		return;
	}
	say(ex, r, "");
	if (r == GW_EX_IDLE)
		ex->idle_us = now_us;
	if (ex->wants_rebuild && !ex->is_building)
		begin_building(ex);
	if (ex->is_building && build_on(ex, now_us) == GW_EX_MORE)
		ex->result = GW_EX_MORE;
}

static void set(struct gw_exporter *ex, enum gw_export_metric m, uint64_t v)
{
	ex->counts[m] = v;
}

/* Segments with a lower number are in the index and may be removed. */
static uint64_t first_unread(const struct gw_ix *ix)
{
	uint64_t no = ix->n_segs ? ix->segs[ix->n_segs - 1].no + 1 : 0;

	for (uint32_t i = 0; i < ix->n_segs; i++)
		if (ix->segs[i].state == GW_IS_ACTIVE && ix->segs[i].no < no)
			no = ix->segs[i].no;
	return no;
}

static void measure(struct gw_exporter *ex)
{
	uint64_t built = ex->is_building ? first_unread(&ex->build) : UINT64_MAX, unread = first_unread(&ex->main);

	const struct gw_ix *ix = &ex->main;
	int64_t oldest = ix->coverage_us, first = 0, last = 0;

	if (!ix->db)
		return;
	for (uint32_t i = 0; i < ix->n_segs; i++) {
		const struct gw_ex_seg *s = &ix->segs[i];

		if (s->state == GW_IS_EXPIRED)
			continue;
		if (s->min_us && (!first || s->min_us < first))
			first = s->min_us;
		if (s->max_us > last)
			last = s->max_us;
	}
	set(ex, GW_X_oldest, (uint64_t)(first > oldest || !oldest ? first : oldest));
	set(ex, GW_X_newest, (uint64_t)last);
	set(ex, GW_X_rows, ix->total_rows);
	set(ex, GW_X_size_bytes, gw_ix_bytes(ix));
	set(ex, GW_X_unread_segment, built < unread ? built : unread);
	set(ex, GW_X_behind_bytes, gw_ix_behind(ix));
	set(ex, GW_X_rebuild_done, ex->is_building ? gw_ix_read_bytes(&ex->build) : 0);
	set(ex, GW_X_rebuild_total, ex->is_building || ex->wants_rebuild ? gw_ix_read_bytes(ix) + 1 : 0);
}

void gw_ex_turn(uv_work_t *w)
{
	struct gw_exporter *ex = w->data;

	run_turn(ex);
	measure(ex);
}

/* --- on the loop --- */
static void publish(struct gw_exporter *ex)
{
	int64_t now = gw_unix_us(), since = ex->main.last_us > ex->idle_us ? ex->main.last_us : ex->idle_us;
	bool is_current = ex->result == GW_EX_IDLE || (ex->main.db && ex->is_building && ex->idle_us + 2000000 > now);

	ex->state = ex->result == GW_EX_FULL ? (ex->has_lock ? GW_EXPORT_WAITING : GW_EXPORT_STARTING)
		    : is_current             ? GW_EXPORT_CURRENT
					     : GW_EXPORT_CATCHING_UP;
	set(ex, GW_X_lag, is_current || !since || now < since ? 0 : (uint64_t)(now - since));
	for (int i = 0; i < GW_X_COUNT; i++)
		atomic_store_explicit(&ex->page->metric[i], ex->counts[i], memory_order_relaxed);
	gw_export_say(ex->page, gw_str_z(ex->why));
	atomic_store_explicit(&ex->page->state, ex->state, memory_order_relaxed);
	atomic_store_explicit(&ex->page->beat_ns, gw_now_ns(), memory_order_release);
}

static void on_next(uv_timer_t *t)
{
	gw_ex_kick(t->data);
}

void gw_ex_after(uv_work_t *w, int status)
{
	struct gw_exporter *ex = w->data;
	uint64_t pause = ex->result == GW_EX_MORE ? 0 : ex->result == GW_EX_FULL ? RETRY_MS : GW_EX_PAUSE_MS;

	(void)status;
	ex->is_working = false;
	publish(ex);
	if (ex->is_stopping) {
		uv_stop(&ex->loop);
		return;
	}
	if (ex->result == GW_EX_FULL && !ex->has_lock)
		pause = GW_EX_PAUSE_MS;
	uv_timer_start(&ex->next, on_next, pause, 0);
}

void gw_ex_kick(struct gw_exporter *ex)
{
	if (ex->is_working || ex->is_stopping || ex->start.is_standby)
		return;
	ex->turn_began_ms = gw_now_ms();
	ex->work.data = ex;
	ex->limits = ex->wanted;
	ex->is_working = uv_queue_work(&ex->loop, &ex->work, gw_ex_turn, gw_ex_after) == 0;
}
