/* GET index and POST index:rebuild, and what status and /metrics tell of the exporter: from its page in shared memory, so that they answer
 * while it is dead or busy. */
#include "admin/query.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { CALL_MS = 5000 };

/* The page is made by the exporter, maybe after us. */
static const struct gw_export *page(struct gw_admin *ad)
{
	if (!ad->export && gw_export_open(ad->start.boot.runtime_dir, false, &ad->export) != GW_OK)
		ad->export = NULL;
	return ad->export;
}

static void put_time(struct gw_json_out *w, const char *key, uint64_t us)
{
	struct gw_buf b;

	if (!us)
		return;
	gw_buf_init(&b, 64);
	gw_time_put(&b, (int64_t)us);
	gw_jw_kstr(w, key, gw_buf_view(&b));
	gw_buf_done(&b);
}

void gw_q_status_json(struct gw_admin *ad, struct gw_json_out *w)
{
	const struct gw_export *x = page(ad);
	char detail[GW_EXPORT_DETAIL], key[64];
	bool is_up = atomic_load(&ad->control->roles[GW_ROLE_EXPORTER].state) == GW_CHILD_UP;

	gw_jw_obj(w);
	gw_jw_kstr(w, "state", !is_up || !x ? GW_LIT("down") : gw_str_z(gw_export_state_name(atomic_load(&x->state))));
	for (int i = 0; x && i < GW_X_COUNT; i++) {
		uint64_t v = atomic_load_explicit(&x->metric[i], memory_order_relaxed);

		if (i == GW_X_oldest || i == GW_X_newest) {
			put_time(w, gw_export_rows[i].name, v);
			continue;
		}
		snprintf(key, sizeof key, "%s%s", gw_export_rows[i].name,
			 strcmp(gw_export_rows[i].unit, "us") == 0 ? "_us" : "");
		gw_jw_ku64(w, key, v);
	}
	if (x) {
		gw_export_detail(x, detail);
		if (detail[0])
			gw_jw_kstr(w, "detail", gw_str_z(detail));
	}
	gw_jw_ku64(w, "faults_seen", ad->n_index_faults);
	gw_jw_end_obj(w);
}

static void put_metric(struct gw_buf *b, const char *prefix, const struct gw_export_row *r, uint64_t v)
{
	bool is_us = strcmp(r->unit, "us") == 0;
	const char *suffix = is_us ? "_seconds" : r->is_counter ? "_total" : "";

	gw_buf_printf(b, "# HELP llmgw_%s_%s%s %s\n# TYPE llmgw_%s_%s%s %s\nllmgw_%s_%s%s ", prefix, r->name, suffix,
		      r->doc, prefix, r->name, suffix, r->is_counter ? "counter" : "gauge", prefix, r->name, suffix);
	if (is_us)
		gw_buf_printf(b, "%llu.%06llu\n", (unsigned long long)(v / 1000000), (unsigned long long)(v % 1000000));
	else
		gw_buf_printf(b, "%llu\n", (unsigned long long)v);
}

/* The logger's page, maybe made after us. */
static const struct gw_trail *trail_page(struct gw_admin *ad)
{
	if (!ad->trail && gw_trail_open(ad->start.boot.runtime_dir, false, &ad->trail) != GW_OK)
		ad->trail = NULL;
	return ad->trail;
}

void gw_q_trail_json(struct gw_admin *ad, struct gw_json_out *w)
{
	const struct gw_trail *t = trail_page(ad);

	gw_jw_obj(w);
	for (int i = 0; t && i < GW_T_COUNT; i++) {
		uint64_t v = atomic_load_explicit(&t->metric[i], memory_order_relaxed);

		if (i == GW_T_oldest)
			put_time(w, gw_trail_rows[i].name, v);
		else
			gw_jw_ku64(w, gw_trail_rows[i].name, v);
	}
	gw_jw_end_obj(w);
}

void gw_q_metrics(struct gw_admin *ad, struct gw_buf *b)
{
	const struct gw_export *x = page(ad);
	const struct gw_trail *t = trail_page(ad);

	for (int i = 0; x && i < GW_X_COUNT; i++)
		put_metric(b, "index", &gw_export_rows[i], atomic_load_explicit(&x->metric[i], memory_order_relaxed));
	for (int i = 0; t && i < GW_T_COUNT; i++)
		put_metric(b, "trail", &gw_trail_rows[i], atomic_load_explicit(&t->metric[i], memory_order_relaxed));
}

void gw_adm_index_status(struct gw_adm_req *q)
{
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 16384);
	gw_jw_init(&w, &b);
	gw_q_status_json(q->ad, &w);
	if (b.err)
		gw_adm_fail(q, GW_E_NOMEM, GW_NIL);
	else
		gw_adm_answer(q, 200, GW_LIT("application/json"), gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}

static void on_rebuild(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;

	if (!q->conn)
		gw_adm_end(q);
	else if (err)
		gw_adm_fail(q, GW_E_NOT_READY, GW_LIT("The exporter does not answer; try again in a moment."));
	else if (m->status == 409)
		gw_adm_fail(q, GW_E_CONFLICT, GW_LIT("A rebuild is under way; GET index shows how far it is."));
	else
		gw_adm_answer(q, (int)m->status, GW_LIT("application/json"), m->body, 0, 0);
}

void gw_adm_index_rebuild(struct gw_adm_req *q)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	GW_MSG_SET(&m, name, GW_LIT("index-rebuild"));
	if (!q->ad->exporter || gw_channel_ask(q->ad->exporter, &m, CALL_MS, on_rebuild, q) != GW_OK)
		gw_adm_fail(q, GW_E_NOT_READY, GW_LIT("The exporter is not running; it will be back in a moment."));
}
