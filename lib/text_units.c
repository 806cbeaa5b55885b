/* Durations, sizes and points in time as people write them (lib/text.h). */
#include "lib/text.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: writing takes the first that divides. */
static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct unit sizes[] = {
	{ "TiB", 1ull << 40 },
	{ "GiB", 1ull << 30 },
	{ "MiB", 1ull << 20 },
	{ "KiB", 1ull << 10 },
};
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* digits, then one of the unit names or nothing (factor 1) */
static bool read_units(struct gw_str s, const struct unit *units, size_t n_units, uint64_t *out)
{
	size_t digits = 0;
	uint64_t v, factor = 0;
	struct gw_str name;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (!gw_str_u64(gw_str(s.p, digits), &v))
		return false;
	name = gw_str_skip(s, digits);
	if (name.n == 0)
		factor = 1;
	for (size_t i = 0; i < n_units; i++)
		if (gw_str_eq(name, gw_str_z(units[i].name)))
			factor = units[i].factor;
	if (factor == 0 || __builtin_mul_overflow(v, factor, &v))
		return false;
	*out = v;
	return true;
}

bool gw_duration_read(struct gw_str s, uint64_t *ms)
{
	return read_units(s, durations, N_OF(durations), ms);
}

void gw_duration_put(struct gw_buf *b, uint64_t ms)
{
	size_t i = 0;

	if (ms == 0) {
		gw_buf_puts(b, GW_LIT("0s"));
		return;
	}
	while (ms % durations[i].factor)
		i++;
	gw_buf_put_u64(b, ms / durations[i].factor);
	gw_buf_puts(b, gw_str_z(durations[i].name));
}

bool gw_size_read(struct gw_str s, uint64_t *bytes)
{
	return read_units(s, sizes, N_OF(sizes), bytes);
}

void gw_size_put(struct gw_buf *b, uint64_t bytes)
{
	for (size_t i = 0; i < N_OF(sizes) && bytes; i++) {
		if (bytes % sizes[i].factor)
			continue;
		gw_buf_put_u64(b, bytes / sizes[i].factor);
		gw_buf_puts(b, gw_str_z(sizes[i].name));
		return;
	}
	gw_buf_put_u64(b, bytes);
}

/* ---- time ---- */

enum { US = 1000000 };
static const int64_t year0_s = -62167219200; /* 0000-01-01T00:00:00Z */
static const int64_t year10k_s = 253402300800; /* 10000-01-01T00:00:00Z */

struct civil {
	int64_t year;
	unsigned month, day;
};

/* Proleptic Gregorian calendar in eras of 400 years that begin on 1 March, so that the leap day comes last. */
static struct civil civil_from_days(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	unsigned month = mp < 10 ? mp + 3 : mp - 9;

	return (struct civil){ (int64_t)yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) / 5 + 1 };
}

static int64_t days_from_civil(struct civil c)
{
	int64_t y = c.year - (c.month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + (int64_t)doe - 719468;
}

/* v as n digits with leading zeros, at to. */
static void put_digits(char *to, uint64_t v, unsigned n)
{
	while (n) {
		to[--n] = (char)('0' + v % 10);
		v /= 10;
	}
}

void gw_time_put(struct gw_buf *b, int64_t unix_us)
{
	int64_t s = unix_us / US, us = unix_us % US;
	char text[24] = "0000-00-00T00:00:00.000Z";
	struct civil c;
	uint64_t in_day;

	if (us < 0) {
		us += US;
		s--;
	}
	if (s < year0_s || s >= year10k_s) { /* RFC 3339 has four digits; the nearest it can say */
		us = s < year0_s ? 0 : US - 1;
		s = s < year0_s ? year0_s : year10k_s - 1;
	}
	in_day = (uint64_t)((s % 86400 + 86400) % 86400);
	c = civil_from_days((s - (int64_t)in_day) / 86400);
	put_digits(text, (uint64_t)c.year, 4);
	put_digits(text + 5, c.month, 2);
	put_digits(text + 8, c.day, 2);
	put_digits(text + 11, in_day / 3600, 2);
	put_digits(text + 14, in_day / 60 % 60, 2);
	put_digits(text + 17, in_day % 60, 2);
	put_digits(text + 20, (uint64_t)us / 1000, 3);
	gw_buf_put(b, text, sizeof(text));
}

static bool take_digits(struct gw_str *s, size_t n, unsigned *out)
{
	uint64_t v;

	if (s->n < n || !gw_str_u64(gw_str(s->p, n), &v))
		return false;
	*out = (unsigned)v;
	*s = gw_str_skip(*s, n);
	return true;
}

static bool take_char(struct gw_str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = gw_str_skip(*s, 1);
	return true;
}

/* ".123456789": 1 to 9 digits, cut to microseconds. */
static bool take_fraction(struct gw_str *s, int64_t *us)
{
	unsigned n = 0;

	*us = 0;
	if (!take_char(s, '.'))
		return true;
	for (int64_t unit = US / 10; s->n && s->p[0] >= '0' && s->p[0] <= '9'; unit /= 10, n++) {
		*us += unit * (s->p[0] - '0');
		*s = gw_str_skip(*s, 1);
	}
	return n >= 1 && n <= 9;
}

/* "Z" or "+hh:mm", as seconds east. */
static bool take_offset(struct gw_str *s, int64_t *east)
{
	unsigned h, m;
	bool minus;

	*east = 0;
	if (take_char(s, 'Z') || take_char(s, 'z'))
		return true;
	minus = take_char(s, '-');
	if (!minus && !take_char(s, '+'))
		return false;
	if (!take_digits(s, 2, &h) || !take_char(s, ':') || !take_digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*east = (minus ? -1 : 1) * (int64_t)(h * 3600 + m * 60);
	return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool gw_time_read(struct gw_str s, int64_t *unix_us)
{
	unsigned year, month, day, h, m, sec;
	int64_t us, east, days;

	if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) || !take_char(&s, '-') ||
	    !take_digits(&s, 2, &day) || (!take_char(&s, 'T') && !take_char(&s, 't')))
		return false;
	if (!take_digits(&s, 2, &h) || !take_char(&s, ':') || !take_digits(&s, 2, &m) || !take_char(&s, ':') ||
	    !take_digits(&s, 2, &sec) || !take_fraction(&s, &us) || !take_offset(&s, &east) || s.n)
		return false;
	/* a leap second (:60) has no Unix time of its own; refused rather than folded onto its neighbour */
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || h > 23 || m > 59 || sec > 59)
		return false;
	days = days_from_civil((struct civil){ year, month, day });
	*unix_us = (days * 86400 + (int64_t)(h * 3600 + m * 60 + sec) - east) * US + us;
	return true;
}
