/* When a provider wants to be asked again, in all the ways it is said: Retry-After in seconds, with a fraction, or as a date (RFC 9110
 * 10.2.3); retry-after-ms of OpenAI's kin, which says it more exactly; the moment at which a used up rate is filled again
 * (x-ratelimit-reset-*, anthropic-ratelimit-*-reset); the words of a message ("Please try again in 7m12s"). */
#include "core/error_body.h"

#include "lib/text.h"

static const uint64_t max_retry_ms = 86400000;

static bool two_digits(const char *p, int64_t *out)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*out = (p[0] - '0') * 10 + (p[1] - '0');
	return true;
}

static int64_t month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int64_t m = 0; m < 12; m++)
		if (memcmp(names + m * 3, p, 3) == 0)
			return m + 1;
	return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", the one form that may be sent. Days from civil date: years begin in March. */
bool gw_http_date_read(struct gw_str s, int64_t *unix_s)
{
	int64_t day, century, year, hour, min, sec, month;

	if (s.n != 29 || memcmp(s.p + 3, ", ", 2) != 0 || memcmp(s.p + 25, " GMT", 4) != 0 || s.p[7] != ' ' ||
	    s.p[11] != ' ' || s.p[16] != ' ' || s.p[19] != ':' || s.p[22] != ':')
		return false;
	month = month_of(s.p + 8);
	if (!month || !two_digits(s.p + 5, &day) || !two_digits(s.p + 12, &century) || !two_digits(s.p + 14, &year) ||
	    !two_digits(s.p + 17, &hour) || !two_digits(s.p + 20, &min) || !two_digits(s.p + 23, &sec))
		return false;
	if (day < 1 || day > 31 || hour > 23 || min > 59 || sec > 60)
		return false;
	year += century * 100 - (month <= 2);
	int64_t era = year / 400, yoe = year - era * 400,
		doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	*unix_s =
	    (era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468) * 86400 + hour * 3600 + min * 60 + sec;
	return true;
}

static uint64_t until_date(struct gw_str s, int64_t now_s)
{
	int64_t at;

	if (now_s <= 0 || !gw_http_date_read(s, &at) || at <= now_s)
		return 0;
	return (uint64_t)(at - now_s) >= max_retry_ms / 1000 ? max_retry_ms : (uint64_t)(at - now_s) * 1000;
}

uint64_t gw_retry_after_ms(struct gw_str retry_after, struct gw_str retry_after_ms, int64_t now_s)
{
	uint64_t whole = 0, v = 0, scale = 100;
	struct gw_str head, rest, ms = gw_str_trim(retry_after_ms), text = gw_str_trim(retry_after);

	if (ms.n && gw_str_u64(ms, &v) && v) /* Azure says 0 beside a Retry-After of one second */
		return v < max_retry_ms ? v : max_retry_ms;
	gw_str_cut(text, '.', &head, &rest);
	if (!gw_str_u64(head, &whole))
		return until_date(text, now_s);
	if (whole >= max_retry_ms / 1000)
		return max_retry_ms;
	v = whole * 1000;
	for (size_t i = 0; i < rest.n && i < 3 && rest.p[i] >= '0' && rest.p[i] <= '9'; i++, scale /= 10)
		v += (uint64_t)(rest.p[i] - '0') * scale;
	return v;
}

/* ---- durations: "7m12s", "1.5s", "350ms", "2 minutes" ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Milliseconds of the unit at the front of the text, and how long its name is; 0 = none. */
static uint64_t unit_ms(struct gw_str s, size_t *n)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "milliseconds", 1 }, { "millisecond", 1 }, { "seconds", 1000 },  { "second", 1000 },
		      { "minutes", 60000 },  { "minute", 60000 },  { "hours", 3600000 }, { "hour", 3600000 },
		      { "days", 86400000 },  { "day", 86400000 },  { "secs", 1000 },     { "sec", 1000 },
		      { "mins", 60000 },     { "min", 60000 },     { "ms", 1 },          { "s", 1000 },
		      { "m", 60000 },        { "h", 3600000 },     { "d", 86400000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct gw_str name = gw_str_z(units[i].name);

		if (gw_str_has_prefix(s, name)) {
			*n = name.n;
			return units[i].ms;
		}
	}
	return 0;
}

