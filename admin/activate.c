/* A deployment that must pass its first probe: the answer waits for the agent's verdict (at most 5 s) and says active or pending and
 * why. Also :health and :test, which ask confd first whether the caller may see the deployment at all. */
#include <stdlib.h>
#include "admin/admin.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"

enum { WAIT_MS = 5000, LOOK_MS = 20, TEST_MS = 20000, CALL_MS = 5000 };

struct waiting {
	int status;
	struct gw_str object;
	uint64_t version, generation, until_ms;
	uint64_t key;
};

static bool needs_probe(struct gw_str object)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	bool needs = true;

	if (gw_json_read(object, &gw_json_default_limits, &doc, &fault))
		return false;
	yyjson_val *v = yyjson_doc_get_root(doc);
	if (gw_str_eq(gw_json_str(yyjson_obj_get(v, "activation")), GW_LIT("immediate")) ||
	    gw_str_eq(gw_json_str(yyjson_obj_get(v, "probe")), GW_LIT("none")) ||
	    yyjson_get_bool(yyjson_obj_get(v, "disabled")))
		needs = false;
	yyjson_doc_free(doc);
	return needs;
}

static void put_health(struct gw_json_out *w, const struct gw_health_cell *c)
{
	static const char *const words[] = { "pending", "pending", "active", "down" };
	uint32_t v = c ? atomic_load(&c->verdict) : 0;
	char detail[GW_HEALTH_DETAIL];

	gw_jw_kstr(w, "state", gw_str_z(words[v < 4 ? v : 0]));
	if (!c)
		return;
	gw_health_detail(c, detail);
	if (v != GW_VERDICT_UP && atomic_load(&c->error)) {
		gw_jw_kstr(w, "error", gw_str_z(gw_err_info((enum gw_err) - (int)atomic_load(&c->error))->name));
		if (detail[0])
			gw_jw_kstr(w, "reason", gw_str_z(detail));
	}
	gw_jw_ku64(w, "latency_ms", atomic_load(&c->latency_us) / 1000);
}

/* The object with "activation_state" at its end. */
static void answer_with(struct gw_adm_req *q, const struct waiting *wt, const struct gw_health_cell *c)
{
	struct gw_json_out w;
	struct gw_str open = wt->object, body;
	struct gw_buf b;

	while (open.n && open.p[open.n - 1] != '}')
		open.n--;
	gw_buf_init(&b, wt->object.n + 2048);
	gw_buf_put(&b, open.p, open.n ? open.n - 1 : 0);
	gw_buf_puts(&b, GW_LIT(",\"activation_state\":"));
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	if (c || needs_probe(wt->object))
		put_health(&w, c);
	else
		gw_jw_kstr(&w, "state", GW_LIT("active"));
	gw_jw_end_obj(&w);
	gw_buf_putc(&b, '}');
	body = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	gw_adm_answer(q, wt->status, GW_LIT("application/json"), body, wt->version, wt->generation);
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h);
}

static void on_look(uv_timer_t *t)
{
	struct gw_adm_req *q = t->data;
	struct waiting *wt = q->state;
	const struct gw_health_cell *c = gw_health_get(q->ad->health, wt->key);
	bool is_up = c && atomic_load(&c->verdict) == GW_VERDICT_UP;
	/* one failed probe is an answer too */
	bool has_failed = c && atomic_load(&c->error) != 0 && atomic_load(&c->verdict) == GW_VERDICT_PENDING;

	if (!is_up && !has_failed && q->conn && gw_now_ms() < wt->until_ms)
		return;
	q->timer = NULL;
	uv_timer_stop(t);
	uv_close((uv_handle_t *)t, on_timer_closed);
	answer_with(q, wt, c);
}

void gw_adm_activate(struct gw_adm_req *q, int status, struct gw_str object, uint64_t version, uint64_t generation)
{
	struct waiting *wt = GW_NEW(&q->arena, struct waiting);
	uv_timer_t *t = wt && object.p && needs_probe(object) ? calloc(1, sizeof *t) : NULL;

	if (!t) {
		struct waiting now = { status, object, version, generation, 0, 0 };

		answer_with(q, &now, NULL);
		return;
	}
	*wt = (struct waiting){
		status, object, version, generation, gw_now_ms() + WAIT_MS, gw_health_key(q->id, version)
	};
	if (!q->id.n) { /* POST: the id is in the object */
		struct gw_json_span id = { 0 };
		const struct gw_json_want want = { GW_LIT("id"), &id };

		gw_json_members(object, (struct gw_json_span){ 0, object.n, GW_JSON_OBJ }, &want, 1);
		if (id.type == GW_JSON_STR)
			wt->key =
			    gw_health_key(gw_json_unescape(&q->arena, gw_str(object.p + id.off, id.len)), version);
	}
	q->state = wt;
	q->timer = t;
	t->data = q;
	uv_timer_init(&q->ad->loop, t);
	uv_timer_start(t, on_look, 0, LOOK_MS);
}

