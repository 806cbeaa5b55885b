#pragma once
#include <uv.h>
#include "net/h1_client_parse.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "net/upstream.h"
#include "net/wheel.h"

/* What the files of upstream share (those of libcurl beside it: curl_int.h):
 *
 *   upstream.c     requests: checking, head bytes, deadlines, their end
 *   pool.c         endpoints: idle connections (newest first), the queue, limits, the sweep
 *   h1_client.c    one connection: TLS, writing, reading, handing over what arrives
 *   h1_client_upload.c   bodies that come while they are sent
 *   h1_client_connect.c  making it: name, address check, attempts over several addresses
 *   h1_client_request.c  the head's bytes, and the native backend's table
 *
 * Ownership. A request is attached to at most one connection (q->conn, c->req) or waits in its endpoint's queue. A
 * connection belongs to its endpoint and is freed as soon as it is given up; what libuv still holds then is its socket,
 * a struct of its own that dies in its close callback. Inside a parser callback the connection cannot be freed: it is
 * marked is_given_up and freed when the parser returns. */
struct up_conn;

/* How the requests of an endpoint travel. Everything here is called from the loop; what ends a request inside says so by
 * up_req_end. */
struct up_backend {
	/* Method and path are checked; the headers are not. */
	enum gw_err (*start)(struct gw_up_req *q, const struct gw_up_send *s);
	void (*drop)(struct gw_up_req *q); /* cancelled: nothing refers to q afterwards */
	void (*fail)(struct gw_up_req *q, enum gw_err err, const char *detail); /* gives up and ends it */
	void (*pause)(struct gw_up_req *q, bool is_paused);
	bool (*write)(struct gw_up_req *q, struct gw_str bytes);
	void (*write_end)(struct gw_up_req *q);
	bool (*is_upload_waiting)(const struct gw_up_req *q); /* for the provider to take what we have */
	void (*sweep)(struct gw_endpoint *ep, uint64_t now_ms); /* once a second */
	void (*close)(struct gw_endpoint *ep); /* all its connections; no request is under way */
};
extern const struct up_backend up_native; /* h1_client_request.c */
extern const struct up_backend up_via_curl; /* curl_client.c */

struct up_sock {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	struct gw_upstream *up;
	struct up_conn *conn; /* NULL: closing */
	struct gw_buf pending; /* cipher bytes of a write under way */
	size_t n_writing; /* plain bytes of a write under way */
	bool is_writing;
};

enum up_state { UP_RESOLVE, UP_CONNECT, UP_HANDSHAKE, UP_BUSY, UP_IDLE };
/* Handshakes with one provider at once: each costs 1-2 ms of CPU, and a thousand that wait for each other are all late. */
enum { UP_OPENING_MAX = 256 };
enum { UP_TRIES = 4, UP_STAGGER_MS = 250, UP_SLICE = 16384, UP_SCRATCH = 65536, UP_IOV = 16 };

struct up_conn {
	struct gw_endpoint *ep;
	struct up_conn *next, *prev; /* all connections of the endpoint */
	struct up_conn *idle_next, *idle_prev; /* newest first */
	struct gw_up_req *req;
	struct up_sock *sock; /* the connected one */
	struct up_sock *tries[UP_TRIES]; /* while connecting */
	struct gw_resolve_req *resolving;
	struct sockaddr_storage *addrs; /* copy, until one of them is connected */
	uint32_t n_addrs;
	struct gw_wheel_item stagger;
	struct gw_tls *tls;
	struct gw_h1p parse;
	uint64_t idle_since_ms;
	uint32_t next_addr, w_piece; /* next address to try; piece under way (0 = head) */
	size_t w_off; /* bytes of it that are out */
	enum gw_err last_err; /* of the attempts so far */
	enum gw_err open_err; /* a failure found inside send, told from the loop */
	const char *open_detail;
	enum up_state state;
	bool is_opening, is_reused, got_bytes, is_all_sent, is_write_broken, is_paused, in_parse, in_open, is_given_up,
	    is_session_saved;
};

struct gw_endpoint {
	struct gw_upstream *up;
	const struct up_backend *via;
	struct gw_endpoint *next; /* in its bucket */
	uint32_t hash;
	char host[256], host_header[272];
	size_t host_n, host_header_n;
	uint16_t port;
	bool is_https, wants_h2, proxy_is_https;
	char proxy[256]; /* its host */
	size_t proxy_n; /* 0: none */
	uint16_t proxy_port;
	struct up_hub *hub; /* libcurl's side (curl_int.h); NULL until needed */
	char *ca_pem; /* copy; NULL: system bundle */
	size_t ca_pem_n;
	struct gw_cidr *allow;
	char *allow_text; /* as described, joined, for comparing */
	size_t allow_text_n;
	uint32_t n_allow, max_connections;
	uint64_t policy;
	struct gw_tls_ctx *tls; /* own, or the upstream's */
	struct gw_tls_session *session;
	struct up_conn *conns, *idle_first, *idle_last;
	struct gw_up_req *queue_first, *queue_last;
	uint32_t n_opening; /* of n_conns: not served a request yet */
	uint32_t n_conns, n_idle, n_reqs; /* n_reqs: requests that point here */
	uint64_t last_used_ms;
};

