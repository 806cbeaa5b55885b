/* URLs (lib/url.h): one strict reading, so that what a check has seen is what a connection will use. */
#include "lib/url.h"

enum { URL_MAX = 8192, HOST_MAX = 253, LABEL_MAX = 63 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_alnum(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_unreserved(char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* ---- hosts ---- */

/* One number 0..255 without leading zeros; moves *s behind it. */
static bool take_octet(struct gw_str *s)
{
	unsigned v = 0;
	size_t n = 0;

	while (n < s->n && n < 4 && is_digit(s->p[n]))
		v = v * 10 + (unsigned)(s->p[n++] - '0');
	if (n == 0 || n > 3 || v > 255 || (n > 1 && s->p[0] == '0'))
		return false;
	*s = gw_str_skip(*s, n);
	return true;
}

static bool is_ipv4(struct gw_str s)
{
	for (int i = 0; i < 4; i++) {
		if (i && (s.n == 0 || s.p[0] != '.'))
			return false;
		if (i)
			s = gw_str_skip(s, 1);
		if (!take_octet(&s))
			return false;
	}
	return s.n == 0;
}

/* Hex groups parted by ':', once "::", a dotted quad as the last two groups. No zone. */
static bool is_ipv6(struct gw_str s)
{
	unsigned groups = 0;
	bool has_gap = gw_str_has_prefix(s, GW_LIT("::"));

	if (has_gap)
		s = gw_str_skip(s, 2);
	while (s.n) {
		size_t n = 0;

		while (n < s.n && is_hex(s.p[n]))
			n++;
		if (n < s.n && s.p[n] == '.') {
			groups += 2;
			if (!is_ipv4(s))
				return false;
			break;
		}
		if (n == 0 || n > 4)
			return false;
		groups++;
		s = gw_str_skip(s, n);
		if (s.n == 0)
			break;
		if (s.p[0] != ':' || s.n == 1)
			return false;
		s = gw_str_skip(s, 1);
		if (s.p[0] == ':') {
			if (has_gap)
				return false;
			has_gap = true;
			s = gw_str_skip(s, 1);
		}
	}
	return has_gap ? groups < 8 : groups == 8;
}

static bool is_label(struct gw_str s)
{
	if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return true;
}

/* Would some resolver take a name that ends in this label for an IPv4 address? */
static bool is_numeric(struct gw_str label)
{
	bool is_x = label.n >= 2 && label.p[0] == '0' && (label.p[1] | 0x20) == 'x';

	for (size_t i = is_x ? 2 : 0; i < label.n; i++)
		if (is_x ? !is_hex(label.p[i]) : !is_digit(label.p[i]))
			return false;
	return true;
}

static bool is_host(struct gw_str s)
{
	struct gw_str label, rest = s;
	bool more;

	if (s.n == 0 || s.n > HOST_MAX)
		return false;
	do {
		more = gw_str_cut(rest, '.', &label, &rest);
		if (!is_label(label))
			return false;
	} while (more);
	return !is_numeric(label) || is_ipv4(s);
}

/* ---- the parts ---- */

static bool take_scheme(struct gw_str *s, bool *is_https)
{
	static const struct gw_str http = { "http://", 7 }, https = { "https://", 8 };

	*is_https = s->n >= https.n && gw_str_ieq(gw_str(s->p, https.n), https);
	if (!*is_https && !(s->n >= http.n && gw_str_ieq(gw_str(s->p, http.n), http)))
		return false;
	*s = gw_str_skip(*s, *is_https ? https.n : http.n);
	return true;
}

/* host[:port], all of s */
static bool read_authority(struct gw_str s, struct gw_url *u)
{
	struct gw_str host, port;
	uint64_t v;
	bool has_port;

	u->is_ipv6 = s.n && s.p[0] == '[';
	if (u->is_ipv6) {
		struct gw_str after;

		if (!gw_str_cut(gw_str_skip(s, 1), ']', &host, &after) || !is_ipv6(host))
			return false;
		has_port = after.n > 0;
		if (has_port && after.p[0] != ':')
			return false;
		port = gw_str_skip(after, 1);
	} else {
		has_port = gw_str_cut(s, ':', &host, &port);
		if (!is_host(host))
			return false;
	}
	u->host = host;
	u->port = u->is_https ? 443 : 80;
	if (!has_port)
		return true;
	if (port.n > 5 || !gw_str_u64(port, &v) || v < 1 || v > 65535 || port.p[0] == '0')
		return false;
	u->port = (uint16_t)v;
	return true;
}

/* pchar, '/' and, in a query, '?' */
static bool is_path_text(struct gw_str s, bool is_query)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
				return false;
			i += 2;
		} else if (!is_unreserved(c) && (c == '\0' || !strchr("!$&'()*+,;=:@/", c)) &&
			   !(is_query && c == '?')) {
			return false;
		}
	}
	return true;
}

enum gw_err gw_url_parse(struct gw_str text, struct gw_url *out)
{
	struct gw_url u = { 0 };
	struct gw_str rest = text, authority;
	size_t n = 0;

	if (text.n > URL_MAX || !take_scheme(&rest, &u.is_https))
		return GW_E_INVALID;
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	authority = gw_str(rest.p, n);
	gw_str_cut(gw_str_skip(rest, n), '?', &u.path, &u.query);
	if (!read_authority(authority, &u) || !is_path_text(u.path, false) || !is_path_text(u.query, true))
		return GW_E_INVALID;
	while (u.path.n && u.path.p[u.path.n - 1] == '/')
		u.path.n--;
	*out = u;
	return GW_OK;
}

/* ---- percent-encoding, query strings ---- */

void gw_url_encode(struct gw_buf *b, struct gw_str s)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_unreserved(s.p[i]))
			gw_buf_putc(b, s.p[i]);
		else
			gw_buf_put(b, (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3);
	}
}

static unsigned hex_value(char c)
{
	return (unsigned)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

bool gw_url_decode(struct gw_buf *b, struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
				return false;
			c = (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2]));
			i += 2;
		}
		if (c == '\0')
			return false;
		gw_buf_putc(b, c);
	}
	return !b->err;
}

bool gw_query_get(struct gw_str query, struct gw_str key, struct gw_str *out)
{
	struct gw_str pair, name, value;
	bool more = query.n > 0;

	while (more) {
		more = gw_str_cut(query, '&', &pair, &query);
		gw_str_cut(pair, '=', &name, &value);
		if (pair.n && gw_str_eq(name, key)) {
			*out = value;
			return true;
		}
	}
	return false;
}
