/* send: the credential, the spliced body, the request to the provider. */
#include "core/auth.h"
#include "lib/sys/clock.h"
#include "worker/api.h"
#include "worker/home.h"
#include "worker/moves.h"
#include "worker/talk.h"

static enum gw_err endpoint_of(struct gw_req *r, const struct gw_candidate *c, struct gw_endpoint **out)
{
	struct gw_endpoint_desc d = {
		.host = c->host,
		.port = c->port,
		.is_https = c->is_https,
		.ca_pem = c->ca_pem,
		.allow_private = c->allow_private.v,
		.n_allow_private = c->allow_private.n,
		.max_connections = c->max_connections,
		.policy = c->policy,
		.wants_h2 = c->wants_h2,
		.proxy_host = c->proxy_host,
		.proxy_port = c->proxy_port,
		.proxy_is_https = c->proxy_is_https,
	};
	return gw_upstream_endpoint(r->w->upstream, &d, out);
}

enum { SEND_HEADERS = 5 + GW_API_PASS };

/* What shows whose request it is (core/auth.h) goes behind the other headers of s. */
static enum gw_err add_auth(struct gw_req *r, const struct gw_candidate *c, struct gw_up_send *s,
			    struct gw_up_header *h, char *room, struct gw_auth_add *add)
{
	struct gw_auth_header seen[SEND_HEADERS];
	struct gw_auth_request rq = { .method = s->method,
				      .path = s->path,
				      .headers = seen,
				      .body = s->body,
				      .n_body = s->n_body,
				      .is_streamed = s->is_streamed };
	enum gw_err e;

	if (c->auth == GW_AUTH_SIGV4) {
		for (; rq.n_headers < s->n_headers; rq.n_headers++)
			seen[rq.n_headers] = (struct gw_auth_header){ h[rq.n_headers].name, h[rq.n_headers].value };
		rq.now_us = gw_unix_us();
	}
	e = gw_auth_make(c, r->secret ? gw_secret_expose(r->secret) : GW_NIL, &rq, room, add);
	s->path = add->path;
	for (uint32_t i = 0; i < add->n; i++)
		h[s->n_headers++] = (struct gw_up_header){ add->v[i].name, add->v[i].value };
	return e;
}

/* The values of auth headers lie in a stack buffer that is wiped: gw_upstream_send has copied them by then. */
enum gw_err gw_send_with(struct gw_req *r, const struct gw_candidate *c, struct gw_str path,
			 const struct gw_str *pieces, uint32_t n_pieces, const struct gw_send_more *more)
{
	struct gw_up_header h[SEND_HEADERS + GW_AUTH_ADDS];
	struct gw_auth_add add;
	struct gw_endpoint *ep;
	uint32_t n = 0;
	char room[GW_AUTH_ROOM];
	enum gw_err e;

	e = endpoint_of(r, c, &ep);
	if (e)
		return e;
	if (!more) {
		h[n++] = (struct gw_up_header){ GW_LIT("content-type"), GW_LIT("application/json") };
		h[n++] = (struct gw_up_header){ GW_LIT("accept"), r->chat.is_stream ? GW_LIT("text/event-stream")
										    : GW_LIT("application/json") };
	} else {
		if (more->content_type.n)
			h[n++] = (struct gw_up_header){ GW_LIT("content-type"), more->content_type };
		h[n++] = (struct gw_up_header){ GW_LIT("accept"), more->accept };
		for (uint32_t i = 0; i < more->n_pass; i++)
			h[n++] = more->pass[i];
	}
	h[n++] = (struct gw_up_header){ GW_LIT("user-agent"), GW_LIT("llmgw/" LLMGW_VERSION) };
	if (r->rec.trace_id.n)
		h[n++] = (struct gw_up_header){ GW_LIT("traceparent"), r->traceparent };
	struct gw_up_send s = {
		.endpoint = ep,
		.method = GW_LIT("POST"),
		.path = path,
		.headers = h,
		.n_headers = n,
		.body = pieces,
		.n_body = n_pieces,
		.deadlines = { c->queue_ms, c->connect_ms, c->first_token_ms, c->idle_ms, c->total_ms },
		.must_be_fresh = r->had_stale_retry,
		.proxy_auth = r->proxy_secret ? gw_secret_expose(r->proxy_secret) : GW_NIL,
	};
	if (more) {
		s.method = more->method;
		s.is_streamed = more->is_streamed;
		s.stream_length = more->stream_length;
		s.on_room = more->on_room;
		s.must_be_fresh |= more->is_streamed; /* half an upload cannot be sent again */
	}
	e = add_auth(r, c, &s, h, room, &add);
	if (!e)
		e = gw_upstream_send(r->w->upstream, &s, &gw_relay_ops, r, &r->at.up);
	gw_wipe(room, add.room_n);
	return e;
}

