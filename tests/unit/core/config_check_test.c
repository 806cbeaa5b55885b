/* gw_cf_check and canonical JSON: each type's good and bad values, where faults point and what they say, rules across fields,
 * secrets, read-only fields; and that the canonical form of a canonical form is itself. */
#include "tests/unit/lib/util.h"

#include "core/config_impl.h"
#include "core/provider.h"

struct run {
	struct gw_arena a;
	struct gw_cf_check c;
	struct gw_buf out;
	yyjson_doc *in, *old;
	enum gw_err err;
};

static yyjson_doc *tree(const char *text)
{
	struct gw_json_fault f;
	yyjson_doc *d = NULL;

	if (text && gw_json_read(gw_str_z(text), &gw_json_default_limits, &d, &f))
		fail_msg("not JSON: %s: %s", f.what, text);
	return d;
}

static bool lookup(void *ctx, enum gw_cf_kind kind, struct gw_str id, struct gw_str org, struct gw_str team)
{
	(void)kind;
	(void)org;
	(void)team;
	(void)ctx;
	return !gw_str_has_prefix(id, GW_LIT("gone"));
}

static struct run check(enum gw_cf_kind kind, const char *in, const char *old)
{
	struct run r = { .in = tree(in), .old = tree(old) };

	gw_arena_init(&r.a, NULL, 0, 1 << 20);
	gw_buf_init(&r.out, 1 << 20);
	r.c = (struct gw_cf_check){ .kind = kind,
				    .in = yyjson_doc_get_root(r.in),
				    .old = yyjson_doc_get_root(r.old),
				    .lookup = lookup,
				    .arena = &r.a };
	r.err = gw_cf_check(&r.c, &r.out);
	r.c.arena = NULL;
	return r;
}

static void done(struct run *r)
{
	gw_arena_done(&r->a);
	gw_buf_done(&r->out);
	yyjson_doc_free(r->in);
	yyjson_doc_free(r->old);
}

/* The object is good and its canonical form is `want`; so is the canonical form of that. */
static void good(enum gw_cf_kind kind, const char *in, const char *want)
{
	struct run r = check(kind, in, NULL), again;

	if (r.err)
		fail_msg("%s: %.*s %.*s", in, GW_FMT(r.c.faults.v[0].pointer), GW_FMT(r.c.faults.v[0].message));
	gw_buf_putc(&r.out, '\0');
	assert_string_equal(r.out.p, want);
	again = check(kind, r.out.p, NULL);
	assert_int_equal(again.err, GW_OK);
	assert_str(gw_buf_view(&again.out), want);
	done(&again);
	done(&r);
}

/* The first fault is `err` at `pointer`, and its message has `words`. Nothing is written. */
static void bad_after(enum gw_cf_kind kind, const char *in, const char *old, enum gw_err err, const char *pointer,
		      const char *words)
{
	struct run r = check(kind, in, old);
	struct gw_cf_fault f = r.c.faults.v[0];

	assert_int_equal(r.err, err);
	assert_true(r.c.faults.n > 0);
	assert_str(f.pointer, pointer);
	if (!f.message.p || !memmem(f.message.p, f.message.n, words, strlen(words)))
		fail_msg("'%.*s' has no '%s'", GW_FMT(f.message), words);
	assert_int_equal(gw_buf_len(&r.out), 0);
	done(&r);
}

static void bad(enum gw_cf_kind kind, const char *in, enum gw_err err, const char *pointer, const char *words)
{
	bad_after(kind, in, NULL, err, pointer, words);
}

