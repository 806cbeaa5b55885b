/* Writing prepared edits, in steps over all of them so that their order does not matter: old index rows go, objects are
 * written, new index rows come (unique names, unique keys), then references are looked at in the state that results. */
#include <stdlib.h>

#include "confd/edit.h"
#include "confd/login.h"
#include "confd/object.h"
#include "confd/row.h"
#include "confd/sealed.h"
#include "confd/scope.h"
#include "core/key.h"
#include "lib/text.h"

enum { MAX_ALIASES = 8, BEAT_EVERY = 64 };

static void beat(struct gw_ctx *c, size_t i)
{
	if (i % BEAT_EVERY == 0 && c->core->beat != NULL)
		c->core->beat(c->core->beat_ctx);
}

/* --- the same object twice --- */

static int by_object(const void *a, const void *b)
{
	const struct gw_edit *x = *(struct gw_edit *const *)a, *y = *(struct gw_edit *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return gw_str_cmp(x->id, y->id);
}

static enum gw_err check_twice(struct gw_ctx *c, struct gw_edit *v, size_t n)
{
	struct gw_edit **sorted = GW_NEW_N(&c->arena, struct gw_edit *, n + 1);

	if (sorted == NULL)
		return GW_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &v[i];
	qsort(sorted, n, sizeof(*sorted), by_object);
	for (size_t i = 1; i < n; i++) {
		if (by_object(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		c->doc = sorted[i]->doc > sorted[i - 1]->doc ? sorted[i]->doc : sorted[i - 1]->doc;
		return gw_fault(c, GW_E_CONFLICT, GW_LIT("/id"),
				"The %s \"%.*s\" is here twice. Leave one of them out.",
				gw_cf_kinds[sorted[i]->kind].name, GW_FMT(sorted[i]->id));
	}
	return GW_OK;
}

/* --- index rows --- */

struct walk {
	struct gw_ctx *c;
	const struct gw_edit *e;
};

static enum gw_err drop_ref(void *ctx, const char *field, size_t index, enum gw_cf_kind kind, struct gw_str id)
{
	struct walk *w = ctx;
	enum gw_err e = gw_txn_del(w->c->txn, GW_T_REF, gw_ref_key(w->c, kind, id, w->e->kind, w->e->id));

	(void)field;
	(void)index;
	return e == GW_E_NOT_FOUND ? GW_OK : e; /* two fields may name the same object */
}

static enum gw_err add_ref(void *ctx, const char *field, size_t index, enum gw_cf_kind kind, struct gw_str id)
{
	struct walk *w = ctx;

	(void)field;
	(void)index;
	return gw_txn_put(w->c->txn, GW_T_REF, gw_ref_key(w->c, kind, id, w->e->kind, w->e->id), GW_LIT(""));
}

static bool key_index(const yyjson_val *obj, uint8_t out[32])
{
	return obj != NULL && gw_hex_read(gw_obj_str(obj, "index"), out, 32);
}

/* The object and what workers will see of it. */
static enum gw_err put_object(struct gw_ctx *c, const struct gw_edit *e, struct gw_str key)
{
	enum gw_err err = gw_txn_put(c->txn, GW_T_OBJECT, key, e->after);

	return err == GW_OK ? gw_row_put(c->txn, e->kind, key, e->after_obj) : err;
}

/* Old rows away, the object itself written or deleted. */
static enum gw_err take_out(struct gw_ctx *c, const struct gw_edit *e)
{
	struct walk w = { c, e };
	char buf[GW_OBJ_KEY_BYTES];
	uint8_t index[32];
	char token[33];
	struct gw_str key = gw_obj_key(e->kind, e->id, buf);
	enum gw_err err = GW_OK;

	if (e->before_obj != NULL) {
		err = gw_refs_each(e->kind, e->before_obj, drop_ref, &w);
		if (err == GW_OK && e->kind == GW_KIND_model)
			err = gw_txn_del(c->txn, GW_T_MODEL, gw_obj_model_key(c, e->before_obj));
		if (err == GW_OK && e->kind == GW_KIND_key && key_index(e->before_obj, index))
			err = gw_txn_del(c->txn, GW_T_KEY, gw_str((const char *)index, 32));
		if (err == GW_OK && e->kind == GW_KIND_token && key_index(e->before_obj, index))
			err = gw_txn_del(c->txn, GW_T_LOGIN, gw_login_token_key(index, token));
	}
	if (err != GW_OK && err != GW_E_NOT_FOUND)
		return err;
	if (e->after.p != NULL)
		return put_object(c, e, key);
	err = gw_txn_del(c->txn, GW_T_OBJECT, key);
	if (err == GW_OK && gw_cf_kinds[e->kind].is_served)
		err = gw_txn_del(c->txn, GW_T_ROW, key);
	if (err == GW_OK && e->kind == GW_KIND_credential)
		err = gw_sealed_delete_all(c->txn, e->id);
	if (err == GW_OK && e->kind == GW_KIND_account)
		err = gw_login_account_gone(c->txn, e->id);
	if (err == GW_OK && e->kind == GW_KIND_certificate)
		err = gw_sealed_delete_all(c->txn, gw_certificate_sealed_id(c, e->id));
	return err;
}

/* A row that must be new; names who has it. */
static enum gw_err put_unique(struct gw_ctx *c, const struct gw_edit *e, enum gw_table table, struct gw_str key,
			      const char *field)
{
	struct gw_str owner;
	enum gw_err err = gw_txn_get(c->txn, table, key, &owner);

	if (err == GW_E_NOT_FOUND)
		return gw_txn_put(c->txn, table, key, e->id);
	if (err != GW_OK)
		return err;
	c->doc = e->doc;
	if (table == GW_T_KEY)
		return gw_fault(c, GW_E_CONFLICT, gw_str_z(field), "This token is there already, as key \"%.*s\".",
				GW_FMT(owner));
	return gw_fault(c, GW_E_CONFLICT, gw_str_z(field),
			"The model \"%.*s\" has this name already. Choose another name.", GW_FMT(owner));
}

static enum gw_err put_in(struct gw_ctx *c, const struct gw_edit *e)
{
	struct walk w = { c, e };
	uint8_t index[32];
	char token[33];
	enum gw_err err;

	if (e->after_obj == NULL)
		return GW_OK;
	err = gw_refs_each(e->kind, e->after_obj, add_ref, &w);
	if (err == GW_OK && e->kind == GW_KIND_model)
		err = put_unique(c, e, GW_T_MODEL, gw_obj_model_key(c, e->after_obj), "/name");
	if (err == GW_OK && e->kind == GW_KIND_key)
		err = !key_index(e->after_obj, index)
			  ? GW_E_CORRUPT
			  : put_unique(c, e, GW_T_KEY, gw_str((const char *)index, 32), "/import_sha256");
	if (err == GW_OK && e->kind == GW_KIND_token)
		err = !key_index(e->after_obj, index)
			  ? GW_E_CORRUPT
			  : gw_txn_put(c->txn, GW_T_LOGIN, gw_login_token_key(index, token), e->id);
	return err;
}

/* --- references --- */

/* May an object of this owner name that one at all? */
static bool is_visible(const struct gw_edit *e, enum gw_cf_kind kind, const yyjson_val *target)
{
	struct gw_str org = gw_obj_str(e->after_obj, "org"), team = gw_obj_str(e->after_obj, "team");
	struct gw_str t_org = gw_obj_str(target, "org"), t_team = gw_obj_str(target, "team");

	if (kind == GW_KIND_org)
		return true;
	if (kind == GW_KIND_team) /* the owner's org has it; the platform's models may name any team */
		return org.n == 0 || gw_str_eq(org, t_org);
	return t_org.n == 0 || (gw_str_eq(t_org, org) && (t_team.n == 0 || gw_str_eq(t_team, team)));
}

static struct gw_str field_pointer(struct gw_ctx *c, const char *field, size_t index)
{
	if (index == (size_t)GW_REF_SINGLE)
		return gw_arena_printf(&c->arena, "/%s", field);
	return gw_arena_printf(&c->arena, "/%s/%zu%s", field, index,
			       strcmp(field, "targets") == 0 ? "/deployment" : "");
}

static enum gw_err check_ref(void *ctx, const char *field, size_t index, enum gw_cf_kind kind, struct gw_str id)
{
	struct walk *w = ctx;
	struct gw_ctx *c = w->c;
	struct gw_str json;
	yyjson_val *target = NULL;
	enum gw_err e = gw_obj_get(c, kind, id, &json, &target);

	if (e != GW_OK && e != GW_E_NOT_FOUND)
		return e;
	if (e == GW_OK && is_visible(w->e, kind, target) && gw_scope_may_use(&c->actor, kind, target))
		return GW_OK;
	c->doc = w->e->doc;
	return gw_fault(
	    c, GW_E_INVALID, field_pointer(c, field, index),
	    "%s: there is no %s \"%.*s\" that this object may refer to. Create it first, or correct the id.", field,
	    gw_cf_kinds[kind].name, GW_FMT(id));
}

/* A tenant must not pair its own provider (whose address it chose) with somebody's credential. */
static enum gw_err check_deployment(struct gw_ctx *c, const struct gw_edit *e)
{
	struct gw_str id = gw_obj_str(e->after_obj, "credential"), json;
	yyjson_val *credential;

	if (id.n == 0)
		return GW_OK;
	enum gw_err err = gw_obj_get(c, GW_KIND_credential, id, &json, &credential);

	if (err != GW_OK)
		return err;
	if (gw_str_eq(gw_obj_str(credential, "provider"), gw_obj_str(e->after_obj, "provider")))
		return GW_OK;
	c->doc = e->doc;
	return gw_fault(c, GW_E_INVALID, GW_LIT("/credential"),
			"credential: \"%.*s\" is for the provider \"%.*s\", this deployment is at \"%.*s\". Use a "
			"credential of that provider.",
			GW_FMT(id), GW_FMT(gw_obj_str(credential, "provider")),
			GW_FMT(gw_obj_str(e->after_obj, "provider")));
}

/* The same for its proxy: what is sent there is a credential of this provider, not of another one. */
static enum gw_err check_provider(struct gw_ctx *c, const struct gw_edit *e)
{
	struct gw_str id = gw_obj_str(e->after_obj, "proxy_credential"), json;
	yyjson_val *credential;

	if (id.n == 0)
		return GW_OK;
	enum gw_err err = gw_obj_get(c, GW_KIND_credential, id, &json, &credential);

	if (err != GW_OK || gw_str_eq(gw_obj_str(credential, "provider"), e->id))
		return err;
	c->doc = e->doc;
	return gw_fault(c, GW_E_INVALID, GW_LIT("/proxy_credential"),
			"proxy_credential: \"%.*s\" is for the provider \"%.*s\". Use a credential of this provider.",
			GW_FMT(id), GW_FMT(gw_obj_str(credential, "provider")));
}

static enum gw_err check_alias(struct gw_ctx *c, const struct gw_edit *e)
{
	const yyjson_val *model = e->after_obj;

	for (int hops = 0; hops <= MAX_ALIASES; hops++) {
		struct gw_str next = gw_obj_str(model, "alias_of"), json;
		yyjson_val *obj;

		if (next.n == 0)
			return GW_OK;
		enum gw_err err = gw_obj_get(c, GW_KIND_model, next, &json, &obj);

		if (err != GW_OK)
			return err;
		model = obj;
	}
	c->doc = e->doc;
	return gw_fault(c, GW_E_INVALID, GW_LIT("/alias_of"),
			"alias_of leads in a circle, or over more than %d aliases. Name the model itself.",
			MAX_ALIASES);
}

static bool is_tenants(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id)
{
	struct gw_str json;
	yyjson_val *obj;

	return gw_obj_get(c, kind, id, &json, &obj) == GW_OK && gw_obj_str(obj, "org").n > 0;
}

/* Who refers to it goes to c->problem.used_by; of tenants only, when so asked. */
static enum gw_err find_users(struct gw_ctx *c, const struct gw_edit *e, bool only_tenants)
{
	struct gw_str prefix = gw_ref_key(c, e->kind, e->id, 0, GW_NIL);
	struct gw_problem *p = &c->problem;
	struct gw_scan s;
	enum gw_err err;

	prefix.n = prefix.n > 0 ? prefix.n - 1 : 0;
	err = gw_scan_start(&s, c->txn, GW_T_REF, prefix, false);
	if (err != GW_OK)
		return err;
	p->n_used_by = 0;
	while (p->n_used_by < GW_MAX_USED_BY && gw_scan_next(&s) && gw_str_has_prefix(s.key, prefix)) {
		struct gw_used_by *u = &p->used_by[p->n_used_by];

		if (!gw_obj_key_read(gw_str_skip(s.key, prefix.n), &u->kind, &u->id) ||
		    (only_tenants && !is_tenants(c, u->kind, u->id)))
			continue;
		u->id = gw_arena_str(&c->arena, u->id);
		p->n_used_by++;
	}
	err = s.err;
	gw_scan_end(&s);
	return err;
}

static enum gw_err check_unused(struct gw_ctx *c, const struct gw_edit *e)
{
	struct gw_problem *p = &c->problem;
	enum gw_err err = find_users(c, e, false);

	if (err != GW_OK || p->n_used_by == 0)
		return err;
	return gw_fail(c, GW_E_IN_USE, "The %s \"%.*s\" is used by the %s \"%.*s\"%s. Change or delete that first.",
		       gw_cf_kinds[e->kind].name, GW_FMT(e->id), gw_cf_kinds[p->used_by[0].kind].name,
		       GW_FMT(p->used_by[0].id), p->n_used_by > 1 ? " and others" : "");
}

/* Sharing ends when no tenant uses it any more: their requests would fail without their doing. */
static enum gw_err check_unshared(struct gw_ctx *c, const struct gw_edit *e)
{
	struct gw_problem *p = &c->problem;
	enum gw_err err;

	if (e->before_obj == NULL || !gw_cf_bool(e->before_obj, e->kind, "shared") ||
	    gw_cf_bool(e->after_obj, e->kind, "shared"))
		return GW_OK;
	err = find_users(c, e, true);
	if (err != GW_OK || p->n_used_by == 0)
		return err;
	c->doc = e->doc;
	return gw_fail(c, GW_E_IN_USE,
		       "The %s \"%.*s\" is used by the %s \"%.*s\"%s of a tenant. Change or delete that first.",
		       gw_cf_kinds[e->kind].name, GW_FMT(e->id), gw_cf_kinds[p->used_by[0].kind].name,
		       GW_FMT(p->used_by[0].id), p->n_used_by > 1 ? " and others" : "");
}

static enum gw_err check_whole(struct gw_ctx *c, const struct gw_edit *e)
{
	struct walk w = { c, e };

	if (e->after_obj == NULL)
		return check_unused(c, e);
	enum gw_err err = gw_refs_each(e->kind, e->after_obj, check_ref, &w);

	if (err == GW_OK && e->kind == GW_KIND_deployment)
		err = check_deployment(c, e);
	if (err == GW_OK && e->kind == GW_KIND_provider)
		err = check_provider(c, e);
	if (err == GW_OK && e->kind == GW_KIND_model)
		err = check_alias(c, e);
	if (err == GW_OK && (e->kind == GW_KIND_deployment || e->kind == GW_KIND_model))
		err = check_unshared(c, e);
	return err;
}

/* --- what follows the commit --- */

static bool is_key_live(const yyjson_val *obj, int64_t now_us)
{
	int64_t expires;

	if (obj == NULL || gw_cf_bool(obj, GW_KIND_key, "disabled"))
		return false;
	return !gw_time_read(gw_obj_str(obj, "expires_at"), &expires) || expires > now_us;
}

static void note_key(struct gw_ctx *c, const struct gw_edit *e)
{
	struct gw_effects *fx = &c->core->fx;
	uint8_t index[32];

	if (!key_index(e->after_obj != NULL ? e->after_obj : e->before_obj, index))
		return;
	uint64_t hash = gw_key_revoke_hash(index);

	gw_buf_put(&fx->keys, index, 32);
	if (is_key_live(e->after_obj, c->now_us))
		gw_buf_put(&fx->unrevoke, &hash, sizeof(hash));
	else if (is_key_live(e->before_obj, c->now_us))
		gw_buf_put(&fx->revoke, &hash, sizeof(hash));
}

static bool is_credential_live(const yyjson_val *obj)
{
	return obj != NULL && !gw_cf_bool(obj, GW_KIND_credential, "disabled");
}

/* What a token is fetched with is another: the one there is was for another role, scope or directory. */
static bool is_fetched_anew(const yyjson_val *before, const yyjson_val *after)
{
	static const char *const fields[] = { "type",      "source",    "region", "role_arn", "external_id",
					      "tenant_id", "client_id", "scope",  "token_url" };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!gw_str_eq(gw_obj_str(before, fields[i]), gw_obj_str(after, fields[i])))
			return true;
	}
	return false;
}

static void note_credential(struct gw_ctx *c, const struct gw_edit *e)
{
	static const char *const fields[] = { "secret_version", "next_version" };
	struct gw_effects *fx = &c->core->fx;
	bool is_live = is_credential_live(e->after_obj), was_live = is_credential_live(e->before_obj);
	const yyjson_val *obj = is_live ? e->after_obj : e->before_obj;

	for (size_t i = 0; is_live != was_live && obj != NULL && i < 2; i++) {
		uint64_t version = gw_obj_u64(obj, fields[i]);
		uint64_t hash = gw_cred_revoke_hash(e->id, version);

		if (version != 0)
			gw_buf_put(is_live ? &fx->unrevoke : &fx->revoke, &hash, sizeof(hash));
	}
	if (was_live && (!is_live || is_fetched_anew(e->before_obj, e->after_obj))) {
		gw_buf_puts(&fx->drop, e->id);
		gw_buf_putc(&fx->drop, '\0');
	}
}

static void note(struct gw_ctx *c, const struct gw_edit *e)
{
	if (e->kind == GW_KIND_key)
		note_key(c, e);
	else if (gw_cf_kinds[e->kind].is_served)
		c->core->fx.is_config_changed = true;
	if (e->kind == GW_KIND_credential)
		note_credential(c, e);
}

typedef enum gw_err step_fn(struct gw_ctx *c, const struct gw_edit *e);

static enum gw_err each(struct gw_ctx *c, struct gw_edit *v, size_t n, step_fn *fn)
{
	enum gw_err e = GW_OK;

	for (size_t i = 0; e == GW_OK && i < n; i++) {
		if (!v[i].is_same)
			e = fn(c, &v[i]);
		beat(c, i);
	}
	return e;
}

enum gw_err gw_edits_write(struct gw_ctx *c, struct gw_edit *v, size_t n)
{
	bool is_served = false;
	uint64_t generation;
	enum gw_err e = check_twice(c, v, n);

	if (e == GW_OK)
		e = each(c, v, n, take_out);
	if (e == GW_OK)
		e = each(c, v, n, put_in);
	if (e == GW_OK)
		e = each(c, v, n, check_whole);
	if (e == GW_OK)
		e = gw_meta_u64(c->txn, "generation", &generation);
	if (e != GW_OK)
		return e;
	for (size_t i = 0; i < n; i++)
		is_served |= !v[i].is_same && gw_cf_kinds[v[i].kind].is_served;
	if (is_served && !c->is_raised) {
		e = gw_meta_set_u64(c->txn, "generation", ++generation);
		c->is_raised = true;
	}
	for (size_t i = 0; e == GW_OK && i < n; i++) {
		if (v[i].is_same)
			continue;
		e = gw_change_log(c, &v[i], generation);
		note(c, &v[i]);
		beat(c, i);
	}
	c->generation = generation;
	return e;
}
