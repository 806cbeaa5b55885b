/* Everything that is a question to confd: objects, apply, export, history, keyring. The body goes through unread; confd checks it. */
#include "admin/admin.h"
#include "core/doc.h"
#include "lib/json_write.h"
#include "lib/text.h"

enum { CALL_MS = 15000, FLAG_DRY = 1, FLAG_NO_WAIT = 2, FLAG_CREATE = 4, FLAG_YAML = 8 };

/* confd's JSON of the caller plus where the call came from. */
struct gw_str gw_adm_actor(struct gw_adm_req *q)
{
	struct gw_buf b;
	struct gw_str out, open = q->who.json;

	while (open.n && open.p[open.n - 1] != '}')
		open.n--;
	if (open.n)
		open.n--;
	gw_buf_init(&b, 16384);
	gw_buf_puts(&b, open);
	gw_buf_puts(&b, GW_LIT(",\"source\":"));
	gw_json_quote(&b, gw_adm_source(q));
	gw_buf_puts(&b, GW_LIT(",\"request_id\":"));
	gw_json_quote(&b, gw_str(q->request_id, sizeof q->request_id));
	gw_buf_puts(&b, GW_LIT(",\"route\":"));
	gw_json_quote(&b, gw_str_z(q->route->name));
	gw_buf_putc(&b, '}');
	out = b.err ? GW_NIL : gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

static uint64_t flags_of(struct gw_adm_req *q)
{
	struct gw_str v, type = gw_h1_header(q->rq, GW_LIT("content-type"), NULL);
	uint64_t f = 0;

	if (gw_adm_param(q, "dry_run", &v) && !gw_str_eq(v, GW_LIT("false")))
		f |= FLAG_DRY;
	if (gw_adm_param(q, "wait", &v) && gw_str_eq(v, GW_LIT("none")))
		f |= FLAG_NO_WAIT;
	if (type.n >= 16 && gw_str_ieq(gw_str(type.p, 16), GW_LIT("application/yaml")))
		f |= FLAG_YAML;
	else if (type.n >= 18 && gw_str_ieq(gw_str(type.p, 18), GW_LIT("application/x-yaml")))
		f |= FLAG_YAML;
	return f;
}

static bool wants_activation(const struct gw_adm_req *q, uint64_t status, uint64_t flags)
{
	return q->kind_text.n && q->kind == GW_KIND_deployment && q->route->audit == GW_ADM_WRITE &&
	       (status == 200 || status == 201) && !(flags & (FLAG_NO_WAIT | FLAG_DRY)) &&
	       q->route->method != GW_H1_DELETE;
}

static void on_answer(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;
	uint64_t flags = (uint64_t)(uintptr_t)q->state;

	if (!q->conn) {
		gw_adm_end(q);
		return;
	}
	if (err) {
		gw_adm_fail(q, err == GW_E_UP_TIMEOUT ? GW_E_CONFD_DOWN : err, GW_NIL);
		return;
	}
	if (q->route->audit == GW_ADM_WRITE && m->status < 300 && !(flags & FLAG_DRY)) {
		gw_adm_forget(q->ad);
		if (!q->kind_text.n || q->kind == GW_KIND_settings) /* apply, rollback */
			gw_adm_limits_read(q->ad);
	}
	q->retry_ms = GW_MSG_HAS(m, retry_ms) ? m->retry_ms : 0;
	if (q->route->roles == GW_ADM_NONE && m->status == 401) { /* a failed sign-in: nobody's act */
		gw_adm_limit_seen(q->ad, gw_h1_peer(q->conn));
		(void)gw_adm_limit_failed(q->ad, gw_h1_peer(q->conn), true);
	} else if (m->status >= 400 && q->who.key.n)
		gw_adm_audit_refused(q,
				     m->status == 403   ? GW_E_FORBIDDEN
				     : m->status == 404 ? GW_E_NOT_FOUND
				     : m->status == 409 ? GW_E_CONFLICT
				     : m->status == 412 ? GW_E_PRECONDITION
				     : m->status == 422 ? GW_E_IDEM_MISMATCH
							: GW_E_INVALID,
				     (int)m->status);
	if (q->route->run == gw_adm_dep_healths && m->status == 200)
		gw_adm_dep_health_page(q, m->body);
	else if (q->route->run == gw_adm_config_apply && m->status == 200 && !(flags & (FLAG_DRY | FLAG_NO_WAIT)))
		gw_adm_activate_many(q, 200, gw_arena_str(&q->arena, m->body), m->generation);
	else if (wants_activation(q, m->status, flags))
		gw_adm_activate(q, (int)m->status, gw_arena_str(&q->arena, m->body), m->version, m->generation);
	else
		gw_adm_answer(q, (int)m->status, GW_LIT("application/json"), m->body,
			      GW_MSG_HAS(m, version) ? m->version : 0, m->generation);
}

void gw_adm_call(struct gw_adm_req *q, const char *method, struct gw_str body, uint64_t more_flags, uint64_t ms)
{
	struct gw_msg m = { .type = GW_MSG_CALL };
	uint64_t flags = flags_of(q) | more_flags;
	struct gw_str who = gw_adm_actor(q), v;
	uint64_t wait_ms;

	if (!who.p || !body.p) {
		gw_adm_fail(q, GW_E_NOMEM, GW_NIL);
		return;
	}
	GW_MSG_SET(&m, name, gw_str_z(method));
	if (q->kind_text.n)
		GW_MSG_SET(&m, kind, gw_str_z(gw_cf_kinds[q->kind].name));
	GW_MSG_SET(&m, body, body);
	GW_MSG_SET(&m, actor, who);
	if (q->if_match)
		GW_MSG_SET(&m, version, q->if_match);
	GW_MSG_SET(&m, flags, flags);
	if (gw_adm_param(q, "timeout", &v) && gw_duration_read(v, &wait_ms))
		GW_MSG_SET(&m, deadline_ms, wait_ms); /* for the workers; confd has the last word on how long */
	if (q->route->method == GW_H1_POST && q->route->roles != GW_ADM_NONE) {
		struct gw_str idem = gw_str_trim(gw_h1_header(q->rq, GW_LIT("idempotency-key"), NULL));

		if (idem.n)
			GW_MSG_SET(&m, idem, idem);
	}
	q->state = (void *)(uintptr_t)flags;
	if (!q->ad->confd) {
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
		return;
	}
	enum gw_err e = gw_channel_ask(q->ad->confd, &m, ms ? ms : CALL_MS, on_answer, q);
	if (e)
		gw_adm_fail(q, e == GW_E_BUSY ? GW_E_BUSY : GW_E_CONFD_DOWN, GW_NIL);
}

static void call(struct gw_adm_req *q, const char *method, struct gw_str body, uint64_t more_flags)
{
	gw_adm_call(q, method, body, more_flags, 0);
}

static struct gw_str id_body(struct gw_adm_req *q)
{
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, 4096);
	gw_buf_puts(&b, GW_LIT("{\"id\":"));
	gw_json_quote(&b, q->id);
	gw_buf_putc(&b, '}');
	out = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

/* The body object with "id" in front when it has none; one that differs from the path is refused. NIL when answered. */
static struct gw_str with_id(struct gw_adm_req *q, const char *wrap)
{
	struct gw_json_span id = { 0 };
	const struct gw_json_want want = { GW_LIT("id"), &id };
	struct gw_json_fault fault;
	struct gw_str out, rest = gw_str_trim(q->body);
	struct gw_buf b;

