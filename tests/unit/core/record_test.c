/* Records: pack and unpack give the same, START leaves END's fields out, ceilings hold, hostile bytes are refused, JSON, filters. */
#include "tests/unit/lib/util.h"

#include "core/record.h"

static const uint8_t id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static struct gw_record sample(void)
{
	return (struct gw_record){ .request_id = id,
				   .ts_start_us = 1700000000000000,
				   .endpoint = GW_LIT("chat.completions"),
				   .is_stream = true,
				   .org = GW_LIT("acme"),
				   .requested_model = GW_LIT("gpt-4o"),
				   .generation = 12,
				   .status = 200,
				   .cost_nanousd = -5,
				   .attempt_log = GW_LIT("[{\"deployment\":\"d\",\"status\":200}]"),
				   .total_us = 1500000,
				   .user_agent = GW_LIT("curl/8 \"x\""),
				   .model = GW_LIT("m") };
}

static void same(struct gw_record *a, struct gw_record *b, bool only_start)
{
	for (unsigned i = 0; i < GW_RECORD_COUNT; i++) {
		const struct gw_rfield *f = &gw_record_fields[i];
		const char *x = (char *)a + f->offset, *y = (char *)b + f->offset;

		if (only_start && !f->in_start)
			continue;
		if (f->type == GW_RF_STR || f->type == GW_RF_JSON)
			assert_same(*(const struct gw_str *)(const void *)y, *(const struct gw_str *)(const void *)x);
		else if (f->type == GW_RF_ID16 && *(const uint8_t *const *)(const void *)x)
			assert_memory_equal(*(const uint8_t *const *)(const void *)y,
					    *(const uint8_t *const *)(const void *)x, 16);
		else if (f->type != GW_RF_ID16)
			assert_memory_equal(y, x, f->type == GW_RF_BOOL ? sizeof(bool) : 8);
	}
}

static void round_trip(void **st)
{
	struct gw_record r = sample(), back;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	gw_record_pack(&r, false, &b);
	assert_int_equal(gw_record_unpack(gw_buf_view(&b), &back), GW_OK);
	same(&r, &back, false);
	gw_buf_clear(&b, 0);
	gw_record_pack(&r, true, &b);
	assert_int_equal(gw_record_unpack(gw_buf_view(&b), &back), GW_OK);
	same(&r, &back, true);
	assert_int_equal(back.status, 0);
	assert_int_equal(back.model.n, 0);
	gw_buf_done(&b);
}

/* The few fields of the quick look are those that unpacking finds. */
static void same_peek(struct gw_str bytes, const struct gw_record *back)
{
	struct gw_record_peek p;

	assert_int_equal(gw_record_peek(bytes, &p), GW_OK);
	assert_ptr_equal(p.request_id, back->request_id);
	assert_true(p.cost_nanousd == back->cost_nanousd && p.is_synthetic == back->is_synthetic);
}

/* Random records, field by field through the table. */
static void random_round_trips(void **st)
{
	static const char text[] = "some text with caf\xc3\xa9 \xf0\x9f\x98\x80 and \"quotes\" ";

	(void)st;
	for (int round = 0; round < 5000; round++) {
		struct gw_record r = { 0 }, back;
		struct gw_buf b;

		for (unsigned i = 0; i < GW_RECORD_COUNT; i++) {
			const struct gw_rfield *f = &gw_record_fields[i];
			char *at = (char *)&r + f->offset;
			uint64_t v = rng() >> rng_below(64);

			if (rng_below(2))
				continue;
			if (f->type == GW_RF_STR)
				*(struct gw_str *)(void *)at = gw_str(text, rng_below(sizeof(text)));
			else if (f->type == GW_RF_JSON)
				*(struct gw_str *)(void *)at = GW_LIT("[1]");
			else if (f->type == GW_RF_ID16)
				*(const uint8_t **)(void *)at = id;
			else if (f->type == GW_RF_BOOL)
				*(bool *)(void *)at = v & 1;
			else
				memcpy(at, &v, 8);
		}
		gw_buf_init(&b, 1 << 16);
		gw_record_pack(&r, false, &b);
		assert_int_equal(b.err, GW_OK);
		assert_true(b.n <= gw_record_end_bytes(&r));
		assert_int_equal(gw_record_unpack(gw_buf_view(&b), &back), GW_OK);
		same(&r, &back, false);
		same_peek(gw_buf_view(&b), &back);
		gw_buf_done(&b);
	}
}

