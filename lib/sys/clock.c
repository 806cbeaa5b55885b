/* Clocks. Everything else gets times as arguments, so that tests can choose them. */
#include "lib/sys/clock.h"

#include <errno.h>
#include <time.h>

enum { WALL_NS = 200000000 };

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	/* Cannot fail for these clocks; a vDSO call, no system call. */
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static _Thread_local struct {
	uint64_t ns; /* last reading, 0 = never */
	uint64_t wall_at_ns; /* when wall_us was worked out */
	int64_t wall_us; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
} recent;

uint64_t gw_now_ns(void)
{
	return recent.ns = read_ns(CLOCK_MONOTONIC);
}

uint64_t gw_recent_ns(void)
{
	return recent.ns ? recent.ns : gw_now_ns();
}

int64_t gw_unix_recent_us(void)
{
	uint64_t now = gw_recent_ns();

	if (!recent.wall_at_ns || now - recent.wall_at_ns > WALL_NS) {
		recent.wall_at_ns = gw_now_ns();
		recent.wall_us = gw_unix_us() - (int64_t)(recent.wall_at_ns / 1000);
	}
	return recent.wall_us + (int64_t)(now / 1000);
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
