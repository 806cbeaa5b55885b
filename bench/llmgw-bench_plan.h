#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/buf.h"

/* What a run asks for, and when: the mix of requests, the stages of the load, the moments at which requests come due.
 * Pure: no sockets, no clocks; times are offsets from the beginning of the load. */
enum { BENCH_MAX_CLASSES = 16, BENCH_MAX_STAGES = 64, BENCH_MAX_SIZES = 16, BENCH_MAX_NAMES = 4096 };
enum { BENCH_MAX_RATE = 1000000, BENCH_MAX_CONNECTIONS = 16384 };

enum bench_kind { BENCH_CHAT, BENCH_STREAM, BENCH_EMBEDDINGS };

struct bench_names { /* owned texts */
	char **items;
	uint32_t n;
};

struct bench_class { /* one kind of request of the mix */
	char name[40];
	enum bench_kind kind;
	uint64_t weight, max_tokens, inputs; /* inputs: texts of one embeddings request */
	char *message; /* of the user */
	uint64_t sizes[BENCH_MAX_SIZES]; /* bytes of the request's body, one picked at random */
	uint32_t n_sizes;
	struct bench_names models;
};

struct bench_stage { /* rate and number of connections go straight from the first to the second figure */
	uint64_t ms;
	double rate_from, rate_to; /* 0, 0: closed loop */
	uint32_t conns_from, conns_to;
};

struct bench_plan {
	struct bench_class classes[BENCH_MAX_CLASSES];
	struct bench_stage stages[BENCH_MAX_STAGES];
	uint32_t n_classes, n_stages;
	struct bench_names keys;
	bool is_open, is_poisson, is_think_random;
	uint64_t think_ms, warmup_ms, timeout_ms, requests, seed;
};

void bench_plan_free(struct bench_plan *p);
bool bench_names_add(struct bench_names *n, struct gw_str name);
/* Adds a name, or all of "m-{1..1000}"; false when there are too many or the range is not one. */
bool bench_names_expand(struct bench_names *n, struct gw_str pattern);
uint64_t bench_plan_ms(const struct bench_plan *p); /* warm-up and all stages */
uint32_t bench_plan_connections(const struct bench_plan *p); /* the most at any time */
/* Connections at an offset; during warm-up those of the beginning. */
uint32_t bench_plan_connections_at(const struct bench_plan *p, uint64_t ns);
double bench_plan_rate_at(const struct bench_plan *p, uint64_t ns);

/* "3s", "500ms", "2m", "1h"; a bare number is seconds. */
bool bench_duration(struct gw_str text, uint64_t *ms);
/* "200" or "100..1000" */
bool bench_range(struct gw_str text, double max, double *from, double *to);

/* A profile (bench/README.md, docs/BENCH.md) into the plan, over what stands there. `why` gets "profile.yaml:12:5: ...". */
struct bench_profile_more { /* what a profile may say beside the plan */
	char url[512], keys_file[512];
};
bool bench_profile_read(struct gw_str yaml, const char *name, struct bench_plan *p, struct bench_profile_more *more,
			char *why, size_t n_why);

/* --- random numbers: repeatable, not secret --- */
struct bench_rng {
	uint64_t state;
};
void bench_rng_init(struct bench_rng *r, uint64_t seed);
uint64_t bench_rng_next(struct bench_rng *r);
double bench_rng_unit(struct bench_rng *r); /* (0, 1] */
uint32_t bench_rng_below(struct bench_rng *r, uint32_t n);
uint32_t bench_plan_pick(const struct bench_plan *p, struct bench_rng *r); /* a class by weight */

/* --- arrivals of the open loop ---
 * Request i is due when the integral of the rate reaches i (constant), or a sum of i exponential steps (Poisson). That holds
 * for any ramp, and nothing that the server does can shift it. */
struct bench_arrivals {
	const struct bench_plan *plan;
	struct bench_rng rng;
	double target, before, base_ns; /* wanted integral; integral and time where the present stage begins */
	uint32_t at; /* 0 warm-up, then stage + 1 */
	uint64_t next_ns; /* UINT64_MAX: no more */
};
void bench_arrivals_init(struct bench_arrivals *a, const struct bench_plan *p);
void bench_arrivals_step(struct bench_arrivals *a);

/* --- find-max: the highest rate that holds --- */
struct bench_search_rules {
	double start, max, precision; /* precision 0.05: stop when the bracket is that narrow */
	uint32_t confirm; /* runs that must hold at the rate found */
	uint32_t max_runs;
};
struct bench_search_result {
	double rate; /* 0: not even the lowest held */
	double failed_at; /* lowest rate that did not hold; 0: none */
	uint32_t runs;
	bool is_confirmed, is_at_max;
};
typedef bool bench_try_fn(void *ctx, double rate, bool is_confirmation); /* true: it held */
struct bench_search_result bench_search(const struct bench_search_rules *rules, bench_try_fn *try_rate, void *ctx);
