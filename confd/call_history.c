/* Calls over the change log: the list of changes, the difference of two generations, rollback. */
#include <stdlib.h>

#include "confd/call.h"
#include "confd/edit.h"
#include "confd/history.h"
#include "confd/object.h"
#include "confd/scope.h"
#include "lib/text.h"

enum { MAX_PAGE = 500, DEFAULT_PAGE = 50, MAX_LOOKED_AT = 20000 };

static bool may_see(struct gw_ctx *c, enum gw_cf_kind kind, const yyjson_val *before, const yyjson_val *after)
{
	return (before == NULL || gw_scope_may_read(&c->actor, kind, before)) &&
	       (after == NULL || gw_scope_may_read(&c->actor, kind, after));
}

/* --- generations --- */

static void put_time(struct gw_json_out *w, const char *name, int64_t us)
{
	struct gw_buf b;

	gw_buf_init(&b, 64);
	gw_time_put(&b, us);
	gw_jw_kstr(w, name, gw_buf_view(&b));
	gw_buf_done(&b);
}

static yyjson_val *object_in(yyjson_val *entry, const char *name)
{
	yyjson_val *v = yyjson_obj_get(entry, name);

	return yyjson_is_obj(v) ? v : NULL;
}

static void put_entry(struct gw_ctx *c, uint64_t seq, yyjson_val *entry, bool is_full)
{
	struct gw_json_out *w = &c->out;
	enum gw_cf_kind kind;

	gw_jw_obj(w);
	gw_jw_ku64(w, "seq", seq);
	gw_jw_ku64(w, "generation", gw_obj_u64(entry, "generation"));
	put_time(w, "ts", (int64_t)gw_obj_u64(entry, "ts_us"));
	gw_jw_kstr(w, "actor", gw_obj_str(entry, "actor"));
	gw_jw_kstr(w, "act", gw_obj_str(entry, "act"));
	gw_jw_kstr(w, "kind", gw_obj_str(entry, "kind"));
	gw_jw_kstr(w, "id", gw_obj_str(entry, "id"));
	for (int i = 0; is_full && i < 2 && gw_cf_kind_by_name(gw_obj_str(entry, "kind"), &kind); i++) {
		const char *name = i == 0 ? "before" : "after";

		gw_jw_key(w, gw_str_z(name));
		if (object_in(entry, name) != NULL)
			gw_obj_print(w, kind, object_in(entry, name), false, GW_NIL);
		else
			gw_jw_null(w);
	}
	gw_jw_end_obj(w);
}

struct log_query {
	uint64_t limit, before;
	struct gw_str kind, id;
	bool is_full;
};

static bool is_wanted(struct gw_ctx *c, const struct log_query *q, yyjson_val *entry)
{
	enum gw_cf_kind kind;

	if (q->kind.n > 0 && !gw_str_eq(q->kind, gw_obj_str(entry, "kind")))
		return false;
	if (q->id.n > 0 && !gw_str_eq(q->id, gw_obj_str(entry, "id")))
		return false;
	if (!gw_cf_kind_by_name(gw_obj_str(entry, "kind"), &kind))
		return gw_scope_is_platform(&c->actor);
	return may_see(c, kind, object_in(entry, "before"), object_in(entry, "after"));
}

static enum gw_err put_entries(struct gw_ctx *c, const struct log_query *q, uint64_t *next)
{
	char from[8];
	uint64_t found = 0, looked = 0;
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, c->txn, GW_T_CHANGE, q->before > 0 ? gw_be64(q->before, from) : GW_NIL, true);

	if (e != GW_OK)
		return e;
	*next = 0;
	while (gw_scan_next(&s)) {
		yyjson_doc *doc = yyjson_read(s.value.p, s.value.n, 0);
		yyjson_val *entry = yyjson_doc_get_root(doc);
		uint64_t seq = gw_be64_read(s.key);

		if (entry != NULL && is_wanted(c, q, entry)) {
			put_entry(c, seq, entry, q->is_full);
			found++;
		}
		yyjson_doc_free(doc);
		if (found == q->limit || ++looked == MAX_LOOKED_AT) {
			*next = gw_scan_next(&s) ? seq : 0;
			break;
		}
	}
	e = s.err;
	gw_scan_end(&s);
	return e;
}

