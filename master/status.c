/* What `llmgwctl status|workers|crashes` shows: the process table as JSON. */
#include <unistd.h>

#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/text.h"
#include "master/master.h"

static void put_time(struct gw_json_out *w, const char *key, int64_t unix_us)
{
	struct gw_buf b;

	gw_buf_init(&b, 64);
	gw_time_put(&b, unix_us);
	gw_jw_kstr(w, key, gw_buf_view(&b));
	gw_buf_done(&b);
}

static const char *stage_name(const struct gw_master *m)
{
	if (m->upgrade.step != GW_UP_NONE)
		return "upgrading";
	switch (m->stage) {
	case GW_STAGE_STANDBY:
		return "standby";
	case GW_STAGE_SERVING:
		return m->told_ready ? "serving" : "starting";
	case GW_STAGE_HANDED_OVER:
		return "handed_over";
	default:
		return "stopping";
	}
}

static void put_worker(const struct gw_master *m, const struct gw_child *c, struct gw_json_out *w)
{
	gw_jw_ku64(w, "number", gw_child_number(m, c));
	gw_jw_ku64(w, "generation", atomic_load(&c->page->generation));
	gw_jw_kbool(w, "ready", gw_watch_is_healthy(m, c, gw_now_ms()));
	gw_jw_key(w, GW_LIT("adopted_by"));
	if (c->adopter >= 0)
		gw_jw_u64(w, m->child[c->adopter].slot);
	else
		gw_jw_null(w);
	gw_jw_ku64(w, "connections", atomic_load(&c->page->metric[GW_M_connections]));
	gw_jw_ku64(w, "requests_in_flight", atomic_load(&c->page->metric[GW_M_requests_in_flight]));
	gw_jw_ku64(w, "cpu_ms", atomic_load(&c->page->cpu_ns) / 1000000);
}

static void put_process(const struct gw_master *m, const struct gw_child *c, struct gw_json_out *w)
{
	uint64_t now = gw_now_ms();
	uint64_t beat = c->page ? atomic_load(&c->page->beat_ns) : atomic_load(&m->beats->roles[c->role].beat_ns);

	gw_jw_obj(w);
	gw_jw_kstr(w, "role", gw_str_z(gw_role_name(c->role)));
	gw_jw_ku64(w, "slot", c->slot);
	gw_jw_ku64(w, "pid", (uint64_t)c->pid);
	gw_jw_kstr(w, "state", gw_str_z(gw_supervise_state_name(c->state)));
	gw_jw_ku64(w, "epoch", c->epoch);
	gw_jw_ku64(w, "restarts", c->restarts);
	gw_jw_ku64(w, "uptime_ms", gw_child_has_process(c) ? now - c->started_ms : 0);
	gw_jw_ku64(w, "beat_age_ms", beat && now > beat / 1000000 ? now - beat / 1000000 : 0);
	gw_jw_kbool(w, "seccomp", c->sandbox & 1);
	gw_jw_kbool(w, "landlock", c->sandbox & 2);
	if (c->role == GW_ROLE_WORKER)
		put_worker(m, c, w);
	if (c->detail[0])
		gw_jw_kstr(w, "detail", gw_str_z(c->detail));
	gw_jw_end_obj(w);
}

static void put_deaths(const struct gw_master *m, const char *key, struct gw_json_out *w)
{
	uint64_t n = m->n_deaths < GW_DEATHS_KEPT ? m->n_deaths : GW_DEATHS_KEPT;

	gw_jw_key(w, gw_str_z(key));
	gw_jw_arr(w);
	for (uint64_t i = 1; i <= n; i++) { /* newest first */
		const struct gw_death *d = &m->death[(m->n_deaths - i) % GW_DEATHS_KEPT];

		gw_jw_obj(w);
		gw_jw_kstr(w, "role", gw_str_z(gw_role_name(d->role)));
		gw_jw_ku64(w, "slot", d->slot);
		gw_jw_ku64(w, "epoch", d->epoch);
		gw_jw_ku64(w, "pid", (uint64_t)d->pid);
		put_time(w, "at", d->at_us);
		gw_jw_kstr(w, "exit", gw_str_z(d->how));
		gw_jw_kstr(w, "what", gw_str_z(d->text));
		gw_jw_kstr(w, "request_id", gw_str_z(d->context));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

void gw_status_write(const struct gw_master *m, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "version", GW_LIT(LLMGW_VERSION));
	gw_jw_kstr(&w, "state", gw_str_z(stage_name(m)));
	gw_jw_ku64(&w, "pid", (uint64_t)getpid());
	put_time(&w, "started_at", (int64_t)atomic_load(&m->control->started_us));
	gw_jw_ku64(&w, "generation", atomic_load(&m->control->generation));
	gw_jw_kstr(&w, "listen", gw_str_z(m->boot.listen));
	gw_jw_kstr(&w, "admin_listen", gw_str_z(m->boot.admin_listen));
	if (m->boot.listen_tls[0])
		gw_jw_kstr(&w, "listen_tls", gw_str_z(m->boot.listen_tls));
	if (m->boot.admin_listen_tls[0])
		gw_jw_kstr(&w, "admin_listen_tls", gw_str_z(m->boot.admin_listen_tls));
	gw_jw_kstr(&w, "data_dir", gw_str_z(m->boot.data_dir));
	gw_jw_kstr(&w, "runtime_dir", gw_str_z(m->boot.runtime_dir));
	gw_jw_kbool(&w, "crash_loop", gw_supervise_in_loop(m, gw_now_ms()));
	gw_jw_ku64(&w, "deaths", m->n_deaths);
	gw_jw_ku64(&w, "leftover_processes", m->n_leftover);
	gw_jw_kstr(&w, "last_upgrade", gw_str_z(m->upgrade.last));
	gw_jw_key(&w, GW_LIT("processes"));
	gw_jw_arr(&w);
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++)
		if (m->child[i].role != GW_ROLE_MASTER)
			put_process(m, &m->child[i], &w);
	gw_jw_end_arr(&w);
	put_deaths(m, "crashes", &w);
	gw_jw_end_obj(&w);
}

void gw_status_write_crashes(const struct gw_master *m, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_ku64(&w, "deaths", m->n_deaths);
	put_deaths(m, "items", &w);
	gw_jw_end_obj(&w);
}