/* Where the provider has a way of its own to write it. */
static struct gw_str special_path(struct gw_req *r, const struct gw_candidate *c)
{
	struct gw_str path;
	struct gw_buf b;

	gw_buf_init(&b, 4096);
	gw_provider_path(&gw_providers[c->provider_type], c->base_path, c->upstream_model, c->api_version,
			 GW_LIT("/chat/completions"), GW_NIL, &b);
	path = b.err ? GW_NIL : gw_arena_str(&r->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return path;
}

static struct gw_str chat_path(struct gw_req *r, const struct gw_candidate *c)
{
	static const char tail[] = "/chat/completions";
	const struct gw_str base = c->base_path;
	char *p;

	if (c->api_version.n || (gw_providers[c->provider_type].quirks & (GW_Q_DEPLOYMENT_PATH | GW_Q_CHAT_PATH)))
		return special_path(r, c);
	p = gw_alloc_bytes(&r->arena, base.n + sizeof tail - 1);

	if (!p)
		return GW_NIL;
	if (base.n)
		memcpy(p, base.p, base.n);
	memcpy(p + base.n, tail, sizeof tail - 1);
	return gw_str(p, base.n + sizeof tail - 1);
}

/* A history may hold what is not for this provider; a first question cannot. */
static enum gw_err body_of(struct gw_req *r, const struct gw_candidate *c, struct gw_str pieces[8], uint32_t *n)
{
	struct gw_chat_request again;
	struct gw_str body = GW_NIL, param, why;
	enum gw_err e = r->chat.n_messages > 1 ? gw_home_body(r, c, &gw_openai, &body) : GW_OK;

	if (e || !body.p)
		return e ? e : gw_chat_splice(&r->arena, r->body, &r->chat, c->upstream_model, pieces, n);
	e = gw_chat_read(&r->arena, body, &again, &param, &why);
	return e ? e : gw_chat_splice(&r->arena, body, &again, c->upstream_model, pieces, n);
}

static enum gw_err dispatch(struct gw_req *r)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	struct gw_str *pieces = GW_NEW_N(&r->arena, struct gw_str, 8);
	uint32_t n_pieces = 0;
	enum gw_err e;

	if (!pieces)
		return GW_E_NOMEM;
	e = body_of(r, c, pieces, &n_pieces);
	if (e)
		return e;
	struct gw_str path = chat_path(r, c);
	if (!path.p)
		return GW_E_NOMEM;
	return gw_send_with(r, c, path, pieces, n_pieces, NULL);
}

static bool has_credential(struct gw_req *r, const struct gw_candidate *c)
{
	if (!c->credential.n)
		return true;
	if (r->secret) {
		gw_secret_unref(r->secret);
		r->secret = NULL;
	}
	r->secret =
	    gw_lease_get(r->w, c->credential, r->use_next_secret ? c->credential_next_version : c->credential_version,
			 r->use_next_secret, r);
	return r->secret != NULL;
}

static bool has_proxy_credential(struct gw_req *r, const struct gw_candidate *c)
{
	gw_secret_unref(r->proxy_secret);
	r->proxy_secret = NULL;
	if (!c->proxy_credential.n)
		return true;
	r->proxy_secret = gw_lease_get(r->w, c->proxy_credential, c->proxy_credential_version, false, r);
	return r->proxy_secret != NULL;
}

enum gw_step_id gw_step_send(struct gw_req *r)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];

	if (r->ev_gone || r->ev_late) {
		gw_lease_forget_waiter(r->w, r);
		enum gw_step_id next = gw_req_event(r);
		/* send may go to relay or judge only: a client that left is judged hopeless */
		if (next == GW_STEP_fail)
			r->at.err = GW_E_CLIENT_GONE;
		return GW_STEP_judge;
	}
	if (!r->at.begun_ns) {
		r->at.begun_ns = gw_recent_ns();
		r->mark = gw_arena_mark(&r->arena);
		r->first_token_until_ns = r->at.begun_ns + c->first_token_ms * 1000000;
	}
	if (!has_credential(r, c) || !has_proxy_credential(r, c)) {
		if (!r->at.err)
			return GW_STEP_wait;
		return GW_STEP_judge; /* CRED_MISSING */
	}
	enum gw_err e = gw_talk_is_needed(r, c) ? gw_talk_dispatch(r, c) : r->api ? gw_api_dispatch(r, c) : dispatch(r);

	if (!gw_moves_is_passed_over(r) && ++r->attempts > 1)
		gw_count(&r->w->page->metric[GW_M_retries], 1);
	if (e) {
		r->at.err = e;
		return GW_STEP_judge;
	}
	return GW_STEP_relay;
}
