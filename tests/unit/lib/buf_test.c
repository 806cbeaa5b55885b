/* lib/buf.h */
#include "util.h"

static void puts_and_view(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1000);
	assert_int_equal(gw_buf_view(&b).n, 0);
	gw_buf_puts(&b, GW_LIT("a="));
	gw_buf_put_u64(&b, UINT64_MAX);
	gw_buf_putc(&b, ' ');
	gw_buf_put_i64(&b, INT64_MIN);
	gw_buf_putc(&b, ' ');
	gw_buf_put_i64(&b, 0);
	gw_buf_printf(&b, " %05d %s", 42, "x");
	assert_str(gw_buf_view(&b), "a=18446744073709551615 -9223372036854775808 0 00042 x");
	assert_int_equal(b.err, GW_OK);
	gw_buf_done(&b);
	gw_buf_done(&b); /* again */
	struct gw_buf zero = { 0 };
	gw_buf_done(&zero);
}

static void ceiling_sticks(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 10);
	gw_buf_puts(&b, GW_LIT("0123456789"));
	assert_int_equal(b.err, GW_OK);
	gw_buf_put(&b, "", 0);
	assert_int_equal(b.err, GW_OK);
	gw_buf_putc(&b, 'x');
	assert_int_equal(b.err, GW_E_TOO_BIG);
	gw_buf_consume(&b, 5);
	gw_buf_putc(&b, 'x'); /* there would be room now */
	assert_null(gw_buf_room(&b, 1));
	assert_str(gw_buf_view(&b), "56789");
	gw_buf_clear(&b, 100);
	assert_int_equal(b.err, GW_OK);
	gw_buf_printf(&b, "%s", "0123456789"); /* fits to the byte, though printf wants room for a NUL */
	assert_int_equal(b.err, GW_OK);
	assert_str(gw_buf_view(&b), "0123456789");
	gw_buf_clear(&b, 100);
	gw_buf_printf(&b, "%s", "0123456789a");
	assert_int_equal(b.err, GW_E_TOO_BIG);
	assert_int_equal(b.n, 0);
	gw_buf_done(&b);
	gw_buf_init(&b, 1000);
	gw_buf_putc(&b, 'x');
	assert_null(gw_buf_room(&b, SIZE_MAX)); /* 1 + SIZE_MAX is no small number */
	assert_int_equal(b.err, GW_E_TOO_BIG);
	gw_buf_done(&b);
}

static void clear_keeps_or_frees(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	gw_buf_room(&b, 5000);
	assert_true(b.cap >= 5000);
	gw_buf_clear(&b, 1 << 20);
	assert_true(b.cap >= 5000);
	gw_buf_clear(&b, 4096);
	assert_int_equal(b.cap, 0);
	assert_null(b.p);
	gw_buf_done(&b);
}

/* As a queue against a plain model, under a ceiling close to what is in it. */
static void queue(void **st)
{
	static char model[4096];
	size_t n = 0, most = 0;
	struct gw_buf b;
	unsigned char next = 0;

	(void)st;
	gw_buf_init(&b, sizeof(model));
	for (int i = 0; i < 200000; i++) {
		size_t k = rng_below(200);

		if (rng_below(2)) {
			char bytes[200];

			if (n + k > sizeof(model))
				continue;
			for (size_t j = 0; j < k; j++)
				bytes[j] = model[n + j] = (char)next++;
			gw_buf_put(&b, bytes, k);
			n += k;
			most = n > most ? n : most;
		} else {
			k = k > n ? n : k;
			gw_buf_consume(&b, k);
			memmove(model, model + k, n - k);
			n -= k;
		}
		assert_int_equal(b.err, GW_OK);
		assert_true(b.off <= b.n && b.n <= b.cap && b.cap <= b.max);
		assert_same(gw_buf_view(&b), gw_str(model, n));
	}
	assert_true(most > 3000);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(puts_and_view), cmocka_unit_test(ceiling_sticks),
					    cmocka_unit_test(clear_keeps_or_frees), cmocka_unit_test(queue) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
