/* Who calls: the token's hash goes to confd, its answer is kept for a second; then the route's roles and scope decide. */
#include "admin/admin.h"
#include "core/key.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { CACHE_MS = 1000, AUTH_MS = 2000, GOOD_MS = 600000 };

unsigned gw_adm_role_bit(struct gw_str name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} rows[] = {
		{ "platform-admin", GW_ADM_P }, { "org-admin", GW_ADM_O }, { "team-admin", GW_ADM_T },
		{ "member", GW_ADM_M },         { "viewer", GW_ADM_V },    { "auditor", GW_ADM_A },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (gw_str_eq(name, gw_str_z(rows[i].name)))
			return rows[i].bit;
	return 0;
}

/* 0 = one team, 1 = an org, 2 = everything. */
static int width(const struct gw_adm_grant *g)
{
	return g->team.n ? 0 : g->org.n ? 1 : 2;
}

const struct gw_adm_grant *gw_adm_widest(const struct gw_adm_principal *who, unsigned roles)
{
	const struct gw_adm_grant *best = NULL;

	for (unsigned i = 0; i < who->n_grants; i++) {
		const struct gw_adm_grant *g = &who->grants[i];

		if (!(g->role & roles))
			continue;
		if (!best || width(g) > width(best))
			best = g;
	}
	return best;
}

enum gw_err gw_adm_may(const struct gw_adm_route *route, const struct gw_adm_principal *who)
{
	const struct gw_adm_grant *g = gw_adm_widest(who, route->roles);

	if (!g)
		return GW_E_FORBIDDEN;
	return route->scope == GW_ADM_PLATFORM && width(g) < 2 ? GW_E_FORBIDDEN : GW_OK;
}

static struct gw_str member(struct gw_arena *a, yyjson_val *obj, const char *name)
{
	return gw_arena_str(a, gw_json_str(yyjson_obj_get(obj, name)));
}

static enum gw_err read_principal(struct gw_adm_req *q, struct gw_str json)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	size_t i, n;
	yyjson_val *v;

	q->who = (struct gw_adm_principal){ .json = gw_arena_str(&q->arena, json) };
	if (!q->who.json.p || gw_json_read(json, &gw_json_default_limits, &doc, &fault))
		return GW_E_BUG;
	yyjson_val *root = yyjson_doc_get_root(doc);
	q->who.key = member(&q->arena, root, "key");
	yyjson_arr_foreach(yyjson_obj_get(root, "roles"), i, n, v)
	{
		if (q->who.n_grants == sizeof q->who.grants / sizeof q->who.grants[0])
			break;
		q->who.grants[q->who.n_grants++] =
		    (struct gw_adm_grant){ gw_adm_role_bit(gw_json_str(yyjson_obj_get(v, "role"))),
					   member(&q->arena, v, "org"), member(&q->arena, v, "team") };
	}
	yyjson_doc_free(doc);
	return q->who.key.n ? GW_OK : GW_E_BUG;
}

static void decide(struct gw_adm_req *q, struct gw_str json)
{
	enum gw_err e = read_principal(q, json);

	if (!e)
		e = gw_adm_may(q->route, &q->who);
	if (!e && (q->retry_ms = gw_adm_limit_call(q->ad, q->who.key)) != 0) {
		e = GW_E_LIMIT;
		q->ad->n_throttled++;
	}
	if (e)
		gw_adm_fail(q, e,
			    e == GW_E_FORBIDDEN ? GW_LIT("None of your roles allows this call.")
			    : e == GW_E_LIMIT   ? GW_LIT("More calls than settings.admin_rate allows. Wait a moment.")
						: GW_NIL);
	else
		gw_adm_authorized(q);
}

static struct gw_adm_cached *cell_of(struct gw_admin *ad, const uint8_t sha[32])
{
	return &ad->cache[sha[0] % GW_ADM_CACHE];
}

static void keep(struct gw_admin *ad, const uint8_t sha[32], struct gw_str json)
{
	struct gw_adm_cached *c = cell_of(ad, sha);

	if (json.n > sizeof c->json)
		return;
	memcpy(c->sha, sha, 32);
	memcpy(c->json, json.p, json.n);
	c->n = (uint32_t)json.n;
	c->until_ms = gw_now_ms() + CACHE_MS;
	c->good_ms = gw_now_ms();
	c->expires_us = 0;
	struct gw_json_span at = { 0 };
	const struct gw_json_want want = { GW_LIT("expires_at"), &at };

	gw_json_members(json, (struct gw_json_span){ 0, json.n, GW_JSON_OBJ }, &want, 1);
	if (at.type == GW_JSON_STR && !gw_time_read(gw_str(json.p + at.off, at.len), &c->expires_us))
		c->expires_us = 0;
}

