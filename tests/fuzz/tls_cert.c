/* A chain and a key as an operator may paste them. */
#include "net/tls.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str in = gw_str((const char *)data, n);
	struct gw_tls_cert_info info;
	struct gw_secret *key = gw_secret_new(data, n < 4096 ? n : 4096);
	const char *why;

	if (key && gw_tls_cert_check(in, key, 1, &info, &why) == GW_OK)
		__builtin_trap(); /* no chain is valid in 1970 */
	gw_secret_unref(key);
	return 0;
}
