/* lib/text.h: hex, base64, CRC32C, UUIDv7, nearest names; durations, sizes and times. */
#include "util.h"

#include "lib/text.h"

static struct gw_buf out;

static struct gw_str done(void)
{
	return gw_buf_view(&out);
}

static void start(void)
{
	gw_buf_clear(&out, 1 << 20);
}

static void hex(void **st)
{
	uint8_t b[4];

	(void)st;
	start();
	gw_hex_put(&out, "\x00\x9f\xff", 3);
	gw_hex_put(&out, NULL, 0);
	assert_str(done(), "009fff");
	assert_true(gw_hex_read(GW_LIT("0a9FfF00"), b, 4));
	assert_memory_equal(b, "\x0a\x9f\xff\x00", 4);
	assert_false(gw_hex_read(GW_LIT("0a9FfF0"), b, 4));
	assert_false(gw_hex_read(GW_LIT("0a9FfF000"), b, 4));
	assert_false(gw_hex_read(GW_LIT("0a9FfF0g"), b, 4));
}

static void base64(void **st)
{
	static const char *const pairs[][3] = {
		/* RFC 4648 section 10, and the url alphabet */
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xfb\xff\xfe", "+//+", "-__-" },
	};
	static const char *const bad[] = { "Z",      "Zg",   "Zg=", "Zg===",    "Zh==", "Zm9=", "Zm9v ",
					   "Zm9v\n", "====", "=",   "Zg==Zg==", "-__-", "Z=g=" };

	(void)st;
	for (size_t i = 0; i < N_OF(pairs); i++) {
		start();
		gw_b64_put(&out, pairs[i][0], strlen(pairs[i][0]));
		assert_str(done(), pairs[i][1]);
		start();
		gw_b64url_put(&out, pairs[i][0], strlen(pairs[i][0]));
		assert_str(done(), pairs[i][2]);
		start();
		assert_true(gw_b64_read(&out, gw_str_z(pairs[i][1])));
		assert_str(done(), pairs[i][0]);
		start();
		assert_true(gw_b64url_read(&out, gw_str_z(pairs[i][2])));
		assert_str(done(), pairs[i][0]);
	}
	for (size_t i = 0; i < N_OF(bad); i++) {
		start();
		if (gw_b64_read(&out, gw_str_z(bad[i])))
			fail_msg("accepted '%s'", bad[i]);
	}
	start();
	assert_false(gw_b64url_read(&out, GW_LIT("Zg==")));
	assert_false(gw_b64url_read(&out, GW_LIT("Zh")));
	assert_false(gw_b64url_read(&out, GW_LIT("+//+")));
	for (int i = 0; i < 500; i++) {
		char raw[70];
		size_t n = rng_below(sizeof(raw));
		struct gw_buf text;

		for (size_t k = 0; k < n; k++)
			raw[k] = (char)rng();
		gw_buf_init(&text, 200);
		gw_b64_put(&text, raw, n);
		start();
		assert_true(gw_b64_read(&out, gw_buf_view(&text)));
		assert_same(done(), gw_str(raw, n));
		gw_buf_done(&text);
	}
}

static uint32_t crc_by_bits(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
	}
	return ~c;
}

static void crc32c(void **st)
{
	uint8_t b[300];

	(void)st;
	assert_int_equal(gw_crc32c(0, "123456789", 9), 0xe3069283); /* the check value of CRC-32C */
	memset(b, 0, 32);
	assert_int_equal(gw_crc32c(0, b, 32), 0x8a9136aa); /* RFC 3720 B.4 */
	memset(b, 0xff, 32);
	assert_int_equal(gw_crc32c(0, b, 32), 0x62a8ab43);
	for (int i = 0; i < 300; i++) {
		size_t n = rng_below(sizeof(b)), cut = n ? rng_below(n) : 0;

		for (size_t k = 0; k < n; k++)
			b[k] = (uint8_t)rng();
		assert_int_equal(gw_crc32c(0, b, n), crc_by_bits(b, n));
		assert_int_equal(gw_crc32c(gw_crc32c(0, b, cut), b + cut, n - cut), crc_by_bits(b, n));
	}
}

