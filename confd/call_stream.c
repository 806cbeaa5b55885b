/* Calls over many objects: apply, diff, validate (one body with any number of objects, one transaction) and export. */
#include <stdlib.h>

#include "confd/call.h"
#include "confd/edit.h"
#include "confd/history.h"
#include "confd/object.h"
#include "confd/scope.h"

enum { MAX_DOCUMENTS = 20000, BEAT_EVERY = 64 };

struct stream {
	struct gw_edit *v;
	size_t n;
};

/* The documents of a body: an array, {"items":[...]}, or one object. An export as the only document of a YAML stream too. */
static enum gw_err documents(struct gw_ctx *c, yyjson_val *root, yyjson_val **items, size_t *n)
{
	yyjson_val *only = yyjson_is_arr(root) && yyjson_arr_size(root) == 1 ? yyjson_arr_get_first(root) : root;
	yyjson_val *list =
	    yyjson_is_obj(only) && yyjson_obj_get(only, "kind") == NULL ? yyjson_obj_get(only, "items") : NULL;

	c->pos_base = list == NULL ? "" : only == root ? "/items" : "/0/items";
	*items = yyjson_is_arr(list) ? list : root;
	*n = yyjson_is_arr(*items) ? yyjson_arr_size(*items) : 1;
	if (!yyjson_is_arr(*items) && !yyjson_is_obj(*items))
		return gw_fail(c, GW_E_INVALID,
			       "The body must be objects with kind and id: an array, or YAML documents.");
	if (*n > MAX_DOCUMENTS)
		return gw_fail(c, GW_E_TOO_BIG, "At most %d objects go into one transaction. Send them in parts.",
			       MAX_DOCUMENTS);
	return GW_OK;
}

/* The object without the word that says its kind. */
static enum gw_err without_kind(struct gw_ctx *c, yyjson_val *doc, yyjson_val **out)
{
	struct gw_json_out w;
	struct gw_buf b;
	yyjson_val *key, *v;
	size_t i, max;

	gw_buf_init(&b, 4 * GW_CF_MAX_OBJECT_BYTES);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	yyjson_obj_foreach(doc, i, max, key, v)
	{
		if (gw_str_eq(gw_json_str(key), GW_LIT("kind")))
			continue;
		gw_jw_key(&w, gw_json_str(key));
		gw_jw_val(&w, v);
	}
	gw_jw_end_obj(&w);
	enum gw_err e = b.err == GW_OK ? gw_ctx_tree(c, gw_buf_view(&b), out) : b.err;

	gw_buf_done(&b);
	return e;
}

static enum gw_err prepare(struct gw_ctx *c, yyjson_val *doc, struct gw_edit *out)
{
	struct gw_edit_secrets secrets;
	enum gw_cf_kind kind;
	yyjson_val *obj;

	if (!yyjson_is_obj(doc))
		return gw_fault(c, GW_E_INVALID, GW_LIT(""), "Each document must be an object with kind and id.");
	if (!gw_cf_kind_by_name(gw_obj_str(doc, "kind"), &kind))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/kind"),
				"kind must be one of settings, org, team, user, key, role_binding, provider, "
				"credential, deployment, model, account, token, certificate, price.");
	gw_edit_secrets_take(kind, doc, &secrets);
	enum gw_err e = without_kind(c, doc, &obj);

	if (e == GW_OK && (kind == GW_KIND_key || kind == GW_KIND_token) && gw_obj_str(obj, "id").n == 0)
		e = gw_fault(c, GW_E_MISSING, GW_LIT("/id"),
			     "id is required: without it every run would make another key.");
	if (e == GW_OK)
		e = gw_edit_put(c, kind, obj, &secrets, out);
	gw_edit_secrets_done(&secrets);
	return e;
}

/* Goes on after a faulty document, so that all faults of a file are told at once. */
static enum gw_err read_stream(struct gw_ctx *c, const struct gw_call *q, struct stream *s)
{
	yyjson_val *root, *items, *v;
	size_t i, max;
	enum gw_err first = GW_OK, e = gw_call_body(c, q, true, &root);

	c->if_match = 0;
	c->is_create_only = false;
	if (e == GW_OK)
		e = documents(c, root, &items, &s->n);
	if (e != GW_OK)
		return e;
	s->v = GW_NEW_N(&c->arena, struct gw_edit, s->n + 1);
	if (s->v == NULL)
		return GW_E_NOMEM;
	if (!yyjson_is_arr(items)) {
		c->doc = 0;
		if (q->flags & GW_CALL_YAML)
			c->pos_base = "";
		return prepare(c, items, &s->v[0]);
	}
	yyjson_arr_foreach(items, i, max, v)
	{
		c->doc = (int)i;
		e = prepare(c, v, &s->v[i]);
		if (first == GW_OK)
			first = e;
		if (i % BEAT_EVERY == 0 && c->core->beat != NULL)
			c->core->beat(c->core->beat_ctx);
	}
	return first;
}

static enum gw_err write_stream(struct gw_ctx *c, const struct gw_call *q, struct stream *s)
{
	enum gw_err e = read_stream(c, q, s);

	return e == GW_OK ? gw_edits_write(c, s->v, s->n) : e;
}

