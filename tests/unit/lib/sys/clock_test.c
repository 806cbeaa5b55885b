/* Clocks go forward in their unit, and sleeping sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "lib/sys/clock.h"

static void test_clocks(void **state)
{
	uint64_t ns = gw_now_ns(), ms = gw_now_ms(), cpu = gw_cpu_ns();
	int64_t wall = gw_unix_us();
	volatile unsigned sum = 0;

	(void)state;
	assert_in_range(ms, ns / 1000000, ns / 1000000 + 1000);
	assert_in_range(wall, (int64_t)(time(NULL) - 2) * 1000000, (int64_t)(time(NULL) + 2) * 1000000);
	gw_sleep_ms(20);
	assert_in_range(gw_now_ns() - ns, 20000000, 5000000000);
	assert_in_range(gw_unix_us() - wall, 15000, 5000000);
	for (unsigned i = 0; i < 20000000; i++)
		sum += i;
	assert_true(gw_cpu_ns() > cpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_clocks) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
