#pragma once
#include "lib/str.h"
#include "shm/heritage.h"

/* Immutable LMDB images in sealed memfds: what workers and the agent serve from (ARCHITECTURE 4).
 *
 *   name        databases                key                                   value
 *   "config"    "object"                 kind_id u8 (< 255) | object id        image row (core/config.h: msgpack map field -> value)
 *               "model"                  tenant | 0x1f | model name             object id of the model  (tenant "" = platform, "o:<org>", "t:<team>")
 *               "meta"                   "generation" etc.                      text
 *   "keys.NN"   "key"                    32 bytes key index                     key row (msgpack)
 *   "delta"     "key"                    32 bytes key index                     key row, or empty = deleted (tombstone)
 * Each value is prefixed with u32 crc32c(key || value). Every database ends with a sentinel that probing looks for.
 * Values may be unaligned. Views die with the image: copy what outlives the callback. */
enum gw_image_name { GW_IMAGE_CONFIG, GW_IMAGE_DELTA, GW_IMAGE_KEYS0, GW_IMAGE_COUNT = GW_IMAGE_KEYS0 + GW_KEY_SHARDS };
enum gw_image_db { GW_DB_OBJECT, GW_DB_MODEL, GW_DB_META, GW_DB_KEY, GW_DB_COUNT };
const char *gw_image_text(enum gw_image_name n); /* "config", "delta", "keys.07" */
bool gw_image_by_text(struct gw_str s, enum gw_image_name *out);

struct gw_image;
/* Checks seals and size, opens read-only, probes sentinels. Takes the fd (closed by gw_image_close); on failure it stays
 * the caller's. The bytes must be what confd sealed: LMDB may crash on others, so check the digest of an image that
 * came from anybody else before reading it. An image is used by one thread, but for gw_image_digest. */
GW_MUST enum gw_err gw_image_open(int fd, enum gw_image_name name, uint64_t size, struct gw_image **out);
void gw_image_close(struct gw_image *im); /* accepts NULL */
/* 32 bytes that change when any byte of the image does: SHA-256 over the CRC-32C of each 4 KiB page. Meant for a pool thread. */
void gw_image_digest(const struct gw_image *im, uint8_t out[32]);
/* The same of a descriptor, before LMDB has looked at it. All zeros when it cannot be read to `size`. */
void gw_image_fd_digest(int fd, uint64_t size, uint8_t out[32]);
/* GW_E_NOT_FOUND, GW_E_CORRUPT (CRC), else the value. */
GW_MUST enum gw_err gw_image_get(struct gw_image *im, enum gw_image_db db, struct gw_str key, struct gw_str *out);
/* In key order, from the first key >= `from`; fn returns false to stop. */
typedef bool gw_image_fn(void *ctx, struct gw_str key, struct gw_str value);
GW_MUST enum gw_err gw_image_walk(struct gw_image *im, enum gw_image_db db, struct gw_str from, gw_image_fn *fn,
				  void *ctx);

/* The set a process serves from: one pointer swapped between two loop turns. Missing members are NULL until given. */
struct gw_image_set {
	uint64_t generation;
	struct gw_image *image[GW_IMAGE_COUNT];
};
/* Key row: delta first, then the shard by the first byte of the index. GW_E_NOT_FOUND also for a tombstone. */
GW_MUST enum gw_err gw_image_key(const struct gw_image_set *set, const uint8_t index[32], struct gw_str *row);
static inline enum gw_image_name gw_image_shard(const uint8_t index[32])
{
	return (enum gw_image_name)(GW_IMAGE_KEYS0 + (index[0] & (GW_KEY_SHARDS - 1)));
}
