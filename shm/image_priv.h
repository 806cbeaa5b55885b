#pragma once
#include "shm/image.h"

/* What the reader and the writer of images share. No lmdb.h here: only image*.c may name it. */

/* The sentinel's key sorts behind every real key; its value is the number of records of its database, u64 LE. */
#define GW_IMAGE_SENTINEL_BYTES 40
struct gw_str gw_image_sentinel(void);
const char *gw_image_db_name(enum gw_image_db db);
bool gw_image_has_db(enum gw_image_name name, enum gw_image_db db);
enum gw_err gw_image_err(int mdb_code);
/* gw_image_open without the seal: the writer re-reads what it wrote before it seals. */
GW_MUST enum gw_err gw_image_open_unsealed(int fd, enum gw_image_name name, uint64_t size, struct gw_image **out);
/* Records of the database, from its sentinel. */
GW_MUST enum gw_err gw_image_count(struct gw_image *im, enum gw_image_db db, uint64_t *n);
