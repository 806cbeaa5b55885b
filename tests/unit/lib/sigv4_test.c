/* lib/sigv4.h: the AWS suite and the Bedrock vectors, whatever lies in the folders: canonical request, string to sign, signature. Limits.
 * Without the shared data the vectors are left out and the program exits 77. */
#include "util.h"

#include <dirent.h>

#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/sigv4.h"
#include "lib/text.h"

enum { MAX_HEADERS = 32 };

struct request {
	struct gw_sigv4 s;
	struct gw_sigv4_header headers[MAX_HEADERS];
	char hash[64], path[4096];
};

static struct gw_str member(yyjson_val *o, const char *key)
{
	return gw_json_str(yyjson_obj_get(o, key));
}

/* "2015-08-30T12:36:00Z" or "20150830T123600Z" */
static int64_t time_of(struct gw_str s)
{
	char wide[32];
	int64_t us = -1;

	if (s.n == 16)
		snprintf(wide, sizeof(wide), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s.p, s.p + 4, s.p + 6, s.p + 9, s.p + 11,
			 s.p + 13);
	else
		snprintf(wide, sizeof(wide), "%.*s", (int)s.n, s.p);
	assert_true(gw_time_read(gw_str_z(wide), &us));
	return us;
}

static void add(struct request *r, const char *name, struct gw_str value)
{
	assert_true(r->s.n_headers < MAX_HEADERS);
	r->headers[r->s.n_headers++] = (struct gw_sigv4_header){ gw_str_z(name), value };
	r->s.headers = r->headers;
}

static void split_target(struct request *r, struct gw_str target)
{
	if (!gw_str_cut(target, '?', &r->s.path, &r->s.query))
		r->s.query = GW_LIT("");
}

/* What is signed, and what comes of it. wants: canonical request, string to sign, signature. */
static void check(const char *name, struct request *r, const struct gw_str want[3])
{
	char date[GW_SIGV4_DATE], out[GW_SIGV4_AUTH_MAX];
	struct gw_buf canonical, text;
	size_t n = 0;

	gw_buf_init(&canonical, 1 << 20);
	gw_buf_init(&text, 1 << 20);
	r->s.show_request = &canonical;
	r->s.show_text = &text;
	enum gw_err e = gw_sigv4_sign(&r->s, date, out, &n);

	if (e || !gw_str_eq(gw_buf_view(&canonical), want[0]) || !gw_str_eq(gw_buf_view(&text), want[1]) || n < 64 ||
	    !gw_str_eq(gw_str(out + n - 64, 64), want[2]))
		fail_msg("%s: error %d\n%.*s\n--\n%.*s", name, e, GW_FMT(gw_buf_view(&canonical)), GW_FMT(want[0]));
	gw_buf_done(&canonical);
	gw_buf_done(&text);
}

/* ---- the suite: a folder per case ---- */

static struct gw_str part(const char *name, const char *file)
{
	char path[1024];

	snprintf(path, sizeof(path), "fixtures/sigv4/%s/%s", name, file);
	return shared_file(path);
}

static void read_http(struct request *r, struct gw_str text)
{
	struct gw_str line, rest = text, target, name, value;
	size_t body = text.n;

	for (size_t i = 0; i + 1 < text.n; i++) {
		if (text.p[i] == '\n' && text.p[i + 1] == '\n') {
			body = i + 2;
			rest.n = i;
			break;
		}
	}
	gw_str_cut(rest, '\n', &line, &rest);
	gw_str_cut(line, ' ', &r->s.method, &target);
	assert_true(target.n > 9);
	split_target(r, gw_str(target.p, target.n - 9)); /* a target may have spaces */
	while (rest.n) {
		static char names[MAX_HEADERS][64];

		gw_str_cut(rest, '\n', &line, &rest);
		if (line.n == 0)
			continue;
		gw_str_cut(line, ':', &name, &value);
		snprintf(names[r->s.n_headers], 64, "%.*s", (int)name.n, name.p);
		add(r, names[r->s.n_headers], value);
	}
	struct gw_str content = gw_str_skip(text, body);
	gw_sigv4_hash(&content, 1, r->hash);
	r->s.body_hash = gw_str(r->hash, 64);
}

