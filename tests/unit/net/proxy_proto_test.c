/* PROXY headers: every case of the corpus whole and cut at every offset, our own edge cases, and addresses of clients
 * behind proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/json.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "net/client_addr.h"
#include "net/proxy_proto.h"

#include <fcntl.h>

static bool unbase64(struct gw_str s, struct gw_buf *out)
{
	uint32_t bits = 0, n = 0;

	for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
		const char *set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
			   *at = strchr(set, s.p[i]);

		if (!at || !*at)
			return false;
		bits = bits << 6 | (uint32_t)(at - set);
		n += 6;
		if (n >= 8) {
			n -= 8;
			gw_buf_putc(out, (char)(bits >> n & 0xff));
		}
	}
	return true;
}

/* "accept src=203.0.113.7:50000" | "accept src=socket peer" | close | ... */
static void check_case(struct gw_str id, struct gw_str in, struct gw_str expect)
{
	struct gw_proxy_header h, part;
	enum gw_err e = gw_proxy_read(in, &h);
	char text[GW_ADDR_TEXT + 16], addr[GW_ADDR_TEXT];

	/* what it says about the whole it never takes back about a part of it */
	for (size_t n = 0; n < in.n; n++) {
		enum gw_err p = gw_proxy_read(gw_str(in.p, n), &part);

		assert_true(p == GW_E_AGAIN || p == e);
		if (p == GW_OK)
			assert_true(part.bytes == h.bytes && part.bytes <= n);
	}
	if (gw_str_eq(expect, GW_LIT("wait then close at header timeout")) || gw_str_eq(id, GW_LIT("v2-bad-05"))) {
		assert_true(e == GW_E_AGAIN || e == GW_E_BAD_HTTP);
		return;
	}
	if (gw_str_eq(id, GW_LIT("untrusted-peer")) || gw_str_eq(id, GW_LIT("double"))) {
		assert_int_equal(e, GW_OK); /* decided by who sends it, and by HTTP: tests/flow/34_proxy.py */
		return;
	}
	if (!gw_str_has_prefix(expect, GW_LIT("accept"))) {
		if (e != GW_E_BAD_HTTP)
			fail_msg("%.*s is taken", GW_FMT(id));
		return;
	}
	assert_int_equal(e, GW_OK);
	assert_true(gw_str_has_prefix(gw_str_skip(in, h.bytes), GW_LIT("GET ")));
	if (!h.has_address) {
		assert_true(gw_str_eq(expect, GW_LIT("accept src=socket peer")));
		return;
	}
	addr[gw_addr_print(h.addr, addr)] = '\0';
	snprintf(text, sizeof text, strchr(addr, ':') ? "accept src=[%s]:%u" : "accept src=%s:%u", addr, h.port);
	assert_true(gw_str_eq(expect, gw_str_z(text)));
}

static void corpus(void **state)
{
	const char *shared = getenv("LLMGW_SHARED");
	struct gw_json_fault fault;
	char path[1024];
	struct gw_buf file;
	yyjson_doc *doc;
	yyjson_val *v;
	size_t i, n;

	(void)state;
	snprintf(path, sizeof path, "%s/corpora/proxy_protocol/cases.json", shared ? shared : "../shared");
	gw_buf_init(&file, 4 << 20);
	if (gw_read_file(AT_FDCWD, path, &file) != GW_OK) {
		gw_buf_done(&file);
		skip();
		return;
	}
	assert_int_equal(gw_json_read(gw_buf_view(&file), &gw_json_default_limits, &doc, &fault), GW_OK);
	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, v)
	{
		struct gw_buf raw;

		gw_buf_init(&raw, 1 << 16);
		assert_true(unbase64(gw_json_str(yyjson_obj_get(v, "raw_b64")), &raw));
		check_case(gw_json_str(yyjson_obj_get(v, "id")), gw_buf_view(&raw),
			   gw_json_str(yyjson_obj_get(v, "expect")));
		gw_buf_done(&raw);
	}
	assert_true(i >= 35);
	yyjson_doc_free(doc);
	gw_buf_done(&file);
}

