/* Egress rules against the SSRF corpus: each URL must be refused by the URL reader, by the port list or by the address
 * check on whatever its host resolves to; plus the edges of each range and the allow list. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/json.h"
#include "lib/sys/fd.h"
#include "lib/url.h"
#include "net/egress.h"
#include "net/resolve.h"

static bool may(const char *text, const struct gw_cidr *allow, size_t n)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return gw_egress_may((struct sockaddr *)&in, allow, n);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return gw_egress_may((struct sockaddr *)&in6, allow, n);
}

static void test_edges(void **state)
{
	static const char *const allowed[] = {
		"1.0.0.0",        "9.255.255.255",
		"11.0.0.0",       "100.63.255.255",
		"100.128.0.0",    "126.255.255.255",
		"128.0.0.0",      "168.63.129.15",
		"168.63.129.17",  "169.253.255.255",
		"169.255.0.0",    "172.15.255.255",
		"172.32.0.0",     "192.0.1.0",
		"192.0.3.0",      "192.167.255.255",
		"192.169.0.0",    "198.17.255.255",
		"198.20.0.0",     "223.255.255.255",
		"8.8.8.8",        "2606:4700:4700::1111",
		"2001:200::1",    "2001:4860:4860::8888",
		"::ffff:8.8.8.8", "fbff::1",
		"2003::1",
	};
	static const char *const denied[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.0",
		"10.255.255.255",
		"100.64.0.0",
		"100.127.255.255",
		"127.0.0.0",
		"127.255.255.255",
		"168.63.129.16",
		"169.254.0.0",
		"169.254.255.255",
		"172.16.0.0",
		"172.31.255.255",
		"192.0.0.0",
		"192.0.0.255",
		"192.0.2.255",
		"192.88.99.1",
		"192.168.0.0",
		"192.168.255.255",
		"198.18.0.0",
		"198.19.255.255",
		"198.51.100.7",
		"203.0.113.7",
		"224.0.0.0",
		"239.255.255.255",
		"240.0.0.0",
		"255.255.255.255",
		"::",
		"::1",
		"::7f00:1",
		"::ffff:127.0.0.1",
		"::ffff:10.1.2.3",
		"::ffff:0:8.8.8.8",
		"64:ff9b::808:808",
		"64:ff9b:1::1",
		"100::1",
		"2001::1",
		"2001:1ff:ffff::",
		"2001:db8::1",
		"2002::1",
		"3fff::1",
		"5f00::1",
		"fc00::1",
		"fdff::1",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"feff::1",
		"ff00::1",
		"ffff::1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (!may(allowed[i], NULL, 0))
			fail_msg("%s is denied", allowed[i]);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (may(denied[i], NULL, 0))
			fail_msg("%s is allowed", denied[i]);
	assert_false(gw_egress_may(&(struct sockaddr){ .sa_family = AF_UNIX }, NULL, 0));
}

/* Each range of the corpus, at its first and last address. */
static void test_deny_list(yyjson_val *list)
{
	yyjson_val *v;
	size_t i, n;

	assert_int_equal(yyjson_arr_size(list), 32);
	yyjson_arr_foreach(list, i, n, v)
	{
		struct gw_str text = gw_json_str(v);
		struct gw_cidr c;
		struct sockaddr_in6 a = { .sin6_family = AF_INET6 };

		if (memchr(text.p, ' ', text.n)) /* "::ffff:0:0/96 (check the inner v4)": see test_edges */
			continue;
		assert_int_equal(gw_cidr_read(text, &c), GW_OK);
		memcpy(&a.sin6_addr, c.addr, 16);
		for (int last = 0; last < 2; last++) {
			if (last)
				for (unsigned bit = c.bits; bit < 128; bit++)
					a.sin6_addr.s6_addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
			if (gw_egress_may((struct sockaddr *)&a, NULL, 0))
				fail_msg("%.*s: its %s address is allowed", GW_FMT(text), last ? "last" : "first");
		}
	}
}

