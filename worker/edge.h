#pragma once
#include "core/config_types.h"
#include "core/cors.h"
#include "lib/arena.h"
#include "net/client_addr.h"
#include "net/h1_server.h"

/* The edge of the data plane, from settings: which proxies are believed about the client's address, which web pages may
 * call. Copied out of the image at each swap. */
struct gw_worker;
enum { GW_EDGE_CIDRS = 64 };
struct gw_edge {
	struct gw_arena memory; /* of the lists below */
	struct gw_cors cors;
	struct gw_cidr trusted[GW_EDGE_CIDRS];
	uint32_t n_trusted;
};
void gw_edge_settings(struct gw_worker *w, const struct gw_cf_settings *s);
/* Address of the client, as text that lives as long as the connection or the arena. */
struct gw_str gw_edge_client(const struct gw_worker *w, const struct gw_h1_conn *c, const struct gw_h1_request *rq,
			     struct gw_arena *a);
/* A browser asks whether a page may call: answered here when the page may. */
bool gw_edge_preflight(struct gw_worker *w, struct gw_h1_conn *c, const struct gw_h1_request *rq);
void gw_edge_extra(const struct gw_worker *w, const struct gw_h1_request *rq, struct gw_buf *lines);
