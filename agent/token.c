/* Tokens and temporary keys, fetched with one credential for confd, which keeps and hands them out. The credential's secret comes with the
 * question and is wiped with the answer. Metadata addresses can be reached only by credentials whose source is the machine itself; such calls
 * go straight there, all others by the provider's proxy where it has one. */
#include <stdlib.h>
#include "agent/token_fetch.h"
#include "core/config_types.h"
#include "core/error_body.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum {
	REPLY_MAX = 32 << 10,
	FETCH_MS = 10000,
	LEASE_MS = 5000,
	WORDS_MAX = 400,
	VALUE_MAX = 16 << 10,
	LIFE_MIN_MS = 1000
};

static void finish(struct fetch *f, enum gw_err err, struct gw_str words, const struct gw_token_got *got)
{
	struct gw_msg m = { .type = GW_MSG_TOKEN_IS };

	GW_MSG_SET(&m, corr, f->corr);
	GW_MSG_SET(&m, status, (uint64_t) - (int64_t)err);
	if (words.n)
		GW_MSG_SET(&m, detail, gw_str(words.p, words.n < WORDS_MAX ? words.n : WORDS_MAX));
	if (got) {
		GW_MSG_SET(&m, secret, gw_buf_view(&got->value));
		GW_MSG_SET(&m, expires_ms, got->life_ms);
	}
	if (f->ag->confd)
		(void)!gw_channel_send(f->ag->confd, &m); /* else confd asks again */
	if (f->reply.p)
		gw_wipe(f->reply.p, f->reply.cap);
	gw_buf_done(&f->reply);
	yyjson_doc_free(f->doc);
	gw_secret_unref(f->proxy_secret);
	f->ag->n_fetching--;
	gw_wipe(f, sizeof *f);
	free(f);
}

static void fail(struct fetch *f, enum gw_err err, const char *words)
{
	finish(f, err, gw_str_z(words), NULL);
}

static enum gw_err start(struct fetch *f);

/* --- what came --- */

static void on_head(void *ctx, struct gw_up_req *q, const struct gw_up_reply *r)
{
	struct fetch *f = ctx;

	(void)q;
	f->status = r->status;
	for (uint32_t i = 0; i < r->n_headers; i++) {
		int64_t at;

		if (gw_str_ieq(r->headers[i].name, GW_LIT("date")) && gw_http_date_read(r->headers[i].value, &at))
			f->skew_s = at - gw_unix_us() / 1000000;
	}
}

static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	struct fetch *f = ctx;

	gw_buf_puts(&f->reply, piece);
	if (!f->reply.err)
		return;
	gw_upstream_cancel(q); /* no token is as long as this; on_end is not called */
	f->up = NULL;
	finish(f, GW_E_UP_TOO_BIG,
	       gw_arena_printf(&f->arena,
			       "%.*s answered with more than a token endpoint has to say: is token_url right?",
			       GW_FMT(f->host)),
	       NULL);
}

/* The endpoint's words, without what we sent it. */
static void refuse(struct fetch *f)
{
	struct gw_aws_keys keys;
	struct gw_str hide[3] = { f->secret };
	uint32_t n = f->secret.n > 0;

	if (f->base.n && gw_aws_keys_read(f->base, &keys)) {
		hide[n++] = keys.secret_key;
		if (keys.session_token.n)
			hide[n++] = keys.session_token;
	}
	struct gw_str why = gw_token_why(&f->arena, gw_buf_view(&f->reply)), clean = gw_scrub(&f->arena, why, hide, n);
	bool is_redirect = f->status < 400;

	finish(f, GW_E_CRED_MISSING,
	       gw_arena_printf(&f->arena, "%.*s answered %d%s%.*s%.*s", GW_FMT(f->host), f->status,
			       is_redirect ? ", a redirect, which is not followed: is token_url right?"
			       : clean.n   ? ": "
					   : "",
			       GW_FMT(is_redirect ? GW_LIT("") : clean),
			       GW_FMT(gw_token_skew_words(&f->arena, f->skew_s))),
	       NULL);
}

