/* Spelling of ids, names, CIDRs and certificate bundles (types of schemas/config.def). Only the shape is judged here: what an
 * address may be used for is decided where connections are made, and certificates are parsed by the TLS library. */
#include "core/config_impl.h"

bool gw_cf_is_id(struct gw_str s)
{
	if (s.n < 1 || s.n > 63)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
			return false;
	}
	return true;
}

bool gw_cf_is_name(struct gw_str s)
{
	if (s.n < 1 || s.n > 200)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\')
			return false;
	}
	return true;
}

/* "10.0.0.1", no leading zeros. */
static bool is_ipv4(struct gw_str s)
{
	for (int part = 0; part < 4; part++) {
		struct gw_str one = s;
		uint64_t v;
		bool has_dot = gw_str_cut(s, '.', &one, &s);

		if (has_dot != (part < 3))
			return false;
		if (one.n < 1 || one.n > 3 || !gw_str_u64(one, &v) || v > 255 || (one.n > 1 && one.p[0] == '0'))
			return false;
	}
	return true;
}

static bool is_hex_group(struct gw_str s)
{
	if (s.n < 1 || s.n > 4)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
	}
	return true;
}

/* Number of 16-bit groups in "a:b:c" (the last may be a dotted quad, worth two), or -1. "" is 0. */
static int count_groups(struct gw_str s)
{
	int n = 0;

	while (s.n) {
		struct gw_str one;
		bool more = gw_str_cut(s, ':', &one, &s);

		if (!more && gw_str_find(one, '.') < one.n)
			return is_ipv4(one) ? n + 2 : -1;
		if (!is_hex_group(one) || (more && s.n == 0))
			return -1;
		n++;
		if (!more)
			break;
	}
	return n;
}

static bool is_ipv6(struct gw_str s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
		int before, after;

		if (s.p[i] != ':' || s.p[i + 1] != ':')
			continue;
		before = count_groups(gw_str(s.p, i));
		after = count_groups(gw_str_skip(s, i + 2));
		return before >= 0 && after >= 0 && before + after <= 7 && gw_str_find(gw_str(s.p, i), '.') == i;
	}
	return count_groups(s) == 8;
}

bool gw_cf_is_cidr(struct gw_str s)
{
	struct gw_str addr, bits;
	uint64_t n = 0;
	bool has_bits = gw_str_cut(s, '/', &addr, &bits);

	if (s.n > 64)
		return false;
	if (has_bits && (bits.n < 1 || bits.n > 3 || !gw_str_u64(bits, &n) || (bits.n > 1 && bits.p[0] == '0')))
		return false;
	if (is_ipv4(addr))
		return n <= 32;
	return is_ipv6(addr) && n <= 128;
}

/* ---- PEM ---- */

static const struct gw_str pem_begin = { "-----BEGIN CERTIFICATE-----", 27 };
static const struct gw_str pem_end = { "-----END CERTIFICATE-----", 25 };

/* Adds a line's base64 characters to the count; false on anything else, or after padding. */
static bool take_base64(struct gw_str line, size_t *n, size_t *pad)
{
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];

		if (c == '=') {
			(*pad)++;
		} else if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
			   c == '/') {
			if (*pad)
				return false;
		} else {
			return false;
		}
		if (*n == 0 && c != 'M') /* DER of a certificate begins with 0x30 */
			return false;
		(*n)++;
	}
	return true;
}

const char *gw_cf_pem_fault(struct gw_str s)
{
	bool is_inside = false;
	size_t n = 0, pad = 0, certificates = 0;

	while (s.n) {
		struct gw_str line;

		gw_str_cut(s, '\n', &line, &s);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		line = gw_str_trim(line);
		if (gw_str_eq(line, pem_begin)) {
			if (is_inside)
				return "has a BEGIN CERTIFICATE inside a certificate";
			is_inside = true;
			n = pad = 0;
		} else if (gw_str_eq(line, pem_end)) {
			if (!is_inside || n < 64 || n % 4 || pad > 2)
				return "has a certificate that is not whole base64";
			is_inside = false;
			certificates++;
		} else if (gw_str_has_prefix(line, GW_LIT("-----BEGIN"))) {
			return "holds something other than certificates (a private key must never be here)";
		} else if (is_inside && !take_base64(line, &n, &pad)) {
			return "has a certificate that is not base64";
		}
	}
	if (is_inside)
		return "ends inside a certificate";
	return certificates ? NULL : "has no BEGIN CERTIFICATE line";
}