/* --- several at once: what config:apply made or changed --- */
enum { MANY = 64 };
struct many {
	int status;
	struct gw_str body;
	uint64_t generation, until_ms;
	uint32_t n;
	struct {
		struct gw_str id;
		uint64_t key;
	} dep[MANY];
};

static bool is_decided(const struct gw_health_cell *c)
{
	return c && (atomic_load(&c->verdict) == GW_VERDICT_UP || atomic_load(&c->error) != 0);
}

static void answer_many(struct gw_adm_req *q, const struct many *mn)
{
	struct gw_str open = mn->body, body;
	struct gw_json_out w;
	struct gw_buf b;

	while (open.n && open.p[open.n - 1] != '}')
		open.n--;
	gw_buf_init(&b, mn->body.n + MANY * 512);
	gw_buf_put(&b, open.p, open.n ? open.n - 1 : 0);
	gw_buf_puts(&b, GW_LIT(",\"activation\":"));
	gw_jw_init(&w, &b);
	gw_jw_arr(&w);
	for (uint32_t i = 0; i < mn->n; i++) {
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "deployment", mn->dep[i].id);
		put_health(&w, gw_health_get(q->ad->health, mn->dep[i].key));
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	gw_buf_putc(&b, '}');
	body = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	if (body.p)
		gw_adm_answer(q, mn->status, GW_LIT("application/json"), body, 0, mn->generation);
	else
		gw_adm_answer(q, mn->status, GW_LIT("application/json"), mn->body, 0, mn->generation);
}

static void on_look_many(uv_timer_t *t)
{
	struct gw_adm_req *q = t->data;
	struct many *mn = q->state;
	bool is_over = !q->conn || gw_now_ms() >= mn->until_ms, all = true;

	for (uint32_t i = 0; i < mn->n && all; i++)
		all = is_decided(gw_health_get(q->ad->health, mn->dep[i].key));
	if (!all && !is_over)
		return;
	q->timer = NULL;
	uv_timer_stop(t);
	uv_close((uv_handle_t *)t, on_timer_closed);
	answer_many(q, mn);
}

static void find_changed(struct gw_adm_req *q, struct many *mn)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	size_t i, n;
	yyjson_val *v;

	if (gw_json_read(mn->body, &gw_json_default_limits, &doc, &fault))
		return;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "changes"), i, n, v)
	{
		bool is_dep = gw_str_eq(gw_json_str(yyjson_obj_get(v, "kind")), GW_LIT("deployment"));

		if (!is_dep || gw_str_eq(gw_json_str(yyjson_obj_get(v, "act")), GW_LIT("none")) || mn->n == MANY)
			continue;
		mn->dep[mn->n].id = gw_arena_str(&q->arena, gw_json_str(yyjson_obj_get(v, "id")));
		mn->dep[mn->n].key = gw_health_key(mn->dep[mn->n].id, yyjson_get_uint(yyjson_obj_get(v, "version")));
		mn->n++;
	}
	yyjson_doc_free(doc);
}

void gw_adm_activate_many(struct gw_adm_req *q, int status, struct gw_str body, uint64_t generation)
{
	struct many *mn = GW_NEW(&q->arena, struct many);
	uv_timer_t *t = NULL;

	if (mn) {
		*mn = (struct many){ status, body, generation, gw_now_ms() + WAIT_MS, 0, { { GW_NIL, 0 } } };
		find_changed(q, mn);
		t = mn->n ? calloc(1, sizeof *t) : NULL;
	}
	if (!t) {
		gw_adm_answer(q, status, GW_LIT("application/json"), body, 0, generation);
		return;
	}
	q->state = mn;
	q->timer = t;
	t->data = q;
	uv_timer_init(&q->ad->loop, t);
	uv_timer_start(t, on_look_many, 0, LOOK_MS);
}

/* --- :health, :test --- */
typedef void seen_fn(struct gw_adm_req *q, uint64_t version);
struct look {
	seen_fn *next;
};

static void on_seen(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;
	struct look *l = q->state;

	if (!q->conn)
		gw_adm_end(q);
	else if (err)
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
	else if (m->status != 200)
		gw_adm_answer(q, (int)m->status, GW_LIT("application/json"), m->body, 0, 0);
	else
		l->next(q, m->version);
}