/* Version 2 with these extras after the addresses of TCP over IPv4. */
static struct gw_str v2(char buf[4096], const void *extras, size_t n)
{
	static const char head[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11";
	static const unsigned char block[] = { 203, 0, 113, 7, 127, 0, 0, 1, 0xc3, 0x50, 0x1f, 0x90 };

	memcpy(buf, head, 14);
	buf[14] = (char)((12 + n) >> 8);
	buf[15] = (char)(12 + n);
	memcpy(buf + 16, block, 12);
	if (n)
		memcpy(buf + 28, extras, n);
	return gw_str(buf, 28 + n);
}

static void extras(void **state)
{
	static char big[4096];
	char buf[4096 * 2];
	struct gw_proxy_header h;
	unsigned char crc[7] = { 3, 0, 4 };
	struct gw_str s;
	uint32_t sum;

	(void)state;
	s = v2(buf, crc, sizeof crc);
	sum = gw_crc32c(0, s.p, s.n);
	for (int i = 0; i < 4; i++)
		buf[31 + i] = (char)(sum >> (24 - 8 * i));
	assert_int_equal(gw_proxy_read(s, &h), GW_OK);
	assert_true(h.has_address && h.bytes == s.n && h.port == 50000);
	buf[34] ^= 1;
	assert_int_equal(gw_proxy_read(s, &h), GW_E_BAD_HTTP);
	/* the ceiling: 2,048 bytes after the fixed part */
	big[0] = 4;
	big[1] = (char)((2036 - 3) >> 8);
	big[2] = (char)((2036 - 3) & 0xff);
	assert_int_equal(gw_proxy_read(v2(buf, big, 2036), &h), GW_OK);
	assert_int_equal(gw_proxy_read(v2(buf, big, 2037), &h), GW_E_BAD_HTTP);
	assert_int_equal(gw_proxy_read(gw_str(buf, 16), &h), GW_E_BAD_HTTP);
	assert_int_equal(gw_proxy_read(v2(buf, "\x04\0", 2), &h), GW_E_BAD_HTTP);
}

static bool addr_is(struct gw_str text, const char *want)
{
	char out[GW_ADDR_TEXT];
	uint8_t a[16];

	if (!gw_addr_read(text, a))
		return want == NULL;
	out[gw_addr_print(a, out)] = '\0';
	return want && strcmp(out, want) == 0;
}

static void addresses(void **state)
{
	(void)state;
	assert_true(addr_is(GW_LIT("192.0.2.1"), "192.0.2.1"));
	assert_true(addr_is(GW_LIT("192.0.2.1:443"), "192.0.2.1"));
	assert_true(addr_is(GW_LIT("2001:DB8::1"), "2001:db8::1"));
	assert_true(addr_is(GW_LIT("[2001:db8::1]"), "2001:db8::1"));
	assert_true(addr_is(GW_LIT("[2001:db8::1]:80"), "2001:db8::1"));
	assert_true(addr_is(GW_LIT("::ffff:192.0.2.1"), "192.0.2.1"));
	static const char *const bad[] = { "",           "unknown",    "192.0.2", "192.0.2.1:", "192.0.2.1:99999",
					   "192.0.2.01", "[::1",       "[::1]x",  "[::1]:",     "::1:70000:x",
					   "1.2.3.4.5",  "192.0.2.1 ", "_hidden", "[]",         "1.2.3.4:-1" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_true(addr_is(gw_str_z(bad[i]), NULL));
}

static const char *forwarded(const char *peer, const char *line, char out[GW_ADDR_TEXT])
{
	struct gw_cidr trusted[2];
	uint8_t a[16];

	assert_int_equal(gw_cidr_read(GW_LIT("10.0.0.0/8"), &trusted[0]), GW_OK);
	assert_int_equal(gw_cidr_read(GW_LIT("fd00::/8"), &trusted[1]), GW_OK);
	assert_true(gw_addr_read(gw_str_z(peer), a));
	(void)gw_addr_forwarded(gw_str_z(line), trusted, 2, a);
	out[gw_addr_print(a, out)] = '\0';
	return out;
}

static void rightmost_untrusted(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "", "10.0.0.1" },
		{ "203.0.113.9", "203.0.113.9" },
		{ "6.6.6.6, 203.0.113.9", "203.0.113.9" },
		{ "6.6.6.6, 203.0.113.9, 10.1.2.3", "203.0.113.9" },
		{ "10.9.9.9, 10.1.2.3", "10.9.9.9" },
		{ "6.6.6.6, junk, 10.1.2.3", "10.1.2.3" },
		{ "junk", "10.0.0.1" },
		{ " , ,203.0.113.9 , ", "203.0.113.9" },
		{ "2001:db8::5, [fd00::1]:4711", "2001:db8::5" },
		{ "203.0.113.9:51000", "203.0.113.9" },
	};
	char out[GW_ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(forwarded("10.0.0.1", rows[i].line, out), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corpus),
		cmocka_unit_test(extras),
		cmocka_unit_test(addresses),
		cmocka_unit_test(rightmost_untrusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
