/* Samples for top: the Prometheus text of /metrics and the answer of /admin/v1/status into numbers, and what lies between two of them. */
#include "admin-cli/top.h"

/* The value of a label inside `a="x",b="y"`; NIL when it is not there. */
static struct gw_str label(struct gw_str labels, struct gw_str name)
{
	while (labels.n) {
		size_t eq = gw_str_find(labels, '=');
		struct gw_str key = gw_str(labels.p, eq), rest = gw_str_skip(labels, eq + 2);
		size_t end = 0;

		while (end < rest.n && rest.p[end] != '"')
			end += rest.p[end] == '\\' ? 2 : 1;
		if (end > rest.n)
			return GW_NIL;
		if (gw_str_eq(key, name))
			return gw_str(rest.p, end);
		labels = gw_str_skip(rest, end + 1);
		if (labels.n && labels.p[0] == ',')
			labels = gw_str_skip(labels, 1);
	}
	return GW_NIL;
}

static struct top_row *row_of(struct top_sample *s, struct gw_str name)
{
	size_t n = name.n < sizeof s->model[0].name - 1 ? name.n : sizeof s->model[0].name - 1;

	for (unsigned i = 0; i < s->n_models; i++)
		if (strlen(s->model[i].name) == n && memcmp(s->model[i].name, name.p, n) == 0)
			return &s->model[i];
	if (s->n_models == TOP_MODELS)
		return &s->model[TOP_MODELS - 1]; /* the last one takes what does not fit */
	struct top_row *r = &s->model[s->n_models++];
	memcpy(r->name, name.p, n);
	return r;
}

static void add_bucket(struct top_hist *h, struct gw_str le, double value)
{
	double bound = 1e9;

	if (!gw_str_eq(le, GW_LIT("+Inf")) && !gw_json_double(le, &bound))
		return;
	for (unsigned i = 0; i < h->n; i++)
		if (h->bound_s[i] >= bound && h->bound_s[i] <= bound) {
			h->count[i] += value;
			return;
		}
	if (h->n == TOP_BUCKETS)
		return;
	h->bound_s[h->n] = bound;
	h->count[h->n++] = value;
}

static const struct {
	const char *name;
	size_t offset;
} of_row[] = {
	{ "llmgw_requests_2xx_total", offsetof(struct top_row, ok) },
	{ "llmgw_requests_4xx_total", offsetof(struct top_row, bad_4xx) },
	{ "llmgw_requests_5xx_total", offsetof(struct top_row, bad_5xx) },
	{ "llmgw_tokens_input_total", offsetof(struct top_row, tokens_in) },
	{ "llmgw_tokens_output_total", offsetof(struct top_row, tokens_out) },
	{ "llmgw_cost_nanousd_total", offsetof(struct top_row, cost_nanousd) },
	{ "llmgw_attempts_failed_total", offsetof(struct top_row, failed) },
};
static const struct {
	const char *name;
	size_t offset;
} of_hist[] = {
	{ "llmgw_duration_seconds_bucket", offsetof(struct top_row, duration) },
	{ "llmgw_ttft_seconds_bucket", offsetof(struct top_row, ttft) },
	{ "llmgw_overhead_seconds_bucket", offsetof(struct top_row, overhead) },
};
static const struct {
	const char *name;
	size_t offset;
} of_all[] = {
	{ "llmgw_connections", offsetof(struct top_sample, connections) },
	{ "llmgw_requests_in_flight", offsetof(struct top_sample, in_flight) },
	{ "llmgw_streams_open", offsetof(struct top_sample, streams) },
	{ "llmgw_upstream_open", offsetof(struct top_sample, up_open) },
	{ "llmgw_upstream_idle", offsetof(struct top_sample, up_idle) },
	{ "llmgw_upstream_queued", offsetof(struct top_sample, up_queued) },
	{ "llmgw_upstream_connects_total", offsetof(struct top_sample, up_connects) },
	{ "llmgw_upstream_reused_total", offsetof(struct top_sample, up_reused) },
	{ "llmgw_retries_total", offsetof(struct top_sample, retries) },
	{ "llmgw_ring_used_bytes", offsetof(struct top_sample, ring_used) },
	{ "llmgw_ring_size_bytes", offsetof(struct top_sample, ring_size) },
	{ "llmgw_requests_unauthenticated_total", offsetof(struct top_sample, unauthenticated) },
};
#define EACH(i, table) for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)

static void take(struct top_sample *s, struct gw_str name, struct gw_str labels, double v)
{
	EACH(i, of_row)
	if (gw_str_eq(name, gw_str_z(of_row[i].name))) {
		*(double *)(void *)((char *)row_of(s, label(labels, GW_LIT("model"))) + of_row[i].offset) += v;
		*(double *)(void *)((char *)&s->all + of_row[i].offset) += v;
		return;
	}
	EACH(i, of_hist)
	if (gw_str_eq(name, gw_str_z(of_hist[i].name))) {
		struct gw_str le = label(labels, GW_LIT("le"));

		add_bucket((void *)((char *)row_of(s, label(labels, GW_LIT("model"))) + of_hist[i].offset), le, v);
		add_bucket((void *)((char *)&s->all + of_hist[i].offset), le, v);
		return;
	}
	EACH(i, of_all)
	if (!labels.n && gw_str_eq(name, gw_str_z(of_all[i].name)))
		*(double *)(void *)((char *)s + of_all[i].offset) += v;
}

