#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* Small encodings. */
void gw_hex_put(struct gw_buf *b, const void *p, size_t n); /* lower case */
bool gw_hex_read(struct gw_str s, uint8_t *out, size_t n); /* exactly 2n digits */
void gw_b64_put(struct gw_buf *b, const void *p, size_t n); /* RFC 4648, padded */
bool gw_b64_read(struct gw_buf *b, struct gw_str s); /* strict: padded, no white space */
void gw_b64url_put(struct gw_buf *b, const void *p, size_t n); /* unpadded */
bool gw_b64url_read(struct gw_buf *b, struct gw_str s);
uint32_t gw_crc32c(uint32_t crc, const void *p, size_t n); /* start with 0; SSE4.2 when the CPU has it */

/* UUIDv7 (RFC 9562 5.7): 48 bits of Unix ms, 12 bits counter, 62 bits random; monotonic for one `struct gw_uuid7`. */
struct gw_uuid7 {
	uint64_t last_ms;
	uint16_t counter;
};
void gw_uuid7_make(struct gw_uuid7 *u, uint64_t unix_ms, const uint8_t random[10], uint8_t out[16]);
void gw_uuid_print(const uint8_t id[16], char out[36]); /* lower case with hyphens, no NUL */
bool gw_uuid_read(struct gw_str s, uint8_t out[16]);

/* "1500ms" "30s" "5m" "2h" "7d" or bare milliseconds, to ms; false on anything else or overflow. */
bool gw_duration_read(struct gw_str s, uint64_t *ms);
void gw_duration_put(struct gw_buf *b, uint64_t ms); /* shortest exact spelling */
/* "64MiB" "32KiB" "1GiB" or bare bytes. */
bool gw_size_read(struct gw_str s, uint64_t *bytes);
void gw_size_put(struct gw_buf *b, uint64_t bytes);
/* RFC 3339 UTC with milliseconds, 24 bytes, from Unix microseconds; and back. */
void gw_time_put(struct gw_buf *b, int64_t unix_us);
bool gw_time_read(struct gw_str s, int64_t *unix_us); /* also without fraction, with offset */
/* Edit distance up to 3 for "did you mean": index of the nearest of n names, or -1. */
int gw_nearest(struct gw_str word, const char *const *names, size_t n);
