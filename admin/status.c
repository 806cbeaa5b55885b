/* Processes as the control page and the slots show them: status, workers, crashes; upgrade goes to the master. */
#include "admin/query.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/sys/sandbox.h"
#include "lib/text.h"

enum { MASTER_MS = 5000, UPGRADE_MS = 60000 };

static void answer_json(struct gw_adm_req *q, struct gw_buf *b)
{
	struct gw_str body = b->err ? GW_NIL : gw_arena_str(&q->arena, gw_buf_view(b));

	gw_buf_done(b);
	if (body.p)
		gw_adm_answer(q, 200, GW_LIT("application/json"), body, 0, 0);
	else
		gw_adm_fail(q, GW_E_NOMEM, GW_NIL);
}

static const char *state_name(uint32_t s)
{
	static const char *const names[] = { "none", "starting", "up", "draining", "backoff", "gone" };

	return s < sizeof names / sizeof names[0] ? names[s] : "unknown";
}

static const char *sandbox_words(uint32_t level)
{
	static const char *const words[] = { "nothing", "seccomp", "landlock", "seccomp+landlock" };

	_Static_assert(GW_SB_HAS_SECCOMP == 1 && GW_SB_HAS_LANDLOCK == 2, "the bits are the index");
	return words[level & 3];
}

static void put_child(struct gw_json_out *w, const struct gw_control_child *c)
{
	uint64_t started = atomic_load(&c->started_ns), now = gw_now_ns();

	gw_jw_kstr(w, "state", gw_str_z(state_name(atomic_load(&c->state))));
	gw_jw_ku64(w, "pid", atomic_load(&c->pid));
	gw_jw_ku64(w, "epoch", atomic_load(&c->epoch));
	gw_jw_ku64(w, "restarts", atomic_load(&c->restarts));
	gw_jw_ku64(w, "uptime_s", started && now > started ? (now - started) / 1000000000 : 0);
	gw_jw_ku64(w, "sandbox", atomic_load(&c->sandbox));
	gw_jw_kstr(w, "locked_by", gw_str_z(sandbox_words(atomic_load(&c->sandbox))));
}

/* Where calls without a valid token come from. */
static void put_sources(struct gw_json_out *w, const struct gw_admin *ad)
{
	gw_jw_key(w, GW_LIT("unauthenticated_sources"));
	gw_jw_arr(w);
	for (int i = 0; i < GW_ADM_SOURCES; i++) {
		if (!ad->unauthenticated[i].n)
			continue;
		gw_jw_obj(w);
		gw_jw_kstr(w, "source", gw_str_z(ad->unauthenticated[i].text));
		gw_jw_ku64(w, "calls", ad->unauthenticated[i].n);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_worker(struct gw_json_out *w, const struct gw_admin *ad, uint32_t slot)
{
	const struct gw_control_child *c = &ad->control->workers[slot];
	const struct gw_slot *s = ad->slots.slot[slot];
	uint64_t now = gw_now_ns(), beat;

	gw_jw_obj(w);
	gw_jw_ku64(w, "slot", slot);
	put_child(w, c);
	if (atomic_load(&c->adopter))
		gw_jw_ku64(w, "adopted_by", atomic_load(&c->adopter) - 1);
	if (s) {
		beat = atomic_load(&s->beat_ns);
		gw_jw_kbool(w, "ready", atomic_load(&s->is_ready));
		gw_jw_kbool(w, "draining", atomic_load(&s->is_draining));
		gw_jw_ku64(w, "beat_ms", now > beat ? (now - beat) / 1000000 : 0);
		gw_jw_ku64(w, "generation", atomic_load(&s->generation));
		gw_jw_ku64(w, "connections", atomic_load(&s->metric[GW_M_connections]));
		gw_jw_ku64(w, "requests_in_flight", atomic_load(&s->metric[GW_M_requests_in_flight]));
		gw_jw_ku64(w, "streams_open", atomic_load(&s->metric[GW_M_streams_open]));
		gw_jw_ku64(w, "rss_bytes", atomic_load(&s->metric[GW_M_memory_rss_bytes]));
		gw_jw_ku64(w, "cpu_ms", atomic_load(&s->cpu_ns) / 1000000);
	}
	gw_jw_end_obj(w);
}

static bool is_used(const struct gw_admin *ad, uint32_t slot)
{
	return atomic_load(&ad->control->workers[slot].state) != GW_CHILD_NONE;
}

static void put_workers(struct gw_json_out *w, struct gw_admin *ad)
{
	gw_slots_open(&ad->slots, ad->start.boot.runtime_dir);
	gw_jw_arr(w);
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++)
		if (is_used(ad, i))
			put_worker(w, ad, i);
	gw_jw_end_arr(w);
}

void gw_adm_workers(struct gw_adm_req *q)
{
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 256 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("items"));
	put_workers(&w, q->ad);
	gw_jw_end_obj(&w);
	answer_json(q, &b);
}

/* Without the master's word: what the slots keep of crashes that left a text. */
static void slot_crashes(struct gw_adm_req *q)
{
	struct gw_admin *ad = q->ad;
	struct gw_json_out w;
	struct gw_buf b;

	gw_slots_open(&ad->slots, ad->start.boot.runtime_dir);
	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("items"));
	gw_jw_arr(&w);
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++) {
		const struct gw_slot *s = ad->slots.slot[i];
		struct gw_buf t;

		if (!s || (!atomic_load(&s->panic_at_us) && !s->panic[0]))
			continue;
		gw_buf_init(&t, 64);
		gw_time_put(&t, (int64_t)atomic_load(&s->panic_at_us));
		gw_jw_obj(&w);
		gw_jw_ku64(&w, "slot", i);
		if (atomic_load(&s->panic_at_us))
			gw_jw_kstr(&w, "at", gw_buf_view(&t));
		gw_jw_kstr(&w, "what", gw_str(s->panic, strnlen(s->panic, sizeof s->panic)));
		gw_jw_kstr(&w, "request_id",
			   gw_str(s->panic_context, strnlen(s->panic_context, sizeof s->panic_context)));
		gw_jw_end_obj(&w);
		gw_buf_done(&t);
	}
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	answer_json(q, &b);
}

