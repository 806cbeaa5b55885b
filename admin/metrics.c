/* /metrics: Prometheus text (exposition format 0.0.4) from the rows of schemas/metrics.def over all slots. */
#include "admin/query.h"
#include "lib/sys/clock.h"

enum { METRICS_MAX = 32 << 20 };

struct out {
	struct gw_buf *b;
};

static bool is_step(const struct gw_metric_row *r)
{
	return strcmp(r->unit, "16ns") == 0;
}

static bool is_us(const struct gw_metric_row *r)
{
	return strcmp(r->unit, "us") == 0;
}

static void head(struct gw_buf *b, const struct gw_metric_row *r, const char *suffix)
{
	static const char *const types[] = {
		[GW_COUNTER] = "counter", [GW_GAUGE] = "gauge", [GW_HISTOGRAM] = "histogram", [GW_LEAST] = "gauge"
	};

	gw_buf_printf(b, "# HELP llmgw_%s%s %s\n# TYPE llmgw_%s%s %s\n", r->name, suffix, r->doc, r->name, suffix,
		      types[r->type]);
}

static const char *suffix_of(const struct gw_metric_row *r)
{
	if (is_us(r))
		return "_seconds";
	return r->type == GW_COUNTER ? "_total" : "";
}

static void seconds(struct gw_buf *b, uint64_t us)
{
	gw_buf_printf(b, "%llu.%06llu", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

static void hist(struct gw_buf *b, const struct gw_metric_row *r, const char *labels, const struct gw_hist_sum *h)
{
	const char *comma = labels[0] ? "," : "";

	for (unsigned i = 0; i < GW_HIST_BUCKETS; i++) {
		gw_buf_printf(b, "llmgw_%s_seconds_bucket{%s%sle=\"", r->name, labels, comma);
		if (gw_hist_bound_us(i) == UINT64_MAX)
			gw_buf_puts(b, GW_LIT("+Inf"));
		else
			seconds(b, gw_hist_bound_us(i));
		gw_buf_printf(b, "\"} %llu\n", (unsigned long long)h->bucket[i]);
	}
	gw_buf_printf(b, "llmgw_%s_seconds_sum%s%s%s ", r->name, labels[0] ? "{" : "", labels, labels[0] ? "}" : "");
	seconds(b, h->sum);
	gw_buf_printf(b, "\nllmgw_%s_seconds_count%s%s%s %llu\n", r->name, labels[0] ? "{" : "", labels,
		      labels[0] ? "}" : "", (unsigned long long)h->count);
}

/* The steps of a request, one family. Their histograms count in 16 ns, so that the first bucket ends near a microsecond. */
static void steps(struct gw_buf *b, const struct gw_slots *s)
{
	struct gw_hist_sum h;

	gw_buf_puts(b, GW_LIT("# HELP llmgw_step_seconds Time of a request in each step of its way, waits included; of "
			      "one request in sixteen, and those that asked for timing.\n"
			      "# TYPE llmgw_step_seconds histogram\n"));
	for (unsigned i = 0; i < GW_MH_COUNT; i++) {
		const char *name = gw_metric_hist_rows[i].name + strlen("step_");

		if (!is_step(&gw_metric_hist_rows[i]))
			continue;
		gw_slots_hist(s, (enum gw_metric_hist)i, &h);
		for (unsigned k = 0; k < GW_HIST_BUCKETS; k++) {
			gw_buf_printf(b, "llmgw_step_seconds_bucket{step=\"%s\",le=\"", name);
			if (gw_hist_bound_us(k) == UINT64_MAX)
				gw_buf_puts(b, GW_LIT("+Inf"));
			else
				gw_buf_printf(b, "%.9f", (double)gw_hist_bound_us(k) * 16e-9);
			gw_buf_printf(b, "\"} %llu\n", (unsigned long long)h.bucket[k]);
		}
		gw_buf_printf(b,
			      "llmgw_step_seconds_sum{step=\"%s\"} %.9f\nllmgw_step_seconds_count{step=\"%s\"} %llu\n",
			      name, (double)h.sum * 16e-9, name, (unsigned long long)h.count);
	}
}

static void slot_metrics(struct gw_buf *b, const struct gw_slots *s)
{
	struct gw_hist_sum h;

	for (unsigned i = 0; i < GW_M_COUNT; i++) {
		const struct gw_metric_row *r = &gw_metric_rows[i];

		head(b, r, suffix_of(r));
		gw_buf_printf(b, "llmgw_%s%s %llu\n", r->name, suffix_of(r),
			      (unsigned long long)gw_slots_sum(s, (enum gw_metric)i));
	}
	for (unsigned i = 0; i < GW_MH_COUNT; i++) {
		if (is_step(&gw_metric_hist_rows[i]))
			continue;
		head(b, &gw_metric_hist_rows[i], "_seconds");
		gw_slots_hist(s, (enum gw_metric_hist)i, &h);
		hist(b, &gw_metric_hist_rows[i], "", &h);
	}
	steps(b, s);
}

static void labelled(struct gw_buf *b, const struct gw_cells *cells, uint32_t n)
{
	for (unsigned k = 0; k < GW_L_COUNT; k++) {
		const struct gw_metric_row *r = &gw_labelled_rows[k];

		head(b, r, suffix_of(r));
		for (uint32_t i = 0; i < n; i++) {
			const struct gw_cell_sum *c = gw_cells_at(cells, i);

			gw_buf_printf(b, "llmgw_%s%s{%s} %llu\n", r->name, suffix_of(r), c->labels,
				      (unsigned long long)c->counter[k]);
		}
	}
	for (unsigned k = 0; k < GW_LH_COUNT; k++) {
		head(b, &gw_labelled_hist_rows[k], "_seconds");
		for (uint32_t i = 0; i < n; i++)
			hist(b, &gw_labelled_hist_rows[k], gw_cells_at(cells, i)->labels,
			     &gw_cells_at(cells, i)->hist[k]);
	}
}

static void errors(struct gw_buf *b, const struct gw_slots *s)
{
	gw_buf_puts(b, GW_LIT("# HELP llmgw_errors_total Requests that ended with an error, by row of the error "
			      "table.\n# TYPE llmgw_errors_total counter\n"));
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++) {
		uint64_t n = gw_slots_errors(s, (enum gw_err)e);

		if (n)
			gw_buf_printf(b, "llmgw_errors_total{error=\"%s\"} %llu\n", gw_err_info((enum gw_err)e)->name,
				      (unsigned long long)n);
	}
}

static void processes(struct gw_buf *b, const struct gw_admin *ad)
{
	gw_buf_puts(
	    b,
	    GW_LIT("# HELP llmgw_process_up Processes that the master sees as up.\n# TYPE llmgw_process_up gauge\n"));
	for (uint32_t r = GW_ROLE_CONFD; r < GW_ROLE_COUNT; r++)
		if (r != GW_ROLE_WORKER)
			gw_buf_printf(b, "llmgw_process_up{role=\"%s\"} %d\n", gw_role_name((enum gw_role)r),
				      atomic_load(&ad->control->roles[r].state) == GW_CHILD_UP);
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++)
		if (atomic_load(&ad->control->workers[i].state) != GW_CHILD_NONE)
			gw_buf_printf(b, "llmgw_process_up{role=\"worker\",slot=\"%u\"} %d\n", i,
				      atomic_load(&ad->control->workers[i].state) == GW_CHILD_UP);
	gw_buf_puts(b, GW_LIT("# HELP llmgw_process_restarts_total Times a process was replaced.\n# TYPE "
			      "llmgw_process_restarts_total counter\n"));
	for (uint32_t r = GW_ROLE_CONFD; r < GW_ROLE_COUNT; r++)
		if (r != GW_ROLE_WORKER)
			gw_buf_printf(b, "llmgw_process_restarts_total{role=\"%s\"} %u\n",
				      gw_role_name((enum gw_role)r), atomic_load(&ad->control->roles[r].restarts));
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++)
		if (atomic_load(&ad->control->workers[i].state) != GW_CHILD_NONE)
			gw_buf_printf(b, "llmgw_process_restarts_total{role=\"worker\",slot=\"%u\"} %u\n", i,
				      atomic_load(&ad->control->workers[i].restarts));
	gw_buf_puts(b, GW_LIT("# HELP llmgw_worker_generation Configuration generation that the worker serves.\n# TYPE "
			      "llmgw_worker_generation gauge\n"));
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++)
		if (ad->slots.slot[i] && ad->slots.is_live[i])
			gw_buf_printf(b, "llmgw_worker_generation{slot=\"%u\"} %llu\n", i,
				      (unsigned long long)atomic_load(&ad->slots.slot[i]->generation));
	gw_buf_printf(
	    b,
	    "# HELP llmgw_config_generation Generation of the images last published.\n# TYPE "
	    "llmgw_config_generation gauge\n"
	    "llmgw_config_generation %llu\n"
	    "# HELP llmgw_admin_unauthenticated_total Admin calls without a valid token.\n# TYPE "
	    "llmgw_admin_unauthenticated_total counter\n"
	    "llmgw_admin_unauthenticated_total %llu\n"
	    "# HELP llmgw_admin_throttled_total Admin calls told to wait: too many of a caller, or too many wrong "
	    "tokens of an address.\n# TYPE llmgw_admin_throttled_total counter\n"
	    "llmgw_admin_throttled_total %llu\n",
	    (unsigned long long)atomic_load(&ad->control->generation), (unsigned long long)ad->n_unauthenticated,
	    (unsigned long long)ad->n_throttled);
}

void gw_adm_metrics(struct gw_adm_req *q)
{
	struct gw_admin *ad = q->ad;
	struct gw_buf b;

	gw_slots_open(&ad->slots, ad->start.boot.runtime_dir);
	for (uint32_t i = 0; i < GW_MAX_SLOTS; i++)
		ad->slots.is_live[i] = atomic_load(&ad->control->workers[i].state) == GW_CHILD_UP ||
				       atomic_load(&ad->control->workers[i].state) == GW_CHILD_DRAINING;
	gw_buf_init(&b, METRICS_MAX);
	slot_metrics(&b, &ad->slots);
	labelled(&b, ad->cells, gw_cells_gather(ad->cells, &ad->slots));
	errors(&b, &ad->slots);
	processes(&b, ad);
	gw_q_metrics(ad, &b);
	if (b.err)
		gw_adm_fail(q, GW_E_NOMEM, GW_LIT("The metrics are larger than 32 MiB."));
	else
		gw_adm_answer(q, 200, GW_LIT("text/plain; version=0.0.4; charset=utf-8"), gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}
