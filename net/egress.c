/* The egress rules: a table of ranges nobody may reach by default, and how addresses hide inside others. */
#include "net/egress.h"

#include <arpa/inet.h>

/* IANA special-purpose registries (RFC 6890 and successors), cloud metadata, and the translation prefixes, whose inner
 * address the network would reach for us. IPv4 rows are compared as v4-mapped. */
static const struct {
	struct gw_cidr net;
} denied[] = {
#define V4(a, b, c, d, n)                                                                                              \
	{                                                                                                              \
		{                                                                                                      \
			{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }, 96 + (n)                             \
		}                                                                                                      \
	}
	V4(0, 0, 0, 0, 8), /* this network */
	V4(10, 0, 0, 0, 8), /* private */
	V4(100, 64, 0, 0, 10), /* carrier NAT, Alibaba metadata */
	V4(127, 0, 0, 0, 8), /* loopback */
	V4(168, 63, 129, 16, 32), /* Azure wire server */
	V4(169, 254, 0, 0, 16), /* link-local, metadata */
	V4(172, 16, 0, 0, 12), /* private */
	V4(192, 0, 0, 0, 24), /* IETF protocol assignments */
	V4(192, 0, 2, 0, 24), /* documentation */
	V4(192, 88, 99, 0, 24), /* 6to4 relay */
	V4(192, 168, 0, 0, 16), /* private */
	V4(198, 18, 0, 0, 15), /* benchmarks */
	V4(198, 51, 100, 0, 24), /* documentation */
	V4(203, 0, 113, 0, 24), /* documentation */
	V4(224, 0, 0, 0, 4), /* multicast */
	V4(240, 0, 0, 0, 4), /* reserved, broadcast */
#undef V4
	{ { { 0 }, 96 } }, /* ::, ::1, v4-compatible */
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0 }, 96 } }, /* SIIT ::ffff:0:0:0/96 */
	{ { { 0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0 }, 96 } }, /* NAT64 */
	{ { { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48 } }, /* local NAT64 */
	{ { { 0x01, 0x00 }, 64 } }, /* discard */
	{ { { 0x20, 0x01, 0x00 }, 23 } }, /* IETF, Teredo, ORCHID */
	{ { { 0x20, 0x01, 0x0d, 0xb8 }, 32 } }, /* documentation */
	{ { { 0x20, 0x02 }, 16 } }, /* 6to4 */
	{ { { 0x3f, 0xff }, 20 } }, /* documentation */
	{ { { 0x5f, 0x00 }, 16 } }, /* SRv6 SIDs */
	{ { { 0xfc }, 7 } }, /* unique local */
	{ { { 0xfe, 0x80 }, 10 } }, /* link-local */
	{ { { 0xfe, 0xc0 }, 10 } }, /* site-local */
	{ { { 0xff }, 8 } }, /* multicast */
};

/* What carries an IPv4 address inside, and where. */
static const struct {
	struct gw_cidr net;
	uint8_t at;
	bool is_inverted;
} carriers[] = {
	{ { { 0 }, 96 }, 12, false },
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0 }, 96 }, 12, false },
	{ { { 0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0 }, 96 }, 12, false },
	{ { { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48 }, 12, false },
	{ { { 0x20, 0x02 }, 16 }, 2, false },
	{ { { 0x20, 0x01, 0x00, 0x00 }, 32 }, 12, true }, /* Teredo: client, inverted */
	{ { { 0x20, 0x01, 0x00, 0x00 }, 32 }, 4, false }, /* Teredo: server */
};

bool gw_cidr_covers(const struct gw_cidr *c, const uint8_t a[16])
{
	size_t whole = c->bits / 8;
	unsigned rest = c->bits % 8;

	if (memcmp(c->addr, a, whole) != 0)
		return false;
	return rest == 0 || ((c->addr[whole] ^ a[whole]) & (0xffu << (8 - rest)) & 0xffu) == 0;
}

static void map_v4(const void *v4, uint8_t a[16])
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	memcpy(a, prefix, sizeof(prefix));
	memcpy(a + 12, v4, 4);
}

static bool may_plain(const uint8_t a[16], const struct gw_cidr *allow, size_t n_allow)
{
	for (size_t i = 0; i < n_allow; i++)
		if (gw_cidr_covers(&allow[i], a))
			return true;
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (gw_cidr_covers(&denied[i].net, a))
			return false;
	return true;
}

bool gw_egress_may(const struct sockaddr *sa, const struct gw_cidr *allow, size_t n_allow)
{
	uint8_t a[16], inner[16], v4[4];

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		map_v4(&in.sin_addr, a);
		return may_plain(a, allow, n_allow);
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(a, &in6.sin6_addr, 16);
	} else {
		return false;
	}
	if (!may_plain(a, allow, n_allow))
		return false;
	/* A range of carriers may be allowed by hand (an IPv6-only network with NAT64); what it carries must pass as well. */
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
		static const uint8_t loopback[16] = { [15] = 1 };

		if (!gw_cidr_covers(&carriers[i].net, a) || memcmp(a, loopback, 16) == 0)
			continue;
		for (int b = 0; b < 4; b++)
			v4[b] = (uint8_t)(a[carriers[i].at + b] ^ (carriers[i].is_inverted ? 0xff : 0));
		map_v4(v4, inner);
		if (!may_plain(inner, allow, n_allow))
			return false;
	}
	return true;
}

enum gw_err gw_cidr_read(struct gw_str text, struct gw_cidr *out)
{
	struct gw_cidr c = { .bits = 128 };
	struct gw_str addr, tail;
	char z[INET6_ADDRSTRLEN];
	uint64_t bits = 0;
	bool has_bits = gw_str_cut(text, '/', &addr, &tail), is_v4;
	uint8_t v4[4];

	if (addr.n == 0 || addr.n >= sizeof(z) || (has_bits && !gw_str_u64(tail, &bits)))
		return GW_E_INVALID;
	memcpy(z, addr.p, addr.n);
	z[addr.n] = '\0';
	is_v4 = inet_pton(AF_INET, z, v4) == 1;
	if (is_v4)
		map_v4(v4, c.addr);
	else if (inet_pton(AF_INET6, z, c.addr) != 1)
		return GW_E_INVALID;
	if (has_bits) {
		if (bits > (is_v4 ? 32 : 128))
			return GW_E_INVALID;
		c.bits = (uint8_t)(bits + (is_v4 ? 96 : 0));
	}
	*out = c;
	return GW_OK;
}

bool gw_egress_may_port(uint16_t port)
{
	/* the list of "bad ports" of the Fetch standard, and common databases and control ports */
	static const uint16_t bad[] = {
		0,    1,    7,    9,    11,   13,   15,   17,   19,   20,   21,   22,   23,   25,    37,    42,
		43,   53,   69,   77,   79,   87,   95,   101,  102,  103,  104,  109,  110,  111,   113,   115,
		117,  119,  123,  135,  137,  139,  143,  161,  179,  389,  427,  445,  465,  512,   513,   514,
		515,  526,  530,  531,  532,  540,  548,  554,  556,  563,  587,  601,  636,  989,   990,   993,
		995,  1433, 1521, 1719, 1720, 1723, 2049, 2375, 2379, 2380, 3306, 3389, 3659, 4045,  4190,  5060,
		5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 10080, 11211, 27017,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bad[i] == port)
			return false;
	return true;
}
