#pragma once
#include <stdint.h>

/* The only file that reads clocks. */
uint64_t gw_now_ns(void); /* CLOCK_MONOTONIC */
uint64_t gw_now_ms(void);
int64_t gw_unix_us(void); /* CLOCK_REALTIME, for stamps only, never for durations */
uint64_t gw_cpu_ns(void); /* CPU time of this process */
void gw_sleep_ms(uint64_t ms); /* command line tools and tests only */
