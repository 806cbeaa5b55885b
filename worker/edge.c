/* The data plane's edge: clients behind proxies, pages in browsers. Both are off by default and then cost a comparison. */
#include "worker/edge.h"

#include <stdio.h>

#include "core/endpoint.h"
#include "lib/sys/diag.h"
#include "worker/worker.h"

enum { MEMORY = 256 << 10, LIST_BYTES = 8 << 10 };

static uint32_t read_cidrs(const struct gw_strs *from, struct gw_cidr out[GW_EDGE_CIDRS])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < from->n && n < GW_EDGE_CIDRS; i++)
		n += gw_cidr_read(from->v[i], &out[n]) == GW_OK;
	return n;
}

static const struct gw_str *copy_list(struct gw_arena *a, const struct gw_strs *from, uint32_t *n)
{
	struct gw_str *v = gw_alloc(a, from->n * sizeof(*v) + 1);

	*n = 0;
	for (uint32_t i = 0; v && i < from->n; i++) {
		v[i] = gw_arena_str(a, from->v[i]);
		if (!v[i].p)
			break;
		*n = i + 1;
	}
	return v;
}

void gw_edge_settings(struct gw_worker *w, const struct gw_cf_settings *s)
{
	struct gw_cidr proxies[GW_EDGE_CIDRS];
	uint32_t n_proxies = read_cidrs(&s->proxy_protocol_from, proxies);
	struct gw_edge *e = &w->edge;

	gw_arena_done(&e->memory);
	gw_arena_init(&e->memory, NULL, 0, MEMORY);
	e->cors = (struct gw_cors){ .max_age_s = s->cors_max_age / 1000 };
	e->cors.origins = copy_list(&e->memory, &s->cors_origins, &e->cors.n_origins);
	e->cors.headers = copy_list(&e->memory, &s->cors_headers, &e->cors.n_headers);
	e->n_trusted = read_cidrs(&s->trusted_proxies, e->trusted);
	if (gw_h1_set_proxies(w->server, proxies, n_proxies, e->trusted, e->n_trusted))
		gw_log_slow(GW_ERROR, "no memory for the list of proxies: the one before stays in force");
}

struct gw_str gw_edge_client(const struct gw_worker *w, const struct gw_h1_conn *c, const struct gw_h1_request *rq,
			     struct gw_arena *a)
{
	const struct gw_edge *e = &w->edge;
	const uint8_t *peer = e->n_trusted ? gw_h1_addr(c) : NULL;
	char text[GW_ADDR_TEXT];
	uint8_t addr[16];
	struct gw_str s;

	if (!peer || !gw_addr_in(peer, e->trusted, e->n_trusted))
		return gw_h1_peer(c);
	memcpy(addr, peer, sizeof(addr));
	for (uint32_t i = rq->n_headers; i-- > 0;) { /* the last line was written by the nearest proxy */
		if (gw_str_ieq(rq->headers[i].name, GW_LIT("x-forwarded-for")) &&
		    !gw_addr_forwarded(rq->headers[i].value, e->trusted, e->n_trusted, addr))
			break;
	}
	s = gw_arena_str(a, gw_str(text, gw_addr_print(addr, text)));
	return s.p ? s : gw_h1_peer(c);
}

bool gw_edge_preflight(struct gw_worker *w, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct gw_str origin = gw_h1_header(rq, GW_LIT("origin"), NULL), arg, allow;
	struct gw_str method = gw_h1_header(rq, GW_LIT("access-control-request-method"), NULL);
	struct gw_str asked = gw_h1_header(rq, GW_LIT("access-control-request-headers"), NULL);
	const struct gw_endpoint_info *ep;
	char age[24];
	struct gw_buf list;

	if (method.n == 0 || !gw_cors_may(&w->edge.cors, origin) ||
	    gw_endpoint_find(method, rq->path, &ep, &arg, &allow) != GW_OK)
		return false;
	gw_buf_init(&list, LIST_BYTES);
	gw_cors_put_allowed(&w->edge.cors, asked, &list);
	int n = snprintf(age, sizeof age, "%llu", (unsigned long long)w->edge.cors.max_age_s);
	struct gw_h1_header h[] = {
		{ GW_LIT("access-control-allow-methods"), GW_LIT("GET, HEAD, POST, DELETE, OPTIONS") },
		{ GW_LIT("access-control-max-age"), gw_str(age, (size_t)n) },
		{ GW_LIT("access-control-allow-headers"), gw_buf_view(&list) },
	};
	struct gw_h1_answer a = { .status = 204, .headers = h, .n_headers = list.n ? 3 : 2 };

	gw_h1_reply(c, &a, GW_NIL);
	gw_buf_done(&list);
	return true;
}

void gw_edge_extra(const struct gw_worker *w, const struct gw_h1_request *rq, struct gw_buf *lines)
{
	if (w->edge.cors.n_origins)
		gw_cors_put(&w->edge.cors, gw_h1_header(rq, GW_LIT("origin"), NULL), lines);
}
