/* Sessions of accounts, and when callers were used last. The times are kept in memory and written now and then: what is lost by a
 * crash is half a minute of them. */
#include <stdlib.h>

#include "confd/edit.h"
#include "confd/login.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/text.h"

enum { SWEEP = 1000 };

struct gw_login *gw_login_new(void)
{
	return calloc(1, sizeof(struct gw_login));
}

void gw_login_free(struct gw_login *l)
{
	free(l);
}

uint64_t gw_login_hash(struct gw_str s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
	return h;
}

/* --- used when --- */

static struct gw_login_used *used_cell(struct gw_core *core, struct gw_str key)
{
	return &core->login->used[gw_login_hash(key) % GW_LOGIN_USED];
}

void gw_login_note(struct gw_core *core, bool is_session, struct gw_str key, int64_t now_us)
{
	struct gw_login_used *u = core->login != NULL ? used_cell(core, key) : NULL;

	if (u == NULL || key.n == 0 || key.n > sizeof(u->key))
		return;
	memcpy(u->key, key.p, key.n);
	u->n = (uint8_t)key.n;
	u->is_session = is_session;
	u->at_us = now_us;
}

int64_t gw_login_noted(struct gw_core *core, struct gw_str key)
{
	const struct gw_login_used *u = core->login != NULL ? used_cell(core, key) : NULL;

	return u != NULL && gw_str_eq(gw_str(u->key, u->n), key) ? u->at_us : 0;
}

static enum gw_err flush_session(struct gw_txn *t, const struct gw_login_used *u)
{
	char text[16 + 64], be[8];
	struct gw_str key = gw_str(u->key, u->n), row;
	enum gw_err e = gw_txn_get(t, GW_T_LOGIN, key, &row);

	if (e != GW_OK || row.n > sizeof(text) || row.n < 16)
		return e == GW_E_NOT_FOUND ? GW_OK : e;
	memcpy(text, row.p, row.n);
	memcpy(text + 8, gw_be64((uint64_t)u->at_us, be).p, 8);
	return gw_txn_put(t, GW_T_LOGIN, key, gw_str(text, row.n));
}

/* In place: neither a new version nor a change of the object. */
static enum gw_err flush_object(struct gw_txn *t, const struct gw_login_used *u)
{
	struct gw_str key = gw_str(u->key, u->n), row;
	struct gw_buf at, text;
	enum gw_err e = gw_txn_get(t, GW_T_OBJECT, key, &row);

	if (e != GW_OK)
		return e == GW_E_NOT_FOUND ? GW_OK : e;
	yyjson_doc *doc = yyjson_read(row.p, row.n, 0);

	if (doc == NULL)
		return GW_E_CORRUPT;
	gw_buf_init(&at, 64);
	gw_buf_init(&text, GW_CF_MAX_OBJECT_BYTES * 2);
	gw_time_put(&at, u->at_us);
	struct gw_cf_set set = { .field = "last_used_at", .type = GW_CF_SET_STR, .str = gw_buf_view(&at) };

	gw_cf_canonical((enum gw_cf_kind)(uint8_t)key.p[0], yyjson_doc_get_root(doc), &set, 1, &text);
	e = text.err != GW_OK ? text.err : gw_txn_put(t, GW_T_OBJECT, key, gw_buf_view(&text));
	yyjson_doc_free(doc);
	gw_buf_done(&at);
	gw_buf_done(&text);
	return e;
}

static enum gw_err flush_all(struct gw_txn *t, void *arg)
{
	struct gw_core *core = arg;
	enum gw_err e = GW_OK;

	for (int i = 0; i < GW_LOGIN_USED && e == GW_OK; i++) {
		const struct gw_login_used *u = &core->login->used[i];

		if (u->at_us != 0)
			e = u->is_session ? flush_session(t, u) : flush_object(t, u);
	}
	return e;
}

void gw_login_flush(struct gw_core *core)
{
	bool is_dirty = false;

	for (int i = 0; i < GW_LOGIN_USED && core->login != NULL && !is_dirty; i++)
		is_dirty = core->login->used[i].at_us != 0;
	if (!is_dirty)
		return;
	enum gw_err e = gw_store_update(core->store, flush_all, core);

	if (e != GW_OK)
		gw_log_slow(GW_WARN, "when tokens were used last cannot be stored: %s", gw_err_info(e)->doc);
	else
		memset(core->login->used, 0, sizeof(core->login->used));
}

/* --- sessions --- */

typedef bool session_fn(void *ctx, struct gw_str key, int64_t opened_us, int64_t used_us, struct gw_str account);

