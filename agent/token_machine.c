/* What is asked of the surroundings for the identity that they give: metadata services of machines, the endpoints of containers, and the
 * tokens that a platform keeps in files (token_fetch.h). Where they are comes from the service's environment, never from the configuration. */
#include <stdlib.h>
#include <string.h>
#include "agent/token_fetch.h"
#include "lib/json.h"
#include "lib/json_write.h"

static const char metadata_host[] = "http://169.254.169.254", container_host[] = "http://169.254.170.2";

static void near(struct call *c, const char *cidr)
{
	c->near[c->n_near++] = gw_str_z(cidr);
}

static enum gw_err lacks(struct fetch *f, const char *why)
{
	f->why = why;
	return GW_E_CRED_MISSING;
}

/* A value of the environment; NIL when it is not there. */
static struct gw_str env(const char *name)
{
	const char *v = getenv(name);

	return v ? gw_str_z(v) : GW_NIL;
}

static bool is_host(struct gw_str host, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (gw_str_ieq(host, gw_str_z(names[i])))
			return true;
	}
	return false;
}

/* The resource that a scope such as https://cognitiveservices.azure.com/.default is of. */
static struct gw_str resource_of(struct gw_str scope)
{
	struct gw_str def = GW_LIT("/.default");

	if (scope.n > def.n && gw_str_eq(gw_str_skip(scope, scope.n - def.n), def))
		scope.n -= def.n;
	return scope;
}

/* The metadata service of the machine, by vendor. */
enum gw_err gw_token_ask_machine(struct fetch *f, struct call *c)
{
	struct gw_str path;
	struct gw_buf q;

	c->method = GW_LIT("GET");
	near(c, "169.254.169.254/32");
	if (f->ask.kind == GW_CRED_KIND_GCP) {
		gw_token_add(c, "metadata-flavor", GW_LIT("Google"));
		path = GW_LIT("/computeMetadata/v1/instance/service-accounts/default/token");
	} else if (f->ask.kind == GW_CRED_KIND_AZURE) {
		gw_buf_init(&q, 4096);
		gw_form_put(&q, "api-version", GW_LIT("2018-02-01"));
		gw_form_put(&q, "resource", resource_of(f->ask.scope));
		if (f->ask.client_id.n)
			gw_form_put(&q, "client_id", f->ask.client_id);
		path = gw_arena_printf(&f->arena, "/metadata/identity/oauth2/token?%.*s", GW_FMT(gw_buf_view(&q)));
		gw_buf_done(&q);
		gw_token_add(c, "metadata", GW_LIT("true"));
	} else if (f->step == IMDS_TOKEN) {
		c->method = GW_LIT("PUT");
		gw_token_add(c, "x-aws-ec2-metadata-token-ttl-seconds", GW_LIT("300"));
		path = GW_LIT("/latest/api/token");
	} else {
		gw_token_add(c, "x-aws-ec2-metadata-token", f->imds_token);
		gw_buf_init(&q, 4096);
		gw_url_encode(&q, f->imds_role);
		path = gw_arena_printf(&f->arena, "/latest/meta-data/iam/security-credentials/%.*s",
				       GW_FMT(gw_buf_view(&q)));
		gw_buf_done(&q);
	}
	return gw_token_aim(f, c, gw_str_z(metadata_host), path);
}

/* The address that the container's platform has put into our environment: ECS says a path, EKS and others a whole URL. The token that it wants is
 * read anew each time: the platform renews the file. */
enum gw_err gw_token_ask_container(struct fetch *f, struct call *c)
{
	static const char *const close_by[] = { "localhost",     "127.0.0.1",      "::1",
						"169.254.170.2", "169.254.170.23", "fd00:ec2::23" };
	struct gw_str relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		      full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	struct gw_str token = file ? gw_token_read_file(f, file) : env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct gw_url url;

