/* The boot file as YAML, and the packed options of an INIT message. A refusal always has words; an accepted file leaves
 * every text option a string. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/sys/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Options live as long as the process, on purpose. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:keep\n";
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool has[64] = { false };
	struct gw_boot b = { 0 };
	struct gw_buf packed;

	if (size == 0)
		return 0;
	check(gw_boot_n_rows <= sizeof(has));
	if (data[0] & 1) {
		(void)!gw_boot_read_yaml("boot.yaml", gw_str((const char *)data + 1, size - 1), &b, has);
		return 0;
	}
	if (gw_boot_unpack(gw_str((const char *)data + 1, size - 1), &b))
		return 0;
	gw_buf_init(&packed, 1 << 20);
	gw_boot_pack(&b, &packed); /* reads every field */
	check(packed.err == GW_OK || packed.err == GW_E_TOO_BIG);
	gw_buf_done(&packed);
	return 0;
}
