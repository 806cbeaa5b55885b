/* Image rows: what is written is read back into the struct of the kind; hostile rows are refused or harmless; the time of a read. */
#include "tests/unit/lib/util.h"

#include <time.h>

#include "core/config_impl.h"
#include "core/config_types.h"

static struct gw_buf row_of(enum gw_cf_kind kind, const char *json)
{
	struct gw_json_fault f;
	yyjson_doc *d;
	struct gw_buf b;

	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_json_read(gw_str_z(json), &gw_json_default_limits, &d, &f), GW_OK);
	gw_cf_image_row(kind, yyjson_doc_get_root(d), &b);
	assert_int_equal(b.err, GW_OK);
	yyjson_doc_free(d);
	return b;
}

static struct gw_arena arena;

static void models(void **st)
{
	struct gw_buf b =
	    row_of(GW_KIND_model,
		   "{\"id\":\"m\",\"org\":\"o\",\"version\":7,\"targets\":[{\"deployment\":\"d1\"},"
		   "{\"deployment\":\"d2\",\"weight\":5,\"priority\":3}],\"teams\":[\"a\",\"b\"],\"hidden\":true}");
	struct gw_cf_model m;

	(void)st;
	assert_int_equal(gw_cf_read_model(gw_buf_view(&b), &arena, &m), GW_OK);
	assert_str(m.id, "m");
	assert_str(m.org, "o");
	assert_int_equal(m.team.n, 0);
	assert_int_equal(m.version, 7);
	assert_str(m.name, "m"); /* the id, as nothing else is said */
	assert_str(m.owned_by, "llmgw");
	assert_int_equal(m.targets.n, 2);
	assert_str(m.targets.v[0].deployment, "d1");
	assert_int_equal(m.targets.v[0].weight, 1);
	assert_int_equal(m.targets.v[0].priority, 0);
	assert_int_equal(m.targets.v[1].weight, 5);
	assert_int_equal(m.targets.v[1].priority, 3);
	assert_int_equal(m.teams.n, 2);
	assert_str(m.teams.v[1], "b");
	assert_true(m.hidden);
	assert_false(m.disabled);
	gw_buf_done(&b);
}

static void providers(void **st)
{
	struct gw_buf b =
	    row_of(GW_KIND_provider,
		   "{\"id\":\"p\",\"type\":\"openai\",\"idle_timeout\":7000,\"allow_private\":[\"10.0.0.0/8\"],"
		   "\"ca_pem\":\"PEM\",\"queue_timeout\":0}");
	struct gw_cf_provider p;

	(void)st;
	assert_int_equal(gw_cf_read_provider(gw_buf_view(&b), &arena, &p), GW_OK);
	assert_int_equal(p.type, 1);
	assert_int_equal(p.idle_timeout, 7000);
	assert_int_equal(p.queue_timeout, 0); /* a zero that was written, though the default is not zero */
	assert_int_equal(p.connect_timeout, 5000);
	assert_int_equal(p.total_timeout, 1800000);
	assert_int_equal(p.max_connections, 1024);
	assert_str(p.ca_pem, "PEM");
	assert_str(p.allow_private.v[0], "10.0.0.0/8");
	gw_buf_done(&b);
}

static void keys(void **st)
{
	struct gw_buf b = row_of(
	    GW_KIND_key,
	    "{\"id\":\"k\",\"name\":\"for people\",\"expires_at\":\"2030-01-02T03:04:05.678Z\",\"index\":\"abcd\","
	    "\"import_sha256\":\"canary\",\"purpose\":\"admin\",\"labels\":{\"a\":\"b\"}}");
	struct gw_cf_key k;

	(void)st;
	assert_int_equal(gw_cf_read_key(gw_buf_view(&b), &arena, &k), GW_OK);
	assert_int_equal(k.expires_at, 1893553445678000);
	assert_int_equal(k.purpose, 1);
	/* what is not for workers is not in the row */
	assert_int_equal(k.name.n + k.index.n + k.labels.n + k.import_sha256.n, 0);
	assert_null(memmem(b.p, b.n, "people", 6));
	assert_null(memmem(b.p, b.n, "canary", 6));
	assert_null(memmem(b.p, b.n, "abcd", 4));
	gw_buf_done(&b);
}

static void secrets_stay(void **st)
{
	struct gw_buf b = row_of(GW_KIND_credential,
				 "{\"id\":\"c\",\"provider\":\"p\",\"secret\":\"canary\",\"next_secret\":\"canary\","
				 "\"secret_version\":3,\"next_version\":4,\"last4\":\"nary\"}");
	struct gw_cf_credential c;

	(void)st;
	assert_int_equal(gw_cf_read_credential(gw_buf_view(&b), &arena, &c), GW_OK);
	assert_int_equal(c.secret_version, 3);
	assert_int_equal(c.next_version, 4);
	assert_null(memmem(b.p, b.n, "nary", 4));
	gw_buf_done(&b);
}

/* Fields of another kind and unknown numbers are passed over. */
static void unknown_numbers(void **st)
{
	struct gw_buf b;
	struct gw_cf_org o;
	unsigned other = gw_cf_field_find(GW_KIND_model, GW_LIT("targets"))->number;

	(void)st;
	gw_buf_init(&b, 4096);
	gw_mp_map(&b, 5);
	gw_mp_u64(&b, other);
	gw_mp_str(&b, GW_LIT("not even the type of it"));
	gw_mp_u64(&b, 100000);
	gw_mp_arr(&b, 1);
	gw_mp_map(&b, 0);
	gw_mp_u64(&b, 0);
	gw_mp_nil(&b);
	gw_mp_u64(&b, UINT64_MAX);
	gw_mp_nil(&b);
	gw_mp_u64(&b, 1);
	gw_mp_str(&b, GW_LIT("acme"));
	assert_int_equal(gw_cf_read_org(gw_buf_view(&b), &arena, &o), GW_OK);
	assert_str(o.id, "acme");
	gw_buf_done(&b);
}

