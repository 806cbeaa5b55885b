/* Revoked keys and credentials between their commit and the images that say the same: a cell in shared memory that every
 * worker reads. Cells are given back a minute after all workers use images that carry the change (a running stream looks
 * once a second); while a worker lags, or an image is withdrawn, they stay. */
#include <stdlib.h>

#include "confd/server.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { KEEP_MS = 60000, GRAVE = 1 /* shm/revoke.c: cells above it are members */ };

/* What a confd before us left: kept as if it were of the first publication. */
void gw_revocation_open(struct gw_server *s)
{
	s->revoked = calloc(GW_REVOKE_CELLS, sizeof(*s->revoked));
	if (s->revoked == NULL || gw_revoke_open(s->start.boot.runtime_dir, false, true, &s->revoke) != GW_OK)
		gw_role_fatal("cannot map the revocation table in %s", s->start.boot.runtime_dir);
	for (size_t i = 0; i < GW_REVOKE_CELLS; i++) {
		uint64_t hash = atomic_load(&s->revoke->cell[i]);

		if (hash > GRAVE)
			s->revoked[s->n_revoked++] = (struct gw_revoked){ hash, 1, gw_now_ms() };
	}
}

static void reset(struct gw_server *s)
{
	static uint64_t hashes[GW_REVOKE_CELLS];

	for (size_t i = 0; i < s->n_revoked; i++)
		hashes[i] = s->revoked[i].hash;
	gw_revoke_reset(s->revoke, hashes, s->n_revoked);
}

static void add(struct gw_server *s, uint64_t hash, uint64_t generation)
{
	if (gw_revoke_add(s->revoke, hash) != GW_OK || s->n_revoked == GW_REVOKE_CELLS) {
		gw_log_slow(GW_WARN, "the revocation table is full: this revocation works with the next images");
		return;
	}
	for (size_t i = 0; i < s->n_revoked; i++) {
		if (s->revoked[i].hash == hash) {
			s->revoked[i] = (struct gw_revoked){ hash, generation, gw_now_ms() };
			return;
		}
	}
	s->revoked[s->n_revoked++] = (struct gw_revoked){ hash, generation, gw_now_ms() };
}

/* Only a hash that is there needs the table to be rewritten: most welcomes are new keys. */
static bool drop(struct gw_server *s, uint64_t hash)
{
	for (size_t i = 0; i < s->n_revoked; i++) {
		if (s->revoked[i].hash == hash) {
			s->revoked[i] = s->revoked[--s->n_revoked];
			return true;
		}
	}
	return false;
}

void gw_revocation_commit(struct gw_server *s, const struct gw_effects *fx, uint64_t generation)
{
	bool is_rewritten = false;
	uint64_t hash;

	for (size_t i = 0; i + sizeof(hash) <= fx->revoke.n; i += sizeof(hash)) {
		memcpy(&hash, fx->revoke.p + i, sizeof(hash));
		add(s, hash, generation);
	}
	for (size_t i = 0; i + sizeof(hash) <= fx->unrevoke.n && s->n_revoked > 0; i += sizeof(hash)) {
		memcpy(&hash, fx->unrevoke.p + i, sizeof(hash));
		is_rewritten |= drop(s, hash);
	}
	if (is_rewritten)
		reset(s);
}

void gw_revocation_sweep(struct gw_server *s)
{
	uint64_t applied = gw_images_applied(s), now = gw_now_ms();
	size_t kept = 0;

	if (s->refused != 0 || !s->now.is_there)
		return;
	for (size_t i = 0; i < s->n_revoked; i++) {
		struct gw_revoked r = s->revoked[i];

		if (r.generation > applied || applied == UINT64_MAX || now - r.since_ms < KEEP_MS)
			s->revoked[kept++] = r;
	}
	if (kept == s->n_revoked)
		return;
	s->n_revoked = kept;
	reset(s);
}
