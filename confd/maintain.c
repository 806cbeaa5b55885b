/* Work that nobody waits for, in transactions small enough that nobody notices: re-encryption after a rotation, secrets
 * whose time is over, the end of history, the audit outbox. All of it can be cut anywhere and goes on at the next start. */
#include "confd/keyring.h"
#include "confd/failpoint.h"
#include "confd/history.h"
#include "confd/open.h"
#include "confd/sealed.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { BATCH = 256, PRUNE_BATCH = 200 };

struct work {
	struct gw_core *core;
	unsigned n;
};

/* One batch; when nothing is left the old keys go. Rows that do not open keep their key. */
static enum gw_err rekey(struct gw_txn *t, void *arg)
{
	struct work *w = arg;
	struct gw_dek_info deks[GW_MAX_DEKS];
	uint64_t left = 0;
	enum gw_err e = gw_sealed_reseal(w->core, t, BATCH, &w->n);

	if (e != GW_OK || w->n > 0) {
		gw_failpoint("mid-rotation");
		return e;
	}
	unsigned n = gw_keyring_deks(w->core->keyring, deks);

	for (unsigned i = 0; e == GW_OK && i < n; i++) {
		uint64_t rows = 0;

		if (!deks[i].is_primary)
			e = gw_sealed_count(t, deks[i].id, &rows);
		left += rows;
	}
	if (e != GW_OK)
		return e;
	if (left > 0) {
		gw_log_slow(GW_ERROR,
			    "%llu stored secrets do not open and keep their old data key; set those credentials anew",
			    (unsigned long long)left);
		return GW_OK;
	}
	return gw_keyring_retire(w->core->keyring, t);
}

static enum gw_err begin_rotation(struct gw_txn *t, void *arg)
{
	struct work *w = arg;

	return gw_keyring_rotate_dek(w->core->keyring, t);
}

bool gw_maintain_rekey(struct gw_core *core)
{
	struct work w = { core, 0 };
	bool is_worn = gw_keyring_is_worn(core->keyring);
	enum gw_err e;

	if (!is_worn && !gw_keyring_is_rotating(core->keyring))
		return false;
	e = gw_store_update(core->store, is_worn ? begin_rotation : rekey, &w);
	if (e == GW_OK)
		return is_worn || w.n > 0;
	gw_log_slow(GW_ERROR, "re-encryption of secrets: %s", gw_err_info(e)->doc);
	if (gw_keyring_reload(core->keyring, core->store) != GW_OK)
		gw_panic(__FILE__, __LINE__, "the keyring cannot be read again after a failed commit");
	return false;
}

static enum gw_err sweep(struct gw_txn *t, void *arg)
{
	struct work *w = arg;

	return gw_sealed_sweep(w->core, t, gw_unix_us(), &w->n);
}

bool gw_maintain_secrets(struct gw_core *core)
{
	struct work w = { core, 0 };
	struct gw_txn t;

	if (gw_txn_read(core->store, &t) != GW_OK)
		return false;
	bool is_due = gw_sealed_is_due(core, &t, gw_unix_us());

	gw_txn_abort(&t);
	if (!is_due)
		return false;
	enum gw_err e = gw_store_update(core->store, sweep, &w);

	if (e != GW_OK)
		gw_log_slow(GW_ERROR, "removal of retired secrets: %s", gw_err_info(e)->doc);
	return e == GW_OK && w.n == BATCH;
}

static enum gw_err prune(struct gw_txn *t, void *arg)
{
	struct work *w = arg;

	return gw_history_prune(t, gw_unix_us() - (int64_t)GW_HISTORY_DAYS * 86400 * 1000000, GW_HISTORY_BYTES,
				PRUNE_BATCH, &w->n);
}

bool gw_maintain_history(struct gw_core *core)
{
	struct work w = { core, 0 };
	enum gw_err e = gw_store_update(core->store, prune, &w);

	if (e != GW_OK)
		gw_log_slow(GW_ERROR, "pruning of history: %s", gw_err_info(e)->doc);
	return e == GW_OK && w.n == PRUNE_BATCH;
}

/* --- outbox --- */

enum gw_err gw_outbox_each(struct gw_core *core, uint64_t after, gw_outbox_fn *fn, void *ctx)
{
	char from[8];
	struct gw_scan s;
	struct gw_txn t;
	enum gw_err e = gw_txn_read(core->store, &t);

	if (e != GW_OK)
		return e;
	e = gw_scan_start(&s, &t, GW_T_OUTBOX, gw_be64(after + 1, from), false);
	if (e == GW_OK) {
		while (gw_scan_next(&s) && fn(ctx, gw_be64_read(s.key), s.value))
			;
		e = s.err;
		gw_scan_end(&s);
	}
	gw_txn_abort(&t);
	return e;
}

struct seqs {
	const uint64_t *v;
	size_t n;
};

static enum gw_err delete_seqs(struct gw_txn *t, void *arg)
{
	const struct seqs *s = arg;

	for (size_t i = 0; i < s->n; i++) {
		char key[8];
		enum gw_err e = gw_txn_del(t, GW_T_OUTBOX, gw_be64(s->v[i], key));

		if (e != GW_OK && e != GW_E_NOT_FOUND)
			return e;
	}
	return GW_OK;
}

enum gw_err gw_outbox_delete(struct gw_core *core, const uint64_t *seqs, size_t n)
{
	struct seqs s = { seqs, n };

	return n > 0 ? gw_store_update(core->store, delete_seqs, &s) : GW_OK;
}
