/* Tokens and temporary keys, fetched with one credential for confd, which keeps and hands them out. The credential's secret comes with the
 * question and is wiped with the answer. Metadata addresses can be reached only by credentials whose source is the machine itself. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "agent/agent.h"
#include "core/config_types.h"
#include "core/error_body.h"
#include "core/token.h"
#include "lib/crypto.h"
#include "lib/sigv4.h"
#include "lib/sys/clock.h"
#include "lib/text.h"
#include "lib/url.h"

enum { BLOCK = 192 << 10, REPLY_MAX = 32 << 10, FETCH_MS = 10000, WORDS_MAX = 400, VALUE_MAX = 16 << 10, HEADERS = 5 };
enum step { STS, OAUTH, KEYS, IMDS_TOKEN, IMDS_ROLE };

static const char metadata_host[] = "http://169.254.169.254", container_host[] = "http://169.254.170.2";

struct fetch {
	struct gw_agent *ag;
	uint64_t corr;
	enum step step;
	struct gw_arena arena; /* in `block` alone, which is wiped */
	struct gw_token_ask ask;
	struct gw_str secret; /* stored, in the arena */
	struct gw_str base; /* keys that STS is asked with: stored or of the machine */
	struct gw_str imds_token, imds_role;
	struct gw_str ca_pem, body, host;
	struct gw_strs allow_private;
	struct gw_up_req *up;
	struct gw_buf reply;
	int status;
	yyjson_doc *doc;
	char block[BLOCK];
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
}

static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	struct fetch *f = ctx;

	(void)q;
	gw_buf_puts(&f->reply, piece); /* past its ceiling: an error that the end sees */
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

	finish(f, GW_E_CRED_MISSING,
	       gw_arena_printf(&f->arena, "%.*s answered %d%s%.*s", GW_FMT(f->host), f->status, clean.n ? ": " : "",
			       GW_FMT(clean)),
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
		fail(f, e, "The request for a token could not be made.");
}

static void take(struct fetch *f)
{
	struct gw_str body = gw_buf_view(&f->reply);
	struct gw_token_got got = { .life_ms = 0 };
	enum gw_err e;

	gw_buf_init(&got.value, VALUE_MAX);
	e = f->step == STS    ? gw_token_read_sts(body, gw_unix_us(), &got)
	    : f->step == KEYS ? gw_token_read_keys(&f->arena, body, gw_unix_us(), &got)
			      : gw_token_read_oauth(&f->arena, body, &got);
	if (e) {
		fail(f, e, "The answer of the token endpoint is not what it should be: is token_url right?");
	} else if (f->step == KEYS && f->ask.role_arn.n) {
		f->base = gw_arena_str(&f->arena, gw_buf_view(&got.value));
		go_on(f, STS);
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
	if (!err && f->reply.err)
		err = GW_E_UP_TOO_BIG;
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

/* --- what is asked --- */

struct call {
	struct gw_url url;
	struct gw_str method, path;
	struct gw_up_header h[HEADERS];
	uint32_t n;
	const char *metadata; /* address that may be reached though it is private; NULL = none */
};

static void add(struct call *c, const char *name, struct gw_str value)
{
	c->h[c->n++] = (struct gw_up_header){ gw_str_z(name), value };
}

/* token_url, or the usual place. Without a path of its own the vendor's is used. */
static enum gw_err aim(struct fetch *f, struct call *c, struct gw_str usual, struct gw_str path)
{
	struct gw_str text = f->ask.token_url.n ? f->ask.token_url : usual;
	enum gw_err e = text.p ? gw_url_parse(text, &c->url) : GW_E_NOMEM;

	c->path = c->url.path.n ? c->url.path : path;
	f->host = c->url.host;
	return e ? e : c->path.p ? GW_OK : GW_E_NOMEM;
}

/* A small text file that the platform keeps up to date; its place comes from our environment, never from the configuration. */
static struct gw_str read_file(struct fetch *f, const char *name)
{
	const char *path = getenv(name);
	char text[8192];
	ssize_t n = -1;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof text);
		close(fd);
	}
	struct gw_str s = n > 0 ? gw_arena_str(&f->arena, gw_str_trim(gw_str(text, (size_t)n))) : GW_NIL;

	while (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	gw_wipe(text, sizeof text);
	return s;
}

static enum gw_err keep_body(struct fetch *f, struct gw_buf *b)
{
	f->body = b->err ? GW_NIL : gw_arena_str(&f->arena, gw_buf_view(b));
	if (b->p)
		gw_wipe(b->p, b->cap);
	gw_buf_done(b);
	return f->body.p ? GW_OK : GW_E_NOMEM;
}

/* AssumeRole is signed with the keys that we have, service "sts". */
static enum gw_err sign_sts(struct fetch *f, struct call *c)
{
	struct gw_sigv4_header h[3];
	struct gw_aws_keys keys;
	char *date = gw_alloc_bytes(&f->arena, GW_SIGV4_DATE), *value = gw_alloc_bytes(&f->arena, GW_SIGV4_AUTH_MAX),
	     hash[64];
	bool has_port = c->url.port != (c->url.is_https ? 443 : 80);
	size_t n;

	if (!date || !value || !gw_aws_keys_read(f->base, &keys))
		return GW_E_CRED_MISSING;
	gw_sigv4_hash(&f->body, 1, hash);
	struct gw_sigv4 s = { .access_key = keys.access_key,
			      .secret_key = keys.secret_key,
			      .region = f->ask.region,
			      .service = GW_LIT("sts"),
			      .now_us = gw_unix_us(),
			      .method = c->method,
			      .path = c->path,
			      .headers = h,
			      .body_hash = gw_str(hash, sizeof hash) };
	h[s.n_headers++] =
	    (struct gw_sigv4_header){ GW_LIT("host"),
				      has_port ? gw_arena_printf(&f->arena, "%.*s:%u", GW_FMT(c->url.host), c->url.port)
					       : c->url.host };
	h[s.n_headers++] = (struct gw_sigv4_header){ c->h[0].name, c->h[0].value };
	if (keys.session_token.n) {
		h[s.n_headers++] = (struct gw_sigv4_header){ GW_LIT("x-amz-security-token"), keys.session_token };
		add(c, "x-amz-security-token", keys.session_token);
	}
	enum gw_err e = gw_sigv4_sign(&s, date, value, &n);

	add(c, "x-amz-date", gw_str(date, GW_SIGV4_DATE));
	add(c, "authorization", gw_str(value, n));
	return e;
}

static enum gw_err ask_sts(struct fetch *f, struct call *c)
{
	bool is_web = f->ask.source == GW_CRED_FROM_WEB_IDENTITY;
	struct gw_str token = is_web ? read_file(f, "AWS_WEB_IDENTITY_TOKEN_FILE") : GW_NIL;
	bool is_cn = gw_str_has_prefix(f->ask.region, GW_LIT("cn-"));
	struct gw_buf b;
	enum gw_err e;

	if (is_web && !token.n)
		return GW_E_CRED_MISSING;
	e = aim(
	    f, c,
	    gw_arena_printf(&f->arena, "https://sts.%.*s.amazonaws.com%s", GW_FMT(f->ask.region), is_cn ? ".cn" : ""),
	    GW_LIT("/"));
	c->method = GW_LIT("POST");
	add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, 32 << 10);
	gw_token_sts_form(&b, &f->ask, token);
	if (!e)
		e = keep_body(f, &b);
	else
		gw_buf_done(&b);
	return e || is_web ? e : sign_sts(f, c);
}