static void see(struct gw_adm_req *q, seen_fn *next)
{
	struct gw_msg m = { .type = GW_MSG_CALL };
	struct look *l = GW_NEW(&q->arena, struct look);
	struct gw_str body = gw_arena_printf(&q->arena, "{\"id\":\"%.*s\"}", GW_FMT(q->id));

	for (size_t i = 0; i < q->id.n; i++)
		if (q->id.p[i] == '"' || q->id.p[i] == '\\' || (unsigned char)q->id.p[i] < 0x20)
			body = GW_NIL;
	if (!l || !body.p) {
		gw_adm_fail(q, GW_E_NOT_FOUND, GW_NIL);
		return;
	}
	l->next = next;
	q->state = l;
	GW_MSG_SET(&m, name, GW_LIT("get"));
	GW_MSG_SET(&m, kind, GW_LIT("deployment"));
	GW_MSG_SET(&m, body, body);
	GW_MSG_SET(&m, actor, q->who.json);
	if (!q->ad->confd || gw_channel_ask(q->ad->confd, &m, CALL_MS, on_seen, q) != GW_OK)
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
}

static void show_health(struct gw_adm_req *q, uint64_t version)
{
	struct gw_json_out w;
	struct gw_str body;
	struct gw_buf b;

	gw_buf_init(&b, 4096);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "id", q->id);
	put_health(&w, gw_health_get(q->ad->health, gw_health_key(q->id, version)));
	gw_jw_end_obj(&w);
	body = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	gw_adm_answer(q, 200, GW_LIT("application/json"), body, version, 0);
}

static void on_tested(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;

	if (!q->conn)
		gw_adm_end(q);
	else if (err)
		gw_adm_fail(q, GW_E_NOT_READY, GW_LIT("The agent does not answer; try again in a moment."));
	else
		gw_adm_answer(q, (int)m->status, GW_LIT("application/json"), m->body, 0, 0);
}

static void run_test(struct gw_adm_req *q, uint64_t version)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	(void)version;
	GW_MSG_SET(&m, name, GW_LIT("test"));
	GW_MSG_SET(&m, body, gw_arena_printf(&q->arena, "{\"id\":\"%.*s\"}", GW_FMT(q->id)));
	if (!q->ad->agent || gw_channel_ask(q->ad->agent, &m, TEST_MS, on_tested, q) != GW_OK)
		gw_adm_fail(q, GW_E_NOT_READY, GW_LIT("The agent is not running; it will be back in a moment."));
}

/* One page of the list that confd gives, each row as :health of it. */
static void put_healths(struct gw_adm_req *q, struct gw_str list, struct gw_json_out *w)
{
	static const char *const kept[] = { "id", "org", "team", "provider", "upstream_model" };
	struct gw_json_fault fault;
	yyjson_doc *doc;
	yyjson_val *one, *v;
	size_t i, n;

	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("items"));
	gw_jw_arr(w);
	if (gw_json_read(list, &gw_json_default_limits, &doc, &fault))
		doc = NULL;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, one)
	{
		uint64_t version = yyjson_get_uint(yyjson_obj_get(one, "version"));

		gw_jw_obj(w);
		for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++)
			if (yyjson_is_str(v = yyjson_obj_get(one, kept[k])))
				gw_jw_kstr(w, kept[k], gw_json_str(v));
		if (yyjson_is_true(yyjson_obj_get(one, "disabled")))
			gw_jw_kbool(w, "disabled", true);
		put_health(
		    w, gw_health_get(q->ad->health, gw_health_key(gw_json_str(yyjson_obj_get(one, "id")), version)));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
	v = yyjson_obj_get(yyjson_doc_get_root(doc), "next");
	if (yyjson_is_str(v))
		gw_jw_kstr(w, "next", gw_json_str(v));
	gw_jw_end_obj(w);
	yyjson_doc_free(doc);
}

void gw_adm_dep_health_page(struct gw_adm_req *q, struct gw_str list)
{
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 4 << 20);
	gw_jw_init(&w, &b);
	put_healths(q, list, &w);
	if (b.err)
		gw_adm_fail(q, GW_E_NOMEM, GW_NIL);
	else
		gw_adm_answer(q, 200, GW_LIT("application/json"), gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}

void gw_adm_dep_health(struct gw_adm_req *q)
{
	see(q, show_health);
}
void gw_adm_dep_test(struct gw_adm_req *q)
{
	see(q, run_test);
}
