/* TLS: the two halves against each other over memory, and the upstream over https against good and bad servers. The
 * certificates are made by the openssl command at the start. What must never happen: one byte of a request sent to a
 * server that was not verified. */
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/sys/fd.h"
#include "tests/unit/net/fake_upstream.h"

static char dir[64];
static struct gw_buf ca, other_ca, cert, key, expired, expired_key, wrong, wrong_key, self, self_key, rsa, rsa_key;

/* --- certificates --- */

extern char **environ;

static bool openssl(const char *const *args)
{
	char *argv[40] = { (char *)"openssl" };
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int status, n = 1;

	for (; args[n - 1]; n++)
		argv[n] = (char *)(uintptr_t)args[n - 1];
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawnp(&pid, "openssl", &fa, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&fa);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
#define TRY_OPENSSL(...) openssl((const char *const[]){ __VA_ARGS__, NULL })
#define OPENSSL(...)     assert_true(TRY_OPENSSL(__VA_ARGS__))

static void load(struct gw_buf *b, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	gw_buf_init(b, 1 << 20);
	assert_int_equal(gw_read_file(AT_FDCWD, path, b), GW_OK);
}

static void put_file(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(gw_write_file(AT_FDCWD, path, gw_str_z(text), 0600), GW_OK);
}

/* A leaf signed by ca.pem. The expired one is of the past: -days below 0 up to OpenSSL 3.3, -not_after since. */
static void leaf(const char *name, const char *san, bool is_expired, bool is_rsa)
{
	char k[80], csr[80], crt[80], ext[80], ca_crt[80], ca_key[80], text[160];

	snprintf(k, sizeof(k), "%s/%s.key", dir, name);
	snprintf(csr, sizeof(csr), "%s/%s.csr", dir, name);
	snprintf(crt, sizeof(crt), "%s/%s.pem", dir, name);
	snprintf(ext, sizeof(ext), "%s/%s.ext", dir, name);
	snprintf(ca_crt, sizeof(ca_crt), "%s/ca.pem", dir);
	snprintf(ca_key, sizeof(ca_key), "%s/ca.key", dir);
	snprintf(text, sizeof(text), "subjectAltName=%s\n", san);
	snprintf(csr, sizeof(csr), "%s/%s.csr", dir, name);
	put_file(strrchr(ext, '/') + 1, text);
	if (is_rsa)
		OPENSSL("req", "-newkey", "rsa:2048", "-nodes", "-keyout", k, "-out", csr, "-subj", "/CN=leaf");
	else
		OPENSSL("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", k, "-out",
			csr, "-subj", "/CN=leaf");
#define SIGN                                                                                                           \
	"x509", "-req", "-in", csr, "-CA", ca_crt, "-CAkey", ca_key, "-CAcreateserial", "-extfile", ext, "-out", crt
	if (!is_expired)
		OPENSSL(SIGN, "-days", "30");
	else if (!TRY_OPENSSL(SIGN, "-not_before", "20200101000000Z", "-not_after", "20200102000000Z"))
		OPENSSL(SIGN, "-days", "-1");
}

static void authority(const char *name)
{
	char k[80], crt[80];

	snprintf(k, sizeof(k), "%s/%s.key", dir, name);
	snprintf(crt, sizeof(crt), "%s/%s.pem", dir, name);
	OPENSSL("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", k, "-out",
		crt, "-days", "30", "-subj", "/CN=Test CA", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1");
}

static int make_certs(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/llmgw-tls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	authority("ca");
	authority("other");
	leaf("good", "DNS:localhost,IP:127.0.0.1", false, false);
	leaf("rsa", "DNS:localhost,IP:127.0.0.1", false, true);
	leaf("expired", "DNS:localhost,IP:127.0.0.1", true, false);
	leaf("wrong", "DNS:elsewhere.example,IP:127.0.0.9", false, false);
	load(&ca, "ca.pem");
	load(&other_ca, "other.pem");
	load(&cert, "good.pem");
	load(&key, "good.key");
	load(&rsa, "rsa.pem");
	load(&rsa_key, "rsa.key");
	load(&expired, "expired.pem");
	load(&expired_key, "expired.key");
	load(&wrong, "wrong.pem");
	load(&wrong_key, "wrong.key");
	load(&self, "other.pem");
	load(&self_key, "other.key");
	return 0;
}

static int drop_certs(void **state)
{
	struct gw_buf *all[] = { &ca,    &other_ca,  &cert, &key,      &expired, &expired_key,
				 &wrong, &wrong_key, &self, &self_key, &rsa,     &rsa_key };
	static const char *const names[] = { "ca", "other", "good", "rsa", "expired", "wrong" };
	static const char *const ends[] = { "pem", "key", "csr", "ext", "srl" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		gw_buf_done(all[i]);
	for (size_t i = 0; i < 6; i++)
		for (size_t k = 0; k < 5; k++) {
			snprintf(path, sizeof(path), "%s/%s.%s", dir, names[i], ends[k]);
			unlink(path);
		}
	return rmdir(dir);
}

/* --- over memory --- */

static void carry(struct gw_tls *from, struct gw_tls *to, size_t slice)
{
	struct gw_buf *b = gw_tls_out(from);

	while (gw_buf_len(b) > 0) {
		struct gw_str v = gw_buf_view(b);
		size_t n = v.n < slice ? v.n : slice;

		assert_int_equal(gw_tls_feed(to, v.p, n), GW_OK);
		gw_buf_consume(b, n);
		(void)!gw_tls_handshake(to);
	}
}

static enum gw_err shake(struct gw_tls *c, struct gw_tls *s, size_t slice)
{
	enum gw_err e = GW_E_AGAIN, f = GW_E_AGAIN;

	for (int i = 0; i < 20 && (e == GW_E_AGAIN || f == GW_E_AGAIN); i++) {
		e = gw_tls_handshake(c);
		carry(c, s, slice);
		f = gw_tls_handshake(s);
		carry(s, c, slice);
	}
	return e ? e : f;
}

static void test_memory(void **state)
{
	struct gw_tls_ctx *cc = NULL, *sc = NULL;
	struct gw_tls_session *session = NULL;
	char plain[4096], big[40000];

	(void)state;
	assert_int_equal(gw_tls_client_ctx(gw_buf_view(&ca), GW_NIL, &cc), GW_OK);
	assert_int_equal(gw_tls_server_ctx(gw_buf_view(&cert), gw_buf_view(&key), &sc), GW_OK);
	memset(big, 'b', sizeof(big));
	for (int i = 0; i < 6; i++) {
		size_t slice = i == 1 ? 1 : i == 2 ? 7 : 100000, got = 0;
		struct gw_tls *c = NULL, *s = NULL;
		struct gw_tls_session *fresh;
		long n;

		assert_int_equal(gw_tls_new(cc, GW_LIT("localhost"), session, &c), GW_OK);
		assert_int_equal(gw_tls_new(sc, GW_NIL, NULL, &s), GW_OK);
		assert_int_equal(gw_tls_write(c, "x", 1), GW_E_UP_TLS); /* nothing before the handshake */
		assert_int_equal(shake(c, s, slice), GW_OK);
		assert_int_equal(gw_tls_was_resumed(c), i > 0);
		assert_int_equal(gw_tls_was_resumed(s), i > 0);
		assert_int_equal(gw_tls_write(c, "ping", 4), GW_OK);
		carry(c, s, slice);
		assert_int_equal(gw_tls_read(s, plain, sizeof(plain)), 4);
		assert_memory_equal(plain, "ping", 4);
		assert_int_equal(gw_tls_read(s, plain, sizeof(plain)), 0);
		assert_int_equal(gw_tls_write(s, big, sizeof(big)), GW_OK);
		gw_tls_close_notify(s);
		carry(s, c, slice);
		while ((n = gw_tls_read(c, plain, sizeof(plain))) > 0)
			got += (size_t)n;
		assert_int_equal(n, -1);
		assert_int_equal(got, sizeof(big));
		fresh = gw_tls_session_take(c);
		assert_non_null(fresh);
		gw_tls_session_free(session);
		session = fresh;
		gw_tls_free(c);
		gw_tls_free(s);
	}
	gw_tls_session_free(session);
	gw_tls_ctx_free(cc);
	gw_tls_ctx_free(sc);
}

static void test_broken_record(void **state)
{
	struct gw_tls_ctx *cc = NULL, *sc = NULL;
	struct gw_tls *c = NULL, *s = NULL;
	char plain[64];
	struct gw_buf *b;

	(void)state;
	assert_int_equal(gw_tls_client_ctx(gw_buf_view(&ca), GW_NIL, &cc), GW_OK);
	assert_int_equal(gw_tls_server_ctx(gw_buf_view(&cert), gw_buf_view(&key), &sc), GW_OK);
	assert_int_equal(gw_tls_new(cc, GW_LIT("127.0.0.1"), NULL, &c), GW_OK);
	assert_int_equal(gw_tls_new(sc, GW_NIL, NULL, &s), GW_OK);
	assert_int_equal(shake(c, s, 65536), GW_OK);
	assert_int_equal(gw_tls_write(s, "hello", 5), GW_OK);
	b = gw_tls_out(s);
	b->p[b->n - 3] ^= 1;
	carry(s, c, 65536);
	assert_int_equal(gw_tls_read(c, plain, sizeof(plain)), -2);
	assert_int_equal(gw_tls_read(c, plain, sizeof(plain)), -2);
	gw_tls_free(c);
	gw_tls_free(s);
	gw_tls_ctx_free(cc);
	gw_tls_ctx_free(sc);
}

static void test_bad_inputs(void **state)
{
	struct gw_tls_ctx *c = NULL;

	(void)state;
	assert_int_equal(gw_tls_client_ctx(GW_LIT("not a certificate"), GW_NIL, &c), GW_E_INVALID);
	assert_int_equal(gw_tls_client_ctx(GW_NIL, GW_LIT("/nonexistent/bundle.pem"), &c), GW_E_NOT_FOUND);
	assert_int_equal(gw_tls_server_ctx(gw_buf_view(&cert), gw_buf_view(&ca), &c), GW_E_INVALID);
	assert_int_equal(gw_tls_server_ctx(gw_buf_view(&cert), gw_buf_view(&wrong_key), &c), GW_OK);
	gw_tls_ctx_free(c);
}

/* --- over sockets --- */

static void ok(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}
static void until_close_fin(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_later(c, 30, fake_close); /* FIN only: anybody on the path can send that */
}
static void until_close_notify(struct fake_conn *c)
{
	fake_put(c, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_later(c, 30, fake_close_notify);
}

static void open_world(struct caller *t, const struct gw_buf *c, const struct gw_buf *k)
{
	caller_init(t);
	t->ca_pem = gw_buf_view(&ca);
	t->fake.on_request = ok;
	assert_int_equal(gw_tls_server_ctx(gw_buf_view(c), gw_buf_view(k), &t->fake.tls), GW_OK);
}

static void close_world(struct caller *t)
{
	struct gw_tls_ctx *tls = t->fake.tls;

	caller_done(t);
	gw_tls_ctx_free(tls);
}

static void test_https(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_world(&t, i ? &rsa : &cert, i ? &rsa_key : &key);
		t.host = i ? "127.0.0.1" : "localhost";
		for (int k = 0; k < 3; k++) {
			call_run(&t, &c);
			assert_int_equal(c.err, GW_OK);
			assert_memory_equal(c.body.p, "hello", 5);
			assert_int_equal(c.is_reused, k > 0);
		}
		assert_int_equal(t.fake.accepted, 1);
		/* another connection resumes the session of the first */
		t.must_be_fresh = true;
		for (int k = 0; k < 3; k++) {
			call_run(&t, &c);
			assert_int_equal(c.err, GW_OK);
		}
		assert_int_equal(t.fake.handshakes, 4);
		assert_int_equal(t.fake.resumed, 3);
		assert_int_equal(gw_upstream_stats(t.up)->handshakes, 4);
		assert_int_equal(gw_upstream_stats(t.up)->resumed, 3);
		call_done(&c);
		close_world(&t);
	}
}

static void expect_refused(const struct gw_buf *crt, const struct gw_buf *k, struct gw_str trust, const char *words)
{
	struct caller t;
	struct call c = { 0 };

	open_world(&t, crt, k);
	t.ca_pem = trust;
	call_run(&t, &c);
	if (c.err != GW_E_UP_TLS || !strstr(c.detail, words))
		fail_msg("%s: %d, \"%s\"", words, c.err, c.detail);
	assert_int_equal(t.fake.plain_bytes, 0); /* not one byte of the request */
	assert_int_equal(t.fake.requests, 0);
	assert_int_equal(gw_upstream_stats(t.up)->open, 0);
	call_done(&c);
	close_world(&t);
}

static void test_refused(void **state)
{
	(void)state;
	expect_refused(&expired, &expired_key, gw_buf_view(&ca), "expired");
	expect_refused(&wrong, &wrong_key, gw_buf_view(&ca), "another host name");
	expect_refused(&self, &self_key, gw_buf_view(&ca), "not signed by a trusted authority");
	expect_refused(&cert, &key, gw_buf_view(&other_ca), "not signed by a trusted authority");
	expect_refused(&cert, &key, GW_LIT("-----BEGIN CERTIFICATE-----\nrubbish"),
		       "ca_pem holds no usable certificate");
}

/* A self-signed server is fine when the provider's record carries that very certificate. */
static void test_pinned(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	open_world(&t, &self, &self_key);
	t.ca_pem = gw_buf_view(&self);
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	call_done(&c);
	close_world(&t);
}

static void test_truncation(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	open_world(&t, &cert, &key);
	t.fake.on_request = until_close_fin;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_CUT);
	t.fake.on_request = until_close_notify;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	assert_int_equal(c.body.n, 5);
	call_done(&c);
	close_world(&t);
}

static void close_soon(struct fake_conn *c)
{
	fake_later(c, 20, fake_close);
}

static void test_stall_and_close(void **state)
{
	struct gw_tls_ctx *tls;
	struct caller t;
	struct call c = { 0 };

	(void)state;
	open_world(&t, &cert, &key);
	tls = t.fake.tls;
	t.fake.tls = NULL; /* a plain server that says nothing: the handshake stalls */
	t.deadlines.connect_ms = 200;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_CONNECT);
	assert_in_range(c.took_ms, 190, 400);
	t.fake.on_accept = close_soon;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_E_UP_TLS);
	t.fake.on_accept = NULL;
	t.fake.tls = tls;
	call_run(&t, &c);
	assert_int_equal(c.err, GW_OK);
	call_done(&c);
	close_world(&t);
}