enum up_phase { UP_PH_QUEUE, UP_PH_CONNECT, UP_PH_SEND /* streamed bodies */, UP_PH_FIRST, UP_PH_BODY, UP_PH_PAUSED };

struct gw_up_req {
	struct gw_upstream *up;
	struct gw_endpoint *ep;
	struct up_conn *conn; /* native; NULL while queued */
	struct up_xfer *xfer; /* libcurl */
	struct gw_up_req *next, *prev; /* queue; or free list by next */
	struct gw_up_req *all_next, *all_prev;
	struct gw_up_ops ops;
	void *ctx;
	struct gw_buf head; /* holds the credential: wiped at the end */
	const struct gw_str *body;
	uint32_t n_body;
	struct gw_up_deadlines deadlines;
	struct gw_up_times times;
	struct gw_wheel_item timer;
	uint64_t phase_due_ms, total_due_ms;
	enum up_phase phase;
	enum gw_err late_err; /* a failure found inside send, told from the loop */
	char detail[128];
	bool is_head_request, is_queued, had_body, is_ended;
	/* a streamed body: what is being written, and what waits behind it */
	bool is_streamed, is_chunked, is_upload_ended, is_room_owed;
	void (*on_room)(void *ctx);
	struct gw_buf sending, waiting;
	struct gw_str piece;
};
enum { UP_UPLOAD_HIGH = 256 << 10, UP_UPLOAD_LOW = 64 << 10, UP_UPLOAD_MAX = 64 << 20 };

enum { UP_BUCKETS = 256, UP_MAX_ENDPOINTS = 4096 };

struct gw_upstream {
	uv_loop_t *loop;
	struct gw_upstream_config cfg;
	struct gw_wheel wheel;
	struct gw_wheel_item sweep;
	struct gw_resolver *resolver;
	struct gw_tls_ctx *system_tls; /* NULL: not needed so far, or no bundle found */
	int bundle_fd; /* the system's authorities, until the first endpoint needs them; -1 */
	struct up_curl *curl; /* NULL until needed */
	struct gw_endpoint *buckets[UP_BUCKETS];
	struct gw_up_req *free_reqs, *all_reqs;
	struct gw_up_stats stats;
	uint32_t n_endpoints, n_free_reqs, n_handles; /* handles libuv has not closed yet */
	bool is_closing;
	void (*on_closed)(void *ctx);
	void *closed_ctx;
	struct gw_up_header views[GW_H1P_HEADERS]; /* of the head being told */
	struct gw_h1p_heads heads; /* of answers whose heads are under way */
	char scratch[UP_SCRATCH]; /* bytes from any socket */
	char plain[UP_SCRATCH]; /* the same, opened */
	char gather[UP_SLICE]; /* head and body pieces of one record; wiped after use */
};

/* upstream.c */
bool up_path_may(struct gw_str path);
bool up_header_may(const struct gw_up_header *h); /* sendable, and not one of those that frame the message */
/* The body's length; false when none is told (no body, or one of unknown length). */
bool up_has_length(const struct gw_up_send *s, uint64_t *length);
void up_req_end(struct gw_up_req *q, enum gw_err err, const char *detail);
void up_req_phase(struct gw_up_req *q, enum up_phase phase);
void up_handle_closed(struct gw_upstream *up);

/* pool.c */
GW_MUST enum gw_err up_pool_take(struct gw_up_req *q, bool must_be_fresh); /* attaches a connection or queues */
void up_pool_give(struct up_conn *c); /* a finished, reusable one */
void up_pool_next(struct gw_endpoint *ep); /* room may have come: serve the queue */
void up_pool_sweep(void *up);
void up_pool_sweep_idle(struct gw_endpoint *ep, uint64_t now_ms);
void up_pool_forget(struct up_conn *c); /* out of all lists */
void up_pool_opened(struct up_conn *c); /* no longer opening */
void up_endpoint_free(struct gw_endpoint *ep);
void up_queue_add(struct gw_up_req *q);
void up_queue_remove(struct gw_up_req *q);

/* h1_client_connect.c */
GW_MUST enum gw_err up_conn_open(struct gw_endpoint *ep, struct gw_up_req *q, struct up_conn **out);
void up_conn_stop_tries(struct up_conn *c, const struct up_sock *but);
void up_sock_close(struct up_sock *s);

/* h1_client.c */
void up_conn_ready(struct up_conn *c); /* TCP is up: TLS, then the request */
void up_conn_serve(struct up_conn *c); /* connected or pooled: writes the request */
void up_conn_give_up(struct up_conn *c); /* closes at once; c may be freed */
/* Closes and ends its request with err. */
void up_conn_fail(struct up_conn *c, enum gw_err err, const char *detail);
void up_conn_pause(struct up_conn *c, bool is_paused);
void up_conn_write(struct up_conn *c); /* what there is to write, as far as the socket takes it */

/* curl_hub.c */
void up_curl_close(struct gw_upstream *up);

/* h1_client_upload.c */
/* The connection has written all that it knows of: is there more? */
bool up_upload_next(struct up_conn *c);
void up_upload_tell_room(struct up_conn *c);
bool up_upload_is_waiting(const struct gw_up_req *q);
bool up_upload_write(struct gw_up_req *q, struct gw_str bytes);
void up_upload_end(struct gw_up_req *q);
