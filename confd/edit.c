/* Preparing one object's change: what the caller may do, what the object is after it. */
#include "confd/edit.h"

#include <stdio.h>

#include "confd/object.h"
#include "confd/scope.h"
#include "lib/text.h"

void gw_edit_set_str(struct gw_edit_sets *s, const char *field, struct gw_str v)
{
	GW_REQUIRE(s->n < GW_EDIT_SETS);
	s->v[s->n++] = (struct gw_cf_set){ .field = field, .type = GW_CF_SET_STR, .str = v };
}

void gw_edit_set_u64(struct gw_edit_sets *s, const char *field, uint64_t v)
{
	GW_REQUIRE(s->n < GW_EDIT_SETS);
	s->v[s->n++] = (struct gw_cf_set){ .field = field, .type = GW_CF_SET_U64, .u64 = v };
}

enum gw_err gw_edit_seq(struct gw_ctx *c, uint64_t *out)
{
	uint64_t last;
	enum gw_err e = gw_meta_u64(c->txn, "change_seq", &last);

	if (e == GW_OK)
		e = gw_meta_set_u64(c->txn, "change_seq", last + 1);
	if (e == GW_OK)
		*out = last + 1;
	return e;
}

static struct gw_str buf_to_arena(struct gw_ctx *c, struct gw_buf *b)
{
	struct gw_str s = b->err == GW_OK ? gw_arena_str(&c->arena, gw_buf_view(b)) : GW_NIL;

	gw_buf_done(b);
	return s;
}

enum gw_err gw_edit_finish(struct gw_ctx *c, struct gw_edit *e, const yyjson_val *obj, struct gw_edit_sets *sets)
{
	struct gw_buf now, text;
	/* a rotation has its number already; a second one would leave a gap in the trail */
	enum gw_err err = e->seq != 0 ? GW_OK : gw_edit_seq(c, &e->seq);

	if (err != GW_OK)
		return err;
	gw_buf_init(&now, 64);
	gw_time_put(&now, c->now_us);
	gw_edit_set_u64(sets, "version", e->seq);
	gw_edit_set_str(sets, "updated_at", gw_buf_view(&now));
	if (e->before.p == NULL && gw_obj_str(obj, "created_at").n == 0)
		gw_edit_set_str(sets, "created_at", gw_buf_view(&now));
	gw_buf_init(&text, GW_CF_MAX_OBJECT_BYTES * 2);
	gw_cf_canonical(e->kind, obj, sets->v, sets->n, &text);
	gw_buf_done(&now);
	e->after = buf_to_arena(c, &text);
	if (e->after.p == NULL)
		return GW_E_NOMEM;
	e->is_same = false;
	return gw_ctx_tree(c, e->after, &e->after_obj);
}

/* --- secrets in bodies --- */

static struct gw_secret *take(yyjson_val *obj, const char *name, bool is_text)
{
	yyjson_val *v = yyjson_obj_get(obj, name);
	struct gw_str s = yyjson_is_str(v) ? gw_json_str(v) : GW_NIL;

	if (s.n == 0 || s.n > 16384)
		return NULL;
	struct gw_secret *secret = gw_secret_new(s.p, s.n);

	/* The tree's own copy of the text; an 'x' that no header would refuse may be overlooked, so the check of what a
	 * header can carry is done here too: such a text stays as it is and is refused by the schema. Key files are JSON, and read by their kind. */
	for (size_t i = 0; !is_text && s.p[0] != '{' && i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f) {
			gw_secret_unref(secret);
			return NULL;
		}
	}
	memset((char *)(uintptr_t)s.p, 'x', s.n);
	return secret;
}

void gw_edit_secrets_take(enum gw_cf_kind kind, yyjson_val *obj, struct gw_edit_secrets *out)
{
	*out = (struct gw_edit_secrets){ 0 };
	if (!yyjson_is_obj(obj))
		return;
	if (kind == GW_KIND_credential) {
		out->secret = take(obj, "secret", false);
		out->next = take(obj, "next_secret", false);
	} else if (kind == GW_KIND_certificate) {
		out->secret = take(obj, "private_key", true);
	}
}

