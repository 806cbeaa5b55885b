/* Credential plaintext on loan from confd: asked for once per version, renewed at half-life, kept up to a day while confd is away, wiped
 * when it is dropped or revoked. Requests that need one wait parked; the ask has a deadline. A worker asks ahead for all credentials of its
 * image and is ready only then: were it to ask at first use, a confd that dies in between would make it fail requests. */
#include <stdlib.h>
#include "core/key.h"
#include "lib/sys/clock.h"
#include "worker/req.h"

enum {
	LEASES = 2048,
	ASK_MS = 2000,
	ASK_SLOW_MS = 20000,
	EXTEND_MS = 24 * 3600 * 1000,
	ASKS_AHEAD = 32,
	PARK_MS = 5000
};

struct gw_lease {
	char id[64];
	uint8_t id_n;
	bool is_asking, is_ahead; /* is_ahead: the question under way does not wait for a token */
	bool is_refused; /* the provider refused the token: a newer one is wanted */
	uint64_t version, next_version, expires_ms; /* expires_ms: when the token itself ends, 0 = it does not */
	struct gw_secret *secret, *next;
	uint64_t got_ms, life_ms, retry_ms;
	uint64_t parked_ms; /* since when those who wait do so without a confd to ask; 0 = there is one */
	struct gw_req *waiters;
	struct gw_worker *w;
};

enum gw_err gw_lease_init(struct gw_worker *w)
{
	w->leases = calloc(LEASES, sizeof *w->leases);
	return w->leases ? GW_OK : GW_E_NOMEM;
}

static uint64_t hash_id(struct gw_str s)
{
	return gw_layout_hash(s.p, s.n);
}

/* The credential's cell, taken when new; NULL when the table is full or the id too long. */
static struct gw_lease *cell_of(struct gw_worker *w, struct gw_str id, bool may_take)
{
	uint64_t h = hash_id(id);
	struct gw_lease *idle = NULL;

	if (id.n == 0 || id.n >= sizeof w->leases[0].id)
		return NULL;
	for (uint32_t i = 0; i < LEASES; i++) {
		struct gw_lease *l = &w->leases[(h + i) & (LEASES - 1)];

		if (l->id_n == id.n && memcmp(l->id, id.p, id.n) == 0)
			return l;
		if (!idle && !l->secret && !l->is_asking && !l->waiters)
			idle = l; /* free, or of a credential that is no more: its cell serves another */
		if (!l->id_n)
			break;
	}
	if (!may_take || !idle)
		return NULL;
	memcpy(idle->id, id.p, id.n);
	idle->id_n = (uint8_t)id.n;
	idle->w = w;
	return idle;
}

static void wipe(struct gw_lease *l)
{
	gw_secret_unref(l->secret);
	gw_secret_unref(l->next);
	if (l->secret)
		l->w->n_leases--;
	l->secret = l->next = NULL;
	l->version = l->next_version = l->expires_ms = 0;
}

/* Each waiter runs on; it finds the secret, or the error that is set here. */
static void wake(struct gw_lease *l, enum gw_err err)
{
	struct gw_req *r = l->waiters;

	l->waiters = NULL;
	l->parked_ms = 0;
	while (r) {
		struct gw_req *next = r->lease_next;

		r->lease_next = NULL;
		if (err)
			r->at.err = err;
		gw_req_run(r);
		r = next;
	}
}

static void take(struct gw_lease *l, struct gw_msg *m)
{
	struct gw_secret *secret = gw_secret_new(m->secret.p, m->secret.n);
	struct gw_secret *next = m->next.n ? gw_secret_new(m->next.p, m->next.n) : NULL;

	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (m->next.n)
		gw_wipe((void *)(uintptr_t)m->next.p, m->next.n);
	wipe(l);
	if (!secret)
		return;
	l->secret = secret;
	l->next = next;
	l->version = m->version;
	l->next_version = m->next_version;
	l->got_ms = gw_now_ms();
	l->life_ms = m->deadline_ms ? m->deadline_ms : 600000;
	l->expires_ms = m->expires_ms ? l->got_ms + m->expires_ms : 0;
	l->w->n_leases++;
}

/* Refusals that say nothing about the credential: a confd that is starting, or busy. */
static bool is_passing(uint64_t status)
{
	switch (-(int64_t)status) {
	case GW_E_NOT_READY:
	case GW_E_LIMIT:
	case GW_E_BUSY:
	case GW_E_AGAIN:
	case GW_E_NOMEM:
	case GW_E_IO:
		return true;
	default:
		return false;
	}
}

static void go_on(struct gw_worker *w);
static bool ask(struct gw_lease *l, uint64_t flags);

