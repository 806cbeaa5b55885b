/* From a question to an answer: the table of methods, transactions around them, error bodies. Writes that come together
 * share one transaction with a nested one each, so that one fsync serves all and a bad one takes nobody with it. */
#include "confd/call.h"

#include "confd/keyring.h"
#include "confd/login.h"
#include "confd/scope.h"
#include "lib/yaml.h"

enum { MAX_REPLY = 60 << 20 };

struct method {
	const char *name;
	enum gw_call_class cls;
	gw_method_fn *fn;
	bool needs_kind, needs_platform;
	bool while_blocked; /* taken although a refused image blocks writes */
};
static const struct method methods[] = {
	{ "get", GW_CALL_READ, gw_do_get, true, false, false },
	{ "list", GW_CALL_READ, gw_do_list, true, false, false },
	{ "put", GW_CALL_WRITE, gw_do_put, true, false, false },
	{ "patch", GW_CALL_WRITE, gw_do_patch, true, false, false },
	{ "delete", GW_CALL_WRITE, gw_do_delete, true, false, false },
	{ "bulk", GW_CALL_WRITE, gw_do_bulk, true, false, false },
	{ "credential-rotate", GW_CALL_WRITE, gw_do_rotate, false, false, false },
	{ "apply", GW_CALL_WRITE, gw_do_apply, false, false, false },
	{ "diff", GW_CALL_WRITE, gw_do_diff, false, false, true },
	{ "validate", GW_CALL_WRITE, gw_do_validate, false, false, true },
	{ "export", GW_CALL_READ, gw_do_export, false, false, false },
	{ "generations", GW_CALL_READ, gw_do_generations, false, false, false },
	{ "generation-diff", GW_CALL_READ, gw_do_generation_diff, false, false, false },
	{ "rollback", GW_CALL_WRITE, gw_do_rollback, false, true, true },
	{ "auth", GW_CALL_READ, gw_do_auth, false, false, false },
	{ "session-open", GW_CALL_WRITE, gw_do_session_open, false, false, true },
	{ "session-close", GW_CALL_WRITE, gw_do_session_close, false, false, true },
	{ "account-password", GW_CALL_WRITE, gw_do_account_password, false, false, true },
	{ "audit-key", GW_CALL_READ, gw_do_audit_key, false, false, false },
	{ "status", GW_CALL_READ, gw_do_status, false, false, false },
	{ "republish", GW_CALL_READ, gw_do_republish, false, true, true },
	{ "keyring-status", GW_CALL_READ, gw_do_keyring_status, false, true, false },
	{ "keyring-rotate-dek", GW_CALL_SOLO, gw_do_rotate_dek, false, true, true },
	{ "keyring-rotate-root", GW_CALL_SOLO, gw_do_rotate_root, false, true, true },
};

static const struct method *find(const struct gw_call *q)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (gw_str_eq(q->method, gw_str_z(methods[i].name)))
			return &methods[i];
	}
	return NULL;
}

enum gw_call_class gw_call_class(const struct gw_call *q)
{
	const struct method *m = find(q);

	return m != NULL ? m->cls : GW_CALL_UNKNOWN;
}

void gw_reply_init(struct gw_reply *r)
{
	*r = (struct gw_reply){ .status = 200 };
	gw_buf_init(&r->body, MAX_REPLY);
}

void gw_reply_done(struct gw_reply *r)
{
	if (r->body.p != NULL)
		gw_wipe(r->body.p, r->body.cap); /* tokens of new keys */
	gw_buf_done(&r->body);
}

/* --- bodies --- */

static enum gw_err bad_syntax(struct gw_ctx *c, enum gw_err e, bool is_yaml, const struct gw_json_fault *f)
{
	if (e != GW_E_SYNTAX)
		return gw_fail(c, e, "The body cannot be read: %s.", gw_err_info(e)->doc);
	return gw_fail(c, e, "The body is not valid %s: line %u, column %u: %s%s%.*s.", is_yaml ? "YAML" : "JSON",
		       f->line, f->column, f->what != NULL ? f->what : "syntax error", f->key.n > 0 ? " " : "",
		       (int)(f->key.n < 64 ? f->key.n : 64), f->key.p != NULL ? f->key.p : "");
}