/* 200, and yet no token: some metadata services say so in the body. */
static void no_token(struct fetch *f, enum gw_err e)
{
	struct gw_str why = gw_scrub(&f->arena, gw_token_why(&f->arena, gw_buf_view(&f->reply)), NULL, 0);

	if (why.n)
		finish(f, GW_E_CRED_MISSING,
		       gw_arena_printf(&f->arena, "%.*s gave no token: %.*s", GW_FMT(f->host), GW_FMT(why)), NULL);
	else
		finish(f, e,
		       gw_arena_printf(&f->arena,
				       "%.*s: the answer is not what a token endpoint answers: is token_url right?",
				       GW_FMT(f->host)),
		       NULL);
}

static void is_over(struct fetch *f)
{
	finish(f, GW_E_CRED_MISSING,
	       gw_arena_printf(&f->arena,
			       "%.*s gave a token that has ended already: is this machine's clock right?%.*s",
			       GW_FMT(f->host), GW_FMT(gw_token_skew_words(&f->arena, f->skew_s))),
	       NULL);
}

static void go_on(struct fetch *f, enum step step)
{
	f->step = step;
	if (f->reply.p)
		gw_wipe(f->reply.p, f->reply.n);
	gw_buf_clear(&f->reply, REPLY_MAX);
	enum gw_err e = start(f);

	if (e)
		fail(f, e, f->why ? f->why : "The request for a token could not be made.");
}

static void take(struct fetch *f)
{
	struct gw_str body = gw_buf_view(&f->reply);
	struct gw_token_got got = { .life_ms = 0 };
	enum gw_err e;

	gw_buf_init(&got.value, VALUE_MAX);
	e = f->step == STS    ? gw_token_read_sts(body, gw_unix_us(), &got)
	    : f->step == KEYS ? gw_token_read_keys(&f->arena, body, gw_unix_us(), &got)
			      : gw_token_read_oauth(&f->arena, body, gw_unix_us(), &got);
	bool is_more = (f->step == KEYS && f->ask.role_arn.n) || (f->step == EXCHANGE && f->is_impersonated);

	if (e) {
		no_token(f, e);
	} else if (got.life_ms < LIFE_MIN_MS) {
		is_over(f);
	} else if (is_more) {
		f->base = gw_arena_str(&f->arena, gw_buf_view(&got.value));
		go_on(f, f->step == KEYS ? STS : IMPERSONATE);
	} else {
		finish(f, GW_OK, GW_NIL, &got);
	}
	if (got.value.p)
		gw_wipe(got.value.p, got.value.cap);
	gw_buf_done(&got.value);
}

static void on_end(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail)
{
	struct fetch *f = ctx;
	struct gw_str first, rest;

	(void)q;
	f->up = NULL;
	if (err) {
		struct gw_str why = gw_scrub(&f->arena, detail, NULL, 0);

		finish(f, err,
		       gw_arena_printf(&f->arena, "%.*s: %.*s", GW_FMT(f->host),
				       GW_FMT(why.n ? why : gw_str_z(gw_err_info(err)->doc))),
		       NULL);
	} else if (f->status < 200 || f->status >= 300) {
		refuse(f);
	} else if (f->step == IMDS_TOKEN) {
		f->imds_token = gw_arena_str(&f->arena, gw_str_trim(gw_buf_view(&f->reply)));
		go_on(f, IMDS_ROLE);
	} else if (f->step == IMDS_ROLE) {
		gw_str_cut(gw_buf_view(&f->reply), '\n', &first, &rest);
		f->imds_role = gw_arena_str(&f->arena, gw_str_trim(first));
		go_on(f, KEYS);
	} else {
		take(f);
	}
}

static const struct gw_up_ops ops = { on_head, on_body, on_end };

/* --- the call --- */

