/* Plans: names, stages, random numbers, the moments at which requests come due. */
#include "bench/llmgw-bench_plan.h"
#include <math.h>
#include <stdlib.h>

bool bench_names_add(struct bench_names *n, struct gw_str name)
{
	char **items, *copy;

	if (n->n >= BENCH_MAX_NAMES * 256)
		return false;
	if ((n->n & (n->n + 1)) == 0 || n->n == 0) { /* 0, 1, 3, 7, ...: room for twice as many */
		items = realloc(n->items, ((size_t)n->n * 2 + 2) * sizeof(*items));
		GW_REQUIRE(items != NULL);
		n->items = items;
	}
	copy = malloc(name.n + 1);
	GW_REQUIRE(copy != NULL);
	memcpy(copy, name.p ? name.p : "", name.n);
	copy[name.n] = '\0';
	n->items[n->n++] = copy;
	return true;
}

bool bench_names_expand(struct bench_names *n, struct gw_str pattern)
{
	struct gw_str head, rest, range, tail, from, to;
	uint64_t a, b;
	struct gw_buf name;
	bool ok = true;

	if (!gw_str_cut(pattern, '{', &head, &rest))
		return bench_names_add(n, pattern);
	if (!gw_str_cut(rest, '}', &range, &tail) || !gw_str_cut(range, '.', &from, &to) ||
	    !gw_str_has_prefix(to, GW_LIT(".")) || !gw_str_u64(from, &a) || !gw_str_u64(gw_str_skip(to, 1), &b) ||
	    b < a || b - a >= BENCH_MAX_NAMES)
		return false;
	gw_buf_init(&name, 4096);
	for (; a <= b && ok; a++) {
		gw_buf_clear(&name, 4096);
		gw_buf_puts(&name, head);
		gw_buf_put_u64(&name, a);
		gw_buf_puts(&name, tail);
		ok = !name.err && bench_names_add(n, gw_buf_view(&name));
	}
	gw_buf_done(&name);
	return ok;
}

static void free_names(struct bench_names *n)
{
	for (uint32_t i = 0; i < n->n; i++)
		free(n->items[i]);
	free(n->items);
	*n = (struct bench_names){ 0 };
}

void bench_plan_free(struct bench_plan *p)
{
	for (uint32_t i = 0; i < p->n_classes; i++) {
		free_names(&p->classes[i].models);
		free(p->classes[i].message);
		p->classes[i].message = NULL;
	}
	free_names(&p->keys);
	p->n_classes = p->n_stages = 0;
}

uint64_t bench_plan_ms(const struct bench_plan *p)
{
	uint64_t ms = p->warmup_ms;

	for (uint32_t i = 0; i < p->n_stages; i++)
		ms += p->stages[i].ms;
	return ms;
}

uint32_t bench_plan_connections(const struct bench_plan *p)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < p->n_stages; i++) {
		const struct bench_stage *s = &p->stages[i];
		uint32_t n = s->conns_from > s->conns_to ? s->conns_from : s->conns_to;

		most = n > most ? n : most;
	}
	return most;
}

/* The stage at an offset and how much of it has passed (0 to 1); NULL during warm-up. */
static const struct bench_stage *stage_at(const struct bench_plan *p, uint64_t ns, double *part)
{
	uint64_t begin = p->warmup_ms * 1000000;

	*part = 0;
	if (ns < begin)
		return NULL;
	for (uint32_t i = 0; i < p->n_stages; i++) {
		uint64_t length = p->stages[i].ms * 1000000;

		if (ns < begin + length) {
			*part = (double)(ns - begin) / (double)length;
			return &p->stages[i];
		}
		begin += length;
	}
	*part = 1;
	return &p->stages[p->n_stages - 1];
}

uint32_t bench_plan_connections_at(const struct bench_plan *p, uint64_t ns)
{
	double part;
	const struct bench_stage *s = stage_at(p, ns, &part);

	if (!s)
		return p->stages[0].conns_from;
	return (uint32_t)(s->conns_from + ((double)s->conns_to - s->conns_from) * part);
}

double bench_plan_rate_at(const struct bench_plan *p, uint64_t ns)
{
	double part;
	const struct bench_stage *s = stage_at(p, ns, &part);

	if (!s)
		return p->stages[0].rate_from;
	return s->rate_from + (s->rate_to - s->rate_from) * part;
}

