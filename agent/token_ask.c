/* What is asked of STS and of OAuth endpoints for a token (token_fetch.h). */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "agent/token_fetch.h"
#include "lib/crypto.h"
#include "lib/sigv4.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

void gw_token_add(struct call *c, const char *name, struct gw_str value)
{
	c->h[c->n++] = (struct gw_up_header){ gw_str_z(name), value };
}

/* Addresses of the machine's own link, and the names that stand for them: no proxy has anything to do with them. */
static bool is_link_local(struct gw_str host)
{
	static const char *const begins[] = { "169.254.", "fe80:", "FE80:", "fd00:ec2:" };

	for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
		if (gw_str_has_prefix(host, gw_str_z(begins[i])))
			return true;
	}
	return gw_str_ieq(host, GW_LIT("metadata.google.internal"));
}

enum gw_err gw_token_aim(struct fetch *f, struct call *c, struct gw_str usual, struct gw_str path)
{
	struct gw_str text = f->ask.token_url.n ? f->ask.token_url : usual;
	enum gw_err e = text.p ? gw_url_parse(text, &c->url) : GW_E_NOMEM;

	c->path = c->url.path.n ? c->url.path : path;
	if (!e && c->url.query.n)
		c->path = gw_arena_printf(&f->arena, "%.*s?%.*s", GW_FMT(c->path), GW_FMT(c->url.query));
	c->is_near = c->n_near > 0 || is_link_local(c->url.host);
	f->host = c->url.host;
	return e ? e : c->path.p ? GW_OK : GW_E_NOMEM;
}

struct gw_str gw_token_read_file(struct fetch *f, const char *path)
{
	char text[8192];
	ssize_t n = -1;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof text);
		close(fd);
	}
	struct gw_str s = n > 0 ? gw_arena_str(&f->arena, gw_str_trim(gw_str(text, (size_t)n))) : GW_NIL;

	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
		s.n--;
	gw_wipe(text, sizeof text);
	return s;
}

enum gw_err gw_token_keep_body(struct fetch *f, struct gw_buf *b)
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
		gw_token_add(c, "x-amz-security-token", keys.session_token);
	}
	enum gw_err e = gw_sigv4_sign(&s, date, value, &n);

	gw_token_add(c, "x-amz-date", gw_str(date, GW_SIGV4_DATE));
	gw_token_add(c, "authorization", gw_str(value, n));
	return e;
}

static enum gw_err ask_sts(struct fetch *f, struct call *c)
{
	bool is_web = f->ask.source == GW_CRED_FROM_WEB_IDENTITY;
	struct gw_str token = is_web ? gw_token_read_file(f, getenv("AWS_WEB_IDENTITY_TOKEN_FILE")) : GW_NIL;
	bool is_cn = gw_str_has_prefix(f->ask.region, GW_LIT("cn-"));
	struct gw_buf b;
	enum gw_err e;

	if (is_web && !token.n) {
		f->why = "AWS_WEB_IDENTITY_TOKEN_FILE of the service's environment names no file that can be read.";
		return GW_E_CRED_MISSING;
	}
	e = gw_token_aim(
	    f, c,
	    gw_arena_printf(&f->arena, "https://sts.%.*s.amazonaws.com%s", GW_FMT(f->ask.region), is_cn ? ".cn" : ""),
	    GW_LIT("/"));
	c->method = GW_LIT("POST");
	gw_token_add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, 32 << 10);
	gw_token_sts_form(&b, &f->ask, token);
	if (!e)
		e = gw_token_keep_body(f, &b);
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
	e = gw_token_aim(f, c, usual, GW_LIT("/token"));
	c->method = GW_LIT("POST");
	gw_token_add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, 32 << 10);
	if (k.is_user) {
		gw_form_put(&b, "grant_type", GW_LIT("refresh_token"));
		gw_form_put(&b, "refresh_token", k.refresh_token);
		gw_form_put(&b, "client_id", k.client_id);
		gw_form_put(&b, "client_secret", k.client_secret);
	} else if (!e) {
		e = put_assertion(f, &k, usual, &b);
	}
	enum gw_err kept = gw_token_keep_body(f, &b);

	return e ? e : kept;
}

static enum gw_err ask_entra(struct fetch *f, struct call *c)
{
	struct gw_str path = gw_arena_printf(&f->arena, "/%.*s/oauth2/v2.0/token", GW_FMT(f->ask.tenant_id));
	struct gw_buf b;
	enum gw_err e = gw_token_aim(f, c, GW_LIT("https://login.microsoftonline.com"), path);

	c->method = GW_LIT("POST");
	gw_token_add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, 32 << 10);
	gw_form_put(&b, "grant_type", GW_LIT("client_credentials"));
	gw_form_put(&b, "client_id", f->ask.client_id);
	gw_form_put(&b, "client_secret", f->secret);
	gw_form_put(&b, "scope", f->ask.scope);
	enum gw_err kept = gw_token_keep_body(f, &b);

	return e ? e : kept;
}

enum gw_err gw_token_ask_call(struct fetch *f, struct call *c)
{
	switch (f->step) {
	case STS:
		return ask_sts(f, c);
	case OAUTH:
		return f->ask.source == GW_CRED_FROM_INSTANCE       ? gw_token_ask_machine(f, c)
		       : f->ask.source == GW_CRED_FROM_CONTAINER    ? gw_token_ask_app_service(f, c)
		       : f->ask.source == GW_CRED_FROM_WEB_IDENTITY ? gw_token_ask_federated(f, c)
		       : f->ask.kind == GW_CRED_KIND_GCP            ? ask_google(f, c)
								    : ask_entra(f, c);
	case KEYS:
		return f->ask.source == GW_CRED_FROM_CONTAINER ? gw_token_ask_container(f, c)
							       : gw_token_ask_machine(f, c);
	case IMDS_TOKEN:
	case IMDS_ROLE:
		return gw_token_ask_machine(f, c);
	case EXCHANGE:
	case IMPERSONATE:
		return gw_token_ask_exchange(f, c);
	}
	return GW_E_BUG;
}