	if (gw_json_check(&q->arena, q->body, &gw_json_default_limits, &want, 1, &fault)) {
		gw_adm_fail(q, GW_E_SYNTAX,
			    gw_arena_printf(&q->arena, "line %u, column %u: %s", fault.line, fault.column, fault.what));
		return GW_NIL;
	}
	while (rest.n && (rest.p[0] == '\n' || rest.p[0] == '\r'))
		rest = gw_str_trim(gw_str_skip(rest, 1));
	if (!rest.n || rest.p[0] != '{') {
		gw_adm_fail(q, GW_E_INVALID, GW_LIT("Send one JSON object."));
		return GW_NIL;
	}
	if (!wrap && id.type != GW_JSON_NONE) {
		if (id.type == GW_JSON_STR &&
		    gw_str_eq(gw_json_unescape(&q->arena, gw_str(q->body.p + id.off, id.len)), q->id))
			return q->body;
		gw_adm_fail(q, GW_E_INVALID, GW_LIT("id: the body names another object than the path"));
		return GW_NIL;
	}
	gw_buf_init(&b, q->body.n + 1024);
	gw_buf_puts(&b, GW_LIT("{\"id\":"));
	gw_json_quote(&b, q->id);
	if (wrap) {
		gw_buf_printf(&b, ",\"%s\":", wrap);
		gw_buf_puts(&b, q->body);
		gw_buf_putc(&b, '}');
	} else {
		rest = gw_str_skip(rest, 1);
		bool is_empty = true;
		for (size_t i = 0; i < rest.n && is_empty; i++)
			is_empty = rest.p[i] == ' ' || rest.p[i] == '\n' || rest.p[i] == '\t' || rest.p[i] == '\r' ||
				   rest.p[i] == '}';
		gw_buf_puts(&b, is_empty ? GW_LIT("}") : GW_LIT(","));
		if (!is_empty)
			gw_buf_puts(&b, rest);
	}
	out = b.err ? GW_NIL : gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	if (!out.p)
		gw_adm_fail(q, GW_E_TOO_BIG, GW_LIT("The object is too large."));
	return out;
}

struct gw_str gw_adm_body_with_id(struct gw_adm_req *q)
{
	return with_id(q, NULL);
}

void gw_adm_objects_get(struct gw_adm_req *q)
{
	call(q, "get", id_body(q), 0);
}
void gw_adm_objects_delete(struct gw_adm_req *q)
{
	call(q, "delete", id_body(q), 0);
}
void gw_adm_objects_create(struct gw_adm_req *q)
{
	call(q, "put", q->body.n ? q->body : GW_LIT("{}"), FLAG_CREATE);
}

void gw_adm_objects_put(struct gw_adm_req *q)
{
	struct gw_str body = with_id(q, NULL);

	if (body.p)
		call(q, "put", body, 0);
}

void gw_adm_objects_patch(struct gw_adm_req *q)
{
	struct gw_str body = with_id(q, "patch");

	if (body.p)
		call(q, "patch", body, 0);
}

void gw_adm_cred_rotate(struct gw_adm_req *q)
{
	struct gw_str body;

	q->kind_text = GW_LIT("credentials");
	q->kind = GW_KIND_credential;
	body = with_id(q, NULL);
	if (body.p)
		call(q, "credential-rotate", body, 0);
}

/* Query parameters become the body: numbers as numbers, the rest as text; all but limit, after and wait are filters. */
struct params {
	struct gw_adm_req *q;
	struct gw_json_out *w;
};

static void put_filters(struct gw_adm_req *q, struct gw_json_out *w)
{
	struct gw_str rest = q->rq->query, one, name, value;

	while (rest.n) {
		if (!gw_str_cut(rest, '&', &one, &rest))
			rest = GW_NIL;
		if (!gw_str_cut(one, '=', &name, &value) || gw_str_eq(name, GW_LIT("limit")) ||
		    gw_str_eq(name, GW_LIT("after")) || gw_str_eq(name, GW_LIT("wait")))
			continue;
		char *z = gw_arena_z(&q->arena, name);
		if (!z || !gw_adm_param(q, z, &value))
			continue;
		gw_jw_key(w, name);
		gw_jw_str(w, value);
	}
}

static void put_number(struct gw_adm_req *q, struct gw_json_out *w, const char *name, const char *as)
{
	struct gw_str v;
	uint64_t n;

	if (gw_adm_param(q, name, &v) && gw_str_u64(v, &n))
		gw_jw_ku64(w, as, n);
}

static void put_text(struct gw_adm_req *q, struct gw_json_out *w, const char *name)
{
	struct gw_str v;

	if (gw_adm_param(q, name, &v))
		gw_jw_kstr(w, name, v);
}

void gw_adm_objects_list(struct gw_adm_req *q)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str body;

