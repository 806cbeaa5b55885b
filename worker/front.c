/* Where HTTP meets the gateway: the server's callbacks. Health answers are given here; everything with a key becomes a request. */
#include "core/error_body.h"
#include "core/key.h"
#include "lib/sys/clock.h"
#include "worker/api.h"
#include "worker/talk.h"

/* Above this a body is only read for a key that exists, so that strangers cannot make us hold much. */
enum { STRANGER_BODY_MAX = 64 << 10 };

static struct gw_str method_text(enum gw_h1_method m)
{
	static const char *const names[] = {
		[GW_H1_GET] = "GET",     [GW_H1_HEAD] = "HEAD",     [GW_H1_POST] = "POST",       [GW_H1_PUT] = "PUT",
		[GW_H1_PATCH] = "PATCH", [GW_H1_DELETE] = "DELETE", [GW_H1_OPTIONS] = "OPTIONS",
	};
	return gw_str_z(names[m]);
}

static enum gw_err token_of(const struct gw_h1_request *rq, const struct gw_endpoint_info *ep,
			    char room[GW_KEY_QUERY_BYTES], struct gw_str *token)
{
	struct gw_key_headers h = {
		gw_h1_header(rq, GW_LIT("authorization"), NULL),
		gw_h1_header(rq, GW_LIT("x-api-key"), NULL),
		gw_h1_header(rq, GW_LIT("api-key"), NULL),
		gw_h1_header(rq, GW_LIT("x-goog-api-key"), NULL),
		gw_endpoint_takes_query_key(ep) ? gw_key_of_query(rq->query, room) : GW_NIL,
	};
	return gw_key_from_headers(&h, token);
}

static enum gw_err key_exists(struct gw_worker *w, const struct gw_h1_request *rq, const struct gw_endpoint_info *ep)
{
	char room[GW_KEY_QUERY_BYTES];
	struct gw_memo *who = NULL;
	struct gw_str token;
	enum gw_err e = token_of(rq, ep, room, &token);

	if (e)
		return e;
	if (!w->pepper)
		return GW_E_NOT_READY;
	e = gw_memo_who(w, token, gw_unix_recent_us(), &who);
	if (who)
		gw_memo_unref(w, who);
	return e == GW_E_BAD_KEY || e == GW_E_CORRUPT
		   ? e
		   : GW_OK; /* the auth step says what else is wrong with it, and leaves a record */
}

static enum gw_err on_head(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq, size_t *body_max)
{
	struct gw_worker *w = ctx;
	const struct gw_endpoint_info *ep;
	struct gw_str arg, allow;
	enum gw_err e = gw_endpoint_find(method_text(rq->method), rq->path, &ep, &arg, &allow);

	*body_max = 0;
	if (e == GW_E_BAD_METHOD && rq->method == GW_H1_OPTIONS && gw_edge_preflight(w, c, rq))
		return GW_OK;
	if (e)
		return e;
	if (ep->id == GW_EP_API)
		e = gw_api_admit(w, c, rq, ep, body_max);
	if (e || ep->body == GW_EPB_NO)
		return e;
	if (ep->body != GW_EPB_JSON)
		return key_exists(w, rq, ep); /* strangers send nothing of this */
	*body_max = w->limits.max_body_bytes;
	if (rq->content_length >= 0 && (uint64_t)rq->content_length > *body_max)
		return GW_E_TOO_BIG;
	if (rq->content_length < 0 || rq->content_length > STRANGER_BODY_MAX)
		e = key_exists(w, rq, ep); /* on_bad counts */
	return e;
}

static void reply_text(struct gw_h1_conn *c, int status, struct gw_str body)
{
	struct gw_h1_answer a = { .status = status,
				  .content_type = GW_LIT("application/json"),
				  .content_length = (int64_t)body.n };

	gw_h1_reply(c, &a, body);
}

/* Endpoints that need no key and leave no record. */
static bool answer_open(struct gw_worker *w, struct gw_h1_conn *c, const struct gw_endpoint_info *ep)
{
	switch (ep->id) {
	case GW_EP_ROOT:
		reply_text(c, 200, GW_LIT("{\"name\":\"llmgw\"}\n"));
		return true;
	case GW_EP_LIVEZ:
		reply_text(c, 200, GW_LIT("{\"status\":\"alive\"}\n"));
		return true;
	case GW_EP_READYZ:
		if (w->is_ready && !w->is_draining)
			reply_text(c, 200, GW_LIT("{\"status\":\"ready\"}\n"));
		else
			reply_text(c, 503, GW_LIT("{\"status\":\"not ready\"}\n"));
		return true;
	case GW_EP_NONE:
	case GW_EP_CHAT:
	case GW_EP_API:
	case GW_EP_MODELS:
	case GW_EP_MODEL:
		return false;
	}
	return false;
}

static void on_request(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct gw_worker *w = ctx;
	const struct gw_endpoint_info *ep = NULL;
	struct gw_str arg = GW_NIL, allow;
	struct gw_buf body;
	enum gw_err e = gw_endpoint_find(method_text(rq->method), rq->path, &ep, &arg, &allow);

	GW_REQUIRE(e == GW_OK); /* on_head let it through */
	if (answer_open(w, c, ep))
		return;
	struct gw_req *r = gw_req_new(w, c, rq, ep);
	if (!r) {
		gw_buf_init(&body, 4096);
		gw_error_body(&body, GW_E_NOMEM, GW_NIL, GW_NIL, GW_NIL);
		reply_text(c, gw_err_info(GW_E_NOMEM)->http, gw_buf_view(&body));
		gw_buf_done(&body);
		return;
	}
	r->path_arg = arg;
	gw_h1_set_user(c, r);
	gw_req_run(r);
}

static void on_gone(void *ctx, struct gw_h1_conn *c)
{
	struct gw_req *r = gw_h1_user(c);

	(void)ctx;
	gw_h1_set_user(c, NULL);
	if (r)
		gw_req_gone(r);
}

static void on_drain(void *ctx, struct gw_h1_conn *c)
{
	struct gw_req *r = gw_h1_user(c);

	(void)ctx;
	if (r && r->is_paused && r->at.up) {
		r->is_paused = false;
		gw_upstream_resume(r->at.up);
	}
}

/* The request let go of the connection when it handed its last bytes over. */
static void on_done(void *ctx, struct gw_h1_conn *c)
{
	(void)ctx;
	(void)c;
}

static void on_bad(void *ctx, enum gw_err e, struct gw_str path, struct gw_buf *body)
{
	struct gw_worker *w = ctx;
	struct gw_error_told told;

	gw_error_tell(&told, e, GW_NIL, GW_NIL, GW_NIL);
	gw_dialect_error(gw_endpoint_dialect(path), &told, body);
	if (gw_err_info(e)->http == 401)
		gw_count(&w->page->metric[GW_M_requests_unauthenticated], 1);
	gw_count(&w->page->errors[gw_slot_error_index(e)], 1);
}

/* A piece of a body that is streamed; the request may have ended by now. */
static void on_body(void *ctx, struct gw_h1_conn *c, struct gw_str piece, bool is_end, enum gw_err e)
{
	struct gw_req *r = gw_h1_user(c);

	(void)ctx;
	if (r)
		gw_upload_take(r, piece, is_end, e);
}

static void on_extra(void *ctx, const struct gw_h1_request *rq, struct gw_buf *lines)
{
	gw_edge_extra(ctx, rq, lines);
}

const struct gw_h1_ops gw_front_ops = { on_head, on_request, on_gone, on_drain, on_done, on_bad, on_body, on_extra };
