/* HTTP callbacks of the admin listener, and how answers leave. */
#include <stdlib.h>
#include "admin/admin.h"
#include "core/doc.h"
#include "lib/crypto.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/text.h"
#include "lib/url.h"

enum { BODY_MAX = 32 << 20, ARENA_MAX = 4 << 20, OPEN_MAX = 512 };

static void error_body(struct gw_buf *b, enum gw_err e, struct gw_str message, struct gw_str request_id)
{
	struct gw_json_out w;

	gw_jw_init(&w, b);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("error"));
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "name", gw_str_z(gw_err_info(e)->name));
	gw_jw_kstr(&w, "code", gw_str_z(gw_err_info(e)->code));
	gw_jw_kstr(&w, "message", message.n ? message : gw_str_z(gw_err_info(e)->doc));
	if (request_id.n)
		gw_jw_kstr(&w, "request_id", request_id);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
}

/* 405 with the methods that this path has. */
static void answer_allow(struct gw_h1_conn *c, struct gw_arena *a, struct gw_str path)
{
	struct gw_buf allow, body;

	gw_buf_init(&allow, 256);
	gw_buf_init(&body, 4096);
	gw_adm_route_allow(a, path, &allow);
	error_body(&body, GW_E_BAD_METHOD, gw_arena_printf(a, "This path takes %.*s.", GW_FMT(gw_buf_view(&allow))),
		   GW_NIL);
	const struct gw_h1_header h = { GW_LIT("allow"), gw_buf_view(&allow) };
	struct gw_h1_answer an = { .status = 405,
				   .headers = &h,
				   .n_headers = 1,
				   .content_type = GW_LIT("application/json"),
				   .content_length = (int64_t)body.n };

	gw_h1_reply(c, &an, gw_buf_view(&body));
	gw_buf_done(&allow);
	gw_buf_done(&body);
}

static enum gw_err on_head(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq, size_t *body_max)
{
	const struct gw_adm_route *route;
	struct gw_str kind, id;
	struct gw_arena a;
	char block[1024];
	enum gw_err e;

	(void)ctx;
	(void)c;
	gw_arena_init(&a, block, sizeof block, 8192);
	e = gw_adm_route_find(&a, rq->method, rq->path, &route, &kind, &id);
	if (e == GW_E_BAD_METHOD) {
		answer_allow(c, &a, rq->path);
		*body_max = 0;
		gw_arena_done(&a);
		return GW_OK;
	}
	gw_arena_done(&a);
	if (e)
		return e;
	*body_max = route->body == GW_ADM_BODY_NONE ? 4096 : BODY_MAX;
	return GW_OK;
}

static struct gw_adm_req *make(struct gw_admin *ad, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct gw_adm_req *q;
	uint8_t id[16], random[10];

	if (ad->n_open >= OPEN_MAX || !(q = calloc(1, sizeof *q)))
		return NULL;
	ad->n_open++;
	q->ad = ad;
	q->conn = c;
	q->rq = rq;
	q->body = rq->body;
	gw_arena_init(&q->arena, q->block, sizeof q->block, ARENA_MAX);
	gw_random(random, sizeof random);
	gw_uuid7_make(&ad->uuid, (uint64_t)gw_unix_us() / 1000, random, id);
	gw_uuid_print(id, q->request_id);
	gw_h1_set_user(c, q);
	return q;
}

/* If-Match: "7" or 7. */
static void read_if_match(struct gw_adm_req *q)
{
	struct gw_str v = gw_str_trim(gw_h1_header(q->rq, GW_LIT("if-match"), NULL));

	if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
		v = gw_str(v.p + 1, v.n - 2);
	if (!gw_str_u64(v, &q->if_match))
		q->if_match = 0;
}

/* Only JSON and YAML bodies: what a browser's form can send is refused. */
static bool is_body_type_good(const struct gw_adm_req *q)
{
	struct gw_str t = gw_h1_header(q->rq, GW_LIT("content-type"), NULL);

	if (q->route->body == GW_ADM_BODY_NONE || !q->body.n)
		return true;
	t = gw_str_trim(gw_str(t.p, gw_str_find(t, ';')));
	return gw_str_ieq(t, GW_LIT("application/json")) || gw_str_ieq(t, GW_LIT("application/merge-patch+json")) ||
	       gw_str_ieq(t, GW_LIT("application/yaml")) || gw_str_ieq(t, GW_LIT("application/x-yaml"));
}

/* A header that promises what a call does not keep is refused, not passed over. */
static bool is_once_good(const struct gw_adm_req *q)
{
	return gw_doc_is_once(q->route->name) || !gw_h1_header(q->rq, GW_LIT("idempotency-key"), NULL).n;
}