static void ceilings(void **st)
{
	static char big[8192];
	struct gw_record r = sample(), start = { 0 }, back;
	struct gw_buf b;

	(void)st;
	memset(big, 'x', sizeof(big));
	memcpy(big + 1023, "\xc3\xa9", 2); /* a letter across the limit */
	gw_buf_init(&b, 1 << 20);
	r.user_agent = gw_str(big, sizeof(big));
	r.attempt_log = gw_str(big, 4097);
	gw_record_pack(&r, false, &b);
	assert_int_equal(gw_record_unpack(gw_buf_view(&b), &back), GW_OK);
	assert_int_equal(back.user_agent.n, 1023);
	assert_true(gw_str_is_utf8(back.user_agent));
	assert_int_equal(back.attempt_log.n, 0); /* half a JSON text is none */
	/* all texts as long as can be: cut until it fits, and the reservation holds */
	memset(&r, 0xff, sizeof(r));
	for (unsigned i = 0; i < GW_RECORD_COUNT; i++) {
		const struct gw_rfield *f = &gw_record_fields[i];

		if (f->type == GW_RF_STR || f->type == GW_RF_JSON)
			*(struct gw_str *)(void *)((char *)&r + f->offset) = gw_str(big, 4096);
		else if (f->type == GW_RF_ID16)
			*(const uint8_t **)(void *)((char *)&r + f->offset) = id;
		else if (f->type == GW_RF_BOOL)
			*(bool *)(void *)((char *)&r + f->offset) = true;
	}
	gw_buf_clear(&b, 0);
	gw_record_pack(&r, false, &b);
	assert_in_range(b.n, 1000, GW_RECORD_MAX_BYTES);
	assert_int_equal(gw_record_end_bytes(&r), GW_RECORD_MAX_BYTES);
	assert_int_equal(gw_record_unpack(gw_buf_view(&b), &back), GW_OK);
	assert_true(gw_record_end_bytes(&start) <= GW_RECORD_MAX_BYTES);
	gw_buf_done(&b);
}

static void hostile(void **st)
{
	struct gw_record r = sample(), back;
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	gw_record_pack(&r, false, &b);
	for (size_t n = 0; n < b.n; n++) {
		struct gw_str e = exact(gw_str(b.p, n));

		struct gw_record_peek p;

		assert_int_equal(gw_record_unpack(e, &back), GW_E_GARBLED);
		assert_int_equal(gw_record_peek(e, &p), GW_E_GARBLED);
		free((char *)(uintptr_t)e.p);
	}
	for (int i = 0; i < 50000; i++) {
		struct gw_str e = exact(gw_buf_view(&b));
		enum gw_err err;

		((char *)(uintptr_t)e.p)[rng_below(e.n)] = (char)rng();
		err = gw_record_unpack(e, &back);
		assert_true(err == GW_OK || err == GW_E_GARBLED);
		if (err == GW_OK)
			same_peek(e, &back);
		free((char *)(uintptr_t)e.p);
	}
	/* keys of later versions are passed over */
	gw_buf_clear(&b, 0);
	gw_mp_map(&b, 2);
	gw_mp_u64(&b, 60000);
	gw_mp_arr(&b, 2);
	gw_mp_nil(&b);
	gw_mp_str(&b, GW_LIT("new"));
	gw_mp_u64(&b, GW_RECORD_status);
	gw_mp_u64(&b, 503);
	assert_int_equal(gw_record_unpack(gw_buf_view(&b), &back), GW_OK);
	assert_int_equal(back.status, 503);
	gw_buf_done(&b);
}

static void json(void **st)
{
	struct gw_record r = sample();
	struct gw_buf b;
	struct gw_json_out w;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	gw_jw_init(&w, &b);
	gw_record_json(&r, &w);
	assert_str(
	    gw_buf_view(&b),
	    "{\"request_id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\",\"ts_start_us\":1700000000000000,"
	    "\"endpoint\":\"chat.completions\",\"is_stream\":true,\"org\":\"acme\",\"user_agent\":\"curl/8 \\\"x\\\"\","
	    "\"requested_model\":\"gpt-4o\",\"generation\":12,\"model\":\"m\","
	    "\"attempt_log\":[{\"deployment\":\"d\",\"status\":200}],\"status\":200,\"cost_nanousd\":-5,\"total_us\":"
	    "1500000}");
	gw_buf_clear(&b, 0);
	gw_jw_init(&w, &b);
	r = (struct gw_record){ .attempt_log = GW_LIT("[1,") };
	gw_record_json(&r, &w);
	assert_str(gw_buf_view(&b), "{\"attempt_log\":\"[1,\"}");
	gw_buf_done(&b);
}

