/* One call to a deployment: lease the credential, send the smallest request of the provider's dialect (core/probe_call.h), judge the answer.
 * A probe by listing models costs nothing at the provider; where it has no such list (404, 405) one token is asked for instead. */
#include <stdlib.h>
#include "agent/agent.h"
#include "core/auth.h"
#include "core/error_body.h"
#include "core/probe_call.h"
#include "lib/json_scan.h"
#include "lib/sys/clock.h"

enum { ARENA = 96 << 10, BODY_MAX = 32 << 10, LEASE_MS = 15000, PROBE_MS = 10000, PROBE_MODELS = 0, PROBE_NONE = 2 };

struct probe {
	struct gw_agent *ag;
	gw_ag_probe_fn *fn;
	void *ctx;
	struct gw_arena arena;
	struct gw_plan plan;
	struct gw_secret *secret, *proxy_secret;
	struct gw_up_req *up;
	struct gw_buf reply;
	struct gw_probe_call call;
	bool is_chat;
	int status;
	int64_t skew_s;
	struct gw_str error_type; /* that AWS tells in a header */
	uint64_t begun_ns;
	char block[8192];
};

static void finish(struct probe *p, enum gw_err err, struct gw_str detail, struct gw_str model)
{
	struct gw_ag_result r = { .err = err,
				  .status = p->status,
				  .us = (gw_now_ns() - p->begun_ns) / 1000,
				  .detail = detail,
				  .model = model,
				  .skew_s = p->skew_s };

	p->fn(p->ctx, &r);
	gw_secret_unref(p->secret);
	gw_secret_unref(p->proxy_secret);
	gw_buf_done(&p->reply);
	gw_arena_done(&p->arena);
	p->ag->n_running--;
	free(p);
}

static enum gw_err send_call(struct probe *p);

static void on_head(void *ctx, struct gw_up_req *q, const struct gw_up_reply *r)
{
	struct probe *p = ctx;

	(void)q;
	p->status = r->status;
	p->error_type = GW_NIL;
	for (uint32_t i = 0; i < r->n_headers; i++) {
		int64_t at;

		if (gw_str_ieq(r->headers[i].name, GW_LIT("x-amzn-errortype")))
			p->error_type = gw_arena_str(&p->arena, r->headers[i].value);
		if (gw_str_ieq(r->headers[i].name, GW_LIT("date")) && gw_http_date_read(r->headers[i].value, &at))
			p->skew_s = at - gw_unix_us() / 1000000;
	}
}

static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	struct probe *p = ctx;
	size_t room = BODY_MAX - gw_buf_len(&p->reply);

	(void)q;
	gw_buf_put(&p->reply, piece.p, piece.n < room ? piece.n : room);
}

static void judge_reply(struct probe *p)
{
	struct gw_str secrets[GW_AUTH_PARTS], body = gw_buf_view(&p->reply);
	static const struct gw_scan_node tree[] = { GW_SCAN_NODE("", 1, 2, -1), GW_SCAN_NODE("model", 0, 0, 0),
						    GW_SCAN_NODE("modelVersion", 0, 0, 1) };
	struct gw_upstream_error ue = { 0 };
	struct gw_scan_value model[2] = { 0 };
	struct gw_json_scan scan;

	if (p->status >= 200 && p->status < 300) {
		gw_json_scan_init(&scan, tree, model, 2);
		gw_json_scan_feed(&scan, body.p, body.n);
		if (scan.is_broken)
			finish(p, GW_E_UP_GARBLED, GW_LIT("The answer is not JSON: is the base URL right?"), GW_NIL);
		else
			finish(p, GW_OK, GW_NIL,
			       gw_arena_str(&p->arena, gw_scan_str(gw_scan_str(&model[0]).n ? &model[0] : &model[1])));
		return;
	}
	if (p->status < 400) {
		finish(p, GW_E_UP_REDIRECT, GW_LIT("The provider answers with a redirect: correct the base URL."),
		       GW_NIL);
		return;
	}
	struct gw_upstream_reply told = { .status = p->status,
					  .body = body,
					  .error_type = p->error_type,
					  .secrets = secrets,
					  .n_secrets = gw_auth_secret_parts(
					      p->plan.candidates[0].auth,
					      p->secret ? gw_secret_expose(p->secret) : GW_NIL, secrets) };
	gw_upstream_error_take(&p->arena, &told, &ue);
	finish(p, ue.err ? ue.err : GW_E_UP_SERVER, ue.message, GW_NIL);
}