static void canonical_form(void **st)
{
	(void)st;
	good(GW_KIND_org, "{\"id\":\"acme\"}", "{\"id\":\"acme\"}");
	good(GW_KIND_org, "{\"disabled\":false,\"display_name\":\"\",\"id\":\"acme\",\"labels\":{}}",
	     "{\"id\":\"acme\"}");
	good(GW_KIND_org, "{\"disabled\":true,\"id\":\"acme\",\"labels\":{\"b\":\"2\",\"a\":\"1\",\"aa\":\"\"}}",
	     "{\"id\":\"acme\",\"labels\":{\"a\":\"1\",\"aa\":\"\",\"b\":\"2\"},\"disabled\":true}");
	good(GW_KIND_org, "{\"id\":\"acme\",\"display_name\":null,\"disabled\":null}", "{\"id\":\"acme\"}");
	good(GW_KIND_settings, "{\"id\":\"default\",\"retries\":2,\"hold_ms\":100,\"activation\":\"probe\"}",
	     "{\"id\":\"default\",\"hold_ms\":100}");
	good(GW_KIND_provider,
	     "{\"id\":\"p\",\"type\":\"openai\",\"connect_timeout\":\"5s\",\"idle_timeout\":\"2m\",\"total_timeout\":"
	     "90000}",
	     "{\"id\":\"p\",\"type\":\"openai\",\"idle_timeout\":120000,\"total_timeout\":90000}");
	good(GW_KIND_model,
	     "{\"id\":\"m\",\"name\":\"m\",\"targets\":[{\"priority\":0,\"deployment\":\"d\",\"weight\":1}]}",
	     "{\"id\":\"m\",\"targets\":[{\"deployment\":\"d\"}]}");
	good(GW_KIND_model,
	     "{\"id\":\"m\",\"name\":\"openai/"
	     "gpt-4o\",\"targets\":[{\"deployment\":\"d\",\"weight\":7,\"priority\":15}],\"owned_by\":\"llmgw\"}",
	     "{\"id\":\"m\",\"name\":\"openai/"
	     "gpt-4o\",\"targets\":[{\"deployment\":\"d\",\"weight\":7,\"priority\":15}]}");
	good(GW_KIND_role_binding, "{\"id\":\"r\",\"key\":\"k\",\"role\":\"viewer\"}",
	     "{\"id\":\"r\",\"key\":\"k\",\"role\":\"viewer\"}");
	good(GW_KIND_key,
	     "{\"id\":\"k\",\"models\":[\"gpt-*\",\"llama3:8b\"],\"expires_at\":\"2030-01-01T00:00:00Z\",\"purpose\":"
	     "\"admin\"}",
	     "{\"id\":\"k\",\"models\":[\"gpt-*\",\"llama3:8b\"],\"expires_at\":\"2030-01-01T00:00:00Z\",\"purpose\":"
	     "\"admin\"}");
}

static void types(void **st)
{
	(void)st;
	bad(GW_KIND_org, "[]", GW_E_INVALID, "", "must be an object");
	bad(GW_KIND_org, "{}", GW_E_MISSING, "/id", "id is required");
	bad(GW_KIND_org, "{\"id\":\"\"}", GW_E_MISSING, "/id", "must not be empty");
	bad(GW_KIND_org, "{\"id\":\"Acme\"}", GW_E_INVALID, "/id", "lower case");
	bad(GW_KIND_org, "{\"id\":\"a/b\"}", GW_E_INVALID, "/id", "lower case");
	bad(GW_KIND_org, "{\"id\":7}", GW_E_INVALID, "/id", "must be text");
	bad(GW_KIND_org, "{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", GW_E_INVALID,
	    "/id", "64 bytes");
	bad(GW_KIND_org, "{\"id\":\"a\",\"disabled\":1}", GW_E_INVALID, "/disabled", "true or false");
	bad(GW_KIND_org, "{\"id\":\"a\",\"display_name\":\"a\\nb\"}", GW_E_INVALID, "/display_name", "line breaks");
	bad(GW_KIND_org, "{\"id\":\"a\",\"labels\":[]}", GW_E_INVALID, "/labels", "text pairs");
	bad(GW_KIND_org, "{\"id\":\"a\",\"labels\":{\"x/y\":1}}", GW_E_INVALID, "/labels/x~1y", "must be text");
	bad(GW_KIND_settings, "{\"id\":\"default\",\"retries\":6}", GW_E_INVALID, "/retries", "from 0 to 5");
	bad(GW_KIND_settings, "{\"id\":\"default\",\"retries\":-1}", GW_E_INVALID, "/retries", "from 0 to 5");
	bad(GW_KIND_settings, "{\"id\":\"default\",\"retries\":1.5}", GW_E_INVALID, "/retries", "whole number");
	bad(GW_KIND_settings, "{\"id\":\"default\",\"retries\":\"2\"}", GW_E_INVALID, "/retries", "whole number");
	bad(GW_KIND_settings, "{\"id\":\"default\",\"activation\":\"later\"}", GW_E_INVALID, "/activation",
	    "probe|immediate");
	bad(GW_KIND_settings, "{\"id\":\"main\"}", GW_E_INVALID, "/id", "default");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"idle_timeout\":\"10 s\"}", GW_E_INVALID,
	    "/idle_timeout", "\"30s\"");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"idle_timeout\":\"99ms\"}", GW_E_INVALID,
	    "/idle_timeout", "from 100 ms");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"idle_timeout\":\"1h\"}", GW_E_INVALID,
	    "/idle_timeout", "1800000 ms");
	bad(GW_KIND_key, "{\"id\":\"k\",\"expires_at\":\"tomorrow\"}", GW_E_INVALID, "/expires_at",
	    "2027-01-31T12:00:00Z");
	bad(GW_KIND_key, "{\"id\":\"k\",\"models\":\"gpt-4o\"}", GW_E_INVALID, "/models", "list of names");
	bad(GW_KIND_key, "{\"id\":\"k\",\"models\":[\"a\",\"*b\"]}", GW_E_INVALID, "/models/1", "only as the last");
	bad(GW_KIND_key, "{\"id\":\"k\",\"models\":[\"a\",\"b\",\"a\"]}", GW_E_INVALID, "/models/2", "twice");
	bad(GW_KIND_key, "{\"id\":\"k\",\"models\":[3]}", GW_E_INVALID, "/models/0", "text");
	bad(GW_KIND_key, "{\"id\":\"k\",\"import_sha256\":\"abc\"}", GW_E_INVALID, "/import_sha256", "3 bytes");
	bad(GW_KIND_deployment, "{\"id\":\"d\",\"provider\":\"p\",\"upstream_model\":\"gpt 4\"}", GW_E_INVALID,
	    "/upstream_model", "without spaces");
	bad(GW_KIND_deployment, "{\"id\":\"d\",\"provider\":\"p\",\"upstream_model\":\"m\",\"input_price\":0.5}",
	    GW_E_INVALID, "/input_price", "whole number");
}

