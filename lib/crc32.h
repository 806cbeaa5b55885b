#pragma once
#include <stddef.h>
#include <stdint.h>

/* CRC-32 as in Ethernet, zip and AWS event streams (polynomial 0x04C11DB7, reflected). Begin with 0, go on with what came back.
 * The CRC of our own files is another one: gw_crc32c (lib/text.h). */
uint32_t gw_crc32(uint32_t crc, const void *p, size_t n);