static void on_end(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail)
{
	struct probe *p = ctx;

	(void)q;
	p->up = NULL;
	if (err) {
		finish(p, err, gw_scrub(&p->arena, detail, NULL, 0), GW_NIL);
		return;
	}
	if (!p->call.is_chat && (p->status == 404 || p->status == 405)) {
		p->is_chat = true;
		gw_buf_clear(&p->reply, BODY_MAX);
		enum gw_err e = send_call(p);
		if (e)
			finish(p, e, GW_NIL, GW_NIL);
		return;
	}
	judge_reply(p);
}

static const struct gw_up_ops ops = { on_head, on_body, on_end };

static enum gw_err endpoint_of(struct probe *p, const struct gw_candidate *c, struct gw_endpoint **out)
{
	struct gw_endpoint_desc d = { .host = c->host,
				      .port = c->port,
				      .is_https = c->is_https,
				      .ca_pem = c->ca_pem,
				      .allow_private = c->allow_private.v,
				      .n_allow_private = c->allow_private.n,
				      .max_connections = 8,
				      .policy = c->policy,
				      .wants_h2 = c->wants_h2,
				      .proxy_host = c->proxy_host,
				      .proxy_port = c->proxy_port,
				      .proxy_is_https = c->proxy_is_https };

	return gw_upstream_endpoint(p->ag->upstream, &d, out);
}

/* All headers of the call, those that carry the key too: they may depend on the others. */
static enum gw_err headers_of(struct probe *p, struct gw_up_send *s, struct gw_auth_add *add, char room[GW_AUTH_ROOM],
			      struct gw_up_header *h)
{
	const struct gw_auth_header plain[] = {
		{ GW_LIT("content-type"), GW_LIT("application/json") },
		{ GW_LIT("user-agent"), GW_LIT("llmgw/" LLMGW_VERSION " probe") },
		{ p->call.header, p->call.header_value },
	};
	const struct gw_candidate *c = &p->plan.candidates[0];
	struct gw_auth_request rq = { .method = s->method,
				      .path = s->path,
				      .headers = plain,
				      .n_headers = p->call.header.n ? 3 : 2,
				      .body = s->body,
				      .n_body = s->n_body,
				      .now_us = gw_unix_us() };
	enum gw_err e = gw_auth_make(c, p->secret ? gw_secret_expose(p->secret) : GW_NIL, &rq, room, add);

	for (uint32_t i = 0; i < rq.n_headers + add->n; i++) {
		const struct gw_auth_header *from = i < rq.n_headers ? &plain[i] : &add->v[i - rq.n_headers];

		h[s->n_headers++] = (struct gw_up_header){ from->name, from->value };
	}
	s->path = add->path;
	return e;
}

static enum gw_err send_call(struct probe *p)
{
	const struct gw_candidate *c = &p->plan.candidates[0];
	struct gw_up_header h[3 + GW_AUTH_ADDS];
	struct gw_auth_add add;
	struct gw_endpoint *ep;
	char room[GW_AUTH_ROOM];
	enum gw_err e = gw_probe_call(&p->arena, c, p->is_chat, &p->call);

