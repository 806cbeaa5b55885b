/* Gateways for `tune`: started, set up through their own admin API, ended, and nothing left of them. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/llmgw-bench_gateway.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"

enum { READY_MS = 60000, STOP_MS = 60000, MAX_ARGS = 64 };

__attribute__((format(printf, 3, 4))) static bool fail(char *why, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, n, fmt, ap);
	va_end(ap);
	return false;
}

bool bench_find_program(const char *name, char *path, size_t n)
{
	char self[512];
	ssize_t r = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct gw_str rest = gw_str_z(getenv("PATH")), folder;

	GW_REQUIRE(path != NULL && n > 0);

	if (r > 0) {
		self[r] = '\0';
		char *slash = strrchr(self, '/');

		if (slash)
			*slash = '\0';
		snprintf(path, n, "%s/%s", self, name);
		if (access(path, X_OK) == 0)
			return true;
		snprintf(path, n, "%s/../%s", self, name); /* a build folder keeps this program one below */
		if (access(path, X_OK) == 0)
			return true;
	}
	while (rest.n > 0) {
		gw_str_cut(rest, ':', &folder, &rest);
		snprintf(path, n, "%.*s/%s", GW_FMT(folder), name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static uint16_t free_port(void)
{
	int fd = -1;
	uint16_t port = 0;

	if (gw_listen_tcp(GW_LIT("127.0.0.1"), 0, &fd) == GW_OK) {
		port = gw_socket_port(fd);
		gw_close(&fd);
	}
	return port;
}

static bool launch(struct bench_child *c, char *const argv[])
{
	char log[300];

	snprintf(log, sizeof(log), "%s/log", c->folder);
	c->pid = fork();
	if (c->pid != 0)
		return c->pid > 0;
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDONLY);

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || fd < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	gw_close_from(3);
	execv(argv[0], argv);
	_exit(127);
}

static bool make_folder(struct bench_child *c)
{
	const char *where = getenv("TMPDIR");

	snprintf(c->folder, sizeof(c->folder), "%s/llmgw-tune-XXXXXX", where && *where ? where : P_tmpdir);
	return mkdtemp(c->folder) != NULL;
}

static bool has_ended(struct bench_child *c)
{
	return waitpid(c->pid, NULL, WNOHANG) == c->pid;
}

/* Waits until `url` answers 200; the end of the log when it does not. */
static bool wait_ready(struct bench_child *c, const char *url, char *why, size_t n_why)
{
	struct gw_buf out;
	char path[300];
	uint64_t end = gw_now_ms() + READY_MS;
	int status = 0;

	gw_buf_init(&out, 1 << 20);
	while (gw_now_ms() < end && status != 200) {
		if (has_ended(c)) {
			c->pid = 0;
			break;
		}
		gw_buf_clear(&out, 4096);
		status = bench_call("GET", url, NULL, GW_NIL, &out);
		if (status != 200)
			gw_sleep_ms(50);
	}
	gw_buf_done(&out);
	if (status == 200)
		return true;
	gw_buf_init(&out, 16 << 20);
	snprintf(path, sizeof(path), "%s/log", c->folder);
	if (gw_read_file(AT_FDCWD, path, &out) != GW_OK)
		gw_buf_clear(&out, 0);
	size_t n = gw_buf_len(&out), skip = n > 600 ? n - 600 : 0;

	snprintf(why, n_why, "%s%.*s", c->pid ? "it did not become ready: " : "it ended: ", (int)(n - skip),
		 out.p ? out.p + skip : "");
	gw_buf_done(&out);
	return false;
}

bool bench_mock_start(struct bench_child *m, const char *program, char *why, size_t n_why)
{
	char listen[40], url[80];

	m->port = free_port();
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", m->port);
	snprintf(m->url, sizeof(m->url), "http://%s/v1", listen);
	snprintf(url, sizeof(url), "http://%s/mock/stats", listen);
	if (!make_folder(m) ||
	    !launch(m, (char *[]){ (char *)(uintptr_t)program, (char *)(uintptr_t) "--listen", listen,
				   (char *)(uintptr_t) "--keep", (char *)(uintptr_t) "1", NULL }))
		return fail(why, n_why, "cannot start %s: %s", program, uv_strerror(-errno));
	return wait_ready(m, url, why, n_why);
}

/* --- setting a gateway up --- */

static bool call(struct bench_child *g, const char *method, const char *path, const char *token, struct gw_str body,
		 struct gw_buf *out, char *why, size_t n_why)
{
	char url[200];
	int status;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/admin/v1/%s", g->admin_port, path);
	gw_buf_clear(out, SIZE_MAX);
	status = bench_call(method, url, token, body, out);
	if (status >= 200 && status < 300)
		return true;
	return fail(why, n_why, "%s %s: %d %.*s", method, path, status,
		    (int)(gw_buf_len(out) < 300 ? gw_buf_len(out) : 300), out->p ? out->p : "");
}

/* {"name": value}: numbers and booleans bare, all else quoted. */
static void put_setting(struct gw_buf *b, const struct bench_setting *s)
{
	uint64_t v;
	struct gw_str value = gw_str_z(s->value);
	bool is_bare = gw_str_u64(value, &v) || gw_str_eq(value, GW_LIT("true")) || gw_str_eq(value, GW_LIT("false"));

	gw_buf_clear(b, 4096);
	gw_buf_printf(b, "{\"%s\":", s->name);
	if (is_bare)
		gw_buf_puts(b, value);
	else
		gw_json_quote(b, value);
	gw_buf_putc(b, '}');
}

static void put_objects(struct gw_buf *b, const char *upstream, bool is_private)
{
	const char *key = getenv("LLMGW_UPSTREAM_KEY");

	gw_buf_puts(b,
		    GW_LIT("[{\"kind\":\"org\",\"id\":\"tune\"},{\"kind\":\"team\",\"id\":\"tune\",\"org\":\"tune\"},"
			   "{\"kind\":\"provider\",\"id\":\"tune\",\"type\":\"openai-compatible\",\"base_url\":"));
	gw_json_quote(b, gw_str_z(upstream));
	if (is_private)
		gw_buf_puts(b, GW_LIT(",\"allow_private\":[\"127.0.0.1/32\"]"));
	gw_buf_puts(b, GW_LIT(",\"max_connections\":16384},{\"kind\":\"credential\",\"id\":\"tune\",\"provider\":"
			      "\"tune\",\"secret\":"));
	gw_json_quote(b, gw_str_z(key && *key ? key : "sk-mock-credential"));
	gw_buf_puts(b,
		    GW_LIT("},{\"kind\":\"deployment\",\"id\":\"tune\",\"provider\":\"tune\",\"credential\":\"tune\","
			   "\"upstream_model\":\"demo\",\"probe\":\"none\",\"activation\":\"immediate\"},"
			   "{\"kind\":\"model\",\"id\":\"demo\",\"targets\":[{\"deployment\":\"tune\"}]}]"));
}

static bool read_token(struct bench_child *g, struct gw_buf *token)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/data/admin.token", g->folder);
	if (gw_read_file(AT_FDCWD, path, token) != GW_OK)
		return false;
	while (gw_buf_len(token) > 0 && (unsigned char)token->p[token->n - 1] <= ' ')
		token->n--;
	gw_buf_putc(token, '\0');
	return !token->err;
}

