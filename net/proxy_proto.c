/* PROXY protocol headers. A connection from a balancer that should send one and does not, or sends a doubtful one, is
 * closed: a wrong address in the records is worse than a lost connection. */
#include "net/proxy_proto.h"

#include <arpa/inet.h>

#include "lib/text.h"

enum { V2_HEAD = 16, V4_BLOCK = 12, V6_BLOCK = 36, UNIX_BLOCK = 216, TLV_CRC32C = 3, TLV_HEAD = 3 };

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool begins_like(struct gw_str in, struct gw_str sign)
{
	size_t n = in.n < sign.n ? in.n : sign.n;

	return memcmp(in.p, sign.p, n) == 0;
}

/* ---- version 1: a line of text ---- */

static bool read_port(struct gw_str s, uint16_t *out)
{
	uint64_t port;

	if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0') || !gw_str_u64(s, &port) || port > 65535)
		return false;
	*out = (uint16_t)port;
	return true;
}

static bool read_text(struct gw_str s, bool is_v6, uint8_t out[16])
{
	char z[INET6_ADDRSTRLEN];

	if (s.n == 0 || s.n >= sizeof(z))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	if (is_v6)
		return inet_pton(AF_INET6, z, out) == 1;
	memcpy(out, v4_mapped, sizeof(v4_mapped));
	return inet_pton(AF_INET, z, out + 12) == 1;
}

/* "TCP4 192.0.2.1 198.51.100.1 50000 443", exactly one space between. */
static enum gw_err read_line(struct gw_str line, struct gw_proxy_header *out)
{
	struct gw_str family, part[4], rest = line;
	uint8_t to[16];
	uint16_t to_port;
	bool is_v6;

	if (!gw_str_cut(rest, ' ', &family, &rest)) {
		if (!gw_str_eq(line, GW_LIT("UNKNOWN")))
			return GW_E_BAD_HTTP;
		return GW_OK;
	}
	if (gw_str_eq(family, GW_LIT("UNKNOWN")))
		return GW_OK; /* whatever follows is to be ignored */
	is_v6 = gw_str_eq(family, GW_LIT("TCP6"));
	if (!is_v6 && !gw_str_eq(family, GW_LIT("TCP4")))
		return GW_E_BAD_HTTP;
	for (int i = 0; i < 3; i++)
		if (!gw_str_cut(rest, ' ', &part[i], &rest))
			return GW_E_BAD_HTTP;
	part[3] = rest;
	if (!read_text(part[0], is_v6, out->addr) || !read_text(part[1], is_v6, to) ||
	    !read_port(part[2], &out->port) || !read_port(part[3], &to_port))
		return GW_E_BAD_HTTP;
	out->has_address = true;
	return GW_OK;
}

static enum gw_err read_v1(struct gw_str in, struct gw_proxy_header *out)
{
	struct gw_str look = in.n > GW_PROXY_V1_BYTES ? gw_str(in.p, GW_PROXY_V1_BYTES) : in;
	size_t lf = gw_str_find(look, '\n');

	if (lf >= look.n)
		return in.n >= GW_PROXY_V1_BYTES ? GW_E_BAD_HTTP : GW_E_AGAIN;
	if (lf < 1 || in.p[lf - 1] != '\r')
		return GW_E_BAD_HTTP;
	out->bytes = lf + 1;
	return read_line(gw_str_skip(gw_str(in.p, lf - 1), 6), out);
}

/* ---- version 2: binary ---- */

static size_t be16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* Over the whole header with the checksum's own bytes as zeros. */
static bool is_crc_right(const uint8_t *head, size_t n, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t want = (uint32_t)head[at] << 24 | (uint32_t)head[at + 1] << 16 | (uint32_t)head[at + 2] << 8 |
			head[at + 3],
		 crc = gw_crc32c(0, head, at);

	crc = gw_crc32c(crc, zeros, 4);
	return gw_crc32c(crc, head + at + 4, n - at - 4) == want;
}

static bool are_extras_whole(const uint8_t *head, size_t n, size_t at)
{
	while (at < n) {
		size_t len;

		if (n - at < TLV_HEAD)
			return false;
		len = be16(head + at + 1);
		if (len > n - at - TLV_HEAD)
			return false;
		if (head[at] == TLV_CRC32C && (len != 4 || !is_crc_right(head, n, at + TLV_HEAD)))
			return false;
		at += TLV_HEAD + len;
	}
	return true;
}

static enum gw_err read_block(const uint8_t *p, size_t n, struct gw_proxy_header *out)
{
	size_t block;

	if (p[12] == 0x20) /* LOCAL: the balancer itself; the rest says nothing */
		return GW_OK;
	switch (p[13]) {
	case 0x00: /* unspecified: addresses of a length nobody knows, to be ignored */
		return GW_OK;
	case 0x11:
		block = V4_BLOCK;
		break;
	case 0x21:
		block = V6_BLOCK;
		break;
	case 0x31:
		block = UNIX_BLOCK;
		break;
	default:
		return GW_E_BAD_HTTP;
	}
	if (n - V2_HEAD < block || !are_extras_whole(p, n, V2_HEAD + block))
		return GW_E_BAD_HTTP;
	out->has_address = block != UNIX_BLOCK;
	if (block == V4_BLOCK) {
		memcpy(out->addr, v4_mapped, sizeof(v4_mapped));
		memcpy(out->addr + 12, p + V2_HEAD, 4);
		out->port = (uint16_t)be16(p + V2_HEAD + 8);
	} else if (block == V6_BLOCK) {
		memcpy(out->addr, p + V2_HEAD, 16);
		out->port = (uint16_t)be16(p + V2_HEAD + 32);
	}
	return GW_OK;
}

static enum gw_err read_v2(struct gw_str in, struct gw_proxy_header *out)
{
	const uint8_t *p = (const uint8_t *)in.p;
	size_t n;

	if (in.n > 12 && p[12] != 0x20 && p[12] != 0x21)
		return GW_E_BAD_HTTP;
	if (in.n < V2_HEAD)
		return GW_E_AGAIN;
	n = V2_HEAD + be16(p + 14);
	if (n > GW_PROXY_V2_BYTES)
		return GW_E_BAD_HTTP;
	if (in.n < n)
		return GW_E_AGAIN;
	out->bytes = n;
	return read_block(p, n, out);
}

enum gw_err gw_proxy_read(struct gw_str in, struct gw_proxy_header *out)
{
	static const struct gw_str v1 = { "PROXY ", 6 }, v2 = { "\r\n\r\n\0\r\nQUIT\n", 12 };

	*out = (struct gw_proxy_header){ 0 };
	if (in.n == 0)
		return GW_E_AGAIN;
	if (begins_like(in, v1))
		return in.n < v1.n ? GW_E_AGAIN : read_v1(in, out);
	if (begins_like(in, v2))
		return in.n < v2.n ? GW_E_AGAIN : read_v2(in, out);
	return GW_E_BAD_HTTP;
}
