/* Retry-After as providers write it: seconds, seconds with a fraction, a date (RFC 9110 10.2.3), or the retry-after-ms of
 * OpenAI's kin, which says it more exactly. */
#include "core/error_body.h"

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

	if (ms.n && gw_str_u64(ms, &v))
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
