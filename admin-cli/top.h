#pragma once
#include "admin-cli/cli.h"

/* llmgwctl top in three parts: top_read.c makes a sample of /metrics and /admin/v1/status, top_view.c draws what lies between two samples (both
 * pure), cmd_top.c asks, waits and reads keys. */
enum { TOP_MODELS = 200, TOP_WORKERS = 64, TOP_HEALTH = 24, TOP_BUCKETS = 32 };

struct top_hist { /* cumulative, as /metrics has it */
	double bound_s[TOP_BUCKETS], count[TOP_BUCKETS];
	unsigned n;
};
struct top_row { /* of a model, or of all */
	char name[100];
	double ok, bad_4xx, bad_5xx, tokens_in, tokens_out, cost_nanousd, failed;
	struct top_hist duration, ttft, overhead;
};
struct top_worker {
	uint64_t slot, pid, connections, in_flight, streams, rss, cpu_ms, restarts, generation, beat_ms;
	char state[16];
	bool is_ready;
};
struct top_health {
	char id[72], state[16], reason[100];
	uint64_t latency_ms;
};
struct top_sample {
	uint64_t at_ms;
	struct top_row all, model[TOP_MODELS];
	unsigned n_models, n_workers, n_health;
	double connections, in_flight, streams, up_open, up_idle, up_queued, up_connects, up_reused, retries, ring_used,
	    ring_size, unauthenticated;
	struct top_worker worker[TOP_WORKERS];
	struct top_health health[TOP_HEALTH];
	uint64_t generation, uptime_s;
	char version[32];
	bool is_draining;
};

void top_read_metrics(struct top_sample *s, struct gw_str text);
void top_read_status(struct top_sample *s, yyjson_val *status);
/* What happened from `before` to `now`: counters and histograms as differences (never below 0), everything else as it is now. before NULL: since
 * the gateway began. */
void top_between(struct top_sample *out, const struct top_sample *before, const struct top_sample *now);
/* In seconds, interpolated in its bucket; below 0: nothing was counted. */
double top_quantile(const struct top_hist *h, double q);

enum top_sort { TOP_BY_RATE, TOP_BY_P99, TOP_BY_ERRORS, TOP_BY_TOKENS, TOP_BY_COST, TOP_BY_NAME, TOP_N_SORTS };
struct top_view {
	double seconds; /* between the samples */
	enum top_sort sort;
	bool is_paused, is_total; /* is_total: since the start */
	unsigned width, height; /* 0: as much as there is */
	const char *server;
};
extern const char *const top_sort_names[TOP_N_SORTS];
void top_draw(struct gw_buf *b, const struct top_sample *d, const struct top_view *v);
void top_line(struct gw_buf *b, const struct top_sample *d, const struct top_view *v); /* the whole on one line */
void top_json(struct gw_buf *b, const struct top_sample *d, const struct top_view *v);
