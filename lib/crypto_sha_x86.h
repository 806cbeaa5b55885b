#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The block function of SHA-256 (FIPS 180-4) by the SHA instructions of x86 CPUs, five times as fast as Mbed TLS 3.6, which does not
 * use them. Only lib/crypto.c may call it; padding and everything else is there. Elsewhere, and on CPUs without, `has` is false. */
bool gw_sha256_x86_has(void);
void gw_sha256_x86_blocks(uint32_t state[8], const uint8_t *p, size_t n_blocks);