enum gw_err gw_do_apply(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	uint64_t created = 0, updated = 0;
	struct stream s;
	enum gw_err e = write_stream(c, q, &s);
	struct gw_json_out *w = &c->out;

	(void)kind;
	if (e != GW_OK)
		return e;
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("changes"));
	gw_jw_arr(w);
	for (size_t i = 0; i < s.n; i++) {
		const struct gw_edit *ed = &s.v[i];

		gw_jw_obj(w);
		gw_jw_kstr(w, "kind", gw_str_z(gw_cf_kinds[ed->kind].name));
		gw_jw_kstr(w, "id", ed->id);
		gw_jw_kstr(w, "act", gw_str_z(ed->act));
		gw_jw_ku64(w, "version", gw_obj_u64(ed->after_obj, "version"));
		if (ed->token.n > 0)
			gw_jw_kstr(w, "token", ed->token);
		gw_jw_end_obj(w);
		created += ed->before.p == NULL;
		updated += ed->before.p != NULL && !ed->is_same;
	}
	gw_jw_end_arr(w);
	gw_jw_ku64(w, "created", created);
	gw_jw_ku64(w, "updated", updated);
	gw_jw_ku64(w, "unchanged", s.n - created - updated);
	gw_jw_end_obj(w);
	return GW_OK;
}

enum gw_err gw_do_diff(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct stream s;
	enum gw_err e = write_stream(c, q, &s);

	(void)kind;
	c->is_dry_run = true;
	if (e != GW_OK)
		return e;
	gw_jw_obj(&c->out);
	gw_jw_key(&c->out, GW_LIT("changes"));
	gw_jw_arr(&c->out);
	for (size_t i = 0; i < s.n; i++) {
		if (!s.v[i].is_same)
			gw_history_put_change(&c->out, s.v[i].kind, s.v[i].id, s.v[i].act, s.v[i].before_obj,
					      s.v[i].after_obj);
	}
	gw_jw_end_arr(&c->out);
	gw_jw_end_obj(&c->out);
	return GW_OK;
}

enum gw_err gw_do_validate(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct stream s;
	enum gw_err e = write_stream(c, q, &s);

	(void)kind;
	c->is_dry_run = true;
	if (e != GW_OK)
		return e;
	gw_jw_obj(&c->out);
	gw_jw_kbool(&c->out, "valid", true);
	gw_jw_ku64(&c->out, "objects", s.n);
	gw_jw_end_obj(&c->out);
	return GW_OK;
}

/* --- export --- */

/* Kind order of a file that a person reads: what others refer to comes first, as in the rows. */
static int by_kind_and_id(const void *a, const void *b)
{
	const struct gw_past *x = *(struct gw_past *const *)a, *y = *(struct gw_past *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return gw_str_cmp(x->id, y->id);
}

static enum gw_err print_one(struct gw_ctx *c, const struct gw_selection *sel, enum gw_cf_kind kind, struct gw_str json)
{
	yyjson_doc *doc = yyjson_read(json.p, json.n, 0);
	yyjson_val *obj = yyjson_doc_get_root(doc);

	if (obj == NULL)
		return GW_E_CORRUPT;
	if (gw_selection_has(sel, kind, obj) && gw_scope_may_read(&c->actor, kind, obj))
		gw_obj_print(&c->out, kind, obj, true, GW_NIL);
	yyjson_doc_free(doc);
	return GW_OK;
}

/* Objects now and objects then are two sorted lists; where both have one, that of then counts. */
static enum gw_err print_all(struct gw_ctx *c, const struct gw_selection *sel, struct gw_past **past, size_t n)
{
	struct gw_scan s;
	size_t i = 0;
	enum gw_err e = gw_scan_start(&s, c->txn, GW_T_OBJECT, GW_NIL, false);

	if (e != GW_OK)
		return e;
	bool has = gw_scan_next(&s);

	while (e == GW_OK && (has || i < n)) {
		struct gw_past now = { 0 }, *p = i < n ? past[i] : NULL, *np = &now;

		if (has && !gw_obj_key_read(s.key, &now.kind, &now.id)) {
			e = GW_E_CORRUPT;
			break;
		}
		int order = !has ? 1 : p == NULL ? -1 : by_kind_and_id(&np, &p);

		if (order < 0)
			e = print_one(c, sel, now.kind, s.value);
		else if (p->from.p != NULL)
			e = print_one(c, sel, p->kind, p->from);
		i += order >= 0;
		if (order <= 0)
			has = gw_scan_next(&s);
	}
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	return e;
}

enum gw_err gw_do_export(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "generation", "kinds", "org", "team", NULL };
	struct gw_selection sel;
	struct gw_history *h = NULL;
	struct gw_past **past = NULL;
	yyjson_val *root;
	uint64_t seq;
	size_t n = 0;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e == GW_OK)
		e = gw_selection_read(c, root, &sel);
	if (e == GW_OK)
		e = gw_meta_u64(c->txn, "change_seq", &seq);
	if (e != GW_OK)
		return e;
	if (yyjson_obj_get(root, "generation") != NULL) {
		e = gw_history_read(c, gw_obj_u64(root, "generation"), UINT64_MAX, &h);
		past = e == GW_OK ? GW_NEW_N(&c->arena, struct gw_past *, h->n + 1) : NULL;
		if (past == NULL)
			return e == GW_OK ? GW_E_NOMEM : e;
		for (struct gw_past *p = h->first; p != NULL; p = p->all)
			past[n++] = p;
		qsort(past, n, sizeof(*past), by_kind_and_id);
	}
	gw_jw_obj(&c->out);
	gw_jw_ku64(&c->out, "generation", h != NULL ? gw_obj_u64(root, "generation") : c->generation);
	if (h == NULL)
		gw_jw_ku64(&c->out, "change_seq", seq);
	gw_jw_key(&c->out, GW_LIT("items"));
	gw_jw_arr(&c->out);
	e = print_all(c, &sel, past, n);
	gw_jw_end_arr(&c->out);
	gw_jw_end_obj(&c->out);
	return e;
}