/* A write may have disabled, changed or deleted any caller: what was known before is asked again. */
void gw_adm_forget(struct gw_admin *ad)
{
	for (int i = 0; i < GW_ADM_CACHE; i++)
		ad->cache[i].until_ms = 0;
}

static bool is_known(const struct gw_adm_cached *c, const uint8_t sha[32])
{
	return c->until_ms > gw_now_ms() && gw_ct_eq(c->sha, sha, 32) &&
	       (!c->expires_us || c->expires_us > gw_unix_us());
}

/* No verdict: too many wrong ones came from there. */
static void throttle(struct gw_adm_req *q, uint64_t wait_ms)
{
	q->ad->n_throttled++;
	q->retry_ms = wait_ms;
	gw_adm_fail(q, GW_E_LIMIT,
		    GW_LIT("Too many failed sign-ins or unknown tokens from this address. Wait a moment."));
}

static void not_let_in(struct gw_adm_req *q, enum gw_err e, struct gw_str words)
{
	uint64_t wait_ms = gw_adm_limit_failed(q->ad, gw_h1_peer(q->conn), true);

	gw_adm_limit_seen(q->ad, gw_h1_peer(q->conn));
	if (wait_ms)
		throttle(q, wait_ms);
	else
		gw_adm_fail(q, e, words);
}

static void on_auth(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;

	if (!q->conn) {
		gw_adm_end(q);
		return;
	}
	if (err || m->status >= 500) { /* it starts, or hands over to another: no verdict about the token */
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
		return;
	}
	if (m->status != 200) {
		not_let_in(q, m->status == 403 ? GW_E_FORBIDDEN : GW_E_BAD_KEY,
			   m->status == 403 ? GW_LIT("This key has no role on the admin API.")
					    : GW_LIT("The admin token is not known, disabled or expired."));
		return;
	}
	keep(q->ad, q->sha, m->body);
	decide(q, m->body);
}

static enum gw_err token_of(struct gw_adm_req *q, struct gw_str *token)
{
	struct gw_key_headers h = { .authorization = gw_h1_header(q->rq, GW_LIT("authorization"), NULL) };

	return gw_key_from_headers(&h, token);
}

static void ask(struct gw_adm_req *q, const uint8_t sha[32])
{
	struct gw_msg m = { .type = GW_MSG_CALL };
	struct gw_buf b;

	gw_buf_init(&b, 256);
	gw_buf_puts(&b, GW_LIT("{\"sha256\":\""));
	gw_hex_put(&b, sha, 32);
	gw_buf_puts(&b, GW_LIT("\"}"));
	GW_MSG_SET(&m, name, GW_LIT("auth"));
	GW_MSG_SET(&m, body, gw_buf_view(&b));
	if (!q->ad->confd || gw_channel_ask(q->ad->confd, &m, AUTH_MS, on_auth, q) != GW_OK)
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
	gw_buf_done(&b);
}

void gw_adm_authenticate(struct gw_adm_req *q)
{
	struct gw_str token;
	enum gw_err e = token_of(q, &token);
	uint64_t wait_ms;

	if (e) { /* nothing was guessed: counted, not held against the address */
		gw_adm_limit_seen(q->ad, gw_h1_peer(q->conn));
		gw_adm_fail(q, e,
			    GW_LIT("Send the admin token as \"Authorization: Bearer <token>\" (the first one is in "
				   "admin.token in the data folder)."));
		return;
	}
	gw_sha256(token, q->sha);
	struct gw_adm_cached *c = cell_of(q->ad, q->sha);
	if (is_known(c, q->sha)) {
		decide(q, gw_str(c->json, c->n));
		return;
	}
	bool was_good = c->good_ms && gw_now_ms() - c->good_ms < GOOD_MS && gw_ct_eq(c->sha, q->sha, 32);
	wait_ms = was_good ? 0 : gw_adm_limit_failed(q->ad, gw_h1_peer(q->conn), false);
	if (wait_ms)
		throttle(q, wait_ms);
	else
		ask(q, q->sha);
}