	gw_buf_init(&b, 32768);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	put_number(q, &w, "limit", "limit");
	put_text(q, &w, "after");
	gw_jw_key(&w, GW_LIT("filter"));
	gw_jw_obj(&w);
	put_filters(q, &w);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	body = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	call(q, "list", body, 0);
}

void gw_adm_dep_healths(struct gw_adm_req *q)
{
	q->kind = GW_KIND_deployment;
	q->kind_text = GW_LIT("deployments");
	gw_adm_objects_list(q);
}

void gw_adm_objects_bulk(struct gw_adm_req *q)
{
	call(q, "bulk", q->body, 0);
}

void gw_adm_config_apply(struct gw_adm_req *q)
{
	call(q, "apply", q->body, 0);
}
void gw_adm_config_diff(struct gw_adm_req *q)
{
	call(q, "diff", q->body, 0);
}
void gw_adm_config_validate(struct gw_adm_req *q)
{
	call(q, "validate", q->body, 0);
}
void gw_adm_rollback(struct gw_adm_req *q)
{
	call(q, "rollback", q->body, 0);
}
void gw_adm_keyring(struct gw_adm_req *q)
{
	call(q, "keyring-status", GW_LIT("{}"), 0);
}
void gw_adm_keyring_dek(struct gw_adm_req *q)
{
	call(q, "keyring-rotate-dek", GW_LIT("{}"), 0);
}
void gw_adm_keyring_root(struct gw_adm_req *q)
{
	call(q, "keyring-rotate-root", GW_LIT("{}"), 0);
}
void gw_adm_republish(struct gw_adm_req *q)
{
	call(q, "republish", GW_LIT("{}"), 0);
}
void gw_adm_audit_key(struct gw_adm_req *q)
{
	call(q, "audit-key", GW_LIT("{}"), 0);
}

