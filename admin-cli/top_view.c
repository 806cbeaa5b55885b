/* What top shows: a screen, a line, or JSON, of what happened between two samples. */
#include <stdarg.h>
#include <stdlib.h>
#include "admin-cli/top.h"

const char *const top_sort_names[TOP_N_SORTS] = { "rate", "p99", "errors", "tokens", "cost", "name" };

static double per_second(double n, const struct top_view *v)
{
	return v->seconds > 0 ? n / v->seconds : 0;
}

static double requests(const struct top_row *r)
{
	return r->ok + r->bad_4xx + r->bad_5xx;
}

static double usd(double nano)
{
	return nano / 1e9;
}

/* "850us", "12.3ms", "1.25s" */
static const char *span(double s, char out[16])
{
	if (s < 0)
		snprintf(out, 16, "-");
	else if (s < 0.001)
		snprintf(out, 16, "%.0fus", s * 1e6);
	else if (s < 1)
		snprintf(out, 16, s < 0.1 ? "%.1fms" : "%.0fms", s * 1e3);
	else
		snprintf(out, 16, s < 100 ? "%.2fs" : "%.0fs", s);
	return out;
}

/* "12", "1.5k", "3.4M" */
static const char *amount(double n, char out[16])
{
	if (n < 10 && n > 0)
		snprintf(out, 16, "%.2f", n);
	else if (n < 10000)
		snprintf(out, 16, "%.0f", n);
	else if (n < 1e6)
		snprintf(out, 16, "%.1fk", n / 1e3);
	else if (n < 1e9)
		snprintf(out, 16, "%.1fM", n / 1e6);
	else
		snprintf(out, 16, "%.1fG", n / 1e9);
	return out;
}

/* --- order --- */
static enum top_sort by;

static double weight(const struct top_row *r)
{
	switch (by) {
	case TOP_BY_P99:
		return top_quantile(&r->duration, 0.99);
	case TOP_BY_ERRORS:
		return r->bad_4xx + r->bad_5xx;
	case TOP_BY_TOKENS:
		return r->tokens_in + r->tokens_out;
	case TOP_BY_COST:
		return r->cost_nanousd;
	default:
		return requests(r);
	}
}

static int compare(const void *pa, const void *pb)
{
	const struct top_row *a = *(const struct top_row *const *)pa, *b = *(const struct top_row *const *)pb;
	double x = weight(a), y = weight(b);

	if (by != TOP_BY_NAME && (x < y || x > y))
		return x < y ? 1 : -1;
	return strcmp(a->name, b->name);
}

static unsigned sorted(const struct top_sample *d, enum top_sort sort, const struct top_row *out[TOP_MODELS])
{
	for (unsigned i = 0; i < d->n_models; i++)
		out[i] = &d->model[i];
	by = sort;
	qsort(out, d->n_models, sizeof out[0], compare);
	return d->n_models;
}

/* --- the screen --- */
struct screen {
	struct gw_buf *b;
	const struct top_view *v;
	unsigned lines;
};

/* One line, cut at the width; colour codes are given apart, so that they are not counted. */
__attribute__((format(printf, 3, 4))) static void line(struct screen *s, enum cli_colour k, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (s->v->height && s->lines >= s->v->height)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	cli_disarm(text, false);
	if (s->v->width && strlen(text) > s->v->width)
		text[s->v->width] = 0;
	gw_buf_puts(s->b, gw_str_z(k ? cli_paint(k) : ""));
	gw_buf_puts(s->b, gw_str_z(text));
	gw_buf_puts(s->b, gw_str_z(k ? cli_paint(CLI_PLAIN) : ""));
	gw_buf_putc(s->b, '\n');
	s->lines++;
}

