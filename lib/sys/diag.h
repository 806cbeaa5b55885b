#pragma once
#include "lib/str.h"

/* The operator log: one line per event on stderr, "2026-01-02T03:04:05.678Z warn worker[2] text". Never request
 * records, never bodies, never secrets (which have no formatter). lib/, core/, shm/ do not log. */
enum gw_level { GW_DEBUG, GW_INFO, GW_WARN, GW_ERROR };
void gw_diag_init(const char *role, int slot, enum gw_level least);
void gw_log(enum gw_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* At most one line per second per call site; counts what it swallowed. */
#define gw_log_slow(level, ...)                                                                                        \
	do {                                                                                                           \
		static struct gw_log_site site_;                                                                       \
		if (gw_log_may(&site_))                                                                                \
			gw_log(level, __VA_ARGS__);                                                                    \
	} while (0)
struct gw_log_site {
	uint64_t next_ns;
	uint64_t swallowed;
};
bool gw_log_may(struct gw_log_site *site);
