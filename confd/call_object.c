/* Calls that work on one object, or page through those of a kind. */
#include <stdio.h>

#include "confd/call.h"
#include "confd/edit.h"
#include "confd/object.h"
#include "confd/scope.h"

enum { MAX_PAGE = 1000, DEFAULT_PAGE = 100, MAX_LOOKED_AT = 20000, MAX_FILTERS = 16 };

static enum gw_err not_found(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id)
{
	return gw_fail(c, GW_E_NOT_FOUND, "There is no %s \"%.*s\".", gw_cf_kinds[kind].name, GW_FMT(id));
}

enum gw_err gw_do_get(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "id", NULL };
	struct gw_str id, json;
	yyjson_val *root, *obj;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e == GW_OK)
		e = gw_call_id(c, root, &id);
	if (e != GW_OK)
		return e;
	e = gw_obj_get(c, kind, id, &json, &obj);
	if (e == GW_E_NOT_FOUND || (e == GW_OK && !gw_scope_may_read(&c->actor, kind, obj)))
		return not_found(c, kind, id);
	if (e != GW_OK)
		return gw_fail(
		    c, e, "The stored %s \"%.*s\" cannot be read: its check sum is wrong. Restore it from a backup.",
		    gw_cf_kinds[kind].name, GW_FMT(id));
	gw_obj_print(&c->out, kind, obj, false, GW_NIL);
	c->version = gw_obj_u64(obj, "version");
	return GW_OK;
}

/* --- list --- */

struct filter {
	struct gw_str name, want;
	const struct gw_cf_field *field;
};
struct list {
	struct filter filters[MAX_FILTERS];
	unsigned n_filters;
	uint64_t limit;
	struct gw_str after;
};

static bool item_eq(yyjson_val *item, struct gw_str want)
{
	if (yyjson_is_obj(item))
		item = yyjson_obj_get(item, "deployment");
	return yyjson_is_str(item) && gw_str_eq(gw_json_str(item), want);
}

static bool list_has(const yyjson_val *obj, const char *name, struct gw_str want)
{
	yyjson_val *item, *v = gw_json_get(obj, gw_str_z(name));
	size_t i, max;

	yyjson_arr_foreach(v, i, max, item)
	{
		if (item_eq(item, want))
			return true;
	}
	return want.n == 0 && yyjson_arr_size(v) == 0;
}

static bool number_is(const yyjson_val *obj, enum gw_cf_kind kind, const struct gw_cf_field *f, struct gw_str want)
{
	char text[24];
	uint64_t v = gw_cf_u64(obj, kind, f->name);

	if (f->type == GW_CF_BOOL)
		return gw_str_eq(want, v != 0 ? GW_LIT("true") : GW_LIT("false"));
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);

	return gw_str_eq(want, gw_str(text, (size_t)n));
}

static bool matches(const yyjson_val *obj, enum gw_cf_kind kind, const struct filter *f)
{
	if (f->field == NULL) /* labels.<name> */
		return gw_str_eq(gw_json_str(gw_json_get(gw_json_get(obj, GW_LIT("labels")), f->name)), f->want);
	switch (f->field->type) {
	case GW_CF_U64:
	case GW_CF_BOOL:
	case GW_CF_DUR:
	case GW_CF_NANO:
		return number_is(obj, kind, f->field, f->want);
	case GW_CF_STRS:
	case GW_CF_IDS:
	case GW_CF_REFS:
	case GW_CF_CIDRS:
	case GW_CF_TARGETS:
		return list_has(obj, f->field->name, f->want);
	case GW_CF_MAP:
	case GW_CF_SECRET:
		return false;
	default:
		return gw_str_eq(gw_cf_str(obj, kind, f->field->name), f->want);
	}
}

static enum gw_err read_filter(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val *key, yyjson_val *v, struct list *l)
{
	struct gw_str name = gw_json_str(key), label = GW_LIT("labels.");
	struct filter *f = &l->filters[l->n_filters];