static void unknown_fields(void **st)
{
	(void)st;
	bad(GW_KIND_model, "{\"id\":\"m\",\"target\":[]}", GW_E_UNKNOWN_FIELD, "/target", "Did you mean \"targets\"?");
	bad(GW_KIND_model, "{\"id\":\"m\",\"zzzzzzz\":[]}", GW_E_UNKNOWN_FIELD, "/zzzzzzz", "not a field of a model.");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[{\"deployment\":\"d\",\"wieght\":3}]}", GW_E_UNKNOWN_FIELD,
	    "/targets/0/wieght", "\"weight\"");
	bad(GW_KIND_key, "{\"id\":\"k\",\"a/b~c\":1}", GW_E_UNKNOWN_FIELD, "/a~1b~0c", "a/b~c");
}

static void rules(void **st)
{
	(void)st;
	bad(GW_KIND_model, "{\"id\":\"m\"}", GW_E_MISSING, "/targets", "targets is required");
	bad(GW_KIND_model, "{\"id\":\"m\",\"alias_of\":\"x\",\"targets\":[{\"deployment\":\"d\"}]}", GW_E_INVALID,
	    "/alias_of", "not both");
	bad(GW_KIND_model, "{\"id\":\"m\",\"alias_of\":\"m\"}", GW_E_INVALID, "/alias_of", "itself");
	good(GW_KIND_model, "{\"id\":\"m\",\"alias_of\":\"x\"}", "{\"id\":\"m\",\"alias_of\":\"x\"}");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[{\"deployment\":\"d\"},{\"deployment\":\"d\"}]}", GW_E_INVALID,
	    "/targets/1", "second time");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[{\"weight\":1}]}", GW_E_MISSING, "/targets/0/deployment",
	    "required");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[{\"deployment\":\"d\",\"weight\":0}]}", GW_E_INVALID,
	    "/targets/0/weight", "from 1 to 1000");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[{\"deployment\":\"d\",\"priority\":16}]}", GW_E_INVALID,
	    "/targets/0/priority", "0 to 15");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[\"d\"]}", GW_E_INVALID, "/targets/0", "object like");
	bad(GW_KIND_model, "{\"id\":\"m\",\"targets\":[{\"deployment\":\"gone-d\"}]}", GW_E_INVALID,
	    "/targets/0/deployment", "there is no deployment");
	bad(GW_KIND_deployment, "{\"id\":\"d\",\"provider\":\"gone\",\"upstream_model\":\"m\"}", GW_E_INVALID,
	    "/provider", "no provider \"gone\"");
	bad(GW_KIND_org, "{\"id\":\"a\",\"org\":\"b\"}", GW_E_INVALID, "/org", "whole platform");
	bad(GW_KIND_team, "{\"id\":\"t\"}", GW_E_MISSING, "/org", "inside an org");
	good(GW_KIND_team, "{\"id\":\"t\",\"org\":\"o\"}", "{\"id\":\"t\",\"org\":\"o\"}");
	bad(GW_KIND_team, "{\"id\":\"t\",\"org\":\"gone\"}", GW_E_INVALID, "/org", "no org");
	bad(GW_KIND_key, "{\"id\":\"k\",\"team\":\"t\"}", GW_E_MISSING, "/org", "required with team");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai-compatible\"}", GW_E_MISSING, "/base_url",
	    "required for type openai-compatible");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"base_url\":\"ftp://x\"}", GW_E_INVALID, "/base_url",
	    "http://");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"base_url\":\"https://u:p@x/v1\"}", GW_E_INVALID,
	    "/base_url", "no user name");
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"base_url\":\"https://x/v1?key=1\"}", GW_E_INVALID,
	    "/base_url", "query");
	bad(GW_KIND_credential, "{\"id\":\"c\",\"provider\":\"p\",\"secret\":\"sk-a b\"}", GW_E_INVALID, "/secret",
	    "HTTP header");
}

static void all_faults_at_once(void **st)
{
	struct run r = check(GW_KIND_provider,
			     "{\"id\":\"P\",\"type\":\"x\",\"disabled\":3,\"queue_timeout\":true,\"nope\":1}", NULL);

	(void)st;
	assert_int_equal(r.c.faults.n, 5);
	done(&r);
	/* more than fit: the first sixteen, and no harm */
	r = check(GW_KIND_key, "{\"id\":\"k\",\"models\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}", NULL);
	assert_int_equal(r.c.faults.n, GW_CF_MAX_FAULTS);
	done(&r);
}

static void secrets_leave(void **st)
{
	struct run r = check(GW_KIND_credential,
			     "{\"id\":\"c\",\"provider\":\"p\",\"secret\":\"sk-1\",\"next_secret\":\"sk-2\"}", NULL);

	(void)st;
	assert_int_equal(r.err, GW_OK);
	assert_str(gw_buf_view(&r.out), "{\"id\":\"c\",\"provider\":\"p\"}");
	assert_int_equal(r.c.n_secrets, 2);
	assert_string_equal(r.c.secrets[0].field->name, "secret");
	assert_str(r.c.secrets[0].value, "sk-1");
	assert_str(r.c.secrets[1].value, "sk-2");
	done(&r);
	r = check(
	    GW_KIND_key,
	    "{\"id\":\"k\",\"import_sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}",
	    NULL);
	assert_int_equal(r.err, GW_OK);
	assert_str(gw_buf_view(&r.out), "{\"id\":\"k\"}");
	assert_int_equal(r.c.n_secrets, 1);
	done(&r);
	/* an object that is refused keeps its secret out of every message */
	r = check(GW_KIND_credential, "{\"id\":\"c\",\"provider\":\"gone\",\"secret\":\"canary-secret \\n x\"}", NULL);
	assert_int_not_equal(r.err, GW_OK);
	for (unsigned i = 0; i < r.c.faults.n; i++)
		assert_null(memmem(r.c.faults.v[i].message.p, r.c.faults.v[i].message.n, "canary", 6));
	done(&r);
}

static void read_only(void **st)
{
	const char *old = "{\"id\":\"k\",\"version\":4,\"created_at\":\"2026-01-01T00:00:00.000Z\",\"index\":\"aa\","
			  "\"prefix\":\"lgw_x\"}";
	struct run r = check(GW_KIND_key, "{\"id\":\"k\",\"disabled\":true}", old);

	(void)st;
	assert_int_equal(r.err, GW_OK);
	assert_str(gw_buf_view(&r.out),
		   "{\"id\":\"k\",\"version\":4,\"created_at\":\"2026-01-01T00:00:00.000Z\",\"disabled\":true,"
		   "\"index\":\"aa\",\"prefix\":\"lgw_x\"}");
	done(&r);
	r = check(GW_KIND_key, "{\"id\":\"k\",\"version\":4,\"prefix\":\"lgw_x\"}", old); /* as it was read */
	assert_int_equal(r.err, GW_OK);
	done(&r);
	bad_after(GW_KIND_key, "{\"id\":\"k\",\"version\":5}", old, GW_E_INVALID, "/version", "set by the server");
	bad_after(GW_KIND_key, "{\"id\":\"k\",\"index\":\"bb\"}", old, GW_E_INVALID, "/index", "set by the server");
	bad_after(GW_KIND_key, "{\"id\":\"other\"}", old, GW_E_INVALID, "/id", "cannot be changed");
	bad(GW_KIND_key, "{\"id\":\"k\",\"index\":\"bb\"}", GW_E_INVALID, "/index", "set by the server");
	good(GW_KIND_key, "{\"id\":\"k\",\"version\":0,\"index\":\"\"}", "{\"id\":\"k\"}");
}

static void server_sets(void **st)
{
	yyjson_doc *d = tree("{\"id\":\"k\",\"version\":4,\"disabled\":true,\"nonsense\":1}");
	struct gw_cf_set sets[] = { { "version", GW_CF_SET_U64, GW_NIL, 5 },
				    { "index", GW_CF_SET_STR, GW_LIT("ff"), 0 } };
	struct gw_buf out;

	(void)st;
	gw_buf_init(&out, 4096);
	gw_cf_canonical(GW_KIND_key, yyjson_doc_get_root(d), sets, 2, &out);
	assert_str(gw_buf_view(&out), "{\"id\":\"k\",\"version\":5,\"disabled\":true,\"index\":\"ff\"}");
	gw_buf_done(&out);
	yyjson_doc_free(d);
}

/* The rows alone keep every object below the ceiling: the largest key there can be is taken. */
static void largest_object(void **st)
{
	struct gw_buf b;
	struct run r;

	(void)st;
	gw_buf_init(&b, 2 << 20);
	gw_buf_puts(&b, GW_LIT("{\"id\":\"k\",\"models\":["));
	for (int i = 0; i < 1000; i++) {
		gw_buf_printf(&b, "%s\"", i ? "," : "");
		for (int k = 0; k < 195; k++)
			gw_buf_putc(&b, '<');
		gw_buf_printf(&b, "%05d\"", i);
	}
	gw_buf_puts(&b, GW_LIT("],\"labels\":{"));
	for (int i = 0; i < 32; i++) {
		gw_buf_printf(&b, "%s\"%02d", i ? "," : "", i);
		for (int k = 0; k < 60; k++)
			gw_buf_putc(&b, 'k');
		gw_buf_puts(&b, GW_LIT("\":\""));
		for (int k = 0; k < 256; k++)
			gw_buf_puts(&b, GW_LIT("\\\\")); /* written as two bytes again */
		gw_buf_putc(&b, '"');
	}
	gw_buf_puts(&b, GW_LIT("}}"));
	gw_buf_putc(&b, '\0');
	r = check(GW_KIND_key, b.p, NULL);
	assert_int_equal(r.err, GW_OK);
	assert_true(gw_buf_len(&r.out) < GW_CF_MAX_OBJECT_BYTES);
	done(&r);
	gw_buf_done(&b);
}

static void cidrs(void **st)
{
	static const char *const ok[] = { "10.0.0.0/8",
					  "127.0.0.1/32",
					  "127.0.0.1",
					  "0.0.0.0/0",
					  "::/0",
					  "::1/128",
					  "fd00::/8",
					  "2001:db8::1",
					  "1:2:3:4:5:6:7:8",
					  "1::8",
					  "::ffff:10.0.0.1/104",
					  "1:2:3:4:5:6:1.2.3.4" };
	static const char *const no[] = { "",
					  "10.0.0.0/33",
					  "10.0.0/8",
					  "10.0.0.0.0/8",
					  "010.0.0.0/8",
					  "256.0.0.0/8",
					  "10.0.0.0/",
					  "10.0.0.0/08",
					  "/8",
					  "x",
					  "::1/129",
					  ":::",
					  "1::2::3",
					  "1:2:3:4:5:6:7:8:9",
					  "12345::",
					  "1:2:3:4:5:6:7",
					  "1.2.3.4::",
					  "g::",
					  "1:2:3:4:5:6:7::8",
					  "10.0.0.0/+8",
					  "::1.2.3",
					  "1:" };

	(void)st;
	for (size_t i = 0; i < N_OF(ok); i++) {
		if (!gw_cf_is_cidr(gw_str_z(ok[i])))
			fail_msg("refused: %s", ok[i]);
	}
	for (size_t i = 0; i < N_OF(no); i++) {
		if (gw_cf_is_cidr(gw_str_z(no[i])))
			fail_msg("taken: %s", no[i]);
	}
	bad(GW_KIND_provider, "{\"id\":\"p\",\"type\":\"openai\",\"allow_private\":[\"10.0.0.0/8\",\"x\"]}",
	    GW_E_INVALID, "/allow_private/1", "10.0.0.0/8");
}

#define B64 "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0000111122223333444455556666"
static void pems(void **st)
{
	(void)st;
	assert_null(gw_cf_pem_fault(GW_LIT("-----BEGIN CERTIFICATE-----\n" B64 "\n-----END CERTIFICATE-----\n")));
	assert_null(gw_cf_pem_fault(
	    GW_LIT("# my CA\r\n-----BEGIN CERTIFICATE-----\r\n" B64 "\r\n" B64 "\r\n-----END CERTIFICATE-----")));
	assert_non_null(gw_cf_pem_fault(GW_LIT("nothing")));
	assert_non_null(gw_cf_pem_fault(GW_LIT("-----BEGIN CERTIFICATE-----\n" B64 "\n")));
	assert_non_null(gw_cf_pem_fault(GW_LIT("-----BEGIN CERTIFICATE-----\n" B64 "!\n-----END CERTIFICATE-----\n")));
	assert_non_null(
	    gw_cf_pem_fault(GW_LIT("-----BEGIN CERTIFICATE-----\nX" B64 "ABC\n-----END CERTIFICATE-----\n")));
	assert_non_null(gw_cf_pem_fault(GW_LIT("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")));
	assert_non_null(
	    strstr(gw_cf_pem_fault(GW_LIT("-----BEGIN PRIVATE KEY-----\n" B64 "\n-----END PRIVATE KEY-----\n")),
		   "private key"));
}

/* Random objects made of good and bad values: whatever is accepted is canonical after one pass, and nothing crashes. */
static void idempotent(void **st)
{
	static const char *const values[] = { "1",
					      "0",
					      "\"x\"",
					      "\"\"",
					      "true",
					      "null",
					      "[]",
					      "[\"a\",\"b\"]",
					      "{}",
					      "{\"k\":\"v\",\"a\":\"b\"}",
					      "\"30s\"",
					      "\"openai\"",
					      "\"https://h/v1\"",
					      "[{\"deployment\":\"d\"}]",
					      "\"2030-01-01T00:00:00Z\"",
					      "\"probe\"",
					      "100",
					      "65536",
					      "\"models\"",
					      "\"admin\"",
					      "[\"10.0.0.0/8\"]",
					      "\"immediate\"",
					      "-1",
					      "1e3",
					      "\"viewer\"" };
	unsigned accepted = 0;

	(void)st;
	for (int round = 0; round < 30000; round++) {
		enum gw_cf_kind kind = (enum gw_cf_kind)rng_below(GW_KIND_COUNT);
		const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];
		struct gw_buf b;
		struct run r;

		gw_buf_init(&b, 8192);
		gw_buf_printf(&b, "{\"id\":\"%s\"", kind == GW_KIND_settings ? "default" : "x");
		for (unsigned i = 1; i < k->n_fields; i++) {
			bool must = (k->fields[i]->flags & GW_CF_REQ) != 0;

			if (must || rng_below(6) == 0)
				gw_buf_printf(&b, ",\"%s\":%s", k->fields[i]->name,
					      must && k->fields[i]->type != GW_CF_ENUM
						  ? "\"x\""
						  : values[rng_below(N_OF(values))]);
		}
		if (kind == GW_KIND_model && !memmem(b.p, b.n, "alias_of", 8) && !memmem(b.p, b.n, "targets", 7))
			gw_buf_puts(&b, GW_LIT(",\"targets\":[{\"deployment\":\"d\",\"weight\":2}]"));
		gw_buf_puts(&b, GW_LIT("}"));
		gw_buf_putc(&b, '\0');
		r = check(kind, b.p, NULL);
		if (!r.err) {
			accepted++;
			gw_buf_putc(&r.out, '\0');
			good(kind, r.out.p, r.out.p);
		}
		done(&r);
		gw_buf_done(&b);
	}
	assert_true(accepted > 500);
}

