/* Calls about the process itself: keys, state. */
#include "confd/call.h"
#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/object.h"
#include "confd/scope.h"
#include "confd/sealed.h"
#include "lib/text.h"

enum gw_err gw_do_audit_key(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	uint8_t key[65];
	struct gw_buf b;

	(void)q;
	(void)kind;
	gw_keyring_audit_public(c->core->keyring, key);
	gw_buf_init(&b, 256);
	gw_hex_put(&b, key, sizeof(key));
	gw_jw_obj(&c->out);
	gw_jw_kstr(&c->out, "public_key", gw_buf_view(&b));
	gw_jw_end_obj(&c->out);
	gw_buf_done(&b);
	return GW_OK;
}

/* --- keyring --- */

enum gw_err gw_do_keyring_status(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	const struct gw_keyring *k = c->core->keyring;
	struct gw_dek_info deks[GW_MAX_DEKS];
	unsigned n = gw_keyring_deks(k, deks);
	uint64_t done = 0;
	enum gw_err e = GW_OK;
	struct gw_json_out *w = &c->out;

	(void)q;
	(void)kind;
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("root"));
	gw_jw_obj(w);
	gw_jw_kstr(w, "source", gw_str_z(gw_keyring_source(k)));
	gw_jw_kstr(w, "id", gw_str_z(gw_keyring_root_id(k)));
	gw_jw_end_obj(w);
	gw_jw_key(w, GW_LIT("deks"));
	gw_jw_arr(w);
	for (unsigned i = 0; e == GW_OK && i < n; i++) {
		uint64_t records;

		e = gw_sealed_count(c->txn, deks[i].id, &records);
		if (e != GW_OK)
			return e;
		gw_jw_obj(w);
		gw_jw_ku64(w, "id", deks[i].id);
		gw_jw_kbool(w, "primary", deks[i].is_primary);
		gw_jw_ki64(w, "created_us", deks[i].created_us);
		gw_jw_ku64(w, "seals", deks[i].seals);
		gw_jw_ku64(w, "records", records);
		gw_jw_end_obj(w);
		done = deks[i].is_primary ? records : done;
	}
	gw_jw_end_arr(w);
	gw_jw_kbool(w, "rotating", gw_keyring_is_rotating(k));
	gw_jw_ku64(w, "reencrypted", done);
	gw_jw_end_obj(w);
	return e;
}

/* The change in a transaction of its own (keys in memory are read again when it fails), then the status. */
static enum gw_err note_and_status(struct gw_ctx *c, const struct gw_call *q, const char *act,
				   enum gw_err (*rotate)(struct gw_keyring *k, struct gw_txn *t))
{
	struct gw_core *core = c->core;
	struct gw_txn t;
	uint64_t generation = 0;
	enum gw_err e = gw_txn_write(core->store, &t);

	if (e != GW_OK)
		return e;
	c->txn = &t;
	if (rotate != NULL)
		e = rotate(core->keyring, &t);
	if (e == GW_OK)
		e = gw_change_note(c, act, "keyring", gw_str_z(act));
	if (e == GW_OK)
		e = gw_meta_u64(&t, "generation", &generation);
	if (e == GW_OK)
		e = gw_txn_commit(&t);
	gw_txn_abort(&t);
	c->txn = NULL;
	if (e != GW_OK) {
		enum gw_err again = gw_keyring_reload(core->keyring, core->store);

		GW_REQUIRE(again == GW_OK);
	} else if (core->after_commit != NULL) {
		core->after_commit(core->commit_ctx, &core->fx, generation);
	}
	gw_effects_reset(&core->fx, (struct gw_effects_mark){ 0 });
	if (e == GW_OK)
		e = gw_txn_read(core->store, &t);
	if (e != GW_OK)
		return e;
	c->txn = &t;
	c->generation = generation;
	e = gw_do_keyring_status(c, q, GW_KIND_COUNT);
	gw_txn_abort(&t);
	c->txn = NULL;
	return e;
}

enum gw_err gw_do_rotate_dek(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct gw_dek_info deks[GW_MAX_DEKS];

	(void)kind;
	if (gw_keyring_deks(c->core->keyring, deks) == GW_MAX_DEKS)
		return gw_fail(
		    c, GW_E_CONFLICT,
		    "There are %d data keys already: earlier rotations have not finished. See keyring-status.",
		    GW_MAX_DEKS);
	return note_and_status(c, q, "rotate-dek", gw_keyring_rotate_dek);
}

enum gw_err gw_do_rotate_root(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	const char *why = "";
	enum gw_err e = gw_keyring_rotate_root(c->core->keyring, c->core->store, &why);

	(void)kind;
	if (e != GW_OK)
		return gw_fail(c, e, "The root key was not rotated: %s.", why);
	return note_and_status(c, q, "rotate-root", NULL);
}

/* --- state --- */

static enum gw_err put_objects(struct gw_ctx *c)
{
	uint64_t count[GW_KIND_COUNT] = { 0 };
	struct gw_scan s;
	enum gw_cf_kind kind;
	struct gw_str id;
	enum gw_err e = gw_scan_start(&s, c->txn, GW_T_OBJECT, GW_NIL, false);

	if (e != GW_OK)
		return e;
	while (gw_scan_next(&s)) {
		if (gw_obj_key_read(s.key, &kind, &id))
			count[kind]++;
	}
	e = s.err;
	gw_scan_end(&s);
	gw_jw_key(&c->out, GW_LIT("objects"));
	gw_jw_obj(&c->out);
	for (int k = 0; k < GW_KIND_COUNT; k++)
		gw_jw_ku64(&c->out, gw_cf_kinds[k].name, count[k]);
	gw_jw_end_obj(&c->out);
	return e;
}

enum gw_err gw_do_status(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct gw_core *core = c->core;
	struct gw_store_size size = gw_store_size(core->store);
	struct gw_json_out *w = &c->out;
	uint64_t seq;
	enum gw_err e = gw_meta_u64(c->txn, "change_seq", &seq);

	(void)q;
	(void)kind;
	if (e != GW_OK)
		return e;
	gw_jw_obj(w);
	gw_jw_ku64(w, "generation", c->generation);
	gw_jw_ku64(w, "change_seq", seq);
	e = put_objects(c);
	gw_jw_ku64(w, "outbox", gw_txn_count(c->txn, GW_T_OUTBOX));
	gw_jw_key(w, GW_LIT("store"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "used_bytes", size.used_bytes);
	gw_jw_ku64(w, "map_bytes", size.map_bytes);
	gw_jw_ku64(w, "max_bytes", size.max_bytes);
	gw_jw_end_obj(w);
	gw_jw_key(w, GW_LIT("leases"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "answered", core->leases_answered);
	gw_jw_ku64(w, "refused", core->leases_refused);
	gw_jw_end_obj(w);
	gw_jw_kstr(w, "blocked", gw_str_z(core->blocked != NULL ? core->blocked : ""));
	if (core->status != NULL)
		core->status(core->status_ctx, w);
	gw_jw_end_obj(w);
	return e;
}

enum gw_err gw_do_republish(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	(void)q;
	(void)kind;
	if (c->core->republish != NULL)
		c->core->republish(c->core->commit_ctx);
	gw_jw_obj(&c->out);
	gw_jw_end_obj(&c->out);
	return GW_OK;
}