enum gw_err gw_do_generations(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "limit", "before", "kind", "id", "full", NULL };
	yyjson_val *root;
	uint64_t next = 0;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e != GW_OK)
		return e;
	struct log_query lq = { gw_obj_u64(root, "limit"), gw_obj_u64(root, "before"), gw_obj_str(root, "kind"),
				gw_obj_str(root, "id"), yyjson_get_bool(yyjson_obj_get(root, "full")) };

	if (lq.limit == 0)
		lq.limit = DEFAULT_PAGE;
	if (lq.limit > MAX_PAGE)
		return gw_fault(c, GW_E_INVALID, GW_LIT("/limit"), "limit must be a number from 1 to %d.", MAX_PAGE);
	gw_jw_obj(&c->out);
	gw_jw_key(&c->out, GW_LIT("items"));
	gw_jw_arr(&c->out);
	e = put_entries(c, &lq, &next);
	gw_jw_end_arr(&c->out);
	if (next != 0)
		gw_jw_ku64(&c->out, "next", next);
	gw_jw_end_obj(&c->out);
	return e;
}

/* --- generation-diff --- */

static enum gw_err tree_or_null(struct gw_ctx *c, struct gw_str json, yyjson_val **out)
{
	*out = NULL;
	return json.p != NULL ? gw_ctx_tree(c, json, out) : GW_OK;
}

static enum gw_err put_past(struct gw_ctx *c, const struct gw_past *p, struct gw_str before, struct gw_str after)
{
	yyjson_val *b, *a;
	enum gw_err e = tree_or_null(c, before, &b);

	if (e == GW_OK)
		e = tree_or_null(c, after, &a);
	if (e == GW_OK && may_see(c, p->kind, b, a))
		gw_history_put_change(&c->out, p->kind, p->id, gw_history_act(before, after), b, a);
	return e;
}

static bool is_equal(struct gw_str a, struct gw_str b)
{
	return (a.p == NULL) == (b.p == NULL) && gw_str_eq(a, b);
}

enum gw_err gw_do_generation_diff(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "from", "to", NULL };
	struct gw_history *h;
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e != GW_OK)
		return e;
	yyjson_val *vf = yyjson_obj_get(root, "from"), *vt = yyjson_obj_get(root, "to");

	if (!yyjson_is_uint(vf) || (vt != NULL && !yyjson_is_uint(vt)))
		return gw_fault(c, GW_E_MISSING, GW_LIT("/from"),
				"from (and to, if given) must be the number of a generation.");
	uint64_t from = yyjson_get_uint(vf), to = vt != NULL ? yyjson_get_uint(vt) : UINT64_MAX;
	bool is_back = from > to;

	if (vt != NULL && to > c->generation)
		return gw_fail(c, GW_E_NOT_FOUND, "There is no generation %llu yet.", (unsigned long long)to);
	e = gw_history_read(c, is_back ? to : from, is_back ? from : to, &h);
	if (e != GW_OK)
		return e;
	gw_jw_obj(&c->out);
	gw_jw_key(&c->out, GW_LIT("changes"));
	gw_jw_arr(&c->out);
	for (struct gw_past *p = h->first; e == GW_OK && p != NULL; p = p->all) {
		if (!is_equal(p->from, p->to))
			e = put_past(c, p, is_back ? p->to : p->from, is_back ? p->from : p->to);
	}
	gw_jw_end_arr(&c->out);
	gw_jw_end_obj(&c->out);
	return e;
}

/* --- rollback --- */

/* Secrets have no history: what is sealed now stays, only the rest of a credential goes back. */
static enum gw_err keep_secret(struct gw_ctx *c, struct gw_past *p, yyjson_val *then, yyjson_val *now)
{
	static const char *const numbers[] = { "secret_version", "next_version" };
	static const char *const texts[] = { "fingerprint", "next_fingerprint", "last4" };
	struct gw_edit_sets sets = { .n = 0 };
	struct gw_buf b;

	if (now == NULL)
		return gw_fail(c, GW_E_CONFLICT,
			       "The credential \"%.*s\" was deleted and its secret with it. Create it anew.",
			       GW_FMT(p->id));
	for (size_t i = 0; i < 2; i++)
		gw_edit_set_u64(&sets, numbers[i], gw_obj_u64(now, numbers[i]));
	for (size_t i = 0; i < 3; i++)
		gw_edit_set_str(&sets, texts[i], gw_obj_str(now, texts[i]));
	gw_buf_init(&b, GW_CF_MAX_OBJECT_BYTES * 2);
	gw_cf_canonical(GW_KIND_credential, then, sets.v, sets.n, &b);
	p->from = b.err == GW_OK ? gw_arena_str(&c->arena, gw_buf_view(&b)) : GW_NIL;
	gw_buf_done(&b);
	return p->from.p != NULL ? GW_OK : GW_E_NOMEM;
}

