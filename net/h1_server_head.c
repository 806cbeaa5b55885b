/* Our own reading of a request head: pure functions over whole lines. The parser behind it (llhttp, strict) reads
 * the same bytes afterwards and must agree. What it would let pass and we refuse: two spaces, fragments, other
 * versions, Host syntax and twins, transfer codings beside chunked, singletons sent twice, names that shadow
 * others by an underscore, bare LF. */
#include <arpa/inet.h>

#include "lib/http_chars.h"
#include "net/h1_server_int.h"

enum { METHOD_BYTES = 32 }; /* none that is registered has more than 17 */

static bool is_hex(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F');
}

/* ---- request line ---- */

static enum gw_err read_method(struct gw_str m, bool may_put, enum gw_h1_method *out)
{
	static const struct {
		struct gw_str name;
		enum gw_h1_method method;
		bool needs_put;
	} known[] = {
		{ { "POST", 4 }, GW_H1_POST, false },       { { "GET", 3 }, GW_H1_GET, false },
		{ { "HEAD", 4 }, GW_H1_HEAD, false },       { { "DELETE", 6 }, GW_H1_DELETE, false },
		{ { "OPTIONS", 7 }, GW_H1_OPTIONS, false }, { { "PUT", 3 }, GW_H1_PUT, true },
		{ { "PATCH", 5 }, GW_H1_PATCH, true },
	};

	if (m.n == 0)
		return GW_E_BAD_HTTP;
	if (!gw_http_is_token(m))
		return GW_E_BAD_HTTP;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!gw_str_eq(m, known[i].name))
			continue;
		*out = known[i].method;
		return known[i].needs_put && !may_put ? GW_E_BAD_METHOD : GW_OK;
	}
	if (gw_str_eq(m, GW_LIT("TRACE")) || gw_str_eq(m, GW_LIT("CONNECT")))
		return GW_E_BAD_METHOD;
	return GW_E_METHOD_UNKNOWN;
}

/* Origin form, or `*` for OPTIONS. No fragment, no backslash (others read it as a slash), escapes whole. */
static enum gw_err check_target(struct gw_str t, enum gw_h1_method method)
{
	if (gw_str_eq(t, GW_LIT("*")))
		return method == GW_H1_OPTIONS ? GW_OK : GW_E_BAD_HTTP;
	if (t.n == 0 || t.p[0] != '/')
		return GW_E_BAD_HTTP;
	for (size_t i = 0; i < t.n; i++) {
		unsigned char ch = (unsigned char)t.p[i];

		if (ch <= 0x20 || ch >= 0x7f || ch == '#' || ch == '\\' || ch == '"' || ch == '<' || ch == '>')
			return GW_E_BAD_HTTP;
		if (ch == '%' && (t.n - i < 3 || !is_hex(t.p[i + 1]) || !is_hex(t.p[i + 2])))
			return GW_E_BAD_HTTP;
	}
	return GW_OK;
}

static enum gw_err read_version(struct gw_str v, bool *is_http10)
{
	if (gw_str_eq(v, GW_LIT("HTTP/1.1")))
		return GW_OK;
	if (gw_str_eq(v, GW_LIT("HTTP/1.0"))) {
		*is_http10 = true;
		return GW_OK;
	}
	if (v.n == 8 && gw_str_has_prefix(v, GW_LIT("HTTP/")) && v.p[5] >= '0' && v.p[5] <= '9' && v.p[6] == '.' &&
	    v.p[7] >= '0' && v.p[7] <= '9')
		return GW_E_HTTP_VERSION;
	return GW_E_BAD_HTTP;
}

enum gw_err gw_h1_line_begin(struct gw_str part)
{
	size_t method_n = gw_str_find(part, ' ');
	uint8_t bad = 0;

	if (method_n == 0)
		return GW_E_BAD_HTTP;
	if (method_n > METHOD_BYTES) {
		for (size_t i = 0; i <= METHOD_BYTES; i++)
			if (!gw_http_is_tchar(part.p[i]))
				return GW_E_BAD_HTTP;
		return GW_E_METHOD_UNKNOWN;
	}
	for (size_t i = 0; i < part.n; i++) /* without a way out, so that it is done many at once */
		bad |= (uint8_t)(part.p[i] - ' ') > '~' - ' ';
	return bad ? GW_E_BAD_HTTP : GW_OK;
}

