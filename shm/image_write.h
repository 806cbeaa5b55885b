#pragma once
#include "shm/image.h"

/* Builds one image in a fresh environment inside a memfd, record by record in key order per database (MDB_APPEND),
 * then verifies and seals it. Never a copy of the live environment. May run in a thread of its own. */
struct gw_image_writer;
GW_MUST enum gw_err gw_image_write_start(enum gw_image_name name, size_t expected_bytes, struct gw_image_writer **out);
/* Keys of one database must rise, 1..511 bytes (GW_E_INVALID, GW_E_TOO_BIG); databases may be filled in any order, one after the other.
 * An error sticks: all later calls and gw_image_write_end fail with it. Only databases of this image (GW_E_INVALID). */
GW_MUST enum gw_err gw_image_put(struct gw_image_writer *w, enum gw_image_db db, struct gw_str key,
				 struct gw_str value);
/* Writes sentinels, commits, re-reads everything through a read-only mapping (CRC of each record, count), hashes, seals.
 * *fd is the caller's. The writer is gone after this, also on failure. */
GW_MUST enum gw_err gw_image_write_end(struct gw_image_writer *w, int *fd, uint64_t *size, uint8_t digest[32]);
void gw_image_write_drop(struct gw_image_writer *w);