static char huge[5 << 20];

static void echo_size(struct fake_conn *c)
{
	char head[128];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof(huge));
	fake_put(c, head);
	fake_putn(c, huge, sizeof(huge));
}

static void test_big_both_ways(void **state)
{
	struct caller t;
	struct call c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(huge); i++)
		huge[i] = (char)(i % 251);
	open_world(&t, &cert, &key);
	t.fake.on_request = echo_size;
	t.n_body = 4;
	t.body[0] = GW_LIT("{");
	t.body[1] = gw_str(huge, sizeof(huge));
	t.body[2] = GW_LIT("");
	t.body[3] = GW_LIT("}");
	for (int i = 0; i < 2; i++) {
		call_run(&t, &c);
		if (c.err != GW_OK)
			fail_msg("%s: %s", gw_err_info(c.err)->name, c.detail);
		assert_int_equal(c.body.n, sizeof(huge));
		assert_memory_equal(c.body.p, huge, sizeof(huge));
		assert_memory_equal(t.fake.last.p + t.fake.last.n - 1 - sizeof(huge), huge, sizeof(huge));
	}
	assert_true(c.is_reused);
	call_done(&c);
	close_world(&t);
}

static void cancel_in_body(struct call *c)
{
	gw_upstream_cancel(c->q);
	c->ends = -1;
}

static void test_cancel(void **state)
{
	struct caller t;
	struct call c = { 0 };
	int fds;

	(void)state;
	open_world(&t, &cert, &key);
	fds = count_fds();
	c.on_body = cancel_in_body;
	for (int i = 0; i < 50; i++) {
		call_start(&t, &c);
		for (int k = 0; c.ends == 0 && (k < i || i % 2); k++)
			uv_run(&t.loop, UV_RUN_ONCE);
		if (c.ends == 0)
			gw_upstream_cancel(c.q);
	}
	run_ms(&t, 50);
	assert_int_equal(gw_upstream_stats(t.up)->open, 0);
	assert_int_equal(count_fds(), fds);
	call_done(&c);
	close_world(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),        cmocka_unit_test(test_broken_record),
		cmocka_unit_test(test_bad_inputs),    cmocka_unit_test(test_https),
		cmocka_unit_test(test_refused),       cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_truncation),    cmocka_unit_test(test_stall_and_close),
		cmocka_unit_test(test_big_both_ways), cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