enum gw_err gw_call_body(struct gw_ctx *c, const struct gw_call *q, bool is_stream, yyjson_val **root)
{
	struct gw_json_fault fault = { .what = NULL };
	struct gw_str text = q->body.n > 0 ? q->body : GW_LIT("{}");
	yyjson_doc *doc = NULL;
	bool is_yaml = q->body.n > 0 && (q->flags & GW_CALL_YAML) != 0;
	enum gw_err e = is_yaml ? gw_yaml_read_pos(text, is_stream, &doc, &c->pos, &fault)
				: gw_json_read(text, &gw_json_default_limits, &doc, &fault);

	if (e != GW_OK)
		return bad_syntax(c, e, is_yaml, &fault);
	e = gw_ctx_keep(c, doc);
	if (e == GW_OK)
		*root = yyjson_doc_get_root(doc);
	if (e == GW_OK && !is_stream && !yyjson_is_obj(*root))
		return gw_fail(c, GW_E_INVALID, "The body must be an object.");
	return e;
}

enum gw_err gw_call_id(struct gw_ctx *c, yyjson_val *root, struct gw_str *id)
{
	yyjson_val *v = yyjson_obj_get(root, "id");

	if (!yyjson_is_str(v) || yyjson_get_len(v) == 0)
		return gw_fault(c, GW_E_MISSING, GW_LIT("/id"), "id is required: which object is meant.");
	*id = gw_json_str(v);
	return GW_OK;
}

enum gw_err gw_call_known(struct gw_ctx *c, yyjson_val *root, const char *const *names)
{
	yyjson_val *key, *v;
	size_t i, max;

	yyjson_obj_foreach(root, i, max, key, v)
	{
		size_t k = 0;

		while (names[k] != NULL && !gw_str_eq(gw_json_str(key), gw_str_z(names[k])))
			k++;
		if (names[k] != NULL)
			continue;
		struct gw_str name = gw_json_str(key);

		if (name.n > 64)
			name.n = 64;
		return gw_fault(c, GW_E_UNKNOWN_FIELD, gw_arena_printf(&c->arena, "/%.*s", GW_FMT(name)),
				"\"%.*s\" is not a parameter of this call. Leave it out.", GW_FMT(name));
	}
	return GW_OK;
}

/* --- answers --- */

/* Line and column of a fault in YAML: of the field, else of what it is in. */
static void put_where(struct gw_json_out *w, const struct gw_ctx *c, struct gw_str pointer)
{
	char at[512];
	struct gw_str base = gw_str_z(c->pos_base != NULL ? c->pos_base : "");
	uint32_t line, column;

	if (c->pos == NULL || base.n + pointer.n > sizeof(at))
		return;
	memcpy(at, base.p, base.n);
	if (pointer.n > 0)
		memcpy(at + base.n, pointer.p, pointer.n);
	for (struct gw_str p = gw_str(at, base.n + pointer.n);;) {
		if (gw_yaml_where(c->pos, p, &line, &column)) {
			gw_jw_ku64(w, "line", line);
			gw_jw_ku64(w, "column", column);
			return;
		}
		while (p.n > 0 && p.p[p.n - 1] != '/')
			p.n--;
		if (p.n == 0)
			return;
		p.n--;
	}
}

