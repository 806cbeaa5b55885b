/* CORS: which origins are let in, what is said to them, and that nothing a client wrote comes back unless we chose it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cors.h"

static const struct gw_str some[] = { { "https://app.example.com", 23 }, { "http://localhost:3000", 21 } },
			   any[] = { { "*", 1 } };

static struct gw_str put(const struct gw_cors *c, struct gw_str origin, struct gw_buf *b)
{
	gw_buf_clear(b, SIZE_MAX);
	gw_cors_put(c, origin, b);
	return gw_buf_view(b);
}

static bool has(struct gw_str s, const char *part)
{
	return s.n && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static void origins(void **state)
{
	const struct gw_cors c = { .origins = some, .n_origins = 2 }, open = { .origins = any, .n_origins = 1 },
			     off = { .n_origins = 0 };
	static const char *const no[] = { "https://app.example.com.evil.test",
					  "https://app.example.co",
					  "http://app.example.com",
					  "https://APP.example.com",
					  "https://app.example.com:444",
					  "null",
					  "https://evil.test",
					  "*" };
	struct gw_buf b;

	(void)state;
	gw_buf_init(&b, 4096);
	assert_true(has(put(&c, some[0], &b), "access-control-allow-origin: https://app.example.com\r\n"));
	assert_true(has(gw_buf_view(&b), "vary: origin\r\n") && has(gw_buf_view(&b), "x-request-id"));
	assert_false(has(gw_buf_view(&b), "credentials"));
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
		assert_false(gw_cors_may(&c, gw_str_z(no[i])));
		assert_true(gw_str_eq(put(&c, gw_str_z(no[i]), &b), GW_LIT("vary: origin\r\n")));
	}
	assert_false(gw_cors_may(&c, GW_NIL));
	assert_true(has(put(&open, GW_LIT("https://evil\r\nx: y"), &b), "allow-origin: *\r\n"));
	assert_false(has(gw_buf_view(&b), "evil"));
	assert_int_equal(put(&off, some[0], &b).n, 0);
	gw_buf_done(&b);
}

static void preflight_headers(void **state)
{
	static const struct gw_str list[] = { { "authorization", 13 }, { "content-type", 12 } };
	const struct gw_cors c = { .origins = some, .n_origins = 2 },
			     fixed = { .origins = some, .n_origins = 2, .headers = list, .n_headers = 2 };
	struct gw_buf b;

	(void)state;
	gw_buf_init(&b, 4096);
	gw_cors_put_allowed(&c, GW_LIT("Authorization, x-stainless-os"), &b);
	assert_true(gw_str_eq(gw_buf_view(&b), GW_LIT("Authorization, x-stainless-os")));
	gw_buf_clear(&b, SIZE_MAX);
	gw_cors_put_allowed(&c, GW_LIT("a\r\nset-cookie: b"), &b);
	assert_int_equal(b.n, 0);
	gw_cors_put_allowed(&fixed, GW_LIT("x-other"), &b);
	assert_true(gw_str_eq(gw_buf_view(&b), GW_LIT("authorization, content-type")));
	gw_buf_done(&b);
}

static void origin_syntax(void **state)
{
	static const char *const good[] = { "*", "https://a", "http://localhost:3000", "https://[::1]:8443",
					    "https://x-1.example.com" };
	static const char *const bad[] = { "",           "https://",    "app.example.com",
					   "https://a/", "https://a/b", "https://A",
					   "ftp://a",    "https://a b", "https://a,https://b",
					   "null" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_null(gw_cors_origin_fault(gw_str_z(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_non_null(gw_cors_origin_fault(gw_str_z(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins),
		cmocka_unit_test(preflight_headers),
		cmocka_unit_test(origin_syntax),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
