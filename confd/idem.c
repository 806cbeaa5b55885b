/* Idempotency-Key: a call that was done is not done again; whoever asks the same once more, because an answer was lost on the
 * way, gets the answer of the first time. Kept for a day, at most MAX_ROWS of them, sealed, because answers may carry tokens
 * that are shown once.
 *
 *   'k' SHA-256(caller 0 key)      be64 when_us | SHA-256(what was asked) | u32 status | be64 generation | be64 version | sealed answer
 *   't' be64 when_us | the same 32 bytes       (empty), for finding the oldest
 *
 * Only what succeeded is kept: a refused call may be sent again, corrected. */
#include "confd/call.h"
#include "confd/keyring.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { HEAD = 8 + 32 + 4 + 8 + 8, MAX_ROWS = 10000, MAX_ANSWER = 60 * 1024, MAX_KEY = 255, DAY_S = 86400, SWEEP = 500 };

static void add_part(struct gw_sha256_ctx *h, struct gw_str s)
{
	char n[8];

	gw_sha256_add(h, gw_be64(s.n, n).p, 8);
	gw_sha256_add(h, s.p, s.n);
}

static void hash_question(const struct gw_call *q, uint8_t out[32])
{
	struct gw_sha256_ctx h;
	char n[8];

	gw_sha256_start(&h);
	add_part(&h, q->method);
	add_part(&h, q->kind);
	add_part(&h, q->body);
	gw_sha256_add(&h, gw_be64(q->version, n).p, 8);
	gw_sha256_add(&h, gw_be64(q->flags & (GW_CALL_DRY_RUN | GW_CALL_CREATE_ONLY | GW_CALL_YAML), n).p, 8);
	gw_sha256_end(&h, out);
}

static struct gw_str row_key(const struct gw_ctx *c, const struct gw_call *q, char out[33])
{
	struct gw_sha256_ctx h;

	gw_sha256_start(&h);
	add_part(&h, c->actor.key);
	add_part(&h, q->idem);
	out[0] = 'k';
	gw_sha256_end(&h, (uint8_t *)out + 1);
	return gw_str(out, 33);
}

static struct gw_str time_key(int64_t when_us, const char row[33], char out[41])
{
	char be[8];

	out[0] = 't';
	memcpy(out + 1, gw_be64((uint64_t)when_us, be).p, 8);
	memcpy(out + 9, row + 1, 32);
	return gw_str(out, 41);
}

static enum gw_err replay(struct gw_ctx *c, struct gw_str row, struct gw_str key, struct gw_reply *r)
{
	struct gw_str rest = gw_str_skip(row, 40);
	struct gw_secret *answer = NULL;

	if (row.n == HEAD || gw_keyring_unseal(c->core->keyring, key, gw_str_skip(row, HEAD), &answer) != GW_OK)
		return gw_fail(c, GW_E_CONFLICT,
			       "This call was done already (Idempotency-Key), but its answer is not kept any more.");
	gw_buf_puts(&r->body, gw_secret_expose(answer));
	gw_secret_unref(answer);
	c->status =
	    (int)((uint8_t)rest.p[0] << 24 | (uint8_t)rest.p[1] << 16 | (uint8_t)rest.p[2] << 8 | (uint8_t)rest.p[3]);
	c->generation = gw_be64_read(gw_str_skip(rest, 4));
	c->version = gw_be64_read(gw_str_skip(rest, 12));
	r->is_replay = true;
	return GW_OK;
}

enum gw_err gw_idem_find(struct gw_ctx *c, const struct gw_call *q, struct gw_reply *r)
{
	uint8_t asked[32];
	char buf[33];
	struct gw_str key = row_key(c, q, buf), row;

	if (q->idem.n > MAX_KEY)
		return gw_fail(c, GW_E_INVALID, "Idempotency-Key has at most %d bytes.", MAX_KEY);
	enum gw_err e = gw_txn_get(c->txn, GW_T_IDEM, key, &row);

	if (e == GW_E_NOT_FOUND)
		return GW_OK;
	if (e != GW_OK || row.n < HEAD)
		return e != GW_OK ? e : GW_E_CORRUPT;
	if ((int64_t)gw_be64_read(row) < c->now_us - (int64_t)DAY_S * 1000000)
		return GW_OK;
	hash_question(q, asked);
	if (!gw_ct_eq(asked, row.p + 8, 32))
		return gw_fail(c, GW_E_IDEM_MISMATCH,
			       "This Idempotency-Key was used for another call. Choose a new key for a new call.");
	return replay(c, row, key, r);
}