enum gw_err gw_h1_line_read(struct gw_str line, bool may_put, struct gw_h1_line *out)
{
	struct gw_str method, rest, version;
	struct gw_h1_line l = { .method = GW_H1_GET };
	enum gw_err e, method_err;

	if (!gw_str_cut(line, ' ', &method, &rest) || !gw_str_cut(rest, ' ', &l.target, &version))
		return GW_E_BAD_HTTP;
	method_err = read_method(method, may_put, &l.method);
	if (method_err == GW_E_BAD_HTTP)
		return method_err;
	e = read_version(version, &l.is_http10);
	if (e)
		return e;
	if (method_err)
		return method_err;
	e = check_target(l.target, l.method);
	if (e)
		return e;
	*out = l;
	return GW_OK;
}

/* ---- Host ---- */

static bool is_port(struct gw_str s)
{
	uint64_t port;

	return s.n == 0 || (s.n <= 5 && gw_str_u64(s, &port) && port <= 65535);
}

static bool is_ipv6(struct gw_str s)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return strlen(text) == s.n && inet_pton(AF_INET6, text, address) == 1;
}

bool gw_h1_host_is_valid(struct gw_str host)
{
	struct gw_str name, port;

	if (host.n > 1 && host.p[0] == '[') {
		struct gw_str inside;

		if (!gw_str_cut(gw_str_skip(host, 1), ']', &inside, &port) || !is_ipv6(inside))
			return false;
		return port.n == 0 || (port.p[0] == ':' && is_port(gw_str_skip(port, 1)));
	}
	if (!gw_str_cut(host, ':', &name, &port))
		port = GW_NIL;
	if (name.n == 0 || name.n > 255 || !is_port(port))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char ch = (unsigned char)name.p[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
		      ch == '.' || ch == '_' || ch == '~'))
			return false;
	}
	return true;
}

/* ---- fields ---- */

/* Fields that decide framing or identity: at most one each, no twin spelled with an underscore. */
enum known {
	KNOWN_NONE = -1,
	HOST,
	LENGTH,
	TRANSFER,
	AUTHORIZATION,
	TYPE,
	EXPECT,
	X_API_KEY,
	API_KEY,
	GOOG_KEY,
	ENCODING,
	CONNECTION,
	N_KNOWN
};
static const struct {
	struct gw_str name;
	bool may_repeat;
} knowns[N_KNOWN] = {
	[HOST] = { { "host", 4 }, false },
	[LENGTH] = { { "content-length", 14 }, false },
	[TRANSFER] = { { "transfer-encoding", 17 }, false },
	[AUTHORIZATION] = { { "authorization", 13 }, false },
	[TYPE] = { { "content-type", 12 }, false },
	[EXPECT] = { { "expect", 6 }, false },
	[X_API_KEY] = { { "x-api-key", 9 }, false },
	[API_KEY] = { { "api-key", 7 }, false },
	[GOOG_KEY] = { { "x-goog-api-key", 14 }, false },
	[ENCODING] = { { "content-encoding", 16 }, false },
	[CONNECTION] = { { "connection", 10 }, true },
};

static char fold(char ch)
{
	return ch == '_' ? '-' : ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
}

static bool is_alike(struct gw_str name, struct gw_str known)
{
	size_t i = 0;

	while (i < name.n && fold(name.p[i]) == known.p[i])
		i++;
	return i == name.n;
}

/* Which known field this is when `_` counts as `-`; *is_twin: it is not spelled so. */
static enum known which(struct gw_str name, bool *is_twin)
{
	*is_twin = false;
	for (int k = 0; k < N_KNOWN; k++) {
		if (gw_str_ieq(name, knowns[k].name))
			return (enum known)k;
		if (knowns[k].name.n == name.n && is_alike(name, knowns[k].name)) {
			*is_twin = true; /* only an underscore is alike and not equal */
			return (enum known)k;
		}
	}
	return KNOWN_NONE;
}