static bool set_up(struct bench_child *g, const char *token, const char *upstream, bool is_private,
		   const struct bench_setting *set, size_t n_set, char *why, size_t n_why)
{
	struct gw_buf body, out;
	yyjson_doc *doc;
	bool ok;

	gw_buf_init(&body, 1 << 20);
	gw_buf_init(&out, 16 << 20);
	put_objects(&body, upstream, is_private);
	ok =
	    call(g, "PATCH", "settings/default", token,
		 GW_LIT("{\"max_connections_per_ip\":65536,\"max_in_flight_per_key\":65536,\"max_connections\":65536}"),
		 &out, why, n_why) &&
	    call(g, "POST", "config:apply", token, gw_buf_view(&body), &out, why, n_why);
	for (size_t i = 0; ok && i < n_set; i++) {
		if (strcmp(set[i].place, "boot") == 0)
			continue;
		put_setting(&body, &set[i]);
		ok = call(g, "PATCH", strcmp(set[i].place, "provider") == 0 ? "providers/tune" : "settings/default",
			  token, gw_buf_view(&body), &out, why, n_why);
	}
	ok = ok && call(g, "POST", "keys", token, GW_LIT("{\"id\":\"tune\",\"org\":\"tune\",\"team\":\"tune\"}"), &out,
			why, n_why);
	if (ok) {
		doc = yyjson_read(out.p, gw_buf_len(&out), 0);
		const char *text = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "token"));

		snprintf(g->key, sizeof(g->key), "%s", text ? text : "");
		yyjson_doc_free(doc);
		ok = g->key[0] || fail(why, n_why, "the new key has no token");
	}
	gw_buf_done(&body);
	gw_buf_done(&out);
	return ok;
}

