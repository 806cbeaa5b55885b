/* Calls to the admin API and test calls to the data plane, by libcurl. Tokens are read from files or the environment, sent in a header that is
 * wiped afterwards, and never printed. */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/secret.h"
#include "lib/sse.h"
#include "lib/sys/boot.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "lib/url.h"

enum { REPLY_MAX = 256 << 20, TOKEN_MAX = 4096 };

void cli_client_start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}
void cli_client_end(void)
{
	curl_global_cleanup();
}

/* --- where and who --- */
const char *cli_data_dir(struct cli *c)
{
	static char path[4096];
	const char *d = c->o.data_dir ? c->o.data_dir : getenv("LLMGW_DATA_DIR");

	if (!d)
		d = access("./var/config", F_OK) == 0 || access("./var/admin.token", F_OK) == 0 ? "./var"
												: "/var/lib/llmgw";
	if (!realpath(d, path))
		snprintf(path, sizeof path, "%s", d);
	return path;
}

/* The admin socket of a gateway on this machine, when it is there. */
static const char *socket_path(struct cli *c)
{
	static char path[600];
	struct gw_buf b;
	struct stat st;

	gw_buf_init(&b, 512);
	gw_boot_runtime_dir(cli_data_dir(c), &b);
	snprintf(path, sizeof path, "%.*s/admin.sock", GW_FMT(gw_buf_view(&b)));
	gw_buf_done(&b);
	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode) ? path : NULL;
}

static void strip(struct gw_buf *b)
{
	while (b->n && (b->p[b->n - 1] == '\n' || b->p[b->n - 1] == '\r' || b->p[b->n - 1] == ' '))
		b->n--;
}

/* "Authorization: Bearer <token>" into a buffer that the caller wipes; empty when there is no token. */
static void auth_header(struct cli *c, struct gw_buf *h)
{
	const char *env = getenv(c->token_env ? c->token_env : "LLMGW_ADMIN_TOKEN");
	struct gw_buf t;
	char path[4200];

	gw_buf_init(&t, TOKEN_MAX);
	if (c->o.token_file || (!env && !c->token_env && !c->has_own_token)) {
		snprintf(path, sizeof path, "%s%s", c->o.token_file ? c->o.token_file : cli_data_dir(c),
			 c->o.token_file ? "" : "/admin.token");
		if (gw_read_file(AT_FDCWD, path, &t) != GW_OK)
			gw_buf_clear(&t, TOKEN_MAX);
	} else if (env) {
		gw_buf_puts(&t, gw_str_z(env));
	}
	strip(&t);
	if (t.n) {
		gw_buf_puts(h, GW_LIT("Authorization: Bearer "));
		gw_buf_puts(h, gw_buf_view(&t));
		gw_buf_putc(h, 0);
	}
	gw_wipe(t.p, t.n);
	gw_buf_done(&t);
}

struct gw_str cli_key(struct cli *c)
{
	const char *k = c->o.key ? c->o.key : getenv("LLMGW_KEY");
	struct gw_buf b;
	struct gw_str out;

	if (!k)
		return GW_NIL;
	if (!c->o.key)
		return gw_str_z(k);
	if (k[0] != '@') {
		cli_error("--key: give a file as --key @FILE, or set LLMGW_KEY; a key on the command line is visible "
			  "to others");
		return GW_NIL;
	}
	gw_buf_init(&b, TOKEN_MAX);
	if (gw_read_file(AT_FDCWD, k + 1, &b))
		cli_error("cannot read %s", k + 1);
	strip(&b);
	out = gw_arena_str(&c->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

/* --- one call --- */
static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct gw_buf *b = ctx;

	gw_buf_put(b, p, size * n);
	return b->err ? 0 : size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct cli_reply *r = ctx;
	struct gw_str line = gw_str(p, size * n), name, value;

	if (gw_str_cut(line, ':', &name, &value) && gw_str_ieq(name, GW_LIT("etag"))) {
		while (value.n && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == '\n'))
			value.n--;
		value = gw_str_trim(value);
		snprintf(r->etag, sizeof r->etag, "%.*s", GW_FMT(value));
	}
	return size * n;
}