void gw_edit_secrets_done(struct gw_edit_secrets *s)
{
	gw_secret_unref(s->secret);
	gw_secret_unref(s->next);
	*s = (struct gw_edit_secrets){ 0 };
}

/* --- put --- */

/* A key or token that nobody named gets a name. */
static enum gw_err add_id(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val **in)
{
	static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t random[12];
	char id[4 + sizeof(random)];
	struct gw_json_out w;
	struct gw_buf b;
	yyjson_val *key, *v;
	size_t i, max;

	memcpy(id, kind == GW_KIND_key ? "key-" : "tok-", 4);
	gw_random(random, sizeof(random));
	for (size_t k = 0; k < sizeof(random); k++)
		id[4 + k] = digits[random[k] % 32];
	gw_buf_init(&b, GW_CF_MAX_OBJECT_BYTES * 2);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "id", gw_str(id, sizeof(id)));
	yyjson_obj_foreach(*in, i, max, key, v)
	{
		if (gw_str_eq(gw_json_str(key), GW_LIT("id")))
			continue;
		gw_jw_key(&w, gw_json_str(key));
		gw_jw_val(&w, v);
	}
	gw_jw_end_obj(&w);
	struct gw_str text = buf_to_arena(c, &b);

	return text.p != NULL ? gw_ctx_tree(c, text, in) : GW_E_TOO_BIG;
}

static enum gw_err find_old(struct gw_ctx *c, struct gw_edit *e)
{
	enum gw_err err = gw_obj_get(c, e->kind, e->id, &e->before, &e->before_obj);
	const char *kind = gw_cf_kinds[e->kind].name;

	if (err != GW_OK && err != GW_E_NOT_FOUND)
		return gw_fail(
		    c, err, "The stored %s \"%.*s\" cannot be read: its check sum is wrong. Restore it from a backup.",
		    kind, GW_FMT(e->id));
	if (e->before.p == NULL)
		return c->if_match == 0
			   ? GW_OK
			   : gw_fail(c, GW_E_PRECONDITION, "There is no %s \"%.*s\" any more (If-Match was given).",
				     kind, GW_FMT(e->id));
	if (c->is_create_only)
		return gw_fail(c, GW_E_CONFLICT,
			       "There is a %s \"%.*s\" already. Choose another id, or change that one.", kind,
			       GW_FMT(e->id));
	if (!gw_scope_may_read(&c->actor, e->kind, e->before_obj))
		return gw_fail(c, GW_E_NOT_FOUND, "There is no %s \"%.*s\".", kind, GW_FMT(e->id));
	uint64_t version = gw_obj_u64(e->before_obj, "version");

	if (c->if_match != 0 && c->if_match != version)
		return gw_fail(c, GW_E_PRECONDITION,
			       "The %s \"%.*s\" has version %llu now, not %llu. Read it again, then change it.", kind,
			       GW_FMT(e->id), (unsigned long long)version, (unsigned long long)c->if_match);
	return GW_OK;
}

/* Objects that were read carry their version: stale ones are refused as such, not as a read-only field. */
static enum gw_err check_body_version(struct gw_ctx *c, const struct gw_edit *e, yyjson_val *in)
{
	yyjson_val *v = yyjson_obj_get(in, "version");

	if (e->before_obj == NULL || !yyjson_is_uint(v) || yyjson_get_uint(v) == gw_obj_u64(e->before_obj, "version"))
		return GW_OK;
	return gw_fail(c, GW_E_PRECONDITION,
		       "The %s \"%.*s\" has version %llu now. Read it again, then change it, or leave version out.",
		       gw_cf_kinds[e->kind].name, GW_FMT(e->id),
		       (unsigned long long)gw_obj_u64(e->before_obj, "version"));
}

/* Schema; the canonical text goes to *out. */
static enum gw_err check_schema(struct gw_ctx *c, struct gw_edit *e, yyjson_val *in, struct gw_cf_check *check,
				struct gw_str *out)
{
	struct gw_buf text;