static void on_request(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct gw_admin *ad = ctx;
	struct gw_adm_req *q = make(ad, c, rq);
	enum gw_err e;

	if (!q) {
		struct gw_h1_answer a = { .status = 503,
					  .content_type = GW_LIT("application/json"),
					  .content_length = 2 };

		gw_h1_reply(c, &a, GW_LIT("{}"));
		return;
	}
	e = gw_adm_route_find(&q->arena, rq->method, rq->path, &q->route, &q->kind_text, &q->id);
	GW_REQUIRE(e == GW_OK); /* on_head let it through */
	if (q->kind_text.n && !gw_cf_kind_by_plural(q->kind_text, &q->kind))
		gw_adm_fail(q, GW_E_NO_ROUTE, GW_NIL);
	else if (!is_body_type_good(q))
		gw_adm_fail(q, GW_E_BAD_MEDIA, GW_LIT("Send the body as application/json (or application/yaml)."));
	else if (!is_once_good(q))
		gw_adm_fail(q, GW_E_INVALID,
			    GW_LIT("This call does not honour Idempotency-Key: sent twice it is done twice. Leave the "
				   "header out."));
	else if (q->route->roles == GW_ADM_NONE)
		q->route->run(q);
	else
		gw_adm_authenticate(q);
}

void gw_adm_authorized(struct gw_adm_req *q)
{
	read_if_match(q);
	q->route->run(q);
}

/* The request ends when what it waits for answers; until then only its connection is gone. */
static void on_gone(void *ctx, struct gw_h1_conn *c)
{
	struct gw_adm_req *q = gw_h1_user(c);

	(void)ctx;
	gw_h1_set_user(c, NULL);
	if (q) {
		q->conn = NULL;
		q->rq = NULL;
		q->body = GW_NIL;
	}
	gw_h1_reply_cut(c);
}

static void on_drain(void *ctx, struct gw_h1_conn *c)
{
	(void)ctx;
	(void)c;
}

static void on_done(void *ctx, struct gw_h1_conn *c)
{
	(void)ctx;
	(void)c;
}

static void on_bad(void *ctx, enum gw_err e, struct gw_str path, struct gw_buf *body)
{
	(void)ctx;
	(void)path;
	error_body(body, e, GW_NIL, GW_NIL);
}

const struct gw_h1_ops gw_adm_ops = { on_head, on_request, on_gone, on_drain, on_done, on_bad, NULL, NULL };

void gw_adm_end(struct gw_adm_req *q)
{
	if (q->conn)
		gw_h1_set_user(q->conn, NULL);
	q->ad->n_open--;
	gw_arena_done(&q->arena);
	free(q);
}

void gw_adm_answer(struct gw_adm_req *q, int status, struct gw_str type, struct gw_str body, uint64_t version,
		   uint64_t generation)
{
	struct gw_h1_header h[6];
	uint32_t n = 0;

	if (!q->conn) {
		gw_adm_end(q);
		return;
	}
	h[n++] = (struct gw_h1_header){ GW_LIT("x-request-id"), gw_str(q->request_id, sizeof q->request_id) };
	h[n++] = (struct gw_h1_header){ GW_LIT("x-content-type-options"), GW_LIT("nosniff") };
	h[n++] = (struct gw_h1_header){ GW_LIT("cache-control"), GW_LIT("no-store") };
	if (version)
		h[n++] = (struct gw_h1_header){ GW_LIT("etag"),
						gw_arena_printf(&q->arena, "\"%llu\"", (unsigned long long)version) };
	if (generation)
		h[n++] = (struct gw_h1_header){ GW_LIT("x-llmgw-generation"),
						gw_arena_printf(&q->arena, "%llu", (unsigned long long)generation) };
	if (status == 429)
		h[n++] = (struct gw_h1_header){ GW_LIT("retry-after"),
						gw_arena_printf(&q->arena, "%llu",
								(unsigned long long)(q->retry_ms + 999) / 1000) };
	struct gw_h1_answer a = {
		.status = status, .headers = h, .n_headers = n, .content_type = type, .content_length = (int64_t)body.n
	};
	struct gw_h1_conn *c = q->conn;
	gw_h1_set_user(c, NULL);
	gw_h1_reply(c, &a, body);
	q->conn = NULL;
	gw_adm_end(q);
}

void gw_adm_fail(struct gw_adm_req *q, enum gw_err e, struct gw_str message)
{
	struct gw_buf b;

	if (q->who.key.n)
		gw_adm_audit_refused(q, e, gw_err_info(e)->http);
	gw_buf_init(&b, 16384);
	error_body(&b, e, message, gw_str(q->request_id, sizeof q->request_id));
	gw_adm_answer(q, gw_err_info(e)->http, GW_LIT("application/json"), gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}

bool gw_adm_param(struct gw_adm_req *q, const char *name, struct gw_str *out)
{
	struct gw_str raw;
	struct gw_buf b;
	bool ok;

	if (!q->rq || !gw_query_get(q->rq->query, gw_str_z(name), &raw))
		return false;
	gw_buf_init(&b, 8192);
	ok = gw_url_decode(&b, raw) && !b.err;
	if (ok)
		*out = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return ok && out->p;
}