static void put_error(struct gw_ctx *c, enum gw_err e, struct gw_reply *r)
{
	const struct gw_problem *p = &c->problem;
	struct gw_str message = p->message.n > 0 ? p->message : gw_str_z(gw_err_info(e)->doc);
	struct gw_json_out w;

	gw_buf_clear(&r->body, MAX_REPLY);
	gw_jw_init(&w, &r->body);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("error"));
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "name", gw_str_z(gw_err_info(e)->name));
	gw_jw_kstr(&w, "message", message);
	if (p->faults.n > 0) {
		gw_jw_key(&w, GW_LIT("faults"));
		gw_jw_arr(&w);
		for (unsigned i = 0; i < p->faults.n; i++) {
			gw_jw_obj(&w);
			gw_jw_kstr(&w, "name", gw_str_z(gw_err_info(p->faults.v[i].err)->name));
			gw_jw_kstr(&w, "pointer", p->faults.v[i].pointer);
			gw_jw_kstr(&w, "message", p->faults.v[i].message);
			put_where(&w, c, p->faults.v[i].pointer);
			gw_jw_end_obj(&w);
		}
		gw_jw_end_arr(&w);
	}
	if (p->n_used_by > 0) {
		gw_jw_key(&w, GW_LIT("used_by"));
		gw_jw_arr(&w);
		for (unsigned i = 0; i < p->n_used_by; i++) {
			gw_jw_obj(&w);
			gw_jw_kstr(&w, "kind", gw_str_z(gw_cf_kinds[p->used_by[i].kind].name));
			gw_jw_kstr(&w, "id", p->used_by[i].id);
			gw_jw_end_obj(&w);
		}
		gw_jw_end_arr(&w);
	}
	if (p->results.n > 0) {
		gw_jw_key(&w, GW_LIT("results"));
		gw_jw_raw(&w, p->results);
	}
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	r->err = e;
	r->status = gw_err_info(e)->http;
}

/* Also when the words were not found where the error came up. */
static void answer(struct gw_ctx *c, enum gw_err e, struct gw_reply *r)
{
	if (e == GW_OK && r->body.err != GW_OK)
		e = gw_fail(c, r->body.err,
			    "The answer is larger than 60 MiB. Ask for less: by kind, or page by page with list.");
	if (e != GW_OK) {
		if (c->problem.err != e && c->problem.err != GW_OK)
			c->problem = (struct gw_problem){ 0 };
		put_error(c, e, r);
	} else {
		r->err = GW_OK;
		r->status = c->status;
	}
	r->generation = c->generation;
	r->version = c->version;
}

void gw_call_refuse(struct gw_ctx *c, enum gw_err e, struct gw_reply *r)
{
	answer(c, e, r);
}

/* --- one call inside its transaction --- */

static enum gw_err run(struct gw_ctx *c, const struct gw_call *q, struct gw_reply *r)
{
	const struct method *m = find(q);
	enum gw_cf_kind kind = GW_KIND_COUNT;

	if (m == NULL)
		return gw_fail(c, GW_E_NO_ROUTE, "There is no call of this name.");
	if (m->needs_kind && !gw_cf_kind_by_name(q->kind, &kind))
		return gw_fail(c, GW_E_NOT_FOUND, "There is no such kind of object.");
	enum gw_err e = gw_actor_read(c, q->actor);

	if (e != GW_OK)
		return e;
	if (m->needs_platform && !gw_scope_is_platform(&c->actor))
		return gw_fail(c, GW_E_FORBIDDEN, "Only a platform admin may do this.");
	if (m->cls != GW_CALL_READ && c->core->blocked != NULL && !m->while_blocked)
		return gw_fail(c, GW_E_CONFLICT,
			       "Changes are blocked: %s. Roll back, or remove the cause and republish.",
			       c->core->blocked);
	c->if_match = q->version;
	c->is_dry_run = (q->flags & GW_CALL_DRY_RUN) != 0;
	c->is_create_only = (q->flags & GW_CALL_CREATE_ONLY) != 0;
	gw_jw_init(&c->out, &r->body);
	e = c->txn != NULL ? gw_meta_u64(c->txn, "generation", &c->generation) : GW_OK;
	bool is_once = q->idem.n > 0 && m->cls == GW_CALL_WRITE && !c->is_dry_run;

	if (e == GW_OK && is_once)
		e = gw_idem_find(c, q, r);
	if (e != GW_OK || r->is_replay)
		return e;
	e = m->fn(c, q, kind);
	/* diff and validate say themselves that nothing is to stay */
	return e == GW_OK && is_once && !c->is_dry_run && r->body.err == GW_OK ? gw_idem_keep(c, q, r) : e;
}

