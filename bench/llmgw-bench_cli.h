#pragma once
#include "bench/llmgw-bench.h"

/* Commands and their options. Exit status: 0 done, 1 could not, 2 wrong options, 3 a run is doubtful (--self-check),
 * 4 requests failed (--fail-on-errors) or a figure is worse than allowed (compare --max-worse). */
enum { BENCH_RUN = 1, BENCH_FIND = 2, BENCH_PAIR = 4, BENCH_TUNE = 8, BENCH_REPORT = 16, BENCH_COMPARE = 32 };
enum { BENCH_LOADS = BENCH_RUN | BENCH_FIND | BENCH_PAIR | BENCH_TUNE, BENCH_MAX_KNOBS = 16 };

struct bench_cli {
	int command;
	struct bench_options o;
	/* load */
	const char *model, *message, *kind, *profile, *rate, *connections, *arrivals;
	const char *json_file, *html_file, *title, *label;
	uint64_t body_bytes, duration_ms, warmup_ms, timeout_ms, think_ms, requests, seed;
	bool is_json, is_self_check, is_stream, must_succeed;
	/* find-max */
	uint64_t p99_ms, ttft_p99_ms, start_rate, max_rate, precision, confirm, max_runs;
	/* pair */
	const char *urls[2], *key_files[2], *models[2], *labels[2];
	int trees[2];
	uint64_t rounds;
	/* tune */
	const char *gateway, *mock, *upstream, *goal, *knobs[BENCH_MAX_KNOBS];
	uint32_t n_knobs;
	/* compare */
	uint64_t max_worse;
	char **files;
	int n_files;
};

/* Ends the program with status 2 and words when something is wrong. */
void bench_cli_read(struct bench_cli *c, int argc, char **argv);
/* What the options say for one target: keys and plan; freed by bench_plan_free. Also ends the program. */
void bench_cli_plan(struct bench_cli *c, const char *key_file, const char *model);
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *fmt, ...);

int bench_cmd_find(struct bench_cli *c);
int bench_cmd_pair(struct bench_cli *c);
int bench_cmd_tune(struct bench_cli *c);
int bench_cmd_report(struct bench_cli *c);
int bench_cmd_compare(struct bench_cli *c);

/* Writes results where the options want them: JSON on stdout or in a file, the page. `texts` are JSON objects. */
int bench_emit(const struct bench_cli *c, const struct gw_str *texts, size_t n, struct gw_str summary,
	       struct gw_str table);
bool bench_write_file(const char *path, struct gw_str text);
double bench_median(double *values, size_t n); /* sorts them */

/* A knob: where it lives, its name and the values to try. "boot:workers=1,2,4" */
struct bench_knob {
	char place[16], name[48];
	char values[16][32];
	uint32_t n;
};
bool bench_knob_read(const char *text, struct bench_knob *k);
