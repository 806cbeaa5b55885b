/* The malformed requests of the corpora, in one process over socketpairs: whole, cut in two at every offset, and
 * byte by byte. However the bytes arrive, the answers must be the same. (Over real sockets:
 * tests/corpora/http_corpus.py.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "tests/unit/net/h1_app.h"

enum { SKIP = 77, MAX_CUTS = 400, GOT_BYTES = 1 << 20 };

static uv_loop_t loop;
static struct h1_app app;
static char got[GOT_BYTES];
static size_t n_runs;

struct outcome {
	int statuses[64];
	int n;
	bool is_end, is_smuggled, is_odd;
};

static void turns(int n)
{
	while (n--)
		uv_run(&loop, UV_RUN_NOWAIT);
}

static size_t read_all(int fd, size_t n, bool *is_end)
{
	for (;;) {
		ssize_t r = recv(fd, got + n, sizeof(got) - n, MSG_DONTWAIT);

		if (r > 0)
			n += (size_t)r;
		else {
			*is_end = r == 0 || (errno != EAGAIN && errno != EINTR);
			return n;
		}
	}
}

/* Status lines, 100 left out. */
static void read_outcome(size_t n, struct outcome *o)
{
	struct gw_str rest = gw_str(got, n);

	o->is_odd = n > 0 && !gw_str_has_prefix(rest, GW_LIT("HTTP/1.1 "));
	o->is_smuggled = memmem(got, n, "/smuggled", 9) != NULL;
	while (rest.n >= 12) {
		const char *at = memmem(rest.p, rest.n, "HTTP/1.1 ", 9);
		uint64_t status = 0;

		if (!at)
			break;
		rest = gw_str_skip(rest, (size_t)(at - rest.p) + 9);
		if (gw_str_u64(gw_str(rest.p, rest.n < 3 ? rest.n : 3), &status) && status != 100 && o->n < 64)
			o->statuses[o->n++] = (int)status;
	}
}

static void send_piece(int fd, struct gw_str p, size_t *n, bool *is_end)
{
	while (p.n) {
		ssize_t w = send(fd, p.p, p.n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w < 0 && errno != EAGAIN)
			break; /* the server is done with us */
		p = gw_str_skip(p, w > 0 ? (size_t)w : 0);
		turns(1);
		*n = read_all(fd, *n, is_end);
	}
}

/* Sends raw in pieces ending at the given step (0: one cut at `at`). */
static struct outcome run(struct gw_str raw, size_t at, size_t step)
{
	struct outcome o = { .n = 0 };
	bool is_end = false;
	size_t n = 0;
	int fds[2];

	n_runs++;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	gw_h1_adopt(app.server, fds[0]);
	if (step == 0) {
		send_piece(fds[1], gw_str(raw.p, at), &n, &is_end);
		send_piece(fds[1], gw_str_skip(raw, at), &n, &is_end);
	} else {
		for (size_t i = 0; i < raw.n; i += step)
			send_piece(fds[1], gw_str(raw.p + i, raw.n - i < step ? raw.n - i : step), &n, &is_end);
	}
	for (int i = 0; i < 3; i++) {
		turns(1);
		n = read_all(fds[1], n, &is_end);
	}
	read_outcome(n, &o);
	o.is_end = is_end;
	close(fds[1]);
	for (int i = 0; i < 20 && gw_h1_open(app.server); i++)
		turns(1);
	turns(1);
	assert_int_equal(gw_h1_open(app.server), 0);
	return o;
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
	return a->n == b->n && a->is_end == b->is_end &&
	       memcmp(a->statuses, b->statuses, sizeof(int) * (size_t)a->n) == 0;
}

static int complain(const char *id, const char *what, size_t at, const struct outcome *o)
{
	printf("%s: %s (cut at %zu):", id, what, at);
	for (int i = 0; i < o->n; i++)
		printf(" %d", o->statuses[i]);
	printf("%s\n", o->is_end ? " end" : "");
	return 1;
}

/* All ways of sending one case; returns how many went wrong. */
static int check_case(const char *id, struct gw_str raw, int max_responses, struct outcome *whole)
{
	size_t step = raw.n / MAX_CUTS + 1;
	int bad = 0;

	*whole = run(raw, raw.n, 0);
	if (whole->is_smuggled || whole->is_odd)
		bad += complain(id, "smuggled or not HTTP", 0, whole);
	if (whole->n > max_responses)
		bad += complain(id, "too many answers", 0, whole);
	for (size_t at = 1; at < raw.n && bad < 3; at += step) {
		struct outcome o = run(raw, at, 0);

		if (!is_same(&o, whole) || o.is_smuggled)
			bad += complain(id, "not the same as whole", at, &o);
	}
	if (raw.n < 10000) {
		struct outcome o = run(raw, 0, 1);

		if (!is_same(&o, whole) || o.is_smuggled)
			bad += complain(id, "not the same byte by byte", 0, &o);
	}
	return bad;
}

