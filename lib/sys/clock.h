#pragma once
#include <stdint.h>

/* The only file that reads clocks. */
uint64_t gw_now_ns(void); /* CLOCK_MONOTONIC */
uint64_t gw_now_ms(void);
int64_t gw_unix_us(void); /* CLOCK_REALTIME, for stamps only, never for durations */
uint64_t gw_cpu_ns(void); /* CPU time of this process */
/* CPU time of another process, threads that have ended included; 0 when it has gone. */
uint64_t gw_cpu_ns_of(int pid);
void gw_sleep_ms(uint64_t ms); /* command line tools and tests only */
