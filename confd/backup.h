#pragma once
#include "confd/core.h"

/* The live store as a stream of rows, from one read transaction: consistent, while writes go on. Runs in any thread. Left out: sessions and
 * answers kept for Idempotency-Key. The hash at the end is the caller's (admin puts segments between). GW_E_BUSY: a writer had to
 * have the map; try again. */
GW_MUST enum gw_err gw_backup_write(struct gw_store *s, const char *root_id, int fd);

/* From a backup file into an empty data folder; needs the root key of the gateway that it was taken from. Prints what was restored, or
 * why nothing was. */
struct gw_boot;
GW_MUST enum gw_err gw_restore(const char *file, const struct gw_boot *boot, char why[512]);