static bool read_cases(const char *set, struct gw_buf *text, yyjson_doc **doc)
{
	const char *shared = getenv("LLMGW_SHARED");
	char path[512];

	snprintf(path, sizeof(path), "%s/corpora/%s/cases.json", shared ? shared : "../shared", set);
	gw_buf_init(text, 16 << 20);
	if (gw_read_file(AT_FDCWD, path, text) != GW_OK) {
		printf("SKIP: no corpus at %s (set LLMGW_SHARED)\n", path);
		exit(SKIP);
	}
	*doc = yyjson_read(text->p, text->n, 0);
	return *doc != NULL;
}

static void get_raw(yyjson_val *c, struct gw_buf *raw)
{
	const char *b64 = yyjson_get_str(yyjson_obj_get(c, "raw_b64"));
	size_t at = 0;

	gw_buf_clear(raw, SIZE_MAX);
	if (!b64 || !gw_b64_read(raw, gw_str_z(b64)))
		gw_buf_clear(raw, SIZE_MAX);
	while (raw->n >= 8 && at + 8 <= raw->n) { /* placeholder of http11probe, same length */
		char *p = memmem(raw->p + at, raw->n - at, "@@HOST@@", 8);

		if (!p)
			break;
		memcpy(p, "1.2.3.44", 8);
		at = (size_t)(p - raw->p) + 8;
	}
}

/* Is what came among the outcomes the corpus allows? */
static bool is_expected(yyjson_val *expect, const struct outcome *o)
{
	yyjson_val *v;
	size_t i, n;

	yyjson_arr_foreach(expect, i, n, v)
	{
		if (yyjson_is_int(v) && o->n && yyjson_get_int(v) == o->statuses[0])
			return true;
		if (yyjson_is_str(v) && o->n == 0 && strcmp(yyjson_get_str(v), o->is_end ? "close" : "wait") == 0)
			return true;
		/* the deadline is not waited for here */
		if (yyjson_is_int(v) && yyjson_get_int(v) == 408 && o->n == 0 && !o->is_end)
			return true;
	}
	return false;
}

static void malformed(void **state)
{
	struct gw_buf text, raw;
	yyjson_val *c, *cases;
	int bad = 0, judged = 0;
	yyjson_doc *doc;
	size_t i, n;

	(void)state;
	assert_true(read_cases("http11_malformed", &text, &doc));
	gw_buf_init(&raw, 1 << 20);
	cases = yyjson_obj_get(yyjson_doc_get_root(doc), "cases");
	yyjson_arr_foreach(cases, i, n, c)
	{
		const char *id = yyjson_get_str(yyjson_obj_get(c, "id"));
		struct outcome o;

		get_raw(c, &raw);
		if (raw.n == 0 || strcmp(id, "BODY-05") == 0) /* a model's name: not the server's business */
			continue;
		judged++;
		bad += check_case(id, gw_buf_view(&raw), yyjson_get_int(yyjson_obj_get(c, "max_responses")), &o);
		if (!is_expected(yyjson_obj_get(c, "expect"), &o))
			bad += complain(id, "not expected", 0, &o);
		if (yyjson_get_bool(yyjson_obj_get(c, "must_close")) && o.n && o.statuses[0] >= 400 && !o.is_end)
			bad += complain(id, "left open", 0, &o);
	}
	printf("http11_malformed: %d cases, %zu runs so far\n", judged, n_runs);
	assert_true(judged > 200);
	assert_int_equal(bad, 0);
	yyjson_doc_free(doc);
	gw_buf_done(&text);
	gw_buf_done(&raw);
}

static void any_way_the_same(const char *set, bool is_array)
{
	struct gw_buf text, raw;
	yyjson_val *c, *cases;
	int bad = 0, judged = 0;
	yyjson_doc *doc;
	size_t i, n;

	assert_true(read_cases(set, &text, &doc));
	gw_buf_init(&raw, 1 << 20);
	cases = is_array ? yyjson_doc_get_root(doc) : yyjson_obj_get(yyjson_doc_get_root(doc), "cases");
	yyjson_arr_foreach(cases, i, n, c)
	{
		const char *id = yyjson_get_str(yyjson_obj_get(c, is_array ? "name" : "id"));
		const char *type = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(c, "meta"), "type"));
		struct outcome o;

		get_raw(c, &raw);
		if (raw.n == 0 || (is_array && (!type || strncmp(type, "request", 7) != 0)))
			continue;
		judged++;
		bad += check_case(id, gw_buf_view(&raw), 8, &o);
	}
	printf("%s: %d cases, %zu runs so far\n", set, judged, n_runs);
	assert_true(judged > 100);
	assert_int_equal(bad, 0);
	yyjson_doc_free(doc);
	gw_buf_done(&text);
	gw_buf_done(&raw);
}

static void probe(void **state)
{
	(void)state;
	any_way_the_same("http11probe", false);
}

static void llhttp_md(void **state)
{
	(void)state;
	any_way_the_same("llhttp_md", true);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	app.loop = &loop;
	return gw_h1_server_new(&loop, &gw_h1_default_limits, &h1_app_ops, &app, &app.server);
}

static int teardown(void **state)
{
	(void)state;
	gw_h1_server_close(app.server);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(probe),
		cmocka_unit_test(llhttp_md),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
