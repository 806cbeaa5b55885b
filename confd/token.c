/* Tokens and temporary keys: fetched by the agent with a stored credential, kept here, leased to all who would lease the credential. One fetch
 * at a time for each, whoever asks; anew before it ends; the old one serves until then. They live in memory only. */
#include <stdlib.h>

#include "confd/server.h"
#include "confd/tokens.h"
#include "core/token.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/text.h"

enum {
	WAITERS = 128,
	FETCH_MS = 25000,
	LEASE_MS = 600000,
	IDLE_MS = 1800000, /* nobody asked: not kept */
	FRESH_MS = 5000, /* one that is younger was fetched since the provider refused */
	AGAIN_MS = 200,
	WAIT_MS = 8000, /* that those who ask wait for a process that is being replaced */
	BACKOFF_MAX_MS = 60000,
	BACKOFF_NONE_MS = 5000 /* the same while there is no token at all: what is mended is to be seen soon */
};

struct waiter {
	struct gw_channel *channel;
	uint64_t corr, since_ms;
};
struct gw_token {
	char id[64], why[320];
	uint8_t id_n;
	uint64_t version; /* of the credential's secret */
	uint32_t shape; /* of all that it is fetched with */
	uint64_t serial; /* of the fetch under way: an answer to another question is not taken */
	struct gw_secret *value;
	uint64_t got_ms, end_ms, renew_ms, asked_ms, not_before_ms;
	uint32_t failures;
	bool is_fetching;
	bool is_passing; /* the last fetch failed here, not at the endpoint: it is tried again for those who wait */
	uint64_t n_fetched;
	struct waiter waiters[WAITERS];
	uint32_t n_waiters;
};
struct question { /* outlives the token's row */
	struct gw_server *s;
	uint32_t at;
	uint64_t serial;
};

static struct gw_str id_of(const struct gw_token *t)
{
	return gw_str(t->id, t->id_n);
}

static bool is_good(const struct gw_token *t, uint64_t now)
{
	return t->value != NULL && now < t->end_ms;
}

/* --- answers --- */

static void answer(struct gw_server *s, struct gw_channel *ch, uint64_t corr, const struct gw_token *t)
{
	struct gw_msg a = { .type = GW_MSG_LEASED };
	uint64_t now = gw_now_ms();
	bool has = is_good(t, now);

	if (gw_peer_of(s, ch) == NULL)
		return; /* gone meanwhile */
	GW_MSG_SET(&a, corr, corr);
	GW_MSG_SET(&a, status, (uint64_t) - (int64_t)(has ? GW_OK : GW_E_CRED_MISSING));
	GW_MSG_SET(&a, name, id_of(t));
	if (has) {
		uint64_t left = t->end_ms - now;

		GW_MSG_SET(&a, version, t->version);
		GW_MSG_SET(&a, secret, gw_secret_expose(t->value));
		GW_MSG_SET(&a, deadline_ms, left < LEASE_MS ? left : LEASE_MS);
		GW_MSG_SET(&a, expires_ms, left);
	} else {
		GW_MSG_SET(&a, detail, gw_str_z(t->why));
	}
	if (gw_channel_send(ch, &a) != GW_OK)
		gw_log_slow(GW_WARN, "a lease was not sent: the channel is full");
}

static void answer_all(struct gw_server *s, struct gw_token *t)
{
	uint32_t n = t->n_waiters;

	t->n_waiters = 0;
	for (uint32_t i = 0; i < n; i++)
		answer(s, t->waiters[i].channel, t->waiters[i].corr, t);
}

/* --- fetching --- */

static void failed(struct gw_token *t, enum gw_err err, struct gw_str why, bool is_ours)
{
	uint64_t wait = AGAIN_MS, now = gw_now_ms(), most = is_good(t, now) ? BACKOFF_MAX_MS : BACKOFF_NONE_MS;

	if (!is_ours) {
		t->failures += t->failures < 16;
		wait = 500ull << t->failures;
	}
	t->is_passing = is_ours;
	t->not_before_ms = now + (wait < most ? wait : most);
	snprintf(t->why, sizeof(t->why), "No token could be fetched for credential %.*s: %.*s", GW_FMT(id_of(t)),
		 GW_FMT(why.n > 0 ? why : gw_str_z(gw_err_info(err)->doc)));
	gw_log_slow(GW_WARN, "%s", t->why);
}

