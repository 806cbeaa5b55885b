#pragma once
#include <uv.h>
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* Requests to providers: one interface, two backends. libcurl takes the endpoints that want HTTP/2 or a forward proxy, native HTTP/1.1 all
 * others; both keep the same promises. Native: libuv + llhttp + net/tls, one pool of connections per endpoint with LIFO free list (O(1) whatever the number of open streams), a queue with a
 * deadline when max_connections is reached, session reuse, addresses from net/resolve, every address checked by net/egress
 * before connect. No redirects, no proxies from the environment, no cookies, `Accept-Encoding: identity`.
 * Deadlines are kept by a timer wheel, not a uv_timer per request. */
struct gw_upstream; /* per process */
struct
    gw_endpoint; /* where requests go: a pool; found by the hash of its description, kept while used or recently used */

struct gw_endpoint_desc {
	struct gw_str host; /* name or literal */
	uint16_t port;
	bool is_https;
	struct gw_str ca_pem; /* NIL: system bundle */
	const struct gw_str *allow_private; /* CIDRs that this provider may reach although they are private */
	uint32_t n_allow_private;
	uint32_t max_connections; /* 0 = default 1024 */
	uint64_t policy; /* raised when rules change: another pool */
	/* These go by libcurl: HTTP/2 where TLS agrees on it (else 1.1), and a forward proxy: CONNECT to https hosts, whole URLs for http.
	 * With a proxy it is the proxy's addresses that are checked, and the host as far as it is an address; ca_pem is for both. */
	bool wants_h2, proxy_is_https;
	struct gw_str proxy_host; /* NIL: none */
	uint16_t proxy_port;
};
struct gw_upstream_config {
	struct gw_str system_ca_path; /* NIL: usual places */
	uint64_t idle_ms; /* pooled connections older than this are closed: 60 s */
	uint32_t max_idle_per_endpoint;
	bool has_libcurl; /* load it now: the process locks itself down afterwards */
};
GW_MUST enum gw_err gw_upstream_new(uv_loop_t *loop, const struct gw_upstream_config *cfg, struct gw_upstream **out);
/* Cancels what is under way (on_end is not called), closes pools; on_closed when the loop has nothing left of it. Not from
 * inside a callback of a request. */
void gw_upstream_close(struct gw_upstream *u, void (*on_closed)(void *ctx), void *ctx);
/* GW_E_INVALID: host or a CIDR cannot be read; GW_E_UP_DENIED: a port that never speaks HTTP; GW_E_NOMEM. Valid until the next call of gw_upstream_* that may drop idle endpoints: pass it to
 * gw_upstream_send in the same loop turn. */
GW_MUST enum gw_err gw_upstream_endpoint(struct gw_upstream *u, const struct gw_endpoint_desc *d,
					 struct gw_endpoint **out);

struct gw_up_header {
	struct gw_str name, value;
};
struct gw_up_reply {
	int status;
	const struct gw_up_header *headers; /* views, valid during on_head only */
	uint32_t n_headers;
	int64_t content_length; /* -1 unknown */
	bool is_reused; /* came over a pooled connection */
};
struct gw_up_deadlines {
	uint64_t queue_ms, connect_ms, first_byte_ms, idle_ms, total_ms;
}; /* 0 = default: 5 s, 5 s, 120 s, 60 s, 30 min */
struct gw_up_times {
	uint64_t queued_ns, connected_ns, sent_ns, head_ns, first_body_ns, end_ns;
}; /* monotonic, 0 = not reached */

struct gw_up_req;
struct gw_up_ops {
	void (*on_head)(void *ctx, struct gw_up_req *q, const struct gw_up_reply *r);
	void (*on_body)(void *ctx, struct gw_up_req *q, struct gw_str piece); /* de-chunked; view during the call */
	/* Exactly once: GW_OK = complete answer; else UP_* (UP_STALE: reused connection closed before any reply byte; the caller
	 * may send once more). The request is gone after it. */
	void (*on_end)(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail);
};
struct gw_up_send {
	struct gw_endpoint *endpoint;
	struct gw_str method, path; /* path with query, encoded */
	/* Host, Content-Length, Accept-Encoding are added here; these, hop-by-hop ones, CR, LF and NUL are refused. Names and values are copied inside
	 * gw_upstream_send; the copy is wiped once it is sent (it holds the credential). */
	const struct gw_up_header *headers;
	uint32_t n_headers;
	const struct gw_str *body; /* pieces, sent in order; must stay valid until on_end */
	uint32_t n_body;
	struct gw_up_deadlines deadlines;
	struct gw_str
	    proxy_auth; /* "user:password" for the endpoint's proxy; NIL: none. Copied and wiped like the headers */
	bool must_be_fresh; /* do not take a pooled connection (retry after UP_STALE) */
	/* The body comes later, by gw_upstream_write; `body` is empty then. stream_length: its bytes, -1 = not known (chunked).
	 * on_room (from the loop) says when: first as soon as there is a connection, so that what fails before has taken nothing,
	 * then whenever the queue has room again after a write that said false. It must not end the request. Never on a pooled
	 * connection. */
	bool is_streamed;
	int64_t stream_length;
	void (*on_room)(void *ctx);
};
/* Starts; *out is set before any callback can run (callbacks come from the loop, never from inside this call). An error
 * here (GW_E_INVALID: method, path or headers are not sendable; GW_E_NOMEM; GW_E_DRAINING) means: nothing was started. */
GW_MUST enum gw_err gw_upstream_send(struct gw_upstream *u, const struct gw_up_send *s, const struct gw_up_ops *ops,
				     void *ctx, struct gw_up_req **out);
/* More of a streamed body: copied, sent as the provider takes it. False: the queue is above 256 KiB, wait for on_room. An answer may
 * come before all is written. */
bool gw_upstream_write(struct gw_up_req *q, struct gw_str bytes);
void gw_upstream_write_end(struct gw_up_req *q);
/* Client gone: closes the connection at once; on_end is NOT called. */
void gw_upstream_cancel(struct gw_up_req *q);
/* Stop reading; stops the first-byte and idle deadlines too (not the total). What has been read already still comes: at
 * most 64 KiB. */
void gw_upstream_pause(struct gw_up_req *q);
void gw_upstream_resume(struct gw_up_req *q);
const struct gw_up_times *gw_upstream_times(const struct gw_up_req *q);
struct gw_up_stats {
	uint64_t connects, reused, handshakes, resumed, denied;
	uint64_t open, idle, queued; /* now */
};
const struct gw_up_stats *gw_upstream_stats(const struct gw_upstream *u);
/* Gives back what requests of a past peak have left behind. */
void gw_upstream_trim(struct gw_upstream *u);
