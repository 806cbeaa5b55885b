#pragma once
#include <uv.h>
#include "lib/err.h"
#include "lib/str.h"
#include "net/egress.h"

/* The one resolver (c-ares on the loop, no threads): answers are cached for their TTL (30-300 s), at most 16 addresses,
 * IPv4 and IPv6; failures are cached 1 s; concurrent questions for a name share one look-up. Literals answer at once. */
struct gw_resolver;
GW_MUST enum gw_err gw_resolver_new(uv_loop_t *loop, struct gw_resolver **out);
void gw_resolver_close(struct gw_resolver *r);
/* Ask these servers ("127.0.0.1:5353,[::1]:53") instead of those of resolv.conf. */
GW_MUST enum gw_err gw_resolver_servers(struct gw_resolver *r, const char *csv);
struct gw_addrs {
	struct sockaddr_storage a[16];
	uint32_t n;
};
typedef void gw_resolve_fn(void *ctx, enum gw_err err, const struct gw_addrs *addrs);
struct gw_resolve_req;
/* fn may run before this returns (cache, literal): then *out is NULL. Port is set in the addresses. */
void gw_resolve(struct gw_resolver *r, struct gw_str host, uint16_t port, uint64_t timeout_ms, gw_resolve_fn *fn,
		void *ctx, struct gw_resolve_req **out);
void gw_resolve_cancel(struct gw_resolve_req *q); /* fn is not called */