/* Near calls reach what they name, and nothing by a proxy. token_url is a platform admin's, as what the provider allows is. */
static void describe(const struct fetch *f, const struct call *c, struct gw_endpoint_desc *d)
{
	struct gw_url proxy;

	*d = (struct gw_endpoint_desc){ .host = c->url.host,
					.port = c->url.port,
					.is_https = c->url.is_https,
					.max_connections = 4,
					.allow_private = c->near,
					.n_allow_private = c->n_near };
	bool is_proxied = !c->is_near && f->proxy.n && gw_url_parse(f->proxy, &proxy) == GW_OK;

	if (f->ask.token_url.n || is_proxied) {
		d->ca_pem = f->ca_pem;
		d->allow_private = f->allow_private.v;
		d->n_allow_private = f->allow_private.n;
		d->policy = gw_crc32c(0, d->ca_pem.p, d->ca_pem.n) + 1u;
	}
	if (is_proxied) {
		d->proxy_host = proxy.host;
		d->proxy_port = proxy.port;
		d->proxy_is_https = proxy.is_https;
	}
}

static enum gw_err start(struct fetch *f)
{
	struct call c = { .n = 0 };
	struct gw_endpoint_desc d;
	struct gw_endpoint *ep;
	enum gw_err e;

	f->body = GW_NIL;
	f->skew_s = 0;
	e = gw_token_ask_call(f, &c);
	if (e)
		return e;
	describe(f, &c, &d);
	struct gw_up_send s = { .method = c.method,
				.path = c.path,
				.headers = c.h,
				.n_headers = c.n,
				.body = &f->body,
				.n_body = f->body.n > 0,
				.must_be_fresh = true,
				.proxy_auth =
				    d.proxy_host.n && f->proxy_secret ? gw_secret_expose(f->proxy_secret) : GW_NIL,
				.deadlines = { FETCH_MS, 5000, FETCH_MS, FETCH_MS, FETCH_MS } };

	e = gw_upstream_endpoint(f->ag->upstream, &d, &ep);
	s.endpoint = ep;
	return e ? e : gw_upstream_send(f->ag->upstream, &s, &ops, f, &f->up);
}

/* --- the question --- */

static struct gw_str field(struct fetch *f, const yyjson_val *obj, const char *name)
{
	return gw_arena_str(&f->arena, gw_cf_str(obj, GW_KIND_credential, name));
}

static void read_provider(struct fetch *f, const yyjson_val *provider)
{
	const struct gw_provider *row = gw_provider_find(gw_cf_str(provider, GW_KIND_provider, "type"));
	yyjson_val *list = yyjson_obj_get((yyjson_val *)(uintptr_t)provider, "allow_private"), *v;
	struct gw_str *cidrs = GW_NEW_N(&f->arena, struct gw_str, yyjson_arr_size(list) + 1);
	size_t i, n;

	f->ca_pem = gw_cf_str(provider, GW_KIND_provider, "ca_pem");
	f->proxy = gw_cf_str(provider, GW_KIND_provider, "proxy");
	f->proxy_credential = gw_cf_str(provider, GW_KIND_provider, "proxy_credential");
	yyjson_arr_foreach(list, i, n, v)
	{
		if (cidrs)
			cidrs[i] = gw_json_str(v);
	}
	f->allow_private = (struct gw_strs){ cidrs, cidrs ? (uint32_t)yyjson_arr_size(list) : 0 };
	if (f->ask.scope.n)
		return;
	if (row && gw_str_find(gw_str_z(row->scope), '/') < strlen(row->scope)) /* an OAuth scope, no service's name */
		f->ask.scope = gw_str_z(row->scope);
	else
		f->ask.scope = f->ask.kind == GW_CRED_KIND_GCP
				   ? GW_LIT("https://www.googleapis.com/auth/cloud-platform")
				   : GW_LIT("https://cognitiveservices.azure.com/.default");
}

static enum gw_err read_question(struct fetch *f, const struct gw_msg *m)
{
	struct gw_json_fault fault;
	enum gw_err e = gw_json_read(m->body, &gw_json_default_limits, &f->doc, &fault);
	const yyjson_val *cred = e ? NULL : gw_json_get(yyjson_doc_get_root(f->doc), GW_LIT("credential"));