/* `line` is without CRLF. */
static enum gw_err split_field(struct gw_str line, struct gw_h1_header *h)
{
	size_t colon = gw_str_find(line, ':');
	struct gw_str value;

	if (colon == 0 || colon == line.n)
		return GW_E_BAD_HTTP; /* also a folded line, whose first byte is a space */
	value = gw_str_trim(gw_str_skip(line, colon + 1));
	if (!gw_http_is_token(gw_str(line.p, colon)) || !gw_http_is_value(value))
		return GW_E_BAD_HTTP;
	*h = (struct gw_h1_header){ gw_str(line.p, colon), value };
	return GW_OK;
}

/* Digits only, no leading zero (readers differ on 027), at most 2^63-1. */
static enum gw_err read_length(struct gw_str v, int64_t *out)
{
	uint64_t n;

	if (v.n == 0 || (v.n > 1 && v.p[0] == '0') || !gw_str_u64(v, &n) || n > INT64_MAX)
		return GW_E_BAD_HTTP;
	*out = (int64_t)n;
	return GW_OK;
}

static bool has_close(struct gw_str list)
{
	struct gw_str token;
	bool is_more;

	do {
		is_more = gw_str_cut(list, ',', &token, &list);
		if (gw_str_ieq(gw_str_trim(token), GW_LIT("close")))
			return true;
	} while (is_more);
	return false;
}

static enum gw_err take_known(enum known k, struct gw_str value, bool is_http10, struct gw_h1_framing_in *in)
{
	switch (k) {
	case HOST:
		in->host = value;
		return gw_h1_host_is_valid(value) ? GW_OK : GW_E_BAD_HTTP;
	case LENGTH:
		return read_length(value, &in->content_length);
	case TRANSFER:
		in->is_chunked = true;
		return gw_str_ieq(value, GW_LIT("chunked")) && !is_http10 ? GW_OK : GW_E_BAD_HTTP;
	case EXPECT:
		if (is_http10)
			return GW_OK; /* RFC 9110 10.1.1: a 1.0 expectation is ignored */
		in->is_expecting = true;
		return gw_str_ieq(value, GW_LIT("100-continue")) ? GW_OK : GW_E_EXPECTATION;
	case CONNECTION:
		in->is_closing |= has_close(value);
		return GW_OK;
	default:
		return GW_OK;
	}
}

enum gw_err gw_h1_fields_read(struct gw_str block, bool is_http10, uint32_t max_count, struct gw_buf *fields,
			      struct gw_h1_framing_in *out)
{
	struct gw_h1_framing_in in = { .content_length = -1, .is_closing = is_http10 };
	uint32_t count[N_KNOWN] = { 0 }, n = 0;
	enum gw_err late = GW_OK; /* an expectation we do not know matters only when the message is sound */

	while (block.n) {
		const char *lf = memchr(block.p, '\n', block.n);
		struct gw_h1_header h;
		bool is_twin;
		enum known k;
		size_t len;
		enum gw_err e;

		if (!lf || lf == block.p || lf[-1] != '\r')
			return GW_E_BAD_HTTP;
		len = (size_t)(lf - block.p);
		e = split_field(gw_str(block.p, len - 1), &h);
		if (e)
			return e;
		if (++n > max_count)
			return GW_E_HEADERS_TOO_BIG;
		k = which(h.name, &is_twin);
		if (is_twin || (k != KNOWN_NONE && count[k]++ && !knowns[k].may_repeat))
			return GW_E_BAD_HTTP;
		e = k == KNOWN_NONE ? GW_OK : take_known(k, h.value, is_http10, &in);
		if (e == GW_E_EXPECTATION)
			late = e;
		else if (e)
			return e;
		gw_buf_put(fields, &h, sizeof(h));
		block = gw_str_skip(block, len + 1);
	}
	if ((in.is_chunked && in.content_length >= 0) || (!is_http10 && !count[HOST]))
		return GW_E_BAD_HTTP;
	if (fields->err)
		return GW_E_HEADERS_TOO_BIG;
	*out = in;
	return late;
}
