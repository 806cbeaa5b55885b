#pragma once
#include <stdint.h>
#include "lib/str.h"

/* SipHash-2-4 with 128 bits of output (Aumasson, Bernstein): a keyed hash for short texts, some thirty times cheaper than SHA-256 here. With a
 * random key that nobody outside knows, equal tags mean equal texts; who does not know the key cannot aim at a tag. For tables in memory,
 * not for anything that is stored or leaves the process. */
struct gw_sip_key {
	uint64_t k[2];
};
struct gw_sip_tag {
	uint64_t t[2];
};

struct gw_sip_tag gw_siphash(struct gw_sip_key key, struct gw_str s);