	if (e)
		return e;
	f->ask = (struct gw_token_ask){
		.kind = (enum gw_cred_kind)gw_cf_u64(cred, GW_KIND_credential, "type"),
		.source = (enum gw_cred_source)gw_cf_u64(cred, GW_KIND_credential, "source"),
		.region = field(f, cred, "region"),
		.role_arn = field(f, cred, "role_arn"),
		.external_id = field(f, cred, "external_id"),
		.tenant_id = field(f, cred, "tenant_id"),
		.client_id = field(f, cred, "client_id"),
		.scope = field(f, cred, "scope"),
		.token_url = field(f, cred, "token_url"),
	};
	read_provider(f, gw_json_get(yyjson_doc_get_root(f->doc), GW_LIT("provider")));
	f->secret = f->base = m->secret.n ? gw_arena_str(&f->arena, m->secret) : GW_NIL;
	bool is_web_google = f->ask.kind == GW_CRED_KIND_GCP && f->ask.source == GW_CRED_FROM_WEB_IDENTITY;

	f->step = is_web_google                             ? EXCHANGE
		  : f->ask.kind != GW_CRED_KIND_AWS         ? OAUTH
		  : f->ask.source == GW_CRED_FROM_INSTANCE  ? IMDS_TOKEN
		  : f->ask.source == GW_CRED_FROM_CONTAINER ? KEYS
							    : STS;
	return f->arena.is_full ? GW_E_NOMEM : GW_OK;
}

static void begin(struct fetch *f)
{
	enum gw_err e = start(f);

	if (!e)
		return;
	fail(f, e,
	     f->why ? f->why
	     : e == GW_E_CRED_MISSING || e == GW_E_CRYPTO
		 ? "The credential is not what its kind needs."
		 : "The request for a token could not be made: is token_url right?");
}

static void on_proxy_lease(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct fetch *f = ctx;

	if (!err && m->status == 0 && m->secret.n) {
		f->proxy_secret = gw_secret_new(m->secret.p, m->secret.n);
		gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
		if (m->next.n)
			gw_wipe((void *)(uintptr_t)m->next.p, m->next.n);
	}
	if (f->proxy_secret)
		begin(f);
	else
		fail(f, GW_E_CRED_MISSING, "The proxy's credential could not be had.");
}

/* A proxy that asks who we are: its credential comes first. Calls that stay near need none. */
static enum gw_err lease_proxy(struct fetch *f)
{
	bool is_near =
	    (f->ask.source == GW_CRED_FROM_INSTANCE || f->ask.source == GW_CRED_FROM_CONTAINER) && !f->ask.role_arn.n;
	struct gw_msg m = { .type = GW_MSG_LEASE };

	if (!f->proxy.n || !f->proxy_credential.n || is_near)
		return GW_E_NOT_FOUND;
	GW_MSG_SET(&m, name, f->proxy_credential);
	return gw_channel_ask(f->ag->confd, &m, LEASE_MS, on_proxy_lease, f);
}

void gw_agent_token(struct gw_agent *ag, struct gw_msg *m)
{
	struct fetch *f = ag->n_fetching < GW_AGENT_FETCHES ? calloc(1, sizeof *f) : NULL;
	struct gw_msg no = { .type = GW_MSG_TOKEN_IS };
	enum gw_err e = f ? GW_OK : GW_E_BUSY;

	if (f) {
		f->ag = ag;
		f->corr = m->corr;
		ag->n_fetching++;
		gw_arena_init(&f->arena, f->block, sizeof f->block, sizeof f->block);
		gw_buf_init(&f->reply, REPLY_MAX);
		e = read_question(f, m);
	}
	if (m->secret.n)
		gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (!f) {
		GW_MSG_SET(&no, corr, m->corr);
		GW_MSG_SET(&no, status, (uint64_t) - (int64_t)e);
		(void)!gw_channel_send(ag->confd, &no);
	} else if (e) {
		fail(f, e, "The credential is not what its kind needs.");
	} else {
		e = lease_proxy(f);
		if (e == GW_E_NOT_FOUND)
			begin(f);
		else if (e)
			fail(f, e, "The proxy's credential could not be asked for.");
	}
}