/* The form of a service account: a JWT that it has signed. */
static enum gw_err put_assertion(struct fetch *f, const struct gw_gcp_key *k, struct gw_str audience, struct gw_buf *b)
{
	struct gw_buf jwt, sig;
	enum gw_err e;

	gw_buf_init(&jwt, 8192);
	gw_buf_init(&sig, 1024);
	gw_token_jwt(&jwt, k, f->ask.scope, audience, gw_unix_us());
	e = jwt.err ? jwt.err : gw_rs256_sign(k->private_key, gw_buf_view(&jwt), &sig);
	gw_buf_putc(&jwt, '.');
	gw_b64url_put(&jwt, sig.p, sig.n);
	gw_form_put(b, "grant_type", GW_LIT("urn:ietf:params:oauth:grant-type:jwt-bearer"));
	gw_form_put(b, "assertion", gw_buf_view(&jwt));
	gw_buf_done(&jwt);
	gw_buf_done(&sig);
	return e;
}

static enum gw_err ask_google(struct fetch *f, struct call *c)
{
	struct gw_str usual = GW_LIT("https://oauth2.googleapis.com/token");
	struct gw_gcp_key k;
	struct gw_buf b;
	const char *why;
	enum gw_err e = gw_gcp_key_read(&f->arena, f->secret, &k, &why);

	if (e)
		return GW_E_CRED_MISSING;
	usual = k.token_uri.n ? k.token_uri : usual;
	e = aim(f, c, usual, GW_LIT("/token"));
	c->method = GW_LIT("POST");
	add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, 32 << 10);
	if (k.is_user) {
		gw_form_put(&b, "grant_type", GW_LIT("refresh_token"));
		gw_form_put(&b, "refresh_token", k.refresh_token);
		gw_form_put(&b, "client_id", k.client_id);
		gw_form_put(&b, "client_secret", k.client_secret);
	} else if (!e) {
		e = put_assertion(f, &k, usual, &b);
	}
	enum gw_err kept = keep_body(f, &b);

	return e ? e : kept;
}

static enum gw_err ask_entra(struct fetch *f, struct call *c)
{
	struct gw_str path = gw_arena_printf(&f->arena, "/%.*s/oauth2/v2.0/token", GW_FMT(f->ask.tenant_id));
	struct gw_buf b;
	enum gw_err e = aim(f, c, GW_LIT("https://login.microsoftonline.com"), path);

	c->method = GW_LIT("POST");
	add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, 32 << 10);
	gw_form_put(&b, "grant_type", GW_LIT("client_credentials"));
	gw_form_put(&b, "client_id", f->ask.client_id);
	gw_form_put(&b, "client_secret", f->secret);
	gw_form_put(&b, "scope", f->ask.scope);
	enum gw_err kept = keep_body(f, &b);

	return e ? e : kept;
}

