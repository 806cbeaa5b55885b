/* Where the gateway's own time goes, as the gateway says it: Server-Timing headers of the answers ("auth;dur=0.02, ..."), and
 * the histograms of its /metrics between the beginning and the end of the load. Any name will do. */
#include <stdio.h>
#include <stdlib.h>
#include "bench/llmgw-bench.h"

static bool read_decimal(struct gw_str s, double *out)
{
	struct gw_str whole, part;
	double scale = 1;
	uint64_t a = 0, b = 0;

	if (!gw_str_cut(s, '.', &whole, &part))
		whole = s, part = GW_NIL;
	if ((whole.n > 0 && !gw_str_u64(whole, &a)) || (part.n > 0 && (part.n > 15 || !gw_str_u64(part, &b))) ||
	    whole.n + part.n == 0)
		return false;
	for (size_t i = 0; i < part.n; i++)
		scale *= 10;
	*out = (double)a + (double)b / scale;
	return true;
}

void bench_steps_add(struct bench_run *r, struct gw_str name, double us)
{
	struct bench_stats *s = &r->stats;
	uint32_t i = 0;

	while (i < s->n_steps && !gw_str_eq(gw_str_z(s->steps[i].name), name))
		i++;
	if (i == BENCH_MAX_STEPS || name.n == 0 || name.n >= sizeof(s->steps[0].name))
		return;
	if (i == s->n_steps) {
		memcpy(s->steps[i].name, name.p, name.n);
		s->n_steps++;
	}
	bench_hist_add(&s->steps[i].hist, (uint64_t)(us * 1000));
}

void bench_steps_header(struct bench_run *r, struct gw_str value)
{
	struct gw_str item, param, name;
	double ms;

	while (value.n > 0) {
		gw_str_cut(value, ',', &item, &value);
		gw_str_cut(gw_str_trim(item), ';', &name, &item);
		while (item.n > 0) {
			gw_str_cut(item, ';', &param, &item);
			param = gw_str_trim(param);
			if (gw_str_has_prefix(param, GW_LIT("dur=")) && read_decimal(gw_str_skip(param, 4), &ms) &&
			    ms < 1e6)
				bench_steps_add(r, gw_str_trim(name), ms * 1000);
		}
	}
}

/* --- /metrics --- */

enum { MAX_ROWS = 64, MAX_BUCKETS = 96 };
struct row {
	char name[96];
	double sum, edge[MAX_BUCKETS];
	int64_t bucket[MAX_BUCKETS], count; /* cumulative, as printed */
	uint32_t n;
};
struct bench_scrape {
	struct row rows[MAX_ROWS];
	uint32_t n;
};

static struct gw_str label(struct gw_str labels, const char *name)
{
	size_t n = strlen(name);
	const char *at = labels.n ? memmem(labels.p, labels.n, name, n) : NULL;
	struct gw_str rest, value;

	if (!at)
		return GW_NIL;
	rest = gw_str(at + n, labels.n - (size_t)(at - labels.p) - n);
	gw_str_cut(rest, '"', &value, &rest);
	return value;
}

static struct row *row_of(struct bench_scrape *s, struct gw_str metric, struct gw_str step)
{
	char name[96];
	uint32_t i;

	snprintf(name, sizeof(name), "%.*s%s%.*s", GW_FMT(metric), step.n ? " " : "", GW_FMT(step));
	for (i = 0; i < s->n; i++)
		if (strcmp(s->rows[i].name, name) == 0)
			return &s->rows[i];
	if (s->n == MAX_ROWS)
		return NULL;
	memcpy(s->rows[i].name, name, sizeof(name));
	s->n++;
	return &s->rows[i];
}

/* Exponents as in 1e-05 do occur. */
static double edge_of(struct gw_str s)
{
	struct gw_str mantissa, power;
	double v = 0;
	int64_t e = 0;

	if (gw_str_eq(s, GW_LIT("+Inf")))
		return 1e30;
	if (gw_str_cut(s, 'e', &mantissa, &power)) {
		bool minus = power.n > 0 && power.p[0] == '-';
		uint64_t n = 0;

		if (power.n > 0 && (power.p[0] == '-' || power.p[0] == '+'))
			power = gw_str_skip(power, 1);
		(void)gw_str_u64(power, &n);
		e = minus ? -(int64_t)n : (int64_t)n;
		s = mantissa;
	}
	if (!read_decimal(s, &v))
		return -1;
	for (; e > 0; e--)
		v *= 10;
	for (; e < 0; e++)
		v /= 10;
	return v;
}

