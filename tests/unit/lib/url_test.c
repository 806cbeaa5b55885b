/* lib/url.h, with the syntactic half of the ssrf corpus. Without the shared corpus the program exits 77. */
#include "util.h"

#include "lib/json.h"
#include "lib/url.h"

static void good(void **st)
{
	static const struct {
		const char *text, *host, *path, *query;
		bool is_https, is_ipv6;
		uint16_t port;
	} cases[] = {
		{ "https://api.openai.com/v1", "api.openai.com", "/v1", "", true, false, 443 },
		{ "http://api.openai.com", "api.openai.com", "", "", false, false, 80 },
		{ "http://api.openai.com/", "api.openai.com", "", "", false, false, 80 },
		{ "https://a.b:8443/v1/x///", "a.b", "/v1/x", "", true, false, 8443 },
		{ "HTTPS://A.b?x=1&y=/?", "A.b", "", "x=1&y=/?", true, false, 443 },
		{ "http://localhost:1/a%20b/c;d=e?q=%C3%A9", "localhost", "/a%20b/c;d=e", "q=%C3%A9", false, false, 1 },
		{ "http://127.0.0.1:65535/", "127.0.0.1", "", "", false, false, 65535 },
		{ "http://[::1]:80/x", "::1", "/x", "", false, true, 80 },
		{ "https://[2001:db8:0:1:2:3:4:5]", "2001:db8:0:1:2:3:4:5", "", "", true, true, 443 },
		{ "https://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", "", "", true, true, 443 },
		{ "https://[1::]/", "1::", "", "", true, true, 443 },
		{ "https://xn--bcher-kva.example/", "xn--bcher-kva.example", "", "", true, false, 443 },
		{ "http://my_service:4000/v1", "my_service", "/v1", "", false, false, 4000 },
		{ "http://1e100.net", "1e100.net", "", "", false, false, 80 },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct gw_str text = exact(gw_str_z(cases[i].text));
		struct gw_url u;

		if (gw_url_parse(text, &u))
			fail_msg("refused %s", cases[i].text);
		assert_str(u.host, cases[i].host);
		assert_str(u.path, cases[i].path);
		assert_str(u.query, cases[i].query);
		assert_int_equal(u.is_https, cases[i].is_https);
		assert_int_equal(u.is_ipv6, cases[i].is_ipv6);
		assert_int_equal(u.port, cases[i].port);
		free((char *)(uintptr_t)text.p);
	}
}

static const char *const bad_urls[] = {
	"",
	"http",
	"http:",
	"http:/a",
	"http://",
	"http:///a",
	"//a/",
	"/a",
	"a.b",
	"ftp://a/",
	"file:///a",
	" http://a",
	"http://a ",
	"http://u@a/",
	"http://u:p@a/",
	"http://a/#f",
	"http://a#f",
	"http://a\\b/",
	"http://a/\\b",
	"http://a/b c",
	"http://a/\x7f",
	"http://a/\n",
	"http://a\xc3\xa9/",
	"http://a/\xc3\xa9",
	"http://a/%",
	"http://a/%4",
	"http://a/%4g",
	"http://a/?%zz",
	"http://a/<",
	"http://a/\"",
	"http://a/{x}",
	"http://a/^",
	"http://a/|",
	"http://a:/",
	"http://a:0/",
	"http://a:65536/",
	"http://a:99999999/",
	"http://a:080/",
	"http://a:8x/",
	"http://a:-1/",
	"http://a:80:80/",
	"http://.a/",
	"http://a./",
	"http://a..b/",
	"http://-a/",
	"http://a-/",
	"http://a.-b/",
	"http://1.2.3/",
	"http://1.2.3.4.5/",
	"http://1.2.3.256/",
	"http://01.2.3.4/",
	"http://0x7f.0.0.1/",
	"http://0x7f000001/",
	"http://2130706433/",
	"http://127.1/",
	"http://a.1/",
	"http://a.0x1f/",
	"http://0177.0.0.1/",
	"http://a.0x/",
	"http://[::1/",
	"http://::1/",
	"http://[]/",
	"http://[::1]x/",
	"http://[::1]80/",
	"http://[1:2:3:4:5:6:7]/",
	"http://[1:2:3:4:5:6:7:8:9]/",
	"http://[1::2::3]/",
	"http://[:::]/",
	"http://[1:2:3:4:5:6:7:8::]/",
	"http://[12345::]/",
	"http://[g::]/",
	"http://[fe80::1%25eth0]/",
	"http://[::1.2.3]/",
	"http://[::01.2.3.4]/",
	"http://[1:]/",
	"http://[:1]/",
	"http://[1.2.3.4]/",
	"http://a%2eb/",
	"http://a,b/",
	"http://a/?#",
	"http://*.a/",
};

static void bad(void **st)
{
	char text[9000];

	(void)st;
	for (size_t i = 0; i < N_OF(bad_urls); i++) {
		struct gw_str t = exact(gw_str_z(bad_urls[i]));
		struct gw_url u;

		if (gw_url_parse(t, &u) != GW_E_INVALID)
			fail_msg("accepted '%s'", bad_urls[i]);
		free((char *)(uintptr_t)t.p);
	}
	struct gw_url u;
	assert_int_equal(gw_url_parse(GW_LIT("http://a/\0"), &u), GW_E_INVALID);
	assert_int_equal(gw_url_parse(GW_LIT("http://a\0b/"), &u), GW_E_INVALID);
	/* label of 63 and 64, host of 253 and 254 */
	memset(text, 'a', sizeof(text));
	memcpy(text, "http://", 7);
	assert_int_equal(gw_url_parse(gw_str(text, 7 + 63), &u), GW_OK);
	assert_int_equal(gw_url_parse(gw_str(text, 7 + 64), &u), GW_E_INVALID);
	for (size_t i = 7 + 63; i < 7 + 254; i += 64)
		text[i] = '.';
	assert_int_equal(gw_url_parse(gw_str(text, 7 + 253), &u), GW_OK);
	assert_int_equal(gw_url_parse(gw_str(text, 7 + 254), &u), GW_E_INVALID);
	memset(text, 'a', sizeof(text));
	memcpy(text, "http://a/", 9);
	assert_int_equal(gw_url_parse(gw_str(text, 8192), &u), GW_OK);
	assert_int_equal(gw_url_parse(gw_str(text, 8193), &u), GW_E_INVALID);
}

