#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include "lib/err.h"
#include "lib/str.h"

/* Which addresses may be reached (RELIABILITY 5.5): private, loopback, link-local, metadata, CGNAT, multicast, reserved
 * and embedded forms (v4-mapped, NAT64, 6to4, Teredo: the inner address is checked too) are denied unless the provider's
 * allow_private names a CIDR that covers the address. Checked on the sockaddr itself, right before connect. */
struct gw_cidr {
	uint8_t addr[16];
	uint8_t bits;
}; /* IPv4 as v4-mapped, bits + 96 */
GW_MUST enum gw_err gw_cidr_read(struct gw_str text,
				 struct gw_cidr *out); /* "10.0.0.0/8", "::1/128", bare address = /32 or /128 */
bool gw_cidr_covers(const struct gw_cidr *c, const uint8_t addr[16]); /* addr: IPv4 as v4-mapped */
bool gw_egress_may(const struct sockaddr *sa, const struct gw_cidr *allow, size_t n_allow);
/* Ports that speak something else than HTTP (ssh, mail, databases, ...): refused, so that a base URL cannot be used to
 * talk to them. 0 is refused too. */
bool gw_egress_may_port(uint16_t port);