static void take(struct gw_token *t, struct gw_msg *m)
{
	struct gw_secret *value = gw_secret_new(m->secret.p, m->secret.n);
	uint64_t now = gw_now_ms();
	uint32_t random;

	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	if (value == NULL)
		return;
	gw_random(&random, sizeof(random));
	gw_secret_unref(t->value);
	t->value = value;
	t->got_ms = now;
	t->end_ms = now + m->expires_ms;
	t->renew_ms = now + gw_token_refresh_ms(m->expires_ms, random);
	t->failures = 0;
	t->is_passing = false;
	t->not_before_ms = 0;
	t->why[0] = '\0';
	t->n_fetched++;
}

static void on_fetched(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct question *q = ctx;
	struct gw_server *s = q->s;
	struct gw_token *t = &s->tokens[q->at];
	bool is_ours = t->serial == q->serial && t->is_fetching;

	free(q);
	if (!is_ours) {
		if (err == GW_OK && m->secret.n > 0)
			gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
		return;
	}
	t->is_fetching = false;
	if (err == GW_OK && m->status == 0 && m->secret.n > 0) {
		take(t, m);
		answer_all(s, t);
		gw_peers_lease_renew(s, id_of(t));
		return;
	}
	if (err != GW_OK)
		failed(t, err, GW_LIT("the process that fetches them was replaced or did not answer."),
		       err == GW_E_CONFD_DOWN);
	else
		failed(t, (enum gw_err) - (int64_t)m->status, m->detail, false);
	if (!t->is_passing)
		answer_all(s, t); /* else the tick asks again */
}

static struct gw_peer *agent_of(struct gw_server *s)
{
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		struct gw_peer *p = &s->peers[i];

		if (p->channel != NULL && p->role == GW_ROLE_AGENT && p->slot == s->start.slot)
			return p;
	}
	return NULL;
}

static void fetch(struct gw_server *s, struct gw_token *t, const struct gw_leased *l)
{
	struct gw_msg m = { .type = GW_MSG_TOKEN };
	struct gw_peer *agent = agent_of(s);
	struct question *q = agent != NULL ? malloc(sizeof(*q)) : NULL;
	struct gw_str secret = l->secret != NULL ? gw_secret_expose(l->secret) : GW_NIL;

	t->serial = ++s->token_serial;
	GW_MSG_SET(&m, name, id_of(t));
	GW_MSG_SET(&m, body, gw_buf_view(&l->text));
	if (secret.n > 0)
		GW_MSG_SET(&m, secret, secret);
	if (q != NULL) {
		*q = (struct question){ s, (uint32_t)(t - s->tokens), t->serial };
		if (gw_channel_ask(agent->channel, &m, FETCH_MS, on_fetched, q) == GW_OK) {
			t->is_fetching = true;
			return;
		}
	}
	free(q);
	failed(t, GW_E_NOT_READY, GW_LIT("the process that fetches them is not there yet."), true);
}

/* --- the table --- */

static void forget(struct gw_server *s, struct gw_token *t)
{
	snprintf(t->why, sizeof(t->why), "The credential is not there any more.");
	gw_secret_unref(t->value);
	t->value = NULL;
	answer_all(s, t);
	*t = (struct gw_token){ .serial = t->serial };
}

/* The credential's row, taken when new. What is fetched with changed ones has nothing to do with what there was. */
static struct gw_token *row_of(struct gw_server *s, struct gw_str id, const struct gw_leased *l)
{
	uint32_t shape = gw_crc32c(0, l->text.p, l->text.n);
	struct gw_token *unused = NULL;

	for (uint32_t i = 0; i < GW_TOKENS; i++) {
		struct gw_token *t = &s->tokens[i];

		if (t->id_n == 0 && unused == NULL)
			unused = t;
		if (!gw_str_eq(id_of(t), id))
			continue;
		if (t->version == l->version && t->shape == shape)
			return t;
		gw_secret_unref(t->value);
		t->value = NULL;
		t->is_fetching = false; /* those who wait get what comes now */
		t->failures = 0;
		t->not_before_ms = 0;
		unused = t;
		break;
	}
	if (unused == NULL || id.n >= sizeof(unused->id))
		return NULL;
	memcpy(unused->id, id.p, id.n);
	unused->id_n = (uint8_t)id.n;
	unused->version = l->version;
	unused->shape = shape;
	return unused;
}

