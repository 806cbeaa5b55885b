/* find-max: the rate is doubled until a run does not hold, the bracket is halved until it is narrow, and what is left must
 * hold again in confirmation runs; if it does not, the search goes down by the precision and asks again. */
#include "bench/llmgw-bench_plan.h"

struct search {
	const struct bench_search_rules *rules;
	bench_try_fn *try_rate;
	void *ctx;
	struct bench_search_result r;
};

static bool holds(struct search *s, double rate, bool is_confirmation)
{
	bool held;

	s->r.runs++;
	held = s->try_rate(s->ctx, rate, is_confirmation);
	if (!held && (s->r.failed_at <= 0 || rate < s->r.failed_at))
		s->r.failed_at = rate;
	return held;
}

static bool may_run(const struct search *s)
{
	return s->r.runs < s->rules->max_runs;
}

/* The highest rate that held while doubling (or halving from a start that was too much); 0: none. */
static double bracket(struct search *s)
{
	double rate = s->rules->start < s->rules->max ? s->rules->start : s->rules->max, good = 0;

	while (may_run(s) && holds(s, rate, false)) {
		good = rate;
		if (rate >= s->rules->max)
			return good;
		rate = rate * 2 < s->rules->max ? rate * 2 : s->rules->max;
	}
	while (good <= 0 && may_run(s) && rate >= 2) { /* the start was too high */
		rate /= 2;
		if (holds(s, rate, false))
			good = rate;
	}
	return good;
}

static bool confirm(struct search *s, double rate)
{
	for (uint32_t i = 0; i < s->rules->confirm; i++)
		if (!may_run(s) || !holds(s, rate, true))
			return false;
	return true;
}

struct bench_search_result bench_search(const struct bench_search_rules *rules, bench_try_fn *try_rate, void *ctx)
{
	struct search s = { .rules = rules, .try_rate = try_rate, .ctx = ctx };
	double good = bracket(&s);

	while (good > 0 && s.r.failed_at > 0 && may_run(&s) && (s.r.failed_at - good) / good > rules->precision) {
		double middle = (good + s.r.failed_at) / 2;

		if (holds(&s, middle, false))
			good = middle;
	}
	while (good >= 1 && may_run(&s)) {
		if (confirm(&s, good)) {
			s.r.is_confirmed = true;
			break;
		}
		if (!may_run(&s))
			break;
		good *= 1 - rules->precision;
	}
	s.r.rate = s.r.is_confirmed || rules->confirm == 0 ? good : 0;
	s.r.is_at_max = s.r.rate > 0 && s.r.rate >= rules->max;
	return s.r;
}
