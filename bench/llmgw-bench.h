#pragma once
#include <uv.h>
#include "lib/buf.h"
#include "lib/hist.h"
#include "lib/url.h"
#include "net/tls.h"

/* llmgw-bench asks one address for chat completions, at a constant rate (open loop) or as fast as its connections go
 * (closed loop), and says what it saw: latency from the moment a request was due, not from when it could be sent;
 * time to the first token, gaps between tokens, and what the processes under test paid in CPU time.
 *
 *   llmgw-bench.c         options
 *   llmgw-bench_run.c     the phases: connect, hold, quiet window, warm-up, measurement, drain; when requests start
 *   llmgw-bench_conn.c    a connection: socket, TLS, writing, deadlines
 *   llmgw-bench_http.c    answers out of bytes, events out of streams
 *   llmgw-bench_cpu.c     CPU time of process trees
 *   llmgw-bench_report.c  the result for people and for programs
 *
 * One thread, one loop, a fixed number of connections; nothing is allocated per request but what an answer's bytes need. */
enum { BENCH_MAX_PIDS = 4096, BENCH_MAX_ROOTS = 64, BENCH_MAX_CONNECTIONS = 16384, BENCH_MAX_IN = 8 << 20 };
enum { BENCH_HIST_BITS = 40 }; /* nanoseconds: 18 minutes */

struct bench_root { /* a process named on the command line */
	int pid;
	bool is_tree;
};

struct bench_options {
	const char *url, *model, *message, *hold_message, *key_file, *ca_path, *host_name;
	uint64_t rate, connections, requests, body_bytes, hold_streams, timeout_ms, duration_ms, warmup_ms, quiet_ms;
	bool is_stream, is_json, is_self_check, is_silent;
	struct bench_root roots[BENCH_MAX_ROOTS];
	uint32_t n_roots;
};
extern struct bench_options bench_options;

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

struct bench_hist {
	uint64_t *slots;
	uint64_t n, sum, max;
};
void bench_hist_init(struct bench_hist *h);
void bench_hist_add(struct bench_hist *h, uint64_t ns);
double bench_hist_us(const struct bench_hist *h, double q);

struct bench_cpu { /* CPU time so far */
	uint64_t ns;
	uint32_t processes;
};

struct bench_stats {
	struct bench_hist latency, ttft, gap, late;
	uint64_t in_window; /* requests completed well between the two CPU readings */
	uint64_t chunks; /* content events seen between them */
	uint64_t reconnects, bytes_in, errors[BENCH_E_N];
	uint64_t window_ns, quiet_ns;
	uint64_t cpu_ns, quiet_cpu_ns, own_cpu_ns;
	uint32_t processes, held;
	char first_error[256];
};

/* --- CPU (llmgw-bench_cpu.c) --- */
/* Looks up which processes there are now; false with a text when a named one is not there. */
bool bench_cpu_find(char *why, size_t n);
struct bench_cpu bench_cpu_read(void);

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
	int status;
	bool is_held, is_counted, is_sending, must_close, has_done, was_used, is_closing;
};

enum bench_phase { BENCH_CONNECT, BENCH_HOLD, BENCH_QUIET, BENCH_WARM, BENCH_MEASURE, BENCH_DRAIN, BENCH_END };

struct bench_run {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_poll_t arrival;
	int arrival_fd;
	struct sockaddr_storage address;
	struct gw_url url;
	struct gw_tls_ctx *tls;
	struct gw_tls_session *session;
	struct gw_buf request, hold_request; /* whole requests, ready to be sent */
	struct bench_conn *conns; /* options.connections that ask, then options.hold_streams */
	uint32_t n_conns, n_open; /* the first kind; open ones of both kinds */
	uint32_t *free_list, n_free;
	uint64_t started, ended, in_flight; /* requests */
	uint64_t t0_ns, window_from_ns, window_to_ns, interval_ns;
	enum bench_phase phase;
	uint64_t phase_ns, from_ns, told_ns, told_ended,
	    ticks; /* when the phase and the CPU window began; the last line of progress */
	bool is_loading, is_measuring, is_over;
	int result;
	struct bench_stats stats;
	char *scratch;
};
enum { BENCH_SCRATCH = 65536 };

void bench_conn_init(struct bench_run *r, struct bench_conn *c, bool is_held);
void bench_conn_open(struct bench_conn *c);
void bench_conn_send(struct bench_conn *c, struct gw_str request, uint64_t due_ns);
/* Ends it; a request that was under way counts as failed with `why`. */
void bench_conn_fail(struct bench_conn *c, enum bench_error why);
void bench_conn_free(struct bench_conn *c);

/* Bytes of the answer. GARBLED stops the connection. */
bool bench_http_feed(struct bench_conn *c, const char *p, size_t n);
/* The peer closed: true when that is the proper end of the answer. */
bool bench_http_end(struct bench_conn *c);

/* --- what a connection tells the run --- */
void bench_run_ready(struct bench_conn *c); /* connected, or free again */
void bench_run_done(struct bench_conn *c); /* a whole answer */
void bench_run_failed(struct bench_conn *c, enum bench_error why); /* a request failed */
void bench_run_chunk(struct bench_conn *c); /* a content event */
void bench_run_note(struct bench_run *r, const char *text, struct gw_str detail);

/* 0 when it ran. */
int bench_run(struct bench_run *r);
/* 0 valid, 3 invalid and --self-check. */
int bench_report(const struct bench_run *r);