	if (l->n_filters == MAX_FILTERS || !yyjson_is_str(v))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/filter"), "filter takes at most %d fields, each with a text.",
				MAX_FILTERS);
	*f = (struct filter){ name, gw_json_str(v), NULL };
	if (gw_str_has_prefix(name, label)) {
		f->name = gw_str_skip(name, label.n);
	} else {
		f->field = gw_cf_field_find(kind, name);
		if (f->field == NULL || (f->field->flags & GW_CF_WO) != 0 || gw_str_eq(name, GW_LIT("index")))
			return gw_fault(c, GW_E_UNKNOWN_FIELD, GW_LIT("/filter"),
					"\"%.*s\" is not a field of a %s to filter by.",
					(int)(name.n < 64 ? name.n : 64), name.p, gw_cf_kinds[kind].name);
	}
	l->n_filters++;
	return GW_OK;
}

static enum gw_err read_list(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val *root, struct list *l)
{
	static const char *const params[] = { "limit", "after", "filter", NULL };
	yyjson_val *limit = yyjson_obj_get(root, "limit"), *key, *v;
	size_t i, max;
	enum gw_err e = gw_call_known(c, root, params);

	*l = (struct list){ .limit = DEFAULT_PAGE };
	if (e != GW_OK)
		return e;
	if (limit != NULL &&
	    (!yyjson_is_uint(limit) || yyjson_get_uint(limit) == 0 || yyjson_get_uint(limit) > MAX_PAGE))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/limit"), "limit must be a number from 1 to %d.", MAX_PAGE);
	if (limit != NULL)
		l->limit = yyjson_get_uint(limit);
	l->after = gw_json_str(yyjson_obj_get(root, "after"));
	yyjson_obj_foreach(yyjson_obj_get(root, "filter"), i, max, key, v)
	{
		if (e == GW_OK)
			e = read_filter(c, kind, key, v, l);
	}
	return e;
}

static bool is_wanted(struct gw_ctx *c, enum gw_cf_kind kind, const struct list *l, const yyjson_val *obj)
{
	if (!gw_scope_may_read(&c->actor, kind, obj))
		return false;
	for (unsigned i = 0; i < l->n_filters; i++) {
		if (!matches(obj, kind, &l->filters[i]))
			return false;
	}
	return true;
}

/* Prints one page; *next is where the following one begins, NIL at the end. */
static enum gw_err print_page(struct gw_ctx *c, enum gw_cf_kind kind, const struct list *l, struct gw_str *next)
{
	char from[GW_OBJ_KEY_BYTES + 1] = { (char)kind };
	size_t n = l->after.n < GW_OBJ_KEY_BYTES - 1 ? l->after.n : GW_OBJ_KEY_BYTES - 1, looked = 0;
	uint64_t found = 0;
	struct gw_scan s;

	if (n > 0)
		memcpy(from + 1, l->after.p, n);
	from[1 + n] = '\0'; /* just behind `after` */
	enum gw_err e = gw_scan_start(&s, c->txn, GW_T_OBJECT, gw_str(from, n > 0 ? n + 2 : 1), false);

	if (e != GW_OK)
		return e;
	while (gw_scan_next(&s) && s.key.p[0] == (char)kind) {
		yyjson_doc *doc = yyjson_read(s.value.p, s.value.n, 0);

		if (doc != NULL && is_wanted(c, kind, l, yyjson_doc_get_root(doc))) {
			gw_obj_print(&c->out, kind, yyjson_doc_get_root(doc), false, GW_NIL);
			found++;
		}
		yyjson_doc_free(doc);
		if (found == l->limit || ++looked == MAX_LOOKED_AT) {
			*next = gw_arena_str(&c->arena, gw_str_skip(s.key, 1));
			/* nothing behind it: no further page */
			if (!gw_scan_next(&s) || s.key.p[0] != (char)kind)
				*next = GW_NIL;
			break;
		}
	}
	e = s.err;
	gw_scan_end(&s);
	return e;
}