static void effective_values(void **st)
{
	yyjson_doc *d = tree("{\"id\":\"p\",\"type\":\"openai\",\"idle_timeout\":7000,\"disabled\":true}");
	yyjson_doc *m = tree("{\"id\":\"m\"}");
	yyjson_val *o = yyjson_doc_get_root(d);

	(void)st;
	assert_int_equal(gw_cf_u64(o, GW_KIND_provider, "idle_timeout"), 7000);
	assert_int_equal(gw_cf_u64(o, GW_KIND_provider, "queue_timeout"), 5000);
	assert_int_equal(gw_cf_u64(o, GW_KIND_provider, "type"), 1);
	assert_true(gw_cf_bool(o, GW_KIND_provider, "disabled"));
	assert_str(gw_cf_str(o, GW_KIND_provider, "type"), "openai");
	assert_str(gw_cf_str(yyjson_doc_get_root(m), GW_KIND_model, "name"), "m");
	assert_str(gw_cf_str(yyjson_doc_get_root(m), GW_KIND_model, "owned_by"), "llmgw");
	assert_int_equal(gw_cf_u64(NULL, GW_KIND_settings, "retries"), 2);
	yyjson_doc_free(d);
	yyjson_doc_free(m);
}

/* Rows fit each other: defaults pass their own checks, words of provider.type are rows of providers.def. */
static void rows(void **st)
{
	const struct gw_cf_field *type = gw_cf_field_find(GW_KIND_provider, GW_LIT("type"));
	enum gw_cf_kind kind;

	(void)st;
	for (unsigned i = 1; i < gw_cf_n_rows; i++) {
		const struct gw_cf_field *f = &gw_cf_rows[i];

		assert_int_equal(f->number, i);
		if (gw_cf_is_number_type(f->type) && f->type != GW_CF_BOOL && f->type != GW_CF_ENUM)
			assert_in_range(gw_cf_default_number(f), f->min, f->max);
		assert_true(f->doc[0] != '\0');
	}
	for (unsigned i = 0; gw_cf_word(type, i).p; i++)
		assert_non_null(gw_provider_by_type(i));
	for (unsigned i = 0; i < gw_n_providers; i++) {
		uint64_t n = 0;

		while (gw_cf_word(type, n).p && !gw_str_eq(gw_cf_word(type, n), gw_str_z(gw_providers[i].name)))
			n++;
		assert_non_null(gw_cf_word(type, n).p);
	}
	assert_true(gw_cf_kind_by_name(GW_LIT("role_binding"), &kind));
	assert_int_equal(kind, GW_KIND_role_binding);
	assert_true(gw_cf_kind_by_plural(GW_LIT("keys"), &kind));
	assert_int_equal(kind, GW_KIND_key);
	assert_false(gw_cf_kind_by_name(GW_LIT("keys"), &kind));
	assert_null(gw_cf_field_find(GW_KIND_org, GW_LIT("targets")));
	assert_null(gw_cf_word(type, gw_n_providers).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_form),
		cmocka_unit_test(types),
		cmocka_unit_test(unknown_fields),
		cmocka_unit_test(rules),
		cmocka_unit_test(all_faults_at_once),
		cmocka_unit_test(secrets_leave),
		cmocka_unit_test(read_only),
		cmocka_unit_test(server_sets),
		cmocka_unit_test(largest_object),
		cmocka_unit_test(cidrs),
		cmocka_unit_test(pems),
		cmocka_unit_test(idempotent),
		cmocka_unit_test(effective_values),
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
