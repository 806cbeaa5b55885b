/* PROXY headers from a hostile balancer, and the X-Forwarded-For behind it. What is taken must lie inside the bytes, and a
 * part of a header must never be taken for more than the whole. */
#include "net/client_addr.h"
#include "net/proxy_proto.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str in = gw_str((const char *)data, n);
	struct gw_proxy_header h, part;
	struct gw_cidr trusted = { { 10 }, 0 };
	uint8_t addr[16] = { 0 };
	enum gw_err e = gw_proxy_read(in, &h);

	if (e == GW_OK && h.bytes > n)
		__builtin_trap();
	if (n > 1 && e == GW_E_BAD_HTTP && gw_proxy_read(gw_str(in.p, n - 1), &part) == GW_OK)
		__builtin_trap();
	(void)gw_addr_forwarded(in, &trusted, 1, addr);
	(void)gw_addr_read(in, addr);
	return 0;
}