	if (!e)
		e = endpoint_of(p, c, &ep);
	if (e)
		return e;
	struct gw_up_send s = {
		.endpoint = ep,
		.method = p->call.method,
		.path = p->call.path,
		.headers = h,
		.body = &p->call.body,
		.n_body = p->call.body.n ? 1 : 0,
		.deadlines = { PROBE_MS, 5000, PROBE_MS, PROBE_MS, PROBE_MS },
		.proxy_auth = p->proxy_secret ? gw_secret_expose(p->proxy_secret) : GW_NIL,
	};

	e = headers_of(p, &s, &add, room, h);
	if (!e)
		e = gw_upstream_send(p->ag->upstream, &s, &ops, p, &p->up);
	gw_wipe(room, add.room_n);
	return e;
}

/* The secret out of a lease; both of its copies in the message are wiped. */
static struct gw_secret *take_lease(enum gw_err err, struct gw_msg *m)
{
	struct gw_secret *s;

	if (err || m->status != 0 || !m->secret.n)
		return NULL;
	s = gw_secret_new(m->secret.p, m->secret.n);
	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (m->next.n)
		gw_wipe((void *)(uintptr_t)m->next.p, m->next.n);
	return s;
}

static void on_lease(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct probe *p = ctx;

	p->secret = take_lease(err, m);
	enum gw_err e = p->secret ? send_call(p) : GW_E_CRED_MISSING;
	struct gw_str why = !err && m->detail.n ? m->detail : GW_LIT("The credential could not be had from confd.");

	if (e)
		finish(p, e, p->secret ? GW_NIL : why, GW_NIL);
}

static enum gw_err lease(struct probe *p, struct gw_str credential,
			 void (*fn)(void *ctx, enum gw_err err, struct gw_msg *m))
{
	struct gw_msg m = { .type = GW_MSG_LEASE };

	if (!p->ag->confd)
		return GW_E_CONFD_DOWN;
	GW_MSG_SET(&m, name, credential);
	return gw_channel_ask(p->ag->confd, &m, LEASE_MS, fn, p);
}

static enum gw_err begin_call(struct probe *p)
{
	const struct gw_candidate *c = &p->plan.candidates[0];

	return c->credential.n ? lease(p, c->credential, on_lease) : send_call(p);
}

static void on_proxy_lease(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct probe *p = ctx;

	p->proxy_secret = take_lease(err, m);
	enum gw_err e = p->proxy_secret ? begin_call(p) : GW_E_CRED_MISSING;
	if (e)
		finish(p, e, p->proxy_secret ? GW_NIL : GW_LIT("The proxy's credential could not be had from confd."),
		       GW_NIL);
}

static enum gw_err begin(struct probe *p)
{
	const struct gw_candidate *c = &p->plan.candidates[0];

	return c->proxy_credential.n ? lease(p, c->proxy_credential, on_proxy_lease) : begin_call(p);
}

enum gw_err gw_agent_probe(struct gw_agent *ag, struct gw_str deployment, bool is_test, gw_ag_probe_fn *fn, void *ctx)
{
	struct gw_rows rows = gw_agent_rows(ag);
	struct probe *p;
	uint32_t kind = 0;
	enum gw_err e;

	if (ag->n_running >= GW_AGENT_PROBES)
		return GW_E_BUSY;
	p = calloc(1, sizeof *p);
	if (!p)
		return GW_E_NOMEM;
	*p = (struct probe){ .ag = ag, .fn = fn, .ctx = ctx, .begun_ns = gw_now_ns() };
	gw_arena_init(&p->arena, p->block, sizeof p->block, ARENA);
	gw_buf_init(&p->reply, BODY_MAX);
	e = gw_plan_one(&p->arena, &rows, deployment, &p->plan, &kind);
	p->is_chat = is_test || kind != PROBE_MODELS;
	if (!e)
		e = begin(p);
	if (e) {
		gw_secret_unref(p->secret);
		gw_secret_unref(p->proxy_secret);
		gw_buf_done(&p->reply);
		gw_arena_done(&p->arena);
		free(p);
		return e;
	}
	ag->n_running++;
	return GW_OK;
}
