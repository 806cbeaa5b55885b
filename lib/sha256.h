#pragma once
#include "lib/str.h"

/* SHA-256 (FIPS 180-4) for lib/crypto.c and lib/segment*.c; everybody else calls gw_sha256 of lib/crypto.h. Mbed TLS hashes 180 MB/s on
 * a machine without SHA instructions and does not use them where there are some; records and tokens need more (docs/adr/0007-sha256.md). */
struct gw_sha256 {
	uint32_t h[8];
	uint64_t n; /* bytes so far */
	uint8_t rest[64];
};

/* Chooses by what the CPU has. `reference` judges every variant over texts of all lengths around the block size; a variant that it
 * contradicts is not used. False: not even the plain one is right, the caller must use the reference. */
typedef void gw_sha256_fn(struct gw_str s, uint8_t out[32]);
bool gw_sha256_choose(gw_sha256_fn *reference);
void gw_sha256_begin(struct gw_sha256 *c);
void gw_sha256_more(struct gw_sha256 *c, const void *p, size_t n);
void gw_sha256_final(struct gw_sha256 *c, uint8_t out[32]);

/* Hash over leaves: SHA-256(head || SHA-256 of each KiB of body), the last leaf as long as what is left, none for an empty body. `head`
 * must tell how long the body is. Eight leaves are hashed side by side, which takes a sixth of the time of one after the other. */
enum { GW_SHA256_LEAF = 1024, GW_SHA256_LANES = 8 };
void gw_sha256_leaves(struct gw_str head, struct gw_str body, uint8_t out[32]);
