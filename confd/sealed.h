#pragma once
#include "confd/core.h"

/* Secrets of credentials, and private keys of certificates (id with '=' before it), in SEALED: one row per version.
 *   payload   be64 retired_us (0 = in use) | sealed blob (confd/keyring.h)
 *   AAD       "llmgw/cred/v1" 0 tenant 0 id 0 be64 version: a row moved to another place does not open
 * Versions come from one counter, so that no version of any credential is ever used twice. */
struct gw_sealed_place {
	struct gw_str id, org, team;
	uint64_t version;
};

/* Stores under a version of its own, which goes to place->version. */
GW_MUST enum gw_err gw_sealed_put(struct gw_core *core, struct gw_txn *t, struct gw_sealed_place *place,
				  const struct gw_secret *plain);
/* GW_E_NOT_FOUND; GW_E_CRYPTO when it is not what was sealed for this place. */
GW_MUST enum gw_err gw_sealed_get(struct gw_core *core, struct gw_txn *t, const struct gw_sealed_place *place,
				  struct gw_secret **out);
/* From now on only for requests under way: goes away after core->drain_ms. */
GW_MUST enum gw_err gw_sealed_retire(struct gw_txn *t, struct gw_str id, uint64_t version, int64_t now_us);
GW_MUST enum gw_err gw_sealed_delete_all(struct gw_txn *t, struct gw_str id);
/* Deletes what has been retired long enough; *n tells how many. */
GW_MUST enum gw_err gw_sealed_sweep(struct gw_core *core, struct gw_txn *t, int64_t now_us, unsigned *n);
bool gw_sealed_is_due(struct gw_core *core, struct gw_txn *t, int64_t now_us);
/* Re-encrypts up to `max` (256) rows that an old DEK sealed; *n tells how many: 0 = none are left, or none that open. */
GW_MUST enum gw_err gw_sealed_reseal(struct gw_core *core, struct gw_txn *t, unsigned max, unsigned *n);
/* Rows per DEK id, for the status; and of all that are not sealed with the primary. */
GW_MUST enum gw_err gw_sealed_count(struct gw_txn *t, uint32_t dek, uint64_t *n);