static void on_answer(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_lease *l = ctx;

	l->is_asking = l->is_refused = false;
	l->w->n_asking--;
	l->retry_ms = gw_now_ms() + 200;
	/* Those who came while the answer was on its way want to wait for a token. */
	if (!err && m->status && l->is_ahead && l->waiters && ask(l, 0))
		return;
	if (!err && m->status == 0 && m->secret.n) {
		take(l, m);
		wake(l, l->secret ? GW_OK : GW_E_NOMEM);
	} else if (err && !l->secret && l->waiters && !l->w->is_stopping) {
		l->w->ahead.is_short = true; /* confd died: the tick asks the next one */
		if (!l->parked_ms)
			l->parked_ms = gw_now_ms();
	} else {
		if (err || is_passing(m->status))
			l->w->ahead.is_short = true; /* what is held stays good */
		else
			wipe(l); /* confd says no: gone or disabled */
		wake(l, GW_E_CRED_MISSING);
	}
	go_on(l->w);
}

static bool ask(struct gw_lease *l, uint64_t flags)
{
	struct gw_msg m = { .type = GW_MSG_LEASE };
	const struct gw_req *r = l->waiters;
	/* a token may have to be fetched first */
	bool is_slow = flags == GW_LEASE_REFUSED || (r && r->plan.candidates[r->at.candidate].is_token);

	if (l->is_asking)
		return true;
	GW_MSG_SET(&m, name, gw_str(l->id, l->id_n));
	GW_MSG_SET(&m, flags, flags);
	if (!l->w->confd || gw_channel_ask(l->w->confd, &m, is_slow ? ASK_SLOW_MS : ASK_MS, on_answer, l) != GW_OK)
		return false;
	l->is_asking = true;
	l->is_ahead = flags == GW_LEASE_AHEAD;
	l->w->n_asking++;
	return true;
}

static struct gw_secret *fitting(const struct gw_lease *l, uint64_t version, bool want_next)
{
	if (want_next)
		return l->next_version >= version && l->next ? l->next : l->version >= version ? l->secret : NULL;
	return l->version >= version ? l->secret : NULL;
}

struct gw_secret *gw_lease_get(struct gw_worker *w, struct gw_str credential, uint64_t version, bool want_next,
			       struct gw_req *waiter)
{
	struct gw_lease *l = cell_of(w, credential, true);
	struct gw_secret *s = l && !l->is_refused ? fitting(l, version, want_next) : NULL;

	if (s)
		return gw_secret_ref(s);
	/* confd answered after this request began, with an older version than the image names: it knows best. */
	if (l && l->secret && !l->is_refused && l->got_ms > waiter->at.begun_ns / 1000000)
		return gw_secret_ref(want_next && l->next ? l->next : l->secret);
	if (!l) {
		waiter->at.err = GW_E_CRED_MISSING;
		return NULL;
	}
	if (waiter->at.err) { /* woken without success: an older version is better than none */
		if (l->secret)
			waiter->at.err = GW_OK;
		return l->secret ? gw_secret_ref(l->secret) : NULL;
	}
	if (!w->confd) {
		/* An older version beats no answer: it was good until a moment ago. */
		if (l->secret)
			return gw_secret_ref(l->secret);
		if (!l->parked_ms)
			l->parked_ms = gw_now_ms();
	}
	waiter->lease_next = l->waiters;
	l->waiters = waiter;
	if (!w->confd)
		return NULL; /* the tick asks, or gives up */
	if (!ask(l, l->is_refused ? GW_LEASE_REFUSED : 0)) {
		l->waiters = waiter->lease_next;
		waiter->lease_next = NULL;
		waiter->at.err = GW_E_CRED_MISSING;
	}
	return NULL;
}

void gw_lease_refused(struct gw_worker *w, struct gw_str credential, const struct gw_secret *which)
{
	struct gw_lease *l = cell_of(w, credential, false);

	if (l && l->secret == which && !l->is_asking)
		l->is_refused = true;
}

void gw_lease_forget_waiter(struct gw_worker *w, const struct gw_req *waiter)
{
	for (uint32_t i = 0; i < LEASES; i++) {
		for (struct gw_req **at = &w->leases[i].waiters; *at; at = &(*at)->lease_next) {
			if (*at != waiter)
				continue;
			*at = waiter->lease_next;
			return;
		}
	}
}

void gw_lease_drop(struct gw_worker *w, struct gw_str credential, bool is_renewed)
{
	struct gw_lease *l = cell_of(w, credential, false);

	if (l && is_renewed)
		(void)ask(l, GW_LEASE_AHEAD); /* else at half its life */
	else if (l)
		wipe(l);
}

