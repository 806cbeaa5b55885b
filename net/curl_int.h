#pragma once
#include "net/curl_lib.h"
#include "net/upstream_int.h"

/* What the files of the libcurl backend share:
 *
 *   curl_lib.c     the library itself
 *   curl_client.c  requests: what upstream.c asks of a backend, names to addresses, the queue
 *   curl_hub.c     one multi per endpoint: sockets, timers, what libcurl may only be told between its calls, what has ended
 *   curl_setup.c   options
 *   curl_reply.c   what libcurl calls: sockets, head, body, upload
 *   curl_error.c   how it says that something failed, in our rows
 *
 * One multi per endpoint, not one per process: libcurl shares connections and addresses within a multi, and what one provider may reach
 * (its allow_private, its CA, its proxy) another one must not reach by sharing its connections. It also keeps the pools that libcurl
 * walks for every request small.
 *
 * Ownership. A request has one transfer (q->xfer, x->q) from send to its end. A transfer outlives a cancelled request until libcurl can be
 * told: its callbacks run inside libcurl's calls, where it must not be called again. So whatever the gateway wants of libcurl is noted
 * (up_hub_todo) and done by up_hub_run, before libcurl gets its next event: at the latest in the next turn of the loop. */
struct up_hub;

struct up_xfer {
	struct up_hub *hub;
	struct gw_up_req *q; /* NULL: cancelled or failed, libcurl not told yet; or spare */
	CURL *easy;
	struct up_xfer *next, *prev; /* all of the hub; or spare, by next */
	struct up_xfer *todo_next;
	struct gw_resolve_req *resolving;
	struct gw_buf text; /* URL, method, header lines, the proxy's authorization, each NUL-terminated; wiped */
	struct gw_buf nodes; /* struct curl_slist, as many as lines */
	struct curl_slist proxy_nodes[2], resolve_node;
	struct gw_buf head; /* names and values of the answer */
	struct {
		uint32_t at, name_n, value_n;
	} rows[GW_H1P_HEADERS];
	uint32_t n_rows, n_interim, n_trailer_bytes;
	int status;
	int64_t content_length;
	uint32_t url_at, method_at, proxy_at, n_lines; /* in text */
	int64_t upload; /* bytes to send, -1 unknown, -2 none */
	uint64_t uploaded;
	uint32_t piece; /* of a whole body */
	size_t off;
	enum gw_err err; /* our own reason to end it */
	const char *why;
	uint32_t n_sockets; /* opened for it */
	bool is_counted; /* one of hub->n_active */
	bool is_ready, is_added, is_connected, is_all_sent, has_head, has_te, is_fresh, is_head_only, was_denied;
	bool is_paused /* as the gateway wants it */, is_recv_held, is_send_held /* as libcurl has been told */;
	bool wants_resume, is_todo;
};

struct up_poll {
	uv_poll_t handle;
	struct up_hub *hub; /* NULL: closing */
	struct gw_upstream *up;
	struct up_poll *next, *prev;
	curl_socket_t fd;
};

struct up_hub {
	struct gw_endpoint *ep;
	CURLM *multi;
	CURLSH *share; /* TLS sessions */
	struct up_hub *kick_next;
	struct gw_wheel_item timer; /* libcurl's */
	struct up_poll *polls;
	struct up_xfer *xfers, *spare, *todo_first, *todo_last;
	struct gw_buf addresses; /* as libcurl was told last */
	uint32_t n_active, max_active, n_spare, n_connected;
	uint64_t quiet_since_ms;
	bool is_kicked, is_due, needs_poke;
};

/* Of the process. */
struct up_curl {
	uv_idle_t kick;
	struct gw_upstream *up;
	struct up_hub *kicked;
};

enum { UP_STREAMS = 100 /* of one h2 connection: libcurl's and most servers' limit */, UP_SPARE_XFERS = 32 };

/* curl_client.c */
void up_curl_begin(struct up_xfer *x);
void up_curl_next(struct up_hub *hub); /* room may have come: serve the queue */
void up_curl_end(struct up_xfer *x, enum gw_err err,
		 const char *detail); /* the transfer is off libcurl; ends its request */

/* curl_hub.c */
GW_MUST enum gw_err up_hub_new(struct gw_endpoint *ep, struct up_hub **out);
void up_hub_free(struct up_hub *hub);
void up_hub_todo(struct up_xfer *x);
struct up_xfer *up_hub_xfer(struct up_hub *hub); /* a blank one; NULL: no memory */
void up_hub_release(struct up_xfer *x); /* not with libcurl any more */

/* curl_setup.c */
GW_MUST enum gw_err up_curl_write_text(struct up_xfer *x, const struct gw_up_send *s);
GW_MUST enum gw_err up_curl_options(struct up_xfer *x); /* once per handle */
GW_MUST enum gw_err up_curl_set(struct up_xfer *x); /* per request */

/* curl_reply.c */
size_t up_curl_on_header(char *p, size_t size, size_t n, void *x);
size_t up_curl_on_body(char *p, size_t size, size_t n, void *x);
size_t up_curl_on_read(char *p, size_t size, size_t n, void *x);
int up_curl_on_seek(void *x, curl_off_t off, int origin);
int up_curl_on_request(void *x, char *ip, char *local_ip, int port, int local_port);
curl_socket_t up_curl_on_socket(void *x, curlsocktype purpose, struct curl_sockaddr *a);
int up_curl_on_close(void *hub, curl_socket_t fd);
void up_hub_forget_fd(struct up_hub *hub, curl_socket_t fd);

/* curl_error.c */
enum gw_err up_curl_error(const struct up_xfer *x, CURLcode code, const char **detail);