static void escapes(void **st)
{
	struct gw_buf b, back;

	(void)st;
	gw_buf_init(&b, 4000);
	gw_buf_init(&back, 4000);
	gw_url_encode(&b, GW_LIT("aZ0-._~ /?&=%\xc3\xa9\x01"));
	assert_str(gw_buf_view(&b), "aZ0-._~%20%2F%3F%26%3D%25%C3%A9%01");
	assert_true(gw_url_decode(&back, gw_buf_view(&b)));
	assert_str(gw_buf_view(&back), "aZ0-._~ /?&=%\xc3\xa9\x01");
	gw_buf_clear(&back, 4000);
	assert_true(gw_url_decode(&back, GW_LIT("a+b%2b%2B")));
	assert_str(gw_buf_view(&back), "a+b++"); /* '+' stays */
	assert_false(gw_url_decode(&back, GW_LIT("%")));
	assert_false(gw_url_decode(&back, GW_LIT("%4")));
	assert_false(gw_url_decode(&back, GW_LIT("%4x")));
	assert_false(gw_url_decode(&back, GW_LIT("%00")));
	assert_false(gw_url_decode(&back, GW_LIT("a\0")));
	for (int i = 0; i < 2000; i++) {
		char raw[40];
		struct gw_str s = gw_str(raw, rng_below(sizeof(raw)));

		for (size_t k = 0; k < s.n; k++)
			raw[k] = (char)(1 + rng_below(255));
		gw_buf_clear(&b, 4000);
		gw_buf_clear(&back, 4000);
		gw_url_encode(&b, s);
		assert_true(gw_url_decode(&back, gw_buf_view(&b)));
		assert_same(gw_buf_view(&back), s);
	}
	gw_buf_done(&b);
	gw_buf_done(&back);
}

static void query(void **st)
{
	struct gw_str v = GW_LIT("untouched");

	(void)st;
	assert_true(gw_query_get(GW_LIT("a=1&b=2%20x&c"), GW_LIT("b"), &v));
	assert_str(v, "2%20x");
	assert_true(gw_query_get(GW_LIT("a=1&b=2&c"), GW_LIT("c"), &v));
	assert_str(v, "");
	assert_true(gw_query_get(GW_LIT("a=&a=2"), GW_LIT("a"), &v));
	assert_str(v, "");
	assert_true(gw_query_get(GW_LIT("&&x=a=b&"), GW_LIT("x"), &v));
	assert_str(v, "a=b");
	assert_false(gw_query_get(GW_LIT("ab=1&b=2"), GW_LIT("a"), &v));
	assert_false(gw_query_get(GW_LIT(""), GW_LIT("a"), &v));
	assert_false(gw_query_get(GW_LIT("&"), GW_LIT(""), &v));
	assert_str(v, "a=b");
}

/* Which of the corpus fall to the parser already; the others are addresses and names for the egress policy. */
static void corpus_ssrf(struct gw_str text)
{
	static const char *const by_syntax[] = { "short form",
						 "octal-looking",
						 "octal",
						 "hex",
						 "decimal",
						 "hex whole",
						 "zone id",
						 "IDNA digits",
						 "ideographic dot",
						 "userinfo",
						 "fragment",
						 "backslash",
						 "NUL",
						 "CRLF",
						 "scheme",
						 "scheme-relative",
						 "one slash",
						 "leading space",
						 "empty host",
						 "empty",
						 "trailing dot FQDN",
						 "dot" };
	unsigned syntactic = 0, allowed = 0;
	yyjson_doc *doc;
	yyjson_val *c;
	size_t i, n;

	assert_int_equal(gw_json_read(text, NULL, &doc, NULL), GW_OK);
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "cases"), i, n, c)
	{
		struct gw_str url = gw_json_str(yyjson_obj_get(c, "url")), why = gw_json_str(yyjson_obj_get(c, "why"));
		struct gw_url u;
		bool ok = gw_url_parse(url, &u) == GW_OK;

		if (yyjson_get_bool(yyjson_obj_get(c, "allow"))) {
			allowed++;
			if (!ok)
				fail_msg("refused %.*s", GW_FMT(url));
		}
		for (size_t k = 0; k < N_OF(by_syntax); k++)
			if (gw_str_eq(why, gw_str_z(by_syntax[k]))) {
				syntactic++;
				if (ok)
					fail_msg("accepted %.*s (%.*s)", GW_FMT(url), GW_FMT(why));
			}
	}
	assert_true(syntactic >= 25 && allowed >= 5);
	yyjson_doc_free(doc);
}

static struct gw_str ssrf;

static void corpus(void **st)
{
	(void)st;
	corpus_ssrf(ssrf);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(escapes),
					    cmocka_unit_test(query) };
	const struct CMUnitTest with_corpus[] = { cmocka_unit_test(corpus) };
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	ssrf = shared_file("corpora/ssrf/cases.json");
	if (!ssrf.p)
		return rc ? rc : skip_all("no corpora/ssrf below LLMGW_SHARED");
	rc += cmocka_run_group_tests(with_corpus, NULL, NULL);
	free((char *)(uintptr_t)ssrf.p);
	return rc;
}