static void test_allow(void **state)
{
	struct gw_cidr a[3];

	(void)state;
	assert_int_equal(gw_cidr_read(GW_LIT("127.0.0.1/32"), &a[0]), GW_OK);
	assert_int_equal(gw_cidr_read(GW_LIT("10.20.0.0/15"), &a[1]), GW_OK);
	assert_int_equal(gw_cidr_read(GW_LIT("64:ff9b::/96"), &a[2]), GW_OK);
	assert_true(may("127.0.0.1", a, 3));
	assert_true(may("::ffff:127.0.0.1", a, 3)); /* the same address */
	assert_false(may("127.0.0.2", a, 3));
	assert_false(may("::1", a, 3));
	assert_true(may("10.21.255.255", a, 3));
	assert_false(may("10.22.0.0", a, 3));
	assert_true(may("64:ff9b::808:808", a, 3)); /* NAT64 to a public address */
	assert_true(may("64:ff9b::7f00:1", a, 3)); /* its inner address is allowed too */
	assert_false(may("64:ff9b::7f00:1", a + 1, 2));
	assert_false(may("64:ff9b::a9fe:a9fe", a, 3)); /* NAT64 to metadata */
	assert_int_equal(gw_cidr_read(GW_LIT("::1"), &a[0]), GW_OK);
	assert_true(may("::1", a, 1));
	assert_int_equal(gw_cidr_read(GW_LIT("::/0"), &a[0]), GW_OK);
	assert_true(may("10.0.0.1", a, 1));
	assert_int_equal(gw_cidr_read(GW_LIT("0.0.0.0/0"), &a[0]), GW_OK);
	assert_true(may("10.0.0.1", a, 1));
	assert_false(may("fc00::1", a, 1));
	for (const char *const *bad =
		 (const char *const[]){ "", "/", "1.2.3", "1.2.3.4/33", "1.2.3.4/-1", "::1/129", "x/8", "1.2.3.4/",
					"1.2.3.4/8x", "01.2.3.4/8", "fe80::1%eth0", NULL };
	     *bad; bad++)
		assert_int_equal(gw_cidr_read(gw_str_z(*bad), &a[0]), GW_E_INVALID);
}

static void test_ports(void **state)
{
	(void)state;
	assert_true(gw_egress_may_port(443));
	assert_true(gw_egress_may_port(80));
	assert_true(gw_egress_may_port(8080));
	assert_true(gw_egress_may_port(11434)); /* Ollama */
	assert_true(gw_egress_may_port(65535));
	assert_false(gw_egress_may_port(0));
	assert_false(gw_egress_may_port(22));
	assert_false(gw_egress_may_port(6379));
}

struct found {
	bool is_done;
	enum gw_err err;
	struct gw_addrs addrs;
};
static void on_found(void *ctx, enum gw_err err, const struct gw_addrs *addrs)
{
	struct found *f = ctx;

	f->is_done = true;
	f->err = err;
	f->addrs = *addrs;
}

enum verdict { REFUSED_URL, REFUSED_PORT, REFUSED_ADDRESS, UNRESOLVED, REACHED };

static enum verdict try_url(uv_loop_t *loop, struct gw_resolver *r, struct gw_str text)
{
	struct found f = { .is_done = false };
	struct gw_resolve_req *q;
	struct gw_url url;

	if (gw_url_parse(text, &url) != GW_OK)
		return REFUSED_URL;
	if (!gw_egress_may_port(url.port))
		return REFUSED_PORT;
	gw_resolve(r, url.host, url.port, 1500, on_found, &f, &q);
	while (!f.is_done)
		uv_run(loop, UV_RUN_ONCE);
	if (f.err != GW_OK)
		return UNRESOLVED;
	for (uint32_t i = 0; i < f.addrs.n; i++)
		if (gw_egress_may((struct sockaddr *)&f.addrs.a[i], NULL, 0))
			return REACHED;
	return REFUSED_ADDRESS;
}

static bool is_literal(struct gw_str url)
{
	return memmem(url.p, url.n, "8.8.8.8", 7) || memchr(url.p, '[', url.n);
}

static void test_corpus(void **state)
{
	const char *shared = getenv("LLMGW_SHARED");
	struct gw_json_fault fault;
	struct gw_resolver *r = NULL;
	yyjson_doc *doc = NULL;
	yyjson_val *v, *cases;
	uv_loop_t loop;
	struct gw_buf b;
	char path[1024];
	size_t i, n;

	(void)state;
	snprintf(path, sizeof(path), "%s/corpora/ssrf/cases.json", shared ? shared : "../shared");
	gw_buf_init(&b, 4 << 20);
	if (gw_read_file(AT_FDCWD, path, &b) != GW_OK) {
		print_message("SKIP: %s is not there\n", path);
		gw_buf_done(&b);
		skip();
	}
	assert_int_equal(gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault), GW_OK);
	cases = yyjson_obj_get(yyjson_doc_get_root(doc), "cases");
	assert_int_equal(yyjson_arr_size(cases), 86);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(gw_resolver_new(&loop, &r), GW_OK);
	yyjson_arr_foreach(cases, i, n, v)
	{
		struct gw_str url = gw_json_str(yyjson_obj_get(v, "url"));
		bool allow = yyjson_get_bool(yyjson_obj_get(v, "allow"));
		enum verdict got = try_url(&loop, r, url);

		if (!allow && got == REACHED)
			fail_msg("%.*s would be reached", GW_FMT(url));
		/* names of the allowed cases need a resolver that this machine may not have */
		if (allow && (is_literal(url) ? got != REACHED : got != REACHED && got != UNRESOLVED))
			fail_msg("%.*s is refused (%d)", GW_FMT(url), got);
	}
	test_deny_list(yyjson_obj_get(yyjson_doc_get_root(doc), "deny_cidrs"));
	gw_resolver_close(r);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	yyjson_doc_free(doc);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