static void call_params(struct gw_adm_req *q, const char *method, const char *const *numbers, const char *const *texts)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str v;

	gw_buf_init(&b, 8192);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	for (; *numbers; numbers++)
		put_number(q, &w, *numbers, *numbers);
	for (; *texts; texts++)
		put_text(q, &w, *texts);
	if (gw_adm_param(q, "full", &v))
		gw_jw_kbool(&w, "full", gw_str_eq(v, GW_LIT("true")));
	if (gw_adm_param(q, "kinds", &v)) {
		gw_jw_key(&w, GW_LIT("kinds"));
		gw_jw_arr(&w);
		for (struct gw_str one; v.n;) {
			if (!gw_str_cut(v, ',', &one, &v))
				v = GW_NIL;
			gw_jw_str(&w, one);
		}
		gw_jw_end_arr(&w);
	}
	gw_jw_end_obj(&w);
	v = gw_arena_str(&q->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	call(q, method, v, 0);
}

void gw_adm_config_export(struct gw_adm_req *q)
{
	static const char *const numbers[] = { "generation", NULL }, *const texts[] = { "org", "team", NULL };

	call_params(q, "export", numbers, texts);
}

void gw_adm_generations(struct gw_adm_req *q)
{
	static const char *const numbers[] = { "limit", "before", NULL }, *const texts[] = { "kind", "id", NULL };

	call_params(q, "generations", numbers, texts);
}

void gw_adm_generation_diff(struct gw_adm_req *q)
{
	static const char *const numbers[] = { "from", "to", NULL }, *const texts[] = { NULL };

	call_params(q, "generation-diff", numbers, texts);
}

void gw_adm_whoami(struct gw_adm_req *q)
{
	gw_adm_answer(q, 200, GW_LIT("application/json"), q->who.json, 0, 0);
}

/* The same for everybody: printed at the first question. */
void gw_adm_openapi(struct gw_adm_req *q)
{
	static struct gw_buf page;

	if (!page.n) {
		gw_buf_init(&page, 8 << 20);
		gw_doc_openapi(&page);
	}
	if (page.err)
		gw_adm_fail(q, GW_E_NOMEM, GW_NIL);
	else
		gw_adm_answer(q, 200, GW_LIT("application/json"), gw_buf_view(&page), 0, 0);
}