void top_read_metrics(struct top_sample *s, struct gw_str text)
{
	struct gw_str line, rest = text;

	while (rest.n) {
		struct gw_str labels = GW_NIL, value, name;
		double v;

		if (!gw_str_cut(rest, '\n', &line, &rest))
			rest = GW_NIL;
		if (!line.n || line.p[0] == '#')
			continue;
		size_t brace = gw_str_find(line, '{'), space = line.n;
		while (space > 0 && line.p[space - 1] != ' ')
			space--;
		value = gw_str_skip(line, space);
		name = gw_str_trim(gw_str(line.p, brace < space ? brace : space));
		if (brace < space && space >= brace + 3)
			labels = gw_str(line.p + brace + 1, space - brace - 3);
		if (gw_json_double(value, &v))
			take(s, name, labels, v);
	}
}

static void text(yyjson_val *o, const char *name, char *out, size_t n)
{
	cli_cell("", yyjson_obj_get(o, name), out, n);
}

static uint64_t number(yyjson_val *o, const char *name)
{
	return yyjson_get_uint(yyjson_obj_get(o, name));
}

void top_read_status(struct top_sample *s, yyjson_val *status)
{
	size_t i, n;
	yyjson_val *v;

	s->generation = number(status, "generation");
	s->is_draining = yyjson_get_bool(yyjson_obj_get(status, "draining"));
	text(status, "version", s->version, sizeof s->version);
	yyjson_arr_foreach(yyjson_obj_get(status, "roles"), i, n, v)
	{
		uint64_t up = number(v, "uptime_s");

		s->uptime_s = up > s->uptime_s ? up : s->uptime_s;
	}
	yyjson_arr_foreach(yyjson_obj_get(status, "workers"), i, n, v)
	{
		struct top_worker *w = &s->worker[s->n_workers];

		if (s->n_workers == TOP_WORKERS)
			break;
		*w = (struct top_worker){ .slot = number(v, "slot"),
					  .pid = number(v, "pid"),
					  .connections = number(v, "connections"),
					  .in_flight = number(v, "requests_in_flight"),
					  .streams = number(v, "streams_open"),
					  .rss = number(v, "rss_bytes"),
					  .cpu_ms = number(v, "cpu_ms"),
					  .restarts = number(v, "restarts"),
					  .generation = number(v, "generation"),
					  .beat_ms = number(v, "beat_ms"),
					  .is_ready = yyjson_get_bool(yyjson_obj_get(v, "ready")) };
		text(v, "state", w->state, sizeof w->state);
		s->n_workers++;
	}
}

/* --- differences --- */
static double minus(double now, double before)
{
	return now > before ? now - before : 0;
}

static void hist_minus(struct top_hist *h, const struct top_hist *before)
{
	for (unsigned i = 0; i < h->n; i++)
		for (unsigned k = 0; k < before->n; k++)
			if (h->bound_s[i] >= before->bound_s[k] && h->bound_s[i] <= before->bound_s[k])
				h->count[i] = minus(h->count[i], before->count[k]);
}

static void row_minus(struct top_row *r, const struct top_row *before)
{
	EACH(i, of_row)
	{
		double *x = (void *)((char *)r + of_row[i].offset);

		*x = minus(*x, *(const double *)(const void *)((const char *)before + of_row[i].offset));
	}
	hist_minus(&r->duration, &before->duration);
	hist_minus(&r->ttft, &before->ttft);
	hist_minus(&r->overhead, &before->overhead);
}

void top_between(struct top_sample *out, const struct top_sample *before, const struct top_sample *now)
{
	*out = *now;
	if (!before)
		return;
	row_minus(&out->all, &before->all);
	for (unsigned i = 0; i < out->n_models; i++)
		for (unsigned k = 0; k < before->n_models; k++)
			if (strcmp(out->model[i].name, before->model[k].name) == 0)
				row_minus(&out->model[i], &before->model[k]);
	out->up_connects = minus(now->up_connects, before->up_connects);
	out->up_reused = minus(now->up_reused, before->up_reused);
	out->retries = minus(now->retries, before->retries);
	out->unauthenticated = minus(now->unauthenticated, before->unauthenticated);
	for (unsigned i = 0; i < out->n_workers; i++)
		for (unsigned k = 0; k < before->n_workers; k++)
			if (out->worker[i].slot == before->worker[k].slot &&
			    out->worker[i].pid == before->worker[k].pid)
				out->worker[i].cpu_ms -= before->worker[k].cpu_ms < out->worker[i].cpu_ms
							     ? before->worker[k].cpu_ms
							     : out->worker[i].cpu_ms;
}

double top_quantile(const struct top_hist *h, double q)
{
	double total = h->n ? h->count[h->n - 1] : 0, want = total * q, low = 0, below = 0;

	if (total < 1)
		return -1;
	for (unsigned i = 0; i < h->n; i++) {
		if (h->count[i] >= want) {
			double in = h->count[i] - below;

			if (h->bound_s[i] > 1e8) /* beyond the last bound */
				return low;
			return in > 0 ? low + (h->bound_s[i] - low) * (want - below) / in : h->bound_s[i];
		}
		low = h->bound_s[i];
		below = h->count[i];
	}
	return low;
}
