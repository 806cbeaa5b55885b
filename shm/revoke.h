#pragma once
#include <stdatomic.h>
#include "shm/region.h"

/* Revoked keys and credentials, seen by every worker within one read: open addressing, 64k cells of u64 hashes, confd
 * is the only writer. Looked up at admission and once a second for running streams. A hash is the first 8 bytes of the
 * key index or of SHA-256("cred:" id ":" version).
 *
 * A member never moves: removal leaves a tombstone, which becomes free again only when the next cell is free. So a
 * reader never misses a member, not even beside a rebuild or after a writer that was killed in the middle of one;
 * it needs no lock and no retry. `seq` only tells how many rebuilds there were (odd: one is, or died, under way). */
enum { GW_REVOKE_CELLS = 65536 };
struct gw_revoke {
	struct gw_region_head head;
	_Atomic uint64_t seq; /* odd while it is rebuilt */
	_Atomic uint64_t n;
	uint8_t pad[48];
	_Atomic uint64_t cell[GW_REVOKE_CELLS];
};
_Static_assert(offsetof(struct gw_revoke, seq) == 64 && offsetof(struct gw_revoke, cell) == 128, "cache-line groups");
GW_MUST enum gw_err gw_revoke_open(const char *dir, bool may_make, bool is_writable, struct gw_revoke **out);
/* GW_E_NO_SPACE when three quarters of the cells are taken. */
GW_MUST enum gw_err gw_revoke_add(struct gw_revoke *r, uint64_t hash);
/* Only confd, one thread: the set becomes exactly these. A hash that is in the old and in the new set is found at every
 * moment. When more are given than fit, nothing is removed and as many are added as fit. */
void gw_revoke_reset(struct gw_revoke *r, const uint64_t *hashes, size_t n);
bool gw_revoke_has(const struct gw_revoke *r, uint64_t hash);
