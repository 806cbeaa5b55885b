/* lib/crc32.h against the bit-by-bit definition, at every length, alignment and cut, and the check value of the catalogue. */
#include "util.h"

#include "lib/crc32.h"

static uint32_t slow(uint32_t crc, const uint8_t *p, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

static void check_value(void **st)
{
	(void)st;
	assert_int_equal(gw_crc32(0, "123456789", 9), 0xcbf43926u);
	assert_int_equal(gw_crc32(0, "", 0), 0);
}

static void as_defined(void **st)
{
	uint8_t b[600];

	(void)st;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rng();
	for (size_t n = 0; n <= 300; n++) {
		size_t at = rng_below(sizeof(b) - n), cut = n ? rng_below(n) : 0;
		uint32_t want = slow(0, b + at, n);

		assert_int_equal(gw_crc32(0, b + at, n), want);
		assert_int_equal(gw_crc32(gw_crc32(0, b + at, cut), b + at + cut, n - cut), want);
	}
	for (unsigned v = 0; v < 256; v++) { /* each entry of each table */
		for (size_t k = 0; k < 8; k++) {
			uint8_t one[8] = { 0 };

			one[k] = (uint8_t)v;
			assert_int_equal(gw_crc32(0, one, 8), slow(0, one, 8));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(check_value), cmocka_unit_test(as_defined) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