	*check = (struct gw_cf_check){ .kind = e->kind, .in = in, .old = e->before_obj, .arena = &c->arena };
	gw_buf_init(&text, GW_CF_MAX_OBJECT_BYTES * 2);
	enum gw_err err = gw_cf_check(check, &text);

	if (err == GW_OK) {
		*out = buf_to_arena(c, &text);
		return out->p != NULL ? GW_OK : GW_E_NOMEM;
	}
	gw_buf_done(&text);
	for (unsigned i = 0; i < check->faults.n; i++)
		(void)gw_fault(c, check->faults.v[i].err, check->faults.v[i].pointer, "%.*s",
			       GW_FMT(check->faults.v[i].message));
	return err;
}

static enum gw_err check_fixed(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *obj, const char *field)
{
	if (e->before_obj == NULL || gw_str_eq(gw_obj_str(e->before_obj, field), gw_obj_str(obj, field)))
		return GW_OK;
	return gw_fault(c, GW_E_INVALID, gw_arena_printf(&c->arena, "/%s", field),
			"%s of a %s cannot be changed. Create a new object and delete this one.", field,
			gw_cf_kinds[e->kind].name);
}

/* Fields that only the platform's admins may set: a tenant's change must leave them as they are. */
static enum gw_err check_rights(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *obj, const yyjson_val *in)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[e->kind];

	if (!gw_scope_may_write(&c->actor, e->kind, obj) ||
	    (e->before_obj != NULL && !gw_scope_may_write(&c->actor, e->kind, e->before_obj)))
		return gw_fail(c, GW_E_FORBIDDEN,
			       "Your role may not write the %s \"%.*s\". Ask an admin of its org or of the platform.",
			       k->name, GW_FMT(e->id));
	for (unsigned i = 0; i < k->n_fields && !gw_scope_is_platform(&c->actor); i++) {
		const struct gw_cf_field *f = k->fields[i];
		struct gw_str name = gw_str_z(f->name);
		yyjson_val *was = e->before_obj != NULL ? gw_json_get(e->before_obj, name) : NULL;
		yyjson_val *is = gw_json_get((f->flags & GW_CF_WO) != 0 ? in : obj, name);

		if ((f->flags & GW_CF_PLAT) == 0 || (was == NULL && is == NULL) ||
		    (was != NULL && is != NULL && yyjson_equals(was, is)))
			continue;
		return gw_fault(c, GW_E_FORBIDDEN, gw_arena_printf(&c->arena, "/%s", f->name),
				"%s may be set by platform admins only. Leave it as it is.", f->name);
	}
	return GW_OK;
}

static bool is_caller(enum gw_cf_kind kind)
{
	return kind == GW_KIND_account || kind == GW_KIND_token;
}

/* Roles fit their place: what they cover is said by org and team of the binding, account or token. */
static enum gw_err check_binding(struct gw_ctx *c, const yyjson_val *obj)
{
	struct gw_str role = gw_obj_str(obj, "role"), org = gw_obj_str(obj, "org"), team = gw_obj_str(obj, "team");
	bool needs_org = gw_str_eq(role, GW_LIT("org-admin")) || gw_str_eq(role, GW_LIT("member"));

	if (gw_str_eq(role, GW_LIT("platform-admin")) && org.n > 0)
		return gw_fault(c, GW_E_INVALID, GW_LIT("/org"),
				"A platform-admin is not bound to an org. Leave org out, or give org-admin.");
	if (needs_org && org.n == 0)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/org"), "org is required for the role %.*s.", GW_FMT(role));
	if (gw_str_eq(role, GW_LIT("org-admin")) && team.n > 0)
		return gw_fault(c, GW_E_INVALID, GW_LIT("/team"),
				"An org-admin covers the whole org. Leave team out, or give team-admin.");
	if (gw_str_eq(role, GW_LIT("team-admin")) && team.n == 0)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/team"), "team is required for the role team-admin.");
	return GW_OK;
}