/* Same but for the fields that every change moves. */
static bool is_same_but_stamps(enum gw_cf_kind kind, const yyjson_val *a, const yyjson_val *b)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];

	for (unsigned i = 0; i < k->n_fields; i++) {
		struct gw_str name = gw_str_z(k->fields[i]->name);
		yyjson_val *x = gw_json_get(a, name), *y = gw_json_get(b, name);

		if (gw_str_eq(name, GW_LIT("version")) || gw_str_eq(name, GW_LIT("updated_at")) ||
		    gw_str_eq(name, GW_LIT("created_at")) || (k->fields[i]->flags & GW_CF_VOL) != 0)
			continue;
		if ((x == NULL) != (y == NULL) || (x != NULL && !yyjson_equals(x, y)))
			return false;
	}
	return true;
}

static bool is_left_alone(enum gw_cf_kind kind)
{
	return kind == GW_KIND_org || kind == GW_KIND_team || kind == GW_KIND_user || kind == GW_KIND_key ||
	       kind == GW_KIND_role_binding || kind == GW_KIND_credential || kind == GW_KIND_account ||
	       kind == GW_KIND_token || kind == GW_KIND_certificate;
}

/* One object on its way back; *is_edit tells whether there is something to do. */
static enum gw_err plan_one(struct gw_ctx *c, struct gw_past *p, const struct gw_selection *sel, struct gw_edit *out,
			    bool *is_edit)
{
	struct gw_str json;
	yyjson_val *now = NULL, *then;
	enum gw_err e = gw_obj_get(c, p->kind, p->id, &json, &now);

	*is_edit = false;
	if (e != GW_OK && e != GW_E_NOT_FOUND)
		return e;
	e = tree_or_null(c, p->from, &then);
	if (e != GW_OK || (now == NULL && then == NULL))
		return e;
	if (!gw_selection_has(sel, p->kind, then != NULL ? then : now))
		return GW_OK;
	if (!sel->has_kinds && sel->objects == NULL && is_left_alone(p->kind))
		return GW_OK;
	if (p->kind == GW_KIND_certificate && then != NULL && (now == NULL || !is_same_but_stamps(p->kind, then, now)))
		return gw_fail(
		    c, GW_E_CONFLICT,
		    "The certificate \"%.*s\" cannot go back: private keys have no history. Save the earlier "
		    "chain and key again.",
		    GW_FMT(p->id));
	if (then != NULL && p->kind == GW_KIND_credential) {
		e = keep_secret(c, p, then, now);
		if (e == GW_OK)
			e = gw_ctx_tree(c, p->from, &then);
	}
	if (e != GW_OK || (then != NULL && now != NULL && is_same_but_stamps(p->kind, then, now)))
		return e;
	*is_edit = true;
	return gw_edit_set(c, p->kind, p->id, p->from, out);
}

static enum gw_err plan_all(struct gw_ctx *c, struct gw_history *h, const struct gw_selection *sel,
			    struct gw_edit **out, size_t *n)
{
	struct gw_edit *v = GW_NEW_N(&c->arena, struct gw_edit, h->n + 1);
	enum gw_err e = v != NULL ? GW_OK : GW_E_NOMEM;

	*n = 0;
	for (struct gw_past *p = h->first; e == GW_OK && p != NULL; p = p->all) {
		bool is_edit;

		e = plan_one(c, p, sel, &v[*n], &is_edit);
		*n += e == GW_OK && is_edit;
	}
	*out = v;
	return e;
}

enum gw_err gw_do_rollback(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "to", "kinds", "org", "team", "objects", NULL };
	struct gw_selection sel;
	struct gw_history *h;
	struct gw_edit *v;
	yyjson_val *root;
	size_t n;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e != GW_OK)
		return e;
	if (!yyjson_is_uint(yyjson_obj_get(root, "to")))
		return gw_fault(c, GW_E_MISSING, GW_LIT("/to"), "to is required: the generation to go back to.");
	e = gw_selection_read(c, root, &sel);
	if (e == GW_OK)
		e = gw_history_read(c, gw_obj_u64(root, "to"), UINT64_MAX, &h);
	if (e == GW_OK)
		e = plan_all(c, h, &sel, &v, &n);
	if (e == GW_OK && n > 0)
		e = gw_edits_write(c, v, n);
	if (e != GW_OK)
		return e;
	gw_jw_obj(&c->out);
	gw_jw_ku64(&c->out, "generation", c->generation);
	gw_jw_key(&c->out, GW_LIT("changes"));
	gw_jw_arr(&c->out);
	for (size_t i = 0; i < n; i++)
		gw_history_put_change(&c->out, v[i].kind, v[i].id, gw_history_act(v[i].before, v[i].after),
				      v[i].before_obj, v[i].after_obj);
	gw_jw_end_arr(&c->out);
	gw_jw_end_obj(&c->out);
	return GW_OK;
}
