/* Addresses of clients behind proxies. The rightmost address that is not a trusted proxy is the client: whatever stands
 * to the left of it was written by somebody who could write anything. */
#include "net/client_addr.h"

#include <arpa/inet.h>

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool read_plain(struct gw_str text, uint8_t out[16])
{
	char z[INET6_ADDRSTRLEN];
	uint8_t v4[4];

	if (text.n == 0 || text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	if (inet_pton(AF_INET, z, v4) == 1) {
		memcpy(out, v4_mapped, sizeof(v4_mapped));
		memcpy(out + 12, v4, 4);
		return true;
	}
	return inet_pton(AF_INET6, z, out) == 1;
}

static bool is_port(struct gw_str s)
{
	uint64_t port;

	return s.n > 0 && s.n <= 5 && gw_str_u64(s, &port) && port <= 65535;
}

bool gw_addr_read(struct gw_str text, uint8_t out[16])
{
	size_t colon = gw_str_find(text, ':');

	if (text.n && text.p[0] == '[') {
		size_t end = gw_str_find(text, ']');
		struct gw_str rest = gw_str_skip(text, end < text.n ? end + 1 : text.n);

		if (end >= text.n || (rest.n && (rest.p[0] != ':' || !is_port(gw_str_skip(rest, 1)))))
			return false;
		return read_plain(gw_str(text.p + 1, end - 1), out);
	}
	if (colon < text.n && gw_str_find(gw_str_skip(text, colon + 1), ':') >= text.n - colon - 1 &&
	    gw_str_find(text, '.') < colon) /* one colon, after dots: a port */
		return is_port(gw_str_skip(text, colon + 1)) && read_plain(gw_str(text.p, colon), out);
	return read_plain(text, out);
}

size_t gw_addr_print(const uint8_t addr[16], char out[GW_ADDR_TEXT])
{
	bool is_v4 = memcmp(addr, v4_mapped, sizeof(v4_mapped)) == 0;
	const char *s = inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? addr + 12 : addr, out, GW_ADDR_TEXT);

	return s ? strlen(s) : 0;
}

bool gw_addr_in(const uint8_t addr[16], const struct gw_cidr *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (gw_cidr_covers(&v[i], addr))
			return true;
	return false;
}

bool gw_addr_forwarded(struct gw_str line, const struct gw_cidr *trusted, uint32_t n, uint8_t addr[16])
{
	while (line.n) {
		size_t at = line.n;
		uint8_t read[16];

		while (at > 0 && line.p[at - 1] != ',')
			at--;
		struct gw_str entry = gw_str_trim(gw_str_skip(line, at));

		line.n = at ? at - 1 : 0;
		if (entry.n == 0)
			continue; /* lists may have holes (RFC 9110 5.6.1) */
		if (!gw_addr_read(entry, read))
			return false;
		memcpy(addr, read, 16);
		if (!gw_addr_in(read, trusted, n))
			return false;
	}
	return true;
}