static void one_case(const char *name)
{
	struct gw_str files[5] = { part(name, "request.txt"), part(name, "context.json"),
				   part(name, "header-canonical-request.txt"), part(name, "header-string-to-sign.txt"),
				   part(name, "header-signature.txt") };
	struct request r = { 0 };
	yyjson_doc *d;

	for (int i = 0; i < 5; i++)
		assert_non_null(files[i].p);
	d = yyjson_read(files[1].p, files[1].n, 0);
	assert_non_null(d);
	yyjson_val *o = yyjson_doc_get_root(d), *cred = yyjson_obj_get(o, "credentials");

	r.s.access_key = member(cred, "access_key_id");
	r.s.secret_key = member(cred, "secret_access_key");
	r.s.region = member(o, "region");
	r.s.service = member(o, "service");
	r.s.now_us = time_of(member(o, "timestamp"));
	r.s.is_raw_path = !yyjson_get_bool(yyjson_obj_get(o, "normalize"));
	read_http(&r, files[0]);
	if (yyjson_obj_get(cred, "token") && !yyjson_get_bool(yyjson_obj_get(o, "omit_session_token")))
		add(&r, "X-Amz-Security-Token", member(cred, "token"));
	if (yyjson_get_bool(yyjson_obj_get(o, "sign_body")))
		add(&r, "x-amz-content-sha256", r.s.body_hash);
	check(name, &r, files + 2);
	yyjson_doc_free(d);
	for (int i = 0; i < 5; i++)
		free((char *)(uintptr_t)files[i].p);
}