static bool number(struct gw_str s, double *out)
{
	struct gw_str whole, part;
	uint64_t a = 0, b = 0;
	double scale = 1;

	if (!gw_str_cut(s, '.', &whole, &part)) {
		if (!gw_str_u64(s, &a))
			return false;
		*out = (double)a;
		return true;
	}
	if (part.n > 9 || !gw_str_u64(whole, &a) || !gw_str_u64(part, &b))
		return false;
	for (size_t i = 0; i < part.n; i++)
		scale *= 10;
	*out = (double)a + (double)b / scale;
	return true;
}

bool bench_range(struct gw_str text, double max, double *from, double *to)
{
	const char *dots = text.n ? memmem(text.p, text.n, "..", 2) : NULL;
	struct gw_str a = text, b = text;

	if (dots) {
		a = gw_str(text.p, (size_t)(dots - text.p));
		b = gw_str_skip(text, a.n + 2);
	}
	return number(gw_str_trim(a), from) && number(gw_str_trim(b), to) && *from <= max && *to <= max;
}

bool bench_duration(struct gw_str s, uint64_t *ms)
{
	double unit = 1000, v = 0;
	char last = s.n > 1 ? s.p[s.n - 1] : '0';

	if (s.n > 2 && memcmp(s.p + s.n - 2, "ms", 2) == 0) {
		unit = 1;
		s.n -= 2;
	} else if (last == 's' || last == 'm' || last == 'h') {
		unit = last == 's' ? 1000 : last == 'm' ? 60000 : 3600000;
		s.n--;
	}
	if (!number(s, &v) || v * unit > 86400000.0)
		return false;
	*ms = (uint64_t)(v * unit + 0.5);
	return true;
}

/* --- random numbers: xorshift64* --- */

void bench_rng_init(struct bench_rng *r, uint64_t seed)
{
	r->state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
	if (r->state == 0)
		r->state = 1;
}

uint64_t bench_rng_next(struct bench_rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1du;
}

double bench_rng_unit(struct bench_rng *r)
{
	return (double)((bench_rng_next(r) >> 11) + 1) / 9007199254740992.0;
}

uint32_t bench_rng_below(struct bench_rng *r, uint32_t n)
{
	return n <= 1 ? 0 : (uint32_t)(((bench_rng_next(r) >> 32) * n) >> 32);
}

uint32_t bench_plan_pick(const struct bench_plan *p, struct bench_rng *r)
{
	uint64_t all = 0, at;

	if (p->n_classes == 1)
		return 0;
	for (uint32_t i = 0; i < p->n_classes; i++)
		all += p->classes[i].weight;
	at = all ? bench_rng_next(r) % all : 0;
	for (uint32_t i = 0; i < p->n_classes; i++) {
		if (at < p->classes[i].weight)
			return i;
		at -= p->classes[i].weight;
	}
	return 0;
}

/* --- arrivals --- */

static struct bench_stage stage_of(const struct bench_plan *p, uint32_t at)
{
	if (at == 0)
		return (struct bench_stage){ .ms = p->warmup_ms,
					     .rate_from = p->stages[0].rate_from,
					     .rate_to = p->stages[0].rate_from };
	return p->stages[at - 1];
}

/* Seconds into a stage until its integral reaches `want`: from*x + slope*x*x/2 = want. */
static double solve(const struct bench_stage *s, double want)
{
	double length = (double)s->ms / 1000, slope = (s->rate_to - s->rate_from) / length, root;

	if (want <= 0)
		return 0;
	if (fabs(slope) < 1e-9)
		return want / s->rate_from;
	root = s->rate_from * s->rate_from + 2 * slope * want;
	return root <= 0 ? length : 2 * want / (s->rate_from + sqrt(root));
}

static void find_due(struct bench_arrivals *a)
{
	for (; a->at <= a->plan->n_stages; a->at++) {
		struct bench_stage s = stage_of(a->plan, a->at);
		double in_it = (s.rate_from + s.rate_to) / 2 * (double)s.ms / 1000;

		if (a->target < a->before + in_it) {
			a->next_ns = (uint64_t)(a->base_ns + solve(&s, a->target - a->before) * 1e9);
			return;
		}
		a->before += in_it;
		a->base_ns += (double)s.ms * 1e6;
	}
	a->next_ns = UINT64_MAX;
}

void bench_arrivals_init(struct bench_arrivals *a, const struct bench_plan *p)
{
	*a = (struct bench_arrivals){ .plan = p };
	bench_rng_init(&a->rng, p->seed + 77);
	if (p->is_poisson)
		a->target = -log(bench_rng_unit(&a->rng));
	find_due(a);
}

void bench_arrivals_step(struct bench_arrivals *a)
{
	a->target += a->plan->is_poisson ? -log(bench_rng_unit(&a->rng)) : 1;
	find_due(a);
}
