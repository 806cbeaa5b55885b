/* The trace that each change leaves in its own transaction: an entry of the change log, from which history is rebuilt, and
 * the audit record that waits in the outbox until the logger has it on disk. */
#include "confd/edit.h"
#include "confd/object.h"
#include "confd/scope.h"
#include "core/record.h"

enum { MAX_ENTRY = 4 * GW_CF_MAX_OBJECT_BYTES };

struct gw_change {
	uint64_t seq, generation;
	const char *act, *kind;
	struct gw_str id, before, after; /* canonical JSON */
	struct gw_str shown_before, shown_after, role;
};

static void put_text(struct gw_json_out *w, const char *name, struct gw_str json)
{
	gw_jw_key(w, gw_str_z(name));
	if (json.p != NULL)
		gw_jw_raw(w, json);
	else
		gw_jw_null(w);
}

static enum gw_err put_change(struct gw_ctx *c, const struct gw_change *ch)
{
	char key[8];
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, MAX_ENTRY);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_ku64(&w, "generation", ch->generation);
	gw_jw_ki64(&w, "ts_us", c->now_us);
	gw_jw_kstr(&w, "actor", c->actor.key);
	gw_jw_kstr(&w, "act", gw_str_z(ch->act));
	gw_jw_kstr(&w, "kind", gw_str_z(ch->kind));
	gw_jw_kstr(&w, "id", ch->id);
	put_text(&w, "before", ch->before);
	put_text(&w, "after", ch->after);
	gw_jw_end_obj(&w);
	enum gw_err err =
	    b.err == GW_OK ? gw_txn_put(c->txn, GW_T_CHANGE, gw_be64(ch->seq, key), gw_buf_view(&b)) : b.err;

	gw_buf_done(&b);
	return err;
}

/* The object as people may see it. */
static struct gw_str shown(struct gw_ctx *c, enum gw_cf_kind kind, const yyjson_val *obj)
{
	struct gw_json_out w;
	struct gw_buf b;

	if (obj == NULL)
		return GW_NIL;
	gw_buf_init(&b, MAX_ENTRY);
	gw_jw_init(&w, &b);
	gw_obj_print(&w, kind, obj, false, GW_NIL);
	struct gw_str s = b.err == GW_OK ? gw_arena_str(&c->arena, gw_buf_view(&b)) : GW_NIL;

	gw_buf_done(&b);
	return s;
}

static enum gw_err put_outbox(struct gw_ctx *c, const struct gw_change *ch)
{
	struct gw_admin_record r = {
		.ts_us = c->now_us,
		.change_seq = ch->seq,
		.generation = ch->generation,
		.actor = c->actor.key,
		.role = ch->role,
		.source = c->actor.source,
		.act = gw_str_z(ch->act),
		.kind = gw_str_z(ch->kind),
		.object = ch->id,
		.before = ch->shown_before,
		.after = ch->shown_after,
		.status = 200,
		.route = c->actor.route,
		.request_id = c->actor.request_id,
	};
	char key[8];
	struct gw_buf b;

	gw_buf_init(&b, MAX_ENTRY);
	gw_admin_record_pack(&r, &b);
	enum gw_err err =
	    b.err == GW_OK ? gw_txn_put(c->txn, GW_T_OUTBOX, gw_be64(ch->seq, key), gw_buf_view(&b)) : b.err;

	gw_buf_done(&b);
	c->core->fx.has_audit = true;
	return err;
}

enum gw_err gw_change_log(struct gw_ctx *c, const struct gw_edit *e, uint64_t generation)
{
	struct gw_change ch = {
		.seq = e->seq,
		.generation = generation,
		.act = e->act,
		.kind = gw_cf_kinds[e->kind].name,
		.id = e->id,
		.before = e->before,
		.after = e->after,
		.shown_before = shown(c, e->kind, e->before_obj),
		.shown_after = shown(c, e->kind, e->after_obj),
		.role = gw_scope_role_name(&c->actor, e->after_obj != NULL ? e->after_obj : e->before_obj),
	};
	enum gw_err err = put_change(c, &ch);

	return err == GW_OK ? put_outbox(c, &ch) : err;
}

enum gw_err gw_change_note(struct gw_ctx *c, const char *act, const char *kind, struct gw_str id)
{
	struct gw_change ch = { .act = act, .kind = kind, .id = id };
	enum gw_err err = gw_edit_seq(c, &ch.seq);

	if (err == GW_OK)
		err = gw_meta_u64(c->txn, "generation", &ch.generation);
	ch.role = gw_scope_is_platform(&c->actor) ? GW_LIT("platform-admin") : GW_NIL;
	if (err == GW_OK)
		err = put_change(c, &ch);
	return err == GW_OK ? put_outbox(c, &ch) : err;
}
