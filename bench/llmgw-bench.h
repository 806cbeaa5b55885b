#pragma once
#include <uv.h>
#include "bench/llmgw-bench_plan.h"
#include "bench/llmgw-bench_procs.h"
#include "lib/buf.h"
#include "lib/hist.h"
#include "lib/json.h"
#include "lib/url.h"
#include "net/tls.h"

/* llmgw-bench loads an OpenAI-compatible endpoint and says what it saw: latency from the moment a request was due, not from
 * when it could be sent; time to the first token, gaps between tokens, and what the processes under test paid.
 *
 *   llmgw-bench.c           commands and help            llmgw-bench_options.c   options
 *   llmgw-bench_plan.c      what is asked for, and when  llmgw-bench_profile.c   the same from YAML
 *   llmgw-bench_request.c   the bytes of requests        llmgw-bench_run.c       the phases of a run
 *   llmgw-bench_load.c      when requests start          llmgw-bench_series.c    figures by interval
 *   llmgw-bench_conn.c      sockets, TLS, deadlines      llmgw-bench_http.c      answers and events out of bytes
 *   llmgw-bench_procs.c     CPU and memory of trees      llmgw-bench_steps.c     the gateway's own step times
 *   llmgw-bench_result.c    a run as JSON                llmgw-bench_report.c    as a table; llmgw-bench_html.c as a page
 *   llmgw-bench_find.c, _pair.c, _tune.c, _compare.c     the other commands; llmgw-bench_search.c how find-max searches
 *   llmgw-bench_call.c      single HTTP calls (metrics, admin API)
 *
 * One thread, one loop; nothing is allocated per request but what an answer's bytes need. */
enum {
	BENCH_MAX_IN = 8 << 20,
	BENCH_SCRATCH = 65536,
	BENCH_MAX_STEPS = 32,
	BENCH_MAX_POINTS = 4096,
	BENCH_MAX_HEADERS = 16
};
enum { BENCH_HIST_BITS = 40 }; /* nanoseconds: 18 minutes */

struct bench_options {
	const char *url, *key_file, *ca_path, *host_name, *metrics_url, *label;
	const char *hold_message, *headers[BENCH_MAX_HEADERS];
	uint32_t n_headers;
	uint64_t hold_streams, quiet_ms, settle_ms;
	bool is_silent, is_terminal;
	struct bench_root roots[BENCH_MAX_ROOTS];
	uint32_t n_roots;
	struct bench_plan plan;
};

enum bench_error {
	BENCH_E_CONNECT,
	BENCH_E_TLS,
	BENCH_E_CLOSED,
	BENCH_E_TIMEOUT,
	BENCH_E_GARBLED,
	BENCH_E_CUT_STREAM,
	BENCH_E_401,
	BENCH_E_429,
	BENCH_E_4XX,
	BENCH_E_5XX,
	BENCH_E_STATUS,
	BENCH_E_NOT_STARTED,
	BENCH_E_HELD,
	BENCH_E_N
};
extern const char *const bench_error_names[BENCH_E_N];

/* --- histograms: log-linear, 0.1 %, nanoseconds --- */
struct bench_hist {
	uint64_t *slots; /* made at the first value */
	uint64_t n, sum, max;
};
void bench_hist_add(struct bench_hist *h, uint64_t ns);
void bench_hist_clear(struct bench_hist *h);
void bench_hist_free(struct bench_hist *h);
double bench_hist_us(const struct bench_hist *h, double q);

struct bench_set { /* what is kept of one class, and of all */
	struct bench_hist latency, ttft, gap;
	uint64_t errors;
};
struct bench_point { /* an interval of the run */
	double at_s, rps, offered, p50_us, p99_us, max_us, ttft_p50_us, ttft_p99_us, cpu_share, own_share, rss_mb;
	uint64_t errors;
	uint32_t in_flight, open;
};
struct bench_step { /* a step of the gateway, as its Server-Timing header says it */
	char name[40];
	struct bench_hist hist;
};
struct bench_metric { /* a histogram of /metrics: what came between two scrapes */
	char name[96];
	double sum_s, p50_us, p99_us;
	uint64_t n;
};

struct bench_stats {
	struct bench_set all, classes[BENCH_MAX_CLASSES];
	struct bench_hist late, now, now_ttft; /* now: of the present interval */
	uint64_t in_window, chunks; /* requests completed, content events seen between the two CPU readings */
	uint64_t reconnects, bytes_in, errors[BENCH_E_N];
	uint64_t window_ns, quiet_ns, quiet_cpu_ns, own_cpu_ns, peak_rss;
	struct bench_use base, quiet, used,
	    after; /* before anything is open; held streams only; the window; when all is closed */
	uint32_t held, peak_open;
	struct bench_point points[BENCH_MAX_POINTS];
	uint32_t n_points;
	struct bench_step steps[BENCH_MAX_STEPS];
	uint32_t n_steps;
	struct bench_metric metrics[64];
	uint32_t n_metrics;
	char first_error[256];
};

/* --- requests, ready to be sent --- */
struct bench_variant {
	struct gw_buf whole;
	size_t key_at; /* where the key goes in when there are several */
	uint32_t class_at;
};
struct bench_requests {
	struct bench_variant *items;
	uint32_t n, first[BENCH_MAX_CLASSES + 1];
	struct gw_buf held;
	struct gw_buf joined;
};

