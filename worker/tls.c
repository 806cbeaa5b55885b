/* Certificates of the data plane's TLS listener: which are wanted says the image, their keys are leased from confd, and
 * when all are there a new context is made and swapped in. Connections that stand keep theirs. Ticket keys come from
 * confd as well, the same for all workers, so that a client may resume at any of them. */
#include "worker/tls.h"

#include <stdio.h>

#include "core/config_types.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "net/tls.h"
#include "worker/worker.h"

enum { ASK_MS = 2000, RETRY_MS = 1000, WARN_DAYS = 21, WARN_EVERY_MS = 86400000, ROW_MEMORY = 128 << 10 };

static bool is_on(const struct gw_worker *w)
{
	return w->start.boot.listen_tls && w->start.boot.listen_tls[0];
}

static struct gw_tls_key *find(struct gw_worker_tls *t, struct gw_str id)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (gw_str_eq(gw_str(t->v[i].id, t->v[i].id_n), id))
			return &t->v[i];
	return NULL;
}

static void drop(struct gw_worker_tls *t, uint32_t i)
{
	gw_secret_unref(t->v[i].key);
	t->v[i] = t->v[--t->n];
	t->v[t->n] = (struct gw_tls_key){ 0 };
}

/* ---- rows of the image ---- */

typedef void row_fn(struct gw_worker *w, const struct gw_cf_certificate *row);
struct walk {
	struct gw_worker *w;
	row_fn *fn;
};

static bool on_row(void *ctx, struct gw_str key, struct gw_str row)
{
	struct walk *k = ctx;
	struct gw_cf_certificate c;
	struct gw_arena a;
	bool ok;

	if (key.n == 0 || key.p[0] != (char)GW_KIND_certificate)
		return false;
	gw_arena_init(&a, NULL, 0, ROW_MEMORY);
	ok = gw_cf_read_certificate(row, &a, &c) == GW_OK;
	if (ok)
		c.id = gw_str_skip(key, 1);
	if (ok && !c.disabled && c.listener != 2 && c.id.n < sizeof k->w->tls.v[0].id)
		k->fn(k->w, &c);
	gw_arena_done(&a);
	return true;
}

static void each_row(struct gw_worker *w, row_fn *fn)
{
	const char from = (char)GW_KIND_certificate;
	struct walk k = { w, fn };

	if (w->images.image[GW_IMAGE_CONFIG] &&
	    gw_image_walk(w->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(&from, 1), on_row, &k))
		gw_log_slow(GW_ERROR, "certificates cannot be read from the image");
}

/* ---- the context ---- */

static struct {
	struct gw_tls_own own[GW_TLS_CERTS];
	uint32_t n;
	int64_t earliest_us;
} set; /* while a context is made */

/* Views into the image: used before this turn ends. */
static void collect(struct gw_worker *w, const struct gw_cf_certificate *row)
{
	const struct gw_tls_key *k = find(&w->tls, row->id);

	if (!k || !k->key || k->version != row->secret_version || set.n == GW_TLS_CERTS)
		return;
	set.own[set.n++] = (struct gw_tls_own){ row->chain, k->key, row->is_default };
	if (row->not_after && (!set.earliest_us || row->not_after < set.earliest_us))
		set.earliest_us = row->not_after;
	int64_t left = row->not_after - gw_unix_us();
	if (left < (int64_t)WARN_DAYS * 86400 * 1000000 && gw_now_ms() >= w->tls.warn_due_ms)
		gw_log(GW_WARN, "certificate \"%.*s\" %s", GW_FMT(row->id),
		       left < 0 ? "has expired" : "expires within three weeks: put a new one in its place");
}

static void give_tickets(struct gw_worker *w, struct gw_tls_ctx *ctx)
{
	if (w->tls.ticket_now && gw_tls_ticket_keys(ctx, w->tls.ticket_before, w->tls.ticket_now))
		gw_log_slow(GW_ERROR, "ticket keys cannot be used: sessions are resumed at this worker only");
}