static const char *const samples[GW_KIND_COUNT] = {
	[GW_KIND_settings] = "{\"id\":\"default\",\"retries\":0,\"activation\":\"immediate\",\"server_timing\":true}",
	[GW_KIND_org] = "{\"id\":\"o\",\"disabled\":true}",
	[GW_KIND_team] = "{\"id\":\"t\",\"org\":\"o\",\"models\":[\"a\",\"b*\"]}",
	[GW_KIND_user] = "{\"id\":\"u\",\"org\":\"o\"}",
	[GW_KIND_key] = "{\"id\":\"k\",\"org\":\"o\",\"team\":\"t\",\"user\":\"u\",\"models\":[\"a\"],\"expires_at\":"
			"\"2030-01-01T00:00:00Z\"}",
	[GW_KIND_role_binding] = "{\"id\":\"r\",\"key\":\"k\",\"role\":\"auditor\"}",
	[GW_KIND_provider] = "{\"id\":\"p\",\"type\":\"openai\",\"base_url\":\"https://h/"
			     "v1\",\"allow_private\":[\"10.0.0.0/8\",\"::1\"]}",
	[GW_KIND_credential] = "{\"id\":\"c\",\"provider\":\"p\",\"secret_version\":2}",
	[GW_KIND_deployment] =
	    "{\"id\":\"d\",\"provider\":\"p\",\"credential\":\"c\",\"upstream_model\":\"m\",\"input_price\":150000}",
	[GW_KIND_model] =
	    "{\"id\":\"m\",\"targets\":[{\"deployment\":\"d\"},{\"deployment\":\"e\",\"weight\":9}],\"teams\":[\"t\"]}",
	[GW_KIND_account] = "{\"id\":\"alice\",\"org\":\"acme\",\"role\":\"viewer\"}",
	[GW_KIND_token] = "{\"id\":\"ci\",\"org\":\"acme\",\"team\":\"t1\",\"role\":\"viewer\"}",
	[GW_KIND_certificate] =
	    "{\"id\":\"w\",\"chain\":\"PEM\",\"is_default\":true,\"secret_version\":3,\"not_after\":"
	    "\"2030-01-01T00:00:00Z\"}",
	[GW_KIND_price] = "{\"id\":\"x\",\"version\":3,\"model\":\"gpt-4o*\",\"effective_from\":\"2026-07-01T00:00:"
			  "00Z\",\"input\":150000}",
};

/* Every cut and random damage: an answer, no read outside of the bytes (ASan), and strings inside them. */
static void hostile_rows(void **st)
{
	union {
		uint64_t align;
		char bytes[1024];
	} room;

	(void)st;
	for (int kind = 0; kind < GW_KIND_COUNT; kind++) {
		struct gw_buf b = row_of((enum gw_cf_kind)kind, samples[kind]);

		assert_true(gw_cf_sizes[kind] <= sizeof(room));
		for (size_t n = 0; n < b.n; n++) {
			struct gw_str e = exact(gw_str(b.p, n));

			assert_int_equal(gw_cf_read((enum gw_cf_kind)kind, e, &arena, &room), GW_E_GARBLED);
			free((char *)(uintptr_t)e.p);
		}
		for (int round = 0; round < 20000; round++) {
			struct gw_str e = exact(gw_buf_view(&b));
			struct gw_mark m = gw_arena_mark(&arena);
			enum gw_err err;

			for (size_t k = 1 + rng_below(3); k > 0; k--)
				((char *)(uintptr_t)e.p)[rng_below(e.n)] = (char)rng();
			err = gw_cf_read((enum gw_cf_kind)kind, e, &arena, &room);
			assert_true(err == GW_OK || err == GW_E_GARBLED || err == GW_E_NOMEM);
			gw_arena_reset(&arena, m);
			free((char *)(uintptr_t)e.p);
		}
		gw_buf_done(&b);
	}
}

static double read_ns(enum gw_cf_kind kind)
{
	struct gw_buf b = row_of(kind, samples[kind]);
	union {
		uint64_t align;
		char bytes[1024];
	} room;
	struct timespec t0, t1;
	enum { N = 200000 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (int i = 0; i < N; i++) {
		struct gw_mark m = gw_arena_mark(&arena);

		assert_int_equal(gw_cf_read(kind, gw_buf_view(&b), &arena, &room), GW_OK);
		gw_arena_reset(&arena, m);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	gw_buf_done(&b);
	return ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / N;
}

/* Printed, not judged: machines differ, and sanitizers cost. */
static void speed(void **st)
{
	(void)st;
	print_message("ns per row: model %.0f, deployment %.0f, provider %.0f, credential %.0f, key %.0f\n",
		      read_ns(GW_KIND_model), read_ns(GW_KIND_deployment), read_ns(GW_KIND_provider),
		      read_ns(GW_KIND_credential), read_ns(GW_KIND_key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models),       cmocka_unit_test(providers),       cmocka_unit_test(keys),
		cmocka_unit_test(secrets_stay), cmocka_unit_test(unknown_numbers), cmocka_unit_test(hostile_rows),
		cmocka_unit_test(speed),
	};
	int failed;

	gw_arena_init(&arena, NULL, 0, 1 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_arena_done(&arena);
	return failed;
}