struct call {
	CURL *h;
	struct curl_slist *headers;
	struct gw_buf auth, url;
	const char *where; /* for messages */
};

static void add_header(struct call *k, const char *text)
{
	struct curl_slist *s = curl_slist_append(k->headers, text);

	if (s)
		k->headers = s;
}

static long timeout_ms(const struct cli *c)
{
	uint64_t ms;

	return c->o.timeout && gw_duration_read(gw_str_z(c->o.timeout), &ms) ? (long)ms : 30000L;
}

static const char *named_server(struct cli *c)
{
	return c->o.server ? c->o.server : getenv("LLMGW_ADMIN_URL");
}

const char *cli_server(struct cli *c)
{
	const char *server = named_server(c), *sock = server ? NULL : socket_path(c);

	return sock ? sock : server ? server : "http://127.0.0.1:4001";
}

static bool begin(struct cli *c, struct call *k, struct gw_str path, struct gw_str query)
{
	const char *sock = named_server(c) ? NULL : socket_path(c);

	*k = (struct call){ .h = curl_easy_init() };
	gw_buf_init(&k->auth, TOKEN_MAX + 64);
	gw_buf_init(&k->url, 16384);
	if (!k->h)
		return false;
	k->where = cli_server(c);
	struct gw_str base = gw_str_z(sock ? "http://localhost" : k->where);
	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	gw_buf_puts(&k->url, base);
	gw_buf_puts(&k->url, path);
	if (query.n) {
		gw_buf_putc(&k->url, '?');
		gw_buf_puts(&k->url, query);
	}
	gw_buf_putc(&k->url, 0);
	curl_easy_setopt(k->h, CURLOPT_URL, k->url.p);
	if (sock)
		curl_easy_setopt(k->h, CURLOPT_UNIX_SOCKET_PATH, sock);
	curl_easy_setopt(k->h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(k->h, CURLOPT_PROXY, "");
	curl_easy_setopt(k->h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(k->h, CURLOPT_TIMEOUT_MS, timeout_ms(c));
	curl_easy_setopt(k->h, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
	auth_header(c, &k->auth);
	if (k->auth.n)
		add_header(k, k->auth.p);
	add_header(k, "Expect:");
	return true;
}

/* libcurl's copy of the auth header is wiped too. */
static void end(struct call *k)
{
	for (struct curl_slist *s = k->headers; s; s = s->next)
		gw_wipe(s->data, strlen(s->data));
	curl_slist_free_all(k->headers);
	if (k->auth.n)
		gw_wipe(k->auth.p, k->auth.n);
	gw_buf_done(&k->auth);
	gw_buf_done(&k->url);
	if (k->h)
		curl_easy_cleanup(k->h);
}

static int unreachable(const struct call *k, CURLcode rc)
{
	cli_error("cannot reach the admin API at %s: %s", k->where, curl_easy_strerror(rc));
	cli_hint("Is the gateway running? (`./run --status`, `systemctl status llmgw`; --server, --data-dir, --context "
		 "name another one)");
	return CLI_UNREACHABLE;
}

static void set_body(struct call *k, const char *method, struct gw_str body, const char *type)
{
	char content[80];

	if (body.p) {
		snprintf(content, sizeof content, "Content-Type: %s", type ? type : "application/json");
		add_header(k, content);
		curl_easy_setopt(k->h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(k->h, CURLOPT_POSTFIELDS, body.p);
	} else if (strcmp(method, "POST") == 0) {
		curl_easy_setopt(k->h, CURLOPT_POSTFIELDSIZE, 0L);
		curl_easy_setopt(k->h, CURLOPT_POSTFIELDS, "");
		add_header(k, "Content-Type: application/json");
	}
}

static int call(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		const char *type, const struct cli_how *how, struct cli_reply *r)
{
	struct call k;
	char match[80];
	CURLcode rc;

	*r = (struct cli_reply){ 0 };
	gw_buf_init(&r->body, REPLY_MAX);
	if (!begin(c, &k, path, query)) {
		end(&k);
		return CLI_FAILED;
	}
	curl_easy_setopt(k.h, CURLOPT_CUSTOMREQUEST, method);
	set_body(&k, method, body, type);
	if (how->if_match) {
		snprintf(match, sizeof match, "If-Match: %s", how->if_match);
		add_header(&k, match);
	}
	if (how->timeout_ms)
		curl_easy_setopt(k.h, CURLOPT_TIMEOUT_MS, how->timeout_ms);
	curl_easy_setopt(k.h, CURLOPT_HTTPHEADER, k.headers);
	curl_easy_setopt(k.h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(k.h, CURLOPT_WRITEDATA, &r->body);
	curl_easy_setopt(k.h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(k.h, CURLOPT_HEADERDATA, r);
	rc = curl_easy_perform(k.h);
	int out = rc == CURLE_OK ? CLI_OK : how->is_silent ? CLI_UNREACHABLE : unreachable(&k, rc);
	curl_easy_getinfo(k.h, CURLINFO_RESPONSE_CODE, &r->status);
	end(&k);
	return out;
}

int cli_call(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
	     const char *type, struct cli_reply *r)
{
	static const struct cli_how plain;

	return call(c, method, path, query, body, type, &plain, r);
}

int cli_call_how(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		 const struct cli_how *how, struct cli_reply *r)
{
	return call(c, method, path, query, body, NULL, how, r);
}

void cli_reply_done(struct cli_reply *r)
{
	gw_buf_done(&r->body);
}

static int exit_of(long status)
{
	switch (status) {
	case 401:
	case 403:
		return CLI_AUTH;
	case 404:
		return CLI_NOT_FOUND;
	case 409:
	case 412:
		return CLI_CONFLICT;
	case 400:
	case 413:
	case 415:
		return CLI_INVALID;
	default:
		return CLI_FAILED;
	}
}

static void say_faults(struct cli *c, yyjson_val *error)
{
	size_t i, n;
	yyjson_val *v;
	uint32_t line, column;

	yyjson_arr_foreach(yyjson_obj_get(error, "faults"), i, n, v)
	{
		const char *at = yyjson_get_str(yyjson_obj_get(v, "pointer")),
			   *m = yyjson_get_str(yyjson_obj_get(v, "message"));

		char place[512] = "";

		if (at && cli_where(c, gw_str_z(at), &line, &column))
			snprintf(place, sizeof place, "%s: line %u, column %u: ", c->pos_name, line, column);
		cli_note("  %s%s%s%s", place, at && at[0] ? at : "", at && at[0] ? ": " : "", m ? m : "");
	}
	yyjson_arr_foreach(yyjson_obj_get(error, "used_by"), i, n, v)
	    cli_note("  used by %.*s %.*s", GW_FMT(gw_json_str(yyjson_obj_get(v, "kind"))),
		     GW_FMT(gw_json_str(yyjson_obj_get(v, "id"))));
}

/* An array of the answer as JSON text, NIL when there is none; free'd with the arena. */
static struct gw_str array_text(struct cli *c, yyjson_val *e, const char *name)
{
	yyjson_val *v = yyjson_obj_get(e, name);
	struct gw_json_out w;
	struct gw_str out;
	struct gw_buf b;

	if (!v)
		return GW_NIL;
	gw_buf_init(&b, 256 << 10);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	out = b.err ? GW_NIL : gw_arena_str(&c->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

int cli_say_error(struct cli *c, const struct cli_reply *r)
{
	struct gw_json_fault fault;
	yyjson_doc *doc = NULL;

	if (gw_json_read(gw_buf_view(&r->body), &gw_json_default_limits, &doc, &fault)) {
		cli_error("the gateway answered HTTP %ld", r->status);
		return exit_of(r->status);
	}
	yyjson_val *e = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
	const char *m = yyjson_get_str(yyjson_obj_get(e, "message")), *code = yyjson_get_str(yyjson_obj_get(e, "code"));
	const char *hint = yyjson_get_str(yyjson_obj_get(e, "hint"));
	cli_error_facts(code ? code : yyjson_get_str(yyjson_obj_get(e, "name")), r->status, array_text(c, e, "faults"),
			array_text(c, e, "used_by"));
	cli_error("%s", m ? m : "the gateway refused the call");
	say_faults(c, e);
	if (hint)
		cli_hint("%s", hint);
	yyjson_doc_free(doc);
	return exit_of(r->status);
}

int cli_call_ok(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		struct cli_reply *r)
{
	int rc = cli_call(c, method, path, query, body, NULL, r);

	if (rc == CLI_OK && r->status >= 400)
		rc = cli_say_error(c, r);
	return rc;
}

/* --- streams --- */
struct events {
	struct gw_sse sse;
	cli_event_fn *fn;
	void *ctx;
	bool is_over, is_raw; /* raw: pieces as they come */
	CURL *h;
	struct gw_buf error;
};

static void on_event(void *ctx, const struct gw_sse_event *ev)
{
	struct events *s = ctx;

	if (!s->is_over && ev->has_data && !s->fn(s->ctx, ev->data))
		s->is_over = true;
}

static size_t on_stream(char *p, size_t size, size_t n, void *ctx)
{
	struct events *s = ctx;
	long status = 0;

	curl_easy_getinfo(s->h, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) {
		gw_buf_put(&s->error, p, size * n);
		return size * n;
	}
	if (s->is_raw)
		return s->fn(s->ctx, gw_str(p, size * n)) ? size * n : 0;
	if (gw_sse_feed(&s->sse, p, size * n, on_event, s) || s->is_over)
		return 0;
	return size * n;
}

static int follow(struct cli *c, struct gw_str path, struct gw_str query, bool is_raw, cli_event_fn *fn, void *ctx)
{
	struct events s = { .fn = fn, .ctx = ctx, .is_raw = is_raw };
	struct cli_reply r = { 0 };
	struct call k;
	int out = CLI_OK;

	gw_sse_init(&s.sse, 1 << 20, 4 << 20);
	gw_buf_init(&s.error, 64 << 10);
	if (!begin(c, &k, path, query))
		return CLI_FAILED;
	s.h = k.h;
	curl_easy_setopt(k.h, CURLOPT_HTTPHEADER, k.headers);
	curl_easy_setopt(k.h, CURLOPT_TIMEOUT_MS, c->o.timeout ? timeout_ms(c) : 0L);
	curl_easy_setopt(k.h, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(k.h, CURLOPT_WRITEDATA, &s);
	CURLcode rc = curl_easy_perform(k.h);
	curl_easy_getinfo(k.h, CURLINFO_RESPONSE_CODE, &r.status);
	if (r.status >= 400) {
		r.body = s.error;
		out = cli_say_error(c, &r);
	} else if (rc != CURLE_OK && !s.is_over && !(rc == CURLE_OPERATION_TIMEDOUT && c->o.timeout)) {
		out = unreachable(&k, rc);
	}
	gw_buf_done(&s.error);
	gw_sse_done(&s.sse);
	end(&k);
	return out;
}

int cli_stream(struct cli *c, struct gw_str path, struct gw_str query, cli_event_fn *fn, void *ctx)
{
	return follow(c, path, query, false, fn, ctx);
}

int cli_download(struct cli *c, struct gw_str path, struct gw_str query, cli_event_fn *piece, void *ctx)
{
	return follow(c, path, query, true, piece, ctx);
}

struct pieces {
	cli_event_fn *fn;
	void *ctx;
};

static size_t on_piece(char *p, size_t size, size_t n, void *ctx)
{
	struct pieces *s = ctx;

	return s->fn(s->ctx, gw_str(p, size * n)) ? size * n : 0;
}

int cli_post_gateway(struct cli *c, struct gw_str url, struct gw_str key, struct gw_str body, cli_event_fn *piece,
		     void *ctx, long *status)
{
	struct pieces s = { piece, ctx };
	struct curl_slist *headers = NULL;
	CURL *h = curl_easy_init();
	char *z = gw_arena_z(&c->arena, url);
	char *auth = gw_arena_z(&c->arena, gw_arena_printf(&c->arena, "Authorization: Bearer %.*s", GW_FMT(key)));
	CURLcode rc;

	if (!h || !z || !auth)
		return CLI_FAILED;
	headers = curl_slist_append(headers, auth);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(h, CURLOPT_URL, z);
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, c->o.timeout ? timeout_ms(c) : 120000L);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	curl_easy_setopt(h, CURLOPT_POSTFIELDS, body.p);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_piece);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &s);
	rc = curl_easy_perform(h);
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, status);
	for (struct curl_slist *l = headers; l; l = l->next)
		gw_wipe(l->data, strlen(l->data));
	curl_slist_free_all(headers);
	gw_wipe(auth, strlen(auth));
	curl_easy_cleanup(h);
	if (rc != CURLE_OK) {
		cli_error("cannot reach the gateway at %s: %s", z, curl_easy_strerror(rc));
		return CLI_UNREACHABLE;
	}
	return CLI_OK;
}

/* --- downloads --- */
struct download {
	cli_event_fn *piece;
	void *ctx;
	CURL *h;
	struct gw_buf error;
};

static size_t on_download(char *p, size_t size, size_t n, void *ctx)
{
	struct download *d = ctx;
	long status = 0;

	curl_easy_getinfo(d->h, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) {
		gw_buf_put(&d->error, p, size * n);
		return size * n;
	}
	return d->piece(d->ctx, gw_str(p, size * n)) ? size * n : 0;
}

int cli_post_download(struct cli *c, struct gw_str path, struct gw_str body, cli_event_fn *piece, void *ctx)
{
	struct download d = { .piece = piece, .ctx = ctx };
	struct cli_reply r = { 0 };
	struct call k;
	int out = CLI_FAILED;

	gw_buf_init(&d.error, 64 << 10);
	if (begin(c, &k, path, GW_NIL)) {
		d.h = k.h;
		set_body(&k, "POST", body, NULL);
		curl_easy_setopt(k.h, CURLOPT_HTTPHEADER, k.headers);
		curl_easy_setopt(k.h, CURLOPT_TIMEOUT_MS, c->o.timeout ? timeout_ms(c) : 0L);
		curl_easy_setopt(k.h, CURLOPT_LOW_SPEED_LIMIT, 1L); /* nothing for two minutes: it is over */
		curl_easy_setopt(k.h, CURLOPT_LOW_SPEED_TIME, 120L);
		curl_easy_setopt(k.h, CURLOPT_WRITEFUNCTION, on_download);
		curl_easy_setopt(k.h, CURLOPT_WRITEDATA, &d);
		CURLcode rc = curl_easy_perform(k.h);

		curl_easy_getinfo(k.h, CURLINFO_RESPONSE_CODE, &r.status);
		r.body = d.error;
		out = r.status >= 400  ? cli_say_error(c, &r)
		      : rc == CURLE_OK ? CLI_OK
		      : r.status == 0  ? unreachable(&k, rc)
				       : CLI_FAILED;
		if (r.status == 200 && rc != CURLE_OK && rc != CURLE_WRITE_ERROR)
			cli_error("the answer was cut: %s", curl_easy_strerror(rc));
	}
	end(&k);
	gw_buf_done(&d.error);
	return out;
}