/* One that cannot be used must not take the others down. */
static void build(struct gw_worker *w)
{
	struct gw_worker_tls *t = &w->tls;
	struct gw_tls_ctx *ctx = NULL;
	uint32_t bad;

	set.n = 0;
	set.earliest_us = 0;
	each_row(w, collect);
	while (set.n && !ctx) {
		struct gw_tls_server_desc d = { .own = set.own, .n_own = set.n };

		if (gw_tls_listener_ctx(&d, &ctx, &bad) == GW_OK)
			break;
		gw_log(GW_ERROR, "a certificate cannot be used and is left out; save it again");
		set.own[bad < set.n ? bad : 0] = set.own[set.n - 1];
		set.n--;
	}
	if (set.n && gw_now_ms() >= t->warn_due_ms)
		t->warn_due_ms = gw_now_ms() + WARN_EVERY_MS;
	if (ctx)
		give_tickets(w, ctx);
	gw_h1_set_tls(w->server, ctx);
	t->n_served = set.n;
	gw_gauge(&w->page->metric[GW_M_tls_certificates], set.n);
	gw_gauge(&w->page->metric[GW_M_tls_certificate_expiry_timestamp_seconds],
		 (uint64_t)(set.earliest_us / 1000000));
	if (!t->is_ready) {
		t->is_ready = true;
		gw_worker_check_ready(w);
	}
}

static void build_if_whole(struct gw_worker *w)
{
	for (uint32_t i = 0; i < w->tls.n; i++)
		if (!w->tls.v[i].is_refused && w->tls.v[i].version != w->tls.v[i].wanted_version)
			return;
	build(w);
}

/* ---- leases ---- */

static bool is_passing(uint64_t status)
{
	enum gw_err e = (enum gw_err) - (int64_t)status;

	return e == GW_E_NOT_READY || e == GW_E_LIMIT || e == GW_E_BUSY || e == GW_E_AGAIN || e == GW_E_NOMEM ||
	       e == GW_E_IO;
}

static void take_key(struct gw_tls_key *k, struct gw_msg *m)
{
	struct gw_secret *s = gw_secret_new(m->secret.p, m->secret.n);

	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (!s)
		return;
	gw_secret_unref(k->key);
	k->key = s;
	k->version = m->version;
}

static void on_key(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_worker *w = ctx;
	struct gw_tls_key *k = err ? NULL : find(&w->tls, gw_str_skip(m->name, 12));

	if (err) { /* whose it was is not told: all are asked again */
		for (uint32_t i = 0; i < w->tls.n; i++)
			w->tls.v[i].is_asking = false;
		return;
	}
	if (!k)
		return;
	k->is_asking = false;
	if (m->status == 0 && m->secret.n)
		take_key(k, m);
	else
		k->is_refused = !is_passing(m->status);
	build_if_whole(w);
}

static void ask_missing(struct gw_worker *w)
{
	struct gw_worker_tls *t = &w->tls;

	t->asked_ms = gw_now_ms();
	for (uint32_t i = 0; i < t->n && w->confd; i++) {
		struct gw_tls_key *k = &t->v[i];
		struct gw_msg m = { .type = GW_MSG_LEASE };
		char name[96];

		if (k->is_asking || k->is_refused || k->version == k->wanted_version)
			continue;
		int n = snprintf(name, sizeof name, "certificate/%.*s", k->id_n, k->id);
		GW_MSG_SET(&m, name, gw_str(name, (size_t)n));
		GW_MSG_SET(&m, version, k->wanted_version);
		k->is_asking = gw_channel_ask(w->confd, &m, ASK_MS, on_key, w) == GW_OK;
	}
}

