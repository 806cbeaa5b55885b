#pragma once
#include "net/egress.h"

/* Who a client really is when proxies stand before the gateway: addresses as 16 bytes (IPv4 as v4-mapped), and
 * X-Forwarded-For, believed only as far as trusted proxies wrote it. */
enum { GW_ADDR_TEXT = 46 };
/* "192.0.2.1", "2001:db8::1", also "192.0.2.1:443" and "[2001:db8::1]:443"; nothing else. */
bool gw_addr_read(struct gw_str text, uint8_t out[16]);
/* Returns the text's length. */
size_t gw_addr_print(const uint8_t addr[16], char out[GW_ADDR_TEXT]);
bool gw_addr_in(const uint8_t addr[16], const struct gw_cidr *v, uint32_t n);
/* One line of the header, read from its right end: `addr` is whom we have so far (at first the peer, which is trusted). True:
 * every entry of the line was a trusted proxy, so the line before it counts too. An entry that is no address ends it. */
bool gw_addr_forwarded(struct gw_str line, const struct gw_cidr *trusted, uint32_t n, uint8_t addr[16]);