static void uuid(void **st)
{
	struct gw_uuid7 u = { 0 };
	uint8_t random[10], id[16], last[16] = { 0 }, back[16];
	char text[36];
	uint64_t ms = 0x0192837465af;

	(void)st;
	for (int i = 0; i < 20000; i++) {
		for (int k = 0; k < 10; k++)
			random[k] = (uint8_t)rng();
		if (rng_below(5000) == 0) /* the clock moves, now and then back */
			ms += rng_below(3) ? 1 : (uint64_t)-50;
		gw_uuid7_make(&u, ms, random, id);
		assert_true(memcmp(id, last, 16) > 0);
		assert_int_equal(id[6] >> 4, 7);
		assert_int_equal(id[8] >> 6, 2);
		memcpy(last, id, 16);
	}
	u = (struct gw_uuid7){ 0 };
	memset(random, 0xff, sizeof(random));
	gw_uuid7_make(&u, 0x0192837465af, random, id);
	gw_uuid_print(id, text);
	assert_memory_equal(text, "01928374-65af-77ff-bfff-ffffffffffff", 36);
	assert_true(gw_uuid_read(gw_str(text, 36), back));
	assert_memory_equal(id, back, 16);
	assert_true(gw_uuid_read(GW_LIT("01928374-65AF-77FF-BFFF-FFFFFFFFFFFF"), back));
	assert_false(gw_uuid_read(GW_LIT("0192837465af77ffbfffffffffffffff"), back));
	assert_false(gw_uuid_read(GW_LIT("01928374-65af-77ff-bfff-fffffffffff"), back));
	assert_false(gw_uuid_read(GW_LIT("01928374-65af-77ff-bfff-fffffffffffff"), back));
	assert_false(gw_uuid_read(GW_LIT("01928374065af-77ff-bfff-ffffffffffff"), back));
	assert_false(gw_uuid_read(GW_LIT("01928374-65af-77ff-bfff-ffffffffff-f"), back));
}