enum gw_err gw_do_list(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct gw_str next = GW_NIL;
	struct list l;
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e == GW_OK)
		e = read_list(c, kind, root, &l);
	if (e != GW_OK)
		return e;
	gw_jw_obj(&c->out);
	gw_jw_key(&c->out, GW_LIT("items"));
	gw_jw_arr(&c->out);
	e = print_page(c, kind, &l, &next);
	gw_jw_end_arr(&c->out);
	if (next.n > 0)
		gw_jw_kstr(&c->out, "next", next);
	gw_jw_end_obj(&c->out);
	return e;
}

/* --- writes --- */

static enum gw_err finish(struct gw_ctx *c, struct gw_edit *e)
{
	enum gw_err err = e->is_same ? GW_OK : gw_edits_write(c, e, 1);

	if (err != GW_OK)
		return err;
	c->version = gw_obj_u64(e->after_obj, "version");
	gw_obj_print(&c->out, e->kind, e->after_obj, false, e->token);
	if (e->before.p == NULL)
		c->status = 201;
	return GW_OK;
}

enum gw_err gw_do_put(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	struct gw_edit_secrets secrets;
	struct gw_edit edit;
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e != GW_OK)
		return e;
	gw_edit_secrets_take(kind, root, &secrets);
	e = gw_edit_put(c, kind, root, &secrets, &edit);
	gw_edit_secrets_done(&secrets);
	return e == GW_OK ? finish(c, &edit) : e;
}

enum gw_err gw_do_patch(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "id", "patch", NULL };
	struct gw_edit_secrets secrets;
	struct gw_edit edit;
	struct gw_str id;
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e == GW_OK)
		e = gw_call_id(c, root, &id);
	if (e != GW_OK)
		return e;
	yyjson_val *patch = yyjson_obj_get(root, "patch");

	gw_edit_secrets_take(kind, patch, &secrets);
	e = gw_edit_patch(c, kind, id, patch, &secrets, &edit);
	gw_edit_secrets_done(&secrets);
	return e == GW_OK ? finish(c, &edit) : e;
}

enum gw_err gw_do_delete(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "id", NULL };
	struct gw_edit edit;
	struct gw_str id;
	yyjson_val *root;
	enum gw_err e = gw_call_body(c, q, false, &root);

	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e == GW_OK)
		e = gw_call_id(c, root, &id);
	c->is_create_only = false;
	if (e == GW_OK)
		e = gw_edit_delete(c, kind, id, &edit);
	if (e == GW_OK)
		e = gw_edits_write(c, &edit, 1);
	if (e != GW_OK)
		return e;
	gw_jw_obj(&c->out);
	gw_jw_kstr(&c->out, "deleted", id);
	gw_jw_end_obj(&c->out);
	return GW_OK;
}

enum gw_err gw_do_rotate(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind)
{
	static const char *const params[] = { "id", "mode", "secret", NULL };
	static const char *const modes[] = { "now", "stage", "promote", NULL };
	struct gw_edit_secrets secrets;
	struct gw_edit edit;
	struct gw_str id;
	yyjson_val *root;
	int mode = 0;
	enum gw_err e = gw_call_body(c, q, false, &root);

	(void)kind;
	c->is_create_only = false;
	if (e == GW_OK)
		e = gw_call_known(c, root, params);
	if (e == GW_OK)
		e = gw_call_id(c, root, &id);
	if (e != GW_OK)
		return e;
	while (modes[mode] != NULL && yyjson_obj_get(root, "mode") != NULL &&
	       !gw_str_eq(gw_json_str(yyjson_obj_get(root, "mode")), gw_str_z(modes[mode])))
		mode++;
	if (modes[mode] == NULL)
		return gw_fault(c, GW_E_INVALID, GW_LIT("/mode"), "mode must be now, stage or promote.");
	gw_edit_secrets_take(GW_KIND_credential, root, &secrets);
	e = gw_edit_rotate(c, id, (enum gw_rotate_mode)mode, secrets.secret, &edit);
	gw_edit_secrets_done(&secrets);
	return e == GW_OK ? finish(c, &edit) : e;
}