bool bench_gateway_start(struct bench_child *g, const char *program, const char *upstream,
			 const struct bench_setting *set, size_t n_set, char *why, size_t n_why)
{
	char data[300], root_key[300], listen[40], admin[40], ready[80], names[BENCH_MAX_KNOBS][64];
	const char *argv[MAX_ARGS] = { program,  "--data-dir", data,   "--runtime-dir",  g->runtime, "--root-key",
				       root_key, "--listen",   listen, "--admin-listen", admin };
	size_t n = 11;
	struct gw_buf token;
	bool ok;

	if (!make_folder(g))
		return fail(why, n_why, "cannot make a folder: %s", uv_strerror(-errno));
	snprintf(g->runtime, sizeof(g->runtime), "%s%s", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : g->folder,
		 g->folder + (strrchr(g->folder, '/') - g->folder));
	snprintf(data, sizeof(data), "%s/data", g->folder);
	snprintf(root_key, sizeof(root_key), "%s/root.key", g->folder);
	g->port = free_port();
	g->admin_port = free_port();
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", g->port);
	snprintf(admin, sizeof(admin), "127.0.0.1:%u", g->admin_port);
	snprintf(g->url, sizeof(g->url), "http://%s", listen);
	snprintf(ready, sizeof(ready), "http://%s/readyz", listen);
	for (size_t i = 0; i < n_set; i++) {
		if (strcmp(set[i].place, "boot") != 0)
			continue;
		snprintf(names[i], sizeof(names[i]), "--%s", set[i].name);
		for (char *p = names[i]; *p; p++)
			*p = *p == '_' ? '-' : *p;
		argv[n++] = names[i];
		argv[n++] = set[i].value;
	}
	if (geteuid() == 0)
		argv[n++] = "--allow-root";
	if (!launch(g, (char *const *)(uintptr_t)argv))
		return fail(why, n_why, "cannot start %s: %s", program, uv_strerror(-errno));
	if (!wait_ready(g, ready, why, n_why))
		return false;
	gw_buf_init(&token, 65536);
	ok = read_token(g, &token)
		 ? set_up(g, token.p, upstream, strstr(upstream, "//127.") != NULL, set, n_set, why, n_why)
		 : fail(why, n_why, "no admin token in %s", data);
	gw_buf_done(&token);
	return ok;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	(void)remove(path);
	return 0; /* the rest goes all the same */
}

void bench_child_stop(struct bench_child *c)
{
	uint64_t end = gw_now_ms() + STOP_MS;

	if (c->pid > 0) {
		bool gone = kill(c->pid, SIGTERM) != 0;

		while (!gone && gw_now_ms() < end) {
			gone = has_ended(c);
			if (!gone)
				gw_sleep_ms(10);
		}
		if (!gone && kill(c->pid, SIGKILL) == 0)
			(void)waitpid(c->pid, NULL, 0);
		c->pid = 0;
	}
	if (c->runtime[0])
		(void)nftw(c->runtime, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (c->folder[0])
		(void)nftw(c->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