static void on_crashes(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;
	struct gw_str body;

	if (!q->conn) {
		gw_adm_end(q);
		return;
	}
	body = err ? GW_NIL : gw_arena_str(&q->arena, m->body);
	if (body.p)
		gw_adm_answer(q, 200, GW_LIT("application/json"), body, 0, 0);
	else
		slot_crashes(q);
}

void gw_adm_crashes(struct gw_adm_req *q)
{
	struct gw_msg m = { .type = GW_MSG_STATUS };

	GW_MSG_SET(&m, name, GW_LIT("crashes"));
	if (!q->ad->master || gw_channel_ask(q->ad->master, &m, MASTER_MS, on_crashes, q) != GW_OK)
		slot_crashes(q);
}

/* --- status: ours, and confd's word when it answers --- */
static void put_roles(struct gw_json_out *w, const struct gw_admin *ad)
{
	gw_jw_arr(w);
	for (uint32_t r = 0; r < GW_ROLE_COUNT; r++) {
		if (r == GW_ROLE_WORKER || r == GW_ROLE_MASTER)
			continue;
		gw_jw_obj(w);
		gw_jw_kstr(w, "role", gw_str_z(gw_role_name((enum gw_role)r)));
		put_child(w, &ad->control->roles[r]);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_status(struct gw_adm_req *q, struct gw_str confd)
{
	struct gw_admin *ad = q->ad;
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 512 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "version", GW_LIT(LLMGW_VERSION));
	gw_jw_ku64(&w, "master_pid", atomic_load(&ad->control->master_pid));
	gw_jw_kbool(&w, "draining", atomic_load(&ad->control->is_draining));
	gw_jw_ku64(&w, "generation", atomic_load(&ad->control->generation));
	gw_jw_key(&w, GW_LIT("roles"));
	put_roles(&w, ad);
	gw_jw_key(&w, GW_LIT("workers"));
	put_workers(&w, ad);
	gw_jw_key(&w, GW_LIT("confd"));
	if (confd.n)
		gw_jw_raw(&w, confd);
	else
		gw_jw_null(&w);
	gw_jw_key(&w, GW_LIT("index"));
	gw_q_status_json(ad, &w);
	gw_jw_key(&w, GW_LIT("trail"));
	gw_q_trail_json(ad, &w);
	gw_jw_ku64(&w, "unauthenticated_admin_calls", ad->n_unauthenticated);
	put_sources(&w, ad);
	gw_jw_ku64(&w, "throttled_admin_calls", ad->n_throttled);
	gw_jw_ku64(&w, "refused_admin_calls", ad->n_refused);
	gw_jw_end_obj(&w);
	answer_json(q, &b);
}

static void on_confd(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;

	if (!q->conn)
		gw_adm_end(q);
	else
		put_status(q, !err && m->status == 200 ? m->body : GW_NIL);
}

void gw_adm_status(struct gw_adm_req *q)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	GW_MSG_SET(&m, name, GW_LIT("status"));
	GW_MSG_SET(&m, body, GW_LIT("{}"));
	GW_MSG_SET(&m, actor, q->who.json);
	if (!q->ad->confd || gw_channel_ask(q->ad->confd, &m, 1000, on_confd, q) != GW_OK)
		put_status(q, GW_NIL);
}

/* --- upgrade --- */
static void on_upgraded(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;
	struct gw_json_out w;
	struct gw_buf b;

	if (!q->conn) {
		gw_adm_end(q);
		return;
	}
	if (err || m->status) {
		gw_adm_fail(q, GW_E_CONFLICT,
			    err ? GW_LIT("The master did not answer in time; see its log.")
				: gw_arena_str(&q->arena, m->detail));
		return;
	}
	gw_buf_init(&b, 4096);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "upgraded", m->detail.n ? m->detail : GW_LIT("yes"));
	gw_jw_end_obj(&w);
	answer_json(q, &b);
}

void gw_adm_upgrade(struct gw_adm_req *q)
{
	struct gw_msg m = { .type = GW_MSG_UPGRADE };

	if (!q->ad->master || gw_channel_ask(q->ad->master, &m, UPGRADE_MS, on_upgraded, q) != GW_OK)
		gw_adm_fail(q, GW_E_NOT_READY, GW_LIT("The master is not there."));
}

/* --- open endpoints --- */
void gw_adm_livez(struct gw_adm_req *q)
{
	gw_adm_answer(q, 200, GW_LIT("application/json"), GW_LIT("{\"status\":\"alive\"}\n"), 0, 0);
}

void gw_adm_readyz(struct gw_adm_req *q)
{
	struct gw_admin *ad = q->ad;
	bool is_ready = false;

	gw_slots_open(&ad->slots, ad->start.boot.runtime_dir);
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++)
		is_ready |= is_used(ad, i) && ad->slots.slot[i] && atomic_load(&ad->slots.slot[i]->is_ready);
	if (is_ready && ad->confd)
		gw_adm_answer(q, 200, GW_LIT("application/json"), GW_LIT("{\"status\":\"ready\"}\n"), 0, 0);
	else
		gw_adm_fail(q, GW_E_NOT_READY, is_ready ? GW_LIT("confd is not there") : GW_LIT("no worker is ready"));
}