static void admin_records(void **st)
{
	struct gw_admin_record a = { .ts_us = 5,
				     .actor = GW_LIT("admin"),
				     .act = GW_LIT("update"),
				     .kind = GW_LIT("model"),
				     .object = GW_LIT("m"),
				     .after = GW_LIT("{\"id\":\"m\"}"),
				     .status = 200 },
			       back;
	struct gw_buf b;
	struct gw_json_out w;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	gw_admin_record_pack(&a, &b);
	assert_int_equal(gw_admin_record_unpack(gw_buf_view(&b), &back), GW_OK);
	gw_buf_clear(&b, 0);
	gw_buf_init(&b, 1 << 20);
	gw_jw_init(&w, &b);
	gw_admin_record_json(&a, &w);
	assert_str(gw_buf_view(&b),
		   "{\"ts_us\":5,\"actor\":\"admin\",\"act\":\"update\",\"kind\":\"model\",\"object\":\"m\","
		   "\"after\":{\"id\":\"m\"},\"status\":200}");
	gw_buf_done(&b);
}

static struct gw_arena arena;

static bool matches(const char *a, const char *b, const struct gw_record *r)
{
	struct gw_str terms[2] = { gw_str_z(a), gw_str_z(b) }, why = GW_NIL;
	struct gw_record_filter *f;
	enum gw_err e = gw_record_filter_parse(&arena, terms, b ? 2 : 1, &f, &why);

	if (e)
		fail_msg("%s: %.*s", a, GW_FMT(why));
	return gw_record_filter_match(f, r);
}

static void filters(void **st)
{
	struct gw_record r = sample();

	(void)st;
	assert_true(matches("org=acme", NULL, &r));
	assert_false(matches("org=Acme", NULL, &r));
	assert_true(matches("org!=other", NULL, &r));
	assert_true(matches("team=", NULL, &r));
	assert_false(matches("org=", NULL, &r));
	assert_true(matches("user_agent~curl", NULL, &r));
	assert_false(matches("user_agent~wget", NULL, &r));
	assert_true(matches("attempt_log~\"d\"", NULL, &r));
	assert_true(matches("total_us>1499999", NULL, &r));
	assert_false(matches("total_us>1500000", NULL, &r));
	assert_true(matches("total_us<1500001", "status=200", &r));
	assert_false(matches("total_us<1500001", "status!=200", &r));
	assert_true(matches("cost_nanousd<0", NULL, &r));
	assert_true(matches("is_stream=true", NULL, &r));
	assert_false(matches("is_stream=false", NULL, &r));
	assert_true(matches("is_synthetic=false", NULL, &r));
	assert_true(matches("request_id=01020304-0506-0708-090a-0b0c0d0e0f10", NULL, &r));
	assert_false(matches("request_id!=01020304-0506-0708-090a-0b0c0d0e0f10", NULL, &r));
	assert_true(matches("requested_model=gpt-4o", "org=acme", &r));
}

static void filter_faults(void **st)
{
	static const struct {
		const char *term, *words;
	} all[] = {
		{ "org", "field=value" },        { "", "field=value" },
		{ "org!acme", "field=value" },   { "orgg=x", "Did you mean \"org\"?" },
		{ "status=ok", "whole number" }, { "status~2", "not text" },
		{ "org>a", "is text" },          { "is_stream=yes", "true or false" },
		{ "request_id=7", "is an id" },  { "request_id>7", "is an id" },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(all); i++) {
		struct gw_str term = gw_str_z(all[i].term), why = GW_NIL;
		struct gw_record_filter *f;

		assert_int_not_equal(gw_record_filter_parse(&arena, &term, 1, &f, &why), GW_OK);
		if (!memmem(why.p, why.n, all[i].words, strlen(all[i].words)))
			fail_msg("%s: %.*s", all[i].term, GW_FMT(why));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(random_round_trips),
		cmocka_unit_test(ceilings),   cmocka_unit_test(hostile),
		cmocka_unit_test(json),       cmocka_unit_test(admin_records),
		cmocka_unit_test(filters),    cmocka_unit_test(filter_faults),
	};
	int failed;

	gw_arena_init(&arena, NULL, 0, 1 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_arena_done(&arena);
	return failed;
}
