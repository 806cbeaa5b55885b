#pragma once
#include "lib/err.h"
#include "lib/str.h"

/* The PROXY protocol, versions 1 and 2: what a load balancer writes before the client's bytes to say whose they are. Pure;
 * stricter than the specification allows where it leaves a choice (no datagrams, no over-long headers, CRC32C verified). */
enum { GW_PROXY_V1_BYTES = 107, GW_PROXY_V2_BYTES = 16 + 2048 };
struct gw_proxy_header {
	size_t bytes; /* of the header; what follows is the client's */
	bool has_address; /* false: UNKNOWN, LOCAL, a Unix socket: the peer speaks for itself */
	uint8_t addr[16]; /* IPv4 as v4-mapped */
	uint16_t port;
};
/* GW_E_AGAIN: more bytes needed (never past GW_PROXY_V2_BYTES); GW_E_BAD_HTTP: not a header that may be believed. */
GW_MUST enum gw_err gw_proxy_read(struct gw_str in, struct gw_proxy_header *out);
