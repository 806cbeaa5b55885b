/* lib/awsframe.h against senders that mean harm or are broken: lengths, headers, flipped bits. */
#include "awsframe_log.h"

#include "lib/crc32.h"

static void put_u32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i));
}

/* A prelude with a right checksum and these lengths. */
static void prelude(char p[12], uint32_t total, uint32_t headers)
{
	put_u32(p, total);
	put_u32(p + 4, headers);
	put_u32(p + 8, gw_crc32(0, p, 8));
}

static void lengths(void **st)
{
	static const struct {
		uint32_t total, headers;
		size_t max;
		enum gw_err want;
	} cases[] = {
		{ 16, 0, 1000, GW_OK },
		{ 15, 0, 1000, GW_E_UP_GARBLED },
		{ 0, 0, 1000, GW_E_UP_GARBLED },
		{ 16, 1, 1000, GW_E_UP_GARBLED },
		{ 100, UINT32_MAX, 1000, GW_E_UP_GARBLED },
		{ 1000, 0, 1000, GW_OK },
		{ 1001, 0, 1000, GW_E_TOO_BIG },
		{ UINT32_MAX, 0, 1000, GW_E_TOO_BIG },
		{ UINT32_MAX, UINT32_MAX - 16, SIZE_MAX, GW_E_TOO_BIG },
		{ 16 + GW_AWSFRAME_HEADERS_MAX, GW_AWSFRAME_HEADERS_MAX, SIZE_MAX, GW_OK },
		{ 17 + GW_AWSFRAME_HEADERS_MAX, GW_AWSFRAME_HEADERS_MAX + 1, SIZE_MAX, GW_E_TOO_BIG },
		{ 16 + GW_AWSFRAME_PAYLOAD_MAX, 0, SIZE_MAX, GW_OK },
		{ 17 + GW_AWSFRAME_PAYLOAD_MAX, 0, SIZE_MAX, GW_E_TOO_BIG },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct gw_awsframe f;
		struct log l;
		char p[12];

		log_start(&l);
		prelude(p, cases[i].total, cases[i].headers);
		for (size_t cut = 0; cut <= 12; cut++) {
			gw_awsframe_init(&f, cases[i].max);
			enum gw_err e = feed(&f, &l, gw_str(p, cut));

			if (!e)
				e = feed(&f, &l, gw_str(p + cut, 12 - cut));
			assert_int_equal(e, cases[i].want);
			assert_int_equal(feed(&f, &l, GW_LIT("x")), cases[i].want); /* sticky */
			assert_true(f.held.cap <= 4096); /* a length alone reserves nothing */
			assert_int_equal(l.n, 0);
			gw_awsframe_done(&f);
		}
		log_done(&l);
	}
}

/* One message around raw header bytes, with right checksums. */
static struct gw_str around(struct gw_str headers)
{
	char *p = malloc(headers.n + 16);

	prelude(p, (uint32_t)headers.n + 16, (uint32_t)headers.n);
	memcpy(p + 12, headers.p, headers.n);
	put_u32(p + 12 + headers.n, gw_crc32(0, p, headers.n + 12));
	return gw_str(p, headers.n + 16);
}

static void headers(void **st)
{
	static const struct {
		struct gw_str bytes;
		enum gw_err want;
	} cases[] = {
		{ GW_LIT("\1a\0"), GW_OK },
		{ GW_LIT("\1a"), GW_E_UP_GARBLED }, /* no type */
		{ GW_LIT("\2a"), GW_E_UP_GARBLED },
		{ GW_LIT("\377a\0"), GW_E_UP_GARBLED },
		{ GW_LIT("\0\0"), GW_E_UP_GARBLED }, /* no name */
		{ GW_LIT("\1a\12"), GW_E_UP_GARBLED }, /* type 10 */
		{ GW_LIT("\1a\377"), GW_E_UP_GARBLED },
		{ GW_LIT("\1a\2"), GW_E_UP_GARBLED }, /* no value */
		{ GW_LIT("\1a\5\0\0\0\0\0\0\0"), GW_E_UP_GARBLED },
		{ GW_LIT("\1a\7\0"), GW_E_UP_GARBLED },
		{ GW_LIT("\1a\7\0\2x"), GW_E_UP_GARBLED }, /* longer than the rest */
		{ GW_LIT("\1a\7\377\377x"), GW_E_UP_GARBLED },
		{ GW_LIT("\1a\11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), GW_E_UP_GARBLED },
		{ GW_LIT("\1a\0\1b\0\1a\1"), GW_E_UP_GARBLED }, /* twice */
		{ GW_LIT("\1a\0\1A\0"), GW_OK }, /* names have a case */
	};
	char many[GW_AWSFRAME_N_HEADERS * 4 + 4];

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct gw_str text = around(cases[i].bytes);
		struct log l;
		struct outcome o = all_ways(text, &l);

		if (o.err != cases[i].want || l.n != !cases[i].want)
			fail_msg("case %zu: %d", i, o.err);
		log_done(&l);
		free((char *)(uintptr_t)text.p);
	}
	for (size_t i = 0; i < N_OF(many); i += 4)
		memcpy(many + i, (char[4]){ 2, (char)(1 + i / 4), 'x', GW_AWS_TRUE }, 4);
	for (size_t over = 0; over < 2; over++) {
		struct gw_str text = around(gw_str(many, sizeof(many) - 4 + over * 4));
		struct log l;
		struct outcome o = run(&l, text, text.n, 0);

		assert_int_equal(o.err, over ? GW_E_TOO_BIG : GW_OK);
		log_done(&l);
		free((char *)(uintptr_t)text.p);
	}
}

/* Any one bit flipped is noticed, or the message waits for bytes that never come. */
static void every_bit(void **st)
{
	struct gw_buf out;
	struct log l;

	(void)st;
	gw_buf_init(&out, 4096);
	assert_int_equal(
	    gw_awsframe_put_event(&out, GW_LIT("contentBlockDelta"), GW_LIT("{\"delta\":{\"text\":\"hi\"}}")), GW_OK);
	for (size_t bit = 0; bit < out.n * 8; bit++) {
		out.p[bit / 8] = (char)(out.p[bit / 8] ^ 1 << bit % 8);
		struct outcome o = run(&l, gw_buf_view(&out), out.n / 2, 0);
		assert_int_equal(o.err, GW_E_UP_GARBLED);
		assert_int_equal(l.n, 0);
		log_done(&l);
		out.p[bit / 8] = (char)(out.p[bit / 8] ^ 1 << bit % 8);
	}
	gw_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lengths), cmocka_unit_test(headers),
					    cmocka_unit_test(every_bit) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