/* A number with up to six digits behind its point, in millionths; *s goes on behind it. */
static bool read_millionths(struct gw_str *s, uint64_t *out)
{
	uint64_t v = 0, scale = 100000;
	size_t i = 0;

	for (; i < s->n && is_digit(s->p[i]); i++) {
		if (v > 1000000000000)
			return false;
		v = v * 10 + (uint64_t)(s->p[i] - '0');
	}
	if (i == 0)
		return false;
	v *= 1000000;
	if (i + 1 < s->n && s->p[i] == '.' && is_digit(s->p[i + 1])) {
		for (i++; i < s->n && is_digit(s->p[i]); i++, scale /= 10)
			v += (uint64_t)(s->p[i] - '0') * scale;
	}
	*s = gw_str_skip(*s, i);
	*out = v;
	return true;
}

/* Parts behind one another add up ("1m26.4s", "1 minute 5 seconds"); 0 = it begins with none. */
static uint64_t duration_ms(struct gw_str s)
{
	uint64_t sum = 0, v, unit;
	size_t n = 0;

	for (int parts = 0; parts < 4; parts++) {
		while (parts && s.n && s.p[0] == ' ')
			s = gw_str_skip(s, 1);
		if (!read_millionths(&s, &v))
			break;
		while (s.n && s.p[0] == ' ')
			s = gw_str_skip(s, 1);
		unit = unit_ms(s, &n);
		if (!unit)
			break;
		s = gw_str_skip(s, n);
		if (v / 1000000 >= max_retry_ms / unit)
			return max_retry_ms;
		sum += (v * unit + 999999) / 1000000;
	}
	return sum < max_retry_ms ? sum : max_retry_ms;
}

uint64_t gw_retry_words_ms(struct gw_str lower)
{
	static const char *const leads[] = { "try again in ", "retry in ", "retry after ", "try again after ",
					     "retried after " };
	uint64_t ms = 0;

	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]) && !ms; i++) {
		size_t n = strlen(leads[i]);
		const char *at = lower.n ? memmem(lower.p, lower.n, leads[i], n) : NULL;

		if (at)
			ms = duration_ms(gw_str_skip(lower, (size_t)(at - lower.p) + n));
	}
	return ms;
}

/* A duration, seconds, a moment in seconds or milliseconds since 1970, or an RFC 3339 time. */
static uint64_t reset_ms(struct gw_str s, int64_t now_s)
{
	uint64_t v, ms = duration_ms(s);
	struct gw_str rest = s;
	int64_t at_us = 0;

	if (ms || !now_s)
		return ms;
	if (gw_time_read(s, &at_us)) {
		v = (uint64_t)(at_us > 0 ? at_us / 1000 : 0);
	} else {
		if (!read_millionths(&rest, &v) || rest.n)
			return 0;
		v /= 1000; /* milliseconds, had it been seconds */
		if (v < 1000000000000)
			return v < max_retry_ms ? v : max_retry_ms;
		if (v >= 1000000000000000) /* it was milliseconds */
			v /= 1000;
	}
	v = v > (uint64_t)now_s * 1000 ? v - (uint64_t)now_s * 1000 : 0;
	return v < max_retry_ms ? v : max_retry_ms;
}

uint64_t gw_retry_reset_ms(struct gw_str (*header)(const void *from, struct gw_str name), const void *from,
			   int64_t now_s)
{
	static const char *const rates[][2] = {
		{ "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests" },
		{ "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens" },
		{ "x-ratelimit-remaining", "x-ratelimit-reset" },
		{ "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset" },
		{ "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset" },
		{ "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset" },
		{ "anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset" },
	};
	uint64_t longest = 0;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct gw_str left = gw_str_trim(header(from, gw_str_z(rates[i][0]))),
			      reset = gw_str_trim(header(from, gw_str_z(rates[i][1])));
		uint64_t ms;

		if (!gw_str_eq(left, GW_LIT("0")) || !reset.n)
			continue;
		ms = reset_ms(reset, now_s);
		longest = ms > longest ? ms : longest;
	}
	return longest;
}