static void head(struct screen *s, const struct top_sample *d)
{
	const struct top_view *v = s->v;
	const struct top_row *a = &d->all;
	char x[6][16], y[6][16];

	line(s, CLI_BOLD, "llmgw %s on %s  generation %llu  up %llus%s%s", d->version, v->server,
	     (unsigned long long)d->generation, (unsigned long long)d->uptime_s, d->is_draining ? "  DRAINING" : "",
	     v->is_paused ? "  PAUSED" : "");
	line(s, CLI_PLAIN, "requests %s/s (%s %s)  4xx %s/s  5xx %s/s  in flight %.0f  streams %.0f  clients %.0f",
	     amount(per_second(requests(a), v), x[0]), amount(requests(a), x[1]),
	     v->is_total ? "since the start" : "now", amount(per_second(a->bad_4xx, v), x[2]),
	     amount(per_second(a->bad_5xx, v), x[3]), d->in_flight, d->streams, d->connections);
	line(s, CLI_PLAIN, "duration p50 %s p99 %s  ttft p50 %s p99 %s  gateway p50 %s p99 %s",
	     span(top_quantile(&a->duration, 0.5), y[0]), span(top_quantile(&a->duration, 0.99), y[1]),
	     span(top_quantile(&a->ttft, 0.5), y[2]), span(top_quantile(&a->ttft, 0.99), y[3]),
	     span(top_quantile(&a->overhead, 0.5), y[4]), span(top_quantile(&a->overhead, 0.99), y[5]));
	line(s, CLI_PLAIN, "tokens in %s/s out %s/s  cost %.4f USD/h (%.6f USD)",
	     amount(per_second(a->tokens_in, v), x[0]), amount(per_second(a->tokens_out, v), x[1]),
	     usd(per_second(a->cost_nanousd, v)) * 3600, usd(a->cost_nanousd));
	line(s, CLI_PLAIN, "upstream open %.0f idle %.0f waiting %.0f  new %s/s reused %s/s retries %s/s  ring %.0f%%",
	     d->up_open, d->up_idle, d->up_queued, amount(per_second(d->up_connects, v), x[2]),
	     amount(per_second(d->up_reused, v), x[3]), amount(per_second(d->retries, v), x[4]),
	     d->ring_size > 0 ? 100 * d->ring_used / d->ring_size : 0);
}

static void models(struct screen *s, const struct top_sample *d)
{
	const struct top_row *rows[TOP_MODELS];
	unsigned n = sorted(d, s->v->sort, rows);

	line(s, CLI_PLAIN, "%s", "");
	line(s, CLI_BOLD, "%-32s %9s %8s %6s %8s %8s %8s %8s %8s %10s", "MODEL", "REQUESTS", "REQ/S", "ERR%", "P50",
	     "P99", "TTFT50", "TTFT99", "TOK/S", "USD/H");
	for (unsigned i = 0; i < n; i++) {
		const struct top_row *r = rows[i];
		double all = requests(r), bad = r->bad_4xx + r->bad_5xx;
		char x[7][16];

		line(s, bad > 0 ? CLI_YELLOW : CLI_PLAIN, "%-32.32s %9.0f %8s %6.1f %8s %8s %8s %8s %8s %10.4f",
		     r->name, all, amount(per_second(all, s->v), x[0]), all > 0 ? 100 * bad / all : 0,
		     span(top_quantile(&r->duration, 0.5), x[1]), span(top_quantile(&r->duration, 0.99), x[2]),
		     span(top_quantile(&r->ttft, 0.5), x[3]), span(top_quantile(&r->ttft, 0.99), x[4]),
		     amount(per_second(r->tokens_in + r->tokens_out, s->v), x[5]),
		     usd(per_second(r->cost_nanousd, s->v)) * 3600);
	}
}

static void workers(struct screen *s, const struct top_sample *d)
{
	line(s, CLI_PLAIN, "%s", "");
	line(s, CLI_BOLD, "%-6s %-9s %8s %6s %9s %8s %9s %8s %10s %8s", "WORKER", "STATE", "PID", "CPU%", "RSS MiB",
	     "CLIENTS", "IN FLIGHT", "STREAMS", "GENERATION", "RESTARTS");
	for (unsigned i = 0; i < d->n_workers; i++) {
		const struct top_worker *w = &d->worker[i];
		bool is_good = w->is_ready && strcmp(w->state, "up") == 0;

		line(s, is_good ? CLI_PLAIN : CLI_RED, "%-6llu %-9s %8llu %6.1f %9.1f %8llu %9llu %8llu %10llu %8llu",
		     (unsigned long long)w->slot, w->state, (unsigned long long)w->pid,
		     per_second((double)w->cpu_ms / 10, s->v), (double)w->rss / 1048576,
		     (unsigned long long)w->connections, (unsigned long long)w->in_flight,
		     (unsigned long long)w->streams, (unsigned long long)w->generation,
		     (unsigned long long)w->restarts);
	}
}

static void health(struct screen *s, const struct top_sample *d)
{
	if (!d->n_health)
		return;
	line(s, CLI_PLAIN, "%s", "");
	line(s, CLI_BOLD, "%-32s %-8s %8s %s", "DEPLOYMENT", "HEALTH", "PROBE", "REASON");
	for (unsigned i = 0; i < d->n_health; i++) {
		const struct top_health *h = &d->health[i];
		char x[16];

		line(s, strcmp(h->state, "active") == 0 ? CLI_PLAIN : CLI_RED, "%-32.32s %-8s %8s %s", h->id, h->state,
		     span((double)h->latency_ms / 1000, x), h->reason);
	}
}