	if (file && !token.n)
		return lacks(f, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE of the service's environment names no file "
				"that can be read.");
	c->method = GW_LIT("GET");
	if (token.n)
		gw_token_add(c, "authorization", token);
	if (relative.n && relative.p[0] == '/') {
		near(c, "169.254.170.2/32");
		return gw_token_aim(f, c, gw_str_z(container_host), relative);
	}
	if (!full.n || gw_url_parse(full, &url))
		return lacks(f, "Neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor _FULL_URI is in the service's "
				"environment: is this a container of ECS, or a pod with EKS Pod Identity?");
	if (is_host(url.host, close_by, sizeof close_by / sizeof close_by[0])) {
		near(c, "127.0.0.0/8");
		near(c, "::1/128");
		near(c, "169.254.170.2/32");
		near(c, "169.254.170.23/32");
		near(c, "fd00:ec2::23/128");
	} else if (!url.is_https) {
		return lacks(f, "AWS_CONTAINER_CREDENTIALS_FULL_URI is plain http to a host that is not this machine: "
				"the token is not sent there.");
	}
	if (url.query.n)
		url.path = gw_arena_printf(&f->arena, "%.*s?%.*s", GW_FMT(url.path), GW_FMT(url.query));
	return gw_token_aim(f, c, full, url.path.n ? url.path : GW_LIT("/"));
}

/* The identity that App Service, Functions and Container Apps give their apps: an address and a header's value in the environment. */
enum gw_err gw_token_ask_app_service(struct fetch *f, struct call *c)
{
	struct gw_str endpoint = env("IDENTITY_ENDPOINT"), header = env("IDENTITY_HEADER");
	struct gw_url url;
	struct gw_buf q;
	enum gw_err e;

	if (!endpoint.n || !header.n || gw_url_parse(endpoint, &url))
		return lacks(f, "IDENTITY_ENDPOINT and IDENTITY_HEADER are not in the service's environment: does this "
				"app have a managed identity?");
	gw_buf_init(&q, 4096);
	gw_form_put(&q, "api-version", GW_LIT("2019-08-01"));
	gw_form_put(&q, "resource", resource_of(f->ask.scope));
	if (f->ask.client_id.n)
		gw_form_put(&q, "client_id", f->ask.client_id);
	c->method = GW_LIT("GET");
	gw_token_add(c, "x-identity-header", header);
	near(c, "127.0.0.0/8");
	near(c, "::1/128");
	near(c, "169.254.0.0/16");
	e = gw_token_aim(f, c, endpoint, url.path);
	c->path = gw_arena_printf(&f->arena, "%.*s?%.*s", GW_FMT(c->path), GW_FMT(gw_buf_view(&q)));
	gw_buf_done(&q);
	return e ? e : c->path.p ? GW_OK : GW_E_NOMEM;
}

/* The platform's token is the proof of who we are, in place of a client secret. */
enum gw_err gw_token_ask_federated(struct fetch *f, struct call *c)
{
	struct gw_str tenant = f->ask.tenant_id.n ? f->ask.tenant_id : env("AZURE_TENANT_ID"),
		      client = f->ask.client_id.n ? f->ask.client_id : env("AZURE_CLIENT_ID"),
		      host = env("AZURE_AUTHORITY_HOST"),
		      token = gw_token_read_file(f, getenv("AZURE_FEDERATED_TOKEN_FILE")), path;
	struct gw_buf b;
	enum gw_err e, kept;

	if (!token.n)
		return lacks(f,
			     "AZURE_FEDERATED_TOKEN_FILE of the service's environment names no file that can be read.");
	if (!tenant.n || !client.n || !gw_provider_is_place(tenant))
		return lacks(f,
			     "tenant_id and client_id are neither in the credential nor in the service's environment "
			     "(AZURE_TENANT_ID, AZURE_CLIENT_ID).");
	if (host.n && host.p[host.n - 1] == '/')
		host.n--;
	path = gw_arena_printf(&f->arena, "/%.*s/oauth2/v2.0/token", GW_FMT(tenant));
	e = gw_token_aim(f, c, host.n ? host : GW_LIT("https://login.microsoftonline.com"), path);
	c->method = GW_LIT("POST");
	gw_token_add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, TOKEN_FORM_MAX);
	gw_form_put(&b, "grant_type", GW_LIT("client_credentials"));
	gw_form_put(&b, "client_id", client);
	gw_form_put(&b, "client_assertion_type", GW_LIT("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	gw_form_put(&b, "client_assertion", token);
	gw_form_put(&b, "scope", f->ask.scope);
	kept = gw_token_keep_body(f, &b);
	return e ? e : kept;
}

/* ---- Google: the platform's token for one of Google's, and that for a service account's ---- */

static enum gw_err ask_impersonation(struct fetch *f, struct call *c, const struct gw_gcp_external *x)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_url usual;
	enum gw_err e, kept;

	if (gw_url_parse(x->impersonation_url, &usual))
		return GW_E_CRED_MISSING;
	gw_buf_init(&b, TOKEN_FORM_MAX);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("scope"));
	gw_jw_arr(&w);
	gw_jw_str(&w, f->ask.scope);
	gw_jw_end_arr(&w);
	gw_jw_kstr(&w, "lifetime", GW_LIT("3600s"));
	gw_jw_end_obj(&w);
	kept = gw_token_keep_body(f, &b);
	e = gw_token_aim(f, c, x->impersonation_url, usual.path);
	c->path = usual.path; /* token_url is the exchange's: of it, only where it is counts here */
	gw_token_add(c, "content-type", GW_LIT("application/json"));
	gw_token_add(c, "authorization", gw_arena_printf(&f->arena, "Bearer %.*s", GW_FMT(f->base)));
	return e ? e : kept;
}