void gw_tokens_lease(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m, const struct gw_leased *l)
{
	uint64_t flags = GW_MSG_HAS(m, flags) ? m->flags : 0, now = gw_now_ms();
	struct gw_token *t = row_of(s, m->name, l);
	struct gw_token none = { .why = "There are more credentials whose tokens are fetched than fit." };

	if (t == NULL) {
		answer(s, p->channel, m->corr, &none);
		return;
	}
	bool is_wanted = !is_good(t, now) || (flags == GW_LEASE_REFUSED && now - t->got_ms > FRESH_MS);

	t->asked_ms = now;
	if (is_wanted && !t->is_fetching && now >= t->not_before_ms)
		fetch(s, t, l);
	if (is_wanted && (t->is_fetching || t->is_passing) && flags != GW_LEASE_AHEAD && t->n_waiters < WAITERS) {
		t->waiters[t->n_waiters++] = (struct waiter){ p->channel, m->corr, now };
		return;
	}
	if (t->is_fetching && t->why[0] == '\0')
		snprintf(t->why, sizeof(t->why), "A token is being fetched.");
	answer(s, p->channel, m->corr, t);
}

void gw_tokens_drop(struct gw_server *s, struct gw_str id)
{
	for (uint32_t i = 0; i < GW_TOKENS; i++) {
		if (s->tokens[i].id_n > 0 && gw_str_eq(id_of(&s->tokens[i]), id))
			forget(s, &s->tokens[i]);
	}
}

/* What is about to end is fetched anew, if the credential is still there. */
static void renew(struct gw_server *s, struct gw_token *t)
{
	struct gw_leased l;
	enum gw_err e = gw_lease(&s->core, id_of(t), 0, GW_ROLE_AGENT, &l);

	if (e == GW_E_CRED_MISSING || (e == GW_OK && !l.is_fetched)) {
		forget(s, t);
	} else if (e == GW_OK) {
		struct gw_token *now = row_of(s, id_of(t), &l);

		if (now != NULL && !now->is_fetching)
			fetch(s, now, &l);
	}
	gw_leased_done(&l);
}

/* Those who wait though nothing is under way: the process that fetches was replaced. The first of them has waited longest. */
static void go_on(struct gw_server *s, struct gw_token *t, uint64_t now)
{
	if (now - t->waiters[0].since_ms > WAIT_MS)
		answer_all(s, t);
	else if (now >= t->not_before_ms)
		renew(s, t);
	if (t->n_waiters > 0 && !t->is_fetching && !t->is_passing)
		answer_all(s, t); /* the credential cannot be had any more */
}

void gw_tokens_tick(struct gw_server *s)
{
	uint64_t now = gw_now_ms();

	for (uint32_t i = 0; i < GW_TOKENS; i++) {
		struct gw_token *t = &s->tokens[i];

		if (t->id_n == 0)
			continue;
		if (t->n_waiters > 0 && !t->is_fetching)
			go_on(s, t, now);
		else if (now - t->asked_ms > IDLE_MS && !t->is_fetching)
			forget(s, t);
		else if (now >= t->renew_ms && !t->is_fetching && now >= t->not_before_ms && t->value != NULL)
			renew(s, t);
		if (t->value != NULL && now >= t->end_ms) {
			gw_secret_unref(t->value);
			t->value = NULL;
			if (t->not_before_ms > now + BACKOFF_NONE_MS)
				t->not_before_ms = now + BACKOFF_NONE_MS;
		}
	}
}

void gw_tokens_status(struct gw_server *s, struct gw_json_out *w)
{
	uint64_t now = gw_now_ms();

	gw_jw_key(w, GW_LIT("tokens"));
	gw_jw_arr(w);
	for (uint32_t i = 0; s->tokens != NULL && i < GW_TOKENS; i++) {
		const struct gw_token *t = &s->tokens[i];

		if (t->id_n == 0)
			continue;
		gw_jw_obj(w);
		gw_jw_kstr(w, "credential", id_of(t));
		gw_jw_kstr(w, "state",
			   is_good(t, now)  ? GW_LIT("good")
			   : t->is_fetching ? GW_LIT("fetching")
					    : GW_LIT("missing"));
		gw_jw_ku64(w, "ends_in_ms", is_good(t, now) ? t->end_ms - now : 0);
		gw_jw_ku64(w, "fetched", t->n_fetched);
		if (t->failures > 0)
			gw_jw_kstr(w, "error", gw_str_z(t->why));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

enum gw_err gw_tokens_init(struct gw_server *s)
{
	s->tokens = calloc(GW_TOKENS, sizeof(*s->tokens));
	return s->tokens != NULL ? GW_OK : GW_E_NOMEM;
}