static enum gw_err each_session(struct gw_txn *t, session_fn *fn, void *ctx)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_LOGIN, GW_LIT("s"), false);

	if (e != GW_OK)
		return e;
	while (gw_scan_next(&s) && s.key.p[0] == 's' && s.value.n > 16) {
		if (!fn(ctx, s.key, (int64_t)gw_be64_read(s.value), (int64_t)gw_be64_read(gw_str_skip(s.value, 8)),
			gw_str_skip(s.value, 16)))
			break;
	}
	e = s.err;
	gw_scan_end(&s);
	return e;
}

/* Sessions that are to go: at most SWEEP at once. */
struct doomed {
	struct gw_str account; /* NIL: of all accounts */
	int64_t before_us; /* used before, or opened longer ago than a session lasts */
	char key[SWEEP][33];
	unsigned n;
};

static bool doom(void *ctx, struct gw_str key, int64_t opened_us, int64_t used_us, struct gw_str account)
{
	struct doomed *d = ctx;
	bool is_old = used_us < d->before_us ||
		      opened_us < d->before_us - (int64_t)(GW_SESSION_MAX_S - GW_SESSION_IDLE_S) * 1000000;

	if (d->account.p != NULL ? gw_str_eq(account, d->account) : is_old)
		memcpy(d->key[d->n++], key.p, 33);
	return d->n < SWEEP;
}

static enum gw_err delete_doomed(struct gw_txn *t, void *arg)
{
	struct doomed *d = arg;
	enum gw_err e = each_session(t, doom, d);

	for (unsigned i = 0; i < d->n && e == GW_OK; i++)
		e = gw_txn_del(t, GW_T_LOGIN, gw_str(d->key[i], 33));
	return e;
}

enum gw_err gw_login_drop_sessions(struct gw_txn *t, struct gw_str account)
{
	static struct doomed d; /* writes have one thread */

	d = (struct doomed){ .account = account };
	return delete_doomed(t, &d);
}

static bool is_anybody_doomed(void *ctx, struct gw_str key, int64_t opened_us, int64_t used_us, struct gw_str account)
{
	struct doomed *d = ctx;

	(void)doom(d, key, opened_us, used_us, account);
	return d->n == 0;
}

void gw_login_sweep(struct gw_core *core)
{
	static struct doomed d;
	struct gw_txn t;
	enum gw_err e;

	gw_login_flush(core);
	d = (struct doomed){ .before_us = gw_unix_us() - (int64_t)GW_SESSION_IDLE_S * 1000000 };
	if (gw_txn_read(core->store, &t) != GW_OK)
		return;
	e = each_session(&t, is_anybody_doomed, &d);
	gw_txn_abort(&t);
	if (e != GW_OK || d.n == 0)
		return;
	d.n = 0;
	e = gw_store_update(core->store, delete_doomed, &d);
	if (e != GW_OK)
		gw_log_slow(GW_WARN, "sessions that are over cannot be deleted: %s", gw_err_info(e)->doc);
}

struct oldest {
	struct gw_str account;
	unsigned n;
	int64_t opened_us;
	char key[33];
};

static bool find_oldest(void *ctx, struct gw_str key, int64_t opened_us, int64_t used_us, struct gw_str account)
{
	struct oldest *o = ctx;

	(void)used_us;
	if (!gw_str_eq(account, o->account))
		return true;
	if (o->n++ == 0 || opened_us < o->opened_us) {
		o->opened_us = opened_us;
		memcpy(o->key, key.p, sizeof(o->key));
	}
	return true;
}

/* An account has so many sessions; a further one ends the oldest. */
enum gw_err gw_login_put_session(struct gw_ctx *c, const uint8_t index[32], struct gw_str account)
{
	struct oldest o = { .account = account };
	char key[33] = { 's' }, row[16 + 64], be[8];
	enum gw_err e = each_session(c->txn, find_oldest, &o);

	if (e == GW_OK && o.n >= GW_SESSIONS_PER_ACCOUNT)
		e = gw_txn_del(c->txn, GW_T_LOGIN, gw_str(o.key, sizeof(o.key)));
	if (e != GW_OK || account.n > 64)
		return e != GW_OK ? e : GW_E_INVALID;
	memcpy(key + 1, index, 32);
	memcpy(row, gw_be64((uint64_t)c->now_us, be).p, 8);
	memcpy(row + 8, be, 8);
	memcpy(row + 16, account.p, account.n);
	return gw_txn_put(c->txn, GW_T_LOGIN, gw_str(key, sizeof(key)), gw_str(row, 16 + account.n));
}