static void on_tickets(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_worker *w = ctx;
	struct gw_worker_tls *t = &w->tls;

	t->is_asking_tickets = false;
	t->tickets_due_ms = gw_now_ms() + RETRY_MS;
	if (err || m->status || !m->secret.n)
		return;
	struct gw_secret *now = gw_secret_new(m->secret.p, m->secret.n);
	struct gw_secret *before = m->next.n ? gw_secret_new(m->next.p, m->next.n) : NULL;

	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (m->next.n)
		gw_wipe((void *)(uintptr_t)m->next.p, m->next.n);
	t->tickets_due_ms = gw_now_ms() + (m->deadline_ms ? m->deadline_ms : 60000) + 50;
	bool is_same = now && t->ticket_now && gw_secret_len(now) == gw_secret_len(t->ticket_now) &&
		       gw_ct_eq(gw_secret_expose(now).p, gw_secret_expose(t->ticket_now).p, gw_secret_len(now));
	if (!now || is_same) {
		gw_secret_unref(now);
		gw_secret_unref(before);
		return;
	}
	gw_secret_unref(t->ticket_before);
	t->ticket_before = before ? before : t->ticket_now; /* a confd that began anew does not know the old one */
	if (before)
		gw_secret_unref(t->ticket_now);
	t->ticket_now = now;
	build_if_whole(w);
}

static void ask_tickets(struct gw_worker *w)
{
	struct gw_msg m = { .type = GW_MSG_LEASE };

	if (!w->confd || w->tls.is_asking_tickets)
		return;
	GW_MSG_SET(&m, name, GW_LIT("tls-tickets"));
	w->tls.is_asking_tickets = gw_channel_ask(w->confd, &m, ASK_MS, on_tickets, w) == GW_OK;
}

/* ---- when ---- */

static void want(struct gw_worker *w, const struct gw_cf_certificate *row)
{
	struct gw_worker_tls *t = &w->tls;
	struct gw_tls_key *k = find(t, row->id);

	if (!k) {
		if (t->n == GW_TLS_CERTS) {
			gw_log_slow(GW_ERROR, "more than %d certificates: \"%.*s\" is not served", GW_TLS_CERTS,
				    GW_FMT(row->id));
			return;
		}
		k = &t->v[t->n++];
		*k = (struct gw_tls_key){ .id_n = (uint8_t)row->id.n };
		memcpy(k->id, row->id.p, row->id.n);
	}
	if (k->wanted_version != row->secret_version)
		k->is_refused = false;
	k->wanted_version = row->secret_version;
	k->is_wanted = true;
}

void gw_worker_tls_refresh(struct gw_worker *w)
{
	struct gw_worker_tls *t = &w->tls;

	if (!is_on(w)) {
		t->is_ready = true;
		return;
	}
	for (uint32_t i = 0; i < t->n; i++)
		t->v[i].is_wanted = false;
	each_row(w, want);
	for (uint32_t i = t->n; i-- > 0;)
		if (!t->v[i].is_wanted)
			drop(t, i);
	ask_missing(w);
	build_if_whole(w);
}

void gw_worker_tls_confd(struct gw_worker *w)
{
	if (!is_on(w))
		return;
	for (uint32_t i = 0; i < w->tls.n; i++)
		w->tls.v[i].is_asking = false;
	w->tls.is_asking_tickets = false;
	ask_tickets(w);
	ask_missing(w);
}

void gw_worker_tls_tick(struct gw_worker *w, uint64_t now_ms)
{
	const struct gw_h1_stats *h = gw_h1_stats(w->server);
	_Atomic uint64_t *m = w->page->metric;

	gw_gauge(&m[GW_M_proxy_headers], h->proxy_headers);
	gw_gauge(&m[GW_M_proxy_headers_refused], h->proxy_refused);
	if (!is_on(w))
		return;
	if (now_ms - w->tls.asked_ms >= RETRY_MS)
		ask_missing(w);
	if (now_ms >= w->tls.tickets_due_ms)
		ask_tickets(w);
	gw_gauge(&m[GW_M_tls_handshakes], h->tls_handshakes);
	gw_gauge(&m[GW_M_tls_resumed], h->tls_resumed);
	gw_gauge(&m[GW_M_tls_waited], h->tls_waited);
	gw_gauge(&m[GW_M_tls_failed_protocol], h->tls_bad_protocol);
	gw_gauge(&m[GW_M_tls_failed_plain_http], h->tls_bad_plain);
	gw_gauge(&m[GW_M_tls_failed_no_certificate], h->tls_bad_no_certificate);
	gw_gauge(&m[GW_M_tls_failed_timeout], h->tls_bad_timeout);
	gw_gauge(&m[GW_M_tls_failed_gone], h->tls_bad_gone);
}