static size_t each(const char *folder, void (*fn)(const char *name))
{
	const char *root = getenv("LLMGW_SHARED");
	char path[1024];
	struct dirent *d;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/%s", root ? root : "../shared", folder);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || strcmp(d->d_name, "SOURCE.txt") == 0)
			continue;
		fn(d->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

static void suite(void **st)
{
	(void)st;
	assert_true(each("fixtures/sigv4", one_case) >= 26);
}

/* ---- Bedrock: a file per case ---- */

static void one_file(const char *name)
{
	char path[512];
	struct request r = { 0 };
	struct gw_buf body;
	yyjson_val *key, *v;
	size_t i, n;

	snprintf(path, sizeof(path), "fixtures/sigv4-bedrock/%s", name);
	struct gw_str text = shared_file(path);
	yyjson_doc *d = yyjson_read(text.p, text.n, 0);
	yyjson_val *o = yyjson_doc_get_root(d);
	struct gw_str url = member(o, "url"), host, target;

	assert_non_null(o);
	assert_non_null(strstr(url.p, "://"));
	url = gw_str_skip(url, (size_t)(strstr(url.p, "://") + 3 - url.p));
	host = gw_str(url.p, gw_str_find(url, '/'));
	target = gw_str_skip(url, host.n);
	split_target(&r, target);
	add(&r, "Host", host);
	yyjson_obj_foreach(yyjson_obj_get(o, "input_headers"), i, n, key, v)
	    add(&r, yyjson_get_str(key), gw_json_str(v));
	if (yyjson_is_str(yyjson_obj_get(o, "session_token")))
		add(&r, "X-Amz-Security-Token", member(o, "session_token"));
	r.s.access_key = member(o, "access_key");
	r.s.secret_key = member(o, "secret_key");
	r.s.region = member(o, "region");
	r.s.service = member(o, "service");
	r.s.method = member(o, "method");
	r.s.now_us = time_of(member(o, "timestamp"));
	gw_buf_init(&body, 1 << 20);
	assert_true(gw_b64_read(&body, member(o, "body_base64")));
	struct gw_str pieces[2] = { gw_str(body.p, body.n / 2), gw_str_skip(gw_buf_view(&body), body.n / 2) };
	gw_sigv4_hash(pieces, 2, r.hash);
	r.s.body_hash = gw_str(r.hash, 64);
	assert_same(r.s.body_hash, member(o, "payload_sha256"));
	const struct gw_str want[3] = { member(o, "canonical_request"), member(o, "string_to_sign"),
					member(o, "signature") };
	check(name, &r, want);
	gw_buf_done(&body);
	yyjson_doc_free(d);
	free((char *)(uintptr_t)text.p);
}

static void bedrock(void **st)
{
	(void)st;
	assert_true(each("fixtures/sigv4-bedrock", one_file) >= 14);
}

/* ---- without vectors ---- */

static enum gw_err sign(struct gw_sigv4 *s, char out[GW_SIGV4_AUTH_MAX], size_t *n)
{
	char date[GW_SIGV4_DATE];

	return gw_sigv4_sign(s, date, out, n);
}

static void limits(void **st)
{
	static char big[4096];
	static struct gw_sigv4_header many[GW_SIGV4_HEADERS];
	static char params[GW_SIGV4_PARAMS * 2 + 2];
	char out[GW_SIGV4_AUTH_MAX], date[GW_SIGV4_DATE];
	struct gw_sigv4 ok = { .access_key = GW_LIT("A"),
			       .secret_key = GW_LIT("s"),
			       .region = GW_LIT("r"),
			       .service = GW_LIT("x"),
			       .method = GW_LIT("GET"),
			       .path = GW_LIT("/"),
			       .query = GW_LIT(""),
			       .body_hash = GW_LIT("UNSIGNED-PAYLOAD") },
			s = ok;
	size_t n;

	(void)st;
	memset(big, 'x', sizeof(big));
	assert_int_equal(sign(&s, out, &n), GW_OK);
	s.now_us = -1;
	assert_int_equal(sign(&s, out, &n), GW_E_INVALID);
	s = ok;
	s.now_us = 253402300800000000; /* the year 10000 */
	assert_int_equal(sign(&s, out, &n), GW_E_INVALID);
	s.now_us -= 1;
	assert_int_equal(gw_sigv4_sign(&s, date, out, &n), GW_OK);
	assert_memory_equal(date, "99991231T235959Z", 16);
	s.now_us = 951782400000000;
	assert_int_equal(gw_sigv4_sign(&s, date, out, &n), GW_OK);
	assert_memory_equal(date, "20000229T000000Z", 16);
	s = ok;
	s.secret_key = gw_str(big, 513);
	assert_int_equal(sign(&s, out, &n), GW_E_TOO_BIG);
	s = ok;
	s.access_key = gw_str(big, GW_SIGV4_AUTH_MAX);
	assert_int_equal(sign(&s, out, &n), GW_E_TOO_BIG);
	s = ok;
	s.region = gw_str(big, 2000);
	assert_int_equal(sign(&s, out, &n), GW_E_TOO_BIG);
	for (size_t i = 0; i < N_OF(many); i++)
		many[i] = (struct gw_sigv4_header){ GW_LIT("x-a"), GW_LIT("v") };
	s = ok;
	s.headers = many;
	s.n_headers = GW_SIGV4_HEADERS - 1;
	assert_int_equal(sign(&s, out, &n), GW_OK);
	s.n_headers = GW_SIGV4_HEADERS;
	assert_int_equal(sign(&s, out, &n), GW_E_TOO_BIG);
	for (size_t i = 0; i < sizeof(params); i++)
		params[i] = i % 2 ? '&' : 'a';
	s = ok;
	s.query = gw_str(params, GW_SIGV4_PARAMS * 2);
	assert_int_equal(sign(&s, out, &n), GW_OK);
	s.query = gw_str(params, GW_SIGV4_PARAMS * 2 + 1);
	assert_int_equal(sign(&s, out, &n), GW_E_TOO_BIG);
}

/* Proxies may change these: they are no part of the signature. */
static void unsigned_headers(void **st)
{
	struct gw_sigv4_header h[] = { { GW_LIT("Host"), GW_LIT("h") },
				       { GW_LIT("User-Agent"), GW_LIT("a") },
				       { GW_LIT("Connection"), GW_LIT("close") } };
	struct gw_sigv4 s = { .access_key = GW_LIT("A"),
			      .secret_key = GW_LIT("s"),
			      .region = GW_LIT("r"),
			      .service = GW_LIT("x"),
			      .method = GW_LIT("GET"),
			      .path = GW_LIT("/"),
			      .headers = h,
			      .n_headers = 3 };
	char a[GW_SIGV4_AUTH_MAX], b[GW_SIGV4_AUTH_MAX];
	size_t n, m;

	(void)st;
	assert_int_equal(sign(&s, a, &n), GW_OK);
	h[1].value = GW_LIT("b");
	s.n_headers = 2;
	assert_int_equal(sign(&s, b, &m), GW_OK);
	assert_same(gw_str(a, n), gw_str(b, m));
	h[0].value = GW_LIT("i");
	assert_int_equal(sign(&s, b, &m), GW_OK);
	assert_memory_not_equal(a, b, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(limits), cmocka_unit_test(unsigned_headers) };
	const struct CMUnitTest with_vectors[] = { cmocka_unit_test(suite), cmocka_unit_test(bedrock) };
	struct gw_str probe = shared_file("fixtures/sigv4/SOURCE.txt");

	if (gw_crypto_init())
		return 1;
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	if (!probe.p)
		return rc ? rc : skip_all("no fixtures/sigv4 below LLMGW_SHARED");
	free((char *)(uintptr_t)probe.p);
	return rc + cmocka_run_group_tests(with_vectors, NULL, NULL);
}
