#pragma once
#include <stdint.h>

/* The only file that reads clocks. */
uint64_t gw_now_ns(void); /* CLOCK_MONOTONIC */
uint64_t gw_now_ms(void);
/* The last time that this thread read by gw_now_ns. A reading costs 25 to 70 ns, and a request makes two dozen stamps: who handles one event
 * reads the clock when the event comes (after recv, for one), and all that happens in the same burst of work takes this. */
uint64_t gw_recent_ns(void);
int64_t gw_unix_recent_us(void); /* the same as a stamp; right to what the clocks drift apart in 200 ms */
int64_t gw_unix_us(void); /* CLOCK_REALTIME, for stamps only, never for durations */
uint64_t gw_cpu_ns(void); /* CPU time of this process */
/* CPU time of another process, threads that have ended included; 0 when it has gone. */
uint64_t gw_cpu_ns_of(int pid);
void gw_sleep_ms(uint64_t ms); /* command line tools and tests only */