/* Is it the key, token or account that asks? */
static bool is_own(const struct gw_ctx *c, const struct gw_edit *e)
{
	struct gw_str key = c->actor.key, head, tail;

	if (e->kind == GW_KIND_key)
		return gw_str_eq(e->id, key);
	return is_caller(e->kind) && gw_str_cut(key, ':', &head, &tail) &&
	       gw_str_eq(head, gw_str_z(gw_cf_kinds[e->kind].name)) && gw_str_eq(tail, e->id);
}

/* Nobody saws off the branch that he sits on. */
static enum gw_err check_own(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *after)
{
	bool is_own_role =
	    e->before_obj != NULL &&
	    ((e->kind == GW_KIND_role_binding && gw_str_eq(gw_obj_str(e->before_obj, "key"), c->actor.key)) ||
	     (is_caller(e->kind) && is_own(c, e)));

	if (is_own(c, e) && (after == NULL || gw_cf_bool(after, e->kind, "disabled")))
		return gw_fail(c, GW_E_CONFLICT,
			       "This is the %s you are using. Use another one to disable or delete it.",
			       gw_cf_kinds[e->kind].name);
	if (is_own_role && (after == NULL || !gw_str_eq(gw_obj_str(after, "role"), gw_obj_str(e->before_obj, "role"))))
		return gw_fail(c, GW_E_CONFLICT,
			       "This is the role of the %s you are using. Use another one to change it.",
			       e->kind == GW_KIND_role_binding ? "key" : gw_cf_kinds[e->kind].name);
	return GW_OK;
}

static struct gw_str import_of(const struct gw_cf_check *check)
{
	for (unsigned i = 0; i < check->n_secrets; i++) {
		if (gw_str_eq(gw_str_z(check->secrets[i].field->name), GW_LIT("import_sha256")))
			return check->secrets[i].value;
	}
	return GW_NIL;
}

static enum gw_err check_all(struct gw_ctx *c, struct gw_edit *e, yyjson_val *in, struct gw_cf_check *check,
			     struct gw_str *text, yyjson_val **obj)
{
	enum gw_err err = find_old(c, e);

	if (err == GW_OK)
		err = check_body_version(c, e, in);
	if (err == GW_OK)
		err = check_schema(c, e, in, check, text);
	if (err == GW_OK)
		err = gw_ctx_tree(c, *text, obj);
	if (err == GW_OK)
		err = check_fixed(c, e, *obj, "org");
	if (err == GW_OK)
		err = check_fixed(c, e, *obj, "team");
	if (err == GW_OK && e->kind == GW_KIND_credential)
		err = check_fixed(c, e, *obj, "provider");
	if (err == GW_OK && (e->kind == GW_KIND_role_binding || is_caller(e->kind)))
		err = check_binding(c, *obj);
	if (err == GW_OK)
		err = check_rights(c, e, *obj, in);
	return err == GW_OK ? check_own(c, e, *obj) : err;
}

enum gw_err gw_edit_put(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val *in, const struct gw_edit_secrets *secrets,
			struct gw_edit *out)
{
	struct gw_edit e = { .kind = kind, .doc = c->doc };
	struct gw_edit_sets sets = { .n = 0 };
	struct gw_cf_check check;
	struct gw_str text;
	yyjson_val *obj;
	bool is_changed = false;
	enum gw_err err = GW_OK;

	if ((kind == GW_KIND_key || kind == GW_KIND_token) && yyjson_is_obj(in) &&
	    yyjson_get_len(yyjson_obj_get(in, "id")) == 0)
		err = add_id(c, kind, &in);
	if (err != GW_OK)
		return err;
	e.id = yyjson_is_obj(in) ? gw_arena_str(&c->arena, gw_obj_str(in, "id")) : GW_NIL;
	err = check_all(c, &e, in, &check, &text, &obj);
	if (err != GW_OK)
		return err;
	if (kind == GW_KIND_key || kind == GW_KIND_token)
		err = gw_edit_key_fields(c, &e, import_of(&check), &sets);
	else if (kind == GW_KIND_credential)
		err = gw_edit_secret_fields(c, &e, obj, secrets, &sets, &is_changed);
	else if (kind == GW_KIND_certificate)
		err = gw_edit_certificate_fields(c, &e, obj, secrets, &sets, &is_changed);
	if (err != GW_OK)
		return err;
	e.act = e.before.p == NULL ? "create" : "update";
	e.is_same = e.before.p != NULL && !is_changed && gw_str_eq(text, e.before);
	if (e.is_same) {
		e.act = "none";
		e.after = e.before;
		e.after_obj = e.before_obj;
		*out = e;
		return GW_OK;
	}
	err = gw_edit_finish(c, &e, obj, &sets);
	if (err == GW_OK)
		*out = e;
	return err;
}

