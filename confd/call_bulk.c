/* bulk: many objects of one kind made, changed and deleted in one transaction, with a result for each. Items are done in order, each in a
 * transaction of its own inside the call's, so that one that fails leaves nothing behind and the next is tried. When any fails, nothing
 * stays, unless the caller wants what can be had ("partial"). */
#include "confd/call.h"
#include "confd/edit.h"
#include "confd/object.h"

enum { MAX_ITEMS = 1000, BEAT_EVERY = 64, MAX_RESULTS = 40 << 20 };

struct bulk {
	struct gw_json_out results;
	size_t n_ok, n_failed;
	struct gw_problem first; /* of what failed */
};

static enum gw_err read_op(struct gw_ctx *c, yyjson_val *item, const char **op)
{
	static const char *const params[] = { "op", "object", "id", "patch", "version", NULL };
	static const char *const ops[] = { "create", "put", "patch", "delete" };
	struct gw_str want = gw_obj_str(item, "op");

	if (!yyjson_is_obj(item))
		return gw_fault(c, GW_E_INVALID, GW_LIT(""), "Each item must be an object with op.");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (gw_str_eq(want, gw_str_z(ops[i]))) {
			*op = ops[i];
			return gw_call_known(c, item, params);
		}
	}
	return gw_fault(c, GW_E_INVALID, GW_LIT("/op"), "op must be create, put, patch or delete.");
}

static enum gw_err edit(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val *item, struct gw_edit *out)
{
	struct gw_edit_secrets secrets;
	const char *op = "";
	struct gw_str id = gw_obj_str(item, "id");
	enum gw_err e = read_op(c, item, &op);

	if (e != GW_OK)
		return e;
	bool is_put = op[0] == 'c' || op[1] == 'u';
	yyjson_val *obj = yyjson_obj_get(item, is_put ? "object" : "patch");

	if (!is_put && id.n == 0)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/id"), "id is required: which object is meant.");
	if (op[0] != 'd' && !yyjson_is_obj(obj))
		return gw_fault(c, GW_E_MISSING, is_put ? GW_LIT("/object") : GW_LIT("/patch"), "%s is required.",
				is_put ? "object" : "patch");
	c->if_match = yyjson_get_uint(yyjson_obj_get(item, "version"));
	c->is_create_only = op[0] == 'c';
	gw_edit_secrets_take(kind, obj, &secrets);
	if (is_put)
		e = gw_edit_put(c, kind, obj, &secrets, out);
	else if (op[0] == 'd')
		e = gw_edit_delete(c, kind, id, out);
	else
		e = gw_edit_patch(c, kind, id, obj, &secrets, out);
	gw_edit_secrets_done(&secrets);
	if (e == GW_OK && !out->is_same)
		e = gw_edits_write(c, out, 1);
	return e;
}

static void put_result(struct gw_ctx *c, struct bulk *b, enum gw_err e, yyjson_val *item, const struct gw_edit *ed)
{
	struct gw_json_out *w = &b->results;
	struct gw_str id = e == GW_OK ? ed->id : gw_obj_str(item, "id");

	if (id.n == 0)
		id = gw_obj_str(yyjson_obj_get(item, "object"), "id");
	gw_jw_obj(w);
	gw_jw_kstr(w, "id", id.n <= 63 ? id : GW_NIL);
	if (e != GW_OK) {
		gw_jw_ku64(w, "status", (uint64_t)gw_err_info(e)->http);
		gw_jw_key(w, GW_LIT("error"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "name", gw_str_z(gw_err_info(e)->name));
		gw_jw_kstr(w, "message", c->problem.message.n > 0 ? c->problem.message : gw_str_z(gw_err_info(e)->doc));
		if (c->problem.faults.n > 0)
			gw_jw_kstr(w, "pointer", c->problem.faults.v[0].pointer);
		gw_jw_end_obj(w);
	} else {
		gw_jw_ku64(w, "status", ed->before.p == NULL ? 201 : 200);
		gw_jw_kstr(w, "act", gw_str_z(ed->act));
		if (ed->after_obj != NULL)
			gw_jw_ku64(w, "version", gw_obj_u64(ed->after_obj, "version"));
		if (ed->token.n > 0)
			gw_jw_kstr(w, "token", ed->token);
	}
	gw_jw_end_obj(w);
}

/* One item in a transaction of its own. */
static void run_item(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val *item, struct bulk *b)
{
	struct gw_effects_mark mark = gw_effects_mark(&c->core->fx);
	struct gw_txn *parent = c->txn, t;
	bool was_raised = c->is_raised;
	struct gw_edit ed = { 0 };

	c->problem = (struct gw_problem){ 0 };
	enum gw_err e = gw_txn_child(parent, &t);

	if (e == GW_OK) {
		c->txn = &t;
		e = edit(c, kind, item, &ed);
		if (e == GW_OK)
			e = gw_txn_commit(&t);
		gw_txn_abort(&t);
		c->txn = parent;
	}
	if (e != GW_OK) {
		gw_effects_reset(&c->core->fx, mark);
		c->is_raised = was_raised;
		c->problem.err = e;
		if (b->n_failed == 0)
			b->first = c->problem;
	}
	b->n_ok += e == GW_OK;
	b->n_failed += e != GW_OK;
	put_result(c, b, e, item, &ed);
}

static enum gw_err read_items(struct gw_ctx *c, const struct gw_call *q, yyjson_val **items, bool *is_partial)
{
	static const char *const params[] = { "items", "partial", NULL };
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e != GW_OK)
		return e;
	*items = yyjson_obj_get(root, "items");
	*is_partial = yyjson_get_bool(yyjson_obj_get(root, "partial"));
	if (!yyjson_is_arr(*items))
		return gw_fault(c, GW_E_MISSING, GW_LIT("/items"), "items is required: a list of {op, ...}.");
	if (yyjson_arr_size(*items) > MAX_ITEMS)
		return gw_fail(c, GW_E_TOO_BIG, "At most %d items go into one call. Send them in parts.", MAX_ITEMS);
	return GW_OK;
}

enum gw_err gw_do_bulk(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct bulk b = { .n_ok = 0 };
	struct gw_buf results;
	yyjson_val *items, *item;
	bool is_partial = false;
	size_t i, max;
	enum gw_err e = read_items(c, q, &items, &is_partial);

	if (e != GW_OK)
		return e;
	gw_buf_init(&results, MAX_RESULTS);
	gw_jw_init(&b.results, &results);
	gw_jw_arr(&b.results);
	yyjson_arr_foreach(items, i, max, item)
	{
		c->doc = (int)i;
		run_item(c, kind, item, &b);
		if (i % BEAT_EVERY == 0 && c->core->beat != NULL)
			c->core->beat(c->core->beat_ctx);
	}
	gw_jw_end_arr(&b.results);
	c->problem = b.first;
	if (b.n_failed > 0 && !is_partial) {
		c->problem.results = gw_arena_str(&c->arena, gw_buf_view(&results));
		gw_buf_done(&results);
		return c->problem.err;
	}
	c->problem = (struct gw_problem){ 0 };
	gw_jw_obj(&c->out);
	gw_jw_key(&c->out, GW_LIT("results"));
	gw_jw_raw(&c->out, gw_buf_view(&results));
	gw_jw_ku64(&c->out, "done", b.n_ok);
	gw_jw_ku64(&c->out, "failed", b.n_failed);
	gw_jw_end_obj(&c->out);
	gw_buf_done(&results);
	return GW_OK;
}