/* Requests that wait for the next confd: a new one is there within a second, and what they need it for takes it a moment more. */
static void unpark(struct gw_lease *l, uint64_t now_ms)
{
	if (now_ms - l->parked_ms > PARK_MS)
		wake(l, GW_E_CRED_MISSING);
	else if (!l->is_asking)
		(void)ask(l, l->is_refused ? GW_LEASE_REFUSED : 0);
}

void gw_lease_tick(struct gw_worker *w, uint64_t now_ms)
{
	for (uint32_t i = 0; i < LEASES; i++) {
		struct gw_lease *l = &w->leases[i];

		if (l->parked_ms && l->waiters)
			unpark(l, now_ms);
		if (!l->secret)
			continue;
		if (gw_revoke_has(w->revoke, gw_cred_revoke_hash(gw_str(l->id, l->id_n), l->version)) ||
		    (l->next &&
		     gw_revoke_has(w->revoke, gw_cred_revoke_hash(gw_str(l->id, l->id_n), l->next_version)))) {
			wipe(l);
			continue;
		}
		uint64_t age = now_ms - l->got_ms;
		if (age >= EXTEND_MS || (l->expires_ms && now_ms >= l->expires_ms)) {
			wipe(l);
		} else if (age >= l->life_ms / 2 && !l->is_asking && now_ms >= l->retry_ms) {
			if (age >= l->life_ms && !w->confd)
				gw_count(&w->page->metric[GW_M_lease_extended], 1);
			l->retry_ms = now_ms + 5000;
			(void)ask(l, GW_LEASE_AHEAD); /* without confd: later */
		}
	}
	gw_gauge(&w->page->metric[GW_M_leases], w->n_leases);
	gw_lease_ahead(w);
}

/* --- ahead of need --- */
static bool ask_next(void *ctx, struct gw_str key, struct gw_str row)
{
	struct gw_worker *w = ctx;
	struct gw_str id = gw_str(key.p + 1, key.n ? key.n - 1 : 0);
	struct gw_lease *l;

	(void)row;
	if (id.n == 0 || key.p[0] != (char)GW_KIND_credential || id.n >= sizeof w->ahead.after) {
		w->ahead.is_at_end = true;
		return false;
	}
	if (w->n_asking >= ASKS_AHEAD)
		return false;
	l = cell_of(w, id, true);
	if (l && !l->secret && !ask(l, GW_LEASE_AHEAD)) {
		w->ahead.is_short = true;
		w->ahead.is_at_end = true; /* no use in going on; the tick begins anew */
		return false;
	}
	memcpy(w->ahead.after, id.p, id.n);
	w->ahead.after_n = (uint8_t)id.n;
	return true;
}

static void go_on(struct gw_worker *w)
{
	struct gw_lease_ahead *a = &w->ahead;
	char from[80] = { (char)GW_KIND_credential };

	if (!a->is_under_way || w->is_stopping)
		return;
	if (!a->is_at_end && w->n_asking < ASKS_AHEAD) {
		memcpy(from + 1, a->after, a->after_n);
		/* the zero byte behind an id makes it the next key */
		enum gw_err e = gw_image_walk(w->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT,
					      gw_str(from, a->after_n ? a->after_n + 2u : 1u), ask_next, w);

		if (e || w->n_asking < ASKS_AHEAD)
			a->is_at_end = true;
	}
	if (!a->is_at_end || w->n_asking)
		return;
	a->is_under_way = false;
	if (!a->is_short && !w->has_leases) {
		w->has_leases = true;
		gw_worker_check_ready(w);
	}
}

void gw_lease_ahead(struct gw_worker *w)
{
	struct gw_lease_ahead *a = &w->ahead;

	if (a->is_under_way || !w->images.image[GW_IMAGE_CONFIG] ||
	    (a->generation == w->images.generation && !a->is_short && w->has_leases))
		return;
	*a = (struct gw_lease_ahead){ .generation = w->images.generation, .is_under_way = true };
	go_on(w);
}

/* --- the pepper: what turns tokens into key indexes --- */
static void on_pepper(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_worker *w = ctx;

	if (err || m->status || !m->secret.n)
		return; /* the tick asks again */
	struct gw_secret *s = gw_secret_new(m->secret.p, m->secret.n);
	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (!s)
		return;
	struct gw_hmac *h = gw_hmac_new(s);
	gw_secret_unref(s);
	if (!h)
		return;
	gw_hmac_free(w->pepper);
	w->pepper = h;
	gw_memo_forget(w);
	gw_worker_check_ready(w);
}

void gw_lease_pepper(struct gw_worker *w)
{
	struct gw_msg m = { .type = GW_MSG_LEASE };

	if (!w->confd || w->pepper)
		return;
	GW_MSG_SET(&m, name, GW_LIT("pepper"));
	if (gw_channel_ask(w->confd, &m, ASK_MS, on_pepper, w) != GW_OK)
		return;
}