enum gw_err gw_edit_patch(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, yyjson_val *patch,
			  const struct gw_edit_secrets *secrets, struct gw_edit *out)
{
	struct gw_str json;
	yyjson_val *old;
	enum gw_err e = gw_obj_get(c, kind, id, &json, &old);

	if (e == GW_E_NOT_FOUND || (e == GW_OK && !gw_scope_may_read(&c->actor, kind, old)))
		return gw_fail(c, GW_E_NOT_FOUND, "There is no %s \"%.*s\".", gw_cf_kinds[kind].name, GW_FMT(id));
	if (e != GW_OK)
		return e;
	if (!yyjson_is_obj(patch))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/patch"),
				"patch must be an object with the fields to change.");
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *merged = doc != NULL ? yyjson_merge_patch(doc, old, patch) : NULL;
	yyjson_doc *whole = merged != NULL ? yyjson_mut_val_imut_copy(merged, NULL) : NULL;

	yyjson_mut_doc_free(doc);
	if (whole == NULL)
		return GW_E_NOMEM;
	e = gw_ctx_keep(c, whole);
	if (e != GW_OK)
		return e;
	if (!gw_str_eq(gw_obj_str(yyjson_doc_get_root(whole), "id"), id))
		return gw_fault(c, GW_E_INVALID, GW_LIT("/id"),
				"id cannot be changed. Create a new object and delete this one.");
	return gw_edit_put(c, kind, yyjson_doc_get_root(whole), secrets, out);
}

enum gw_err gw_edit_delete(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_edit *out)
{
	struct gw_edit e = { .kind = kind, .id = gw_arena_str(&c->arena, id), .act = "delete", .doc = c->doc };
	enum gw_err err = find_old(c, &e);

	if (err != GW_OK)
		return err;
	if (e.before.p == NULL)
		return gw_fail(c, GW_E_NOT_FOUND, "There is no %s \"%.*s\".", gw_cf_kinds[kind].name, GW_FMT(id));
	if (!gw_scope_may_write(&c->actor, kind, e.before_obj))
		return gw_fail(c, GW_E_FORBIDDEN, "Your role may not delete the %s \"%.*s\".", gw_cf_kinds[kind].name,
			       GW_FMT(id));
	if (kind == GW_KIND_settings)
		return gw_fail(c, GW_E_CONFLICT,
			       "The settings cannot be deleted. Put {\"id\":\"default\"} to go back to the defaults.");
	err = check_own(c, &e, NULL);
	if (err == GW_OK)
		err = gw_edit_seq(c, &e.seq);
	if (err == GW_OK)
		*out = e;
	return err;
}

enum gw_err gw_edit_set(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_str after,
			struct gw_edit *out)
{
	struct gw_edit e = { .kind = kind, .id = id, .act = "rollback", .doc = c->doc };
	struct gw_edit_sets sets = { .n = 0 };
	yyjson_val *obj;
	enum gw_err err = gw_obj_get(c, kind, id, &e.before, &e.before_obj);

	if (err != GW_OK && err != GW_E_NOT_FOUND)
		return err;
	if (after.p == NULL) {
		err = check_own(c, &e, NULL);
		if (err == GW_OK)
			err = gw_edit_seq(c, &e.seq);
		if (err == GW_OK)
			*out = e;
		return err;
	}
	err = gw_ctx_tree(c, after, &obj);
	if (err == GW_OK)
		err = check_own(c, &e, obj);
	if (err == GW_OK)
		err = gw_edit_finish(c, &e, obj, &sets);
	if (err == GW_OK)
		*out = e;
	return err;
}