static void take_bucket(struct row *r, struct gw_str le, int64_t v)
{
	double edge = edge_of(le);
	uint32_t i = 0;

	while (i < r->n && (r->edge[i] < edge || r->edge[i] > edge))
		i++;
	if (i == MAX_BUCKETS || edge < 0)
		return;
	if (i == r->n)
		r->edge[r->n++] = edge;
	r->bucket[i] += v;
}

/* name_bucket{...le="x"} v, name_sum{...} v, name_count{...} v */
static void take_line(struct bench_scrape *s, struct gw_str line, int sign)
{
	static const struct {
		const char *tail;
		char what;
	} tails[] = { { "_seconds_bucket", 'b' }, { "_seconds_sum", 's' }, { "_seconds_count", 'c' } };
	struct gw_str name = line, labels = GW_NIL, value;
	size_t end = gw_str_find(line, ' '), brace = gw_str_find(line, '{');
	struct row *r;
	double v;

	if (line.n == 0 || *line.p == '#')
		return;
	if (brace < line.n) {
		const char *close = memrchr(line.p, '}', line.n);

		if (!close)
			return;
		name = gw_str(line.p, brace);
		labels = gw_str(line.p + brace, (size_t)(close - line.p) - brace);
		value = gw_str_trim(gw_str_skip(line, (size_t)(close - line.p) + 1));
	} else {
		name = gw_str(line.p, end);
		value = gw_str_trim(gw_str_skip(line, end));
	}
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(tails[i].tail);

		if (name.n <= n || memcmp(name.p + name.n - n, tails[i].tail, n) != 0)
			continue;
		r = row_of(s, gw_str(name.p, name.n - n),
			   label(labels, "step=\"").n ? label(labels, "step=\"") : label(labels, "stage=\""));
		v = edge_of(value);
		if (r && v >= 0 && tails[i].what == 'b')
			take_bucket(r, label(labels, "le=\""), sign * (int64_t)v);
		else if (r && v >= 0 && tails[i].what == 's')
			r->sum += sign * v;
		else if (r && v >= 0)
			r->count += sign * (int64_t)v;
	}
}

/* Smallest edge below which the share lies. Edges come in order. */
static double quantile_us(const struct row *r, double q)
{
	for (uint32_t i = 0; i < r->n; i++)
		if ((double)r->bucket[i] >= q * (double)r->count)
			return r->edge[i] < 1e29 ? r->edge[i] * 1e6 : i > 0 ? r->edge[i - 1] * 1e6 : 0;
	return 0;
}

static void keep(struct bench_run *r)
{
	struct bench_stats *s = &r->stats;

	for (uint32_t i = 0; i < r->scrape->n && s->n_metrics < 64; i++) {
		const struct row *row = &r->scrape->rows[i];
		struct bench_metric *m = &s->metrics[s->n_metrics];

		if (row->count <= 0)
			continue;
		memcpy(m->name, row->name, sizeof(m->name));
		m->n = (uint64_t)row->count;
		m->sum_s = row->sum;
		m->p50_us = quantile_us(row, 0.5);
		m->p99_us = quantile_us(row, 0.99);
		s->n_metrics++;
	}
	free(r->scrape);
	r->scrape = NULL;
}

void bench_steps_scrape(struct bench_run *r, bool is_end)
{
	struct gw_buf text;
	struct gw_str rest, line;
	int status;

	if (!r->o->metrics_url || (is_end && !r->scrape))
		return;
	if (!r->scrape)
		r->scrape = calloc(1, sizeof(*r->scrape));
	GW_REQUIRE(r->scrape != NULL);
	gw_buf_init(&text, 64 << 20);
	status = bench_call("GET", r->o->metrics_url, getenv("LLMGW_ADMIN_TOKEN"), GW_NIL, &text);
	if (status != 200)
		fprintf(stderr, "llmgw-bench: %s: %d %.*s\n", r->o->metrics_url, status,
			(int)(gw_buf_len(&text) < 200 ? gw_buf_len(&text) : 200), text.p ? text.p : "");
	rest = gw_buf_view(&text);
	while (status == 200 && rest.n > 0) {
		gw_str_cut(rest, '\n', &line, &rest);
		take_line(r->scrape, line, is_end ? 1 : -1);
	}
	gw_buf_done(&text);
	if (is_end)
		keep(r);
}