void gw_call_run(struct gw_core *core, const struct gw_call *q, struct gw_reply *r)
{
	struct gw_ctx c;
	struct gw_txn t = { 0 };
	enum gw_err e = GW_OK;

	gw_ctx_init(&c, core);
	if (gw_call_class(q) == GW_CALL_READ) {
		e = gw_txn_read(core->store, &t);
		c.txn = &t;
	}
	if (e == GW_OK)
		e = run(&c, q, r);
	gw_txn_abort(&t);
	answer(&c, e, r);
	gw_ctx_done(&c);
}

/* One write in a transaction of its own inside `parent`. True when it left something to commit. */
static bool run_child(struct gw_core *core, struct gw_txn *parent, const struct gw_call *q, struct gw_reply *r)
{
	struct gw_effects_mark mark = gw_effects_mark(&core->fx);
	struct gw_ctx c;
	struct gw_txn t;
	bool is_kept = false;

	gw_ctx_init(&c, core);
	enum gw_err e = gw_txn_child(parent, &t);

	if (e == GW_OK) {
		c.txn = &t;
		e = run(&c, q, r);
		is_kept = e == GW_OK && r->body.err == GW_OK && !c.is_dry_run && !r->is_replay;
		if (is_kept)
			e = gw_txn_commit(&t);
		is_kept = is_kept && e == GW_OK;
		gw_txn_abort(&t);
	}
	if (!is_kept)
		gw_effects_reset(&core->fx, mark);
	answer(&c, e, r);
	r->has_written = is_kept;
	gw_ctx_done(&c);
	return is_kept;
}

static void fail_all(struct gw_core *core, struct gw_reply *r, size_t n, enum gw_err e)
{
	for (size_t i = 0; i < n; i++) {
		struct gw_ctx c;

		if (!r[i].has_written && r[i].err != GW_OK)
			continue;
		gw_ctx_init(&c, core);
		answer(&c, e, &r[i]);
		r[i].has_written = false;
		gw_ctx_done(&c);
	}
}

static enum gw_err commit(struct gw_core *core, struct gw_txn *t)
{
	uint64_t generation;
	enum gw_err e = gw_meta_u64(t, "generation", &generation);

	if (e != GW_OK)
		return e;
	if (core->before_commit != NULL)
		core->before_commit(core->commit_ctx, &core->fx, generation);
	e = gw_txn_commit(t);
	if (e == GW_OK && core->after_commit != NULL)
		core->after_commit(core->commit_ctx, &core->fx, generation);
	return e;
}

/* One try at the whole batch. GW_E_AGAIN: the map was full and has grown. */
static enum gw_err try_batch(struct gw_core *core, const struct gw_call *q, struct gw_reply *r, size_t n)
{
	struct gw_txn t;
	bool is_changed = false;
	enum gw_err e = gw_txn_write(core->store, &t);

	(void)gw_store_take_full(core->store);
	for (size_t i = 0; e == GW_OK && i < n; i++) {
		gw_buf_clear(&r[i].body, 1 << 16);
		r[i].has_written = r[i].is_replay = false;
		is_changed |= run_child(core, &t, &q[i], &r[i]);
	}
	bool is_full = gw_store_take_full(core->store);

	if (e == GW_OK && !is_full && is_changed) {
		e = commit(core, &t);
		is_full = gw_store_take_full(core->store);
	}
	gw_txn_abort(&t);
	gw_effects_reset(&core->fx, (struct gw_effects_mark){ 0 });
	if (is_full)
		return gw_store_grow(core->store) == GW_OK ? GW_E_AGAIN : GW_E_NO_SPACE;
	return e;
}

void gw_call_batch(struct gw_core *core, const struct gw_call *q, struct gw_reply *r, size_t n)
{
	enum gw_err e;

	do {
		e = try_batch(core, q, r, n);
	} while (e == GW_E_AGAIN);
	if (e == GW_E_NO_SPACE && n > 1) { /* the one that is too large must not fail the others */
		for (size_t i = 0; i < n; i++)
			gw_call_batch(core, &q[i], &r[i], 1);
		return;
	}
	if (e != GW_OK)
		fail_all(core, r, n, e);
	if (e != GW_OK && gw_keyring_reload(core->keyring, core->store) != GW_OK)
		gw_panic(__FILE__, __LINE__, "the keyring cannot be read again after a failed commit");
}