static enum gw_err drop_oldest(struct gw_txn *t, int64_t before_us, unsigned max, unsigned *n)
{
	static char key[SWEEP][41];
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_IDEM, GW_LIT("t"), false);

	*n = 0;
	if (e != GW_OK)
		return e;
	while (*n < max && *n < SWEEP && gw_scan_next(&s) && s.key.n == 41 &&
	       (int64_t)gw_be64_read(gw_str_skip(s.key, 1)) < before_us)
		memcpy(key[(*n)++], s.key.p, 41);
	e = s.err;
	gw_scan_end(&s);
	for (unsigned i = 0; i < *n && e == GW_OK; i++) {
		char row[33] = { 'k' };

		memcpy(row + 1, key[i] + 9, 32);
		e = gw_txn_del(t, GW_T_IDEM, gw_str(key[i], 41));
		if (e == GW_OK)
			e = gw_txn_del(t, GW_T_IDEM, gw_str(row, 33));
		if (e == GW_E_NOT_FOUND)
			e = GW_OK;
	}
	return e;
}

static enum gw_err seal_answer(struct gw_ctx *c, struct gw_str key, const struct gw_reply *r, struct gw_buf *out)
{
	struct gw_secret *plain;

	if (r->body.n == 0 || r->body.n > MAX_ANSWER)
		return GW_OK;
	plain = gw_secret_new(r->body.p, r->body.n);
	if (plain == NULL)
		return GW_E_NOMEM;
	enum gw_err e = gw_keyring_seal(c->core->keyring, c->txn, key, plain, out);

	gw_secret_unref(plain);
	return e;
}

enum gw_err gw_idem_keep(struct gw_ctx *c, const struct gw_call *q, const struct gw_reply *r)
{
	char buf[33], times[41], be[8];
	uint8_t asked[32];
	struct gw_str key = row_key(c, q, buf), old;
	struct gw_buf b;
	unsigned n;
	enum gw_err e = GW_OK;

	if (gw_txn_count(c->txn, GW_T_IDEM) >= 2 * MAX_ROWS)
		e = drop_oldest(c->txn, INT64_MAX, 1, &n);
	if (e == GW_OK && gw_txn_get(c->txn, GW_T_IDEM, key, &old) == GW_OK && old.n >= HEAD)
		e = gw_txn_del(c->txn, GW_T_IDEM, time_key((int64_t)gw_be64_read(old), buf, times));
	if (e != GW_OK && e != GW_E_NOT_FOUND)
		return e;
	hash_question(q, asked);
	gw_buf_init(&b, MAX_ANSWER + 4096);
	gw_buf_puts(&b, gw_be64((uint64_t)c->now_us, be));
	gw_buf_put(&b, (const char *)asked, 32);
	gw_buf_puts(&b, gw_str_skip(gw_be64((uint64_t)c->status, be), 4));
	gw_buf_puts(&b, gw_be64(c->generation, be));
	gw_buf_puts(&b, gw_be64(c->version, be));
	e = seal_answer(c, key, r, &b);
	if (e == GW_OK)
		e = b.err;
	if (e == GW_OK)
		e = gw_txn_put(c->txn, GW_T_IDEM, key, gw_buf_view(&b));
	if (e == GW_OK)
		e = gw_txn_put(c->txn, GW_T_IDEM, time_key(c->now_us, buf, times), GW_LIT(""));
	gw_buf_done(&b);
	return e;
}

static enum gw_err sweep(struct gw_txn *t, void *arg)
{
	unsigned n;

	(void)arg;
	return drop_oldest(t, gw_unix_us() - (int64_t)DAY_S * 1000000, SWEEP, &n);
}

void gw_idem_sweep(struct gw_core *core)
{
	struct gw_txn t;
	bool is_due = false;
	struct gw_scan s;

	if (gw_txn_read(core->store, &t) != GW_OK)
		return;
	if (gw_scan_start(&s, &t, GW_T_IDEM, GW_LIT("t"), false) == GW_OK) {
		is_due = gw_scan_next(&s) && s.key.n == 41 &&
			 (int64_t)gw_be64_read(gw_str_skip(s.key, 1)) < gw_unix_us() - (int64_t)DAY_S * 1000000;
		gw_scan_end(&s);
	}
	gw_txn_abort(&t);
	enum gw_err e = is_due ? gw_store_update(core->store, sweep, NULL) : GW_OK;

	if (e != GW_OK)
		gw_log_slow(GW_WARN, "old answers (Idempotency-Key) cannot be deleted: %s", gw_err_info(e)->doc);
}