/* --- connections --- */
enum bench_state { BENCH_CLOSED, BENCH_CONNECTING, BENCH_IDLE, BENCH_BUSY };
enum bench_part {
	BENCH_HEAD,
	BENCH_LENGTH,
	BENCH_UNTIL_END,
	BENCH_CHUNK_LINE,
	BENCH_CHUNK_DATA,
	BENCH_CHUNK_END,
	BENCH_TRAILER
};

struct bench_conn {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	struct bench_run *run;
	struct gw_tls *tls;
	struct gw_buf in, sending,
	    line; /* answer bytes not used yet; what the kernel did not take; an unfinished event line */
	enum bench_state state;
	enum bench_part part;
	uint64_t left; /* bytes of the body or chunk still to come */
	uint64_t due_ns, chunk_ns,
	    since_ns; /* when the request was due; its last content event; when it was sent or connecting began */
	uint64_t rest_ns; /* thinks until then; not opened again before */
	uint32_t class_at;
	int status;
	bool is_held, is_stream, is_counted, is_sending, must_close, has_done, was_used, is_closing;
};

enum bench_phase { BENCH_CONNECT, BENCH_HOLD, BENCH_QUIET, BENCH_WARM, BENCH_MEASURE, BENCH_DRAIN, BENCH_END };

struct bench_run {
	const struct bench_options *o;
	uv_loop_t loop;
	uv_timer_t tick;
	uv_poll_t arrival;
	int arrival_fd;
	struct sockaddr_storage address;
	struct gw_url url;
	char host[256];
	struct gw_tls_ctx *tls;
	struct bench_requests requests;
	struct bench_arrivals due;
	struct bench_rng rng;
	struct bench_procs procs;
	struct bench_conn *conns; /* n_conns that ask, then options.hold_streams */
	uint32_t n_conns, n_active, n_open, n_connecting; /* at most; wanted now; of both kinds */
	uint32_t *free_list, n_free;
	uint64_t started, ended, in_flight; /* requests */
	uint64_t t0_ns, window_from_ns, window_to_ns;
	enum bench_phase phase;
	uint64_t phase_ns, from_ns, told_ns, told_ended, ticks;
	uint64_t point_ns, point_began_ns, point_ended, point_errors, point_cpu_ns, point_own_ns,
	    point_started; /* the interval under way */
	bool is_loading, is_measuring, is_over, has_told;
	int result; /* 0, or why not: 1 */
	struct bench_stats stats;
	char *scratch;
	struct bench_scrape *scrape;
};

void bench_conn_init(struct bench_run *r, struct bench_conn *c, bool is_held);
void bench_conn_open(struct bench_conn *c);
void bench_conn_send(struct bench_conn *c, struct gw_str request, uint64_t due_ns);
/* Ends it; a request that was under way counts as failed with `why`. */
void bench_conn_fail(struct bench_conn *c, enum bench_error why);
void bench_conn_free(struct bench_conn *c);

/* Bytes of the answer. False stops the connection. */
bool bench_http_feed(struct bench_conn *c, const char *p, size_t n);
/* The peer closed: true when that is the proper end of the answer. */
bool bench_http_end(struct bench_conn *c);

/* --- what a connection tells the load --- */
void bench_load_ready(struct bench_conn *c); /* connected, or free again */
void bench_load_done(struct bench_conn *c); /* a whole answer */
void bench_load_failed(struct bench_conn *c, enum bench_error why);
void bench_load_chunk(struct bench_conn *c); /* a content event */
void bench_load_note(struct bench_run *r, const char *text, struct gw_str detail);
void bench_load_begin(struct bench_run *r);
void bench_load_end(struct bench_run *r);
void bench_load_tick(struct bench_run *r, uint64_t now);
bool bench_load_may_start(const struct bench_run *r, uint64_t now);

void bench_series_begin(struct bench_run *r, uint64_t now);
void bench_series_tick(struct bench_run *r, uint64_t now);

/* A Server-Timing header, or one figure of it. */
void bench_steps_header(struct bench_run *r, struct gw_str value);
void bench_steps_add(struct bench_run *r, struct gw_str name, double us);
/* Reads /metrics, if an address was given; the second time it keeps what came in between. */
void bench_steps_scrape(struct bench_run *r, bool is_end);

bool bench_requests_make(struct bench_run *r, char *why, size_t n);
struct gw_str bench_requests_pick(struct bench_run *r, struct bench_conn *c);
void bench_requests_free(struct bench_requests *q);
void bench_put_body(struct gw_buf *b, const struct bench_class *c, const char *model, size_t bytes);

/* One run. r is zeroed by it; free it with bench_run_free. 0 it ran; 1 it could not (said on stderr). */
int bench_run(struct bench_run *r, const struct bench_options *o);
void bench_run_free(struct bench_run *r);

/* One HTTP call (http only), for metrics and the admin API: the status, or -1 with words in `out`. */
int bench_call(const char *method, const char *url, const char *token, struct gw_str body, struct gw_buf *out);

/* --- results --- */
struct bench_figures { /* derived from the counters */
	double seconds, rps, own_share, late_p99_us, cpu_us, quiet_us_per_s, per_request, net_per_request, per_chunk;
	double p50_us, p99_us, ttft_p50_us, ttft_p99_us;
	uint64_t errors;
	const char *invalid[4];
	int n_invalid;
};
struct bench_figures bench_figures_of(const struct bench_run *r);
void bench_result_json(const struct bench_run *r, struct gw_buf *out);
void bench_report_text(const struct bench_run *r, struct gw_buf *out);
/* A page of several results (JSON texts); self-contained. */
void bench_html(struct gw_buf *out, struct gw_str title, const struct gw_str *results, size_t n);