static enum gw_err read_external(struct fetch *f, struct gw_gcp_external *x)
{
	const char *file = getenv("GOOGLE_APPLICATION_CREDENTIALS"), *why = NULL;
	struct gw_str json = gw_token_read_file(f, file);

	if (!json.n)
		return lacks(f, "GOOGLE_APPLICATION_CREDENTIALS of the service's environment names no file that can be "
				"read.");
	if (gw_gcp_external_read(&f->arena, json, x, &why))
		return lacks(f, why);
	return GW_OK;
}

enum gw_err gw_token_ask_exchange(struct fetch *f, struct call *c)
{
	struct gw_gcp_external x;
	struct gw_str subject;
	struct gw_buf b;
	enum gw_err e = read_external(f, &x), kept;

	c->method = GW_LIT("POST");
	if (e || f->step == IMPERSONATE)
		return e ? e : ask_impersonation(f, c, &x);
	subject = gw_token_read_file(f, gw_arena_z(&f->arena, x.file));
	if (x.field.n)
		subject = gw_gcp_subject(&f->arena, subject, x.field);
	if (!subject.n)
		return lacks(f, "credential_source of the file that GOOGLE_APPLICATION_CREDENTIALS names leads to no "
				"token that can be read.");
	f->is_impersonated = x.impersonation_url.n > 0;
	e = gw_token_aim(f, c, x.token_url, GW_LIT("/v1/token"));
	gw_token_add(c, "content-type", GW_LIT("application/x-www-form-urlencoded"));
	gw_buf_init(&b, TOKEN_FORM_MAX);
	gw_form_put(&b, "grant_type", GW_LIT("urn:ietf:params:oauth:grant-type:token-exchange"));
	gw_form_put(&b, "audience", x.audience);
	gw_form_put(&b, "scope", f->ask.scope);
	gw_form_put(&b, "requested_token_type", GW_LIT("urn:ietf:params:oauth:token-type:access_token"));
	gw_form_put(&b, "subject_token_type", x.subject_token_type);
	gw_form_put(&b, "subject_token", subject);
	kept = gw_token_keep_body(f, &b);
	return e ? e : kept;
}

/* ---- the sandbox ---- */

static bool folder_of(const char *path, char *out, size_t room)
{
	const char *slash = path && path[0] == '/' ? strrchr(path, '/') : NULL;
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n == 0 || n >= room)
		return false;
	memcpy(out, path, n);
	out[n] = '\0';
	return true;
}

/* The folder of the file that Google's file names. */
static bool external_folder(char *out, size_t room)
{
	struct fetch *f = calloc(1, sizeof *f);
	struct gw_gcp_external x;
	bool is_there = false;

	if (!f)
		return false;
	gw_arena_init(&f->arena, f->block, sizeof f->block, sizeof f->block);
	if (read_external(f, &x) == GW_OK)
		is_there = folder_of(gw_arena_z(&f->arena, x.file), out, room);
	free(f);
	return is_there;
}

uint32_t gw_token_folders(const char *out[GW_TOKEN_FOLDERS])
{
	static const char *const files[] = { "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
					     "AZURE_FEDERATED_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS" };
	static char paths[GW_TOKEN_FOLDERS][4096];
	uint32_t n = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (folder_of(getenv(files[i]), paths[n], sizeof paths[n]))
			n++;
	}
	if (external_folder(paths[n], sizeof paths[n]))
		n++;
	for (uint32_t i = 0; i < n; i++)
		out[i] = paths[i];
	return n;
}
