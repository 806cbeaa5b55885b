/* The operator log: one formatted line, one write(2) to stderr. A reader of stderr that has stopped reading must not
 * stop the gateway, so a line that would block is dropped and counted; the next line that fits says how many were
 * lost. */
#include "lib/sys/diag.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/sys/clock.h"

/* A pipe that polls writable takes PIPE_BUF (4096) bytes without blocking; lines stay well below. */
enum { LINE_BYTES = 2048 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static char who[48] = "llmgw";
static enum gw_level least_level = GW_INFO;
static uint64_t n_lost;
static _Thread_local uint64_t n_swallowed_here; /* set by gw_log_may for the line that follows it */

void gw_diag_init(const char *role, int slot, enum gw_level least)
{
	if (slot >= 0)
		snprintf(who, sizeof(who), "%s[%d]", role, slot);
	else
		snprintf(who, sizeof(who), "%s", role);
	least_level = least;
}

/* Not gmtime_r: glibc reads the time zone file on its first call, which a locked-down role may not. The algorithm is
 * the usual count of days in a calendar whose year begins in March. */
static int put_time(char *out, size_t n)
{
	int64_t us = gw_unix_us(), days = us / 86400000000, rest = us % 86400000000 / 1000;
	int64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int month = (int)(mp < 10 ? mp + 3 : mp - 9);

	return snprintf(out, n, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)(yoe + era * 400 + (month <= 2)), month,
			(int)(doy - (153 * mp + 2) / 5 + 1), (int)(rest / 3600000), (int)(rest / 60000 % 60),
			(int)(rest / 1000 % 60), (int)(rest % 1000));
}

static size_t clamp(int printed, size_t room)
{
	return printed < 0 ? 0 : (size_t)printed < room ? (size_t)printed : room - 1;
}

/* Text may carry what a stranger sent: a line stays one line and cannot drive a terminal. */
static void make_plain(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			p[i] = p[i] == '\t' ? ' ' : '?';
}

static size_t put_count(char *line, size_t n, const char *fmt, uint64_t count)
{
	return count ? n + clamp(snprintf(line + n, LINE_BYTES - n, fmt, (unsigned long long)count), LINE_BYTES - n)
		     : n;
}

void gw_log(enum gw_level level, const char *fmt, ...)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[LINE_BYTES + 1];
	size_t n, text_at;
	uint64_t lost;
	va_list ap;

	if (level < least_level || level > GW_ERROR)
		return;
	n = clamp(put_time(line, LINE_BYTES), LINE_BYTES);
	n += clamp(snprintf(line + n, LINE_BYTES - n, " %s %s ", level_names[level], who), LINE_BYTES - n);
	text_at = n;
	va_start(ap, fmt);
	n += clamp(vsnprintf(line + n, LINE_BYTES - 96 - n, fmt, ap), LINE_BYTES - 96 - n);
	va_end(ap);
	make_plain(line + text_at, n - text_at);
	n = put_count(line, n, " (and %llu like it)", n_swallowed_here);
	n_swallowed_here = 0;
	lost = __atomic_exchange_n(&n_lost, 0, __ATOMIC_RELAXED);
	n = put_count(line, n, " (%llu lines lost before)", lost);
	line[n++] = '\n';
	if (poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT) || write(STDERR_FILENO, line, n) < 0)
		__atomic_add_fetch(&n_lost, lost + 1, __ATOMIC_RELAXED);
}

bool gw_log_may(struct gw_log_site *site)
{
	uint64_t now = gw_now_ns(), next = __atomic_load_n(&site->next_ns, __ATOMIC_RELAXED);

	if (now < next || !__atomic_compare_exchange_n(&site->next_ns, &next, now + 1000000000u, false,
						       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&site->swallowed, 1, __ATOMIC_RELAXED);
		return false;
	}
	n_swallowed_here = __atomic_exchange_n(&site->swallowed, 0, __ATOMIC_RELAXED);
	return true;
}