static void durations(void **st)
{
	static const struct {
		const char *text;
		uint64_t ms;
		const char *back;
	} good[] = {
		{ "1500ms", 1500, "1500ms" }, { "30s", 30000, "30s" }, { "5m", 300000, "5m" }, { "2h", 7200000, "2h" },
		{ "7d", 604800000, "7d" },    { "250", 250, "250ms" }, { "0", 0, "0s" },       { "90s", 90000, "90s" },
		{ "60s", 60000, "1m" }
	};
	static const char *const bad[] = {
		"",      "s",   "-1s", "1.5s", "1 s", "1S", "1sec", "1w", "18446744073709551616", "99999999999999999d",
		"5m30s", " 1s", "1s "
	};

	(void)st;
	for (size_t i = 0; i < N_OF(good); i++) {
		uint64_t ms = 9;

		assert_true(gw_duration_read(gw_str_z(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
		start();
		gw_duration_put(&out, ms);
		assert_str(done(), good[i].back);
	}
	for (size_t i = 0; i < N_OF(bad); i++) {
		uint64_t ms = 9;

		if (gw_duration_read(gw_str_z(bad[i]), &ms))
			fail_msg("accepted '%s'", bad[i]);
		assert_int_equal(ms, 9);
	}
}

static void sizes(void **st)
{
	uint64_t n;

	(void)st;
	assert_true(gw_size_read(GW_LIT("64MiB"), &n));
	assert_int_equal(n, 64 << 20);
	start();
	gw_size_put(&out, n);
	gw_buf_putc(&out, ' ');
	gw_size_put(&out, 1 << 30);
	gw_buf_putc(&out, ' ');
	gw_size_put(&out, 1500);
	gw_buf_putc(&out, ' ');
	gw_size_put(&out, 0);
	assert_str(done(), "64MiB 1GiB 1500 0");
	assert_false(gw_size_read(GW_LIT("64MB"), &n));
	assert_false(gw_size_read(GW_LIT("64 MiB"), &n));
	assert_false(gw_size_read(GW_LIT("MiB"), &n));
	assert_false(gw_size_read(GW_LIT("18014398509481984KiB"), &n)); /* 2^64 */
	assert_true(gw_size_read(GW_LIT("18014398509481983KiB"), &n));
	for (int i = 0; i < 1000; i++) {
		uint64_t v = rng() >> rng_below(60), back = 0, d = 0;

		start();
		gw_size_put(&out, v);
		assert_true(gw_size_read(done(), &back) && back == v);
		start();
		gw_duration_put(&out, v);
		assert_true(gw_duration_read(done(), &d) && d == v);
	}
}

static void times(void **st)
{
	static const struct {
		const char *text;
		int64_t us;
	} both[] = { { "1970-01-01T00:00:00.000Z", 0 },
		     { "2000-02-29T12:34:56.789Z", 951827696789000 },
		     { "2024-12-31T23:59:59.999Z", 1735689599999000 },
		     { "1969-12-31T23:59:59.999Z", -1000 },
		     { "1900-03-01T00:00:00.000Z", -2203891200000000 },
		     { "9999-12-31T23:59:59.999Z", 253402300799999000 },
		     { "0000-01-01T00:00:00.000Z", -62167219200000000 } };
	static const struct {
		const char *text;
		int64_t us;
	} reads[] = { { "2024-12-31T23:59:59Z", 1735689599000000 },
		      { "2025-01-01T01:59:59+02:00", 1735689599000000 },
		      { "2024-12-31T18:29:59-05:30", 1735689599000000 },
		      { "2024-12-31t23:59:59.1234567z", 1735689599123456 } };
	static const char *const bad[] = { "",
					   "2024-12-31",
					   "2024-12-31T23:59Z",
					   "2024-12-31T23:59:59",
					   "2024-13-01T00:00:00Z",
					   "2023-02-29T00:00:00Z",
					   "1900-02-29T00:00:00Z",
					   "2024-04-31T00:00:00Z",
					   "2024-01-00T00:00:00Z",
					   "2024-01-01T24:00:00Z",
					   "2024-01-01T00:60:00Z",
					   "2024-01-01T00:00:60Z",
					   "2024-01-01T00:00:00.Z",
					   "2024-01-01T00:00:00.1234567890Z",
					   "2024-01-01T00:00:00Z ",
					   "2024-01-01 00:00:00Z",
					   "2024-01-01T00:00:00+2:00",
					   "2024-01-01T00:00:00+24:00",
					   "+024-01-01T00:00:00Z" };

	(void)st;
	for (size_t i = 0; i < N_OF(both); i++) {
		int64_t us = 1;

		start();
		gw_time_put(&out, both[i].us);
		assert_str(done(), both[i].text);
		assert_true(gw_time_read(gw_str_z(both[i].text), &us));
		assert_true(us == both[i].us);
	}
	for (size_t i = 0; i < N_OF(reads); i++) {
		int64_t us = 1;

		assert_true(gw_time_read(gw_str_z(reads[i].text), &us));
		assert_true(us == reads[i].us);
	}
	for (size_t i = 0; i < N_OF(bad); i++) {
		int64_t us;

		if (gw_time_read(gw_str_z(bad[i]), &us))
			fail_msg("accepted '%s'", bad[i]);
	}
	start();
	gw_time_put(&out, INT64_MAX);
	gw_time_put(&out, INT64_MIN);
	assert_str(done(), "9999-12-31T23:59:59.999Z0000-01-01T00:00:00.000Z");
	/* each day of 800 years comes back */
	for (int64_t day = -200000; day < 92200; day++) {
		int64_t us, want = day * 86400000000;

		start();
		gw_time_put(&out, want);
		assert_true(gw_time_read(done(), &us) && us == want);
	}
}

static void nearest(void **st)
{
	static const char *const names[] = { "model", "max_tokens", "temperature", "stream", "top_p" };

	(void)st;
	assert_int_equal(gw_nearest(GW_LIT("temprature"), names, N_OF(names)), 2);
	assert_int_equal(gw_nearest(GW_LIT("modle"), names, N_OF(names)), 0);
	assert_int_equal(gw_nearest(GW_LIT("max-tokens"), names, N_OF(names)), 1);
	assert_int_equal(gw_nearest(GW_LIT("maxtoken"), names, N_OF(names)), 1);
	assert_int_equal(gw_nearest(GW_LIT("topp"), names, N_OF(names)), 4);
	assert_int_equal(gw_nearest(GW_LIT("xyz"), names, N_OF(names)), -1);
	assert_int_equal(gw_nearest(GW_LIT("q"), names, N_OF(names)), -1);
	assert_int_equal(gw_nearest(GW_LIT(""), names, N_OF(names)), -1);
	assert_int_equal(gw_nearest(GW_LIT("presence_penalty"), names, N_OF(names)), -1);
	char longer[500];
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(gw_nearest(gw_str(longer, sizeof(longer)), names, N_OF(names)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hex),       cmocka_unit_test(base64),
					    cmocka_unit_test(crc32c),    cmocka_unit_test(uuid),
					    cmocka_unit_test(durations), cmocka_unit_test(sizes),
					    cmocka_unit_test(times),     cmocka_unit_test(nearest) };
	int rc;

	gw_buf_init(&out, 1 << 20);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	gw_buf_done(&out);
	return rc;
}
