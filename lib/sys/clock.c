/* Clocks. Everything else gets times as arguments, so that tests can choose them. */
#include "lib/sys/clock.h"

#include <errno.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	/* Cannot fail for these clocks; a vDSO call, no system call. */
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t gw_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t gw_now_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

int64_t gw_unix_us(void)
{
	return (int64_t)(read_ns(CLOCK_REALTIME) / 1000u);
}

uint64_t gw_cpu_ns(void)
{
	return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t gw_cpu_ns_of(int pid)
{
	struct timespec ts;
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void gw_sleep_ms(uint64_t ms)
{
	struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}