void top_draw(struct gw_buf *b, const struct top_sample *d, const struct top_view *v)
{
	struct screen s = { b, v, 0 };

	head(&s, d);
	workers(&s, d);
	health(&s, d);
	models(&s, d);
}

/* --- one line --- */
void top_line(struct gw_buf *b, const struct top_sample *d, const struct top_view *v)
{
	const struct top_row *a = &d->all;
	unsigned up = 0;
	char x[4][16];

	for (unsigned i = 0; i < d->n_workers; i++)
		up += d->worker[i].is_ready;
	gw_buf_printf(
	    b,
	    "req/s %.1f 4xx/s %.1f 5xx/s %.1f p50 %s p99 %s ttft50 %s ttft99 %s in_flight %.0f streams %.0f tok/s %.0f "
	    "usd/h %.4f upstream %.0f workers %u/%u generation %llu\n",
	    per_second(requests(a), v), per_second(a->bad_4xx, v), per_second(a->bad_5xx, v),
	    span(top_quantile(&a->duration, 0.5), x[0]), span(top_quantile(&a->duration, 0.99), x[1]),
	    span(top_quantile(&a->ttft, 0.5), x[2]), span(top_quantile(&a->ttft, 0.99), x[3]), d->in_flight, d->streams,
	    per_second(a->tokens_in + a->tokens_out, v), usd(per_second(a->cost_nanousd, v)) * 3600, d->up_open, up,
	    d->n_workers, (unsigned long long)d->generation);
}

/* --- JSON --- */
static void json_number(struct gw_json_out *w, const char *name, double v)
{
	gw_jw_key(w, gw_str_z(name));
	gw_jw_double(w, v);
}

static void json_quantile(struct gw_json_out *w, const char *name, const struct top_hist *h, double q)
{
	double s = top_quantile(h, q);

	if (s >= 0)
		json_number(w, name, s);
}

static void json_row(struct gw_json_out *w, const struct top_row *r)
{
	json_number(w, "requests", requests(r));
	json_number(w, "errors_4xx", r->bad_4xx);
	json_number(w, "errors_5xx", r->bad_5xx);
	json_number(w, "tokens_input", r->tokens_in);
	json_number(w, "tokens_output", r->tokens_out);
	json_number(w, "cost_usd", usd(r->cost_nanousd));
	json_quantile(w, "duration_p50_s", &r->duration, 0.5);
	json_quantile(w, "duration_p99_s", &r->duration, 0.99);
	json_quantile(w, "ttft_p50_s", &r->ttft, 0.5);
	json_quantile(w, "ttft_p99_s", &r->ttft, 0.99);
	json_quantile(w, "overhead_p50_s", &r->overhead, 0.5);
	json_quantile(w, "overhead_p99_s", &r->overhead, 0.99);
}

static void json_workers(struct gw_json_out *w, const struct top_sample *d)
{
	gw_jw_key(w, GW_LIT("workers"));
	gw_jw_arr(w);
	for (unsigned i = 0; i < d->n_workers; i++) {
		const struct top_worker *k = &d->worker[i];

		gw_jw_obj(w);
		gw_jw_ku64(w, "slot", k->slot);
		gw_jw_kstr(w, "state", gw_str_z(k->state));
		gw_jw_kbool(w, "ready", k->is_ready);
		gw_jw_ku64(w, "cpu_ms", k->cpu_ms);
		gw_jw_ku64(w, "rss_bytes", k->rss);
		gw_jw_ku64(w, "connections", k->connections);
		gw_jw_ku64(w, "in_flight", k->in_flight);
		gw_jw_ku64(w, "streams", k->streams);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

void top_json(struct gw_buf *b, const struct top_sample *d, const struct top_view *v)
{
	const struct top_row *rows[TOP_MODELS];
	unsigned n = sorted(d, v->sort, rows);
	struct gw_json_out w;

	gw_jw_init(&w, b);
	gw_jw_obj(&w);
	json_number(&w, "seconds", v->seconds);
	json_row(&w, &d->all);
	json_number(&w, "in_flight", d->in_flight);
	json_number(&w, "streams", d->streams);
	json_number(&w, "upstream_open", d->up_open);
	gw_jw_ku64(&w, "generation", d->generation);
	gw_jw_key(&w, GW_LIT("models"));
	gw_jw_arr(&w);
	for (unsigned i = 0; i < n; i++) {
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "model", gw_str_z(rows[i]->name));
		json_row(&w, rows[i]);
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	json_workers(&w, d);
	gw_jw_key(&w, GW_LIT("health"));
	gw_jw_arr(&w);
	for (unsigned i = 0; i < d->n_health; i++) {
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "deployment", gw_str_z(d->health[i].id));
		gw_jw_kstr(&w, "state", gw_str_z(d->health[i].state));
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	gw_buf_putc(b, '\n');
}