/* The metadata service of the machine, by vendor. */
static enum gw_err ask_machine(struct fetch *f, struct call *c)
{
	struct gw_str path, resource = f->ask.scope, def = GW_LIT("/.default");
	struct gw_buf q;

	c->method = GW_LIT("GET");
	c->metadata = "169.254.169.254/32";
	if (f->ask.kind == GW_CRED_KIND_GCP) {
		add(c, "metadata-flavor", GW_LIT("Google"));
		path = GW_LIT("/computeMetadata/v1/instance/service-accounts/default/token");
	} else if (f->ask.kind == GW_CRED_KIND_AZURE) {
		if (resource.n > def.n && gw_str_eq(gw_str_skip(resource, resource.n - def.n), def))
			resource.n -= def.n;
		gw_buf_init(&q, 4096);
		gw_form_put(&q, "api-version", GW_LIT("2018-02-01"));
		gw_form_put(&q, "resource", resource);
		if (f->ask.client_id.n)
			gw_form_put(&q, "client_id", f->ask.client_id);
		path = gw_arena_printf(&f->arena, "/metadata/identity/oauth2/token?%.*s", GW_FMT(gw_buf_view(&q)));
		gw_buf_done(&q);
		add(c, "metadata", GW_LIT("true"));
	} else if (f->step == IMDS_TOKEN) {
		c->method = GW_LIT("PUT");
		add(c, "x-aws-ec2-metadata-token-ttl-seconds", GW_LIT("300"));
		path = GW_LIT("/latest/api/token");
	} else {
		add(c, "x-aws-ec2-metadata-token", f->imds_token);
		path =
		    gw_arena_printf(&f->arena, "/latest/meta-data/iam/security-credentials/%.*s", GW_FMT(f->imds_role));
	}
	return aim(f, c, gw_str_z(metadata_host), path);
}

/* The address that the container's platform has put into our environment. */
static enum gw_err ask_container(struct fetch *f, struct call *c)
{
	const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		   *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		   *auth = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct gw_str token = auth ? gw_str_z(auth) : read_file(f, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

	if (!relative && !full)
		return GW_E_CRED_MISSING;
	c->method = GW_LIT("GET");
	c->metadata = relative ? "169.254.170.2/32" : "169.254.170.23/32";
	if (token.n)
		add(c, "authorization", token);
	return aim(f, c, gw_str_z(relative ? container_host : full), relative ? gw_str_z(relative) : GW_LIT("/"));
}

static enum gw_err ask(struct fetch *f, struct call *c)
{
	switch (f->step) {
	case STS:
		return ask_sts(f, c);
	case OAUTH:
		return f->ask.source != GW_CRED_FROM_SECRET ? ask_machine(f, c)
		       : f->ask.kind == GW_CRED_KIND_GCP    ? ask_google(f, c)
							    : ask_entra(f, c);
	case KEYS:
		return f->ask.source == GW_CRED_FROM_CONTAINER ? ask_container(f, c) : ask_machine(f, c);
	case IMDS_TOKEN:
	case IMDS_ROLE:
		return ask_machine(f, c);
	}
	return GW_E_BUG;
}

static enum gw_err start(struct fetch *f)
{
	struct call c = { .n = 0 };
	struct gw_str metadata;
	enum gw_err e;

	f->body = GW_NIL;
	e = ask(f, &c);
	if (e)
		return e;
	metadata = gw_str_z(c.metadata);
	struct gw_endpoint_desc d = { .host = c.url.host,
				      .port = c.url.port,
				      .is_https = c.url.is_https,
				      .max_connections = 4,
				      .allow_private = &metadata,
				      .n_allow_private = c.metadata != NULL };
	if (f->ask.token_url.n) { /* of a platform admin, as these */
		d.ca_pem = f->ca_pem;
		d.allow_private = f->allow_private.v;
		d.n_allow_private = f->allow_private.n;
		d.policy = gw_crc32c(0, d.ca_pem.p, d.ca_pem.n) + 1u;
	}
	struct gw_endpoint *ep;
	struct gw_up_send s = { .method = c.method,
				.path = c.path,
				.headers = c.h,
				.n_headers = c.n,
				.body = &f->body,
				.n_body = f->body.n > 0,
				.must_be_fresh = true,
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
	f->step = f->ask.kind != GW_CRED_KIND_AWS           ? OAUTH
		  : f->ask.source == GW_CRED_FROM_INSTANCE  ? IMDS_TOKEN
		  : f->ask.source == GW_CRED_FROM_CONTAINER ? KEYS
							    : STS;
	return f->arena.is_full ? GW_E_NOMEM : GW_OK;
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
		return;
	}
	if (!e)
		e = start(f);
	if (e)
		fail(f, e,
		     e == GW_E_CRED_MISSING || e == GW_E_CRYPTO
			 ? "The credential is not what its kind needs, or the environment of the machine lacks what "
			   "its source needs."
			 : "The request for a token could not be made: is token_url right?");
}
